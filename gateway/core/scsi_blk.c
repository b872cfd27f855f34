/*
 * A block device made of a logical unit: opening, closing, and which kind of job
 * each block request becomes.
 *
 * Front ends call it through blk.c. The logical unit stays its owner's and outlives
 * the device; the device frees itself on close. See scsi_blk_private.h for the map
 * of the parts.
 */
#include "scsi_blk.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "need.h"
#include "pool.h"
#include "scsi_blk_private.h"

static const struct scsi_op *const ops[] = {
	[BLK_READ] = &scsi_read_op,
	[BLK_WRITE] = &scsi_write_op,
	[BLK_FLUSH] = &scsi_sync_op,
	[BLK_TRIM] = &scsi_discard_op,
	[BLK_ZERO] = &scsi_zero_op,
	[BLK_CACHE] = &scsi_cache_op,
	[BLK_STATUS] = &scsi_status_op,
};

static struct scsi_blk *scsi_blk(struct blkdev *dev)
{
	return container_of(dev, struct scsi_blk, dev);
}

void scsi_blk_tune(struct blkdev *dev, double retry_timeout)
{
	scsi_blk(dev)->conf.retry_timeout = retry_timeout;
}

static void submit(struct blkdev *dev, struct blk_req *req)
{
	struct scsi_blk *sb = scsi_blk(dev);

	assert(req->offset % scsi_block_len(sb) == 0);
	assert(req->length % scsi_block_len(sb) == 0);
	scsi_job_start(sb, req, req->flags & BLK_COMPARE ? &scsi_compare_op : ops[req->op]);
}

static void abort_request(struct blkdev *dev, struct blk_req *req)
{
	(void)dev;
	if (req->priv)	/* else its end is under way */
		scsi_job_abort(req->priv);
}

static void release(struct scsi_blk *sb)
{
	assert(list_empty(&sb->queue) && list_empty(&sb->urgent) && list_empty(&sb->own) &&
	       !sb->running);
	scsi_path_stop(sb);
	pool_put(sb->dev.loop->pool, sb->zeroes, scsi_block_len(sb));
	free(sb);
}

static void left_log(struct log_member *member)
{
	struct scsi_blk *sb = container_of(member, struct scsi_blk, member);
	void (*closed)(void *) = sb->closed;
	void *opaque = sb->closed_opaque;

	release(sb);
	closed(opaque);
}

static void probe_ended_for_close(struct scsi_blk *sb, const char *why)
{
	(void)why;
	write_log_leave(&sb->member, left_log);
}

static void stop_probing(struct scsi_blk *sb)
{
	scsi_path_stop(sb);
	if (!sb->probe.active) {
		write_log_leave(&sb->member, left_log);
		return;
	}
	sb->probe.ended = probe_ended_for_close;
	scsi_probe_stop(sb);
}

void scsi_blk_own_ended(struct scsi_blk *sb)
{
	if (sb->closed && list_empty(&sb->own))
		stop_probing(sb);
}

static void close_device(struct blkdev *dev, void (*closed)(void *), void *opaque)
{
	struct scsi_blk *sb = scsi_blk(dev);

	list_for_each_safe(own, &sb->own)
		scsi_job_abort(container_of(own, struct scsi_job, own));
	sb->closed = closed;
	sb->closed_opaque = opaque;
	if (list_empty(&sb->own))
		stop_probing(sb);
}

static const struct blk_ops blk_ops = {
	.name = "scsi",
	.submit = submit,
	.abort = abort_request,
	.look = scsi_look,
	.close = close_device,
};

static void opening_ended(struct scsi_blk *sb, const char *why)
{
	blk_opened *opened = sb->opened;
	void *opaque = sb->opaque;

	if (why && sb->probe.bad_path && scsi_other_path(sb)) {
		scsi_probe_start(sb, opening_ended);
		return;
	}
	if (why) {
		release(sb);
		opened(opaque, NULL, why);
		return;
	}
	sb->facts = sb->probe.facts;
	sb->lu_losses = sb->lu->losses;
	sb->detours = 0;
	sb->lu->block_len = scsi_block_len(sb);
	scsi_same_init(sb);
	scsi_heed_mode(sb);
	scsi_update_info(sb);
	scsi_log_join(sb);
	sb->open = true;
	if (sb->probe_again)
		scsi_reprobe(sb);
	opened(opaque, &sb->dev, NULL);
}

void scsi_blk_open(struct scsi_lu *lu, struct blk_shared *shared, const struct scsi_blk_conf *conf,
		   blk_opened *opened, void *opaque)
{
	struct scsi_blk *sb = need(calloc(1, sizeof(*sb)));

	assert(shared->log);
	blk_init(&sb->dev, &blk_ops, lu->loop, shared);
	sb->lu = lu;
	sb->conf = *conf;
	sb->opened = opened;
	sb->opaque = opaque;
	sb->depth = UINT_MAX;
	list_init(&sb->queue);
	list_init(&sb->urgent);
	list_init(&sb->own);
	scsi_path_init(sb);
	scsi_probe_start(sb, opening_ended);
}
