/*
 * Buffers of one worker: power-of-two size classes with free lists, so that the
 * data path does not reach the heap once it has warmed up.
 *
 * One thread only. Under AddressSanitizer nothing is kept, so that a use after
 * pool_put() is seen as what it is.
 */
#ifndef POOL_H
#define POOL_H

#include <stddef.h>

struct pool;

/* "keep" bytes at most stay cached when they are put back. NULL = no memory. */
struct pool *pool_new(size_t keep);

/* Every buffer must have been put back. */
void pool_free(struct pool *pool);

/*
 * At least "len" bytes (> 0), contents undefined. Aligned to 4096 from 4096
 * bytes on, to 64 below. NULL when there is no memory: the caller fails the
 * one request that wanted it.
 */
void *pool_get(struct pool *pool, size_t len);

/* As pool_get(), zeroed. */
void *pool_zalloc(struct pool *pool, size_t len);

/* Give back "buf"; "len" is what pool_get() was asked for. NULL is ignored. */
void pool_put(struct pool *pool, void *buf, size_t len);

/* Bytes handed out now (rounded to their class), for tests and limits. */
size_t pool_in_use(const struct pool *pool);

#endif
