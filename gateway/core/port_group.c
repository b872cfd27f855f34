/*
 * Target port groups (SPC-4 §5.16, §6.37): by which of its ports a unit is how well
 * accessible. The target's side builds the descriptors, the initiator's reads them.
 * Nothing is owned or kept.
 */
#include "field.h"
#include "scsi_data.h"

#define FIELD_STRUCT struct port_group

static const struct field descriptor[] = {
	FIELD_BIT(pref, 0, 7), FIELD(state, 0, 3, 4),
	FIELD_BIT(t_sup, 1, 7), FIELD_BIT(o_sup, 1, 6), FIELD_BIT(u_sup, 1, 3),
	FIELD_BIT(s_sup, 1, 2), FIELD_BIT(an_sup, 1, 1), FIELD_BIT(ao_sup, 1, 0),
	FIELD_U16(group, 2), FIELD_U8(port_count, 7), FIELD_END
};

void port_group_encode(const struct port_group *g, uint8_t wire[PORT_GROUP_LEN])
{
	field_encode(descriptor, g, wire);
}

bool port_group_next(const uint8_t *wire, size_t len, size_t *at, struct port_group *g)
{
	size_t end = len < PORT_GROUPS_HEADER_LEN ? 0 : PORT_GROUPS_HEADER_LEN + (size_t)get_be32(wire);

	if (end > len)
		end = len;
	if (!*at)
		*at = PORT_GROUPS_HEADER_LEN;
	if (end < *at || end - *at < PORT_GROUP_LEN)
		return false;
	field_decode(descriptor, wire + *at, PORT_GROUP_LEN, g);
	*at += PORT_GROUP_LEN + g->port_count * (size_t)PORT_GROUP_PORT_LEN;
	return true;
}
