/*
 * A worker: one thread, one loop, its buffers, its connections and its executors.
 * Connections never migrate; everything about one of them happens here.
 *
 * The main thread drives a worker with messages and hears from it by messages:
 * the functions below are for the main thread.
 */
#ifndef WORKER_H
#define WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "export.h"
#include "instance.h"
#include "loop.h"
#include "nbd_server.h"
#include "target.h"
#include "tls.h"

struct worker;

/* What all workers share; constant while they serve. Owned by the gateway. */
struct worker_conf {
	struct loop *main_loop;			/* reports go there */
	struct instance_conf instances;
	struct target_shared *target_shared;
	atomic_uint nbd_clients;		/* of all workers */
	struct loop_msg single_ended;		/* to the main loop: worker_serve_stream()'s client has gone */
};

/* What holds for whoever comes, beside access.h and nbd_exports.h. */
struct worker_rules {
	struct nbd_limits nbd_limits;
	enum tls_mode tls_mode;
	struct tls *tls;			/* NULL with TLS_OFF */
	struct target_conf target;
};

enum worker_task { WORKER_OPEN, WORKER_ACCESS, WORKER_TUNE, WORKER_DRAIN, WORKER_ABORT, WORKER_CLOSE };

/* One order to a worker, and its report. The main thread's, reused when it has come back. */
struct worker_order {
	struct loop_msg msg;
	struct worker *worker;
	enum worker_task task;
	struct export *export;			/* WORKER_OPEN, WORKER_TUNE, WORKER_CLOSE: of this one */
	const struct initiator_conf *initiator;	/* WORKER_TUNE */
	/* WORKER_ACCESS: these; the worker takes its own holds */
	struct access *access;
	struct nbd_exports *nbd_exports;
	struct worker_rules rules;
	void (*reported)(struct worker_order *);/* on the main loop */
	void *opaque;
	bool ok;				/* WORKER_OPEN */
	char why[256];				/* ... and why not */
};

struct worker {
	unsigned number;
	struct loop *loop;
	pthread_t thread;
	bool running;
	struct worker_conf *conf;
	struct worker_rules rules;		/* in force; with a hold of its TLS */
	struct nbd_service nbd;
	struct target_service target;
	bool single;				/* serves worker_serve_stream()'s client */
	struct worker_order *drain;		/* the WORKER_DRAIN that waits for its report */
	struct worker_order *access;		/* the WORKER_ACCESS that does */
	unsigned followers;			/* ... until so many services follow it */
};

/* Start the thread. False with errno. */
bool worker_start(struct worker *worker, unsigned number, struct worker_conf *conf);

/*
 *	WORKER_OPEN	fill export->instance[number]
 *	WORKER_ACCESS	target and NBD server follow other snapshots (access.h, nbd_exports.h) and rules;
 *			reports when nobody uses what is only in earlier ones. One at a time; the first before
 *			any connection
 *	WORKER_TUNE	export->instance[number] takes other time-outs
 *	WORKER_DRAIN	tell the peers, let finish what is in flight; reports when no connection is left
 *	WORKER_ABORT	drop the connections that are left; the drain then reports
 *	WORKER_CLOSE	close export->instance[number]
 * Every order is reported, once. It is lent until then.
 */
void worker_order(struct worker_order *order);

/* Hand over a connected socket; the worker closes it in the end. group: 0 for NBD, the tag of the
 * listener's portal group for iSCSI. door: the listener, for NBD (nbd_exports.h). */
void worker_serve(struct worker *worker, int fd, uint16_t group, uint16_t door);

/* Hand over a stream to the one NBD client that there will be; the main loop hears of its end.
 * Before anybody else is served. */
void worker_serve_stream(struct worker *worker, struct stream *stream);

/* Stop the loop and join the thread. All its connections and instances are gone by now. */
void worker_stop(struct worker *worker);

#endif
