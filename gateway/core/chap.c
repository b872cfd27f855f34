/*
 * The CHAP exchange (RFC 7143 §12.1.3, RFC 1994 §4.1), both roles. Which role a state
 * plays is in what it awaits; each of the four texts of an exchange has one function
 * that judges it and writes the next one:
 *
 *	initiator	offer()		CHAP_A=8,7,6,5
 *	target		challenge()	CHAP_A=7 CHAP_I=… CHAP_C=…
 *	initiator	respond()	CHAP_N=… CHAP_R=… [CHAP_I=… CHAP_C=…]
 *	target		admit()		[CHAP_N=… CHAP_R=…]
 *	initiator	trust()
 *
 * Called by the login of both roles, with the keys of one whole step. Secrets are read
 * here and in chap_algorithm.c only; they enter a digest, and no text.
 */
#include <assert.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chap_private.h"

#define BINARY_MAX	1024	/* bytes of a CHAP_C, RFC 7143 §12.1.3 */

/* A set of keys, each by its letter. */
#define KEY_BIT(id)	(1u << ((id) - KEY_CHAP_A))
#define A	KEY_BIT(KEY_CHAP_A)
#define I	KEY_BIT(KEY_CHAP_I)
#define C	KEY_BIT(KEY_CHAP_C)
#define N	KEY_BIT(KEY_CHAP_N)
#define R	KEY_BIT(KEY_CHAP_R)

const char *chap_user_refusal(const struct chap_user *user, const struct chap_user *users,
			      unsigned count)
{
	if (!*user->name)
		return "the name is empty";
	/* RFC 7143 §9.2.1: else we could be made to answer a challenge that is meant for another. */
	for (unsigned i = 0; i < count && user->mutual_secret; i++)
		if (chap_secret_same(users[i].secret, user->mutual_secret))
			return "the same secret is used in both directions";
	return NULL;
}

void chap_initiator(struct chap *chap, const struct chap_user *self, unsigned algorithms)
{
	assert(algorithms && !(algorithms & ~CHAP_ALL));
	memset(chap, 0, sizeof(*chap));
	chap->state = CHAP_AWAITS_NOTHING;
	chap->algorithms = algorithms;
	chap->users = self;
	chap->user_count = 1;
}

void chap_target(struct chap *chap, const struct chap_user *users, unsigned count,
		 unsigned algorithms)
{
	assert(algorithms && !(algorithms & ~CHAP_ALL));
	memset(chap, 0, sizeof(*chap));
	chap->state = CHAP_AWAITS_OFFER;
	chap->algorithms = algorithms;
	chap->users = users;
	chap->user_count = count;
}

void chap_take(struct chap *chap, const struct key_pair *pair)
{
	const char **value = &chap->value[pair->id - KEY_CHAP_A];

	assert(pair->id >= KEY_CHAP_A && pair->id <= KEY_CHAP_R);
	chap->repeated |= *value != NULL;
	*value = pair->value;
}

static const char *value_of(const struct chap *chap, enum key_id id)
{
	return chap->value[id - KEY_CHAP_A];
}

static enum chap_result fail(struct chap *chap, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static enum chap_result fail(struct chap *chap, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(chap->why, sizeof(chap->why), fmt, args);
	va_end(args);
	chap->user = NULL;
	chap->state = CHAP_BROKEN;
	return CHAP_FAILED;
}

static enum chap_result succeed(struct chap *chap, const struct chap_user *user)
{
	chap->user = user;
	chap->state = CHAP_OVER;
	return CHAP_DONE;
}

/* Were all of these keys taken, once each, and no others? */
static bool has_keys(struct chap *chap, unsigned wanted)
{
	for (unsigned i = 0; i < CHAP_KEYS; i++) {
		const char *name = key_row((enum key_id)(KEY_CHAP_A + i))->name;

		if (wanted & 1u << i && !chap->value[i])
			fail(chap, "%s is missing", name);
		else if (chap->value[i] && !(wanted & 1u << i))
			fail(chap, "%s is out of turn", name);
		else
			continue;
		return false;
	}
	if (chap->repeated)
		fail(chap, "a key came twice");
	return !chap->repeated;
}

/* A challenge of our own: CHAP_I and CHAP_C. */
static bool put_challenge(struct chap *chap, struct key_text *out)
{
	/* RFC 1994 §4.1: unique and unpredictable, also from one start to the next. */
	if (gnutls_rnd(GNUTLS_RND_RANDOM, chap->challenge, sizeof(chap->challenge)) < 0
	    || gnutls_rnd(GNUTLS_RND_NONCE, &chap->identifier, 1) < 0) {
		fail(chap, "no random numbers for a challenge");
		return false;
	}
	keys_put_number(out, KEY_CHAP_I, chap->identifier);
	keys_put_binary(out, KEY_CHAP_C, chap->challenge, sizeof(chap->challenge));
	return true;
}

/* Answer the peer's CHAP_I and CHAP_C: CHAP_N and CHAP_R. */
static bool put_response(struct chap *chap, const char *name, const struct chap_secret *secret,
			 struct key_text *out)
{
	uint8_t challenge[BINARY_MAX], response[CHAP_RESPONSE_MAX];
	int len = keys_binary(value_of(chap, KEY_CHAP_C), challenge, sizeof(challenge));
	uint32_t identifier;

	if (!keys_number(value_of(chap, KEY_CHAP_I), &identifier) || identifier > UINT8_MAX)
		fail(chap, "CHAP_I is no number from 0 to 255");
	else if (len < 0)
		fail(chap, "CHAP_C is malformed, or longer than %d bytes", BINARY_MAX);
	/* RFC 7143 §9.2.1: whoever sends our own challenge back wants us to answer it for him. */
	else if (len == CHAP_CHALLENGE_LEN && memcmp(challenge, chap->challenge, CHAP_CHALLENGE_LEN) == 0)
		fail(chap, "CHAP_C is our own challenge");
	else if (!chap_response(chap->algorithm, (uint8_t)identifier, secret, challenge, (size_t)len,
				response))
		fail(chap, "%s is not available here", chap_algorithm_name(chap->algorithm));
	if (chap->state == CHAP_BROKEN)
		return false;
	keys_put(out, key_row(KEY_CHAP_N)->name, name);
	keys_put_binary(out, KEY_CHAP_R, response, chap_response_len(chap->algorithm));
	return true;
}

/* Does CHAP_R answer our challenge? The time it takes does not tell how nearly. */
static bool proves(struct chap *chap, const struct chap_secret *secret)
{
	const char *name = chap_algorithm_name(chap->algorithm);
	size_t wanted = chap_response_len(chap->algorithm);
	uint8_t response[CHAP_RESPONSE_MAX], expected[CHAP_RESPONSE_MAX];
	int len = keys_binary(value_of(chap, KEY_CHAP_R), response, sizeof(response));

	if (len < 0 || (size_t)len != wanted)
		fail(chap, "CHAP_R is not a response of %s, %zu bytes", name, wanted);
	else if (!chap_response(chap->algorithm, chap->identifier, secret, chap->challenge,
				sizeof(chap->challenge), expected))
		fail(chap, "%s is not available here", name);
	else
		return gnutls_memcmp(response, expected, wanted) == 0;
	return false;
}

/* The initiator begins: all that it can. */
static enum chap_result offer(struct chap *chap, struct key_text *out)
{
	const char *refusal = chap_user_refusal(chap->users, chap->users, chap->user_count);
	char list[CHAP_LIST_LEN];

	if (refusal)
		return fail(chap, "%s", refusal);
	chap_algorithm_list(chap->algorithms, list);
	keys_put(out, key_row(KEY_CHAP_A)->name, list);
	chap->state = CHAP_AWAITS_CHALLENGE;
	return CHAP_MORE;
}

/* The target, to an offer. */
static enum chap_result challenge(struct chap *chap, struct key_text *out)
{
	if (!has_keys(chap, A))
		return CHAP_FAILED;
	chap->algorithm = chap_algorithm_choose(value_of(chap, KEY_CHAP_A), chap->algorithms);
	if (!chap->algorithm)
		return fail(chap, "no algorithm in common, CHAP_A=%.32s", value_of(chap, KEY_CHAP_A));
	keys_put_number(out, KEY_CHAP_A, chap->algorithm);
	if (!put_challenge(chap, out))
		return CHAP_FAILED;
	chap->state = CHAP_AWAITS_RESPONSE;
	return CHAP_MORE;
}

/* The initiator, to a challenge. */
static enum chap_result respond(struct chap *chap, struct key_text *out)
{
	const struct chap_user *self = chap->users;
	const char *a = value_of(chap, KEY_CHAP_A);

	if (!has_keys(chap, A | I | C))
		return CHAP_FAILED;
	chap->algorithm = chap_algorithm_parse(a, strlen(a));
	if (!chap->algorithm || !(chap->algorithms & CHAP_BIT(chap->algorithm)))
		return fail(chap, "CHAP_A=%.32s was not offered", a);
	if (!put_response(chap, self->name, self->secret, out))
		return CHAP_FAILED;
	if (!self->mutual_secret)
		return succeed(chap, self);
	if (!put_challenge(chap, out))
		return CHAP_FAILED;
	chap->state = CHAP_AWAITS_PROOF;
	return CHAP_MORE;
}

static const struct chap_user *find_user(const struct chap *chap, const char *name)
{
	for (unsigned i = 0; i < chap->user_count; i++)
		if (strcmp(chap->users[i].name, name) == 0)
			return &chap->users[i];
	return NULL;
}

/* The target, to a response: who is it, and is it true? */
static enum chap_result admit(struct chap *chap, struct key_text *out)
{
	/* Nobody's, with which a name that is not known takes as long to refuse as a wrong secret. */
	static const struct chap_secret nobody = { .len = CHAP_CHALLENGE_LEN };
	const char *name = value_of(chap, KEY_CHAP_N);
	bool mutual = value_of(chap, KEY_CHAP_I) || value_of(chap, KEY_CHAP_C);
	const struct chap_user *user;
	const char *refusal;
	bool proved;

	if (!has_keys(chap, N | R | (mutual ? I | C : 0)))
		return CHAP_FAILED;
	user = find_user(chap, name);
	proved = proves(chap, user ? user->secret : &nobody);
	if (chap->state == CHAP_BROKEN)
		return CHAP_FAILED;
	if (!user)
		return fail(chap, "no user \"%.64s\"", name);
	if (!proved)
		return fail(chap, "wrong secret of user \"%.64s\"", name);
	refusal = chap_user_refusal(user, chap->users, chap->user_count);
	if (refusal)
		return fail(chap, "user \"%.64s\": %s", name, refusal);
	if (mutual && !user->mutual_secret)
		return fail(chap, "user \"%.64s\" wants a proof, and there is no secret for it", name);
	if (mutual && !put_response(chap, user->mutual_name, user->mutual_secret, out))
		return CHAP_FAILED;
	return succeed(chap, user);
}

/* The initiator, to the target's response. That it is not what we should have answered to our
 * own challenge (RFC 7143 §9.2.1) is certain, as the secrets differ. */
static enum chap_result trust(struct chap *chap)
{
	const struct chap_user *self = chap->users;
	const char *name = value_of(chap, KEY_CHAP_N);

	if (!has_keys(chap, N | R))
		return CHAP_FAILED;
	if (!proves(chap, self->mutual_secret))
		return chap->state == CHAP_BROKEN
		       ? CHAP_FAILED : fail(chap, "the target does not know the secret of its own");
	if (self->mutual_name && strcmp(self->mutual_name, name) != 0)
		return fail(chap, "the target calls itself \"%.64s\"", name);
	return succeed(chap, self);
}

static enum chap_result step(struct chap *chap, struct key_text *out)
{
	switch (chap->state) {
	case CHAP_AWAITS_NOTHING:
		return has_keys(chap, 0) ? offer(chap, out) : CHAP_FAILED;
	case CHAP_AWAITS_OFFER:
		return challenge(chap, out);
	case CHAP_AWAITS_CHALLENGE:
		return respond(chap, out);
	case CHAP_AWAITS_RESPONSE:
		return admit(chap, out);
	case CHAP_AWAITS_PROOF:
		return trust(chap);
	case CHAP_OVER:
		return has_keys(chap, 0) ? CHAP_DONE : CHAP_FAILED;
	case CHAP_BROKEN:
		break;
	}
	return CHAP_FAILED;
}

enum chap_result chap_step(struct chap *chap, struct key_text *out)
{
	enum chap_result result = step(chap, out);

	memset(chap->value, 0, sizeof(chap->value));
	chap->repeated = false;
	assert((result == CHAP_FAILED) == (chap->state == CHAP_BROKEN));
	assert((result == CHAP_DONE) == (chap->user != NULL));
	return result;
}
