/*
 * What the CDB interpreter tells hosts that manage many paths and watch many disks: LOG
 * SENSE, REPORT TARGET PORT GROUPS, and what INQUIRY data promises of both.
 */
#include <stdio.h>
#include <string.h>

#include "disk_bed.h"
#include "field.h"
#include "scsi_data.h"
#include "unit.h"

static struct disk_bed bed;
static struct command c;

#define DO(...) command_do(&c, &bed, &(struct cdb){ __VA_ARGS__ })

static bool replied(const void *expected, size_t len)
{
	return is_good(&c) && c.task.moved == len && !memcmp(c.data, expected, len);
}

/* LOG SENSE ------------------------------------------------------------------------- */

static void log_page_00_lists_the_pages_that_there_are(void)
{
	static const uint8_t all[] = { 0x00, 0, 0, 3, 0x00, 0x0c, 0x0d };
	static const uint8_t thick[] = { 0x00, 0, 0, 2, 0x00, 0x0d };

	disk_bed_init(&bed, 1);
	DO(.id = CDB_LOG_SENSE, .pc = 1, .alloc_len = 64);
	CU_ASSERT(replied(all, sizeof(all)));
	bed.device.dev.info.can_trim = false;
	disk_bed_changed(&bed);
	DO(.id = CDB_LOG_SENSE, .pc = 1, .alloc_len = 64);
	CU_ASSERT(replied(thick, sizeof(thick)));
	DO(.id = CDB_LOG_SENSE, .pc = 1, .page = 0x0c, .alloc_len = 64);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 2, 5));
	disk_bed_free(&bed);
}

static void what_is_not_known_is_said_to_be_unknown(void)
{
	static const uint8_t provisioning[] = { 0x8c, 0, 0, 0 };
	static const uint8_t temperature[] = {
		0x8d, 0, 0, 12, 0, 0, 0x03, 2, 0, 0xff, 0, 1, 0x03, 2, 0, 0xff
	};
	static const uint8_t reference[] = { 0x8d, 0, 0, 6, 0, 1, 0x03, 2, 0, 0xff };

	disk_bed_init(&bed, 1);
	DO(.id = CDB_LOG_SENSE, .pc = 1, .page = 0x0c, .alloc_len = 64);
	CU_ASSERT(replied(provisioning, sizeof(provisioning)));
	DO(.id = CDB_LOG_SENSE, .pc = 1, .page = 0x0d, .alloc_len = 64);
	CU_ASSERT(replied(temperature, sizeof(temperature)));
	DO(.id = CDB_LOG_SENSE, .page = 0x0d, .alloc_len = 10);
	CU_ASSERT(replied(temperature, 10));
	DO(.id = CDB_LOG_SENSE, .page = 0x0d, .parameter_pointer = 1, .alloc_len = 64);
	CU_ASSERT(replied(reference, sizeof(reference)));
	disk_bed_free(&bed);
}

static void log_sense_is_refused_where_it_is_wrong(void)
{
	disk_bed_init(&bed, 1);
	DO(.id = CDB_LOG_SENSE, .sp = true, .alloc_len = 64);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 0));
	DO(.id = CDB_LOG_SENSE, .page = 0x0e, .alloc_len = 64);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 2, 5));
	DO(.id = CDB_LOG_SENSE, .subpage = 0xff, .alloc_len = 64);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 3, 7));
	DO(.id = CDB_LOG_SENSE, .page = 0x0d, .parameter_pointer = 2, .alloc_len = 64);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 5, 7));
	disk_bed_free(&bed);
}

/* REPORT TARGET PORT GROUPS ----------------------------------------------------------- */

static void all_ports_are_one_group_that_is_active_and_optimized(void)
{
	static const uint8_t one[] = { 0, 0, 0, 12, 0, 0x01, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3 };
	static const uint8_t extended[] = {
		0, 0, 0, 16, 0x10, 0, 0, 0, 0, 0x01, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3
	};

	disk_bed_init(&bed, 1);
	DO(.id = CDB_REPORT_TARGET_PORT_GROUPS, .alloc_len = 64);
	CU_ASSERT(replied(one, sizeof(one)));
	DO(.id = CDB_REPORT_TARGET_PORT_GROUPS, .param_data_format = 1, .alloc_len = 64);
	CU_ASSERT(replied(extended, sizeof(extended)));
	DO(.id = CDB_REPORT_TARGET_PORT_GROUPS, .alloc_len = 4);
	CU_ASSERT(replied(one, 4));
	DO(.id = CDB_REPORT_TARGET_PORT_GROUPS, .param_data_format = 2, .alloc_len = 64);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_CDB, 1, 7));
	disk_bed_free(&bed);
}

/* Of page 88h: a port's descriptor, with one designator of NAME_LEN bytes. */
enum { NAME_LEN = 40, PORT_LEN = 12 + 4 + NAME_LEN };

static void every_port_that_there_is_belongs_to_the_group(void)
{
	static const uint16_t tags[] = { 1, 3, 0x1234 };
	static const uint8_t three[] = {
		0, 0, 0, 20, 0, 0x01, 0, 1, 0, 0, 0, 3,
		0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0x12, 0x34
	};
	struct inquiry inquiry;

	disk_bed_init(&bed, 1);
	disk_bed_set_ports(&bed, tags, 3);
	DO(.id = CDB_REPORT_TARGET_PORT_GROUPS, .alloc_len = 64);
	CU_ASSERT(replied(three, sizeof(three)));
	DO(.id = CDB_INQUIRY, .alloc_len = 96);
	CU_ASSERT(inquiry_decode(c.data, c.task.moved, &inquiry) && inquiry.multi_port);
	DO(.id = CDB_INQUIRY, .evpd = true, .page = VPD_SCSI_PORTS, .alloc_len = 4096);
	CU_ASSERT(is_good(&c) && moved(&c, 4 + 3 * PORT_LEN, 4 + 3 * PORT_LEN));
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *port = c.data + 4 + i * PORT_LEN;
		char name[NAME_LEN];

		snprintf(name, sizeof(name), "iqn.2024-01.org.example:disk,t,0x%04x", tags[i]);
		CU_ASSERT_EQUAL(get_be16(port + 2), tags[i]);
		CU_ASSERT_EQUAL(get_be16(port + 10), 4 + NAME_LEN);
		CU_ASSERT_STRING_EQUAL(port + 16, name);
	}
	disk_bed_free(&bed);
}

/* The group as page 83h names it, 0 if it does not. */
static uint16_t designated_group(void)
{
	struct designator d;
	size_t at = 0;

	DO(.id = CDB_INQUIRY, .evpd = true, .page = VPD_DEVICE_ID, .alloc_len = 1024);
	while (designator_next(c.data, c.task.moved, &at, &d))
		if (d.type == DESIGNATOR_PORT_GROUP)
			return get_be16(d.value + 2);
	return 0;
}

static void inquiry_data_and_the_designator_agree_with_the_groups(void)
{
	struct inquiry inquiry;

	disk_bed_init(&bed, 1);
	DO(.id = CDB_INQUIRY, .alloc_len = 96);
	CU_ASSERT(is_good(&c) && inquiry_decode(c.data, c.task.moved, &inquiry));
	CU_ASSERT_EQUAL(inquiry.tpgs, 1);
	CU_ASSERT(!inquiry.multi_port);
	CU_ASSERT_EQUAL(designated_group(), 1);
	disk_bed_free(&bed);
}

static const struct unit_test tests[] = {
	UNIT_TEST(log_page_00_lists_the_pages_that_there_are),
	UNIT_TEST(what_is_not_known_is_said_to_be_unknown),
	UNIT_TEST(log_sense_is_refused_where_it_is_wrong),
	UNIT_TEST(all_ports_are_one_group_that_is_active_and_optimized),
	UNIT_TEST(every_port_that_there_is_belongs_to_the_group),
	UNIT_TEST(inquiry_data_and_the_designator_agree_with_the_groups),
};

UNIT_MAIN("disk_reports", tests)
