/*
 * From bytes to PDUs (RFC 7143 §11.2): basic header, additional header segments,
 * header digest, data segment, padding, data digest.
 *
 * Called by conn.c. The header decides where the data segment goes before it is
 * read (a task's buffer, a buffer of the PDU's own, or nowhere), and whether the PDU
 * will be executed, rejected, or ignored; all of that happens once it is whole.
 */
#include <assert.h>
#include <string.h>

#include "crc32c.h"
#include "field.h"
#include "log.h"
#include "pool.h"
#include "target_private.h"

/* RFC 7143 §13.1: the least significant byte goes first, unlike every other number. */
static uint32_t get_digest(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

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

void target_pdu_drop(struct target_pdu *pdu)
{
	if (pdu->data)
		pool_put(pdu->conn->conn.loop->pool, pdu->data, pdu->bhs.data_len);
	pdu->data = NULL;
	if (pdu->task)
		target_task_abort(pdu->task);
	pdu->task = NULL;
}

static void nop_out(struct target_pdu *pdu)
{
	struct target_conn *c = pdu->conn;
	uint32_t limit = c->params.max_recv_data_segment_length;
	struct bhs b = { .op = OP_NOP_IN, .itt = pdu->bhs.itt, .ttt = ISCSI_NO_TAG };
	/* RFC 7143 §11.18: the answer to our NOP-In, or just news of its counters. */
	struct target_out *out = b.itt == ISCSI_NO_TAG ? NULL : target_out_new(c);

	if (out) {
		b.stat_sn = target_stat_sn(c);
		out->own = pdu->data;
		out->own_len = pdu->bhs.data_len;
		pdu->data = NULL;
		target_out_send(out, &b, out->own, out->own_len < limit ? out->own_len : limit);
	}
	target_pdu_drop(pdu);
}

static void scsi_command(struct target_pdu *pdu)
{
	struct target_task *task = pdu->task;

	pdu->task = NULL;
	target_task_start(task);
}

void target_execute(struct target_pdu *pdu)
{
	assert(!pdu->hole);
	if (pdu->reject) {
		target_reject(pdu->conn, pdu->wire, pdu->reject);
		target_pdu_drop(pdu);
		return;
	}
	switch (pdu->bhs.op) {
	case OP_NOP_OUT:
		nop_out(pdu);
		break;
	case OP_SCSI_COMMAND:
		scsi_command(pdu);
		break;
	case OP_TMF_REQUEST:
		target_tmf_request(pdu);
		break;
	case OP_TEXT_REQUEST:
		target_text_request(pdu);
		break;
	case OP_LOGOUT_REQUEST:
		target_logout_request(pdu);
		break;
	default:
		assert(false);	/* header_fault() has let nothing else pass */
	}
}

/* Does the PDU carry a CmdSN of its own, to be executed in turn? */
static bool is_numbered(const struct bhs *b)
{
	switch (b->op) {
	case OP_NOP_OUT:
	case OP_SCSI_COMMAND:
	case OP_TMF_REQUEST:
	case OP_TEXT_REQUEST:
	case OP_LOGOUT_REQUEST:
		return !b->immediate;
	default:
		return false;
	}
}

/* What is wrong with the PDU whatever its kind, in full feature phase. */
static enum reject_reason header_fault(const struct target_conn *c, const struct bhs *b, bool known)
{
	bool in_discovery = c->session->discovery;

	if (!known)
		return REJECT_NOT_SUPPORTED;
	if (b->ahs_words && b->op != OP_SCSI_COMMAND)
		return REJECT_INVALID_FIELD;
	switch (b->op) {
	case OP_NOP_OUT:
		/* RFC 7143 §4.3: a discovery session takes Text and Logout, and rejects all else. */
		if (in_discovery)
			return REJECT_PROTOCOL_ERROR;
		/* RFC 7143 §11.18.1: nobody can be answered, so it must not want to be. */
		return b->itt == ISCSI_NO_TAG && !b->immediate ? REJECT_PROTOCOL_ERROR
							       : REJECT_NONE;
	case OP_TEXT_REQUEST:
	case OP_LOGOUT_REQUEST:
		return REJECT_NONE;
	case OP_SCSI_COMMAND:
	case OP_TMF_REQUEST:
	case OP_DATA_OUT:
		return in_discovery ? REJECT_PROTOCOL_ERROR : REJECT_NONE;
	case OP_SNACK:
		return in_discovery ? REJECT_PROTOCOL_ERROR : REJECT_SNACK;
	default:
		return REJECT_PROTOCOL_ERROR;	/* Login Request, or what only a target sends */
	}
}

/* The data segment is the PDU's own affair: text, ping data. */
static void own_buffer(struct target_conn *c)
{
	struct target_pdu *pdu = &c->rx.pdu;

	if (pdu->bhs.data_len == 0)
		return;
	pdu->data = pool_get(c->conn.loop->pool, pdu->bhs.data_len);
	if (!pdu->data)
		conn_fail(&c->conn, "no memory for a data segment of %u bytes", pdu->bhs.data_len);
	c->rx.into = pdu->data;
}

/* In full feature phase: what is to become of this PDU, and where its data goes. */
static void place(struct target_conn *c, bool known, const uint8_t *ahs, size_t ahs_len)
{
	struct target_rx *rx = &c->rx;
	struct target_pdu *pdu = &rx->pdu;
	const struct bhs *b = &pdu->bhs;

	pdu->reject = header_fault(c, b, known);
	/* Also when it would be rejected: a repetition of what has been executed long ago. */
	rx->ignored = known && is_numbered(b) && !target_session_expects(c->session, b->cmd_sn);
	if (pdu->reject || rx->ignored)
		return;
	if (b->op == OP_SCSI_COMMAND) {
		pdu->reject = target_task_new(pdu, ahs, ahs_len);
		if (!pdu->reject && b->write)
			rx->into = target_xfer_begin(pdu->task, b);
		rx->task = pdu->task;
	} else if (b->op == OP_DATA_OUT) {
		rx->ignored = !target_xfer_header(rx, c->session);
	} else if (b->op == OP_NOP_OUT || b->op == OP_TEXT_REQUEST) {
		own_buffer(c);
	}
	if (rx->task)
		rx->task->receiving = true;
}

/* The PDU is whole, whatever that is worth. */
static void complete(struct target_conn *c, bool spoiled)
{
	struct target_rx *rx = &c->rx;
	struct target_pdu *pdu = &rx->pdu;

	rx->state = RX_HEADER;
	if (rx->task)
		rx->task->receiving = false;
	if (in_login(c)) {
		target_login_request(c, pdu);
	} else if (rx->ignored) {
		target_pdu_drop(pdu);
	} else if (pdu->bhs.op == OP_DATA_OUT && !pdu->reject) {
		target_xfer_data(rx, spoiled);
	} else if (spoiled) {
		/* RFC 7143 §7.8: as if it had never come; its CmdSN is still to be used. */
		target_reject(c, pdu->wire, REJECT_DATA_DIGEST);
		target_pdu_drop(pdu);
	} else if (is_numbered(&pdu->bhs)) {
		target_session_arrived(c->session, pdu);
	} else {
		target_execute(pdu);
	}
	rx->task = NULL;
}

static uint32_t tail_len(const struct target_conn *c)
{
	uint32_t data_len = c->rx.pdu.bhs.data_len;

	return bhs_pad(data_len) + (data_len && has_data_digest(c) ? DIGEST_LEN : 0);
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

/* Which of our answers the initiator has: a task management function may wait for that. */
static void acknowledge(struct target_conn *c, const struct bhs *b)
{
	if (!c->session || !sn_lt(c->heard_sn, b->exp_stat_sn) || !sn_le(b->exp_stat_sn, c->stat_sn))
		return;
	c->heard_sn = b->exp_stat_sn;
	if (!list_empty(&c->session->tmfs))
		target_session_settle(c->session);
}

static void got_header(struct target_conn *c, bool known, const uint8_t *ahs, size_t ahs_len)
{
	const struct bhs *b = &c->rx.pdu.bhs;

	if (log_is_on(iscsi_debug_pdu)) {
		char text[512];

		bhs_format(b, text, sizeof(text));
		log_line(LOG_LEVEL_TRACE, "iSCSI %s: < %s", c->peer, text);
	}
	c->heard = loop_now(c->conn.loop);
	c->pinged = 0;		/* whatever comes is a sign of life */
	acknowledge(c, b);
	if (b->data_len > segment_limit(c))
		conn_fail(&c->conn, "data segment of %u bytes, but we declared %u", b->data_len,
			  segment_limit(c));
	else if (!in_login(c))
		place(c, known, ahs, ahs_len);
	else if (b->op != OP_LOGIN_REQUEST)
		conn_fail(&c->conn, "%s in login phase", bhs_op_name(b->op));
	else if (b->ahs_words)
		conn_fail(&c->conn, "additional header segment in a Login Request");
	else if (!target_guard_text(c, b->data_len))
		conn_fail(&c->conn, "too many logins with long text at a time");
	else
		own_buffer(c);
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
		if (crc32c(0, p, len) != get_digest(p + len)) {
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
	spoiled = has_data_digest(c) && crc32c(c->rx.crc, p, pad) != get_digest(p + pad);
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
