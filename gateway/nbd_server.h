/*
 * The NBD server: one connection of a client, from the first byte to the last.
 */
#ifndef NBD_SERVER_H
#define NBD_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "list.h"
#include "log.h"
#include "loop.h"
#include "nbd_exports.h"
#include "stream.h"
#include "tls.h"

struct nbd_limits {
	double	 handshake_timeout;	/* seconds until GO; 0 = none */
	unsigned max_connections;	/* of all workers together; 0 = as many as there are descriptors */
	uint32_t max_payload;		/* advertised, bytes */
	unsigned max_requests;		/* in flight per connection */
	size_t	 max_bytes;		/* of data in flight per connection */
};

void nbd_limits_init(struct nbd_limits *limits);

/* What the NBD connections of one worker share; the worker's. */
struct nbd_service {
	struct loop *loop;
	unsigned worker;			/* index into export.instance */
	struct nbd_exports *exports;		/* what is served; by nbd_server_follow() */
	bool	 following;			/* follows() is due */
	const struct nbd_limits *limits;
	atomic_uint *clients;			/* so many there are of all workers; NULL: nobody counts */
	struct list connections;		/* list_init()ed by the worker */
	bool	 shutting_down;
	enum tls_mode tls_mode;
	struct tls *tls;			/* NULL with TLS_OFF; outlives the connections */
	void   (*idle)(struct nbd_service *);	/* the last connection has gone; may be NULL */
	void   (*follows)(struct nbd_service *); /* see nbd_server_follow(); may be NULL */
	struct log_limit complaints;		/* about clients that were dropped; zero at first */
};

/*
 * From now on "exports" are in force (NULL: none); the service takes a hold of them. What becomes
 * of who is there is said in nbd_exports.h. follows() tells, perhaps before this returns, when
 * nobody uses a device any more that is in an earlier snapshot alone. Until then no other comes.
 * limits, tls_mode and tls may be changed right before this.
 */
void nbd_server_follow(struct nbd_service *service, struct nbd_exports *exports);

/* Serve a client on "stream", which becomes the connection's, and came by that door (nbd_exports.h;
 * 0: by none); or close it, where there is no room for one more. Frees itself. On the loop, after
 * nbd_server_follow(). */
void nbd_server_start(struct nbd_service *service, struct stream *stream, uint16_t door);

/*
 * Every client is told: options answer ERR_SHUTDOWN, new requests ESHUTDOWN, those
 * in flight finish, then the connection closes. service->idle() tells when all have
 * (not when there was none).
 */
void nbd_server_shutdown(struct nbd_service *service);

/* Drop what is left, now. */
void nbd_server_abort(struct nbd_service *service);

#endif
