/*
 * CRC32C (Castagnoli), the digest of iSCSI (RFC 7143 §13.1): ISA-L where it is
 * built in, else the processor's instruction, else a table.
 */
#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue "crc" (0 to start) over data[len]; the value is final after every call
 * (inversion is inside), so pieces may be chained: crc32c(crc32c(0, a), b). */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The digest in a PDU: the least significant byte goes first, unlike every other number there
 * (RFC 7143 §13.1, appendix A.4). */
#define DIGEST_LEN	4

static inline void digest_put(uint8_t p[DIGEST_LEN], uint32_t crc)
{
	for (int i = 0; i < DIGEST_LEN; i++)
		p[i] = (uint8_t)(crc >> 8 * i);
}

static inline uint32_t digest_get(const uint8_t p[DIGEST_LEN])
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The portable table version, for tests and as the fallback. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
