/*
 * One row per parameter: its name, what --help says, and the function that takes its
 * value; see plugin_conf.h.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "plugin_conf.h"

#define MAX_LUN		16383		/* flat space addressing, SAM-5 §4.7.7.3 */
#define MAX_SESSIONS	64
#define MAX_SECONDS	86400
#define MAX_WRITE_LOG	(INT64_C(64) << 30)

const char plugin_conf_help[] =
	"[url=]iscsi://[user@]HOST[:PORT]/TARGET[/LUN]  (required) What to serve.\n"
	"lun=<N>                   The LUN to serve (default: that of the URL, or all disks).\n"
	"initiator-name=<IQN>      Our iSCSI name (default: from the host name).\n"
	"sessions=<N>              Sessions to each LUN, with a thread each (default: 1).\n"
	"digest=none|header|data|both  Ask for CRC32C checksums (default: none).\n"
	"login-timeout=<SECONDS>   For connecting and logging in (default: 15).\n"
	"outage-timeout=<SECONDS>  Requests wait for a lost target; -1 = for ever\n"
	"                          (default: 120).\n"
	"write-log=<SIZE>          Keep so much that is not flushed, to write it again after\n"
	"                          an outage; only where no other host writes the LUN\n"
	"                          (default: 0).";

void plugin_conf_init(struct plugin_conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	initiator_conf_init(&conf->engine.initiator);
	conf->engine.sessions = 1;
}

void plugin_conf_free(struct plugin_conf *conf)
{
	free(conf->url);
	conf->url = NULL;
}

static bool set_url(struct plugin_conf *conf, const char *value)
{
	free(conf->url);
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

	if (!parse_number("lun", value, 0, MAX_LUN, &lun))
		return false;
	conf->has_lun = true;
	conf->lun = (unsigned)lun;
	return true;
}

static bool set_initiator_name(struct plugin_conf *conf, const char *value)
{
	struct initiator_conf *initiator = &conf->engine.initiator;

	if (!iscsi_name_valid(value)) {
		nbdkit_error("initiator-name=%s: not an iSCSI name (iqn., eui. or naa.)", value);
		return false;
	}
	assert(strlen(value) < sizeof(initiator->initiator_name));
	strcpy(initiator->initiator_name, value);
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

static bool set_digest(struct plugin_conf *conf, const char *value)
{
	struct login_params *params = &conf->engine.initiator.params;
	bool both = strcmp(value, "both") == 0;
	bool header = both || strcmp(value, "header") == 0;
	bool data = both || strcmp(value, "data") == 0;

	if (!header && !data && strcmp(value, "none") != 0) {
		nbdkit_error("digest=%s: not none, header, data or both", value);
		return false;
	}
	params->header_digest = header ? DIGEST_CRC32C : DIGEST_NONE;
	params->data_digest = data ? DIGEST_CRC32C : DIGEST_NONE;
	return true;
}

static bool set_login_timeout(struct plugin_conf *conf, const char *value)
{
	int seconds;

	if (!parse_number("login-timeout", value, 1, MAX_SECONDS, &seconds))
		return false;
	conf->engine.initiator.login_timeout = seconds;
	return true;
}

static bool set_outage_timeout(struct plugin_conf *conf, const char *value)
{
	int seconds;

	if (!parse_number("outage-timeout", value, -1, MAX_SECONDS, &seconds))
		return false;
	conf->engine.initiator.outage_timeout = seconds;
	return true;
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

static const struct {
	const char *key;
	bool (*set)(struct plugin_conf *conf, const char *value);
} parameters[] = {
	{ "url", set_url },
	{ "lun", set_lun },
	{ "initiator-name", set_initiator_name },
	{ "sessions", set_sessions },
	{ "digest", set_digest },
	{ "login-timeout", set_login_timeout },
	{ "outage-timeout", set_outage_timeout },
	{ "write-log", set_write_log },
};

bool plugin_conf_set(struct plugin_conf *conf, const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (strcmp(parameters[i].key, key) == 0)
			return parameters[i].set(conf, value);
	nbdkit_error("unknown parameter '%s'", key);
	return false;
}

bool plugin_conf_complete(struct plugin_conf *conf)
{
	struct iscsi_url *url = &conf->engine.url;
	char why[256];

	if (!conf->url) {
		nbdkit_error("what to serve is missing: url=iscsi://HOST[:PORT]/TARGET[/LUN]");
		return false;
	}
	if (!iscsi_url_parse(conf->url, url, why, sizeof(why))) {
		nbdkit_error("%s: %s", conf->url, why);
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
	return true;
}
