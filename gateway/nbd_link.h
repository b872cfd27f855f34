/*
 * One connection to an NBD server, from resolving its name to its end. libnbd makes it:
 * names, URIs, TLS, options. What it carries when it is ready goes through a struct
 * nbd_pipe; through libnbd, too, only where that has to encrypt it. Knows nothing of
 * requests.
 */
#ifndef NBD_LINK_H
#define NBD_LINK_H

#include <libnbd.h>
#include <stdbool.h>

#include "loop.h"

struct nbd_link;
struct nbd_pipe;
struct offload;

struct nbd_link_conf {
	const char *uri;	/* libnbd's syntax; copied */
	const char *tls_certificates, *tls_psk;	/* as nbd_blk.h has them; until nbd_link_open() returns */
	double timeout;		/* seconds from open to opened(), > 0 */
};

struct nbd_link_events {
	/* Once: NULL = the export is ready for requests; else why not, in one line. The owner
	 * closes the link then, here or later. */
	void (*opened)(void *opaque, const char *why);
	/* At most once after opened(NULL): the connection has ended. The same holds. */
	void (*lost)(void *opaque, const char *why);
};

/*
 * Begin to connect. Events come from the loop, never within a call into the link.
 * NULL without memory. On the loop's thread, as all of the following.
 */
struct nbd_link *nbd_link_open(struct loop *loop, struct offload *offload,
			       const struct nbd_link_conf *conf,
			       const struct nbd_link_events *events, void *opaque);

/* The handle, for questions once it is ready; and for requests, where there is no pipe. */
struct nbd_handle *nbd_link_handle(struct nbd_link *link);

/* What requests go through, once it is ready; NULL: through the handle. */
struct nbd_pipe *nbd_link_pipe(struct nbd_link *link);

/* After nbd_aio_*: what libnbd waits for may have changed. Looked at once per loop turn. */
void nbd_link_kick(struct nbd_link *link);

/* From a command's callback that tells of a dead connection: keep libnbd's reason, which the next
 * call would replace. lost() follows. */
void nbd_link_suspect(struct nbd_link *link);

/*
 * Take leave of the server if it is still there, and close. No event comes any more;
 * callbacks of commands in flight get their .free within this call, and only that; calls of the
 * pipe end, unanswered.
 */
void nbd_link_close(struct nbd_link *link);

#endif
