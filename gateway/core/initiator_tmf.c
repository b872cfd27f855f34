/*
 * Task management of the initiator (RFC 7143 §4.2.3.3, §11.5, §11.6): ABORT TASK for
 * one command, and functions on the whole logical unit, one of those at a time. What
 * is not answered escalates: an abort to LOGICAL UNIT RESET, that to a new session.
 *
 * Called through the lu's operations and by the receive side. A struct scsi_tmf is
 * borrowed from submit to done.
 */
#include <assert.h>

#include "initiator_private.h"

static void send_request(struct initiator *ini, enum tmf_function function, uint32_t itt,
			 uint32_t ref_task_tag, uint32_t ref_cmd_sn)
{
	struct bhs bhs = {
		.op = OP_TMF_REQUEST, .function = (uint8_t)function, .itt = itt, .lun = ini->lun,
		.ref_task_tag = ref_task_tag, .ref_cmd_sn = ref_cmd_sn,
	};

	/* Immediate, for the window may be closed by the very tasks that it is about. */
	pdu_send_immediate(ini, &bhs, NULL);
}

static struct scsi_tmf *first_tmf(struct initiator *ini)
{
	return container_of(ini->tmfs.next, struct scsi_tmf, node);
}

static void on_tmf_timeout(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct initiator *ini = container_of(timer, struct initiator, tmf_timer);

	(void)ev;
	(void)events;
	conn_fail(&ini->conn, "task management function not answered within %g s", ini->conf.tmf_timeout);
}

/* Put the first one on the wire, if none is there. */
static void send_next(struct initiator *ini)
{
	if (list_empty(&ini->tmfs) || ini->tmf_itt != ISCSI_NO_TAG)
		return;
	ini->tmf_itt = TAG(TAG_OTHER, ++ini->generation, OTHER_TMF);
	ini->tmf_cmd_sn = ini->cmd_sn;
	send_request(ini, first_tmf(ini)->function, ini->tmf_itt, ISCSI_NO_TAG, 0);
	initiator_timer(ini, &ini->tmf_timer, on_tmf_timeout, ini->conf.tmf_timeout);
}

static void end_tmf(struct scsi_tmf *tmf, enum tmf_response response)
{
	list_del(&tmf->node);
	tmf->response = response;
	tmf->done(tmf);
}

/* Tasks that never left end with the others: to the sender of the function they are the same. */
static void end_queued(struct initiator *ini)
{
	struct list *node;

	while ((node = list_pop(&ini->queue)))
		initiator_end_task(ini, container_of(node, struct scsi_task, node),
				   STATUS_TASK_ABORTED);
}

void tmf_submit(struct initiator *ini, struct scsi_tmf *tmf)
{
	list_add_tail(&ini->tmfs, &tmf->node);
	end_queued(ini);
	if (ini->state == INITIATOR_UP)
		send_next(ini);
	else
		loop_defer(ini->lu.loop, &ini->complete);	/* ends in tmf_lost() */
}

/* The answer to the function on the wire. */
static void unit_answered(struct initiator *ini, uint8_t response)
{
	uint32_t before = ini->tmf_cmd_sn;

	ev_timer_stop(ini->lu.loop->ev, &ini->tmf_timer);
	ini->tmf_itt = ISCSI_NO_TAG;
	if (response == TMF_COMPLETE)
		task_finish_all(ini, &before, STATUS_TASK_ABORTED);
	end_tmf(first_tmf(ini), (enum tmf_response)response);
	if (ini->state == INITIATOR_UP)
		send_next(ini);
}

/*
 * Of an aborted task nothing more is to come once the function is complete (RFC 7143
 * §4.2.3.3; but see task_is_over()). A target that does not know the task, when we never had its answer, leaves
 * its outcome open. One that refuses to abort will end the task in its own time.
 */
static void abort_answered(struct initiator *ini, struct task_slot *slot, uint8_t response)
{
	bool over = response == TMF_COMPLETE || response == TMF_NO_TASK;

	if (slot->task && !slot->answered && over) {
		task_over(ini, slot->itt);
		slot->task->status = response == TMF_COMPLETE ? STATUS_TASK_ABORTED : LU_LOST;
		task_finish(ini, slot);
	}
	task_abort_over(ini, slot);
}

void tmf_response(struct initiator *ini, uint32_t itt, uint8_t response)
{
	struct task_slot *slot = NULL;

	if (itt == ini->tmf_itt && itt != ISCSI_NO_TAG) {
		unit_answered(ini, response);
		return;
	}
	if (TAG_KIND(itt) == TAG_ABORT && TAG_INDEX(itt) < ini->conf.max_tasks)
		slot = &ini->slots[TAG_INDEX(itt)];
	if (slot && slot->aborting && slot->itt == TASK_TAG(itt))
		abort_answered(ini, slot, response);
	else
		conn_fail(&ini->conn, "Task Management Function Response to no request of ours, "
			  "ITT 0x%x", itt);
}

static void escalation_done(struct scsi_tmf *tmf)
{
	struct initiator *ini = container_of(tmf, struct initiator, escalation);

	if (tmf->response != TMF_COMPLETE)
		conn_fail(&ini->conn, "ABORT TASK not answered, LOGICAL UNIT RESET refused");
}

static void escalate(struct initiator *ini)
{
	if (list_linked(&ini->escalation.node))
		return;
	log_warning("%s: ABORT TASK not answered within %g s: resetting the logical unit",
		    ini->url.target, ini->conf.abort_timeout);
	ini->escalation.function = TMF_LU_RESET;
	ini->escalation.done = escalation_done;
	list_add_tail(&ini->tmfs, &ini->escalation.node);
	send_next(ini);
}

/* This abort is late: reset the unit; if that did not bring its answer either, a new session. */
static void abort_late(struct initiator *ini, struct task_slot *slot, double now)
{
	if (slot->escalated)
		conn_fail(&ini->conn, "ABORT TASK never answered");
	else
		escalate(ini);
	slot->escalated = true;
	slot->abort_deadline = now + ini->conf.tmf_timeout;
}

/* One timer for all aborts: it is set to the earliest deadline that is left. */
static void on_abort_timeout(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct initiator *ini = container_of(timer, struct initiator, abort_timer);
	double now = loop_now(ini->lu.loop), next = 0;

	(void)ev;
	(void)events;
	assert(ini->connected);
	for (unsigned i = 0; i < ini->conf.max_tasks; i++) {
		struct task_slot *slot = &ini->slots[i];

		if (!slot->aborting)
			continue;
		if (slot->abort_deadline <= now)
			abort_late(ini, slot, now);
		if (next == 0 || slot->abort_deadline < next)
			next = slot->abort_deadline;
	}
	if (next > 0)
		initiator_timer(ini, timer, on_abort_timeout, next - now);
}

void tmf_abort(struct initiator *ini, struct scsi_task *task)
{
	struct task_slot *slot = task->priv;

	if (!slot) {		/* not on the wire: in the queue, or already ending */
		assert(list_linked(&task->node));
		list_del(&task->node);
		initiator_end_task(ini, task, STATUS_TASK_ABORTED);
		return;
	}
	if (slot->aborting || slot->answered || ini->state != INITIATOR_UP)
		return;
	slot->aborting = true;
	slot->escalated = false;
	slot->abort_deadline = loop_now(ini->lu.loop) + ini->conf.abort_timeout;
	send_request(ini, TMF_ABORT_TASK, ABORT_TAG(slot->itt), slot->itt, slot->cmd_sn);
	if (!ev_is_active(&ini->abort_timer))
		initiator_timer(ini, &ini->abort_timer, on_abort_timeout, ini->conf.abort_timeout);
}

void tmf_init(struct initiator *ini)
{
	list_init(&ini->tmfs);
	list_init(&ini->escalation.node);
	ini->tmf_itt = ISCSI_NO_TAG;
}

void tmf_stop(struct initiator *ini)
{
	ev_timer_stop(ini->lu.loop->ev, &ini->tmf_timer);
	ev_timer_stop(ini->lu.loop->ev, &ini->abort_timer);
}

void tmf_lost(struct initiator *ini)
{
	struct list batch = LIST_INIT(batch);

	tmf_stop(ini);
	ini->tmf_itt = ISCSI_NO_TAG;
	for (unsigned i = 0; i < ini->conf.max_tasks; i++)
		if (ini->slots[i].aborting)
			task_abort_over(ini, &ini->slots[i]);
	list_splice_tail(&batch, &ini->tmfs);
	while (!list_empty(&batch))
		end_tmf(container_of(batch.next, struct scsi_tmf, node), TMF_REJECTED);
}
