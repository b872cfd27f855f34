/*
 * Keys about how one device is reached, in whatever section describes it: the options of
 * devices, and the account by which an iscsi:// device is logged in to.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "conf_file.h"
#include "need.h"

static bool is_account(const char *name)
{
	return strcmp(name, "chap") == 0 || strcmp(name, "chap-mutual") == 0;
}

bool conf_reach_has(const char *name)
{
	return is_account(name) || conf_is_device_key(name);
}

void conf_reach_list(char *text, size_t size)
{
	snprintf(text + strlen(text), size - strlen(text), ", chap, chap-mutual");
	conf_list_device_keys(text, size);
}

const struct ucl_node *conf_reach_first(const struct ucl_node *section)
{
	for (const struct ucl_node *node = section->first; node; node = node->next)
		if (conf_reach_has(node->key))
			return node;
	return NULL;
}

static const char *fill(struct chap_account *account, const struct conf_chap *chap, char *why,
			size_t size)
{
	const struct chap_user *complete;

	if (strlen(chap->user) > CHAP_NAME_MAX ||
	    (chap->mutual_user && strlen(chap->mutual_user) > CHAP_NAME_MAX))
		return "a CHAP user has a name of more than 255 bytes";
	snprintf(account->name, sizeof(account->name), "%s", chap->user);
	account->secret = chap->secret;
	if (chap->mutual_user) {
		snprintf(account->mutual_name, sizeof(account->mutual_name), "%s", chap->mutual_user);
		account->mutual_secret = chap->mutual_secret;
	}
	return chap_account_complete(account, &complete, why, size) ? NULL : why;
}

/* A user in the URI says the same, or it is a mistake. */
static bool fits_uri(struct conf *conf, const struct ucl_node *node,
		     const struct conf_device *device, const char *user)
{
	struct iscsi_url url;
	char why[200];
	bool parsed = iscsi_url_parse(device->uri, &url, why, sizeof(why));

	if (!parsed || !url.user[0] || strcmp(url.user, user) == 0)
		return true;
	conf_wrong(conf, node->line, "%s: the URI of the device names another user", node->key);
	return false;
}

static void take_account(struct conf *conf, const struct ucl_node *node,
			 struct conf_device *device)
{
	struct conf_chap chap;
	const char *wrong;
	char why[300];

	if (node->type != UCL_OBJECT) {
		conf_wrong(conf, node->line, "\"%s\" needs a block: %s { ... }", node->key, node->key);
		return;
	}
	if (device->kind != DEVICE_ISCSI) {
		conf_wrong(conf, node->line, "%s: that is for iscsi:// devices", node->key);
		return;
	}
	if (!conf_load_chap(conf, node, &chap))
		return;
	device->account = need_more(NULL, 0, sizeof(*device->account));
	memset(device->account, 0, sizeof(*device->account));
	wrong = fill(device->account, &chap, why, sizeof(why));
	if (wrong)
		conf_wrong(conf, node->line, "%s: %s", node->key, wrong);
	else
		fits_uri(conf, node, device, chap.user);
	conf_wipe_chap(&chap);
}

void conf_take_reach(struct conf *conf, const struct ucl_node *section, struct conf_device *device)
{
	for (const struct ucl_node *node = section->first; node; node = node->next) {
		const struct ucl_node *first = ucl_find(section, node->key);

		if (!conf_reach_has(node->key))
			continue;
		if (first != node)
			conf_wrong(conf, node->line, "\"%s\" is given twice, first in line %u", node->key,
				   first->line);
		else if (!is_account(node->key))
			conf_take_device_key(conf, device, node);
		else if (device->account)
			conf_wrong(conf, node->line, "chap and chap-mutual: one account is enough");
		else
			take_account(conf, node, device);
	}
}
