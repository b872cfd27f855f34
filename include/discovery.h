/*
 * iSCSI discovery: a session of that type with one portal, which is asked for all the
 * targets that it would let us see (SendTargets, RFC 7143 appendix C).
 */
#ifndef DISCOVERY_H
#define DISCOVERY_H

#include <stdint.h>

#include "initiator.h"

struct discovered_portal {
	struct iscsi_portal portal;
	uint16_t tag;			/* of its portal group */
};

struct discovered_target {
	char name[ISCSI_NAME_MAX + 1];	/* the peer's text: printable or not */
	struct discovered_portal *portals; /* as the target lists them, at least one */
	unsigned portal_count;
};

/* targets[count], valid during the call; or NULL and why, in one line. On the loop. */
typedef void discovery_done(void *opaque, const struct discovered_target *targets, unsigned count,
			    const char *why);

/*
 * Log in to "portal", ask, and log out. Of conf, what a discovery session has no use for
 * is left aside. portal and conf are copied; offload must outlive the discovery. done()
 * comes once, never inside the call.
 */
void iscsi_discover(struct loop *loop, struct offload *offload, const struct iscsi_portal *portal,
		    const struct initiator_conf *conf, discovery_done *done, void *opaque);

#endif
