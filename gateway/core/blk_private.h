/*
 * Between the files of the block waist: how one request of a front end becomes several
 * requests of the executor's kind.
 *
 *   blk.c	what fits goes straight to the executor; the rest becomes a split
 *   blk_split.c	a split cuts its range into children, and makes one result of theirs
 *   blk_rmw.c	a child on its way: the range lock, and the bounce buffer of a block
 *		of which only a part was asked for
 *   blk_rules.c	which is which
 *   blk_look.c	has the device changed? For all who ask
 *
 * A child is a request like any other: aligned, holding its range where that is
 * needed (BLK_LOCKED), and so it fits, unless the device changes in the meantime.
 */
#ifndef BLK_PRIVATE_H
#define BLK_PRIVATE_H

#include "blk.h"
#include "range_lock.h"

struct blk_split;

struct blk_child {
	struct blk_req req;	/* what the executor sees: whole blocks */
	struct list node;	/* the split's */
	struct blk_split *split;
	struct blkdev *dev;
	struct range range;
	bool	 holds_range;
	bool	 aborted;	/* nothing more is to be issued for it */

	/* Of an edge, a block of which the request covers a part: */
	uint8_t	*bounce;	/* the whole block as it was, and perhaps as it is to be; NULL: not an edge */
	size_t	 bounce_len;	/* one block, or two: it is written by comparing */
	unsigned tries;		/* to write it so, in vain */
	enum blk_op edge_op;	/* what is asked for: READ, WRITE or ZERO */
	uint32_t edge_fua;	/* BLK_FUA, or 0 */
	uint64_t part_offset;	/* the part asked for */
	uint64_t part_length;
	uint8_t	*part_data;	/* where its bytes are or go; NULL for ZERO */
};

/* blk_rules.c */

/* Bytes that one request of this kind may have, as the device is now. */
uint64_t blk_limit(const struct blk_info *info, enum blk_op op);

/* The part of the request's range that is whole blocks. False: there is none. */
bool blk_whole_blocks(const struct blk_info *info, const struct blk_req *req,
		      uint64_t *first, uint64_t *end);

/* Must the request, of whole blocks, hold its range before it is issued? */
bool blk_needs_range(struct blkdev *dev, const struct blk_req *req);

/* Can the executor do this kind of thing, with these flags? */
bool blk_is_able(const struct blk_info *info, const struct blk_req *req);

bool blk_is_in_range(const struct blkdev *dev, const struct blk_req *req);

/* Is it answered, since it needs no device? */
bool blk_is_settled(const struct blkdev *dev, struct blk_req *req);

/* May the executor have it as it is? */
bool blk_fits(struct blkdev *dev, const struct blk_req *req);

/* blk.c */

/* As blk_submit(), for a child; one that does not fit the device any more fails, later. */
void blk_issue(struct blkdev *dev, struct blk_req *req);

/* blk_look.c */
void blk_look_init(struct blkdev *dev);

/* blk_split.c: take a request that does not fit. */
void blk_split_start(struct blkdev *dev, struct blk_req *req);
void blk_split_abort(struct blk_split *split);

/* blk_split.c: a child has ended, with its outcome in child->req. Never within blk_child_run(). */
void blk_child_ended(struct blk_child *child);

/* blk_rmw.c: run a child whose members are set. */
void blk_child_run(struct blk_child *child);

#endif
