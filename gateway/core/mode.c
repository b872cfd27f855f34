/*
 * Mode parameter lists (SPC-4 §7.5): the headers, and the pages that we look into. The
 * interpreter builds what scsi_blk reads, and the reverse. Nothing is owned or kept.
 */
#include <string.h>

#include "field.h"
#include "scsi_data.h"

static size_t shorter(size_t a, size_t b)
{
	return a < b ? a : b;
}

#define FIELD_STRUCT struct mode_header

static const struct field mode_header_6[] = {
	FIELD(data_len, 0, 7, 8), FIELD_U8(medium_type, 1), FIELD_BIT(wp, 2, 7),
	FIELD_BIT(dpofua, 2, 4),
	FIELD(block_descriptor_len, 3, 7, 8), FIELD_END
};

static const struct field mode_header_10[] = {
	FIELD_U16(data_len, 0), FIELD_U8(medium_type, 2), FIELD_BIT(wp, 3, 7),
	FIELD_BIT(dpofua, 3, 4),
	FIELD_BIT(long_lba, 4, 0), FIELD_U16(block_descriptor_len, 6), FIELD_END
};

#undef FIELD_STRUCT

static size_t mode_header_len(bool ten)
{
	return ten ? MODE_HEADER_10_LEN : MODE_HEADER_6_LEN;
}

size_t mode_header_encode(const struct mode_header *h, bool ten, uint8_t *wire)
{
	memset(wire, 0, mode_header_len(ten));
	field_encode(ten ? mode_header_10 : mode_header_6, h, wire);
	return mode_header_len(ten);
}

bool mode_header_decode(const uint8_t *wire, size_t len, bool ten, struct mode_header *h)
{
	memset(h, 0, sizeof(*h));
	field_decode(ten ? mode_header_10 : mode_header_6, wire, len, h);
	return len >= mode_header_len(ten);
}

void mode_header_protect(uint8_t *wire, size_t len, bool ten)
{
	struct mode_header header;

	if (!mode_header_decode(wire, len, ten, &header))
		return;		/* cut off before anybody would look */
	header.wp = true;
	field_encode(ten ? mode_header_10 : mode_header_6, &header, wire);
}

struct mode_page {
	bool	 ps, spf;
	uint8_t	 page;
	uint16_t len;		/* of what follows */
};

#define FIELD_STRUCT struct mode_page

static const struct field mode_page_0[] = {
	FIELD_BIT(ps, 0, 7), FIELD_BIT(spf, 0, 6), FIELD(page, 0, 5, 6), FIELD(len, 1, 7, 8),
	FIELD_END
};

static const struct field mode_sub_page[] = {
	FIELD_BIT(ps, 0, 7), FIELD_BIT(spf, 0, 6), FIELD(page, 0, 5, 6), FIELD_U16(len, 2),
	FIELD_END
};

#undef FIELD_STRUCT
#define FIELD_STRUCT struct mode_caching

static const struct field mode_caching[] = {
	FIELD_BIT(ps, 0, 7), FIELD_BIT(ic, 2, 7), FIELD_BIT(abpf, 2, 6), FIELD_BIT(cap, 2, 5),
	FIELD_BIT(disc, 2, 4), FIELD_BIT(size, 2, 3), FIELD_BIT(wce, 2, 2), FIELD_BIT(mf, 2, 1),
	FIELD_BIT(rcd, 2, 0), FIELD_BIT(fsw, 12, 7), FIELD_BIT(lbcss, 12, 6), FIELD_BIT(dra, 12, 5),
	FIELD_BIT(nv_dis, 12, 0), FIELD_END
};

#undef FIELD_STRUCT

#define MODE_PAGE_CACHING	0x08
#define MODE_PAGE_0_HEADER	2
#define MODE_SUB_PAGE_HEADER	4

size_t mode_caching_encode(const struct mode_caching *m, uint8_t wire[MODE_CACHING_LEN])
{
	const struct mode_page page = {
		.page = MODE_PAGE_CACHING,
		.len = MODE_CACHING_LEN - MODE_PAGE_0_HEADER,
	};

	memset(wire, 0, MODE_CACHING_LEN);
	field_encode(mode_page_0, &page, wire);
	field_encode(mode_caching, m, wire);
	return MODE_CACHING_LEN;
}

/* Read the page header at wire; returns the length of the whole page as it announces it. */
static size_t mode_page_decode(const uint8_t *wire, size_t len, struct mode_page *page)
{
	field_decode(mode_page_0, wire, len, page);
	if (!page->spf)
		return MODE_PAGE_0_HEADER + (size_t)page->len;
	field_decode(mode_sub_page, wire, len, page);
	return MODE_SUB_PAGE_HEADER + (size_t)page->len;
}

bool mode_caching_find(const uint8_t *wire, size_t len, bool ten, struct mode_caching *m)
{
	struct mode_header header;
	struct mode_page page;
	size_t at, whole;

	memset(m, 0, sizeof(*m));
	if (!mode_header_decode(wire, len, ten, &header))
		return false;
	/* MODE DATA LENGTH does not count itself. */
	len = shorter(len, header.data_len + (ten ? 2u : 1u));
	at = mode_header_len(ten) + header.block_descriptor_len;
	for (; at < len; at += whole) {
		whole = mode_page_decode(wire + at, len - at, &page);
		if (page.page != MODE_PAGE_CACHING || page.spf)
			continue;
		field_decode(mode_caching, wire + at, shorter(whole, len - at), m);
		return true;
	}
	return false;
}
