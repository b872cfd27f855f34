/*
 * Requests to an NBD server (NBD proto.md, "Transmission"), over a struct conn; the replies
 * are nbd_pipe_reply.c's. See nbd_pipe.h for why this is not left to libnbd.
 */
#include <assert.h>
#include <stdlib.h>

#include "nbd_pipe_private.h"
#include "stream.h"

static void slot_sent(struct conn_out *out, bool ok)
{
	struct nbd_pipe_slot *slot = container_of(out, struct nbd_pipe_slot, out);

	(void)ok;	/* the end of the connection is told by closed() */
	slot->unsent = false;
	nbd_pipe_slot_put(slot);
}

void nbd_pipe_send(struct nbd_pipe *pipe, struct nbd_pipe_call *call)
{
	struct list *node = list_pop(&pipe->idle);
	struct nbd_pipe_slot *slot = container_of(node, struct nbd_pipe_slot, node);
	struct nbd_request_header header = {
		.magic = NBD_REQUEST_MAGIC, .flags = call->flags, .type = (uint16_t)call->command,
		.offset = call->offset, .length = call->length,
	};

	assert(node && !slot->call && !slot->unsent && !pipe->closed);
	/* A late reply to the slot's last request is recognised as such. */
	slot->cookie = ++pipe->sent * NBD_PIPE_CALLS + (uint64_t)(slot - pipe->slots);
	header.cookie = slot->cookie;
	slot->call = call;
	slot->unsent = true;
	call->error = 0;
	slot->out.count = 1;
	slot->out.iov[0] = (struct iovec){
		slot->wire, nbd_encode(&nbd_compact_request_layout, &header, slot->wire)
	};
	if (call->command == NBD_CMD_WRITE)
		slot->out.iov[slot->out.count++] = (struct iovec){ call->data, call->length };
	conn_send(&pipe->conn, &slot->out);
}

static void release(struct nbd_pipe *pipe)
{
	conn_release(&pipe->conn);
	free(pipe);
}

static void on_closed(struct conn *conn, const char *why)
{
	struct nbd_pipe *pipe = nbd_pipe_of(conn);

	pipe->ended = true;
	if (pipe->closed)
		release(pipe);
	else
		pipe->lost(pipe->opaque, why);
}

static const struct conn_ops conn_ops = {
	.parse = nbd_pipe_parse,
	.filled = nbd_pipe_filled,
	.closed = on_closed,
};

struct nbd_pipe *nbd_pipe_open(struct loop *loop, int fd, bool structured,
			       void (*lost)(void *opaque, const char *why), void *opaque)
{
	struct nbd_pipe *pipe = calloc(1, sizeof(*pipe));
	struct stream *stream = pipe ? stream_socket(fd) : NULL;

	if (!stream) {
		free(pipe);
		return NULL;
	}
	pipe->structured = structured;
	pipe->lost = lost;
	pipe->opaque = opaque;
	list_init(&pipe->idle);
	for (unsigned i = 0; i < NBD_PIPE_CALLS; i++) {
		struct nbd_pipe_slot *slot = &pipe->slots[i];

		slot->pipe = pipe;
		slot->out.sent = slot_sent;
		list_add_tail(&pipe->idle, &slot->node);
	}
	conn_init(&pipe->conn, loop, stream, &conn_ops);
	return pipe;
}

/* The few bytes of a farewell go out at once or not at all: nobody waits for it. */
static void take_leave(struct nbd_pipe *pipe)
{
	const struct nbd_request_header header = {
		.magic = NBD_REQUEST_MAGIC, .type = NBD_CMD_DISC,
	};
	struct stream *stream = pipe->conn.stream;
	uint8_t wire[NBD_PIPE_REQUEST_LEN];
	struct iovec iov = { wire, nbd_encode(&nbd_compact_request_layout, &header, wire) };

	if (!pipe->conn.dead && list_empty(&pipe->conn.out))
		stream->ops->send(stream, &iov, 1);
}

void nbd_pipe_close(struct nbd_pipe *pipe)
{
	assert(!pipe->closed);
	pipe->closed = true;
	take_leave(pipe);
	for (unsigned i = 0; i < NBD_PIPE_CALLS; i++)
		if (pipe->slots[i].call)
			nbd_pipe_end_call(&pipe->slots[i], false);
	if (pipe->ended)
		release(pipe);
	else
		conn_fail(&pipe->conn, "closed by us");
}
