/*
 * nbdkit's requests, each a block request that is handed to the engine and waited for.
 */
#include <errno.h>
#include <string.h>

#include "plugin_private.h"

#define EXTENTS_AT_ONCE	256

/* nbdkit knows few errno values: the others would reach the client as EINVAL. */
static int reportable(int error)
{
	switch (error) {
	case EPERM: case EROFS: case EIO: case ENOMEM: case EDQUOT: case EFBIG: case ENOSPC:
	case EINVAL: case ENOTSUP:
		return error;
	}
	return EIO;
}

static int run(struct plugin_handle *h, struct blk_req *req)
{
	engine_submit(h->session, req);
	if (!req->error)
		return 0;
	if (req->error != ENOTSUP)
		nbdkit_error("%s", req->why[0] ? req->why : strerror(req->error));
	nbdkit_set_error(reportable(req->error));
	return -1;
}

int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blk_req req = { .op = BLK_READ, .offset = offset, .length = count, .data = buf };

	(void)flags;
	return run(handle, &req);
}

static uint32_t fua(uint32_t flags)
{
	return flags & NBDKIT_FLAG_FUA ? BLK_FUA : 0;
}

int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	/* The waist's buffers are not const because reads have them, too; a WRITE only reads it. */
	struct blk_req req = {
		.op = BLK_WRITE, .flags = fua(flags), .offset = offset, .length = count,
		.data = (uint8_t *)(uintptr_t)buf,
	};

	return run(handle, &req);
}

int plugin_flush(void *handle, uint32_t flags)
{
	struct blk_req req = { .op = BLK_FLUSH };

	(void)flags;
	return run(handle, &req);
}

int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blk_req req = {
		.op = BLK_TRIM, .flags = fua(flags), .offset = offset, .length = count,
	};

	return run(handle, &req);
}

int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blk_req req = {
		.op = BLK_ZERO, .flags = fua(flags), .offset = offset, .length = count,
	};

	if (!(flags & NBDKIT_FLAG_MAY_TRIM))
		req.flags |= BLK_NO_HOLE;
	if (flags & NBDKIT_FLAG_FAST_ZERO)
		req.flags |= BLK_FAST;
	return run(handle, &req);
}

int plugin_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blk_req req = { .op = BLK_CACHE, .offset = offset, .length = count };

	(void)flags;
	return run(handle, &req);
}

static uint32_t extent_type(const struct blk_extent *extent)
{
	return (extent->flags & BLK_HOLE ? NBDKIT_EXTENT_HOLE : 0) |
	       (extent->flags & BLK_ZEROES ? NBDKIT_EXTENT_ZERO : 0);
}

static int add_extents(struct nbdkit_extents *extents, const struct blk_req *req, uint64_t *at)
{
	for (uint32_t i = 0; i < req->extent_count; i++) {
		const struct blk_extent *extent = &req->extents[i];

		if (nbdkit_add_extent(extents, *at, extent->length, extent_type(extent)) < 0)
			return -1;
		*at += extent->length;
	}
	return 0;
}

int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
		   struct nbdkit_extents *extents)
{
	struct blk_extent room[EXTENTS_AT_ONCE];
	uint64_t at = offset, end = offset + count;

	do {
		struct blk_req req = {
			.op = BLK_STATUS, .offset = at, .length = end - at,
			.extents = room, .extent_room = EXTENTS_AT_ONCE,
		};

		if (flags & NBDKIT_FLAG_REQ_ONE)
			req.flags |= BLK_REQ_ONE;
		if (run(handle, &req) < 0 || add_extents(extents, &req, &at) < 0)
			return -1;
	} while (at < end && !(flags & NBDKIT_FLAG_REQ_ONE));
	return 0;
}
