/*
 * Basic header segments of iSCSI PDUs: a field table per opcode (RFC 7143 §11),
 * and encode, decode and trace over it. The connection code of both roles calls
 * here. Nothing is owned or kept.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bhs.h"
#include "field_inline.h"

#define FIELD_STRUCT struct bhs

#define CDB_OFFSET	32	/* RFC 7143 §11.3.5 */

/* RFC 7143 §11.2.1: where every PDU has it. */
static const struct field common[] = {
	FIELD_BIT(immediate, 0, 6), FIELD(op, 0, 5, 6),
	FIELD_U8(ahs_words, 4), FIELD_U24(data_len, 5), FIELD_U32(itt, 16),
	FIELD_END
};

#define REQUEST_SN	FIELD_U32(cmd_sn, 24), FIELD_U32(exp_stat_sn, 28)
#define RESPONSE_SN	FIELD_U32(stat_sn, 24), FIELD_U32(exp_cmd_sn, 28), FIELD_U32(max_cmd_sn, 32)

/* §11.18 */
static const struct field nop_out[] = {
	FIELD_BIT(final, 1, 7), FIELD_U64(lun, 8), FIELD_U32(ttt, 20), REQUEST_SN, FIELD_END
};

/* §11.3 */
static const struct field scsi_command[] = {
	FIELD_BIT(final, 1, 7), FIELD_BIT(read, 1, 6), FIELD_BIT(write, 1, 5),
	FIELD(attribute, 1, 2, 3),
	FIELD_U64(lun, 8), FIELD_U32(edtl, 20), REQUEST_SN, FIELD_END
};

/* §11.5 */
static const struct field tmf_request[] = {
	FIELD_BIT(final, 1, 7), FIELD(function, 1, 6, 7), FIELD_U64(lun, 8),
	FIELD_U32(ref_task_tag, 20),
	REQUEST_SN, FIELD_U32(ref_cmd_sn, 32), FIELD_U32(exp_data_sn, 36), FIELD_END
};

/* §11.12 */
static const struct field login_request[] = {
	FIELD_BIT(final, 1, 7), FIELD_BIT(cont, 1, 6), FIELD(csg, 1, 3, 2), FIELD(nsg, 1, 1, 2),
	FIELD_U8(version_max, 2), FIELD_U8(version_min, 3), FIELD(isid, 8, 7, 48),
	FIELD_U16(tsih, 14),
	FIELD_U16(cid, 20), REQUEST_SN, FIELD_END
};

/* §11.10 */
static const struct field text_request[] = {
	FIELD_BIT(final, 1, 7), FIELD_BIT(cont, 1, 6), FIELD_U64(lun, 8), FIELD_U32(ttt, 20),
	REQUEST_SN, FIELD_END
};

/* §11.7 */
static const struct field data_out[] = {
	FIELD_BIT(final, 1, 7), FIELD_U64(lun, 8), FIELD_U32(ttt, 20), FIELD_U32(exp_stat_sn, 28),
	FIELD_U32(data_sn, 36), FIELD_U32(offset, 40), FIELD_END
};

/* §11.14 */
static const struct field logout_request[] = {
	FIELD_BIT(final, 1, 7), FIELD(reason, 1, 6, 7), FIELD_U16(cid, 20), REQUEST_SN, FIELD_END
};

/* §11.16 */
static const struct field snack[] = {
	FIELD_BIT(final, 1, 7), FIELD(snack_type, 1, 3, 4), FIELD_U64(lun, 8), FIELD_U32(ttt, 20),
	FIELD_U32(exp_stat_sn, 28), FIELD_U32(beg_run, 40), FIELD_U32(run_len, 44), FIELD_END
};

/* §11.19 */
static const struct field nop_in[] = {
	FIELD_BIT(final, 1, 7), FIELD_U64(lun, 8), FIELD_U32(ttt, 20), RESPONSE_SN, FIELD_END
};

/* §11.4 */
static const struct field scsi_response[] = {
	FIELD_BIT(final, 1, 7), FIELD_BIT(bidi_overflow, 1, 4), FIELD_BIT(bidi_underflow, 1, 3),
	FIELD_BIT(overflow, 1, 2), FIELD_BIT(underflow, 1, 1), FIELD_U8(response, 2),
	FIELD_U8(status, 3),
	FIELD_U32(snack_tag, 20), RESPONSE_SN, FIELD_U32(exp_data_sn, 36),
	FIELD_U32(bidi_residual, 40), FIELD_U32(residual, 44), FIELD_END
};

/* §11.6 */
static const struct field tmf_response[] = {
	FIELD_BIT(final, 1, 7), FIELD_U8(response, 2), RESPONSE_SN, FIELD_END
};

/* §11.13 */
static const struct field login_response[] = {
	FIELD_BIT(final, 1, 7), FIELD_BIT(cont, 1, 6), FIELD(csg, 1, 3, 2), FIELD(nsg, 1, 1, 2),
	FIELD_U8(version_max, 2), FIELD_U8(version_active, 3), FIELD(isid, 8, 7, 48),
	FIELD_U16(tsih, 14),
	RESPONSE_SN, FIELD_U8(status_class, 36), FIELD_U8(status_detail, 37), FIELD_END
};

/* §11.11 */
static const struct field text_response[] = {
	FIELD_BIT(final, 1, 7), FIELD_BIT(cont, 1, 6), FIELD_U64(lun, 8), FIELD_U32(ttt, 20),
	RESPONSE_SN, FIELD_END
};

/* §11.7 */
static const struct field data_in[] = {
	FIELD_BIT(final, 1, 7), FIELD_BIT(acknowledge, 1, 6), FIELD_BIT(overflow, 1, 2),
	FIELD_BIT(underflow, 1, 1), FIELD_BIT(has_status, 1, 0), FIELD_U8(status, 3),
	FIELD_U64(lun, 8),
	FIELD_U32(ttt, 20), RESPONSE_SN, FIELD_U32(data_sn, 36), FIELD_U32(offset, 40),
	FIELD_U32(residual, 44), FIELD_END
};

/* §11.15 */
static const struct field logout_response[] = {
	FIELD_BIT(final, 1, 7), FIELD_U8(response, 2), RESPONSE_SN,
	FIELD_U16(time2wait, 40), FIELD_U16(time2retain, 42), FIELD_END
};

/* §11.8 */
static const struct field r2t[] = {
	FIELD_BIT(final, 1, 7), FIELD_U64(lun, 8), FIELD_U32(ttt, 20), RESPONSE_SN,
	FIELD_U32(r2t_sn, 36), FIELD_U32(offset, 40), FIELD_U32(desired_len, 44), FIELD_END
};

/* §11.9 */
static const struct field async_message[] = {
	FIELD_BIT(final, 1, 7), FIELD_U64(lun, 8), RESPONSE_SN, FIELD_U8(async_event, 36),
	FIELD_U8(async_vcode, 37), FIELD_U16(parameter1, 38), FIELD_U16(parameter2, 40),
	FIELD_U16(parameter3, 42), FIELD_END
};

/* §11.17 */
static const struct field reject[] = {
	FIELD_BIT(final, 1, 7), FIELD_U8(reason, 2), RESPONSE_SN, FIELD_U32(data_sn, 36), FIELD_END
};

/* What the RFC prescribes, so that no caller has to say it. */
enum {
	ALWAYS_FINAL = 1 << 0,	/* byte 1, bit 7 is 1 */
	NO_ITT = 1 << 1,	/* bytes 16 to 19 are ffffffffh */
};

struct bhs_row {
	const char *name;
	const struct field *fields;
	unsigned constants;
};

static const struct bhs_row rows[] = {
	[OP_NOP_OUT] = { "NOP-Out", nop_out, ALWAYS_FINAL },
	[OP_SCSI_COMMAND] = { "SCSI Command", scsi_command, 0 },
	[OP_TMF_REQUEST] = { "Task Management Function Request", tmf_request, ALWAYS_FINAL },
	[OP_LOGIN_REQUEST] = { "Login Request", login_request, 0 },
	[OP_TEXT_REQUEST] = { "Text Request", text_request, 0 },
	[OP_DATA_OUT] = { "Data-Out", data_out, 0 },
	[OP_LOGOUT_REQUEST] = { "Logout Request", logout_request, ALWAYS_FINAL },
	[OP_SNACK] = { "SNACK Request", snack, ALWAYS_FINAL },
	[OP_NOP_IN] = { "NOP-In", nop_in, ALWAYS_FINAL },
	[OP_SCSI_RESPONSE] = { "SCSI Response", scsi_response, ALWAYS_FINAL },
	[OP_TMF_RESPONSE] = { "Task Management Function Response", tmf_response, ALWAYS_FINAL },
	[OP_LOGIN_RESPONSE] = { "Login Response", login_response, 0 },
	[OP_TEXT_RESPONSE] = { "Text Response", text_response, 0 },
	[OP_DATA_IN] = { "Data-In", data_in, 0 },
	[OP_LOGOUT_RESPONSE] = { "Logout Response", logout_response, ALWAYS_FINAL },
	[OP_R2T] = { "R2T", r2t, ALWAYS_FINAL },
	[OP_ASYNC_MESSAGE] = { "Asynchronous Message", async_message, ALWAYS_FINAL | NO_ITT },
	[OP_REJECT] = { "Reject", reject, ALWAYS_FINAL | NO_ITT },
};

static const struct bhs_row *row_of(uint8_t op)
{
	if (op >= sizeof(rows) / sizeof(rows[0]) || !rows[op].name)
		return NULL;
	return &rows[op];
}

/* The PDUs of the data path have code of their own, made from the same tables. */
static void decode_fields(const struct bhs_row *row, const uint8_t *wire, struct bhs *b)
{
	switch (b->op) {
	case OP_SCSI_COMMAND:
		FIELD_DECODE(scsi_command, wire, b);
		break;
	case OP_DATA_OUT:
		FIELD_DECODE(data_out, wire, b);
		break;
	case OP_SCSI_RESPONSE:
		FIELD_DECODE(scsi_response, wire, b);
		break;
	case OP_DATA_IN:
		FIELD_DECODE(data_in, wire, b);
		break;
	default:
		field_decode(row->fields, wire, BHS_LEN, b);
	}
}

static void encode_fields(const struct bhs_row *row, const struct bhs *b, uint8_t *wire)
{
	switch (b->op) {
	case OP_SCSI_COMMAND:
		FIELD_ENCODE(scsi_command, b, wire);
		break;
	case OP_DATA_OUT:
		FIELD_ENCODE(data_out, b, wire);
		break;
	case OP_SCSI_RESPONSE:
		FIELD_ENCODE(scsi_response, b, wire);
		break;
	case OP_DATA_IN:
		FIELD_ENCODE(data_in, b, wire);
		break;
	default:
		field_encode(row->fields, b, wire);
	}
}

int bhs_decode(const uint8_t wire[BHS_LEN], struct bhs *b)
{
	const struct bhs_row *row;

	memset(b, 0, sizeof(*b));
	FIELD_DECODE(common, wire, b);
	row = row_of(b->op);
	if (!row)
		return -1;
	decode_fields(row, wire, b);
	if (b->op == OP_SCSI_COMMAND)
		memcpy(b->cdb, wire + CDB_OFFSET, sizeof(b->cdb));
	return 0;
}

void bhs_encode(const struct bhs *b, uint8_t wire[BHS_LEN])
{
	const struct bhs_row *row = row_of(b->op);

	assert(row);
	memset(wire, 0, BHS_LEN);
	FIELD_ENCODE(common, b, wire);
	encode_fields(row, b, wire);
	if (row->constants & ALWAYS_FINAL)
		wire[1] |= 0x80;
	if (row->constants & NO_ITT)
		put_be32(wire + 16, ISCSI_NO_TAG);
	if (b->op == OP_SCSI_COMMAND)
		memcpy(wire + CDB_OFFSET, b->cdb, sizeof(b->cdb));
}

const char *bhs_op_name(uint8_t op)
{
	const struct bhs_row *row = row_of(op);

	return row ? row->name : "unknown opcode";
}

void bhs_format(const struct bhs *b, char *text, size_t size)
{
	const struct bhs_row *row = row_of(b->op);
	size_t at;

	assert(size > 0);
	at = (size_t)snprintf(text, size, "%s ", bhs_op_name(b->op));
	if (at < size)
		at += field_format(common, b, text + at, size - at);
	if (row && at + 1 < size) {
		text[at++] = ' ';
		field_format(row->fields, b, text + at, size - at);
	}
}

/*
 * SAM-5 §4.7.7.2 and §4.7.7.3: address method 00b (bus 0) and 01b in the top two bits. With other
 * buses than 0, method 00b is how libiscsi (and with it QEMU) and LIO write the numbers above 255:
 * there are no buses behind anybody's target, so that nothing else can be meant.
 */
#define LUN_FLAT_SPACE	UINT64_C(0x4000)

uint64_t lun_encode(uint16_t lun)
{
	assert(lun < 0x4000);
	return (lun < 256 ? lun : LUN_FLAT_SPACE | lun) << 48;
}

int lun_decode(uint64_t wire)
{
	uint64_t top = wire >> 48;

	if (wire & UINT64_C(0xffffffffffff))
		return -1;
	return top < 2 * LUN_FLAT_SPACE ? (int)(top & LUN_MAX) : -1;
}
