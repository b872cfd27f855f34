/*
 * What the initiator has heard of our responses, by ExpStatSN (RFC 7143 §4.2.2.2): a task
 * management function is answered after the statuses that it must not overtake.
 *
 * §4.2.3.3, d: a status that left by another connection before must not come after the answer,
 * or the initiator would take it for that of a task to come. A NOP-In has the initiator tell
 * what it has got.
 *
 * Called by target_receive.c with every header, and by target_tmf.c, which has the accounts.
 */
#include "target_conn.h"
#include "target_session.h"
#include "target_tmf.h"

void target_heard(struct target_conn *c, const struct bhs *b)
{
	if (!c->session)
		return;
	if (sn_lt(c->heard_sn, b->exp_stat_sn) && sn_le(b->exp_stat_sn, c->stat_sn))
		c->heard_sn = b->exp_stat_sn;
	/* Even if that is nothing new: who has answered can be asked again. */
	if (!list_empty(&c->session->tmfs))
		target_session_settle(c->session);
}

/* Does the peer still listen, and have we said something that it may not have heard? */
static bool is_unheard(const struct target_conn *c, uint32_t stat_sn)
{
	return target_conn_alive(c) && c->phase == PHASE_FULL_FEATURE && !(c->holds & HOLD_SHUTDOWN)
	       && sn_lt(c->heard_sn, stat_sn);
}

void target_heard_begin(struct target_unheard *u, struct target_session *s,
			const struct target_conn *but)
{
	list_for_each(node, &s->connections) {
		struct target_conn *c = container_of(node, struct target_conn, session_node);

		if (c == but || !is_unheard(c, c->stat_sn))
			continue;
		u->by[u->count].conn = c;
		u->by[u->count].stat_sn = c->stat_sn;
		u->by[u->count++].asked = target_conn_ping(c);
	}
}

bool target_heard_all(struct target_unheard *u)
{
	bool all = true;

	for (unsigned i = 0; i < u->count; i++) {
		if (!u->by[i].conn || !is_unheard(u->by[i].conn, u->by[i].stat_sn))
			continue;
		all = false;
		/* It had been asked before that status left, and may have answered just that. */
		if (!u->by[i].asked)
			u->by[i].asked = target_conn_ping(u->by[i].conn);
	}
	return all;
}

void target_heard_forget(struct target_unheard *u, const struct target_conn *c)
{
	for (unsigned i = 0; i < u->count; i++)
		if (u->by[i].conn == c)
			u->by[i].conn = NULL;
}
