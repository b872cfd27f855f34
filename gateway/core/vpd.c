/*
 * INQUIRY data and the vital product data pages. What a device says of itself,
 * built by the interpreter and read by whoever probes a logical unit. Text from a
 * peer comes out printable. Nothing is owned or kept.
 */
#include <assert.h>
#include <string.h>

#include "field.h"
#include "scsi_data.h"

/* SPC-4 §4.4.1: ASCII data fields are left-aligned and padded with spaces. */
static void pad(uint8_t *wire, size_t width, const char *text)
{
	size_t len = strlen(text);

	assert(len <= width);
	memset(wire, ' ', width);
	memcpy(wire, text, len);
}

/* wire[len] as text[size], without the padding (some devices pad with NUL) and printable. */
static void trim(const uint8_t *wire, size_t len, char *text, size_t size)
{
	assert(size > 0);
	while (len > 0 && (wire[0] == ' ' || !wire[0])) {
		wire++;
		len--;
	}
	while (len > 0 && (wire[len - 1] == ' ' || !wire[len - 1]))
		len--;
	if (len > size - 1)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		text[i] = wire[i] >= ' ' && wire[i] <= '~' ? (char)wire[i] : '?';
	text[len] = '\0';
}

/* Standard INQUIRY data */

#define FIELD_STRUCT struct inquiry

static const struct field inquiry[] = {
	FIELD(qualifier, 0, 7, 3), FIELD(device_type, 0, 4, 5), FIELD_BIT(removable, 1, 7),
	FIELD_U8(version, 2), FIELD_BIT(norm_aca, 3, 5), FIELD_BIT(hi_sup, 3, 4),
	FIELD(response_data_format, 3, 3, 4), FIELD_U8(additional_length, 4), FIELD_BIT(sccs, 5, 7),
	FIELD(tpgs, 5, 5, 2), FIELD_BIT(third_party_copy, 5, 3), FIELD_BIT(protect, 5, 0),
	FIELD_BIT(multi_port, 6, 4), FIELD_BIT(cmd_que, 7, 1),
	FIELD_U16(version_descriptor[0], 58), FIELD_U16(version_descriptor[1], 60),
	FIELD_U16(version_descriptor[2], 62), FIELD_U16(version_descriptor[3], 64),
	FIELD_U16(version_descriptor[4], 66), FIELD_U16(version_descriptor[5], 68),
	FIELD_U16(version_descriptor[6], 70), FIELD_U16(version_descriptor[7], 72), FIELD_END
};

#undef FIELD_STRUCT

#define INQUIRY_MIN	5	/* up to and with ADDITIONAL LENGTH */
enum { VENDOR_AT = 8, PRODUCT_AT = 16, REVISION_AT = 32, REVISION_END = 36 };

size_t inquiry_encode(const struct inquiry *inq, uint8_t wire[INQUIRY_LEN])
{
	struct inquiry whole = *inq;

	whole.additional_length = INQUIRY_LEN - INQUIRY_MIN;
	memset(wire, 0, INQUIRY_LEN);
	field_encode(inquiry, &whole, wire);
	pad(wire + VENDOR_AT, PRODUCT_AT - VENDOR_AT, inq->vendor);
	pad(wire + PRODUCT_AT, REVISION_AT - PRODUCT_AT, inq->product);
	pad(wire + REVISION_AT, REVISION_END - REVISION_AT, inq->revision);
	return INQUIRY_LEN;
}

/* The text between two offsets, as much of it as came. */
static void text_field(const uint8_t *wire, size_t len, size_t from, size_t to, char *text,
		       size_t size)
{
	if (to > len)
		to = len;
	if (from > to)
		from = to;
	trim(wire + from, to - from, text, size);
}

bool inquiry_decode(const uint8_t *wire, size_t len, struct inquiry *inq)
{
	memset(inq, 0, sizeof(*inq));
	if (len < INQUIRY_MIN)
		return false;
	field_decode(inquiry, wire, INQUIRY_MIN, inq);
	if (len > INQUIRY_MIN + (size_t)inq->additional_length)
		len = INQUIRY_MIN + (size_t)inq->additional_length;
	field_decode(inquiry, wire, len, inq);
	text_field(wire, len, VENDOR_AT, PRODUCT_AT, inq->vendor, sizeof(inq->vendor));
	text_field(wire, len, PRODUCT_AT, REVISION_AT, inq->product, sizeof(inq->product));
	text_field(wire, len, REVISION_AT, REVISION_END, inq->revision, sizeof(inq->revision));
	return true;
}

/* Any page */

struct vpd {
	uint8_t	 type, page;
	uint16_t len;
};

#define FIELD_STRUCT struct vpd

static const struct field vpd[] = {
	FIELD_U8(type, 0), FIELD_U8(page, 1), FIELD_U16(len, 2), FIELD_END
};

#undef FIELD_STRUCT

size_t vpd_header(uint8_t *wire, uint8_t qualifier_and_type, enum vpd_page page, size_t len)
{
	const struct vpd header = {
		.type = qualifier_and_type,
		.page = (uint8_t)page,
		.len = (uint16_t)len,
	};

	assert(len <= UINT16_MAX);
	field_encode(vpd, &header, wire);
	return VPD_HEADER_LEN + len;
}

int vpd_payload(const uint8_t *wire, size_t len, enum vpd_page page)
{
	struct vpd header;

	if (len < VPD_HEADER_LEN)
		return -1;
	field_decode(vpd, wire, len, &header);
	if (header.page != page)
		return -1;
	len -= VPD_HEADER_LEN;
	return header.len < len ? header.len : (int)len;
}

/* A page of fixed layout: header, then every field of the table. */
static size_t page_encode(enum vpd_page page, size_t whole, uint8_t type,
			  const struct field *table, const void *object, uint8_t *wire)
{
	memset(wire, 0, whole);
	field_encode(table, object, wire);
	return vpd_header(wire, type, page, whole - VPD_HEADER_LEN);
}

static bool page_decode(const uint8_t *wire, size_t len, enum vpd_page page,
			const struct field *table, void *object)
{
	int payload = vpd_payload(wire, len, page);

	if (payload < 0)
		return false;
	field_decode(table, wire, VPD_HEADER_LEN + (size_t)payload, object);
	return true;
}

bool vpd_supported(const uint8_t *wire, size_t len, enum vpd_page page)
{
	int count = vpd_payload(wire, len, VPD_SUPPORTED);

	return count > 0 && memchr(wire + VPD_HEADER_LEN, page, (size_t)count);
}

bool vpd_serial_decode(const uint8_t *wire, size_t len, char *text, size_t size)
{
	int count = vpd_payload(wire, len, VPD_SERIAL);

	assert(size > 0);
	text[0] = '\0';
	if (count < 0)
		return false;
	trim(wire + VPD_HEADER_LEN, (size_t)count, text, size);
	return true;
}

/* 83h */

#define FIELD_STRUCT struct designator

static const struct field designator[] = {
	FIELD(protocol, 0, 7, 4), FIELD(code_set, 0, 3, 4), FIELD_BIT(piv, 1, 7),
	FIELD(association, 1, 5, 2),
	FIELD(type, 1, 3, 4), FIELD_U8(len, 3), FIELD_END
};

#undef FIELD_STRUCT

#define DESIGNATOR_HEADER_LEN	4

size_t designator_encode(const struct designator *d, uint8_t *wire, size_t at)
{
	memset(wire + at, 0, DESIGNATOR_HEADER_LEN);
	field_encode(designator, d, wire + at);
	at += DESIGNATOR_HEADER_LEN;
	memcpy(wire + at, d->value, d->len);
	return at + d->len;
}

bool designator_next(const uint8_t *wire, size_t len, size_t *at, struct designator *d)
{
	int payload = vpd_payload(wire, len, VPD_DEVICE_ID);
	size_t left;

	memset(d, 0, sizeof(*d));
	if (payload < 0 || *at + DESIGNATOR_HEADER_LEN > (size_t)payload)
		return false;
	wire += VPD_HEADER_LEN + *at;
	left = (size_t)payload - *at;
	field_decode(designator, wire, left, d);
	if (d->len > left - DESIGNATOR_HEADER_LEN)
		return false;
	d->value = wire + DESIGNATOR_HEADER_LEN;
	*at += DESIGNATOR_HEADER_LEN + (size_t)d->len;
	return true;
}

/* B0h */

#define FIELD_STRUCT struct block_limits

static const struct field block_limits[] = {
	FIELD_BIT(wsnz, 4, 0), FIELD_U8(max_compare_and_write, 5),
	FIELD_U16(transfer_granularity, 6),
	FIELD_U32(max_transfer, 8), FIELD_U32(optimal_transfer, 12), FIELD_U32(max_prefetch, 16),
	FIELD_U32(max_unmap_blocks, 20), FIELD_U32(max_unmap_descriptors, 24),
	FIELD_U32(unmap_granularity, 28), FIELD_BIT(ugavalid, 32, 7),
	FIELD(unmap_alignment, 32, 6, 31),
	FIELD_U64(max_write_same, 36), FIELD_U32(max_atomic, 44), FIELD_U32(atomic_alignment, 48),
	FIELD_U32(atomic_granularity, 52), FIELD_U32(max_atomic_with_boundary, 56),
	FIELD_U32(max_atomic_boundary, 60), FIELD_END
};

#undef FIELD_STRUCT

size_t block_limits_encode(const struct block_limits *bl, uint8_t type,
			   uint8_t wire[VPD_BLOCK_LIMITS_LEN])
{
	return page_encode(VPD_BLOCK_LIMITS, VPD_BLOCK_LIMITS_LEN, type, block_limits, bl, wire);
}

bool block_limits_decode(const uint8_t *wire, size_t len, struct block_limits *bl)
{
	memset(bl, 0, sizeof(*bl));
	return page_decode(wire, len, VPD_BLOCK_LIMITS, block_limits, bl);
}

/* B1h */

#define FIELD_STRUCT struct block_characteristics

static const struct field block_characteristics[] = {
	FIELD_U16(rotation_rate, 4), FIELD_U8(product_type, 6),
	FIELD(wabereq, 7, 7, 2), FIELD(wacereq, 7, 5, 2), FIELD(form_factor, 7, 3, 4),
	FIELD_BIT(fuab, 8, 1), FIELD_BIT(vbuls, 8, 0), FIELD_END
};

#undef FIELD_STRUCT

size_t block_characteristics_encode(const struct block_characteristics *bc, uint8_t type,
				    uint8_t wire[VPD_BLOCK_CHARACTERISTICS_LEN])
{
	return page_encode(VPD_BLOCK_CHARACTERISTICS, VPD_BLOCK_CHARACTERISTICS_LEN, type,
			   block_characteristics, bc, wire);
}

bool block_characteristics_decode(const uint8_t *wire, size_t len,
				  struct block_characteristics *bc)
{
	memset(bc, 0, sizeof(*bc));
	return page_decode(wire, len, VPD_BLOCK_CHARACTERISTICS, block_characteristics, bc);
}

/* B2h */

#define FIELD_STRUCT struct provisioning

static const struct field provisioning[] = {
	FIELD_U8(threshold_exponent, 4), FIELD_BIT(lbpu, 5, 7), FIELD_BIT(lbpws, 5, 6),
	FIELD_BIT(lbpws10, 5, 5), FIELD(lbprz, 5, 4, 3), FIELD_BIT(anc_sup, 5, 1),
	FIELD_BIT(dp, 5, 0),
	FIELD(type, 6, 2, 3), FIELD_END
};

#undef FIELD_STRUCT

size_t provisioning_encode(const struct provisioning *p, uint8_t type,
			   uint8_t wire[VPD_PROVISIONING_LEN])
{
	return page_encode(VPD_PROVISIONING, VPD_PROVISIONING_LEN, type, provisioning, p, wire);
}

bool provisioning_decode(const uint8_t *wire, size_t len, struct provisioning *p)
{
	memset(p, 0, sizeof(*p));
	return page_decode(wire, len, VPD_PROVISIONING, provisioning, p);
}
