/*
 * EXTENDED COPY (SPC-4 §5.17): its limits, a copy that is to be made, and what an instance of a
 * logical unit keeps of how copies went. Private to the disk_* files.
 *
 *	disk_copy_list.c	the parameter list: what is to be copied
 *	disk_copy.c		the copying; it writes the records
 *	disk_copy_results.c	the records, and who reads them out
 *
 * A copy is known by its nexus and by the list identifier that the host chose, so the
 * records of a nexus go when it does.
 */
#ifndef DISK_COPY_H
#define DISK_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "lu.h"
#include "sense.h"

struct disk_lu;

/* The descriptors that there are, of the copy sources and destinations (CSCD) and of segments. */
enum { SEGMENT_BLOCKS = 0x02, SEGMENT_BYTES = 0x0a, CSCD_IDENTIFICATION = 0xe4 };
#define CSCD_LEN		32
#define SEGMENT_BLOCKS_LEN	28
#define SEGMENT_BYTES_LEN	32

/* What one command may ask for. */
#define COPY_MAX_CSCDS		16
#define COPY_MAX_SEGMENTS	8
#define COPY_MAX_LIST		(COPY_MAX_CSCDS * CSCD_LEN + COPY_MAX_SEGMENTS * SEGMENT_BYTES_LEN)
#define COPY_MAX_SEGMENT	(256u << 20)	/* bytes */

/* A command holds that much memory, and so many run at once. */
#define COPY_WINDOW		(1u << 20)
#define COPY_MAX_RUNNING	8

#define COPY_RECORDS		32

/* How a copy goes, or went. */
struct copy_record {
	const struct nexus *nexus;	/* NULL: the record is free */
	uint8_t	 list_id;
	bool	 running;
	uint64_t number;		/* of its operation: the least is the oldest */
	uint16_t segments;		/* copied whole */
	uint32_t bytes;			/* written */
	uint8_t	 status;		/* the command's, and its sense data */
	uint8_t	 sense_len;
	uint8_t	 sense[SENSE_MAX_LEN];
};

/* One segment, judged; in bytes. */
struct copy_segment {
	struct disk_lu *source, *destination;
	uint64_t from, to, left;
	bool	 read_only;		/* the nexus may not write to the destination */
};

/* A copy, to be made or under way; its operation's. */
struct copy {
	uint8_t	 list_id;
	bool	 is_known;		/* by the list identifier */
	struct copy_record *record;	/* NULL: nobody will ask after it */
	struct copy_segment segments[COPY_MAX_SEGMENTS];
	unsigned count, current;
};

/* Read and judge the command's parameter list; *copy, zero at first, gets all but its record. False:
 * the task is finished, and nothing has been copied. */
bool copy_list_take(struct disk_lu *disk, struct scsi_task *task, struct copy *copy);

/* Does the unit have these bytes, from so many behind the beginning of a block? */
bool copy_is_within(const struct disk_lu *disk, uint64_t lba, uint64_t offset, uint64_t len);

/* Why this segment's data, or what is left of it, must not be copied now; else SENSE_NONE. */
uint32_t copy_obstacle(const struct scsi_task *task, const struct copy_segment *segment);

/* Finish the task. SPC-4 §6.4.4: what ends a copy rather than refuses it names the segment, in the
 * third and fourth byte of the field. */
void copy_abort(struct disk_lu *disk, struct scsi_task *task, unsigned segment, uint32_t reason);

struct copy_state {
	unsigned running;
	struct copy_record *records;	/* COPY_RECORDS; NULL until the first copy, as most units see none */
};

/* Room for the records, before a copy begins; false without memory. Owned by the state. */
bool copy_records_ready(struct copy_state *state);

/* The record of a copy, or NULL. */
struct copy_record *copy_record_find(struct copy_state *state, const struct nexus *nexus,
				     uint8_t list_id);

/* One for a copy that begins: that of an earlier one with the same list identifier, a free one, or
 * the oldest of those that do not run, of which there are always some. */
struct copy_record *copy_record_new(struct copy_state *state, const struct nexus *nexus,
				    uint8_t list_id);

/* The nexus goes; no copy of it runs. */
void copy_record_forget(struct copy_state *state, const struct nexus *nexus);

#endif
