/* Login and text keys: the table, the text format, values, and negotiation between both roles. */
#include <stdio.h>
#include <string.h>

#include "keys.h"
#include "unit.h"

static struct key_text text_over(char *buf, size_t room)
{
	return (struct key_text) { .text = buf, .room = room };
}

static struct key_pair pair_of(const char *name, const char *value)
{
	return (struct key_pair) {
		.id = key_find(name, strlen(name)), .name = name, .value = value,
		.name_len = strlen(name), .value_len = strlen(value),
	};
}

static void every_row_has_a_name_that_finds_it(void)
{
	for (unsigned id = 0; id < KEY_COUNT; id++) {
		const struct key_row *row = key_row((enum key_id)id);

		CU_ASSERT_PTR_NOT_NULL_FATAL(row->name);
		CU_ASSERT(strlen(row->name) <= KEY_NAME_MAX);
		CU_ASSERT_EQUAL(key_find(row->name, strlen(row->name)), id);
		CU_ASSERT_EQUAL(key_find(row->name, strlen(row->name) - 1), KEY_NOT_UNDERSTOOD);
	}
	CU_ASSERT_EQUAL(key_find("initialr2t", 10), KEY_NOT_UNDERSTOOD);
	CU_ASSERT_EQUAL(key_find("", 0), KEY_NOT_UNDERSTOOD);
}

static void every_negotiated_key_has_a_place_and_a_default_in_range(void)
{
	struct login_params params;

	memset(&params, 0xee, sizeof(params));
	keys_defaults(&params);
	for (unsigned id = 0; id < KEY_NEGOTIATED; id++) {
		const struct key_row *row = key_row((enum key_id)id);

		CU_ASSERT(row->initial >= row->min && row->initial <= row->max);
		CU_ASSERT_EQUAL(*login_param(&params, (enum key_id)id), row->initial);
		CU_ASSERT((row->rule == KEY_RULE_LIST) == (row->values != NULL));
		for (unsigned other = 0; other < id; other++)
			CU_ASSERT(row->member != key_row((enum key_id)other)->member);
	}
	CU_ASSERT_EQUAL(params.max_burst_length, 262144);
	CU_ASSERT_EQUAL(params.first_burst_length, 65536);
	CU_ASSERT_EQUAL(params.our_max_recv_data_segment_length, 8192);
}

static void pairs_are_walked_in_order(void)
{
	static const char text[] = "InitiatorName=iqn.x\0X-odd=\0MaxBurstLength=0x200\0CHAP_N=a=b";
	static const struct { enum key_id id; const char *value; } expected[] = {
		{ KEY_INITIATOR_NAME, "iqn.x" }, { KEY_NOT_UNDERSTOOD, "" },
		{ KEY_MAX_BURST_LENGTH, "0x200" }, { KEY_CHAP_N, "a=b" },
	};
	struct key_pair pair;
	const char *why = NULL;
	size_t at = 0;

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(keys_next(text, sizeof(text), &at, &pair, &why), 1);
		CU_ASSERT_EQUAL(pair.id, expected[i].id);
		CU_ASSERT_STRING_EQUAL(pair.value, expected[i].value);
		CU_ASSERT_EQUAL(pair.value_len, strlen(expected[i].value));
	}
	CU_ASSERT_EQUAL(keys_next(text, sizeof(text), &at, &pair, &why), 0);
	at = 0;
	CU_ASSERT_EQUAL(keys_next(text, 0, &at, &pair, &why), 0);
}

static void broken_text_is_refused_with_a_reason(void)
{
	char longest[KEY_NAME_MAX + 8];
	struct { const char *text; size_t len; } bad[] = {
		{ "InitialR2T", 11 }, { "=Yes", 5 }, { "", 1 }, { "A=b", 3 }, { longest, 0 },
	};
	struct key_pair pair;
	size_t at;

	memset(longest, 'K', sizeof(longest));
	memcpy(longest + KEY_NAME_MAX + 1, "=v", 3);
	bad[4].len = KEY_NAME_MAX + 4;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = NULL;

		at = 0;
		CU_ASSERT_EQUAL(keys_next(bad[i].text, bad[i].len, &at, &pair, &why), -1);
		CU_ASSERT_PTR_NOT_NULL(why);
	}
	memcpy(longest + KEY_NAME_MAX, "=v", 3);
	at = 0;
	CU_ASSERT_EQUAL(keys_next(longest, KEY_NAME_MAX + 3, &at, &pair, &(const char *){ 0 }), 1);
}

static void text_that_does_not_fit_is_an_overflow_and_nothing_else(void)
{
	for (size_t room = 0; room < 40; room++) {
		char buf[64];
		struct key_text out = text_over(buf, room);

		memset(buf, 0x55, sizeof(buf));
		keys_put(&out, "TargetAlias", "x");		/* 14 bytes */
		keys_put_number(&out, KEY_MAX_CONNECTIONS, 4294967295u); /* 26 bytes */
		CU_ASSERT_EQUAL(out.overflow, room < 40);
		CU_ASSERT(out.len <= room);
		for (size_t i = room; i < sizeof(buf); i++)
			CU_ASSERT_EQUAL(buf[i], 0x55);
	}
}

static void numbers_are_decimal_or_hexadecimal_below_2_to_the_32(void)
{
	static const struct { const char *text; uint32_t n; } good[] = {
		{ "0", 0 }, { "7", 7 }, { "4294967295", UINT32_MAX }, { "0xff", 255 },
		{ "0XFfFfFfFf", UINT32_MAX }, { "0x0000000000000001", 1 },
	};
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "01", "00", "4294967296", "0x100000000", "0x", "0xg",
		"1a", "18446744073709551617", "Yes", "0b1",
	};
	uint32_t n;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_TRUE(keys_number(good[i].text, &n));
		CU_ASSERT_EQUAL(n, good[i].n);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(keys_number(bad[i], &n));
}

static void binary_values_come_as_hexadecimal_or_base64(void)
{
	static const struct { const char *text; int len; uint8_t bytes[6]; } good[] = {
		{ "0x00ff", 2, { 0x00, 0xff } }, { "0Xabc", 2, { 0x0a, 0xbc } },
		{ "0x1", 1, { 0x01 } }, { "0x0102030405fE", 6, { 1, 2, 3, 4, 5, 0xfe } },
		{ "0bAQID", 3, { 1, 2, 3 } }, { "0BAQI=", 2, { 1, 2 } }, { "0bAQ==", 1, { 1 } },
		{ "0bAQ", 1, { 1 } }, { "0bAQI", 2, { 1, 2 } }, { "0b//+/AQID", 6, { 255, 255, 191, 1, 2, 3 } },
	};
	static const char *const bad[] = {
		"", "0", "0x", "0b", "00ff", "0xfg", "0x00000000000000", "0bA", "0bA===", "0b====",
		"0bAQIDBAUGBw==", "0bA*==", "0bAQ=I", "0bAR==", "0bAQ=", "0x 1",
	};
	uint8_t out[7];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		memset(out, 0x55, sizeof(out));
		CU_ASSERT_EQUAL(keys_binary(good[i].text, out, 6), good[i].len);
		CU_ASSERT_EQUAL(memcmp(out, good[i].bytes, (size_t)good[i].len), 0);
		CU_ASSERT_EQUAL(out[6], 0x55);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(keys_binary(bad[i], out, 6), -1);
	CU_ASSERT_EQUAL(keys_binary("0x01", out, 0), -1);
}

static void a_binary_value_survives_the_round_trip(void)
{
	uint8_t bytes[256], back[256];
	char buf[600];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	for (size_t len = 1; len <= sizeof(bytes); len++) {
		struct key_text out = text_over(buf, sizeof(buf));

		keys_put_binary(&out, KEY_CHAP_C, bytes, len);
		CU_ASSERT_FALSE(out.overflow);
		CU_ASSERT_EQUAL(out.len, strlen("CHAP_C=0x") + 2 * len + 1);
		CU_ASSERT_EQUAL(keys_binary(buf + strlen("CHAP_C="), back, len), (int)len);
		CU_ASSERT_EQUAL(memcmp(bytes, back, len), 0);
		out = text_over(buf, strlen("CHAP_C=0x") + 2 * len);
		keys_put_binary(&out, KEY_CHAP_C, bytes, len);
		CU_ASSERT_TRUE(out.overflow);
	}
}

static void names_are_iqn_eui_or_naa(void)
{
	static const char *const good[] = {
		"iqn.2001-04.com.example", "iqn.2001-04.com.example:disk1.sys-2:x",
		"iqn.2001-04.com.\xc3\xa9x", "eui.02004567A425678D",
		"naa.52004567BA64678D", "naa.62004567BA64678D0123456789ABCDEF",
	};
	static const char *const bad[] = {
		"", "iqn.", "iqn.2001-04", "iqn.2001-04.", "iqn.2001-04.:x", "iqn.01-04.com.x",
		"iqn.2001-04.com.X", "iqn.2001-04.com x", "iqn.2001-04.com\nx", "eui.02004567A425678",
		"eui.02004567A425678G", "naa.52004567BA64678D0", "example", "IQN.2001-04.com.example",
		("iqn.2001-04.com.x:\xc2\x9b" "2J"), "iqn.2001-04.com.x:\x9b", "iqn.2001-04.com.x:\xc3",
	};
	char longest[ISCSI_NAME_MAX + 2] = "iqn.2001-04.com.example:";

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CU_ASSERT_TRUE(iscsi_name_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(iscsi_name_valid(bad[i]));
	memset(longest + strlen(longest), 'x', ISCSI_NAME_MAX - strlen(longest));
	CU_ASSERT_TRUE(iscsi_name_valid(longest));
	longest[ISCSI_NAME_MAX] = 'x';
	CU_ASSERT_FALSE(iscsi_name_valid(longest));
}

static void only_what_differs_from_the_default_is_offered(void)
{
	struct login_params ours;
	struct negotiation n;
	char buf[1024];
	struct key_text out = text_over(buf, sizeof(buf));

	keys_defaults(&ours);
	negotiation_init(&n, true, &ours);
	negotiation_offer(&n, &out);
	CU_ASSERT_EQUAL(out.len, sizeof "HeaderDigest=None,CRC32C\0DataDigest=None,CRC32C");
	CU_ASSERT_EQUAL(memcmp(buf, "HeaderDigest=None,CRC32C\0DataDigest=None,CRC32C", out.len), 0);

	ours.initial_r2t = 0;
	ours.data_digest = DIGEST_CRC32C;
	ours.max_burst_length = 1 << 20;
	out = text_over(buf, sizeof(buf));
	negotiation_init(&n, true, &ours);
	negotiation_offer(&n, &out);
	CU_ASSERT_EQUAL(memcmp(buf, "HeaderDigest=None,CRC32C\0DataDigest=CRC32C,None\0"
			       "InitialR2T=No\0MaxBurstLength=1048576", out.len), 0);
	out = text_over(buf, sizeof(buf));
	ours.our_max_recv_data_segment_length = 65536;
	negotiation_declare(&n, &out);
	CU_ASSERT_STRING_EQUAL(buf, "MaxRecvDataSegmentLength=65536");
	CU_ASSERT_EQUAL(n.result.our_max_recv_data_segment_length, 65536);
}

/* A row per offer of the peer: what we want, what comes, what we answer, what is then in force. */
static const struct {
	const char *key;
	uint32_t ours;
	const char *offer, *answer;
	enum negotiation_verdict verdict;
	uint32_t result;
} offers[] = {
	{ "HeaderDigest", DIGEST_NONE, "None", "None", NEGOTIATED, DIGEST_NONE },
	{ "HeaderDigest", DIGEST_NONE, "CRC32C,None", "None", NEGOTIATED, DIGEST_NONE },
	{ "HeaderDigest", DIGEST_NONE, "CRC32C", "CRC32C", NEGOTIATED, DIGEST_CRC32C },
	{ "HeaderDigest", DIGEST_CRC32C, "CRC32C,None", "CRC32C", NEGOTIATED, DIGEST_CRC32C },
	{ "HeaderDigest", DIGEST_CRC32C, "None,CRC32C", "None", NEGOTIATED, DIGEST_NONE },
	{ "DataDigest", DIGEST_CRC32C, "X-foo,CRC32C", "CRC32C", NEGOTIATED, DIGEST_CRC32C },
	{ "DataDigest", DIGEST_CRC32C, "crc32c", "Reject", NEGOTIATION_REJECTED, DIGEST_NONE },
	{ "DataDigest", DIGEST_CRC32C, "", "Reject", NEGOTIATION_REJECTED, DIGEST_NONE },
	{ "TaskReporting", 0, "FastAbort,RFC3720", "RFC3720", NEGOTIATED, 0 },
	{ "MaxConnections", 1, "4", "1", NEGOTIATED, 1 },
	{ "MaxConnections", 8, "4", "4", NEGOTIATED, 4 },
	{ "MaxConnections", 8, "0", "Reject", NEGOTIATION_REJECTED, 1 },
	{ "MaxConnections", 8, "65536", "Reject", NEGOTIATION_REJECTED, 1 },
	{ "InitialR2T", 0, "No", "No", NEGOTIATED, 0 },
	{ "InitialR2T", 0, "Yes", "Yes", NEGOTIATED, 1 },
	{ "InitialR2T", 1, "No", "Yes", NEGOTIATED, 1 },
	{ "InitialR2T", 1, "yes", "Reject", NEGOTIATION_REJECTED, 1 },
	{ "ImmediateData", 1, "Yes", "Yes", NEGOTIATED, 1 },
	{ "ImmediateData", 1, "No", "No", NEGOTIATED, 0 },
	{ "ImmediateData", 0, "Yes", "No", NEGOTIATED, 0 },
	{ "MaxRecvDataSegmentLength", 512, "16777215", "", NEGOTIATED, 16777215 },
	{ "MaxRecvDataSegmentLength", 512, "511", "Reject", NEGOTIATION_REJECTED, 8192 },
	{ "MaxRecvDataSegmentLength", 512, "16777216", "Reject", NEGOTIATION_REJECTED, 8192 },
	{ "MaxBurstLength", 1048576, "0x40000", "262144", NEGOTIATED, 262144 },
	{ "FirstBurstLength", 512, "16777215", "512", NEGOTIATED, 512 },
	{ "DefaultTime2Wait", 2, "5", "5", NEGOTIATED, 5 },
	{ "DefaultTime2Wait", 9, "5", "9", NEGOTIATED, 9 },
	{ "DefaultTime2Retain", 0, "20", "0", NEGOTIATED, 0 },
	{ "MaxOutstandingR2T", 16, "32", "16", NEGOTIATED, 16 },
	{ "DataPDUInOrder", 1, "No", "Yes", NEGOTIATED, 1 },
	{ "DataSequenceInOrder", 1, "No", "Yes", NEGOTIATED, 1 },
	{ "ErrorRecoveryLevel", 0, "2", "0", NEGOTIATED, 0 },
	{ "ErrorRecoveryLevel", 0, "3", "Reject", NEGOTIATION_REJECTED, 0 },
	{ "OFMarker", 0, "Yes", "No", NEGOTIATED, 0 },
	{ "IFMarker", 0, "Yes", "No", NEGOTIATED, 0 },
	{ "iSCSIProtocolLevel", 2, "1", "1", NEGOTIATED, 1 },
};

static void every_offer_gets_the_answer_of_its_rule(void)
{
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		struct key_pair pair = pair_of(offers[i].key, offers[i].offer);
		struct login_params ours;
		struct negotiation n;
		char buf[128] = "", expected[128];
		struct key_text out = text_over(buf, sizeof(buf));

		keys_defaults(&ours);
		*login_param(&ours, pair.id) = offers[i].ours;
		negotiation_init(&n, false, &ours);
		CU_ASSERT_EQUAL(negotiation_take(&n, &pair, &out), offers[i].verdict);
		CU_ASSERT_EQUAL(*login_param(&n.result, pair.id), offers[i].result);
		snprintf(expected, sizeof(expected), "%s=%s", offers[i].key, offers[i].answer);
		if (*offers[i].answer)
			CU_ASSERT_STRING_EQUAL(buf, expected)
		else
			CU_ASSERT_EQUAL(out.len, 0);
	}
}

/* A row per answer to an offer of ours. */
static const struct {
	const char *key;
	uint32_t ours;
	const char *answer;
	enum negotiation_verdict verdict;
	uint32_t result;
} answers[] = {
	{ "HeaderDigest", DIGEST_CRC32C, "CRC32C", NEGOTIATED, DIGEST_CRC32C },
	{ "HeaderDigest", DIGEST_CRC32C, "None", NEGOTIATED, DIGEST_NONE },
	{ "HeaderDigest", DIGEST_CRC32C, "MD5", NEGOTIATION_BROKEN, DIGEST_NONE },
	{ "HeaderDigest", DIGEST_CRC32C, "CRC32C,None", NEGOTIATION_BROKEN, DIGEST_NONE },
	{ "HeaderDigest", DIGEST_CRC32C, "Reject", NEGOTIATED, DIGEST_NONE },
	{ "MaxBurstLength", 1048576, "1048576", NEGOTIATED, 1048576 },
	{ "MaxBurstLength", 1048576, "512", NEGOTIATED, 512 },
	{ "MaxBurstLength", 1048576, "1048577", NEGOTIATION_BROKEN, 262144 },
	{ "MaxBurstLength", 1048576, "511", NEGOTIATION_BROKEN, 262144 },
	{ "MaxBurstLength", 1048576, "many", NEGOTIATION_BROKEN, 262144 },
	{ "DefaultTime2Wait", 5, "5", NEGOTIATED, 5 },
	{ "DefaultTime2Wait", 5, "60", NEGOTIATED, 60 },
	{ "DefaultTime2Wait", 5, "4", NEGOTIATION_BROKEN, 2 },
	{ "DefaultTime2Wait", 5, "3601", NEGOTIATION_BROKEN, 2 },
	{ "InitialR2T", 0, "No", NEGOTIATED, 0 },
	{ "InitialR2T", 0, "Yes", NEGOTIATED, 1 },
	{ "InitialR2T", 0, "Irrelevant", NEGOTIATED, 1 },
	{ "ImmediateData", 0, "No", NEGOTIATED, 0 },
	{ "ImmediateData", 0, "Yes", NEGOTIATION_BROKEN, 0 },
	{ "iSCSIProtocolLevel", 2, "NotUnderstood", NEGOTIATED, 1 },
};

static void an_answer_outside_the_offer_breaks_the_negotiation(void)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct key_pair pair = pair_of(answers[i].key, answers[i].answer);
		struct login_params ours;
		struct negotiation n;
		char buf[1024];
		struct key_text out = text_over(buf, sizeof(buf));
		size_t len;

		keys_defaults(&ours);
		*login_param(&ours, pair.id) = answers[i].ours;
		negotiation_init(&n, true, &ours);
		negotiation_offer(&n, &out);
		len = out.len;
		CU_ASSERT_EQUAL(negotiation_take(&n, &pair, &out), answers[i].verdict);
		CU_ASSERT_EQUAL(*login_param(&n.result, pair.id), answers[i].result);
		CU_ASSERT_EQUAL(out.len, len);
		CU_ASSERT_EQUAL(answers[i].verdict == NEGOTIATION_BROKEN, n.bad_key != NULL);
	}
}

static void an_offer_that_settles_the_matter_needs_no_answer(void)
{
	struct login_params ours;
	struct negotiation n;
	char buf[256];
	struct key_text out = text_over(buf, sizeof(buf));

	keys_defaults(&ours);
	ours.immediate_data = 0;
	ours.initial_r2t = 0;
	negotiation_init(&n, true, &ours);
	negotiation_offer(&n, &out);
	CU_ASSERT_EQUAL(n.result.immediate_data, 0);
	CU_ASSERT_EQUAL(n.result.initial_r2t, 1);
}

static void a_key_may_come_only_once(void)
{
	struct login_params ours;
	struct negotiation n;
	char buf[256];
	struct key_text out = text_over(buf, sizeof(buf));
	struct key_pair mrdsl = pair_of("MaxRecvDataSegmentLength", "4096");
	struct key_pair stray = pair_of("MaxBurstLength", "Irrelevant");

	keys_defaults(&ours);
	negotiation_init(&n, false, &ours);
	CU_ASSERT_EQUAL(negotiation_take(&n, &mrdsl, &out), NEGOTIATED);
	CU_ASSERT_EQUAL(negotiation_take(&n, &mrdsl, &out), NEGOTIATION_BROKEN);
	CU_ASSERT_STRING_EQUAL(n.bad_key, "MaxRecvDataSegmentLength");
	CU_ASSERT_EQUAL(negotiation_take(&n, &stray, &out), NEGOTIATION_BROKEN);
}

static void unknown_and_obsolete_keys_are_answered_without_effect(void)
{
	struct login_params ours;
	struct negotiation n;
	char buf[256];
	struct key_text out = text_over(buf, sizeof(buf));
	struct key_pair unknown = pair_of("X-com.example", "1");
	struct key_pair echo = pair_of("X-com.example", "NotUnderstood");
	struct key_pair obsolete = pair_of("IFMarkInt", "2048~8192");

	keys_defaults(&ours);
	negotiation_init(&n, false, &ours);
	CU_ASSERT_EQUAL(negotiation_take(&n, &unknown, &out), NEGOTIATED);
	CU_ASSERT_EQUAL(negotiation_take(&n, &echo, &out), NEGOTIATED);
	CU_ASSERT_EQUAL(negotiation_take(&n, &obsolete, &out), NEGOTIATED);
	CU_ASSERT_EQUAL(out.len, sizeof "X-com.example=NotUnderstood\0IFMarkInt=Reject");
	CU_ASSERT_EQUAL(memcmp(buf, "X-com.example=NotUnderstood\0IFMarkInt=Reject", out.len), 0);
}

static void first_burst_never_exceeds_max_burst(void)
{
	struct login_params ours;
	struct negotiation n;
	char buf[256];
	struct key_text out = text_over(buf, sizeof(buf));
	struct key_pair burst = pair_of("MaxBurstLength", "4096");
	struct key_pair first = pair_of("FirstBurstLength", "8192");

	keys_defaults(&ours);
	negotiation_init(&n, false, &ours);
	CU_ASSERT_EQUAL(negotiation_take(&n, &burst, &out), NEGOTIATED);
	CU_ASSERT_TRUE(negotiation_finish(&n));
	CU_ASSERT_EQUAL(n.result.first_burst_length, 4096);
	CU_ASSERT_EQUAL(negotiation_take(&n, &first, &out), NEGOTIATED);
	CU_ASSERT_FALSE(negotiation_finish(&n));
	CU_ASSERT_STRING_EQUAL(n.bad_key, "FirstBurstLength");
}

/* Feed every pair of "text" to "n"; the answers go to "out". */
static void feed(struct negotiation *n, const struct key_text *text, struct key_text *out)
{
	struct key_pair pair;
	const char *why;
	size_t at = 0;
	int more;

	while ((more = keys_next(text->text, text->len, &at, &pair, &why)) > 0)
		CU_ASSERT_EQUAL(negotiation_take(n, &pair, out), NEGOTIATED);
	CU_ASSERT_EQUAL(more, 0);
}

static void both_roles_end_with_the_same_parameters(void)
{
	for (unsigned seed = 0; seed < 256; seed++) {
		struct login_params wish[2];
		struct negotiation n[2];
		char buf[3][1024];
		struct key_text text[3];

		for (int side = 0; side < 2; side++) {
			unsigned bits = side ? seed >> 4 : seed;

			keys_defaults(&wish[side]);
			wish[side].initial_r2t = bits & 1;
			wish[side].immediate_data = bits >> 1 & 1;
			wish[side].header_digest = bits >> 2 & 1;
			wish[side].data_digest = bits >> 3 & 1;
			wish[side].max_burst_length = 65536u << (bits & 3);
			wish[side].first_burst_length = 8192u << (bits >> 1 & 3);
			wish[side].max_outstanding_r2t = 1 + bits;
			wish[side].our_max_recv_data_segment_length = 4096 + 512 * bits;
			negotiation_init(&n[side], side == 0, &wish[side]);
		}
		for (int i = 0; i < 3; i++)
			text[i] = text_over(buf[i], sizeof(buf[i]));
		negotiation_declare(&n[0], &text[0]);
		negotiation_offer(&n[0], &text[0]);
		negotiation_declare(&n[1], &text[1]);
		feed(&n[1], &text[0], &text[1]);
		feed(&n[0], &text[1], &text[2]);
		CU_ASSERT_EQUAL(text[2].len, 0);
		for (unsigned id = 0; id < KEY_NEGOTIATED; id++)
			if (id != KEY_MAX_RECV_DATA_SEGMENT_LENGTH)
				CU_ASSERT_EQUAL(*login_param(&n[0].result, (enum key_id)id),
						*login_param(&n[1].result, (enum key_id)id));
		CU_ASSERT_EQUAL(n[0].result.max_recv_data_segment_length,
				wish[1].our_max_recv_data_segment_length);
		CU_ASSERT_EQUAL(n[1].result.max_recv_data_segment_length,
				wish[0].our_max_recv_data_segment_length);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(every_row_has_a_name_that_finds_it),
	UNIT_TEST(every_negotiated_key_has_a_place_and_a_default_in_range),
	UNIT_TEST(pairs_are_walked_in_order),
	UNIT_TEST(broken_text_is_refused_with_a_reason),
	UNIT_TEST(text_that_does_not_fit_is_an_overflow_and_nothing_else),
	UNIT_TEST(numbers_are_decimal_or_hexadecimal_below_2_to_the_32),
	UNIT_TEST(binary_values_come_as_hexadecimal_or_base64),
	UNIT_TEST(a_binary_value_survives_the_round_trip),
	UNIT_TEST(names_are_iqn_eui_or_naa),
	UNIT_TEST(only_what_differs_from_the_default_is_offered),
	UNIT_TEST(every_offer_gets_the_answer_of_its_rule),
	UNIT_TEST(an_answer_outside_the_offer_breaks_the_negotiation),
	UNIT_TEST(an_offer_that_settles_the_matter_needs_no_answer),
	UNIT_TEST(a_key_may_come_only_once),
	UNIT_TEST(unknown_and_obsolete_keys_are_answered_without_effect),
	UNIT_TEST(first_burst_never_exceeds_max_burst),
	UNIT_TEST(both_roles_end_with_the_same_parameters),
};

UNIT_MAIN("keys", tests)
