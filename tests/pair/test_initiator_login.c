/* The initiator's login against a scripted target: what it says, accepts, follows and refuses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripted_target.h"
#include "unit.h"

static struct run run;		/* too big for a stack */

static void says_who_it_is_script(struct run *r)
{
	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	CHECK(r, r->got.immediate && r->got.final && r->got.csg == 0 && r->got.nsg == 1);
	CHECK(r, r->got.isid == 0x800102030405 && r->got.tsih == 0);
	CHECK(r, said(r, "InitiatorName=iqn.2001-04.com.example:me"));
	CHECK(r, said(r, "TargetName=" TARGET_NAME) && said(r, "SessionType=Normal"));
	CHECK(r, said(r, "AuthMethod=None"));
	r->exp_cmd_sn = r->got.cmd_sn;
	give_text(r, login_answer(r, 0, 1), "TargetPortalGroupTag=1\0AuthMethod=None", 39);
	expect(r, OP_LOGIN_REQUEST);
	CHECK(r, r->got.csg == 1 && r->got.nsg == 3 && r->got.final);
	CHECK(r, r->got.exp_stat_sn == 101 && r->got.isid == 0x800102030405);
	CHECK(r, said(r, "MaxRecvDataSegmentLength=4096") && said(r, "InitialR2T=No"));
	CHECK(r, said(r, "HeaderDigest=CRC32C,None") && said(r, "DataDigest=None,CRC32C"));
	CHECK(r, !said(r, "ImmediateData=Yes"));
	give_text(r, login_answer(r, 1, 3), "InitialR2T=Yes\0HeaderDigest=None", 33);
	serve_probe(r);
	serve_logout(r);
}

static void a_login_says_who_it_is_and_what_it_wants(void)
{
	run_init(&run, says_who_it_is_script);
	snprintf(run.conf.initiator_name, sizeof(run.conf.initiator_name),
		 "iqn.2001-04.com.example:me");
	memcpy(run.conf.isid, (uint8_t[]) { 0x80, 1, 2, 3, 4, 5 }, 6);
	run.conf.params.header_digest = DIGEST_CRC32C;
	run.conf.params.our_max_recv_data_segment_length = 4096;
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "");
	CU_ASSERT_EQUAL(run.block_len, 4096);
}

/* How a login can fail: what the first answer is, and what the user reads. */
static const struct failure {
	const char *says;
	uint8_t class, detail, nsg, version;
	bool cont;
	uint32_t itt_change;
	const char *text;
	size_t len;
} failures[] = {
	{ "login refused: 0203 target not found", 2, 3, 1, 0, false, 0, "", 0 },
	{ "login refused: 0201 authentication failure", 2, 1, 0, 0, false, 0, "", 0 },
	{ "login refused: 0301 service unavailable", 3, 1, 0, 0, false, 0, "", 0 },
	{ "login refused: 02xx initiator error of an unknown kind", 2, 99, 0, 0, false, 0, "", 0 },
	{ "login refused: unknown status class", 77, 1, 0, 0, false, 0, "", 0 },
	{ "login: redirected to no address", 1, 1, 0, 0, false, 0, "", 0 },
	{ "login: redirected to the malformed address \"[::1\"", 1, 2, 0, 0, false, 0,
	  "TargetAddress=[::1", 19 },
	{ "login: the target asks for authentication (AuthMethod=CHAP)", 0, 0, 0, 0, false, 0,
	  "AuthMethod=CHAP", 16 },
	{ "login: a protocol version other than 0", 0, 0, 1, 1, false, 0, "", 0 },
	{ "login: a transit that we did not ask for", 0, 0, 3, 0, false, 0, "", 0 },
	{ "login: both T and C bit", 0, 0, 1, 0, true, 0, "", 0 },
	{ "login: a response to no request of ours", 0, 0, 1, 0, false, 1, "", 0 },
	{ "login: text without '='", 0, 0, 1, 0, false, 0, "AuthMethod", 11 },
	{ "login: text does not end in NUL", 0, 0, 1, 0, false, 0, "AuthMethod=None", 15 },
	{ "login: InitiatorName is not the target's to say", 0, 0, 1, 0, false, 0,
	  "InitiatorName=iqn.x", 20 },
	{ "login: MaxBurstLength=0 is no valid answer", 0, 0, 1, 0, false, 0,
	  "MaxBurstLength=0", 17 },
	{ "login: InitialR2T=Perhaps is no valid answer", 0, 0, 1, 0, false, 0,
	  "InitialR2T=Perhaps", 19 },
};
static const struct failure *failure;

static void failing_script(struct run *r)
{
	struct bhs bhs;

	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	bhs = login_answer(r, 0, failure->nsg);
	bhs.status_class = failure->class;
	bhs.status_detail = failure->detail;
	bhs.version_active = failure->version;
	bhs.cont = failure->cont;
	bhs.itt += failure->itt_change;
	give_text(r, bhs, failure->text, failure->len);
	CHECK(r, !take(r));
}

static void every_failed_login_says_why(void)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		failure = &failures[i];
		run_init(&run, failing_script);
		execute(&run);
		if (strncmp(run.why, failure->says, strlen(failure->says)) != 0)
			fprintf(stderr, "\n%s\n", run.why);
		CU_ASSERT_EQUAL(strncmp(run.why, failure->says, strlen(failure->says)), 0);
	}
}

static void ssh_script(struct run *r)
{
	static const char banner[] = "SSH-2.0-Example_1.0\r\n";

	accept_initiator(r);
	give_raw(r, banner, sizeof(banner) - 1);
	expect(r, OP_LOGIN_REQUEST);
	CHECK(r, !take(r));
}

static void what_is_no_target_is_called_so(void)
{
	run_init(&run, ssh_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "not an iSCSI target: it answered the login with "
			       "\"SSH-2.0-Example_1.0\?\?\"");
}

static void silent_script(struct run *r)
{
	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	CHECK(r, !take(r));
}

static void a_login_that_is_not_answered_times_out(void)
{
	run_init(&run, silent_script);
	run.conf.login_timeout = 0.25;
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "login timed out after 0.25 s");
}

static void leaving_script(struct run *r)
{
	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	hang_up(r);
}

static void a_target_that_hangs_up_is_told_from_one_that_is_not_there(void)
{
	run_init(&run, leaving_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "login: closed by the target");
}

static void nobody_script(struct run *r)
{
	(void)r;
}

static void a_refused_connection_says_where_to(void)
{
	char expected[64];

	run_init(&run, nobody_script);
	close_listener(&run);
	execute(&run);
	snprintf(expected, sizeof(expected), "connect to 127.0.0.1:%u: Connection refused", run.ports[0]);
	CU_ASSERT_STRING_EQUAL(run.why, expected);
}

/* Both directions of the C bit: the target's text comes in pieces that cut keys in two. */
static void pieces_script(struct run *r)
{
	static const char text[] = "MaxBurstLength=65536\0InitialR2T=Yes\0X-com.example=17";
	struct bhs bhs;

	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	r->exp_cmd_sn = r->got.cmd_sn;
	give_text(r, login_answer(r, 0, 1), "", 0);
	expect(r, OP_LOGIN_REQUEST);
	for (size_t at = 0; at < sizeof(text); at += 7) {
		size_t left = sizeof(text) - at;

		bhs = login_answer(r, 1, 0);
		bhs.cont = left > 7;
		give_text(r, bhs, text + at, left > 7 ? 7 : left);
		expect(r, OP_LOGIN_REQUEST);
		CHECK(r, r->got.csg == 1);
		CHECK(r, !bhs.cont || (r->got.data_len == 0 && !r->got.final));
	}
	CHECK(r, r->got.final && said(r, "X-com.example=NotUnderstood"));
	CHECK(r, r->got.data_len == sizeof "X-com.example=NotUnderstood");
	give_text(r, login_answer(r, 1, 3), "", 0);
	serve_probe(r);
	serve_logout(r);
}

static void text_in_pieces_is_one_text(void)
{
	run_init(&run, pieces_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "");
}

/* More unknown keys than one PDU of answers has room for. */
static void many_keys_script(struct run *r)
{
	char text[8000];
	size_t len = 0, answered = 0;
	unsigned keys = 0;
	struct bhs bhs;

	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	r->exp_cmd_sn = r->got.cmd_sn;
	give_text(r, login_answer(r, 0, 1), "", 0);
	expect(r, OP_LOGIN_REQUEST);
	while (len < sizeof(text) - 16)
		len += (size_t)sprintf(text + len, "X-%u=1", ++keys) + 1;
	give_text(r, login_answer(r, 1, 0), text, len);
	for (;;) {
		expect(r, OP_LOGIN_REQUEST);
		for (size_t i = 0; i < r->got.data_len; i++)
			answered += !r->data[i];
		if (!r->got.cont)
			break;
		CHECK(r, r->got.data_len == KEYS_TEXT_MAX && !r->got.final);
		bhs = login_answer(r, 1, 0);
		give(r, &bhs, NULL);
	}
	CHECK(r, answered == keys && r->got.final);
	give_text(r, login_answer(r, 1, 3), "", 0);
	serve_probe(r);
	serve_logout(r);
}

static void answers_that_need_several_pdus_get_them(void)
{
	run_init(&run, many_keys_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "");
}

static void endless_script(struct run *r)
{
	unsigned rounds = 0;

	accept_initiator(r);
	while (take(r)) {
		CHECK(r, ++rounds < 100);
		give_text(r, login_answer(r, 0, 0), "", 0);
	}
}

static void a_login_that_never_ends_is_given_up(void)
{
	run_init(&run, endless_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "login: the target never comes to an end");
}

static unsigned redirects;

static void redirecting_script(struct run *r)
{
	char text[64];

	for (unsigned i = 0; i < redirects; i++) {
		struct bhs bhs;
		size_t len = (size_t)sprintf(text, "TargetAddress=127.0.0.1:%u,1", r->ports[0]) + 1;

		accept_initiator(r);
		expect(r, OP_LOGIN_REQUEST);
		bhs = login_answer(r, 0, 1);
		bhs.status_class = 1;
		bhs.status_detail = (uint8_t)(1 + i % 2);
		give_text(r, bhs, text, len);
		CHECK(r, !take(r));
		hang_up(r);
	}
	if (redirects > 8)
		return;
	login(r);
	serve_logout(r);
}

static void redirects_are_followed_but_not_for_ever(void)
{
	redirects = 3;
	run_init(&run, redirecting_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "");
	redirects = 9;
	run_init(&run, redirecting_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "login: redirected more than 8 times");
}

static void no_unit_script(struct run *r)
{
	uint8_t inquiry[36] = { 0x7f };

	login_stages(r);
	expect(r, OP_SCSI_COMMAND);
	give_data(r, r->got.itt, inquiry, sizeof(inquiry), true);
	serve_logout(r);
}

static void a_lun_that_is_not_there_is_named(void)
{
	run_init(&run, no_unit_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "LUN 3 does not exist on the target");
}

static void attention_script(struct run *r)
{
	static const uint8_t sense[20] = { 0, 18, 0x70, 0, 6, [9] = 10, [14] = 0x29 };
	struct bhs bhs;

	login_stages(r);
	for (int i = 0; i < 3; i++) {
		expect(r, OP_SCSI_COMMAND);
		CHECK(r, r->got.cdb[0] == 0x12);
		bhs = answer(r, OP_SCSI_RESPONSE);
		bhs.status = STATUS_CHECK_CONDITION;
		bhs.data_len = sizeof(sense);
		r->stat_sn++;
		give(r, &bhs, sense);
	}
	serve_probe(r);
	serve_logout(r);
}

static void unit_attentions_at_the_open_are_waited_out(void)
{
	run_init(&run, attention_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "");
}

/* A right answer to the login with some bytes wrong: nothing but the outcome may suffer. */
static void noise_script(struct run *r)
{
	uint8_t bytes[BHS_LEN + 40];
	struct bhs bhs;

	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	bhs = login_answer(r, 0, 1);
	bhs.data_len = 39;
	bhs_encode(&bhs, bytes);
	memcpy(bytes + BHS_LEN, "TargetPortalGroupTag=1\0AuthMethod=None\0", 40);
	for (int i = rand() % 4; i >= 0; i--)
		bytes[rand() % (int)sizeof(bytes)] = (uint8_t)rand();
	give_raw(r, bytes, sizeof(bytes) - (size_t)(rand() % 3 ? 0 : rand() % (int)sizeof(bytes)));
	shutdown_target(r);
	while (take(r))
		;
}

static void noise_in_the_login_does_no_harm(void)
{
	srand(20);
	for (int i = 0; i < 300; i++) {
		run_init(&run, noise_script);
		execute(&run);
		CU_ASSERT_STRING_NOT_EQUAL(run.why, "");
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_login_says_who_it_is_and_what_it_wants),
	UNIT_TEST(every_failed_login_says_why),
	UNIT_TEST(what_is_no_target_is_called_so),
	UNIT_TEST(a_login_that_is_not_answered_times_out),
	UNIT_TEST(a_target_that_hangs_up_is_told_from_one_that_is_not_there),
	UNIT_TEST(a_refused_connection_says_where_to),
	UNIT_TEST(text_in_pieces_is_one_text),
	UNIT_TEST(answers_that_need_several_pdus_get_them),
	UNIT_TEST(a_login_that_never_ends_is_given_up),
	UNIT_TEST(redirects_are_followed_but_not_for_ever),
	UNIT_TEST(a_lun_that_is_not_there_is_named),
	UNIT_TEST(unit_attentions_at_the_open_are_waited_out),
	UNIT_TEST(noise_in_the_login_does_no_harm),
};

UNIT_MAIN("initiator login", tests)
