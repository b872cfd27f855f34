/*
 * --run: a command that runs while the gateway serves, with its URIs in the
 * environment; the gateway ends when the command does.
 */
#ifndef CAPTIVE_H
#define CAPTIVE_H

#include <ev.h>
#include <sys/types.h>

#include "loop.h"

struct captive {
	struct loop *loop;
	ev_signal child_signal;
	pid_t pid;			/* 0 = not running */
	/* The command has ended: its exit status, or 128 + the signal that ended it. */
	void (*ended)(struct captive *, int status);
};

/*
 * Run "command" by /bin/sh with $nbd_uri, $iscsi_uri and $uri (NULL = that one is
 * empty). captive->ended is set by the caller. 0, or -1 with errno.
 */
int captive_start(struct captive *captive, struct loop *loop, const char *command,
		  const char *nbd_uri, const char *iscsi_uri);

/* Pass a signal on to a command that still runs. */
void captive_signal(struct captive *captive, int signal);

#endif
