/*
 * SCSI status and sense data (SPC-4 §4.5, SAM-5 §5.3): building what a device
 * server reports, reading what one reported, and saying it in words.
 *
 * Pure functions on memory.
 */
#ifndef SENSE_H
#define SENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SAM-5 §5.3.1, table 25 */
enum scsi_status {
	STATUS_GOOD = 0x00,
	STATUS_CHECK_CONDITION = 0x02,
	STATUS_CONDITION_MET = 0x04,
	STATUS_BUSY = 0x08,
	STATUS_RESERVATION_CONFLICT = 0x18,
	STATUS_TASK_SET_FULL = 0x28,
	STATUS_ACA_ACTIVE = 0x30,
	STATUS_TASK_ABORTED = 0x40,
};

/* SPC-4 §4.5.6, table 47 */
enum sense_key {
	SENSE_KEY_NO_SENSE, SENSE_KEY_RECOVERED_ERROR, SENSE_KEY_NOT_READY,
	SENSE_KEY_MEDIUM_ERROR, SENSE_KEY_HARDWARE_ERROR, SENSE_KEY_ILLEGAL_REQUEST,
	SENSE_KEY_UNIT_ATTENTION, SENSE_KEY_DATA_PROTECT, SENSE_KEY_BLANK_CHECK,
	SENSE_KEY_VENDOR_SPECIFIC, SENSE_KEY_COPY_ABORTED, SENSE_KEY_ABORTED_COMMAND,
	SENSE_KEY_RESERVED, SENSE_KEY_VOLUME_OVERFLOW, SENSE_KEY_MISCOMPARE,
	SENSE_KEY_COMPLETED,
};

/*
 * A sense reason is one number, key << 16 | ASC << 8 | ASCQ, so that "the
 * command failed" is a type of its own, apart from errno. One row each: the
 * symbol, its value, and the text of SPC-4 annex D.
 */
#define SENSE_REASONS(X) \
	X(SENSE_NONE,				0x00000, "NO ADDITIONAL SENSE INFORMATION") \
	X(SENSE_BECOMING_READY,			0x20401, "LOGICAL UNIT IS IN PROCESS OF BECOMING READY") \
	X(SENSE_INIT_REQUIRED,			0x20402, "LOGICAL UNIT NOT READY, INITIALIZING COMMAND REQUIRED") \
	X(SENSE_ALUA_TRANSITION,		0x2040A, "LOGICAL UNIT NOT ACCESSIBLE, ASYMMETRIC ACCESS STATE TRANSITION") \
	X(SENSE_ALUA_STANDBY,			0x2040B, "LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN STANDBY STATE") \
	X(SENSE_ALUA_UNAVAILABLE,		0x2040C, "LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN UNAVAILABLE STATE") \
	X(SENSE_MEDIUM_NOT_PRESENT,		0x23A00, "MEDIUM NOT PRESENT") \
	X(SENSE_WRITE_ERROR,			0x30C00, "WRITE ERROR") \
	X(SENSE_READ_ERROR,			0x31100, "UNRECOVERED READ ERROR") \
	X(SENSE_INTERNAL_TARGET_FAILURE,	0x44400, "INTERNAL TARGET FAILURE") \
	X(SENSE_PARAMETER_LIST_LENGTH,		0x51A00, "PARAMETER LIST LENGTH ERROR") \
	X(SENSE_INVALID_OPCODE,			0x52000, "INVALID COMMAND OPERATION CODE") \
	X(SENSE_LBA_OUT_OF_RANGE,		0x52100, "LOGICAL BLOCK ADDRESS OUT OF RANGE") \
	X(SENSE_INVALID_FIELD_IN_CDB,		0x52400, "INVALID FIELD IN CDB") \
	X(SENSE_LUN_NOT_SUPPORTED,		0x52500, "LOGICAL UNIT NOT SUPPORTED") \
	X(SENSE_INVALID_FIELD_IN_PARAMETERS,	0x52600, "INVALID FIELD IN PARAMETER LIST") \
	X(SENSE_INVALID_RELEASE,		0x52604, "INVALID RELEASE OF PERSISTENT RESERVATION") \
	X(SENSE_SAVING_NOT_SUPPORTED,		0x53900, "SAVING PARAMETERS NOT SUPPORTED") \
	X(SENSE_INSUFFICIENT_REGISTRATION,	0x55504, "INSUFFICIENT REGISTRATION RESOURCES") \
	X(SENSE_POWER_ON_OR_RESET,		0x62900, "POWER ON, RESET, OR BUS DEVICE RESET OCCURRED") \
	X(SENSE_POWER_ON,			0x62901, "POWER ON OCCURRED") \
	X(SENSE_BUS_RESET,			0x62902, "SCSI BUS RESET OCCURRED") \
	X(SENSE_DEVICE_RESET,			0x62903, "BUS DEVICE RESET FUNCTION OCCURRED") \
	X(SENSE_INTERNAL_RESET,			0x62904, "DEVICE INTERNAL RESET") \
	X(SENSE_NEXUS_LOSS,			0x62907, "I_T NEXUS LOSS OCCURRED") \
	X(SENSE_PARAMETERS_CHANGED,		0x62A00, "PARAMETERS CHANGED") \
	X(SENSE_MODE_PARAMETERS_CHANGED,	0x62A01, "MODE PARAMETERS CHANGED") \
	X(SENSE_RESERVATIONS_PREEMPTED,		0x62A03, "RESERVATIONS PREEMPTED") \
	X(SENSE_RESERVATIONS_RELEASED,		0x62A04, "RESERVATIONS RELEASED") \
	X(SENSE_REGISTRATIONS_PREEMPTED,	0x62A05, "REGISTRATIONS PREEMPTED") \
	X(SENSE_ALUA_STATE_CHANGED,		0x62A06, "ASYMMETRIC ACCESS STATE CHANGED") \
	X(SENSE_CAPACITY_CHANGED,		0x62A09, "CAPACITY DATA HAS CHANGED") \
	X(SENSE_COMMANDS_CLEARED,		0x62F00, "COMMANDS CLEARED BY ANOTHER INITIATOR") \
	X(SENSE_SOFT_THRESHOLD,			0x63807, "THIN PROVISIONING SOFT THRESHOLD REACHED") \
	X(SENSE_INQUIRY_CHANGED,		0x63F03, "INQUIRY DATA HAS CHANGED") \
	X(SENSE_LUNS_CHANGED,			0x63F0E, "REPORTED LUNS DATA HAS CHANGED") \
	X(SENSE_WRITE_PROTECTED,		0x72700, "WRITE PROTECTED") \
	X(SENSE_SPACE_ALLOCATION_FAILED,	0x72707, "SPACE ALLOCATION FAILED WRITE PROTECT") \
	X(SENSE_COPY_TARGET_UNREACHABLE,	0xA0D02, "COPY TARGET DEVICE NOT REACHABLE") \
	X(SENSE_ABORTED,			0xB0000, "ABORTED COMMAND") \
	X(SENSE_PROCESS_TERMINATED,		0xB0006, "I/O PROCESS TERMINATED") \
	X(SENSE_CRC_ERROR,			0xB4705, "PROTOCOL SERVICE CRC ERROR") \
	X(SENSE_UNEXPECTED_UNSOLICITED_DATA,	0xB0C0C, "UNEXPECTED UNSOLICITED DATA") \
	X(SENSE_NOT_ENOUGH_UNSOLICITED_DATA,	0xB0C0D, "NOT ENOUGH UNSOLICITED DATA") \
	X(SENSE_MISCOMPARE_VERIFY,		0xE1D00, "MISCOMPARE DURING VERIFY OPERATION")

#define SENSE_ENUM(symbol, value, text) symbol = value,
enum sense_reason { SENSE_REASONS(SENSE_ENUM) };
#undef SENSE_ENUM

#define SENSE_KEY(reason)	((uint8_t)((reason) >> 16 & 0x0f))
#define SENSE_ASC(reason)	((uint8_t)((reason) >> 8))
#define SENSE_ASCQ(reason)	((uint8_t)(reason))
#define SENSE_REASON(key, asc, ascq) \
	((uint32_t)(key) << 16 | (uint32_t)(asc) << 8 | (uint32_t)(ascq))

#define SENSE_MAX_LEN	96	/* what a task keeps */

/* Sense data of either format, decoded. */
struct sense {
	uint32_t reason;	/* SENSE_REASON(); any value off the wire, not only the enum's */
	bool	 deferred;	/* response codes 71h, 73h */
	bool	 has_information;
	uint64_t information;	/* LBA, or what the command defines (MISCOMPARE: byte offset) */
	bool	 has_field;	/* sense-key specific field pointer (ILLEGAL REQUEST) */
	bool	 in_cdb;	/* ... into the CDB rather than the parameter list */
	bool	 has_bit;
	uint8_t	 bit;
	uint16_t byte;
};

/*
 * Build sense data into wire[SENSE_MAX_LEN]: fixed format (70h), or descriptor
 * format (72h) when "descriptor" (D_SENSE) is set. INFORMATION beyond 32 bits is
 * left out of the fixed format with VALID = 0, as SPC-4 §4.5.3 has it. Returns the length.
 */
size_t sense_build(const struct sense *sense, bool descriptor, uint8_t wire[SENSE_MAX_LEN]);

/* Read wire[len] of either format. False when it is no sense data (*sense is then all zero). */
bool sense_parse(const uint8_t *wire, size_t len, struct sense *sense);

/* "MEDIUM ERROR", "ILLEGAL REQUEST", … */
const char *sense_key_name(uint8_t key);

/* The annex D text of a reason, NULL when it is not in the table above. */
const char *sense_reason_text(uint32_t reason);

/* "BUSY", "RESERVATION CONFLICT", … or "unknown status"; static text, never NULL. */
const char *scsi_status_name(uint8_t status);

/*
 * What a person reads: "MEDIUM ERROR 11/00 at LBA 1234 (UNRECOVERED READ ERROR)",
 * "RESERVATION CONFLICT", … from a status and its sense data. Terminated, cut to
 * size; returns text.
 */
char *sense_format(uint8_t status, const uint8_t *wire, size_t len, char *text, size_t size);

#endif
