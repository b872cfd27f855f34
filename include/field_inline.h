/*
 * The field engine (field.h) for inlining. Where the compiler sees a table, and all of it,
 * the loop over the rows becomes as many loads and stores: so FIELD_DECODE() and
 * FIELD_ENCODE() are for what every request of the data path goes through. field.c is
 * the same code for a table that is only known when it runs.
 *
 * Pure functions on memory.
 */
#ifndef FIELD_INLINE_H
#define FIELD_INLINE_H

#include <assert.h>
#include <string.h>

#include "field.h"

#define FIELD_INLINE	static inline __attribute__((always_inline))

#ifdef __clang__
#define FIELD_UNROLL	_Pragma("unroll")
#else
#define FIELD_UNROLL	_Pragma("GCC unroll 32")
#endif

FIELD_INLINE uint64_t field_low_bits(unsigned width)
{
	return UINT64_MAX >> (64 - width);
}

/* The usual widths become one load or store each: this is the data path. */
FIELD_INLINE uint64_t field_load(const uint8_t *p, size_t bytes)
{
	uint64_t v = 0;

	switch (bytes) {
	case 1:
		return p[0];
	case 2:
		return get_be16(p);
	case 4:
		return get_be32(p);
	case 8:
		return get_be64(p);
	}
	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

FIELD_INLINE void field_store(uint8_t *p, size_t bytes, uint64_t v)
{
	switch (bytes) {
	case 1:
		p[0] = (uint8_t)v;
		return;
	case 2:
		put_be16(p, (uint16_t)v);
		return;
	case 4:
		put_be32(p, (uint32_t)v);
		return;
	case 8:
		put_be64(p, v);
		return;
	}
	while (bytes--) {
		p[bytes] = (uint8_t)v;
		v >>= 8;
	}
}

FIELD_INLINE uint64_t field_get_inline(const struct field *f, const uint8_t *wire)
{
	return field_load(wire + f->byte, f->span) >> f->below & field_low_bits(f->width);
}

/* What fills its bytes is stored without a look at what is there. */
FIELD_INLINE void field_put_inline(const struct field *f, uint8_t *wire, uint64_t value)
{
	uint8_t *p = wire + f->byte;
	uint64_t mask;

	if (f->width == f->span * 8) {
		field_store(p, f->span, value);
		return;
	}
	mask = field_low_bits(f->width) << f->below;
	field_store(p, f->span, (field_load(p, f->span) & ~mask) | (value << f->below & mask));
}

FIELD_INLINE uint64_t field_member_get(const struct field *f, const void *object)
{
	const unsigned char *p = (const unsigned char *)object + f->member;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (f->size) {
	case 1:
		return *p;
	case 2:
		memcpy(&u16, p, sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, p, sizeof(u32));
		return u32;
	}
	assert(f->size == 8);
	memcpy(&u64, p, sizeof(u64));
	return u64;
}

FIELD_INLINE void field_member_put(const struct field *f, void *object, uint64_t value)
{
	unsigned char *p = (unsigned char *)object + f->member;
	uint16_t u16 = (uint16_t)value;
	uint32_t u32 = (uint32_t)value;

	switch (f->size) {
	case 1:
		*p = (unsigned char)value;
		return;
	case 2:
		memcpy(p, &u16, sizeof(u16));
		return;
	case 4:
		memcpy(p, &u32, sizeof(u32));
		return;
	}
	assert(f->size == 8);
	memcpy(p, &value, sizeof(value));
}

FIELD_INLINE void field_decode_rows(const struct field *table, size_t rows, const uint8_t *wire,
				    void *object)
{
	FIELD_UNROLL
	for (size_t i = 0; i < rows; i++)
		field_member_put(&table[i], object, field_get_inline(&table[i], wire));
}

FIELD_INLINE void field_encode_rows(const struct field *table, size_t rows, const void *object,
				    uint8_t *wire)
{
	FIELD_UNROLL
	for (size_t i = 0; i < rows; i++) {
		uint64_t value = field_member_get(&table[i], object);

		assert(value <= field_low_bits(table[i].width));
		field_put_inline(&table[i], wire, value);
	}
}

/* As field_decode() and field_encode(), for a table that is an array of this file; the wire holds
 * all of its fields. */
#define FIELD_ROWS(table)	(sizeof(table) / sizeof((table)[0]) - 1)
#define FIELD_DECODE(table, wire, object) \
	field_decode_rows(table, FIELD_ROWS(table), wire, object)
#define FIELD_ENCODE(table, object, wire) \
	field_encode_rows(table, FIELD_ROWS(table), object, wire)

#endif
