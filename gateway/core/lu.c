/*
 * The call-throughs of the SCSI waist: every task that reaches an executor, and
 * every end of one, passes here, so this is where the contract of lu.h is
 * asserted, where CDBs are traced (scsi.cdb), and where they are counted.
 *
 * Nothing is owned here: tasks belong to their submitters, logical units to
 * whoever opened them.
 */
#include "lu.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "loop.h"

#define CDB_TEXT_LEN	160
#define SENSE_TEXT_LEN	120

static void describe(const struct scsi_task *task, char *text, size_t size)
{
	if (task->cdb.id == CDB_UNKNOWN)
		snprintf(text, size, "opcode 0x%02x", task->wire[0]);
	else
		cdb_format(&task->cdb, text, size);
}

static void trace_submit(const struct scsi_lu *lu, const struct scsi_task *task)
{
	char text[CDB_TEXT_LEN];

	describe(task, text, sizeof(text));
	log_line(LOG_LEVEL_TRACE, "%s: %p %s data=%u", lu->ops->name, (const void *)task, text,
		 task->data_len);
}

static void trace_complete(const struct scsi_lu *lu, const struct scsi_task *task)
{
	char text[SENSE_TEXT_LEN];

	if (task->status == LU_LOST)
		snprintf(text, sizeof(text), "path lost, outcome unknown");
	else
		sense_format(task->status, task->sense, task->sense_len, text, sizeof(text));
	log_line(LOG_LEVEL_TRACE, "%s: %p moved=%u of %llu: %s", lu->ops->name,
		 (const void *)task, task->moved, (unsigned long long)task->wanted, text);
}

void lu_submit(struct scsi_lu *lu, struct scsi_task *task)
{
	assert(loop_is_mine(lu->loop));
	assert(task->done);
	assert(task->wire && task->wire_len > 0);
	assert(task->data || !task->data_len);
	assert(task->direction != CDB_NO_DATA || !task->data_len);

	task->status = STATUS_GOOD;
	task->sense_len = 0;
	task->moved = 0;
	task->wanted = 0;
	lu->tasks++;
	lu->in_flight++;
	if (log_is_on(iscsi_debug_cdb))
		trace_submit(lu, task);
	lu->submitting = task;
	lu->ops->submit(lu, task);
	lu->submitting = NULL;
}

void lu_complete(struct scsi_lu *lu, struct scsi_task *task)
{
	assert(loop_is_mine(lu->loop));
	assert(lu->in_flight > 0);
	assert(lu->submitting != task);		/* contract, 3 */
	assert(task->moved <= task->data_len);
	assert(task->sense_len <= SENSE_MAX_LEN);
	assert(!task->sense_len || task->status == STATUS_CHECK_CONDITION);

	lu->in_flight--;
	if (task->status != STATUS_GOOD && task->status != STATUS_CONDITION_MET)
		lu->failures++;
	if (log_is_on(iscsi_debug_cdb))
		trace_complete(lu, task);
	/* Last: the submitter may close the logical unit in it. */
	task->done(task);
}

void lu_abort(struct scsi_lu *lu, struct scsi_task *task)
{
	assert(loop_is_mine(lu->loop));
	assert(lu->in_flight > 0);
	log_trace(iscsi_debug_cdb, "%s: %p abort", lu->ops->name, (void *)task);
	lu->ops->abort(lu, task);
}

void lu_manage(struct scsi_lu *lu, struct scsi_tmf *tmf)
{
	assert(loop_is_mine(lu->loop));
	assert(tmf->done);
	assert(tmf->function != TMF_ABORT_TASK);
	log_trace(iscsi_debug_cdb, "%s: task management function %d", lu->ops->name,
		  (int)tmf->function);
	lu->ops->manage(lu, tmf);
}

bool lu_other_path(struct scsi_lu *lu)
{
	assert(loop_is_mine(lu->loop));
	return lu->ops->other_path && lu->ops->other_path(lu);
}

void lu_attach(struct scsi_lu *lu, const struct nexus *nexus)
{
	assert(loop_is_mine(lu->loop));
	assert(nexus);
	if (lu->ops->attach)
		lu->ops->attach(lu, nexus);
}

void lu_detach(struct scsi_lu *lu, const struct nexus *nexus)
{
	assert(loop_is_mine(lu->loop));
	assert(nexus);
	if (lu->ops->detach)
		lu->ops->detach(lu, nexus);
}

void lu_tell(struct scsi_lu *lu, const struct nexus *nexus, uint32_t reason, bool waits)
{
	assert(loop_is_mine(lu->loop));
	assert(nexus && SENSE_KEY(reason) == SENSE_KEY_UNIT_ATTENTION);
	if (lu->ops->tell)
		lu->ops->tell(lu, nexus, reason, waits);
}

void lu_close(struct scsi_lu *lu, void (*closed)(void *), void *opaque)
{
	assert(loop_is_mine(lu->loop));
	assert(lu->in_flight == 0);
	assert(closed);
	lu->ops->close(lu, closed, opaque);
}

void lu_sense(struct scsi_task *task, const struct sense *sense)
{
	task->status = STATUS_CHECK_CONDITION;
	task->sense_len = (uint8_t)sense_build(sense, false, task->sense);
}

void lu_fail(struct scsi_task *task, uint32_t reason)
{
	const struct sense sense = { .reason = reason };

	lu_sense(task, &sense);
}
