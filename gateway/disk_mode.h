/*
 * Mode pages, and the flags (enum mode_flag) that their bits stand for. Private to disk_mode*.c.
 *
 *	disk_mode.c		MODE SENSE and MODE SELECT
 *	disk_mode_page.c	the pages
 *
 * A page is written by its encoder out of a set of flags; which bits are changeable, and what a
 * list sent to MODE SELECT changes, is found out by encoding pages with one flag on and off.
 * So only the encoders know where a bit is.
 */
#ifndef DISK_MODE_H
#define DISK_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk_private.h"

enum { PC_CURRENT, PC_CHANGEABLE, PC_DEFAULT, PC_SAVED };	/* page control */

#define MODE_PAGE_ROOM		32	/* the longest page */
#define MODE_PAGE_HEADER_LEN	2

struct mode_page_header {
	bool	ps, spf;
	uint8_t code, len;	/* the bytes after the header */
};

struct mode_page {
	uint8_t code;
	size_t (*put)(unsigned flags, uint8_t *wire);	/* whole page; returns its length */
};

/* Ascending, as page 3Fh returns them. */
extern const struct mode_page mode_pages[];
extern const size_t mode_page_count;

/* NULL: there is none. */
const struct mode_page *mode_page_find(uint8_t code);

void mode_page_header_decode(const uint8_t wire[MODE_PAGE_HEADER_LEN],
			     struct mode_page_header *header);

/* Write it as page control says; its length, at most MODE_PAGE_ROOM. */
size_t mode_page_put(const struct disk_lu *disk, const struct mode_page *page, uint8_t pc,
		     uint8_t *wire);

/* Does a page of the right length, sent by a host, change only what it may? Else *byte and *bit are
 * those of the first thing that it must not. */
bool mode_page_may_be(const struct disk_lu *disk, const struct mode_page *page,
		      const uint8_t *wire, uint16_t *byte, uint8_t *bit);

/* "flags" with those on and off that such a page's bits say so. */
unsigned mode_page_flags(const struct disk_lu *disk, const struct mode_page *page,
			 const uint8_t *wire, unsigned flags);

#endif
