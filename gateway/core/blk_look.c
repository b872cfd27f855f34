/*
 * Looking at a device, for all who want to know how it is now (blk_look()): one look at a time,
 * whoever asked for it.
 */
#include <assert.h>

#include "blk_private.h"

/* As with flushes: what asks while one runs has to wait for the next. */
static void look_start(struct blkdev *dev)
{
	list_splice_tail(&dev->look_running, &dev->look_waiting);
	dev->looking = true;
	if (dev->ops->look)
		dev->ops->look(dev);
	else
		blk_seen(dev);
}

void blk_look(struct blkdev *dev, struct blk_look *look)
{
	assert(loop_is_mine(dev->loop));
	assert(look->seen && !list_linked(&look->node));
	list_add_tail(&dev->look_waiting, &look->node);
	if (!dev->looking)
		look_start(dev);
}

void blk_look_cancel(struct blk_look *look)
{
	if (list_linked(&look->node))
		list_del(&look->node);
}

void blk_seen(struct blkdev *dev)
{
	assert(dev->looking);
	loop_defer(dev->loop, &dev->seen);
}

/* Any of them may take back others, but the device stays as long as there are any. */
static void run_seen(struct loop_call *call)
{
	struct blkdev *dev = container_of(call, struct blkdev, seen);
	struct list *node;

	while ((node = list_pop(&dev->look_running))) {
		struct blk_look *look = container_of(node, struct blk_look, node);

		look->seen(look);
	}
	dev->looking = false;
	if (!list_empty(&dev->look_waiting))
		look_start(dev);
}

void blk_look_init(struct blkdev *dev)
{
	list_init(&dev->look_waiting);
	list_init(&dev->look_running);
	loop_call_init(&dev->seen, run_seen);
}
