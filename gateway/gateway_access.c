/* The access rules of a command line; see gateway_access.h. */
#include "gateway_access.h"

#include <stddef.h>

static const char *add_portals(struct access_portal_group *group, const struct front *front)
{
	const char *why = NULL;

	for (unsigned i = 0; i < front->count && !why; i++)
		if (front->listeners[i]->group == group->tag)
			why = access_add_portal(group, front->listeners[i]->text);
	return why;
}

static const char *add_devices(struct access_map *map, const struct export_table *exports)
{
	const char *why = NULL;

	for (unsigned i = 0; i < exports->count && !why; i++)
		why = access_add_lun(map, exports->export[i].lun, &exports->export[i],
				     exports->export[i].read_only);
	return why;
}

static const char *fill(struct access *access, const struct conf *conf,
			const struct export_table *exports, const struct front *front)
{
	struct access_auth_group *everybody;
	struct access_portal_group *group;
	struct access_target *target;
	const char *why;

	why = access_add_auth_group(access, "no-authentication", ACCESS_OPEN, &everybody);
	if (!why)
		why = access_add_portal_group(access, "default", FRONT_GROUP, everybody, &group);
	if (!why)
		why = add_portals(group, front);
	if (!why)
		why = access_add_target(access, conf->target, everybody, &target);
	if (!why)
		why = access_add_entrance(target, group, NULL);
	return why ? why : add_devices(target->maps[0], exports);
}

struct access *gateway_access(const struct conf *conf, const struct export_table *exports,
			      const struct front *front)
{
	struct access *access = access_new();

	/* The command line was found to be right; all that can be wrong is memory. */
	if (access && !fill(access, conf, exports, front))
		return access;
	access_drop(access);
	return NULL;
}
