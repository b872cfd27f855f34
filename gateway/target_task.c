/*
 * A SCSI command's life in the target: made from its header, started in its turn,
 * admitted when there is room for its data, submitted when its data has come,
 * answered when the logical unit is done with it. What the header says is
 * target_command.c's, what moves on the wire in between is target_xfer.c's.
 */
#include <assert.h>
#include <string.h>

#include "log.h"
#include "pool.h"
#include "scsi_data.h"
#include "target_conn.h"
#include "target_private.h"
#include "target_session.h"
#include "target_task.h"

static struct pool *pool_of(const struct target_session *s)
{
	return s->service->loop->pool;
}

static struct list *bucket(struct target_session *s, uint32_t itt)
{
	/* Initiators count in either half of the tag. */
	return &s->by_itt[(itt ^ itt >> 16) % TARGET_ITT_BUCKETS];
}

struct target_task *target_task_find(struct target_session *s, uint32_t itt)
{
	list_for_each(node, bucket(s, itt)) {
		struct target_task *task = container_of(node, struct target_task, bucket);

		/* What the initiator knows, or will know, to be over is no business of it. */
		if (task->itt == itt && !task->aborted && !task->answered)
			return task;
	}
	return NULL;
}

/* ---- from its header */

static void on_done(struct scsi_task *scsi);

static void free_task(struct target_task *task)
{
	struct pool *pool = pool_of(task->session);

	pool_put(pool, task->buf, task->buf_len);
	pool_put(pool, task->long_cdb, task->long_cdb_len);
	pool_put(pool, task, sizeof(*task));
}

static bool take_cdb(struct target_task *task, const uint8_t cdb[16], const uint8_t *more,
		     size_t more_len)
{
	struct scsi_task *scsi = &task->scsi;

	memcpy(task->cdb, cdb, sizeof(task->cdb));
	scsi->wire = task->cdb;
	scsi->wire_len = sizeof(task->cdb);
	if (!more)
		return true;
	scsi->wire_len = (uint16_t)(sizeof(task->cdb) + more_len);
	task->long_cdb = pool_get(pool_of(task->session), scsi->wire_len);
	if (!task->long_cdb)
		return false;
	task->long_cdb_len = scsi->wire_len;
	memcpy(task->long_cdb, cdb, sizeof(task->cdb));
	memcpy(task->long_cdb + sizeof(task->cdb), more, more_len);
	scsi->wire = task->long_cdb;
	return true;
}

static void take_header(struct target_task *task, const struct bhs *b)
{
	task->lun = b->lun;
	task->itt = b->itt;
	task->cmd_sn = b->cmd_sn;
	task->immediate = b->immediate;
	task->edtl = b->edtl;
	task->scsi.attribute = b->attribute;
	task->scsi.direction = !b->edtl ? CDB_NO_DATA : b->read ? CDB_DATA_IN : CDB_DATA_OUT;
}

struct target_task *target_task_new(const struct target_pdu *pdu, const uint8_t *more_cdb,
				    size_t more_len)
{
	struct target_session *s = pdu->conn->session;
	struct target_task *task = pool_zalloc(pool_of(s), sizeof(*task));

	if (!task)
		return NULL;
	task->session = s;
	task->conn = pdu->conn;
	take_header(task, &pdu->bhs);
	if (!take_cdb(task, pdu->bhs.cdb, more_cdb, more_len)) {
		free_task(task);
		return NULL;
	}
	task->scsi.nexus = &s->nexus;
	task->scsi.done = on_done;
	task->serial = s->next_serial++;
	list_add_tail(&s->tasks, &task->node);
	list_add_tail(bucket(s, task->itt), &task->bucket);
	list_init(&task->waiting);
	s->in_flight++;
	task->counted = true;
	return task;
}

/* ---- from its turn to the logical unit */

bool target_task_buffer(struct target_task *task, uint32_t len)
{
	if (task->buf || len == 0)
		return true;
	task->buf = pool_get(pool_of(task->session), len);
	if (!task->buf) {
		target_task_refuse(task, STATUS_BUSY, SENSE_NONE);
		return false;
	}
	task->buf_len = len;
	return true;
}

void target_task_refuse(struct target_task *task, uint8_t status, uint32_t sense_reason)
{
	if (task->refused)
		return;
	task->refused = true;
	if (status == STATUS_CHECK_CONDITION)
		lu_fail(&task->scsi, sense_reason);
	else
		task->scsi.status = status;
}

static bool room_for(const struct target_task *task)
{
	const struct target_session *s = task->session;

	/* A single one may be larger than all that is allowed. */
	return s->bytes == 0 || s->bytes + task->len <= s->service->conf->max_bytes;
}

static void admit(struct target_task *task)
{
	assert(task->started && !task->admitted);
	task->admitted = true;
	task->session->bytes += task->len;
	if (task->scsi.direction == CDB_DATA_OUT)
		target_xfer_continue(task);
	else
		target_task_submit(task);
}

/*
 * Data in flight is bounded per session, so a command may have to wait, in order,
 * until others are done. A write that brought data with it has its buffer already:
 * the bytes needed a place. But it asks for no more, so what it costs while it waits
 * is what FirstBurstLength allows, times the CmdSN window.
 */
void target_task_start(struct target_task *task)
{
	struct target_session *s = task->session;

	task->started = true;
	task->scsi.era = task->lu ? task->lu->era : 0;
	if (task->aborted)
		target_task_reap(task);
	else if (target_session_is_haunted(s) || !list_empty(&s->waiting) || !room_for(task))
		list_add_tail(&s->waiting, &task->waiting);
	else
		admit(task);
}

void target_task_admit_waiting(struct target_session *s)
{
	while (!list_empty(&s->waiting) && !target_session_is_haunted(s)) {
		struct target_task *task =
			container_of(s->waiting.next, struct target_task, waiting);

		if (!room_for(task))
			return;
		list_del(&task->waiting);
		admit(task);
	}
}

void target_task_submit(struct target_task *task)
{
	struct scsi_task *scsi = &task->scsi;

	assert(task->state == TASK_COLLECTING && task->admitted && !task->aborted);
	if (!task->refused)
		target_task_buffer(task, task->len);
	if (task->refused) {
		target_task_answer(task);
		return;
	}
	scsi->data = task->buf;
	scsi->data_len = task->len;
	if (task->len == 0)
		scsi->direction = CDB_NO_DATA;
	if (!task->lu) {
		target_local_execute(task);
		target_task_answer(task);
		return;
	}
	task->state = TASK_SUBMITTED;
	lu_submit(task->lu, scsi);
}

/*
 * The path to the device died, and nobody knows what of the command has happened.
 * BUSY would say that it has not begun, and a hardware error that there is no point
 * in trying again: ABORTED COMMAND leaves the judgement to the initiator, which knows
 * whether the command can be repeated.
 */
static void report_lost(struct scsi_task *scsi)
{
	scsi->moved = 0;
	lu_fail(scsi, SENSE_PROCESS_TERMINATED);
}

/* The unit is the session's no more, and the task has not been executed. */
static void report_unmapped(struct target_task *task)
{
	bool is_copy = target_session_lu(task->session, task->lun, NULL) == task->lu;

	task->scsi.moved = 0;
	lu_fail(&task->scsi, is_copy ? SENSE_COPY_TARGET_UNREACHABLE : SENSE_LUN_NOT_SUPPORTED);
}

/* The far end of a pass-through does not know that this initiator may not write. */
static void say_protected(struct scsi_task *scsi)
{
	if (scsi->status == STATUS_GOOD
	    && (scsi->cdb.id == CDB_MODE_SENSE_6 || scsi->cdb.id == CDB_MODE_SENSE_10))
		mode_header_protect(scsi->data, scsi->moved, scsi->cdb.id == CDB_MODE_SENSE_10);
}

static void on_done(struct scsi_task *scsi)
{
	struct target_task *task = container_of(scsi, struct target_task, scsi);

	assert(task->state == TASK_SUBMITTED);
	task->state = TASK_COLLECTING;
	if (task->unmapped)
		target_session_settle(task->session);
	if (task->unmapped && (scsi->status == STATUS_TASK_ABORTED || scsi->status == LU_LOST))
		report_unmapped(task);
	if (task->aborted) {
		target_task_reap(task);
		return;
	}
	/* SAM-5 §5.3.1: with TAS = 0, as our Control mode page has it, whose command another nexus
	 * has ended gets no status, but a unit attention. */
	if (scsi->status == STATUS_TASK_ABORTED && task->lu->interprets) {
		target_task_abort(task);
		return;
	}
	if (scsi->status == LU_LOST)
		report_lost(scsi);
	if (scsi->read_only && task->lu && !task->lu->interprets)
		say_protected(scsi);
	target_task_answer(task);
}

void target_task_answer(struct target_task *task)
{
	assert(task->state == TASK_COLLECTING && !task->aborted);
	task->state = TASK_ANSWERING;
	target_xfer_answer(task);
}

/* ---- the end */

void target_task_uncount(struct target_task *task)
{
	struct target_session *s = task->session;

	if (!task->counted)
		return;
	assert(s->in_flight > 0);
	task->counted = false;
	s->in_flight--;
}

void target_task_abort(struct target_task *task)
{
	struct target_session *s = task->session;

	if (task->aborted) {
		/* Perhaps it was only its own PDU that it waited for. */
		target_task_reap(task);
		return;
	}
	log_trace(iscsi_debug_session, "iSCSI %s: task 0x%08x aborted", s->nexus.initiator_name,
		  task->itt);
	task->aborted = true;
	target_task_uncount(task);
	list_del(&task->waiting);
	if (!task->started)
		target_cmd_sn_unhold(s, task);
	if (task->state != TASK_SUBMITTED)
		target_task_reap(task);
	else if (!task->unmapped)
		lu_abort(task->lu, &task->scsi);	/* may end it at once */
}

/* What the unit has not begun yet is not executed any more, and says so. */
void target_task_unmap(struct target_task *task)
{
	bool aborted = task->aborted;

	task->unmapped = true;
	if (task->state == TASK_COLLECTING) {
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_LUN_NOT_SUPPORTED);
		task->lu = NULL;
	} else if (task->state == TASK_SUBMITTED && !aborted) {
		lu_abort(task->lu, &task->scsi);
	}
}

void target_task_reap(struct target_task *task)
{
	struct target_session *s = task->session;

	if (!task->aborted && !task->answered)
		return;
	if (task->state == TASK_SUBMITTED || task->unsent || task->receiving)
		return;
	target_task_uncount(task);
	list_del(&task->node);
	list_del(&task->bucket);
	if (task->admitted)
		s->bytes -= task->len;
	if (task->orphan)
		s->orphans--;
	free_task(task);
	if (!list_empty(&s->waiting) || !list_empty(&s->tmfs) || !list_empty(&s->logouts)
	    || s->ending || s->service->shutting_down || target_cmd_sn_is_closed(s))
		target_session_settle(s);
}
