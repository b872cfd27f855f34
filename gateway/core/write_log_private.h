/*
 * The two halves of the write log: write_log.c (the ring and the account), and
 * write_log_barrier.c (members, the barrier, writing again).
 */
#ifndef WRITE_LOG_PRIVATE_H
#define WRITE_LOG_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "write_log.h"

#define WINDOW	16	/* writes under way at once */

/* In the ring, followed by the data of a WRITE; both aligned for copying. */
struct entry {
	_Alignas(64) uint64_t seq; /* 0: nothing; the next entry is at the start of the ring */
	uint64_t offset, length; /* of the request, bytes */
	uint32_t span;		/* bytes to the next entry */
	uint16_t op, flags;
	atomic_bool filled;
};

#define ALIGNMENT	sizeof(struct entry)

enum phase { IDLE, HOLDING, WRITING };

struct rewrite {
	struct blk_req req;
	struct write_log *log;
	bool busy;
};

struct write_log {
	pthread_mutex_t mutex;
	struct list members;

	atomic_ullong acked;	/* writes that were acknowledged; the seq of the latest */
	atomic_ullong flushed;	/* those up to here are safe, or accounted for */
	uint64_t missing;	/* the latest that the ring does not have */
	atomic_bool debt;
	atomic_uint losses;

	uint8_t *ring;
	uint64_t size, head, tail, used; /* head: the oldest entry */

	bool flushing;		/* on our own account: "flush" belongs to the flusher's thread */
	struct log_member *flusher;
	struct loop_call flush_soon;
	struct rewrite flush;
	uint64_t flush_mark;

	enum phase phase;
	bool again;		/* suspected while writing */
	struct log_member *writer;

	/* The writer's thread only: */
	struct rewrite rewrites[WINDOW];
	unsigned busy;
	uint64_t at, left;	/* where in the ring, and how much of it there still is */
	uint64_t written, bytes;
	bool interrupted;
	int error;
	struct loop_call go_on;
};

static inline struct entry *entry_at(const struct write_log *log, uint64_t at)
{
	return (struct entry *)(void *)(log->ring + at);
}

/* Is anything acknowledged that is neither flushed nor owed? */
static inline bool at_stake(const struct write_log *log)
{
	return atomic_load(&log->acked) > atomic_load(&log->flushed);
}

/* write_log.c */

/* Is "at" where the ring ends, or the last entry did not fit? Then go on at its start: how many
 * bytes were passed. */
uint64_t write_log_pass_gap(const struct write_log *log, uint64_t *at);

/* Give up the oldest entries as far as they are covered. Under the mutex. */
void write_log_trim(struct write_log *log, uint64_t mark);

/* There is a debt now. */
void write_log_add_debt(struct write_log *log);

/* write_log_barrier.c */

/* The next step of whoever writes. */
void write_log_writer_turn(struct loop_call *call);

#endif
