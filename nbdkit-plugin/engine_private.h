/*
 * The parts of the engine: lanes, units, and a session where they cross. Private to
 * the engine_* files.
 *
 *		unit 0		unit 1		...
 *	lane 0	session		session
 *	lane 1	session		session
 *
 * A lane is a thread with a loop; engine.c gives it orders and waits for the report,
 * so what an order touches belongs to the lane until then, and to whoever waits
 * after it. engine_lane.c is what lanes do; engine_request.c hands them requests.
 */
#ifndef ENGINE_PRIVATE_H
#define ENGINE_PRIVATE_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "engine.h"
#include "loop.h"

#define WHY_LEN	256

/* A logical unit; the same for all lanes. */
struct unit {
	uint16_t lun;
	struct blk_shared shared;
	atomic_uint clients;		/* ever; the next one's lane */
};

struct session {
	struct lane *lane;
	struct unit *unit;
	struct scsi_lu *lu;		/* both, or neither */
	struct blkdev *blk;
	bool logged_in;			/* it was a session; no disk, if "why" says so */
	char why[WHY_LEN];		/* why it is not open */
};

struct lane {
	struct engine *engine;
	struct loop *loop;
	pthread_t thread;
	bool running;			/* on a thread of its own; else engine_probe() runs it */
	struct loop_msg order;
	sem_t reported;
	unsigned pending;		/* sessions that are still opening or closing */
	struct session *sessions;	/* one per unit */
	/* LIST: */
	struct scsi_lu *asked;
	uint16_t luns[SCSI_LUNS_MAX];
	unsigned lun_count;
	char why[WHY_LEN];		/* why there is no list; "" = there is */
};

struct engine {
	const struct engine_conf *conf;
	struct offload *offload;
	struct unit *units;		/* that were looked for */
	unsigned unit_count;
	struct unit **served;		/* and those of them that every lane has opened */
	unsigned served_count;
	unsigned lane_count;
	struct lane lanes[];
};

static inline void engine_wait(sem_t *sem)
{
	while (sem_wait(sem) < 0)
		assert(errno == EINTR);
}

/* The orders; each is reported once, by the semaphore or by the end of loop_run(). On the loop. */
void lane_list(struct loop_msg *order);		/* log in, fill luns, log out */
void lane_open(struct loop_msg *order);		/* open every session; how each went is in it */
void lane_close(struct loop_msg *order);	/* close those that are open */

#endif
