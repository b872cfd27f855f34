/*
 * What hosts can learn of EXTENDED COPY: how a copy went (RECEIVE COPY STATUS(LID1), DATA(LID1)
 * and FAILURE DETAILS(LID1), SPC-4 §6.17 to §6.21), and what copies there can be (RECEIVE COPY
 * OPERATING PARAMETERS, and VPD page 8Fh).
 *
 * Records are kept until the nexus goes, a copy with the same list identifier begins, or
 * the room is needed. No segment that we know holds data for the host to fetch.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "disk_private.h"
#include "field.h"
#include "scsi_data.h"

static const uint8_t descriptor_types[] = { SEGMENT_BLOCKS, SEGMENT_BYTES, CSCD_IDENTIFICATION };

/* Records --------------------------------------------------------------------------- */

bool copy_records_ready(struct copy_state *state)
{
	if (!state->records)
		state->records = calloc(COPY_RECORDS, sizeof(*state->records));
	return state->records != NULL;
}

struct copy_record *copy_record_find(struct copy_state *state, const struct nexus *nexus,
				     uint8_t list_id)
{
	for (unsigned i = 0; state->records && nexus && i < COPY_RECORDS; i++)
		if (state->records[i].nexus == nexus && state->records[i].list_id == list_id)
			return &state->records[i];
	return NULL;
}

/* A free record, or the oldest that has ended. */
static struct copy_record *choose(struct copy_state *state)
{
	struct copy_record *oldest = NULL;

	for (unsigned i = 0; i < COPY_RECORDS; i++) {
		struct copy_record *record = &state->records[i];

		if (!record->nexus)
			return record;
		if (!record->running && (!oldest || record->number < oldest->number))
			oldest = record;
	}
	return oldest;
}

struct copy_record *copy_record_new(struct copy_state *state, const struct nexus *nexus,
				    uint8_t list_id)
{
	struct copy_record *record = copy_record_find(state, nexus, list_id);

	_Static_assert(COPY_RECORDS > COPY_MAX_RUNNING, "some record has always ended");
	if (!record)
		record = choose(state);
	assert(nexus && !record->running);
	*record = (struct copy_record){ .nexus = nexus, .list_id = list_id, .running = true };
	return record;
}

void copy_record_forget(struct copy_state *state, const struct nexus *nexus)
{
	for (unsigned i = 0; state->records && i < COPY_RECORDS; i++) {
		if (state->records[i].nexus != nexus)
			continue;
		assert(!state->records[i].running);
		state->records[i].nexus = NULL;
	}
}

/* The record that the command asks after; NULL: there is none, the task is finished. */
static const struct copy_record *asked_for(struct disk_lu *disk, struct scsi_task *task)
{
	const struct copy_record *record =
		copy_record_find(&disk->copies, task->nexus, task->cdb.list_id);

	if (!record)
		disk_refuse_field(disk, task, list_id);
	return record;
}

/* AVAILABLE DATA, at the head of every reply: what follows it. */
#define AVAILABLE_DATA_LEN	4

static void reply(struct disk_lu *disk, struct scsi_task *task, uint8_t *wire, size_t len)
{
	put_be32(wire, (uint32_t)(len - AVAILABLE_DATA_LEN));
	disk_reply(disk, task, wire, len, task->cdb.alloc_len);
}

/* COPY STATUS, SPC-4 §6.21 ----------------------------------------------------------- */

enum copy_command_status { COPY_IN_PROGRESS, COPY_WITHOUT_ERRORS, COPY_WITH_ERRORS };

struct copy_status {
	uint8_t	 status;		/* enum copy_command_status */
	uint16_t segments;
	uint32_t transfer_count;	/* bytes, as TRANSFER COUNT UNITS = 0 says */
};

#define FIELD_STRUCT struct copy_status
static const struct field copy_status[] = {
	FIELD(status, 4, 6, 7), FIELD_U16(segments, 5), FIELD_U32(transfer_count, 8), FIELD_END
};
#undef FIELD_STRUCT
#define COPY_STATUS_LEN		12

static enum copy_command_status command_status(const struct copy_record *record)
{
	if (record->running)
		return COPY_IN_PROGRESS;
	return record->status == STATUS_GOOD ? COPY_WITHOUT_ERRORS : COPY_WITH_ERRORS;
}

void disk_copy_status(struct disk_lu *disk, struct scsi_task *task)
{
	const struct copy_record *record = asked_for(disk, task);
	uint8_t wire[COPY_STATUS_LEN] = { 0 };
	struct copy_status status;

	if (!record)
		return;
	status = (struct copy_status){
		.status = (uint8_t)command_status(record),
		.segments = record->segments,
		.transfer_count = record->bytes,
	};
	field_encode(copy_status, &status, wire);
	reply(disk, task, wire, sizeof(wire));
}

/* COPY DATA, SPC-4 §6.17: none is ever held ------------------------------------------- */

void disk_copy_data(struct disk_lu *disk, struct scsi_task *task)
{
	const struct copy_record *record = asked_for(disk, task);
	uint8_t wire[AVAILABLE_DATA_LEN];

	if (!record)
		return;
	if (record->running)
		disk_refuse_field(disk, task, list_id);
	else
		reply(disk, task, wire, sizeof(wire));
}

/* COPY FAILURE DETAILS, SPC-4 §6.18 --------------------------------------------------- */

struct copy_failure {
	uint8_t	 status;		/* enum copy_command_status */
	uint16_t sense_len;
};

#define FIELD_STRUCT struct copy_failure
static const struct field copy_failure[] = {
	FIELD_U8(status, 56), FIELD_U16(sense_len, 58), FIELD_END
};
#undef FIELD_STRUCT
#define COPY_FAILURE_LEN	60

void disk_copy_failure(struct disk_lu *disk, struct scsi_task *task)
{
	const struct copy_record *record = asked_for(disk, task);
	uint8_t wire[COPY_FAILURE_LEN + SENSE_MAX_LEN] = { 0 };
	struct copy_failure failure;

	if (!record)
		return;
	if (record->running) {
		disk_refuse_field(disk, task, list_id);
		return;
	}
	if (record->status == STATUS_GOOD) {
		reply(disk, task, wire, AVAILABLE_DATA_LEN);
		return;
	}
	failure.status = (uint8_t)command_status(record);
	failure.sense_len = record->sense_len;
	field_encode(copy_failure, &failure, wire);
	memcpy(wire + COPY_FAILURE_LEN, record->sense, record->sense_len);
	reply(disk, task, wire, COPY_FAILURE_LEN + record->sense_len);
}

/* COPY OPERATING PARAMETERS, SPC-4 §6.19 ---------------------------------------------- */

struct copy_parameters {
	bool	 snlid;			/* a copy may go without a list identifier */
	uint16_t max_cscds, max_segments;
	uint32_t max_list, max_segment, max_inline;
	uint32_t total_running, max_running;
	uint8_t	 data_granularity, inline_granularity;	/* exponents of 2, in bytes */
	uint8_t	 types;			/* how many of them follow */
};

static const struct copy_parameters our_parameters = {
	.snlid = true,
	.max_cscds = COPY_MAX_CSCDS,
	.max_segments = COPY_MAX_SEGMENTS,
	.max_list = COPY_MAX_LIST,
	.max_segment = COPY_MAX_SEGMENT,
	.total_running = COPY_MAX_RUNNING,
	.max_running = COPY_MAX_RUNNING,
	.types = sizeof(descriptor_types),
};

#define FIELD_STRUCT struct copy_parameters
static const struct field copy_parameters[] = {
	FIELD_BIT(snlid, 4, 0), FIELD_U16(max_cscds, 8), FIELD_U16(max_segments, 10),
	FIELD_U32(max_list, 12), FIELD_U32(max_segment, 16), FIELD_U32(max_inline, 20),
	FIELD_U16(total_running, 34), FIELD_U8(max_running, 36), FIELD_U8(data_granularity, 37),
	FIELD_U8(inline_granularity, 38), FIELD_U8(types, 43), FIELD_END
};
#define COPY_PARAMETERS_LEN	44

void disk_copy_parameters(struct disk_lu *disk, struct scsi_task *task)
{
	uint8_t wire[COPY_PARAMETERS_LEN + sizeof(descriptor_types)] = { 0 };

	field_encode(copy_parameters, &our_parameters, wire);
	memcpy(wire + COPY_PARAMETERS_LEN, descriptor_types, sizeof(descriptor_types));
	reply(disk, task, wire, sizeof(wire));
}

/* VPD 8Fh Third-Party Copy, SPC-4 §7.8.17 ---------------------------------------------- */

/* The same limits, as they are laid out there. */
static const struct field parameter_data[] = {
	FIELD_U16(max_cscds, 8), FIELD_U16(max_segments, 10), FIELD_U32(max_list, 12),
	FIELD_U32(max_inline, 16), FIELD_END
};
static const struct field general_operations[] = {
	FIELD(total_running, 4, 7, 32), FIELD(max_running, 8, 7, 32), FIELD_U32(max_segment, 12),
	FIELD_U8(data_granularity, 16), FIELD_U8(inline_granularity, 17), FIELD_END
};
#undef FIELD_STRUCT

enum third_party_descriptor {
	SUPPORTED_COMMANDS = 0x0001,
	PARAMETER_DATA = 0x0004,
	SUPPORTED_DESCRIPTORS = 0x0008,
	GENERAL_OPERATIONS = 0x8001,
};
enum { PARAMETER_DATA_LEN = 32, GENERAL_OPERATIONS_LEN = 36 };

struct descriptor_header {
	uint16_t type, len;		/* len: of what follows */
	uint8_t	 list_len;		/* of those descriptors that have a list */
};

#define FIELD_STRUCT struct descriptor_header
static const struct field descriptor_header[] = {
	FIELD_U16(type, 0), FIELD_U16(len, 2), FIELD_END
};
static const struct field list_header[] = {
	FIELD_U16(type, 0), FIELD_U16(len, 2), FIELD_U8(list_len, 4), FIELD_END
};
#undef FIELD_STRUCT
enum { DESCRIPTOR_HEADER_LEN = 4, LIST_HEADER_LEN = 5 };

/* Head the descriptor at "wire", of "len" bytes; returns the length of all of it. */
static size_t head(enum third_party_descriptor type, size_t len, uint8_t *wire)
{
	const struct descriptor_header header = {
		.type = (uint16_t)type, .len = (uint16_t)(len - DESCRIPTOR_HEADER_LEN),
	};

	field_encode(descriptor_header, &header, wire);
	return len;
}

/* The same for a list of that many bytes, padded to words with zeroes that are there. */
static size_t head_list(enum third_party_descriptor type, size_t list_len, uint8_t *wire)
{
	size_t len = (LIST_HEADER_LEN + list_len + 3) & ~(size_t)3;
	const struct descriptor_header header = {
		.type = (uint16_t)type, .len = (uint16_t)(len - DESCRIPTOR_HEADER_LEN),
		.list_len = (uint8_t)list_len,
	};

	assert(list_len <= UINT8_MAX);
	field_encode(list_header, &header, wire);
	return len;
}

/* By opcode: it, the count of its service actions, and they. */
static size_t put_commands(uint8_t *wire)
{
	uint8_t *list = wire + LIST_HEADER_LEN, *count = NULL;
	size_t len = 0;

	for (int id = CDB_UNKNOWN + 1; id < CDB_COUNT; id++) {
		const struct cdb_row *row = cdb_row((enum cdb_id)id);

		if (row->cap != CDB_CAP_COPY + 1)
			continue;
		if (!count || count[-1] != row->opcode) {
			list[len++] = row->opcode;
			count = &list[len++];
			*count = 0;
		}
		list[len++] = (uint8_t)row->sa;
		++*count;
	}
	return head_list(SUPPORTED_COMMANDS, len, wire);
}

size_t disk_vpd_third_party_copy(const struct disk_lu *disk, const struct nexus *nexus,
				 uint8_t *wire)
{
	size_t at = VPD_HEADER_LEN;

	(void)disk;
	(void)nexus;
	at += put_commands(wire + at);
	field_encode(parameter_data, &our_parameters, wire + at);
	at += head(PARAMETER_DATA, PARAMETER_DATA_LEN, wire + at);
	memcpy(wire + at + LIST_HEADER_LEN, descriptor_types, sizeof(descriptor_types));
	at += head_list(SUPPORTED_DESCRIPTORS, sizeof(descriptor_types), wire + at);
	field_encode(general_operations, &our_parameters, wire + at);
	at += head(GENERAL_OPERATIONS, GENERAL_OPERATIONS_LEN, wire + at);
	return vpd_header(wire, 0, VPD_THIRD_PARTY_COPY, at - VPD_HEADER_LEN);
}
