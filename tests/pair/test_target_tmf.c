/*
 * Task management (RFC 7143 §11.5, §11.6): answered when it is true, not before.
 */
#include <string.h>

#include "target_peer.h"
#include "unit.h"

static struct rig rig;
static struct peer peer, other;
static struct rig_lu *const lu = &rig.lu[0][0], *const far = &rig.lu[1][0];

static void begin(void)
{
	rig_begin(&rig, &peer);
	peer_log_in(&peer);
}

static void finish(void)
{
	rig_finish(&rig, &peer);
}

static void send_command(uint32_t itt, uint16_t lun)
{
	struct bhs b = { .op = OP_SCSI_COMMAND, .final = true, .itt = itt,
			 .lun = lun_encode(lun), .attribute = TASK_SIMPLE };

	peer_send_numbered(&peer, &b, NULL);
}

static void send_tmf(enum tmf_function function, uint16_t lun, uint32_t ref_task_tag,
		     uint32_t ref_cmd_sn)
{
	struct bhs b = { .op = OP_TMF_REQUEST, .immediate = true, .itt = 0x7000,
			 .function = (uint8_t)function, .lun = lun_encode(lun),
			 .ref_task_tag = ref_task_tag, .ref_cmd_sn = ref_cmd_sn };

	peer_send(&peer, &b, NULL);
}

static void expect_tmf(enum tmf_response response)
{
	struct bhs want = { .op = OP_TMF_RESPONSE, .itt = 0x7000, .response = (uint8_t)response };

	peer_expect(&peer, &want, NULL, 0);
}

static void expect_good(uint32_t itt)
{
	struct bhs want = { .op = OP_SCSI_RESPONSE, .itt = itt };

	peer_expect(&peer, &want, NULL, 0);
}

static void abort_task_waits_for_the_unit(void)
{
	begin();
	send_command(1, 0);
	send_command(2, 0);
	send_tmf(TMF_ABORT_TASK, 0, 1, peer.cmd_sn - 2);
	CU_ASSERT_EQUAL(lu->aborted, 1);
	peer_expect_silence(&peer);
	rig_end_good(&rig, lu, 0);
	/* No status for the one that was ended. */
	expect_tmf(TMF_COMPLETE);
	rig_end_good(&rig, lu, 0);
	expect_good(2);
	finish();
}

static void a_unit_may_end_the_task_at_once(void)
{
	begin();
	lu->ends_at_abort = true;
	send_command(1, 0);
	send_tmf(TMF_ABORT_TASK, 0, 1, peer.cmd_sn - 1);
	expect_tmf(TMF_COMPLETE);
	finish();
}

static void abort_task_ends_one_that_waits_for_its_data(void)
{
	struct bhs b = peer_write(1, 1024, 2, 0);
	struct bhs data = { .op = OP_DATA_OUT, .final = true, .itt = 1, .data_len = 1024 };

	begin();
	peer_send_numbered(&peer, &b, NULL);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.op, OP_R2T);
	data.ttt = peer.got.ttt;
	send_tmf(TMF_ABORT_TASK, 0, 1, peer.cmd_sn - 1);
	expect_tmf(TMF_COMPLETE);
	/* What was on its way is no error, */
	peer_send(&peer, &data, rig_pattern());
	peer_expect_silence(&peer);
	CU_ASSERT_EQUAL(lu->submitted, 0);
	/* ... and the tag may be used again. */
	send_command(1, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(1);
	finish();
}

static void abort_task_knows_what_it_does_not_know(void)
{
	begin();
	send_command(1, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(1);
	send_tmf(TMF_ABORT_TASK, 0, 1, peer.cmd_sn - 1);
	expect_tmf(TMF_NO_TASK);
	send_tmf(TMF_ABORT_TASK, 0, 2, peer.cmd_sn);
	expect_tmf(TMF_NO_TASK);
	send_tmf(TMF_ABORT_TASK, 0, 2, peer.max_cmd_sn + 1);
	expect_tmf(TMF_NO_TASK);
	send_command(3, 0);
	send_tmf(TMF_ABORT_TASK, 1, 3, peer.cmd_sn - 1);	/* another unit's */
	expect_tmf(TMF_NO_TASK);
	rig_end_good(&rig, lu, 0);
	expect_good(3);
	finish();
}

static void abort_task_of_one_that_never_came_uses_up_its_number(void)
{
	begin();
	peer.cmd_sn++;		/* lost on its way */
	send_command(2, 0);
	CU_ASSERT_EQUAL(lu->count, 0);
	send_tmf(TMF_ABORT_TASK, 0, 1, peer.cmd_sn - 2);
	CU_ASSERT_EQUAL(lu->count, 1);
	expect_tmf(TMF_COMPLETE);
	rig_end_good(&rig, lu, 0);
	expect_good(2);
	finish();
}

static void abort_task_ends_one_that_waits_for_its_turn(void)
{
	uint32_t exp = 0;

	begin();
	exp = peer.cmd_sn++;
	send_command(2, 0);
	send_tmf(TMF_ABORT_TASK, 0, 2, peer.cmd_sn - 1);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.op, OP_TMF_RESPONSE);
	CU_ASSERT_EQUAL(peer.got.response, TMF_COMPLETE);
	CU_ASSERT_EQUAL(peer.got.exp_cmd_sn, exp);
	peer.stat_sn++;
	peer.cmd_sn = exp;
	send_command(1, 0);
	peer.cmd_sn = exp + 2;
	CU_ASSERT_EQUAL(lu->submitted, 1);
	rig_end_good(&rig, lu, 0);
	expect_good(1);
	finish();
}

static void abort_task_stops_the_data_of_a_read(void)
{
	struct bhs b = peer_read(1, 65536, 128);
	struct bhs text = { .op = OP_TEXT_REQUEST, .immediate = true, .final = true, .itt = 2,
			    .ttt = ISCSI_NO_TAG, .data_len = 29 };
	unsigned pdus = 0;

	begin();
	peer_send(&peer, &text, "MaxRecvDataSegmentLength=512");
	CU_ASSERT_FATAL(peer_get(&peer));
	peer.stat_sn++;
	peer_send_numbered(&peer, &b, NULL);
	rig_end_good(&rig, lu, 0);
	send_tmf(TMF_ABORT_TASK, 0, 1, peer.cmd_sn - 1);
	while (peer_get(&peer) && peer.got.op == OP_DATA_IN)
		pdus++;
	CU_ASSERT_EQUAL(peer.got.op, OP_TMF_RESPONSE);
	CU_ASSERT(pdus <= 128);
	peer.stat_sn = peer.got.stat_sn + 1;
	finish();
}

static void functions_on_a_unit_end_its_tasks(void)
{
	static const enum tmf_function functions[] = { TMF_ABORT_TASK_SET, TMF_CLEAR_TASK_SET,
						       TMF_LU_RESET };

	for (size_t i = 0; i < 3; i++) {
		struct bhs write = peer_write(3, 1024, 2, 0);

		begin();
		send_command(1, 0);
		send_command(2, 1);
		peer_send_numbered(&peer, &write, NULL);
		CU_ASSERT_FATAL(peer_get(&peer));
		CU_ASSERT_EQUAL(peer.got.op, OP_R2T);
		send_tmf(functions[i], 0, ISCSI_NO_TAG, 0);
		CU_ASSERT_EQUAL(lu->managed, functions[i]);
		CU_ASSERT_EQUAL(lu->aborted, 1);
		CU_ASSERT_EQUAL(far->aborted, 0);
		/* Later commands are none of its business. */
		send_command(4, 0);
		rig_end_tmf(&rig, lu, TMF_COMPLETE);
		peer_expect_silence(&peer);
		rig_end_good(&rig, lu, 0);
		expect_tmf(TMF_COMPLETE);
		rig_end_good(&rig, lu, 0);
		expect_good(4);
		rig_end_good(&rig, far, 0);
		expect_good(2);
		finish();
	}
}

/* TAS = 0 for a unit that we interpret; the far end of a pass-through has its own. */
static void a_task_that_another_nexus_ended_gets_no_status(void)
{
	struct bhs want = { .op = OP_SCSI_RESPONSE, .itt = 2, .status = STATUS_TASK_ABORTED };

	begin();
	send_command(1, 0);
	send_command(2, 1);
	send_command(3, 0);
	rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
	peer_expect_silence(&peer);
	rig_end(&rig, far, 0, STATUS_TASK_ABORTED, 0, 0);
	peer_expect(&peer, &want, NULL, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(3);
	send_command(1, 0);		/* its tag is free again */
	rig_end_good(&rig, lu, 0);
	expect_good(1);
	finish();
}

/* ... but its place in the window is free, and it may have been the last. */
static void the_window_that_another_nexus_opened_is_told(void)
{
	struct bhs news = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG, .ttt = ISCSI_NO_TAG };

	rig_init(&rig);
	rig.conf.queue_depth = 1;
	rig_start(&rig);
	peer_connect(&peer, &rig, 0);
	peer_log_in(&peer);
	send_command(1, 0);
	rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
	peer_expect(&peer, &news, NULL, 0);
	CU_ASSERT_EQUAL(peer.got.max_cmd_sn, peer.cmd_sn);
	peer_expect_silence(&peer);
	send_command(2, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(2);
	finish();
}

static void the_unit_may_need_longer_than_the_tasks(void)
{
	begin();
	send_command(1, 0);
	send_tmf(TMF_LU_RESET, 0, ISCSI_NO_TAG, 0);
	rig_end_good(&rig, lu, 0);
	peer_expect_silence(&peer);
	rig_end_tmf(&rig, lu, TMF_NOT_SUPPORTED);
	expect_tmf(TMF_NOT_SUPPORTED);
	finish();
}

static void a_warm_reset_resets_every_unit(void)
{
	begin();
	send_command(1, 0);
	send_command(2, 1);
	send_tmf(TMF_TARGET_WARM_RESET, 0, ISCSI_NO_TAG, 0);
	CU_ASSERT_EQUAL(lu->managed, TMF_LU_RESET);
	CU_ASSERT_EQUAL(far->managed, TMF_LU_RESET);
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, far, 0);
	rig_end_tmf(&rig, lu, TMF_COMPLETE);
	peer_expect_silence(&peer);
	rig_end_tmf(&rig, far, TMF_COMPLETE);
	expect_tmf(TMF_COMPLETE);
	finish();
}

static void a_cold_reset_also_ends_every_session(void)
{
	begin();
	peer_connect(&other, &rig, 1);
	other.isid++;
	peer_log_in(&other);
	send_tmf(TMF_TARGET_COLD_RESET, 0, ISCSI_NO_TAG, 0);
	rig_end_tmf(&rig, lu, TMF_COMPLETE);
	rig_end_tmf(&rig, far, TMF_COMPLETE);
	expect_tmf(TMF_COMPLETE);
	peer_expect_drop(&peer, 0);
	peer_expect_drop(&other, 0);
	peer_disconnect(&other);
	finish();
}

static void what_there_is_not_is_said_so(void)
{
	begin();
	send_tmf(TMF_LU_RESET, 2, ISCSI_NO_TAG, 0);
	expect_tmf(TMF_NO_LUN);
	send_tmf(TMF_ABORT_TASK_SET, 7, ISCSI_NO_TAG, 0);
	expect_tmf(TMF_NO_LUN);
	send_tmf(TMF_CLEAR_ACA, 0, ISCSI_NO_TAG, 0);
	expect_tmf(TMF_NOT_SUPPORTED);
	send_tmf(TMF_TASK_REASSIGN, 0, 1, 0);
	expect_tmf(TMF_NO_REASSIGN);
	send_tmf((enum tmf_function)0, 0, 1, 0);
	expect_tmf(TMF_NOT_SUPPORTED);
	send_tmf((enum tmf_function)99, 0, 1, 0);
	expect_tmf(TMF_NOT_SUPPORTED);
	finish();
}

static void a_function_under_way_outlives_its_connection(void)
{
	begin();
	send_command(1, 0);
	send_tmf(TMF_LU_RESET, 0, ISCSI_NO_TAG, 0);
	peer_disconnect(&peer);
	rig_end_good(&rig, lu, 0);
	CU_ASSERT_EQUAL(lu->detached, 0);
	rig_end_tmf(&rig, lu, TMF_COMPLETE);
	CU_ASSERT_EQUAL(lu->detached, 1);
	rig_stop(&rig);
}

static const struct unit_test tests[] = {
	UNIT_TEST(abort_task_waits_for_the_unit),
	UNIT_TEST(a_unit_may_end_the_task_at_once),
	UNIT_TEST(abort_task_ends_one_that_waits_for_its_data),
	UNIT_TEST(abort_task_knows_what_it_does_not_know),
	UNIT_TEST(abort_task_of_one_that_never_came_uses_up_its_number),
	UNIT_TEST(abort_task_ends_one_that_waits_for_its_turn),
	UNIT_TEST(abort_task_stops_the_data_of_a_read),
	UNIT_TEST(functions_on_a_unit_end_its_tasks),
	UNIT_TEST(a_task_that_another_nexus_ended_gets_no_status),
	UNIT_TEST(the_window_that_another_nexus_opened_is_told),
	UNIT_TEST(the_unit_may_need_longer_than_the_tasks),
	UNIT_TEST(a_warm_reset_resets_every_unit),
	UNIT_TEST(a_cold_reset_also_ends_every_session),
	UNIT_TEST(what_there_is_not_is_said_so),
	UNIT_TEST(a_function_under_way_outlives_its_connection),
};

UNIT_MAIN("target_tmf", tests)
