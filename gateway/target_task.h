/*
 * A SCSI command, from its header to the end of its status.
 */
#ifndef TARGET_TASK_H
#define TARGET_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bhs.h"
#include "list.h"
#include "lu.h"
#include "target_pdu.h"

#define TARGET_MAX_R2T		8		/* MaxOutstandingR2T that we agree to */

struct target_conn;
struct target_session;

/* What one R2T asked for, until the Data-Out PDU with the F bit. */
struct target_r2t {
	bool	 open;
	uint32_t ttt;
	uint32_t offset, len;		/* in the command's data */
	uint32_t got;
	uint32_t data_sn;		/* of the next Data-Out */
};

enum target_task_state {
	TASK_COLLECTING,		/* data, its turn, or room */
	TASK_SUBMITTED,			/* the logical unit has it */
	TASK_ANSWERING,			/* the outcome is known and being sent */
};

/*
 * Listed in its session until it is over: answered or aborted, not at the logical unit, and
 * no PDU refers to its memory. Then target_task_reap() frees it.
 */
struct target_task {
	struct scsi_task scsi;
	struct list node;		/* session->tasks */
	struct list bucket;		/* session->by_itt */
	struct list waiting;		/* session->waiting */
	struct target_session *session;
	struct target_conn *conn;	/* NULL once that is lost: then it is aborted, too */
	struct scsi_lu *lu;		/* NULL: target_local.c answers */
	uint64_t serial;		/* order of arrival in the session */
	uint64_t lun;			/* as on the wire */
	uint32_t itt, cmd_sn;
	bool	 immediate;
	uint32_t edtl;			/* Expected Data Transfer Length */
	uint32_t len;			/* what will be transferred of it */
	enum target_task_state state;
	bool	 started;		/* it has come in its turn, with its immediate data */
	bool	 admitted;		/* there is room; its data is charged to the session */
	bool	 refused;		/* not to be submitted: scsi.status is set */
	bool	 aborted;		/* no status is to be sent */
	bool	 counted;		/* in session->in_flight */
	bool	 answered;		/* its status is queued */
	bool	 receiving;		/* a PDU with its data is coming in */
	bool	 orphan;		/* in session->orphans */
	bool	 unmapped;		/* the session has lost the unit, or one that this is a copy of */

	uint8_t	*buf;			/* the data, buf_len bytes of the pool; or NULL */
	uint32_t buf_len;
	uint8_t	*long_cdb;		/* extended CDB, long_cdb_len bytes of the pool; or NULL */
	uint32_t long_cdb_len;
	uint8_t	 cdb[16];

	/* Data-out */
	bool	 unsolicited;		/* until the F bit */
	uint32_t unsolicited_got;	/* immediate data included */
	uint32_t unsolicited_data_sn;
	uint32_t solicited;		/* data up to here has come or was asked for */
	uint32_t r2t_sn;
	unsigned r2ts;			/* open ones */
	struct target_r2t r2t[TARGET_MAX_R2T];

	/* Data-in */
	uint32_t sent;			/* bytes queued so far */
	uint32_t data_sn;
	unsigned unsent;		/* PDUs queued that refer to this task */
};

/* ---- target_command.c */

/*
 * A SCSI Command's header is here, with the additional header segments ahs[len].
 * Makes pdu->task, or says why the command is to be rejected.
 */
enum reject_reason target_command_take(struct target_pdu *pdu, const uint8_t *ahs, size_t len);

/* ---- target_task.c */

/*
 * The task of a SCSI Command, in its session; the CDB is the 16 bytes of the header and then
 * more_cdb[more_len]. NULL: no memory.
 */
struct target_task *target_task_new(const struct target_pdu *pdu, const uint8_t *more_cdb,
				    size_t more_len);

/* What the initiator means by this tag; NULL: nothing that is not over. */
struct target_task *target_task_find(struct target_session *s, uint32_t itt);

/* It is the command's turn, and its immediate data is in place. */
void target_task_start(struct target_task *task);

/* The session has lost the unit: end as soon as that is true. */
void target_task_unmap(struct target_task *task);

/* Admit waiting tasks that there is room for now. */
void target_task_admit_waiting(struct target_session *s);

/* All data is there. */
void target_task_submit(struct target_task *task);

/* End the command with this status (and sense, for CHECK CONDITION) instead of submitting it.
 * The first refusal counts. */
void target_task_refuse(struct target_task *task, uint8_t status, uint32_t sense_reason);

/* Room for "len" bytes of data. False: the task is refused for want of memory. */
bool target_task_buffer(struct target_task *task, uint32_t len);

/* The outcome is in task->scsi: send it. */
void target_task_answer(struct target_task *task);

/* Its status is being queued: it gives its place in the CmdSN window free. */
void target_task_uncount(struct target_task *task);

/* No status will be sent. The task is freed now, or when the logical unit gives it back. */
void target_task_abort(struct target_task *task);

/* Free the task if it is over. */
void target_task_reap(struct target_task *task);

/* ---- target_local.c */

/* Execute a command that no logical unit sees; the outcome goes to task->scsi. */
void target_local_execute(struct target_task *task);

/* ---- target_xfer.c */

/* A write command's header: what is due unsolicited, where immediate data goes (NULL: nowhere). */
uint8_t *target_xfer_begin(struct target_task *task, const struct bhs *b);

/*
 * A Data-Out header: the same for its data, in rx. False: the task is not known, the
 * data is thrown away. That is no fault of the initiator: it may have been on its way
 * when the task ended early.
 */
bool target_xfer_header(struct target_rx *rx, struct target_session *s);

/* ... its data has come; "spoiled" = with a wrong digest. */
void target_xfer_data(struct target_rx *rx, bool spoiled);

/* Ask for more data, or submit: whatever can be done now. */
void target_xfer_continue(struct target_task *task);

/* Send the next Data-In PDUs, or the status. */
void target_xfer_answer(struct target_task *task);

#endif
