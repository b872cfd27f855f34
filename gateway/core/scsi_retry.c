/*
 * What a finished command means: done, try again, cannot be done that way, failed.
 *
 * errmap.c judges each status and sense data; here the judgement becomes action.
 * Commands of scsi_blk are idempotent, so that they may be sent again when it is not
 * known what became of them; those that are not say so (scsi_op.once).
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "scsi_blk_private.h"

/* Unit attentions that may come in a row: one for each event that happened. */
#define UNIT_ATTENTIONS	16

#define FIRST_DELAY	0.008	/* seconds */
#define LAST_DELAY	1.0

bool scsi_retry_delay(const struct scsi_blk *sb, struct scsi_attempts *attempts,
		      const struct sense *sense, double *delay)
{
	double now = loop_now(sb->dev.loop);

	if (!attempts->count++)
		attempts->since = now;
	*delay = 0;
	if (SENSE_KEY(sense->reason) == SENSE_KEY_UNIT_ATTENTION &&
	    attempts->count <= UNIT_ATTENTIONS)
		return true;
	if (sb->conf.retry_timeout >= 0 && now - attempts->since >= sb->conf.retry_timeout)
		return false;
	*delay = FIRST_DELAY;
	for (unsigned i = 1; i < attempts->count && *delay < LAST_DELAY; i++)
		*delay *= 2;
	return true;
}

static void protect(struct scsi_blk *sb)
{
	sb->dev.shared->write_protected = true;
	if (sb->open)
		scsi_update_info(sb);
}

static void warn_of_threshold(struct scsi_blk *sb)
{
	scsi_warn(sb, "%s: thin provisioning soft threshold reached", sb->dev.info.description);
}

/* Sense data that says something about the unit, beyond the command that it came with. */
static const struct {
	uint32_t reason;
	void (*heed)(struct scsi_blk *sb);
} news[] = {
	/* A reset may have emptied a volatile cache: what was not flushed may be gone. */
	{ SENSE_POWER_ON, scsi_log_reset },
	{ SENSE_INTERNAL_RESET, scsi_log_reset },
	{ SENSE_CAPACITY_CHANGED, scsi_reprobe },
	{ SENSE_MODE_PARAMETERS_CHANGED, scsi_reprobe },
	{ SENSE_INQUIRY_CHANGED, scsi_reprobe },
	{ SENSE_LUNS_CHANGED, scsi_reprobe },
	{ SENSE_ALUA_STATE_CHANGED, scsi_reprobe },
	{ SENSE_LBA_OUT_OF_RANGE, scsi_reprobe },
	{ SENSE_SOFT_THRESHOLD, warn_of_threshold },
	{ SENSE_WRITE_PROTECTED, protect },
};

static bool is_lost_data(const struct sense *sense)
{
	uint8_t key = SENSE_KEY(sense->reason);

	/* SPC-4 §4.5.5: a deferred error is about an earlier command, here a cached write. */
	return sense->deferred &&
		(key == SENSE_KEY_MEDIUM_ERROR || key == SENSE_KEY_HARDWARE_ERROR);
}

void scsi_news(struct scsi_blk *sb, const struct sense *sense)
{
	if (sb->open && is_lost_data(sense))
		write_log_owe(&sb->member);
	for (size_t i = 0; i < sizeof(news) / sizeof(news[0]); i++)
		if (news[i].reason == sense->reason)
			news[i].heed(sb);
}

/* The block that the unit blames, if it lies within the command. */
static bool blamed_block(const struct scsi_io *io, const struct sense *sense, uint64_t *lba)
{
	const struct scsi_job *job = io->job;
	uint64_t good = io->task.moved / scsi_block_len(job->sb);

	/* SBC-3 §5.2: of a miscompare, INFORMATION is no block. */
	if (!sense->has_information || job->op->once || !job->req->length || sense->information < io->lba ||
	    sense->information - io->lba >= io->step)
		return false;
	*lba = sense->information;
	/* Of a READ, what is below must be in the buffer. */
	if (job->op->kind == ERRMAP_READ && *lba - io->lba > good)
		*lba = io->lba + good;
	return true;
}

static void give_up(struct scsi_io *io, const struct sense *sense, int error, const char *why)
{
	const struct scsi_op *op = io->job->op;
	uint64_t lba;

	if (op->pass_over && !io->job->aborted) {
		op->pass_over(io);
		io->blocks = 0;
		scsi_io_go_on(io);
		return;
	}
	if (blamed_block(io, sense, &lba))
		scsi_io_fail(io, error, &lba, why);
	else
		scsi_io_fail(io, error, NULL, why);
}

static void try_again(struct scsi_io *io, const struct sense *sense, int error, const char *why)
{
	double delay;

	if (io->job->aborted || !scsi_retry_delay(io->job->sb, &io->attempts, sense, &delay))
		give_up(io, sense, error, why);
	else if (delay > 0)
		scsi_io_send_later(io, delay);
	else
		scsi_io_send(io);
}

/* To be sent, again or for the first time, when the same unit answers. */
static void wait_for_path(struct scsi_io *io, const struct sense *sense)
{
	double delay;

	if (io->job->aborted || !scsi_retry_delay(io->job->sb, &io->attempts, sense, &delay))
		scsi_io_fail(io, EIO, NULL, SCSI_LOST_TEXT);
	else
		scsi_io_send(io);
}

/* The path died, or the unit is gone: nobody knows whether it was carried out. */
static void hold(struct scsi_io *io, const struct sense *sense)
{
	scsi_log_look(io->job->sb);
	if (io->job->op->once)
		scsi_io_fail(io, EILSEQ, NULL, SCSI_LOST_TEXT);
	else
		wait_for_path(io, sense);
}

/* All the blocks that a READ or WRITE is about must have moved. Of other data, a parameter
 * list say, GOOD status is what counts: tgtd calls an UNMAP's list left over that it has used. */
static bool is_short(const struct scsi_task *task)
{
	return cdb_row(task->cdb.id)->payload == CDB_PAYLOAD_BLOCKS && task->moved < task->data_len;
}

static enum errmap_action judge(const struct scsi_io *io, const struct sense *sense, int *error)
{
	const struct scsi_task *task = &io->task;
	enum errmap_kind kind = io->job->op->kind;
	enum errmap_action action = errmap_scsi(task->status, sense, kind, error);

	if (action == ERRMAP_OK && is_short(task)) {
		*error = EIO;
		return ERRMAP_FAIL;
	}
	return action;
}

static void act_on_failure(struct scsi_io *io, enum errmap_action action,
			   const struct sense *sense, int error)
{
	const struct scsi_task *task = &io->task;
	const struct scsi_op *op = io->job->op;
	char why[BLK_WHY_LEN];

	sense_format(task->status, task->sense, task->sense_len, why, sizeof(why));
	if (task->status == STATUS_GOOD)
		snprintf(why, sizeof(why), "only %u of %u bytes were transferred", task->moved,
			 task->data_len);
	switch (action) {
	case ERRMAP_RETRY:
	case ERRMAP_BACK_OFF:
		try_again(io, sense, error, why);
		break;
	case ERRMAP_UNSUPPORTED:
		if (op->refused && op->refused(io, sense))
			scsi_io_go_on(io);
		else
			give_up(io, sense, error, why);
		break;
	case ERRMAP_FAIL:
		give_up(io, sense, error, why);
		break;
	case ERRMAP_OK:
	case ERRMAP_PATH:
		assert(false);
		break;
	}
}

/* A reset came between. The write log starts over by itself. */
static void do_again(struct scsi_io *io)
{
	if (scsi_is_own(io->job))
		scsi_io_fail(io, ENOTCONN, NULL, NULL);
	else
		scsi_io_send(io);
}

/* What the end of a command says of the unit, whatever becomes of the command. */
static void learn(struct scsi_blk *sb, const struct scsi_task *task, enum errmap_action action,
		  const struct sense *sense)
{
	if (action == ERRMAP_OK) {
		sb->lost_delay = 0;
		scsi_queue_grow(sb);
	}
	if (task->status == STATUS_TASK_SET_FULL || task->status == STATUS_BUSY)
		scsi_queue_shrink(sb);
	if (sense->reason)
		scsi_news(sb, sense);
}

void scsi_io_done(struct scsi_task *task)
{
	struct scsi_io *io = container_of(task, struct scsi_io, task);
	struct scsi_blk *sb = io->job->sb;
	enum errmap_action action;
	struct sense sense;
	int error = EIO;

	assert(io->state == SCSI_IO_RUNNING && sb->running > 0);
	sb->running--;
	sense_parse(task->sense, task->sense_len, &sense);
	if (task->status == LU_LOST || sense.reason == SENSE_LUN_NOT_SUPPORTED) {
		scsi_path_lost(sb);
		hold(io, &sense);
		return;
	}
	action = judge(io, &sense, &error);
	if (action == ERRMAP_PATH) {
		scsi_path_barred(sb);
		scsi_log_look(sb);
		wait_for_path(io, &sense);
		return;
	}
	learn(sb, task, action, &sense);
	scsi_pump(sb);
	scsi_log_look(sb);
	/* Last: the device may be closed in it. */
	if (action == ERRMAP_OK && scsi_log_doubts(io))
		do_again(io);
	else if (action == ERRMAP_OK)
		scsi_io_good(io);
	else
		act_on_failure(io, action, &sense, error);
}
