/* One scsi_blk over one fake_lu, and requests to it that a test waits for. */
#ifndef SCSI_BLK_BED_H
#define SCSI_BLK_BED_H

#include "blk.h"
#include "fake_lu.h"
#include "scsi_blk.h"

#define BLOCKS	4096u	/* of a usual disk here, of 512 bytes */

/* A thin disk that knows everything, and one that knows nothing optional. */
extern const struct fake_traits bed_full, bed_plain;

struct scsi_bed {
	struct loop *loop;
	struct fake_lu *fake;
	struct blk_shared shared;
	struct scsi_blk_conf conf;
	struct blkdev *dev;
	char why[200];			/* if it did not open */
	unsigned waiting;		/* calls under way: the loop stops with the last */
};

struct bed_call {
	struct blk_req req;
	struct scsi_bed *bed;
	bool done;
};

/* The unit; then conf may be changed; then the device: bed->dev, or NULL and why. */
void bed_start(struct scsi_bed *bed, const struct fake_traits *traits);
void bed_open(struct scsi_bed *bed);
/* Both, with a device that opens, and a record without what probing sent. */
void bed_begin(struct scsi_bed *bed, const struct fake_traits *traits);
void bed_end(struct scsi_bed *bed);

/* A request in blocks of 512 bytes, to be submitted. */
struct bed_call bed_request(enum blk_op op, uint32_t flags, uint64_t block, uint64_t blocks,
			    uint8_t *data);
void bed_submit(struct scsi_bed *bed, struct bed_call *call);

/* Submit and wait: the error, and the whole outcome in *outcome if that is wanted. */
int bed_do(struct scsi_bed *bed, enum blk_op op, uint32_t flags, uint64_t block, uint64_t blocks,
	   uint8_t *data, struct bed_call *outcome);
int bed_flush(struct scsi_bed *bed);
int bed_write_one(struct scsi_bed *bed);	/* block 1 */

/* The i-th CDB of the record; all zero when there were less. */
const struct cdb *bed_sent(const struct scsi_bed *bed, unsigned i);

/* Let happen in the background what waits for nothing; and what waits for its time. */
void bed_settle(struct scsi_bed *bed);
void bed_run_for(struct scsi_bed *bed, double seconds);

#endif
