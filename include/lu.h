/*
 * The SCSI waist: a logical unit that takes CDBs.
 *
 * iscsi_lu (the initiator) and disk_lu (the interpreter over a block device) are
 * logical units; the iSCSI target and scsi_blk drive them.
 *
 * The contract of both waists (this one and blk.h):
 *
 * 1. submit cannot fail.
 * 2. done comes exactly once, even after abort, even when the path dies. Outcome
 *    unknown is a result of its own (LU_LOST): a write is never retried blindly
 *    unless the retry is provably idempotent.
 * 3. done never runs inside submit, nor inside a library's callback.
 * 4. Bytes are lent from submit to done. Pad bytes and digests never land in a
 *    lent buffer.
 * 5. A CDB is decoded once; the raw bytes stay for pass-through.
 * 6. Everything about one task happens on one worker's thread.
 * 7. Executors report what moved and what the CDB called for; only front ends
 *    compute residuals.
 *
 * The call-throughs in lu.c assert pre- and postconditions, trace, and count.
 */
#ifndef LU_H
#define LU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdb.h"
#include "list.h"
#include "sense.h"

struct loop;
struct scsi_lu;
struct scsi_task;

/* A result beside the SAM status codes: the path died, nobody knows what happened. */
#define LU_LOST		0xff

/* SAM-5 §8.6, as RFC 7143 §11.3.1 encodes it. */
enum task_attribute { TASK_UNTAGGED, TASK_SIMPLE, TASK_ORDERED, TASK_HEAD_OF_QUEUE, TASK_ACA };

/*
 * The I_T nexus that a task came by: one per session, owned by the front end, at
 * the same address from lu_attach() to lu_detach(). Two sessions of one initiator
 * port (name + ISID) with one target port (name + portal group tag) are the same nexus to
 * persistent reservations.
 */
struct nexus {
	char	 initiator_name[224];	/* iSCSI name, at most 223 bytes */
	uint8_t	 isid[6];
	char	 target_name[224];
	uint16_t tpgt;			/* target portal group tag */
};

struct scsi_task {
	/* Set by the submitter, constant until done(): */
	const uint8_t *wire;		/* the CDB as it came or goes: wire_len bytes, at least 16 readable, zero padded */
	uint16_t wire_len;
	struct cdb cdb;			/* the same CDB decoded; id CDB_UNKNOWN if no row fits */
	enum cdb_verdict verdict;	/* of cdb_decode(): an lu that interprets answers a bad one, after unit attentions */
	struct cdb_bad bad;		/* ... and where, for CDB_BAD_FIELD */
	enum cdb_direction direction;	/* of the data below */
	uint8_t	*data;			/* lent until done() */
	uint32_t data_len;		/* data-out: bytes that are there; data-in: room (EDTL) */
	uint8_t	 attribute;		/* enum task_attribute */
	uint32_t era;			/* the unit's when the command came, whose data may come later; 0: now */
	const struct nexus *nexus;	/* NULL: our own adaptor, no reservations or unit attentions of its own */
	bool	 read_only;		/* the nexus may not write to this unit, whoever else may */
	void   (*done)(struct scsi_task *);

	/* Set by the executor before done(): */
	uint8_t	 status;		/* enum scsi_status, or LU_LOST */
	uint8_t	 sense_len;
	uint8_t	 sense[SENSE_MAX_LEN];
	uint32_t moved;			/* bytes of data that moved, <= data_len */
	uint64_t wanted;		/* bytes that the CDB called for; front ends: residual = data_len - wanted */

	/* The executor's, from submit to done: */
	struct list node;
	void	*priv;
};

/* RFC 7143 §11.5.1 */
enum tmf_function {
	TMF_ABORT_TASK = 1, TMF_ABORT_TASK_SET, TMF_CLEAR_ACA, TMF_CLEAR_TASK_SET,
	TMF_LU_RESET, TMF_TARGET_WARM_RESET, TMF_TARGET_COLD_RESET, TMF_TASK_REASSIGN,
};

/* RFC 7143 §11.6.1 */
enum tmf_response {
	TMF_COMPLETE = 0, TMF_NO_TASK = 1, TMF_NO_LUN = 2, TMF_STILL_ALLEGIANT = 3,
	TMF_NO_REASSIGN = 4, TMF_NOT_SUPPORTED = 5, TMF_AUTH_FAILED = 6, TMF_REJECTED = 255,
};

/* A task management function on a whole logical unit (all but ABORT TASK, which is lu_abort()). */
struct scsi_tmf {
	enum tmf_function function;
	const struct nexus *nexus;
	void (*done)(struct scsi_tmf *);
	enum tmf_response response;	/* set before done() */
	struct list node;		/* the executor's */
	void *priv;
};

struct scsi_lu_ops {
	const char *name;
	void (*submit)(struct scsi_lu *, struct scsi_task *);
	/* Advice: done() still comes, once, and not before the task can no longer move data. */
	void (*abort)(struct scsi_lu *, struct scsi_task *);
	/* ABORT TASK SET, CLEAR TASK SET, LU RESET: tmf->done() once the tasks that it ends are done. */
	void (*manage)(struct scsi_lu *, struct scsi_tmf *);
	/* This path does not lead to the medium, or not well (asymmetric access): go by another one,
	 * with what is submitted from here on. False: there is none. NULL: never. */
	bool (*other_path)(struct scsi_lu *);
	/* A session begins and ends; NULL where the executor keeps nothing per nexus. */
	void (*attach)(struct scsi_lu *, const struct nexus *);
	void (*detach)(struct scsi_lu *, const struct nexus *);
	/* A unit attention of the nexus begins to wait, or waits no more; NULL as above. */
	void (*tell)(struct scsi_lu *, const struct nexus *, uint32_t reason, bool waits);
	/* No task is in flight. Frees the lu, then calls closed(). */
	void (*close)(struct scsi_lu *, void (*closed)(void *), void *opaque);
};

struct scsi_lu {
	const struct scsi_lu_ops *ops;
	struct loop *loop;
	uint32_t block_len;		/* bytes of a logical block; 512 until it is known */
	uint32_t caps;			/* CDB_CAP_BIT()s that cdb_decode() needs; CDB_CAPS_ALL = leave it to the far end */
	bool	 interprets;		/* judges CDBs by our table (disk_lu): undecodable ones still come as raw bytes */
	uint32_t max_transfer;		/* bytes of data that one task may carry */
	uint32_t era;			/* another begins when all tasks of all nexuses are ended (SAM-5 §7); 0:
					 * the far end knows */
	unsigned paths;			/* that other_path() goes round; 0, 1: there is but one */
	unsigned losses;		/* paths that have ended so far: what is submitted next may find another
					 * unit there, or the same one after a reset */
	unsigned in_flight;		/* lu.c counts */
	uint64_t tasks, failures;
	const struct scsi_task *submitting; /* contract, 3: lu.c asserts that it is not completed meanwhile */
};

/* Give the task to the executor; see the contract above. */
void lu_submit(struct scsi_lu *lu, struct scsi_task *task);
void lu_abort(struct scsi_lu *lu, struct scsi_task *task);
void lu_manage(struct scsi_lu *lu, struct scsi_tmf *tmf);
bool lu_other_path(struct scsi_lu *lu);
void lu_attach(struct scsi_lu *lu, const struct nexus *nexus);
void lu_detach(struct scsi_lu *lu, const struct nexus *nexus);
/* What only the front end knows of: "reason" is SENSE_LUNS_CHANGED or SENSE_MODE_PARAMETERS_CHANGED.
 * Between lu_attach() and lu_detach(). */
void lu_tell(struct scsi_lu *lu, const struct nexus *nexus, uint32_t reason, bool waits);
void lu_close(struct scsi_lu *lu, void (*closed)(void *), void *opaque);

/* For executors, the only way to end a task. Calls task->done(): never from within submit. */
void lu_complete(struct scsi_lu *lu, struct scsi_task *task);

/* For executors: set status CHECK CONDITION and this sense on the task (fixed format). */
void lu_sense(struct scsi_task *task, const struct sense *sense);

/* The same for a reason with nothing more to say. */
void lu_fail(struct scsi_task *task, uint32_t reason);

/* How an asynchronous open ends: lu, or NULL and why (valid during the call). On the loop, never inside open. */
typedef void lu_opened(void *opaque, struct scsi_lu *lu, const char *why);

#endif
