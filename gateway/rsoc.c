/*
 * REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS
 * (SPC-4 §6.35, §6.36). The first is answered out of the CDB table, by the same rows
 * and capabilities that decode what comes in: what is reported is what is accepted.
 */
#include <assert.h>

#include "disk_private.h"
#include "field.h"
#include "scsi_data.h"

#define TIMEOUTS_LEN	12

/* Header of all commands. */
struct all_commands {
	uint32_t data_len;	/* of what follows this field */
};

#define FIELD_STRUCT struct all_commands
static const struct field all_commands[] = { FIELD_U32(data_len, 0), FIELD_END };
#undef FIELD_STRUCT
#define ALL_COMMANDS_LEN	4

/* One command descriptor among all. */
struct command_descriptor {
	uint8_t	 opcode;
	uint16_t service_action;
	bool	 ctdp, servactv;	/* timeouts follow; the service action is valid */
	uint16_t cdb_len;
};

#define FIELD_STRUCT struct command_descriptor
static const struct field command_descriptor[] = {
	FIELD_U8(opcode, 0), FIELD_U16(service_action, 2), FIELD_BIT(ctdp, 5, 1),
	FIELD_BIT(servactv, 5, 0), FIELD_U16(cdb_len, 6), FIELD_END
};
#undef FIELD_STRUCT
#define COMMAND_DESCRIPTOR_LEN	8

/* Command timeouts descriptor: zeroes say that no time is promised. */
struct timeouts {
	uint16_t len;
	uint8_t	 command_specific;
	uint32_t nominal, recommended;	/* seconds */
};

#define FIELD_STRUCT struct timeouts
static const struct field timeouts[] = {
	FIELD_U16(len, 0), FIELD_U8(command_specific, 3), FIELD_U32(nominal, 4),
	FIELD_U32(recommended, 8), FIELD_END
};
#undef FIELD_STRUCT

static size_t put_timeouts(uint8_t *wire)
{
	const struct timeouts none = { .len = TIMEOUTS_LEN - 2 };

	field_encode(timeouts, &none, wire);
	return TIMEOUTS_LEN;
}

static size_t put_descriptor(enum cdb_id id, bool rctd, uint8_t *wire)
{
	const struct cdb_row *row = cdb_row(id);
	const struct command_descriptor d = {
		.opcode = row->opcode,
		.service_action = row->sa >= 0 ? (uint16_t)row->sa : 0,
		.servactv = row->sa >= 0,
		.ctdp = rctd,
		.cdb_len = row->len,
	};

	field_encode(command_descriptor, &d, wire);
	return COMMAND_DESCRIPTOR_LEN + (rctd ? put_timeouts(wire + COMMAND_DESCRIPTOR_LEN) : 0);
}

static void report_all(struct disk_lu *disk, struct scsi_task *task)
{
	enum { ROOM = ALL_COMMANDS_LEN + CDB_COUNT * (COMMAND_DESCRIPTOR_LEN + TIMEOUTS_LEN) };
	uint8_t wire[ROOM] = { 0 };
	struct all_commands header;
	size_t at = ALL_COMMANDS_LEN;

	for (int id = CDB_UNKNOWN + 1; id < CDB_COUNT; id++)
		if (cdb_allowed((enum cdb_id)id, disk->lu.caps))
			at += put_descriptor((enum cdb_id)id, task->cdb.rctd, wire + at);
	assert(at <= sizeof(wire));
	header.data_len = (uint32_t)(at - ALL_COMMANDS_LEN);
	field_encode(all_commands, &header, wire);
	disk_reply(disk, task, wire, at, task->cdb.alloc_len);
}

static void report_one(struct disk_lu *disk, struct scsi_task *task, enum cdb_id id)
{
	uint8_t wire[ONE_COMMAND_LEN + CDB_MAX_LEN + TIMEOUTS_LEN] = { 0 };
	struct one_command header = { .support = COMMAND_NOT_SUPPORTED };
	size_t at = ONE_COMMAND_LEN;

	if (id != CDB_UNKNOWN && cdb_allowed(id, disk->lu.caps)) {
		header.support = COMMAND_AS_STANDARD;
		header.cdb_size = (uint16_t)cdb_usage(id, disk->lu.caps, wire + at);
		header.ctdp = task->cdb.rctd;
		at += header.cdb_size;
		if (header.ctdp)
			at += put_timeouts(wire + at);
	}
	one_command_encode(&header, wire);
	disk_reply(disk, task, wire, at, task->cdb.alloc_len);
}

/* A service action is a byte at most in the rows; the field that asks has two. */
static enum cdb_id find(const struct cdb *cdb)
{
	return cdb->requested_sa <= UINT8_MAX ?
		cdb_find(cdb->requested_opcode, (uint8_t)cdb->requested_sa) : CDB_UNKNOWN;
}

/* SPC-4 table 299, REPORTING OPTIONS */
void rsoc_report_opcodes(struct disk_lu *disk, struct scsi_task *task)
{
	const struct cdb *cdb = &task->cdb;
	bool has_sa, known = cdb_opcode_known(cdb->requested_opcode, &has_sa);

	switch (cdb->reporting_options) {
	case REPORTING_ALL:
		report_all(disk, task);
		break;
	case REPORTING_OPCODE:
		if (has_sa)
			disk_refuse_field(disk, task, requested_opcode);
		else
			report_one(disk, task, cdb_find(cdb->requested_opcode, 0));
		break;
	case REPORTING_SERVICE_ACTION:
		if (known && !has_sa)
			disk_refuse_field(disk, task, requested_opcode);
		else
			report_one(disk, task, find(cdb));
		break;
	case REPORTING_EITHER:		/* the service action of a command that has none is 0 */
		if (known && !has_sa && cdb->requested_sa)
			report_one(disk, task, CDB_UNKNOWN);
		else
			report_one(disk, task, find(cdb));
		break;
	default:
		disk_refuse_field(disk, task, reporting_options);
	}
}

struct supported_tmfs {
	bool	ats, atss, ctss, lurs, trs;
	uint8_t additional_len;
};

#define FIELD_STRUCT struct supported_tmfs
static const struct field supported_tmfs[] = {
	FIELD_BIT(ats, 0, 7), FIELD_BIT(atss, 0, 6), FIELD_BIT(ctss, 0, 4), FIELD_BIT(lurs, 0, 3),
	FIELD_BIT(trs, 0, 1), FIELD_U8(additional_len, 3), FIELD_END
};
#undef FIELD_STRUCT
#define SUPPORTED_TMFS_LEN		4
#define SUPPORTED_TMFS_EXTENDED_LEN	16

void rsoc_report_tmfs(struct disk_lu *disk, struct scsi_task *task)
{
	size_t len = task->cdb.repd ? SUPPORTED_TMFS_EXTENDED_LEN : SUPPORTED_TMFS_LEN;
	const struct supported_tmfs tmfs = {
		.ats = true, .atss = true, .ctss = true, .lurs = true, .trs = true,
		.additional_len = (uint8_t)(len - SUPPORTED_TMFS_LEN),
	};
	uint8_t wire[SUPPORTED_TMFS_EXTENDED_LEN] = { 0 };

	field_encode(supported_tmfs, &tmfs, wire);
	disk_reply(disk, task, wire, len, task->cdb.alloc_len);
}
