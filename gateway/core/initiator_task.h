/*
 * A command on the wire, its tags, and its management.
 */
#ifndef INITIATOR_TASK_H
#define INITIATOR_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "bhs.h"
#include "list.h"
#include "lu.h"

struct initiator;

/*
 * Initiator task tags: what kind of request, a generation that grows each time the
 * place is used again (so that a late answer is recognised as such), and the place.
 */
enum tag_kind { TAG_TASK, TAG_ABORT, TAG_OTHER };
enum other_tag { OTHER_NOP, OTHER_TMF, OTHER_LOGOUT, OTHER_LOGIN, OTHER_TEXT };
#define TAG(kind, generation, index) \
	((uint32_t)(kind) << 30 | ((uint32_t)(generation) & 0x3fff) << 16 | (uint32_t)(index))
#define TAG_KIND(itt)	((itt) >> 30)
#define TAG_INDEX(itt)	((itt) & 0xffff)
/* An ABORT TASK has the tag of its task, of another kind. */
#define ABORT_TAG(itt)	((itt) | (uint32_t)TAG_ABORT << 30)
#define TASK_TAG(itt)	((itt) & ~((uint32_t)TAG_ABORT << 30))

/* Of aborted tasks, whose answers may come late: as many as a target may have at once, or so. */
#define TAGS_REMEMBERED	256

/* A command on the wire. */
struct task_slot {
	struct list node;		/* on initiator.idle while free */
	struct scsi_task *task;		/* NULL: free, or only its abort is still unanswered */
	uint32_t itt;
	uint32_t cmd_sn;
	uint32_t data_sn;		/* the next DataSN of a read, the next R2TSN of a write */
	uint32_t asked;			/* of a write: R2Ts have asked for what is before that */
	unsigned unsent;		/* PDUs queued that point into the task's buffer */
	bool	 answered;		/* outcome known, but unsent > 0 */
	bool	 aborting;		/* ABORT TASK sent and not yet answered */
	bool	 escalated;		/* ... in time, so that the unit was reset */
	double	 abort_deadline;
};

/* initiator_task.c */
void task_send(struct initiator *ini, struct scsi_task *task);
/* Where the payload of this Data-In goes, if it may come at all; false after conn_fail(). */
bool task_place(struct initiator *ini, const struct bhs *bhs, uint8_t **where);
void task_data_in(struct initiator *ini, const struct bhs *bhs);
void task_response(struct initiator *ini, const struct bhs *bhs, const uint8_t *data);
void task_r2t(struct initiator *ini, const struct bhs *bhs);
/* A PDU that points into the slot's buffer is gone. */
void task_pdu_sent(struct initiator *ini, struct task_slot *slot);
/* The slot of a task tag that is in use, or NULL. */
struct task_slot *task_slot(struct initiator *ini, uint32_t itt);
/* A task has ended by its abort; is what comes with this tag about one that has? */
void task_over(struct initiator *ini, uint32_t itt);
bool task_is_over(const struct initiator *ini, uint32_t itt);
/* The outcome is in slot->task: end it as soon as no PDU points into its buffer. */
void task_finish(struct initiator *ini, struct task_slot *slot);
/* All that are on the wire, sent before that CmdSN if one is given, end with "status". */
void task_finish_all(struct initiator *ini, const uint32_t *before_cmd_sn, uint8_t status);
/* The abort of the slot's task has been answered. */
void task_abort_over(struct initiator *ini, struct task_slot *slot);

/* initiator_tmf.c */
void tmf_init(struct initiator *ini);
void tmf_abort(struct initiator *ini, struct scsi_task *task);
void tmf_submit(struct initiator *ini, struct scsi_tmf *tmf);
void tmf_response(struct initiator *ini, uint32_t itt, uint8_t response);
/* The session is gone: none of them will be answered. */
void tmf_lost(struct initiator *ini);
void tmf_stop(struct initiator *ini);

#endif
