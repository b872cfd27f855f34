/*
 * One row per parameter: its name, what --help says, and the function that takes its
 * value; see plugin_conf.h.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bhs.h"
#include "initiator_option.h"
#include "plugin_conf.h"
#include "plugin_private.h"

#define MAX_SESSIONS	64
#define HELP_COLUMN	26
#define MAX_WRITE_LOG	(INT64_C(64) << 30)

char plugin_conf_help[PLUGIN_CONF_HELP_LEN] =
	"[url=]iscsi://[user@]HOST[:PORT][,HOST[:PORT]]/TARGET[/LUN]  (required) What to serve.\n"
	"lun=<N>                   The LUN to serve (default: that of the URL, or all disks).\n"
	"sessions=<N>              Sessions to each LUN, with a thread each (default: 1).\n"
	"user=<NAME>               CHAP user (default: that of the URL).\n"
	"password=<VALUE>|-|+FILE|-FD  Its secret.\n"
	"mutual-user=<NAME>        CHAP user that the target must have (default: any).\n"
	"mutual-password=<VALUE>|-|+FILE|-FD  The secret by which the target proves itself.\n"
	"write-log=<SIZE>          Keep so much that is not flushed, to write it again after\n"
	"                          an outage; only where no other host writes the LUN\n"
	"                          (default: 0).\n";

/* What the core knows of sessions comes after it. */
static void complete_help(void)
{
	size_t used = strlen(plugin_conf_help), count;
	const struct initiator_option *options = initiator_options(&count);

	for (size_t i = 0; i < count; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s=<%s>", options[i].name, options[i].argument);
		used += (size_t)snprintf(plugin_conf_help + used, sizeof(plugin_conf_help) - used,
					 "%s%-*s %s", i ? "\n" : "", HELP_COLUMN - 1, left,
					 options[i].help);
		assert(used < sizeof(plugin_conf_help));
	}
}

void plugin_conf_init(struct plugin_conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	initiator_conf_init(&conf->engine.initiator);
	conf->engine.sessions = 1;
	complete_help();
}

void plugin_conf_free(struct plugin_conf *conf)
{
	free(conf->url);
	conf->url = NULL;
	chap_account_wipe(&conf->account);
}

static bool set_url(struct plugin_conf *conf, const char *value)
{
	if (conf->url) {
		nbdkit_error("there are two URLs: several portals are written into one, with commas "
			     "between them");
		return false;
	}
	conf->url = strdup(value);
	if (!conf->url)
		nbdkit_error("strdup: %m");
	return conf->url != NULL;
}

/* nbdkit says itself what is no number. */
static bool parse_number(const char *key, const char *value, int min, int max, int *number)
{
	if (nbdkit_parse_int(key, value, number) < 0)
		return false;
	if (*number >= min && *number <= max)
		return true;
	nbdkit_error("%s=%s: not a number from %d to %d", key, value, min, max);
	return false;
}

static bool set_lun(struct plugin_conf *conf, const char *value)
{
	int lun;

	if (!parse_number("lun", value, 0, LUN_MAX, &lun))
		return false;
	conf->has_lun = true;
	conf->lun = (unsigned)lun;
	return true;
}

static bool set_sessions(struct plugin_conf *conf, const char *value)
{
	int sessions;

	if (!parse_number("sessions", value, 1, MAX_SESSIONS, &sessions))
		return false;
	conf->engine.sessions = (unsigned)sessions;
	return true;
}

static bool set_name(const char *key, const char *value, char name[CHAP_NAME_MAX + 1])
{
	if (!*value || strlen(value) > CHAP_NAME_MAX) {
		nbdkit_error("%s: a name of 1 to %d bytes", key, CHAP_NAME_MAX);
		return false;
	}
	strcpy(name, value);
	return true;
}

/* As nbdkit reads all its passwords; what was read is nowhere but in the secret then. */
static bool set_secret(const char *key, const char *value, struct chap_secret *secret)
{
	char *password;
	size_t len;
	bool fits;

	if (nbdkit_read_password(value, &password) < 0)
		return false;
	len = strlen(password);
	fits = len > 0 && len <= CHAP_SECRET_MAX;
	if (fits) {
		memcpy(secret->bytes, password, len);
		secret->len = len;
	} else {
		nbdkit_error("%s: not 1 to %d bytes", key, CHAP_SECRET_MAX);
	}
	explicit_bzero(password, len);
	free(password);
	return fits;
}

static bool set_user(struct plugin_conf *conf, const char *value)
{
	return set_name("user", value, conf->account.name);
}

static bool set_password(struct plugin_conf *conf, const char *value)
{
	return set_secret("password", value, &conf->account.secret);
}

static bool set_mutual_user(struct plugin_conf *conf, const char *value)
{
	return set_name("mutual-user", value, conf->account.mutual_name);
}

static bool set_mutual_password(struct plugin_conf *conf, const char *value)
{
	return set_secret("mutual-password", value, &conf->account.mutual_secret);
}

static bool set_write_log(struct plugin_conf *conf, const char *value)
{
	int64_t size = nbdkit_parse_size(value);

	if (size > MAX_WRITE_LOG)
		nbdkit_error("write-log=%s: more than 64G", value);
	if (size < 0 || size > MAX_WRITE_LOG)
		return false;
	conf->engine.write_log = (uint64_t)size;
	return true;
}

/* Those that only this program has. */
static const struct {
	const char *key;
	bool (*set)(struct plugin_conf *conf, const char *value);
} parameters[] = {
	{ "url", set_url },
	{ "lun", set_lun },
	{ "sessions", set_sessions },
	{ "user", set_user },
	{ "password", set_password },
	{ "mutual-user", set_mutual_user },
	{ "mutual-password", set_mutual_password },
	{ "write-log", set_write_log },
};

static bool set_option(struct plugin_conf *conf, const struct initiator_option *option,
		       const char *value)
{
	char why[160];

	if (initiator_option_set(&conf->engine.initiator, option, value, why, sizeof(why)))
		return true;
	nbdkit_error("%s=%s: %s", option->name, value, why);
	return false;
}

bool plugin_conf_set(struct plugin_conf *conf, const char *key, const char *value)
{
	size_t count;
	const struct initiator_option *options = initiator_options(&count);

	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (strcmp(parameters[i].key, key) == 0)
			return parameters[i].set(conf, value);
	for (size_t i = 0; i < count; i++)
		if (strcmp(options[i].name, key) == 0)
			return set_option(conf, &options[i], value);
	nbdkit_error("unknown parameter \"%s\"", key);
	return false;
}

bool plugin_conf_complete(struct plugin_conf *conf)
{
	struct iscsi_url *url = &conf->engine.url;
	char why[256], shown[ISCSI_URL_SHOWN];

	if (!conf->url) {
		nbdkit_error("what to serve is missing: url=iscsi://HOST[:PORT]/TARGET[/LUN]");
		return false;
	}
	if (!iscsi_url_parse(conf->url, url, why, sizeof(why))) {
		nbdkit_error("%s: %s", iscsi_url_shown(conf->url, shown), why);
		return false;
	}
	if (conf->has_lun && url->has_lun && conf->lun != url->lun) {
		nbdkit_error("lun=%u: the URL names LUN %u", conf->lun, url->lun);
		return false;
	}
	if (conf->has_lun) {
		url->lun = (uint16_t)conf->lun;
		url->has_lun = true;
	}
	if (!*conf->account.name)
		strcpy(conf->account.name, url->user);
	if (chap_account_complete(&conf->account, &conf->engine.initiator.chap, why, sizeof(why)))
		return true;
	nbdkit_error("%s (user=, password=)", why);
	return false;
}
