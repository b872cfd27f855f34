/*
 * Giving blocks back and filling them (SBC-3 §4.7, §5): UNMAP and WRITE SAME.
 *
 * Both become BLK_ZERO where the device can: without BLK_NO_HOLE it may free the
 * space, and what it keeps reads as zeroes all the same, which is what LBPRZ
 * promises. BLK_TRIM, whose outcome many devices leave open, is for those that
 * cannot zero. Neither ends before the whole range is done.
 *
 * WRITE SAME goes piece by piece: others have their turns between the pieces, and an
 * abort is seen there.
 */
#include <string.h>

#include "disk_private.h"
#include "scsi_data.h"

/* UNMAP -------------------------------------------------------------------------- */

#define UNMAP_DESCRIPTOR_DATA_LENGTH_AT	2
#define UNMAP_BLOCKS_AT			8	/* NUMBER OF LOGICAL BLOCKS within a descriptor */

/* What a parameter list asks for, all of it judged. */
struct unmap_job {
	uint32_t count;		/* descriptors */
	uint64_t first, end;	/* bytes from the lowest to the highest that any of them names */
};

static void unmap_next(struct disk_op *op)
{
	enum blk_op what = disk_unmaps_with_zeroes(op->disk) ? BLK_ZERO : BLK_TRIM;
	uint32_t block_len = op->disk->lu.block_len;
	struct unmap_range range;

	while (op->index < op->count) {
		unmap_decode(op->task->data, op->index++, &range);
		if (!range.blocks)
			continue;	/* SBC-3 §5.28: no error */
		disk_op_request(op, what, disk_fua(op->disk, op->task), range.lba * block_len,
				(uint64_t)range.blocks * block_len, NULL, unmap_next);
		return;
	}
	disk_op_done(op);
}

static void include(struct unmap_job *job, uint64_t first, uint64_t end)
{
	if (job->first == job->end) {
		job->first = first;
		job->end = end;
	}
	if (first < job->first)
		job->first = first;
	if (end > job->end)
		job->end = end;
}

/* False: something in the descriptors is wrong, and the task is finished. */
static bool judge_ranges(struct disk_lu *disk, struct scsi_task *task, struct unmap_job *job)
{
	uint64_t capacity = disk_blocks(disk), total = 0;
	uint32_t block_len = disk->lu.block_len;
	struct unmap_range range;

	for (uint32_t i = 0; i < job->count; i++) {
		unmap_decode(task->data, i, &range);
		if (range.lba > capacity || range.blocks > capacity - range.lba) {
			disk_refuse(disk, task, SENSE_LBA_OUT_OF_RANGE);
			return false;
		}
		total += range.blocks;
		if (total > DISK_MAX_UNMAP) {
			disk_refuse_parameter(disk, task, UNMAP_HEADER_LEN +
					      i * UNMAP_DESCRIPTOR_LEN + UNMAP_BLOCKS_AT, -1);
			return false;
		}
		if (range.blocks)
			include(job, range.lba * block_len, (range.lba + range.blocks) * block_len);
	}
	return true;
}

/* False: the list is wrong, and the task is finished. Nothing has been unmapped by then. */
static bool judge_list(struct disk_lu *disk, struct scsi_task *task, struct unmap_job *job)
{
	uint32_t len = task->cdb.param_len;
	int count = disk_arrived(task) < len ? -1 : unmap_count(task->data, len);

	if (count < 0) {
		disk_refuse(disk, task, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	if (count > DISK_MAX_UNMAP_RANGES) {
		disk_refuse_parameter(disk, task, UNMAP_DESCRIPTOR_DATA_LENGTH_AT, -1);
		return false;
	}
	job->count = (uint32_t)count;
	return judge_ranges(disk, task, job);
}

void disk_unmap(struct disk_lu *disk, struct scsi_task *task)
{
	struct unmap_job job = { 0 };
	struct disk_op *op;

	if (task->cdb.param_len && !judge_list(disk, task, &job))
		return;
	if (job.first == job.end) {
		disk_good(disk, task);
		return;
	}
	op = disk_op_new(disk, task);
	if (!op)
		return;
	op->count = job.count;
	unmap_next(op);
}

/* WRITE SAME --------------------------------------------------------------------- */

static bool is_zero(const uint8_t *data, size_t len)
{
	return !data[0] && !memcmp(data, data + 1, len - 1);
}

/* How much of what is left is the next request's, which has "most" bytes. */
static uint64_t next_piece(struct disk_op *op, uint64_t most)
{
	uint64_t left;

	op->at += op->req.length;	/* 0 before the first request */
	left = op->end - op->at;
	return left < most ? left : most;
}

static void zero_next(struct disk_op *op)
{
	uint32_t flags = disk_fua(op->disk, op->task);
	uint64_t len = next_piece(op, DISK_ZERO_PIECE);

	if (!op->task->cdb.unmap)
		flags |= BLK_NO_HOLE;
	if (len)
		disk_op_request(op, BLK_ZERO, flags, op->at, len, NULL, zero_next);
	else
		disk_op_done(op);
}

static void fill_next(struct disk_op *op)
{
	uint64_t len = next_piece(op, op->buffer_len);

	if (len)
		disk_op_request(op, BLK_WRITE, disk_fua(op->disk, op->task), op->at, len,
				op->buffer, fill_next);
	else
		disk_op_done(op);
}

static void fill(struct disk_op *op)
{
	uint32_t block_len = op->disk->lu.block_len;
	uint64_t all = op->end - op->first;
	size_t len = all < DISK_CHUNK ? (size_t)all : DISK_CHUNK;

	if (!disk_op_buffer(op, len))
		return;
	for (size_t at = 0; at < len; at += block_len)
		memcpy(op->buffer + at, op->task->data, block_len);
	fill_next(op);
}

void disk_write_same(struct disk_lu *disk, struct scsi_task *task)
{
	uint64_t blocks = cdb_extent(&task->cdb);
	uint32_t block_len = disk->lu.block_len;
	struct disk_op *op;

	if (!disk_in_range(disk, task) || !disk_has_arrived(disk, task))
		return;
	/* SBC-3 §5.42: none is all to the last one, which must be there; WSNZ = 0 says that we know
	 * that (§6.6.4). The limit holds for those, too. */
	if (!blocks)
		blocks = disk_blocks(disk) - task->cdb.lba;
	if (!blocks) {
		disk_refuse(disk, task, SENSE_LBA_OUT_OF_RANGE);
		return;
	}
	if (blocks > DISK_MAX_WRITE_SAME) {
		disk_refuse_field(disk, task, blocks);
		return;
	}
	op = disk_op_new(disk, task);
	if (!op)
		return;
	op->first = op->at = task->cdb.lba * block_len;
	op->end = op->first + blocks * block_len;
	/* Each block is written or, if UNMAP = 1, unmapped (SBC-3 §5.42), and what is unmapped reads
	 * as zeroes: LBPRZ = 1. So it does at LIO, CTL and tgt, too, whatever block comes along. */
	if (task->cdb.ndob || task->cdb.unmap || is_zero(task->data, block_len))
		zero_next(op);
	else
		fill(op);
}
