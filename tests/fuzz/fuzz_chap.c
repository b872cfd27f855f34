/*
 * CHAP against a peer that says anything. The input's lines are its steps, with '\t'
 * for the NUL behind each key; "!" at the beginning of a step stands for what an honest
 * peer would say there. Nobody is let in by a step that has not that in it.
 */
#include <assert.h>
#include <string.h>

#include "chap.h"
#include "fuzz.h"

/* Bits of the first byte. */
enum { INITIATOR = 1, MUTUAL = 2, MD5_ONLY = 4 };

#define STEPS		4
#define STEP_MAX	8192

static const struct chap_secret secrets[] = {
	{ 12, "secret alice" }, { 12, "secret store" }, { 10, "secret bob" },
};
static const struct chap_user users[] = {
	{ "alice", &secrets[0], &secrets[1], "storage" },
	{ .name = "bob", .secret = &secrets[2] },
};

struct end {
	struct chap chap;
	enum chap_result result;
	struct key_text out;
	char text[STEP_MAX];
};

static void init(struct end *end, bool initiator, uint8_t flags)
{
	unsigned algorithms = flags & MD5_ONLY ? CHAP_BIT(CHAP_MD5) : CHAP_ALL;

	end->out = (struct key_text) { .text = end->text, .room = sizeof(end->text) };
	end->result = CHAP_MORE;
	if (initiator)
		chap_initiator(&end->chap, &users[flags & MUTUAL ? 0 : 1], algorithms);
	else
		chap_target(&end->chap, users, 2, algorithms);
}

static void hear(struct end *end, const char *text, size_t len)
{
	struct key_pair pair;
	const char *why;
	size_t at = 0;

	while (keys_next(text, len, &at, &pair, &why) > 0)
		if (pair.id >= KEY_CHAP_A && pair.id <= KEY_CHAP_R)
			chap_take(&end->chap, &pair);
	end->out.len = 0;
	end->result = chap_step(&end->chap, &end->out);
	assert(!end->out.overflow);
	assert((end->result == CHAP_FAILED) == (end->chap.why[0] != '\0'));
}

/* One line of the input as the text of a step, in step[]; whether an honest peer's is in it. */
static bool read_step(struct fuzz_input *in, const struct end *honest, char step[2 * STEP_MAX],
		      size_t *len)
{
	bool is_honest = in->left && *in->at == '!';
	char c;

	*len = 0;
	if (is_honest) {
		fuzz_u8(in);
		memcpy(step, honest->text, honest->out.len);
		*len = honest->out.len;
	}
	while (in->left && (c = (char)fuzz_u8(in)) != '\n') {
		if (*len < 2 * STEP_MAX)
			step[(*len)++] = c == '\t' ? '\0' : c;
	}
	return is_honest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char step[2 * STEP_MAX];
	static struct end tested, honest;
	struct fuzz_input in = { data, size };
	uint8_t flags = fuzz_u8(&in);

	init(&tested, flags & INITIATOR, flags);
	init(&honest, !(flags & INITIATOR), flags);
	hear(flags & INITIATOR ? &tested : &honest, "", 0);
	for (int i = 0; i < STEPS && tested.result != CHAP_FAILED; i++) {
		enum chap_result before = tested.result;
		bool is_honest;
		size_t len;

		if (flags & INITIATOR && honest.result != CHAP_FAILED)
			hear(&honest, tested.text, tested.out.len);
		is_honest = read_step(&in, &honest, step, &len);
		hear(&tested, step, len);
		if (!(flags & INITIATOR) && honest.result != CHAP_FAILED)
			hear(&honest, tested.text, tested.out.len);
		/* An initiator that asks for no proof is content with any target. */
		if (before != CHAP_DONE && tested.result == CHAP_DONE
		    && (!(flags & INITIATOR) || flags & MUTUAL))
			assert(is_honest);
	}
	return 0;
}
