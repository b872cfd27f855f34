/* The initiator when things go wrong: offences of the target, silence, lost sessions, noise. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripted_target.h"
#include "unit.h"

static struct run run;		/* too big for a stack */
static const uint8_t zeroes[DATA_ROOM];

/* ---- what a target must not do ---- */

enum kind { DATA_IN, R2T, OTHER };

/* A PDU as it would be right for a command of 512 bytes, and what is wrong with it. */
static const struct offence {
	const char *says;
	enum kind kind;
	bool write;			/* the command is one, of 4096 bytes */
	uint8_t op;			/* OTHER */
	uint32_t itt_change, offset, len, sn, ttt;
	uint32_t before;		/* bytes of right Data-In that come first */
} offences[] = {
	{ "Data-In of an unknown tag", DATA_IN, .itt_change = 0x3f, .len = 512 },
	{ "Data-In of an earlier use of the tag", DATA_IN, .itt_change = 0x30000, .len = 512 },
	{ "Data-In beyond the buffer", DATA_IN, .len = 513 },
	{ "Data-In beyond the buffer's rest", DATA_IN, .offset = 256, .len = 260, .sn = 1, .before = 256 },
	{ "Data-In whose end wraps", DATA_IN, .offset = 0xfffffffc, .len = 512 },
	{ "Data-In with the wrong DataSN", DATA_IN, .len = 512, .sn = 1 },
	{ "Data-In that leaves a gap", DATA_IN, .len = 4, .offset = 4 },
	{ "Data-In for a write", DATA_IN, .write = true, .len = 512 },
	{ "a data segment longer than we declared", DATA_IN, .len = 8193 },
	{ "R2T for a read", R2T, .len = 512, .ttt = 1 },
	{ "R2T of an unknown tag", R2T, .write = true, .len = 512, .itt_change = 0x3f, .ttt = 1 },
	{ "R2T beyond the data", R2T, .write = true, .len = 512, .offset = 3585, .ttt = 1 },
	{ "R2T longer than MaxBurstLength", R2T, .write = true, .len = 1025, .ttt = 1 },
	{ "R2T for nothing", R2T, .write = true, .ttt = 1 },
	{ "R2T with the wrong R2TSN", R2T, .write = true, .len = 512, .sn = 1, .ttt = 1 },
	{ "R2T without a target transfer tag", R2T, .write = true, .len = 512, .ttt = ISCSI_NO_TAG },
	{ "SCSI Response of another generation", OTHER, .op = OP_SCSI_RESPONSE, .itt_change = 0x10000 },
	{ "a request from the target", OTHER, .op = OP_NOP_OUT },
	{ "a second Login Response", OTHER, .op = OP_LOGIN_RESPONSE },
	{ "TMF Response to no request", OTHER, .op = OP_TMF_RESPONSE },
	{ "TMF Response to no ABORT TASK", OTHER, .op = OP_TMF_RESPONSE, .itt_change = 0x40000000 },
	{ "NOP-In to no request", OTHER, .op = OP_NOP_IN },
	{ "Text Response to no request", OTHER, .op = OP_TEXT_RESPONSE },
	{ "Logout Response to no request", OTHER, .op = OP_LOGOUT_RESPONSE },
	{ "Reject without a header", OTHER, .op = OP_REJECT, .len = 44 },
	{ "Reject of what we never sent", OTHER, .op = OP_REJECT, .len = 48 },
};
static const struct offence *offence;

static void offend(struct run *r)
{
	static const uint8_t ops[] = { [DATA_IN] = OP_DATA_IN, [R2T] = OP_R2T };
	struct bhs bhs = answer(r, offence->kind == OTHER ? offence->op : ops[offence->kind]);

	if (offence->before)
		give_data(r, bhs.itt, zeroes, offence->before, false);
	bhs.itt ^= offence->itt_change;
	bhs.data_sn = bhs.r2t_sn = offence->sn;
	bhs.offset = offence->offset;
	if (offence->kind == R2T) {
		bhs.desired_len = offence->len;
		bhs.ttt = offence->ttt;
	} else {
		bhs.data_len = offence->len;
	}
	give(r, &bhs, zeroes);
}

/* The session comes back as the same one (RFC 7143 §6.3.5), with the command that was lost. */
static void expect_return(struct run *r, uint64_t isid)
{
	hang_up(r);
	login_stages(r);		/* sees to TSIH 0 */
	CHECK(r, r->got.isid == isid);
	expect(r, OP_SCSI_COMMAND);
	if (r->got.read)
		give_data(r, r->got.itt, zeroes, r->got.edtl, true);
	else
		give_status(r, STATUS_GOOD);
	serve_logout(r);
}

/* The session must end without a word, and then come back. */
static void expect_reinstatement(struct run *r, uint64_t isid)
{
	while (take(r))
		CHECK(r, r->got.op != OP_LOGOUT_REQUEST && r->got.op != OP_DATA_OUT);
	expect_return(r, isid);
}

static void offence_script(struct run *r)
{
	uint64_t isid;

	login_stages(r);
	isid = r->got.isid;
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	offend(r);
	expect_reinstatement(r, isid);
}

#define PLAIN_KEYS "DefaultTime2Wait=0\0InitialR2T=Yes\0ImmediateData=No\0MaxBurstLength=1024\0" \
	"FirstBurstLength=512"

static void every_offence_ends_the_session_and_leaves_the_outcome_open(void)
{
	for (size_t i = 0; i < sizeof(offences) / sizeof(offences[0]); i++) {
		offence = &offences[i];
		run_init(&run, offence_script);
		SET_KEYS(&run, PLAIN_KEYS);
		run.conf.params.our_max_recv_data_segment_length = 8192;
		if (offence->write)
			add_order(&run, CDB_DATA_OUT, 4096);
		else
			add_order(&run, CDB_DATA_IN, 512);
		run.finished = once_more;
		execute(&run);
		if (run.state[0].first_status != LU_LOST)
			fprintf(stderr, "\n%s\n", offence->says);
		CU_ASSERT_EQUAL(run.state[0].first_status, LU_LOST);
		CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
	}
}

static void asking_twice_script(struct run *r)
{
	struct bhs r2t;
	uint64_t isid;

	login_stages(r);
	isid = r->got.isid;
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	r2t = answer(r, OP_R2T);
	r2t.ttt = 1;
	r2t.desired_len = 512;
	give(r, &r2t, NULL);
	r2t.r2t_sn = 1;
	give(r, &r2t, NULL);
	while (take(r))
		CHECK(r, r->got.op == OP_DATA_OUT && r->got.ttt == 1);
	expect_return(r, isid);
}

static void data_is_asked_for_once(void)
{
	run_init(&run, asking_twice_script);
	SET_KEYS(&run, PLAIN_KEYS);
	add_order(&run, CDB_DATA_OUT, 4096);
	run.finished = once_more;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].first_status, LU_LOST);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

/* It asks, and does not take the answers: they must not pile up. */
static void deaf_script(struct run *r)
{
	struct pollfd gone = { .events = 0 };
	struct bhs ping;
	uint64_t isid;

	login_stages(r);
	isid = r->got.isid;
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	ping = answer(r, OP_NOP_IN);
	ping.itt = ISCSI_NO_TAG;
	gone.fd = r->fd;
	for (ping.ttt = 0; ping.ttt < 400000 && !poll(&gone, 1, 0); ping.ttt++)
		give(r, &ping, NULL);
	CHECK(r, gone.revents & (POLLHUP | POLLERR));
	expect_return(r, isid);
}

static void a_target_that_does_not_listen_is_left(void)
{
	run_init(&run, deaf_script);
	SET_KEYS(&run, "DefaultTime2Wait=0");
	add_order(&run, CDB_DATA_IN, 512);
	run.finished = once_more;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].first_status, LU_LOST);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

static bool wrong_header_digest;

static void digest_script(struct run *r)
{
	struct bhs bhs;
	uint8_t wire[BHS_LEN + 4 + 512 + 4] = { 0 };
	uint64_t isid;

	login_stages(r);
	isid = r->got.isid;
	r->header_digest = r->data_digest = true;
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	r->header_digest = !wrong_header_digest;
	r->data_digest = false;
	bhs = answer(r, OP_DATA_IN);
	bhs.has_status = true;
	bhs.data_len = 512;
	give(r, &bhs, zeroes);
	give_raw(r, wire, sizeof(wire));		/* whatever it is, no right digest */
	r->header_digest = r->data_digest = true;
	while (take(r))
		;
	hang_up(r);
	login_stages(r);
	r->header_digest = r->data_digest = true;
	CHECK(r, r->got.isid == isid);
	expect(r, OP_SCSI_COMMAND);
	give_data(r, r->got.itt, zeroes, 512, true);
	serve_logout(r);
}

static void a_wrong_digest_ends_the_session(void)
{
	for (int i = 0; i < 2; i++) {
		wrong_header_digest = i;
		run_init(&run, digest_script);
		run.conf.params.header_digest = run.conf.params.data_digest = DIGEST_CRC32C;
		SET_KEYS(&run, "DefaultTime2Wait=0\0HeaderDigest=CRC32C\0DataDigest=CRC32C");
		add_order(&run, CDB_DATA_IN, 512);
		run.finished = once_more;
		execute(&run);
		CU_ASSERT_EQUAL(run.state[0].first_status, LU_LOST);
		CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
	}
}

/* ---- silence and outages ---- */

static void silence_script(struct run *r)
{
	struct bhs pong;
	uint64_t isid;

	login_stages(r);
	isid = r->got.isid;
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	for (int i = 0; i < 2; i++) {
		expect(r, OP_NOP_OUT);
		CHECK(r, r->got.ttt == ISCSI_NO_TAG && r->got.immediate);
		pong = answer(r, OP_NOP_IN);
		r->stat_sn++;
		give(r, &pong, NULL);
	}
	expect(r, OP_NOP_OUT);		/* and now not a word */
	expect_reinstatement(r, isid);
}

static void a_silent_target_is_pinged_and_then_given_up(void)
{
	run_init(&run, silence_script);
	SET_KEYS(&run, "DefaultTime2Wait=0");
	run.conf.noop_interval = 0.1;
	run.conf.noop_timeout = 1;	/* in which the script has to answer, until it does not */
	add_order(&run, CDB_DATA_IN, 512);
	run.finished = once_more;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].first_status, LU_LOST);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

static void vanishing_script(struct run *r)
{
	login(r);
	expect(r, OP_SCSI_COMMAND);
	close_listener(r);
	hang_up(r);
}

static void an_outage_is_waited_for_as_long_as_the_conf_says(void)
{
	static const double timeouts[] = { 0, 0.3 };

	for (int i = 0; i < 2; i++) {
		double began;

		run_init(&run, vanishing_script);
		SET_KEYS(&run, "DefaultTime2Wait=0");
		run.conf.outage_timeout = timeouts[i];
		add_order(&run, CDB_DATA_IN, 512);
		run.finished = once_more;
		began = ev_time();
		execute(&run);
		CU_ASSERT_EQUAL(run.state[0].first_status, LU_LOST);
		CU_ASSERT_EQUAL(run.state[0].task.status, LU_LOST);
		CU_ASSERT(ev_time() - began >= timeouts[i]);
	}
}

static void until_it_works(struct run *r)
{
	struct order_state *state = &r->state[0];

	if (state->task.status == STATUS_GOOD) {
		close_unit(r);
		return;
	}
	r->done = 0;
	state->times_done = 0;
	lu_submit(r->lu, &state->task);
}

static void returning_script(struct run *r)
{
	uint64_t isid;

	login_stages(r);
	isid = r->got.isid;
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	expect_return(r, isid);
}

static void a_submitter_that_never_rests_does_not_keep_the_session_away(void)
{
	run_init(&run, returning_script);
	SET_KEYS(&run, "DefaultTime2Wait=0");
	run.conf.outage_timeout = 0;
	add_order(&run, CDB_DATA_IN, 512);
	run.finished = until_it_works;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

/* The second command never left, so its outcome is not open: it goes to the next session. */
static void what_was_not_sent_script(struct run *r)
{
	r->window = 3;		/* two questions of the open, and one command */
	login(r);
	expect(r, OP_SCSI_COMMAND);
	hang_up(r);
	r->window = 0;
	login_stages(r);
	expect(r, OP_SCSI_COMMAND);
	CHECK(r, r->got.cdb[9] == 1);	/* the LBA is the order's number */
	give_data(r, r->got.itt, zeroes, 512, true);
	serve_logout(r);
}

static void what_was_not_sent_is_not_lost(void)
{
	run_init(&run, what_was_not_sent_script);
	SET_KEYS(&run, "DefaultTime2Wait=0");
	add_order(&run, CDB_DATA_IN, 512);
	add_order(&run, CDB_DATA_IN, 512);
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].task.status, LU_LOST);
	CU_ASSERT_EQUAL(run.state[1].task.status, STATUS_GOOD);
}

/* A redirect leads nowhere while we reconnect: the next attempt starts at home again. */
static void lost_way_script(struct run *r)
{
	static const char nowhere[] = "TargetAddress=127.0.0.1:1,1";
	struct bhs bhs;

	login(r);
	expect(r, OP_SCSI_COMMAND);
	hang_up(r);
	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	bhs = answer(r, OP_LOGIN_RESPONSE);
	bhs.status_class = bhs.status_detail = 1;
	bhs.data_len = sizeof(nowhere);
	give(r, &bhs, nowhere);
	CHECK(r, !take(r));
	hang_up(r);
	login_stages(r);
	expect(r, OP_SCSI_COMMAND);
	give_data(r, r->got.itt, zeroes, 512, true);
	serve_logout(r);
}

static void a_redirect_that_leads_nowhere_is_forgotten(void)
{
	run_init(&run, lost_way_script);
	SET_KEYS(&run, "DefaultTime2Wait=0");
	add_order(&run, CDB_DATA_IN, 512);
	run.finished = once_more;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

static void leaving_script(struct run *r)
{
	struct bhs async;
	uint32_t itt;

	login(r);
	expect(r, OP_SCSI_COMMAND);
	itt = r->got.itt;
	async = answer(r, OP_ASYNC_MESSAGE);
	async.async_event = 1;
	async.parameter3 = 5;
	r->stat_sn++;
	give(r, &async, NULL);
	give_data(r, itt, zeroes, 512, true);
	serve_logout(r);
	login_stages(r);
	expect(r, OP_SCSI_COMMAND);
	give_data(r, r->got.itt, zeroes, 512, true);
	serve_logout(r);
}

static void a_target_that_asks_for_a_logout_loses_nothing(void)
{
	run_init(&run, leaving_script);
	add_order(&run, CDB_DATA_IN, 512);
	run.finished = once_more;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].first_status, STATUS_GOOD);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

/* ---- noise ---- */

static void noise_script(struct run *r)
{
	uint8_t bytes[8 * BHS_LEN];
	static const uint8_t ops[] = {
		OP_NOP_IN, OP_SCSI_RESPONSE, OP_TMF_RESPONSE, OP_DATA_IN, OP_R2T, OP_ASYNC_MESSAGE,
		OP_REJECT, OP_TEXT_RESPONSE, OP_LOGOUT_RESPONSE,
	};

	login(r);
	expect(r, OP_SCSI_COMMAND);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(rand() % 3 ? 0 : rand());
	for (size_t at = 0; at < sizeof(bytes); at += BHS_LEN) {
		bytes[at] = ops[(size_t)rand() % sizeof(ops)];
		bytes[at + 5] = bytes[at + 6] = 0;
		if (rand() % 2)		/* a tag that is in use */
			memcpy(bytes + at + 16, (uint8_t[]) {
				(uint8_t)(r->got.itt >> 24), (uint8_t)(r->got.itt >> 16),
				(uint8_t)(r->got.itt >> 8), (uint8_t)r->got.itt }, 4);
	}
	close_listener(r);
	give_raw(r, bytes, sizeof(bytes));
	shutdown_target(r);
	while (take(r))
		;
}

static void noise_in_a_session_does_no_harm(void)
{
	srand(30);
	for (int i = 0; i < 300; i++) {
		run_init(&run, noise_script);
		run.conf.outage_timeout = 0;
		add_order(&run, i % 2 ? CDB_DATA_IN : CDB_DATA_OUT, 4096);
		execute(&run);
		CU_ASSERT_STRING_EQUAL(run.why, "");
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(every_offence_ends_the_session_and_leaves_the_outcome_open),
	UNIT_TEST(data_is_asked_for_once),
	UNIT_TEST(a_target_that_does_not_listen_is_left),
	UNIT_TEST(a_wrong_digest_ends_the_session),
	UNIT_TEST(a_silent_target_is_pinged_and_then_given_up),
	UNIT_TEST(an_outage_is_waited_for_as_long_as_the_conf_says),
	UNIT_TEST(a_submitter_that_never_rests_does_not_keep_the_session_away),
	UNIT_TEST(what_was_not_sent_is_not_lost),
	UNIT_TEST(a_redirect_that_leads_nowhere_is_forgotten),
	UNIT_TEST(a_target_that_asks_for_a_logout_loses_nothing),
	UNIT_TEST(noise_in_a_session_does_no_harm),
};

UNIT_MAIN("initiator faults", tests)
