/*
 * The target's answers to Text in full feature phase (RFC 7143 §11.10, Appendix C),
 * and what discovery sessions may do.
 */
#include <string.h>

#include "target_peer.h"
#include "unit.h"

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

static struct bhs text_request(uint32_t itt, uint32_t ttt, uint32_t len)
{
	return (struct bhs){ .op = OP_TEXT_REQUEST, .final = true, .itt = itt, .ttt = ttt,
			     .data_len = len };
}

static void ask(const char *text, uint32_t len, const char *answer, uint32_t answer_len)
{
	struct bhs b = text_request(9, ISCSI_NO_TAG, len);
	struct bhs want = { .op = OP_TEXT_RESPONSE, .final = true, .itt = 9, .ttt = ISCSI_NO_TAG };

	peer_send_numbered(&peer, &b, text);
	peer_expect(&peer, &want, answer, answer_len);
}

#define PORTALS	"TargetName=" RIG_TARGET \
		"\0TargetAddress=192.0.2.1:3260,1\0TargetAddress=[2001:db8::1]:3260,1"

static void a_discovery_session_is_told_of_the_target(void)
{
	begin();
	peer_log_in_to_discovery(&peer);
	CU_ASSERT_EQUAL(rig.lu[0][0].attached, 0);
	ask(TEXT("SendTargets=All"), TEXT(PORTALS));
	ask(TEXT("SendTargets=" RIG_TARGET), TEXT(PORTALS));
	ask(TEXT("SendTargets=iqn.2026-11.test:other"), NULL, 0);
	ask(TEXT("SendTargets="), TEXT("SendTargets=Reject"));
	ask(TEXT("SendTargets=Some"), TEXT("SendTargets=Reject"));
	finish();
}

static void a_normal_session_is_told_of_its_own_target(void)
{
	begin();
	peer_log_in(&peer);
	ask(TEXT("SendTargets="), TEXT(PORTALS));
	ask(TEXT("SendTargets=" RIG_TARGET), TEXT(PORTALS));
	ask(TEXT("SendTargets=All"), TEXT("SendTargets=Reject"));
	finish();
}

static void a_discovery_session_takes_no_commands(void)
{
	struct bhs b[] = {
		peer_read(1, 512, 1),
		{ .op = OP_TMF_REQUEST, .function = TMF_LU_RESET, .itt = 2 },
		{ .op = OP_DATA_OUT, .itt = 3, .ttt = ISCSI_NO_TAG, .final = true },
		{ .op = OP_SNACK, .itt = 4 },
		{ .op = OP_NOP_OUT, .immediate = true, .itt = 5, .ttt = ISCSI_NO_TAG },
	};

	begin();
	peer_log_in_to_discovery(&peer);
	for (size_t i = 0; i < sizeof(b) / sizeof(b[0]); i++) {
		peer_send(&peer, &b[i], NULL);
		peer.cmd_sn += i < 2;
		peer_expect_reject(&peer, &b[i], 0x04);
	}
	finish();
}

static void keys_in_full_feature_phase_are_few(void)
{
	begin();
	peer_log_in(&peer);
	ask(TEXT("InitiatorAlias=me"), NULL, 0);
	ask(TEXT("MaxBurstLength=1024\0X-y=1"), TEXT("MaxBurstLength=Reject\0X-y=NotUnderstood"));
	ask(TEXT("MaxRecvDataSegmentLength=512"), NULL, 0);
	finish();
}

static void a_smaller_segment_length_counts_at_once(void)
{
	struct bhs read = peer_read(3, 1024, 2);
	struct bhs want = { .op = OP_DATA_IN, .itt = 3, .ttt = ISCSI_NO_TAG };

	begin();
	peer_log_in(&peer);
	ask(TEXT("MaxRecvDataSegmentLength=512"), NULL, 0);
	peer_send_numbered(&peer, &read, NULL);
	rig_end_good(&rig, &rig.lu[0][0], 0);
	peer_expect(&peer, &want, rig_pattern(), 512);
	want.data_sn = 1;
	want.offset = 512;
	want.final = want.has_status = true;
	peer_expect(&peer, &want, rig_pattern() + 512, 512);
	finish();
}

static void long_text_in_full_feature_phase_goes_in_pieces(void)
{
	static const char question[] = "SendTargets=All\0MaxRecvDataSegmentLength=512";
	char text[1024] = "SendTargets=All";
	uint32_t len = 16;
	struct bhs b;

	begin();
	peer_log_in_to_discovery(&peer);
	ask(question, sizeof(question), TEXT(PORTALS));
	while (len + 4 <= sizeof(text)) {
		memcpy(text + len, "k=1", 4);
		len += 4;
	}
	/* The question in two pieces, */
	b = text_request(9, ISCSI_NO_TAG, 500);
	b.final = false;
	b.cont = true;
	peer_send_numbered(&peer, &b, text);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT(!peer.got.final && !peer.got.cont && peer.got.ttt != ISCSI_NO_TAG);
	peer.stat_sn++;
	b = text_request(9, peer.got.ttt, len - 500);
	peer_send_numbered(&peer, &b, text + 500);
	/* ... the answer in as many as it needs. */
	for (uint32_t left = sizeof(PORTALS) + (len - 16) / 4 * 16; left;) {
		CU_ASSERT_FATAL(peer_get(&peer));
		peer.stat_sn++;
		CU_ASSERT_EQUAL(peer.got.data_len, left < 512 ? left : 512);
		left -= peer.got.data_len;
		CU_ASSERT_EQUAL(peer.got.cont, left > 0);
		CU_ASSERT_EQUAL(peer.got.final, left == 0);
		CU_ASSERT_EQUAL(peer.got.ttt == ISCSI_NO_TAG, left == 0);
		if (!left)
			break;
		b = text_request(9, peer.got.ttt, 0);
		peer_send_numbered(&peer, &b, NULL);
	}
	finish();
}

static void text_that_breaks_the_rules_is_rejected(void)
{
	struct bhs b;

	begin();
	peer_log_in_to_discovery(&peer);
	b = text_request(1, ISCSI_NO_TAG, 15);
	peer_send_numbered(&peer, &b, "SendTargets=All");	/* no NUL */
	peer_expect_reject(&peer, &b, 0x04);
	b = text_request(1, 0x1234, 0);				/* a tag that we never gave */
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_reject(&peer, &b, 0x04);
	b = text_request(1, ISCSI_NO_TAG, 4);
	b.cont = true;						/* and the F bit */
	peer_send_numbered(&peer, &b, "a=1");
	peer_expect_reject(&peer, &b, 0x04);
	ask(TEXT("SendTargets=All"), TEXT(PORTALS));
	finish();
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_discovery_session_is_told_of_the_target),
	UNIT_TEST(a_normal_session_is_told_of_its_own_target),
	UNIT_TEST(a_discovery_session_takes_no_commands),
	UNIT_TEST(keys_in_full_feature_phase_are_few),
	UNIT_TEST(a_smaller_segment_length_counts_at_once),
	UNIT_TEST(long_text_in_full_feature_phase_goes_in_pieces),
	UNIT_TEST(text_that_breaks_the_rules_is_rejected),
};

UNIT_MAIN("target_text", tests)
