/* Task management of the initiator: aborts, resets, and what becomes of their tasks. */
#include "scripted_target.h"
#include "unit.h"

static struct run run;		/* too big for a stack */
static const uint8_t zeroes[DATA_ROOM];

static void abort_first(struct run *r)
{
	lu_abort(r->lu, &r->state[0].task);
	lu_abort(r->lu, &r->state[0].task);	/* once is enough */
}

/* Abort answers: what the target says, and what becomes of the task. */
static const struct { uint8_t response, status; bool answers_first; } aborts[] = {
	{ TMF_COMPLETE, STATUS_TASK_ABORTED, false },
	{ TMF_NO_TASK, LU_LOST, false },
	{ TMF_NO_TASK, STATUS_GOOD, true },
	{ TMF_COMPLETE, STATUS_GOOD, true },
};
static size_t abort_case;

static struct bhs tmf_answer(struct run *r, uint8_t response)
{
	struct bhs bhs = answer(r, OP_TMF_RESPONSE);

	bhs.response = response;
	r->stat_sn++;
	return bhs;
}

static void abort_script(struct run *r)
{
	struct bhs command, bhs;

	login(r);
	expect(r, OP_SCSI_COMMAND);
	command = r->got;
	expect(r, OP_TMF_REQUEST);
	CHECK(r, r->got.immediate && r->got.function == TMF_ABORT_TASK);
	CHECK(r, r->got.ref_task_tag == command.itt && r->got.ref_cmd_sn == command.cmd_sn);
	CHECK(r, r->got.lun == lun_encode(3) && r->got.itt != command.itt);
	if (aborts[abort_case].answers_first)
		give_data(r, command.itt, zeroes, 512, true);
	bhs = tmf_answer(r, aborts[abort_case].response);
	give(r, &bhs, NULL);
	serve_logout(r);
}

static void an_abort_ends_its_task_or_lets_it_end(void)
{
	for (abort_case = 0; abort_case < sizeof(aborts) / sizeof(aborts[0]); abort_case++) {
		run_init(&run, abort_script);
		run.conf.max_tasks = 1;
		add_order(&run, CDB_DATA_IN, 512);
		run.submitted = abort_first;
		execute(&run);
		CU_ASSERT_EQUAL(run.state[0].task.status, aborts[abort_case].status);
	}
}

static void refusing_script(struct run *r)
{
	struct bhs bhs;
	uint32_t itt;

	login(r);
	expect(r, OP_SCSI_COMMAND);
	itt = r->got.itt;
	expect(r, OP_TMF_REQUEST);
	bhs = tmf_answer(r, TMF_NOT_SUPPORTED);
	give(r, &bhs, NULL);
	give_data(r, itt, zeroes, 512, true);
	serve_logout(r);
}

static void a_refused_abort_changes_nothing(void)
{
	run_init(&run, refusing_script);
	add_order(&run, CDB_DATA_IN, 512);
	run.submitted = abort_first;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
}

/* tgtd says that the abort is complete, and then answers the task as if nothing had been. */
static void answering_late_script(struct run *r)
{
	uint32_t aborted, other;
	struct bhs bhs;

	login(r);
	expect(r, OP_SCSI_COMMAND);
	aborted = r->got.itt;
	expect(r, OP_SCSI_COMMAND);
	other = r->got.itt;
	expect(r, OP_TMF_REQUEST);
	bhs = tmf_answer(r, TMF_COMPLETE);
	give(r, &bhs, NULL);
	give_data(r, aborted, zeroes, 512, true);
	bhs = answer(r, OP_SCSI_RESPONSE);
	bhs.itt = aborted;
	r->stat_sn++;
	give(r, &bhs, NULL);
	give_data(r, other, zeroes, 512, true);
	serve_logout(r);
}

static void an_answer_to_an_aborted_task_is_looked_away_from(void)
{
	run_init(&run, answering_late_script);
	add_order(&run, CDB_DATA_IN, 512);
	add_order(&run, CDB_DATA_IN, 512);
	run.submitted = abort_first;
	execute(&run);
	CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_TASK_ABORTED);
	CU_ASSERT_EQUAL(run.state[1].task.status, STATUS_GOOD);
}

static struct scsi_tmf tmf;
static unsigned tmf_done, tasks_done_before_tmf;

static void reset_done(struct scsi_tmf *done)
{
	CU_ASSERT_PTR_EQUAL(done, &tmf);
	tmf_done++;
	tasks_done_before_tmf = run.done;
}

static void reset_unit(struct run *r)
{
	tmf = (struct scsi_tmf) { .function = TMF_LU_RESET, .done = reset_done };
	lu_manage(r->lu, &tmf);
}

/* Two on the wire and one that the window holds back: a reset ends them all. */
static void reset_script(struct run *r)
{
	struct bhs bhs;

	r->window = 4;
	login(r);
	expect(r, OP_SCSI_COMMAND);
	expect(r, OP_SCSI_COMMAND);
	expect(r, OP_TMF_REQUEST);
	CHECK(r, r->got.immediate && r->got.function == TMF_LU_RESET);
	CHECK(r, r->got.lun == lun_encode(3) && r->got.ref_task_tag == ISCSI_NO_TAG);
	bhs = tmf_answer(r, TMF_COMPLETE);
	give(r, &bhs, NULL);
	serve_logout(r);
}

static void a_reset_of_the_unit_ends_every_task_before_it_ends(void)
{
	tmf_done = 0;
	run_init(&run, reset_script);
	for (int i = 0; i < 3; i++)
		add_order(&run, CDB_DATA_OUT, 512);
	SET_KEYS(&run, "ImmediateData=No\0InitialR2T=Yes");
	run.submitted = reset_unit;
	execute(&run);
	CU_ASSERT_EQUAL(tmf_done, 1);
	CU_ASSERT_EQUAL(tmf.response, TMF_COMPLETE);
	CU_ASSERT_EQUAL(tasks_done_before_tmf, 3);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(run.state[i].task.status, STATUS_TASK_ABORTED);
}

static void dying_script(struct run *r)
{
	login(r);
	expect(r, OP_SCSI_COMMAND);
	expect(r, OP_TMF_REQUEST);
	hang_up(r);
}

static void task_management_ends_with_the_session(void)
{
	tmf_done = 0;
	run_init(&run, dying_script);
	add_order(&run, CDB_DATA_IN, 512);
	run.submitted = reset_unit;
	execute(&run);
	CU_ASSERT_EQUAL(tmf_done, 1);
	CU_ASSERT_EQUAL(tmf.response, TMF_REJECTED);
	CU_ASSERT_EQUAL(run.state[0].task.status, LU_LOST);
}

/* ABORT TASK is not answered: the unit is reset; if that does not help, the session goes. */
static enum { RESET_HELPS, RESET_REFUSED, RESET_UNANSWERED } escalation;

static void escalation_script(struct run *r)
{
	struct bhs bhs;
	uint32_t abort_itt;

	login(r);
	expect(r, OP_SCSI_COMMAND);
	expect(r, OP_TMF_REQUEST);
	CHECK(r, r->got.function == TMF_ABORT_TASK);
	abort_itt = r->got.itt;
	expect(r, OP_TMF_REQUEST);
	CHECK(r, r->got.function == TMF_LU_RESET && r->got.immediate && r->got.lun == lun_encode(3));
	if (escalation == RESET_HELPS) {
		bhs = tmf_answer(r, TMF_COMPLETE);
		give(r, &bhs, NULL);
		bhs = tmf_answer(r, TMF_NO_TASK);	/* better late than never */
		bhs.itt = abort_itt;
		give(r, &bhs, NULL);
		serve_logout(r);
		return;
	}
	if (escalation == RESET_REFUSED) {
		bhs = tmf_answer(r, TMF_NOT_SUPPORTED);
		give(r, &bhs, NULL);
	}
	CHECK(r, !take(r));
	hang_up(r);
	login_stages(r);
	expect(r, OP_SCSI_COMMAND);
	give_data(r, r->got.itt, zeroes, 512, true);
	serve_logout(r);
}

static void an_abort_without_an_answer_escalates(void)
{
	for (escalation = RESET_HELPS; escalation <= RESET_UNANSWERED; escalation++) {
		run_init(&run, escalation_script);
		SET_KEYS(&run, "DefaultTime2Wait=0");
		run.conf.abort_timeout = 0.05;
		run.conf.tmf_timeout = escalation == RESET_UNANSWERED ? 0.1 : 30;
		add_order(&run, CDB_DATA_IN, 512);
		run.submitted = abort_first;
		if (escalation != RESET_HELPS)
			run.finished = once_more;
		execute(&run);
		if (escalation == RESET_HELPS) {
			CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_TASK_ABORTED);
		} else {
			CU_ASSERT_EQUAL(run.state[0].first_status, LU_LOST);
			CU_ASSERT_EQUAL(run.state[0].task.status, STATUS_GOOD);
		}
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(an_abort_without_an_answer_escalates),
	UNIT_TEST(an_abort_ends_its_task_or_lets_it_end),
	UNIT_TEST(a_refused_abort_changes_nothing),
	UNIT_TEST(an_answer_to_an_aborted_task_is_looked_away_from),
	UNIT_TEST(a_reset_of_the_unit_ends_every_task_before_it_ends),
	UNIT_TEST(task_management_ends_with_the_session),
};

UNIT_MAIN("initiator task management", tests)
