/*
 * The table of login and text keys (RFC 7143 §13), and the text format they travel
 * in (RFC 7143 §6.1): walking a received segment, building one to send. Values are
 * keys_value.c's business, and what two sides agree on is negotiation.c's.
 *
 * Called by both roles' login and text code. Owns nothing: all memory is the caller's.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keys.h"

static const char *const digests[] = { [DIGEST_NONE] = "None", [DIGEST_CRC32C] = "CRC32C", NULL };
static const char *const task_reporting[] = { "RFC3720", NULL };

#define MEMBER(m)	.member = offsetof(struct login_params, m)
#define RANGE(lo, hi, dflt) .min = (lo), .max = (hi), .initial = (dflt)
#define SEGMENT_MAX	((1u << 24) - 1)

/* Ranges and defaults: RFC 7143 §13.1 to §13.25, iSCSIProtocolLevel RFC 7144 §3.1. */
static const struct key_row rows[KEY_COUNT] = {
	[KEY_HEADER_DIGEST] = { "HeaderDigest", KEY_RULE_LIST, MEMBER(header_digest),
		RANGE(DIGEST_NONE, DIGEST_CRC32C, DIGEST_NONE), .values = digests,
		.login_only = true },
	[KEY_DATA_DIGEST] = { "DataDigest", KEY_RULE_LIST, MEMBER(data_digest),
		RANGE(DIGEST_NONE, DIGEST_CRC32C, DIGEST_NONE), .values = digests,
		.login_only = true },
	[KEY_MAX_CONNECTIONS] = { "MaxConnections", KEY_RULE_MIN, MEMBER(max_connections),
		RANGE(1, 65535, 1), .session_wide = true, .login_only = true },
	[KEY_INITIAL_R2T] = { "InitialR2T", KEY_RULE_OR, MEMBER(initial_r2t),
		RANGE(0, 1, 1), .session_wide = true, .login_only = true },
	[KEY_IMMEDIATE_DATA] = { "ImmediateData", KEY_RULE_AND, MEMBER(immediate_data),
		RANGE(0, 1, 1), .session_wide = true, .login_only = true },
	[KEY_MAX_RECV_DATA_SEGMENT_LENGTH] = { "MaxRecvDataSegmentLength", KEY_RULE_DECLARE,
		MEMBER(max_recv_data_segment_length), RANGE(512, SEGMENT_MAX, 8192) },
	[KEY_MAX_BURST_LENGTH] = { "MaxBurstLength", KEY_RULE_MIN, MEMBER(max_burst_length),
		RANGE(512, SEGMENT_MAX, 262144), .session_wide = true, .login_only = true },
	[KEY_FIRST_BURST_LENGTH] = { "FirstBurstLength", KEY_RULE_MIN,
		MEMBER(first_burst_length), RANGE(512, SEGMENT_MAX, 65536),
		.session_wide = true, .login_only = true },
	[KEY_DEFAULT_TIME2WAIT] = { "DefaultTime2Wait", KEY_RULE_MAX,
		MEMBER(default_time2wait), RANGE(0, 3600, 2),
		.session_wide = true, .login_only = true },
	[KEY_DEFAULT_TIME2RETAIN] = { "DefaultTime2Retain", KEY_RULE_MIN,
		MEMBER(default_time2retain), RANGE(0, 3600, 20),
		.session_wide = true, .login_only = true },
	[KEY_MAX_OUTSTANDING_R2T] = { "MaxOutstandingR2T", KEY_RULE_MIN,
		MEMBER(max_outstanding_r2t), RANGE(1, 65535, 1),
		.session_wide = true, .login_only = true },
	[KEY_DATA_PDU_IN_ORDER] = { "DataPDUInOrder", KEY_RULE_OR, MEMBER(data_pdu_in_order),
		RANGE(0, 1, 1), .session_wide = true, .login_only = true },
	[KEY_DATA_SEQUENCE_IN_ORDER] = { "DataSequenceInOrder", KEY_RULE_OR,
		MEMBER(data_sequence_in_order), RANGE(0, 1, 1),
		.session_wide = true, .login_only = true },
	[KEY_ERROR_RECOVERY_LEVEL] = { "ErrorRecoveryLevel", KEY_RULE_MIN,
		MEMBER(error_recovery_level), RANGE(0, 2, 0),
		.session_wide = true, .login_only = true },
	[KEY_OF_MARKER] = { "OFMarker", KEY_RULE_AND, MEMBER(of_marker),
		RANGE(0, 1, 0), .login_only = true },
	[KEY_IF_MARKER] = { "IFMarker", KEY_RULE_AND, MEMBER(if_marker),
		RANGE(0, 1, 0), .login_only = true },
	[KEY_TASK_REPORTING] = { "TaskReporting", KEY_RULE_LIST, MEMBER(task_reporting),
		RANGE(0, 0, 0), .values = task_reporting,
		.session_wide = true, .login_only = true },
	[KEY_ISCSI_PROTOCOL_LEVEL] = { "iSCSIProtocolLevel", KEY_RULE_MIN,
		MEMBER(iscsi_protocol_level), RANGE(0, 31, 1),
		.session_wide = true, .login_only = true },

	[KEY_AUTH_METHOD] = { "AuthMethod", KEY_RULE_LIST, .login_only = true },
	[KEY_CHAP_A] = { "CHAP_A", KEY_RULE_LIST, .login_only = true },
	[KEY_CHAP_I] = { "CHAP_I", KEY_RULE_DECLARE, .login_only = true },
	[KEY_CHAP_C] = { "CHAP_C", KEY_RULE_DECLARE, .login_only = true },
	[KEY_CHAP_N] = { "CHAP_N", KEY_RULE_DECLARE, .login_only = true },
	[KEY_CHAP_R] = { "CHAP_R", KEY_RULE_DECLARE, .login_only = true },
	[KEY_INITIATOR_NAME] = { "InitiatorName", KEY_RULE_DECLARE,
		.session_wide = true, .login_only = true },
	[KEY_INITIATOR_ALIAS] = { "InitiatorAlias", KEY_RULE_DECLARE, .session_wide = true },
	[KEY_TARGET_NAME] = { "TargetName", KEY_RULE_DECLARE, .session_wide = true },
	[KEY_TARGET_ALIAS] = { "TargetAlias", KEY_RULE_DECLARE, .session_wide = true },
	[KEY_TARGET_ADDRESS] = { "TargetAddress", KEY_RULE_DECLARE, .session_wide = true },
	[KEY_TARGET_PORTAL_GROUP_TAG] = { "TargetPortalGroupTag", KEY_RULE_DECLARE,
		RANGE(0, 65535, 0), .session_wide = true, .login_only = true },
	[KEY_SESSION_TYPE] = { "SessionType", KEY_RULE_DECLARE,
		.session_wide = true, .login_only = true },
	[KEY_SEND_TARGETS] = { "SendTargets", KEY_RULE_DECLARE, .session_wide = true },
	[KEY_OF_MARK_INT] = { "OFMarkInt", KEY_RULE_DECLARE, .login_only = true },
	[KEY_IF_MARK_INT] = { "IFMarkInt", KEY_RULE_DECLARE, .login_only = true },
};

const struct key_row *key_row(enum key_id id)
{
	assert(id < KEY_COUNT);
	return &rows[id];
}

enum key_id key_find(const char *name, size_t len)
{
	for (unsigned id = 0; id < KEY_COUNT; id++)
		if (strlen(rows[id].name) == len && memcmp(rows[id].name, name, len) == 0)
			return (enum key_id)id;
	return KEY_NOT_UNDERSTOOD;
}

void keys_defaults(struct login_params *params)
{
	for (unsigned id = 0; id < KEY_NEGOTIATED; id++)
		*login_param(params, (enum key_id)id) = rows[id].initial;
	params->our_max_recv_data_segment_length =
		rows[KEY_MAX_RECV_DATA_SEGMENT_LENGTH].initial;
}

int keys_next(const char *text, size_t len, size_t *at, struct key_pair *pair, const char **why)
{
	const char *name, *end, *equals;

	assert(*at <= len);
	if (*at == len)
		return 0;
	name = text + *at;
	end = memchr(name, '\0', len - *at);
	if (!end) {
		*why = "text does not end in NUL";
		return -1;
	}
	equals = memchr(name, '=', (size_t)(end - name));
	if (!equals) {
		*why = "text without '='";
		return -1;
	}
	if (equals == name || equals - name > KEY_NAME_MAX) {
		*why = equals == name ? "empty key name" : "key name longer than 63 bytes";
		return -1;
	}
	pair->name = name;
	pair->name_len = (size_t)(equals - name);
	pair->value = equals + 1;
	pair->value_len = (size_t)(end - pair->value);
	pair->id = key_find(name, pair->name_len);
	*at += (size_t)(end - name) + 1;
	return 1;
}

void keys_put(struct key_text *out, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);

	assert(out->len <= out->room);
	if (name_len + value_len + 2 > out->room - out->len) {
		out->overflow = true;
		return;
	}
	memcpy(out->text + out->len, name, name_len);
	out->len += name_len;
	out->text[out->len++] = '=';
	memcpy(out->text + out->len, value, value_len + 1);
	out->len += value_len + 1;
}

void keys_put_number(struct key_text *out, enum key_id id, uint32_t value)
{
	char digits[sizeof "4294967295"];

	snprintf(digits, sizeof(digits), "%" PRIu32, value);
	keys_put(out, key_row(id)->name, digits);
}
