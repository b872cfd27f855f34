/*
 * What the files of a snapshot share.
 *
 *	access.c	its life
 *	access_auth.c	auth groups
 *	access_portal.c	portal groups
 *	access_target.c	targets
 */
#ifndef ACCESS_PRIVATE_H
#define ACCESS_PRIVATE_H

#include <stddef.h>

#include "access.h"

/* What a function that adds returns without memory. */
extern const char access_no_memory[];

/* The array with room for one item more: it grows when its count is a power of two. NULL: no
 * memory, and it is as it was. */
void *access_room(void *array, unsigned count, size_t item);

/* An iSCSI name in lower case. NULL, with a reason. */
char *access_copy_name(const char *name, const char **why);

/* Of a portal group or a target. NULL, or why not. */
const char *access_set_redirect(enum access_redirect how, const char *to,
				enum access_redirect *redirect, char **redirect_to);

void access_free_texts(char **texts, unsigned count);
void access_free_auth_group(struct access_auth_group *group);
void access_free_portal_group(struct access_portal_group *group);
void access_free_target(struct access_target *target);

#endif
