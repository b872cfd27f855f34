/*
 * Where a login leads: the target that it names, by the portal group that it came to, as far
 * as the access rules let it.
 *
 * Called by login, and again for who is there when other rules come into force. Keeps nothing.
 */
#include "target_place.h"

#include "target_portal.h"

static enum login_status redirected(enum access_redirect how, const char *to,
				    const char **redirect_to)
{
	*redirect_to = to;
	return (enum login_status)(LOGIN_REDIRECT | how);
}

/* It is known and may be used. Is it here? */
static enum login_status find_target_itself(const struct target_place *place,
					    const char **redirect_to)
{
	const struct access_portal_group *group = place->group;
	const struct access_target *target = place->target;

	if (target->offline)
		return LOGIN_SERVICE_UNAVAILABLE;
	if (target->redirect != ACCESS_STAY)
		return redirected(target->redirect, target->redirect_to, redirect_to);
	if (group->redirect != ACCESS_STAY)
		return redirected(group->redirect, group->redirect_to, redirect_to);
	return LOGIN_OK;
}

enum login_status target_place_find(const struct access *access, uint16_t group,
				    const struct nexus *who, bool discovery, int fd,
				    struct target_place *place, const char **redirect_to)
{
	const struct access_entrance *entrance = NULL;
	union target_address address;
	const struct sockaddr *from = target_portal_from(fd, &address);

	*place = (struct target_place){ .group = access_find_portal_group(access, group) };
	/* The connection came to a portal that has been closed since. */
	if (!place->group)
		return LOGIN_SERVICE_UNAVAILABLE;
	if (!discovery) {
		place->target = access_find_target(access, who->target_name);
		if (place->target)
			entrance = access_find_entrance(place->target, group);
		if (!entrance)
			return LOGIN_NOT_FOUND;
	}
	place->auth = discovery ? place->group->discovery_auth : entrance->auth;
	if (!access_admits_address(place->auth, from)
	    || !access_admits_name(place->auth, who->initiator_name))
		return LOGIN_FORBIDDEN;
	return discovery ? LOGIN_OK : find_target_itself(place, redirect_to);
}
