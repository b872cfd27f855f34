/*
 * The engine: threads that each run a loop with one iSCSI session, and block
 * requests handed to them by nbdkit's threads, which wait.
 *
 * nbdkit's callbacks block; the core never does. So a callback puts its request
 * and a semaphore on its own stack, posts it to a loop thread, and sleeps until
 * the request is done. nbdkit's buffer is the task's buffer all the way.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "blk.h"
#include "initiator.h"

struct engine;

struct engine_conf {
	struct iscsi_url url;
	struct initiator_conf initiator;	/* the ISID is chosen per session */
	unsigned sessions;			/* > 0: threads, with a session each */
	double retry_timeout;			/* seconds, as in scsi_blk.h */
	bool read_only;
};

/*
 * Log in once, on the calling thread, and out again: are the URL and the
 * credentials right? False with a one-line reason. Starts no thread.
 */
bool engine_probe(const struct engine_conf *conf, char *why, size_t size);

/* Start the threads and log in. NULL with a one-line reason. conf must outlive the engine. */
struct engine *engine_start(const struct engine_conf *conf, char *why, size_t size);

/* Log out and end the threads; no request may be in flight. */
void engine_stop(struct engine *engine);

/* A session for a new client: round robin. Any thread. */
unsigned engine_session(struct engine *engine);

/*
 * Run "req" (done and the fields below it are set here) on a session, and wait for
 * its end. Any thread but the engine's own. The result is in req.
 */
void engine_submit(struct engine *engine, unsigned session, struct blk_req *req);

/* What the device is now: a consistent copy. Any thread but the engine's own. */
void engine_info(struct engine *engine, unsigned session, struct blk_info *info);

#endif
