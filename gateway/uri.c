/* Our own URIs; see uri.h. The NBD URI specification, and libiscsi's syntax for the other. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "need.h"
#include "uri.h"

/* "0.0.0.0:3260" is where we listen, not where one can connect. */
static void reachable(const char *listener, char *text, size_t size)
{
	if (strncmp(listener, "0.0.0.0:", 8) == 0)
		snprintf(text, size, "127.0.0.1:%s", listener + 8);
	else if (strncmp(listener, "[::]:", 5) == 0)
		snprintf(text, size, "[::1]:%s", listener + 5);
	else
		snprintf(text, size, "%s", listener);
}

/* Percent-encode what would end a query value (RFC 3986 §2.1). */
static void append_escaped(char *text, size_t size, const char *path)
{
	size_t used = strlen(text);

	for (; *path && used + 4 < size; path++) {
		if (strchr(" %&#?+", *path))
			used += (size_t)snprintf(text + used, size - used, "%%%02X", (unsigned char)*path);
		else
			text[used++] = *path;
	}
	text[used] = '\0';
}

char *uri_nbd(const char *listener, bool secure)
{
	char text[512], where[256];
	const char *scheme = secure ? "nbds" : "nbd";

	if (strncmp(listener, "unix:", 5) == 0) {
		const char *path = listener + 5;

		snprintf(text, sizeof(text), "%s+unix:///?socket=", scheme);
		/* The NBD URI specification's way to write an abstract socket. */
		if (*path == '@')
			strcat(text, "%00");
		append_escaped(text, sizeof(text), path + (*path == '@'));
		return need(strdup(text));
	}
	if (strncmp(listener, "vsock:", 6) == 0) {
		snprintf(text, sizeof(text), "%s+vsock://2:%s", scheme, listener + 6);
		return need(strdup(text));
	}
	reachable(listener, where, sizeof(where));
	snprintf(text, sizeof(text), "%s://%s", scheme, where);
	return need(strdup(text));
}

char *uri_iscsi(const char *listener, const char *target, unsigned lun)
{
	char text[512], where[256];

	reachable(listener, where, sizeof(where));
	snprintf(text, sizeof(text), "iscsi://%s/%s/%u", where, target, lun);
	return need(strdup(text));
}
