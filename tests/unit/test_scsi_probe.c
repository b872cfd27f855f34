/* What scsi_blk advertises of a logical unit, which is what probing found out. */
#include <stdio.h>
#include <string.h>

#include "scsi_blk_bed.h"
#include "unit.h"

static void a_unit_is_advertised_as_its_pages_say(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.rotation_rate = 7200;
	t.lbppbe = 3;
	t.limits.transfer_granularity = 100;
	t.limits.max_transfer = 1000;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(s.dev->info.size, BLOCKS * 512);
	CU_ASSERT_EQUAL(s.dev->info.min_block, 512);
	CU_ASSERT_EQUAL(s.dev->info.preferred_block, 65536);
	CU_ASSERT_EQUAL(s.dev->info.max_data, 1000 * 512);
	CU_ASSERT_TRUE(s.dev->info.rotational);
	CU_ASSERT_FALSE(s.dev->info.read_only);
	CU_ASSERT_TRUE(s.dev->info.can_flush);
	CU_ASSERT_TRUE(s.dev->info.can_fua);
	CU_ASSERT_TRUE(s.dev->info.can_trim);
	CU_ASSERT_TRUE(s.dev->info.can_zero);
	CU_ASSERT_TRUE(s.dev->info.can_fast_zero);
	CU_ASSERT_TRUE(s.dev->info.trim_zeroes);
	CU_ASSERT_TRUE(s.dev->info.can_cache);
	CU_ASSERT_TRUE(s.dev->info.can_extents);
	CU_ASSERT_STRING_EQUAL(s.dev->info.identity, "naa.6001405a");
	CU_ASSERT_STRING_EQUAL(s.dev->info.description, "ACME disk 1.0, naa.6001405a");
	CU_ASSERT_TRUE(s.dev->info.generation > 0);
	bed_end(&s);
}

static void a_plain_disk_can_what_every_disk_can(void)
{
	struct scsi_bed s;

	bed_begin(&s, &bed_plain);
	CU_ASSERT_EQUAL(s.dev->info.preferred_block, 512);
	CU_ASSERT_EQUAL(s.dev->info.max_data, 1u << 20);
	CU_ASSERT_FALSE(s.dev->info.rotational);
	CU_ASSERT_TRUE(s.dev->info.can_flush);
	CU_ASSERT_TRUE(s.dev->info.can_fua);
	CU_ASSERT_FALSE(s.dev->info.can_trim);
	CU_ASSERT_FALSE(s.dev->info.can_fast_zero);
	CU_ASSERT_FALSE(s.dev->info.can_extents);
	CU_ASSERT_STRING_EQUAL(s.dev->info.identity, "");
	CU_ASSERT_STRING_EQUAL(s.dev->info.description, "ACME disk 1.0");
	bed_end(&s);
}

static void the_serial_number_names_a_unit_without_naa(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.naa_len = 0;
	bed_begin(&s, &t);
	CU_ASSERT_STRING_EQUAL(s.dev->info.identity, "S-1");
	bed_end(&s);
}

static void preferred_block_is_the_largest_hint_as_power_of_2_up_to_1_mib(void)
{
	static const struct {
		uint32_t block_len;
		uint8_t lbppbe;
		uint16_t granularity;
		uint32_t is;
	} rows[] = {
		{ 512, 0, 0, 512 }, { 512, 3, 0, 4096 }, { 512, 0, 8, 4096 }, { 512, 3, 3, 4096 },
		{ 512, 0, 9, 8192 }, { 4096, 0, 0, 4096 }, { 512, 15, 0, 1 << 20 },
		{ 4096, 0, 65535, 1 << 20 }, { 65536, 0, 0, 65536 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_traits t = bed_full;
		struct scsi_bed s;

		t.block_len = rows[i].block_len;
		t.lbppbe = rows[i].lbppbe;
		t.limits.transfer_granularity = rows[i].granularity;
		bed_begin(&s, &t);
		CU_ASSERT_EQUAL(s.dev->info.preferred_block, rows[i].is);
		bed_end(&s);
	}
}

static void max_data_is_the_least_of_unit_path_and_32_mib_in_whole_blocks(void)
{
	static const struct { uint32_t unit, path, is; } rows[] = {
		{ 0, 64u << 20, 32u << 20 }, { 16, 64u << 20, 8192 },
		{ 65536, 64u << 20, 32u << 20 },
		{ 0, 5000, 4608 }, { 16, 4096, 4096 }, { UINT32_MAX, 64u << 20, 32u << 20 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_traits t = bed_full;
		struct scsi_bed s;

		t.limits.max_transfer = rows[i].unit;
		t.max_transfer = rows[i].path;
		bed_begin(&s, &t);
		CU_ASSERT_EQUAL(s.dev->info.max_data, rows[i].is);
		bed_end(&s);
	}
}

static void read_only_comes_from_the_wp_bit_and_from_the_configuration(void)
{
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.wp = true;
	bed_begin(&s, &t);
	CU_ASSERT_TRUE(s.dev->info.read_only);
	bed_end(&s);
	t.no_caching_page = true;	/* the bit is in the header of any page */
	bed_begin(&s, &t);
	CU_ASSERT_TRUE(s.dev->info.read_only);
	bed_end(&s);

	bed_start(&s, &bed_plain);
	s.conf.read_only = true;
	bed_open(&s);
	CU_ASSERT_TRUE(s.dev->info.read_only);
	bed_end(&s);
}

static void trim_needs_lbpme_and_one_of_three_ways(void)
{
	static const struct { bool lbpme, lbpu, lbpws, lbpws10; uint32_t max; bool can; } rows[] = {
		{ false, true, true, true, 8, false }, { true, false, false, false, 8, false },
		{ true, true, false, false, 8, true }, { true, true, false, false, 0, false },
		{ true, false, true, false, 0, true }, { true, false, false, true, 0, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_traits t = bed_full;
		struct scsi_bed s;

		t.lbpme = rows[i].lbpme;
		t.provisioning.lbpu = rows[i].lbpu;
		t.provisioning.lbpws = rows[i].lbpws;
		t.provisioning.lbpws10 = rows[i].lbpws10;
		t.limits.max_unmap_blocks = rows[i].max;
		bed_begin(&s, &t);
		CU_ASSERT_EQUAL(s.dev->info.can_trim, rows[i].can);
		bed_end(&s);
	}
}

static void what_cannot_be_served_is_refused_with_the_reason(void)
{
	static const struct { struct fake_traits is; const char *why; } rows[] = {
		{ { .blocks = 9, .block_len = 520 }, "READ CAPACITY(16): blocks of 520 bytes" },
		{ { .blocks = 9, .block_len = 131072 },
		  "READ CAPACITY(16): blocks of 131072 bytes" },
		{ { .blocks = 9, .block_len = 256 }, "READ CAPACITY(16): blocks of 256 bytes" },
		{ { .blocks = 9, .block_len = 512, .device_type = 5 },
		  "INQUIRY: peripheral type 05 is not a disk" },
		{ { .blocks = 9, .block_len = 512, .qualifier = 3 },
		  "INQUIRY: there is no logical unit" },
		{ { .blocks = 0, .block_len = 512 }, "READ CAPACITY(16): last block" },
		{ { .blocks = UINT64_MAX / 512, .block_len = 512 },
		  "READ CAPACITY(16): last block" },
		{ { .blocks = (1ull << 32) + 1, .block_len = 512,
		    .refuses = { [CDB_READ_CAPACITY_16] = true } },
		  "READ CAPACITY(10): the answer makes no sense" },
		{ { .blocks = 9, .block_len = 512, .refuses = { [CDB_READ_CAPACITY_16] = true,
		    [CDB_READ_CAPACITY_10] = true } }, "READ CAPACITY(10): ILLEGAL REQUEST 20/00" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scsi_bed s;

		bed_start(&s, &rows[i].is);
		bed_open(&s);
		CU_ASSERT_PTR_NULL(s.dev);
		CU_ASSERT_EQUAL(strncmp(s.why, rows[i].why, strlen(rows[i].why)), 0);
		if (strncmp(s.why, rows[i].why, strlen(rows[i].why)) != 0)
			fprintf(stderr, "%s\n", s.why);
		bed_end(&s);
	}
}

static void what_a_unit_refuses_in_probing_is_done_without(void)
{
	struct fake_traits t = bed_plain;
	struct scsi_bed s;

	t.refuses[CDB_READ_CAPACITY_16] = true;
	t.refuses[CDB_MODE_SENSE_10] = true;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(s.dev->info.size, BLOCKS * 512);
	bed_end(&s);
	t.no_mode = true;
	bed_begin(&s, &t);
	CU_ASSERT_EQUAL(s.dev->info.size, BLOCKS * 512);
	bed_end(&s);
}

static void unit_attentions_and_busy_while_probing_are_sat_out(void)
{
	struct scsi_bed s;

	bed_start(&s, &bed_full);
	fake_inject(s.fake, CDB_READ_CAPACITY_16, 10, STATUS_CHECK_CONDITION,
		    SENSE_POWER_ON_OR_RESET);
	fake_inject(s.fake, CDB_READ_CAPACITY_16, 2, STATUS_CHECK_CONDITION, SENSE_BECOMING_READY);
	fake_inject(s.fake, CDB_INQUIRY, 2, STATUS_BUSY, 0);
	bed_open(&s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s.dev);
	CU_ASSERT_EQUAL(s.dev->info.size, BLOCKS * 512);
	bed_end(&s);

	bed_start(&s, &bed_full);
	s.conf.retry_timeout = 0.05;
	fake_inject(s.fake, CDB_INQUIRY, 1000, STATUS_BUSY, 0);
	bed_open(&s);
	CU_ASSERT_PTR_NULL(s.dev);
	CU_ASSERT_STRING_EQUAL(s.why, "INQUIRY: BUSY");
	bed_end(&s);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_unit_is_advertised_as_its_pages_say),
	UNIT_TEST(a_plain_disk_can_what_every_disk_can),
	UNIT_TEST(the_serial_number_names_a_unit_without_naa),
	UNIT_TEST(preferred_block_is_the_largest_hint_as_power_of_2_up_to_1_mib),
	UNIT_TEST(max_data_is_the_least_of_unit_path_and_32_mib_in_whole_blocks),
	UNIT_TEST(read_only_comes_from_the_wp_bit_and_from_the_configuration),
	UNIT_TEST(trim_needs_lbpme_and_one_of_three_ways),
	UNIT_TEST(what_cannot_be_served_is_refused_with_the_reason),
	UNIT_TEST(what_a_unit_refuses_in_probing_is_done_without),
	UNIT_TEST(unit_attentions_and_busy_while_probing_are_sat_out),
};

UNIT_MAIN("scsi_probe", tests)
