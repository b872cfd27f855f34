/* What access.c and access_find.c share. */
#ifndef ACCESS_PRIVATE_H
#define ACCESS_PRIVATE_H

#include <stdbool.h>

#include "access.h"

/* "192.0.2.0/24", "2001:db8::/32", and single addresses. False: it is none. */
bool access_prefix_parse(const char *text, struct access_prefix *prefix);

#endif
