/* --discover: from the command line to the targets behind a portal; see discover.h. */
#include "config.h"

#include "discover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "loop.h"
#include "need.h"
#include "offload.h"

static void luns_are_known(struct discover *d)
{
	loop_stop(d->loop);
}

static void copy_target(struct found_target *to, const struct discovered_target *from)
{
	size_t size = from->portal_count * sizeof(*to->portals);

	memcpy(to->name, from->name, sizeof(to->name));
	to->portals = need(calloc(from->portal_count + 1, sizeof(*to->portals)));
	memcpy(to->portals, from->portals, size);
	to->portal_count = from->portal_count;
}

static void discovered(void *opaque, const struct discovered_target *targets, unsigned count,
		       const char *why)
{
	struct discover *d = opaque;

	if (why) {
		snprintf(d->why, sizeof(d->why), "%s", why);
		loop_stop(d->loop);
		return;
	}
	/* One more: an array of none may be NULL. */
	d->targets = need(calloc(count + 1, sizeof(*d->targets)));
	d->count = count;
	for (unsigned i = 0; i < count; i++)
		copy_target(&d->targets[i], &targets[i]);
	if (d->conf->discover.luns)
		discover_luns(d, luns_are_known);
	else
		loop_stop(d->loop);
}

/* [user@]host[:port], and the account of that user. */
static bool prepare(struct discover *d)
{
	const char *text = d->conf->discover.portal, *at = strrchr(text, '@');
	const char *host = at ? at + 1 : text;
	char user[CHAP_NAME_MAX + 1] = "";

	if (at && at - text > CHAP_NAME_MAX) {
		snprintf(d->why, sizeof(d->why), "the user has more than %d bytes", CHAP_NAME_MAX);
		return false;
	}
	if (at)
		snprintf(user, sizeof(user), "%.*s", (int)(at - text), text);
	d->initiator = d->conf->reach.initiator;
	return iscsi_portal_parse(host, strlen(host), false, &d->portal, d->why, sizeof(d->why))
	       && accounts_find(&d->conf->accounts, user, &d->account, &d->initiator.chap, d->why,
				sizeof(d->why));
}

static bool discover(struct discover *d)
{
	d->loop = loop_new();
	d->offload = offload_new(1);
	if (!d->loop || !d->offload) {
		snprintf(d->why, sizeof(d->why), "%s", strerror(errno));
		return false;
	}
	if (!prepare(d))
		return false;
	iscsi_discover(d->loop, d->offload, &d->portal, &d->initiator, discovered, d);
	loop_run(d->loop);
	return !*d->why;
}

static void take_apart(struct discover *d)
{
	for (unsigned i = 0; i < d->count; i++) {
		free(d->targets[i].portals);
		free(d->targets[i].luns);
	}
	free(d->targets);
	if (d->offload)
		offload_free(d->offload);
	if (d->loop)
		loop_free(d->loop);
	chap_account_wipe(&d->account);
}

static bool print(const struct discover *d)
{
	if (d->conf->discover.json)
		discover_print_json(d, stdout);
	else
		discover_print_table(d, stdout);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	log_error("standard output: %s", strerror(errno));
	return false;
}

int discover_run(const struct conf *conf)
{
	struct discover d = { .conf = conf };
	bool ok = discover(&d);
	char shown[ISCSI_URL_SHOWN];

	if (!ok)
		log_error("--discover=%s: %s", iscsi_url_shown(conf->discover.portal, shown), d.why);
	else
		ok = print(&d);
	for (unsigned i = 0; i < d.count; i++) {
		if (!*d.targets[i].why)
			continue;
		log_error("%s: %s", d.targets[i].name, d.targets[i].why);
		ok = false;
	}
	take_apart(&d);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
