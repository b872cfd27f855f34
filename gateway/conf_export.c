/* The section that says what NBD clients find: nbd-export. */
#include "config.h"

#include <stdlib.h>

#include "conf_file.h"
#include "need.h"

struct export_keys {
	struct device_keys device;
	const struct ucl_node *tls_only, *description;
	const struct ucl_node **allow, **from, **listen;
	unsigned allow_count, from_count, listen_count;
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

static void take_export_listen(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct export_keys *keys = owner;

	(void)conf;
	keys->listen = need_more(keys->listen, keys->listen_count, sizeof(*keys->listen));
	keys->listen[keys->listen_count++] = node;
}

static void add_door(struct conf *conf, const struct ucl_node *node, struct nbd_export *export)
{
	struct address address;
	char why[200];

	export->own_doors = true;
	conf->line = node->line;
	if (address_parse(node->text, ADDRESS_NBD, &address, why, sizeof(why)))
		conf_add_listener(conf, &address, 0, NULL)->export = export;
	else
		conf_wrong(conf, node->line, "listen = %.200s: %s", node->text, why);
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
	for (unsigned i = 0; i < keys->listen_count; i++)
		add_door(conf, keys->listen[i], export);
	for (unsigned i = 0; i < keys->from_count; i++) {
		why = nbd_export_allow_from(export, keys->from[i]->text);
		if (why)
			conf_wrong(conf, keys->from[i]->line, "allow-from = %.100s: %s", keys->from[i]->text,
				   why);
	}
}

void conf_take_export(struct conf *conf, void *owner, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_ONE("device", struct export_keys, device.device),
		CONF_KEY_ONE("read-only", struct export_keys, device.read_only),
		CONF_KEY_ONE("description", struct export_keys, description),
		CONF_KEY_ONE("tls-only", struct export_keys, tls_only),
		CONF_KEY_EACH("listen", take_export_listen),
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
	free(keys.listen);
}
