/*
 * One event loop per worker thread: libev, plus the four things that every
 * engine here needs of it:
 *
 *   post	another thread hands over a message (ev_async + mailbox)
 *   defer	run something on this thread, soon, but not inside the caller
 *   flush	run something once at the end of this loop turn, after all the
 *		deferred work: that is where replies gathered during the turn
 *		leave in one system call
 *   late	run something after that, in the same turn: new questions are
 *		received when the answers to older ones have left
 *
 * and the worker's buffer pool and receive scratch. Everything but loop_post()
 * and loop_stop() is for the loop's own thread, or for before it runs.
 */
#ifndef LOOP_H
#define LOOP_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "list.h"

struct pool;

/* One receive's worth: many small requests per system call. */
#define LOOP_SCRATCH_LEN	(256u << 10)

struct loop_msg {
	struct loop_msg *next;		/* the mailbox's */
	/* On the loop's thread; the message is free again before it runs. */
	void (*run)(struct loop_msg *);
};

struct loop_call {
	struct list node;
	void (*run)(struct loop_call *);
};

struct loop {
	struct ev_loop *ev;
	struct pool    *pool;		/* this thread's buffers */
	uint8_t	       *scratch;	/* LOOP_SCRATCH_LEN bytes, valid only within one callback */
	struct loop_private *private;
};

/* NULL with errno on failure. */
struct loop *loop_new(void);

/* Not while it runs. Messages still in the mailbox are run first. */
void loop_free(struct loop *loop);

/* Run until loop_stop(). The calling thread becomes the loop's thread. */
void loop_run(struct loop *loop);

/*
 * The same by hand, where several threads take turns at running a loop: each attends to it, runs
 * so many turns, and leaves, or agrees with another that this one attends to it from now on. That
 * they do so one after the other is for them to see to. A turn waits for something to happen;
 * false: loop_stop() has been called, and what was posted before has run.
 */
void loop_attend(struct loop *loop);
bool loop_turn(struct loop *loop);
void loop_leave(struct loop *loop);

/*
 * "call" is told when there is something to do and nobody attends to the loop: on the thread that
 * posts, or on the one that leaves. It must not wait. Before the first loop_attend().
 */
void loop_when_unattended(struct loop *loop, void (*call)(void *opaque), void *opaque);

/* Any thread, also a signal watcher; loop_run() returns after the current turn. */
void loop_stop(struct loop *loop);

/* Any thread: run msg->run on the loop's thread. The message is lent until it runs. FIFO per
 * sender. */
void loop_post(struct loop *loop, struct loop_msg *msg);

/* A call is initialised once; it may then be deferred (or flushed) again and again. */
void loop_call_init(struct loop_call *call, void (*run)(struct loop_call *));

/* Run "call" on this thread after the caller has returned, before the loop sleeps.
 * Already pending: nothing more happens. */
void loop_defer(struct loop *loop, struct loop_call *call);

/* As loop_defer(), but after all deferred calls of this turn. */
void loop_flush(struct loop *loop, struct loop_call *call);

/* Run "call" when all that has been deferred and is to be flushed in this turn has run; what it
 * defers and flushes itself still belongs to the turn. */
void loop_late(struct loop *loop, struct loop_call *call);

/* Take back a deferred, flush or late call that is pending; harmless when it is not. */
void loop_call_cancel(struct loop_call *call);

static inline bool loop_call_pending(const struct loop_call *call)
{
	return list_linked(&call->node);
}

/* Seconds, as of the start of this turn (ev_now); no system call. */
double loop_now(const struct loop *loop);

/* Is the calling thread the one that runs this loop (or does nobody run it)? */
bool loop_is_mine(const struct loop *loop);

#endif
