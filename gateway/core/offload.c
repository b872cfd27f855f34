/*
 * Helper threads for blocking work: one queue under a mutex, threads as needed.
 *
 * Called by file_blk, nbd_blk and the initiator from any worker. Jobs are their
 * owners'; the queue only links them.
 */
#include "offload.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "thread.h"

struct offload {
	pthread_mutex_t lock;		/* guards all below */
	pthread_cond_t	work;
	struct list	queue;
	unsigned	queued;
	unsigned	idle;		/* threads waiting for work */
	unsigned	started;
	unsigned	max;
	bool		stopping;
	pthread_t	thread[];	/* max of them, started in order */
};

static void finished(struct loop_msg *msg)
{
	struct offload_job *job = container_of(msg, struct offload_job, msg);

	job->done(job);
}

/* The next job; waits for one. NULL when there will be none. Called with the lock held. */
static struct offload_job *next_job(struct offload *off)
{
	off->idle++;
	while (list_empty(&off->queue) && !off->stopping)
		pthread_cond_wait(&off->work, &off->lock);
	off->idle--;
	if (list_empty(&off->queue))
		return NULL;
	off->queued--;
	return container_of(list_pop(&off->queue), struct offload_job, node);
}

static void *helper(void *arg)
{
	struct offload *off = arg;
	struct offload_job *job;

	pthread_mutex_lock(&off->lock);
	while ((job = next_job(off))) {
		pthread_mutex_unlock(&off->lock);
		job->work(job);
		loop_post(job->loop, &job->msg);
		pthread_mutex_lock(&off->lock);
	}
	pthread_mutex_unlock(&off->lock);
	return NULL;
}

/* 0 or an errno. */
static int start_helper(struct offload *off)
{
	int err;

	assert(off->started < off->max);
	err = thread_start(&off->thread[off->started], helper, off);
	if (!err)
		off->started++;
	return err;
}

struct offload *offload_new(unsigned threads)
{
	struct offload *off;

	assert(threads > 0);
	off = calloc(1, sizeof(*off) + threads * sizeof(off->thread[0]));
	if (!off)
		return NULL;
	pthread_mutex_init(&off->lock, NULL);
	pthread_cond_init(&off->work, NULL);
	list_init(&off->queue);
	off->max = threads;
	/* The first one at once: with it, work can wait but never fail to be done. */
	errno = start_helper(off);
	if (errno) {
		offload_free(off);
		return NULL;
	}
	return off;
}

void offload_free(struct offload *off)
{
	int saved = errno;

	if (!off)
		return;
	pthread_mutex_lock(&off->lock);
	off->stopping = true;
	pthread_cond_broadcast(&off->work);
	pthread_mutex_unlock(&off->lock);
	for (unsigned i = 0; i < off->started; i++)
		pthread_join(off->thread[i], NULL);
	assert(list_empty(&off->queue));
	pthread_cond_destroy(&off->work);
	pthread_mutex_destroy(&off->lock);
	free(off);
	errno = saved;
}

void offload_run(struct offload *off, struct loop *loop, struct offload_job *job)
{
	assert(job->work && job->done);
	job->loop = loop;
	job->msg.run = finished;
	pthread_mutex_lock(&off->lock);
	assert(!off->stopping);
	list_add_tail(&off->queue, &job->node);
	off->queued++;
	/* A thread that was signalled still counts as idle until it runs, hence the comparison.
	 * Failing to start another is no failure: those that run will get to the job. */
	if (off->queued > off->idle && off->started < off->max)
		start_helper(off);
	pthread_cond_signal(&off->work);
	pthread_mutex_unlock(&off->lock);
}
