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
	struct target_reinstatement *r = container_of(msg, struct target_reinstatement, gone);
	struct target_session *s = container_of(r, struct target_session, reinstatement);

	r->pending = false;
	target_session_settle(s);
}

static void on_dying(struct loop_msg *msg)
{
	struct target_reinstatement *r = container_of(msg, struct target_reinstatement, dying);
	struct target_session *s = container_of(r, struct target_session, reinstatement);

	list_for_each(node, &s->connections)
		target_login_reinstated(container_of(node, struct target_conn, session_node));
}

/* On the old session's worker. */
static void on_ask(struct loop_msg *msg)
{
	struct target_reinstatement *r = container_of(msg, struct target_reinstatement, ask);
	struct target_session *s = container_of(r, struct target_session, reinstatement);
	struct target_session *old = target_session_find(r->old_service, r->old_tsih);

	if (old) {
		target_session_kill(old, "the initiator has logged in anew");
		list_add_tail(&old->heirs, &r->node);
	}
	loop_post(s->service->loop, &r->dying);
	if (!old)
		loop_post(s->service->loop, &r->gone);
}

void target_reinstate(struct target_session *s, struct target_service *old_service,
		      uint16_t old_tsih)
{
	struct target_reinstatement *r = &s->reinstatement;

	*r = (struct target_reinstatement){
		.ask.run = on_ask, .dying.run = on_dying, .gone.run = on_gone,
		.old_service = old_service, .old_tsih = old_tsih, .pending = true,
	};
	list_init(&r->node);
	loop_post(old_service->loop, &r->ask);
}

void target_reinstate_heirs(struct target_session *s)
{
	struct list *node;

	while ((node = list_pop(&s->heirs))) {
		struct target_reinstatement *r = container_of(node, struct target_reinstatement, node);
		struct target_session *heir = container_of(r, struct target_session, reinstatement);

		loop_post(heir->service->loop, &r->gone);
	}
}
