/*
 * The I_T nexuses of a logical unit (lu_shared.h): who is there, by instance, and the unit
 * attentions that wait for each. Called by the disk_* files of every worker.
 */
#include "lu_shared.h"

#include <assert.h>
#include <stdlib.h>

static struct list *bucket_of(struct lu_instance *instance, const struct nexus *nexus)
{
	/* The low bits of an address are alignment; multiplying spreads the rest. */
	uint64_t hash = (uint64_t)(uintptr_t)nexus * UINT64_C(0x9e3779b97f4a7c15);

	return &instance->nexuses[(hash >> 32) % NEXUS_BUCKETS];
}

struct nexus_state *lu_instance_find(struct lu_instance *instance, const struct nexus *nexus)
{
	list_for_each(node, bucket_of(instance, nexus)) {
		struct nexus_state *state = container_of(node, struct nexus_state, node);

		if (state->nexus == nexus)
			return state;
	}
	return NULL;
}

bool lu_instance_attach(struct lu_instance *instance, const struct nexus *nexus)
{
	struct nexus_state *state = calloc(1, sizeof(*state));

	assert(!lu_instance_find(instance, nexus));
	if (!state)
		return false;
	state->nexus = nexus;
	atomic_init(&state->attentions, 0);
	/* SAM-5 §6.3.1: whoever is new here has seen none of what happened before. */
	nexus_raise(state, ATTENTION_POWER_ON_OR_RESET);
	pthread_mutex_lock(&instance->shared->mutex);
	list_add_head(bucket_of(instance, nexus), &state->node);
	pthread_mutex_unlock(&instance->shared->mutex);
	return true;
}

void lu_instance_detach(struct lu_instance *instance, const struct nexus *nexus)
{
	struct nexus_state *state = lu_instance_find(instance, nexus);

	if (!state)
		return;		/* there was no memory to attach it */
	pthread_mutex_lock(&instance->shared->mutex);
	list_del(&state->node);
	pthread_mutex_unlock(&instance->shared->mutex);
	free(state);
}

/* Unit attentions ----------------------------------------------------------- */

static const uint32_t reasons[ATTENTION_COUNT] = {
	[ATTENTION_POWER_ON_OR_RESET]	    = SENSE_POWER_ON_OR_RESET,
	[ATTENTION_BUS_RESET]		    = SENSE_BUS_RESET,
	[ATTENTION_DEVICE_RESET]	    = SENSE_DEVICE_RESET,
	[ATTENTION_INTERNAL_RESET]	    = SENSE_INTERNAL_RESET,
	[ATTENTION_MODE_PARAMETERS_CHANGED] = SENSE_MODE_PARAMETERS_CHANGED,
	[ATTENTION_RESERVATIONS_PREEMPTED]  = SENSE_RESERVATIONS_PREEMPTED,
	[ATTENTION_RESERVATIONS_RELEASED]   = SENSE_RESERVATIONS_RELEASED,
	[ATTENTION_REGISTRATIONS_PREEMPTED] = SENSE_REGISTRATIONS_PREEMPTED,
	[ATTENTION_CAPACITY_CHANGED]	    = SENSE_CAPACITY_CHANGED,
	[ATTENTION_COMMANDS_CLEARED]	    = SENSE_COMMANDS_CLEARED,
	[ATTENTION_INQUIRY_CHANGED]	    = SENSE_INQUIRY_CHANGED,
	[ATTENTION_LUNS_CHANGED]	    = SENSE_LUNS_CHANGED,
};

static enum attention attention_of(uint32_t reason)
{
	unsigned i = 0;

	while (reasons[i] != reason) {
		i++;
		assert(i < ATTENTION_COUNT);
	}
	return (enum attention)i;
}

void nexus_raise(struct nexus_state *state, enum attention attention)
{
	atomic_fetch_or(&state->attentions, 1u << attention);
}

uint32_t nexus_take_attention(struct nexus_state *state)
{
	unsigned waiting = atomic_load_explicit(&state->attentions, memory_order_relaxed);
	unsigned first;

	if (!waiting)
		return SENSE_NONE;
	first = (unsigned)__builtin_ctz(waiting);
	atomic_fetch_and(&state->attentions, ~(1u << first));
	return reasons[first];
}

static void raise_except(struct lu_instance *instance, const struct nexus *except,
			 enum attention attention)
{
	for (int i = 0; i < NEXUS_BUCKETS; i++) {
		list_for_each(node, &instance->nexuses[i]) {
			struct nexus_state *state = container_of(node, struct nexus_state, node);

			if (state->nexus != except)
				nexus_raise(state, attention);
		}
	}
}

void lu_instance_raise(struct lu_instance *instance, enum attention attention)
{
	raise_except(instance, NULL, attention);
}

void lu_shared_raise(struct lu_shared *shared, const struct nexus *except,
		     enum attention attention)
{
	pthread_mutex_lock(&shared->mutex);
	list_for_each(node, &shared->instances)
		raise_except(container_of(node, struct lu_instance, node), except, attention);
	pthread_mutex_unlock(&shared->mutex);
}

static void tell_in(struct list *bucket, const struct registrant *who, enum attention attention)
{
	list_for_each(node, bucket) {
		struct nexus_state *state = container_of(node, struct nexus_state, node);

		if (registrant_is(who, state->nexus))
			nexus_raise(state, attention);
	}
}

void lu_shared_tell(struct lu_shared *shared, const struct registrant *who, uint32_t reason)
{
	enum attention attention = attention_of(reason);

	pthread_mutex_lock(&shared->mutex);
	list_for_each(node, &shared->instances) {
		struct lu_instance *instance = container_of(node, struct lu_instance, node);

		for (int i = 0; i < NEXUS_BUCKETS; i++)
			tell_in(&instance->nexuses[i], who, attention);
	}
	pthread_mutex_unlock(&shared->mutex);
}

void lu_instance_tell(struct lu_instance *instance, const struct nexus *nexus, uint32_t reason,
		      bool waits)
{
	struct nexus_state *state = lu_instance_find(instance, nexus);
	enum attention attention = attention_of(reason);

	if (!state)
		return;		/* there was no memory to attach it */
	if (waits)
		nexus_raise(state, attention);
	else
		atomic_fetch_and(&state->attentions, ~(1u << attention));
}
