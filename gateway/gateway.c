/*
 * The life of the process, as a sequence of phases on the main loop. Workers are
 * given orders and report; a phase ends when all its reports are in:
 *
 *	OPENING	every device on worker 0, then on the others (which may share worker
 *		0's connection). The first failure is the reason to end.
 *	SERVING	portals are bound last, so that no initiator ever meets a target that
 *		is not there yet; then the pidfile is written.
 *	DRAINING nothing new is accepted, peers are told, what is in flight ends, all
 *		within a bound; DROPPING what did not leave in time
 *	CLOSING	the executors: on worker 0 last, for the same reason as above
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>

#include "accounts.h"
#include "captive.h"
#include "device.h"
#include "front.h"
#include "gateway.h"
#include "gateway_access.h"
#include "log.h"
#include "offload.h"
#include "tls.h"
#include "worker.h"

#define OFFLOAD_THREADS	16
#define DRAIN_SECONDS	10.0
#define CLOSE_SECONDS	5.0

enum phase { OPENING, SERVING, DRAINING, DROPPING, CLOSING };

struct gateway {
	const struct conf *conf;
	struct loop *loop;
	enum phase phase;
	int status;			/* to exit with */
	unsigned pending;		/* reports that the phase waits for */
	struct export_table exports;
	struct access *access;		/* in force */
	int state_dir;			/* locked while we run; -1: none */
	struct worker_conf worker_conf;
	struct worker *workers;
	unsigned worker_count;
	struct front front;
	struct tls *tls;		/* NULL: no TLS */
	struct captive captive;
	ev_signal sigterm, sigint;
	ev_timer deadline;
};

static void close_devices(struct gateway *g, unsigned first_worker, unsigned end_worker);

/* Orders ----------------------------------------------------------------- */

static struct worker_order *new_order(struct gateway *g, struct worker *worker,
				      enum worker_task task,
				      void (*reported)(struct worker_order *))
{
	struct worker_order *o = calloc(1, sizeof(*o));

	if (!o)
		abort();	/* not 300 bytes left to start or stop with */
	o->worker = worker;
	o->task = task;
	o->reported = reported;
	o->opaque = g;
	g->pending++;
	return o;
}

static void order(struct gateway *g, struct worker *worker, enum worker_task task,
		  struct export *export, void (*reported)(struct worker_order *))
{
	struct worker_order *o = new_order(g, worker, task, reported);

	o->export = export;
	worker_order(o);
}

static bool last_report(struct worker_order *o)
{
	struct gateway *g = o->opaque;

	free(o);
	assert(g->pending > 0);
	return --g->pending == 0;
}

static void set_deadline(struct gateway *g, double seconds)
{
	ev_timer_stop(g->loop->ev, &g->deadline);
	ev_timer_set(&g->deadline, seconds, 0);
	ev_timer_start(g->loop->ev, &g->deadline);
}

/* CLOSING ---------------------------------------------------------------- */

static void first_worker_closed(struct worker_order *o)
{
	struct gateway *g = o->opaque;

	if (last_report(o))
		loop_stop(g->loop);
}

static void others_closed(struct worker_order *o)
{
	struct gateway *g = o->opaque;

	if (last_report(o))
		close_devices(g, 0, 1);
}

static void close_devices(struct gateway *g, unsigned first_worker, unsigned end_worker)
{
	void (*closed)(struct worker_order *) = first_worker ? others_closed : first_worker_closed;

	for (unsigned w = first_worker; w < end_worker; w++)
		for (unsigned i = 0; i < g->exports.count; i++)
			order(g, &g->workers[w], WORKER_CLOSE, &g->exports.export[i], closed);
}

static void start_closing(struct gateway *g)
{
	g->phase = CLOSING;
	set_deadline(g, CLOSE_SECONDS);
	if (g->worker_count > 1)
		close_devices(g, 1, g->worker_count);
	else
		close_devices(g, 0, 1);
}

/* DRAINING --------------------------------------------------------------- */

static void drained(struct worker_order *o)
{
	struct gateway *g = o->opaque;

	if (last_report(o))
		start_closing(g);
}

static void stop_listening(struct gateway *g)
{
	front_close(&g->front);
	if (g->conf->pidfile)
		unlink(g->conf->pidfile);
}

static void start_draining(struct gateway *g)
{
	if (g->phase != SERVING)
		return;
	g->phase = DRAINING;
	sd_notify(0, "STOPPING=1");
	stop_listening(g);
	set_deadline(g, DRAIN_SECONDS);
	for (unsigned w = 0; w < g->worker_count; w++)
		order(g, &g->workers[w], WORKER_DRAIN, NULL, drained);
}

static void deadline_passed(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct gateway *g = container_of(timer, struct gateway, deadline);

	(void)ev;
	(void)events;
	if (g->phase != DRAINING) {
		log_warning("a device does not answer: its last requests are given up");
		_exit(g->status);
	}
	log_warning("some peers did not leave within %g s: they are dropped", DRAIN_SECONDS);
	g->phase = DROPPING;
	set_deadline(g, CLOSE_SECONDS);
	for (unsigned w = 0; w < g->worker_count; w++)
		order(g, &g->workers[w], WORKER_ABORT, NULL, drained);
}

/* The first signal ends the service in good order, the second ends the process. */
static void stop_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
	struct gateway *g = watcher->data;

	(void)ev;
	(void)events;
	if (g->phase != SERVING)
		_exit(g->phase == OPENING ? EXIT_SUCCESS : 128 + watcher->signum);
	captive_signal(&g->captive, watcher->signum);
	start_draining(g);
}

static void single_ended(struct loop_msg *msg)
{
	struct worker_conf *wc = container_of(msg, struct worker_conf, single_ended);

	start_draining(container_of(wc, struct gateway, worker_conf));
}

static void captive_ended(struct captive *captive, int status)
{
	struct gateway *g = container_of(captive, struct gateway, captive);

	g->status = status;
	start_draining(g);
}

/* SERVING ---------------------------------------------------------------- */

static bool write_pidfile(const char *path)
{
	FILE *file = fopen(path, "we");
	bool ok = file && fprintf(file, "%d\n", (int)getpid()) > 0;

	if (file && fclose(file) != 0)
		ok = false;
	if (!ok)
		log_error("--pidfile=%s: %s", path, strerror(errno));
	return ok;
}

static void followed(struct worker_order *o)
{
	last_report(o);
}

/* The workers know what they serve before the first connection comes to them. */
static bool put_in_force(struct gateway *g)
{
	g->access = gateway_access(g->conf, &g->exports, &g->front);
	if (!g->access) {
		log_error("%s", strerror(ENOMEM));
		return false;
	}
	for (unsigned w = 0; w < g->worker_count; w++) {
		struct worker_order *o = new_order(g, &g->workers[w], WORKER_ACCESS, followed);

		o->access = g->access;
		worker_order(o);
	}
	return true;
}

static bool start_serving(struct gateway *g)
{
	g->phase = SERVING;
	if (!front_open(&g->front) || !put_in_force(g)
	    || (g->conf->single && !front_single(&g->front)))
		return false;
	if (g->conf->pidfile && !write_pidfile(g->conf->pidfile))
		return false;
	sd_notify(0, "READY=1");
	g->captive.ended = captive_ended;
	if (g->conf->run &&
	    captive_start(&g->captive, g->loop, g->conf->run, g->front.nbd_uri,
			  g->front.iscsi_uri) < 0) {
		log_error("--run: %s", strerror(errno));
		return false;
	}
	return true;
}

/* OPENING ---------------------------------------------------------------- */

static void opened(struct worker_order *o)
{
	struct gateway *g = o->opaque;
	bool more = o->worker->number == 0 && o->ok;

	if (!o->ok && g->status == EXIT_SUCCESS) {
		log_error("%s: %s", o->export->device->uri, o->why);
		g->status = EXIT_FAILURE;
	}
	for (unsigned w = 1; more && w < g->worker_count; w++)
		order(g, &g->workers[w], WORKER_OPEN, o->export, opened);
	if (!last_report(o))
		return;
	if (g->status == EXIT_SUCCESS && start_serving(g))
		return;
	g->status = EXIT_FAILURE;
	stop_listening(g);
	start_closing(g);
}

static void open_devices(struct gateway *g)
{
	for (unsigned i = 0; i < g->exports.count; i++)
		order(g, &g->workers[0], WORKER_OPEN, &g->exports.export[i], opened);
}

/* Making and taking apart ------------------------------------------------- */

/* Nothing but memory or threads can be short where this is called. */
static bool cannot_start(void)
{
	log_error("cannot start: %s", strerror(errno));
	return false;
}

/* What the command line says of the sessions of an iscsi:// device. */
static bool prepare_initiator(struct gateway *g, struct device *device, char *why, size_t size)
{
	if (device->kind != DEVICE_ISCSI)
		return true;
	device->initiator = g->conf->initiator;
	return accounts_find(&g->conf->accounts, device->url.user, &device->account,
			     &device->initiator.chap, why, size);
}

static bool is_named(const char *name, const char *const *names, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* What is written again after an outage would overwrite what others have written meanwhile. */
static bool set_write_log(const struct conf *conf, const struct export *export)
{
	if (is_named(export->name, conf->shared, conf->shared_count))
		return device_keep_writes(export->device, 0);
	return !conf->has_write_log || device_keep_writes(export->device, conf->write_log);
}

static bool make_device(struct gateway *g, const struct conf_device *conf, struct export *export)
{
	struct disk_lu_conf lu = {
		.lun = export->lun, .block_len = g->conf->block_size, .state_dir = g->conf->state_dir,
		.offload = g->worker_conf.instances.offload,
	};
	char why[256] = "";
	struct device *device = device_new(conf->uri, g->conf->read_only, why, sizeof(why));

	if (!device) {
		log_error("%s: %s", conf->uri, why);
		return false;
	}
	export->device = device;
	if (!prepare_initiator(g, device, why, sizeof(why))) {
		log_error("%s: %s", conf->uri, why);
		return false;
	}
	snprintf(lu.target_name, sizeof(lu.target_name), "%s", g->conf->target);
	device->lu_shared = lu_shared_new(&lu);
	return (device->lu_shared && set_write_log(g->conf, export)) || cannot_start();
}

static bool make_exports(struct gateway *g)
{
	const struct conf *conf = g->conf;

	g->exports.export = calloc(conf->device_count, sizeof(*g->exports.export));
	if (!g->exports.export)
		return cannot_start();
	for (unsigned i = 0; i < conf->device_count; i++) {
		struct export *export = &g->exports.export[i];

		export->name = conf->devices[i].name;
		export->lun = (uint16_t)i;
		export->read_only = conf->read_only;
		export->tls_only = is_named(export->name, conf->tls.only, conf->tls.only_count);
		export->instance = calloc(g->worker_count, sizeof(*export->instance));
		g->exports.count++;
		if (!export->instance)
			return cannot_start();
		if (!make_device(g, &conf->devices[i], export))
			return false;
	}
	return true;
}

static bool make_tls(struct gateway *g)
{
	const struct conf_tls *tls = &g->conf->tls;
	struct tls_conf conf = {
		.certificates = tls->certificates, .psk = tls->psk,
		.verify_peer = tls->verify_peer, .allow = tls->allow,
		.allow_count = tls->allow_count,
	};
	char why[300];

	if (tls->mode == TLS_OFF)
		return true;
	g->tls = tls_new(&conf, why, sizeof(why));
	if (!g->tls)
		log_error("TLS: %s", why);
	return g->tls;
}

static bool make_workers(struct gateway *g)
{
	struct worker_conf *wc = &g->worker_conf;

	wc->main_loop = g->loop;
	wc->exports = &g->exports;
	/* What systemd passes is not known to be for the one or the other yet. */
	wc->instances.serve_blk = g->conf->nbd_count || g->conf->single || getenv("LISTEN_FDS");
	wc->instances.serve_lu = g->conf->iscsi_count || getenv("LISTEN_FDS");
	wc->instances.outage_timeout = g->conf->initiator.outage_timeout;
	nbd_limits_init(&wc->nbd_limits);
	wc->nbd_limits.handshake_timeout = g->conf->handshake_timeout;
	wc->tls_mode = g->conf->tls.mode;
	wc->tls = g->tls;
	wc->single_ended.run = single_ended;
	target_conf_init(&wc->target);
	wc->target_shared = target_shared_new(&wc->target);
	if (!wc->target_shared)
		return cannot_start();
	for (unsigned w = 0; w < g->worker_count; w++)
		if (!worker_start(&g->workers[w], w, wc))
			return cannot_start();
	return true;
}

/* What others keep there is no business of ours, nor is ours theirs: two gateways that keep
 * reservations of the same names would lose them. */
static bool open_state_dir(struct gateway *g)
{
	const char *path = g->conf->state_dir;

	if (!path)
		return true;
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		log_error("--state-dir=%s: %s", path, strerror(errno));
		return false;
	}
	g->state_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->state_dir < 0 || faccessat(g->state_dir, ".", W_OK | X_OK, AT_EACCESS) < 0)
		log_error("--state-dir=%s: %s", path, strerror(errno));
	else if (flock(g->state_dir, LOCK_EX | LOCK_NB) < 0)
		log_error("--state-dir=%s: %s", path, errno == EWOULDBLOCK
			  ? "another gateway keeps its state there" : strerror(errno));
	else
		return true;
	return false;
}

static void watch_signal(struct gateway *g, ev_signal *watcher, int number)
{
	ev_signal_init(watcher, stop_signal, number);
	watcher->data = g;
	ev_signal_start(g->loop->ev, watcher);
}

/* One connection is one descriptor: take as many as we may. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool make(struct gateway *g)
{
	raise_descriptor_limit();
	signal(SIGPIPE, SIG_IGN);
	g->worker_count = g->conf->threads;
	g->loop = loop_new();
	g->workers = calloc(g->worker_count, sizeof(*g->workers));
	g->worker_conf.instances.offload = offload_new(OFFLOAD_THREADS);
	if (!g->loop || !g->workers || !g->worker_conf.instances.offload)
		return cannot_start();
	g->front.conf = g->conf;
	g->front.loop = g->loop;
	g->front.workers = g->workers;
	g->front.worker_count = g->worker_count;
	watch_signal(g, &g->sigterm, SIGTERM);
	watch_signal(g, &g->sigint, SIGINT);
	ev_timer_init(&g->deadline, deadline_passed, 0, 0);
	return make_tls(g) && open_state_dir(g) && make_exports(g) && make_workers(g);
}

static void take_apart(struct gateway *g)
{
	/* Before the loops: its threads may still be on their way out of loop_post(). */
	if (g->worker_conf.instances.offload)
		offload_free(g->worker_conf.instances.offload);
	for (unsigned w = 0; g->workers && w < g->worker_count; w++)
		worker_stop(&g->workers[w]);
	if (g->worker_conf.target_shared)
		target_shared_free(g->worker_conf.target_shared);
	for (unsigned i = 0; i < g->exports.count; i++) {
		free(g->exports.export[i].instance);
		device_free(g->exports.export[i].device);
	}
	free(g->exports.export);
	access_drop(g->access);
	if (g->state_dir >= 0)
		close(g->state_dir);
	free(g->workers);
	front_free(&g->front);
	tls_free(g->tls);
	if (g->loop)
		loop_free(g->loop);
}

int gateway_run(const struct conf *conf)
{
	struct gateway g = { .conf = conf, .status = EXIT_SUCCESS, .state_dir = -1 };

	if (make(&g)) {
		open_devices(&g);
		loop_run(g.loop);
	} else {
		g.status = EXIT_FAILURE;
	}
	take_apart(&g);
	return g.status;
}
