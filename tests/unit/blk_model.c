/* See blk_model.h. */
#include "blk_model.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DATA	(64u << 10)
#define EXTENTS		8

struct blk_model_op {
	struct blk_req req;
	struct blk_model *model;
	bool in_flight;
	uint8_t data[MAX_DATA];
	struct blk_extent extents[EXTENTS];
};

static unsigned pick(struct blk_model *m, unsigned below)
{
	return (unsigned)rand_r(&m->seed) % below;
}

static bool overlaps(const struct blk_model *m, uint64_t offset, uint64_t length)
{
	for (unsigned i = 0; i < m->depth; i++) {
		const struct blk_req *req = &m->ops[i].req;

		if (m->ops[i].in_flight && offset < req->offset + req->length &&
		    req->offset < offset + length)
			return true;
	}
	return false;
}

static void check_bytes(struct blk_model *m, uint64_t offset, uint64_t length, const uint8_t *data)
{
	for (uint64_t i = 0; i < length; i++)
		m->wrong += !m->unknown[offset + i] && data[i] != m->content[offset + i];
}

static void check_read(struct blk_model *m, const struct blk_model_op *op)
{
	const struct blk_req *req = &op->req;
	uint64_t good = req->length;

	if (req->error)
		good = req->has_error_offset ? req->error_offset - req->offset : 0;
	check_bytes(m, req->offset, good, op->data);
}

static void check_extents(struct blk_model *m, const struct blk_req *req)
{
	uint64_t at = req->offset, end = req->offset + req->length;

	CU_ASSERT(req->extent_count >= 1 && req->extent_count <= req->extent_room);
	for (uint32_t i = 0; i < req->extent_count && at < end; i++) {
		const struct blk_extent *e = &req->extents[i];

		for (uint64_t n = 0; n < e->length && at < end; n++, at++)
			m->wrong += (e->flags & BLK_ZEROES) && !m->unknown[at] && m->content[at];
	}
}

static void now_is(struct blk_model *m, const struct blk_req *req, const uint8_t *data, bool known)
{
	memset(m->unknown + req->offset, !known, req->length);
	if (data)
		memcpy(m->content + req->offset, data, req->length);
	else
		memset(m->content + req->offset, 0, req->length);
}

static void submit_some(struct blk_model *m);

static void op_done(struct blk_req *req)
{
	struct blk_model_op *op = container_of(req, struct blk_model_op, req);
	struct blk_model *m = op->model;

	op->in_flight = false;
	m->in_flight--;
	m->done++;
	m->failed += req->error && req->error != ENOTSUP;
	CU_ASSERT(!req->error || m->may_fail || (req->error == ENOTSUP && req->flags & BLK_FAST));
	switch (req->op) {
	case BLK_READ:
		check_read(m, op);
		break;
	case BLK_WRITE:
		now_is(m, req, op->data, !req->error);
		break;
	case BLK_ZERO:
		now_is(m, req, NULL, !req->error);
		break;
	case BLK_TRIM:
		now_is(m, req, NULL, false);
		break;
	case BLK_STATUS:
		if (!req->error)
			check_extents(m, req);
		break;
	case BLK_FLUSH:
	case BLK_CACHE:
		break;
	}
	submit_some(m);
}

static enum blk_op pick_op(struct blk_model *m)
{
	static const enum blk_op ops[] = {
		BLK_READ, BLK_READ, BLK_READ, BLK_WRITE, BLK_WRITE, BLK_WRITE, BLK_FLUSH,
		BLK_TRIM, BLK_ZERO, BLK_ZERO, BLK_CACHE, BLK_STATUS,
	};

	return ops[pick(m, sizeof(ops) / sizeof(ops[0]))];
}

/* Mostly short, sometimes long; half of them aligned. */
static void pick_range(struct blk_model *m, struct blk_req *req)
{
	bool moves = req->op == BLK_READ || req->op == BLK_WRITE;
	unsigned size = (unsigned)m->dev->info.size;
	unsigned most = moves ? MAX_DATA : size / 2;
	unsigned align = pick(m, 2) ? m->dev->info.min_block : 1;

	if (pick(m, 4))
		most = 8192;
	req->length = 1 + pick(m, most);
	req->offset = pick(m, size - (unsigned)req->length);
	req->offset -= req->offset % align;
	if (align > 1 && req->length > align)
		req->length -= req->length % align;
}

static uint32_t pick_flags(struct blk_model *m, enum blk_op op)
{
	uint32_t flags = 0;

	if ((op == BLK_WRITE || op == BLK_TRIM || op == BLK_ZERO) && !pick(m, 4))
		flags |= BLK_FUA;
	if (op == BLK_ZERO && !pick(m, 3))
		flags |= BLK_NO_HOLE;
	if (op == BLK_ZERO && !pick(m, 4))
		flags |= BLK_FAST;
	if (op == BLK_STATUS && !pick(m, 4))
		flags |= BLK_REQ_ONE;
	return flags;
}

static void submit_one(struct blk_model *m, struct blk_model_op *op)
{
	struct blk_req *req = &op->req;

	memset(req, 0, sizeof(*req));
	req->op = pick_op(m);
	req->flags = pick_flags(m, req->op);
	req->done = op_done;
	req->data = op->data;
	req->extents = op->extents;
	req->extent_room = EXTENTS;
	if (req->op != BLK_FLUSH)
		do
			pick_range(m, req);
		while (overlaps(m, req->offset, req->length));
	if (req->op == BLK_WRITE)
		memset(op->data, (int)(1 + pick(m, 255)), req->length);
	op->in_flight = true;
	m->in_flight++;
	blk_submit(m->dev, req);
}

static void submit_some(struct blk_model *m)
{
	for (unsigned i = 0; i < m->depth && m->operations; i++)
		if (!m->ops[i].in_flight) {
			m->operations--;
			submit_one(m, &m->ops[i]);
		}
	if (!m->in_flight)
		loop_stop(m->dev->loop);
}

static void compared(struct blk_req *req)
{
	struct blk_model_op *op = container_of(req, struct blk_model_op, req);

	CU_ASSERT(!req->error || op->model->may_fail);
	check_read(op->model, op);
	loop_stop(op->model->dev->loop);
}

static void compare_all(struct blk_model *m)
{
	struct blk_req *req = &m->ops[0].req;
	uint64_t size = m->dev->info.size;

	for (uint64_t at = 0; at < size; at += req->length) {
		memset(req, 0, sizeof(*req));
		req->op = BLK_READ;
		req->offset = at;
		req->length = size - at < MAX_DATA ? size - at : MAX_DATA;
		req->data = m->ops[0].data;
		req->done = compared;
		blk_submit(m->dev, req);
		loop_run(m->dev->loop);
	}
}

void blk_model_run(struct blk_model *m)
{
	m->ops = calloc(m->depth, sizeof(*m->ops));
	m->content = calloc(1, m->dev->info.size);
	m->unknown = calloc(1, m->dev->info.size);
	for (unsigned i = 0; i < m->depth; i++)
		m->ops[i].model = m;
	submit_some(m);
	loop_run(m->dev->loop);
	compare_all(m);
	free(m->ops);
	free(m->content);
	free(m->unknown);
}
