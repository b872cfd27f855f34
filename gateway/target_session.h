/*
 * One session: its connections, its tasks and the order of its commands. Of it other workers
 * know the identity, and logical units the nexus.
 */
#ifndef TARGET_SESSION_H
#define TARGET_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "bhs.h"
#include "keys.h"
#include "list.h"
#include "loop.h"
#include "lu.h"
#include "target_place.h"
#include "target_shared.h"

#define TARGET_ITT_BUCKETS	64		/* a power of two */
#define TARGET_MAX_CONNECTIONS	8		/* MaxConnections that we agree to */

struct target_conn;
struct target_login_result;
struct target_pdu;
struct target_task;

/*
 * A session replaces an older one of the same initiator port (RFC 7143 §6.3.5),
 * which may live on another worker: "ask" goes there, "dying" comes back once its
 * connections are dead, "gone" once no task of it is left. The new session logs in
 * at "dying"; its commands wait for "gone", so that no write of the old one can
 * land after a write of the new one.
 */
struct target_reinstatement {
	struct loop_msg ask, dying, gone;
	struct list node;		/* old session->heirs; the old worker's */
	struct target_service *old_service;
	uint16_t old_tsih;
	bool	 pending;		/* from ask to gone */
};

/*
 * Listed in its service, and in target_shared, until it has no connection, task, task
 * management function or pending reinstatement any more; "ending" is the first part of that. All
 * that is listed in it is freed before it is.
 */
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
	struct target_reinstatement reinstatement;
	struct list heirs;		/* reinstatements of newer sessions that wait for our end */

	uint32_t exp_cmd_sn;
	uint32_t max_cmd_sn;		/* that we keep to; it never moves back */
	uint32_t told_cmd_sn;		/* ... as told by a connection that is still there */
	struct list held;		/* PDUs ahead of exp_cmd_sn, in CmdSN order */

	struct list tasks;
	struct list by_itt[TARGET_ITT_BUCKETS];
	struct list waiting;		/* tasks without room, or held up by a reinstatement */
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

/* Do new tasks have to wait for the end of old ones that nobody hears of any more? */
static inline bool target_session_is_haunted(const struct target_session *s)
{
	return s->reinstatement.pending || s->orphans > 0;
}

/* Has the initiator been told of no CmdSN that it may use? */
static inline bool target_cmd_sn_is_closed(const struct target_session *s)
{
	return sn_lt(s->told_cmd_sn, s->exp_cmd_sn);
}

/* ---- target_session.c */

/* The session of a leading connection; NULL: no memory, or no TSIH. If it has to wait for an
 * older one, reinstatement.pending is set, and target_login_reinstated() comes. */
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

/* A target transfer tag that is in use nowhere else in the session. */
uint32_t target_session_ttt(struct target_session *s);

/* Something ended: admit what waited, answer what waited for the end, end the session. */
void target_session_settle(struct target_session *s);

/* ---- target_reinstate.c */

/* The new session replaces that one, which may be another worker's: begin its reinstatement. */
void target_reinstate(struct target_session *s, struct target_service *old_service,
		      uint16_t old_tsih);

/* The session ends: tell those that replace it. */
void target_reinstate_heirs(struct target_session *s);

/* ---- target_cmd_sn.c */

/* Is the CmdSN one that may come now? */
bool target_cmd_sn_expects(const struct target_session *s, uint32_t cmd_sn);

/* MaxCmdSN, as it is told now, by this connection. */
uint32_t target_cmd_sn_max(struct target_session *s, struct target_conn *c);

/* Commands have gone without an answer, or a connection with answers that nobody has read. If the
 * window is open, and as far as the initiator knows it is not, say so by a NOP-In (RFC 7143
 * §11.19): the initiator has nothing to send that would be answered. */
void target_cmd_sn_tell(struct target_session *s);

/* Execute a numbered PDU in its turn: now, or when those before it have come. */
void target_cmd_sn_arrived(struct target_session *s, struct target_pdu *pdu);

/* Take the CmdSN as received though no PDU has come with it. False: one has. */
bool target_cmd_sn_skip(struct target_session *s, uint32_t cmd_sn);

/* Execute an immediate PDU, without data, when all that have a CmdSN before its own have come. False:
 * there are too many that wait like that, or there is no memory. */
bool target_cmd_sn_hold_immediate(struct target_session *s, const struct target_pdu *pdu);

/* The task of a PDU that is held goes away. */
void target_cmd_sn_unhold(struct target_session *s, const struct target_task *task);

/* The connection has gone: what it has sent ahead of its turn goes unexecuted, and what was told by
 * it may not have been heard. */
void target_cmd_sn_forget(struct target_session *s, const struct target_conn *c);

/* ---- target_access.c */

/* The session is where service->access has a place for it. */
void target_session_settle_in(struct target_session *s, const struct target_place *place,
			      const struct chap_user *user);

/* service->access has changed: the session follows, or is asked to go. */
void target_session_follow(struct target_session *s);

/* If no unit that the session has lost is in use any more: forget them. */
void target_session_forget_lost(struct target_session *s);

/* The logical unit of a LUN as on the wire, and whether the session may only read it (or NULL);
 * NULL: it has none there. */
struct scsi_lu *target_session_lu(const struct target_session *s, uint64_t lun, bool *read_only);

/* The one with this NAA designator; likewise. */
struct scsi_lu *target_session_lu_by_naa(const struct target_session *s, uint64_t naa,
					 bool *read_only);

/* The units that the session has, one by one. */
void target_session_each_lu(const struct target_session *s,
			    void (*tell)(struct scsi_lu *, const struct nexus *));

/* ---- target_logout.c */

/* A Logout Request. */
void target_logout_request(struct target_pdu *pdu);

/* Answer those whose tasks have gone. */
void target_logout_settle(struct target_session *s);

/* The connection has gone. */
void target_logout_forget(struct target_session *s, const struct target_conn *c);

#endif
