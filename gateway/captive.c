/* The command of --run; see captive.h. */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "captive.h"

static void child_changed(struct ev_loop *ev, ev_signal *watcher, int events)
{
	struct captive *captive = container_of(watcher, struct captive, child_signal);
	int status;

	(void)events;
	if (waitpid(captive->pid, &status, WNOHANG) != captive->pid)
		return;
	ev_signal_stop(ev, watcher);
	captive->pid = 0;
	captive->ended(captive, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void set(const char *name, const char *value)
{
	setenv(name, value ? value : "", 1);
}

static void become(const char *command, const char *nbd_uri, const char *iscsi_uri)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	set("nbd_uri", nbd_uri);
	set("iscsi_uri", iscsi_uri);
	set("uri", nbd_uri ? nbd_uri : iscsi_uri);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

int captive_start(struct captive *captive, struct loop *loop, const char *command,
		  const char *nbd_uri, const char *iscsi_uri)
{
	captive->loop = loop;
	ev_signal_init(&captive->child_signal, child_changed, SIGCHLD);
	ev_signal_start(loop->ev, &captive->child_signal);
	captive->pid = fork();
	if (captive->pid == 0)
		become(command, nbd_uri, iscsi_uri);
	if (captive->pid > 0)
		return 0;
	captive->pid = 0;
	ev_signal_stop(loop->ev, &captive->child_signal);
	return -1;
}

void captive_signal(struct captive *captive, int signal)
{
	if (captive->pid)
		kill(captive->pid, signal);
}
