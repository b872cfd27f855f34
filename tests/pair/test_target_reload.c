/*
 * Other access rules come into force under sessions that are at work (access.h): who is
 * not concerned notices nothing, a LUN that goes takes its tasks along, who is no longer
 * welcome is asked to leave, and it is known when nobody uses what went.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chap.h"
#include "scsi_data.h"
#include "target_rig.h"
#include "unit.h"

#define OK(why)		CU_ASSERT_PTR_NULL_FATAL(why)
#define NAMES		"InitiatorName=" RIG_INITIATOR "\0TargetName=" RIG_TARGET

static struct rig rig;
static struct peer peer;
static struct rig_lu *disk, *passed;	/* LUNs 0 and 1 of worker 0, at first */

static void begin(void)
{
	rig_init(&rig);
	rig.conf.logout_timeout = 0.05;
	rig_start(&rig);
	disk = &rig.lu[0][0];
	passed = &rig.lu[1][0];
	peer_connect(&peer, &rig, 0);
}

static void finish(void)
{
	peer_disconnect(&peer);
	rig_stop(&rig);
}

/* Other rules, as those of the rig but for what the test does to them. */
static struct access *other;
static struct access_auth_group *everybody;
static struct access_portal_group *group;
static struct access_target *target;

static void begin_change(void)
{
	other = access_new();
	OK(access_add_auth_group(other, "everybody", ACCESS_OPEN, &everybody));
	OK(access_add_portal_group(other, "rig", RIG_GROUP, everybody, &group));
	OK(access_add_target(other, RIG_TARGET, everybody, &target));
	OK(access_add_entrance(target, group, NULL));
}

static void map(unsigned lun, unsigned export, bool read_only)
{
	OK(access_add_lun(target->maps[0], lun, &rig.export[export], read_only));
}

/* The number of the workers that have let go of what was before. */
static unsigned change(void)
{
	rig.follows = 0;
	rig_follow(&rig, other);
	access_drop(other);
	return rig.follows;
}

/* Nobody holds the rules that the rig began with but the rig. */
static bool old_rules_are_forgotten(void)
{
	return atomic_load(&rig.access->holders) == 1;
}

static struct bhs command(const struct cdb *cdb, uint64_t lun, uint32_t itt, uint32_t edtl)
{
	struct bhs b = { .op = OP_SCSI_COMMAND, .final = true, .read = edtl > 0, .itt = itt,
			 .edtl = edtl, .lun = lun, .attribute = TASK_SIMPLE };

	cdb_encode(cdb, b.cdb);
	return b;
}

static void submit_read(uint32_t itt, unsigned lun)
{
	struct bhs b = peer_read(itt, 512, 1);

	b.lun = lun_encode((uint16_t)lun);
	peer_send_numbered(&peer, &b, NULL);
	rig_turn(&rig);
}

static void expect_data(uint32_t itt)
{
	struct bhs want = { .op = OP_DATA_IN, .final = true, .has_status = true, .itt = itt,
			    .ttt = ISCSI_NO_TAG };

	peer_expect(&peer, &want, rig_pattern(), 512);
}

static void what_does_not_concern_a_session_does_not_touch_it(void)
{
	struct access_target *more;

	begin();
	peer_log_in(&peer);
	submit_read(1, 0);
	submit_read(2, 1);
	begin_change();
	for (unsigned i = 0; i < RIG_LUNS; i++)
		map(i, i, false);
	OK(access_add_target(other, "iqn.2026-11.test:more", everybody, &more));
	OK(access_add_entrance(more, group, NULL));
	OK(access_set_alias(target, "another name"));
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	CU_ASSERT(old_rules_are_forgotten());
	peer_expect_silence(&peer);
	CU_ASSERT_EQUAL(disk->aborted + passed->aborted, 0);
	CU_ASSERT_EQUAL(disk->tellings + passed->tellings, 0);
	CU_ASSERT_EQUAL(disk->attached, 1);
	rig_end_good(&rig, disk, 0);
	expect_data(1);
	rig_end_good(&rig, passed, 0);
	expect_data(2);
	finish();
}

static void a_new_lun_is_announced(void)
{
	const struct cdb cdb = { .id = CDB_REPORT_LUNS, .alloc_len = 256 };
	const uint64_t luns[] = { 0, lun_encode(9) };
	struct bhs b = command(&cdb, 0, 3, 256);
	struct bhs want = { .op = OP_DATA_IN, .final = true, .has_status = true, .itt = 3,
			    .ttt = ISCSI_NO_TAG, .underflow = true, .residual = 232 };
	uint8_t data[64];

	begin();
	rig.target->maps[0]->count = 1;
	peer_log_in(&peer);
	CU_ASSERT_EQUAL(passed->attached, 0);
	submit_read(1, 0);
	begin_change();
	map(0, 0, false);
	map(9, 1, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	CU_ASSERT_EQUAL(disk->told, SENSE_LUNS_CHANGED);
	CU_ASSERT_EQUAL(disk->attached, 1);
	CU_ASSERT_EQUAL(passed->attached, 1);
	CU_ASSERT_EQUAL(disk->aborted, 0);
	rig_end_good(&rig, disk, 0);
	expect_data(1);
	/* Who asks what there is knows it. */
	peer_send_numbered(&peer, &b, NULL);
	peer_expect(&peer, &want, data, (uint32_t)report_luns_encode(luns, 2, data));
	CU_ASSERT_EQUAL(disk->told, 0);
	CU_ASSERT_EQUAL(disk->tellings, 2);
	submit_read(4, 9);
	rig_end_good(&rig, passed, 0);
	expect_data(4);
	finish();
}

static void a_lun_that_goes_takes_its_tasks_along(void)
{
	begin();
	peer_log_in(&peer);
	submit_read(1, 0);
	submit_read(2, 0);
	submit_read(3, 1);
	begin_change();
	map(1, 1, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS - 1);
	CU_ASSERT_EQUAL(disk->aborted, 2);
	CU_ASSERT_EQUAL(disk->detached, 0);
	CU_ASSERT_EQUAL(passed->aborted, 0);
	CU_ASSERT(!old_rules_are_forgotten());
	/* One has been executed, and says so; the other has not. */
	rig_end_good(&rig, disk, 0);
	expect_data(1);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS - 1);
	rig_end(&rig, disk, 0, STATUS_TASK_ABORTED, 0, 512);
	peer_expect_sense(&peer, 2, SENSE_LUN_NOT_SUPPORTED, 512, 0);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	CU_ASSERT_EQUAL(disk->detached, 1);
	CU_ASSERT(old_rules_are_forgotten());
	submit_read(4, 0);
	peer_expect_sense(&peer, 4, SENSE_LUN_NOT_SUPPORTED, 512, 0);
	CU_ASSERT_EQUAL(disk->submitted, 2);
	rig_end_good(&rig, passed, 0);
	expect_data(3);
	finish();
}

static void units_that_end_tasks_at_once_are_let_go_at_once(void)
{
	begin();
	disk->ends_at_abort = true;
	peer_log_in(&peer);
	submit_read(1, 0);
	begin_change();
	map(1, 1, false);
	change();
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	peer_expect_sense(&peer, 1, SENSE_LUN_NOT_SUPPORTED, 512, 0);
	CU_ASSERT_EQUAL(disk->detached, 1);
	finish();
}

static void a_write_that_collects_its_data_is_not_executed(void)
{
	struct bhs b = peer_write(1, 1024, 2, 512);

	begin();
	peer_log_in(&peer);
	peer_send_numbered(&peer, &b, rig_pattern());
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL_FATAL(peer.got.op, OP_R2T);
	begin_change();
	map(1, 1, false);
	/* Nothing of it is at the unit. */
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	CU_ASSERT_EQUAL(disk->detached, 1);
	b = (struct bhs){ .op = OP_DATA_OUT, .final = true, .itt = 1, .ttt = peer.got.ttt,
			  .offset = 512, .data_len = 512 };
	peer_send(&peer, &b, rig_pattern() + 512);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT(peer.got.op == OP_SCSI_RESPONSE && peer.got.status == STATUS_CHECK_CONDITION);
	CU_ASSERT_EQUAL(peer.data[2 + 12], SENSE_ASC(SENSE_LUN_NOT_SUPPORTED));
	CU_ASSERT_EQUAL(disk->submitted, 0);
	finish();
}

static void a_number_may_stand_for_another_unit(void)
{
	begin();
	peer_log_in(&peer);
	submit_read(1, 0);
	begin_change();
	map(0, 1, false);
	map(1, 0, false);
	/* Both units stay the session's, but no task of a number that means another unit now. */
	change();
	CU_ASSERT_EQUAL(disk->aborted, 1);
	CU_ASSERT_EQUAL(disk->attached, 1);
	rig_end(&rig, disk, 0, STATUS_TASK_ABORTED, 0, 512);
	peer_expect_sense(&peer, 1, SENSE_LUN_NOT_SUPPORTED, 512, 0);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	CU_ASSERT_EQUAL(disk->detached, 0);
	submit_read(2, 1);
	rig_end_good(&rig, disk, 0);
	expect_data(2);
	finish();
}

static void a_function_keeps_the_unit_that_it_works_at(void)
{
	struct bhs b = { .op = OP_TMF_REQUEST, .immediate = true, .itt = 7,
			 .function = TMF_LU_RESET, .lun = 0 };
	struct bhs want = { .op = OP_TMF_RESPONSE, .itt = 7 };

	begin();
	peer_log_in(&peer);
	peer_send(&peer, &b, NULL);
	rig_turn(&rig);
	begin_change();
	map(1, 1, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS - 1);
	CU_ASSERT_EQUAL(disk->detached, 0);
	rig_end_tmf(&rig, disk, TMF_COMPLETE);
	peer_expect(&peer, &want, NULL, 0);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	CU_ASSERT_EQUAL(disk->detached, 1);
	finish();
}

static void write_protection_may_come_and_go(void)
{
	begin();
	peer_log_in(&peer);
	submit_read(1, 0);
	begin_change();
	map(0, 0, true);
	map(1, 1, false);
	map(2, 2, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	CU_ASSERT_EQUAL(disk->told, SENSE_MODE_PARAMETERS_CHANGED);
	CU_ASSERT_EQUAL(disk->tellings, 1);
	CU_ASSERT_EQUAL(passed->tellings, 0);
	CU_ASSERT_EQUAL(disk->aborted, 0);
	rig_end_good(&rig, disk, 0);
	expect_data(1);
	submit_read(2, 0);
	CU_ASSERT(disk->task[0]->read_only);
	rig_end_good(&rig, disk, 0);
	expect_data(2);
	finish();
}

/* Its own unit attentions are the far end's, which does not know. */
static void a_session_of_pass_through_is_told_by_the_target(void)
{
	const struct cdb inquiry = { .id = CDB_INQUIRY, .alloc_len = 36 };
	struct bhs b = command(&inquiry, lun_encode(1), 3, 36);

	begin();
	peer_log_in(&peer);
	begin_change();
	map(1, 1, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	peer_send_numbered(&peer, &b, NULL);
	rig_turn(&rig);
	rig_end_good(&rig, passed, 0);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.op, OP_DATA_IN);
	peer.stat_sn++;
	submit_read(4, 1);
	peer_expect_sense(&peer, 4, SENSE_LUNS_CHANGED, 512, 0);
	submit_read(5, 1);
	rig_end_good(&rig, passed, 0);
	expect_data(5);
	finish();
}

/* A copy works at two units; it is known by one. */
static void a_copy_ends_if_anything_is_lost_and_only_then(void)
{
	struct bhs b = { .op = OP_SCSI_COMMAND, .final = true, .write = true, .itt = 1, .edtl = 16,
			 .data_len = 16, .attribute = TASK_SIMPLE };
	const struct cdb cdb = { .id = CDB_EXTENDED_COPY_LID1, .param_len = 16 };

	begin();
	rig.target->maps[0]->count = 2;
	cdb_encode(&cdb, b.cdb);
	peer_log_in(&peer);
	peer_send_numbered(&peer, &b, rig_pattern());
	rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(disk->count, 1);
	begin_change();
	for (unsigned i = 0; i < RIG_LUNS; i++)
		map(i, i, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	CU_ASSERT_EQUAL(disk->aborted, 0);
	begin_change();
	map(0, 0, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS - 1);
	CU_ASSERT_EQUAL(disk->aborted, 1);
	rig_end(&rig, disk, 0, STATUS_TASK_ABORTED, 0, 16);
	peer_expect_sense(&peer, 1, SENSE_COPY_TARGET_UNREACHABLE, 16, 0);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	finish();
}

/* ---- who has to go */

static void expect_logout_request(uint16_t seconds)
{
	struct bhs want = { .op = OP_ASYNC_MESSAGE, .async_event = 1, .parameter3 = seconds };

	peer_expect(&peer, &want, NULL, 0);
}

static void wait_for_the_end(void)
{
	peer_expect_end(&peer);
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
	peer_expect_end(&peer);
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
	peer_expect_end(&peer);
	peer_expect_end(&second);
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
	peer_expect_end(&peer);
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

/* ---- logins under way */

static void a_login_goes_by_what_it_began_with(void)
{
	struct bhs b;

	begin();
	b = peer_login_request(&peer, sizeof(NAMES));
	b.csg = 0;
	b.nsg = 1;
	peer_send(&peer, &b, NAMES);
	CU_ASSERT_FATAL(peer_get(&peer));
	begin_change();
	map(0, 1, false);
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	b = peer_login_request(&peer, 0);
	peer_send(&peer, &b, NULL);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT(peer.got.final && !peer.got.status_class);
	/* ... and the session by what is in force. */
	CU_ASSERT_EQUAL(disk->attached, 0);
	CU_ASSERT_EQUAL(passed->attached, 1);
	CU_ASSERT(old_rules_are_forgotten());
	finish();
}

static void a_login_that_would_fail_now_is_to_be_tried_again(void)
{
	struct bhs b;

	begin();
	b = peer_login_request(&peer, sizeof(NAMES));
	b.csg = 0;
	b.nsg = 1;
	peer_send(&peer, &b, NAMES);
	CU_ASSERT_FATAL(peer_get(&peer));
	begin_change();
	OK(access_add_initiator(everybody, "iqn.2026-11.test:somebody-else"));
	CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	b = peer_login_request(&peer, 0);
	peer_send(&peer, &b, NULL);
	CU_ASSERT_FATAL(peer_get(&peer));
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

static void changes_may_follow_one_another(void)
{
	begin();
	peer_log_in(&peer);
	for (unsigned i = 0; i < 50; i++) {
		begin_change();
		map(i % 3, i % 2, i % 5 == 0);
		if (i % 7)
			map(5, 2, false);
		CU_ASSERT_EQUAL(change(), RIG_WORKERS);
	}
	submit_read(1, 49 % 3);
	if (passed->count == 0)
		peer_expect_sense(&peer, 1, SENSE_LUNS_CHANGED, 512, 0);
	CU_ASSERT_EQUAL(passed->attached, passed->detached + 1);
	CU_ASSERT_EQUAL(disk->attached, disk->detached);
	finish();
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
	peer_expect_end(&peer);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.follows, RIG_WORKERS);
	CU_ASSERT_EQUAL(rig.idle, 1);
	finish();
}

/* ---- everything at once, by chance */

enum { INITIATORS = 4 };

static struct peer initiators[INITIATORS];
static bool is_in[INITIATORS];
static unsigned seed, changes;

static unsigned chance(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

static void log_in_by_chance(unsigned i)
{
	char text[300];
	struct key_text out = { .text = text, .room = sizeof(text) };
	struct peer *p = &initiators[i];
	char name[] = "iqn.2026-11.test:0";
	struct bhs b;

	name[sizeof(name) - 2] = (char)('0' + i);
	peer_connect(p, &rig, chance(RIG_WORKERS));
	keys_put(&out, "InitiatorName", name);
	if (chance(4))
		keys_put(&out, "TargetName", RIG_TARGET);
	else
		keys_put(&out, "SessionType", "Discovery");
	b = peer_login_request(p, (uint32_t)out.len);
	peer_send(p, &b, text);
	is_in[i] = true;
}

static void log_out_by_chance(unsigned i)
{
	struct bhs b = { .op = OP_LOGOUT_REQUEST, .final = true, .itt = 8, .immediate = true };

	if (chance(2))
		peer_send(&initiators[i], &b, NULL);
	close(initiators[i].fd);
	is_in[i] = false;
}

static void use_by_chance(unsigned i)
{
	struct bhs b = chance(3) ? peer_read(chance(1000), 512, 1)
				 : peer_write(chance(1000), 1024, 2, chance(2) * 512);

	b.lun = lun_encode((uint16_t)chance(4));
	peer_send_numbered(&initiators[i], &b, rig_pattern());
}

static void reset_by_chance(unsigned i)
{
	struct bhs b = { .op = OP_TMF_REQUEST, .immediate = true, .itt = 7,
			 .function = chance(2) ? TMF_LU_RESET : TMF_ABORT_TASK_SET,
			 .lun = lun_encode((uint16_t)chance(4)) };

	for (unsigned w = 0; w < RIG_WORKERS; w++)
		if (rig.lu[0][w].tmf || rig.lu[1][w].tmf)
			return;		/* one at a time is all that the rig's units do */
	peer_send(&initiators[i], &b, NULL);
}

static void end_by_chance(struct rig_lu *lu)
{
	static const uint8_t statuses[] = { STATUS_GOOD, STATUS_TASK_ABORTED, LU_LOST };

	if (lu->tmf && chance(2))
		rig_end_tmf(&rig, lu, TMF_COMPLETE);
	else if (lu->count)
		rig_end(&rig, lu, chance(lu->count), statuses[chance(3)], 0, 0);
}

static void change_by_chance(void)
{
	struct access_map *own;
	unsigned turn = chance(RIG_LUNS);

	for (unsigned w = 0; w < RIG_WORKERS; w++)
		if (rig.service[w].following)
			return;
	changes++;
	begin_change();
	for (unsigned i = 0, lun = 0; i < RIG_LUNS; i++)
		if (chance(3))
			map(lun++, (i + turn) % RIG_LUNS, chance(2));
	if (chance(2)) {
		OK(access_add_map(target, "iqn.2026-11.test:1", &own));
		OK(access_add_lun(own, chance(4), &rig.export[chance(2)], chance(2)));
	}
	if (!chance(4))
		OK(access_add_initiator(everybody, "iqn.2026-11.test:2"));
	target->offline = !chance(8);
	change();
}

static void hear(unsigned i)
{
	static uint8_t bytes[1 << 16];
	ssize_t n;

	do
		n = recv(initiators[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0);
	if (n == 0 || errno != EAGAIN) {
		close(initiators[i].fd);
		is_in[i] = false;
	}
}

static void a_chance_step(void)
{
	unsigned i = chance(INITIATORS), what = chance(16);

	if (what == 0)
		change_by_chance();
	else if (what < 6)
		end_by_chance(&rig.lu[chance(2)][chance(RIG_WORKERS)]);
	else if (!is_in[i])
		log_in_by_chance(i);
	else if (what == 6)
		log_out_by_chance(i);
	else if (what == 7)
		reset_by_chance(i);
	else
		use_by_chance(i);
	rig_turn(&rig);
	for (i = 0; i < INITIATORS; i++)
		if (is_in[i])
			hear(i);
}

static bool units_are_idle(void)
{
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		for (unsigned i = 0; i < 2; i++)
			if (rig.lu[i][w].count || rig.lu[i][w].tmf)
				return false;
	return true;
}

/* Whatever comes together, nobody is left with what is gone, and nothing is left over. */
static void chance_leaves_nothing_behind(void)
{
	const char *wish = getenv("OPERATIONS");
	unsigned steps = wish ? (unsigned)strtoul(wish, NULL, 10) : 20000;

	seed = 1;
	begin();
	rig.conf.logout_timeout = 0.001;
	for (unsigned i = 0; i < steps; i++)
		a_chance_step();
	for (unsigned i = 0; i < INITIATORS; i++)
		if (is_in[i])
			close(initiators[i].fd);
	memset(is_in, 0, sizeof(is_in));
	for (int i = 0; i < 100 || !units_are_idle(); i++) {
		for (unsigned w = 0; w < RIG_WORKERS; w++)
			for (unsigned l = 0; l < 2; l++)
				end_by_chance(&rig.lu[l][w]);
		rig_turn(&rig);
	}
	for (unsigned w = 0; w < RIG_WORKERS; w++) {
		CU_ASSERT(!rig.service[w].following);
		CU_ASSERT(rig.lu[0][w].submitted > steps / 400 && rig.lu[0][w].attached > steps / 400);
	}
	CU_ASSERT(changes > steps / 200);
	CU_ASSERT(old_rules_are_forgotten());
	finish();
}

static const struct unit_test tests[] = {
	UNIT_TEST(what_does_not_concern_a_session_does_not_touch_it),
	UNIT_TEST(a_new_lun_is_announced),
	UNIT_TEST(a_lun_that_goes_takes_its_tasks_along),
	UNIT_TEST(units_that_end_tasks_at_once_are_let_go_at_once),
	UNIT_TEST(a_write_that_collects_its_data_is_not_executed),
	UNIT_TEST(a_number_may_stand_for_another_unit),
	UNIT_TEST(a_function_keeps_the_unit_that_it_works_at),
	UNIT_TEST(write_protection_may_come_and_go),
	UNIT_TEST(a_session_of_pass_through_is_told_by_the_target),
	UNIT_TEST(a_copy_ends_if_anything_is_lost_and_only_then),
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
	UNIT_TEST(a_login_goes_by_what_it_began_with),
	UNIT_TEST(a_login_that_would_fail_now_is_to_be_tried_again),
	UNIT_TEST(who_takes_over_follows_or_goes),
	UNIT_TEST(changes_may_follow_one_another),
	UNIT_TEST(the_end_of_the_process_may_come_meanwhile),
	UNIT_TEST(chance_leaves_nothing_behind),
};

UNIT_MAIN("target_reload", tests)
