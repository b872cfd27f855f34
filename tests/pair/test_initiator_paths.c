/* The initiator and several portals of one target: which is used, and what makes it change. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "scripted_target.h"
#include "unit.h"

static struct run run;		/* too big for a stack */
static const uint8_t zeroes[DATA_ROOM];

/* Longer than any script has patience: who waits for it fails the test. */
#define NEVER_SOON	"DefaultTime2Wait=60"

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void close_portal(struct run *r, unsigned portal)
{
	r->portal = portal;
	close_listener(r);
}

static void serve_read(struct run *r)
{
	expect(r, OP_SCSI_COMMAND);
	give_data(r, r->got.itt, zeroes, 512, true);
}

static void at_the_last_script(struct run *r)
{
	r->portal = 2;
	login(r);
	serve_logout(r);
}

static void portals_that_are_not_there_are_passed_over(void)
{
	run_init(&run, at_the_last_script);
	add_portal(&run);
	add_portal(&run);
	close_portal(&run, 0);
	close_portal(&run, 1);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "");
}

/* One is not there, one does not know the target. */
static void nowhere_script(struct run *r)
{
	struct bhs bhs;

	r->portal = 1;
	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	bhs = login_answer(r, 0, 0);
	bhs.status_class = 2;
	bhs.status_detail = 3;
	give(r, &bhs, NULL);
	CHECK(r, !take(r));
}

static void when_none_works_each_says_why(void)
{
	char expected[200];

	run_init(&run, nowhere_script);
	add_portal(&run);
	close_portal(&run, 0);
	snprintf(expected, sizeof(expected), "connect to 127.0.0.1:%u: Connection refused; "
		 "login refused: 0203 target not found", run.ports[0]);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, expected);
}

/* What the session was lost by; the other portal has it at once, with the same ISID. */
static enum { HANGS_UP, DROPS, WANTS_LOGOUT, BREAKS_RULES } end;

static void fail_over_script(struct run *r)
{
	struct bhs bhs;
	uint64_t isid;
	uint32_t itt;

	login_stages(r);
	isid = r->got.isid;
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	itt = r->got.itt;
	bhs = answer(r, end == BREAKS_RULES ? OP_R2T : OP_ASYNC_MESSAGE);
	bhs.async_event = end == DROPS ? 3 : 1;
	bhs.parameter2 = bhs.parameter3 = 60;
	r->stat_sn++;
	if (end != HANGS_UP)
		give(r, &bhs, NULL);
	if (end == WANTS_LOGOUT) {
		give_data(r, itt, zeroes, 512, true);
		serve_logout(r);
	}
	hang_up(r);
	r->portal = 1;
	login_stages(r);
	CHECK(r, r->got.isid == isid);
	serve_read(r);
	serve_logout(r);
}

static void a_session_that_is_lost_goes_on_by_the_next_portal_at_once(void)
{
	for (end = HANGS_UP; end <= BREAKS_RULES; end++) {
		run_init(&run, fail_over_script);
		add_portal(&run);
		SET_KEYS(&run, NEVER_SOON);
		add_order(&run, CDB_DATA_IN, 512);
		run.finished = once_more;
		execute(&run);
		CU_ASSERT_EQUAL(run.state[0].first_status, end == WANTS_LOGOUT ? STATUS_GOOD : LU_LOST);
		CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
	}
}

/* The second is not there either: back to the first, but not before its time. */
static void round_script(struct run *r)
{
	double since;

	close_portal(r, 1);
	r->portal = 0;
	login(r);
	expect(r, OP_SCSI_COMMAND);
	since = now();
	hang_up(r);
	login_stages(r);
	CHECK(r, now() - since >= 0.12);	/* of the first delay, 0.25 s, half is certain */
	serve_read(r);
	serve_logout(r);
}

static void after_a_round_there_is_a_pause(void)
{
	run_init(&run, round_script);
	add_portal(&run);
	SET_KEYS(&run, "DefaultTime2Wait=0");
	add_order(&run, CDB_DATA_IN, 512);
	run.finished = once_more;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

/* Time2Wait, of the login, of a Logout Response, or of an asynchronous message (event 2). */
static enum { OF_LOGIN, OF_LOGOUT, OF_MESSAGE } whose;

static void time2wait_script(struct run *r)
{
	struct bhs bhs;
	double since;
	uint32_t itt;

	login(r);
	expect(r, OP_SCSI_COMMAND);
	itt = r->got.itt;
	since = now();		/* before whatever the initiator counts from */
	if (whose == OF_MESSAGE) {
		bhs = answer(r, OP_ASYNC_MESSAGE);
		bhs.async_event = 2;
		bhs.parameter2 = 1;
		give(r, &bhs, NULL);
		CHECK(r, !take(r));
	} else if (whose == OF_LOGOUT) {
		bhs = answer(r, OP_ASYNC_MESSAGE);
		bhs.async_event = 1;
		bhs.parameter3 = 5;
		r->stat_sn++;
		give(r, &bhs, NULL);
		give_data(r, itt, zeroes, 512, true);
		expect(r, OP_LOGOUT_REQUEST);
		bhs = answer(r, OP_LOGOUT_RESPONSE);
		bhs.time2wait = 1;
		give(r, &bhs, NULL);
		CHECK(r, !take(r));
	}
	hang_up(r);
	login_stages(r);
	CHECK(r, now() - since >= 0.95);
	serve_read(r);
	serve_logout(r);
}

static void a_portal_that_we_were_at_is_not_bothered_before_its_time(void)
{
	for (whose = OF_LOGIN; whose <= OF_MESSAGE; whose++) {
		run_init(&run, time2wait_script);
		if (whose == OF_LOGIN)
			SET_KEYS(&run, "DefaultTime2Wait=1");
		else
			SET_KEYS(&run, "DefaultTime2Wait=0");
		add_order(&run, CDB_DATA_IN, 512);
		run.finished = once_more;
		execute(&run);
		CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
	}
}

static bool permanent;

static void redirect_to(struct run *r, unsigned portal)
{
	char address[64];
	struct bhs bhs;
	int len = snprintf(address, sizeof(address), "TargetAddress=127.0.0.1:%u,7", r->ports[portal]);

	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	bhs = login_answer(r, 0, 0);
	bhs.status_class = 1;
	bhs.status_detail = permanent ? 2 : 1;
	give_text(r, bhs, address, (size_t)len + 1);
	CHECK(r, !take(r));
	hang_up(r);
}

static void redirecting_script(struct run *r)
{
	redirect_to(r, 1);
	r->portal = 1;
	login(r);
	expect(r, OP_SCSI_COMMAND);
	hang_up(r);
	if (!permanent) {
		r->portal = 0;
		redirect_to(r, 1);
		r->portal = 1;
	}
	login_stages(r);
	serve_read(r);
	serve_logout(r);
}

static void a_permanent_redirect_is_remembered_and_a_temporary_one_not(void)
{
	for (int i = 0; i < 2; i++) {
		permanent = i;
		run_init(&run, redirecting_script);
		add_portal(&run);
		run.url.portal_count = 1;	/* it has to be told of the second */
		SET_KEYS(&run, "DefaultTime2Wait=0");
		add_order(&run, CDB_DATA_IN, 512);
		run.finished = once_more;
		execute(&run);
		CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
	}
}

/* What asymmetric access makes scsi_blk do. */
static void leave_path(struct run *r)
{
	if (!r->rounds)
		CU_ASSERT_TRUE(lu_other_path(r->lu));
	once_more(r);
}

static void other_path_script(struct run *r)
{
	login(r);
	serve_read(r);
	serve_logout(r);
	r->portal = 1;
	login_stages(r);
	serve_read(r);
	serve_logout(r);
}

static void a_path_can_be_left_for_another(void)
{
	run_init(&run, other_path_script);
	add_portal(&run);
	SET_KEYS(&run, NEVER_SOON);
	add_order(&run, CDB_DATA_IN, 512);
	run.finished = leave_path;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].first_status, STATUS_GOOD);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

static void no_other_path(struct run *r)
{
	CU_ASSERT_FALSE(lu_other_path(r->lu));
	close_unit(r);
}

static void one_path_script(struct run *r)
{
	login(r);
	serve_read(r);
	serve_logout(r);
}

static void there_is_none_where_there_is_one_portal(void)
{
	run_init(&run, one_path_script);
	add_order(&run, CDB_DATA_IN, 512);
	run.finished = no_other_path;
	execute(&run);
}

/* Answers to SendTargets; to the first, which is no more than this, the second portal is added. */
static const char *const answers[] = {
	"TargetName=" TARGET_NAME,
	"TargetName=iqn.2001-04.com.example:other;TargetAddress=127.0.0.1:9,1",
	"SendTargets=Reject",
	"TargetAddress",
	"TargetName=" TARGET_NAME ";TargetAddress=[::1;TargetAddress=;TargetAddress=127.0.0.1:0",
};
static size_t answer_case;

/* The read comes right behind the question, and is answered when that has been. */
static void learning_script(struct run *r)
{
	char text[300];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", answers[answer_case]) + 1;
	struct bhs question, bhs;

	login(r);
	expect(r, OP_TEXT_REQUEST);
	CHECK(r, said(r, "SendTargets=" TARGET_NAME) && r->got.final && r->got.immediate);
	question = r->got;
	expect(r, OP_SCSI_COMMAND);
	for (char *p = text; (p = strchr(p, ';')); )
		*p++ = '\0';
	if (!answer_case)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "TargetAddress=127.0.0.1:%u,1",
					r->ports[1]) + 1;
	for (size_t at = 0; at < len; at += 20) {
		bhs = answer(r, OP_TEXT_RESPONSE);
		bhs.itt = question.itt;
		bhs.data_len = len - at < 20 ? (uint32_t)(len - at) : 20;
		bhs.final = at + 20 >= len;
		bhs.cont = !bhs.final;
		bhs.ttt = bhs.final ? ISCSI_NO_TAG : (uint32_t)at;
		r->stat_sn++;
		give(r, &bhs, text + at);
		if (bhs.final)
			break;
		expect(r, OP_TEXT_REQUEST);
		CHECK(r, r->got.itt == question.itt && r->got.ttt == at && !r->got.data_len);
	}
	hang_up(r);
	r->portal = answer_case ? 0 : 1;
	login_stages(r);
	serve_read(r);
	serve_logout(r);
}

static void portals_can_be_asked_for(void)
{
	for (answer_case = 0; answer_case < sizeof(answers) / sizeof(answers[0]); answer_case++) {
		run_init(&run, learning_script);
		add_portal(&run);
		run.url.portal_count = 1;
		run.conf.discover_portals = true;
		SET_KEYS(&run, "DefaultTime2Wait=0");
		add_order(&run, CDB_DATA_IN, 512);
		run.finished = once_more;
		execute(&run);
		CU_ASSERT_STRING_EQUAL(run.why, "");
		CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(portals_that_are_not_there_are_passed_over),
	UNIT_TEST(when_none_works_each_says_why),
	UNIT_TEST(a_session_that_is_lost_goes_on_by_the_next_portal_at_once),
	UNIT_TEST(after_a_round_there_is_a_pause),
	UNIT_TEST(a_portal_that_we_were_at_is_not_bothered_before_its_time),
	UNIT_TEST(a_permanent_redirect_is_remembered_and_a_temporary_one_not),
	UNIT_TEST(a_path_can_be_left_for_another),
	UNIT_TEST(there_is_none_where_there_is_one_portal),
	UNIT_TEST(portals_can_be_asked_for),
};

UNIT_MAIN("initiator paths", tests)
