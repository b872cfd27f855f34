/*
 * Addresses as text, and portals as an initiator can use them (RFC 7143 §13.8).
 */
#ifndef TARGET_PORTAL_H
#define TARGET_PORTAL_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "access.h"
#include "keys.h"

#define TARGET_ADDRESS_LEN	64		/* "[v6 address]:port", terminated */

union target_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

/* "192.0.2.1:860" of the peer of a socket, "?" for what has no such address. */
void target_portal_peer(int fd, char text[TARGET_ADDRESS_LEN]);

/* The peer's address; NULL: it has none. */
const struct sockaddr *target_portal_from(int fd, union target_address *address);

/* TargetAddress for every portal of the group that the peer of "fd" can use. */
void target_portal_put(const struct access_portal_group *group, int fd, struct key_text *out);

/* What it writes, at most; in bytes. */
size_t target_portal_room(const struct access_portal_group *group);

#endif
