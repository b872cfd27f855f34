/*
 * Text: requests in full feature phase, SendTargets among them, and what they and login
 * have in common.
 */
#ifndef TARGET_TEXT_H
#define TARGET_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "keys.h"
#include "loop.h"

#define TARGET_TEXT_MAX		(16u << 10)	/* one negotiation step, over all its PDUs */

struct target_conn;
struct target_pdu;

/* ---- target_text.c */

void target_text_request(struct target_pdu *pdu);

/* Give back what a text exchange holds; harmless when there is none. */
void target_text_free(struct target_conn *c);

/*
 * Text that comes in parts (C bit): append to *text, which is allocated at the
 * first part and has TARGET_TEXT_MAX bytes of the pool. False: too long, or no memory.
 */
bool target_text_gather(struct loop *loop, char **text, size_t *len, const void *part,
			size_t part_len);

/* ---- target_discovery.c */

/* SendTargets="which" (RFC 7143 Appendix C). */
void target_send_targets(const struct target_conn *c, const char *which, struct key_text *out);

/* What it writes, at most; in bytes. */
size_t target_send_targets_room(const struct target_conn *c);

#endif
