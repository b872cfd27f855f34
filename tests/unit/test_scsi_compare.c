/*
 * Parts of blocks on a unit that other hosts write, too: they are written by COMPARE AND WRITE
 * (SBC-3 §5.2), so that nothing is lost between the read and the write.
 */
#include <errno.h>
#include <string.h>

#include "log.h"
#include "scsi_blk_bed.h"
#include "unit.h"
#include "write_log.h"

#define PART	100u		/* from here in block 1 ... */
#define LENGTH	50u
#define LAST	511u		/* ... and what the other host changes */

static struct scsi_bed s;

static void be_quiet(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static struct fake_traits comparing(void)
{
	struct fake_traits t = bed_full;

	t.limits.max_compare_and_write = 1;
	return t;
}

static void begin(const struct fake_traits *traits)
{
	log_set_sink(be_quiet);
	bed_begin(&s, traits);
	memset(s.fake->data + 512, 0x11, 512);
}

static int write_part(uint32_t flags, struct bed_call *outcome)
{
	static uint8_t data[LENGTH];
	struct bed_call call = { .req = {
		.op = BLK_WRITE, .flags = flags, .offset = 512 + PART, .length = LENGTH, .data = data,
	} };

	memset(data, 0x22, sizeof(data));
	bed_submit(&s, &call);
	loop_run(s.loop);
	CU_ASSERT(call.done);
	if (outcome)
		*outcome = call;
	return call.req.error;
}

static bool part_is_there(void)
{
	const uint8_t *block = s.fake->data + 512;

	for (unsigned i = 0; i < LAST; i++)
		if (block[i] != (i >= PART && i < PART + LENGTH ? 0x22 : 0x11))
			return false;
	return true;
}

static void a_part_of_a_block_is_written_by_comparing(void)
{
	const struct fake_traits t = comparing();

	begin(&t);
	CU_ASSERT_EQUAL(s.dev->info.max_compare_write, 512);
	CU_ASSERT_EQUAL(write_part(0, NULL), 0);
	CU_ASSERT(part_is_there());
	CU_ASSERT_EQUAL(s.fake->sent_count, 2);
	CU_ASSERT_EQUAL(bed_sent(&s, 0)->id, CDB_READ_16);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->id, CDB_COMPARE_AND_WRITE);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->lba, 1);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->blocks, 1);
	CU_ASSERT_FALSE(bed_sent(&s, 1)->fua);
	bed_end(&s);
}

static void only_the_edges_are_compared(void)
{
	const struct fake_traits t = comparing();
	struct bed_call call = { .req = { .op = BLK_ZERO, .offset = 100, .length = 4 * 512 } };

	begin(&t);
	memset(s.fake->data, 0x11, 5 * 512);
	bed_submit(&s, &call);
	loop_run(s.loop);
	CU_ASSERT_EQUAL(call.req.error, 0);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_COMPARE_AND_WRITE), 2);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_SAME_16), 1);
	for (unsigned i = 0; i < 5 * 512; i++)
		CU_ASSERT(s.fake->data[i] == (i >= 100 && i < 100 + 4 * 512 ? 0 : 0x11));
	bed_end(&s);
}

static void what_another_host_writes_meanwhile_stays(void)
{
	const struct fake_traits t = comparing();

	begin(&t);
	s.fake->interferes = 3;
	CU_ASSERT_EQUAL(write_part(0, NULL), 0);
	CU_ASSERT(part_is_there());
	CU_ASSERT_EQUAL(s.fake->data[512 + LAST], 0x11 + 3);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_COMPARE_AND_WRITE), 4);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_READ_16), 4);
	bed_end(&s);
}

static void it_does_not_try_for_ever(void)
{
	const struct fake_traits t = comparing();
	struct bed_call call;

	begin(&t);
	s.fake->interferes = UINT32_MAX;
	CU_ASSERT_EQUAL(write_part(0, &call), EIO);
	CU_ASSERT(strstr(call.req.why, "other hosts") != NULL);
	bed_end(&s);
}

/* Carried out, and the answer lost: sent again as it was, it would fail, or undo what came since. */
static void an_unknown_outcome_is_looked_at(void)
{
	const struct fake_traits t = comparing();

	begin(&t);
	s.fake->loses_answer = CDB_COMPARE_AND_WRITE;
	CU_ASSERT_EQUAL(write_part(0, NULL), 0);
	CU_ASSERT(part_is_there());
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_COMPARE_AND_WRITE), 2);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_READ_16), 2);
	/* The other way round: it was never carried out. */
	s.fake->sent_count = 0;
	memset(s.fake->data + 512, 0x11, 512);
	fake_inject(s.fake, CDB_COMPARE_AND_WRITE, 1, LU_LOST, SENSE_NONE);
	CU_ASSERT_EQUAL(write_part(0, NULL), 0);
	CU_ASSERT(part_is_there());
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_COMPARE_AND_WRITE), 2);
	bed_end(&s);
}

static void a_unit_that_refuses_after_all_is_written_plainly(void)
{
	static const uint32_t reasons[] = { SENSE_INVALID_OPCODE, SENSE_INVALID_FIELD_IN_CDB };

	for (unsigned i = 0; i < 2; i++) {
		const struct fake_traits t = comparing();

		begin(&t);
		fake_inject(s.fake, CDB_COMPARE_AND_WRITE, 1, STATUS_CHECK_CONDITION, reasons[i]);
		CU_ASSERT_EQUAL(write_part(0, NULL), 0);
		CU_ASSERT(part_is_there());
		CU_ASSERT_EQUAL(s.dev->info.max_compare_write, 0);
		CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 1);
		CU_ASSERT_EQUAL(write_part(0, NULL), 0);
		CU_ASSERT_EQUAL(fake_count(s.fake, CDB_COMPARE_AND_WRITE), 1);
		CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 2);
		bed_end(&s);
	}
}

static void units_without_it_are_not_asked(void)
{
	begin(&bed_full);
	CU_ASSERT_EQUAL(s.dev->info.max_compare_write, 0);
	CU_ASSERT_EQUAL(write_part(0, NULL), 0);
	CU_ASSERT_EQUAL(bed_sent(&s, 1)->id, CDB_WRITE_16);
	CU_ASSERT(part_is_there());
	bed_end(&s);
}

static void persistence_is_by_the_bit_or_by_synchronising(void)
{
	struct fake_traits t = comparing();

	begin(&t);
	CU_ASSERT_EQUAL(write_part(BLK_FUA, NULL), 0);
	CU_ASSERT_EQUAL(s.fake->sent_count, 2);
	CU_ASSERT_TRUE(bed_sent(&s, 1)->fua);
	bed_end(&s);

	t.dpofua = false;
	begin(&t);
	CU_ASSERT_EQUAL(write_part(BLK_FUA, NULL), 0);
	CU_ASSERT_FALSE(bed_sent(&s, 1)->fua);
	CU_ASSERT_EQUAL(bed_sent(&s, 2)->id, CDB_SYNCHRONIZE_CACHE_16);
	bed_end(&s);

	/* The bit is what it takes amiss: the command is kept. */
	t.dpofua = true;
	begin(&t);
	fake_inject(s.fake, CDB_COMPARE_AND_WRITE, 1, STATUS_CHECK_CONDITION,
		    SENSE_INVALID_FIELD_IN_CDB);
	CU_ASSERT_EQUAL(write_part(BLK_FUA, NULL), 0);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_COMPARE_AND_WRITE), 2);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_SYNCHRONIZE_CACHE_16), 1);
	CU_ASSERT_EQUAL(s.dev->info.max_compare_write, 512);
	bed_end(&s);
}

/* What was written, not what it was compared with. */
static void the_write_log_keeps_what_was_written(void)
{
	const struct fake_traits t = comparing();
	uint8_t data[512];

	log_set_sink(be_quiet);
	bed_start(&s, &t);
	write_log_free(s.shared.log);
	s.shared.log = write_log_new(1u << 20);
	bed_open(&s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s.dev);
	memset(s.fake->data + 512, 0x11, 512);
	CU_ASSERT_EQUAL(write_part(0, NULL), 0);
	memset(s.fake->data + 512, 0x11, 512);		/* a reset, and the cache is gone */
	fake_inject(s.fake, CDB_READ_16, 1, STATUS_CHECK_CONDITION, SENSE_POWER_ON);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 1, 1, data, NULL), 0);
	CU_ASSERT(part_is_there());
	CU_ASSERT_EQUAL(data[PART], 0x22);
	bed_end(&s);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_part_of_a_block_is_written_by_comparing),
	UNIT_TEST(only_the_edges_are_compared),
	UNIT_TEST(what_another_host_writes_meanwhile_stays),
	UNIT_TEST(it_does_not_try_for_ever),
	UNIT_TEST(an_unknown_outcome_is_looked_at),
	UNIT_TEST(a_unit_that_refuses_after_all_is_written_plainly),
	UNIT_TEST(units_without_it_are_not_asked),
	UNIT_TEST(the_write_log_keeps_what_was_written),
	UNIT_TEST(persistence_is_by_the_bit_or_by_synchronising),
};

UNIT_MAIN("scsi_compare", tests)
