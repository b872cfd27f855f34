/*
 * The block waist at random, against a model: whatever is asked of any device comes
 * out as a plain array of bytes would have it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blk_bed.h"
#include "unit.h"

struct model {
	struct blk_bed bed;
	uint64_t size;
	uint8_t *bytes;		/* what the device must hold */
	uint8_t *data;		/* of the requests in flight, at their offsets */
	uint8_t *before;
	unsigned seed;
};

static unsigned rnd(struct model *m, unsigned below)
{
	return blk_random(&m->seed, below);
}

static uint64_t random_limit(struct model *m, uint32_t block)
{
	return rnd(m, 3) ? (uint64_t)block * (1 + rnd(m, 7)) + rnd(m, block) : UINT64_MAX;
}

static void random_device(struct model *m)
{
	static const uint32_t blocks[] = { 1, 8, 512, 4096 };
	uint32_t block = blocks[rnd(m, 4)];
	struct blk_info *info;

	m->size = (uint64_t)block * (8 + rnd(m, 56));
	blk_bed_set_up(&m->bed, m->size, block);
	m->bytes = calloc(3, m->size);
	CU_ASSERT_FATAL(m->bytes != NULL);
	m->data = m->bytes + m->size;
	m->before = m->data + m->size;
	info = &m->bed.device.dev.info;
	m->bed.device.seed = m->seed;
	info->max_data = rnd(m, 2) ? block * (1 + rnd(m, 7)) + rnd(m, block) : BLK_MAX_DATA;
	info->max_trim = random_limit(m, block);
	info->max_zero = random_limit(m, block);
	info->max_extent = random_limit(m, block);
	info->can_flush = rnd(m, 4);
	info->can_fua = rnd(m, 2);
	info->can_trim = rnd(m, 4);
	info->can_zero = rnd(m, 2);
	info->can_fast_zero = info->can_zero && rnd(m, 2);
	info->can_cache = rnd(m, 2);
	info->can_extents = rnd(m, 4);
}

static uint32_t random_flags(struct model *m, enum blk_op op)
{
	uint32_t flags = 0;

	if ((op == BLK_WRITE || op == BLK_ZERO || op == BLK_TRIM) && rnd(m, 3) == 0)
		flags |= BLK_FUA;
	if (op == BLK_ZERO)
		flags |= (rnd(m, 2) ? BLK_FAST : 0) | (rnd(m, 2) ? BLK_NO_HOLE : 0);
	if (op == BLK_STATUS && rnd(m, 2))
		flags |= BLK_REQ_ONE;
	return flags;
}

/* A batch: the device cut at random into neighbours, each with a request of its own, so that
 * every byte has one owner and every border may be inside a block. */
static unsigned submit_batch(struct model *m)
{
	uint64_t at = rnd(m, 50) % m->size;
	unsigned count = 0;

	for (uint64_t i = 0; i < m->size; i++)
		m->data[i] = (uint8_t)rnd(m, 256);
	memcpy(m->before, m->bed.store.bytes, m->size);
	while (at < m->size && count < BLK_BED_REQUESTS) {
		uint64_t length = 1 + rnd(m, (unsigned)(rnd(m, 4) ? m->size / 6 : m->size));
		enum blk_op op = rnd(m, BLK_STATUS + 1);

		if (op == BLK_FLUSH)
			length = 0;
		else if (length > m->size - at)
			length = m->size - at;
		blk_bed_submit(&m->bed, count++, op, at, length, random_flags(m, op), m->data + at);
		at += length;
	}
	return count;
}

static bool modifies(const struct blk_req *req)
{
	return req->op == BLK_WRITE || req->op == BLK_ZERO || req->op == BLK_TRIM;
}

static uint8_t wanted(const struct model *m, const struct blk_req *req, uint64_t i)
{
	return req->op == BLK_WRITE ? m->data[i] : 0;
}

/* What the store holds where "req" modified it; the model then takes it over. */
static void check_modified(struct model *m, const struct blk_req *req)
{
	const uint8_t *store = m->bed.store.bytes;
	uint64_t mask = m->bed.store.block - 1;
	uint64_t good_end = req->error ? req->offset : req->offset + req->length;
	unsigned wrong = 0;

	if (req->error && req->has_error_offset && req->op == BLK_WRITE)
		good_end = req->error_offset;
	for (uint64_t i = req->offset; i < req->offset + req->length; i++) {
		bool whole = (i & ~mask) >= req->offset && (i | mask) < req->offset + req->length;

		if (req->op == BLK_TRIM)
			wrong += store[i] != m->before[i] && !(whole && store[i] == 0xdd);
		else if (i < good_end)
			wrong += store[i] != wanted(m, req, i);
		else
			wrong += store[i] != m->before[i] && store[i] != wanted(m, req, i);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	memcpy(m->bytes + req->offset, store + req->offset, req->length);
}

/* What a trim left alone may be as volatile as before. */
static void check_fua(struct model *m, const struct blk_req *req)
{
	uint64_t mask = m->bed.store.block - 1;
	uint64_t first = req->offset, end = req->offset + req->length;

	if (req->op == BLK_TRIM) {
		first = (first + mask) & ~mask;
		end &= ~mask;
	}
	if (first < end && (req->op != BLK_TRIM || m->bed.device.dev.info.can_trim))
		CU_ASSERT(blk_store_is_persistent(&m->bed.store, first, end - first, UINT64_MAX));
}

static void check_read(struct model *m, const struct blk_req *req)
{
	uint64_t length = req->length;

	if (req->error)
		length = req->has_error_offset ? req->error_offset - req->offset : 0;
	CU_ASSERT(memcmp(req->data, m->before + req->offset, length) == 0);
}

/* A status while others write: only its form is certain. */
static void check_status(const struct blk_req *req)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < req->extent_count; i++) {
		CU_ASSERT(req->extents[i].length > 0);
		CU_ASSERT(sum < req->length);
		sum += req->extents[i].length;
	}
	CU_ASSERT(!(req->flags & BLK_REQ_ONE) || req->extent_count == 1);
}

static void check_item(struct model *m, const struct blk_item *item)
{
	const struct blk_req *req = &item->req;
	bool may_refuse = req->op == BLK_ZERO && (req->flags & BLK_FAST);

	CU_ASSERT_EQUAL(item->ended, 1);
	CU_ASSERT(req->error == 0 || (req->error == ENOTSUP && may_refuse) ||
		  (req->error == EIO && m->bed.device.fail_percent));
	if (modifies(req) && (req->flags & BLK_FUA) && !req->error)
		check_fua(m, req);
	if (modifies(req))
		check_modified(m, req);
	else if (req->op == BLK_READ)
		check_read(m, req);
	else if (req->op == BLK_STATUS && !req->error)
		check_status(req);
	else if (req->op == BLK_FLUSH && !req->error && m->bed.device.dev.info.can_flush)
		CU_ASSERT(blk_store_is_persistent(&m->bed.store, 0, m->size, item->submitted_at));
}

/* Nobody writes: what a status says is exactly so. */
static void check_quiet_status(struct model *m)
{
	uint64_t at = rnd(m, (unsigned)m->size);
	const struct blk_item *item = blk_bed_run(&m->bed, BLK_STATUS, at, m->size - at, 0, NULL);
	unsigned wrong = 0;

	if (item->req.error || !m->bed.device.dev.info.can_extents)
		return;
	for (unsigned i = 0; i < item->req.extent_count; i++)
		for (uint64_t end = at + item->extents[i].length; at < end; at++)
			wrong += (item->extents[i].flags == BLK_HOLE) !=
				 m->bed.store.hole[at / m->bed.store.block];
	CU_ASSERT_EQUAL(wrong, 0);
}

static void try_device(unsigned seed)
{
	struct model m = { .seed = seed };

	random_device(&m);
	for (unsigned batch = 0; batch < 12; batch++) {
		unsigned count;

		m.bed.device.fail_percent = batch % 3 == 2 ? 10 : 0;
		count = submit_batch(&m);
		blk_bed_wait(&m.bed);
		for (unsigned i = 0; i < count; i++)
			check_item(&m, &m.bed.item[i]);
		/* And nowhere else has anything changed. */
		CU_ASSERT(memcmp(m.bytes, m.bed.store.bytes, m.size) == 0);
		check_quiet_status(&m);
	}
	blk_bed_tear_down(&m.bed);
	free(m.bytes);
}

static void any_request_on_any_device_acts_as_on_a_byte_array(void)
{
	for (unsigned seed = 1; seed <= 400; seed++)
		try_device(seed);
}

static const struct unit_test tests[] = {
	UNIT_TEST(any_request_on_any_device_acts_as_on_a_byte_array),
};

UNIT_MAIN("blk_model", tests)
