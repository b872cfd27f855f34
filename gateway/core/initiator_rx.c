/*
 * The initiator's receive side: bytes become PDUs. The header says whose the payload
 * is, so Data-In goes straight into its task's buffer; padding and digest follow into
 * the receive scratch, never into what is lent. Whole PDUs go to those who know what
 * they mean.
 *
 * Called by conn. Owns the payload buffer of a PDU that is no Data-In, until the PDU
 * has been dealt with.
 */
#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "crc32c.h"
#include "initiator_private.h"

static struct initiator *initiator_of(struct conn *c)
{
	return container_of(c, struct initiator, conn);
}

void rx_reset(struct initiator *ini)
{
	struct rx *rx = &ini->rx;

	if (rx->own)
		pool_put(ini->lu.loop->pool, rx->own, rx->bhs.data_len);
	memset(rx, 0, sizeof(*rx));
}

/* Many things listen on ports; the first byte already tells that this is none of ours. */
static void not_iscsi(struct initiator *ini, const uint8_t *p, size_t n)
{
	char text[25];
	size_t len = n < sizeof(text) - 1 ? n : sizeof(text) - 1;

	for (size_t i = 0; i < len; i++)
		text[i] = (char)(isprint(p[i]) ? p[i] : '?');
	text[len] = '\0';
	conn_fail(&ini->conn, "not an iSCSI target: it answered the login with \"%s\"", text);
}

static bool may_answer_login(uint8_t first_byte)
{
	uint8_t op = first_byte & 0x3f;

	return op == OP_LOGIN_RESPONSE || op == OP_REJECT;
}

/* May this PDU come now? Before full feature phase only the login may (RFC 7143 §6.3). */
static bool expected(const struct initiator *ini, const struct bhs *bhs)
{
	if (ini->state == INITIATOR_LOGIN)
		return may_answer_login(bhs->op);
	return bhs->op >= OP_NOP_IN && bhs->op != OP_LOGIN_RESPONSE;
}

/* Find a place for bhs.data_len bytes of payload; false after conn_fail(). */
static bool place(struct initiator *ini)
{
	struct rx *rx = &ini->rx;

	if (rx->bhs.op == OP_DATA_IN &&
	    (task_slot(ini, rx->bhs.itt) || !task_is_over(ini, rx->bhs.itt)))
		return task_place(ini, &rx->bhs, &rx->payload);
	if (!rx->bhs.data_len)
		return true;
	rx->payload = rx->own = pool_get(ini->lu.loop->pool, rx->bhs.data_len);
	if (!rx->own)
		conn_fail(&ini->conn, "no memory for %u bytes of %s", rx->bhs.data_len,
			  bhs_op_name(rx->bhs.op));
	return rx->own != NULL;
}

/* A whole PDU with the header of another as its payload. */
static void got_reject(struct initiator *ini)
{
	const struct rx *rx = &ini->rx;

	if (rx->bhs.data_len < BHS_LEN)
		conn_fail(&ini->conn, "Reject without the header that it rejects (RFC 7143 §11.17)");
	else
		session_reject(ini, &rx->bhs, rx->payload);
}

static void dispatch(struct initiator *ini)
{
	const struct bhs *bhs = &ini->rx.bhs;

	if (bhs->op != OP_LOGIN_RESPONSE)
		session_numbers(ini, bhs);
	switch ((enum bhs_opcode)bhs->op) {
	case OP_DATA_IN:
		task_data_in(ini, bhs);
		break;
	case OP_SCSI_RESPONSE:
		task_response(ini, bhs, ini->rx.payload);
		break;
	case OP_R2T:
		task_r2t(ini, bhs);
		break;
	case OP_TMF_RESPONSE:
		tmf_response(ini, bhs->itt, bhs->response);
		break;
	case OP_LOGIN_RESPONSE:
		login_response(ini, bhs, ini->rx.payload);
		break;
	case OP_LOGOUT_RESPONSE:
		session_logout_response(ini, bhs);
		break;
	case OP_NOP_IN:
		session_nop_in(ini, bhs);
		break;
	case OP_ASYNC_MESSAGE:
		session_async(ini, bhs);
		break;
	case OP_REJECT:
		got_reject(ini);
		break;
	case OP_TEXT_RESPONSE:
		text_response(ini, bhs, ini->rx.payload);
		break;
	case OP_NOP_OUT:
	case OP_SCSI_COMMAND:
	case OP_TMF_REQUEST:
	case OP_LOGIN_REQUEST:
	case OP_TEXT_REQUEST:
	case OP_DATA_OUT:
	case OP_LOGOUT_REQUEST:
	case OP_SNACK:
		assert(!"expected() lets no request through");
	}
}

static void whole_pdu(struct initiator *ini)
{
	dispatch(ini);
	rx_reset(ini);
	session_pump(ini);
}

static bool header_digest_ok(struct initiator *ini, const uint8_t *p, size_t len)
{
	if (ini->params.header_digest == DIGEST_NONE || digest_get(p + len) == crc32c(0, p, len))
		return true;
	/* Not even the length can be trusted: RFC 7143 §7.8 */
	conn_fail(&ini->conn, "header digest error");
	return false;
}

/* A header with all that belongs to it is at p. */
static void got_header(struct initiator *ini, const uint8_t *p, size_t len)
{
	struct rx *rx = &ini->rx;
	bool known = bhs_decode(p, &rx->bhs) == 0;

	if (!header_digest_ok(ini, p, len))
		return;
	if (log_is_on(iscsi_debug_pdu))
		pdu_trace("receives", &rx->bhs);
	if (!known || !expected(ini, &rx->bhs)) {
		conn_fail(&ini->conn, "unexpected opcode 0x%02x from the target", rx->bhs.op);
		return;
	}
	if (rx->bhs.data_len > ini->params.our_max_recv_data_segment_length) {
		conn_fail(&ini->conn, "%s with %u bytes exceeds the MaxRecvDataSegmentLength of %u",
			  bhs_op_name(rx->bhs.op), rx->bhs.data_len,
			  ini->params.our_max_recv_data_segment_length);
		return;
	}
	if (!place(ini))
		return;
	if (!rx->bhs.data_len) {
		whole_pdu(ini);
		return;
	}
	rx->phase = RX_PAYLOAD;
	conn_expect(&ini->conn, rx->payload, rx->bhs.data_len);
}

static size_t parse_header(struct initiator *ini, const uint8_t *p, size_t n)
{
	size_t digest = ini->params.header_digest == DIGEST_CRC32C ? DIGEST_LEN : 0;
	size_t len = BHS_LEN;

	if (ini->state == INITIATOR_LOGIN && !may_answer_login(p[0])) {
		not_iscsi(ini, p, n);
		return 0;
	}
	if (n < len)
		return 0;
	len += p[4] * 4u;	/* TotalAHSLength; no AHS is defined for what a target sends */
	if (n < len + digest)
		return 0;
	got_header(ini, p, len);
	return len + digest;
}

static size_t trailer_len(const struct initiator *ini)
{
	return bhs_pad(ini->rx.bhs.data_len)
	       + (ini->params.data_digest == DIGEST_CRC32C ? DIGEST_LEN : 0);
}

static size_t parse_trailer(struct initiator *ini, const uint8_t *p, size_t n)
{
	const struct rx *rx = &ini->rx;
	size_t len = trailer_len(ini), pad = bhs_pad(rx->bhs.data_len);

	if (n < len)
		return 0;
	/* ErrorRecoveryLevel 0 knows one remedy: a new session (RFC 7143 §7.8). */
	if (ini->params.data_digest == DIGEST_CRC32C
	    && digest_get(p + pad) != crc32c(crc32c(0, rx->payload, rx->bhs.data_len), p, pad))
		conn_fail(&ini->conn, "data digest error in a %s", bhs_op_name(rx->bhs.op));
	else
		whole_pdu(ini);
	return len;
}

static size_t parse(struct conn *c, const uint8_t *p, size_t n)
{
	struct initiator *ini = initiator_of(c);

	assert(ini->rx.phase != RX_PAYLOAD);
	return ini->rx.phase == RX_HEADER ? parse_header(ini, p, n) : parse_trailer(ini, p, n);
}

static void filled(struct conn *c)
{
	struct initiator *ini = initiator_of(c);

	assert(ini->rx.phase == RX_PAYLOAD);
	if (trailer_len(ini))
		ini->rx.phase = RX_TRAILER;
	else
		whole_pdu(ini);
}

static void closed(struct conn *c, const char *why)
{
	recover_connection_closed(initiator_of(c), why);
}

const struct conn_ops initiator_conn_ops = { .parse = parse, .filled = filled, .closed = closed };
