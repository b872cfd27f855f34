/*
 * A login, from its first request to full feature phase: what it knows so far, and what it
 * ends in.
 */
#ifndef TARGET_LOGIN_H
#define TARGET_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access.h"
#include "bhs.h"
#include "chap.h"
#include "keys.h"
#include "lu.h"
#include "target_pieces.h"
#include "target_place.h"

struct target_conn;
struct target_pdu;
struct target_service;

/* CSG and NSG, RFC 7143 §11.12.3 */
enum { STAGE_SECURITY = 0, STAGE_OPERATIONAL = 1, STAGE_RESERVED = 2, STAGE_FULL_FEATURE = 3 };

/* What login has found out, to make a session of, or to join one. */
struct target_login_result {
	struct nexus nexus;
	bool	 discovery;
	uint32_t cmd_sn;
	struct target_place place;	/* in service->access, once it is all over */
	const struct chap_user *user;	/* as who it has logged in; NULL: nobody */
};

struct target_login {
	struct bhs request;		/* the latest */
	unsigned requests;
	uint8_t	 stage;			/* CSG that is due */
	bool	 identified;		/* the first text has been taken: names are known */
	bool	 declared;		/* our MaxRecvDataSegmentLength has been told */
	bool	 named_target;
	bool	 proving;		/* AuthMethod=CHAP is agreed */
	const char *auth_methods;	/* that it offers, in this step's text; NULL: it does not */
	uint64_t seen;			/* bit per key that is not negotiated: each may come once */
	struct access *access;		/* in force when it began; held */
	struct target_login_result result; /* its place is in access, until the end */
	const char *redirect_to;	/* for LOGIN_REDIRECT */
	struct chap chap;
	struct login_params ours;	/* offers and limits */
	struct negotiation negotiation;
	struct target_pieces text;
};

/* ---- target_login.c */

/* A Login Request in login phase. */
void target_login_request(struct target_conn *c, struct target_pdu *pdu);

/* The session that this one replaces is dead: answer the last Login Request. */
void target_login_reinstated(struct target_conn *c);

/* Give back what a login holds; harmless when there is none. */
void target_login_free(struct target_conn *c);

/* ---- target_login_keys.c */

/* Has the initiator proved who it is, if it has to? */
bool target_login_is_proved(const struct target_login *l);

/*
 * Take one negotiation step's whole text, and write the answers to c->login->text.out.
 * LOGIN_OK, or why the login is refused.
 */
enum login_status target_login_take(struct target_conn *c, const char *text, size_t len);

/* ---- target_join.c */

/*
 * The first Login Request of a connection names the session that it is for, by TSIH. True:
 * the session is another worker's, and the connection moves there; nothing of it is to be
 * consumed here.
 */
bool target_join_moves(struct target_conn *c, const struct bhs *b);

/* The connection has died on its way. */
void target_join_forget(struct target_conn *c);

/* What a login is to negotiate for a session that exists: what holds there already. */
void target_join_params(const struct target_service *service, uint16_t tsih,
			struct login_params *ours, struct negotiation *n);

/* All is agreed: c becomes a connection of the session, in place of an older one with its CID. */
enum login_status target_join(struct target_conn *c, uint16_t tsih,
			      const struct target_login_result *result,
			      const struct login_params *params);

#endif
