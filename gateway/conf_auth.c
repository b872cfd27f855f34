/* The sections that say who may come in, and where to: auth-group, portal-group. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "chap.h"
#include "conf_file.h"

/* What there is without being written down, in ctl.conf's names. */
#define OPEN_GROUP	"no-authentication"
#define CLOSED_GROUP	"no-access"
#define DEFAULT_GROUP	"default"

#define SECRET_HINT \
	"secrets do not stand in this file: give secret-file = FILE (of mode 0600), or secret-file = credential:NAME"

/* Auth groups ------------------------------------------------------------- */

struct auth_keys {
	struct access_auth_group *group;
	const struct ucl_node *auth_type;
};

/* The keys of chap { } and chap-mutual { }, wherever it stands. */
struct chap_keys {
	const struct ucl_node *user, *secret_file;
	const struct ucl_node *mutual_user, *mutual_secret_file;	/* chap-mutual's alone */
};

/* Relative to where the configuration file is. */
static bool load_secret(struct conf *conf, const struct ucl_node *node, struct chap_secret *secret)
{
	const char *slash = strrchr(conf->file, '/');
	char path[4096], why[400];
	int dir_len = slash ? (int)(slash - conf->file) + 1 : 0;

	if (strncmp(node->text, "credential:", 11) == 0 || node->text[0] == '/')
		dir_len = 0;
	snprintf(path, sizeof(path), "%.*s%s", dir_len, conf->file, node->text);
	if (chap_secret_load(path, secret, why, sizeof(why)))
		return true;
	conf_wrong(conf, node->line, "%s: %s", node->key, why);
	return false;
}

/* All that are missing are told. */
static bool has_all(struct conf *conf, const struct ucl_node *node, const struct chap_keys *keys,
		    bool mutual)
{
	const struct { const char *name; const struct ucl_node *key; } wanted[] = {
		{ "user", keys->user },
		{ "secret-file", keys->secret_file },
		{ "mutual-user", keys->mutual_user },
		{ "mutual-secret-file", keys->mutual_secret_file },
	};
	bool all = true;

	for (unsigned i = 0; i < (mutual ? 4 : 2); i++)
		if (!wanted[i].key) {
			conf_wrong(conf, node->line, "%s has no %s", mutual ? "chap-mutual" : "chap",
				   wanted[i].name);
			all = false;
		}
	return all;
}

bool conf_load_chap(struct conf *conf, const struct ucl_node *node, struct conf_chap *chap)
{
	static const struct conf_key one_way[] = {
		CONF_KEY_ONE("user", struct chap_keys, user),
		CONF_KEY_ONE("secret-file", struct chap_keys, secret_file),
		CONF_KEY_REFUSED("secret", SECRET_HINT),
		CONF_KEY_END,
	};
	static const struct conf_key both_ways[] = {
		CONF_KEY_ONE("user", struct chap_keys, user),
		CONF_KEY_ONE("secret-file", struct chap_keys, secret_file),
		CONF_KEY_ONE("mutual-user", struct chap_keys, mutual_user),
		CONF_KEY_ONE("mutual-secret-file", struct chap_keys, mutual_secret_file),
		CONF_KEY_REFUSED("secret", SECRET_HINT),
		CONF_KEY_REFUSED("mutual-secret", SECRET_HINT),
		CONF_KEY_END,
	};
	bool mutual = strcmp(node->key, "chap-mutual") == 0, ok;
	struct chap_keys keys = { 0 };

	memset(chap, 0, sizeof(*chap));
	conf_take_section(conf, mutual ? both_ways : one_way, node, node->key, &keys);
	if (!has_all(conf, node, &keys, mutual))
		return false;
	chap->user = keys.user->text;
	ok = load_secret(conf, keys.secret_file, &chap->secret);
	if (mutual) {
		chap->mutual_user = keys.mutual_user->text;
		ok = load_secret(conf, keys.mutual_secret_file, &chap->mutual_secret) && ok;
	}
	if (!ok)
		conf_wipe_chap(chap);
	return ok;
}

void conf_wipe_chap(struct conf_chap *chap)
{
	chap_secret_wipe(&chap->secret);
	chap_secret_wipe(&chap->mutual_secret);
}

static void take_chap(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct auth_keys *auth = owner;
	struct conf_chap chap;
	const char *why;

	if (!conf_load_chap(conf, node, &chap))
		return;
	why = access_add_user(auth->group, chap.user, &chap.secret, chap.mutual_user,
			      chap.mutual_user ? &chap.mutual_secret : NULL);
	if (why)
		conf_wrong(conf, node->line, "user \"%.100s\": %s", chap.user, why);
	conf_wipe_chap(&chap);
}

static void take_initiator_name(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct auth_keys *auth = owner;
	const char *why = access_add_initiator(auth->group, node->text);

	if (why)
		conf_wrong(conf, node->line, "initiator-name = %.250s: %s", node->text, why);
}

static void take_initiator_portal(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct auth_keys *auth = owner;
	const char *why = access_add_prefix(auth->group, node->text);

	if (why)
		conf_wrong(conf, node->line, "initiator-portal = %.100s: %s", node->text, why);
}

/* Nobody comes in unless it is said how. */
static void decide_auth(struct conf *conf, const struct ucl_node *node, const char *what,
			struct auth_keys *keys)
{
	struct access_auth_group *group = keys->group;
	const char *type = keys->auth_type ? keys->auth_type->text : NULL;
	bool chap = type && (strcmp(type, "chap") == 0 || strcmp(type, "chap-mutual") == 0);
	bool open = type && strcmp(type, "none") == 0;
	bool has_chap = ucl_find(node, "chap") || ucl_find(node, "chap-mutual");

	if (type && !chap && !open && strcmp(type, "deny") != 0)
		conf_wrong(conf, keys->auth_type->line,
			   "auth-type = %.100s: not none, deny, chap or chap-mutual", type);
	else if (chap && !has_chap)
		conf_wrong(conf, keys->auth_type->line, "auth-type = %s, but %s has no %s { ... }", type, what,
			   type);
	else if (type && !chap && has_chap)
		conf_wrong(conf, keys->auth_type->line, "auth-type = %s, but %s has users", type, what);
	else if (!type && !has_chap && group->initiator_count + group->prefix_count)
		conf_wrong(conf, node->line, "%s lets nobody in: give chap { ... }, or auth-type = none for "
			   "no authentication", what);
	group->auth = has_chap ? ACCESS_CHAP : open ? ACCESS_OPEN : ACCESS_DENY;
}

void conf_take_auth_group(struct conf *conf, void *owner, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_ONE("auth-type", struct auth_keys, auth_type),
		CONF_KEY_BLOCK("chap", take_chap),
		CONF_KEY_BLOCK("chap-mutual", take_chap),
		CONF_KEY_EACH("initiator-name", take_initiator_name),
		CONF_KEY_EACH("initiator-portal", take_initiator_portal),
		CONF_KEY_END,
	};
	struct auth_keys keys = { 0 };
	char what[CONF_WHAT_LEN];
	const char *why = access_add_auth_group(conf->access, node->key, ACCESS_CHAP, &keys.group);

	(void)owner;
	conf_what(what, "auth-group", node->key);
	if (why) {
		conf_wrong(conf, node->line, "%s: %s", what, why);
		return;
	}
	conf_take_section(conf, section, node, what, &keys);
	decide_auth(conf, node, what, &keys);
}

static void add_group(struct conf *conf, const char *name, enum access_auth auth)
{
	struct access_auth_group *group;
	const char *why = NULL;

	if (!access_find_auth_group(conf->access, name))
		why = access_add_auth_group(conf->access, name, auth, &group);
	if (why)
		conf_wrong(conf, 0, "auth-group \"%s\": %s", name, why);
}

void conf_add_predefined(struct conf *conf)
{
	add_group(conf, OPEN_GROUP, ACCESS_OPEN);
	add_group(conf, CLOSED_GROUP, ACCESS_DENY);
}

const struct access_auth_group *conf_auth_group(struct conf *conf, const struct ucl_node *name)
{
	const char *text = name ? name->text : DEFAULT_GROUP;
	const struct access_auth_group *group = access_find_auth_group(conf->access, text);

	/* Its users may be named anywhere in the file, so it cannot be made earlier. */
	if (!group && !name) {
		add_group(conf, DEFAULT_GROUP, ACCESS_DENY);
		group = access_find_auth_group(conf->access, text);
	}
	if (!group)
		conf_wrong(conf, name ? name->line : 0, "%s = %.200s: there is no auth-group of this name",
			   name ? name->key : "auth-group", text);
	return group;
}

/* Portal groups ----------------------------------------------------------- */

struct portal_keys {
	struct access_portal_group *group;
	const struct ucl_node *tag, *discovery_auth_group, *discovery_filter;
	const struct ucl_node *redirect, *redirect_permanent;
};

const struct access_portal_group *conf_portal_group(const struct conf *conf, const char *name)
{
	for (unsigned i = 0; i < conf->access->portal_group_count; i++)
		if (strcmp(conf->access->portal_groups[i]->name, name) == 0)
			return conf->access->portal_groups[i];
	return NULL;
}

enum access_redirect conf_redirect(struct conf *conf, const struct ucl_node *temporary,
				   const struct ucl_node *permanent, const struct ucl_node **to)
{
	struct iscsi_portal portal;
	char why[100];

	*to = permanent ? permanent : temporary;
	if (permanent && temporary) {
		conf_wrong(conf, permanent->line, "redirect and redirect-permanent: one is enough");
	} else if (*to && (*to)->text[0] &&	/* behind a comma there may be a portal group's tag (RFC 7143 §13.8) */
		   !iscsi_portal_parse((*to)->text, strcspn((*to)->text, ","), false, &portal, why,
				       sizeof(why))) {
		conf_wrong(conf, (*to)->line, "%s = %.200s: %s", (*to)->key, (*to)->text, why);
		*to = NULL;
	}
	return permanent ? ACCESS_MOVED_PERMANENTLY : temporary ? ACCESS_MOVED_TEMPORARILY : ACCESS_STAY;
}

static void take_listen(struct conf *conf, void *owner, const struct ucl_node *node)
{
	struct portal_keys *keys = owner;
	struct address address;
	char why[200];

	conf->line = node->line;
	if (address_parse(node->text, ADDRESS_ISCSI, &address, why, sizeof(why)))
		conf_add_listener(conf, &address, keys->group->tag, keys->group->name);
	else
		conf_wrong(conf, node->line, "listen = %.200s: %s", node->text, why);
}

static void take_filter(struct conf *conf, const struct ucl_node *node,
			struct access_portal_group *group)
{
	static const char *const names[] = {
		[ACCESS_FILTER_NONE] = "none", [ACCESS_FILTER_PORTAL] = "portal",
		[ACCESS_FILTER_NAME] = "portal-name", [ACCESS_FILTER_AUTH] = "portal-name-auth",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(node->text, names[i]) == 0) {
			group->filter = (enum access_filter)i;
			return;
		}
	conf_wrong(conf, node->line, "discovery-filter = %.100s: not none, portal, portal-name or "
		   "portal-name-auth", node->text);
}

/*
 * Tags must not change when a group is added: initiators, and reservations, know ports by
 * them. So only a single group may leave its own out.
 */
static bool choose_tag(struct conf *conf, const struct ucl_node *node, const char *what,
		       unsigned *tag)
{
	const struct ucl_node *key = ucl_find(node, "tag");
	unsigned groups = 0;

	*tag = 1;
	if (key)
		return key->type == UCL_VALUE && conf_number(conf, key, "tag", 1, 65535, tag);
	for (const struct ucl_node *all = conf->tree->first; all; all = all->next)
		if (strcmp(all->key, "portal-group") == 0)
			for (const struct ucl_node *one = all->first; one; one = one->next)
				groups++;
	if (groups > 1)
		conf_wrong(conf, node->line, "%s has no tag: where there are several, each needs its tag = "
			   "NUMBER, that it keeps", what);
	return groups == 1;
}

static void finish_portal_group(struct conf *conf, const struct portal_keys *keys)
{
	struct access_portal_group *group = keys->group;
	const struct ucl_node *to;
	enum access_redirect redirect = conf_redirect(conf, keys->redirect,
						      keys->redirect_permanent, &to);
	const char *why = to ? access_redirect_group(group, redirect, to->text) : NULL;

	if (why)
		conf_wrong(conf, to->line, "%s = %.200s: %s", to->key, to->text, why);
	if (keys->discovery_filter)
		take_filter(conf, keys->discovery_filter, group);
	group->discovery_auth = conf_auth_group(conf, keys->discovery_auth_group);
}

void conf_take_portal_group(struct conf *conf, void *owner, const struct ucl_node *node)
{
	static const struct conf_key section[] = {
		CONF_KEY_EACH("listen", take_listen),
		CONF_KEY_ONE("discovery-auth-group", struct portal_keys, discovery_auth_group),
		CONF_KEY_ONE("discovery-filter", struct portal_keys, discovery_filter),
		CONF_KEY_ONE("tag", struct portal_keys, tag),
		CONF_KEY_ONE("redirect", struct portal_keys, redirect),
		CONF_KEY_ONE("redirect-permanent", struct portal_keys, redirect_permanent),
		CONF_KEY_END,
	};
	struct portal_keys keys = { 0 };
	char what[CONF_WHAT_LEN];
	unsigned tag;
	const char *why;

	(void)owner;
	conf_what(what, "portal-group", node->key);
	if (!choose_tag(conf, node, what, &tag))
		return;
	why = access_add_portal_group(conf->access, node->key, (uint16_t)tag,
				      access_find_auth_group(conf->access, CLOSED_GROUP), &keys.group);
	if (why) {
		conf_wrong(conf, node->line, "%s: %s", what, why);
		return;
	}
	conf_take_section(conf, section, node, what, &keys);
	finish_portal_group(conf, &keys);
}
