/*
 * Random requests to a block device, checked against a model of it: several in flight,
 * of any alignment, no two that overlap, so that every byte is known, or known to be
 * unknowable (one that was trimmed, or whose write failed).
 */
#ifndef BLK_MODEL_H
#define BLK_MODEL_H

#include "blk.h"

struct blk_model {
	/* Set before blk_model_run(): */
	struct blkdev *dev;
	unsigned seed;
	unsigned depth;			/* requests in flight, up to BLK_MODEL_DEPTH */
	unsigned operations;
	bool may_fail;			/* READ and WRITE may end with an error */

	/* Results: */
	unsigned done, failed;
	unsigned long wrong;		/* bytes that were not what they should have been */

	/* The model's: */
	struct blk_model_op *ops;
	unsigned in_flight;
	uint8_t *content, *unknown;
};

#define BLK_MODEL_DEPTH	16

/* Run the device's loop until all is done and everything has been read and compared. The
 * device reads as zeroes at first. */
void blk_model_run(struct blk_model *model);

#endif
