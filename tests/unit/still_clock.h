/*
 * A clock that stands still until a test has it go on. It takes the place of clock_gettime(), for
 * libev and all: what is due is so by what the test does, however long that takes here.
 */
#ifndef STILL_CLOCK_H
#define STILL_CLOCK_H

/* So much later: what has become due runs in the next turn of its loop. Half a second and more at
 * once libev takes for a clock that was set: timers are due, and loop_now() stays. */
void clock_pass(double seconds);

#endif
