/*
 * The one translation between the three planes of failure: a block request's
 * errno, a SCSI command's status and sense, and the error number of an NBD
 * reply. One table, read both ways.
 *
 * Pure functions on memory.
 */
#ifndef ERRMAP_H
#define ERRMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "sense.h"

/* Error numbers of NBD replies (NBD proto.md, "Error values"): Linux's, on every system. */
enum nbd_error {
	NBD_SUCCESS = 0,
	NBD_EPERM = 1,
	NBD_EIO = 5,
	NBD_ENOMEM = 12,
	NBD_EINVAL = 22,
	NBD_ENOSPC = 28,
	NBD_EOVERFLOW = 75,
	NBD_ENOTSUP = 95,
	NBD_ESHUTDOWN = 108,
};

/* What a failed command asks of whoever sent it. */
enum errmap_action {
	ERRMAP_OK,		/* GOOD, CONDITION MET, RECOVERED ERROR */
	ERRMAP_FAIL,		/* report it: *err is the errno */
	ERRMAP_RETRY,		/* UNIT ATTENTION, ABORTED COMMAND, 04/01, 04/0A: once more, soon */
	ERRMAP_BACK_OFF,	/* BUSY, TASK SET FULL, …: once more, later, and with fewer */
	ERRMAP_UNSUPPORTED,	/* 1A/00, 20/00, 24/00, 26/00: this device cannot do it that way */
	ERRMAP_PATH,		/* 04/0B, 04/0C: another path may */
};

enum errmap_kind { ERRMAP_READ, ERRMAP_WRITE, ERRMAP_FLUSH, ERRMAP_OTHER };

/*
 * Judge a finished SCSI command. "sense" may be NULL when there was none. *err
 * gets a positive errno that fits if the command is given up now (0 for
 * ERRMAP_OK): EIO, EPERM, ENOSPC, EINVAL, EILSEQ (a miscompare). LBA OUT OF RANGE
 * is ENOSPC for writes and EINVAL for all else.
 */
enum errmap_action errmap_scsi(uint8_t status, const struct sense *sense,
			       enum errmap_kind kind, int *err);

/* The sense reason for a block request that failed with a positive errno. */
uint32_t errmap_sense(int err, enum errmap_kind kind);

/*
 * The status to answer instead of CHECK CONDITION for an errno that is passing
 * (ENOMEM: TASK SET FULL); STATUS_CHECK_CONDITION when sense is right.
 */
uint8_t errmap_status(int err);

/*
 * The NBD error number for an errno, and back; 0 is success in both. An errno without
 * a number of its own is NBD_EIO; a number that proto.md does not define is EINVAL.
 */
uint32_t errmap_nbd(int err);
int errmap_from_nbd(uint32_t nbd_error);

#endif
