/*
 * Listening sockets on the main loop: accept, and hand the socket to a worker.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <ev.h>
#include <stdint.h>

#include "address.h"
#include "log.h"
#include "loop.h"
#include "worker.h"

struct listener {
	ev_io acceptable;
	ev_timer pause;			/* out of descriptors: wait, do not spin */
	struct loop *loop;
	uint16_t group;			/* 0: NBD; iSCSI: the tag of its portal group */
	bool passed;			/* by systemd, rather than made by us */
	struct worker *workers;
	unsigned worker_count;
	unsigned *next_worker;		/* shared by all listeners: round robin */
	char text[ADDRESS_TEXT_LEN];	/* where it listens */
	struct log_limit log_limit;
};

/* Start accepting on fd, which becomes the listener's. The caller has set workers,
 * worker_count, next_worker, group, passed. */
void listener_start(struct listener *listener, struct loop *loop, int fd);

/* Stop accepting and close; the path of a unix socket that was not passed is removed. */
void listener_stop(struct listener *listener);

#endif
