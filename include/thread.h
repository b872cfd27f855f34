/* Threads of our own, as all that we start are. */
#ifndef THREAD_H
#define THREAD_H

#include <pthread.h>

/* Start a thread that runs run(opaque) with all signals blocked: they are for the program's own
 * threads (the daemon's main thread, nbdkit's), and none of ours must be the one that is
 * interrupted. "*thread" is for the caller to join. 0 or an errno; any thread. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *opaque);

#endif
