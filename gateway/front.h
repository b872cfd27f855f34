/*
 * The front of the house: every socket that we listen on, where others find us, and
 * the one client of --single. Main thread.
 */
#ifndef FRONT_H
#define FRONT_H

#include <stdbool.h>

#include "conf.h"
#include "listener.h"
#include "loop.h"
#include "worker.h"

#define FRONT_MAX_LISTENERS	256

struct front {
	struct loop *loop;
	struct worker *workers;
	unsigned worker_count;
	unsigned next_worker;
	struct listener *listeners[FRONT_MAX_LISTENERS];
	unsigned count;
	uint16_t last_door;
	bool activated;				/* systemd's have been taken */
	char *nbd_uri, *iscsi_uri;		/* of the first device at the first listener of its kind */
};

/* The public members up to worker_count are set by the caller. */

/*
 * Bind what conf names and what is not bound yet, and, the first time, take what systemd has
 * passed (LISTEN_FDS: a socket whose FileDescriptorName= is the name of a portal group is for
 * its initiators, one that begins with "iscsi" for those of the first group, any other for
 * NBD clients). Nothing is accepted, and nothing that is accepted now ends. What is bound is
 * added to conf->access and conf->nbd_exports. False: an error line has been logged, and all is as it was. After
 * true, front_settle() or front_cancel() comes next.
 */
bool front_bind(struct front *front, const struct conf *conf);

/* Listen to what conf names, and to nothing else. */
void front_settle(struct front *front, const struct conf *conf);

/* Unbind what front_bind() has bound. */
void front_cancel(struct front *front);

/* Hand stdin and stdout to worker 0 as an NBD client (--single). False: logged. */
bool front_single(struct front *front);

/* Stop accepting. Harmless when nothing is open. */
void front_close(struct front *front);

void front_free(struct front *front);

#endif
