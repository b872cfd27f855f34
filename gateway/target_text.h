/*
 * Text requests in full feature phase, SendTargets among them.
 */
#ifndef TARGET_TEXT_H
#define TARGET_TEXT_H

#include <stddef.h>

#include "keys.h"

struct target_conn;
struct target_pdu;

/* ---- target_text.c */

void target_text_request(struct target_pdu *pdu);

/* Give back what a text exchange holds; harmless when there is none. */
void target_text_free(struct target_conn *c);

/* ---- target_discovery.c */

/* SendTargets="which" (RFC 7143 Appendix C). */
void target_send_targets(const struct target_conn *c, const char *which, struct key_text *out);

/* What it writes, at most; in bytes. */
size_t target_send_targets_room(const struct target_conn *c);

#endif
