/*
 * One login, from the first request to full feature phase.
 */
#ifndef INITIATOR_LOGIN_H
#define INITIATOR_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bhs.h"
#include "chap.h"
#include "keys.h"

#define LOGIN_TEXT_MAX	(32u << 10)	/* of all PDUs that a C bit joins, each way */

struct initiator;

/* AuthMethod: what is agreed so far. */
enum auth_method { AUTH_UNDECIDED, AUTH_NONE, AUTH_CHAP };

/* One login, from the first request to full feature phase. */
struct login {
	uint8_t	 csg;			/* stage: 0 security, 1 operational, 3 full feature (RFC 7143 §11.12.3) */
	unsigned rounds;		/* requests sent: a bound on targets that never come to an end */
	struct negotiation negotiation;
	char	*in;			/* what came so far, LOGIN_TEXT_MAX bytes from the pool */
	size_t	 in_len;
	struct key_text out;		/* what is to go; LOGIN_TEXT_MAX bytes from the pool */
	size_t	 out_sent;		/* of it: what earlier requests took along */
	uint32_t itt;
	bool	 transit;		/* the last request asked for the next stage (T bit) */
	enum auth_method auth;
	struct chap chap;
	unsigned redirects;		/* followed since the last success */
	bool	 again;			/* the last login ended such that another is to follow at once, where
					 * resolver.portal says: a redirect, or another way to authenticate */
};

/* initiator_login.c */
/* A socket is connected (its ownership passes). */
void login_start(struct initiator *ini, int fd);
/* A whole Login Response. */
void login_response(struct initiator *ini, const struct bhs *bhs, const uint8_t *text);
/* Give back what a login holds; harmless when there is none. */
void login_release(struct initiator *ini);

/* initiator_auth.c */
/* What the first request of all says. */
void auth_offer(struct initiator *ini);
/* AuthMethod, or one of the CHAP keys. */
void auth_take(struct initiator *ini, const struct key_pair *pair);
/* The target's text is whole; it wants the next stage if "transit". What we say to it goes to
 * login.out. False after conn_fail(). */
bool auth_step(struct initiator *ini, bool transit);
/* May the next request ask for the operational stage? */
bool auth_may_transit(const struct initiator *ini);
/* Is it who we are that this response refuses? */
bool auth_is_refusal(const struct initiator *ini, const struct bhs *bhs);
/* Then: conn_fail(), in words; if there is another way, it is to be tried. */
void auth_refused(struct initiator *ini, const struct bhs *bhs);

#endif
