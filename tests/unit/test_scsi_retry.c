/* What scsi_blk makes of failures: errno and words, retries, lost paths, lost caches. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "scsi_blk_bed.h"
#include "unit.h"
#include "write_log.h"

#define CHECK	STATUS_CHECK_CONDITION

static void each_failure_has_its_errno_and_its_words(void)
{
	static const struct {
		enum blk_op op;
		uint8_t status;
		uint32_t reason;
		int error;
		const char *why;
	} rows[] = {
		{ BLK_READ, STATUS_RESERVATION_CONFLICT, 0, EPERM, "RESERVATION CONFLICT" },
		{ BLK_READ, CHECK, SENSE_READ_ERROR, EIO, "MEDIUM ERROR 11/00" },
		{ BLK_WRITE, CHECK, SENSE_WRITE_ERROR, EIO, "MEDIUM ERROR 0C/00" },
		{ BLK_READ, CHECK, SENSE_INTERNAL_TARGET_FAILURE, EIO, "HARDWARE ERROR 44/00" },
		{ BLK_READ, CHECK, SENSE_MEDIUM_NOT_PRESENT, EIO, "NOT READY 3A/00" },
		{ BLK_WRITE, CHECK, SENSE_WRITE_PROTECTED, EPERM, "DATA PROTECT 27/00" },
		{ BLK_WRITE, CHECK, SENSE_SPACE_ALLOCATION_FAILED, ENOSPC, "DATA PROTECT 27/07" },
		{ BLK_WRITE, CHECK, SENSE_LBA_OUT_OF_RANGE, ENOSPC, "ILLEGAL REQUEST 21/00" },
		{ BLK_READ, CHECK, SENSE_LBA_OUT_OF_RANGE, EINVAL, "ILLEGAL REQUEST 21/00" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static uint8_t data[512];
		enum cdb_id id = rows[i].op == BLK_READ ? CDB_READ_16 : CDB_WRITE_16;
		struct bed_call call;
		struct scsi_bed s;

		bed_begin(&s, &bed_full);
		fake_inject(s.fake, id, 1, rows[i].status, rows[i].reason);
		CU_ASSERT_EQUAL(bed_do(&s, rows[i].op, 0, 5, 1, data, &call), rows[i].error);
		CU_ASSERT_EQUAL(strncmp(call.req.why, rows[i].why, strlen(rows[i].why)), 0);
		CU_ASSERT_FALSE(call.req.has_error_offset);
		CU_ASSERT_EQUAL(fake_count(s.fake, id), 1);	/* none of these is tried again */
		bed_run_for(&s, 0);
		bed_end(&s);
	}
}

static void what_passes_is_tried_again(void)
{
	static const struct { uint8_t status; uint32_t reason; } rows[] = {
		{ STATUS_BUSY, 0 }, { STATUS_TASK_SET_FULL, 0 }, { STATUS_TASK_ABORTED, 0 },
		{ CHECK, SENSE_BECOMING_READY },
		{ CHECK, SENSE_ALUA_TRANSITION },
		{ CHECK, SENSE_ALUA_STANDBY },
		{ CHECK, SENSE_POWER_ON_OR_RESET },
		{ CHECK, SENSE_RESERVATIONS_PREEMPTED },
		{ CHECK, SENSE_ALUA_STATE_CHANGED },
		{ CHECK, SENSE_SOFT_THRESHOLD },
		{ CHECK, SENSE_ABORTED },
	};
	static uint8_t data[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scsi_bed s;

		bed_begin(&s, &bed_full);
		fake_inject(s.fake, CDB_WRITE_16, 3, rows[i].status, rows[i].reason);
		CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, 5, 1, data, NULL), 0);
		CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 4);
		bed_end(&s);
	}
}

static void what_does_not_pass_fails_at_the_deadline(void)
{
	static uint8_t data[512];
	struct bed_call call;
	struct scsi_bed s;

	bed_start(&s, &bed_full);
	s.conf.retry_timeout = 0.05;
	bed_open(&s);
	s.fake->sent_count = 0;
	fake_inject(s.fake, CDB_READ_16, 1000, STATUS_BUSY, 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 5, 1, data, &call), EIO);
	CU_ASSERT_STRING_EQUAL(call.req.why, "BUSY");
	CU_ASSERT(s.fake->sent_count > 1 && s.fake->sent_count < 10);
	bed_end(&s);
}

/* However many of those that were sent at once are refused: that is said once. */
static void a_unit_that_has_enough_is_sent_half_of_it(void)
{
	static const struct { uint8_t status; unsigned times; } rows[] = {
		{ STATUS_TASK_SET_FULL, 1 }, { STATUS_TASK_SET_FULL, 9 }, { STATUS_BUSY, 1 },
		{ STATUS_BUSY, 9 },
	};
	static uint8_t data[32][512];

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct bed_call calls[32];
		struct scsi_bed s;

		bed_begin(&s, &bed_full);
		fake_inject(s.fake, CDB_READ_16, rows[row].times, rows[row].status, 0);
		for (unsigned i = 0; i < 32; i++) {
			calls[i] = bed_request(BLK_READ, 0, i, 1, data[i]);
			bed_submit(&s, &calls[i]);
		}
		CU_ASSERT_EQUAL(s.fake->most, 32);
		loop_run(s.loop);
		s.fake->most = 0;
		for (unsigned i = 0; i < 32; i++)
			bed_submit(&s, &calls[i]);
		loop_run(s.loop);
		CU_ASSERT(s.fake->most >= 15 && s.fake->most < 24);
		for (unsigned i = 0; i < 32; i++)
			CU_ASSERT_EQUAL(calls[i].req.error, 0);
		bed_end(&s);
	}
}

/* It is found out how much that is: the depth grows until it is refused again. */
static void the_depth_grows_while_all_goes_well(void)
{
	static uint8_t data[32][512];
	struct bed_call calls[32];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_READ_16, 1, STATUS_TASK_SET_FULL, 0);
	for (unsigned round = 0; round < 20; round++) {
		s.fake->most = 0;
		for (unsigned i = 0; i < 32; i++) {
			calls[i] = bed_request(BLK_READ, 0, i, 1, data[i]);
			bed_submit(&s, &calls[i]);
		}
		loop_run(s.loop);
	}
	CU_ASSERT_EQUAL(s.fake->most, 32);
	bed_end(&s);
}

static void a_medium_error_says_where_and_what_is_below_is_good(void)
{
	static uint8_t data[16 * 512];
	struct fake_traits t = bed_full;
	struct bed_call call;
	struct scsi_bed s;

	t.has_bad_lba = true;
	t.bad_lba = 13;
	bed_begin(&s, &t);
	memset(s.fake->data, 5, 64 * 512);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 4, 16, data, &call), EIO);
	CU_ASSERT_TRUE(call.req.has_error_offset);
	CU_ASSERT_EQUAL(call.req.error_offset, 13 * 512);
	CU_ASSERT_EQUAL(data[9 * 512 - 1], 5);
	CU_ASSERT_PTR_NOT_NULL(strstr(call.req.why, "MEDIUM ERROR 11/00 at LBA 13"));
	/* Not all that is below has come: then the place is where data ends. */
	s.fake->short_by = 512 * 2 + 1;
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 4, 16, data, &call), EIO);
	CU_ASSERT_EQUAL(call.req.error_offset, 10 * 512);
	bed_end(&s);
}

static void information_outside_the_request_is_not_passed_on(void)
{
	static uint8_t data[512];
	struct bed_call call;
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_READ_16, 1, CHECK, SENSE_READ_ERROR);
	s.fake->outcomes[0].sense.has_information = true;
	s.fake->outcomes[0].sense.information = 6;
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 5, 1, data, &call), EIO);
	CU_ASSERT_FALSE(call.req.has_error_offset);
	bed_end(&s);
}

static void a_transfer_that_is_short_is_a_failure(void)
{
	static uint8_t data[512];
	struct bed_call call;
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	s.fake->short_by = 10;
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 5, 1, data, &call), EIO);
	CU_ASSERT_STRING_EQUAL(call.req.why, "only 502 of 512 bytes were transferred");
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, 5, 1, data, NULL), EIO);
	bed_end(&s);
}

static void the_first_error_of_a_long_zero_says_how_far_it_came(void)
{
	struct fake_traits t = bed_full;
	struct bed_call call;
	struct scsi_bed s;

	t.limits.max_write_same = 16;
	bed_begin(&s, &t);
	memset(s.fake->data, 1, BLOCKS * 512);
	s.fake->holds = true;
	call = bed_request(BLK_ZERO, 0, 0, BLOCKS, NULL);
	bed_submit(&s, &call);
	CU_ASSERT_EQUAL(s.fake->sent_count, 16);
	fake_inject(s.fake, CDB_WRITE_SAME_16, 1, CHECK, SENSE_WRITE_ERROR);
	fake_go_on(s.fake);
	loop_run(s.loop);
	CU_ASSERT_EQUAL(call.req.error, EIO);
	CU_ASSERT(s.fake->sent_count < 33);
	for (uint64_t i = 0; call.req.has_error_offset && i < call.req.error_offset; i++)
		if (s.fake->data[i])
			CU_FAIL_FATAL("what is below the error was not done");
	bed_end(&s);
}

static void a_write_protect_makes_the_device_read_only(void)
{
	unsigned generation;
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	generation = s.dev->info.generation;
	fake_inject(s.fake, CDB_WRITE_16, 1, CHECK, SENSE_WRITE_PROTECTED);
	CU_ASSERT_EQUAL(bed_write_one(&s), EPERM);
	CU_ASSERT_TRUE(s.dev->info.read_only);
	CU_ASSERT(s.dev->info.generation > generation);
	/* Until the unit says that its mode has changed. */
	fake_inject(s.fake, CDB_SYNCHRONIZE_CACHE_16, 1, CHECK, SENSE_MODE_PARAMETERS_CHANGED);
	CU_ASSERT_EQUAL(bed_flush(&s), 0);
	bed_settle(&s);
	CU_ASSERT_FALSE(s.dev->info.read_only);
	bed_end(&s);
}

static void news_of_a_change_has_the_unit_looked_at_again(void)
{
	static const uint32_t reasons[] = {
		SENSE_CAPACITY_CHANGED, SENSE_MODE_PARAMETERS_CHANGED, SENSE_INQUIRY_CHANGED,
		SENSE_LUNS_CHANGED,
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		unsigned generation;
		struct scsi_bed s;

		bed_begin(&s, &bed_full);
		generation = s.dev->info.generation;
		s.fake->is.blocks = BLOCKS / 2;
		s.fake->is.wp = true;
		fake_inject(s.fake, CDB_READ_16, 1, CHECK, reasons[i]);
		CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 0, 1, (uint8_t[512]){ 0 }, NULL), 0);
		bed_settle(&s);
		CU_ASSERT_EQUAL(s.dev->info.size, BLOCKS / 2 * 512);
		CU_ASSERT_TRUE(s.dev->info.read_only);
		CU_ASSERT(s.dev->info.generation > generation);
		bed_end(&s);
	}
}

static char logged[200];

static void keep_line(enum log_level level, const char *line)
{
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

static void a_soft_threshold_is_told_and_the_command_carried_out(void)
{
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	log_set_sink(keep_line);
	fake_inject(s.fake, CDB_WRITE_16, 1, CHECK, SENSE_SOFT_THRESHOLD);
	CU_ASSERT_EQUAL(bed_write_one(&s), 0);
	log_set_sink(NULL);
	CU_ASSERT_STRING_EQUAL(logged, "ACME disk 1.0, naa.6001405a: thin provisioning soft threshold "
			       "reached");
	bed_end(&s);
}

static void an_lba_out_of_range_has_the_capacity_read_again(void)
{
	static uint8_t data[512];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	s.fake->is.blocks = BLOCKS / 2;
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, BLOCKS - 1, 1, data, NULL), ENOSPC);
	bed_settle(&s);
	CU_ASSERT_EQUAL(s.dev->info.size, BLOCKS / 2 * 512);
	bed_end(&s);
}

struct onlooker {
	struct blk_look look;
	struct loop *loop;
	unsigned seen;
};

static void on_seen(struct blk_look *look)
{
	struct onlooker *onlooker = container_of(look, struct onlooker, look);

	onlooker->seen++;
	loop_stop(onlooker->loop);
}

static void look(struct scsi_bed *s, struct onlooker *onlooker)
{
	onlooker->look.seen = on_seen;
	onlooker->loop = s->loop;
	onlooker->seen = 0;
	list_init(&onlooker->look.node);
	blk_look(s->dev, &onlooker->look);
	CU_ASSERT_EQUAL(onlooker->seen, 0);
}

static void who_looks_sees_the_capacity_as_it_is(void)
{
	struct onlooker a, b, gone;
	unsigned generation;
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_WRITE_16, 1, CHECK, SENSE_WRITE_PROTECTED);
	CU_ASSERT_EQUAL(bed_write_one(&s), EPERM);
	generation = s.dev->info.generation;
	s.fake->sent_count = 0;
	look(&s, &a);
	loop_run(s.loop);
	CU_ASSERT_EQUAL(a.seen, 1);
	CU_ASSERT_EQUAL(s.dev->info.generation, generation);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->id, CDB_READ_CAPACITY_16);
	CU_ASSERT_EQUAL(s.fake->sent_count, 1);

	/* The unit says nothing of it; whoever comes while one looks sees what is then. */
	s.fake->is.blocks = BLOCKS / 2;
	look(&s, &a);
	s.fake->holds = true;
	look(&s, &b);
	look(&s, &gone);
	blk_look_cancel(&gone.look);
	fake_go_on(s.fake);
	bed_settle(&s);
	CU_ASSERT(a.seen == 1 && b.seen == 1 && gone.seen == 0);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_READ_CAPACITY_16), 3);
	CU_ASSERT_EQUAL(s.dev->info.size, BLOCKS / 2 * 512);
	CU_ASSERT_TRUE(s.dev->info.read_only);	/* nobody has asked for that */
	bed_end(&s);
}

static void other_closed(void *loop)
{
	loop_stop(loop);
}

static bool is_seen_read_only(struct scsi_bed *s, struct blkdev *dev)
{
	struct onlooker onlooker;

	s->dev = dev;
	look(s, &onlooker);
	loop_run(s->loop);
	CU_ASSERT_EQUAL(onlooker.seen, 1);
	return dev->info.read_only;
}

static void have_mode_sensed_by(struct scsi_bed *s, struct blkdev *dev)
{
	s->dev = dev;
	fake_inject(s->fake, CDB_SYNCHRONIZE_CACHE_16, 1, CHECK, SENSE_MODE_PARAMETERS_CHANGED);
	CU_ASSERT_EQUAL(bed_flush(s), 0);
	bed_settle(s);
}

static void what_one_instance_is_told_of_write_protection_all_know(void)
{
	struct blkdev *one, *other;
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	one = s.dev;
	s.dev = NULL;
	bed_open(&s);
	other = s.dev;
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	CU_ASSERT(!is_seen_read_only(&s, one) && !is_seen_read_only(&s, other));
	/* By a write, until another's MODE SENSE. */
	fake_inject(s.fake, CDB_WRITE_16, 1, CHECK, SENSE_WRITE_PROTECTED);
	CU_ASSERT_EQUAL(bed_write_one(&s), EPERM);
	CU_ASSERT(is_seen_read_only(&s, other) && is_seen_read_only(&s, one));
	CU_ASSERT_EQUAL(bed_write_one(&s), EROFS);
	have_mode_sensed_by(&s, one);
	CU_ASSERT(!is_seen_read_only(&s, one) && !is_seen_read_only(&s, other));
	CU_ASSERT_EQUAL(bed_write_one(&s), 0);
	/* By the WP bit. */
	s.fake->is.wp = true;
	have_mode_sensed_by(&s, one);
	CU_ASSERT(is_seen_read_only(&s, one) && is_seen_read_only(&s, other));
	s.fake->is.wp = false;
	have_mode_sensed_by(&s, other);
	CU_ASSERT(!is_seen_read_only(&s, one) && !is_seen_read_only(&s, other));

	blk_close(one, other_closed, s.loop);
	loop_run(s.loop);
	s.dev = other;
	bed_end(&s);
}

static void who_looks_at_a_lost_unit_is_not_kept_waiting(void)
{
	struct onlooker a;
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	s.fake->dead = true;
	look(&s, &a);
	loop_run(s.loop);
	CU_ASSERT_EQUAL(a.seen, 1);
	look(&s, &a);
	loop_run(s.loop);
	CU_ASSERT_EQUAL(a.seen, 1);
	CU_ASSERT_EQUAL(s.dev->info.size, BLOCKS * 512);
	bed_end(&s);
}

static void after_a_reset_with_unflushed_writes_one_flush_fails(void)
{
	/* reason, WCE, flushed before: does the next flush fail? */
	static const struct { uint32_t reason; bool wce, flushed, fails; } rows[] = {
		{ SENSE_POWER_ON, true, false, true }, { SENSE_INTERNAL_RESET, true, false, true },
		{ SENSE_POWER_ON, false, false, false }, { SENSE_POWER_ON, true, true, false },
		{ SENSE_POWER_ON_OR_RESET, true, false, false },
		{ SENSE_NEXUS_LOSS, true, false, false },
	};
	static uint8_t data[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_traits t = bed_full;
		struct bed_call call;
		struct scsi_bed s;

		t.wce = rows[i].wce;
		bed_begin(&s, &t);
		CU_ASSERT_EQUAL(bed_write_one(&s), 0);
		if (rows[i].flushed)
			CU_ASSERT_EQUAL(bed_flush(&s), 0);
		fake_inject(s.fake, CDB_READ_16, 1, CHECK, rows[i].reason);
		CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 0, 1, data, NULL), 0);
		bed_do(&s, BLK_FLUSH, 0, 0, 0, NULL, &call);
		CU_ASSERT_EQUAL(call.req.error, rows[i].fails ? EIO : 0);
		CU_ASSERT_EQUAL(!call.req.why[0], !rows[i].fails);
		CU_ASSERT_EQUAL(bed_flush(&s), 0);
		bed_end(&s);
	}
}

static void a_fua_write_owes_that_error_too(void)
{
	static uint8_t data[512];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	CU_ASSERT_EQUAL(bed_write_one(&s), 0);
	fake_inject(s.fake, CDB_WRITE_16, 1, CHECK, SENSE_POWER_ON);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, BLK_FUA, 9, 1, data, NULL), EIO);
	CU_ASSERT_EQUAL(bed_flush(&s), 0);
	bed_end(&s);
}

static void a_flush_that_was_sent_before_a_write_does_not_cover_it(void)
{
	static uint8_t data[512];
	struct bed_call covers = bed_request(BLK_FLUSH, 0, 0, 0, NULL);
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_SYNCHRONIZE_CACHE_16, 1, STATUS_BUSY, 0);
	bed_submit(&s, &covers);
	/* Both end; the write came while the flush was out. */
	CU_ASSERT_EQUAL(bed_write_one(&s), 0);
	fake_inject(s.fake, CDB_READ_16, 1, CHECK, SENSE_POWER_ON);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 0, 1, data, NULL), 0);
	CU_ASSERT_EQUAL(covers.req.error, 0);
	CU_ASSERT_EQUAL(bed_flush(&s), EIO);
	bed_end(&s);
}

static void a_deferred_error_of_a_cached_write_is_owed_to_the_next_flush(void)
{
	static uint8_t data[512];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	CU_ASSERT_EQUAL(bed_write_one(&s), 0);
	fake_inject(s.fake, CDB_READ_16, 1, CHECK, SENSE_WRITE_ERROR);
	s.fake->outcomes[0].sense.deferred = true;
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 0, 1, data, NULL), 0);
	CU_ASSERT_EQUAL(bed_flush(&s), EIO);
	CU_ASSERT_EQUAL(bed_flush(&s), 0);
	bed_end(&s);
}

static void bed_begin_with_log(struct scsi_bed *s, const struct fake_traits *traits)
{
	bed_start(s, traits);
	write_log_free(s->shared.log);
	s->shared.log = write_log_new(1u << 20);
	bed_open(s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->dev);
	s->fake->sent_count = 0;
}

/* A path that died, too: nobody knows why. */
static void with_a_write_log_what_a_reset_took_is_written_again(void)
{
	static const struct { uint8_t status; uint32_t reason; } rows[] = {
		{ CHECK, SENSE_POWER_ON }, { CHECK, SENSE_INTERNAL_RESET }, { LU_LOST, 0 },
	};
	static uint8_t data[16 * 512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scsi_bed s;

		bed_begin_with_log(&s, &bed_full);
		memset(data, 7, sizeof(data));
		CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, 8, 16, data, NULL), 0);
		CU_ASSERT_EQUAL(bed_do(&s, BLK_ZERO, 0, 12, 2, NULL, NULL), 0);
		memset(s.fake->data, 9, BLOCKS * 512);
		fake_inject(s.fake, CDB_READ_16, 1, rows[i].status, rows[i].reason);
		CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 8, 16, data, NULL), 0);
		CU_ASSERT(data[0] == 7 && data[4 * 512] == 0 && data[6 * 512] == 7);
		CU_ASSERT_EQUAL(bed_flush(&s), 0);
		bed_end(&s);
	}
}

/* One command takes the unit attention, and what was sent with it is carried out. */
static void what_was_sent_before_a_reset_was_known_is_done_again(void)
{
	static uint8_t data[3][512];
	struct bed_call calls[3];
	struct scsi_bed s;

	bed_begin_with_log(&s, &bed_full);
	memset(data[0], 7, 512);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, 5, 1, data[0], NULL), 0);
	memset(s.fake->data, 9, BLOCKS * 512);
	s.fake->holds = true;
	fake_inject(s.fake, CDB_READ_16, 1, CHECK, SENSE_POWER_ON);
	calls[0] = bed_request(BLK_READ, 0, 100, 1, data[0]);
	calls[1] = bed_request(BLK_READ, 0, 5, 1, data[1]);
	calls[2] = bed_request(BLK_FLUSH, 0, 0, 0, NULL);
	for (int i = 0; i < 3; i++)
		bed_submit(&s, &calls[i]);
	fake_go_on(s.fake);
	loop_run(s.loop);
	CU_ASSERT_EQUAL(data[1][0], 7);
	CU_ASSERT_EQUAL(s.fake->data[5 * 512], 7);
	CU_ASSERT_EQUAL(calls[2].req.error, 0);
	bed_end(&s);
}

/* FUA by SYNCHRONIZE CACHE, which finds that what was written just before is gone. */
static void a_reset_amid_the_commands_of_a_request_has_it_done_again(void)
{
	static uint8_t data[512];
	struct fake_traits t = bed_full;
	struct scsi_bed s;

	t.dpofua = false;
	bed_begin(&s, &t);
	fake_inject(s.fake, CDB_SYNCHRONIZE_CACHE_16, 1, CHECK, SENSE_POWER_ON);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, BLK_FUA, 5, 1, data, NULL), 0);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 2);
	CU_ASSERT_EQUAL(bed_sent(&s, s.fake->sent_count - 1)->id, CDB_SYNCHRONIZE_CACHE_16);
	bed_end(&s);
}

static void what_a_dying_path_took_along_is_sent_again_to_the_same_unit(void)
{
	static uint8_t data[512];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_WRITE_16, 1, LU_LOST, 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, 5, 1, data, NULL), 0);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->id, CDB_WRITE_16);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->id, CDB_INQUIRY);	/* who are you? comes first */
	CU_ASSERT_EQUAL(bed_sent(&s, s.fake->sent_count - 1)->id, CDB_WRITE_16);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 2);
	bed_end(&s);
}

static void a_probe_from_before_the_loss_does_not_end_it(void)
{
	static uint8_t data[512];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_READ_16, 1, CHECK, SENSE_CAPACITY_CHANGED);
	fake_inject(s.fake, CDB_REPORT_SUPPORTED_OPCODES, 1, STATUS_BUSY, 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 0, 1, data, NULL), 0);
	while (!fake_count(s.fake, CDB_REPORT_SUPPORTED_OPCODES))
		bed_run_for(&s, 0);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_INQUIRY), 7);	/* with the pages */
	/* Its last step waits for its timer; who the unit is was asked before this: */
	fake_inject(s.fake, CDB_WRITE_16, 1, LU_LOST, 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, 5, 1, data, NULL), 0);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_INQUIRY), 14);
	CU_ASSERT_EQUAL(bed_sent(&s, s.fake->sent_count - 1)->id, CDB_WRITE_16);
	bed_end(&s);
}

static void a_unit_that_went_away_is_waited_for(void)
{
	static uint8_t data[512];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_READ_16, 1, CHECK, SENSE_LUN_NOT_SUPPORTED);
	fake_inject(s.fake, CDB_INQUIRY, 1, LU_LOST, 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 5, 1, data, NULL), 0);
	bed_end(&s);
}

static void another_unit_at_the_old_address_gets_no_writes(void)
{
	static uint8_t data[512];
	struct bed_call call;
	struct scsi_bed s;

	bed_start(&s, &bed_full);
	s.conf.retry_timeout = 0.1;
	bed_open(&s);
	s.fake->sent_count = 0;
	s.fake->is.serial = "S-2";
	fake_inject(s.fake, CDB_WRITE_16, 1, LU_LOST, 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, 5, 1, data, &call), EIO);
	CU_ASSERT_STRING_EQUAL(call.req.why, "the path to the logical unit is lost");
	CU_ASSERT_EQUAL(bed_write_one(&s), EIO);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 1);
	/* And when the right one is back, all is well. */
	s.fake->is.serial = "S-1";
	for (int i = 0; i < 100 && bed_write_one(&s) != 0; i++)
		bed_run_for(&s, 0.05);
	CU_ASSERT_EQUAL(bed_write_one(&s), 0);
	bed_end(&s);
}

static void without_patience_a_lost_path_is_an_error_at_once(void)
{
	static uint8_t data[512];
	struct scsi_bed s;

	bed_start(&s, &bed_full);
	s.conf.retry_timeout = 0;
	bed_open(&s);
	fake_inject(s.fake, CDB_WRITE_16, 1, LU_LOST, 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_WRITE, 0, 5, 1, data, NULL), EIO);
	bed_end(&s);
}

static void a_reset_while_the_path_was_away_is_not_overlooked(void)
{
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	CU_ASSERT_EQUAL(bed_write_one(&s), 0);
	fake_inject(s.fake, CDB_SYNCHRONIZE_CACHE_16, 1, LU_LOST, 0);
	fake_inject(s.fake, CDB_READ_CAPACITY_16, 1, CHECK, SENSE_POWER_ON);
	CU_ASSERT_EQUAL(bed_flush(&s), EIO);
	CU_ASSERT_EQUAL(bed_flush(&s), 0);
	bed_end(&s);
}

static void an_aborted_request_ends_early_wherever_it_is(void)
{
	static uint8_t data[3][512];
	struct bed_call calls[3];
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	s.fake->holds = true;			/* with the unit */
	calls[0] = bed_request(BLK_READ, 0, 0, 1, data[0]);
	bed_submit(&s, &calls[0]);
	blk_abort(s.dev, &calls[0].req);
	CU_ASSERT_FALSE(calls[0].done);
	loop_run(s.loop);
	CU_ASSERT_EQUAL(calls[0].req.error, ECANCELED);

	fake_inject(s.fake, CDB_READ_16, 1, LU_LOST, 0);
	fake_inject(s.fake, CDB_INQUIRY, 1000, LU_LOST, 0);
	calls[1] = bed_request(BLK_READ, 0, 0, 1, data[1]);
	bed_submit(&s, &calls[1]);
	bed_settle(&s);				/* waiting for the path */
	CU_ASSERT_FALSE(calls[1].done);
	blk_abort(s.dev, &calls[1].req);
	CU_ASSERT_FALSE(calls[1].done);
	loop_run(s.loop);
	CU_ASSERT_EQUAL(calls[1].req.error, ECANCELED);
	bed_end(&s);

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_READ_16, 1000, STATUS_BUSY, 0);
	calls[2] = bed_request(BLK_READ, 0, 0, 1, data[2]);
	bed_submit(&s, &calls[2]);
	bed_run_for(&s, 0.1);			/* waiting for its timer */
	CU_ASSERT_FALSE(calls[2].done);
	blk_abort(s.dev, &calls[2].req);
	loop_run(s.loop);
	CU_ASSERT_EQUAL(calls[2].req.error, ECANCELED);
	bed_end(&s);
}

static void a_device_can_be_closed_while_it_probes(void)
{
	struct scsi_bed s;

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_READ_16, 1, CHECK, SENSE_CAPACITY_CHANGED);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 0, 1, (uint8_t[512]){ 0 }, NULL), 0);
	bed_end(&s);

	bed_begin(&s, &bed_full);
	fake_inject(s.fake, CDB_READ_16, 1, CHECK, SENSE_CAPACITY_CHANGED);
	fake_inject(s.fake, CDB_INQUIRY, 1000, STATUS_BUSY, 0);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 0, 1, (uint8_t[512]){ 0 }, NULL), 0);
	bed_run_for(&s, 0.05);
	bed_end(&s);
}

static const struct unit_test tests[] = {
	UNIT_TEST(each_failure_has_its_errno_and_its_words),
	UNIT_TEST(what_passes_is_tried_again),
	UNIT_TEST(what_does_not_pass_fails_at_the_deadline),
	UNIT_TEST(a_unit_that_has_enough_is_sent_half_of_it),
	UNIT_TEST(the_depth_grows_while_all_goes_well),
	UNIT_TEST(a_medium_error_says_where_and_what_is_below_is_good),
	UNIT_TEST(information_outside_the_request_is_not_passed_on),
	UNIT_TEST(a_transfer_that_is_short_is_a_failure),
	UNIT_TEST(the_first_error_of_a_long_zero_says_how_far_it_came),
	UNIT_TEST(a_write_protect_makes_the_device_read_only),
	UNIT_TEST(news_of_a_change_has_the_unit_looked_at_again),
	UNIT_TEST(a_soft_threshold_is_told_and_the_command_carried_out),
	UNIT_TEST(an_lba_out_of_range_has_the_capacity_read_again),
	UNIT_TEST(who_looks_sees_the_capacity_as_it_is),
	UNIT_TEST(what_one_instance_is_told_of_write_protection_all_know),
	UNIT_TEST(who_looks_at_a_lost_unit_is_not_kept_waiting),
	UNIT_TEST(after_a_reset_with_unflushed_writes_one_flush_fails),
	UNIT_TEST(a_fua_write_owes_that_error_too),
	UNIT_TEST(with_a_write_log_what_a_reset_took_is_written_again),
	UNIT_TEST(what_was_sent_before_a_reset_was_known_is_done_again),
	UNIT_TEST(a_reset_amid_the_commands_of_a_request_has_it_done_again),
	UNIT_TEST(a_flush_that_was_sent_before_a_write_does_not_cover_it),
	UNIT_TEST(a_deferred_error_of_a_cached_write_is_owed_to_the_next_flush),
	UNIT_TEST(what_a_dying_path_took_along_is_sent_again_to_the_same_unit),
	UNIT_TEST(a_probe_from_before_the_loss_does_not_end_it),
	UNIT_TEST(a_unit_that_went_away_is_waited_for),
	UNIT_TEST(another_unit_at_the_old_address_gets_no_writes),
	UNIT_TEST(without_patience_a_lost_path_is_an_error_at_once),
	UNIT_TEST(a_reset_while_the_path_was_away_is_not_overlooked),
	UNIT_TEST(an_aborted_request_ends_early_wherever_it_is),
	UNIT_TEST(a_device_can_be_closed_while_it_probes),
};

UNIT_MAIN("scsi_retry", tests)
