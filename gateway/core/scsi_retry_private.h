/*
 * What a command that has not gone well means (scsi_retry.c): of a job, or of probing.
 */
#ifndef SCSI_RETRY_PRIVATE_H
#define SCSI_RETRY_PRIVATE_H

#include "lu.h"
#include "sense.h"

struct scsi_blk;

/* How often and how long something was tried. All zero at first. */
struct scsi_attempts {
	unsigned count;
	double since;			/* of the first failure, loop_now() */
};

/*
 * May what failed be tried once more? Then *delay is how long to wait, 0 = not at
 * all. Unit attentions are only news, so a handful pass whatever the deadline.
 */
bool scsi_retry_delay(const struct scsi_blk *sb, struct scsi_attempts *attempts,
		      const struct sense *sense, double *delay);

/* task.done of every io. */
void scsi_io_done(struct scsi_task *task);

/* Learn from sense data, whatever it came with. */
void scsi_news(struct scsi_blk *sb, const struct sense *sense);

#endif
