/*
 * What becomes of a PDU (RFC 7143 §4.2, §4.3, §7.8): whose its data is, and whether it is
 * executed at once, in the turn of its CmdSN, rejected, or ignored.
 *
 * Called by target_receive.c twice for each PDU, with its header and when it is whole, and by
 * target_cmd_sn.c when the turn of one has come.
 */
#include <assert.h>

#include "pool.h"
#include "target_conn.h"
#include "target_login.h"
#include "target_pdu.h"
#include "target_session.h"
#include "target_task.h"
#include "target_text.h"
#include "target_tmf.h"

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

/* In full feature phase. */
static void place(struct target_conn *c, bool known, const uint8_t *ahs, size_t ahs_len)
{
	struct target_rx *rx = &c->rx;
	struct target_pdu *pdu = &rx->pdu;
	const struct bhs *b = &pdu->bhs;

	pdu->reject = header_fault(c, b, known);
	/* Also when it would be rejected: a repetition of what has been executed long ago. */
	rx->ignored = known && is_numbered(b) && !target_cmd_sn_expects(c->session, b->cmd_sn);
	if (pdu->reject || rx->ignored)
		return;
	if (b->op == OP_SCSI_COMMAND) {
		pdu->reject = target_command_take(pdu, ahs, ahs_len);
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

/* In login phase there is one kind of PDU, and it is nobody's yet. */
static void place_login(struct target_conn *c)
{
	const struct bhs *b = &c->rx.pdu.bhs;

	if (b->op != OP_LOGIN_REQUEST)
		conn_fail(&c->conn, "%s in login phase", bhs_op_name(b->op));
	else if (b->ahs_words)
		conn_fail(&c->conn, "additional header segment in a Login Request");
	else if (!target_guard_text(c, b->data_len))
		conn_fail(&c->conn, "too many logins with long text at a time");
	else
		own_buffer(c);
}

void target_dispatch_header(struct target_conn *c, bool known, const uint8_t *ahs, size_t len)
{
	if (c->phase == PHASE_LOGIN)
		place_login(c);
	else
		place(c, known, ahs, len);
}

void target_dispatch(struct target_conn *c, bool spoiled)
{
	struct target_rx *rx = &c->rx;
	struct target_pdu *pdu = &rx->pdu;

	if (rx->task)
		rx->task->receiving = false;
	if (c->phase == PHASE_LOGIN) {
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
		target_cmd_sn_arrived(c->session, pdu);
	} else {
		target_execute(pdu);
	}
	rx->task = NULL;
}
