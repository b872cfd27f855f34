/*
 * Why a link has ended, in one line for the log and for whoever asks: libnbd's reasons,
 * and those that it does not give.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbd_link_private.h"

/* Without the name of the function in front, and without the text of an errno behind that is
 * libnbd's own way of saying no. */
void nbd_link_note_error(struct nbd_link *link)
{
	const char *text = nbd_get_error();
	int err = nbd_get_errno();
	const char *meaning = strerror(err), *colon;
	char *tail;

	if (!text)
		text = "no reason given";
	colon = strstr(text, ": ");
	if (colon && strncmp(text, "nbd_", 4) == 0)
		text = colon + 2;
	if (err && strncmp(text, "connect: ", 9) == 0)
		snprintf(link->why, sizeof(link->why), "connect: %s", meaning);
	else
		snprintf(link->why, sizeof(link->why), "%s", text);
	if (err != EINVAL && err != ENOTSUP)
		return;
	tail = strrchr(link->why, ':');
	if (tail && tail[1] == ' ' && strcmp(tail + 2, meaning) == 0)
		*tail = '\0';
}

void nbd_link_note_refusal(struct nbd_link *link)
{
	char *name;

	if (link->refused != ENOENT)
		return;
	name = nbd_get_export_name(link->handle);
	snprintf(link->why, sizeof(link->why), "export \"%s\" not found", name ? name : "");
	free(name);
}

/* libnbd closes in an orderly way if the server does, and if it cannot have TLS. */
static const char *why_closed(const struct nbd_link *link)
{
	if (link->stage == CONNECTING && nbd_get_tls(link->handle) == LIBNBD_TLS_REQUIRE &&
	    nbd_get_tls_negotiated(link->handle) <= 0)
		return "the server does not offer TLS";
	return "closed by the server";
}

void nbd_link_note_closed(struct nbd_link *link)
{
	snprintf(link->why, sizeof(link->why), "%s", why_closed(link));
}
