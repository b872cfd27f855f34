/*
 * Reading, writing and caching (SBC-3 §5): the data path. A plain READ or WRITE is one
 * block request on the task's own buffer.
 *
 * Where the initiator expects fewer bytes than its CDB calls for, only those move
 * (RFC 7143 §11.4.5.2): a read may end within a block, a write takes the whole blocks
 * that came and leaves the rest of the medium alone.
 */
#include "disk_private.h"

static uint64_t start_of(const struct disk_op *op)
{
	return op->task->cdb.lba * op->disk->lu.block_len;
}

/* READ --------------------------------------------------------------------------- */

static void read_done(struct disk_op *op)
{
	op->task->moved = (uint32_t)op->req.length;
	disk_op_done(op);
}

static void read_data(struct disk_op *op)
{
	uint32_t room = disk_room(op->task);
	uint64_t len = op->task->wanted < room ? op->task->wanted : room;

	disk_op_request(op, BLK_READ, 0, start_of(op), len, op->task->data, read_done);
}

void disk_read(struct disk_lu *disk, struct scsi_task *task)
{
	struct disk_op *op;

	if (!disk_may_transfer(disk, task))
		return;
	if (!task->wanted || !disk_room(task)) {
		disk_good(disk, task);
		return;
	}
	op = disk_op_new(disk, task);
	if (!op)
		return;
	/* SBC-3 §4.15: FUA reads from the medium; what is only in the cache goes there first. */
	if (task->cdb.fua && disk_write_back(disk))
		disk_op_request(op, BLK_FLUSH, 0, 0, 0, NULL, read_data);
	else
		read_data(op);
}

/* WRITE -------------------------------------------------------------------------- */

static void write_data(struct disk_op *op)
{
	disk_op_request(op, BLK_WRITE, disk_fua(op->disk, op->task), op->first, op->end - op->first,
			op->task->data, disk_op_done);
}

/* Begin to write the blocks that came. NULL: there are none, or the command is refused; the
 * task is finished. */
static struct disk_op *begin_write(struct disk_lu *disk, struct scsi_task *task)
{
	uint32_t whole = task->moved - task->moved % disk->lu.block_len;
	struct disk_op *op;

	if (!disk_may_transfer(disk, task))
		return NULL;
	if (!whole) {
		disk_good(disk, task);
		return NULL;
	}
	op = disk_op_new(disk, task);
	if (!op)
		return NULL;
	op->first = op->at = start_of(op);
	op->end = op->first + whole;
	return op;
}

void disk_write(struct disk_lu *disk, struct scsi_task *task)
{
	struct disk_op *op = begin_write(disk, task);

	if (op)
		write_data(op);
}

/*
 * SBC-4, WRITE ATOMIC(16): all the blocks or none, where the device can promise that (blk.h,
 * max_atomic). ATOMIC BOUNDARY would make several of one, which nobody's device does.
 */
void disk_write_atomic(struct disk_lu *disk, struct scsi_task *task)
{
	struct disk_op *op;

	if (!disk_in_range(disk, task))
		return;
	if (task->cdb.blocks > disk_max_atomic(disk)) {
		disk_refuse_field(disk, task, blocks);
		return;
	}
	if (!disk_has_arrived(disk, task))
		return;
	if (!task->cdb.blocks) {
		disk_good(disk, task);
		return;
	}
	op = disk_op_new(disk, task);
	if (op)
		disk_op_request(op, BLK_WRITE, BLK_ATOMIC | disk_fua(disk, task), start_of(op),
				task->wanted, task->data, disk_op_done);
}

/* What is verified is the medium, so the data has to be there. */
static void write_to_medium(struct disk_op *op)
{
	disk_op_request(op, BLK_WRITE, BLK_FUA, op->first, op->end - op->first, op->task->data,
			disk_verify_medium);
}

void disk_write_and_verify(struct disk_lu *disk, struct scsi_task *task)
{
	struct disk_op *op;

	if (task->cdb.bytchk > 1) {
		disk_refuse_field(disk, task, bytchk);
		return;
	}
	op = begin_write(disk, task);
	if (op)
		disk_op_steady(op, write_to_medium);
}

/* Caches ------------------------------------------------------------------------- */

/*
 * SBC-3 §5.26. The whole cache is flushed, whatever the range. With IMMED the status
 * comes after the flush all the same: the stronger promise, and one that needs no
 * deferred error to be taken back.
 */
void disk_synchronize_cache(struct disk_lu *disk, struct scsi_task *task)
{
	struct disk_op *op;

	if (!disk_in_range(disk, task))
		return;
	op = disk_op_new(disk, task);
	if (op)
		disk_op_request(op, BLK_FLUSH, 0, 0, 0, NULL, disk_op_done);
}

static void pre_fetched(struct disk_op *op)
{
	bool all = op->first + op->req.length == op->end;

	op->task->status = all ? STATUS_CONDITION_MET : STATUS_GOOD;
	disk_finish(op->disk, op->task);
}

/*
 * SBC-3 §5.9: CONDITION MET says that all of it is cached, GOOD that there was no room for all.
 * A length of 0 is "to the end", which may be far more than anybody's cache takes.
 */
void disk_pre_fetch(struct disk_lu *disk, struct scsi_task *task)
{
	uint64_t blocks = cdb_extent(&task->cdb), len;
	struct disk_op *op;

	if (!disk_in_range(disk, task))
		return;
	if (!blocks)
		blocks = disk_blocks(disk) - task->cdb.lba;
	if (!blocks || !disk->dev->info.can_cache) {
		disk_good(disk, task);
		return;
	}
	op = disk_op_new(disk, task);
	if (!op)
		return;
	len = blocks * disk->lu.block_len;
	op->first = start_of(op);
	op->end = op->first + len;
	disk_op_request(op, BLK_CACHE, 0, op->first,
			len < disk->lu.max_transfer ? len : disk->lu.max_transfer, NULL,
			pre_fetched);
}
