#include "blk_double.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

unsigned blk_random(unsigned *seed, unsigned below)
{
	return (unsigned)rand_r(seed) % below;
}

void blk_store_init(struct blk_store *store, uint64_t size, uint32_t block)
{
	memset(store, 0, sizeof(*store));
	pthread_mutex_init(&store->mutex, NULL);
	store->size = size;
	store->block = block;
	store->bytes = calloc(1, size);
	store->hole = calloc(1, size / block);
	store->dirty = calloc(size, sizeof(*store->dirty));
	CU_ASSERT_FATAL(store->bytes && store->hole && store->dirty);
}

void blk_store_free(struct blk_store *store)
{
	pthread_mutex_destroy(&store->mutex);
	free(store->bytes);
	free(store->hole);
	free(store->dirty);
}

bool blk_store_is_persistent(struct blk_store *store, uint64_t offset, uint64_t length,
			     uint64_t when)
{
	bool all = true;

	pthread_mutex_lock(&store->mutex);
	for (uint64_t i = offset; i < offset + length; i++)
		if (store->dirty[i] < when && store->dirty[i] > store->persistent)
			all = false;
	pthread_mutex_unlock(&store->mutex);
	return all;
}

/* What a request does, up to "length" bytes of it ----------------------------- */

static void change(struct blk_double *self, const struct blk_req *req, uint64_t length)
{
	struct blk_store *store = self->store;
	bool keeps = req->flags & BLK_FUA || !self->dev.info.can_flush;
	bool hole = req->op == BLK_TRIM || (req->op == BLK_ZERO && !(req->flags & BLK_NO_HOLE));

	for (uint64_t i = 0; i < length / store->block; i++)
		store->hole[req->offset / store->block + i] = hole;
	store->now++;
	for (uint64_t i = 0; i < length; i++) {
		uint8_t *at = store->bytes + req->offset + i;
		uint8_t now = req->op == BLK_WRITE ? req->data[i] : req->op == BLK_ZERO ? 0 : 0xdd;

		/* What was persistent and stays the same is as persistent as before. */
		if (keeps)
			store->dirty[req->offset + i] = 0;
		else if (*at != now)
			store->dirty[req->offset + i] = store->now;
		*at = now;
	}
}

/* Extents in pieces, and not always all: both are allowed. */
static void status(struct blk_double *self, struct blk_req *req)
{
	struct blk_store *store = self->store;
	uint32_t room = req->flags & BLK_REQ_ONE ? 1 : req->extent_room;

	for (uint64_t at = req->offset; at < req->offset + req->length; at += store->block) {
		bool hole = store->hole[at / store->block];

		if (req->extent_count && !blk_random(&self->seed, 10))
			return;
		if (req->extent_count < room && !blk_random(&self->seed, 4))
			req->extents[req->extent_count++] = (struct blk_extent){
				store->block, hole ? BLK_HOLE : 0,
				hole ? BLK_DEALLOCATED : BLK_MAPPED };
		else if (!blk_add_extent(req, store->block, hole ? BLK_HOLE : 0,
					 hole ? BLK_DEALLOCATED : BLK_MAPPED))
			return;
	}
}

static void perform(struct blk_double *self, struct blk_req *req, uint64_t length)
{
	struct blk_store *store = self->store;

	switch (req->op) {
	case BLK_READ:
		memcpy(req->data, store->bytes + req->offset, length);
		break;
	case BLK_WRITE:
	case BLK_TRIM:
	case BLK_ZERO:
		change(self, req, length);
		break;
	case BLK_STATUS:
		status(self, req);
		break;
	case BLK_FLUSH:
		store->persistent = (uint64_t)(uintptr_t)req->priv;
		break;
	case BLK_CACHE:
		break;
	}
}

/* Failures -------------------------------------------------------------------- */

static bool withdraw(struct blk_double *self, const struct blk_req *req)
{
	struct blk_info *info = &self->dev.info;

	if (self->refuses_fua && (req->flags & BLK_FUA)) {
		info->can_fua = false;
		return true;
	}
	if (!self->refuses[req->op])
		return false;
	switch (req->op) {
	case BLK_READ:
	case BLK_WRITE:
		return false;
	case BLK_FLUSH:
		info->can_flush = false;
		break;
	case BLK_TRIM:
		info->can_trim = false;
		info->max_trim = 0;
		break;
	case BLK_ZERO:
		info->can_zero = false;
		info->max_zero = 0;
		break;
	case BLK_CACHE:
		info->can_cache = false;
		break;
	case BLK_STATUS:
		info->can_extents = false;
		break;
	}
	return true;
}

static uint64_t first_bad(const struct blk_double *self, const struct blk_req *req)
{
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < sizeof(self->bad) / sizeof(self->bad[0]); i++)
		if (self->bad[i] >= req->offset && self->bad[i] - req->offset < req->length &&
		    self->bad[i] < first)
			first = self->bad[i];
	return first;
}

static void fail(struct blk_double *self, struct blk_req *req, uint64_t at)
{
	blk_fail(req, EIO, "byte %llu", (unsigned long long)at);
	req->has_error_offset = !self->vague && req->op != BLK_FLUSH;
	req->error_offset = req->has_error_offset ? at : 0;
	if (req->op == BLK_READ || req->op == BLK_WRITE)
		perform(self, req, at - req->offset);
}

static uint64_t random_byte(struct blk_double *self, const struct blk_req *req)
{
	return req->offset + (req->length ? blk_random(&self->seed, (unsigned)req->length) : 0);
}

static void answer(struct blk_double *self, struct blk_req *req)
{
	uint64_t bad = first_bad(self, req);

	list_del(&req->node);
	self->in_flight--;
	self->flushes -= req->op == BLK_FLUSH;
	pthread_mutex_lock(&self->store->mutex);
	if (req->error)
		;
	else if (withdraw(self, req))
		blk_fail(req, ENOTSUP, NULL);
	else if (bad != UINT64_MAX)
		fail(self, req, bad);
	else if (blk_random(&self->seed, 100) < self->fail_percent)
		fail(self, req, random_byte(self, req));
	else
		perform(self, req, req->length);
	pthread_mutex_unlock(&self->store->mutex);
	blk_complete(&self->dev, req);
}

static bool is_held(const struct blk_double *self)
{
	return self->hold && !self->passes;
}

/* Some of what is pending, from either end. */
static void work(struct loop_call *call)
{
	struct blk_double *self = container_of(call, struct blk_double, work);
	struct list *pending = &self->pending;

	bool idle = self->idle_percent && blk_random(&self->seed, 100) < self->idle_percent;

	while (!idle && !is_held(self) && !list_empty(pending) && blk_random(&self->seed, 5)) {
		struct list *node = blk_random(&self->seed, 2) ? pending->next : pending->prev;

		self->passes -= self->hold;
		answer(self, container_of(node, struct blk_req, node));
	}
	if (!is_held(self) && !list_empty(pending))
		loop_defer(self->dev.loop, call);
}

void blk_double_pass(struct blk_double *self)
{
	self->passes++;
	loop_defer(self->dev.loop, &self->work);
}

void blk_double_release(struct blk_double *self)
{
	self->hold = false;
	loop_defer(self->dev.loop, &self->work);
}

/* The executor, and what it was promised ---------------------------------------- */

static bool is_able(const struct blk_info *info, const struct blk_req *req)
{
	switch (req->op) {
	case BLK_READ:
	case BLK_WRITE:
		return req->data && req->length <= info->max_data &&
		       (!(req->flags & BLK_ATOMIC) || req->length <= info->max_atomic);
	case BLK_FLUSH:
		return info->can_flush;
	case BLK_TRIM:
		return info->can_trim && req->length <= info->max_trim;
	case BLK_ZERO:
		return info->can_zero && req->length <= info->max_zero &&
		       (info->can_fast_zero || !(req->flags & BLK_FAST));
	case BLK_CACHE:
		return info->can_cache && req->length <= info->max_extent;
	case BLK_STATUS:
		return info->can_extents && req->length <= info->max_extent && req->extent_room;
	}
	return false;
}

#define PROMISE(self, holds) promise(self, holds, #holds)
static void promise(struct blk_double *self, bool holds, const char *text)
{
	if (!holds) {
		self->broken++;
		fprintf(stderr, "broken promise: %s\n", text);
	}
}

static void check_promises(struct blk_double *self, const struct blk_req *req)
{
	const struct blk_info *info = &self->dev.info;
	bool modifies = req->op == BLK_WRITE || req->op == BLK_TRIM || req->op == BLK_ZERO;

	PROMISE(self, req->offset <= info->size && req->length <= info->size - req->offset);
	PROMISE(self, (req->offset | req->length) % info->min_block == 0);
	PROMISE(self, req->length > 0 || req->op == BLK_FLUSH);
	PROMISE(self, is_able(info, req));
	PROMISE(self, !modifies || !info->read_only);
	PROMISE(self, !modifies || info->can_fua || !(req->flags & BLK_FUA));
	PROMISE(self, req->error == 0 && !req->has_error_offset && !req->why[0]);
	PROMISE(self, req->extent_count == 0);
	PROMISE(self, req->op != BLK_FLUSH || self->flushes == 0);
}

static void submit(struct blkdev *dev, struct blk_req *req)
{
	struct blk_double *self = container_of(dev, struct blk_double, dev);

	check_promises(self, req);
	self->seen[req->op]++;
	self->last = req;
	if (++self->in_flight > self->max_in_flight)
		self->max_in_flight = self->in_flight;
	if (req->op == BLK_FLUSH) {
		self->flushes++;
		pthread_mutex_lock(&self->store->mutex);
		req->priv = (void *)(uintptr_t)self->store->now;
		pthread_mutex_unlock(&self->store->mutex);
	}
	list_add_tail(&self->pending, &req->node);
	loop_defer(dev->loop, &self->work);
}

static void abort_one(struct blkdev *dev, struct blk_req *req)
{
	struct blk_double *self = container_of(dev, struct blk_double, dev);

	self->aborts++;
	if (!self->ignores_aborts)
		blk_fail(req, ECANCELED, "aborted");
}

static void close_double(struct blkdev *dev, void (*closed)(void *), void *opaque)
{
	(void)dev;
	closed(opaque);
}

static enum blk_presence presence(const struct blkdev *dev)
{
	return container_of(dev, struct blk_double, dev)->presence;
}

static const struct blk_ops ops = {
	.name = "double",
	.presence = presence,
	.submit = submit,
	.abort = abort_one,
	.close = close_double,
};

void blk_double_init(struct blk_double *self, struct blk_store *store, struct loop *loop,
		     struct blk_shared *shared)
{
	memset(self, 0, sizeof(*self));
	blk_init(&self->dev, &ops, loop, shared);
	self->store = store;
	self->seed = 1;
	list_init(&self->pending);
	loop_call_init(&self->work, work);
	memset(self->bad, 0xff, sizeof(self->bad));
	self->dev.info = (struct blk_info){
		.size = store->size,
		.min_block = store->block,
		.preferred_block = 4096,
		.max_data = BLK_MAX_DATA,
		.max_atomic = 1u << 20,
		.max_trim = UINT64_MAX,
		.max_zero = UINT64_MAX,
		.max_extent = UINT64_MAX,
		.can_flush = true,
		.can_fua = true,
		.can_trim = true,
		.can_zero = true,
		.can_fast_zero = true,
		.can_cache = true,
		.can_extents = true,
	};
}
