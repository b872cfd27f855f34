/*
 * STATUS requests: GET LBA STATUS, as many as it takes, to extents.
 *
 * Nothing of what the unit answers is trusted to be where, or as much as, it should
 * be: descriptors that do not go on from where the last one ended, or of no length,
 * end the walk (CVE-2020-1711 was one that was believed). What the unit does not
 * tell is reported as allocated, which is always true enough.
 */
#include <errno.h>

#include "scsi_blk_private.h"

#define DESCRIPTORS	256u

/* A descriptor's PROVISIONING STATUS in the terms of an extent. */
static bool add_extent(const struct scsi_job *job, uint64_t blocks, uint8_t status)
{
	uint32_t zeroes = scsi_unmapped_reads_zeroes(&job->sb->facts) ? BLK_ZEROES : 0;
	uint64_t length = blocks * scsi_block_len(job->sb);

	switch (status) {
	case BLK_DEALLOCATED:
		return blk_add_extent(job->req, length, BLK_HOLE | zeroes, BLK_DEALLOCATED);
	case BLK_ANCHORED:	/* reads as deallocated, but space is set aside: no hole */
		return blk_add_extent(job->req, length, zeroes, BLK_ANCHORED);
	default:		/* reserved values, off the wire, too */
		return blk_add_extent(job->req, length, 0, BLK_MAPPED);
	}
}

static uint64_t status_limit(const struct scsi_job *job, uint64_t lba)
{
	(void)job;
	(void)lba;
	return UINT64_MAX;
}

static void status_pass_over(struct scsi_io *io)
{
	add_extent(io->job, io->blocks, BLK_MAPPED);
}

static int status_build(struct scsi_io *io, struct cdb *cdb)
{
	uint32_t descriptors = io->job->req->flags & BLK_REQ_ONE ? 1 : DESCRIPTORS;
	uint32_t len = LBA_STATUS_HEADER_LEN + descriptors * LBA_STATUS_DESCRIPTOR_LEN;

	if (io->job->sb->refused[CDB_GET_LBA_STATUS]) {
		status_pass_over(io);
		return SCSI_NOTHING_MORE;
	}
	io->task.data = scsi_io_param(io, len);
	io->task.data_len = len;
	cdb->id = CDB_GET_LBA_STATUS;
	cdb->lba = io->lba;
	cdb->alloc_len = len;
	return io->task.data ? 0 : ENOMEM;
}

/* How many blocks from lba on does the descriptor tell about? None, if it is not about lba. */
static uint64_t blocks_from(const struct lba_status *d, uint64_t lba, uint64_t device_end)
{
	uint64_t blocks;

	if (d->lba > lba || lba - d->lba >= d->blocks)
		return 0;
	blocks = d->blocks - (lba - d->lba);
	return blocks < device_end - lba ? blocks : device_end - lba;
}

static uint64_t status_good(struct scsi_io *io)
{
	const struct scsi_job *job = io->job;
	uint64_t device_end = job->sb->facts.capacity.last_lba + 1;
	uint32_t count = lba_status_count(io->task.data, io->task.moved);
	uint64_t told = 0;

	for (uint32_t i = 0; i < count && told < io->blocks; i++) {
		struct lba_status d;
		uint64_t blocks;

		lba_status_decode(io->task.data, i, &d);
		blocks = blocks_from(&d, io->lba + told, device_end);
		if (!blocks)
			break;
		if (!add_extent(job, blocks, d.status) || job->req->flags & BLK_REQ_ONE)
			return io->blocks;	/* no room for more, or nobody wants it */
		told += blocks;
	}
	if (!told) {
		status_pass_over(io);
		return io->blocks;
	}
	return told < io->blocks ? told : io->blocks;
}

static bool status_refused(struct scsi_io *io, const struct sense *sense)
{
	(void)sense;
	scsi_mark_refused(io->job->sb, CDB_GET_LBA_STATUS);
	return true;
}

const struct scsi_op scsi_status_op = {
	.kind = ERRMAP_OTHER,
	.limit = status_limit,
	.build = status_build,
	.good = status_good,
	.refused = status_refused,
	.pass_over = status_pass_over,
};
