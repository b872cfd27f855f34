/* CDBs: the whole table both ways, every bit of it, and golden CDBs of real initiators. */
#include <string.h>

#include "cdb.h"
#include "field.h"
#include "unit.h"

#define NEXT(id)	((enum cdb_id)((id) + 1))
#define EVERY(id)	for (enum cdb_id id = NEXT(CDB_UNKNOWN); id < CDB_COUNT; id = NEXT(id))

/* A CDB of this id with the least that must be said. */
static size_t bare(enum cdb_id id, uint8_t wire[CDB_MAX_LEN])
{
	struct cdb cdb = { .id = id };

	if (id == CDB_READ_6 || id == CDB_WRITE_6)
		cdb.blocks = 256;
	return cdb_encode(&cdb, wire);
}

static void the_table_is_complete_and_in_order(void)
{
	EVERY(id) {
		const struct cdb_row *row = cdb_row(id);

		CU_ASSERT_PTR_NOT_NULL_FATAL(row->name);
		CU_ASSERT_PTR_NOT_NULL_FATAL(row->fields);
		CU_ASSERT(row->len == 6 || row->len == 10 || row->len == 12 || row->len == 16);
		/* SPC-4 §4.3.4.2: the group code, opcode bits 7 to 5, implies the length. */
		switch (row->opcode >> 5) {
		case 0:
			CU_ASSERT_EQUAL(row->len, 6);
			break;
		case 1:
		case 2:
			CU_ASSERT_EQUAL(row->len, 10);
			break;
		case 4:
			CU_ASSERT_EQUAL(row->len, 16);
			break;
		case 5:
			CU_ASSERT_EQUAL(row->len, 12);
			break;
		default:
			CU_FAIL("vendor specific or variable length");
		}
		CU_ASSERT(row->cap <= CDB_CAP_COUNT);
		if (id > 1) {
			const struct cdb_row *before = cdb_row((enum cdb_id)(id - 1));

			CU_ASSERT(before->opcode < row->opcode ||
				  (before->opcode == row->opcode && before->sa >= 0 &&
				   before->sa < row->sa));
		}
	}
}

static void data_goes_the_way_that_the_payload_says(void)
{
	EVERY(id) {
		const struct cdb_row *row = cdb_row(id);

		switch ((enum cdb_payload)row->payload) {
		case CDB_PAYLOAD_NONE:
			CU_ASSERT_EQUAL(row->direction, CDB_NO_DATA);
			break;
		case CDB_PAYLOAD_ALLOC:
		case CDB_PAYLOAD_CAPACITY:
			CU_ASSERT_EQUAL(row->direction, CDB_DATA_IN);
			break;
		case CDB_PAYLOAD_PARAM:
		case CDB_PAYLOAD_COMPARE:
		case CDB_PAYLOAD_SAME:
		case CDB_PAYLOAD_BYTCHK:
			CU_ASSERT_EQUAL(row->direction, CDB_DATA_OUT);
			break;
		case CDB_PAYLOAD_BLOCKS:
			CU_ASSERT_EQUAL(row->direction == CDB_DATA_IN,
					!strncmp(row->name, "READ(", 5));
			break;
		}
	}
}

static void no_bit_is_claimed_twice(void)
{
	EVERY(id) {
		uint8_t seen[CDB_MAX_LEN] = { 0xff };
		const struct cdb_row *row = cdb_row(id);

		if (row->sa >= 0)
			seen[1] = 0x1f;
		for (const struct field *f = row->fields; f->name; f++) {
			uint8_t map[CDB_MAX_LEN] = { 0 };

			field_put(f, map, UINT64_MAX);
			for (unsigned i = 0; i < CDB_MAX_LEN; i++) {
				CU_ASSERT_EQUAL(seen[i] & map[i], 0);
				CU_ASSERT(i < row->len - 1u || !map[i]);	/* nor CONTROL */
				seen[i] |= map[i];
			}
		}
	}
}

static void every_opcode_and_service_action_finds_its_row(void)
{
	bool has_sa;

	EVERY(id) {
		const struct cdb_row *row = cdb_row(id);

		for (unsigned sa = 0; sa < 32; sa++)
			if (row->sa < 0 || (unsigned)row->sa == sa)
				CU_ASSERT_EQUAL(cdb_find(row->opcode, (uint8_t)sa), id);
		CU_ASSERT_TRUE(cdb_opcode_known(row->opcode, &has_sa));
		CU_ASSERT_EQUAL(has_sa, row->sa >= 0);
	}
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		bool known = false;

		EVERY(id)
			known |= cdb_row(id)->opcode == opcode;
		CU_ASSERT_EQUAL(cdb_opcode_known((uint8_t)opcode, &has_sa), known);
		CU_ASSERT(known || cdb_find((uint8_t)opcode, 0) == CDB_UNKNOWN);
	}
	CU_ASSERT_EQUAL(cdb_find(0x9e, 0x11), CDB_UNKNOWN);
	CU_ASSERT_EQUAL(cdb_find(0x5e, 0x04), CDB_UNKNOWN);
}

/* One field after the other, filled with a pattern: it must come back, alone, from its place. */
static void every_field_of_every_row_survives_a_round_trip(void)
{
	EVERY(id) {
		const struct cdb_row *row = cdb_row(id);

		for (const struct field *f = row->fields; f->name; f++) {
			uint8_t wire[CDB_MAX_LEN], again[CDB_MAX_LEN];
			uint64_t ones = UINT64_MAX >> (64 - f->width);
			uint64_t value = UINT64_C(0x9a5ac3c3a5a53c3d) & ones;
			struct cdb cdb;
			struct cdb_bad bad;

			CU_ASSERT_EQUAL(bare(id, wire), row->len);
			field_put(f, wire, value);
			CU_ASSERT_EQUAL(cdb_decode(wire, row->len, CDB_CAPS_ALL, &cdb, &bad),
					CDB_OK);
			CU_ASSERT_EQUAL(cdb.id, id);
			CU_ASSERT_EQUAL(cdb_encode(&cdb, again), row->len);
			CU_ASSERT(!memcmp(wire, again, sizeof(wire)));
		}
	}
}

static void every_unclaimed_bit_is_refused_and_named(void)
{
	EVERY(id) {
		uint8_t wire[CDB_MAX_LEN], usage[CDB_MAX_LEN];
		size_t len = cdb_usage(id, CDB_CAPS_ALL, usage);

		for (unsigned at = 8; at < 8 * len; at++) {
			uint8_t mask = (uint8_t)(0x80 >> at % 8);
			bool is_sa = cdb_row(id)->sa >= 0 && at / 8 == 1 && mask < 0x20;
			struct cdb cdb;
			struct cdb_bad bad = { 0, 0 };

			if (is_sa)
				continue;
			bare(id, wire);
			wire[at / 8] |= mask;
			if (usage[at / 8] & mask) {
				CU_ASSERT_EQUAL(cdb_decode(wire, len, CDB_CAPS_ALL, &cdb, &bad),
						CDB_OK);
				continue;
			}
			CU_ASSERT_EQUAL(cdb_decode(wire, len, CDB_CAPS_ALL, &cdb, &bad),
					CDB_BAD_FIELD);
			CU_ASSERT_EQUAL(cdb.id, id);
			CU_ASSERT_EQUAL(bad.byte, at / 8);
			CU_ASSERT_EQUAL(bad.bit, 7 - at % 8);
		}
	}
}

static void a_field_without_its_capability_is_refused_at_its_place(void)
{
	EVERY(id) {
		const struct cdb_row *row = cdb_row(id);

		for (const struct field *f = row->fields; f->name; f++) {
			uint8_t wire[CDB_MAX_LEN], usage[CDB_MAX_LEN];
			uint32_t needs = f->cap ? CDB_CAP_BIT(f->cap - 1) : 0;
			uint32_t caps = CDB_CAPS_ALL & ~needs;
			struct cdb cdb;
			struct cdb_bad bad;

			if (!needs || !cdb_allowed(id, caps))
				continue;
			bare(id, wire);
			CU_ASSERT_EQUAL(cdb_decode(wire, row->len, caps, &cdb, &bad), CDB_OK);
			field_put(f, wire, UINT64_MAX);
			CU_ASSERT_EQUAL(cdb_decode(wire, row->len, caps, &cdb, &bad),
					CDB_BAD_FIELD);
			CU_ASSERT_EQUAL(bad.byte, f->byte);
			CU_ASSERT_EQUAL(bad.bit, f->bit);
			cdb_usage(id, caps, usage);
			CU_ASSERT_EQUAL(field_get(f, usage), 0);
		}
	}
}

static void a_command_without_its_capability_is_unknown(void)
{
	static const struct { enum cdb_id id; enum cdb_cap cap; } alone[] = {
		{ CDB_RESERVE_6, CDB_CAP_RESERVE }, { CDB_RELEASE_10, CDB_CAP_RESERVE },
		{ CDB_UNMAP, CDB_CAP_UNMAP }, { CDB_WRITE_ATOMIC_16, CDB_CAP_ATOMIC }, { CDB_LOG_SENSE, CDB_CAP_LOG },
		{ CDB_PR_IN_READ_KEYS, CDB_CAP_PERSISTENT_RESERVE },
		{ CDB_PR_OUT_CLEAR, CDB_CAP_PERSISTENT_RESERVE },
		{ CDB_EXTENDED_COPY_LID1, CDB_CAP_COPY },
		{ CDB_RCR_OPERATING_PARAMETERS, CDB_CAP_COPY },
	};
	uint8_t wire[CDB_MAX_LEN];
	struct cdb cdb;
	struct cdb_bad bad;

	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
		size_t len = bare(alone[i].id, wire);

		CU_ASSERT_EQUAL(cdb_decode(wire, len, CDB_CAP_BIT(alone[i].cap), &cdb, &bad),
				CDB_OK);
		CU_ASSERT_EQUAL(cdb_decode(wire, len, CDB_CAPS_ALL & ~CDB_CAP_BIT(alone[i].cap),
					   &cdb, &bad),
				CDB_BAD_OPCODE);
		CU_ASSERT_FALSE(cdb_allowed(alone[i].id, 0));
	}
}

static void a_service_action_that_is_not_there_is_named(void)
{
	uint8_t wire[CDB_MAX_LEN];
	struct cdb cdb;
	struct cdb_bad bad;
	size_t len = bare(CDB_READ_CAPACITY_16, wire);

	for (uint8_t sa = 0; sa < 32; sa++) {
		wire[1] = sa;
		if (cdb_find(0x9e, sa) == CDB_READ_CAPACITY_16) {
			CU_ASSERT_EQUAL(cdb_decode(wire, len, 0, &cdb, &bad), CDB_OK);
			continue;
		}
		bad = (struct cdb_bad){ 0, 0 };
		CU_ASSERT_EQUAL(cdb_decode(wire, len, 0, &cdb, &bad), CDB_BAD_FIELD);
		CU_ASSERT_EQUAL(bad.byte, 1);
		CU_ASSERT_EQUAL(bad.bit, 4);
	}
}

static void a_short_cdb_is_refused_at_its_end(void)
{
	EVERY(id) {
		uint8_t wire[CDB_MAX_LEN];
		size_t whole = bare(id, wire);

		for (size_t len = 2; len < whole; len++) {
			struct cdb cdb;
			struct cdb_bad bad = { 0, 0 };

			CU_ASSERT_EQUAL(cdb_decode(wire, len, CDB_CAPS_ALL, &cdb, &bad),
					CDB_BAD_FIELD);
			CU_ASSERT_EQUAL(bad.byte, len);
			CU_ASSERT_EQUAL(bad.bit, 7);
		}
	}
}

static void an_unknown_opcode_is_refused_whatever_follows(void)
{
	uint8_t wire[CDB_MAX_LEN];
	struct cdb cdb;
	struct cdb_bad bad;
	bool has_sa;

	for (unsigned opcode = 0; opcode < 256; opcode++) {
		if (cdb_opcode_known((uint8_t)opcode, &has_sa))
			continue;
		memset(wire, 0xff, sizeof(wire));
		wire[0] = (uint8_t)opcode;
		CU_ASSERT_EQUAL(cdb_decode(wire, sizeof(wire), CDB_CAPS_ALL, &cdb, &bad),
				CDB_BAD_OPCODE);
		CU_ASSERT_EQUAL(cdb.id, CDB_UNKNOWN);
	}
}

static void bytes_behind_the_cdb_do_not_matter(void)
{
	uint8_t wire[CDB_MAX_LEN];
	struct cdb cdb;
	struct cdb_bad bad;

	bare(CDB_READ_10, wire);
	memset(wire + 10, 0xff, 6);
	CU_ASSERT_EQUAL(cdb_decode(wire, sizeof(wire), 0, &cdb, &bad), CDB_OK);
}

static void naca_and_protection_are_refused_by_a_plain_disk(void)
{
	uint8_t wire[CDB_MAX_LEN] = { 0x28, 0x20 };	/* READ(10), RDPROTECT 001b */
	struct cdb cdb;
	struct cdb_bad bad;

	CU_ASSERT_EQUAL(cdb_decode(wire, 10, CDB_CAP_BIT(CDB_CAP_FUA), &cdb, &bad), CDB_BAD_FIELD);
	CU_ASSERT_EQUAL(bad.byte, 1);
	CU_ASSERT_EQUAL(bad.bit, 5);
	wire[1] = 0;
	wire[9] = 0x04;
	CU_ASSERT_EQUAL(cdb_decode(wire, 10, CDB_CAPS_ALL, &cdb, &bad), CDB_BAD_FIELD);
	CU_ASSERT_EQUAL(bad.byte, 9);
	CU_ASSERT_EQUAL(bad.bit, 2);
}

struct sample {
	uint8_t wire[CDB_MAX_LEN];
	struct cdb cdb;
	uint64_t transfer;		/* at 512 bytes per block */
};

/* What Linux, libiscsi and ESXi send, byte by byte as the standards draw it. */
static const struct sample samples[] = {
	{ { 0x08, 0x1f, 0xff, 0xfe, 0x00 },
	  { .id = CDB_READ_6, .lba = 0x1ffffe, .blocks = 256 }, 256 * 512 },
	{ { 0x0a, 0x01, 0x02, 0x03, 0x04 },
	  { .id = CDB_WRITE_6, .lba = 0x010203, .blocks = 4 }, 4 * 512 },
	{ { 0x12, 0x01, 0xb0, 0x01, 0x00 },
	  { .id = CDB_INQUIRY, .evpd = true, .page = 0xb0, .alloc_len = 256 }, 256 },
	{ { 0x03, 0x01, 0, 0, 0xfc },
	  { .id = CDB_REQUEST_SENSE, .desc = true, .alloc_len = 252 }, 252 },
	{ { 0x1a, 0x08, 0x7f, 0xff, 0x40 },
	  { .id = CDB_MODE_SENSE_6, .dbd = true, .pc = 1, .page = 0x3f, .subpage = 0xff,
	    .alloc_len = 64 }, 64 },
	{ { 0x5a, 0x10, 0x08, 0, 0, 0, 0, 0x02, 0x00 },
	  { .id = CDB_MODE_SENSE_10, .llbaa = true, .page = 8, .alloc_len = 512 }, 512 },
	{ { 0x1b, 0x01, 0, 0, 0x32 },
	  { .id = CDB_START_STOP_UNIT, .immed = true, .power_condition = 3, .loej = true }, 0 },
	{ { 0x25 }, { .id = CDB_READ_CAPACITY_10 }, 8 },
	{ { 0x2a, 0x18, 0x12, 0x34, 0x56, 0x78, 0x1f, 0x00, 0x08 },
	  { .id = CDB_WRITE_10, .dpo = true, .fua = true, .lba = 0x12345678, .group = 31,
	    .blocks = 8 }, 4096 },
	{ { 0x2f, 0x02, 0, 0, 0, 1, 0, 0, 2 },
	  { .id = CDB_VERIFY_10, .bytchk = 1, .lba = 1, .blocks = 2 }, 1024 },
	{ { 0x2f, 0x06, 0, 0, 0, 1, 0, 0, 2 },
	  { .id = CDB_VERIFY_10, .bytchk = 3, .lba = 1, .blocks = 2 }, 512 },
	{ { 0x2f, 0x00, 0, 0, 0, 1, 0, 0, 2 }, { .id = CDB_VERIFY_10, .lba = 1, .blocks = 2 }, 0 },
	{ { 0x2e, 0x00, 0, 0, 0, 1, 0, 0, 2 },
	  { .id = CDB_WRITE_AND_VERIFY_10, .lba = 1, .blocks = 2 }, 1024 },
	{ { 0x35, 0x02 }, { .id = CDB_SYNCHRONIZE_CACHE_10, .immed = true }, 0 },
	{ { 0x37, 0, 0x1d, 0, 0, 0, 0, 0, 8 },
	  { .id = CDB_READ_DEFECT_DATA_10, .req_plist = true, .req_glist = true, .defect_format = 5,
	    .alloc_len = 8 }, 8 },
	{ { 0x41, 0x08, 0, 0, 0, 9, 0, 0xff, 0xff },
	  { .id = CDB_WRITE_SAME_10, .unmap = true, .lba = 9, .blocks = 0xffff }, 512 },
	{ { 0x42, 0x01, 0, 0, 0, 0, 0, 0, 24 },
	  { .id = CDB_UNMAP, .anchor = true, .param_len = 24 }, 24 },
	{ { 0x48, 0xa1, 0, 0, 0, 0, 0, 0x02, 0x04 },
	  { .id = CDB_SANITIZE_OVERWRITE, .immed = true, .ause = true, .param_len = 516 }, 516 },
	{ { 0x48, 0x1f, 0, 0, 0, 0, 0, 0, 8 },
	  { .id = CDB_SANITIZE_EXIT_FAILURE_MODE, .param_len = 8 }, 8 },
	{ { 0x4d, 0x01, 0x4c, 0x01, 0, 0x12, 0x34, 0x01, 0x00 },
	  { .id = CDB_LOG_SENSE, .sp = true, .pc = 1, .page = 0x0c, .subpage = 1,
	    .parameter_pointer = 0x1234, .alloc_len = 256 }, 256 },
	{ { 0x5e, 0x03, 0, 0, 0, 0, 0, 0x10, 0x00 },
	  { .id = CDB_PR_IN_READ_FULL_STATUS, .alloc_len = 4096 }, 4096 },
	{ { 0x5f, 0x05, 0x05, 0, 0, 0, 0, 0, 24 },
	  { .id = CDB_PR_OUT_PREEMPT_AND_ABORT, .type = 5, .param_len = 24 }, 24 },
	{ { 0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 76 },
	  { .id = CDB_EXTENDED_COPY_LID1, .param_len = 76 }, 76 },
	{ { 0x84, 0x03, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0 },
	  { .id = CDB_RCR_OPERATING_PARAMETERS, .list_id = 7, .alloc_len = 4096 }, 4096 },
	{ { 0x88, 0xf8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0x10, 0, 0, 0x03 },
	  { .id = CDB_READ_16, .protect = 7, .dpo = true, .fua = true,
	    .lba = UINT64_C(0x0102030405060708), .blocks = 0x100000, .group = 3 },
	  UINT64_C(0x100000) * 512 },
	{ { 0x89, 0x08, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2 },
	  { .id = CDB_COMPARE_AND_WRITE, .fua = true, .lba = 5, .blocks = 2 }, 2048 },
	{ { 0x93, 0x09, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 1, 0 },
	  { .id = CDB_WRITE_SAME_16, .unmap = true, .ndob = true, .lba = 5, .blocks = 256 }, 0 },
	{ { 0x93, 0x18, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 1, 0 },
	  { .id = CDB_WRITE_SAME_16, .anchor = true, .unmap = true, .lba = 5, .blocks = 256 },
	  512 },
	{ { 0x9c, 0x08, 0, 0, 0, 0, 0, 0, 0, 5, 0x01, 0x02, 0x03, 0x04, 0x1f },
	  { .id = CDB_WRITE_ATOMIC_16, .fua = true, .lba = 5, .atomic_boundary = 0x0102,
	    .blocks = 0x0304, .group = 31 }, 0x0304 * 512 },
	{ { 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32 },
	  { .id = CDB_READ_CAPACITY_16, .alloc_len = 32 }, 32 },
	{ { 0x9e, 0x12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 24 },
	  { .id = CDB_GET_LBA_STATUS, .lba = UINT64_C(0x100000000), .alloc_len = 24 }, 24 },
	{ { 0xa0, 0, 2, 0, 0, 0, 0, 0, 0x10, 0 },
	  { .id = CDB_REPORT_LUNS, .select_report = 2, .alloc_len = 4096 }, 4096 },
	{ { 0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 4, 0 },
	  { .id = CDB_REPORT_TARGET_PORT_GROUPS, .param_data_format = 1, .alloc_len = 1024 },
	  1024 },
	{ { 0xa3, 0x0c, 0x83, 0x9e, 0, 0x12, 0, 0, 2, 0 },
	  { .id = CDB_REPORT_SUPPORTED_OPCODES, .rctd = true, .reporting_options = 3,
	    .requested_opcode = 0x9e, .requested_sa = 0x12, .alloc_len = 512 }, 512 },
	{ { 0xa8, 0x08, 0, 0, 1, 0, 0, 0, 0, 16 },
	  { .id = CDB_READ_12, .fua = true, .lba = 256, .blocks = 16 }, 8192 },
	{ { 0xb7, 0x0c, 0, 0, 0, 0, 0, 0, 0, 8 },
	  { .id = CDB_READ_DEFECT_DATA_12, .req_glist = true, .defect_format = 4, .alloc_len = 8 },
	  8 },
};

static void real_cdbs_mean_what_the_standard_says(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		uint8_t wire[CDB_MAX_LEN], again[CDB_MAX_LEN];
		struct cdb cdb;
		struct cdb_bad bad;

		CU_ASSERT_EQUAL(cdb_encode(&s->cdb, wire), cdb_row(s->cdb.id)->len);
		CU_ASSERT(!memcmp(wire, s->wire, sizeof(wire)));
		CU_ASSERT_EQUAL(cdb_decode(s->wire, sizeof(s->wire), CDB_CAPS_ALL, &cdb, &bad),
				CDB_OK);
		CU_ASSERT_EQUAL(cdb.id, s->cdb.id);
		cdb_encode(&cdb, again);
		CU_ASSERT(!memcmp(again, s->wire, sizeof(again)));
		CU_ASSERT_EQUAL(cdb_transfer_len(&cdb, 512), s->transfer);
		CU_ASSERT_EQUAL(cdb_extent(&cdb), s->cdb.blocks);
		CU_ASSERT_EQUAL(cdb_direction(&cdb) == CDB_NO_DATA, s->transfer == 0);
	}
}

static void lengths_do_not_overflow(void)
{
	struct cdb cdb = { .id = CDB_WRITE_16, .blocks = UINT32_MAX };

	CU_ASSERT_EQUAL(cdb_transfer_len(&cdb, 65536), UINT64_C(0xffffffff0000));
	CU_ASSERT_EQUAL(cdb_direction(&cdb), CDB_DATA_OUT);
	cdb = (struct cdb){ .id = CDB_UNKNOWN };
	CU_ASSERT_EQUAL(cdb_transfer_len(&cdb, 512), 0);
	CU_ASSERT_EQUAL(cdb_extent(&cdb), 0);
	CU_ASSERT_EQUAL(cdb_direction(&cdb), CDB_NO_DATA);
}

static void a_usage_map_says_what_is_evaluated(void)
{
	static const uint8_t read_16[] = {
		0x88, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0x00,
	};
	static const uint8_t lba_status[] = {
		0x9e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00,
	};
	static const uint8_t port_groups[] = {
		0xa3, 0xea, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00,
	};
	uint8_t usage[CDB_MAX_LEN];

	CU_ASSERT_EQUAL(cdb_usage(CDB_READ_16, CDB_CAP_BIT(CDB_CAP_FUA), usage), 16);
	CU_ASSERT(!memcmp(usage, read_16, sizeof(read_16)));
	CU_ASSERT_EQUAL(cdb_usage(CDB_READ_16, 0, usage), 16);
	CU_ASSERT_EQUAL(usage[1], 0);
	CU_ASSERT_EQUAL(cdb_usage(CDB_GET_LBA_STATUS, CDB_CAPS_ALL, usage), 16);
	CU_ASSERT(!memcmp(usage, lba_status, sizeof(lba_status)));
	CU_ASSERT_EQUAL(cdb_usage(CDB_REPORT_TARGET_PORT_GROUPS, 0, usage), 12);
	CU_ASSERT(!memcmp(usage, port_groups, sizeof(port_groups)));
	cdb_usage(CDB_WRITE_SAME_16, CDB_CAP_BIT(CDB_CAP_WRITE_SAME_UNMAP), usage);
	CU_ASSERT_EQUAL(usage[1], 0x09);
	cdb_usage(CDB_WRITE_SAME_16, 0, usage);
	CU_ASSERT_EQUAL(usage[1], 0x01);
}

static void a_trace_names_the_command_and_what_is_not_zero(void)
{
	struct cdb cdb = { .id = CDB_READ_16, .lba = 0x800, .blocks = 8 };
	char text[64], cut[64];

	cdb_format(&cdb, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "READ(16) lba=0x800 blocks=8");
	for (size_t size = 1; size <= sizeof(cut); size++) {
		cdb_format(&cdb, cut, size);
		CU_ASSERT(strlen(cut) < size);
		CU_ASSERT(!strncmp(cut, text, strlen(cut)));
	}
	cdb = (struct cdb){ .id = CDB_TEST_UNIT_READY };
	cdb_format(&cdb, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "TEST UNIT READY");
	cdb = (struct cdb){ .id = CDB_UNKNOWN };
	cdb_format(&cdb, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "unknown CDB");
}

static const struct unit_test tests[] = {
	UNIT_TEST(the_table_is_complete_and_in_order),
	UNIT_TEST(data_goes_the_way_that_the_payload_says),
	UNIT_TEST(no_bit_is_claimed_twice),
	UNIT_TEST(every_opcode_and_service_action_finds_its_row),
	UNIT_TEST(every_field_of_every_row_survives_a_round_trip),
	UNIT_TEST(every_unclaimed_bit_is_refused_and_named),
	UNIT_TEST(a_field_without_its_capability_is_refused_at_its_place),
	UNIT_TEST(a_command_without_its_capability_is_unknown),
	UNIT_TEST(a_service_action_that_is_not_there_is_named),
	UNIT_TEST(a_short_cdb_is_refused_at_its_end),
	UNIT_TEST(an_unknown_opcode_is_refused_whatever_follows),
	UNIT_TEST(bytes_behind_the_cdb_do_not_matter),
	UNIT_TEST(naca_and_protection_are_refused_by_a_plain_disk),
	UNIT_TEST(real_cdbs_mean_what_the_standard_says),
	UNIT_TEST(lengths_do_not_overflow),
	UNIT_TEST(a_usage_map_says_what_is_evaluated),
	UNIT_TEST(a_trace_names_the_command_and_what_is_not_zero),
};

UNIT_MAIN("cdb", tests)
