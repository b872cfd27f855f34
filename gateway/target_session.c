/*
 * Sessions: the order of commands over all their connections (RFC 7143 §4.2.2.1), the
 * replacement of an older session by a newer one of the same initiator port (§6.3.5),
 * the loss of connections, and the end.
 *
 * A session comes to be at the end of a login. A connection that is lost takes its tasks
 * with it (ErrorRecoveryLevel 0), and the session goes on with the others. It ends when it
 * has none any more, all its tasks have come back from the logical units, and what it
 * replaced has ended too; until then its nexus stays known to the logical units.
 */
#include <assert.h>
#include <stdlib.h>

#include "log.h"
#include "pool.h"
#include "stream.h"
#include "target_private.h"

/* ---- reinstatement */

static void on_gone(struct loop_msg *msg)
{
	struct target_takeover *t = container_of(msg, struct target_takeover, gone);
	struct target_session *s = container_of(t, struct target_session, takeover);

	t->pending = false;
	target_session_settle(s);
}

static void on_dying(struct loop_msg *msg)
{
	struct target_takeover *t = container_of(msg, struct target_takeover, dying);
	struct target_session *s = container_of(t, struct target_session, takeover);

	list_for_each(node, &s->connections)
		target_login_takeover_done(container_of(node, struct target_conn, session_node));
}

/* On the old session's worker. */
static void on_ask(struct loop_msg *msg)
{
	struct target_takeover *t = container_of(msg, struct target_takeover, ask);
	struct target_session *s = container_of(t, struct target_session, takeover);
	struct target_session *old = target_session_find(t->old_service, t->old_tsih);

	if (old) {
		target_session_kill(old, "the initiator has logged in anew");
		list_add_tail(&old->heirs, &t->node);
	}
	loop_post(s->service->loop, &t->dying);
	if (!old)
		loop_post(s->service->loop, &t->gone);
}

static void take_over(struct target_session *s, struct target_service *old_service,
		      uint16_t old_tsih)
{
	struct target_takeover *t = &s->takeover;

	*t = (struct target_takeover){
		.ask.run = on_ask, .dying.run = on_dying, .gone.run = on_gone,
		.old_service = old_service, .old_tsih = old_tsih, .pending = true,
	};
	list_init(&t->node);
	loop_post(old_service->loop, &t->ask);
}

/* ---- beginning */

static void on_settle(struct loop_call *call);

struct target_session *target_session_new(struct target_conn *c,
					  const struct target_login_result *result)
{
	struct target_session *s = calloc(1, sizeof(*s));
	struct target_service *old_service;
	uint16_t old_tsih;

	if (!s)
		return NULL;
	s->service = c->service;
	s->nexus = result->nexus;
	s->discovery = result->discovery;
	s->identity = (struct target_identity){ .nexus = &s->nexus, .service = c->service,
						.discovery = s->discovery };
	if (!target_shared_enter(c->service->shared, &s->identity, &old_service, &old_tsih)) {
		free(s);
		return NULL;
	}
	target_session_settle_in(s, &result->place, result->user);
	s->exp_cmd_sn = result->cmd_sn;
	s->max_cmd_sn = result->cmd_sn - 1;
	list_init(&s->connections);
	list_init(&s->heirs);
	list_init(&s->held);
	list_init(&s->tasks);
	list_init(&s->waiting);
	list_init(&s->tmfs);
	list_init(&s->logouts);
	for (size_t i = 0; i < TARGET_ITT_BUCKETS; i++)
		list_init(&s->by_itt[i]);
	loop_call_init(&s->settle, on_settle);
	list_add_tail(&c->service->sessions, &s->node);
	list_add_tail(&s->connections, &c->session_node);
	if (old_service)
		take_over(s, old_service, old_tsih);
	return s;
}

void target_session_attach(struct target_session *s)
{
	if (s->discovery || s->attached)
		return;
	s->attached = true;
	target_session_each_lu(s, lu_attach);
}

struct target_session *target_session_find(const struct target_service *service, uint16_t tsih)
{
	list_for_each(node, &service->sessions) {
		struct target_session *s = container_of(node, struct target_session, node);

		if (s->identity.tsih == tsih)
			return s;
	}
	return NULL;
}

struct target_conn *target_session_conn(const struct target_session *s, uint16_t cid)
{
	list_for_each(node, &s->connections) {
		struct target_conn *c = container_of(node, struct target_conn, session_node);

		if (c->cid == cid && target_conn_alive(c))
			return c;
	}
	return NULL;
}

/* ---- CmdSN */

bool target_session_expects(const struct target_session *s, uint32_t cmd_sn)
{
	return sn_le(s->exp_cmd_sn, cmd_sn) && sn_le(cmd_sn, s->max_cmd_sn);
}

uint32_t target_session_max_cmd_sn(struct target_session *s)
{
	unsigned depth = s->service->conf->queue_depth;
	uint32_t max = s->exp_cmd_sn - 1;

	if (s->in_flight < depth)
		max += depth - s->in_flight;
	/* It never moves back; fewer commands are asked for by not moving it on. */
	if (sn_lt(s->max_cmd_sn, max))
		s->max_cmd_sn = max;
	return s->max_cmd_sn;
}

uint32_t target_session_ttt(struct target_session *s)
{
	if (s->next_ttt == ISCSI_NO_TAG)
		s->next_ttt = 0;
	return s->next_ttt++;
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

void target_session_arrived(struct target_session *s, struct target_pdu *pdu)
{
	if (pdu->bhs.cmd_sn == s->exp_cmd_sn) {
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

bool target_session_skip(struct target_session *s, uint32_t cmd_sn)
{
	const struct target_pdu hole = { .bhs.cmd_sn = cmd_sn, .hole = true };

	if (!hold(s, &hole))
		return false;
	run_held(s);
	return true;
}

bool target_session_hold_immediate(struct target_session *s, const struct target_pdu *pdu)
{
	unsigned count = 0;

	/* No window bounds them. */
	list_for_each(node, &s->held)
		count += held_pdu(node)->bhs.immediate;
	return count < TARGET_MAX_TMFS && hold(s, pdu);
}

void target_session_unhold(struct target_session *s, const struct target_task *task)
{
	list_for_each(node, &s->held) {
		struct target_pdu *pdu = held_pdu(node);

		if (pdu->task == task) {
			pdu->task = NULL;
			pdu->hole = true;
		}
	}
}

/* ---- the end */

static struct target_task *find_task(const struct target_session *s, const struct target_conn *c,
				     bool aborted)
{
	list_for_each(node, &s->tasks) {
		struct target_task *task = container_of(node, struct target_task, node);

		if ((!c || task->conn == c) && (aborted || !task->aborted))
			return task;
	}
	return NULL;
}

void target_session_abort(struct target_session *s, const struct target_conn *c)
{
	struct target_task *task;

	/* One by one, for each may be freed by that. */
	while ((task = find_task(s, c, false)))
		target_task_abort(task);
}

static struct target_task *find_unfed(const struct target_session *s, const struct target_conn *c)
{
	list_for_each(node, &s->tasks) {
		struct target_task *task = container_of(node, struct target_task, node);

		if (task->conn == c && !task->aborted && task->state == TASK_COLLECTING
		    && (!task->started || task->scsi.direction == CDB_DATA_OUT))
			return task;
	}
	return NULL;
}

void target_session_abort_unfed(struct target_session *s, const struct target_conn *c)
{
	struct target_task *task;

	while ((task = find_unfed(s, c)))
		target_task_abort(task);
}

bool target_session_is_busy(const struct target_session *s, const struct target_conn *c)
{
	return find_task(s, c, true) || (c ? target_tmf_waits(s, c) : !list_empty(&s->tmfs));
}

unsigned target_session_count(const struct target_session *s)
{
	unsigned connections = 0;

	list_for_each(node, &s->connections)
		connections += target_conn_alive(container_of(node, struct target_conn,
							      session_node));
	return connections;
}

void target_session_dismiss(struct target_session *s, const char *why)
{
	list_for_each(node, &s->connections)
		target_conn_dismiss(container_of(node, struct target_conn, session_node), true, why);
}

void target_session_kill(struct target_session *s, const char *why)
{
	list_for_each(node, &s->connections)
		conn_fail(&container_of(node, struct target_conn, session_node)->conn, "%s", why);
}

/* What the connection has sent ahead of its turn goes unexecuted. Its CmdSNs have come all the
 * same: those that the other connections sent wait for them. */
static void give_up_held(struct target_session *s, const struct target_conn *c)
{
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

/*
 * What a logical unit still has of the connection's tasks may yet write. The initiator is
 * free to repeat those commands on another connection, so nothing new begins before that
 * is over.
 */
static void orphan_tasks(struct target_session *s, struct target_conn *c)
{
	list_for_each(node, &s->tasks) {
		struct target_task *task = container_of(node, struct target_task, node);

		if (task->conn != c || task->state != TASK_SUBMITTED || task->orphan)
			continue;
		task->orphan = true;
		s->orphans++;
	}
	target_session_abort(s, c);
	/* Those that are left are known by that no more: another may come to have the address. */
	list_for_each(node, &s->tasks) {
		struct target_task *task = container_of(node, struct target_task, node);

		if (task->conn == c)
			task->conn = NULL;
	}
}

void target_session_lost(struct target_session *s, struct target_conn *c)
{
	list_del(&c->session_node);
	s->ending = list_empty(&s->connections);
	give_up_held(s, c);
	orphan_tasks(s, c);
	target_tmf_forget(s, c);
	target_logout_forget(s, c);
	target_session_settle(s);
}

static void end(struct target_session *s)
{
	struct target_service *service = s->service;
	struct list *node;

	log_trace(iscsi_debug_session, "iSCSI %s: session 0x%04x ended", s->nexus.initiator_name,
		  s->identity.tsih);
	assert(s->bytes == 0 && s->in_flight == 0 && list_empty(&s->held));
	assert(!s->old_access);
	if (s->attached)
		target_session_each_lu(s, lu_detach);
	access_drop(s->access);
	target_shared_leave(service->shared, &s->identity);
	while ((node = list_pop(&s->heirs))) {
		struct target_takeover *t = container_of(node, struct target_takeover, node);
		struct target_session *heir = container_of(t, struct target_session, takeover);

		loop_post(heir->service->loop, &t->gone);
	}
	list_del(&s->node);
	loop_call_cancel(&s->settle);
	free(s);
	target_service_settle(service);
}

/* Connections that were only waiting for their tasks. */
static void close_idle(struct target_session *s)
{
	list_for_each(node, &s->connections) {
		struct target_conn *c = container_of(node, struct target_conn, session_node);

		if (c->holds & HOLD_SHUTDOWN && !target_session_is_busy(s, c))
			target_conn_dismiss(c, target_session_count(s) == 1, c->logout_why);
	}
}

static void on_settle(struct loop_call *call)
{
	struct target_session *s = container_of(call, struct target_session, settle);

	target_task_admit_waiting(s);
	target_tmf_settle(s);
	target_session_forget_lost(s);
	target_logout_settle(s);
	close_idle(s);
	if (s->ending && !target_session_is_busy(s, NULL) && !s->takeover.pending)
		end(s);
}

void target_session_settle(struct target_session *s)
{
	loop_defer(s->service->loop, &s->settle);
}
