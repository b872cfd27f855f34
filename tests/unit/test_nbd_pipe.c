/*
 * The pipe against a server that is the test itself, at the other end of a socket
 * pair: what requests look like, that replies may come in any cut, and what no server
 * may say.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errmap.h"
#include "field.h"
#include "nbd_pipe.h"
#include "unit.h"

#define REQUEST_LEN	28
#define AT		4096u	/* where the requests are */
#define LEN		1024u
#define MAX_EXTENTS	4

/* A call and what became of it. */
struct client_call {
	struct nbd_pipe_call call;
	uint8_t data[LEN];
	uint64_t chunks, received;
	uint64_t failed_at;
	uint32_t extents[MAX_EXTENTS][2];
	unsigned extent_count;
	unsigned ended;
	bool answered;
	int error;
};

struct rig {
	struct loop *loop;
	struct nbd_pipe *pipe;
	int server;
	unsigned lost;
	char why[160];
};

static struct client_call *call_of(struct nbd_pipe_call *call)
{
	return container_of(call, struct client_call, call);
}

static void on_chunk(struct nbd_pipe_call *call, uint64_t offset, uint64_t length)
{
	CU_ASSERT(offset >= AT && offset + length <= AT + LEN);
	call_of(call)->chunks++;
	call_of(call)->received += length;
}

/* A length of 0 makes no sense. */
static bool on_extent(struct nbd_pipe_call *call, uint32_t length, uint32_t flags)
{
	struct client_call *c = call_of(call);

	if (c->extent_count < MAX_EXTENTS) {
		c->extents[c->extent_count][0] = length;
		c->extents[c->extent_count++][1] = flags;
	}
	return length > 0;
}

static void on_failed_at(struct nbd_pipe_call *call, uint64_t offset)
{
	call_of(call)->failed_at = offset;
}

static void on_ended(struct nbd_pipe_call *call, bool answered, int error)
{
	struct client_call *c = call_of(call);

	c->ended++;
	c->answered = answered;
	c->error = error;
}

static const struct nbd_pipe_events events = {
	.chunk = on_chunk, .extent = on_extent, .failed_at = on_failed_at, .ended = on_ended,
};

static void on_lost(void *opaque, const char *why)
{
	struct rig *rig = opaque;

	rig->lost++;
	snprintf(rig->why, sizeof(rig->why), "%s", why);
}

static void rig_init(struct rig *rig, bool structured)
{
	int fd[2];

	memset(rig, 0, sizeof(*rig));
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	rig->server = fd[0];
	rig->loop = loop_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->loop);
	rig->pipe = nbd_pipe_open(rig->loop, fd[1], structured, on_lost, rig);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->pipe);
}

/* Everything that can happen without waiting. */
static void turn(struct rig *rig)
{
	for (int i = 0; i < 3; i++)
		ev_run(rig->loop->ev, EVRUN_NOWAIT);
}

static void rig_end(struct rig *rig)
{
	if (rig->pipe)
		nbd_pipe_close(rig->pipe);
	turn(rig);
	close(rig->server);
	loop_free(rig->loop);
}

static void send_call(struct rig *rig, struct client_call *c, enum nbd_cmd command)
{
	memset(c, 0, sizeof(*c));
	memset(c->data, 0xee, sizeof(c->data));
	c->call = (struct nbd_pipe_call){
		.events = &events, .command = command, .offset = AT, .length = LEN, .data = c->data,
	};
	nbd_pipe_send(rig->pipe, &c->call);
}

/* The next request at the server; its cookie. */
static uint64_t get_request(struct rig *rig, enum nbd_cmd command)
{
	uint8_t wire[REQUEST_LEN], data[LEN];
	struct nbd_request_header h;

	turn(rig);
	CU_ASSERT_EQUAL_FATAL(recv(rig->server, wire, sizeof(wire), MSG_DONTWAIT), sizeof(wire));
	nbd_decode(&nbd_compact_request_layout, wire, &h, sizeof(h));
	CU_ASSERT_EQUAL(h.magic, NBD_REQUEST_MAGIC);
	CU_ASSERT_EQUAL(h.type, command);
	CU_ASSERT_EQUAL(h.offset, AT);
	CU_ASSERT_EQUAL(h.length, LEN);
	if (command == NBD_CMD_WRITE)
		CU_ASSERT_EQUAL(recv(rig->server, data, LEN, MSG_DONTWAIT), LEN);
	return h.cookie;
}

/* What the server says: built up, then said. */
struct words {
	uint8_t bytes[8192];
	size_t len;
};

static void put16(struct words *w, uint16_t v)
{
	put_be16(w->bytes + w->len, v);
	w->len += 2;
}

static void put32(struct words *w, uint32_t v)
{
	put_be32(w->bytes + w->len, v);
	w->len += 4;
}

static void put64(struct words *w, uint64_t v)
{
	put_be64(w->bytes + w->len, v);
	w->len += 8;
}

static void put_data(struct words *w, uint8_t byte, size_t len)
{
	memset(w->bytes + w->len, byte, len);
	w->len += len;
}

static void put_simple(struct words *w, uint32_t error, uint64_t cookie)
{
	put32(w, NBD_SIMPLE_REPLY_MAGIC);
	put32(w, error);
	put64(w, cookie);
}

static void put_chunk(struct words *w, bool done, uint16_t type, uint64_t cookie, uint32_t len)
{
	put32(w, NBD_STRUCTURED_REPLY_MAGIC);
	put16(w, done ? NBD_REPLY_FLAG_DONE : 0);
	put16(w, type);
	put64(w, cookie);
	put32(w, len);
}

static void say_in_pieces(struct rig *rig, const struct words *w, size_t piece)
{
	for (size_t at = 0; at < w->len; at += piece) {
		size_t n = w->len - at < piece ? w->len - at : piece;

		CU_ASSERT_EQUAL(send(rig->server, w->bytes + at, n, MSG_NOSIGNAL), (ssize_t)n);
		turn(rig);
	}
}

static void say(struct rig *rig, const struct words *w)
{
	say_in_pieces(rig, w, w->len);
}

/* ---- What goes well ---- */

static void requests_of_one_turn_leave_together_and_replies_come_in_any_order(void)
{
	struct client_call read, write, flush;
	struct words w = { .len = 0 };
	uint64_t cookies[2];
	struct rig rig;

	rig_init(&rig, false);
	send_call(&rig, &read, NBD_CMD_READ);
	send_call(&rig, &write, NBD_CMD_WRITE);
	send_call(&rig, &flush, NBD_CMD_TRIM);
	cookies[0] = get_request(&rig, NBD_CMD_READ);
	cookies[1] = get_request(&rig, NBD_CMD_WRITE);
	put_simple(&w, NBD_ENOSPC, get_request(&rig, NBD_CMD_TRIM));
	put_simple(&w, 0, cookies[1]);
	put_simple(&w, 0, cookies[0]);
	put_data(&w, 0x11, LEN);
	say(&rig, &w);
	CU_ASSERT(flush.ended == 1 && flush.answered && flush.error == ENOSPC);
	CU_ASSERT(write.ended == 1 && write.answered && write.error == 0);
	CU_ASSERT(read.ended == 1 && read.answered && read.error == 0);
	CU_ASSERT(read.received == LEN && read.data[0] == 0x11 && read.data[LEN - 1] == 0x11);
	CU_ASSERT_EQUAL(rig.lost, 0);
	rig_end(&rig);
}

static void put_structured_read(struct words *w, uint64_t cookie)
{
	put_chunk(w, false, NBD_REPLY_TYPE_OFFSET_HOLE, cookie, 12);
	put64(w, AT);
	put32(w, 512);
	put_chunk(w, false, NBD_REPLY_TYPE_OFFSET_DATA, cookie, 8 + 500);
	put64(w, AT + 512);
	put_data(w, 0x22, 500);
	put_chunk(w, false, NBD_REPLY_TYPE_OFFSET_DATA, cookie, 8 + 12);
	put64(w, AT + 1012);
	put_data(w, 0x33, 12);
	put_chunk(w, true, NBD_REPLY_TYPE_NONE, cookie, 0);
}

static void a_structured_read_is_put_together_however_it_is_cut(void)
{
	static const size_t pieces[] = { 1, 7, 28, 511, 8192 };
	struct client_call c;
	struct rig rig;

	rig_init(&rig, true);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct words w = { .len = 0 };

		send_call(&rig, &c, NBD_CMD_READ);
		put_structured_read(&w, get_request(&rig, NBD_CMD_READ));
		say_in_pieces(&rig, &w, pieces[i]);
		CU_ASSERT(c.ended == 1 && c.answered && c.error == 0);
		CU_ASSERT(c.chunks == 3 && c.received == LEN);
		CU_ASSERT(c.data[0] == 0 && c.data[511] == 0);
		CU_ASSERT(c.data[512] == 0x22 && c.data[1011] == 0x22);
		CU_ASSERT(c.data[1012] == 0x33 && c.data[1023] == 0x33);
	}
	rig_end(&rig);
}

static void chunks_of_several_reads_may_alternate(void)
{
	struct client_call a, b;
	struct words w = { .len = 0 };
	uint64_t first, second;
	struct rig rig;

	rig_init(&rig, true);
	send_call(&rig, &a, NBD_CMD_READ);
	send_call(&rig, &b, NBD_CMD_READ);
	first = get_request(&rig, NBD_CMD_READ);
	second = get_request(&rig, NBD_CMD_READ);
	for (unsigned half = 0; half < 2; half++) {
		put_chunk(&w, half == 1, NBD_REPLY_TYPE_OFFSET_DATA, second, 8 + 512);
		put64(&w, AT + 512 - half * 512);
		put_data(&w, 0x44, 512);
		put_chunk(&w, half == 1, NBD_REPLY_TYPE_OFFSET_DATA, first, 8 + 512);
		put64(&w, AT + half * 512);
		put_data(&w, 0x55, 512);
	}
	say(&rig, &w);
	CU_ASSERT(a.ended == 1 && a.received == LEN && a.data[600] == 0x55);
	CU_ASSERT(b.ended == 1 && b.received == LEN && b.data[600] == 0x44);
	rig_end(&rig);
}

static void the_first_error_of_a_reply_counts_and_says_where(void)
{
	struct client_call c;
	struct words w = { .len = 0 };
	uint64_t cookie;
	struct rig rig;

	rig_init(&rig, true);
	send_call(&rig, &c, NBD_CMD_READ);
	cookie = get_request(&rig, NBD_CMD_READ);
	put_chunk(&w, false, NBD_REPLY_TYPE_ERROR_OFFSET, cookie, 4 + 2 + 3 + 8);
	put32(&w, NBD_EIO);
	put16(&w, 3);
	put_data(&w, 'x', 3);
	put64(&w, AT + 100);
	/* A type that is not known, but an error all the same. */
	put_chunk(&w, true, 0x80ff, cookie, 4 + 2 + 5);
	put32(&w, NBD_EINVAL);
	put16(&w, 0);
	put_data(&w, 0, 5);
	say_in_pieces(&rig, &w, 10);
	CU_ASSERT(c.ended == 1 && c.answered && c.error == EIO);
	CU_ASSERT_EQUAL(c.failed_at, AT + 100);
	CU_ASSERT_EQUAL(rig.lost, 0);
	rig_end(&rig);
}

static void extents_are_told_one_by_one(void)
{
	struct client_call c;
	struct words w = { .len = 0 };
	struct rig rig;

	rig_init(&rig, true);
	send_call(&rig, &c, NBD_CMD_BLOCK_STATUS);
	put_chunk(&w, true, NBD_REPLY_TYPE_BLOCK_STATUS, get_request(&rig, NBD_CMD_BLOCK_STATUS),
		  4 + 2 * 8);
	put32(&w, 1);
	put32(&w, 512);
	put32(&w, 3);
	put32(&w, 4096);
	put32(&w, 0);
	say_in_pieces(&rig, &w, 9);
	CU_ASSERT(c.ended == 1 && c.error == 0 && c.extent_count == 2);
	CU_ASSERT(c.extents[0][0] == 512 && c.extents[0][1] == 3);
	CU_ASSERT(c.extents[1][0] == 4096 && c.extents[1][1] == 0);
	rig_end(&rig);
}

static void an_extent_that_makes_no_sense_fails_its_call_alone(void)
{
	struct client_call c;
	struct words w = { .len = 0 };
	struct rig rig;

	rig_init(&rig, true);
	send_call(&rig, &c, NBD_CMD_BLOCK_STATUS);
	put_chunk(&w, true, NBD_REPLY_TYPE_BLOCK_STATUS, get_request(&rig, NBD_CMD_BLOCK_STATUS),
		  4 + 8);
	put32(&w, 1);
	put64(&w, 0);
	say(&rig, &w);
	CU_ASSERT(c.ended == 1 && c.answered && c.error == EIO);
	CU_ASSERT_EQUAL(rig.lost, 0);
	rig_end(&rig);
}

static void every_place_is_used_again(void)
{
	static struct client_call c[NBD_PIPE_CALLS];
	struct rig rig;

	rig_init(&rig, false);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < NBD_PIPE_CALLS; i++)
			send_call(&rig, &c[i], NBD_CMD_TRIM);
		for (unsigned i = 0; i < NBD_PIPE_CALLS; i++) {
			struct words w = { .len = 0 };

			put_simple(&w, 0, get_request(&rig, NBD_CMD_TRIM));
			say(&rig, &w);
		}
		for (unsigned i = 0; i < NBD_PIPE_CALLS; i++)
			CU_ASSERT(c[i].ended == 1 && c[i].answered && c[i].error == 0);
	}
	rig_end(&rig);
}

/* ---- What ends the connection ---- */

#define COOKIE_AT	8	/* in every kind of reply */

/* What the server says to a READ, but for the cookie: the connection is lost, and the call with it. */
static void expect_the_end(bool structured, const struct words *words, const char *why)
{
	struct words w = *words;
	struct client_call c;
	struct rig rig;

	rig_init(&rig, structured);
	send_call(&rig, &c, NBD_CMD_READ);
	put_be64(w.bytes + COOKIE_AT, get_request(&rig, NBD_CMD_READ));
	say(&rig, &w);
	CU_ASSERT_EQUAL(rig.lost, 1);
	CU_ASSERT_STRING_EQUAL(rig.why, why);
	CU_ASSERT_EQUAL(c.ended, 0);
	nbd_pipe_close(rig.pipe);
	rig.pipe = NULL;
	CU_ASSERT(c.ended == 1 && !c.answered);
	rig_end(&rig);
}

static void chunk_ends_it(uint16_t type, uint32_t len, uint64_t first, uint32_t second,
			  const char *why)
{
	struct words w = { .len = 0 };

	put_chunk(&w, false, type, 0, len);
	put64(&w, first);
	put32(&w, second);
	put_data(&w, 0, 64);
	expect_the_end(true, &w, why);
}

static void what_no_server_may_say_ends_the_connection(void)
{
	static const char data[] = "data that was not asked for";
	static const char hole[] = "a hole that was not asked for";
	struct words w = { .len = 0 };

	chunk_ends_it(NBD_REPLY_TYPE_OFFSET_DATA, 8 + 32, AT - 1, 0, data);
	chunk_ends_it(NBD_REPLY_TYPE_OFFSET_DATA, 8 + 32, AT + LEN - 31, 0, data);
	chunk_ends_it(NBD_REPLY_TYPE_OFFSET_DATA, 8 + LEN + 1, AT, 0, data);
	chunk_ends_it(NBD_REPLY_TYPE_OFFSET_DATA, 8 + 32, UINT64_MAX - 15, 0, data);
	chunk_ends_it(NBD_REPLY_TYPE_OFFSET_DATA, 8, AT, 0, "a chunk of type 0x1 and 8 bytes");
	chunk_ends_it(NBD_REPLY_TYPE_OFFSET_HOLE, 12, AT, LEN + 1, hole);
	chunk_ends_it(NBD_REPLY_TYPE_OFFSET_HOLE, 12, AT, 0, hole);
	chunk_ends_it(NBD_REPLY_TYPE_OFFSET_HOLE, 11, AT, 1, "a chunk of type 0x2 and 11 bytes");
	chunk_ends_it(NBD_REPLY_TYPE_BLOCK_STATUS, 12, 0, 0,
		      "a block status that was not asked for");
	chunk_ends_it(NBD_REPLY_TYPE_NONE, 0, 0, 0, "an empty chunk that is not the last");
	chunk_ends_it(NBD_REPLY_TYPE_NONE, 1, 0, 0, "a chunk of type 0x0 and 1 bytes");
	chunk_ends_it(7, 4, 0, 0, "a chunk of type 0x7 and 4 bytes");
	chunk_ends_it(NBD_REPLY_TYPE_ERROR, 5, 0, 0, "a chunk of type 0x8001 and 5 bytes");
	chunk_ends_it(NBD_REPLY_TYPE_ERROR, 1u << 20, 0, 0,
		      "a chunk of type 0x8001 and 1048576 bytes");
	/* Error 5, with a text of 256 bytes in 8. */
	chunk_ends_it(NBD_REPLY_TYPE_ERROR, 14, UINT64_C(0x0000000501000000), 0,
		      "an error chunk that is too short");
	put_simple(&w, 0, 0);
	expect_the_end(true, &w, "a simple reply to a read");
	w.bytes[0] ^= 1;
	expect_the_end(true, &w, "a reply begins with 0x66446698");
	w.len = 0;
	put_chunk(&w, true, NBD_REPLY_TYPE_NONE, 0, 0);
	expect_the_end(false, &w, "a reply begins with 0x668e33ef");
}

static void a_reply_is_to_a_request_that_is_outstanding(void)
{
	struct client_call c;
	struct words w = { .len = 0 };
	uint64_t cookie;
	struct rig rig;

	rig_init(&rig, false);
	send_call(&rig, &c, NBD_CMD_TRIM);
	cookie = get_request(&rig, NBD_CMD_TRIM);
	put_simple(&w, 0, cookie);
	put_simple(&w, 0, cookie);
	say(&rig, &w);
	CU_ASSERT(c.ended == 1 && c.answered);
	CU_ASSERT_EQUAL(rig.lost, 1);
	CU_ASSERT_STRING_EQUAL(rig.why, "a reply to no request of ours");
	rig_end(&rig);
}

static void a_server_that_goes_leaves_its_calls_unanswered(void)
{
	struct client_call c;
	struct words w = { .len = 0 };
	struct rig rig;

	rig_init(&rig, false);
	send_call(&rig, &c, NBD_CMD_READ);
	put_simple(&w, 0, get_request(&rig, NBD_CMD_READ));
	put_data(&w, 0x11, 1);
	say(&rig, &w);
	shutdown(rig.server, SHUT_RDWR);
	turn(&rig);
	CU_ASSERT_EQUAL(rig.lost, 1);
	CU_ASSERT_STRING_EQUAL(rig.why, "closed by the peer in the middle of a message");
	nbd_pipe_close(rig.pipe);
	rig.pipe = NULL;
	CU_ASSERT(c.ended == 1 && !c.answered);
	rig_end(&rig);
}

static void closing_says_goodbye_and_ends_what_is_outstanding(void)
{
	uint8_t wire[REQUEST_LEN];
	struct client_call c;
	struct rig rig;

	rig_init(&rig, false);
	send_call(&rig, &c, NBD_CMD_WRITE);
	get_request(&rig, NBD_CMD_WRITE);
	nbd_pipe_close(rig.pipe);
	rig.pipe = NULL;
	CU_ASSERT(c.ended == 1 && !c.answered);
	CU_ASSERT_EQUAL(recv(rig.server, wire, sizeof(wire), MSG_DONTWAIT), sizeof(wire));
	CU_ASSERT_EQUAL(get_be16(wire + 6), NBD_CMD_DISC);
	turn(&rig);
	CU_ASSERT_EQUAL(recv(rig.server, wire, sizeof(wire), MSG_DONTWAIT), 0);
	CU_ASSERT_EQUAL(rig.lost, 0);
	rig_end(&rig);
}

static void a_request_that_has_not_left_is_forgotten_with_the_pipe(void)
{
	struct client_call *c = malloc(sizeof(*c));
	uint8_t wire[REQUEST_LEN];
	struct rig rig;

	rig_init(&rig, false);
	send_call(&rig, c, NBD_CMD_WRITE);
	nbd_pipe_close(rig.pipe);
	rig.pipe = NULL;
	CU_ASSERT(c->ended == 1 && !c->answered);
	free(c);		/* nothing of it may be looked at any more */
	turn(&rig);
	CU_ASSERT_EQUAL(recv(rig.server, wire, sizeof(wire), MSG_DONTWAIT), 0);
	rig_end(&rig);
}

static const struct unit_test tests[] = {
	UNIT_TEST(requests_of_one_turn_leave_together_and_replies_come_in_any_order),
	UNIT_TEST(a_structured_read_is_put_together_however_it_is_cut),
	UNIT_TEST(chunks_of_several_reads_may_alternate),
	UNIT_TEST(the_first_error_of_a_reply_counts_and_says_where),
	UNIT_TEST(extents_are_told_one_by_one),
	UNIT_TEST(an_extent_that_makes_no_sense_fails_its_call_alone),
	UNIT_TEST(every_place_is_used_again),
	UNIT_TEST(what_no_server_may_say_ends_the_connection),
	UNIT_TEST(a_reply_is_to_a_request_that_is_outstanding),
	UNIT_TEST(a_server_that_goes_leaves_its_calls_unanswered),
	UNIT_TEST(closing_says_goodbye_and_ends_what_is_outstanding),
	UNIT_TEST(a_request_that_has_not_left_is_forgotten_with_the_pipe),
};

UNIT_MAIN("nbd_pipe", tests)
