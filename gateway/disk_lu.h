/*
 * A direct-access logical unit made of a block device: the CDB interpreter
 * (disk_lu). What it reports and accepts follows what the device can do.
 */
#ifndef DISK_LU_H
#define DISK_LU_H

#include <stdbool.h>
#include <stdint.h>

#include "blk.h"
#include "lu.h"
#include "lu_ports.h"

struct lu_shared;
struct offload;

/* Target ports by which a unit is shown, at most. */
#define DISK_MAX_PORTS	32

/* What a logical unit says of itself; constant. */
struct disk_lu_conf {
	char	 target_name[224];
	uint16_t lun;
	char	 vendor[9], product[17];	/* "" = ours */
	char	 serial[37];			/* "" = derived from target name and LUN */
	uint64_t naa;				/* NAA designator; 0 = derived likewise */
	uint32_t block_len;			/* logical: 512 or 4096 */
	uint32_t physical_len;			/* a power of 2, as hosts are told; 0 = what the device writes whole */
	/* Where persistent reservations are kept over restarts (APTPL): a directory that only we
	 * write to, and who writes there. NULL: they are not, and APTPL is refused. The text is
	 * needed during lu_shared_new() only, "offload" as long as there are commands. */
	const char *state_dir;
	struct offload *offload;
};

/*
 * What the instances of one logical unit on all workers share: unit attentions,
 * reservations, mode pages. Thread-safe by its own mutex. NULL without memory.
 * Blocks for as long as it takes to read a file, if there is a state_dir.
 */
struct lu_shared *lu_shared_new(const struct disk_lu_conf *conf);

/*
 * A unit that no target has shown so far (conf->target_name was "") is named by the first
 * that does, before any initiator sees it. Of one that has a name nothing changes. Main
 * thread, blocks as above; false without memory.
 */
bool lu_shared_name(struct lu_shared *shared, const struct disk_lu_conf *conf);
void lu_shared_free(struct lu_shared *shared);

/*
 * The target ports by which the unit can be reached from now on, at most DISK_MAX_PORTS: what
 * ALL_TG_PT means, and REPORT TARGET PORT GROUPS tells. Without this call it is that by which
 * a command came. Whoever is there hears that INQUIRY data has changed, if that is so. Main
 * thread; false without memory, and then some are missing.
 */
bool lu_shared_set_ports(struct lu_shared *shared, const struct lu_port *ports, unsigned count);

/* The eight bytes of the NAA designator of the unit (VPD 83h), as one number. */
uint64_t lu_shared_naa(const struct lu_shared *shared);

/*
 * Which logical units there are for EXTENDED COPY to read and write: one directory per worker.
 * What it does not find for a nexus is out of reach of that nexus.
 */
struct lu_directory {
	/* This worker's instance, opened by disk_lu_open(), of the unit with that NAA, if it is
	 * mapped to the nexus, and whether that may only read it; else NULL. On the worker's
	 * thread. */
	struct scsi_lu *(*find)(const struct lu_directory *directory, const struct nexus *nexus,
				uint64_t naa, bool *read_only);
};

/* One worker's instance over that worker's instance of the device, which stays the
 * caller's and must outlive it, as must the directory (NULL: no EXTENDED COPY). NULL
 * without memory. */
struct scsi_lu *disk_lu_open(struct blkdev *dev, struct lu_shared *shared,
			     const struct lu_directory *directory);

#endif
