/*
 * From the name of a portal to a connected socket.
 */
#ifndef INITIATOR_CONNECT_H
#define INITIATOR_CONNECT_H

#include <stdbool.h>

#include "initiator.h"
#include "offload.h"

#define PORTALS_MAX	16		/* given, and found out */

struct addrinfo;
struct initiator;

/* getaddrinfo() on a helper thread: no other member is touched there. */
struct resolver {
	struct offload_job job;
	bool	 pending;
	struct iscsi_portal portal;	/* where this attempt goes: one of ours, or a redirect's */
	struct addrinfo *found;		/* freed when the attempt ends */
	int	 error;			/* of getaddrinfo() */
};

/* initiator_connect.c: resolve, connect; ends in login_start() or recover_attempt_failed(). */
void connect_start(struct initiator *ini);
/* Drop what connect_start() has under way (all but a getaddrinfo() that runs). */
void connect_cancel(struct initiator *ini);
/* The next attempt, if permanent all of them, goes to "host[:port][,tag]" (RFC 7143 §13.8).
 * False if that is malformed. */
bool connect_redirect(struct initiator *ini, const char *address, bool permanent);
/* Another portal of our target, for when those that there are fail. */
void connect_add_portal(struct initiator *ini, const struct iscsi_portal *portal);

#endif
