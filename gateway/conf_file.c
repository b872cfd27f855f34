/*
 * The configuration file: its whole, and the sections that describe devices and show them
 * to NBD clients. Reading goes on after a mistake: all of them are told.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_file.h"
#include "device.h"
#include "need.h"

#define MAX_FILE	(16u << 20)

void conf_what(char what[CONF_WHAT_LEN], const char *kind, const char *name)
{
	snprintf(what, CONF_WHAT_LEN, "%s \"%.223s\"", kind, name);
}

/* Devices ----------------------------------------------------------------- */

static struct conf_device *find_device(const struct conf *conf, const char *key)
{
	for (unsigned i = 0; i < conf->device_count; i++)
		if (strcmp(conf->devices[i].key, key) == 0)
			return &conf->devices[i];
	return NULL;
}

static struct conf_device *add_device(struct conf *conf, const char *key,
				      const struct ucl_node *uri, unsigned line)
{
	struct conf_device *device;
	char why[256];

	if (!device_uri_check(uri->text, why, sizeof(why))) {
		conf_wrong(conf, uri->line, "%.300s: %s", uri->text, why);
		return NULL;
	}
	device = conf_add_device(conf, key, uri->text);
	device->line = line;
	return device;
}

/* As SPC-4 §7.8.6.6 has them: 2h, 3h and 5h are of eight bytes. */
static bool parse_naa(const char *text, uint64_t *naa)
{
	if (strspn(text, "0123456789abcdefABCDEF") != 16 || text[16] || !strchr("235", text[0]))
		return false;
	*naa = strtoull(text, NULL, 16);
	return true;
}

static bool serial_is_printable(const char *serial)
{
	for (; *serial; serial++)
		if (*serial < ' ' || *serial > '~')
			return false;
	return true;
}

static void describe(struct conf *conf, struct conf_device *device,
		     const struct device_keys *keys)
{
	struct disk_lu_conf *lu = &device->lu;
	unsigned number;

	if (keys->block_size &&
	    conf_number(conf, keys->block_size, "block-size", 512, 4096, &number)) {
		if (number == 512 || number == 4096)
			lu->block_len = number;
		else
			conf_wrong(conf, keys->block_size->line, "block-size = %u: neither 512 nor 4096",
				   number);
	}
	if (keys->serial) {
		const char *serial = keys->serial->text;

		if (!*serial || strlen(serial) >= sizeof(lu->serial) || !serial_is_printable(serial))
			conf_wrong(conf, keys->serial->line, "serial = %.100s: not 1 to %zu ASCII characters",
				   serial, sizeof(lu->serial) - 1);
		else
			snprintf(lu->serial, sizeof(lu->serial), "%s", serial);
	}
	if (keys->naa && !parse_naa(keys->naa->text, &lu->naa))
		conf_wrong(conf, keys->naa->line,
			   "naa = %.100s: not 16 hexadecimal digits that begin with 2, 3 or 5",
			   keys->naa->text);
	if (keys->shared)
		conf_bool(conf, keys->shared, "shared", &device->shared);
	conf_take_reach(conf, keys->section, device);
}

static void take_device(struct conf *conf, void *owner, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_ONE("uri", struct device_keys, uri),
		CONF_KEY_ONE("read-only", struct device_keys, read_only),
		CONF_DEVICE_KEYS(struct device_keys, ),
		CONF_KEY_REFUSED("device", "give uri = DEVICE"),
		CONF_KEY_REFUSED("path", "give uri = file:PATH"),
		CONF_KEY_END,
	};
	struct device_keys keys = { .section = node };
	struct conf_device *device;
	char what[CONF_WHAT_LEN];

	(void)owner;
	conf_what(what, "device", node->key);
	conf_take_section(conf, section, node, what, &keys);
	device = find_device(conf, node->key);
	if (strchr(node->key, ':'))
		conf_wrong(conf, node->line, "%s: a name without ':' is needed, for it is no URI", what);
	else if (device)
		conf_wrong(conf, node->line, "%s is described in line %u, too", what, device->line);
	else if (!keys.uri)
		conf_wrong(conf, node->line, "%s has no uri", what);
	else if ((device = add_device(conf, node->key, keys.uri, node->line)) != NULL) {
		describe(conf, device, &keys);
		if (keys.read_only)
			conf_bool(conf, keys.read_only, "read-only", &device->read_only);
	}
}

/* mem: is new memory wherever it is written; any other URI is the same device everywhere. */
static struct conf_device *find_or_add(struct conf *conf, const struct ucl_node *node,
				       const char *place, bool *added)
{
	bool is_memory = strncmp(node->text, "mem:", 4) == 0;
	const char *key = is_memory ? place : node->text;
	struct conf_device *device = find_device(conf, key);

	*added = !device;
	if (!device && !strchr(node->text, ':'))
		conf_wrong(conf, node->line, "device = %.200s: there is no device of this name, and a URI "
			   "has a ':'", node->text);
	else if (!device)
		device = add_device(conf, key, node, node->line);
	return device;
}

static const struct ucl_node *first_description(const struct device_keys *keys)
{
	return keys->block_size ? keys->block_size : keys->serial ? keys->serial :
	       keys->naa ? keys->naa : keys->shared ? keys->shared : conf_reach_first(keys->section);
}

struct conf_device *conf_show_device(struct conf *conf, const struct device_keys *keys,
				     const char *place, unsigned line, bool *read_only)
{
	const struct ucl_node *description = first_description(keys);
	struct conf_device *device = NULL;
	bool added;

	if (keys->read_only)
		conf_bool(conf, keys->read_only, "read-only", read_only);
	if (keys->device)
		device = find_or_add(conf, keys->device, place, &added);
	else
		conf_wrong(conf, line, "%s has no device", place);
	if (!device)
		return NULL;
	if (added)
		describe(conf, device, keys);
	else if (description)
		conf_wrong(conf, description->line, "%s%s%.100s: the device is described in line %u, and "
			   "that belongs there", description->key, description->text ? " = " : "",
			   description->text ? description->text : "", device->line);
	conf_count_view(conf, device->export, *read_only);
	return device;
}

void conf_count_view(struct conf *conf, const struct export *export, bool read_only)
{
	for (unsigned i = 0; i < conf->device_count; i++)
		if (conf->devices[i].export == export) {
			conf->devices[i].views++;
			conf->devices[i].writers += !read_only;
		}
}

/* NBD exports ------------------------------------------------------------- */

struct export_keys {
	struct device_keys device;
	const struct ucl_node *tls_only, *description;
	const struct ucl_node **allow, **from;
	unsigned allow_count, from_count;
};

static void take_allow(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct export_keys *keys = owner;

	keys->allow = need_more(keys->allow, keys->allow_count, sizeof(*keys->allow));
	keys->allow[keys->allow_count++] = node;
	if (!conf->tls.verify_peer)
		conf_wrong(conf, node->line, "\"allow\" needs tls-verify-peer = yes");
}

static void take_allow_from(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct export_keys *keys = owner;

	(void)conf;
	keys->from = need_more(keys->from, keys->from_count, sizeof(*keys->from));
	keys->from[keys->from_count++] = node;
}

static void add_export(struct conf *conf, const struct ucl_node *node,
		       const struct export_keys *keys, const char *what)
{
	bool read_only = false;
	struct conf_device *device = conf_show_device(conf, &keys->device, what, node->line, &read_only);
	struct nbd_export *export;
	const char *why;

	if (!device)
		return;
	why = nbd_exports_add(conf->nbd_exports, node->key, device->export, &export);
	if (why) {
		conf_wrong(conf, node->line, "%s: %s", what, why);
		return;
	}
	export->read_only = read_only;
	if (keys->tls_only && conf_bool(conf, keys->tls_only, "tls-only", &export->tls_only) &&
	    export->tls_only && conf->tls.mode == TLS_OFF)
		conf_wrong(conf, keys->tls_only->line, "\"tls-only\" needs tls = on");
	if (keys->description)
		why = nbd_export_describe(export, keys->description->text);
	for (unsigned i = 0; i < keys->allow_count && !why; i++)
		why = nbd_export_allow(export, keys->allow[i]->text);
	if (why)
		conf_wrong(conf, node->line, "%s: %s", what, why);
	for (unsigned i = 0; i < keys->from_count; i++) {
		why = nbd_export_allow_from(export, keys->from[i]->text);
		if (why)
			conf_wrong(conf, keys->from[i]->line, "allow-from = %.100s: %s", keys->from[i]->text,
				   why);
	}
}

static void take_export(struct conf *conf, void *owner, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_ONE("device", struct export_keys, device.device),
		CONF_KEY_ONE("read-only", struct export_keys, device.read_only),
		CONF_KEY_ONE("description", struct export_keys, description),
		CONF_KEY_ONE("tls-only", struct export_keys, tls_only),
		CONF_KEY_EACH("allow", take_allow),
		CONF_KEY_EACH("allow-from", take_allow_from),
		CONF_DEVICE_KEYS(struct export_keys, device.),
		CONF_KEY_REFUSED("uri", "give device = URI"),
		CONF_KEY_REFUSED("path", "give device = file:PATH"),
		CONF_KEY_END,
	};
	struct export_keys keys = { .device.section = node };
	char what[CONF_WHAT_LEN];

	(void)owner;
	conf_what(what, "nbd-export", node->key);
	conf_take_section(conf, section, node, what, &keys);
	add_export(conf, node, &keys, what);
	free(keys.allow);
	free(keys.from);
}

/* The whole ---------------------------------------------------------------- */

static const struct conf_key whole[] = {
	CONF_KEY_NAMED("device", take_device),
	CONF_KEY_NAMED("auth-group", conf_take_auth_group),
	CONF_KEY_NAMED("portal-group", conf_take_portal_group),
	CONF_KEY_NAMED("target", conf_take_target),
	CONF_KEY_NAMED("nbd-export", take_export),
	CONF_KEY_REFUSED("iscsi", "give portal-group NAME { listen = ADDR }"),
	CONF_KEY_REFUSED("shared", "give it in the device's section"),
	/* What there is in ctl.conf: */
	CONF_KEY_REFUSED("lun", "give device NAME { uri = DEVICE }, and in a target lun NUMBER { device = NAME }"),
	CONF_KEY_REFUSED("timeout", "give target-login-timeout = SECONDS"),
	CONF_KEY_REFUSED("maxproc", "there is one process for all: leave it out"),
	CONF_KEY_REFUSED("isns-server", "there is no iSNS here: initiators ask the portals"),
	CONF_KEY_REFUSED("isns-period", "there is no iSNS here: initiators ask the portals"),
	CONF_KEY_REFUSED("isns-timeout", "there is no iSNS here: initiators ask the portals"),
	CONF_KEY_END,
};

/* To be free()d; NULL with errno. */
static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	char *text = file ? malloc(MAX_FILE + 1) : NULL;
	int error = 0;

	if (text) {
		*len = fread(text, 1, MAX_FILE + 1, file);
		error = ferror(file) ? errno : *len > MAX_FILE ? EFBIG : 0;
	}
	if (file)
		fclose(file);
	if (error) {
		free(text);
		text = NULL;
		errno = error;
	}
	return text;
}

/* A device that all see as read-only is opened so, and one that nobody sees is not opened. */
static void settle_devices(struct conf *conf)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < conf->device_count; i++) {
		struct conf_device *device = &conf->devices[i];

		device->read_only |= conf->read_only || device->writers == 0;
		if (device->views)
			conf->devices[kept++] = *device;
		else
			conf_free_device(device);
	}
	conf->device_count = kept;
}

static void check_whole(struct conf *conf)
{
	bool activated = getenv("LISTEN_FDS");

	if (conf->access->target_count + conf->nbd_exports->count == 0)
		conf_wrong(conf, 0, "%s: nothing to serve: no target and no nbd-export", conf->file);
	else if (conf->listener_count == 0 && !conf->single && !activated)
		conf_wrong(conf, 0, "%s: nothing to listen on: no nbd = ADDR, and no target with a "
			   "portal-group", conf->file);
}

void conf_read_file(struct conf *conf)
{
	unsigned line = 0;
	size_t len;
	char why[300], *text = read_file(conf->file, &len);

	if (!text) {
		conf_wrong(conf, 0, "%s: %s", conf->file, strerror(errno));
		return;
	}
	conf->tree = ucl_parse(text, len, &line, why, sizeof(why));
	free(text);
	if (!conf->tree) {
		conf_wrong(conf, line, "%s", why);
		return;
	}
	conf_add_predefined(conf);
	conf_take_section(conf, whole, conf->tree, NULL, NULL);
	if (!conf->error_count)
		check_whole(conf);
	settle_devices(conf);
}
