/*
 * The iSCSI target between two things that a test controls to the byte: an initiator
 * made of bare PDUs over a socketpair (target_peer.h), and logical units that keep every
 * command until the test ends it. Time (still_clock.h) passes while the initiator waits
 * for something that has not come, and hardly else.
 */
#ifndef TARGET_RIG_H
#define TARGET_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "bhs.h"
#include "export.h"
#include "loop.h"
#include "lu.h"
#include "target.h"

#define RIG_WORKERS	2
#define RIG_LUNS	3		/* 0: interprets; 1: passes through; 2: none on any worker */
#define RIG_GROUP	1		/* tag of its portal group */
#define RIG_TASKS	64
#define RIG_TARGET	"iqn.2026-11.test:rig"
#define RIG_INITIATOR	"iqn.2026-11.test:initiator"
#define RIG_BLOCK	512

/* A logical unit. */
struct rig_lu {
	struct scsi_lu lu;
	struct scsi_task *task[RIG_TASKS]; /* submitted and not ended, oldest first */
	unsigned count;
	unsigned submitted, aborted, attached, detached;
	uint32_t told;			/* the latest unit attention that it was told of; 0: taken back */
	unsigned tellings;
	struct scsi_tmf *tmf;		/* the one that it was given and has not done */
	enum tmf_function managed;	/* the latest */
	bool	 ends_at_abort;		/* an abort ends the task at once */
};

struct rig {
	struct loop *loop[RIG_WORKERS];
	struct target_service service[RIG_WORKERS];
	struct target_conf conf;
	struct target_shared *shared;
	/* What is served until rig_follow(): RIG_TARGET, to everybody. */
	struct access *access;
	struct access_portal_group *group;
	struct access_target *target;
	struct export export[RIG_LUNS];
	struct export_instance instance[RIG_LUNS][RIG_WORKERS];
	struct rig_lu lu[RIG_LUNS][RIG_WORKERS];
	unsigned idle;			/* how often service->idle() came */
	unsigned follows;		/* ... service->follows() */
};

/* Change conf between these two. */
void rig_init(struct rig *rig);
void rig_start(struct rig *rig);
/* Asserts that nothing is left over. */
void rig_stop(struct rig *rig);

/* One turn of every worker. */
void rig_turn(struct rig *rig);
/* So many that nobody has anything left to do, or to send. */
void rig_settle(struct rig *rig);

/* End the i-th task of a unit. data-in: the first "moved" bytes are byte number mod 251. */
void rig_end(struct rig *rig, struct rig_lu *lu, unsigned i, uint8_t status, uint32_t moved,
	     uint64_t wanted);
/* GOOD, with all that was asked for. */
void rig_end_good(struct rig *rig, struct rig_lu *lu, unsigned i);
void rig_end_sense(struct rig *rig, struct rig_lu *lu, unsigned i, uint32_t reason);
void rig_end_tmf(struct rig *rig, struct rig_lu *lu, enum tmf_response response);

/* A unit has one task, a write of the first "len" bytes of the pattern. */
void rig_expect_written(const struct rig_lu *lu, uint32_t len);

/* Put other rules into force, on all workers; the rig's hold on them is the caller's. */
void rig_follow(struct rig *rig, struct access *access);

/* Bytes that differ from place to place: byte number mod 251. */
const uint8_t *rig_pattern(void);

#endif
