/*
 * Other access rules come into force under sessions that must not stay, and under logins
 * (access.h): who is no longer welcome is asked to leave, in good order if it likes, and a
 * login under way ends as it began or is to be tried again.
 */
#include "chap.h"
#include "keys.h"
#include "reload_bed.h"
#include "sense.h"
#include "unit.h"

static void expect_logout_request(uint16_t seconds)
{
	struct bhs want = { .op = OP_ASYNC_MESSAGE, .async_event = 1, .parameter3 = seconds };

	peer_expect(&peer, &want, NULL, 0);
}

static void wait_for_the_end(void)
{
	peer_expect_drop(&peer, 0);
	peer_disconnect(&peer);
}

static void expect_login_status(uint16_t status)
{
	struct bhs b;

	peer_connect(&peer, &rig, 0);
	b = peer_login_request(&peer, sizeof(NAMES));
	peer_send(&peer, &b, NAMES);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.status_class << 8 | peer.got.status_detail, status);
}

/* Whoever stays is dropped; what it is told when it comes back is "status". */
static void expect_farewell(uint16_t status)
{
	unsigned before = change();

	CU_ASSERT_EQUAL(before, RIG_WORKERS - 1);
	CU_ASSERT(!old_rules_are_forgotten());
	expect_logout_request(1);
	wait_for_the_end();
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	CU_ASSERT(old_rules_are_forgotten());
	CU_ASSERT_EQUAL(disk->attached, disk->detached);
	expect_login_status(status);
	finish();
}

static void sessions_of_a_target_that_goes_are_ended(void)
{
	begin();
	peer_log_in(&peer);
	begin_change();
	target->entrance_count = 0;
	expect_farewell(0x0203);
}

static void sessions_that_are_not_admitted_any_more_are_ended(void)
{
	begin();
	peer_log_in(&peer);
	begin_change();
	OK(access_add_initiator(everybody, "iqn.2026-11.test:somebody-else"));
	expect_farewell(0x0202);
}

static void sessions_of_a_portal_group_that_goes_are_ended(void)
{
	begin();
	peer_log_in(&peer);
	begin_change();
	group->tag = 2;
	expect_farewell(0x0301);
}

static void sessions_of_a_target_that_moves_are_ended(void)
{
	begin();
	peer_log_in(&peer);
	begin_change();
	OK(access_redirect_target(target, ACCESS_MOVED_PERMANENTLY, "192.0.2.99"));
	expect_farewell(0x0102);
}

static void sessions_of_a_target_that_goes_offline_are_ended(void)
{
	begin();
	peer_log_in(&peer);
	begin_change();
	target->offline = true;
	expect_farewell(0x0301);
}

static void who_has_proved_nothing_must_when_it_is_asked_for(void)
{
	static const struct chap_secret secret = { 16, "sixteen bytes..." };

	begin();
	peer_log_in(&peer);
	begin_change();
	everybody->auth = ACCESS_CHAP;
	OK(access_add_user(everybody, "alice", &secret, NULL, NULL));
	expect_farewell(0x0201);
}

static void discovery_sessions_are_ended_too(void)
{
	struct access_auth_group *nobody;

	begin();
	peer_log_in_to_discovery(&peer);
	begin_change();
	OK(access_add_auth_group(other, "nobody", ACCESS_DENY, &nobody));
	group->discovery_auth = nobody;
	CU_ASSERT_EQUAL(change(), RIG_WORKERS - 1);
	expect_logout_request(1);
	peer_expect_drop(&peer, 0);
	finish();
}

/* All connections of a session go by the same rules. */
static void every_connection_is_asked_to_leave(void)
{
	struct peer second;
	struct bhs b, want = { .op = OP_ASYNC_MESSAGE, .async_event = 1, .parameter3 = 1 };

	begin();
	peer_log_in_with(&peer, TEXT(NAMES "\0MaxConnections=2"));
	peer_connect(&second, &rig, 1);
	second.isid = peer.isid;
	second.cmd_sn = peer.cmd_sn;
	b = peer_login_request(&second, sizeof(NAMES));
	b.tsih = peer.got.tsih;
	b.cid = 2;
	peer_send(&second, &b, NAMES);
	CU_ASSERT_FATAL(peer_get(&second));
	CU_ASSERT_FATAL(second.got.final && !second.got.status_class);
	second.stat_sn++;
	begin_change();
	for (unsigned i = 0; i < RIG_LUNS; i++)
		map(i, i, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	peer_expect_silence(&peer);
	peer_expect_silence(&second);
	begin_change();
	target->offline = true;
	change();
	expect_logout_request(1);
	peer_expect(&second, &want, NULL, 0);
	peer_expect_drop(&peer, 0);
	peer_expect_drop(&second, 0);
	peer_disconnect(&second);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	finish();
}

static void who_logs_out_when_asked_is_answered(void)
{
	struct bhs b = { .op = OP_LOGOUT_REQUEST, .final = true, .itt = 8 };
	struct bhs want = { .op = OP_LOGOUT_RESPONSE, .itt = 8, .time2wait = 2,
			    .time2retain = 20 };

	begin();
	rig.conf.logout_timeout = 60;
	peer_log_in(&peer);
	begin_change();
	target->entrance_count = 0;
	change();
	expect_logout_request(60);
	peer_send_numbered(&peer, &b, NULL);
	peer_expect(&peer, &want, NULL, 0);
	peer_expect_end(&peer);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	finish();
}

/* Until it leaves, or has to, it has what it had: its tasks end in good order. */
static void who_is_asked_to_leave_may_finish(void)
{
	begin();
	rig.conf.logout_timeout = 60;
	peer_log_in(&peer);
	submit_read(1, 0);
	begin_change();
	target->entrance_count = 0;
	change();
	expect_logout_request(60);
	CU_ASSERT_EQUAL(disk->aborted, 0);
	rig_end_good(&rig, disk, 0);
	expect_data(1);
	submit_read(2, 0);
	rig_end_good(&rig, disk, 0);
	expect_data(2);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS - 1);
	finish();
}

static void tasks_at_the_unit_outlive_the_farewell(void)
{
	begin();
	peer_log_in(&peer);
	submit_read(1, 0);
	begin_change();
	target->entrance_count = 0;
	change();
	expect_logout_request(1);
	peer_expect_drop(&peer, 0);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(disk->aborted, 1);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS - 1);	/* the unit must not be closed yet */
	rig_end(&rig, disk, 0, STATUS_TASK_ABORTED, 0, 512);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	finish();
}

static void the_user_that_one_is_must_stay_the_same(void)
{
	static const struct chap_secret secret = { 16, "sixteen bytes..." };
	static const struct chap_secret changed = { 16, "sixteen others.." };
	const struct chap_user alice = { .name = "alice", .secret = &secret };

	for (int same = 0; same < 2; same++) {
		struct access_auth_group *chap;
		char text[512];
		struct key_text out = { .text = text, .room = sizeof(text) };
		struct key_pair pair;
		struct chap mine;
		const char *why;
		size_t at = 0;
		struct bhs b;

		begin();
		OK(access_add_auth_group(rig.access, "chap", ACCESS_CHAP, &chap));
		OK(access_add_user(chap, "alice", &secret, NULL, NULL));
		rig.target->entrances[0].auth = chap;
		b = peer_login_request(&peer, sizeof(NAMES "\0AuthMethod=CHAP"));
		b.csg = 0;
		peer_send(&peer, &b, NAMES "\0AuthMethod=CHAP");
		CU_ASSERT_FATAL(peer_get(&peer));
		b.data_len = sizeof("CHAP_A=7");
		peer_send(&peer, &b, "CHAP_A=7");
		CU_ASSERT_FATAL(peer_get(&peer));
		chap_initiator(&mine, &alice, CHAP_BIT(CHAP_SHA256));
		chap_step(&mine, &out);
		while (keys_next((char *)peer.data, peer.got.data_len, &at, &pair, &why) > 0)
			chap_take(&mine, &pair);
		out.len = 0;
		CU_ASSERT_EQUAL(chap_step(&mine, &out), CHAP_DONE);
		b.data_len = (uint32_t)out.len;
		peer_send(&peer, &b, text);
		CU_ASSERT_FATAL(peer_get(&peer));
		CU_ASSERT_FATAL(peer.got.final && peer.got.nsg == 3);
		peer.stat_sn += 3;

		begin_change();
		everybody->auth = ACCESS_CHAP;
		OK(access_add_user(everybody, "bob", &changed, NULL, NULL));
		OK(access_add_user(everybody, "alice", same ? &secret : &changed, NULL, NULL));
		CU_ASSERT_EQUAL(change(), same ? RIG_WORKERS : RIG_WORKERS - 1);
		if (same)
			peer_expect_silence(&peer);
		else
			expect_logout_request(1);
		finish();
	}
}

static void the_end_of_the_process_may_come_meanwhile(void)
{
	begin();
	rig.conf.logout_timeout = 0;
	peer_log_in(&peer);
	submit_read(1, 0);
	begin_change();
	map(1, 1, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS - 1);
	target_shutdown(&rig.service[0]);
	expect_logout_request(0);
	rig_end(&rig, disk, 0, STATUS_TASK_ABORTED, 0, 512);
	peer_expect_sense(&peer, 1, SENSE_LUN_NOT_SUPPORTED, 512, 0);
	peer_expect_drop(&peer, 0);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	CU_ASSERT_EQUAL(rig.idle, 1);
	finish();
}

/* ---- logins under way */

/* The first of its two requests, and the answer. */
static void begin_login(void)
{
	struct bhs b = peer_login_request(&peer, sizeof(NAMES));

	b.csg = 0;
	b.nsg = 1;
	peer_send(&peer, &b, NAMES);
	CU_ASSERT_FATAL(peer_get(&peer));
}

static void end_login(void)
{
	struct bhs b = peer_login_request(&peer, 0);

	peer_send(&peer, &b, NULL);
	CU_ASSERT_FATAL(peer_get(&peer));
}

static void a_login_goes_by_what_it_began_with(void)
{
	begin();
	begin_login();
	begin_change();
	map(0, 1, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	end_login();
	CU_ASSERT(peer.got.final && !peer.got.status_class);
	/* ... and the session by what is in force. */
	CU_ASSERT_EQUAL(disk->attached, 0);
	CU_ASSERT_EQUAL(passed->attached, 1);
	CU_ASSERT(old_rules_are_forgotten());
	finish();
}

static void a_login_that_would_fail_now_is_to_be_tried_again(void)
{
	begin();
	begin_login();
	begin_change();
	OK(access_add_initiator(everybody, "iqn.2026-11.test:somebody-else"));
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	end_login();
	CU_ASSERT_EQUAL(peer.got.status_class << 8 | peer.got.status_detail, 0x0301);
	peer_expect_end(&peer);
	peer_disconnect(&peer);
	expect_login_status(0x0202);
	finish();
}

/* A session that waits for the end of the one that it replaces. */
static void who_takes_over_follows_or_goes(void)
{
	for (int stays = 0; stays < 2; stays++) {
		struct peer heir;
		struct bhs b;

		begin();
		peer_log_in(&peer);
		submit_read(1, 0);
		peer_connect(&heir, &rig, 1);
		b = peer_login_request(&heir, sizeof(NAMES));
		peer_send(&heir, &b, NAMES);
		begin_change();
		map(1, 1, false);
		if (!stays)
			target->entrance_count = 0;
		change();
		rig_end(&rig, disk, 0, STATUS_TASK_ABORTED, 0, 512);
		for (int i = 0; i < 5; i++)
			rig_turn(&rig);
		if (stays)
			CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
		peer_disconnect(&heir);
		CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
		finish();
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(sessions_of_a_target_that_goes_are_ended),
	UNIT_TEST(sessions_that_are_not_admitted_any_more_are_ended),
	UNIT_TEST(sessions_of_a_portal_group_that_goes_are_ended),
	UNIT_TEST(sessions_of_a_target_that_moves_are_ended),
	UNIT_TEST(sessions_of_a_target_that_goes_offline_are_ended),
	UNIT_TEST(who_has_proved_nothing_must_when_it_is_asked_for),
	UNIT_TEST(discovery_sessions_are_ended_too),
	UNIT_TEST(every_connection_is_asked_to_leave),
	UNIT_TEST(who_logs_out_when_asked_is_answered),
	UNIT_TEST(who_is_asked_to_leave_may_finish),
	UNIT_TEST(tasks_at_the_unit_outlive_the_farewell),
	UNIT_TEST(the_user_that_one_is_must_stay_the_same),
	UNIT_TEST(the_end_of_the_process_may_come_meanwhile),
	UNIT_TEST(a_login_goes_by_what_it_began_with),
	UNIT_TEST(a_login_that_would_fail_now_is_to_be_tried_again),
	UNIT_TEST(who_takes_over_follows_or_goes),
};

UNIT_MAIN("target_evict", tests)
