/*
 * Reservations as the commands meet them: whom one keeps from what, and RESERVE and
 * RELEASE, (6) and (10) (SPC-2). The rules are reservation.c's.
 *
 * While nobody has reserved anything the data path sees one number, 0. Else the number
 * stands for the state of reservations: each nexus remembers what it may as of which
 * state, and asks anew, under the mutex, when there is another.
 */
#include <assert.h>

#include "disk_private.h"

void disk_conflict(struct disk_lu *disk, struct scsi_task *task)
{
	task->status = STATUS_RESERVATION_CONFLICT;
	disk_finish(disk, task);
}

static enum reach ask(struct lu_shared *shared, const struct nexus *nexus, uint64_t *as_of)
{
	enum reach access;

	pthread_mutex_lock(&shared->mutex);
	access = reservation_access(shared->reservations, nexus);
	*as_of = atomic_load(&shared->restricted);
	pthread_mutex_unlock(&shared->mutex);
	return access;
}

static enum reach access_of(struct disk_lu *disk, const struct nexus *nexus)
{
	struct lu_shared *shared = disk_shared(disk);
	struct nexus_state *state = nexus ? lu_instance_find(&disk->instance, nexus) : NULL;
	uint64_t as_of;

	if (!state)
		return ask(shared, nexus, &as_of);
	if (state->access_as_of != atomic_load(&shared->restricted))
		state->access = ask(shared, nexus, &state->access_as_of);
	return state->access;
}

bool disk_is_barred(struct disk_lu *disk, const struct scsi_task *task, enum reach needed)
{
	return needed > access_of(disk, task->nexus);
}

/* Under the mutex, after any change. */
static void publish(struct lu_shared *shared)
{
	bool restricts = reservation_restricts(shared->reservations);

	atomic_store(&shared->restricted, restricts ? ++shared->reserved : 0);
}

struct reservations *disk_reserve_replace(struct lu_shared *shared, struct reservations *next)
{
	struct reservations *before;

	pthread_mutex_lock(&shared->mutex);
	before = shared->reservations;
	assert(!before->reserver && !next->reserver);
	shared->reservations = next;
	publish(shared);
	pthread_mutex_unlock(&shared->mutex);
	return before;
}

void disk_reserve_forget(struct lu_shared *shared, const struct nexus *nexus)
{
	pthread_mutex_lock(&shared->mutex);
	if (shared->reservations->reserver == nexus) {
		shared->reservations->reserver = NULL;
		publish(shared);
	}
	pthread_mutex_unlock(&shared->mutex);
}

void disk_reserve_reset(struct lu_shared *shared)
{
	pthread_mutex_lock(&shared->mutex);
	shared->reservations->reserver = NULL;
	publish(shared);
	pthread_mutex_unlock(&shared->mutex);
}

/* RESERVE and RELEASE ------------------------------------------------------- */

/* In turn: a reservation that came between another nexus' registering and its being stored
 * would be lost. */
static void change(struct disk_op *op)
{
	struct lu_shared *shared = disk_shared(op->disk);
	const struct scsi_task *task = op->task;
	bool reserve = task->cdb.id == CDB_RESERVE_6 || task->cdb.id == CDB_RESERVE_10;
	enum scsi_status status;

	pthread_mutex_lock(&shared->mutex);
	status = reserve ? reservation_reserve(shared->reservations, task->nexus)
			 : reservation_release(shared->reservations, task->nexus);
	publish(shared);
	pthread_mutex_unlock(&shared->mutex);
	if (status == STATUS_GOOD)
		disk_op_done(op);
	else
		disk_conflict(op->disk, op->task);
}

void disk_reserve(struct disk_lu *disk, struct scsi_task *task)
{
	struct disk_op *op;

	if (!task->nexus) {
		disk_conflict(disk, task);	/* a reservation is somebody's */
		return;
	}
	op = disk_op_new(disk, task);
	if (op)
		disk_op_turn(op, change);
}
