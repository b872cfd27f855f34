/*
 * Auth groups of a snapshot (access.h): how they are built, and whom they admit.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "access.h"
#include "access_private.h"

const char *access_add_auth_group(struct access *access, const char *name, enum access_auth auth,
				  struct access_auth_group **group)
{
	struct access_auth_group **groups;

	if (access_find_auth_group(access, name))
		return "there is an auth group of this name";
	groups = access_room(access->auth_groups, access->auth_group_count, sizeof(*groups));
	if (!groups)
		return access_no_memory;
	access->auth_groups = groups;
	*group = calloc(1, sizeof(**group));
	if (!*group)
		return access_no_memory;
	groups[access->auth_group_count++] = *group;
	(*group)->auth = auth;
	(*group)->name = strdup(name);
	return (*group)->name ? NULL : access_no_memory;
}

const struct access_auth_group *access_find_auth_group(const struct access *access,
						       const char *name)
{
	for (unsigned i = 0; i < access->auth_group_count; i++)
		if (strcmp(access->auth_groups[i]->name, name) == 0)
			return access->auth_groups[i];
	return NULL;
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

void access_free_auth_group(struct access_auth_group *group)
{
	for (unsigned i = 0; i < group->user_count; i++)
		free_user(&group->users[i]);
	free(group->users);
	access_free_texts(group->initiators, group->initiator_count);
	free(group->prefixes);
	free(group->name);
	free(group);
}

/* ---- names and users */

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
	users = access_room(group->users, group->user_count, sizeof(*users));
	if (!users)
		return access_no_memory;
	group->users = users;
	user = &users[group->user_count++];
	*user = (struct chap_user){ 0 };
	if (!copy_text(name, &user->name) || !copy_text(mutual_name, &user->mutual_name) ||
	    !copy_secret(secret, &user->secret) ||
	    !copy_secret(mutual_secret, &user->mutual_secret)) {
		free_user(&users[--group->user_count]);
		return access_no_memory;
	}
	return find_refusal(group);
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

const char *access_add_initiator(struct access_auth_group *group, const char *name)
{
	char **initiators = access_room(group->initiators, group->initiator_count, sizeof(*initiators));
	const char *why;
	char *copy;

	if (!initiators)
		return access_no_memory;
	group->initiators = initiators;
	copy = access_copy_name(name, &why);
	if (copy)
		initiators[group->initiator_count++] = copy;
	return why;
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

/* "192.0.2.0/24", "2001:db8::/32", and single addresses. False: it is none. */
static bool parse_prefix(const char *text, struct access_prefix *prefix)
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

const char *access_add_prefix(struct access_auth_group *group, const char *text)
{
	struct access_prefix *prefixes = access_room(group->prefixes, group->prefix_count, sizeof(*prefixes));

	if (!prefixes)
		return access_no_memory;
	group->prefixes = prefixes;
	if (!parse_prefix(text, &prefixes[group->prefix_count]))
		return "not an address, nor ADDRESS/BITS";
	group->prefix_count++;
	return NULL;
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
