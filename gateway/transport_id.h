/*
 * iSCSI TransportIDs (SPC-4 §7.6.4.6): an initiator port, or all those of a node, as the
 * parameter data of persistent reservations names them. Pure functions on memory.
 */
#ifndef TRANSPORT_ID_H
#define TRANSPORT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Header, 223 bytes of name, ",i,0x", twelve digits and a NUL, padded to whole words. */
#define TRANSPORT_ID_MAX_LEN	248

struct transport_id {
	char	name[224];		/* valid, in lower case */
	bool	is_port;		/* the ISID says which of the node's ports */
	uint8_t isid[6];
};

/* Write the name of a port; returns the length, a multiple of four. */
size_t transport_id_encode(const char *name, const uint8_t isid[6],
			   uint8_t wire[TRANSPORT_ID_MAX_LEN]);

/* Read one at wire[len], which may be longer: returns the bytes that it takes, or 0 when this
 * is no TransportID of iSCSI, or is cut off. */
size_t transport_id_decode(const uint8_t *wire, size_t len, struct transport_id *id);

#endif
