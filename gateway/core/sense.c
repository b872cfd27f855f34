/*
 * Sense data of both formats (SPC-4 §4.5) and its words. Device servers build it,
 * whoever sent the command reads it, and every message to a person about a failed
 * command is made here. Nothing is owned or kept.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "sense.h"

#define FIXED_LEN		18	/* §4.5.3, up to and with the field pointer */
#define FIXED_INFORMATION_END	7
#define HEADER_LEN		8	/* of both, up to and with ADDITIONAL SENSE LENGTH */
#define INFORMATION_LEN		12	/* §4.5.2.2 */
#define COMMAND_SPECIFIC_LEN	12	/* §4.5.2.3 */
#define KEY_SPECIFIC_LEN	8	/* §4.5.2.4 */

enum {
	RESPONSE_FIXED = 0x70,
	RESPONSE_DESCRIPTOR = 0x72,
	RESPONSE_DEFERRED = 1,		/* added to either */
};

enum {
	DESCRIPTOR_INFORMATION = 0x00,
	DESCRIPTOR_COMMAND_SPECIFIC = 0x01,
	DESCRIPTOR_KEY_SPECIFIC = 0x02,
};

/* The wire's fields, wherever the format puts them. */
struct parts {
	uint8_t	 response, key, asc, ascq, additional;
	bool	 valid;
	uint64_t information;
	uint32_t command_specific;
	bool	 sksv, in_cdb, bpv;	/* field pointer, §4.5.2.4.2 */
	uint8_t	 bit;
	uint16_t byte;
	uint8_t	 type, len;		/* of one descriptor */
};

#define FIELD_STRUCT struct parts

#define FIELD_POINTER(at) \
	FIELD_BIT(sksv, at, 7), FIELD_BIT(in_cdb, at, 6), FIELD_BIT(bpv, at, 3), \
	FIELD(bit, at, 2, 3), FIELD_U16(byte, (at) + 1)

static const struct field response_code[] = { FIELD(response, 0, 6, 7), FIELD_END };

static const struct field fixed_format[] = {
	FIELD_BIT(valid, 0, 7), FIELD(response, 0, 6, 7), FIELD(key, 2, 3, 4),
	FIELD_U32(information, 3),
	FIELD_U8(additional, 7), FIELD_U32(command_specific, 8), FIELD_U8(asc, 12),
	FIELD_U8(ascq, 13), FIELD_POINTER(15), FIELD_END
};

static const struct field descriptor_format[] = {
	FIELD(response, 0, 6, 7), FIELD(key, 1, 3, 4), FIELD_U8(asc, 2), FIELD_U8(ascq, 3),
	FIELD_U8(additional, 7), FIELD_END
};

static const struct field any_descriptor[] = {
	FIELD_U8(type, 0), FIELD_U8(len, 1), FIELD_END
};

static const struct field information_descriptor[] = {
	FIELD_U8(type, 0), FIELD_U8(len, 1), FIELD_BIT(valid, 2, 7), FIELD_U64(information, 4),
	FIELD_END
};

static const struct field command_specific_descriptor[] = {
	FIELD_U8(type, 0), FIELD_U8(len, 1), FIELD_U32(command_specific, 4), FIELD_END
};

static const struct field key_specific_descriptor[] = {
	FIELD_U8(type, 0), FIELD_U8(len, 1), FIELD_POINTER(4), FIELD_END
};

static size_t put_descriptor(const struct field *table, uint8_t type, size_t len,
			     struct parts *p, uint8_t *wire)
{
	p->type = type;
	p->len = (uint8_t)(len - 2);
	field_encode(table, p, wire);
	return len;
}

static size_t build_descriptors(struct parts *p, uint8_t *wire)
{
	size_t at = HEADER_LEN;

	if (p->valid)
		at += put_descriptor(information_descriptor, DESCRIPTOR_INFORMATION,
				     INFORMATION_LEN, p, wire + at);
	if (p->command_specific)
		at += put_descriptor(command_specific_descriptor, DESCRIPTOR_COMMAND_SPECIFIC,
				     COMMAND_SPECIFIC_LEN, p, wire + at);
	if (p->sksv)
		at += put_descriptor(key_specific_descriptor, DESCRIPTOR_KEY_SPECIFIC,
				     KEY_SPECIFIC_LEN, p, wire + at);
	p->additional = (uint8_t)(at - HEADER_LEN);
	field_encode(descriptor_format, p, wire);
	return at;
}

static size_t build_fixed(struct parts *p, uint8_t *wire)
{
	if (p->information > UINT32_MAX) {
		p->valid = false;
		p->information = 0;
	}
	p->additional = FIXED_LEN - HEADER_LEN;
	field_encode(fixed_format, p, wire);
	return FIXED_LEN;
}

size_t sense_build(const struct sense *sense, bool descriptor, uint8_t wire[SENSE_MAX_LEN])
{
	struct parts p = {
		.response = (uint8_t)((descriptor ? RESPONSE_DESCRIPTOR : RESPONSE_FIXED) +
				      (sense->deferred ? RESPONSE_DEFERRED : 0)),
		.key = SENSE_KEY(sense->reason),
		.asc = SENSE_ASC(sense->reason),
		.ascq = SENSE_ASCQ(sense->reason),
		.valid = sense->has_information,
		.information = sense->has_information ? sense->information : 0,
		.command_specific = sense->command_specific,
	};

	assert(sense->reason <= SENSE_REASON(0x0f, 0xff, 0xff));
	if (sense->has_field) {
		p.sksv = true;
		p.in_cdb = sense->in_cdb;
		p.byte = sense->byte;
		p.bpv = sense->has_bit;
		p.bit = sense->has_bit ? sense->bit : 0;
	}
	if (sense->has_progress) {
		assert(!sense->has_field);
		p.sksv = true;
		p.byte = sense->progress;	/* §4.5.2.4.4: where a field pointer has its byte */
	}
	memset(wire, 0, SENSE_MAX_LEN);
	return descriptor ? build_descriptors(&p, wire) : build_fixed(&p, wire);
}

static void parse_descriptors(const uint8_t *wire, size_t len, struct parts *p)
{
	size_t whole;

	for (size_t at = HEADER_LEN; at + 2 <= len; at += whole) {
		field_decode(any_descriptor, wire + at, len - at, p);
		whole = 2u + p->len;
		if (whole > len - at)
			break;
		if (p->type == DESCRIPTOR_INFORMATION && whole >= INFORMATION_LEN)
			field_decode(information_descriptor, wire + at, whole, p);
		if (p->type == DESCRIPTOR_COMMAND_SPECIFIC && whole >= COMMAND_SPECIFIC_LEN)
			field_decode(command_specific_descriptor, wire + at, whole, p);
		if (p->type == DESCRIPTOR_KEY_SPECIFIC && whole >= KEY_SPECIFIC_LEN)
			field_decode(key_specific_descriptor, wire + at, whole, p);
	}
}

/* What lies behind ADDITIONAL SENSE LENGTH is not sense data, whatever came. */
static size_t announced(const uint8_t *wire, size_t len)
{
	size_t end = len < HEADER_LEN ? len : HEADER_LEN + (size_t)wire[HEADER_LEN - 1];

	return end < len ? end : len;
}

/* Other keys keep other things there, as retry counts (table 48). */
static void take_key_specific(const struct parts *p, struct sense *sense)
{
	if (p->key == SENSE_KEY_ILLEGAL_REQUEST) {
		sense->has_field = true;
		sense->in_cdb = p->in_cdb;
		sense->byte = p->byte;
		sense->has_bit = p->bpv;
		sense->bit = p->bpv ? p->bit : 0;
	}
	if (p->key == SENSE_KEY_NO_SENSE || p->key == SENSE_KEY_NOT_READY) {
		sense->has_progress = true;
		sense->progress = p->byte;
	}
}

bool sense_parse(const uint8_t *wire, size_t len, struct sense *sense)
{
	struct parts p = { .response = 0 };

	memset(sense, 0, sizeof(*sense));
	field_decode(response_code, wire, len, &p);
	if ((p.response & 0x7c) != RESPONSE_FIXED)
		return false;
	len = announced(wire, len);
	if ((p.response & ~RESPONSE_DEFERRED) == RESPONSE_FIXED) {
		field_decode(fixed_format, wire, len, &p);
		p.valid = p.valid && len >= FIXED_INFORMATION_END;
		p.sksv = p.sksv && len >= FIXED_LEN;
	} else {
		field_decode(descriptor_format, wire, len, &p);
		parse_descriptors(wire, len, &p);
	}
	sense->reason = SENSE_REASON(p.key, p.asc, p.ascq);
	sense->deferred = p.response & RESPONSE_DEFERRED;
	sense->has_information = p.valid;
	sense->information = p.valid ? p.information : 0;
	sense->command_specific = p.command_specific;
	if (p.sksv)
		take_key_specific(&p, sense);
	return true;
}

const char *sense_key_name(uint8_t key)
{
	static const char *const name[] = {
		"NO SENSE", "RECOVERED ERROR", "NOT READY", "MEDIUM ERROR",
		"HARDWARE ERROR", "ILLEGAL REQUEST", "UNIT ATTENTION", "DATA PROTECT",
		"BLANK CHECK", "VENDOR SPECIFIC", "COPY ABORTED", "ABORTED COMMAND",
		"RESERVED", "VOLUME OVERFLOW", "MISCOMPARE", "COMPLETED",
	};

	return name[key & 0x0f];
}

const char *sense_reason_text(uint32_t reason)
{
#define ROW(symbol, value, words) { value, words },
	static const struct { uint32_t reason; const char *text; } rows[] = { SENSE_REASONS(ROW) };
#undef ROW

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].reason == reason)
			return rows[i].text;
	return NULL;
}

/* NULL for a status that SAM-5 does not have. */
static const char *status_name(uint8_t status)
{
	switch ((enum scsi_status)status) {
	case STATUS_GOOD:
		return "GOOD";
	case STATUS_CHECK_CONDITION:
		return "CHECK CONDITION";
	case STATUS_CONDITION_MET:
		return "CONDITION MET";
	case STATUS_BUSY:
		return "BUSY";
	case STATUS_RESERVATION_CONFLICT:
		return "RESERVATION CONFLICT";
	case STATUS_TASK_SET_FULL:
		return "TASK SET FULL";
	case STATUS_ACA_ACTIVE:
		return "ACA ACTIVE";
	case STATUS_TASK_ABORTED:
		return "TASK ABORTED";
	}
	return NULL;
}

const char *scsi_status_name(uint8_t status)
{
	const char *name = status_name(status);

	return name ? name : "unknown status";
}

/* Where it happened: " at LBA 7", " at CDB byte 1 bit 3", or how far it is; "" if the sense data does not say. */
static void format_place(const struct sense *sense, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	if (sense->has_field) {
		at = (size_t)snprintf(text, size, " at %s byte %u",
				      sense->in_cdb ? "CDB" : "parameter", sense->byte);
		if (sense->has_bit)
			snprintf(text + at, size - at, " bit %u", sense->bit);
	} else if (sense->has_progress) {
		snprintf(text, size, " %u %% done", sense->progress * 100u >> 16);
	} else if (sense->has_information) {
		snprintf(text, size, " at %s %" PRIu64,
			 SENSE_KEY(sense->reason) == SENSE_KEY_MISCOMPARE ? "offset" : "LBA",
			 sense->information);
	}
}

static void format_sense(const struct sense *sense, char *text, size_t size)
{
	const char *words = sense_reason_text(sense->reason);
	char place[40];	/* the longest: " at offset " and 20 digits */

	format_place(sense, place, sizeof(place));
	snprintf(text, size, "%s%s %02X/%02X%s%s%s%s", sense->deferred ? "deferred " : "",
		 sense_key_name(SENSE_KEY(sense->reason)), SENSE_ASC(sense->reason),
		 SENSE_ASCQ(sense->reason), place, words ? " (" : "", words ? words : "",
		 words ? ")" : "");
}

char *sense_format(uint8_t status, const uint8_t *wire, size_t len, char *text, size_t size)
{
	struct sense sense;

	assert(size > 0);
	if (status == STATUS_CHECK_CONDITION && sense_parse(wire, len, &sense))
		format_sense(&sense, text, size);
	else if (status == STATUS_CHECK_CONDITION)
		snprintf(text, size, "CHECK CONDITION without sense data");
	else if (status_name(status))
		snprintf(text, size, "%s", status_name(status));
	else
		snprintf(text, size, "unknown status 0x%02x", status);
	return text;
}
