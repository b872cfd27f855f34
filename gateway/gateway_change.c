/*
 * How a configuration comes into force, at start and at reload alike (access.h tells the same
 * story from the target's side):
 *
 *  1. devices that are new are opened, on every worker;
 *  2. sockets that are new are bound;
 *  3. the workers are told; sockets that are no more are closed, new ones are listened to;
 *  4. when all workers have followed, devices that are no more are closed.
 *
 * Until 3. all can be undone, and is when something fails: then the old configuration stays.
 * See gateway_private.h.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <systemd/sd-daemon.h>

#include "gateway_private.h"
#include "log.h"
#include "ucl.h"

/* The configuration that the process began with is its caller's. */
static void retire(struct gateway *g, struct conf *conf)
{
	if (conf != g->start) {
		conf_free(conf);
		free(conf);
		return;
	}
	access_drop(conf->access);
	nbd_exports_drop(conf->nbd_exports);
	tls_drop(conf->tls.credentials);
	conf->access = NULL;
	conf->nbd_exports = NULL;
	conf->tls.credentials = NULL;
}

/* Is each device in one configuration only? The adopted ones are that of the new one. */
static void settle_marks(struct conf *conf, bool keeps)
{
	for (unsigned i = 0; i < conf->device_count; i++) {
		if (conf->devices[i].adopted && !keeps)
			conf->devices[i].export = NULL;
		conf->devices[i].adopted = false;
	}
}

static void ready(void)
{
	sd_notify(0, "READY=1");
}

/* The way back ---------------------------------------------------------------- */

static void undone(struct gateway *g)
{
	struct conf *next = g->next;

	settle_marks(next, false);
	settle_marks(g->conf, true);
	g->next = NULL;
	retire(g, next);
	log_error("%s: the configuration before stays in force", g->start->file);
	ready();
	gateway_change_over(g);
}

static void undo(struct gateway *g)
{
	if (g->conf)
		gateway_close_devices(g, g->next, undone);
	else
		gateway_give_up(g);
}

/* The way on ------------------------------------------------------------------ */

static void old_closed(struct gateway *g)
{
	struct conf *before = g->conf;

	settle_marks(before, false);
	settle_marks(g->next, true);
	g->conf = g->next;
	g->next = NULL;
	retire(g, before);
	log_set_areas(g->conf->debug);
	log_info("%s: reloaded", g->start->file);
	ready();
	gateway_change_over(g);
}

static void followed(struct worker_order *o)
{
	struct gateway *g = o->opaque;

	if (!gateway_reported(o))
		return;
	if (g->conf) {
		gateway_close_devices(g, g->conf, old_closed);
		return;
	}
	g->conf = g->next;
	g->next = NULL;
	gateway_serve(g);
}

static void order_to_follow(struct gateway *g)
{
	for (unsigned w = 0; w < g->worker_count; w++) {
		struct worker_order *o = gateway_order(g, &g->workers[w], WORKER_ACCESS, followed);

		o->access = g->next->access;
		o->nbd_exports = g->next->nbd_exports;
		o->rules = (struct worker_rules){
			.nbd_limits = g->next->nbd_limits, .target = g->next->target_limits,
			.tls_mode = g->next->tls.mode, .tls = g->next->tls.credentials,
		};
		worker_order(o);
	}
}

static void devices_are_open(struct gateway *g)
{
	if (g->change_failed || !front_bind(&g->front, g->next)) {
		undo(g);
		return;
	}
	gateway_tell_units(g->next);
	gateway_tune_devices(g, followed);
	order_to_follow(g);
	front_settle(&g->front, g->next);
}

void gateway_change(struct gateway *g)
{
	assert(g->next && g->pending == 0);
	if (!gateway_find_accounts(g->next)) {
		undo(g);
		return;
	}
	gateway_adopt_devices(g->next, g->conf);
	gateway_open_devices(g, g->next, devices_are_open);
}

/* SIGHUP ----------------------------------------------------------------------- */

static void tell_systemd(void)
{
	struct timespec now;
	char text[80];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	sd_notify(0, text);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Where the file says it; that it does so no more, it says nowhere. */
static void tell_stays(const struct conf *next, const char *name)
{
	const struct ucl_node *key = ucl_find(next->tree, name);

	if (key)
		log_warning("%s:%u: %s needs a restart", next->file, key->line, name);
	else
		log_warning("%s: %s needs a restart", next->file, name);
}

/* What the process was started with, and its threads. */
static void tell_what_stays(const struct conf *start, const struct conf *next)
{
	const struct { const char *name; bool same; } options[] = {
		{ "threads", start->threads == next->threads },
		{ "pidfile", same_text(start->pidfile, next->pidfile) },
		{ "state-dir", same_text(start->state_dir, next->state_dir) },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!options[i].same)
			tell_stays(next, options[i].name);
}

void gateway_reload(struct gateway *g)
{
	struct conf *next = malloc(sizeof(*next));

	assert(!g->next && g->conf);
	if (!next) {
		log_error("%s: out of memory", g->start->file);
		return;
	}
	tell_systemd();
	if (conf_parse(next, g->argc, g->argv) == CONF_RUN) {
		tell_what_stays(g->start, next);
		g->next = next;
		gateway_change(g);
		return;
	}
	for (unsigned i = 0; i < next->error_count; i++)
		log_error("%s", next->errors[i].text);
	log_error("%s: the configuration before stays in force", g->start->file);
	conf_free(next);
	free(next);
	ready();
}
