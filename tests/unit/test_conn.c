/*
 * The connection: receiving across every split, sending through every bottleneck,
 * and dying once from anywhere.
 */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn_peer.h"
#include "pool.h"
#include "stream.h"
#include "unit.h"

/* ---- Receiving ---- */

static void messages_survive_every_split_of_the_stream(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);

	for (size_t one = 1; one < n; one++)
		for (size_t two = one; two < n; two++) {
			struct peer *p = peer_new();

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
			peer_free(p);
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
				struct peer *p = peer_new();

				p->drip->recv_max = drip;
				p->drip->again_every = again == 1 ? 0 : again;
				p->drip->hoard = hoard;
				p->stop_after = 3;
				push(p, wire, n);
				loop_run(p->loop);
				CU_ASSERT_EQUAL(p->payloads, 3);
				CU_ASSERT_EQUAL(p->sum, sum);
				peer_free(p);
			}
}

static void bytes_that_the_stream_holds_are_not_forgotten(void)
{
	uint8_t wire[8000];
	struct peer *p = peer_new();
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
	peer_free(p);
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
	struct peer *p = peer_new();
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
	p->drip->stream.ops->close(&p->drip->stream);
	free(wire);
	peer_free(p);
}

static void a_paused_connection_waits_and_goes_on_where_it_was(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);

	for (size_t split = 1; split < n; split++) {
		struct peer *p = peer_new();

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
		peer_free(p);
	}
}

static void an_idle_connection_holds_no_buffer(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);
	struct peer *p = peer_new();

	push(p, wire, n - 15);		/* ends within the second header */
	turn(p);
	CU_ASSERT(pool_in_use(p->loop->pool) > 0);
	push(p, wire + n - 15, 15);
	turn(p);
	CU_ASSERT_EQUAL(p->payloads, 3);
	CU_ASSERT_EQUAL(pool_in_use(p->loop->pool), 0);
	peer_free(p);
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
	struct conn_ops ops = peer_ops;
	uint8_t junk[4096] = { 0 };
	struct peer *p = peer_new();

	ops.parse = never_satisfied;
	p->conn.ops = &ops;
	while (!p->closed) {
		send(p->other, junk, sizeof(junk), MSG_NOSIGNAL);
		turn(p);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(p->why, "a message of more than"));
	peer_free(p);
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
	struct peer *p = peer_new();
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
	peer_free(p);
}

static void answer_comes(struct ev_loop *ev, struct ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	queue(w->data, 20, 1);
}

/* In one turn a question comes in and an older answer is ready. Where the connection ends with
 * the answer, the question must not have been looked at. */
static void answers_leave_before_the_next_question_is_received(void)
{
	for (int ends = 0; ends < 2; ends++) {
		struct peer *p = peer_new();
		struct conn_ops ops = peer_ops;
		uint8_t wire[HEADER];
		struct ev_timer timer;

		ops.asked = true;
		p->conn.ops = &ops;
		p->fail_in = ends ? IN_SENT : NOWHERE;
		turn(p);
		push(p, wire, put_message(wire, 0, 0));
		ev_timer_init(&timer, answer_comes, -1, 0);	/* due, by the coarsest clock */
		timer.data = p;
		ev_timer_start(p->loop->ev, &timer);
		turn(p);
		CU_ASSERT_EQUAL(p->sent_ok, 1);
		CU_ASSERT_EQUAL(p->headers, ends ? 0 : 1);
		peer_free(p);
	}
}

static void partial_sends_lose_and_repeat_nothing(void)
{
	for (size_t max = 1; max < 60; max++)
		for (unsigned again = 0; again < 4; again++) {
			struct peer *p = peer_new();
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
			peer_free(p);
		}
}

static void more_than_the_socket_holds_waits_for_room(void)
{
	struct peer *p = peer_new();
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
	peer_free(p);
}

/* ---- The end ---- */

static void failing_in_any_callback_ends_it_once_with_the_first_reason(void)
{
	static const char *const why[] = { "", "failed in 1", "failed in 2", "failed in 3" };

	for (enum where w = IN_PARSE; w <= IN_SENT; w++)
		for (int in_closed = 0; in_closed < 2; in_closed++) {
			struct peer *p = peer_new();
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
			peer_free(p);
		}
}

static void a_send_after_the_end_is_reported_as_failed(void)
{
	struct peer *p = peer_new();

	conn_fail(&p->conn, "%s", "enough");
	queue(p, 10, 0);
	CU_ASSERT_EQUAL(p->sent_failed, 0);
	loop_run(p->loop);
	CU_ASSERT_EQUAL(p->sent_failed, 1);
	queue(p, 10, 0);
	turn(p);
	CU_ASSERT_EQUAL(p->sent_failed, 2);
	queue(p, 10, 0);
	peer_free(p);
}

static void a_stream_that_cuts_fails_what_is_queued(void)
{
	struct peer *p = peer_new();

	p->drip->send_max = 50;
	p->drip->send_cut = 100;
	for (uint8_t i = 0; i < 10; i++)
		queue(p, 30, i);
	loop_run(p->loop);
	CU_ASSERT_EQUAL(p->sent_ok, 3);
	CU_ASSERT_EQUAL(p->sent_failed, 7);
	CU_ASSERT_STRING_EQUAL(p->why, "send: Broken pipe");
	peer_free(p);
}

static void the_peers_end_is_told_from_a_cut_message(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);

	for (size_t len = 0; len <= n; len++) {
		bool whole = len == 0 || len == HEADER + 12 || len == 2 * HEADER + 12 || len == n;
		struct peer *p = peer_new();

		if (len)
			push(p, wire, len);
		shutdown(p->other, SHUT_WR);
		loop_run(p->loop);
		CU_ASSERT_STRING_EQUAL(p->why, whole ? "closed by the peer" :
				       "closed by the peer in the middle of a message");
		CU_ASSERT(p->conn.peer_closed);
		peer_free(p);
	}
}

static void finishing_sends_what_is_queued_and_parses_no_more(void)
{
	for (enum where w = IN_PARSE; w <= IN_FILLED; w++) {
		struct peer *p = peer_new();
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
		peer_free(p);
	}
}

static void finishing_with_nothing_queued_ends_soon_but_not_at_once(void)
{
	struct peer *p = peer_new();

	conn_finish(&p->conn, "done");
	conn_finish(&p->conn, "done again");
	CU_ASSERT_EQUAL(p->closed, 0);
	loop_run(p->loop);
	CU_ASSERT_STRING_EQUAL(p->why, "done");
	peer_free(p);
}

static void a_switch_is_refused_while_plain_bytes_wait(void)
{
	uint8_t wire[64];
	unsigned sum;
	size_t n = three_messages(wire, &sum);
	struct peer *p = peer_new();
	struct drip *under = p->drip, *over;
	bool over_closed = false;

	over = drip_new(dup(under->stream.fd), &over_closed);
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
	under->stream.ops->close(&under->stream);
	peer_free(p);
	CU_ASSERT(over_closed);
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
	UNIT_TEST(answers_leave_before_the_next_question_is_received),
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
