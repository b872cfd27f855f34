/*
 * The memory of mem: devices; see mem.h.
 *
 * One anonymous mapping as long as the device, of which the kernel backs only what
 * is written; a bitmap says which granules (64 KiB) are allocated. So an empty
 * terabyte costs two megabytes of bitmap at most, reading a hole touches no page,
 * and asking for the allocation is scanning words.
 *
 * A write holds the lock shared while it sets its bits and copies; a zero or trim
 * holds it exclusively while it gives memory back and clears bits. Hence data never
 * lies under a clear bit. Readers take no lock: against a write or zero of the same
 * bytes at the same time they may see either.
 *
 * But not against an atomic write, which holds the lock exclusively, and counts itself
 * before and after: who reads meanwhile finds the count odd or changed, and reads again,
 * with the lock. Nothing tears it: when the process ends, all of the memory is gone.
 */
#include "mem.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "min.h"

#define GRANULE		(64u << 10)
#define WORD_BITS	64

struct mem {
	uint64_t size;			/* bytes of the device */
	uint64_t granules;		/* the mapping's length, >= size */
	uint8_t	*base;
	_Atomic uint64_t *allocated;	/* a bit per granule */
	pthread_rwlock_t lock;		/* see above */
	atomic_uint atomic_writes;	/* begun and ended: odd while there is one */
};

static uint64_t words(const struct mem *mem)
{
	return (mem->granules + WORD_BITS - 1) / WORD_BITS;
}

/* The bits of the word that holds granule "first", from there up to "end" or the word's end. */
static uint64_t mask_from(uint64_t first, uint64_t end)
{
	unsigned shift = first % WORD_BITS;
	uint64_t count = min_u64(end - first, WORD_BITS - shift);

	return (count == WORD_BITS ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1) << shift;
}

/* Set the bits of [first, end); all writers set, so each word is looked at before it is locked. */
static void set_allocated(struct mem *mem, uint64_t first, uint64_t end)
{
	while (first < end) {
		_Atomic uint64_t *word = &mem->allocated[first / WORD_BITS];
		uint64_t mask = mask_from(first, end);

		if ((atomic_load_explicit(word, memory_order_relaxed) & mask) != mask)
			atomic_fetch_or_explicit(word, mask, memory_order_release);
		first += WORD_BITS - first % WORD_BITS;
	}
}

static void clear_allocated(struct mem *mem, uint64_t first, uint64_t end)
{
	while (first < end) {
		atomic_fetch_and_explicit(&mem->allocated[first / WORD_BITS],
					  ~mask_from(first, end), memory_order_release);
		first += WORD_BITS - first % WORD_BITS;
	}
}

static bool is_allocated(const struct mem *mem, uint64_t granule)
{
	return atomic_load_explicit(&mem->allocated[granule / WORD_BITS],
				    memory_order_acquire) >> granule % WORD_BITS & 1;
}

/* The end, at most "end", of the run of granules like "first": all allocated, or none. Others
 * may be changing them, so what the run is like is said here and not looked up again. */
static uint64_t run_end(const struct mem *mem, uint64_t first, uint64_t end, bool *allocated)
{
	uint64_t like;

	*allocated = is_allocated(mem, first);
	like = *allocated ? ~UINT64_C(0) : 0;
	while (first < end) {
		uint64_t word = atomic_load_explicit(&mem->allocated[first / WORD_BITS],
						     memory_order_acquire);
		uint64_t other = (word ^ like) & mask_from(first, end);

		if (other)
			return first - first % WORD_BITS + (unsigned)__builtin_ctzll(other);
		first += WORD_BITS - first % WORD_BITS;
	}
	return end;
}

static uint64_t granules_up_to(uint64_t end)
{
	return (end + GRANULE - 1) / GRANULE;
}

static void *map_memory(uint64_t len)
{
	void *base = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return base == MAP_FAILED ? NULL : base;
}

struct mem *mem_new(uint64_t size)
{
	struct mem *mem;

	assert(size > 0);
	if (size > SIZE_MAX - GRANULE) {
		errno = ENOMEM;
		return NULL;
	}
	mem = calloc(1, sizeof(*mem));
	if (!mem)
		return NULL;
	mem->size = size;
	mem->granules = granules_up_to(size);
	mem->base = map_memory(mem->granules * GRANULE);
	mem->allocated = map_memory(words(mem) * sizeof(*mem->allocated));
	pthread_rwlock_init(&mem->lock, NULL);
	if (!mem->base || !mem->allocated) {
		int err = errno;

		mem_free(mem);
		errno = err;
		return NULL;
	}
	/* A core dump is no place for a disk, nor is a child on its way to exec. */
	madvise(mem->base, mem->granules * GRANULE, MADV_DONTDUMP);
	madvise(mem->base, mem->granules * GRANULE, MADV_DONTFORK);
	return mem;
}

void mem_free(struct mem *mem)
{
	if (!mem)
		return;
	pthread_rwlock_destroy(&mem->lock);
	if (mem->base)
		munmap(mem->base, mem->granules * GRANULE);
	if (mem->allocated)
		munmap((void *)mem->allocated, words(mem) * sizeof(*mem->allocated));
	free(mem);
}

uint64_t mem_size(const struct mem *mem)
{
	return mem->size;
}

/* Holes are not touched: the kernel would keep page tables for them. */
static void copy_out(struct mem *mem, uint8_t *data, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length;

	while (offset < end) {
		bool data_there;
		uint64_t run = run_end(mem, offset / GRANULE, granules_up_to(end), &data_there);
		uint64_t count = min_u64(end, run * GRANULE) - offset;

		if (data_there)
			memcpy(data, mem->base + offset, count);
		else
			memset(data, 0, count);
		data += count;
		offset += count;
	}
}

/* What was read while the count stood still and was even is no part of an atomic write. */
void mem_read(struct mem *mem, uint8_t *data, uint64_t offset, uint64_t length)
{
	unsigned before = atomic_load_explicit(&mem->atomic_writes, memory_order_acquire);

	if (!(before & 1)) {
		copy_out(mem, data, offset, length);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&mem->atomic_writes, memory_order_relaxed) == before)
			return;
	}
	pthread_rwlock_rdlock(&mem->lock);
	copy_out(mem, data, offset, length);
	pthread_rwlock_unlock(&mem->lock);
}

static void copy_in(struct mem *mem, const uint8_t *data, uint64_t offset, uint64_t length)
{
	set_allocated(mem, offset / GRANULE, granules_up_to(offset + length));
	memcpy(mem->base + offset, data, length);
}

void mem_write(struct mem *mem, const uint8_t *data, uint64_t offset, uint64_t length,
	       bool at_once)
{
	if (at_once) {
		pthread_rwlock_wrlock(&mem->lock);
		atomic_fetch_add_explicit(&mem->atomic_writes, 1, memory_order_relaxed);
		atomic_thread_fence(memory_order_release);
		copy_in(mem, data, offset, length);
		atomic_fetch_add_explicit(&mem->atomic_writes, 1, memory_order_release);
	} else {
		pthread_rwlock_rdlock(&mem->lock);
		copy_in(mem, data, offset, length);
	}
	pthread_rwlock_unlock(&mem->lock);
}

/* Zero what is within [offset, end) of allocated granules that stay so. */
static void clear_part(struct mem *mem, uint64_t offset, uint64_t end)
{
	if (offset < end && is_allocated(mem, offset / GRANULE))
		memset(mem->base + offset, 0, end - offset);
}

/* Give the memory of allocated granules in [first, end) back; they read as zeroes then. */
static void give_back(struct mem *mem, uint64_t first, uint64_t end)
{
	while (first < end) {
		bool allocated;
		uint64_t run = run_end(mem, first, end, &allocated);
		size_t len = (run - first) * GRANULE;

		/* Where the kernel will not (the memory is locked), it is cleared by hand. */
		if (allocated &&
		    madvise(mem->base + first * GRANULE, len, MADV_DONTNEED) < 0)
			memset(mem->base + first * GRANULE, 0, len);
		first = run;
	}
}

void mem_zero(struct mem *mem, uint64_t offset, uint64_t length, bool keep)
{
	uint64_t end = offset + length;
	uint64_t first = granules_up_to(offset);
	/* The last granule is whole when the device ends in it. */
	uint64_t last = end == mem->size ? mem->granules : end / GRANULE;
	/* Parts of granules: [offset, head) and [tail, end), the latter from head on if none
	 * is whole. */
	uint64_t head = min_u64(first * GRANULE, end);
	uint64_t tail = first < last ? last * GRANULE : head;

	pthread_rwlock_wrlock(&mem->lock);
	clear_part(mem, offset, head);
	give_back(mem, first, last);
	clear_part(mem, tail, end);
	if (keep)
		set_allocated(mem, offset / GRANULE, granules_up_to(end));
	else
		clear_allocated(mem, first, last);
	pthread_rwlock_unlock(&mem->lock);
}

uint64_t mem_run(const struct mem *mem, uint64_t offset, uint64_t end, bool *allocated)
{
	uint64_t run = run_end(mem, offset / GRANULE, granules_up_to(end), allocated);

	return min_u64(run * GRANULE, mem->size);
}
