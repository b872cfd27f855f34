/*
 * The life of a snapshot of what the target serves, and to whom (access.h): its beginning, its
 * holders and its end. Its parts are in access_auth.c, access_portal.c and access_target.c.
 */
#include "access.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "access_private.h"
#include "keys.h"

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

void access_drop(struct access *access)
{
	if (!access || atomic_fetch_sub_explicit(&access->holders, 1, memory_order_acq_rel) > 1)
		return;
	for (unsigned i = 0; i < access->target_count; i++)
		access_free_target(access->targets[i]);
	for (unsigned i = 0; i < access->portal_group_count; i++)
		access_free_portal_group(access->portal_groups[i]);
	for (unsigned i = 0; i < access->auth_group_count; i++)
		access_free_auth_group(access->auth_groups[i]);
	free(access->targets);
	free(access->portal_groups);
	free(access->auth_groups);
	free(access);
}

/* ---- what the parts need */

const char access_no_memory[] = "out of memory";

void *access_room(void *array, unsigned count, size_t item)
{
	if (count & (count - 1))
		return array;
	return realloc(array, (count ? 2 * (size_t)count : 1) * item);
}

char *access_copy_name(const char *name, const char **why)
{
	char *copy = strdup(name);

	*why = copy ? NULL : access_no_memory;
	for (char *p = copy; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (copy)
		*why = iscsi_name_refusal(copy);
	if (!*why || !copy)
		return copy;
	free(copy);
	return NULL;
}

const char *access_set_redirect(enum access_redirect how, const char *to,
				enum access_redirect *redirect, char **redirect_to)
{
	char *copy;

	/* RFC 7143 §13.8; that it is one is the initiator's to find out, but it must fit in a key. */
	if (!*to || strlen(to) > KEY_VALUE_MAX)
		return "not an address to redirect to: host[:port]";
	copy = strdup(to);
	if (!copy)
		return access_no_memory;
	free(*redirect_to);
	*redirect = how;
	*redirect_to = copy;
	return NULL;
}

void access_free_texts(char **texts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}
