/*
 * Memory as a block device: "mem:SIZE". Sparse, so a terabyte starts at once; one
 * memory shared by the instances of all workers.
 */
#ifndef MEM_BLK_H
#define MEM_BLK_H

#include "blk.h"
#include "mem.h"

/* One worker's instance; never fails but for memory (NULL). */
struct blkdev *mem_blk_open(struct mem *mem, struct loop *loop, struct blk_shared *shared);

#endif
