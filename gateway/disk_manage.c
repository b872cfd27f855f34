/*
 * Task management (SAM-5 §7) on one logical unit, and the aborting half of PREEMPT AND
 * ABORT, which does the same for nexuses of its choice.
 *
 * What the device has been asked for cannot be called back, so a function ends
 * when the last request of the tasks that it aborts has ended: only then is it
 * true that they do no more. A function that concerns all nexuses visits every
 * instance, each on its own worker; the last visit to end posts the answer home.
 *
 * A round is made by disk_manage() or disk_preempt(), and freed when it has come home.
 * Of its visits each is touched by one worker only, until it has counted itself out.
 */
#include <assert.h>
#include <stdlib.h>

#include "disk_private.h"

struct round {
	struct scsi_tmf *tmf;		/* what it carries out; NULL: PREEMPT AND ABORT, ... */
	struct disk_op *op;		/* ... which is this one, ... */
	bool (*chosen)(const struct disk_op *op, const struct nexus *nexus);	/* ... for these */
	struct disk_lu *home;
	struct list visits;		/* struct visit.of_round */
	atomic_uint left;		/* visits that have not ended */
	bool	 failed;		/* no memory for all of them: those that are do nothing */
	struct loop_msg back;
};

struct visit {
	struct round *round;
	struct disk_lu *disk;
	struct list of_round;
	struct list node;		/* disk->visits */
	struct loop_msg msg;
	uint64_t upto;			/* ops with a greater number came later */
};

static bool concerns_all(enum tmf_function function)
{
	return function != TMF_ABORT_TASK_SET;
}

static bool is_reset(enum tmf_function function)
{
	return function == TMF_LU_RESET || function == TMF_TARGET_WARM_RESET ||
	       function == TMF_TARGET_COLD_RESET;
}

static bool ends(const struct round *round, const struct scsi_task *task)
{
	if (!round->tmf)
		return task != round->op->task && task->nexus &&
		       round->chosen(round->op, task->nexus);
	return concerns_all(round->tmf->function) || task->nexus == round->tmf->nexus;
}

static void abort_op(struct disk_op *op)
{
	if (op->aborted)
		return;
	op->aborted = true;
	if (op->requesting)
		blk_abort(op->where->dev, &op->req);
	else if (op->waits) {
		disk_sanitize_leave(op);
		disk_finish(op->disk, op->task);
	}
}

static void abort_held(struct disk_lu *disk, struct scsi_task *task)
{
	list_del(&task->node);
	task->status = STATUS_TASK_ABORTED;
	disk_finish(disk, task);
}

static bool is_held(const struct disk_lu *disk, const struct scsi_task *task)
{
	list_for_each(node, &disk->held)
		if (node == &task->node)
			return true;
	return false;
}

void disk_abort(struct scsi_lu *lu, struct scsi_task *task)
{
	struct disk_lu *disk = disk_of(lu);

	if (task->priv)
		abort_op(task->priv);
	else if (is_held(disk, task))
		abort_held(disk, task);
}

/* SAM-5 §7.5: with TAS = 0 nobody is told of an aborted command but by unit attention. */
static void tell_owner(struct disk_lu *disk, const struct round *round,
		       const struct scsi_task *task)
{
	const struct nexus *aborter = round->tmf ? round->tmf->nexus : round->op->task->nexus;
	struct nexus_state *owner;

	if (round->tmf && round->tmf->function != TMF_CLEAR_TASK_SET)
		return;
	if (!task->nexus || task->nexus == aborter)
		return;
	owner = lu_instance_find(&disk->instance, task->nexus);
	if (owner)
		nexus_raise(owner, ATTENTION_COMMANDS_CLEARED);
}

/* Of a reset its nexus has heard as all have. */
void disk_end_late(struct disk_lu *disk, struct scsi_task *task)
{
	struct nexus_state *owner = lu_instance_find(&disk->instance, task->nexus);

	if (owner && disk->is_cleared)
		nexus_raise(owner, ATTENTION_COMMANDS_CLEARED);
	task->status = STATUS_TASK_ABORTED;
	disk_finish(disk, task);
}

static void end_tasks(struct disk_lu *disk, const struct round *round)
{
	list_for_each_safe(node, &disk->held) {
		struct scsi_task *task = container_of(node, struct scsi_task, node);

		if (ends(round, task)) {
			tell_owner(disk, round, task);
			abort_held(disk, task);
		}
	}
	list_for_each_safe(node, &disk->active) {
		struct disk_op *op = container_of(node, struct disk_op, node);

		if (ends(round, op->task)) {
			tell_owner(disk, round, op->task);
			abort_op(op);
		}
	}
}

static void carry_out(struct disk_lu *disk, const struct round *round)
{
	const struct scsi_tmf *tmf = round->tmf;

	end_tasks(disk, round);
	if (!tmf)
		return;
	if (concerns_all(tmf->function)) {
		disk->lu.era += disk->lu.era == UINT32_MAX ? 2 : 1;
		disk->is_cleared = !is_reset(tmf->function);
	}
	/* SAM-5 §6.3.2, §6.3.3: every nexus hears of a reset, also the one that asked for it. */
	if (tmf->function == TMF_LU_RESET)
		lu_instance_raise(&disk->instance, ATTENTION_DEVICE_RESET);
	else if (is_reset(tmf->function))
		lu_instance_raise(&disk->instance, ATTENTION_BUS_RESET);
}

/* On the worker of the visited instance. */
static void visit_begin(struct visit *visit)
{
	struct disk_lu *disk = visit->disk;

	if (!visit->round->failed)
		carry_out(disk, visit->round);
	visit->upto = disk->newest;
	list_add_tail(&disk->visits, &visit->node);
	loop_defer(disk->lu.loop, &disk->turn);
}

static void visit_arrived(struct loop_msg *msg)
{
	visit_begin(container_of(msg, struct visit, msg));
}

static void visit_end(struct visit *visit)
{
	struct round *round = visit->round;
	struct loop *home = round->home->lu.loop;

	list_del(&visit->node);
	atomic_fetch_sub(&visit->disk->instance.visitors, 1);
	if (atomic_fetch_sub(&round->left, 1) == 1)
		loop_post(home, &round->back);
}

static bool is_waiting(const struct visit *visit)
{
	const struct round *round = visit->round;

	list_for_each(node, &visit->disk->active) {
		const struct disk_op *op = container_of(node, struct disk_op, node);

		/* It waits for its turn, which PREEMPT AND ABORT has, and will end when it comes. */
		if (!round->tmf && op->lock == disk_shared(visit->disk)->turns)
			continue;
		if (op->number <= visit->upto && ends(round, op->task))
			return true;
	}
	return false;
}

void disk_manage_turn(struct disk_lu *disk)
{
	struct list *node;

	/* Tasks that have finished since disk_turn() began are completed first. */
	if (!list_empty(&disk->finished))
		return;
	list_for_each_safe(waiting, &disk->visits) {
		struct visit *visit = container_of(waiting, struct visit, node);

		if (!is_waiting(visit))
			visit_end(visit);
	}
	while ((node = list_pop(&disk->managed))) {
		struct scsi_tmf *tmf = container_of(node, struct scsi_tmf, node);

		assert(disk->tmfs > 0);
		disk->tmfs--;
		tmf->done(tmf);
	}
}

static void answer(struct disk_lu *disk, struct scsi_tmf *tmf, enum tmf_response response)
{
	tmf->response = response;
	list_add_tail(&disk->managed, &tmf->node);
	loop_defer(disk->lu.loop, &disk->turn);
}

static void round_free(struct round *round)
{
	struct list *node;

	while ((node = list_pop(&round->visits)))
		free(container_of(node, struct visit, of_round));
	free(round);
}

static void round_over(struct loop_msg *msg)
{
	struct round *round = container_of(msg, struct round, back);
	struct disk_op *op = round->op;

	if (round->tmf)
		answer(round->home, round->tmf, round->failed ? TMF_REJECTED : TMF_COMPLETE);
	else
		op->incomplete = round->failed;
	round_free(round);
	if (op)
		op->next(op);
}

static void add_visit(struct lu_instance *instance, void *opaque)
{
	struct round *round = opaque;
	struct disk_lu *disk = container_of(instance, struct disk_lu, instance);
	struct visit *visit;

	if (disk != round->home && round->tmf && !concerns_all(round->tmf->function))
		return;
	visit = calloc(1, sizeof(*visit));
	if (!visit) {
		round->failed = true;
		return;
	}
	visit->round = round;
	visit->disk = disk;
	visit->msg.run = visit_arrived;
	list_init(&visit->node);
	list_add_tail(&round->visits, &visit->of_round);
	atomic_fetch_add(&round->left, 1);
	atomic_fetch_add(&instance->visitors, 1);
}

/* NULL without memory for even one visit. */
static struct round *round_new(struct disk_lu *home, struct scsi_tmf *tmf, struct disk_op *op)
{
	struct round *round = calloc(1, sizeof(*round));

	if (!round)
		return NULL;
	round->tmf = tmf;
	round->op = op;
	round->home = home;
	round->back.run = round_over;
	list_init(&round->visits);
	atomic_init(&round->left, 0);
	lu_shared_each(disk_shared(home), add_visit, round);
	if (!list_empty(&round->visits))
		return round;
	free(round);
	return NULL;
}

/* The visit at home begins at once, before any later command; "left" cannot reach 0 in here
 * because visits end in disk_turn() only. */
static void set_out(struct round *round)
{
	list_for_each_safe(node, &round->visits) {
		struct visit *visit = container_of(node, struct visit, of_round);

		if (visit->disk == round->home)
			visit_begin(visit);
		else
			loop_post(visit->disk->lu.loop, &visit->msg);
	}
}

void disk_manage(struct scsi_lu *lu, struct scsi_tmf *tmf)
{
	struct disk_lu *disk = disk_of(lu);
	struct round *round;

	list_init(&tmf->node);
	disk->tmfs++;
	if (tmf->function != TMF_ABORT_TASK_SET && tmf->function != TMF_CLEAR_TASK_SET &&
	    !is_reset(tmf->function)) {
		answer(disk, tmf, TMF_NOT_SUPPORTED);
		return;
	}
	round = round_new(disk, tmf, NULL);
	if (!round) {
		answer(disk, tmf, TMF_REJECTED);
		return;
	}
	if (is_reset(tmf->function) && !round->failed) {
		atomic_store(&disk_shared(disk)->mode, MODE_DEFAULTS);
		disk_reserve_reset(disk_shared(disk));
	}
	set_out(round);
}

void disk_preempt(struct disk_op *op,
		  bool (*chosen)(const struct disk_op *op, const struct nexus *nexus),
		  void (*next)(struct disk_op *))
{
	struct round *round = round_new(op->disk, NULL, op);

	if (!round) {
		op->incomplete = true;
		next(op);
		return;
	}
	round->chosen = chosen;
	op->next = next;
	set_out(round);
}
