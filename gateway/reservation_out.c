/*
 * The service actions of PERSISTENT RESERVE OUT on the model of reservations
 * (reservation.h). Called by disk_pr_out.c, which owns both states. What an action is made
 * of is in reservation_change.c.
 */
#include <assert.h>
#include <string.h>

#include "reservation_change.h"

#define LU_SCOPE	0

/* REGISTER, REGISTER AND IGNORE EXISTING KEY (SPC-4 §5.12.7) ---------------- */

/* SPC-4 §5.12.11.3: a reservation goes with its holder, or with the last of all registrants. */
static void unregister(struct change *c, unsigned i)
{
	uint8_t type = c->after->type;
	bool held = c->after->registrations[i].holder;

	change_remove(c, i, SENSE_NONE);
	if (!type || (reservation_is_all_registrants(type) ? change_remaining(c) > 0 : !held))
		return;
	change_release(c);
	if (reservation_is_registrants_only(type))
		change_tell_others(c, SENSE_RESERVATIONS_RELEASED);
}

static bool register_nexus(struct change *c, const struct registrant *who)
{
	unsigned i = reservation_index(c->before, who);
	bool known = i < c->before->count;

	if (!c->request->action_key) {
		if (known)
			unregister(c, i);
		return true;
	}
	if (!known)
		return change_add(c, who);
	c->after->registrations[i].key = c->request->action_key;
	return true;
}

/* SPEC_I_PT is for new registrations only; one that exists already is a fault in the list. */
static bool register_others(struct change *c)
{
	const struct reservation_request *request = c->request;

	for (unsigned i = 0; i < request->other_count * request->port_count; i++) {
		struct registrant who = request->others[i / request->port_count];

		who.port = request->ports[i % request->port_count];
		if (reservation_index(c->after, &who) < c->after->count) {
			change_refuse(c, SENSE_INVALID_FIELD_IN_PARAMETERS);
			return false;
		}
		if (!change_add(c, &who))
			return false;
	}
	return true;
}

/*
 * The key must be right for the nexus itself. By the other target ports, which ALL_TG_PT
 * includes, the initiator port may be registered with that key or not at all.
 */
static bool may_register(const struct change *c)
{
	const struct reservation_request *request = c->request;
	struct registrant who = c->who;

	if (request->action == CDB_PR_OUT_REGISTER_AND_IGNORE)
		return true;
	if (change_is_registered(c) ? !change_knows_key(c) : request->key != 0)
		return false;
	for (unsigned p = 1; p < request->port_count; p++) {
		unsigned i;

		who.port = request->ports[p];
		i = reservation_index(c->before, &who);
		if (i < c->before->count && c->before->registrations[i].key != request->key)
			return false;
	}
	return true;
}

static void do_register(struct change *c)
{
	const struct reservation_request *request = c->request;
	struct registrant who = c->who;

	assert(request->port_count > 0 && lu_port_same(&request->ports[0], &who.port));
	if (!may_register(c)) {
		change_conflict(c);
		return;
	}
	if (request->spec_i_pt && change_is_registered(c)) {
		change_refuse(c, SENSE_INVALID_FIELD_IN_PARAMETERS);
		return;
	}
	for (unsigned p = 0; p < request->port_count; p++) {
		who.port = request->ports[p];
		if (!register_nexus(c, &who))
			return;
	}
	if (request->spec_i_pt && request->action_key && !register_others(c))
		return;
	c->after->aptpl = request->aptpl;
}

/* RESERVE, RELEASE, CLEAR --------------------------------------------------- */

/* SPC-4 §5.12.9 */
static void do_reserve(struct change *c)
{
	const struct reservation_request *request = c->request;

	if (request->scope != LU_SCOPE || !reservation_type_valid(request->type))
		change_refuse(c, SENSE_INVALID_FIELD_IN_CDB);
	else if (!change_knows_key(c))
		change_conflict(c);
	else if (!c->before->type)
		change_set_type(c, request->type, c->own);
	else if (!change_is_holder(c) || request->type != c->before->type)
		change_conflict(c);
}

/* SPC-4 §5.12.11.2 */
static void do_release(struct change *c)
{
	const struct reservation_request *request = c->request;
	uint8_t type = c->before->type;

	if (!change_knows_key(c)) {
		change_conflict(c);
	} else if (!change_is_holder(c)) {
		return;		/* it is no error to release what one does not hold */
	} else if (request->scope != LU_SCOPE || request->type != type) {
		change_refuse(c, SENSE_INVALID_RELEASE);
	} else {
		change_release(c);
		if (reservation_is_registrants_only(type) || reservation_is_all_registrants(type))
			change_tell_others(c, SENSE_RESERVATIONS_RELEASED);
	}
}

/* SPC-4 §5.12.11.6 */
static void do_clear(struct change *c)
{
	if (!change_knows_key(c)) {
		change_conflict(c);
		return;
	}
	change_release(c);
	for (unsigned i = 0; i < c->before->count; i++)
		change_remove(c, i, SENSE_RESERVATIONS_PREEMPTED);
}

/* PREEMPT, PREEMPT AND ABORT (SPC-4 §5.12.11.4, §5.12.11.5) ----------------- */

/* The reservation changes hands, and all whom the key identifies go, but for the preempter. */
static void preempt_reservation(struct change *c)
{
	const struct reservation_request *request = c->request;
	uint8_t type = c->before->type;

	if (request->scope != LU_SCOPE || !reservation_type_valid(request->type)) {
		change_refuse(c, SENSE_INVALID_FIELD_IN_CDB);
		return;
	}
	for (unsigned i = 0; i < c->before->count; i++)
		if (i != c->own && (!request->action_key ||
				    c->before->registrations[i].key == request->action_key))
			change_remove(c, i, SENSE_REGISTRATIONS_PREEMPTED);
	change_set_type(c, request->type, c->own);
	if (request->type != type)
		change_tell_others(c, SENSE_RESERVATIONS_RELEASED);
}

/* Whom the key identifies goes, be it the preempter; a reservation stays while one is left. */
static void remove_registrations(struct change *c)
{
	bool any = false;

	for (unsigned i = 0; i < c->before->count; i++) {
		if (c->before->registrations[i].key != c->request->action_key)
			continue;
		change_remove(c, i, SENSE_REGISTRATIONS_PREEMPTED);
		any = true;
	}
	if (!any)
		change_conflict(c);
	else if (!change_remaining(c))
		change_release(c);
}

static uint64_t holders_key(const struct reservations *r)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->registrations[i].holder)
			return r->registrations[i].key;
	return 0;	/* nobody's: there is no reservation, or all hold it */
}

static void do_preempt(struct change *c)
{
	uint64_t key = c->request->action_key;

	if (!change_knows_key(c))
		change_conflict(c);
	else if (!key && !reservation_is_all_registrants(c->before->type))
		change_refuse(c, SENSE_INVALID_FIELD_IN_PARAMETERS);
	else if (key == holders_key(c->before))
		preempt_reservation(c);
	else
		remove_registrations(c);
}

/* REGISTER AND MOVE (SPC-4 §5.12.8) ----------------------------------------- */

static bool may_move(struct change *c)
{
	const struct reservation_request *request = c->request;

	if (!change_knows_key(c))
		change_conflict(c);
	else if (!c->before->type)
		change_refuse(c, SENSE_INVALID_FIELD_IN_CDB);
	else if (!change_is_holder(c) || reservation_is_all_registrants(c->before->type))
		change_conflict(c);
	else if (!request->action_key || registrant_same(request->others, &c->who))
		change_refuse(c, SENSE_INVALID_FIELD_IN_PARAMETERS);
	else
		return true;
	return false;
}

static void do_register_and_move(struct change *c)
{
	const struct reservation_request *request = c->request;
	unsigned to = reservation_index(c->before, request->others);

	assert(request->other_count == 1);
	if (!may_move(c))
		return;
	if (to == c->before->count && !change_add(c, request->others))
		return;
	c->after->registrations[to].key = request->action_key;
	change_set_type(c, c->before->type, to);
	if (request->unreg)
		change_remove(c, c->own, SENSE_NONE);
	c->after->aptpl = request->aptpl;
}

/* All of them --------------------------------------------------------------- */

struct action {
	void (*run)(struct change *);
	bool counts;			/* PRGENERATION does (SPC-4 §6.16.2) */
};

static const struct action actions[CDB_COUNT] = {
	[CDB_PR_OUT_REGISTER] = { do_register, true },
	[CDB_PR_OUT_RESERVE] = { do_reserve, false },
	[CDB_PR_OUT_RELEASE] = { do_release, false },
	[CDB_PR_OUT_CLEAR] = { do_clear, true },
	[CDB_PR_OUT_PREEMPT] = { do_preempt, true },
	[CDB_PR_OUT_PREEMPT_AND_ABORT] = { do_preempt, true },
	[CDB_PR_OUT_REGISTER_AND_IGNORE] = { do_register, true },
	[CDB_PR_OUT_REGISTER_AND_MOVE] = { do_register_and_move, true },
};

void reservation_out(const struct reservations *before, struct reservations *after,
		     const struct reservation_request *request,
		     struct reservation_outcome *outcome)
{
	const struct action *action = &actions[request->action];
	struct change c = {
		.before = before, .after = after, .request = request, .outcome = outcome,
	};

	assert(action->run && before != after);
	memset(outcome, 0, sizeof(*outcome));
	outcome->status = STATUS_GOOD;
	if (before->reserver) {
		change_conflict(&c);	/* SPC-2 §5.5.1: the two methods exclude each other */
		return;
	}
	change_begin(&c);
	action->run(&c);
	if (outcome->status != STATUS_GOOD)
		return;
	change_settle(&c);
	after->generation += action->counts;
	assert(after->count || !after->type);
}
