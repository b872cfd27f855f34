/*
 * PDUs as such (RFC 7143 §11.2, §7.8, §11.17): digests, additional header segments,
 * what is rejected, what nobody should send, and commands to units that are not
 * there.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "crc32c.h"
#include "pool.h"
#include "scsi_data.h"
#include "target_peer.h"
#include "unit.h"

#define NAMES	"InitiatorName=" RIG_INITIATOR "\0TargetName=" RIG_TARGET

static struct rig rig;
static struct peer peer;
static struct rig_lu *const lu = &rig.lu[0][0];

static void begin(void)
{
	rig_begin(&rig, &peer);
	peer_log_in(&peer);
}

static void finish(void)
{
	rig_finish(&rig, &peer);
}

/* ---- digests */

#define DIGESTS	NAMES "\0InitialR2T=No\0HeaderDigest=CRC32C\0DataDigest=CRC32C"

static void begin_with_digests(void)
{
	rig_begin(&rig, &peer);
	peer_log_in_with(&peer, TEXT(DIGESTS));
	peer.header_digest = peer.data_digest = true;
}

static void digests_go_both_ways(void)
{
	struct bhs b, want = { .op = OP_DATA_IN, .final = true, .has_status = true, .itt = 8,
			       .ttt = ISCSI_NO_TAG };

	begin_with_digests();
	b = peer_write(7, 1021, 2, 1021);
	peer_send_numbered(&peer, &b, rig_pattern());
	rig_expect_written(lu, 1021);
	rig_end(&rig, lu, 0, STATUS_GOOD, 1021, 1024);
	peer_expect_response(&peer, 7, STATUS_GOOD, 3, 0);
	b = peer_read(8, 1021, 2);
	peer_send_numbered(&peer, &b, NULL);
	rig_end(&rig, lu, 0, STATUS_GOOD, 1021, 1024);
	want.overflow = true;
	want.residual = 3;
	peer_expect(&peer, &want, rig_pattern(), 1021);
	finish();
}

static void a_wrong_header_digest_ends_the_connection(void)
{
	struct bhs b = { .op = OP_NOP_OUT, .immediate = true, .itt = 3, .ttt = ISCSI_NO_TAG };
	uint8_t wire[BHS_LEN + 4] = { 0 };

	begin_with_digests();
	bhs_encode(&b, wire);
	peer_send_raw(&peer, wire, sizeof(wire));
	peer_expect_end(&peer);
	finish();
}

/* Send with a data digest that is wrong by one bit. */
static void send_spoiled(struct bhs *b)
{
	uint8_t wire[BHS_LEN + 4 + 512 + 4];
	uint32_t crc = 0;

	b->cmd_sn = b->op == OP_DATA_OUT ? 0 : peer.cmd_sn;
	b->exp_stat_sn = peer.stat_sn;
	CU_ASSERT_EQUAL_FATAL(b->data_len, 512);
	peer.header_digest = false;
	bhs_encode(b, wire);
	peer.header_digest = true;
	crc = crc32c(0, wire, BHS_LEN);
	for (int i = 0; i < 4; i++)
		wire[BHS_LEN + i] = (uint8_t)(crc >> 8 * i);
	memcpy(wire + BHS_LEN + 4, rig_pattern(), 512);
	crc = crc32c(0, wire + BHS_LEN + 4, 512) ^ 1;
	for (int i = 0; i < 4; i++)
		wire[BHS_LEN + 4 + 512 + i] = (uint8_t)(crc >> 8 * i);
	peer_send_raw(&peer, wire, sizeof(wire));
}

static void a_wrong_data_digest_rejects_the_pdu(void)
{
	struct bhs b = peer_write(7, 512, 1, 512);

	begin_with_digests();
	send_spoiled(&b);
	peer_expect_reject(&peer, &b, 0x02);
	/* As if it had never come: the same CmdSN and task tag may come again. */
	peer_send_numbered(&peer, &b, rig_pattern());
	rig_expect_written(lu, 512);
	rig_end_good(&rig, lu, 0);
	peer_expect_response(&peer, 7, STATUS_GOOD, 0, 0);
	finish();
}

static void a_wrong_data_digest_of_data_out_ends_the_task(void)
{
	struct bhs b = peer_write(7, 1024, 2, 0);
	struct bhs data = { .op = OP_DATA_OUT, .itt = 7, .data_len = 512 };

	begin_with_digests();
	peer_send_numbered(&peer, &b, NULL);
	data.ttt = peer_expect_r2t(&peer, 7, 0, 0, 1024);
	send_spoiled(&data);
	peer_expect_reject(&peer, &data, 0x02);
	peer_expect_silence(&peer);
	peer_send_data(&peer, 7, data.ttt, 1, 512, 512, true);
	peer_expect_sense(&peer, 7, SENSE_CRC_ERROR, 1024, 0);
	finish();
}

/* ---- additional header segments */

/* A READ(16) on the unit that passes through, with ahs[len] behind its header. */
static void send_with_ahs(struct bhs *b, const uint8_t *ahs, size_t len)
{
	uint8_t wire[BHS_LEN + 64];

	*b = peer_read(7, 0, 0);
	b->lun = lun_encode(1);
	b->ahs_words = (uint8_t)(len / 4);
	b->cmd_sn = peer.cmd_sn++;
	b->exp_stat_sn = peer.stat_sn;
	bhs_encode(b, wire);
	memcpy(wire + BHS_LEN, ahs, len);
	peer_send_raw(&peer, wire, BHS_LEN + len);
}

static void an_extended_cdb_is_put_together(void)
{
	/* AHSLength 17, type 1, reserved, then 16 bytes. */
	static const uint8_t ahs[20] = { 0, 17, 1, 0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
					 28, 29, 30, 31 };
	struct rig_lu *far = &rig.lu[1][0];
	struct bhs b;

	begin();
	send_with_ahs(&b, ahs, sizeof(ahs));
	CU_ASSERT_EQUAL_FATAL(far->count, 1);
	CU_ASSERT_EQUAL(far->task[0]->wire_len, 32);
	CU_ASSERT_EQUAL(memcmp(far->task[0]->wire, b.cdb, 16), 0);
	CU_ASSERT_EQUAL(memcmp(far->task[0]->wire + 16, ahs + 4, 16), 0);
	rig_end_good(&rig, far, 0);
	peer_expect_response(&peer, 7, STATUS_GOOD, 0, 0);
	finish();
}

static void wrong_additional_header_segments_are_rejected(void)
{
	static const uint8_t wrong[][12] = {
		{ 0, 5, 2, 0, 0, 0, 2, 0 },		/* bidirectional read length */
		{ 0, 5, 0, 0 },				/* no such type */
		{ 0, 0, 1, 0 },				/* not even the reserved byte */
		{ 0, 10, 1, 0 },			/* longer than TotalAHSLength */
		{ 0xff, 0xff, 1, 0 },
		{ 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0 },	/* twice */
	};
	struct bhs b;

	begin();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		send_with_ahs(&b, wrong[i], sizeof(wrong[0]));
		peer_expect_reject(&peer, &b, 0x09);
	}
	b = (struct bhs){ .op = OP_NOP_OUT, .immediate = true, .itt = 4, .ttt = ISCSI_NO_TAG,
			  .ahs_words = 1 };
	peer_send(&peer, &b, NULL);
	peer_send_raw(&peer, wrong[1], 4);
	peer_expect_reject(&peer, &b, 0x09);
	finish();
}

/* ---- Reject */

static void what_makes_no_sense_is_rejected(void)
{
	struct { struct bhs b; bool numbered; uint8_t reason; } bad[] = {
		{ { .op = OP_SNACK, .itt = 1 }, false, 0x03 },
		{ { .op = OP_LOGIN_REQUEST, .itt = 1 }, false, 0x04 },
		{ { .op = OP_NOP_IN, .itt = 1 }, false, 0x04 },
		{ { .op = OP_REJECT, .itt = ISCSI_NO_TAG, .final = true }, false, 0x04 },
		{ peer_read(1, 512, 1), true, 0x05 },	/* with W as well */
		{ peer_read(1, 512, 1), true, 0x09 },	/* without R */
		{ peer_read(1, 512, 1), true, 0x09 },	/* without F */
		{ peer_read(1, 512, 1), true, 0x09 },	/* with data */
		{ peer_write(1, 512, 1, 516), true, 0x09 },
		{ peer_read(ISCSI_NO_TAG, 512, 1), true, 0x09 },
	};

	bad[4].b.write = true;
	bad[5].b.read = false;
	bad[6].b.final = false;
	bad[7].b.data_len = 512;
	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		peer_send(&peer, &bad[i].b, rig_pattern());
		peer.cmd_sn += bad[i].numbered;
		peer_expect_reject(&peer, &bad[i].b, bad[i].reason);
	}
	CU_ASSERT_EQUAL(lu->submitted, 0);
	finish();
}

static void an_unknown_opcode_is_rejected_with_its_data(void)
{
	struct bhs nop = { .op = OP_NOP_OUT, .immediate = true, .itt = 3, .ttt = ISCSI_NO_TAG };
	struct bhs want = { .op = OP_REJECT, .reason = 0x05 };
	uint8_t wire[BHS_LEN + 100] = { 0x1c, 0x80, [7] = 99 };

	begin();
	peer_send_raw(&peer, wire, sizeof(wire));
	peer_expect(&peer, &want, wire, BHS_LEN);
	peer_send(&peer, &nop, NULL);
	want = (struct bhs){ .op = OP_NOP_IN, .itt = 3, .ttt = ISCSI_NO_TAG };
	peer_expect(&peer, &want, NULL, 0);
	finish();
}

static void a_task_tag_in_use_is_rejected(void)
{
	struct bhs b = peer_read(1, 512, 1);

	begin();
	peer_send_numbered(&peer, &b, NULL);
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_reject(&peer, &b, 0x04);
	CU_ASSERT_EQUAL(lu->count, 1);
	rig_end_sense(&rig, lu, 0, SENSE_READ_ERROR);
	peer_expect_sense(&peer, 1, SENSE_READ_ERROR, 512, 0);
	finish();
}

static void data_out_for_a_read_that_is_held_up_is_rejected(void)
{
	struct bhs b = peer_read(1, 512, 1);
	struct bhs data = { .op = OP_DATA_OUT, .final = true, .itt = 1, .ttt = ISCSI_NO_TAG,
			    .data_len = 512 };

	begin();
	peer.cmd_sn++;
	peer_send(&peer, &b, NULL);
	peer.cmd_sn--;
	peer_send(&peer, &data, rig_pattern());
	peer_expect_reject(&peer, &data, 0x04);
	finish();
}

static void more_data_than_we_declared_ends_the_connection(void)
{
	struct bhs b = { .op = OP_NOP_OUT, .immediate = true, .itt = 3, .ttt = ISCSI_NO_TAG,
			 .data_len = 262145 };

	begin();
	peer_send(&peer, &b, rig_pattern());
	peer_expect_end(&peer);
	finish();
}

/* ---- streams of bytes */

static void bytes_may_come_one_by_one(void)
{
	struct bhs b = peer_write(7, 1021, 2, 1021);
	uint8_t wire[BHS_LEN + 1024] = { 0 };

	begin();
	b.cmd_sn = peer.cmd_sn++;
	bhs_encode(&b, wire);
	memcpy(wire + BHS_LEN, rig_pattern(), 1021);
	for (size_t i = 0; i < sizeof(wire); i++)
		peer_send_raw(&peer, wire + i, 1);
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	CU_ASSERT_EQUAL(memcmp(lu->task[0]->data, rig_pattern(), 1021), 0);
	rig_end(&rig, lu, 0, STATUS_GOOD, 1021, 1024);
	peer_expect_response(&peer, 7, STATUS_GOOD, 3, 0);
	finish();
}

static void a_connection_may_end_anywhere(void)
{
	struct bhs b = peer_write(7, 4096, 8, 1021);
	uint8_t wire[BHS_LEN + 1024] = { 0 };

	bhs_encode(&b, wire);
	memcpy(wire + BHS_LEN, rig_pattern(), 1021);
	for (size_t len = 1; len < sizeof(wire); len += 37) {
		begin();
		b.cmd_sn = peer.cmd_sn;
		bhs_encode(&b, wire);
		peer_send_raw(&peer, wire, len);
		finish();
	}
}

static void a_peer_that_does_not_listen_is_not_listened_to(void)
{
	struct bhs b = { .op = OP_NOP_OUT, .immediate = true, .itt = 3, .ttt = ISCSI_NO_TAG,
			 .data_len = 8192 };
	unsigned answers = 0;
	size_t held;

	rig_init(&rig);
	rig.conf.max_bytes = 65536;
	rig_start(&rig);
	peer_connect(&peer, &rig, 0);
	peer_log_in(&peer);
	/* No more is kept than that, and what the kernel takes. */
	for (unsigned i = 0; i < 100; i++)
		peer_send(&peer, &b, rig_pattern());
	held = pool_in_use(rig.loop[0]->pool);
	CU_ASSERT(held <= 4 * 65536);
	while (answers < 100 && peer_get(&peer))
		answers++;
	CU_ASSERT_EQUAL(answers, 100);
	finish();
}

static void end_all_tasks(void)
{
	for (unsigned l = 0; l < 2; l++)
		while (rig.lu[l][0].count || rig.lu[l][0].tmf) {
			if (rig.lu[l][0].count)
				rig_end(&rig, &rig.lu[l][0], 0, STATUS_GOOD, 0, 0);
			if (rig.lu[l][0].tmf)
				rig_end_tmf(&rig, &rig.lu[l][0], TMF_COMPLETE);
		}
}

static void drain(void)
{
	while (recv(peer.fd, peer.data, sizeof(peer.data), MSG_DONTWAIT) > 0)
		rig_turn(&rig);
}

/* A PDU with sensible opcode, length and CmdSN, and chance everywhere else. */
static void send_chance(void)
{
	static const uint8_t ops[] = { OP_NOP_OUT, OP_SCSI_COMMAND, OP_TMF_REQUEST, OP_TEXT_REQUEST,
				       OP_DATA_OUT, OP_DATA_OUT, OP_SCSI_COMMAND, OP_SNACK };
	struct bhs b;
	uint8_t wire[BHS_LEN];

	for (size_t i = 0; i < BHS_LEN; i++)
		wire[i] = (uint8_t)(rand() & (rand() % 3 ? 3 : 255));
	bhs_decode(wire, &b);
	b.op = ops[rand() % sizeof(ops)];
	bhs_encode(&b, wire);
	wire[1] = (uint8_t)rand();
	bhs_decode(wire, &b);
	b.ahs_words = 0;
	b.data_len = rand() % 2 ? 0 : (uint32_t)rand() % 2000;
	b.edtl = (uint32_t)rand() % 20000;
	b.immediate = rand() % 4 == 0;
	b.lun = lun_encode((uint16_t)(rand() % 3));
	b.itt = (uint32_t)rand() % 8;
	b.ttt = rand() % 2 ? ISCSI_NO_TAG : (uint32_t)rand() % 64;
	b.offset = 512u * ((uint32_t)rand() % 4);
	b.data_sn = (uint32_t)rand() % 3;
	if (rand() % 2)
		memcpy(b.cdb, peer_write(0, 0, (uint32_t)rand() % 64, 0).cdb, 16);
	if (b.immediate || b.op == OP_DATA_OUT || b.op == OP_SNACK)
		peer_send(&peer, &b, rig_pattern());
	else
		peer_send_numbered(&peer, &b, rig_pattern());
}

static void chance_leaves_nothing_behind(void)
{
	srand(7143);
	for (int round = 0; round < 200; round++) {
		begin();
		for (int i = 0; i < 60; i++) {
			send_chance();
			if (rand() % 8 == 0)
				drain();
			if (rand() % 16 == 0)
				end_all_tasks();
			if (rig.lu[0][0].tmf)
				rig_end_tmf(&rig, lu, TMF_COMPLETE);
			if (rig.lu[1][0].tmf)
				rig_end_tmf(&rig, &rig.lu[1][0], TMF_COMPLETE);
		}
		peer_disconnect(&peer);
		end_all_tasks();
		rig_stop(&rig);
	}
}

static void garbage_leaves_nothing_behind(void)
{
	srand(3720);
	for (int round = 0; round < 1000; round++) {
		uint8_t bytes[512];

		rig_init(&rig);
		rig_start(&rig);
		peer_connect(&peer, &rig, 0);
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)rand();
		if (round % 2) {
			/* Nearly a Login Request. */
			memset(bytes, 0, BHS_LEN);
			bytes[0] = 0x43;
			bytes[1] = (uint8_t)rand();
			bytes[6] = 1;
			bytes[7] = (uint8_t)rand();
		}
		peer_send_raw(&peer, bytes, sizeof(bytes));
		finish();
	}
}

/* ---- units that are not there */

static struct bhs command(const struct cdb *cdb, uint64_t lun, uint32_t edtl)
{
	struct bhs b = { .op = OP_SCSI_COMMAND, .final = true, .read = edtl > 0, .itt = 7,
			 .edtl = edtl, .lun = lun };

	cdb_encode(cdb, b.cdb);
	return b;
}

static void expect_data(const void *data, uint32_t len, uint32_t underflow)
{
	struct bhs want = { .op = OP_DATA_IN, .final = true, .has_status = true, .itt = 7,
			    .ttt = ISCSI_NO_TAG, .underflow = underflow > 0, .residual = underflow };

	peer_expect(&peer, &want, data, len);
}

static void report_luns_is_answered_for_every_lun(void)
{
	static const uint64_t luns[] = { 0, UINT64_C(1) << 48, UINT64_C(0xc101) << 48 };
	const uint64_t all[] = { lun_encode(0), lun_encode(1) };
	struct cdb cdb = { .id = CDB_REPORT_LUNS, .alloc_len = 256 };
	uint8_t data[24], none[8] = { 0 };
	struct bhs b;

	report_luns_encode(all, 2, data);
	begin();
	for (size_t i = 0; i < 3; i++) {
		b = command(&cdb, luns[i], 256);
		peer_send_numbered(&peer, &b, NULL);
		expect_data(data, 24, 232);
	}
	cdb.select_report = 1;
	b = command(&cdb, 0, 256);
	peer_send_numbered(&peer, &b, NULL);
	expect_data(none, 8, 248);
	cdb.select_report = 2;
	cdb.alloc_len = 16;
	b = command(&cdb, 0, 256);
	peer_send_numbered(&peer, &b, NULL);
	expect_data(data, 16, 240);
	cdb.select_report = 0x10;
	b = command(&cdb, 0, 256);
	peer_send_numbered(&peer, &b, NULL);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.status, STATUS_CHECK_CONDITION);
	CU_ASSERT_EQUAL(lu->submitted, 0);
	finish();
}

static void a_unit_that_is_not_there_says_so(void)
{
	static const uint64_t luns[] = { UINT64_C(2) << 48, UINT64_C(0x4007) << 48,
					 UINT64_C(0xffff) << 48, UINT64_C(1) };
	struct cdb cdb = { .id = CDB_INQUIRY, .alloc_len = 96 };
	const struct inquiry inq = { .qualifier = 3, .device_type = 0x1f, .version = 6,
				     .response_data_format = 2 };
	const struct sense sense = { .reason = SENSE_LUN_NOT_SUPPORTED };
	uint8_t data[INQUIRY_LEN], sense_data[SENSE_MAX_LEN];
	uint32_t sense_len = (uint32_t)sense_build(&sense, false, sense_data);
	struct bhs b;

	inquiry_encode(&inq, data);
	CU_ASSERT_EQUAL(data[0], 0x7f);
	begin();
	for (size_t i = 0; i < sizeof(luns) / sizeof(luns[0]); i++) {
		cdb = (struct cdb){ .id = CDB_INQUIRY, .alloc_len = 96 };
		b = command(&cdb, luns[i], 96);
		peer_send_numbered(&peer, &b, NULL);
		expect_data(data, 96, 0);
		cdb = (struct cdb){ .id = CDB_REQUEST_SENSE, .alloc_len = 252 };
		b = command(&cdb, luns[i], 252);
		peer_send_numbered(&peer, &b, NULL);
		expect_data(sense_data, sense_len, 252 - sense_len);
		cdb = (struct cdb){ .id = CDB_TEST_UNIT_READY };
		b = command(&cdb, luns[i], 0);
		peer_send_numbered(&peer, &b, NULL);
		peer_expect_sense(&peer, 7, SENSE_LUN_NOT_SUPPORTED, 0, 0);
		b = peer_write(7, 8192, 16, 512);
		b.lun = luns[i];
		peer_send_numbered(&peer, &b, rig_pattern());
		peer_expect_sense(&peer, 7, SENSE_LUN_NOT_SUPPORTED, 8192, 0);
	}
	finish();
}

static const struct unit_test tests[] = {
	UNIT_TEST(digests_go_both_ways),
	UNIT_TEST(a_wrong_header_digest_ends_the_connection),
	UNIT_TEST(a_wrong_data_digest_rejects_the_pdu),
	UNIT_TEST(a_wrong_data_digest_of_data_out_ends_the_task),
	UNIT_TEST(an_extended_cdb_is_put_together),
	UNIT_TEST(wrong_additional_header_segments_are_rejected),
	UNIT_TEST(what_makes_no_sense_is_rejected),
	UNIT_TEST(an_unknown_opcode_is_rejected_with_its_data),
	UNIT_TEST(a_task_tag_in_use_is_rejected),
	UNIT_TEST(data_out_for_a_read_that_is_held_up_is_rejected),
	UNIT_TEST(more_data_than_we_declared_ends_the_connection),
	UNIT_TEST(bytes_may_come_one_by_one),
	UNIT_TEST(a_connection_may_end_anywhere),
	UNIT_TEST(a_peer_that_does_not_listen_is_not_listened_to),
	UNIT_TEST(chance_leaves_nothing_behind),
	UNIT_TEST(garbage_leaves_nothing_behind),
	UNIT_TEST(report_luns_is_answered_for_every_lun),
	UNIT_TEST(a_unit_that_is_not_there_says_so),
};

UNIT_MAIN("target_pdu", tests)
