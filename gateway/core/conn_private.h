/*
 * Between the files of a connection:
 *
 *   conn.c		its life: from conn_init() by way of another stream or loop to its end
 *   conn_receive.c	bytes from the stream to parse(), or straight into place
 *   conn_send.c	what is queued to the stream, once per loop turn
 */
#ifndef CONN_PRIVATE_H
#define CONN_PRIVATE_H

#include "conn.h"

/* conn.c */

static inline bool conn_is_receiving(const struct conn *c)
{
	return !c->dead && !c->draining && !c->paused;
}

/* The stream has failed with "err" when it was "doing" something. */
void conn_stream_failed(struct conn *c, const char *doing, int err);

/* After conn_finish(): all that was queued has been sent. */
void conn_drained(struct conn *c);

/* conn_receive.c */

/* Watches the stream from the next loop turn on. */
void conn_receive_init(struct conn *c);

/* For good. What has been received and not been consumed stays. */
void conn_receive_stop(struct conn *c);

/* Throw away what has been received and not been consumed. */
void conn_drop_unread(struct conn *c);

/* Read what the stream holds now, within bounds, and throw it away. */
void conn_discard(struct conn *c);

/* conn_send.c */

void conn_send_init(struct conn *c);

/* For good; what is queued stays queued. */
void conn_send_stop(struct conn *c);

/* Of a dead connection: sent(false) for all that is queued. */
void conn_fail_queued(struct conn *c);

#endif
