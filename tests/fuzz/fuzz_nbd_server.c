/*
 * A whole NBD connection: the input is what a client says, from its flags on, to a
 * server of two exports in memory.
 */
#include <assert.h>
#include <stdlib.h>

#include "export.h"
#include "fuzz.h"
#include "fuzz_peer.h"
#include "mem_blk.h"
#include "nbd_server.h"
#include "pool.h"
#include "range_lock.h"

#define EXPORTS		2
#define DISK_LEN	(256u << 10)

/* Bits of the first byte. */
enum { DRIP = 1, READ_ONLY = 2, TLS_ONLY = 4, SHUTDOWN = 8 };

struct server {
	struct nbd_limits limits;
	struct nbd_service service;
	struct mem *mem[EXPORTS];
	struct blk_shared shared[EXPORTS];
	struct export_instance instance[EXPORTS];
	struct export export[EXPORTS];
};

static void nobody_asked(struct nbd_service *service)
{
	assert(list_empty(&service->connections));
}

static void server_init(struct server *s, struct loop *loop, uint8_t flags)
{
	static const char *const names[EXPORTS] = { "disk", "other" };
	struct nbd_exports *exports = nbd_exports_new();
	struct nbd_export *nbd;

	nbd_limits_init(&s->limits);
	for (unsigned i = 0; i < EXPORTS; i++) {
		s->mem[i] = mem_new(DISK_LEN);
		s->shared[i].ranges = range_lock_new();
		if (!s->mem[i] || !s->shared[i].ranges)
			abort();
		s->instance[i].blk = mem_blk_open(s->mem[i], loop, &s->shared[i]);
		s->export[i].instance = &s->instance[i];
		if (nbd_exports_add(exports, names[i], &s->export[i], &nbd))
			abort();
		nbd->read_only = i == 0 && flags & READ_ONLY;
		nbd->tls_only = i == 1 && flags & TLS_ONLY;
	}
	s->service = (struct nbd_service) {
		.loop = loop, .limits = &s->limits, .idle = nobody_asked,
	};
	list_init(&s->service.connections);
	nbd_server_follow(&s->service, exports);
	nbd_exports_drop(exports);
}

static void nothing(void *opaque)
{
	(void)opaque;
}

static void server_exit(struct server *s, struct fuzz_peer *p)
{
	for (unsigned i = 0; i < EXPORTS; i++)
		blk_close(s->instance[i].blk, nothing, NULL);
	fuzz_peer_run(p);
	nbd_exports_drop(s->service.exports);
	for (unsigned i = 0; i < EXPORTS; i++) {
		mem_free(s->mem[i]);
		range_lock_free(s->shared[i].ranges);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t flags = fuzz_u8(&in);
	struct loop *loop = fuzz_loop();
	static struct server server;
	struct fuzz_peer peer;

	server_init(&server, loop, flags);
	fuzz_peer_init(&peer, loop);
	peer.piece = flags & DRIP ? 7 : 0;
	nbd_server_start(&server.service, &peer.stream, 0);
	fuzz_peer_say(&peer, in.at, in.left);
	if (flags & SHUTDOWN)
		nbd_server_shutdown(&server.service);
	fuzz_peer_end(&peer);
	assert(list_empty(&server.service.connections));
	assert(pool_in_use(loop->pool) == 0);
	server_exit(&server, &peer);
	return 0;
}
