/*
 * ZERO requests, and WRITE SAME, which TRIM uses as well.
 *
 * Without NO_HOLE and where deallocated blocks read as zeroes, WRITE SAME with
 * UNMAP=1: never UNMAP (42h), which is advice that a unit may ignore. Otherwise
 * WRITE SAME with UNMAP=0. What the unit refuses is unlearned, and the next best
 * command takes over; when none is left, blk.c writes zeroes.
 */
#include <assert.h>
#include <errno.h>

#include "pool.h"
#include "scsi_blk_private.h"

/* Many units report no MAXIMUM WRITE SAME LENGTH: this is where to begin. */
#define FIRST_LENGTH	65535u

void scsi_same_init(struct scsi_blk *sb)
{
	uint64_t reported = sb->facts.limits.max_write_same;
	struct same_limit limit = { FIRST_LENGTH, UINT32_MAX };

	if (reported) {
		limit.ceiling = reported < UINT32_MAX ? (uint32_t)reported : UINT32_MAX;
		limit.now = limit.ceiling;
	}
	sb->same[false] = sb->same[true] = limit;
}

enum cdb_id scsi_same_command(const struct scsi_blk *sb, bool unmap)
{
	const struct scsi_facts *f = &sb->facts;
	bool unmaps = f->capacity.lbpme && !sb->no_same_unmap;

	if (!sb->refused[CDB_WRITE_SAME_16] && !f->no_write_same_16 &&
	    (!unmap || (unmaps && f->provisioning.lbpws)))
		return CDB_WRITE_SAME_16;
	if (!sb->refused[CDB_WRITE_SAME_10] && f->capacity.last_lba < SCSI_LBAS_10 &&
	    (!unmap || (unmaps && f->provisioning.lbpws10)))
		return CDB_WRITE_SAME_10;
	return CDB_UNKNOWN;
}

uint64_t scsi_same_limit(const struct scsi_blk *sb, bool unmap)
{
	uint32_t limit = sb->same[unmap].now;

	if (scsi_same_command(sb, unmap) == CDB_WRITE_SAME_10 && limit > SCSI_BLOCKS_10)
		limit = SCSI_BLOCKS_10;
	return limit;
}

static uint8_t *zeroes(struct scsi_blk *sb)
{
	if (!sb->zeroes)
		sb->zeroes = pool_zalloc(sb->dev.loop->pool, scsi_block_len(sb));
	return sb->zeroes;
}

/* NDOB=1 writes what reads as LBPRZ says: for 010b that is no zeroes. */
static bool may_omit_data(const struct scsi_blk *sb, enum cdb_id id)
{
	return id == CDB_WRITE_SAME_16 && sb->facts.ndob && !sb->no_ndob &&
		sb->facts.provisioning.lbprz != 2;
}

int scsi_same_build(struct scsi_io *io, bool unmap, struct cdb *cdb)
{
	struct scsi_blk *sb = io->job->sb;

	assert(io->step > 0);	/* 0 would be everything up to the last block */
	cdb->id = scsi_same_command(sb, unmap);
	cdb->lba = io->lba;
	cdb->blocks = (uint32_t)io->step;
	cdb->unmap = unmap;
	cdb->ndob = may_omit_data(sb, cdb->id);
	if (cdb->ndob)
		return 0;
	io->task.data = zeroes(sb);
	io->task.data_len = scsi_block_len(sb);
	return io->task.data ? 0 : ENOMEM;
}

/* A full-length one went well: the next may be longer, where nobody said how long. */
uint64_t scsi_same_good(struct scsi_io *io)
{
	const struct cdb *cdb = &io->task.cdb;
	struct same_limit *limit = &io->job->sb->same[cdb->unmap];

	if (cdb->blocks == limit->now && limit->now < limit->ceiling)
		limit->now = limit->now < limit->ceiling / 2 ? limit->now * 2 : limit->ceiling;
	return io->step;
}

/*
 * 20/00, 24/00 or 26/00. Several commands may be under way that were built before
 * the first refusal: they only learn from it. NDOB is dropped first, length second
 * (some units apply their limit for UNMAP to WRITE SAME without saying so), the
 * command last.
 */
static void unlearn(struct scsi_blk *sb, const struct cdb *cdb, const struct sense *sense)
{
	struct same_limit *limit = &sb->same[cdb->unmap];

	if (sense->reason == SENSE_INVALID_OPCODE) {
		sb->refused[cdb->id] = true;
	} else if (cdb->ndob) {
		sb->no_ndob = true;
	} else if (cdb->blocks > 1) {
		if (cdb->blocks / 2 < limit->now)
			limit->now = limit->ceiling = cdb->blocks / 2;
	} else if (cdb->unmap) {
		sb->no_same_unmap = true;
	} else {
		sb->refused[cdb->id] = true;
	}
}

bool scsi_same_refused(struct scsi_io *io, const struct sense *sense)
{
	unlearn(io->job->sb, &io->task.cdb, sense);
	scsi_update_info(io->job->sb);
	return true;
}

/* May this request deallocate, and does that zero? */
static bool by_unmapping(const struct scsi_job *job)
{
	return !(job->req->flags & BLK_NO_HOLE) &&
		scsi_unmapped_reads_zeroes(&job->sb->facts) &&
		scsi_same_command(job->sb, true) != CDB_UNKNOWN;
}

static uint64_t zero_limit(const struct scsi_job *job, uint64_t lba)
{
	(void)lba;
	return scsi_same_limit(job->sb, by_unmapping(job));
}

static int zero_build(struct scsi_io *io, struct cdb *cdb)
{
	struct scsi_blk *sb = io->job->sb;
	bool unmap = by_unmapping(io->job);

	if (!unmap && io->job->req->flags & BLK_FAST)
		return ENOTSUP;
	if (scsi_same_command(sb, unmap) == CDB_UNKNOWN) {
		/* Whatever probing says later: this request counts on blk.c now. */
		sb->refused[CDB_WRITE_SAME_16] = sb->refused[CDB_WRITE_SAME_10] = true;
		scsi_update_info(sb);
		return ENOTSUP;
	}
	return scsi_same_build(io, unmap, cdb);
}

const struct scsi_op scsi_zero_op = {
	.kind = ERRMAP_WRITE,
	.limit = zero_limit,
	.build = zero_build,
	.good = scsi_same_good,
	.refused = scsi_same_refused,
};
