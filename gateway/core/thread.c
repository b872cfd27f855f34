/* How threads are started; see thread.h. */
#include "thread.h"

#include <signal.h>

int thread_start(pthread_t *thread, void *(*run)(void *), void *opaque)
{
	sigset_t all, before;
	int error;

	/* A new thread has its creator's mask from its first instruction on. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(thread, NULL, run, opaque);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}
