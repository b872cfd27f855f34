/* The field engine, on a table of its own that has every shape of field. */
#include <string.h>

#include "field.h"
#include "unit.h"

struct shapes {
	bool	 top, low;
	uint8_t	 three, whole;
	uint16_t u16;
	uint32_t u21, u24, u32, u31;
	uint64_t u48, u64, split;
	uint8_t	 optional;
};

#define FIELD_STRUCT struct shapes
#define WIRE_LEN	48

static const struct field shapes[] = {
	FIELD_BIT(top, 0, 7), FIELD(three, 0, 5, 3), FIELD_BIT(low, 0, 0), FIELD_U8(whole, 1),
	FIELD_U16(u16, 2), FIELD(u21, 4, 4, 21), FIELD_U24(u24, 7), FIELD_U32(u32, 10),
	FIELD(u31, 14, 6, 31), FIELD(u48, 18, 7, 48), FIELD_U64(u64, 24),
	FIELD(split, 32, 2, 55), FIELD_CAP(optional, 40, 7, 4, 3), FIELD_END
};

#define COUNT	(sizeof(shapes) / sizeof(shapes[0]) - 1)

static uint64_t ones(const struct field *f)
{
	return UINT64_MAX >> (64 - f->width);
}

/* The bits of a field one by one, counted from its most significant: a second opinion. */
static uint64_t slow_get(const struct field *f, const uint8_t *wire)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < f->width; i++) {
		unsigned at = f->byte * 8u + (7u - f->bit) + i;

		v = v << 1 | (wire[at / 8] >> (7 - at % 8) & 1);
	}
	return v;
}

static void a_field_is_its_bits_most_significant_first(void)
{
	uint8_t wire[WIRE_LEN];

	for (unsigned seed = 0; seed < 200; seed++) {
		for (size_t i = 0; i < sizeof(wire); i++)
			wire[i] = (uint8_t)((i + 1) * 2654435761u * (seed + 1) >> 13);
		for (size_t i = 0; i < COUNT; i++)
			CU_ASSERT_EQUAL(field_get(&shapes[i], wire), slow_get(&shapes[i], wire));
	}
}

static void a_store_changes_its_field_and_no_other_bit(void)
{
	uint8_t wire[WIRE_LEN], background;

	for (size_t i = 0; i < COUNT; i++) {
		const struct field *f = &shapes[i];

		for (int set = 0; set < 2; set++) {
			background = set ? 0xff : 0x00;
			memset(wire, background, sizeof(wire));
			field_put(f, wire, set ? 0 : UINT64_MAX);
			CU_ASSERT_EQUAL(slow_get(f, wire), set ? 0 : ones(f));
			field_put(f, wire, set ? UINT64_MAX : 0);
			for (size_t k = 0; k < sizeof(wire); k++)
				CU_ASSERT_EQUAL(wire[k], background);
		}
	}
}

static void every_field_survives_a_round_trip(void)
{
	uint8_t wire[WIRE_LEN];
	struct shapes in, out;

	for (size_t i = 0; i < COUNT; i++) {
		memset(wire, 0, sizeof(wire));
		field_put(&shapes[i], wire, ones(&shapes[i]) & UINT64_C(0xa5a5a5a5a5a5a5a5));
		memset(&in, 0, sizeof(in));
		field_decode(shapes, wire, sizeof(wire), &in);
		memset(wire, 0, sizeof(wire));
		field_encode(shapes, &in, wire);
		memset(&out, 0, sizeof(out));
		field_decode(shapes, wire, sizeof(wire), &out);
		CU_ASSERT(!memcmp(&in, &out, sizeof(in)));
		CU_ASSERT_EQUAL(field_get(&shapes[i], wire),
				ones(&shapes[i]) & UINT64_C(0xa5a5a5a5a5a5a5a5));
	}
}

static void decode_puts_each_value_into_its_member(void)
{
	static const uint8_t wire[WIRE_LEN] = {
		0xa9, 0x12, 0xbe, 0xef, 0x15, 0x55, 0x55, 0x12, 0x34, 0x56, 0xde, 0xad, 0xbe, 0xef,
		0xff, 0xff, 0xff, 0xfe, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 7, 8,
	};
	struct shapes s;

	memset(&s, 0, sizeof(s));
	field_decode(shapes, wire, sizeof(wire), &s);
	CU_ASSERT_TRUE(s.top);
	CU_ASSERT_EQUAL(s.three, 5);
	CU_ASSERT_TRUE(s.low);
	CU_ASSERT_EQUAL(s.whole, 0x12);
	CU_ASSERT_EQUAL(s.u16, 0xbeef);
	CU_ASSERT_EQUAL(s.u21, 0x155555);
	CU_ASSERT_EQUAL(s.u24, 0x123456);
	CU_ASSERT_EQUAL(s.u32, 0xdeadbeef);
	CU_ASSERT_EQUAL(s.u31, 0x7ffffffe);
	CU_ASSERT_EQUAL(s.u48, UINT64_C(0x010203040506));
	CU_ASSERT_EQUAL(s.u64, UINT64_C(0x0102030405060708));
}

static void a_field_beyond_the_end_reads_as_zero(void)
{
	uint8_t wire[WIRE_LEN];
	struct shapes s;

	memset(wire, 0xff, sizeof(wire));
	for (size_t len = 0; len <= sizeof(wire); len++) {
		memset(&s, 0xee, sizeof(s));
		field_decode(shapes, wire, len, &s);
		CU_ASSERT_EQUAL(s.top, len >= 1);
		CU_ASSERT_EQUAL(s.u16, len >= 4 ? 0xffff : 0);
		CU_ASSERT_EQUAL(s.u21, len >= 7 ? 0x1fffff : 0);
		CU_ASSERT_EQUAL(s.u64, len >= 32 ? UINT64_MAX : 0);
		CU_ASSERT_EQUAL(s.optional, len >= 41 ? 0x0f : 0);
	}
}

static void members_without_a_field_are_left_alone(void)
{
	static const struct field one[] = { FIELD_U16(u16, 2), FIELD_END };
	static const uint8_t wire[WIRE_LEN];
	struct shapes s = { .whole = 7, .u16 = 9, .u32 = 11 };

	field_decode(one, wire, sizeof(wire), &s);
	CU_ASSERT_EQUAL(s.whole, 7);
	CU_ASSERT_EQUAL(s.u16, 0);
	CU_ASSERT_EQUAL(s.u32, 11);
}

static void a_field_is_claimed_only_with_its_capability(void)
{
	uint8_t without[WIRE_LEN] = { 0 }, with[WIRE_LEN] = { 0 };

	field_claim(shapes, UINT32_C(1) << 0 | UINT32_C(1) << 3, without, sizeof(without));
	CU_ASSERT_EQUAL(without[40], 0x00);
	CU_ASSERT_EQUAL(without[0], 0xb9);
	CU_ASSERT_EQUAL(without[4], 0x1f);
	CU_ASSERT_EQUAL(without[14], 0x7f);
	field_claim(shapes, UINT32_C(1) << 2, with, sizeof(with));
	CU_ASSERT_EQUAL(with[40], 0xf0);
	CU_ASSERT_EQUAL(with[41], 0x00);
}

static void the_first_unclaimed_bit_is_found_wherever_it_is(void)
{
	uint8_t map[20], wire[20], bit;
	uint16_t byte;

	memset(map, 0, sizeof(map));
	memset(wire, 0, sizeof(wire));
	CU_ASSERT_FALSE(field_unclaimed(map, wire, sizeof(wire), &byte, &bit));
	for (unsigned at = 0; at < 8 * sizeof(wire); at++) {
		memset(wire, 0, sizeof(wire));
		wire[at / 8] = (uint8_t)(1u << (7 - at % 8));
		wire[sizeof(wire) - 1] |= 1;	/* a later one must not be taken */
		CU_ASSERT_TRUE(field_unclaimed(map, wire, sizeof(wire), &byte, &bit));
		CU_ASSERT_EQUAL(byte, at / 8);
		CU_ASSERT_EQUAL(bit, 7 - at % 8);
		memset(map, 0xff, sizeof(map));
		CU_ASSERT_FALSE(field_unclaimed(map, wire, sizeof(wire), &byte, &bit));
		memset(map, 0, sizeof(map));
	}
}

static void a_trace_names_what_is_not_zero(void)
{
	struct shapes s = { .whole = 8, .u64 = 0x1234, .low = true };
	char text[64];

	CU_ASSERT_EQUAL(field_format(shapes, &s, text, sizeof(text)),
			strlen("low=1 whole=8 u64=0x1234"));
	CU_ASSERT_STRING_EQUAL(text, "low=1 whole=8 u64=0x1234");
	s = (struct shapes){ .top = false };
	CU_ASSERT_EQUAL(field_format(shapes, &s, text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "");
}

static void a_trace_is_cut_at_every_size_and_terminated(void)
{
	static const char full[] = "low=1 whole=8 u64=0x1234";
	struct shapes s = { .whole = 8, .u64 = 0x1234, .low = true };
	char text[sizeof(full)];

	for (size_t size = 1; size <= sizeof(full); size++) {
		memset(text, 'x', sizeof(text));
		CU_ASSERT_EQUAL(field_format(shapes, &s, text, size), size - 1);
		CU_ASSERT_EQUAL(text[size - 1], '\0');
		CU_ASSERT(!memcmp(text, full, size - 1));
		CU_ASSERT(size == sizeof(full) || text[size] == 'x');
	}
}

static void plain_access_is_big_endian(void)
{
	uint8_t p[8];

	put_be64(p, UINT64_C(0x0102030405060708));
	CU_ASSERT_EQUAL(get_be16(p), 0x0102);
	CU_ASSERT_EQUAL(get_be24(p), 0x010203);
	CU_ASSERT_EQUAL(get_be32(p), 0x01020304);
	CU_ASSERT_EQUAL(get_be64(p), UINT64_C(0x0102030405060708));
	put_be24(p, 0xabcdef);
	CU_ASSERT_EQUAL(get_be32(p), 0xabcdef04);
	put_be16(p + 6, 0xffee);
	CU_ASSERT_EQUAL(get_be32(p + 4), 0x0506ffee);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_field_is_its_bits_most_significant_first),
	UNIT_TEST(a_store_changes_its_field_and_no_other_bit),
	UNIT_TEST(every_field_survives_a_round_trip),
	UNIT_TEST(decode_puts_each_value_into_its_member),
	UNIT_TEST(a_field_beyond_the_end_reads_as_zero),
	UNIT_TEST(members_without_a_field_are_left_alone),
	UNIT_TEST(a_field_is_claimed_only_with_its_capability),
	UNIT_TEST(the_first_unclaimed_bit_is_found_wherever_it_is),
	UNIT_TEST(a_trace_names_what_is_not_zero),
	UNIT_TEST(a_trace_is_cut_at_every_size_and_terminated),
	UNIT_TEST(plain_access_is_big_endian),
};

UNIT_MAIN("field", tests)
