/*
 * The field engine: reads, writes and claims big-endian bit fields that a table
 * describes. CDBs, PDU headers, sense data and parameter data are tables of this
 * kind; everybody who knows such a format calls here. Nothing is owned or kept.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "field_inline.h"

uint64_t field_get(const struct field *f, const uint8_t *wire)
{
	return field_get_inline(f, wire);
}

void field_put(const struct field *f, uint8_t *wire, uint64_t value)
{
	field_put_inline(f, wire, value);
}

void field_decode(const struct field *table, const uint8_t *wire, size_t len, void *object)
{
	for (const struct field *f = table; f->name; f++)
		field_member_put(f, object, f->byte + (size_t)f->span <= len
					    ? field_get_inline(f, wire) : 0);
}

void field_encode(const struct field *table, const void *object, uint8_t *wire)
{
	for (const struct field *f = table; f->name; f++) {
		uint64_t value = field_member_get(f, object);

		assert(value <= field_low_bits(f->width));
		field_put_inline(f, wire, value);
	}
}

void field_claim(const struct field *table, uint32_t caps, uint8_t *map, size_t len)
{
	for (const struct field *f = table; f->name; f++) {
		assert(f->cap <= 32 && f->byte + (size_t)f->span <= len);
		if (!f->cap || caps & UINT32_C(1) << (f->cap - 1))
			field_put_inline(f, map, UINT64_MAX);
	}
	(void)len;	/* without asserts */
}

bool field_unclaimed(const uint8_t *map, const uint8_t *wire, size_t len,
		     uint16_t *byte, uint8_t *bit)
{
	size_t i = 0;

	/* Valid commands, the many, leave here by eights. */
	while (i + 8 <= len && !(get_be64(wire + i) & ~get_be64(map + i)))
		i += 8;
	for (; i < len; i++) {
		uint8_t stray = (uint8_t)(wire[i] & ~map[i]);

		if (!stray)
			continue;
		*byte = (uint16_t)i;
		for (*bit = 7; !(stray & 1u << *bit); --*bit)
			;
		return true;
	}
	return false;
}

size_t field_format(const struct field *table, const void *object, char *text, size_t size)
{
	size_t at = 0;

	assert(size > 0);
	text[0] = '\0';
	for (const struct field *f = table; f->name && at + 1 < size; f++) {
		uint64_t value = field_member_get(f, object);
		int n;

		if (!value)
			continue;
		/* One digit says the same in both bases. */
		n = snprintf(text + at, size - at, value > 9 ? "%s%s=0x%" PRIx64 : "%s%s=%" PRIx64,
			     at ? " " : "", f->name, value);
		assert(n > 0);
		at += (size_t)n;
	}
	return at < size ? at : size - 1;
}
