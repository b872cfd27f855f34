/*
 * Initiators that have to prove who they are: CHAP in the target's login (RFC 7143 §6.3,
 * §9.2.1, §12.1.3), one-way and mutual, with every algorithm, and everything that must not
 * get past it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chap.h"
#include "pool.h"
#include "target_peer.h"
#include "unit.h"

#define NAMES		"InitiatorName=" RIG_INITIATOR "\0TargetName=" RIG_TARGET
#define OFFER		NAMES "\0AuthMethod=CHAP,None"

enum { SECURITY = 0, OPERATIONAL = 1, FULL_FEATURE = 3 };
enum { IN = 0x0000, BAD_REQUEST = 0x0200, NOT_PROVED = 0x0201 };

static const struct chap_secret secret = { 20, "what only alice sees" };
static const struct chap_secret other_secret = { 20, "what only a fool says" };
static const struct chap_secret target_secret = { 20, "what the target knows" };

static struct rig rig;
static struct peer peer;

static void begin(void)
{
	struct access_auth_group *group;

	rig_init(&rig);
	CU_ASSERT_PTR_NULL_FATAL(access_add_auth_group(rig.access, "chap", ACCESS_CHAP, &group));
	CU_ASSERT_PTR_NULL(access_add_user(group, "alice", &secret, NULL, NULL));
	CU_ASSERT_PTR_NULL(access_add_user(group, "bob", &secret, "rig", &target_secret));
	rig.target->auth = rig.target->entrances[0].auth = group;
	rig_start(&rig);
	peer_connect(&peer, &rig, 0);
}

static void finish(void)
{
	peer_disconnect(&peer);
	/* Whoever has not proved himself has left no trace. */
	rig_stop(&rig);
}

/* Send a Login Request; the response is in peer.got and peer.data. Returns its status. */
static unsigned say(unsigned stage, unsigned next, const char *text, uint32_t len)
{
	struct bhs b = peer_login_request(&peer, len);

	b.csg = (uint8_t)stage;
	b.nsg = (uint8_t)(next == stage ? 0 : next);
	b.final = next != stage;
	peer_send(&peer, &b, text);
	if (!peer_get(&peer)) {
		CU_FAIL_FATAL("no answer");
		return 0;
	}
	CU_ASSERT_EQUAL_FATAL(peer.got.op, OP_LOGIN_RESPONSE);
	peer.stat_sn++;
	return (unsigned)(peer.got.status_class << 8 | peer.got.status_detail);
}

static bool answered(const char *text, uint32_t len)
{
	return peer.got.data_len == len && memcmp(peer.data, text, len) == 0;
}

/* The value of a key in the latest response; NULL: it is not there. */
static const char *value_of(enum key_id id)
{
	struct key_pair pair;
	const char *why;
	size_t at = 0;

	while (keys_next((char *)peer.data, peer.got.data_len, &at, &pair, &why) > 0)
		if (pair.id == id)
			return pair.value;
	return NULL;
}

static void take_answer(struct chap *chap)
{
	struct key_pair pair;
	const char *why;
	size_t at = 0;

	while (keys_next((char *)peer.data, peer.got.data_len, &at, &pair, &why) > 0)
		if (pair.id >= KEY_CHAP_A && pair.id <= KEY_CHAP_R)
			chap_take(chap, &pair);
}

/* A whole login by the initiator's half of chap.c. Returns the status that ends it. */
static unsigned log_in_as(const struct chap_user *self, unsigned algorithms)
{
	enum chap_result result;
	struct chap chap;
	unsigned status = say(SECURITY, OPERATIONAL, OFFER, sizeof(OFFER));

	CU_ASSERT_EQUAL_FATAL(status, IN);
	CU_ASSERT(answered(TEXT("AuthMethod=CHAP\0TargetPortalGroupTag=1")));
	CU_ASSERT(!peer.got.final);
	chap_initiator(&chap, self, algorithms);
	do {
		char text[1024];
		struct key_text out = { .text = text, .room = sizeof(text) };

		result = chap_step(&chap, &out);
		CU_ASSERT_NOT_EQUAL_FATAL(result, CHAP_FAILED);
		status = say(SECURITY, chap_said_all(&chap) ? OPERATIONAL : SECURITY, text,
			     (uint32_t)out.len);
		if (status)
			return status;
		CU_ASSERT_EQUAL(peer.got.final, chap_said_all(&chap));
		take_answer(&chap);
	} while (!peer.got.final);
	if (chap.state == CHAP_AWAITS_PROOF)
		CU_ASSERT_EQUAL(chap_step(&chap, &(struct key_text){ 0 }), CHAP_DONE);
	return say(OPERATIONAL, FULL_FEATURE, NULL, 0);
}

static void every_algorithm_leads_in_one_way_and_both(void)
{
	const struct chap_user users[] = {
		{ .name = "alice", .secret = &secret },
		{ .name = "bob", .secret = &secret },	/* need not ask for a proof */
		{ .name = "bob", .secret = &secret, .mutual_name = "rig",
		  .mutual_secret = &target_secret },
	};

	for (unsigned algorithm = CHAP_MD5; algorithm <= CHAP_SHA3_256; algorithm++) {
		for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
			begin();
			CU_ASSERT_EQUAL(log_in_as(&users[i], CHAP_BIT(algorithm)), IN);
			CU_ASSERT(peer.got.final && peer.got.tsih);
			CU_ASSERT_EQUAL(rig.lu[0][0].attached, 1);
			finish();
		}
	}
}

static void a_wrong_secret_and_a_wrong_name_look_alike(void)
{
	const struct chap_user users[] = {
		{ .name = "alice", .secret = &other_secret },
		{ .name = "mallory", .secret = &secret },
		{ .name = "Alice", .secret = &secret },
	};

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		begin();
		CU_ASSERT_EQUAL(log_in_as(&users[i], CHAP_ALL), NOT_PROVED);
		CU_ASSERT_EQUAL(peer.got.data_len, 0);
		peer_expect_end(&peer);
		CU_ASSERT_EQUAL(rig.lu[0][0].attached, 0);
		finish();
	}
}

/* Up to our challenge. */
static void be_challenged(void)
{
	CU_ASSERT_EQUAL_FATAL(say(SECURITY, SECURITY, OFFER, sizeof(OFFER)), IN);
	CU_ASSERT_EQUAL_FATAL(say(SECURITY, SECURITY, TEXT("CHAP_A=5")), IN);
	CU_ASSERT_STRING_EQUAL(value_of(KEY_CHAP_A), "5");
}

static void the_first_algorithm_that_we_know_is_chosen(void)
{
	static const char *const lists[][2] = {
		{ "5", "5" }, { "8,7,6,5", "8" }, { "6,8", "6" }, { "99,0x7,5", "7" },
		{ "x,,5", "5" }, { "4", NULL }, { "", NULL }, { "50", NULL },
		{ "1,2,3,4,5555555555555555555555555", NULL },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		char text[80];
		int len = snprintf(text, sizeof(text), "CHAP_A=%s", lists[i][0]) + 1;

		begin();
		CU_ASSERT_EQUAL_FATAL(say(SECURITY, SECURITY, OFFER, sizeof(OFFER)), IN);
		CU_ASSERT_EQUAL(say(SECURITY, SECURITY, text, (uint32_t)len),
				lists[i][1] ? IN : NOT_PROVED);
		if (lists[i][1])
			CU_ASSERT_STRING_EQUAL(value_of(KEY_CHAP_A), lists[i][1]);
		finish();
	}
}

/* Login Requests that are not to get further. */
struct attempt {
	const char *text;
	uint32_t len;
	unsigned status;
};

/* RFC 7143 §12.1.3 and §6.1; whatever it is, an MD5 response of 16 bytes it is not. */
static const struct attempt responses[] = {
	{ TEXT("CHAP_N=alice"), NOT_PROVED },
	{ TEXT("CHAP_R=0x00"), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=0x000102030405060708090a0b0c0d0e0f"), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=0x000102030405060708090a0b0c0d0e0f10"), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=0x000102030405060708090a0b0c0d0e0"), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=0x"), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R="), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=000102030405060708090a0b0c0d0e0f"), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=0xg00102030405060708090a0b0c0d0e0f"), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=0bAAECAwQFBgcICQoLDA0ODw=="), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=0bAAECAwQFBgcICQoLDA0O*w=="), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=0b="), NOT_PROVED },
	{ TEXT("CHAP_N=alice\0CHAP_R=0x00\0CHAP_R=0x00"), NOT_PROVED },
	{ TEXT("CHAP_A=5"), NOT_PROVED },		/* it was said already */
	{ TEXT("CHAP_N=alice\0CHAP_R=0x00\0CHAP_A=5"), NOT_PROVED },
	{ TEXT("CHAP_N=0x616c696365\0CHAP_R=0x000102030405060708090a0b0c0d0e0f"), NOT_PROVED },
	{ TEXT("AuthMethod=None"), BAD_REQUEST },	/* twice */
	{ TEXT("InitialR2T=Maybe"), BAD_REQUEST },
	{ TEXT("TargetName=" RIG_TARGET), BAD_REQUEST },
	{ NULL, 0, NOT_PROVED },
};

static void no_other_response_leads_in(void)
{
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
		begin();
		be_challenged();
		CU_ASSERT_EQUAL(say(SECURITY, OPERATIONAL, responses[i].text, responses[i].len),
				responses[i].status);
		peer_expect_end(&peer);
		CU_ASSERT_EQUAL(rig.lu[0][0].attached, 0);
		finish();
	}
}

static void over_long_values_are_refused(void)
{
	static const enum key_id keys[] = { KEY_CHAP_R, KEY_CHAP_C, KEY_CHAP_N, KEY_CHAP_I };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		size_t room = sizeof("CHAP_N=alice\0CHAP_R=0x00\0CHAP_I=1\0CHAP_X=0x") + 2048 + 64;
		char *text = calloc(1, room);
		struct key_text out = { .text = text, .room = room };
		char *longest = malloc(2 + 2050 + 1);

		snprintf(longest, 3, "0x");
		memset(longest + 2, 'a', 2050);
		longest[2052] = '\0';
		for (enum key_id id = KEY_CHAP_I; id <= KEY_CHAP_R; id++)
			keys_put(&out, key_row(id)->name, id == keys[i] ? longest
				 : id == KEY_CHAP_N ? "alice" : "0x01");
		CU_ASSERT(!out.overflow);
		begin();
		be_challenged();
		CU_ASSERT_EQUAL(say(SECURITY, OPERATIONAL, text, (uint32_t)out.len), NOT_PROVED);
		peer_expect_end(&peer);
		finish();
		free(longest);
		free(text);
	}
}

/* The initiator's response to the latest challenge, as the given user. */
static size_t respond(const struct chap_user *self, char *text, size_t room)
{
	struct key_text out = { .text = text, .room = room };
	struct chap chap;

	chap_initiator(&chap, self, CHAP_BIT(CHAP_MD5));
	chap_step(&chap, &(struct key_text){ .text = (char[32]){ 0 }, .room = 32 });
	take_answer(&chap);
	CU_ASSERT_NOT_EQUAL_FATAL(chap_step(&chap, &out), CHAP_FAILED);
	return out.len;
}

static const struct chap_user alice = { .name = "alice", .secret = &secret };

static void a_response_in_base64_is_as_good(void)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t bytes[16 + 2] = { 0 };
	char text[256], encoded[32] = "0b";
	size_t len, at = 2;
	struct key_text out = { .text = text, .room = sizeof(text) };

	begin();
	be_challenged();
	len = respond(&alice, text, sizeof(text));
	CU_ASSERT_EQUAL(keys_binary(text + len - 1 - 34, bytes, 16), 16);
	for (int i = 0; i < 18; i += 3) {
		uint32_t three = (uint32_t)(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2]);

		for (int shift = 18; shift >= 0; shift -= 6)
			encoded[at++] = digits[three >> shift & 63];
	}
	memcpy(encoded + at - 2, "==", 3);
	keys_put(&out, "CHAP_N", "alice");
	keys_put(&out, "CHAP_R", encoded);
	CU_ASSERT_EQUAL(say(SECURITY, OPERATIONAL, text, (uint32_t)out.len), IN);
	CU_ASSERT(peer.got.final);
	finish();
}

static void our_own_challenge_is_not_answered(void)
{
	char text[512];
	struct key_text out = { .text = text, .room = sizeof(text) };
	const struct chap_user bob = { .name = "bob", .secret = &secret };

	begin();
	be_challenged();
	out.len = respond(&bob, text, sizeof(text));
	keys_put(&out, "CHAP_I", "7");
	keys_put(&out, "CHAP_C", value_of(KEY_CHAP_C));
	CU_ASSERT_EQUAL(say(SECURITY, OPERATIONAL, text, (uint32_t)out.len), NOT_PROVED);
	CU_ASSERT_EQUAL(peer.got.data_len, 0);
	peer_expect_end(&peer);
	finish();
}

static void who_has_no_proof_to_give_refuses_to_be_asked(void)
{
	char text[512];
	struct key_text out = { .text = text, .room = sizeof(text) };

	begin();
	be_challenged();
	out.len = respond(&alice, text, sizeof(text));
	keys_put(&out, "CHAP_I", "7");
	keys_put(&out, "CHAP_C", "0x000102030405060708090a0b0c0d0e0f");
	CU_ASSERT_EQUAL(say(SECURITY, OPERATIONAL, text, (uint32_t)out.len), NOT_PROVED);
	finish();
}

/* Of another login, whose challenge was another. */
static void a_response_is_good_once(void)
{
	char text[512];
	size_t len;

	begin();
	be_challenged();
	len = respond(&alice, text, sizeof(text));
	peer_disconnect(&peer);
	peer_connect(&peer, &rig, 0);
	be_challenged();
	CU_ASSERT_EQUAL(say(SECURITY, OPERATIONAL, text, (uint32_t)len), NOT_PROVED);
	finish();
}

static void no_challenge_comes_twice(void)
{
	enum { LOGINS = 200 };
	static char seen[LOGINS][64];

	begin();
	for (int i = 0; i < LOGINS; i++) {
		be_challenged();
		snprintf(seen[i], sizeof(seen[i]), "%s", value_of(KEY_CHAP_C));
		CU_ASSERT_EQUAL(strlen(seen[i]), 2 + 2 * CHAP_CHALLENGE_LEN);
		for (int j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(seen[i], seen[j]);
		peer_disconnect(&peer);
		peer_connect(&peer, &rig, 0);
	}
	finish();
}

static void a_response_may_come_in_pieces(void)
{
	char text[512];
	struct bhs b;
	size_t len;

	begin();
	be_challenged();
	len = respond(&alice, text, sizeof(text));
	for (size_t i = 0; i < 40; i++) {
		b = peer_login_request(&peer, 1);
		b.csg = b.nsg = 0;
		b.final = false;
		b.cont = true;
		peer_send(&peer, &b, text + i);
		CU_ASSERT_FATAL(peer_get(&peer));
		peer.stat_sn++;
		CU_ASSERT(!peer.got.final && !peer.got.status_class && !peer.got.data_len);
	}
	CU_ASSERT_EQUAL(say(SECURITY, OPERATIONAL, text + 40, (uint32_t)len - 40), IN);
	CU_ASSERT(peer.got.final);
	finish();
}

/* The T bit is the initiator's wish; the target grants it when it knows who that is. */
static void the_security_stage_ends_with_the_proof(void)
{
	char text[512];
	size_t len;

	begin();
	CU_ASSERT_EQUAL(say(SECURITY, FULL_FEATURE, OFFER, sizeof(OFFER)), IN);
	CU_ASSERT(!peer.got.final);
	CU_ASSERT_EQUAL(say(SECURITY, FULL_FEATURE, TEXT("CHAP_A=5")), IN);
	CU_ASSERT(!peer.got.final);
	len = respond(&alice, text, sizeof(text));
	CU_ASSERT_EQUAL(say(SECURITY, FULL_FEATURE, text, (uint32_t)len), IN);
	CU_ASSERT(peer.got.final && peer.got.nsg == FULL_FEATURE && peer.got.tsih);
	finish();
}

static void after_the_proof_there_is_nothing_to_prove(void)
{
	char text[512];
	size_t len;

	begin();
	be_challenged();
	len = respond(&alice, text, sizeof(text));
	CU_ASSERT_EQUAL(say(SECURITY, SECURITY, text, (uint32_t)len), IN);
	CU_ASSERT(!peer.got.final);
	CU_ASSERT_EQUAL(say(SECURITY, SECURITY, NULL, 0), IN);
	CU_ASSERT_EQUAL(say(SECURITY, OPERATIONAL, text, (uint32_t)len), NOT_PROVED);
	finish();
}

struct way_round {
	unsigned stage, next;
	const char *text;
	uint32_t len;
	unsigned status;
};

static const struct way_round ways_round[] = {
	{ OPERATIONAL, FULL_FEATURE, TEXT(NAMES), NOT_PROVED },
	{ OPERATIONAL, OPERATIONAL, TEXT(NAMES), NOT_PROVED },
	{ OPERATIONAL, FULL_FEATURE, TEXT(NAMES "\0AuthMethod=CHAP"), BAD_REQUEST },
	{ OPERATIONAL, FULL_FEATURE, TEXT(NAMES "\0CHAP_A=5"), BAD_REQUEST },
	{ SECURITY, OPERATIONAL, TEXT(NAMES), NOT_PROVED },
	{ SECURITY, FULL_FEATURE, TEXT(NAMES), NOT_PROVED },
	{ SECURITY, OPERATIONAL, TEXT(NAMES "\0AuthMethod=None"), NOT_PROVED },
	{ SECURITY, OPERATIONAL, TEXT(NAMES "\0AuthMethod=None,KRB5"), NOT_PROVED },
	{ SECURITY, OPERATIONAL, TEXT(NAMES "\0AuthMethod="), NOT_PROVED },
	{ SECURITY, OPERATIONAL, TEXT(NAMES "\0AuthMethod=CHAPS"), NOT_PROVED },
	{ SECURITY, OPERATIONAL, TEXT(NAMES "\0CHAP_A=5"), BAD_REQUEST },
	{ SECURITY, OPERATIONAL, TEXT(OFFER "\0AuthMethod=CHAP"), BAD_REQUEST },
	{ SECURITY, OPERATIONAL, TEXT(NAMES "\0AuthMethod=KRB5,CHAP"), IN },
	{ SECURITY, OPERATIONAL, TEXT(NAMES "\0AuthMethod=None,CHAP"), IN },
	{ SECURITY, SECURITY, TEXT(NAMES), IN },	/* its wishes will come */
};

static void there_is_no_way_round(void)
{
	for (size_t i = 0; i < sizeof(ways_round) / sizeof(ways_round[0]); i++) {
		const struct way_round *w = &ways_round[i];

		begin();
		CU_ASSERT_EQUAL(say(w->stage, w->next, w->text, w->len), w->status);
		CU_ASSERT(!peer.got.final);
		if (w->status)
			peer_expect_end(&peer);
		CU_ASSERT_EQUAL(rig.lu[0][0].attached, 0);
		finish();
	}
}

/* Discovery has rules of its own, as have targets. */
static void discovery_has_an_authentication_of_its_own(void)
{
	struct access_auth_group *group;
	char text[512];
	size_t len;

	rig_init(&rig);
	CU_ASSERT_PTR_NULL_FATAL(access_add_auth_group(rig.access, "chap", ACCESS_CHAP, &group));
	CU_ASSERT_PTR_NULL(access_add_user(group, "alice", &secret, NULL, NULL));
	rig.group->discovery_auth = group;
	rig_start(&rig);

	peer_connect(&peer, &rig, 0);
	peer_log_in(&peer);		/* the target asks for nothing */
	peer_disconnect(&peer);

	peer_connect(&peer, &rig, 0);
	CU_ASSERT_EQUAL(say(OPERATIONAL, FULL_FEATURE,
			    TEXT("InitiatorName=" RIG_INITIATOR "\0SessionType=Discovery")),
			NOT_PROVED);
	peer_disconnect(&peer);

	peer_connect(&peer, &rig, 0);
	CU_ASSERT_EQUAL(say(SECURITY, SECURITY, TEXT("InitiatorName=" RIG_INITIATOR
				"\0SessionType=Discovery\0AuthMethod=CHAP")), IN);
	CU_ASSERT(answered(TEXT("AuthMethod=CHAP")));
	CU_ASSERT_EQUAL(say(SECURITY, SECURITY, TEXT("CHAP_A=5")), IN);
	len = respond(&alice, text, sizeof(text));
	CU_ASSERT_EQUAL(say(SECURITY, FULL_FEATURE, text, (uint32_t)len), IN);
	CU_ASSERT(peer.got.final && peer.got.tsih);
	finish();
}

/* What strangers can make us hold between their requests is their own two structures. */
static void strangers_hold_no_buffers(void)
{
	begin();
	CU_ASSERT_EQUAL(pool_in_use(rig.loop[0]->pool), 0);
	CU_ASSERT_EQUAL(say(SECURITY, SECURITY, OFFER, sizeof(OFFER)), IN);
	CU_ASSERT_EQUAL(pool_in_use(rig.loop[0]->pool), 0);
	CU_ASSERT_EQUAL(say(SECURITY, SECURITY, TEXT("CHAP_A=5")), IN);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(pool_in_use(rig.loop[0]->pool), 0);
	finish();
}

static const struct unit_test tests[] = {
	UNIT_TEST(every_algorithm_leads_in_one_way_and_both),
	UNIT_TEST(a_wrong_secret_and_a_wrong_name_look_alike),
	UNIT_TEST(the_first_algorithm_that_we_know_is_chosen),
	UNIT_TEST(no_other_response_leads_in),
	UNIT_TEST(over_long_values_are_refused),
	UNIT_TEST(a_response_in_base64_is_as_good),
	UNIT_TEST(our_own_challenge_is_not_answered),
	UNIT_TEST(who_has_no_proof_to_give_refuses_to_be_asked),
	UNIT_TEST(a_response_is_good_once),
	UNIT_TEST(no_challenge_comes_twice),
	UNIT_TEST(a_response_may_come_in_pieces),
	UNIT_TEST(the_security_stage_ends_with_the_proof),
	UNIT_TEST(after_the_proof_there_is_nothing_to_prove),
	UNIT_TEST(there_is_no_way_round),
	UNIT_TEST(discovery_has_an_authentication_of_its_own),
	UNIT_TEST(strangers_hold_no_buffers),
};

UNIT_MAIN("target_chap", tests)
