/* Which CDBs the requests to scsi_blk become, and what it does without when they are refused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scsi_blk_bed.h"
#include "unit.h"

static void read_and_write_are_one_command_on_the_callers_own_buffer(void)
{
	static uint8_t data[8 * 512];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	memset(data, 7, sizeof(data));
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, 5, 8, data, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 1);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->id, CDB_WRITE_16);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->lba, 5);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->blocks, 8);
	CU_ASSERT_FALSE(bed_sent(&s, 0)->fua);
	CU_ASSERT_PTR_EQUAL(s.fake->sent_data[0], data);
	memset(data, 0, sizeof(data));
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 5, 8, data, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 2);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->id, CDB_READ_16);
	CU_ASSERT_PTR_EQUAL(s.fake->sent_data[1], data);
	CU_ASSERT_EQUAL(data[0], 7);
	CU_ASSERT_EQUAL(data[sizeof(data) - 1], 7);
	bed_end(&s);
}

static void ten_byte_commands_serve_where_sixteen_are_refused(void)
{
	static uint8_t data[512];
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.refuses[CDB_READ_16] = t.refuses[CDB_WRITE_16] = true;
	bed_begin(&s, &t);
	for (int i = 0; i < 2; i++) {
		data[0] = 9;
		CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, BLK_FUA, 5, 1, data, NULL), 0);
		data[0] = 0;
		CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 5, 1, data, NULL), 0);
		CU_ASSERT_EQUAL(data[0], 9);
	}
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 1);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_10), 2);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_READ_16), 1);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_READ_10), 2);
	CU_ASSERT_TRUE(bed_sent(&s, 1)->fua);
	bed_end(&s);
}

static void fua_is_the_bit_with_dpofua_and_else_a_synchronize_cache_of_the_range(void)
{
	static uint8_t data[1024];
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, BLK_FUA, 5, 2, data, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 1);
	CU_ASSERT_TRUE(bed_sent(&s, 0)->fua);
	bed_end(&s);

	t.dpofua = false;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, BLK_FUA, 5, 2, data, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 2);
	CU_ASSERT_FALSE(bed_sent(&s, 0)->fua);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->id, CDB_SYNCHRONIZE_CACHE_16);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->lba, 5);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->blocks, 2);
	bed_end(&s);
}

static void a_fua_bit_that_is_refused_is_not_used_again(void)
{
	static uint8_t data[512];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_WRITE_16, 1, STATUS_CHECK_CONDITION, SENSE_INVALID_FIELD_IN_CDB);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, BLK_FUA, 5, 1, data, NULL), 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, BLK_FUA, 5, 1, data, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 5);
	CU_ASSERT_TRUE(bed_sent(&s, 0)->fua);
	CU_ASSERT_FALSE(bed_sent(&s, 1)->fua);
	CU_ASSERT_EQUAL(bed_sent(&s, 2)->id, CDB_SYNCHRONIZE_CACHE_16);
	CU_ASSERT_FALSE(bed_sent(&s, 3)->fua);
	CU_ASSERT_EQUAL(bed_sent(&s, 4)->id, CDB_SYNCHRONIZE_CACHE_16);
	bed_end(&s);
}

static void flush_is_synchronize_cache_of_everything_in_the_form_the_unit_knows(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_flush(&s), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 1);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->id, CDB_SYNCHRONIZE_CACHE_16);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->lba, 0);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->blocks, 0);
	CU_ASSERT_FALSE(bed_sent(&s, 0)->immed);
	bed_end(&s);

	t.refuses[CDB_SYNCHRONIZE_CACHE_16] = true;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_flush(&s), 0);
	CU_ASSERT_EQUAL(bed_flush(&s), 0);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_SYNCHRONIZE_CACHE_16), 1);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_SYNCHRONIZE_CACHE_10), 2);
	CU_ASSERT_TRUE(s.dev->info.can_flush);
	bed_end(&s);

	/* Neither: there is no cache that could be volatile. */
	t.refuses[CDB_SYNCHRONIZE_CACHE_10] = true;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_flush(&s), 0);
	CU_ASSERT_FALSE(s.dev->info.can_flush);
	CU_ASSERT_EQUAL(bed_flush(&s), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 2);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, BLK_FUA, 0, 8, NULL, NULL), 0);
	bed_end(&s);
}

static void trim_is_unmap_of_whole_granules(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.limits.ugavalid = true;
	t.limits.unmap_alignment = 3;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_TRIM, BLK_FUA, 4, 30, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 2);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->id, CDB_UNMAP);
	CU_ASSERT_EQUAL(s.fake->provisioning[10], 0);
	CU_ASSERT_EQUAL(s.fake->provisioning[11], 1);
	CU_ASSERT_EQUAL(s.fake->provisioning[26], 1);
	CU_ASSERT_EQUAL(s.fake->provisioning[27], 0);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->id, CDB_SYNCHRONIZE_CACHE_16);
	/* Nothing fits: that is no failure, and no command either. */
	s.fake->sent_count = 0;
	CU_ASSERT_EQUAL(bed_do(&s, BLK_TRIM, 0, 4, 9, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 0);
	bed_end(&s);
}

static void a_long_trim_is_split_where_granules_meet(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.limits.max_unmap_blocks = 100;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_TRIM, 0, 0, BLOCKS, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, (BLOCKS + 95) / 96);
	for (unsigned i = 0; i < BLOCKS; i++)
		if (s.fake->provisioning[i] != 1)
			CU_FAIL("a block was left out");
	CU_ASSERT(s.fake->most > 1 && s.fake->most <= 16);
	bed_end(&s);
}

static void trim_falls_back_to_write_same_and_then_to_nothing(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.refuses[CDB_UNMAP] = true;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_TRIM, 0, 8, 16, NULL, NULL), 0);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->id, CDB_WRITE_SAME_16);
	CU_ASSERT_TRUE(bed_sent(&s, 1)->unmap);
	CU_ASSERT_EQUAL(s.fake->provisioning[8], 1);
	bed_end(&s);

	t.refuses[CDB_WRITE_SAME_16] = t.refuses[CDB_WRITE_SAME_10] = true;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_TRIM, 0, 8, 16, NULL, NULL), 0);
	CU_ASSERT_FALSE(s.dev->info.can_trim);
	s.fake->sent_count = 0;
	CU_ASSERT_EQUAL(bed_do(&s, BLK_TRIM, 0, 8, 16, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 0);
	bed_end(&s);
}

static void zero_is_write_same_that_may_unmap_only_where_holes_read_as_zeroes(void)
{
	static const struct { uint8_t lbprz; uint32_t flags; bool rsoc, unmap, ndob; } rows[] = {
		{ 1, 0, true, true, true }, { 1, 0, false, true, false },
		{ 5, 0, true, true, true }, { 0, 0, true, false, true },
		{ 2, 0, true, false, false }, { 1, BLK_NO_HOLE, true, false, true },
		{ 1, BLK_FAST, true, true, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_traits t = bed_full;
		struct scsi_bed s;

		t.provisioning.lbprz = rows[i].lbprz;
		t.rsoc = rows[i].rsoc;
		bed_begin(&s, &t);
		memset(s.fake->data, 1, 64 * 512);
		CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, rows[i].flags, 3, 16, NULL, NULL), 0);
		CU_ASSERT_EQUAL(s.fake->sent_count, 1);
		CU_ASSERT_EQUAL(bed_sent(&s, 0)->id, CDB_WRITE_SAME_16);
		CU_ASSERT_EQUAL(bed_sent(&s, 0)->blocks, 16);
		CU_ASSERT_EQUAL(bed_sent(&s, 0)->unmap, rows[i].unmap);
		CU_ASSERT_EQUAL(bed_sent(&s, 0)->ndob, rows[i].ndob);
		CU_ASSERT_FALSE(bed_sent(&s, 0)->anchor);
		CU_ASSERT_EQUAL(s.fake->data[3 * 512 - 1], 1);
		CU_ASSERT_EQUAL(s.fake->data[3 * 512], 0);
		CU_ASSERT_EQUAL(s.fake->data[19 * 512 - 1], 0);
		CU_ASSERT_EQUAL(s.fake->data[19 * 512], 1);
		bed_end(&s);
	}
}

static void a_fast_zero_is_refused_before_anything_is_touched(void)
{
	static const struct { bool lbpme, lbpws; uint8_t lbprz; } rows[] = {
		{ false, true, 1 }, { true, false, 1 }, { true, true, 0 }, { true, true, 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_traits t = bed_full;
		struct scsi_bed s;

		t.lbpme = rows[i].lbpme;
		t.provisioning.lbpws = t.provisioning.lbpws10 = rows[i].lbpws;
		t.provisioning.lbprz = rows[i].lbprz;
		bed_begin(&s, &t);
		CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, BLK_FAST, 0, 16, NULL, NULL), ENOTSUP);
		CU_ASSERT_EQUAL(s.fake->sent_count, 0);
		bed_end(&s);
	}
}

static void fast_and_no_hole_is_refused(void)
{
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, BLK_FAST | BLK_NO_HOLE, 0, 16, NULL, NULL), ENOTSUP);
	CU_ASSERT_EQUAL(s.fake->sent_count, 0);
	bed_end(&s);
}

static void without_a_reported_length_write_same_begins_short_and_grows(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.blocks = 1u << 19;
	t.block_len = 512;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, 0, 0, 65535, NULL, NULL), 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, 0, 0, 131070, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 2);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->blocks, 65535);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->blocks, 131070);
	bed_end(&s);

	t.limits.max_write_same = 1000;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, 0, 0, 3500, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 4);
	CU_ASSERT_EQUAL(bed_sent(&s, 3)->blocks, 500);
	bed_end(&s);
}

static void a_length_that_is_refused_is_halved_and_not_tried_again(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.same_unmap_max = 300;		/* as units do that mean their UNMAP limit */
	bed_begin(&s, &t);
	memset(s.fake->data, 1, BLOCKS * 512);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, 0, 0, BLOCKS, NULL, NULL), 0);
	for (unsigned i = 0; i < BLOCKS * 512; i++)
		if (s.fake->data[i])
			CU_FAIL_FATAL("not zero");
	s.fake->sent_count = 0;
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, 0, 0, BLOCKS, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, BLOCKS / 256);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->blocks, 256);
	CU_ASSERT_TRUE(bed_sent(&s, 0)->unmap);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, BLK_NO_HOLE, 0, BLOCKS, NULL, NULL), 0);
	CU_ASSERT_EQUAL(bed_sent(&s, BLOCKS / 256)->blocks, BLOCKS);
	bed_end(&s);
}

static void zero_without_write_same_is_write(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.rsoc = false;
	t.refuses[CDB_WRITE_SAME_16] = true;
	bed_begin(&s, &t);
	memset(s.fake->data, 1, 64 * 512);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, 0, 1, 16, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->data[17 * 512 - 1], 0);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->id, CDB_WRITE_SAME_10);
	bed_end(&s);

	t.refuses[CDB_WRITE_SAME_10] = true;
	bed_begin(&s, &t);
	memset(s.fake->data, 1, 64 * 512);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, 0, 1, 16, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->data[511], 1);
	CU_ASSERT_EQUAL(s.fake->data[512], 0);
	CU_ASSERT_EQUAL(s.fake->data[17 * 512 - 1], 0);
	CU_ASSERT_EQUAL(s.fake->data[17 * 512], 1);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 1);
	CU_ASSERT_FALSE(s.dev->info.can_zero);
	bed_end(&s);
}

static void write_same_that_report_opcodes_denies_is_not_tried(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.refuses[CDB_WRITE_SAME_16] = true;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, 0, 1, 16, NULL, NULL), 0);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->id, CDB_WRITE_SAME_10);
	bed_end(&s);
}

static void cache_is_pre_fetch_and_else_a_success(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_CACHE, 0, 4, 16, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 1);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->id, CDB_PRE_FETCH_16);
	CU_ASSERT_TRUE(bed_sent(&s, 0)->immed);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->blocks, 16);
	bed_end(&s);

	t.refuses[CDB_PRE_FETCH_16] = true;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_CACHE, 0, 4, 16, NULL, NULL), 0);
	CU_ASSERT_FALSE(s.dev->info.can_cache);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_CACHE, 0, 4, 16, NULL, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 1);
	bed_end(&s);
}

/* STATUS of the first "blocks" blocks. */
static struct blk_req status(struct scsi_bed *s, uint32_t flags, uint64_t blocks,
			     struct blk_extent *extents, uint32_t room)
{
	struct bed_call call = bed_request(BLK_STATUS, flags, 0, blocks, NULL);

	call.req.extents = extents;
	call.req.extent_room = room;
	bed_submit(s, &call);
	loop_run(s->loop);
	return call.req;
}

static void status_maps_provisioning_to_extents(void)
{
	static const struct { uint8_t lbprz, provisioning; uint32_t flags; } rows[] = {
		{ 1, 0, 0 }, { 1, 1, BLK_HOLE | BLK_ZEROES }, { 1, 2, BLK_ZEROES },
		{ 0, 0, 0 }, { 0, 1, BLK_HOLE }, { 0, 2, 0 }, { 2, 1, BLK_HOLE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_traits t = bed_full;
		struct blk_extent e[8];
		struct blk_req req;
		struct scsi_bed s;

		t.provisioning.lbprz = rows[i].lbprz;
		bed_begin(&s, &t);
		memset(s.fake->provisioning, rows[i].provisioning, 10);
		memset(s.fake->provisioning + 10, !rows[i].provisioning, 10);
		req = status(&s, 0, 20, e, 8);
		CU_ASSERT_EQUAL(req.error, 0);
		CU_ASSERT(req.extent_count >= 2);
		CU_ASSERT_EQUAL(e[0].length, 10 * 512);
		CU_ASSERT_EQUAL(e[0].flags, rows[i].flags);
		CU_ASSERT_EQUAL(e[0].provisioning, rows[i].provisioning);
		bed_end(&s);
	}
}

static void status_asks_again_until_it_knows_all_and_joins_what_is_alike(void)
{
	struct blk_extent e[64];
	struct blk_req req;
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	for (unsigned i = 0; i < 20; i++)
		s.fake->provisioning[i] = i % 2;
	req = status(&s, 0, 30, e, 64);
	CU_ASSERT_EQUAL(req.extent_count, 21);
	CU_ASSERT(fake_count(s.fake, CDB_GET_LBA_STATUS) >= 5);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->alloc_len, 8 + 256 * 16);
	/* The room may be less. */
	req = status(&s, 0, 30, e, 3);
	CU_ASSERT_EQUAL(req.error, 0);
	CU_ASSERT_EQUAL(req.extent_count, 3);
	s.fake->sent_count = 0;
	req = status(&s, BLK_REQ_ONE, 30, e, 64);
	CU_ASSERT_EQUAL(req.extent_count, 1);
	CU_ASSERT_EQUAL(s.fake->sent_count, 1);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->alloc_len, 8 + 16);
	bed_end(&s);
}

static void lies_in_lba_status_data_are_not_believed(void)
{
	static const struct {
		struct lba_status d[2];		/* first LBA, length, status */
		uint32_t claimed, len;		/* by the header; that are there */
		uint64_t first;			/* blocks of the first extent */
		uint32_t flags;			/* ... and its flags */
	} rows[] = {
		/* of somewhere else */
		{ { { 100, 50, 1 }, { 0, 0, 0 } }, 2, 40, 20, 0 },
		/* of nothing */
		{ { { 0, 0, 1 }, { 0, 0, 1 } }, 2, 40, 20, 0 },
		/* with a gap */
		{ { { 0, 5, 1 }, { 7, 50, 1 } }, 2, 40, 5, BLK_HOLE | BLK_ZEROES },
		/* of what was told already */
		{ { { 0, 5, 1 }, { 0, 3, 1 } }, 2, 40, 5, BLK_HOLE | BLK_ZEROES },
		/* beyond the end */
		{ { { 0, UINT32_MAX, 1 }, { 0, 0, 0 } }, 2, 40, BLOCKS, BLK_HOLE | BLK_ZEROES },
		/* a reserved status */
		{ { { 0, 50, 9 }, { 0, 0, 0 } }, 1, 24, 50, 0 },
		/* cut short; nothing at all */
		{ { { 0, 50, 1 }, { 0, 0, 0 } }, 1, 12, 20, 0 },
		{ { { 0, 50, 1 }, { 0, 0, 0 } }, 1, 0, 20, 0 },
		/* more descriptors than data, as in CVE-2020-1711 */
		{ { { 0, 50, 1 }, { 50, 1, 0 } }, 1u << 27, 24, 50, BLK_HOLE | BLK_ZEROES },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t wire[40] = { 0 };
		struct blk_extent e[8];
		struct blk_req req;
		struct scsi_bed s;

		lba_status_header(wire, rows[i].claimed);
		lba_status_encode(&rows[i].d[0], wire + 8);
		lba_status_encode(&rows[i].d[1], wire + 24);
		bed_begin(&s, &bed_full);
		s.fake->lba_status = wire;
		s.fake->lba_status_len = rows[i].len;
		req = status(&s, 0, 20, e, 8);
		CU_ASSERT_EQUAL(req.error, 0);
		CU_ASSERT_EQUAL(e[0].length, rows[i].first * 512);
		CU_ASSERT_EQUAL(e[0].flags, rows[i].flags);
		bed_end(&s);
	}
}

static void status_that_fails_reports_all_as_allocated(void)
{
	struct fake_traits t = bed_full;
	struct blk_extent e[8];
	struct blk_req req;
	struct scsi_bed s;

	bed_begin(&s, &t);
	memset(s.fake->provisioning, 1, BLOCKS);
	fake_inject(s.fake, CDB_GET_LBA_STATUS, 1, STATUS_CHECK_CONDITION, SENSE_READ_ERROR);
	req = status(&s, 0, 20, e, 8);
	CU_ASSERT_EQUAL(req.error, 0);
	CU_ASSERT_EQUAL(e[0].flags, 0);
	CU_ASSERT_EQUAL(e[0].length, 20 * 512);
	req = status(&s, 0, 20, e, 8);
	CU_ASSERT_EQUAL(e[0].flags, BLK_HOLE | BLK_ZEROES);
	bed_end(&s);

	t.refuses[CDB_GET_LBA_STATUS] = true;
	bed_begin(&s, &t);
	req = status(&s, 0, 20, e, 8);
	CU_ASSERT_EQUAL(req.error, 0);
	CU_ASSERT_EQUAL(e[0].flags, 0);
	CU_ASSERT_FALSE(s.dev->info.can_extents);
	bed_end(&s);
}

static const struct unit_test tests[] = {
	UNIT_TEST(read_and_write_are_one_command_on_the_callers_own_buffer),
	UNIT_TEST(ten_byte_commands_serve_where_sixteen_are_refused),
	UNIT_TEST(fua_is_the_bit_with_dpofua_and_else_a_synchronize_cache_of_the_range),
	UNIT_TEST(a_fua_bit_that_is_refused_is_not_used_again),
	UNIT_TEST(flush_is_synchronize_cache_of_everything_in_the_form_the_unit_knows),
	UNIT_TEST(trim_is_unmap_of_whole_granules),
	UNIT_TEST(a_long_trim_is_split_where_granules_meet),
	UNIT_TEST(trim_falls_back_to_write_same_and_then_to_nothing),
	UNIT_TEST(zero_is_write_same_that_may_unmap_only_where_holes_read_as_zeroes),
	UNIT_TEST(a_fast_zero_is_refused_before_anything_is_touched),
	UNIT_TEST(fast_and_no_hole_is_refused),
	UNIT_TEST(without_a_reported_length_write_same_begins_short_and_grows),
	UNIT_TEST(a_length_that_is_refused_is_halved_and_not_tried_again),
	UNIT_TEST(zero_without_write_same_is_write),
	UNIT_TEST(write_same_that_report_opcodes_denies_is_not_tried),
	UNIT_TEST(cache_is_pre_fetch_and_else_a_success),
	UNIT_TEST(status_maps_provisioning_to_extents),
	UNIT_TEST(status_asks_again_until_it_knows_all_and_joins_what_is_alike),
	UNIT_TEST(lies_in_lba_status_data_are_not_believed),
	UNIT_TEST(status_that_fails_reports_all_as_allocated),
};

UNIT_MAIN("scsi_blk", tests)
