/*
 * A logical unit of a test: blocks in memory, traits that make it like one product
 * or another, outcomes that a test injects, and a record of every CDB.
 */
#ifndef FAKE_LU_H
#define FAKE_LU_H

#include "loop.h"
#include "lu.h"
#include "scsi_data.h"

#define FAKE_RECORD	8192

/* How a unit is. Zero: a plain disk of SCSI-2 times that knows nothing optional. */
struct fake_traits {
	uint64_t blocks;
	uint32_t block_len;
	uint32_t max_transfer;		/* of the path; 0 = 1 MiB */
	uint8_t device_type, qualifier;
	bool vpd;			/* has VPD pages at all */
	const char *serial;		/* NULL = no page 80h */
	uint8_t naa[16];		/* all zero = none in page 83h */
	uint8_t naa_len;
	struct block_limits limits;
	uint16_t rotation_rate;
	uint8_t lbppbe;
	bool lbpme;
	struct provisioning provisioning;
	bool no_mode, no_caching_page, wp, dpofua, wce;
	bool rsoc, ndob;
	bool refuses[CDB_COUNT];	/* 20/00 */
	uint32_t same_unmap_max;	/* unreported limit of WRITE SAME with UNMAP=1; 0 = none */
	uint64_t bad_lba;		/* of READ, if has_bad_lba */
	bool has_bad_lba;
	unsigned paths;			/* of asymmetric access, each by a port group of its own; 0 = none */
	uint8_t states[4];		/* enum port_group_state, by path */
	/* Once in so many commands, by chance; 0 = never: */
	unsigned attention_in, busy_in, lost_in;
};

/* What the next commands with this id get instead of being executed. */
struct fake_outcome {
	enum cdb_id id;
	unsigned times;
	uint8_t status;			/* or LU_LOST */
	struct sense sense;
};

struct fake_lu {
	struct scsi_lu lu;
	struct fake_traits is;
	uint8_t *data;
	uint8_t *provisioning;		/* per block: 0 mapped, 1 deallocated, 2 anchored */
	struct fake_outcome outcomes[8];
	uint8_t *lba_status;		/* what GET LBA STATUS answers instead of the truth */
	uint32_t lba_status_len;
	uint32_t short_by;		/* bytes that READ and WRITE leave out */
	bool holds;			/* keep what comes until it may go on */
	unsigned path, detours;		/* the one that it is accessed by; how often it was changed */
	bool dead;			/* every command ends as LU_LOST */
	enum cdb_id loses_answer;	/* of the next such command, which it has carried out */
	unsigned interferes;		/* so many COMPARE AND WRITE come after another host's write: it
					 * adds one to the last byte of the block */
	unsigned most;			/* commands that it had at once */
	unsigned seed;

	struct cdb sent[FAKE_RECORD];	/* oldest first; the count goes on when it is full */
	uint8_t *sent_data[FAKE_RECORD];
	unsigned sent_count;

	struct list pending;		/* scsi_task.node */
	struct loop_call work;
};

struct fake_lu *fake_lu_new(struct loop *loop, const struct fake_traits *traits);
void fake_lu_free(struct fake_lu *fake);

/* For commands with this id, as often as said. */
void fake_inject(struct fake_lu *fake, enum cdb_id id, unsigned times, uint8_t status,
		 uint32_t reason);

/* Go on after "holds". */
void fake_go_on(struct fake_lu *fake);

/* How many commands with this id came since the record was cleared (sent_count = 0). */
unsigned fake_count(const struct fake_lu *fake, enum cdb_id id);

#endif
