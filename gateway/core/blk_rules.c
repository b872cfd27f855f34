/*
 * What a block device is and can, against what is asked of it: which requests are refused,
 * which need no device (a trim of nothing, a flush of no cache), which the executor may have
 * as they are. blk.c acts by it.
 */
#include <errno.h>
#include <inttypes.h>

#include "blk_private.h"

uint64_t blk_limit(const struct blk_info *info, enum blk_op op)
{
	switch (op) {
	case BLK_READ:
	case BLK_WRITE:
		return info->max_data;
	case BLK_TRIM:
		return info->max_trim;
	case BLK_ZERO:
		return info->max_zero;
	case BLK_CACHE:
	case BLK_STATUS:
		return info->max_extent;
	case BLK_FLUSH:
		break;
	}
	return UINT64_MAX;
}

bool blk_whole_blocks(const struct blk_info *info, const struct blk_req *req,
		      uint64_t *first, uint64_t *end)
{
	const uint64_t mask = info->min_block - 1;

	/* Does not overflow: the device ends on a block, and the range before that. */
	*first = (req->offset + mask) & ~mask;
	*end = (req->offset + req->length) & ~mask;
	return *first < *end;
}

/* Some writes are no writes if the executor cannot do them as a whole. */
static bool is_able_at_once(const struct blk_info *info, const struct blk_req *req)
{
	if (req->flags & BLK_COMPARE && req->length > info->max_compare_write)
		return false;
	return !(req->flags & BLK_ATOMIC) || req->length <= info->max_atomic;
}

bool blk_is_able(const struct blk_info *info, const struct blk_req *req)
{
	if (blk_modifies(req->op) && (req->flags & BLK_FUA) && !info->can_fua)
		return false;
	switch (req->op) {
	case BLK_READ:
		return true;
	case BLK_WRITE:
		return is_able_at_once(info, req);
	case BLK_FLUSH:
		return info->can_flush;
	case BLK_TRIM:
		return info->can_trim;
	case BLK_ZERO:
		return info->can_zero && (!(req->flags & BLK_FAST) || info->can_fast_zero);
	case BLK_CACHE:
		return info->can_cache;
	case BLK_STATUS:
		return info->can_extents;
	}
	return false;
}

/*
 * Must this one hold its range? Where blocks are written for the sake of a part of them, every
 * writer does; elsewhere only if a SCSI host compares and writes on the device, which it is told
 * of by dev->writer. Without memory for that, it does to be safe.
 */
bool blk_needs_range(struct blkdev *dev, const struct blk_req *req)
{
	if (!blk_modifies(req->op) || req->flags & BLK_LOCKED)
		return false;
	if (dev->info.min_block > 1)
		return true;
	if (!dev->shared || !dev->shared->ranges)
		return false;
	if (!dev->writer)
		dev->writer = range_writer_new(dev->shared->ranges, dev->loop);
	return !dev->writer || dev->writer->guarded;
}

bool blk_fits(struct blkdev *dev, const struct blk_req *req)
{
	const struct blk_info *info = &dev->info;

	if (((req->offset | req->length) & (info->min_block - 1)) ||
	    req->length > blk_limit(info, req->op))
		return false;
	return blk_is_able(info, req) && !blk_needs_range(dev, req);
}

bool blk_is_in_range(const struct blkdev *dev, const struct blk_req *req)
{
	return req->offset <= dev->info.size && req->length <= dev->info.size - req->offset;
}

int blk_refusal(const struct blkdev *dev, const struct blk_req *req)
{
	if (blk_modifies(req->op) && dev->info.read_only)
		return EROFS;
	if (req->op != BLK_FLUSH && !blk_is_in_range(dev, req))
		return req->op == BLK_WRITE || req->op == BLK_ZERO ? ENOSPC : EINVAL;
	if (req->op == BLK_ZERO && (req->flags & BLK_FAST) &&
	    !(dev->info.can_zero && dev->info.can_fast_zero))
		return ENOTSUP;
	if (req->flags & (BLK_COMPARE | BLK_ATOMIC) && !is_able_at_once(&dev->info, req))
		return ENOTSUP;
	return 0;
}

/*
 * Answer what needs no device. A fast zero that covers no whole block would be
 * nothing but read-modify-write, slower than writing; one that does is done, with
 * its edges written: at most two blocks beside what is fast.
 */
bool blk_is_settled(const struct blkdev *dev, struct blk_req *req)
{
	const struct blk_info *info = &dev->info;
	uint64_t first, end;

	switch (req->op) {
	case BLK_READ:
	case BLK_WRITE:
		return false;
	case BLK_FLUSH:
		return !info->can_flush;
	case BLK_TRIM:
		return !info->can_trim || !blk_whole_blocks(info, req, &first, &end);
	case BLK_ZERO:
		if (!(req->flags & BLK_FAST) || blk_whole_blocks(info, req, &first, &end))
			return false;
		blk_fail(req, ENOTSUP, "no whole block of %" PRIu32 " bytes", info->min_block);
		return true;
	case BLK_CACHE:
		return !info->can_cache;
	case BLK_STATUS:
		if (!info->can_extents)
			blk_add_extent(req, req->length, 0, BLK_MAPPED);
		return !info->can_extents;
	}
	return false;
}
