/*
 * Text requests in full feature phase (RFC 7143 §11.10, §11.11): SendTargets, the few
 * keys that may change outside of login, and long text in pieces in both directions.
 *
 * Called by target_dispatch.c in CmdSN order. One exchange per connection; its state
 * lives from the first request to the response with the F bit.
 */
#include <stdlib.h>

#include "log.h"
#include "pool.h"
#include "target_conn.h"
#include "target_pieces.h"
#include "target_private.h"
#include "target_session.h"
#include "target_text.h"

struct target_text {
	struct bhs request;		/* the latest */
	uint32_t ttt;			/* of our latest response */
	struct negotiation negotiation;
	struct target_pieces text;
};

static struct pool *pool_of(const struct target_conn *c)
{
	return c->conn.loop->pool;
}

void target_text_free(struct target_conn *c)
{
	if (!c->text)
		return;
	target_pieces_drop_in(&c->text->text, pool_of(c));
	target_pieces_drop_out(&c->text->text, pool_of(c));
	free(c->text);
	c->text = NULL;
}

static bool take_pair(struct target_conn *c, const struct key_pair *pair)
{
	struct target_text *t = c->text;

	if (pair->id == KEY_SEND_TARGETS) {
		target_send_targets(c, pair->value, &t->text.out);
		return true;
	}
	if (pair->id == KEY_INITIATOR_ALIAS)
		return true;
	if (pair->id != KEY_NOT_UNDERSTOOD
	    && (pair->id >= KEY_NEGOTIATED || key_row(pair->id)->login_only)) {
		keys_put(&t->text.out, key_row(pair->id)->name, "Reject");
		return true;
	}
	return negotiation_take(&t->negotiation, pair, &t->text.out) != NEGOTIATION_BROKEN;
}

/* One step's whole text: the answers go to t->text.out. False: it breaks the rules. */
static bool take_text(struct target_conn *c, const char *text, size_t len)
{
	struct target_text *t = c->text;
	struct key_pair pair;
	const char *why;
	size_t at = 0;
	int more;

	if (!target_pieces_begin_out(&t->text, pool_of(c),
				     TARGET_TEXT_MAX + target_send_targets_room(c)))
		return false;
	while ((more = keys_next(text, len, &at, &pair, &why)) > 0)
		if (!take_pair(c, &pair))
			return false;
	if (more < 0)
		log_trace(iscsi_debug_session, "iSCSI %s: text: %s", c->peer, why);
	return more == 0 && !t->text.out.overflow;
}

static void respond(struct target_conn *c)
{
	struct target_text *t = c->text;
	const struct bhs *request = &t->request;
	struct bhs b = { .op = OP_TEXT_RESPONSE, .itt = request->itt, .lun = request->lun };
	const char *piece;
	uint32_t len;

	b.cont = target_pieces_next(&t->text, c->params.max_recv_data_segment_length, &piece, &len);
	b.final = !b.cont && request->final;
	t->ttt = b.ttt = b.final ? ISCSI_NO_TAG : target_session_ttt(c->session);
	b.stat_sn = target_stat_sn(c);
	target_send_copy(c, &b, piece, len);
	if (b.final)
		target_text_free(c);
	else if (!b.cont)
		target_pieces_drop_out(&t->text, pool_of(c));
}

/* A new exchange, or the right continuation of the one under way? */
static bool begins_or_continues(struct target_conn *c, const struct bhs *b)
{
	struct target_text *t;

	if (b->final && b->cont)
		return false;
	if (b->ttt != ISCSI_NO_TAG) {
		t = c->text;
		/* While our text goes out in pieces, the initiator only says "go on". */
		return t && b->ttt == t->ttt && b->itt == t->request.itt
		       && !(t->text.out.len && (b->data_len || b->cont));
	}
	target_text_free(c);
	t = c->text = calloc(1, sizeof(*t));
	if (!t)
		return false;
	negotiation_init(&t->negotiation, false, &c->service->conf->params);
	t->negotiation.result = c->params;
	return true;
}

static bool take_request(struct target_conn *c, const struct target_pdu *pdu)
{
	struct target_text *t = c->text;
	const struct bhs *b = &pdu->bhs;
	bool ok;

	t->request = *b;
	if (t->text.out.len)
		return true;	/* the next piece of what is already known */
	if (!b->cont && !t->text.in)
		return take_text(c, pdu->data ? (const char *)pdu->data : "", b->data_len);
	if (!target_pieces_gather(&t->text, pool_of(c), pdu->data, b->data_len))
		return false;
	if (b->cont)
		return true;
	ok = take_text(c, t->text.in, t->text.in_len);
	target_pieces_drop_in(&t->text, pool_of(c));
	return ok;
}

void target_text_request(struct target_pdu *pdu)
{
	struct target_conn *c = pdu->conn;

	if (begins_or_continues(c, &pdu->bhs) && take_request(c, pdu)) {
		c->params.max_recv_data_segment_length =
			c->text->negotiation.result.max_recv_data_segment_length;
		respond(c);
	} else {
		target_reject(c, pdu->wire, REJECT_PROTOCOL_ERROR);
		target_text_free(c);
	}
	target_pdu_drop(pdu);
}
