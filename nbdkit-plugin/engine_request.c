/*
 * From nbdkit's threads to a lane and back: something to do on the lane's loop while
 * its owner waits, on the owner's stack.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "engine_private.h"

#define LOOK_AGAIN	1	/* seconds after which a waiting thread asks if it is still wanted */

struct errand {
	struct session *session;
	struct loop_msg msg;
	struct loop_msg hurry;
	struct blk_req req;
	struct blk_info *info;
	bool done;			/* the loop's */
	sem_t over;			/* posted by each message's end */
};

static void errand_done(struct errand *errand)
{
	errand->done = true;
	sem_post(&errand->over);	/* last: it may be gone now */
}

static void request_done(struct blk_req *req)
{
	errand_done(container_of(req, struct errand, req));
}

static void submit_here(struct loop_msg *msg)
{
	struct errand *errand = container_of(msg, struct errand, msg);
	struct blkdev *blk = errand->session->blk;
	/* nbdkit knows the device as it was when the client came; it may have shrunk. */
	int refusal = blk_refusal(blk, &errand->req);

	if (!refusal) {
		blk_submit(blk, &errand->req);
		return;
	}
	blk_fail(&errand->req, refusal, NULL);
	errand_done(errand);
}

static void info_here(struct loop_msg *msg)
{
	struct errand *errand = container_of(msg, struct errand, msg);

	*errand->info = errand->session->blk->info;
	errand_done(errand);
}

static void hurry_here(struct loop_msg *msg)
{
	struct errand *errand = container_of(msg, struct errand, hurry);

	if (!errand->done)
		blk_abort(errand->session->blk, &errand->req);
	sem_post(&errand->over);
}

/* False when it took too long. A clock that is set meanwhile only makes us look too early, or late. */
static bool wait_a_while(sem_t *sem)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LOOK_AGAIN;
	while (sem_timedwait(sem, &until) < 0) {
		if (errno == ETIMEDOUT)
			return false;
		assert(errno == EINTR);
	}
	return true;
}

static void run_errand(struct errand *errand)
{
	struct loop *loop = errand->session->lane->loop;
	bool (*unwanted)(void) = errand->session->lane->engine->conf->unwanted;

	sem_init(&errand->over, 0, 0);
	loop_post(loop, &errand->msg);
	while (!wait_a_while(&errand->over)) {
		if (!unwanted || !unwanted())
			continue;
		loop_post(loop, &errand->hurry);
		engine_wait(&errand->over);
		engine_wait(&errand->over);
		break;
	}
	sem_destroy(&errand->over);
}

void engine_submit(struct session *session, struct blk_req *req)
{
	struct errand errand = {
		.session = session, .msg.run = submit_here, .hurry.run = hurry_here, .req = *req,
	};

	errand.req.done = request_done;
	run_errand(&errand);
	*req = errand.req;
}

void engine_info(struct session *session, struct blk_info *info)
{
	struct errand errand = {
		.session = session, .msg.run = info_here, .hurry.run = hurry_here, .info = info,
	};

	run_errand(&errand);
}
