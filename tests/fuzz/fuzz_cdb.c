/* CDBs: decode and validate, encode back, lengths, usage map, trace. */
#include <assert.h>
#include <string.h>

#include "cdb.h"
#include "fuzz.h"

/* What follows from a decoded CDB, right or wrong. */
static void consider(const struct cdb *cdb, uint32_t caps, size_t text_size)
{
	uint8_t usage[CDB_MAX_LEN];
	char text[256];

	cdb_format(cdb, text, text_size + 1);
	assert(strlen(text) <= text_size);
	if (cdb_direction(cdb) == CDB_NO_DATA)
		assert(cdb_transfer_len(cdb, 512) == 0);
	cdb_transfer_len(cdb, 4096);
	cdb_extent(cdb);
	cdb_usage(cdb->id, caps, usage);
	assert(usage[0] == cdb_row(cdb->id)->opcode);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t text_size = fuzz_u8(&in);
	uint32_t caps = fuzz_u16(&in) & CDB_CAPS_ALL;
	uint8_t once[CDB_MAX_LEN], twice[CDB_MAX_LEN];
	struct cdb cdb, again;
	struct cdb_bad bad;
	enum cdb_verdict verdict = cdb_decode(in.at, in.left, caps, &cdb, &bad);
	size_t len;

	if (cdb.id == CDB_UNKNOWN) {
		assert(verdict != CDB_OK);
		return 0;
	}
	consider(&cdb, caps, text_size);
	len = cdb_encode(&cdb, once);
	assert(len == cdb_row(cdb.id)->len);
	/* What was accepted is made of known bits only: it comes back as it was. */
	if (verdict == CDB_OK)
		assert(memcmp(once, in.at, len) == 0 && cdb_allowed(cdb.id, caps));
	assert(cdb_decode(once, len, CDB_CAPS_ALL, &again, &bad) == CDB_OK);
	assert(again.id == cdb.id && cdb_encode(&again, twice) == len);
	assert(memcmp(once, twice, len) == 0);
	return 0;
}
