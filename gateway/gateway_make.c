/*
 * What the process is made of before it serves, and is taken apart into at its end: its loop,
 * its workers and their threads, its directory of state. See gateway_private.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "gateway_private.h"
#include "log.h"
#include "offload.h"

#define OFFLOAD_THREADS	16

bool gateway_cannot_start(void)
{
	log_error("cannot start: %s", strerror(errno));
	return false;
}

/* With a file, that may change; and what systemd passes is not known to be for the one or the
 * other yet. */
static bool serves(const struct conf *conf, bool iscsi)
{
	bool found = conf->file || sd_listen_fds(0) != 0;

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

/* One connection is one descriptor: take as many as we may. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

bool gateway_make(struct gateway *g)
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
	gateway_watch(g);
	return open_state_dir(g) && make_workers(g);
}

void gateway_take_apart(struct gateway *g)
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
