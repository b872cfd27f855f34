/*
 * A regular file or block device as a block device.
 *
 * One descriptor serves all workers. Every request becomes one job for the offload
 * threads (file_io.c does it there); what the file turns out to be unable to do is
 * entered in the instance's info when the job is home again, on its loop.
 *
 * The page cache takes requests of any alignment, so min_block is 1; a flush or FUA
 * through this descriptor covers what was written through it by anybody.
 */
#include "file_blk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file_io.h"
#include "log.h"
#include "pool.h"

/* What one job may zero or trim: if it comes to writing, an offload thread is busy that long. */
#define MAX_ZERO	(64u << 20)

/* One STATUS: bounded by the extents that there is room for rather than by this. */
#define MAX_SCAN	(UINT64_C(1) << 40)

struct file_blk {
	struct blkdev dev;
	struct file *file;
	struct offload *offload;
};

struct file_job {
	struct offload_job job;
	struct file_blk *self;
	struct blk_req *req;
};

/* The file --------------------------------------------------------------------- */

/*
 * Is the disk under this device number (or, for a file, under its file system) one
 * that turns? A partition has no queue of its own, its disk is one level up. Not
 * known is no.
 */
static bool is_rotational(dev_t device)
{
	static const char *const where[] = { "queue", "../queue" };

	for (unsigned i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		char path[80];
		FILE *f;
		int c;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/rotational",
			 major(device), minor(device), where[i]);
		f = fopen(path, "re");
		if (!f)
			continue;
		c = getc(f);
		fclose(f);
		return c == '1';
	}
	return false;
}

/* O_NONBLOCK: a FIFO must not keep us waiting before we have seen that it is one. */
static int open_either_way(const char *path, bool *read_only)
{
	const int flags = O_CLOEXEC | O_NONBLOCK;
	int fd = *read_only ? -1 : open(path, O_RDWR | flags);

	if (fd >= 0)
		return fd;
	if (*read_only || errno == EACCES || errno == EPERM || errno == EROFS) {
		int why_not = errno;

		fd = open(path, O_RDONLY | flags);
		if (fd >= 0 && !*read_only)
			log_warning("%s: %s: served read-only", path, strerror(why_not));
		*read_only = true;
	}
	return fd;
}

static bool look_at_block_device(struct file *file)
{
	int read_only = 0, sector = 512;

	if (ioctl(file->fd, BLKGETSIZE64, &file->size) < 0)
		return false;
	if (ioctl(file->fd, BLKROGET, &read_only) == 0 && read_only)
		file->read_only = true;
	if (ioctl(file->fd, BLKSSZGET, &sector) == 0 && sector > 0)
		file->sector = (uint32_t)sector;
	return true;
}

/* Fill in what the open file is. NULL, or why it cannot be served. */
static const char *look_at(struct file *file)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return strerror(errno);
	if (S_ISDIR(st.st_mode))
		return strerror(EISDIR);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return "neither a regular file nor a block device";
	file->block_device = S_ISBLK(st.st_mode);
	file->size = (uint64_t)st.st_size;
	file->sector = 1;
	if (file->block_device && !look_at_block_device(file))
		return strerror(errno);
	if (file->size == 0)
		return "it is empty";
	file->rotational = is_rotational(file->block_device ? st.st_rdev : st.st_dev);
	return NULL;
}

struct file *file_new(const char *path, bool read_only, char *why, size_t size)
{
	struct file *file = calloc(1, sizeof(*file));
	const char *refusal;

	if (!file) {
		snprintf(why, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	file->read_only = read_only;
	file->fd = open_either_way(path, &file->read_only);
	refusal = file->fd < 0 ? strerror(errno) : look_at(file);
	if (refusal) {
		snprintf(why, size, "%s", refusal);
		file_free(file);
		return NULL;
	}
	snprintf(file->description, sizeof(file->description), "%s %s",
		 file->block_device ? "block device" : "file", path);
	return file;
}

void file_free(struct file *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file);
}

/* The device -------------------------------------------------------------------- */

static void work(struct offload_job *job)
{
	struct file_job *self = container_of(job, struct file_job, job);

	file_io(self->self->file, self->req);
}

/* What turned out not to work is not tried again. (That zeroes which must stay allocated
 * are slow says nothing of others.) */
static void unlearn(struct blk_info *info, const struct blk_req *req)
{
	if (req->op == BLK_TRIM)
		info->can_trim = false;
	else if (req->op == BLK_STATUS)
		info->can_extents = false;
	else if (req->op == BLK_ZERO && !(req->flags & BLK_NO_HOLE))
		info->can_fast_zero = false;
	info->generation++;
}

static void work_done(struct offload_job *job)
{
	struct file_job *self = container_of(job, struct file_job, job);
	struct blkdev *dev = &self->self->dev;
	struct blk_req *req = self->req;

	if (req->error == ENOTSUP)
		unlearn(&dev->info, req);
	pool_put(dev->loop->pool, self, sizeof(*self));
	blk_complete(dev, req);
}

static void file_submit(struct blkdev *dev, struct blk_req *req)
{
	struct file_blk *self = container_of(dev, struct file_blk, dev);
	struct file_job *job = pool_get(dev->loop->pool, sizeof(*job));

	if (!job) {
		blk_fail(req, ENOMEM, NULL);
		blk_complete_later(dev, req);
		return;
	}
	job->self = self;
	job->req = req;
	job->job.work = work;
	job->job.done = work_done;
	offload_run(self->offload, dev->loop, &job->job);
}

/* Does not wait for the medium, but for a file server it may: that is once per client. */
static void file_look(struct blkdev *dev)
{
	struct file_blk *self = container_of(dev, struct file_blk, dev);
	const struct file *file = self->file;
	uint64_t size = dev->info.size;
	struct stat st;

	if (file->block_device)
		(void)ioctl(file->fd, BLKGETSIZE64, &size);
	else if (fstat(file->fd, &st) == 0)
		size = (uint64_t)st.st_size;
	if (size != dev->info.size)
		dev->info.generation++;
	dev->info.size = size;
	blk_seen(dev);
}

static void file_close(struct blkdev *dev, void (*closed)(void *), void *opaque)
{
	free(container_of(dev, struct file_blk, dev));
	closed(opaque);
}

static const struct blk_ops file_ops = {
	.name = "file",
	.submit = file_submit,
	.look = file_look,
	.close = file_close,
};

struct blkdev *file_blk_open(struct file *file, struct loop *loop, struct offload *offload,
			     struct blk_shared *shared)
{
	struct file_blk *self = malloc(sizeof(*self));

	if (!self)
		return NULL;
	self->file = file;
	self->offload = offload;
	blk_init(&self->dev, &file_ops, loop, shared);
	self->dev.info = (struct blk_info){
		.size = file->size,
		.min_block = 1,
		.preferred_block = 4096,
		.max_data = BLK_MAX_DATA,
		.max_trim = MAX_ZERO,
		.max_zero = MAX_ZERO,
		.max_extent = MAX_SCAN,
		.read_only = file->read_only,
		.rotational = file->rotational,
		.can_flush = true,
		.can_fua = true,
		.can_trim = true,
		.can_zero = true,
		.can_fast_zero = true,
		.trim_zeroes = !file->block_device,
		.can_cache = true,
		.can_extents = !file->block_device,
	};
	memcpy(self->dev.info.description, file->description, sizeof(file->description));
	return &self->dev;
}
