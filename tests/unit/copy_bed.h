/*
 * Two units on one worker, for tests of EXTENDED COPY: "bed", which the commands go to, and a
 * neighbour with blocks of another length, which is mapped to nexus a of bed and not to nexus
 * b. And parameter lists that copy between them.
 */
#ifndef COPY_BED_H
#define COPY_BED_H

#include "disk_bed.h"

#define NEIGHBOUR_BLOCKS	256u
#define NEIGHBOUR_BLOCK		4096u

/* A unit beside bed's, on the same loop. */
struct neighbour {
	struct blk_store store;
	struct blk_shared shared;
	struct blk_double device;
	struct lu_shared *lu_shared;
	struct scsi_lu *lu;
};

extern struct disk_bed bed;
extern struct neighbour neighbour;

/* bed's medium is full of bytes that differ, its neighbour's of zeroes. */
void copy_bed_init(void);
void copy_bed_free(void);

enum {
	LIST_HEADER_LEN = 16, LIST_CSCD_LEN = 32, LIST_BLOCKS_LEN = 28, LIST_BYTES_LEN = 32,
	LIST_SEGMENTS = LIST_HEADER_LEN + 2 * LIST_CSCD_LEN,	/* where they begin */
};

/* A parameter list; tests may change what is there. */
struct param_list {
	uint8_t wire[2048];
	size_t len;
};

extern struct param_list list;
/* The nexus may not write to the neighbour. */
extern bool neighbour_read_only;

/* CSCD 0 is bed, CSCD 1 its neighbour; more may follow before the segments do. */
void list_begin(uint8_t list_id);
void list_cscd(uint64_t naa, uint32_t block_len);

/* A segment of which all but its header is zero; returns where it is. */
uint8_t *list_segment(uint8_t type, size_t len, uint16_t source, uint16_t destination);

/* Blocks of the source's, or with dc = 2 of the destination's. */
void list_blocks(uint8_t dc, uint16_t source, uint64_t from, uint16_t destination, uint64_t to,
		 uint16_t blocks);
void list_bytes(uint16_t source, uint64_t from, uint16_t from_offset, uint16_t destination,
		uint64_t to, uint16_t to_offset, uint32_t bytes);

/* EXTENDED COPY of the list, ready to start. */
void copy_init(struct command *command);
void copy_do(struct command *command);

/* Are the bytes of bed and of its neighbour alike? */
bool is_copied(uint64_t from, uint64_t to, size_t len);

/* COPY ABORTED, at that segment. */
bool aborted_at(const struct command *command, uint32_t reason, uint32_t segment);

#endif
