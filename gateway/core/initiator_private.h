/*
 * The inside of the initiator: one session of one connection, and the tasks on it.
 *
 *	initiator.c		the public ends: open, close, the operations of an lu
 *	initiator_session.c	numbers, keepalive, logout, what the target says on its own
 *	initiator_recover.c	the session is gone: what becomes of tasks, and how it comes back
 *
 * initiator_connect.h
 *	initiator_connect.c	name to socket
 *
 * initiator_login.h
 *	initiator_login.c	socket to full feature phase
 *	initiator_auth.c	... its security stage: who we are, and CHAP
 *
 * initiator_probe.h
 *	initiator_probe.c	is the LUN there, and how long are its blocks
 *
 * initiator_pdu.h
 *	initiator_rx.c		bytes to PDUs, payloads into place, digests checked
 *	initiator_tx.c		PDUs to bytes
 *
 * initiator_task.h
 *	initiator_task.c	commands, data and their outcome
 *	initiator_tmf.c		task management and its escalation
 *
 * initiator_text.h
 *	initiator_text.c	text requests: what the target says of its portals
 *
 * Everything is owned by struct initiator, which is made of the parts that those headers
 * have, and happens on its loop's thread; only getaddrinfo() runs elsewhere, on what struct
 * resolver holds.
 */
#ifndef INITIATOR_PRIVATE_H
#define INITIATOR_PRIVATE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bhs.h"
#include "conn.h"
#include "initiator.h"
#include "initiator_connect.h"
#include "initiator_login.h"
#include "initiator_pdu.h"
#include "initiator_probe.h"
#include "initiator_task.h"
#include "initiator_text.h"
#include "keys.h"
#include "list.h"
#include "log.h"
#include "loop.h"
#include "lu.h"
#include "offload.h"
#include "pool.h"

#define INITIATOR_WHY	400		/* bytes of a reason that a person reads */

enum initiator_state {
	INITIATOR_DOWN,		/* no connection: waiting to try again, or for the end */
	INITIATOR_RESOLVING,
	INITIATOR_CONNECTING,
	INITIATOR_LOGIN,
	INITIATOR_UP,		/* full feature phase */
	INITIATOR_LOGOUT,	/* logout sent, nothing else will be */
};

struct initiator {
	struct scsi_lu lu;
	struct offload *offload;
	struct iscsi_url url;
	struct initiator_conf conf;
	uint64_t lun;			/* as the wire has it */

	struct iscsi_portal portals[PORTALS_MAX]; /* those of the URL first */
	unsigned portal_count;
	unsigned portal;		/* the one in use, or being tried */
	unsigned portals_tried;		/* in vain, since the last session that held */
	unsigned chap_algorithms;	/* that we offer; fewer while we try without the better ones */

	enum initiator_state state;
	bool	 connected;		/* conn is set up and not yet released */
	bool	 leaving;		/* the target asked for it: no new commands, logout when idle */
	bool	 ending;		/* closing, or the open failed: no further attempt */
	char	 why[INITIATOR_WHY];	/* the last failure */
	struct loop_call end;

	bool	 discovery;		/* the session's type; there is no logical unit then */
	void   (*begun)(struct initiator *ini); /* while opening: the session is there */
	lu_opened *opened;		/* while opening, or */
	void	(*closed)(void *);	/* while closing */
	void	*opaque;
	struct probe probe;		/* while opening */
	struct text text;

	struct ev_timer phase;		/* login deadline, next question of the probe, next text, time to
					 * reconnect, logout deadline: never two at once */
	struct resolver resolver;
	struct addrinfo *address;	/* being tried; within resolver.found */
	struct ev_io connecting;
	struct conn conn;
	struct rx rx;
	struct login login;
	struct login_params params;	/* in force */

	/* RFC 7143 §4.2.2.1, §4.2.2.2 */
	uint32_t cmd_sn, exp_cmd_sn, max_cmd_sn, exp_stat_sn;
	unsigned generation;		/* of the tags of kind "other" */
	uint32_t over[TAGS_REMEMBERED];	/* tags of tasks that were aborted, in a ring */
	unsigned over_count;

	unsigned bare_unsent;		/* PDUs queued that carry no data of a task */
	struct list idle;		/* slots */
	unsigned busy;			/* slots that are not idle */
	struct list queue;		/* tasks not yet sent, in order */
	struct list ended;		/* tasks to complete from the loop */
	struct loop_call complete;

	struct ev_timer keepalive;
	uint32_t nop_itt;		/* of the ping under way, or ISCSI_NO_TAG */
	uint64_t bytes_seen;		/* conn.bytes_in when the timer was last looked at */

	struct list tmfs;		/* struct scsi_tmf; the first one is on the wire if tmf_itt says so */
	uint32_t tmf_itt, tmf_cmd_sn;
	struct ev_timer tmf_timer, abort_timer;
	struct scsi_tmf escalation;	/* LU RESET after an ABORT TASK that was not answered */

	/* Recovery */
	struct ev_timer outage;
	bool	 outage_over;		/* it lasted too long: tasks end at once */
	unsigned attempts;		/* rounds through all portals, since the last session that held */
	unsigned time2wait;		/* seconds that the target wants between the end of this session and
					 * the next login */
	double	 up_since;
	bool	 served;		/* the session has answered a command */
	struct log_limit log_limit;

	struct task_slot slots[];	/* conf.max_tasks */
};

/* initiator.c */
struct initiator *initiator_new(struct loop *loop, struct offload *offload,
				const struct initiator_conf *conf);
typedef void initiator_timeout(struct ev_loop *, struct ev_timer *, int);
/* (Re)start one of the timers: "run" in so many seconds. */
void initiator_timer(struct initiator *ini, struct ev_timer *timer, initiator_timeout *run,
		     double seconds);
/* End a task that is on no list, from the loop, with this outcome. */
void initiator_end_task(struct initiator *ini, struct scsi_task *task, uint8_t status);
/* Nothing more is to come: free everything once nothing is under way. */
void initiator_end(struct initiator *ini);
/* The open succeeded, or failed. */
void initiator_opened(struct initiator *ini);
void initiator_give_up(struct initiator *ini, const char *why);

/* initiator_session.c */
void session_keep_alive(struct initiator *ini);	/* by the interval of now */
void session_begin(struct initiator *ini);	/* full feature phase */
void session_stop(struct initiator *ini);	/* its timers */
/* Take ExpCmdSN, MaxCmdSN and StatSN of any PDU from the target. */
void session_numbers(struct initiator *ini, const struct bhs *bhs);
uint32_t session_itt(struct initiator *ini, enum other_tag which); /* for a request of our own */
void session_logout(struct initiator *ini);
/* This session is to go: what is in flight may end, for so many seconds, then we log out, and
 * come back, by the next portal if there is one. */
void session_leave(struct initiator *ini, unsigned seconds);
void session_nop_in(struct initiator *ini, const struct bhs *bhs);
void session_async(struct initiator *ini, const struct bhs *bhs);
void session_reject(struct initiator *ini, const struct bhs *bhs, const uint8_t *header);
void session_logout_response(struct initiator *ini, const struct bhs *bhs);
/* After anything that may have made room: send what is queued; log out if that is wanted. */
void session_pump(struct initiator *ini);

/* initiator_recover.c */
/* No session came of an attempt to make one. */
void recover_attempt_failed(struct initiator *ini, const char *why);
/* The connection has ended, in whatever state. */
void recover_connection_closed(struct initiator *ini, const char *why);
void recover_succeeded(struct initiator *ini);
void recover_stop(struct initiator *ini);

#endif
