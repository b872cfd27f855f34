/*
 * NBD server connections: how they begin, receive, end, and are told to end. The
 * worker calls nbd_server_start() with each client's stream; the rest is driven by
 * struct conn and by the device. See nbd_conn.h for who owns what.
 */
#include "nbd_server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "nbd_conn.h"

/* How long a client in its handshake has to be told that the server is shutting down. */
#define SHUTDOWN_HANDSHAKE_SECONDS	1.0

/* How long a client whose export has gone has for its requests in flight. */
#define EVICTION_SECONDS		5.0

/* Lines about clients that were dropped: so many in so many seconds, and per worker. */
#define COMPLAINTS		10
#define COMPLAINTS_SECONDS	60.0

void nbd_limits_init(struct nbd_limits *limits)
{
	*limits = (struct nbd_limits){
		.handshake_timeout = 10,
		.max_payload = NBD_DEFAULT_MAX_PAYLOAD,
		.max_requests = 128,
		.max_bytes = 64u << 20,
	};
}

void nbd_receive(struct nbd_conn *c, void *where, size_t len, void (*arrived)(struct nbd_conn *))
{
	assert(!c->arrived);
	c->arrived = arrived;
	conn_expect(&c->conn, where, len);
}

void nbd_drain(struct nbd_conn *c, uint64_t len, void (*arrived)(struct nbd_conn *))
{
	assert(len > 0 && c->drain == 0 && !c->arrived);
	c->arrived = arrived;
	c->drain = len;
}

static void has_arrived(struct nbd_conn *c)
{
	void (*arrived)(struct nbd_conn *) = c->arrived;

	c->arrived = NULL;
	arrived(c);
}

static size_t on_parse(struct conn *conn, const uint8_t *p, size_t n)
{
	struct nbd_conn *c = container_of(conn, struct nbd_conn, conn);

	if (c->drain == 0)
		return c->parse(c, p, n);
	if (n > c->drain)
		n = (size_t)c->drain;
	c->drain -= n;
	if (c->drain == 0)
		has_arrived(c);
	return n;
}

static void on_filled(struct conn *conn)
{
	has_arrived(container_of(conn, struct nbd_conn, conn));
}

static bool has_evicted(const struct nbd_service *service)
{
	list_for_each(node, &service->connections)
		if (container_of(node, struct nbd_conn, node)->evicted)
			return true;
	return false;
}

static void tell_if_followed(struct nbd_service *service)
{
	if (!service->following || has_evicted(service))
		return;
	service->following = false;
	if (service->follows)
		service->follows(service);
}

static void conn_free(struct nbd_conn *c)
{
	struct nbd_service *service = c->service;

	assert(list_empty(&c->requests) && c->in_flight == 0 && c->bytes == 0);
	list_del(&c->node);
	free(c);
	nbd_guard_leave(service);
	tell_if_followed(service);
	if (list_empty(&service->connections) && service->idle)
		service->idle(service);
}

bool nbd_may_complain(struct nbd_service *service)
{
	return log_allowed(&service->complaints, loop_now(service->loop), COMPLAINTS,
			   COMPLAINTS_SECONDS);
}

/* Was it neither the client's wish nor ours? */
static bool worth_a_line(const struct nbd_conn *c)
{
	return !c->conn.peer_closed && !c->conn.draining && !c->service->shutting_down &&
	       nbd_may_complain(c->service);
}

static void on_closed(struct conn *conn, const char *why)
{
	struct nbd_conn *c = container_of(conn, struct nbd_conn, conn);

	if (worth_a_line(c))
		log_info("an NBD client is dropped: %s", why);
	ev_timer_stop(c->service->loop->ev, &c->deadline);
	nbd_handshake_drop(c);
	if (c->receiving)
		nbd_request_free(c->receiving);
	nbd_request_abort_all(c);
	conn_release(&c->conn);
	/* Only now: up to here a request that ended must not take the connection with it. */
	c->released = true;
	nbd_conn_settle(c);
}

static const struct conn_ops conn_ops = {
	.asked = true,
	.parse = on_parse, .filled = on_filled, .closed = on_closed,
};

/*
 * The back-pressure is lifted when half of the room is free, not with every request
 * that ends: then the next ones come in a batch again.
 */
static void unblock(struct nbd_conn *c)
{
	const struct nbd_limits *limits = c->service->limits;

	if (!c->blocked || c->in_flight > limits->max_requests / 2 ||
	    c->bytes > limits->max_bytes / 2)
		return;
	c->blocked = false;
	conn_resume(&c->conn);
}

bool nbd_conn_is_ending(const struct nbd_conn *c)
{
	return c->service->shutting_down || c->evicted;
}

void nbd_conn_settle(struct nbd_conn *c)
{
	if (c->released) {
		if (c->in_flight == 0)
			conn_free(c);
	} else if (c->leaving || nbd_conn_is_ending(c)) {
		if (c->in_flight == 0)
			conn_finish(&c->conn, c->leaving ? "the client has disconnected" :
				    c->evicted ? "its export is not served to it any more" :
				    "the server is shutting down");
		else if (!c->leaving)
			unblock(c);	/* what waits is to be refused, not ignored */
	} else {
		unblock(c);
	}
}

static void on_deadline(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct nbd_conn *c = container_of(timer, struct nbd_conn, deadline);

	(void)ev;
	(void)events;
	conn_fail(&c->conn, c->evicted ? "its export is not served to it any more"
				       : "it has not chosen an export in time");
}

void nbd_server_start(struct nbd_service *service, struct stream *stream, uint16_t door)
{
	struct nbd_conn *c;
	double timeout = service->limits->handshake_timeout;

	assert(loop_is_mine(service->loop));
	assert(service->limits->max_requests > 0 && service->limits->max_payload > 0);
	if (!nbd_guard_enter(service)) {
		stream->ops->close(stream);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		log_warning("no memory for an NBD connection");
		nbd_guard_leave(service);
		stream->ops->close(stream);
		return;
	}
	c->service = service;
	c->door = door;
	list_init(&c->requests);
	list_add_tail(&service->connections, &c->node);
	ev_timer_init(&c->deadline, on_deadline, timeout, 0);
	if (timeout > 0)
		ev_timer_start(service->loop->ev, &c->deadline);
	conn_init(&c->conn, service->loop, stream, &conn_ops);
	nbd_handshake_start(c);
}

bool nbd_conn_in_transmission(const struct nbd_conn *c)
{
	return c->parse == nbd_request_parse;
}

/* The export of that name now; NULL: there is none, or not the one that this client knows. */
static const struct nbd_export *same_now(const struct nbd_conn *c, const struct nbd_export *before)
{
	const struct nbd_export *now = before ? nbd_exports_find(c->service->exports, before->name,
								 strlen(before->name)) : NULL;

	if (!now || now->export != before->export || now->read_only != before->read_only ||
	    !nbd_export_is_shown(c, now))
		return NULL;
	return now;
}

static void evict(struct nbd_conn *c)
{
	struct ev_loop *ev = c->service->loop->ev;

	c->evicted = true;
	ev_timer_set(&c->deadline, EVICTION_SECONDS, 0);
	ev_timer_start(ev, &c->deadline);
	nbd_conn_settle(c);
}

/* A client that chose before keeps what it has, or goes; others choose among what is there now. */
static void follow(struct nbd_conn *c)
{
	if (c->released) {
		/* Its requests are still at the device. */
		c->evicted = true;
		c->offer.export = NULL;
		return;
	}
	c->terms.context_export = same_now(c, c->terms.context_export);
	c->offer.export = same_now(c, c->offer.export);
	if (nbd_conn_in_transmission(c) && !c->offer.export && !c->evicted)
		evict(c);
	nbd_handshake_follow(c);
}

void nbd_server_follow(struct nbd_service *service, struct nbd_exports *exports)
{
	struct nbd_exports *before = service->exports;

	assert(loop_is_mine(service->loop) && !service->following);
	service->exports = exports ? nbd_exports_hold(exports) : NULL;
	if (exports)
		list_for_each(node, &service->connections)
			follow(container_of(node, struct nbd_conn, node));
	nbd_exports_drop(before);
	service->following = true;
	tell_if_followed(service);
}

void nbd_server_shutdown(struct nbd_service *service)
{
	struct ev_loop *ev = service->loop->ev;

	service->shutting_down = true;
	list_for_each(node, &service->connections) {
		struct nbd_conn *c = container_of(node, struct nbd_conn, node);

		if (c->released) {
			continue;
		} else if (nbd_conn_in_transmission(c)) {
			nbd_conn_settle(c);
		} else {
			ev_timer_stop(ev, &c->deadline);
			ev_timer_set(&c->deadline, SHUTDOWN_HANDSHAKE_SECONDS, 0);
			ev_timer_start(ev, &c->deadline);
		}
	}
}

void nbd_server_abort(struct nbd_service *service)
{
	list_for_each(node, &service->connections) {
		struct nbd_conn *c = container_of(node, struct nbd_conn, node);

		if (!c->released)
			conn_fail(&c->conn, "the server has stopped");
	}
}
