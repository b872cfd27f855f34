/*
 * What the command line serves, and to whom: one target with every device in order, by one
 * portal group, to everybody.
 */
#ifndef GATEWAY_ACCESS_H
#define GATEWAY_ACCESS_H

#include "access.h"
#include "conf.h"
#include "export.h"
#include "front.h"

/* The front is open: its iSCSI listeners are the portals. NULL without memory. */
struct access *gateway_access(const struct conf *conf, const struct export_table *exports,
			      const struct front *front);

#endif
