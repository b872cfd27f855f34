#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem_blk.h"
#include "pool.h"
#include "unit.h"

#define KIB	UINT64_C(1024)
#define MIB	(KIB << 10)
#define GIB	(MIB << 10)
#define TIB	(GIB << 10)

struct bed {
	struct loop *loop;
	struct mem *mem;
	struct blkdev *dev;
	struct blk_req req;
	struct blk_extent extents[16];
};

static void set_up(struct bed *bed, uint64_t size)
{
	bed->loop = loop_new();
	bed->mem = mem_new(size);
	CU_ASSERT_FATAL(bed->loop && bed->mem);
	bed->dev = mem_blk_open(bed->mem, bed->loop, NULL);
	CU_ASSERT_FATAL(bed->dev != NULL);
}

static void on_closed(void *opaque)
{
	*(bool *)opaque = true;
}

static void tear_down(struct bed *bed)
{
	bool closed = false;

	blk_close(bed->dev, on_closed, &closed);
	CU_ASSERT(closed);
	mem_free(bed->mem);
	CU_ASSERT_EQUAL(pool_in_use(bed->loop->pool), 0);
	loop_free(bed->loop);
}

static void on_done(struct blk_req *req)
{
	loop_stop(container_of(req, struct bed, req)->loop);
}

static struct blk_req *run(struct bed *bed, enum blk_op op, uint64_t offset, uint64_t length,
			   uint32_t flags, void *data)
{
	bed->req = (struct blk_req){
		.op = op, .flags = flags, .offset = offset, .length = length, .data = data,
		.extents = bed->extents, .extent_room = 16, .done = on_done,
	};
	blk_submit(bed->dev, &bed->req);
	loop_run(bed->loop);
	CU_ASSERT_EQUAL(bed->req.error, 0);
	return &bed->req;
}

/* What is resident of our mapping of exactly "len" bytes; the process has others, above all
 * under a sanitizer. */
static uint64_t resident(uint64_t len)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	bool ours = false, found = false;
	unsigned long long from, to, kib = 0;

	CU_ASSERT_FATAL(f != NULL);
	while (!found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			ours = to - from == len;
		else if (ours)
			found = sscanf(line, "Rss: %llu kB", &kib) == 1;
	}
	fclose(f);
	CU_ASSERT(found);
	return kib * KIB;
}

static void check_extents(const struct bed *bed, unsigned count, const uint64_t *lengths,
			  bool first_is_hole)
{
	CU_ASSERT_EQUAL_FATAL(bed->req.extent_count, count);
	for (unsigned i = 0; i < count; i++) {
		bool hole = first_is_hole == (i % 2 == 0);

		CU_ASSERT_EQUAL(bed->extents[i].length, lengths[i]);
		CU_ASSERT_EQUAL(bed->extents[i].flags, hole ? BLK_HOLE | BLK_ZEROES : 0);
		CU_ASSERT_EQUAL(bed->extents[i].provisioning,
				hole ? BLK_DEALLOCATED : BLK_MAPPED);
	}
}

static void a_terabyte_costs_next_to_nothing(void)
{
	struct bed bed;
	uint8_t data[4096];
	/* Between a sanitizer's own memory there is not always room for so much. */
	bool sanitized = getenv("SANITIZED");
	uint64_t size = sanitized ? 64 * GIB : TIB;

	set_up(&bed, size);
	CU_ASSERT_STRING_EQUAL(bed.dev->info.description, sanitized ? "memory, 64 GiB" : "memory, 1 TiB");
	memset(data, 0xaa, sizeof(data));
	run(&bed, BLK_WRITE, size - 4096, 4096, 0, data);
	run(&bed, BLK_STATUS, 0, size, 0, NULL);
	check_extents(&bed, 2, (const uint64_t[]){ size - 64 * KIB, 64 * KIB }, true);
	run(&bed, BLK_READ, size / 2, 4096, 0, data);
	CU_ASSERT(data[0] == 0 && data[4095] == 0);
	/* One page, or a huge one. */
	CU_ASSERT(resident(size) <= 2 * MIB);
	run(&bed, BLK_ZERO, 0, size, 0, NULL);
	run(&bed, BLK_STATUS, 0, size, 0, NULL);
	check_extents(&bed, 1, (const uint64_t[]){ size }, true);
	tear_down(&bed);
}

static void trimming_gives_memory_back(void)
{
	struct bed bed;
	uint64_t len = 4 * MIB;
	uint8_t *data = malloc(len);

	CU_ASSERT_FATAL(data != NULL);
	memset(data, 0xaa, len);
	set_up(&bed, GIB);
	for (unsigned i = 0; i < 16; i++)
		run(&bed, BLK_WRITE, i * len, len, 0, data);
	CU_ASSERT(resident(GIB) >= 64 * MIB);
	run(&bed, BLK_TRIM, 0, 64 * MIB, 0, NULL);
	CU_ASSERT(resident(GIB) == 0);
	run(&bed, BLK_READ, 63 * MIB, 4096, 0, data);
	CU_ASSERT(data[0] == 0 && data[4095] == 0);
	tear_down(&bed);
	free(data);
}

static void allocation_follows_writes_zeroes_and_trims(void)
{
	struct bed bed;
	uint8_t data[100] = { 1 };

	set_up(&bed, 100 * MIB + 100);
	run(&bed, BLK_WRITE, 64 * KIB - 1, 2, 0, data);
	run(&bed, BLK_STATUS, 10, MIB, 0, NULL);
	check_extents(&bed, 2, (const uint64_t[]){ 128 * KIB - 10, MIB - 128 * KIB + 64 * KIB },
		      false);
	/* Part of a granule is cleared, not given back. */
	run(&bed, BLK_ZERO, 0, 64 * KIB - 1, 0, NULL);
	run(&bed, BLK_READ, 64 * KIB - 2, 3, 0, data);
	CU_ASSERT(data[0] == 0 && data[1] == 1);
	run(&bed, BLK_STATUS, 0, 64 * KIB, 0, NULL);
	check_extents(&bed, 1, (const uint64_t[]){ 64 * KIB }, false);
	run(&bed, BLK_ZERO, 0, 64 * KIB, 0, NULL);
	run(&bed, BLK_STATUS, 0, 128 * KIB, 0, NULL);
	check_extents(&bed, 2, (const uint64_t[]){ 64 * KIB, 64 * KIB }, true);
	/* NO_HOLE: zeroes that count as allocated. */
	run(&bed, BLK_ZERO, 0, 192 * KIB, BLK_NO_HOLE, NULL);
	run(&bed, BLK_STATUS, 0, 256 * KIB, 0, NULL);
	check_extents(&bed, 2, (const uint64_t[]){ 192 * KIB, 64 * KIB }, false);
	/* The last granule is whole although the device ends in it. */
	run(&bed, BLK_WRITE, 100 * MIB, 100, 0, data);
	run(&bed, BLK_STATUS, 100 * MIB - 1, 101, 0, NULL);
	check_extents(&bed, 2, (const uint64_t[]){ 1, 100 }, true);
	run(&bed, BLK_TRIM, 100 * MIB, 100, 0, NULL);
	run(&bed, BLK_STATUS, 100 * MIB, 100, 0, NULL);
	check_extents(&bed, 1, (const uint64_t[]){ 100 }, true);
	run(&bed, BLK_STATUS, 0, MIB, BLK_REQ_ONE, NULL);
	CU_ASSERT_EQUAL(bed.req.extent_count, 1);
	run(&bed, BLK_FLUSH, 0, 0, 0, NULL);
	run(&bed, BLK_CACHE, 0, MIB, 0, NULL);
	tear_down(&bed);
}

static void random_requests_act_as_on_a_byte_array(void)
{
	enum { SIZE = 600000 };
	static uint8_t model[SIZE], data[SIZE], seen[SIZE];
	struct bed bed;
	unsigned seed = 1;

	set_up(&bed, SIZE);
	memset(model, 0, SIZE);
	for (unsigned i = 0; i < 3000; i++) {
		static const enum blk_op ops[] = { BLK_WRITE, BLK_TRIM, BLK_ZERO };
		enum blk_op op = ops[(unsigned)rand_r(&seed) % 3];
		uint64_t at = (unsigned)rand_r(&seed) % SIZE;
		uint64_t len = 1 + (unsigned)rand_r(&seed) % (rand_r(&seed) % 4 ? 3000 : SIZE);

		if (len > SIZE - at)
			len = SIZE - at;
		memset(data, rand_r(&seed), len);
		run(&bed, op, at, len, rand_r(&seed) % 2 ? BLK_NO_HOLE : 0, data);
		if (op == BLK_WRITE)
			memcpy(model + at, data, len);
		else
			memset(model + at, 0, len);
		if (i % 50 == 0) {
			run(&bed, BLK_READ, 0, SIZE, 0, seen);
			CU_ASSERT(memcmp(model, seen, SIZE) == 0);
		}
	}
	run(&bed, BLK_READ, 0, SIZE, 0, seen);
	CU_ASSERT(memcmp(model, seen, SIZE) == 0);
	tear_down(&bed);
}

/* Two workers on neighbouring granules: one writes and reads, the other trims. */
struct worker {
	struct mem *mem;
	struct loop *loop;
	struct blkdev *dev;
	struct loop_msg start;
	struct blk_req req;
	pthread_t thread;
	uint8_t data[1000];
	bool trims;
	unsigned rounds, wrong;
};

static void worker_next(struct worker *w)
{
	uint64_t granule = w->rounds % 8 * 2;

	w->req.length = sizeof(w->data);
	if (w->trims) {
		w->req.op = w->rounds % 2 ? BLK_TRIM : BLK_ZERO;
		w->req.offset = (granule + 1) * 64 * KIB;
		/* Into the other one's granule, before his bytes. */
		w->req.length = 64 * KIB + 100;
	} else if (w->req.op == BLK_READ) {
		w->req.op = BLK_WRITE;
		w->req.offset = granule * 64 * KIB + 1000;
		memset(w->data, (int)(w->rounds | 1), sizeof(w->data));
	} else {
		w->req.op = BLK_READ;
		memset(w->data, 0, sizeof(w->data));
	}
	blk_submit(w->dev, &w->req);
}

static void worker_done(struct blk_req *req)
{
	struct worker *w = container_of(req, struct worker, req);

	if (w->trims || req->op == BLK_READ) {
		w->wrong += !w->trims && (w->data[0] != (uint8_t)(w->rounds | 1) ||
					  w->data[999] != (uint8_t)(w->rounds | 1));
		w->rounds--;
	}
	if (w->rounds)
		worker_next(w);
	else
		loop_stop(w->loop);
}

static void worker_start(struct loop_msg *msg)
{
	worker_next(container_of(msg, struct worker, start));
}

static void *worker_main(void *arg)
{
	loop_run(((struct worker *)arg)->loop);
	return NULL;
}

static void data_survives_trims_of_its_neighbours_on_another_worker(void)
{
	static struct worker worker[2];
	struct mem *mem = mem_new(17 * 64 * KIB + 100);
	bool closed;

	CU_ASSERT_FATAL(mem != NULL);
	memset(worker, 0, sizeof(worker));
	for (unsigned i = 0; i < 2; i++) {
		struct worker *w = &worker[i];

		w->loop = loop_new();
		w->dev = mem_blk_open(mem, w->loop, NULL);
		w->trims = i;
		w->rounds = 10000;
		w->req.op = BLK_READ;
		w->req.data = w->data;
		w->req.done = worker_done;
		w->start.run = worker_start;
		loop_post(w->loop, &w->start);
		CU_ASSERT_FATAL(pthread_create(&w->thread, NULL, worker_main, w) == 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(worker[i].thread, NULL);
		CU_ASSERT_EQUAL(worker[i].wrong, 0);
		blk_close(worker[i].dev, on_closed, &closed);
		loop_free(worker[i].loop);
	}
	mem_free(mem);
}

/* One worker writes whole pictures, and the others never read two halves of any. */
#define PICTURE	(256 * KIB)
#define READERS	3

struct viewer {
	struct worker w;		/* trims: it writes */
	atomic_uint *writing;
	uint8_t picture[PICTURE];
};

static void look(struct blk_req *req)
{
	struct viewer *v = container_of(req, struct viewer, w.req);

	v->w.rounds++;
	if (v->w.trims) {
		memset(v->picture, (int)v->w.rounds, PICTURE);
		if (v->w.rounds == 3000)
			atomic_store(v->writing, 0);
	} else {
		v->w.wrong += v->picture[0] != v->picture[PICTURE - 1] ||
			      memcmp(v->picture, v->picture + 1, PICTURE - 1);
	}
	if (atomic_load(v->writing))
		blk_submit(v->w.dev, req);
	else
		loop_stop(v->w.loop);
}

static void look_first(struct loop_msg *msg)
{
	blk_submit(container_of(msg, struct worker, start)->dev,
		   &container_of(msg, struct worker, start)->req);
}

static void nobody_sees_a_part_of_an_atomic_write(void)
{
	static struct viewer viewers[READERS + 1];
	struct mem *mem = mem_new(MIB);
	atomic_uint writing = 1;
	bool closed;

	CU_ASSERT_FATAL(mem != NULL);
	memset(viewers, 0, sizeof(viewers));
	for (unsigned i = 0; i <= READERS; i++) {
		struct worker *w = &viewers[i].w;

		viewers[i].writing = &writing;
		w->loop = loop_new();
		w->dev = mem_blk_open(mem, w->loop, NULL);
		w->trims = !i;
		w->req = (struct blk_req){
			.op = i ? BLK_READ : BLK_WRITE, .flags = i ? 0 : BLK_ATOMIC,
			.offset = 1000, .length = PICTURE, .data = viewers[i].picture,
			.done = look,
		};
		w->start.run = look_first;
		loop_post(w->loop, &w->start);
		CU_ASSERT_FATAL(pthread_create(&w->thread, NULL, worker_main, w) == 0);
	}
	for (unsigned i = 0; i <= READERS; i++) {
		pthread_join(viewers[i].w.thread, NULL);
		CU_ASSERT_EQUAL(viewers[i].w.wrong, 0);
		blk_close(viewers[i].w.dev, on_closed, &closed);
		loop_free(viewers[i].w.loop);
	}
	mem_free(mem);
}

static void more_than_the_address_space_is_refused(void)
{
	CU_ASSERT_PTR_NULL(mem_new(UINT64_MAX));
	CU_ASSERT_EQUAL(errno, ENOMEM);
	CU_ASSERT_PTR_NULL(mem_new(UINT64_C(1) << 62));
	CU_ASSERT_EQUAL(errno, ENOMEM);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_terabyte_costs_next_to_nothing),
	UNIT_TEST(trimming_gives_memory_back),
	UNIT_TEST(allocation_follows_writes_zeroes_and_trims),
	UNIT_TEST(random_requests_act_as_on_a_byte_array),
	UNIT_TEST(data_survives_trims_of_its_neighbours_on_another_worker),
	UNIT_TEST(nobody_sees_a_part_of_an_atomic_write),
	UNIT_TEST(more_than_the_address_space_is_refused),
};

UNIT_MAIN("mem_blk", tests)
