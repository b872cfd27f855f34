/*
 * An export of an NBD server as a block device, through libnbd on the worker's
 * loop: "nbd://…", "nbds://…", "nbd+unix://…", "nbds+unix://…".
 */
#ifndef NBD_BLK_H
#define NBD_BLK_H

#include <stdbool.h>

#include "blk.h"

struct offload;

struct nbd_blk_conf {
	const char *uri;		/* libnbd's syntax; copied */
	bool	 read_only;
	double	 connect_timeout;	/* seconds */
};

/*
 * Connect one handle. opened() gets the device or why in one line: "connect:
 * Connection refused", "export \"x\" not found", …. info.multi_conn says whether
 * further workers may open instances of their own.
 */
void nbd_blk_open(struct loop *loop, struct offload *offload, const struct nbd_blk_conf *conf,
		  struct blk_shared *shared, blk_opened *opened, void *opaque);

#endif
