/*
 * Byte ranges of one device, locked across its workers.
 *
 * Two lists under one mutex: the ranges that are held, and those that wait in the
 * order they came. A range waits while it conflicts with one that is held or that
 * waits before it, so nobody is overtaken by somebody who overlaps, and nobody
 * waits for anything else. As long as no range is exclusive, and that is nearly
 * always, nothing is searched.
 *
 * The first exclusive range of all raises the guard: every writer is told, on its
 * loop, to take ranges from now on, and the range waits until each has heard it and
 * the writes that it had begun without have ended. There is no way back, as who
 * compares and writes once does it again; so a writer's cost is a look at a variable
 * of its own thread.
 *
 * The ranges are their owners'; the lock only links them.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "range_lock.h"

struct range_lock {
	pthread_mutex_t mutex;
	struct list held;
	struct list waiting;
	unsigned exclusive;	/* ranges on either list that exclude others */
	bool guarded;		/* all writers take their ranges, or are about to */
	struct list writers;
	unsigned unready;	/* of these, who may have writes in flight without their range */
};

struct range_lock *range_lock_new(void)
{
	struct range_lock *lock = malloc(sizeof(*lock));

	if (!lock)
		return NULL;
	pthread_mutex_init(&lock->mutex, NULL);
	list_init(&lock->held);
	list_init(&lock->waiting);
	list_init(&lock->writers);
	lock->exclusive = 0;
	lock->guarded = false;
	lock->unready = 0;
	return lock;
}

void range_lock_free(struct range_lock *lock)
{
	if (!lock)
		return;
	assert(list_empty(&lock->held) && list_empty(&lock->waiting));
	assert(list_empty(&lock->writers));
	pthread_mutex_destroy(&lock->mutex);
	free(lock);
}

static struct range *range_of(struct list *node)
{
	return container_of(node, struct range, node);
}

static bool conflict(const struct range *a, const struct range *b)
{
	return (a->exclusive || b->exclusive) && a->first < b->end && b->first < a->end;
}

/* Does "range" conflict with any on "list" from its head up to "end"? */
static bool conflicts(const struct range *range, const struct list *list, const struct list *end)
{
	for (struct list *node = list->next; node != end; node = node->next)
		if (conflict(range, range_of(node)))
			return true;
	return false;
}

static bool must_wait(const struct range_lock *lock, const struct range *range,
		      const struct list *waiting_end)
{
	if (range->exclusive && lock->unready)
		return true;
	return lock->exclusive &&
	       (conflicts(range, &lock->held, &lock->held) ||
		conflicts(range, &lock->waiting, waiting_end));
}

static void tell(struct loop_msg *msg)
{
	struct range *range = container_of(msg, struct range, msg);

	range->locked(range);
}

static void raise_guard(struct range_lock *lock)
{
	lock->guarded = true;
	list_for_each(node, &lock->writers) {
		struct range_writer *writer = container_of(node, struct range_writer, node);

		lock->unready++;
		loop_post(writer->loop, &writer->msg);
	}
}

bool range_lock(struct range_lock *lock, struct range *range)
{
	bool wait;

	assert(range->first < range->end);
	assert(range->locked && range->loop);
	range->msg.run = tell;

	pthread_mutex_lock(&lock->mutex);
	if (range->exclusive && !lock->guarded)
		raise_guard(lock);
	lock->exclusive += range->exclusive;
	wait = must_wait(lock, range, &lock->waiting);
	list_add_tail(wait ? &lock->waiting : &lock->held, &range->node);
	pthread_mutex_unlock(&lock->mutex);
	return !wait;
}

/* Those that nothing keeps waiting any more hold their range now, and are told so. */
static void grant(struct range_lock *lock)
{
	list_for_each_safe(node, &lock->waiting) {
		struct range *range = range_of(node);

		if (must_wait(lock, range, node))
			continue;
		list_del(node);
		list_add_tail(&lock->held, node);
		/* Its owner may run at once, but cannot let go of it while we hold the mutex. */
		loop_post(range->loop, &range->msg);
	}
}

void range_unlock(struct range_lock *lock, struct range *range)
{
	pthread_mutex_lock(&lock->mutex);
	assert(list_linked(&range->node));
	assert(!range->exclusive || lock->exclusive);
	list_del(&range->node);
	lock->exclusive -= range->exclusive;
	grant(lock);
	pthread_mutex_unlock(&lock->mutex);
}

/* Writers ------------------------------------------------------------------------ */

/* With the mutex: this writer has no write in flight without its range, and never will. */
static void is_ready(struct range_lock *lock)
{
	assert(lock->unready);
	if (--lock->unready == 0)
		grant(lock);
}

static void is_ready_now(struct range_lock *lock)
{
	pthread_mutex_lock(&lock->mutex);
	is_ready(lock);
	pthread_mutex_unlock(&lock->mutex);
}

static void guard_is_up(struct loop_msg *msg)
{
	struct range_writer *writer = container_of(msg, struct range_writer, msg);

	if (writer->left) {
		free(writer);
		return;
	}
	writer->guarded = true;
	if (!writer->in_flight)
		is_ready_now(writer->lock);
}

struct range_writer *range_writer_new(struct range_lock *lock, struct loop *loop)
{
	struct range_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->lock = lock;
	writer->loop = loop;
	writer->msg.run = guard_is_up;
	pthread_mutex_lock(&lock->mutex);
	writer->guarded = lock->guarded;
	list_add_tail(&lock->writers, &writer->node);
	pthread_mutex_unlock(&lock->mutex);
	return writer;
}

void range_writer_free(struct range_writer *writer)
{
	struct range_lock *lock = writer->lock;

	assert(!writer->in_flight);
	pthread_mutex_lock(&lock->mutex);
	list_del(&writer->node);
	/* The message is on its way, to be freed by. */
	writer->left = lock->guarded && !writer->guarded;
	if (writer->left)
		is_ready(lock);
	pthread_mutex_unlock(&lock->mutex);
	if (!writer->left)
		free(writer);
}

void range_writer_begin(struct range_writer *writer)
{
	assert(!writer->guarded);
	writer->in_flight++;
}

void range_writer_end(struct range_writer *writer)
{
	assert(writer->in_flight);
	if (--writer->in_flight == 0 && writer->guarded)
		is_ready_now(writer->lock);
}
