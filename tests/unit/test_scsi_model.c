/* Random requests to scsi_blk over units of many kinds, checked against a model. */
#include <stdio.h>
#include <string.h>

#include "blk_model.h"
#include "log.h"
#include "scsi_blk_bed.h"
#include "unit.h"

static void be_quiet(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

/* Returns how many requests failed. */
static unsigned run(const struct fake_traits *traits, unsigned seed, bool may_fail)
{
	struct blk_model model = {
		.seed = seed, .depth = 8, .operations = 400, .may_fail = may_fail,
	};
	struct scsi_bed bed;

	log_set_sink(be_quiet);
	bed_start(&bed, traits);
	bed.conf.retry_timeout = 30;
	bed.fake->seed = seed;
	bed_open(&bed);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed.dev);
	model.dev = bed.dev;
	blk_model_run(&model);
	CU_ASSERT_EQUAL(model.done, 400);
	CU_ASSERT_EQUAL(model.wrong, 0);
	if (model.wrong)
		fprintf(stderr, "seed %u: %lu bytes are wrong\n", seed, model.wrong);
	bed_end(&bed);
	return model.failed;
}

static void units_of_every_provisioning_keep_what_they_were_given(void)
{
	unsigned seed = 1;

	for (unsigned ways = 0; ways < 16; ways++)
		for (uint8_t lbprz = 0; lbprz < 3; lbprz++) {
			struct fake_traits t = bed_full;

			t.lbpme = ways & 1;
			t.limits.max_compare_and_write = ways % 3;
			t.provisioning.lbpu = ways & 2;
			t.provisioning.lbpws = ways & 4;
			t.provisioning.lbpws10 = ways & 8;
			t.provisioning.lbprz = lbprz;
			CU_ASSERT_EQUAL(run(&t, seed++, false), 0);
		}
}

static void units_with_odd_limits_keep_what_they_were_given(void)
{
	static const struct {
		uint32_t unmap, descriptors, granule, align, same, same_unmap, transfer;
	} rows[] = {
		{ 8, 1, 0, 0, 0, 0, 0 },
		{ 100, 4, 16, 5, 10, 0, 24 },
		{ UINT32_MAX, 2, 7, 3, 0, 33, 1 },
		{ 3, 1, 64, 0, 1, 1, 0 },
		{ UINT32_MAX, UINT32_MAX, 1, 0, UINT32_MAX, 0, UINT32_MAX },
	};

	for (unsigned i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_traits t = bed_full;

		t.limits.max_unmap_blocks = rows[i / 2].unmap;
		t.limits.max_unmap_descriptors = rows[i / 2].descriptors;
		t.limits.unmap_granularity = rows[i / 2].granule;
		t.limits.unmap_alignment = rows[i / 2].align;
		t.limits.ugavalid = rows[i / 2].align > 0;
		t.limits.max_write_same = rows[i / 2].same;
		t.limits.max_transfer = rows[i / 2].transfer;
		t.same_unmap_max = rows[i / 2].same_unmap;
		if (i % 2) {
			t.block_len = 4096;
			t.blocks = 512;
		}
		CU_ASSERT_EQUAL(run(&t, 100 + i, false), 0);
	}
}

static void units_that_refuse_this_and_that_keep_what_they_were_given(void)
{
	static const enum cdb_id optional[] = {
		CDB_READ_16, CDB_WRITE_16, CDB_SYNCHRONIZE_CACHE_16, CDB_SYNCHRONIZE_CACHE_10,
		CDB_UNMAP, CDB_WRITE_SAME_16, CDB_WRITE_SAME_10, CDB_GET_LBA_STATUS,
		CDB_PRE_FETCH_16, CDB_READ_CAPACITY_16, CDB_COMPARE_AND_WRITE,
	};

	for (unsigned seed = 0; seed < 48; seed++) {
		struct fake_traits t = bed_full;
		unsigned refuses = seed * 2654435761u >> 16;

		for (unsigned i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
			t.refuses[optional[i]] = refuses >> i & 1;
		t.rsoc = seed & 1;
		t.dpofua = seed & 2;
		t.ndob = seed & 4;
		CU_ASSERT_EQUAL(run(&t, 200 + seed, false), 0);
	}
}

static void attentions_busy_and_lost_paths_are_not_seen(void)
{
	for (unsigned seed = 300; seed < 310; seed++) {
		struct fake_traits t = bed_full;

		t.attention_in = 20;
		t.busy_in = 100;
		t.lost_in = 150;
		CU_ASSERT_EQUAL(run(&t, seed, false), 0);
	}
}

static void a_bad_block_spoils_only_what_touches_it(void)
{
	for (unsigned seed = 400; seed < 405; seed++) {
		struct fake_traits t = bed_full;

		t.has_bad_lba = true;
		t.bad_lba = 100;
		CU_ASSERT(run(&t, seed, true) < 200);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(units_of_every_provisioning_keep_what_they_were_given),
	UNIT_TEST(units_with_odd_limits_keep_what_they_were_given),
	UNIT_TEST(units_that_refuse_this_and_that_keep_what_they_were_given),
	UNIT_TEST(attentions_busy_and_lost_paths_are_not_seen),
	UNIT_TEST(a_bad_block_spoils_only_what_touches_it),
};

UNIT_MAIN("scsi_model", tests)
