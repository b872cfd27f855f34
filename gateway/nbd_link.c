/*
 * One libnbd handle on a loop. Called by nbd_blk only.
 *
 * libnbd resolves names and opens unix sockets within nbd_aio_connect_uri(), which may
 * block: that one call is made on an offload thread, and nobody else touches the handle
 * until it has come back. From then on everything happens on the loop, driven by what
 * nbd_aio_get_direction() asks for.
 *
 * The link belongs to nbd_blk until nbd_link_close(); if the offload thread has it at
 * that time, it frees itself when it is back.
 */
#include "nbd_link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "nbd_pipe.h"
#include "offload.h"

#define WHY_LEN	256

/*
 * libnbd takes in one reply per notification. More of them in one wakeup let whatever
 * they cause leave in one send; the bound is for the other connections of the loop.
 */
#define REPLIES_PER_WAKEUP	32

/* A server that has vanished without a word is noticed after about half a minute. */
#define KEEPALIVE_IDLE		15	/* seconds */
#define KEEPALIVE_INTERVAL	5
#define KEEPALIVE_PROBES	3
#define UNACKNOWLEDGED_MAX	30000	/* milliseconds */

enum link_stage { RESOLVING, CONNECTING, SELECTING, READY, ENDED };

struct nbd_link {
	struct nbd_handle *handle;
	struct loop *loop;
	char *uri;
	double timeout;
	const struct nbd_link_events *events;
	void *opaque;
	enum link_stage stage;
	struct offload_job resolve;
	bool away;			/* the offload thread has the handle */
	bool abandoned;			/* closed while it was away */
	struct nbd_pipe *pipe;		/* in stage READY, if the socket is plain */
	int connected;			/* what nbd_aio_connect_uri() returned */
	int refused;			/* nbd_opt_go(): errno, 0 = not (yet) */
	struct ev_io io;
	int watched;			/* the events of io, 0 = stopped */
	struct ev_timer deadline;
	struct loop_call rearm;
	char why[WHY_LEN];
};

/*
 * libnbd's last error of this thread, in one line: without the name of the function in
 * front, and without the text of an errno behind that is libnbd's own way of saying no.
 */
static void note_error(struct nbd_link *link)
{
	const char *text = nbd_get_error();
	int err = nbd_get_errno();
	const char *meaning = strerror(err), *colon;
	char *tail;

	if (!text)
		text = "no reason given";
	colon = strstr(text, ": ");
	if (colon && strncmp(text, "nbd_", 4) == 0)
		text = colon + 2;
	if (err && strncmp(text, "connect: ", 9) == 0)
		snprintf(link->why, sizeof(link->why), "connect: %s", meaning);
	else
		snprintf(link->why, sizeof(link->why), "%s", text);
	if (err != EINVAL && err != ENOTSUP)
		return;
	tail = strrchr(link->why, ':');
	if (tail && tail[1] == ' ' && strcmp(tail + 2, meaning) == 0)
		*tail = '\0';
}

/* The end of the link, for the reason in link->why. The owner may free it here. */
static void end(struct nbd_link *link)
{
	enum link_stage stage = link->stage;

	assert(stage != ENDED);
	link->stage = ENDED;
	ev_io_stop(link->loop->ev, &link->io);
	ev_timer_stop(link->loop->ev, &link->deadline);
	loop_call_cancel(&link->rearm);
	if (stage == READY)
		link->events->lost(link->opaque, link->why);
	else
		link->events->opened(link->opaque, link->why);
}

/* Called under libnbd's lock: only take note. */
static int on_selected(void *opaque, int *error)
{
	struct nbd_link *link = opaque;

	link->refused = *error;
	if (*error)
		note_error(link);
	return 1;
}

static void name_the_export(struct nbd_link *link)
{
	char *name = nbd_get_export_name(link->handle);

	snprintf(link->why, sizeof(link->why), "export \"%s\" not found", name ? name : "");
	free(name);
}

/* Watch what libnbd waits for. While it connects it may close one socket and open another of
 * the same number, so then the watcher always starts afresh. */
static void watch(struct nbd_link *link)
{
	int fd = nbd_aio_get_fd(link->handle);
	unsigned direction = nbd_aio_get_direction(link->handle);
	int events = (direction & LIBNBD_AIO_DIRECTION_READ ? EV_READ : 0) |
		     (direction & LIBNBD_AIO_DIRECTION_WRITE ? EV_WRITE : 0);

	if (fd < 0)
		events = 0;
	if (link->stage == READY && events == link->watched && fd == link->io.fd)
		return;
	ev_io_stop(link->loop->ev, &link->io);
	link->watched = events;
	if (!events)
		return;
	ev_io_set(&link->io, fd, events);
	ev_io_start(link->loop->ev, &link->io);
}

static void keep_alive(int fd)
{
	static const int on = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL;
	static const int probes = KEEPALIVE_PROBES, unacknowledged = UNACKNOWLEDGED_MAX;

	/* Not for unix sockets, which refuse and have no need. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, sizeof(unacknowledged));
}

/* Select the export as soon as the server takes options. False: it failed, why is noted. */
static bool select_export(struct nbd_link *link)
{
	nbd_completion_callback selected = { .callback = on_selected, .user_data = link };

	if (link->stage != CONNECTING || !nbd_aio_is_negotiating(link->handle))
		return true;
	link->stage = SELECTING;
	if (nbd_aio_opt_go(link->handle, selected) == 0)
		return true;
	note_error(link);
	return false;
}

/* libnbd closes in an orderly way if the server does, and if it cannot have TLS. */
static const char *why_closed(const struct nbd_link *link)
{
	if (link->stage == CONNECTING && nbd_get_tls(link->handle) == LIBNBD_TLS_REQUIRE &&
	    nbd_get_tls_negotiated(link->handle) <= 0)
		return "the server does not offer TLS";
	return "closed by the server";
}

/* Has the handle come to its end? Then say why. */
static bool has_ended(struct nbd_link *link)
{
	if (link->refused) {
		if (link->refused == ENOENT)
			name_the_export(link);
		return true;
	}
	if (nbd_aio_is_dead(link->handle) || nbd_aio_is_created(link->handle)) {
		if (!link->why[0])
			note_error(link);
		return true;
	}
	if (nbd_aio_is_closed(link->handle)) {
		snprintf(link->why, sizeof(link->why), "%s", why_closed(link));
		return true;
	}
	return false;
}

static void pipe_lost(void *opaque, const char *why)
{
	struct nbd_link *link = opaque;

	snprintf(link->why, sizeof(link->why), "%s", why);
	end(link);
}

/* Can the requests do without libnbd? */
static bool is_plain(const struct nbd_link *link)
{
#ifdef LIBNBD_HAVE_NBD_GET_EXTENDED_HEADERS_NEGOTIATED
	if (nbd_get_extended_headers_negotiated(link->handle) > 0)
		return false;
#endif
	return nbd_get_tls_negotiated(link->handle) == 0;
}

/* Between two replies libnbd holds no bytes of the stream, so that it can be taken over. If there
 * is no room for that, libnbd goes on. */
static void open_pipe(struct nbd_link *link)
{
	bool structured = nbd_get_structured_replies_negotiated(link->handle) > 0;
	int fd = fcntl(nbd_aio_get_fd(link->handle), F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return;
	link->pipe = nbd_pipe_open(link->loop, fd, structured, pipe_lost, link);
	if (!link->pipe)
		close(fd);
}

/* Something has happened to the handle: go on from there. The link may be gone afterwards. */
static void advance(struct nbd_link *link)
{
	bool first;

	if (!select_export(link) || has_ended(link)) {
		end(link);
		return;
	}
	first = link->stage != READY && nbd_aio_is_ready(link->handle);
	if (first) {
		link->stage = READY;
		keep_alive(nbd_aio_get_fd(link->handle));
		ev_timer_stop(link->loop->ev, &link->deadline);
		ev_io_stop(link->loop->ev, &link->io);
		link->watched = 0;
		if (is_plain(link))
			open_pipe(link);
	}
	if (!link->pipe)
		watch(link);
	if (first)
		link->events->opened(link->opaque, NULL);
}

static void notify_read(struct nbd_link *link)
{
	if (nbd_aio_notify_read(link->handle) < 0) {
		note_error(link);
		return;
	}
	/*
	 * When a TLS record has come only in part, libnbd stays where it expects a reply
	 * and sends no command until more is read. It leaves that state, and comes back
	 * to it, when told to read once more.
	 */
	if (nbd_aio_is_processing(link->handle) &&
	    nbd_aio_get_direction(link->handle) == LIBNBD_AIO_DIRECTION_READ &&
	    nbd_aio_notify_read(link->handle) < 0)
		note_error(link);
}

static bool another_reply(struct nbd_link *link)
{
	struct pollfd p = { .fd = link->io.fd, .events = POLLIN };

	return link->stage == READY && nbd_aio_is_ready(link->handle) &&
	       nbd_aio_in_flight(link->handle) > 0 && poll(&p, 1, 0) > 0;
}

static void on_io(struct ev_loop *ev, struct ev_io *w, int events)
{
	struct nbd_link *link = container_of(w, struct nbd_link, io);
	int replies = 0;

	(void)ev;
	/* Never both: reading may have changed the direction. */
	if (events & EV_READ) {
		do
			notify_read(link);
		while (++replies < REPLIES_PER_WAKEUP && another_reply(link));
	} else if (nbd_aio_notify_write(link->handle) < 0) {
		note_error(link);
	}
	advance(link);
}

static void on_rearm(struct loop_call *call)
{
	advance(container_of(call, struct nbd_link, rearm));
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
	end(link);
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
		note_error(link);
}

static void resolved(struct offload_job *job)
{
	struct nbd_link *link = container_of(job, struct nbd_link, resolve);

	link->away = false;
	if (link->abandoned) {
		destroy(link);
	} else if (link->connected < 0) {
		end(link);
	} else {
		link->stage = CONNECTING;
		advance(link);
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
	loop_call_init(&link->rearm, on_rearm);
	ev_io_init(&link->io, on_io, -1, 0);
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

void nbd_link_kick(struct nbd_link *link)
{
	assert(!link->pipe);
	if (link->stage == READY)
		loop_flush(link->loop, &link->rearm);
}

void nbd_link_suspect(struct nbd_link *link)
{
	if (!link->why[0])
		note_error(link);
	nbd_link_kick(link);
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
	ev_io_stop(link->loop->ev, &link->io);
	ev_timer_stop(link->loop->ev, &link->deadline);
	loop_call_cancel(&link->rearm);
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
