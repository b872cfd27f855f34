/*
 * Memory as a block device: the executor over struct mem (mem.h).
 *
 * The data is where it will ever be once it is copied: there is no cache to flush
 * (can_flush is false, so that SCSI hosts see WCE=0 and send no SYNCHRONIZE CACHE;
 * NBD clients may flush, and it succeeds at once), and FUA costs nothing.
 */
#include "mem_blk.h"

#include <stdio.h>
#include <stdlib.h>

/* One submit's work, about a millisecond of copying. */
#define MAX_WORK	(4u << 20)

/* Of what is only copied, the pieces would be done in the same turn anyway; and a read in pieces
 * would see parts of an atomic write. */
#define MAX_DATA	(16u << 20)

/* One STATUS' work: 64 Ki words of bitmap. */
#define MAX_SCAN	(UINT64_C(256) << 30)

struct mem_blk {
	struct blkdev dev;
	struct mem *mem;
};

static void report_status(struct mem *mem, struct blk_req *req)
{
	uint64_t at = req->offset, end = req->offset + req->length;

	while (at < end) {
		bool data_there;
		uint64_t next = mem_run(mem, at, end, &data_there);

		if (!blk_add_extent(req, next - at, data_there ? 0 : BLK_HOLE | BLK_ZEROES,
				    data_there ? BLK_MAPPED : BLK_DEALLOCATED))
			return;
		at = next;
	}
}

static void mem_blk_submit(struct blkdev *dev, struct blk_req *req)
{
	struct mem *mem = container_of(dev, struct mem_blk, dev)->mem;

	switch (req->op) {
	case BLK_READ:
		mem_read(mem, req->data, req->offset, req->length);
		break;
	case BLK_WRITE:
		mem_write(mem, req->data, req->offset, req->length, req->flags & BLK_ATOMIC);
		break;
	case BLK_TRIM:
	case BLK_ZERO:
		mem_zero(mem, req->offset, req->length, req->flags & BLK_NO_HOLE);
		break;
	case BLK_STATUS:
		report_status(mem, req);
		break;
	case BLK_CACHE:
	case BLK_FLUSH:
		break;
	}
	blk_complete_later(dev, req);
}

static void mem_blk_close(struct blkdev *dev, void (*closed)(void *), void *opaque)
{
	free(container_of(dev, struct mem_blk, dev));
	closed(opaque);
}

static const struct blk_ops mem_blk_ops = {
	.name = "mem",
	.submit = mem_blk_submit,
	.close = mem_blk_close,
};

/* "memory, 1 TiB", in the largest unit that needs no fraction. */
static void describe(const struct mem *mem, char *text, size_t size)
{
	static const char *const unit[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	uint64_t count = mem_size(mem);
	unsigned i = 0;

	while (i < sizeof(unit) / sizeof(unit[0]) - 1 && count % 1024 == 0) {
		count /= 1024;
		i++;
	}
	snprintf(text, size, "memory, %llu %s", (unsigned long long)count, unit[i]);
}

struct blkdev *mem_blk_open(struct mem *mem, struct loop *loop, struct blk_shared *shared)
{
	struct mem_blk *self = malloc(sizeof(*self));

	if (!self)
		return NULL;
	self->mem = mem;
	blk_init(&self->dev, &mem_blk_ops, loop, shared);
	self->dev.info = (struct blk_info){
		.size = mem_size(mem),
		.min_block = 1,
		.preferred_block = 4096,
		.max_data = MAX_DATA,
		.max_atomic = MAX_WORK,
		.max_trim = MAX_WORK,
		.max_zero = MAX_WORK,
		.max_extent = MAX_SCAN,
		.can_fua = true,
		.can_trim = true,
		.can_zero = true,
		.can_fast_zero = true,
		.trim_zeroes = true,
		.can_cache = true,
		.can_extents = true,
	};
	describe(mem, self->dev.info.description, sizeof(self->dev.info.description));
	return &self->dev;
}
