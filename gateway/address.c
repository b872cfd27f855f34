/*
 * Listening addresses; see address.h. Used by the main thread, before workers run.
 */
#include "config.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "log.h"

static const char *const default_port[] = { [ADDRESS_NBD] = "10809", [ADDRESS_ISCSI] = "3260" };

static bool refuse(char *why, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);

static bool refuse(char *why, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, size, fmt, args);
	va_end(args);
	return false;
}

static bool parse_unix(const char *path, struct address *address, char *why, size_t size)
{
	struct sockaddr_un un;

	if (address->use == ADDRESS_ISCSI)
		return refuse(why, size, "iSCSI runs over TCP only");
	if (!*path || strcmp(path, "@") == 0)
		return refuse(why, size, "the path is empty");
	if (strlen(path) >= sizeof(un.sun_path))
		return refuse(why, size, "the path is longer than %zu bytes", sizeof(un.sun_path) - 1);
	address->family = AF_UNIX;
	strcpy(address->host, path);
	return true;
}

static bool parse_number(const char *text, unsigned long most, unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *number <= most;
}

static bool parse_vsock(const char *port, struct address *address, char *why, size_t size)
{
	unsigned long number;

	if (address->use == ADDRESS_ISCSI)
		return refuse(why, size, "iSCSI runs over TCP only");
	if (!parse_number(port, UINT32_MAX - 1, &number))
		return refuse(why, size, "\"%s\" is not a vsock port", port);
	address->family = AF_VSOCK;
	snprintf(address->port, sizeof(address->port), "%lu", number);
	return true;
}

static bool parse_port(const char *text, struct address *address, char *why, size_t size)
{
	unsigned long port;

	if (!parse_number(text, 65535, &port))
		return refuse(why, size, "\"%s\" is not a port from 0 to 65535", text);
	snprintf(address->port, sizeof(address->port), "%lu", port);
	return true;
}

bool address_parse(const char *text, enum address_use use, struct address *address, char *why,
		   size_t size)
{
	const char *host = text, *end, *port = NULL;

	memset(address, 0, sizeof(*address));
	address->use = use;
	strcpy(address->port, default_port[use]);
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, address, why, size);
	if (strncmp(text, "vsock:", 6) == 0)
		return parse_vsock(text + 6, address, why, size);
	if (!*text)
		return refuse(why, size, "the address is empty");
	if (*text == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return refuse(why, size, "expected [address]:port");
		port = end[1] ? end + 2 : NULL;
	} else {
		end = strrchr(text, ':');
		port = end ? end + 1 : NULL;
		if (end && strchr(text, ':') != end)
			return refuse(why, size, "an IPv6 address is written in brackets, [address]:port");
		if (!end)
			end = text + strlen(text);
	}
	if ((size_t)(end - host) >= sizeof(address->host))
		return refuse(why, size, "the host name is too long");
	memcpy(address->host, host, (size_t)(end - host));
	return port ? parse_port(port, address, why, size) : true;
}

static int listening_socket(const struct addrinfo *ai, int *error)
{
	int one = 1;
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);

	if (fd < 0) {
		*error = errno;
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	*error = errno;
	close(fd);
	return -1;
}

static in_port_t *port_of(struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET6)
		return &((struct sockaddr_in6 *)(void *)sa)->sin6_port;
	return &((struct sockaddr_in *)(void *)sa)->sin_port;
}

static in_port_t bound_port(int fd)
{
	struct sockaddr_storage storage;
	struct sockaddr *sa = (struct sockaddr *)&storage;
	socklen_t len = sizeof(storage);

	return getsockname(fd, sa, &len) == 0 ? *port_of(sa) : 0;
}

static void close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static int listen_tcp(const struct address *address, int *fds, char *why, size_t size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list;
	in_port_t port = 0;
	int error = 0, count = 0;
	int rc = getaddrinfo(address->host[0] ? address->host : NULL, address->port, &hints, &list);

	if (rc) {
		refuse(why, size, "%s", gai_strerror(rc));
		return -1;
	}
	for (const struct addrinfo *ai = list; ai && count < ADDRESS_MAX_SOCKETS; ai = ai->ai_next) {
		if (count && strcmp(address->port, "0") == 0)
			*port_of(ai->ai_addr) = port;
		fds[count] = listening_socket(ai, &error);
		if (fds[count] >= 0) {
			port = bound_port(fds[count]);
			count++;
		} else if (error != EAFNOSUPPORT && error != EADDRNOTAVAIL) {
			/* A family that this machine has not is no reason to fail; all else is. */
			close_all(fds, count);
			count = 0;
			break;
		}
	}
	freeaddrinfo(list);
	if (count)
		return count;
	refuse(why, size, "%s", strerror(error));
	return -1;
}

/* Does a server still answer there? If not, the socket was left behind and may go. */
static void remove_stale(const struct sockaddr_un *un, socklen_t len)
{
	struct stat st;
	int fd;

	if (!un->sun_path[0] || stat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)un, len) < 0 && errno == ECONNREFUSED)
		unlink(un->sun_path);
	close(fd);
}

static int listen_unix(const struct address *address, int *fds, char *why, size_t size)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct addrinfo ai = { .ai_family = AF_UNIX, .ai_socktype = SOCK_STREAM };
	size_t path_len = strlen(address->host);
	int error = 0;

	memcpy(un.sun_path, address->host, path_len);
	ai.ai_addr = (struct sockaddr *)&un;
	ai.ai_addrlen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
	if (address->host[0] == '@')
		un.sun_path[0] = '\0';	/* unix(7), "Abstract sockets": the length ends the name */
	else
		ai.ai_addrlen++;
	remove_stale(&un, ai.ai_addrlen);
	fds[0] = listening_socket(&ai, &error);
	if (fds[0] >= 0)
		return 1;
	refuse(why, size, "%s", strerror(error));
	return -1;
}

static int listen_vsock(const struct address *address, int *fds, char *why, size_t size)
{
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY,
		.svm_port = (unsigned)strtoul(address->port, NULL, 10),
	};
	struct addrinfo ai = {
		.ai_family = AF_VSOCK, .ai_socktype = SOCK_STREAM,
		.ai_addr = (struct sockaddr *)&vm, .ai_addrlen = sizeof(vm),
	};
	int error = 0;

	fds[0] = listening_socket(&ai, &error);
	if (fds[0] >= 0)
		return 1;
	refuse(why, size, "%s", strerror(error));
	return -1;
}

int address_listen(const struct address *address, int fds[ADDRESS_MAX_SOCKETS], char *why, size_t size)
{
	switch (address->family) {
	case AF_UNIX:
		return listen_unix(address, fds, why, size);
	case AF_VSOCK:
		return listen_vsock(address, fds, why, size);
	}
	return listen_tcp(address, fds, why, size);
}

bool address_same(const struct address *a, const struct address *b)
{
	return a->use == b->use && a->family == b->family && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->port, b->port) == 0;
}

void address_text(const struct address *address, char *text, size_t size)
{
	if (address->family == AF_UNIX)
		snprintf(text, size, "unix:%s", address->host);
	else if (address->family == AF_VSOCK)
		snprintf(text, size, "vsock:%s", address->port);
	else
		snprintf(text, size, strchr(address->host, ':') ? "[%s]:%s" : "%s:%s",
			 address->host, address->port);
}

static void unix_text(const struct sockaddr_un *un, socklen_t len, char text[ADDRESS_TEXT_LEN])
{
	int path_len = (int)(len - offsetof(struct sockaddr_un, sun_path));

	if (path_len > 0 && un->sun_path[0] == '\0')
		snprintf(text, ADDRESS_TEXT_LEN, "unix:@%.*s", path_len - 1, un->sun_path + 1);
	else
		snprintf(text, ADDRESS_TEXT_LEN, "unix:%.*s", path_len > 0 ? path_len : 0, un->sun_path);
}

void address_local(int fd, char text[ADDRESS_TEXT_LEN])
{
	struct sockaddr_storage storage = { 0 };
	struct sockaddr *sa = (struct sockaddr *)&storage;
	socklen_t len = sizeof(storage);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	text[0] = '\0';
	if (getsockname(fd, sa, &len) < 0)
		return;
	if (sa->sa_family == AF_UNIX) {
		unix_text((const struct sockaddr_un *)sa, len, text);
		return;
	}
	if (sa->sa_family == AF_VSOCK) {
		snprintf(text, ADDRESS_TEXT_LEN, "vsock:%u",
			 ((const struct sockaddr_vm *)(void *)sa)->svm_port);
		return;
	}
	if (getnameinfo(sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(text, ADDRESS_TEXT_LEN, sa->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
			 host, port);
}
