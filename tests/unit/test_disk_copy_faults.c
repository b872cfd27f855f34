/*
 * EXTENDED COPY that does not copy, or not all: lists that are wrong, ends of devices, devices
 * that fail, aborts.
 */
#include <string.h>

#include "copy_bed.h"
#include "field.h"
#include "unit.h"

static struct command c;

#define DO(...) command_do(&c, &bed, &(struct cdb){ __VA_ARGS__ })

/* Faults ---------------------------------------------------------------------------- */

static void a_list_that_is_cut_short_copies_nothing(void)
{
	copy_bed_init();
	for (size_t len = 1; len < LIST_SEGMENTS + LIST_BLOCKS_LEN; len++) {
		list_begin(1);
		list_blocks(0, 0, 0, 1, 0, 8);
		list.len = len;
		copy_do(&c);
		CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	}
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_init(&c);
	c.task.data_len--;			/* less came than the CDB says */
	command_run(&c);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	put_be16(list.wire + 2, 2 * LIST_CSCD_LEN + 1);
	copy_do(&c);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	put_be32(list.wire + 8, UINT32_MAX);
	copy_do(&c);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	put_be32(list.wire + 8, LIST_BLOCKS_LEN - 1);
	copy_do(&c);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 0);
	copy_bed_free();
}

static void a_list_is_refused_where_it_is_wrong(void)
{
	static const struct {
		size_t byte;
		uint8_t value;
		uint16_t at;
		int bit;
	} faults[] = {
		{ 1, 1 << 3, 1, 4 },					/* LIST ID USAGE 01b */
		{ 1, 3 << 3, 0, 7 },					/* 11b with an identifier */
		{ LIST_HEADER_LEN + 31, 1, LIST_HEADER_LEN + 29, 7 },		/* DISK BLOCK LENGTH */
		{ LIST_SEGMENTS + 3, 0x19, LIST_SEGMENTS + 2, 7 },
	};

	copy_bed_init();
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		list_begin(1);
		list_blocks(0, 0, 0, 1, 0, 8);
		list.wire[faults[i].byte] = faults[i].value;
		copy_do(&c);
		CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, faults[i].at,
				     faults[i].bit));
	}
	list_begin(1);
	list_bytes(0, 0, 0, 1, 0, 0, (256u << 20) + 1);
	copy_do(&c);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, LIST_SEGMENTS + 8,
			     7));
	list_begin(1);
	list.wire[15] = 1;			/* INLINE DATA LENGTH */
	copy_do(&c);
	CU_ASSERT(failed_with(&c, SENSE_INLINE_DATA_LENGTH));
	list_begin(1);
	list.wire[LIST_HEADER_LEN] = 0xe0;
	copy_do(&c);
	CU_ASSERT(failed_with(&c, SENSE_UNSUPPORTED_COPY_TARGET));
	list_begin(1);
	list_segment(0x03, LIST_BLOCKS_LEN, 0, 1);
	copy_do(&c);
	CU_ASSERT(failed_with(&c, SENSE_UNSUPPORTED_COPY_SEGMENT));
	copy_bed_free();
}

static void there_are_no_more_descriptors_than_are_promised(void)
{
	uint16_t cscds, segments;
	uint32_t len;

	copy_bed_init();
	DO(.id = CDB_RCR_OPERATING_PARAMETERS, .alloc_len = 64);
	CU_ASSERT(is_good(&c));
	cscds = get_be16(c.data + 8);
	segments = get_be16(c.data + 10);
	len = get_be32(c.data + 12);
	list_begin(1);
	for (unsigned i = 2; i < cscds; i++)
		list_cscd(lu_shared_naa(bed.lu_shared), DISK_BED_BLOCK);
	for (unsigned i = 0; i < segments; i++)
		list_bytes(0, i, 0, 1, i, 0, 512);
	CU_ASSERT_EQUAL(list.len - LIST_HEADER_LEN, len);
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	list_begin(1);
	for (unsigned i = 2; i <= cscds; i++)
		list_cscd(lu_shared_naa(bed.lu_shared), DISK_BED_BLOCK);
	copy_do(&c);
	CU_ASSERT(failed_with(&c, SENSE_TOO_MANY_COPY_TARGETS));
	list_begin(1);
	for (unsigned i = 0; i <= segments; i++)
		list_blocks(0, 0, i * 8, 1, i, 8);
	copy_do(&c);
	CU_ASSERT(failed_with(&c, SENSE_TOO_MANY_COPY_SEGMENTS));
	copy_bed_free();
}

static void what_lies_beyond_an_end_aborts_the_copy(void)
{
	static const struct {
		uint64_t from, to;
		uint16_t blocks;
	} beyond[] = {
		{ DISK_BED_BLOCKS - 7, 0, 8 },
		{ UINT64_MAX, 0, 8 },
		{ UINT64_MAX / 512 + 1, 0, 8 },
		{ 0, NEIGHBOUR_BLOCKS, 8 },
		{ 0, UINT64_MAX, 8 },
		{ DISK_BED_BLOCKS + 1, 0, 0 },
	};

	copy_bed_init();
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		list_begin(1);
		list_blocks(0, 0, 0, 1, 0, 8);
		list_blocks(0, 0, beyond[i].from, 1, beyond[i].to, beyond[i].blocks);
		copy_do(&c);
		CU_ASSERT(aborted_at(&c, SENSE_COPY_ABORTED, 1));
	}
	list_begin(1);
	list_bytes(0, DISK_BED_BLOCKS - 1, 1, 1, 0, 0, 512);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_COPY_ABORTED, 0));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 0);
	copy_bed_free();
}

static void a_device_that_shrinks_ends_the_copy_at_its_segment(void)
{
	copy_bed_init();
	neighbour.device.hold = true;
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	list_blocks(0, 0, 1024, 1, 1, 8);
	copy_init(&c);
	command_start(&c);
	disk_bed_settle(&bed);
	bed.device.dev.info.size /= 2;
	blk_double_release(&neighbour.device);
	disk_bed_settle(&bed);
	CU_ASSERT(aborted_at(&c, SENSE_COPY_ABORTED, 1));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 1);
	copy_bed_free();
}

static void a_segment_of_no_whole_blocks_aborts_the_copy(void)
{
	copy_bed_init();
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 9);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_INEXACT_COPY_SEGMENT, 0));
	list_begin(1);
	list_blocks(2, 1, 0, 0, 0, 9);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_INEXACT_COPY_SEGMENT, 0));
	copy_bed_free();
}

static void a_device_that_fails_ends_the_copy_at_its_segment(void)
{
	copy_bed_init();
	bed.device.bad[0] = 70 * 512;
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	list_blocks(0, 0, 64, 1, 1, 8);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_THIRD_PARTY_DEVICE_FAILURE, 1));
	CU_ASSERT(is_copied(0, 0, 4096));
	bed.device.bad[0] = UINT64_MAX;
	neighbour.device.bad[0] = 0;
	list_begin(2);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_THIRD_PARTY_DEVICE_FAILURE, 0));
	neighbour.device.bad[0] = UINT64_MAX;
	copy_bed_free();
}

static void an_abort_reaches_the_request_wherever_it_is(void)
{
	copy_bed_init();
	neighbour.device.hold = true;
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_init(&c);
	command_start(&c);
	disk_bed_settle(&bed);
	lu_abort(bed.lu, &c.task);
	CU_ASSERT_EQUAL(neighbour.device.aborts, 1);
	CU_ASSERT_EQUAL(bed.device.aborts, 0);
	blk_double_release(&neighbour.device);
	disk_bed_settle(&bed);
	CU_ASSERT(c.ended == 1 && c.task.status == STATUS_TASK_ABORTED);
	copy_bed_free();
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_list_that_is_cut_short_copies_nothing),
	UNIT_TEST(a_list_is_refused_where_it_is_wrong),
	UNIT_TEST(there_are_no_more_descriptors_than_are_promised),
	UNIT_TEST(what_lies_beyond_an_end_aborts_the_copy),
	UNIT_TEST(a_device_that_shrinks_ends_the_copy_at_its_segment),
	UNIT_TEST(a_segment_of_no_whole_blocks_aborts_the_copy),
	UNIT_TEST(a_device_that_fails_ends_the_copy_at_its_segment),
	UNIT_TEST(an_abort_reaches_the_request_wherever_it_is),
};

UNIT_MAIN("disk_copy_faults", tests)
