/*
 * Requests on an open file, done: the blocking half of file_blk.
 *
 * Runs on offload threads, several at once on one file. It touches nothing but the
 * request, which is lent to it, and the constant struct file; the file position is
 * nobody's.
 */
#include "file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define ZEROES_LEN	(64u << 10)
static const uint8_t zeroes[ZEROES_LEN];

/* Linux has one number for the two, so what a system call says of a file can be passed on. */
_Static_assert(ENOTSUP == EOPNOTSUPP, "ENOTSUP is how an executor says that it cannot");

/* The call that "why" names has failed with errno, when all before "at" was done. */
static void fail_at(struct blk_req *req, uint64_t at, const char *why)
{
	int error = errno == EOPNOTSUPP ? EIO : errno;

	blk_fail(req, error, "%s", why);
	req->has_error_offset = true;
	req->error_offset = at;
}

static void do_read(const struct file *file, struct blk_req *req)
{
	for (uint64_t done = 0; done < req->length; ) {
		ssize_t n = pread(file->fd, req->data + done, req->length - done,
				  (off_t)(req->offset + done));

		if (n > 0) {
			done += (uint64_t)n;
		} else if (n == 0) {
			errno = EIO;
			fail_at(req, req->offset + done, "the file has become shorter");
			return;
		} else if (errno != EINTR) {
			fail_at(req, req->offset + done, "read");
			return;
		}
	}
}

static void do_flush(const struct file *file, struct blk_req *req)
{
	if (fdatasync(file->fd) < 0)
		blk_fail(req, errno, "fdatasync");
}

/* One write of some of "data"; *sync is taken back where the file knows no RWF_DSYNC. */
static ssize_t write_some(const struct file *file, const uint8_t *data, size_t len,
			  uint64_t offset, bool *sync)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };

	if (*sync) {
		ssize_t n = pwritev2(file->fd, &iov, 1, (off_t)offset, RWF_DSYNC);

		if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
			return n;
		*sync = false;
	}
	return pwrite(file->fd, data, len, (off_t)offset);
}

static void do_write(const struct file *file, struct blk_req *req)
{
	bool fua = req->flags & BLK_FUA;
	bool sync = fua;

	for (uint64_t done = 0; done < req->length; ) {
		ssize_t n = write_some(file, req->data + done, req->length - done,
				       req->offset + done, &sync);

		if (n >= 0) {
			done += (uint64_t)n;
		} else if (errno != EINTR) {
			fail_at(req, req->offset + done, "write");
			return;
		}
	}
	if (fua && !sync)
		do_flush(file, req);
}

static bool write_zeroes(const struct file *file, struct blk_req *req, uint64_t at, uint64_t end)
{
	while (at < end) {
		size_t len = end - at < ZEROES_LEN ? end - at : ZEROES_LEN;
		ssize_t n = pwrite(file->fd, zeroes, len, (off_t)at);

		if (n >= 0) {
			at += (uint64_t)n;
		} else if (errno != EINTR) {
			fail_at(req, at, "write of zeroes");
			return false;
		}
	}
	return true;
}

/* 0 or an errno; EOPNOTSUPP where file or device has no such thing. */
static int call_fallocate(const struct file *file, int mode, uint64_t at, uint64_t end)
{
	int ret;

	do
		ret = fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)(end - at));
	while (ret < 0 && errno == EINTR);
	if (ret == 0)
		return 0;
	return errno == ENOSYS || errno == ENODEV ? EOPNOTSUPP : errno;
}

static int call_ioctl(const struct file *file, unsigned long what, uint64_t at, uint64_t end)
{
	uint64_t range[2] = { at, end - at };

	if (ioctl(file->fd, what, range) == 0)
		return 0;
	return errno == ENOTTY || errno == EINVAL ? EOPNOTSUPP : errno;
}

/*
 * Zero without writing. Punching a hole is fast everywhere (block devices refuse it
 * where it would mean writing); FALLOC_FL_ZERO_RANGE is fast on files, while on block
 * devices BLKZEROOUT may write, if at least without moving the data.
 */
static int zero_range(const struct file *file, uint64_t at, uint64_t end, uint32_t flags)
{
	int err = EOPNOTSUPP;

	if (!(flags & BLK_NO_HOLE))
		err = call_fallocate(file, FALLOC_FL_PUNCH_HOLE, at, end);
	if (err == EOPNOTSUPP && !file->block_device)
		err = call_fallocate(file, FALLOC_FL_ZERO_RANGE, at, end);
	if (err == EOPNOTSUPP && file->block_device && !(flags & BLK_FAST))
		err = call_ioctl(file, BLKZEROOUT, at, end);
	return err;
}

/* The part of the request that is whole sectors; without any, nothing at its end. */
static void whole_sectors(const struct file *file, const struct blk_req *req,
			  uint64_t *first, uint64_t *end)
{
	uint64_t mask = file->sector - 1;

	*first = (req->offset + mask) & ~mask;
	*end = (req->offset + req->length) & ~mask;
	if (*first >= *end)
		*first = *end = req->offset + req->length;
}

/* Whole sectors by the file's own means, what is left of them and behind them by writing. */
static void do_zero(const struct file *file, struct blk_req *req)
{
	uint64_t first, end, request_end = req->offset + req->length;
	int err = 0;

	whole_sectors(file, req, &first, &end);
	if (first < end)
		err = zero_range(file, first, end, req->flags);
	if (err == EOPNOTSUPP && !(req->flags & BLK_FAST)) {
		first = end = request_end;
	} else if (err) {
		blk_fail(req, err, "zero");
		return;
	}
	if (write_zeroes(file, req, req->offset, first) &&
	    write_zeroes(file, req, end, request_end) && (req->flags & BLK_FUA))
		do_flush(file, req);
}

static void do_trim(const struct file *file, struct blk_req *req)
{
	uint64_t first, end;
	int err = 0;

	whole_sectors(file, req, &first, &end);
	if (first < end && file->block_device)
		err = call_ioctl(file, BLKDISCARD, first, end);
	else if (first < end)
		err = call_fallocate(file, FALLOC_FL_PUNCH_HOLE, first, end);
	if (err)
		blk_fail(req, err, "trim");
	else if (req->flags & BLK_FUA)
		do_flush(file, req);
}

/* Where the data ends that begins at "at"; or the hole, if "hole". -1 with errno. */
static off_t extent_end(const struct file *file, off_t at, bool *hole)
{
	off_t data = lseek(file->fd, at, SEEK_DATA);
	off_t end;

	*hole = data != at;
	if (data < 0 && errno == ENXIO)
		return (off_t)file->size;
	if (data != at)
		return data;
	end = lseek(file->fd, at, SEEK_HOLE);
	/* It was punched between the two calls. That it was data is as good an answer. */
	return end == at ? (off_t)file->size : end;
}

static void do_status(const struct file *file, struct blk_req *req)
{
	off_t at = (off_t)req->offset, end = (off_t)(req->offset + req->length);

	while (at < end) {
		bool hole;
		off_t next = extent_end(file, at, &hole);

		if (next < 0) {
			blk_fail(req, errno == EINVAL ? ENOTSUP : errno, "lseek");
			return;
		}
		if (next > (off_t)file->size)
			next = (off_t)file->size;
		if (!blk_add_extent(req, (uint64_t)(next - at), hole ? BLK_HOLE | BLK_ZEROES : 0,
				    hole ? BLK_DEALLOCATED : BLK_MAPPED))
			return;
		at = next;
	}
}

void file_io(const struct file *file, struct blk_req *req)
{
	switch (req->op) {
	case BLK_READ:
		do_read(file, req);
		break;
	case BLK_WRITE:
		do_write(file, req);
		break;
	case BLK_FLUSH:
		do_flush(file, req);
		break;
	case BLK_TRIM:
		do_trim(file, req);
		break;
	case BLK_ZERO:
		do_zero(file, req);
		break;
	case BLK_CACHE:
		/* Advice; that it was not taken is no failure. */
		posix_fadvise(file->fd, (off_t)req->offset, (off_t)req->length,
			      POSIX_FADV_WILLNEED);
		break;
	case BLK_STATUS:
		do_status(file, req);
		break;
	}
}
