/*
 * The field engine: reads, writes and claims big-endian bit fields that a table
 * describes. CDBs, PDU headers, sense data and parameter data are tables of this
 * kind; everybody who knows such a format calls here. Nothing is owned or kept.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "field.h"

static inline uint64_t low_bits(unsigned width)
{
	return UINT64_MAX >> (64 - width);
}

/* The usual widths become one load or store each: this is the data path. */
static inline uint64_t load(const uint8_t *p, size_t bytes)
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

static inline void store(uint8_t *p, size_t bytes, uint64_t v)
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

static inline uint64_t get(const struct field *f, const uint8_t *wire)
{
	return load(wire + f->byte, f->span) >> f->below & low_bits(f->width);
}

/* What fills its bytes is stored without a look at what is there. */
static inline void put(const struct field *f, uint8_t *wire, uint64_t value)
{
	uint8_t *p = wire + f->byte;
	uint64_t mask;

	if (f->width == f->span * 8) {
		store(p, f->span, value);
		return;
	}
	mask = low_bits(f->width) << f->below;
	store(p, f->span, (load(p, f->span) & ~mask) | (value << f->below & mask));
}

uint64_t field_get(const struct field *f, const uint8_t *wire)
{
	return get(f, wire);
}

void field_put(const struct field *f, uint8_t *wire, uint64_t value)
{
	put(f, wire, value);
}

static inline uint64_t member_get(const struct field *f, const void *object)
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

static inline void member_put(const struct field *f, void *object, uint64_t value)
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

void field_decode(const struct field *table, const uint8_t *wire, size_t len, void *object)
{
	for (const struct field *f = table; f->name; f++)
		member_put(f, object, f->byte + (size_t)f->span <= len ? get(f, wire) : 0);
}

void field_encode(const struct field *table, const void *object, uint8_t *wire)
{
	for (const struct field *f = table; f->name; f++) {
		uint64_t value = member_get(f, object);

		assert(value <= low_bits(f->width));
		put(f, wire, value);
	}
}

void field_claim(const struct field *table, uint32_t caps, uint8_t *map, size_t len)
{
	for (const struct field *f = table; f->name; f++) {
		assert(f->cap <= 32 && f->byte + (size_t)f->span <= len);
		if (!f->cap || caps & UINT32_C(1) << (f->cap - 1))
			put(f, map, UINT64_MAX);
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
		uint64_t value = member_get(f, object);
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
