/* Paths of asymmetric access (SPC-4 §5.16): which is taken, which is left, and what a client sees. */
#include <errno.h>
#include <string.h>

#include "scsi_blk_bed.h"
#include "unit.h"

#define CHECK	STATUS_CHECK_CONDITION

static struct fake_traits with_paths(unsigned paths, const uint8_t states[4])
{
	struct fake_traits t = bed_full;

	t.paths = paths;
	memcpy(t.states, states, sizeof(t.states));
	return t;
}

#define STATES(...)	((const uint8_t[4]){ __VA_ARGS__ })
#define O	PORT_GROUP_OPTIMIZED
#define N	PORT_GROUP_NON_OPTIMIZED
#define S	PORT_GROUP_STANDBY
#define U	PORT_GROUP_UNAVAILABLE
#define OFF	PORT_GROUP_OFFLINE

static void the_best_path_is_taken_when_a_unit_is_opened(void)
{
	static const struct { unsigned paths; uint8_t states[4]; unsigned taken, detours; } rows[] = {
		{ 1, { O }, 0, 0 }, { 3, { O, O, O }, 0, 0 }, { 1, { N }, 0, 0 },
		{ 2, { S, O }, 1, 1 }, { 3, { U, S, N }, 2, 2 }, { 4, { OFF, N, S, O }, 3, 3 },
		/* No better one is told of: it is not looked for. */
		{ 3, { N, N, S }, 0, 0 },
		/* One is told of: it is. */
		{ 2, { N, O }, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_traits t = with_paths(rows[i].paths, rows[i].states);
		struct scsi_bed s;

		bed_begin(&s, &t);
		CU_ASSERT_EQUAL(s.fake->path, rows[i].taken);
		CU_ASSERT_EQUAL(s.fake->detours, rows[i].detours);
		CU_ASSERT_EQUAL(bed_write_one(&s), 0);
		CU_ASSERT_STRING_EQUAL(s.dev->info.identity, "naa.6001405a");
		bed_end(&s);
	}
}

static void a_unit_that_no_path_leads_to_does_not_open(void)
{
	struct fake_traits t = with_paths(2, STATES(S, U));
	struct scsi_bed s;

	bed_start(&s, &t);
	bed_open(&s);
	CU_ASSERT_PTR_NULL(s.dev);
	CU_ASSERT_STRING_EQUAL(s.why, "REPORT TARGET PORT GROUPS: the target port is unavailable");
	CU_ASSERT_EQUAL(s.fake->detours, 1);
	bed_end(&s);
}

/* The state changes under way; what was refused by the old path is carried out by the new one. */
static void a_path_that_goes_to_standby_is_left_and_nobody_sees_it(void)
{
	static const uint8_t left[] = { S, U };

	for (size_t i = 0; i < sizeof(left); i++) {
		struct fake_traits t = with_paths(2, STATES(O, O));
		static uint8_t data[32][512];
		struct bed_call calls[32];
		struct scsi_bed s;

		bed_begin(&s, &t);
		s.fake->is.states[0] = left[i];
		for (unsigned j = 0; j < 32; j++) {
			memset(data[j], (int)j + 1, 512);
			calls[j] = bed_request(BLK_WRITE, 0, j, 1, data[j]);
			bed_submit(&s, &calls[j]);
		}
		loop_run(s.loop);
		for (unsigned j = 0; j < 32; j++) {
			CU_ASSERT_EQUAL(calls[j].req.error, 0);
			CU_ASSERT_EQUAL(s.fake->data[j * 512], j + 1);
		}
		CU_ASSERT_EQUAL(s.fake->path, 1);
		CU_ASSERT_EQUAL(s.fake->detours, 1);
		/* Who it is was asked before any write went the new way. */
		CU_ASSERT_EQUAL(bed_sent(&s, 32)->id, CDB_INQUIRY);
		bed_end(&s);
	}
}

static void news_of_the_access_state_have_it_looked_at(void)
{
	struct fake_traits t = with_paths(2, STATES(O, N));
	static uint8_t data[512];
	struct scsi_bed s;

	bed_begin(&s, &t);
	s.fake->is.states[0] = N;
	s.fake->is.states[1] = O;
	fake_inject(s.fake, CDB_READ_16, 1, CHECK, SENSE_ALUA_STATE_CHANGED);
	CU_ASSERT_EQUAL(bed_do(&s, BLK_READ, 0, 0, 1, data, NULL), 0);
	bed_settle(&s);
	CU_ASSERT_EQUAL(s.fake->path, 1);
	CU_ASSERT_EQUAL(bed_write_one(&s), 0);
	bed_end(&s);
}

static void a_transition_is_waited_for_where_we_are(void)
{
	struct fake_traits t = with_paths(2, STATES(O, O));
	struct scsi_bed s;

	bed_begin(&s, &t);
	fake_inject(s.fake, CDB_WRITE_16, 5, CHECK, SENSE_ALUA_TRANSITION);
	CU_ASSERT_EQUAL(bed_write_one(&s), 0);
	CU_ASSERT_EQUAL(s.fake->detours, 0);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 6);
	bed_end(&s);
}

/* Not one path leads to the medium: they are gone round, with pauses, until the time is up. */
static void when_no_path_is_left_requests_wait_and_then_fail(void)
{
	static const unsigned counts[] = { 1, 3 };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct fake_traits t = with_paths(counts[i], STATES(O, O, O));
		struct scsi_bed s;

		bed_start(&s, &t);
		s.conf.retry_timeout = 0.3;
		bed_open(&s);
		memset(s.fake->is.states, S, sizeof(s.fake->is.states));
		CU_ASSERT_EQUAL(bed_write_one(&s), EIO);
		CU_ASSERT(s.fake->detours < 20);
		/* ... and it is back as soon as one does. */
		s.fake->is.states[0] = O;
		for (int j = 0; j < 100 && bed_write_one(&s) != 0; j++)
			bed_run_for(&s, 0.05);
		CU_ASSERT_EQUAL(bed_write_one(&s), 0);
		CU_ASSERT_EQUAL(s.fake->path, 0);
		bed_end(&s);
	}
}

static void on_seen(struct blk_look *look)
{
	(void)look;
}

/* The look takes longer than the pause between two probes. */
static void a_unit_may_be_looked_at_while_its_path_is_barred(void)
{
	struct fake_traits t = with_paths(1, STATES(O));
	struct blk_look look = { .seen = on_seen };
	static uint8_t data[512];
	struct bed_call call = bed_request(BLK_WRITE, 0, 0, 1, data);
	struct scsi_bed s;

	list_init(&look.node);
	bed_begin(&s, &t);
	fake_inject(s.fake, CDB_READ_CAPACITY_16, 8, STATUS_BUSY, SENSE_NONE);
	blk_look(s.dev, &look);
	s.fake->is.states[0] = S;
	bed_submit(&s, &call);
	bed_run_for(&s, 0.3);
	s.fake->is.states[0] = O;
	for (int i = 0; i < 100 && !call.done; i++)
		bed_run_for(&s, 0.05);
	CU_ASSERT(call.done && call.req.error == 0);
	bed_end(&s);
}

/* Another unit behind the other path: nothing is written to it. */
static void a_path_to_another_unit_gets_no_writes(void)
{
	struct fake_traits t = with_paths(2, STATES(O, O));
	struct scsi_bed s;

	bed_start(&s, &t);
	s.conf.retry_timeout = 0.2;
	bed_open(&s);
	s.fake->sent_count = 0;
	s.fake->is.states[0] = S;
	s.fake->is.serial = "S-2";
	CU_ASSERT_EQUAL(bed_write_one(&s), EIO);
	CU_ASSERT_EQUAL(fake_count(s.fake, CDB_WRITE_16), 1);
	bed_end(&s);
}

/* What a unit that lies says of its groups does no harm. */
static void port_groups_are_read_only_as_far_as_they_came(void)
{
	uint8_t wire[PORT_GROUPS_HEADER_LEN + 2 * PORT_GROUP_LEN] = { 0xff, 0xff, 0xff, 0xff };
	struct port_group g = { .state = PORT_GROUP_STANDBY, .group = 0x1234, .port_count = 255 };

	port_group_encode(&g, wire + PORT_GROUPS_HEADER_LEN);
	for (size_t len = 0; len <= sizeof(wire); len++) {
		size_t at = 0;
		bool whole = len >= PORT_GROUPS_HEADER_LEN + PORT_GROUP_LEN;

		memset(&g, 0, sizeof(g));
		CU_ASSERT_EQUAL(port_group_next(wire, len, &at, &g), whole);
		CU_ASSERT_EQUAL(g.group, whole ? 0x1234 : 0);
		CU_ASSERT_FALSE(port_group_next(wire, len, &at, &g));	/* 255 ports are not there */
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(the_best_path_is_taken_when_a_unit_is_opened),
	UNIT_TEST(a_unit_that_no_path_leads_to_does_not_open),
	UNIT_TEST(a_path_that_goes_to_standby_is_left_and_nobody_sees_it),
	UNIT_TEST(news_of_the_access_state_have_it_looked_at),
	UNIT_TEST(a_transition_is_waited_for_where_we_are),
	UNIT_TEST(when_no_path_is_left_requests_wait_and_then_fail),
	UNIT_TEST(a_unit_may_be_looked_at_while_its_path_is_barred),
	UNIT_TEST(a_path_to_another_unit_gets_no_writes),
	UNIT_TEST(port_groups_are_read_only_as_far_as_they_came),
};

UNIT_MAIN("scsi_path", tests)
