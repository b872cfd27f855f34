/*
 * A worker's buffers: power-of-two classes, each with a list of what was put back.
 *
 * Called by whatever runs on the worker's thread, through loop->pool. A cached
 * buffer carries the link to the next one in its own first bytes.
 */
#include "pool.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_CACHES	0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_CACHES	0
#endif
#endif
#ifndef POOL_CACHES
#define POOL_CACHES	1
#endif

#define MIN_SHIFT	6	/* 64 bytes: a cache line */
#define MAX_SHIFT	30	/* 1 GiB: far above what one request may ask for */
#define PAGE		4096u

struct cached {
	struct cached *next;
};

struct pool {
	size_t keep;
	size_t kept;
	size_t in_use;
	struct cached *free[MAX_SHIFT + 1];
};

static unsigned class_of(size_t len)
{
	assert(len > 0 && len <= (size_t)1 << MAX_SHIFT);
	if (len <= (size_t)1 << MIN_SHIFT)
		return MIN_SHIFT;
	/* The bits of the largest offset in the buffer. */
	return (unsigned)(sizeof(long) * CHAR_BIT) - (unsigned)__builtin_clzl(len - 1);
}

static void *from_heap(size_t len, unsigned shift)
{
	size_t size = (size_t)1 << shift;
	size_t align = size < PAGE ? 1u << MIN_SHIFT : PAGE;
	void *buf;

	/* To the byte under ASan, so that the first byte beyond "len" is already wrong. */
	if (posix_memalign(&buf, align, POOL_CACHES ? size : len) != 0)
		return NULL;
	return buf;
}

struct pool *pool_new(size_t keep)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool)
		pool->keep = keep;
	return pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	assert(pool->in_use == 0);
	for (unsigned shift = MIN_SHIFT; shift <= MAX_SHIFT; shift++)
		while (pool->free[shift]) {
			struct cached *buf = pool->free[shift];

			pool->free[shift] = buf->next;
			free(buf);
		}
	free(pool);
}

void *pool_get(struct pool *pool, size_t len)
{
	unsigned shift = class_of(len);
	size_t size = (size_t)1 << shift;
	struct cached *buf = pool->free[shift];

	if (buf) {
		pool->free[shift] = buf->next;
		pool->kept -= size;
	} else {
		buf = from_heap(len, shift);
		if (!buf)
			return NULL;
	}
	pool->in_use += size;
	return buf;
}

void *pool_zalloc(struct pool *pool, size_t len)
{
	void *buf = pool_get(pool, len);

	if (buf)
		memset(buf, 0, len);
	return buf;
}

void pool_put(struct pool *pool, void *buf, size_t len)
{
	unsigned shift;
	size_t size;
	struct cached *cached = buf;

	if (!buf)
		return;
	shift = class_of(len);
	size = (size_t)1 << shift;
	assert(pool->in_use >= size);
	pool->in_use -= size;
	if (!POOL_CACHES || size > pool->keep || pool->kept > pool->keep - size) {
		free(buf);
		return;
	}
	cached->next = pool->free[shift];
	pool->free[shift] = cached;
	pool->kept += size;
}

size_t pool_in_use(const struct pool *pool)
{
	return pool->in_use;
}
