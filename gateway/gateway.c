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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>

#include "gateway.h"
#include "gateway_private.h"
#include "log.h"
#include "need.h"

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

/* From the beginning to the end --------------------------------------------- */

static void watch_signal(struct gateway *g, ev_signal *watcher, int number,
			 void (*caught)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(watcher, caught, number);
	watcher->data = g;
	ev_signal_start(g->loop->ev, watcher);
}

/* By nohup(1). */
static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void gateway_watch(struct gateway *g)
{
	watch_signal(g, &g->sigterm, SIGTERM, stop_signal);
	watch_signal(g, &g->sigint, SIGINT, stop_signal);
	if (g->start->file)
		watch_signal(g, &g->sighup, SIGHUP, reload_signal);
	else if (!is_ignored(SIGHUP))
		watch_signal(g, &g->sighup, SIGHUP, stop_signal);
	ev_timer_init(&g->deadline, deadline_passed, 0, 0);
	g->worker_conf.single_ended.run = single_ended;
}

int gateway_run(struct conf *conf, int argc, char **argv)
{
	struct gateway g = {
		.start = conf, .next = conf, .argc = argc, .argv = argv, .status = EXIT_SUCCESS,
		.state_dir = -1,
	};

	if (gateway_make(&g)) {
		gateway_change(&g);
		loop_run(g.loop);
	} else {
		g.status = EXIT_FAILURE;
	}
	gateway_take_apart(&g);
	return g.status;
}
