/*
 * A connection's life: it dies once, for one reason, and may change its stream or its
 * loop before.
 *
 * Called by the protocols (nbd_server, target, initiator), which embed struct conn
 * in their own connection object. Owns the stream; borrows what is sent and what
 * is received into. Receiving is conn_receive.c, sending conn_send.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn_private.h"
#include "log.h"
#include "stream.h"

static void on_teardown(struct loop_call *call)
{
	struct conn *c = container_of(call, struct conn, teardown);

	conn_fail_queued(c);
	/* The peer learns of the end now, even if the owner still waits for something
	 * before it releases the connection. */
	c->stream->ops->shut_writes(c->stream);
	c->closed = true;
	c->ops->closed(c, c->why);
}

static void die(struct conn *c)
{
	assert(!c->dead);
	c->dead = true;
	conn_receive_stop(c);
	conn_send_stop(c);
	loop_defer(c->loop, &c->teardown);
	log_trace(iscsi_debug_conn, "connection %d: end: %s", c->stream->fd, c->why);
}

void conn_init(struct conn *c, struct loop *loop, struct stream *stream, const struct conn_ops *ops)
{
	assert(loop_is_mine(loop));
	memset(c, 0, sizeof(*c));
	c->ops = ops;
	c->loop = loop;
	c->stream = stream;
	loop_call_init(&c->teardown, on_teardown);
	conn_send_init(c);
	conn_receive_init(c);
}

void conn_release(struct conn *c)
{
	assert(c->closed);
	conn_send_stop(c);
	conn_fail_queued(c);
	conn_drop_unread(c);
	c->stream->ops->close(c->stream);
	c->stream = NULL;
}

void conn_fail(struct conn *c, const char *fmt, ...)
{
	va_list args;

	if (c->dead)
		return;
	if (!c->draining) {
		va_start(args, fmt);
		vsnprintf(c->why, sizeof(c->why), fmt, args);
		va_end(args);
	}
	die(c);
}

void conn_stream_failed(struct conn *c, const char *doing, int err)
{
	/* A peer that is gone without a word has closed, too. */
	c->peer_closed = err == EPIPE || err == ECONNRESET;
	if (c->stream->why)
		conn_fail(c, "%s", c->stream->why);
	else
		conn_fail(c, "%s: %s", doing, strerror(err));
}

void conn_finish(struct conn *c, const char *why)
{
	if (c->dead || c->draining)
		return;
	c->draining = true;
	snprintf(c->why, sizeof(c->why), "%s", why);
	conn_receive_stop(c);
	loop_flush(c->loop, &c->flush);
}

/* Closing a socket with unread bytes would reset the connection, and the reset overtakes our
 * last words: so what is there is read first. */
void conn_drained(struct conn *c)
{
	c->stream->ops->shut_writes(c->stream);
	conn_discard(c);
	die(c);
}

bool conn_switch(struct conn *c, struct stream *over)
{
	assert(!c->dead && list_empty(&c->out) && !c->into);
	if (c->stash)
		return false;
	ev_io_stop(c->loop->ev, &c->readable);
	ev_io_stop(c->loop->ev, &c->writable);
	c->stream = over;
	ev_io_set(&c->readable, over->fd, EV_READ);
	ev_io_set(&c->writable, over->write_fd, EV_WRITE);
	if (conn_is_receiving(c))
		loop_defer(c->loop, &c->resume);
	return true;
}

struct stream *conn_detach(struct conn *c, uint8_t **unread, size_t *len)
{
	struct stream *stream = c->stream;

	assert(c->paused && !c->dead && !c->draining && list_empty(&c->out) && !c->into);
	*len = c->stash_len - c->stash_used;
	*unread = *len ? malloc(*len) : NULL;
	if (*len && !*unread)
		return NULL;
	if (*len)
		memcpy(*unread, c->stash + c->stash_used, *len);
	conn_drop_unread(c);
	conn_receive_stop(c);
	conn_send_stop(c);
	c->stream = NULL;
	return stream;
}
