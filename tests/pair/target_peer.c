/* See target_peer.h. */
#include "target_peer.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crc32c.h"
#include "field.h"
#include "still_clock.h"
#include "stream.h"

#define PATIENCE	5000		/* polls of a millisecond */

static void start(struct peer *p, struct rig *rig, unsigned worker, uint16_t group,
		  const int fds[2])
{
	struct stream *stream = stream_socket(fds[1]);

	assert(stream);
	memset(p, 0, sizeof(*p));
	p->rig = rig;
	p->fd = fds[0];
	p->isid = UINT64_C(0x800000010000);
	p->cmd_sn = 0x100;
	p->stat_sn = 0x700;
	p->max_cmd_sn = p->cmd_sn - 1;
	target_start(&rig->service[worker], stream, group);
	rig_turn(rig);
}

void peer_connect_to(struct peer *p, struct rig *rig, unsigned worker, uint16_t group)
{
	int fds[2], size = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	start(p, rig, worker, group, fds);
}

void peer_connect(struct peer *p, struct rig *rig, unsigned worker)
{
	peer_connect_to(p, rig, worker, RIG_GROUP);
}

void peer_connect_by_tcp(struct peer *p, struct rig *rig, unsigned worker, uint16_t group)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fds[2] = { socket(AF_INET, SOCK_STREAM, 0), -1 };

	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(listener, 1) < 0
	    || getsockname(listener, (struct sockaddr *)&in, &len) < 0
	    || connect(fds[0], (struct sockaddr *)&in, sizeof(in)) < 0)
		abort();
	fds[1] = accept(listener, NULL, NULL);
	close(listener);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	start(p, rig, worker, group, fds);
}

void peer_disconnect(struct peer *p)
{
	close(p->fd);
	p->fd = -1;
	rig_settle(p->rig);
}

static void wait_a_moment(struct peer *p, short events)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = events };

	rig_turn(p->rig);
	poll(&poll_fd, 1, 1);
	clock_pass(0.001);
}

void peer_send_raw(struct peer *p, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (int i = 0; len && i < PATIENCE; i++) {
		ssize_t n = send(p->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;		/* the test sees what the target has to say to that */
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else {
			wait_a_moment(p, POLLOUT);
		}
	}
	rig_turn(p->rig);
}

static void put_digest(uint8_t *p, uint32_t crc)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(crc >> 8 * i);
}

void peer_send(struct peer *p, struct bhs *b, const void *data)
{
	uint32_t pad = bhs_pad(b->data_len);
	size_t at = 0;
	uint8_t *wire = calloc(1, BHS_LEN + 4 + b->data_len + pad + 4);

	assert(wire);
	if (b->op != OP_DATA_OUT && b->op != OP_SNACK)
		b->cmd_sn = p->cmd_sn;
	b->exp_stat_sn = p->stat_sn;
	bhs_encode(b, wire);
	at = BHS_LEN;
	if (p->header_digest) {
		put_digest(wire + at, crc32c(0, wire, BHS_LEN));
		at += 4;
	}
	if (b->data_len) {
		memcpy(wire + at, data, b->data_len);
		if (p->data_digest)
			put_digest(wire + at + b->data_len + pad,
				   crc32c(0, wire + at, b->data_len + pad));
		at += b->data_len + pad + (p->data_digest ? 4 : 0);
	}
	peer_send_raw(p, wire, at);
	free(wire);
}

void peer_send_numbered(struct peer *p, struct bhs *b, const void *data)
{
	peer_send(p, b, data);
	p->cmd_sn++;
}

static bool receive(struct peer *p, void *to, size_t len)
{
	uint8_t *at = to;

	for (int i = 0; len && i < PATIENCE; i++) {
		ssize_t n = recv(p->fd, at, len, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else {
			wait_a_moment(p, POLLIN);
		}
	}
	return len == 0;
}

static bool digest_is(const uint8_t *digest, uint32_t crc)
{
	uint8_t want[4];

	put_digest(want, crc);
	return memcmp(digest, want, sizeof(want)) == 0;
}

static bool get(struct peer *p, uint8_t wire[BHS_LEN + 4])
{
	uint32_t len;

	if (!receive(p, wire, BHS_LEN + (p->header_digest ? 4 : 0)))
		return false;
	if (p->header_digest)
		CU_ASSERT(digest_is(wire + BHS_LEN, crc32c(0, wire, BHS_LEN)));
	CU_ASSERT_EQUAL_FATAL(bhs_decode(wire, &p->got), 0);
	len = p->got.data_len;
	CU_ASSERT_FATAL(len + 8 <= sizeof(p->data));
	if (!len)
		return true;
	if (!receive(p, p->data, len + bhs_pad(len) + (p->data_digest ? 4 : 0)))
		return false;
	if (p->data_digest)
		CU_ASSERT(digest_is(p->data + len + bhs_pad(len),
				    crc32c(0, p->data, len + bhs_pad(len))));
	return true;
}

bool peer_get(struct peer *p)
{
	uint8_t wire[BHS_LEN + 4];

	if (!get(p, wire))
		return false;
	/* MaxCmdSN never moves back (RFC 7143 §4.2.2.1). */
	CU_ASSERT(sn_le(p->max_cmd_sn, p->got.max_cmd_sn));
	p->max_cmd_sn = p->got.max_cmd_sn;
	return true;
}

static bool takes_stat_sn(const struct bhs *b)
{
	return b->op != OP_R2T && (b->op != OP_DATA_IN || b->has_status)
	       && (b->op != OP_NOP_IN || b->itt != ISCSI_NO_TAG);
}

void peer_expect(struct peer *p, struct bhs *want, const void *data, uint32_t data_len)
{
	uint8_t wire[BHS_LEN + 4] = { 0 }, want_wire[BHS_LEN];

	CU_ASSERT_FATAL(get(p, wire));
	CU_ASSERT(sn_le(p->max_cmd_sn, p->got.max_cmd_sn));
	p->max_cmd_sn = want->max_cmd_sn = p->got.max_cmd_sn;
	want->exp_cmd_sn = p->cmd_sn;
	if (want->op != OP_DATA_IN || want->has_status)
		want->stat_sn = p->stat_sn;
	if (takes_stat_sn(want))
		p->stat_sn++;
	want->data_len = data_len;
	bhs_encode(want, want_wire);
	CU_ASSERT_EQUAL(memcmp(wire, want_wire, BHS_LEN), 0);
	if (memcmp(wire, want_wire, BHS_LEN) != 0) {
		char text[512];

		bhs_format(&p->got, text, sizeof(text));
		printf("\n  got  %s\n", text);
		bhs_format(want, text, sizeof(text));
		printf("  want %s\n", text);
	}
	if (data_len && p->got.data_len == data_len)
		CU_ASSERT_EQUAL(memcmp(p->data, data, data_len), 0);
}

void peer_expect_silence(struct peer *p)
{
	uint8_t byte;

	rig_settle(p->rig);
	errno = 0;
	CU_ASSERT_EQUAL(recv(p->fd, &byte, 1, MSG_PEEK), -1);
	CU_ASSERT_EQUAL(errno, EAGAIN);
}

void peer_expect_end(struct peer *p)
{
	for (int i = 0; i < PATIENCE; i++) {
		uint8_t byte;
		ssize_t n = recv(p->fd, &byte, 1, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		CU_ASSERT_EQUAL_FATAL(n, -1);
		wait_a_moment(p, POLLIN);
	}
	CU_FAIL("the connection lives on");
}

void peer_expect_drop(struct peer *p, uint16_t cid)
{
	struct bhs want = { .op = OP_ASYNC_MESSAGE, .async_event = cid ? 2 : 3,
			    .parameter1 = cid, .parameter2 = 2 };

	peer_expect(p, &want, NULL, 0);
	peer_expect_end(p);
}

void peer_expect_reject(struct peer *p, const struct bhs *rejected, uint8_t reason)
{
	struct bhs want = { .op = OP_REJECT, .reason = reason };
	uint8_t wire[BHS_LEN];

	bhs_encode(rejected, wire);
	peer_expect(p, &want, wire, BHS_LEN);
}

void peer_expect_sense(struct peer *p, uint32_t itt, uint32_t reason, uint32_t underflow,
		       uint32_t exp_data_sn)
{
	const struct sense sense = { .reason = reason };
	struct bhs want = { .op = OP_SCSI_RESPONSE, .itt = itt, .status = STATUS_CHECK_CONDITION,
			    .underflow = underflow > 0, .residual = underflow,
			    .exp_data_sn = exp_data_sn };
	uint8_t segment[2 + SENSE_MAX_LEN];
	size_t len = sense_build(&sense, false, segment + 2);

	put_be16(segment, (uint16_t)len);
	peer_expect(p, &want, segment, (uint32_t)len + 2);
}

void peer_expect_response(struct peer *p, uint32_t itt, uint8_t status, int64_t residual,
			  uint32_t exp_data_sn)
{
	struct bhs want = { .op = OP_SCSI_RESPONSE, .itt = itt, .status = status,
			    .overflow = residual > 0, .underflow = residual < 0,
			    .residual = (uint32_t)(residual < 0 ? -residual : residual),
			    .exp_data_sn = exp_data_sn };

	peer_expect(p, &want, NULL, 0);
}

uint32_t peer_expect_r2t(struct peer *p, uint32_t itt, uint32_t r2t_sn, uint32_t offset, uint32_t len)
{
	/* Tags are counted from 0 in a session without other uses of them. */
	struct bhs want = { .op = OP_R2T, .itt = itt, .ttt = r2t_sn, .r2t_sn = r2t_sn,
			    .offset = offset, .desired_len = len };

	peer_expect(p, &want, NULL, 0);
	return want.ttt;
}

struct bhs peer_login_request(struct peer *p, uint32_t len)
{
	return (struct bhs){ .op = OP_LOGIN_REQUEST, .immediate = true, .final = true, .csg = 1,
			     .nsg = 3, .isid = p->isid, .itt = 0x10001, .cid = 1, .data_len = len };
}

void peer_log_in_with(struct peer *p, const char *text, uint32_t len)
{
	struct bhs b = peer_login_request(p, len);

	peer_send(p, &b, text);
	CU_ASSERT_FATAL(peer_get(p));
	CU_ASSERT_EQUAL_FATAL(p->got.op, OP_LOGIN_RESPONSE);
	CU_ASSERT_EQUAL_FATAL(p->got.status_class << 8 | p->got.status_detail, 0);
	CU_ASSERT(p->got.final && p->got.nsg == 3 && p->got.tsih);
	CU_ASSERT_EQUAL(p->got.stat_sn, p->stat_sn);
	CU_ASSERT_EQUAL(p->got.exp_cmd_sn, p->cmd_sn);
	p->stat_sn++;
}

void peer_log_in(struct peer *p)
{
	peer_log_in_with(p, TEXT("InitiatorName=" RIG_INITIATOR "\0TargetName=" RIG_TARGET
				 "\0InitialR2T=No"));
}

void peer_log_in_to_discovery(struct peer *p)
{
	peer_log_in_with(p, TEXT("InitiatorName=" RIG_INITIATOR "\0SessionType=Discovery"));
}

struct bhs peer_read(uint32_t itt, uint32_t edtl, uint32_t blocks)
{
	struct bhs b = { .op = OP_SCSI_COMMAND, .final = true, .read = true, .itt = itt,
			 .edtl = edtl, .attribute = TASK_SIMPLE };
	const struct cdb cdb = { .id = CDB_READ_16, .blocks = blocks };

	cdb_encode(&cdb, b.cdb);
	return b;
}

struct bhs peer_write(uint32_t itt, uint32_t edtl, uint32_t blocks, uint32_t immediate)
{
	struct bhs b = { .op = OP_SCSI_COMMAND, .final = true, .write = true, .itt = itt,
			 .edtl = edtl, .data_len = immediate, .attribute = TASK_SIMPLE };
	const struct cdb cdb = { .id = CDB_WRITE_16, .blocks = blocks };

	cdb_encode(&cdb, b.cdb);
	return b;
}

void peer_send_data(struct peer *p, uint32_t itt, uint32_t ttt, uint32_t data_sn, uint32_t offset,
		    uint32_t len, bool final)
{
	struct bhs b = { .op = OP_DATA_OUT, .final = final, .itt = itt, .ttt = ttt,
			 .data_sn = data_sn, .offset = offset, .data_len = len };

	peer_send(p, &b, rig_pattern() + offset);
}

void rig_begin(struct rig *rig, struct peer *peer)
{
	rig_init(rig);
	rig_start(rig);
	peer_connect(peer, rig, 0);
}

void rig_finish(struct rig *rig, struct peer *peer)
{
	peer_disconnect(peer);
	rig_stop(rig);
}
