/*
 * The plugin's parameters: key=value on nbdkit's command line, into what the engine
 * is told. Used by plugin.c alone, while there is one thread.
 */
#ifndef PLUGIN_CONF_H
#define PLUGIN_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "chap_account.h"
#include "engine.h"

/* A line per key, as --help shows them, complete after plugin_conf_init(). The manual page has
 * an =item for each. */
#define PLUGIN_CONF_HELP_LEN	4096
extern char plugin_conf_help[PLUGIN_CONF_HELP_LEN];

struct plugin_conf {
	char *url;			/* as given; NULL = not yet */
	bool has_lun;			/* lun= was given: */
	unsigned lun;
	struct chap_account account;	/* engine.initiator.chap points into it */
	struct engine_conf engine;
};

void plugin_conf_init(struct plugin_conf *conf);
void plugin_conf_free(struct plugin_conf *conf);

/* One parameter. False when nbdkit_error() has said what is wrong with it. */
bool plugin_conf_set(struct plugin_conf *conf, const char *key, const char *value);

/* All have come: fill conf->engine. False likewise. */
bool plugin_conf_complete(struct plugin_conf *conf);

#endif
