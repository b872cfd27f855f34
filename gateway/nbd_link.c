/*
 * One libnbd handle on a loop. Called by nbd_blk only.
 *
 * libnbd resolves names and opens unix sockets within nbd_aio_connect_uri(), which may
 * block: that one call is made on an offload thread, and nobody else touches the handle
 * until it has come back. From then on everything happens on the loop (nbd_link_drive.c).
 *
 * The link belongs to nbd_blk until nbd_link_close(); if the offload thread has it at
 * that time, it frees itself when it is back.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbd_link_private.h"
#include "nbd_pipe.h"

static void stop(struct nbd_link *link)
{
	nbd_link_drive_stop(link);
	ev_timer_stop(link->loop->ev, &link->deadline);
}

void nbd_link_end(struct nbd_link *link)
{
	enum link_stage stage = link->stage;

	assert(stage != ENDED);
	link->stage = ENDED;
	stop(link);
	if (stage == READY)
		link->events->lost(link->opaque, link->why);
	else
		link->events->opened(link->opaque, link->why);
}

static void on_deadline(struct ev_loop *ev, struct ev_timer *w, int events)
{
	static const char *const doing[] = {
		[RESOLVING] = "resolving its name",
		[CONNECTING] = "connecting",
		[SELECTING] = "selecting the export",
	};
	struct nbd_link *link = container_of(w, struct nbd_link, deadline);

	(void)ev;
	(void)events;
	assert(link->stage < READY);
	snprintf(link->why, sizeof(link->why), "timed out after %g s while %s",
		 link->timeout, doing[link->stage]);
	nbd_link_end(link);
}

static void destroy(struct nbd_link *link)
{
	nbd_close(link->handle);
	free(link->uri);
	free(link);
}

/* On an offload thread. */
static void resolve(struct offload_job *job)
{
	struct nbd_link *link = container_of(job, struct nbd_link, resolve);

	link->connected = nbd_aio_connect_uri(link->handle, link->uri);
	if (link->connected < 0)
		nbd_link_note_error(link);
}

static void resolved(struct offload_job *job)
{
	struct nbd_link *link = container_of(job, struct nbd_link, resolve);

	link->away = false;
	if (link->abandoned) {
		destroy(link);
	} else if (link->connected < 0) {
		nbd_link_end(link);
	} else {
		link->stage = CONNECTING;
		nbd_link_advance(link);
	}
}

/*
 * Opt mode gives a refused export its reason. Reads need not be cleared first: what a
 * failed one leaves in its buffer is never looked at. A URI is the administrator's, so
 * it may name files (TLS certificates and keys).
 */
static struct nbd_handle *new_handle(const struct nbd_link_conf *conf)
{
	struct nbd_handle *h = nbd_create();

	if (!h)
		return NULL;
	if (nbd_set_opt_mode(h, true) < 0 || nbd_set_full_info(h, true) < 0 ||
	    nbd_set_pread_initialize(h, false) < 0 ||
	    nbd_set_uri_allow_local_file(h, true) < 0 ||
	    nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
	    (conf->tls_certificates && nbd_set_tls_certificates(h, conf->tls_certificates) < 0) ||
	    (conf->tls_psk && nbd_set_tls_psk_file(h, conf->tls_psk) < 0)) {
		nbd_close(h);
		return NULL;
	}
	return h;
}

struct nbd_link *nbd_link_open(struct loop *loop, struct offload *offload,
			       const struct nbd_link_conf *conf,
			       const struct nbd_link_events *events, void *opaque)
{
	struct nbd_link *link = calloc(1, sizeof(*link));

	assert(conf->timeout > 0);
	if (!link)
		return NULL;
	link->handle = new_handle(conf);
	link->uri = strdup(conf->uri);
	if (!link->handle || !link->uri) {
		destroy(link);
		return NULL;
	}
	link->loop = loop;
	link->timeout = conf->timeout;
	link->events = events;
	link->opaque = opaque;
	nbd_link_drive_init(link);
	ev_timer_init(&link->deadline, on_deadline, conf->timeout, 0.);
	ev_timer_start(loop->ev, &link->deadline);
	link->resolve.work = resolve;
	link->resolve.done = resolved;
	link->away = true;
	offload_run(offload, loop, &link->resolve);
	return link;
}

struct nbd_handle *nbd_link_handle(struct nbd_link *link)
{
	assert(link->stage == READY);
	return link->handle;
}

struct nbd_pipe *nbd_link_pipe(struct nbd_link *link)
{
	assert(link->stage == READY);
	return link->pipe;
}

/* The few bytes of a farewell go out at once or not at all: nobody waits for it. */
static void take_leave(struct nbd_link *link)
{
	if (nbd_aio_is_ready(link->handle))
		nbd_aio_disconnect(link->handle, 0);
	else if (nbd_aio_is_negotiating(link->handle))
		nbd_aio_opt_abort(link->handle);
}

void nbd_link_close(struct nbd_link *link)
{
	stop(link);
	if (link->away) {
		link->abandoned = true;
		return;
	}
	if (link->pipe)
		nbd_pipe_close(link->pipe);
	else
		take_leave(link);
	destroy(link);
}
