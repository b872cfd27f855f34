/* The basic header segment: decode, encode, trace, and the LUN in it. */
#include <assert.h>
#include <string.h>

#include "bhs.h"
#include "fuzz.h"

static void lun(uint64_t wire)
{
	int number = lun_decode(wire);

	if (number >= 0)
		assert(lun_decode(lun_encode((uint16_t)number)) == number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t text_size = fuzz_u8(&in), len;
	uint8_t wire[BHS_LEN] = { 0 }, once[BHS_LEN], twice[BHS_LEN];
	const uint8_t *header = fuzz_bytes(&in, BHS_LEN, &len);
	char text[256];
	struct bhs b;

	memcpy(wire, header, len);
	if (bhs_decode(wire, &b) < 0) {
		assert(b.op == (wire[0] & 0x3f));
		return 0;
	}
	bhs_format(&b, text, text_size + 1);
	assert(strlen(text) <= text_size);
	lun(b.lun);
	/* Reserved bits are gone after the first time, and nothing else. */
	bhs_encode(&b, once);
	assert(bhs_decode(once, &b) == 0);
	bhs_encode(&b, twice);
	assert(memcmp(once, twice, BHS_LEN) == 0);
	return 0;
}
