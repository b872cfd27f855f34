/*
 * The CDB builder against the CDB interpreter, no network between: scsi_blk over
 * disk_lu over mem_blk. Random requests against a model, in both block lengths, and
 * what the one says of itself as the other understands it.
 */
#include <string.h>

#include "blk_model.h"
#include "disk_lu.h"
#include "loop.h"
#include "mem_blk.h"
#include "pool.h"
#include "range_lock.h"
#include "write_log.h"
#include "scsi_blk.h"
#include "unit.h"

#define SIZE	(4u << 20)

struct chain {
	struct loop *loop;
	struct mem *mem;
	struct blk_shared below, above;
	struct blkdev *store;
	struct lu_shared *lu_shared;
	struct scsi_lu *lu;
	struct blkdev *dev;
};

static void opened(void *opaque, struct blkdev *dev, const char *why)
{
	struct chain *c = opaque;

	CU_ASSERT_PTR_NULL(why);
	c->dev = dev;
	loop_stop(c->loop);
}

static void begin(struct chain *c, uint32_t block_len)
{
	const struct disk_lu_conf lu_conf = {
		.target_name = "iqn.2000-01.test:pair", .serial = "0123", .block_len = block_len,
	};
	const struct scsi_blk_conf conf = { .retry_timeout = 5 };

	memset(c, 0, sizeof(*c));
	c->loop = loop_new();
	c->mem = mem_new(SIZE);
	c->below.ranges = range_lock_new();
	c->above.ranges = range_lock_new();
	c->above.log = write_log_new(1u << 20);
	c->store = mem_blk_open(c->mem, c->loop, &c->below);
	c->lu_shared = lu_shared_new(&lu_conf);
	c->lu = disk_lu_open(c->store, c->lu_shared, NULL);
	scsi_blk_open(c->lu, &c->above, &conf, opened, c);
	loop_run(c->loop);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->dev);
}

static void closed(void *opaque)
{
	struct chain *c = opaque;

	loop_stop(c->loop);
}

static void end(struct chain *c)
{
	blk_close(c->dev, closed, c);
	loop_run(c->loop);
	lu_close(c->lu, closed, c);
	loop_run(c->loop);
	lu_shared_free(c->lu_shared);
	blk_close(c->store, closed, c);
	loop_run(c->loop);
	mem_free(c->mem);
	range_lock_free(c->below.ranges);
	range_lock_free(c->above.ranges);
	write_log_free(c->above.log);
	CU_ASSERT_EQUAL(pool_in_use(c->loop->pool), 0);
	loop_free(c->loop);
}

static void the_builder_sees_what_the_store_can(void)
{
	static const uint32_t block_len[] = { 512, 4096 };

	for (int i = 0; i < 2; i++) {
		const struct blk_info *info;
		struct chain c;

		begin(&c, block_len[i]);
		info = &c.dev->info;
		CU_ASSERT_EQUAL(info->size, SIZE);
		CU_ASSERT_EQUAL(info->min_block, block_len[i]);
		CU_ASSERT_EQUAL(info->read_only, c.store->info.read_only);
		CU_ASSERT_EQUAL(info->can_trim, c.store->info.can_trim);
		CU_ASSERT_EQUAL(info->can_extents, c.store->info.can_extents);
		CU_ASSERT_TRUE(info->can_zero);
		CU_ASSERT_TRUE(info->can_fast_zero);
		CU_ASSERT_NOT_EQUAL(info->identity[0], '\0');
		end(&c);
	}
}

static void random_requests_come_through_unharmed(void)
{
	static const uint32_t block_len[] = { 512, 4096 };

	for (unsigned seed = 1; seed <= 8; seed++) {
		struct blk_model model = { .seed = seed, .depth = 12, .operations = 1000 };
		struct chain c;

		begin(&c, block_len[seed % 2]);
		model.dev = c.dev;
		blk_model_run(&model);
		CU_ASSERT_EQUAL(model.done, 1000);
		CU_ASSERT_EQUAL(model.failed, 0);
		CU_ASSERT_EQUAL(model.wrong, 0);
		end(&c);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(the_builder_sees_what_the_store_can),
	UNIT_TEST(random_requests_come_through_unharmed),
};

UNIT_MAIN("builder and interpreter", tests)
