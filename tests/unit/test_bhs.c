/* PDU headers: golden bytes laid out by hand from RFC 7143 §11, round trips, LUNs. */
#include <string.h>

#include "bhs.h"
#include "unit.h"

static const uint8_t opcodes[] = {
	OP_NOP_OUT, OP_SCSI_COMMAND, OP_TMF_REQUEST, OP_LOGIN_REQUEST, OP_TEXT_REQUEST, OP_DATA_OUT,
	OP_LOGOUT_REQUEST, OP_SNACK, OP_NOP_IN, OP_SCSI_RESPONSE, OP_TMF_RESPONSE,
	OP_LOGIN_RESPONSE,
	OP_TEXT_RESPONSE, OP_DATA_IN, OP_LOGOUT_RESPONSE, OP_R2T, OP_ASYNC_MESSAGE, OP_REJECT,
};

#define OPCODES	(sizeof(opcodes) / sizeof(opcodes[0]))

/* A header and its bytes; both ways must agree. */
static void golden(const struct bhs *b, const uint8_t bytes[BHS_LEN])
{
	uint8_t wire[BHS_LEN];
	struct bhs back;

	bhs_encode(b, wire);
	for (unsigned i = 0; i < BHS_LEN; i++)
		CU_ASSERT_EQUAL(wire[i], bytes[i]);
	CU_ASSERT_EQUAL(bhs_decode(bytes, &back), 0);
	bhs_encode(&back, wire);
	CU_ASSERT(!memcmp(wire, bytes, BHS_LEN));
}

static void a_scsi_command_is_laid_out_as_in_11_3(void)
{
	static const uint8_t bytes[BHS_LEN] = {
		0x41, 0xc1, 0, 0, 0, 0, 0x02, 0x00, 0, 1, 0, 0, 0, 0, 0, 0,
		0x11, 0x22, 0x33, 0x44, 0, 0, 0x10, 0x00, 0, 0, 0, 7, 0, 0, 0, 9,
		0x88, 0, 0, 0, 0, 0, 0, 0, 0x08, 0, 0, 0, 0, 8, 0, 0,
	};
	struct bhs b = {
		.op = OP_SCSI_COMMAND, .immediate = true, .final = true, .read = true,
		.attribute = 1,
		.data_len = 0x200, .lun = lun_encode(1), .itt = 0x11223344, .edtl = 0x1000,
		.cmd_sn = 7, .exp_stat_sn = 9, .cdb = { [0] = 0x88, [8] = 0x08, [13] = 8 },
	};

	golden(&b, bytes);
}

static void a_login_request_is_laid_out_as_in_11_12(void)
{
	static const uint8_t bytes[BHS_LEN] = {
		0x43, 0x87, 0, 0, 0, 0, 0x01, 0x2c, 0x80, 0x12, 0x34, 0x56, 0, 7, 0, 0,
		0, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0,
	};
	struct bhs b = {
		.op = OP_LOGIN_REQUEST, .immediate = true, .final = true, .csg = 1, .nsg = 3,
		.data_len = 0x12c, .isid = UINT64_C(0x801234560007), .itt = 5, .cid = 1,
		.cmd_sn = 3,
	};

	golden(&b, bytes);
}

static void a_login_response_is_laid_out_as_in_11_13(void)
{
	static const uint8_t bytes[BHS_LEN] = {
		0x23, 0x40, 0, 0, 0, 0, 0, 4, 0x80, 0x12, 0x34, 0x56, 0, 7, 0xbe, 0xef,
		0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0x42, 2, 1,
	};
	struct bhs b = {
		.op = OP_LOGIN_RESPONSE, .cont = true, .data_len = 4,
		.isid = UINT64_C(0x801234560007),
		.tsih = 0xbeef, .itt = 5, .stat_sn = 1, .exp_cmd_sn = 3, .max_cmd_sn = 0x42,
		.status_class = 2, .status_detail = 1,
	};

	golden(&b, bytes);
}

static void a_scsi_response_is_laid_out_as_in_11_4(void)
{
	static const uint8_t bytes[BHS_LEN] = {
		0x21, 0x82, 0, 2, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5,
		0, 0, 0, 0, 0, 0, 0x02, 0x00,
	};
	struct bhs b = {
		.op = OP_SCSI_RESPONSE, .underflow = true, .status = 2, .data_len = 20, .itt = 1,
		.stat_sn = 2, .exp_cmd_sn = 3, .max_cmd_sn = 4, .exp_data_sn = 5, .residual = 0x200,
	};

	golden(&b, bytes);
}

static void data_in_with_status_is_laid_out_as_in_11_7(void)
{
	static const uint8_t bytes[BHS_LEN] = {
		0x25, 0x83, 0, 0, 0, 0x01, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5,
		0, 0x02, 0x00, 0x00, 0, 0, 0, 16,
	};
	struct bhs b = {
		.op = OP_DATA_IN, .final = true, .underflow = true, .has_status = true,
		.data_len = 0x10000,
		.itt = 1, .ttt = ISCSI_NO_TAG, .stat_sn = 2, .exp_cmd_sn = 3, .max_cmd_sn = 4,
		.data_sn = 5, .offset = 0x20000, .residual = 16,
	};

	golden(&b, bytes);
}

static void data_out_is_laid_out_as_in_11_7(void)
{
	static const uint8_t bytes[BHS_LEN] = {
		0x05, 0x80, 0, 0, 0, 0, 0x20, 0x00, 0x41, 0x2c, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4,
		0, 0, 0x40, 0x00,
	};
	struct bhs b = {
		.op = OP_DATA_OUT, .final = true, .data_len = 0x2000, .lun = lun_encode(300),
		.itt = 1,
		.ttt = 2, .exp_stat_sn = 3, .data_sn = 4, .offset = 0x4000,
	};

	golden(&b, bytes);
}

static void r2t_is_laid_out_as_in_11_8(void)
{
	static const uint8_t bytes[BHS_LEN] = {
		0x31, 0x80, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6,
		0, 0, 0x10, 0x00, 0, 0x04, 0x00, 0x00,
	};
	struct bhs b = {
		.op = OP_R2T, .lun = lun_encode(3), .itt = 1, .ttt = 2, .stat_sn = 3,
		.exp_cmd_sn = 4,
		.max_cmd_sn = 5, .r2t_sn = 6, .offset = 0x1000, .desired_len = 0x40000,
	};

	golden(&b, bytes);
}

static void what_the_rfc_fixes_is_put_in_by_the_encoder(void)
{
	uint8_t wire[BHS_LEN];
	struct bhs b = { .op = OP_ASYNC_MESSAGE, .async_event = 1, .parameter3 = 5 };

	bhs_encode(&b, wire);
	CU_ASSERT_EQUAL(wire[1], 0x80);
	CU_ASSERT_EQUAL(wire[16] & wire[17] & wire[18] & wire[19], 0xff);
	CU_ASSERT_EQUAL(wire[36], 1);
	CU_ASSERT_EQUAL(wire[43], 5);
	b = (struct bhs){ .op = OP_REJECT, .reason = 4 };
	bhs_encode(&b, wire);
	CU_ASSERT_EQUAL(wire[1], 0x80);
	CU_ASSERT_EQUAL(wire[2], 4);
	CU_ASSERT_EQUAL(wire[16] & wire[17] & wire[18] & wire[19], 0xff);
	b = (struct bhs){ .op = OP_LOGOUT_REQUEST, .reason = 1 };
	bhs_encode(&b, wire);
	CU_ASSERT_EQUAL(wire[1], 0x81);
	b = (struct bhs){ .op = OP_DATA_IN };
	bhs_encode(&b, wire);
	CU_ASSERT_EQUAL(wire[1], 0x00);
}

/* Every bit of every opcode: it is either in a field, and then comes back, or reserved. */
static void every_bit_survives_or_is_reserved(void)
{
	uint8_t in[BHS_LEN], out[BHS_LEN], base[BHS_LEN];
	struct bhs b = { .op = 0 };
	unsigned survived = 0;

	for (size_t i = 0; i < OPCODES; i++) {
		b.op = opcodes[i];
		bhs_encode(&b, base);
		for (unsigned at = 8; at < 8 * BHS_LEN; at++) {
			struct bhs seen;

			memcpy(in, base, sizeof(in));
			in[at / 8] ^= (uint8_t)(0x80 >> at % 8);
			CU_ASSERT_EQUAL(bhs_decode(in, &seen), 0);
			bhs_encode(&seen, out);
			CU_ASSERT(!memcmp(out, in, BHS_LEN) || !memcmp(out, base, BHS_LEN));
			survived += !memcmp(out, in, BHS_LEN);
		}
	}
	CU_ASSERT(survived > OPCODES * 100);
}

static void the_cdb_travels_whole(void)
{
	struct bhs b = { .op = OP_SCSI_COMMAND }, back;
	uint8_t wire[BHS_LEN];

	for (unsigned i = 0; i < sizeof(b.cdb); i++)
		b.cdb[i] = (uint8_t)(0xf0 + i);
	bhs_encode(&b, wire);
	CU_ASSERT_EQUAL(bhs_decode(wire, &back), 0);
	CU_ASSERT(!memcmp(back.cdb, b.cdb, sizeof(b.cdb)));
}

static void an_unknown_opcode_is_refused_with_what_all_headers_share(void)
{
	uint8_t wire[BHS_LEN];
	struct bhs b;

	for (unsigned op = 0; op < 0x40; op++) {
		if (memchr(opcodes, (int)op, OPCODES))
			continue;
		memset(wire, 0xff, sizeof(wire));
		wire[0] = (uint8_t)(0x40 | op);
		CU_ASSERT_EQUAL(bhs_decode(wire, &b), -1);
		CU_ASSERT_EQUAL(b.op, op);
		CU_ASSERT_TRUE(b.immediate);
		CU_ASSERT_EQUAL(b.ahs_words, 0xff);
		CU_ASSERT_EQUAL(b.data_len, 0xffffff);
		CU_ASSERT_EQUAL(b.itt, ISCSI_NO_TAG);
		CU_ASSERT_EQUAL(b.lun, 0);
		CU_ASSERT_FALSE(b.final);
	}
	CU_ASSERT_STRING_EQUAL(bhs_op_name(0x1c), "unknown opcode");
	CU_ASSERT_STRING_EQUAL(bhs_op_name(0xff), "unknown opcode");
	CU_ASSERT_STRING_EQUAL(bhs_op_name(OP_R2T), "R2T");
}

static void a_trace_says_what_is_in_the_header(void)
{
	struct bhs b = { .op = OP_TEXT_REQUEST, .itt = 16, .final = true, .cmd_sn = 2 };
	char text[80], cut[80];

	bhs_format(&b, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "Text Request op=4 itt=0x10 final=1 cmd_sn=2");
	for (size_t size = 1; size <= sizeof(cut); size++) {
		bhs_format(&b, cut, size);
		CU_ASSERT(strlen(cut) < size);
		CU_ASSERT(!strncmp(cut, text, strlen(cut)));
	}
}

static void serial_numbers_compare_around_the_wrap(void)
{
	CU_ASSERT_TRUE(sn_lt(0xffffffff, 0));
	CU_ASSERT_FALSE(sn_lt(0, 0xffffffff));
	CU_ASSERT_FALSE(sn_lt(5, 5));
	CU_ASSERT_TRUE(sn_le(5, 5));
	CU_ASSERT_TRUE(sn_le(0xfffffff0, 0x10));
	CU_ASSERT_TRUE(sn_lt(0, 0x7fffffff));
}

static void padding_fills_up_to_four(void)
{
	static const uint32_t pads[] = { 0, 3, 2, 1 };

	for (uint32_t len = 0; len < 64; len++)
		CU_ASSERT_EQUAL(bhs_pad(len), pads[len % 4]);
	CU_ASSERT_EQUAL(bhs_pad(0xffffff), 1);
}

static void every_lun_survives_a_round_trip(void)
{
	for (uint16_t lun = 0; lun < 0x4000; lun++)
		CU_ASSERT_EQUAL(lun_decode(lun_encode(lun)), lun);
	CU_ASSERT_EQUAL(lun_encode(7), UINT64_C(0x0007000000000000));
	CU_ASSERT_EQUAL(lun_encode(255), UINT64_C(0x00ff000000000000));
	CU_ASSERT_EQUAL(lun_encode(256), UINT64_C(0x4100000000000000));
	CU_ASSERT_EQUAL(lun_decode(UINT64_C(0x4007000000000000)), 7);
	/* As libiscsi and LIO have it. */
	CU_ASSERT_EQUAL(lun_decode(UINT64_C(0x0107000000000000)), 0x107);
	CU_ASSERT_EQUAL(lun_decode(UINT64_C(0x3fff000000000000)), LUN_MAX);
}

static void what_is_not_a_single_level_lun_is_refused(void)
{
	/* Logical unit addressing; the well known one for REPORT LUNS. */
	CU_ASSERT_EQUAL(lun_decode(UINT64_C(0x8007000000000000)), -1);
	CU_ASSERT_EQUAL(lun_decode(UINT64_C(0xc101000000000000)), -1);
	for (unsigned bit = 0; bit < 48; bit++)
		CU_ASSERT_EQUAL(lun_decode(UINT64_C(1) << bit), -1);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_scsi_command_is_laid_out_as_in_11_3),
	UNIT_TEST(a_login_request_is_laid_out_as_in_11_12),
	UNIT_TEST(a_login_response_is_laid_out_as_in_11_13),
	UNIT_TEST(a_scsi_response_is_laid_out_as_in_11_4),
	UNIT_TEST(data_in_with_status_is_laid_out_as_in_11_7),
	UNIT_TEST(data_out_is_laid_out_as_in_11_7),
	UNIT_TEST(r2t_is_laid_out_as_in_11_8),
	UNIT_TEST(what_the_rfc_fixes_is_put_in_by_the_encoder),
	UNIT_TEST(every_bit_survives_or_is_reserved),
	UNIT_TEST(the_cdb_travels_whole),
	UNIT_TEST(an_unknown_opcode_is_refused_with_what_all_headers_share),
	UNIT_TEST(a_trace_says_what_is_in_the_header),
	UNIT_TEST(serial_numbers_compare_around_the_wrap),
	UNIT_TEST(padding_fills_up_to_four),
	UNIT_TEST(every_lun_survives_a_round_trip),
	UNIT_TEST(what_is_not_a_single_level_lun_is_refused),
};

UNIT_MAIN("bhs", tests)
