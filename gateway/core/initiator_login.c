/*
 * The initiator's login (RFC 7143 §6.3, §11.12, §11.13): the security stage, then the
 * operational one, one request and one response at a time, until full feature phase.
 *
 * Called with a connected socket. What a stage says is in its own pair of functions
 * (*_offer, *_take; the security stage's are in initiator_auth.c); the exchange around
 * them knows of text, C and T bits only.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "initiator_private.h"
#include "stream.h"

#define MAX_ROUNDS	32	/* of requests in one login: a target that wants more never ends */
#define MAX_REDIRECTS	8

enum login_stage { STAGE_SECURITY = 0, STAGE_OPERATIONAL = 1, STAGE_FULL_FEATURE = 3 };

/* RFC 7143 §11.13.5 */
static const struct {
	uint8_t class, detail;
	const char *text;
} statuses[] = {
	{ 0, 0x00, "0000 success" },
	{ 1, 0x01, "0101 target moved temporarily" },
	{ 1, 0x02, "0102 target moved permanently" },
	{ 2, 0x00, "0200 initiator error" },
	{ 2, 0x01, "0201 authentication failure" },
	{ 2, 0x02, "0202 authorization failure" },
	{ 2, 0x03, "0203 target not found" },
	{ 2, 0x04, "0204 target removed" },
	{ 2, 0x05, "0205 unsupported version" },
	{ 2, 0x06, "0206 too many connections" },
	{ 2, 0x07, "0207 missing parameter" },
	{ 2, 0x08, "0208 cannot include in session" },
	{ 2, 0x09, "0209 session type not supported" },
	{ 2, 0x0a, "020a session does not exist" },
	{ 2, 0x0b, "020b invalid request during login" },
	{ 3, 0x00, "0300 target error" },
	{ 3, 0x01, "0301 service unavailable" },
	{ 3, 0x02, "0302 out of resources" },
};

const char *login_status_text(uint8_t status_class, uint8_t status_detail)
{
	static const char *const of_class[] = {
		"00xx success of an unknown kind", "01xx redirection of an unknown kind",
		"02xx initiator error of an unknown kind", "03xx target error of an unknown kind",
	};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].class == status_class && statuses[i].detail == status_detail)
			return statuses[i].text;
	return status_class < 4 ? of_class[status_class] : "unknown status class";
}

void login_release(struct initiator *ini)
{
	struct pool *pool = ini->lu.loop->pool;

	pool_put(pool, ini->login.in, LOGIN_TEXT_MAX);
	pool_put(pool, ini->login.out.text, LOGIN_TEXT_MAX);
	ini->login.in = ini->login.out.text = NULL;
}

static void login_init(struct initiator *ini)
{
	struct login *login = &ini->login;
	unsigned redirects = login->redirects;

	memset(login, 0, sizeof(*login));
	login->redirects = redirects;
	login->in = pool_get(ini->lu.loop->pool, LOGIN_TEXT_MAX);
	login->out.text = pool_get(ini->lu.loop->pool, LOGIN_TEXT_MAX);
	login->out.room = LOGIN_TEXT_MAX;
	login->itt = TAG(TAG_OTHER, ++ini->generation, OTHER_LOGIN);
	negotiation_init(&login->negotiation, true, &ini->conf.params);
	keys_defaults(&ini->params);	/* no digests, 8192 bytes: until full feature phase */
}

static uint64_t isid_number(const uint8_t isid[6])
{
	uint64_t n = 0;

	for (int i = 0; i < 6; i++)
		n = n << 8 | isid[i];
	return n;
}

/* Send what is left of the text, a PDU full at most; with the end of it ask for the next stage. */
static void send_request(struct initiator *ini, bool transit)
{
	struct login *login = &ini->login;
	size_t left = login->out.len - login->out_sent;
	bool more = left > KEYS_TEXT_MAX;
	struct bhs bhs = {
		.op = OP_LOGIN_REQUEST, .immediate = true, .final = transit && !more, .cont = more,
		.csg = login->csg, .isid = isid_number(ini->conf.isid), .itt = login->itt,
		.cmd_sn = ini->cmd_sn, .exp_stat_sn = ini->exp_stat_sn,
		.data_len = more ? KEYS_TEXT_MAX : (uint32_t)left,
	};

	if (login->out.overflow || ++login->rounds > MAX_ROUNDS) {
		conn_fail(&ini->conn, "login: the target never comes to an end");
		return;
	}
	if (bhs.final)
		bhs.nsg = login->csg == STAGE_SECURITY ? STAGE_OPERATIONAL : STAGE_FULL_FEATURE;
	login->transit = bhs.final;
	pdu_send(ini, &bhs, NULL, login->out.text + login->out_sent, NULL);
	login->out_sent += bhs.data_len;
}

static void operational_offer(struct initiator *ini)
{
	negotiation_declare(&ini->login.negotiation, &ini->login.out);
	negotiation_offer(&ini->login.negotiation, &ini->login.out);
}

static void operational_take(struct initiator *ini, const struct key_pair *pair)
{
	struct negotiation *n = &ini->login.negotiation;

	switch (negotiation_take(n, pair, &ini->login.out)) {
	case NEGOTIATED:
		return;
	case NEGOTIATION_REJECTED:
	case NEGOTIATION_BROKEN:
		conn_fail(&ini->conn, "login: %s=%.64s is no valid answer", n->bad_key, pair->value);
		return;
	}
}

static bool is_operational(enum key_id id)
{
	return id < KEY_NEGOTIATED || id == KEY_OF_MARK_INT || id == KEY_IF_MARK_INT
	       || id == KEY_NOT_UNDERSTOOD;
}

static void take_pair(struct initiator *ini, const struct key_pair *pair)
{
	/* A challenge and its response are all that is needed to guess a secret at leisure. */
	bool hide = pair->id == KEY_CHAP_C || pair->id == KEY_CHAP_R;

	log_trace(iscsi_debug_login, "%s: target says %.*s=%s", ini->url.target,
		  (int)pair->name_len, pair->name, hide ? "..." : pair->value);
	if (is_operational(pair->id))
		operational_take(ini, pair);
	else if (pair->id == KEY_AUTH_METHOD || (pair->id >= KEY_CHAP_A && pair->id <= KEY_CHAP_R))
		auth_take(ini, pair);
	else if (pair->id == KEY_INITIATOR_NAME || pair->id == KEY_SESSION_TYPE
		 || pair->id == KEY_SEND_TARGETS)
		conn_fail(&ini->conn, "login: %s is not the target's to say",
			  key_row(pair->id)->name);
	/* Aliases, addresses, the portal group: good to know, and nothing depends on them. */
}

/* All that the target has said, once it is whole. */
static void take_text(struct initiator *ini)
{
	struct login *login = &ini->login;
	struct key_pair pair;
	const char *why;
	size_t at = 0;
	int more;

	while ((more = keys_next(login->in, login->in_len, &at, &pair, &why)) > 0)
		take_pair(ini, &pair);
	if (more < 0)
		conn_fail(&ini->conn, "login: %s", why);
	login->in_len = 0;
}

/* The address is in the response that refuses us (RFC 7143 §11.13.5). */
static void redirect(struct initiator *ini, bool permanent)
{
	struct login *login = &ini->login;
	struct key_pair pair;
	const char *why;
	size_t at = 0;

	if (++login->redirects > MAX_REDIRECTS) {
		conn_fail(&ini->conn, "login: redirected more than %d times", MAX_REDIRECTS);
		return;
	}
	while (keys_next(login->in, login->in_len, &at, &pair, &why) > 0)
		if (pair.id == KEY_TARGET_ADDRESS) {
			login->again = connect_redirect(ini, pair.value, permanent);
			conn_fail(&ini->conn, "login: redirected to %s\"%.100s\"",
				  login->again ? "" : "the malformed address ", pair.value);
			return;
		}
	conn_fail(&ini->conn, "login: redirected to no address");
}

static void refused(struct initiator *ini, const struct bhs *bhs)
{
	if (bhs->status_class == 1)
		redirect(ini, bhs->status_detail == 2);
	else if (auth_is_refusal(ini, bhs))
		auth_refused(ini, bhs);
	else
		conn_fail(&ini->conn, "login refused: %s",
			  login_status_text(bhs->status_class, bhs->status_detail));
}

static void full_feature(struct initiator *ini, const struct bhs *bhs)
{
	struct negotiation *n = &ini->login.negotiation;

	if (!negotiation_finish(n)) {
		conn_fail(&ini->conn, "login: the target's %s is inconsistent", n->bad_key);
		return;
	}
	ini->params = n->result;
	ini->exp_cmd_sn = bhs->exp_cmd_sn;
	ini->max_cmd_sn = bhs->max_cmd_sn;
	ini->login.redirects = 0;
	login_release(ini);
	ev_timer_stop(ini->lu.loop->ev, &ini->phase);
	session_begin(ini);
}

static bool may_transit(const struct initiator *ini)
{
	return ini->login.csg != STAGE_SECURITY || auth_may_transit(ini);
}

/* The response is whole and so is what we had to say: on with the login. */
static void next_step(struct initiator *ini, const struct bhs *bhs)
{
	struct login *login = &ini->login;

	login->out.len = login->out_sent = 0;
	take_text(ini);
	if (ini->conn.dead)
		return;
	if (login->csg == STAGE_SECURITY && !auth_step(ini, bhs->final))
		return;
	if (bhs->final && bhs->nsg == STAGE_FULL_FEATURE) {
		full_feature(ini, bhs);
		return;
	}
	if (bhs->final) {
		login->csg = STAGE_OPERATIONAL;
		operational_offer(ini);
	}
	send_request(ini, may_transit(ini));
}

/* NULL, or what is wrong with the response whatever its text may say. */
static const char *malformed(const struct initiator *ini, const struct bhs *bhs)
{
	const struct login *login = &ini->login;
	unsigned next = login->csg == STAGE_SECURITY ? STAGE_OPERATIONAL : STAGE_FULL_FEATURE;

	if (bhs->itt != login->itt)
		return "a response to no request of ours (RFC 7143 §11.2.1.8)";
	if (login->in_len + bhs->data_len > LOGIN_TEXT_MAX)
		return "too much text";
	if (bhs->status_class)
		return NULL;	/* it need not say more */
	if (bhs->version_active != 0)
		return "a protocol version other than 0 (RFC 7143 §11.13.2)";
	if (bhs->csg != login->csg)
		return "a response for another stage (RFC 7143 §11.13.3)";
	if (bhs->final && bhs->cont)
		return "both T and C bit (RFC 7143 §11.13.4)";
	if (bhs->final && (bhs->nsg != next || !login->transit))
		return "a transit that we did not ask for (RFC 7143 §11.13.3)";
	return NULL;
}

void login_response(struct initiator *ini, const struct bhs *bhs, const uint8_t *text)
{
	struct login *login = &ini->login;
	const char *wrong = malformed(ini, bhs);

	if (wrong) {
		conn_fail(&ini->conn, "login: %s", wrong);
		return;
	}
	ini->exp_stat_sn = bhs->stat_sn + 1;
	if (bhs->data_len)
		memcpy(login->in + login->in_len, text, bhs->data_len);
	login->in_len += bhs->data_len;
	if (bhs->status_class)
		refused(ini, bhs);
	else if (bhs->cont)
		send_request(ini, false);	/* empty: say the rest (RFC 7143 §6.2) */
	else if (login->out_sent < login->out.len)
		send_request(ini, may_transit(ini));	/* the rest of ours */
	else
		next_step(ini, bhs);
}

void login_start(struct initiator *ini, int fd)
{
	struct stream *stream = stream_socket(fd);

	assert(!ini->connected && ini->state == INITIATOR_DOWN);
	if (!stream) {
		close(fd);
		recover_attempt_failed(ini, strerror(errno));
		return;
	}
	conn_init(&ini->conn, ini->lu.loop, stream, &initiator_conn_ops);
	ini->connected = true;
	ini->state = INITIATOR_LOGIN;
	ini->cmd_sn = 1;
	ini->exp_stat_sn = 0;
	rx_reset(ini);
	login_init(ini);
	if (!ini->login.in || !ini->login.out.text) {
		conn_fail(&ini->conn, "no memory for the login");
		return;
	}
	auth_offer(ini);
	send_request(ini, auth_may_transit(ini));
}
