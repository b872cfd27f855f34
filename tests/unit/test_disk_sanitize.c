/*
 * SANITIZE (SBC-4 §4.11): what is on the medium afterwards, who is kept from the unit
 * meanwhile, and that nothing but a failure or its success ends it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk_bed.h"
#include "offload.h"
#include "unit.h"

#define SIZE	(DISK_BED_BLOCKS * DISK_BED_BLOCK)

static struct disk_bed bed, other;
static struct command c, sanitize;

#define DO(...) command_do(&c, &bed, &(struct cdb){ __VA_ARGS__ })

static const struct cdb ready = { .id = CDB_TEST_UNIT_READY };
static const struct cdb erase = { .id = CDB_SANITIZE_BLOCK_ERASE };
static const struct cdb erase_leniently = { .id = CDB_SANITIZE_BLOCK_ERASE, .ause = true };
static const struct cdb exit_failure = { .id = CDB_SANITIZE_EXIT_FAILURE_MODE };

static void start(const struct cdb *cdb)
{
	command_init(&sanitize, &bed, cdb);
	command_start(&sanitize);
}

/* To its end, also where that waits for what is written to a file. */
static void run(const struct cdb *cdb)
{
	command_init(&c, &bed, cdb);
	command_start(&c);
	while (!c.ended)
		disk_bed_settle(&bed);
}

/* The first bytes of an OVERWRITE parameter list; the pattern follows. */
static struct cdb overwrite(struct command *command, uint8_t flags, const char *pattern)
{
	size_t len = strlen(pattern);

	memset(command->data, 0, 4);
	command->data[0] = flags;
	command->data[3] = (uint8_t)len;
	memcpy(command->data + 4, pattern, len);
	return (struct cdb){ .id = CDB_SANITIZE_OVERWRITE, .param_len = (uint32_t)len + 4 };
}

static bool is_filled(uint8_t value)
{
	for (size_t i = 0; i < SIZE; i++)
		if (bed.store.bytes[i] != value)
			return false;
	return true;
}

/* What the nexus hears at either instance when it asks whether the unit is ready. */
static bool hears(struct disk_bed *where, uint32_t reason)
{
	struct sense sense;

	command_do(&c, where, &ready);
	if (reason == SENSE_NONE)
		return is_good(&c);
	return c.task.status == STATUS_CHECK_CONDITION &&
	       sense_parse(c.task.sense, c.task.sense_len, &sense) && sense.reason == reason;
}

static void settle(void)
{
	disk_bed_settle(&bed);
	disk_bed_settle(&other);
}

/* What is on the medium --------------------------------------------------------------- */

static void a_pattern_begins_anew_with_each_block(void)
{
	struct cdb cdb;

	disk_bed_init(&bed, 4096);
	cdb = overwrite(&c, 1, "abcde");
	command_do(&c, &bed, &cdb);
	CU_ASSERT(is_good(&c));
	for (size_t i = 0; i < SIZE; i++)
		CU_ASSERT_EQUAL_FATAL(bed.store.bytes[i], "abcde"[i % 512 % 5]);
	CU_ASSERT(!bed.store.hole[0]);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_FLUSH], 1);
	disk_bed_free(&bed);
}

/* A cache must not swallow a pass, and the last pass is as the list says. */
static void each_pass_is_flushed_and_every_other_one_inverted(void)
{
	static const char a[] = "a";

	for (uint8_t count = 1; count <= 31; count += 10) {
		for (int invert = 0; invert < 2; invert++) {
			struct cdb cdb;

			disk_bed_init(&bed, 1);
			cdb = overwrite(&sanitize, (uint8_t)(invert << 7 | count), a);
			bed.device.hold = true;
			start(&cdb);
			disk_bed_settle(&bed);
			CU_ASSERT_EQUAL(bed.device.last->data[SIZE / 4 - 1], 'a');
			blk_double_release(&bed.device);
			while (!sanitize.ended)
				disk_bed_settle(&bed);
			CU_ASSERT(is_good(&sanitize) && is_filled('a'));
			CU_ASSERT_EQUAL(bed.device.seen[BLK_FLUSH], count);
			CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 4u * count);
			disk_bed_free(&bed);
		}
	}
}

static void an_even_number_of_inverted_passes_begins_with_the_inverse(void)
{
	struct cdb cdb;

	disk_bed_init(&bed, 1);
	cdb = overwrite(&sanitize, 0x80 | 2, "a");
	bed.device.hold = true;
	start(&cdb);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(bed.device.last->data[0], (uint8_t)~'a');
	blk_double_release(&bed.device);
	while (!sanitize.ended)
		disk_bed_settle(&bed);
	CU_ASSERT(is_good(&sanitize) && is_filled('a'));
	disk_bed_free(&bed);
}

/* Unmapping alone would leave on the medium what was there. */
static void erasure_writes_zeroes_and_unmaps_them(void)
{
	static const enum cdb_id ids[] = { CDB_SANITIZE_BLOCK_ERASE, CDB_SANITIZE_CRYPTO_ERASE };

	for (int i = 0; i < 4; i++) {
		bool zero = i / 2;

		disk_bed_init(&bed, 4096);
		bed.device.dev.info.can_zero = zero;
		disk_bed_changed(&bed);
		memset(bed.store.bytes, 0x11, SIZE);
		DO(.id = ids[i % 2]);
		CU_ASSERT(is_good(&c));
		CU_ASSERT(is_filled(zero ? 0 : 0xdd));	/* what the double has under a trimmed hole */
		CU_ASSERT(bed.store.hole[0] && bed.store.hole[SIZE / 4096 - 1]);
		CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 4);
		CU_ASSERT_EQUAL(bed.device.seen[BLK_FLUSH], 2);
		disk_bed_free(&bed);
	}
}

static void only_what_can_be_unmapped_is_erased(void)
{
	disk_bed_init(&bed, 1);
	bed.device.dev.info.can_trim = false;
	disk_bed_changed(&bed);
	DO(.id = CDB_SANITIZE_BLOCK_ERASE);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 4));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 0);
	disk_bed_free(&bed);
}

/* What was on its way ends first: a single request as if it had come before, a command of
 * many as one that came after. */
static void nothing_that_began_before_is_written_after(void)
{
	static struct command write, fill;

	disk_bed_init(&bed, 1);
	disk_bed_init_second(&other, &bed);
	other.device.hold = true;
	memset(write.data, 0x77, 512);
	memset(fill.data, 0x78, 512);
	command_init(&write, &other, &(struct cdb){ .id = CDB_WRITE_10, .blocks = 1 });
	command_start(&write);
	command_init(&fill, &other, &(struct cdb){ .id = CDB_WRITE_SAME_10 });
	command_start(&fill);
	start(&erase);
	for (int i = 0; i < 10; i++)
		settle();
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 0);
	blk_double_release(&other.device);
	while (!sanitize.ended)
		settle();
	CU_ASSERT(is_good(&sanitize) && is_good(&write) && is_filled(0));
	CU_ASSERT(fill.ended && fill.task.status == STATUS_CHECK_CONDITION);
	disk_bed_free(&other);
	disk_bed_free(&bed);
}

/* Who is kept from the unit ------------------------------------------------------------ */

static void meanwhile_every_worker_refuses_but_tells_how_far_it_is(void)
{
	struct sense sense;
	unsigned before = 0;

	disk_bed_init(&bed, 1);
	disk_bed_init_second(&other, &bed);
	bed.device.hold = true;
	start(&erase);
	settle();
	settle();
	for (int i = 0; i < 4; i++) {
		CU_ASSERT(hears(&bed, SENSE_SANITIZE_IN_PROGRESS));
		CU_ASSERT(sense_parse(c.task.sense, c.task.sense_len, &sense));
		CU_ASSERT(sense.has_progress && (!i || sense.progress > before));
		before = sense.progress;
		CU_ASSERT(hears(&other, SENSE_SANITIZE_IN_PROGRESS));
		DO(.id = CDB_REQUEST_SENSE, .alloc_len = 18);
		CU_ASSERT(is_good(&c) && sense_parse(c.data, c.task.moved, &sense));
		CU_ASSERT(sense.reason == SENSE_SANITIZE_IN_PROGRESS && sense.progress == before);
		blk_double_pass(&bed.device);
		while (bed.device.passes)
			settle();
	}
	command_do(&c, &other, &(struct cdb){ .id = CDB_INQUIRY, .alloc_len = 36 });
	CU_ASSERT(is_good(&c));
	command_do(&c, &other, &erase);
	CU_ASSERT(c.task.status == STATUS_CHECK_CONDITION && !other.device.in_flight);
	blk_double_release(&bed.device);
	while (!sanitize.ended)
		settle();
	CU_ASSERT(is_good(&sanitize) && hears(&bed, SENSE_NONE) && hears(&other, SENSE_NONE));
	DO(.id = CDB_REQUEST_SENSE, .alloc_len = 18);
	CU_ASSERT(sense_parse(c.data, c.task.moved, &sense) && sense.reason == SENSE_NONE);
	disk_bed_free(&other);
	disk_bed_free(&bed);
}

static void it_does_not_wait_behind_an_ordered_task(void)
{
	static struct command ordered, behind;

	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	command_init(&ordered, &bed, &(struct cdb){ .id = CDB_READ_10, .blocks = 1 });
	ordered.task.attribute = TASK_ORDERED;
	command_start(&ordered);
	command_init(&behind, &bed, &ready);
	command_start(&behind);
	start(&erase);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 1);
	blk_double_release(&bed.device);
	while (!sanitize.ended)
		disk_bed_settle(&bed);
	CU_ASSERT(is_good(&ordered) && behind.ended);
	disk_bed_free(&bed);
}

/* What ends it, and what does not ------------------------------------------------------- */

static void on_managed(struct scsi_tmf *tmf)
{
	CU_ASSERT_EQUAL(tmf->response, TMF_COMPLETE);
}

static void it_goes_on_without_its_command(void)
{
	struct scsi_tmf reset = {
		.function = TMF_LU_RESET, .nexus = &bed.b, .done = on_managed,
	};

	for (int i = 0; i < 3; i++) {
		struct cdb cdb = erase;

		disk_bed_init(&bed, 1);
		memset(bed.store.bytes, 0x11, SIZE);
		bed.device.hold = true;
		cdb.immed = i == 2;
		start(&cdb);
		disk_bed_settle(&bed);
		if (i == 0)
			lu_abort(bed.lu, &sanitize.task);
		if (i == 1)
			lu_manage(bed.lu, &reset);
		disk_bed_settle(&bed);
		CU_ASSERT_EQUAL(sanitize.ended, 1);
		CU_ASSERT_EQUAL(sanitize.task.status, i == 2 ? STATUS_GOOD : STATUS_TASK_ABORTED);
		if (i == 1)
			CU_ASSERT(hears(&bed, SENSE_DEVICE_RESET));
		CU_ASSERT(hears(&bed, SENSE_SANITIZE_IN_PROGRESS));
		blk_double_release(&bed.device);
		while (!hears(&bed, SENSE_NONE))
			disk_bed_settle(&bed);
		CU_ASSERT(hears(&bed, SENSE_NONE) && is_filled(0));
		disk_bed_free(&bed);
	}
}

/* Aborted while the workers are told: the command has gone, the operation has begun. */
static void an_abort_at_once_does_not_stop_it_either(void)
{
	disk_bed_init(&bed, 1);
	memset(bed.store.bytes, 0x11, SIZE);
	start(&erase);
	lu_abort(bed.lu, &sanitize.task);
	while (!sanitize.ended)
		disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(sanitize.task.status, STATUS_TASK_ABORTED);
	while (!hears(&bed, SENSE_NONE))
		disk_bed_settle(&bed);
	CU_ASSERT(is_filled(0));
	disk_bed_free(&bed);
}

static void fail_once(const struct cdb *cdb)
{
	bed.device.bad[0] = SIZE / 2;
	run(cdb);
	CU_ASSERT(failed_with(&c, SENSE_SANITIZE_FAILED));
	bed.device.bad[0] = UINT64_MAX;
	CU_ASSERT(hears(&bed, SENSE_SANITIZE_FAILED));
	DO(.id = CDB_WRITE_10, .blocks = 1);
	CU_ASSERT(failed_with(&c, SENSE_SANITIZE_FAILED));
	DO(.id = CDB_INQUIRY, .alloc_len = 36);
	CU_ASSERT(is_good(&c));
}

static void a_failure_that_is_restricted_ends_by_success_only(void)
{
	struct sense sense;

	disk_bed_init(&bed, 1);
	fail_once(&erase);
	DO(.id = CDB_REQUEST_SENSE, .alloc_len = 18);
	CU_ASSERT(sense_parse(c.data, c.task.moved, &sense));
	CU_ASSERT_EQUAL(sense.reason, SENSE_SANITIZE_FAILED);
	run(&exit_failure);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 4));
	run(&erase_leniently);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 5));
	CU_ASSERT(hears(&bed, SENSE_SANITIZE_FAILED));
	run(&erase);
	CU_ASSERT(is_good(&c) && hears(&bed, SENSE_NONE));
	disk_bed_free(&bed);
}

static void a_failure_that_is_not_can_be_left(void)
{
	disk_bed_init(&bed, 1);
	run(&exit_failure);
	CU_ASSERT(is_good(&c));			/* there is none */
	fail_once(&erase_leniently);
	run(&exit_failure);
	CU_ASSERT(is_good(&c) && hears(&bed, SENSE_NONE));
	disk_bed_free(&bed);
}

/* A LUN that is taken away has not been sanitized. */
static void closing_the_unit_ends_it_in_failure(void)
{
	struct cdb cdb = erase;

	disk_bed_init(&bed, 1);
	disk_bed_init_second(&other, &bed);
	other.device.hold = true;
	cdb.immed = true;
	command_init(&sanitize, &other, &cdb);
	command_start(&sanitize);
	while (!other.device.in_flight)
		settle();
	CU_ASSERT(is_good(&sanitize));
	CU_ASSERT(hears(&bed, SENSE_SANITIZE_IN_PROGRESS));
	disk_bed_free(&other);
	CU_ASSERT(hears(&bed, SENSE_SANITIZE_FAILED));
	disk_bed_free(&bed);
}

/* Over the end of the process ------------------------------------------------------- */

static char directory[] = "/tmp/test_disk_sanitize.XXXXXX";
static struct offload *offload;

static void start_kept(void)
{
	struct disk_lu_conf conf = { .state_dir = directory };

	offload = offload_new(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(offload);
	conf.offload = offload;
	disk_bed_init_conf(&bed, 1, &conf);
}

static void end_kept(void)
{
	disk_bed_free(&bed);
	offload_free(offload);
}

static void a_failure_is_remembered(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	start_kept();
	fail_once(&erase);
	end_kept();
	start_kept();
	CU_ASSERT(hears(&bed, SENSE_SANITIZE_FAILED));
	run(&exit_failure);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 4));
	fail_once(&erase);
	run(&erase);
	CU_ASSERT(is_good(&c));
	fail_once(&erase_leniently);
	end_kept();
	start_kept();
	CU_ASSERT(hears(&bed, SENSE_SANITIZE_FAILED));
	run(&exit_failure);
	CU_ASSERT(is_good(&c) && hears(&bed, SENSE_NONE));
	end_kept();
	start_kept();
	CU_ASSERT(hears(&bed, SENSE_NONE));
	end_kept();
}

static void what_was_under_way_has_failed(void)
{
	struct cdb cdb = erase;

	start_kept();
	bed.device.hold = true;
	cdb.immed = true;
	start(&cdb);
	while (!bed.device.in_flight)
		disk_bed_settle(&bed);
	CU_ASSERT(is_good(&sanitize));
	end_kept();
	start_kept();
	CU_ASSERT(hears(&bed, SENSE_SANITIZE_FAILED));
	run(&erase);
	CU_ASSERT(is_good(&c));
	end_kept();
	start_kept();
	CU_ASSERT(hears(&bed, SENSE_NONE));
	end_kept();
}

static void what_cannot_be_remembered_is_not_begun(void)
{
	start_kept();
	/* In a directory that is removed nothing can be made, also by root. */
	CU_ASSERT_EQUAL(rmdir(directory), 0);
	run(&erase);
	CU_ASSERT(failed_with(&c, SENSE_INTERNAL_TARGET_FAILURE));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 0);
	CU_ASSERT(hears(&bed, SENSE_NONE));
	end_kept();
}

/* Refusals --------------------------------------------------------------------------- */

static void a_wrong_list_is_refused_where_it_is_wrong(void)
{
	static const uint8_t lists[][8] = {
		{ 0x00, 0, 0, 4 }, { 0x21, 0, 0, 4 }, { 0x01, 0, 0, 0 }, { 0x01, 0, 0, 5 },
	};
	static const struct { uint8_t byte; int bit; } where[] = {
		{ 0, 4 }, { 0, 6 }, { 2, -1 }, { 2, -1 },
	};

	disk_bed_init(&bed, 1);
	for (uint32_t len = 0; len <= 517; len += len == 4 ? 513 : 1) {
		DO(.id = CDB_SANITIZE_OVERWRITE, .param_len = len);
		CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 7, 7));
	}
	for (size_t i = 0; i < 4; i++) {
		memcpy(c.data, lists[i], 8);
		DO(.id = CDB_SANITIZE_OVERWRITE, .param_len = 8);
		CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, where[i].byte,
				     where[i].bit));
	}
	for (int id = CDB_SANITIZE_BLOCK_ERASE; id <= CDB_SANITIZE_EXIT_FAILURE_MODE; id++) {
		DO(.id = (enum cdb_id)id, .param_len = 8);
		CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 7, 7));
	}
	command_init(&c, &bed, &(struct cdb){ .id = CDB_SANITIZE_OVERWRITE, .param_len = 8 });
	c.task.data_len = 7;
	command_run(&c);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	CU_ASSERT(hears(&bed, SENSE_NONE));
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 0);
	disk_bed_free(&bed);
}

static void what_is_write_protected_is_not_sanitized(void)
{
	disk_bed_init(&bed, 1);
	command_init(&c, &bed, &erase);
	c.task.read_only = true;
	command_run(&c);
	CU_ASSERT(failed_with(&c, SENSE_WRITE_PROTECTED));
	bed.device.dev.info.read_only = true;
	disk_bed_changed(&bed);
	run(&erase);
	CU_ASSERT(failed_with(&c, SENSE_WRITE_PROTECTED));
	disk_bed_free(&bed);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_pattern_begins_anew_with_each_block),
	UNIT_TEST(each_pass_is_flushed_and_every_other_one_inverted),
	UNIT_TEST(an_even_number_of_inverted_passes_begins_with_the_inverse),
	UNIT_TEST(erasure_writes_zeroes_and_unmaps_them),
	UNIT_TEST(only_what_can_be_unmapped_is_erased),
	UNIT_TEST(nothing_that_began_before_is_written_after),
	UNIT_TEST(meanwhile_every_worker_refuses_but_tells_how_far_it_is),
	UNIT_TEST(it_does_not_wait_behind_an_ordered_task),
	UNIT_TEST(it_goes_on_without_its_command),
	UNIT_TEST(an_abort_at_once_does_not_stop_it_either),
	UNIT_TEST(a_failure_that_is_restricted_ends_by_success_only),
	UNIT_TEST(a_failure_that_is_not_can_be_left),
	UNIT_TEST(closing_the_unit_ends_it_in_failure),
	UNIT_TEST(a_failure_is_remembered),
	UNIT_TEST(what_was_under_way_has_failed),
	UNIT_TEST(what_cannot_be_remembered_is_not_begun),
	UNIT_TEST(a_wrong_list_is_refused_where_it_is_wrong),
	UNIT_TEST(what_is_write_protected_is_not_sanitized),
};
UNIT_MAIN("disk_lu, SANITIZE", tests)
