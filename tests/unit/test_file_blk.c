#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file_blk.h"
#include "offload.h"
#include "pool.h"
#include "unit.h"

#define SIZE	(1u << 20)

struct bed {
	char dir[32], path[48];
	struct loop *loop;
	struct offload *offload;
	struct file *file;
	struct blkdev *dev;
	struct blk_req req;
	struct blk_extent extents[16];
};

static void make_file(struct bed *bed, off_t size)
{
	int fd;

	strcpy(bed->dir, "test_file_blk.XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(bed->dir) != NULL);
	snprintf(bed->path, sizeof(bed->path), "%s/disk", bed->dir);
	fd = open(bed->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, size) == 0);
	close(fd);
}

static void remove_file(struct bed *bed)
{
	CU_ASSERT(unlink(bed->path) == 0 && rmdir(bed->dir) == 0);
}

static void set_up(struct bed *bed, bool read_only)
{
	char why[100] = "";

	make_file(bed, SIZE);
	bed->loop = loop_new();
	bed->offload = offload_new(4);
	bed->file = file_new(bed->path, read_only, why, sizeof(why));
	CU_ASSERT_STRING_EQUAL(why, "");
	CU_ASSERT_FATAL(bed->loop && bed->offload && bed->file);
	bed->dev = file_blk_open(bed->file, bed->loop, bed->offload, NULL);
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
	file_free(bed->file);
	offload_free(bed->offload);
	CU_ASSERT_EQUAL(pool_in_use(bed->loop->pool), 0);
	loop_free(bed->loop);
	remove_file(bed);
}

static void on_done(struct blk_req *req)
{
	loop_stop(container_of(req, struct bed, req)->loop);
}

static int run(struct bed *bed, enum blk_op op, uint64_t offset, uint64_t length, uint32_t flags,
	       void *data)
{
	bed->req = (struct blk_req){
		.op = op, .flags = flags, .offset = offset, .length = length, .data = data,
		.extents = bed->extents, .extent_room = 16, .done = on_done,
	};
	blk_submit(bed->dev, &bed->req);
	loop_run(bed->loop);
	return bed->req.error;
}

/* In place of libc's, since only the medium could tell whether they have been called. */
static _Atomic unsigned syncs, synchronous_writes;
static int sync_error;			/* of the next fdatasync() */
static bool no_synchronous_writes;	/* the kernel or the file system has none */

int fdatasync(int fd)
{
	(void)fd;
	syncs++;
	errno = sync_error;
	return sync_error ? -1 : 0;
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (flags & RWF_DSYNC && no_synchronous_writes) {
		errno = EOPNOTSUPP;
		return -1;
	}
	synchronous_writes += (flags & RWF_DSYNC) != 0;
	return syscall(SYS_pwritev2, fd, iov, count, offset, 0L, flags & ~RWF_DSYNC);
}

static void a_flush_and_what_has_fua_wait_for_the_medium(void)
{
	static const enum blk_op ops[] = { BLK_WRITE, BLK_ZERO, BLK_TRIM };
	uint8_t data[8192] = { 1 };
	struct bed bed;

	set_up(&bed, false);
	syncs = synchronous_writes = 0;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		CU_ASSERT_EQUAL(run(&bed, ops[i], 4096, sizeof(data), 0, data), 0);
	CU_ASSERT(syncs == 0 && synchronous_writes == 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_FLUSH, 0, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(syncs, 1);
	for (int without = 0; without < 2; without++) {
		no_synchronous_writes = without;
		for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
			syncs = synchronous_writes = 0;
			CU_ASSERT_EQUAL(run(&bed, ops[i], 4096, sizeof(data), BLK_FUA, data), 0);
			CU_ASSERT(syncs > 0 || (ops[i] == BLK_WRITE && synchronous_writes > 0));
		}
	}
	no_synchronous_writes = false;
	tear_down(&bed);
}

static void a_flush_that_fails_is_told(void)
{
	struct bed bed;

	set_up(&bed, false);
	sync_error = EIO;
	CU_ASSERT_EQUAL(run(&bed, BLK_FLUSH, 0, 0, 0, NULL), EIO);
	sync_error = 0;
	CU_ASSERT_EQUAL(run(&bed, BLK_FLUSH, 0, 0, 0, NULL), 0);
	tear_down(&bed);
}

static void what_is_written_is_in_the_file(void)
{
	struct bed bed;
	uint8_t data[5000], seen[5000];
	int fd;

	set_up(&bed, false);
	CU_ASSERT_EQUAL(bed.dev->info.size, SIZE);
	memset(data, 0xaa, sizeof(data));
	CU_ASSERT_EQUAL(run(&bed, BLK_WRITE, 1001, sizeof(data), 0, data), 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_WRITE, 8001, sizeof(data), BLK_FUA, data), 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_FLUSH, 0, 0, 0, NULL), 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_CACHE, 0, SIZE, 0, NULL), 0);
	fd = open(bed.path, O_RDONLY | O_CLOEXEC);
	CU_ASSERT(pread(fd, seen, sizeof(seen), 8001) == sizeof(seen));
	CU_ASSERT(memcmp(data, seen, sizeof(data)) == 0);
	close(fd);
	memset(seen, 0, sizeof(seen));
	CU_ASSERT_EQUAL(run(&bed, BLK_READ, 1001, sizeof(seen), 0, seen), 0);
	CU_ASSERT(memcmp(data, seen, sizeof(data)) == 0);
	tear_down(&bed);
}

static void random_requests_act_as_on_a_byte_array(void)
{
	static uint8_t model[SIZE], data[SIZE], seen[SIZE];
	static const enum blk_op ops[] = { BLK_WRITE, BLK_TRIM, BLK_ZERO };
	struct bed bed;
	unsigned seed = 1;

	set_up(&bed, false);
	for (unsigned i = 0; i < 300; i++) {
		enum blk_op op = ops[(unsigned)rand_r(&seed) % 3];
		uint64_t at = (unsigned)rand_r(&seed) % SIZE;
		uint64_t len = 1 + (unsigned)rand_r(&seed) % (SIZE - at);
		uint32_t flags = op == BLK_ZERO && rand_r(&seed) % 2 ? BLK_NO_HOLE : 0;

		memset(data, rand_r(&seed), len);
		CU_ASSERT_EQUAL(run(&bed, op, at, len, flags, data), 0);
		if (op == BLK_WRITE)
			memcpy(model + at, data, len);
		else if (op == BLK_ZERO || bed.dev->info.can_trim)
			memset(model + at, 0, len);
	}
	CU_ASSERT_EQUAL(run(&bed, BLK_READ, 0, SIZE, 0, seen), 0);
	CU_ASSERT(memcmp(model, seen, SIZE) == 0);
	tear_down(&bed);
}

static void holes_are_told_from_data(void)
{
	struct bed bed;
	uint8_t data[65536];
	uint64_t sum = 0;

	set_up(&bed, false);
	memset(data, 1, sizeof(data));
	CU_ASSERT_EQUAL(run(&bed, BLK_WRITE, 256 << 10, sizeof(data), 0, data), 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_STATUS, 100, SIZE - 100, 0, NULL), 0);
	for (unsigned i = 0; i < bed.req.extent_count; i++)
		sum += bed.extents[i].length;
	CU_ASSERT_EQUAL(sum, SIZE - 100);
	if (bed.dev->info.can_extents && bed.req.extent_count == 3) {
		CU_ASSERT_EQUAL(bed.extents[0].length, (256 << 10) - 100);
		CU_ASSERT_EQUAL(bed.extents[0].flags, BLK_HOLE | BLK_ZEROES);
		CU_ASSERT_EQUAL(bed.extents[1].length, sizeof(data));
		CU_ASSERT_EQUAL(bed.extents[1].flags, 0);
	}
	/* Where there can be holes, a zero makes one unless it is told not to. */
	CU_ASSERT_EQUAL(run(&bed, BLK_ZERO, 256 << 10, sizeof(data), 0, NULL), 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_STATUS, 0, SIZE, 0, NULL), 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_STATUS, 0, SIZE, BLK_REQ_ONE, NULL), 0);
	CU_ASSERT_EQUAL(bed.req.extent_count, 1);
	tear_down(&bed);
}

static void a_file_cut_short_fails_where_it_ends(void)
{
	struct bed bed;
	static uint8_t data[SIZE];

	set_up(&bed, false);
	CU_ASSERT(truncate(bed.path, 5000) == 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_READ, 1000, 10000, 0, data), EIO);
	CU_ASSERT(bed.req.has_error_offset);
	CU_ASSERT_EQUAL(bed.req.error_offset, 5000);
	CU_ASSERT_STRING_EQUAL(bed.req.why, "the file has become shorter");
	CU_ASSERT_EQUAL(run(&bed, BLK_READ, 1000, 4000, 0, data), 0);
	tear_down(&bed);
}

static void a_fast_zero_is_done_or_refused_and_harms_nothing(void)
{
	struct bed bed;
	uint8_t data[8192];
	int err;

	set_up(&bed, false);
	memset(data, 0xaa, sizeof(data));
	CU_ASSERT_EQUAL(run(&bed, BLK_WRITE, 0, sizeof(data), 0, data), 0);
	err = run(&bed, BLK_ZERO, 100, 8000, BLK_FAST, NULL);
	CU_ASSERT(err == 0 || err == ENOTSUP);
	CU_ASSERT_EQUAL(bed.dev->info.can_fast_zero, err == 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_READ, 0, sizeof(data), 0, data), 0);
	CU_ASSERT(data[99] == 0xaa && data[8100] == 0xaa);
	CU_ASSERT_EQUAL(data[100], err ? 0xaa : 0);
	tear_down(&bed);
}

static void a_read_only_file_is_not_written(void)
{
	struct bed bed;
	uint8_t data[512];

	set_up(&bed, true);
	CU_ASSERT(bed.dev->info.read_only);
	CU_ASSERT_EQUAL(run(&bed, BLK_WRITE, 0, 512, 0, data), EROFS);
	CU_ASSERT_EQUAL(run(&bed, BLK_READ, 0, 512, 0, data), 0);
	CU_ASSERT_EQUAL(run(&bed, BLK_FLUSH, 0, 0, 0, NULL), 0);
	tear_down(&bed);
}

static void expect_refusal(const char *path, bool read_only, const char *reason)
{
	char why[100] = "";

	CU_ASSERT_PTR_NULL(file_new(path, read_only, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(why, reason);
}

static void what_cannot_be_served_says_why(void)
{
	struct bed bed;
	char fifo[64];

	make_file(&bed, 0);
	snprintf(fifo, sizeof(fifo), "%s/fifo", bed.dir);
	CU_ASSERT_FATAL(mkfifo(fifo, 0600) == 0);
	for (int read_only = 0; read_only < 2; read_only++) {
		expect_refusal("no/such/file", read_only, "No such file or directory");
		expect_refusal(bed.dir, read_only, "Is a directory");
		expect_refusal(bed.path, read_only, "it is empty");
		expect_refusal(fifo, read_only, "neither a regular file nor a block device");
		expect_refusal("/dev/null", read_only, "neither a regular file nor a block device");
	}
	unlink(fifo);
	remove_file(&bed);
}

static void a_file_that_we_may_not_write_is_served_read_only(void)
{
	struct bed bed;
	char why[100] = "";
	struct file *file;

	make_file(&bed, 4096);
	CU_ASSERT(chmod(bed.path, 0400) == 0);
	if (geteuid() != 0) {
		file = file_new(bed.path, false, why, sizeof(why));
		CU_ASSERT_PTR_NOT_NULL(file);
		file_free(file);
		CU_ASSERT(chmod(bed.path, 0) == 0);
		expect_refusal(bed.path, false, "Permission denied");
	}
	remove_file(&bed);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_flush_and_what_has_fua_wait_for_the_medium),
	UNIT_TEST(a_flush_that_fails_is_told),
	UNIT_TEST(what_is_written_is_in_the_file),
	UNIT_TEST(random_requests_act_as_on_a_byte_array),
	UNIT_TEST(holes_are_told_from_data),
	UNIT_TEST(a_file_cut_short_fails_where_it_ends),
	UNIT_TEST(a_fast_zero_is_done_or_refused_and_harms_nothing),
	UNIT_TEST(a_read_only_file_is_not_written),
	UNIT_TEST(what_cannot_be_served_says_why),
	UNIT_TEST(a_file_that_we_may_not_write_is_served_read_only),
};

UNIT_MAIN("file_blk", tests)
