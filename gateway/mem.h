/*
 * Sparse memory, shared by the instances of all workers: what is behind mem_blk. Any thread
 * may call, at any time; what two of them do to the same bytes at once comes in either order.
 *
 * Ranges are bytes, not empty, and within the size.
 */
#ifndef MEM_H
#define MEM_H

#include <stdbool.h>
#include <stdint.h>

struct mem;

/* "size" bytes (> 0) that read as zeroes and take memory as they are written. NULL with errno. */
struct mem *mem_new(uint64_t size);

/* After every instance has been closed; NULL is ignored. */
void mem_free(struct mem *mem);

uint64_t mem_size(const struct mem *mem);

void mem_read(struct mem *mem, uint8_t *data, uint64_t offset, uint64_t length);

/* at_once: who reads sees all of it or nothing. */
void mem_write(struct mem *mem, const uint8_t *data, uint64_t offset, uint64_t length,
	       bool at_once);

/* Zero or trim. "keep": the range counts as allocated afterwards, if without memory yet. */
void mem_zero(struct mem *mem, uint64_t offset, uint64_t length, bool keep);

/* The end of what is allocated, or is not, from "offset" on: it may lie beyond "end", up to which
 * is looked at least. */
uint64_t mem_run(const struct mem *mem, uint64_t offset, uint64_t end, bool *allocated);

#endif
