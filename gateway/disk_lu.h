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

struct lu_shared;

/* What a logical unit says of itself; constant. */
struct disk_lu_conf {
	char	 target_name[224];
	uint16_t lun;
	char	 vendor[9], product[17];	/* "" = ours */
	char	 serial[37];			/* "" = derived from target name and LUN */
	uint32_t block_len;			/* logical: 512 or 4096 */
};

/*
 * What the instances of one logical unit on all workers share: unit attentions,
 * reservations, mode pages. Thread-safe by its own mutex. NULL without memory.
 */
struct lu_shared *lu_shared_new(const struct disk_lu_conf *conf);
void lu_shared_free(struct lu_shared *shared);

/* One worker's instance over that worker's instance of the device, which stays the
 * caller's and must outlive it. NULL without memory. */
struct scsi_lu *disk_lu_open(struct blkdev *dev, struct lu_shared *shared);

#endif
