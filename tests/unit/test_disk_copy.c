/*
 * EXTENDED COPY that copies, what it waits for, and whose units it may touch.
 */
#include <string.h>

#include "copy_bed.h"
#include "scsi_data.h"
#include "unit.h"

static struct command c, other;

#define DO(...) command_do(&c, &bed, &(struct cdb){ __VA_ARGS__ })

/* Copying --------------------------------------------------------------------------- */

static void blocks_are_copied_between_units_of_different_blocks(void)
{
	copy_bed_init();
	list_begin(1);
	list_blocks(0, 0, 8, 1, 3, 16);		/* 8 KiB, counted in blocks of the source */
	list_blocks(2, 0, 100, 1, 7, 2);		/* ... and of the destination */
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(is_copied(8 * 512, 3 * 4096, 8192));
	CU_ASSERT(is_copied(100 * 512, 7 * 4096, 8192));
	CU_ASSERT_EQUAL(neighbour.store.bytes[3 * 4096 - 1], 0);
	CU_ASSERT_EQUAL(neighbour.store.bytes[5 * 4096], 0);
	CU_ASSERT_EQUAL(neighbour.store.bytes[9 * 4096], 0);
	copy_bed_free();
}

static void more_than_a_window_is_copied_window_by_window(void)
{
	copy_bed_init();
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, DISK_BED_BLOCKS);	/* 1 MiB, all there is */
	list_blocks(0, 1, 0, 0, 0, NEIGHBOUR_BLOCKS);	/* ... and back again */
	memset(neighbour.store.bytes, 0x5a, neighbour.store.size);
	neighbour.device.idle_percent = 50;
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(is_copied(0, 0, bed.store.size));
	CU_ASSERT_EQUAL(bed.store.bytes[100], (uint8_t)(100 * 31 >> 5));
	CU_ASSERT_EQUAL(bed.device.max_in_flight, 1);
	copy_bed_free();
}

static void bytes_are_copied_and_their_neighbours_left_alone(void)
{
	copy_bed_init();
	memset(neighbour.store.bytes, 0xee, neighbour.store.size);
	list_begin(1);
	list_bytes(0, 2, 7, 1, 1, 4000, 1000);
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(is_copied(2 * 512 + 7, 4096 + 4000, 1000));
	CU_ASSERT_EQUAL(neighbour.store.bytes[4096 + 3999], 0xee);
	CU_ASSERT_EQUAL(neighbour.store.bytes[4096 + 5000], 0xee);
	copy_bed_free();
}

static void what_may_only_be_read_is_no_destination(void)
{
	copy_bed_init();
	neighbour_read_only = true;
	list_begin(1);
	list_blocks(0, 1, 0, 0, 0, 1);		/* from there: it may */
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_THIRD_PARTY_DEVICE_FAILURE, 0));
	CU_ASSERT_EQUAL(neighbour.device.seen[BLK_WRITE], 0);
	neighbour_read_only = false;
	copy_bed_free();
}

static void nothing_to_copy_is_no_error(void)
{
	copy_bed_init();
	DO(.id = CDB_EXTENDED_COPY_LID1);
	CU_ASSERT(is_good(&c));
	list_begin(1);
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	list_blocks(0, 0, 0, 1, 0, 0);
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 0);
	copy_bed_free();
}

static void a_copy_is_persistent_where_there_is_no_write_back(void)
{
	static const uint8_t caching_off[24] = { 0, 0, 0, 0, 0x08, 0x12 };

	copy_bed_init();
	command_init(&c, &bed, &(struct cdb){ .id = CDB_MODE_SELECT_6, .pf = true,
					      .param_len = sizeof(caching_off) });
	memcpy(c.data, caching_off, sizeof(caching_off));
	command_run(&c);
	CU_ASSERT(is_good(&c));
	list_begin(1);
	list_blocks(0, 0, 0, 0, 100, 8);
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(blk_store_is_persistent(&bed.store, 100 * 512, 8 * 512, bed.store.now));
	copy_bed_free();
}

/* COMPARE AND WRITE holds what it looks at: the copy's write has to wait for it. */
static void a_copy_waits_for_who_compares_and_writes_there(void)
{
	copy_bed_init();
	command_init(&other, &bed, &(struct cdb){ .id = CDB_COMPARE_AND_WRITE, .lba = 100,
						  .blocks = 1 });
	memcpy(other.data, bed.store.bytes + 100 * 512, 512);
	memset(other.data + 512, 0x77, 512);
	bed.device.hold = true;
	command_start(&other);
	list_begin(1);
	list_blocks(0, 1, 0, 0, 100, 1);
	copy_init(&c);
	command_start(&c);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 0);
	CU_ASSERT_EQUAL(neighbour.device.seen[BLK_READ], 1);
	blk_double_release(&bed.device);
	disk_bed_settle(&bed);
	CU_ASSERT(is_good(&other) && is_good(&c));
	CU_ASSERT_EQUAL(bed.store.bytes[100 * 512], 0);
	copy_bed_free();
}

/* Whose units, and who may ------------------------------------------------------------ */

/* CVE-2020-28374, CVE-2021-3139: units that a nexus has not are out of reach of its copies. */
static void a_unit_that_is_not_mapped_to_the_nexus_is_out_of_reach(void)
{
	copy_bed_init();
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_init(&c);
	c.task.nexus = &bed.b;
	command_run(&c);
	CU_ASSERT(aborted_at(&c, SENSE_COPY_TARGET_UNREACHABLE, 0));
	list_begin(1);
	list_blocks(0, 1, 0, 0, 0, 1);
	copy_init(&c);
	c.task.nexus = &bed.b;
	command_run(&c);
	CU_ASSERT(aborted_at(&c, SENSE_COPY_TARGET_UNREACHABLE, 0));
	copy_init(&c);
	c.task.nexus = NULL;
	command_run(&c);
	CU_ASSERT(aborted_at(&c, SENSE_COPY_TARGET_UNREACHABLE, 0));
	CU_ASSERT_EQUAL(neighbour.device.seen[BLK_READ] + neighbour.device.seen[BLK_WRITE], 0);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ] + bed.device.seen[BLK_WRITE], 0);
	copy_bed_free();
}

static void only_block_devices_by_their_naa_are_within_reach(void)
{
	/* Byte of the CSCD descriptor, and what there is instead. */
	static const struct {
		size_t byte;
		uint8_t value;
	} changes[] = {
		{ 1, 0x20 },			/* NUL */
		{ 1, 0x01 },			/* a tape */
		{ 4, 0x02 },			/* ASCII */
		{ 5, 0x10 | DESIGNATOR_NAA },	/* of a port */
		{ 5, DESIGNATOR_T10 },
		{ 7, 7 },
		{ 15, 0xff },			/* another NAA */
	};

	copy_bed_init();
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		list_begin(1);
		list_blocks(0, 0, 0, 0, 100, 1);
		list_blocks(0, 0, 0, 1, 0, 8);
		list.wire[LIST_HEADER_LEN + LIST_CSCD_LEN + changes[i].byte] = changes[i].value;
		copy_do(&c);
		CU_ASSERT(aborted_at(&c, SENSE_COPY_TARGET_UNREACHABLE, 1));
	}
	list_begin(1);
	list_blocks(0, 0, 0, 2, 0, 8);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_COPY_TARGET_UNREACHABLE, 0));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 0);
	copy_bed_free();
}

static void a_write_protected_destination_is_not_written(void)
{
	copy_bed_init();
	neighbour.device.dev.info.read_only = true;
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_THIRD_PARTY_DEVICE_FAILURE, 0));
	list_begin(1);
	list_blocks(0, 1, 0, 0, 0, 1);
	copy_do(&c);
	CU_ASSERT(is_good(&c));
	copy_bed_free();
}

static void reserve_neighbour(const struct nexus *nexus)
{
	command_init(&other, &bed, &(struct cdb){ .id = CDB_RESERVE_6 });
	other.task.nexus = nexus;
	for (int i = 0; i < 2 && !is_good(&other); i++) {	/* the first takes the unit attention */
		other.ended = 0;
		lu_submit(neighbour.lu, &other.task);
		disk_bed_settle(&bed);
	}
	CU_ASSERT(is_good(&other));
}

static void a_reservation_of_another_nexus_keeps_a_copy_out(void)
{
	copy_bed_init();
	reserve_neighbour(&bed.b);
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_THIRD_PARTY_DEVICE_FAILURE, 0));
	list_begin(1);
	list_blocks(0, 1, 0, 0, 0, 1);
	copy_do(&c);
	CU_ASSERT(aborted_at(&c, SENSE_THIRD_PARTY_DEVICE_FAILURE, 0));
	copy_bed_free();
}

static void a_reservation_stops_a_copy_that_runs(void)
{
	copy_bed_init();
	neighbour.device.hold = true;
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	list_blocks(0, 0, 8, 1, 1, 8);
	copy_init(&c);
	command_start(&c);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(neighbour.device.seen[BLK_WRITE], 1);
	reserve_neighbour(&bed.b);
	blk_double_release(&neighbour.device);
	disk_bed_settle(&bed);
	CU_ASSERT(aborted_at(&c, SENSE_THIRD_PARTY_DEVICE_FAILURE, 1));
	CU_ASSERT_EQUAL(neighbour.device.seen[BLK_WRITE], 1);
	copy_bed_free();
}

static void what_was_read_is_not_written_to_who_has_been_reserved_meanwhile(void)
{
	copy_bed_init();
	bed.device.hold = true;
	list_begin(1);
	list_blocks(0, 0, 0, 1, 0, 8);
	copy_init(&c);
	command_start(&c);
	disk_bed_settle(&bed);
	reserve_neighbour(&bed.b);
	blk_double_release(&bed.device);
	disk_bed_settle(&bed);
	CU_ASSERT(aborted_at(&c, SENSE_THIRD_PARTY_DEVICE_FAILURE, 0));
	CU_ASSERT_EQUAL(neighbour.device.seen[BLK_WRITE], 0);
	copy_bed_free();
}

static const struct unit_test tests[] = {
	UNIT_TEST(blocks_are_copied_between_units_of_different_blocks),
	UNIT_TEST(more_than_a_window_is_copied_window_by_window),
	UNIT_TEST(bytes_are_copied_and_their_neighbours_left_alone),
	UNIT_TEST(what_may_only_be_read_is_no_destination),
	UNIT_TEST(nothing_to_copy_is_no_error),
	UNIT_TEST(a_copy_is_persistent_where_there_is_no_write_back),
	UNIT_TEST(a_copy_waits_for_who_compares_and_writes_there),
	UNIT_TEST(a_unit_that_is_not_mapped_to_the_nexus_is_out_of_reach),
	UNIT_TEST(only_block_devices_by_their_naa_are_within_reach),
	UNIT_TEST(a_write_protected_destination_is_not_written),
	UNIT_TEST(a_reservation_of_another_nexus_keeps_a_copy_out),
	UNIT_TEST(a_reservation_stops_a_copy_that_runs),
	UNIT_TEST(what_was_read_is_not_written_to_who_has_been_reserved_meanwhile),
};

UNIT_MAIN("disk_copy", tests)
