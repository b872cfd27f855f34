/*
 * Where the reservations of one logical unit outlive the process (SPC-4 §5.12.5,
 * APTPL): one text file in a state directory, replaced as a whole or not at all.
 *
 *	nbd-iscsi-gateway reservations 2
 *	type 5
 *	registration 0x00000000000000ab 1 0x00023d000001 holder iqn.1993-08.org.debian:01:ab iqn.2024-01.org.example:disk
 *	registration 0x00000000000000cd 1 0x00023d000001 - iqn.1993-08.org.debian:01:cd iqn.2024-01.org.example:disk
 *	end 0x12345678
 *
 * A registration's words: key, target portal group tag, ISID, whether it holds the
 * reservation, the names of initiator and target. The last line has the CRC32C of all
 * before it.
 *
 * Version 1 had no names of targets, and is read all the same.
 *
 * Both functions block. One thread at a time.
 */
#ifndef RESERVATION_STORE_H
#define RESERVATION_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "reservation.h"

struct reservation_store;

/* In an existing directory, by the unit's name, a word of letters and digits. NULL when there
 * is no memory, or with errno when the directory cannot be written to. */
struct reservation_store *reservation_store_new(const char *directory, const char *unit);
void reservation_store_free(struct reservation_store *store);

/*
 * What was saved last, into *r; nothing saved is no registrations. Where no target is named
 * (version 1), "target" is meant: the first that shows the unit. False, with a line that
 * names the file and says what is wrong with it: *r has no registrations then, and the file
 * is moved out of the way (".bad") for somebody to look at.
 */
bool reservation_store_load(struct reservation_store *store, const char *target,
			    struct reservations *r, char *why, size_t size);

/* Make *r what is loaded next: without "aptpl", nothing. It is on the medium when this returns
 * true; false with errno, and either *r or what was saved before will be loaded. */
bool reservation_store_save(struct reservation_store *store, const struct reservations *r);

#endif
