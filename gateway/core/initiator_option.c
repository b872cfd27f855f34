/*
 * The table of what a user may choose of a session, and how each value is read. The
 * ranges of negotiated keys are those of keys.c; see initiator_option.h.
 *
 * Called while a configuration is read. Owns nothing.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "initiator_option.h"
#include "option_value.h"

enum kind { KIND_NAME, KIND_DIGEST, KIND_YES_NO, KIND_KEY, KIND_SECONDS, KIND_TASKS, KIND_ALGORITHMS };

/* How the value of each is read, beside the row that users see. */
struct reading {
	enum kind kind;
	enum key_id key;		/* KIND_KEY */
	size_t member;			/* in struct initiator_conf: KIND_YES_NO, KIND_SECONDS */
	double least;			/* KIND_SECONDS */
};

#define MEMBER(m)	offsetof(struct initiator_conf, m)

#define OPTIONS(X) \
	X("initiator-name", "IQN", "our iSCSI name (from the host name)", { .kind = KIND_NAME }) \
	X("digest", "none|header|data|both", "ask for CRC32C checksums (none)", { .kind = KIND_DIGEST }) \
	X("chap-algorithms", "LIST", "of md5, sha1, sha-256, sha3-256 (all, the best first)", \
	  { .kind = KIND_ALGORITHMS }) \
	X("discover-portals", "yes|no", "ask the target for portals to fail over to (no)", \
	  { .kind = KIND_YES_NO, .member = MEMBER(discover_portals) }) \
	X("login-timeout", "SECONDS", "for connecting and logging in (15)", \
	  { .kind = KIND_SECONDS, .member = MEMBER(login_timeout), .least = 1 }) \
	X("outage-timeout", "SECONDS", "requests wait for a lost target; -1: for ever (120)", \
	  { .kind = KIND_SECONDS, .member = MEMBER(outage_timeout), .least = -1 }) \
	X("noop-interval", "SECONDS", "of silence until a NOP-Out asks (5; 0: never)", \
	  { .kind = KIND_SECONDS, .member = MEMBER(noop_interval) }) \
	X("noop-timeout", "SECONDS", "for the answer to it (5)", \
	  { .kind = KIND_SECONDS, .member = MEMBER(noop_timeout), .least = 1 }) \
	X("abort-timeout", "SECONDS", "from ABORT TASK to LOGICAL UNIT RESET (15)", \
	  { .kind = KIND_SECONDS, .member = MEMBER(abort_timeout), .least = 1 }) \
	X("tmf-timeout", "SECONDS", "from that to a new session (30)", \
	  { .kind = KIND_SECONDS, .member = MEMBER(tmf_timeout), .least = 1 }) \
	X("queue-depth", "N", "commands in flight at once (128)", { .kind = KIND_TASKS }) \
	X("initial-r2t", "yes|no", "wait for R2T before any Data-Out (no)", \
	  { .kind = KIND_KEY, .key = KEY_INITIAL_R2T }) \
	X("immediate-data", "yes|no", "send data along with the command (yes)", \
	  { .kind = KIND_KEY, .key = KEY_IMMEDIATE_DATA }) \
	X("first-burst-length", "BYTES", "of data that is sent unasked (262144)", \
	  { .kind = KIND_KEY, .key = KEY_FIRST_BURST_LENGTH }) \
	X("max-burst-length", "BYTES", "of data between two requests for it (1048576)", \
	  { .kind = KIND_KEY, .key = KEY_MAX_BURST_LENGTH }) \
	X("max-recv-data-segment-length", "BYTES", "of one PDU to us (262144)", \
	  { .kind = KIND_KEY, .key = KEY_MAX_RECV_DATA_SEGMENT_LENGTH }) \
	X("max-outstanding-r2t", "N", "R2Ts of one command at once (8)", \
	  { .kind = KIND_KEY, .key = KEY_MAX_OUTSTANDING_R2T }) \
	X("default-time2wait", "SECONDS", "at least, before a lost session comes back (0)", \
	  { .kind = KIND_KEY, .key = KEY_DEFAULT_TIME2WAIT }) \
	X("default-time2retain", "SECONDS", "that the target keeps the tasks of a lost session (0)", \
	  { .kind = KIND_KEY, .key = KEY_DEFAULT_TIME2RETAIN })

#define SEEN(name, argument, help, ...)	{ name, argument, help },
static const struct initiator_option options[] = { OPTIONS(SEEN) };
#define READ(name, argument, help, ...)	__VA_ARGS__,
static const struct reading readings[] = { OPTIONS(READ) };

#define COUNT	(sizeof(options) / sizeof(options[0]))

const struct initiator_option *initiator_options(size_t *count)
{
	*count = COUNT;
	return options;
}

static bool set_name(struct initiator_conf *conf, const char *value, char *why, size_t size)
{
	const char *refusal = iscsi_name_refusal(value);

	if (refusal) {
		snprintf(why, size, "%s", refusal);
		return false;
	}
	assert(strlen(value) < sizeof(conf->initiator_name));
	strcpy(conf->initiator_name, value);
	return true;
}

static bool set_digest(struct initiator_conf *conf, const char *value, char *why, size_t size)
{
	bool both = strcmp(value, "both") == 0;
	bool header = both || strcmp(value, "header") == 0;
	bool data = both || strcmp(value, "data") == 0;

	if (!header && !data && strcmp(value, "none") != 0) {
		snprintf(why, size, "not none, header, data or both");
		return false;
	}
	conf->params.header_digest = header ? DIGEST_CRC32C : DIGEST_NONE;
	conf->params.data_digest = data ? DIGEST_CRC32C : DIGEST_NONE;
	return true;
}

static bool parse_yes_no(const char *value, uint32_t *number, char *why, size_t size)
{
	bool yes;

	if (!option_value_bool(value, &yes, why, size))
		return false;
	*number = yes;
	return true;
}

static bool set_key(struct login_params *params, enum key_id id, const char *value, char *why,
		    size_t size)
{
	const struct key_row *row = key_row(id);
	uint32_t *member = login_param(params, id);

	/* Of what is declared it is our own, not the peer's, that a user chooses. */
	if (id == KEY_MAX_RECV_DATA_SEGMENT_LENGTH)
		member = &params->our_max_recv_data_segment_length;
	if (row->rule == KEY_RULE_AND || row->rule == KEY_RULE_OR)
		return parse_yes_no(value, member, why, size);
	return option_value_number(value, row->min, row->max, member, why, size);
}

static bool set_algorithms(struct initiator_conf *conf, const char *value, char *why, size_t size)
{
	unsigned algorithms = 0;

	for (;;) {
		size_t len = strcspn(value, ",");
		enum chap_algorithm algorithm = chap_algorithm_find(value, len);

		if (!algorithm) {
			snprintf(why, size, "\"%.*s\" is not md5, sha1, sha-256 or sha3-256",
				 len < 32 ? (int)len : 32, value);
			return false;
		}
		algorithms |= CHAP_BIT(algorithm);
		if (!value[len])
			break;
		value += len + 1;
	}
	conf->chap_algorithms = algorithms;
	return true;
}

bool initiator_option_set(struct initiator_conf *conf, const struct initiator_option *option,
			  const char *value, char *why, size_t size)
{
	const struct reading *reading = &readings[option - options];
	void *member = (char *)conf + reading->member;
	uint32_t number;

	assert(option >= options && option < options + COUNT);
	switch (reading->kind) {
	case KIND_NAME:
		return set_name(conf, value, why, size);
	case KIND_DIGEST:
		return set_digest(conf, value, why, size);
	case KIND_KEY:
		return set_key(&conf->params, reading->key, value, why, size);
	case KIND_SECONDS:
		return option_value_seconds(value, reading->least, OPTION_VALUE_MAX_SECONDS, member,
					    why, size);
	case KIND_ALGORITHMS:
		return set_algorithms(conf, value, why, size);
	case KIND_TASKS:
		return option_value_number(value, 1, INITIATOR_MAX_TASKS, &conf->max_tasks, why,
					   size);
	case KIND_YES_NO:
		if (!parse_yes_no(value, &number, why, size))
			return false;
		*(bool *)member = number;
		return true;
	}
	return false;
}

bool initiator_option_same_session(const struct initiator_conf *a, const struct initiator_conf *b)
{
	return strcmp(a->initiator_name, b->initiator_name) == 0
	       && memcmp(&a->params, &b->params, sizeof(a->params)) == 0	/* of numbers alike: no padding */
	       && a->chap_algorithms == b->chap_algorithms
	       && a->discover_portals == b->discover_portals && a->max_tasks == b->max_tasks;
}

bool initiator_option_same_timeouts(const struct initiator_conf *a, const struct initiator_conf *b)
{
	for (size_t i = 0; i < COUNT; i++)
		if (readings[i].kind == KIND_SECONDS
		    && *(const double *)(const void *)((const char *)a + readings[i].member)
		       != *(const double *)(const void *)((const char *)b + readings[i].member))
			return false;
	return true;
}
