/*
 * A hostile NBD server: the input is what it says, reply by reply, to the requests of a
 * pipe. The first byte says what was agreed on, and what is asked of it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "field.h"
#include "fuzz.h"
#include "fuzz_peer.h"
#include "fuzz_world.h"
#include "nbd_pipe.h"
#include "pool.h"

/* Bits of the first byte. */
enum { STRUCTURED = 1, DRIP = 2, LEAVES = 4 };

/* Bits of the byte that a reply begins with; the others say to which request it is. */
enum { REPLY_RAW = 0x80, REPLY_SIMPLE = 0x40, REPLY_TOGETHER = 0x20, REPLY_TO = 0x1f };

#define CALLS		24
#define AT		4096u
#define LEN		3000u
#define REQUEST_LEN	28

struct asked {
	struct nbd_pipe_call call;
	uint8_t *data;
	bool	 ended;
};

static struct side {
	struct fuzz_peer server;
	struct nbd_pipe *pipe;
	struct asked asked[CALLS];
	unsigned ended;
	bool	 lost;
	/* What has been heard of a request, and of what its payload is not of interest. */
	uint8_t	 header[REQUEST_LEN];
	size_t	 have, skip;
	uint64_t cookies[CALLS];
	unsigned heard;
	/* What is to be said with the next reply. */
	uint8_t	 batch[16384];
	size_t	 batch_len;
} side;

static void on_chunk(struct nbd_pipe_call *call, uint64_t offset, uint64_t length)
{
	assert(call->command == NBD_CMD_READ && length > 0);
	assert(offset >= call->offset && offset + length <= call->offset + call->length);
}

static bool on_extent(struct nbd_pipe_call *call, uint32_t length, uint32_t flags)
{
	assert(call->command == NBD_CMD_BLOCK_STATUS);
	return length > 0 && flags < 0x10000;
}

static void on_failed_at(struct nbd_pipe_call *call, uint64_t offset)
{
	(void)offset;
	assert(call->error > 0);
}

static void on_ended(struct nbd_pipe_call *call, bool answered, int error)
{
	struct asked *asked = container_of(call, struct asked, call);

	(void)answered;
	assert(!asked->ended && error >= 0);
	asked->ended = true;
	side.ended++;
	/* Lent until now, and not for a moment longer. */
	free(asked->data);
}

static const struct nbd_pipe_events events = {
	.chunk = on_chunk, .extent = on_extent, .failed_at = on_failed_at, .ended = on_ended,
};

static void on_lost(void *opaque, const char *why)
{
	(void)opaque;
	assert(!side.lost && why[0]);
	side.lost = true;
}

static struct stream *connected(void)
{
	return &side.server.stream;
}

static void heard_header(void)
{
	struct nbd_request_header h;

	nbd_decode(&nbd_compact_request_layout, side.header, &h, sizeof(h));
	assert(h.magic == NBD_REQUEST_MAGIC);
	side.have = 0;
	side.skip = h.type == NBD_CMD_WRITE ? h.length : 0;
	if (h.type != NBD_CMD_DISC)
		side.cookies[side.heard++] = h.cookie;
}

static void hear(struct fuzz_peer *p, const uint8_t *bytes, size_t len)
{
	(void)p;
	while (len) {
		size_t wanted = side.skip ? side.skip : REQUEST_LEN - side.have;
		size_t n = len < wanted ? len : wanted;

		if (side.skip) {
			side.skip -= n;
		} else {
			memcpy(side.header + side.have, bytes, n);
			side.have += n;
			if (side.have == REQUEST_LEN)
				heard_header();
		}
		bytes += n;
		len -= n;
	}
}

static void ask(struct asked *asked, enum nbd_cmd command)
{
	asked->data = calloc(1, LEN);
	if (!asked->data)
		abort();
	asked->call = (struct nbd_pipe_call){
		.events = &events, .command = command, .offset = AT, .length = LEN,
		.data = asked->data,
	};
	nbd_pipe_send(side.pipe, &asked->call);
}

/* Every kind of request, and of those with much to say in return many. */
static void ask_all(void)
{
	static const enum nbd_cmd commands[] = {
		NBD_CMD_READ, NBD_CMD_BLOCK_STATUS, NBD_CMD_READ, NBD_CMD_WRITE,
		NBD_CMD_READ, NBD_CMD_BLOCK_STATUS, NBD_CMD_FLUSH, NBD_CMD_TRIM,
	};

	for (unsigned i = 0; i < CALLS; i++)
		ask(&side.asked[i], commands[i % (sizeof(commands) / sizeof(commands[0]))]);
	fuzz_peer_run(&side.server);
	assert(side.heard == CALLS);
}

static void flush(void)
{
	size_t len = side.batch_len;

	side.batch_len = 0;
	fuzz_peer_say(&side.server, side.batch, len);
}

static void say(const uint8_t *bytes, size_t len)
{
	if (len > sizeof(side.batch) - side.batch_len)
		flush();
	if (len > sizeof(side.batch))
		len = sizeof(side.batch);
	if (len)
		memcpy(side.batch + side.batch_len, bytes, len);
	side.batch_len += len;
}

static void say_simple(struct fuzz_input *in, uint64_t cookie)
{
	uint8_t head[16];

	put_be32(head, NBD_SIMPLE_REPLY_MAGIC);
	put_be32(head + 4, fuzz_u8(in));
	put_be64(head + 8, cookie);
	say(head, sizeof(head));
}

/* The header; the input's length of the payload, which follows, is in it, too. */
static void say_chunk(struct fuzz_input *in, uint64_t cookie)
{
	uint8_t head[20];

	put_be32(head, NBD_STRUCTURED_REPLY_MAGIC);
	put_be16(head + 4, fuzz_u8(in));
	put_be16(head + 6, fuzz_u16(in));
	put_be64(head + 8, cookie);
	put_be32(head + 16, in->left < 2 ? 0 : get_be16(in->at));
	say(head, sizeof(head));
}

static void say_reply(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t cookie = side.cookies[(how & REPLY_TO) % CALLS];
	const uint8_t *payload;
	size_t len;

	fuzz_units++;
	if (!(how & REPLY_RAW)) {
		if (how & REPLY_SIMPLE)
			say_simple(in, cookie);
		else
			say_chunk(in, cookie);
	}
	len = fuzz_u16(in);
	payload = fuzz_bytes(in, len, &len);
	say(payload, len);
	if (!(how & REPLY_TOGETHER))
		flush();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t flags = fuzz_u8(&in);
	struct loop *loop = fuzz_loop();

	memset(&side, 0, sizeof(side));
	fuzz_peer_init(&side.server, loop);
	side.server.heard = hear;
	side.server.piece = flags & DRIP ? 5 : 0;
	fuzz_connected = connected;
	side.pipe = nbd_pipe_open(loop, eventfd(0, EFD_CLOEXEC), flags & STRUCTURED, on_lost, NULL);
	if (!side.pipe)
		abort();
	ask_all();
	while (in.left && !side.lost)
		say_reply(&in);
	flush();
	if (!(flags & LEAVES) && !side.lost)
		fuzz_peer_hang_up(&side.server);
	nbd_pipe_close(side.pipe);
	fuzz_peer_run(&side.server);
	assert(side.ended == CALLS && side.server.closed && pool_in_use(loop->pool) == 0);
	return 0;
}
