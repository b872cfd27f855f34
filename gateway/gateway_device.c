/*
 * The devices of a configuration: which of them are those of the one before, and how the
 * others are opened and closed. A device opens on worker 0 first, since the others may share
 * that one's connection, and closes there last. See gateway_private.h.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "gateway_private.h"
#include "initiator_option.h"
#include "log.h"

/* Staying open --------------------------------------------------------------- */

static bool same_account(const struct chap_account *a, const struct chap_account *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->mutual_name, b->mutual_name) == 0 &&
	       chap_secret_same(&a->secret, &b->secret) &&
	       chap_secret_same(&a->mutual_secret, &b->mutual_secret);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* What cannot be changed without another connection. */
static bool same_reach(const struct conf_device *a, const struct conf_device *b)
{
	const struct conf_reach *x = &a->reach, *y = &b->reach;

	switch (a->kind) {
	case DEVICE_MEM:
	case DEVICE_FILE:
		return true;
	case DEVICE_ISCSI:
		if (!same_account(a->account, b->account) ||
		    !initiator_option_same_session(&x->initiator, &y->initiator))
			return false;
		break;
	case DEVICE_NBD:
		if (x->connections != y->connections || !same_text(x->tls_psk, y->tls_psk) ||
		    !same_text(x->tls_certificates, y->tls_certificates))
			return false;
		break;
	}
	return x->has_write_log == y->has_write_log && x->write_log == y->write_log;
}

static bool same_device(const struct conf_device *a, const struct conf_device *b)
{
	return strcmp(a->key, b->key) == 0 && strcmp(a->uri, b->uri) == 0 &&
	       a->read_only == b->read_only && a->shared == b->shared &&
	       a->lu.block_len == b->lu.block_len &&
	       a->lu.physical_len == b->lu.physical_len && a->lu.naa == b->lu.naa &&
	       strcmp(a->lu.serial, b->lu.serial) == 0 && same_reach(a, b);
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

/* Which account an iscsi:// device is logged in to by; its secrets may have changed. */
static bool find_account(const struct conf *conf, struct conf_device *device, char *why,
			 size_t size)
{
	const struct chap_user *complete;
	struct iscsi_url url;

	if (device->account || device->kind != DEVICE_ISCSI)
		return true;
	device->account = calloc(1, sizeof(*device->account));
	if (!device->account) {
		snprintf(why, size, "%s", strerror(errno));
		return false;
	}
	return iscsi_url_parse(device->uri, &url, why, size) &&
	       accounts_find(&conf->accounts, url.user, device->account, &complete, why, size);
}

bool gateway_find_accounts(struct conf *conf)
{
	for (unsigned i = 0; i < conf->device_count; i++) {
		struct conf_device *device = &conf->devices[i];
		char why[300], place[CONF_PLACE_LEN];

		if (!find_account(conf, device, why, sizeof(why))) {
			log_error("%s%s: %s", conf_place(conf, device->line, place), device->uri, why);
			return false;
		}
	}
	return true;
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

static const struct conf_device *find_device(const struct conf *conf, const struct export *export)
{
	for (unsigned i = 0; i < conf->device_count; i++)
		if (conf->devices[i].export == export)
			return &conf->devices[i];
	return NULL;
}

static void tell_failure(const struct conf *conf, const struct export *export, const char *why)
{
	char place[CONF_PLACE_LEN];

	log_error("%s%s: %s", conf_place(conf, find_device(conf, export)->line, place), export->uri, why);
}

/* What hosts of its LUNs will not find, since they have only whole blocks. */
static void tell_rest(const struct conf *conf, const struct export *export)
{
	const struct export_instance *instance = &export->instance[0];
	const struct conf_device *device = find_device(conf, export);
	uint32_t block_len = device->lu.block_len, rest;
	char place[CONF_PLACE_LEN];

	if (!instance->lu || device->kind == DEVICE_ISCSI)
		return;
	rest = (uint32_t)(instance->blk->info.size % block_len);
	if (instance->blk->info.size < block_len)
		log_warning("%s%s: it has less than a block of %u bytes: a LUN without a medium",
			    conf_place(conf, device->line, place), export->uri, block_len);
	else if (rest)
		log_warning("%s%s: the last %u bytes are not a block of %u, and in no LUN",
			    conf_place(conf, device->line, place), export->uri, rest, block_len);
}

static void opened(struct worker_order *o)
{
	struct gateway *g = o->opaque;
	struct export *export = o->export;
	bool more = o->worker->number == 0 && o->ok && !g->change_failed;

	if (more)
		tell_rest(g->next, export);
	if (!o->ok && !g->change_failed) {
		tell_failure(g->next, export, o->why);
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

/* What is said of how it is reached: the device outlives the configuration. */
static bool prepare(struct device *device, const struct conf_device *said, char *why, size_t size)
{
	const struct conf_reach *reach = &said->reach;

	device->initiator = reach->initiator;
	device->connections = reach->connections;
	if (device->kind == DEVICE_ISCSI) {
		device->account = *said->account;
		return chap_account_complete(&device->account, &device->initiator.chap, why, size);
	}
	device->tls_certificates = reach->tls_certificates ? strdup(reach->tls_certificates) : NULL;
	device->tls_psk = reach->tls_psk ? strdup(reach->tls_psk) : NULL;
	if ((!device->tls_certificates && reach->tls_certificates) || (!device->tls_psk && reach->tls_psk))
		snprintf(why, size, "%s", strerror(errno));
	return !why[0];
}

/* What is written again after an outage would overwrite what others have written meanwhile. */
static bool set_write_log(const struct conf_device *device)
{
	if (device->shared)
		return device_keep_writes(device->export->device, 0);
	return !device->reach.has_write_log ||
	       device_keep_writes(device->export->device, device->reach.write_log);
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
	if (!export->device || !prepare(export->device, device, why, sizeof(why))) {
		tell_failure(conf, export, why);
		return false;
	}
	export->instance = calloc(g->worker_count, sizeof(*export->instance));
	export->device->lu_shared = lu_shared_new(&lu);
	return (export->instance && export->device->lu_shared && set_write_log(device)) ||
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

/* Staying open by other time-outs ------------------------------------------ */

void gateway_tune_devices(struct gateway *g, void (*reported)(struct worker_order *))
{
	for (unsigned i = 0; i < g->next->device_count; i++) {
		const struct conf_device *now = &g->next->devices[i];
		const struct conf_device *before = now->adopted ? find_device(g->conf, now->export) : NULL;

		if (!before || initiator_option_same_timeouts(&now->reach.initiator,
							      &before->reach.initiator))
			continue;
		for (unsigned w = 0; w < g->worker_count; w++) {
			struct worker_order *o = gateway_order(g, &g->workers[w], WORKER_TUNE, reported);

			o->export = now->export;
			o->initiator = &now->reach.initiator;
			worker_order(o);
		}
	}
}

/* Being reached ------------------------------------------------------------- */

/* The target ports of a unit: each of its targets, by each of the target's portal groups. */
static unsigned list_ports(const struct access *access, const struct export *export,
			   struct lu_port ports[DISK_MAX_PORTS])
{
	unsigned count = 0;

	for (unsigned t = 0; t < access->target_count; t++) {
		const struct access_target *target = access->targets[t];

		for (unsigned e = 0; e < target->entrance_count; e++) {
			struct lu_port *port = &ports[count];

			if (!access_shows(target, target->entrances[e].group, export))
				continue;
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

/* What was an NBD export only has had neither a name nor a port yet. */
void gateway_tell_units(const struct conf *conf)
{
	for (unsigned i = 0; i < conf->device_count; i++) {
		const struct export *export = conf->devices[i].export;
		struct lu_shared *shared = export->device->lu_shared;
		struct lu_port ports[DISK_MAX_PORTS];
		unsigned count = list_ports(conf->access, export, ports);

		if (!lu_shared_name(shared, &conf->devices[i].lu)
		    || !lu_shared_set_ports(shared, ports, count))
			log_error("%s: out of memory for its names", export->uri);
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
