/*
 * PDUs on their way out: header, digests, padding, and back-pressure on a peer that
 * sends commands but does not take the answers.
 *
 * Called by everything that answers. An outgoing PDU owns its header and tail; its
 * data belongs to a task, or to a buffer that it gives back itself.
 */
#include <assert.h>
#include <string.h>

#include "crc32c.h"
#include "log.h"
#include "pool.h"
#include "target_conn.h"
#include "target_login.h"
#include "target_private.h"
#include "target_session.h"
#include "target_task.h"

/*
 * So many PDUs, or so many bytes as a session may have in flight, may wait to be
 * sent; then we read no more until half of it has gone.
 */
#define UNSENT_MAX	2048

static bool too_much_unsent(const struct target_conn *c, unsigned share)
{
	return c->unsent > UNSENT_MAX / share
	       || c->conn.out_bytes > c->service->conf->max_bytes / share;
}

static void on_sent(struct conn_out *conn_out, bool ok)
{
	struct target_out *out = container_of(conn_out, struct target_out, out);
	struct target_conn *c = out->conn;
	struct target_task *task = out->task;

	assert(c->unsent > 0);
	c->unsent--;
	if (c->holds & HOLD_UNSENT) {
		/* We do not hear the peer; that it takes our bytes is the sign of life. */
		c->heard = loop_now(c->conn.loop);
		c->pinged = 0;
		if (!too_much_unsent(c, 2))
			target_conn_release(c, HOLD_UNSENT);
	}
	pool_put(c->conn.loop->pool, out->own, out->own_len);
	pool_put(c->conn.loop->pool, out, sizeof(*out));
	if (!task)
		return;
	task->unsent--;
	if (!ok && !task->aborted)
		target_task_abort(task);
	else if (task->answered || task->aborted)
		target_task_reap(task);
	else
		target_xfer_answer(task);
}

struct target_out *target_out_new(struct target_conn *c)
{
	struct target_out *out = pool_zalloc(c->conn.loop->pool, sizeof(*out));

	if (!out) {
		conn_fail(&c->conn, "no memory for a reply");
		return NULL;
	}
	out->conn = c;
	out->out.sent = on_sent;
	return out;
}

/* Whose window of commands it is, also in a login that is to join a session; NULL: nobody's yet. */
static struct target_session *session_of(const struct target_conn *c)
{
	if (c->session || !c->login || !c->login->request.tsih)
		return c->session;
	return target_session_find(c->service, c->login->request.tsih);
}

/* The numbers that every PDU to an initiator carries (RFC 7143 §4.2.2.1). */
static void put_command_window(struct target_conn *c, struct bhs *b)
{
	struct target_session *s = session_of(c);

	if (s) {
		b->max_cmd_sn = target_cmd_sn_max(s, c);
		b->exp_cmd_sn = s->exp_cmd_sn;
	} else {
		b->exp_cmd_sn = c->login_cmd_sn;
		b->max_cmd_sn = c->login_cmd_sn + c->service->conf->queue_depth - 1;
	}
}

static void add_slice(struct target_out *out, const void *p, size_t len)
{
	out->out.iov[out->out.count++] = (struct iovec){ (void *)(uintptr_t)p, len };
}

static void add_header(struct target_out *out, const struct bhs *b, bool digest)
{
	size_t len = BHS_LEN;

	bhs_encode(b, out->header);
	if (digest) {
		digest_put(out->header + len, crc32c(0, out->header, len));
		len += DIGEST_LEN;
	}
	add_slice(out, out->header, len);
}

static void add_data(struct target_out *out, const void *data, uint32_t len, bool digest)
{
	uint32_t pad = bhs_pad(len), tail_len = pad;

	if (len == 0)
		return;
	if (digest) {
		digest_put(out->tail + pad, crc32c(crc32c(0, data, len), out->tail, pad));
		tail_len += DIGEST_LEN;
	}
	add_slice(out, data, len);
	if (tail_len)
		add_slice(out, out->tail, tail_len);
}

void target_pdu_trace(const struct target_conn *c, char direction, const struct bhs *b)
{
	char text[512];

	if (!log_is_on(iscsi_debug_pdu))
		return;
	bhs_format(b, text, sizeof(text));
	log_line(LOG_LEVEL_TRACE, "iSCSI %s: %c %s", c->peer, direction, text);
}

void target_out_send(struct target_out *out, struct bhs *b, const void *data, uint32_t len)
{
	struct target_conn *c = out->conn;
	bool login = b->op == OP_LOGIN_RESPONSE;

	b->data_len = len;
	put_command_window(c, b);
	target_pdu_trace(c, '>', b);
	add_header(out, b, !login && c->params.header_digest == DIGEST_CRC32C);
	add_data(out, data, len, !login && c->params.data_digest == DIGEST_CRC32C);
	c->unsent++;
	if (out->task)
		out->task->unsent++;
	conn_send(&c->conn, &out->out);
	if (too_much_unsent(c, 1))
		target_conn_hold(c, HOLD_UNSENT);
}

void target_send_copy(struct target_conn *c, struct bhs *b, const void *data, uint32_t len)
{
	struct target_out *out = target_out_new(c);

	if (!out)
		return;
	if (len) {
		out->own = pool_get(c->conn.loop->pool, len);
		out->own_len = len;
		if (!out->own) {
			pool_put(c->conn.loop->pool, out, sizeof(*out));
			conn_fail(&c->conn, "no memory for a reply of %u bytes", len);
			return;
		}
		memcpy(out->own, data, len);
	}
	target_out_send(out, b, out->own, len);
}

void target_reject(struct target_conn *c, const uint8_t wire[BHS_LEN], enum reject_reason reason)
{
	struct bhs b = { .op = OP_REJECT, .reason = reason, .stat_sn = target_stat_sn(c) };

	log_trace(iscsi_debug_session, "iSCSI %s: reject, reason 0x%02x", c->peer, reason);
	target_send_copy(c, &b, wire, BHS_LEN);
}
