/*
 * An instance of a device that lives on another worker.
 *
 * Each request travels as a clone in a small object of our loop's pool: posted to
 * the far loop, submitted there, posted back when it has ended. Data and extents stay
 * where they are: they are lent to the far side as they were to us. What the device
 * is and can comes along with an answer whenever it has changed.
 *
 * There is no abort: what needs this (an NBD server that allows one connection)
 * knows none, so it would only be one more message.
 */
#include "mail_blk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

struct mail_blk {
	struct blkdev dev;
	struct blkdev *far;
};

/* Where it is being looked at changes with each post; nobody else has it meanwhile. */
struct mail {
	struct loop_msg msg;
	struct mail_blk *self;
	struct blk_req *origin;		/* as we were given it; touched on our loop only */
	struct blk_req req;		/* its clone, the far device's */
	unsigned generation;		/* of the info that our side has */
	bool	 news;			/* "info" is newer */
	struct blk_info info;
};

/* At home: the answer. */
static void mail_came_back(struct loop_msg *msg)
{
	struct mail *mail = container_of(msg, struct mail, msg);
	struct blkdev *dev = &mail->self->dev;
	struct blk_req *origin = mail->origin;

	origin->error = mail->req.error;
	origin->has_error_offset = mail->req.has_error_offset;
	origin->error_offset = mail->req.error_offset;
	origin->extent_count = mail->req.extent_count;
	memcpy(origin->why, mail->req.why, sizeof(origin->why));
	if (mail->news)
		dev->info = mail->info;
	pool_put(dev->loop->pool, mail, sizeof(*mail));
	blk_complete(dev, origin);
}

/* On the far loop: the end of the clone. */
static void mail_done(struct blk_req *req)
{
	struct mail *mail = container_of(req, struct mail, req);
	const struct mail_blk *self = mail->self;

	mail->news = mail->generation != self->far->info.generation;
	if (mail->news)
		mail->info = self->far->info;
	mail->msg.run = mail_came_back;
	loop_post(self->dev.loop, &mail->msg);
}

/* On the far loop: the request. It was right for the device as we knew it, which may have
 * changed since. */
static void mail_arrived(struct loop_msg *msg)
{
	struct mail *mail = container_of(msg, struct mail, msg);
	struct blkdev *far = mail->self->far;
	int refusal = blk_refusal(far, &mail->req);

	if (refusal) {
		blk_fail(&mail->req, refusal, NULL);
		mail_done(&mail->req);
	} else {
		blk_submit(far, &mail->req);
	}
}

static void mail_submit(struct blkdev *dev, struct blk_req *req)
{
	struct mail_blk *self = container_of(dev, struct mail_blk, dev);
	struct mail *mail = pool_get(dev->loop->pool, sizeof(*mail));

	if (!mail) {
		blk_fail(req, ENOMEM, NULL);
		blk_complete_later(dev, req);
		return;
	}
	mail->self = self;
	mail->origin = req;
	mail->req = *req;
	mail->req.done = mail_done;
	mail->generation = dev->info.generation;
	mail->msg.run = mail_arrived;
	loop_post(self->far->loop, &mail->msg);
}

static void mail_close(struct blkdev *dev, void (*closed)(void *), void *opaque)
{
	free(container_of(dev, struct mail_blk, dev));
	closed(opaque);
}

static enum blk_presence mail_presence(const struct blkdev *dev)
{
	return blk_presence(container_of(dev, struct mail_blk, dev)->far);
}

static const struct blk_ops mail_ops = {
	.name = "mail",
	.submit = mail_submit,
	.presence = mail_presence,
	.close = mail_close,
};

struct blkdev *mail_blk_open(struct blkdev *far, struct loop *loop)
{
	struct mail_blk *self = malloc(sizeof(*self));

	if (!self)
		return NULL;
	self->far = far;
	blk_init(&self->dev, &mail_ops, loop, far->shared);
	self->dev.info = far->info;
	return &self->dev;
}
