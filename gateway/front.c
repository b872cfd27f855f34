/* Listening sockets, ours and systemd's, and --single; see front.h. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "front.h"
#include "log.h"
#include "stream.h"
#include "uri.h"

static bool add_listener(struct front *front, int fd, bool iscsi, bool passed)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener || front->count == FRONT_MAX_LISTENERS) {
		log_error("more than %d sockets to listen on", FRONT_MAX_LISTENERS);
		free(listener);
		close(fd);
		return false;
	}
	front->listeners[front->count++] = listener;
	listener->group = iscsi ? FRONT_GROUP : 0;
	listener->passed = passed;
	listener->workers = front->workers;
	listener->worker_count = front->worker_count;
	listener->next_worker = &front->next_worker;
	listener_start(listener, front->loop, fd);
	return true;
}

static bool listen_on(struct front *front, const struct address *address)
{
	int fds[ADDRESS_MAX_SOCKETS];
	char why[200], text[300];
	int count = address_listen(address, fds, why, sizeof(why));
	bool ok = count > 0;

	if (!ok) {
		address_text(address, text, sizeof(text));
		log_error("cannot listen on %s: %s", text, why);
	}
	for (int i = 0; i < count; i++)
		ok &= add_listener(front, fds[i], address->use == ADDRESS_ISCSI, false);
	return ok;
}

static bool listen_on_all(struct front *front, const struct address *addresses, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!listen_on(front, &addresses[i]))
			return false;
	return true;
}

/* sd_listen_fds(3): the sockets are open and listen already. */
static bool take_activated(struct front *front)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	bool ok = count >= 0;

	if (!ok)
		log_error("LISTEN_FDS: %s", strerror(-count));
	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0) {
			ok &= add_listener(front, fd, strncmp(names[i], "iscsi", 5) == 0, true);
		} else {
			log_error("LISTEN_FDS: descriptor %d (%s) is not a listening socket", fd, names[i]);
			ok = false;
		}
		free(names[i]);
	}
	free(names);
	return ok;
}

/* The first listener of each kind is where our own URIs point. */
static void announce(struct front *front)
{
	for (unsigned i = 0; i < front->count; i++) {
		const struct listener *listener = front->listeners[i];
		char *uri = listener->group ? uri_iscsi(listener->text, front->conf->target, 0)
					    : uri_nbd(listener->text);
		char **first = listener->group ? &front->iscsi_uri : &front->nbd_uri;

		log_info("serving %s", uri);
		if (*first)
			free(uri);
		else
			*first = uri;
	}
}

bool front_open(struct front *front)
{
	const struct conf *conf = front->conf;

	if (!take_activated(front) || !listen_on_all(front, conf->nbd, conf->nbd_count) ||
	    !listen_on_all(front, conf->iscsi, conf->iscsi_count))
		return false;
	announce(front);
	return true;
}

bool front_single(struct front *front)
{
	struct stream *stream = stream_pipes(STDIN_FILENO, STDOUT_FILENO);

	if (stream)
		worker_serve_stream(&front->workers[0], stream);
	else
		log_error("--single: %s", strerror(errno));
	return stream;
}

void front_close(struct front *front)
{
	for (unsigned i = 0; i < front->count && !front->closed; i++)
		listener_stop(front->listeners[i]);
	front->closed = true;
}

void front_free(struct front *front)
{
	assert(front->closed || front->count == 0);
	while (front->count)
		free(front->listeners[--front->count]);
	free(front->nbd_uri);
	free(front->iscsi_uri);
}
