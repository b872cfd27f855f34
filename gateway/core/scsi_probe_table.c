/*
 * What scsi_blk asks its logical unit, in this order: a table of commands, each with the
 * question whether it is wanted at all and a reader for its data. scsi_probe.c runs it.
 */
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "scsi_probe_private.h"

#define TARGET_PORT		1	/* what a designator is associated with, SPC-4 §7.8.6.1 */

static bool read_inquiry(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return inquiry_decode(data, len, &p->facts.inquiry);
}

static bool read_supported(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	for (unsigned page = 0; page < sizeof(p->vpd); page++)
		p->vpd[page] = vpd_supported(data, len, page);
	return true;
}

static bool read_serial(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return vpd_serial_decode(data, len, p->facts.serial, sizeof(p->facts.serial));
}

static void name_from(const struct designator *d, const char *prefix, char *name, size_t size)
{
	size_t used = (size_t)snprintf(name, size, "%s", prefix);

	for (unsigned i = 0; i < d->len && used + 2 < size; i++)
		used += (size_t)snprintf(name + used, size - used, "%02x", d->value[i]);
}

/* NAA names are what hosts know a unit by; EUI-64 is the next best (SPC-4 §7.8.6.2.1). */
static bool read_device_id(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	struct designator d;
	size_t at = 0;

	while (designator_next(data, len, &at, &d)) {
		if (d.association == TARGET_PORT && d.type == DESIGNATOR_PORT_GROUP && d.len >= 4) {
			p->facts.has_group = true;
			p->facts.group = get_be16(d.value + 2);
		}
		if (d.association != 0 || d.code_set != 1 || !d.len)
			continue;
		if (d.type == DESIGNATOR_NAA && strncmp(p->facts.name, "naa.", 4) != 0)
			name_from(&d, "naa.", p->facts.name, sizeof(p->facts.name));
		else if (d.type == DESIGNATOR_EUI64 && !p->facts.name[0])
			name_from(&d, "eui.", p->facts.name, sizeof(p->facts.name));
	}
	return true;
}

static bool wants_port_groups(const struct scsi_probe *p)
{
	return p->facts.inquiry.tpgs != 0 && p->facts.has_group;
}

/* How well is the unit accessible by the port that we came by, and by others? */
static bool read_port_groups(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	struct scsi_facts *f = &p->facts;
	bool found = false, better = false;
	struct port_group g;
	size_t at = 0;

	while (port_group_next(data, len, &at, &g))
		if (g.group == f->group) {
			found = true;
			f->group_state = g.state;
		} else if (g.state == PORT_GROUP_OPTIMIZED) {
			better = true;
		}
	f->better_group = found && better && f->group_state != PORT_GROUP_OPTIMIZED;
	return found;
}

static bool read_limits(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return block_limits_decode(data, len, &p->facts.limits);
}

static bool read_characteristics(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return block_characteristics_decode(data, len, &p->facts.characteristics);
}

static bool read_provisioning(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	p->facts.has_provisioning = provisioning_decode(data, len, &p->facts.provisioning);
	return p->facts.has_provisioning;
}

static bool read_capacity_16(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	p->facts.has_capacity = len >= CAPACITY_10_LEN &&
		capacity_16_decode(data, len, &p->facts.capacity);
	return p->facts.has_capacity;
}

static bool wants_capacity(const struct scsi_probe *p)
{
	return !p->facts.has_capacity;
}

static bool read_capacity_10(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	/* SBC-3 §5.15.2: FFFFFFFFh means that only READ CAPACITY(16) can say. */
	p->facts.has_capacity = len >= CAPACITY_10_LEN &&
		capacity_10_decode(data, len, &p->facts.capacity) &&
		p->facts.capacity.last_lba != UINT32_MAX;
	return p->facts.has_capacity;
}

static bool wants_mode(const struct scsi_probe *p)
{
	return !p->facts.has_mode;
}

static bool read_mode(struct scsi_probe *p, const uint8_t *data, size_t len, bool ten)
{
	struct scsi_facts *f = &p->facts;
	struct mode_caching caching;

	if (len < (ten ? MODE_HEADER_10_LEN : MODE_HEADER_6_LEN))
		return false;
	f->has_mode = mode_header_decode(data, len, ten, &f->mode);
	f->no_write_cache = f->has_mode && mode_caching_find(data, len, ten, &caching) &&
		!caching.wce;
	return f->has_mode;
}

static bool read_mode_10(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return read_mode(p, data, len, true);
}

static bool read_mode_6(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return read_mode(p, data, len, false);
}

/* Is every bit that this CDB sets, its opcode aside, allowed by the usage map? */
static bool usage_allows(const struct cdb *cdb, const uint8_t *usage, size_t len)
{
	uint8_t wire[CDB_MAX_LEN] = { 0 };
	size_t cdb_len = cdb_encode(cdb, wire);

	if (len < cdb_len)
		return false;
	for (size_t i = 1; i < cdb_len; i++)
		if (wire[i] & ~usage[i])
			return false;
	return true;
}

static bool read_write_same(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	const struct cdb ndob = { .id = CDB_WRITE_SAME_16, .ndob = true };
	struct one_command one;

	if (!one_command_decode(data, len, &one))
		return false;
	if (one.cdb_size < len - ONE_COMMAND_LEN)
		len = ONE_COMMAND_LEN + one.cdb_size;
	p->facts.no_write_same_16 = one.support == COMMAND_NOT_SUPPORTED;
	p->facts.ndob = one.support == COMMAND_AS_STANDARD &&
		usage_allows(&ndob, data + ONE_COMMAND_LEN, len - ONE_COMMAND_LEN);
	return true;
}

/* The pages of MODE SENSE: caching, or all of them from a unit that has no such page. */
#define CACHING_PAGE	0x08
#define ALL_PAGES	0x3f

#define VPD(code) \
	.cdb = { .id = CDB_INQUIRY, .evpd = true, .page = (code), .alloc_len = SCSI_PROBE_LEN }
#define MODE_10(code) \
	.cdb = { .id = CDB_MODE_SENSE_10, .page = (code), .alloc_len = SCSI_PROBE_LEN }
#define MODE_6(code) \
	.cdb = { .id = CDB_MODE_SENSE_6, .page = (code), .alloc_len = 252 }

const struct scsi_probe_step scsi_probe_table[] = {
	{ .cdb = { .id = CDB_INQUIRY, .alloc_len = INQUIRY_LEN }, .required = true,
	  .read = read_inquiry },
	{ VPD(VPD_SUPPORTED), .read = read_supported },
	{ VPD(VPD_SERIAL), .read = read_serial },
	{ VPD(VPD_DEVICE_ID), .read = read_device_id },
	{ .cdb = { .id = CDB_REPORT_TARGET_PORT_GROUPS, .alloc_len = SCSI_PROBE_LEN },
	  .wanted = wants_port_groups, .read = read_port_groups },
	{ VPD(VPD_BLOCK_LIMITS), .read = read_limits },
	{ VPD(VPD_BLOCK_CHARACTERISTICS), .read = read_characteristics },
	{ VPD(VPD_PROVISIONING), .read = read_provisioning },
	{ .cdb = { .id = CDB_READ_CAPACITY_16, .alloc_len = CAPACITY_16_LEN }, .capacity = true,
	  .read = read_capacity_16 },
	{ .cdb = { .id = CDB_READ_CAPACITY_10 }, .required = true, .capacity = true,
	  .wanted = wants_capacity, .read = read_capacity_10 },
	{ MODE_10(CACHING_PAGE), .read = read_mode_10 },
	{ MODE_6(CACHING_PAGE), .wanted = wants_mode, .read = read_mode_6 },
	{ MODE_10(ALL_PAGES), .wanted = wants_mode, .read = read_mode_10 },
	{ MODE_6(ALL_PAGES), .wanted = wants_mode, .read = read_mode_6 },
	{ .cdb = { .id = CDB_REPORT_SUPPORTED_OPCODES, .reporting_options = REPORTING_OPCODE,
		   .alloc_len = SCSI_PROBE_LEN },
	  .about = CDB_WRITE_SAME_16, .read = read_write_same },
};
const unsigned scsi_probe_steps = sizeof(scsi_probe_table) / sizeof(scsi_probe_table[0]);
