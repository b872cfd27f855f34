/*
 * Commands that look at what is on the medium (SBC-3 §5): VERIFY and the second half
 * of WRITE AND VERIFY, COMPARE AND WRITE, ORWRITE.
 *
 * The last two read, think and write: the range is theirs alone meanwhile, across all
 * sessions, workers and protocols, by the device's range lock.
 */
#include <string.h>

#include "disk_private.h"
#include "min.h"

/* Index of the first byte that differs; len when none does. */
static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	if (!memcmp(a, b, len))
		return len;
	while (a[i] == b[i])
		i++;
	return i;
}

/* INFORMATION is how far into what was compared the first difference is, in bytes. */
static void miscompare(struct disk_op *op, uint64_t offset)
{
	const struct sense sense = {
		.reason = SENSE_MISCOMPARE_VERIFY,
		.has_information = true, .information = offset,
	};

	disk_sense(op->disk, op->task, &sense);
	disk_finish(op->disk, op->task);
}

/* VERIFY ------------------------------------------------------------------------- */

/* The same as first_difference(), against one block over and over. */
static size_t differs_from_block(const uint8_t *medium, const uint8_t *block, size_t block_len,
				 size_t len)
{
	size_t same = block_len;

	for (size_t at = 0; at < len; at += block_len) {
		same = first_difference(medium + at, block, block_len);
		if (same < block_len)
			return at + same;
	}
	return len;
}

static size_t matching(const struct disk_op *op, size_t len)
{
	const uint8_t *data = op->task->data;

	switch (op->task->cdb.bytchk) {
	case 1:
		return first_difference(op->buffer, data + (op->at - op->first), len);
	case 3:
		return differs_from_block(op->buffer, data, op->disk->lu.block_len, len);
	default:
		return len;	/* that it can be read is all that was asked */
	}
}

static void verify_next(struct disk_op *op);

static void verify_chunk(struct disk_op *op)
{
	size_t len = op->req.length, same = matching(op, len);

	if (same < len) {
		miscompare(op, op->at - op->first + same);
		return;
	}
	op->at += len;
	verify_next(op);
}

static void verify_next(struct disk_op *op)
{
	if (op->at < op->end)
		disk_op_request(op, BLK_READ, 0, op->at, min_u64(op->end - op->at, DISK_CHUNK),
				op->buffer, verify_chunk);
	else
		disk_op_done(op);
}

void disk_verify_medium(struct disk_op *op)
{
	if (disk_op_buffer(op, min_u64(op->end - op->at, DISK_CHUNK)))
		verify_next(op);
}

/* How many bytes of the medium are to be looked at: for BYTCHK 1, what there is to compare. */
static uint64_t verify_len(const struct disk_lu *disk, const struct scsi_task *task)
{
	return task->cdb.bytchk == 1 ? task->moved : cdb_extent(&task->cdb) * disk->lu.block_len;
}

void disk_verify(struct disk_lu *disk, struct scsi_task *task)
{
	uint64_t len = verify_len(disk, task);
	struct disk_op *op;

	if (task->cdb.bytchk == 2) {
		disk_refuse_field(disk, task, bytchk);
		return;
	}
	if (!disk_may_transfer(disk, task))
		return;
	if (task->cdb.bytchk == 3 && !disk_has_arrived(disk, task))
		return;
	if (!len) {
		disk_good(disk, task);
		return;
	}
	op = disk_op_new(disk, task);
	if (!op)
		return;
	op->first = op->at = task->cdb.lba * disk->lu.block_len;
	op->end = op->first + len;
	disk_op_steady(op, disk_verify_medium);
}

/* COMPARE AND WRITE -------------------------------------------------------------- */

static void caw_compare(struct disk_op *op)
{
	size_t half = op->end - op->first;
	size_t same = first_difference(op->buffer, op->task->data, half);

	if (same < half)
		miscompare(op, same);
	else
		disk_op_request(op, BLK_WRITE, disk_fua(op->disk, op->task), op->first, half,
				op->task->data + half, disk_op_done);
}

static void caw_read(struct disk_op *op)
{
	disk_op_request(op, BLK_READ, 0, op->first, op->end - op->first, op->buffer, caw_compare);
}

/* SBC-3 §5.2: the first half of the data is what must be there, the second what is written. */
void disk_compare_and_write(struct disk_lu *disk, struct scsi_task *task)
{
	uint64_t len = cdb_extent(&task->cdb) * disk->lu.block_len;
	struct disk_op *op;

	if (!disk_may_transfer(disk, task) || !disk_has_arrived(disk, task))
		return;
	if (!len) {
		disk_good(disk, task);
		return;
	}
	op = disk_op_new(disk, task);
	if (!op || !disk_op_buffer(op, len))
		return;
	op->first = task->cdb.lba * disk->lu.block_len;
	op->end = op->first + len;
	disk_op_lock(op, op->first, op->end, caw_read);
}

/* ORWRITE ------------------------------------------------------------------------ */

static void or_next(struct disk_op *op);

static void or_written(struct disk_op *op)
{
	op->at += op->req.length;
	or_next(op);
}

static void or_merge(struct disk_op *op)
{
	const uint8_t *data = op->task->data + (op->at - op->first);
	size_t len = op->req.length;

	for (size_t i = 0; i < len; i++)
		op->buffer[i] |= data[i];
	disk_op_request(op, BLK_WRITE, disk_fua(op->disk, op->task), op->at, len,
			op->buffer, or_written);
}

static void or_next(struct disk_op *op)
{
	if (op->at < op->end)
		disk_op_request(op, BLK_READ, 0, op->at, min_u64(op->end - op->at, DISK_CHUNK),
				op->buffer, or_merge);
	else
		disk_op_done(op);
}

/* SBC-3 §5.8 */
void disk_orwrite(struct disk_lu *disk, struct scsi_task *task)
{
	uint32_t whole = task->moved - task->moved % disk->lu.block_len;
	struct disk_op *op;

	if (!disk_may_transfer(disk, task))
		return;
	if (!whole) {
		disk_good(disk, task);
		return;
	}
	op = disk_op_new(disk, task);
	if (!op || !disk_op_buffer(op, min_u64(whole, DISK_CHUNK)))
		return;
	op->first = op->at = task->cdb.lba * disk->lu.block_len;
	op->end = op->first + whole;
	disk_op_lock(op, op->first, op->end, or_next);
}
