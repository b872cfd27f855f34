/*
 * The block waist over an executor double: what executors are promised, and what
 * front ends get.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blk_bed.h"
#include "pool.h"
#include "range_lock.h"
#include "unit.h"

/* One by one ---------------------------------------------------------------------- */

static void what_fits_goes_straight_to_the_executor(void)
{
	struct blk_bed bed;
	uint8_t data[4096] = { 0 };
	struct blk_item *item;

	blk_bed_set_up(&bed, 65536, 1);
	item = blk_bed_submit(&bed, 0, BLK_WRITE, 3, sizeof(data), BLK_FUA, data);
	CU_ASSERT_PTR_EQUAL(bed.device.last, &item->req);
	CU_ASSERT_EQUAL(pool_in_use(bed.loop->pool), 0);
	blk_bed_wait(&bed);
	CU_ASSERT_EQUAL(item->req.error, 0);
	item = blk_bed_submit(&bed, 0, BLK_ZERO, 1, 65535, BLK_FAST, NULL);
	CU_ASSERT_PTR_EQUAL(bed.device.last, &item->req);
	CU_ASSERT_EQUAL(pool_in_use(bed.loop->pool), 0);
	blk_bed_wait(&bed);
	CU_ASSERT_EQUAL(bed.device.dev.requests, 2);
	blk_bed_tear_down(&bed);
}

static void what_a_device_lacks_is_done_without_it(void)
{
	struct blk_bed bed;
	struct blk_item *item;

	blk_bed_set_up(&bed, 65536, 1);
	bed.device.dev.info.can_flush = false;
	bed.device.dev.info.can_trim = false;
	bed.device.dev.info.can_zero = false;
	bed.device.dev.info.can_cache = false;
	bed.device.dev.info.can_extents = false;
	memset(bed.store.bytes, 0xaa, 65536);
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_FLUSH, 0, 0, 0, NULL)->req.error, 0);
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_TRIM, 0, 65536, BLK_FUA, NULL)->req.error, 0);
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_CACHE, 0, 65536, 0, NULL)->req.error, 0);
	CU_ASSERT_EQUAL(bed.store.bytes[0], 0xaa);
	item = blk_bed_run(&bed, BLK_STATUS, 7, 1000, 0, NULL);
	CU_ASSERT_EQUAL(item->req.error, 0);
	CU_ASSERT_EQUAL(item->req.extent_count, 1);
	CU_ASSERT_EQUAL(item->extents[0].length, 1000);
	CU_ASSERT_EQUAL(item->extents[0].flags, 0);
	CU_ASSERT_EQUAL(bed.device.dev.requests, 4);
	CU_ASSERT_PTR_NULL(bed.device.last);

	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_ZERO, 1, 65534, 0, NULL)->req.error, 0);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 1);
	CU_ASSERT_EQUAL(bed.store.bytes[0], 0xaa);
	CU_ASSERT_EQUAL(bed.store.bytes[1], 0);
	CU_ASSERT_EQUAL(bed.store.bytes[65534], 0);
	CU_ASSERT_EQUAL(bed.store.bytes[65535], 0xaa);
	blk_bed_tear_down(&bed);
}

static void a_read_only_device_refuses_what_modifies(void)
{
	static const enum blk_op op[] = { BLK_WRITE, BLK_TRIM, BLK_ZERO };
	uint8_t data[512];
	struct blk_bed bed;

	blk_bed_set_up(&bed, 65536, 512);
	bed.device.dev.info.read_only = true;
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(blk_bed_run(&bed, op[i], 0, 512, 0, data)->req.error, EROFS);
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_READ, 1, 511, 0, data)->req.error, 0);
	CU_ASSERT_EQUAL(bed.device.dev.failures, 3);
	blk_bed_tear_down(&bed);
}

static void a_fast_zero_is_never_a_slow_one(void)
{
	struct blk_bed bed;
	struct blk_item *item;

	blk_bed_set_up(&bed, 65536, 4096);
	memset(bed.store.bytes, 0xaa, 65536);
	/* Edges only: this is writing. */
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_ZERO, 1, 8190, BLK_FAST, NULL)->req.error, ENOTSUP);
	CU_ASSERT_EQUAL(bed.device.dev.requests, 1);
	/* One whole block, with both edges. */
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_ZERO, 1, 8193, BLK_FAST, NULL)->req.error, 0);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_ZERO], 1);
	CU_ASSERT_EQUAL(bed.store.bytes[0], 0xaa);
	CU_ASSERT_EQUAL(bed.store.bytes[1], 0);
	CU_ASSERT_EQUAL(bed.store.bytes[8193], 0);
	CU_ASSERT_EQUAL(bed.store.bytes[8194], 0xaa);
	bed.device.dev.info.can_fast_zero = false;
	item = blk_bed_run(&bed, BLK_ZERO, 8192, 8192, BLK_FAST, NULL);
	CU_ASSERT_EQUAL(item->req.error, ENOTSUP);
	CU_ASSERT_EQUAL(bed.store.bytes[8194], 0xaa);
	bed.device.dev.info.can_fast_zero = true;
	bed.device.dev.info.can_zero = false;
	item = blk_bed_run(&bed, BLK_ZERO, 8192, 8192, BLK_FAST, NULL);
	CU_ASSERT_EQUAL(item->req.error, ENOTSUP);
	CU_ASSERT_EQUAL(bed.store.bytes[8194], 0xaa);
	blk_bed_tear_down(&bed);
}

static void a_trim_takes_whole_blocks_only(void)
{
	struct blk_bed bed;

	blk_bed_set_up(&bed, 65536, 4096);
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_TRIM, 1, 8190, 0, NULL)->req.error, 0);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_TRIM], 0);
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_TRIM, 1, 12287, 0, NULL)->req.error, 0);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_TRIM], 1);
	CU_ASSERT_EQUAL(bed.store.bytes[4095], 0);
	CU_ASSERT_EQUAL(bed.store.bytes[4096], 0xdd);
	CU_ASSERT_EQUAL(bed.store.bytes[12287], 0xdd);
	CU_ASSERT_EQUAL(bed.store.bytes[12288], 0);
	blk_bed_tear_down(&bed);
}

static void a_flush_covers_nothing_that_came_after_its_start(void)
{
	struct blk_bed bed;

	blk_bed_set_up(&bed, 65536, 1);
	bed.device.hold = true;
	blk_bed_submit(&bed, 0, BLK_FLUSH, 0, 0, 0, NULL);
	blk_bed_turn(&bed);
	for (unsigned i = 1; i < 5; i++)
		blk_bed_submit(&bed, i, BLK_FLUSH, 0, 0, 0, NULL);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_FLUSH], 1);
	/* The first fails alone: the others are not on it. */
	blk_fail(bed.device.last, EIO, "cache gone");
	blk_double_release(&bed.device);
	blk_bed_wait(&bed);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_FLUSH], 2);
	CU_ASSERT_EQUAL(bed.item[0].req.error, EIO);
	CU_ASSERT_STRING_EQUAL(bed.item[0].req.why, "cache gone");
	for (unsigned i = 1; i < 5; i++)
		CU_ASSERT_EQUAL(bed.item[i].req.error, 0);
	blk_bed_tear_down(&bed);
}

static void fua_without_fua_is_a_flush_after_the_last_piece(void)
{
	struct blk_bed bed;
	uint8_t data[8192] = { 0 };

	blk_bed_set_up(&bed, 65536, 512);
	bed.device.dev.info.can_fua = false;
	bed.device.dev.info.max_data = 1024;
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_WRITE, 100, 8000, BLK_FUA, data)->req.error, 0);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_FLUSH], 1);
	CU_ASSERT(blk_store_is_persistent(&bed.store, 100, 8000, UINT64_MAX));
	blk_bed_tear_down(&bed);
}

static void what_the_executor_unlearns_is_emulated_at_once(void)
{
	struct blk_bed bed;
	uint8_t data[4096] = { 0 };
	struct blk_item *item;

	blk_bed_set_up(&bed, 1 << 20, 512);
	memset(bed.store.bytes, 0xaa, 1 << 20);
	for (enum blk_op op = BLK_FLUSH; op <= BLK_STATUS; op++)
		bed.device.refuses[op] = true;
	bed.device.dev.info.max_zero = 65536;
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_ZERO, 10, (1 << 20) - 20, 0, NULL)->req.error, 0);
	CU_ASSERT_EQUAL(bed.store.bytes[9], 0xaa);
	CU_ASSERT_EQUAL(bed.store.bytes[(1 << 20) - 10], 0xaa);
	for (unsigned i = 10; i < (1 << 20) - 10; i++)
		if (bed.store.bytes[i]) {
			CU_FAIL("not zeroed");
			break;
		}
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_TRIM, 0, 4096, 0, NULL)->req.error, 0);
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_CACHE, 0, 4096, 0, NULL)->req.error, 0);
	item = blk_bed_run(&bed, BLK_STATUS, 100, 4096, 0, NULL);
	CU_ASSERT(item->req.error == 0 && item->req.extent_count == 1);
	bed.device.refuses[BLK_FLUSH] = false;
	bed.device.refuses_fua = true;
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_WRITE, 0, 4096, BLK_FUA, data)->req.error, 0);
	CU_ASSERT(blk_store_is_persistent(&bed.store, 0, 4096, UINT64_MAX));
	bed.device.refuses[BLK_FLUSH] = true;
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_FLUSH, 0, 0, 0, NULL)->req.error, 0);
	CU_ASSERT_FALSE(bed.device.dev.info.can_flush);
	blk_bed_tear_down(&bed);
}

static void the_lowest_failing_offset_speaks_for_all(void)
{
	struct blk_bed bed;
	static uint8_t data[60000];
	struct blk_item *item;

	blk_bed_set_up(&bed, 65536, 512);
	for (unsigned i = 0; i < 65536; i++)
		bed.store.bytes[i] = (uint8_t)(i * 7);
	bed.device.dev.info.max_data = 2048;
	bed.device.bad[0] = 50000;
	bed.device.bad[1] = 20000;
	bed.device.bad[2] = 20001;
	for (unsigned seed = 1; seed < 50; seed++) {
		bed.device.seed = seed;
		item = blk_bed_run(&bed, BLK_READ, 100, sizeof(data), 0, data);
		CU_ASSERT_EQUAL(item->req.error, EIO);
		CU_ASSERT(item->req.has_error_offset && item->req.error_offset == 20000);
		CU_ASSERT_STRING_EQUAL(item->req.why, "byte 20000");
		CU_ASSERT(memcmp(data, bed.store.bytes + 100, 20000 - 100) == 0);
	}
	/* In the edge's block, but not in the part asked for. */
	bed.device.bad[3] = 0;
	item = blk_bed_run(&bed, BLK_READ, 100, sizeof(data), 0, data);
	CU_ASSERT(item->req.has_error_offset && item->req.error_offset == 100);
	/* A device that does not say where: the start of the piece is where things were good. */
	bed.device.bad[3] = UINT64_MAX;
	bed.device.vague = true;
	item = blk_bed_run(&bed, BLK_READ, 0, sizeof(data), 0, data);
	CU_ASSERT(item->req.has_error_offset && item->req.error_offset == 18432);
	item = blk_bed_run(&bed, BLK_READ, 18432, 4096, 0, data);
	CU_ASSERT(item->req.error == EIO && !item->req.has_error_offset);
	blk_bed_tear_down(&bed);
}

static void a_failed_request_starts_no_more_pieces(void)
{
	struct blk_bed bed;
	static uint8_t data[60000];

	blk_bed_set_up(&bed, 65536, 512);
	bed.device.dev.info.max_data = 512;
	bed.device.bad[0] = 0;
	blk_bed_run(&bed, BLK_WRITE, 0, sizeof(data), 0, data);
	CU_ASSERT(bed.device.seen[BLK_WRITE] <= 32);
	CU_ASSERT(bed.device.max_in_flight <= 16);
	blk_bed_tear_down(&bed);
}

static void an_abort_reaches_every_piece_and_ends_once(void)
{
	struct blk_bed bed;
	struct blk_item *item;
	static uint8_t data[60000];

	blk_bed_set_up(&bed, 65536, 512);
	bed.device.dev.info.max_data = 512;
	bed.device.hold = true;
	item = blk_bed_submit(&bed, 0, BLK_READ, 0, sizeof(data), 0, data);
	CU_ASSERT_EQUAL(bed.device.in_flight, 16);
	blk_abort(&bed.device.dev, &item->req);
	CU_ASSERT(!item->ended);
	CU_ASSERT_EQUAL(bed.device.aborts, 16);
	blk_double_release(&bed.device);
	blk_bed_wait(&bed);
	CU_ASSERT_EQUAL(item->req.error, ECANCELED);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 16);

	/* One that is about to be answered by the waist itself is left alone. */
	item = blk_bed_submit(&bed, 0, BLK_TRIM, 1, 5, 0, NULL);
	blk_abort(&bed.device.dev, &item->req);
	blk_bed_wait(&bed);
	CU_ASSERT_EQUAL(item->req.error, 0);
	blk_bed_tear_down(&bed);
}

static void a_device_that_shrinks_fails_the_rest_and_no_more(void)
{
	struct blk_bed bed;
	struct blk_item *item;
	static uint8_t data[60000];

	blk_bed_set_up(&bed, 65536, 512);
	bed.device.dev.info.max_data = 512;
	bed.device.hold = true;
	item = blk_bed_submit(&bed, 0, BLK_WRITE, 0, 51200, 0, data);
	bed.device.dev.info.size = 32768;
	blk_double_release(&bed.device);
	blk_bed_wait(&bed);
	CU_ASSERT_EQUAL(item->req.error, ENOSPC);
	CU_ASSERT(item->req.has_error_offset && item->req.error_offset == 32768);
	blk_bed_tear_down(&bed);
}

static void status_is_asked_in_pieces_and_joined(void)
{
	struct blk_bed bed;
	struct blk_item *item;

	blk_bed_set_up(&bed, 1 << 20, 512);
	bed.device.dev.info.max_extent = 64 << 10;
	bed.device.seed = 7;
	memset(bed.store.hole, 1, 1000);
	item = blk_bed_run(&bed, BLK_STATUS, 700, (1 << 20) - 700, 0, NULL);
	CU_ASSERT_EQUAL(item->req.error, 0);
	CU_ASSERT_EQUAL(item->extents[0].flags, BLK_HOLE);
	CU_ASSERT(bed.device.seen[BLK_STATUS] > 1 && bed.device.seen[BLK_STATUS] <= 16);
	for (unsigned i = 1; i < item->req.extent_count; i++)
		CU_ASSERT(item->extents[i].flags != item->extents[i - 1].flags);
	item = blk_bed_run(&bed, BLK_STATUS, 700, 300000, BLK_REQ_ONE, NULL);
	CU_ASSERT_EQUAL(item->req.extent_count, 1);
	blk_bed_tear_down(&bed);
}

static void a_submitter_that_holds_the_range_does_not_wait_for_itself(void)
{
	struct blk_bed bed;
	struct range range = { .first = 0, .end = 4096, .exclusive = true };
	uint8_t data[4096] = { 1 };

	blk_bed_set_up(&bed, 65536, 512);
	range.loop = bed.loop;
	range.locked = (void (*)(struct range *))abort;
	CU_ASSERT(range_lock(bed.shared.ranges, &range));
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_WRITE, 100, 3000, BLK_LOCKED, data)->req.error, 0);
	CU_ASSERT_EQUAL(blk_bed_run(&bed, BLK_WRITE, 0, 4096, BLK_LOCKED, data)->req.error, 0);
	blk_bed_submit(&bed, 0, BLK_WRITE, 0, 512, 0, data);
	blk_bed_turn(&bed);
	CU_ASSERT(!bed.item[0].ended);
	range_unlock(bed.shared.ranges, &range);
	blk_bed_wait(&bed);
	blk_bed_tear_down(&bed);
}

/* A read that the device has done already, or a range that comes late: nothing is written any more. */
static void of_an_aborted_edge_nothing_is_written(void)
{
	struct blk_bed bed;
	struct range range = { .first = 0, .end = 512, .exclusive = true };
	uint8_t data[100] = { 1 };
	struct blk_item *item;

	blk_bed_set_up(&bed, 65536, 512);
	bed.device.ignores_aborts = true;
	item = blk_bed_submit(&bed, 0, BLK_WRITE, 700, 100, 0, data);
	blk_abort(&bed.device.dev, &item->req);
	blk_bed_wait(&bed);
	CU_ASSERT_EQUAL(item->req.error, ECANCELED);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 1);

	range.loop = bed.loop;
	range.locked = (void (*)(struct range *))abort;
	CU_ASSERT(range_lock(bed.shared.ranges, &range));
	item = blk_bed_submit(&bed, 0, BLK_WRITE, 0, 512, 0, (uint8_t[512]){ 1 });
	blk_abort(&bed.device.dev, &item->req);
	blk_bed_turn(&bed);
	range_unlock(bed.shared.ranges, &range);
	blk_bed_wait(&bed);
	CU_ASSERT_EQUAL(item->req.error, ECANCELED);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 0);
	blk_bed_tear_down(&bed);
}

static bool granted;

static void on_granted(struct range *range)
{
	(void)range;
	granted = true;
}

/* COMPARE AND WRITE of a SCSI host on a device of bytes, whose writers hold no ranges. */
static void whoever_excludes_others_waits_for_plain_writes_and_they_for_him(void)
{
	struct blk_bed bed;
	struct range range = { .first = 0, .end = 512, .exclusive = true, .locked = on_granted };
	uint8_t data[4096] = { 1 };

	granted = false;
	blk_bed_set_up(&bed, 65536, 1);
	range.loop = bed.loop;
	bed.device.hold = true;
	blk_bed_submit(&bed, 0, BLK_WRITE, 10000, 100, 0, data);
	CU_ASSERT_FALSE(range_lock(bed.shared.ranges, &range));
	blk_bed_turn(&bed);
	CU_ASSERT_FALSE(granted);
	blk_double_release(&bed.device);
	blk_bed_wait(&bed);
	blk_bed_turn(&bed);
	CU_ASSERT_TRUE_FATAL(granted);
	blk_bed_submit(&bed, 0, BLK_WRITE, 511, 2, 0, data);
	blk_bed_submit(&bed, 1, BLK_ZERO, 0, 65536, 0, NULL);
	CU_ASSERT_EQUAL(blk_bed_submit(&bed, 2, BLK_WRITE, 512, 8, 0, data)->req.error, 0);
	blk_bed_turn(&bed);
	blk_bed_turn(&bed);
	CU_ASSERT(!bed.item[0].ended && !bed.item[1].ended && bed.item[2].ended);
	range_unlock(bed.shared.ranges, &range);
	blk_bed_wait(&bed);
	blk_bed_tear_down(&bed);
}

/* Two workers ---------------------------------------------------------------------- */

#define PIECE	100
#define PIECES	163	/* on 512-byte blocks: nearly every border is inside a block */

struct writer {
	struct blk_double device;
	struct loop *loop;
	struct loop_msg start;
	pthread_t thread;
	struct blk_req req;
	uint8_t data[PIECE];
	unsigned next, rounds;
};

static void write_next(struct writer *w)
{
	memset(w->data, (int)(w->next + w->rounds + 1), sizeof(w->data));
	w->req.op = BLK_WRITE;
	w->req.offset = (uint64_t)w->next * PIECE;
	w->req.length = PIECE;
	w->req.data = w->data;
	blk_submit(&w->device.dev, &w->req);
}

static void written(struct blk_req *req)
{
	struct writer *w = container_of(req, struct writer, req);

	w->next += 2;
	if (w->next >= PIECES) {
		w->next %= 2;
		w->rounds--;
	}
	if (w->rounds)
		write_next(w);
	else
		loop_stop(w->loop);
}

static void writer_start(struct loop_msg *msg)
{
	write_next(container_of(msg, struct writer, start));
}

static void *writer_main(void *arg)
{
	loop_run(((struct writer *)arg)->loop);
	return NULL;
}

static void workers_that_write_parts_of_one_block_keep_each_others_bytes(void)
{
	static struct writer writer[2];
	struct blk_store store;
	struct blk_shared shared = { .ranges = range_lock_new() };
	unsigned wrong = 0;

	memset(writer, 0, sizeof(writer));
	blk_store_init(&store, 32768, 512);
	for (unsigned i = 0; i < 2; i++) {
		struct writer *w = &writer[i];

		w->loop = loop_new();
		w->next = i;
		w->rounds = 10;
		w->req.done = written;
		w->start.run = writer_start;
		blk_double_init(&w->device, &store, w->loop, &shared);
		loop_post(w->loop, &w->start);
		CU_ASSERT_FATAL(pthread_create(&w->thread, NULL, writer_main, w) == 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(writer[i].thread, NULL);
		CU_ASSERT_EQUAL(writer[i].device.broken, 0);
		loop_free(writer[i].loop);
	}
	for (unsigned i = 0; i < PIECES * PIECE; i++)
		wrong += store.bytes[i] != (uint8_t)(i / PIECE + 2);
	CU_ASSERT_EQUAL(wrong, 0);
	blk_store_free(&store);
	range_lock_free(shared.ranges);
}

static const struct unit_test tests[] = {
	UNIT_TEST(what_fits_goes_straight_to_the_executor),
	UNIT_TEST(what_a_device_lacks_is_done_without_it),
	UNIT_TEST(a_read_only_device_refuses_what_modifies),
	UNIT_TEST(a_fast_zero_is_never_a_slow_one),
	UNIT_TEST(a_trim_takes_whole_blocks_only),
	UNIT_TEST(a_flush_covers_nothing_that_came_after_its_start),
	UNIT_TEST(fua_without_fua_is_a_flush_after_the_last_piece),
	UNIT_TEST(what_the_executor_unlearns_is_emulated_at_once),
	UNIT_TEST(the_lowest_failing_offset_speaks_for_all),
	UNIT_TEST(a_failed_request_starts_no_more_pieces),
	UNIT_TEST(an_abort_reaches_every_piece_and_ends_once),
	UNIT_TEST(a_device_that_shrinks_fails_the_rest_and_no_more),
	UNIT_TEST(status_is_asked_in_pieces_and_joined),
	UNIT_TEST(of_an_aborted_edge_nothing_is_written),
	UNIT_TEST(whoever_excludes_others_waits_for_plain_writes_and_they_for_him),
	UNIT_TEST(a_submitter_that_holds_the_range_does_not_wait_for_itself),
	UNIT_TEST(workers_that_write_parts_of_one_block_keep_each_others_bytes),
};

UNIT_MAIN("blk", tests)
