#include "blk_bed.h"

#include <string.h>

#include "pool.h"
#include "range_lock.h"
#include "unit.h"

void blk_bed_set_up(struct blk_bed *bed, uint64_t size, uint32_t block)
{
	memset(bed, 0, sizeof(*bed));
	bed->loop = loop_new();
	bed->shared.ranges = range_lock_new();
	CU_ASSERT_FATAL(bed->loop && bed->shared.ranges);
	blk_store_init(&bed->store, size, block);
	blk_double_init(&bed->device, &bed->store, bed->loop, &bed->shared);
}

static void on_closed(void *opaque)
{
	*(bool *)opaque = true;
}

void blk_bed_tear_down(struct blk_bed *bed)
{
	bool closed = false;

	blk_close(&bed->device.dev, on_closed, &closed);
	CU_ASSERT(closed);
	CU_ASSERT_EQUAL(bed->device.broken, 0);
	CU_ASSERT_EQUAL(pool_in_use(bed->loop->pool), 0);
	loop_free(bed->loop);
	range_lock_free(bed->shared.ranges);
	blk_store_free(&bed->store);
}

static void on_done(struct blk_req *req)
{
	struct blk_item *item = container_of(req, struct blk_item, req);
	struct blk_bed *bed = item->bed;

	CU_ASSERT(!bed->submitting);
	CU_ASSERT(++item->ended == 1);
	if (--bed->in_flight == 0)
		loop_stop(bed->loop);
}

struct blk_item *blk_bed_submit(struct blk_bed *bed, unsigned i, enum blk_op op, uint64_t offset,
				uint64_t length, uint32_t flags, uint8_t *data)
{
	struct blk_item *item = &bed->item[i];

	memset(item, 0, sizeof(*item));
	item->bed = bed;
	item->req.op = op;
	item->req.flags = flags;
	item->req.offset = offset;
	item->req.length = length;
	item->req.data = data;
	item->req.extents = item->extents;
	item->req.extent_room = BLK_BED_EXTENTS;
	item->req.done = on_done;
	item->submitted_at = bed->store.now;
	bed->in_flight++;
	bed->submitting = true;
	blk_submit(&bed->device.dev, &item->req);
	bed->submitting = false;
	CU_ASSERT(!item->ended);
	return item;
}

void blk_bed_wait(struct blk_bed *bed)
{
	if (bed->in_flight)
		loop_run(bed->loop);
	CU_ASSERT_EQUAL(bed->in_flight, 0);
	CU_ASSERT_EQUAL(bed->device.dev.in_flight, 0);
}

/* A turn of the loop in which nothing needs to end. */
static void on_turn(struct loop_msg *msg)
{
	(void)msg;
}

void blk_bed_turn(struct blk_bed *bed)
{
	struct loop_msg msg = { .run = on_turn };

	loop_post(bed->loop, &msg);
	loop_stop(bed->loop);
	loop_run(bed->loop);
}

struct blk_item *blk_bed_run(struct blk_bed *bed, enum blk_op op, uint64_t offset, uint64_t length,
			     uint32_t flags, uint8_t *data)
{
	struct blk_item *item = blk_bed_submit(bed, 0, op, offset, length, flags, data);

	blk_bed_wait(bed);
	return item;
}
