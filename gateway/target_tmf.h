/*
 * Task management functions under way. What one is made of is target_tmf.c's.
 */
#ifndef TARGET_TMF_H
#define TARGET_TMF_H

#include <stdbool.h>
#include <stdint.h>

#include "bhs.h"
#include "lu.h"
#include "target_session.h"

/* How many task management functions a session may have under way. */
#define TARGET_MAX_TMFS		64

struct target_conn;
struct target_pdu;

/* What the initiator has to hear on other connections before something is answered. */
struct target_unheard {
	struct {
		struct target_conn *conn; /* NULL: lost meanwhile */
		uint32_t stat_sn;	/* as it was to be next */
		bool	 asked;		/* since then: whatever is answered to that tells */
	} by[TARGET_MAX_CONNECTIONS];
	unsigned count;
};

/* ---- target_tmf.c */

void target_tmf_request(struct target_pdu *pdu);

/* Answer the functions whose tasks have gone. */
void target_tmf_settle(struct target_session *s);

/* Is one of the functions under way at that unit? */
bool target_tmf_uses(const struct target_session *s, const struct scsi_lu *lu);

/* Is one under way that the connection waits for the answer of? */
bool target_tmf_waits(const struct target_session *s, const struct target_conn *c);

/* Nobody is there to be answered on this connection, or to be heard. */
void target_tmf_forget(struct target_session *s, const struct target_conn *c);

/* ---- target_heard.c */

/* A header has come: it says which of our responses the initiator has. */
void target_heard(struct target_conn *c, const struct bhs *b);

/* What has been said on all connections of the session but this is to be heard; who may not have
 * heard it is asked. *u is zero. */
void target_heard_begin(struct target_unheard *u, struct target_session *s,
			const struct target_conn *but);

/* Is it? Asks those whom target_heard_begin() could not ask. */
bool target_heard_all(struct target_unheard *u);

/* The connection has gone: nobody hears anything there. */
void target_heard_forget(struct target_unheard *u, const struct target_conn *c);

#endif
