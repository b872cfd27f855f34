/*
 * Byte ranges of one device, locked across all its workers: plain writers share,
 * read-modify-write and COMPARE AND WRITE exclude every writer that overlaps.
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

struct range_lock *range_lock_new(void);
void range_lock_free(struct range_lock *lock);

/*
 * Take the range, whose public members are set. True: held now. False: queued
 * (first come first served among those that overlap); locked() comes later.
 */
bool range_lock(struct range_lock *lock, struct range *range);

/* Any thread that holds it. Ranges that were waiting may be told during the call (by loop_post). */
void range_unlock(struct range_lock *lock, struct range *range);

#endif
