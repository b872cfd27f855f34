/*
 * The far end of a connection: a stream in memory, whose bytes the fuzzer invents, and
 * the loop of the end under test.
 */
#ifndef FUZZ_PEER_H
#define FUZZ_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "stream.h"

struct fuzz_peer {
	struct stream stream;		/* for the end under test, which closes it */
	struct loop *loop;
	size_t	 piece;			/* at most so many bytes per recv; 0 = all there are */
	/* What the end under test says; may be NULL. */
	void   (*heard)(struct fuzz_peer *, const uint8_t *bytes, size_t len);
	/* fuzz_peer.c's: */
	const uint8_t *bytes;		/* said, and not yet received */
	size_t	 left;
	bool	 ended, closed;
	uint64_t calls;			/* of the stream: the end under test is not idle yet */
};

/* The loop that all inputs of a process share. Logging and traces are on, and go nowhere. */
struct loop *fuzz_loop(void);

void fuzz_peer_init(struct fuzz_peer *p, struct loop *loop);

/* Say bytes, which stay the caller's, and let the other end deal with them until it is idle. */
void fuzz_peer_say(struct fuzz_peer *p, const uint8_t *bytes, size_t len);

/* Say no more, and let the other end learn of it. */
void fuzz_peer_hang_up(struct fuzz_peer *p);

/* The same where the other end closes the connection, or it hangs: asserted. */
void fuzz_peer_end(struct fuzz_peer *p);

/* Let the loop run until nothing happens any more. */
void fuzz_peer_run(struct fuzz_peer *p);

#endif
