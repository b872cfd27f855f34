/* CHAP: its digests, both roles against each other, and what is wrong with what they say. */
#include <stdio.h>
#include <string.h>

#include "chap.h"
#include "unit.h"

/* One end of an exchange, and what it says. */
struct end {
	struct chap chap;
	struct key_text out;
	char text[8192];
	enum chap_result result;
};

static struct end initiator, target;

static struct chap_secret secret_of(const char *text)
{
	struct chap_secret secret = { .len = strlen(text) };

	memcpy(secret.bytes, text, secret.len);
	return secret;
}

static struct chap_secret alice_secret, alice_mutual, bob_secret;
static struct chap_user users[2];	/* alice, who can be answered, and bob, who cannot */

static void make_users(void)
{
	alice_secret = secret_of("the secret of alice");
	alice_mutual = secret_of("told to alice");
	bob_secret = secret_of("the secret of bob");
	users[0] = (struct chap_user) { "alice", &alice_secret, &alice_mutual, "storage" };
	users[1] = (struct chap_user) { .name = "bob", .secret = &bob_secret };
	memset(&initiator, 0, sizeof(initiator));
	memset(&target, 0, sizeof(target));
	initiator.out = (struct key_text) { .text = initiator.text, .room = sizeof(initiator.text) };
	target.out = (struct key_text) { .text = target.text, .room = sizeof(target.text) };
	chap_target(&target.chap, users, 2, CHAP_ALL);
}

/* An end hears text[len] and answers. */
static void hear(struct end *end, const char *text, size_t len)
{
	struct key_pair pair;
	const char *why;
	size_t at = 0;

	while (keys_next(text, len, &at, &pair, &why) > 0)
		chap_take(&end->chap, &pair);
	end->out.len = 0;
	end->result = chap_step(&end->chap, &end->out);
	CU_ASSERT_FALSE(end->out.overflow);
}

#define HEAR(end, literal)	hear((end), literal, sizeof(literal))

/* Let both talk until one has no more to say; no more than the four texts there are. */
static void talk(void)
{
	hear(&initiator, "", 0);
	for (int i = 0; i < 2 && initiator.result == CHAP_MORE; i++) {
		hear(&target, initiator.text, initiator.out.len);
		if (target.result == CHAP_FAILED)
			return;
		hear(&initiator, target.text, target.out.len);
	}
	if (target.result == CHAP_MORE && initiator.result != CHAP_FAILED)
		hear(&target, initiator.text, initiator.out.len);
}

/* The value of a key in what an end says; NULL if it does not say it. */
static const char *said(const struct end *end, const char *name)
{
	struct key_pair pair;
	const char *why;
	size_t at = 0;

	while (keys_next(end->text, end->out.len, &at, &pair, &why) > 0)
		if (strlen(name) == pair.name_len && memcmp(name, pair.name, pair.name_len) == 0)
			return pair.value;
	return NULL;
}

/* Made with Python's hashlib: digest of identifier, secret and challenge. */
static const struct vector {
	const char *algorithm, *identifier;
	int kind;	/* of secret and challenge; see below */
	const char *response;
} vectors[] = {
	{ "5", "0", 0, "0x5682091fe9ffa9e8d39c8142689d46fe" },
	{ "5", "39", 1, "0x365694c1c9114885a8913b83d73a20ac" },
	{ "5", "255", 2, "0x1a0f47b9a8f1155b1a51ab1f7d761537" },
	{ "6", "0", 0, "0x901deb78a528238f8a0ed23fe41ecde5f10f9a43" },
	{ "6", "0x27", 1, "0xa7534d0e69ec4ce88b3a21450cdf04558e45d4d6" },
	{ "6", "0xFF", 2, "0x7e14407decc99fcd61f0a2013d7ae3b08e540776" },
	{ "7", "0", 0, "0x98fb63f7212bb7a738d1cd6d6d51d3e96169b23710ae5113c65123f029074860" },
	{ "7", "39", 1, "0x62824575fa42884c503a2368a1f926eac82d3a3d5f699d0082d2fcce9e69fece" },
	{ "7", "255", 2, "0xb00354998ea84423c74a0236dde9b3f75b121c40f09649a296ddc4887a165db1" },
	{ "8", "0", 0, "0x8c32b1e16e6803b37bca879cb300095e4bf4da88d69462b75488355dca1d87f7" },
	{ "8", "39", 1, "0x51d342cd0d2e5322e250d2444c577f4954e77d897d27ab80e22c136a71c2714e" },
	{ "8", "0xff", 2, "0x2ab9e78b01daddacf6a63c41e47d4965dda319b74609d1616cf21944b1b6d680" },
};

/* The least there is; the usual; the longest secret that is one line, and challenge. */
static void vector_input(int kind, struct chap_secret *secret, char *challenge)
{
	char *p = challenge + sprintf(challenge, "0x");

	*secret = secret_of(kind == 0 ? "a" : "MD2secret123456!");
	for (unsigned i = 0; i < (kind == 0 ? 1u : kind == 1 ? 16 : 1024); i++)
		p += sprintf(p, "%02x", kind == 2 ? (7 * i + 1) & 255 : i);
	if (kind < 2)
		return;
	secret->len = 0;
	for (unsigned byte = 1; byte < 256; byte++)
		if (byte != '\n')
			secret->bytes[secret->len++] = (uint8_t)byte;
}

static void responses_are_those_of_an_independent_implementation(void)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		static char challenge[2 * 1024 + 3], text[2 * 1024 + 100];
		struct chap_secret secret;
		struct chap_user self = { .name = "me", .secret = &secret };
		int len;

		vector_input(v->kind, &secret, challenge);
		make_users();
		chap_initiator(&initiator.chap, &self, CHAP_ALL);
		hear(&initiator, "", 0);
		len = snprintf(text, sizeof(text), "CHAP_A=%s%cCHAP_I=%s%cCHAP_C=%s", v->algorithm, 0,
			       v->identifier, 0, challenge);
		hear(&initiator, text, (size_t)len + 1);
		CU_ASSERT_EQUAL_FATAL(initiator.result, CHAP_DONE);
		CU_ASSERT_STRING_EQUAL(said(&initiator, "CHAP_R"), v->response);
		CU_ASSERT_STRING_EQUAL(said(&initiator, "CHAP_N"), "me");
	}
}

static void base64_is_taken_for_challenges_and_responses(void)
{
	struct chap_secret secret;
	struct chap_user self = { .name = "me", .secret = &secret };
	char challenge[64];

	vector_input(1, &secret, challenge);
	make_users();
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	hear(&initiator, "", 0);
	HEAR(&initiator, "CHAP_A=5\0CHAP_I=39\0CHAP_C=0bAAECAwQFBgcICQoLDA0ODw==");
	CU_ASSERT_EQUAL(initiator.result, CHAP_DONE);
	CU_ASSERT_STRING_EQUAL(said(&initiator, "CHAP_R"), "0x365694c1c9114885a8913b83d73a20ac");
}

/* The initiator's response, as base64. */
static void a_target_takes_a_base64_response(void)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[200];
	uint8_t r[32 + 2] = { 0 };	/* two bytes more make groups of three */
	int len;

	make_users();
	chap_initiator(&initiator.chap, &users[1], CHAP_BIT(CHAP_SHA256));
	hear(&initiator, "", 0);
	hear(&target, initiator.text, initiator.out.len);
	hear(&initiator, target.text, target.out.len);
	CU_ASSERT_EQUAL_FATAL(keys_binary(said(&initiator, "CHAP_R"), r, 32), 32);
	len = sprintf(text, "CHAP_N=bob%cCHAP_R=0b", 0);
	for (unsigned bit = 0; bit < 43 * 6; bit += 6) {
		unsigned window = (unsigned)r[bit / 8] << 8 | r[bit / 8 + 1];

		text[len++] = digits[window >> (10 - bit % 8) & 63];
	}
	text[len++] = '=';
	text[len++] = '\0';
	hear(&target, text, (size_t)len);
	CU_ASSERT_EQUAL(target.result, CHAP_DONE);
	CU_ASSERT_PTR_EQUAL(target.chap.user, &users[1]);
}

static void an_initiator_offers_the_best_first_and_md5_last(void)
{
	make_users();
	chap_initiator(&initiator.chap, &users[0], CHAP_ALL);
	hear(&initiator, "", 0);
	CU_ASSERT_EQUAL(initiator.result, CHAP_MORE);
	CU_ASSERT_STRING_EQUAL(said(&initiator, "CHAP_A"), "8,7,6,5");
	chap_initiator(&initiator.chap, &users[0], CHAP_BIT(CHAP_MD5) | CHAP_BIT(CHAP_SHA1));
	hear(&initiator, "", 0);
	CU_ASSERT_STRING_EQUAL(said(&initiator, "CHAP_A"), "6,5");
}

static void a_target_takes_the_first_algorithm_that_it_accepts(void)
{
	static const struct { const char *offer, *answer; unsigned accepted; } cases[] = {
		{ "5", "5", CHAP_ALL }, { "5,7", "5", CHAP_ALL }, { "8,5", "8", CHAP_ALL },
		{ "8,7,6,5", "7", CHAP_ALL & ~CHAP_BIT(CHAP_SHA3_256) },
		{ "99,4,4294967295,4294967296,x,,6,5", "6", CHAP_ALL },
		{ "00000000000000000000005,0x7", "7", CHAP_ALL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[100];
		int len = snprintf(text, sizeof(text), "CHAP_A=%s", cases[i].offer);

		make_users();
		chap_target(&target.chap, users, 2, cases[i].accepted);
		hear(&target, text, (size_t)len + 1);
		CU_ASSERT_EQUAL(target.result, CHAP_MORE);
		CU_ASSERT_STRING_EQUAL(said(&target, "CHAP_A"), cases[i].answer);
		CU_ASSERT_PTR_NOT_NULL(said(&target, "CHAP_I"));
		CU_ASSERT_EQUAL(strlen(said(&target, "CHAP_C")), 2 + 2 * CHAP_CHALLENGE_LEN);
	}
}

static void both_roles_agree_one_way_and_mutually_with_every_algorithm(void)
{
	static const enum chap_algorithm all[] = { CHAP_MD5, CHAP_SHA1, CHAP_SHA256, CHAP_SHA3_256 };

	for (unsigned i = 0; i < 8; i++) {
		const struct chap_user *user = &users[i / 4];

		make_users();
		chap_initiator(&initiator.chap, user, CHAP_BIT(all[i % 4]));
		talk();
		CU_ASSERT_EQUAL(initiator.result, CHAP_DONE);
		CU_ASSERT_EQUAL(target.result, CHAP_DONE);
		CU_ASSERT_PTR_EQUAL(target.chap.user, user);
		CU_ASSERT_EQUAL(target.chap.algorithm, all[i % 4]);
		CU_ASSERT_EQUAL(initiator.chap.algorithm, all[i % 4]);
		CU_ASSERT_PTR_NOT_NULL(chap_algorithm_name(all[i % 4]));
	}
}

static void an_initiator_has_said_all_with_its_response(void)
{
	for (unsigned i = 0; i < 2; i++) {
		make_users();
		chap_initiator(&initiator.chap, &users[i], CHAP_ALL);
		CU_ASSERT_FALSE(chap_said_all(&initiator.chap));
		hear(&initiator, "", 0);
		CU_ASSERT_FALSE(chap_said_all(&initiator.chap));
		hear(&target, initiator.text, initiator.out.len);
		hear(&initiator, target.text, target.out.len);
		CU_ASSERT(chap_said_all(&initiator.chap));
		/* ... but the target of a mutual exchange has not. */
		CU_ASSERT_EQUAL(initiator.result, i == 0 ? CHAP_MORE : CHAP_DONE);
	}
}

static void an_initiator_that_does_not_ask_for_it_gets_no_proof(void)
{
	struct chap_user self = { .name = "alice", .secret = &alice_secret };

	make_users();
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(target.result, CHAP_DONE);
	CU_ASSERT_EQUAL(target.out.len, 0);
}

static void an_initiator_without_a_name_for_the_target_takes_any(void)
{
	struct chap_user self = { .name = "alice", .secret = &alice_secret,
				  .mutual_secret = &alice_mutual };

	make_users();
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(initiator.result, CHAP_DONE);
}

static void names_that_look_like_numbers_are_names(void)
{
	static const char *const names[] = { "0x616c696365", "0bYWxpY2U=", "0x", "0bx=y", "5" };
	struct chap_user self = { .name = "0x616c696365", .secret = &alice_secret };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_users();
		users[0].name = users[0].mutual_name = names[i];
		chap_initiator(&initiator.chap, &users[0], CHAP_ALL);
		talk();
		CU_ASSERT_EQUAL(initiator.result, CHAP_DONE);
		CU_ASSERT_EQUAL(target.result, CHAP_DONE);
		CU_ASSERT_STRING_EQUAL(said(&target, "CHAP_N"), names[i]);
	}
	/* "alice" in hexadecimal is not she. */
	make_users();
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	talk();
	CU_ASSERT_STRING_EQUAL(target.chap.why, "no user \"0x616c696365\"");
}

static void challenges_are_never_the_same(void)
{
	enum { COUNT = 500 };
	static char seen[COUNT][2 + 2 * CHAP_CHALLENGE_LEN + 1];
	unsigned repeated_identifiers = 0;
	char identifier[8] = "";

	for (unsigned i = 0; i < COUNT; i++) {
		make_users();
		HEAR(&target, "CHAP_A=5");
		snprintf(seen[i], sizeof(seen[i]), "%s", said(&target, "CHAP_C"));
		for (unsigned j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(seen[i], seen[j]);
		repeated_identifiers += strcmp(identifier, said(&target, "CHAP_I")) == 0;
		snprintf(identifier, sizeof(identifier), "%s", said(&target, "CHAP_I"));
	}
	CU_ASSERT(repeated_identifiers < COUNT / 10);
}

static void a_challenge_is_good_for_one_response(void)
{
	make_users();
	chap_initiator(&initiator.chap, &users[1], CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(target.result, CHAP_DONE);
	hear(&target, initiator.text, initiator.out.len);
	CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
	CU_ASSERT_PTR_NULL(target.chap.user);
}

static void the_wrong_secret_is_refused_in_both_directions(void)
{
	struct chap_secret wrong = secret_of("the secret of alicf");
	struct chap_user self;

	make_users();
	self = users[0];
	self.secret = &wrong;
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
	CU_ASSERT_STRING_EQUAL(target.chap.why, "wrong secret of user \"alice\"");
	CU_ASSERT_PTR_NULL(target.chap.user);
	CU_ASSERT_EQUAL(target.out.len, 0);

	make_users();
	self = users[0];
	self.mutual_secret = &wrong;
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(initiator.result, CHAP_FAILED);
	CU_ASSERT_STRING_EQUAL(initiator.chap.why, "the target does not know the secret of its own");
}

static void the_wrong_name_is_refused_in_both_directions(void)
{
	static char many[1000];
	struct chap_user self;

	memset(many, '%', sizeof(many) - 1);
	make_users();
	self = users[0];
	self.name = many;
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
	CU_ASSERT_EQUAL(strncmp(target.chap.why, "no user \"%%%%", 13), 0);

	make_users();
	self = users[0];
	self.mutual_name = "another";
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(initiator.result, CHAP_FAILED);
	CU_ASSERT_STRING_EQUAL(initiator.chap.why, "the target calls itself \"storage\"");
}

static void one_secret_for_both_directions_is_refused(void)
{
	make_users();
	alice_mutual = alice_secret;
	chap_initiator(&initiator.chap, &users[0], CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(initiator.result, CHAP_FAILED);
	CU_ASSERT_STRING_EQUAL(initiator.chap.why, "the same secret is used in both directions");
	CU_ASSERT_EQUAL(initiator.out.len, 0);

	/* The target proves itself to alice with what proves bob: somebody could be bob to another. */
	make_users();
	alice_mutual = bob_secret;
	chap_initiator(&initiator.chap, &users[0], CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
	CU_ASSERT_STRING_EQUAL(target.chap.why,
			       "user \"alice\": the same secret is used in both directions");
	CU_ASSERT_PTR_NULL(chap_user_refusal(&users[1], users, 2));
	CU_ASSERT_PTR_NOT_NULL(chap_user_refusal(&users[0], users, 2));
	users[1].name = "";
	CU_ASSERT_STRING_EQUAL(chap_user_refusal(&users[1], users, 2), "the name is empty");
}

/* The initiator's answer to the target's challenge, followed by more keys. */
static void respond_and_add(const char *more, size_t len)
{
	struct chap_user self = { .name = "alice", .secret = &alice_secret };

	make_users();
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	hear(&initiator, "", 0);
	hear(&target, initiator.text, initiator.out.len);
	hear(&initiator, target.text, target.out.len);
	memcpy(initiator.text + initiator.out.len, more, len);
	initiator.out.len += len;
}

static void our_own_challenge_is_not_answered(void)
{
	char text[100];
	int len;

	respond_and_add("", 0);
	len = snprintf(text, sizeof(text), "CHAP_I=1%cCHAP_C=%s", 0, said(&target, "CHAP_C"));
	memcpy(initiator.text + initiator.out.len, text, (size_t)len + 1);
	hear(&target, initiator.text, initiator.out.len + (size_t)len + 1);
	CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
	CU_ASSERT_STRING_EQUAL(target.chap.why, "CHAP_C is our own challenge");
	CU_ASSERT_EQUAL(target.out.len, 0);
}

#define D16	"00112233445566778899aabbccddeeff"
#define TEXT(literal)	literal, sizeof(literal)

static void a_target_refuses_what_does_not_open_an_exchange(void)
{
	static const struct { const char *text; size_t len; const char *why; } cases[] = {
		{ "", 0, "CHAP_A is missing" },
		{ TEXT("CHAP_A="), "no algorithm in common, CHAP_A=" },
		{ TEXT("CHAP_A=%s%n"), "no algorithm in common, CHAP_A=%s%n" },
		{ TEXT("CHAP_A=05"), "no algorithm in common, CHAP_A=05" },
		{ TEXT("CHAP_A=5 "), "no algorithm in common, CHAP_A=5 " },
		{ TEXT("CHAP_A=1,2,3,4,9,55,0x55"), "no algorithm in common, CHAP_A=1,2,3,4,9,55,0x55" },
		{ TEXT("CHAP_A=5\0CHAP_A=5"), "a key came twice" },
		{ TEXT("CHAP_A=5\0CHAP_R=0x" D16), "CHAP_R is out of turn" },
		{ TEXT("CHAP_A=5\0CHAP_I=1\0CHAP_C=0x00"), "CHAP_I is out of turn" },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x" D16), "CHAP_A is missing" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_users();
		hear(&target, cases[i].text, cases[i].len);
		CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
		CU_ASSERT_STRING_EQUAL(target.chap.why, cases[i].why);
		CU_ASSERT_EQUAL(target.out.len, 0);
	}
}

static void a_target_refuses_what_is_no_response(void)
{
	static const char no_md5[] = "CHAP_R is not a response of MD5, 16 bytes";
	static const struct { const char *text; size_t len; const char *why; } cases[] = {
		{ "", 0, "CHAP_N is missing" },
		{ TEXT("CHAP_R=0x" D16), "CHAP_N is missing" },
		{ TEXT("CHAP_N=alice"), "CHAP_R is missing" },
		{ TEXT("CHAP_N=\0CHAP_R=0x" D16), "no user \"\"" },
		{ TEXT("CHAP_N=alice\0CHAP_N=bob\0CHAP_R=0x" D16), "a key came twice" },
		{ TEXT("CHAP_A=5\0CHAP_N=alice\0CHAP_R=0x" D16), "CHAP_A is out of turn" },
		{ TEXT("CHAP_N=alice\0CHAP_R="), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x"), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0b"), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=" D16), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x" D16 "0"), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x" D16 "00"), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x" D16 D16 D16 D16 D16 D16), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x00112233445566778899aabbccddee"), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x00112233445566778899aabbccddeeg0"), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0b****"), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0bAAECAwQFBgcICQoLDA0O"), no_md5 },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x" D16), "wrong secret of user \"alice\"" },
		{ TEXT("CHAP_N=carol\0CHAP_R=0x" D16), "no user \"carol\"" },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x" D16 "\0CHAP_I=1"), "CHAP_C is missing" },
		{ TEXT("CHAP_N=alice\0CHAP_R=0x" D16 "\0CHAP_C=0x01"), "CHAP_I is missing" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_users();
		HEAR(&target, "CHAP_A=5");
		hear(&target, cases[i].text, cases[i].len);
		CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
		CU_ASSERT_STRING_EQUAL(target.chap.why, cases[i].why);
		CU_ASSERT_EQUAL(target.out.len, 0);
		HEAR(&target, "CHAP_A=5");
		CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
	}
}

static void a_target_refuses_what_is_no_challenge(void)
{
	static const struct { const char *text; size_t len; const char *why; } cases[] = {
		{ TEXT("CHAP_I=256\0CHAP_C=0x01"), "CHAP_I is no number from 0 to 255" },
		{ TEXT("CHAP_I=-1\0CHAP_C=0x01"), "CHAP_I is no number from 0 to 255" },
		{ TEXT("CHAP_I=\0CHAP_C=0x01"), "CHAP_I is no number from 0 to 255" },
		{ TEXT("CHAP_I=1x\0CHAP_C=0x01"), "CHAP_I is no number from 0 to 255" },
		{ TEXT("CHAP_I=1\0CHAP_C="), "CHAP_C is malformed, or longer than 1024 bytes" },
		{ TEXT("CHAP_I=1\0CHAP_C=0x"), "CHAP_C is malformed, or longer than 1024 bytes" },
		{ TEXT("CHAP_I=1\0CHAP_C=0b="), "CHAP_C is malformed, or longer than 1024 bytes" },
		{ TEXT("CHAP_I=1\0CHAP_C=deadbeef"), "CHAP_C is malformed, or longer than 1024 bytes" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		respond_and_add(cases[i].text, cases[i].len);
		hear(&target, initiator.text, initiator.out.len);
		CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
		CU_ASSERT_STRING_EQUAL(target.chap.why, cases[i].why);
	}
}

static void an_overlong_challenge_is_refused(void)
{
	for (unsigned len = 1024; len <= 1025; len++) {
		char more[2 * 1025 + 20];
		int at = sprintf(more, "CHAP_I=1%cCHAP_C=0x", 0);

		memset(more + at, 'a', 2 * len);
		more[at + (int)(2 * len)] = '\0';
		respond_and_add(more, (size_t)at + 2 * len + 1);
		hear(&target, initiator.text, initiator.out.len);
		CU_ASSERT_EQUAL(target.result, len == 1024 ? CHAP_DONE : CHAP_FAILED);
	}
}

static void a_target_without_a_secret_of_its_own_proves_nothing(void)
{
	struct chap_secret mutual = secret_of("bob expects that");
	struct chap_user self = { "bob", &bob_secret, &mutual, NULL };

	make_users();
	chap_initiator(&initiator.chap, &self, CHAP_ALL);
	talk();
	CU_ASSERT_EQUAL(target.result, CHAP_FAILED);
	CU_ASSERT_STRING_EQUAL(target.chap.why,
			       "user \"bob\" wants a proof, and there is no secret for it");
}

static void an_initiator_refuses_what_is_no_challenge(void)
{
	static const struct { const char *text; size_t len; const char *why; } cases[] = {
		{ "", 0, "CHAP_A is missing" },
		{ TEXT("CHAP_A=7"), "CHAP_I is missing" },
		{ TEXT("CHAP_A=7\0CHAP_I=0"), "CHAP_C is missing" },
		{ TEXT("CHAP_A=7\0CHAP_C=0x01"), "CHAP_I is missing" },
		{ TEXT("CHAP_A=6\0CHAP_I=0\0CHAP_C=0x01"), "CHAP_A=6 was not offered" },
		{ TEXT("CHAP_A=7,5\0CHAP_I=0\0CHAP_C=0x01"), "CHAP_A=7,5 was not offered" },
		{ TEXT("CHAP_A=Reject\0CHAP_I=0\0CHAP_C=0x01"), "CHAP_A=Reject was not offered" },
		{ TEXT("CHAP_A=\0CHAP_I=0\0CHAP_C=0x01"), "CHAP_A= was not offered" },
		{ TEXT("CHAP_A=7\0CHAP_I=256\0CHAP_C=0x01"), "CHAP_I is no number from 0 to 255" },
		{ TEXT("CHAP_A=7\0CHAP_I=0\0CHAP_C=0xno"),
		  "CHAP_C is malformed, or longer than 1024 bytes" },
		{ TEXT("CHAP_A=7\0CHAP_I=0\0CHAP_C=0x01\0CHAP_N=storage"), "CHAP_N is out of turn" },
		{ TEXT("CHAP_A=7\0CHAP_I=0\0CHAP_C=0x01\0CHAP_C=0x01"), "a key came twice" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_users();
		chap_initiator(&initiator.chap, &users[0], CHAP_ALL & ~CHAP_BIT(CHAP_SHA1));
		hear(&initiator, "", 0);
		hear(&initiator, cases[i].text, cases[i].len);
		CU_ASSERT_EQUAL(initiator.result, CHAP_FAILED);
		CU_ASSERT_STRING_EQUAL(initiator.chap.why, cases[i].why);
		CU_ASSERT_EQUAL(initiator.out.len, 0);
	}
}

static void an_initiator_refuses_what_is_no_proof(void)
{
	static const struct { const char *text; size_t len; const char *why; } cases[] = {
		{ "", 0, "CHAP_N is missing" },
		{ TEXT("CHAP_N=storage"), "CHAP_R is missing" },
		{ TEXT("CHAP_N=storage\0CHAP_R=0x" D16 D16 "00"),
		  "CHAP_R is not a response of SHA-256, 32 bytes" },
		{ TEXT("CHAP_N=storage\0CHAP_R=0x" D16),
		  "CHAP_R is not a response of SHA-256, 32 bytes" },
		{ TEXT("CHAP_N=storage\0CHAP_R=0x" D16 D16),
		  "the target does not know the secret of its own" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_users();
		chap_initiator(&initiator.chap, &users[0], CHAP_ALL);
		hear(&initiator, "", 0);
		HEAR(&initiator, "CHAP_A=7\0CHAP_I=0\0CHAP_C=0x01");
		CU_ASSERT_EQUAL(initiator.result, CHAP_MORE);
		hear(&initiator, cases[i].text, cases[i].len);
		CU_ASSERT_EQUAL(initiator.result, CHAP_FAILED);
		CU_ASSERT_STRING_EQUAL(initiator.chap.why, cases[i].why);
	}
}

static void an_initiator_does_not_take_back_what_it_said_as_a_proof(void)
{
	make_users();
	chap_initiator(&initiator.chap, &users[0], CHAP_BIT(CHAP_MD5));
	hear(&initiator, "", 0);
	HEAR(&initiator, "CHAP_A=5\0CHAP_I=0\0CHAP_C=0x" D16);
	CU_ASSERT_EQUAL(initiator.result, CHAP_MORE);
	/* The same keys, with our own response in them. */
	initiator.out.len = strlen(initiator.text) + 1;
	initiator.out.len += strlen(initiator.text + initiator.out.len) + 1;
	hear(&initiator, initiator.text, initiator.out.len);
	CU_ASSERT_EQUAL(initiator.result, CHAP_FAILED);
}

static const struct unit_test tests[] = {
	UNIT_TEST(responses_are_those_of_an_independent_implementation),
	UNIT_TEST(base64_is_taken_for_challenges_and_responses),
	UNIT_TEST(a_target_takes_a_base64_response),
	UNIT_TEST(an_initiator_offers_the_best_first_and_md5_last),
	UNIT_TEST(a_target_takes_the_first_algorithm_that_it_accepts),
	UNIT_TEST(both_roles_agree_one_way_and_mutually_with_every_algorithm),
	UNIT_TEST(an_initiator_has_said_all_with_its_response),
	UNIT_TEST(an_initiator_that_does_not_ask_for_it_gets_no_proof),
	UNIT_TEST(an_initiator_without_a_name_for_the_target_takes_any),
	UNIT_TEST(names_that_look_like_numbers_are_names),
	UNIT_TEST(challenges_are_never_the_same),
	UNIT_TEST(a_challenge_is_good_for_one_response),
	UNIT_TEST(the_wrong_secret_is_refused_in_both_directions),
	UNIT_TEST(the_wrong_name_is_refused_in_both_directions),
	UNIT_TEST(one_secret_for_both_directions_is_refused),
	UNIT_TEST(our_own_challenge_is_not_answered),
	UNIT_TEST(a_target_refuses_what_does_not_open_an_exchange),
	UNIT_TEST(a_target_refuses_what_is_no_response),
	UNIT_TEST(a_target_refuses_what_is_no_challenge),
	UNIT_TEST(an_overlong_challenge_is_refused),
	UNIT_TEST(a_target_without_a_secret_of_its_own_proves_nothing),
	UNIT_TEST(an_initiator_refuses_what_is_no_challenge),
	UNIT_TEST(an_initiator_refuses_what_is_no_proof),
	UNIT_TEST(an_initiator_does_not_take_back_what_it_said_as_a_proof),
};

UNIT_MAIN("chap", tests)
