/* See scsi_blk_bed.h. */
#include "scsi_blk_bed.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "pool.h"
#include "range_lock.h"
#include "write_log.h"

const struct fake_traits bed_full = {
	.blocks = BLOCKS, .block_len = 512, .vpd = true, .serial = "S-1",
	.naa = { 0x60, 0x01, 0x40, 0x5a }, .naa_len = 4,
	.limits = { .max_unmap_blocks = 1024, .max_unmap_descriptors = 4, .unmap_granularity = 8 },
	.lbpme = true,
	.provisioning = { .lbpu = true, .lbpws = true, .lbpws10 = true, .lbprz = 1 },
	.dpofua = true, .wce = true, .rsoc = true, .ndob = true,
};

const struct fake_traits bed_plain = { .blocks = BLOCKS, .block_len = 512 };

static void opened(void *opaque, struct blkdev *dev, const char *why)
{
	struct scsi_bed *bed = opaque;

	CU_ASSERT_EQUAL(!dev, !!why);
	bed->dev = dev;
	snprintf(bed->why, sizeof(bed->why), "%s", why ? why : "");
	loop_stop(bed->loop);
}

void bed_start(struct scsi_bed *bed, const struct fake_traits *traits)
{
	memset(bed, 0, sizeof(*bed));
	bed->loop = loop_new();
	bed->fake = fake_lu_new(bed->loop, traits);
	bed->shared.ranges = range_lock_new();
	bed->conf.retry_timeout = 5;
	bed->shared.log = write_log_new(0);
}

void bed_open(struct scsi_bed *bed)
{
	scsi_blk_open(&bed->fake->lu, &bed->shared, &bed->conf, opened, bed);
	CU_ASSERT_PTR_NULL(bed->dev);	/* not within the call */
	loop_run(bed->loop);
}

void bed_begin(struct scsi_bed *bed, const struct fake_traits *traits)
{
	bed_start(bed, traits);
	bed_open(bed);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->dev);
	bed->fake->sent_count = 0;
}

static void closed(void *opaque)
{
	struct scsi_bed *bed = opaque;

	bed->dev = NULL;
	loop_stop(bed->loop);
}

void bed_end(struct scsi_bed *bed)
{
	if (bed->dev) {
		blk_close(bed->dev, closed, bed);
		/* closed() came at once or comes later: it stops the loop in either case. */
		loop_run(bed->loop);
		CU_ASSERT_PTR_NULL(bed->dev);
	}
	CU_ASSERT_EQUAL(pool_in_use(bed->loop->pool), 0);
	fake_lu_free(bed->fake);
	range_lock_free(bed->shared.ranges);
	write_log_free(bed->shared.log);
	loop_free(bed->loop);
}

static void call_done(struct blk_req *req)
{
	struct bed_call *call = container_of(req, struct bed_call, req);

	CU_ASSERT_FALSE(call->done);
	call->done = true;
	if (!--call->bed->waiting)
		loop_stop(call->bed->loop);
}

struct bed_call bed_request(enum blk_op op, uint32_t flags, uint64_t block, uint64_t blocks,
			    uint8_t *data)
{
	struct bed_call call = { .req = { .op = op, .flags = flags, .data = data } };

	call.req.offset = block * 512;
	call.req.length = blocks * 512;
	return call;
}

void bed_submit(struct scsi_bed *bed, struct bed_call *call)
{
	call->bed = bed;
	call->done = false;
	call->req.done = call_done;
	bed->waiting++;
	blk_submit(bed->dev, &call->req);
	CU_ASSERT_FALSE(call->done);
}

int bed_do(struct scsi_bed *bed, enum blk_op op, uint32_t flags, uint64_t block, uint64_t blocks,
	   uint8_t *data, struct bed_call *outcome)
{
	struct bed_call call = bed_request(op, flags, block, blocks, data);

	bed_submit(bed, &call);
	loop_run(bed->loop);
	CU_ASSERT_TRUE(call.done);
	if (outcome)
		*outcome = call;
	return call.req.error;
}

int bed_flush(struct scsi_bed *bed)
{
	return bed_do(bed, BLK_FLUSH, 0, 0, 0, NULL, NULL);
}

int bed_write_one(struct scsi_bed *bed)
{
	static uint8_t block[512];

	return bed_do(bed, BLK_WRITE, 0, 1, 1, block, NULL);
}

const struct cdb *bed_sent(const struct scsi_bed *bed, unsigned i)
{
	static const struct cdb none;

	CU_ASSERT_FATAL(i < FAKE_RECORD);
	return i < bed->fake->sent_count ? &bed->fake->sent[i] : &none;
}

static void stop_on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	loop_stop(timer->data);
}

void bed_settle(struct scsi_bed *bed)
{
	/* More than it takes to look at the unit from the beginning. */
	for (int turn = 0; turn < 50; turn++)
		ev_run(bed->loop->ev, EVRUN_NOWAIT);
}

void bed_run_for(struct scsi_bed *bed, double seconds)
{
	ev_timer timer;

	ev_timer_init(&timer, stop_on_timer, seconds, 0.);
	timer.data = bed->loop;
	ev_now_update(bed->loop->ev);
	ev_timer_start(bed->loop->ev, &timer);
	loop_run(bed->loop);
	ev_timer_stop(bed->loop->ev, &timer);
}
