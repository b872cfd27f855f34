/*
 * The model of reservations (reservation.h): who holds what, and whom that keeps from
 * what. Called by the disk_* files under the mutex of the unit's shared state, which owns
 * the reservations; the service actions are in reservation_out.c.
 */
#include "reservation.h"

#include <string.h>

bool reservation_type_valid(uint8_t type)
{
	switch ((enum reservation_type)type) {
	case WRITE_EXCLUSIVE:
	case EXCLUSIVE_ACCESS:
	case WRITE_EXCLUSIVE_REGISTRANTS_ONLY:
	case EXCLUSIVE_ACCESS_REGISTRANTS_ONLY:
	case WRITE_EXCLUSIVE_ALL_REGISTRANTS:
	case EXCLUSIVE_ACCESS_ALL_REGISTRANTS:
		return true;
	case RESERVATION_NONE:
		break;
	}
	return false;
}

bool reservation_is_all_registrants(uint8_t type)
{
	return type == WRITE_EXCLUSIVE_ALL_REGISTRANTS || type == EXCLUSIVE_ACCESS_ALL_REGISTRANTS;
}

bool reservation_is_registrants_only(uint8_t type)
{
	return type == WRITE_EXCLUSIVE_REGISTRANTS_ONLY ||
	       type == EXCLUSIVE_ACCESS_REGISTRANTS_ONLY;
}

/* Who is there -------------------------------------------------------------- */

bool registrant_is(const struct registrant *who, const struct nexus *nexus)
{
	return who->port.tag == nexus->tpgt && !memcmp(who->isid, nexus->isid, sizeof(who->isid)) &&
	       !strcmp(who->name, nexus->initiator_name) &&
	       !strcmp(who->port.target, nexus->target_name);
}

const struct registration *reservation_find(const struct reservations *r,
					    const struct nexus *nexus)
{
	for (unsigned i = 0; i < r->count; i++)
		if (registrant_is(&r->registrations[i].who, nexus))
			return &r->registrations[i];
	return NULL;
}

bool reservation_holds(const struct reservations *r, const struct registration *registration)
{
	return reservation_is_all_registrants(r->type) || registration->holder;
}

/* Who may do what ----------------------------------------------------------- */

bool reservation_restricts(const struct reservations *r)
{
	return r->type || r->reserver;
}

/* May a registration do all that the holder may? */
static bool admits(const struct reservations *r, const struct registration *registration)
{
	return registration && (reservation_is_registrants_only(r->type) ||
				reservation_holds(r, registration));
}

enum reach reservation_access(const struct reservations *r, const struct nexus *nexus)
{
	if (r->reserver)
		return r->reserver == nexus ? ACCESS_WRITE : ACCESS_ALWAYS;
	if (!r->type || (nexus && admits(r, reservation_find(r, nexus))))
		return ACCESS_WRITE;
	switch ((enum reservation_type)r->type) {
	case WRITE_EXCLUSIVE:
	case WRITE_EXCLUSIVE_REGISTRANTS_ONLY:
	case WRITE_EXCLUSIVE_ALL_REGISTRANTS:
		return ACCESS_READ;
	case EXCLUSIVE_ACCESS:
	case EXCLUSIVE_ACCESS_REGISTRANTS_ONLY:
	case EXCLUSIVE_ACCESS_ALL_REGISTRANTS:
	case RESERVATION_NONE:
		break;
	}
	return ACCESS_READY;
}

/*
 * RESERVE and RELEASE where there are persistent reservations. SPC-3 §5.6.3, which CRH=1
 * announces: to whom the reservation gives access anyhow, they are good and do nothing.
 * SPC-2 §5.5.1: else, as soon as anybody is registered, they conflict.
 */
static bool is_settled(const struct reservations *r, const struct nexus *nexus,
		       enum scsi_status *status)
{
	if (!r->count)
		return false;
	*status = r->type && admits(r, reservation_find(r, nexus)) ?
		  STATUS_GOOD : STATUS_RESERVATION_CONFLICT;
	return true;
}

enum scsi_status reservation_reserve(struct reservations *r, const struct nexus *nexus)
{
	enum scsi_status status;

	if (is_settled(r, nexus, &status))
		return status;
	if (r->reserver && r->reserver != nexus)
		return STATUS_RESERVATION_CONFLICT;
	r->reserver = nexus;
	return STATUS_GOOD;
}

enum scsi_status reservation_release(struct reservations *r, const struct nexus *nexus)
{
	enum scsi_status status;

	if (is_settled(r, nexus, &status))
		return status;
	if (r->reserver == nexus)
		r->reserver = NULL;
	return STATUS_GOOD;	/* also to whom has nothing to release */
}
