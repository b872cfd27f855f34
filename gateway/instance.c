/*
 * Which executors an export needs, and the order in which they come and go:
 *
 *	device		as a block device	as a logical unit
 *	mem, file, nbd	the executor		disk_lu over it
 *	iscsi		scsi_blk over it	iscsi_lu itself: pass-through
 *
 * The executor that talks to the device opens first and closes last; the adaptor
 * over it exists only where a front end wants it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "instance.h"
#include "mail_blk.h"
#include "nbd_blk.h"
#include "need.h"
#include "scsi_blk.h"

#define CONNECT_TIMEOUT	15.0	/* seconds, as open-iscsi's login timeout */

/* One opening or closing under way. */
struct passage {
	struct loop *loop;
	const struct instance_conf *conf;
	const struct lu_directory *directory;
	struct export *export;
	struct export_instance *instance;
	instance_opened *opened;
	void (*closed)(void *);
	void *opaque;
	struct loop_call call;
};

static struct passage *passage_new(struct export *export, unsigned worker, void *opaque)
{
	struct passage *p = need(calloc(1, sizeof(*p)));

	p->export = export;
	p->instance = &export->instance[worker];
	p->opaque = opaque;
	return p;
}

static void finish_opening(struct passage *p, const char *why)
{
	p->opened(p->opaque, why);
	free(p);
}

static void blk_is_open(void *opaque, struct blkdev *blk, const char *why)
{
	struct passage *p = opaque;
	struct device *device = p->export->device;

	p->instance->blk = blk;
	if (blk && p->conf->serve_lu && device->kind != DEVICE_ISCSI) {
		p->instance->lu = disk_lu_open(blk, device->lu_shared, p->directory);
		if (!p->instance->lu)
			why = "out of memory";
	}
	finish_opening(p, why);
}

static void lu_is_open(void *opaque, struct scsi_lu *lu, const char *why)
{
	struct passage *p = opaque;
	struct scsi_blk_conf conf = {
		.retry_timeout = p->export->device->initiator.outage_timeout,
		.read_only = p->export->read_only,
	};

	p->instance->lu = lu;
	if (lu && p->conf->serve_blk)
		scsi_blk_open(lu, &p->export->device->shared, &conf, blk_is_open, p);
	else
		finish_opening(p, why);
}

static void open_iscsi(struct passage *p)
{
	const struct device *device = p->export->device;
	struct initiator_conf conf = device->initiator;

	/* Sessions of one initiator differ in their ISID (RFC 7143 §4.4.3). */
	initiator_random_isid(conf.isid);
	iscsi_lu_open(p->loop, p->conf->offload, &device->url, &conf, lu_is_open, p);
}

static void open_nbd(struct passage *p)
{
	struct device *device = p->export->device;
	struct nbd_blk_conf conf = {
		.uri = device->uri,
		.tls_certificates = device->tls_certificates,
		.tls_psk = device->tls_psk,
		.read_only = p->export->read_only,
		.connect_timeout = CONNECT_TIMEOUT,
		.outage_timeout = device->initiator.outage_timeout,
	};

	nbd_blk_open(p->loop, p->conf->offload, &conf, &device->shared, blk_is_open, p);
}

/* What needs no waiting; blk_is_open() still comes from the loop, as for the others. */
static void open_local(struct loop_call *call)
{
	struct passage *p = container_of(call, struct passage, call);
	struct device *device = p->export->device;
	struct blkdev *blk;

	if (device->kind == DEVICE_MEM)
		blk = mem_blk_open(device->mem, p->loop, &device->shared);
	else if (device->kind == DEVICE_FILE)
		blk = file_blk_open(device->file, p->loop, p->conf->offload, &device->shared);
	else
		blk = mail_blk_open(p->export->instance[0].blk, p->loop);
	p->instance->borrowed = device->kind == DEVICE_NBD;
	if (blk && p->export->read_only)
		blk->info.read_only = true;
	blk_is_open(p, blk, blk ? NULL : "out of memory");
}

/* Is there a connection to the NBD server for this worker? */
static bool has_connection(const struct export *export, unsigned worker)
{
	unsigned most = export->device->connections;

	return worker == 0 ||
	       (!export->instance[0].blk->info.one_instance && (most == 0 || worker < most));
}

void instance_open(struct loop *loop, const struct instance_conf *conf, struct export *export,
		   unsigned worker, const struct lu_directory *directory, instance_opened *opened,
		   void *opaque)
{
	struct passage *p = passage_new(export, worker, opaque);

	p->loop = loop;
	p->conf = conf;
	p->directory = directory;
	p->opened = opened;
	loop_call_init(&p->call, open_local);
	if (export->device->kind == DEVICE_ISCSI)
		open_iscsi(p);
	else if (export->device->kind == DEVICE_NBD && has_connection(export, worker))
		open_nbd(p);
	else
		loop_defer(loop, &p->call);
}

void instance_tune(struct export *export, unsigned worker, const struct initiator_conf *conf)
{
	struct export_instance *instance = &export->instance[worker];
	bool iscsi = export->device->kind == DEVICE_ISCSI;

	if (iscsi && instance->lu)
		iscsi_lu_tune(instance->lu, conf);
	if (iscsi && instance->blk)
		scsi_blk_tune(instance->blk, conf->outage_timeout);
	if (export->device->kind == DEVICE_NBD && !instance->borrowed)
		nbd_blk_tune(instance->blk, conf->outage_timeout);
}

static void executor_closed(void *opaque)
{
	struct passage *p = opaque;

	p->instance->blk = NULL;
	p->instance->lu = NULL;
	p->closed(p->opaque);
	free(p);
}

static void adaptor_closed(void *opaque)
{
	struct passage *p = opaque;

	if (p->export->device->kind == DEVICE_ISCSI)
		lu_close(p->instance->lu, executor_closed, p);
	else
		blk_close(p->instance->blk, executor_closed, p);
}

void instance_close(struct export *export, unsigned worker, void (*closed)(void *), void *opaque)
{
	struct passage *p = passage_new(export, worker, opaque);
	bool iscsi = export->device->kind == DEVICE_ISCSI;

	p->closed = closed;
	if (!(iscsi ? (void *)p->instance->lu : (void *)p->instance->blk))
		executor_closed(p);	/* it never opened */
	else if (iscsi && p->instance->blk)
		blk_close(p->instance->blk, adaptor_closed, p);
	else if (!iscsi && p->instance->lu)
		lu_close(p->instance->lu, adaptor_closed, p);
	else
		adaptor_closed(p);
}
