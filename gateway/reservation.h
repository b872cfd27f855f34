/*
 * The reservations of one logical unit, as a pure model: who is registered, who holds
 * the persistent reservation, who has the unit by RESERVE(6) or (10), and what each
 * service action makes of it (SPC-4 §5.12; SPC-2 §5.5 for RESERVE and RELEASE).
 *
 * No I/O, no locks, no allocation: a service action takes the state before it and
 * makes the state after it, so that whoever calls may keep, store or drop either.
 */
#ifndef RESERVATION_H
#define RESERVATION_H

#include <stdbool.h>
#include <stdint.h>

#include "cdb.h"
#include "lu.h"
#include "lu_ports.h"
#include "sense.h"

/* Registrations of one unit: 64 hosts by four paths each. */
#define RESERVATION_MAX		256

/* SPC-4 §6.15.3.4; RESERVATION_NONE is no type on the wire. */
enum reservation_type {
	RESERVATION_NONE = 0,
	WRITE_EXCLUSIVE = 1,
	EXCLUSIVE_ACCESS = 3,
	WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5,
	EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 6,
	WRITE_EXCLUSIVE_ALL_REGISTRANTS = 7,
	EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 8,
};

/* An I_T nexus by the names of its two ports, whether or not there is a session. */
struct registrant {
	char	 name[sizeof(((struct nexus *)0)->initiator_name)];
	uint8_t	 isid[6];
	struct lu_port port;
};

struct registration {
	struct registrant who;
	uint64_t key;			/* never 0 */
	bool	 holder;		/* of a reservation that one nexus holds */
};

struct reservations {
	uint32_t generation;		/* PRGENERATION */
	bool	 aptpl;			/* all but generation and reserver is to survive a restart */
	uint8_t	 type;			/* enum reservation_type */
	const struct nexus *reserver;	/* by RESERVE(6) or (10): that session alone */
	unsigned count;
	struct registration registrations[RESERVATION_MAX];
};

/*
 * What a command needs, and the most that a nexus may: in ascending order, so that one
 * number stands for the columns of the tables of SPC-4 §5.12.1, SBC-3 §4.17 and SPC-2 §5.5.1.
 */
enum reach {
	ACCESS_ALWAYS,			/* no reservation stands in its way: INQUIRY */
	ACCESS_READY,			/* only RESERVE(6), (10) does: TEST UNIT READY */
	ACCESS_READ,			/* exclusive access does, too */
	ACCESS_WRITE,			/* every reservation does */
};

struct reservation_request {
	enum cdb_id action;		/* CDB_PR_OUT_... */
	const struct nexus *nexus;	/* by which it came */
	uint8_t	 scope, type;
	uint64_t key, action_key;	/* RESERVATION KEY, SERVICE ACTION RESERVATION KEY */
	bool	 aptpl, unreg;
	/* The target ports to register by: the nexus' own first, then, with ALL_TG_PT, the others. */
	const struct lu_port *ports;
	unsigned port_count;
	/* SPEC_I_PT: the initiator ports to register, too, by those target ports. REGISTER AND
	 * MOVE: exactly one, the nexus to move to. */
	bool	 spec_i_pt;
	const struct registrant *others;
	unsigned other_count;
};

/* What became of a registration that there was before. */
struct reservation_fate {
	bool	 gone;
	uint32_t attention;		/* the unit attention its nexus gets, or SENSE_NONE */
};

struct reservation_outcome {
	enum scsi_status status;	/* GOOD, CHECK CONDITION or RESERVATION CONFLICT */
	uint32_t reason;		/* of a CHECK CONDITION */
	struct reservation_fate fate[RESERVATION_MAX];	/* by index in "before"; of GOOD only */
};

/* One PERSISTENT RESERVE OUT. Unless the status is GOOD, "after" means nothing. */
void reservation_out(const struct reservations *before, struct reservations *after,
		     const struct reservation_request *request,
		     struct reservation_outcome *outcome);

/* RESERVE and RELEASE, (6) and (10): GOOD or RESERVATION CONFLICT. */
enum scsi_status reservation_reserve(struct reservations *r, const struct nexus *nexus);
enum scsi_status reservation_release(struct reservations *r, const struct nexus *nexus);

/* The most that the nexus may now; NULL is a nexus that never registers. */
enum reach reservation_access(const struct reservations *r, const struct nexus *nexus);

/* Is there a reservation of any kind, so that it matters who asks? */
bool reservation_restricts(const struct reservations *r);

/* The nexus' registration, NULL when it has none. */
const struct registration *reservation_find(const struct reservations *r,
					    const struct nexus *nexus);

/* Does this registration hold the reservation (SPC-4 §5.12.10: of "all registrants", all do)? */
bool reservation_holds(const struct reservations *r, const struct registration *registration);

bool registrant_is(const struct registrant *who, const struct nexus *nexus);

/* 1, 3, 5, 6, 7 or 8? */
bool reservation_type_valid(uint8_t type);
bool reservation_is_all_registrants(uint8_t type);
bool reservation_is_registrants_only(uint8_t type);

#endif
