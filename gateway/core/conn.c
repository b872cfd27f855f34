/*
 * One connection: receiving into place, sending once per turn, dying once.
 *
 * Called by the protocols (nbd_server, target, initiator), which embed struct conn
 * in their own connection object. Owns the stream; borrows what is sent and what
 * is received into.
 */
#include "conn.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pool.h"
#include "stream.h"

/*
 * One peer that sends as fast as we can read must not keep the loop from the
 * others: after this much the rest waits in the kernel for the next turn.
 */
#define RECV_CALLS_PER_WAKEUP	8
#define RECV_BYTES_PER_WAKEUP	(1u << 20)

/*
 * Small messages are copied from the scratch buffer into buffers of their own, from which
 * they are sent on. So much at a time (32 requests of 4 KiB, say, with their headers)
 * stays in the cache all the way; beyond that, fewer calls cost more than they save.
 */
#define RECV_BATCH		(32u * (4096u + 128u))

/* The same for sending. The batch is what one sendmsg gathers; the kernel takes 1024. */
#define SEND_CALLS_PER_WAKEUP	16
#define SEND_BATCH		256

/*
 * Behind a payload of this size another one is likely. Whatever is received ahead of
 * its own header has to be copied into place, so then only a little is read ahead:
 * enough for the next headers, and the payload itself goes where it belongs.
 */
#define BULK_PAYLOAD		(32u << 10)
#define BULK_READ_AHEAD		(8u << 10)

static bool receiving(const struct conn *c)
{
	return !c->dead && !c->draining && !c->paused;
}

static void drop_stash(struct conn *c)
{
	pool_put(c->loop->pool, c->stash, c->stash_len);
	c->stash = NULL;
	c->stash_len = c->stash_used = 0;
}

/* Keep what parse() has left until more arrives, or until it may go on. */
static void keep_rest(struct conn *c, const uint8_t *p, size_t n)
{
	assert(!c->stash);
	if (n == 0 || c->dead || c->draining)
		return;
	c->stash = pool_get(c->loop->pool, n);
	if (!c->stash) {
		conn_fail(c, "no memory for %zu bytes received", n);
		return;
	}
	memcpy(c->stash, p, n);
	c->stash_len = n;
	c->stash_used = 0;
}

/* "n" bytes have arrived at c->into. */
static void advance_into(struct conn *c, size_t n)
{
	assert(n <= c->into_len);
	c->into += n;
	c->into_len -= n;
	if (c->into_len == 0) {
		c->into = NULL;
		c->ops->filled(c);
	}
}

/* Show the bytes to parse() and put those it expects into place, as far as it goes.
 * How many were used up. */
static size_t deliver(struct conn *c, const uint8_t *p, size_t n)
{
	size_t used = 0;

	while (used < n && receiving(c)) {
		size_t step;

		if (c->into) {
			step = n - used < c->into_len ? n - used : c->into_len;
			memcpy(c->into, p + used, step);
			used += step;
			advance_into(c, step);
			continue;
		}
		step = c->ops->parse(c, p + used, n - used);
		assert(step <= n - used);
		used += step;
		if (step == 0 && !c->into)
			break;
	}
	return used;
}

static void deliver_stash(struct conn *c)
{
	if (!c->stash)
		return;
	c->stash_used += deliver(c, c->stash + c->stash_used, c->stash_len - c->stash_used);
	if (c->stash_used == c->stash_len)
		drop_stash(c);
}

/* Put the beginning of a message, which parse() has seen, in front of what is received next. */
static size_t unstash(struct conn *c, uint8_t *to)
{
	size_t n = c->stash_len - c->stash_used;

	if (!c->stash)
		return 0;
	assert(!c->into);
	memcpy(to, c->stash + c->stash_used, n);
	drop_stash(c);
	return n;
}

/* What has come: "into" bytes in place, the rest in scratch behind "old" bytes that were there. */
static void received(struct conn *c, size_t n, size_t old)
{
	uint8_t *scratch = c->loop->scratch;
	size_t in_place = n < c->into_len ? n : c->into_len;
	size_t rest = old + n - in_place;
	size_t used;

	c->bytes_in += n;
	if (in_place)
		advance_into(c, in_place);
	used = deliver(c, scratch, rest);
	keep_rest(c, scratch + used, rest - used);
}

/* The stream has failed with "err". */
static void stream_failed(struct conn *c, const char *doing, int err)
{
	/* A peer that is gone without a word has closed, too. */
	c->peer_closed = err == EPIPE || err == ECONNRESET;
	if (c->stream->why)
		conn_fail(c, "%s", c->stream->why);
	else
		conn_fail(c, "%s: %s", doing, strerror(err));
}

static void received_nothing(struct conn *c, ssize_t result, int err, size_t old)
{
	if (result < 0 && err != EAGAIN && err != EWOULDBLOCK) {
		stream_failed(c, "receive", err);
	} else if (result < 0) {
		keep_rest(c, c->loop->scratch, old);
		if (c->stream->unsent)
			ev_io_start(c->loop->ev, &c->writable);
	} else {
		c->peer_closed = true;
		conn_fail(c, old || c->into ? "closed by the peer in the middle of a message"
					    : "closed by the peer");
	}
}

/* One receive. How many bytes; 0 when there is no more. "full" = all that was asked for came. */
static size_t receive_once(struct conn *c, bool *full)
{
	uint8_t *scratch = c->loop->scratch;
	size_t old = unstash(c, scratch);
	size_t room = LOOP_SCRATCH_LEN - old, batch = c->bulk ? BULK_READ_AHEAD : RECV_BATCH;
	struct iovec iov[2];
	int count = 0;
	size_t asked;
	ssize_t n;

	if (room == 0) {
		conn_fail(c, "a message of more than %u bytes", LOOP_SCRATCH_LEN);
		return 0;
	}
	if (room > batch)
		room = batch;
	asked = c->into_len + room;
	if (c->into)
		iov[count++] = (struct iovec){ c->into, c->into_len };
	iov[count++] = (struct iovec){ scratch + old, room };
	n = c->stream->ops->recv(c->stream, iov, count);
	if (n <= 0) {
		received_nothing(c, n, errno, old);
		return 0;
	}
	*full = (size_t)n == asked;
	received(c, (size_t)n, old);
	return (size_t)n;
}

/*
 * A short receive means that a plain socket is empty, so that no system call is spent
 * on hearing EAGAIN; a stream that holds bytes of its own says so by pending().
 */
static void receive(struct conn *c)
{
	size_t total = 0;

	for (int calls = 0; calls < RECV_CALLS_PER_WAKEUP; calls++) {
		bool full = false;
		size_t n = receive_once(c, &full);

		total += n;
		if (n == 0 || !receiving(c))
			return;
		if (!full && !c->stream->ops->pending(c->stream))
			return;
		if (total >= (c->bulk ? RECV_BYTES_PER_WAKEUP : RECV_BATCH))
			break;
	}
	/* poll() does not know of what the stream holds itself. */
	if (c->stream->ops->pending(c->stream))
		loop_defer(c->loop, &c->resume);
}

static void on_readable(struct ev_loop *ev, struct ev_io *w, int events)
{
	struct conn *c = container_of(w, struct conn, readable);

	(void)ev;
	(void)events;
	assert(receiving(c));
	if (c->ops->asked)
		loop_late(c->loop, &c->late);
	else
		receive(c);
}

static void on_late(struct loop_call *call)
{
	struct conn *c = container_of(call, struct conn, late);

	if (receiving(c) && ev_is_active(&c->readable))
		receive(c);
}

/* Go on with receiving: what waits here first, then the stream. */
static void on_resume(struct loop_call *call)
{
	struct conn *c = container_of(call, struct conn, resume);

	if (!receiving(c))
		return;
	deliver_stash(c);
	if (!receiving(c))
		return;
	ev_io_start(c->loop->ev, &c->readable);
	if (c->stream->ops->pending(c->stream))
		receive(c);
}

static void fail_queued(struct conn *c)
{
	struct list *node;

	assert(c->dead);
	c->out_first = c->out_bytes = 0;
	while ((node = list_pop(&c->out))) {
		struct conn_out *out = container_of(node, struct conn_out, node);

		out->sent(out, false);
	}
}

static void on_teardown(struct loop_call *call)
{
	struct conn *c = container_of(call, struct conn, teardown);

	fail_queued(c);
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
	ev_io_stop(c->loop->ev, &c->readable);
	ev_io_stop(c->loop->ev, &c->writable);
	loop_call_cancel(&c->flush);
	loop_call_cancel(&c->resume);
	loop_call_cancel(&c->late);
	loop_defer(c->loop, &c->teardown);
	log_trace(iscsi_debug_conn, "connection %d: end: %s", c->stream->fd, c->why);
}

/* Everything is sent. Closing a socket with unread bytes would reset the connection, and the
 * reset overtakes our last words: so what is there is read, within bounds, and thrown away. */
static void drained(struct conn *c)
{
	struct iovec iov = { c->loop->scratch, LOOP_SCRATCH_LEN };

	c->stream->ops->shut_writes(c->stream);
	for (int calls = 0; calls < RECV_CALLS_PER_WAKEUP; calls++)
		if (c->stream->ops->recv(c->stream, &iov, 1) <= 0)
			break;
	die(c);
}

/* Gather what is queued, but for what has left already. How many slices, and their bytes. */
static int gather(const struct conn *c, struct iovec *iov, size_t *bytes)
{
	size_t skip = c->out_first;
	int count = 0;

	*bytes = 0;
	list_for_each(node, &c->out) {
		const struct conn_out *out = container_of(node, struct conn_out, node);

		for (int i = 0; i < out->count; i++) {
			size_t len = out->iov[i].iov_len;

			if (len <= skip) {
				skip -= len;
				continue;
			}
			if (count == SEND_BATCH)
				return count;
			iov[count++] = (struct iovec){
				(uint8_t *)out->iov[i].iov_base + skip, len - skip
			};
			*bytes += len - skip;
			skip = 0;
		}
	}
	return count;
}

static size_t out_len(const struct conn_out *out)
{
	size_t len = 0;

	for (int i = 0; i < out->count; i++)
		len += out->iov[i].iov_len;
	return len;
}

/* "n" bytes have left: tell those that are through. Any of them may queue more, or fail us. */
static void account_sent(struct conn *c, size_t n)
{
	c->bytes_out += n;
	c->out_bytes -= n;
	c->out_first += n;
	while (!c->dead && !list_empty(&c->out)) {
		struct conn_out *out = container_of(c->out.next, struct conn_out, node);
		size_t len = out_len(out);

		if (c->out_first < len)
			return;
		c->out_first -= len;
		list_del(&out->node);
		out->sent(out, true);
	}
	assert(c->dead || c->out_first == 0);
}

/* True when there may be room for more. */
static bool send_once(struct conn *c)
{
	struct iovec iov[SEND_BATCH];
	size_t bytes;
	int count = gather(c, iov, &bytes);
	ssize_t n = c->stream->ops->send(c->stream, iov, count);

	if (n >= 0) {
		assert((size_t)n <= bytes);
		account_sent(c, (size_t)n);
		return true;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		stream_failed(c, "send", errno);
	return false;
}

static bool has_to_send(const struct conn *c)
{
	return !list_empty(&c->out) || c->stream->unsent;
}

static void send_queued(struct conn *c)
{
	for (int calls = 0; calls < SEND_CALLS_PER_WAKEUP && has_to_send(c); calls++)
		if (!send_once(c) || c->dead)
			break;
	if (c->dead)
		return;
	if (has_to_send(c)) {
		ev_io_start(c->loop->ev, &c->writable);
		return;
	}
	ev_io_stop(c->loop->ev, &c->writable);
	if (c->draining)
		drained(c);
}

static void on_writable(struct ev_loop *ev, struct ev_io *w, int events)
{
	(void)ev;
	(void)events;
	send_queued(container_of(w, struct conn, writable));
}

static void on_flush(struct loop_call *call)
{
	struct conn *c = container_of(call, struct conn, flush);

	if (c->dead)
		fail_queued(c);		/* queued after the end */
	else if (!ev_is_active(&c->writable))
		send_queued(c);		/* otherwise the socket is full, and says when it is not */
}

void conn_init(struct conn *c, struct loop *loop, struct stream *stream, const struct conn_ops *ops)
{
	assert(loop_is_mine(loop));
	memset(c, 0, sizeof(*c));
	c->ops = ops;
	c->loop = loop;
	c->stream = stream;
	list_init(&c->out);
	loop_call_init(&c->flush, on_flush);
	loop_call_init(&c->teardown, on_teardown);
	loop_call_init(&c->resume, on_resume);
	loop_call_init(&c->late, on_late);
	ev_io_init(&c->readable, on_readable, stream->fd, EV_READ);
	ev_io_init(&c->writable, on_writable, stream->write_fd, EV_WRITE);
	loop_defer(loop, &c->resume);
}

void conn_release(struct conn *c)
{
	assert(c->closed);
	loop_call_cancel(&c->flush);
	fail_queued(c);
	if (c->stash)
		drop_stash(c);
	c->stream->ops->close(c->stream);
	c->stream = NULL;
}

void conn_expect(struct conn *c, void *where, size_t len)
{
	assert(len > 0 && !c->into);
	c->into = where;
	c->into_len = len;
	c->bulk = len >= BULK_PAYLOAD;
}

void conn_send(struct conn *c, struct conn_out *out)
{
	assert(out->count > 0 && out->count <= CONN_OUT_IOV && out->sent);
	assert(out_len(out) > 0);
	list_add_tail(&c->out, &out->node);
	c->out_bytes += out_len(out);
	loop_flush(c->loop, &c->flush);
}

void conn_pause(struct conn *c)
{
	c->paused = true;
	ev_io_stop(c->loop->ev, &c->readable);
}

void conn_resume(struct conn *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	if (receiving(c))
		loop_defer(c->loop, &c->resume);
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

void conn_finish(struct conn *c, const char *why)
{
	if (c->dead || c->draining)
		return;
	c->draining = true;
	snprintf(c->why, sizeof(c->why), "%s", why);
	ev_io_stop(c->loop->ev, &c->readable);
	loop_call_cancel(&c->resume);
	loop_flush(c->loop, &c->flush);
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
	if (receiving(c))
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
	if (c->stash)
		drop_stash(c);
	ev_io_stop(c->loop->ev, &c->readable);
	ev_io_stop(c->loop->ev, &c->writable);
	loop_call_cancel(&c->flush);
	loop_call_cancel(&c->resume);
	c->stream = NULL;
	return stream;
}

void conn_preload(struct conn *c, const uint8_t *bytes, size_t len)
{
	keep_rest(c, bytes, len);
}
