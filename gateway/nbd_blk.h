/*
 * An export of an NBD server as a block device, through libnbd on the worker's
 * loop: "nbd://…", "nbds://…", "nbd+unix://…", "nbds+unix://…".
 *
 * A connection that ends is made anew. Until it is, requests wait; those that had
 * no answer are sent again, which is safe since each of them may be done twice
 * (one that a later write has overtaken fails instead). What the server had
 * answered but not yet made persistent, and may have lost on its way down, is written
 * again first, from shared->log; if it cannot be, the next flush or FUA request fails,
 * and info.losses grows. info.generation grows with every reconnection, so that front
 * ends can tell their clients. The export that is found must be the one that was lost, as far as
 * its name (where the server tells it), its size and its abilities show.
 */
#ifndef NBD_BLK_H
#define NBD_BLK_H

#include <stdbool.h>

#include "blk.h"

struct offload;

struct nbd_blk_conf {
	const char *uri;		/* libnbd's syntax; copied */
	/* What nbds:// shows and trusts, where the URI does not say; NULL: libnbd's own places. */
	const char *tls_certificates;	/* directory of ca-cert.pem, client-cert.pem, client-key.pem; copied */
	const char *tls_psk;		/* file of user:hexkey lines; copied */
	bool	 read_only;
	double	 connect_timeout;	/* seconds per attempt, > 0 */
	double	 outage_timeout;	/* seconds that requests wait for a lost connection; then, and
					 * as long as it stays away, they fail with ENOTCONN. 0: at once;
					 * < 0: they wait for ever */
};

/*
 * Connect one handle. opened() gets the device or why in one line: "connect:
 * Connection refused", "export \"x\" not found", …. info.one_instance says that
 * the server allows no other connection beside this one. offload must outlive the
 * device and its loop.
 */
void nbd_blk_open(struct loop *loop, struct offload *offload, const struct nbd_blk_conf *conf,
		  struct blk_shared *shared, blk_opened *opened, void *opaque);

/* Another outage_timeout, from the next outage on. On the loop of a device that nbd_blk_open() has
 * made. */
void nbd_blk_tune(struct blkdev *dev, double outage_timeout);

#endif
