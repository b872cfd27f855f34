/*
 * The engine: loops with one iSCSI session per logical unit each, and block requests
 * handed to them by nbdkit's threads, which wait.
 *
 * nbdkit's callbacks block; the core never does. So a callback puts its request on its
 * own stack, and either runs the loop itself until it is done, or, while another does,
 * sleeps. nbdkit's buffer is the task's buffer all the way.
 *
 * Everybody is logged in when the engine has started, and stays so: clients come
 * and go without a word to the target.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blk.h"
#include "initiator.h"
#include "scsi_luns.h"

#define ENGINE_MAX_UNITS	SCSI_LUNS_MAX

struct engine;
struct session;

struct engine_conf {
	/* With a LUN: that unit is served. Without: every disk of the target, ENGINE_MAX_UNITS at most. */
	struct iscsi_url url;
	/* The ISID is chosen per session. Its outage_timeout is scsi_blk's retry_timeout, too. */
	struct initiator_conf initiator;
	unsigned sessions;			/* > 0: loops, each with a session to every unit */
	uint64_t write_log;			/* bytes per unit that are kept until they are flushed */
	bool read_only;
	/* Asked about once a second by whoever waits for a request, on its thread: does nobody
	 * want the result any more? Then the request is made to end. NULL = always wanted. */
	bool (*unwanted)(void);
};

/*
 * Log in, on the calling thread, and out again: are the URL and the credentials
 * right, and is there something to serve? False with a one-line reason. No thread
 * is left when it returns.
 */
bool engine_probe(const struct engine_conf *conf, char *why, size_t size);

/* Start the threads and log in. NULL with a one-line reason. conf must outlive the engine. */
struct engine *engine_start(const struct engine_conf *conf, char *why, size_t size);

/* Log out and end the threads; no request may be in flight. */
void engine_stop(struct engine *engine);

/*
 * The units that are served: a number > 0, constant. They have their LUNs in
 * ascending order. Any thread.
 */
unsigned engine_units(const struct engine *engine);
uint16_t engine_lun(const struct engine *engine, unsigned unit);

/* A session to a unit for a new client: round robin. The engine's. Any thread. */
struct session *engine_session(struct engine *engine, unsigned unit);

/*
 * Run "req" (done and the fields below it are set here) on a session, and wait for
 * its end. A request that does not fit the device as it is now fails (blk_refusal()).
 * Any thread but the engine's own. The result is in req.
 */
void engine_submit(struct session *session, struct blk_req *req);

/* What the device is now: a consistent copy. Any thread but the engine's own. */
void engine_info(struct session *session, struct blk_info *info);

#endif
