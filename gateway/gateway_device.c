/*
 * The devices of a configuration: which of them are those of the one before, and how the
 * others are opened and closed. A device opens on worker 0 first, since the others may share
 * that one's connection, and closes there last. See gateway_private.h.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "gateway_private.h"
#include "log.h"

/* Staying open --------------------------------------------------------------- */

static bool same_device(const struct conf_device *a, const struct conf_device *b)
{
	return strcmp(a->key, b->key) == 0 && strcmp(a->uri, b->uri) == 0 &&
	       a->read_only == b->read_only && a->shared == b->shared &&
	       a->lu.block_len == b->lu.block_len && a->lu.naa == b->lu.naa &&
	       strcmp(a->lu.serial, b->lu.serial) == 0;
}

/* Whatever shows one export shows the other from now on. */
static void replace_export(struct conf *conf, const struct export *from, struct export *to)
{
	const struct access *access = conf->access;

	for (unsigned t = 0; t < access->target_count; t++)
		for (unsigned m = 0; m < access->targets[t]->map_count; m++) {
			struct access_map *map = access->targets[t]->maps[m];

			for (unsigned l = 0; l < map->count; l++)
				if (map->luns[l].export == from)
					map->luns[l].export = to;
		}
	for (unsigned e = 0; e < conf->nbd_exports->count; e++)
		if (conf->nbd_exports->list[e]->export == from)
			conf->nbd_exports->list[e]->export = to;
}

void gateway_adopt_devices(struct conf *now, struct conf *before)
{
	for (unsigned i = 0; i < now->device_count; i++) {
		struct conf_device *device = &now->devices[i];

		for (unsigned j = 0; before && j < before->device_count; j++) {
			struct conf_device *old = &before->devices[j];

			if (old->adopted || !same_device(device, old))
				continue;
			replace_export(now, device->export, old->export);
			export_free(device->export);
			device->export = old->export;
			device->adopted = old->adopted = true;
			break;
		}
	}
}

/* Opening ------------------------------------------------------------------- */

static void opened(struct worker_order *o)
{
	struct gateway *g = o->opaque;
	struct export *export = o->export;
	bool more = o->worker->number == 0 && o->ok && !g->change_failed;

	if (!o->ok && !g->change_failed) {
		log_error("%s: %s", export->uri, o->why);
		g->change_failed = true;
	}
	for (unsigned w = 1; more && w < g->worker_count; w++) {
		struct worker_order *other = gateway_order(g, &g->workers[w], WORKER_OPEN, opened);

		other->export = export;
		worker_order(other);
	}
	if (gateway_reported(o))
		g->opened(g);
}

/* What is said of the sessions of iscsi:// devices. */
static bool prepare_initiator(const struct conf *conf, struct device *device, char *why,
			      size_t size)
{
	if (device->kind != DEVICE_ISCSI)
		return true;
	device->initiator = conf->initiator;
	return accounts_find(&conf->accounts, device->url.user, &device->account,
			     &device->initiator.chap, why, size);
}

/* What is written again after an outage would overwrite what others have written meanwhile. */
static bool set_write_log(const struct conf *conf, const struct conf_device *device)
{
	if (device->shared)
		return device_keep_writes(device->export->device, 0);
	return !conf->has_write_log || device_keep_writes(device->export->device, conf->write_log);
}

/* What can be made without a worker. False: logged. */
static bool make_device(struct gateway *g, const struct conf *conf, struct conf_device *device)
{
	struct disk_lu_conf lu = device->lu;
	struct export *export = device->export;
	char why[256] = "";

	lu.state_dir = g->start->state_dir;
	lu.offload = g->worker_conf.instances.offload;
	export->read_only = device->read_only;
	export->device = device_new(export->uri, device->read_only, why, sizeof(why));
	if (!export->device || !prepare_initiator(conf, export->device, why, sizeof(why))) {
		log_error("%s: %s", export->uri, why);
		return false;
	}
	export->instance = calloc(g->worker_count, sizeof(*export->instance));
	export->device->lu_shared = lu_shared_new(&lu);
	return (export->instance && export->device->lu_shared && set_write_log(conf, device)) ||
	       gateway_cannot_start();
}

void gateway_open_devices(struct gateway *g, struct conf *conf, void (*done)(struct gateway *))
{
	assert(g->pending == 0);
	g->opened = done;
	g->change_failed = false;
	for (unsigned i = 0; i < conf->device_count && !g->change_failed; i++)
		if (!conf->devices[i].adopted)
			g->change_failed = !make_device(g, conf, &conf->devices[i]);
	for (unsigned i = 0; i < conf->device_count && !g->change_failed; i++)
		if (!conf->devices[i].adopted) {
			struct worker_order *o = gateway_order(g, &g->workers[0], WORKER_OPEN, opened);

			o->export = conf->devices[i].export;
			worker_order(o);
		}
	if (g->pending == 0)
		done(g);
}

/* Being reached ------------------------------------------------------------- */

static bool shows(const struct access_target *target, const struct export *export)
{
	for (unsigned m = 0; m < target->map_count; m++)
		for (unsigned l = 0; l < target->maps[m]->count; l++)
			if (target->maps[m]->luns[l].export == export)
				return true;
	return false;
}

/* The target ports of a unit: each of its targets, by each of the target's portal groups. */
static unsigned list_ports(const struct access *access, const struct export *export,
			   struct lu_port ports[DISK_MAX_PORTS])
{
	unsigned count = 0;

	for (unsigned t = 0; t < access->target_count; t++) {
		const struct access_target *target = access->targets[t];

		if (!shows(target, export))
			continue;
		for (unsigned e = 0; e < target->entrance_count; e++) {
			struct lu_port *port = &ports[count];

			if (count == DISK_MAX_PORTS) {
				log_warning("%s: only %u of its target ports are told to initiators",
					    export->uri, count);
				return count;
			}
			snprintf(port->target, sizeof(port->target), "%s", target->name);
			port->tag = target->entrances[e].group->tag;
			count++;
		}
	}
	return count;
}

void gateway_tell_ports(const struct conf *conf)
{
	for (unsigned i = 0; i < conf->device_count; i++) {
		const struct export *export = conf->devices[i].export;
		struct lu_port ports[DISK_MAX_PORTS];
		unsigned count = list_ports(conf->access, export, ports);

		if (!lu_shared_set_ports(export->device->lu_shared, ports, count))
			log_error("%s: out of memory for its target ports", export->uri);
	}
}

/* Closing ------------------------------------------------------------------- */

static bool closes(const struct conf_device *device)
{
	return !device->adopted && device->export && device->export->instance;
}

static void finish_closing(struct gateway *g)
{
	struct conf *conf = g->closing;

	for (unsigned i = 0; i < conf->device_count; i++)
		if (!conf->devices[i].adopted) {
			export_free(conf->devices[i].export);
			conf->devices[i].export = NULL;
		}
	g->closing = NULL;
	g->closed(g);
}

static void close_on(struct gateway *g, unsigned first_worker, unsigned end_worker,
		     void (*closed)(struct worker_order *))
{
	for (unsigned w = first_worker; w < end_worker; w++)
		for (unsigned i = 0; i < g->closing->device_count; i++)
			if (closes(&g->closing->devices[i])) {
				struct worker_order *o =
					gateway_order(g, &g->workers[w], WORKER_CLOSE, closed);

				o->export = g->closing->devices[i].export;
				worker_order(o);
			}
}

static void first_closed(struct worker_order *o)
{
	struct gateway *g = o->opaque;

	if (gateway_reported(o))
		finish_closing(g);
}

static void close_on_first(struct gateway *g)
{
	close_on(g, 0, 1, first_closed);
	if (g->pending == 0)
		finish_closing(g);
}

static void others_closed(struct worker_order *o)
{
	struct gateway *g = o->opaque;

	if (gateway_reported(o))
		close_on_first(g);
}

void gateway_close_devices(struct gateway *g, struct conf *conf, void (*closed)(struct gateway *))
{
	assert(g->pending == 0 && !g->closing);
	g->closing = conf;
	g->closed = closed;
	close_on(g, 1, g->worker_count, others_closed);
	if (g->pending == 0)
		close_on_first(g);
}
