/*
 * One change of a unit's reservations by PERSISTENT RESERVE OUT, while it is made: what the
 * service actions (reservation_out.c) are made of. Pure, as reservation.h is.
 *
 * An action works on a copy. It marks the registrations that go, changes others in place
 * and appends new ones; change_settle() then drops what is marked. So an index below
 * before->count means the same registration in both states until the end.
 */
#ifndef RESERVATION_CHANGE_H
#define RESERVATION_CHANGE_H

#include "reservation.h"

struct change {
	/* Set before change_begin(): */
	const struct reservations *before;
	struct reservations *after;
	const struct reservation_request *request;
	struct reservation_outcome *outcome;
	/* Set by it: */
	struct registrant who;		/* the nexus by which it came */
	unsigned own;			/* its index; before->count when it is not registered */
};

bool registrant_same(const struct registrant *a, const struct registrant *b);

/* Its index, or r->count when it is not registered. */
unsigned reservation_index(const struct reservations *r, const struct registrant *who);

void change_begin(struct change *c);

/* Drop what is marked. */
void change_settle(struct change *c);

/* It ends so: RESERVATION CONFLICT, or CHECK CONDITION. */
void change_conflict(struct change *c);
void change_refuse(struct change *c, uint32_t reason);

bool change_is_registered(const struct change *c);
bool change_is_holder(const struct change *c);

/* SPC-4 §6.16.3: all actions but the registering ones are for whoever knows its own key. */
bool change_knows_key(const struct change *c);

/* How many registrations are not marked. */
unsigned change_remaining(const struct change *c);

/* "holder" is an index in "after"; of no meaning where all registrants, or nobody, hold it. */
void change_set_type(struct change *c, uint8_t type, unsigned holder);
void change_release(struct change *c);

/* Every other nexus that stays registered hears of it. */
void change_tell_others(struct change *c, uint32_t attention);

/* Mark it. The nexus by which the change came is not told. */
void change_remove(struct change *c, unsigned i, uint32_t attention);

/* With the request's new key. False: there is no room, and it ends so. */
bool change_add(struct change *c, const struct registrant *who);

#endif
