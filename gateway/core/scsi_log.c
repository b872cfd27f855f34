/*
 * A unit's part in the write log of its device: what was acknowledged, what a reset or
 * the end of a session puts at stake, and the rest while it is written again.
 *
 * A reset is told to every session of the unit, one by one. So whoever is held asks
 * the unit, by probing it, before it is quiet: what it has to say of the event is then
 * heard, and does not count as another one when work goes on.
 */
#include <errno.h>

#include "scsi_blk_private.h"

static struct scsi_blk *device_of(struct log_member *member)
{
	return container_of(member, struct scsi_blk, member);
}

void scsi_log_look(struct scsi_blk *sb)
{
	if (sb->member.held && !sb->running && (sb->lost || !sb->asking))
		write_log_quiet(&sb->member, !sb->lost && !sb->asking);
}

static void hold(struct log_member *member)
{
	struct scsi_blk *sb = device_of(member);

	sb->resets++;
	if (!sb->lost) {
		sb->asking = true;
		scsi_reprobe(sb);
	}
	scsi_log_look(sb);
}

static void resume(struct log_member *member)
{
	struct scsi_blk *sb = device_of(member);

	sb->dev.info.losses = write_log_losses(member->log);
	sb->dev.info.generation++;
	scsi_pump(sb);
}

static void submit(struct log_member *member, struct blk_req *req)
{
	struct scsi_blk *sb = device_of(member);

	if (sb->lost) {
		blk_fail(req, ENOTCONN, NULL);
		req->done(req);
		return;
	}
	scsi_job_start(sb, req, req->op == BLK_FLUSH ? &scsi_sync_op :
		       req->op == BLK_WRITE ? &scsi_write_op :
		       req->op == BLK_ZERO ? &scsi_zero_op : &scsi_discard_op);
}

void scsi_log_join(struct scsi_blk *sb)
{
	static const struct log_member_ops ops = {
		.hold = hold, .resume = resume, .submit = submit
	};

	sb->member.ops = &ops;
	sb->member.loop = sb->dev.loop;
	sb->member.name = sb->dev.info.description;
	sb->dev.info.losses = write_log_losses(sb->dev.shared->log);
	write_log_join(sb->dev.shared->log, &sb->member);
}

static bool has_cache(const struct scsi_blk *sb)
{
	return !sb->facts.no_write_cache && sb->dev.info.can_flush;
}

void scsi_log_reset(struct scsi_blk *sb)
{
	sb->resets++;
	if (sb->open && has_cache(sb))
		write_log_suspect(&sb->member);
}

/*
 * One command takes the unit attention, and those that were sent behind it are carried
 * out: a READ that sees what is left of the cache, a SYNCHRONIZE CACHE that writes what is
 * left of it.
 */
bool scsi_log_doubts(const struct scsi_io *io)
{
	const struct scsi_blk *sb = io->job->sb;

	/* What cannot be done twice was done; the log has it as it has other writes. */
	return io->resets != sb->resets && has_cache(sb) && !io->job->aborted && !io->job->op->once;
}

bool scsi_log_undone(const struct scsi_job *job)
{
	return !job->error && blk_modifies(job->req->op) && job->resets != job->sb->resets &&
	       has_cache(job->sb) && !scsi_is_own(job);
}

void scsi_log_account(struct scsi_job *job)
{
	struct scsi_blk *sb = job->sb;

	if (scsi_is_own(job) || !has_cache(sb))
		return;
	if (!write_log_answered(&sb->member, job->req, job->mark,
				"a reset of the unit may have lost acknowledged writes"))
		job->error = EIO;
}
