/*
 * A session in full feature phase: its sequence numbers and command window, the
 * keepalive, logout, and what the target says unasked (RFC 7143 §4.2.2, §11.9,
 * §11.14 to §11.19).
 *
 * Called by the login when it has succeeded, by the receive side, and by whoever
 * makes room in the window.
 */
#include <assert.h>

#include "initiator_private.h"

#define LOGOUT_TIMEOUT	3.0	/* seconds: whoever closes is waiting for it */

/* Reasons of a Reject, RFC 7143 §11.17.1 */
#define REJECT_DATA_DIGEST	0x02
/* Reasons of a Logout, RFC 7143 §11.14.1 */
#define LOGOUT_CLOSE_SESSION	0

/* Does a response of this kind use up a StatSN? Else it has the next one (§11.8.1, §11.19.3). */
static bool counts_status(const struct bhs *bhs)
{
	switch (bhs->op) {
	case OP_R2T:
		return false;
	case OP_DATA_IN:
		return bhs->has_status;
	case OP_NOP_IN:
		return bhs->itt != ISCSI_NO_TAG;
	}
	return true;
}

void session_numbers(struct initiator *ini, const struct bhs *bhs)
{
	/* Without status the field of a Data-In means nothing: RFC 7143 §11.7.1 */
	if (counts_status(bhs) && sn_le(ini->exp_stat_sn, bhs->stat_sn))
		ini->exp_stat_sn = bhs->stat_sn + 1;
	if (sn_lt(bhs->max_cmd_sn, bhs->exp_cmd_sn - 1))
		return;			/* RFC 7143 §4.2.2.1: then both are ignored */
	if (sn_lt(ini->exp_cmd_sn, bhs->exp_cmd_sn))
		ini->exp_cmd_sn = bhs->exp_cmd_sn;
	if (sn_lt(ini->max_cmd_sn, bhs->max_cmd_sn))
		ini->max_cmd_sn = bhs->max_cmd_sn;
}

void session_pump(struct initiator *ini)
{
	if (ini->state != INITIATOR_UP || ini->conn.dead)
		return;
	while (!ini->leaving && !list_empty(&ini->queue) && !list_empty(&ini->idle)
	       && sn_le(ini->cmd_sn, ini->max_cmd_sn))
		task_send(ini, container_of(list_pop(&ini->queue), struct scsi_task, node));
	if (ini->leaving && !ini->busy)
		session_logout(ini);
}

uint32_t session_itt(struct initiator *ini, enum other_tag which)
{
	return TAG(TAG_OTHER, ++ini->generation, which);
}

static void ping(struct initiator *ini)
{
	struct bhs bhs = { .op = OP_NOP_OUT, .ttt = ISCSI_NO_TAG };

	bhs.itt = ini->nop_itt = session_itt(ini, OTHER_NOP);
	pdu_send_immediate(ini, &bhs, NULL);
}

/*
 * Whatever arrives shows that the target is there, so nothing is asked of a busy one.
 * The timer runs for the interval of silence first, then for the answer.
 */
static void on_keepalive(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct initiator *ini = container_of(timer, struct initiator, keepalive);
	bool heard = ini->conn.bytes_in != ini->bytes_seen;

	(void)ev;
	(void)events;
	assert(ini->state == INITIATOR_UP);
	ini->bytes_seen = ini->conn.bytes_in;
	if (heard) {
		if (ini->conf.noop_interval > 0)
			initiator_timer(ini, timer, on_keepalive, ini->conf.noop_interval);
	} else if (ini->nop_itt == ISCSI_NO_TAG) {
		ping(ini);
		initiator_timer(ini, timer, on_keepalive, ini->conf.noop_timeout);
	} else {
		conn_fail(&ini->conn, "no answer to NOP-Out within %g s", ini->conf.noop_timeout);
	}
}

void session_keep_alive(struct initiator *ini)
{
	/* One that waits for an answer goes on with that. */
	if (ini->nop_itt != ISCSI_NO_TAG)
		return;
	ev_timer_stop(ini->lu.loop->ev, &ini->keepalive);
	/* RFC 7143 §4.3: in a discovery session, a target rejects all but Text and Logout. */
	if (ini->conf.noop_interval > 0 && !ini->discovery)
		initiator_timer(ini, &ini->keepalive, on_keepalive, ini->conf.noop_interval);
}

void session_begin(struct initiator *ini)
{
	assert(ini->connected && ini->state == INITIATOR_LOGIN);
	ini->state = INITIATOR_UP;
	ini->leaving = ini->served = false;
	ini->nop_itt = ini->tmf_itt = ISCSI_NO_TAG;
	ini->bytes_seen = ini->conn.bytes_in;
	session_keep_alive(ini);
	recover_succeeded(ini);
}

void session_stop(struct initiator *ini)
{
	ev_timer_stop(ini->lu.loop->ev, &ini->keepalive);
	ev_timer_stop(ini->lu.loop->ev, &ini->phase);
}

static void on_logout_timeout(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct initiator *ini = container_of(timer, struct initiator, phase);

	(void)ev;
	(void)events;
	conn_fail(&ini->conn, "logout not answered within %g s", LOGOUT_TIMEOUT);
}

void session_logout(struct initiator *ini)
{
	struct bhs bhs = { .op = OP_LOGOUT_REQUEST, .reason = LOGOUT_CLOSE_SESSION };

	assert(ini->state == INITIATOR_UP);
	ini->state = INITIATOR_LOGOUT;
	ev_timer_stop(ini->lu.loop->ev, &ini->keepalive);
	bhs.itt = session_itt(ini, OTHER_LOGOUT);
	pdu_send_immediate(ini, &bhs, NULL);
	initiator_timer(ini, &ini->phase, on_logout_timeout, LOGOUT_TIMEOUT);
}

void session_logout_response(struct initiator *ini, const struct bhs *bhs)
{
	/* Whether it has closed the session or has none (RFC 7143 §11.15.1): we go. */
	ini->time2wait = bhs->time2wait;
	if (ini->state == INITIATOR_LOGOUT)
		conn_fail(&ini->conn, "logged out");
	else
		conn_fail(&ini->conn, "Logout Response to no request of ours");
}

void session_nop_in(struct initiator *ini, const struct bhs *bhs)
{
	/* Target and LUN go back as they came, or the target cannot tell its pings
	 * apart: RFC 7143 §11.18.1, §11.18.2 */
	struct bhs pong = {
		.op = OP_NOP_OUT, .itt = ISCSI_NO_TAG, .ttt = bhs->ttt, .lun = bhs->lun,
	};

	if (bhs->itt == ini->nop_itt && bhs->itt != ISCSI_NO_TAG)
		ini->nop_itt = ISCSI_NO_TAG;
	else if (bhs->itt != ISCSI_NO_TAG)
		conn_fail(&ini->conn, "NOP-In answers no NOP-Out of ours, ITT 0x%x", bhs->itt);
	else if (bhs->ttt != ISCSI_NO_TAG && ini->state == INITIATOR_UP)
		pdu_send_immediate(ini, &pong, NULL);
}

static void on_leave_timeout(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct initiator *ini = container_of(timer, struct initiator, phase);

	(void)ev;
	(void)events;
	if (ini->state == INITIATOR_UP)
		session_logout(ini);	/* what is still in flight ends with it */
}

void session_leave(struct initiator *ini, unsigned seconds)
{
	if (ini->state != INITIATOR_UP || ini->leaving)
		return;
	ini->leaving = true;
	initiator_timer(ini, &ini->phase, on_leave_timeout, seconds ? seconds : 1);
}

void session_async(struct initiator *ini, const struct bhs *bhs)
{
	log_trace(iscsi_debug_session, "%s: asynchronous message, event %u", ini->url.target,
		  bhs->async_event);
	switch ((enum async_event)bhs->async_event) {
	case ASYNC_SCSI_EVENT:
		return;		/* the unit attention that goes with it says as much */
	case ASYNC_LOGOUT_WANTED:
	case ASYNC_NEGOTIATION_WANTED:
		/* Logout is a valid answer to the latter, too: RFC 7143 §11.9.1 */
		session_leave(ini, bhs->parameter3);
		return;
	case ASYNC_CONNECTION_DROPPED:
	case ASYNC_ALL_DROPPED:
		ini->time2wait = bhs->parameter2;
		conn_fail(&ini->conn, "the target drops the connection");
		return;
	}
}

void session_reject(struct initiator *ini, const struct bhs *bhs, const uint8_t *header)
{
	struct bhs bad;

	if (bhs_decode(header, &bad) < 0)
		bad.itt = ISCSI_NO_TAG;
	/* Of a data PDU the task itself still gets its answer: RFC 7143 §7.8 */
	if (bhs->reason == REJECT_DATA_DIGEST && ini->state == INITIATOR_UP)
		return;
	if (bad.op == OP_TMF_REQUEST && ini->state == INITIATOR_UP)
		tmf_response(ini, bad.itt, TMF_REJECTED);
	else if (bad.op == OP_NOP_OUT && bad.itt == ini->nop_itt && ini->state == INITIATOR_UP)
		ini->nop_itt = ISCSI_NO_TAG;
	else if (bad.op == OP_TEXT_REQUEST && ini->text.active && bad.itt == ini->text.itt)
		text_end(ini, "the target rejects SendTargets");
	else
		conn_fail(&ini->conn, "the target rejected our %s, reason 0x%02x",
			  bhs_op_name(bad.op), bhs->reason);
}
