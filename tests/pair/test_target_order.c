/*
 * A session of several connections, by chance: commands overtake each other and come twice, in
 * their midst connections break, join, are replaced and log out, and functions end tasks. What is
 * begun is begun in the order of CmdSN, and whatever came together, the session can be used
 * afterwards. OPERATIONS: so many steps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "target_peer.h"
#include "unit.h"

#define NAMES	"InitiatorName=" RIG_INITIATOR "\0TargetName=" RIG_TARGET
#define LEADING	NAMES "\0MaxConnections=4"

enum { CONNECTIONS = 4, DEPTH = 3, TMF_TAG = 1, LOGOUT_TAG = 2, TEST_TAG = 3 };

static struct rig rig;
static struct rig_lu *const lu = &rig.lu[0][0];
static struct peer peers[CONNECTIONS];
static bool is_in[CONNECTIONS], is_up[CONNECTIONS];	/* connected; in full feature phase */
static unsigned seed;

static uint16_t tsih;
static uint32_t next_sn, max_sn;
static uint32_t late[DEPTH];		/* CmdSNs that were given to commands and not sent */
static unsigned late_count;
static bool managing;			/* a function may be under way */
static int manager;			/* connection that waits for its answer, or -1 */
static bool tested;			/* the command of TEST_TAG is answered */

static unsigned chance(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

static struct peer *any_up(void)
{
	unsigned first = chance(CONNECTIONS);

	for (unsigned i = 0; i < CONNECTIONS; i++)
		if (is_up[(first + i) % CONNECTIONS])
			return &peers[(first + i) % CONNECTIONS];
	return NULL;
}

static void ask_to_join(unsigned i, const char *text, uint32_t len, bool transit)
{
	struct bhs b = peer_login_request(&peers[i], len);

	b.tsih = tsih;
	b.cid = (uint16_t)i;
	b.final = transit;
	b.nsg = transit ? b.nsg : 0;
	peers[i].cmd_sn = next_sn;
	peer_send(&peers[i], &b, text);
}

static void take_login(unsigned i)
{
	peers[i].stat_sn++;
	is_up[i] = peers[i].got.status_class == 0 && peers[i].got.final;
	if (peers[i].got.status_class == 0 && !peers[i].got.final)
		ask_to_join(i, NULL, 0, true);
}

static void take(unsigned i)
{
	struct peer *p = &peers[i];
	struct bhs pong = { .op = OP_NOP_OUT, .immediate = true, .itt = ISCSI_NO_TAG };

	if (sn_lt(max_sn, p->got.max_cmd_sn))
		max_sn = p->got.max_cmd_sn;
	if (p->got.op == OP_LOGIN_RESPONSE) {
		take_login(i);
		return;
	}
	if (p->got.op == OP_NOP_IN && p->got.ttt != ISCSI_NO_TAG) {
		pong.ttt = p->got.ttt;
		p->cmd_sn = next_sn;
		peer_send(p, &pong, NULL);
	}
	if (p->got.op == OP_TMF_RESPONSE) {
		managing = false;
		manager = -1;
	}
	if (p->got.op == OP_SCSI_RESPONSE && p->got.itt == TEST_TAG)
		tested = true;
	if (p->got.op != OP_NOP_IN && (p->got.op != OP_DATA_IN || p->got.has_status))
		p->stat_sn++;
}

static void leave(unsigned i)
{
	close(peers[i].fd);
	is_in[i] = is_up[i] = false;
	if (manager == (int)i)
		manager = -1;
}

static void hear(unsigned i)
{
	uint8_t byte;
	ssize_t n;

	while (is_in[i]) {
		errno = 0;
		n = recv(peers[i].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n == 1 && peer_get(&peers[i]))
			take(i);
		else
			leave(i);
	}
}

static void turn(void)
{
	rig_turn(&rig);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		hear(i);
	for (unsigned i = 1; i < lu->count; i++)
		CU_ASSERT(lu->task[i - 1]->cdb.lba < lu->task[i]->cdb.lba);
}

static struct bhs command(uint32_t sn, bool write)
{
	struct bhs b = write ? peer_write(sn, 512, 1, 512) : peer_read(sn, 512, 1);
	const struct cdb cdb = { .id = write ? CDB_WRITE_16 : CDB_READ_16, .lba = sn, .blocks = 1 };

	cdb_encode(&cdb, b.cdb);
	return b;
}

static void send_by(struct peer *p, uint32_t sn)
{
	struct bhs b = command(sn, false);

	p->cmd_sn = sn;
	peer_send(p, &b, NULL);
}

static void command_by_chance(void)
{
	struct peer *p = any_up();

	if (!p || !sn_le(next_sn, max_sn))
		return;
	if (late_count < DEPTH && !chance(3))
		late[late_count++] = next_sn;
	else
		send_by(p, next_sn);
	next_sn++;
}

static void send_late(void)
{
	struct peer *p = any_up();
	unsigned i;

	if (!p || !late_count)
		return;
	i = chance(late_count);
	send_by(p, late[i]);
	late[i] = late[--late_count];
}

/* The first half of a write. Another connection says the same again, before the second half, or the
 * end of the connection. */
static void halve_by_chance(void)
{
	struct peer *p = any_up(), *other = any_up();
	uint8_t wire[BHS_LEN];
	struct bhs b;

	if (!p || p == other || !sn_le(next_sn, max_sn))
		return;
	b = command(next_sn, true);
	b.itt |= 0x1000000;
	b.cmd_sn = next_sn;
	b.exp_stat_sn = p->stat_sn;
	bhs_encode(&b, wire);
	peer_send_raw(p, wire, sizeof(wire));
	peer_send_raw(p, rig_pattern(), 256);
	send_by(other, next_sn++);
	if (chance(2))
		peer_send_raw(p, rig_pattern(), 256);
	else
		leave((unsigned)(p - peers));
}

/* A free place in the session, or one that somebody has. */
static void join_by_chance(void)
{
	unsigned i = chance(CONNECTIONS);

	if (!any_up() || (is_in[i] && (!is_up[i] || chance(2))))
		return;
	if (is_in[i])
		leave(i);
	peer_connect(&peers[i], &rig, chance(RIG_WORKERS));
	is_in[i] = true;
	ask_to_join(i, NAMES, sizeof(NAMES), chance(2));
}

static void log_out_by_chance(void)
{
	struct bhs b = { .op = OP_LOGOUT_REQUEST, .immediate = true, .final = true, .reason = 1,
			 .itt = LOGOUT_TAG, .cid = (uint16_t)chance(CONNECTIONS) };
	struct peer *p = any_up();

	if (!p)
		return;
	p->cmd_sn = next_sn;
	is_up[b.cid] = false;	/* either it goes, or it is still on its way in */
	peer_send(p, &b, NULL);
}

static void manage_by_chance(void)
{
	static const uint8_t functions[] = { TMF_ABORT_TASK, TMF_ABORT_TASK_SET, TMF_LU_RESET };
	struct bhs b = { .op = OP_TMF_REQUEST, .immediate = true, .itt = TMF_TAG,
			 .function = functions[chance(3)] };
	struct peer *p = any_up();

	if (!p || managing || lu->tmf)
		return;
	b.ref_cmd_sn = b.ref_task_tag = next_sn - 1 - chance(DEPTH);
	if (b.function != TMF_ABORT_TASK)
		b.ref_task_tag = ISCSI_NO_TAG;
	managing = true;
	manager = (int)(p - peers);
	p->cmd_sn = next_sn;
	peer_send(p, &b, NULL);
}

static void end_by_chance(void)
{
	if (lu->tmf && chance(2))
		rig_end_tmf(&rig, lu, TMF_COMPLETE);
	else if (lu->count)
		rig_end(&rig, lu, chance(lu->count), STATUS_GOOD, 0, 0);
}

/* What was answered last is not read any more. */
static void break_by_chance(void)
{
	unsigned i = chance(CONNECTIONS);

	if (!is_up[i])
		return;
	end_by_chance();
	end_by_chance();
	leave(i);
}

static void a_chance_step(void)
{
	unsigned what = chance(32);

	if (what < 12)
		command_by_chance();
	else if (what < 18)
		send_late();
	else if (what < 26)
		end_by_chance();
	else if (what < 28)
		halve_by_chance();
	else if (what < 30)
		join_by_chance();
	else if (what == 30)
		manage_by_chance();
	else if (chance(2))
		break_by_chance();
	else
		log_out_by_chance();
	turn();
}

static void lead(void)
{
	struct bhs b;

	for (int i = 0; i < 100 || lu->count || lu->tmf; i++) {
		end_by_chance();
		turn();
	}
	peer_connect(&peers[0], &rig, 0);
	b = peer_login_request(&peers[0], sizeof(LEADING));
	b.cid = 0;
	peer_send(&peers[0], &b, LEADING);
	CU_ASSERT_FATAL(peer_get(&peers[0]));
	CU_ASSERT_EQUAL_FATAL(peers[0].got.status_class, 0);
	peers[0].stat_sn++;
	tsih = peers[0].got.tsih;
	next_sn = peers[0].cmd_sn;
	max_sn = peers[0].got.max_cmd_sn;
	is_in[0] = is_up[0] = true;
	late_count = 0;
	managing = false;
	manager = -1;
}

/* All that is due comes, and all that is under way ends. */
static void calm_down(void)
{
	while (late_count && any_up()) {
		send_late();
		turn();
	}
	for (int i = 0; i < 30 || lu->count || lu->tmf; i++) {
		end_by_chance();
		turn();
	}
}

/* Each connection that is there can be used. */
static void test_session(void)
{
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		struct bhs b = command(next_sn, false);

		if (!is_up[i])
			continue;
		CU_ASSERT_FATAL(sn_le(next_sn, max_sn));
		b.itt = TEST_TAG;
		peers[i].cmd_sn = next_sn++;
		tested = false;
		peer_send(&peers[i], &b, NULL);
		calm_down();
		CU_ASSERT_FATAL(tested);
	}
	CU_ASSERT_EQUAL(manager, -1);
	managing = false;
}

static void a_session_of_many_connections_stays_usable(void)
{
	const char *wish = getenv("OPERATIONS");
	unsigned steps = wish ? (unsigned)strtoul(wish, NULL, 10) : 20000, sessions = 0;

	seed = 1;
	rig_init(&rig);
	rig.conf.nop_interval = 0;		/* which would hide what nobody is told */
	rig.conf.queue_depth = DEPTH;
	rig_start(&rig);
	for (unsigned i = 0; i < steps; i++) {
		if (!any_up()) {
			for (unsigned c = 0; c < CONNECTIONS; c++)
				if (is_in[c])
					leave(c);
			lead();
			sessions++;
		}
		a_chance_step();
		if (i % 20 == 19) {
			calm_down();
			test_session();
		}
	}
	CU_ASSERT(sessions > steps / 1000 && lu->submitted > steps / 8);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		if (is_in[i])
			leave(i);
	calm_down();
	rig_stop(&rig);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_session_of_many_connections_stays_usable),
};

UNIT_MAIN("target_order", tests)
