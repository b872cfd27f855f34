/*
 * The security stage of the initiator's login (RFC 7143 §6.3.2, §12.1): who we are and
 * where we want to go, AuthMethod, and the CHAP exchange, of which chap.c is the judge.
 *
 * Called by the login. The account is the configuration's.
 */
#include <string.h>

#include "initiator_private.h"

/* The target has to prove itself, too: then there is no going in without CHAP. */
static bool is_mutual(const struct initiator *ini)
{
	return ini->conf.chap && ini->conf.chap->mutual_secret;
}

static const char *methods(const struct initiator *ini)
{
	if (!ini->conf.chap)
		return "None";
	return is_mutual(ini) ? "CHAP" : "CHAP,None";
}

/* RFC 7143 §6.3.1: the first request says all this. */
void auth_offer(struct initiator *ini)
{
	struct key_text *out = &ini->login.out;

	if (ini->conf.chap)
		chap_initiator(&ini->login.chap, ini->conf.chap, ini->chap_algorithms);
	keys_put(out, key_row(KEY_INITIATOR_NAME)->name, ini->conf.initiator_name);
	keys_put(out, key_row(KEY_SESSION_TYPE)->name, ini->discovery ? "Discovery" : "Normal");
	if (!ini->discovery)
		keys_put(out, key_row(KEY_TARGET_NAME)->name, ini->url.target);
	keys_put(out, key_row(KEY_AUTH_METHOD)->name, methods(ini));
}

static void take_method(struct initiator *ini, const struct key_pair *pair)
{
	struct login *login = &ini->login;

	if (login->auth != AUTH_UNDECIDED)
		conn_fail(&ini->conn, "login: AuthMethod a second time");
	else if (strcmp(pair->value, "CHAP") == 0 && ini->conf.chap)
		login->auth = AUTH_CHAP;
	else if (strcmp(pair->value, "None") == 0 && !is_mutual(ini))
		login->auth = AUTH_NONE;
	else if (!ini->conf.chap)
		conn_fail(&ini->conn, "login: the target asks for authentication (AuthMethod=%.32s), "
			  "and no CHAP user is configured", pair->value);
	else
		conn_fail(&ini->conn, "login: the target does not take part in CHAP "
			  "(AuthMethod=%.32s)", pair->value);
}

void auth_take(struct initiator *ini, const struct key_pair *pair)
{
	if (pair->id == KEY_AUTH_METHOD)
		take_method(ini, pair);
	else if (ini->login.auth == AUTH_CHAP && ini->login.csg == 0)
		chap_take(&ini->login.chap, pair);
	else
		conn_fail(&ini->conn, "login: %s without AuthMethod=CHAP", key_row(pair->id)->name);
}

static bool chap_on(struct initiator *ini, bool transit)
{
	struct chap *chap = &ini->login.chap;

	if (chap_step(chap, &ini->login.out) == CHAP_FAILED)
		conn_fail(&ini->conn, "login: CHAP: %s", chap->why);
	else if (transit && chap->state != CHAP_OVER)
		conn_fail(&ini->conn, "login: the target ends the authentication before its time");
	else
		return true;
	return false;
}

bool auth_step(struct initiator *ini, bool transit)
{
	if (ini->login.auth == AUTH_CHAP)
		return chap_on(ini, transit);
	/* Targets that want no authentication need not say so: RFC 7143 §6.3.2. */
	if (ini->login.auth == AUTH_NONE || !is_mutual(ini))
		return true;
	conn_fail(&ini->conn, "login: the target does not prove itself (it says nothing of AuthMethod)");
	return false;
}

/* Before the target has chosen CHAP it is not asked to leave the stage in which that is done. */
bool auth_may_transit(const struct initiator *ini)
{
	const struct login *login = &ini->login;

	if (login->auth == AUTH_CHAP)
		return chap_said_all(&login->chap);
	return login->auth == AUTH_NONE || !ini->conf.chap || login->rounds > 0;
}

/*
 * tgt has SHA1 at the number of SHA-256: it chooses 7, and then no response is right. So
 * once more, by the algorithm on whose number all agree; if that fails as well, the secret
 * is wrong, and the next login begins with all of them again.
 */
static bool try_md5(struct initiator *ini)
{
	bool better = ini->login.auth == AUTH_CHAP && ini->login.chap.algorithm == CHAP_SHA256
		      && ini->chap_algorithms == ini->conf.chap_algorithms
		      && ini->chap_algorithms & CHAP_BIT(CHAP_MD5);

	ini->chap_algorithms = better ? CHAP_BIT(CHAP_MD5) : ini->conf.chap_algorithms;
	return better;
}

bool auth_is_refusal(const struct initiator *ini, const struct bhs *bhs)
{
	/* tgt says 0200 to algorithms that it does not know, and to a response that is not right. */
	return bhs->status_class == 2
	       && (bhs->status_detail == 1
		   || (bhs->status_detail == 0 && ini->login.auth == AUTH_CHAP
		       && ini->login.csg == 0));
}

void auth_refused(struct initiator *ini, const struct bhs *bhs)
{
	const struct chap *chap = &ini->login.chap;
	const char *text = login_status_text(bhs->status_class, bhs->status_detail);

	ini->login.again = try_md5(ini);
	if (!ini->conf.chap)
		conn_fail(&ini->conn, "login refused: %s; no CHAP user is configured", text);
	else if (ini->login.auth == AUTH_CHAP && chap->algorithm)
		conn_fail(&ini->conn, "login refused: %s of user \"%.64s\" by CHAP with %s", text,
			  ini->conf.chap->name, chap_algorithm_name(chap->algorithm));
	else if (ini->login.auth == AUTH_CHAP)
		conn_fail(&ini->conn, "login refused: %s, when we offered our algorithms of CHAP", text);
	else
		conn_fail(&ini->conn, "login refused: %s, when we offered CHAP", text);
}
