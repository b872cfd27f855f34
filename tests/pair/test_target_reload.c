/*
 * Other access rules come into force under sessions that stay (access.h): who is not
 * concerned notices nothing, a LUN that goes takes its tasks along, and it is known when
 * nobody uses what went.
 */
#include "cdb.h"
#include "reload_bed.h"
#include "scsi_data.h"
#include "sense.h"
#include "unit.h"

static struct bhs command(const struct cdb *cdb, uint64_t lun, uint32_t itt, uint32_t edtl)
{
	struct bhs b = { .op = OP_SCSI_COMMAND, .final = true, .read = edtl > 0, .itt = itt,
			 .edtl = edtl, .lun = lun, .attribute = TASK_SIMPLE };

	cdb_encode(cdb, b.cdb);
	return b;
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
	UNIT_TEST(changes_may_follow_one_another),
};

UNIT_MAIN("target_reload", tests)
