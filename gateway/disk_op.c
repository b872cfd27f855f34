/*
 * A command that needs the device: one block request at a time, perhaps under a
 * range lock, until it ends well, fails, or is aborted. The operation is its own
 * from disk_op_new() to disk_finish(), which gives everything back.
 */
#include <assert.h>
#include <string.h>

#include "disk_private.h"
#include "pool.h"

static void finish_out_of_memory(struct disk_lu *disk, struct scsi_task *task)
{
	task->status = STATUS_TASK_SET_FULL;	/* SAM-5 §5.3.1: try again when there is room */
	disk_finish(disk, task);
}

struct disk_op *disk_op_new(struct disk_lu *disk, struct scsi_task *task)
{
	struct disk_op *op = pool_zalloc(disk->lu.loop->pool, sizeof(*op));

	assert(!task->priv);
	if (!op) {
		finish_out_of_memory(disk, task);
		return NULL;
	}
	op->disk = op->where = disk;
	op->task = task;
	op->number = ++disk->newest;
	list_init(&op->req.node);
	list_init(&op->range.node);
	list_add_tail(&disk->active, &op->node);
	if (disk_attribute(task) == TASK_ORDERED)
		disk->barrier = op;
	task->priv = op;
	return op;
}

bool disk_op_buffer(struct disk_op *op, size_t len)
{
	assert(!op->buffer);
	op->buffer = pool_get(op->disk->lu.loop->pool, len);
	op->buffer_len = len;
	if (op->buffer)
		return true;
	finish_out_of_memory(op->disk, op->task);
	return false;
}

void disk_op_done(struct disk_op *op)
{
	disk_good(op->disk, op->task);
}

static void go_on(struct disk_op *op)
{
	if (op->aborted)
		disk_finish(op->disk, op->task);
	else
		op->next(op);
}

static void range_locked(struct range *range)
{
	go_on(container_of(range, struct disk_op, range));
}

static void lock(struct disk_op *op, struct range_lock *where, void (*next)(struct disk_op *))
{
	assert(!op->lock);
	op->next = next;
	op->lock = where;
	op->range.locked = range_locked;
	op->range.loop = op->disk->lu.loop;
	if (range_lock(where, &op->range))
		next(op);
}

void disk_op_lock(struct disk_op *op, uint64_t first, uint64_t end, void (*next)(struct disk_op *))
{
	const struct blkdev *dev = op->where->dev;
	uint64_t mask = dev->info.min_block - 1;

	assert(first < end);
	op->range.first = first & ~mask;
	op->range.end = (end + mask) & ~mask;	/* no overflow: the device ends on such a block */
	op->range.exclusive = true;
	lock(op, dev->shared->ranges, next);
}

void disk_op_steady(struct disk_op *op, void (*next)(struct disk_op *))
{
	if (disk_max_atomic(op->disk))
		disk_op_lock(op, op->first, op->end, next);
	else
		next(op);
}

void disk_op_turn(struct disk_op *op, void (*next)(struct disk_op *))
{
	op->range.first = 0;
	op->range.end = 1;
	op->range.exclusive = true;
	lock(op, disk_shared(op->disk)->turns, next);
}

void disk_op_unlock(struct disk_op *op)
{
	if (op->lock)
		range_unlock(op->lock, &op->range);
	op->lock = NULL;
}

static enum errmap_kind kind_of(enum blk_op op)
{
	switch (op) {
	case BLK_READ:
	case BLK_CACHE:
		return ERRMAP_READ;
	case BLK_WRITE:
	case BLK_TRIM:
	case BLK_ZERO:
		return ERRMAP_WRITE;
	case BLK_FLUSH:
		return ERRMAP_FLUSH;
	case BLK_STATUS:
		break;
	}
	return ERRMAP_OTHER;
}

/* A request of the operation has failed: the operation ends with what is known of it. */
static void fail(struct disk_op *op)
{
	const struct blk_req *req = &op->req;
	struct scsi_task *task = op->task;
	struct disk_lu *disk = op->disk;
	uint32_t block_len = disk->lu.block_len;
	struct sense sense = { .reason = errmap_sense(req->error, kind_of(req->op)) };

	task->status = errmap_status(req->error);
	if (task->status == STATUS_CHECK_CONDITION) {
		/* SPC-4 §4.5.3: for these two keys INFORMATION is the block's address. */
		sense.has_information = req->has_error_offset &&
			(SENSE_KEY(sense.reason) == SENSE_KEY_MEDIUM_ERROR ||
			 SENSE_KEY(sense.reason) == SENSE_KEY_HARDWARE_ERROR);
		sense.information = req->error_offset / block_len;
		disk_sense(disk, task, &sense);
	}
	/* What was read before the bad block is good, and the host may use it. */
	if (req->op == BLK_READ && req->data == task->data && req->has_error_offset)
		task->moved = (uint32_t)((req->error_offset - req->offset) / block_len * block_len);
	disk_finish(disk, task);
}

static void request_done(struct blk_req *req)
{
	struct disk_op *op = container_of(req, struct disk_op, req);

	op->requesting = false;
	if (req->error && !op->aborted && op->copy)
		disk_copy_failed(op);
	else if (req->error && !op->aborted)
		fail(op);
	else
		go_on(op);
}

void disk_op_request(struct disk_op *op, enum blk_op what, uint32_t flags, uint64_t offset,
		     uint64_t length, uint8_t *data, void (*next)(struct disk_op *))
{
	struct blkdev *dev = op->where->dev;
	struct sense sense = { .reason = SENSE_NONE };
	struct blk_req *req = &op->req;

	assert(!op->requesting && !op->aborted);
	req->op = what;
	req->flags = flags | (op->lock ? BLK_LOCKED : 0);
	req->offset = offset;
	req->length = length;
	req->data = data;
	req->done = request_done;
	op->next = next;
	/* The device may have shrunk since the command was judged. */
	if (offset > dev->info.size || length > dev->info.size - offset) {
		disk_refuse(op->disk, op->task, SENSE_LBA_OUT_OF_RANGE);
		return;
	}
	/* What has begun before a sanitize operation ends with the request it was at. */
	if (disk_sanitize_sense(op->where, &sense)) {
		disk_sense(op->disk, op->task, &sense);
		disk_finish(op->disk, op->task);
		return;
	}
	op->requesting = true;
	blk_submit(dev, req);
}

bool disk_write_back(const struct disk_lu *disk)
{
	return disk->dev->info.can_flush && disk_mode(disk, MODE_WCE);
}

uint32_t disk_fua(const struct disk_lu *disk, const struct scsi_task *task)
{
	if (!disk->dev->info.can_flush)
		return 0;
	return task->cdb.fua || !disk_mode(disk, MODE_WCE) ? BLK_FUA : 0;
}
