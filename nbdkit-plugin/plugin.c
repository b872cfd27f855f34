/*
 * nbdkit-iscsi-plugin: nbdkit's callbacks, each a few lines over the engine. Here are those
 * of the process, of the exports, and of what a client is told when it comes; its
 * requests are in plugin_request.c.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "plugin_conf.h"
#include "plugin_private.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* A unit's export, by its LUN; "" means the first that the engine serves. */
#define UNIT_NAME	"lun%u"
#define DEFAULT_UNIT	0

/* nbdkit has one plugin per process and no context argument before .open. */
static struct plugin_conf conf;
static struct engine *engine;

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

/* It lives as long as nbdkit needs it; NULL without memory. */
static const char *unit_name(unsigned unit)
{
	return nbdkit_printf_intern(UNIT_NAME, engine_lun(engine, unit));
}

/* The unit that an export name means; engine_units() when it is none. */
static unsigned find_unit(const char *name)
{
	char own[16];
	unsigned unit = 0;

	if (!*name)
		return DEFAULT_UNIT;
	for (; unit < engine_units(engine); unit++) {
		snprintf(own, sizeof(own), UNIT_NAME, engine_lun(engine, unit));
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
	struct plugin_handle *h;

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
	struct plugin_handle *h = handle;

	return nbdkit_strdup_intern(h->info.description);
}

static int64_t iscsi_get_size(void *handle)
{
	struct plugin_handle *h = handle;

	return (int64_t)h->info.size;
}

static int iscsi_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	struct plugin_handle *h = handle;

	/* The waist takes any alignment, and reads, modifies and writes under a lock. */
	*minimum = 1;
	*preferred = h->info.preferred_block;
	*maximum = BLK_MAX_DATA;
	return 0;
}

static int iscsi_can_write(void *handle)
{
	struct plugin_handle *h = handle;

	return !h->info.read_only;
}

static int iscsi_is_rotational(void *handle)
{
	struct plugin_handle *h = handle;

	return h->info.rotational;
}

static int iscsi_can_trim(void *handle)
{
	struct plugin_handle *h = handle;

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
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.flush = plugin_flush,
	.trim = plugin_trim,
	.zero = plugin_zero,
	.cache = plugin_cache,
	.extents = plugin_extents,
	.errno_is_preserved = 0,
};

/* What the macro defines, nbdkit-plugin.h does not declare. */
struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(plugin)
