/*
 * A direct-access logical unit over a block device (SPC-4, SBC-3): opened once per
 * worker by whoever opened that worker's device, driven through lu.h by the iSCSI
 * target or by scsi_blk.
 *
 * This file says what the unit can do, given what its device can and as that changes, and
 * opens and closes it. Commands are disk_task_set.c's, and then disk_command.c's.
 */
#include "disk_lu.h"

#include <assert.h>
#include <stdlib.h>

#include "disk_private.h"

/* What the unit is and can --------------------------------------------------- */

uint32_t disk_max_atomic(const struct disk_lu *disk)
{
	const struct blk_info *info = &disk->dev->info;
	uint32_t blocks = info->max_atomic / disk->lu.block_len;

	if (info->min_block > disk->lu.block_len)
		return 0;
	return blocks < UINT16_MAX ? blocks : UINT16_MAX;	/* what the command can say */
}

uint64_t disk_blocks(const struct disk_lu *disk)
{
	return disk->dev->info.size / disk->lu.block_len;
}

bool disk_write_protected(const struct disk_lu *disk)
{
	return disk->dev->info.read_only || disk_mode(disk, MODE_SWP);
}

bool disk_unmaps_with_zeroes(const struct disk_lu *disk)
{
	/* Trimmed data is undefined on many devices; zeroes are not, and free the same space. */
	return disk->dev->info.can_trim && disk->dev->info.can_zero;
}

bool disk_reads_unmapped_as_zeroes(const struct disk_lu *disk)
{
	return disk_unmaps_with_zeroes(disk) ||
	       (disk->dev->info.can_trim && disk->dev->info.trim_zeroes);
}

static uint32_t capabilities(const struct disk_lu *disk)
{
	const struct blk_info *info = &disk->dev->info;
	/* Whatever the device: blk.c flushes where there is no FUA, and where nobody knows what is
	 * allocated, all is. A host that sees LBPME asks (SBC-3 §4.7.3). */
	uint32_t caps = CDB_CAP_BIT(CDB_CAP_FUA) | CDB_CAP_BIT(CDB_CAP_LBA_STATUS) |
			CDB_CAP_BIT(CDB_CAP_RESERVE) | CDB_CAP_BIT(CDB_CAP_PERSISTENT_RESERVE) |
			CDB_CAP_BIT(CDB_CAP_LOG) | CDB_CAP_BIT(CDB_CAP_PORT_GROUPS);

	if (disk->directory)
		caps |= CDB_CAP_BIT(CDB_CAP_COPY);
	if (info->can_trim)
		caps |= CDB_CAP_BIT(CDB_CAP_UNMAP) | CDB_CAP_BIT(CDB_CAP_ERASE);
	if (disk_max_atomic(disk))
		caps |= CDB_CAP_BIT(CDB_CAP_ATOMIC);
	if (info->can_trim && info->can_zero)
		caps |= CDB_CAP_BIT(CDB_CAP_WRITE_SAME_UNMAP);
	return caps;
}

static void note_device(struct disk_lu *disk)
{
	const struct blk_info *info = &disk->dev->info;

	disk->generation = info->generation;
	disk->losses = info->losses;
	disk->size = info->size;
	disk->read_only = info->read_only;
	disk->lu.caps = capabilities(disk);
}

/*
 * Those of other workers are told by their own instances: a host that reads the capacity
 * again after the unit attention must find the new one where it asks.
 */
void disk_look(struct disk_lu *disk, bool closely)
{
	const struct blk_info *info = &disk->dev->info;

	/* What is not known within the call is told with the next command. */
	if (closely && !list_linked(&disk->look.node))
		blk_look(disk->dev, &disk->look);
	if (info->generation == disk->generation)
		return;
	if (info->size != disk->size)
		lu_instance_raise(&disk->instance, ATTENTION_CAPACITY_CHANGED);
	if (info->read_only != disk->read_only)
		lu_instance_raise(&disk->instance, ATTENTION_MODE_PARAMETERS_CHANGED);
	if (capabilities(disk) != disk->lu.caps)
		lu_instance_raise(&disk->instance, ATTENTION_INQUIRY_CHANGED);
	/* What was written and not synchronized may be gone, as after a reset of the unit. */
	if (info->losses != disk->losses)
		lu_instance_raise(&disk->instance, ATTENTION_INTERNAL_RESET);
	note_device(disk);
}

static void seen(struct blk_look *look)
{
	(void)look;
}

/* Opening and closing ---------------------------------------------------------- */

static void disk_attach(struct scsi_lu *lu, const struct nexus *nexus)
{
	lu_instance_attach(&disk_of(lu)->instance, nexus);
}

static void disk_detach(struct scsi_lu *lu, const struct nexus *nexus)
{
	/* SPC-2 §5.5.1: the loss of the nexus ends what it has by RESERVE. */
	disk_reserve_forget(disk_shared(disk_of(lu)), nexus);
	copy_record_forget(&disk_of(lu)->copies, nexus);
	lu_instance_detach(&disk_of(lu)->instance, nexus);
}

static void disk_tell(struct scsi_lu *lu, const struct nexus *nexus, uint32_t reason, bool waits)
{
	lu_instance_tell(&disk_of(lu)->instance, nexus, reason, waits);
}

static void disk_close(struct scsi_lu *lu, void (*closed)(void *), void *opaque)
{
	struct disk_lu *disk = disk_of(lu);

	assert(!disk->tmfs);
	disk->closed = closed;
	disk->closed_opaque = opaque;
	disk_sanitize_stop(disk);
	lu_shared_leave(&disk->instance);
	loop_defer(lu->loop, &disk->turn);
}

void disk_close_if_idle(struct disk_lu *disk)
{
	void (*closed)(void *) = disk->closed;
	void *opaque = disk->closed_opaque;

	if (!closed || disk->sanitize || atomic_load(&disk->instance.visitors))
		return;
	assert(list_empty(&disk->held) && list_empty(&disk->active) && list_empty(&disk->finished));
	loop_call_cancel(&disk->turn);
	blk_look_cancel(&disk->look);
	free(disk->copies.records);
	free(disk);
	closed(opaque);
}

static const struct scsi_lu_ops disk_ops = {
	.name = "disk_lu",
	.submit = disk_submit,
	.abort = disk_abort,
	.manage = disk_manage,
	.attach = disk_attach,
	.detach = disk_detach,
	.tell = disk_tell,
	.close = disk_close,
};

struct scsi_lu *disk_lu_open(struct blkdev *dev, struct lu_shared *shared,
			     const struct lu_directory *directory)
{
	struct disk_lu *disk = calloc(1, sizeof(*disk));

	assert(dev->shared && dev->shared->ranges);
	if (!disk)
		return NULL;
	disk->lu.ops = &disk_ops;
	disk->lu.loop = dev->loop;
	disk->lu.block_len = shared->conf.block_len;
	disk->lu.interprets = true;
	disk->lu.era = 1;
	disk->lu.max_transfer = DISK_MAX_TRANSFER;
	disk->dev = dev;
	disk->directory = directory;
	note_device(disk);
	disk->look.seen = seen;
	list_init(&disk->look.node);
	list_init(&disk->held);
	list_init(&disk->active);
	list_init(&disk->finished);
	list_init(&disk->visits);
	list_init(&disk->managed);
	loop_call_init(&disk->turn, disk_turn);
	lu_shared_join(shared, &disk->instance);
	return &disk->lu;
}
