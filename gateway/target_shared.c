/*
 * Session identities over all workers: who is logged in as which initiator port,
 * and which TSIHs are taken. Entries lie in the sessions; a session is listed from
 * the end of its login until nothing of it is left.
 *
 * Any thread; one mutex, taken at login and at the end of a session only. Nothing
 * here follows a pointer into another worker's session: what has to happen to one
 * travels to its worker by TSIH.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "target_session.h"
#include "target_shared.h"

#define TSIH_MAX	65535

struct target_shared {
	pthread_mutex_t mutex;
	struct list identities;
	unsigned count;
	uint16_t last_tsih;
	atomic_uint long_texts;
};

/* "End this session", on its way to the session's worker. */
struct drop_order {
	struct loop_msg msg;
	struct target_service *service;
	uint16_t tsih;
};

struct target_shared *target_shared_new(void)
{
	struct target_shared *shared = calloc(1, sizeof(*shared));

	if (!shared)
		return NULL;
	if (pthread_mutex_init(&shared->mutex, NULL) != 0) {
		free(shared);
		return NULL;
	}
	list_init(&shared->identities);
	return shared;
}

void target_shared_free(struct target_shared *shared)
{
	if (!shared)
		return;
	assert(list_empty(&shared->identities));
	pthread_mutex_destroy(&shared->mutex);
	free(shared);
}

atomic_uint *target_shared_long_texts(struct target_shared *shared)
{
	return &shared->long_texts;
}

static struct target_identity *by_tsih(const struct target_shared *shared, uint16_t tsih)
{
	list_for_each(node, &shared->identities) {
		struct target_identity *id = container_of(node, struct target_identity, node);

		if (id->tsih == tsih)
			return id;
	}
	return NULL;
}

/* The I_T nexus is the initiator's name and ISID with the target's name and portal group. */
static bool same_nexus(const struct nexus *a, const struct nexus *b)
{
	return strcmp(a->initiator_name, b->initiator_name) == 0
	       && memcmp(a->isid, b->isid, sizeof(a->isid)) == 0
	       && strcmp(a->target_name, b->target_name) == 0 && a->tpgt == b->tpgt;
}

/* Discovery sessions neither replace nor are replaced: they have no tasks to lose. */
static struct target_identity *predecessor(const struct target_shared *shared,
					   const struct target_identity *id)
{
	if (id->discovery)
		return NULL;
	list_for_each(node, &shared->identities) {
		struct target_identity *old = container_of(node, struct target_identity, node);

		if (!old->discovery && !old->superseded && same_nexus(old->nexus, id->nexus))
			return old;
	}
	return NULL;
}

static uint16_t free_tsih(struct target_shared *shared)
{
	assert(shared->count < TSIH_MAX);
	do
		shared->last_tsih++;
	while (shared->last_tsih == 0 || by_tsih(shared, shared->last_tsih));
	return shared->last_tsih;
}

bool target_shared_enter(struct target_shared *shared, struct target_identity *identity,
			 struct target_service **old_service, uint16_t *old_tsih)
{
	struct target_identity *old;
	bool room;

	*old_service = NULL;
	pthread_mutex_lock(&shared->mutex);
	room = shared->count < TSIH_MAX;
	if (room) {
		old = predecessor(shared, identity);
		if (old) {
			old->superseded = true;
			*old_service = old->service;
			*old_tsih = old->tsih;
		}
		identity->tsih = free_tsih(shared);
		identity->superseded = false;
		list_add_tail(&shared->identities, &identity->node);
		shared->count++;
	}
	pthread_mutex_unlock(&shared->mutex);
	return room;
}

void target_shared_leave(struct target_shared *shared, struct target_identity *identity)
{
	pthread_mutex_lock(&shared->mutex);
	assert(shared->count > 0);
	list_del(&identity->node);
	shared->count--;
	pthread_mutex_unlock(&shared->mutex);
}

bool target_shared_has(struct target_shared *shared, uint16_t tsih, const struct nexus *nexus)
{
	const struct target_identity *id;
	bool has;

	pthread_mutex_lock(&shared->mutex);
	id = by_tsih(shared, tsih);
	has = id && !id->superseded && same_nexus(id->nexus, nexus);
	pthread_mutex_unlock(&shared->mutex);
	return has;
}

struct target_service *target_shared_where(struct target_shared *shared, uint16_t tsih)
{
	const struct target_identity *id;
	struct target_service *service;

	pthread_mutex_lock(&shared->mutex);
	id = by_tsih(shared, tsih);
	service = id ? id->service : NULL;
	pthread_mutex_unlock(&shared->mutex);
	return service;
}

static void drop(struct loop_msg *msg)
{
	struct drop_order *order = container_of(msg, struct drop_order, msg);
	struct target_session *s = target_session_find(order->service, order->tsih);

	if (s)
		target_session_dismiss(s, "target cold reset");
	free(order);
}

void target_shared_drop_all(struct target_shared *shared, const char *target_name)
{
	pthread_mutex_lock(&shared->mutex);
	list_for_each(node, &shared->identities) {
		const struct target_identity *id = container_of(node, struct target_identity, node);
		struct drop_order *order;

		if (strcmp(id->nexus->target_name, target_name) != 0)
			continue;
		order = calloc(1, sizeof(*order));
		/* Without memory for the message that session stays: its units were reset. */
		if (!order)
			continue;
		order->msg.run = drop;
		order->service = id->service;
		order->tsih = id->tsih;
		loop_post(id->service->loop, &order->msg);
	}
	pthread_mutex_unlock(&shared->mutex);
}
