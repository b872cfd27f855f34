/*
 * A client of the NBD server in the same thread, over a socketpair, that speaks in
 * hexadecimal; and the device behind the server, which answers when and what the
 * test wants. Time stands still (still_clock.h). For the tests of the NBD server.
 */
#ifndef NBD_PEER_H
#define NBD_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blk.h"
#include "export.h"
#include "nbd_server.h"

#define PEER_EXPORTS	2
#define PEER_MEDIUM	(1u << 20)	/* bytes that the device really has */

/* The device: a byte array, and a script for what is to go wrong. */
struct peer_device {
	struct blkdev dev;
	uint8_t *bytes;
	bool hold;			/* keep requests until peer_release() */
	struct list pending;
	struct loop_call answer;
	/* The next request that has data or a range fails so; then no more. */
	int error;
	bool has_error_offset;
	uint64_t error_offset;
	char why[BLK_WHY_LEN];
	/* What STATUS is answered with, wherever. */
	struct blk_extent extents[4];
	unsigned extent_count;
	/* What has been seen. */
	unsigned submitted, aborted, in_flight, max_in_flight;
	struct blk_req last;		/* a copy */
};

struct peer {
	struct loop *loop;
	struct nbd_service service;
	uint16_t door;			/* that clients come by */
	struct nbd_limits limits;
	struct export exports[PEER_EXPORTS];
	struct nbd_export *nbd[PEER_EXPORTS];
	struct export_instance instances[PEER_EXPORTS];
	struct peer_device device[PEER_EXPORTS]; /* named "disk" and "other" */
	int fd;				/* the client's end; -1 when it has hung up */
	unsigned idle, follows;		/* calls of service.idle() and .follows() */
	bool drip;			/* send byte by byte */
	int send_buffer;		/* of the server's socket; 0 = what the system gives */
};

/* A server with two exports; no connection yet. */
struct peer *peer_new(void);

/* Connect; the greeting has been read, and the client's flags (3) sent. */
struct peer *peer_connect(struct peer *p);
struct peer *peer_connect_with(struct peer *p, uint32_t client_flags);

/* Hang up and free it all. Asserts that nothing is left over. */
void peer_free(struct peer *p);

/* Let the server run until it has nothing to do. */
void peer_run(struct peer *p);

/* Send bytes given as hexadecimal digits; blanks are ignored. */
void peer_say(struct peer *p, const char *hex);

/* Send a format of hexadecimal digits: for lengths and the like. */
void peer_sayf(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* So many bytes of the same value. */
void peer_say_fill(struct peer *p, uint8_t value, size_t count);

/* Any bytes; false when the server does not take them all. */
bool peer_try_say(struct peer *p, const uint8_t *bytes, size_t len);

/* The server answers exactly these bytes next: asserted. */
void peer_hear(struct peer *p, const char *hex);
void peer_hear_text(struct peer *p, const char *text);
void peer_hear_fill(struct peer *p, uint8_t value, size_t count);

/* ... nothing, or the end. */
void peer_hear_nothing(struct peer *p);
void peer_hear_end(struct peer *p);

/* Throw away what has been answered; how many bytes. */
size_t peer_skip(struct peer *p);

void peer_hang_up(struct peer *p);

/* Has the server not closed yet? */
bool peer_is_up(const struct peer *p);

/* Answer what the device holds, and hold no longer. */
void peer_release(struct peer *p);

/* Options that many tests begin with. */
void peer_structured(struct peer *p);
void peer_extended(struct peer *p);
void peer_select(struct peer *p);	/* both meta contexts: 1 base:allocation, 2 x-scsi:… */
void peer_go(struct peer *p);		/* to "disk" */

/* The header of a request; its cookie is 00000000c00c1e.. with the tag at the end. */
void peer_ask(struct peer *p, uint16_t flags, uint16_t type, uint8_t tag, uint64_t offset,
	      uint32_t length);
void peer_ask_extended(struct peer *p, uint16_t flags, uint16_t type, uint8_t tag,
		       uint64_t offset, uint64_t length);

#endif
