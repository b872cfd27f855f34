/*
 * A test bed for the block waist: a store, a double over it on a loop of its own, and
 * a few requests whose ends are counted.
 */
#ifndef BLK_BED_H
#define BLK_BED_H

#include "blk.h"
#include "blk_double.h"

#define BLK_BED_REQUESTS	24
#define BLK_BED_EXTENTS		32

struct blk_bed;

struct blk_item {
	struct blk_req req;
	struct blk_bed *bed;
	struct blk_extent extents[BLK_BED_EXTENTS];
	unsigned ended;
	uint64_t submitted_at;		/* by the store's clock */
};

/* A store, one device over it, and requests. */
struct blk_bed {
	struct loop *loop;
	struct blk_store store;
	struct blk_shared shared;
	struct blk_double device;
	struct blk_item item[BLK_BED_REQUESTS];
	unsigned in_flight;
	bool submitting;
};

/* A device of "size" bytes in blocks of "block"; and its end, which checks that all is home. */
void blk_bed_set_up(struct blk_bed *bed, uint64_t size, uint32_t block);
void blk_bed_tear_down(struct blk_bed *bed);

/* Submit request number "i"; it must not end within this. */
struct blk_item *blk_bed_submit(struct blk_bed *bed, unsigned i, enum blk_op op, uint64_t offset,
				uint64_t length, uint32_t flags, uint8_t *data);

/* Run the loop until all have ended; or for one turn, in which none needs to. */
void blk_bed_wait(struct blk_bed *bed);
void blk_bed_turn(struct blk_bed *bed);

/* Submit request number 0, and wait for it. */
struct blk_item *blk_bed_run(struct blk_bed *bed, enum blk_op op, uint64_t offset,
			     uint64_t length, uint32_t flags, uint8_t *data);

#endif
