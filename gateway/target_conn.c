/*
 * One iSCSI connection's life: from accept to its end, with the timer that bounds
 * every phase of it and the reasons for which it is not read for a while.
 *
 * What comes by it is target_receive.c's and target_dispatch.c's business. The connection
 * frees itself when it has died and its session knows.
 */
#include <stdlib.h>

#include "log.h"
#include "stream.h"
#include "target_conn.h"
#include "target_login.h"
#include "target_private.h"
#include "target_session.h"
#include "target_text.h"

/* Seconds for the peer to take our last words; and when the process cannot wait. */
#define FAREWELL_TIMEOUT	5
#define HASTY_TIMEOUT		1

/* Lines in the log about connections, per so many seconds. */
#define NEWS_BURST		40
#define NEWS_WINDOW		10

static void set_timer(struct target_conn *c, double seconds)
{
	struct ev_loop *ev = c->service->loop->ev;

	ev_timer_stop(ev, &c->timer);
	ev_timer_set(&c->timer, seconds, 0);
	ev_timer_start(ev, &c->timer);
}

void target_conn_hold(struct target_conn *c, enum target_hold why)
{
	c->holds |= why;
	conn_pause(&c->conn);
}

void target_conn_release(struct target_conn *c, enum target_hold why)
{
	if (!(c->holds & why))
		return;
	c->holds &= ~(unsigned)why;
	if (!c->holds)
		conn_resume(&c->conn);
}

void target_conn_finish(struct target_conn *c, const char *why)
{
	if (!target_conn_alive(c))
		return;
	conn_finish(&c->conn, why);
	set_timer(c, FAREWELL_TIMEOUT);
}

void target_conn_dismiss(struct target_conn *c, bool all, const char *why)
{
	if (!target_conn_alive(c))
		return;
	/* Nothing comes after the message but the end. Who is logging out has its answer instead. */
	if (c->phase == PHASE_FULL_FEATURE) {
		target_session_abort(c->session, c);
		target_async_drop(c, all);
	}
	target_conn_finish(c, why);
}

void target_conn_hurry(struct target_conn *c, const char *why)
{
	if (c->phase != PHASE_FULL_FEATURE || !target_conn_alive(c)) {
		conn_fail(&c->conn, "%s", why);
		return;
	}
	target_conn_dismiss(c, true, why);
	set_timer(c, HASTY_TIMEOUT);
}

bool target_conn_is_news(const struct target_conn *c)
{
	return log_allowed(&c->service->news, loop_now(c->service->loop), NEWS_BURST, NEWS_WINDOW);
}

/* When the silence of the peer calls for something; 0 = never. */
static double silence_due(const struct target_conn *c)
{
	const struct target_conf *conf = c->service->conf;

	if (c->pinged > 0)
		return conf->nop_timeout > 0 ? c->pinged + conf->nop_timeout : 0;
	if (conf->nop_interval <= 0)
		return 0;
	/* RFC 7143 §4.3: in a discovery session there is only Text, so no NOP-In is sent there. */
	if (c->session->discovery)
		return c->heard + conf->nop_interval + conf->nop_timeout;
	return c->heard + conf->nop_interval;
}

static void watch(struct target_conn *c)
{
	double due = silence_due(c), now = loop_now(c->service->loop);

	if (c->logout_due > 0 && (due <= 0 || c->logout_due < due))
		due = c->logout_due;
	if (due > 0)
		set_timer(c, due > now ? due - now : 0);
}

bool target_conn_ping(struct target_conn *c)
{
	struct bhs b = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG, .stat_sn = c->stat_sn };

	if (c->pinged > 0)
		return false;
	b.ttt = target_session_ttt(c->session);
	target_send_copy(c, &b, NULL, 0);
	c->pinged = loop_now(c->service->loop);
	watch(c);
	return true;
}

void target_conn_heard(struct target_conn *c)
{
	bool answered = c->pinged > 0;

	c->heard = loop_now(c->service->loop);
	c->pinged = 0;
	/* The timer of the answer is not the one of the next silence. */
	if (answered)
		watch(c);
}

/* Whoever has other connections hears of it by one of them. */
static void give_up(struct target_conn *c)
{
	target_async_tell_dropped(c);
	conn_fail(&c->conn, "no answer to NOP-In");
}

static void check_silence(struct target_conn *c)
{
	double due = silence_due(c);

	if (due <= 0 || loop_now(c->service->loop) < due)
		return;
	if (c->session->discovery)
		target_conn_finish(c, "discovery session idle");
	else if (c->pinged > 0)
		give_up(c);
	else
		target_conn_ping(c);
}

static void check_logout(struct target_conn *c)
{
	if (c->logout_due <= 0 || loop_now(c->service->loop) < c->logout_due)
		return;
	c->logout_due = 0;
	if (c->session->unwelcome) {
		target_conn_dismiss(c, true, c->logout_why);
		return;
	}
	target_conn_hold(c, HOLD_SHUTDOWN);
	target_session_abort_unfed(c->session, c);
	target_session_settle(c->session);
}

static void on_timer(struct ev_loop *ev, struct ev_timer *w, int events)
{
	struct target_conn *c = container_of(w, struct target_conn, timer);

	(void)ev;
	(void)events;
	if (c->conn.draining) {
		conn_fail(&c->conn, "the peer does not take our last words");
		return;
	}
	switch (c->phase) {
	case PHASE_LOGIN:
	case PHASE_REINSTATEMENT:
		conn_fail(&c->conn, "login takes too long");
		return;
	case PHASE_FULL_FEATURE:
		check_logout(c);
		check_silence(c);
		break;
	case PHASE_LOGOUT:
		break;
	}
	if (target_conn_alive(c) && !(c->holds & (HOLD_LOGOUT | HOLD_SHUTDOWN)))
		watch(c);
}

void target_conn_follow(struct target_conn *c)
{
	if (c->phase == PHASE_FULL_FEATURE && target_conn_alive(c) && !c->conn.draining &&
	    !(c->holds & (HOLD_LOGOUT | HOLD_SHUTDOWN)))
		watch(c);
}

void target_conn_established(struct target_conn *c)
{
	ev_timer_stop(c->service->loop->ev, &c->timer);
	target_guard_leave(c);
	c->phase = PHASE_FULL_FEATURE;
	c->heard_sn = c->stat_sn;
	watch(c);
}

/*
 * Parameter3 says how long the initiator has. After that nothing more is received
 * from it, and the connection closes when its tasks have ended; or at once, if it has no
 * business here any more.
 */
void target_conn_ask_logout(struct target_conn *c, const char *why)
{
	double seconds = c->service->conf->logout_timeout, now = loop_now(c->service->loop);

	/* The process ends in bounded time, whatever is configured. */
	if (c->service->shutting_down && seconds > TARGET_SHUTDOWN_LOGOUT)
		seconds = TARGET_SHUTDOWN_LOGOUT;
	/* Asked before, and less patiently? */
	if (!target_conn_alive(c) || (c->logout_why && c->logout_due <= now + seconds))
		return;
	if (target_conn_is_news(c))
		log_info("iSCSI %s: %s: asked to log out: %s", c->peer,
			 c->session->nexus.initiator_name, why);
	target_async_ask(c, seconds);
	c->logout_why = why;
	c->logout_due = now + seconds;
	watch(c);
}

static void on_closed(struct conn *conn, const char *why)
{
	struct target_conn *c = container_of(conn, struct target_conn, conn);
	struct target_service *service = c->service;

	if (c->session && target_conn_is_news(c))
		log_info("iSCSI %s: %s: connection ended: %s", c->peer,
			 c->session->nexus.initiator_name, why);
	else
		log_trace(iscsi_debug_conn, "iSCSI %s: connection ended: %s", c->peer, why);
	ev_timer_stop(service->loop->ev, &c->timer);
	target_receive_end(c);
	target_guard_leave(c);
	target_login_free(c);
	target_join_forget(c);
	target_text_free(c);
	if (c->session)
		target_session_lost(c->session, c);
	list_del(&c->node);
	conn_release(&c->conn);
	free(c);
	target_service_settle(service);
}

static const struct conn_ops ops = {
	.asked = true,
	.parse = target_receive,
	.filled = target_received,
	.closed = on_closed,
};

struct target_conn *target_conn_start(struct target_service *service, struct stream *stream,
				      uint16_t group)
{
	struct target_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		stream->ops->close(stream);
		return NULL;
	}
	c->service = service;
	c->group = group;
	list_init(&c->session_node);
	list_init(&c->login_node);
	list_add_tail(&service->connections, &c->node);
	keys_defaults(&c->params);
	target_portal_peer(stream->fd, c->peer);
	ev_init(&c->timer, on_timer);
	conn_init(&c->conn, service->loop, stream, &ops);
	if (service->conf->login_timeout > 0)
		set_timer(c, service->conf->login_timeout);
	target_guard_enter(c);
	return c;
}

void target_conn_vanish(struct target_conn *c)
{
	struct target_service *service = c->service;

	ev_timer_stop(service->loop->ev, &c->timer);
	target_guard_leave(c);
	list_del(&c->node);
	free(c);
	target_service_settle(service);
}
