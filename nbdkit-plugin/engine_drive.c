/*
 * Who runs a lane's loop: the threads that wait for it, for as long as there are any.
 *
 * To hand a request to a thread of ours and the answer back costs two wakeups, as much as all
 * the rest. So the first of nbdkit's threads that wants something drives the loop itself until
 * its own request is done, and then passes the wheel to one that still waits. Between
 * requests nobody drives; the keeper, a thread of the lane, does when that has lasted a
 * while (somebody must answer the target's pings), when something comes in from elsewhere,
 * and gives way as soon as somebody waits.
 *
 * All that is decided here is decided under the lane's lock, and all that the loop runs is run
 * by the driver: so an errand ends, and is passed the wheel, on one thread.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "engine_private.h"

#define KEEPER_LOOKS	(NS_PER_SECOND / 50)	/* between its looks while others drive */

bool engine_sleep(sem_t *sem, uint64_t ns)
{
	struct timespec until;

	/* A clock that is set meanwhile only makes us wake too early, or late. */
	clock_gettime(CLOCK_REALTIME, &until);
	ns += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(ns / NS_PER_SECOND);
	until.tv_nsec = (long)(ns % NS_PER_SECOND);
	while (sem_timedwait(sem, &until) < 0) {
		if (errno == ETIMEDOUT)
			return false;
		assert(errno == EINTR);
	}
	return true;
}

static void wake_keeper(void *opaque)
{
	struct lane *lane = opaque;

	sem_post(&lane->keeper);
}

static void on_look(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct lane *lane = container_of(timer, struct lane, look);

	(void)ev;
	(void)events;
	lane->look_due = true;
}

void lane_drive_init(struct lane *lane)
{
	pthread_mutex_init(&lane->lock, NULL);
	list_init(&lane->waiting);
	sem_init(&lane->keeper, 0, 0);
	ev_timer_init(&lane->look, on_look, ENGINE_LOOKS, ENGINE_LOOKS);
	loop_when_unattended(lane->loop, wake_keeper, lane);
}

void lane_drive_destroy(struct lane *lane)
{
	assert(!lane->driven && list_empty(&lane->waiting));
	sem_destroy(&lane->keeper);
	pthread_mutex_destroy(&lane->lock);
}

bool lane_take(struct lane *lane, struct errand *errand)
{
	bool took;

	pthread_mutex_lock(&lane->lock);
	errand->drives = !lane->driven;
	if (errand->drives) {
		lane->driven = true;
		lane->drives++;
	} else {
		list_add_tail(&lane->waiting, &errand->node);
	}
	took = errand->drives;
	pthread_mutex_unlock(&lane->lock);
	return took;
}

/* With the lock held. It is to look once more before it takes the wheel. */
static void unpark_keeper(struct lane *lane)
{
	if (!lane->parked)
		return;
	lane->parked = false;
	lane->drives_seen = lane->drives - 1;
	sem_post(&lane->keeper);
}

void lane_pass(struct lane *lane)
{
	struct errand *next = NULL;

	pthread_mutex_lock(&lane->lock);
	assert(lane->driven);
	if (list_empty(&lane->waiting)) {
		loop_leave(lane->loop);
		lane->driven = false;
		unpark_keeper(lane);
	} else {
		next = container_of(list_pop(&lane->waiting), struct errand, node);
		next->drives = true;
	}
	pthread_mutex_unlock(&lane->lock);
	if (next)
		sem_post(&next->wake);
}

void lane_hurry(struct lane *lane, struct errand *errand)
{
	bool waits;

	pthread_mutex_lock(&lane->lock);
	waits = list_linked(&errand->node);
	errand->hurrying = waits;
	pthread_mutex_unlock(&lane->lock);
	if (waits)
		loop_post(lane->loop, &errand->hurry);
}

void lane_wake(struct lane *lane, struct errand *errand)
{
	bool over;

	if (errand->drives)
		return;
	pthread_mutex_lock(&lane->lock);
	over = !errand->hurrying;
	if (over)
		list_del(&errand->node);
	pthread_mutex_unlock(&lane->lock);
	if (over)
		sem_post(&errand->wake);	/* last: the errand may be gone now */
}

/* It drives when nobody has since the last look, or somebody has asked. Where others have passed the
 * wheel among themselves all the time it need not look again until they put it down. */
static bool keeper_takes(struct lane *lane, bool asked)
{
	bool unchanged, takes;

	pthread_mutex_lock(&lane->lock);
	unchanged = lane->drives == lane->drives_seen;
	takes = !lane->driven && (asked || unchanged);
	lane->parked = lane->driven && unchanged;
	lane->drives_seen = lane->drives;
	lane->driven |= takes;
	pthread_mutex_unlock(&lane->lock);
	return takes;
}

static bool somebody_waits(struct lane *lane)
{
	bool some;

	pthread_mutex_lock(&lane->lock);
	some = !list_empty(&lane->waiting);
	pthread_mutex_unlock(&lane->lock);
	return some;
}

/* False when the lane's loop has been stopped. */
static bool keep_driving(struct lane *lane)
{
	bool goes_on;

	loop_attend(lane->loop);
	ev_timer_stop(lane->loop->ev, &lane->look);
	do
		goes_on = loop_turn(lane->loop);
	while (goes_on && !somebody_waits(lane));
	if (goes_on)
		ev_timer_again(lane->loop->ev, &lane->look);
	lane_pass(lane);
	return goes_on;
}

/* Until the next look. Has somebody asked? */
static bool keeper_rests(struct lane *lane)
{
	bool parked;

	pthread_mutex_lock(&lane->lock);
	parked = lane->parked;
	pthread_mutex_unlock(&lane->lock);
	if (!parked)
		return engine_sleep(&lane->keeper, KEEPER_LOOKS);
	engine_wait(&lane->keeper);
	return false;
}

void *lane_keep(void *opaque)
{
	struct lane *lane = opaque;
	bool asked = true;

	while (!keeper_takes(lane, asked) || keep_driving(lane))
		asked = keeper_rests(lane);
	return NULL;
}
