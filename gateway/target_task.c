/*
 * A SCSI command's life in the target: made from its header, started in its turn,
 * admitted when there is room for its data, submitted when its data has come,
 * answered when the logical unit is done with it. What moves on the wire in between
 * is target_xfer.c's.
 */
#include <assert.h>
#include <string.h>

#include "field.h"
#include "log.h"
#include "pool.h"
#include "scsi_data.h"
#include "target_private.h"

/* RFC 7143 §11.2.2 */
#define AHS_HEADER_LEN		3	/* AHSLength and AHSType */
#define AHS_EXTENDED_CDB	1

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

/* ---- from the header */

/* RFC 7143 §11.3: flags and lengths that do not go together. */
static enum reject_reason command_fault(const struct target_pdu *pdu)
{
	const struct bhs *b = &pdu->bhs;
	struct target_session *s = pdu->conn->session;

	if (b->read && b->write)
		return REJECT_NOT_SUPPORTED;	/* no bidirectional commands */
	if (!b->read && !b->write && b->edtl)
		return REJECT_INVALID_FIELD;
	if (!b->write && (!b->final || b->data_len))
		return REJECT_INVALID_FIELD;
	if (b->data_len > b->edtl || b->itt == ISCSI_NO_TAG)
		return REJECT_INVALID_FIELD;
	if (target_task_find(s, b->itt))
		return REJECT_PROTOCOL_ERROR;
	/* The window does not bound immediate commands, and each holds memory. */
	if (b->immediate && s->in_flight >= s->service->conf->queue_depth + TARGET_EXTRA_COMMANDS)
		return REJECT_IMMEDIATE;
	return REJECT_NONE;
}

/* The first 16 bytes come from the header, the rest from the AHS (RFC 7143 §11.2.2.3). */
static enum reject_reason take_extended_cdb(struct target_task *task, const uint8_t *rest,
					    size_t len)
{
	size_t cdb_len = sizeof(task->cdb) + len;

	if (task->long_cdb)
		return REJECT_INVALID_FIELD;
	task->long_cdb = pool_get(pool_of(task->session), cdb_len);
	if (!task->long_cdb) {
		conn_fail(&task->conn->conn, "no memory for a command");
		return REJECT_NOT_SUPPORTED;
	}
	task->long_cdb_len = (uint32_t)cdb_len;
	memcpy(task->long_cdb, task->cdb, sizeof(task->cdb));
	memcpy(task->long_cdb + sizeof(task->cdb), rest, len);
	task->scsi.wire = task->long_cdb;
	task->scsi.wire_len = (uint16_t)cdb_len;
	return REJECT_NONE;
}

static enum reject_reason take_ahs(struct target_task *task, const uint8_t *ahs, size_t len)
{
	while (len) {
		enum reject_reason reject;
		size_t body, whole;

		if (len < AHS_HEADER_LEN)
			return REJECT_INVALID_FIELD;
		body = get_be16(ahs);
		whole = AHS_HEADER_LEN + body;
		whole += -whole & 3;
		/* The body begins with a byte that is reserved in both types there are. */
		if (whole > len || body < 1 || ahs[2] != AHS_EXTENDED_CDB)
			return REJECT_INVALID_FIELD;
		reject = take_extended_cdb(task, ahs + AHS_HEADER_LEN + 1, body - 1);
		if (reject)
			return reject;
		ahs += whole;
		len -= whole;
	}
	return REJECT_NONE;
}

/* SAM-5 §5.14: these are answered in spite of a unit attention. */
static bool needs_luns_told(const struct cdb *cdb)
{
	return cdb->id != CDB_INQUIRY && cdb->id != CDB_REPORT_LUNS && cdb->id != CDB_REQUEST_SENSE;
}

/* Who executes it, and what it says to them. A unit that passes through has no unit attentions
 * of ours, so one of them says for the session that its LUNs have changed. */
static void decode(struct target_task *task)
{
	struct scsi_task *scsi = &task->scsi;
	struct target_session *s = task->session;
	struct scsi_lu *lu = target_lu(s, task->lun, &scsi->read_only);

	scsi->verdict = cdb_decode(scsi->wire, scsi->wire_len, lu ? lu->caps : CDB_CAPS_ALL,
				   &scsi->cdb, &scsi->bad);
	/* The list of logical units is the target's to tell, whichever of them is asked. */
	task->lu = scsi->cdb.id == CDB_REPORT_LUNS ? NULL : lu;
	if (lu && !lu->interprets && scsi->verdict != CDB_OK)
		scsi->cdb.id = CDB_UNKNOWN;
	if (lu && !lu->interprets && s->untold && needs_luns_told(&scsi->cdb)) {
		s->untold = false;
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_LUNS_CHANGED);
	}
	/* Of a pass-through, the far end would look for copy sources and destinations among all that
	 * it maps to us, which may be more than this initiator has. */
	if (lu && !lu->interprets && scsi->wire[0] == cdb_row(CDB_EXTENDED_COPY_LID1)->opcode)
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_INVALID_OPCODE);
	/* The far end of a pass-through does not know that we were told not to write. Nor do we know
	 * who else writes there: it is not for us to keep them off. */
	if (lu && !lu->interprets && scsi->read_only
	    && (cdb_may_write(&scsi->cdb) || cdb_rules(&scsi->cdb)))
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_WRITE_PROTECTED);
}

/* Is there more data than was called for, where that is not simply left over? More than one block
 * for many, or than two equal halves, are blocks of another length, or of a count that has lost its
 * upper bits: COMPARE AND WRITE has eight of them, and its initiator believes that it compares. */
static bool is_misfit(const struct target_task *task, uint64_t called)
{
	switch (cdb_row(task->scsi.cdb.id)->payload) {
	case CDB_PAYLOAD_SAME:
		return called && task->edtl > called;
	case CDB_PAYLOAD_COMPARE:
		return task->edtl > called;
	default:
		return false;
	}
}

/* How many bytes the CDB itself calls for, in the direction that the initiator expects. */
static uint64_t called_for(struct target_task *task)
{
	const struct scsi_task *scsi = &task->scsi;
	uint64_t called;

	if (task->lu && !task->lu->interprets)
		return task->edtl;	/* the far end knows */
	if (scsi->verdict != CDB_OK)
		return 0;
	if (!task->lu)
		return scsi->direction == CDB_DATA_IN ? scsi->cdb.alloc_len : 0;
	called = cdb_transfer_len(&scsi->cdb, task->lu->block_len);
	if (is_misfit(task, called))
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_INVALID_FIELD_IN_CDB);
	if (!task->edtl || (called && cdb_direction(&scsi->cdb) == scsi->direction))
		return called;
	/* A buffer for the other direction, or for nothing, is none: what is read goes nowhere,
	 * which the residual says. But what is to be written must not be missed in silence. */
	if (called && cdb_direction(&scsi->cdb) == CDB_DATA_OUT)
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_INVALID_FIELD_IN_CDB);
	return 0;
}

/* Decide what will be transferred: the smaller of what both sides expect (RFC 7143 §11.4.5.2). */
static void plan(struct target_task *task)
{
	uint32_t limit = task->session->service->conf->max_transfer;
	uint64_t called = called_for(task);

	if (task->lu && task->lu->max_transfer && task->lu->max_transfer < limit)
		limit = task->lu->max_transfer;
	task->len = called < task->edtl ? (uint32_t)called : task->edtl;
	if (task->len > limit) {
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_INVALID_FIELD_IN_CDB);
		task->len = 0;
	}
}

static void on_done(struct scsi_task *scsi);

static struct target_task *from_header(struct target_pdu *pdu)
{
	const struct bhs *b = &pdu->bhs;
	struct target_session *s = pdu->conn->session;
	struct target_task *task = pool_zalloc(pool_of(s), sizeof(*task));

	if (!task)
		return NULL;
	task->session = s;
	task->conn = pdu->conn;
	task->serial = s->next_serial++;
	task->lun = b->lun;
	task->itt = b->itt;
	task->cmd_sn = b->cmd_sn;
	task->immediate = b->immediate;
	task->edtl = b->edtl;
	memcpy(task->cdb, b->cdb, sizeof(task->cdb));
	task->scsi.wire = task->cdb;
	task->scsi.wire_len = sizeof(task->cdb);
	task->scsi.attribute = b->attribute;
	task->scsi.nexus = &s->nexus;
	task->scsi.done = on_done;
	task->scsi.direction = !b->edtl ? CDB_NO_DATA : b->read ? CDB_DATA_IN : CDB_DATA_OUT;
	list_init(&task->node);
	list_init(&task->bucket);
	list_init(&task->waiting);
	return task;
}

static void free_task(struct target_task *task)
{
	struct pool *pool = pool_of(task->session);

	pool_put(pool, task->buf, task->buf_len);
	pool_put(pool, task->long_cdb, task->long_cdb_len);
	pool_put(pool, task, sizeof(*task));
}

enum reject_reason target_task_new(struct target_pdu *pdu, const uint8_t *ahs, size_t len)
{
	struct target_session *s = pdu->conn->session;
	enum reject_reason reject = command_fault(pdu);
	struct target_task *task;

	if (reject)
		return reject;
	task = from_header(pdu);
	if (!task) {
		conn_fail(&pdu->conn->conn, "no memory for a command");
		return REJECT_NOT_SUPPORTED;
	}
	reject = take_ahs(task, ahs, len);
	if (reject) {
		free_task(task);
		return reject;
	}
	list_add_tail(&s->tasks, &task->node);
	list_add_tail(bucket(s, task->itt), &task->bucket);
	s->in_flight++;
	task->counted = true;
	decode(task);
	plan(task);
	pdu->task = task;
	return REJECT_NONE;
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
	bool is_copy = target_lu(task->session, task->lun, NULL) == task->lu;

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
		target_session_unhold(s, task);
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
	    || s->ending || s->service->shutting_down)
		target_session_settle(s);
}
