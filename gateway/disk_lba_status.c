/*
 * GET LBA STATUS (SBC-3 §5.3): the device's extents, in bytes, become provisioning
 * status of whole blocks.
 */
#include "disk_private.h"
#include "scsi_data.h"

enum { LBA_MAPPED, LBA_DEALLOCATED };

#define MAX_DESCRIPTORS	512
#define MIN_RANGE	(UINT64_C(1) << 30)	/* bytes looked at, in however many pieces */

/* The buffer of the operation: what the device answers, and what is made of it. */
struct status_buffer {
	struct blk_extent extents[MAX_DESCRIPTORS];
	uint8_t wire[LBA_STATUS_HEADER_LEN + MAX_DESCRIPTORS * LBA_STATUS_DESCRIPTOR_LEN];
};

/* The list of descriptors, as it grows: always contiguous from the first LBA on. */
struct status_list {
	uint8_t *wire;
	uint32_t room, count;
	uint64_t next;			/* the LBA that the next descriptor begins with */
	struct lba_status last;
};

/* Extend the list to "end" with "status". False when it is full: the answer ends there. */
static bool append(struct status_list *list, uint64_t end, uint8_t status)
{
	while (list->next < end) {
		uint64_t blocks = end - list->next;
		bool joins = list->count && list->last.status == status &&
			     list->last.blocks < UINT32_MAX;

		if (!joins && list->count == list->room)
			return false;
		if (!joins) {
			list->last = (struct lba_status){ .lba = list->next, .status = status };
			list->count++;
		}
		if (blocks > UINT32_MAX - list->last.blocks)
			blocks = UINT32_MAX - list->last.blocks;
		list->last.blocks += (uint32_t)blocks;
		list->next += blocks;
		lba_status_encode(&list->last, list->wire + LBA_STATUS_HEADER_LEN +
				  (list->count - 1) * LBA_STATUS_DESCRIPTOR_LEN);
	}
	return true;
}

/* Deallocated must mean that it reads as LBPRZ says, so a hole of unknown contents is not. */
static uint8_t status_of(const struct disk_lu *disk, const struct blk_extent *extent)
{
	if (!(extent->flags & BLK_HOLE))
		return LBA_MAPPED;
	if (!(extent->flags & BLK_ZEROES) && disk_reads_unmapped_as_zeroes(disk))
		return LBA_MAPPED;
	return LBA_DEALLOCATED;
}

/* A block that two extents share counts as mapped. */
static void convert(const struct disk_op *op, struct status_list *list)
{
	uint32_t block_len = op->disk->lu.block_len;
	uint64_t at = op->req.offset, capacity = disk_blocks(op->disk);

	for (uint32_t i = 0; i < op->req.extent_count && list->next < capacity; i++) {
		const struct blk_extent *extent = &op->req.extents[i];
		uint64_t first = (at + block_len - 1) / block_len, end;

		at += extent->length;
		end = at / block_len < capacity ? at / block_len : capacity;
		if (!append(list, first < capacity ? first : capacity, LBA_MAPPED) ||
		    !append(list, end, status_of(op->disk, extent)))
			return;
	}
	if (!list->count)
		append(list, list->next + 1, LBA_MAPPED);
}

static void status_done(struct disk_op *op)
{
	struct status_buffer *buffer = (struct status_buffer *)(void *)op->buffer;
	struct scsi_task *task = op->task;
	struct status_list list = {
		.wire = buffer->wire, .room = op->req.extent_room, .next = task->cdb.lba,
	};

	convert(op, &list);
	lba_status_header(list.wire, list.count);
	disk_reply(op->disk, task, list.wire,
		   LBA_STATUS_HEADER_LEN + list.count * LBA_STATUS_DESCRIPTOR_LEN,
		   task->cdb.alloc_len);
}

static uint32_t descriptors_for(uint32_t alloc_len)
{
	uint32_t count = alloc_len / LBA_STATUS_DESCRIPTOR_LEN;

	if (alloc_len % LBA_STATUS_DESCRIPTOR_LEN < LBA_STATUS_HEADER_LEN && count)
		count--;
	if (!count)
		return 1;
	return count < MAX_DESCRIPTORS ? count : MAX_DESCRIPTORS;
}

void disk_get_lba_status(struct disk_lu *disk, struct scsi_task *task)
{
	uint64_t most = disk->dev->info.max_extent, len;
	struct disk_op *op;

	if (task->cdb.lba >= disk_blocks(disk)) {
		disk_refuse(disk, task, SENSE_LBA_OUT_OF_RANGE);
		return;
	}
	op = disk_op_new(disk, task);
	if (!op || !disk_op_buffer(op, sizeof(struct status_buffer)))
		return;
	len = (disk_blocks(disk) - task->cdb.lba) * disk->lu.block_len;
	if (most < MIN_RANGE)
		most = MIN_RANGE;
	op->req.extents = ((struct status_buffer *)(void *)op->buffer)->extents;
	op->req.extent_room = descriptors_for(task->cdb.alloc_len);
	disk_op_request(op, BLK_STATUS, op->req.extent_room == 1 ? BLK_REQ_ONE : 0,
			task->cdb.lba * disk->lu.block_len, len < most ? len : most, NULL,
			status_done);
}
