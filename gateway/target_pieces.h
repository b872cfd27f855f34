/*
 * The text of one negotiation step, which may come and go in several PDUs (C bit, RFC 7143
 * §6.2): login and Text requests have it in common.
 */
#ifndef TARGET_PIECES_H
#define TARGET_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys.h"
#include "pool.h"

#define TARGET_TEXT_MAX		(16u << 10)	/* one negotiation step, over all its PDUs */

/* Zero at first. All memory is the pool's. */
struct target_pieces {
	char	*in;			/* text so far, while the initiator sets the C bit; or NULL */
	size_t	 in_len;		/* of TARGET_TEXT_MAX */
	struct key_text out;		/* our answers; its text is NULL while there are none */
	size_t	 out_sent;		/* of them */
};

/* Append what has come. False: too long, or no memory. */
bool target_pieces_gather(struct target_pieces *p, struct pool *pool, const void *part, size_t len);

/* The text that was gathered has been taken. */
void target_pieces_drop_in(struct target_pieces *p, struct pool *pool);

/* Room for the answers. False: no memory. */
bool target_pieces_begin_out(struct target_pieces *p, struct pool *pool, size_t room);

/* The next of the answers, at most limit bytes at *piece; *piece is NULL if there are none. True:
 * there will be more. */
bool target_pieces_next(struct target_pieces *p, uint32_t limit, const char **piece, uint32_t *len);

/* All answers have gone. */
void target_pieces_drop_out(struct target_pieces *p, struct pool *pool);

#endif
