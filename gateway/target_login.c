/*
 * Login phase (RFC 7143 §6.3, §11.12, §11.13): stages, continuation of long text in
 * both directions, refusals with their status, and the way into full feature phase.
 *
 * Called by target_dispatch.c with every Login Request. What an unknown peer can make us
 * hold is a struct target_login, and what target_guard.c grants of text. A session, and with
 * it all that the initiator can ask for, is made after it has proved who it is.
 */
#include "target_login.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "pool.h"
#include "stream.h"
#include "target_conn.h"
#include "target_session.h"

/* Requests of one login: far more than any initiator needs, text in 8 KiB pieces included. */
#define LOGIN_REQUESTS_MAX	64

static struct pool *pool_of(const struct target_conn *c)
{
	return c->conn.loop->pool;
}

void target_login_free(struct target_conn *c)
{
	if (!c->login)
		return;
	target_pieces_drop_in(&c->login->text, pool_of(c));
	target_pieces_drop_out(&c->login->text, pool_of(c));
	access_drop(c->login->access);
	free(c->login);
	c->login = NULL;
}

static void send_response(struct target_conn *c, struct bhs *b, const char *text, uint32_t len)
{
	const struct target_login *l = c->login;

	b->op = OP_LOGIN_RESPONSE;
	b->isid = l->request.isid;
	b->tsih = l->request.tsih;
	if (b->nsg == STAGE_FULL_FEATURE && c->session)
		b->tsih = c->session->identity.tsih;
	b->itt = l->request.itt;
	b->stat_sn = target_stat_sn(c);
	target_send_copy(c, b, text, len);
}

static void refuse(struct target_conn *c, enum login_status status)
{
	struct bhs b = { .csg = c->login->stage, .status_class = (uint8_t)(status >> 8),
			 .status_detail = (uint8_t)status };
	char address[sizeof("TargetAddress=") + KEY_VALUE_MAX];
	struct key_text text = { .text = address, .room = sizeof(address) };
	char why[CONN_WHY_LEN];

	assert(status != LOGIN_OK);
	if (b.status_class == LOGIN_REDIRECT >> 8)
		keys_put(&text, key_row(KEY_TARGET_ADDRESS)->name, c->login->redirect_to);
	send_response(c, &b, address, (uint32_t)text.len);
	snprintf(why, sizeof(why), "login refused: %04x", (unsigned)status);
	if (target_conn_is_news(c))
		log_info("iSCSI %s: %s", c->peer, why);
	target_conn_finish(c, why);
}

/* Does the initiator want to leave the stage, and may it? (RFC 7143 §6.3) */
static bool may_go_on(const struct target_login *l)
{
	return l->request.final && !l->request.cont
	       && (l->stage != STAGE_SECURITY || target_login_is_proved(l));
}

/*
 * Answer c->login->request with the next piece of text. All of it gone, the stage
 * changes as the initiator asked.
 */
static void respond(struct target_conn *c)
{
	struct target_login *l = c->login;
	struct bhs b = { .csg = l->stage };
	const char *piece;
	uint32_t len;

	b.cont = target_pieces_next(&l->text, KEYS_TEXT_MAX, &piece, &len);
	if (!b.cont && may_go_on(l)) {
		b.final = true;
		b.nsg = l->request.nsg;
		l->stage = b.nsg;
	}
	send_response(c, &b, piece, len);
	if (!b.cont)
		target_pieces_drop_out(&l->text, pool_of(c));
}

/* The last response has been queued. */
static void enter_full_feature(struct target_conn *c)
{
	const struct nexus *nexus = &c->session->nexus;

	respond(c);
	target_login_free(c);
	if (!target_conn_alive(c))
		return;
	target_session_attach(c->session);
	target_conn_established(c);
	target_conn_release(c, HOLD_REINSTATEMENT);
	if (target_conn_is_news(c))
		log_info("iSCSI %s: %s: %s session 0x%04x, connection %u", c->peer,
			 nexus->initiator_name, c->session->discovery ? "discovery" : "normal",
			 c->session->identity.tsih, c->cid);
	if (c->service->shutting_down)
		target_conn_ask_logout(c, "shutting down");
}

void target_login_reinstated(struct target_conn *c)
{
	if (c->phase == PHASE_REINSTATEMENT && target_conn_alive(c))
		enter_full_feature(c);
}

/*
 * The rules may have changed since the login began. If they have another answer now, the
 * initiator learns it when it tries again.
 */
static enum login_status judge_again(struct target_conn *c)
{
	struct target_login *l = c->login;
	struct target_login_result *r = &l->result;
	enum login_status status;

	r->user = l->proving ? l->chap.user : NULL;
	status = target_place_find(c->service->access, c->group, &r->nexus, r->discovery,
				   c->conn.stream->fd, &r->place, &l->redirect_to);
	if (status || !access_admits_user(r->place.auth, r->user))
		return LOGIN_SERVICE_UNAVAILABLE;
	return LOGIN_OK;
}

/* A leading connection: it makes the session. */
static enum login_status lead(struct target_conn *c)
{
	const struct target_login *l = c->login;

	c->session = target_session_new(c, &l->result);
	if (!c->session)
		return LOGIN_OUT_OF_RESOURCES;
	c->session->params = c->params = l->negotiation.result;
	return LOGIN_OK;
}

/* The initiator asks for full feature phase and all is agreed: find the session, or make it. */
static void conclude(struct target_conn *c)
{
	struct target_login *l = c->login;
	enum login_status status = judge_again(c);

	if (!status && !negotiation_finish(&l->negotiation)) {
		log_trace(iscsi_debug_login, "iSCSI %s: %s makes no sense", c->peer,
			  l->negotiation.bad_key);
		status = LOGIN_INITIATOR_ERROR;
	}
	if (!status && l->request.tsih)
		status = target_join(c, l->request.tsih, &l->result, &l->negotiation.result);
	else if (!status)
		status = lead(c);
	if (status) {
		refuse(c, status);
		return;
	}
	/* RFC 7143 §6.3.5: first the old session dies, which may be another worker's. Whoever joins
	 * finds that done, though tasks of the old one may still be under way. */
	if (!l->request.tsih && c->session->reinstatement.pending) {
		c->phase = PHASE_REINSTATEMENT;
		target_conn_hold(c, HOLD_REINSTATEMENT);
	} else {
		enter_full_feature(c);
	}
}

/* RFC 7143 §11.12: stages and flags that do not go together. */
static bool flags_make_sense(const struct bhs *b)
{
	if (b->csg != STAGE_SECURITY && b->csg != STAGE_OPERATIONAL)
		return false;
	if (!b->final)
		return true;
	return !b->cont && b->nsg > b->csg && b->nsg != STAGE_RESERVED;
}

static enum login_status first_request(struct target_conn *c, const struct bhs *b)
{
	struct target_login *l = c->login;

	l->stage = b->csg;
	for (int i = 0; i < 6; i++)
		l->result.nexus.isid[i] = (uint8_t)(b->isid >> (40 - 8 * i));
	l->access = access_hold(c->service->access);
	l->result.nexus.tpgt = c->group;
	l->result.cmd_sn = b->cmd_sn;
	c->cid = b->cid;
	c->login_cmd_sn = b->cmd_sn;
	c->stat_sn = b->exp_stat_sn;
	l->ours = c->service->conf->params;
	negotiation_init(&l->negotiation, false, &l->ours);
	if (b->tsih)
		target_join_params(c->service, b->tsih, &l->ours, &l->negotiation);
	return b->version_min > 0 ? LOGIN_UNSUPPORTED_VERSION : LOGIN_OK;
}

/* Does it continue what the requests before it began? (RFC 7143 §11.12.5 to §11.12.8) */
static bool continues(const struct target_conn *c, const struct bhs *b)
{
	const struct bhs *last = &c->login->request;

	return b->itt == last->itt && b->isid == last->isid && b->tsih == last->tsih
	       && b->cid == last->cid && b->csg == c->login->stage;
}

static enum login_status check_request(struct target_conn *c, const struct bhs *b, bool first)
{
	struct target_login *l = c->login;
	enum login_status status = first ? first_request(c, b) : LOGIN_OK;

	if (status)
		return status;
	if (!flags_make_sense(b) || (!first && !continues(c, b)))
		return LOGIN_INITIATOR_ERROR;
	if (++l->requests > LOGIN_REQUESTS_MAX)
		return LOGIN_INITIATOR_ERROR;
	/* While our text goes out in pieces, the initiator only says "go on" (RFC 7143 §6.2). */
	if (l->text.out.len && (b->data_len || b->cont))
		return LOGIN_INITIATOR_ERROR;
	return c->service->shutting_down ? LOGIN_SERVICE_UNAVAILABLE : LOGIN_OK;
}

/* The text of a negotiation step is complete: find the answers. */
static enum login_status take_text(struct target_conn *c, const char *text, size_t len)
{
	struct target_login *l = c->login;
	const struct key_text *out = &l->text.out;
	enum login_status status;

	if (!target_pieces_begin_out(&l->text, pool_of(c), TARGET_TEXT_MAX))
		return LOGIN_OUT_OF_RESOURCES;
	status = target_login_take(c, text, len);
	/* What does not go out at once is held. */
	if (!status && (out->overflow || (out->len > KEYS_TEXT_MAX &&
					  !target_guard_text(c, out->len))))
		status = LOGIN_OUT_OF_RESOURCES;
	return status;
}

static void answer_request(struct target_conn *c)
{
	const struct target_login *l = c->login;

	/* With more than one piece left to send, the way on opens with the last. */
	if (may_go_on(l) && l->request.nsg == STAGE_FULL_FEATURE
	    && l->text.out.len - l->text.out_sent <= KEYS_TEXT_MAX)
		conclude(c);
	else
		respond(c);
}

static enum login_status take_request(struct target_conn *c, const struct target_pdu *pdu)
{
	struct target_login *l = c->login;
	const struct bhs *b = &pdu->bhs;
	enum login_status status;

	if (l->text.out.len)
		return LOGIN_OK;	/* the next piece of what is already known */
	if (b->cont || l->text.in) {
		if (!target_guard_text(c, TARGET_TEXT_MAX) ||
		    !target_pieces_gather(&l->text, pool_of(c), pdu->data, b->data_len))
			return LOGIN_OUT_OF_RESOURCES;
		if (b->cont)
			return LOGIN_OK;
		status = take_text(c, l->text.in, l->text.in_len);
		target_pieces_drop_in(&l->text, pool_of(c));
		return status;
	}
	return take_text(c, pdu->data ? (const char *)pdu->data : "", b->data_len);
}

void target_login_request(struct target_conn *c, struct target_pdu *pdu)
{
	bool first = !c->login;
	enum login_status status;

	if (first)
		c->login = calloc(1, sizeof(*c->login));
	if (!c->login) {
		conn_fail(&c->conn, "no memory for a login");
		target_pdu_drop(pdu);
		return;
	}
	status = check_request(c, &pdu->bhs, first);
	c->login->request = pdu->bhs;
	if (!status)
		status = take_request(c, pdu);
	target_pdu_drop(pdu);
	if (status)
		refuse(c, status);
	else
		answer_request(c);
}
