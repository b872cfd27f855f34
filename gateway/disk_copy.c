/*
 * EXTENDED COPY(LID1), SPC-4 §6.4: from blocks to blocks, between logical units that the
 * nexus of the command has. disk_copy_list.c reads what is to be copied.
 *
 * Reservations, write protection and the ends of both units are looked at again before every
 * window of data, for they may change while the copy runs.
 *
 * The operation is of the unit that the command was sent to. Its requests go to the units
 * that it copies between, which are instances of the same worker, one at a time: a read
 * into the window, the wait for the destination's range, a write.
 */
#include "disk_copy.h"

#include <string.h>

#include "disk_private.h"
#include "pool.h"

void copy_abort(struct disk_lu *disk, struct scsi_task *task, unsigned segment, uint32_t reason)
{
	const struct sense sense = { .reason = reason, .command_specific = segment };

	disk_sense(disk, task, &sense);
	disk_finish(disk, task);
}

bool copy_is_within(const struct disk_lu *disk, uint64_t lba, uint64_t offset, uint64_t len)
{
	uint64_t blocks = disk_blocks(disk), rest;

	if (lba > blocks)
		return false;
	rest = (blocks - lba) * disk->lu.block_len;
	return offset <= rest && len <= rest - offset;
}

uint32_t copy_obstacle(const struct scsi_task *task, const struct copy_segment *s)
{
	struct sense sense;

	/* ASC 21h would say more, but no host expects it with this key: the segment has to do. */
	if (!copy_is_within(s->source, 0, s->from, s->left) ||
	    !copy_is_within(s->destination, 0, s->to, s->left))
		return SENSE_COPY_ABORTED;
	if (disk_sanitize_sense(s->source, &sense) || disk_sanitize_sense(s->destination, &sense))
		return SENSE_COPY_TARGET_UNREACHABLE;
	if (disk_conflicts(s->source, task, ACCESS_READ) ||
	    disk_conflicts(s->destination, task, ACCESS_WRITE) ||
	    disk_write_protected(s->destination) || s->read_only)
		return SENSE_THIRD_PARTY_DEVICE_FAILURE;
	return SENSE_NONE;
}

static void abort_running(struct disk_op *op, uint32_t reason)
{
	copy_abort(op->disk, op->task, op->copy->current, reason);
}

void disk_copy_failed(struct disk_op *op)
{
	/* What passes with time is not the devices' failure. */
	op->task->status = errmap_status(op->req.error);
	if (op->task->status == STATUS_CHECK_CONDITION)
		abort_running(op, SENSE_THIRD_PARTY_DEVICE_FAILURE);
	else
		disk_finish(op->disk, op->task);
}

static void next_window(struct disk_op *op);

static void window_written(struct disk_op *op)
{
	struct copy *copy = op->copy;
	struct copy_segment *s = &copy->segments[copy->current];

	s->from += op->req.length;
	s->to += op->req.length;
	s->left -= op->req.length;
	if (copy->record)
		copy->record->bytes += (uint32_t)op->req.length;
	next_window(op);
}

static void write_window(struct disk_op *op)
{
	const struct copy_segment *s = &op->copy->segments[op->copy->current];
	uint32_t reason = copy_obstacle(op->task, s);

	if (reason == SENSE_NONE)
		disk_op_request(op, BLK_WRITE, disk_fua(s->destination, op->task), s->to,
				op->req.length, op->buffer, window_written);
	else
		abort_running(op, reason);
}

static void window_read(struct disk_op *op)
{
	const struct copy_segment *s = &op->copy->segments[op->copy->current];

	op->where = s->destination;
	write_window(op);
}

static void next_window(struct disk_op *op)
{
	struct copy *copy = op->copy;
	struct copy_segment *s;
	uint32_t reason;

	while (copy->current < copy->count && !copy->segments[copy->current].left)
		copy->current++;
	if (copy->record)
		copy->record->segments = (uint16_t)copy->current;
	if (copy->current == copy->count) {
		disk_op_done(op);
		return;
	}
	s = &copy->segments[copy->current];
	reason = copy_obstacle(op->task, s);
	if (reason != SENSE_NONE) {
		abort_running(op, reason);
		return;
	}
	op->where = s->source;
	disk_op_request(op, BLK_READ, 0, s->from, s->left < COPY_WINDOW ? s->left : COPY_WINDOW,
			op->buffer, window_read);
}

void disk_copy_end(struct disk_op *op)
{
	struct copy_record *record = op->copy->record;
	const struct scsi_task *task = op->task;

	if (record) {
		record->running = false;
		record->status = task->status;
		record->sense_len = task->sense_len;
		memcpy(record->sense, task->sense, task->sense_len);
	}
	op->disk->copies.running--;
	pool_put(op->disk->lu.loop->pool, op->copy, sizeof(*op->copy));
}

/* An operation with a copy of its own; NULL: no memory, the task is finished. */
static struct disk_op *begin(struct disk_lu *disk, struct scsi_task *task,
			     const struct copy *copy)
{
	struct disk_op *op = disk_op_new(disk, task);

	if (!op || !disk_op_buffer(op, COPY_WINDOW))
		return NULL;
	op->copy = pool_get(disk->lu.loop->pool, sizeof(*op->copy));
	if (!op->copy) {
		task->status = STATUS_TASK_SET_FULL;
		disk_finish(disk, task);
		return NULL;
	}
	*op->copy = *copy;
	disk->copies.running++;
	if (copy->is_known && task->nexus) {
		op->copy->record = copy_record_new(&disk->copies, task->nexus, copy->list_id);
		op->copy->record->number = op->number;
	}
	return op;
}

void disk_extended_copy(struct disk_lu *disk, struct scsi_task *task)
{
	struct copy copy = { 0 };
	struct copy_record *earlier;
	struct disk_op *op;

	if (!task->cdb.param_len) {
		disk_good(disk, task);	/* SPC-4 §6.4.2: no error */
		return;
	}
	if (!copy_list_take(disk, task, &copy))
		return;
	earlier = copy_record_find(&disk->copies, task->nexus, copy.list_id);
	if (earlier && earlier->running && copy.is_known) {
		disk_refuse(disk, task, SENSE_OPERATION_IN_PROGRESS);
		return;
	}
	if (disk->copies.running == COPY_MAX_RUNNING || !copy_records_ready(&disk->copies)) {
		task->status = STATUS_TASK_SET_FULL;
		disk_finish(disk, task);
		return;
	}
	op = begin(disk, task, &copy);
	if (op)
		next_window(op);
}
