/*
 * The target ports by which one logical unit can be reached, and the numbers by which it
 * knows them: relative target port identifiers (SPC-4 §3.1.134). A port's name is that of
 * its target and the tag of a portal group (RFC 7143 §4.4.1), but the number alone has to
 * tell it from all others: a unit of two targets, both behind one portal group, has two
 * ports.
 *
 * A table without a lock, and no I/O: lu_shared.c keeps one per unit, under its mutex.
 */
#ifndef LU_PORTS_H
#define LU_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lu.h"

struct lu_port {
	char	 target[sizeof(((struct nexus *)0)->target_name)];
	uint16_t tag;
};

struct lu_port_row {
	struct lu_port port;
	uint16_t id;			/* relative target port identifier, never 0 */
	bool	 here;			/* the configuration has it */
};

/* All zero: empty. Rows stay until the end, so that no port ever gets the number of another. */
struct lu_ports {
	struct lu_port_row *rows;
	unsigned count;
};

void lu_ports_free(struct lu_ports *ports);

/*
 * The port is there from now on, here or not. Its number is the tag, as long as no other port
 * has that: so it is for whatever one target alone shows. Else it is the next one that is
 * free, in the order in which ports are added. False without memory.
 */
bool lu_ports_add(struct lu_ports *ports, const struct lu_port *port, bool here);

/* How many are here. */
unsigned lu_ports_here(const struct lu_ports *ports);

/* Its number; the tag, if it is not in the table. */
uint16_t lu_ports_id(const struct lu_ports *ports, const struct lu_port *port);

struct lu_port lu_port_of(const struct nexus *nexus);
bool lu_port_same(const struct lu_port *a, const struct lu_port *b);

#endif
