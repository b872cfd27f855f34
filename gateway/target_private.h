/*
 * The inside of the iSCSI target: which file has what, and what the service of a worker
 * (target.h) offers the others.
 *
 * Objects: a service lists connections and sessions. A session lists its connections, tasks
 * and task management functions, and outlives its connections until a logical unit holds
 * none of its tasks. A task belongs to its session and is freed when its status has been
 * sent, or when it was aborted and nobody uses its memory any more. All on the thread of
 * the service's loop; what several workers share is target_shared.c's.
 *
 * target.h: the service of a worker
 *	target.c		what it offers, its beginning and its end
 *
 * target_conn.h: a connection
 *	target_conn.c		its life: timers, back-pressure, its end
 *	target_guard.c		what those may hold who have not logged in yet
 *	target_async.c		Asynchronous Messages
 *
 * target_pdu.h: PDUs, in and out
 *	target_receive.c	bytes to PDUs: headers, data segments, digests
 *	target_dispatch.c	what becomes of a PDU: whose it is, and whether it is rejected
 *	target_send.c		PDUs to bytes; Reject
 *
 * target_login.h: a login
 *	target_login.c		stages, refusals, the way into full feature phase
 *	target_login_keys.c	what its keys say
 *	target_join.c		further connections of a session, also from other workers
 *
 * target_place.h, target_portal.h: where a login leads, and by which addresses
 *	target_place.c		target, portal group and auth group in the access rules
 *	target_portal.c		addresses as text, portals as an initiator can use them
 *
 * target_text.h, target_pieces.h: text
 *	target_text.c		Text requests in full feature phase
 *	target_discovery.c	SendTargets
 *	target_pieces.c		long text in several PDUs, also of a login
 *
 * target_session.h, target_shared.h: a session
 *	target_session.c	its beginning, its connections, its end
 *	target_cmd_sn.c		the CmdSN window, and the order of commands
 *	target_reinstate.c	a newer session takes the place of an older one
 *	target_access.c		its logical units, and what becomes of it when other access rules
 *				come into force
 *	target_logout.c		Logout
 *	target_shared.c		what the workers share: session identities, TSIHs
 *
 * target_task.h, target_tmf.h: SCSI commands and their management
 *	target_command.c	what the header of a command says
 *	target_task.c		a command's life between its header and its status
 *	target_local.c		commands that the target itself answers
 *	target_xfer.c		R2T, Data-Out, Data-In, SCSI Response
 *	target_tmf.c		task management
 *	target_heard.c		what the initiator has heard before a function is answered
 */
#ifndef TARGET_PRIVATE_H
#define TARGET_PRIVATE_H

#include "export.h"
#include "lu.h"
#include "target.h"

/* Tell service->idle() if the last connection and session have gone while shutting down, and
 * service->follows() if the last that used what is no longer in force has let go of it. */
void target_service_settle(struct target_service *service);

/* This worker's logical unit of an export; NULL: it has none. */
static inline struct scsi_lu *target_instance(const struct target_service *service,
					      const struct export *export)
{
	return export->instance[service->worker].lu;
}

#endif
