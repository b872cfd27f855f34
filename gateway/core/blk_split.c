/*
 * A request that the device does not take as it is: longer than its limits, not on
 * its block borders, to be made persistent where there is no FUA, zeroes where they
 * must be written, or a write that has to hold its range.
 *
 * The range is cut into children, of which a bounded window is in flight; data is
 * never copied but at the edges (blk_rmw.c). The first error stops the cutting; when
 * the last child is home the one that failed at the lowest offset speaks for all, so
 * that everything before that offset is good.
 *
 * The split and its children come from the loop's pool and live until they end.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "blk_private.h"
#include "min.h"
#include "pool.h"

/* Deep enough to keep a device busy, few enough to leave room for other clients. */
#define WINDOW		16

/* STATUS is asked one piece after the other, and may be short: this much is enough work. */
#define STATUS_PIECES	16

/* What zeroes are written from, all at once by everybody, and never written itself: as BSS
 * it costs neither memory nor file. */
#define ZEROES_LEN	(256u << 10)
static uint8_t zeroes[ZEROES_LEN] __attribute__((aligned(4096)));

struct blk_split {
	struct blkdev *dev;
	struct blk_req *req;		/* the submitter's: the outcome is put together in it */
	uint64_t next, end;		/* not cut yet */
	struct list children;		/* in flight */
	unsigned in_flight;		/* ... and the flush */
	unsigned pieces;		/* children so far */
	uint64_t failed_at;		/* if req->error */
	bool	 stopped;		/* no more children: error, abort, or enough extents */
	bool	 aborted;
	bool	 flush_after;		/* FUA by way of a flush; fixed at the start */
	struct blk_req flush;
};

/* Cutting ------------------------------------------------------------------ */

/* Zeroes that are not the device's own work; a fast one never turns into writing. */
static bool is_zero_by_write(const struct blk_split *split)
{
	return split->req->op == BLK_ZERO && !split->dev->info.can_zero &&
	       !(split->req->flags & BLK_FAST);
}

/* Up to the next block border if the piece does not start on one or ends before it: an edge.
 * Else whole blocks, as many as the device takes at once. */
static uint64_t piece_length(const struct blk_split *split)
{
	const struct blk_info *info = &split->dev->info;
	uint64_t block = info->min_block;
	uint64_t into = split->next & (block - 1);
	uint64_t left = split->end - split->next;
	uint64_t most = is_zero_by_write(split) ? min_u64(info->max_data, ZEROES_LEN)
						: blk_limit(info, split->req->op);

	if (into || left < block)
		return min_u64(left, block - into);
	most = min_u64(left, most) & ~(block - 1);
	/* No limit left: the device has just lost the ability, and never sees this piece. */
	return most ? most : block;
}

static uint32_t child_flags(const struct blk_split *split)
{
	uint32_t keep = BLK_LOCKED | BLK_NO_HOLE | BLK_FAST | BLK_REQ_ONE | BLK_ATOMIC;

	return split->req->flags & (split->flush_after ? keep : keep | BLK_FUA);
}

/* A piece that is whole blocks. */
static void make_whole(struct blk_child *child, uint64_t length)
{
	struct blk_split *split = child->split;
	const struct blk_req *req = split->req;

	child->req.offset = split->next;
	child->req.length = length;
	if (req->op == BLK_READ || req->op == BLK_WRITE) {
		child->req.data = req->data + (split->next - req->offset);
	} else if (is_zero_by_write(split)) {
		child->req.op = BLK_WRITE;
		child->req.flags &= ~(uint32_t)BLK_NO_HOLE;
		child->req.data = zeroes;
	} else if (req->op == BLK_STATUS) {
		/* Right behind those that are there, to be joined with them. */
		child->req.extents = req->extents + req->extent_count;
		child->req.extent_room = req->extent_room - req->extent_count;
	}
}

/* A piece that is a part of a block. */
static bool make_edge(struct blk_child *child, uint64_t length)
{
	struct blk_split *split = child->split;
	const struct blk_req *req = split->req;
	uint32_t block = split->dev->info.min_block;

	child->bounce_len = block;
	/* What other hosts write into the block meanwhile must not be undone. */
	if (req->op != BLK_READ && split->dev->info.max_compare_write >= block)
		child->bounce_len *= 2;
	child->bounce = pool_get(split->dev->loop->pool, child->bounce_len);
	if (!child->bounce)
		return false;
	child->req.offset = split->next & ~((uint64_t)block - 1);
	child->req.length = block;
	child->edge_fua = child->req.flags & BLK_FUA;
	child->req.flags &= BLK_LOCKED;
	child->edge_op = req->op;
	child->part_offset = split->next;
	child->part_length = length;
	child->part_data = req->op == BLK_ZERO ? NULL : req->data + (split->next - req->offset);
	return true;
}

/* NULL without memory. */
static struct blk_child *make_child(struct blk_split *split)
{
	struct blkdev *dev = split->dev;
	uint64_t length = piece_length(split);
	bool whole = !((split->next | length) & (dev->info.min_block - 1));
	struct blk_child *child = pool_zalloc(dev->loop->pool, sizeof(*child));

	if (!child)
		return NULL;
	child->split = split;
	child->dev = dev;
	child->req.op = split->req->op;
	child->req.flags = child_flags(split);
	if (whole) {
		make_whole(child, length);
	} else if (!make_edge(child, length)) {
		pool_put(dev->loop->pool, child, sizeof(*child));
		return NULL;
	}
	split->next += length;
	return child;
}

static void free_child(struct blk_child *child)
{
	struct pool *pool = child->dev->loop->pool;

	if (child->bounce)
		pool_put(pool, child->bounce, child->bounce_len);
	pool_put(pool, child, sizeof(*child));
}

/* Start children as long as there is something to do and room in the window. Without memory
 * the ones in flight are waited for; the request fails if there are none. */
static void pump(struct blk_split *split)
{
	unsigned window = split->req->op == BLK_STATUS ? 1 : WINDOW;

	while (!split->stopped && split->next < split->end && split->in_flight < window) {
		struct blk_child *child = make_child(split);

		if (!child) {
			if (split->in_flight)
				return;
			blk_fail(split->req, ENOMEM, NULL);
			split->stopped = true;
			return;
		}
		list_add_tail(&split->children, &child->node);
		split->in_flight++;
		split->pieces++;
		blk_child_run(child);
	}
}

/* Putting together --------------------------------------------------------- */

/*
 * Where a child failed: where the device says, or at its start, which is as true of
 * the whole ("good up to here") but says nothing new when it is the whole's own start.
 */
static void take_error(struct blk_split *split, const struct blk_req *child)
{
	struct blk_req *req = split->req;
	uint64_t at = child->has_error_offset ? child->error_offset : child->offset;

	/* Where blocks stick out of the request, so may the place. */
	if (at < req->offset)
		at = req->offset;
	if (at - req->offset >= req->length)
		at = req->offset + req->length - 1;
	split->stopped = true;
	if (req->error && at >= split->failed_at)
		return;
	split->failed_at = at;
	req->error = child->error;
	memcpy(req->why, child->why, sizeof(req->why));
	req->has_error_offset = child->has_error_offset || at > req->offset;
	req->error_offset = req->has_error_offset ? at : 0;
}

/* Join a piece's extents, which lie behind ours in the submitter's array, with ours. */
static void take_extents(struct blk_split *split, const struct blk_req *child)
{
	struct blk_req *req = split->req;
	/* Of the first block, what lies before the request: less than any extent. */
	uint64_t hidden = child->offset < req->offset ? req->offset - child->offset : 0;
	uint64_t at = child->offset;

	for (uint32_t i = 0; i < child->extent_count; i++) {
		struct blk_extent extent = child->extents[i];

		at += extent.length;
		blk_add_extent(req, extent.length - hidden, extent.flags, extent.provisioning);
		hidden = 0;
	}
	assert(!(at & (split->dev->info.min_block - 1)));
	split->next = at;
	if (req->extent_count && ((req->flags & BLK_REQ_ONE) ||
				  req->extent_count == req->extent_room ||
				  split->pieces == STATUS_PIECES))
		split->stopped = true;
}

/* A STATUS that knows its beginning is a success, if a short one. */
static void take_outcome(struct blk_split *split, const struct blk_req *child)
{
	if (!child->error && child->op == BLK_STATUS)
		take_extents(split, child);
	else if (child->error && child->op == BLK_STATUS && split->req->extent_count)
		split->stopped = true;
	else if (child->error)
		take_error(split, child);
}

static void turn(struct blk_split *split);

static void flush_ended(struct blk_req *flush)
{
	struct blk_split *split = container_of(flush, struct blk_split, flush);

	split->in_flight--;
	if (flush->error) {
		split->req->error = flush->error;
		memcpy(split->req->why, flush->why, sizeof(flush->why));
	}
	turn(split);
}

static void start_flush(struct blk_split *split)
{
	split->flush_after = false;
	split->in_flight++;
	split->flush.op = BLK_FLUSH;
	split->flush.done = flush_ended;
	blk_issue(split->dev, &split->flush);
}

/* All children are home: free the split; its request has its outcome. */
static struct blk_req *dissolve(struct blk_split *split)
{
	struct blk_req *req = split->req;

	assert(list_empty(&split->children) && !split->in_flight);
	if (split->aborted && !req->error && !req->extent_count &&
	    (split->next < split->end || split->flush_after))
		blk_fail(req, ECANCELED, "aborted");
	pool_put(split->dev->loop->pool, split, sizeof(*split));
	return req;
}

/* Something has come home: go on, or end. */
static void turn(struct blk_split *split)
{
	struct blkdev *dev = split->dev;

	pump(split);
	if (split->in_flight)
		return;
	if (split->flush_after && !split->req->error && !split->aborted)
		start_flush(split);
	else
		blk_complete(dev, dissolve(split));
}

void blk_child_ended(struct blk_child *child)
{
	struct blk_split *split = child->split;

	list_del(&child->node);
	split->in_flight--;
	take_outcome(split, &child->req);
	free_child(child);
	turn(split);
}

/* Beginning and abort ------------------------------------------------------ */

/* Which bytes are cut: a trim's whole blocks, as part of one cannot be trimmed; all blocks
 * touched by what harms nobody. */
static void set_range(struct blk_split *split)
{
	const struct blk_info *info = &split->dev->info;
	const struct blk_req *req = split->req;
	uint64_t mask = info->min_block - 1;

	split->next = req->offset;
	split->end = req->offset + req->length;
	if (req->op == BLK_TRIM) {
		blk_whole_blocks(info, req, &split->next, &split->end);
	} else if (req->op == BLK_CACHE || req->op == BLK_STATUS) {
		split->next &= ~mask;
		split->end = (split->end + mask) & ~mask;
	}
	assert(split->next < split->end && split->end <= info->size);
}

void blk_split_start(struct blkdev *dev, struct blk_req *req)
{
	struct blk_split *split = pool_zalloc(dev->loop->pool, sizeof(*split));

	assert(req->op != BLK_FLUSH);
	assert(dev->info.min_block <= ZEROES_LEN && dev->info.min_block <= dev->info.max_data);
	if (!split) {
		blk_fail(req, ENOMEM, NULL);
		blk_complete_later(dev, req);
		return;
	}
	split->dev = dev;
	split->req = req;
	list_init(&split->children);
	split->flush_after = blk_modifies(req->op) && (req->flags & BLK_FUA) && !dev->info.can_fua;
	set_range(split);
	assert(is_zero_by_write(split) || blk_limit(&dev->info, req->op) >= dev->info.min_block);
	req->split = split;
	pump(split);
	if (!split->in_flight)
		blk_complete_later(dev, dissolve(split));
}

void blk_split_abort(struct blk_split *split)
{
	split->aborted = true;
	split->stopped = true;
	list_for_each(node, &split->children) {
		struct blk_child *child = container_of(node, struct blk_child, node);

		child->aborted = true;
		blk_abort(split->dev, &child->req);
	}
}
