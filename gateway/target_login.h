/*
 * What target_login.c (requests, stages, responses) and target_login_keys.c (what
 * the text says) share of a login.
 */
#ifndef TARGET_LOGIN_H
#define TARGET_LOGIN_H

#include "target_private.h"

/* CSG and NSG, RFC 7143 §11.12.3 */
enum { STAGE_SECURITY = 0, STAGE_OPERATIONAL = 1, STAGE_RESERVED = 2, STAGE_FULL_FEATURE = 3 };

/* Status-Class << 8 | Status-Detail, RFC 7143 §11.13.5 */
enum login_status {
	LOGIN_OK = 0x0000,
	LOGIN_INITIATOR_ERROR = 0x0200,
	LOGIN_AUTHENTICATION_FAILURE = 0x0201,
	LOGIN_NOT_FOUND = 0x0203,
	LOGIN_UNSUPPORTED_VERSION = 0x0205,
	LOGIN_TOO_MANY_CONNECTIONS = 0x0206,
	LOGIN_MISSING_PARAMETER = 0x0207,
	LOGIN_SESSION_TYPE = 0x0209,
	LOGIN_NO_SESSION = 0x020a,
	LOGIN_SERVICE_UNAVAILABLE = 0x0301,
	LOGIN_OUT_OF_RESOURCES = 0x0302,
};

struct target_login {
	struct bhs request;		/* the latest */
	unsigned requests;
	uint8_t	 stage;			/* CSG that is due */
	bool	 identified;		/* the first text has been taken: names are known */
	bool	 declared;		/* our MaxRecvDataSegmentLength has been told */
	bool	 named_target;
	uint64_t seen;			/* bit per key that is not negotiated: each may come once */
	struct target_login_result result;
	struct negotiation negotiation;
	char	*in;			/* text so far, while the initiator sets the C bit */
	size_t	 in_len;
	struct key_text out;		/* answers; text is NULL while there are none */
	size_t	 out_sent;		/* of it; the rest goes with our C bit */
};

/*
 * Take one negotiation step's whole text, and write the answers to c->login->out.
 * LOGIN_OK, or why the login is refused.
 */
enum login_status target_login_take(struct target_conn *c, const char *text, size_t len);

#endif
