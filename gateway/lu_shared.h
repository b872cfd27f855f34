/*
 * What the instances of one logical unit share: its identity, its mode parameters,
 * its reservations, and the unit attentions that wait for each nexus. Private to the
 * disk_* files.
 *
 * An instance's nexuses are listed, found and forgotten by its own worker alone,
 * so that the data path finds its nexus without a lock. The mutex is for those who
 * go through the instances or nexuses of other workers, and for the comings and
 * goings that they must not meet half done.
 */
#ifndef LU_SHARED_H
#define LU_SHARED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "disk_lu.h"
#include "list.h"
#include "lu.h"
#include "reservation.h"
#include "reservation_store.h"
#include "sanitize_mark.h"

/* Unit attentions in the order in which a nexus is told of them (SAM-5 §5.14: 29/xx first). */
enum attention {
	ATTENTION_POWER_ON_OR_RESET,
	ATTENTION_BUS_RESET,
	ATTENTION_DEVICE_RESET,
	ATTENTION_INTERNAL_RESET,
	ATTENTION_MODE_PARAMETERS_CHANGED,
	ATTENTION_RESERVATIONS_PREEMPTED,
	ATTENTION_RESERVATIONS_RELEASED,
	ATTENTION_REGISTRATIONS_PREEMPTED,
	ATTENTION_CAPACITY_CHANGED,
	ATTENTION_COMMANDS_CLEARED,
	ATTENTION_INQUIRY_CHANGED,
	ATTENTION_LUNS_CHANGED,
	ATTENTION_COUNT
};

/* The mode parameters that MODE SELECT can change; all of them are on or off. */
enum mode_flag {
	MODE_WCE = 1 << 0,	/* Caching page: a write may end before it is persistent */
	MODE_D_SENSE = 1 << 1,	/* Control page: sense data in descriptor format */
	MODE_SWP = 1 << 2,	/* Control page: write protected by software */
};
#define MODE_DEFAULTS	MODE_WCE

/* What has become of the last SANITIZE. */
enum sanitize_state {
	SANITIZE_NONE,
	SANITIZE_RUNNING,
	SANITIZE_FAILED,		/* until EXIT FAILURE MODE, or another one succeeds */
	SANITIZE_FAILED_RESTRICTED,	/* until another one succeeds */
};

/* One nexus of one instance. */
struct nexus_state {
	struct list node;
	const struct nexus *nexus;
	atomic_uint attentions;		/* bits of enum attention, from any thread */
	/* What the nexus may, as of that value of lu_shared.restricted; its worker's own. */
	uint64_t access_as_of;
	enum reach access;
};

#define NEXUS_BUCKETS	64

/* One worker's end, embedded in its disk_lu. */
struct lu_instance {
	struct lu_shared *shared;
	struct list node;			/* among the shared's */
	struct list nexuses[NEXUS_BUCKETS];	/* struct nexus_state, hashed by address */
	atomic_uint visitors;			/* of task management, under way or here */
};

struct lu_shared {
	struct disk_lu_conf conf;	/* with vendor, product and serial filled in */
	uint64_t naa;			/* NAA designator: eight bytes as one number */
	atomic_uint mode;		/* enum mode_flag, current values */
	atomic_uint sanitize;		/* enum sanitize_state: all is refused unless it is NONE */
	atomic_uint sanitized;		/* while it runs: how far, in parts of 65,536 */
	struct sanitize_mark *mark;	/* NULL: of that nothing outlives the process */
	pthread_mutex_t mutex;
	struct list instances;		/* struct lu_instance */

	struct lu_ports ports;		/* under the mutex */

	/* disk_reserve.c's. Who wants to change reservations takes its turn at it (held while
	 * the change is stored); what is current is replaced, and read, under the mutex. */
	struct range_lock *turns;
	struct reservations *reservations;
	struct reservation_store *store;	/* NULL: nothing outlives the process */
	uint64_t reserved;			/* times that "restricted" was set */
	atomic_ullong restricted;		/* 0: no reservation, so all may do all */
};

/* lu_shared.c --------------------------------------------------------------- */

/* An instance begins and ends. Its owner waits for visitors == 0 after it has left. */
void lu_shared_join(struct lu_shared *shared, struct lu_instance *instance);
void lu_shared_leave(struct lu_instance *instance);

/* Call each() for every instance, under the mutex: each() must not come back here. */
void lu_shared_each(struct lu_shared *shared, void (*each)(struct lu_instance *, void *opaque),
		    void *opaque);

/* Call each() (NULL: nothing) for every target port that is here, or, where none is known, for
 * that of the nexus (NULL: none); under the mutex. Returns how many there are. */
unsigned lu_shared_each_port(struct lu_shared *shared, const struct nexus *nexus,
			     void (*each)(const struct lu_port *port, uint16_t id, void *opaque),
			     void *opaque);

/* The relative target port identifier of the port by which the nexus came; any thread. */
uint16_t lu_shared_port_id(struct lu_shared *shared, const struct nexus *nexus);

/* lu_nexus.c ---------------------------------------------------------------- */

/* On the instance's thread. False without memory; find is NULL for who is not attached. */
bool lu_instance_attach(struct lu_instance *instance, const struct nexus *nexus);
void lu_instance_detach(struct lu_instance *instance, const struct nexus *nexus);
struct nexus_state *lu_instance_find(struct lu_instance *instance, const struct nexus *nexus);

/* Raise a unit attention: for every nexus of this instance (on its thread), ... */
void lu_instance_raise(struct lu_instance *instance, enum attention attention);
/* ... for every nexus of the logical unit but one (NULL: no exception); any thread. */
void lu_shared_raise(struct lu_shared *shared, const struct nexus *except,
		     enum attention attention);
/* ... for whoever is that I_T nexus now (none, or one per session), by sense reason; any thread. */
void lu_shared_tell(struct lu_shared *shared, const struct registrant *who, uint32_t reason);
void nexus_raise(struct nexus_state *state, enum attention attention);
/* ... for one nexus of this instance, by sense reason, or take it back; on its thread. */
void lu_instance_tell(struct lu_instance *instance, const struct nexus *nexus, uint32_t reason,
		      bool waits);

/* Take the unit attention that comes first: its sense reason, or SENSE_NONE. */
uint32_t nexus_take_attention(struct nexus_state *state);

#endif
