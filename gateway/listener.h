/*
 * Listening sockets on the main loop: accept, and hand the socket to a worker.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <ev.h>
#include <stdbool.h>
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
	uint16_t door;			/* its number among all that there are, > 0 */
	struct worker *workers;
	unsigned worker_count;
	unsigned *next_worker;		/* shared by all listeners: round robin */
	char text[ADDRESS_TEXT_LEN];	/* where it listens */
	bool accepting;
	struct log_limit log_limit;

	/* front.c's: what it was bound for, and what it is to be next. */
	struct address address;
	bool activated;			/* passed by systemd, and not bound for "address" */
	char name[256];			/* ... which calls it this */
	bool wanted;
	uint16_t next_group;
};

/* Bound to fd, which becomes the listener's; nothing is accepted yet. The caller has set workers,
 * worker_count and next_worker. */
void listener_init(struct listener *listener, struct loop *loop, int fd);

/* Start accepting. The caller has set group. */
void listener_start(struct listener *listener);

/* Stop accepting, if it did, and close; a unix socket's path is removed if we have made it. */
void listener_stop(struct listener *listener);

#endif
