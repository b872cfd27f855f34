/*
 * Many threads, as nbdkit has them, on the plugin's engine: each writes, zeroes, reads and asks
 * about a part of the unit that is its own, and knows at every moment what must be there.
 *
 *	engine_load URL SESSIONS THREADS OPERATIONS
 *
 * nbdkit itself is not built with the thread sanitizer; this is, with the engine and the core.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "log.h"

#define MAX_THREADS	64
#define PIECE		16384u	/* the longest request */

struct client {
	pthread_t thread;
	struct session *session;
	uint64_t start;			/* its part of the unit: "size" bytes from here */
	uint32_t size, block;
	unsigned operations;
	unsigned short seed[3];
	uint8_t *content;		/* what must be there */
	bool failed;
};

static void to_stderr(enum log_level level, const char *line)
{
	(void)level;
	fprintf(stderr, "%s\n", line);
}

static uint32_t pick(struct client *c, uint32_t below)
{
	return (uint32_t)(erand48(c->seed) * below);
}

static bool failed(struct client *c, const struct blk_req *req, const char *what)
{
	fprintf(stderr, "%s of %llu at %llu: %s %s\n", what, (unsigned long long)req->length,
		(unsigned long long)req->offset, req->error ? strerror(req->error) : "other data",
		req->why);
	c->failed = true;
	return false;
}

static bool submit(struct client *c, struct blk_req *req, const char *what)
{
	engine_submit(c->session, req);
	return req->error ? failed(c, req, what) : true;
}

static bool write_some(struct client *c, struct blk_req *req, uint8_t *expected)
{
	int byte = (int)pick(c, 256);

	req->op = pick(c, 3) ? BLK_WRITE : BLK_ZERO;
	req->flags = pick(c, 4) ? 0 : BLK_FUA;
	memset(expected, req->op == BLK_WRITE ? byte : 0, req->length);
	if (req->op == BLK_WRITE)
		memset(req->data, byte, req->length);
	return submit(c, req, req->op == BLK_WRITE ? "write" : "zero");
}

static bool read_some(struct client *c, struct blk_req *req, const uint8_t *expected)
{
	req->op = BLK_READ;
	if (!submit(c, req, "read"))
		return false;
	return memcmp(req->data, expected, req->length) == 0 || failed(c, req, "read");
}

static bool ask(struct client *c, struct blk_req *req)
{
	struct blk_extent extents[8];
	struct blk_info info;

	engine_info(c->session, &info);
	req->op = pick(c, 2) ? BLK_STATUS : BLK_FLUSH;
	if (req->op == BLK_FLUSH)
		req->offset = req->length = 0;
	req->extents = extents;
	req->extent_room = 8;
	return submit(c, req, req->op == BLK_STATUS ? "status" : "flush");
}

static bool operate(struct client *c, uint8_t *buffer)
{
	uint32_t length = c->block * (1 + pick(c, PIECE / c->block));
	uint32_t at = c->block * pick(c, (c->size - length) / c->block + 1);
	struct blk_req req = { .offset = c->start + at, .length = length, .data = buffer };

	switch (pick(c, 8)) {
	case 0:
		return ask(c, &req);
	case 1: case 2: case 3:
		return read_some(c, &req, c->content + at);
	default:
		return write_some(c, &req, c->content + at);
	}
}

static void *run(void *opaque)
{
	struct client *c = opaque;
	uint8_t *buffer = malloc(PIECE);

	for (unsigned i = 0; buffer && i < c->operations; i++)
		if (!operate(c, buffer))
			break;
	free(buffer);
	return NULL;
}

/* All of it is zero to begin with. */
static bool load(struct engine *engine, unsigned threads, unsigned operations)
{
	static struct client clients[MAX_THREADS];
	struct blk_info info;
	bool good = true;

	engine_info(engine_session(engine, 0), &info);
	for (unsigned i = 0; i < threads; i++) {
		struct client *c = &clients[i];

		c->session = engine_session(engine, i % engine_units(engine));
		c->block = info.min_block > 512 ? info.min_block : 512;
		c->size = 16 * PIECE;
		c->start = (uint64_t)i * c->size;
		c->operations = operations;
		c->seed[0] = (unsigned short)i;
		c->content = calloc(1, c->size);
		if (!c->content || c->start + c->size > info.size ||
		    pthread_create(&c->thread, NULL, run, c) != 0)
			exit(99);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(clients[i].thread, NULL);
		good = good && !clients[i].failed;
		free(clients[i].content);
	}
	return good;
}

int main(int argc, char **argv)
{
	struct engine_conf conf = { 0 };
	struct engine *engine;
	unsigned threads = argc == 5 ? (unsigned)atoi(argv[3]) : 0;
	char why[256];
	bool good;

	if (threads < 1 || threads > MAX_THREADS || atoi(argv[2]) < 1) {
		fprintf(stderr, "usage: engine_load URL SESSIONS THREADS OPERATIONS\n");
		return 2;
	}
	log_set_sink(to_stderr);
	initiator_conf_init(&conf.initiator);
	conf.sessions = (unsigned)atoi(argv[2]);
	if (!iscsi_url_parse(argv[1], &conf.url, why, sizeof(why)) ||
	    !engine_probe(&conf, why, sizeof(why)) ||
	    !(engine = engine_start(&conf, why, sizeof(why)))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	good = load(engine, threads, (unsigned)atoi(argv[4]));
	engine_stop(engine);
	return good ? 0 : 1;
}
