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
#define FRONT_GROUP		1	/* tag of the portal group of every iSCSI listener */

struct front {
	const struct conf *conf;
	struct loop *loop;
	struct worker *workers;
	unsigned worker_count;
	unsigned next_worker;
	struct listener *listeners[FRONT_MAX_LISTENERS];
	unsigned count;
	bool closed;
	char *nbd_uri, *iscsi_uri;		/* of the first device at the first listener of its kind */
};

/* The public members up to worker_count are set by the caller. */

/*
 * Listen on all that the command line names and all that systemd passed (LISTEN_FDS;
 * a socket whose FileDescriptorName= begins with "iscsi" is for initiators, any other
 * for NBD clients). False: an error line has been logged.
 */
bool front_open(struct front *front);

/* Hand stdin and stdout to worker 0 as an NBD client (--single). False: logged. */
bool front_single(struct front *front);

/* Stop accepting. Harmless when nothing is open. */
void front_close(struct front *front);

/* Frees what front_open() made; after front_close(). */
void front_free(struct front *front);

#endif
