/* Listening sockets, ours and systemd's, and --single; see front.h. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "front.h"
#include "log.h"
#include "stream.h"
#include "uri.h"

static bool has_door(const struct front *front, uint16_t door)
{
	for (unsigned i = 0; i < front->count; i++)
		if (front->listeners[i]->door == door)
			return true;
	return false;
}

/* Not that of a listener which has just gone: clients of it may be there. */
static uint16_t free_door(struct front *front)
{
	do
		front->last_door++;
	while (front->last_door == 0 || has_door(front, front->last_door));
	return front->last_door;
}

static struct listener *add_listener(struct front *front, int fd)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener || front->count == FRONT_MAX_LISTENERS) {
		log_error("more than %d sockets to listen on", FRONT_MAX_LISTENERS);
		free(listener);
		close(fd);
		return NULL;
	}
	front->listeners[front->count++] = listener;
	listener->door = free_door(front);
	listener->workers = front->workers;
	listener->worker_count = front->worker_count;
	listener->next_worker = &front->next_worker;
	listener_init(listener, front->loop, fd);
	return listener;
}

/* It has been bound a moment ago, for another export. */
static bool is_shared(const struct front *front, const struct conf_listener *wanted)
{
	for (unsigned i = 0; i < front->count && !wanted->group; i++) {
		const struct listener *listener = front->listeners[i];

		if (listener->wanted && !listener->activated && !listener->next_group &&
		    address_same(&listener->address, &wanted->address))
			return true;
	}
	return false;
}

/* Its sockets are bound already, from an earlier configuration. */
static bool is_bound(struct front *front, const struct conf_listener *wanted)
{
	bool found = false;

	for (unsigned i = 0; i < front->count; i++) {
		struct listener *listener = front->listeners[i];

		if (listener->accepting && !listener->wanted && !listener->activated &&
		    address_same(&listener->address, &wanted->address)) {
			listener->wanted = found = true;
			listener->next_group = wanted->group;
		}
	}
	return found;
}

static bool bind_one(struct front *front, const struct conf *conf, const struct conf_listener *wanted)
{
	int fds[ADDRESS_MAX_SOCKETS];
	char why[200], text[300], place[CONF_PLACE_LEN];
	int count = address_listen(&wanted->address, fds, why, sizeof(why));
	bool ok = count > 0;

	if (!ok) {
		address_text(&wanted->address, text, sizeof(text));
		log_error("%scannot listen on %s: %s", conf_place(conf, wanted->line, place), text, why);
	}
	for (int i = 0; i < count; i++) {
		struct listener *listener = add_listener(front, fds[i]);

		ok &= listener != NULL;
		if (!listener)
			continue;
		listener->address = wanted->address;
		listener->next_group = wanted->group;
		listener->wanted = true;
	}
	return ok;
}

/* sd_listen_fds(3): the sockets are open and listen already. */
static bool take_activated(struct front *front)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(0, &names);	/* 0: a reload sees them, too */
	bool ok = count >= 0;

	if (!ok)
		log_error("LISTEN_FDS: %s", strerror(-count));
	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		bool listens = sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
		struct listener *listener = listens ? add_listener(front, fd) : NULL;

		if (!listens)
			log_error("LISTEN_FDS: descriptor %d (%s) is not a listening socket", fd, names[i]);
		ok &= listener != NULL;
		if (listener) {
			listener->activated = true;
			snprintf(listener->name, sizeof(listener->name), "%s", names[i]);
		}
		free(names[i]);
	}
	free(names);
	return ok;
}

/* Whose is a socket of that name? */
static uint16_t group_of(const struct access *access, const char *name)
{
	for (unsigned i = 0; i < access->portal_group_count; i++)
		if (strcmp(access->portal_groups[i]->name, name) == 0)
			return access->portal_groups[i]->tag;
	if (strncmp(name, "iscsi", 5) == 0 && access->portal_group_count)
		return access->portal_groups[0]->tag;
	return 0;
}

static struct access_portal_group *find_group(const struct access *access, uint16_t tag)
{
	for (unsigned i = 0; i < access->portal_group_count; i++)
		if (access->portal_groups[i]->tag == tag)
			return access->portal_groups[i];
	return NULL;
}

static bool add_portals(struct front *front, const struct access *access)
{
	const char *why = NULL;

	for (unsigned i = 0; i < front->count && !why; i++) {
		const struct listener *listener = front->listeners[i];

		if (listener->wanted && listener->next_group)
			why = access_add_portal(find_group(access, listener->next_group), listener->text);
	}
	if (why)
		log_error("portals: %s", why);
	return !why;
}

static const char *add_door(const struct conf *conf, const struct listener *listener)
{
	bool common = false;
	const char *why = NULL;

	for (unsigned i = 0; i < conf->listener_count && !why; i++) {
		const struct conf_listener *said = &conf->listeners[i];

		if (said->group || !address_same(&said->address, &listener->address))
			continue;
		if (said->export)
			why = nbd_export_add_door(said->export, listener->door);
		else
			common = true;
	}
	return why || common ? why : nbd_exports_reserve(conf->nbd_exports, listener->door);
}

/* Which exports clients of each listener find. */
static bool add_doors(struct front *front, const struct conf *conf)
{
	const char *why = NULL;

	for (unsigned i = 0; i < front->count && !why; i++) {
		const struct listener *listener = front->listeners[i];

		if (listener->wanted && !listener->activated && !listener->next_group)
			why = add_door(conf, listener);
	}
	if (why)
		log_error("listeners: %s", why);
	return !why;
}

bool front_bind(struct front *front, const struct conf *conf)
{
	bool ok = front->activated || take_activated(front);

	front->activated = true;
	for (unsigned i = 0; i < front->count; i++) {
		struct listener *listener = front->listeners[i];

		listener->wanted = listener->activated;
		if (listener->activated)
			listener->next_group = group_of(conf->access, listener->name);
	}
	for (unsigned i = 0; i < conf->listener_count && ok; i++)
		ok = is_shared(front, &conf->listeners[i]) || is_bound(front, &conf->listeners[i]) ||
		     bind_one(front, conf, &conf->listeners[i]);
	ok = ok && add_portals(front, conf->access) && add_doors(front, conf);
	if (!ok)
		front_cancel(front);
	return ok;
}

/* Close those that are not wanted (or all but those that accept), and forget them. */
static void sift(struct front *front, bool accepting)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < front->count; i++) {
		struct listener *listener = front->listeners[i];

		if (accepting ? listener->accepting : listener->wanted) {
			front->listeners[kept++] = listener;
		} else {
			listener_stop(listener);
			free(listener);
		}
	}
	front->count = kept;
}

void front_cancel(struct front *front)
{
	sift(front, true);
}

/* The first listener of each kind is where our own URIs point. */
static void announce(char *uri, char **first)
{
	log_info("serving %s", uri);
	if (*first)
		free(uri);
	else
		*first = uri;
}

static void announce_targets(struct front *front, const struct listener *listener,
			     const struct access *access)
{
	for (unsigned i = 0; i < access->target_count; i++) {
		const struct access_target *target = access->targets[i];
		const struct access_map *map = target->maps[0];

		if (access_find_entrance(target, listener->group))
			announce(uri_iscsi(listener->text, target->name,
					   map->count ? map->luns[0].number : 0), &front->iscsi_uri);
	}
}

void front_settle(struct front *front, const struct conf *conf)
{
	sift(front, false);
	for (unsigned i = 0; i < front->count; i++) {
		struct listener *listener = front->listeners[i];

		listener->group = listener->next_group;
		if (listener->accepting)
			continue;
		if (listener->group)
			announce_targets(front, listener, conf->access);
		else
			announce(uri_nbd(listener->text, conf->tls.mode == TLS_REQUIRE),
				 &front->nbd_uri);
		listener_start(listener);
	}
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
	for (unsigned i = 0; i < front->count; i++)
		front->listeners[i]->wanted = false;
	sift(front, false);
}

void front_free(struct front *front)
{
	assert(front->count == 0);
	free(front->nbd_uri);
	free(front->iscsi_uri);
}
