/* One end of a connection for the tests of conn. */
#include "conn_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool.h"
#include "unit.h"

static struct peer *peer_of(struct conn *c)
{
	return container_of(c, struct peer, conn);
}

void act(struct peer *p, enum where here)
{
	if (p->fail_in == here) {
		conn_fail(&p->conn, "failed in %d", (int)here);
		conn_fail(&p->conn, "a second reason");
	}
	if (p->finish_in == here)
		conn_finish(&p->conn, "finished");
}

static void message_done(struct peer *p)
{
	if (p->pause_every && p->payloads % p->pause_every == 0)
		conn_pause(&p->conn);
	if (p->stop_after && p->payloads == p->stop_after)
		loop_stop(p->loop);
}

static size_t peer_parse(struct conn *c, const uint8_t *b, size_t n)
{
	struct peer *p = peer_of(c);
	size_t len;

	if (n < HEADER)
		return 0;
	p->headers++;
	len = (size_t)b[1] << 24 | (size_t)b[2] << 16 | (size_t)b[3] << 8 | b[4];
	CU_ASSERT_EQUAL(b[0], 'M');
	CU_ASSERT_FATAL(len <= PAYLOAD_MAX);
	p->payload_len = len;
	if (len)
		conn_expect(c, p->payload, len);
	else
		p->payloads++;
	act(p, IN_PARSE);
	if (!len)
		message_done(p);
	return HEADER;
}

static void peer_filled(struct conn *c)
{
	struct peer *p = peer_of(c);

	p->payloads++;
	p->payload_bytes += p->payload_len;
	for (size_t i = 0; i < p->payload_len; i++)
		p->sum = p->sum * 31 + p->payload[i];
	act(p, IN_FILLED);
	message_done(p);
}

static void peer_closed(struct conn *c, const char *why)
{
	struct peer *p = peer_of(c);

	p->closed++;
	snprintf(p->why, sizeof(p->why), "%s", why);
	loop_stop(p->loop);
	if (p->release_in_closed)
		conn_release(c);
}

const struct conn_ops peer_ops = {
	.parse = peer_parse,
	.filled = peer_filled,
	.closed = peer_closed,
};

struct peer *peer_new(void)
{
	struct peer *p = calloc(1, sizeof(*p));
	int fd[2];

	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	p->drip = drip_new(fd[0], &p->stream_closed);
	p->other = fd[1];
	p->loop = loop_new();
	p->payload = malloc(PAYLOAD_MAX);
	conn_init(&p->conn, p->loop, &p->drip->stream, &peer_ops);
	return p;
}

void peer_free(struct peer *p)
{
	if (!p->closed) {
		conn_fail(&p->conn, "end of the test");
		loop_run(p->loop);
	}
	if (!p->release_in_closed)
		conn_release(&p->conn);
	CU_ASSERT_EQUAL(p->closed, 1);
	CU_ASSERT(p->stream_closed);
	CU_ASSERT_EQUAL(pool_in_use(p->loop->pool), 0);
	close(p->other);
	loop_free(p->loop);
	free(p->payload);
	free(p);
}

void turn(struct peer *p)
{
	ev_run(p->loop->ev, EVRUN_NOWAIT);
}

size_t put_message(uint8_t *to, size_t len, uint8_t seed)
{
	to[0] = 'M';
	to[1] = (uint8_t)(len >> 24);
	to[2] = (uint8_t)(len >> 16);
	to[3] = (uint8_t)(len >> 8);
	to[4] = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		to[HEADER + i] = (uint8_t)(seed + i * 7);
	return HEADER + len;
}

unsigned sum_of(unsigned sum, const uint8_t *message)
{
	size_t len = (size_t)message[1] << 24 | (size_t)message[2] << 16 |
		     (size_t)message[3] << 8 | message[4];

	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + message[HEADER + i];
	return sum;
}

void push(struct peer *p, const uint8_t *b, size_t n)
{
	CU_ASSERT_EQUAL_FATAL(send(p->other, b, n, 0), (ssize_t)n);
}

size_t three_messages(uint8_t *to, unsigned *sum)
{
	size_t first = put_message(to, 12, 1);
	size_t second = put_message(to + first, 0, 0);

	*sum = sum_of(0, to);
	second += first;
	first = put_message(to + second, 9, 77);
	*sum = sum_of(*sum, to + second);
	return second + first;
}
