/*
 * Targets of a snapshot (access.h): by which portals they are reached, and what is found there.
 */
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "access_private.h"
#include "keys.h"

/* ---- building */

static const char *add_map(struct access_target *target, const struct access_portal_group *group,
			   char *initiator, struct access_map **map)
{
	struct access_map **maps = access_room(target->maps, target->map_count, sizeof(*maps));

	if (!maps)
		return access_no_memory;
	target->maps = maps;
	*map = calloc(1, sizeof(**map));
	if (!*map)
		return access_no_memory;
	(*map)->initiator = initiator;
	(*map)->group = group;
	maps[target->map_count++] = *map;
	return NULL;
}

static struct access_target *new_target(struct access *access, char *name)
{
	struct access_target **targets =
		access_room(access->targets, access->target_count, sizeof(*targets));
	struct access_target *target = targets ? calloc(1, sizeof(*target)) : NULL;

	if (targets)
		access->targets = targets;
	if (!target)
		return NULL;
	target->name = name;
	targets[access->target_count++] = target;
	return target;
}

const char *access_add_target(struct access *access, const char *name,
			      const struct access_auth_group *auth, struct access_target **target)
{
	struct access_map *everybodys;
	const char *why;
	char *copy = access_copy_name(name, &why);

	if (!copy)
		return why;
	if (access_find_target(access, copy)) {
		free(copy);
		return "there is a target of this name";
	}
	*target = new_target(access, copy);
	if (!*target) {
		free(copy);
		return access_no_memory;
	}
	(*target)->auth = auth;
	return add_map(*target, NULL, NULL, &everybodys);
}

const char *access_set_alias(struct access_target *target, const char *alias)
{
	char *copy;

	if (!*alias || strlen(alias) > KEY_VALUE_MAX)
		return "an alias is 1 to 255 bytes long";
	copy = strdup(alias);
	if (!copy)
		return access_no_memory;
	free(target->alias);
	target->alias = copy;
	return NULL;
}

const char *access_redirect_target(struct access_target *target, enum access_redirect how,
				   const char *to)
{
	return access_set_redirect(how, to, &target->redirect, &target->redirect_to);
}

const char *access_add_entrance(struct access_target *target,
				const struct access_portal_group *group,
				const struct access_auth_group *auth)
{
	struct access_entrance *entrances;

	if (access_find_entrance(target, group->tag))
		return "the target is in this portal group already";
	entrances = access_room(target->entrances, target->entrance_count, sizeof(*entrances));
	if (!entrances)
		return access_no_memory;
	target->entrances = entrances;
	entrances[target->entrance_count++] =
		(struct access_entrance){ group, auth ? auth : target->auth };
	return NULL;
}

static bool has_map(const struct access_target *target, const struct access_portal_group *group,
		    const char *initiator)
{
	for (unsigned i = 0; i < target->map_count; i++) {
		const char *known = target->maps[i]->initiator;

		if (target->maps[i]->group == group &&
		    (known && initiator ? strcmp(known, initiator) == 0 : known == initiator))
			return true;
	}
	return false;
}

const char *access_add_map(struct access_target *target, const struct access_portal_group *group,
			   const char *initiator, struct access_map **map)
{
	const char *why = NULL;
	char *copy = initiator ? access_copy_name(initiator, &why) : NULL;

	if (why)
		return why;
	why = has_map(target, group, copy) ? "there is a map for this initiator"
					   : add_map(target, group, copy, map);
	if (why)
		free(copy);
	return why;
}

const char *access_add_lun(struct access_map *map, unsigned number, struct export *export,
			   bool read_only)
{
	struct access_lun *luns;
	unsigned at = map->count;

	if (number > LUN_MAX)
		return "a LUN is 0 to 16383";
	for (unsigned i = 0; i < map->count; i++) {
		if (map->luns[i].number == number)
			return "the LUN is taken";
		/* To hosts, one unit at two LUNs of a target is two paths to one, or nonsense. */
		if (map->luns[i].export == export)
			return "the device has another LUN of this target";
	}
	luns = access_room(map->luns, map->count, sizeof(*luns));
	if (!luns)
		return access_no_memory;
	map->luns = luns;
	for (; at > 0 && luns[at - 1].number > number; at--)
		luns[at] = luns[at - 1];
	luns[at] = (struct access_lun){ (uint16_t)number, read_only, export };
	map->count++;
	return NULL;
}

static void free_map(struct access_map *map)
{
	free(map->initiator);
	free(map->luns);
	free(map);
}

void access_free_target(struct access_target *target)
{
	for (unsigned i = 0; i < target->map_count; i++)
		free_map(target->maps[i]);
	free(target->maps);
	free(target->entrances);
	free(target->redirect_to);
	free(target->alias);
	free(target->name);
	free(target);
}

/* ---- finding */

const struct access_target *access_find_target(const struct access *access, const char *name)
{
	for (unsigned i = 0; i < access->target_count; i++)
		if (strcmp(access->targets[i]->name, name) == 0)
			return access->targets[i];
	return NULL;
}

const struct access_entrance *access_find_entrance(const struct access_target *target,
						   uint16_t tag)
{
	for (unsigned i = 0; i < target->entrance_count; i++)
		if (target->entrances[i].group->tag == tag)
			return &target->entrances[i];
	return NULL;
}

const struct access_map *access_map_of(const struct access_target *target,
				       const struct access_portal_group *group,
				       const char *initiator)
{
	const struct access_map *best = target->maps[0];
	unsigned best_fit = 0;

	for (unsigned i = 1; i < target->map_count; i++) {
		const struct access_map *map = target->maps[i];
		unsigned fit = (map->group ? 2 : 0) + (map->initiator ? 1 : 0);

		if (fit > best_fit && (!map->group || map->group == group) &&
		    (!map->initiator || strcmp(map->initiator, initiator) == 0)) {
			best = map;
			best_fit = fit;
		}
	}
	return best;
}

static bool map_shows(const struct access_map *map, const struct export *export)
{
	for (unsigned i = 0; i < map->count; i++)
		if (map->luns[i].export == export)
			return true;
	return false;
}

bool access_shows(const struct access_target *target, const struct access_portal_group *group,
		  const struct export *export)
{
	const struct access_map *ordinary = access_map_of(target, group, "");

	for (unsigned i = 0; i < target->map_count; i++) {
		const struct access_map *map = target->maps[i];

		/* Where a group has LUNs of its own, what is said of others does not hold. */
		if ((map == ordinary || (map->initiator && (map->group == group ||
							    (!map->group && !ordinary->group)))) &&
		    map_shows(map, export))
			return true;
	}
	return false;
}

static int by_number(const void *key, const void *item)
{
	unsigned number = *(const unsigned *)key;
	const struct access_lun *lun = item;

	return number < lun->number ? -1 : number > lun->number;
}

const struct access_lun *access_find_lun(const struct access_map *map, unsigned number)
{
	/* Most maps begin at 0 and have no holes. */
	if (number < map->count && map->luns[number].number == number)
		return &map->luns[number];
	return map->count ? bsearch(&number, map->luns, map->count, sizeof(*map->luns), by_number)
			  : NULL;
}
