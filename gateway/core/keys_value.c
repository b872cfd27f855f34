/*
 * The values of login and text keys (RFC 7143 §6.1): numbers, binary values in
 * hexadecimal and base64, and iSCSI names (RFC 7143 §4.2.7).
 *
 * Called by the login code of both roles and wherever a user writes a name. Owns
 * nothing: all memory is the caller's.
 */
#include <assert.h>
#include <string.h>

#include "keys.h"
#include "utf8.h"

/* The value of a digit, or 16 and more if it is none. */
static unsigned hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

static bool has_prefix(const char *value, char kind)
{
	return value[0] == '0' && (value[1] | 0x20) == kind;
}

bool keys_number(const char *value, uint32_t *number)
{
	unsigned base = has_prefix(value, 'x') ? 16 : 10;
	const char *p = base == 16 ? value + 2 : value;
	uint64_t n = 0;

	/* A decimal constant has no leading zero: RFC 7143 §6.1. */
	if (!*p || (base == 10 && p[0] == '0' && p[1]))
		return false;
	for (; *p; p++) {
		unsigned digit = hex_digit(*p);

		if (digit >= base)
			return false;
		n = n * base + digit;
		if (n > UINT32_MAX)
			return false;
	}
	*number = (uint32_t)n;
	return true;
}

/* Four bits per digit; an odd count has a leading zero digit (RFC 7143 §6.1, hex-constant). */
static int decode_hex(const char *p, uint8_t *out, size_t room)
{
	size_t digits = strlen(p), bytes = digits / 2 + digits % 2;
	size_t nibble = digits % 2;

	if (!digits || bytes > room)
		return -1;
	out[0] = 0;
	for (; *p; p++, nibble++) {
		unsigned digit = hex_digit(*p);

		if (digit > 15)
			return -1;
		if (nibble % 2)
			out[nibble / 2] = (uint8_t)(out[nibble / 2] | digit);
		else
			out[nibble / 2] = (uint8_t)(digit << 4);
	}
	return (int)bytes;
}

static int decode_base64(const char *p, uint8_t *out, size_t room)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t digits = strlen(p), bytes = 0;
	uint32_t bits = 0;
	unsigned held = 0;

	/* The pad characters carry nothing; some peers leave them off (RFC 4648 §3.2). */
	if (digits % 4 == 0)
		for (int pads = 0; pads < 2 && digits && p[digits - 1] == '='; pads++)
			digits--;
	if (!digits || digits % 4 == 1 || digits / 4 * 3 + digits % 4 * 3 / 4 > room)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		const char *found = strchr(alphabet, p[i]);

		if (!found)
			return -1;
		bits = bits << 6 | (uint32_t)(found - alphabet);
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[bytes++] = (uint8_t)(bits >> held);
		}
	}
	return bits & ((1u << held) - 1) ? -1 : (int)bytes;
}

int keys_binary(const char *value, uint8_t *out, size_t room)
{
	if (has_prefix(value, 'x'))
		return decode_hex(value + 2, out, room);
	if (has_prefix(value, 'b'))
		return decode_base64(value + 2, out, room);
	return -1;
}

void keys_put_binary(struct key_text *out, enum key_id id, const uint8_t *bytes, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const char *name = key_row(id)->name;
	size_t name_len = strlen(name), need = name_len + sizeof "=0x" + 2 * len;
	char *p = out->text + out->len;

	assert(out->len <= out->room && len < SIZE_MAX / 4);
	if (need > out->room - out->len) {
		out->overflow = true;
		return;
	}
	memcpy(p, name, name_len);
	p += name_len;
	memcpy(p, "=0x", 3);
	p += 3;
	for (size_t i = 0; i < len; i++) {
		*p++ = hex[bytes[i] >> 4];
		*p++ = hex[bytes[i] & 15];
	}
	*p = '\0';
	out->len += need;
}

static bool all_hex(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (hex_digit(p[i]) > 15)
			return false;
	return true;
}

/* What stringprep leaves of ASCII (RFC 3722 §6.2), and UTF-8 beyond it. */
static bool name_char(const char *p)
{
	char c = *p;

	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':'
	       || (utf8_length(p) > 1 && !utf8_is_control(p));
}

static const char no_name[] = "not an iSCSI name (iqn.YYYY-MM.reversed.domain:name, eui. or naa.)";

/* iqn.yyyy-mm.reversed.domain[:anything], RFC 7143 §4.2.7.4 */
static const char *iqn_refusal(const char *p)
{
	static const char date[] = "dddd-dd.";

	for (size_t i = 0; i < sizeof(date) - 1; i++)
		if (date[i] == 'd' ? p[i] < '0' || p[i] > '9' : p[i] != date[i])
			return no_name;
	p += sizeof(date) - 1;
	if (!*p || *p == '.' || *p == ':')
		return no_name;
	for (; *p; p += utf8_length(p))
		if (!name_char(p))
			return "an iSCSI name has letters in lower case, digits, '-', '.' and ':'";
	return NULL;
}

const char *iscsi_name_refusal(const char *name)
{
	size_t len = strlen(name);
	bool naa = strncmp(name, "naa.", 4) == 0;

	if (len > ISCSI_NAME_MAX)
		return "an iSCSI name has no more than 223 bytes";
	if (strncmp(name, "iqn.", 4) == 0)
		return iqn_refusal(name + 4);
	if (!naa && strncmp(name, "eui.", 4) != 0)
		return no_name;
	if ((len == 4 + 16 || (naa && len == 4 + 32)) && all_hex(name + 4, len - 4))
		return NULL;
	return naa ? "behind naa. there are 16 or 32 hexadecimal digits"
		   : "behind eui. there are 16 hexadecimal digits";
}

bool iscsi_name_valid(const char *name)
{
	return !iscsi_name_refusal(name);
}
