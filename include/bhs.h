/*
 * The 48-byte basic header segment of every iSCSI PDU (RFC 7143 §11.2) as field
 * tables: one struct, one table per opcode, encode, decode and trace from it.
 * Used by both roles.
 *
 * Pure functions on memory.
 */
#ifndef BHS_H
#define BHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BHS_LEN		48
#define ISCSI_NO_TAG	UINT32_C(0xffffffff)	/* reserved ITT and TTT */
#define ISCSI_MAX_AHS	(255 * 4)

/* RFC 7143 §11.2.1.2 */
enum bhs_opcode {
	OP_NOP_OUT = 0x00, OP_SCSI_COMMAND = 0x01, OP_TMF_REQUEST = 0x02, OP_LOGIN_REQUEST = 0x03,
	OP_TEXT_REQUEST = 0x04, OP_DATA_OUT = 0x05, OP_LOGOUT_REQUEST = 0x06, OP_SNACK = 0x10,
	OP_NOP_IN = 0x20, OP_SCSI_RESPONSE = 0x21, OP_TMF_RESPONSE = 0x22, OP_LOGIN_RESPONSE = 0x23,
	OP_TEXT_RESPONSE = 0x24, OP_DATA_IN = 0x25, OP_LOGOUT_RESPONSE = 0x26, OP_R2T = 0x31,
	OP_ASYNC_MESSAGE = 0x32, OP_REJECT = 0x3f,
};

/* RFC 7143 §11.9.1 */
enum async_event {
	ASYNC_SCSI_EVENT = 0, ASYNC_LOGOUT_WANTED = 1, ASYNC_CONNECTION_DROPPED = 2,
	ASYNC_ALL_DROPPED = 3, ASYNC_NEGOTIATION_WANTED = 4,
};

/* One decoded header of any kind: zero where the PDU has no such field. */
struct bhs {
	uint8_t	 op;		/* enum bhs_opcode */
	bool	 immediate;	/* I bit */
	bool	 final;		/* F bit; T of login */
	bool	 cont;		/* C bit of login and text */
	uint8_t	 ahs_words;	/* TotalAHSLength, 4-byte words */
	uint32_t data_len;	/* DataSegmentLength, bytes without padding */
	uint64_t lun;		/* the eight LUN bytes as one number; lun_decode() */
	uint32_t itt, ttt;
	uint32_t cmd_sn, exp_cmd_sn, max_cmd_sn;
	uint32_t stat_sn, exp_stat_sn;
	/* SCSI Command */
	bool	 read, write;
	uint8_t	 attribute;
	uint32_t edtl;		/* Expected Data Transfer Length */
	uint8_t	 cdb[16];	/* not a field: copied by bhs_encode() and bhs_decode() */
	/* SCSI Response, Data-In */
	bool	 bidi_overflow, bidi_underflow, overflow, underflow;
	bool	 acknowledge, has_status;	/* A and S bits of Data-In */
	uint8_t	 response, status;
	uint32_t bidi_residual, residual, exp_data_sn, snack_tag;
	/* Data-In, Data-Out, R2T */
	uint32_t data_sn, offset;	/* DataSN, Buffer Offset */
	uint32_t r2t_sn, desired_len;
	/* TMF */
	uint8_t	 function;
	uint32_t ref_task_tag, ref_cmd_sn;
	/* Login */
	uint8_t	 csg, nsg, version_max, version_min, version_active;
	uint64_t isid;		/* 48 bits */
	uint16_t tsih, cid;
	uint8_t	 status_class, status_detail;
	/* Logout, Reject */
	uint8_t	 reason;
	uint16_t time2wait, time2retain;
	/* SNACK */
	uint8_t	 snack_type;
	uint32_t beg_run, run_len;
	/* Async */
	uint8_t	 async_event, async_vcode;	/* enum async_event */
	uint16_t parameter1, parameter2, parameter3;
};

/* 0, or -1 for an opcode that is not in the table: then only op, immediate, ahs_words,
 * data_len and itt are set. */
int bhs_decode(const uint8_t wire[BHS_LEN], struct bhs *b);

/* The opcode must be one of the table's and every value must fit its field (asserted).
 * Reserved bits are zero. What the RFC fixes is put in whatever *b says: F = 1 where the
 * PDU has no meaning for it, and the reserved ITT of Async Message and Reject. */
void bhs_encode(const struct bhs *b, uint8_t wire[BHS_LEN]);

const char *bhs_op_name(uint8_t op);	/* "SCSI Command", … or "unknown opcode"; never NULL */

/* "SCSI Command itt=0x1 cmd_sn=0x2 …": for traces; terminated, cut to size. */
void bhs_format(const struct bhs *b, char *text, size_t size);

/* Bytes that pad "len" to a multiple of four (RFC 7143 §11.1). */
static inline uint32_t bhs_pad(uint32_t len)
{
	return -len & 3;
}

/* Serial number arithmetic of RFC 1982 on 32 bits (RFC 7143 §4.2.2.1): a < b, a <= b. */
static inline bool sn_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool sn_le(uint32_t a, uint32_t b)
{
	return !sn_lt(b, a);
}

/*
 * LUNs (SAM-5 §4.7): number to the eight bytes and back. Peripheral addressing
 * below 256, flat space up to LUN_MAX. lun_decode() takes both forms of all numbers (logical
 * unit addressing is refused): -1 for what is not a single-level LUN.
 */
#define LUN_MAX	16383
uint64_t lun_encode(uint16_t lun);
int lun_decode(uint64_t wire);

#endif
