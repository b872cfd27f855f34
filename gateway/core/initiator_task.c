/*
 * Commands on the wire: sending them with their unsolicited data, answering R2Ts,
 * taking Data-In and the outcome (RFC 7143 §4.2.4, §11.3, §11.4, §11.7, §11.8).
 *
 * Called by the session and the receive side. A task is borrowed from submit to
 * done; a slot is its place on the wire. No PDU points into a buffer any more when
 * its task is done.
 */
#include <assert.h>
#include <string.h>

#include "field.h"
#include "initiator_private.h"
#include "min.h"

struct task_slot *task_slot(struct initiator *ini, uint32_t itt)
{
	struct task_slot *slot;

	if (TAG_KIND(itt) != TAG_TASK || TAG_INDEX(itt) >= ini->conf.max_tasks)
		return NULL;
	slot = &ini->slots[TAG_INDEX(itt)];
	return slot->itt == itt && slot->task && !slot->answered ? slot : NULL;
}

/*
 * Once a target has said that an abort is complete, or that there is no such task, nothing may
 * come of it (RFC 7143 §4.2.3.3); tgtd says so and then sends the outcome all the same. It costs
 * nothing to look away, and a session not to.
 */
void task_over(struct initiator *ini, uint32_t itt)
{
	ini->over[ini->over_count++ % TAGS_REMEMBERED] = itt;
}

bool task_is_over(const struct initiator *ini, uint32_t itt)
{
	unsigned count = ini->over_count < TAGS_REMEMBERED ? ini->over_count : TAGS_REMEMBERED;

	for (unsigned i = 0; i < count; i++)
		if (ini->over[i] == itt)
			return true;
	return false;
}

static struct task_slot *slot_take(struct initiator *ini, struct scsi_task *task)
{
	struct list *node = list_pop(&ini->idle);
	struct task_slot *slot;

	assert(node);
	slot = container_of(node, struct task_slot, node);
	assert(!slot->task && !slot->unsent && !slot->aborting);
	slot->itt = TAG(TAG_TASK, (slot->itt >> 16) + 1, slot - ini->slots);
	slot->task = task;
	slot->data_sn = slot->asked = 0;
	slot->answered = false;
	task->priv = slot;
	ini->busy++;
	return slot;
}

/* Free again, unless the answer to the abort is still to come. */
static void slot_put(struct initiator *ini, struct task_slot *slot)
{
	if (slot->task || slot->aborting)
		return;
	list_add_head(&ini->idle, &slot->node);	/* it is still in the cache */
	ini->busy--;
}

static void complete(struct initiator *ini, struct task_slot *slot)
{
	struct scsi_task *task = slot->task;

	assert(!slot->unsent);
	slot->task = NULL;
	task->priv = NULL;
	slot_put(ini, slot);
	lu_complete(&ini->lu, task);
}

void task_finish(struct initiator *ini, struct task_slot *slot)
{
	assert(slot->task);
	slot->answered = true;
	if (!slot->unsent)
		complete(ini, slot);
}

void task_pdu_sent(struct initiator *ini, struct task_slot *slot)
{
	assert(slot->unsent > 0);
	slot->unsent--;
	if (slot->answered && !slot->unsent)
		complete(ini, slot);
}

void task_abort_over(struct initiator *ini, struct task_slot *slot)
{
	assert(slot->aborting);
	slot->aborting = false;
	slot_put(ini, slot);
}

void task_finish_all(struct initiator *ini, const uint32_t *before_cmd_sn, uint8_t status)
{
	for (unsigned i = 0; i < ini->conf.max_tasks; i++) {
		struct task_slot *slot = &ini->slots[i];

		if (!slot->task || slot->answered
		    || (before_cmd_sn && !sn_lt(slot->cmd_sn, *before_cmd_sn)))
			continue;
		slot->task->status = status;
		slot->task->sense_len = 0;
		task_finish(ini, slot);
	}
}

/* Data-Out for [offset, end), cut to what the target receives at once (RFC 7143 §11.7). */
static void send_data(struct initiator *ini, struct task_slot *slot, uint32_t ttt,
		      uint32_t offset, uint32_t end)
{
	struct bhs bhs = {
		.op = OP_DATA_OUT, .lun = ini->lun, .itt = slot->itt, .ttt = ttt,
		.exp_stat_sn = ini->exp_stat_sn,
	};

	assert(end <= slot->task->data_len);
	for (; offset < end; offset += bhs.data_len, bhs.data_sn++) {
		bhs.offset = offset;
		bhs.data_len = min_u32(end - offset, ini->params.max_recv_data_segment_length);
		bhs.final = offset + bhs.data_len == end;
		pdu_send(ini, &bhs, NULL, slot->task->data + offset, slot);
	}
}

/* A CDB of more than 16 bytes goes on in an additional header segment (RFC 7143 §11.2.2.3). */
static uint8_t extended_cdb(const struct scsi_task *task, uint8_t ahs[EXTENDED_CDB_AHS])
{
	size_t rest = task->wire_len - 16u;

	if (task->wire_len <= 16)
		return 0;
	assert(task->wire_len <= MAX_CDB);
	memset(ahs, 0, EXTENDED_CDB_AHS);
	put_be16(ahs, (uint16_t)(rest + 1));	/* AHSLength: from the reserved byte on */
	ahs[2] = 1;				/* AHSType: extended CDB */
	memcpy(ahs + 4, task->wire + 16, rest);
	return (uint8_t)((4 + rest + 3) / 4);
}

void task_send(struct initiator *ini, struct scsi_task *task)
{
	const struct login_params *p = &ini->params;
	struct task_slot *slot = slot_take(ini, task);
	bool write = task->direction == CDB_DATA_OUT;
	uint32_t unsolicited = write ? min_u32(task->data_len, p->first_burst_length) : 0;
	uint32_t immediate = p->immediate_data
		? min_u32(unsolicited, p->max_recv_data_segment_length) : 0;
	uint8_t ahs[EXTENDED_CDB_AHS];
	struct bhs bhs = {
		.op = OP_SCSI_COMMAND, .lun = ini->lun, .itt = slot->itt,
		.read = task->direction == CDB_DATA_IN, .write = write,
		.attribute = task->attribute, .edtl = task->data_len,
		.cmd_sn = ini->cmd_sn, .exp_stat_sn = ini->exp_stat_sn,
		.ahs_words = extended_cdb(task, ahs), .data_len = immediate,
	};

	assert(sn_le(ini->cmd_sn, ini->max_cmd_sn));
	slot->cmd_sn = ini->cmd_sn++;
	if (p->initial_r2t)
		unsolicited = immediate;
	bhs.final = immediate == unsolicited;	/* no unsolicited Data-Out follows */
	memcpy(bhs.cdb, task->wire, sizeof(bhs.cdb));
	pdu_send(ini, &bhs, ahs, task->data, slot);
	send_data(ini, slot, ISCSI_NO_TAG, immediate, unsolicited);
}

bool task_place(struct initiator *ini, const struct bhs *bhs, uint8_t **where)
{
	struct task_slot *slot = task_slot(ini, bhs->itt);
	const struct scsi_task *task;

	*where = NULL;
	if (!slot || slot->task->direction != CDB_DATA_IN) {
		conn_fail(&ini->conn, "Data-In for no read of ours, ITT 0x%x (RFC 7143 §11.2.1.8)",
			  bhs->itt);
		return false;
	}
	task = slot->task;
	if (bhs->offset > task->data_len || bhs->data_len > task->data_len - bhs->offset) {
		conn_fail(&ini->conn, "Data-In of %u bytes at %u is beyond the %u of the command "
			  "(RFC 7143 §11.7.4)", bhs->data_len, bhs->offset, task->data_len);
		return false;
	}
	/* DataPDUInOrder and DataSequenceInOrder are always Yes: RFC 7143 §13.18, §13.19. */
	if (bhs->data_sn != slot->data_sn || (bhs->data_len && bhs->offset != task->moved)) {
		conn_fail(&ini->conn, "Data-In %u at %u where %u at %u was due (RFC 7143 §11.7.5)",
			  bhs->data_sn, bhs->offset, slot->data_sn, task->moved);
		return false;
	}
	if (bhs->data_len)
		*where = task->data + bhs->offset;
	return true;
}

/* What the CDB called for, from the residual count (RFC 7143 §11.4.5). */
static void take_residual(struct scsi_task *task, const struct bhs *bhs)
{
	uint32_t len = task->data_len;

	task->wanted = len;
	if (bhs->overflow)
		task->wanted = (uint64_t)len + bhs->residual;
	else if (bhs->underflow)
		task->wanted = len - min_u32(bhs->residual, len);
	if (task->direction == CDB_DATA_OUT)
		task->moved = min_u32(len, task->wanted < len ? (uint32_t)task->wanted : len);
	else if (task->moved < task->wanted && task->status == STATUS_GOOD && !bhs->overflow)
		task->wanted = task->moved;	/* what did not come cannot be passed on as data */
}

void task_data_in(struct initiator *ini, const struct bhs *bhs)
{
	struct task_slot *slot = task_slot(ini, bhs->itt);

	if (!slot && task_is_over(ini, bhs->itt))
		return;
	assert(slot);		/* task_place() has seen it, and nothing came in between */
	slot->data_sn++;
	slot->task->moved += bhs->data_len;
	if (!bhs->has_status)
		return;
	slot->task->status = bhs->status;
	take_residual(slot->task, bhs);
	task_finish(ini, slot);
}

/* SenseLength and the sense data (RFC 7143 §11.4.7), as much as there really is and as we keep. */
static void take_sense(struct scsi_task *task, const uint8_t *data, uint32_t len)
{
	uint32_t sense_len;

	if (task->status != STATUS_CHECK_CONDITION || len < 2)
		return;
	sense_len = min_u32(min_u32(get_be16(data), len - 2), SENSE_MAX_LEN);
	memcpy(task->sense, data + 2, sense_len);
	task->sense_len = (uint8_t)sense_len;
}

void task_response(struct initiator *ini, const struct bhs *bhs, const uint8_t *data)
{
	struct task_slot *slot = task_slot(ini, bhs->itt);
	struct scsi_task *task;

	if (!slot && task_is_over(ini, bhs->itt))
		return;
	if (!slot) {
		conn_fail(&ini->conn, "SCSI Response to no command of ours, ITT 0x%x "
			  "(RFC 7143 §11.2.1.8)", bhs->itt);
		return;
	}
	task = slot->task;
	ini->served = true;
	/* Anything but "completed at target" leaves the outcome open: RFC 7143 §11.4.3 */
	task->status = bhs->response ? LU_LOST : bhs->status;
	take_residual(task, bhs);
	take_sense(task, data, bhs->data_len);
	task_finish(ini, slot);
}

/* False after conn_fail(). */
static bool r2t_ok(struct initiator *ini, const struct task_slot *slot, const struct bhs *bhs)
{
	const char *wrong = NULL;

	if (!slot || slot->task->direction != CDB_DATA_OUT)
		wrong = "no write has this tag";
	else if (bhs->r2t_sn != slot->data_sn)
		wrong = "R2TSN out of order (RFC 7143 §11.8.2)";
	else if (!bhs->desired_len || bhs->desired_len > ini->params.max_burst_length)
		wrong = "length 0 or beyond MaxBurstLength (RFC 7143 §11.8.4)";
	else if (bhs->offset > slot->task->data_len
		 || bhs->desired_len > slot->task->data_len - bhs->offset)
		wrong = "beyond the data of the command (RFC 7143 §11.8.4)";
	/* Not only out of order: who asks for the same again and again has us queue it each time. */
	else if (bhs->offset < slot->asked)
		wrong = "that has been asked for (RFC 7143 §13.19)";
	else if (bhs->ttt == ISCSI_NO_TAG)
		wrong = "reserved target transfer tag (RFC 7143 §11.8.5)";
	if (wrong)
		conn_fail(&ini->conn, "R2T for %u bytes at %u, ITT 0x%x: %s", bhs->desired_len,
			  bhs->offset, bhs->itt, wrong);
	return !wrong;
}

void task_r2t(struct initiator *ini, const struct bhs *bhs)
{
	struct task_slot *slot = task_slot(ini, bhs->itt);

	if ((!slot && task_is_over(ini, bhs->itt)) || !r2t_ok(ini, slot, bhs))
		return;
	slot->data_sn++;
	slot->asked = bhs->offset + bhs->desired_len;
	send_data(ini, slot, bhs->ttt, bhs->offset, slot->asked);
}
