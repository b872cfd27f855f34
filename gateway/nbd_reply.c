/*
 * Replies (NBD proto.md, "Simple reply message", "Structured reply types", and EXT's
 * "Extended reply chunk message"). nbd_request.c calls one of these when the outcome
 * of a request is known. Data leave straight from the request's buffer.
 *
 * All that a reply says is known before its first byte is queued, so DONE may ride on
 * the last chunk whatever that is, and a failed read never has to break the link.
 */
#include <assert.h>
#include <string.h>

#include "errmap.h"
#include "field.h"
#include "log.h"
#include "nbd_conn.h"
#include "pool.h"

/* A hole is looked for in blocks of at least this, and of so many per reply at most. */
#define HOLE_BLOCK	4096u
#define HOLE_BLOCKS	32u
#define MAX_RUNS	(HOLE_BLOCKS + 2)	/* the edges may be unaligned */

/* What one chunk says besides the header. */
struct chunk {
	enum nbd_reply_type type;
	bool done;
	const struct nbd_layout *layout;	/* of head; NULL: type NONE */
	struct nbd_chunk_head head;
	const void *data;
	size_t data_len;
	bool has_tail;				/* ERROR_OFFSET: chunk->tail is set */
};

static bool chunked(const struct nbd_request *req)
{
	return req->conn->terms.structured || req->conn->terms.extended;
}

static uint64_t end_of(const struct nbd_request *req)
{
	return req->header.offset + req->length;
}

static void chunk_sent(struct conn_out *out, bool ok)
{
	struct nbd_chunk *chunk = container_of(out, struct nbd_chunk, out);
	struct nbd_request *req = chunk->req;

	assert(req->unsent > 0);
	if (--req->unsent == 0)
		nbd_request_sent(req, ok);
}

static void add_slice(struct nbd_chunk *chunk, const void *data, size_t len)
{
	if (len > 0)
		/* Only ever read from: iovecs have no const. */
		chunk->out.iov[chunk->out.count++] = (struct iovec){ (void *)(uintptr_t)data, len };
}

static void queue(struct nbd_request *req, struct nbd_chunk *chunk)
{
	chunk->req = req;
	chunk->out.sent = chunk_sent;
	req->unsent++;
	conn_send(&req->conn->conn, &chunk->out);
}

/* "data" may be NULL. */
static void send_simple(struct nbd_request *req, uint32_t error, const void *data, size_t len)
{
	const struct nbd_reply_header header = {
		.magic = NBD_SIMPLE_REPLY_MAGIC, .error = error, .cookie = req->header.cookie,
	};
	struct nbd_chunk *chunk = &req->chunk[0];

	assert(!req->conn->terms.extended);
	chunk->out.count = 0;
	add_slice(chunk, chunk->wire, nbd_encode(&nbd_simple_reply_layout, &header, chunk->wire));
	add_slice(chunk, data, len);
	queue(req, chunk);
}

static size_t encode_header(const struct nbd_request *req, const struct chunk *what,
			    size_t payload, uint8_t *wire)
{
	bool extended = req->conn->terms.extended;
	const struct nbd_reply_header header = {
		.magic = extended ? NBD_EXTENDED_REPLY_MAGIC : NBD_STRUCTURED_REPLY_MAGIC,
		.flags = what->done ? NBD_REPLY_FLAG_DONE : 0,
		.type = (uint16_t)what->type, .cookie = req->header.cookie,
		.offset = req->header.offset, .length = payload,
	};

	return nbd_encode(extended ? &nbd_extended_reply_layout : &nbd_structured_reply_layout,
			  &header, wire);
}

static void send_chunk(struct nbd_request *req, struct nbd_chunk *chunk, const struct chunk *what)
{
	size_t head_len = what->layout ? what->layout->len : 0;
	size_t tail_len = what->has_tail ? sizeof(chunk->tail) : 0;
	size_t header_len = encode_header(req, what, head_len + what->data_len + tail_len,
					  chunk->wire);

	assert(chunked(req) && header_len + head_len <= sizeof(chunk->wire));
	if (what->layout)
		nbd_encode(what->layout, &what->head, chunk->wire + header_len);
	chunk->out.count = 0;
	add_slice(chunk, chunk->wire, header_len + head_len);
	add_slice(chunk, what->data, what->data_len);
	add_slice(chunk, chunk->tail, tail_len);
	queue(req, chunk);
}

void nbd_reply_done(struct nbd_request *req)
{
	const struct chunk none = { .type = NBD_REPLY_TYPE_NONE, .done = true };
	bool read = req->header.type == NBD_CMD_READ;

	log_trace(iscsi_debug_nbd, "cookie=0x%llx done", (unsigned long long)req->header.cookie);
	/* Without payload the simple reply is the shorter, where it may be used. */
	if (req->conn->terms.extended || (chunked(req) && read))
		send_chunk(req, &req->chunk[0], &none);
	else
		send_simple(req, 0, NULL, 0);
}

/* Data ------------------------------------------------------------------- */

/* A stretch of one reply that is all zeroes, or is not. */
struct run {
	uint64_t len;
	bool zero;
};

static void send_data(struct nbd_request *req, struct nbd_chunk *chunk, uint64_t offset,
		      uint64_t len, bool done)
{
	const struct chunk data = {
		.type = NBD_REPLY_TYPE_OFFSET_DATA, .done = done,
		.layout = &nbd_chunk_data_layout, .head.offset = offset,
		.data = req->buffer + (offset - req->blk.offset), .data_len = (size_t)len,
	};

	send_chunk(req, chunk, &data);
}

static void send_hole(struct nbd_request *req, struct nbd_chunk *chunk, uint64_t offset,
		      uint64_t len, bool done)
{
	const struct chunk hole = {
		.type = NBD_REPLY_TYPE_OFFSET_HOLE, .done = done,
		.layout = &nbd_chunk_hole_layout,
		.head = { .offset = offset, .hole_size = (uint32_t)len },
	};

	send_chunk(req, chunk, &hole);
}

/* Data mostly differ from zero at once, so this costs them one cache line. */
static bool is_zero(const uint8_t *p, size_t len)
{
	size_t first = len < 16 ? len : 16;

	for (size_t i = 0; i < first; i++)
		if (p[i])
			return false;
	return memcmp(p, p + first, len - first) == 0;
}

/* Find what is zero in the piece that was read. How many runs that makes: 1 at least. */
static unsigned find_runs(const struct nbd_request *req, struct run runs[MAX_RUNS])
{
	uint64_t offset = req->blk.offset, end = offset + req->blk.length;
	uint64_t block = HOLE_BLOCK;
	unsigned count = 0;

	while (block * HOLE_BLOCKS < req->blk.length)
		block *= 2;
	while (offset < end) {
		uint64_t next = (offset | (block - 1)) + 1;
		const uint8_t *p = req->buffer + (offset - req->blk.offset);
		bool zero;

		if (next > end)
			next = end;
		zero = is_zero(p, (size_t)(next - offset));
		if (count == 0 || runs[count - 1].zero != zero) {
			assert(count < MAX_RUNS);
			runs[count++] = (struct run){ .zero = zero };
		}
		runs[count - 1].len += next - offset;
		offset = next;
	}
	return count;
}

/* Room for "count" chunks; NULL without memory. */
static struct nbd_chunk *get_chunks(struct nbd_request *req, unsigned count)
{
	struct pool *pool = req->conn->service->loop->pool;

	if (count <= NBD_OWN_CHUNKS)
		return req->chunk;
	if (count > req->more_count) {
		pool_put(pool, req->more, req->more_count * sizeof(*req->more));
		req->more = pool_get(pool, count * sizeof(*req->more));
		req->more_count = req->more ? count : 0;
	}
	return req->more;
}

static void reply_data(struct nbd_request *req, bool done)
{
	struct run runs[MAX_RUNS];
	bool whole = req->header.flags & NBD_CMD_FLAG_DF;
	unsigned count = whole ? 1 : find_runs(req, runs);
	struct nbd_chunk *chunks = get_chunks(req, count);
	uint64_t offset = req->blk.offset;

	if (whole || !chunks) {
		send_data(req, req->chunk, offset, req->blk.length, done);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		bool last = done && i == count - 1;

		if (runs[i].zero)
			send_hole(req, &chunks[i], offset, runs[i].len, last);
		else
			send_data(req, &chunks[i], offset, runs[i].len, last);
		offset += runs[i].len;
	}
}

void nbd_reply_read(struct nbd_request *req)
{
	bool done = req->blk.offset + req->blk.length == end_of(req);

	log_trace(iscsi_debug_nbd, "cookie=0x%llx read %llu bytes",
		  (unsigned long long)req->header.cookie, (unsigned long long)req->blk.length);
	if (chunked(req))
		reply_data(req, done);
	else
		send_simple(req, 0, req->buffer, (size_t)req->blk.length);
}

/* Errors ----------------------------------------------------------------- */

/* Does the device know where, and may the reply say so? */
static bool tell_offset(const struct nbd_request *req)
{
	const struct blk_req *blk = &req->blk;

	return blk->has_error_offset && blk->error_offset >= req->header.offset &&
	       blk->error_offset < end_of(req);
}

/* What was read before the error is good, and goes first ("NBD_CMD_READ", structured replies). */
static void send_good_prefix(struct nbd_request *req)
{
	const struct blk_req *blk = &req->blk;
	uint64_t end = blk->offset + blk->length;

	if (blk->op == BLK_READ && blk->error_offset > blk->offset && blk->error_offset < end)
		send_data(req, &req->chunk[0], blk->offset, blk->error_offset - blk->offset, false);
}

void nbd_reply_error(struct nbd_request *req)
{
	struct nbd_chunk *chunk = &req->chunk[1];
	bool where = tell_offset(req);
	struct chunk error = {
		.type = where ? NBD_REPLY_TYPE_ERROR_OFFSET : NBD_REPLY_TYPE_ERROR,
		.done = true, .layout = &nbd_chunk_error_layout,
		.head.error = errmap_nbd(req->blk.error), .has_tail = where,
	};

	assert(req->blk.error > 0);
	error.data = req->blk.why[0] ? req->blk.why : strerror(req->blk.error);
	error.data_len = strlen(error.data);
	error.head.message_len = (uint16_t)error.data_len;
	log_trace(iscsi_debug_nbd, "cookie=0x%llx error %u: %s",
		  (unsigned long long)req->header.cookie, error.head.error,
		  (const char *)error.data);
	if (!chunked(req)) {
		send_simple(req, error.head.error, NULL, 0);
		return;
	}
	if (where) {
		send_good_prefix(req);
		put_be64(chunk->tail, req->blk.error_offset);
	}
	send_chunk(req, chunk, &error);
}

/* Block status ----------------------------------------------------------- */

/* One chunk per context; the descriptors are made behind the extents, in the same buffer. */
void nbd_reply_status(struct nbd_request *req)
{
	bool extended = req->conn->terms.extended;
	size_t room = nbd_status_room(req);
	uint8_t *wire = req->buffer + room * sizeof(struct blk_extent);
	const struct nbd_span span = {
		.length = req->length, .most = req->conn->offer.size - req->header.offset,
		.one = req->header.flags & NBD_CMD_FLAG_REQ_ONE, .extended = extended,
	};
	unsigned left = req->contexts;

	assert(req->blk.extent_count >= 1 && req->blk.extent_count <= room);
	assert(left != 0);
	for (unsigned i = 0, n = 0; left; left &= ~(1u << i++)) {
		enum nbd_context context = (enum nbd_context)i;
		struct chunk status = {
			.type = extended ? NBD_REPLY_TYPE_BLOCK_STATUS_EXT
					 : NBD_REPLY_TYPE_BLOCK_STATUS,
			.done = left == 1u << i,
			.layout = extended ? &nbd_chunk_status_ext_layout
					   : &nbd_chunk_status_layout,
			.head.context = nbd_meta_id(context), .data = wire,
		};

		if (!(left & 1u << i))
			continue;
		status.head.count = nbd_meta_describe(context, req->blk.extents,
						      req->blk.extent_count, &span, wire);
		status.data_len = status.head.count * nbd_descriptor_len(extended);
		wire += status.data_len;
		send_chunk(req, &req->chunk[n++], &status);
	}
}

_Static_assert(NBD_CONTEXT_COUNT <= NBD_OWN_CHUNKS, "a chunk per meta context");
