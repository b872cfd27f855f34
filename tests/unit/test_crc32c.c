/* CRC32C: the examples of RFC 3720 appendix B.4, and the fast way against the table. */
#include <string.h>

#include "crc32c.h"
#include "unit.h"

typedef uint32_t digest(uint32_t crc, const void *data, size_t len);

static digest *const ways[] = { crc32c, crc32c_table };

#define EACH_WAY(w) \
	for (digest *const *w = ways; w < ways + sizeof(ways) / sizeof(ways[0]); w++)

/* The RFC prints the digest as its four bytes go over the wire; here it is a number. */
static void the_examples_of_the_rfc_hold(void)
{
	static const uint8_t read_10_pdu[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
		0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	uint8_t data[32];

	EACH_WAY(way) {
		memset(data, 0x00, sizeof(data));
		CU_ASSERT_EQUAL((*way)(0, data, sizeof(data)), 0x8a9136aa);
		memset(data, 0xff, sizeof(data));
		CU_ASSERT_EQUAL((*way)(0, data, sizeof(data)), 0x62a8ab43);
		for (unsigned i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)i;
		CU_ASSERT_EQUAL((*way)(0, data, sizeof(data)), 0x46dd794e);
		for (unsigned i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)(31 - i);
		CU_ASSERT_EQUAL((*way)(0, data, sizeof(data)), 0x113fdb5c);
		CU_ASSERT_EQUAL((*way)(0, read_10_pdu, sizeof(read_10_pdu)), 0xd9963a56);
		CU_ASSERT_EQUAL((*way)(0, "123456789", 9), 0xe3069283);
	}
}

static void nothing_changes_nothing(void)
{
	EACH_WAY(way) {
		CU_ASSERT_EQUAL((*way)(0, NULL, 0), 0);
		CU_ASSERT_EQUAL((*way)(0x12345678, "", 0), 0x12345678);
	}
}

static uint8_t noise[1024 + 16];

static void make_noise(void)
{
	uint32_t state = 1;

	for (size_t i = 0; i < sizeof(noise); i++) {
		state = state * 1664525u + 1013904223u;
		noise[i] = (uint8_t)(state >> 24);
	}
}

static void pieces_may_be_chained_at_any_cut(void)
{
	make_noise();
	EACH_WAY(way) {
		uint32_t whole = (*way)(0, noise, 256);

		for (size_t cut = 0; cut <= 256; cut++)
			CU_ASSERT_EQUAL((*way)((*way)(0, noise, cut), noise + cut, 256 - cut),
					whole);
	}
}

static void every_length_and_alignment_agrees_with_the_table(void)
{
	make_noise();
	for (size_t shift = 0; shift < 16; shift++)
		for (size_t len = 0; len <= 1024; len += len < 80 ? 1 : 59)
			CU_ASSERT_EQUAL(crc32c(7, noise + shift, len),
					crc32c_table(7, noise + shift, len));
}

static void every_single_bit_error_is_seen(void)
{
	uint32_t good;

	make_noise();
	good = crc32c(0, noise, 64);
	for (unsigned bit = 0; bit < 8 * 64; bit++) {
		noise[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT(crc32c(0, noise, 64) != good);
		noise[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(the_examples_of_the_rfc_hold),
	UNIT_TEST(nothing_changes_nothing),
	UNIT_TEST(pieces_may_be_chained_at_any_cut),
	UNIT_TEST(every_length_and_alignment_agrees_with_the_table),
	UNIT_TEST(every_single_bit_error_is_seen),
};

UNIT_MAIN("crc32c", tests)
