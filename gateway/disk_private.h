/*
 * What the disk_* files share: the interpreter's state, the operations under way,
 * and the few ways in which a command is answered.
 *
 *	disk_lu.c	 opening, closing, and what the unit can do
 *	disk_command.c	 which command is whose, and what keeps it from being executed
 *	disk_task_set.c	 which tasks may start, and the one way in which they end
 *	disk_manage.c	 aborting them: ABORT TASK to LOGICAL UNIT RESET
 *	disk_op.c	 a command that needs the device: its block requests, one by one
 *	disk_answer.c	 parameter data and refusals
 *	disk_sanitize.c	 SANITIZE, and what it keeps others from
 *	disk_sanitize_run.c  what it does to the device
 *	disk_reserve.c	 whom reservations keep from what; RESERVE and RELEASE
 *	disk_inquiry.c, disk_identity.c, disk_mode.c, disk_unit.c, disk_rw.c,
 *	disk_discard.c, disk_lba_status.c, disk_compare.c, disk_pr_in.c, disk_pr_out.c,
 *	disk_copy.c, disk_copy_results.c, disk_log.c, disk_port_groups.c, rsoc.c: the commands
 *	disk_mode_page.c, disk_pr_list.c, disk_copy_list.c: what is in the lists of some of them
 */
#ifndef DISK_PRIVATE_H
#define DISK_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blk.h"
#include "disk_copy.h"
#include "disk_lu.h"
#include "errmap.h"
#include "list.h"
#include "loop.h"
#include "lu.h"
#include "lu_shared.h"
#include "range_lock.h"

/*
 * What one command may do at most (VPD B0h), in blocks but for the first: long enough
 * for whole-disk jobs in few commands, short enough for hosts' timeouts.
 */
#define DISK_MAX_TRANSFER	(16u << 20)	/* bytes */
#define DISK_MAX_UNMAP		(1u << 20)	/* in all ranges together */
#define DISK_MAX_UNMAP_RANGES	256
#define DISK_MAX_WRITE_SAME	UINT16_MAX	/* what both forms of the command can say */
#define DISK_MAX_COMPARE	UINT8_MAX	/* what COMPARE AND WRITE can say */

/* Bytes that are verified, filled or ORed at a time, through a buffer of the pool, ... */
#define DISK_CHUNK		(256u << 10)
/* ... or zeroed at a time, without one. */
#define DISK_ZERO_PIECE		(64u << 20)

/* The one target port group, of all ports. */
#define DISK_PORT_GROUP		1

struct disk_op;
struct sanitize;

struct disk_lu {
	struct scsi_lu lu;
	struct blkdev *dev;
	struct lu_instance instance;
	const struct lu_directory *directory;	/* NULL: no EXTENDED COPY */

	/* The device as it was when its generation was last looked at. */
	unsigned generation;
	uint64_t size;
	bool	 read_only;
	unsigned losses;
	struct blk_look look;

	/* disk_task_set.c's */
	struct list held;		/* scsi_task.node: must not start yet */
	struct list active;		/* disk_op.node */
	struct list finished;		/* scsi_task.node: lu_complete() is due in "turn" */
	struct disk_op *barrier;	/* an ORDERED task among the active, if there is one */
	uint64_t newest;		/* number of the last op that was begun */
	struct loop_call turn;

	/* disk_manage.c's */
	struct list visits;		/* task management at work here */
	struct list managed;		/* scsi_tmf.node: done() is due in "turn" */
	unsigned tmfs;			/* begun here and not done */
	bool	 is_cleared;		/* lu.era began with CLEAR TASK SET, not with a reset */

	struct sanitize *sanitize;	/* the unit's runs here; NULL: on another worker, or not */

	struct copy_state copies;	/* disk_copy.c's and disk_copy_results.c's */

	void   (*closed)(void *);	/* set while closing */
	void	*closed_opaque;
};

/* A command that needs the device, from its first request to the end of its last. */
struct disk_op {
	struct blk_req req;
	struct disk_lu *disk;
	struct scsi_task *task;
	struct disk_lu *where;		/* whose device the request and the range are of: its own, but
					 * for EXTENDED COPY */
	struct list node;		/* disk->active */
	uint64_t number;		/* ascending in the order of beginning */
	void   (*next)(struct disk_op *); /* when the request, or the wait for the range, is over */
	bool	 requesting;		/* the request is the device's now */
	bool	 aborted;		/* end as soon as nothing is under way */
	bool	 waits;			/* for a sanitize operation, which goes on without it */
	bool	 incomplete;		/* disk_preempt(): no memory for aborting all tasks */
	struct range_lock *lock;	/* whose range is held, or waited for; NULL: none */
	struct range range;
	uint8_t	*buffer;		/* from the loop's pool */
	size_t	 buffer_len;
	/* Progress of a command that takes many requests, in bytes of the device: */
	uint64_t first, at, end;
	uint32_t index, count;		/* UNMAP descriptors: the next one, and all */
	struct copy *copy;		/* disk_copy.c's */
};

static inline struct disk_lu *disk_of(struct scsi_lu *lu)
{
	return container_of(lu, struct disk_lu, lu);
}

static inline struct lu_shared *disk_shared(const struct disk_lu *disk)
{
	return disk->instance.shared;
}

static inline bool disk_mode(const struct disk_lu *disk, enum mode_flag flag)
{
	return atomic_load_explicit(&disk_shared(disk)->mode, memory_order_relaxed) & flag;
}

/* disk_command.c ----------------------------------------------------------- */

/* Run a command that may start now. It ends in disk_finish(), perhaps before this returns. */
void disk_start(struct disk_lu *disk, struct scsi_task *task);

/* disk_lu.c ---------------------------------------------------------------- */

/* If the instance is closing and nothing holds it any more: free it, tell closed(). */
void disk_close_if_idle(struct disk_lu *disk);

/* Tell the nexuses of this worker when its device has changed; "closely": a device that does not
 * tell by itself is asked, and the next command finds out. */
void disk_look(struct disk_lu *disk, bool closely);

/* Blocks that WRITE ATOMIC can write; 0: there is no such command. */
uint32_t disk_max_atomic(const struct disk_lu *disk);

uint64_t disk_blocks(const struct disk_lu *disk);		/* capacity in logical blocks */
bool disk_write_protected(const struct disk_lu *disk);

/* UNMAP is carried out as BLK_ZERO rather than BLK_TRIM where it can be; and so, or because
 * the device promises it for what it trims, unmapped blocks read as zeroes (LBPRZ). */
bool disk_unmaps_with_zeroes(const struct disk_lu *disk);
bool disk_reads_unmapped_as_zeroes(const struct disk_lu *disk);

/* disk_task_set.c ---------------------------------------------------------- */

void disk_submit(struct scsi_lu *lu, struct scsi_task *task);
void disk_turn(struct loop_call *call);

/* The only end of a task: its status, sense, moved and wanted are set. Its op, if it has
 * one, is gone afterwards; lu_complete() follows from the loop. */
void disk_finish(struct disk_lu *disk, struct scsi_task *task);

/* What the task's attribute comes to: some commands are always at the head of the queue. */
enum task_attribute disk_attribute(const struct scsi_task *task);

/* disk_manage.c ------------------------------------------------------------ */

void disk_abort(struct scsi_lu *lu, struct scsi_task *task);
void disk_manage(struct scsi_lu *lu, struct scsi_tmf *tmf);
/* A task whose data came when it had been ended with all others: finish it. */
void disk_end_late(struct disk_lu *disk, struct scsi_task *task);

/*
 * PREEMPT AND ABORT: abort the tasks of the nexuses that chosen() says, on every worker, but
 * not this operation's own; next() when all of them have ended, or, with op->incomplete, when
 * there was no memory. chosen() is called on the other workers' threads, too.
 */
void disk_preempt(struct disk_op *op,
		  bool (*chosen)(const struct disk_op *op, const struct nexus *nexus),
		  void (*next)(struct disk_op *));

/* In the loop's turn, after tasks have been completed: end the visits that waited for them,
 * and the functions that have ended. */
void disk_manage_turn(struct disk_lu *disk);

/* disk_op.c ---------------------------------------------------------------- */

/* Begin an operation. NULL: no memory, the task has been finished. */
struct disk_op *disk_op_new(struct disk_lu *disk, struct scsi_task *task);

/* Give it a buffer. False: no memory, the task has been finished and the op is gone. */
bool disk_op_buffer(struct disk_op *op, size_t len);

/*
 * Hold [first, end) of the device, rounded out to its blocks, against every other
 * writer until the end of the operation; next() runs when it is held, perhaps before
 * this returns.
 */
void disk_op_lock(struct disk_op *op, uint64_t first, uint64_t end, void (*next)(struct disk_op *));

/* Before [op->first, op->end) is read in pieces: an atomic write must not come between them, so
 * where there is such a thing, the range is held as by disk_op_lock(). */
void disk_op_steady(struct disk_op *op, void (*next)(struct disk_op *));

/* Wait for one's turn to change the unit's reservations, and keep it until the end. */
void disk_op_turn(struct disk_op *op, void (*next)(struct disk_op *));

/* Give back the range, or the turn, that the operation has: at its end. */
void disk_op_unlock(struct disk_op *op);

/* One request to the device. next() runs when it has succeeded; an operation whose request
 * has failed, or that was aborted, ends here. "data" is NULL where the operation has none. */
void disk_op_request(struct disk_op *op, enum blk_op what, uint32_t flags, uint64_t offset,
		     uint64_t length, uint8_t *data, void (*next)(struct disk_op *));

/* A next() for the last request: the task is good. */
void disk_op_done(struct disk_op *op);

/* BLK_FUA where the command, or the Caching mode page, asks that a write be persistent. */
uint32_t disk_fua(const struct disk_lu *disk, const struct scsi_task *task);

/* Does the whole device keep data in a volatile cache now? */
bool disk_write_back(const struct disk_lu *disk);

/* disk_answer.c ------------------------------------------------------------ */

/* CHECK CONDITION with this sense, in the format that D_SENSE chose; does not finish. */
void disk_sense(struct disk_lu *disk, struct scsi_task *task, const struct sense *sense);

/* Each of these finishes the task. The reply is cut to alloc_len and to the room there is. */
void disk_good(struct disk_lu *disk, struct scsi_task *task);
void disk_reply(struct disk_lu *disk, struct scsi_task *task, const uint8_t *data, size_t len,
		uint32_t alloc_len);
void disk_refuse(struct disk_lu *disk, struct scsi_task *task, uint32_t reason);
void disk_refuse_cdb(struct disk_lu *disk, struct scsi_task *task, uint16_t byte, uint8_t bit);
void disk_refuse_member(struct disk_lu *disk, struct scsi_task *task, size_t member);
/* bit < 0: the byte as a whole */
void disk_refuse_parameter(struct disk_lu *disk, struct scsi_task *task, size_t byte, int bit);

/* INVALID FIELD IN CDB at the field that a member of struct cdb came from. */
#define disk_refuse_field(disk, task, member) \
	disk_refuse_member(disk, task, offsetof(struct cdb, member))

/* Bytes of data-out that came, and room for data-in. */
uint32_t disk_arrived(const struct scsi_task *task);
uint32_t disk_room(const struct scsi_task *task);

/* The command's blocks lie within the unit; if not, the task is finished. */
bool disk_in_range(struct disk_lu *disk, struct scsi_task *task);
/* ... and are no more than one command may move (VPD B0h, MAXIMUM TRANSFER LENGTH). */
bool disk_may_transfer(struct disk_lu *disk, struct scsi_task *task);
/* All the data-out that the CDB calls for came; if not, the task is finished. */
bool disk_has_arrived(struct disk_lu *disk, struct scsi_task *task);

/* disk_sanitize.c ------------------------------------------------------------ */

/* Is a sanitize operation of the unit under way, or has the last one failed? Then what there
 * is to say of it. */
bool disk_sanitize_sense(const struct disk_lu *disk, struct sense *sense);

/* True when it keeps the task from its command: the task is finished. Some commands are allowed
 * after a failure. */
bool disk_sanitize_refuses(struct disk_lu *disk, struct scsi_task *task, bool after_failure);

/* The operation that waits for one is aborted, and waits no more. */
void disk_sanitize_leave(struct disk_op *op);

/* The instance closes: if it runs here, it ends soon, in failure. */
void disk_sanitize_stop(struct disk_lu *disk);

/* disk_reserve.c ------------------------------------------------------------- */

/* Is the nexus of the task kept from what needs that much access? Only where there is a
 * reservation; the caller asks disk_conflicts(). */
bool disk_is_barred(struct disk_lu *disk, const struct scsi_task *task, enum reach needed);

static inline bool disk_conflicts(struct disk_lu *disk, const struct scsi_task *task,
				  enum reach needed)
{
	return atomic_load_explicit(&disk_shared(disk)->restricted, memory_order_relaxed) &&
	       disk_is_barred(disk, task, needed);
}

/* RESERVATION CONFLICT; the task is finished. */
void disk_conflict(struct disk_lu *disk, struct scsi_task *task);

/* Make *next, which the caller allocated, what is current; returns what was, now the caller's.
 * It must be the caller's turn. */
struct reservations *disk_reserve_replace(struct lu_shared *shared, struct reservations *next);

/* A reservation by RESERVE(6) or (10) ends with its session, and with a reset. */
void disk_reserve_forget(struct lu_shared *shared, const struct nexus *nexus);
void disk_reserve_reset(struct lu_shared *shared);

/* The commands: disk_inquiry.c, ... ------------------------------------------ */

typedef void disk_handler(struct disk_lu *disk, struct scsi_task *task);

disk_handler disk_inquiry;

disk_handler disk_mode_sense, disk_mode_select;

disk_handler disk_test_unit_ready, disk_request_sense, disk_read_capacity_10,
	     disk_read_capacity_16, disk_start_stop_unit, disk_prevent_allow, disk_send_diagnostic,
	     disk_read_defect_data;

disk_handler disk_read, disk_write, disk_write_atomic, disk_write_and_verify,
	     disk_synchronize_cache, disk_pre_fetch;

disk_handler disk_unmap, disk_write_same;

disk_handler disk_sanitize, disk_sanitize_exit;

disk_handler disk_get_lba_status;

disk_handler disk_verify, disk_compare_and_write, disk_orwrite;

disk_handler disk_reserve;	/* and RELEASE */

disk_handler disk_pr_in_read_keys, disk_pr_in_read_reservation, disk_pr_in_report_capabilities,
	     disk_pr_in_read_full_status;

disk_handler disk_pr_out;

disk_handler disk_extended_copy;

disk_handler disk_copy_status, disk_copy_data, disk_copy_parameters, disk_copy_failure;

disk_handler disk_log_sense;

disk_handler disk_report_port_groups;

disk_handler rsoc_report_opcodes, rsoc_report_tmfs;

/*
 * disk_identity.c, for INQUIRY: the VPD pages that say who the unit is, and by which
 * port it is seen (none for a task without a nexus). They write whole pages, of at
 * most DISK_VPD_ROOM bytes, and return their length.
 */
#define DISK_VPD_ROOM	(1024 + DISK_MAX_PORTS * 256)

/* Of designators: CODE SET, and ASSOCIATION. */
enum { CODE_SET_BINARY = 1, CODE_SET_ASCII = 2, CODE_SET_UTF8 = 3 };
enum { OF_UNIT, OF_PORT, OF_DEVICE };

size_t disk_vpd_serial(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire);
size_t disk_vpd_device_id(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire);
size_t disk_vpd_scsi_ports(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire);

/* disk_copy.c, for a copy's operation: its request has failed; it ends, its status is known. */
void disk_copy_failed(struct disk_op *op);
void disk_copy_end(struct disk_op *op);

/* disk_copy_results.c, for INQUIRY, as those above: 8Fh. */
size_t disk_vpd_third_party_copy(const struct disk_lu *disk, const struct nexus *nexus,
				 uint8_t *wire);

/* disk_compare.c: read [op->at, op->end) and, as BYTCHK says, compare it; ends the operation. */
void disk_verify_medium(struct disk_op *op);

#endif
