/*
 * The transmission phase of a connection to an NBD server, on a plain socket: many
 * requests per send, many replies per receive, payloads straight from and into the
 * requests' buffers. libnbd, which makes the connection, takes a send per request and
 * three receives per reply; those are most of what a small request costs.
 *
 * nbd_link opens and closes it, nbd_blk_request makes the calls. All on the loop's
 * thread.
 */
#ifndef NBD_PIPE_H
#define NBD_PIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"
#include "nbd_wire.h"

struct nbd_pipe;
struct nbd_pipe_call;

/* So many calls may be outstanding. */
#define NBD_PIPE_CALLS		128

/* What the reply to a call says, piece by piece; from the loop, never within a call below but
 * for ended(), which comes within nbd_pipe_close(). The pipe is not to be closed in any. */
struct nbd_pipe_events {
	/* READ: "length" bytes at "offset" of the export are in the buffer. */
	void (*chunk)(struct nbd_pipe_call *, uint64_t offset, uint64_t length);
	/* BLOCK_STATUS: the next descriptor. False: it makes no sense, and the call fails with EIO. */
	bool (*extent)(struct nbd_pipe_call *, uint32_t length, uint32_t flags);
	/* The server says that "offset", which may be anywhere, is where it failed. */
	void (*failed_at)(struct nbd_pipe_call *, uint64_t offset);
	/* Once, the last: 0 or the errno that the server gave; !answered: the connection ended. */
	void (*ended)(struct nbd_pipe_call *, bool answered, int error);
};

/* One request: embedded in what its owner keeps for it, and lent until ended(). */
struct nbd_pipe_call {
	/* Set by the owner: */
	const struct nbd_pipe_events *events;
	enum nbd_cmd command;
	uint16_t flags;			/* NBD_CMD_FLAG_... */
	uint64_t offset;
	uint32_t length;
	uint8_t *data;			/* READ, WRITE: lent until ended() */
	/* The pipe's: */
	int	 error;			/* the first of its reply */
};

/*
 * Take over a connection that is ready for requests. "fd" becomes the pipe's;
 * "structured" says whether such replies have been agreed. lost() comes from the loop, at
 * most once: the connection has ended, and the pipe is to be closed, there or later.
 * NULL with errno (fd stays the caller's).
 */
struct nbd_pipe *nbd_pipe_open(struct loop *loop, int fd, bool structured,
			       void (*lost)(void *opaque, const char *why), void *opaque);

/* Send a request, together with the others of this loop turn. At most NBD_PIPE_CALLS at a time. */
void nbd_pipe_send(struct nbd_pipe *pipe, struct nbd_pipe_call *call);

/* Take leave of the server, if that is possible at once, and close. What is outstanding ends within
 * this, not answered; lost() does not come any more. */
void nbd_pipe_close(struct nbd_pipe *pipe);

#endif
