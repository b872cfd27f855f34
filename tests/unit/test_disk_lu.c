/*
 * The CDB interpreter, but for the medium: what it says of itself, what it refuses and
 * where it points to, who is told of unit attentions and in which order, mode pages.
 */
#include <string.h>

#include "disk_bed.h"
#include "field.h"
#include "scsi_data.h"
#include "unit.h"

static struct disk_bed bed;
static struct command c;

#define DO(...) command_do(&c, &bed, &(struct cdb){ __VA_ARGS__ })

/* Dispatch ----------------------------------------------------------------------- */

static void every_command_that_is_reported_has_a_handler(void)
{
	disk_bed_init(&bed, 1);
	for (int id = CDB_UNKNOWN + 1; id < CDB_COUNT; id++) {
		struct cdb cdb = {
			.id = (enum cdb_id)id, .blocks = id == CDB_READ_6 || id == CDB_WRITE_6,
		};

		command_init(&c, &bed, &cdb);
		command_run(&c);
		/* REPORT LUNS is the target's to answer: it knows them all. */
		CU_ASSERT_EQUAL(failed_with(&c, SENSE_INVALID_OPCODE) ||
				refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 4),
				!cdb_allowed(cdb.id, bed.lu->caps) || id == CDB_REPORT_LUNS);
	}
	disk_bed_free(&bed);
}

static void a_cdb_that_is_wrong_is_refused_where_it_is_wrong(void)
{
	static const uint8_t unknown[] = { 0xc0, 0, 0, 0, 0, 0 };
	static const uint8_t bad_bit[] = { 0x28, 0x01, 0, 0, 0, 0, 0, 0, 1, 0 };
	static const uint8_t bad_sa[16] = { 0x9e, 0x1f };

	disk_bed_init(&bed, 1);
	command_init_raw(&c, &bed, unknown, sizeof(unknown), CDB_NO_DATA, 0);
	command_run(&c);
	CU_ASSERT(failed_with(&c, SENSE_INVALID_OPCODE));
	command_init_raw(&c, &bed, bad_bit, sizeof(bad_bit), CDB_DATA_IN, 512);
	command_run(&c);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 0));
	CU_ASSERT(moved(&c, 0, 0));
	command_init_raw(&c, &bed, bad_sa, sizeof(bad_sa), CDB_NO_DATA, 0);
	command_run(&c);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 4));
	disk_bed_free(&bed);
}

static void an_empty_device_has_no_medium(void)
{
	disk_bed_init(&bed, 1);
	bed.device.dev.info.size = 0;
	DO(.id = CDB_TEST_UNIT_READY);
	CU_ASSERT(failed_with(&c, SENSE_MEDIUM_NOT_PRESENT));
	DO(.id = CDB_READ_CAPACITY_10);
	CU_ASSERT(failed_with(&c, SENSE_MEDIUM_NOT_PRESENT));
	DO(.id = CDB_INQUIRY, .alloc_len = 36);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

/* Unit attentions ---------------------------------------------------------------- */

static void unit_attentions_come_once_and_in_order(void)
{
	static const uint32_t order[] = {
		SENSE_POWER_ON_OR_RESET, SENSE_CAPACITY_CHANGED, SENSE_INQUIRY_CHANGED,
	};
	struct nexus fresh = { .tpgt = 1 };

	disk_bed_init(&bed, 1);
	lu_attach(bed.lu, &fresh);
	bed.device.dev.info.size /= 2;
	bed.device.dev.info.can_trim = false;
	bed.device.dev.info.generation++;
	for (unsigned i = 0; i < 3; i++) {
		command_init(&c, &bed, &(struct cdb){ .id = CDB_TEST_UNIT_READY });
		c.task.nexus = &fresh;
		command_run(&c);
		CU_ASSERT(failed_with(&c, order[i]));
	}
	DO(.id = CDB_TEST_UNIT_READY);
	CU_ASSERT(failed_with(&c, SENSE_CAPACITY_CHANGED));	/* the other nexus, on its own */
	command_init(&c, &bed, &(struct cdb){ .id = CDB_TEST_UNIT_READY });
	c.task.nexus = &fresh;
	command_run(&c);
	CU_ASSERT(is_good(&c));
	lu_detach(bed.lu, &fresh);
	disk_bed_free(&bed);
}

static void inquiry_passes_and_request_sense_takes_a_unit_attention(void)
{
	struct sense sense;

	disk_bed_init(&bed, 1);
	bed.device.dev.info.size /= 2;
	bed.device.dev.info.generation++;
	DO(.id = CDB_INQUIRY, .alloc_len = 96);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_REQUEST_SENSE, .alloc_len = 252);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(sense_parse(c.data, c.task.moved, &sense));
	CU_ASSERT_EQUAL(sense.reason, SENSE_CAPACITY_CHANGED);
	CU_ASSERT_EQUAL(c.data[0], 0x70);
	DO(.id = CDB_REQUEST_SENSE, .alloc_len = 252, .desc = true);
	CU_ASSERT(sense_parse(c.data, c.task.moved, &sense));
	CU_ASSERT_EQUAL(sense.reason, SENSE_NONE);
	CU_ASSERT_EQUAL(c.data[0], 0x72);
	disk_bed_free(&bed);
}

static void a_unit_attention_comes_before_a_fault_in_the_cdb(void)
{
	static const uint8_t unknown[] = { 0xc0, 0, 0, 0, 0, 0 };

	disk_bed_init(&bed, 1);
	bed.device.dev.info.size /= 2;
	bed.device.dev.info.generation++;
	for (int i = 0; i < 2; i++) {
		command_init_raw(&c, &bed, unknown, sizeof(unknown), CDB_NO_DATA, 0);
		command_run(&c);
		CU_ASSERT(failed_with(&c, i ? SENSE_INVALID_OPCODE : SENSE_CAPACITY_CHANGED));
	}
	disk_bed_free(&bed);
}

static void a_task_without_a_nexus_sees_no_unit_attention(void)
{
	disk_bed_init(&bed, 1);
	bed.device.dev.info.size /= 2;
	bed.device.dev.info.generation++;
	command_init(&c, &bed, &(struct cdb){ .id = CDB_TEST_UNIT_READY });
	c.task.nexus = NULL;
	command_run(&c);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

/* INQUIRY ------------------------------------------------------------------------- */

static const uint8_t vpd_codes[] = {
	0x00, 0x80, 0x83, 0x86, 0x87, 0x88, 0x8f, 0xb0, 0xb1, 0xb2,
};

static void standard_inquiry_data_names_the_unit(void)
{
	struct inquiry inquiry;

	disk_bed_init(&bed, 1);
	DO(.id = CDB_INQUIRY, .alloc_len = 96);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(moved(&c, 96, 96));
	CU_ASSERT(inquiry_decode(c.data, 96, &inquiry));
	CU_ASSERT_STRING_EQUAL(inquiry.vendor, "NBDISCSI");
	CU_ASSERT_STRING_EQUAL(inquiry.product, "NBD-iSCSI disk");
	CU_ASSERT_EQUAL(inquiry.version, 6);
	CU_ASSERT_EQUAL(inquiry.device_type, 0);
	CU_ASSERT(inquiry.cmd_que);
	DO(.id = CDB_INQUIRY, .page = 0x80, .alloc_len = 96);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 2, 7));
	DO(.id = CDB_INQUIRY, .evpd = true, .page = 0xc0, .alloc_len = 96);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 2, 7));
	disk_bed_free(&bed);
}

static void page_00_lists_the_pages_that_there_are(void)
{
	bool listed;

	disk_bed_init(&bed, 1);
	DO(.id = CDB_INQUIRY, .evpd = true, .alloc_len = 255);
	CU_ASSERT_EQUAL(c.task.moved, 4 + sizeof(vpd_codes));
	CU_ASSERT_EQUAL(memcmp(c.data + 4, vpd_codes, sizeof(vpd_codes)), 0);
	for (int page = 0; page < 256; page++) {
		listed = memchr(vpd_codes, page, sizeof(vpd_codes)) != NULL;
		DO(.id = CDB_INQUIRY, .evpd = true, .page = (uint8_t)page, .alloc_len = 1024);
		CU_ASSERT_EQUAL(is_good(&c), listed);
		if (listed) {
			CU_ASSERT_EQUAL(c.data[1], page);
			CU_ASSERT_EQUAL(get_be16(c.data + 2) + 4u, c.task.moved);
		}
	}
	disk_bed_free(&bed);
}

/* Every reply, at every allocation length and every room, is a prefix of the whole one. */
static void no_length_is_an_error_and_none_is_overrun(void)
{
	const struct cdb asks[] = {
		{ .id = CDB_INQUIRY }, { .id = CDB_INQUIRY, .evpd = true, .page = 0x83 },
		{ .id = CDB_INQUIRY, .evpd = true, .page = 0xb0 },
		{ .id = CDB_MODE_SENSE_6, .page = 0x3f }, { .id = CDB_MODE_SENSE_10, .page = 0x3f },
		{ .id = CDB_REQUEST_SENSE }, { .id = CDB_READ_CAPACITY_16 },
		{ .id = CDB_GET_LBA_STATUS },
		{ .id = CDB_REPORT_SUPPORTED_OPCODES, .rctd = true },
		{ .id = CDB_REPORT_SUPPORTED_OPCODES, .reporting_options = 1,
		  .requested_opcode = 0x28 },
		{ .id = CDB_REPORT_SUPPORTED_TMFS, .repd = true },
		{ .id = CDB_READ_DEFECT_DATA_10 }, { .id = CDB_READ_DEFECT_DATA_12 },
	};
	static uint8_t whole[4096];

	disk_bed_init(&bed, 1);
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		struct cdb cdb = asks[i];
		bool byte = cdb.id == CDB_MODE_SENSE_6 || cdb.id == CDB_REQUEST_SENSE;
		uint32_t len, step;

		cdb.alloc_len = byte ? 255 : 4096;
		command_do(&c, &bed, &cdb);
		CU_ASSERT(is_good(&c));
		len = c.task.moved;
		memcpy(whole, c.data, len);
		for (cdb.alloc_len = 0; cdb.alloc_len <= len; cdb.alloc_len++) {
			step = 1 + cdb.alloc_len / 3;
			for (uint32_t room = 0; room <= cdb.alloc_len; room += step) {
				memset(c.data, 0xa5, len + 1);
				command_init(&c, &bed, &cdb);
				c.task.data_len = room;
				command_run(&c);
				CU_ASSERT(is_good(&c) && moved(&c, room, cdb.alloc_len));
				CU_ASSERT_EQUAL(memcmp(c.data, whole, room), 0);
				CU_ASSERT_EQUAL(c.data[room], 0xa5);
			}
		}
	}
	disk_bed_free(&bed);
}

static void device_identification_is_whole_and_stable(void)
{
	struct designator d;
	size_t at = 0;
	uint64_t seen = 0;
	uint8_t naa[8] = { 0 };

	disk_bed_init(&bed, 1);
	DO(.id = CDB_INQUIRY, .evpd = true, .page = 0x83, .alloc_len = 1024);
	while (designator_next(c.data, c.task.moved, &at, &d)) {
		seen |= UINT64_C(1) << (d.association * 16 + d.type);
		if (d.type == DESIGNATOR_NAA) {
			CU_ASSERT_EQUAL_FATAL(d.len, 8);
			CU_ASSERT_EQUAL(d.value[0] >> 4, 3);
			memcpy(naa, d.value, 8);
		}
		if (d.type == DESIGNATOR_RELATIVE_PORT)
			CU_ASSERT_EQUAL(get_be32(d.value), 3);
		if (d.type == DESIGNATOR_SCSI_NAME && d.association == 1)
			CU_ASSERT_STRING_EQUAL((const char *)d.value,
					       "iqn.2024-01.org.example:disk,t,0x0003");
		if (d.type == DESIGNATOR_SCSI_NAME)
			CU_ASSERT_EQUAL(d.len % 4, 0);
	}
	CU_ASSERT_EQUAL(seen, 1u << DESIGNATOR_NAA | 1u << DESIGNATOR_T10 |
			1u << (16 + DESIGNATOR_RELATIVE_PORT) | 1u << (16 + DESIGNATOR_PORT_GROUP) |
			1u << (16 + DESIGNATOR_SCSI_NAME) |
			UINT64_C(1) << (32 + DESIGNATOR_SCSI_NAME));
	disk_bed_free(&bed);

	disk_bed_init(&bed, 1);
	DO(.id = CDB_INQUIRY, .evpd = true, .page = 0x83, .alloc_len = 1024);
	CU_ASSERT_EQUAL(memcmp(c.data + 8, naa, 8), 0);
	DO(.id = CDB_INQUIRY, .evpd = true, .page = 0x80, .alloc_len = 255);
	CU_ASSERT_EQUAL(c.task.moved, 4 + 16);
	disk_bed_free(&bed);
}

static void limits_and_provisioning_follow_the_device(void)
{
	struct block_limits limits;
	struct block_characteristics characteristics;
	struct provisioning provisioning;
	struct capacity capacity;

	disk_bed_init(&bed, 4096);
	for (int trim = 0; trim < 2; trim++) {
		bed.device.dev.info.can_trim = trim;
		bed.device.dev.info.rotational = trim;
		disk_bed_changed(&bed);
		DO(.id = CDB_INQUIRY, .evpd = true, .page = 0xb0, .alloc_len = 64);
		CU_ASSERT(block_limits_decode(c.data, c.task.moved, &limits));
		CU_ASSERT(!limits.wsnz);
		CU_ASSERT_EQUAL(limits.max_write_same, 65535);
		CU_ASSERT_EQUAL(limits.max_compare_and_write, 255);
		CU_ASSERT_EQUAL(limits.max_transfer, 32768);
		CU_ASSERT_EQUAL(limits.transfer_granularity, 8);
		CU_ASSERT_EQUAL(limits.max_unmap_descriptors > 0, trim);
		CU_ASSERT_EQUAL(limits.max_unmap_blocks > 0, trim);
		DO(.id = CDB_INQUIRY, .evpd = true, .page = 0xb1, .alloc_len = 64);
		CU_ASSERT(block_characteristics_decode(c.data, c.task.moved, &characteristics));
		CU_ASSERT_EQUAL(characteristics.rotation_rate, trim ? 7200 : 1);
		DO(.id = CDB_INQUIRY, .evpd = true, .page = 0xb2, .alloc_len = 64);
		CU_ASSERT(provisioning_decode(c.data, c.task.moved, &provisioning));
		CU_ASSERT_EQUAL(provisioning.lbpu, trim);
		CU_ASSERT_EQUAL(provisioning.lbpws, trim);
		CU_ASSERT_EQUAL(provisioning.lbprz & 1, trim);
		CU_ASSERT(!provisioning.anc_sup);
		DO(.id = CDB_READ_CAPACITY_16, .alloc_len = 32);
		CU_ASSERT(capacity_16_decode(c.data, c.task.moved, &capacity));
		CU_ASSERT_EQUAL(capacity.last_lba, DISK_BED_BLOCKS - 1);
		CU_ASSERT_EQUAL(capacity.block_len, 512);
		CU_ASSERT_EQUAL(capacity.lbppbe, 3);
		CU_ASSERT_EQUAL(capacity.lbpme, trim);
		CU_ASSERT_EQUAL(capacity.lbprz, trim);
		DO(.id = CDB_UNMAP);
		CU_ASSERT_EQUAL(is_good(&c), trim);
		CU_ASSERT_EQUAL(failed_with(&c, SENSE_INVALID_OPCODE), !trim);
		DO(.id = CDB_WRITE_SAME_16, .blocks = 1, .ndob = true, .unmap = true);
		CU_ASSERT_EQUAL(is_good(&c), trim);
		CU_ASSERT_EQUAL(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 3), !trim);
	}
	disk_bed_free(&bed);
}

static void physical_blocks_are_what_is_said_or_written_whole(void)
{
	static const struct { uint32_t min_block, said; uint8_t exponent; } rows[] = {
		{ 512, 0, 0 }, { 512, 4096, 3 }, { 4096, 0, 3 }, { 4096, 512, 3 }, { 1, 16384, 5 },
	};
	struct capacity capacity;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct disk_lu_conf conf = { .physical_len = rows[i].said };

		disk_bed_init_conf(&bed, rows[i].min_block, &conf);
		DO(.id = CDB_READ_CAPACITY_16, .alloc_len = 32);
		CU_ASSERT(capacity_16_decode(c.data, c.task.moved, &capacity));
		CU_ASSERT_EQUAL(capacity.lbppbe, rows[i].exponent);
		disk_bed_free(&bed);
	}
}

static void without_zeroing_unmapped_blocks_read_as_anything(void)
{
	struct provisioning provisioning;

	disk_bed_init(&bed, 512);
	bed.device.dev.info.can_zero = false;
	disk_bed_changed(&bed);
	DO(.id = CDB_INQUIRY, .evpd = true, .page = 0xb2, .alloc_len = 64);
	CU_ASSERT(provisioning_decode(c.data, c.task.moved, &provisioning));
	CU_ASSERT(provisioning.lbpu && !provisioning.lbpws && !provisioning.lbpws10);
	CU_ASSERT_EQUAL(provisioning.lbprz, 0);
	bed.device.dev.info.trim_zeroes = true;
	disk_bed_changed(&bed);
	DO(.id = CDB_INQUIRY, .evpd = true, .page = 0xb2, .alloc_len = 64);
	CU_ASSERT(provisioning_decode(c.data, c.task.moved, &provisioning));
	CU_ASSERT_EQUAL(provisioning.lbprz, 1);
	disk_bed_free(&bed);
}

/* Mode pages ---------------------------------------------------------------------- */

/* The byte at "offset" of one page, of MODE SENSE(6) without block descriptors. */
static uint8_t mode_byte(uint8_t page, uint8_t pc, unsigned offset)
{
	DO(.id = CDB_MODE_SENSE_6, .dbd = true, .page = page, .pc = pc, .alloc_len = 255);
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(c.data[0] + 1u, c.task.moved);
	CU_ASSERT_EQUAL(c.data[4] & 0x3f, page);
	return c.data[4 + offset];
}

static void select_byte(uint8_t page, unsigned offset, uint8_t value)
{
	uint8_t len;

	mode_byte(page, 0, 0);
	len = (uint8_t)c.task.moved;
	c.data[0] = c.data[2] = 0;
	c.data[4 + offset] = value;
	DO(.id = CDB_MODE_SELECT_6, .pf = true, .param_len = len);
}

static void mode_sense_has_headers_descriptors_and_pages(void)
{
	struct mode_header header;
	struct mode_caching caching;

	disk_bed_init(&bed, 1);
	DO(.id = CDB_MODE_SENSE_6, .page = 0x3f, .alloc_len = 255);
	CU_ASSERT(mode_header_decode(c.data, c.task.moved, false, &header));
	CU_ASSERT_EQUAL(header.data_len + 1u, c.task.moved);
	CU_ASSERT_EQUAL(header.block_descriptor_len, 8);
	CU_ASSERT(header.dpofua && !header.wp);
	CU_ASSERT_EQUAL(get_be32(c.data + 4), DISK_BED_BLOCKS);
	CU_ASSERT_EQUAL(get_be24(c.data + 9), 512);
	CU_ASSERT(mode_caching_find(c.data, c.task.moved, false, &caching));
	CU_ASSERT(caching.wce && !caching.rcd);
	DO(.id = CDB_MODE_SENSE_10, .page = 0x3f, .subpage = 0xff, .llbaa = true, .alloc_len = 255);
	CU_ASSERT(mode_header_decode(c.data, c.task.moved, true, &header));
	CU_ASSERT_EQUAL(header.data_len + 2u, c.task.moved);
	CU_ASSERT_EQUAL(header.block_descriptor_len, 16);
	CU_ASSERT(header.long_lba);
	CU_ASSERT_EQUAL(get_be64(c.data + 8), DISK_BED_BLOCKS);
	CU_ASSERT_EQUAL(get_be32(c.data + 20), 512);
	DO(.id = CDB_MODE_SENSE_10, .page = 0x1c, .dbd = true, .llbaa = true, .alloc_len = 255);
	CU_ASSERT_EQUAL(c.task.moved, 8 + 12);
	CU_ASSERT_EQUAL(c.data[8], 0x1c);
	disk_bed_free(&bed);
}

static void mode_sense_refuses_what_there_is_not(void)
{
	disk_bed_init(&bed, 1);
	DO(.id = CDB_MODE_SENSE_6, .page = 0x02, .alloc_len = 255);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 2, 5));
	DO(.id = CDB_MODE_SENSE_6, .page = 0x0a, .subpage = 1, .alloc_len = 255);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 3, 7));
	DO(.id = CDB_MODE_SENSE_6, .page = 0x3f, .pc = 3, .alloc_len = 255);
	CU_ASSERT(failed_with(&c, SENSE_SAVING_NOT_SUPPORTED));
	disk_bed_free(&bed);
}

static void page_control_tells_current_changeable_and_default_apart(void)
{
	disk_bed_init(&bed, 1);
	CU_ASSERT_EQUAL(mode_byte(0x08, 1, 2), 0x04);
	CU_ASSERT_EQUAL(mode_byte(0x0a, 1, 2), 0x04);
	CU_ASSERT_EQUAL(mode_byte(0x0a, 1, 4), 0x08);
	CU_ASSERT_EQUAL(mode_byte(0x01, 1, 2), 0x00);
	select_byte(0x08, 2, 0x00);
	CU_ASSERT(is_good(&c));
	CU_ASSERT_EQUAL(mode_byte(0x08, 0, 2), 0x00);
	CU_ASSERT_EQUAL(mode_byte(0x08, 2, 2), 0x04);
	bed.device.dev.info.can_flush = false;
	disk_bed_changed(&bed);
	CU_ASSERT_EQUAL(mode_byte(0x08, 0, 2), 0x00);
	CU_ASSERT_EQUAL(mode_byte(0x08, 1, 2), 0x00);
	CU_ASSERT_EQUAL(mode_byte(0x08, 2, 2), 0x00);
	disk_bed_free(&bed);
}

static void mode_select_tells_the_other_nexuses(void)
{
	disk_bed_init(&bed, 1);
	select_byte(0x0a, 4, 0x08);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_TEST_UNIT_READY);
	CU_ASSERT(is_good(&c));
	for (int i = 0; i < 2; i++) {
		command_init(&c, &bed, &(struct cdb){ .id = CDB_TEST_UNIT_READY });
		c.task.nexus = &bed.b;
		command_run(&c);
		CU_ASSERT_EQUAL(failed_with(&c, SENSE_MODE_PARAMETERS_CHANGED), !i);
	}
	select_byte(0x0a, 4, 0x08);	/* nothing new */
	CU_ASSERT(is_good(&c));
	command_init(&c, &bed, &(struct cdb){ .id = CDB_TEST_UNIT_READY });
	c.task.nexus = &bed.b;
	command_run(&c);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

static void mode_select_refuses_and_changes_nothing(void)
{
	static const struct {
		uint8_t list[32];
		uint8_t len;
		uint32_t reason;
		uint16_t byte;
		int bit;
	} wrong[] = {
#define LIST(...) { __VA_ARGS__ }
		{ LIST(0, 0, 0), 3, SENSE_PARAMETER_LIST_LENGTH, 0, 0 },
		{ LIST(0, 1, 0, 0), 4, SENSE_INVALID_FIELD_IN_PARAMETERS, 1, -1 },
		{ LIST(0, 0, 0, 7), 11, SENSE_INVALID_FIELD_IN_PARAMETERS, 3, -1 },
		{ LIST(0, 0, 0, 8), 8, SENSE_PARAMETER_LIST_LENGTH, 0, 0 },
		{ LIST(0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 2, 0), 12,
		  SENSE_INVALID_FIELD_IN_PARAMETERS, 4, -1 },
		{ LIST(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 4, 0), 12,
		  SENSE_INVALID_FIELD_IN_PARAMETERS, 9, -1 },
		{ LIST(0, 0, 0, 0, 0x0a), 5, SENSE_PARAMETER_LIST_LENGTH, 0, 0 },
		{ LIST(0, 0, 0, 0, 0x02, 0x0a), 16, SENSE_INVALID_FIELD_IN_PARAMETERS, 4, 5 },
		{ LIST(0, 0, 0, 0, 0x4a, 0x0a), 16, SENSE_INVALID_FIELD_IN_PARAMETERS, 4, 6 },
		{ LIST(0, 0, 0, 0, 0x0a, 0x0b), 16, SENSE_INVALID_FIELD_IN_PARAMETERS, 5, -1 },
		{ LIST(0, 0, 0, 0, 0x0a, 0x0a, 0x06, 0x10), 15, SENSE_PARAMETER_LIST_LENGTH, 0, 0 },
		/* a right change, then a wrong one (TST) */
		{ LIST(0, 0, 0, 0, 0x0a, 0x0a, 0x26, 0x10, 8, 0, 0, 0, 0xff, 0xff), 16,
		  SENSE_INVALID_FIELD_IN_PARAMETERS, 6, 5 },
#undef LIST
	};

	disk_bed_init(&bed, 1);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memcpy(c.data, wrong[i].list, sizeof(wrong[i].list));
		DO(.id = CDB_MODE_SELECT_6, .pf = true, .param_len = wrong[i].len);
		CU_ASSERT(wrong[i].reason == SENSE_PARAMETER_LIST_LENGTH ?
			  failed_with(&c, wrong[i].reason) :
			  refused_at(&c, wrong[i].reason, wrong[i].byte, wrong[i].bit));
	}
	DO(.id = CDB_MODE_SELECT_6, .pf = true, .sp = true, .param_len = 4);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 0));
	DO(.id = CDB_MODE_SELECT_6, .param_len = 4);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 4));
	DO(.id = CDB_MODE_SELECT_6);
	CU_ASSERT(is_good(&c));
	command_init(&c, &bed, &(struct cdb){ .id = CDB_MODE_SELECT_10, .pf = true,
					      .param_len = 20 });
	c.task.data_len = 19;
	command_run(&c);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	CU_ASSERT_EQUAL(mode_byte(0x0a, 0, 4), 0);
	disk_bed_free(&bed);
}

static void what_mode_sense_returns_mode_select_takes(void)
{
	uint16_t len;

	disk_bed_init(&bed, 1);
	for (int llbaa = 0; llbaa < 2; llbaa++) {
		DO(.id = CDB_MODE_SENSE_10, .page = 0x3f, .llbaa = llbaa, .alloc_len = 255);
		len = (uint16_t)c.task.moved;
		c.data[0] = c.data[1] = 0;
		DO(.id = CDB_MODE_SELECT_10, .pf = true, .param_len = len);
		CU_ASSERT(is_good(&c));
		CU_ASSERT(moved(&c, len, len));
	}
	disk_bed_free(&bed);
}

static void d_sense_chooses_the_format(void)
{
	disk_bed_init(&bed, 1);
	select_byte(0x0a, 2, 0x06);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_READ_10, .lba = DISK_BED_BLOCKS, .blocks = 1);
	CU_ASSERT(failed_with(&c, SENSE_LBA_OUT_OF_RANGE));
	CU_ASSERT_EQUAL(c.task.sense[0], 0x72);
	disk_bed_free(&bed);
}

static void nothing_writes_to_what_is_protected(void)
{
	static const enum cdb_id writers[] = {
		CDB_WRITE_6, CDB_WRITE_10, CDB_WRITE_12, CDB_WRITE_16,
		CDB_WRITE_AND_VERIFY_10, CDB_WRITE_AND_VERIFY_12, CDB_WRITE_AND_VERIFY_16,
		CDB_WRITE_SAME_10, CDB_WRITE_SAME_16, CDB_UNMAP, CDB_COMPARE_AND_WRITE,
		CDB_ORWRITE_16,
	};

	disk_bed_init(&bed, 1);
	for (int how = 0; how < 2; how++) {
		if (how)
			bed.device.dev.info.read_only = true;
		else
			select_byte(0x0a, 4, 0x08);
		disk_bed_changed(&bed);
		for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
			DO(.id = writers[i], .blocks = writers[i] == CDB_UNMAP ? 0 : 1);
			CU_ASSERT(failed_with(&c, SENSE_WRITE_PROTECTED));
		}
		DO(.id = CDB_READ_16, .blocks = 1);
		CU_ASSERT(is_good(&c));
		DO(.id = CDB_MODE_SENSE_6, .page = 0x3f, .alloc_len = 255);
		CU_ASSERT_EQUAL(c.data[2] & 0x80, 0x80);
		select_byte(0x0a, 4, 0x00);
		CU_ASSERT(is_good(&c));
	}
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE] + bed.device.seen[BLK_ZERO], 0);
	disk_bed_free(&bed);
}

/* The unit as a whole ------------------------------------------------------------- */

static void read_capacity_10_saturates(void)
{
	disk_bed_init(&bed, 1);
	DO(.id = CDB_READ_CAPACITY_10);
	CU_ASSERT(moved(&c, 8, 8));
	CU_ASSERT_EQUAL(get_be32(c.data), DISK_BED_BLOCKS - 1);
	CU_ASSERT_EQUAL(get_be32(c.data + 4), 512);
	bed.device.dev.info.size = UINT64_C(1) << 42;
	DO(.id = CDB_READ_CAPACITY_10);
	CU_ASSERT_EQUAL(get_be32(c.data), UINT32_MAX);
	disk_bed_free(&bed);
}

static void start_is_good_and_stop_is_refused(void)
{
	disk_bed_init(&bed, 1);
	DO(.id = CDB_START_STOP_UNIT, .start = true);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_START_STOP_UNIT);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 4, 0));
	DO(.id = CDB_START_STOP_UNIT, .start = true, .loej = true);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 4, 1));
	DO(.id = CDB_START_STOP_UNIT, .power_condition = 3);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 4, 7));
	DO(.id = CDB_PREVENT_ALLOW, .prevent = 1);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_PREVENT_ALLOW, .prevent = 2);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 4, 1));
	DO(.id = CDB_SEND_DIAGNOSTIC, .self_test = true);
	CU_ASSERT(is_good(&c));
	DO(.id = CDB_SEND_DIAGNOSTIC, .self_test_code = 2);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 7));
	DO(.id = CDB_SEND_DIAGNOSTIC, .param_len = 8);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 3, 7));
	disk_bed_free(&bed);
}

static void the_list_of_defects_is_empty(void)
{
	static const uint8_t ten[] = { 0, 0x1d, 0, 0 };
	static const uint8_t twelve[] = { 0, 0x08, 0, 0, 0, 0, 0, 0 };

	disk_bed_init(&bed, 1);
	DO(.id = CDB_READ_DEFECT_DATA_10, .req_plist = true, .req_glist = true, .defect_format = 5,
	   .alloc_len = 100);
	CU_ASSERT(moved(&c, sizeof(ten), sizeof(ten)));
	CU_ASSERT_EQUAL(memcmp(c.data, ten, sizeof(ten)), 0);
	DO(.id = CDB_READ_DEFECT_DATA_12, .req_glist = true, .alloc_len = 100);
	CU_ASSERT(moved(&c, sizeof(twelve), sizeof(twelve)));
	CU_ASSERT_EQUAL(memcmp(c.data, twelve, sizeof(twelve)), 0);
	disk_bed_free(&bed);
}

/* REPORT SUPPORTED OPERATION CODES -------------------------------------------------- */

#define RSOC(...) DO(.id = CDB_REPORT_SUPPORTED_OPCODES, .alloc_len = 4096, __VA_ARGS__)

static void all_supported_commands_are_listed_and_no_other(void)
{
	disk_bed_init(&bed, 1);
	for (int rctd = 0; rctd < 2; rctd++) {
		size_t at = 4, step = rctd ? 20 : 8;

		RSOC(.rctd = rctd);
		CU_ASSERT_EQUAL(get_be32(c.data) + 4, c.task.moved);
		for (int id = CDB_UNKNOWN + 1; id < CDB_COUNT; id++) {
			const struct cdb_row *row = cdb_row((enum cdb_id)id);

			if (!cdb_allowed((enum cdb_id)id, bed.lu->caps))
				continue;
			CU_ASSERT_EQUAL(c.data[at], row->opcode);
			CU_ASSERT_EQUAL(get_be16(c.data + at + 2), row->sa >= 0 ? row->sa : 0);
			CU_ASSERT_EQUAL(c.data[at + 5], (rctd ? 2 : 0) | (row->sa >= 0 ? 1 : 0));
			CU_ASSERT_EQUAL(get_be16(c.data + at + 6), row->len);
			if (rctd)
				CU_ASSERT_EQUAL(get_be16(c.data + at + 8), 10);
			at += step;
		}
		CU_ASSERT_EQUAL(at, c.task.moved);
	}
	disk_bed_free(&bed);
}

static void one_command_is_reported_with_the_usage_map_that_decodes_it(void)
{
	uint8_t usage[CDB_MAX_LEN];

	disk_bed_init(&bed, 1);
	for (int id = CDB_UNKNOWN + 1; id < CDB_COUNT; id++) {
		const struct cdb_row *row = cdb_row((enum cdb_id)id);
		size_t len = cdb_usage((enum cdb_id)id, bed.lu->caps, usage);
		bool has_sa = row->sa >= 0, allowed = cdb_allowed((enum cdb_id)id, bed.lu->caps);
		uint16_t sa = has_sa ? (uint16_t)row->sa : 0;

		for (uint8_t option = 1; option <= 3; option++) {
			RSOC(.reporting_options = option, .requested_opcode = row->opcode,
			     .requested_sa = sa, .rctd = option == 3);
			if (option != 3 && has_sa != (option == 2)) {
				CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 3, 7));
				continue;
			}
			CU_ASSERT(is_good(&c));
			CU_ASSERT_EQUAL(c.data[1], !allowed ? 1 : option == 3 ? 0x83 : 3);
			CU_ASSERT_EQUAL(get_be16(c.data + 2), allowed ? len : 0);
			CU_ASSERT_EQUAL(c.task.moved,
					4 + (allowed ? len + (option == 3 ? 12 : 0) : 0));
			if (allowed)
				CU_ASSERT_EQUAL(memcmp(c.data + 4, usage, len), 0);
		}
	}
	disk_bed_free(&bed);
}

static void unknown_opcodes_and_service_actions_are_not_supported(void)
{
	disk_bed_init(&bed, 1);
	RSOC(.reporting_options = 1, .requested_opcode = 0xc1);
	CU_ASSERT(is_good(&c) && c.data[1] == 1 && c.task.moved == 4);
	RSOC(.reporting_options = 2, .requested_opcode = 0xc1, .requested_sa = 5);
	CU_ASSERT(is_good(&c) && c.data[1] == 1);
	for (uint32_t sa = 0x1f; sa <= 0xffff; sa += 0xe1) {
		RSOC(.reporting_options = 2, .requested_opcode = 0x9e,
		     .requested_sa = (uint16_t)sa);
		CU_ASSERT(is_good(&c) && c.data[1] == 1);
	}
	RSOC(.reporting_options = 3, .requested_opcode = 0x28, .requested_sa = 1);
	CU_ASSERT(is_good(&c) && c.data[1] == 1);
	RSOC(.reporting_options = 4);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 2, 2));
	DO(.id = CDB_REPORT_SUPPORTED_TMFS, .alloc_len = 16);
	CU_ASSERT(moved(&c, 4, 4));
	CU_ASSERT_EQUAL(c.data[0], 0xda);
	DO(.id = CDB_REPORT_SUPPORTED_TMFS, .repd = true, .alloc_len = 16);
	CU_ASSERT(moved(&c, 16, 16));
	CU_ASSERT_EQUAL(c.data[3], 12);
	disk_bed_free(&bed);
}

static void readiness_follows_the_device(void)
{
	disk_bed_init(&bed, 1);
	bed.device.presence = BLK_AWAY;
	DO(.id = CDB_TEST_UNIT_READY);
	CU_ASSERT(failed_with(&c, SENSE_BECOMING_READY));
	DO(.id = CDB_START_STOP_UNIT, .start = true);
	CU_ASSERT(failed_with(&c, SENSE_BECOMING_READY));
	DO(.id = CDB_READ_CAPACITY_16, .alloc_len = 32);	/* what is known is told */
	CU_ASSERT(is_good(&c));
	bed.device.presence = BLK_GONE;
	DO(.id = CDB_TEST_UNIT_READY);
	CU_ASSERT(failed_with(&c, SENSE_INTERNAL_TARGET_FAILURE));
	bed.device.presence = BLK_PRESENT;
	DO(.id = CDB_TEST_UNIT_READY);
	CU_ASSERT(is_good(&c));
	disk_bed_free(&bed);
}

static void writes_that_may_be_lost_are_a_reset_to_every_nexus(void)
{
	disk_bed_init(&bed, 1);
	bed.device.dev.info.losses++;
	bed.device.dev.info.generation++;
	for (int i = 0; i < 4; i++) {
		command_init(&c, &bed, &(struct cdb){ .id = CDB_READ_10, .blocks = 1 });
		c.task.nexus = i % 2 ? &bed.b : &bed.a;
		command_run(&c);
		CU_ASSERT(i < 2 ? failed_with(&c, SENSE_INTERNAL_RESET) : is_good(&c));
	}
	disk_bed_free(&bed);
}

static const struct unit_test tests[] = {
	UNIT_TEST(readiness_follows_the_device),
	UNIT_TEST(writes_that_may_be_lost_are_a_reset_to_every_nexus),
	UNIT_TEST(every_command_that_is_reported_has_a_handler),
	UNIT_TEST(a_cdb_that_is_wrong_is_refused_where_it_is_wrong),
	UNIT_TEST(an_empty_device_has_no_medium),
	UNIT_TEST(unit_attentions_come_once_and_in_order),
	UNIT_TEST(inquiry_passes_and_request_sense_takes_a_unit_attention),
	UNIT_TEST(a_unit_attention_comes_before_a_fault_in_the_cdb),
	UNIT_TEST(a_task_without_a_nexus_sees_no_unit_attention),
	UNIT_TEST(standard_inquiry_data_names_the_unit),
	UNIT_TEST(page_00_lists_the_pages_that_there_are),
	UNIT_TEST(no_length_is_an_error_and_none_is_overrun),
	UNIT_TEST(device_identification_is_whole_and_stable),
	UNIT_TEST(limits_and_provisioning_follow_the_device),
	UNIT_TEST(physical_blocks_are_what_is_said_or_written_whole),
	UNIT_TEST(without_zeroing_unmapped_blocks_read_as_anything),
	UNIT_TEST(mode_sense_has_headers_descriptors_and_pages),
	UNIT_TEST(mode_sense_refuses_what_there_is_not),
	UNIT_TEST(page_control_tells_current_changeable_and_default_apart),
	UNIT_TEST(mode_select_tells_the_other_nexuses),
	UNIT_TEST(mode_select_refuses_and_changes_nothing),
	UNIT_TEST(what_mode_sense_returns_mode_select_takes),
	UNIT_TEST(d_sense_chooses_the_format),
	UNIT_TEST(nothing_writes_to_what_is_protected),
	UNIT_TEST(read_capacity_10_saturates),
	UNIT_TEST(start_is_good_and_stop_is_refused),
	UNIT_TEST(the_list_of_defects_is_empty),
	UNIT_TEST(all_supported_commands_are_listed_and_no_other),
	UNIT_TEST(one_command_is_reported_with_the_usage_map_that_decodes_it),
	UNIT_TEST(unknown_opcodes_and_service_actions_are_not_supported),
};
UNIT_MAIN("disk_lu", tests)
