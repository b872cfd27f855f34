/* The bench of the NBD back end's tests: a device, its loop, and requests to it. */
#include "nbd_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nbd_blk.h"
#include "write_log.h"
#include "unit.h"

void bench_listen(struct bench *b)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	unlink(b->socket);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", b->socket);
	b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(bind(b->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	CU_ASSERT_FATAL(listen(b->listener, 16) == 0);
}

static void use_tls(struct bench *b)
{
	FILE *f;

	snprintf(b->keys, sizeof(b->keys), "%s/keys", b->dir);
	f = fopen(b->keys, "w");
	CU_ASSERT_FATAL(f && fprintf(f, "test:%064d\n", 1) > 0 && fclose(f) == 0);
	snprintf(b->uri, sizeof(b->uri), "nbds+unix://test@/?socket=%s&tls-psk-file=%s", b->socket,
		 b->keys);
}

void bench_init(struct bench *b, bool tls)
{
	memset(b, 0, sizeof(*b));
	strcpy(b->dir, "/tmp/test_nbd_blk.XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(b->dir) != NULL);
	snprintf(b->socket, sizeof(b->socket), "%s/socket", b->dir);
	snprintf(b->file, sizeof(b->file), "%s/disk", b->dir);
	snprintf(b->uri, sizeof(b->uri), "nbd+unix:///?socket=%s", b->socket);
	if (tls)
		use_tls(b);
	b->loop = loop_new();
	b->offload = offload_new(2);
	CU_ASSERT_FATAL(b->loop && b->offload);
	bench_listen(b);
}

static void on_opened(void *opaque, struct blkdev *dev, const char *why)
{
	struct bench *b = opaque;

	b->dev = dev;
	snprintf(b->why, sizeof(b->why), "%s", why ? why : "");
	loop_stop(b->loop);
}

void bench_open_with(struct bench *b, double connect_timeout, double outage_timeout)
{
	struct nbd_blk_conf conf = {
		.uri = b->uri,
		.connect_timeout = connect_timeout,
		.outage_timeout = outage_timeout,
	};

	b->shared.log = write_log_new(1u << 20);
	nbd_blk_open(b->loop, b->offload, &conf, &b->shared, on_opened, b);
	loop_run(b->loop);
}

void bench_open(struct bench *b)
{
	bench_open_with(b, 10, 30);
	CU_ASSERT_STRING_EQUAL(b->why, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->dev);
}

static void on_closed(void *opaque)
{
	*(bool *)opaque = true;
}

void bench_end(struct bench *b)
{
	bool closed = !b->dev;

	if (b->dev)
		blk_close(b->dev, on_closed, &closed);
	CU_ASSERT(closed);
	write_log_free(b->shared.log);
	offload_free(b->offload);
	loop_free(b->loop);
	if (b->listener >= 0)
		close(b->listener);
	unlink(b->socket);
	unlink(b->file);
	unlink(b->keys);
	rmdir(b->dir);
}

static void on_done(struct blk_req *req)
{
	struct request *r = container_of(req, struct request, req);

	CU_ASSERT(!r->inside && !r->ended);
	r->ended = true;
	if (--r->b->pending == 0)
		loop_stop(r->b->loop);
}

void bench_submit(struct bench *b, struct request *r)
{
	r->b = b;
	r->req.done = on_done;
	b->pending++;
	r->inside = true;
	blk_submit(b->dev, &r->req);
	r->inside = false;
}

struct request request(enum blk_op op, uint64_t offset, uint64_t length, uint8_t *data)
{
	return (struct request){
		.req = { .op = op, .offset = offset, .length = length, .data = data }
	};
}

/* One request from start to end; its errno. */
int bench_run(struct bench *b, struct request *r)
{
	bench_submit(b, r);
	loop_run(b->loop);
	return r->req.error;
}

int bench_do(struct bench *b, enum blk_op op, uint64_t offset, uint64_t length, uint8_t *data,
	     uint32_t flags)
{
	struct request r = request(op, offset, length, data);

	r.req.flags = flags;
	return bench_run(b, &r);
}

void fill(uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(seed * 37 + i * 11 + (i >> 8));
}

bool is_filled(const uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != (uint8_t)(seed * 37 + i * 11 + (i >> 8)))
			return false;
	return true;
}
