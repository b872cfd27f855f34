/*
 * Random commands to the model of reservations and to a second one, written from the same
 * rules (SPC-4 §5.12) in another way: four slots instead of a list, and a judgement that
 * is made before anything is done. After every command both must say the same of
 * everything that a host can see.
 *
 * SOAK=1: 100,000 commands on each bed instead of 5,000.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reservation.h"
#include "unit.h"

#define SLOTS	4	/* two initiator ports by two target ports: initiator * 2 + target */

/* What tells the two target ports apart, and the initiators: one thing only, and all of them. */
#define BEDS	3
static const struct nexus beds[BEDS][SLOTS] = {
	{	/* portal groups of one target */
		{ .initiator_name = "iqn.2026-11.test:a", .isid = { 1 }, .tpgt = 1 },
		{ .initiator_name = "iqn.2026-11.test:a", .isid = { 1 }, .tpgt = 2 },
		{ .initiator_name = "iqn.2026-11.test:a", .isid = { 2 }, .tpgt = 1 },
		{ .initiator_name = "iqn.2026-11.test:a", .isid = { 2 }, .tpgt = 2 },
	},
	{	/* targets in one portal group */
		{ .initiator_name = "iqn.2026-11.test:a", .target_name = "iqn.t:1", .tpgt = 1 },
		{ .initiator_name = "iqn.2026-11.test:a", .target_name = "iqn.t:2", .tpgt = 1 },
		{ .initiator_name = "iqn.2026-11.test:b", .target_name = "iqn.t:1", .tpgt = 1 },
		{ .initiator_name = "iqn.2026-11.test:b", .target_name = "iqn.t:2", .tpgt = 1 },
	},
	{	/* targets in a portal group each */
		{ .initiator_name = "iqn.2026-11.test:a", .target_name = "iqn.t:1", .tpgt = 1 },
		{ .initiator_name = "iqn.2026-11.test:a", .target_name = "iqn.t:2", .tpgt = 2 },
		{ .initiator_name = "iqn.2026-11.test:b", .target_name = "iqn.t:1", .tpgt = 1 },
		{ .initiator_name = "iqn.2026-11.test:b", .target_name = "iqn.t:2", .tpgt = 2 },
	},
};
static const struct nexus *nexuses;

struct command {
	enum cdb_id action;
	unsigned by, other;		/* slots */
	uint64_t key, action_key;
	uint8_t	 type, scope;
	bool	 aptpl, all_ports, unreg, spec_i_pt;
};

/* The second model ---------------------------------------------------------- */

enum verdict { GOOD, CONFLICT, BAD_CDB, BAD_LIST, BAD_RELEASE };

#define NOBODY	SLOTS
#define EVERYBODY (SLOTS + 1)

struct world {
	uint64_t key[SLOTS];		/* 0: not registered */
	unsigned holder;		/* slot, NOBODY, or EVERYBODY who is registered */
	uint8_t	 type;
	unsigned reserver;		/* by RESERVE(6): slot or NOBODY */
	uint32_t generation;
	bool	 aptpl;
};

struct effect {
	bool gone[SLOTS];
	uint32_t heard[SLOTS];
};

static bool excludes_readers(uint8_t type)
{
	return type == 3 || type == 6 || type == 8;
}

static bool registrants_have_access(uint8_t type)
{
	return type >= 5;
}

static bool is_type(uint8_t type)
{
	return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

static bool has_reservation(const struct world *w, unsigned slot)
{
	return w->key[slot] && (w->holder == slot || w->holder == EVERYBODY);
}

static unsigned registered(const struct world *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		n += w->key[i] != 0;
	return n;
}

static unsigned sibling(unsigned slot)	/* the same initiator by the other target port */
{
	return slot ^ 1;
}

static bool is_registering(enum cdb_id action)
{
	return action == CDB_PR_OUT_REGISTER || action == CDB_PR_OUT_REGISTER_AND_IGNORE;
}

static enum verdict judge_registering(const struct world *w, const struct command *c)
{
	bool checks = c->action == CDB_PR_OUT_REGISTER;
	unsigned twin = sibling(c->by), other = (c->other & 2) | (c->by & 1);

	if (checks && w->key[c->by] != c->key)
		return CONFLICT;
	if (checks && c->all_ports && w->key[twin] && w->key[twin] != c->key)
		return CONFLICT;
	if (!c->spec_i_pt)
		return GOOD;
	if (w->key[c->by])
		return BAD_LIST;
	if (!c->action_key)
		return GOOD;
	if (w->key[other] || (c->all_ports && w->key[sibling(other)]))
		return BAD_LIST;
	return GOOD;
}

static enum verdict judge_preempting(const struct world *w, const struct command *c)
{
	bool found = false, takes_over;

	if (c->action_key == 0 && w->holder != EVERYBODY)
		return BAD_LIST;
	takes_over = c->action_key == 0 ||
		     (w->holder < SLOTS && w->key[w->holder] == c->action_key);
	if (takes_over)
		return c->scope == 0 && is_type(c->type) ? GOOD : BAD_CDB;
	for (unsigned i = 0; i < SLOTS; i++)
		found |= w->key[i] == c->action_key;
	return found ? GOOD : CONFLICT;
}

static enum verdict judge_moving(const struct world *w, const struct command *c)
{
	if (w->holder == NOBODY)
		return BAD_CDB;
	if (w->holder != c->by)
		return CONFLICT;
	return c->action_key && c->other != c->by ? GOOD : BAD_LIST;
}

static enum verdict judge(const struct world *w, const struct command *c)
{
	if (w->reserver != NOBODY)
		return CONFLICT;
	if (is_registering(c->action))
		return judge_registering(w, c);
	if (c->action == CDB_PR_OUT_RESERVE && (c->scope || !is_type(c->type)))
		return BAD_CDB;
	if (!w->key[c->by] || w->key[c->by] != c->key)
		return CONFLICT;
	switch (c->action) {
	case CDB_PR_OUT_RESERVE:
		return w->holder == NOBODY || (has_reservation(w, c->by) && w->type == c->type) ?
		       GOOD : CONFLICT;
	case CDB_PR_OUT_RELEASE:
		return !has_reservation(w, c->by) || (w->type == c->type && !c->scope) ?
		       GOOD : BAD_RELEASE;
	case CDB_PR_OUT_CLEAR:
		return GOOD;
	case CDB_PR_OUT_REGISTER_AND_MOVE:
		return judge_moving(w, c);
	default:
		return judge_preempting(w, c);
	}
}

static void shout(const struct world *w, struct effect *e, unsigned by, uint32_t what)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (i != by && w->key[i])
			e->heard[i] = what;
}

static void drop_reservation(struct world *w)
{
	w->holder = NOBODY;
	w->type = 0;
}

static void expel(struct world *w, struct effect *e, unsigned slot, unsigned by, uint32_t what)
{
	w->key[slot] = 0;
	e->gone[slot] = true;
	if (slot != by)
		e->heard[slot] = what;
}

/* Also a nexus that the same command takes along by the other port hears nothing. */
static void leave(struct world *w, struct effect *e, unsigned slot)
{
	uint8_t type = w->type;
	bool held = w->holder == slot;

	if (!w->key[slot])
		return;
	w->key[slot] = 0;
	e->gone[slot] = true;
	e->heard[slot] = SENSE_NONE;
	if (held || (w->holder == EVERYBODY && !registered(w))) {
		drop_reservation(w);
		if (held && (type == 5 || type == 6))
			for (unsigned i = 0; i < SLOTS; i++)
				if (w->key[i])
					e->heard[i] = SENSE_RESERVATIONS_RELEASED;
	}
}

static void enrol(struct world *w, struct effect *e, const struct command *c)
{
	unsigned other = (c->other & 2) | (c->by & 1);
	bool whole[SLOTS] = { false };

	whole[c->by] = true;
	whole[sibling(c->by)] = c->all_ports;
	if (c->spec_i_pt && c->action_key) {
		whole[other] = true;
		whole[sibling(other)] |= c->all_ports;
	}
	if (c->action_key) {
		for (unsigned i = 0; i < SLOTS; i++)
			if (whole[i])
				w->key[i] = c->action_key;
	} else {
		leave(w, e, c->by);
		if (c->all_ports)
			leave(w, e, sibling(c->by));
		e->heard[c->by] = SENSE_NONE;
	}
	w->aptpl = c->aptpl;
}

static void preempt(struct world *w, struct effect *e, const struct command *c)
{
	bool takes_over = !c->action_key ||
			  (w->holder < SLOTS && w->key[w->holder] == c->action_key);
	uint8_t type = w->type;

	for (unsigned i = 0; i < SLOTS; i++) {
		bool named = w->key[i] && (!c->action_key || w->key[i] == c->action_key);

		if (named && !(takes_over && i == c->by))
			expel(w, e, i, c->by, SENSE_REGISTRATIONS_PREEMPTED);
	}
	if (takes_over) {
		w->type = c->type;
		w->holder = c->type >= 7 ? EVERYBODY : c->by;
		if (c->type != type)
			shout(w, e, c->by, SENSE_RESERVATIONS_RELEASED);
	} else if (!registered(w)) {
		drop_reservation(w);
	}
}

static void move(struct world *w, struct effect *e, const struct command *c)
{
	w->key[c->other] = c->action_key;
	w->holder = c->other;
	w->aptpl = c->aptpl;
	if (c->unreg) {
		w->key[c->by] = 0;
		e->gone[c->by] = true;
	}
}

static void carry_out(struct world *w, struct effect *e, const struct command *c)
{
	uint8_t type = w->type;

	w->generation += c->action != CDB_PR_OUT_RESERVE && c->action != CDB_PR_OUT_RELEASE;
	if (is_registering(c->action)) {
		enrol(w, e, c);
	} else if (c->action == CDB_PR_OUT_RESERVE) {
		w->type = c->type;
		w->holder = c->type >= 7 ? EVERYBODY : w->holder == NOBODY ? c->by : w->holder;
	} else if (c->action == CDB_PR_OUT_RELEASE) {
		if (!has_reservation(w, c->by))
			return;
		drop_reservation(w);
		if (type >= 5)
			shout(w, e, c->by, SENSE_RESERVATIONS_RELEASED);
	} else if (c->action == CDB_PR_OUT_CLEAR) {
		drop_reservation(w);
		for (unsigned i = 0; i < SLOTS; i++)
			if (w->key[i])
				expel(w, e, i, c->by, SENSE_RESERVATIONS_PREEMPTED);
	} else if (c->action == CDB_PR_OUT_REGISTER_AND_MOVE) {
		move(w, e, c);
	} else {
		preempt(w, e, c);
	}
}

static enum reach access_in(const struct world *w, unsigned slot)
{
	if (w->reserver != NOBODY)
		return w->reserver == slot ? ACCESS_WRITE : ACCESS_ALWAYS;
	if (w->holder == NOBODY || has_reservation(w, slot) ||
	    (w->key[slot] && registrants_have_access(w->type)))
		return ACCESS_WRITE;
	return excludes_readers(w->type) ? ACCESS_READY : ACCESS_READ;
}

/* SPC-3 §5.6.3 */
static enum verdict reserve_6(struct world *w, unsigned slot, bool release)
{
	if (registered(w))
		return w->holder != NOBODY && access_in(w, slot) == ACCESS_WRITE ? GOOD : CONFLICT;
	if (release && w->reserver == slot)
		w->reserver = NOBODY;
	else if (!release && w->reserver != NOBODY && w->reserver != slot)
		return CONFLICT;
	else if (!release)
		w->reserver = slot;
	return GOOD;
}

/* Both of them -------------------------------------------------------------- */

static struct reservations states[2];
static struct reservations *now = &states[0], *made = &states[1];
static struct reservation_outcome outcome;
static struct world world;

static enum verdict verdict_of(enum scsi_status status)
{
	if (status == STATUS_GOOD)
		return GOOD;
	if (status == STATUS_RESERVATION_CONFLICT)
		return CONFLICT;
	CU_ASSERT_EQUAL(status, STATUS_CHECK_CONDITION);
	if (outcome.reason == SENSE_INVALID_FIELD_IN_CDB)
		return BAD_CDB;
	if (outcome.reason == SENSE_INVALID_RELEASE)
		return BAD_RELEASE;
	CU_ASSERT_EQUAL(outcome.reason, SENSE_INVALID_FIELD_IN_PARAMETERS);
	return BAD_LIST;
}

static struct registrant registrant_of(unsigned slot)
{
	struct registrant r = { .port = lu_port_of(&nexuses[slot]) };

	memcpy(r.name, nexuses[slot].initiator_name, sizeof(r.name));
	memcpy(r.isid, nexuses[slot].isid, sizeof(r.isid));
	return r;
}

static enum verdict issue(const struct command *c)
{
	const struct registrant other = registrant_of(c->other);
	const struct lu_port ports[] = {
		lu_port_of(&nexuses[c->by]), lu_port_of(&nexuses[sibling(c->by)])
	};
	const struct reservation_request request = {
		.action = c->action, .nexus = &nexuses[c->by], .scope = c->scope, .type = c->type,
		.key = c->key, .action_key = c->action_key, .aptpl = c->aptpl, .unreg = c->unreg,
		.ports = ports, .port_count = c->all_ports ? 2 : 1, .spec_i_pt = c->spec_i_pt,
		.others = &other, .other_count = 1,
	};
	struct reservations *was = now;

	reservation_out(now, made, &request, &outcome);
	if (outcome.status == STATUS_GOOD) {
		now = made;
		made = was;
	}
	return verdict_of(outcome.status);
}

static bool same_state(void)
{
	bool same = now->type == world.type && now->generation == world.generation &&
		    now->aptpl == world.aptpl && now->count == registered(&world) &&
		    now->reserver == (world.reserver == NOBODY ? NULL : &nexuses[world.reserver]);

	for (unsigned i = 0; i < SLOTS; i++) {
		const struct registration *r = reservation_find(now, &nexuses[i]);

		same &= (r ? r->key : 0) == world.key[i];
		same &= (r && now->type && reservation_holds(now, r)) ==
			(world.holder != NOBODY && has_reservation(&world, i));
		same &= reservation_access(now, &nexuses[i]) == access_in(&world, i);
	}
	return same;
}

/* Of a command that was good: "made" is the state before it. */
static bool same_effect(const struct effect *e)
{
	bool same = true;

	for (unsigned i = 0; i < SLOTS; i++) {
		const struct registration *r = reservation_find(made, &nexuses[i]);
		const struct reservation_fate *fate =
			r ? &outcome.fate[r - made->registrations] : NULL;

		same &= (fate && fate->gone) == e->gone[i];
		same &= (fate ? fate->attention : SENSE_NONE) == e->heard[i];
	}
	return same;
}

static uint32_t seed = 20261124;

static unsigned any(unsigned below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 12) % below;
}

static void random_command(struct command *c)
{
	static const enum cdb_id actions[] = {
		CDB_PR_OUT_REGISTER, CDB_PR_OUT_REGISTER, CDB_PR_OUT_REGISTER_AND_IGNORE,
		CDB_PR_OUT_RESERVE, CDB_PR_OUT_RESERVE, CDB_PR_OUT_RESERVE, CDB_PR_OUT_RELEASE,
		CDB_PR_OUT_PREEMPT, CDB_PR_OUT_PREEMPT_AND_ABORT, CDB_PR_OUT_REGISTER_AND_MOVE,
		CDB_PR_OUT_CLEAR,
	};
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	unsigned action = any(any(8) ? 10 : 11);	/* CLEAR is rare */

	*c = (struct command){
		.action = actions[action], .by = any(SLOTS), .other = any(SLOTS),
		.key = any(4), .action_key = any(4), .aptpl = any(2), .all_ports = !any(4),
		.unreg = any(2), .scope = !any(20),
		.type = any(10) ? types[any(6)] : (uint8_t)any(16),
	};
	/* Mostly who knows its own key, and often the type that there is. */
	if (any(5))
		c->key = world.key[c->by];
	if (world.type && any(2))
		c->type = world.type;
	if (c->action == CDB_PR_OUT_REGISTER && !any(4)) {
		c->spec_i_pt = true;
		c->other = (c->by ^ 2);
	}
}

static bool step_reserve_6(void)
{
	unsigned slot = any(SLOTS);
	bool release = any(2);
	enum verdict expected = reserve_6(&world, slot, release);
	enum scsi_status status = release ? reservation_release(now, &nexuses[slot])
					  : reservation_reserve(now, &nexuses[slot]);

	return verdict_of(status) == expected && same_state();
}

static bool step(struct command *c)
{
	struct effect effect = { .gone = { false } };
	enum verdict expected;

	random_command(c);
	expected = judge(&world, c);
	if (issue(c) != expected)
		return false;
	if (expected != GOOD)
		return same_state();
	carry_out(&world, &effect, c);
	return same_state() && same_effect(&effect);
}

static void run(const struct nexus *bed, unsigned steps, unsigned seen[5])
{
	nexuses = bed;
	memset(states, 0, sizeof(states));
	world = (struct world){ .holder = NOBODY, .reserver = NOBODY };
	for (unsigned i = 0; i < steps; i++) {
		struct command c = { .action = CDB_RESERVE_6 };
		bool agree = any(12) ? step(&c) : step_reserve_6();

		seen[c.action == CDB_RESERVE_6 ? 0 : verdict_of(outcome.status)]++;
		if (agree)
			continue;
		printf("step %u: %s by %u, key %u, action key %u, type %u, scope %u, other %u%s%s%s\n",
		       i, cdb_row(c.action)->name, c.by, (unsigned)c.key, (unsigned)c.action_key,
		       c.type, c.scope, c.other, c.all_ports ? ", all ports" : "",
		       c.spec_i_pt ? ", specified" : "", c.unreg ? ", unregistering" : "");
		CU_FAIL_FATAL("the models differ");
	}
}

static void both_models_agree_on_random_commands(void)
{
	unsigned steps = getenv("SOAK") ? 100000 : 5000, seen[5] = { 0 };

	for (unsigned i = 0; i < BEDS; i++)
		run(beds[i], steps, seen);
	/* It was worth the while: every kind of end was met often. */
	for (unsigned i = 0; i < 5; i++)
		CU_ASSERT(seen[i] > steps * BEDS / 200);
}

static const struct unit_test tests[] = {
	UNIT_TEST(both_models_agree_on_random_commands),
};

UNIT_MAIN("reservation model", tests)
