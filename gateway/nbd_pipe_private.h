/*
 * Between the two directions of a pipe: nbd_pipe.c sends requests, nbd_pipe_reply.c judges
 * what comes back.
 *
 * A request has a slot from nbd_pipe_send() until it has been answered and its bytes
 * have left; the cookie says which. Calls and their buffers are their owners'; what
 * conn.c holds of a request (the slot's conn_out) is the pipe's, which therefore lives
 * until conn.c has let go of everything.
 */
#ifndef NBD_PIPE_PRIVATE_H
#define NBD_PIPE_PRIVATE_H

#include "conn.h"
#include "nbd_pipe.h"

#define NBD_PIPE_REQUEST_LEN	28

struct nbd_pipe_slot {
	struct nbd_pipe *pipe;
	struct nbd_pipe_call *call;	/* NULL: none, or it ended with the connection */
	struct list node;		/* pipe->idle */
	uint64_t cookie;
	bool	 unsent;
	struct conn_out out;
	uint8_t	 wire[NBD_PIPE_REQUEST_LEN];
};

enum rx_state {
	RX_REPLY,			/* a header comes next, with the head of its chunk */
	RX_DATA,			/* conn.c puts data in place */
	RX_EXTENTS,			/* descriptors of a block status */
};

struct nbd_pipe {
	struct conn conn;
	bool	 structured;
	bool	 ended;			/* conn.c is through with it */
	bool	 closed;		/* ... and so is the owner */
	void   (*lost)(void *opaque, const char *why);
	void	*opaque;

	/* The reply that is coming in. */
	enum rx_state state;
	struct nbd_pipe_slot *receiving;
	bool	 last;			/* it is the request's last chunk */
	uint64_t offset;		/* of the data */
	uint32_t left;			/* bytes of data, or of descriptors */

	uint64_t sent;			/* requests so far */
	struct list idle;
	struct nbd_pipe_slot slots[NBD_PIPE_CALLS];
};

static inline struct nbd_pipe *nbd_pipe_of(struct conn *conn)
{
	return container_of(conn, struct nbd_pipe, conn);
}

static inline void nbd_pipe_slot_put(struct nbd_pipe_slot *slot)
{
	if (!slot->call && !slot->unsent)
		list_add_head(&slot->pipe->idle, &slot->node);	/* it is still in the cache */
}

static inline void nbd_pipe_end_call(struct nbd_pipe_slot *slot, bool answered)
{
	struct nbd_pipe_call *call = slot->call;

	slot->call = NULL;
	nbd_pipe_slot_put(slot);
	call->events->ended(call, answered, call->error);
}

/* conn_ops.parse and .filled */
size_t nbd_pipe_parse(struct conn *conn, const uint8_t *p, size_t n);
void nbd_pipe_filled(struct conn *conn);

#endif
