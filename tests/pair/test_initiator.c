/* The initiator in full feature phase against a scripted target: data, outcomes, windows. */
#include <stdio.h>
#include <string.h>

#include "min.h"
#include "scripted_target.h"
#include "unit.h"

static struct run run;		/* too big for a stack */

static void order(enum cdb_direction direction, uint32_t len)
{
	add_order(&run, direction, len);
}

static bool pattern_at(const uint8_t *data, uint32_t offset, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (data[i] != pattern(offset + i))
			return false;
	return true;
}

static const uint8_t *pattern_from(uint32_t offset)
{
	static uint8_t bytes[2 * DATA_ROOM];

	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = pattern(i);
	return bytes + offset;
}

/* ---- data ---- */

/* What was negotiated, for every length of a write up to beyond both limits. */
static struct { bool immediate, initial_r2t; uint32_t first, segment; } burst;
#define LONGEST	1300u

/* Everything from "offset" to "end" comes in Data-Outs of at most a segment. */
static void expect_data(struct run *r, uint32_t itt, uint32_t ttt, uint32_t offset, uint32_t end)
{
	for (uint32_t sn = 0; offset < end; sn++) {
		uint32_t len = end - offset < burst.segment ? end - offset : burst.segment;

		expect(r, OP_DATA_OUT);
		CHECK(r, r->got.itt == itt && r->got.ttt == ttt && r->got.data_sn == sn);
		CHECK(r, r->got.offset == offset && r->got.data_len == len);
		CHECK(r, pattern_at(r->data, offset, len));
		offset += len;
		CHECK(r, r->got.final == (offset == end));
	}
}

static void give_r2t(struct run *r, uint32_t itt, uint32_t r2t_sn, uint32_t offset, uint32_t len)
{
	struct bhs bhs = answer(r, OP_R2T);

	bhs.itt = itt;
	bhs.ttt = 0x77000000 + r2t_sn;
	bhs.lun = lun_encode(3);
	bhs.r2t_sn = r2t_sn;
	bhs.offset = offset;
	bhs.desired_len = len;
	give(r, &bhs, NULL);
}

static void unsolicited_script(struct run *r)
{
	login(r);
	for (uint32_t len = 1; len <= LONGEST && !*r->failed; len++) {
		uint32_t limit = min_u32(len, burst.first), itt;
		uint32_t immediate = burst.immediate ? min_u32(limit, burst.segment) : 0;
		uint32_t unsolicited = burst.initial_r2t ? immediate : limit;

		expect(r, OP_SCSI_COMMAND);
		itt = r->got.itt;
		CHECK(r, r->got.write && r->got.edtl == len && r->got.data_len == immediate);
		CHECK(r, r->got.final == (immediate == unsolicited));
		CHECK(r, pattern_at(r->data, 0, immediate));
		expect_data(r, itt, ISCSI_NO_TAG, immediate, unsolicited);
		if (unsolicited < len) {
			give_r2t(r, itt, 0, unsolicited, len - unsolicited);
			expect_data(r, itt, 0x77000000, unsolicited, len);
		}
		r->got.itt = itt;
		give_status(r, STATUS_GOOD);
	}
	serve_logout(r);
}

/* One write after the other, each a byte longer. */
static void next_length(struct run *r)
{
	struct order_state *state = &r->state[0];

	CU_ASSERT_EQUAL(state->task.status, STATUS_GOOD);
	CU_ASSERT_EQUAL(state->task.moved, state->task.data_len);
	CU_ASSERT_EQUAL(state->task.wanted, state->task.data_len);
	if (state->task.data_len == LONGEST) {
		close_unit(r);
		return;
	}
	state->data[state->task.data_len] = pattern(state->task.data_len);
	state->task.data_len++;
	state->times_done = 0;
	r->done = 0;
	lu_submit(r->lu, &state->task);
}

static void unsolicited_data_keeps_its_limits_to_the_byte(void)
{
	for (unsigned i = 0; i < 16; i++) {
		char keys[200];
		int len;

		burst.immediate = i & 1;
		burst.initial_r2t = i & 2;
		burst.first = i & 4 ? 1024 : 512;
		burst.segment = i & 8 ? 1024 : 512;
		run_init(&run, unsolicited_script);
		run.conf.params.immediate_data = burst.immediate;
		len = sprintf(keys, "InitialR2T=%s%cFirstBurstLength=%u%cMaxRecvDataSegmentLength=%u",
			      burst.initial_r2t ? "Yes" : "No", 0, burst.first, 0, burst.segment);
		run.keys = keys;
		run.keys_len = (unsigned)len + 1;
		order(CDB_DATA_OUT, 1);
		run.finished = next_length;
		execute(&run);
		CU_ASSERT_STRING_EQUAL(run.why, "");
	}
}

static void r2t_script(struct run *r)
{
	uint32_t itt;

	burst.segment = 8192;
	login(r);
	expect(r, OP_SCSI_COMMAND);
	itt = r->got.itt;
	CHECK(r, r->got.final && r->got.data_len == 0);
	give_r2t(r, itt, 0, 0, 20000);
	give_r2t(r, itt, 1, 20000, 30001);
	expect_data(r, itt, 0x77000000, 0, 20000);
	expect_data(r, itt, 0x77000001, 20000, 50001);
	give_r2t(r, itt, 2, 50001, 1);
	expect_data(r, itt, 0x77000002, 50001, 50002);
	give_status(r, STATUS_GOOD);
	serve_logout(r);
}

static void several_r2ts_are_answered_in_their_order(void)
{
	run_init(&run, r2t_script);
	SET_KEYS(&run, "InitialR2T=Yes\0ImmediateData=No\0DefaultTime2Wait=0");
	order(CDB_DATA_OUT, 50002);
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
	CU_ASSERT_EQUAL(run.state[0].task.moved, 50002);
}

static void read_script(struct run *r)
{
	struct bhs bhs;
	uint32_t itt, offset = 0, sn = 0;

	login_stages(r);
	r->header_digest = r->data_digest = r->conf.params.data_digest == DIGEST_CRC32C;
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	itt = r->got.itt;
	CHECK(r, r->got.read && r->got.final && r->got.edtl == 3001);
	for (uint32_t len = 1; offset < 3001; offset += len, sn++, len += 13) {
		bhs = answer(r, OP_DATA_IN);
		bhs.itt = itt;
		bhs.data_sn = sn;
		bhs.offset = offset;
		bhs.data_len = len = min_u32(len, 3001 - offset);
		bhs.has_status = offset + len == 3001;
		r->stat_sn += bhs.has_status;
		give(r, &bhs, pattern_from(offset));
	}
	serve_logout(r);
}

static void reads_arrive_in_place_with_and_without_digests(void)
{
	for (unsigned digest = DIGEST_NONE; digest <= DIGEST_CRC32C; digest++) {
		run_init(&run, read_script);
		run.conf.params.header_digest = run.conf.params.data_digest = digest;
		if (digest)
			SET_KEYS(&run, "HeaderDigest=CRC32C\0DataDigest=CRC32C");
		order(CDB_DATA_IN, 3001);
		execute(&run);
		CU_ASSERT_STRING_EQUAL(run.why, "");
		CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
		CU_ASSERT_EQUAL(run.state[0].task.moved, 3001);
		CU_ASSERT_TRUE(pattern_at(run.state[0].data, 0, 3001));
		CU_ASSERT_EQUAL(run.state[0].data[3001], 0);	/* neither pad nor digest */
	}
}

static void digest_write_script(struct run *r)
{
	uint32_t itt;

	burst.segment = 8192;
	login_stages(r);
	r->header_digest = r->data_digest = true;
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	itt = r->got.itt;
	CHECK(r, r->got.data_len == 8192);
	expect_data(r, itt, ISCSI_NO_TAG, 8192, 9001);
	give_status(r, STATUS_GOOD);
	serve_logout(r);
}

static void writes_carry_right_digests(void)
{
	run_init(&run, digest_write_script);
	run.conf.params.header_digest = run.conf.params.data_digest = DIGEST_CRC32C;
	SET_KEYS(&run, "HeaderDigest=CRC32C\0DataDigest=CRC32C\0InitialR2T=No");
	order(CDB_DATA_OUT, 9001);
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

/* ---- outcomes ---- */

static void outcome_script(struct run *r)
{
	static const uint8_t sense[20] = { 0, 18, 0x70, 0, 3, [9] = 10, [14] = 0x11 };
	static const uint8_t liar[4] = { 0xff, 0xff, 0x70, 0 };
	struct bhs bhs;

	login(r);
	expect(r, OP_SCSI_COMMAND);		/* a read, cut short */
	bhs = answer(r, OP_DATA_IN);
	bhs.has_status = bhs.underflow = true;
	bhs.data_len = 100;
	bhs.residual = 412;
	r->stat_sn++;
	give(r, &bhs, pattern_from(0));
	expect(r, OP_SCSI_COMMAND);		/* a read that wants more than there is room for */
	give_data(r, r->got.itt, pattern_from(0), 512, false);
	bhs = answer(r, OP_SCSI_RESPONSE);
	bhs.overflow = true;
	bhs.residual = 512;
	r->stat_sn++;
	give(r, &bhs, NULL);
	expect(r, OP_SCSI_COMMAND);		/* an error with sense data */
	bhs = answer(r, OP_SCSI_RESPONSE);
	bhs.status = STATUS_CHECK_CONDITION;
	bhs.data_len = sizeof(sense);
	r->stat_sn++;
	give(r, &bhs, sense);
	expect(r, OP_SCSI_COMMAND);		/* SenseLength beyond what is there */
	bhs = answer(r, OP_SCSI_RESPONSE);
	bhs.status = STATUS_CHECK_CONDITION;
	bhs.data_len = sizeof(liar);
	r->stat_sn++;
	give(r, &bhs, liar);
	expect(r, OP_SCSI_COMMAND);		/* busy */
	give_status(r, STATUS_BUSY);
	expect(r, OP_SCSI_COMMAND);		/* target failure: RFC 7143 §11.4.3 */
	bhs = answer(r, OP_SCSI_RESPONSE);
	bhs.response = 1;
	r->stat_sn++;
	give(r, &bhs, NULL);
	serve_logout(r);
}

static void residuals_status_and_sense_come_through(void)
{
	static const struct { uint8_t status, sense_len; uint32_t moved; uint64_t wanted; } expected[] = {
		{ STATUS_GOOD, 0, 100, 100 }, { STATUS_GOOD, 0, 512, 1024 },
		{ STATUS_CHECK_CONDITION, 18, 0, 512 }, { STATUS_CHECK_CONDITION, 2, 0, 512 },
		{ STATUS_BUSY, 0, 0, 512 }, { LU_LOST, 0, 0, 512 },
	};

	run_init(&run, outcome_script);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		order(CDB_DATA_IN, 512);
	execute(&run);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		CU_ASSERT_EQUAL(run.state[i].task.status, expected[i].status);
		CU_ASSERT_EQUAL(run.state[i].task.sense_len, expected[i].sense_len);
		CU_ASSERT_EQUAL(run.state[i].task.moved, expected[i].moved);
		CU_ASSERT_EQUAL(run.state[i].task.wanted, expected[i].wanted);
	}
	CU_ASSERT_EQUAL(run.state[2].task.sense[12], 0x11);
}

/* GOOD, but of the 512 bytes, all of which came along, only these were taken. */
static const uint32_t taken[] = { 512, 200, 0 };

static void short_write_script(struct run *r)
{
	login(r);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		struct bhs bhs;

		expect(r, OP_SCSI_COMMAND);
		CHECK(r, r->got.write && r->got.data_len == 512);
		bhs = answer(r, OP_SCSI_RESPONSE);
		bhs.underflow = taken[i] < 512;
		bhs.residual = 512 - taken[i];
		r->stat_sn++;
		give(r, &bhs, NULL);
	}
	serve_logout(r);
}

static void a_write_that_was_cut_short_does_not_pass_for_whole(void)
{
	run_init(&run, short_write_script);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		order(CDB_DATA_OUT, 512);
	execute(&run);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		CU_ASSERT_EQUAL(run.state[i].task.status, STATUS_GOOD);
		CU_ASSERT_EQUAL(run.state[i].task.moved, taken[i]);
		CU_ASSERT_EQUAL(run.state[i].task.wanted, taken[i]);
	}
}

/* ---- window and pings ---- */

static void window_script(struct run *r)
{
	uint32_t itt[2];
	struct bhs ping;

	r->window = 4;		/* two questions of the open, and two more */
	login(r);
	for (int i = 0; i < 2; i++) {
		expect(r, OP_SCSI_COMMAND);
		itt[i] = r->got.itt;
	}
	for (int i = 0; i < 4; i++) {
		/* A ping goes past the closed window: nothing else does. */
		ping = answer(r, OP_NOP_IN);
		ping.itt = ISCSI_NO_TAG;
		ping.ttt = 0xabc00000u + (uint32_t)i;
		ping.lun = lun_encode((uint16_t)(300 + i));
		give(r, &ping, NULL);
		expect(r, OP_NOP_OUT);
		CHECK(r, r->got.immediate && r->got.itt == ISCSI_NO_TAG && r->got.data_len == 0);
		CHECK(r, r->got.ttt == ping.ttt && r->got.lun == ping.lun);
		CHECK(r, r->got.cmd_sn == r->exp_cmd_sn);
	}
	ping.ttt = ISCSI_NO_TAG;
	ping.max_cmd_sn++;	/* no answer is asked for, but there is room for one more */
	r->window = 5;
	give(r, &ping, NULL);
	expect(r, OP_SCSI_COMMAND);
	give_data(r, r->got.itt, pattern_from(0), 512, true);
	r->window = 13;
	give_data(r, itt[1], pattern_from(0), 512, true);
	give_data(r, itt[0], pattern_from(0), 512, true);
	for (int i = 0; i < 2; i++) {
		expect(r, OP_SCSI_COMMAND);
		give_data(r, r->got.itt, pattern_from(0), 512, true);
	}
	serve_logout(r);
}

static void the_command_window_is_never_exceeded_and_pings_are_echoed(void)
{
	run_init(&run, window_script);
	for (int i = 0; i < 5; i++)
		order(CDB_DATA_IN, 512);
	execute(&run);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(run.state[i].task.status, STATUS_GOOD);
}

/* Once open, the window stays open, whatever is said later (RFC 7143 §4.2.2.1). */
static void few_tasks_script(struct run *r)
{
	struct bhs ping, data;

	login(r);
	for (int i = 0; i < 4; i++) {
		expect(r, OP_SCSI_COMMAND);
		ping = answer(r, OP_NOP_IN);
		ping.itt = ISCSI_NO_TAG;
		ping.ttt = 5;
		give(r, &ping, NULL);
		data = answer(r, OP_DATA_IN);
		data.max_cmd_sn = r->exp_cmd_sn - 1;
		data.data_len = 512;
		data.has_status = true;
		r->stat_sn++;
		expect(r, OP_NOP_OUT);
		give(r, &data, pattern_from(0));
	}
	serve_logout(r);
}

static void no_more_tasks_are_in_flight_than_the_conf_allows(void)
{
	run_init(&run, few_tasks_script);
	run.conf.max_tasks = 1;
	for (int i = 0; i < 4; i++)
		order(CDB_DATA_IN, 512);
	execute(&run);
	CU_ASSERT_EQUAL(run.state[3].task.status, STATUS_GOOD);
}

static const struct unit_test tests[] = {
	UNIT_TEST(unsolicited_data_keeps_its_limits_to_the_byte),
	UNIT_TEST(several_r2ts_are_answered_in_their_order),
	UNIT_TEST(reads_arrive_in_place_with_and_without_digests),
	UNIT_TEST(writes_carry_right_digests),
	UNIT_TEST(residuals_status_and_sense_come_through),
	UNIT_TEST(a_write_that_was_cut_short_does_not_pass_for_whole),
	UNIT_TEST(the_command_window_is_never_exceeded_and_pings_are_echoed),
	UNIT_TEST(no_more_tasks_are_in_flight_than_the_conf_allows),
};

UNIT_MAIN("initiator", tests)
