/*
 * Jobs: a block request under way, as one command after the other and several at a time.
 *
 *   scsi_job.c		chunks, commands in flight, ends
 *   scsi_queue.c	commands that wait for their turn
 *   scsi_rw.c		READ, WRITE (plain, and comparing), FLUSH, CACHE
 *   scsi_discard.c	TRIM
 *   scsi_zero.c	ZERO, and WRITE SAME for TRIM
 *   scsi_status.c	STATUS
 */
#ifndef SCSI_JOB_PRIVATE_H
#define SCSI_JOB_PRIVATE_H

#include <ev.h>

#include "blk.h"
#include "errmap.h"
#include "lu.h"
#include "scsi_retry_private.h"

struct scsi_blk;
struct scsi_io;
struct scsi_job;

/* One kind of work. A job whose range is synchronised when all is written changes its kind. */
struct scsi_op {
	enum errmap_kind kind;
	/* Doing it twice is not the same as doing it once: when it is not known whether it was
	 * done, it fails with EILSEQ, and its submitter looks. */
	bool once;

	/* Narrow the range before the first command; NULL = the whole request. */
	void (*start)(struct scsi_job *job);

	/* How many blocks one command at lba may cover now, > 0. */
	uint64_t (*limit)(const struct scsi_job *job, uint64_t lba);

	/*
	 * Build the command for "step" blocks at io->lba: *cdb, and task.data. 0 = send
	 * it; SCSI_NOTHING_MORE = the job needs no command any more; else an errno.
	 */
	int (*build)(struct scsi_io *io, struct cdb *cdb);

	/* It went well: how many blocks are done with? NULL = those of the step. */
	uint64_t (*good)(struct scsi_io *io);

	/* The unit cannot do that. True: unlearned, build again. NULL = it is a failure. */
	bool (*refused)(struct scsi_io *io, const struct sense *sense);

	/* Only advice was asked for: whatever failed, make the best of it. NULL = it fails. */
	void (*pass_over)(struct scsi_io *io);
};

#define SCSI_NOTHING_MORE	(-1)

enum scsi_io_state {
	SCSI_IO_FREE,
	SCSI_IO_QUEUED,		/* on sb->queue or urgent: the depth is reached, or the path is away */
	SCSI_IO_RUNNING,	/* the unit has it */
	SCSI_IO_WAITING,	/* for its timer */
};

/* One command of a job, and the range that is left for it to do. */
struct scsi_io {
	struct scsi_task task;
	uint8_t wire[CDB_MAX_LEN];
	struct scsi_job *job;
	enum scsi_io_state state;
	uint64_t lba, blocks;		/* still to do */
	uint64_t step;			/* of them, what the command covers */
	unsigned resets;		/* sb->resets when it was sent */
	void *param;			/* parameter data of the command, from the pool */
	uint32_t param_len;
	struct scsi_attempts attempts;	/* of this command */
	ev_timer timer;			/* while SCSI_IO_WAITING */
	struct list node;		/* on sb->queue or urgent */
	struct list sibling;		/* on job->busy */
};

/* A block request under way. Lives in the loop's pool. */
struct scsi_job {
	struct scsi_blk *sb;
	struct blk_req *req;
	const struct scsi_op *first_op, *op; /* at first, and now */
	uint64_t next, end;		/* blocks that no io has taken yet */
	bool filling;			/* its ios are being given work */
	bool sync;			/* SYNCHRONIZE CACHE when all is done (FUA) */
	bool aborted;
	unsigned ios;
	struct list busy;		/* scsi_io.sibling */
	struct list own;		/* on sb->own: it is the write log's */
	uint64_t mark;			/* of the write log when it began: what its flush covers */
	unsigned resets;		/* sb->resets when its first command was sent */
	int error;
	uint64_t error_lba;		/* the lowest: everything below was done */
	struct scsi_io first;		/* most jobs need no other */
};

/* At most this many commands of one job are in flight. */
#define SCSI_WINDOW	16

/* The kinds of jobs. */
extern const struct scsi_op scsi_read_op, scsi_write_op, scsi_compare_op, scsi_sync_op, scsi_cache_op;
extern const struct scsi_op scsi_discard_op, scsi_zero_op, scsi_status_op;

static inline bool scsi_is_own(const struct scsi_job *job)
{
	return job->req->flags & BLK_OWN;
}

/* scsi_job.c */

/* Begin: never completes the request within the call. */
void scsi_job_start(struct scsi_blk *sb, struct blk_req *req, const struct scsi_op *op);

/* End as soon as the commands that the unit has allow it, with ECANCELED. */
void scsi_job_abort(struct scsi_job *job);

/* Room for parameter data of the io; NULL without memory. Contents undefined. */
void *scsi_io_param(struct scsi_io *io, uint32_t len);

/* Its command went well: on with what is left. */
void scsi_io_good(struct scsi_io *io);

/* Build and send what is left for it to do; nothing, or nothing that is wanted: it ends. */
void scsi_io_go_on(struct scsi_io *io);

/* Its command failed for good; "at" is the block, if the unit told. */
void scsi_io_fail(struct scsi_io *io, int error, const uint64_t *at, const char *why);

/* scsi_queue.c */

/* Send its command, or have it wait for its turn. */
void scsi_io_send(struct scsi_io *io);

/* The same, but in so many seconds. */
void scsi_io_send_later(struct scsi_io *io, double delay);

/* Send what the depth allows. */
void scsi_pump(struct scsi_blk *sb);

/* TASK SET FULL, BUSY: the unit has more than it takes. */
void scsi_queue_shrink(struct scsi_blk *sb);

/* A command went well at this depth. */
void scsi_queue_grow(struct scsi_blk *sb);

/* scsi_zero.c */

/*
 * WRITE SAME of zeroes, for ZERO and TRIM: which command there is for it
 * (CDB_UNKNOWN: none), how many blocks it may cover, and the rest of a scsi_op.
 */
enum cdb_id scsi_same_command(const struct scsi_blk *sb, bool unmap);
uint64_t scsi_same_limit(const struct scsi_blk *sb, bool unmap);
int scsi_same_build(struct scsi_io *io, bool unmap, struct cdb *cdb);
uint64_t scsi_same_good(struct scsi_io *io);
bool scsi_same_refused(struct scsi_io *io, const struct sense *sense);

/* What the unit says of lengths, before it is tried. */
void scsi_same_init(struct scsi_blk *sb);

/* scsi_discard.c */

/* Can the unit be trimmed, by UNMAP or by WRITE SAME? */
bool scsi_can_discard(const struct scsi_blk *sb);

#endif
