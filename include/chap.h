/*
 * CHAP for iSCSI logins (RFC 1994, RFC 7143 §9.2.1, §12.1.3), both roles, one-way and
 * mutual: a state of its own, fed with the keys of one login step at a time.
 *
 * No I/O but in chap_secret_load(). A state belongs to the connection that logs in;
 * secrets and users belong to the configuration and outlive it.
 */
#ifndef CHAP_H
#define CHAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys.h"

/* CHAP_A, as IANA numbers the algorithms of PPP. */
enum chap_algorithm { CHAP_MD5 = 5, CHAP_SHA1 = 6, CHAP_SHA256 = 7, CHAP_SHA3_256 = 8 };

#define CHAP_BIT(algorithm)	(1u << (algorithm))
#define CHAP_ALL \
	(CHAP_BIT(CHAP_MD5) | CHAP_BIT(CHAP_SHA1) | CHAP_BIT(CHAP_SHA256) | CHAP_BIT(CHAP_SHA3_256))

/* "SHA-256"; static text. */
const char *chap_algorithm_name(enum chap_algorithm algorithm);

/* The one of this name, "len" characters, in any case; 0: there is none. */
enum chap_algorithm chap_algorithm_find(const char *name, size_t len);

#define CHAP_SECRET_MAX		255	/* bytes */
#define CHAP_SECRET_ADVISED	12	/* 96 bits, RFC 7143 §9.2.1 */

struct chap_secret {
	size_t	len;		/* 0 = none */
	uint8_t bytes[CHAP_SECRET_MAX];
};

/*
 * Read a secret: from a file, or, given as "credential:NAME", from the file of that
 * name in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=). One line of 1 to
 * CHAP_SECRET_MAX bytes; the newline at its end is not part of it. A file that others
 * may read, and a secret of less than CHAP_SECRET_ADVISED bytes, get a warning in the
 * log. False, with a one-line reason that names the file and nothing of what is in it.
 * Blocks: at start, or on a thread that may.
 */
bool chap_secret_load(const char *path, struct chap_secret *secret, char *why, size_t size);

/* Are they the same? The time it takes does not tell how nearly. */
bool chap_secret_same(const struct chap_secret *a, const struct chap_secret *b);

/* Overwrite it; every secret ends with this. */
void chap_secret_wipe(struct chap_secret *secret);

/* One initiator's account, the same at both ends of a connection. */
struct chap_user {
	const char *name;			/* CHAP_N of the initiator: text, whatever it looks like */
	const struct chap_secret *secret;	/* by which the initiator proves to be it */
	/* By which the target proves itself to that initiator; NULL: it need not (initiator), or
	 * cannot (target). */
	const struct chap_secret *mutual_secret;
	const char *mutual_name;		/* CHAP_N of the target; NULL (initiator): any */
};

/*
 * Why an account is not to be used beside all those of this end, users[count], else
 * NULL: a secret that proves initiators must not prove the target. Static text. No
 * exchange goes on with such an account; a configuration says so earlier.
 */
const char *chap_user_refusal(const struct chap_user *user, const struct chap_user *users,
			      unsigned count);

enum chap_result {
	CHAP_MORE,	/* "out" is to be sent, and the peer has to answer */
	CHAP_DONE,	/* the peer has proved itself, where it has to; "out", maybe empty, is the last */
	CHAP_FAILED,	/* see chap.why; a target answers 0201, an initiator hangs up */
};

/* What the peer has to say next. */
enum chap_state {
	CHAP_AWAITS_NOTHING,	/* initiator, at the start */
	CHAP_AWAITS_OFFER,	/* target: CHAP_A */
	CHAP_AWAITS_CHALLENGE,	/* initiator: CHAP_A, CHAP_I, CHAP_C */
	CHAP_AWAITS_RESPONSE,	/* target: CHAP_N, CHAP_R; CHAP_I and CHAP_C if it is to prove itself */
	CHAP_AWAITS_PROOF,	/* initiator that has challenged the target: CHAP_N, CHAP_R */
	CHAP_OVER,
	CHAP_BROKEN,
};

#define CHAP_KEYS		(KEY_CHAP_R - KEY_CHAP_A + 1)
#define CHAP_CHALLENGE_LEN	16
#define CHAP_WHY_LEN		120

struct chap {
	enum chap_state state;
	unsigned algorithms;			/* CHAP_BIT()s that we offer, or accept */
	const struct chap_user *users;		/* initiator: itself */
	unsigned user_count;
	/* Who has logged in; set by CHAP_DONE. */
	const struct chap_user *user;
	enum chap_algorithm algorithm;		/* chosen by the target; 0 before */
	uint8_t	 identifier;			/* of our own challenge */
	uint8_t	 challenge[CHAP_CHALLENGE_LEN];
	const char *value[CHAP_KEYS];		/* of this step, in the caller's text */
	bool	 repeated;			/* ... and a key came twice */
	char	 why[CHAP_WHY_LEN];		/* after CHAP_FAILED: one line, no secrets; it may quote the
						 * peer's text, so it is an argument, never a format */
};

/* "self" is lent until the exchange is over. algorithms: at least one. */
void chap_initiator(struct chap *chap, const struct chap_user *self, unsigned algorithms);

/* users[count] are lent likewise, and so long as chap->user is looked at. */
void chap_target(struct chap *chap, const struct chap_user *users, unsigned count,
		 unsigned algorithms);

/* One of the CHAP keys of a step. The pair's text is lent until chap_step(). */
void chap_take(struct chap *chap, const struct key_pair *pair);

/*
 * The peer's text is whole (initiator: or we begin, with nothing taken): judge it, and
 * append what we say to it. After CHAP_DONE or CHAP_FAILED it may be called again; keys
 * that come then are a failure.
 */
enum chap_result chap_step(struct chap *chap, struct key_text *out);

/* Have we said all that is ours to say? Then a request may ask for the next stage (T bit), and if
 * the state is not CHAP_OVER, the target still has to prove itself before it is entered. */
static inline bool chap_said_all(const struct chap *chap)
{
	return chap->state == CHAP_AWAITS_PROOF || chap->state == CHAP_OVER;
}

#endif
