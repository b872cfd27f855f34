/*
 * The inside of the initiator: one session of one connection, and the tasks on it.
 *
 *	initiator.c		the public ends: open, close, the operations of an lu
 *	initiator_connect.c	name to socket
 *	initiator_login.c	socket to full feature phase
 *	initiator_auth.c	... its security stage: who we are, and CHAP
 *	initiator_probe.c	is the LUN there, and how long are its blocks
 *	initiator_rx.c		bytes to PDUs, payloads into place, digests checked
 *	initiator_tx.c		PDUs to bytes
 *	initiator_session.c	numbers, keepalive, logout, what the target says on its own
 *	initiator_task.c	commands, data and their outcome
 *	initiator_tmf.c		task management and its escalation
 *	initiator_text.c	text requests: what the target says of its portals
 *	initiator_recover.c	the session is gone: what becomes of tasks, and how it comes back
 *
 * Everything is owned by struct initiator, and happens on its loop's thread; only
 * getaddrinfo() runs elsewhere, on what struct resolver holds.
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
#include "keys.h"
#include "list.h"
#include "log.h"
#include "loop.h"
#include "lu.h"
#include "offload.h"
#include "pool.h"
#include "scsi_data.h"

#define DIGEST_LEN	4
#define INITIATOR_WHY	400		/* bytes of a reason that a person reads */
#define PORTALS_MAX	16		/* given, and found out */
#define LOGIN_TEXT_MAX	(32u << 10)	/* of all PDUs that a C bit joins, each way */
#define MAX_CDB		32		/* 16 in the header, the rest in an AHS (RFC 7143 §11.2.2.3) */
#define EXTENDED_CDB_AHS (4 + MAX_CDB - 16)

enum initiator_state {
	INITIATOR_DOWN,		/* no connection: waiting to try again, or for the end */
	INITIATOR_RESOLVING,
	INITIATOR_CONNECTING,
	INITIATOR_LOGIN,
	INITIATOR_UP,		/* full feature phase */
	INITIATOR_LOGOUT,	/* logout sent, nothing else will be */
};

/*
 * Initiator task tags: what kind of request, a generation that grows each time the
 * place is used again (so that a late answer is recognised as such), and the place.
 */
enum tag_kind { TAG_TASK, TAG_ABORT, TAG_OTHER };
enum other_tag { OTHER_NOP, OTHER_TMF, OTHER_LOGOUT, OTHER_LOGIN, OTHER_TEXT };
#define TAG(kind, generation, index) \
	((uint32_t)(kind) << 30 | ((uint32_t)(generation) & 0x3fff) << 16 | (uint32_t)(index))
#define TAG_KIND(itt)	((itt) >> 30)
#define TAG_INDEX(itt)	((itt) & 0xffff)
/* An ABORT TASK has the tag of its task, of another kind. */
#define ABORT_TAG(itt)	((itt) | (uint32_t)TAG_ABORT << 30)
#define TASK_TAG(itt)	((itt) & ~((uint32_t)TAG_ABORT << 30))

/* Of aborted tasks, whose answers may come late: as many as a target may have at once, or so. */
#define TAGS_REMEMBERED	256

/* A command on the wire. */
struct task_slot {
	struct list node;		/* on initiator.idle while free */
	struct scsi_task *task;		/* NULL: free, or only its abort is still unanswered */
	uint32_t itt;
	uint32_t cmd_sn;
	uint32_t data_sn;		/* the next DataSN of a read, the next R2TSN of a write */
	uint32_t asked;			/* of a write: R2Ts have asked for what is before that */
	unsigned unsent;		/* PDUs queued that point into the task's buffer */
	bool	 answered;		/* outcome known, but unsent > 0 */
	bool	 aborting;		/* ABORT TASK sent and not yet answered */
	bool	 escalated;		/* ... in time, so that the unit was reset */
	double	 abort_deadline;
};

/* A PDU on its way out, from the pool. The payload is borrowed. */
struct pdu {
	struct conn_out out;
	struct initiator *ini;
	struct task_slot *slot;		/* whose buffer the payload lies in, or NULL */
	uint8_t header[BHS_LEN + EXTENDED_CDB_AHS + DIGEST_LEN];
	uint8_t trailer[3 + DIGEST_LEN];
};

/* getaddrinfo() on a helper thread: no other member is touched there. */
struct resolver {
	struct offload_job job;
	bool	 pending;
	struct iscsi_portal portal;	/* where this attempt goes: one of ours, or a redirect's */
	struct addrinfo *found;		/* freed when the attempt ends */
	int	 error;			/* of getaddrinfo() */
};

enum rx_phase { RX_HEADER, RX_PAYLOAD, RX_TRAILER };

/* The PDU being received. */
struct rx {
	enum rx_phase phase;
	struct bhs bhs;
	uint8_t *payload;		/* into a task's buffer, or "own" */
	uint8_t *own;			/* from the pool, bhs.data_len bytes, until the PDU is done with */
};

/* AuthMethod: what is agreed so far. */
enum auth_method { AUTH_UNDECIDED, AUTH_NONE, AUTH_CHAP };

/* One login, from the first request to full feature phase. */
struct login {
	uint8_t	 csg;			/* stage: 0 security, 1 operational, 3 full feature (RFC 7143 §11.12.3) */
	unsigned rounds;		/* requests sent: a bound on targets that never come to an end */
	struct negotiation negotiation;
	char	*in;			/* what came so far, LOGIN_TEXT_MAX bytes from the pool */
	size_t	 in_len;
	struct key_text out;		/* what is to go; LOGIN_TEXT_MAX bytes from the pool */
	size_t	 out_sent;		/* of it: what earlier requests took along */
	uint32_t itt;
	bool	 transit;		/* the last request asked for the next stage (T bit) */
	enum auth_method auth;
	struct chap chap;
	unsigned redirects;		/* followed since the last success */
	bool	 again;			/* the last login ended such that another is to follow at once, where
					 * resolver.portal says: a redirect, or another way to authenticate */
};

/* The questions that an open asks of the unit. */
struct probe {
	struct scsi_task task;
	enum cdb_id asking;
	uint8_t	 wire[CDB_MAX_LEN];
	uint8_t	 data[INQUIRY_LEN];	/* the longest of the answers */
	unsigned tries;
};

/* A text request in full feature phase, and what has come of the answer. */
struct text {
	bool	 active;
	uint32_t itt;
	struct key_text out;		/* in "request" */
	char	 request[KEY_NAME_MAX + ISCSI_NAME_MAX + 2];
	char	*in;			/* heap, in_len bytes of at most "limit" */
	size_t	 in_len, limit;
	unsigned rounds;
	/* The whole answer, valid during the call; or NULL and why. */
	void   (*done)(struct initiator *ini, const char *text, size_t len, const char *why);
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

/* initiator_connect.c: resolve, connect; ends in login_start() or recover_attempt_failed(). */
void connect_start(struct initiator *ini);
/* Drop what connect_start() has under way (all but a getaddrinfo() that runs). */
void connect_cancel(struct initiator *ini);
/* The next attempt, if permanent all of them, goes to "host[:port][,tag]" (RFC 7143 §13.8).
 * False if that is malformed. */
bool connect_redirect(struct initiator *ini, const char *address, bool permanent);
/* Another portal of our target, for when those that there are fail. */
void connect_add_portal(struct initiator *ini, const struct iscsi_portal *portal);

/* initiator_login.c */
/* A socket is connected (its ownership passes). */
void login_start(struct initiator *ini, int fd);
/* A whole Login Response. */
void login_response(struct initiator *ini, const struct bhs *bhs, const uint8_t *text);
/* Give back what a login holds; harmless when there is none. */
void login_release(struct initiator *ini);

/* initiator_auth.c */
/* What the first request of all says. */
void auth_offer(struct initiator *ini);
/* AuthMethod, or one of the CHAP keys. */
void auth_take(struct initiator *ini, const struct key_pair *pair);
/* The target's text is whole; it wants the next stage if "transit". What we say to it goes to
 * login.out. False after conn_fail(). */
bool auth_step(struct initiator *ini, bool transit);
/* May the next request ask for the operational stage? */
bool auth_may_transit(const struct initiator *ini);
/* Is it who we are that this response refuses? */
bool auth_is_refusal(const struct initiator *ini, const struct bhs *bhs);
/* Then: conn_fail(), in words; if there is another way, it is to be tried. */
void auth_refused(struct initiator *ini, const struct bhs *bhs);

/* initiator_probe.c: ends in initiator_opened() or initiator_give_up(). */
void probe_start(struct initiator *ini);

/* initiator_rx.c */
extern const struct conn_ops initiator_conn_ops;
void rx_reset(struct initiator *ini);

/* initiator_tx.c */
/*
 * Queue a PDU: bhs->data_len bytes at "payload", which stay lent until they are sent
 * (slot->unsent counts, where there is a slot). bhs->ahs_words words at "ahs" are copied.
 */
void pdu_send(struct initiator *ini, const struct bhs *bhs, const uint8_t *ahs,
	      const void *payload, struct task_slot *slot);
/* "initiator sends ...": where log_is_on(iscsi_debug_pdu). */
void pdu_trace(const char *does, const struct bhs *bhs);
/* A request of our own but a command: immediate, with the numbers filled in (RFC 7143 §11.2.1.1).
 * bhs->data_len bytes of payload are lent as pdu_send() has it. */
void pdu_send_immediate(struct initiator *ini, struct bhs *bhs, const void *payload);

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

/* initiator_task.c */
void task_send(struct initiator *ini, struct scsi_task *task);
/* Where the payload of this Data-In goes, if it may come at all; false after conn_fail(). */
bool task_place(struct initiator *ini, const struct bhs *bhs, uint8_t **where);
void task_data_in(struct initiator *ini, const struct bhs *bhs);
void task_response(struct initiator *ini, const struct bhs *bhs, const uint8_t *data);
void task_r2t(struct initiator *ini, const struct bhs *bhs);
/* A PDU that points into the slot's buffer is gone. */
void task_pdu_sent(struct initiator *ini, struct task_slot *slot);
/* The slot of a task tag that is in use, or NULL. */
struct task_slot *task_slot(struct initiator *ini, uint32_t itt);
/* A task has ended by its abort; is what comes with this tag about one that has? */
void task_over(struct initiator *ini, uint32_t itt);
bool task_is_over(const struct initiator *ini, uint32_t itt);
/* The outcome is in slot->task: end it as soon as no PDU points into its buffer. */
void task_finish(struct initiator *ini, struct task_slot *slot);
/* All that are on the wire, sent before that CmdSN if one is given, end with "status". */
void task_finish_all(struct initiator *ini, const uint32_t *before_cmd_sn, uint8_t status);
/* The abort of the slot's task has been answered. */
void task_abort_over(struct initiator *ini, struct task_slot *slot);

/* initiator_tmf.c */
void tmf_init(struct initiator *ini);
void tmf_abort(struct initiator *ini, struct scsi_task *task);
void tmf_submit(struct initiator *ini, struct scsi_tmf *tmf);
void tmf_response(struct initiator *ini, uint32_t itt, uint8_t response);
/* The session is gone: none of them will be answered. */
void tmf_lost(struct initiator *ini);
void tmf_stop(struct initiator *ini);

/* initiator_text.c */
/* Ask for targets: "which" is a name or All (RFC 7143, appendix C). No other question is under
 * way. An answer of more than "limit" bytes is an error. */
void text_send_targets(struct initiator *ini, const char *which, size_t limit,
		       void (*done)(struct initiator *ini, const char *text, size_t len,
				    const char *why));
void text_response(struct initiator *ini, const struct bhs *bhs, const uint8_t *data);
/* The request is not going to be answered: it was rejected, or the session is gone. */
void text_end(struct initiator *ini, const char *why);
/* Ask the target of this session for further portals of it, and remember them. */
void text_learn_portals(struct initiator *ini);

/* initiator_recover.c */
/* No session came of an attempt to make one. */
void recover_attempt_failed(struct initiator *ini, const char *why);
/* The connection has ended, in whatever state. */
void recover_connection_closed(struct initiator *ini, const char *why);
void recover_succeeded(struct initiator *ini);
void recover_stop(struct initiator *ini);

#endif
