/*
 * How many NBD clients there may be (nbd_limits.max_connections), in all workers together. A
 * connection calls at its beginning and when it is freed.
 *
 * Where there is no room, the oldest of this worker that has not chosen an export yet makes some
 * for the newcomer, so that those who only connect keep nobody out; if there is none, the
 * newcomer goes, at once and without a word, as with nbd-server's maxconnections.
 */
#include "log.h"
#include "nbd_conn.h"

static struct nbd_conn *oldest_handshake(const struct nbd_service *service)
{
	list_for_each(node, &service->connections) {
		struct nbd_conn *c = container_of(node, struct nbd_conn, node);

		if (!nbd_conn_in_transmission(c) && !c->conn.dead)
			return c;
	}
	return NULL;
}

bool nbd_guard_enter(struct nbd_service *service)
{
	unsigned most = service->limits->max_connections;
	unsigned before = service->clients ? atomic_fetch_add(service->clients, 1) : 0;
	struct nbd_conn *oldest;

	if (!most || before < most)
		return true;
	oldest = oldest_handshake(service);
	if (oldest) {
		conn_fail(&oldest->conn, "it has not chosen an export, and makes room for another");
		return true;
	}
	nbd_guard_leave(service);
	if (nbd_may_complain(service))
		log_warning("an NBD client is refused: there are %u (nbd-max-connections)", most);
	return false;
}

void nbd_guard_leave(struct nbd_service *service)
{
	if (service->clients)
		atomic_fetch_sub(service->clients, 1);
}
