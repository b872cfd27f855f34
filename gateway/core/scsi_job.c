/*
 * Jobs: block requests of scsi_blk under way.
 *
 * A job's range is walked by up to SCSI_WINDOW ios. Each takes a chunk, as long as
 * one command may be, and works through it, in one command or, when the unit turns
 * out to take less than it said, in several. So a READ is a job with one io and one
 * command, a TRIM of everything is thousands of commands, sixteen at a time, and
 * whatever is learned on the way holds for what is left.
 *
 * A job lives in the loop's pool together with its first io; further ios are pool
 * buffers of their own. The request's completion is the last thing that a job does,
 * since the device may be closed in it.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "pool.h"
#include "scsi_blk_private.h"

static void job_continue(struct scsi_job *job);

static struct pool *pool_of(const struct scsi_blk *sb)
{
	return sb->dev.loop->pool;
}

/* An io of the job that is free; NULL when others are busy and there is no memory. */
static struct scsi_io *io_get(struct scsi_job *job)
{
	struct scsi_io *io = &job->first;

	if (io->state != SCSI_IO_FREE)
		io = pool_get(pool_of(job->sb), sizeof(*io));
	if (!io)
		return NULL;
	memset(io, 0, sizeof(*io));
	io->job = job;
	io->task.wire = io->wire;
	io->task.attribute = TASK_SIMPLE;
	io->task.done = scsi_io_done;
	list_init(&io->node);
	list_add_tail(&job->busy, &io->sibling);
	job->ios++;
	return io;
}

static void io_put(struct scsi_io *io)
{
	struct scsi_job *job = io->job;
	struct pool *pool = pool_of(job->sb);

	assert(!list_linked(&io->node));
	list_del(&io->sibling);
	pool_put(pool, io->param, io->param_len);
	if (io == &job->first)
		io->state = SCSI_IO_FREE;
	else
		pool_put(pool, io, sizeof(*io));
	job->ios--;
}

/* The io has nothing left to do: the job goes on, unless it is just handing out work. */
static void io_end(struct scsi_io *io)
{
	struct scsi_job *job = io->job;

	io_put(io);
	if (!job->filling)
		job_continue(job);
}

void *scsi_io_param(struct scsi_io *io, uint32_t len)
{
	struct pool *pool = pool_of(io->job->sb);

	if (io->param && io->param_len >= len)
		return io->param;
	pool_put(pool, io->param, io->param_len);
	io->param = pool_get(pool, len);
	io->param_len = len;
	return io->param;
}

/* Build and send the next command of the io. */
static void io_step(struct scsi_io *io)
{
	struct scsi_job *job = io->job;
	uint64_t limit = job->op->limit(job, io->lba);
	struct cdb *cdb = &io->task.cdb;
	int error;

	assert(limit > 0 && io->blocks > 0);
	io->step = io->blocks < limit ? io->blocks : limit;
	io->task.data = NULL;
	io->task.data_len = 0;
	memset(cdb, 0, sizeof(*cdb));
	error = job->op->build(io, cdb);
	if (error == SCSI_NOTHING_MORE) {
		job->next = job->end;
		io_end(io);
		return;
	}
	if (error) {
		scsi_io_fail(io, error, NULL, NULL);
		return;
	}
	memset(io->wire, 0, sizeof(io->wire));
	io->task.wire_len = (uint16_t)cdb_encode(cdb, io->wire);
	io->task.direction = cdb_direction(cdb);
	scsi_io_send(io);
}

void scsi_io_go_on(struct scsi_io *io)
{
	const struct scsi_job *job = io->job;

	/* What is below a failure is still done, so that the failure says how far it came. */
	if (io->blocks && (!job->error || io->lba < job->error_lba))
		io_step(io);
	else
		io_end(io);
}

void scsi_io_good(struct scsi_io *io)
{
	const struct scsi_op *op = io->job->op;
	uint64_t done = op->good ? op->good(io) : io->step;

	assert(done <= io->blocks);
	io->attempts = (struct scsi_attempts){ 0 };
	io->lba += done;
	io->blocks -= done;
	scsi_io_go_on(io);
}

/* The lowest failure counts. */
void scsi_io_fail(struct scsi_io *io, int error, const uint64_t *at, const char *why)
{
	struct scsi_job *job = io->job;
	struct blk_req *req = job->req;
	uint64_t lba = at ? *at : io->lba;

	assert(error > 0);
	if (!job->error || lba < job->error_lba) {
		job->error = error;
		job->error_lba = lba;
		blk_fail(req, error, why ? "%s" : NULL, why);
		req->has_error_offset = at || lba > scsi_job_lba(job);
	}
	io_end(io);
}

static void job_fill(struct scsi_job *job)
{
	job->filling = true;
	while (!job->error && job->next < job->end && job->ios < SCSI_WINDOW) {
		uint64_t limit = job->op->limit(job, job->next);
		struct scsi_io *io = io_get(job);

		if (!io)
			break;
		assert(limit > 0);
		io->lba = job->next;
		io->blocks = job->end - job->next;
		if (io->blocks > limit)
			io->blocks = limit;
		job->next += io->blocks;
		io_step(io);
	}
	job->filling = false;
}

/* FUA without a bit for it: the same job, with SYNCHRONIZE CACHE over the request's range. */
static void begin_sync(struct scsi_job *job)
{
	job->sync = false;
	job->op = &scsi_sync_op;
	job->next = scsi_job_lba(job);
	job->end = job->next + job->req->length / scsi_block_len(job->sb);
}

/* Put the outcome into the request, which is all that is left of the job then. */
static struct blk_req *job_dissolve(struct scsi_job *job)
{
	struct scsi_blk *sb = job->sb;
	struct blk_req *req = job->req;

	assert(!job->ios && list_empty(&job->busy));
	list_del(&job->own);
	if (!job->error)
		scsi_log_account(job);
	if (req->has_error_offset)
		req->error_offset = job->error_lba * scsi_block_len(sb);
	pool_put(pool_of(sb), job, sizeof(*job));
	req->priv = NULL;
	return req;
}

/* From its first block on, perhaps not for the first time. */
static void job_begin(struct scsi_job *job, const struct scsi_op *op)
{
	struct scsi_blk *sb = job->sb;
	struct blk_req *req = job->req;

	job->op = op;
	job->next = scsi_job_lba(job);
	job->end = job->next + req->length / scsi_block_len(sb);
	job->sync = req->flags & BLK_FUA && !(req->op == BLK_WRITE && scsi_has_fua(sb));
	job->resets = sb->resets;
	if (op->start)
		op->start(job);
	job_fill(job);
}

/* The log's own requests are not blk.c's. */
static void end_own(struct scsi_job *job)
{
	struct scsi_blk *sb = job->sb;
	struct blk_req *req = job_dissolve(job);

	req->done(req);
	scsi_blk_own_ended(sb);
}

/* Written, lost before it was synchronized, and not to be done twice: then nobody knows. */
static bool undo_is_vain(struct scsi_job *job)
{
	if (!job->first_op->once)
		return false;
	if (job->req->flags & BLK_FUA) {
		job->error = EILSEQ;
		blk_fail(job->req, EILSEQ, "a reset of the unit came between");
	}
	return true;
}

static void job_continue(struct scsi_job *job)
{
	struct scsi_blk *sb = job->sb;

	job_fill(job);
	if (!job->ios && scsi_log_undone(job) && !undo_is_vain(job))
		job_begin(job, job->first_op);
	if (!job->ios && !job->error && job->sync) {
		begin_sync(job);
		job_fill(job);
	}
	if (job->ios)
		return;
	if (scsi_is_own(job))
		end_own(job);
	else
		blk_complete(&sb->dev, job_dissolve(job));
}

/* The same from within submit and abort. */
static void end_later(struct scsi_job *job)
{
	struct scsi_blk *sb = job->sb;

	if (scsi_is_own(job))
		end_own(job);
	else
		blk_complete_later(&sb->dev, job_dissolve(job));
}

void scsi_job_start(struct scsi_blk *sb, struct blk_req *req, const struct scsi_op *op)
{
	struct scsi_job *job = pool_get(pool_of(sb), sizeof(*job));

	req->priv = job;
	if (!job) {
		blk_fail(req, ENOMEM, NULL);
		if (req->flags & BLK_OWN)
			req->done(req);
		else
			blk_complete_later(&sb->dev, req);
		return;
	}
	job->sb = sb;
	job->req = req;
	job->first_op = op;
	job->aborted = false;
	job->ios = 0;
	list_init(&job->busy);
	list_init(&job->own);
	if (scsi_is_own(job))
		list_add_tail(&sb->own, &job->own);
	job->mark = write_log_mark(sb->member.log);
	job->error = 0;
	job->error_lba = 0;
	job->first.state = SCSI_IO_FREE;
	job_begin(job, op);
	if (!job->ios)	/* nothing to do, or nothing that can be done */
		end_later(job);
}

/* Take back a command that the unit does not have. */
static void io_withdraw(struct scsi_io *io)
{
	switch (io->state) {
	case SCSI_IO_QUEUED:
		list_del(&io->node);
		io_put(io);
		break;
	case SCSI_IO_WAITING:
		ev_timer_stop(io->job->sb->dev.loop->ev, &io->timer);
		io_put(io);
		break;
	case SCSI_IO_RUNNING:
		lu_abort(io->job->sb->lu, &io->task);
		break;
	case SCSI_IO_FREE:
		break;
	}
}

void scsi_job_abort(struct scsi_job *job)
{
	assert(job->ios);
	if (job->aborted)
		return;
	job->aborted = true;
	job->error = ECANCELED;
	job->error_lba = 0;
	blk_fail(job->req, ECANCELED, NULL);
	job->req->has_error_offset = false;
	job->filling = true;		/* the end is not to come within this call */
	list_for_each_safe(sibling, &job->busy)
		io_withdraw(container_of(sibling, struct scsi_io, sibling));
	job->filling = false;
	if (!job->ios)
		end_later(job);
}
