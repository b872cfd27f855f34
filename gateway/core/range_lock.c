/*
 * Byte ranges of one device, locked across its workers.
 *
 * Two lists under one mutex: the ranges that are held, and those that wait in the
 * order they came. A range waits while it conflicts with one that is held or that
 * waits before it, so nobody is overtaken by somebody who overlaps, and nobody
 * waits for anything else. As long as no range is exclusive, and that is nearly
 * always, nothing is searched.
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
};

struct range_lock *range_lock_new(void)
{
	struct range_lock *lock = malloc(sizeof(*lock));

	if (!lock)
		return NULL;
	pthread_mutex_init(&lock->mutex, NULL);
	list_init(&lock->held);
	list_init(&lock->waiting);
	lock->exclusive = 0;
	return lock;
}

void range_lock_free(struct range_lock *lock)
{
	if (!lock)
		return;
	assert(list_empty(&lock->held) && list_empty(&lock->waiting));
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
	return lock->exclusive &&
	       (conflicts(range, &lock->held, &lock->held) ||
		conflicts(range, &lock->waiting, waiting_end));
}

static void tell(struct loop_msg *msg)
{
	struct range *range = container_of(msg, struct range, msg);

	range->locked(range);
}

bool range_lock(struct range_lock *lock, struct range *range)
{
	bool wait;

	assert(range->first < range->end);
	assert(range->locked && range->loop);
	range->msg.run = tell;

	pthread_mutex_lock(&lock->mutex);
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
