/* Login text: walking it, the values in it, and the negotiation in both roles. */
#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "keys.h"

/* Bits of the first byte. */
enum { INITIATOR = 1, DIGESTS = 2, NO_ROOM = 4, MODEST = 8 };

#define ROOM	(64u << 10)

static void judge_value(const char *value)
{
	uint8_t binary[64];
	uint32_t number;
	int len = keys_binary(value, binary, sizeof(binary));

	assert(len >= -1 && len <= (int)sizeof(binary));
	keys_number(value, &number);
	iscsi_name_valid(value);
}

static void wishes(struct login_params *ours, uint8_t flags)
{
	keys_defaults(ours);
	ours->header_digest = ours->data_digest = flags & DIGESTS ? DIGEST_CRC32C : DIGEST_NONE;
	ours->initial_r2t = 0;
	ours->max_connections = 4;
	ours->max_burst_length = flags & MODEST ? 512 : 1u << 20;
	ours->first_burst_length = flags & MODEST ? 512 : 1u << 18;
	ours->our_max_recv_data_segment_length = 1u << 18;
}

/* Whatever the peer said: what came of it is in range, and within what we wished. */
static void judge_result(struct negotiation *n)
{
	bool sound = negotiation_finish(n);

	for (unsigned i = 0; i < KEY_NEGOTIATED; i++) {
		const struct key_row *row = key_row((enum key_id)i);
		uint32_t value = *login_param(&n->result, (enum key_id)i);

		assert(value >= row->min && value <= row->max);
	}
	assert(!sound || n->result.first_burst_length <= n->result.max_burst_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char answer[ROOM];
	struct fuzz_input in = { data, size };
	uint8_t flags = fuzz_u8(&in);
	struct key_text out = { .text = answer, .room = flags & NO_ROOM ? 40 : ROOM };
	struct login_params ours;
	struct negotiation n;
	struct key_pair pair;
	const char *why = NULL;
	size_t at = 0;
	int more;

	wishes(&ours, flags);
	negotiation_init(&n, flags & INITIATOR, &ours);
	if (flags & INITIATOR)
		negotiation_offer(&n, &out);
	negotiation_declare(&n, &out);
	while ((more = keys_next((const char *)in.at, in.left, &at, &pair, &why)) > 0) {
		assert(pair.value[pair.value_len] == '\0' && pair.name_len <= KEY_NAME_MAX);
		judge_value(pair.value);
		if (pair.id >= KEY_NEGOTIATED && pair.id != KEY_NOT_UNDERSTOOD
		    && pair.id != KEY_OF_MARK_INT && pair.id != KEY_IF_MARK_INT)
			continue;
		if (negotiation_take(&n, &pair, &out) != NEGOTIATED)
			break;
	}
	assert(more >= 0 || why);
	assert(out.len <= out.room && (!out.len || out.text[out.len - 1] == '\0'));
	judge_result(&n);
	return 0;
}
