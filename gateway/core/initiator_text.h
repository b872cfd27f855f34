/*
 * Text requests in full feature phase.
 */
#ifndef INITIATOR_TEXT_H
#define INITIATOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bhs.h"
#include "keys.h"

struct initiator;

/* A text request in full feature phase, and what has come of the answer. */
struct text {
	bool	 active;
	uint32_t itt;
	struct key_text out;		/* in "request" */
	char	 request[KEY_NAME_MAX + ISCSI_NAME_MAX + 2];
	char	*in;			/* heap, in_len bytes of at most "limit" */
	size_t	 in_len, limit;
	unsigned rounds;
	/* The whole answer, valid during the call; or NULL and why. */
	void   (*done)(struct initiator *ini, const char *text, size_t len, const char *why);
};

/* initiator_text.c */
/* Ask for targets: "which" is a name or All (RFC 7143, appendix C). No other question is under
 * way. An answer of more than "limit" bytes is an error. */
void text_send_targets(struct initiator *ini, const char *which, size_t limit,
		       void (*done)(struct initiator *ini, const char *text, size_t len,
				    const char *why));
void text_response(struct initiator *ini, const struct bhs *bhs, const uint8_t *data);
/* The request is not going to be answered: it was rejected, or the session is gone. */
void text_end(struct initiator *ini, const char *why);
/* Ask the target of this session for further portals of it, and remember them. */
void text_learn_portals(struct initiator *ini);

#endif
