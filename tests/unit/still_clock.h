/*
 * A clock that stands still until a test has it go on. It takes the place of clock_gettime(), for
 * libev and all: what is due is so by what the test does, however long that takes here.
 */
#ifndef STILL_CLOCK_H
#define STILL_CLOCK_H

/* So much later, and less than half a second: libev takes more for a clock that was set. What has
 * become due runs in the next turn of its loop. */
void clock_pass(double seconds);

#endif
