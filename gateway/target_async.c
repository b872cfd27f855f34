/*
 * Asynchronous Messages (RFC 7143 §11.9): what a target has to say unasked. They ask for a
 * logout, and tell what is about to be dropped and when to come back, so that an initiator
 * need not find out by a connection that ends.
 *
 * Called by target_conn.c, which decides when. Three events are never sent:
 *
 *  - 0, SCSI asynchronous event: SPC-3 has made AERC obsolete, by which a host would know that
 *    it may come. Unit attentions say the same.
 *  - 4, renegotiate: nothing that may be negotiated in full feature phase is ours to change while
 *    we run (MaxRecvDataSegmentLength is the one key there is, and ours is constant); and
 *    open-iscsi drops the session for it, where libiscsi logs out.
 *  - 5, all tasks of a LUN end: only after TaskReporting=FastAbort, which we do not agree to.
 */
#include <math.h>

#include "target_conn.h"
#include "target_session.h"

static void send_message(struct target_conn *c, struct bhs *b)
{
	b->op = OP_ASYNC_MESSAGE;
	b->stat_sn = target_stat_sn(c);
	target_send_copy(c, b, NULL, 0);
}

void target_async_ask(struct target_conn *c, double seconds)
{
	struct bhs b = { .async_event = ASYNC_LOGOUT_WANTED, .parameter3 = (uint16_t)ceil(seconds) };

	send_message(c, &b);
}

/* At ErrorRecoveryLevel 0 there is nothing to be reassigned; what DefaultTime2Retain says of it
 * (Parameter3) is 0, then, whatever an initiator may keep waiting. */
static struct bhs dropped(const struct target_conn *c, enum async_event event)
{
	return (struct bhs){
		.async_event = event,
		.parameter1 = event == ASYNC_CONNECTION_DROPPED ? c->cid : 0,
		.parameter2 = (uint16_t)c->params.default_time2wait,
	};
}

void target_async_drop(struct target_conn *c, bool all)
{
	struct bhs b = dropped(c, all ? ASYNC_ALL_DROPPED : ASYNC_CONNECTION_DROPPED);

	send_message(c, &b);
}

void target_async_tell_dropped(const struct target_conn *c)
{
	struct bhs b = dropped(c, ASYNC_CONNECTION_DROPPED);

	list_for_each(node, &c->session->connections) {
		struct target_conn *other = container_of(node, struct target_conn, session_node);

		if (other == c || !target_conn_alive(other) || other->phase != PHASE_FULL_FEATURE)
			continue;
		send_message(other, &b);
		return;
	}
}
