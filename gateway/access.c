/*
 * Building a snapshot of what the target serves, and to whom, and its end; see access.h.
 * What is asked of it later is in access_find.c.
 */
#include "access.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "access_private.h"
#include "keys.h"

static const char no_memory[] = "out of memory";

/* The array with room for one item more: it grows when its count is a power of two. NULL: no
 * memory, and it is as it was. */
static void *room(void *array, unsigned count, size_t item)
{
	if (count & (count - 1))
		return array;
	return realloc(array, (count ? 2 * (size_t)count : 1) * item);
}

/* An iSCSI name in lower case. NULL, with a reason. */
static char *copy_name(const char *name, const char **why)
{
	char *copy = strdup(name);

	*why = copy ? NULL : no_memory;
	for (char *p = copy; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (copy)
		*why = iscsi_name_refusal(copy);
	if (!*why || !copy)
		return copy;
	free(copy);
	return NULL;
}

struct access *access_new(void)
{
	struct access *access = calloc(1, sizeof(*access));

	if (access)
		atomic_init(&access->holders, 1);
	return access;
}

struct access *access_hold(struct access *access)
{
	atomic_fetch_add_explicit(&access->holders, 1, memory_order_relaxed);
	return access;
}

/* ---- the end */

static void free_secret(const struct chap_secret *secret)
{
	/* It is ours, and constant only to those who log in. */
	if (secret)
		chap_secret_wipe((struct chap_secret *)(uintptr_t)secret);
	free((void *)(uintptr_t)secret);
}

static void free_user(struct chap_user *user)
{
	free((void *)(uintptr_t)user->name);
	free((void *)(uintptr_t)user->mutual_name);
	free_secret(user->secret);
	free_secret(user->mutual_secret);
}

static void free_texts(char **texts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

static void free_auth_group(struct access_auth_group *group)
{
	for (unsigned i = 0; i < group->user_count; i++)
		free_user(&group->users[i]);
	free(group->users);
	free_texts(group->initiators, group->initiator_count);
	free(group->prefixes);
	free(group->name);
	free(group);
}

static void free_portal_group(struct access_portal_group *group)
{
	free_texts(group->portals, group->portal_count);
	free(group->redirect_to);
	free(group->name);
	free(group);
}

static void free_map(struct access_map *map)
{
	free(map->initiator);
	free(map->luns);
	free(map);
}

static void free_target(struct access_target *target)
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

void access_drop(struct access *access)
{
	if (!access || atomic_fetch_sub_explicit(&access->holders, 1, memory_order_acq_rel) > 1)
		return;
	for (unsigned i = 0; i < access->target_count; i++)
		free_target(access->targets[i]);
	for (unsigned i = 0; i < access->portal_group_count; i++)
		free_portal_group(access->portal_groups[i]);
	for (unsigned i = 0; i < access->auth_group_count; i++)
		free_auth_group(access->auth_groups[i]);
	free(access->targets);
	free(access->portal_groups);
	free(access->auth_groups);
	free(access);
}

/* ---- auth groups */

const char *access_add_auth_group(struct access *access, const char *name, enum access_auth auth,
				  struct access_auth_group **group)
{
	struct access_auth_group **groups;

	if (access_find_auth_group(access, name))
		return "there is an auth group of this name";
	groups = room(access->auth_groups, access->auth_group_count, sizeof(*groups));
	if (!groups)
		return no_memory;
	access->auth_groups = groups;
	*group = calloc(1, sizeof(**group));
	if (!*group)
		return no_memory;
	groups[access->auth_group_count++] = *group;
	(*group)->auth = auth;
	(*group)->name = strdup(name);
	return (*group)->name ? NULL : no_memory;
}

static bool copy_secret(const struct chap_secret *secret, const struct chap_secret **copy)
{
	struct chap_secret *c = secret ? malloc(sizeof(*c)) : NULL;

	if (c)
		*c = *secret;
	*copy = c;
	return c || !secret;
}

static bool copy_text(const char *text, const char **copy)
{
	*copy = text ? strdup(text) : NULL;
	return *copy || !text;
}

/* Nobody proves himself with a secret by which the target does, whichever of them came first. */
static const char *find_refusal(const struct access_auth_group *group)
{
	const char *why = NULL;

	for (unsigned i = 0; i < group->user_count && !why; i++)
		why = chap_user_refusal(&group->users[i], group->users, group->user_count);
	return why;
}

const char *access_add_user(struct access_auth_group *group, const char *name,
			    const struct chap_secret *secret, const char *mutual_name,
			    const struct chap_secret *mutual_secret)
{
	struct chap_user *users, *user;

	assert(group->auth == ACCESS_CHAP && !mutual_name == !mutual_secret);
	for (unsigned i = 0; i < group->user_count; i++)
		if (strcmp(group->users[i].name, name) == 0)
			return "there is a user of this name in the auth group";
	users = room(group->users, group->user_count, sizeof(*users));
	if (!users)
		return no_memory;
	group->users = users;
	user = &users[group->user_count++];
	*user = (struct chap_user){ 0 };
	if (!copy_text(name, &user->name) || !copy_text(mutual_name, &user->mutual_name) ||
	    !copy_secret(secret, &user->secret) ||
	    !copy_secret(mutual_secret, &user->mutual_secret)) {
		free_user(&users[--group->user_count]);
		return no_memory;
	}
	return find_refusal(group);
}

const char *access_add_initiator(struct access_auth_group *group, const char *name)
{
	char **initiators = room(group->initiators, group->initiator_count, sizeof(*initiators));
	const char *why;
	char *copy;

	if (!initiators)
		return no_memory;
	group->initiators = initiators;
	copy = copy_name(name, &why);
	if (copy)
		initiators[group->initiator_count++] = copy;
	return why;
}

const char *access_add_prefix(struct access_auth_group *group, const char *text)
{
	struct access_prefix *prefixes = room(group->prefixes, group->prefix_count, sizeof(*prefixes));

	if (!prefixes)
		return no_memory;
	group->prefixes = prefixes;
	if (!access_prefix_parse(text, &prefixes[group->prefix_count]))
		return "not an address, nor ADDRESS/BITS";
	group->prefix_count++;
	return NULL;
}

/* ---- portal groups */

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
	groups = room(access->portal_groups, access->portal_group_count, sizeof(*groups));
	if (!groups)
		return no_memory;
	access->portal_groups = groups;
	*group = calloc(1, sizeof(**group));
	if (!*group)
		return no_memory;
	groups[access->portal_group_count++] = *group;
	(*group)->tag = tag;
	(*group)->discovery_auth = discovery_auth;
	(*group)->filter = ACCESS_FILTER_NAME;
	(*group)->name = strdup(name);
	return (*group)->name ? NULL : no_memory;
}

static const char *set_redirect(enum access_redirect how, const char *to,
				enum access_redirect *redirect, char **redirect_to)
{
	char *copy;

	/* RFC 7143 §13.8; that it is one is the initiator's to find out, but it must fit in a key. */
	if (!*to || strlen(to) > KEY_VALUE_MAX)
		return "not an address to redirect to: host[:port]";
	copy = strdup(to);
	if (!copy)
		return no_memory;
	free(*redirect_to);
	*redirect = how;
	*redirect_to = copy;
	return NULL;
}

const char *access_redirect_group(struct access_portal_group *group, enum access_redirect how,
				  const char *to)
{
	return set_redirect(how, to, &group->redirect, &group->redirect_to);
}

const char *access_add_portal(struct access_portal_group *group, const char *bound)
{
	char **portals = room(group->portals, group->portal_count, sizeof(*portals));

	if (!portals)
		return no_memory;
	group->portals = portals;
	portals[group->portal_count] = strdup(bound);
	if (!portals[group->portal_count])
		return no_memory;
	group->portal_count++;
	return NULL;
}

/* ---- targets */

static const char *add_map(struct access_target *target, const struct access_portal_group *group,
			   char *initiator, struct access_map **map)
{
	struct access_map **maps = room(target->maps, target->map_count, sizeof(*maps));

	if (!maps)
		return no_memory;
	target->maps = maps;
	*map = calloc(1, sizeof(**map));
	if (!*map)
		return no_memory;
	(*map)->initiator = initiator;
	(*map)->group = group;
	maps[target->map_count++] = *map;
	return NULL;
}

static struct access_target *new_target(struct access *access, char *name)
{
	struct access_target **targets =
		room(access->targets, access->target_count, sizeof(*targets));
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
	char *copy = copy_name(name, &why);

	if (!copy)
		return why;
	if (access_find_target(access, copy)) {
		free(copy);
		return "there is a target of this name";
	}
	*target = new_target(access, copy);
	if (!*target) {
		free(copy);
		return no_memory;
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
		return no_memory;
	free(target->alias);
	target->alias = copy;
	return NULL;
}

const char *access_redirect_target(struct access_target *target, enum access_redirect how,
				   const char *to)
{
	return set_redirect(how, to, &target->redirect, &target->redirect_to);
}

const char *access_add_entrance(struct access_target *target,
				const struct access_portal_group *group,
				const struct access_auth_group *auth)
{
	struct access_entrance *entrances;

	if (access_find_entrance(target, group->tag))
		return "the target is in this portal group already";
	entrances = room(target->entrances, target->entrance_count, sizeof(*entrances));
	if (!entrances)
		return no_memory;
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
	char *copy = initiator ? copy_name(initiator, &why) : NULL;

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
	luns = room(map->luns, map->count, sizeof(*luns));
	if (!luns)
		return no_memory;
	map->luns = luns;
	for (; at > 0 && luns[at - 1].number > number; at--)
		luns[at] = luns[at - 1];
	luns[at] = (struct access_lun){ (uint16_t)number, read_only, export };
	map->count++;
	return NULL;
}
