/*
 * The commands that ask after the unit as a whole or would move it (SPC-4 §6, SBC-3
 * §5): readiness, sense, capacity, start and stop, self test, defects. The medium is
 * always in, always turning and free of defects; only its size varies.
 */
#include <string.h>

#include "disk_private.h"
#include "field.h"
#include "scsi_data.h"

void disk_test_unit_ready(struct disk_lu *disk, struct scsi_task *task)
{
	disk_good(disk, task);
}

/* SPC-4 §6.39: a waiting unit attention is parameter data here, and is thereby reported; then
 * comes how far a sanitize operation is. */
void disk_request_sense(struct disk_lu *disk, struct scsi_task *task)
{
	struct sense sense = { .reason = SENSE_NONE };
	struct nexus_state *nexus = NULL;
	uint8_t wire[SENSE_MAX_LEN];

	if (task->nexus)
		nexus = lu_instance_find(&disk->instance, task->nexus);
	if (nexus)
		sense.reason = nexus_take_attention(nexus);
	if (sense.reason == SENSE_NONE)
		disk_sanitize_sense(disk, &sense);
	disk_reply(disk, task, wire, sense_build(&sense, task->cdb.desc, wire),
		   task->cdb.alloc_len);
}

/*
 * LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT: what the device writes whole, or what it is said to.
 * What it prefers is another thing, the granularity of VPD B0h: NBD servers name 4096 and more
 * out of habit, and there are hosts that refuse a disk of larger physical blocks (ESXi).
 */
static uint8_t physical_exponent(const struct disk_lu *disk)
{
	uint32_t whole = disk->dev->info.min_block, said = disk_shared(disk)->conf.physical_len;
	uint8_t exponent = 0;

	if (said > whole)
		whole = said;
	while (whole >> exponent > disk->lu.block_len)
		exponent++;
	return exponent;
}

static struct capacity capacity_of(const struct disk_lu *disk)
{
	return (struct capacity){
		.last_lba = disk_blocks(disk) - 1,	/* disk_start() saw that there are any */
		.block_len = disk->lu.block_len,
		.lbppbe = physical_exponent(disk),
		.lbpme = disk->dev->info.can_trim,
		.lbprz = disk_reads_unmapped_as_zeroes(disk),
	};
}

void disk_read_capacity_10(struct disk_lu *disk, struct scsi_task *task)
{
	const struct capacity capacity = capacity_of(disk);
	uint8_t wire[CAPACITY_10_LEN];

	disk_reply(disk, task, wire, capacity_10_encode(&capacity, wire), CAPACITY_10_LEN);
}

void disk_read_capacity_16(struct disk_lu *disk, struct scsi_task *task)
{
	const struct capacity capacity = capacity_of(disk);
	uint8_t wire[CAPACITY_16_LEN];

	disk_reply(disk, task, wire, capacity_16_encode(&capacity, wire), task->cdb.alloc_len);
}

/*
 * SBC-3 §5.25. A unit that many hosts share is not stopped by one of them, nor is its
 * medium ejected, nor does it sleep: those are refused rather than feigned.
 */
void disk_start_stop_unit(struct disk_lu *disk, struct scsi_task *task)
{
	if (task->cdb.power_condition)
		disk_refuse_field(disk, task, power_condition);
	else if (task->cdb.loej)
		disk_refuse_field(disk, task, loej);
	else if (!task->cdb.start)
		disk_refuse_field(disk, task, start);
	else
		disk_good(disk, task);
}

/* SPC-4 §6.22: the medium cannot be removed, so it is as well prevented as allowed. */
void disk_prevent_allow(struct disk_lu *disk, struct scsi_task *task)
{
	if (task->cdb.prevent > 1)
		disk_refuse_field(disk, task, prevent);
	else
		disk_good(disk, task);
}

/* SPC-4 §6.42: the default self test passes; there are no diagnostic pages to receive, and
 * no self tests of other kinds. */
void disk_send_diagnostic(struct disk_lu *disk, struct scsi_task *task)
{
	if (task->cdb.self_test_code)
		disk_refuse_field(disk, task, self_test_code);
	else if (task->cdb.param_len)
		disk_refuse_field(disk, task, param_len);
	else
		disk_good(disk, task);
}

/* SBC-3 §5.18, §5.19: an empty list, of whatever kind and format was asked for. */
struct defect_list {
	bool	plistv, glistv;
	uint8_t format;
};

#define FIELD_STRUCT struct defect_list
static const struct field defect_list[] = {
	FIELD_BIT(plistv, 1, 4), FIELD_BIT(glistv, 1, 3), FIELD(format, 1, 2, 3), FIELD_END
};
#undef FIELD_STRUCT
#define DEFECT_LIST_10_LEN	4
#define DEFECT_LIST_12_LEN	8

void disk_read_defect_data(struct disk_lu *disk, struct scsi_task *task)
{
	const struct defect_list list = {
		.plistv = task->cdb.req_plist,
		.glistv = task->cdb.req_glist,
		.format = task->cdb.defect_format,
	};
	uint8_t wire[DEFECT_LIST_12_LEN] = { 0 };
	bool ten = task->cdb.id == CDB_READ_DEFECT_DATA_10;

	field_encode(defect_list, &list, wire);
	disk_reply(disk, task, wire, ten ? DEFECT_LIST_10_LEN : DEFECT_LIST_12_LEN,
		   task->cdb.alloc_len);
}
