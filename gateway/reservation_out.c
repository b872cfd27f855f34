/*
 * The service actions of PERSISTENT RESERVE OUT on the model of reservations
 * (reservation.h). Called by disk_pr_out.c, which owns both states.
 *
 * An action works on a copy. It marks the registrations that go, changes others in place
 * and appends new ones; settle() then drops what is marked. So an index below
 * before->count means the same registration in both states until the end.
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "reservation.h"

#define LU_SCOPE	0

/* The parts ----------------------------------------------------------------- */

static bool same_registrant(const struct registrant *a, const struct registrant *b)
{
	return lu_port_same(&a->port, &b->port) && !memcmp(a->isid, b->isid, sizeof(a->isid)) &&
	       !strcmp(a->name, b->name);
}

static struct registrant registrant_of(const struct nexus *nexus)
{
	struct registrant who = { .port = lu_port_of(nexus) };

	memcpy(who.name, nexus->initiator_name, sizeof(who.name));
	memcpy(who.isid, nexus->isid, sizeof(who.isid));
	return who;
}

/* Its index, or r->count when it is not registered. */
static unsigned index_of(const struct reservations *r, const struct registrant *who)
{
	unsigned i = 0;

	while (i < r->count && !same_registrant(&r->registrations[i].who, who))
		i++;
	return i;
}

struct change {
	const struct reservations *before;
	struct reservations *after;
	const struct reservation_request *request;
	struct reservation_outcome *outcome;
	struct registrant who;		/* the nexus by which it came */
	unsigned own;			/* its index; before->count when it is not registered */
};

static void conflict(struct change *c)
{
	c->outcome->status = STATUS_RESERVATION_CONFLICT;
}

static void refuse(struct change *c, uint32_t reason)
{
	c->outcome->status = STATUS_CHECK_CONDITION;
	c->outcome->reason = reason;
}

static bool is_registered(const struct change *c)
{
	return c->own < c->before->count;
}

static bool is_holder(const struct change *c)
{
	return is_registered(c) && c->before->type &&
	       reservation_holds(c->before, &c->before->registrations[c->own]);
}

/* SPC-4 §6.16.3: all actions but the registering ones are for whoever knows its own key. */
static bool knows_key(const struct change *c)
{
	return is_registered(c) && c->before->registrations[c->own].key == c->request->key;
}

static void set_type(struct change *c, uint8_t type, unsigned holder)
{
	struct reservations *after = c->after;

	for (unsigned i = 0; i < after->count; i++)
		after->registrations[i].holder = false;
	after->type = type;
	if (type && !reservation_is_all_registrants(type))
		after->registrations[holder].holder = true;
}

static void release(struct change *c)
{
	set_type(c, RESERVATION_NONE, 0);
}

/* Every other nexus that stays registered hears of it. */
static void tell_others(struct change *c, uint32_t attention)
{
	for (unsigned i = 0; i < c->before->count; i++)
		if (i != c->own && !c->outcome->fate[i].gone)
			c->outcome->fate[i].attention = attention;
}

static void remove_registration(struct change *c, unsigned i, uint32_t attention)
{
	c->outcome->fate[i].gone = true;
	if (i != c->own)
		c->outcome->fate[i].attention = attention;
}

static bool add_registration(struct change *c, const struct registrant *who)
{
	struct reservations *after = c->after;

	if (after->count == RESERVATION_MAX) {
		refuse(c, SENSE_INSUFFICIENT_REGISTRATION);
		return false;
	}
	after->registrations[after->count++] = (struct registration){
		.who = *who, .key = c->request->action_key,
	};
	return true;
}

static unsigned remaining(const struct change *c)
{
	unsigned n = c->after->count;

	for (unsigned i = 0; i < c->before->count; i++)
		n -= c->outcome->fate[i].gone;
	return n;
}

/* Drop what is marked. */
static void settle(struct change *c)
{
	struct reservations *after = c->after;
	unsigned kept = 0;

	for (unsigned i = 0; i < after->count; i++) {
		if (i < c->before->count && c->outcome->fate[i].gone)
			continue;
		if (kept != i)
			after->registrations[kept] = after->registrations[i];
		kept++;
	}
	after->count = kept;
}

/* REGISTER, REGISTER AND IGNORE EXISTING KEY (SPC-4 §5.12.7) ---------------- */

/* SPC-4 §5.12.11.3: a reservation goes with its holder, or with the last of all registrants. */
static void unregister(struct change *c, unsigned i)
{
	uint8_t type = c->after->type;
	bool held = c->after->registrations[i].holder;

	remove_registration(c, i, SENSE_NONE);
	if (!type || (reservation_is_all_registrants(type) ? remaining(c) > 0 : !held))
		return;
	release(c);
	if (reservation_is_registrants_only(type))
		tell_others(c, SENSE_RESERVATIONS_RELEASED);
}

static bool register_nexus(struct change *c, const struct registrant *who)
{
	unsigned i = index_of(c->before, who);
	bool known = i < c->before->count;

	if (!c->request->action_key) {
		if (known)
			unregister(c, i);
		return true;
	}
	if (!known)
		return add_registration(c, who);
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
		if (index_of(c->after, &who) < c->after->count) {
			refuse(c, SENSE_INVALID_FIELD_IN_PARAMETERS);
			return false;
		}
		if (!add_registration(c, &who))
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
	if (is_registered(c) ? !knows_key(c) : request->key != 0)
		return false;
	for (unsigned p = 1; p < request->port_count; p++) {
		unsigned i;

		who.port = request->ports[p];
		i = index_of(c->before, &who);
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
		conflict(c);
		return;
	}
	if (request->spec_i_pt && is_registered(c)) {
		refuse(c, SENSE_INVALID_FIELD_IN_PARAMETERS);
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
		refuse(c, SENSE_INVALID_FIELD_IN_CDB);
	else if (!knows_key(c))
		conflict(c);
	else if (!c->before->type)
		set_type(c, request->type, c->own);
	else if (!is_holder(c) || request->type != c->before->type)
		conflict(c);
}

/* SPC-4 §5.12.11.2 */
static void do_release(struct change *c)
{
	const struct reservation_request *request = c->request;
	uint8_t type = c->before->type;

	if (!knows_key(c)) {
		conflict(c);
	} else if (!is_holder(c)) {
		return;		/* it is no error to release what one does not hold */
	} else if (request->scope != LU_SCOPE || request->type != type) {
		refuse(c, SENSE_INVALID_RELEASE);
	} else {
		release(c);
		if (reservation_is_registrants_only(type) || reservation_is_all_registrants(type))
			tell_others(c, SENSE_RESERVATIONS_RELEASED);
	}
}

/* SPC-4 §5.12.11.6 */
static void do_clear(struct change *c)
{
	if (!knows_key(c)) {
		conflict(c);
		return;
	}
	release(c);
	for (unsigned i = 0; i < c->before->count; i++)
		remove_registration(c, i, SENSE_RESERVATIONS_PREEMPTED);
}

/* PREEMPT, PREEMPT AND ABORT (SPC-4 §5.12.11.4, §5.12.11.5) ----------------- */

/* The reservation changes hands, and all whom the key identifies go, but for the preempter. */
static void preempt_reservation(struct change *c)
{
	const struct reservation_request *request = c->request;
	uint8_t type = c->before->type;

	if (request->scope != LU_SCOPE || !reservation_type_valid(request->type)) {
		refuse(c, SENSE_INVALID_FIELD_IN_CDB);
		return;
	}
	for (unsigned i = 0; i < c->before->count; i++)
		if (i != c->own && (!request->action_key ||
				    c->before->registrations[i].key == request->action_key))
			remove_registration(c, i, SENSE_REGISTRATIONS_PREEMPTED);
	set_type(c, request->type, c->own);
	if (request->type != type)
		tell_others(c, SENSE_RESERVATIONS_RELEASED);
}

/* Whom the key identifies goes, be it the preempter; a reservation stays while one is left. */
static void remove_registrations(struct change *c)
{
	bool any = false;

	for (unsigned i = 0; i < c->before->count; i++) {
		if (c->before->registrations[i].key != c->request->action_key)
			continue;
		remove_registration(c, i, SENSE_REGISTRATIONS_PREEMPTED);
		any = true;
	}
	if (!any)
		conflict(c);
	else if (!remaining(c))
		release(c);
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

	if (!knows_key(c))
		conflict(c);
	else if (!key && !reservation_is_all_registrants(c->before->type))
		refuse(c, SENSE_INVALID_FIELD_IN_PARAMETERS);
	else if (key == holders_key(c->before))
		preempt_reservation(c);
	else
		remove_registrations(c);
}

/* REGISTER AND MOVE (SPC-4 §5.12.8) ----------------------------------------- */

static bool may_move(struct change *c)
{
	const struct reservation_request *request = c->request;

	if (!knows_key(c))
		conflict(c);
	else if (!c->before->type)
		refuse(c, SENSE_INVALID_FIELD_IN_CDB);
	else if (!is_holder(c) || reservation_is_all_registrants(c->before->type))
		conflict(c);
	else if (!request->action_key || same_registrant(request->others, &c->who))
		refuse(c, SENSE_INVALID_FIELD_IN_PARAMETERS);
	else
		return true;
	return false;
}

static void do_register_and_move(struct change *c)
{
	const struct reservation_request *request = c->request;
	unsigned to = index_of(c->before, request->others);

	assert(request->other_count == 1);
	if (!may_move(c))
		return;
	if (to == c->before->count && !add_registration(c, request->others))
		return;
	c->after->registrations[to].key = request->action_key;
	set_type(c, c->before->type, to);
	if (request->unreg)
		remove_registration(c, c->own, SENSE_NONE);
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

static void copy(struct reservations *to, const struct reservations *from)
{
	memcpy(to, from, offsetof(struct reservations, registrations));
	memcpy(to->registrations, from->registrations,
	       from->count * sizeof(from->registrations[0]));
}

void reservation_out(const struct reservations *before, struct reservations *after,
		     const struct reservation_request *request,
		     struct reservation_outcome *outcome)
{
	const struct action *action = &actions[request->action];
	struct change c = {
		.before = before, .after = after, .request = request, .outcome = outcome,
		.who = registrant_of(request->nexus),
	};

	assert(action->run && before != after);
	memset(outcome, 0, sizeof(*outcome));
	outcome->status = STATUS_GOOD;
	if (before->reserver) {
		conflict(&c);	/* SPC-2 §5.5.1: the two methods exclude each other */
		return;
	}
	c.own = index_of(before, &c.who);
	copy(after, before);
	action->run(&c);
	if (outcome->status != STATUS_GOOD)
		return;
	settle(&c);
	after->generation += action->counts;
	assert(after->count || !after->type);
}
