/*
 * PERSISTENT RESERVE OUT (SPC-4 §6.16): the parameter list is read into a request
 * (disk_pr_list.c), out of which reservation_out.c makes, in the command's turn, what is to be.
 * That is stored, where it has to outlive us, before it takes effect, and whom it concerns is
 * told. So what a host was told is true also after a restart, and nobody else's change comes
 * between.
 */
#include "disk_pr_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk_private.h"
#include "log.h"

static void tell(struct pr_out *c, const struct reservations *before)
{
	for (unsigned i = 0; i < before->count; i++)
		if (c->outcome.fate[i].attention != SENSE_NONE)
			lu_shared_tell(disk_shared(c->op->disk), &before->registrations[i].who,
				       c->outcome.fate[i].attention);
}

/* After the change: c->state is what was. */
static bool is_preempted(const struct disk_op *op, const struct nexus *nexus)
{
	const struct pr_out *c = (const void *)op->buffer;
	const struct registration *registration = reservation_find(c->state, nexus);

	return registration && c->outcome.fate[registration - c->state->registrations].gone;
}

static void over(struct disk_op *op)
{
	struct pr_out *c = (void *)op->buffer;

	free(c->state);
	if (op->incomplete)
		disk_refuse(op->disk, op->task, SENSE_INTERNAL_TARGET_FAILURE);
	else
		disk_op_done(op);
}

static void take_effect(struct pr_out *c)
{
	struct disk_op *op = c->op;

	c->state = disk_reserve_replace(disk_shared(op->disk), c->state);
	tell(c, c->state);
	/* The turn is kept meanwhile: who preempts the preempter must not get ahead of what the
	 * first one has still under way. */
	if (c->request.action == CDB_PR_OUT_PREEMPT_AND_ABORT)
		disk_preempt(op, is_preempted, over);
	else
		over(op);
}

/* On an offload thread. */
static void store(struct offload_job *job)
{
	struct pr_out *c = container_of(job, struct pr_out, storing);

	c->error = reservation_store_save(disk_shared(c->op->disk)->store, c->state) ? 0 : errno;
}

static void stored(struct offload_job *job)
{
	struct pr_out *c = container_of(job, struct pr_out, storing);
	struct disk_op *op = c->op;

	if (!c->error) {
		take_effect(c);
		return;
	}
	log_error("LUN %u: reservations cannot be stored: %s", disk_shared(op->disk)->conf.lun,
		  strerror(c->error));
	free(c->state);
	disk_refuse(op->disk, op->task, SENSE_INTERNAL_TARGET_FAILURE);
}

static void refuse(struct pr_out *c)
{
	struct disk_op *op = c->op;

	free(c->state);
	if (c->outcome.status == STATUS_CHECK_CONDITION)
		disk_refuse(op->disk, op->task, c->outcome.reason);
	else
		disk_conflict(op->disk, op->task);
}

static void in_turn(struct disk_op *op)
{
	struct lu_shared *shared = disk_shared(op->disk);
	struct pr_out *c = (void *)op->buffer;
	bool stores;

	c->state = malloc(sizeof(*c->state));
	if (!c->state) {
		op->task->status = STATUS_TASK_SET_FULL;
		disk_finish(op->disk, op->task);
		return;
	}
	pthread_mutex_lock(&shared->mutex);
	reservation_out(shared->reservations, c->state, &c->request, &c->outcome);
	stores = shared->reservations->aptpl;
	pthread_mutex_unlock(&shared->mutex);
	if (c->outcome.status != STATUS_GOOD) {
		refuse(c);
	} else if (stores || c->state->aptpl) {
		c->storing.work = store;
		c->storing.done = stored;
		offload_run(shared->conf.offload, op->disk->lu.loop, &c->storing);
	} else {
		take_effect(c);
	}
}

static struct pr_out *pr_out_new(struct disk_lu *disk, struct scsi_task *task)
{
	struct disk_op *op = disk_op_new(disk, task);
	struct pr_out *c;

	if (!op || !disk_op_buffer(op, sizeof(*c)))
		return NULL;
	c = (void *)op->buffer;
	memset(c, 0, sizeof(*c));
	c->op = op;
	c->ports[0] = lu_port_of(task->nexus);
	c->request = (struct reservation_request){
		.action = task->cdb.id, .nexus = task->nexus,
		.scope = task->cdb.scope, .type = task->cdb.type,
		.ports = c->ports, .port_count = 1, .others = c->others,
	};
	return c;
}

void disk_pr_out(struct disk_lu *disk, struct scsi_task *task)
{
	struct pr_out *c;

	if (!task->nexus) {
		disk_conflict(disk, task);	/* who has no name cannot register */
		return;
	}
	c = pr_out_new(disk, task);
	if (!c || !pr_out_take_list(c))
		return;
	disk_op_turn(c->op, in_turn);
}
