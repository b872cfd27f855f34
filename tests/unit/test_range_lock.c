#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "range_lock.h"
#include "unit.h"

struct owner {
	struct range range;
	bool held;
};

static void on_locked(struct range *range)
{
	container_of(range, struct owner, range)->held = true;
}

static void take(struct range_lock *lock, struct loop *loop, struct owner *owner, uint64_t first,
		 uint64_t end, bool exclusive)
{
	memset(owner, 0, sizeof(*owner));
	owner->range.first = first;
	owner->range.end = end;
	owner->range.exclusive = exclusive;
	owner->range.locked = on_locked;
	owner->range.loop = loop;
	owner->held = range_lock(lock, &owner->range);
}

static void stop(struct loop_msg *msg)
{
	(void)msg;
}

/* Let the loop deliver what was posted. */
static void deliver(struct loop *loop)
{
	struct loop_msg msg = { .run = stop };

	loop_post(loop, &msg);
	loop_stop(loop);
	loop_run(loop);
}

static void shared_ranges_never_wait_for_each_other(void)
{
	struct range_lock *lock = range_lock_new();
	struct loop *loop = loop_new();
	struct owner a, b;

	take(lock, loop, &a, 0, 100, false);
	take(lock, loop, &b, 50, 150, false);
	CU_ASSERT(a.held && b.held);
	range_unlock(lock, &a.range);
	range_unlock(lock, &b.range);
	range_lock_free(lock);
	loop_free(loop);
}

static void exclusive_ranges_exclude_only_what_overlaps(void)
{
	struct range_lock *lock = range_lock_new();
	struct loop *loop = loop_new();
	struct owner x, left, right, inside;

	take(lock, loop, &x, 100, 200, true);
	take(lock, loop, &left, 0, 100, true);
	take(lock, loop, &right, 200, 300, false);
	take(lock, loop, &inside, 199, 200, false);
	CU_ASSERT(x.held && left.held && right.held && !inside.held);
	range_unlock(lock, &x.range);
	CU_ASSERT(!inside.held);	/* it is told on its loop */
	deliver(loop);
	CU_ASSERT(inside.held);
	range_unlock(lock, &left.range);
	range_unlock(lock, &right.range);
	range_unlock(lock, &inside.range);
	range_lock_free(lock);
	loop_free(loop);
}

static void nobody_overtakes_a_waiter_that_overlaps(void)
{
	struct range_lock *lock = range_lock_new();
	struct loop *loop = loop_new();
	struct owner reader, writer, late, aside;

	take(lock, loop, &reader, 0, 100, false);
	take(lock, loop, &writer, 50, 150, true);
	take(lock, loop, &late, 100, 120, false);	/* free, but the writer came first */
	take(lock, loop, &aside, 150, 160, false);
	CU_ASSERT(reader.held && !writer.held && !late.held && aside.held);
	range_unlock(lock, &reader.range);
	deliver(loop);
	CU_ASSERT(writer.held && !late.held);
	range_unlock(lock, &writer.range);
	deliver(loop);
	CU_ASSERT(late.held);
	range_unlock(lock, &late.range);
	range_unlock(lock, &aside.range);
	range_lock_free(lock);
	loop_free(loop);
}

static void one_unlock_may_grant_several(void)
{
	struct range_lock *lock = range_lock_new();
	struct loop *loop = loop_new();
	struct owner x, waiter[8];

	take(lock, loop, &x, 0, 1000, true);
	for (unsigned i = 0; i < 8; i++) {
		take(lock, loop, &waiter[i], i * 10, i * 10 + 10, i % 2);
		CU_ASSERT(!waiter[i].held);
	}
	range_unlock(lock, &x.range);
	deliver(loop);
	for (unsigned i = 0; i < 8; i++) {
		CU_ASSERT(waiter[i].held);
		range_unlock(lock, &waiter[i].range);
	}
	range_lock_free(lock);
	loop_free(loop);
}

/* Writers that hold no range, as there is nobody to be kept out. */
static void the_first_exclusive_range_waits_for_writers_without_theirs(void)
{
	struct range_lock *lock = range_lock_new();
	struct loop *loop = loop_new();
	struct range_writer *busy = range_writer_new(lock, loop), *idle = range_writer_new(lock, loop);
	struct range_writer *late;
	struct owner x, plain;

	CU_ASSERT_FATAL(busy && idle && !busy->guarded && !idle->guarded);
	range_writer_begin(busy);
	range_writer_begin(busy);
	take(lock, loop, &plain, 0, 10, false);
	CU_ASSERT(plain.held);
	deliver(loop);
	CU_ASSERT(!busy->guarded);	/* shared ranges are no reason */
	take(lock, loop, &x, 500, 600, true);
	CU_ASSERT(!x.held);
	deliver(loop);
	CU_ASSERT(busy->guarded && idle->guarded && !x.held);
	late = range_writer_new(lock, loop);
	CU_ASSERT(late && late->guarded);
	range_writer_end(busy);
	deliver(loop);
	CU_ASSERT(!x.held);
	range_writer_end(busy);
	deliver(loop);
	CU_ASSERT(x.held);
	range_unlock(lock, &x.range);
	take(lock, loop, &x, 500, 600, true);
	CU_ASSERT(x.held);		/* the guard stays up */
	range_unlock(lock, &x.range);
	range_unlock(lock, &plain.range);
	range_writer_free(busy);
	range_writer_free(idle);
	range_writer_free(late);
	range_lock_free(lock);
	loop_free(loop);
}

static void a_writer_that_leaves_is_not_waited_for(void)
{
	struct range_lock *lock = range_lock_new();
	struct loop *loop = loop_new();
	struct range_writer *writer = range_writer_new(lock, loop);
	struct owner x;

	take(lock, loop, &x, 0, 100, true);
	CU_ASSERT(!x.held);
	range_writer_free(writer);	/* the news is still on its way */
	deliver(loop);
	CU_ASSERT(x.held);
	range_unlock(lock, &x.range);
	range_lock_free(lock);
	loop_free(loop);
}

/* Threads: each worker takes ranges one after the other and checks that nobody is inside
 * with whom it may not be. */
#define CELLS	32
#define ROUNDS	5000

struct arena {
	struct range_lock *lock;
	_Atomic int inside[CELLS];	/* readers, or -1 */
	_Atomic unsigned violations;
};

struct worker {
	struct range range;
	struct arena *arena;
	struct range_writer *writer;
	struct loop *loop;
	struct loop_msg start;
	pthread_t thread;
	unsigned seed, rounds;
};

static void enter(struct worker *w)
{
	for (uint64_t i = w->range.first; i < w->range.end; i++) {
		int was = w->range.exclusive ? atomic_exchange(&w->arena->inside[i], -1)
					     : atomic_fetch_add(&w->arena->inside[i], 1);

		if (w->range.exclusive ? was != 0 : was < 0)
			atomic_fetch_add(&w->arena->violations, 1);
	}
}

static void leave(struct worker *w)
{
	for (uint64_t i = w->range.first; i < w->range.end; i++)
		if (w->range.exclusive)
			atomic_store(&w->arena->inside[i], 0);
		else
			atomic_fetch_sub(&w->arena->inside[i], 1);
}

static void enter_and_leave(struct worker *w)
{
	enter(w);
	leave(w);
	range_unlock(w->arena->lock, &w->range);
}

/* Where nobody has excluded others yet, writers share without saying so. */
static bool goes_without(struct worker *w)
{
	if (w->range.exclusive || w->writer->guarded)
		return false;
	range_writer_begin(w->writer);
	enter(w);
	leave(w);
	range_writer_end(w->writer);
	return true;
}

static void rounds(struct worker *w)
{
	while (w->rounds--) {
		w->range.first = (unsigned)rand_r(&w->seed) % CELLS;
		w->range.end = w->range.first + 1 +
			       (unsigned)rand_r(&w->seed) % (CELLS - w->range.first);
		w->range.exclusive = rand_r(&w->seed) % 3 == 0;
		if (goes_without(w))
			continue;
		if (!range_lock(w->arena->lock, &w->range))
			return;
		enter_and_leave(w);
	}
	loop_stop(w->loop);
}

static void worker_locked(struct range *range)
{
	struct worker *w = container_of(range, struct worker, range);

	enter_and_leave(w);
	rounds(w);
}

static void worker_start(struct loop_msg *msg)
{
	rounds(container_of(msg, struct worker, start));
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	loop_run(w->loop);
	return NULL;
}

static void threads_exclude_each_other_and_all_get_their_turn(void)
{
	struct arena arena = { .lock = range_lock_new() };
	struct worker worker[4];

	for (unsigned i = 0; i < 4; i++) {
		struct worker *w = &worker[i];

		memset(w, 0, sizeof(*w));
		w->arena = &arena;
		w->loop = loop_new();
		w->writer = range_writer_new(arena.lock, w->loop);
		w->seed = i + 1;
		w->rounds = ROUNDS;
		w->range.locked = worker_locked;
		w->range.loop = w->loop;
		w->start.run = worker_start;
		loop_post(w->loop, &w->start);
	}
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_FATAL(pthread_create(&worker[i].thread, NULL, worker_main,
					       &worker[i]) == 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(worker[i].thread, NULL);
	for (unsigned i = 0; i < 4; i++) {
		loop_free(worker[i].loop);
		range_writer_free(worker[i].writer);
	}
	CU_ASSERT_EQUAL(arena.violations, 0);
	range_lock_free(arena.lock);
}

static const struct unit_test tests[] = {
	UNIT_TEST(shared_ranges_never_wait_for_each_other),
	UNIT_TEST(exclusive_ranges_exclude_only_what_overlaps),
	UNIT_TEST(nobody_overtakes_a_waiter_that_overlaps),
	UNIT_TEST(one_unlock_may_grant_several),
	UNIT_TEST(the_first_exclusive_range_waits_for_writers_without_theirs),
	UNIT_TEST(a_writer_that_leaves_is_not_waited_for),
	UNIT_TEST(threads_exclude_each_other_and_all_get_their_turn),
};

UNIT_MAIN("range_lock", tests)
