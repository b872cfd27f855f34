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
 *
 * That is for our own clients. Other hosts of the device are kept out, where it has
 * that, by writing the block only if it still is as it was read (COMPARE AND WRITE,
 * SBC-3 §5.2); else it is read once more, and the same part is changed again. That
 * also is what is done when nobody knows whether it was written.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "blk_private.h"

/* Each time in vain is somebody else's success: so many in a row are no bad luck. */
#define MAX_TRIES	1000

static void edge_read(struct blk_child *child);

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

/* Who asked has gone: what a later request of somebody else may read must not change any more. */
static bool is_over(struct blk_child *child)
{
	if (!child->aborted)
		return false;
	blk_fail(&child->req, ECANCELED, NULL);
	child_done(&child->req);	/* the child may be gone now */
	return true;
}

static void write_without_comparing(struct blk_child *child)
{
	child->req.flags &= ~(uint32_t)BLK_COMPARE;
	child->req.flags |= child->edge_fua;
	child->req.data = child->bounce + child->bounce_len - child->req.length;
	child->req.done = child_done;
	blk_issue(child->dev, &child->req);
}

static void compared(struct blk_req *req)
{
	struct blk_child *child = container_of(req, struct blk_child, req);

	if (req->error == ENOTSUP) {
		if (!is_over(child))
			write_without_comparing(child);
	} else if (req->error == EILSEQ && ++child->tries < MAX_TRIES) {
		if (!is_over(child))
			edge_read(child);
	} else {
		if (req->error == EILSEQ)
			blk_fail(req, EIO, "other hosts do not cease to write the same block");
		child_done(req);
	}
}

static void write_comparing(struct blk_child *child)
{
	child->req.flags |= BLK_COMPARE | child->edge_fua;
	child->req.done = compared;
	blk_issue(child->dev, &child->req);
}

/* The block is here: change the part and write it back. */
static void edge_write(struct blk_child *child)
{
	uint32_t block = (uint32_t)child->req.length;
	bool twice = child->bounce_len > block;
	uint8_t *changed = twice ? child->bounce + block : child->bounce;
	uint8_t *part = changed + (child->part_offset - child->req.offset);

	if (twice)
		memcpy(changed, child->bounce, block);
	if (child->edge_op == BLK_WRITE)
		memcpy(part, child->part_data, child->part_length);
	else
		memset(part, 0, child->part_length);
	child->req.op = BLK_WRITE;
	if (twice)
		write_comparing(child);
	else
		write_without_comparing(child);
}

static void edge_read_done(struct blk_req *req)
{
	struct blk_child *child = container_of(req, struct blk_child, req);

	if (!req->error && child->edge_op != BLK_READ) {
		if (!is_over(child))
			edge_write(child);
		return;
	}
	if (!req->error)
		memcpy(child->part_data, child->bounce + (child->part_offset - req->offset),
		       child->part_length);
	child_done(req);
}

static void edge_read(struct blk_child *child)
{
	assert(child->part_offset >= child->req.offset &&
	       child->part_offset + child->part_length <= child->req.offset + child->req.length);
	child->req.op = BLK_READ;
	child->req.flags &= ~(uint32_t)(BLK_COMPARE | BLK_FUA);
	child->req.data = child->bounce;
	child->req.done = edge_read_done;
	blk_issue(child->dev, &child->req);
}

static void go(struct blk_child *child)
{
	if (child->bounce) {
		edge_read(child);
		return;
	}
	child->req.done = child_done;
	blk_issue(child->dev, &child->req);
}

static void locked(struct range *range)
{
	struct blk_child *child = container_of(range, struct blk_child, range);

	if (!is_over(child))
		go(child);
}

/* Does the child change its blocks, in a way that others must be kept out of, or let be? */
static bool needs_range(const struct blk_child *child)
{
	if (child->bounce)
		return child->edge_op != BLK_READ && !(child->req.flags & BLK_LOCKED);
	return blk_needs_range(child->dev, &child->req);
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
