/*
 * Parameter data but for INQUIRY and its pages (vpd.c): capacities, provisioning
 * status, UNMAP lists, mode pages, LUN lists. The interpreter builds what scsi_blk
 * reads, and the reverse. Nothing is owned or kept.
 */
#include <assert.h>
#include <string.h>

#include "field.h"
#include "scsi_data.h"

static size_t shorter(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Whole elements behind a header, of "len" bytes that came and "end" that were announced. */
static uint32_t elements(size_t len, uint64_t end, size_t header, size_t element)
{
	if (end < len)
		len = (size_t)end;
	return len < header ? 0 : (uint32_t)((len - header) / element);
}

/* READ CAPACITY */

#define FIELD_STRUCT struct capacity

static const struct field capacity_10[] = {
	FIELD_U32(last_lba, 0), FIELD_U32(block_len, 4), FIELD_END
};

static const struct field capacity_16[] = {
	FIELD_U64(last_lba, 0), FIELD_U32(block_len, 8), FIELD(p_type, 12, 3, 3),
	FIELD_BIT(prot_en, 12, 0),
	FIELD(p_i_exponent, 13, 7, 4), FIELD(lbppbe, 13, 3, 4), FIELD_BIT(lbpme, 14, 7),
	FIELD_BIT(lbprz, 14, 6), FIELD(lowest_aligned_lba, 14, 5, 14), FIELD_END
};

#undef FIELD_STRUCT

#define CAPACITY_16_MIN	12	/* up to and with the block length */

size_t capacity_10_encode(const struct capacity *c, uint8_t wire[CAPACITY_10_LEN])
{
	struct capacity ten = *c;

	if (ten.last_lba > UINT32_MAX)
		ten.last_lba = UINT32_MAX;
	memset(wire, 0, CAPACITY_10_LEN);
	field_encode(capacity_10, &ten, wire);
	return CAPACITY_10_LEN;
}

size_t capacity_16_encode(const struct capacity *c, uint8_t wire[CAPACITY_16_LEN])
{
	memset(wire, 0, CAPACITY_16_LEN);
	field_encode(capacity_16, c, wire);
	return CAPACITY_16_LEN;
}

bool capacity_10_decode(const uint8_t *wire, size_t len, struct capacity *c)
{
	memset(c, 0, sizeof(*c));
	field_decode(capacity_10, wire, len, c);
	return len >= CAPACITY_10_LEN && c->block_len > 0;
}

bool capacity_16_decode(const uint8_t *wire, size_t len, struct capacity *c)
{
	memset(c, 0, sizeof(*c));
	field_decode(capacity_16, wire, len, c);
	return len >= CAPACITY_16_MIN && c->block_len > 0;
}

/* GET LBA STATUS */

#define FIELD_STRUCT struct lba_status

static const struct field lba_status[] = {
	FIELD_U64(lba, 0), FIELD_U32(blocks, 8), FIELD(status, 12, 3, 4), FIELD_END
};

#undef FIELD_STRUCT

#define LBA_STATUS_UNCOUNTED	4	/* PARAMETER DATA LENGTH counts what follows it */

void lba_status_header(uint8_t *wire, uint32_t descriptors)
{
	uint64_t len = LBA_STATUS_HEADER_LEN + (uint64_t)descriptors * LBA_STATUS_DESCRIPTOR_LEN;

	assert(len - LBA_STATUS_UNCOUNTED <= UINT32_MAX);
	memset(wire, 0, LBA_STATUS_HEADER_LEN);
	put_be32(wire, (uint32_t)(len - LBA_STATUS_UNCOUNTED));
}

void lba_status_encode(const struct lba_status *s, uint8_t wire[LBA_STATUS_DESCRIPTOR_LEN])
{
	memset(wire, 0, LBA_STATUS_DESCRIPTOR_LEN);
	field_encode(lba_status, s, wire);
}

uint32_t lba_status_count(const uint8_t *wire, size_t len)
{
	if (len < LBA_STATUS_HEADER_LEN)
		return 0;
	return elements(len, LBA_STATUS_UNCOUNTED + (uint64_t)get_be32(wire),
			LBA_STATUS_HEADER_LEN, LBA_STATUS_DESCRIPTOR_LEN);
}

void lba_status_decode(const uint8_t *wire, uint32_t index, struct lba_status *s)
{
	wire += LBA_STATUS_HEADER_LEN + (size_t)index * LBA_STATUS_DESCRIPTOR_LEN;
	field_decode(lba_status, wire, LBA_STATUS_DESCRIPTOR_LEN, s);
}

/* UNMAP */

struct unmap_list {
	uint16_t data_len, descriptor_len;
};

#define FIELD_STRUCT struct unmap_list

static const struct field unmap_list[] = {
	FIELD_U16(data_len, 0), FIELD_U16(descriptor_len, 2), FIELD_END
};

#undef FIELD_STRUCT
#define FIELD_STRUCT struct unmap_range

static const struct field unmap_range[] = {
	FIELD_U64(lba, 0), FIELD_U32(blocks, 8), FIELD_END
};

#undef FIELD_STRUCT

#define UNMAP_UNCOUNTED	2	/* UNMAP DATA LENGTH counts what follows it */

size_t unmap_header(uint8_t *wire, uint32_t count)
{
	size_t len = UNMAP_HEADER_LEN + (size_t)count * UNMAP_DESCRIPTOR_LEN;
	struct unmap_list list = {
		.data_len = (uint16_t)(len - UNMAP_UNCOUNTED),
		.descriptor_len = (uint16_t)(len - UNMAP_HEADER_LEN),
	};

	assert(count <= UNMAP_MAX_DESCRIPTORS);
	memset(wire, 0, UNMAP_HEADER_LEN);
	field_encode(unmap_list, &list, wire);
	return len;
}

void unmap_encode(const struct unmap_range *r, uint8_t wire[UNMAP_DESCRIPTOR_LEN])
{
	memset(wire, 0, UNMAP_DESCRIPTOR_LEN);
	field_encode(unmap_range, r, wire);
}

int unmap_count(const uint8_t *wire, size_t len)
{
	struct unmap_list list;

	if (len < UNMAP_HEADER_LEN)
		return -1;
	field_decode(unmap_list, wire, len, &list);
	len = shorter(len, UNMAP_HEADER_LEN + (size_t)list.descriptor_len);
	return (int)elements(len, UNMAP_UNCOUNTED + (uint64_t)list.data_len,
			     UNMAP_HEADER_LEN, UNMAP_DESCRIPTOR_LEN);
}

void unmap_decode(const uint8_t *wire, uint32_t index, struct unmap_range *r)
{
	wire += UNMAP_HEADER_LEN + (size_t)index * UNMAP_DESCRIPTOR_LEN;
	field_decode(unmap_range, wire, UNMAP_DESCRIPTOR_LEN, r);
}

/* MODE SENSE, MODE SELECT */

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

/* REPORT SUPPORTED OPERATION CODES */

#define FIELD_STRUCT struct one_command

static const struct field one_command[] = {
	FIELD_BIT(ctdp, 1, 7), FIELD(support, 1, 2, 3), FIELD_U16(cdb_size, 2), FIELD_END
};

#undef FIELD_STRUCT

void one_command_encode(const struct one_command *c, uint8_t wire[ONE_COMMAND_LEN])
{
	memset(wire, 0, ONE_COMMAND_LEN);
	field_encode(one_command, c, wire);
}

bool one_command_decode(const uint8_t *wire, size_t len, struct one_command *c)
{
	memset(c, 0, sizeof(*c));
	field_decode(one_command, wire, len, c);
	return len >= ONE_COMMAND_LEN;
}

/* REPORT LUNS */

size_t report_luns_encode(const uint64_t *luns, uint32_t count, uint8_t *wire)
{
	assert(count <= UINT32_MAX / sizeof(luns[0]));
	memset(wire, 0, REPORT_LUNS_HEADER_LEN);
	put_be32(wire, count * (uint32_t)sizeof(luns[0]));
	for (uint32_t i = 0; i < count; i++)
		put_be64(wire + REPORT_LUNS_HEADER_LEN + i * sizeof(luns[0]), luns[i]);
	return REPORT_LUNS_HEADER_LEN + count * sizeof(luns[0]);
}

uint32_t report_luns_count(const uint8_t *wire, size_t len)
{
	if (len < REPORT_LUNS_HEADER_LEN)
		return 0;
	return elements(len, REPORT_LUNS_HEADER_LEN + (uint64_t)get_be32(wire),
			REPORT_LUNS_HEADER_LEN, sizeof(uint64_t));
}

uint64_t report_luns_decode(const uint8_t *wire, uint32_t index)
{
	return get_be64(wire + REPORT_LUNS_HEADER_LEN + index * sizeof(uint64_t));
}
