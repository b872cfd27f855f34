/* The section that says what initiators find: target, with its LUNs and maps. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "conf_file.h"

#define WHO_HINT	"give it in auth-group NAME { ... }, and auth-group = NAME here"
#define CHAP_HINT	"give auth-group = NAME here, and chap or chap-mutual { ... } in that"
#define STORE_HINT	"give lun NUMBER { device = file:PATH }"

struct target_keys {
	struct access_target *target;
	const char *what;
	const struct ucl_node *alias, *auth_group, *offline, *redirect, *redirect_permanent;
};

/* LUNs --------------------------------------------------------------------- */

static bool lun_number(struct conf *conf, const struct ucl_node *node, unsigned *number)
{
	const struct ucl_node name = { .text = node->key, .line = node->line };

	return conf_number(conf, &name, "lun", 0, LUN_MAX, number);
}

/* The first LUN that shows a device gives it its identity: target and number. */
static void identify(struct conf_device *device, const struct access_target *target,
		     unsigned number)
{
	if (device->lu.target_name[0])
		return;
	snprintf(device->lu.target_name, sizeof(device->lu.target_name), "%s", target->name);
	device->lu.lun = (uint16_t)number;
}

static void take_lun(struct conf *conf, void *owner, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_ONE("device", struct device_keys, device),
		CONF_KEY_ONE("read-only", struct device_keys, read_only),
		CONF_DEVICE_KEYS(struct device_keys, ),
		CONF_KEY_REFUSED("uri", "give device = URI"),
		/* What there is in ctl.conf: */
		CONF_KEY_REFUSED("path", "give device = file:PATH"),
		CONF_KEY_REFUSED("backend", "give device = file:PATH or mem:SIZE"),
		CONF_KEY_REFUSED("size", "it is that of the device"),
		CONF_KEY_REFUSED("blocksize", "give block-size"),
		CONF_KEY_REFUSED("device-id", "give naa, or serial"),
		CONF_KEY_END,
	};
	struct target_keys *target = owner;
	struct device_keys keys = { .section = node };
	char what[CONF_WHAT_LEN], place[2 * CONF_WHAT_LEN];
	struct conf_device *device;
	bool read_only = false;
	const char *why = NULL;
	unsigned number;

	conf_what(what, "lun", node->key);
	conf_take_section(conf, section, node, what, &keys);
	snprintf(place, sizeof(place), "lun %s of %s", node->key, target->what);
	device = conf_show_device(conf, &keys, place, node->line, &read_only);
	if (!lun_number(conf, node, &number) || !device)
		return;
	identify(device, target->target, number);
	why = access_add_lun(target->target->maps[0], number, device->export, read_only);
	if (why)
		conf_wrong(conf, node->line, "lun %u: %s", number, why);
}

/* Maps --------------------------------------------------------------------- */

struct map_keys {
	struct access_target *target;
	struct access_map *map;
};

struct mapped_keys {
	const struct ucl_node *target_lun, *read_only;
};

static void take_mapped_lun(struct conf *conf, void *owner, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_ONE("target-lun", struct mapped_keys, target_lun),
		CONF_KEY_ONE("read-only", struct mapped_keys, read_only),
		CONF_KEY_END,
	};
	struct map_keys *map = owner;
	struct mapped_keys keys = { 0 };
	const struct access_lun *of_target;
	unsigned number, target_number;
	bool read_only;
	const char *why;

	conf_take_section(conf, section, node, "lun", &keys);
	if (!lun_number(conf, node, &number))
		return;
	target_number = number;
	if (keys.target_lun && !conf_number(conf, keys.target_lun, "target-lun", 0, LUN_MAX,
					    &target_number))
		return;
	of_target = access_find_lun(map->target->maps[0], target_number);
	if (!of_target) {
		conf_wrong(conf, node->line, "lun %u: the target has no lun %u", number, target_number);
		return;
	}
	read_only = of_target->read_only;
	if (keys.read_only)
		conf_bool(conf, keys.read_only, "read-only", &read_only);
	conf_count_view(conf, of_target->export, read_only);
	why = access_add_lun(map->map, number, of_target->export, read_only);
	if (why)
		conf_wrong(conf, node->line, "lun %u: %s", number, why);
}

static void add_map(struct conf *conf, struct access_target *target,
		    const struct access_portal_group *group, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_NAMED("lun", take_mapped_lun),
		CONF_KEY_END,
	};
	struct map_keys keys = { .target = target };
	char what[CONF_WHAT_LEN];
	const char *why = access_add_map(target, group, node->key, &keys.map);

	conf_what(what, "map", node->key);
	if (why)
		conf_wrong(conf, node->line, "%s: %s", what, why);
	else
		conf_take_section(conf, section, node, what, &keys);
}

static void take_map(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct target_keys *target = owner;

	add_map(conf, target->target, NULL, node);
}

/* Where it can be reached -------------------------------------------------- */

struct entrance_keys {
	struct access_target *target;
	const struct ucl_node *name, *auth_group;
	struct access_map *map;		/* of all that come by it; NULL: not yet */
};

static void add_entrance(struct conf *conf, struct target_keys *keys, const struct ucl_node *name,
			 const struct ucl_node *auth_group)
{
	const struct access_portal_group *group = conf_portal_group(conf, name->text);
	const struct access_auth_group *auth = auth_group ? conf_auth_group(conf, auth_group) : NULL;
	const char *why;

	if (!group) {
		conf_wrong(conf, name->line, "portal-group = %.200s: there is no portal-group of this name",
			   name->text);
		return;
	}
	why = access_add_entrance(keys->target, group, auth);
	if (why)
		conf_wrong(conf, name->line, "portal-group = %.200s: %s", name->text, why);
}

/* NULL: the group has no name, or there is none of this, which is told with it. */
static const struct access_portal_group *group_of(struct conf *conf,
						  const struct entrance_keys *keys)
{
	return keys->name ? conf_portal_group(conf, keys->name->text) : NULL;
}

static void take_entrance_lun(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct entrance_keys *keys = owner;
	const struct access_portal_group *group = group_of(conf, keys);
	const char *why = NULL;

	if (group && !keys->map)
		why = access_add_map(keys->target, group, NULL, &keys->map);
	if (why)
		conf_wrong(conf, node->line, "lun %s: %s", node->key, why);
	else if (group)
		take_mapped_lun(conf, &(struct map_keys){ keys->target, keys->map }, node);
}

static void take_entrance_map(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct entrance_keys *keys = owner;
	const struct access_portal_group *group = group_of(conf, keys);

	if (group)
		add_map(conf, keys->target, group, node);
}

/* portal-group = NAME, or portal-group { name = NAME; auth-group = ... } */
static void take_entrance(struct conf *conf, void *owner, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_ONE("name", struct entrance_keys, name),
		CONF_KEY_ONE("auth-group", struct entrance_keys, auth_group),
		CONF_KEY_NAMED("lun", take_entrance_lun),
		CONF_KEY_NAMED("map", take_entrance_map),
		CONF_KEY_END,
	};
	struct target_keys *target = owner;
	struct entrance_keys keys = { .target = target->target };

	switch (node->type) {
	case UCL_ARRAY:
		for (const struct ucl_node *one = node->first; one; one = one->next)
			take_entrance(conf, owner, one);
		break;
	case UCL_VALUE:
		add_entrance(conf, owner, node, NULL);
		break;
	case UCL_OBJECT:
		conf_take_section(conf, section, node, "portal-group", &keys);
		if (keys.name)
			add_entrance(conf, owner, keys.name, keys.auth_group);
		else
			conf_wrong(conf, node->line, "portal-group has no name");
		break;
	}
}

/* Without a portal-group: the one that there is, or the one that is the default. */
static void default_entrance(struct conf *conf, struct target_keys *keys,
			     const struct ucl_node *node)
{
	const struct access *access = conf->access;
	const struct access_portal_group *group = conf_portal_group(conf, "default");

	if (!group && access->portal_group_count == 1)
		group = access->portal_groups[0];
	if (!group)
		conf_wrong(conf, node->line, "%s has no portal-group", keys->what);
	else
		access_add_entrance(keys->target, group, NULL);
}

/* Targets ------------------------------------------------------------------ */

static void finish_target(struct conf *conf, struct target_keys *keys)
{
	struct access_target *target = keys->target;
	const struct ucl_node *to;
	enum access_redirect redirect = conf_redirect(conf, keys->redirect,
						      keys->redirect_permanent, &to);
	const char *why = keys->alias ? access_set_alias(target, keys->alias->text) : NULL;

	if (why)
		conf_wrong(conf, keys->alias->line, "alias = %.200s: %s", keys->alias->text, why);
	why = to ? access_redirect_target(target, redirect, to->text) : NULL;
	if (why)
		conf_wrong(conf, to->line, "%s = %.200s: %s", to->key, to->text, why);
	if (keys->offline)
		conf_bool(conf, keys->offline, "offline", &target->offline);
}

/* Before the rest of its section, since its entrances are by it. */
static const struct access_auth_group *auth_of(struct conf *conf, const struct ucl_node *node)
{
	const struct ucl_node *name = ucl_find(node, "auth-group");
	const struct access_auth_group *auth = NULL;

	if (!name || name->type == UCL_VALUE)
		auth = conf_auth_group(conf, name);
	return auth ? auth : conf_auth_group(conf, NULL);
}

void conf_take_target(struct conf *conf, void *owner, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_ONE("alias", struct target_keys, alias),
		CONF_KEY_ONE("auth-group", struct target_keys, auth_group),
		CONF_KEY_NAMED("lun", take_lun),
		CONF_KEY_NAMED("map", take_map),
		CONF_KEY_ANY("portal-group", take_entrance),	/* its LUNs refer to those above */
		CONF_KEY_ONE("offline", struct target_keys, offline),
		CONF_KEY_ONE("redirect", struct target_keys, redirect),
		CONF_KEY_ONE("redirect-permanent", struct target_keys, redirect_permanent),
		/* What there is in ctl.conf, and in tgt's: */
		CONF_KEY_REFUSED("auth-type", WHO_HINT),
		CONF_KEY_REFUSED("chap", WHO_HINT),
		CONF_KEY_REFUSED("chap-mutual", WHO_HINT),
		CONF_KEY_REFUSED("initiator-name", WHO_HINT),
		CONF_KEY_REFUSED("initiator-portal", WHO_HINT),
		CONF_KEY_REFUSED("initiator-address", "give auth-group = NAME here, and initiator-portal in that"),
		CONF_KEY_REFUSED("incominguser", CHAP_HINT),
		CONF_KEY_REFUSED("outgoinguser", CHAP_HINT),
		CONF_KEY_REFUSED("backing-store", STORE_HINT),
		CONF_KEY_REFUSED("direct-store", STORE_HINT),
		CONF_KEY_END,
	};
	struct target_keys keys = { 0 };
	char what[CONF_WHAT_LEN];
	const char *why = access_add_target(conf->access, node->key, auth_of(conf, node), &keys.target);

	(void)owner;
	conf_what(what, "target", node->key);
	keys.what = what;
	if (why) {
		conf_wrong(conf, node->line, "%s: %s", what, why);
		return;
	}
	conf_take_section(conf, section, node, what, &keys);
	if (keys.target->entrance_count == 0 && !ucl_find(node, "portal-group"))
		default_entrance(conf, &keys, node);
	finish_target(conf, &keys);
}
