/*
 * The CDB interpreter on its medium: what is read, written, compared, unmapped and
 * filled, against the bytes of the device; limits, residuals and failures.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk_bed.h"
#include "field.h"
#include "scsi_data.h"
#include "unit.h"

static struct disk_bed bed;
static struct command c;

#define DO(...) command_do(&c, &bed, &(struct cdb){ __VA_ARGS__ })

static const enum cdb_id reads[] = { CDB_READ_6, CDB_READ_10, CDB_READ_12, CDB_READ_16 };
static const enum cdb_id writes[] = { CDB_WRITE_6, CDB_WRITE_10, CDB_WRITE_12, CDB_WRITE_16 };

static uint8_t *medium(uint64_t lba)
{
	return bed.store.bytes + lba * DISK_BED_BLOCK;
}

/* Bytes that are alike in no two blocks. */
static void pattern(uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)rand_r(&seed);
}

static bool is_medium(uint64_t lba, const uint8_t *data, size_t len)
{
	return !memcmp(medium(lba), data, len);
}

static bool is_filled(uint64_t lba, uint64_t blocks, uint8_t value)
{
	for (uint64_t i = 0; i < blocks * DISK_BED_BLOCK; i++)
		if (medium(lba)[i] != value)
			return false;
	return true;
}

/* READ and WRITE -------------------------------------------------------------------- */

static void all_forms_of_write_and_read_agree_with_the_medium(void)
{
	static uint8_t data[8 * DISK_BED_BLOCK];

	disk_bed_init(&bed, 1);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t lba = 10 * i;

		pattern(data, sizeof(data), i);
		memcpy(c.data, data, sizeof(data));
		DO(.id = writes[i], .lba = lba, .blocks = 8);
		CU_ASSERT(is_good(&c));
		CU_ASSERT(moved(&c, sizeof(data), sizeof(data)));
		CU_ASSERT(is_medium(lba, data, sizeof(data)));
		for (unsigned j = 0; j < 4; j++) {
			memset(c.data, 0, sizeof(data));
			DO(.id = reads[j], .lba = lba, .blocks = 8);
			CU_ASSERT(is_good(&c));
			CU_ASSERT(moved(&c, sizeof(data), sizeof(data)));
			CU_ASSERT_EQUAL(memcmp(c.data, data, sizeof(data)), 0);
		}
	}
	disk_bed_free(&bed);
}

static void a_plain_read_or_write_is_one_request_on_the_tasks_own_buffer(void)
{
	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	command_init(&c, &bed, &(struct cdb){ .id = CDB_READ_10, .blocks = 4 });
	command_start(&c);
	CU_ASSERT_PTR_EQUAL(bed.device.last->data, c.data);
	blk_double_release(&bed.device);
	disk_bed_settle(&bed);
	CU_ASSERT(is_good(&c));
	bed.device.hold = true;
	command_init(&c, &bed, &(struct cdb){ .id = CDB_WRITE_10, .blocks = 4 });
	command_start(&c);
	CU_ASSERT_PTR_EQUAL(bed.device.last->data, c.data);
	blk_double_release(&bed.device);
	disk_bed_settle(&bed);
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 1);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 1);
	disk_bed_free(&bed);
}

static void ranges_beyond_the_end_are_refused_without_wrapping(void)
{
	static const struct {
		uint64_t lba;
		uint32_t blocks;
		bool good;
	} ranges[] = {
		{ 0, 0, true }, { DISK_BED_BLOCKS, 0, true }, { DISK_BED_BLOCKS + 1, 0, false },
		{ DISK_BED_BLOCKS - 1, 1, true }, { DISK_BED_BLOCKS - 1, 2, false },
		{ DISK_BED_BLOCKS, 1, false }, { UINT64_MAX, 1, false }, { UINT64_MAX, 2, false },
		{ UINT64_C(1) << 63, 8, false }, { UINT64_MAX / 512 + 1, 1, false },
	};
	static const enum cdb_id ids[] = {
		CDB_READ_16, CDB_WRITE_16, CDB_VERIFY_16, CDB_WRITE_AND_VERIFY_16, CDB_ORWRITE_16,
		CDB_PRE_FETCH_16, CDB_SYNCHRONIZE_CACHE_16, CDB_COMPARE_AND_WRITE,
	};

	disk_bed_init(&bed, 1);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
			memset(c.data, 0, 2 * 8 * DISK_BED_BLOCK);
			DO(.id = ids[i], .lba = ranges[r].lba, .blocks = ranges[r].blocks);
			CU_ASSERT_EQUAL(c.task.status != STATUS_CHECK_CONDITION, ranges[r].good);
			CU_ASSERT_EQUAL(failed_with(&c, SENSE_LBA_OUT_OF_RANGE), !ranges[r].good);
		}
	}
	disk_bed_free(&bed);
}

static void more_than_the_maximum_transfer_is_refused(void)
{
	disk_bed_init(&bed, 1);
	bed.lu->max_transfer = 64 * DISK_BED_BLOCK;
	DO(.id = CDB_READ_10, .blocks = 64);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_READ_10, .blocks = 65);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 7, 7));
	CU_ASSERT(moved(&c, 0, 0));
	DO(.id = CDB_WRITE_16, .blocks = 65);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 10, 7));
	disk_bed_free(&bed);
}

static void a_read_fills_the_room_that_there_is(void)
{
	static const uint32_t rooms[] = { 0, 1, 511, 512, 513, 1000, 1024, 2000 };

	disk_bed_init(&bed, 512);
	pattern(medium(0), 4096, 1);
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		uint32_t moves = rooms[i] < 1024 ? rooms[i] : 1024;

		memset(c.data, 0xa5, 4096);
		command_init(&c, &bed, &(struct cdb){ .id = CDB_READ_10, .lba = 1, .blocks = 2 });
		c.task.data_len = rooms[i];
		command_run(&c);
		CU_ASSERT(is_good(&c) && moved(&c, moves, 1024));
		CU_ASSERT(is_medium(1, c.data, moves));
		CU_ASSERT_EQUAL(c.data[moves], 0xa5);
	}
	disk_bed_free(&bed);
}

static void a_write_takes_the_whole_blocks_that_came(void)
{
	static const uint32_t lens[] = { 0, 1, 511, 512, 513, 1000, 1024, 2000 };
	static uint8_t data[4096];

	disk_bed_init(&bed, 512);
	pattern(data, sizeof(data), 1);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		uint32_t moves = lens[i] < 1024 ? lens[i] : 1024;

		memset(medium(0), 0x5a, 4096);
		memcpy(c.data, data, sizeof(data));
		command_init(&c, &bed, &(struct cdb){ .id = CDB_WRITE_10, .lba = 1, .blocks = 2 });
		c.task.data_len = lens[i];
		command_run(&c);
		CU_ASSERT(is_good(&c) && moved(&c, moves, 1024));
		CU_ASSERT(is_medium(1, data, moves / 512 * 512));
		CU_ASSERT(is_filled(1 + moves / 512, 4 - moves / 512, 0x5a));
	}
	disk_bed_free(&bed);
}

static void data_in_the_wrong_direction_does_not_move(void)
{
	disk_bed_init(&bed, 1);
	command_init(&c, &bed, &(struct cdb){ .id = CDB_WRITE_10, .blocks = 1 });
	c.task.direction = CDB_DATA_IN;
	command_run(&c);
	CU_ASSERT(is_good(&c) && moved(&c, 0, 512));
	command_init(&c, &bed, &(struct cdb){ .id = CDB_READ_10, .blocks = 1 });
	c.task.direction = CDB_DATA_OUT;
	command_run(&c);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE] + bed.device.seen[BLK_READ], 0);
	disk_bed_free(&bed);
}

static void fua_and_write_through_make_data_persistent(void)
{
	uint8_t list[] = { 0, 0, 0, 0, 0x08, 18, 0, [23] = 0 };

	disk_bed_init(&bed, 1);
	memset(c.data, 1, 512);
	DO(.id = CDB_WRITE_10, .lba = 0, .blocks = 1);
	CU_ASSERT(!blk_store_is_persistent(&bed.store, 0, 512, UINT64_MAX));
	memset(c.data, 2, 512);
	DO(.id = CDB_WRITE_10, .lba = 1, .blocks = 1, .fua = true, .dpo = true);
	CU_ASSERT(blk_store_is_persistent(&bed.store, 512, 512, UINT64_MAX));
	DO(.id = CDB_READ_10, .lba = 0, .blocks = 1, .fua = true);
	CU_ASSERT(blk_store_is_persistent(&bed.store, 0, 512, UINT64_MAX));
	memset(c.data, 3, 512);
	DO(.id = CDB_WRITE_10, .lba = 2, .blocks = 1);
	CU_ASSERT(!blk_store_is_persistent(&bed.store, 1024, 512, UINT64_MAX));
	DO(.id = CDB_SYNCHRONIZE_CACHE_10, .lba = 5, .blocks = 1);
	CU_ASSERT(blk_store_is_persistent(&bed.store, 1024, 512, UINT64_MAX));

	memset(c.data, 4, 512);
	DO(.id = CDB_WRITE_10, .lba = 3, .blocks = 1);
	memcpy(c.data, list, sizeof(list));
	DO(.id = CDB_MODE_SELECT_6, .pf = true, .param_len = sizeof(list));	/* WCE = 0 */
	CU_ASSERT(is_good(&c));
	CU_ASSERT(blk_store_is_persistent(&bed.store, 1536, 512, UINT64_MAX));
	memset(c.data, 5, 512);
	DO(.id = CDB_WRITE_10, .lba = 4, .blocks = 1);
	CU_ASSERT(blk_store_is_persistent(&bed.store, 2048, 512, UINT64_MAX));
	disk_bed_free(&bed);
}

static void a_medium_error_says_where_and_gives_what_is_before_it(void)
{
	disk_bed_init(&bed, 1);
	pattern(medium(0), 8192, 1);
	bed.device.bad[0] = 5 * 512 + 100;
	DO(.id = CDB_READ_10, .lba = 2, .blocks = 8);
	CU_ASSERT(failed_at(&c, SENSE_READ_ERROR, 5));
	CU_ASSERT(moved(&c, 3 * 512, 3 * 512));
	CU_ASSERT(is_medium(2, c.data, 3 * 512));
	DO(.id = CDB_WRITE_10, .lba = 2, .blocks = 8);
	CU_ASSERT(failed_at(&c, SENSE_WRITE_ERROR, 5));
	DO(.id = CDB_VERIFY_10, .lba = 2, .blocks = 8);
	CU_ASSERT(failed_at(&c, SENSE_READ_ERROR, 5));
	bed.device.vague = true;
	DO(.id = CDB_READ_10, .lba = 2, .blocks = 8);
	CU_ASSERT(failed_with(&c, SENSE_READ_ERROR));
	CU_ASSERT(moved(&c, 0, 0));
	bed.device.bad[0] = UINT64_MAX;
	bed.device.fail_percent = 100;
	DO(.id = CDB_SYNCHRONIZE_CACHE_16);
	CU_ASSERT(failed_with(&c, SENSE_INTERNAL_TARGET_FAILURE));
	bed.device.fail_percent = 0;
	disk_bed_free(&bed);
}

static void pre_fetch_meets_its_condition(void)
{
	disk_bed_init(&bed, 1);
	DO(.id = CDB_PRE_FETCH_10, .lba = 4, .blocks = 4);
	CU_ASSERT_EQUAL(c.task.status, STATUS_CONDITION_MET);
	DO(.id = CDB_PRE_FETCH_16, .lba = 4, .immed = true);
	CU_ASSERT_EQUAL(c.task.status, STATUS_CONDITION_MET);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_CACHE], 2);
	bed.device.dev.info.can_cache = false;
	DO(.id = CDB_PRE_FETCH_10, .lba = 4, .blocks = 4);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

/* Comparing ------------------------------------------------------------------------- */

static void verify_compares_as_bytchk_says(void)
{
	enum { BLOCKS = 560, AT = 520 * 512 + 17 };	/* more than is verified at a time */

	disk_bed_init(&bed, 1);
	pattern(medium(1), BLOCKS * 512, 1);
	DO(.id = CDB_VERIFY_16, .lba = 1, .blocks = BLOCKS);
	CU_ASSERT(is_good(&c) && moved(&c, 0, 0));
	memcpy(c.data, medium(1), BLOCKS * 512);
	DO(.id = CDB_VERIFY_16, .lba = 1, .blocks = BLOCKS, .bytchk = 1);
	CU_ASSERT(is_good(&c) && moved(&c, BLOCKS * 512, BLOCKS * 512));
	c.data[AT] ^= 1;
	DO(.id = CDB_VERIFY_16, .lba = 1, .blocks = BLOCKS, .bytchk = 1);
	CU_ASSERT(failed_at(&c, SENSE_MISCOMPARE_VERIFY, AT));
	memset(medium(1), 0x77, BLOCKS * 512);
	memset(c.data, 0x77, 512);
	DO(.id = CDB_VERIFY_10, .lba = 1, .blocks = BLOCKS, .bytchk = 3);
	CU_ASSERT(is_good(&c) && moved(&c, 512, 512));
	medium(1)[AT] ^= 1;
	DO(.id = CDB_VERIFY_12, .lba = 1, .blocks = BLOCKS, .bytchk = 3);
	CU_ASSERT(failed_at(&c, SENSE_MISCOMPARE_VERIFY, AT));
	command_init(&c, &bed, &(struct cdb){ .id = CDB_VERIFY_10, .blocks = 2, .bytchk = 2 });
	command_run(&c);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 2));
	command_init(&c, &bed, &(struct cdb){ .id = CDB_VERIFY_10, .blocks = 2, .bytchk = 3 });
	c.task.data_len = 511;
	command_run(&c);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 7, 7));
	DO(.id = CDB_VERIFY_10, .bytchk = 3);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

static void write_and_verify_writes_to_the_medium_and_reads_it_back(void)
{
	static uint8_t data[2048];

	disk_bed_init(&bed, 1);
	for (uint8_t bytchk = 0; bytchk < 2; bytchk++) {
		pattern(data, sizeof(data), bytchk);
		memcpy(c.data, data, sizeof(data));
		DO(.id = CDB_WRITE_AND_VERIFY_10, .lba = 3, .blocks = 4, .bytchk = bytchk);
		CU_ASSERT(is_good(&c) && moved(&c, 2048, 2048));
		CU_ASSERT(is_medium(3, data, sizeof(data)));
		CU_ASSERT(blk_store_is_persistent(&bed.store, 3 * 512, 2048, UINT64_MAX));
		CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], bytchk + 1u);
	}
	DO(.id = CDB_WRITE_AND_VERIFY_16, .lba = 3, .blocks = 4, .bytchk = 3);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 2));
	disk_bed_free(&bed);
}

static void compare_and_write_writes_only_what_compares(void)
{
	static const uint32_t sizes[] = { 1, 2, 255 };
	static uint8_t half[255 * 512];

	for (uint32_t min_block = 1; min_block <= 4096; min_block *= 4096) {
		disk_bed_init(&bed, min_block);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint32_t len = sizes[i] * 512;

			pattern(half, len, 5 + (unsigned)i);
			memcpy(c.data, medium(3), len);
			memcpy(c.data + len, half, len);
			DO(.id = CDB_COMPARE_AND_WRITE, .lba = 3, .blocks = sizes[i], .fua = true);
			CU_ASSERT(is_good(&c) && moved(&c, 2 * len, 2 * len));
			CU_ASSERT(is_medium(3, half, len));
			CU_ASSERT(blk_store_is_persistent(&bed.store, 3 * 512, len, UINT64_MAX));
			memcpy(c.data, half, len);
			c.data[len - 3] ^= 0x80;
			memset(c.data + len, 0xee, len);
			DO(.id = CDB_COMPARE_AND_WRITE, .lba = 3, .blocks = sizes[i]);
			CU_ASSERT(failed_at(&c, SENSE_MISCOMPARE_VERIFY, len - 3));
			CU_ASSERT(is_medium(3, half, len));
		}
		command_init(&c, &bed, &(struct cdb){ .id = CDB_COMPARE_AND_WRITE, .blocks = 2 });
		c.task.data_len = 2047;
		command_run(&c);
		CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 13, 7));
		DO(.id = CDB_COMPARE_AND_WRITE);
		CU_ASSERT(is_good(&c) && moved(&c, 0, 0));
		disk_bed_free(&bed);
	}
}

static void orwrite_sets_bits_and_clears_none(void)
{
	enum { BLOCKS = 580 };
	static uint8_t expected[BLOCKS * 512];

	disk_bed_init(&bed, 1);
	pattern(medium(2), BLOCKS * 512, 1);
	pattern(c.data, BLOCKS * 512, 2);
	for (size_t i = 0; i < sizeof(expected); i++)
		expected[i] = medium(2)[i] | c.data[i];
	DO(.id = CDB_ORWRITE_16, .lba = 2, .blocks = BLOCKS);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(is_medium(2, expected, sizeof(expected)));
	disk_bed_free(&bed);
}

/* Discarding and filling ------------------------------------------------------------- */

static uint16_t put_ranges(const struct unmap_range *ranges, uint32_t count)
{
	size_t len = unmap_header(c.data, count);

	for (uint32_t i = 0; i < count; i++)
		unmap_encode(&ranges[i], c.data + UNMAP_HEADER_LEN + i * UNMAP_DESCRIPTOR_LEN);
	return (uint16_t)len;
}

static void unmap_frees_all_its_ranges_or_none(void)
{
	static const struct unmap_range good[] = { { 0, 8 }, { 100, 0 }, { 64, 16 }, { 4, 8 } };
	static const struct unmap_range beyond[] = { { 200, 8 }, { DISK_BED_BLOCKS - 1, 2 } };
	static const struct unmap_range wraps[] = { { 200, 8 }, { UINT64_MAX, 2 } };
	uint16_t len;

	disk_bed_init(&bed, 512);
	memset(medium(0), 0x11, DISK_BED_BLOCKS * 512);
	len = put_ranges(good, 4);
	DO(.id = CDB_UNMAP, .param_len = len);
	CU_ASSERT(is_good(&c) && moved(&c, len, len));
	CU_ASSERT(is_filled(0, 12, 0));
	CU_ASSERT(is_filled(12, 52, 0x11));
	CU_ASSERT(is_filled(64, 16, 0));
	CU_ASSERT(bed.store.hole[0] && bed.store.hole[79] && !bed.store.hole[80]);
	DO(.id = CDB_UNMAP, .param_len = put_ranges(beyond, 2));
	CU_ASSERT(failed_with(&c, SENSE_LBA_OUT_OF_RANGE));
	CU_ASSERT(is_filled(200, 8, 0x11));
	DO(.id = CDB_UNMAP, .param_len = put_ranges(wraps, 2));
	CU_ASSERT(failed_with(&c, SENSE_LBA_OUT_OF_RANGE));
	CU_ASSERT(is_filled(200, 8, 0x11));
	disk_bed_free(&bed);
}

static void unmap_takes_no_ranges_and_refuses_wrong_lists(void)
{
	static struct unmap_range many[257];
	static const struct unmap_range one[] = { { 0, 8 } };

	disk_bed_init(&bed, 512);
	DO(.id = CDB_UNMAP);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_UNMAP, .param_len = put_ranges(one, 0));
	CU_ASSERT(is_good(&c));
	put_ranges(one, 1);
	DO(.id = CDB_UNMAP, .param_len = 7);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	DO(.id = CDB_UNMAP, .param_len = 23);	/* a part of a descriptor is none */
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_ZERO], 0);
	command_init(&c, &bed, &(struct cdb){ .id = CDB_UNMAP, .param_len = 24 });
	c.task.data_len = 20;
	command_run(&c);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	DO(.id = CDB_UNMAP, .param_len = put_ranges(many, 256));
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_UNMAP, .param_len = put_ranges(many, 257));
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 2, -1));
	bed.device.dev.info.size = UINT64_C(1) << 40;
	many[0].blocks = 1;
	many[2].blocks = 1u << 20;
	DO(.id = CDB_UNMAP, .param_len = put_ranges(many, 3));
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 8 + 2 * 16 + 8, -1));
	bed.device.dev.info.size = bed.store.size;
	disk_bed_free(&bed);
}

static void unmap_trims_where_nothing_zeroes(void)
{
	static const struct unmap_range one[] = { { 8, 8 } };

	disk_bed_init(&bed, 512);
	bed.device.dev.info.can_zero = false;
	disk_bed_changed(&bed);
	DO(.id = CDB_UNMAP, .param_len = put_ranges(one, 1));
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_TRIM], 1);
	disk_bed_free(&bed);
}

static void write_same_fills_or_zeroes_or_unmaps(void)
{
	static const enum cdb_id ids[] = { CDB_WRITE_SAME_10, CDB_WRITE_SAME_16 };

	disk_bed_init(&bed, 512);
	for (unsigned i = 0; i < 2; i++) {
		memset(medium(0), 0x11, DISK_BED_BLOCKS * 512);
		memset(c.data, 0x42, 512);
		DO(.id = ids[i], .lba = 3, .blocks = 1200);
		CU_ASSERT(is_good(&c) && moved(&c, 512, 512));
		CU_ASSERT(is_filled(3, 1200, 0x42));
		CU_ASSERT(is_filled(0, 3, 0x11) && is_filled(1203, 10, 0x11));
		DO(.id = ids[i], .lba = 1300, .blocks = 4, .unmap = true);
		CU_ASSERT(is_good(&c) && is_filled(1300, 4, 0) && bed.store.hole[1300]);
		memset(c.data, 0, 512);
		DO(.id = ids[i], .lba = 3, .blocks = 100);
		CU_ASSERT(is_good(&c) && is_filled(3, 100, 0) && !bed.store.hole[3]);
		DO(.id = ids[i], .lba = 3, .blocks = 50, .unmap = true);
		CU_ASSERT(is_good(&c) && is_filled(3, 100, 0));
		CU_ASSERT(bed.store.hole[3] && !bed.store.hole[53]);
		memset(c.data, 0x43, 512);
		DO(.id = ids[i], .lba = DISK_BED_BLOCKS - 9);	/* to the end */
		CU_ASSERT(is_good(&c) && is_filled(DISK_BED_BLOCKS - 9, 9, 0x43));
		CU_ASSERT(is_filled(DISK_BED_BLOCKS - 10, 1, 0x11));
		DO(.id = ids[i], .lba = DISK_BED_BLOCKS);
		CU_ASSERT(failed_with(&c, SENSE_LBA_OUT_OF_RANGE));
		DO(.id = ids[i], .lba = DISK_BED_BLOCKS - 1, .blocks = 2);
		CU_ASSERT(failed_with(&c, SENSE_LBA_OUT_OF_RANGE));
		command_init(&c, &bed, &(struct cdb){ .id = ids[i], .blocks = 2 });
		c.task.data_len = 511;
		command_run(&c);
		CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, i ? 10 : 7, 7));
	}
	memset(medium(0), 0x11, 1024);
	DO(.id = CDB_WRITE_SAME_16, .blocks = 2, .ndob = true);
	CU_ASSERT(is_good(&c) && moved(&c, 0, 0) && is_filled(0, 2, 0));
	DO(.id = CDB_WRITE_SAME_16, .ndob = true, .unmap = true);
	CU_ASSERT(is_good(&c) && is_filled(0, DISK_BED_BLOCKS, 0));
	CU_ASSERT(bed.store.hole[0] && bed.store.hole[DISK_BED_BLOCKS - 1]);
	disk_bed_free(&bed);
}

static void write_same_has_a_limit_also_to_the_end(void)
{
	disk_bed_init(&bed, 1);
	bed.device.dev.info.size = 70000 * 512;		/* nothing is written there */
	disk_bed_changed(&bed);
	for (uint32_t blocks = 0; blocks <= 65536; blocks += 65536) {
		DO(.id = CDB_WRITE_SAME_16, .lba = 1, .blocks = blocks);
		CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 10, 7));
	}
	DO(.id = CDB_WRITE_SAME_10, .lba = 70000 - 65536);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 7, 7));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE] + bed.device.seen[BLK_ZERO], 0);
	disk_bed_free(&bed);
}

static void write_same_to_the_end_stops_where_it_is_aborted(void)
{
	disk_bed_init(&bed, 1);
	memset(medium(0), 0x11, DISK_BED_BLOCKS * 512);
	memset(c.data, 0x42, 512);
	bed.device.hold = true;
	command_init(&c, &bed, &(struct cdb){ .id = CDB_WRITE_SAME_16 });
	command_start(&c);
	CU_ASSERT_EQUAL(bed.device.in_flight, 1);	/* others have their turn, too */
	CU_ASSERT(bed.device.last->length < DISK_BED_BLOCKS * 512);
	bed.device.ignores_aborts = true;
	lu_abort(bed.lu, &c.task);
	blk_double_release(&bed.device);
	for (int i = 0; i < 100 && !c.ended; i++)
		disk_bed_settle(&bed);
	CU_ASSERT(c.ended && c.task.status == STATUS_TASK_ABORTED);
	CU_ASSERT(is_filled(0, 1, 0x42) && is_filled(DISK_BED_BLOCKS - 1, 1, 0x11));
	disk_bed_free(&bed);
}

/* WRITE ATOMIC ----------------------------------------------------------------------- */

static void an_atomic_write_is_one_request_that_says_so(void)
{
	disk_bed_init(&bed, 1);
	memset(c.data, 0x5a, 4 * 512);
	DO(.id = CDB_WRITE_ATOMIC_16, .lba = 7, .blocks = 4);
	CU_ASSERT(is_good(&c) && moved(&c, 4 * 512, 4 * 512) && is_filled(7, 4, 0x5a));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 1);
	bed.device.hold = true;
	command_init(&c, &bed, &(struct cdb){ .id = CDB_WRITE_ATOMIC_16, .fua = true, .blocks = 2 });
	command_start(&c);
	CU_ASSERT(bed.device.last->flags & BLK_ATOMIC && bed.device.last->flags & BLK_FUA);
	blk_double_release(&bed.device);
	disk_bed_free(&bed);
	CU_ASSERT(is_good(&c));
}

static void an_atomic_write_is_all_or_refused(void)
{
	disk_bed_init(&bed, 1);
	bed.device.dev.info.max_atomic = 4096;
	disk_bed_changed(&bed);
	DO(.id = CDB_WRITE_ATOMIC_16, .lba = DISK_BED_BLOCKS);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_WRITE_ATOMIC_16, .lba = DISK_BED_BLOCKS - 1, .blocks = 2);
	CU_ASSERT(failed_with(&c, SENSE_LBA_OUT_OF_RANGE));
	DO(.id = CDB_WRITE_ATOMIC_16, .blocks = 8);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_WRITE_ATOMIC_16, .blocks = 9);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 12, 7));
	DO(.id = CDB_WRITE_ATOMIC_16, .atomic_boundary = 1, .blocks = 8);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 11, 0));
	/* Fewer blocks than were called for would be a part. */
	command_init(&c, &bed, &(struct cdb){ .id = CDB_WRITE_ATOMIC_16, .blocks = 8 });
	c.task.data_len = 7 * 512;
	command_run(&c);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 12, 7));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 1);
	bed.device.dev.info.max_atomic = 0;
	disk_bed_changed(&bed);
	DO(.id = CDB_WRITE_ATOMIC_16, .blocks = 1);
	CU_ASSERT(failed_with(&c, SENSE_INVALID_OPCODE));
	disk_bed_free(&bed);
}

/* It is read in pieces, and none of them may be older than another. */
static void an_atomic_write_waits_for_a_verification_that_it_would_come_into(void)
{
	static struct command atomic;

	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	command_init(&c, &bed, &(struct cdb){ .id = CDB_VERIFY_10, .blocks = DISK_BED_BLOCKS });
	command_start(&c);
	disk_bed_settle(&bed);
	command_init(&atomic, &bed, &(struct cdb){ .id = CDB_WRITE_ATOMIC_16, .blocks = 8 });
	command_start(&atomic);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 1);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 0);
	blk_double_release(&bed.device);
	while (!atomic.ended)
		disk_bed_settle(&bed);
	CU_ASSERT(is_good(&c) && is_good(&atomic));
	disk_bed_free(&bed);
}

static void a_failed_unmap_is_a_write_error_and_never_an_illegal_request(void)
{
	static const struct unmap_range one[] = { { 8, 8 } };

	disk_bed_init(&bed, 512);
	bed.device.bad[0] = 9 * 512;
	DO(.id = CDB_UNMAP, .param_len = put_ranges(one, 1));
	CU_ASSERT(failed_at(&c, SENSE_WRITE_ERROR, 9));
	bed.device.bad[0] = UINT64_MAX;
	disk_bed_free(&bed);
}

/* GET LBA STATUS --------------------------------------------------------------------- */

static void lba_status_tells_holes_block_by_block(void)
{
	struct lba_status s;
	uint64_t next;

	disk_bed_init(&bed, 4096);
	bed.device.dev.info.can_zero = false;	/* so that a hole need not read as zeroes */
	disk_bed_changed(&bed);
	for (unsigned i = 0; i < DISK_BED_BLOCKS / 8; i++)
		bed.store.hole[i] = i % 3 == 1;
	for (uint64_t lba = 0; lba < DISK_BED_BLOCKS; lba += 37) {
		for (uint32_t room = 1; room < 40; room += 13) {
			DO(.id = CDB_GET_LBA_STATUS, .lba = lba, .alloc_len = 8 + 16 * room);
			CU_ASSERT_FATAL(is_good(&c));
			CU_ASSERT_FATAL(lba_status_count(c.data, c.task.moved) >= 1);
			CU_ASSERT(lba_status_count(c.data, c.task.moved) <= room);
			next = lba;
			for (uint32_t i = 0; i < lba_status_count(c.data, c.task.moved); i++) {
				lba_status_decode(c.data, i, &s);
				CU_ASSERT_EQUAL(s.lba, next);
				CU_ASSERT(s.blocks > 0);
				for (next = s.lba; next < s.lba + s.blocks; next++)
					CU_ASSERT_EQUAL(s.status, next / 8 % 3 == 1);
			}
			CU_ASSERT(next <= DISK_BED_BLOCKS);
		}
	}
	DO(.id = CDB_GET_LBA_STATUS, .lba = DISK_BED_BLOCKS, .alloc_len = 24);
	CU_ASSERT(failed_with(&c, SENSE_LBA_OUT_OF_RANGE));
	disk_bed_free(&bed);
}

static void a_hole_of_unknown_contents_is_not_deallocated_where_that_means_zeroes(void)
{
	struct lba_status s;

	disk_bed_init(&bed, 512);
	memset(bed.store.hole, 1, DISK_BED_BLOCKS);
	DO(.id = CDB_GET_LBA_STATUS, .lba = 0, .alloc_len = 24);
	CU_ASSERT_EQUAL(lba_status_count(c.data, c.task.moved), 1);
	lba_status_decode(c.data, 0, &s);
	CU_ASSERT_EQUAL(s.status, 0);
	disk_bed_free(&bed);
}

static void a_block_of_two_extents_counts_as_mapped(void)
{
	struct lba_status s;

	disk_bed_init(&bed, 256);	/* finer than logical blocks */
	bed.device.dev.info.can_zero = false;
	disk_bed_changed(&bed);
	for (unsigned i = 0; i < 80; i++) {
		memset(bed.store.hole, i / 4 % 2, 9);
		memset(bed.store.hole + 9, !(i / 4 % 2), 9);
		DO(.id = CDB_GET_LBA_STATUS, .lba = 4, .alloc_len = 8 + 16 * (1 + i % 4));
		CU_ASSERT_FATAL(lba_status_count(c.data, c.task.moved) >= 1);
		lba_status_decode(c.data, 0, &s);
		CU_ASSERT(s.lba == 4 && s.status == 0);
	}
	disk_bed_free(&bed);
}

static const struct unit_test tests[] = {
	UNIT_TEST(all_forms_of_write_and_read_agree_with_the_medium),
	UNIT_TEST(a_plain_read_or_write_is_one_request_on_the_tasks_own_buffer),
	UNIT_TEST(ranges_beyond_the_end_are_refused_without_wrapping),
	UNIT_TEST(more_than_the_maximum_transfer_is_refused),
	UNIT_TEST(a_read_fills_the_room_that_there_is),
	UNIT_TEST(a_write_takes_the_whole_blocks_that_came),
	UNIT_TEST(data_in_the_wrong_direction_does_not_move),
	UNIT_TEST(fua_and_write_through_make_data_persistent),
	UNIT_TEST(a_medium_error_says_where_and_gives_what_is_before_it),
	UNIT_TEST(pre_fetch_meets_its_condition),
	UNIT_TEST(verify_compares_as_bytchk_says),
	UNIT_TEST(write_and_verify_writes_to_the_medium_and_reads_it_back),
	UNIT_TEST(compare_and_write_writes_only_what_compares),
	UNIT_TEST(orwrite_sets_bits_and_clears_none),
	UNIT_TEST(unmap_frees_all_its_ranges_or_none),
	UNIT_TEST(unmap_takes_no_ranges_and_refuses_wrong_lists),
	UNIT_TEST(unmap_trims_where_nothing_zeroes),
	UNIT_TEST(write_same_fills_or_zeroes_or_unmaps),
	UNIT_TEST(write_same_has_a_limit_also_to_the_end),
	UNIT_TEST(write_same_to_the_end_stops_where_it_is_aborted),
	UNIT_TEST(an_atomic_write_is_one_request_that_says_so),
	UNIT_TEST(an_atomic_write_is_all_or_refused),
	UNIT_TEST(an_atomic_write_waits_for_a_verification_that_it_would_come_into),
	UNIT_TEST(a_failed_unmap_is_a_write_error_and_never_an_illegal_request),
	UNIT_TEST(lba_status_tells_holes_block_by_block),
	UNIT_TEST(a_hole_of_unknown_contents_is_not_deallocated_where_that_means_zeroes),
	UNIT_TEST(a_block_of_two_extents_counts_as_mapped),
};
UNIT_MAIN("disk_lu on its medium", tests)
