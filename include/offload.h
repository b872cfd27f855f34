/*
 * A few helper threads for what can only be done blocking (pread on a file,
 * getaddrinfo): the work runs there, its end is posted back to the caller's
 * loop. Thread-safe; one offload serves all the workers of a process.
 */
#ifndef OFFLOAD_H
#define OFFLOAD_H

#include "list.h"
#include "loop.h"

struct offload;

struct offload_job {
	struct list node;			/* the queue's */
	struct loop_msg msg;			/* the way home */
	struct loop *loop;			/* set by offload_run() */
	void (*work)(struct offload_job *);	/* on a helper thread: may block */
	void (*done)(struct offload_job *);	/* on the loop that asked */
};

/* Up to "threads" helpers (> 0); all but the first start when they are needed. NULL with errno. */
struct offload *offload_new(unsigned threads);

/* Waits for the work that was handed in; its done() calls are posted by then. */
void offload_free(struct offload *offload);

/* Hand in a job whose work and done are set; it is lent until done(). FIFO start. */
void offload_run(struct offload *offload, struct loop *loop, struct offload_job *job);

#endif
