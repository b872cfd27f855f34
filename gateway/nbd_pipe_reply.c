/*
 * Replies of an NBD server (NBD proto.md, "Transmission"): each is of a request that we have
 * sent, and says no more than was asked for, or the connection ends.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "errmap.h"
#include "field.h"
#include "log.h"
#include "nbd_pipe_private.h"

#define ERROR_TYPE	0x8000	/* bit 15 of a chunk's type */
#define DESCRIPTOR_LEN	8	/* length, flags */
/* Text and offset of an error: more than proto.md lets a server send. */
#define MAX_ERROR_LEN	(2 * NBD_MAX_STRING)

/* The chunk that pipe->receiving got is whole. */
static void end_chunk(struct nbd_pipe *pipe)
{
	struct nbd_pipe_slot *slot = pipe->receiving;

	pipe->state = RX_REPLY;
	pipe->receiving = NULL;
	if (pipe->last)
		nbd_pipe_end_call(slot, true);
}

static void fail_call(struct nbd_pipe *pipe, int error)
{
	struct nbd_pipe_call *call = pipe->receiving->call;

	if (!call->error)
		call->error = error;
}

void nbd_pipe_filled(struct conn *conn)
{
	struct nbd_pipe *pipe = nbd_pipe_of(conn);
	struct nbd_pipe_call *call = pipe->receiving->call;

	assert(pipe->state == RX_DATA);
	call->events->chunk(call, pipe->offset, pipe->left);
	end_chunk(pipe);
}

static bool within(const struct nbd_pipe_call *call, uint64_t offset, uint64_t length)
{
	return offset >= call->offset && length <= call->length &&
	       offset - call->offset <= call->length - length;
}

/* "length" bytes of a read come next, which belong at "offset". */
static void expect_data(struct nbd_pipe *pipe, uint64_t offset, uint32_t length)
{
	const struct nbd_pipe_call *call = pipe->receiving->call;

	if (call->command != NBD_CMD_READ || length == 0 || !within(call, offset, length)) {
		conn_fail(&pipe->conn, "data that was not asked for");
		return;
	}
	pipe->state = RX_DATA;
	pipe->offset = offset;
	pipe->left = length;
	conn_expect(&pipe->conn, call->data + (offset - call->offset), length);
}

static void got_hole(struct nbd_pipe *pipe, const struct nbd_chunk_head *head)
{
	struct nbd_pipe_call *call = pipe->receiving->call;

	if (call->command != NBD_CMD_READ || head->hole_size == 0 ||
	    !within(call, head->offset, head->hole_size)) {
		conn_fail(&pipe->conn, "a hole that was not asked for");
		return;
	}
	memset(call->data + (head->offset - call->offset), 0, head->hole_size);
	call->events->chunk(call, head->offset, head->hole_size);
	end_chunk(pipe);
}

/* Descriptors come next. There is one context that was asked for, so it must be that. */
static void expect_extents(struct nbd_pipe *pipe, uint32_t length)
{
	if (pipe->receiving->call->command != NBD_CMD_BLOCK_STATUS) {
		conn_fail(&pipe->conn, "a block status that was not asked for");
		return;
	}
	pipe->state = RX_EXTENTS;
	pipe->left = length;
}

/* The payload of an error chunk, whole; of types that are not known, only the number is. */
static void got_error(struct nbd_pipe *pipe, uint16_t type, const uint8_t *p, uint32_t length)
{
	struct nbd_pipe_call *call = pipe->receiving->call;
	struct nbd_chunk_head head;
	uint32_t used;

	nbd_decode(&nbd_chunk_error_layout, p, &head, sizeof(head));
	used = nbd_chunk_error_layout.len + head.message_len;
	if (used + (type == NBD_REPLY_TYPE_ERROR_OFFSET ? 8 : 0) > length) {
		conn_fail(&pipe->conn, "an error chunk that is too short");
		return;
	}
	log_trace(iscsi_debug_nbd, "the server says: error %u: %.*s", head.error,
		  (int)head.message_len, (const char *)p + nbd_chunk_error_layout.len);
	fail_call(pipe, head.error ? errmap_from_nbd(head.error) : errmap_from_nbd(NBD_EINVAL));
	if (type == NBD_REPLY_TYPE_ERROR_OFFSET)
		call->events->failed_at(call, get_be64(p + used));
	end_chunk(pipe);
}

/* The request that a reply is to; NULL after conn_fail(). */
static struct nbd_pipe_slot *find(struct nbd_pipe *pipe, uint64_t cookie)
{
	struct nbd_pipe_slot *slot = &pipe->slots[cookie % NBD_PIPE_CALLS];

	if (slot->call && slot->cookie == cookie && !slot->unsent)
		return slot;
	conn_fail(&pipe->conn, "a reply to no request of ours");
	return NULL;
}

static size_t simple_reply(struct nbd_pipe *pipe, const uint8_t *p)
{
	struct nbd_reply_header header;
	struct nbd_pipe_call *call;

	nbd_decode(&nbd_simple_reply_layout, p, &header, sizeof(header));
	pipe->receiving = find(pipe, header.cookie);
	if (!pipe->receiving)
		return 0;
	call = pipe->receiving->call;
	pipe->last = true;
	fail_call(pipe, errmap_from_nbd(header.error));
	if (call->command != NBD_CMD_READ || call->error)
		end_chunk(pipe);
	else if (pipe->structured)
		conn_fail(&pipe->conn, "a simple reply to a read");
	else
		expect_data(pipe, call->offset, call->length);
	return nbd_simple_reply_layout.len;
}

/* What a chunk of this type has to begin with; NULL: nothing, or it is not known. */
static const struct nbd_layout *head_layout(uint16_t type)
{
	switch (type) {
	case NBD_REPLY_TYPE_OFFSET_DATA:
		return &nbd_chunk_data_layout;
	case NBD_REPLY_TYPE_OFFSET_HOLE:
		return &nbd_chunk_hole_layout;
	case NBD_REPLY_TYPE_BLOCK_STATUS:
		return &nbd_chunk_status_layout;
	default:
		return type & ERROR_TYPE ? &nbd_chunk_error_layout : NULL;
	}
}

/* Is this the length that such a chunk may have? */
static bool fits(uint16_t type, uint64_t length)
{
	switch (type) {
	case NBD_REPLY_TYPE_NONE:
		return length == 0;
	case NBD_REPLY_TYPE_OFFSET_DATA:
		return length > nbd_chunk_data_layout.len;
	case NBD_REPLY_TYPE_OFFSET_HOLE:
		return length == nbd_chunk_hole_layout.len;
	case NBD_REPLY_TYPE_BLOCK_STATUS:
		return length > nbd_chunk_status_layout.len &&
		       (length - nbd_chunk_status_layout.len) % DESCRIPTOR_LEN == 0;
	default:
		return type & ERROR_TYPE && length >= nbd_chunk_error_layout.len &&
		       length <= MAX_ERROR_LEN;
	}
}

static void got_head(struct nbd_pipe *pipe, const struct nbd_reply_header *header, const uint8_t *p)
{
	const struct nbd_layout *layout = head_layout(header->type);
	uint32_t length = (uint32_t)header->length;
	struct nbd_chunk_head head = { 0 };

	if (layout)
		nbd_decode(layout, p, &head, sizeof(head));
	if (header->type == NBD_REPLY_TYPE_OFFSET_DATA) {
		expect_data(pipe, head.offset, length - layout->len);
	} else if (header->type == NBD_REPLY_TYPE_OFFSET_HOLE) {
		got_hole(pipe, &head);
	} else if (header->type == NBD_REPLY_TYPE_BLOCK_STATUS) {
		expect_extents(pipe, length - layout->len);
	} else if (header->type & ERROR_TYPE) {
		got_error(pipe, header->type, p, length);
	} else if (pipe->last) {
		end_chunk(pipe);
	} else {
		conn_fail(&pipe->conn, "an empty chunk that is not the last");
	}
}

static size_t chunk(struct nbd_pipe *pipe, const uint8_t *p, size_t n)
{
	const size_t header_len = nbd_structured_reply_layout.len;
	const struct nbd_layout *layout;
	struct nbd_reply_header header;
	size_t len;

	if (n < header_len)
		return 0;
	nbd_decode(&nbd_structured_reply_layout, p, &header, sizeof(header));
	if (!fits(header.type, header.length)) {
		conn_fail(&pipe->conn, "a chunk of type 0x%x and %llu bytes", header.type,
			  (unsigned long long)header.length);
		return 0;
	}
	layout = head_layout(header.type);
	len = header_len + (header.type & ERROR_TYPE ? header.length : layout ? layout->len : 0);
	if (n < len)
		return 0;
	pipe->receiving = find(pipe, header.cookie);
	if (!pipe->receiving)
		return 0;
	pipe->last = header.flags & NBD_REPLY_FLAG_DONE;
	got_head(pipe, &header, p + header_len);
	return len;
}

static size_t extents(struct nbd_pipe *pipe, const uint8_t *p, size_t n)
{
	struct nbd_pipe_call *call = pipe->receiving->call;
	size_t used = 0;

	for (; pipe->left && n - used >= DESCRIPTOR_LEN; used += DESCRIPTOR_LEN) {
		pipe->left -= DESCRIPTOR_LEN;
		if (!call->events->extent(call, get_be32(p + used), get_be32(p + used + 4)))
			fail_call(pipe, EIO);
	}
	if (!pipe->left)
		end_chunk(pipe);
	return used;
}

static size_t reply(struct nbd_pipe *pipe, const uint8_t *p, size_t n)
{
	uint32_t magic;

	if (n < nbd_simple_reply_layout.len)
		return 0;
	magic = get_be32(p);
	if (magic == NBD_SIMPLE_REPLY_MAGIC)
		return simple_reply(pipe, p);
	if (magic == NBD_STRUCTURED_REPLY_MAGIC && pipe->structured)
		return chunk(pipe, p, n);
	conn_fail(&pipe->conn, "a reply begins with 0x%08x", magic);
	return 0;
}

size_t nbd_pipe_parse(struct conn *conn, const uint8_t *p, size_t n)
{
	struct nbd_pipe *pipe = nbd_pipe_of(conn);

	assert(pipe->state != RX_DATA);
	return pipe->state == RX_REPLY ? reply(pipe, p, n) : extents(pipe, p, n);
}
