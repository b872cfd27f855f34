/*
 * SCSI command descriptor blocks: one table (cdb_table.c), and everything that
 * follows from it. Encoding for the initiator side, decoding and validation for
 * the target side, the usage map of REPORT SUPPORTED OPERATION CODES, transfer
 * lengths and traces all read the same rows.
 *
 * Pure functions on memory (SPC-4, SBC-3).
 */
#ifndef CDB_H
#define CDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CDB_MAX_LEN	16	/* of the rows; longer CDBs are only passed through */

/* In the order of (opcode, service action): cdb_table.c asserts it. */
enum cdb_id {
	CDB_UNKNOWN,			/* no row: only the raw bytes say what it is */
	CDB_TEST_UNIT_READY,
	CDB_REQUEST_SENSE,
	CDB_READ_6,
	CDB_WRITE_6,
	CDB_INQUIRY,
	CDB_MODE_SELECT_6,
	CDB_RESERVE_6,
	CDB_RELEASE_6,
	CDB_MODE_SENSE_6,
	CDB_START_STOP_UNIT,
	CDB_SEND_DIAGNOSTIC,
	CDB_PREVENT_ALLOW,
	CDB_READ_CAPACITY_10,
	CDB_READ_10,
	CDB_WRITE_10,
	CDB_WRITE_AND_VERIFY_10,
	CDB_VERIFY_10,
	CDB_PRE_FETCH_10,
	CDB_SYNCHRONIZE_CACHE_10,
	CDB_READ_DEFECT_DATA_10,
	CDB_WRITE_SAME_10,
	CDB_UNMAP,
	CDB_SANITIZE_OVERWRITE,
	CDB_SANITIZE_BLOCK_ERASE,
	CDB_SANITIZE_CRYPTO_ERASE,
	CDB_SANITIZE_EXIT_FAILURE_MODE,
	CDB_LOG_SENSE,
	CDB_MODE_SELECT_10,
	CDB_RESERVE_10,
	CDB_RELEASE_10,
	CDB_MODE_SENSE_10,
	CDB_PR_IN_READ_KEYS,
	CDB_PR_IN_READ_RESERVATION,
	CDB_PR_IN_REPORT_CAPABILITIES,
	CDB_PR_IN_READ_FULL_STATUS,
	CDB_PR_OUT_REGISTER,
	CDB_PR_OUT_RESERVE,
	CDB_PR_OUT_RELEASE,
	CDB_PR_OUT_CLEAR,
	CDB_PR_OUT_PREEMPT,
	CDB_PR_OUT_PREEMPT_AND_ABORT,
	CDB_PR_OUT_REGISTER_AND_IGNORE,
	CDB_PR_OUT_REGISTER_AND_MOVE,
	CDB_EXTENDED_COPY_LID1,
	CDB_RCR_COPY_STATUS_LID1,
	CDB_RCR_RECEIVE_DATA_LID1,
	CDB_RCR_OPERATING_PARAMETERS,
	CDB_RCR_FAILED_SEGMENT_DETAILS,
	CDB_READ_16,
	CDB_COMPARE_AND_WRITE,
	CDB_WRITE_16,
	CDB_ORWRITE_16,
	CDB_WRITE_AND_VERIFY_16,
	CDB_VERIFY_16,
	CDB_PRE_FETCH_16,
	CDB_SYNCHRONIZE_CACHE_16,
	CDB_WRITE_SAME_16,
	CDB_WRITE_ATOMIC_16,
	CDB_READ_CAPACITY_16,
	CDB_GET_LBA_STATUS,
	CDB_REPORT_LUNS,
	CDB_REPORT_TARGET_PORT_GROUPS,
	CDB_REPORT_SUPPORTED_OPCODES,
	CDB_REPORT_SUPPORTED_TMFS,
	CDB_READ_12,
	CDB_WRITE_12,
	CDB_WRITE_AND_VERIFY_12,
	CDB_VERIFY_12,
	CDB_READ_DEFECT_DATA_12,
	CDB_COUNT
};

enum cdb_direction { CDB_NO_DATA, CDB_DATA_IN, CDB_DATA_OUT };

/*
 * What a device server may or may not be able to do. A row or a field of the
 * table names the one it needs; a command whose row needs an absent one is an
 * unknown command, and is not reported as supported.
 */
enum cdb_cap {
	CDB_CAP_UNMAP,		/* UNMAP (42h) */
	CDB_CAP_WRITE_SAME_UNMAP, /* the UNMAP bit of WRITE SAME */
	CDB_CAP_ANCHOR,		/* ANC_SUP */
	CDB_CAP_LBA_STATUS,	/* GET LBA STATUS */
	CDB_CAP_FUA,		/* FUA and DPO bits */
	CDB_CAP_RESERVE,	/* RESERVE and RELEASE (6) and (10) */
	CDB_CAP_PERSISTENT_RESERVE, /* PERSISTENT RESERVE IN and OUT */
	CDB_CAP_COPY,		/* EXTENDED COPY, RECEIVE COPY RESULTS */
	CDB_CAP_LOG,		/* LOG SENSE */
	CDB_CAP_PORT_GROUPS,	/* REPORT TARGET PORT GROUPS */
	CDB_CAP_ERASE,		/* SANITIZE that erases (02h, 03h) rather than overwrites */
	CDB_CAP_ATOMIC,		/* WRITE ATOMIC */
	CDB_CAP_ATOMIC_BOUNDARY, /* ... of several parts, each of which is one */
	CDB_CAP_PROTECT,	/* protection information: RDPROTECT, … other than 0 */
	CDB_CAP_COUNT
};
#define CDB_CAP_BIT(cap)	(UINT32_C(1) << (cap))
#define CDB_CAPS_ALL		(CDB_CAP_BIT(CDB_CAP_COUNT) - 1)

/*
 * One decoded CDB of any kind: a member per field name of the standards, zero
 * where the command has no such field.
 */
struct cdb {
	enum cdb_id id;
	uint64_t lba;
	uint32_t blocks;	/* TRANSFER LENGTH / NUMBER OF BLOCKS, in logical blocks;
				 * the 0 of READ(6) and WRITE(6) is decoded to 256 */
	uint32_t alloc_len;	/* ALLOCATION LENGTH, bytes */
	uint32_t param_len;	/* PARAMETER LIST LENGTH, bytes */
	uint8_t	 protect;	/* RDPROTECT, WRPROTECT, VRPROTECT */
	bool	 dpo, fua;
	uint8_t	 bytchk;	/* VERIFY, WRITE AND VERIFY: 0, 1 or 3 */
	bool	 anchor, unmap, ndob;
	bool	 immed;
	uint8_t	 group;
	bool	 evpd;
	uint8_t	 page, subpage;	/* page code of INQUIRY, MODE SENSE, LOG SENSE */
	uint8_t	 pc;		/* page control of MODE SENSE, LOG SENSE */
	bool	 dbd, llbaa;
	bool	 pf, sp;	/* MODE SELECT, SEND DIAGNOSTIC, LOG SENSE */
	bool	 desc;		/* REQUEST SENSE: descriptor format wanted */
	uint8_t	 select_report;
	bool	 rctd;
	uint8_t	 reporting_options, requested_opcode;
	uint16_t requested_sa;
	bool	 repd;		/* REPORT SUPPORTED TMFS: extended data */
	uint8_t	 power_condition;
	bool	 start, loej, no_flush;
	uint8_t	 prevent;
	uint8_t	 scope, type;	/* PERSISTENT RESERVE OUT */
	uint8_t	 self_test_code;
	bool	 self_test, dev_offline, unit_offline;
	bool	 req_plist, req_glist;
	uint8_t	 defect_format;
	uint8_t	 list_id;	/* third-party copy */
	uint16_t parameter_pointer; /* LOG SENSE */
	uint8_t	 param_data_format; /* REPORT TARGET PORT GROUPS */
	bool	 ause;		/* SANITIZE: EXIT FAILURE MODE may end its failure */
	uint16_t atomic_boundary; /* WRITE ATOMIC, in logical blocks; 0: all of it is one */
};

/* What a command's data is made of: the rule of cdb_transfer_len(). */
enum cdb_payload {
	CDB_PAYLOAD_NONE,
	CDB_PAYLOAD_ALLOC,	/* up to ALLOCATION LENGTH bytes */
	CDB_PAYLOAD_PARAM,	/* PARAMETER LIST LENGTH bytes */
	CDB_PAYLOAD_BLOCKS,	/* every block of the range */
	CDB_PAYLOAD_COMPARE,	/* the range twice: what is expected, what to write */
	CDB_PAYLOAD_SAME,	/* one block for the whole range, none with NDOB */
	CDB_PAYLOAD_BYTCHK,	/* as BYTCHK says: none, the range, one block for all of it */
	CDB_PAYLOAD_CAPACITY,	/* eight bytes, READ CAPACITY(10) */
};

struct cdb_row {
	const char *name;		/* as the standard writes it */
	uint8_t	    opcode;
	uint8_t	    len;		/* 6, 10, 12 or 16 */
	int8_t	    sa;			/* service action, -1 = the opcode has none */
	uint8_t	    direction;		/* enum cdb_direction */
	uint8_t	    payload;		/* enum cdb_payload */
	uint8_t	    cap;		/* enum cdb_cap + 1; 0 = always there */
	const struct field *fields;	/* ends in FIELD_END; opcode and SA are not among them */
};

/* Why a CDB was refused, in the terms of SPC-4 §4.5. */
enum cdb_verdict {
	CDB_OK,
	CDB_BAD_OPCODE,		/* 20/00 INVALID COMMAND OPERATION CODE */
	CDB_BAD_FIELD,		/* 24/00 INVALID FIELD IN CDB, at byte and bit */
};

struct cdb_bad {		/* set for CDB_BAD_FIELD */
	uint16_t byte;
	uint8_t	 bit;
};

/* The row of an id, CDB_UNKNOWN < id < CDB_COUNT. */
const struct cdb_row *cdb_row(enum cdb_id id);

/* The row for (opcode, service action); CDB_UNKNOWN when there is none. sa is
 * ignored for an opcode without service actions. */
enum cdb_id cdb_find(uint8_t opcode, uint8_t sa);

/* Does any row have this opcode, and if so, does it have service actions? */
bool cdb_opcode_known(uint8_t opcode, bool *has_sa);

/*
 * Decode and validate wire[len]. "caps" is a mask of CDB_CAP_BIT()s that the
 * device has. cdb->id and all members are set whenever there is a row, whatever
 * the verdict; otherwise all is zero (CDB_UNKNOWN).
 *
 * CDB_BAD_OPCODE: no row of this opcode is one that the device has. A service
 * action without a row, or one whose capability is absent, is CDB_BAD_FIELD at the
 * service action; a bit that no field claims, or only one whose capability is
 * absent, is CDB_BAD_FIELD there; a wire shorter than the row's length is one at
 * its end. No row claims a bit of the CONTROL byte (SAM-5 §5.2): there is no ACA
 * here, so NACA must be refused, and the rest of it is reserved, obsolete, or
 * vendor specific without a meaning; initiators in use send zero.
 */
enum cdb_verdict cdb_decode(const uint8_t *wire, size_t len, uint32_t caps,
			    struct cdb *cdb, struct cdb_bad *bad);

/* Encode a command that has a row; returns the CDB's length. Every value must fit its
 * field (asserted); 256 blocks fit READ(6) and WRITE(6), 0 do not. */
size_t cdb_encode(const struct cdb *cdb, uint8_t wire[CDB_MAX_LEN]);

/* The CDB USAGE DATA of SPC-4 §6.35 for a row; returns its length. */
size_t cdb_usage(enum cdb_id id, uint32_t caps, uint8_t usage[CDB_MAX_LEN]);

/* Has the row's capability been granted? */
bool cdb_allowed(enum cdb_id id, uint32_t caps);

/* Of this very CDB: no data for WRITE SAME with NDOB, and for VERIFY without BYTCHK. */
enum cdb_direction cdb_direction(const struct cdb *cdb);

/* May the command change what is on the medium? CDB_UNKNOWN may: nobody here knows. */
bool cdb_may_write(const struct cdb *cdb);

/*
 * Does it change what others may do with the unit: MODE SELECT (SWP), reservations, and the
 * end of others' registrations? To a standard's eye it writes nothing, and SBC-3 §4.12 lets it
 * pass where the medium is write-protected. But whoever may only read would keep away
 * those who may write.
 */
bool cdb_rules(const struct cdb *cdb);

/*
 * The bytes that this CDB itself calls for, given the logical block length:
 * blocks of data, or the allocation or parameter list length. COMPARE AND WRITE
 * counts both halves, WRITE SAME one block (none with NDOB), VERIFY only what
 * BYTCHK asks for.
 */
uint64_t cdb_transfer_len(const struct cdb *cdb, uint32_t block_len);

/* How many logical blocks from cdb->lba on the command touches; 0 for none. Where the
 * standard gives 0 a meaning (to the last LBA), this is 0 all the same. */
uint64_t cdb_extent(const struct cdb *cdb);

/* "READ(16) lba=0x800 blocks=8": for traces; terminated, cut to size. */
void cdb_format(const struct cdb *cdb, char *text, size_t size);

#endif
