/*
 * Sessions of several connections (RFC 7143 §4.2.2, §4.2.5.1, §6.3.1, §6.3.4, §11.14):
 * one CmdSN space, each command's data and status on its own connection, and what becomes
 * of the rest when one is lost.
 */
#include <string.h>

#include "target_peer.h"
#include "unit.h"

#define NAMES	"InitiatorName=" RIG_INITIATOR "\0TargetName=" RIG_TARGET
#define LEADING	NAMES "\0InitialR2T=No\0MaxConnections=4"

static struct rig rig;
static struct peer first, second, third;
static struct rig_lu *const lu = &rig.lu[0][0];
static uint16_t tsih;

/* What the whole session has sent; the peers are told. */
static uint32_t cmd_sn;

static void number(uint32_t next)
{
	cmd_sn = first.cmd_sn = second.cmd_sn = third.cmd_sn = next;
}

static struct bhs join_request(struct peer *p, uint16_t cid, uint32_t len)
{
	struct bhs b = peer_login_request(p, len);

	b.tsih = tsih;
	b.cid = cid;
	return b;
}

static uint16_t ask_to_join(struct peer *p, const struct bhs *b, const char *text)
{
	struct bhs copy = *b;

	peer_send(p, &copy, text);
	CU_ASSERT_FATAL(peer_get(p));
	CU_ASSERT_EQUAL_FATAL(p->got.op, OP_LOGIN_RESPONSE);
	p->stat_sn++;
	return (uint16_t)(p->got.status_class << 8 | p->got.status_detail);
}

static void connect_to(struct peer *p, unsigned worker)
{
	peer_connect(p, &rig, worker);
	p->cmd_sn = cmd_sn;
	p->max_cmd_sn = first.max_cmd_sn;
}

static void join(struct peer *p, unsigned worker, uint16_t cid)
{
	struct bhs b = join_request(p, cid, sizeof(NAMES));

	connect_to(p, worker);
	CU_ASSERT_EQUAL_FATAL(ask_to_join(p, &b, NAMES), 0);
	CU_ASSERT_EQUAL(p->got.tsih, tsih);
	CU_ASSERT(p->got.final && p->got.nsg == 3);
	CU_ASSERT_EQUAL(lu->attached, 1);
}

static void lead(const char *text, uint32_t len)
{
	rig_init(&rig);
	rig_start(&rig);
	memset(&second, 0, sizeof(second));
	memset(&third, 0, sizeof(third));
	first.isid = second.isid = third.isid = UINT64_C(0x800000010000);
	peer_connect(&first, &rig, 0);
	peer_log_in_with(&first, text, len);
	tsih = first.got.tsih;
	number(first.cmd_sn);
}

/* A session on worker 0 with a second connection, which came to that worker or another. */
static void begin(unsigned worker)
{
	lead(TEXT(LEADING));
	second.isid = first.isid;
	join(&second, worker, 2);
}

static void finish(void)
{
	peer_disconnect(&second);
	peer_disconnect(&first);
	rig_stop(&rig);
}

static void send(struct peer *p, struct bhs b, const void *data)
{
	peer_send(p, &b, data);
	if (!b.immediate)
		number(cmd_sn + 1);
}

static void send_command(struct peer *p, uint32_t itt)
{
	send(p, (struct bhs){ .op = OP_SCSI_COMMAND, .final = true, .itt = itt,
			      .attribute = TASK_SIMPLE }, NULL);
}

static void expect_good(struct peer *p, uint32_t itt)
{
	struct bhs want = { .op = OP_SCSI_RESPONSE, .itt = itt };

	peer_expect(p, &want, NULL, 0);
}

/* ---- joining */

static void a_connection_joins_from_any_worker(void)
{
	for (unsigned worker = 0; worker < RIG_WORKERS; worker++) {
		begin(worker);
		CU_ASSERT(list_empty(&rig.service[1].connections));
		send_command(&first, 1);
		send_command(&second, 2);
		CU_ASSERT_EQUAL_FATAL(lu->count, 2);
		rig_end_good(&rig, lu, 1);
		expect_good(&second, 2);
		rig_end_good(&rig, lu, 0);
		expect_good(&first, 1);
		peer_expect_silence(&second);
		finish();
	}
}

/* Whatever has come with the first request moves along with it. */
static void what_is_received_at_once_moves_with_the_connection(void)
{
	struct bhs b;
	uint8_t wire[2 * BHS_LEN + 3 * sizeof(NAMES)] = { 0 };
	size_t len = BHS_LEN + sizeof(NAMES) + bhs_pad(sizeof(NAMES));

	begin(0);
	connect_to(&third, 1);
	b = join_request(&third, 3, sizeof(NAMES));
	b.csg = 0;
	b.nsg = 1;
	b.cmd_sn = third.cmd_sn;
	b.exp_stat_sn = third.stat_sn;
	bhs_encode(&b, wire);
	memcpy(wire + BHS_LEN, NAMES, sizeof(NAMES));
	b.csg = 1;
	b.nsg = 3;
	b.data_len = 0;
	bhs_encode(&b, wire + len);
	peer_send_raw(&third, wire, len + BHS_LEN);
	CU_ASSERT_FATAL(peer_get(&third));
	CU_ASSERT_EQUAL(third.got.nsg, 1);
	CU_ASSERT_FATAL(peer_get(&third));
	CU_ASSERT_EQUAL(third.got.nsg, 3);
	CU_ASSERT_EQUAL(third.got.tsih, tsih);
	peer_disconnect(&third);
	finish();
}

static void a_connection_may_die_on_its_way(void)
{
	struct bhs b;
	uint8_t wire[BHS_LEN];

	begin(0);
	connect_to(&third, 1);
	b = join_request(&third, 3, sizeof(NAMES));
	bhs_encode(&b, wire);
	peer_send_raw(&third, wire, sizeof(wire));
	peer_disconnect(&third);
	send_command(&first, 1);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 1);
	finish();
}

/* RFC 7143 §6.3.5 has the leading connection wait for the end of the old session, and no other. */
static void a_connection_joins_a_session_that_waits_for_the_tasks_of_an_old_one(void)
{
	struct bhs b;

	lead(TEXT(LEADING));
	send_command(&first, 1);
	peer_connect(&third, &rig, 0);
	peer_log_in_with(&third, TEXT(LEADING));
	tsih = third.got.tsih;
	peer_expect_end(&first);
	number(third.cmd_sn);
	first.max_cmd_sn = third.max_cmd_sn;
	connect_to(&second, 0);
	b = join_request(&second, 2, sizeof(NAMES));
	CU_ASSERT_EQUAL_FATAL(ask_to_join(&second, &b, NAMES), 0);
	send_command(&second, 2);
	peer_expect_silence(&second);
	rig_end_good(&rig, lu, 0);
	rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	rig_end_good(&rig, lu, 0);
	expect_good(&second, 2);
	peer_disconnect(&third);
	finish();
}

static void refuse(const struct bhs *b, const char *text, uint16_t status)
{
	connect_to(&third, 1);
	CU_ASSERT_EQUAL(ask_to_join(&third, b, text), status);
	peer_expect_end(&third);
	peer_disconnect(&third);
}

static void who_has_no_business_there_is_refused(void)
{
	static const char other[] = "InitiatorName=iqn.2026-11.test:other\0TargetName=" RIG_TARGET;
	static const char discovery[] = "InitiatorName=" RIG_INITIATOR "\0SessionType=Discovery";
	struct bhs b;

	begin(0);
	third.isid = first.isid;
	b = join_request(&first, 3, sizeof(NAMES));
	b.tsih++;
	refuse(&b, NAMES, 0x020a);
	b = join_request(&first, 3, sizeof(NAMES));
	b.isid++;
	refuse(&b, NAMES, 0x020a);
	b = join_request(&first, 3, sizeof(other));
	refuse(&b, other, 0x020a);
	b = join_request(&first, 3, sizeof(discovery));
	refuse(&b, discovery, 0x020a);
	send_command(&second, 1);
	rig_end_good(&rig, lu, 0);
	expect_good(&second, 1);
	finish();
}

static void there_are_no_more_than_agreed_on(void)
{
	struct bhs b;

	lead(TEXT(NAMES "\0InitialR2T=No\0MaxConnections=2"));
	join(&second, 1, 2);
	b = join_request(&first, 3, sizeof(NAMES));
	refuse(&b, NAMES, 0x0206);
	peer_disconnect(&second);
	join(&third, 1, 3);
	peer_disconnect(&third);
	finish();
}

static void what_holds_for_the_session_is_not_negotiated_again(void)
{
	static const char same[] = LEADING "\0MaxBurstLength=1048576\0HeaderDigest=None";
	static const char less[] = NAMES "\0MaxBurstLength=512\0FirstBurstLength=512";
	struct bhs b;

	lead(TEXT(LEADING "\0MaxBurstLength=1048576\0ImmediateData=No"));
	b = join_request(&first, 2, sizeof(less));
	refuse(&b, less, 0x0200);
	connect_to(&second, 1);
	b = join_request(&second, 2, sizeof(same));
	CU_ASSERT_EQUAL(ask_to_join(&second, &b, same), 0);
	CU_ASSERT_PTR_NOT_NULL(memmem(second.data, second.got.data_len, "MaxConnections=4", 16));
	/* ImmediateData=No holds, though it was not said here. */
	b = peer_write(1, 1024, 2, 512);
	send(&second, b, rig_pattern());
	CU_ASSERT_EQUAL(lu->count, 0);
	peer_expect_sense(&second, 1, SENSE_UNEXPECTED_UNSOLICITED_DATA, 1024, 0);
	finish();
}

/* ---- order and allegiance */

static void commands_are_executed_in_order_over_all_connections(void)
{
	uint32_t next;

	begin(1);
	next = cmd_sn;
	number(next + 1);
	send_command(&second, 2);
	number(next + 2);
	send_command(&first, 3);
	CU_ASSERT_EQUAL(lu->count, 0);
	number(next);
	send_command(&second, 1);
	CU_ASSERT_EQUAL_FATAL(lu->count, 3);
	number(next + 3);
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(&second, 1);
	expect_good(&second, 2);
	expect_good(&first, 3);
	finish();
}

static void data_belongs_to_the_connection_of_its_command(void)
{
	struct bhs r2t = { .op = OP_R2T, .itt = 1, .desired_len = 1024 };
	struct bhs want = { .op = OP_SCSI_RESPONSE, .itt = 1 };
	struct bhs data = { .op = OP_DATA_OUT, .final = true, .itt = 1, .data_len = 1024 };

	begin(1);
	send(&second, peer_write(1, 1024, 2, 0), NULL);
	peer_expect(&second, &r2t, NULL, 0);
	data.ttt = r2t.ttt;
	peer_send(&first, &data, rig_pattern());
	CU_ASSERT_EQUAL(lu->count, 0);
	peer_expect_silence(&first);
	peer_send(&second, &data, rig_pattern());
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	CU_ASSERT_EQUAL(memcmp(lu->task[0]->data, rig_pattern(), 1024), 0);
	rig_end_good(&rig, lu, 0);
	peer_expect(&second, &want, NULL, 0);
	finish();
}

static void begin_with_a_window_of_two(void)
{
	rig_init(&rig);
	rig.conf.queue_depth = 2;
	rig_start(&rig);
	peer_connect(&first, &rig, 0);
	peer_log_in_with(&first, TEXT(LEADING));
	tsih = first.got.tsih;
	number(first.cmd_sn);
	join(&second, 1, 2);
}

static void the_window_is_one(void)
{
	begin_with_a_window_of_two();
	send_command(&first, 1);
	send_command(&second, 2);
	send_command(&second, 3);
	CU_ASSERT_EQUAL(lu->count, 2);
	number(cmd_sn - 1);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 1);
	send_command(&second, 4);
	CU_ASSERT_EQUAL_FATAL(lu->count, 2);
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(&second, 2);
	expect_good(&second, 4);
	finish();
}

/* Two PDUs with one CmdSN, the second whole before the first: an initiator may have given up the
 * connection of that, and not closed it. */
static void a_CmdSN_is_taken_once(void)
{
	struct bhs b = peer_write(1, 512, 1, 512);
	uint8_t wire[BHS_LEN];

	begin(1);
	b.cmd_sn = cmd_sn;
	b.exp_stat_sn = second.stat_sn;
	bhs_encode(&b, wire);
	peer_send_raw(&second, wire, sizeof(wire));
	peer_send_raw(&second, rig_pattern(), 256);
	send_command(&first, 2);
	CU_ASSERT_EQUAL(lu->count, 1);
	peer_send_raw(&second, rig_pattern() + 256, 256);
	send_command(&first, 3);
	send_command(&first, 4);
	CU_ASSERT_EQUAL_FATAL(lu->count, 3);
	for (uint32_t itt = 2; itt <= 4; itt++) {
		rig_end_good(&rig, lu, 0);
		expect_good(&first, itt);
	}
	peer_expect_silence(&second);
	finish();
}

/* RFC 7143 §4.2.2.1: what a login says of the window is about the session, too. */
static void a_login_tells_the_window_of_the_session(void)
{
	static const char none[] = NAMES "\0AuthMethod=None";
	struct bhs b;
	uint32_t next;

	begin(0);
	next = cmd_sn;
	number(next + 1);
	send_command(&second, 2);
	connect_to(&third, 1);
	b = join_request(&third, 3, sizeof(none));
	b.csg = 0;
	b.nsg = 1;
	CU_ASSERT_EQUAL_FATAL(ask_to_join(&third, &b, none), 0);
	CU_ASSERT_EQUAL(third.got.exp_cmd_sn, next);
	CU_ASSERT_EQUAL(third.got.max_cmd_sn, first.max_cmd_sn);
	number(next);
	send_command(&first, 1);
	number(next + 2);
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 1);
	expect_good(&second, 2);
	peer_disconnect(&third);
	finish();
}

/* ---- loss */

static void the_session_outlives_a_connection(void)
{
	begin(1);
	send_command(&first, 1);
	send_command(&second, 2);
	peer_disconnect(&second);
	CU_ASSERT_EQUAL(lu->aborted, 1);
	CU_ASSERT_EQUAL(lu->detached, 0);
	rig_end(&rig, lu, 1, STATUS_TASK_ABORTED, 0, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 1);
	peer_expect_silence(&first);
	join(&second, 0, 2);
	send_command(&second, 3);
	rig_end_good(&rig, lu, 0);
	expect_good(&second, 3);
	/* The leading one is no better than others. */
	peer_disconnect(&first);
	send_command(&second, 4);
	rig_end_good(&rig, lu, 0);
	expect_good(&second, 4);
	CU_ASSERT_EQUAL(lu->detached, 0);
	peer_disconnect(&second);
	CU_ASSERT_EQUAL(lu->detached, 1);
	rig_stop(&rig);
}

/* A write that nobody hears of any more must not land on what is written after it. */
static void nothing_new_begins_before_the_tasks_of_a_lost_connection_have_ended(void)
{
	begin(1);
	send(&second, peer_write(1, 512, 1, 512), rig_pattern());
	CU_ASSERT_EQUAL(lu->count, 1);
	peer_disconnect(&second);
	send(&first, peer_write(2, 512, 1, 512), rig_pattern());
	peer_expect_silence(&first);
	CU_ASSERT_EQUAL(lu->count, 1);
	rig_end_good(&rig, lu, 0);
	rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 2);
	peer_disconnect(&first);
	rig_stop(&rig);
}

/* RFC 7143 §4.2.2.1: the commands have been received, so the window moves on over them. */
static void commands_ahead_of_their_turn_go_with_their_connection(void)
{
	uint32_t next;

	begin(1);
	next = cmd_sn;
	number(next + 1);
	send_command(&second, 2);
	number(next + 2);
	send_command(&first, 3);
	peer_disconnect(&second);
	number(next);
	send_command(&first, 1);
	CU_ASSERT_EQUAL_FATAL(lu->count, 2);
	number(next + 3);
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 1);
	expect_good(&first, 3);
	peer_disconnect(&first);
	rig_stop(&rig);
}

/* Nothing else would tell that it is open again: who may not send does not ask. */
static void a_window_that_opens_without_an_answer_is_told(void)
{
	struct bhs news = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG, .ttt = ISCSI_NO_TAG };

	begin_with_a_window_of_two();
	send_command(&second, 1);
	peer_expect_silence(&first);
	send_command(&second, 2);
	peer_disconnect(&second);
	peer_expect(&first, &news, NULL, 0);
	CU_ASSERT_EQUAL(first.got.max_cmd_sn, cmd_sn + 1);
	rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
	rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
	peer_expect_silence(&first);
	send_command(&first, 3);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 3);
	peer_disconnect(&first);
	rig_stop(&rig);
}

/* Its answers may have got lost with it. */
static void a_window_that_a_lost_connection_has_told_is_told_again(void)
{
	struct bhs news = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG, .ttt = ISCSI_NO_TAG };

	begin_with_a_window_of_two();
	send_command(&first, 1);
	send_command(&second, 2);
	rig_end_good(&rig, lu, 1);
	peer_expect_silence(&first);
	peer_disconnect(&second);
	peer_expect(&first, &news, NULL, 0);
	CU_ASSERT_EQUAL(first.got.max_cmd_sn, cmd_sn);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 1);
	peer_disconnect(&first);
	rig_stop(&rig);
}

static void a_login_with_the_same_cid_takes_the_place_of_the_old_connection(void)
{
	for (unsigned worker = 0; worker < RIG_WORKERS; worker++) {
		begin(0);
		send_command(&second, 1);
		send_command(&first, 2);
		join(&third, worker, 2);
		peer_expect_end(&second);
		CU_ASSERT_EQUAL(lu->aborted, 1);
		/* The same tag, for the task of that name is no more. */
		send_command(&third, 1);
		CU_ASSERT_EQUAL_FATAL(lu->count, 2);
		rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
		rig_turn(&rig);
		CU_ASSERT_EQUAL_FATAL(lu->count, 2);
		rig_end_good(&rig, lu, 0);
		expect_good(&first, 2);
		rig_end_good(&rig, lu, 0);
		expect_good(&third, 1);
		peer_disconnect(&third);
		finish();
	}
}

/* ... also of the only one (RFC 7143 §6.3.4), for which MaxConnections is no obstacle. */
static void the_only_connection_may_be_replaced(void)
{
	lead(TEXT(NAMES));
	join(&second, 1, 1);
	peer_expect_end(&first);
	send_command(&second, 1);
	rig_end_good(&rig, lu, 0);
	expect_good(&second, 1);
	CU_ASSERT_EQUAL(lu->detached, 0);
	finish();
}

static void a_new_session_ends_all_connections_of_the_old_one(void)
{
	begin(1);
	send_command(&first, 1);
	send_command(&second, 2);
	connect_to(&third, 1);
	peer_log_in(&third);
	peer_expect_end(&first);
	peer_expect_end(&second);
	CU_ASSERT_EQUAL(lu->aborted, 2);
	rig_end_good(&rig, lu, 0);
	rig_end_good(&rig, lu, 0);
	peer_disconnect(&third);
	finish();
}

/* ---- task management and logout */

static struct bhs tmf(enum tmf_function function, uint32_t itt)
{
	return (struct bhs){ .op = OP_TMF_REQUEST, .immediate = true, .itt = itt,
			     .function = (uint8_t)function };
}

static void a_function_ends_the_tasks_of_all_connections(void)
{
	struct bhs want = { .op = OP_TMF_RESPONSE, .itt = 9 };

	begin(1);
	send_command(&first, 1);
	send_command(&second, 2);
	send(&first, tmf(TMF_ABORT_TASK_SET, 9), NULL);
	CU_ASSERT_EQUAL(lu->aborted, 2);
	rig_end_tmf(&rig, lu, TMF_COMPLETE);
	rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
	peer_expect_silence(&first);
	rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
	peer_expect(&first, &want, NULL, 0);
	peer_expect_silence(&second);
	finish();
}

/* RFC 7143 §4.2.3.3: no status of before may come after the answer. */
static void a_function_is_answered_when_the_other_connections_have_been_heard(void)
{
	struct bhs want = { .op = OP_TMF_RESPONSE, .itt = 9 };
	struct bhs ping = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG };
	struct bhs pong = { .op = OP_NOP_OUT, .immediate = true, .itt = ISCSI_NO_TAG };

	begin(1);
	send_command(&second, 2);
	rig_end_good(&rig, lu, 0);
	send(&first, tmf(TMF_LU_RESET, 9), NULL);
	rig_end_tmf(&rig, lu, TMF_COMPLETE);
	peer_expect_silence(&first);
	expect_good(&second, 2);
	ping.ttt = 0;
	peer_expect(&second, &ping, NULL, 0);
	pong.ttt = ping.ttt;
	peer_send(&second, &pong, NULL);
	peer_expect(&first, &want, NULL, 0);
	/* What has been heard is not asked for again; nor is who is gone. */
	send(&first, tmf(TMF_LU_RESET, 10), NULL);
	rig_end_tmf(&rig, lu, TMF_COMPLETE);
	want.itt = 10;
	peer_expect(&first, &want, NULL, 0);
	peer_expect_silence(&second);
	send_command(&second, 3);
	rig_end_good(&rig, lu, 0);
	send(&first, tmf(TMF_LU_RESET, 11), NULL);
	rig_end_tmf(&rig, lu, TMF_COMPLETE);
	peer_expect_silence(&first);
	peer_disconnect(&second);
	want.itt = 11;
	peer_expect(&first, &want, NULL, 0);
	peer_disconnect(&first);
	rig_stop(&rig);
}

/* ... though a connection has been asked already, and answers for what it had got by then. */
static void who_has_not_heard_all_is_asked_again(void)
{
	struct rig_lu *other = &rig.lu[1][0];
	struct bhs reset = tmf(TMF_LU_RESET, 9);
	struct bhs want = { .op = OP_TMF_RESPONSE, .itt = 9 };
	struct bhs ping = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG };
	struct bhs pong = { .op = OP_NOP_OUT, .immediate = true, .itt = ISCSI_NO_TAG };

	begin(1);
	send_command(&second, 2);
	send_command(&second, 3);
	rig_end_good(&rig, lu, 0);
	reset.lun = lun_encode(1);
	send(&first, reset, NULL);
	rig_end_tmf(&rig, other, TMF_COMPLETE);
	rig_end_good(&rig, lu, 0);
	reset.itt = 10;
	send(&first, reset, NULL);
	rig_end_tmf(&rig, other, TMF_COMPLETE);
	expect_good(&second, 2);
	peer_expect(&second, &ping, NULL, 0);
	peer_send(&second, &pong, NULL);
	peer_expect(&first, &want, NULL, 0);
	peer_expect_silence(&first);
	expect_good(&second, 3);
	ping.ttt = pong.ttt = 1;
	peer_expect(&second, &ping, NULL, 0);
	peer_send(&second, &pong, NULL);
	want.itt = 10;
	peer_expect(&first, &want, NULL, 0);
	finish();
}

static struct bhs logout(uint8_t reason, uint16_t cid)
{
	return (struct bhs){ .op = OP_LOGOUT_REQUEST, .final = true, .itt = 50,
			     .reason = reason, .cid = cid };
}

static const struct bhs logged_out = { .op = OP_LOGOUT_RESPONSE, .itt = 50, .time2wait = 2,
				       .time2retain = 20 };

static void a_connection_logs_out_alone(void)
{
	struct bhs want = logged_out;

	begin(1);
	send_command(&first, 1);
	send_command(&second, 2);
	send(&second, logout(1, 2), NULL);
	CU_ASSERT_EQUAL(lu->aborted, 1);
	peer_expect_silence(&second);
	rig_end(&rig, lu, 1, STATUS_TASK_ABORTED, 0, 0);
	peer_expect(&second, &want, NULL, 0);
	peer_expect_end(&second);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 1);
	CU_ASSERT_EQUAL(lu->detached, 0);
	finish();
}

static void a_connection_is_logged_out_by_another(void)
{
	struct bhs want = logged_out, unknown = logged_out;

	begin(1);
	send_command(&first, 1);
	send_command(&second, 2);
	send(&first, logout(1, 2), NULL);
	peer_expect_end(&second);
	CU_ASSERT_EQUAL(lu->aborted, 1);
	peer_expect_silence(&first);
	unknown.response = 1;
	send(&first, logout(1, 2), NULL);
	peer_expect(&first, &unknown, NULL, 0);
	rig_end(&rig, lu, 1, STATUS_TASK_ABORTED, 0, 0);
	peer_expect(&first, &want, NULL, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 1);
	join(&third, 1, 2);
	peer_disconnect(&third);
	finish();
}

static void a_session_logs_out_with_all_connections(void)
{
	struct bhs want = logged_out;

	begin(1);
	send_command(&first, 1);
	send_command(&second, 2);
	send(&second, logout(0, 0), NULL);
	CU_ASSERT_EQUAL(lu->aborted, 2);
	rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
	peer_expect_silence(&second);
	rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
	peer_expect(&second, &want, NULL, 0);
	peer_expect_end(&second);
	peer_expect_end(&first);
	CU_ASSERT_EQUAL(lu->detached, 1);
	finish();
}

static void a_session_that_logs_out_ends_if_nobody_waits_for_the_answer(void)
{
	struct bhs b;

	begin(1);
	send_command(&second, 2);
	send(&first, logout(0, 0), NULL);
	b = join_request(&first, 3, sizeof(NAMES));
	refuse(&b, NAMES, 0x020a);
	peer_disconnect(&first);
	rig_end(&rig, lu, 0, STATUS_TASK_ABORTED, 0, 0);
	peer_expect_end(&second);
	CU_ASSERT_EQUAL(lu->detached, 1);
	peer_disconnect(&second);
	rig_stop(&rig);
}

static void shutdown_asks_every_connection(void)
{
	struct bhs want = { .op = OP_ASYNC_MESSAGE, .async_event = 1, .parameter3 = 3 };
	struct bhs over = logged_out;

	begin(1);
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		target_shutdown(&rig.service[w]);
	peer_expect(&first, &want, NULL, 0);
	peer_expect(&second, &want, NULL, 0);
	send(&first, logout(1, 1), NULL);
	peer_expect(&first, &over, NULL, 0);
	send(&second, logout(0, 0), NULL);
	peer_expect(&second, &over, NULL, 0);
	peer_expect_end(&second);
	CU_ASSERT(rig.idle >= 1);
	finish();
}

/* One after the other, when its tasks have ended; with the last one the session goes. */
static void who_does_not_log_out_at_shutdown_is_told_of_the_end(void)
{
	struct bhs want = { .op = OP_ASYNC_MESSAGE, .async_event = 1, .parameter3 = 1 };

	lead(TEXT(LEADING));
	rig.conf.logout_timeout = 0.02;
	second.isid = first.isid;
	join(&second, 0, 2);
	send_command(&first, 1);
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		target_shutdown(&rig.service[w]);
	peer_expect(&first, &want, NULL, 0);
	peer_expect(&second, &want, NULL, 0);
	peer_expect_drop(&second, 2);
	CU_ASSERT_EQUAL(rig.idle, 0);
	rig_end_good(&rig, lu, 0);
	expect_good(&first, 1);
	peer_expect_drop(&first, 0);
	CU_ASSERT_EQUAL(rig.idle, 1);
	finish();
}

/* The one that is silent would not hear it. */
static void a_connection_that_is_given_up_is_told_of_by_another(void)
{
	struct bhs ping = { .op = OP_NOP_IN, .itt = ISCSI_NO_TAG };
	struct bhs alive = { .op = OP_NOP_OUT, .immediate = true, .itt = ISCSI_NO_TAG };

	lead(TEXT(LEADING));
	rig.conf.nop_interval = 0.02;
	rig.conf.nop_timeout = 0.3;
	second.isid = first.isid;
	join(&second, 1, 2);
	peer_expect(&second, &ping, NULL, 0);
	do {
		send(&first, alive, NULL);
		rig_turn(&rig);
		CU_ASSERT_FATAL(peer_get(&first));
	} while (first.got.op == OP_NOP_IN);
	CU_ASSERT_EQUAL(first.got.op, OP_ASYNC_MESSAGE);
	CU_ASSERT_EQUAL(first.got.async_event, 2);
	CU_ASSERT_EQUAL(first.got.parameter1, 2);
	CU_ASSERT_EQUAL(first.got.stat_sn, first.stat_sn);
	peer_expect_end(&second);
	finish();
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_connection_joins_from_any_worker),
	UNIT_TEST(what_is_received_at_once_moves_with_the_connection),
	UNIT_TEST(a_connection_may_die_on_its_way),
	UNIT_TEST(a_connection_joins_a_session_that_waits_for_the_tasks_of_an_old_one),
	UNIT_TEST(who_has_no_business_there_is_refused),
	UNIT_TEST(there_are_no_more_than_agreed_on),
	UNIT_TEST(what_holds_for_the_session_is_not_negotiated_again),
	UNIT_TEST(commands_are_executed_in_order_over_all_connections),
	UNIT_TEST(data_belongs_to_the_connection_of_its_command),
	UNIT_TEST(the_window_is_one),
	UNIT_TEST(a_CmdSN_is_taken_once),
	UNIT_TEST(a_login_tells_the_window_of_the_session),
	UNIT_TEST(the_session_outlives_a_connection),
	UNIT_TEST(nothing_new_begins_before_the_tasks_of_a_lost_connection_have_ended),
	UNIT_TEST(commands_ahead_of_their_turn_go_with_their_connection),
	UNIT_TEST(a_window_that_opens_without_an_answer_is_told),
	UNIT_TEST(a_window_that_a_lost_connection_has_told_is_told_again),
	UNIT_TEST(a_login_with_the_same_cid_takes_the_place_of_the_old_connection),
	UNIT_TEST(the_only_connection_may_be_replaced),
	UNIT_TEST(a_new_session_ends_all_connections_of_the_old_one),
	UNIT_TEST(a_function_ends_the_tasks_of_all_connections),
	UNIT_TEST(a_function_is_answered_when_the_other_connections_have_been_heard),
	UNIT_TEST(who_has_not_heard_all_is_asked_again),
	UNIT_TEST(a_connection_logs_out_alone),
	UNIT_TEST(a_connection_is_logged_out_by_another),
	UNIT_TEST(a_session_logs_out_with_all_connections),
	UNIT_TEST(a_session_that_logs_out_ends_if_nobody_waits_for_the_answer),
	UNIT_TEST(shutdown_asks_every_connection),
	UNIT_TEST(who_does_not_log_out_at_shutdown_is_told_of_the_end),
	UNIT_TEST(a_connection_that_is_given_up_is_told_of_by_another),
};

UNIT_MAIN("target_connections", tests)
