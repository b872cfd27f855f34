/*
 * The iSCSI target: sessions and connections of one worker (RFC 7143). A session
 * lives on the worker of its leading connection, and so do its other connections.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "disk_lu.h"
#include "keys.h"
#include "list.h"
#include "log.h"
#include "loop.h"
#include "stream.h"

/* What holds for every target. */
struct target_conf {
	struct login_params params;		/* offers and limits */
	double	 login_timeout;			/* seconds */
	double	 logout_timeout;		/* seconds to log out, when asked to */
	double	 nop_interval, nop_timeout;	/* NOP-In keepalive; 0 = none */
	unsigned queue_depth;			/* CmdSN window per session */
	uint32_t max_transfer;			/* bytes of one command's data */
	size_t	 max_bytes;			/* of data in flight per session */
};

void target_conf_init(struct target_conf *conf);

/* How long a shutdown waits for initiators to log out, at most: logout_timeout may be hours. The
 * bound of the whole shutdown (gateway.c) leaves room for what they have in flight. */
#define TARGET_SHUTDOWN_LOGOUT	6.0	/* seconds */

/* What the sessions of all workers share: who is logged in, TSIHs. Thread-safe. NULL: no memory. */
struct target_shared;
struct target_shared *target_shared_new(void);
void target_shared_free(struct target_shared *shared);

/* What the iSCSI connections of one worker share; the worker's. */
struct target_service {
	/* Set before target_service_init(): */
	struct loop *loop;
	unsigned worker;			/* index into export.instance */
	const struct target_conf *conf;
	struct target_shared *shared;
	void   (*idle)(struct target_service *);
	void   (*follows)(struct target_service *);

	struct lu_directory directory;		/* for the units that this worker opens */
	struct access *access;			/* what is served, and to whom; NULL at first */
	bool	 following;			/* follows() is due */
	struct list connections;
	struct list sessions;
	struct list logins;			/* connections without a session, the oldest first */
	unsigned login_count;
	bool	 shutting_down;
	struct log_limit news;			/* what peers can have us log */
};

void target_service_init(struct target_service *service);
void target_service_exit(struct target_service *service);

/*
 * From now on "access" is in force; the service takes a hold of it. What becomes of who is
 * there is said in access.h. follows() tells, perhaps before this returns, when nobody uses
 * a logical unit any more that is in an earlier snapshot alone. Until then no other comes.
 * *conf may be changed right before this.
 */
void target_follow(struct target_service *service, struct access *access);

/* Serve an initiator on "stream" (a connected socket) that has come to a portal of the group with
 * this tag. Frees itself. On the service's loop, after target_follow(). */
void target_start(struct target_service *service, struct stream *stream, uint16_t group);

/*
 * Every session is asked to log out (Async Message, event 1). Who does not is told of the
 * end (event 2 or 3) when its tasks in flight have finished; service->idle() tells when all
 * connections have gone.
 */
void target_shutdown(struct target_service *service);

/* Drop what is left, now; who listens hears of it (event 3). */
void target_abort(struct target_service *service);

#endif
