/*
 * A unit that several nexuses share, of which some may only read; and the unit attentions
 * that only the front end knows of.
 */
#include <string.h>

#include "disk_bed.h"
#include "field.h"
#include "scsi_data.h"
#include "unit.h"

static struct disk_bed bed;
static struct command c;

/* By nexus a, which may only read. */
static void run(const struct cdb *cdb)
{
	command_init(&c, &bed, cdb);
	c.task.read_only = true;
	command_run(&c);
}

static void who_may_only_read_does_not_write(void)
{
	static const struct cdb writes[] = {
		{ .id = CDB_WRITE_6, .blocks = 1 }, { .id = CDB_WRITE_10, .blocks = 1 },
		{ .id = CDB_WRITE_12, .blocks = 1 }, { .id = CDB_WRITE_16, .blocks = 1 },
		{ .id = CDB_WRITE_AND_VERIFY_10, .blocks = 1 },
		{ .id = CDB_WRITE_SAME_10, .blocks = 1 }, { .id = CDB_WRITE_SAME_16, .blocks = 1 },
		{ .id = CDB_COMPARE_AND_WRITE, .blocks = 1 }, { .id = CDB_ORWRITE_16, .blocks = 1 },
		{ .id = CDB_UNMAP, .param_len = 24 },
		{ .id = CDB_MODE_SELECT_6, .pf = true, .param_len = 4 },
		{ .id = CDB_MODE_SELECT_10, .pf = true, .param_len = 8 },
		{ .id = CDB_RESERVE_6 }, { .id = CDB_RESERVE_10 },
		{ .id = CDB_PR_OUT_RESERVE, .type = 1, .param_len = 24 },
		{ .id = CDB_PR_OUT_CLEAR, .param_len = 24 },
		{ .id = CDB_PR_OUT_PREEMPT, .type = 1, .param_len = 24 },
		{ .id = CDB_PR_OUT_PREEMPT_AND_ABORT, .type = 1, .param_len = 24 },
		{ .id = CDB_PR_OUT_REGISTER_AND_MOVE, .param_len = 48 },
	};

	disk_bed_init(&bed, 1);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		memset(c.data, 0, sizeof(c.data));
		run(&writes[i]);
		CU_ASSERT(failed_with(&c, SENSE_WRITE_PROTECTED));
	}
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE] + bed.device.seen[BLK_ZERO]
			+ bed.device.seen[BLK_TRIM], 0);
	disk_bed_free(&bed);
}

static void who_may_only_read_reads(void)
{
	static const struct cdb reads[] = {
		{ .id = CDB_READ_16, .blocks = 4 }, { .id = CDB_TEST_UNIT_READY },
		{ .id = CDB_VERIFY_10, .blocks = 4 }, { .id = CDB_SYNCHRONIZE_CACHE_10 },
		{ .id = CDB_INQUIRY, .alloc_len = 36 }, { .id = CDB_PRE_FETCH_10, .blocks = 1 },
	};

	disk_bed_init(&bed, 1);
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		run(&reads[i]);
		CU_ASSERT(c.task.status == STATUS_GOOD || c.task.status == STATUS_CONDITION_MET);
	}
	disk_bed_free(&bed);
}

/* The list of PERSISTENT RESERVE OUT by nexus a, which may only read, or by b. */
static void reserve_out(enum cdb_id action, bool by_a, uint64_t key, uint64_t action_key, uint8_t type)
{
	const struct cdb cdb = { .id = action, .type = type, .param_len = 24 };

	command_init(&c, &bed, &cdb);
	memset(c.data, 0, 24);
	put_be64(c.data, key);
	put_be64(c.data + 8, action_key);
	c.task.nexus = by_a ? &bed.a : &bed.b;
	c.task.read_only = by_a;
	command_run(&c);
}

/* With exclusive access for registrants only, a registration is what it takes to read. */
static void who_may_only_read_registers_but_keeps_nobody_off(void)
{
	disk_bed_init(&bed, 1);
	reserve_out(CDB_PR_OUT_REGISTER, false, 0, 2, 0);
	CU_ASSERT(is_good(&c));
	reserve_out(CDB_PR_OUT_RESERVE, false, 2, 0, 6);
	CU_ASSERT(is_good(&c));
	run(&(struct cdb){ .id = CDB_READ_10, .blocks = 1 });
	CU_ASSERT_EQUAL(c.task.status, STATUS_RESERVATION_CONFLICT);
	reserve_out(CDB_PR_OUT_REGISTER, true, 0, 1, 0);
	CU_ASSERT(is_good(&c));
	run(&(struct cdb){ .id = CDB_READ_10, .blocks = 1 });
	CU_ASSERT(is_good(&c));
	run(&(struct cdb){ .id = CDB_WRITE_10, .blocks = 1 });
	CU_ASSERT(failed_with(&c, SENSE_WRITE_PROTECTED));
	reserve_out(CDB_PR_OUT_PREEMPT, true, 1, 2, 1);
	CU_ASSERT(failed_with(&c, SENSE_WRITE_PROTECTED));
	reserve_out(CDB_PR_OUT_REGISTER_AND_IGNORE, true, 0, 0, 0);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

/* Nobody writes there, so that nobody is kept from it. */
static void on_a_medium_that_is_read_only_all_may_reserve(void)
{
	disk_bed_init(&bed, 1);
	bed.device.dev.info.read_only = true;
	run(&(struct cdb){ .id = CDB_TEST_UNIT_READY });	/* hears of it */
	run(&(struct cdb){ .id = CDB_RESERVE_6 });
	CU_ASSERT(is_good(&c));
	run(&(struct cdb){ .id = CDB_RELEASE_6 });
	CU_ASSERT(is_good(&c));
	reserve_out(CDB_PR_OUT_REGISTER, true, 0, 1, 0);
	CU_ASSERT(is_good(&c));
	reserve_out(CDB_PR_OUT_RESERVE, true, 1, 0, 3);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

static bool says_protected(bool ten, bool read_only)
{
	struct mode_header header;

	command_init(&c, &bed, &(struct cdb){
		.id = ten ? CDB_MODE_SENSE_10 : CDB_MODE_SENSE_6, .page = 0x3f, .alloc_len = 255,
	});
	c.task.read_only = read_only;
	command_run(&c);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(mode_header_decode(c.data, c.task.moved, ten, &header));
	return header.wp;
}

static void write_protection_is_told_to_whom_it_concerns(void)
{
	disk_bed_init(&bed, 1);
	for (int ten = 0; ten < 2; ten++) {
		CU_ASSERT(says_protected(ten, true));
		CU_ASSERT(!says_protected(ten, false));
	}
	command_do(&c, &bed, &(struct cdb){ .id = CDB_WRITE_16, .blocks = 1 });
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

static void ready_by(const struct nexus *nexus)
{
	command_init(&c, &bed, &(struct cdb){ .id = CDB_TEST_UNIT_READY });
	c.task.nexus = nexus;
	command_run(&c);
}

static void the_front_end_raises_attentions_and_takes_them_back(void)
{
	disk_bed_init(&bed, 1);
	lu_tell(bed.lu, &bed.a, SENSE_LUNS_CHANGED, true);
	ready_by(&bed.b);
	CU_ASSERT(is_good(&c));
	ready_by(&bed.a);
	CU_ASSERT(failed_with(&c, SENSE_LUNS_CHANGED));
	ready_by(&bed.a);
	CU_ASSERT(is_good(&c));
	lu_tell(bed.lu, &bed.a, SENSE_LUNS_CHANGED, true);
	lu_tell(bed.lu, &bed.a, SENSE_MODE_PARAMETERS_CHANGED, true);
	lu_tell(bed.lu, &bed.a, SENSE_LUNS_CHANGED, false);
	ready_by(&bed.a);
	CU_ASSERT(failed_with(&c, SENSE_MODE_PARAMETERS_CHANGED));
	ready_by(&bed.a);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

/* SAM-5 §5.14: 29h is told before 3Fh; INQUIRY and REQUEST SENSE do not wait for either. */
static void a_reset_is_told_before_changed_luns(void)
{
	struct nexus fresh = { .tpgt = 1 };
	struct sense sense;

	disk_bed_init(&bed, 1);
	lu_attach(bed.lu, &fresh);
	lu_tell(bed.lu, &fresh, SENSE_LUNS_CHANGED, true);
	command_init(&c, &bed, &(struct cdb){ .id = CDB_INQUIRY, .alloc_len = 36 });
	c.task.nexus = &fresh;
	command_run(&c);
	CU_ASSERT(is_good(&c));
	ready_by(&fresh);
	CU_ASSERT(failed_with(&c, SENSE_POWER_ON_OR_RESET));
	command_init(&c, &bed, &(struct cdb){ .id = CDB_REQUEST_SENSE, .alloc_len = 252 });
	c.task.nexus = &fresh;
	command_run(&c);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(sense_parse(c.data, c.task.moved, &sense));
	CU_ASSERT_EQUAL(sense.reason, SENSE_LUNS_CHANGED);
	ready_by(&fresh);
	CU_ASSERT(is_good(&c));
	lu_detach(bed.lu, &fresh);
	disk_bed_free(&bed);
}

static const struct unit_test tests[] = {
	UNIT_TEST(who_may_only_read_does_not_write),
	UNIT_TEST(who_may_only_read_reads),
	UNIT_TEST(who_may_only_read_registers_but_keeps_nobody_off),
	UNIT_TEST(on_a_medium_that_is_read_only_all_may_reserve),
	UNIT_TEST(write_protection_is_told_to_whom_it_concerns),
	UNIT_TEST(the_front_end_raises_attentions_and_takes_them_back),
	UNIT_TEST(a_reset_is_told_before_changed_luns),
};

UNIT_MAIN("disk_access", tests)
