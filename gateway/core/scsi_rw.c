/*
 * The commands that move a caller's data or settle it: READ, WRITE and COMPARE AND
 * WRITE, SYNCHRONIZE CACHE for flushes, PRE-FETCH for CACHE requests. The 16-byte forms
 * first; the 10-byte ones only for a unit that does not know these.
 */
#include <errno.h>

#include "scsi_blk_private.h"

static uint64_t rw_limit(const struct scsi_blk *sb, enum cdb_id sixteen)
{
	uint64_t limit = sb->dev.info.max_data / scsi_block_len(sb);

	return sb->refused[sixteen] && limit > SCSI_BLOCKS_10 ? SCSI_BLOCKS_10 : limit;
}

/* Where the data of the io's next block is in the caller's buffer. */
static uint8_t *data_at(const struct scsi_io *io)
{
	const struct scsi_job *job = io->job;

	return job->req->data + (io->lba - scsi_job_lba(job)) * scsi_block_len(job->sb);
}

static int rw_build(struct scsi_io *io, enum cdb_id sixteen, enum cdb_id ten,
		    struct cdb *cdb)
{
	const struct scsi_blk *sb = io->job->sb;

	cdb->id = sb->refused[sixteen] ? ten : sixteen;
	if (cdb->id == ten && io->lba + io->step > SCSI_LBAS_10)
		return EIO;
	cdb->lba = io->lba;
	cdb->blocks = (uint32_t)io->step;
	io->task.data = data_at(io);
	io->task.data_len = (uint32_t)io->step * scsi_block_len(sb);
	return 0;
}

/* Is the refused form given up now, so that the other one is worth a try? */
static bool rw_refused(struct scsi_io *io, enum cdb_id sixteen, const struct sense *sense)
{
	if (io->task.cdb.id != sixteen || sense->reason != SENSE_INVALID_OPCODE)
		return false;
	io->job->sb->refused[sixteen] = true;
	return true;
}

static uint64_t read_limit(const struct scsi_job *job, uint64_t lba)
{
	(void)lba;
	return rw_limit(job->sb, CDB_READ_16);
}

static int read_build(struct scsi_io *io, struct cdb *cdb)
{
	return rw_build(io, CDB_READ_16, CDB_READ_10, cdb);
}

static bool read_refused(struct scsi_io *io, const struct sense *sense)
{
	return rw_refused(io, CDB_READ_16, sense);
}

const struct scsi_op scsi_read_op = {
	.kind = ERRMAP_READ,
	.limit = read_limit,
	.build = read_build,
	.refused = read_refused,
};

static uint64_t write_limit(const struct scsi_job *job, uint64_t lba)
{
	(void)lba;
	return rw_limit(job->sb, CDB_WRITE_16);
}

static int write_build(struct scsi_io *io, struct cdb *cdb)
{
	cdb->fua = io->job->req->flags & BLK_FUA && !io->job->sync;
	return rw_build(io, CDB_WRITE_16, CDB_WRITE_10, cdb);
}

/* SYNCHRONIZE CACHE does what the bit was to do: of this request, and of those to come. */
static void give_up_fua(struct scsi_io *io)
{
	io->job->sb->no_fua = true;
	io->job->sync = true;
}

static bool write_refused(struct scsi_io *io, const struct sense *sense)
{
	if (rw_refused(io, CDB_WRITE_16, sense))
		return true;
	if (!io->task.cdb.fua || sense->reason != SENSE_INVALID_FIELD_IN_CDB)
		return false;
	give_up_fua(io);
	return true;
}

const struct scsi_op scsi_write_op = {
	.kind = ERRMAP_WRITE,
	.limit = write_limit,
	.build = write_build,
	.refused = write_refused,
};

static uint64_t no_limit(const struct scsi_job *job, uint64_t lba)
{
	(void)job;
	(void)lba;
	return UINT64_MAX;
}

/* SBC-3 §5.2: what must be there, then what is written. One command, or it is not one step. */
static int compare_build(struct scsi_io *io, struct cdb *cdb)
{
	const struct scsi_blk *sb = io->job->sb;
	const struct blk_req *req = io->job->req;

	if (io->step > scsi_max_compare(sb))
		return ENOTSUP;
	cdb->id = CDB_COMPARE_AND_WRITE;
	cdb->fua = req->flags & BLK_FUA && !io->job->sync;
	cdb->lba = io->lba;
	cdb->blocks = (uint32_t)io->step;
	io->task.data = req->data;
	io->task.data_len = 2 * (uint32_t)req->length;
	return 0;
}

/* Of what it may take amiss, the bit is the less to lose. */
static bool compare_refused(struct scsi_io *io, const struct sense *sense)
{
	if (io->task.cdb.fua && sense->reason == SENSE_INVALID_FIELD_IN_CDB) {
		give_up_fua(io);
		return true;
	}
	scsi_mark_refused(io->job->sb, CDB_COMPARE_AND_WRITE);
	return true;
}

const struct scsi_op scsi_compare_op = {
	.kind = ERRMAP_WRITE,
	.once = true,
	.limit = no_limit,
	.build = compare_build,
	.refused = compare_refused,
};

static void sync_start(struct scsi_job *job)
{
	job->end = job->sb->facts.capacity.last_lba + 1;
}

/* LOGICAL BLOCK ADDRESS 0 with NUMBER OF LOGICAL BLOCKS 0 is the whole medium. */
static int sync_build(struct scsi_io *io, struct cdb *cdb)
{
	const struct scsi_blk *sb = io->job->sb;
	uint64_t lbas = UINT64_MAX, blocks = UINT32_MAX;

	cdb->id = CDB_SYNCHRONIZE_CACHE_16;
	if (sb->refused[cdb->id]) {
		cdb->id = CDB_SYNCHRONIZE_CACHE_10;
		lbas = SCSI_LBAS_10;
		blocks = SCSI_BLOCKS_10;
	}
	if (sb->refused[cdb->id])
		return SCSI_NOTHING_MORE;	/* there is no volatile cache */
	if (io->job->req->op != BLK_FLUSH && io->step <= blocks && io->lba + io->step <= lbas) {
		cdb->lba = io->lba;
		cdb->blocks = (uint32_t)io->step;
	}
	return 0;
}

static bool sync_refused(struct scsi_io *io, const struct sense *sense)
{
	if (sense->reason != SENSE_INVALID_OPCODE)
		return false;
	scsi_mark_refused(io->job->sb, io->task.cdb.id);
	return true;
}

const struct scsi_op scsi_sync_op = {
	.kind = ERRMAP_FLUSH,
	.start = sync_start,
	.limit = no_limit,
	.build = sync_build,
	.refused = sync_refused,
};

static uint64_t cache_limit(const struct scsi_job *job, uint64_t lba)
{
	uint32_t reported = job->sb->facts.limits.max_prefetch;

	(void)lba;
	return reported ? reported : UINT32_MAX;
}

static int cache_build(struct scsi_io *io, struct cdb *cdb)
{
	if (io->job->sb->refused[CDB_PRE_FETCH_16])
		return SCSI_NOTHING_MORE;
	cdb->id = CDB_PRE_FETCH_16;
	cdb->lba = io->lba;
	cdb->blocks = (uint32_t)io->step;
	cdb->immed = true;
	return 0;
}

static bool cache_refused(struct scsi_io *io, const struct sense *sense)
{
	(void)sense;
	scsi_mark_refused(io->job->sb, CDB_PRE_FETCH_16);
	return true;
}

const struct scsi_op scsi_cache_op = {
	.kind = ERRMAP_OTHER,
	.limit = cache_limit,
	.build = cache_build,
	.refused = cache_refused,
};
