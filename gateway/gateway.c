/*
 * The life of the process, as a sequence of phases on the main loop. Workers are
 * given orders and report; a phase ends when all its reports are in:
 *
 *	OPENING	every device on worker 0, then on the others (which may share worker
 *		0's connection). The first failure is the reason to end.
 *	SERVING	portals are bound last, so that no initiator ever meets a target that
 *		is not there yet; then the pidfile is written.
 *	DRAINING nothing new is accepted, peers are told, what is in flight ends, all
 *		within a bound
 *	CLOSING	the executors: on worker 0 last, for the same reason as above
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "captive.h"
#include "device.h"
#include "gateway.h"
#include "listener.h"
#include "log.h"
#include "offload.h"
#include "uri.h"
#include "worker.h"

#define OFFLOAD_THREADS	16
#define DRAIN_SECONDS	10.0
#define CLOSE_SECONDS	5.0

enum phase { OPENING, SERVING, DRAINING, CLOSING };

struct gateway {
	const struct conf *conf;
	struct loop *loop;
	enum phase phase;
	int status;			/* to exit with */
	unsigned pending;		/* reports that the phase waits for */
	struct export_table exports;
	struct worker_conf worker_conf;
	struct worker *workers;
	unsigned worker_count;
	unsigned next_worker;
	struct listener *listeners;
	unsigned listener_count;
	const char **portals;
	char *nbd_uri, *iscsi_uri;	/* of the first device at the first listener */
	struct captive captive;
	ev_signal sigterm, sigint;
	ev_timer deadline;
};

static void close_devices(struct gateway *g, unsigned first_worker, unsigned end_worker);

/* Orders ----------------------------------------------------------------- */

static void order(struct gateway *g, struct worker *worker, enum worker_task task,
		  struct export *export, void (*reported)(struct worker_order *))
{
	struct worker_order *o = calloc(1, sizeof(*o));

	if (!o)
		abort();	/* not 300 bytes left to start or stop with */
	o->worker = worker;
	o->task = task;
	o->export = export;
	o->reported = reported;
	o->opaque = g;
	g->pending++;
	worker_order(o);
}

static bool last_report(struct worker_order *o)
{
	struct gateway *g = o->opaque;

	free(o);
	assert(g->pending > 0);
	return --g->pending == 0;
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
	ev_timer_stop(g->loop->ev, &g->deadline);
	ev_timer_set(&g->deadline, CLOSE_SECONDS, 0);
	ev_timer_start(g->loop->ev, &g->deadline);
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
	for (unsigned i = 0; i < g->listener_count; i++)
		listener_stop(&g->listeners[i]);
	g->listener_count = 0;
	if (g->conf->pidfile)
		unlink(g->conf->pidfile);
}

static void start_draining(struct gateway *g)
{
	if (g->phase != SERVING)
		return;
	g->phase = DRAINING;
#ifdef HAVE_SYSTEMD
	sd_notify(0, "STOPPING=1");
#endif
	stop_listening(g);
	ev_timer_set(&g->deadline, DRAIN_SECONDS, 0);
	ev_timer_start(g->loop->ev, &g->deadline);
	for (unsigned w = 0; w < g->worker_count; w++)
		order(g, &g->workers[w], WORKER_DRAIN, NULL, drained);
}

static void deadline_passed(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct gateway *g = container_of(timer, struct gateway, deadline);

	(void)ev;
	(void)events;
	if (g->phase == DRAINING) {
		log_warning("some peers did not leave within %g s: they are dropped", DRAIN_SECONDS);
		for (unsigned w = 0; w < g->worker_count; w++)
			order(g, &g->workers[w], WORKER_ABORT, NULL, drained);
	} else {
		log_warning("a device did not close within %g s", CLOSE_SECONDS);
		_exit(g->status);
	}
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

static void captive_ended(struct captive *captive, int status)
{
	struct gateway *g = container_of(captive, struct gateway, captive);

	g->status = status;
	start_draining(g);
}

/* SERVING ---------------------------------------------------------------- */

static bool listen_on(struct gateway *g, const struct address *address, const char *text)
{
	int fds[ADDRESS_MAX_SOCKETS];
	char why[200];
	int count = address_listen(address, fds, why, sizeof(why));

	if (count < 0) {
		log_error("cannot listen on %s: %s", text, why);
		return false;
	}
	for (int i = 0; i < count; i++) {
		struct listener *listener = &g->listeners[g->listener_count++];

		listener->iscsi = address->use == ADDRESS_ISCSI;
		listener->workers = g->workers;
		listener->worker_count = g->worker_count;
		listener->next_worker = &g->next_worker;
		listener_start(listener, g->loop, fds[i]);
	}
	return true;
}

static bool listen_on_all(struct gateway *g, const struct address *addresses, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char text[300];

		snprintf(text, sizeof(text), addresses[i].unix_socket ? "unix:%s" : "%s:%s",
			 addresses[i].host, addresses[i].port);
		if (!listen_on(g, &addresses[i], text))
			return false;
	}
	return true;
}

/* SendTargets lists the portals; the first of each kind is where our own URIs point. */
static void announce(struct gateway *g)
{
	unsigned portals = 0;

	for (unsigned i = 0; i < g->listener_count; i++) {
		struct listener *listener = &g->listeners[i];
		char *uri = listener->iscsi ? uri_iscsi(listener->text, g->conf->target, 0)
					    : uri_nbd(listener->text);
		char **first = listener->iscsi ? &g->iscsi_uri : &g->nbd_uri;

		log_info("serving %s", uri);
		if (listener->iscsi)
			g->portals[portals++] = listener->text;
		if (*first)
			free(uri);
		else
			*first = uri;
	}
	g->worker_conf.portal_count = portals;
}

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

static bool start_serving(struct gateway *g)
{
	g->phase = SERVING;
	if (!listen_on_all(g, g->conf->nbd, g->conf->nbd_count) ||
	    !listen_on_all(g, g->conf->iscsi, g->conf->iscsi_count))
		return false;
	announce(g);
	if (g->conf->pidfile && !write_pidfile(g->conf->pidfile))
		return false;
#ifdef HAVE_SYSTEMD
	sd_notify(0, "READY=1");
#endif
	g->captive.ended = captive_ended;
	if (g->conf->run &&
	    captive_start(&g->captive, g->loop, g->conf->run, g->nbd_uri, g->iscsi_uri) < 0) {
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

static bool make_device(struct gateway *g, const struct conf_device *conf, struct export *export)
{
	struct disk_lu_conf lu = { .lun = export->lun, .block_len = 512 };
	char why[256] = "";
	struct device *device = device_new(conf->uri, g->conf->read_only, why, sizeof(why));

	if (!device) {
		log_error("%s: %s", conf->uri, why);
		return false;
	}
	export->device = device;
	snprintf(lu.target_name, sizeof(lu.target_name), "%s", g->conf->target);
	device->lu_shared = lu_shared_new(&lu);
	return device->lu_shared != NULL;
}

static bool make_exports(struct gateway *g)
{
	const struct conf *conf = g->conf;

	g->exports.export = calloc(conf->device_count, sizeof(*g->exports.export));
	if (!g->exports.export)
		return false;
	for (unsigned i = 0; i < conf->device_count; i++) {
		struct export *export = &g->exports.export[i];

		export->name = conf->devices[i].name;
		export->lun = (uint16_t)i;
		export->read_only = conf->read_only;
		export->instance = calloc(g->worker_count, sizeof(*export->instance));
		g->exports.count++;
		if (!export->instance || !make_device(g, &conf->devices[i], export))
			return false;
	}
	return true;
}

static bool make_workers(struct gateway *g)
{
	struct worker_conf *wc = &g->worker_conf;

	wc->main_loop = g->loop;
	wc->exports = &g->exports;
	wc->instances.serve_blk = g->conf->nbd_count > 0;
	wc->instances.serve_lu = g->conf->iscsi_count > 0;
	wc->instances.offload = offload_new(OFFLOAD_THREADS);
	nbd_limits_init(&wc->nbd_limits);
	target_conf_init(&wc->target);
	snprintf(wc->target.name, sizeof(wc->target.name), "%s", g->conf->target);
	wc->target_shared = target_shared_new(&wc->target);
	wc->portals = g->portals;
	if (!wc->instances.offload || !wc->target_shared)
		return false;
	for (unsigned w = 0; w < g->worker_count; w++)
		if (!worker_start(&g->workers[w], w, wc))
			return false;
	return true;
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
	unsigned sockets = (g->conf->nbd_count + g->conf->iscsi_count) * ADDRESS_MAX_SOCKETS;

	raise_descriptor_limit();
	signal(SIGPIPE, SIG_IGN);
	g->worker_count = g->conf->threads;
	g->loop = loop_new();
	g->workers = calloc(g->worker_count, sizeof(*g->workers));
	g->listeners = calloc(sockets, sizeof(*g->listeners));
	g->portals = calloc(sockets, sizeof(*g->portals));
	if (!g->loop || !g->workers || !g->listeners || !g->portals)
		return false;
	watch_signal(g, &g->sigterm, SIGTERM);
	watch_signal(g, &g->sigint, SIGINT);
	ev_timer_init(&g->deadline, deadline_passed, 0, 0);
	return make_exports(g) && make_workers(g);
}

static void take_apart(struct gateway *g)
{
	for (unsigned w = 0; g->workers && w < g->worker_count; w++)
		worker_stop(&g->workers[w]);
	if (g->worker_conf.instances.offload)
		offload_free(g->worker_conf.instances.offload);
	if (g->worker_conf.target_shared)
		target_shared_free(g->worker_conf.target_shared);
	for (unsigned i = 0; i < g->exports.count; i++) {
		free(g->exports.export[i].instance);
		device_free(g->exports.export[i].device);
	}
	free(g->exports.export);
	free(g->workers);
	free(g->listeners);
	free(g->portals);
	free(g->nbd_uri);
	free(g->iscsi_uri);
	if (g->loop)
		loop_free(g->loop);
}

int gateway_run(const struct conf *conf)
{
	struct gateway g = { .conf = conf, .status = EXIT_SUCCESS };

	errno = 0;
	if (make(&g)) {
		open_devices(&g);
		loop_run(g.loop);
	} else {
		if (errno)
			log_error("cannot start: %s", strerror(errno));
		g.status = EXIT_FAILURE;
	}
	take_apart(&g);
	return g.status;
}
