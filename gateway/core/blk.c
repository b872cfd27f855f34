/*
 * The block waist's call-through: front ends call in, executors answer.
 *
 * It asserts what either side has promised, traces (blk.req) and counts. A request
 * that the device takes as it is goes straight to the executor and from there
 * straight to the submitter: no allocation, no copy. Which those are, and what needs no
 * device at all, is blk_rules.c's to say; flushes are folded here; all else is cut into
 * pieces by blk_split.c.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "blk_private.h"
#include "log.h"

static void run_finished(struct loop_call *call);
static void flush_done(struct blk_req *flush);

void blk_init(struct blkdev *dev, const struct blk_ops *ops, struct loop *loop,
	      struct blk_shared *shared)
{
	memset(dev, 0, sizeof(*dev));
	dev->ops = ops;
	dev->loop = loop;
	dev->shared = shared;
	list_init(&dev->flush_waiting);
	list_init(&dev->flush_running);
	list_init(&dev->finished);
	blk_look_init(dev);
	loop_call_init(&dev->finish, run_finished);
	dev->flush.op = BLK_FLUSH;
	dev->flush.done = flush_done;
	list_init(&dev->flush.node);
}

static const char *op_name(enum blk_op op)
{
	static const char *const name[] = {
		[BLK_READ] = "READ", [BLK_WRITE] = "WRITE", [BLK_FLUSH] = "FLUSH",
		[BLK_TRIM] = "TRIM", [BLK_ZERO] = "ZERO", [BLK_CACHE] = "CACHE",
		[BLK_STATUS] = "STATUS",
	};

	return name[op];
}

static void trace_start(const struct blkdev *dev, const struct blk_req *req)
{
	log_trace(iscsi_debug_blk, "%s: %p %s %" PRIu64 "+%" PRIu64 "%s%s%s%s%s%s%s", dev->ops->name,
		  (const void *)req, op_name(req->op), req->offset, req->length,
		  req->flags & BLK_FUA ? " FUA" : "", req->flags & BLK_NO_HOLE ? " NO_HOLE" : "",
		  req->flags & BLK_FAST ? " FAST" : "", req->flags & BLK_REQ_ONE ? " REQ_ONE" : "",
		  req->flags & BLK_LOCKED ? " LOCKED" : "",
		  req->flags & BLK_COMPARE ? " COMPARE" : "",
		  req->flags & BLK_ATOMIC ? " ATOMIC" : "");
}

static void trace_end(const struct blkdev *dev, const struct blk_req *req)
{
	log_trace(iscsi_debug_blk, "%s: %p %s ends: %s%s%s", dev->ops->name, (const void *)req,
		  op_name(req->op), req->error ? strerror(req->error) : "good",
		  req->why[0] ? ": " : "", req->why);
}

/* Requests on their way in ----------------------------------------------- */

static void hand(struct blkdev *dev, struct blk_req *req)
{
	assert(!dev->busy);
	dev->busy = true;
	req->handed = true;
	req->counted = dev->writer && blk_modifies(req->op) && !(req->flags & BLK_LOCKED);
	if (req->counted)
		range_writer_begin(dev->writer);
	dev->ops->submit(dev, req);
	dev->busy = false;
}

/* Whatever asks for a flush while one runs rides on the next: the running one may
 * have passed its writes already. */
static void flush_start(struct blkdev *dev)
{
	assert(list_empty(&dev->flush_running));
	list_splice_tail(&dev->flush_running, &dev->flush_waiting);
	blk_issue(dev, &dev->flush);
}

static void flush_add(struct blkdev *dev, struct blk_req *req)
{
	list_add_tail(&dev->flush_waiting, &req->node);
	if (list_empty(&dev->flush_running))
		flush_start(dev);
}

static void flush_done(struct blk_req *flush)
{
	struct blkdev *dev = container_of(flush, struct blkdev, flush);
	struct list covered = LIST_INIT(covered);
	struct list *node;

	list_splice_tail(&covered, &dev->flush_running);
	list_for_each(rider, &covered) {
		struct blk_req *req = container_of(rider, struct blk_req, node);

		req->error = flush->error;
		memcpy(req->why, flush->why, sizeof(req->why));
	}
	if (!list_empty(&dev->flush_waiting))
		flush_start(dev);
	while ((node = list_pop(&covered)))
		blk_complete(dev, container_of(node, struct blk_req, node));
}

static void route(struct blkdev *dev, struct blk_req *req)
{
	int refusal = blk_refusal(dev, req);

	if (refusal) {
		blk_fail(req, refusal, NULL);
		blk_complete_later(dev, req);
	} else if (blk_is_settled(dev, req)) {
		blk_complete_later(dev, req);
	} else if (req->op == BLK_FLUSH && req != &dev->flush) {
		flush_add(dev, req);
	} else if (blk_fits(dev, req)) {
		hand(dev, req);
	} else {
		blk_split_start(dev, req);
	}
}

/* Forget the outcome of an earlier run. */
static void reset(struct blk_req *req)
{
	req->error = 0;
	req->has_error_offset = false;
	req->error_offset = 0;
	req->why[0] = '\0';
	req->extent_count = 0;
	req->split = NULL;
	req->handed = false;
	req->counted = false;
}

void blk_issue(struct blkdev *dev, struct blk_req *req)
{
	assert(req->op == BLK_FLUSH || req->length > 0);
	assert(req->done);
	reset(req);
	trace_start(dev, req);
	dev->requests++;
	dev->in_flight++;
	route(dev, req);
}

void blk_submit(struct blkdev *dev, struct blk_req *req)
{
	assert(loop_is_mine(dev->loop));
	assert(req->op == BLK_FLUSH || blk_is_in_range(dev, req));
	assert((req->op != BLK_READ && req->op != BLK_WRITE) ||
	       (req->data && req->length <= BLK_MAX_DATA));
	assert(req->op != BLK_STATUS || (req->extents && req->extent_room > 0));
	assert(!(req->flags & BLK_COMPARE) || (req->op == BLK_WRITE && req->flags & BLK_LOCKED));
	assert(!(req->flags & BLK_ATOMIC) ||
	       (req->op == BLK_WRITE && !((req->offset | req->length) & (dev->info.min_block - 1))));
	assert(dev->info.min_block && !(dev->info.min_block & (dev->info.min_block - 1)));
	assert(dev->info.size % dev->info.min_block == 0);
	blk_issue(dev, req);
}

static void call_abort(struct blkdev *dev, struct blk_req *req)
{
	assert(!dev->busy);
	dev->busy = true;
	dev->ops->abort(dev, req);
	dev->busy = false;
}

void blk_abort(struct blkdev *dev, struct blk_req *req)
{
	assert(loop_is_mine(dev->loop));
	/* A flush that waits or runs may be others' too, and what is neither cut nor handed out
	 * is about to end. */
	if (req->split)
		blk_split_abort(req->split);
	else if (req->handed && dev->ops->abort)
		call_abort(dev, req);
}

void blk_close(struct blkdev *dev, void (*closed)(void *), void *opaque)
{
	assert(loop_is_mine(dev->loop));
	assert(dev->in_flight == 0);
	if (dev->writer)
		range_writer_free(dev->writer);
	loop_call_cancel(&dev->seen);
	dev->ops->close(dev, closed, opaque);
}

enum blk_presence blk_presence(const struct blkdev *dev)
{
	return dev->ops->presence ? dev->ops->presence(dev) : BLK_PRESENT;
}

/* Requests on their way out ---------------------------------------------- */

static void assert_outcome(const struct blk_req *req)
{
	assert(req->error >= 0);
	assert(!req->has_error_offset ||
	       (req->error && req->error_offset >= req->offset &&
		req->error_offset - req->offset < req->length));
	assert(req->error || req->op != BLK_STATUS ||
	       (req->extent_count >= 1 && req->extent_count <= req->extent_room));
	(void)req;
}

void blk_complete(struct blkdev *dev, struct blk_req *req)
{
	assert(!dev->busy);
	assert(dev->in_flight > 0);
	assert_outcome(req);

	if (req->counted)
		range_writer_end(dev->writer);
	req->counted = false;
	if (req->error == ENOTSUP && !(req->flags & (BLK_FAST | BLK_COMPARE | BLK_ATOMIC))) {
		/* The executor has learned that it cannot: now it is done the other way. */
		assert(!blk_is_able(&dev->info, req));
		reset(req);
		route(dev, req);
		return;
	}
	trace_end(dev, req);
	req->handed = false;
	req->split = NULL;
	dev->in_flight--;
	dev->failures += req->error != 0;
	req->done(req);
}

void blk_complete_later(struct blkdev *dev, struct blk_req *req)
{
	req->handed = false;
	req->split = NULL;
	list_add_tail(&dev->finished, &req->node);
	loop_defer(dev->loop, &dev->finish);
}

/* The device may be closed by the last done(), so it is not looked at again after that. */
static void run_finished(struct loop_call *call)
{
	struct blkdev *dev = container_of(call, struct blkdev, finish);
	struct list finished = LIST_INIT(finished);
	struct list *node;

	list_splice_tail(&finished, &dev->finished);
	while ((node = list_pop(&finished)))
		blk_complete(dev, container_of(node, struct blk_req, node));
}

/* What executors say ------------------------------------------------------ */

void blk_fail(struct blk_req *req, int error, const char *fmt, ...)
{
	va_list args;

	assert(error > 0);
	req->error = error;
	req->why[0] = '\0';
	if (!fmt)
		return;
	va_start(args, fmt);
	vsnprintf(req->why, sizeof(req->why), fmt, args);
	va_end(args);
}

bool blk_add_extent(struct blk_req *req, uint64_t length, uint32_t flags, uint32_t provisioning)
{
	struct blk_extent *last = req->extent_count ? &req->extents[req->extent_count - 1] : NULL;
	uint32_t room = req->flags & BLK_REQ_ONE ? 1 : req->extent_room;

	assert(length > 0 && req->extent_room > 0);
	if (last && last->flags == flags && last->provisioning == provisioning) {
		last->length += length;
		return true;
	}
	if (req->extent_count == room)
		return false;
	req->extents[req->extent_count++] = (struct blk_extent){
		.length = length, .flags = flags, .provisioning = provisioning,
	};
	return true;
}
