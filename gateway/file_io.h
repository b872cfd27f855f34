/*
 * The file behind file_blk, and the blocking work on it (file_io.c).
 */
#ifndef FILE_IO_H
#define FILE_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "blk.h"

/* Constant once it is open: all workers and all offload threads share it. */
struct file {
	int	 fd;
	bool	 block_device;
	bool	 read_only;
	bool	 rotational;
	uint32_t sector;		/* bytes: what a block device trims and zeroes in; else 1 */
	uint64_t size;			/* bytes, as of the start */
	char	 description[128];
};

/*
 * Do one request and set its outcome; done() is left to the caller. Blocks; any
 * thread. ENOTSUP for a TRIM, STATUS or fast ZERO: this file cannot.
 */
void file_io(const struct file *file, struct blk_req *req);

#endif
