/*
 * iSCSI TransportIDs (transport_id.h), as disk_pr_in.c writes and disk_pr_out.c reads
 * them. Nothing is owned or kept.
 */
#include "transport_id.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "keys.h"
#include "scsi_data.h"

struct header {
	uint8_t	 format, protocol;
	uint16_t len;			/* of what follows */
};

#define FIELD_STRUCT struct header
static const struct field header[] = {
	FIELD(format, 0, 7, 2), FIELD(protocol, 0, 3, 4), FIELD_U16(len, 2), FIELD_END
};
#undef FIELD_STRUCT
#define HEADER_LEN	4

enum { FORMAT_NODE, FORMAT_PORT };

#define MIN_TEXT_LEN	20
#define SEPARATOR	",i,0x"
#define ISID_DIGITS	12

static uint64_t isid_number(const uint8_t isid[6])
{
	return (uint64_t)get_be16(isid) << 32 | get_be32(isid + 2);
}

size_t transport_id_encode(const char *name, const uint8_t isid[6],
			   uint8_t wire[TRANSPORT_ID_MAX_LEN])
{
	struct header h = { .format = FORMAT_PORT, .protocol = PROTOCOL_ISCSI };
	int len;

	memset(wire, 0, TRANSPORT_ID_MAX_LEN);
	len = snprintf((char *)wire + HEADER_LEN, TRANSPORT_ID_MAX_LEN - HEADER_LEN,
		       "%s" SEPARATOR "%012" PRIx64, name, isid_number(isid));
	assert(len > 0 && len < TRANSPORT_ID_MAX_LEN - HEADER_LEN);
	h.len = (uint16_t)((len + 1 + 3) & ~3);		/* with its NUL */
	if (h.len < MIN_TEXT_LEN)
		h.len = MIN_TEXT_LEN;
	field_encode(header, &h, wire);
	return HEADER_LEN + (size_t)h.len;
}

/* The digits behind the separator: one at least, and what is missing in front is zero. */
static bool take_isid(const char *digits, struct transport_id *id)
{
	size_t len = strlen(digits);
	uint64_t number = 0;

	if (len < 1 || len > ISID_DIGITS)
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = tolower((unsigned char)digits[i]);

		if (!isxdigit(digit))
			return false;
		number = number << 4 | (uint64_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
	}
	put_be16(id->isid, (uint16_t)(number >> 32));
	put_be32(id->isid + 2, (uint32_t)number);
	return true;
}

/* Cut the text in two at the separator, where the format has one. */
static bool take_text(char *text, struct transport_id *id)
{
	char *separator = strstr(text, SEPARATOR);
	size_t len;

	if (id->is_port != (separator != NULL))
		return false;
	if (separator && !take_isid(separator + strlen(SEPARATOR), id))
		return false;
	if (separator)
		*separator = '\0';
	len = strlen(text);
	if (len >= sizeof(id->name))
		return false;
	for (size_t i = 0; i <= len; i++)
		id->name[i] = (char)tolower((unsigned char)text[i]);
	return iscsi_name_valid(id->name);
}

size_t transport_id_decode(const uint8_t *wire, size_t len, struct transport_id *id)
{
	char text[TRANSPORT_ID_MAX_LEN];
	struct header h;
	size_t text_len;

	memset(id, 0, sizeof(*id));
	if (len < HEADER_LEN)
		return 0;
	field_decode(header, wire, len, &h);
	if (h.protocol != PROTOCOL_ISCSI || h.format > FORMAT_PORT || h.len < MIN_TEXT_LEN ||
	    h.len % 4 || h.len > len - HEADER_LEN)
		return 0;
	text_len = strnlen((const char *)wire + HEADER_LEN, h.len);
	if (text_len == h.len || text_len >= sizeof(text))
		return 0;	/* no NUL, or longer than any name */
	memcpy(text, wire + HEADER_LEN, text_len);
	text[text_len] = '\0';
	id->is_port = h.format == FORMAT_PORT;
	return take_text(text, id) ? HEADER_LEN + (size_t)h.len : 0;
}
