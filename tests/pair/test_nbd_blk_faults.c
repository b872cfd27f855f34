/*
 * The NBD back end against a server that answers by script: what no decent server
 * does on demand. The script runs in a thread of its own, in plain blocking calls.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errmap.h"
#include "log.h"
#include "nbd_bench.h"
#include "nbd_wire.h"
#include "unit.h"

#define SIZE	(1u << 20)

/* ---- A server ---- */

static void get(int fd, void *p, size_t n)
{
	if (n > 0 && recv(fd, p, n, MSG_WAITALL) != (ssize_t)n)
		memset(p, 0, n);
}

static void put(int fd, const void *p, size_t n)
{
	if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		return;		/* the client has gone, as some scripts have it */
}

static void put16(int fd, uint16_t v)
{
	v = htobe16(v);
	put(fd, &v, sizeof(v));
}

static void put32(int fd, uint32_t v)
{
	v = htobe32(v);
	put(fd, &v, sizeof(v));
}

static void put64(int fd, uint64_t v)
{
	v = htobe64(v);
	put(fd, &v, sizeof(v));
}

static uint32_t get32(int fd)
{
	uint32_t v;

	get(fd, &v, sizeof(v));
	return be32toh(v);
}

static uint64_t get64(int fd)
{
	uint64_t v;

	get(fd, &v, sizeof(v));
	return be64toh(v);
}

static void option_reply(int fd, uint32_t option, uint32_t type, uint32_t len)
{
	put64(fd, NBD_OPTION_REPLY_MAGIC);
	put32(fd, option);
	put32(fd, type);
	put32(fd, len);
}

static uint16_t offered = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_WRITE_ZEROES;

static void go(int fd)
{
	option_reply(fd, NBD_OPT_GO, NBD_REP_INFO, 12);
	put16(fd, NBD_INFO_EXPORT);
	put64(fd, SIZE);
	put16(fd, offered);
	option_reply(fd, NBD_OPT_GO, NBD_REP_ACK, 0);
}

/* Accept a client and take it to the transmission phase (proto.md, "Handshake"). */
static int accept_client(int listener)
{
	int fd = accept(listener, NULL, NULL);
	uint8_t data[4096];
	uint32_t option;

	put64(fd, NBD_MAGIC);
	put64(fd, NBD_OPTS_MAGIC);
	put16(fd, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	get32(fd);
	do {
		uint64_t magic = get64(fd);
		uint32_t len;

		option = get32(fd);
		len = get32(fd);
		if (magic != NBD_OPTS_MAGIC || len > sizeof(data))
			break;
		get(fd, data, len);
		if (option == NBD_OPT_GO)
			go(fd);
		else if (option == NBD_OPT_STRUCTURED_REPLY)
			option_reply(fd, option, NBD_REP_ACK, 0);
		else
			option_reply(fd, option, NBD_REP_ERR_UNSUP, 0);
	} while (option != NBD_OPT_GO);
	return fd;
}

static uint32_t latest;		/* flags and type of the latest request */

/* Take a request in, with its data; its cookie, 0 when there is none. */
static uint64_t get_request(int fd)
{
	static uint8_t data[SIZE];
	uint32_t command = (latest = (get32(fd), get32(fd))) & 0xffff;
	uint64_t cookie = get64(fd);
	uint32_t len;

	get64(fd);
	len = get32(fd);
	if (command == NBD_CMD_WRITE && len <= sizeof(data))
		get(fd, data, len);
	return command == NBD_CMD_DISC ? 0 : cookie;
}

static void simple_reply(int fd, uint32_t error, uint64_t cookie)
{
	put32(fd, NBD_SIMPLE_REPLY_MAGIC);
	put32(fd, error);
	put64(fd, cookie);
}

static void chunk(int fd, uint16_t flags, uint16_t type, uint64_t cookie, uint32_t len)
{
	put32(fd, NBD_STRUCTURED_REPLY_MAGIC);
	put16(fd, flags);
	put16(fd, type);
	put64(fd, cookie);
	put32(fd, len);
}

static void data_chunk(int fd, uint16_t flags, uint64_t cookie, uint64_t offset, size_t len)
{
	uint8_t *data = malloc(len);

	fill(data, len, 1);
	chunk(fd, flags, NBD_REPLY_TYPE_OFFSET_DATA, cookie, (uint32_t)(8 + len));
	put64(fd, offset);
	put(fd, data, len);
	free(data);
}

static void error_chunk(int fd, uint16_t flags, uint64_t cookie, uint32_t error, uint64_t offset)
{
	chunk(fd, flags, NBD_REPLY_TYPE_ERROR_OFFSET, cookie, 4 + 2 + 8);
	put32(fd, error);
	put16(fd, 0);
	put64(fd, offset);
}

/* ---- Running a script ---- */

struct play {
	struct bench b;
	pthread_t thread;
	int fd;			/* the last connection, which play_end() closes */
	unsigned sent_again;
};

static void play_begin(struct play *p, void *(*script)(void *))
{
	bench_init(&p->b, false);
	p->fd = -1;
	p->sent_again = 0;
	pthread_create(&p->thread, NULL, script, p);
	bench_open(&p->b);
}

static void play_end(struct play *p)
{
	bench_end(&p->b);
	pthread_join(p->thread, NULL);
	close(p->fd);
}

/* ---- The scripts and their tests ---- */

#define AT	8192

static const struct {
	enum blk_op op;
	uint32_t flags, sent;
} flagged[] = {
	{ BLK_WRITE, 0, NBD_CMD_WRITE },
	{ BLK_WRITE, BLK_FUA, (uint32_t)NBD_CMD_FLAG_FUA << 16 | NBD_CMD_WRITE },
	{ BLK_TRIM, BLK_FUA, (uint32_t)NBD_CMD_FLAG_FUA << 16 | NBD_CMD_TRIM },
	{ BLK_ZERO, BLK_FUA | BLK_NO_HOLE,
	  (uint32_t)(NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE) << 16 | NBD_CMD_WRITE_ZEROES },
	{ BLK_ZERO, BLK_FAST, (uint32_t)NBD_CMD_FLAG_FAST_ZERO << 16 | NBD_CMD_WRITE_ZEROES },
};

/* Whatever comes with other flags is refused. */
static void *look_at_flags(void *arg)
{
	struct play *p = arg;

	p->fd = accept_client(p->b.listener);
	for (size_t i = 0; i < sizeof(flagged) / sizeof(flagged[0]); i++) {
		uint64_t cookie = get_request(p->fd);

		simple_reply(p->fd, latest == flagged[i].sent ? 0 : NBD_EPERM, cookie);
	}
	return NULL;
}

static void what_is_asked_of_a_request_is_asked_of_the_server(void)
{
	uint16_t usual = offered;
	uint8_t data[4096] = { 0 };
	struct play p;

	offered |= NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_FAST_ZERO;
	play_begin(&p, look_at_flags);
	for (size_t i = 0; i < sizeof(flagged) / sizeof(flagged[0]); i++) {
		struct request r = request(flagged[i].op, AT, sizeof(data), data);

		r.req.flags = flagged[i].flags;
		CU_ASSERT_EQUAL(bench_run(&p.b, &r), 0);
	}
	play_end(&p);
	offered = usual;
}

static void *fail_behind_1024_bytes(void *arg)
{
	struct play *p = arg;
	uint64_t cookie;

	p->fd = accept_client(p->b.listener);
	cookie = get_request(p->fd);
	data_chunk(p->fd, 0, cookie, AT, 1024);
	error_chunk(p->fd, 0, cookie, NBD_EIO, AT + 3072);
	error_chunk(p->fd, NBD_REPLY_FLAG_DONE, cookie, NBD_EIO, AT + 1024);
	return NULL;
}

static void a_read_error_names_the_first_bad_byte(void)
{
	uint8_t data[4096];
	struct request r = request(BLK_READ, AT, sizeof(data), data);
	struct play p;

	play_begin(&p, fail_behind_1024_bytes);
	CU_ASSERT_EQUAL(bench_run(&p.b, &r), EIO);
	CU_ASSERT(r.req.has_error_offset);
	CU_ASSERT_EQUAL(r.req.error_offset, AT + 1024);
	CU_ASSERT(is_filled(data, 1024, 1));
	play_end(&p);
}

static void *fail_at_the_end_without_data(void *arg)
{
	struct play *p = arg;
	uint64_t cookie;

	p->fd = accept_client(p->b.listener);
	cookie = get_request(p->fd);
	data_chunk(p->fd, 0, cookie, AT + 1024, 1024);
	error_chunk(p->fd, NBD_REPLY_FLAG_DONE, cookie, NBD_EIO, AT + 4095);
	return NULL;
}

static void data_before_the_error_is_only_claimed_if_it_came(void)
{
	uint8_t data[4096];
	struct request r = request(BLK_READ, AT, sizeof(data), data);
	struct play p;

	play_begin(&p, fail_at_the_end_without_data);
	CU_ASSERT_EQUAL(bench_run(&p.b, &r), EIO);
	CU_ASSERT(r.req.has_error_offset);
	CU_ASSERT_EQUAL(r.req.error_offset, AT);
	play_end(&p);
}

/* Of a read of 4096 bytes, if this is what the server sends. */
static void expect_left_out(void *(*server)(void *))
{
	uint8_t data[4096];
	struct request r = request(BLK_READ, AT, sizeof(data), data);
	struct play p;

	play_begin(&p, server);
	CU_ASSERT_EQUAL(bench_run(&p.b, &r), EIO);
	CU_ASSERT_STRING_EQUAL(r.req.why, "the server left out parts of the data");
	play_end(&p);
}

/* As many bytes as there must be, but some of them twice. */
static void *send_data_twice(void *arg)
{
	struct play *p = arg;
	uint64_t cookie;

	p->fd = accept_client(p->b.listener);
	cookie = get_request(p->fd);
	data_chunk(p->fd, 0, cookie, AT, 2048);
	data_chunk(p->fd, NBD_REPLY_FLAG_DONE, cookie, AT, 2048);
	return NULL;
}

static void data_that_came_twice_makes_up_for_none(void)
{
	expect_left_out(send_data_twice);
}

static void *send_data_in_disorder(void *arg)
{
	static const unsigned order[] = { 7, 3, 0, 6, 2, 1, 4, 5 };
	struct play *p = arg;
	uint64_t cookie;

	p->fd = accept_client(p->b.listener);
	cookie = get_request(p->fd);
	for (unsigned i = 0; i < 8; i++)
		data_chunk(p->fd, i == 7 ? NBD_REPLY_FLAG_DONE : 0, cookie, AT + order[i] * 512, 512);
	return NULL;
}

static void data_may_come_in_any_order(void)
{
	uint8_t data[4096];
	struct request r = request(BLK_READ, AT, sizeof(data), data);
	struct play p;

	play_begin(&p, send_data_in_disorder);
	CU_ASSERT_EQUAL(bench_run(&p.b, &r), 0);
	play_end(&p);
}

static void *leave_out_data(void *arg)
{
	struct play *p = arg;

	p->fd = accept_client(p->b.listener);
	data_chunk(p->fd, NBD_REPLY_FLAG_DONE, get_request(p->fd), AT, 1024);
	return NULL;
}

static void a_reply_that_leaves_out_data_is_an_error(void)
{
	expect_left_out(leave_out_data);
}

static void *not_supported(void *arg)
{
	struct play *p = arg;

	p->fd = accept_client(p->b.listener);
	simple_reply(p->fd, NBD_ENOTSUP, get_request(p->fd));
	return NULL;
}

static void not_supported_is_no_answer_to_a_zero_that_need_not_be_fast(void)
{
	struct play p;

	play_begin(&p, not_supported);
	CU_ASSERT_EQUAL(bench_do(&p.b, BLK_ZERO, 0, 4096, NULL, 0), EIO);
	play_end(&p);
}

static void *shut_down_once(void *arg)
{
	struct play *p = arg;
	int first = accept_client(p->b.listener);

	simple_reply(first, NBD_ESHUTDOWN, get_request(first));
	/* It is the client that has to go: proto.md, "Error values". */
	p->fd = accept_client(p->b.listener);
	simple_reply(p->fd, 0, get_request(p->fd));
	close(first);
	return NULL;
}

static void a_server_that_shuts_down_is_left_and_the_request_sent_to_the_next(void)
{
	uint8_t data[512] = { 0 };
	struct play p;

	play_begin(&p, shut_down_once);
	CU_ASSERT_EQUAL(bench_do(&p.b, BLK_WRITE, 0, sizeof(data), data, 0), 0);
	CU_ASSERT_EQUAL(p.b.dev->info.generation, 1);
	play_end(&p);
}

static void *answer_the_second_and_die(void *arg)
{
	struct play *p = arg;
	int first = accept_client(p->b.listener);
	uint64_t cookie;

	get_request(first);
	simple_reply(first, 0, get_request(first));
	get_request(first);
	close(first);
	p->fd = accept_client(p->b.listener);
	/* Of the three writes the second may come again, which the log has, and the last. */
	while ((cookie = get_request(p->fd))) {
		p->sent_again++;
		simple_reply(p->fd, 0, cookie);
	}
	return NULL;
}

static void a_write_that_was_overtaken_is_not_sent_again(void)
{
	uint8_t data[1024] = { 0 };
	struct request old = request(BLK_WRITE, 0, 1024, data);
	struct request new = request(BLK_WRITE, 512, 1024, data);
	struct request other = request(BLK_WRITE, 4096, 1024, data);
	struct play p;

	play_begin(&p, answer_the_second_and_die);
	bench_submit(&p.b, &old);
	bench_submit(&p.b, &new);
	bench_submit(&p.b, &other);
	loop_run(p.b.loop);
	CU_ASSERT_EQUAL(old.req.error, ENOTCONN);
	CU_ASSERT_STRING_EQUAL(old.req.why, "connection lost, and the outcome with it");
	CU_ASSERT_EQUAL(new.req.error, 0);
	CU_ASSERT_EQUAL(other.req.error, 0);
	play_end(&p);
	CU_ASSERT_EQUAL(p.sent_again, 2);
}

static void *acknowledge_and_die(void *arg)
{
	struct play *p = arg;
	int first = accept_client(p->b.listener);
	uint64_t cookie;

	for (int i = 0; i < 3; i++)
		simple_reply(first, 0, get_request(first));
	close(first);
	p->fd = accept_client(p->b.listener);
	while ((cookie = get_request(p->fd))) {
		p->sent_again++;
		simple_reply(p->fd, 0, cookie);
	}
	return NULL;
}

static void acknowledged_writes_are_sent_again_unless_they_were_flushed(void)
{
	uint8_t data[1024] = { 0 };
	struct play p;

	play_begin(&p, acknowledge_and_die);
	CU_ASSERT_EQUAL(bench_do(&p.b, BLK_WRITE, 0, sizeof(data), data, 0), 0);
	CU_ASSERT_EQUAL(bench_do(&p.b, BLK_FLUSH, 0, 0, NULL, 0), 0);
	CU_ASSERT_EQUAL(bench_do(&p.b, BLK_WRITE, 4096, sizeof(data), data, 0), 0);
	CU_ASSERT_EQUAL(bench_do(&p.b, BLK_WRITE, 8192, sizeof(data), data, 0), 0);
	CU_ASSERT_EQUAL(bench_do(&p.b, BLK_FLUSH, 0, 0, NULL, 0), 0);
	CU_ASSERT_EQUAL(p.b.dev->info.losses, 0);
	play_end(&p);
	CU_ASSERT_EQUAL(p.sent_again, 3);	/* 4096, 8192 and the flush */
}

static void *talk_nonsense(void *arg)
{
	struct play *p = arg;
	int first = accept_client(p->b.listener);

	get_request(first);
	put64(first, UINT64_C(0x0102030405060708));
	put64(first, 0);
	p->fd = accept_client(p->b.listener);
	simple_reply(p->fd, 0, get_request(p->fd));
	close(first);
	return NULL;
}

static void nonsense_ends_the_connection_and_not_the_request(void)
{
	struct play p;

	play_begin(&p, talk_nonsense);
	CU_ASSERT_EQUAL(bench_do(&p.b, BLK_FLUSH, 0, 0, NULL, 0), 0);
	play_end(&p);
}

static const struct unit_test tests[] = {
	UNIT_TEST(what_is_asked_of_a_request_is_asked_of_the_server),
	UNIT_TEST(a_read_error_names_the_first_bad_byte),
	UNIT_TEST(data_before_the_error_is_only_claimed_if_it_came),
	UNIT_TEST(a_reply_that_leaves_out_data_is_an_error),
	UNIT_TEST(data_that_came_twice_makes_up_for_none),
	UNIT_TEST(data_may_come_in_any_order),
	UNIT_TEST(not_supported_is_no_answer_to_a_zero_that_need_not_be_fast),
	UNIT_TEST(a_server_that_shuts_down_is_left_and_the_request_sent_to_the_next),
	UNIT_TEST(a_write_that_was_overtaken_is_not_sent_again),
	UNIT_TEST(acknowledged_writes_are_sent_again_unless_they_were_flushed),
	UNIT_TEST(nonsense_ends_the_connection_and_not_the_request),
};

/* Outages are what is tested: their log lines would only hide the results. */
static void no_log(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

int main(void)
{
	if (!getenv("VERBOSE"))
		log_set_sink(no_log);
	return unit_main("nbd_blk_faults", tests, sizeof(tests) / sizeof(tests[0]));
}
