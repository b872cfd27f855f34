/*
 * The world around the initiator, for a program that links fuzz_world.c: functions of
 * the same name take the place of getaddrinfo(), offload_run(), stream_socket() and
 * clock_gettime(), so that every connection leads to us, at once, and time passes when
 * we say so. (The sockets that are connected on the way are datagram sockets, which
 * nobody has to accept, and go nowhere.)
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include "stream.h"

/* The far end of a new connection, or NULL: refused. */
extern struct stream *(*fuzz_connected)(void);

/* Let time pass, for the loop's timers; the loop has not run yet. */
void fuzz_skip_time(unsigned seconds);

#endif
