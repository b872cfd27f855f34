/*
 * iscsi:// URLs as users of libiscsi and qemu write them:
 *
 *	iscsi://[user@]host[:port][,host[:port]]... /target-iqn/lun
 *
 * Called for command lines and plugin parameters. No secret is ever taken from a
 * URL: command lines are everybody's to read. Owns nothing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "bhs.h"
#include "initiator.h"

#define SCHEME		"iscsi://"
#define DEFAULT_PORT	"3260"		/* RFC 7143 §4.2.7.1 */

struct complaint {
	char  *why;
	size_t size;
};

static bool refuse(const struct complaint *to, const char *fmt, ...)
#ifdef __GNUC__
	__attribute__((format(printf, 2, 3)))
#endif
	;

static bool refuse(const struct complaint *to, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(to->why, to->size, fmt, args);
	va_end(args);
	return false;
}

static unsigned hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

	return found ? (unsigned)(found - digits) : 16;
}

/* One byte of %xx (RFC 3986 §2.1); -1 when it is none, or a NUL or control character. */
static int unescape(const char *p, size_t len)
{
	unsigned high = len > 2 ? hex_value(p[1]) : 16, low = len > 2 ? hex_value(p[2]) : 16;
	unsigned c = high << 4 | low;

	return high < 16 && low < 16 && c >= 0x20 && c != 0x7f ? (int)c : -1;
}

/* Copy one part, percent-decoded where that is how it was written. */
static bool copy(const char *from, size_t len, bool escaped, char *to, size_t room,
		 const char *what, const struct complaint *complain)
{
	size_t n = 0;

	for (size_t i = 0; i < len; n++) {
		bool escape = escaped && from[i] == '%';
		int c = escape ? unescape(from + i, len - i) : (unsigned char)from[i];

		if (c <= 0x20 || c == 0x7f)
			return refuse(complain, "the %s has a malformed character", what);
		if (n + 1 >= room)
			return refuse(complain, "the %s is longer than %zu bytes", what, room - 1);
		to[n] = (char)c;
		i += escape ? 3 : 1;
	}
	to[n] = '\0';
	return true;
}

static bool take(const char *from, size_t len, char *to, size_t room, const char *what,
		 const struct complaint *complain)
{
	return copy(from, len, true, to, room, what, complain);
}

static bool number(const char *text, size_t len, uint16_t limit, uint16_t *value)
{
	uint32_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (uint32_t)(text[i] - '0');
		if (n > limit)
			return false;
	}
	*value = (uint16_t)n;
	return len > 0;
}

/* user@ before the host. */
static bool take_user(const char **p, size_t *len, struct iscsi_url *out,
		      const struct complaint *complain)
{
	const char *at = NULL;

	for (size_t i = 0; i < *len; i++)
		if ((*p)[i] == '@')
			at = *p + i;
	if (!at)
		return true;
	/* user%password is libiscsi's way to write it, user:password everybody else's. */
	if (memchr(*p, ':', (size_t)(at - *p)) || memchr(*p, '%', (size_t)(at - *p)))
		return refuse(complain, "a password in the URL can be read by everybody: "
			      "give it in a file instead");
	if (!take(*p, (size_t)(at - *p), out->user, sizeof(out->user), "user name", complain))
		return false;
	*len -= (size_t)(at - *p) + 1;
	*p = at + 1;
	return true;
}

/* host, 192.0.2.1 or [2001:db8::1], and :port. */
static bool take_portal(const char *p, size_t len, bool escaped, struct iscsi_portal *out,
			const struct complaint *complain)
{
	const char *end = p + len, *host = p, *host_end, *port;
	uint16_t n;

	if (len && *p == '[') {
		host = p + 1;
		host_end = memchr(host, ']', (size_t)(end - host));
		if (!host_end)
			return refuse(complain, "the address has no closing bracket");
		port = host_end + 1;
		if (port < end && *port != ':')
			return refuse(complain, "only :port may follow the address in brackets");
	} else {
		port = memchr(p, ':', len);
		host_end = port = port ? port : end;
	}
	if (host == host_end)
		return refuse(complain, "the host is missing");
	if (!copy(host, (size_t)(host_end - host), escaped, out->host, sizeof(out->host), "host",
		  complain))
		return false;
	if (port == end) {
		memcpy(out->port, DEFAULT_PORT, sizeof(DEFAULT_PORT));
		return true;
	}
	port++;
	if (!number(port, (size_t)(end - port), 65535, &n) || n == 0)
		return refuse(complain, "the port is not a number from 1 to 65535");
	snprintf(out->port, sizeof(out->port), "%u", n);
	return true;
}

bool iscsi_portal_parse(const char *text, size_t len, bool escaped, struct iscsi_portal *out,
			char *why, size_t why_size)
{
	const struct complaint complain = { why, why_size };

	memset(out, 0, sizeof(*out));
	return take_portal(text, len, escaped, out, &complain);
}

const char *iscsi_portal_format(const struct iscsi_portal *portal, char text[ISCSI_PORTAL_TEXT])
{
	bool bracket = strchr(portal->host, ':') != NULL;

	snprintf(text, ISCSI_PORTAL_TEXT, "%s%s%s:%s", bracket ? "[" : "", portal->host,
		 bracket ? "]" : "", portal->port);
	return text;
}

/* One portal or several, with commas between them. */
static bool take_portals(const char *p, size_t len, struct iscsi_url *out,
			 const struct complaint *complain)
{
	const char *end = p + len;

	for (;;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;

		if (out->portal_count == ISCSI_PORTALS_MAX)
			return refuse(complain, "there are more than %d portals", ISCSI_PORTALS_MAX);
		if (!take_portal(p, (size_t)(stop - p), true, &out->portals[out->portal_count],
				 complain))
			return false;
		out->portal_count++;
		if (!comma)
			return true;
		p = comma + 1;
	}
}

/* The far target judges its own name: tgt and others take characters that RFC 3722 does not. */
static bool take_target(const char *p, size_t len, struct iscsi_url *out,
			const struct complaint *complain)
{
	if (!len)
		return refuse(complain, "the target name is missing");
	if (!take(p, len, out->target, sizeof(out->target), "target name", complain))
		return false;
	if (strncmp(out->target, "iqn.", 4) != 0 && strncmp(out->target, "eui.", 4) != 0
	    && strncmp(out->target, "naa.", 4) != 0)
		return refuse(complain, "the target name \"%s\" does not begin with iqn., eui. or naa.",
			      out->target);
	return true;
}

static bool take_lun(const char *p, size_t len, struct iscsi_url *out,
		     const struct complaint *complain)
{
	if (!number(p, len, LUN_MAX, &out->lun))
		return refuse(complain, "the LUN is not a number from 0 to %d", LUN_MAX);
	out->has_lun = true;
	return true;
}

const char *iscsi_url_shown(const char *url, char text[ISCSI_URL_SHOWN])
{
	const char *scheme = strstr(url, "://"), *user = scheme ? scheme + 3 : url;
	const char *at = strrchr(user, '@');
	size_t len = strcspn(user, ":%");

	if (at && user + len < at)
		snprintf(text, ISCSI_URL_SHOWN, "%.*s...%s", (int)(user - url + (ptrdiff_t)len + 1), url, at);
	else
		snprintf(text, ISCSI_URL_SHOWN, "%s", url);
	return text;
}

bool iscsi_url_parse(const char *url, struct iscsi_url *out, char *why, size_t why_size)
{
	const struct complaint complain = { why, why_size };
	const char *p = url + strlen(SCHEME), *target, *lun;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
		return refuse(&complain, "the URL does not begin with %s", SCHEME);
	if (strpbrk(p, "?#"))
		return refuse(&complain, "nothing may follow the LUN");
	len = strcspn(p, "/");
	target = p + len;
	if (!take_user(&p, &len, out, &complain) || !take_portals(p, len, out, &complain))
		return false;
	if (*target)
		target++;
	len = strcspn(target, "/");
	lun = target + len;
	if (!take_target(target, len, out, &complain))
		return false;
	return !*lun || take_lun(lun + 1, strlen(lun + 1), out, &complain);
}
