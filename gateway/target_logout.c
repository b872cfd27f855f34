/*
 * Logout (RFC 7143 §11.14, §11.15): of a session, of the connection that it comes by, or
 * of another, which the initiator cannot use any more. What is to go has its tasks ended
 * first, then the answer goes out, then the connections close.
 *
 * A discovery session is only closed as a whole: §4.3 has everything else rejected. (open-iscsi
 * and our own initiator say "close the session" there.)
 *
 * Called by target_dispatch.c in CmdSN order, and when tasks have gone. Logouts that wait
 * are the session's; each has a connection of it that is to go.
 */
#include "pool.h"
#include "target_conn.h"
#include "target_private.h"
#include "target_session.h"

/* RFC 7143 §11.14.1, §11.15.1 */
enum { LOGOUT_SESSION = 0, LOGOUT_CONNECTION = 1, LOGOUT_RECOVERY = 2 };
enum { LOGGED_OUT = 0, LOGOUT_NO_CID = 1, LOGOUT_NO_RECOVERY = 2 };

struct logout {
	struct list node;		/* session->logouts */
	struct target_conn *conn;	/* by which it came */
	const struct target_conn *going; /* the same, or another; NULL when it has gone */
	uint32_t itt;
	bool	 session;		/* all of them are to go */
};

static void answer(struct target_conn *c, uint32_t itt, uint8_t response)
{
	struct bhs b = { .op = OP_LOGOUT_RESPONSE, .itt = itt, .response = response,
			 .time2wait = (uint16_t)c->params.default_time2wait,
			 .time2retain = (uint16_t)c->params.default_time2retain };

	b.stat_sn = target_stat_sn(c);
	target_send_copy(c, &b, NULL, 0);
}

static void drop(struct target_session *s, struct logout *l)
{
	list_del(&l->node);
	pool_put(s->service->loop->pool, l, sizeof(*l));
}

/* Nothing more is received from it. */
static void silence(struct target_conn *c)
{
	c->phase = PHASE_LOGOUT;
	target_conn_hold(c, HOLD_LOGOUT);
}

static void log_out(struct target_conn *c, const struct bhs *b, struct target_conn *going)
{
	struct target_session *s = c->session;
	struct logout *l = pool_zalloc(s->service->loop->pool, sizeof(*l));

	if (!l) {
		conn_fail(&c->conn, "no memory for a logout");
		return;
	}
	*l = (struct logout){ .conn = c, .going = going, .itt = b->itt,
			      .session = b->reason == LOGOUT_SESSION };
	list_add_tail(&s->logouts, &l->node);
	if (l->session) {
		s->leaving = true;
		list_for_each(node, &s->connections)
			silence(container_of(node, struct target_conn, session_node));
		target_session_abort(s, NULL);
	} else if (going == c) {
		silence(c);
		target_session_abort(s, c);
	} else {
		conn_fail(&going->conn, "logged out by another connection");
	}
	target_session_settle(s);
}

void target_logout_request(struct target_pdu *pdu)
{
	struct target_conn *c = pdu->conn, *going = c;
	const struct bhs *b = &pdu->bhs;

	if (b->reason == LOGOUT_CONNECTION)
		going = target_session_conn(c->session, b->cid);
	if (b->reason > LOGOUT_RECOVERY)
		target_reject(c, pdu->wire, REJECT_INVALID_FIELD);
	else if (c->session->discovery && b->reason != LOGOUT_SESSION)
		target_reject(c, pdu->wire, REJECT_PROTOCOL_ERROR);
	else if (b->reason == LOGOUT_RECOVERY)
		answer(c, b->itt, LOGOUT_NO_RECOVERY);
	else if (!going)
		answer(c, b->itt, LOGOUT_NO_CID);
	else
		log_out(c, b, going);
	target_pdu_drop(pdu);
}

static bool is_over(const struct target_session *s, const struct logout *l)
{
	if (l->session)
		return !target_session_is_busy(s, NULL);
	if (l->going == l->conn)
		return !target_session_is_busy(s, l->conn);
	return !l->going && !s->orphans;
}

static void conclude(struct target_session *s, const struct logout *l)
{
	answer(l->conn, l->itt, LOGGED_OUT);
	if (l->going == l->conn && !l->session)
		target_conn_finish(l->conn, "logged out");
	if (!l->session)
		return;
	list_for_each(node, &s->connections)
		target_conn_finish(container_of(node, struct target_conn, session_node),
				   "logged out");
}

void target_logout_settle(struct target_session *s)
{
	list_for_each_safe(node, &s->logouts) {
		struct logout *l = container_of(node, struct logout, node);

		if (!is_over(s, l))
			continue;
		conclude(s, l);
		drop(s, l);
	}
}

void target_logout_forget(struct target_session *s, const struct target_conn *c)
{
	list_for_each_safe(node, &s->logouts) {
		struct logout *l = container_of(node, struct logout, node);

		if (l->going == c)
			l->going = NULL;
		if (l->conn != c)
			continue;
		/* The other connections are of no use any more. */
		if (l->session)
			target_session_kill(s, "logged out");
		drop(s, l);
	}
}
