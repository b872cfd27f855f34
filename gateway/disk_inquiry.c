/*
 * INQUIRY (SPC-4 §6.6): the standard data, and the vital product data pages that tell
 * a host how to use the unit. All of it follows what the device can do.
 */
#include <assert.h>
#include <string.h>

#include "disk_private.h"
#include "field.h"
#include "scsi_data.h"

#define OUR_REVISION	"1.0"

#define IMPLICIT_ASYMMETRIC_ACCESS	1	/* TPGS */

static bool can_copy(const struct disk_lu *disk)
{
	return disk->lu.caps & CDB_CAP_BIT(CDB_CAP_COPY);
}

static void standard_data(struct disk_lu *disk, struct scsi_task *task)
{
	struct lu_shared *shared = disk_shared(disk);
	const struct disk_lu_conf *conf = &shared->conf;
	uint8_t wire[INQUIRY_LEN];
	struct inquiry inquiry = {
		.version = 6,			/* SPC-4 */
		.hi_sup = true,			/* REPORT LUNS knows more than eight */
		.tpgs = IMPLICIT_ASYMMETRIC_ACCESS,
		.third_party_copy = can_copy(disk),
		.multi_port = lu_shared_each_port(shared, task->nexus, NULL, NULL) > 1,
		.response_data_format = 2,
		.cmd_que = true,
		.revision = OUR_REVISION,
		/* SPC-4 annex: SAM-5, iSCSI, SPC-4, SBC-3, no version claimed of each */
		.version_descriptor = { 0x00a0, 0x0960, 0x0460, 0x04c0 },
	};

	memcpy(inquiry.vendor, conf->vendor, sizeof(inquiry.vendor));
	memcpy(inquiry.product, conf->product, sizeof(inquiry.product));
	disk_reply(disk, task, wire, inquiry_encode(&inquiry, wire), task->cdb.alloc_len);
}

/* 86h Extended INQUIRY Data, SPC-4 §7.8.7 */
struct extended_inquiry {
	bool head_sup, ord_sup, simp_sup;
	bool v_sup;			/* there is a volatile cache */
};

#define FIELD_STRUCT struct extended_inquiry
static const struct field extended_inquiry[] = {
	FIELD_BIT(head_sup, 5, 2), FIELD_BIT(ord_sup, 5, 1), FIELD_BIT(simp_sup, 5, 0),
	FIELD_BIT(v_sup, 6, 0), FIELD_END
};
#undef FIELD_STRUCT
#define EXTENDED_INQUIRY_LEN	64

static size_t vpd_extended_inquiry(const struct disk_lu *disk, const struct nexus *nexus,
				   uint8_t *wire)
{
	const struct extended_inquiry data = {
		.head_sup = true, .ord_sup = true, .simp_sup = true,
		.v_sup = disk->dev->info.can_flush,
	};

	(void)nexus;
	field_encode(extended_inquiry, &data, wire);
	return vpd_header(wire, 0, VPD_EXTENDED_INQUIRY, EXTENDED_INQUIRY_LEN - VPD_HEADER_LEN);
}

/* 87h Mode Page Policy, SPC-4 §7.8.10: one descriptor, "all pages and subpages are shared". */
static size_t vpd_mode_policy(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire)
{
	static const uint8_t all_are_shared[] = { 0x3f, 0xff, 0x00, 0x00 };

	(void)disk;
	(void)nexus;
	memcpy(wire + VPD_HEADER_LEN, all_are_shared, sizeof(all_are_shared));
	return vpd_header(wire, 0, VPD_MODE_POLICY, sizeof(all_are_shared));
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

static size_t vpd_block_limits(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire)
{
	const struct blk_info *info = &disk->dev->info;
	uint32_t block_len = disk->lu.block_len;
	uint32_t granularity = info->preferred_block / block_len;
	struct block_limits limits = {
		.max_compare_and_write = DISK_MAX_COMPARE,
		.transfer_granularity = (uint16_t)at_most(granularity, UINT16_MAX),
		.max_transfer = disk->lu.max_transfer / block_len,
		.max_write_same = DISK_MAX_WRITE_SAME,
	};

	(void)nexus;
	/* The alignment and the granularity of the device are one block: not said. */
	limits.max_atomic = disk_max_atomic(disk);
	if (info->can_trim) {
		limits.max_unmap_blocks = DISK_MAX_UNMAP;
		limits.max_unmap_descriptors = DISK_MAX_UNMAP_RANGES;
		limits.unmap_granularity = granularity ? granularity : 1;
		limits.ugavalid = true;
	}
	return block_limits_encode(&limits, 0, wire);
}

static size_t vpd_block_characteristics(const struct disk_lu *disk, const struct nexus *nexus,
					uint8_t *wire)
{
	/* The device says that it turns, not how fast. What was erased can be read, and reads as what
	 * is unmapped does. */
	bool erases = disk->lu.caps & CDB_CAP_BIT(CDB_CAP_ERASE);
	const struct block_characteristics c = {
		.rotation_rate = disk->dev->info.rotational ? 7200 : 1,
		.wabereq = erases, .wacereq = erases,
	};

	(void)nexus;
	return block_characteristics_encode(&c, 0, wire);
}

static size_t vpd_provisioning(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire)
{
	bool ws_unmap = disk->lu.caps & CDB_CAP_BIT(CDB_CAP_WRITE_SAME_UNMAP);
	const struct provisioning p = {
		.lbpu = disk->dev->info.can_trim,
		.lbpws = ws_unmap, .lbpws10 = ws_unmap,
		.lbprz = disk_reads_unmapped_as_zeroes(disk),
		.type = disk->dev->info.can_trim ? 2 : 0,	/* thin */
	};

	(void)nexus;
	return provisioning_encode(&p, 0, wire);
}

static size_t vpd_supported_pages(const struct disk_lu *disk, const struct nexus *nexus,
				  uint8_t *wire);

/* Ascending, as page 00h lists them. */
static const struct {
	uint8_t code;
	size_t (*build)(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire);
} pages[] = {
	{ VPD_SUPPORTED, vpd_supported_pages },
	{ VPD_SERIAL, disk_vpd_serial },
	{ VPD_DEVICE_ID, disk_vpd_device_id },
	{ VPD_EXTENDED_INQUIRY, vpd_extended_inquiry },
	{ VPD_MODE_POLICY, vpd_mode_policy },
	{ VPD_SCSI_PORTS, disk_vpd_scsi_ports },
	{ VPD_THIRD_PARTY_COPY, disk_vpd_third_party_copy },
	{ VPD_BLOCK_LIMITS, vpd_block_limits },
	{ VPD_BLOCK_CHARACTERISTICS, vpd_block_characteristics },
	{ VPD_PROVISIONING, vpd_provisioning },
};
#define PAGE_COUNT	(sizeof(pages) / sizeof(pages[0]))

static bool is_there(const struct disk_lu *disk, uint8_t page)
{
	return page != VPD_THIRD_PARTY_COPY || can_copy(disk);
}

static size_t vpd_supported_pages(const struct disk_lu *disk, const struct nexus *nexus,
				  uint8_t *wire)
{
	size_t count = 0;

	(void)nexus;
	for (size_t i = 0; i < PAGE_COUNT; i++)
		if (is_there(disk, pages[i].code))
			wire[VPD_HEADER_LEN + count++] = pages[i].code;
	return vpd_header(wire, 0, VPD_SUPPORTED, count);
}

static void vital_product_data(struct disk_lu *disk, struct scsi_task *task)
{
	uint8_t wire[DISK_VPD_ROOM] = { 0 };
	size_t len;

	for (size_t i = 0; i < PAGE_COUNT; i++) {
		if (pages[i].code != task->cdb.page || !is_there(disk, task->cdb.page))
			continue;
		len = pages[i].build(disk, task->nexus, wire);
		assert(len <= sizeof(wire));
		disk_reply(disk, task, wire, len, task->cdb.alloc_len);
		return;
	}
	disk_refuse_field(disk, task, page);
}

void disk_inquiry(struct disk_lu *disk, struct scsi_task *task)
{
	if (task->cdb.evpd)
		vital_product_data(disk, task);
	else if (task->cdb.page)
		disk_refuse_field(disk, task, page);	/* SPC-4 §6.6.1 */
	else
		standard_data(disk, task);
}
