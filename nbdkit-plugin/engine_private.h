/*
 * The parts of the engine: lanes, units, and a session where they cross. Private to
 * the engine_* files.
 *
 *		unit 0		unit 1		...
 *	lane 0	session		session
 *	lane 1	session		session
 *
 * A lane is a loop, and whoever drives it: one of nbdkit's threads that wait for it, or
 * a thread of its own (engine_drive.c). engine.c gives it orders and waits for the report,
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

/* Something to do on a lane's loop while its owner waits, on the owner's stack. */
struct errand {
	struct session *session;
	struct loop_msg msg;
	struct loop_msg hurry;
	struct blk_req req;
	struct blk_info *info;
	bool done;			/* the driver's */
	bool hurried;			/* its thread's: nobody wants it any more */
	/* Of engine_drive.c: */
	struct list node;		/* the lane's waiting */
	bool drives;			/* its thread drives the loop, or is to */
	bool hurrying;			/* "hurry" is on its way: not over before it has run */
	sem_t wake;			/* posted once, if it did not drive from the start: it is over, or drives */
};

struct lane {
	struct engine *engine;
	struct loop *loop;
	pthread_t thread;		/* the keeper's */
	bool running;			/* it has a keeper; else engine_probe() runs it */
	/* Of engine_drive.c: */
	pthread_mutex_t lock;
	bool driven;
	bool parked;			/* the keeper sleeps until nobody drives */
	unsigned drives, drives_seen;	/* how often somebody began to drive; as the keeper saw last */
	struct list waiting;		/* errands whose threads sleep */
	sem_t keeper;
	struct ev_timer look;		/* the driver's, as is what follows */
	bool look_due;			/* it is time to ask if the driver is still wanted */
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

#define NS_PER_SECOND	UINT64_C(1000000000)
#define ENGINE_LOOKS	1	/* seconds after which a waiting thread asks if it is still wanted */

static inline void engine_wait(sem_t *sem)
{
	while (sem_wait(sem) < 0)
		assert(errno == EINTR);
}

/* As engine_wait(), but for "ns" at most. False when nobody has posted it. */
bool engine_sleep(sem_t *sem, uint64_t ns);

/* Before and after the keeper runs; the loop is there. */
void lane_drive_init(struct lane *lane);
void lane_drive_destroy(struct lane *lane);

/* The keeper's thread: it ends when the loop is stopped, and nobody drives then. */
void *lane_keep(void *lane);

/*
 * Drive the loop on this thread, until lane_pass()? False: somebody else does; the errand is among
 * those that wait, and errand->wake will be posted when it is over, or when it drives.
 */
bool lane_take(struct lane *lane, struct errand *errand);

/* The driver's errand is over: pass the wheel to one that waits, or to nobody. */
void lane_pass(struct lane *lane);

/* By the thread of an errand that waits: post its "hurry", unless it is over. */
void lane_hurry(struct lane *lane, struct errand *errand);

/* On the driver's thread: this errand is done, and over unless it is hurrying. */
void lane_wake(struct lane *lane, struct errand *errand);

/* The orders; each is reported once, by the semaphore or by the end of loop_run(). On the loop. */
void lane_list(struct loop_msg *order);		/* log in, fill luns, log out */
void lane_open(struct loop_msg *order);		/* open every session; how each went is in it */
void lane_close(struct loop_msg *order);	/* close those that are open */

#endif
