/*
 * The model of reservations: each rule of SPC-4 §5.12, and of SPC-2 for RESERVE, by itself.
 */
#include <string.h>

#include "reservation.h"
#include "unit.h"

/* Two initiator ports and two target ports make four nexuses. */
enum { A1, A2, B1, B2, NEXUSES };

static const struct nexus nexuses[NEXUSES] = {
	{ .initiator_name = "iqn.2026-11.test:a", .isid = { 0x80, 0, 0, 0, 0, 1 }, .tpgt = 1 },
	{ .initiator_name = "iqn.2026-11.test:a", .isid = { 0x80, 0, 0, 0, 0, 1 }, .tpgt = 2 },
	{ .initiator_name = "iqn.2026-11.test:b", .isid = { 0x80, 0, 0, 0, 0, 1 }, .tpgt = 1 },
	{ .initiator_name = "iqn.2026-11.test:b", .isid = { 0x80, 0, 0, 0, 0, 1 }, .tpgt = 2 },
};

static struct reservations states[2];
static struct reservations *now = &states[0], *before = &states[1];
static struct reservation_outcome outcome;

static struct registrant registrant_of(int who)
{
	struct registrant r = { .port = lu_port_of(&nexuses[who]) };

	memcpy(r.name, nexuses[who].initiator_name, sizeof(r.name));
	memcpy(r.isid, nexuses[who].isid, sizeof(r.isid));
	return r;
}

/* What a test says of a command; 0 and false where it says nothing. */
struct command {
	enum cdb_id action;
	int by;
	uint64_t key, action_key;
	uint8_t type, scope;
	bool aptpl, all_ports, unreg, with_other;
	int other;			/* SPEC_I_PT, REGISTER AND MOVE */
};

static enum scsi_status issue(const struct command *c)
{
	const struct registrant other = registrant_of(c->other);
	const struct lu_port own = lu_port_of(&nexuses[c->by]);
	const struct lu_port ports[] = { own, { .tag = (uint16_t)(3 - own.tag) } };
	const struct reservation_request request = {
		.action = c->action, .nexus = &nexuses[c->by], .scope = c->scope, .type = c->type,
		.key = c->key, .action_key = c->action_key, .aptpl = c->aptpl, .unreg = c->unreg,
		.ports = ports, .port_count = c->all_ports ? 2 : 1,
		.spec_i_pt = c->with_other && c->action == CDB_PR_OUT_REGISTER,
		.others = &other,
		.other_count = c->with_other || c->action == CDB_PR_OUT_REGISTER_AND_MOVE,
	};
	struct reservations *made = before;

	reservation_out(now, made, &request, &outcome);
	if (outcome.status == STATUS_GOOD) {
		before = now;
		now = made;
	}
	return outcome.status;
}

#define PR(what, ...) issue(&(struct command){ .action = CDB_PR_OUT_##what, __VA_ARGS__ })
#define ENDS_IN(status, ...) \
	do { \
		CU_ASSERT_EQUAL(PR(__VA_ARGS__), status); \
	} while (0)
#define IS_GOOD(...)	ENDS_IN(STATUS_GOOD, __VA_ARGS__)
#define CONFLICTS(...)	ENDS_IN(STATUS_RESERVATION_CONFLICT, __VA_ARGS__)
#define REFUSED(why, ...) \
	do { \
		CU_ASSERT_EQUAL(PR(__VA_ARGS__), STATUS_CHECK_CONDITION); \
		CU_ASSERT_EQUAL(outcome.reason, why); \
	} while (0)

static void start(void)
{
	memset(states, 0, sizeof(states));
	now = &states[0];
	before = &states[1];
}

static uint64_t key_of(int who)
{
	const struct registration *r = reservation_find(now, &nexuses[who]);

	return r ? r->key : 0;
}

static bool holds(int who)
{
	const struct registration *r = reservation_find(now, &nexuses[who]);

	return r && now->type && reservation_holds(now, r);
}

/* Of the last command, which was good. */
static const struct reservation_fate *fate_of(int who)
{
	static const struct reservation_fate none;
	const struct registration *r = reservation_find(before, &nexuses[who]);

	return r ? &outcome.fate[r - before->registrations] : &none;
}

static uint32_t heard(int who)
{
	return fate_of(who)->attention;
}

static bool all_silent_but(int first, int second)
{
	for (int who = 0; who < NEXUSES; who++)
		if (who != first && who != second && heard(who) != SENSE_NONE)
			return false;
	return true;
}

/* Three registered: a by both ports with key 1 and 2, b with key 3. */
static void start_registered(void)
{
	start();
	IS_GOOD(REGISTER, .by = A1, .action_key = 1);
	IS_GOOD(REGISTER, .by = A2, .action_key = 2);
	IS_GOOD(REGISTER, .by = B1, .action_key = 3);
}

static const uint8_t types[] = {
	WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS, WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
	EXCLUSIVE_ACCESS_REGISTRANTS_ONLY, WRITE_EXCLUSIVE_ALL_REGISTRANTS,
	EXCLUSIVE_ACCESS_ALL_REGISTRANTS,
};
#define TYPES	(sizeof(types) / sizeof(types[0]))

/* REGISTER ------------------------------------------------------------------ */

static void register_wants_key_0_of_who_is_new_and_the_key_of_who_is_not(void)
{
	start();
	CONFLICTS(REGISTER, .by = A1, .key = 9, .action_key = 1);
	IS_GOOD(REGISTER, .by = A1, .action_key = 1);
	CU_ASSERT_EQUAL(key_of(A1), 1);
	CONFLICTS(REGISTER, .by = A1, .key = 0, .action_key = 2);
	CONFLICTS(REGISTER, .by = A1, .key = 9, .action_key = 2);
	IS_GOOD(REGISTER, .by = A1, .key = 1, .action_key = 2);
	CU_ASSERT_EQUAL(key_of(A1), 2);
	IS_GOOD(REGISTER, .by = A1, .key = 2, .action_key = 0);
	CU_ASSERT_EQUAL(now->count, 0);
}

static void the_other_port_and_the_other_session_id_are_other_nexuses(void)
{
	struct nexus other = nexuses[A1];

	start_registered();
	CU_ASSERT_EQUAL(key_of(A1), 1);
	CU_ASSERT_EQUAL(key_of(A2), 2);
	CU_ASSERT_EQUAL(key_of(B2), 0);
	other.isid[5]++;
	CU_ASSERT_PTR_NULL(reservation_find(now, &other));
}

static void register_of_nothing_by_nobody_is_good_and_counts(void)
{
	start();
	IS_GOOD(REGISTER, .by = A1);
	CU_ASSERT_EQUAL(now->count, 0);
	CU_ASSERT_EQUAL(now->generation, 1);
}

static void register_and_ignore_asks_for_no_key(void)
{
	start();
	IS_GOOD(REGISTER_AND_IGNORE, .by = A1, .key = 77, .action_key = 1);
	IS_GOOD(REGISTER_AND_IGNORE, .by = A1, .key = 77, .action_key = 2);
	CU_ASSERT_EQUAL(key_of(A1), 2);
	IS_GOOD(REGISTER_AND_IGNORE, .by = A1, .key = 77);
	CU_ASSERT_EQUAL(now->count, 0);
	IS_GOOD(REGISTER_AND_IGNORE, .by = A1);
}

static void all_target_ports_are_registered_or_none(void)
{
	start();
	IS_GOOD(REGISTER, .by = A1, .action_key = 1, .all_ports = true);
	CU_ASSERT_EQUAL(key_of(A1), 1);
	CU_ASSERT_EQUAL(key_of(A2), 1);
	CU_ASSERT_EQUAL(now->count, 2);
	IS_GOOD(REGISTER, .by = A2, .key = 1, .action_key = 5);
	CONFLICTS(REGISTER, .by = A1, .key = 1, .action_key = 2, .all_ports = true);
	IS_GOOD(REGISTER_AND_IGNORE, .by = A1, .action_key = 2, .all_ports = true);
	CU_ASSERT_EQUAL(key_of(A2), 2);
	IS_GOOD(REGISTER, .by = A1, .key = 2, .all_ports = true);
	CU_ASSERT_EQUAL(now->count, 0);
	IS_GOOD(REGISTER, .by = A1, .action_key = 1);
	IS_GOOD(REGISTER, .by = A1, .key = 1, .action_key = 2, .all_ports = true);
	CU_ASSERT_EQUAL(key_of(A2), 2);
}

static void specified_initiator_ports_are_registered_if_none_was(void)
{
	start();
	IS_GOOD(REGISTER, .by = A1, .action_key = 1, .with_other = true, .other = B1);
	CU_ASSERT_EQUAL(key_of(B1), 1);
	CU_ASSERT_EQUAL(now->count, 2);
	start();
	IS_GOOD(REGISTER, .by = A1, .action_key = 1);
	REFUSED(SENSE_INVALID_FIELD_IN_PARAMETERS,
		REGISTER, .by = A1, .key = 1, .action_key = 2, .with_other = true, .other = B1);
	CU_ASSERT_EQUAL(now->count, 1);
	start();
	IS_GOOD(REGISTER, .by = B2, .action_key = 2);
	REFUSED(SENSE_INVALID_FIELD_IN_PARAMETERS,
		REGISTER, .by = A1, .action_key = 1, .all_ports = true, .with_other = true,
		.other = B1);
	CU_ASSERT_EQUAL(now->count, 1);
	start();
	IS_GOOD(REGISTER, .by = A1, .action_key = 1, .all_ports = true, .with_other = true,
		.other = B1);
	CU_ASSERT_EQUAL(now->count, 4);
	start();
	IS_GOOD(REGISTER, .by = A1, .with_other = true, .other = B1);
	CU_ASSERT_EQUAL(now->count, 0);
}

static void the_last_aptpl_bit_governs(void)
{
	start();
	IS_GOOD(REGISTER, .by = A1, .action_key = 1, .aptpl = true);
	CU_ASSERT(now->aptpl);
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE);
	CU_ASSERT(now->aptpl);
	CONFLICTS(REGISTER, .by = B1, .key = 1);
	CU_ASSERT(now->aptpl);
	IS_GOOD(REGISTER, .by = B1, .action_key = 2);
	CU_ASSERT(!now->aptpl);
}

static void there_is_room_for_so_many_and_not_for_one_more(void)
{
	struct nexus many = { .initiator_name = "iqn.2026-11.test:many" };
	struct lu_port port = { .tag = 0 };
	const struct reservation_request request = {
		.action = CDB_PR_OUT_REGISTER, .nexus = &many, .action_key = 9,
		.ports = &port, .port_count = 1,
	};

	start();
	IS_GOOD(REGISTER, .by = A1, .action_key = 1);
	while (now->count < RESERVATION_MAX) {
		struct reservations *made = before;

		many.tpgt = ++port.tag;
		reservation_out(now, made, &request, &outcome);
		CU_ASSERT_EQUAL_FATAL(outcome.status, STATUS_GOOD);
		before = now;
		now = made;
	}
	REFUSED(SENSE_INSUFFICIENT_REGISTRATION, REGISTER, .by = B1, .action_key = 9);
	IS_GOOD(REGISTER, .by = A1, .key = 1);
	IS_GOOD(REGISTER, .by = A2, .action_key = 9);
	CU_ASSERT_EQUAL(now->count, RESERVATION_MAX);
}

/* Unregistering ------------------------------------------------------------- */

static void the_reservation_goes_with_its_holder(void)
{
	for (size_t i = 0; i < TYPES; i++) {
		bool tells = types[i] == WRITE_EXCLUSIVE_REGISTRANTS_ONLY ||
			     types[i] == EXCLUSIVE_ACCESS_REGISTRANTS_ONLY;

		if (reservation_is_all_registrants(types[i]))
			continue;
		start_registered();
		IS_GOOD(RESERVE, .by = A1, .key = 1, .type = types[i]);
		IS_GOOD(REGISTER, .by = A2, .key = 2);
		CU_ASSERT_EQUAL(now->type, types[i]);	/* a mere registrant went */
		IS_GOOD(REGISTER, .by = A1, .key = 1);
		CU_ASSERT_EQUAL(now->type, RESERVATION_NONE);
		CU_ASSERT_EQUAL(heard(B1), tells ? SENSE_RESERVATIONS_RELEASED : SENSE_NONE);
		CU_ASSERT(all_silent_but(B1, -1));
	}
}

static void a_reservation_of_all_registrants_goes_with_the_last(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE_ALL_REGISTRANTS);
	IS_GOOD(REGISTER, .by = A1, .key = 1);
	CU_ASSERT(all_silent_but(-1, -1));
	IS_GOOD(REGISTER, .by = A2, .key = 2);
	CU_ASSERT_EQUAL(now->type, WRITE_EXCLUSIVE_ALL_REGISTRANTS);
	CU_ASSERT(holds(B1));
	IS_GOOD(REGISTER, .by = B1, .key = 3);
	CU_ASSERT_EQUAL(now->type, RESERVATION_NONE);
}

/* RESERVE, RELEASE, CLEAR --------------------------------------------------- */

static void only_who_is_registered_and_knows_its_key_may_do_more(void)
{
	static const enum cdb_id actions[] = {
		CDB_PR_OUT_RESERVE, CDB_PR_OUT_RELEASE, CDB_PR_OUT_CLEAR, CDB_PR_OUT_PREEMPT,
		CDB_PR_OUT_PREEMPT_AND_ABORT, CDB_PR_OUT_REGISTER_AND_MOVE,
	};

	start_registered();
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		struct command c = {
			.action = actions[i], .by = B2, .key = 3, .action_key = 1,
			.type = WRITE_EXCLUSIVE, .other = A2,
		};

		CU_ASSERT_EQUAL(issue(&c), STATUS_RESERVATION_CONFLICT);
		c.by = B1;
		c.key = 1;
		CU_ASSERT_EQUAL(issue(&c), STATUS_RESERVATION_CONFLICT);
		c.key = 0;
		CU_ASSERT_EQUAL(issue(&c), STATUS_RESERVATION_CONFLICT);
	}
}

static void reserve_again_is_good_and_reserve_otherwise_conflicts(void)
{
	for (size_t i = 0; i < TYPES; i++) {
		start_registered();
		IS_GOOD(RESERVE, .by = A1, .key = 1, .type = types[i]);
		CU_ASSERT(holds(A1));
		IS_GOOD(RESERVE, .by = A1, .key = 1, .type = types[i]);
		CONFLICTS(RESERVE, .by = A1, .key = 1, .type = types[(i + 1) % TYPES]);
		if (reservation_is_all_registrants(types[i]))
			IS_GOOD(RESERVE, .by = B1, .key = 3, .type = types[i]);
		else
			CONFLICTS(RESERVE, .by = B1, .key = 3, .type = types[i]);
		CU_ASSERT_EQUAL(now->generation, 3);	/* as after the three registrations */
	}
}

static void types_and_scopes_that_do_not_exist_are_refused(void)
{
	start_registered();
	for (uint8_t type = 0; type < 16; type++)
		if (!memchr(types, type, sizeof(types)))
			REFUSED(SENSE_INVALID_FIELD_IN_CDB, RESERVE, .by = A1, .key = 1,
				.type = type);
	REFUSED(SENSE_INVALID_FIELD_IN_CDB, RESERVE, .by = A1, .key = 1, .scope = 1,
		.type = WRITE_EXCLUSIVE);
}

static void release_tells_the_other_registrants_where_they_had_access(void)
{
	for (size_t i = 0; i < TYPES; i++) {
		bool tells = types[i] != WRITE_EXCLUSIVE && types[i] != EXCLUSIVE_ACCESS;

		start_registered();
		IS_GOOD(RESERVE, .by = A1, .key = 1, .type = types[i]);
		IS_GOOD(RELEASE, .by = A1, .key = 1, .type = types[i]);
		CU_ASSERT_EQUAL(now->type, RESERVATION_NONE);
		CU_ASSERT_EQUAL(heard(A1), SENSE_NONE);
		CU_ASSERT_EQUAL(heard(A2), tells ? SENSE_RESERVATIONS_RELEASED : SENSE_NONE);
		CU_ASSERT_EQUAL(heard(B1), tells ? SENSE_RESERVATIONS_RELEASED : SENSE_NONE);
		CU_ASSERT_EQUAL(now->count, 3);
		CU_ASSERT_EQUAL(now->generation, 3);
	}
}

static void release_by_who_holds_nothing_is_good_and_does_nothing(void)
{
	start_registered();
	IS_GOOD(RELEASE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE);
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE);
	IS_GOOD(RELEASE, .by = B1, .key = 3, .type = WRITE_EXCLUSIVE);
	CU_ASSERT(holds(A1));
}

static void release_of_another_type_or_scope_is_an_invalid_release(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE);
	REFUSED(SENSE_INVALID_RELEASE, RELEASE, .by = A1, .key = 1, .type = EXCLUSIVE_ACCESS);
	REFUSED(SENSE_INVALID_RELEASE, RELEASE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE,
		.scope = 1);
	CU_ASSERT(holds(A1));
}

static void clear_removes_everything_and_tells_the_others(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE);
	IS_GOOD(CLEAR, .by = B1, .key = 3);
	CU_ASSERT_EQUAL(now->count, 0);
	CU_ASSERT_EQUAL(now->type, RESERVATION_NONE);
	CU_ASSERT_EQUAL(now->generation, 4);
	CU_ASSERT_EQUAL(heard(A1), SENSE_RESERVATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(heard(A2), SENSE_RESERVATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(heard(B1), SENSE_NONE);
}

/* PREEMPT ------------------------------------------------------------------- */

static void preempting_the_holder_takes_the_reservation_over(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
	IS_GOOD(PREEMPT, .by = B1, .key = 3, .action_key = 1,
		.type = WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
	CU_ASSERT_EQUAL(key_of(A1), 0);
	CU_ASSERT_EQUAL(key_of(A2), 2);
	CU_ASSERT(holds(B1));
	CU_ASSERT(fate_of(A1)->gone);
	CU_ASSERT_EQUAL(heard(A1), SENSE_REGISTRATIONS_PREEMPTED);
	CU_ASSERT(all_silent_but(A1, -1));
	CU_ASSERT_EQUAL(now->generation, 4);
}

static void who_stays_hears_when_the_type_changes_by_preemption(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
	IS_GOOD(PREEMPT, .by = B1, .key = 3, .action_key = 1, .type = EXCLUSIVE_ACCESS);
	CU_ASSERT_EQUAL(heard(A1), SENSE_REGISTRATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(heard(A2), SENSE_RESERVATIONS_RELEASED);
	CU_ASSERT_EQUAL(heard(B1), SENSE_NONE);
	CU_ASSERT_EQUAL(now->type, EXCLUSIVE_ACCESS);
}

static void the_holder_may_preempt_itself_to_change_the_type(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE);
	IS_GOOD(PREEMPT, .by = A1, .key = 1, .action_key = 1, .type = EXCLUSIVE_ACCESS);
	CU_ASSERT(holds(A1));
	CU_ASSERT_EQUAL(now->type, EXCLUSIVE_ACCESS);
	CU_ASSERT_EQUAL(now->count, 3);
	CU_ASSERT_EQUAL(heard(A1), SENSE_NONE);
	CU_ASSERT_EQUAL(heard(B1), SENSE_RESERVATIONS_RELEASED);
}

static void preempting_another_key_only_removes_its_registrations(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE);
	IS_GOOD(REGISTER, .by = A2, .key = 2, .action_key = 3);
	IS_GOOD(PREEMPT, .by = A1, .key = 1, .action_key = 3, .type = 15);	/* ignored */
	CU_ASSERT_EQUAL(now->count, 1);
	CU_ASSERT(holds(A1));
	CU_ASSERT_EQUAL(heard(A2), SENSE_REGISTRATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(heard(B1), SENSE_REGISTRATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(heard(A1), SENSE_NONE);
}

static void a_key_that_nobody_has_conflicts_and_key_0_is_refused(void)
{
	start_registered();
	CONFLICTS(PREEMPT, .by = A1, .key = 1, .action_key = 9, .type = WRITE_EXCLUSIVE);
	REFUSED(SENSE_INVALID_FIELD_IN_PARAMETERS, PREEMPT, .by = A1, .key = 1,
		.type = WRITE_EXCLUSIVE);
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE);
	CONFLICTS(PREEMPT, .by = A1, .key = 1, .action_key = 9, .type = WRITE_EXCLUSIVE);
	REFUSED(SENSE_INVALID_FIELD_IN_PARAMETERS, PREEMPT, .by = B1, .key = 3,
		.type = WRITE_EXCLUSIVE);
	REFUSED(SENSE_INVALID_FIELD_IN_CDB, PREEMPT, .by = B1, .key = 3, .action_key = 1,
		.type = 2);
	REFUSED(SENSE_INVALID_FIELD_IN_CDB, PREEMPT, .by = B1, .key = 3, .action_key = 1,
		.type = WRITE_EXCLUSIVE, .scope = 2);
	CU_ASSERT_EQUAL(now->generation, 3);
}

static void without_a_reservation_one_may_remove_oneself(void)
{
	start_registered();
	IS_GOOD(PREEMPT, .by = A1, .key = 1, .action_key = 1);
	CU_ASSERT_EQUAL(key_of(A1), 0);
	CU_ASSERT_EQUAL(now->count, 2);
	CU_ASSERT(all_silent_but(-1, -1));
}

static void key_0_preempts_all_registrants_and_a_key_only_its_own(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = EXCLUSIVE_ACCESS_ALL_REGISTRANTS);
	IS_GOOD(PREEMPT, .by = A1, .key = 1, .action_key = 2, .type = WRITE_EXCLUSIVE);
	CU_ASSERT_EQUAL(now->type, EXCLUSIVE_ACCESS_ALL_REGISTRANTS);
	CU_ASSERT(holds(A1) && holds(B1) && !holds(A2));
	IS_GOOD(REGISTER, .by = A2, .action_key = 2);
	IS_GOOD(PREEMPT, .by = B1, .key = 3, .type = WRITE_EXCLUSIVE);
	CU_ASSERT_EQUAL(now->type, WRITE_EXCLUSIVE);
	CU_ASSERT_EQUAL(now->count, 1);
	CU_ASSERT(holds(B1));
	CU_ASSERT_EQUAL(heard(A1), SENSE_REGISTRATIONS_PREEMPTED);
	CU_ASSERT_EQUAL(heard(A2), SENSE_REGISTRATIONS_PREEMPTED);
}

static void the_last_of_all_registrants_takes_the_reservation_along(void)
{
	start();
	IS_GOOD(REGISTER, .by = A1, .action_key = 1);
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = EXCLUSIVE_ACCESS_ALL_REGISTRANTS);
	IS_GOOD(PREEMPT_AND_ABORT, .by = A1, .key = 1, .action_key = 1);
	CU_ASSERT_EQUAL(now->count, 0);
	CU_ASSERT_EQUAL(now->type, RESERVATION_NONE);
}

/* REGISTER AND MOVE --------------------------------------------------------- */

static void a_move_registers_the_destination_and_makes_it_the_holder(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
	IS_GOOD(REGISTER_AND_MOVE, .by = A1, .key = 1, .action_key = 7, .other = B2);
	CU_ASSERT_EQUAL(key_of(B2), 7);
	CU_ASSERT_EQUAL(key_of(A1), 1);
	CU_ASSERT(holds(B2) && !holds(A1));
	CU_ASSERT_EQUAL(now->type, WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
	CU_ASSERT_EQUAL(now->generation, 4);
	CU_ASSERT(all_silent_but(-1, -1));
}

static void a_move_may_take_a_registrant_and_unregister_the_mover(void)
{
	start_registered();
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = EXCLUSIVE_ACCESS);
	IS_GOOD(REGISTER_AND_MOVE, .by = A1, .key = 1, .action_key = 8, .other = B1,
		.unreg = true, .aptpl = true);
	CU_ASSERT_EQUAL(key_of(B1), 8);
	CU_ASSERT_EQUAL(key_of(A1), 0);
	CU_ASSERT(holds(B1));
	CU_ASSERT(now->aptpl);
	CU_ASSERT_EQUAL(now->count, 2);
}

static void a_move_is_for_the_single_holder_to_somebody_else(void)
{
	start_registered();
	REFUSED(SENSE_INVALID_FIELD_IN_CDB, REGISTER_AND_MOVE, .by = A1, .key = 1,
		.action_key = 7, .other = B2);
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = EXCLUSIVE_ACCESS);
	CONFLICTS(REGISTER_AND_MOVE, .by = B1, .key = 3, .action_key = 7, .other = B2);
	REFUSED(SENSE_INVALID_FIELD_IN_PARAMETERS, REGISTER_AND_MOVE, .by = A1, .key = 1,
		.action_key = 7, .other = A1);
	REFUSED(SENSE_INVALID_FIELD_IN_PARAMETERS, REGISTER_AND_MOVE, .by = A1, .key = 1,
		.other = B2);
	IS_GOOD(RELEASE, .by = A1, .key = 1, .type = EXCLUSIVE_ACCESS);
	IS_GOOD(RESERVE, .by = A1, .key = 1, .type = EXCLUSIVE_ACCESS_ALL_REGISTRANTS);
	CONFLICTS(REGISTER_AND_MOVE, .by = A1, .key = 1, .action_key = 7, .other = B2);
}

/* Access, and RESERVE(6) ---------------------------------------------------- */

static void types_say_who_may_what(void)
{
	static const enum reach others[] = {
		ACCESS_READ, ACCESS_READY, ACCESS_READ, ACCESS_READY, ACCESS_READ, ACCESS_READY,
	};

	start_registered();
	CU_ASSERT(!reservation_restricts(now));
	CU_ASSERT_EQUAL(reservation_access(now, &nexuses[B2]), ACCESS_WRITE);
	for (size_t i = 0; i < TYPES; i++) {
		bool shared = types[i] != WRITE_EXCLUSIVE && types[i] != EXCLUSIVE_ACCESS;

		start_registered();
		IS_GOOD(RESERVE, .by = A1, .key = 1, .type = types[i]);
		CU_ASSERT(reservation_restricts(now));
		CU_ASSERT_EQUAL(reservation_access(now, &nexuses[A1]), ACCESS_WRITE);
		CU_ASSERT_EQUAL(reservation_access(now, &nexuses[B1]),
				shared ? ACCESS_WRITE : others[i]);
		CU_ASSERT_EQUAL(reservation_access(now, &nexuses[B2]), others[i]);
		CU_ASSERT_EQUAL(reservation_access(now, NULL), others[i]);
	}
}

static void reserve_6_is_for_one_session_and_excludes_registrations(void)
{
	start();
	CU_ASSERT_EQUAL(reservation_reserve(now, &nexuses[A1]), STATUS_GOOD);
	CU_ASSERT_EQUAL(reservation_reserve(now, &nexuses[A1]), STATUS_GOOD);
	CU_ASSERT_EQUAL(reservation_reserve(now, &nexuses[B1]), STATUS_RESERVATION_CONFLICT);
	CU_ASSERT_EQUAL(reservation_access(now, &nexuses[A1]), ACCESS_WRITE);
	CU_ASSERT_EQUAL(reservation_access(now, &nexuses[A2]), ACCESS_ALWAYS);
	CONFLICTS(REGISTER, .by = A1, .action_key = 1);
	CONFLICTS(REGISTER, .by = B1, .action_key = 1);
	CU_ASSERT_EQUAL(reservation_release(now, &nexuses[B1]), STATUS_GOOD);
	CU_ASSERT(reservation_restricts(now));
	CU_ASSERT_EQUAL(reservation_release(now, &nexuses[A1]), STATUS_GOOD);
	CU_ASSERT(!reservation_restricts(now));
	CU_ASSERT_EQUAL(reservation_access(now, &nexuses[A2]), ACCESS_WRITE);
}

static void reserve_6_conflicts_with_registrations_unless_one_has_access(void)
{
	for (size_t i = 0; i < TYPES; i++) {
		bool shared = types[i] != WRITE_EXCLUSIVE && types[i] != EXCLUSIVE_ACCESS;

		start_registered();
		CU_ASSERT_EQUAL(reservation_reserve(now, &nexuses[A1]),
				STATUS_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(reservation_release(now, &nexuses[A1]),
				STATUS_RESERVATION_CONFLICT);
		IS_GOOD(RESERVE, .by = A1, .key = 1, .type = types[i]);
		CU_ASSERT_EQUAL(reservation_reserve(now, &nexuses[A1]), STATUS_GOOD);
		CU_ASSERT_EQUAL(reservation_release(now, &nexuses[A1]), STATUS_GOOD);
		CU_ASSERT_EQUAL(reservation_reserve(now, &nexuses[B1]),
				shared ? STATUS_GOOD : STATUS_RESERVATION_CONFLICT);
		CU_ASSERT_EQUAL(reservation_reserve(now, &nexuses[B2]),
				STATUS_RESERVATION_CONFLICT);
		CU_ASSERT_PTR_NULL(now->reserver);
		CU_ASSERT_EQUAL(now->type, types[i]);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(register_wants_key_0_of_who_is_new_and_the_key_of_who_is_not),
	UNIT_TEST(the_other_port_and_the_other_session_id_are_other_nexuses),
	UNIT_TEST(register_of_nothing_by_nobody_is_good_and_counts),
	UNIT_TEST(register_and_ignore_asks_for_no_key),
	UNIT_TEST(all_target_ports_are_registered_or_none),
	UNIT_TEST(specified_initiator_ports_are_registered_if_none_was),
	UNIT_TEST(the_last_aptpl_bit_governs),
	UNIT_TEST(there_is_room_for_so_many_and_not_for_one_more),
	UNIT_TEST(the_reservation_goes_with_its_holder),
	UNIT_TEST(a_reservation_of_all_registrants_goes_with_the_last),
	UNIT_TEST(only_who_is_registered_and_knows_its_key_may_do_more),
	UNIT_TEST(reserve_again_is_good_and_reserve_otherwise_conflicts),
	UNIT_TEST(types_and_scopes_that_do_not_exist_are_refused),
	UNIT_TEST(release_tells_the_other_registrants_where_they_had_access),
	UNIT_TEST(release_by_who_holds_nothing_is_good_and_does_nothing),
	UNIT_TEST(release_of_another_type_or_scope_is_an_invalid_release),
	UNIT_TEST(clear_removes_everything_and_tells_the_others),
	UNIT_TEST(preempting_the_holder_takes_the_reservation_over),
	UNIT_TEST(who_stays_hears_when_the_type_changes_by_preemption),
	UNIT_TEST(the_holder_may_preempt_itself_to_change_the_type),
	UNIT_TEST(preempting_another_key_only_removes_its_registrations),
	UNIT_TEST(a_key_that_nobody_has_conflicts_and_key_0_is_refused),
	UNIT_TEST(without_a_reservation_one_may_remove_oneself),
	UNIT_TEST(key_0_preempts_all_registrants_and_a_key_only_its_own),
	UNIT_TEST(the_last_of_all_registrants_takes_the_reservation_along),
	UNIT_TEST(a_move_registers_the_destination_and_makes_it_the_holder),
	UNIT_TEST(a_move_may_take_a_registrant_and_unregister_the_mover),
	UNIT_TEST(a_move_is_for_the_single_holder_to_somebody_else),
	UNIT_TEST(types_say_who_may_what),
	UNIT_TEST(reserve_6_is_for_one_session_and_excludes_registrations),
	UNIT_TEST(reserve_6_conflicts_with_registrations_unless_one_has_access),
};

UNIT_MAIN("reservation", tests)
