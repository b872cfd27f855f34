/*
 * What a service action of PERSISTENT RESERVE OUT is made of; see reservation_change.h.
 */
#include "reservation_change.h"

#include <stddef.h>
#include <string.h>

/* Who is there -------------------------------------------------------------- */

bool registrant_same(const struct registrant *a, const struct registrant *b)
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

unsigned reservation_index(const struct reservations *r, const struct registrant *who)
{
	unsigned i = 0;

	while (i < r->count && !registrant_same(&r->registrations[i].who, who))
		i++;
	return i;
}

/* The beginning and the end ------------------------------------------------- */

static void copy(struct reservations *to, const struct reservations *from)
{
	memcpy(to, from, offsetof(struct reservations, registrations));
	memcpy(to->registrations, from->registrations,
	       from->count * sizeof(from->registrations[0]));
}

void change_begin(struct change *c)
{
	c->who = registrant_of(c->request->nexus);
	c->own = reservation_index(c->before, &c->who);
	copy(c->after, c->before);
}

void change_settle(struct change *c)
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

/* What is asked of it, and how it fails ------------------------------------- */

void change_conflict(struct change *c)
{
	c->outcome->status = STATUS_RESERVATION_CONFLICT;
}

void change_refuse(struct change *c, uint32_t reason)
{
	c->outcome->status = STATUS_CHECK_CONDITION;
	c->outcome->reason = reason;
}

bool change_is_registered(const struct change *c)
{
	return c->own < c->before->count;
}

bool change_is_holder(const struct change *c)
{
	return change_is_registered(c) && c->before->type &&
	       reservation_holds(c->before, &c->before->registrations[c->own]);
}

bool change_knows_key(const struct change *c)
{
	return change_is_registered(c) && c->before->registrations[c->own].key == c->request->key;
}

unsigned change_remaining(const struct change *c)
{
	unsigned n = c->after->count;

	for (unsigned i = 0; i < c->before->count; i++)
		n -= c->outcome->fate[i].gone;
	return n;
}

/* What changes -------------------------------------------------------------- */

void change_set_type(struct change *c, uint8_t type, unsigned holder)
{
	struct reservations *after = c->after;

	for (unsigned i = 0; i < after->count; i++)
		after->registrations[i].holder = false;
	after->type = type;
	if (type && !reservation_is_all_registrants(type))
		after->registrations[holder].holder = true;
}

void change_release(struct change *c)
{
	change_set_type(c, RESERVATION_NONE, 0);
}

void change_tell_others(struct change *c, uint32_t attention)
{
	for (unsigned i = 0; i < c->before->count; i++)
		if (i != c->own && !c->outcome->fate[i].gone)
			c->outcome->fate[i].attention = attention;
}

void change_remove(struct change *c, unsigned i, uint32_t attention)
{
	c->outcome->fate[i].gone = true;
	if (i != c->own)
		c->outcome->fate[i].attention = attention;
}

bool change_add(struct change *c, const struct registrant *who)
{
	struct reservations *after = c->after;

	if (after->count == RESERVATION_MAX) {
		change_refuse(c, SENSE_INSUFFICIENT_REGISTRATION);
		return false;
	}
	after->registrations[after->count++] = (struct registration){
		.who = *who, .key = c->request->action_key,
	};
	return true;
}
