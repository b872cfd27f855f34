/*
 * From nbdkit's threads to a lane and back: what an errand does on the lane's loop, and
 * what its thread does meanwhile (see engine_drive.c).
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "engine_private.h"

static void errand_done(struct errand *errand)
{
	errand->done = true;
	lane_wake(errand->session->lane, errand);
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

	errand->hurrying = false;
	if (errand->done)
		lane_wake(errand->session->lane, errand);
	else
		blk_abort(errand->session->blk, &errand->req);
}

/* Has it just turned out that nobody wants the result? Once. */
static bool is_given_up(struct errand *errand)
{
	bool (*unwanted)(void) = errand->session->lane->engine->conf->unwanted;

	if (!errand->hurried && unwanted)
		return errand->hurried = unwanted();
	return false;
}

/* Until somebody has done it, or leaves it to us to drive. */
static void sleep_on(struct errand *errand)
{
	while (!engine_sleep(&errand->wake, ENGINE_LOOKS * NS_PER_SECOND))
		if (is_given_up(errand))
			lane_hurry(errand->session->lane, errand);
}

static void drive(struct errand *errand, bool posted)
{
	struct lane *lane = errand->session->lane;

	loop_attend(lane->loop);
	if (!posted)
		errand->msg.run(&errand->msg);
	while (!errand->done || errand->hurrying) {
		loop_turn(lane->loop);
		if (!lane->look_due)
			continue;
		lane->look_due = false;
		if (!errand->done && is_given_up(errand))
			hurry_here(&errand->hurry);
	}
	lane_pass(lane);
}

static void run_errand(struct errand *errand)
{
	struct lane *lane = errand->session->lane;
	bool took;

	sem_init(&errand->wake, 0, 0);
	took = lane_take(lane, errand);
	if (!took) {
		loop_post(lane->loop, &errand->msg);
		sleep_on(errand);
	}
	if (errand->drives)
		drive(errand, !took);
	sem_destroy(&errand->wake);
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
