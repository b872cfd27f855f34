/*
 * Reservations through the CDB interpreter: whom they keep from what, who is told, whose
 * tasks are aborted, and what is there after a restart.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "field.h"
#include "offload.h"
#include "reserve_bed.h"
#include "unit.h"

static struct command running;

static const struct cdb ready = { .id = CDB_TEST_UNIT_READY };
static const struct cdb write_one = { .id = CDB_WRITE_10, .blocks = 1 };
static const struct cdb read_one = { .id = CDB_READ_10, .blocks = 1 };

static void start(void)
{
	disk_bed_init(&bed, 1);
}

/* Whom a reservation keeps from what ---------------------------------------- */

/* The tables of SPC-4 §5.12.1, SBC-3 §4.17 and SPC-2 annex B: does a command pass a
 * reservation that excludes writers, one that excludes everybody, and RESERVE(6)? */
static const struct rule {
	struct cdb cdb;
	bool write_exclusive, exclusive, reserve;
} rules[] = {
	{ { .id = CDB_TEST_UNIT_READY }, true, true, false },
	{ { .id = CDB_REQUEST_SENSE, .alloc_len = 18 }, true, true, true },
	{ { .id = CDB_READ_6, .blocks = 1 }, true, false, false },
	{ { .id = CDB_WRITE_6, .blocks = 1 }, false, false, false },
	{ { .id = CDB_INQUIRY, .alloc_len = 36 }, true, true, true },
	{ { .id = CDB_MODE_SELECT_6, .pf = true }, false, false, false },
	{ { .id = CDB_MODE_SENSE_6, .page = 0x3f, .alloc_len = 255 }, true, false, false },
	{ { .id = CDB_START_STOP_UNIT, .start = true }, true, true, true },
	{ { .id = CDB_START_STOP_UNIT }, false, false, false },
	{ { .id = CDB_SEND_DIAGNOSTIC, .self_test = true }, false, false, false },
	{ { .id = CDB_PREVENT_ALLOW }, true, true, true },
	{ { .id = CDB_PREVENT_ALLOW, .prevent = 1 }, false, false, false },
	{ { .id = CDB_READ_CAPACITY_10 }, true, true, true },
	{ { .id = CDB_READ_10, .blocks = 1 }, true, false, false },
	{ { .id = CDB_WRITE_10, .blocks = 1 }, false, false, false },
	{ { .id = CDB_WRITE_AND_VERIFY_10, .blocks = 1 }, false, false, false },
	{ { .id = CDB_VERIFY_10, .blocks = 1 }, true, false, false },
	{ { .id = CDB_PRE_FETCH_10, .blocks = 1 }, true, false, false },
	{ { .id = CDB_SYNCHRONIZE_CACHE_10 }, false, false, false },
	{ { .id = CDB_READ_DEFECT_DATA_10, .alloc_len = 8 }, true, false, false },
	{ { .id = CDB_WRITE_SAME_10, .blocks = 1 }, false, false, false },
	{ { .id = CDB_WRITE_ATOMIC_16, .blocks = 1 }, false, false, false },
	{ { .id = CDB_UNMAP }, false, false, false },
	{ { .id = CDB_SANITIZE_OVERWRITE }, false, false, false },
	{ { .id = CDB_SANITIZE_BLOCK_ERASE }, false, false, false },
	{ { .id = CDB_SANITIZE_CRYPTO_ERASE }, false, false, false },
	{ { .id = CDB_SANITIZE_EXIT_FAILURE_MODE }, false, false, false },
	{ { .id = CDB_LOG_SENSE, .alloc_len = 64 }, true, true, true },
	{ { .id = CDB_LOG_SENSE, .pc = 1, .alloc_len = 64 }, true, true, true },
	{ { .id = CDB_MODE_SELECT_10, .pf = true }, false, false, false },
	{ { .id = CDB_MODE_SENSE_10, .page = 0x3f, .alloc_len = 255 }, true, false, false },
	{ { .id = CDB_EXTENDED_COPY_LID1 }, false, false, false },
	{ { .id = CDB_RCR_COPY_STATUS_LID1, .alloc_len = 8 }, true, false, false },
	{ { .id = CDB_RCR_RECEIVE_DATA_LID1, .alloc_len = 8 }, true, false, false },
	{ { .id = CDB_RCR_OPERATING_PARAMETERS, .alloc_len = 8 }, true, false, false },
	{ { .id = CDB_RCR_FAILED_SEGMENT_DETAILS, .alloc_len = 8 }, true, false, false },
	{ { .id = CDB_EXTENDED_COPY_LID1 }, false, false, false },
	{ { .id = CDB_RCR_COPY_STATUS_LID1, .alloc_len = 64 }, true, false, false },
	{ { .id = CDB_RCR_RECEIVE_DATA_LID1, .alloc_len = 64 }, true, false, false },
	{ { .id = CDB_RCR_OPERATING_PARAMETERS, .alloc_len = 64 }, true, false, false },
	{ { .id = CDB_RCR_FAILED_SEGMENT_DETAILS, .alloc_len = 64 }, true, false, false },
	{ { .id = CDB_READ_16, .blocks = 1 }, true, false, false },
	{ { .id = CDB_COMPARE_AND_WRITE, .blocks = 1 }, false, false, false },
	{ { .id = CDB_WRITE_16, .blocks = 1 }, false, false, false },
	{ { .id = CDB_ORWRITE_16, .blocks = 1 }, false, false, false },
	{ { .id = CDB_WRITE_AND_VERIFY_16, .blocks = 1 }, false, false, false },
	{ { .id = CDB_VERIFY_16, .blocks = 1 }, true, false, false },
	{ { .id = CDB_PRE_FETCH_16, .blocks = 1 }, true, false, false },
	{ { .id = CDB_SYNCHRONIZE_CACHE_16 }, false, false, false },
	{ { .id = CDB_WRITE_SAME_16, .blocks = 1 }, false, false, false },
	{ { .id = CDB_READ_CAPACITY_16, .alloc_len = 32 }, true, true, true },
	{ { .id = CDB_GET_LBA_STATUS, .alloc_len = 24 }, true, false, false },
	{ { .id = CDB_REPORT_TARGET_PORT_GROUPS, .alloc_len = 64 }, true, true, true },
	{ { .id = CDB_REPORT_TARGET_PORT_GROUPS, .alloc_len = 64 }, true, true, true },
	{ { .id = CDB_REPORT_SUPPORTED_OPCODES, .alloc_len = 64 }, true, false, false },
	{ { .id = CDB_REPORT_SUPPORTED_TMFS, .alloc_len = 4 }, true, false, false },
	{ { .id = CDB_READ_12, .blocks = 1 }, true, false, false },
	{ { .id = CDB_WRITE_12, .blocks = 1 }, false, false, false },
	{ { .id = CDB_WRITE_AND_VERIFY_12, .blocks = 1 }, false, false, false },
	{ { .id = CDB_VERIFY_12, .blocks = 1 }, true, false, false },
	{ { .id = CDB_READ_DEFECT_DATA_12, .alloc_len = 8 }, true, false, false },
};
#define RULES	(sizeof(rules) / sizeof(rules[0]))

static bool passes(const struct rule *rule, const struct nexus *nexus)
{
	command_init(&c, &bed, &rule->cdb);
	c.task.nexus = nexus;
	memset(c.data, 0, 1024);
	run(&c);
	return !conflicted(&c);
}

static struct nexus stranger;

static void start_with_stranger(uint8_t type)
{
	start_reserved(type);
	stranger = bed.b;
	stranger.isid[0] = 0x99;
	lu_attach(bed.lu, &stranger);
	CU_ASSERT(hears(&bed, &stranger, SENSE_POWER_ON_OR_RESET));
}

static void end_with_stranger(void)
{
	lu_detach(bed.lu, &stranger);
	disk_bed_free(&bed);
}

static void commands_pass_persistent_reservations_as_the_tables_say(void)
{
	static const uint8_t types[] = { WE, EA, WERO, EARO, WEAR, EAAR };

	for (size_t t = 0; t < sizeof(types); t++) {
		bool readers = types[t] == WE || types[t] == WERO || types[t] == WEAR;
		bool registrants = types[t] >= WERO;

		start_with_stranger(types[t]);
		for (size_t i = 0; i < RULES; i++) {
			bool open = readers ? rules[i].write_exclusive : rules[i].exclusive;

			CU_ASSERT(passes(&rules[i], &bed.a));
			CU_ASSERT_EQUAL(passes(&rules[i], &bed.b), registrants || open);
			CU_ASSERT_EQUAL(passes(&rules[i], &stranger), open);
		}
		end_with_stranger();
	}
}

static void commands_pass_reserve_6_as_the_table_says(void)
{
	start();
	run_by(&c, &bed, &bed.a, &(struct cdb){ .id = CDB_RESERVE_6 });
	CU_ASSERT(is_good(&c));
	for (size_t i = 0; i < RULES; i++) {
		CU_ASSERT(passes(&rules[i], &bed.a));
		CU_ASSERT_EQUAL(passes(&rules[i], &bed.b), rules[i].reserve);
	}
	for (int id = CDB_PR_IN_READ_KEYS; id <= CDB_PR_IN_READ_FULL_STATUS; id++) {
		run_by(&c, &bed, &bed.a, &(struct cdb){ .id = (enum cdb_id)id, .alloc_len = 8 });
		CU_ASSERT(conflicted(&c));
	}
	OUT(&bed.a, REGISTER, .action_key = 1);
	CU_ASSERT(conflicted(&c));
	disk_bed_free(&bed);
}

static void who_has_no_nexus_cannot_reserve(void)
{
	start();
	OUT(NULL, REGISTER, .action_key = 1);
	CU_ASSERT(conflicted(&c));
	run_by(&c, &bed, NULL, &(struct cdb){ .id = CDB_RESERVE_6 });
	CU_ASSERT(conflicted(&c));
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1);
	GOOD_OUT(&bed.a, RESERVE, .key = 1, .type = WE);
	run_by(&c, &bed, NULL, &write_one);
	CU_ASSERT(conflicted(&c));
	run_by(&c, &bed, NULL, &read_one);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

static void there_is_a_rule_for_every_command(void)
{
	bool known[CDB_COUNT] = { false };

	start();
	for (size_t i = 0; i < RULES; i++)
		known[rules[i].cdb.id] = true;
	for (int id = CDB_RESERVE_6; id <= CDB_RELEASE_6; id++)
		known[id] = true;
	for (int id = CDB_RESERVE_10; id <= CDB_PR_OUT_REGISTER_AND_MOVE; id++)
		known[id] = true;
	known[CDB_REPORT_LUNS] = true;
	for (int id = CDB_UNKNOWN + 1; id < CDB_COUNT; id++)
		if (cdb_allowed((enum cdb_id)id, bed.lu->caps))
			CU_ASSERT(known[id]);
	disk_bed_free(&bed);
}

static void what_a_nexus_may_changes_with_the_reservation(void)
{
	start_reserved(EA);
	disk_bed_init_second(&other, &bed);
	other.b.isid[0] = 0x77;
	run_by(&c, &other, &other.b, &read_one);
	CU_ASSERT(conflicted(&c));
	run_by(&c, &other, &other.b, &read_one);
	CU_ASSERT(conflicted(&c));
	run_by(&c, &other, &other.a, &read_one);	/* a second session of the holder */
	CU_ASSERT(is_good(&c));
	GOOD_OUT(&bed.a, PREEMPT, .key = 1, .action_key = 1, .type = WE);
	run_by(&c, &other, &other.b, &read_one);
	CU_ASSERT(is_good(&c));
	run_by(&c, &other, &other.b, &write_one);
	CU_ASSERT(conflicted(&c));
	GOOD_OUT(&bed.a, RELEASE, .key = 1, .type = WE);
	run_by(&c, &other, &other.b, &write_one);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&other);
	disk_bed_free(&bed);
}

/* RESERVE(6), (10) ---------------------------------------------------------- */

static void reserve_ends_by_release_by_reset_and_with_the_session(void)
{
	const struct cdb reserve = { .id = CDB_RESERVE_10 }, release = { .id = CDB_RELEASE_10 };

	start();
	run_by(&c, &bed, &bed.a, &reserve);
	CU_ASSERT(is_good(&c));
	run_by(&c, &bed, &bed.b, &reserve);
	CU_ASSERT(conflicted(&c));
	run_by(&c, &bed, &bed.b, &release);
	CU_ASSERT(is_good(&c));
	run_by(&c, &bed, &bed.b, &write_one);
	CU_ASSERT(conflicted(&c));
	run_by(&c, &bed, &bed.a, &release);
	run_by(&c, &bed, &bed.b, &write_one);
	CU_ASSERT(is_good(&c));
	run_by(&c, &bed, &bed.a, &reserve);
	lu_detach(bed.lu, &bed.a);
	run_by(&c, &bed, &bed.b, &write_one);
	CU_ASSERT(is_good(&c));
	lu_attach(bed.lu, &bed.a);
	disk_bed_free(&bed);
}

static unsigned managed;

static void on_managed(struct scsi_tmf *tmf)
{
	CU_ASSERT_EQUAL(tmf->response, TMF_COMPLETE);
	managed++;
}

static void reset(struct disk_bed *where, const struct nexus *nexus)
{
	struct scsi_tmf tmf = { .function = TMF_LU_RESET, .nexus = nexus, .done = on_managed };

	managed = 0;
	lu_manage(where->lu, &tmf);
	while (!managed)
		disk_bed_settle(where);
	CU_ASSERT(hears(where, &where->a, SENSE_DEVICE_RESET));
	CU_ASSERT(hears(where, &where->b, SENSE_DEVICE_RESET));
}

static void a_reset_ends_reserve_but_no_persistent_reservation(void)
{
	start();
	run_by(&c, &bed, &bed.a, &(struct cdb){ .id = CDB_RESERVE_6 });
	reset(&bed, &bed.b);
	run_by(&c, &bed, &bed.b, &write_one);
	CU_ASSERT(is_good(&c));
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1);
	GOOD_OUT(&bed.a, RESERVE, .key = 1, .type = WE);
	reset(&bed, &bed.b);
	run_by(&c, &bed, &bed.b, &write_one);
	CU_ASSERT(conflicted(&c));
	CU_ASSERT(has_key(&bed.a, 1));
	disk_bed_free(&bed);
}

/* Who is told --------------------------------------------------------------- */

static void release_is_told_to_the_others_only_on_every_worker(void)
{
	start_reserved(WERO);
	disk_bed_init_second(&other, &bed);	/* a and b have sessions there, too */
	GOOD_OUT(&bed.a, RELEASE, .key = 1, .type = WERO);
	CU_ASSERT(hears(&bed, &bed.a, SENSE_NONE));
	CU_ASSERT(hears(&bed, &bed.b, SENSE_RESERVATIONS_RELEASED));
	CU_ASSERT(hears(&bed, &bed.b, SENSE_NONE));
	CU_ASSERT(hears(&other, &other.b, SENSE_RESERVATIONS_RELEASED));
	CU_ASSERT(hears(&other, &other.a, SENSE_NONE));
	disk_bed_free(&other);
	disk_bed_free(&bed);
}

static void preempt_and_clear_are_told_to_those_who_lost_something(void)
{
	start_with_stranger(WERO);
	GOOD_OUT(&bed.b, PREEMPT, .key = 2, .action_key = 1, .type = WERO);
	CU_ASSERT(hears(&bed, &bed.a, SENSE_REGISTRATIONS_PREEMPTED));
	CU_ASSERT(hears(&bed, &bed.b, SENSE_NONE));
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1);
	GOOD_OUT(&bed.a, CLEAR, .key = 1);
	CU_ASSERT(hears(&bed, &bed.b, SENSE_RESERVATIONS_PREEMPTED));
	CU_ASSERT(hears(&bed, &bed.a, SENSE_NONE));
	CU_ASSERT(hears(&bed, &stranger, SENSE_NONE));
	end_with_stranger();
}

/* PREEMPT AND ABORT --------------------------------------------------------- */

static void settle_both(void)
{
	for (int i = 0; i < 8; i++) {
		disk_bed_settle(&bed);
		disk_bed_settle(&other);
	}
}

static void start_running(struct disk_bed *where, const struct nexus *nexus)
{
	where->device.hold = true;
	command_init(&running, where, &write_one);
	running.task.nexus = nexus;
	command_start(&running);
}

static void preempt_and_abort_waits_for_the_tasks_of_whom_it_preempts(void)
{
	start_reserved(WERO);
	disk_bed_init_second(&other, &bed);
	start_running(&other, &other.a);	/* of the holder, on another worker */
	out_init(&bed, &bed.b, CDB_PR_OUT_PREEMPT_AND_ABORT,
		 &(struct out){ .key = 2, .action_key = 1, .type = WERO });
	command_start(&c);
	settle_both();
	CU_ASSERT_EQUAL(other.device.aborts, 1);
	CU_ASSERT(!c.ended && !running.ended);
	blk_double_release(&other.device);
	settle_both();
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(running.task.status, STATUS_TASK_ABORTED);
	CU_ASSERT(hears(&other, &other.a, SENSE_REGISTRATIONS_PREEMPTED));
	CU_ASSERT(hears(&other, &other.a, SENSE_COMMANDS_CLEARED));
	other.device.hold = false;
	run_by(&probe, &other, &other.a, &write_one);
	CU_ASSERT(conflicted(&probe));
	disk_bed_free(&other);
	disk_bed_free(&bed);
}

static void others_tasks_go_on_and_plain_preempt_aborts_none(void)
{
	start_with_stranger(WERO);
	start_running(&bed, &bed.b);		/* the preempter's own */
	out_init(&bed, &bed.b, CDB_PR_OUT_PREEMPT_AND_ABORT,
		 &(struct out){ .key = 2, .action_key = 1, .type = WERO });
	run(&c);
	CU_ASSERT(is_good(&c) && !running.ended);
	CU_ASSERT_EQUAL(bed.device.aborts, 0);
	CU_ASSERT(hears(&bed, &bed.a, SENSE_REGISTRATIONS_PREEMPTED));
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1);
	GOOD_OUT(&bed.a, PREEMPT, .key = 1, .action_key = 2, .type = WERO);
	CU_ASSERT(!running.ended);
	blk_double_release(&bed.device);
	disk_bed_settle(&bed);
	CU_ASSERT(is_good(&running));
	end_with_stranger();
}

static void preempting_oneself_does_not_wait_for_oneself(void)
{
	start();
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1);
	GOOD_OUT(&bed.a, PREEMPT_AND_ABORT, .key = 1, .action_key = 1);
	CU_ASSERT(has_key(&bed.a, 0));
	disk_bed_free(&bed);
}

static void start_out(struct command *command, struct disk_bed *where, const struct nexus *nexus,
		      enum cdb_id action, const struct out *out)
{
	out_init(where, nexus, action, out);
	command_init(command, where, &c.task.cdb);
	command->task.nexus = nexus;
	memcpy(command->data, c.data, LIST_LEN);
	command_start(command);
}

/*
 * b preempts a from the other worker; before word of it comes to this one, a wants to
 * register anew, and to preempt b. They wait for their turn, which b has until a's tasks
 * have ended: b must not wait for those two.
 */
static void two_that_preempt_each_other_both_end(void)
{
	static struct command first, news, again, second;
	static const struct out b_takes = { .key = 2, .action_key = 1, .type = WERO };
	static const struct out a_registers = { .action_key = 1 };
	static const struct out a_takes = { .key = 1, .action_key = 2, .type = WERO };

	start_reserved(WERO);
	disk_bed_init_second(&other, &bed);
	start_out(&first, &other, &other.b, CDB_PR_OUT_PREEMPT_AND_ABORT, &b_takes);
	command_init(&news, &bed, &ready);
	command_start(&news);
	start_out(&again, &bed, &bed.a, CDB_PR_OUT_REGISTER, &a_registers);
	start_out(&second, &bed, &bed.a, CDB_PR_OUT_PREEMPT_AND_ABORT, &a_takes);
	settle_both();
	CU_ASSERT_FATAL(first.ended && news.ended && again.ended && second.ended);
	CU_ASSERT(failed_with(&news, SENSE_REGISTRATIONS_PREEMPTED));
	CU_ASSERT(is_good(&first));
	CU_ASSERT_EQUAL(again.task.status, STATUS_TASK_ABORTED);
	CU_ASSERT_EQUAL(second.task.status, STATUS_TASK_ABORTED);
	CU_ASSERT(hears(&bed, &bed.a, SENSE_COMMANDS_CLEARED));
	CU_ASSERT(has_key(&bed.a, 0) && has_key(&bed.b, 2));
	disk_bed_free(&other);
	disk_bed_free(&bed);
}

/* What outlives the process ------------------------------------------------- */

static char directory[] = "/tmp/test_disk_reserve.XXXXXX";
static struct offload *offload;

static void empty_directory(void)
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;

	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

static void start_stored(void)
{
	struct disk_lu_conf conf = { .state_dir = directory };

	offload = offload_new(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(offload);
	conf.offload = offload;
	disk_bed_init_conf(&bed, 1, &conf);
}

static void end_stored(void)
{
	offload_free(offload);
	disk_bed_free(&bed);
}

static bool persistence_is_active(void)
{
	IN(REPORT_CAPABILITIES);
	CU_ASSERT(probe.data[2] & 0x01);
	return probe.data[3] & 0x01;
}

static void registrations_and_the_reservation_survive_with_aptpl(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	start_stored();
	CU_ASSERT(!persistence_is_active());
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1, .flags = APTPL);
	GOOD_OUT(&bed.b, REGISTER, .action_key = 2, .flags = APTPL);
	GOOD_OUT(&bed.a, RESERVE, .key = 1, .type = WERO);
	CU_ASSERT(persistence_is_active());
	end_stored();
	start_stored();
	CU_ASSERT(persistence_is_active());
	CU_ASSERT(has_key(&bed.a, 1) && has_key(&bed.b, 2));
	IN(READ_RESERVATION);
	CU_ASSERT_EQUAL(get_be32(probe.data), 0);	/* PRGENERATION begins anew */
	CU_ASSERT_EQUAL(get_be64(probe.data + 8), 1);
	run_by(&c, &bed, NULL, &write_one);
	CU_ASSERT(conflicted(&c));			/* from the first command on */
	GOOD_OUT(&bed.a, RELEASE, .key = 1, .type = WERO);
	CU_ASSERT(hears(&bed, &bed.b, SENSE_RESERVATIONS_RELEASED));
	GOOD_OUT(&bed.b, REGISTER, .key = 2, .flags = APTPL);
	end_stored();
	start_stored();
	CU_ASSERT(has_key(&bed.a, 1) && has_key(&bed.b, 0));
	IN(READ_RESERVATION);
	CU_ASSERT_EQUAL(get_be32(probe.data + 4), 0);
	end_stored();
}

static void without_aptpl_they_do_not(void)
{
	start_stored();
	GOOD_OUT(&bed.a, REGISTER_AND_IGNORE, .action_key = 1);
	CU_ASSERT(!persistence_is_active());
	end_stored();
	start_stored();
	CU_ASSERT(has_key(&bed.a, 0));
	end_stored();
}

static void what_cannot_be_stored_does_not_take_effect(void)
{
	start_stored();
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1, .flags = APTPL);
	/* In a directory that is removed nothing can be made, also by root. */
	empty_directory();
	CU_ASSERT_EQUAL(rmdir(directory), 0);
	OUT(&bed.b, REGISTER, .action_key = 2, .flags = APTPL);
	CU_ASSERT(failed_with(&c, SENSE_INTERNAL_TARGET_FAILURE));
	CU_ASSERT(has_key(&bed.a, 1) && has_key(&bed.b, 0));
	OUT(&bed.a, RESERVE, .key = 1, .type = EA);
	CU_ASSERT(failed_with(&c, SENSE_INTERNAL_TARGET_FAILURE));
	run_by(&c, &bed, &bed.b, &write_one);
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(mkdir(directory, 0700), 0);
	end_stored();
}

/* While one change is being stored, the next ones wait; all are in force in the end. */
static void changes_take_turns(void)
{
	static struct command later[3];

	start_stored();
	disk_bed_init_second(&other, &bed);
	other.a.isid[0] = 0x55;
	out_init(&bed, &bed.a, CDB_PR_OUT_REGISTER, &(struct out){ .action_key = 1, .flags = APTPL });
	command_start(&c);
	for (int i = 0; i < 3; i++) {
		struct disk_bed *where = i ? &other : &bed;

		command_init(&later[i], where, &(struct cdb){ .id = CDB_PR_OUT_REGISTER,
							      .param_len = LIST_LEN });
		later[i].task.nexus = i == 1 ? &other.a : &bed.b;
		memset(later[i].data, 0, LIST_LEN);
		put_be64(later[i].data + 8, 10u + (unsigned)i);
		later[i].data[20] = APTPL;
	}
	later[2].task.nexus = &other.b;		/* b again, by now registered: wrong key */
	for (int i = 0; i < 3; i++)
		command_start(&later[i]);
	lu_abort(bed.lu, &later[0].task);
	while (!c.ended || !later[0].ended || !later[1].ended || !later[2].ended)
		settle_both();
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(later[0].task.status, STATUS_TASK_ABORTED);	/* before its turn came */
	CU_ASSERT(is_good(&later[1]) && is_good(&later[2]));
	CU_ASSERT(has_key(&bed.a, 1) && has_key(&other.a, 11) && has_key(&bed.b, 12));
	offload_free(offload);
	disk_bed_free(&other);
	disk_bed_free(&bed);
	empty_directory();
	CU_ASSERT_EQUAL(rmdir(directory), 0);
}

static const struct unit_test tests[] = {
	UNIT_TEST(commands_pass_persistent_reservations_as_the_tables_say),
	UNIT_TEST(commands_pass_reserve_6_as_the_table_says),
	UNIT_TEST(who_has_no_nexus_cannot_reserve),
	UNIT_TEST(there_is_a_rule_for_every_command),
	UNIT_TEST(what_a_nexus_may_changes_with_the_reservation),
	UNIT_TEST(reserve_ends_by_release_by_reset_and_with_the_session),
	UNIT_TEST(a_reset_ends_reserve_but_no_persistent_reservation),
	UNIT_TEST(release_is_told_to_the_others_only_on_every_worker),
	UNIT_TEST(preempt_and_clear_are_told_to_those_who_lost_something),
	UNIT_TEST(preempt_and_abort_waits_for_the_tasks_of_whom_it_preempts),
	UNIT_TEST(others_tasks_go_on_and_plain_preempt_aborts_none),
	UNIT_TEST(preempting_oneself_does_not_wait_for_oneself),
	UNIT_TEST(two_that_preempt_each_other_both_end),
	UNIT_TEST(registrations_and_the_reservation_survive_with_aptpl),
	UNIT_TEST(without_aptpl_they_do_not),
	UNIT_TEST(what_cannot_be_stored_does_not_take_effect),
	UNIT_TEST(changes_take_turns),
};

UNIT_MAIN("disk_reserve", tests)
