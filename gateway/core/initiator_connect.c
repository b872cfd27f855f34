/*
 * From a name to a connected socket, without blocking: getaddrinfo() on a helper
 * thread, then one address after the other. Redirects (RFC 7143 §13.8) change where
 * an attempt goes.
 *
 * Called to open, and to recover. The helper thread sees struct resolver only, and
 * it is not touched here while the job is pending.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "initiator_private.h"

#define RESOLVER_BUSY_DELAY	1.0	/* seconds until we look again whether an old job has ended */

static void try_addresses(struct initiator *ini, int err);

static void stop_connecting(struct initiator *ini)
{
	ev_io_stop(ini->lu.loop->ev, &ini->connecting);
	ini->state = INITIATOR_DOWN;
}

void connect_cancel(struct initiator *ini)
{
	if (ini->state == INITIATOR_CONNECTING) {
		close(ini->connecting.fd);
		stop_connecting(ini);
	}
	if (!ini->resolver.pending && ini->resolver.found) {
		freeaddrinfo(ini->resolver.found);
		ini->resolver.found = NULL;
	}
	if (ini->state == INITIATOR_RESOLVING)
		ini->state = INITIATOR_DOWN;
}

static void fail(struct initiator *ini, const char *what, const char *why)
{
	char portal[ISCSI_PORTAL_TEXT], text[INITIATOR_WHY];

	snprintf(text, sizeof(text), "%s %s: %s", what,
		 iscsi_portal_format(&ini->resolver.portal, portal), why);
	connect_cancel(ini);
	recover_attempt_failed(ini, text);
}

static void on_connected(struct ev_loop *ev, struct ev_io *w, int events)
{
	struct initiator *ini = container_of(w, struct initiator, connecting);
	socklen_t len = sizeof(int);
	int err = 0, fd = w->fd;

	(void)ev;
	(void)events;
	assert(ini->state == INITIATOR_CONNECTING);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	stop_connecting(ini);
	if (err) {
		close(fd);
		ini->address = ini->address->ai_next;
		try_addresses(ini, err);
		return;
	}
	connect_cancel(ini);
	login_start(ini, fd);
}

/* A socket on its way to this address, or -1 with errno. */
static int start_socket(const struct addrinfo *to)
{
	int fd = socket(to->ai_family, to->ai_socktype, to->ai_protocol), saved;

	if (fd < 0)
		return -1;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0
	    && (connect(fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* "err" is what the address before this one said. */
static void try_addresses(struct initiator *ini, int err)
{
	int fd = -1;

	for (; ini->address; ini->address = ini->address->ai_next) {
		fd = start_socket(ini->address);
		if (fd >= 0)
			break;
		err = errno;
	}
	if (fd < 0) {
		fail(ini, "connect to", strerror(err));
		return;
	}
	ini->state = INITIATOR_CONNECTING;
	ev_io_init(&ini->connecting, on_connected, fd, EV_WRITE);
	ev_io_start(ini->lu.loop->ev, &ini->connecting);
}

static void on_deadline(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct initiator *ini = container_of(timer, struct initiator, phase);
	char text[64];

	(void)ev;
	(void)events;
	snprintf(text, sizeof(text), "no answer within %g s", ini->conf.login_timeout);
	switch (ini->state) {
	case INITIATOR_RESOLVING:
		fail(ini, "resolve", text);
		return;
	case INITIATOR_CONNECTING:
		fail(ini, "connect to", text);
		return;
	case INITIATOR_LOGIN:
		conn_fail(&ini->conn, "login timed out after %g s", ini->conf.login_timeout);
		return;
	case INITIATOR_DOWN:
	case INITIATOR_UP:
	case INITIATOR_LOGOUT:
		assert(!"the deadline is for these three");
	}
}

/* On a helper thread. */
static void resolve(struct offload_job *job)
{
	struct resolver *r = container_of(job, struct resolver, job);
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

	r->error = getaddrinfo(r->portal.host, r->portal.port, &hints, &r->found);
	if (r->error)
		r->found = NULL;
}

static void resolved(struct offload_job *job)
{
	struct initiator *ini = container_of(job, struct initiator, resolver.job);

	ini->resolver.pending = false;
	if (ini->state != INITIATOR_RESOLVING) {	/* nobody waits for it any more */
		connect_cancel(ini);
		if (ini->ending)
			initiator_end(ini);
		return;
	}
	ini->address = ini->resolver.found;
	if (!ini->address)
		fail(ini, "resolve", gai_strerror(ini->resolver.error));
	else
		try_addresses(ini, 0);
}

static void on_retry(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	connect_start(container_of(timer, struct initiator, phase));
}

void connect_start(struct initiator *ini)
{
	struct resolver *r = &ini->resolver;

	assert(ini->state == INITIATOR_DOWN && !ini->connected && !ini->ending);
	if (r->pending) {
		initiator_timer(ini, &ini->phase, on_retry, RESOLVER_BUSY_DELAY);
		return;
	}
	if (!ini->login.again)
		r->portal = ini->portals[ini->portal];
	ini->state = INITIATOR_RESOLVING;
	initiator_timer(ini, &ini->phase, on_deadline, ini->conf.login_timeout);
	r->pending = true;
	r->found = NULL;
	r->job.work = resolve;
	r->job.done = resolved;
	offload_run(ini->offload, ini->lu.loop, &r->job);
}

bool connect_redirect(struct initiator *ini, const char *address, bool permanent)
{
	struct iscsi_portal portal;
	char why[120];

	if (!iscsi_portal_parse(address, strcspn(address, ","), false, &portal, why, sizeof(why)))
		return false;
	assert(!ini->resolver.pending);
	ini->resolver.portal = portal;
	if (permanent)
		ini->portals[ini->portal] = portal;
	return true;
}

void connect_add_portal(struct initiator *ini, const struct iscsi_portal *portal)
{
	for (unsigned i = 0; i < ini->portal_count; i++)
		if (strcmp(ini->portals[i].host, portal->host) == 0
		    && strcmp(ini->portals[i].port, portal->port) == 0)
			return;
	if (ini->portal_count < PORTALS_MAX)
		ini->portals[ini->portal_count++] = *portal;
	ini->lu.paths = ini->portal_count;
}
