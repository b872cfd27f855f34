/*
 * targetcli's saveconfig.json to our configuration; see import.h. The names of its keys are
 * rtslib's. LIO's node ACLs become auth groups and maps; its network portals become portal
 * groups, one for all portals that serve the same targets.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "import.h"
#include "log.h"
#include "need.h"
#include "ucl.h"

#define SECRETS_DIR	"/etc/nbd-iscsi-gateway/secrets"
#define NAME_LEN	128
#define PATH_LEN	4096
#define MAX_FILE	(64u << 20)

struct portal {
	char	 address[NAME_LEN];
	bool	*serves;		/* by number of the target */
	unsigned group;			/* number of its group, from 1 */
};

struct secret {
	char name[NAME_LEN + 16];	/* of the file */
	const char *text;
};

struct import {
	const struct ucl_node *root;
	const char *secrets_dir;
	bool	 write, failed;
	struct portal *portals;
	unsigned portal_count, group_count;
	struct secret *secrets;
	unsigned secret_count;
};

/* Reading ------------------------------------------------------------------ */

static const char *text_of(const struct ucl_node *object, const char *key)
{
	const struct ucl_node *node = ucl_find(object, key);

	return node && node->type == UCL_VALUE && strcmp(node->text, "null") != 0 ? node->text : "";
}

/* JSON has true and 1 for it, in different places. */
static bool is_set(const struct ucl_node *object, const char *key, bool otherwise)
{
	const char *text = text_of(object, key);

	return *text ? strcmp(text, "true") == 0 || strcmp(text, "1") == 0 : otherwise;
}

static const struct ucl_node *list_of(const struct ucl_node *object, const char *key)
{
	const struct ucl_node *list = ucl_find(object, key);

	return list ? list->first : NULL;
}

static bool is_iscsi(const struct ucl_node *target)
{
	return strcmp(text_of(target, "fabric"), "iscsi") == 0;
}

/* A target has one set of LUNs here: that of its first portal group. */
static const struct ucl_node *tpg_of(const struct ucl_node *target)
{
	return list_of(target, "tpgs");
}

static unsigned targets_count(const struct import *im)
{
	unsigned count = 0;

	for (const struct ucl_node *t = list_of(im->root, "targets"); t; t = t->next)
		count++;
	return count;
}

/* Writing ------------------------------------------------------------------ */

static void print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	putchar('"');
}

static void print_key(const char *indent, const char *key, const char *text)
{
	printf("%s%s = ", indent, key);
	print_quoted(text);
	puts("");
}

/* What may be part of a file's name, and of a device's. */
static void plain_name(const char *text, char name[NAME_LEN])
{
	size_t len = 0;

	for (; *text && len < NAME_LEN - 8; text++) {
		bool plain = strchr("-_", *text) || (*text == '.' && len > 0) ||
			     (*text >= '0' && *text <= '9') || ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'z');

		name[len++] = plain ? *text : '_';
	}
	if (len == 0)
		name[len++] = '_';
	name[len] = '\0';
}

/* Secrets ------------------------------------------------------------------ */

static void write_secret(struct import *im, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t len = strlen(text);
	bool ok = fd >= 0 && write(fd, text, len) == (ssize_t)len && write(fd, "\n", 1) == 1;

	if (fd >= 0 && close(fd) < 0)
		ok = false;
	if (!ok)
		log_error("%s: %s", path, strerror(errno));
	im->failed |= !ok;
}

static const struct secret *find_secret(const struct import *im, const char *name)
{
	for (unsigned i = 0; i < im->secret_count; i++)
		if (strcmp(im->secrets[i].name, name) == 0)
			return &im->secrets[i];
	return NULL;
}

/* The file of this user's secret: another one for each secret that users of this name have. */
static void secret_path(struct import *im, const char *user, const char *text, char path[PATH_LEN])
{
	char plain[NAME_LEN], name[NAME_LEN + 16];
	const struct secret *known;
	unsigned number = 1;

	plain_name(user, plain);
	snprintf(name, sizeof(name), "%s", plain);
	while ((known = find_secret(im, name)) != NULL && strcmp(known->text, text) != 0)
		snprintf(name, sizeof(name), "%s-%u", plain, ++number);
	snprintf(path, PATH_LEN, "%.3000s/%s", im->secrets_dir, name);
	if (known)
		return;
	im->secrets = need_more(im->secrets, im->secret_count, sizeof(*im->secrets));
	snprintf(im->secrets[im->secret_count].name, sizeof(name), "%s", name);
	im->secrets[im->secret_count++].text = text;
	if (im->write)
		write_secret(im, path, text);
	else
		log_warning("write the secret of user \"%s\" to %s (mode 0600), or let --secrets-dir=DIR do "
			    "it", user, path);
}

/* "prefix": of the keys in which rtslib has them. False: there are no credentials. */
static bool print_chap(struct import *im, const struct ucl_node *object, const char *prefix)
{
	char key[64], path[PATH_LEN];
	const char *user, *mutual_user, *mutual_secret;

#define KEY(name)	(snprintf(key, sizeof(key), "%s%s", prefix, name), text_of(object, key))
	user = KEY("userid");
	if (!*user)
		return false;
	secret_path(im, user, KEY("password"), path);
	mutual_user = KEY("mutual_userid");
	mutual_secret = KEY("mutual_password");
#undef KEY
	printf("\t%s {\n", *mutual_user ? "chap-mutual" : "chap");
	print_key("\t\t", "user", user);
	print_key("\t\t", "secret-file", path);
	if (*mutual_user) {
		secret_path(im, mutual_user, mutual_secret, path);
		print_key("\t\t", "mutual-user", mutual_user);
		print_key("\t\t", "mutual-secret-file", path);
	}
	puts("\t}");
	return true;
}

/* Devices ------------------------------------------------------------------ */

static const struct ucl_node *find_object(const struct import *im, const char *plugin,
					  size_t plugin_len, const char *name)
{
	for (const struct ucl_node *o = list_of(im->root, "storage_objects"); o; o = o->next)
		if (strcmp(text_of(o, "name"), name) == 0 &&
		    (!plugin || (strlen(text_of(o, "plugin")) == plugin_len &&
				 strncmp(text_of(o, "plugin"), plugin, plugin_len) == 0)))
			return o;
	return NULL;
}

/* Objects of two plugins may be named alike. */
static void device_name(const struct import *im, const struct ucl_node *object,
			char name[NAME_LEN])
{
	char full[NAME_LEN];

	snprintf(full, sizeof(full), "%s%s%.100s", text_of(object, "plugin"), "-",
		 text_of(object, "name"));
	plain_name(find_object(im, NULL, 0, text_of(object, "name")) == object ? text_of(object, "name")
									       : full, name);
}

/* False: nothing of ours does what that plugin does. */
static bool device_uri(const struct ucl_node *object, char uri[PATH_LEN])
{
	const char *plugin = text_of(object, "plugin");

	if (strcmp(plugin, "fileio") == 0 || strcmp(plugin, "block") == 0)
		snprintf(uri, PATH_LEN, "file:%s", text_of(object, "dev"));
	else if (strcmp(plugin, "ramdisk") == 0)
		snprintf(uri, PATH_LEN, "mem:%s", text_of(object, "size"));
	else
		return false;
	return true;
}

static void print_device(const struct import *im, const struct ucl_node *object)
{
	const char *block_size = text_of(ucl_find(object, "attributes"), "block_size");
	char name[NAME_LEN], uri[PATH_LEN];

	device_name(im, object, name);
	if (!device_uri(object, uri)) {
		log_warning("storage object %s: %s is not taken over", name, text_of(object, "plugin"));
		return;
	}
	printf("device %s {\n", name);
	print_key("\t", "uri", uri);
	if (is_set(object, "readonly", false))
		puts("\tread-only = yes");
	if (*block_size && strcmp(block_size, "512") != 0)
		print_key("\t", "block-size", block_size);
	if (*text_of(object, "wwn"))
		print_key("\t", "serial", text_of(object, "wwn"));
	puts("}\n");
}

/* Portal groups ------------------------------------------------------------ */

static struct portal *add_portal(struct import *im, const struct ucl_node *node)
{
	const char *ip = text_of(node, "ip_address"), *port = text_of(node, "port");
	bool bare = strchr(ip, ':') && ip[0] != '[';
	struct portal *portal;
	char address[NAME_LEN];

	snprintf(address, sizeof(address), "%s%.90s%s:%.20s", bare ? "[" : "", ip, bare ? "]" : "",
		 *port ? port : "3260");
	for (unsigned i = 0; i < im->portal_count; i++)
		if (strcmp(im->portals[i].address, address) == 0)
			return &im->portals[i];
	im->portals = need_more(im->portals, im->portal_count, sizeof(*im->portals));
	portal = &im->portals[im->portal_count++];
	*portal = (struct portal){ 0 };
	memcpy(portal->address, address, sizeof(address));
	portal->serves = need(calloc(targets_count(im) + 1, sizeof(*portal->serves)));
	return portal;
}

static void collect_portals(struct import *im)
{
	unsigned number = 0;

	for (const struct ucl_node *t = list_of(im->root, "targets"); t; t = t->next, number++)
		for (const struct ucl_node *p = is_iscsi(t) ? list_of(tpg_of(t), "portals") : NULL; p;
		     p = p->next)
			add_portal(im, p)->serves[number] = true;
}

static void group_portals(struct import *im)
{
	size_t size = targets_count(im) * sizeof(*im->portals->serves);

	for (unsigned i = 0; i < im->portal_count; i++) {
		struct portal *portal = &im->portals[i];

		for (unsigned j = 0; j < i && !portal->group; j++)
			if (memcmp(im->portals[j].serves, portal->serves, size) == 0)
				portal->group = im->portals[j].group;
		if (!portal->group)
			portal->group = ++im->group_count;
	}
}

static const struct ucl_node *discovery(const struct import *im)
{
	for (const struct ucl_node *f = list_of(im->root, "fabric_modules"); f; f = f->next)
		if (strcmp(text_of(f, "name"), "iscsi") == 0 && is_set(f, "discovery_enable_auth", false))
			return f;
	return NULL;
}

static void print_portal_groups(struct import *im)
{
	const struct ucl_node *auth = discovery(im);

	if (auth) {
		puts("auth-group discovery {");
		if (!print_chap(im, auth, "discovery_"))
			puts("\tauth-type = deny");
		puts("}\n");
	}
	for (unsigned group = 1; group <= im->group_count; group++) {
		printf("portal-group portals%u {\n", group);
		for (unsigned i = 0; i < im->portal_count; i++)
			if (im->portals[i].group == group)
				print_key("\t", "listen", im->portals[i].address);
		printf("\ttag = %u\n\tdiscovery-auth-group = %s\n}\n\n", group,
		       auth ? "discovery" : "no-authentication");
	}
}

/* Targets ------------------------------------------------------------------ */

/* Who may log in: a group named after the target's number. */
static void print_auth_group(struct import *im, const char *iqn, const struct ucl_node *tpg,
			     unsigned number)
{
	const struct ucl_node *attributes = ucl_find(tpg, "attributes");
	bool chap = is_set(attributes, "authentication", false);
	bool anybody = is_set(attributes, "generate_node_acls", false);
	unsigned users = 0, acls = 0;

	printf("auth-group target%u {\n", number);
	if (chap && anybody)
		users += print_chap(im, tpg, "chap_");
	for (const struct ucl_node *acl = list_of(tpg, "node_acls"); acl; acl = acl->next, acls++) {
		if (!anybody)
			print_key("\t", "initiator-name", text_of(acl, "node_wwn"));
		if (chap)
			users += print_chap(im, acl, "chap_");
	}
	if (!chap && (anybody || acls))
		puts("\tauth-type = none");
	else if (!users)
		puts("\tauth-type = deny");
	puts("}\n");
	if (chap && !users)
		log_warning("%s asks for authentication and has no credentials: nobody can log in", iqn);
	if (users > 1)
		log_warning("%s: each of its %u users may log in under any of its initiators' names", iqn,
			    users);
}

static void print_luns(const struct import *im, const char *iqn, const struct ucl_node *tpg)
{
	const struct ucl_node *attributes = ucl_find(tpg, "attributes");
	bool protect = is_set(attributes, "generate_node_acls", false) &&
		       is_set(attributes, "demo_mode_write_protect", true);

	for (const struct ucl_node *lun = list_of(tpg, "luns"); lun; lun = lun->next) {
		const char *path = text_of(lun, "storage_object");	/* /backstores/PLUGIN/NAME */
		const char *plugin = strncmp(path, "/backstores/", 12) == 0 ? path + 12 : path;
		const char *slash = strchr(plugin, '/');
		const struct ucl_node *object =
			slash ? find_object(im, plugin, (size_t)(slash - plugin), slash + 1) : NULL;
		char name[NAME_LEN], uri[PATH_LEN];

		if (!object || !device_uri(object, uri)) {
			log_warning("%s: LUN %s (%s) is not taken over", iqn, text_of(lun, "index"), path);
			continue;
		}
		device_name(im, object, name);
		printf("\tlun %s { device = %s%s }\n", text_of(lun, "index"), name,
		       protect ? "; read-only = yes" : "");
	}
}

static const struct ucl_node *find_lun(const struct ucl_node *tpg, const char *index)
{
	for (const struct ucl_node *lun = list_of(tpg, "luns"); lun; lun = lun->next)
		if (strcmp(text_of(lun, "index"), index) == 0)
			return lun;
	return NULL;
}

/* Does the initiator see just what the target has? Then it needs no map. */
static bool sees_all(const struct ucl_node *tpg, const struct ucl_node *acl)
{
	unsigned mapped = 0, luns = 0;

	if (is_set(ucl_find(tpg, "attributes"), "generate_node_acls", false))
		return false;
	for (const struct ucl_node *lun = list_of(tpg, "luns"); lun; lun = lun->next)
		luns++;
	for (const struct ucl_node *m = list_of(acl, "mapped_luns"); m; m = m->next, mapped++)
		if (strcmp(text_of(m, "index"), text_of(m, "tpg_lun")) != 0 ||
		    is_set(m, "write_protect", false))
			return false;
	return mapped == luns;
}

static void print_map(const struct ucl_node *tpg, const struct ucl_node *acl)
{
	if (sees_all(tpg, acl))
		return;
	printf("\tmap ");
	print_quoted(text_of(acl, "node_wwn"));
	puts(" {");
	for (const struct ucl_node *m = list_of(acl, "mapped_luns"); m; m = m->next)
		if (find_lun(tpg, text_of(m, "tpg_lun")))
			printf("\t\tlun %s { target-lun = %s; read-only = %s }\n", text_of(m, "index"),
			       text_of(m, "tpg_lun"), is_set(m, "write_protect", false) ? "yes" : "no");
	puts("\t}");
}

static void print_entrances(const struct import *im, unsigned number)
{
	for (unsigned group = 1; group <= im->group_count; group++)
		for (unsigned i = 0; i < im->portal_count; i++)
			if (im->portals[i].group == group && im->portals[i].serves[number]) {
				printf("\tportal-group = portals%u\n", group);
				break;
			}
}

static void print_target(struct import *im, const struct ucl_node *target, unsigned number)
{
	const struct ucl_node *tpg = tpg_of(target);
	const char *iqn = text_of(target, "wwn");

	if (!is_iscsi(target) || !tpg) {
		log_warning("target %s (%s) is not taken over", iqn, text_of(target, "fabric"));
		return;
	}
	for (const struct ucl_node *other = tpg->next; other; other = other->next)
		log_warning("%s: portal group %s is not taken over: a target has one set of LUNs here", iqn,
			    text_of(other, "tag"));
	print_auth_group(im, iqn, tpg, number + 1);
	printf("target ");
	print_quoted(iqn);
	printf(" {\n\tauth-group = target%u\n", number + 1);
	print_entrances(im, number);
	if (!is_set(tpg, "enable", true))
		puts("\toffline = yes");
	print_luns(im, iqn, tpg);
	for (const struct ucl_node *acl = list_of(tpg, "node_acls"); acl; acl = acl->next)
		print_map(tpg, acl);
	puts("}\n");
}

/* The whole ---------------------------------------------------------------- */

static void print_all(struct import *im, const char *path)
{
	unsigned number = 0;

	printf("# Made of %s by nbd-iscsi-gateway --import.\n\n", path);
	for (const struct ucl_node *o = list_of(im->root, "storage_objects"); o; o = o->next)
		print_device(im, o);
	collect_portals(im);
	group_portals(im);
	print_portal_groups(im);
	for (const struct ucl_node *t = list_of(im->root, "targets"); t; t = t->next)
		print_target(im, t, number++);
	if (list_of(im->root, "storage_objects"))
		log_warning("serial numbers are kept, but not LIO's NAA designators: hosts that know disks by "
			    "those see new ones");
}

static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(MAX_FILE);

	if (file && text) {
		*len = fread(text, 1, MAX_FILE, file);
		if (!ferror(file)) {
			fclose(file);
			return text;
		}
	}
	log_error("%s: %s", path, strerror(errno));
	if (file)
		fclose(file);
	free(text);
	return NULL;
}

int import_run(const char *path, const char *secrets_dir)
{
	struct import im = {
		.secrets_dir = secrets_dir ? secrets_dir : SECRETS_DIR, .write = secrets_dir,
	};
	struct ucl_node *root;
	char why[200], *text;
	unsigned line = 0;
	size_t len = 0;

	text = read_file(path, &len);
	if (!text)
		return 1;
	root = ucl_parse(text, len, &line, why, sizeof(why));
	explicit_bzero(text, len);
	free(text);
	if (!root || !ucl_find(root, "targets") || !ucl_find(root, "storage_objects")) {
		if (root)
			log_error("%s: not a saveconfig.json: no storage_objects or no targets", path);
		else
			log_error("%s:%u: %s", path, line, why);
		ucl_free(root);
		return 2;
	}
	im.root = root;
	print_all(&im, path);
	for (unsigned i = 0; i < im.portal_count; i++)
		free(im.portals[i].serves);
	free(im.portals);
	free(im.secrets);
	ucl_free(root);
	return im.failed || fflush(stdout) != 0;
}
