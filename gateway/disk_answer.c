/*
 * How commands are answered: with parameter data, with GOOD, or with a refusal that
 * says where the fault is. Called by every command of the interpreter; each answer
 * hands the task to disk_finish().
 */
#include <assert.h>
#include <string.h>

#include "disk_private.h"
#include "field.h"

uint32_t disk_arrived(const struct scsi_task *task)
{
	return task->direction == CDB_DATA_OUT ? task->data_len : 0;
}

uint32_t disk_room(const struct scsi_task *task)
{
	return task->direction == CDB_DATA_IN ? task->data_len : 0;
}

void disk_good(struct disk_lu *disk, struct scsi_task *task)
{
	task->status = STATUS_GOOD;
	disk_finish(disk, task);
}

void disk_reply(struct disk_lu *disk, struct scsi_task *task, const uint8_t *data, size_t len,
		uint32_t alloc_len)
{
	uint32_t room = disk_room(task);

	/* SPC-4 §4.3.5.6: what does not fit the ALLOCATION LENGTH is cut off, and is no error. */
	task->wanted = len < alloc_len ? len : alloc_len;
	task->moved = task->wanted < room ? (uint32_t)task->wanted : room;
	if (task->moved)
		memcpy(task->data, data, task->moved);
	disk_good(disk, task);
}

void disk_sense(struct disk_lu *disk, struct scsi_task *task, const struct sense *sense)
{
	task->status = STATUS_CHECK_CONDITION;
	task->sense_len = (uint8_t)sense_build(sense, disk_mode(disk, MODE_D_SENSE), task->sense);
}

static void refuse_with(struct disk_lu *disk, struct scsi_task *task, const struct sense *sense)
{
	disk_sense(disk, task, sense);
	disk_finish(disk, task);
}

void disk_refuse(struct disk_lu *disk, struct scsi_task *task, uint32_t reason)
{
	const struct sense sense = { .reason = reason };

	refuse_with(disk, task, &sense);
}

void disk_refuse_cdb(struct disk_lu *disk, struct scsi_task *task, uint16_t byte, uint8_t bit)
{
	const struct sense sense = {
		.reason = SENSE_INVALID_FIELD_IN_CDB,
		.has_field = true, .in_cdb = true, .byte = byte,
		.has_bit = true, .bit = bit,
	};

	refuse_with(disk, task, &sense);
}

void disk_refuse_member(struct disk_lu *disk, struct scsi_task *task, size_t member)
{
	const struct field *f = cdb_row(task->cdb.id)->fields;

	while (f->name && f->member != member)
		f++;
	assert(f->name);
	disk_refuse_cdb(disk, task, f->byte, f->bit);
}

void disk_refuse_parameter(struct disk_lu *disk, struct scsi_task *task, size_t byte, int bit)
{
	const struct sense sense = {
		.reason = SENSE_INVALID_FIELD_IN_PARAMETERS,
		.has_field = true, .byte = (uint16_t)byte,
		.has_bit = bit >= 0, .bit = bit >= 0 ? (uint8_t)bit : 0,
	};

	assert(byte <= UINT16_MAX && bit <= 7);
	refuse_with(disk, task, &sense);
}

bool disk_in_range(struct disk_lu *disk, struct scsi_task *task)
{
	uint64_t capacity = disk_blocks(disk);

	if (task->cdb.lba <= capacity && cdb_extent(&task->cdb) <= capacity - task->cdb.lba)
		return true;
	disk_refuse(disk, task, SENSE_LBA_OUT_OF_RANGE);
	return false;
}

bool disk_may_transfer(struct disk_lu *disk, struct scsi_task *task)
{
	if (!disk_in_range(disk, task))
		return false;
	if (cdb_transfer_len(&task->cdb, disk->lu.block_len) <= disk->lu.max_transfer)
		return true;
	/* SBC-3 §6.6.4, MAXIMUM TRANSFER LENGTH */
	disk_refuse_field(disk, task, blocks);
	return false;
}

bool disk_has_arrived(struct disk_lu *disk, struct scsi_task *task)
{
	if (disk_arrived(task) >= cdb_transfer_len(&task->cdb, disk->lu.block_len))
		return true;
	disk_refuse_field(disk, task, blocks);
	return false;
}
