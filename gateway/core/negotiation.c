/*
 * Negotiation of operational keys (RFC 7143 §6.2), for both roles: what we offer,
 * what we answer to an offer, and whether an answer lies within our offer. All of
 * it follows the rules of the table in keys.c.
 *
 * Called by login and by text requests in full feature phase. Owns nothing.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "keys.h"

_Static_assert(KEY_COUNT <= 64, "a set of keys is one uint64_t");

#define VALUE_TEXT_MAX	32	/* "CRC32C,None", "Yes", a number: all that we ever write */

static uint64_t key_bit(enum key_id id)
{
	return UINT64_C(1) << id;
}

static uint32_t our_value(const struct negotiation *n, enum key_id id)
{
	uint32_t value;

	memcpy(&value, (const char *)n->ours + key_row(id)->member, sizeof(value));
	return value;
}

void negotiation_init(struct negotiation *n, bool initiator, const struct login_params *ours)
{
	memset(n, 0, sizeof(*n));
	n->initiator = initiator;
	n->ours = ours;
	keys_defaults(&n->result);
}

static void put_value(struct key_text *out, enum key_id id, uint32_t value)
{
	const struct key_row *row = key_row(id);

	switch (row->rule) {
	case KEY_RULE_LIST:
		keys_put(out, row->name, row->values[value]);
		break;
	case KEY_RULE_AND:
	case KEY_RULE_OR:
		keys_put(out, row->name, value ? "Yes" : "No");
		break;
	case KEY_RULE_MIN:
	case KEY_RULE_MAX:
	case KEY_RULE_DECLARE:
		keys_put_number(out, id, value);
		break;
	}
}

/* All that we know, the preferred value first: the acceptor takes the first that it can. */
static void put_list(struct key_text *out, const struct key_row *row, uint32_t preferred)
{
	char list[VALUE_TEXT_MAX];
	size_t at = (size_t)snprintf(list, sizeof(list), "%s", row->values[preferred]);

	for (uint32_t i = 0; row->values[i]; i++)
		if (i != preferred)
			at += (size_t)snprintf(list + at, sizeof(list) - at, ",%s", row->values[i]);
	assert(at < sizeof(list));
	keys_put(out, row->name, list);
}

/* No answer can change this, so that none need come (RFC 7143 §6.2.2). */
static bool is_settled(enum key_rule rule, uint32_t offer)
{
	return (rule == KEY_RULE_AND && !offer) || (rule == KEY_RULE_OR && offer);
}

void negotiation_offer(struct negotiation *n, struct key_text *out)
{
	for (unsigned i = 0; i < KEY_NEGOTIATED; i++) {
		enum key_id id = (enum key_id)i;
		const struct key_row *row = key_row(id);
		uint32_t ours = our_value(n, id);

		assert(ours >= row->min && ours <= row->max);
		if (row->rule == KEY_RULE_DECLARE || n->seen & key_bit(id))
			continue;
		if (row->rule == KEY_RULE_LIST && row->values[1])
			put_list(out, row, ours);
		else if (ours != row->initial)
			put_value(out, id, ours);
		else
			continue;
		n->offered |= key_bit(id);
		if (is_settled(row->rule, ours))
			*login_param(&n->result, id) = ours;
	}
}

void negotiation_declare(struct negotiation *n, struct key_text *out)
{
	uint32_t ours = n->ours->our_max_recv_data_segment_length;

	n->result.our_max_recv_data_segment_length = ours;
	keys_put_number(out, KEY_MAX_RECV_DATA_SEGMENT_LENGTH, ours);
}

/* The number of the list value text[len], or -1. */
static int list_index(const struct key_row *row, const char *text, size_t len)
{
	for (int i = 0; row->values[i]; i++)
		if (strlen(row->values[i]) == len && memcmp(row->values[i], text, len) == 0)
			return i;
	return -1;
}

/*
 * The first value of the peer's list that we want (its number is at most ours); if
 * it insists on one that we merely know, that. -1 when there is nothing in common.
 */
static int choose(const struct key_row *row, const char *list, uint32_t ours)
{
	int known = -1;

	for (const char *p = list;; p++) {
		size_t len = strcspn(p, ",");
		int i = list_index(row, p, len);

		if (i >= 0 && (uint32_t)i <= ours)
			return i;
		if (known < 0)
			known = i;
		p += len;
		if (!*p)
			return known;
	}
}

/* One value as it is written on the wire, within the key's range. */
static bool parse_value(const struct key_row *row, const char *text, uint32_t *value)
{
	int i;

	switch (row->rule) {
	case KEY_RULE_LIST:
		i = list_index(row, text, strlen(text));
		*value = (uint32_t)i;
		return i >= 0;
	case KEY_RULE_AND:
	case KEY_RULE_OR:
		*value = strcmp(text, "Yes") == 0;
		return *value || strcmp(text, "No") == 0;
	case KEY_RULE_MIN:
	case KEY_RULE_MAX:
	case KEY_RULE_DECLARE:
		break;
	}
	return keys_number(text, value) && *value >= row->min && *value <= row->max;
}

/* The result function of two values (RFC 7143 §6.2.2); for a list what was chosen. */
static uint32_t combine(enum key_rule rule, uint32_t ours, uint32_t theirs)
{
	switch (rule) {
	case KEY_RULE_MIN:
	case KEY_RULE_AND:
		return ours < theirs ? ours : theirs;
	case KEY_RULE_MAX:
	case KEY_RULE_OR:
		return ours > theirs ? ours : theirs;
	case KEY_RULE_LIST:
	case KEY_RULE_DECLARE:
		break;
	}
	return theirs;
}

static bool is_reserved(const char *value)
{
	return strcmp(value, "Reject") == 0 || strcmp(value, "Irrelevant") == 0
	       || strcmp(value, "NotUnderstood") == 0;
}

static enum negotiation_verdict broken(struct negotiation *n, const struct key_row *row)
{
	n->bad_key = row->name;
	return NEGOTIATION_BROKEN;
}

/* An answer must be what the rule can make of our offer and some value of theirs. */
static enum negotiation_verdict take_answer(struct negotiation *n, const struct key_pair *pair)
{
	const struct key_row *row = key_row(pair->id);
	uint32_t value;

	if (is_reserved(pair->value))
		return NEGOTIATED;
	if (!parse_value(row, pair->value, &value)
	    || combine(row->rule, our_value(n, pair->id), value) != value)
		return broken(n, row);
	*login_param(&n->result, pair->id) = value;
	return NEGOTIATED;
}

static enum negotiation_verdict take_offer(struct negotiation *n, const struct key_pair *pair,
					   struct key_text *out)
{
	const struct key_row *row = key_row(pair->id);
	uint32_t ours = our_value(n, pair->id), value;
	int chosen;

	if (is_reserved(pair->value))
		return broken(n, row);	/* an answer to what we never asked */
	if (row->rule == KEY_RULE_LIST) {
		chosen = choose(row, pair->value, ours);
		value = (uint32_t)chosen;
	} else {
		chosen = parse_value(row, pair->value, &value) ? 0 : -1;
	}
	if (chosen < 0) {
		n->bad_key = row->name;
		keys_put(out, row->name, "Reject");
		return NEGOTIATION_REJECTED;
	}
	*login_param(&n->result, pair->id) = combine(row->rule, ours, value);
	if (row->rule != KEY_RULE_DECLARE)
		put_value(out, pair->id, *login_param(&n->result, pair->id));
	return NEGOTIATED;
}

static void answer_unknown(const struct key_pair *pair, struct key_text *out)
{
	char name[KEY_NAME_MAX + 1];

	assert(pair->name_len <= KEY_NAME_MAX);
	memcpy(name, pair->name, pair->name_len);
	name[pair->name_len] = '\0';
	keys_put(out, name, "NotUnderstood");
}

enum negotiation_verdict negotiation_take(struct negotiation *n, const struct key_pair *pair,
					  struct key_text *out)
{
	if (pair->id == KEY_NOT_UNDERSTOOD) {
		/* Two sides that each know nothing of a key must not answer each other for ever. */
		if (!is_reserved(pair->value))
			answer_unknown(pair, out);
		return NEGOTIATED;
	}
	assert(pair->id < KEY_NEGOTIATED || pair->id == KEY_OF_MARK_INT
	       || pair->id == KEY_IF_MARK_INT);
	if (n->seen & key_bit(pair->id))
		return broken(n, key_row(pair->id));	/* RFC 7143 §6.3: once each */
	n->seen |= key_bit(pair->id);
	if (pair->id >= KEY_NEGOTIATED) {
		keys_put(out, key_row(pair->id)->name, "Reject");
		return NEGOTIATED;
	}
	if (n->offered & key_bit(pair->id))
		return take_answer(n, pair);
	return take_offer(n, pair, out);
}

bool negotiation_finish(struct negotiation *n)
{
	struct login_params *r = &n->result;
	uint64_t mentioned = n->offered | n->seen;

	if (r->first_burst_length <= r->max_burst_length)
		return true;
	/* RFC 7143 §13.14. A default that nobody spoke of follows MaxBurstLength down. */
	if (!(mentioned & key_bit(KEY_FIRST_BURST_LENGTH))) {
		r->first_burst_length = r->max_burst_length;
		return true;
	}
	n->bad_key = key_row(KEY_FIRST_BURST_LENGTH)->name;
	return false;
}
