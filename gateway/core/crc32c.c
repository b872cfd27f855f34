/*
 * CRC32C by the fastest means there is: ISA-L, else SSE4.2's instruction, else a
 * table. The connection code of both roles digests headers and data with it.
 * Nothing is owned or kept.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <limits.h>
#include <string.h>

#ifdef HAVE_ISAL
#include <isa-l/crc.h>
#endif

#include "crc32c.h"

/*
 * What becomes of the register when byte i goes through it: the polynomial's powers
 * (82f63b78h is the polynomial, bits reflected) for the bits that i has, since a CRC
 * is linear. The preprocessor makes the 256 entries.
 */
#define BYTE(i) \
	(((i) & 0x80 ? UINT32_C(0x82f63b78) : 0) ^ ((i) & 0x40 ? UINT32_C(0x417b1dbc) : 0) ^ \
	 ((i) & 0x20 ? UINT32_C(0x20bd8ede) : 0) ^ ((i) & 0x10 ? UINT32_C(0x105ec76f) : 0) ^ \
	 ((i) & 0x08 ? UINT32_C(0x8ad958cf) : 0) ^ ((i) & 0x04 ? UINT32_C(0xc79a971f) : 0) ^ \
	 ((i) & 0x02 ? UINT32_C(0xe13b70f7) : 0) ^ ((i) & 0x01 ? UINT32_C(0xf26b8303) : 0))
#define BYTES_4(i)	BYTE(i), BYTE((i) + 1), BYTE((i) + 2), BYTE((i) + 3)
#define BYTES_16(i)	BYTES_4(i), BYTES_4((i) + 4), BYTES_4((i) + 8), BYTES_4((i) + 12)
#define BYTES_64(i)	BYTES_16(i), BYTES_16((i) + 16), BYTES_16((i) + 32), BYTES_16((i) + 48)

static const uint32_t table[256] = { BYTES_64(0), BYTES_64(64), BYTES_64(128), BYTES_64(192) };

uint32_t crc32c_table(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	crc = ~crc;
	for (; len > 0; len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

#if defined HAVE_ISAL

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	/* ISA-L counts in int, takes what it does not change without const, and leaves the
	 * inversion to its caller. */
	crc = ~crc;
	while (len > 0) {
		int n = len < INT_MAX ? (int)len : INT_MAX;

		crc = crc32_iscsi((unsigned char *)p, n, crc);
		p += n;
		len -= (size_t)n;
	}
	return ~crc;
}

#elif defined __GNUC__ && defined __x86_64__

__attribute__((target("sse4.2")))
static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t wide = (uint32_t)~crc, word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	for (; len > 0; len--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return ~crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data, len)
						: crc32c_table(crc, data, len);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return crc32c_table(crc, data, len);
}

#endif
