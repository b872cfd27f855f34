/*
 * Sending: what was queued during a loop turn leaves in one call, and the owners of the
 * bytes are told.
 */
#include <assert.h>
#include <errno.h>

#include "conn_private.h"
#include "stream.h"

/* A peer that takes what it is sent as fast as we can send must not keep the loop from the
 * others. The batch is what one sendmsg gathers; the kernel takes 1024. */
#define SEND_CALLS_PER_WAKEUP	16
#define SEND_BATCH		256

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
		conn_stream_failed(c, "send", errno);
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
		conn_drained(c);
}

static void on_writable(struct ev_loop *ev, struct ev_io *w, int events)
{
	(void)ev;
	(void)events;
	send_queued(container_of(w, struct conn, writable));
}

void conn_fail_queued(struct conn *c)
{
	struct list *node;

	assert(c->dead);
	c->out_first = c->out_bytes = 0;
	while ((node = list_pop(&c->out))) {
		struct conn_out *out = container_of(node, struct conn_out, node);

		out->sent(out, false);
	}
}

static void on_flush(struct loop_call *call)
{
	struct conn *c = container_of(call, struct conn, flush);

	if (c->dead)
		conn_fail_queued(c);	/* queued after the end */
	else if (!ev_is_active(&c->writable))
		send_queued(c);		/* otherwise the socket is full, and says when it is not */
}

void conn_send_init(struct conn *c)
{
	list_init(&c->out);
	loop_call_init(&c->flush, on_flush);
	ev_io_init(&c->writable, on_writable, c->stream->write_fd, EV_WRITE);
}

void conn_send_stop(struct conn *c)
{
	ev_io_stop(c->loop->ev, &c->writable);
	loop_call_cancel(&c->flush);
}

void conn_send(struct conn *c, struct conn_out *out)
{
	assert(out->count > 0 && out->count <= CONN_OUT_IOV && out->sent);
	assert(out_len(out) > 0);
	list_add_tail(&c->out, &out->node);
	c->out_bytes += out_len(out);
	loop_flush(c->loop, &c->flush);
}
