/* Devices, wherever they are described: device sections, LUNs and NBD exports. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_file.h"

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
	char why[256], shown[ISCSI_URL_SHOWN];

	if (!device_uri_check(uri->text, why, sizeof(why))) {
		conf_wrong(conf, uri->line, "%.300s: %s", iscsi_url_shown(uri->text, shown), why);
		return NULL;
	}
	device = conf_add_device(conf, key, uri->text);
	device->line = line;
	return device;
}

/* As SPC-4 §7.8.6.6 has them: 2h, 3h and 5h are of eight bytes. */
static bool parse_naa(const char *text, uint64_t *naa)
{
	if (strncmp(text, "0x", 2) == 0)	/* as ctl.conf(5) has it */
		text += 2;
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

static void take_block_sizes(struct conf *conf, const struct device_keys *keys,
			     struct disk_lu_conf *lu)
{
	unsigned number;

	if (keys->block_size &&
	    conf_number(conf, keys->block_size, "block-size", 512, 4096, &number)) {
		if (number == 512 || number == 4096)
			lu->block_len = number;
		else
			conf_wrong(conf, keys->block_size->line, "block-size = %u: neither 512 nor 4096",
				   number);
	}
	if (keys->physical &&
	    conf_number(conf, keys->physical, "physical-block-size", 512, 65536, &number)) {
		if (number & (number - 1) || number < lu->block_len)
			conf_wrong(conf, keys->physical->line, "physical-block-size = %u: not a power of 2, or "
				   "less than a logical block (%u)", number, lu->block_len);
		else
			lu->physical_len = number;
	}
}

static void take_identity(struct conf *conf, const struct device_keys *keys,
			  struct disk_lu_conf *lu)
{
	const char *serial = keys->serial ? keys->serial->text : "";

	if (keys->serial && (!*serial || strlen(serial) >= sizeof(lu->serial) ||
			     !serial_is_printable(serial)))
		conf_wrong(conf, keys->serial->line, "serial = %.100s: not 1 to %zu ASCII characters",
			   serial, sizeof(lu->serial) - 1);
	else
		snprintf(lu->serial, sizeof(lu->serial), "%s", serial);
	if (keys->naa && !parse_naa(keys->naa->text, &lu->naa))
		conf_wrong(conf, keys->naa->line,
			   "naa = %.100s: not 16 hexadecimal digits that begin with 2, 3 or 5",
			   keys->naa->text);
}

static void describe(struct conf *conf, struct conf_device *device,
		     const struct device_keys *keys)
{
	take_block_sizes(conf, keys, &device->lu);
	take_identity(conf, keys, &device->lu);
	if (keys->shared)
		conf_bool(conf, keys->shared, "shared", &device->shared);
	conf_take_reach(conf, keys->section, device);
}

void conf_take_device(struct conf *conf, void *owner, const struct ucl_node *node)
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
	const struct ucl_node *const all[] = {
		keys->block_size, keys->physical, keys->serial, keys->naa, keys->shared,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			return all[i];
	return conf_reach_first(keys->section);
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

void conf_settle_devices(struct conf *conf)
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
