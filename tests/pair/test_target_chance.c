/*
 * Other access rules, sessions that come, go and work, and units that end tasks, all at once
 * and by chance. OPERATIONS: so many steps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keys.h"
#include "reload_bed.h"
#include "still_clock.h"
#include "unit.h"

enum { INITIATORS = 4 };

#define STEP_SECONDS	0.0001	/* that a step takes: a tenth of what who has to leave has for it */

static struct peer initiators[INITIATORS];
static bool is_in[INITIATORS];
static unsigned seed, changes;

static unsigned chance(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

static void log_in_by_chance(unsigned i)
{
	char text[300];
	struct key_text out = { .text = text, .room = sizeof(text) };
	struct peer *p = &initiators[i];
	char name[] = "iqn.2026-11.test:0";
	struct bhs b;

	name[sizeof(name) - 2] = (char)('0' + i);
	peer_connect(p, &rig, chance(RIG_WORKERS));
	keys_put(&out, "InitiatorName", name);
	if (chance(4))
		keys_put(&out, "TargetName", RIG_TARGET);
	else
		keys_put(&out, "SessionType", "Discovery");
	b = peer_login_request(p, (uint32_t)out.len);
	peer_send(p, &b, text);
	is_in[i] = true;
}

static void log_out_by_chance(unsigned i)
{
	struct bhs b = { .op = OP_LOGOUT_REQUEST, .final = true, .itt = 8, .immediate = true };

	if (chance(2))
		peer_send(&initiators[i], &b, NULL);
	close(initiators[i].fd);
	is_in[i] = false;
}

static void use_by_chance(unsigned i)
{
	struct bhs b = chance(3) ? peer_read(chance(1000), 512, 1)
				 : peer_write(chance(1000), 1024, 2, chance(2) * 512);

	b.lun = lun_encode((uint16_t)chance(4));
	peer_send_numbered(&initiators[i], &b, rig_pattern());
}

static void reset_by_chance(unsigned i)
{
	struct bhs b = { .op = OP_TMF_REQUEST, .immediate = true, .itt = 7,
			 .function = chance(2) ? TMF_LU_RESET : TMF_ABORT_TASK_SET,
			 .lun = lun_encode((uint16_t)chance(4)) };

	for (unsigned w = 0; w < RIG_WORKERS; w++)
		if (rig.lu[0][w].tmf || rig.lu[1][w].tmf)
			return;		/* one at a time is all that the rig's units do */
	peer_send(&initiators[i], &b, NULL);
}

static void end_by_chance(struct rig_lu *lu)
{
	static const uint8_t statuses[] = { STATUS_GOOD, STATUS_TASK_ABORTED, LU_LOST };

	if (lu->tmf && chance(2))
		rig_end_tmf(&rig, lu, TMF_COMPLETE);
	else if (lu->count)
		rig_end(&rig, lu, chance(lu->count), statuses[chance(3)], 0, 0);
}

static void change_by_chance(void)
{
	struct access_map *own;
	unsigned turn = chance(RIG_LUNS);

	for (unsigned w = 0; w < RIG_WORKERS; w++)
		if (rig.service[w].following)
			return;
	changes++;
	begin_change();
	for (unsigned i = 0, lun = 0; i < RIG_LUNS; i++)
		if (chance(3))
			map(lun++, (i + turn) % RIG_LUNS, chance(2));
	if (chance(2)) {
		OK(access_add_map(target, NULL, "iqn.2026-11.test:1", &own));
		OK(access_add_lun(own, chance(4), &rig.export[chance(2)], chance(2)));
	}
	if (!chance(4))
		OK(access_add_initiator(everybody, "iqn.2026-11.test:2"));
	target->offline = !chance(8);
	change();
}

static void hear(unsigned i)
{
	static uint8_t bytes[1 << 16];
	ssize_t n;

	do
		n = recv(initiators[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0);
	if (n == 0 || errno != EAGAIN) {
		close(initiators[i].fd);
		is_in[i] = false;
	}
}

static void a_chance_step(void)
{
	unsigned i = chance(INITIATORS), what = chance(16);

	if (what == 0)
		change_by_chance();
	else if (what < 6)
		end_by_chance(&rig.lu[chance(2)][chance(RIG_WORKERS)]);
	else if (!is_in[i])
		log_in_by_chance(i);
	else if (what == 6)
		log_out_by_chance(i);
	else if (what == 7)
		reset_by_chance(i);
	else
		use_by_chance(i);
	clock_pass(STEP_SECONDS);
	rig_turn(&rig);
	for (i = 0; i < INITIATORS; i++)
		if (is_in[i])
			hear(i);
}

static bool units_are_idle(void)
{
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		for (unsigned i = 0; i < 2; i++)
			if (rig.lu[i][w].count || rig.lu[i][w].tmf)
				return false;
	return true;
}

/* Whatever comes together, nobody is left with what is gone, and nothing is left over. */
static void chance_leaves_nothing_behind(void)
{
	const char *wish = getenv("OPERATIONS");
	unsigned steps = wish ? (unsigned)strtoul(wish, NULL, 10) : 20000;

	seed = 1;
	begin();
	rig.conf.logout_timeout = 0.001;
	for (unsigned i = 0; i < steps; i++)
		a_chance_step();
	for (unsigned i = 0; i < INITIATORS; i++)
		if (is_in[i])
			close(initiators[i].fd);
	memset(is_in, 0, sizeof(is_in));
	for (int i = 0; i < 100 || !units_are_idle(); i++) {
		for (unsigned w = 0; w < RIG_WORKERS; w++)
			for (unsigned l = 0; l < 2; l++)
				end_by_chance(&rig.lu[l][w]);
		clock_pass(STEP_SECONDS);
		rig_turn(&rig);
	}
	for (unsigned w = 0; w < RIG_WORKERS; w++) {
		CU_ASSERT(!rig.service[w].following);
		CU_ASSERT(rig.lu[0][w].submitted > steps / 400 && rig.lu[0][w].attached > steps / 400);
	}
	CU_ASSERT(changes > steps / 200);
	CU_ASSERT(old_rules_are_forgotten());
	finish();
}

static const struct unit_test tests[] = {
	UNIT_TEST(chance_leaves_nothing_behind),
};

UNIT_MAIN("target_chance", tests)
