/*
 * The connection: receiving across every split, sending through every bottleneck,
 * and dying once from anywhere.
 *
 * The protocol here is as small as it can be and yet need all of conn: one byte of
 * type, four of length (big-endian), then a payload that is received into place.
 */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool.h"
#include "stream.h"
#include "unit.h"

/* ---- A stream that drips, delays and cuts, over one end of a socketpair ---- */

struct drip {
	struct stream stream;
	size_t recv_max, send_max;	/* bytes per call; 0 = any */
	unsigned again_every;		/* every n-th call says EAGAIN; 0 = never */
	unsigned calls, sends;
	size_t send_cut;		/* EPIPE once that many bytes have been sent; 0 = never */
	size_t sent;
	bool hoard;			/* receive all at once and hand it out in pieces, like TLS */
	uint8_t held[8192];
	size_t held_len, held_off;
	bool *closed;
};

static bool says_again(struct drip *d)
{
	return d->again_every && ++d->calls % d->again_every == 0;
}

static size_t scatter(const struct iovec *iov, int count, const uint8_t *p, size_t n)
{
	size_t done = 0;

	for (int i = 0; i < count && done < n; i++) {
		size_t step = n - done < iov[i].iov_len ? n - done : iov[i].iov_len;

		memcpy(iov[i].iov_base, p + done, step);
		done += step;
	}
	return done;
}

static ssize_t drip_recv(struct stream *s, const struct iovec *iov, int count)
{
	struct drip *d = container_of(s, struct drip, stream);
	uint8_t piece[4096];
	size_t max = d->recv_max && d->recv_max < sizeof(piece) ? d->recv_max : sizeof(piece);
	size_t room = 0;
	ssize_t n;

	if (d->held_off == d->held_len && says_again(d)) {
		errno = EAGAIN;
		return -1;
	}
	for (int i = 0; i < count; i++)
		room += iov[i].iov_len;
	if (max > room)
		max = room;
	if (!d->hoard) {
		n = recv(s->fd, piece, max, 0);
		return n <= 0 ? n : (ssize_t)scatter(iov, count, piece, (size_t)n);
	}
	if (d->held_off == d->held_len) {
		n = recv(s->fd, d->held, sizeof(d->held), 0);
		if (n <= 0)
			return n;
		d->held_off = 0;
		d->held_len = (size_t)n;
	}
	if (max > d->held_len - d->held_off)
		max = d->held_len - d->held_off;
	d->held_off += scatter(iov, count, d->held + d->held_off, max);
	return (ssize_t)max;
}

static ssize_t drip_send(struct stream *s, const struct iovec *iov, int count)
{
	struct drip *d = container_of(s, struct drip, stream);
	ssize_t total = 0;

	d->sends++;
	if (says_again(d)) {
		errno = EAGAIN;
		return -1;
	}
	if (d->send_cut && d->sent >= d->send_cut) {
		errno = EPIPE;
		return -1;
	}
	for (int i = 0; i < count; i++) {
		size_t len = iov[i].iov_len;
		ssize_t n;

		if (d->send_max && len > d->send_max - (size_t)total)
			len = d->send_max - (size_t)total;
		n = len ? send(s->fd, iov[i].iov_base, len, MSG_NOSIGNAL) : 0;
		if (n < 0)
			return total ? total : -1;
		total += n;
		d->sent += (size_t)n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return total;
}

static bool drip_pending(struct stream *s)
{
	const struct drip *d = container_of(s, struct drip, stream);

	return d->held_off < d->held_len;
}

static void drip_shut_writes(struct stream *s)
{
	shutdown(s->fd, SHUT_WR);
}

static void drip_close(struct stream *s)
{
	struct drip *d = container_of(s, struct drip, stream);

	close(s->fd);
	if (d->closed)
		*d->closed = true;
	free(d);
}

static const struct stream_ops drip_ops = {
	.name = "drip",
	.recv = drip_recv,
	.send = drip_send,
	.pending = drip_pending,
	.shut_writes = drip_shut_writes,
	.close = drip_close,
};

/* ---- The protocol ---- */

#define HEADER		5
#define PAYLOAD_MAX	(1u << 20)

enum where { NOWHERE, IN_PARSE, IN_FILLED, IN_SENT };

struct peer {
	struct conn conn;
	struct loop *loop;
	struct drip *drip;
	int other;			/* the far end */

	unsigned headers, payloads;	/* whole ones seen */
	size_t payload_bytes;
	unsigned sum;			/* of all payload bytes */
	uint8_t *payload;
	size_t payload_len;

	enum where fail_in, finish_in;
	unsigned pause_every;		/* pause after every n-th message */
	unsigned stop_after;		/* stop the loop after that many payloads; 0 = never */

	unsigned sent_ok, sent_failed;
	unsigned closed;
	bool in_send, sent_inside;
	bool release_in_closed;
	bool stream_closed;
	char why[CONN_WHY_LEN];
};

static struct peer *peer_of(struct conn *c)
{
	return container_of(c, struct peer, conn);
}

static void act(struct peer *p, enum where here)
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

static const struct conn_ops peer_ops = {
	.parse = peer_parse,
	.filled = peer_filled,
	.closed = peer_closed,
};

static struct peer *new_peer(void)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct drip *d = calloc(1, sizeof(*d));
	int fd[2];

	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	d->stream = (struct stream){ &drip_ops, fd[0] };
	d->closed = &p->stream_closed;
	p->drip = d;
	p->other = fd[1];
	p->loop = loop_new();
	p->payload = malloc(PAYLOAD_MAX);
	conn_init(&p->conn, p->loop, &d->stream, &peer_ops);
	return p;
}

static void free_peer(struct peer *p)
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

/* One turn of the loop, without waiting. */
static void turn(struct peer *p)
{
	ev_run(p->loop->ev, EVRUN_NOWAIT);
}

static size_t put_message(uint8_t *to, size_t len, uint8_t seed)
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

static unsigned sum_of(unsigned sum, const uint8_t *message)
{
	size_t len = (size_t)message[1] << 24 | (size_t)message[2] << 16 |
		     (size_t)message[3] << 8 | message[4];

	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + message[HEADER + i];
	return sum;
}

static void push(struct peer *p, const uint8_t *b, size_t n)
{
	CU_ASSERT_EQUAL_FATAL(send(p->other, b, n, 0), (ssize_t)n);
}

/* ---- Receiving ---- */

/* Three messages (12 bytes, none, 9 bytes of payload); returns their length and sum. */
static size_t three_messages(uint8_t *to, unsigned *sum)
{
	size_t first = put_message(to, 12, 1);
	size_t second = put_message(to + first, 0, 0);

	*sum = sum_of(0, to);
	second += first;
	first = put_message(to + second, 9, 77);
	*sum = sum_of(*sum, to + second);
	return second + first;
}

static void messages_survive_every_split_of_the_stream(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);

	for (size_t one = 1; one < n; one++)
		for (size_t two = one; two < n; two++) {
			struct peer *p = new_peer();

			push(p, wire, one);
			turn(p);
			if (two > one)
				push(p, wire + one, two - one);
			turn(p);
			push(p, wire + two, n - two);
			turn(p);
			CU_ASSERT_EQUAL(p->headers, 3);
			CU_ASSERT_EQUAL(p->payloads, 3);
			CU_ASSERT_EQUAL(p->sum, sum);
			CU_ASSERT_EQUAL(p->conn.bytes_in, n);
			free_peer(p);
		}
}

static void messages_survive_dripping_and_delay(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);

	for (size_t drip = 1; drip <= n; drip++)
		for (unsigned again = 0; again < 4; again++)
			for (int hoard = 0; hoard < 2; hoard++) {
				struct peer *p = new_peer();

				p->drip->recv_max = drip;
				p->drip->again_every = again == 1 ? 0 : again;
				p->drip->hoard = hoard;
				p->stop_after = 3;
				push(p, wire, n);
				loop_run(p->loop);
				CU_ASSERT_EQUAL(p->payloads, 3);
				CU_ASSERT_EQUAL(p->sum, sum);
				free_peer(p);
			}
}

static void bytes_that_the_stream_holds_are_not_forgotten(void)
{
	uint8_t wire[8000];
	struct peer *p = new_peer();
	size_t n = 0;

	/* 1000 messages in one go, handed out byte by byte: more than one wakeup allows. */
	while (n + HEADER <= sizeof(wire))
		n += put_message(wire + n, 0, 0);
	p->drip->hoard = true;
	p->drip->recv_max = 1;
	p->stop_after = (unsigned)(n / HEADER);
	push(p, wire, n);
	loop_run(p->loop);
	CU_ASSERT_EQUAL(p->payloads, n / HEADER);
	free_peer(p);
}

static void write_all(int fd, const uint8_t *b, size_t n, struct peer *p)
{
	while (n > 0) {
		ssize_t k = send(fd, b, n, 0);

		if (k > 0) {
			b += k;
			n -= (size_t)k;
		} else {
			CU_ASSERT_FATAL(errno == EAGAIN);
			turn(p);
		}
	}
}

static void big_payloads_arrive_in_place_with_what_follows(void)
{
	static const size_t len[] = { PAYLOAD_MAX, 3, 40000, 0, 300000, 32768, 1, 65536 };
	uint8_t *wire = malloc(HEADER + PAYLOAD_MAX);
	struct peer *p = new_peer();
	struct stream *plain = stream_socket(dup(p->conn.stream->fd));
	unsigned sum = 0;

	/* The real socket stream, for its scatter into place and scratch. */
	CU_ASSERT(conn_switch(&p->conn, plain));
	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		size_t n = put_message(wire, len[i], (uint8_t)i);

		sum = sum_of(sum, wire);
		write_all(p->other, wire, n, p);
	}
	for (int i = 0; i < 10; i++)
		turn(p);
	CU_ASSERT_EQUAL(p->payloads, 8);
	CU_ASSERT_EQUAL(p->sum, sum);
	drip_close(&p->drip->stream);
	free(wire);
	free_peer(p);
}

static void a_paused_connection_waits_and_goes_on_where_it_was(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);

	for (size_t split = 1; split < n; split++) {
		struct peer *p = new_peer();

		p->pause_every = 1;
		push(p, wire, split);
		turn(p);
		push(p, wire + split, n - split);
		for (unsigned message = 1; message <= 3; message++) {
			for (int i = 0; i < 3; i++)
				turn(p);
			CU_ASSERT_EQUAL(p->payloads, message);
			conn_resume(&p->conn);
		}
		CU_ASSERT_EQUAL(p->sum, sum);
		free_peer(p);
	}
}

static void an_idle_connection_holds_no_buffer(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);
	struct peer *p = new_peer();

	push(p, wire, n - 15);		/* ends within the second header */
	turn(p);
	CU_ASSERT(pool_in_use(p->loop->pool) > 0);
	push(p, wire + n - 15, 15);
	turn(p);
	CU_ASSERT_EQUAL(p->payloads, 3);
	CU_ASSERT_EQUAL(pool_in_use(p->loop->pool), 0);
	free_peer(p);
}

static size_t never_satisfied(struct conn *c, const uint8_t *b, size_t n)
{
	(void)c;
	(void)b;
	(void)n;
	return 0;
}

static void a_message_beyond_the_receive_buffer_ends_the_connection(void)
{
	static const struct conn_ops ops = { never_satisfied, peer_filled, peer_closed };
	uint8_t junk[4096] = { 0 };
	struct peer *p = new_peer();

	p->conn.ops = &ops;
	while (!p->closed) {
		send(p->other, junk, sizeof(junk), MSG_NOSIGNAL);
		turn(p);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(p->why, "a message of more than"));
	free_peer(p);
}

/* ---- Sending ---- */

struct reply {
	struct conn_out out;
	struct peer *p;
	uint8_t *data;
};

static void reply_sent(struct conn_out *out, bool ok)
{
	struct reply *r = container_of(out, struct reply, out);
	struct peer *p = r->p;

	p->sent_inside = p->sent_inside || p->in_send;
	if (ok)
		p->sent_ok++;
	else
		p->sent_failed++;
	free(r->data);
	free(r);
	act(p, IN_SENT);
}

/* Queue "len" bytes cut into slices of uneven size. */
static void queue(struct peer *p, size_t len, uint8_t seed)
{
	struct reply *r = calloc(1, sizeof(*r));
	size_t first = len / 5;

	r->p = p;
	r->data = malloc(len);
	for (size_t i = 0; i < len; i++)
		r->data[i] = (uint8_t)(seed + i * 13);
	r->out.iov[0] = (struct iovec){ r->data, first };	/* may be empty */
	r->out.iov[1] = (struct iovec){ r->data + first, len - first };
	r->out.count = 2;
	r->out.sent = reply_sent;
	p->in_send = true;
	conn_send(&p->conn, &r->out);
	p->in_send = false;
}

/* Let the loop run until the far end has read "n" bytes. */
static uint8_t *pull(struct peer *p, size_t n)
{
	uint8_t *b = malloc(n);
	size_t have = 0;

	while (have < n && !p->closed) {
		ssize_t k;

		turn(p);
		k = recv(p->other, b + have, n - have, 0);
		if (k > 0)
			have += (size_t)k;
	}
	CU_ASSERT_EQUAL(have, n);
	return b;
}

static bool is_pattern(const uint8_t *b, size_t len, uint8_t seed)
{
	for (size_t i = 0; i < len; i++)
		if (b[i] != (uint8_t)(seed + i * 13))
			return false;
	return true;
}

static void what_is_queued_in_a_turn_leaves_in_one_call(void)
{
	struct peer *p = new_peer();
	uint8_t *b;

	turn(p);
	for (uint8_t i = 0; i < 100; i++)
		queue(p, 20, i);
	CU_ASSERT_EQUAL(p->drip->sends, 0);
	CU_ASSERT_EQUAL(p->conn.out_bytes, 2000);
	turn(p);
	CU_ASSERT_EQUAL(p->drip->sends, 1);
	CU_ASSERT_EQUAL(p->sent_ok, 100);
	CU_ASSERT_EQUAL(p->conn.out_bytes, 0);
	CU_ASSERT(!p->sent_inside);
	b = pull(p, 2000);
	for (uint8_t i = 0; i < 100; i++)
		CU_ASSERT(is_pattern(b + i * 20, 20, i));
	free(b);
	free_peer(p);
}

static void partial_sends_lose_and_repeat_nothing(void)
{
	for (size_t max = 1; max < 60; max++)
		for (unsigned again = 0; again < 4; again++) {
			struct peer *p = new_peer();
			uint8_t *b;

			p->drip->send_max = max;
			p->drip->again_every = again == 1 ? 0 : again;
			queue(p, 1, 9);
			queue(p, 33, 4);
			queue(p, 17, 200);
			b = pull(p, 51);
			CU_ASSERT(is_pattern(b, 1, 9));
			CU_ASSERT(is_pattern(b + 1, 33, 4));
			CU_ASSERT(is_pattern(b + 34, 17, 200));
			turn(p);
			CU_ASSERT_EQUAL(p->sent_ok, 3);
			CU_ASSERT_EQUAL(p->conn.bytes_out, 51);
			free(b);
			free_peer(p);
		}
}

static void more_than_the_socket_holds_waits_for_room(void)
{
	struct peer *p = new_peer();
	size_t total = 0;
	uint8_t *b, *at;

	for (uint8_t i = 0; i < 200; i++) {
		queue(p, 10000u + i, i);
		total += 10000u + i;
	}
	queue(p, 1u << 20, 250);
	total += 1u << 20;
	turn(p);
	CU_ASSERT(p->sent_ok < 201);
	CU_ASSERT(ev_is_active(&p->conn.writable));
	at = b = pull(p, total);
	for (uint8_t i = 0; i < 200; at += 10000u + i, i++)
		CU_ASSERT(is_pattern(at, 10000u + i, i));
	CU_ASSERT(is_pattern(at, 1u << 20, 250));
	turn(p);
	CU_ASSERT_EQUAL(p->sent_ok, 201);
	CU_ASSERT(!ev_is_active(&p->conn.writable));
	free(b);
	free_peer(p);
}

/* ---- The end ---- */

static void failing_in_any_callback_ends_it_once_with_the_first_reason(void)
{
	static const char *const why[] = { "", "failed in 1", "failed in 2", "failed in 3" };

	for (enum where w = IN_PARSE; w <= IN_SENT; w++)
		for (int in_closed = 0; in_closed < 2; in_closed++) {
			struct peer *p = new_peer();
			uint8_t wire[64];
			unsigned sum;

			p->fail_in = w;
			p->release_in_closed = in_closed;
			push(p, wire, three_messages(wire, &sum));
			if (w == IN_SENT)
				queue(p, 30, 0);
			queue(p, 30, 0);
			loop_run(p->loop);
			CU_ASSERT_STRING_EQUAL(p->why, why[w]);
			CU_ASSERT_EQUAL(p->closed, 1);
			CU_ASSERT_EQUAL(p->sent_ok + p->sent_failed, w == IN_SENT ? 2 : 1);
			CU_ASSERT_EQUAL(p->headers, w == IN_SENT ? p->headers : 1);
			free_peer(p);
		}
}

static void a_send_after_the_end_is_reported_as_failed(void)
{
	struct peer *p = new_peer();

	conn_fail(&p->conn, "%s", "enough");
	queue(p, 10, 0);
	CU_ASSERT_EQUAL(p->sent_failed, 0);
	loop_run(p->loop);
	CU_ASSERT_EQUAL(p->sent_failed, 1);
	queue(p, 10, 0);
	turn(p);
	CU_ASSERT_EQUAL(p->sent_failed, 2);
	queue(p, 10, 0);
	free_peer(p);
}

static void a_stream_that_cuts_fails_what_is_queued(void)
{
	struct peer *p = new_peer();

	p->drip->send_max = 50;
	p->drip->send_cut = 100;
	for (uint8_t i = 0; i < 10; i++)
		queue(p, 30, i);
	loop_run(p->loop);
	CU_ASSERT_EQUAL(p->sent_ok, 3);
	CU_ASSERT_EQUAL(p->sent_failed, 7);
	CU_ASSERT_STRING_EQUAL(p->why, "send: Broken pipe");
	free_peer(p);
}

static void the_peers_end_is_told_from_a_cut_message(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);

	for (size_t len = 0; len <= n; len++) {
		bool whole = len == 0 || len == HEADER + 12 || len == 2 * HEADER + 12 || len == n;
		struct peer *p = new_peer();

		if (len)
			push(p, wire, len);
		shutdown(p->other, SHUT_WR);
		loop_run(p->loop);
		CU_ASSERT_STRING_EQUAL(p->why, whole ? "closed by the peer" :
				       "closed by the peer in the middle of a message");
		CU_ASSERT(p->conn.peer_closed);
		free_peer(p);
	}
}

static void finishing_sends_what_is_queued_and_parses_no_more(void)
{
	for (enum where w = IN_PARSE; w <= IN_FILLED; w++) {
		struct peer *p = new_peer();
		uint8_t wire[64], back[201];
		unsigned sum;

		p->finish_in = w;
		p->drip->send_max = 7;
		for (uint8_t i = 0; i < 10; i++)
			queue(p, 20, i);
		push(p, wire, three_messages(wire, &sum));
		loop_run(p->loop);
		CU_ASSERT_EQUAL(p->headers, 1);
		CU_ASSERT_EQUAL(p->sent_ok, 10);
		CU_ASSERT_STRING_EQUAL(p->why, "finished");
		CU_ASSERT(!p->conn.peer_closed);
		CU_ASSERT_EQUAL(recv(p->other, back, sizeof(back), MSG_WAITALL), 200);
		CU_ASSERT_EQUAL(recv(p->other, back, sizeof(back), 0), 0);
		free_peer(p);
	}
}

static void finishing_with_nothing_queued_ends_soon_but_not_at_once(void)
{
	struct peer *p = new_peer();

	conn_finish(&p->conn, "done");
	conn_finish(&p->conn, "done again");
	CU_ASSERT_EQUAL(p->closed, 0);
	loop_run(p->loop);
	CU_ASSERT_STRING_EQUAL(p->why, "done");
	free_peer(p);
}

static void a_switch_is_refused_while_plain_bytes_wait(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);
	struct peer *p = new_peer();
	struct drip *over = calloc(1, sizeof(*over)), *under = p->drip;

	over->stream = (struct stream){ &drip_ops, dup(under->stream.fd) };
	p->pause_every = 1;
	push(p, wire, n);
	turn(p);
	CU_ASSERT(!conn_switch(&p->conn, &over->stream));
	CU_ASSERT_PTR_EQUAL(p->conn.stream, &under->stream);
	for (int i = 0; i < 2; i++) {
		conn_resume(&p->conn);
		turn(p);
	}
	CU_ASSERT(conn_switch(&p->conn, &over->stream));
	conn_resume(&p->conn);
	push(p, wire, HEADER + 12);
	turn(p);
	CU_ASSERT_EQUAL(p->payloads, 4);
	drip_close(&under->stream);
	free_peer(p);
}

static const struct unit_test tests[] = {
	UNIT_TEST(messages_survive_every_split_of_the_stream),
	UNIT_TEST(messages_survive_dripping_and_delay),
	UNIT_TEST(bytes_that_the_stream_holds_are_not_forgotten),
	UNIT_TEST(big_payloads_arrive_in_place_with_what_follows),
	UNIT_TEST(a_paused_connection_waits_and_goes_on_where_it_was),
	UNIT_TEST(an_idle_connection_holds_no_buffer),
	UNIT_TEST(a_message_beyond_the_receive_buffer_ends_the_connection),
	UNIT_TEST(what_is_queued_in_a_turn_leaves_in_one_call),
	UNIT_TEST(partial_sends_lose_and_repeat_nothing),
	UNIT_TEST(more_than_the_socket_holds_waits_for_room),
	UNIT_TEST(failing_in_any_callback_ends_it_once_with_the_first_reason),
	UNIT_TEST(a_send_after_the_end_is_reported_as_failed),
	UNIT_TEST(a_stream_that_cuts_fails_what_is_queued),
	UNIT_TEST(the_peers_end_is_told_from_a_cut_message),
	UNIT_TEST(finishing_sends_what_is_queued_and_parses_no_more),
	UNIT_TEST(finishing_with_nothing_queued_ends_soon_but_not_at_once),
	UNIT_TEST(a_switch_is_refused_while_plain_bytes_wait),
};

UNIT_MAIN("conn", tests)
