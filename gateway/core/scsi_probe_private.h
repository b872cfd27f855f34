/*
 * Getting to know a logical unit: what is asked, and the facts that are found.
 *
 *   scsi_probe.c	one command after the other
 *   scsi_probe_table.c	which, and how their answers are read
 *   scsi_facts.c	what the facts amount to, in the terms of struct blk_info
 */
#ifndef SCSI_PROBE_PRIVATE_H
#define SCSI_PROBE_PRIVATE_H

#include <ev.h>

#include "lu.h"
#include "scsi_data.h"
#include "scsi_retry_private.h"

/* What probing found. Zero where the unit did not tell. */
struct scsi_facts {
	struct inquiry inquiry;
	char serial[48];			/* VPD 80h, cut to size */
	char name[40];				/* VPD 83h: "naa.…" or "eui.…" */
	struct block_limits limits;		/* VPD B0h */
	struct block_characteristics characteristics; /* VPD B1h */
	bool has_provisioning;
	struct provisioning provisioning;	/* VPD B2h */
	bool has_capacity;
	struct capacity capacity;
	bool has_mode;
	struct mode_header mode;
	bool has_group;				/* VPD 83h names the target port group that we came by: */
	uint16_t group;
	uint8_t group_state;			/* enum port_group_state, by REPORT TARGET PORT GROUPS */
	bool better_group;			/* another one is optimized, and this is not */
	bool no_write_cache;			/* page 08h is there, and WCE=0 */
	bool no_write_same_16, ndob;		/* REPORT SUPPORTED OPERATION CODES */
};

/* Data blocks as bytes of the device: facts that were accepted have a sane block length. */
uint64_t scsi_size(const struct scsi_facts *facts);

/* Can the unit be served at all? False, and why. */
bool scsi_facts_usable(const struct scsi_facts *facts, char *why, size_t size);

/* Is this the same unit as before, whatever its size is now? False, and how it differs. */
bool scsi_facts_same_unit(const struct scsi_facts *was, const struct scsi_facts *is,
			  char *why, size_t size);

/* Do deallocated blocks read as zeroes (LBPRZ xx1b)? */
bool scsi_unmapped_reads_zeroes(const struct scsi_facts *facts);

#define SCSI_PROBE_LEN	1024	/* of the longest answer that is looked at */

/* One run of the probing sequence. */
struct scsi_probe {
	bool active, stopping;
	bool bad_path;			/* it ended because another path may do better */
	bool only_capacity;		/* all else is as it was */
	unsigned step;			/* index into scsi_probe_table */
	struct scsi_attempts attempts;	/* at this step */
	ev_timer timer;
	struct scsi_task task;
	uint8_t wire[CDB_MAX_LEN];
	uint8_t data[SCSI_PROBE_LEN];
	bool vpd[256];			/* pages that the unit lists */
	struct scsi_facts facts;
	void (*ended)(struct scsi_blk *sb, const char *why); /* NULL: facts are complete */
};

/* A command of the probing sequence. */
struct scsi_probe_step {
	struct cdb cdb;
	bool required;
	bool capacity;		/* part of scsi_probe_capacity() */
	enum cdb_id about;	/* of REPORT SUPPORTED OPERATION CODES */
	bool (*wanted)(const struct scsi_probe *p);	/* NULL = always */
	/* False: the answer makes no sense. */
	bool (*read)(struct scsi_probe *p, const uint8_t *data, size_t len);
};

extern const struct scsi_probe_step scsi_probe_table[];
extern const unsigned scsi_probe_steps;

/* Start probing; none is running. ended() comes later, once. */
void scsi_probe_start(struct scsi_blk *sb, void (*ended)(struct scsi_blk *sb, const char *why));

/* The same, but only the capacity is asked for. */
void scsi_probe_capacity(struct scsi_blk *sb, void (*ended)(struct scsi_blk *sb, const char *why));

/* Make haste: ended() comes soon, maybe within the call. */
void scsi_probe_stop(struct scsi_blk *sb);

#endif
