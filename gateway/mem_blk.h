/*
 * Memory as a block device: "mem:SIZE". Sparse, so a terabyte starts at once; one
 * memory shared by the instances of all workers.
 */
#ifndef MEM_BLK_H
#define MEM_BLK_H

#include <stdint.h>

#include "blk.h"

struct mem;

/* "size" bytes (> 0) that read as zeroes and take memory as they are written. NULL with errno. */
struct mem *mem_new(uint64_t size);

/* After every instance has been closed. */
void mem_free(struct mem *mem);

/* One worker's instance; never fails but for memory (NULL). */
struct blkdev *mem_blk_open(struct mem *mem, struct loop *loop, struct blk_shared *shared);

#endif
