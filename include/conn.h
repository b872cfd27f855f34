/*
 * One connection: what every wire protocol here needs of a stream, and nothing of
 * what the bytes mean.
 *
 * Receive: many small messages are parsed out of one large receive (the loop's
 * scratch buffer, so an idle connection owns no buffer at all). When a header
 * says whose the payload is, conn_expect() has it received straight into place,
 * together in one system call with whatever follows it.
 *
 * Send: conn_send() queues; everything queued during a loop turn leaves in one
 * sendmsg. sent() tells when the bytes are no longer needed.
 *
 * Death: conn_fail() is the only way. The first reason is kept; closed() is called
 * once, on the loop, never inside another call.
 *
 * All on the loop's thread. Embedded in the protocol's own connection object.
 */
#ifndef CONN_H
#define CONN_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "list.h"
#include "loop.h"

struct conn;
struct stream;

#define CONN_OUT_IOV	4
#define CONN_WHY_LEN	160

/* Something to send: embedded in the reply that owns the bytes. */
struct conn_out {
	struct list node;
	struct iovec iov[CONN_OUT_IOV];
	int count;
	/* The bytes have been handed to the stream (ok), or never will be (!ok). Never inside
	 * conn_send(). */
	void (*sent)(struct conn_out *, bool ok);
};

struct conn_ops {
	/*
	 * The peer asks, and we answer: then what it has sent is received last in a turn. The
	 * answers that the turn brings from elsewhere leave first, and take TCP's acknowledgement
	 * of what has come with them, where receiving would send one of its own.
	 */
	bool asked;
	/*
	 * n bytes are here, n >= 1. Consume what is whole and say how many bytes
	 * that was; 0 = more is needed. It is called again with the rest until it
	 * returns 0, pauses, finishes, or fails; after conn_expect() with what follows
	 * the payload. Bytes are valid only during the call. A message that parse()
	 * needs whole must be smaller than LOOP_SCRATCH_LEN.
	 */
	size_t (*parse)(struct conn *, const uint8_t *p, size_t n);
	/* What conn_expect() asked for is all there. */
	void (*filled)(struct conn *);
	/* The end: "why" is what conn_fail() was told, or how the peer ended it. After this no
	 * other call comes; every conn_out has had its sent(). Call conn_release() in or after it;
	 * the object that embeds the connection may be freed then. */
	void (*closed)(struct conn *, const char *why);
};

struct conn {
	/* conn*.c's; look, do not touch: */
	const struct conn_ops *ops;
	struct loop *loop;
	struct stream *stream;
	ev_io readable, writable;
	uint8_t *into;			/* conn_expect() */
	size_t	 into_len;
	uint8_t	*stash;			/* bytes received and not yet consumed, from the pool */
	size_t	 stash_len, stash_used;
	struct list out;
	size_t	 out_first;		/* bytes of the first conn_out already sent */
	size_t	 out_bytes;		/* queued and not yet sent */
	struct loop_call flush, teardown, resume, late;
	bool	 paused, draining, dead, closed;
	bool	 peer_closed;		/* the end was the peer's: nothing was wrong with us */
	bool	 bulk;			/* the last payload was a big one */
	char	 why[CONN_WHY_LEN];
	uint64_t bytes_in, bytes_out;
};

/* The stream becomes the connection's. Reading starts with the next loop turn. */
void conn_init(struct conn *c, struct loop *loop, struct stream *stream,
	       const struct conn_ops *ops);

/* After closed(): frees what the connection holds (not c itself) and closes the stream. The peer
 * has been told of the end before closed(), so there is no hurry. */
void conn_release(struct conn *c);

/*
 * Receive the next "len" bytes (> 0) into "where", which is lent until filled() or
 * closed(). Only from parse() or filled(), as the last thing they do: the bytes
 * that follow those being consumed are meant.
 */
void conn_expect(struct conn *c, void *where, size_t len);

/* Queue at least one byte; out->iov and what it points at stay the connection's until out->sent().
 * On a dead connection sent(false) comes as well, at the latest within conn_release(). */
void conn_send(struct conn *c, struct conn_out *out);

/* Stop and resume receiving: back-pressure. Bytes already received wait. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* Peer or protocol failed: stop both directions now, keep the first reason. Safe in any callback,
 * and more than once. */
void conn_fail(struct conn *c, const char *fmt, ...)
#ifdef __GNUC__
	__attribute__((format(printf, 2, 3)))
#endif
	;

/* Receive no more, send what is queued (conn_send() may still add to it), then close with "why".
 * A peer that does not take it is the caller's to time out, with conn_fail(). */
void conn_finish(struct conn *c, const char *why);

/*
 * Put another stream, which owns the current one (TLS over it), in its place. Not in
 * parse() or filled(): pause there, and switch once the answer has been sent. Only when
 * nothing is queued to send; false, and nothing changes, when bytes have been received
 * that no parse() has consumed: they came in plain.
 */
bool conn_switch(struct conn *c, struct stream *over);

/*
 * To carry a connection over to another loop: conn_detach() here, conn_init() and
 * conn_preload() there. Only while it is paused, with nothing queued to send and nothing
 * expected; not in parse() or filled(). The connection is over without closed(), as if
 * released. *unread is what has been received and consumed by no parse(), from malloc; it
 * is NULL when *len is 0. NULL, and nothing changes, without memory.
 */
struct stream *conn_detach(struct conn *c, uint8_t **unread, size_t *len);

/* Right after conn_init(): bytes that parse() is to see before what the stream brings. Copied. */
void conn_preload(struct conn *c, const uint8_t *bytes, size_t len);

#endif
