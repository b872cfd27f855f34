/*
 * One worker's event loop: libev with a mailbox, deferred calls and end-of-turn calls.
 *
 * A turn is: wait, run the watchers that are due, then (in an ev_check watcher, the last
 * of them all) the deferred calls, then the flush calls; then the late calls, and once
 * more what these have deferred and are to flush. What is queued between two turns
 * runs in an ev_prepare watcher, before the next wait.
 */
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pool.h"

/* What the pool may keep: a few dozen requests of usual size in either direction. */
#define POOL_KEEP	((size_t)64 << 20)

/*
 * Deferred work begets deferred work: a completion submits the next request, whose
 * reply is flushed. A few rounds per turn finish such chains without a trip through
 * the kernel; the limit lets sockets and timers have their turn in any case.
 */
#define ROUNDS_PER_TURN	8

struct loop_private {
	struct loop loop;
	struct ev_async wakeup;
	struct ev_check end_of_turn;
	struct ev_prepare before_wait;
	struct ev_idle more;		/* keeps the loop from sleeping while calls are left */
	struct list deferred;
	struct list flushes;
	struct list late;
	_Atomic(struct loop_msg *) mailbox;	/* newest first */
	atomic_bool stopping;
	bool stopped;			/* and everything posted before has run */
	atomic_bool attended;
	pthread_t thread;		/* valid while attended */
	void (*on_unattended)(void *);
	void *opaque;
};

static void run_messages(struct loop_private *p)
{
	struct loop_msg *newest = atomic_exchange_explicit(&p->mailbox, NULL, memory_order_acquire);
	struct loop_msg *oldest = NULL;

	while (newest) {
		struct loop_msg *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct loop_msg *msg = oldest;

		oldest = msg->next;
		msg->run(msg);
	}
}

/* Run what is on the list now; what these calls add waits for the next round. */
static void run_list(struct list *pending)
{
	struct list batch = LIST_INIT(batch);
	struct list *node;

	list_splice_tail(&batch, pending);
	while ((node = list_pop(&batch))) {
		struct loop_call *call = container_of(node, struct loop_call, node);

		call->run(call);
	}
}

static bool calls_left(const struct loop_private *p)
{
	return !list_empty(&p->deferred) || !list_empty(&p->flushes) || !list_empty(&p->late);
}

static void settle(struct loop_private *p)
{
	for (int round = 0; round < ROUNDS_PER_TURN; round++) {
		if (list_empty(&p->deferred) && list_empty(&p->flushes))
			return;
		run_list(&p->deferred);
		/* What is still to be deferred may add replies to those that leave together. */
		if (list_empty(&p->deferred) || round == ROUNDS_PER_TURN - 1)
			run_list(&p->flushes);
	}
}

static void run_calls(struct loop_private *p)
{
	settle(p);
	if (list_empty(&p->late))
		return;
	run_list(&p->late);
	settle(p);
}

static void on_wakeup(struct ev_loop *ev, struct ev_async *w, int events)
{
	struct loop_private *p = container_of(w, struct loop_private, wakeup);
	bool stopping = atomic_load(&p->stopping);

	(void)ev;
	(void)events;
	run_messages(p);
	p->stopped = stopping;
}

static void end_turn(struct loop_private *p)
{
	run_calls(p);
	if (calls_left(p))
		ev_idle_start(p->loop.ev, &p->more);
	else
		ev_idle_stop(p->loop.ev, &p->more);
}

static void on_end_of_turn(struct ev_loop *ev, struct ev_check *w, int events)
{
	(void)ev;
	(void)events;
	end_turn(container_of(w, struct loop_private, end_of_turn));
}

static void on_before_wait(struct ev_loop *ev, struct ev_prepare *w, int events)
{
	(void)ev;
	(void)events;
	end_turn(container_of(w, struct loop_private, before_wait));
}

static void on_idle(struct ev_loop *ev, struct ev_idle *w, int events)
{
	/* Being active is all that this watcher is for. */
	(void)ev;
	(void)w;
	(void)events;
}

static bool allocate(struct loop_private *p)
{
	struct loop *loop = &p->loop;

	/* The signal mask is the program's (a plugin's host, say), not this loop's. */
	loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOSIGMASK);
	loop->pool = pool_new(POOL_KEEP);
	if (posix_memalign((void **)&loop->scratch, 4096, LOOP_SCRATCH_LEN) != 0)
		loop->scratch = NULL;
	return loop->ev && loop->pool && loop->scratch;
}

static void release(struct loop_private *p)
{
	if (p->loop.ev)
		ev_loop_destroy(p->loop.ev);
	pool_free(p->loop.pool);
	free(p->loop.scratch);
	free(p);
}

struct loop *loop_new(void)
{
	struct loop_private *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (!allocate(p)) {
		release(p);
		errno = ENOMEM;
		return NULL;
	}
	p->loop.private = p;
	list_init(&p->deferred);
	list_init(&p->flushes);
	list_init(&p->late);
	ev_async_init(&p->wakeup, on_wakeup);
	ev_async_start(p->loop.ev, &p->wakeup);
	ev_check_init(&p->end_of_turn, on_end_of_turn);
	ev_set_priority(&p->end_of_turn, EV_MINPRI);
	ev_check_start(p->loop.ev, &p->end_of_turn);
	ev_prepare_init(&p->before_wait, on_before_wait);
	ev_prepare_start(p->loop.ev, &p->before_wait);
	ev_idle_init(&p->more, on_idle);
	return &p->loop;
}

void loop_free(struct loop *loop)
{
	struct loop_private *p;

	if (!loop)
		return;
	p = loop->private;
	assert(!atomic_load(&p->attended));
	while (atomic_load(&p->mailbox) || calls_left(p)) {
		run_messages(p);
		run_calls(p);
	}
	ev_async_stop(loop->ev, &p->wakeup);
	ev_check_stop(loop->ev, &p->end_of_turn);
	ev_prepare_stop(loop->ev, &p->before_wait);
	ev_idle_stop(loop->ev, &p->more);
	release(p);
}

void loop_attend(struct loop *loop)
{
	struct loop_private *p = loop->private;

	p->thread = pthread_self();
	atomic_store(&p->attended, true);
	ev_now_update(loop->ev);
}

bool loop_turn(struct loop *loop)
{
	assert(loop_is_mine(loop));
	ev_run(loop->ev, EVRUN_ONCE);
	return !loop->private->stopped;
}

static void call_if_unattended(const struct loop_private *p)
{
	if (p->on_unattended && !atomic_load(&p->attended))
		p->on_unattended(p->opaque);
}

/* A message that comes now has either seen that nobody is here, or is seen here. */
void loop_leave(struct loop *loop)
{
	struct loop_private *p = loop->private;

	assert(loop_is_mine(loop));
	atomic_store(&p->attended, false);
	if (atomic_load(&p->mailbox) || calls_left(p))
		call_if_unattended(p);
}

void loop_run(struct loop *loop)
{
	struct loop_private *p = loop->private;

	assert(!atomic_load(&p->attended));
	loop_attend(loop);
	while (loop_turn(loop))
		;
	run_calls(p);		/* the last turn is a whole one, too */
	atomic_store(&p->stopping, false);
	p->stopped = false;
	loop_leave(loop);
}

void loop_when_unattended(struct loop *loop, void (*call)(void *opaque), void *opaque)
{
	loop->private->on_unattended = call;
	loop->private->opaque = opaque;
}

void loop_stop(struct loop *loop)
{
	struct loop_private *p = loop->private;

	atomic_store(&p->stopping, true);
	ev_async_send(loop->ev, &p->wakeup);
	call_if_unattended(p);
}

void loop_post(struct loop *loop, struct loop_msg *msg)
{
	struct loop_private *p = loop->private;
	struct loop_msg *head = atomic_load_explicit(&p->mailbox, memory_order_relaxed);

	assert(msg->run);
	do
		msg->next = head;
	while (!atomic_compare_exchange_weak_explicit(&p->mailbox, &head, msg,
						      memory_order_seq_cst, memory_order_relaxed));
	/* Whoever found it empty wakes the loop, for all that come until it looks. */
	if (head)
		return;
	ev_async_send(loop->ev, &p->wakeup);
	call_if_unattended(p);
}

void loop_call_init(struct loop_call *call, void (*run)(struct loop_call *))
{
	list_init(&call->node);
	call->run = run;
}

void loop_defer(struct loop *loop, struct loop_call *call)
{
	assert(loop_is_mine(loop));
	if (!loop_call_pending(call))
		list_add_tail(&loop->private->deferred, &call->node);
}

void loop_flush(struct loop *loop, struct loop_call *call)
{
	assert(loop_is_mine(loop));
	if (!loop_call_pending(call))
		list_add_tail(&loop->private->flushes, &call->node);
}

void loop_late(struct loop *loop, struct loop_call *call)
{
	assert(loop_is_mine(loop));
	if (!loop_call_pending(call))
		list_add_tail(&loop->private->late, &call->node);
}

void loop_call_cancel(struct loop_call *call)
{
	list_del(&call->node);
}

double loop_now(const struct loop *loop)
{
	return ev_now(loop->ev);
}

bool loop_is_mine(const struct loop *loop)
{
	const struct loop_private *p = loop->private;

	return !atomic_load(&p->attended) || pthread_equal(p->thread, pthread_self());
}
