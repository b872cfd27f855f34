/*
 * Big-endian bit fields as data: the one engine behind CDBs, PDU headers and
 * parameter data. A table of fields describes a wire format once; encoding,
 * decoding, the usage map of REPORT SUPPORTED OPERATION CODES and the search
 * for bits that nobody claims all come from it.
 *
 * Pure functions on memory.
 */
#ifndef FIELD_H
#define FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field {
	const char *name;	/* as in the standard, snake_case; NULL ends a table */
	uint16_t member;	/* offset in the C struct */
	uint8_t	 size;		/* of the member: 1, 2, 4 or 8 bytes, unsigned (or bool) */
	uint8_t	 bit;		/* most significant bit in the first byte, 7..0 */
	uint16_t byte;		/* first byte on the wire */
	uint8_t	 width;		/* bits, 1..64, within eight bytes of wire */
	uint8_t	 cap;		/* bit number of the capability that it needs + 1; 0 = none */
	/* What follows from these, worked out by the compiler: this is the data path. */
	uint8_t	 span;		/* bytes on the wire that the field touches */
	uint8_t	 below;		/* bits below the field in the number that its bytes make */
};

#define FIELD_SPAN(first_bit, bits)	((7 - (first_bit) + (bits) + 7) / 8)
#define FIELD_BELOW(first_bit, bits) \
	(FIELD_SPAN(first_bit, bits) * 8 - (7 - (first_bit)) - (bits))

/* The size of the member; no array has it where the field is too wide for that, or for what the
 * engine loads at once. */
#define FIELD_ROOM(size, first_bit, bits) \
	(sizeof(char[(bits) <= 8 * (size) && FIELD_SPAN(first_bit, bits) <= 8 ? (int)(size) : -1]))

/*
 * Rows are written in the table of one C struct:
 *	#define FIELD_STRUCT struct cdb
 *	FIELD(lba, 2, 7, 64)	64 bits from byte 2, bit 7 on
 */
#define FIELD_CAP(m, first_byte, first_bit, bits, needs) \
	{ .name = #m, .member = offsetof(FIELD_STRUCT, m), \
	  .size = FIELD_ROOM(sizeof(((FIELD_STRUCT *)0)->m), first_bit, bits), .byte = (first_byte), \
	  .bit = (first_bit), .width = (bits), .cap = (needs), \
	  .span = FIELD_SPAN(first_bit, bits), .below = FIELD_BELOW(first_bit, bits) }
#define FIELD(m, first_byte, first_bit, bits) FIELD_CAP(m, first_byte, first_bit, bits, 0)
#define FIELD_BIT(m, byte, bit)	FIELD(m, byte, bit, 1)
#define FIELD_U8(m, byte)	FIELD(m, byte, 7, 8)
#define FIELD_U16(m, byte)	FIELD(m, byte, 7, 16)
#define FIELD_U24(m, byte)	FIELD(m, byte, 7, 24)
#define FIELD_U32(m, byte)	FIELD(m, byte, 7, 32)
#define FIELD_U64(m, byte)	FIELD(m, byte, 7, 64)
#define FIELD_END		{ .name = NULL }

/* The value of one field on the wire. The wire must hold all of the field's bytes. */
uint64_t field_get(const struct field *f, const uint8_t *wire);

/* Store "value" (its low "width" bits) into the wire; other bits stay. */
void field_put(const struct field *f, uint8_t *wire, uint64_t value);

/* Every field of the table from wire to struct; members with no field are untouched.
 * Fields that do not lie wholly within the "len" bytes of wire become 0. */
void field_decode(const struct field *table, const uint8_t *wire, size_t len, void *object);

/* Every field of the table from struct to wire; bits that no field claims stay. Values
 * must fit their fields (asserted). */
void field_encode(const struct field *table, const void *object, uint8_t *wire);

/* Set in map[len] every bit that a field of the table claims and "caps" allows. */
void field_claim(const struct field *table, uint32_t caps, uint8_t *map, size_t len);

/* The first bit of wire[len] that is set and not in map: true, and where. */
bool field_unclaimed(const uint8_t *map, const uint8_t *wire, size_t len,
		     uint16_t *byte, uint8_t *bit);

/* "lba=0x10 blocks=8 fua=1": the non-zero fields of an object, for traces. Returns
 * the length written, always terminated, cut to "size". */
size_t field_format(const struct field *table, const void *object, char *text, size_t size);

/* Plain big-endian access for what is not a table. */
static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)get_be16(p) << 16 | get_be16(p + 2);
}

static inline uint64_t get_be64(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be24(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 16);
	put_be16(p + 1, (uint16_t)v);
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16(p + 2, (uint16_t)v);
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32(p + 4, (uint32_t)v);
}

#endif
