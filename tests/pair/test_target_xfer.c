/*
 * The target's transfers, PDU by PDU: immediate and unsolicited data, R2Ts, Data-In,
 * residuals (RFC 7143 §11.3, §11.4, §11.7, §11.8).
 */
#include <string.h>

#include "target_peer.h"
#include "unit.h"

#define NAMES	"InitiatorName=" RIG_INITIATOR "\0TargetName=" RIG_TARGET

static struct rig rig;
static struct peer peer;
static struct rig_lu *const lu = &rig.lu[0][0];

static void begin_with(const char *text, uint32_t len)
{
	rig_begin(&rig, &peer);
	peer_log_in_with(&peer, text, len);
}

/* FirstBurst 2048, MaxBurst 4096, two R2Ts at a time. */
static void begin(void)
{
	begin_with(TEXT(NAMES "\0InitialR2T=No\0FirstBurstLength=2048\0MaxBurstLength=4096"
			"\0MaxOutstandingR2T=2\0MaxRecvDataSegmentLength=1024"));
}

static void finish(void)
{
	rig_finish(&rig, &peer);
}

static void a_read_comes_with_its_status(void)
{
	struct bhs b = peer_read(7, 512, 1);
	struct bhs want = { .op = OP_DATA_IN, .final = true, .has_status = true, .itt = 7,
			    .ttt = ISCSI_NO_TAG };

	begin();
	peer_send_numbered(&peer, &b, NULL);
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	CU_ASSERT_EQUAL(lu->task[0]->cdb.id, CDB_READ_16);
	CU_ASSERT_EQUAL(lu->task[0]->attribute, TASK_SIMPLE);
	CU_ASSERT_STRING_EQUAL(lu->task[0]->nexus->initiator_name, RIG_INITIATOR);
	peer_expect_silence(&peer);
	rig_end_good(&rig, lu, 0);
	peer_expect(&peer, &want, rig_pattern(), 512);
	finish();
}

static void a_long_read_comes_in_sequences_of_max_burst(void)
{
	struct bhs b = peer_read(7, 10240, 20);

	begin();
	peer_send_numbered(&peer, &b, NULL);
	rig_end_good(&rig, lu, 0);
	for (uint32_t i = 0; i < 10; i++) {
		struct bhs want = { .op = OP_DATA_IN, .final = i % 4 == 3 || i == 9, .itt = 7,
				    .has_status = i == 9, .ttt = ISCSI_NO_TAG, .data_sn = i,
				    .offset = i * 1024 };

		peer_expect(&peer, &want, rig_pattern() + i * 1024, 1024);
	}
	finish();
}

static void segments_are_whole_words_but_for_the_last(void)
{
	struct bhs b = peer_read(7, 1535, 3);
	static const uint32_t lens[] = { 516, 516, 503 };
	uint32_t offset = 0;

	begin_with(TEXT(NAMES "\0MaxRecvDataSegmentLength=519"));
	peer_send_numbered(&peer, &b, NULL);
	rig_end(&rig, lu, 0, STATUS_GOOD, 1535, 1536);
	for (uint32_t i = 0; i < 3; i++) {
		struct bhs want = { .op = OP_DATA_IN, .final = i == 2, .has_status = i == 2,
				    .itt = 7, .ttt = ISCSI_NO_TAG, .data_sn = i, .offset = offset,
				    .overflow = i == 2, .residual = i == 2 };

		peer_expect(&peer, &want, rig_pattern() + offset, lens[i]);
		offset += lens[i];
	}
	finish();
}

static void a_failed_read_sends_what_it_has_and_then_its_sense(void)
{
	struct bhs b = peer_read(7, 1024, 2);
	struct bhs want = { .op = OP_DATA_IN, .final = true, .itt = 7, .ttt = ISCSI_NO_TAG };

	begin();
	peer_send_numbered(&peer, &b, NULL);
	lu_fail(lu->task[0], SENSE_READ_ERROR);
	rig_end(&rig, lu, 0, STATUS_CHECK_CONDITION, 512, 1024);
	peer_expect(&peer, &want, rig_pattern(), 512);
	peer_expect_sense(&peer, 7, SENSE_READ_ERROR, 512, 1);
	finish();
}

struct residual {
	uint32_t edtl, blocks;
	int64_t	 residual;
};

static const struct residual residuals[] = {
	{ 0, 1, 512 }, { 10000, 1, -9488 }, { 200, 1, 312 }, { 512, 2, 512 }, { 512, 1, 0 },
	{ 0, 0, 0 }, { 1024, 1, -512 }, { 0, 65536, 65536 * 512 },
};

static void reads_have_residuals(void)
{
	for (size_t i = 0; i < sizeof(residuals) / sizeof(residuals[0]); i++) {
		const struct residual *r = &residuals[i];
		uint32_t called = r->blocks * 512, len = called < r->edtl ? called : r->edtl;
		struct bhs b = peer_read(7, r->edtl, r->blocks);
		struct bhs want = { .op = OP_DATA_IN, .final = true, .has_status = true, .itt = 7,
				    .ttt = ISCSI_NO_TAG, .overflow = r->residual > 0,
				    .underflow = r->residual < 0,
				    .residual = (uint32_t)(r->residual < 0 ? -r->residual : r->residual) };

		begin();
		peer_send_numbered(&peer, &b, NULL);
		CU_ASSERT_EQUAL_FATAL(lu->count, 1);
		CU_ASSERT_EQUAL(lu->task[0]->data_len, len);
		rig_end(&rig, lu, 0, STATUS_GOOD, len, called);
		if (len)
			peer_expect(&peer, &want, rig_pattern(), len);
		else
			peer_expect_response(&peer, 7, STATUS_GOOD, r->residual, 0);
		finish();
	}
}

static void writes_have_residuals_and_ask_for_no_more_than_there_is(void)
{
	for (size_t i = 0; i < sizeof(residuals) / sizeof(residuals[0]); i++) {
		const struct residual *r = &residuals[i];
		uint32_t called = r->blocks * 512, len = called < r->edtl ? called : r->edtl;
		struct bhs b = peer_write(7, r->edtl, r->blocks, 0);

		begin();
		peer_send_numbered(&peer, &b, NULL);
		if (len)
			peer_send_data(&peer, 7, peer_expect_r2t(&peer, 7, 0, 0, len), 0, 0, len, true);
		rig_expect_written(lu, len);
		rig_end(&rig, lu, 0, STATUS_GOOD, len, called);
		peer_expect_response(&peer, 7, STATUS_GOOD, r->residual, 0);
		finish();
	}
}

static void immediate_data_is_written(void)
{
	struct bhs b = peer_write(7, 512, 1, 512);

	begin();
	peer_send_numbered(&peer, &b, rig_pattern());
	rig_expect_written(lu, 512);
	rig_end_good(&rig, lu, 0);
	peer_expect_response(&peer, 7, STATUS_GOOD, 0, 0);
	finish();
}

static void immediate_data_beyond_the_cdb_is_left_alone(void)
{
	struct bhs b = peer_write(7, 2048, 1, 2048);

	begin();
	peer_send_numbered(&peer, &b, rig_pattern());
	rig_expect_written(lu, 512);
	rig_end(&rig, lu, 0, STATUS_GOOD, 512, 512);
	peer_expect_response(&peer, 7, STATUS_GOOD, -1536, 0);
	finish();
}

static void unsolicited_data_follows_immediate_data(void)
{
	struct bhs b = peer_write(7, 2048, 4, 512);

	begin();
	b.final = false;
	peer_send_numbered(&peer, &b, rig_pattern());
	peer_send_data(&peer, 7, ISCSI_NO_TAG, 0, 512, 1024, false);
	CU_ASSERT_EQUAL(lu->count, 0);
	peer_send_data(&peer, 7, ISCSI_NO_TAG, 1, 1536, 512, true);
	rig_expect_written(lu, 2048);
	rig_end_good(&rig, lu, 0);
	peer_expect_response(&peer, 7, STATUS_GOOD, 0, 0);
	finish();
}

static void a_sequence_may_end_with_an_empty_pdu(void)
{
	struct bhs b = peer_write(7, 2048, 4, 0);

	begin();
	b.final = false;
	peer_send_numbered(&peer, &b, NULL);
	peer_send_data(&peer, 7, ISCSI_NO_TAG, 0, 0, 2048, false);
	peer_send_data(&peer, 7, ISCSI_NO_TAG, 1, 2048, 0, true);
	rig_expect_written(lu, 2048);
	rig_end_good(&rig, lu, 0);
	peer_expect_response(&peer, 7, STATUS_GOOD, 0, 0);
	finish();
}

static void a_long_write_is_asked_for_burst_by_burst(void)
{
	struct bhs b = peer_write(7, 16384, 32, 1024);
	uint32_t ttt[4];

	begin();
	b.final = false;
	peer_send_numbered(&peer, &b, rig_pattern());
	peer_send_data(&peer, 7, ISCSI_NO_TAG, 0, 1024, 1024, true);
	ttt[0] = peer_expect_r2t(&peer, 7, 0, 2048, 4096);
	ttt[1] = peer_expect_r2t(&peer, 7, 1, 6144, 4096);
	peer_expect_silence(&peer);
	peer_send_data(&peer, 7, ttt[0], 0, 2048, 2048, false);
	peer_send_data(&peer, 7, ttt[0], 1, 4096, 2048, true);
	ttt[2] = peer_expect_r2t(&peer, 7, 2, 10240, 4096);
	/* Each R2T is a sequence of its own; theirs may be mixed. */
	peer_send_data(&peer, 7, ttt[2], 0, 10240, 4096, true);
	ttt[3] = peer_expect_r2t(&peer, 7, 3, 14336, 2048);
	peer_send_data(&peer, 7, ttt[3], 0, 14336, 1000, false);
	peer_send_data(&peer, 7, ttt[1], 0, 6144, 4096, true);
	CU_ASSERT_EQUAL(lu->count, 0);
	peer_send_data(&peer, 7, ttt[3], 1, 15336, 1048, true);
	rig_expect_written(lu, 16384);
	rig_end_good(&rig, lu, 0);
	peer_expect_response(&peer, 7, STATUS_GOOD, 0, 0);
	finish();
}

static void what_waits_to_be_sent_goes_with_the_connection(void)
{
	struct bhs b = peer_read(7, 1024000, 2000);

	/* More than a socket takes, in several PDUs. */
	begin_with(TEXT(NAMES "\0MaxRecvDataSegmentLength=65536"));
	peer_send_numbered(&peer, &b, NULL);
	rig_end_good(&rig, lu, 0);
	CU_ASSERT_FATAL(peer_get(&peer));
	finish();
}

/* What may be wrong with unsolicited data for a write of 4096 bytes, FirstBurst 2048. */
struct burst {
	uint32_t immediate;
	bool	 final;			/* of the command */
	struct { uint32_t sn, offset, len; bool final; } data[3];
	uint32_t reason;
};

static const struct burst bursts[] = {
	{ 0, false, { { 0, 0, 1024, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 0, false, { { 0, 0, 3072, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 0, false, { { 0, 0, 2048, false }, { 1, 2048, 512, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 0, false, { { 0, 512, 1536, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 0, false, { { 0, 0, 1024, false }, { 1, 512, 1024, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 0, false, { { 1, 0, 2048, true } }, SENSE_CRC_ERROR },
	{ 0, false, { { 0, 0, 1024, false }, { 0, 1024, 1024, true } }, SENSE_CRC_ERROR },
	{ 0, false, { { 0, 0, 1024, false }, { 2, 1024, 1024, true } }, SENSE_CRC_ERROR },
	{ 3072, true, { { 0 } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 3072, false, { { 0, 3072, 0, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
};

static void unsolicited_data_must_be_the_first_burst(void)
{
	for (size_t i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++) {
		const struct burst *u = &bursts[i];
		struct bhs b = peer_write(7, 4096, 8, u->immediate);

		begin();
		b.final = u->final;
		peer_send_numbered(&peer, &b, rig_pattern());
		for (int j = 0; j < 3; j++) {
			if (!u->data[j].len && !u->data[j].final)
				break;
			peer_expect_silence(&peer);
			peer_send_data(&peer, 7, ISCSI_NO_TAG, u->data[j].sn, u->data[j].offset,
				  u->data[j].len, u->data[j].final);
		}
		peer_expect_sense(&peer, 7, u->reason, 4096, 0);
		CU_ASSERT_EQUAL(lu->submitted, 0);
		finish();
	}
}

static void unsolicited_data_must_have_been_agreed_on(void)
{
	struct bhs b = peer_write(7, 1024, 2, 512);

	begin_with(TEXT(NAMES "\0InitialR2T=Yes\0ImmediateData=No"));
	peer_send_numbered(&peer, &b, rig_pattern());
	peer_expect_sense(&peer, 7, SENSE_UNEXPECTED_UNSOLICITED_DATA, 1024, 0);
	b = peer_write(8, 1024, 2, 0);
	b.final = false;
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_silence(&peer);
	peer_send_data(&peer, 8, ISCSI_NO_TAG, 0, 0, 1024, true);
	peer_expect_sense(&peer, 8, SENSE_UNEXPECTED_UNSOLICITED_DATA, 1024, 0);
	/* The command said that none would follow. */
	b = peer_write(9, 1024, 2, 0);
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_r2t(&peer, 9, 0, 0, 1024);
	peer_send_data(&peer, 9, ISCSI_NO_TAG, 0, 0, 1024, true);
	peer_expect_silence(&peer);
	peer_send_data(&peer, 9, 0, 0, 0, 1024, true);
	peer_expect_sense(&peer, 9, SENSE_UNEXPECTED_UNSOLICITED_DATA, 1024, 0);
	CU_ASSERT_EQUAL(lu->submitted, 0);
	finish();
}

static const struct burst answers[] = {
	{ 0, true, { { 0, 0, 512, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 0, true, { { 0, 0, 1024, false }, { 1, 1024, 512, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 0, true, { { 0, 0, 1536, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 0, true, { { 0, 4, 1020, true } }, SENSE_NOT_ENOUGH_UNSOLICITED_DATA },
	{ 0, true, { { 27, 0, 1024, true } }, SENSE_CRC_ERROR },
	{ 0, true, { { 0xffffffff, 0, 1024, true } }, SENSE_CRC_ERROR },
	{ 0, true, { { 1, 512, 512, false }, { 0, 0, 512, true } }, SENSE_CRC_ERROR },
};

static void an_r2t_must_be_answered_as_it_was_asked(void)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct burst *a = &answers[i];
		struct bhs b = peer_write(7, 1024, 2, 0);
		uint32_t ttt;

		begin();
		peer_send_numbered(&peer, &b, NULL);
		ttt = peer_expect_r2t(&peer, 7, 0, 0, 1024);
		for (int j = 0; j < 3 && (a->data[j].len || a->data[j].final); j++) {
			peer_expect_silence(&peer);
			peer_send_data(&peer, 7, ttt, a->data[j].sn, a->data[j].offset, a->data[j].len,
				  a->data[j].final);
		}
		peer_expect_sense(&peer, 7, a->reason, 1024, 0);
		CU_ASSERT_EQUAL(lu->submitted, 0);
		finish();
	}
}

static void a_wrong_transfer_tag_is_rejected(void)
{
	struct bhs b = peer_write(7, 1024, 2, 0);
	struct bhs data = { .op = OP_DATA_OUT, .final = true, .itt = 7, .ttt = 99, .data_len = 1024 };

	begin();
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_r2t(&peer, 7, 0, 0, 1024);
	peer_send(&peer, &data, rig_pattern());
	peer_expect_reject(&peer, &data, 0x09);
	peer_send_data(&peer, 7, 0, 0, 0, 1024, true);
	rig_expect_written(lu, 1024);
	rig_end_good(&rig, lu, 0);
	peer_expect_response(&peer, 7, STATUS_GOOD, 0, 0);
	finish();
}

static void data_for_no_task_is_thrown_away(void)
{
	struct bhs b = peer_read(8, 512, 1);
	struct bhs data = { .op = OP_DATA_OUT, .final = true, .itt = 8, .ttt = 0, .data_len = 512 };

	begin();
	peer_send_data(&peer, 77, 5, 0, 0, 1024, true);
	peer_send_data(&peer, 77, ISCSI_NO_TAG, 0, 0, 1021, true);
	peer_expect_silence(&peer);
	peer_send_numbered(&peer, &b, NULL);
	/* The read is with the logical unit: nothing of it is expected. */
	peer_send(&peer, &data, rig_pattern());
	peer_expect_silence(&peer);
	rig_end_sense(&rig, lu, 0, SENSE_READ_ERROR);
	peer_expect_sense(&peer, 8, SENSE_READ_ERROR, 512, 0);
	finish();
}

static void a_bad_cdb_goes_to_the_unit_without_data(void)
{
	struct bhs b = peer_write(7, 8192, 16, 512);

	begin();
	b.cdb[0] = 0xc1;
	peer_send_numbered(&peer, &b, rig_pattern());
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	CU_ASSERT_EQUAL(lu->task[0]->verdict, CDB_BAD_OPCODE);
	CU_ASSERT_EQUAL(lu->task[0]->data_len, 0);
	rig_end_sense(&rig, lu, 0, SENSE_INVALID_OPCODE);
	peer_expect_sense(&peer, 7, SENSE_INVALID_OPCODE, 8192, 0);
	finish();
}

static void a_unit_that_passes_through_gets_all_data(void)
{
	struct bhs b = peer_write(7, 1000, 1, 0);
	struct rig_lu *far = &rig.lu[1][0];

	begin();
	b.lun = lun_encode(1);
	b.cdb[0] = 0xc1;
	peer_send_numbered(&peer, &b, NULL);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.op, OP_R2T);
	CU_ASSERT_EQUAL(peer.got.lun, lun_encode(1));
	CU_ASSERT_EQUAL(peer.got.desired_len, 1000);
	peer_send_data(&peer, 7, peer.got.ttt, 0, 0, 1000, true);
	CU_ASSERT_EQUAL_FATAL(far->count, 1);
	CU_ASSERT_EQUAL(far->task[0]->cdb.id, CDB_UNKNOWN);
	CU_ASSERT_EQUAL(far->task[0]->wire[0], 0xc1);
	CU_ASSERT_EQUAL(far->task[0]->data_len, 1000);
	rig_end(&rig, far, 0, STATUS_GOOD, 900, 900);
	peer_expect_response(&peer, 7, STATUS_GOOD, -100, 0);
	finish();
}

static void copies_are_not_passed_through(void)
{
	struct bhs b = peer_write(7, 32, 1, 0);

	begin();
	b.lun = lun_encode(1);
	b.cdb[0] = 0x83;
	b.cdb[1] = 0x10;		/* POPULATE TOKEN, for one */
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_sense(&peer, 7, SENSE_INVALID_OPCODE, 32, 0);
	b = peer_write(8, 32, 1, 32);
	b.lun = lun_encode(1);
	b.cdb[0] = 0x83;
	peer_send_numbered(&peer, &b, rig_pattern());
	peer_expect_sense(&peer, 8, SENSE_INVALID_OPCODE, 32, 0);
	CU_ASSERT_EQUAL(rig.lu[1][0].submitted, 0);
	finish();
}

/* To the far unit all initiators here are one: it would keep none of them off another. */
static void reservations_are_not_passed_through(void)
{
	static const uint8_t opcodes[] = { 0x16, 0x17, 0x56, 0x57, 0x5f };	/* RESERVE, RELEASE; PR OUT */
	struct bhs b;

	begin();
	for (uint32_t i = 0; i < sizeof(opcodes); i++) {
		b = peer_write(i, 24, 1, 24);
		b.lun = lun_encode(1);
		b.cdb[0] = opcodes[i];
		b.cdb[1] = 0x1f;	/* no service action that there is */
		peer_send_numbered(&peer, &b, rig_pattern());
		peer_expect_sense(&peer, i, SENSE_INVALID_OPCODE, 24, 0);
	}
	CU_ASSERT_EQUAL(rig.lu[1][0].submitted, 0);
	finish();
}

static void one_block_for_many_must_be_of_our_length(void)
{
	static const uint8_t opcodes[] = { 0x41, 0x93, 0x89 };	/* WRITE SAME, COMPARE AND WRITE */

	begin();
	for (uint32_t i = 0; i < sizeof(opcodes); i++) {
		struct bhs b = peer_write(i, 4096, 1, 4096);

		memset(b.cdb, 0, sizeof(b.cdb));
		b.cdb[0] = opcodes[i];
		b.cdb[opcodes[i] == 0x41 ? 8 : 13] = 1;
		peer_send_numbered(&peer, &b, rig_pattern());
		peer_expect_sense(&peer, i, SENSE_INVALID_FIELD_IN_CDB, 4096, 0);
	}
	CU_ASSERT_EQUAL(lu->submitted, 0);
	finish();
}

static void a_lost_path_is_an_aborted_command(void)
{
	struct bhs b = peer_read(7, 512, 1);

	begin();
	peer_send_numbered(&peer, &b, NULL);
	rig_end(&rig, lu, 0, LU_LOST, 0, 512);
	peer_expect_sense(&peer, 7, SENSE_PROCESS_TERMINATED, 512, 0);
	finish();
}

static void a_read_that_is_flagged_as_a_write_moves_nothing(void)
{
	struct bhs b = peer_read(7, 512, 1);

	begin();
	b.read = false;
	b.write = true;
	b.data_len = 512;
	peer_send_numbered(&peer, &b, rig_pattern());
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	CU_ASSERT_EQUAL(lu->task[0]->data_len, 0);
	rig_end(&rig, lu, 0, STATUS_GOOD, 0, 512);
	peer_expect_response(&peer, 7, STATUS_GOOD, -512, 0);
	finish();
}

static void a_write_without_its_data_is_refused(void)
{
	struct bhs b = peer_write(7, 512, 1, 0);

	begin();
	b.read = true;
	b.write = false;
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_sense(&peer, 7, SENSE_INVALID_FIELD_IN_CDB, 512, 0);
	CU_ASSERT_EQUAL(lu->submitted, 0);
	finish();
}

/* SBC-3 §5.32: no blocks are no error. */
static void data_for_a_write_of_no_blocks_is_left_over(void)
{
	struct bhs b = peer_write(7, 512, 0, 512);
	struct bhs want = { .op = OP_SCSI_RESPONSE, .itt = 7, .underflow = true, .residual = 512 };

	begin();
	peer_send_numbered(&peer, &b, rig_pattern());
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	CU_ASSERT_EQUAL(lu->task[0]->data_len, 0);
	rig_end_good(&rig, lu, 0);
	peer_expect(&peer, &want, NULL, 0);
	finish();
}

static void more_than_the_largest_transfer_is_refused(void)
{
	struct bhs b = peer_write(7, 8192, 16, 512);

	rig_init(&rig);
	rig.conf.max_transfer = 4096;
	rig_start(&rig);
	peer_connect(&peer, &rig, 0);
	peer_log_in(&peer);
	peer_send_numbered(&peer, &b, rig_pattern());
	peer_expect_sense(&peer, 7, SENSE_INVALID_FIELD_IN_CDB, 8192, 0);
	b = peer_read(8, 8192, 16);
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_sense(&peer, 8, SENSE_INVALID_FIELD_IN_CDB, 8192, 0);
	finish();
}

static void commands_wait_for_room_in_order(void)
{
	struct bhs b;

	rig_init(&rig);
	rig.conf.max_bytes = 8192;
	rig_start(&rig);
	peer_connect(&peer, &rig, 0);
	peer_log_in(&peer);
	for (uint32_t i = 0; i < 4; i++) {
		b = peer_read(i, 4096, 8);
		peer_send_numbered(&peer, &b, NULL);
	}
	CU_ASSERT_EQUAL(lu->count, 2);
	b = peer_read(9, 512, 1);
	peer_send_numbered(&peer, &b, NULL);
	CU_ASSERT_EQUAL(lu->count, 2);
	for (uint32_t i = 0; i < 5; i++) {
		rig_end_good(&rig, lu, 0);
		CU_ASSERT_FATAL(peer_get(&peer));
		CU_ASSERT_EQUAL(peer.got.itt, i < 4 ? i : 9);
		rig_turn(&rig);
	}
	finish();
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_read_comes_with_its_status),
	UNIT_TEST(a_long_read_comes_in_sequences_of_max_burst),
	UNIT_TEST(segments_are_whole_words_but_for_the_last),
	UNIT_TEST(a_failed_read_sends_what_it_has_and_then_its_sense),
	UNIT_TEST(reads_have_residuals),
	UNIT_TEST(writes_have_residuals_and_ask_for_no_more_than_there_is),
	UNIT_TEST(immediate_data_is_written),
	UNIT_TEST(immediate_data_beyond_the_cdb_is_left_alone),
	UNIT_TEST(unsolicited_data_follows_immediate_data),
	UNIT_TEST(a_sequence_may_end_with_an_empty_pdu),
	UNIT_TEST(a_long_write_is_asked_for_burst_by_burst),
	UNIT_TEST(what_waits_to_be_sent_goes_with_the_connection),
	UNIT_TEST(unsolicited_data_must_be_the_first_burst),
	UNIT_TEST(unsolicited_data_must_have_been_agreed_on),
	UNIT_TEST(an_r2t_must_be_answered_as_it_was_asked),
	UNIT_TEST(a_wrong_transfer_tag_is_rejected),
	UNIT_TEST(data_for_no_task_is_thrown_away),
	UNIT_TEST(a_bad_cdb_goes_to_the_unit_without_data),
	UNIT_TEST(a_unit_that_passes_through_gets_all_data),
	UNIT_TEST(copies_are_not_passed_through),
	UNIT_TEST(reservations_are_not_passed_through),
	UNIT_TEST(one_block_for_many_must_be_of_our_length),
	UNIT_TEST(a_lost_path_is_an_aborted_command),
	UNIT_TEST(a_read_that_is_flagged_as_a_write_moves_nothing),
	UNIT_TEST(a_write_without_its_data_is_refused),
	UNIT_TEST(data_for_a_write_of_no_blocks_is_left_over),
	UNIT_TEST(more_than_the_largest_transfer_is_refused),
	UNIT_TEST(commands_wait_for_room_in_order),
};

UNIT_MAIN("target_xfer", tests)
