/*
 * From bytes to PDUs (RFC 7143 §11.2): basic header, additional header segments,
 * header digest, data segment, padding, data digest.
 *
 * Called by conn.c. target_dispatch.c decides by the header where the data segment goes
 * before it is read (a task's buffer, a buffer of the PDU's own, or nowhere), and gets the
 * PDU once it is whole.
 */
#include <assert.h>
#include <string.h>

#include "crc32c.h"
#include "target_conn.h"
#include "target_login.h"
#include "target_pdu.h"
#include "target_task.h"
#include "target_tmf.h"

static struct target_conn *conn_of(struct conn *conn)
{
	return container_of(conn, struct target_conn, conn);
}

static bool in_login(const struct target_conn *c)
{
	return c->phase == PHASE_LOGIN;
}

static uint32_t segment_limit(const struct target_conn *c)
{
	return in_login(c) ? KEYS_TEXT_MAX : c->params.our_max_recv_data_segment_length;
}

static bool has_data_digest(const struct target_conn *c)
{
	return !in_login(c) && c->params.data_digest == DIGEST_CRC32C;
}

static bool has_header_digest(const struct target_conn *c)
{
	return !in_login(c) && c->params.header_digest == DIGEST_CRC32C;
}

static uint32_t tail_len(const struct target_conn *c)
{
	uint32_t data_len = c->rx.pdu.bhs.data_len;

	return bhs_pad(data_len) + (data_len && has_data_digest(c) ? DIGEST_LEN : 0);
}

static void complete(struct target_conn *c, bool spoiled)
{
	c->rx.state = RX_HEADER;
	target_dispatch(c, spoiled);
}

static void expect_tail(struct target_conn *c)
{
	if (tail_len(c))
		c->rx.state = RX_TAIL;
	else
		complete(c, false);
}

static void expect_data(struct target_conn *c)
{
	struct target_rx *rx = &c->rx;
	uint32_t len = rx->pdu.bhs.data_len;

	if (!target_conn_alive(c))
		return;
	if (len == 0) {
		complete(c, false);
	} else if (rx->into) {
		rx->state = RX_DATA;
		conn_expect(&c->conn, rx->into, len);
	} else {
		rx->state = RX_SKIP;
		rx->left = len;
	}
}

static void got_header(struct target_conn *c, bool known, const uint8_t *ahs, size_t ahs_len)
{
	const struct bhs *b = &c->rx.pdu.bhs;

	target_pdu_trace(c, '<', b);
	target_conn_heard(c);
	if (known)
		target_heard(c, b);
	if (b->data_len > segment_limit(c))
		conn_fail(&c->conn, "data segment of %u bytes, but we declared %u", b->data_len,
			  segment_limit(c));
	else
		target_dispatch_header(c, known, ahs, ahs_len);
	expect_data(c);
}

static size_t parse_header(struct target_conn *c, const uint8_t *p, size_t n)
{
	struct target_rx *rx = &c->rx;
	struct bhs b;
	bool known;
	size_t len;

	if (n < BHS_LEN)
		return 0;
	known = bhs_decode(p, &b) == 0;
	if (in_login(c) && !c->login && target_join_moves(c, &b))
		return 0;
	len = BHS_LEN + (size_t)b.ahs_words * 4;
	if (n < len + (has_header_digest(c) ? DIGEST_LEN : 0))
		return 0;
	if (has_header_digest(c)) {
		/* RFC 7143 §7.8: without a trustworthy length there is no next PDU. */
		if (crc32c(0, p, len) != digest_get(p + len)) {
			conn_fail(&c->conn, "header digest error");
			return n;
		}
		len += DIGEST_LEN;
	}
	*rx = (struct target_rx){ .pdu = { .conn = c, .bhs = b } };
	memcpy(rx->pdu.wire, p, BHS_LEN);
	got_header(c, known, p + BHS_LEN, (size_t)b.ahs_words * 4);
	return len;
}

static size_t skip_data(struct target_conn *c, const uint8_t *p, size_t n)
{
	struct target_rx *rx = &c->rx;
	uint32_t len = n < rx->left ? (uint32_t)n : rx->left;

	if (has_data_digest(c))
		rx->crc = crc32c(rx->crc, p, len);
	rx->left -= len;
	if (rx->left == 0)
		expect_tail(c);
	return len;
}

static size_t parse_tail(struct target_conn *c, const uint8_t *p, size_t n)
{
	uint32_t len = tail_len(c), pad = bhs_pad(c->rx.pdu.bhs.data_len);
	bool spoiled;

	if (n < len)
		return 0;
	spoiled = has_data_digest(c) && crc32c(c->rx.crc, p, pad) != digest_get(p + pad);
	complete(c, spoiled);
	return len;
}

size_t target_receive(struct conn *conn, const uint8_t *p, size_t n)
{
	struct target_conn *c = conn_of(conn);

	switch (c->rx.state) {
	case RX_HEADER:
		return parse_header(c, p, n);
	case RX_SKIP:
		return skip_data(c, p, n);
	case RX_TAIL:
		return parse_tail(c, p, n);
	case RX_DATA:
		break;
	}
	assert(false);	/* conn.c is filling the buffer itself */
	return 0;
}

void target_received(struct conn *conn)
{
	struct target_conn *c = conn_of(conn);
	struct target_rx *rx = &c->rx;

	assert(rx->state == RX_DATA);
	if (has_data_digest(c))
		rx->crc = crc32c(0, rx->into, rx->pdu.bhs.data_len);
	expect_tail(c);
}

void target_receive_end(struct target_conn *c)
{
	struct target_task *task = c->rx.task;

	target_pdu_drop(&c->rx.pdu);
	if (!task)
		return;
	task->receiving = false;
	target_task_reap(task);
}
