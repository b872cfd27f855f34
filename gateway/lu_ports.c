/*
 * The table of a unit's target ports (lu_ports.h). Called by lu_shared.c and the disk_*
 * files under the mutex of the unit's shared state, which owns the table.
 */
#include "lu_ports.h"

#include <stdlib.h>
#include <string.h>

struct lu_port lu_port_of(const struct nexus *nexus)
{
	struct lu_port port = { .tag = nexus->tpgt };

	memcpy(port.target, nexus->target_name, sizeof(port.target));
	return port;
}

bool lu_port_same(const struct lu_port *a, const struct lu_port *b)
{
	return a->tag == b->tag && !strcmp(a->target, b->target);
}

void lu_ports_free(struct lu_ports *ports)
{
	free(ports->rows);
}

static struct lu_port_row *find(const struct lu_ports *ports, const struct lu_port *port)
{
	for (unsigned i = 0; i < ports->count; i++)
		if (lu_port_same(&ports->rows[i].port, port))
			return &ports->rows[i];
	return NULL;
}

static bool is_taken(const struct lu_ports *ports, uint16_t id)
{
	for (unsigned i = 0; i < ports->count; i++)
		if (ports->rows[i].id == id)
			return true;
	return id == 0;
}

bool lu_ports_add(struct lu_ports *ports, const struct lu_port *port, bool here)
{
	struct lu_port_row *row = find(ports, port), *rows;
	uint16_t id = port->tag;

	if (row) {
		row->here |= here;
		return true;
	}
	rows = ports->count < UINT16_MAX ?
	       realloc(ports->rows, (ports->count + 1) * sizeof(*rows)) : NULL;
	if (!rows)
		return false;
	ports->rows = rows;
	while (is_taken(ports, id))
		id++;
	ports->rows[ports->count++] = (struct lu_port_row){ .port = *port, .id = id, .here = here };
	return true;
}

unsigned lu_ports_here(const struct lu_ports *ports)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ports->count; i++)
		count += ports->rows[i].here;
	return count;
}

uint16_t lu_ports_id(const struct lu_ports *ports, const struct lu_port *port)
{
	const struct lu_port_row *row = find(ports, port);

	return row ? row->id : port->tag;
}
