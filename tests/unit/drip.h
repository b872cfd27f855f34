/*
 * A test's stream over a socket: it drips, delays, hoards and cuts, as told.
 */
#ifndef DRIP_H
#define DRIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream.h"

struct drip {
	struct stream stream;
	size_t recv_max, send_max;	/* bytes per call; 0 = any */
	unsigned again_every;		/* every n-th call says EAGAIN; 0 = never */
	unsigned calls, sends;		/* counted */
	size_t send_cut;		/* EPIPE once that many bytes have been sent; 0 = never */
	size_t sent;
	bool hoard;			/* receive all at once and hand it out in pieces, like TLS */
	uint8_t held[8192];
	size_t held_len, held_off;
	bool *closed;			/* set by close() */
};

/* A stream that does nothing special yet. It owns fd; *closed is set by its close(), which
 * frees it. */
struct drip *drip_new(int fd, bool *closed);

#endif
