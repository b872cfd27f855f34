/*
 * Byte ranges of one device, locked across all its workers: plain writers share,
 * read-modify-write and COMPARE AND WRITE exclude every writer that overlaps.
 *
 * Most devices never see any of these, so that plain writers need not take their
 * ranges until somebody asks for an exclusive one: they only have to be known (struct
 * range_writer). From then on, for as long as the device is open, they take them all.
 *
 * Thread-safe: a mutex guards short lists, and a waiter is told on its own loop.
 */
#ifndef RANGE_LOCK_H
#define RANGE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"
#include "loop.h"

struct range_lock;

struct range {
	uint64_t first, end;		/* bytes, [first, end) */
	bool	 exclusive;
	void   (*locked)(struct range *); /* called on "loop" when range_lock() returned false */
	struct loop *loop;
	/* range_lock.c's: */
	struct list node;
	struct loop_msg msg;
};

/* Writes of one worker's instance of the device that hold no range. On the worker's loop. */
struct range_writer {
	bool	 guarded;		/* there may be none of these any more: take the range */
	/* range_lock.c's: */
	bool	 left;
	unsigned in_flight;
	struct range_lock *lock;
	struct loop *loop;
	struct list node;
	struct loop_msg msg;
};

/* NULL without memory. Any thread; the lock is freed when no range is held, and no writer left. */
struct range_lock *range_lock_new(void);
void range_lock_free(struct range_lock *lock);

/*
 * Take the range, whose public members are set. True: held now. False: queued
 * (first come first served among those that overlap); locked() comes later.
 */
bool range_lock(struct range_lock *lock, struct range *range);

/* NULL without memory: then every write takes its range. The lock and the loop outlive it. */
struct range_writer *range_writer_new(struct range_lock *lock, struct loop *loop);

/* Nothing of it is in flight. */
void range_writer_free(struct range_writer *writer);

/* A write without its range begins (not when "guarded"), and ends. */
void range_writer_begin(struct range_writer *writer);
void range_writer_end(struct range_writer *writer);

/* Any thread that holds it. Ranges that were waiting may be told during the call (by loop_post). */
void range_unlock(struct range_lock *lock, struct range *range);

#endif
