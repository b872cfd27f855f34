/*
 * The task set of one instance (SAM-5 §8): which tasks may start, and how they end.
 *
 * A task is on one list at a time: held (behind an ORDERED task), active (its
 * struct disk_op is), or finished. Simple tasks run side by side and may overtake
 * each other, as the Control mode page says. Order between nexuses of different
 * workers is not kept, because no initiator can see it: none knows when another's
 * command arrived.
 *
 * Everything that is called back from here, lu_complete() and the ends of task
 * management, runs in disk_turn(): a deferred call, so never within submit.
 */
#include <assert.h>

#include "disk_private.h"
#include "pool.h"

static struct scsi_task *task_of(struct list *node)
{
	return container_of(node, struct scsi_task, node);
}

/* SBC-4 §5.24.1 */
enum task_attribute disk_attribute(const struct scsi_task *task)
{
	switch ((int)task->cdb.id) {
	case CDB_SANITIZE_OVERWRITE:
	case CDB_SANITIZE_BLOCK_ERASE:
	case CDB_SANITIZE_CRYPTO_ERASE:
	case CDB_SANITIZE_EXIT_FAILURE_MODE:
		return TASK_HEAD_OF_QUEUE;
	}
	return (enum task_attribute)task->attribute;
}

static bool may_start(const struct disk_lu *disk, const struct scsi_task *task)
{
	switch (disk_attribute(task)) {
	case TASK_HEAD_OF_QUEUE:
		return true;
	case TASK_ORDERED:
		return list_empty(&disk->active);
	case TASK_UNTAGGED:
	case TASK_SIMPLE:
	case TASK_ACA:
		break;
	}
	return !disk->barrier;
}

void disk_submit(struct scsi_lu *lu, struct scsi_task *task)
{
	struct disk_lu *disk = disk_of(lu);

	assert(!disk->closed);
	list_init(&task->node);
	task->priv = NULL;
	if (task->era && task->era != disk->lu.era) {
		disk_end_late(disk, task);
		return;
	}
	if (may_start(disk, task) &&
	    (list_empty(&disk->held) || disk_attribute(task) == TASK_HEAD_OF_QUEUE))
		disk_start(disk, task);
	else
		list_add_tail(&disk->held, &task->node);
}

static void op_free(struct disk_op *op)
{
	struct disk_lu *disk = op->disk;
	struct pool *pool = disk->lu.loop->pool;

	assert(!op->requesting);
	if (op->copy)
		disk_copy_end(op);
	disk_op_unlock(op);
	if (disk->barrier == op)
		disk->barrier = NULL;
	list_del(&op->node);
	if (op->buffer)
		pool_put(pool, op->buffer, op->buffer_len);
	pool_put(pool, op, sizeof(*op));
}

void disk_finish(struct disk_lu *disk, struct scsi_task *task)
{
	struct disk_op *op = task->priv;

	assert(!list_linked(&task->node));
	if (op && op->aborted) {
		task->status = STATUS_TASK_ABORTED;
		task->sense_len = 0;
	}
	if (op)
		op_free(op);
	task->priv = NULL;
	/* A data-in command that failed calls for no more than it moved. */
	if (task->status != STATUS_GOOD && task->direction == CDB_DATA_IN)
		task->wanted = task->moved;
	list_add_tail(&disk->finished, &task->node);
	loop_defer(disk->lu.loop, &disk->turn);
}

static void start_held(struct disk_lu *disk)
{
	while (!list_empty(&disk->held) && may_start(disk, task_of(disk->held.next)))
		disk_start(disk, task_of(list_pop(&disk->held)));
}

void disk_turn(struct loop_call *call)
{
	struct disk_lu *disk = container_of(call, struct disk_lu, turn);
	struct list batch = LIST_INIT(batch);
	struct list *node;

	list_splice_tail(&batch, &disk->finished);
	while ((node = list_pop(&batch)))
		lu_complete(&disk->lu, task_of(node));
	start_held(disk);
	disk_manage_turn(disk);
	disk_close_if_idle(disk);
}
