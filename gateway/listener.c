/* Accepting connections; see listener.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listener.h"
#include "log.h"

/* Per wakeup, so that a flood of connections does not hold up signals. */
#define ACCEPTS_PER_WAKEUP	64
#define PAUSE_SECONDS		0.5

static void pause_is_over(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct listener *listener = container_of(timer, struct listener, pause);

	(void)events;
	ev_io_start(ev, &listener->acceptable);
}

/* No descriptor, no memory: the connection waits in the backlog until there is one again. */
static void pause_accepting(struct listener *listener, int error)
{
	if (log_allowed(&listener->log_limit, loop_now(listener->loop), 1, 60))
		log_warning("%s: accepting pauses: %s", listener->text, strerror(error));
	ev_io_stop(listener->loop->ev, &listener->acceptable);
	ev_timer_set(&listener->pause, PAUSE_SECONDS, 0);
	ev_timer_start(listener->loop->ev, &listener->pause);
}

static void accept_some(struct ev_loop *ev, ev_io *io, int events)
{
	struct listener *listener = container_of(io, struct listener, acceptable);

	(void)ev;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_WAKEUP; i++) {
		int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			worker_serve(&listener->workers[(*listener->next_worker)++ %
							listener->worker_count],
				     fd, listener->group, listener->door);
		else if (errno == EAGAIN)
			return;
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			pause_accepting(listener, errno);
			return;
		}
		/* All else is about that one connection, which has gone: accept(2), "Error handling". */
	}
}

void listener_init(struct listener *listener, struct loop *loop, int fd)
{
	/* One that systemd passes may block. */
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	listener->loop = loop;
	address_local(fd, listener->text);
	ev_io_init(&listener->acceptable, accept_some, fd, EV_READ);
	ev_timer_init(&listener->pause, pause_is_over, 0, 0);
}

void listener_start(struct listener *listener)
{
	listener->accepting = true;
	ev_io_start(listener->loop->ev, &listener->acceptable);
}

void listener_stop(struct listener *listener)
{
	ev_io_stop(listener->loop->ev, &listener->acceptable);
	ev_timer_stop(listener->loop->ev, &listener->pause);
	close(listener->acceptable.fd);
	/* A path that systemd has made is for the next one it starts. */
	if (!listener->activated && strncmp(listener->text, "unix:", 5) == 0 && listener->text[5] != '@')
		unlink(listener->text + 5);
}
