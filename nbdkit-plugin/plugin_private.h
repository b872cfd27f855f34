/*
 * Between plugin.c (what nbdkit and its clients are told) and plugin_request.c (what clients
 * ask for), in the version of nbdkit's interface that all of the plugin uses.
 */
#ifndef PLUGIN_PRIVATE_H
#define PLUGIN_PRIVATE_H

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "engine.h"

/* One connection of a client to nbdkit; what .open returned. */
struct plugin_handle {
	struct session *session;
	struct blk_info info;		/* as of .open, so that all answers to one client agree */
};

/* plugin_request.c: on nbdkit's threads, each blocks until the unit has answered. */
int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags);
int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags);
int plugin_flush(void *handle, uint32_t flags);
int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int plugin_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags);
int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
		   struct nbdkit_extents *extents);

#endif
