/*
 * What the files of the configuration file's sections share. Private to conf_*.c.
 *
 *	conf_file.c	the file
 *	conf_device.c	devices
 *	conf_export.c	NBD exports
 *	conf_reach.c	how one device is reached
 *	conf_auth.c	auth groups and portal groups
 *	conf_target.c	targets, their LUNs and maps
 */
#ifndef CONF_FILE_H
#define CONF_FILE_H

#include "conf_section.h"

/* What a LUN, an NBD export or a device section says of the device. */
struct device_keys {
	const struct ucl_node *section;	/* all of it, for conf_reach.c's keys */
	const struct ucl_node *device, *uri, *read_only, *block_size, *physical, *serial, *naa, *shared;
};

/* Rows of a section whose struct device_keys is at "at": nothing, or a member and a dot. */
#define CONF_DEVICE_KEYS(type, at) \
	CONF_KEY_ONE("block-size", type, at block_size), \
	CONF_KEY_ONE("physical-block-size", type, at physical), \
	CONF_KEY_ONE("serial", type, at serial), \
	CONF_KEY_ONE("naa", type, at naa), \
	CONF_KEY_ONE("shared", type, at shared), \
	CONF_KEY_REST(conf_reach_has, conf_reach_list), \
	CONF_KEY_REFUSED("option", "give physical-block-size, serial or naa"), \
	CONF_KEY_REFUSED("chap-user", "give chap { user = NAME; secret-file = FILE }"), \
	CONF_KEY_REFUSED("chap-secret", "give chap { user = NAME; secret-file = FILE }")

/*
 * The device that keys->device names, or that its URI is: then it is one of its own, described
 * by the other keys. "place" is what shows it; *read_only is set as its key says. NULL: noted.
 */
struct conf_device *conf_show_device(struct conf *conf, const struct device_keys *keys,
				     const char *place, unsigned line, bool *read_only);

/* Is that a key about how a device is reached? And the names of all, as conf_list_keys() does it. */
bool conf_reach_has(const char *name);
void conf_reach_list(char *text, size_t size);

/* The first of them in "section"; NULL: none. */
const struct ucl_node *conf_reach_first(const struct ucl_node *section);

/* Take them for the device. */
void conf_take_reach(struct conf *conf, const struct ucl_node *section, struct conf_device *device);

/* An account, as chap { } and chap-mutual { } have it; the names are the tree's. */
struct conf_chap {
	const char *user, *mutual_user;	/* the second of chap-mutual { } alone, else NULL */
	struct chap_secret secret, mutual_secret;
};

/* Read such a block, and the files of its secrets. False: noted. To be wiped. */
bool conf_load_chap(struct conf *conf, const struct ucl_node *node, struct conf_chap *chap);
void conf_wipe_chap(struct conf_chap *chap);

/* Something more shows that device. */
void conf_count_view(struct conf *conf, const struct export *export, bool read_only);

/* A device that all see as read-only is opened so, and one that nobody sees is not opened. */
void conf_settle_devices(struct conf *conf);

void conf_take_device(struct conf *conf, void *owner, const struct ucl_node *node);
void conf_take_export(struct conf *conf, void *owner, const struct ucl_node *node);
void conf_take_auth_group(struct conf *conf, void *owner, const struct ucl_node *node);
void conf_take_portal_group(struct conf *conf, void *owner, const struct ucl_node *node);
void conf_take_target(struct conf *conf, void *owner, const struct ucl_node *node);

/* The auth groups that there are without being written down, but for "default". */
void conf_add_predefined(struct conf *conf);

/* The auth group of that name (NULL: "default", which lets nobody in unless the file has it).
 * NULL: noted. */
const struct access_auth_group *conf_auth_group(struct conf *conf, const struct ucl_node *name);

/* NULL: there is none. */
const struct access_portal_group *conf_portal_group(const struct conf *conf, const char *name);

/* "redirect" and "redirect-permanent" of a section: where to, and how. */
enum access_redirect conf_redirect(struct conf *conf, const struct ucl_node *temporary,
				   const struct ucl_node *permanent, const struct ucl_node **to);

#define CONF_WHAT_LEN	300

/* What a section is called in messages: target "iqn...". */
void conf_what(char what[CONF_WHAT_LEN], const char *kind, const char *name);

#endif
