/*
 * TRIM requests: UNMAP, or WRITE SAME with UNMAP=1, or nothing at all, since a TRIM
 * is advice. The range is narrowed to whole granules of the unit, which would leave
 * the rest alone anyhow (UNMAP) or write it (WRITE SAME).
 */
#include <errno.h>

#include "scsi_blk_private.h"

/* Descriptors of one UNMAP: with these alone it can cover 2^36 blocks. */
#define DESCRIPTORS	16

#define UNLIMITED	UINT32_MAX	/* MAXIMUM UNMAP LBA COUNT, SBC-3 §6.6.4 */

struct granularity {
	uint64_t blocks, offset;	/* granules begin at offset + n * blocks */
};

static struct granularity granularity(const struct scsi_blk *sb)
{
	const struct block_limits *limits = &sb->facts.limits;
	struct granularity g = { 1, 0 };

	if (limits->unmap_granularity)
		g.blocks = limits->unmap_granularity;
	if (limits->ugavalid)
		g.offset = limits->unmap_alignment % g.blocks;
	return g;
}

/* Blocks from the begin of lba's granule to lba. */
static uint64_t into_granule(struct granularity g, uint64_t lba)
{
	return (lba + g.blocks - g.offset) % g.blocks;
}

static bool by_unmap(const struct scsi_blk *sb)
{
	const struct scsi_facts *f = &sb->facts;

	/* Maxima of 0 mean that there is no UNMAP, whatever LBPU says. */
	return f->capacity.lbpme && f->provisioning.lbpu && f->limits.max_unmap_blocks &&
		f->limits.max_unmap_descriptors && !sb->refused[CDB_UNMAP];
}

bool scsi_can_discard(const struct scsi_blk *sb)
{
	return by_unmap(sb) || scsi_same_command(sb, true) != CDB_UNKNOWN;
}

static void discard_start(struct scsi_job *job)
{
	const struct scsi_blk *sb = job->sb;
	struct granularity g = granularity(sb);
	uint64_t before = into_granule(g, job->next);
	uint64_t after = into_granule(g, job->end);

	if (before)
		job->next += g.blocks - before;
	/* The unit's last granule may be a short one. */
	if (job->end <= sb->facts.capacity.last_lba)
		job->end -= after < job->end ? after : job->end;
	if (job->next > job->end)
		job->next = job->end;
}

/* The most blocks of one descriptor that ends where a granule does. */
static uint64_t descriptor_limit(const struct scsi_blk *sb)
{
	uint64_t granule = granularity(sb).blocks;

	return UINT32_MAX / granule * granule;
}

static uint64_t unmap_limit(const struct scsi_blk *sb)
{
	const struct block_limits *limits = &sb->facts.limits;
	uint32_t descriptors = limits->max_unmap_descriptors;
	uint64_t most;

	if (descriptors > DESCRIPTORS)
		descriptors = DESCRIPTORS;
	most = descriptor_limit(sb) * descriptors;
	if (limits->max_unmap_blocks == UNLIMITED || limits->max_unmap_blocks > most)
		return most;
	return limits->max_unmap_blocks;
}

static uint64_t discard_limit(const struct scsi_job *job, uint64_t lba)
{
	const struct scsi_blk *sb = job->sb;
	uint64_t limit = by_unmap(sb) ? unmap_limit(sb) : scsi_same_limit(sb, true);
	uint64_t beyond = into_granule(granularity(sb), lba + limit);

	/* Commands meet where granules do, or no command would cover what lies there. */
	return beyond < limit ? limit - beyond : limit;
}

static int unmap_build(struct scsi_io *io, struct cdb *cdb)
{
	uint64_t most = descriptor_limit(io->job->sb);
	uint8_t *list = scsi_io_param(io, UNMAP_HEADER_LEN + DESCRIPTORS * UNMAP_DESCRIPTOR_LEN);
	uint64_t lba = io->lba, left = io->step;
	uint32_t count = 0;

	if (!list)
		return ENOMEM;
	while (left) {
		struct unmap_range range = { lba, (uint32_t)(left < most ? left : most) };

		unmap_encode(&range, list + UNMAP_HEADER_LEN + count++ * UNMAP_DESCRIPTOR_LEN);
		lba += range.blocks;
		left -= range.blocks;
	}
	io->task.data = list;
	io->task.data_len = (uint32_t)unmap_header(list, count);
	cdb->id = CDB_UNMAP;
	cdb->param_len = io->task.data_len;
	return 0;
}

static int discard_build(struct scsi_io *io, struct cdb *cdb)
{
	const struct scsi_blk *sb = io->job->sb;

	if (by_unmap(sb))
		return unmap_build(io, cdb);
	if (scsi_same_command(sb, true) != CDB_UNKNOWN)
		return scsi_same_build(io, true, cdb);
	return SCSI_NOTHING_MORE;
}

static uint64_t discard_good(struct scsi_io *io)
{
	return io->task.cdb.id == CDB_UNMAP ? io->step : scsi_same_good(io);
}

static bool discard_refused(struct scsi_io *io, const struct sense *sense)
{
	if (io->task.cdb.id != CDB_UNMAP)
		return scsi_same_refused(io, sense);
	scsi_mark_refused(io->job->sb, CDB_UNMAP);
	return true;
}

const struct scsi_op scsi_discard_op = {
	.kind = ERRMAP_WRITE,
	.start = discard_start,
	.limit = discard_limit,
	.build = discard_build,
	.good = discard_good,
	.refused = discard_refused,
};
