/*
 * Requests (NBD proto.md, "Transmission" and "Request types"): read a header, have
 * it checked (nbd_command.c), take its payload straight into the request's buffer,
 * hand it to the device, and lead its outcome to nbd_reply.c.
 *
 * A request that breaks a rule is answered with an error, its payload drained, and
 * the connection lives on; only a wrong magic or a payload beyond all bounds ends it.
 * What is alive is bounded by count and bytes: then the client is not listened to.
 */
#include <assert.h>
#include <errno.h>

#include "field.h"
#include "log.h"
#include "min.h"
#include "nbd_conn.h"
#include "pool.h"

/* A status of more extents is cut: the client asks on from there. */
#define MAX_EXTENTS		2048u
#define LIKELY_EXTENT		4096u	/* bytes: how many extents a short range may have */

static void device_done(struct blk_req *blk);

/* Life ------------------------------------------------------------------- */

static struct nbd_request *request_new(struct nbd_conn *c, const struct nbd_request_header *h)
{
	struct nbd_request *req = pool_zalloc(c->service->loop->pool, sizeof(*req));

	if (!req)
		return NULL;
	req->conn = c;
	req->header = *h;
	req->command = nbd_command_find(h->type);
	req->length = h->length;
	req->contexts = c->terms.contexts;
	req->blk.done = device_done;
	list_add_tail(&c->requests, &req->node);
	c->in_flight++;
	return req;
}

static bool get_buffer(struct nbd_request *req, size_t len)
{
	assert(!req->buffer && len > 0);
	req->buffer = pool_get(req->conn->service->loop->pool, len);
	if (!req->buffer) {
		blk_fail(&req->blk, ENOMEM, "no memory for %zu bytes", len);
		return false;
	}
	req->buffer_len = len;
	req->conn->bytes += len;
	return true;
}

void nbd_request_free(struct nbd_request *req)
{
	struct nbd_conn *c = req->conn;
	struct pool *pool = c->service->loop->pool;

	assert(!req->at_device && req->unsent == 0);
	if (c->receiving == req)
		c->receiving = NULL;
	c->bytes -= req->buffer_len;
	c->in_flight--;
	list_del(&req->node);
	pool_put(pool, req->buffer, req->buffer_len);
	pool_put(pool, req->more, req->more_count * sizeof(*req->more));
	pool_put(pool, req, sizeof(*req));
	nbd_conn_settle(c);
}

void nbd_request_abort_all(struct nbd_conn *c)
{
	list_for_each_safe(node, &c->requests) {
		struct nbd_request *req = container_of(node, struct nbd_request, node);

		if (req->at_device)
			blk_abort(c->offer.blk, &req->blk);
	}
}

/* To the device and back ------------------------------------------------- */

static void submit(struct nbd_request *req)
{
	struct blkdev *dev = req->conn->offer.blk;

	/* It may have shrunk since the header was checked. */
	if (req->blk.offset > dev->info.size ||
	    req->blk.length > dev->info.size - req->blk.offset) {
		blk_fail(&req->blk, req->command->past_end, "the device has shrunk");
		nbd_reply_error(req);
		return;
	}
	req->at_device = true;
	blk_submit(dev, &req->blk);
}

/* The largest piece of a READ: what one chunk may carry, but not so that every piece begins
 * askew. */
static uint64_t read_piece(const struct nbd_conn *c)
{
	return c->offer.max_payload & ~(uint64_t)(c->offer.preferred_block - 1);
}

static void submit_read(struct nbd_request *req, uint64_t offset)
{
	uint64_t left = req->header.offset + req->length - offset;

	req->blk.offset = offset;
	req->blk.length = min_u64(left, req->buffer_len);
	req->blk.data = req->buffer;
	submit(req);
}

size_t nbd_status_room(const struct nbd_request *req)
{
	if (req->header.flags & NBD_CMD_FLAG_REQ_ONE)
		return 1;
	return (size_t)min_u64(req->length / LIKELY_EXTENT + 2, MAX_EXTENTS);
}

static size_t status_buffer_len(const struct nbd_request *req)
{
	bool extended = req->conn->terms.extended;
	size_t each = sizeof(struct blk_extent) +
		      NBD_CONTEXT_COUNT * nbd_descriptor_len(extended);

	return nbd_status_room(req) * each;
}

static void submit_status(struct nbd_request *req)
{
	req->blk.extents = (struct blk_extent *)(void *)req->buffer;
	req->blk.extent_room = (uint32_t)nbd_status_room(req);
	submit(req);
}

static uint32_t blk_flags(const struct nbd_request *req)
{
	static const struct {
		uint16_t nbd, op_bit;
		uint32_t blk;
	} map[] = {
		{ NBD_CMD_FLAG_FUA, 1 << BLK_WRITE | 1 << BLK_TRIM | 1 << BLK_ZERO, BLK_FUA },
		{ NBD_CMD_FLAG_NO_HOLE, 1 << BLK_ZERO, BLK_NO_HOLE },
		{ NBD_CMD_FLAG_FAST_ZERO, 1 << BLK_ZERO, BLK_FAST },
		{ NBD_CMD_FLAG_REQ_ONE, 1 << BLK_STATUS, BLK_REQ_ONE },
	};
	uint32_t flags = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (req->header.flags & map[i].nbd && 1 << req->command->op & map[i].op_bit)
			flags |= map[i].blk;
	return flags;
}

/* A request that is in order, its payload in the buffer if it has one. */
static void start(struct nbd_request *req)
{
	enum blk_op op = req->command->op;

	req->blk.op = op;
	req->blk.flags = blk_flags(req);
	req->blk.offset = req->header.offset;
	req->blk.length = req->length;
	if (req->length == 0 && op != BLK_FLUSH) {
		nbd_reply_done(req);
	} else if (op == BLK_READ) {
		if (get_buffer(req, (size_t)min_u64(req->length, read_piece(req->conn))))
			submit_read(req, req->header.offset);
		else
			nbd_reply_error(req);
	} else if (op == BLK_STATUS) {
		if (get_buffer(req, status_buffer_len(req)))
			submit_status(req);
		else
			nbd_reply_error(req);
	} else {
		req->blk.data = req->buffer;
		submit(req);
	}
}

static void device_done(struct blk_req *blk)
{
	struct nbd_request *req = container_of(blk, struct nbd_request, blk);

	assert(req->at_device);
	req->at_device = false;
	if (req->conn->conn.closed)
		nbd_request_free(req);
	else if (blk->error)
		nbd_reply_error(req);
	else if (blk->op == BLK_READ)
		nbd_reply_read(req);
	else if (blk->op == BLK_STATUS)
		nbd_reply_status(req);
	else
		nbd_reply_done(req);
}

void nbd_request_sent(struct nbd_request *req, bool ok)
{
	uint64_t next = req->blk.offset + req->blk.length;

	/* A READ longer than one reply may be comes in pieces, through the same buffer. */
	if (ok && req->blk.op == BLK_READ && req->buffer && !req->blk.error &&
	    next < req->header.offset + req->length)
		submit_read(req, next);
	else
		nbd_request_free(req);
}

/* From the wire ----------------------------------------------------------- */

static struct nbd_request *take_receiving(struct nbd_conn *c)
{
	struct nbd_request *req = c->receiving;

	assert(req);
	c->receiving = NULL;
	return req;
}

static void drained(struct nbd_conn *c)
{
	nbd_reply_error(take_receiving(c));
}

static void data_arrived(struct nbd_conn *c)
{
	start(take_receiving(c));
}

static void status_payload_arrived(struct nbd_conn *c)
{
	struct nbd_request *req = take_receiving(c);

	if (nbd_command_check_payload(req))
		start(req);
	else
		nbd_reply_error(req);
}

static void receive_payload(struct nbd_request *req, size_t len)
{
	struct nbd_conn *c = req->conn;

	c->receiving = req;
	if (req->command->op == BLK_STATUS)
		nbd_receive(c, req->payload, len, status_payload_arrived);
	else if (get_buffer(req, len))
		nbd_receive(c, req->buffer, len, data_arrived);
	else
		nbd_drain(c, len, drained);
}

static void accept_request(struct nbd_request *req, uint64_t payload)
{
	struct nbd_conn *c = req->conn;
	bool good = nbd_command_check(req);

	if (good && payload) {
		receive_payload(req, (size_t)payload);
	} else if (good) {
		start(req);
	} else if (payload) {
		c->receiving = req;
		nbd_drain(c, payload, drained);
	} else {
		nbd_reply_error(req);
	}
}

/* Would this one fit in with those that are alive? One alone always does. */
static bool has_room(const struct nbd_conn *c, const struct nbd_request_header *h)
{
	const struct nbd_limits *limits = c->service->limits;
	uint64_t bytes = 0;

	if (h->type == NBD_CMD_READ || h->type == NBD_CMD_WRITE)
		bytes = min_u64(h->length, c->offer.max_payload);
	return c->in_flight == 0 ||
	       (c->in_flight < limits->max_requests && c->bytes + bytes <= limits->max_bytes);
}

static void trace_request(const struct nbd_request_header *h)
{
	char text[160];

	if (!log_is_on(iscsi_debug_nbd))
		return;
	nbd_request_format(h, text, sizeof(text));
	log_trace(iscsi_debug_nbd, "%s", text);
}

/* "The server MUST handle all outstanding requests", then close. */
static void disconnect(struct nbd_conn *c)
{
	c->leaving = true;
	conn_pause(&c->conn);
	nbd_conn_settle(c);
}

/* False: not now; the header has to wait. */
static bool take_request(struct nbd_conn *c, const struct nbd_request_header *h)
{
	uint64_t most = c->offer.max_payload > NBD_DEFAULT_MAX_PAYLOAD ? c->offer.max_payload
								       : NBD_DEFAULT_MAX_PAYLOAD;
	uint64_t payload = nbd_command_payload(c, h);
	struct nbd_request *req;

	if (payload > most) {
		conn_fail(&c->conn, "a payload of %llu bytes", (unsigned long long)payload);
		return true;
	}
	if (!has_room(c, h)) {
		c->blocked = true;
		conn_pause(&c->conn);
		return false;
	}
	trace_request(h);
	req = request_new(c, h);
	if (req)
		accept_request(req, payload);
	else
		conn_fail(&c->conn, "no memory for a request");
	return true;
}

size_t nbd_request_parse(struct nbd_conn *c, const uint8_t *p, size_t n)
{
	const struct nbd_layout *layout = c->terms.extended ? &nbd_extended_request_layout
							    : &nbd_compact_request_layout;
	uint32_t magic = c->terms.extended ? NBD_EXTENDED_REQUEST_MAGIC : NBD_REQUEST_MAGIC;
	struct nbd_request_header h;

	if (n < layout->len)
		return 0;
	nbd_decode(layout, p, &h, sizeof(h));
	if (h.magic != magic) {
		conn_fail(&c->conn, "a request begins with 0x%08x", h.magic);
		return layout->len;
	}
	if (h.type == NBD_CMD_DISC) {
		disconnect(c);
		return layout->len;
	}
	return take_request(c, &h) ? layout->len : 0;
}
