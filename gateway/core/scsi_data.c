/*
 * Parameter data but for INQUIRY and its pages (vpd.c) and those of MODE SENSE (mode.c):
 * capacities, provisioning status, UNMAP lists, LUN lists. The interpreter builds what scsi_blk
 * reads, and the reverse. Nothing is owned or kept.
 */
#include <assert.h>
#include <string.h>

#include "field.h"
#include "scsi_data.h"

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
	size_t end;

	if (len < UNMAP_HEADER_LEN)
		return -1;
	field_decode(unmap_list, wire, len, &list);
	end = UNMAP_HEADER_LEN + (size_t)list.descriptor_len;
	if (end < len)
		len = end;
	return (int)elements(len, UNMAP_UNCOUNTED + (uint64_t)list.data_len,
			     UNMAP_HEADER_LEN, UNMAP_DESCRIPTOR_LEN);
}

void unmap_decode(const uint8_t *wire, uint32_t index, struct unmap_range *r)
{
	wire += UNMAP_HEADER_LEN + (size_t)index * UNMAP_DESCRIPTOR_LEN;
	field_decode(unmap_range, wire, UNMAP_DESCRIPTOR_LEN, r);
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
