/*
 * Addresses as text, and the portals as an initiator can use them: a listener that
 * is bound to every address is told as the one that the initiator came to.
 *
 * Called at accept and by SendTargets. Keeps nothing.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "target_portal.h"

/* The address alone, in RFC 7143 §13.8 form: brackets around IPv6. An IPv4 address that came
 * through an IPv6 socket is told as what it is. False for what is no internet address. */
static bool host_text(const union target_address *a, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN];
	bool brackets = false;

	if (a->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
	} else if (a->sa.sa_family != AF_INET6) {
		return false;
	} else if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
		inet_ntop(AF_INET, &a->in6.sin6_addr.s6_addr[12], host, sizeof(host));
	} else {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		brackets = true;
	}
	snprintf(text, size, brackets ? "[%s]" : "%s", host);
	return true;
}

void target_portal_peer(int fd, char text[TARGET_ADDRESS_LEN])
{
	union target_address a;
	socklen_t len = sizeof(a);
	size_t at;

	/* The port is at the same place for both families. */
	if (getpeername(fd, &a.sa, &len) < 0 || !host_text(&a, text, TARGET_ADDRESS_LEN)) {
		snprintf(text, TARGET_ADDRESS_LEN, "?");
		return;
	}
	at = strlen(text);
	snprintf(text + at, TARGET_ADDRESS_LEN - at, ":%u", ntohs(a.in.sin_port));
}

/* Is the portal's host part "every address" of this family? */
static bool is_wildcard(const char *portal, size_t host_len, int family)
{
	const char *any = family == AF_INET ? "0.0.0.0" : "[::]";

	return strlen(any) == host_len && memcmp(portal, any, host_len) == 0;
}

static void put_address(struct key_text *out, const char *host, size_t host_len, const char *port,
			uint16_t tpgt)
{
	char value[KEY_VALUE_MAX + sizeof(",65535")];

	snprintf(value, sizeof(value), "%.*s%s,%u", (int)host_len, host, port, tpgt);
	keys_put(out, key_row(KEY_TARGET_ADDRESS)->name, value);
}

const struct sockaddr *target_portal_from(int fd, union target_address *address)
{
	socklen_t len = sizeof(*address);

	return getpeername(fd, &address->sa, &len) < 0 ? NULL : &address->sa;
}

void target_portal_put(const struct access_portal_group *group, int fd, struct key_text *out)
{
	union target_address came_to = { .sa.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(came_to);
	char host[TARGET_ADDRESS_LEN];
	bool known = getsockname(fd, &came_to.sa, &len) == 0
		     && host_text(&came_to, host, sizeof(host));

	for (unsigned i = 0; i < group->portal_count; i++) {
		const char *portal = group->portals[i];
		const char *port = strrchr(portal, ':');
		size_t host_len = port ? (size_t)(port - portal) : strlen(portal);

		if (!port)
			port = "";
		if (known && is_wildcard(portal, host_len, came_to.sa.sa_family))
			put_address(out, host, strlen(host), port, group->tag);
		else if (!is_wildcard(portal, host_len, AF_INET)
			 && !is_wildcard(portal, host_len, AF_INET6))
			put_address(out, portal, host_len, port, group->tag);
		/* A wildcard of the other family is not told: the initiator did not come by it. */
	}
}

size_t target_portal_room(const struct access_portal_group *group)
{
	size_t room = 0;

	for (unsigned i = 0; i < group->portal_count; i++)
		room += sizeof("TargetAddress=,65535") + TARGET_ADDRESS_LEN
			+ strlen(group->portals[i]);
	return room;
}
