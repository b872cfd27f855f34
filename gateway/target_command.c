/*
 * What the header of a SCSI Command says (RFC 7143 §11.3): whether it makes sense, who executes
 * the command, and how much of its data will be transferred.
 *
 * Called by target_dispatch.c, before any data of the command has come. A command that will not
 * be executed is refused here and becomes a task all the same: its status goes out in its turn.
 */
#include "field.h"
#include "target_conn.h"
#include "target_private.h"
#include "target_session.h"
#include "target_task.h"

#define EXTRA_COMMANDS		8	/* immediate ones beyond the CmdSN window */

/* RFC 7143 §11.2.2 */
#define AHS_HEADER_LEN		3	/* AHSLength and AHSType */
#define AHS_EXTENDED_CDB	1

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
	if (b->immediate && s->in_flight >= s->service->conf->queue_depth + EXTRA_COMMANDS)
		return REJECT_IMMEDIATE;
	return REJECT_NONE;
}

/*
 * The one additional header segment that a command may have holds the CDB beyond its first 16
 * bytes (RFC 7143 §11.2.2.3). False: there is another, or it is none. *more stays NULL if there
 * is none at all.
 */
static bool find_extended_cdb(const uint8_t *ahs, size_t len, const uint8_t **more, size_t *more_len)
{
	size_t body, whole;

	*more = NULL;
	*more_len = 0;
	if (len == 0)
		return true;
	if (len < AHS_HEADER_LEN)
		return false;
	body = get_be16(ahs);
	whole = AHS_HEADER_LEN + body;
	whole += -whole & 3;
	/* The body begins with a byte that is reserved. */
	if (whole != len || body < 1 || ahs[2] != AHS_EXTENDED_CDB)
		return false;
	*more = ahs + AHS_HEADER_LEN + 1;
	*more_len = body - 1;
	return true;
}

/* SAM-5 §5.14: these are answered in spite of a unit attention. */
static bool needs_luns_told(const struct cdb *cdb)
{
	return cdb->id != CDB_INQUIRY && cdb->id != CDB_REPORT_LUNS && cdb->id != CDB_REQUEST_SENSE;
}

/* By the opcode: what is wrong with the rest of it is for the far end to say. */
static bool is_reservation(uint8_t opcode)
{
	static const enum cdb_id ids[] = {
		CDB_RESERVE_6, CDB_RELEASE_6, CDB_RESERVE_10, CDB_RELEASE_10, CDB_PR_OUT_RESERVE,
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (cdb_row(ids[i])->opcode == opcode)
			return true;
	return false;
}

/* What the far end of a unit that passes through cannot know, and is judged here instead. */
static void judge_for_far_end(struct target_task *task)
{
	struct target_session *s = task->session;
	const struct scsi_task *scsi = &task->scsi;

	/* Such a unit has no unit attentions of ours: one of them says for the session that its
	 * LUNs have changed. */
	if (s->untold && needs_luns_told(&scsi->cdb)) {
		s->untold = false;
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_LUNS_CHANGED);
	}
	/* It would look for copy sources and destinations among all that it maps to us, which may
	 * be more than this initiator has. */
	if (scsi->wire[0] == cdb_row(CDB_EXTENDED_COPY_LID1)->opcode)
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_INVALID_OPCODE);
	/* That we were told not to write. Nor do we know who else writes there: it is not for us to
	 * keep them off. */
	if (scsi->read_only && (cdb_may_write(&scsi->cdb) || cdb_rules(&scsi->cdb)))
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_WRITE_PROTECTED);
	/* All initiators of one of our workers are one to it, and those of two workers are two: whom
	 * a reservation keeps off would be chance, and a fence that is none is worse than none. */
	if (is_reservation(scsi->wire[0]))
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_INVALID_OPCODE);
}

/* Who executes it, and what it says to them. */
static void decode(struct target_task *task)
{
	struct scsi_task *scsi = &task->scsi;
	struct scsi_lu *lu = target_session_lu(task->session, task->lun, &scsi->read_only);

	scsi->verdict = cdb_decode(scsi->wire, scsi->wire_len, lu ? lu->caps : CDB_CAPS_ALL,
				   &scsi->cdb, &scsi->bad);
	/* The list of logical units is the target's to tell, whichever of them is asked. */
	task->lu = scsi->cdb.id == CDB_REPORT_LUNS ? NULL : lu;
	if (!lu || lu->interprets)
		return;
	if (scsi->verdict != CDB_OK)
		scsi->cdb.id = CDB_UNKNOWN;
	judge_for_far_end(task);
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

enum reject_reason target_command_take(struct target_pdu *pdu, const uint8_t *ahs, size_t len)
{
	enum reject_reason reject = command_fault(pdu);
	const uint8_t *more_cdb;
	size_t more_len;

	if (reject)
		return reject;
	if (!find_extended_cdb(ahs, len, &more_cdb, &more_len))
		return REJECT_INVALID_FIELD;
	pdu->task = target_task_new(pdu, more_cdb, more_len);
	if (!pdu->task) {
		conn_fail(&pdu->conn->conn, "no memory for a command");
		return REJECT_NOT_SUPPORTED;
	}
	decode(pdu->task);
	plan(pdu->task);
	return REJECT_NONE;
}
