/*
 * A disk_lu over an executor double, two nexuses, and commands to send to it: what
 * the tests of the CDB interpreter share.
 */
#ifndef DISK_BED_H
#define DISK_BED_H

#include "blk_double.h"
#include "cdb.h"
#include "disk_lu.h"
#include "loop.h"
#include "lu.h"

#define DISK_BED_BLOCK	512u
#define DISK_BED_BLOCKS	2048u
#define COMMAND_ROOM	(300u << 10)

struct disk_bed {
	struct disk_bed *first;		/* whose store, lock and lu_shared a second uses */
	struct loop *loop;
	struct blk_store store;
	struct blk_shared shared;
	struct blk_double device;
	struct lu_shared *lu_shared;
	struct lu_directory directory;	/* finds nothing, unless the test gives it another find() */
	struct scsi_lu *lu;
	struct nexus a, b;		/* attached; their first unit attention has been taken */
};

struct command {
	struct scsi_task task;
	struct disk_bed *bed;
	unsigned ended;
	uint8_t wire[CDB_MAX_LEN];
	uint8_t data[COMMAND_ROOM];
};

/* A unit of DISK_BED_BLOCKS blocks over a device that writes "min_block" bytes at a time. */
void disk_bed_init(struct disk_bed *bed, uint32_t min_block);
/* The same, with a state directory as "conf" says. */
void disk_bed_init_conf(struct disk_bed *bed, uint32_t min_block, const struct disk_lu_conf *conf);
/* Its target by these portal groups; a and b have heard of it. */
void disk_bed_set_ports(struct disk_bed *bed, const uint16_t *tags, unsigned count);
/* Another instance of the first one's unit, with a device and a loop of its own. */
void disk_bed_init_second(struct disk_bed *bed, struct disk_bed *first);
void disk_bed_free(struct disk_bed *bed);		/* the second before the first */

/* Run the loop until nothing happens any more. */
void disk_bed_settle(struct disk_bed *bed);

/* The device has become another: what was learned of it is looked at again. */
void disk_bed_changed(struct disk_bed *bed);

/* A command by nexus a with as much data, or room, as its CDB calls for; c->data stays as it is. */
void command_init(struct command *c, struct disk_bed *bed, const struct cdb *cdb);

/* The same from raw bytes, with what the submitter says of data. */
void command_init_raw(struct command *c, struct disk_bed *bed, const uint8_t *wire, size_t len,
		      enum cdb_direction direction, uint32_t data_len);

void command_start(struct command *c);
void command_run(struct command *c);

/* command_init() and command_run() */
void command_do(struct command *c, struct disk_bed *bed, const struct cdb *cdb);

/* How it ended. */
bool is_good(const struct command *c);			/* GOOD, no sense */
bool failed_with(const struct command *c, uint32_t reason);
/* The same with a field pointer, into the CDB for INVALID FIELD IN CDB; bit < 0: none. */
bool refused_at(const struct command *c, uint32_t reason, uint16_t byte, int bit);
bool failed_at(const struct command *c, uint32_t reason, uint64_t information);
bool moved(const struct command *c, uint32_t bytes, uint64_t wanted);

#endif
