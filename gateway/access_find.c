/*
 * What is asked of a snapshot (access.h): where is it, and who may come in. Any thread;
 * nothing here changes anything.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "access.h"
#include "access_private.h"

/* ---- finding */

const struct access_auth_group *access_find_auth_group(const struct access *access,
						       const char *name)
{
	for (unsigned i = 0; i < access->auth_group_count; i++)
		if (strcmp(access->auth_groups[i]->name, name) == 0)
			return access->auth_groups[i];
	return NULL;
}

const struct access_portal_group *access_find_portal_group(const struct access *access,
							   uint16_t tag)
{
	for (unsigned i = 0; i < access->portal_group_count; i++)
		if (access->portal_groups[i]->tag == tag)
			return access->portal_groups[i];
	return NULL;
}

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

/* ---- addresses */

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool parse_address(char *text, struct access_prefix *prefix)
{
	size_t len = strlen(text);

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text[len - 1] = '\0';
		return inet_pton(AF_INET6, text + 1, prefix->address) == 1;
	}
	memcpy(prefix->address, v4_mapped, sizeof(v4_mapped));
	return inet_pton(AF_INET, text, prefix->address + sizeof(v4_mapped)) == 1
	       || inet_pton(AF_INET6, text, prefix->address) == 1;
}

bool access_prefix_parse(const char *text, struct access_prefix *prefix)
{
	char address[INET6_ADDRSTRLEN + 2];
	size_t len = strcspn(text, "/");
	const char *bits = text[len] ? text + len + 1 : NULL;
	unsigned most;
	char *end;

	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	most = strchr(address, ':') ? 128 : 32;
	if (!parse_address(address, prefix))
		return false;
	prefix->bits = 128;
	if (bits) {
		unsigned long n = strtoul(bits, &end, 10);

		if (*bits < '0' || *bits > '9' || *end || n > most)
			return false;
		prefix->bits = (uint8_t)(128 - most + n);
	}
	return true;
}

static bool within(const uint8_t address[16], const struct access_prefix *prefix)
{
	unsigned bytes = prefix->bits / 8, rest = prefix->bits % 8;

	if (memcmp(address, prefix->address, bytes) != 0)
		return false;
	return rest == 0 || (address[bytes] ^ prefix->address[bytes]) >> (8 - rest) == 0;
}

static bool address_of(const struct sockaddr *from, uint8_t address[16])
{
	if (from && from->sa_family == AF_INET6) {
		memcpy(address, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
	} else if (from && from->sa_family == AF_INET) {
		memcpy(address, v4_mapped, sizeof(v4_mapped));
		memcpy(address + sizeof(v4_mapped),
		       &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	} else {
		return false;
	}
	return true;
}

/* ---- admitting */

bool access_admits_address(const struct access_auth_group *group, const struct sockaddr *from)
{
	uint8_t address[16];

	if (group->auth == ACCESS_DENY)
		return false;
	if (group->prefix_count == 0)
		return true;
	if (!address_of(from, address))
		return false;
	for (unsigned i = 0; i < group->prefix_count; i++)
		if (within(address, &group->prefixes[i]))
			return true;
	return false;
}

bool access_admits_name(const struct access_auth_group *group, const char *initiator)
{
	if (group->auth == ACCESS_DENY)
		return false;
	for (unsigned i = 0; i < group->initiator_count; i++)
		if (strcmp(group->initiators[i], initiator) == 0)
			return true;
	return group->initiator_count == 0;
}

const struct chap_user *access_find_user(const struct access_auth_group *group,
					 const struct chap_user *user)
{
	for (unsigned i = 0; user && i < group->user_count; i++)
		if (strcmp(group->users[i].name, user->name) == 0
		    && chap_secret_same(group->users[i].secret, user->secret))
			return &group->users[i];
	return NULL;
}

bool access_admits_user(const struct access_auth_group *group, const struct chap_user *user)
{
	switch (group->auth) {
	case ACCESS_DENY:
		return false;
	case ACCESS_OPEN:
		return true;
	case ACCESS_CHAP:
		break;
	}
	return access_find_user(group, user);
}
