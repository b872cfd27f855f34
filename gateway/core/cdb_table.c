/*
 * Every CDB that is known here, as data: the only place that knows an opcode, a
 * length or the position of a bit (SPC-4 §6, SBC-3 §5). cdb.c derives all else.
 *
 * What a table does not claim is refused: the bits that the standards made
 * obsolete (RELADR, FUA_NV, SYNC_NV, PMI, CMDDT and the LUN in byte 1 of SCSI-2)
 * are sent by no initiator in use, and to obey them is to guess. CONTROL is
 * claimed by no row; cdb_decode() in cdb.h says why.
 */
#include "cdb_table.h"
#include "field.h"

#define FIELD_STRUCT struct cdb

/* Parts that many CDBs share. The bits of byte 1 come with every block command. */
#define PROTECT		FIELD_CAP(protect, 1, 7, 3, CDB_CAP_PROTECT + 1)
#define DPO		FIELD_CAP(dpo, 1, 4, 1, CDB_CAP_FUA + 1)
#define FUA		FIELD_CAP(fua, 1, 3, 1, CDB_CAP_FUA + 1)
#define BYTCHK		FIELD(bytchk, 1, 2, 2)
#define ANCHOR(bit)	FIELD_CAP(anchor, 1, bit, 1, CDB_CAP_ANCHOR + 1)
#define UNMAP		FIELD_CAP(unmap, 1, 3, 1, CDB_CAP_WRITE_SAME_UNMAP + 1)
#define GROUP(byte)	FIELD(group, byte, 4, 5)
#define RANGE_10	FIELD_U32(lba, 2), GROUP(6), FIELD_U16(blocks, 7)
#define RANGE_12	FIELD_U32(lba, 2), FIELD_U32(blocks, 6), GROUP(10)
#define RANGE_16	FIELD_U64(lba, 2), FIELD_U32(blocks, 10), GROUP(14)
#define PAGE		FIELD(pc, 2, 7, 2), FIELD(page, 2, 5, 6), FIELD_U8(subpage, 3)

static const struct field none[] = { FIELD_END };

/* SBC-3 §5: reads, writes, and what is laid out like them. */
static const struct field access_6[] = { FIELD(lba, 1, 4, 21), FIELD_U8(blocks, 4), FIELD_END };
static const struct field access_10[] = { PROTECT, DPO, FUA, RANGE_10, FIELD_END };
static const struct field access_12[] = { PROTECT, DPO, FUA, RANGE_12, FIELD_END };
static const struct field access_16[] = { PROTECT, DPO, FUA, RANGE_16, FIELD_END };
static const struct field verify_10[] = { PROTECT, DPO, BYTCHK, RANGE_10, FIELD_END };
static const struct field verify_12[] = { PROTECT, DPO, BYTCHK, RANGE_12, FIELD_END };
static const struct field verify_16[] = { PROTECT, DPO, BYTCHK, RANGE_16, FIELD_END };
static const struct field cache_10[] = { FIELD_BIT(immed, 1, 1), RANGE_10, FIELD_END };
static const struct field cache_16[] = { FIELD_BIT(immed, 1, 1), RANGE_16, FIELD_END };
static const struct field compare_and_write[] = {
	PROTECT, DPO, FUA, FIELD_U64(lba, 2), FIELD_U8(blocks, 13), GROUP(14), FIELD_END
};
static const struct field write_same_10[] = { PROTECT, ANCHOR(4), UNMAP, RANGE_10, FIELD_END };
static const struct field write_same_16[] = {
	PROTECT, ANCHOR(4), UNMAP, FIELD_BIT(ndob, 1, 0), RANGE_16, FIELD_END
};

/* SBC-4 */
static const struct field write_atomic_16[] = {
	PROTECT, DPO, FUA, FIELD_U64(lba, 2),
	FIELD_CAP(atomic_boundary, 10, 7, 16, CDB_CAP_ATOMIC_BOUNDARY + 1), FIELD_U16(blocks, 12),
	GROUP(14), FIELD_END
};

/* SBC-3 §5: the rest. */
static const struct field unmap[] = { ANCHOR(0), GROUP(6), FIELD_U16(param_len, 7), FIELD_END };
static const struct field get_lba_status[] = {
	FIELD_U64(lba, 2), FIELD_U32(alloc_len, 10), FIELD_END
};
/* ZNR is for devices with zones. */
static const struct field sanitize[] = {
	FIELD_BIT(immed, 1, 7), FIELD_BIT(ause, 1, 5), FIELD_U16(param_len, 7), FIELD_END
};
static const struct field start_stop_unit[] = {
	FIELD_BIT(immed, 1, 0), FIELD(power_condition, 4, 7, 4), FIELD_BIT(no_flush, 4, 2),
	FIELD_BIT(loej, 4, 1), FIELD_BIT(start, 4, 0), FIELD_END
};
static const struct field read_defect_data_10[] = {
	FIELD_BIT(req_plist, 2, 4), FIELD_BIT(req_glist, 2, 3), FIELD(defect_format, 2, 2, 3),
	FIELD_U16(alloc_len, 7), FIELD_END
};
static const struct field read_defect_data_12[] = {
	FIELD_BIT(req_plist, 1, 4), FIELD_BIT(req_glist, 1, 3), FIELD(defect_format, 1, 2, 3),
	FIELD_U32(alloc_len, 6), FIELD_END
};

/* SPC-4 §6 */
static const struct field request_sense[] = {
	FIELD_BIT(desc, 1, 0), FIELD_U8(alloc_len, 4), FIELD_END
};
static const struct field inquiry[] = {
	FIELD_BIT(evpd, 1, 0), FIELD_U8(page, 2), FIELD_U16(alloc_len, 3), FIELD_END
};
static const struct field mode_select_6[] = {
	FIELD_BIT(pf, 1, 4), FIELD_BIT(sp, 1, 0), FIELD_U8(param_len, 4), FIELD_END
};
static const struct field mode_select_10[] = {
	FIELD_BIT(pf, 1, 4), FIELD_BIT(sp, 1, 0), FIELD_U16(param_len, 7), FIELD_END
};
static const struct field mode_sense_6[] = {
	FIELD_BIT(dbd, 1, 3), PAGE, FIELD_U8(alloc_len, 4), FIELD_END
};
static const struct field mode_sense_10[] = {
	FIELD_BIT(llbaa, 1, 4), FIELD_BIT(dbd, 1, 3), PAGE, FIELD_U16(alloc_len, 7), FIELD_END
};
static const struct field log_sense[] = {
	FIELD_BIT(sp, 1, 0), PAGE, FIELD_U16(parameter_pointer, 5), FIELD_U16(alloc_len, 7),
	FIELD_END
};
static const struct field send_diagnostic[] = {
	FIELD(self_test_code, 1, 7, 3), FIELD_BIT(pf, 1, 4), FIELD_BIT(self_test, 1, 2),
	FIELD_BIT(dev_offline, 1, 1), FIELD_BIT(unit_offline, 1, 0), FIELD_U16(param_len, 3),
	FIELD_END
};
static const struct field prevent_allow[] = { FIELD(prevent, 4, 1, 2), FIELD_END };
static const struct field persistent_reserve_in[] = { FIELD_U16(alloc_len, 7), FIELD_END };
static const struct field persistent_reserve_out[] = {
	FIELD(scope, 2, 7, 4), FIELD(type, 2, 3, 4), FIELD_U32(param_len, 5), FIELD_END
};
static const struct field extended_copy[] = { FIELD_U32(param_len, 10), FIELD_END };
static const struct field receive_copy_results[] = {
	FIELD_U8(list_id, 2), FIELD_U32(alloc_len, 10), FIELD_END
};
static const struct field read_capacity_16[] = { FIELD_U32(alloc_len, 10), FIELD_END };
static const struct field report_luns[] = {
	FIELD_U8(select_report, 2), FIELD_U32(alloc_len, 6), FIELD_END
};
static const struct field report_target_port_groups[] = {
	FIELD(param_data_format, 1, 7, 3), FIELD_U32(alloc_len, 6), FIELD_END
};
static const struct field report_supported_opcodes[] = {
	FIELD_BIT(rctd, 2, 7), FIELD(reporting_options, 2, 2, 3), FIELD_U8(requested_opcode, 3),
	FIELD_U16(requested_sa, 4), FIELD_U32(alloc_len, 6), FIELD_END
};
static const struct field report_supported_tmfs[] = {
	FIELD_BIT(repd, 2, 7), FIELD_U32(alloc_len, 6), FIELD_END
};

/* The rows' vocabulary: service action, direction and payload, capability. */
#define NO_SA		-1
#define NO_DATA		CDB_NO_DATA, CDB_PAYLOAD_NONE
#define ALLOC		CDB_DATA_IN, CDB_PAYLOAD_ALLOC
#define PARAM		CDB_DATA_OUT, CDB_PAYLOAD_PARAM
#define READS		CDB_DATA_IN, CDB_PAYLOAD_BLOCKS
#define WRITES		CDB_DATA_OUT, CDB_PAYLOAD_BLOCKS
#define SAME		CDB_DATA_OUT, CDB_PAYLOAD_SAME
#define VERIFIES	CDB_DATA_OUT, CDB_PAYLOAD_BYTCHK
#define COMPARES	CDB_DATA_OUT, CDB_PAYLOAD_COMPARE
#define CAPACITY	CDB_DATA_IN, CDB_PAYLOAD_CAPACITY
#define ALWAYS		0
#define NEEDS(what)	(CDB_CAP_ ## what + 1)

const struct cdb_row cdb_table[CDB_COUNT] = {
	[CDB_TEST_UNIT_READY] = { "TEST UNIT READY", 0x00, 6, NO_SA, NO_DATA, ALWAYS, none },
	[CDB_REQUEST_SENSE] = { "REQUEST SENSE", 0x03, 6, NO_SA, ALLOC, ALWAYS, request_sense },
	[CDB_READ_6] = { "READ(6)", 0x08, 6, NO_SA, READS, ALWAYS, access_6 },
	[CDB_WRITE_6] = { "WRITE(6)", 0x0a, 6, NO_SA, WRITES, ALWAYS, access_6 },
	[CDB_INQUIRY] = { "INQUIRY", 0x12, 6, NO_SA, ALLOC, ALWAYS, inquiry },
	[CDB_MODE_SELECT_6] = { "MODE SELECT(6)", 0x15, 6, NO_SA, PARAM, ALWAYS, mode_select_6 },
	[CDB_RESERVE_6] = { "RESERVE(6)", 0x16, 6, NO_SA, NO_DATA, NEEDS(RESERVE), none },
	[CDB_RELEASE_6] = { "RELEASE(6)", 0x17, 6, NO_SA, NO_DATA, NEEDS(RESERVE), none },
	[CDB_MODE_SENSE_6] = { "MODE SENSE(6)", 0x1a, 6, NO_SA, ALLOC, ALWAYS, mode_sense_6 },
	[CDB_START_STOP_UNIT] = {
		"START STOP UNIT", 0x1b, 6, NO_SA, NO_DATA, ALWAYS, start_stop_unit },
	[CDB_SEND_DIAGNOSTIC] = {
		"SEND DIAGNOSTIC", 0x1d, 6, NO_SA, PARAM, ALWAYS, send_diagnostic },
	[CDB_PREVENT_ALLOW] = {
		"PREVENT ALLOW MEDIUM REMOVAL", 0x1e, 6, NO_SA, NO_DATA, ALWAYS, prevent_allow },
	[CDB_READ_CAPACITY_10] = { "READ CAPACITY(10)", 0x25, 10, NO_SA, CAPACITY, ALWAYS, none },
	[CDB_READ_10] = { "READ(10)", 0x28, 10, NO_SA, READS, ALWAYS, access_10 },
	[CDB_WRITE_10] = { "WRITE(10)", 0x2a, 10, NO_SA, WRITES, ALWAYS, access_10 },
	[CDB_WRITE_AND_VERIFY_10] = {
		"WRITE AND VERIFY(10)", 0x2e, 10, NO_SA, WRITES, ALWAYS, verify_10 },
	[CDB_VERIFY_10] = { "VERIFY(10)", 0x2f, 10, NO_SA, VERIFIES, ALWAYS, verify_10 },
	[CDB_PRE_FETCH_10] = { "PRE-FETCH(10)", 0x34, 10, NO_SA, NO_DATA, ALWAYS, cache_10 },
	[CDB_SYNCHRONIZE_CACHE_10] = {
		"SYNCHRONIZE CACHE(10)", 0x35, 10, NO_SA, NO_DATA, ALWAYS, cache_10 },
	[CDB_READ_DEFECT_DATA_10] = {
		"READ DEFECT DATA(10)", 0x37, 10, NO_SA, ALLOC, ALWAYS, read_defect_data_10 },
	[CDB_WRITE_SAME_10] = { "WRITE SAME(10)", 0x41, 10, NO_SA, SAME, ALWAYS, write_same_10 },
	[CDB_UNMAP] = { "UNMAP", 0x42, 10, NO_SA, PARAM, NEEDS(UNMAP), unmap },
	[CDB_SANITIZE_OVERWRITE] = {
		"SANITIZE, OVERWRITE", 0x48, 10, 0x01, PARAM, ALWAYS, sanitize },
	[CDB_SANITIZE_BLOCK_ERASE] = {
		"SANITIZE, BLOCK ERASE", 0x48, 10, 0x02, PARAM, NEEDS(ERASE), sanitize },
	[CDB_SANITIZE_CRYPTO_ERASE] = {
		"SANITIZE, CRYPTOGRAPHIC ERASE", 0x48, 10, 0x03, PARAM, NEEDS(ERASE), sanitize },
	[CDB_SANITIZE_EXIT_FAILURE_MODE] = {
		"SANITIZE, EXIT FAILURE MODE", 0x48, 10, 0x1f, PARAM, ALWAYS, sanitize },
	[CDB_LOG_SENSE] = { "LOG SENSE", 0x4d, 10, NO_SA, ALLOC, NEEDS(LOG), log_sense },
	[CDB_MODE_SELECT_10] = {
		"MODE SELECT(10)", 0x55, 10, NO_SA, PARAM, ALWAYS, mode_select_10 },
	[CDB_RESERVE_10] = { "RESERVE(10)", 0x56, 10, NO_SA, NO_DATA, NEEDS(RESERVE), none },
	[CDB_RELEASE_10] = { "RELEASE(10)", 0x57, 10, NO_SA, NO_DATA, NEEDS(RESERVE), none },
	[CDB_MODE_SENSE_10] = { "MODE SENSE(10)", 0x5a, 10, NO_SA, ALLOC, ALWAYS, mode_sense_10 },
	[CDB_PR_IN_READ_KEYS] = {
		"PERSISTENT RESERVE IN, READ KEYS", 0x5e, 10, 0x00,
		ALLOC, NEEDS(PERSISTENT_RESERVE), persistent_reserve_in },
	[CDB_PR_IN_READ_RESERVATION] = {
		"PERSISTENT RESERVE IN, READ RESERVATION", 0x5e, 10, 0x01,
		ALLOC, NEEDS(PERSISTENT_RESERVE), persistent_reserve_in },
	[CDB_PR_IN_REPORT_CAPABILITIES] = {
		"PERSISTENT RESERVE IN, REPORT CAPABILITIES", 0x5e, 10, 0x02,
		ALLOC, NEEDS(PERSISTENT_RESERVE), persistent_reserve_in },
	[CDB_PR_IN_READ_FULL_STATUS] = {
		"PERSISTENT RESERVE IN, READ FULL STATUS", 0x5e, 10, 0x03,
		ALLOC, NEEDS(PERSISTENT_RESERVE), persistent_reserve_in },
	[CDB_PR_OUT_REGISTER] = {
		"PERSISTENT RESERVE OUT, REGISTER", 0x5f, 10, 0x00,
		PARAM, NEEDS(PERSISTENT_RESERVE), persistent_reserve_out },
	[CDB_PR_OUT_RESERVE] = {
		"PERSISTENT RESERVE OUT, RESERVE", 0x5f, 10, 0x01,
		PARAM, NEEDS(PERSISTENT_RESERVE), persistent_reserve_out },
	[CDB_PR_OUT_RELEASE] = {
		"PERSISTENT RESERVE OUT, RELEASE", 0x5f, 10, 0x02,
		PARAM, NEEDS(PERSISTENT_RESERVE), persistent_reserve_out },
	[CDB_PR_OUT_CLEAR] = {
		"PERSISTENT RESERVE OUT, CLEAR", 0x5f, 10, 0x03,
		PARAM, NEEDS(PERSISTENT_RESERVE), persistent_reserve_out },
	[CDB_PR_OUT_PREEMPT] = {
		"PERSISTENT RESERVE OUT, PREEMPT", 0x5f, 10, 0x04,
		PARAM, NEEDS(PERSISTENT_RESERVE), persistent_reserve_out },
	[CDB_PR_OUT_PREEMPT_AND_ABORT] = {
		"PERSISTENT RESERVE OUT, PREEMPT AND ABORT", 0x5f, 10, 0x05,
		PARAM, NEEDS(PERSISTENT_RESERVE), persistent_reserve_out },
	[CDB_PR_OUT_REGISTER_AND_IGNORE] = {
		"PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY", 0x5f, 10, 0x06,
		PARAM, NEEDS(PERSISTENT_RESERVE), persistent_reserve_out },
	[CDB_PR_OUT_REGISTER_AND_MOVE] = {
		"PERSISTENT RESERVE OUT, REGISTER AND MOVE", 0x5f, 10, 0x07,
		PARAM, NEEDS(PERSISTENT_RESERVE), persistent_reserve_out },
	[CDB_EXTENDED_COPY_LID1] = {
		"EXTENDED COPY(LID1)", 0x83, 16, 0x00, PARAM, NEEDS(COPY), extended_copy },
	[CDB_RCR_COPY_STATUS_LID1] = {
		"RECEIVE COPY STATUS(LID1)", 0x84, 16, 0x00,
		ALLOC, NEEDS(COPY), receive_copy_results },
	[CDB_RCR_RECEIVE_DATA_LID1] = {
		"RECEIVE COPY DATA(LID1)", 0x84, 16, 0x01,
		ALLOC, NEEDS(COPY), receive_copy_results },
	[CDB_RCR_OPERATING_PARAMETERS] = {
		"RECEIVE COPY OPERATING PARAMETERS", 0x84, 16, 0x03,
		ALLOC, NEEDS(COPY), receive_copy_results },
	[CDB_RCR_FAILED_SEGMENT_DETAILS] = {
		"RECEIVE COPY FAILURE DETAILS(LID1)", 0x84, 16, 0x04,
		ALLOC, NEEDS(COPY), receive_copy_results },
	[CDB_READ_16] = { "READ(16)", 0x88, 16, NO_SA, READS, ALWAYS, access_16 },
	[CDB_COMPARE_AND_WRITE] = {
		"COMPARE AND WRITE", 0x89, 16, NO_SA, COMPARES, ALWAYS, compare_and_write },
	[CDB_WRITE_16] = { "WRITE(16)", 0x8a, 16, NO_SA, WRITES, ALWAYS, access_16 },
	[CDB_ORWRITE_16] = { "ORWRITE(16)", 0x8b, 16, NO_SA, WRITES, ALWAYS, access_16 },
	[CDB_WRITE_AND_VERIFY_16] = {
		"WRITE AND VERIFY(16)", 0x8e, 16, NO_SA, WRITES, ALWAYS, verify_16 },
	[CDB_VERIFY_16] = { "VERIFY(16)", 0x8f, 16, NO_SA, VERIFIES, ALWAYS, verify_16 },
	[CDB_PRE_FETCH_16] = { "PRE-FETCH(16)", 0x90, 16, NO_SA, NO_DATA, ALWAYS, cache_16 },
	[CDB_SYNCHRONIZE_CACHE_16] = {
		"SYNCHRONIZE CACHE(16)", 0x91, 16, NO_SA, NO_DATA, ALWAYS, cache_16 },
	[CDB_WRITE_SAME_16] = { "WRITE SAME(16)", 0x93, 16, NO_SA, SAME, ALWAYS, write_same_16 },
	[CDB_WRITE_ATOMIC_16] = {
		"WRITE ATOMIC(16)", 0x9c, 16, NO_SA, WRITES, NEEDS(ATOMIC), write_atomic_16 },
	[CDB_READ_CAPACITY_16] = {
		"READ CAPACITY(16)", 0x9e, 16, 0x10, ALLOC, ALWAYS, read_capacity_16 },
	[CDB_GET_LBA_STATUS] = {
		"GET LBA STATUS", 0x9e, 16, 0x12, ALLOC, NEEDS(LBA_STATUS), get_lba_status },
	[CDB_REPORT_LUNS] = { "REPORT LUNS", 0xa0, 12, NO_SA, ALLOC, ALWAYS, report_luns },
	[CDB_REPORT_TARGET_PORT_GROUPS] = {
		"REPORT TARGET PORT GROUPS", 0xa3, 12, 0x0a,
		ALLOC, NEEDS(PORT_GROUPS), report_target_port_groups },
	[CDB_REPORT_SUPPORTED_OPCODES] = {
		"REPORT SUPPORTED OPERATION CODES", 0xa3, 12, 0x0c,
		ALLOC, ALWAYS, report_supported_opcodes },
	[CDB_REPORT_SUPPORTED_TMFS] = {
		"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", 0xa3, 12, 0x0d,
		ALLOC, ALWAYS, report_supported_tmfs },
	[CDB_READ_12] = { "READ(12)", 0xa8, 12, NO_SA, READS, ALWAYS, access_12 },
	[CDB_WRITE_12] = { "WRITE(12)", 0xaa, 12, NO_SA, WRITES, ALWAYS, access_12 },
	[CDB_WRITE_AND_VERIFY_12] = {
		"WRITE AND VERIFY(12)", 0xae, 12, NO_SA, WRITES, ALWAYS, verify_12 },
	[CDB_VERIFY_12] = { "VERIFY(12)", 0xaf, 12, NO_SA, VERIFIES, ALWAYS, verify_12 },
	[CDB_READ_DEFECT_DATA_12] = {
		"READ DEFECT DATA(12)", 0xb7, 12, NO_SA, ALLOC, ALWAYS, read_defect_data_12 },
};
