/*
 * What an open asks of the unit.
 */
#ifndef INITIATOR_PROBE_H
#define INITIATOR_PROBE_H

#include <stdint.h>

#include "cdb.h"
#include "lu.h"
#include "scsi_data.h"

struct initiator;

/* The questions that an open asks of the unit. */
struct probe {
	struct scsi_task task;
	enum cdb_id asking;
	uint8_t	 wire[CDB_MAX_LEN];
	uint8_t	 data[INQUIRY_LEN];	/* the longest of the answers */
	unsigned tries;
};

/* initiator_probe.c: ends in initiator_opened() or initiator_give_up(). */
void probe_start(struct initiator *ini);

#endif
