/*
 * One end of a connection for the tests of conn, over a stream that drips.
 *
 * Its protocol is as small as it can be and yet need all of conn: one byte of type,
 * four of length (big-endian), then a payload that is received into place.
 */
#ifndef CONN_PEER_H
#define CONN_PEER_H

#include "conn.h"
#include "drip.h"

#define HEADER		5		/* bytes in front of each payload */
#define PAYLOAD_MAX	(1u << 20)

/* Where it is told to fail or finish. */
enum where { NOWHERE, IN_PARSE, IN_FILLED, IN_SENT };

struct peer {
	struct conn conn;
	struct loop *loop;
	struct drip *drip;
	int other;			/* the far end */

	unsigned headers, payloads;	/* whole ones seen */
	size_t payload_bytes;
	unsigned sum;			/* of all payload bytes */
	uint8_t *payload;
	size_t payload_len;

	enum where fail_in, finish_in;
	unsigned pause_every;		/* pause after every n-th message */
	unsigned stop_after;		/* stop the loop after that many payloads; 0 = never */

	unsigned sent_ok, sent_failed;
	unsigned closed;
	bool in_send, sent_inside;	/* inside conn_send(); was sent() ever called there? */
	bool release_in_closed;		/* else peer_free() does */
	bool stream_closed;
	char why[CONN_WHY_LEN];
};

extern const struct conn_ops peer_ops;

struct peer *peer_new(void);

/* Ends the connection if it has not ended, and checks that nothing is left of it. */
void peer_free(struct peer *p);

/* What a sent(), parse() or filled() is told to do there. */
void act(struct peer *p, enum where here);

/* One turn of the loop, without waiting. */
void turn(struct peer *p);

/* Write a message of "len" bytes of payload; the length of both. */
size_t put_message(uint8_t *to, size_t len, uint8_t seed);

/* Continue the sum of all payloads with that of a message. */
unsigned sum_of(unsigned sum, const uint8_t *message);

/* Three messages (12 bytes, none, 9 bytes of payload); their length and sum. */
size_t three_messages(uint8_t *to, unsigned *sum);

/* Send from the far end. */
void push(struct peer *p, const uint8_t *b, size_t n);

#endif
