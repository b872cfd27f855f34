/*
 * Receiving: many small messages out of one receive, large payloads straight into place.
 *
 * Bytes go through the loop's scratch buffer. A connection holds memory of its own (the
 * stash, from the pool) only while a message is there in part, or while it is paused.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "conn_private.h"
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

/*
 * Behind a payload of this size another one is likely. Whatever is received ahead of
 * its own header has to be copied into place, so then only a little is read ahead:
 * enough for the next headers, and the payload itself goes where it belongs.
 */
#define BULK_PAYLOAD		(32u << 10)
#define BULK_READ_AHEAD		(8u << 10)

void conn_drop_unread(struct conn *c)
{
	if (!c->stash)
		return;
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

	while (used < n && conn_is_receiving(c)) {
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
		conn_drop_unread(c);
}

/* Put the beginning of a message, which parse() has seen, in front of what is received next. */
static size_t unstash(struct conn *c, uint8_t *to)
{
	size_t n = c->stash_len - c->stash_used;

	if (!c->stash)
		return 0;
	assert(!c->into);
	memcpy(to, c->stash + c->stash_used, n);
	conn_drop_unread(c);
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

static void received_nothing(struct conn *c, ssize_t result, int err, size_t old)
{
	if (result < 0 && err != EAGAIN && err != EWOULDBLOCK) {
		conn_stream_failed(c, "receive", err);
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
		if (n == 0 || !conn_is_receiving(c))
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
	assert(conn_is_receiving(c));
	if (c->ops->asked)
		loop_late(c->loop, &c->late);
	else
		receive(c);
}

static void on_late(struct loop_call *call)
{
	struct conn *c = container_of(call, struct conn, late);

	if (conn_is_receiving(c) && ev_is_active(&c->readable))
		receive(c);
}

/* Go on with receiving: what waits here first, then the stream. */
static void on_resume(struct loop_call *call)
{
	struct conn *c = container_of(call, struct conn, resume);

	if (!conn_is_receiving(c))
		return;
	deliver_stash(c);
	if (!conn_is_receiving(c))
		return;
	ev_io_start(c->loop->ev, &c->readable);
	if (c->stream->ops->pending(c->stream))
		receive(c);
}

void conn_receive_init(struct conn *c)
{
	loop_call_init(&c->resume, on_resume);
	loop_call_init(&c->late, on_late);
	ev_io_init(&c->readable, on_readable, c->stream->fd, EV_READ);
	loop_defer(c->loop, &c->resume);
}

void conn_receive_stop(struct conn *c)
{
	ev_io_stop(c->loop->ev, &c->readable);
	loop_call_cancel(&c->resume);
	loop_call_cancel(&c->late);
}

void conn_expect(struct conn *c, void *where, size_t len)
{
	assert(len > 0 && !c->into);
	c->into = where;
	c->into_len = len;
	c->bulk = len >= BULK_PAYLOAD;
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
	if (conn_is_receiving(c))
		loop_defer(c->loop, &c->resume);
}

void conn_preload(struct conn *c, const uint8_t *bytes, size_t len)
{
	keep_rest(c, bytes, len);
}

void conn_discard(struct conn *c)
{
	struct iovec iov = { c->loop->scratch, LOOP_SCRATCH_LEN };

	for (int calls = 0; calls < RECV_CALLS_PER_WAKEUP; calls++)
		if (c->stream->ops->recv(c->stream, &iov, 1) <= 0)
			break;
}
