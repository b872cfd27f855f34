/*
 * libnbd on the loop: what it waits for is watched, and each step that it has made is
 * followed by the next, until the export is ready. From then on the requests have
 * the socket, through a struct nbd_pipe, or where that cannot be libnbd goes on.
 */
#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd_link_private.h"
#include "nbd_pipe.h"

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

/* Called under libnbd's lock: only take note. */
static int on_selected(void *opaque, int *error)
{
	struct nbd_link *link = opaque;

	link->refused = *error;
	if (*error)
		nbd_link_note_error(link);
	return 1;
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
	nbd_link_note_error(link);
	return false;
}

/* Has the handle come to its end? Then say why. */
static bool has_ended(struct nbd_link *link)
{
	if (link->refused) {
		nbd_link_note_refusal(link);
		return true;
	}
	if (nbd_aio_is_dead(link->handle) || nbd_aio_is_created(link->handle)) {
		if (!link->why[0])
			nbd_link_note_error(link);
		return true;
	}
	if (nbd_aio_is_closed(link->handle)) {
		nbd_link_note_closed(link);
		return true;
	}
	return false;
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

static void pipe_lost(void *opaque, const char *why)
{
	struct nbd_link *link = opaque;

	snprintf(link->why, sizeof(link->why), "%s", why);
	nbd_link_end(link);
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

static void become_ready(struct nbd_link *link)
{
	link->stage = READY;
	keep_alive(nbd_aio_get_fd(link->handle));
	ev_timer_stop(link->loop->ev, &link->deadline);
	ev_io_stop(link->loop->ev, &link->io);
	link->watched = 0;
	if (is_plain(link))
		open_pipe(link);
}

void nbd_link_advance(struct nbd_link *link)
{
	bool first;

	if (!select_export(link) || has_ended(link)) {
		nbd_link_end(link);
		return;
	}
	first = link->stage != READY && nbd_aio_is_ready(link->handle);
	if (first)
		become_ready(link);
	if (!link->pipe)
		watch(link);
	if (first)
		link->events->opened(link->opaque, NULL);
}

static void notify_read(struct nbd_link *link)
{
	if (nbd_aio_notify_read(link->handle) < 0) {
		nbd_link_note_error(link);
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
		nbd_link_note_error(link);
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
		nbd_link_note_error(link);
	}
	nbd_link_advance(link);
}

static void on_rearm(struct loop_call *call)
{
	nbd_link_advance(container_of(call, struct nbd_link, rearm));
}

void nbd_link_drive_init(struct nbd_link *link)
{
	loop_call_init(&link->rearm, on_rearm);
	ev_io_init(&link->io, on_io, -1, 0);
}

void nbd_link_drive_stop(struct nbd_link *link)
{
	ev_io_stop(link->loop->ev, &link->io);
	loop_call_cancel(&link->rearm);
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
		nbd_link_note_error(link);
	nbd_link_kick(link);
}
