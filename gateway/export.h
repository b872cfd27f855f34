/*
 * An export: one device as the workers have it open, whatever shows it: LUNs of targets
 * (access.h), NBD exports (nbd_exports.h). It keeps its address as long as anybody may use it.
 */
#ifndef EXPORT_H
#define EXPORT_H

#include <stdbool.h>

#include "blk.h"
#include "lu.h"

struct device;

/* One worker's executors of one export; owned by the worker. */
struct export_instance {
	struct blkdev  *blk;	/* NULL: not served as a block device */
	struct scsi_lu *lu;	/* NULL: not served as a logical unit */
	bool	 borrowed;	/* blk leads to worker 0's */
};

struct export {
	char	*uri;		/* DEVICE as given, for messages */
	bool	 read_only;	/* whatever shows it says */
	struct device *device;	/* NULL until it is opened */
	struct export_instance *instance;	/* likewise; one per worker, by worker number */
};

/* With neither device nor instances. NULL without memory. */
struct export *export_new(const char *uri);

/* After its instances have been closed; its device goes with it. NULL is ignored. */
void export_free(struct export *export);

#endif
