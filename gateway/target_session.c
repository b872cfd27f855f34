/*
 * Sessions: how one begins, loses connections, and ends.
 *
 * A session comes to be at the end of a login. A connection that is lost takes its tasks
 * with it (ErrorRecoveryLevel 0), and the session goes on with the others. It ends when it
 * has none any more, all its tasks have come back from the logical units, and what it
 * replaced has ended too; until then its nexus stays known to the logical units.
 */
#include <assert.h>
#include <stdlib.h>

#include "log.h"
#include "target_conn.h"
#include "target_login.h"
#include "target_private.h"
#include "target_session.h"
#include "target_task.h"
#include "target_tmf.h"

/* ---- beginning */

static void on_settle(struct loop_call *call);

static void init_lists(struct target_session *s)
{
	list_init(&s->connections);
	list_init(&s->heirs);
	list_init(&s->held);
	list_init(&s->tasks);
	list_init(&s->waiting);
	list_init(&s->tmfs);
	list_init(&s->logouts);
	for (size_t i = 0; i < TARGET_ITT_BUCKETS; i++)
		list_init(&s->by_itt[i]);
}

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
	s->max_cmd_sn = s->told_cmd_sn = result->cmd_sn - 1;
	init_lists(s);
	loop_call_init(&s->settle, on_settle);
	list_add_tail(&c->service->sessions, &s->node);
	list_add_tail(&s->connections, &c->session_node);
	if (old_service)
		target_reinstate(s, old_service, old_tsih);
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

uint32_t target_session_ttt(struct target_session *s)
{
	if (s->next_ttt == ISCSI_NO_TAG)
		s->next_ttt = 0;
	return s->next_ttt++;
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
	target_cmd_sn_forget(s, c);
	orphan_tasks(s, c);
	target_tmf_forget(s, c);
	target_logout_forget(s, c);
	target_session_settle(s);
}

static void end(struct target_session *s)
{
	struct target_service *service = s->service;

	log_trace(iscsi_debug_session, "iSCSI %s: session 0x%04x ended", s->nexus.initiator_name,
		  s->identity.tsih);
	assert(s->bytes == 0 && s->in_flight == 0 && list_empty(&s->held));
	assert(!s->old_access);
	if (s->attached)
		target_session_each_lu(s, lu_detach);
	access_drop(s->access);
	target_shared_leave(service->shared, &s->identity);
	target_reinstate_heirs(s);
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
	target_cmd_sn_tell(s);
	if (s->ending && !target_session_is_busy(s, NULL) && !s->reinstatement.pending)
		end(s);
}

void target_session_settle(struct target_session *s)
{
	loop_defer(s->service->loop, &s->settle);
}
