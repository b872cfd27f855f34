/*
 * What hosts can learn of EXTENDED COPY: the RECEIVE COPY commands, and VPD page 8Fh.
 */
#include <string.h>

#include "copy_bed.h"
#include "field.h"
#include "scsi_data.h"
#include "unit.h"

static struct command c, other;

#define DO(...) command_do(&c, &bed, &(struct cdb){ __VA_ARGS__ })

/* RECEIVE COPY RESULTS ---------------------------------------------------------------- */

/* COPY COMMAND STATUS of a list identifier, -1 if it is not known. */
static int status_of(uint8_t list_id, uint16_t *segments, uint32_t *bytes)
{
	command_init(&other, &bed, &(struct cdb){ .id = CDB_RCR_COPY_STATUS_LID1,
						  .list_id = list_id, .alloc_len = 64 });
	command_run(&other);
	if (refused_at(&other, SENSE_INVALID_FIELD_IN_CDB, 2, 7))
		return -1;
	CU_ASSERT(is_good(&other) && moved(&other, 12, 12) && get_be32(other.data) == 8);
	*segments = get_be16(other.data + 5);
	*bytes = get_be32(other.data + 8) << 10 * other.data[7];
	return other.data[4] & 0x7f;
}

static void copy_status_tells_how_a_copy_goes_and_went(void)
{
	uint16_t segments;
	uint32_t bytes;

	copy_bed_init();
	CU_ASSERT_EQUAL(status_of(9, &segments, &bytes), -1);
	neighbour.device.hold = true;
	list_begin(9);
	list_blocks(0, 0, 0, 0, 100, 4);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_init(&c);
	command_start(&c);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(status_of(9, &segments, &bytes), 0);
	CU_ASSERT(segments == 1 && bytes == 2048);
	blk_double_release(&neighbour.device);
	disk_bed_settle(&bed);
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(status_of(9, &segments, &bytes), 1);
	CU_ASSERT(segments == 2 && bytes == 2048 + 4096);
	CU_ASSERT_EQUAL(status_of(8, &segments, &bytes), -1);
	copy_bed_free();
}

static void a_list_identifier_is_in_use_as_long_as_its_copy_runs(void)
{
	copy_bed_init();
	neighbour.device.hold = true;
	list_begin(9);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_init(&c);
	command_start(&c);
	disk_bed_settle(&bed);
	list_begin(9);
	list_blocks(0, 0, 0, 0, 8, 8);
	copy_init(&other);
	command_run(&other);
	CU_ASSERT(failed_with(&other, SENSE_OPERATION_IN_PROGRESS));
	copy_init(&other);			/* another nexus has identifiers of its own */
	other.task.nexus = &bed.b;
	memset(other.data + LIST_HEADER_LEN + LIST_CSCD_LEN, 0, LIST_CSCD_LEN);
	other.data[LIST_HEADER_LEN + LIST_CSCD_LEN] = 0xe4;
	command_run(&other);
	CU_ASSERT(is_good(&other));
	blk_double_release(&neighbour.device);
	disk_bed_settle(&bed);
	CU_ASSERT(is_good(&c));
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	copy_bed_free();
}

static void a_copy_without_a_list_identifier_leaves_no_record(void)
{
	uint16_t segments;
	uint32_t bytes;

	copy_bed_init();
	list_begin(0);
	list.wire[1] = 3 << 3;
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(is_copied(0, 0, 4096));
	CU_ASSERT_EQUAL(status_of(0, &segments, &bytes), -1);
	copy_bed_free();
}

static void failure_details_are_the_sense_data_of_the_copy(void)
{
	struct sense sense;

	copy_bed_init();
	bed.device.bad[0] = 0;
	list_begin(4);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_do(&c);
	bed.device.bad[0] = UINT64_MAX;
	DO(.id = CDB_RCR_FAILED_SEGMENT_DETAILS, .list_id = 4, .alloc_len = 512);
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(get_be32(c.data), c.task.moved - 4);
	CU_ASSERT_EQUAL(c.data[56], 2);
	CU_ASSERT_EQUAL(get_be16(c.data + 58), c.task.moved - 60);
	CU_ASSERT(sense_parse(c.data + 60, c.task.moved - 60, &sense));
	CU_ASSERT_EQUAL(sense.reason, SENSE_THIRD_PARTY_DEVICE_FAILURE);
	list_begin(4);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_do(&c);
	DO(.id = CDB_RCR_FAILED_SEGMENT_DETAILS, .list_id = 4, .alloc_len = 512);
	CU_ASSERT(is_good(&c) && moved(&c, 4, 4) && get_be32(c.data) == 0);
	DO(.id = CDB_RCR_RECEIVE_DATA_LID1, .list_id = 4, .alloc_len = 512);
	CU_ASSERT(is_good(&c) && moved(&c, 4, 4) && get_be32(c.data) == 0);
	DO(.id = CDB_RCR_RECEIVE_DATA_LID1, .list_id = 5, .alloc_len = 512);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 2, 7));
	copy_bed_free();
}

static void records_are_of_the_nexus_and_go_with_it(void)
{
	uint16_t segments;
	uint32_t bytes;

	copy_bed_init();
	for (unsigned id = 0; id < 100; id++) {		/* more than are kept: the last ones are */
		list_begin((uint8_t)id);
		list_blocks(0, 0, 0, 1, 0, 8);
		copy_do(&c);
		CU_ASSERT(is_good(&c));
	}
	CU_ASSERT_EQUAL(status_of(0, &segments, &bytes), -1);
	CU_ASSERT_EQUAL(status_of(99, &segments, &bytes), 1);
	DO(.id = CDB_RCR_COPY_STATUS_LID1, .list_id = 99, .alloc_len = 64);
	CU_ASSERT(is_good(&c));
	command_init(&c, &bed, &(struct cdb){ .id = CDB_RCR_COPY_STATUS_LID1, .list_id = 99,
					      .alloc_len = 64 });
	c.task.nexus = &bed.b;
	command_run(&c);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 2, 7));
	lu_detach(bed.lu, &bed.a);
	lu_attach(bed.lu, &bed.a);
	DO(.id = CDB_TEST_UNIT_READY);
	CU_ASSERT_EQUAL(status_of(99, &segments, &bytes), -1);
	copy_bed_free();
}

/* What is said of it ------------------------------------------------------------------ */

static void operating_parameters_are_what_is_kept(void)
{
	static const uint8_t types[] = { 0x02, 0x0a, 0xe4 };

	copy_bed_init();
	DO(.id = CDB_RCR_OPERATING_PARAMETERS, .alloc_len = 512);
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(get_be32(c.data), c.task.moved - 4);
	CU_ASSERT_EQUAL(c.data[4], 1);			/* SNLID */
	CU_ASSERT_EQUAL(get_be32(c.data + 16), 256u << 20);
	CU_ASSERT_EQUAL(c.data[43], sizeof(types));
	CU_ASSERT(!memcmp(c.data + 44, types, sizeof(types)));
	copy_bed_free();
}

static void inquiry_data_promises_copies_only_where_there_are_units_to_copy(void)
{
	static const uint8_t page[] = {
		0, 0x8f, 0, 92,
		0, 1, 0, 12, 9, 0x83, 1, 0x00, 0x84, 4, 0x00, 0x01, 0x03, 0x04, 0, 0,
		0, 4, 0, 28, 0, 0, 0, 0, 0, 16, 0, 8, 0, 0, 3, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 8, 0, 4, 3, 0x02, 0x0a, 0xe4,
		0x80, 1, 0, 32, 0, 0, 0, 8, 0, 0, 0, 8, 0x10, 0, 0, 0,
	};
	struct inquiry inquiry;

	copy_bed_init();
	DO(.id = CDB_INQUIRY, .alloc_len = 96);
	CU_ASSERT(inquiry_decode(c.data, c.task.moved, &inquiry) && inquiry.third_party_copy);
	DO(.id = CDB_INQUIRY, .evpd = true, .page = VPD_THIRD_PARTY_COPY, .alloc_len = 1024);
	CU_ASSERT(is_good(&c) && moved(&c, 96, 96));
	CU_ASSERT(!memcmp(c.data, page, sizeof(page)));
	command_init(&c, &bed, &(struct cdb){ .id = CDB_INQUIRY, .alloc_len = 96 });
	lu_submit(neighbour.lu, &c.task);
	disk_bed_settle(&bed);
	CU_ASSERT(inquiry_decode(c.data, c.task.moved, &inquiry) && !inquiry.third_party_copy);
	copy_bed_free();
}

static const struct unit_test tests[] = {
	UNIT_TEST(copy_status_tells_how_a_copy_goes_and_went),
	UNIT_TEST(a_list_identifier_is_in_use_as_long_as_its_copy_runs),
	UNIT_TEST(a_copy_without_a_list_identifier_leaves_no_record),
	UNIT_TEST(failure_details_are_the_sense_data_of_the_copy),
	UNIT_TEST(records_are_of_the_nexus_and_go_with_it),
	UNIT_TEST(operating_parameters_are_what_is_kept),
	UNIT_TEST(inquiry_data_promises_copies_only_where_there_are_units_to_copy),
};

UNIT_MAIN("disk_copy_results", tests)
