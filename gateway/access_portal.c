/*
 * Portal groups of a snapshot (access.h): where initiators come to.
 */
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "access_private.h"

const char *access_add_portal_group(struct access *access, const char *name, uint16_t tag,
				    const struct access_auth_group *discovery_auth,
				    struct access_portal_group **group)
{
	struct access_portal_group **groups;

	for (unsigned i = 0; i < access->portal_group_count; i++)
		if (strcmp(access->portal_groups[i]->name, name) == 0)
			return "there is a portal group of this name";
	/* 0 stands for NBD where connections are handed over, and is no relative target port. */
	if (tag == 0)
		return "a portal group's tag is 1 to 65535";
	if (access_find_portal_group(access, tag))
		return "there is a portal group with this tag";
	groups = access_room(access->portal_groups, access->portal_group_count, sizeof(*groups));
	if (!groups)
		return access_no_memory;
	access->portal_groups = groups;
	*group = calloc(1, sizeof(**group));
	if (!*group)
		return access_no_memory;
	groups[access->portal_group_count++] = *group;
	(*group)->tag = tag;
	(*group)->discovery_auth = discovery_auth;
	(*group)->filter = ACCESS_FILTER_NAME;
	(*group)->name = strdup(name);
	return (*group)->name ? NULL : access_no_memory;
}

const char *access_redirect_group(struct access_portal_group *group, enum access_redirect how,
				  const char *to)
{
	return access_set_redirect(how, to, &group->redirect, &group->redirect_to);
}

const char *access_add_portal(struct access_portal_group *group, const char *bound)
{
	char **portals = access_room(group->portals, group->portal_count, sizeof(*portals));

	if (!portals)
		return access_no_memory;
	group->portals = portals;
	portals[group->portal_count] = strdup(bound);
	if (!portals[group->portal_count])
		return access_no_memory;
	group->portal_count++;
	return NULL;
}

void access_free_portal_group(struct access_portal_group *group)
{
	access_free_texts(group->portals, group->portal_count);
	free(group->redirect_to);
	free(group->name);
	free(group);
}

const struct access_portal_group *access_find_portal_group(const struct access *access,
							   uint16_t tag)
{
	for (unsigned i = 0; i < access->portal_group_count; i++)
		if (access->portal_groups[i]->tag == tag)
			return access->portal_groups[i];
	return NULL;
}
