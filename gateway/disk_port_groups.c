/*
 * REPORT TARGET PORT GROUPS (SPC-4 §5.16, §6.37): implicit asymmetric access in its
 * simplest form. All target ports are one group, by which the unit is active and optimized
 * at all times, so a host spreads its commands over all the paths it has.
 */
#include <assert.h>

#include "disk_private.h"
#include "field.h"
#include "scsi_data.h"

enum { LENGTH_ONLY_HEADER, EXTENDED_HEADER };	/* PARAMETER DATA FORMAT */

struct reply_header {
	uint32_t len;			/* of what follows this field */
	uint8_t	 format;		/* in the extended header only */
};

#define FIELD_STRUCT struct reply_header
static const struct field reply_header[] = { FIELD_U32(len, 0), FIELD_END };
static const struct field extended_header[] = {
	FIELD_U32(len, 0), FIELD(format, 4, 6, 3), FIELD_END
};
#undef FIELD_STRUCT
#define EXTENDED_HEADER_LEN	8

#define PORT_AT			2	/* the relative port identifier in a port's descriptor */

struct descriptors {
	uint8_t *wire;
	size_t at;
};

static void put_port(const struct lu_port *port, uint16_t id, void *opaque)
{
	struct descriptors *d = opaque;

	(void)port;
	put_be16(d->wire + d->at + PORT_AT, id);
	d->at += PORT_GROUP_PORT_LEN;
}

void disk_report_port_groups(struct disk_lu *disk, struct scsi_task *task)
{
	bool extended = task->cdb.param_data_format == EXTENDED_HEADER;
	uint8_t wire[EXTENDED_HEADER_LEN + PORT_GROUP_LEN + DISK_MAX_PORTS * PORT_GROUP_PORT_LEN] = { 0 };
	size_t at = extended ? EXTENDED_HEADER_LEN : PORT_GROUPS_HEADER_LEN;
	struct reply_header header = { .format = EXTENDED_HEADER };
	struct port_group group = {
		.state = PORT_GROUP_OPTIMIZED,
		.ao_sup = true,
		.group = DISK_PORT_GROUP,
	};
	struct descriptors ports = { wire, at + PORT_GROUP_LEN };

	if (task->cdb.param_data_format > EXTENDED_HEADER) {
		disk_refuse_field(disk, task, param_data_format);
		return;
	}
	group.port_count = (uint8_t)lu_shared_each_port(disk_shared(disk), task->nexus, put_port,
							&ports);
	port_group_encode(&group, wire + at);
	assert(ports.at <= sizeof(wire));
	header.len = (uint32_t)(ports.at - sizeof(header.len));
	field_encode(extended ? extended_header : reply_header, &header, wire);
	disk_reply(disk, task, wire, ports.at, task->cdb.alloc_len);
}
