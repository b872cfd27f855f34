/*
 * Who the unit is: the VPD pages 80h, 83h and 88h (SPC-4 §7.8). What they say of the
 * unit is in lu_shared, alike on every worker and after every restart; what they say
 * of a port is the one that the asking nexus came by, but for 88h, which has all.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "disk_private.h"
#include "field.h"
#include "scsi_data.h"

#define VENDOR_LEN	8
#define SCSI_NAME_LEN	240		/* ",t,0xffff" after 223 bytes, and its padding */

size_t disk_vpd_serial(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire)
{
	const char *serial = disk_shared(disk)->conf.serial;

	(void)nexus;
	memcpy(wire + VPD_HEADER_LEN, serial, strlen(serial));
	return vpd_header(wire, 0, VPD_SERIAL, strlen(serial));
}

static size_t put_naa(const struct lu_shared *shared, uint8_t *wire, size_t at)
{
	uint8_t naa[8];
	const struct designator d = {
		.code_set = CODE_SET_BINARY, .association = OF_UNIT, .type = DESIGNATOR_NAA,
		.len = sizeof(naa), .value = naa,
	};

	put_be64(naa, shared->naa);
	return designator_encode(&d, wire, at);
}

/* SPC-4 §7.8.6.4: the vendor, padded, and what is unique among the vendor's. */
static size_t put_t10(const struct lu_shared *shared, uint8_t *wire, size_t at)
{
	const struct disk_lu_conf *conf = &shared->conf;
	char text[VENDOR_LEN + sizeof(conf->product) + sizeof(conf->serial)];
	int len = snprintf(text, sizeof(text), "%-*s%s %s", VENDOR_LEN, conf->vendor,
			   conf->product, conf->serial);
	const struct designator d = {
		.code_set = CODE_SET_ASCII, .association = OF_UNIT, .type = DESIGNATOR_T10,
		.len = (uint8_t)len, .value = (const uint8_t *)text,
	};

	assert(len > 0 && (size_t)len < sizeof(text));
	return designator_encode(&d, wire, at);
}

/* Relative port identifier and target port group: two reserved bytes, then the number. */
static size_t put_port_number(enum designator_type type, uint16_t number, uint8_t *wire, size_t at)
{
	uint8_t value[4] = { 0 };
	const struct designator d = {
		.protocol = PROTOCOL_ISCSI, .code_set = CODE_SET_BINARY, .piv = true,
		.association = OF_PORT, .type = (uint8_t)type, .len = sizeof(value), .value = value,
	};

	put_be16(value + 2, number);
	return designator_encode(&d, wire, at);
}

/* SPC-4 §7.8.6.11: ended by a NUL, and padded with more of them to whole words. */
static size_t put_scsi_name(uint8_t association, const char *name, uint8_t *wire, size_t at)
{
	char text[SCSI_NAME_LEN] = { 0 };
	size_t len = strlen(name) + 1;
	struct designator d = {
		.protocol = PROTOCOL_ISCSI, .code_set = CODE_SET_UTF8, .piv = true,
		.association = association, .type = DESIGNATOR_SCSI_NAME,
		.value = (const uint8_t *)text,
	};

	assert(len <= sizeof(text));
	memcpy(text, name, len);
	d.len = (uint8_t)((len + 3) & ~(size_t)3);
	return designator_encode(&d, wire, at);
}

/* The target by which the nexus came: a unit may be in several. */
static const char *target_of(const struct lu_shared *shared, const struct nexus *nexus)
{
	return nexus && *nexus->target_name ? nexus->target_name : shared->conf.target_name;
}

static size_t put_port_name(const char *target, uint16_t tag, uint8_t *wire, size_t at)
{
	char name[SCSI_NAME_LEN];

	snprintf(name, sizeof(name), "%s,t,0x%04x", target, tag);
	return put_scsi_name(OF_PORT, name, wire, at);
}

size_t disk_vpd_device_id(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire)
{
	struct lu_shared *shared = disk_shared(disk);
	size_t at = VPD_HEADER_LEN;

	at = put_naa(shared, wire, at);
	at = put_t10(shared, wire, at);
	if (nexus) {
		at = put_port_number(DESIGNATOR_RELATIVE_PORT, lu_shared_port_id(shared, nexus),
				     wire, at);
		at = put_port_number(DESIGNATOR_PORT_GROUP, DISK_PORT_GROUP, wire, at);
		at = put_port_name(target_of(shared, nexus), nexus->tpgt, wire, at);
	}
	at = put_scsi_name(OF_DEVICE, target_of(shared, nexus), wire, at);
	assert(at <= DISK_VPD_ROOM);
	return vpd_header(wire, 0, VPD_DEVICE_ID, at - VPD_HEADER_LEN);
}

/* 88h: a port's descriptor, up to its designators (SPC-4 §7.8.14). */
struct scsi_port {
	uint16_t relative_port, initiator_len, target_len;
};

#define FIELD_STRUCT struct scsi_port
static const struct field scsi_port[] = {
	FIELD_U16(relative_port, 2), FIELD_U16(initiator_len, 6), FIELD_U16(target_len, 10),
	FIELD_END
};
#undef FIELD_STRUCT
#define SCSI_PORT_LEN	12

struct page {
	uint8_t *wire;
	size_t at;
};

static void put_port(const struct lu_port *port, uint16_t id, void *opaque)
{
	struct page *page = opaque;
	size_t names = page->at + SCSI_PORT_LEN;
	size_t end = put_port_name(port->target, port->tag, page->wire, names);
	const struct scsi_port descriptor = {
		.relative_port = id, .target_len = (uint16_t)(end - names),
	};

	field_encode(scsi_port, &descriptor, page->wire + page->at);
	page->at = end;
}

size_t disk_vpd_scsi_ports(const struct disk_lu *disk, const struct nexus *nexus, uint8_t *wire)
{
	struct page page = { wire, VPD_HEADER_LEN };

	lu_shared_each_port(disk_shared(disk), nexus, put_port, &page);
	return vpd_header(wire, 0, VPD_SCSI_PORTS, page.at - VPD_HEADER_LEN);
}
