/*
 * The logical units of a target: REPORT LUNS (SPC-4 §6.33), asked of any of them.
 *
 * For whoever is given a target and not a unit of it: the plugin's list of exports,
 * the daemon's discovery.
 */
#ifndef SCSI_LUNS_H
#define SCSI_LUNS_H

#include <stdint.h>

#include "lu.h"

#define SCSI_LUNS_MAX	256	/* that are told of; a longer list is cut, with a warning */

/*
 * luns[count], ascending, each once, valid during the call; LUNs that a URL cannot
 * name (lun_decode()) are left out. Or NULL and why, in one line.
 */
typedef void scsi_luns_listed(void *opaque, const uint16_t *luns, unsigned count,
			      const char *why);

/* Ask "lu", which must not be closed before listed(). On its loop; listed() comes from there, too,
 * never inside the call. */
void scsi_luns_list(struct scsi_lu *lu, scsi_luns_listed *listed, void *opaque);

#endif
