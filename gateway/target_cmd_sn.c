/*
 * The order of commands over all connections of a session (RFC 7143 §4.2.2.1): the window of
 * CmdSN, and what waits for the PDUs before it.
 *
 * Called by target_dispatch.c with PDUs that are whole, by target_send.c for the window, and
 * when something that waits here loses its task or its connection.
 */
#include "pool.h"
#include "target_conn.h"
#include "target_pdu.h"
#include "target_private.h"
#include "target_session.h"
#include "target_tmf.h"

bool target_cmd_sn_expects(const struct target_session *s, uint32_t cmd_sn)
{
	return sn_le(s->exp_cmd_sn, cmd_sn) && sn_le(cmd_sn, s->max_cmd_sn);
}

/* It never moves back; fewer commands are asked for by not moving it on. */
static uint32_t window_end(const struct target_session *s)
{
	unsigned depth = s->service->conf->queue_depth;
	uint32_t end = s->exp_cmd_sn - 1 + (s->in_flight < depth ? depth - s->in_flight : 0);

	return sn_lt(s->max_cmd_sn, end) ? end : s->max_cmd_sn;
}

uint32_t target_cmd_sn_max(struct target_session *s, struct target_conn *c)
{
	c->told_cmd_sn = s->max_cmd_sn = window_end(s);
	if (c->session)
		s->told_cmd_sn = s->max_cmd_sn;
	return s->max_cmd_sn;
}

/* By the connections that are left. */
static uint32_t told_by_others(const struct target_session *s)
{
	uint32_t told = s->exp_cmd_sn - 1;

	list_for_each(node, &s->connections) {
		const struct target_conn *c =
			container_of(node, const struct target_conn, session_node);

		if (target_conn_alive(c) && c->phase != PHASE_REINSTATEMENT
		    && sn_lt(told, c->told_cmd_sn))
			told = c->told_cmd_sn;
	}
	return told;
}

void target_cmd_sn_tell(struct target_session *s)
{
	struct bhs b = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG, .ttt = ISCSI_NO_TAG };

	/* A function or a logout under way will be answered. */
	if (!target_cmd_sn_is_closed(s) || !sn_le(s->exp_cmd_sn, window_end(s))
	    || !list_empty(&s->tmfs) || !list_empty(&s->logouts))
		return;
	list_for_each(node, &s->connections) {
		struct target_conn *c = container_of(node, struct target_conn, session_node);

		if (!target_conn_alive(c) || c->phase != PHASE_FULL_FEATURE)
			continue;
		b.stat_sn = c->stat_sn;
		target_send_copy(c, &b, NULL, 0);
		return;
	}
}

static struct target_pdu *held_pdu(struct list *node)
{
	return container_of(node, struct target_pdu, node);
}

static void free_held(struct target_session *s, struct target_pdu *pdu)
{
	target_pdu_drop(pdu);
	pool_put(s->service->loop->pool, pdu, sizeof(*pdu));
}

/* Execute what has been waiting for its CmdSN. */
static void run_held(struct target_session *s)
{
	while (!list_empty(&s->held)) {
		struct target_pdu *pdu = held_pdu(s->held.next);

		if (sn_lt(s->exp_cmd_sn, pdu->bhs.cmd_sn))
			return;
		if (!pdu->bhs.immediate)
			s->exp_cmd_sn++;
		list_del(&pdu->node);
		if (!pdu->hole && target_conn_alive(pdu->conn))
			target_execute(pdu);
		free_held(s, pdu);
	}
}

/* Does "pdu" come before "other", which is there already? An immediate one has the CmdSN of the
 * numbered one that is to come after it. */
static bool is_ahead_of(const struct target_pdu *pdu, const struct target_pdu *other)
{
	return sn_lt(pdu->bhs.cmd_sn, other->bhs.cmd_sn)
	       || (pdu->bhs.cmd_sn == other->bhs.cmd_sn && pdu->bhs.immediate
		   && !other->bhs.immediate);
}

/* Keep a copy of the PDU in its place. False: a numbered one with its CmdSN is there, or no memory. */
static bool hold(struct target_session *s, const struct target_pdu *pdu)
{
	struct list *at = s->held.prev;
	struct target_pdu *copy;

	while (at != &s->held && is_ahead_of(pdu, held_pdu(at)))
		at = at->prev;
	if (at != &s->held && held_pdu(at)->bhs.cmd_sn == pdu->bhs.cmd_sn && !pdu->bhs.immediate
	    && !held_pdu(at)->bhs.immediate)
		return false;
	copy = pool_get(s->service->loop->pool, sizeof(*copy));
	if (!copy)
		return false;
	*copy = *pdu;
	list_init(&copy->node);
	list_insert_before(at->next, &copy->node);
	return true;
}

void target_cmd_sn_arrived(struct target_session *s, struct target_pdu *pdu)
{
	/* While its data came, another with its CmdSN may have come by another connection. */
	if (!target_cmd_sn_expects(s, pdu->bhs.cmd_sn)) {
		target_pdu_drop(pdu);
	} else if (pdu->bhs.cmd_sn == s->exp_cmd_sn) {
		s->exp_cmd_sn++;
		target_execute(pdu);
		run_held(s);
	} else if (hold(s, pdu)) {
		pdu->data = NULL;	/* the copy's now */
		pdu->task = NULL;
	} else {
		target_pdu_drop(pdu);
	}
}

bool target_cmd_sn_skip(struct target_session *s, uint32_t cmd_sn)
{
	const struct target_pdu hole = { .bhs.cmd_sn = cmd_sn, .hole = true };

	if (!hold(s, &hole))
		return false;
	run_held(s);
	return true;
}

bool target_cmd_sn_hold_immediate(struct target_session *s, const struct target_pdu *pdu)
{
	unsigned count = 0;

	/* No window bounds them. */
	list_for_each(node, &s->held)
		count += held_pdu(node)->bhs.immediate;
	return count < TARGET_MAX_TMFS && hold(s, pdu);
}

void target_cmd_sn_unhold(struct target_session *s, const struct target_task *task)
{
	list_for_each(node, &s->held) {
		struct target_pdu *pdu = held_pdu(node);

		if (pdu->task == task) {
			pdu->task = NULL;
			pdu->hole = true;
		}
	}
}

/* What the connection has sent ahead of its turn goes unexecuted. Its CmdSNs have come all the
 * same: those that the other connections sent wait for them. */
void target_cmd_sn_forget(struct target_session *s, const struct target_conn *c)
{
	s->told_cmd_sn = told_by_others(s);
	list_for_each_safe(node, &s->held) {
		struct target_pdu *pdu = held_pdu(node);

		if (pdu->conn == c) {
			target_pdu_drop(pdu);
			pdu->hole = true;
			pdu->conn = NULL;
		}
		if (s->ending) {
			list_del(node);
			free_held(s, pdu);
		}
	}
}
