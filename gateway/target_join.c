/*
 * Further connections of a session (RFC 7143 §6.3.1), and connections in the place of
 * older ones (§6.3.4).
 *
 * A session lives on one worker, and so do all its connections; but the listener, which
 * knows nothing of sessions, gives a connection to any. It moves once, at its very
 * beginning: the first Login Request names the session, and before a byte of it is
 * consumed, socket and bytes go to the session's worker, where the connection begins
 * anew. Nothing else has to be carried over.
 *
 * The worker is found by TSIH alone, before anybody has proved to be anybody. Whether the
 * connection may join is decided at the end of its login.
 */
#include <stdlib.h>

#include "log.h"
#include "stream.h"
#include "target_conn.h"
#include "target_login.h"
#include "target_private.h"
#include "target_session.h"
#include "target_shared.h"

/*
 * A connection on its way. A descriptor that is no longer watched stays in libev's epoll
 * set until epoll reports what nobody wants to know; only then is it taken out. It must
 * not be there any more when it is another thread's, so we wait for it to be writable,
 * which it is as nothing has been sent, stop waiting, and let the loop turn once.
 */
struct target_passage {
	struct loop_call leave;		/* here, when parse() has returned, */
	ev_io	 writable;		/* when epoll has been asked anew, */
	ev_timer turn;			/* and when it is out of it */
	struct loop_msg arrive;		/* there */
	struct target_conn *conn;
	struct target_service *to;
	struct stream *stream;
	uint16_t group;
	uint8_t	*bytes;			/* received, and not consumed */
	size_t	 len;
};

static void on_arrive(struct loop_msg *msg)
{
	struct target_passage *p = container_of(msg, struct target_passage, arrive);
	struct target_conn *c = NULL;

	if (p->to->shutting_down)
		p->stream->ops->close(p->stream);
	else
		c = target_conn_start(p->to, p->stream, p->group);
	if (c) {
		c->has_moved = true;
		conn_preload(&c->conn, p->bytes, p->len);
	}
	free(p->bytes);
	free(p);
}

static void on_turn(struct ev_loop *ev, struct ev_timer *w, int events)
{
	struct target_passage *p = container_of(w, struct target_passage, turn);
	struct target_conn *c = p->conn;

	(void)ev;
	(void)events;
	if (!target_conn_alive(c))
		return;		/* it has been ended meanwhile: target_join_forget() comes */
	p->stream = conn_detach(&c->conn, &p->bytes, &p->len);
	if (!p->stream) {
		conn_fail(&c->conn, "no memory for a connection on its way");
		return;
	}
	log_trace(iscsi_debug_conn, "iSCSI %s: on to worker %u", c->peer, p->to->worker);
	c->passage = NULL;
	target_conn_vanish(c);
	loop_post(p->to->loop, &p->arrive);
}

static void on_writable(struct ev_loop *ev, struct ev_io *w, int events)
{
	struct target_passage *p = container_of(w, struct target_passage, writable);

	(void)events;
	ev_io_stop(ev, &p->writable);
	ev_timer_start(ev, &p->turn);
}

static void on_leave(struct loop_call *call)
{
	struct target_passage *p = container_of(call, struct target_passage, leave);

	if (target_conn_alive(p->conn))
		ev_io_start(p->conn->service->loop->ev, &p->writable);
}

bool target_join_moves(struct target_conn *c, const struct bhs *b)
{
	struct target_passage *p;
	struct target_service *to;

	if (b->op != OP_LOGIN_REQUEST || !b->tsih || c->has_moved)
		return false;
	to = target_shared_where(c->service->shared, b->tsih);
	if (!to || to == c->service)
		return false;
	p = calloc(1, sizeof(*p));
	if (!p)
		return false;	/* it will be told that there is no such session here */
	loop_call_init(&p->leave, on_leave);
	ev_io_init(&p->writable, on_writable, c->conn.stream->write_fd, EV_WRITE);
	ev_timer_init(&p->turn, on_turn, 0, 0);
	p->arrive.run = on_arrive;
	p->conn = c;
	p->to = to;
	p->group = c->group;
	c->passage = p;
	target_conn_hold(c, HOLD_PASSAGE);
	loop_defer(c->service->loop, &p->leave);
	return true;
}

void target_join_forget(struct target_conn *c)
{
	if (!c->passage)
		return;
	loop_call_cancel(&c->passage->leave);
	ev_io_stop(c->service->loop->ev, &c->passage->writable);
	ev_timer_stop(c->service->loop->ev, &c->passage->turn);
	free(c->passage);
	c->passage = NULL;
}

/* ---- the login */

void target_join_params(const struct target_service *service, uint16_t tsih,
			struct login_params *ours, struct negotiation *n)
{
	struct target_session *s = target_session_find(service, tsih);

	for (unsigned i = 0; s && i < KEY_NEGOTIATED; i++) {
		enum key_id id = (enum key_id)i;

		if (key_row(id)->session_wide)
			*login_param(ours, id) = *login_param(&n->result, id) =
				*login_param(&s->params, id);
	}
}

/* RFC 7143 §13: what holds for the session is the leading connection's to negotiate. Who repeats
 * it is not refused, but nothing can change by that. */
static bool are_as_agreed(const struct target_session *s, const struct login_params *params)
{
	struct login_params ours = s->params, theirs = *params;

	for (unsigned i = 0; i < KEY_NEGOTIATED; i++) {
		enum key_id id = (enum key_id)i;

		if (key_row(id)->session_wide && *login_param(&ours, id) != *login_param(&theirs, id))
			return false;
	}
	return true;
}

/* The session is there, it is in full feature phase, and it is that of this initiator port. */
static bool is_welcome(const struct target_session *s, const struct target_login_result *result)
{
	return s && s->attached && !s->ending && !s->leaving && !s->unwelcome
	       && target_shared_has(s->service->shared, s->identity.tsih, &result->nexus)
	       && access_find_user(s->place.auth, result->user) == s->user;
}

enum login_status target_join(struct target_conn *c, uint16_t tsih,
			      const struct target_login_result *result,
			      const struct login_params *params)
{
	struct target_session *s = target_session_find(c->service, tsih);
	struct target_conn *old;

	if (result->discovery || !is_welcome(s, result))
		return LOGIN_NO_SESSION;
	if (!are_as_agreed(s, params))
		return LOGIN_INITIATOR_ERROR;
	old = target_session_conn(s, c->cid);
	if (!old && target_session_count(s) >= s->params.max_connections)
		return LOGIN_TOO_MANY_CONNECTIONS;
	c->session = s;
	c->params = *params;
	list_add_tail(&s->connections, &c->session_node);
	/* RFC 7143 §6.3.4: its tasks end without further notice. */
	if (old)
		conn_fail(&old->conn, "the initiator has logged in anew in its place");
	return LOGIN_OK;
}
