/*
 * iSCSI over a fuzz_peer: PDUs made of what the fuzzer invents, and the headers of those
 * that the end under test sends.
 */
#ifndef FUZZ_PDU_H
#define FUZZ_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bhs.h"
#include "fuzz.h"
#include "fuzz_peer.h"

struct fuzz_pdus {
	struct fuzz_peer peer;
	bool	 header_digest, data_digest;	/* of all but login PDUs, in both directions */
	/* The header of a PDU from the end under test. Nothing may be said from here. */
	void   (*got)(struct fuzz_pdus *, const struct bhs *);
	/* fuzz_pdu.c's: what of the PDU being heard is still to come */
	uint8_t	 header[BHS_LEN];
	size_t	 have, skip;
	/* ... and what is to be said together with the next PDU */
	uint8_t	 batch[16384];
	size_t	 batch_len;
};

/* A PDU of the input. The first byte says how much of it is the fuzzer's own: */
enum {
	PDU_RAW = 1,		/* bytes, as they are */
	PDU_OWN_LENGTH = 2,	/* not the DataSegmentLength of the data that follows */
	PDU_OWN_NUMBERS = 4,	/* CmdSN, StatSN and the like */
	PDU_OWN_TAGS = 8,	/* ITT, TTT */
	PDU_BAD_DIGEST = 16,
	PDU_LATER = 32,		/* some seconds after what was said before, where time is ours */
	PDU_TOGETHER = 64,	/* the next one follows before the other end can do anything */
	PDU_ELSEWHERE = 128,	/* by another connection, where there may be several */
};

struct fuzz_record {
	uint8_t	 how;
	uint8_t	 wire[BHS_LEN];
	const uint8_t *data;
	size_t	 len;
};

void fuzz_pdus_init(struct fuzz_pdus *p, struct loop *loop);

/* The next of the input. False at its end. */
bool fuzz_record_read(struct fuzz_input *in, struct fuzz_record *r);

/* Say it, and let the other end deal with it. */
void fuzz_record_say(struct fuzz_pdus *p, struct fuzz_record *r);

/* All is said. */
void fuzz_pdus_end(struct fuzz_pdus *p);

/* The same for a PDU of our own. */
void fuzz_pdu_say(struct fuzz_pdus *p, struct bhs *b, const void *data, uint32_t len);

#endif
