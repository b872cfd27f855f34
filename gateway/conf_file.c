/* The configuration file as a whole. Reading goes on after a mistake: all of them are told. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "conf_file.h"

#define MAX_FILE	(16u << 20)

void conf_what(char what[CONF_WHAT_LEN], const char *kind, const char *name)
{
	snprintf(what, CONF_WHAT_LEN, "%s \"%.223s\"", kind, name);
}

static const struct conf_key whole[] = {
	CONF_KEY_NAMED("device", conf_take_device),
	CONF_KEY_NAMED("auth-group", conf_take_auth_group),
	CONF_KEY_NAMED("portal-group", conf_take_portal_group),
	CONF_KEY_NAMED("target", conf_take_target),
	CONF_KEY_NAMED("nbd-export", conf_take_export),
	CONF_KEY_REFUSED("iscsi", "give portal-group NAME { listen = ADDR }"),
	CONF_KEY_REFUSED("shared", "give it in the device's section"),
	/* What there is in ctl.conf: */
	CONF_KEY_REFUSED("lun", "give device NAME { uri = DEVICE }, and in a target lun NUMBER { device = NAME }"),
	CONF_KEY_REFUSED("timeout", "give target-login-timeout = SECONDS"),
	CONF_KEY_REFUSED("maxproc", "there is one process for all: leave it out"),
	CONF_KEY_REFUSED("isns-server", "there is no iSNS here: initiators ask the portals"),
	CONF_KEY_REFUSED("isns-period", "there is no iSNS here: initiators ask the portals"),
	CONF_KEY_REFUSED("isns-timeout", "there is no iSNS here: initiators ask the portals"),
	CONF_KEY_END,
};

/* To be free()d; NULL with errno. */
static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	char *text = file ? malloc(MAX_FILE + 1) : NULL;
	int error = 0;

	if (text) {
		*len = fread(text, 1, MAX_FILE + 1, file);
		error = ferror(file) ? errno : *len > MAX_FILE ? EFBIG : 0;
	}
	if (file)
		fclose(file);
	if (error) {
		free(text);
		text = NULL;
		errno = error;
	}
	return text;
}

/* Exports may share a listener, also with those that have none of their own. */
static bool collide(const struct conf_listener *a, const struct conf_listener *b)
{
	return strcmp(a->address.host, b->address.host) == 0 && a->address.family == b->address.family &&
	       strcmp(a->address.port, b->address.port) == 0 && strcmp(a->address.port, "0") != 0 &&
	       (a->group || b->group || a->export == b->export);
}

/* The first, in the order of the file, that it collides with; NULL: none that comes before it. */
static const struct conf_listener *find_collision(const struct conf *conf,
						  const struct conf_listener *listener)
{
	const struct conf_listener *first = NULL;

	for (unsigned i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *other = &conf->listeners[i];
		bool before = other->line < listener->line ||
			      (other->line == listener->line && other < listener);

		if (other->line && before && collide(other, listener) &&
		    (!first || other->line < first->line))
			first = other;
	}
	return first;
}

static void check_listeners(struct conf *conf)
{
	for (unsigned i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *listener = &conf->listeners[i];
		const struct conf_listener *other = find_collision(conf, listener);
		char text[300];

		if (!other)
			continue;
		address_text(&listener->address, text, sizeof(text));
		conf_wrong(conf, listener->line, "%s: line %u listens there, too", text, other->line);
	}
}

static void check_whole(struct conf *conf)
{
	bool activated = sd_listen_fds(0) != 0;

	if (conf->access->target_count + conf->nbd_exports->count == 0)
		conf_wrong(conf, 0, "%s: nothing to serve: no target and no nbd-export", conf->file);
	else if (conf->listener_count == 0 && !conf->single && !activated)
		conf_wrong(conf, 0, "%s: nothing to listen on: no nbd = ADDR, and no portal-group with "
			   "listen = ADDR", conf->file);
}

void conf_read_file(struct conf *conf)
{
	unsigned line = 0;
	size_t len;
	char why[300], *text = read_file(conf->file, &len);

	if (!text) {
		conf_wrong(conf, 0, "%s: %s", conf->file, strerror(errno));
		return;
	}
	conf->tree = ucl_parse(text, len, &line, why, sizeof(why));
	free(text);
	if (!conf->tree) {
		conf_wrong(conf, line, "%s", why);
		return;
	}
	conf_add_predefined(conf);
	conf_take_section(conf, whole, conf->tree, NULL, NULL);
	check_listeners(conf);
	if (!conf->error_count)
		check_whole(conf);
	conf_settle_devices(conf);
}
