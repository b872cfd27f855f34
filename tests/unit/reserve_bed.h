/*
 * Reservations through a disk_lu: what the tests of PERSISTENT RESERVE share. One unit,
 * "bed", another worker's instance of it, "other", and the commands as bytes.
 */
#ifndef RESERVE_BED_H
#define RESERVE_BED_H

#include "disk_bed.h"

/* Types of reservation, by their initials. */
enum { WE = 1, EA = 3, WERO = 5, EARO = 6, WEAR = 7, EAAR = 8 };

/* Byte 20 of the list of PERSISTENT RESERVE OUT. */
#define LIST_LEN	24
#define APTPL		0x01
#define ALL_TG_PT	0x04
#define SPEC_I_PT	0x08

extern struct disk_bed bed, other;
extern struct command c;		/* PERSISTENT RESERVE OUT, and what a test likes */
extern struct command probe;		/* PERSISTENT RESERVE IN, hears() */

struct out {
	uint64_t key, action_key;
	uint8_t	 type, flags;
};

/* Run, however long it takes: it may be on its way to a file. */
void run(struct command *command);
void run_by(struct command *command, struct disk_bed *where, const struct nexus *nexus,
	    const struct cdb *cdb);

/* Make c a PERSISTENT RESERVE OUT with the basic parameter list. */
void out_init(struct disk_bed *where, const struct nexus *nexus, enum cdb_id action,
	      const struct out *out);

#define OUT(nexus, action, ...) \
	do { \
		out_init(&bed, nexus, CDB_PR_OUT_##action, &(struct out){ __VA_ARGS__ }); \
		run(&c); \
	} while (0)
#define GOOD_OUT(...) \
	do { \
		OUT(__VA_ARGS__); \
		CU_ASSERT(is_good(&c)); \
	} while (0)

/* PERSISTENT RESERVE IN by nexus a, into probe. */
void read_in(enum cdb_id action, uint32_t alloc_len);
#define IN(action)	read_in(CDB_PR_IN_##action, 4096)

/* A unit on which b is registered with key 2, and a, with key 1, has the reservation. */
void start_reserved(uint8_t type);

bool conflicted(const struct command *command);

/* What the nexus hears when it asks next: a sense reason, or SENSE_NONE for GOOD. */
bool hears(struct disk_bed *where, const struct nexus *nexus, uint32_t reason);

/* Is that the nexus' key, as READ FULL STATUS tells a? 0: it is not registered. Its port has
 * that number, or that of its tag. */
bool has_key_by(const struct nexus *nexus, uint16_t port, uint64_t key);
bool has_key(const struct nexus *nexus, uint64_t key);

#endif
