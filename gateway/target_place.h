/*
 * Where a login leads to in a snapshot of access rules (access.h), or why it leads nowhere.
 */
#ifndef TARGET_PLACE_H
#define TARGET_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "lu.h"

/* Status-Class << 8 | Status-Detail, RFC 7143 §11.13.5 */
enum login_status {
	LOGIN_OK = 0x0000,
	LOGIN_REDIRECT = 0x0100,	/* | enum access_redirect */
	LOGIN_INITIATOR_ERROR = 0x0200,
	LOGIN_AUTHENTICATION_FAILURE = 0x0201,
	LOGIN_FORBIDDEN = 0x0202,
	LOGIN_NOT_FOUND = 0x0203,
	LOGIN_UNSUPPORTED_VERSION = 0x0205,
	LOGIN_TOO_MANY_CONNECTIONS = 0x0206,
	LOGIN_MISSING_PARAMETER = 0x0207,
	LOGIN_SESSION_TYPE = 0x0209,
	LOGIN_NO_SESSION = 0x020a,
	LOGIN_SERVICE_UNAVAILABLE = 0x0301,
	LOGIN_OUT_OF_RESOURCES = 0x0302,
};

/* All of it lies in the snapshot, and is there as long as that is held. */
struct target_place {
	const struct access_portal_group *group;
	const struct access_target *target;	/* NULL: discovery */
	const struct access_auth_group *auth;	/* never NULL where the login leads somewhere */
};

/*
 * Where who has these names, and is at the other end of "fd", gets to by the portal group
 * with this tag, authentication apart. LOGIN_OK, or why not; with LOGIN_REDIRECT,
 * *redirect_to says where instead.
 */
enum login_status target_place_find(const struct access *access, uint16_t group,
				    const struct nexus *who, bool discovery, int fd,
				    struct target_place *place, const char **redirect_to);

#endif
