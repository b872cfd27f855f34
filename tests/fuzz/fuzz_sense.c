/* Sense data of any target: reading it, saying it, translating it, building it again. */
#include <assert.h>
#include <string.h>

#include "errmap.h"
#include "fuzz.h"
#include "sense.h"

static void rebuild(const struct sense *sense, bool descriptor)
{
	uint8_t wire[SENSE_MAX_LEN];
	size_t len = sense_build(sense, descriptor, wire);
	struct sense again;

	assert(len <= sizeof(wire) && sense_parse(wire, len, &again));
	assert(again.reason == sense->reason);
	if (descriptor)
		assert(again.has_information == sense->has_information
		       && again.information == sense->information);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t text_size = fuzz_u8(&in);
	uint8_t status = fuzz_u8(&in);
	struct sense sense;
	char text[256];
	bool ok = sense_parse(in.at, in.left, &sense);

	assert(sense_format(status, in.at, in.left, text, text_size + 1) == text);
	assert(strlen(text) <= text_size);
	for (int kind = ERRMAP_READ; kind <= ERRMAP_OTHER; kind++) {
		int err;

		errmap_scsi(status, ok ? &sense : NULL, (enum errmap_kind)kind, &err);
	}
	if (ok) {
		rebuild(&sense, false);
		rebuild(&sense, true);
	}
	return 0;
}
