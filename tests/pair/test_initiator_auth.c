/*
 * CHAP in the initiator's login, against a scripted target whose side of the exchange is
 * chap.c's, or none that deserves the name.
 */
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "scripted_target.h"
#include "unit.h"

static struct run run;		/* too big for a stack */

static const struct chap_secret alice = { 16, "0123456789abcdef" };
static const struct chap_secret mallory = { 16, "fedcba9876543210" };
static const struct chap_secret proof = { 14, "the-target's!!" };

static const struct chap_user one_way = { .name = "alice", .secret = &alice };
static const struct chap_user wrong = { .name = "alice", .secret = &mallory };
static const struct chap_user mutual = {
	.name = "alice", .secret = &alice, .mutual_secret = &proof, .mutual_name = "target",
};
static const struct chap_user any_name = {
	.name = "alice", .secret = &alice, .mutual_secret = &proof,
};
static const struct chap_user other_name = {
	.name = "alice", .secret = &alice, .mutual_secret = &proof, .mutual_name = "other",
};

/* What the target does, and knows. */
static struct {
	const struct chap_user *users;
	unsigned algorithms;
	const char *methods;		/* that it expects to be offered */
} theirs;

static char text[2048];

static void first_request(struct run *r)
{
	char offer[64];

	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	r->exp_cmd_sn = r->first_cmd_sn = r->got.cmd_sn;
	snprintf(offer, sizeof(offer), "AuthMethod=%s", theirs.methods);
	CHECK(r, r->got.csg == 0 && said(r, offer) && said(r, "TargetName=" TARGET_NAME));
	/* Nobody is to leave the stage before the method is known. */
	CHECK(r, !r->got.final == !!strcmp(theirs.methods, "None"));
}

/* One step of the exchange: what was taken goes in, what is to be said comes out. */
static enum chap_result step(struct run *r, struct chap *chap, struct key_text *out)
{
	struct key_pair pair;
	const char *why;
	size_t at = 0;

	*out = (struct key_text) { .text = text, .room = sizeof(text) };
	expect(r, OP_LOGIN_REQUEST);
	while (keys_next((char *)r->data, r->got.data_len, &at, &pair, &why) > 0)
		if (pair.id >= KEY_CHAP_A && pair.id <= KEY_CHAP_R)
			chap_take(chap, &pair);
		else
			CHECK(r, !"a key that does not belong here");
	return chap_step(chap, out);
}

static void choose_chap(struct run *r)
{
	give_text(r, login_answer(r, 0, 0), "AuthMethod=CHAP", 16);
}

static void refuse(struct run *r, uint8_t detail)
{
	struct bhs bhs = login_answer(r, 0, 0);

	bhs.status_class = 2;
	bhs.status_detail = detail;
	give(r, &bhs, NULL);
	CHECK(r, !take(r));
	hang_up(r);
}

/* The security stage. False: it was refused. */
static bool authenticate(struct run *r)
{
	struct chap chap;
	struct key_text out;

	chap_target(&chap, theirs.users, 1, theirs.algorithms);
	first_request(r);
	choose_chap(r);
	if (step(r, &chap, &out) != CHAP_MORE) {
		refuse(r, 1);
		return false;
	}
	CHECK(r, !r->got.final);
	give_text(r, login_answer(r, 0, 0), text, out.len);
	if (step(r, &chap, &out) != CHAP_DONE) {
		refuse(r, 1);
		return false;
	}
	CHECK(r, r->got.final && r->got.nsg == 1);
	give_text(r, login_answer(r, 0, 1), text, out.len);
	return true;
}

static void session(struct run *r)
{
	operational_stage(r);
	serve_probe(r);
	serve_logout(r);
}

static void honest_script(struct run *r)
{
	if (authenticate(r))
		session(r);
}

/* The hang-up of an initiator that does not trust us. */
static void distrusted_script(struct run *r)
{
	if (authenticate(r))
		CHECK(r, !take(r));
}

static void begin(const struct chap_user *ours, const struct chap_user *users,
		  void (*script)(struct run *))
{
	run_init(&run, script);
	run.conf.chap = ours;
	theirs.users = users;
	theirs.algorithms = CHAP_ALL;
	theirs.methods = !ours ? "None" : ours->mutual_secret ? "CHAP" : "CHAP,None";
}

static const enum chap_algorithm algorithms[] = { CHAP_MD5, CHAP_SHA1, CHAP_SHA256, CHAP_SHA3_256 };

static void a_login_proves_who_it_is_by_every_algorithm(void)
{
	static const struct chap_user *const ours[] = { &one_way, &mutual, &any_name };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		for (size_t j = 0; j < sizeof(algorithms) / sizeof(algorithms[0]); j++) {
			begin(ours[i], &mutual, honest_script);
			theirs.algorithms = CHAP_BIT(algorithms[j]);
			execute(&run);
			CU_ASSERT_STRING_EQUAL(run.why, "");
			/* ... and offers no others than it is told to. */
			begin(ours[i], &mutual, honest_script);
			run.conf.chap_algorithms = CHAP_BIT(algorithms[j]);
			execute(&run);
			CU_ASSERT_STRING_EQUAL(run.why, "");
		}
}

static void fails_with(const char *why)
{
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, why);
	CU_ASSERT_PTR_NULL(strstr(run.why, (const char *)mallory.bytes));
}

static void misnumbering_script(struct run *r)
{
	struct chap chap;
	struct key_text out;

	chap_target(&chap, theirs.users, 1, theirs.algorithms);
	first_request(r);
	choose_chap(r);
	CHECK(r, step(r, &chap, &out) == CHAP_MORE);
	text[strlen("CHAP_A=")] = '4';	/* it begins with "CHAP_A=n" */
	give_text(r, login_answer(r, 0, 0), text, out.len);
	CHECK(r, !take(r));
}

static void what_does_not_fit_is_named(void)
{
	begin(&wrong, &one_way, honest_script);
	fails_with("login refused: 0201 authentication failure of user \"alice\" by CHAP with SHA3-256");
	begin(&one_way, &one_way, honest_script);
	theirs.algorithms = CHAP_BIT(CHAP_MD5);
	run.conf.chap_algorithms = CHAP_BIT(CHAP_SHA1);
	fails_with("login refused: 0201 authentication failure, when we offered our algorithms of CHAP");
	begin(&other_name, &mutual, distrusted_script);
	fails_with("login: CHAP: the target calls itself \"target\"");
	begin(&one_way, &one_way, misnumbering_script);
	fails_with("login: CHAP: CHAP_A=4 was not offered");
}

static void impostor_script(struct run *r)
{
	static const struct chap_user impostor = {
		.name = "alice", .secret = &alice, .mutual_secret = &mallory, .mutual_name = "target",
	};

	theirs.users = &impostor;
	distrusted_script(r);
}

static void a_target_that_cannot_prove_itself_is_not_used(void)
{
	begin(&mutual, NULL, impostor_script);
	fails_with("login: CHAP: the target does not know the secret of its own");
}

/* Answers to the first request that lead past the authentication, or to where there is none. */
static const struct evasion {
	const char *answer;	/* pairs, with ';' between them */
	uint8_t nsg;
	bool mutual;
	const char *says;	/* "" = that is all right */
} evasions[] = {
	{ "AuthMethod=None", 0, true, "login: the target does not take part in CHAP (AuthMethod=None)" },
	{ "AuthMethod=Reject", 0, true, "login: the target does not take part in CHAP (AuthMethod=Reject)" },
	{ "AuthMethod=KRB5", 0, false, "login: the target does not take part in CHAP (AuthMethod=KRB5)" },
	{ "", 0, true, "login: the target does not prove itself (it says nothing of AuthMethod)" },
	{ "AuthMethod=CHAP", 1, false, "login: a transit that we did not ask for (RFC 7143 §11.13.3)" },
	{ "AuthMethod=CHAP;AuthMethod=None", 0, false, "login: AuthMethod a second time" },
	{ "CHAP_A=5", 0, false, "login: CHAP_A without AuthMethod=CHAP" },
	{ "AuthMethod=CHAP;CHAP_A=5", 0, false, "login: CHAP: CHAP_A is out of turn" },
	{ "AuthMethod=None", 0, false, "" },
	{ "", 0, false, "" },
};
static const struct evasion *evasion;

static void evading_script(struct run *r)
{
	size_t len = *evasion->answer ? strlen(evasion->answer) + 1 : 0;

	first_request(r);
	snprintf(text, sizeof(text), "%s", evasion->answer);
	for (char *p = text; (p = strchr(p, ';')); )
		*p++ = '\0';
	give_text(r, login_answer(r, 0, evasion->nsg), text, len);
	if (*evasion->says) {
		CHECK(r, !take(r));
		return;
	}
	expect(r, OP_LOGIN_REQUEST);		/* now it may leave the stage */
	CHECK(r, r->got.csg == 0 && r->got.final && !r->got.data_len);
	give_text(r, login_answer(r, 0, 1), "", 0);
	session(r);
}

static void no_way_leads_around_the_authentication(void)
{
	for (size_t i = 0; i < sizeof(evasions) / sizeof(evasions[0]); i++) {
		evasion = &evasions[i];
		begin(evasion->mutual ? &mutual : &one_way, NULL, evading_script);
		execute(&run);
		if (strcmp(run.why, evasion->says) != 0)
			fprintf(stderr, "\n%s: %s\n", evasion->answer, run.why);
		CU_ASSERT_STRING_EQUAL(run.why, evasion->says);
	}
}

/* It has the initiator's proof, and gives none. */
static void silent_script(struct run *r)
{
	struct chap chap;
	struct key_text out;

	chap_target(&chap, &mutual, 1, CHAP_ALL);
	first_request(r);
	choose_chap(r);
	CHECK(r, step(r, &chap, &out) == CHAP_MORE);
	give_text(r, login_answer(r, 0, 0), text, out.len);
	CHECK(r, step(r, &chap, &out) == CHAP_DONE);
	give_text(r, login_answer(r, 0, 1), "", 0);
	CHECK(r, !take(r));
}

static void a_target_that_keeps_its_proof_to_itself_is_not_used(void)
{
	begin(&mutual, NULL, silent_script);
	fails_with("login: CHAP: CHAP_N is missing");
}

static void none_script(struct run *r)
{
	first_request(r);
	refuse(r, 1);
}

static void whoever_has_no_account_is_told_that_one_is_needed(void)
{
	begin(NULL, NULL, none_script);
	fails_with("login refused: 0201 authentication failure; no CHAP user is configured");
}

static uint8_t refusal;
static bool right_secret;

/* tgt's way: 7 is chosen, SHA1 is meant, and the response is not understood. Then MD5. */
static void wrong_number_script(struct run *r)
{
	struct chap chap;
	struct key_text out;

	chap_target(&chap, &one_way, 1, CHAP_BIT(CHAP_SHA256));
	first_request(r);
	choose_chap(r);
	CHECK(r, step(r, &chap, &out) == CHAP_MORE);
	give_text(r, login_answer(r, 0, 0), text, out.len);
	expect(r, OP_LOGIN_REQUEST);
	refuse(r, refusal);
	theirs.algorithms = CHAP_ALL;
	if (!authenticate(r)) {
		CHECK(r, !right_secret);
		return;
	}
	CHECK(r, right_secret);
	session(r);
}

static void a_wrong_number_for_sha1_is_got_around_once(void)
{
	for (refusal = 0; refusal < 2; refusal++) {
		right_secret = true;
		begin(&one_way, &one_way, wrong_number_script);
		execute(&run);
		CU_ASSERT_STRING_EQUAL(run.why, "");
		right_secret = false;
		begin(&wrong, &one_way, wrong_number_script);
		fails_with("login refused: 0201 authentication failure of user \"alice\" by CHAP with MD5");
	}
}

/* A session that comes back proves itself again. */
static void returning_script(struct run *r)
{
	CHECK(r, authenticate(r));
	operational_stage(r);
	serve_probe(r);
	expect(r, OP_SCSI_COMMAND);
	hang_up(r);
	CHECK(r, authenticate(r));
	operational_stage(r);
	expect(r, OP_SCSI_COMMAND);
	give_data(r, r->got.itt, (uint8_t[512]) { 0 }, 512, true);
	serve_logout(r);
}

static void a_session_that_comes_back_authenticates_again(void)
{
	begin(&mutual, &mutual, returning_script);
	SET_KEYS(&run, "DefaultTime2Wait=0");
	add_order(&run, CDB_DATA_IN, 512);
	run.finished = once_more;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

static char traced[8192];

static void keep(enum log_level level, const char *line)
{
	size_t used = strlen(traced);

	(void)level;
	snprintf(traced + used, sizeof(traced) - used, "%s\n", line);
}

static void traces_tell_neither_challenge_nor_response(void)
{
	begin(&mutual, &mutual, honest_script);
	log_set_sink(keep);
	iscsi_debug_login = 1;
	execute(&run);
	iscsi_debug_login = 0;
	CU_ASSERT_STRING_EQUAL(run.why, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(traced, "CHAP_R=...\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(traced, "CHAP_C=...\n"));
	CU_ASSERT_PTR_NULL(strstr(traced, "=0x"));
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_login_proves_who_it_is_by_every_algorithm),
	UNIT_TEST(what_does_not_fit_is_named),
	UNIT_TEST(a_target_that_cannot_prove_itself_is_not_used),
	UNIT_TEST(no_way_leads_around_the_authentication),
	UNIT_TEST(a_target_that_keeps_its_proof_to_itself_is_not_used),
	UNIT_TEST(whoever_has_no_account_is_told_that_one_is_needed),
	UNIT_TEST(a_wrong_number_for_sha1_is_got_around_once),
	UNIT_TEST(a_session_that_comes_back_authenticates_again),
	UNIT_TEST(traces_tell_neither_challenge_nor_response),
};

UNIT_MAIN("initiator CHAP", tests)
