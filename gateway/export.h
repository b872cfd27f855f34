/*
 * An export: one DEVICE of the command line as all front ends see it, by name to
 * NBD clients and by number to iSCSI initiators. Read-only once the workers run;
 * per worker it holds that worker's executors.
 */
#ifndef EXPORT_H
#define EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blk.h"
#include "disk_lu.h"
#include "lu.h"

struct device;

/* One worker's executors of one export; owned by the worker. */
struct export_instance {
	struct blkdev  *blk;	/* NULL: not served as a block device */
	struct scsi_lu *lu;	/* NULL: not served as a logical unit */
};

struct export {
	const char *name;	/* NBD export name, UTF-8, at most 4096 bytes */
	uint16_t lun;
	bool	 read_only;
	bool	 tls_only;	/* NBD: SELECTIVETLS, only clients with TLS see it */
	struct device *device;	/* device->uri is the DEVICE as given, for messages */
	struct export_instance *instance;	/* one per worker, by worker number */
};

/* All exports of the process, in LUN order: the index is the LUN. */
struct export_table {
	struct export *export;
	unsigned count;
};

/* By NBD name; "" is the first. NULL when there is no such export. */
struct export *export_find(const struct export_table *table, const char *name, size_t len);

#endif
