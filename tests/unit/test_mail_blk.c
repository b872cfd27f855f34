/*
 * A device on one worker, used from another.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "blk_double.h"
#include "mail_blk.h"
#include "pool.h"
#include "range_lock.h"
#include "unit.h"

#define SIZE	32768u

/* The far side has a thread; the near side is this one. */
struct bed {
	struct loop *near_loop, *far_loop;
	struct blk_store store;
	struct blk_shared shared;
	struct blk_double device;
	struct blkdev *near_dev;
	pthread_t thread;
	struct blk_req req;
	struct blk_extent extents[64];
};

static void *far_main(void *arg)
{
	loop_run(((struct bed *)arg)->far_loop);
	return NULL;
}

static void set_up(struct bed *bed)
{
	memset(bed, 0, sizeof(*bed));
	bed->near_loop = loop_new();
	bed->far_loop = loop_new();
	bed->shared.ranges = range_lock_new();
	CU_ASSERT_FATAL(bed->near_loop && bed->far_loop && bed->shared.ranges);
	blk_store_init(&bed->store, SIZE, 512);
	blk_double_init(&bed->device, &bed->store, bed->far_loop, &bed->shared);
	bed->near_dev = mail_blk_open(&bed->device.dev, bed->near_loop);
	CU_ASSERT_FATAL(bed->near_dev != NULL);
	CU_ASSERT_EQUAL(bed->near_dev->info.size, SIZE);
}

static void start(struct bed *bed)
{
	CU_ASSERT_FATAL(pthread_create(&bed->thread, NULL, far_main, bed) == 0);
}

static void on_closed(void *opaque)
{
	*(bool *)opaque = true;
}

static void tear_down(struct bed *bed)
{
	bool closed = false;

	loop_stop(bed->far_loop);
	pthread_join(bed->thread, NULL);
	blk_close(bed->near_dev, on_closed, &closed);
	CU_ASSERT(closed);
	CU_ASSERT_EQUAL(bed->device.broken, 0);
	CU_ASSERT_EQUAL(bed->device.dev.in_flight, 0);
	CU_ASSERT_EQUAL(pool_in_use(bed->near_loop->pool), 0);
	CU_ASSERT_EQUAL(pool_in_use(bed->far_loop->pool), 0);
	loop_free(bed->near_loop);
	loop_free(bed->far_loop);
	range_lock_free(bed->shared.ranges);
	blk_store_free(&bed->store);
}

static void on_done(struct blk_req *req)
{
	loop_stop(container_of(req, struct bed, req)->near_loop);
}

static struct blk_req *run(struct bed *bed, enum blk_op op, uint64_t offset, uint64_t length,
			   uint32_t flags, uint8_t *data)
{
	bed->req = (struct blk_req){
		.op = op, .flags = flags, .offset = offset, .length = length, .data = data,
		.extents = bed->extents, .extent_room = 64, .done = on_done,
	};
	blk_submit(bed->near_dev, &bed->req);
	loop_run(bed->near_loop);
	return &bed->req;
}

static void requests_of_every_kind_travel_there_and_back(void)
{
	struct bed bed;
	static uint8_t data[SIZE], seen[SIZE];

	set_up(&bed);
	bed.device.dev.info.can_fua = false;
	start(&bed);
	memset(data, 0xaa, sizeof(data));
	/* Edges on a far device: the range is taken here and not once more there. */
	CU_ASSERT_EQUAL(run(&bed, BLK_WRITE, 100, 30000, BLK_FUA, data)->error, 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_ZERO, 1000, 10000, 0, NULL)->error, 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_READ, 0, SIZE, 0, seen)->error, 0);
	memset(data, 0, 100);
	memset(data + 1000, 0, 10000);
	memset(data + 30100, 0, SIZE - 30100);
	CU_ASSERT(memcmp(data, seen, SIZE) == 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_TRIM, 0, SIZE, 0, NULL)->error, 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_STATUS, 10, SIZE - 10, 0, NULL)->error, 0);
	CU_ASSERT_EQUAL(bed.extents[0].flags, BLK_HOLE);
	CU_ASSERT_EQUAL(run(&bed, BLK_FLUSH, 0, 0, 0, NULL)->error, 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_CACHE, 0, SIZE, 0, NULL)->error, 0);
	tear_down(&bed);
}

static void a_failure_keeps_its_place_and_its_reason(void)
{
	struct bed bed;
	uint8_t data[4096];

	set_up(&bed);
	bed.device.bad[0] = 5000;
	start(&bed);
	CU_ASSERT_EQUAL(run(&bed, BLK_READ, 4096, 4096, 0, data)->error, EIO);
	CU_ASSERT(bed.req.has_error_offset && bed.req.error_offset == 5000);
	CU_ASSERT_STRING_EQUAL(bed.req.why, "byte 5000");
	tear_down(&bed);
}

static void what_changes_on_the_far_side_is_news_here(void)
{
	struct bed bed;
	uint8_t data[512] = { 0 };

	set_up(&bed);
	bed.device.dev.info.size = SIZE / 2;
	bed.device.dev.info.generation++;
	start(&bed);
	CU_ASSERT_EQUAL(bed.near_dev->info.size, SIZE);
	CU_ASSERT_EQUAL(run(&bed, BLK_WRITE, SIZE - 512, 512, 0, data)->error, ENOSPC);
	CU_ASSERT_EQUAL(bed.near_dev->info.size, SIZE / 2);
	CU_ASSERT_EQUAL(run(&bed, BLK_WRITE, 0, 512, 0, data)->error, 0);
	tear_down(&bed);
}

static const struct unit_test tests[] = {
	UNIT_TEST(requests_of_every_kind_travel_there_and_back),
	UNIT_TEST(a_failure_keeps_its_place_and_its_reason),
	UNIT_TEST(what_changes_on_the_far_side_is_news_here),
};

UNIT_MAIN("mail_blk", tests)
