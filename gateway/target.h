/*
 * The iSCSI target: sessions and connections of one worker (RFC 7143). A session
 * lives on the worker of its leading connection.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "export.h"
#include "keys.h"
#include "list.h"
#include "log.h"
#include "loop.h"
#include "stream.h"

struct target_conf {
	char	 name[ISCSI_NAME_MAX + 1];
	char	 alias[256];
	uint16_t tpgt;
	struct login_params params;		/* offers and limits */
	double	 login_timeout;			/* seconds */
	double	 logout_timeout;		/* seconds to log out, at shutdown */
	double	 nop_interval, nop_timeout;	/* NOP-In keepalive; 0 = none */
	unsigned queue_depth;			/* CmdSN window per session */
	uint32_t max_transfer;			/* bytes of one command's data */
	size_t	 max_bytes;			/* of data in flight per session */
};

void target_conf_init(struct target_conf *conf);

/* What the sessions of all workers share: who is logged in, TSIHs. Thread-safe. NULL: no memory. */
struct target_shared;
struct target_shared *target_shared_new(const struct target_conf *conf);
void target_shared_free(struct target_shared *shared);

/* What the iSCSI connections of one worker share; the worker's. */
struct target_service {
	struct loop *loop;
	unsigned worker;			/* index into export.instance */
	const struct export_table *exports;	/* by LUN */
	const struct target_conf *conf;
	struct target_shared *shared;
	/* For SendTargets: what each listener is bound to ("0.0.0.0:3260"), count of them. */
	const char *const *portals;
	unsigned portal_count;
	struct list connections;		/* list_init()ed by the worker */
	struct list sessions;
	bool	 shutting_down;
	struct log_limit news;			/* what peers can have us log */
	void   (*idle)(struct target_service *);
};

/* Serve an initiator on "stream" (a connected socket). Frees itself. On the service's loop. */
void target_start(struct target_service *service, struct stream *stream);

/*
 * Every session is asked to log out (Async Message, event 1), tasks in flight
 * finish; service->idle() tells when all connections have gone.
 */
void target_shutdown(struct target_service *service);

/* Drop what is left, now. */
void target_abort(struct target_service *service);

#endif
