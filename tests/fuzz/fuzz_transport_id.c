/* TransportIDs of PERSISTENT RESERVE OUT: one after the other, and back again. */
#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "keys.h"
#include "transport_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t wire[TRANSPORT_ID_MAX_LEN];
	struct transport_id id, again;
	size_t used, len;

	for (; (used = transport_id_decode(data, size, &id)); data += used, size -= used) {
		assert(used <= size && used % 4 == 0 && iscsi_name_valid(id.name));
		if (!id.is_port)
			continue;
		len = transport_id_encode(id.name, id.isid, wire);
		assert(transport_id_decode(wire, len, &again) == len);
		assert(!strcmp(again.name, id.name) && !memcmp(again.isid, id.isid, 6));
	}
	return 0;
}
