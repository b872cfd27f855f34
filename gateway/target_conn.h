/*
 * One connection of an initiator, from accept to its end.
 */
#ifndef TARGET_CONN_H
#define TARGET_CONN_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "conn.h"
#include "keys.h"
#include "list.h"
#include "target_pdu.h"
#include "target_portal.h"

struct stream;
struct target_login;
struct target_passage;
struct target_service;
struct target_session;
struct target_text;

enum target_phase {
	PHASE_LOGIN,
	PHASE_REINSTATEMENT,		/* logged in but for the end of the session before */
	PHASE_FULL_FEATURE,
	PHASE_LOGOUT,			/* asked for, or answered: nothing more is received */
};

/* Why a connection is not being read. */
enum target_hold {
	HOLD_REINSTATEMENT = 1 << 0,
	HOLD_LOGOUT = 1 << 1,
	HOLD_UNSENT = 1 << 2,		/* the peer does not take what we answer */
	HOLD_SHUTDOWN = 1 << 3,
	HOLD_PASSAGE = 1 << 4,		/* it moves to another worker */
};

/*
 * Listed in its service from accept until it has died and everybody has let go of it; in
 * its session from the end of login on. "login" is there in login phase only, "text" and
 * "passage" while they are under way; each is its own file's.
 */
struct target_conn {
	struct conn conn;
	struct list node;		/* service->connections */
	struct list session_node;	/* session->connections */
	struct list login_node;		/* service->logins */
	struct target_service *service;
	uint16_t group;			/* tag of the portal group that it came to */
	bool	 holds_long_text;	/* target_guard.c's */
	struct target_session *session;	/* NULL until login is through */
	enum target_phase phase;
	struct target_login *login;	/* from the first PDU to full feature phase */
	struct target_passage *passage;	/* while it moves to its session's worker */
	bool	 has_moved;		/* ... which it does once */
	struct target_text *text;	/* while a text exchange is under way */
	struct target_rx rx;
	struct login_params params;
	uint16_t cid;
	uint32_t stat_sn;		/* of the next response */
	uint32_t heard_sn;		/* ... that the initiator expects: it has those before */
	uint32_t login_cmd_sn;
	uint32_t told_cmd_sn;		/* the last MaxCmdSN */
	unsigned holds;			/* enum target_hold; not 0: conn is paused */
	unsigned unsent;		/* PDUs queued */
	ev_timer timer;			/* login, then keepalive, at last the farewell */
	double	 heard;			/* when the last PDU came */
	double	 pinged;		/* when a NOP-In went that is not answered yet; 0 = none */
	double	 logout_due;		/* asked to log out: when patience ends; 0 = not asked */
	const char *logout_why;		/* ... and why; static text */
	char	 peer[TARGET_ADDRESS_LEN]; /* its address, for messages */
};

static inline bool target_conn_alive(const struct target_conn *c)
{
	return !c->conn.dead && !c->conn.draining;
}

/* A response's StatSN. Those that only quote the next one read c->stat_sn. */
static inline uint32_t target_stat_sn(struct target_conn *c)
{
	return c->stat_sn++;
}

/* ---- target_conn.c */

/* NULL: no memory, and the stream is closed. */
struct target_conn *target_conn_start(struct target_service *service, struct stream *stream,
				      uint16_t group);

/* The connection is over here, and its stream taken: forget it. */
void target_conn_vanish(struct target_conn *c);

/* Stop and resume receiving, for one reason among several. */
void target_conn_hold(struct target_conn *c, enum target_hold why);
void target_conn_release(struct target_conn *c, enum target_hold why);

/* Send what is queued, wait a moment for the peer to take it, and close. "why" is copied. */
void target_conn_finish(struct target_conn *c, const char *why);

/* Drop it: its tasks end without a status, it is told so by an Asynchronous Message ("all": its
 * session goes with it), and it is finished. */
void target_conn_dismiss(struct target_conn *c, bool all, const char *why);

/* The same, and there is hardly any time left. */
void target_conn_hurry(struct target_conn *c, const char *why);

/* Ask for a sign of life, which tells ExpStatSN, too. False: one is awaited already. */
bool target_conn_ping(struct target_conn *c);

/* A PDU has come, which is a sign of life whatever it is. */
void target_conn_heard(struct target_conn *c);

/* Other time-outs may be in force. */
void target_conn_follow(struct target_conn *c);

/* Full feature phase begins: keepalive instead of the login timer. */
void target_conn_established(struct target_conn *c);

/* May a line about this connection go to the log now? Peers must not flood it. */
bool target_conn_is_news(const struct target_conn *c);

/* Ask the initiator to log out, if it has not been asked to do so by then. "why" is static. */
void target_conn_ask_logout(struct target_conn *c, const char *why);

/* ---- target_guard.c */

/* A connection has come; it may push out an older one. */
void target_guard_enter(struct target_conn *c);

/* It has logged in, or ended. Once or more. */
void target_guard_leave(struct target_conn *c);

/* May it hold "len" bytes of text of its login, for as long as that takes? */
bool target_guard_text(struct target_conn *c, size_t len);

/* ---- target_async.c: on connections in full feature phase */

/* Event 1: log out within so many seconds. */
void target_async_ask(struct target_conn *c, double seconds);

/* Event 2 or, with "all", 3: this connection, or all of its session, will be dropped. */
void target_async_drop(struct target_conn *c, bool all);

/* Event 2, by another connection of the session, if there is one: this one is dropped. */
void target_async_tell_dropped(const struct target_conn *c);

#endif
