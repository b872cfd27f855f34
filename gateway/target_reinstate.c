/*
 * Session reinstatement (RFC 7143 §6.3.5): a new session of an initiator port takes the place
 * of the older one, which may live on another worker.
 *
 * Called when a session begins, and when one ends. The messages lie in the new session; it
 * cannot end before the last of them has come back.
 */
#include "loop.h"
#include "target_conn.h"
#include "target_login.h"
#include "target_private.h"
#include "target_session.h"

static void on_gone(struct loop_msg *msg)
{
	struct target_takeover *t = container_of(msg, struct target_takeover, gone);
	struct target_session *s = container_of(t, struct target_session, takeover);

	t->pending = false;
	target_session_settle(s);
}

static void on_dying(struct loop_msg *msg)
{
	struct target_takeover *t = container_of(msg, struct target_takeover, dying);
	struct target_session *s = container_of(t, struct target_session, takeover);

	list_for_each(node, &s->connections)
		target_login_takeover_done(container_of(node, struct target_conn, session_node));
}

/* On the old session's worker. */
static void on_ask(struct loop_msg *msg)
{
	struct target_takeover *t = container_of(msg, struct target_takeover, ask);
	struct target_session *s = container_of(t, struct target_session, takeover);
	struct target_session *old = target_session_find(t->old_service, t->old_tsih);

	if (old) {
		target_session_kill(old, "the initiator has logged in anew");
		list_add_tail(&old->heirs, &t->node);
	}
	loop_post(s->service->loop, &t->dying);
	if (!old)
		loop_post(s->service->loop, &t->gone);
}

void target_reinstate(struct target_session *s, struct target_service *old_service,
		      uint16_t old_tsih)
{
	struct target_takeover *t = &s->takeover;

	*t = (struct target_takeover){
		.ask.run = on_ask, .dying.run = on_dying, .gone.run = on_gone,
		.old_service = old_service, .old_tsih = old_tsih, .pending = true,
	};
	list_init(&t->node);
	loop_post(old_service->loop, &t->ask);
}

void target_reinstate_heirs(struct target_session *s)
{
	struct list *node;

	while ((node = list_pop(&s->heirs))) {
		struct target_takeover *t = container_of(node, struct target_takeover, node);
		struct target_session *heir = container_of(t, struct target_session, takeover);

		loop_post(heir->service->loop, &t->gone);
	}
}
