/* Discovery sessions against a scripted target: what is asked, what is found, what goes wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discovery.h"
#include "scripted_target.h"
#include "unit.h"

static struct run run;		/* too big for a stack */

/* What was found, in one text: "name host:port,tag host:port,tag; name ..." */
static char found[64u << 10];
static unsigned found_count;

static void discovered(void *opaque, const struct discovered_target *targets, unsigned count,
		       const char *why)
{
	struct run *r = opaque;
	size_t used = 0;

	found_count = count;
	*found = '\0';
	snprintf(r->why, sizeof(r->why), "%s", why ? why : "");
	for (unsigned i = 0; i < count && used < sizeof(found); i++) {
		used += (size_t)snprintf(found + used, sizeof(found) - used, "%s%s", i ? "; " : "",
					 targets[i].name);
		for (unsigned j = 0; j < targets[i].portal_count && used < sizeof(found); j++) {
			char portal[ISCSI_PORTAL_TEXT];

			iscsi_portal_format(&targets[i].portals[j].portal, portal);
			used += (size_t)snprintf(found + used, sizeof(found) - used, " %s,%u", portal,
						 targets[i].portals[j].tag);
		}
	}
	loop_stop(r->loop);
}

static void discover(struct run *r)
{
	iscsi_discover(r->loop, r->offload, &r->url.portals[0], &r->conf, discovered, r);
}

static void begin(void (*script)(struct run *))
{
	run_init(&run, script);
	run.instead = discover;
}

/* Up to the question. */
static void ask(struct run *r)
{
	static const char none[] = "AuthMethod=None";

	accept_initiator(r);
	expect(r, OP_LOGIN_REQUEST);
	r->exp_cmd_sn = r->first_cmd_sn = r->got.cmd_sn;
	CHECK(r, said(r, "SessionType=Discovery") && !said(r, "TargetName=" TARGET_NAME));
	give_text(r, login_answer(r, 0, 1), none, sizeof(none));
	operational_stage(r);
	/* What is about data does not belong here (RFC 7143 §13). */
	CHECK(r, !said(r, "InitialR2T=No") && !said(r, "MaxBurstLength=1048576"));
	expect(r, OP_TEXT_REQUEST);
	CHECK(r, said(r, "SendTargets=All") && r->got.final && r->got.ttt == ISCSI_NO_TAG);
}

static void give_piece(struct run *r, const char *text, size_t len, bool last)
{
	struct bhs bhs = answer(r, OP_TEXT_RESPONSE);

	bhs.data_len = (uint32_t)len;
	bhs.final = last;
	bhs.cont = !last;
	bhs.ttt = last ? ISCSI_NO_TAG : 17;
	r->stat_sn++;
	give(r, &bhs, text);
}

/* Listings, with ';' for NUL, and what is to be made of them. */
static const struct listing {
	const char *text, *found, *why;
} listings[] = {
	{ "", "", "" },
	{ "TargetName=iqn.a;TargetAddress=192.0.2.1:3261,1;TargetAddress=[2001:db8::1]:3260,2;"
	  "TargetName=iqn.b;TargetAddress=san.example,65535;",
	  "iqn.a 192.0.2.1:3261,1 [2001:db8::1]:3260,2; iqn.b san.example:3260,65535", "" },
	/* Without an address: where it was asked for. HERE is that. */
	{ "TargetName=iqn.a;TargetName=iqn.b;TargetAddress=192.0.2.1;", "iqn.a HERE,1; iqn.b 192.0.2.1:3260,1", "" },
	/* Keys of others, and addresses that make no sense, do not spoil the rest. */
	{ "X-com.example=1;TargetAddress=192.0.2.9,1;TargetName=iqn.a;TargetAlias=x;TargetAddress=[::1;"
	  "TargetAddress=192.0.2.1:99999,1;TargetAddress=192.0.2.1,65536;TargetAddress=192.0.2.2,3;",
	  "iqn.a 192.0.2.2:3260,3", "" },
	/* A scope is no escape. */
	{ "TargetName=iqn.a;TargetAddress=[fe80::1%eth0]:3260,1;", "iqn.a [fe80::1%eth0]:3260,1", "" },
	{ "TargetName=;", "", "SendTargets: a target's name has 0 bytes" },
	{ "TargetName", "", "SendTargets: text does not end in NUL" },
	{ "TargetName;", "", "SendTargets: text without '='" },
};
static const struct listing *listing;

static void listing_script(struct run *r)
{
	char text[1000];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", listing->text);

	for (size_t i = 0; i < len; i++)
		if (text[i] == ';')
			text[i] = '\0';
	ask(r);
	give_piece(r, text, len, true);
	serve_logout(r);
}

static void every_listing_is_read(void)
{
	for (size_t i = 0; i < sizeof(listings) / sizeof(listings[0]); i++) {
		char expected[300], here[32];
		const char *at;

		listing = &listings[i];
		begin(listing_script);
		execute(&run);
		at = strstr(listing->found, "HERE");
		snprintf(here, sizeof(here), "127.0.0.1:%u", run.ports[0]);
		snprintf(expected, sizeof(expected), "%.*s%s%s",
			 at ? (int)(at - listing->found) : (int)strlen(listing->found), listing->found,
			 at ? here : "", at ? at + 4 : "");
		CU_ASSERT_STRING_EQUAL(run.why, listing->why);
		CU_ASSERT_STRING_EQUAL(found, expected);
	}
}

#define MANY	1000u

/* A thousand targets, in pieces that cut their names in two. */
static void long_script(struct run *r)
{
	static char text[MANY * 100];
	size_t len = 0;

	for (unsigned i = 0; i < MANY; i++) {
		len += (size_t)sprintf(text + len, "TargetName=iqn.2001-04.com.example:disk-%u", i) + 1;
		len += (size_t)sprintf(text + len, "TargetAddress=192.0.2.1:3260,%u", i) + 1;
	}
	ask(r);
	for (size_t at = 0; at < len; at += 509) {
		bool last = at + 509 >= len;

		give_piece(r, text + at, last ? len - at : 509, last);
		if (last)
			break;
		expect(r, OP_TEXT_REQUEST);
		CHECK(r, r->got.ttt == 17 && !r->got.data_len);
	}
	serve_logout(r);
}

static void a_long_answer_comes_in_pieces(void)
{
	begin(long_script);
	run.conf.params.our_max_recv_data_segment_length = 512;
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "");
	CU_ASSERT_EQUAL(found_count, MANY);
	CU_ASSERT_PTR_NOT_NULL(strstr(found, "iqn.2001-04.com.example:disk-999 192.0.2.1:3260,999"));
}

static void endless_script(struct run *r)
{
	ask(r);
	do
		give_piece(r, "X", 1, false);
	while (take(r));
}

static void an_answer_without_an_end_is_given_up(void)
{
	begin(endless_script);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, "SendTargets: the answer has no end within 4194304 bytes");
}

/* What else a target may do to us. */
static enum { SILENT, LEAVES, REJECTS, OTHER_TAG, BOTH_BITS, NO_TAG, EVILS } evil;

static void evil_script(struct run *r)
{
	uint8_t header[BHS_LEN];
	struct bhs bhs;

	ask(r);
	bhs = answer(r, evil == REJECTS ? OP_REJECT : OP_TEXT_RESPONSE);
	bhs.cont = evil == BOTH_BITS;
	bhs.final = evil != NO_TAG;
	if (evil == OTHER_TAG)
		bhs.itt++;
	if (evil == REJECTS) {
		bhs.reason = 4;
		bhs.data_len = BHS_LEN;
		bhs_encode(&r->got, header);
	}
	r->stat_sn++;
	if (evil == REJECTS) {
		give(r, &bhs, header);
		serve_logout(r);
		return;
	}
	if (evil != SILENT && evil != LEAVES)
		give(r, &bhs, NULL);
	if (evil != LEAVES)
		CHECK(r, !take(r));
	hang_up(r);
}

static void what_goes_wrong_is_named(void)
{
	static const char *const says[] = {
		[SILENT] = "SendTargets not answered within 1 s",
		[LEAVES] = "closed by the peer",
		[REJECTS] = "the target rejects SendTargets",
		[OTHER_TAG] = "Text Response to no request of ours, ITT 0x",
		[BOTH_BITS] = "Text Response that is neither whole nor to be continued",
		[NO_TAG] = "Text Response that is neither whole nor to be continued",
	};

	for (evil = 0; evil < EVILS; evil++) {
		begin(evil_script);
		if (evil == SILENT)
			run.conf.login_timeout = 1;	/* and of the login as well, which is answered */
		execute(&run);
		if (strncmp(run.why, says[evil], strlen(says[evil])) != 0)
			fprintf(stderr, "\n%s\n", run.why);
		CU_ASSERT_EQUAL(strncmp(run.why, says[evil], strlen(says[evil])), 0);
	}
}

static void nobody_script(struct run *r)
{
	(void)r;
}

static void a_portal_that_is_not_there_is_named(void)
{
	char expected[64];

	begin(nobody_script);
	close_listener(&run);
	snprintf(expected, sizeof(expected), "connect to 127.0.0.1:%u: Connection refused", run.ports[0]);
	execute(&run);
	CU_ASSERT_STRING_EQUAL(run.why, expected);
}

static const struct unit_test tests[] = {
	UNIT_TEST(every_listing_is_read),
	UNIT_TEST(a_long_answer_comes_in_pieces),
	UNIT_TEST(an_answer_without_an_end_is_given_up),
	UNIT_TEST(what_goes_wrong_is_named),
	UNIT_TEST(a_portal_that_is_not_there_is_named),
};

UNIT_MAIN("discovery", tests)
