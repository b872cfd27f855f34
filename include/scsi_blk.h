/*
 * A block device made of a logical unit: block requests become CDBs (scsi_blk).
 *
 * Probes the unit when it is opened (INQUIRY, VPD 00 80 83 B0 B1 B2, READ
 * CAPACITY, MODE SENSE, REPORT SUPPORTED OPERATION CODES), keeps what it learned in
 * blkdev.info, and unlearns what the unit then refuses. Retries what is
 * transient (UNIT ATTENTION, BUSY, 04/01) up to a deadline.
 */
#ifndef SCSI_BLK_H
#define SCSI_BLK_H

#include "blk.h"
#include "lu.h"

struct scsi_blk_conf {
	double	 retry_timeout;		/* seconds that a transient failure is retried, or a lost
					 * path waited for; < 0 = for ever */
	bool	 read_only;		/* whatever the unit says */
};

/*
 * Probe "lu", which stays the caller's and must outlive the device. opened() gets
 * the device, or why: "INQUIRY: peripheral type 05 is not a disk", ….
 */
void scsi_blk_open(struct scsi_lu *lu, struct blk_shared *shared, const struct scsi_blk_conf *conf,
		   blk_opened *opened, void *opaque);

/* Another retry_timeout. On the loop of a device that scsi_blk_open() has made. */
void scsi_blk_tune(struct blkdev *dev, double retry_timeout);

/* What the unit says of itself, "" where it says nothing. */
struct scsi_identity {
	char vendor[9], product[17], revision[5];
	char serial[48];		/* VPD page 80h */
	char name[40];			/* VPD page 83h: "naa.…" or "eui.…" */
};

/* Of a device that scsi_blk_open() made. */
void scsi_blk_identify(const struct blkdev *dev, struct scsi_identity *identity);

#endif
