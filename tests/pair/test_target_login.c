/*
 * The target in login phase, PDU by PDU (RFC 7143 §6, §11.12, §11.13).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target_peer.h"
#include "unit.h"

#define NAMES		"InitiatorName=" RIG_INITIATOR "\0TargetName=" RIG_TARGET
#define GREETING	"TargetPortalGroupTag=1\0MaxRecvDataSegmentLength=262144"

static struct rig rig;
static struct peer peer;

static void begin(void)
{
	rig_begin(&rig, &peer);
}

static void finish(void)
{
	rig_finish(&rig, &peer);
}

/* The response to the Login Request b. */
static struct bhs response(const struct bhs *b)
{
	return (struct bhs){ .op = OP_LOGIN_RESPONSE, .final = b->final, .csg = b->csg,
			     .nsg = b->final ? b->nsg : 0, .isid = b->isid, .itt = b->itt };
}

static void expect_status(struct peer *p, const struct bhs *b, uint16_t status)
{
	struct bhs want = response(b);

	want.final = false;
	want.nsg = 0;
	want.tsih = b->tsih;
	want.status_class = (uint8_t)(status >> 8);
	want.status_detail = (uint8_t)status;
	peer_expect(p, &want, NULL, 0);
	peer_expect_end(p);
}

static void one_request_leads_to_full_feature_phase(void)
{
	struct bhs b, want;

	begin();
	b = peer_login_request(&peer, sizeof(NAMES));
	peer_send(&peer, &b, NAMES);
	want = response(&b);
	want.tsih = 1;
	peer_expect(&peer, &want, TEXT(GREETING));
	CU_ASSERT_EQUAL(peer.max_cmd_sn, peer.cmd_sn + rig.conf.queue_depth - 1);
	CU_ASSERT_EQUAL(rig.lu[0][0].attached, 1);
	CU_ASSERT_EQUAL(rig.lu[1][0].attached, 1);
	finish();
}

static void the_alias_is_told(void)
{
	struct bhs b, want;

	begin();
	CU_ASSERT_PTR_NULL(access_set_alias(rig.target, "disks of the rig"));
	b = peer_login_request(&peer, sizeof(NAMES));
	peer_send(&peer, &b, NAMES);
	want = response(&b);
	want.tsih = 1;
	peer_expect(&peer, &want, TEXT("TargetAlias=disks of the rig\0" GREETING));
	finish();
}

static void the_security_stage_agrees_on_no_authentication(void)
{
	struct bhs b, want;

	begin();
	b = peer_login_request(&peer, sizeof(NAMES "\0AuthMethod=CHAP,None"));
	b.csg = 0;
	b.nsg = 1;
	peer_send(&peer, &b, NAMES "\0AuthMethod=CHAP,None");
	want = response(&b);
	peer_expect(&peer, &want, TEXT("AuthMethod=None\0TargetPortalGroupTag=1"));
	b = peer_login_request(&peer, 0);
	peer_send(&peer, &b, NULL);
	want = response(&b);
	want.tsih = 1;
	peer_expect(&peer, &want, TEXT("MaxRecvDataSegmentLength=262144"));
	finish();
}

static void without_the_operational_stage_the_defaults_hold(void)
{
	struct bhs b, want, read;

	begin();
	b = peer_login_request(&peer, sizeof(NAMES));
	b.csg = 0;
	peer_send(&peer, &b, NAMES);
	want = response(&b);
	want.tsih = 1;
	peer_expect(&peer, &want, TEXT("TargetPortalGroupTag=1"));
	/* We never said that we take more than 8192 bytes. */
	read = (struct bhs){ .op = OP_NOP_OUT, .immediate = true, .itt = 5, .data_len = 8193 };
	peer_send(&peer, &read, rig_pattern());
	peer_expect_end(&peer);
	finish();
}

static void a_stage_may_take_several_requests(void)
{
	struct bhs b, want;

	begin();
	b = peer_login_request(&peer, sizeof(NAMES));
	b.final = false;
	b.nsg = 0;
	peer_send(&peer, &b, NAMES);
	want = response(&b);
	peer_expect(&peer, &want, TEXT(GREETING));
	b.data_len = sizeof("MaxBurstLength=65536");
	peer_send(&peer, &b, "MaxBurstLength=65536");
	want = response(&b);
	peer_expect(&peer, &want, TEXT("MaxBurstLength=65536"));
	b = peer_login_request(&peer, sizeof("FirstBurstLength=4096"));
	peer_send(&peer, &b, "FirstBurstLength=4096");
	want = response(&b);
	want.tsih = 1;
	peer_expect(&peer, &want, TEXT("FirstBurstLength=4096"));
	finish();
}

static void every_key_is_answered_by_its_rule(void)
{
	struct bhs b, want;
	static const char offers[] = NAMES "\0"
		"InitiatorAlias=me\0HeaderDigest=CRC32C,None\0DataDigest=None,CRC32C\0MaxConnections=9\0"
		"InitialR2T=Yes\0ImmediateData=No\0MaxRecvDataSegmentLength=4096\0MaxBurstLength=16776192\0"
		"FirstBurstLength=512\0DefaultTime2Wait=5\0DefaultTime2Retain=60\0MaxOutstandingR2T=16\0"
		"DataPDUInOrder=No\0DataSequenceInOrder=No\0ErrorRecoveryLevel=2\0OFMarker=Yes\0IFMarker=No\0"
		"OFMarkInt=2048~8192\0TaskReporting=FastAbort,RFC3720\0iSCSIProtocolLevel=2\0X-com.example.x=1";
	static const char answers[] = "HeaderDigest=CRC32C\0DataDigest=None\0MaxConnections=8\0"
		"InitialR2T=Yes\0ImmediateData=No\0MaxBurstLength=1048576\0"
		"FirstBurstLength=512\0DefaultTime2Wait=5\0DefaultTime2Retain=0\0MaxOutstandingR2T=8\0"
		"DataPDUInOrder=Yes\0DataSequenceInOrder=Yes\0ErrorRecoveryLevel=0\0OFMarker=No\0IFMarker=No\0"
		"OFMarkInt=Reject\0TaskReporting=RFC3720\0iSCSIProtocolLevel=1\0X-com.example.x=NotUnderstood\0"
		GREETING;

	begin();
	b = peer_login_request(&peer, sizeof(offers));
	peer_send(&peer, &b, offers);
	want = response(&b);
	want.tsih = 1;
	peer_expect(&peer, &want, answers, sizeof(answers));
	finish();
}

struct refusal {
	const char *text;
	uint32_t len;
	uint8_t	 csg, nsg;
	bool	 final, cont;
	uint8_t	 version_min;
	uint16_t tsih;
	uint16_t status;
};

#define NORMAL	.csg = 1, .nsg = 3, .final = true
static const struct refusal refusals[] = {
	{ TEXT("TargetName=" RIG_TARGET), NORMAL, .status = 0x0207 },
	{ TEXT("InitiatorName=" RIG_INITIATOR), NORMAL, .status = 0x0207 },
	{ NULL, 0, NORMAL, .status = 0x0207 },
	{ TEXT("InitiatorName=" RIG_INITIATOR "\0TargetName=iqn.2026-11.test:other"), NORMAL,
	  .status = 0x0203 },
	{ TEXT("InitiatorName=" RIG_INITIATOR "\0TargetName="), NORMAL, .status = 0x0203 },
	{ TEXT("InitiatorName=nobody\0TargetName=" RIG_TARGET), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0SessionType=Other"), NORMAL, .status = 0x0209 },
	{ TEXT(NAMES "\0AuthMethod=CHAP"), .csg = 0, .nsg = 1, .final = true, .status = 0x0201 },
	{ TEXT(NAMES "\0AuthMethod=None"), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0CHAP_A=5"), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES), NORMAL, .version_min = 1, .status = 0x0205 },
	{ TEXT(NAMES), NORMAL, .tsih = 77, .status = 0x020a },
	{ TEXT(NAMES), NORMAL, .cont = true, .status = 0x0200 },
	{ TEXT(NAMES), .csg = 2, .nsg = 3, .final = true, .status = 0x0200 },
	{ TEXT(NAMES), .csg = 3, .nsg = 3, .final = true, .status = 0x0200 },
	{ TEXT(NAMES), .csg = 1, .nsg = 1, .final = true, .status = 0x0200 },
	{ TEXT(NAMES), .csg = 1, .nsg = 2, .final = true, .status = 0x0200 },
	{ TEXT(NAMES), .csg = 1, .nsg = 0, .final = true, .status = 0x0200 },
	{ TEXT(NAMES "\0MaxBurstLength=511"), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0MaxBurstLength=x"), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0MaxBurstLength=1024\0MaxBurstLength=1024"), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0MaxBurstLength=512\0FirstBurstLength=1024"), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0InitiatorName=" RIG_INITIATOR), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0SendTargets=All"), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0TargetAddress=192.0.2.1"), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0no equals sign"), NORMAL, .status = 0x0200 },
	{ TEXT(NAMES "\0=value"), NORMAL, .status = 0x0200 },
	{ NAMES, sizeof(NAMES) - 1, NORMAL, .status = 0x0200 },
};

static void every_refusal_has_its_status(void)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		struct bhs b;

		begin();
		b = peer_login_request(&peer, r->len);
		b.csg = r->csg;
		b.nsg = r->nsg;
		b.final = r->final;
		b.cont = r->cont;
		b.tsih = r->tsih;
		b.version_min = r->version_min;
		peer_send(&peer, &b, r->text);
		expect_status(&peer, &b, r->status);
		finish();
	}
}

static void long_names_and_keys_are_refused(void)
{
	for (size_t len = 200; len <= 4096; len += 24) {
		char text[8192];
		size_t at = (size_t)sprintf(text, "InitiatorName=iqn.2026-11.test:") + 1;
		struct bhs b;

		begin();
		memset(text + at - 1, 'x', len);
		at += len;
		text[at - 1] = '\0';
		b = peer_login_request(&peer, (uint32_t)at);
		peer_send(&peer, &b, text);
		expect_status(&peer, &b, len + 17 <= 223 ? 0x0207 : 0x0200);
		finish();
	}
}

static void a_request_must_continue_the_login(void)
{
	for (int i = 0; i < 5; i++) {
		struct bhs b, want;

		begin();
		b = peer_login_request(&peer, sizeof(NAMES));
		b.final = false;
		b.nsg = 0;
		peer_send(&peer, &b, NAMES);
		want = response(&b);
		peer_expect(&peer, &want, TEXT(GREETING));
		b.data_len = 0;
		b.itt += i == 0;
		b.isid += i == 1;
		b.cid = (uint16_t)(b.cid + (i == 2));
		b.csg = i != 3;
		b.tsih = i == 4;
		peer_send(&peer, &b, NULL);
		want = response(&b);
		want.csg = 1;
		want.tsih = b.tsih;
		want.status_class = 2;
		peer_expect(&peer, &want, NULL, 0);
		peer_expect_end(&peer);
		finish();
	}
}

static void text_may_come_in_pieces(void)
{
	static const char text[] = NAMES "\0MaxBurstLength=65536";
	const uint32_t cut = 40;	/* within a name */
	struct bhs b, want;

	begin();
	b = peer_login_request(&peer, cut);
	b.final = false;
	b.nsg = 0;
	b.cont = true;
	peer_send(&peer, &b, text);
	want = response(&b);
	peer_expect(&peer, &want, NULL, 0);
	b = peer_login_request(&peer, sizeof(text) - cut);
	peer_send(&peer, &b, text + cut);
	want = response(&b);
	want.tsih = 1;
	peer_expect(&peer, &want, TEXT("MaxBurstLength=65536\0" GREETING));
	finish();
}

/* "k=1" so many times, after the names; the length. */
static uint32_t many_keys(char *text, unsigned count)
{
	uint32_t len = sizeof(NAMES);

	memcpy(text, NAMES, len);
	for (unsigned i = 0; i < count; i++) {
		memcpy(text + len, "k=1", 4);
		len += 4;
	}
	return len;
}

static void a_long_answer_goes_in_pieces(void)
{
	const unsigned keys = 800;	/* 16 bytes of answer each */
	char *text = malloc(16384), *want_text = malloc(16384);
	uint32_t want_len = sizeof("TargetPortalGroupTag=1");
	struct bhs b, want;

	memcpy(want_text, "TargetPortalGroupTag=1", want_len);
	begin();
	b = peer_login_request(&peer, many_keys(text, keys));
	want_len = 0;
	for (unsigned i = 0; i < keys; i++) {
		memcpy(want_text + want_len, "k=NotUnderstood", 16);
		want_len += 16;
	}
	memcpy(want_text + want_len, GREETING, sizeof(GREETING));
	want_len += sizeof(GREETING);
	peer_send(&peer, &b, text);
	want = response(&b);
	want.final = false;
	want.nsg = 0;
	want.cont = true;
	peer_expect(&peer, &want, want_text, 8192);
	b.data_len = 0;
	peer_send(&peer, &b, NULL);
	want = response(&b);
	want.tsih = 1;
	peer_expect(&peer, &want, want_text + 8192, want_len - 8192);
	finish();
	free(text);
	free(want_text);
}

static void more_answers_than_are_reasonable_are_refused(void)
{
	char *text = malloc(16384);
	struct bhs b;

	begin();
	b = peer_login_request(&peer, many_keys(text, 1500));
	peer_send(&peer, &b, text);
	expect_status(&peer, &b, 0x0302);
	finish();
	free(text);
}

static void endless_text_is_refused(void)
{
	char *text = calloc(1, 8192);
	struct bhs b, want;

	begin();
	b = peer_login_request(&peer, 8192);
	b.final = false;
	b.nsg = 0;
	b.cont = true;
	for (int i = 0; i < 2; i++) {
		peer_send(&peer, &b, text);
		want = response(&b);
		peer_expect(&peer, &want, NULL, 0);
	}
	peer_send(&peer, &b, text);
	expect_status(&peer, &b, 0x0302);
	finish();
	free(text);
}

static void endless_requests_are_refused(void)
{
	struct bhs b;
	int answers = 0;

	begin();
	b = peer_login_request(&peer, sizeof(NAMES));
	b.final = false;
	b.nsg = 0;
	for (;;) {
		peer_send(&peer, &b, NAMES);
		if (!peer_get(&peer) || peer.got.status_class)
			break;
		peer.stat_sn++;
		answers++;
		b.data_len = 0;
	}
	CU_ASSERT_EQUAL(answers, 64);
	CU_ASSERT_EQUAL(peer.got.status_class, 2);
	finish();
}

static void anything_but_a_login_request_ends_the_connection(void)
{
	static const uint8_t ops[] = { OP_NOP_OUT, OP_SCSI_COMMAND, OP_TEXT_REQUEST, OP_LOGOUT_REQUEST,
				       OP_DATA_OUT, OP_LOGIN_RESPONSE };

	for (size_t i = 0; i < sizeof(ops); i++) {
		struct bhs b = { .op = ops[i], .immediate = true };

		begin();
		peer_send(&peer, &b, NULL);
		peer_expect_end(&peer);
		finish();
	}
}

static void too_much_data_in_a_login_request_ends_the_connection(void)
{
	uint8_t wire[BHS_LEN];
	struct bhs b;

	begin();
	b = peer_login_request(&peer, 8193);
	bhs_encode(&b, wire);
	peer_send_raw(&peer, wire, sizeof(wire));
	peer_expect_end(&peer);
	finish();
}

static void a_login_that_takes_too_long_ends(void)
{
	rig_init(&rig);
	rig.conf.login_timeout = 0.02;
	rig_start(&rig);
	peer_connect(&peer, &rig, 0);
	peer_expect_end(&peer);
	finish();
}

static void a_login_during_shutdown_is_told_to_come_back(void)
{
	struct bhs b, want;

	begin();
	b = peer_login_request(&peer, sizeof(NAMES));
	b.final = false;
	b.nsg = 0;
	peer_send(&peer, &b, NAMES);
	want = response(&b);
	peer_expect(&peer, &want, TEXT(GREETING));
	target_shutdown(&rig.service[0]);
	b = peer_login_request(&peer, 0);
	peer_send(&peer, &b, NULL);
	expect_status(&peer, &b, 0x0301);
	peer_disconnect(&peer);
	CU_ASSERT_EQUAL(rig.idle, 1);
	rig_stop(&rig);
}

static void a_second_connection_is_one_too_many(void)
{
	struct peer *second = malloc(sizeof(*second));
	struct bhs b;

	begin();
	peer_log_in(&peer);
	peer_connect(second, &rig, 0);
	b = peer_login_request(second, sizeof(NAMES));
	b.tsih = 1;
	b.cid = 2;
	peer_send(second, &b, NAMES);
	expect_status(second, &b, 0x0206);
	peer_disconnect(second);
	finish();
	free(second);
}

static const struct unit_test tests[] = {
	UNIT_TEST(one_request_leads_to_full_feature_phase),
	UNIT_TEST(the_alias_is_told),
	UNIT_TEST(the_security_stage_agrees_on_no_authentication),
	UNIT_TEST(without_the_operational_stage_the_defaults_hold),
	UNIT_TEST(a_stage_may_take_several_requests),
	UNIT_TEST(every_key_is_answered_by_its_rule),
	UNIT_TEST(every_refusal_has_its_status),
	UNIT_TEST(long_names_and_keys_are_refused),
	UNIT_TEST(a_request_must_continue_the_login),
	UNIT_TEST(text_may_come_in_pieces),
	UNIT_TEST(a_long_answer_goes_in_pieces),
	UNIT_TEST(more_answers_than_are_reasonable_are_refused),
	UNIT_TEST(endless_text_is_refused),
	UNIT_TEST(endless_requests_are_refused),
	UNIT_TEST(anything_but_a_login_request_ends_the_connection),
	UNIT_TEST(too_much_data_in_a_login_request_ends_the_connection),
	UNIT_TEST(a_login_that_takes_too_long_ends),
	UNIT_TEST(a_login_during_shutdown_is_told_to_come_back),
	UNIT_TEST(a_second_connection_is_one_too_many),
};

UNIT_MAIN("target_login", tests)
