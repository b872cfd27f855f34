/*
 * The bench of the NBD back end's tests: a device on a loop of its own, a directory,
 * and the listening socket that servers are given, so that a connection can be made
 * before there is a server.
 */
#ifndef NBD_BENCH_H
#define NBD_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "blk.h"
#include "loop.h"
#include "offload.h"

struct bench {
	char dir[32];
	char socket[64], file[64], keys[64], uri[192];
	int listener;
	struct loop *loop;
	struct offload *offload;
	struct blk_shared shared;
	struct blkdev *dev;
	char why[256];
	unsigned pending;	/* requests whose end the loop runs for */
};

/* A fresh bench that listens; b->uri leads to it. Over TLS, b->keys has pre-shared keys for both
 * ends; otherwise it is empty. */
void bench_init(struct bench *b, bool tls);

/* Listen, at the place of a socket that has been closed. */
void bench_listen(struct bench *b);

/* Open the device, run the loop until it is open or not: b->dev, b->why. Timeouts in seconds. */
void bench_open_with(struct bench *b, double connect_timeout, double outage_timeout);
/* The same with long timeouts, and it must succeed. */
void bench_open(struct bench *b);

/* Close the device and remove all. */
void bench_end(struct bench *b);

struct request {
	struct blk_req req;
	struct bench *b;
	bool inside;		/* the submit call: done() must not come */
	bool ended;
};

struct request request(enum blk_op op, uint64_t offset, uint64_t length, uint8_t *data);

/* Submit; the loop stops when the last pending request has ended. */
void bench_submit(struct bench *b, struct request *r);

/* One request from start to end; its errno. */
int bench_run(struct bench *b, struct request *r);
int bench_do(struct bench *b, enum blk_op op, uint64_t offset, uint64_t length, uint8_t *data,
	     uint32_t flags);

/* A pattern that differs by seed and place. */
void fill(uint8_t *data, size_t len, unsigned seed);
bool is_filled(const uint8_t *data, size_t len, unsigned seed);

#endif
