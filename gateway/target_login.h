/*
 * What target_login.c (requests, stages, responses) and target_login_keys.c (what
 * the text says) share of a login.
 */
#ifndef TARGET_LOGIN_H
#define TARGET_LOGIN_H

#include "chap.h"
#include "target_private.h"

/* CSG and NSG, RFC 7143 §11.12.3 */
enum { STAGE_SECURITY = 0, STAGE_OPERATIONAL = 1, STAGE_RESERVED = 2, STAGE_FULL_FEATURE = 3 };

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
	char	*in;			/* text so far, while the initiator sets the C bit */
	size_t	 in_len;
	struct key_text out;		/* answers; text is NULL while there are none */
	size_t	 out_sent;		/* of it; the rest goes with our C bit */
};

/* Has the initiator proved who it is, if it has to? */
bool target_login_is_proved(const struct target_login *l);

/*
 * Take one negotiation step's whole text, and write the answers to c->login->out.
 * LOGIN_OK, or why the login is refused.
 */
enum login_status target_login_take(struct target_conn *c, const char *text, size_t len);

#endif
