/*
 * Where to listen: parsing of ADDR, binding, and saying where it ended up.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum address_use { ADDRESS_NBD, ADDRESS_ISCSI };

#define ADDRESS_TEXT_LEN	128

struct address {
	enum address_use use;
	int  family;		/* AF_UNIX, AF_VSOCK, or AF_UNSPEC: what the host name resolves to */
	char host[256];		/* "" = every address; the path of a unix socket */
	char port[12];		/* decimal */
};

/*
 * "host:port", "[v6]:port", ":port", "host" (the use's default port); for NBD also
 * "unix:/path", "unix:@abstract" and "vsock:port". False with a one-line reason.
 */
bool address_parse(const char *text, enum address_use use, struct address *address, char *why,
		   size_t size);

#define ADDRESS_MAX_SOCKETS	8

/*
 * Bind and listen on everything that the address names (every address family of a
 * host name; port 0 gets the same free port for all). Blocking name lookup: at
 * start only. Returns the count of sockets in fds, non-blocking, or -1 with a
 * one-line reason. A unix socket that nobody serves any more is replaced.
 */
int address_listen(const struct address *address, int fds[ADDRESS_MAX_SOCKETS], char *why, size_t size);

/* Were they given alike? */
bool address_same(const struct address *a, const struct address *b);

/* As it was given: "localhost:10809", "unix:/path". */
void address_text(const struct address *address, char *text, size_t size);

/* "127.0.0.1:3260", "[::1]:3260", "unix:/path", "vsock:10809" of a socket's own end. */
void address_local(int fd, char text[ADDRESS_TEXT_LEN]);

#endif
