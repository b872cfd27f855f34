/*
 * A child of a split on its way: whole blocks go to the device as they are; an edge,
 * a block of which a part is wanted, goes through a bounce buffer: read and picked
 * from, or read, changed and written back.
 *
 * Between that read and that write nobody else may write the block, or what he was
 * told is written would be undone. So an edge that is changed holds its block
 * exclusively, and writers of whole blocks hold theirs in shared mode, on devices
 * whose blocks are longer than a byte. Each child holds its own range and waits for
 * no other while it does: no two can wait for each other.
 */
#include <assert.h>
#include <string.h>

#include "blk_private.h"

static void child_done(struct blk_req *req)
{
	struct blk_child *child = container_of(req, struct blk_child, req);

	if (child->holds_range)
		range_unlock(child->dev->shared->ranges, &child->range);
	/* Wherever in its block an edge has failed, none of its part has been moved for certain. */
	if (child->bounce && req->has_error_offset)
		req->error_offset = child->part_offset;
	blk_child_ended(child);
}

static uint8_t *part_in_bounce(const struct blk_child *child)
{
	return child->bounce + (child->part_offset - child->req.offset);
}

/* The block is here: change the part and write it back. */
static void edge_write(struct blk_child *child)
{
	if (child->edge_op == BLK_WRITE)
		memcpy(part_in_bounce(child), child->part_data, child->part_length);
	else
		memset(part_in_bounce(child), 0, child->part_length);
	child->req.op = BLK_WRITE;
	child->req.done = child_done;
	blk_issue(child->dev, &child->req);
}

static void edge_read_done(struct blk_req *req)
{
	struct blk_child *child = container_of(req, struct blk_child, req);

	if (!req->error && child->edge_op != BLK_READ) {
		edge_write(child);
		return;
	}
	if (!req->error)
		memcpy(child->part_data, part_in_bounce(child), child->part_length);
	child_done(req);
}

static void go(struct blk_child *child)
{
	child->req.done = child_done;
	if (child->bounce) {
		assert(child->part_offset >= child->req.offset &&
		       child->part_offset + child->part_length <=
		       child->req.offset + child->req.length);
		child->req.op = BLK_READ;
		child->req.data = child->bounce;
		child->req.done = edge_read_done;
	}
	blk_issue(child->dev, &child->req);
}

static void locked(struct range *range)
{
	go(container_of(range, struct blk_child, range));
}

/* Does the child change its blocks, in a way that others must be kept out of, or let be? */
static bool needs_range(const struct blk_child *child)
{
	enum blk_op op = child->bounce ? child->edge_op : child->req.op;

	return blk_modifies(op) && child->dev->info.min_block > 1 &&
	       !(child->req.flags & BLK_LOCKED);
}

void blk_child_run(struct blk_child *child)
{
	struct blkdev *dev = child->dev;

	if (!needs_range(child)) {
		go(child);
		return;
	}
	assert(dev->shared && dev->shared->ranges);
	child->holds_range = true;
	child->req.flags |= BLK_LOCKED;
	child->range.first = child->req.offset;
	child->range.end = child->req.offset + child->req.length;
	child->range.exclusive = child->bounce != NULL;
	child->range.locked = locked;
	child->range.loop = dev->loop;
	if (range_lock(dev->shared->ranges, &child->range))
		go(child);
}
