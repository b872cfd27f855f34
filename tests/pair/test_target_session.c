/*
 * Sessions of the target: CmdSN order and window, NOP, Logout, reinstatement,
 * shutdown (RFC 7143 §4.2.2, §6.3.5, §11.9, §11.14, §11.18).
 */
#include <stdlib.h>
#include <string.h>

#include "still_clock.h"
#include "target_peer.h"
#include "unit.h"

static struct rig rig;
static struct peer peer, other;
static struct rig_lu *const lu = &rig.lu[0][0];

static void start(void)
{
	rig_start(&rig);
	peer_connect(&peer, &rig, 0);
	peer_log_in(&peer);
}

static void begin(void)
{
	rig_init(&rig);
	start();
}

static void finish(void)
{
	rig_finish(&rig, &peer);
}

static struct bhs test_unit_ready(uint32_t itt)
{
	return (struct bhs){ .op = OP_SCSI_COMMAND, .final = true, .itt = itt,
			     .attribute = TASK_SIMPLE };
}

static void send_command(uint32_t itt, uint32_t cmd_sn)
{
	uint32_t next = peer.cmd_sn;
	struct bhs b = test_unit_ready(itt);

	peer.cmd_sn = cmd_sn;
	peer_send(&peer, &b, NULL);
	peer.cmd_sn = next;
}

static void expect_good(uint32_t itt)
{
	struct bhs want = { .op = OP_SCSI_RESPONSE, .itt = itt };

	peer_expect(&peer, &want, NULL, 0);
}

static void run_one(uint32_t itt)
{
	send_command(itt, peer.cmd_sn++);
	rig_end_good(&rig, lu, 0);
	expect_good(itt);
}

/* ---- CmdSN */

static void commands_outside_the_window_are_ignored(void)
{
	begin();
	run_one(1);
	send_command(2, peer.cmd_sn - 1);
	send_command(3, peer.max_cmd_sn + 1);
	send_command(4, peer.cmd_sn + 0x80000000u);
	CU_ASSERT_EQUAL(lu->submitted, 1);
	peer_expect_silence(&peer);
	run_one(5);
	/* Nor are they kept: what waits for its turn is found. */
	send_command(7, peer.cmd_sn + 1);
	send_command(6, peer.cmd_sn);
	CU_ASSERT_EQUAL(lu->count, 2);
	peer.cmd_sn += 2;
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(6);
	expect_good(7);
	finish();
}

static void commands_that_come_early_wait_for_their_turn(void)
{
	uint32_t first;

	begin();
	first = peer.cmd_sn;
	send_command(13, first + 3);
	send_command(11, first + 1);
	send_command(99, first + 1);	/* the same CmdSN once more */
	send_command(12, first + 2);
	CU_ASSERT_EQUAL(lu->submitted, 0);
	send_command(10, first);
	CU_ASSERT_EQUAL_FATAL(lu->count, 4);
	peer.cmd_sn = first + 4;
	for (uint32_t i = 0; i < 4; i++) {
		rig_end_good(&rig, lu, 0);
		expect_good(10 + i);
	}
	peer_expect_silence(&peer);
	finish();
}

static void all_kinds_of_pdus_wait_for_their_turn(void)
{
	struct bhs nop = { .op = OP_NOP_OUT, .itt = 20, .ttt = ISCSI_NO_TAG, .data_len = 5 };
	struct bhs text = { .op = OP_TEXT_REQUEST, .final = true, .itt = 21, .ttt = ISCSI_NO_TAG,
			    .data_len = sizeof("X-a=1") };
	struct bhs write = peer_write(22, 512, 1, 512), bad = peer_read(23, 512, 1);
	struct bhs want;
	uint32_t first;

	begin();
	bad.read = false;
	first = peer.cmd_sn++;
	peer_send_numbered(&peer, &nop, "hello");
	peer_send_numbered(&peer, &text, "X-a=1");
	peer_send_numbered(&peer, &write, rig_pattern());
	peer_send_numbered(&peer, &bad, NULL);
	CU_ASSERT_EQUAL(lu->submitted, 0);
	send_command(19, first);
	/* ExpCmdSN is that of the moment, which peer_expect() cannot know. */
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.op, OP_NOP_IN);
	CU_ASSERT_EQUAL(memcmp(peer.data, "hello", 5), 0);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.op, OP_TEXT_RESPONSE);
	peer.stat_sn += 2;
	peer_expect_reject(&peer, &bad, 0x09);
	CU_ASSERT_EQUAL_FATAL(lu->count, 2);
	CU_ASSERT_EQUAL(memcmp(lu->task[1]->data, rig_pattern(), 512), 0);
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(19);
	want = (struct bhs){ .op = OP_SCSI_RESPONSE, .itt = 22 };
	peer_expect(&peer, &want, NULL, 0);
	finish();
}

static void what_waits_for_its_turn_goes_with_the_connection(void)
{
	struct bhs nop = { .op = OP_NOP_OUT, .itt = 20, .ttt = ISCSI_NO_TAG, .data_len = 5 };
	struct bhs write = peer_write(22, 8192, 16, 512);

	begin();
	peer.cmd_sn++;
	peer_send_numbered(&peer, &nop, "hello");
	peer_send_numbered(&peer, &write, rig_pattern());
	finish();
	CU_ASSERT_EQUAL(lu->submitted, 0);
}

static void immediate_commands_overtake(void)
{
	struct bhs b = test_unit_ready(5);

	begin();
	send_command(6, peer.cmd_sn + 1);
	b.immediate = true;
	peer_send(&peer, &b, NULL);
	CU_ASSERT_EQUAL(lu->submitted, 1);
	rig_end_good(&rig, lu, 0);
	expect_good(5);
	send_command(7, peer.cmd_sn);
	peer.cmd_sn += 2;
	CU_ASSERT_EQUAL(lu->count, 2);
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(7);
	expect_good(6);
	finish();
}

static void the_window_closes_when_the_queue_is_full(void)
{
	struct bhs b = test_unit_ready(99);

	rig_init(&rig);
	rig.conf.queue_depth = 4;
	start();
	CU_ASSERT_EQUAL(peer.max_cmd_sn, peer.cmd_sn + 3);
	for (uint32_t i = 0; i < 4; i++)
		send_command(i, peer.cmd_sn++);
	send_command(4, peer.cmd_sn);
	CU_ASSERT_EQUAL(lu->count, 4);
	/* Immediate commands have a few places more. */
	b.immediate = true;
	for (uint32_t i = 0; i < 8; i++) {
		b.itt = 100 + i;
		peer_send(&peer, &b, NULL);
	}
	peer_expect_silence(&peer);
	b.itt = 200;
	peer_send(&peer, &b, NULL);
	peer_expect_reject(&peer, &b, 0x06);
	CU_ASSERT_EQUAL(peer.max_cmd_sn, peer.cmd_sn - 1);
	while (lu->count) {
		rig_end_good(&rig, lu, 0);
		CU_ASSERT_FATAL(peer_get(&peer));
		peer.stat_sn++;
	}
	CU_ASSERT_EQUAL(peer.max_cmd_sn, peer.cmd_sn + 3);
	finish();
}

static void the_window_wraps_around(void)
{
	rig_begin(&rig, &peer);
	peer.cmd_sn = 0xfffffffe;
	peer.max_cmd_sn = peer.cmd_sn - 1;
	peer_log_in(&peer);
	for (uint32_t i = 0; i < 5; i++)
		run_one(i);
	CU_ASSERT_EQUAL(peer.cmd_sn, 3);
	finish();
}

/* ---- NOP */

static void a_ping_is_echoed(void)
{
	struct bhs b = { .op = OP_NOP_OUT, .immediate = true, .itt = 3, .ttt = ISCSI_NO_TAG,
			 .lun = lun_encode(1), .data_len = 1000 };
	struct bhs want = { .op = OP_NOP_IN, .itt = 3, .ttt = ISCSI_NO_TAG };

	begin();
	peer_send(&peer, &b, rig_pattern());
	peer_expect(&peer, &want, rig_pattern(), 1000);
	b.data_len = 0;
	b.immediate = false;
	peer_send_numbered(&peer, &b, NULL);
	peer_expect(&peer, &want, NULL, 0);
	/* More than the initiator takes comes back cut. */
	b.data_len = 10000;
	peer_send_numbered(&peer, &b, rig_pattern());
	peer_expect(&peer, &want, rig_pattern(), 8192);
	finish();
}

static void a_ping_without_a_tag_is_not_answered(void)
{
	struct bhs b = { .op = OP_NOP_OUT, .immediate = true, .itt = ISCSI_NO_TAG,
			 .ttt = ISCSI_NO_TAG };

	begin();
	peer_send(&peer, &b, NULL);
	peer_expect_silence(&peer);
	b.immediate = false;
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_reject(&peer, &b, 0x04);
	finish();
}

static void a_silent_initiator_is_pinged_and_then_dropped(void)
{
	struct bhs want = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG };
	struct bhs b = { .op = OP_NOP_OUT, .immediate = true, .itt = ISCSI_NO_TAG };

	rig_init(&rig);
	rig.conf.nop_interval = 0.02;
	rig.conf.nop_timeout = 0.05;
	start();
	peer_expect(&peer, &want, NULL, 0);
	b.ttt = want.ttt;
	peer_send(&peer, &b, NULL);
	want.ttt = 1;
	peer_expect(&peer, &want, NULL, 0);
	peer_expect_end(&peer);
	finish();
}

/* By the interval, however long the answer may take. */
static void who_has_answered_a_ping_is_pinged_again(void)
{
	struct bhs want = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG };
	struct bhs b = { .op = OP_NOP_OUT, .immediate = true, .itt = ISCSI_NO_TAG };

	rig_init(&rig);
	rig.conf.nop_interval = 0.1;
	rig.conf.nop_timeout = 60;
	start();
	for (uint32_t ttt = 0; ttt < 3; ttt++) {
		clock_pass(0.2);
		want.ttt = ttt;
		peer_expect(&peer, &want, NULL, 0);
		b.ttt = want.ttt;
		peer_send(&peer, &b, NULL);
		rig_settle(&rig);
	}
	finish();
}

static void an_idle_discovery_session_ends(void)
{
	rig_init(&rig);
	rig.conf.nop_interval = 0.02;
	rig.conf.nop_timeout = 0.02;
	rig_start(&rig);
	peer_connect(&peer, &rig, 0);
	peer_log_in_to_discovery(&peer);
	peer_expect_end(&peer);
	finish();
}

/* ---- Logout */

static struct bhs logout(uint8_t reason, uint16_t cid)
{
	return (struct bhs){ .op = OP_LOGOUT_REQUEST, .itt = 50, .reason = reason, .cid = cid };
}

static void logout_closes_the_session_or_the_connection(void)
{
	for (uint8_t reason = 0; reason < 2; reason++) {
		struct bhs b = logout(reason, 1);
		struct bhs want = { .op = OP_LOGOUT_RESPONSE, .itt = 50, .time2wait = 2,
				    .time2retain = 20 };

		begin();
		peer_send_numbered(&peer, &b, NULL);
		peer_expect(&peer, &want, NULL, 0);
		peer_expect_end(&peer);
		finish();
	}
}

static void logout_in_other_forms_is_refused(void)
{
	struct bhs b = logout(2, 1), want = { .op = OP_LOGOUT_RESPONSE, .itt = 50, .response = 2,
					      .time2wait = 2, .time2retain = 20 };

	begin();
	peer_send_numbered(&peer, &b, NULL);
	peer_expect(&peer, &want, NULL, 0);
	b = logout(1, 7);
	want.response = 1;
	peer_send_numbered(&peer, &b, NULL);
	peer_expect(&peer, &want, NULL, 0);
	b = logout(3, 1);
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_reject(&peer, &b, 0x09);
	run_one(1);
	finish();
}

static void logout_waits_for_the_tasks_that_it_ends(void)
{
	struct bhs b = logout(0, 1);
	struct bhs want = { .op = OP_LOGOUT_RESPONSE, .itt = 50, .time2wait = 2, .time2retain = 20 };

	begin();
	send_command(1, peer.cmd_sn++);
	peer_send_numbered(&peer, &b, NULL);
	CU_ASSERT_EQUAL(lu->aborted, 1);
	peer_expect_silence(&peer);
	rig_end_good(&rig, lu, 0);
	peer_expect(&peer, &want, NULL, 0);
	peer_expect_end(&peer);
	finish();
}

/* ---- reinstatement */

static void log_in_other(unsigned worker)
{
	peer_connect(&other, &rig, worker);
	peer_log_in(&other);
}

static void a_new_session_ends_the_old_one(void)
{
	for (unsigned worker = 0; worker < RIG_WORKERS; worker++) {
		begin();
		log_in_other(worker);
		peer_expect_end(&peer);
		peer_disconnect(&other);
		finish();
	}
}

static void sessions_of_other_ports_stay(void)
{
	begin();
	peer_connect(&other, &rig, 0);
	other.isid++;
	peer_log_in(&other);
	run_one(1);
	peer_disconnect(&other);
	peer_connect(&other, &rig, 1);
	peer_log_in_to_discovery(&other);
	run_one(2);
	peer_disconnect(&other);
	finish();
}

static void commands_of_a_new_session_wait_for_those_of_the_old_one(void)
{
	for (unsigned worker = 0; worker < RIG_WORKERS; worker++) {
		struct bhs b = peer_write(1, 512, 1, 512);
		struct bhs want = { .op = OP_SCSI_RESPONSE, .itt = 1 };
		struct rig_lu *new = &rig.lu[0][worker];

		begin();
		peer_send_numbered(&peer, &b, rig_pattern());
		CU_ASSERT_EQUAL(lu->count, 1);
		log_in_other(worker);
		peer_expect_end(&peer);
		CU_ASSERT_EQUAL(lu->aborted, 1);
		peer_send_numbered(&other, &b, rig_pattern());
		peer_expect_silence(&other);
		CU_ASSERT_EQUAL(lu->count, 1);
		CU_ASSERT_EQUAL(new->count, worker == 0);
		rig_end_good(&rig, lu, 0);
		rig_turn(&rig);
		CU_ASSERT_EQUAL_FATAL(new->count, 1);
		rig_end_good(&rig, new, 0);
		peer_expect(&other, &want, NULL, 0);
		peer_disconnect(&other);
		finish();
	}
}

static void a_session_that_waits_may_be_replaced_itself(void)
{
	struct peer *third = malloc(sizeof(*third));
	struct bhs b = test_unit_ready(1);

	begin();
	send_command(1, peer.cmd_sn++);
	log_in_other(1);
	peer_connect(third, &rig, 0);
	peer_log_in(third);
	peer_expect_end(&other);
	peer_send_numbered(third, &b, NULL);
	peer_expect_silence(third);
	CU_ASSERT_EQUAL(lu->submitted, 1);
	peer_disconnect(&other);
	rig_end_good(&rig, lu, 0);
	for (int i = 0; i < 3; i++)
		rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	rig_end_good(&rig, lu, 0);
	peer_disconnect(third);
	finish();
	free(third);
}

static void a_session_ends_when_its_tasks_have(void)
{
	struct bhs b = peer_write(9, 8192, 16, 512);

	begin();
	send_command(1, peer.cmd_sn++);
	peer_send_numbered(&peer, &b, rig_pattern());
	peer_disconnect(&peer);
	CU_ASSERT_EQUAL(lu->aborted, 1);
	CU_ASSERT_EQUAL(lu->detached, 0);
	CU_ASSERT(!list_empty(&rig.service[0].sessions));
	rig_end_good(&rig, lu, 0);
	CU_ASSERT_EQUAL(lu->detached, 1);
	rig_stop(&rig);
}

/* ---- shutdown */

static void shutdown_asks_for_a_logout(void)
{
	struct bhs want = { .op = OP_ASYNC_MESSAGE, .async_event = 1, .parameter3 = 3 };
	struct bhs b = logout(0, 1);

	begin();
	send_command(1, peer.cmd_sn++);
	target_shutdown(&rig.service[0]);
	peer_expect(&peer, &want, NULL, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(1);
	CU_ASSERT_EQUAL(rig.idle, 0);
	peer_send_numbered(&peer, &b, NULL);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.op, OP_LOGOUT_RESPONSE);
	peer_expect_end(&peer);
	CU_ASSERT_EQUAL(rig.idle, 1);
	finish();
}

static void shutdown_leaves_those_who_do_not_log_out(void)
{
	rig_init(&rig);
	rig.conf.logout_timeout = 0.02;
	start();
	target_shutdown(&rig.service[0]);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.async_event, 1);
	peer.stat_sn++;
	peer_expect_drop(&peer, 0);
	CU_ASSERT_EQUAL(rig.idle, 1);
	finish();
}

/* What is configured may be hours: a process that ends has no such time. */
static void shutdown_is_not_patient_for_long(void)
{
	struct bhs want = { .op = OP_ASYNC_MESSAGE, .async_event = 1, .parameter3 = 6 };

	rig_init(&rig);
	rig.conf.logout_timeout = 3600;
	start();
	target_shutdown(&rig.service[0]);
	peer_expect(&peer, &want, NULL, 0);
	target_shutdown(&rig.service[0]);
	peer_expect_silence(&peer);
	finish();
}

static void abort_drops_what_is_left(void)
{
	begin();
	send_command(1, peer.cmd_sn++);
	target_abort(&rig.service[0]);
	peer_expect_drop(&peer, 0);
	CU_ASSERT_EQUAL(rig.idle, 0);
	rig_end_good(&rig, lu, 0);
	CU_ASSERT_EQUAL(rig.idle, 1);
	finish();
}

static const struct unit_test tests[] = {
	UNIT_TEST(commands_outside_the_window_are_ignored),
	UNIT_TEST(commands_that_come_early_wait_for_their_turn),
	UNIT_TEST(all_kinds_of_pdus_wait_for_their_turn),
	UNIT_TEST(what_waits_for_its_turn_goes_with_the_connection),
	UNIT_TEST(immediate_commands_overtake),
	UNIT_TEST(the_window_closes_when_the_queue_is_full),
	UNIT_TEST(the_window_wraps_around),
	UNIT_TEST(a_ping_is_echoed),
	UNIT_TEST(a_ping_without_a_tag_is_not_answered),
	UNIT_TEST(a_silent_initiator_is_pinged_and_then_dropped),
	UNIT_TEST(who_has_answered_a_ping_is_pinged_again),
	UNIT_TEST(an_idle_discovery_session_ends),
	UNIT_TEST(logout_closes_the_session_or_the_connection),
	UNIT_TEST(logout_in_other_forms_is_refused),
	UNIT_TEST(logout_waits_for_the_tasks_that_it_ends),
	UNIT_TEST(a_new_session_ends_the_old_one),
	UNIT_TEST(sessions_of_other_ports_stay),
	UNIT_TEST(commands_of_a_new_session_wait_for_those_of_the_old_one),
	UNIT_TEST(a_session_that_waits_may_be_replaced_itself),
	UNIT_TEST(a_session_ends_when_its_tasks_have),
	UNIT_TEST(shutdown_asks_for_a_logout),
	UNIT_TEST(shutdown_leaves_those_who_do_not_log_out),
	UNIT_TEST(shutdown_is_not_patient_for_long),
	UNIT_TEST(abort_drops_what_is_left),
};

UNIT_MAIN("target_session", tests)
