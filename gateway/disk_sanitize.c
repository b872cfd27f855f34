/*
 * SANITIZE (SBC-4 §4.11, §5.24): the whole unit is written over, and nobody reaches it
 * until that is done.
 *
 * The operation is the unit's, not the command's: it goes on when the command is aborted,
 * its nexus is lost or the unit is reset. lu_shared says that there is one, so that every
 * worker refuses what must not be carried out meanwhile; it runs on the worker that the
 * command came to, one request at a time. Where there is a state directory, a mark says so
 * beyond the end of the process: what it leaves behind has failed.
 *
 * What is erased is what the device is given to write. OVERWRITE writes the pattern, with
 * a flush after each pass, for else a cache might only see the last. BLOCK ERASE writes
 * zeroes and unmaps what it has written, stretch by stretch so that a thin device need not
 * have room for all of it; never unmaps alone, which leaves on the medium what was there.
 * CRYPTOGRAPHIC ERASE would change the key that the medium is encrypted with: there is none
 * that we know of, so it does as BLOCK ERASE does, which leaves no less.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "disk_sanitize.h"
#include "field.h"
#include "log.h"
#include "offload.h"
#include "pool.h"

/* What others see of it ---------------------------------------------------------- */

static enum sanitize_state state_of(const struct disk_lu *disk)
{
	return (enum sanitize_state)atomic_load(&disk_shared(disk)->sanitize);
}

bool disk_sanitize_sense(const struct disk_lu *disk, struct sense *sense)
{
	switch (state_of(disk)) {
	case SANITIZE_NONE:
		return false;
	case SANITIZE_RUNNING:
		sense->reason = SENSE_SANITIZE_IN_PROGRESS;
		sense->has_progress = true;
		sense->progress = (uint16_t)atomic_load(&disk_shared(disk)->sanitized);
		return true;
	case SANITIZE_FAILED:
	case SANITIZE_FAILED_RESTRICTED:
		sense->reason = SENSE_SANITIZE_FAILED;
		return true;
	}
	return false;
}

bool disk_sanitize_refuses(struct disk_lu *disk, struct scsi_task *task, bool after_failure)
{
	struct sense sense = { .reason = SENSE_NONE };

	if (!disk_sanitize_sense(disk, &sense) ||
	    (after_failure && sense.reason == SENSE_SANITIZE_FAILED))
		return false;
	disk_sense(disk, task, &sense);
	disk_finish(disk, task);
	return true;
}

/* The parameter list of OVERWRITE ------------------------------------------------- */

struct overwrite {
	bool	 invert;
	uint8_t	 test, count;
	uint16_t pattern_len;
};

#define FIELD_STRUCT struct overwrite
static const struct field overwrite[] = {
	FIELD_BIT(invert, 0, 7), FIELD(test, 0, 6, 2), FIELD(count, 0, 4, 5),
	FIELD_U16(pattern_len, 2), FIELD_END
};
#undef FIELD_STRUCT
#define OVERWRITE_HEADER_LEN	4u
enum { OVERWRITE_FLAGS_AT = 0, PATTERN_LENGTH_AT = 2 };

/* SBC-4 §5.24.2. False: something is wrong, and the task is finished. */
static bool judge_overwrite(struct disk_lu *disk, struct scsi_task *task, struct overwrite *list)
{
	uint32_t len = task->cdb.param_len;

	if (len <= OVERWRITE_HEADER_LEN || len > OVERWRITE_HEADER_LEN + disk->lu.block_len) {
		disk_refuse_field(disk, task, param_len);
		return false;
	}
	if (disk_arrived(task) < len) {
		disk_refuse(disk, task, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	field_decode(overwrite, task->data, len, list);
	if (list->test)
		disk_refuse_parameter(disk, task, OVERWRITE_FLAGS_AT, 6);
	else if (!list->count)
		disk_refuse_parameter(disk, task, OVERWRITE_FLAGS_AT, 4);
	else if (!list->pattern_len || list->pattern_len > len - OVERWRITE_HEADER_LEN)
		disk_refuse_parameter(disk, task, PATTERN_LENGTH_AT, -1);
	else
		return true;
	return false;
}

/* The pattern begins anew with each logical block. */
static void spread(uint8_t *buffer, uint32_t block_len, const uint8_t *pattern, size_t len)
{
	for (size_t at = 0; at < block_len; at += len)
		memcpy(buffer + at, pattern, len < block_len - at ? len : block_len - at);
	for (size_t at = block_len; at < DISK_CHUNK; at += block_len)
		memcpy(buffer + at, buffer, block_len);
}

/* Beginning ------------------------------------------------------------------------ */

/* The operation that the command asks for. NULL without memory. */
static struct sanitize *sanitize_new(struct disk_lu *disk, const struct scsi_task *task,
				     const struct overwrite *list)
{
	struct pool *pool = disk->lu.loop->pool;
	struct sanitize *s = pool_zalloc(pool, sizeof(*s));

	if (!s)
		return NULL;
	disk_sanitize_init(s, disk);
	s->buffer = pool_zalloc(pool, DISK_CHUNK);
	if (!s->buffer) {
		pool_put(pool, s, sizeof(*s));
		return NULL;
	}
	s->restricted = !task->cdb.ause;
	s->erases = task->cdb.id != CDB_SANITIZE_OVERWRITE;
	s->passes = s->erases ? 1 : list->count;
	s->inverts = list->invert;
	if (!s->erases)
		spread(s->buffer, disk->lu.block_len, task->data + OVERWRITE_HEADER_LEN,
		       list->pattern_len);
	if (s->inverts && s->passes % 2 == 0)
		disk_sanitize_invert(s->buffer);
	return s;
}

/* Nothing has been written: all is as it was. */
static void give_up(struct sanitize *s)
{
	struct disk_lu *disk = s->disk;

	atomic_store(&disk_shared(disk)->sanitize, s->before);
	disk->sanitize = NULL;
	disk_sanitize_free(s);
}

/* The command may have been aborted meanwhile; the operation has not. */
static void begun(struct sanitize *s)
{
	struct disk_op *op = s->op;
	struct scsi_task *task = op->task;

	s->op = NULL;
	if (op->aborted) {
		disk_finish(s->disk, task);
	} else if (task->cdb.immed) {
		disk_good(s->disk, task);
	} else {
		op->waits = true;
		s->op = op;
	}
	disk_sanitize_run(s);
}

static void set_mark(struct offload_job *job)
{
	struct sanitize *s = container_of(job, struct sanitize, marking);

	s->mark_error = sanitize_mark_set(disk_shared(s->disk)->mark, s->restricted) ? 0 : errno;
}

static void mark_set(struct offload_job *job)
{
	struct sanitize *s = container_of(job, struct sanitize, marking);
	struct disk_lu *disk = s->disk;
	struct scsi_task *task = s->op->task;

	if (!s->mark_error) {
		begun(s);
		return;
	}
	log_error("LUN %u of %s: that it is being sanitized cannot be stored: %s",
		  disk_shared(disk)->conf.lun, disk_shared(disk)->conf.target_name,
		  strerror(s->mark_error));
	give_up(s);
	disk_refuse(disk, task, SENSE_INTERNAL_TARGET_FAILURE);
}

/* Every worker knows of it: what each has begun before is the device's by now, and no more
 * will be. */
static void all_know(struct disk_op *op)
{
	struct disk_lu *disk = op->disk;
	struct lu_shared *shared = disk_shared(disk);
	struct sanitize *s = disk->sanitize;

	if (op->incomplete) {
		give_up(s);
		op->task->status = STATUS_TASK_SET_FULL;
		disk_finish(disk, op->task);
		return;
	}
	s->op = op;
	if (!shared->mark) {
		begun(s);
		return;
	}
	s->marking.work = set_mark;
	s->marking.done = mark_set;
	offload_run(shared->conf.offload, disk->lu.loop, &s->marking);
}

static bool nobody(const struct disk_op *op, const struct nexus *nexus)
{
	(void)op;
	(void)nexus;
	return false;
}

/* "before" is the state that allows it, if another worker has not come first. */
static void begin(struct disk_lu *disk, struct scsi_task *task, const struct overwrite *list,
		  enum sanitize_state before)
{
	struct lu_shared *shared = disk_shared(disk);
	struct sanitize *s = sanitize_new(disk, task, list);
	unsigned expected = before;
	struct disk_op *op;

	if (!s) {
		task->status = STATUS_TASK_SET_FULL;
		disk_finish(disk, task);
		return;
	}
	op = disk_op_new(disk, task);
	if (!op) {
		disk_sanitize_free(s);
		return;
	}
	s->before = before;
	if (!atomic_compare_exchange_strong(&shared->sanitize, &expected, SANITIZE_RUNNING)) {
		disk_sanitize_free(s);
		disk_sanitize_refuses(disk, task, false);
		return;
	}
	disk->sanitize = s;
	disk_sanitize_note_progress(s);
	disk_preempt(op, nobody, all_know);
}

/* SBC-4 §4.11.3: a failure in restricted completion mode ends by success only, and not by
 * leaving that mode. */
void disk_sanitize(struct disk_lu *disk, struct scsi_task *task)
{
	enum sanitize_state state = state_of(disk);
	struct overwrite list = { 0 };

	if (task->cdb.id == CDB_SANITIZE_OVERWRITE) {
		if (!judge_overwrite(disk, task, &list))
			return;
	} else if (task->cdb.param_len) {
		disk_refuse_field(disk, task, param_len);
		return;
	}
	if (state == SANITIZE_FAILED_RESTRICTED && task->cdb.ause)
		disk_refuse_field(disk, task, ause);
	else
		begin(disk, task, &list, state);
}

/* EXIT FAILURE MODE, while it clears the mark: nothing else begins then. */
struct leaving {
	struct offload_job job;
	struct disk_op *op;
	int error;
};

static void leave(struct offload_job *job)
{
	struct leaving *l = container_of(job, struct leaving, job);

	l->error = sanitize_mark_clear(disk_shared(l->op->disk)->mark) ? 0 : errno;
}

static void left(struct offload_job *job)
{
	struct leaving *l = container_of(job, struct leaving, job);
	struct disk_lu *disk = l->op->disk;
	struct lu_shared *shared = disk_shared(disk);

	atomic_store(&shared->sanitize, l->error ? SANITIZE_FAILED : SANITIZE_NONE);
	if (!l->error) {
		disk_good(disk, l->op->task);
		return;
	}
	log_error("LUN %u of %s: that it may be left unsanitized cannot be stored: %s",
		  shared->conf.lun, shared->conf.target_name, strerror(l->error));
	disk_refuse(disk, l->op->task, SENSE_INTERNAL_TARGET_FAILURE);
}

static void leave_failure(struct disk_lu *disk, struct scsi_task *task)
{
	struct lu_shared *shared = disk_shared(disk);
	struct disk_op *op = disk_op_new(disk, task);
	unsigned failed = SANITIZE_FAILED;
	struct leaving *l;

	if (!op || !disk_op_buffer(op, sizeof(*l)))
		return;
	if (!atomic_compare_exchange_strong(&shared->sanitize, &failed, SANITIZE_RUNNING)) {
		disk_good(disk, task);		/* somebody was faster */
		return;
	}
	l = (void *)op->buffer;
	*l = (struct leaving){ .job = { .work = leave, .done = left }, .op = op };
	if (shared->mark)
		offload_run(shared->conf.offload, disk->lu.loop, &l->job);
	else
		left(&l->job);
}

void disk_sanitize_exit(struct disk_lu *disk, struct scsi_task *task)
{
	if (task->cdb.param_len)
		disk_refuse_field(disk, task, param_len);
	else if (state_of(disk) == SANITIZE_FAILED_RESTRICTED)
		disk_refuse_cdb(disk, task, 1, 4);	/* the service action */
	else if (state_of(disk) == SANITIZE_FAILED)
		leave_failure(disk, task);
	else
		disk_good(disk, task);
}
