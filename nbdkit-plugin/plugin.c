/*
 * nbdkit-iscsi-plugin: nbdkit's callbacks, each a few lines over the engine.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "engine.h"
#include "log.h"
#include "plugin_conf.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define EXTENTS_AT_ONCE	256

/* Of the units that the engine serves, the one that "" means. */
#define DEFAULT_UNIT	0

/* nbdkit has one plugin per process and no context argument before .open. */
static struct plugin_conf conf;
static struct engine *engine;

struct handle {
	struct session *session;
	struct blk_info info;		/* as of .open, so that all answers to one client agree */
};

static void to_nbdkit(enum log_level level, const char *line)
{
	if (level == LOG_LEVEL_ERROR || level == LOG_LEVEL_WARNING)
		nbdkit_error("%s", line);
	else
		nbdkit_debug("%s", line);
}

/* The client has gone, or nbdkit is to end: its own sleep wakes up from either, at once. */
static bool nobody_waits(void)
{
	return nbdkit_nanosleep(0, 1) < 0;
}

static void iscsi_load(void)
{
	log_set_sink(to_nbdkit);
	plugin_conf_init(&conf);
	conf.engine.unwanted = nobody_waits;
}

static int iscsi_config(const char *key, const char *value)
{
	return plugin_conf_set(&conf, key, value) ? 0 : -1;
}

static int iscsi_config_complete(void)
{
	return plugin_conf_complete(&conf) ? 0 : -1;
}

/* Errors are seen here, before nbdkit forks into the background; threads may not start yet. */
static int iscsi_get_ready(void)
{
	char why[256];

	if (engine_probe(&conf.engine, why, sizeof(why)))
		return 0;
	nbdkit_error("%s: %s", conf.url, why);
	return -1;
}

static int iscsi_after_fork(void)
{
	char why[256];

	engine = engine_start(&conf.engine, why, sizeof(why));
	if (engine)
		return 0;
	nbdkit_error("%s: %s", conf.url, why);
	return -1;
}

static void iscsi_cleanup(void)
{
	if (engine)
		engine_stop(engine);
	engine = NULL;
}

static void iscsi_unload(void)
{
	plugin_conf_free(&conf);
}

/* "lun0", "lun1", ... It lives as long as nbdkit needs it; NULL without memory. */
static const char *unit_name(unsigned unit)
{
	return nbdkit_printf_intern("lun%u", engine_lun(engine, unit));
}

/* The unit that an export name means; engine_units() when it is none. */
static unsigned find_unit(const char *name)
{
	char own[16];
	unsigned unit = 0;

	if (!*name)
		return DEFAULT_UNIT;
	for (; unit < engine_units(engine); unit++) {
		snprintf(own, sizeof(own), "lun%u", engine_lun(engine, unit));
		if (strcmp(own, name) == 0)
			break;
	}
	return unit;
}

/*
 * What we serve is no secret before TLS unless the administrator has made it one, and
 * that nbdkit sees to: --tls=require lets nobody ask without TLS, and under --tls=on
 * the tls-fallback filter answers those.
 */
static int iscsi_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
	(void)readonly;
	(void)is_tls;
	for (unsigned unit = 0; unit < engine_units(engine); unit++) {
		const char *name = unit_name(unit);
		struct blk_info info;

		engine_info(engine_session(engine, unit), &info);
		if (!name || nbdkit_add_export(exports, name, info.description) < 0)
			return -1;
	}
	return 0;
}

static const char *iscsi_default_export(int readonly, int is_tls)
{
	(void)readonly;
	(void)is_tls;
	return unit_name(DEFAULT_UNIT);
}

/* Nothing is said to the target here: the sessions are there, and stay. */
static void *iscsi_open(int readonly)
{
	const char *name = nbdkit_export_name();
	unsigned unit = name ? find_unit(name) : engine_units(engine);
	struct handle *h;

	if (unit == engine_units(engine)) {
		nbdkit_error("there is no export \"%s\"", name ? name : "");
		return NULL;
	}
	h = malloc(sizeof(*h));
	if (!h) {
		nbdkit_error("malloc: %m");
		return NULL;
	}
	h->session = engine_session(engine, unit);
	engine_info(h->session, &h->info);
	h->info.read_only |= readonly != 0;
	return h;
}

static void iscsi_close(void *handle)
{
	free(handle);
}

static const char *iscsi_export_description(void *handle)
{
	struct handle *h = handle;

	return nbdkit_strdup_intern(h->info.description);
}

static int64_t iscsi_get_size(void *handle)
{
	struct handle *h = handle;

	return (int64_t)h->info.size;
}

static int iscsi_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	struct handle *h = handle;

	/* The waist takes any alignment, and reads, modifies and writes under a lock. */
	*minimum = 1;
	*preferred = h->info.preferred_block;
	*maximum = BLK_MAX_DATA;
	return 0;
}

static int iscsi_can_write(void *handle)
{
	struct handle *h = handle;

	return !h->info.read_only;
}

static int iscsi_is_rotational(void *handle)
{
	struct handle *h = handle;

	return h->info.rotational;
}

static int iscsi_can_trim(void *handle)
{
	struct handle *h = handle;

	return h->info.can_trim;
}

static int always(void *handle)
{
	(void)handle;
	return 1;
}

static int fua_is_native(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

static int cache_is_native(void *handle)
{
	(void)handle;
	return NBDKIT_CACHE_NATIVE;
}

/* nbdkit knows few errno values: the others would reach the client as EINVAL. */
static int reportable(int error)
{
	switch (error) {
	case EPERM: case EROFS: case EIO: case ENOMEM: case EDQUOT: case EFBIG: case ENOSPC:
	case EINVAL: case ENOTSUP:
		return error;
	}
	return EIO;
}

static int run(struct handle *h, struct blk_req *req)
{
	engine_submit(h->session, req);
	if (!req->error)
		return 0;
	if (req->error != ENOTSUP)
		nbdkit_error("%s", req->why[0] ? req->why : strerror(req->error));
	nbdkit_set_error(reportable(req->error));
	return -1;
}

static int iscsi_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blk_req req = { .op = BLK_READ, .offset = offset, .length = count, .data = buf };

	(void)flags;
	return run(handle, &req);
}

static uint32_t fua(uint32_t flags)
{
	return flags & NBDKIT_FLAG_FUA ? BLK_FUA : 0;
}

static int iscsi_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
			uint32_t flags)
{
	/* The waist's buffers are not const because reads have them, too; a WRITE only reads it. */
	struct blk_req req = {
		.op = BLK_WRITE, .flags = fua(flags), .offset = offset, .length = count,
		.data = (uint8_t *)(uintptr_t)buf,
	};

	return run(handle, &req);
}

static int iscsi_flush(void *handle, uint32_t flags)
{
	struct blk_req req = { .op = BLK_FLUSH };

	(void)flags;
	return run(handle, &req);
}

static int iscsi_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blk_req req = {
		.op = BLK_TRIM, .flags = fua(flags), .offset = offset, .length = count,
	};

	return run(handle, &req);
}

static int iscsi_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blk_req req = {
		.op = BLK_ZERO, .flags = fua(flags), .offset = offset, .length = count,
	};

	if (!(flags & NBDKIT_FLAG_MAY_TRIM))
		req.flags |= BLK_NO_HOLE;
	if (flags & NBDKIT_FLAG_FAST_ZERO)
		req.flags |= BLK_FAST;
	return run(handle, &req);
}

static int iscsi_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct blk_req req = { .op = BLK_CACHE, .offset = offset, .length = count };

	(void)flags;
	return run(handle, &req);
}

static uint32_t extent_type(const struct blk_extent *extent)
{
	return (extent->flags & BLK_HOLE ? NBDKIT_EXTENT_HOLE : 0) |
	       (extent->flags & BLK_ZEROES ? NBDKIT_EXTENT_ZERO : 0);
}

static int add_extents(struct nbdkit_extents *extents, const struct blk_req *req, uint64_t *at)
{
	for (uint32_t i = 0; i < req->extent_count; i++) {
		const struct blk_extent *extent = &req->extents[i];

		if (nbdkit_add_extent(extents, *at, extent->length, extent_type(extent)) < 0)
			return -1;
		*at += extent->length;
	}
	return 0;
}

static int iscsi_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
			 struct nbdkit_extents *extents)
{
	struct blk_extent room[EXTENTS_AT_ONCE];
	uint64_t at = offset, end = offset + count;

	do {
		struct blk_req req = {
			.op = BLK_STATUS, .offset = at, .length = end - at,
			.extents = room, .extent_room = EXTENTS_AT_ONCE,
		};

		if (flags & NBDKIT_FLAG_REQ_ONE)
			req.flags |= BLK_REQ_ONE;
		if (run(handle, &req) < 0 || add_extents(extents, &req, &at) < 0)
			return -1;
	} while (at < end && !(flags & NBDKIT_FLAG_REQ_ONE));
	return 0;
}

static void iscsi_dump_plugin(void)
{
	printf("iscsi_initiator_name=%s\n", conf.engine.initiator.initiator_name);
	printf("iscsi_max_luns=%d\n", ENGINE_MAX_UNITS);
}

static struct nbdkit_plugin plugin = {
	.name = "iscsi",
	.longname = "nbdkit iSCSI plugin",
	.version = PACKAGE_VERSION,
	.description = "serve the disks of an iSCSI target",
	.load = iscsi_load,
	.unload = iscsi_unload,
	.dump_plugin = iscsi_dump_plugin,
	.config = iscsi_config,
	.config_complete = iscsi_config_complete,
	.config_help = plugin_conf_help,
	.magic_config_key = "url",
	.get_ready = iscsi_get_ready,
	.after_fork = iscsi_after_fork,
	.cleanup = iscsi_cleanup,
	.list_exports = iscsi_list_exports,
	.default_export = iscsi_default_export,
	.open = iscsi_open,
	.close = iscsi_close,
	.export_description = iscsi_export_description,
	.get_size = iscsi_get_size,
	.block_size = iscsi_block_size,
	.can_write = iscsi_can_write,
	.can_flush = always,
	.is_rotational = iscsi_is_rotational,
	.can_trim = iscsi_can_trim,
	.can_zero = always,
	.can_fast_zero = always,
	.can_extents = always,
	.can_fua = fua_is_native,
	.can_cache = cache_is_native,
	.can_multi_conn = always,	/* a flush is for the whole unit */
	.pread = iscsi_pread,
	.pwrite = iscsi_pwrite,
	.flush = iscsi_flush,
	.trim = iscsi_trim,
	.zero = iscsi_zero,
	.cache = iscsi_cache,
	.extents = iscsi_extents,
	.errno_is_preserved = 0,
};

/* What the macro defines, nbdkit-plugin.h does not declare. */
struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(plugin)
