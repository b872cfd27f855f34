/*
 * What the parts of scsi_blk share: the device. Everything here belongs to the one loop of
 * the logical unit.
 *
 *   scsi_blk.c		open, close; a block request becomes a job
 *   scsi_probe*.c	getting to know the unit (scsi_probe_private.h)
 *   scsi_job.c		jobs, whose kinds are scsi_rw.c, scsi_discard.c, scsi_zero.c and
 *			scsi_status.c (scsi_job_private.h)
 *   scsi_queue.c	commands that wait for their turn
 *   scsi_retry.c	what a finished command means: retries, news in sense data
 *   scsi_path.c	probing again, and what happens while the path is away
 *   scsi_log.c		what the unit has acknowledged and may lose
 *   scsi_facts.c	what probing found, in the terms of struct blk_info
 */
#ifndef SCSI_BLK_PRIVATE_H
#define SCSI_BLK_PRIVATE_H

#include "log.h"
#include "loop.h"
#include "scsi_blk.h"
#include "scsi_job_private.h"
#include "scsi_probe_private.h"
#include "write_log.h"

#define SCSI_LOST_TEXT	"the path to the logical unit is lost"

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

/* scsi_facts.c */

/* Bring dev.info up to what is known now: facts, and what was refused since. */
void scsi_update_info(struct scsi_blk *sb);

/* The unit does not know this command: it is not sent again, and dev.info says so. */
void scsi_mark_refused(struct scsi_blk *sb, enum cdb_id id);

/* MODE SENSE has been answered: its WP bit, set or not, is the last word, for all instances. */
void scsi_heed_mode(struct scsi_blk *sb);

/* By option, or by what the unit last told any instance: the WP bit, or 27/00 of a write. */
bool scsi_read_only(const struct scsi_blk *sb);

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

#endif
