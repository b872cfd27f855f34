/*
 * What the NBD server serves, and to whom: exports by name. A snapshot, as access.h is for
 * the iSCSI target: built by the main thread, immutable from the moment that a worker has
 * it, counted by those who look at it; it comes into force in the same steps (WORKER_EXPORTS).
 *
 * A client that has chosen an export stays as long as an export of that name is still there,
 * stands for the same device, is neither more nor less writable, and may still be seen by
 * that client; and goes on with the new snapshot. Else its requests in flight finish, and
 * the connection ends.
 */
#ifndef NBD_EXPORTS_H
#define NBD_EXPORTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access.h"

struct nbd_export {
	char *name;			/* UTF-8, at most 4096 bytes */
	char *description;		/* NULL: what the device says */
	bool  read_only;		/* beside export->read_only */
	bool  tls_only;			/* SELECTIVETLS: only clients with TLS see it */
	char **allow;			/* distinguished names (RFC 4514); none: whoever comes in */
	unsigned allow_count;
	bool  own_doors;		/* it is only seen by these, which no other export is seen by unless it
					 * says so; else by all others */
	uint16_t *doors;
	unsigned door_count;
	struct access_auth_group from;	/* nameless, of whose conditions only the addresses hold */
	struct export *export;
};

struct nbd_exports {
	atomic_uint holders;
	struct nbd_export **list;	/* the first at a door is the default export there, too */
	unsigned count;
	uint16_t *reserved;		/* doors of exports with doors of their own, and of no others */
	unsigned reserved_count;
};

/* With one hold, the caller's. NULL without memory. */
struct nbd_exports *nbd_exports_new(void);

/* From any thread. */
struct nbd_exports *nbd_exports_hold(struct nbd_exports *exports);
void nbd_exports_drop(struct nbd_exports *exports);	/* NULL is ignored */

/* Main thread, before anybody else has the snapshot. NULL, or why not: static text. */
const char *nbd_exports_add(struct nbd_exports *exports, const char *name, struct export *export,
			    struct nbd_export **added);
/* NULL, or why not. */
const char *nbd_export_allow(struct nbd_export *export, const char *distinguished_name);
/* An address, or ADDRESS/BITS, from which clients may come; none: from anywhere. */
const char *nbd_export_allow_from(struct nbd_export *export, const char *text);
const char *nbd_export_describe(struct nbd_export *export, const char *description);

/*
 * A door is where clients come in, a listener: front.c numbers them, from 1, and 0 is none of them.
 * From now on clients of this door see the export, which has doors of its own; or see only such
 * exports as have this door. NULL, or why not.
 */
const char *nbd_export_add_door(struct nbd_export *export, uint16_t door);
const char *nbd_exports_reserve(struct nbd_exports *exports, uint16_t door);

/* Does this door lead to the export? */
bool nbd_exports_leads(const struct nbd_exports *exports, uint16_t door,
		       const struct nbd_export *export);

/* What this door leads to without a name. NULL: nothing. */
const struct nbd_export *nbd_exports_default(const struct nbd_exports *exports, uint16_t door);

/* By name. NULL when there is no such export. */
const struct nbd_export *nbd_exports_find(const struct nbd_exports *exports, const char *name,
					  size_t len);

#endif
