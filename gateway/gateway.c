/*
 * The life of the process, as a sequence of phases on the main loop. Workers are
 * given orders and report; a phase ends when all its reports are in:
 *
 *	OPENING	the first configuration comes into force (gateway_change.c); its first
 *		failure is the reason to end
 *	SERVING	the pidfile is written. SIGHUP brings another configuration into force.
 *	DRAINING nothing new is accepted, peers are told, what is in flight ends, all
 *		within a bound; DROPPING what did not leave in time
 *	CLOSING	the devices
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

#include "gateway.h"
#include "gateway_private.h"
#include "log.h"
#include "need.h"
#include "offload.h"

#define OFFLOAD_THREADS	16

/* SIGTERM to the end: 10 s until what peers have in flight must have ended, 5 for those that are
 * dropped then, 5 for the devices. systemd waits for 90. */
#define DRAIN_SECONDS	10.0
#define CLOSE_SECONDS	5.0

/* Orders ----------------------------------------------------------------- */

struct worker_order *gateway_order(struct gateway *g, struct worker *worker,
				   enum worker_task task, void (*reported)(struct worker_order *))
{
	struct worker_order *o = need(calloc(1, sizeof(*o)));

	o->worker = worker;
	o->task = task;
	o->reported = reported;
	o->opaque = g;
	g->pending++;
	return o;
}

bool gateway_reported(struct worker_order *o)
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

static void devices_closed(struct gateway *g)
{
	loop_stop(g->loop);
}

/* Of the configuration in force; or, when none has come so far, of the first. */
static void start_closing(struct gateway *g)
{
	g->phase = CLOSING;
	set_deadline(g, CLOSE_SECONDS);
	gateway_close_devices(g, g->conf ? g->conf : g->next, devices_closed);
}

/* DRAINING --------------------------------------------------------------- */

static void drained(struct worker_order *o)
{
	struct gateway *g = o->opaque;

	if (gateway_reported(o))
		start_closing(g);
}

static void stop_listening(struct gateway *g)
{
	front_close(&g->front);
	if (g->start->pidfile)
		unlink(g->start->pidfile);
}

static void start_draining(struct gateway *g)
{
	if (g->phase != SERVING)
		return;
	if (g->next) {
		g->stop_wanted = true;	/* workers take one thing at a time */
		return;
	}
	g->phase = DRAINING;
	sd_notify(0, "STOPPING=1");
	stop_listening(g);
	set_deadline(g, DRAIN_SECONDS);
	for (unsigned w = 0; w < g->worker_count; w++)
		worker_order(gateway_order(g, &g->workers[w], WORKER_DRAIN, drained));
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
		worker_order(gateway_order(g, &g->workers[w], WORKER_ABORT, drained));
}

/* The first signal ends the service in good order, the second ends the process. */
static void stop_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
	struct gateway *g = watcher->data;

	(void)ev;
	(void)events;
	if (g->phase != SERVING || g->stop_wanted)
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

static bool start_serving(struct gateway *g)
{
	const struct conf *conf = g->start;

	g->phase = SERVING;
	if (conf->single && !front_single(&g->front))
		return false;
	if (conf->pidfile && !write_pidfile(conf->pidfile))
		return false;
	sd_notify(0, "READY=1");
	g->captive.ended = captive_ended;
	if (conf->run && captive_start(&g->captive, g->loop, conf->run, g->front.nbd_uri,
				       g->front.iscsi_uri) < 0) {
		log_error("--run: %s", strerror(errno));
		return false;
	}
	return true;
}

void gateway_serve(struct gateway *g)
{
	if (start_serving(g))
		gateway_change_over(g);
	else
		gateway_give_up(g);
}

void gateway_give_up(struct gateway *g)
{
	g->status = EXIT_FAILURE;
	stop_listening(g);
	start_closing(g);
}

void gateway_change_over(struct gateway *g)
{
	if (g->stop_wanted) {
		g->stop_wanted = false;
		start_draining(g);
	} else if (g->reload_again) {
		g->reload_again = false;
		gateway_reload(g);
	}
}

static void reload_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
	struct gateway *g = watcher->data;

	(void)ev;
	(void)events;
	if (g->next)
		g->reload_again = true;
	else if (g->phase == SERVING)
		gateway_reload(g);
}

/* Making and taking apart ------------------------------------------------- */

bool gateway_cannot_start(void)
{
	log_error("cannot start: %s", strerror(errno));
	return false;
}

/* With a file, that may change; and what systemd passes is not known to be for the one or the
 * other yet. */
static bool serves(const struct conf *conf, bool iscsi)
{
	bool found = conf->file || getenv("LISTEN_FDS");

	for (unsigned i = 0; i < conf->listener_count && !found; i++)
		found = (conf->listeners[i].group != 0) == iscsi;
	return found;
}

static bool make_workers(struct gateway *g)
{
	struct worker_conf *wc = &g->worker_conf;

	wc->main_loop = g->loop;
	wc->instances.serve_blk = serves(g->start, false) || g->start->single;
	wc->instances.serve_lu = serves(g->start, true);
	wc->single_ended.run = single_ended;
	wc->target_shared = target_shared_new();
	if (!wc->target_shared)
		return gateway_cannot_start();
	for (unsigned w = 0; w < g->worker_count; w++)
		if (!worker_start(&g->workers[w], w, wc))
			return gateway_cannot_start();
	return true;
}

/* What others keep there is no business of ours, nor is ours theirs: two gateways that keep
 * reservations of the same names would lose them. */
static bool open_state_dir(struct gateway *g)
{
	const char *path = g->start->state_dir;

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

static void watch_signal(struct gateway *g, ev_signal *watcher, int number,
			 void (*caught)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(watcher, caught, number);
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
	g->worker_count = g->start->threads;
	g->loop = loop_new();
	g->workers = calloc(g->worker_count, sizeof(*g->workers));
	g->worker_conf.instances.offload = offload_new(OFFLOAD_THREADS);
	if (!g->loop || !g->workers || !g->worker_conf.instances.offload)
		return gateway_cannot_start();
	g->front.loop = g->loop;
	g->front.workers = g->workers;
	g->front.worker_count = g->worker_count;
	watch_signal(g, &g->sigterm, SIGTERM, stop_signal);
	watch_signal(g, &g->sigint, SIGINT, stop_signal);
	if (g->start->file)
		watch_signal(g, &g->sighup, SIGHUP, reload_signal);
	ev_timer_init(&g->deadline, deadline_passed, 0, 0);
	return open_state_dir(g) && make_workers(g);
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
	if (g->state_dir >= 0)
		close(g->state_dir);
	free(g->workers);
	if (g->conf && g->conf != g->start) {
		conf_free(g->conf);
		free(g->conf);
	}
	front_free(&g->front);
	if (g->loop)
		loop_free(g->loop);
}

int gateway_run(struct conf *conf, int argc, char **argv)
{
	struct gateway g = {
		.start = conf, .next = conf, .argc = argc, .argv = argv, .status = EXIT_SUCCESS,
		.state_dir = -1,
	};

	if (make(&g)) {
		gateway_change(&g);
		loop_run(g.loop);
	} else {
		g.status = EXIT_FAILURE;
	}
	take_apart(&g);
	return g.status;
}
