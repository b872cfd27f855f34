/*
 * A regular file or block device as a block device: "file:PATH". Blocking calls
 * run on the process's offload threads.
 */
#ifndef FILE_BLK_H
#define FILE_BLK_H

#include <stdbool.h>
#include <stddef.h>

#include "blk.h"
#include "offload.h"

struct file;

/*
 * Open the file (blocking: at start only). NULL with a one-line reason in
 * why[size], which does not repeat the path.
 */
struct file *file_new(const char *path, bool read_only, char *why, size_t size);

/* After every instance has been closed. */
void file_free(struct file *file);

/* One worker's instance; NULL without memory. offload must outlive it. */
struct blkdev *file_blk_open(struct file *file, struct loop *loop, struct offload *offload,
			     struct blk_shared *shared);

#endif
