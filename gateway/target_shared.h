/*
 * What the sessions of all workers share: who is logged in as which initiator port, and
 * which TSIHs are taken. Any thread may call; struct target_shared itself is target.h's.
 */
#ifndef TARGET_SHARED_H
#define TARGET_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "list.h"
#include "lu.h"
#include "target.h"

/* Who is who; lies in the session, and is listed from the end of its login to its own end. While
 * listed only "superseded" changes, and "node", under the mutex of target_shared. */
struct target_identity {
	struct list node;
	const struct nexus *nexus;	/* the session's */
	struct target_service *service;	/* of the worker that has the session */
	uint16_t tsih;			/* not 0, and nobody else's */
	bool	 discovery;
	bool	 superseded;		/* a newer session has taken its place */
};

/*
 * List the session: it gets a TSIH of its own. If it replaces one, *old_tsih and
 * *old_service say which, otherwise *old_service is NULL. False when all are taken.
 */
bool target_shared_enter(struct target_shared *shared, struct target_identity *identity,
			 struct target_service **old_service, uint16_t *old_tsih);
void target_shared_leave(struct target_shared *shared, struct target_identity *identity);

/* Is there such a session of this initiator port? */
bool target_shared_has(struct target_shared *shared, uint16_t tsih, const struct nexus *nexus);

/* The service that has the session with this TSIH; NULL: there is none. */
struct target_service *target_shared_where(struct target_shared *shared, uint16_t tsih);

/* End every session of this target, on every worker (TARGET COLD RESET). */
void target_shared_drop_all(struct target_shared *shared, const char *target_name);

/* How many logins hold long text, for target_guard.c. */
atomic_uint *target_shared_long_texts(struct target_shared *shared);

#endif
