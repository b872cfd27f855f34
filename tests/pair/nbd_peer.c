/* A client that speaks hexadecimal, and a device with a script; see nbd_peer.h. */
#include "nbd_peer.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "pool.h"
#include "stream.h"
#include "unit.h"

#define RUN_TURNS	1000	/* more than anything here takes */
#define HEX_MAX		4096

/* The device --------------------------------------------------------------- */

static void answer_status(struct peer_device *d, struct blk_req *req)
{
	for (unsigned i = 0; i < d->extent_count; i++)
		if (!blk_add_extent(req, d->extents[i].length, d->extents[i].flags,
				    d->extents[i].provisioning))
			return;
}

static void answer_data(struct peer_device *d, struct blk_req *req)
{
	assert(req->offset + req->length <= PEER_MEDIUM);
	if (req->op == BLK_READ)
		memcpy(req->data, d->bytes + req->offset, req->length);
	else
		memcpy(d->bytes + req->offset, req->data, req->length);
}

static void answer_one(struct peer_device *d, struct blk_req *req)
{
	if (d->error) {
		if (req->op == BLK_READ)
			memcpy(req->data, d->bytes + req->offset, req->length);
		blk_fail(req, d->error, "%s", d->why);
		req->has_error_offset = d->has_error_offset;
		req->error_offset = d->error_offset;
		d->error = 0;
	} else if (req->op == BLK_STATUS) {
		answer_status(d, req);
	} else if (req->op == BLK_READ || req->op == BLK_WRITE) {
		answer_data(d, req);
	}
	d->in_flight--;
	blk_complete(&d->dev, req);
}

static void answer_all(struct loop_call *call)
{
	struct peer_device *d = container_of(call, struct peer_device, answer);
	struct list *node;

	while (!d->hold && (node = list_pop(&d->pending)))
		answer_one(d, container_of(node, struct blk_req, node));
}

static void device_submit(struct blkdev *dev, struct blk_req *req)
{
	struct peer_device *d = container_of(dev, struct peer_device, dev);

	d->submitted++;
	d->last = *req;
	if (++d->in_flight > d->max_in_flight)
		d->max_in_flight = d->in_flight;
	list_add_tail(&d->pending, &req->node);
	loop_defer(dev->loop, &d->answer);
}

static void device_abort(struct blkdev *dev, struct blk_req *req)
{
	(void)req;
	container_of(dev, struct peer_device, dev)->aborted++;
}

static void device_close(struct blkdev *dev, void (*closed)(void *), void *opaque)
{
	struct peer_device *d = container_of(dev, struct peer_device, dev);

	free(d->bytes);
	closed(opaque);
}

static const struct blk_ops device_ops = {
	.name = "peer", .submit = device_submit, .abort = device_abort, .close = device_close,
};

static void device_init(struct peer_device *d, struct loop *loop)
{
	d->bytes = calloc(1, PEER_MEDIUM);
	list_init(&d->pending);
	loop_call_init(&d->answer, answer_all);
	blk_init(&d->dev, &device_ops, loop, NULL);
	d->dev.info = (struct blk_info){
		.size = PEER_MEDIUM, .min_block = 1, .preferred_block = 4096,
		.max_data = BLK_MAX_DATA, .max_trim = UINT64_MAX, .max_zero = UINT64_MAX,
		.max_extent = UINT64_MAX, .can_flush = true, .can_fua = true, .can_trim = true,
		.can_zero = true, .can_fast_zero = true, .can_cache = true, .can_extents = true,
	};
}

void peer_release(struct peer *p)
{
	for (unsigned i = 0; i < PEER_EXPORTS; i++) {
		p->device[i].hold = false;
		loop_defer(p->loop, &p->device[i].answer);
	}
	peer_run(p);
}

/* The server and the client's end ------------------------------------------ */

/* Clients that are dropped are what these tests are about. */
static void no_log(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static void on_idle(struct nbd_service *service)
{
	container_of(service, struct peer, service)->idle++;
}

static void on_follows(struct nbd_service *service)
{
	container_of(service, struct peer, service)->follows++;
}

struct peer *peer_new(void)
{
	static const char *const names[PEER_EXPORTS] = { "disk", "other" };
	struct peer *p = calloc(1, sizeof(*p));
	struct nbd_exports *exports = nbd_exports_new();

	log_set_sink(no_log);
	p->loop = loop_new();
	p->fd = -1;
	nbd_limits_init(&p->limits);
	for (unsigned i = 0; i < PEER_EXPORTS; i++) {
		device_init(&p->device[i], p->loop);
		p->instances[i].blk = &p->device[i].dev;
		p->exports[i].instance = &p->instances[i];
		if (nbd_exports_add(exports, names[i], &p->exports[i], &p->nbd[i]))
			abort();
	}
	p->service = (struct nbd_service){
		.loop = p->loop, .limits = &p->limits, .idle = on_idle, .follows = on_follows,
	};
	list_init(&p->service.connections);
	nbd_server_follow(&p->service, exports);
	nbd_exports_drop(exports);
	return p;
}

struct peer *peer_connect_with(struct peer *p, uint32_t client_flags)
{
	int fd[2];

	assert(p->fd < 0);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
		abort();
	p->fd = fd[1];
	if (p->send_buffer)
		setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &p->send_buffer, sizeof(p->send_buffer));
	nbd_server_start(&p->service, stream_socket(fd[0]), p->door);
	peer_hear(p, "4e42444d41474943 49484156454f5054 0003");
	peer_sayf(p, "%08x", client_flags);
	return p;
}

struct peer *peer_connect(struct peer *p)
{
	return peer_connect_with(p, 3);
}

bool peer_is_up(const struct peer *p)
{
	return !list_empty(&p->service.connections);
}

void peer_hang_up(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	peer_run(p);
}

static void nothing(void *opaque)
{
	(void)opaque;
}

void peer_free(struct peer *p)
{
	peer_release(p);
	peer_hang_up(p);
	CU_ASSERT(list_empty(&p->service.connections));
	CU_ASSERT_EQUAL(pool_in_use(p->loop->pool), 0);
	for (unsigned i = 0; i < PEER_EXPORTS; i++) {
		CU_ASSERT_EQUAL(p->device[i].in_flight, 0);
		blk_close(&p->device[i].dev, nothing, NULL);
	}
	nbd_exports_drop(p->service.exports);
	loop_free(p->loop);
	free(p);
}

void peer_run(struct peer *p)
{
	/* A turn in which nothing happens has no visible end: these many are always enough. */
	for (int i = 0; i < 20; i++)
		ev_run(p->loop->ev, EVRUN_NOWAIT);
}

/* Speaking ------------------------------------------------------------------- */

static size_t from_hex(const char *hex, uint8_t *to)
{
	size_t digits = 0;

	for (; *hex; hex++) {
		int value = isdigit((unsigned char)*hex) ? *hex - '0' : *hex - 'a' + 10;

		if (*hex == ' ')
			continue;
		assert(value >= 0 && value < 16 && digits < 2 * HEX_MAX);
		to[digits / 2] = (uint8_t)(digits % 2 ? to[digits / 2] | value : value << 4);
		digits++;
	}
	assert(digits % 2 == 0);
	return digits / 2;
}

bool peer_try_say(struct peer *p, const uint8_t *bytes, size_t len)
{
	size_t sent = 0;

	for (int turn = 0; sent < len && turn < RUN_TURNS; turn++) {
		ssize_t n = send(p->fd, bytes + sent, p->drip ? 1 : len - sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		ev_run(p->loop->ev, EVRUN_NOWAIT);
	}
	return sent == len;
}

static void say_bytes(struct peer *p, const uint8_t *bytes, size_t len)
{
	CU_ASSERT(peer_try_say(p, bytes, len));
}

void peer_say(struct peer *p, const char *hex)
{
	uint8_t bytes[HEX_MAX];

	say_bytes(p, bytes, from_hex(hex, bytes));
}

void peer_sayf(struct peer *p, const char *fmt, ...)
{
	char hex[2 * HEX_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(hex, sizeof(hex), fmt, args);
	va_end(args);
	peer_say(p, hex);
}

void peer_say_fill(struct peer *p, uint8_t value, size_t count)
{
	uint8_t *bytes = malloc(count);

	memset(bytes, value, count);
	say_bytes(p, bytes, count);
	free(bytes);
}

/* How many of "len" bytes come while the server has something to do. */
static size_t hear_bytes(struct peer *p, uint8_t *bytes, size_t len)
{
	size_t got = 0;

	for (int turn = 0; got < len && turn < RUN_TURNS; turn++) {
		ssize_t n = recv(p->fd, bytes + got, len - got, MSG_DONTWAIT);

		if (n == 0)
			break;
		got += n > 0 ? (size_t)n : 0;
		ev_run(p->loop->ev, EVRUN_NOWAIT);
	}
	return got;
}

static void complain(const char *what, const uint8_t *bytes, size_t len)
{
	printf("\n    %s: ", what);
	for (size_t i = 0; i < len && i < 160; i++)
		printf("%02x%s", bytes[i], i % 4 == 3 ? " " : "");
}

static void expect_bytes(struct peer *p, const uint8_t *want, size_t len)
{
	uint8_t *got = calloc(1, len);
	size_t n = hear_bytes(p, got, len);
	bool same = n == len && memcmp(got, want, len) == 0;

	CU_ASSERT(same);
	if (!same) {
		complain("wanted", want, len);
		complain("heard ", got, n);
		printf("\n");
	}
	free(got);
}

void peer_hear(struct peer *p, const char *hex)
{
	uint8_t bytes[HEX_MAX];

	expect_bytes(p, bytes, from_hex(hex, bytes));
}

void peer_hear_text(struct peer *p, const char *text)
{
	expect_bytes(p, (const uint8_t *)text, strlen(text));
}

void peer_hear_fill(struct peer *p, uint8_t value, size_t count)
{
	uint8_t *bytes = malloc(count);

	memset(bytes, value, count);
	expect_bytes(p, bytes, count);
	free(bytes);
}

void peer_hear_nothing(struct peer *p)
{
	uint8_t byte;

	peer_run(p);
	CU_ASSERT(recv(p->fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

void peer_hear_end(struct peer *p)
{
	uint8_t byte;
	ssize_t n;

	peer_run(p);
	n = recv(p->fd, &byte, 1, MSG_DONTWAIT);
	CU_ASSERT(n == 0 || (n < 0 && errno == ECONNRESET));
}

size_t peer_skip(struct peer *p)
{
	uint8_t bytes[HEX_MAX];
	size_t total = 0;
	ssize_t n;

	do {
		peer_run(p);
		n = recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		total += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return total;
}

/* What many tests begin with ------------------------------------------------- */

static void accepted_option(struct peer *p, unsigned option)
{
	peer_sayf(p, "49484156454f5054 %08x 00000000", option);
	peer_hear(p, "0003e889045565a9");
	peer_skip(p);
}

void peer_structured(struct peer *p)
{
	accepted_option(p, 8);
}

void peer_extended(struct peer *p)
{
	accepted_option(p, 11);
}

void peer_select(struct peer *p)
{
	peer_say(p, "49484156454f5054 0000000a 00000036 00000004 6469736b 00000002"
		    "0000000f 626173653a616c6c6f636174696f6e"
		    "00000013 782d736373693a70726f766973696f6e696e67");
	peer_hear(p, "0003e889045565a9 0000000a 00000004 00000013 00000001");
	peer_hear_text(p, "base:allocation");
	peer_hear(p, "0003e889045565a9 0000000a 00000004 00000017 00000002");
	peer_hear_text(p, "x-scsi:provisioning");
	peer_hear(p, "0003e889045565a9 0000000a 00000001 00000000");
}

void peer_go(struct peer *p)
{
	peer_say(p, "49484156454f5054 00000007 0000000a 00000004 6469736b 0000");
	peer_hear(p, "0003e889045565a9 00000007 00000003");
	peer_skip(p);
}

void peer_ask(struct peer *p, uint16_t flags, uint16_t type, uint8_t tag, uint64_t offset,
	      uint32_t length)
{
	peer_sayf(p, "25609513 %04x %04x 00000000c00c1e%02x %016llx %08x", flags, type, tag,
		  (unsigned long long)offset, length);
}

void peer_ask_extended(struct peer *p, uint16_t flags, uint16_t type, uint8_t tag,
		       uint64_t offset, uint64_t length)
{
	peer_sayf(p, "21e41c71 %04x %04x 00000000c00c1e%02x %016llx %016llx", flags, type, tag,
		  (unsigned long long)offset, (unsigned long long)length);
}
