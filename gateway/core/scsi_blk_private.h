/*
 * What the parts of scsi_blk share. Everything here belongs to the one loop of
 * the logical unit.
 *
 *   scsi_blk.c	open, close; a block request becomes a job
 *   scsi_job.c	jobs: chunks, commands in flight, ends
 *   scsi_retry.c	what a finished command means: retries, queue depth, news in sense data
 *   scsi_path.c	probing again, and what happens while the path is away
 *   scsi_log.c		what the unit has acknowledged and may lose
 *   scsi_probe.c	getting to know the unit
 *   scsi_probe_table.c	what it is asked for that
 *   scsi_facts.c	what probing found, in the terms of struct blk_info
 *   scsi_rw.c		READ, WRITE (plain, and comparing), FLUSH, CACHE
 *   scsi_discard.c	TRIM
 *   scsi_zero.c	ZERO, and WRITE SAME for TRIM
 *   scsi_status.c	STATUS
 */
#ifndef SCSI_BLK_PRIVATE_H
#define SCSI_BLK_PRIVATE_H

#include <ev.h>

#include "blk.h"
#include "errmap.h"
#include "log.h"
#include "loop.h"
#include "lu.h"
#include "scsi_blk.h"
#include "scsi_data.h"
#include "write_log.h"

struct scsi_blk;
struct scsi_io;
struct scsi_job;

#define SCSI_LOST_TEXT	"the path to the logical unit is lost"

/* What probing found. Zero where the unit did not tell. */
struct scsi_facts {
	struct inquiry inquiry;
	char serial[48];			/* VPD 80h, cut to size */
	char name[40];				/* VPD 83h: "naa.…" or "eui.…" */
	struct block_limits limits;		/* VPD B0h */
	struct block_characteristics characteristics; /* VPD B1h */
	bool has_provisioning;
	struct provisioning provisioning;	/* VPD B2h */
	bool has_capacity;
	struct capacity capacity;
	bool has_mode;
	struct mode_header mode;
	bool has_group;				/* VPD 83h names the target port group that we came by: */
	uint16_t group;
	uint8_t group_state;			/* enum port_group_state, by REPORT TARGET PORT GROUPS */
	bool better_group;			/* another one is optimized, and this is not */
	bool no_write_cache;			/* page 08h is there, and WCE=0 */
	bool no_write_same_16, ndob;		/* REPORT SUPPORTED OPERATION CODES */
};

/* Data blocks as bytes of the device: facts that were accepted have a sane block length. */
uint64_t scsi_size(const struct scsi_facts *facts);

/* Can the unit be served at all? False, and why. */
bool scsi_facts_usable(const struct scsi_facts *facts, char *why, size_t size);

/* Is this the same unit as before, whatever its size is now? False, and how it differs. */
bool scsi_facts_same_unit(const struct scsi_facts *was, const struct scsi_facts *is,
			  char *why, size_t size);

/* Do deallocated blocks read as zeroes (LBPRZ xx1b)? */
bool scsi_unmapped_reads_zeroes(const struct scsi_facts *facts);

/* Bring dev.info up to what is known now: facts, and what was refused since. */
void scsi_update_info(struct scsi_blk *sb);

/* The unit does not know this command: it is not sent again, and dev.info says so. */
void scsi_mark_refused(struct scsi_blk *sb, enum cdb_id id);

/* MODE SENSE has been answered: its WP bit, set or not, is the last word, for all instances. */
void scsi_heed_mode(struct scsi_blk *sb);

/* By option, or by what the unit last told any instance: the WP bit, or 27/00 of a write. */
bool scsi_read_only(const struct scsi_blk *sb);

/* How often and how long something was tried. All zero at first. */
struct scsi_attempts {
	unsigned count;
	double since;			/* of the first failure, loop_now() */
};

/*
 * May what failed be tried once more? Then *delay is how long to wait, 0 = not at
 * all. Unit attentions are only news, so a handful pass whatever the deadline.
 */
bool scsi_retry_delay(const struct scsi_blk *sb, struct scsi_attempts *attempts,
		      const struct sense *sense, double *delay);

#define SCSI_PROBE_LEN	1024	/* of the longest answer that is looked at */

/* One run of the probing sequence. */
struct scsi_probe {
	bool active, stopping;
	bool bad_path;			/* it ended because another path may do better */
	bool only_capacity;		/* all else is as it was */
	unsigned step;			/* index into scsi_probe_table */
	struct scsi_attempts attempts;	/* at this step */
	ev_timer timer;
	struct scsi_task task;
	uint8_t wire[CDB_MAX_LEN];
	uint8_t data[SCSI_PROBE_LEN];
	bool vpd[256];			/* pages that the unit lists */
	struct scsi_facts facts;
	void (*ended)(struct scsi_blk *sb, const char *why); /* NULL: facts are complete */
};

/* A command of the probing sequence. */
struct scsi_probe_step {
	struct cdb cdb;
	bool required;
	bool capacity;		/* part of scsi_probe_capacity() */
	enum cdb_id about;	/* of REPORT SUPPORTED OPERATION CODES */
	bool (*wanted)(const struct scsi_probe *p);	/* NULL = always */
	/* False: the answer makes no sense. */
	bool (*read)(struct scsi_probe *p, const uint8_t *data, size_t len);
};

extern const struct scsi_probe_step scsi_probe_table[];
extern const unsigned scsi_probe_steps;

/* Start probing; none is running. ended() comes later, once. */
void scsi_probe_start(struct scsi_blk *sb, void (*ended)(struct scsi_blk *sb, const char *why));

/* The same, but only the capacity is asked for. */
void scsi_probe_capacity(struct scsi_blk *sb, void (*ended)(struct scsi_blk *sb, const char *why));

/* Make haste: ended() comes soon, maybe within the call. */
void scsi_probe_stop(struct scsi_blk *sb);

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

/* How long a WRITE SAME may be, in blocks: learned, since many units do not say. */
struct same_limit {
	uint32_t now, ceiling;
};

struct scsi_blk {
	struct blkdev dev;
	struct scsi_lu *lu;
	struct scsi_blk_conf conf;
	bool open;			/* opened() has been told */
	blk_opened *opened;
	void *opaque;
	void (*closed)(void *);		/* close() waits for the probe to end */
	void *closed_opaque;

	struct scsi_facts facts;
	struct scsi_probe probe;

	/* What the unit refused since it was opened. */
	bool refused[CDB_COUNT];
	bool no_fua, no_ndob, no_same_unmap;
	struct same_limit same[2];	/* [1]: with UNMAP=1 */
	uint8_t *zeroes;		/* a block of them, once it is needed */

	unsigned running, depth;	/* commands that the unit has, and may have */
	unsigned since_grown;		/* commands that went well at this depth */
	struct list queue;		/* scsi_io.node, oldest first */
	struct list urgent;		/* ... of the write log's, ahead of those and whatever is held */

	/* The path (scsi_path.c). */
	unsigned lu_losses;		/* lu->losses when it was last probed */
	bool lost;			/* nothing is sent but probing commands */
	bool given_up;			/* lost for longer than retry_timeout */
	bool probe_again;		/* news came while a probe was running */
	unsigned detours;		/* paths that were tried in a row because of their access state */
	bool looked_at;			/* blk_seen() is owed for the probe that runs */
	double lost_delay;		/* before the next probe; 0 once a command goes well */
	ev_timer probe_timer, give_up_timer;

	/* scsi_log.c's */
	struct log_member member;
	bool asking;			/* ... for what the unit has to say of the same event */
	struct list own;		/* scsi_job.own */
	unsigned resets;		/* that may have lost what a job has written so far */

	struct log_limit log_limit;
};

/* What the fields of a 10-byte CDB can say: how many blocks, and of which. */
#define SCSI_BLOCKS_10	UINT16_MAX
#define SCSI_LBAS_10	((uint64_t)1 << 32)

/* The kinds of jobs. */
extern const struct scsi_op scsi_read_op, scsi_write_op, scsi_compare_op, scsi_sync_op, scsi_cache_op;
extern const struct scsi_op scsi_discard_op, scsi_zero_op, scsi_status_op;

static inline uint32_t scsi_block_len(const struct scsi_blk *sb)
{
	return sb->facts.capacity.block_len;
}

/* First block of a job's request. */
static inline uint64_t scsi_job_lba(const struct scsi_job *job)
{
	return job->req->offset / scsi_block_len(job->sb);
}

/* Blocks of one COMPARE AND WRITE; 0 where there is no such command. */
static inline uint32_t scsi_max_compare(const struct scsi_blk *sb)
{
	return sb->refused[CDB_COMPARE_AND_WRITE] ? 0 : sb->facts.limits.max_compare_and_write;
}

/* Is there an FUA bit? Else SYNCHRONIZE CACHE comes after the writing. */
static inline bool scsi_has_fua(const struct scsi_blk *sb)
{
	return sb->facts.mode.dpofua && !sb->no_fua;
}

/* At most one line in a while: units repeat themselves. */
#define scsi_warn(sb, ...) \
	do { \
		if (log_allowed(&(sb)->log_limit, loop_now((sb)->dev.loop), 10, 10.0)) \
			log_warning(__VA_ARGS__); \
	} while (0)

/* scsi_blk.c */

/* A request of the write log's has ended, which closing waits for. */
void scsi_blk_own_ended(struct scsi_blk *sb);

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

/* Send its command, or have it wait for its turn. */
void scsi_io_send(struct scsi_io *io);

/* Send what the depth allows. */
void scsi_pump(struct scsi_blk *sb);

/* scsi_retry.c */

/* task.done of every io. */
void scsi_io_done(struct scsi_task *task);

/* Learn from sense data, whatever it came with. */
void scsi_news(struct scsi_blk *sb, const struct sense *sense);

/* scsi_path.c */

void scsi_path_init(struct scsi_blk *sb);
void scsi_path_stop(struct scsi_blk *sb);

/* The unit may have changed: probe it again, soon, while work goes on. */
void scsi_reprobe(struct scsi_blk *sb);

/* blk_ops.look: has the capacity changed, or did another instance hear of a write protection? Some
 * units do not say so by themselves. */
void scsi_look(struct blkdev *dev);

/* Nothing gets through: hold all work until the same unit has answered again. */
void scsi_path_lost(struct scsi_blk *sb);

/* A command was told that this path is not the one (04/0B, 04/0C): the same, by another path. */
void scsi_path_barred(struct scsi_blk *sb);

/* Can the executor take a path that has not been tried in this round? Then it does. */
bool scsi_other_path(struct scsi_blk *sb);

/* scsi_log.c */

void scsi_log_join(struct scsi_blk *sb);

/* The unit has been reset, or its path is lost, and its cache with it. */
void scsi_log_reset(struct scsi_blk *sb);

/* Held, and nothing under way: tell the log. */
void scsi_log_look(struct scsi_blk *sb);

/* A job of no error has ended: what that means for the account. It may fail yet. */
void scsi_log_account(struct scsi_job *job);

/* Must the job be done once more, since what it wrote first may be lost? */
bool scsi_log_undone(const struct scsi_job *job);

/* Must the command, since nobody knows whether it came before a reset or after? */
bool scsi_log_doubts(const struct scsi_io *io);

static inline bool scsi_is_own(const struct scsi_job *job)
{
	return job->req->flags & BLK_OWN;
}

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
