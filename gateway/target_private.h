/*
 * What the files of the iSCSI target share. Nobody else includes this.
 *
 *	target.c		the service: start, shutdown, abort
 *	target_shared.c		what the workers share: session identities, TSIHs
 *	target_conn.c		a connection's life: timers, back-pressure, its end
 *	target_receive.c	bytes to PDUs: headers, where data goes, digests
 *	target_send.c		PDUs to bytes; Reject
 *	target_access.c		what a snapshot of access rules says, and what becomes of
 *				sessions when another comes into force
 *	target_portal.c		addresses as text, portals as an initiator can use them
 *	target_guard.c		what those may hold who have not logged in yet
 *	target_login.c		login phase: stages, refusals, the way into full feature phase
 *	target_login_keys.c	... and what its keys say
 *	target_text.c		Text requests in full feature phase
 *	target_discovery.c	SendTargets
 *	target_session.c	sessions: CmdSN window and order, reinstatement, end
 *	target_join.c		further connections of a session, also from other workers
 *	target_logout.c		Logout
 *	target_async.c		Asynchronous Messages
 *	target_task.c		a SCSI command's life between its header and its status
 *	target_local.c		commands that the target itself answers
 *	target_xfer.c		R2T, Data-Out, Data-In, SCSI Response
 *	target_tmf.c		task management
 *
 * Ownership: the service lists connections and sessions. A session lists its
 * connections, tasks and task management functions, and outlives its connections
 * until a logical unit holds none of its tasks. A task belongs to its session and
 * is freed when its status has been sent, or when it was aborted and nobody uses
 * its memory any more. All on the thread of the service's loop.
 */
#ifndef TARGET_PRIVATE_H
#define TARGET_PRIVATE_H

#include <ev.h>
#include <stdatomic.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "access.h"
#include "bhs.h"
#include "conn.h"
#include "keys.h"
#include "list.h"
#include "loop.h"
#include "lu.h"
#include "target.h"

#define DIGEST_LEN		4
#define TARGET_TEXT_MAX		(16u << 10)	/* one negotiation step, over all its PDUs */
#define TARGET_ITT_BUCKETS	64		/* a power of two */
#define TARGET_MAX_R2T		8		/* MaxOutstandingR2T that we agree to */
#define TARGET_ADDRESS_LEN	64		/* "[v6 address]:port", terminated */
#define TARGET_EXTRA_COMMANDS	8		/* immediate ones beyond the CmdSN window */
#define TARGET_MAX_CONNECTIONS	8		/* MaxConnections that we agree to */

/* RFC 7143 §11.17.1 */
enum reject_reason {
	REJECT_NONE = 0x00,
	REJECT_DATA_DIGEST = 0x02,
	REJECT_SNACK = 0x03,
	REJECT_PROTOCOL_ERROR = 0x04,
	REJECT_NOT_SUPPORTED = 0x05,
	REJECT_IMMEDIATE = 0x06,
	REJECT_INVALID_FIELD = 0x09,
};

/* Status-Class << 8 | Status-Detail, RFC 7143 §11.13.5 */
enum login_status {
	LOGIN_OK = 0x0000,
	LOGIN_REDIRECT = 0x0100,	/* | enum access_redirect */
	LOGIN_INITIATOR_ERROR = 0x0200,
	LOGIN_AUTHENTICATION_FAILURE = 0x0201,
	LOGIN_FORBIDDEN = 0x0202,
	LOGIN_NOT_FOUND = 0x0203,
	LOGIN_UNSUPPORTED_VERSION = 0x0205,
	LOGIN_TOO_MANY_CONNECTIONS = 0x0206,
	LOGIN_MISSING_PARAMETER = 0x0207,
	LOGIN_SESSION_TYPE = 0x0209,
	LOGIN_NO_SESSION = 0x020a,
	LOGIN_SERVICE_UNAVAILABLE = 0x0301,
	LOGIN_OUT_OF_RESOURCES = 0x0302,
};

struct target_conn;
struct target_login;
struct target_passage;
struct target_session;
struct target_task;
struct target_text;

/* A PDU that came in. */
struct target_pdu {
	struct list node;		/* session->held */
	struct target_conn *conn;
	struct bhs bhs;
	uint8_t	 wire[BHS_LEN];		/* the header as it came, for a Reject */
	enum reject_reason reject;	/* what it gets instead of being executed */
	bool	 hole;			/* nothing to execute: its CmdSN only has to be passed */
	uint8_t	*data;			/* NOP-Out, Text, Login: bhs.data_len bytes of the pool */
	struct target_task *task;	/* SCSI Command */
};

enum target_rx_state {
	RX_HEADER,			/* basic header, AHS and header digest come next */
	RX_DATA,			/* conn.c puts the data segment in place */
	RX_SKIP,			/* a data segment that nobody wants */
	RX_TAIL,			/* padding and data digest */
};

struct target_rx {
	enum target_rx_state state;
	struct target_pdu pdu;
	bool	 ignored;		/* CmdSN outside the window: RFC 7143 §4.2.2.1 */
	uint8_t	*into;			/* where the data segment goes; NULL: nowhere */
	uint32_t left;			/* of the segment, while skipping */
	uint32_t crc;			/* of the segment, if there is a data digest */
	struct target_task *task;	/* whose data it is; it stays while task->receiving */
	struct target_r2t *r2t;		/* ... and which R2T asked for it; NULL: unsolicited */
};

enum target_phase {
	PHASE_LOGIN,
	PHASE_TAKEOVER,			/* logged in but for the end of the session before */
	PHASE_FULL_FEATURE,
	PHASE_LOGOUT,			/* asked for, or answered: nothing more is received */
};

/* Why a connection is not being read. */
enum target_hold {
	HOLD_TAKEOVER = 1 << 0,
	HOLD_LOGOUT = 1 << 1,
	HOLD_UNSENT = 1 << 2,		/* the peer does not take what we answer */
	HOLD_SHUTDOWN = 1 << 3,
	HOLD_PASSAGE = 1 << 4,		/* it moves to another worker */
};

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
	unsigned holds;			/* enum target_hold */
	unsigned unsent;		/* PDUs queued */
	ev_timer timer;			/* login, then keepalive, at last the farewell */
	double	 heard;			/* when the last PDU came */
	double	 pinged;		/* when a NOP-In went that is not answered yet; 0 = none */
	double	 logout_due;		/* asked to log out: when patience ends; 0 = not asked */
	const char *logout_why;		/* ... and why; static text */
	char	 peer[TARGET_ADDRESS_LEN]; /* its address, for messages */
};

/* A PDU on its way out; from the pool. */
struct target_out {
	struct conn_out out;
	struct target_conn *conn;
	struct target_task *task;	/* told when this is sent; or NULL */
	void	*own;			/* goes back to the pool when this is sent; or NULL */
	uint32_t own_len;
	uint8_t	 header[BHS_LEN + DIGEST_LEN];
	uint8_t	 tail[3 + DIGEST_LEN];	/* padding and data digest */
};

/* Who is who, over all workers; in the session, listed in target_shared. */
struct target_identity {
	struct list node;
	const struct nexus *nexus;	/* constant while listed */
	struct target_service *service;
	uint16_t tsih;
	bool	 discovery;
	bool	 superseded;		/* a newer session has taken its place */
};

/*
 * A session replaces an older one of the same initiator port (RFC 7143 §6.3.5),
 * which may live on another worker: "ask" goes there, "dying" comes back once its
 * connections are dead, "gone" once no task of it is left. The new session logs in
 * at "dying"; its commands wait for "gone", so that no write of the old one can
 * land after a write of the new one.
 */
struct target_takeover {
	struct loop_msg ask, dying, gone;
	struct list node;		/* old session->heirs; the old worker's */
	struct target_service *old_service;
	uint16_t old_tsih;
	bool	 pending;		/* from ask to gone */
};

/* Where a login leads to, in a snapshot. */
struct target_place {
	const struct access_portal_group *group;
	const struct access_target *target;	/* NULL: discovery */
	const struct access_auth_group *auth;
};

struct target_session {
	struct list node;		/* service->sessions */
	struct target_service *service;
	struct target_identity identity;
	struct nexus nexus;
	bool	 discovery;
	bool	 attached;		/* the logical units know the nexus */
	bool	 ending;		/* no connection is left */
	bool	 unwelcome;		/* by what is in force now: it keeps what it had until it ends */
	struct access *access;		/* by which it is there; held */
	struct target_place place;	/* in that */
	struct login_params params;	/* what its first connection has agreed on for all of them */
	const struct access_map *map;	/* its logical units; NULL: discovery */
	const struct chap_user *user;	/* in place.auth; NULL: has not proved who it is */
	/* What it had before, while units of it are in use that it has no more; else NULL. */
	struct access *old_access;
	const struct access_map *old_map;
	bool	 luns_changed;		/* ... which REPORT LUNS has not told yet */
	bool	 untold;		/* ... and no unit that passes through has */
	struct list connections;
	struct target_takeover takeover;
	struct list heirs;		/* takeovers of newer sessions that wait for our end */

	uint32_t exp_cmd_sn, max_cmd_sn;
	struct list held;		/* PDUs ahead of exp_cmd_sn, in CmdSN order */

	struct list tasks;
	struct list by_itt[TARGET_ITT_BUCKETS];
	struct list waiting;		/* tasks without room, or held up by a takeover */
	unsigned in_flight;		/* tasks without a status yet */
	size_t	 bytes;			/* of data in flight */
	uint64_t next_serial;
	uint32_t next_ttt;

	unsigned orphans;		/* tasks of lost connections that a logical unit still has */

	struct list tmfs;
	struct list logouts;		/* that wait for the end of tasks */
	bool	 leaving;		/* ... one of them for all of the session's */
	struct loop_call settle;
};

/* What one R2T asked for, until the Data-Out PDU with the F bit. */
struct target_r2t {
	bool	 open;
	uint32_t ttt;
	uint32_t offset, len;		/* in the command's data */
	uint32_t got;
	uint32_t data_sn;		/* of the next Data-Out */
};

enum target_task_state {
	TASK_COLLECTING,		/* data, its turn, or room */
	TASK_SUBMITTED,			/* the logical unit has it */
	TASK_ANSWERING,			/* the outcome is known and being sent */
};

struct target_task {
	struct scsi_task scsi;
	struct list node;		/* session->tasks */
	struct list bucket;		/* session->by_itt */
	struct list waiting;		/* session->waiting */
	struct target_session *session;
	struct target_conn *conn;
	struct scsi_lu *lu;		/* NULL: target_local.c answers */
	uint64_t serial;		/* order of arrival in the session */
	uint64_t lun;			/* as on the wire */
	uint32_t itt, cmd_sn;
	bool	 immediate;
	uint32_t edtl;			/* Expected Data Transfer Length */
	uint32_t len;			/* what will be transferred of it */
	enum target_task_state state;
	bool	 started;		/* it has come in its turn, with its immediate data */
	bool	 admitted;		/* there is room; its data is charged to the session */
	bool	 refused;		/* not to be submitted: scsi.status is set */
	bool	 aborted;		/* no status is to be sent */
	bool	 counted;		/* in session->in_flight */
	bool	 answered;		/* its status is queued */
	bool	 receiving;		/* a PDU with its data is coming in */
	bool	 orphan;		/* in session->orphans */
	bool	 unmapped;		/* the session has lost the unit, or one that this is a copy of */

	uint8_t	*buf;			/* the data, buf_len bytes of the pool; or NULL */
	uint32_t buf_len;
	uint8_t	*long_cdb;		/* extended CDB, long_cdb_len bytes of the pool */
	uint32_t long_cdb_len;
	uint8_t	 cdb[16];

	/* Data-out */
	bool	 unsolicited;		/* until the F bit */
	uint32_t unsolicited_got;	/* immediate data included */
	uint32_t unsolicited_data_sn;
	uint32_t solicited;		/* data up to here has come or was asked for */
	uint32_t r2t_sn;
	unsigned r2ts;			/* open ones */
	struct target_r2t r2t[TARGET_MAX_R2T];

	/* Data-in */
	uint32_t sent;			/* bytes queued so far */
	uint32_t data_sn;
	unsigned unsent;		/* PDUs queued that refer to this task */
};

/* ---- target.c */

/* Tell service->idle() if the last connection and session have gone while shutting down, and
 * service->follows() if the last that used what is no longer in force has let go of it. */
void target_service_settle(struct target_service *service);

/* This worker's logical unit of an export; NULL: it has none. */
static inline struct scsi_lu *target_instance(const struct target_service *service,
					      const struct export *export)
{
	return export->instance[service->worker].lu;
}

/* The logical unit of a LUN as on the wire, and whether the session may only read it (or NULL);
 * NULL: it has none there. */
struct scsi_lu *target_lu(const struct target_session *s, uint64_t lun, bool *read_only);

/* ---- target_access.c */

/*
 * Where who has these names, and is at the other end of "fd", gets to by the portal group
 * with this tag, authentication apart. LOGIN_OK, or why not; with LOGIN_REDIRECT,
 * *redirect_to says where instead.
 */
enum login_status target_find_place(const struct access *access, uint16_t group,
				    const struct nexus *who, bool discovery, int fd,
				    struct target_place *place, const char **redirect_to);

/* The session is where service->access has a place for it. */
void target_session_settle_in(struct target_session *s, const struct target_place *place,
			      const struct chap_user *user);

/* service->access has changed: the session follows, or is asked to go. */
void target_session_follow(struct target_session *s);

/* If no unit that the session has lost is in use any more: forget them. */
void target_session_forget_lost(struct target_session *s);

/* The units that the session has, one by one. */
void target_session_each_lu(const struct target_session *s,
			    void (*tell)(struct scsi_lu *, const struct nexus *));

/* ---- target_shared.c: any thread */

/*
 * List the session: it gets a TSIH of its own. If it replaces one, *old_tsih and
 * *old_service say which, otherwise *old_service is NULL. False when all are taken.
 */
bool target_shared_enter(struct target_shared *shared, struct target_identity *identity,
			 struct target_service **old_service, uint16_t *old_tsih);
void target_shared_leave(struct target_shared *shared, struct target_identity *identity);

/* Is there such a session of this initiator port? */
bool target_shared_has(struct target_shared *shared, uint16_t tsih, const struct nexus *nexus);

/* How many logins hold long text, for target_guard.c. */
atomic_uint *target_shared_long_texts(struct target_shared *shared);

/* The service that has the session with this TSIH; NULL: there is none. */
struct target_service *target_shared_where(struct target_shared *shared, uint16_t tsih);

/* End every session of this target, on every worker (TARGET COLD RESET). */
void target_shared_drop_all(struct target_shared *shared, const char *target_name);

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

/* Ask for a sign of life, which tells ExpStatSN, too; unless one is awaited already. */
void target_conn_ping(struct target_conn *c);

/* Other time-outs may be in force. */
void target_conn_follow(struct target_conn *c);

/* Full feature phase begins: keepalive instead of the login timer. */
void target_conn_established(struct target_conn *c);

/* May a line about this connection go to the log now? Peers must not flood it. */
bool target_conn_is_news(const struct target_conn *c);

/* Ask the initiator to log out, if it has not been asked to do so by then. "why" is static. */
void target_conn_ask_logout(struct target_conn *c, const char *why);

static inline bool target_conn_alive(const struct target_conn *c)
{
	return !c->conn.dead && !c->conn.draining;
}

/* ---- target_receive.c */

size_t target_receive(struct conn *conn, const uint8_t *p, size_t n);
void target_received(struct conn *conn);

/* The connection is dead: forget the PDU that was coming in. */
void target_receive_end(struct target_conn *c);

/* In full feature phase: do what the PDU asks for, in its turn. Its data and task are used up. */
void target_execute(struct target_pdu *pdu);

/* The PDU goes unexecuted: give back what it holds. */
void target_pdu_drop(struct target_pdu *pdu);

/* ---- target_send.c */

/* NULL: no memory, and the connection has failed. */
struct target_out *target_out_new(struct target_conn *c);

/*
 * Queue the PDU "b" with data[len], which must live until it is sent (see out->task
 * and out->own). ExpCmdSN, MaxCmdSN and DataSegmentLength are filled in here.
 */
void target_out_send(struct target_out *out, struct bhs *b, const void *data, uint32_t len);

/* The same for a PDU whose data is copied; len may be 0. */
void target_send_copy(struct target_conn *c, struct bhs *b, const void *data, uint32_t len);

void target_reject(struct target_conn *c, const uint8_t wire[BHS_LEN], enum reject_reason reason);

/* A response's StatSN. Those that only quote the next one read c->stat_sn. */
static inline uint32_t target_stat_sn(struct target_conn *c)
{
	return c->stat_sn++;
}

/* ---- target_portal.c */

/* "192.0.2.1:860" of the peer of a socket, "?" for what has no such address. */
void target_portal_peer(int fd, char text[TARGET_ADDRESS_LEN]);

union target_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

/* The peer's address; NULL: it has none. */
const struct sockaddr *target_portal_from(int fd, union target_address *address);

/* TargetAddress for every portal of the group that the peer of "fd" can use. */
void target_portal_put(const struct access_portal_group *group, int fd, struct key_text *out);

/* What it writes, at most; in bytes. */
size_t target_portal_room(const struct access_portal_group *group);

/* ---- target_guard.c */

/* A connection has come; it may push out an older one. */
void target_guard_enter(struct target_conn *c);

/* It has logged in, or ended. Once or more. */
void target_guard_leave(struct target_conn *c);

/* May it hold "len" bytes of text of its login, for as long as that takes? */
bool target_guard_text(struct target_conn *c, size_t len);

/* ---- target_login.c */

/* A Login Request in login phase. */
void target_login_request(struct target_conn *c, struct target_pdu *pdu);

/* The session that this one replaces is dead: answer the last Login Request. */
void target_login_takeover_done(struct target_conn *c);

void target_login_free(struct target_conn *c);

/* ---- target_discovery.c */

/* SendTargets="which" (RFC 7143 Appendix C). */
void target_send_targets(const struct target_conn *c, const char *which, struct key_text *out);

/* What it writes, at most; in bytes. */
size_t target_send_targets_room(const struct target_conn *c);

/* ---- target_text.c */

void target_text_request(struct target_pdu *pdu);
void target_text_free(struct target_conn *c);

/*
 * Text that comes in parts (C bit): append to *text, which is allocated at the
 * first part and has TARGET_TEXT_MAX bytes of the pool. False: too long, or no memory.
 */
bool target_text_gather(struct loop *loop, char **text, size_t *len, const void *part,
			size_t part_len);

/* ---- target_session.c */

/* What login has found out, to make a session of. */
struct target_login_result {
	struct nexus nexus;
	bool	 discovery;
	uint32_t cmd_sn;
	struct target_place place;	/* in service->access */
	const struct chap_user *user;	/* as who it has logged in; NULL: nobody */
};

/* The session of a leading connection; NULL: no memory, or no TSIH. If it has to wait for an
 * older one, takeover.pending is set, and target_login_takeover_done() comes. */
struct target_session *target_session_new(struct target_conn *c,
					  const struct target_login_result *result);

/* Full feature phase: the logical units learn of the nexus, if they do not know it. */
void target_session_attach(struct target_session *s);

/* A connection has gone, and with it its tasks. The session ends with its last one. */
void target_session_lost(struct target_session *s, struct target_conn *c);

/* End the tasks of a connection, or all (NULL), without a status. */
void target_session_abort(struct target_session *s, const struct target_conn *c);

/* The connection is read from no more: end its tasks that wait for what would come by it. */
void target_session_abort_unfed(struct target_session *s, const struct target_conn *c);

/* Has the connection, or any (NULL), a task or a task management function under way? */
bool target_session_is_busy(const struct target_session *s, const struct target_conn *c);

/* Its connection with this CID; NULL: none that is alive. */
struct target_conn *target_session_conn(const struct target_session *s, uint16_t cid);

/* How many of its connections are alive. */
unsigned target_session_count(const struct target_session *s);

/* Drop all its connections, and tell them. */
void target_session_dismiss(struct target_session *s, const char *why);

/* Close all its connections now. */
void target_session_kill(struct target_session *s, const char *why);

/* The session with this TSIH on this worker, or NULL. */
struct target_session *target_session_find(const struct target_service *service,
					   uint16_t tsih);

/* Is the CmdSN one that may come now? */
bool target_session_expects(const struct target_session *s, uint32_t cmd_sn);

/* Execute a numbered PDU in its turn: now, or when those before it have come. */
void target_session_arrived(struct target_session *s, struct target_pdu *pdu);

/* Take the CmdSN as received though no PDU has come with it. False: one has. */
bool target_session_skip(struct target_session *s, uint32_t cmd_sn);

/* Execute an immediate PDU, without data, when all that have a CmdSN before its own have come. False:
 * there are too many that wait like that, or there is no memory. */
bool target_session_hold_immediate(struct target_session *s, const struct target_pdu *pdu);

/* The task of a PDU that is held goes away. */
void target_session_unhold(struct target_session *s, const struct target_task *task);

/* MaxCmdSN, as it is to be told now. */
uint32_t target_session_max_cmd_sn(struct target_session *s);

/* A target transfer tag that is in use nowhere else in the session. */
uint32_t target_session_ttt(struct target_session *s);

/* Something ended: admit what waited, answer what waited for the end, end the session. */
void target_session_settle(struct target_session *s);

/* Do new tasks have to wait for the end of old ones that nobody hears of any more? */
static inline bool target_session_is_haunted(const struct target_session *s)
{
	return s->takeover.pending || s->orphans > 0;
}

/* ---- target_join.c */

/*
 * The first Login Request of a connection names the session that it is for, by TSIH. True:
 * the session is another worker's, and the connection moves there; nothing of it is to be
 * consumed here.
 */
bool target_join_moves(struct target_conn *c, const struct bhs *b);

/* The connection has died on its way. */
void target_join_forget(struct target_conn *c);

/* What a login is to negotiate for a session that exists: what holds there already. */
void target_join_params(const struct target_service *service, uint16_t tsih,
			struct login_params *ours, struct negotiation *n);

/* All is agreed: c becomes a connection of the session, in place of an older one with its CID. */
enum login_status target_join(struct target_conn *c, uint16_t tsih,
			      const struct target_login_result *result,
			      const struct login_params *params);

/* ---- target_logout.c */

/* A Logout Request. */
void target_logout_request(struct target_pdu *pdu);

/* Answer those whose tasks have gone. */
void target_logout_settle(struct target_session *s);

/* The connection has gone. */
void target_logout_forget(struct target_session *s, const struct target_conn *c);

/* ---- target_async.c: on connections in full feature phase */

/* Event 1: log out within so many seconds. */
void target_async_ask(struct target_conn *c, double seconds);

/* Event 2 or, with "all", 3: this connection, or all of its session, will be dropped. */
void target_async_drop(struct target_conn *c, bool all);

/* Event 2, by another connection of the session, if there is one: this one is dropped. */
void target_async_tell_dropped(const struct target_conn *c);

/* ---- target_task.c */

/*
 * A SCSI Command's header is here, with the additional header segments ahs[len].
 * Makes pdu->task, or says why the command is to be rejected.
 */
enum reject_reason target_task_new(struct target_pdu *pdu, const uint8_t *ahs, size_t len);

struct target_task *target_task_find(struct target_session *s, uint32_t itt);

/* It is the command's turn, and its immediate data is in place. */
void target_task_start(struct target_task *task);

/* The session has lost the unit: end as soon as that is true. */
void target_task_unmap(struct target_task *task);

/* Admit waiting tasks that there is room for now. */
void target_task_admit_waiting(struct target_session *s);

/* All data is there. */
void target_task_submit(struct target_task *task);

/* End the command with this status (and sense, for CHECK CONDITION) instead of submitting it.
 * The first refusal counts. */
void target_task_refuse(struct target_task *task, uint8_t status, uint32_t sense_reason);

/* Room for "len" bytes of data. False: the task is refused for want of memory. */
bool target_task_buffer(struct target_task *task, uint32_t len);

/* The outcome is in task->scsi: send it. */
void target_task_answer(struct target_task *task);

/* Its status is being queued: it gives its place in the CmdSN window free. */
void target_task_uncount(struct target_task *task);

/* No status will be sent. The task is freed now, or when the logical unit gives it back. */
void target_task_abort(struct target_task *task);

/* Free the task if it is over. */
void target_task_reap(struct target_task *task);

/* ---- target_local.c */

/* Execute a command that no logical unit sees; the outcome goes to task->scsi. */
void target_local_execute(struct target_task *task);

/* ---- target_xfer.c */

/* A write command's header: what is due unsolicited, where immediate data goes (NULL: nowhere). */
uint8_t *target_xfer_begin(struct target_task *task, const struct bhs *b);

/*
 * A Data-Out header: the same for its data, in rx. False: the task is not known, the
 * data is thrown away. That is no fault of the initiator: it may have been on its way
 * when the task ended early.
 */
bool target_xfer_header(struct target_rx *rx, struct target_session *s);

/* ... its data has come; "spoiled" = with a wrong digest. */
void target_xfer_data(struct target_rx *rx, bool spoiled);

/* Ask for more data, or submit: whatever can be done now. */
void target_xfer_continue(struct target_task *task);

/* Send the next Data-In PDUs, or the status. */
void target_xfer_answer(struct target_task *task);

/* ---- target_tmf.c */

void target_tmf_request(struct target_pdu *pdu);

/* Answer the functions whose tasks have gone. */
void target_tmf_settle(struct target_session *s);

/* Is one of the functions under way at that unit? */
bool target_tmf_uses(const struct target_session *s, const struct scsi_lu *lu);

/* Is one under way that the connection waits for the answer of? */
bool target_tmf_waits(const struct target_session *s, const struct target_conn *c);

/* Nobody is there to be answered on this connection, or to be heard. */
void target_tmf_forget(struct target_session *s, const struct target_conn *c);

/* How many task management functions a session may have under way. */
#define TARGET_MAX_TMFS		64

#endif
