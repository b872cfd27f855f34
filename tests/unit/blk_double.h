/*
 * An executor for tests: a byte array that asserts everything blk.h promises to
 * executors, answers late and in any order, and fails when it is told to.
 */
#ifndef BLK_DOUBLE_H
#define BLK_DOUBLE_H

#include <pthread.h>

#include "blk.h"

/* The medium, which several doubles may share. */
struct blk_store {
	pthread_mutex_t mutex;
	uint64_t size;
	uint32_t block;
	uint8_t	 *bytes;
	uint8_t	 *hole;			/* per block */
	uint64_t *dirty;		/* per byte: when it was last written without FUA */
	uint64_t now;			/* counts what happens */
	uint64_t persistent;		/* what was dirty up to then is not any more */
};

struct blk_double {
	struct blkdev dev;
	struct blk_store *store;
	struct list pending;
	struct loop_call work;
	unsigned seed;

	bool	 hold;			/* answer nothing until blk_double_release(), ... */
	unsigned passes;		/* ... but so many */
	unsigned idle_percent;		/* of its turns it answers nothing */
	unsigned fail_percent;		/* of requests fail with EIO */
	uint64_t bad[4];		/* bytes that can't be read or written; UINT64_MAX = none */
	bool	 vague;			/* ... and nobody says which it was */
	bool	 refuses[BLK_STATUS + 1]; /* answers ENOTSUP and withdraws the capability */
	bool	 refuses_fua;
	enum blk_presence presence;	/* as it tells; it works all the same */
	bool	 ignores_aborts;	/* what was aborted is carried out all the same */

	unsigned seen[BLK_STATUS + 1];	/* requests by kind */
	unsigned in_flight, max_in_flight, flushes, aborts;
	struct blk_req *last;
	unsigned broken;		/* promises, each named on stderr (CUnit has one thread) */
};

void blk_store_init(struct blk_store *store, uint64_t size, uint32_t block);
void blk_store_free(struct blk_store *store);

/* Is every byte of the range that was written before "when" persistent? */
bool blk_store_is_persistent(struct blk_store *store, uint64_t offset, uint64_t length,
			     uint64_t when);

/* A device that can do everything; tests change dev.info before they use it. */
void blk_double_init(struct blk_double *self, struct blk_store *store, struct loop *loop,
		     struct blk_shared *shared);

/* While it holds: answer one. */
void blk_double_pass(struct blk_double *self);

/* Answer all that is pending, and hold no longer. */
void blk_double_release(struct blk_double *self);

/* A pseudo-random number below "below" (> 0); *seed is the state. */
unsigned blk_random(unsigned *seed, unsigned below);

#endif
