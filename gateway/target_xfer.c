/*
 * A command's data and status on the wire (RFC 7143 §11.4, §11.7, §11.8): unsolicited
 * data, R2Ts and the Data-Out PDUs that answer them, Data-In sequences, SCSI
 * Responses with residuals.
 *
 * Called by target_dispatch.c with what comes in, by target_task.c for what is to go
 * out. Data is received into the task's buffer and sent from it.
 */
#include <assert.h>
#include <string.h>

#include "field.h"
#include "min.h"
#include "target_conn.h"
#include "target_session.h"
#include "target_task.h"

/* Data-In PDUs of one task that wait to be sent. */
#define DATA_IN_UNSENT_MAX	16

/* ---- Data-Out */

/* How much the initiator may send of its own accord, immediate data included. */
static uint32_t first_burst(const struct target_task *task)
{
	return min_u32(task->conn->params.first_burst_length, task->edtl);
}

/* RFC 7143 §11.4.7.2: unsolicited data that must not be, or not be that much. */
static void check_immediate(struct target_task *task, const struct bhs *b)
{
	const struct login_params *params = &task->conn->params;

	if ((b->data_len && !params->immediate_data) || (!b->final && params->initial_r2t))
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_UNEXPECTED_UNSOLICITED_DATA);
	if (b->data_len > params->first_burst_length)
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_NOT_ENOUGH_UNSOLICITED_DATA);
}

uint8_t *target_xfer_begin(struct target_task *task, const struct bhs *b)
{
	uint32_t burst = first_burst(task);

	check_immediate(task, b);
	task->unsolicited = !b->final;
	task->unsolicited_got = b->data_len;
	if (task->refused || !task->len || (b->final && !b->data_len))
		return NULL;
	/* What comes unasked may be more than the CDB has use for. */
	if (!target_task_buffer(task, task->len > burst ? task->len : burst))
		return NULL;
	return b->data_len ? task->buf : NULL;
}

/* Where the data of a PDU goes, if it is the one that is due; otherwise the task is refused. */
static uint8_t *due(struct target_task *task, const struct bhs *b, uint32_t offset, uint32_t room,
		    uint32_t data_sn)
{
	if (b->data_sn != data_sn) {
		/* RFC 7143 §7.9: one before it must have been lost to a digest error. */
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_CRC_ERROR);
	} else if (b->offset != offset || b->data_len > room) {
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_NOT_ENOUGH_UNSOLICITED_DATA);
	}
	if (task->refused || !task->buf || b->data_len == 0)
		return NULL;
	assert((uint64_t)offset + b->data_len <= task->buf_len);
	return task->buf + offset;
}

static uint8_t *due_unsolicited(struct target_task *task, const struct bhs *b)
{
	uint32_t got = task->unsolicited_got, burst = first_burst(task);

	if (!task->unsolicited)
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_UNEXPECTED_UNSOLICITED_DATA);
	return due(task, b, got, got < burst ? burst - got : 0, task->unsolicited_data_sn);
}

static struct target_r2t *find_r2t(struct target_task *task, uint32_t ttt)
{
	for (unsigned i = 0; i < TARGET_MAX_R2T; i++)
		if (task->r2t[i].open && task->r2t[i].ttt == ttt)
			return &task->r2t[i];
	return NULL;
}

/* More may have come than was asked for: then the task is refused already. */
static uint32_t room_in(const struct target_r2t *r2t)
{
	return r2t->got < r2t->len ? r2t->len - r2t->got : 0;
}

bool target_xfer_header(struct target_rx *rx, struct target_session *s)
{
	const struct bhs *b = &rx->pdu.bhs;
	struct target_task *task = target_task_find(s, b->itt);

	/* RFC 7143 §4.2.5.1: a command's data comes by its connection. */
	if (!task || task->state != TASK_COLLECTING || task->conn != rx->pdu.conn)
		return false;
	if (task->scsi.direction != CDB_DATA_OUT) {
		rx->pdu.reject = REJECT_PROTOCOL_ERROR;
		return true;
	}
	if (b->ttt == ISCSI_NO_TAG) {
		rx->into = due_unsolicited(task, b);
	} else {
		rx->r2t = find_r2t(task, b->ttt);
		if (!rx->r2t) {
			rx->pdu.reject = REJECT_INVALID_FIELD;
			return true;
		}
		rx->into = due(task, b, rx->r2t->offset + rx->r2t->got, room_in(rx->r2t),
			       rx->r2t->data_sn);
	}
	rx->task = task;
	return true;
}

/* The F bit: as much as there had to be? (RFC 7143 §11.4.7.2, "Incorrect amount of data") */
static void end_unsolicited(struct target_task *task)
{
	uint32_t burst = task->conn->params.first_burst_length;

	task->unsolicited = false;
	if (task->edtl > burst && task->unsolicited_got != burst)
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_NOT_ENOUGH_UNSOLICITED_DATA);
}

static void end_r2t(struct target_task *task, struct target_r2t *r2t)
{
	assert(task->r2ts > 0);
	r2t->open = false;
	task->r2ts--;
	if (r2t->got != r2t->len)
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_NOT_ENOUGH_UNSOLICITED_DATA);
}

void target_xfer_data(struct target_rx *rx, bool spoiled)
{
	const struct bhs *b = &rx->pdu.bhs;
	struct target_task *task = rx->task;

	if (spoiled) {
		target_reject(rx->pdu.conn, rx->pdu.wire, REJECT_DATA_DIGEST);
		target_task_refuse(task, STATUS_CHECK_CONDITION, SENSE_CRC_ERROR);
	}
	if (rx->r2t) {
		rx->r2t->got += b->data_len;
		rx->r2t->data_sn++;
		if (b->final)
			end_r2t(task, rx->r2t);
	} else if (task->unsolicited) {
		task->unsolicited_got += b->data_len;
		task->unsolicited_data_sn++;
		if (b->final)
			end_unsolicited(task);
	}
	/* Ended while this was on its way here, it has waited for nothing else. */
	if (task->aborted)
		target_task_reap(task);
	else
		target_xfer_continue(task);
}

static bool send_r2t(struct target_task *task)
{
	struct target_conn *c = task->conn;
	struct target_out *out = target_out_new(c);
	struct target_r2t *r2t = task->r2t;
	struct bhs b = { .op = OP_R2T, .itt = task->itt, .lun = task->lun, .stat_sn = c->stat_sn };

	if (!out)
		return false;
	while (r2t->open)
		r2t++;
	*r2t = (struct target_r2t){
		.open = true, .ttt = target_session_ttt(task->session), .offset = task->solicited,
		.len = min_u32(c->params.max_burst_length, task->len - task->solicited),
	};
	task->r2ts++;
	task->solicited += r2t->len;
	b.ttt = r2t->ttt;
	b.r2t_sn = task->r2t_sn++;
	b.offset = r2t->offset;
	b.desired_len = r2t->len;
	target_out_send(out, &b, NULL, 0);
	return true;
}

/* No R2T goes beyond what EDTL and the CDB both call for: there is no data, or no use for it. */
static void solicit(struct target_task *task)
{
	uint32_t have = min_u32(task->unsolicited_got, task->len);

	if (task->solicited < have)
		task->solicited = have;
	if (task->solicited < task->len && !target_task_buffer(task, task->len))
		return;
	while (task->r2ts < task->conn->params.max_outstanding_r2t && task->solicited < task->len)
		if (!send_r2t(task))
			return;
}

void target_xfer_continue(struct target_task *task)
{
	assert(!task->aborted);
	if (!task->admitted || task->unsolicited)
		return;
	if (!task->refused)
		solicit(task);
	/* RFC 7143 §7.8: a task that is refused ends, too, when all that was asked for has come. */
	if (task->r2ts == 0 && (task->refused || task->solicited == task->len))
		target_task_submit(task);
}

/* ---- Data-In and status */

/* RFC 7143 §11.4.5: what the CDB called for, or what moved, against EDTL. */
static void put_residual(const struct target_task *task, struct bhs *b)
{
	const struct scsi_task *scsi = &task->scsi;
	uint64_t over;

	if (scsi->wanted > task->edtl) {
		over = scsi->wanted - task->edtl;
		b->overflow = true;
		b->residual = over < UINT32_MAX ? (uint32_t)over : UINT32_MAX;
	} else if (scsi->moved < task->edtl) {
		b->underflow = true;
		b->residual = task->edtl - scsi->moved;
	}
}

static void put_status(struct target_task *task, struct bhs *b)
{
	target_task_uncount(task);
	task->answered = true;
	b->status = task->scsi.status;
	b->stat_sn = target_stat_sn(task->conn);
	put_residual(task, b);
}

/* RFC 7143 §11.7.3: a status rides on the last Data-In PDU if it is a good one. */
static bool status_rides(const struct scsi_task *scsi)
{
	return (scsi->status == STATUS_GOOD || scsi->status == STATUS_CONDITION_MET)
	       && !scsi->sense_len;
}

static bool send_data_in(struct target_task *task)
{
	const struct scsi_task *scsi = &task->scsi;
	const struct login_params *params = &task->conn->params;
	struct target_out *out = target_out_new(task->conn);
	uint32_t burst = params->max_burst_length - task->sent % params->max_burst_length;
	uint32_t left = min_u32(scsi->moved - task->sent, burst);
	/* RFC 7143 §11.7.7: only the last PDU of a sequence may need padding. */
	uint32_t len = min_u32(left, params->max_recv_data_segment_length & ~UINT32_C(3));
	struct bhs b = { .op = OP_DATA_IN, .itt = task->itt, .ttt = ISCSI_NO_TAG,
			 .data_sn = task->data_sn, .offset = task->sent, .final = len == left };

	if (!out)
		return false;
	if (task->sent + len == scsi->moved && status_rides(scsi)) {
		b.has_status = true;
		put_status(task, &b);
	}
	out->task = task;
	target_out_send(out, &b, scsi->data + task->sent, len);
	task->sent += len;
	task->data_sn++;
	return true;
}

/* RFC 7143 §11.4.7: SenseLength, then the sense data. */
static uint32_t sense_segment(const struct scsi_task *scsi, uint8_t segment[2 + SENSE_MAX_LEN])
{
	if (!scsi->sense_len)
		return 0;
	put_be16(segment, scsi->sense_len);
	memcpy(segment + 2, scsi->sense, scsi->sense_len);
	return 2u + scsi->sense_len;
}

static void send_response(struct target_task *task)
{
	/* RFC 7143 §11.4.8: 0 where there was no Data-In, whatever there was of R2Ts. */
	struct bhs b = { .op = OP_SCSI_RESPONSE, .itt = task->itt, .exp_data_sn = task->data_sn };
	uint8_t segment[2 + SENSE_MAX_LEN];
	uint32_t len = sense_segment(&task->scsi, segment);

	put_status(task, &b);
	target_send_copy(task->conn, &b, segment, len);
}

void target_xfer_answer(struct target_task *task)
{
	uint32_t total = task->scsi.direction == CDB_DATA_IN ? task->scsi.moved : 0;

	assert(task->state == TASK_ANSWERING && !task->answered && !task->aborted);
	while (task->sent < total) {
		if (task->unsent == DATA_IN_UNSENT_MAX)
			return;
		if (!send_data_in(task))
			return;
	}
	if (!task->answered)
		send_response(task);
	target_task_reap(task);
}
