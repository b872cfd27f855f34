/*
 * CDBs: what follows from the table (cdb_table.c). The target and its interpreter
 * decode and validate, the CDB builder encodes, both ask for lengths and words.
 * Nothing is owned or kept.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "cdb.h"
#include "cdb_table.h"
#include "field.h"

#define SA_BYTE		1	/* SPC-4 §4.3.2: SERVICE ACTION, for all CDBs up to 16 bytes */
#define SA_TOP_BIT	4
#define SA_MASK		0x1f

const struct cdb_row *cdb_row(enum cdb_id id)
{
	assert(id > CDB_UNKNOWN && id < CDB_COUNT);
	return &cdb_table[id];
}

/* The first row of an opcode, or of the next higher one; CDB_COUNT behind the last. The rows
 * are sorted, and six steps are cheaper than a second table of opcodes to keep in step. */
static unsigned lower_bound(uint8_t opcode)
{
	unsigned low = CDB_UNKNOWN + 1, count = CDB_COUNT - low;

	while (count) {
		unsigned half = count / 2;

		if (cdb_table[low + half].opcode < opcode) {
			low += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return low;
}

static bool is_opcode(unsigned id, uint8_t opcode)
{
	return id < CDB_COUNT && cdb_table[id].opcode == opcode;
}

enum cdb_id cdb_find(uint8_t opcode, uint8_t sa)
{
	for (unsigned id = lower_bound(opcode); is_opcode(id, opcode); id++)
		if (cdb_table[id].sa < 0 || cdb_table[id].sa == sa)
			return (enum cdb_id)id;
	return CDB_UNKNOWN;
}

bool cdb_opcode_known(uint8_t opcode, bool *has_sa)
{
	unsigned id = lower_bound(opcode);

	*has_sa = is_opcode(id, opcode) && cdb_table[id].sa >= 0;
	return is_opcode(id, opcode);
}

bool cdb_allowed(enum cdb_id id, uint32_t caps)
{
	uint8_t cap = cdb_row(id)->cap;

	return !cap || caps & CDB_CAP_BIT(cap - 1);
}

/* Every bit that the command evaluates, opcode and service action included. */
static void claim(const struct cdb_row *row, uint32_t caps, uint8_t map[CDB_MAX_LEN])
{
	memset(map, 0, CDB_MAX_LEN);
	map[0] = 0xff;
	if (row->sa >= 0)
		map[SA_BYTE] = SA_MASK;
	field_claim(row->fields, caps, map, row->len);
}

/* SBC-3, READ(6) and WRITE(6): a TRANSFER LENGTH of 0 stands for 256 blocks. */
static bool zero_is_256(const struct cdb_row *row)
{
	return row->len == 6 && row->payload == CDB_PAYLOAD_BLOCKS;
}

static enum cdb_verdict bad_field(struct cdb_bad *bad, size_t byte, uint8_t bit)
{
	bad->byte = (uint16_t)byte;
	bad->bit = bit;
	return CDB_BAD_FIELD;
}

/* No row, or one that this device lacks: is it the opcode, or only the service action? */
static enum cdb_verdict refuse(uint8_t opcode, uint32_t caps, struct cdb_bad *bad)
{
	for (unsigned id = lower_bound(opcode); is_opcode(id, opcode); id++)
		if (cdb_table[id].sa >= 0 && cdb_allowed((enum cdb_id)id, caps))
			return bad_field(bad, SA_BYTE, SA_TOP_BIT);
	return CDB_BAD_OPCODE;
}

enum cdb_verdict cdb_decode(const uint8_t *wire, size_t len, uint32_t caps,
			    struct cdb *cdb, struct cdb_bad *bad)
{
	uint8_t opcode = len > 0 ? wire[0] : 0;
	uint8_t sa = len > SA_BYTE ? wire[SA_BYTE] & SA_MASK : 0;
	uint8_t map[CDB_MAX_LEN];
	const struct cdb_row *row;

	memset(cdb, 0, sizeof(*cdb));
	cdb->id = cdb_find(opcode, sa);
	if (cdb->id == CDB_UNKNOWN)
		return refuse(opcode, caps, bad);
	row = cdb_row(cdb->id);
	field_decode(row->fields, wire, len, cdb);
	if (zero_is_256(row) && !cdb->blocks)
		cdb->blocks = 256;

	if (!cdb_allowed(cdb->id, caps))
		return refuse(opcode, caps, bad);
	if (len < row->len)
		return bad_field(bad, len, 7);
	claim(row, caps, map);
	if (field_unclaimed(map, wire, row->len, &bad->byte, &bad->bit))
		return CDB_BAD_FIELD;
	return CDB_OK;
}

size_t cdb_encode(const struct cdb *cdb, uint8_t wire[CDB_MAX_LEN])
{
	const struct cdb_row *row = cdb_row(cdb->id);
	struct cdb six;

	memset(wire, 0, CDB_MAX_LEN);
	wire[0] = row->opcode;
	if (row->sa >= 0)
		wire[SA_BYTE] = (uint8_t)row->sa;
	if (zero_is_256(row)) {
		assert(cdb->blocks > 0);
		six = *cdb;
		six.blocks = cdb->blocks == 256 ? 0 : cdb->blocks;
		cdb = &six;
	}
	field_encode(row->fields, cdb, wire);
	return row->len;
}

size_t cdb_usage(enum cdb_id id, uint32_t caps, uint8_t usage[CDB_MAX_LEN])
{
	const struct cdb_row *row = cdb_row(id);

	/* Opcode and service action stand for themselves; in the rest 1 = evaluated. */
	claim(row, caps, usage);
	usage[0] = row->opcode;
	if (row->sa >= 0)
		usage[SA_BYTE] = (uint8_t)((usage[SA_BYTE] & ~SA_MASK) | row->sa);
	return row->len;
}

uint64_t cdb_transfer_len(const struct cdb *cdb, uint32_t block_len)
{
	uint64_t range = (uint64_t)cdb->blocks * block_len;

	switch ((enum cdb_payload)cdb_table[cdb->id].payload) {
	case CDB_PAYLOAD_NONE:
		return 0;
	case CDB_PAYLOAD_ALLOC:
		return cdb->alloc_len;
	case CDB_PAYLOAD_PARAM:
		return cdb->param_len;
	case CDB_PAYLOAD_BLOCKS:
		return range;
	case CDB_PAYLOAD_COMPARE:
		return 2 * range;
	case CDB_PAYLOAD_SAME:
		return cdb->ndob ? 0 : block_len;
	case CDB_PAYLOAD_BYTCHK:
		if (cdb->bytchk == 3)
			return cdb->blocks ? block_len : 0;
		return cdb->bytchk == 1 ? range : 0;
	case CDB_PAYLOAD_CAPACITY:
		return 8;
	}
	return 0;
}

bool cdb_may_write(const struct cdb *cdb)
{
	switch ((int)cdb->id) {
	case CDB_UNKNOWN:
	case CDB_WRITE_6:
	case CDB_WRITE_10:
	case CDB_WRITE_12:
	case CDB_WRITE_16:
	case CDB_WRITE_AND_VERIFY_10:
	case CDB_WRITE_AND_VERIFY_12:
	case CDB_WRITE_AND_VERIFY_16:
	case CDB_WRITE_SAME_10:
	case CDB_WRITE_SAME_16:
	case CDB_WRITE_ATOMIC_16:
	case CDB_UNMAP:
	case CDB_SANITIZE_OVERWRITE:
	case CDB_SANITIZE_BLOCK_ERASE:
	case CDB_SANITIZE_CRYPTO_ERASE:
	case CDB_COMPARE_AND_WRITE:
	case CDB_ORWRITE_16:
	case CDB_EXTENDED_COPY_LID1:
		return true;
	}
	return false;
}

/* Who only reads may register: by a reservation for registrants only that is its way to read.
 * What it gives back is its own. */
bool cdb_rules(const struct cdb *cdb)
{
	switch ((int)cdb->id) {
	case CDB_MODE_SELECT_6:
	case CDB_MODE_SELECT_10:
	case CDB_RESERVE_6:
	case CDB_RESERVE_10:
	case CDB_PR_OUT_RESERVE:
	case CDB_PR_OUT_CLEAR:
	case CDB_PR_OUT_PREEMPT:
	case CDB_PR_OUT_PREEMPT_AND_ABORT:
	case CDB_PR_OUT_REGISTER_AND_MOVE:
	case CDB_SANITIZE_EXIT_FAILURE_MODE:
		return true;
	}
	return false;
}

enum cdb_direction cdb_direction(const struct cdb *cdb)
{
	const struct cdb_row *row = &cdb_table[cdb->id];

	if (row->payload == CDB_PAYLOAD_SAME && cdb->ndob)
		return CDB_NO_DATA;
	if (row->payload == CDB_PAYLOAD_BYTCHK && !cdb->bytchk)
		return CDB_NO_DATA;
	return (enum cdb_direction)row->direction;
}

uint64_t cdb_extent(const struct cdb *cdb)
{
	return cdb->blocks;
}

void cdb_format(const struct cdb *cdb, char *text, size_t size)
{
	const struct cdb_row *row = &cdb_table[cdb->id];
	size_t at;

	assert(size > 0);
	if (cdb->id == CDB_UNKNOWN) {
		snprintf(text, size, "unknown CDB");
		return;
	}
	at = (size_t)snprintf(text, size, "%s ", row->name);
	/* Without a field that is not zero, the space goes too. */
	if (at < size && !field_format(row->fields, cdb, text + at, size - at))
		text[at - 1] = '\0';
}
