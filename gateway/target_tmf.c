/*
 * Task management (RFC 7143 §11.5, §11.6). A function is answered only when it is
 * true: when every task that it ends has come back from its logical unit.
 *
 * We do not wait for the answers to R2Ts of a task that is ended, as §4.2.3.3 would
 * have it: initiators that are configured for fast abort never send them. Transfer
 * tags do not repeat, so what comes late is known to belong to nothing, and is thrown
 * away.
 *
 * Called by target_dispatch.c in CmdSN order (or at once, for immediate requests).
 * Functions under way are the session's.
 */
#include <assert.h>

#include "log.h"
#include "pool.h"
#include "target_conn.h"
#include "target_private.h"
#include "target_session.h"
#include "target_task.h"
#include "target_tmf.h"

struct target_tmf;

/* The part of a function that one logical unit does. */
struct unit {
	struct scsi_tmf scsi;
	struct target_tmf *tmf;
	struct scsi_lu *lu;		/* NULL when it is done */
};

struct target_tmf {
	struct list node;		/* session->tmfs */
	struct target_session *session;
	struct target_conn *conn;	/* who asked; NULL when the connection has gone */
	uint32_t itt;
	enum tmf_function function;
	enum tmf_response response;
	uint64_t lun;			/* as on the wire; all of them for target resets */
	uint64_t task;			/* ABORT TASK: serial of the one */
	uint64_t before;		/* tasks with a smaller serial are meant, */
	uint32_t cmd_sn;		/* ... and CmdSN */
	unsigned busy;			/* units that are not done */
	struct target_unheard unheard;	/* what is to be heard before the answer */
	unsigned count;
	struct unit units[];
};

static size_t size_of(unsigned units)
{
	return sizeof(struct target_tmf) + units * sizeof(struct unit);
}

static void respond(struct target_conn *c, uint32_t itt, enum tmf_response response)
{
	struct bhs b = { .op = OP_TMF_RESPONSE, .itt = itt, .response = (uint8_t)response };

	b.stat_sn = target_stat_sn(c);
	target_send_copy(c, &b, NULL, 0);
}

/* Two forms of the same LUN are one LUN. */
static bool same_lun(uint64_t a, uint64_t b)
{
	return a == b || (lun_decode(a) >= 0 && lun_decode(a) == lun_decode(b));
}

/* RFC 7143 §4.2.3.3: those with a CmdSN before its own. A command behind it may have overtaken it on
 * another connection. */
static bool is_behind(const struct target_tmf *tmf, const struct target_task *task)
{
	return task->serial >= tmf->before
	       || (!task->immediate && !sn_lt(task->cmd_sn, tmf->cmd_sn));
}

static bool ends(const struct target_tmf *tmf, const struct target_task *task)
{
	switch (tmf->function) {
	case TMF_ABORT_TASK:
		return task->serial == tmf->task;
	case TMF_ABORT_TASK_SET:
	case TMF_CLEAR_TASK_SET:
	case TMF_LU_RESET:
		return !is_behind(tmf, task) && same_lun(task->lun, tmf->lun);
	case TMF_TARGET_WARM_RESET:
	case TMF_TARGET_COLD_RESET:
		return !is_behind(tmf, task);
	case TMF_CLEAR_ACA:
	case TMF_TASK_REASSIGN:
		break;
	}
	return false;
}

/* A task of the session that the function ends; "aborted" = one that has been told already. */
static struct target_task *find_task(const struct target_tmf *tmf, bool aborted)
{
	list_for_each(node, &tmf->session->tasks) {
		struct target_task *task = container_of(node, struct target_task, node);

		if (task->aborted == aborted && ends(tmf, task))
			return task;
	}
	return NULL;
}

/* Of an immediate one: can the CmdSN be that of the next numbered request? */
static bool is_sensible(const struct target_session *s, uint32_t cmd_sn)
{
	return sn_le(cmd_sn, s->max_cmd_sn + 1);
}

static struct target_tmf *new_tmf(const struct target_pdu *pdu, unsigned units)
{
	struct target_session *s = pdu->conn->session;
	struct target_tmf *tmf = pool_zalloc(s->service->loop->pool, size_of(units));

	if (!tmf)
		return NULL;
	tmf->session = s;
	tmf->conn = pdu->conn;
	tmf->itt = pdu->bhs.itt;
	tmf->function = pdu->bhs.function;
	tmf->response = TMF_COMPLETE;
	tmf->lun = pdu->bhs.lun;
	tmf->before = s->next_serial;
	tmf->cmd_sn = is_sensible(s, pdu->bhs.cmd_sn) ? pdu->bhs.cmd_sn : s->exp_cmd_sn;
	tmf->count = units;
	list_add_tail(&s->tmfs, &tmf->node);
	return tmf;
}

static void on_unit_done(struct scsi_tmf *scsi)
{
	struct unit *unit = container_of(scsi, struct unit, scsi);
	struct target_tmf *tmf = unit->tmf;

	assert(tmf->busy > 0);
	tmf->busy--;
	unit->lu = NULL;
	if (scsi->response != TMF_COMPLETE)
		tmf->response = scsi->response;
	target_session_settle(tmf->session);
}

static void start(struct target_tmf *tmf)
{
	struct target_task *task;

	while ((task = find_task(tmf, false)))
		target_task_abort(task);
	target_heard_begin(&tmf->unheard, tmf->session, tmf->conn);
	target_session_settle(tmf->session);
}

static bool is_target_reset(enum tmf_function function)
{
	return function == TMF_TARGET_WARM_RESET || function == TMF_TARGET_COLD_RESET;
}

static void manage(struct target_tmf *tmf, unsigned i, struct scsi_lu *lu)
{
	struct unit *unit = &tmf->units[i];

	unit->tmf = tmf;
	unit->lu = lu;
	unit->scsi = (struct scsi_tmf){
		.function = is_target_reset(tmf->function) ? TMF_LU_RESET : tmf->function,
		.nexus = &tmf->session->nexus, .done = on_unit_done,
	};
	lu_manage(lu, &unit->scsi);
}

static void on_lun(struct target_pdu *pdu)
{
	struct target_conn *c = pdu->conn;
	struct scsi_lu *lu = target_session_lu(c->session, pdu->bhs.lun, NULL);
	struct target_tmf *tmf = lu ? new_tmf(pdu, 1) : NULL;

	if (!tmf) {
		respond(c, pdu->bhs.itt, lu ? TMF_REJECTED : TMF_NO_LUN);
		return;
	}
	tmf->busy = 1;
	start(tmf);
	manage(tmf, 0, lu);
}

static void on_target(struct target_pdu *pdu)
{
	struct target_conn *c = pdu->conn;
	const struct access_map *map = c->session->map;
	struct target_tmf *tmf = new_tmf(pdu, map->count);

	if (!tmf) {
		respond(c, pdu->bhs.itt, TMF_REJECTED);
		return;
	}
	tmf->busy = map->count;
	start(tmf);
	for (unsigned i = 0; i < map->count; i++) {
		struct scsi_lu *lu = target_instance(c->service, map->luns[i].export);

		if (lu)
			manage(tmf, i, lu);
		else
			tmf->busy--;
	}
}

/* RFC 7143 §11.5.1: a task that we have not seen, and whose CmdSN may still come, is ended by
 * taking the CmdSN as received. */
static enum tmf_response abort_unseen(struct target_session *s, const struct bhs *b)
{
	if (target_cmd_sn_expects(s, b->ref_cmd_sn) && sn_lt(b->ref_cmd_sn, b->cmd_sn)
	    && target_cmd_sn_skip(s, b->ref_cmd_sn))
		return TMF_COMPLETE;
	return TMF_NO_TASK;
}

static void on_task(struct target_pdu *pdu)
{
	struct target_conn *c = pdu->conn;
	const struct bhs *b = &pdu->bhs;
	struct target_task *task = target_task_find(c->session, b->ref_task_tag);
	struct target_tmf *tmf;

	if (!task || !same_lun(task->lun, b->lun)) {
		respond(c, b->itt, task ? TMF_NO_TASK : abort_unseen(c->session, b));
		return;
	}
	tmf = new_tmf(pdu, 0);
	if (!tmf) {
		respond(c, b->itt, TMF_REJECTED);
		return;
	}
	tmf->task = task->serial;
	start(tmf);
}

static unsigned under_way(const struct target_session *s)
{
	unsigned count = 0;

	list_for_each(node, &s->tmfs)
		count++;
	return count;
}

/* §4.2.3.3, b: a function on many tasks waits for the commands before it, though it is immediate: by
 * another connection of the session they may still be on their way. */
static bool must_wait(const struct target_session *s, const struct bhs *b)
{
	switch (b->function) {
	case TMF_ABORT_TASK_SET:
	case TMF_CLEAR_TASK_SET:
	case TMF_LU_RESET:
	case TMF_TARGET_WARM_RESET:
	case TMF_TARGET_COLD_RESET:
		return sn_lt(s->exp_cmd_sn, b->cmd_sn) && is_sensible(s, b->cmd_sn);
	default:
		return false;
	}
}

static void begin(struct target_pdu *pdu)
{
	struct target_conn *c = pdu->conn;
	const struct bhs *b = &pdu->bhs;

	switch (b->function) {
	case TMF_ABORT_TASK:
		on_task(pdu);
		break;
	case TMF_ABORT_TASK_SET:
	case TMF_CLEAR_TASK_SET:
	case TMF_LU_RESET:
		on_lun(pdu);
		break;
	case TMF_TARGET_WARM_RESET:
	case TMF_TARGET_COLD_RESET:
		on_target(pdu);
		break;
	case TMF_TASK_REASSIGN:
		respond(c, b->itt, TMF_NO_REASSIGN);
		break;
	default:
		respond(c, b->itt, TMF_NOT_SUPPORTED);
	}
}

void target_tmf_request(struct target_pdu *pdu)
{
	struct target_conn *c = pdu->conn;
	const struct bhs *b = &pdu->bhs;
	bool waits = b->immediate && must_wait(c->session, b);

	log_trace(iscsi_debug_session, "iSCSI %s: task management function %u", c->peer,
		  b->function);
	if (waits && target_cmd_sn_hold_immediate(c->session, pdu))
		return;
	if (waits || under_way(c->session) >= TARGET_MAX_TMFS)
		respond(c, b->itt, TMF_REJECTED);
	else
		begin(pdu);
	target_pdu_drop(pdu);
}

void target_tmf_settle(struct target_session *s)
{
	list_for_each_safe(node, &s->tmfs) {
		struct target_tmf *tmf = container_of(node, struct target_tmf, node);
		bool cold = tmf->function == TMF_TARGET_COLD_RESET;

		if (tmf->busy || find_task(tmf, true) || !target_heard_all(&tmf->unheard))
			continue;
		/* To who has been told that nothing comes any more nothing does. */
		if (tmf->conn && target_conn_alive(tmf->conn))
			respond(tmf->conn, tmf->itt, tmf->response);
		list_del(&tmf->node);
		pool_put(s->service->loop->pool, tmf, size_of(tmf->count));
		if (cold)
			target_shared_drop_all(s->service->shared, s->nexus.target_name);
	}
}

bool target_tmf_uses(const struct target_session *s, const struct scsi_lu *lu)
{
	list_for_each(node, &s->tmfs) {
		const struct target_tmf *tmf = container_of(node, struct target_tmf, node);

		for (unsigned i = 0; i < tmf->count; i++)
			if (lu && tmf->units[i].lu == lu)
				return true;
	}
	return false;
}

bool target_tmf_waits(const struct target_session *s, const struct target_conn *c)
{
	list_for_each(node, &s->tmfs)
		if (container_of(node, const struct target_tmf, node)->conn == c)
			return true;
	return false;
}

void target_tmf_forget(struct target_session *s, const struct target_conn *c)
{
	list_for_each(node, &s->tmfs) {
		struct target_tmf *tmf = container_of(node, struct target_tmf, node);

		if (tmf->conn == c)
			tmf->conn = NULL;
		target_heard_forget(&tmf->unheard, c);
	}
}
