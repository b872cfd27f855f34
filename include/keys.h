/*
 * Login and text keys (RFC 7143 §6, §13): one row per key says its name, range,
 * default and negotiation rule, and serves both roles. Parsing of key=value text
 * and the negotiation itself; no I/O, no state but the caller's.
 */
#ifndef KEYS_H
#define KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISCSI_NAME_MAX		223	/* bytes of an iSCSI name, RFC 7143 §4.2.7.1 */
#define KEY_NAME_MAX		63	/* RFC 7143 §6.1 */
#define KEY_VALUE_MAX		255	/* of a text value, the same */
#define KEYS_TEXT_MAX		8192	/* of one PDU's data segment during login */

enum key_id {
	KEY_HEADER_DIGEST, KEY_DATA_DIGEST, KEY_MAX_CONNECTIONS,
	KEY_INITIAL_R2T, KEY_IMMEDIATE_DATA, KEY_MAX_RECV_DATA_SEGMENT_LENGTH,
	KEY_MAX_BURST_LENGTH, KEY_FIRST_BURST_LENGTH, KEY_DEFAULT_TIME2WAIT,
	KEY_DEFAULT_TIME2RETAIN, KEY_MAX_OUTSTANDING_R2T, KEY_DATA_PDU_IN_ORDER,
	KEY_DATA_SEQUENCE_IN_ORDER, KEY_ERROR_RECOVERY_LEVEL, KEY_OF_MARKER, KEY_IF_MARKER,
	KEY_TASK_REPORTING, KEY_ISCSI_PROTOCOL_LEVEL,
	KEY_NEGOTIATED,			/* those above are struct login_params; those below are not */
	KEY_AUTH_METHOD = KEY_NEGOTIATED,
	KEY_CHAP_A, KEY_CHAP_I, KEY_CHAP_C, KEY_CHAP_N, KEY_CHAP_R,
	KEY_INITIATOR_NAME, KEY_INITIATOR_ALIAS, KEY_TARGET_NAME, KEY_TARGET_ALIAS,
	KEY_TARGET_ADDRESS, KEY_TARGET_PORTAL_GROUP_TAG, KEY_SESSION_TYPE, KEY_SEND_TARGETS,
	KEY_OF_MARK_INT, KEY_IF_MARK_INT,
	KEY_COUNT,
	KEY_NOT_UNDERSTOOD = KEY_COUNT	/* a key that no row names */
};

enum digest { DIGEST_NONE, DIGEST_CRC32C };

/*
 * The outcome of operational negotiation on one connection. Also what one side
 * is willing to accept: each member is then our own offer or limit.
 */
struct login_params {
	uint32_t header_digest, data_digest;	/* enum digest; as an offer: DIGEST_CRC32C = prefer it */
	uint32_t max_connections;
	uint32_t initial_r2t, immediate_data;	/* 0 or 1 */
	uint32_t max_recv_data_segment_length;	/* the PEER's declaration: what we may send */
	uint32_t our_max_recv_data_segment_length; /* ours: what we may be sent */
	uint32_t max_burst_length, first_burst_length;
	uint32_t default_time2wait, default_time2retain;
	uint32_t max_outstanding_r2t;
	uint32_t data_pdu_in_order, data_sequence_in_order;
	uint32_t error_recovery_level;
	uint32_t of_marker, if_marker;
	uint32_t task_reporting;		/* always RFC3720 = 0 */
	uint32_t iscsi_protocol_level;
};

enum key_rule {
	KEY_RULE_LIST,		/* first of the offer that the responder knows */
	KEY_RULE_MIN, KEY_RULE_MAX, KEY_RULE_AND, KEY_RULE_OR,
	KEY_RULE_DECLARE,	/* no answer */
};

struct key_row {
	const char *name;
	enum key_rule rule;
	uint32_t min, max, initial;	/* RFC 7143 default, in force until negotiated */
	uint16_t member;		/* offset in struct login_params; of the result */
	const char *const *values;	/* KEY_RULE_LIST: in the order of their numbers, NULL at the end */
	bool	 session_wide;		/* leading connection only (LO) */
	bool	 login_only;		/* not in full feature phase text */
};

/* The row of a key that is understood; static. */
const struct key_row *key_row(enum key_id id);

/* Where a negotiated key (id < KEY_NEGOTIATED) has its place. */
static inline uint32_t *login_param(struct login_params *params, enum key_id id)
{
	return (uint32_t *)(void *)((char *)params + key_row(id)->member);
}

/* Of name[len], case and all (RFC 7143 §6.1); KEY_NOT_UNDERSTOOD if there is no such row. */
enum key_id key_find(const char *name, size_t len);

/* The defaults of RFC 7143 §13: what holds when nothing is negotiated. */
void keys_defaults(struct login_params *params);

/* One key=value of a text segment; the strings lie in the caller's text and end in NUL there. */
struct key_pair {
	enum key_id id;
	const char *name, *value;
	size_t name_len, value_len;
};

/*
 * Walk text[len], which must end in NUL unless it is empty (then it may be NULL). *at starts at 0 and
 * moves on. 1: a pair; 0: the end; -1: broken (no '=', a key name that is empty or
 * longer than KEY_NAME_MAX, missing NUL), with *why a static text.
 */
int keys_next(const char *text, size_t len, size_t *at, struct key_pair *pair, const char **why);

/* A text segment under construction, in the caller's buffer. */
struct key_text {
	char  *text;
	size_t len, room;
	bool   overflow;	/* something did not fit: the text is not to be sent */
};

/* Append "name=value\0". */
void keys_put(struct key_text *out, const char *name, const char *value);
void keys_put_number(struct key_text *out, enum key_id id, uint32_t value);

/* The state of one negotiation (one login, or one text exchange in full feature phase). */
struct negotiation {
	bool	 initiator;		/* our role */
	const struct login_params *ours; /* offers and limits; constant meanwhile */
	struct login_params result;	/* starts as keys_defaults() or what is in force */
	uint64_t offered;		/* bit per key: we sent it as an offer */
	uint64_t seen;			/* bit per key: the peer sent it */
	const char *bad_key;		/* row name of the key that broke it */
};

/* With the defaults as its result so far. "ours" is lent until its end. */
void negotiation_init(struct negotiation *n, bool initiator, const struct login_params *ours);

/*
 * Our offers, in one go (initiator): all keys of struct login_params where our
 * wish differs from the default or the peer must know it.
 */
void negotiation_offer(struct negotiation *n, struct key_text *out);

/* Our declaration, which both sides owe once (MaxRecvDataSegmentLength). */
void negotiation_declare(struct negotiation *n, struct key_text *out);

enum negotiation_verdict {
	NEGOTIATED,		/* in n->result; the answer, where one is due, is in "out" */
	NEGOTIATION_REJECTED,	/* out-of-range value: "Key=Reject" is in "out"; the login goes no further */
	NEGOTIATION_BROKEN,	/* protocol error: key twice, answer outside the offer */
};

/*
 * One operational pair (id < KEY_NEGOTIATED; KEY_NOT_UNDERSTOOD, which is answered
 * so; or the obsolete OFMarkInt and IFMarkInt, which RFC 7143 §13.25 has answered
 * with Reject). Works for both roles: a pair that answers our offer is checked
 * against it and stored, another is an offer of the peer and is answered.
 * "Irrelevant", "Reject" and "NotUnderstood" as answers leave the value in force
 * (RFC 7143 §6.2); who cannot live with that looks at the result.
 */
enum negotiation_verdict negotiation_take(struct negotiation *n, const struct key_pair *pair,
					  struct key_text *out);

/* Consistency once all is negotiated (FirstBurst <= MaxBurst). False, with n->bad_key. */
bool negotiation_finish(struct negotiation *n);

/* Numbers in RFC 7143 §6.1 form (decimal, 0x hex): false when it is none or exceeds 2^32-1. */
bool keys_number(const char *value, uint32_t *number);

/*
 * Binary values (0x… or 0b… base64) into out[room]: the count of bytes, or -1 when
 * it is malformed or too long. Encoding is always 0x hex.
 */
int keys_binary(const char *value, uint8_t *out, size_t room);
void keys_put_binary(struct key_text *out, enum key_id id, const uint8_t *bytes, size_t len);

/* Is it an iSCSI name (iqn., eui., naa., at most 223 bytes, RFC 7143 §4.2.7)? Lower case is asked for.
 * NULL, or why not: a static text. */
const char *iscsi_name_refusal(const char *name);
bool iscsi_name_valid(const char *name);

#endif
