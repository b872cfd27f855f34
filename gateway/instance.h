/*
 * One worker's executors of one export: opening the chain that its device needs,
 * and closing it again. On the worker's loop.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

#include <stdbool.h>

#include "disk_lu.h"
#include "export.h"
#include "loop.h"

struct initiator_conf;
struct offload;

/* Everything that opening asks for; constant, and outlives the instances. */
struct instance_conf {
	struct offload *offload;
	bool serve_blk, serve_lu;		/* which front ends there are */
};

/* why is NULL on success; else a one-line reason, valid during the call. */
typedef void instance_opened(void *opaque, const char *why);

/*
 * Fill export->instance[worker]; a logical unit made there copies among those that the
 * worker's directory finds. Worker 0's instance is open already when others open: a
 * device that allows one connection only is reached through it. opened() comes on the loop,
 * never inside the call.
 */
void instance_open(struct loop *loop, const struct instance_conf *conf, struct export *export,
		   unsigned worker, const struct lu_directory *directory, instance_opened *opened,
		   void *opaque);

/* Take the time-outs of conf. On the worker's loop, between opening and closing. */
void instance_tune(struct export *export, unsigned worker, const struct initiator_conf *conf);

/* Close what is open; nothing may be in flight. Worker 0 is the last to close. */
void instance_close(struct export *export, unsigned worker, void (*closed)(void *), void *opaque);

#endif
