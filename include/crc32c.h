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

/* The portable table version, for tests and as the fallback. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
