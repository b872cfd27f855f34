/*
 * The NBD protocol's headers as field tables (NBD proto.md, "Protocol phases" and
 * "Values"), and the names of its numbers for traces. See nbd_wire.h.
 */
#include "nbd_wire.h"

#include <stdio.h>
#include <string.h>

#include "field_inline.h"

#define LAYOUT(name, length) \
	const struct nbd_layout name##_layout = { name##_fields, length }

#define FIELD_STRUCT struct nbd_greeting
static const struct field nbd_greeting_fields[] = {
	FIELD_U64(magic, 0), FIELD_U64(style, 8), FIELD_U16(flags, 16), FIELD_END
};
LAYOUT(nbd_greeting, 18);
#undef FIELD_STRUCT

#define FIELD_STRUCT struct nbd_option_header
static const struct field nbd_option_fields[] = {
	FIELD_U64(magic, 0), FIELD_U32(option, 8), FIELD_U32(length, 12), FIELD_END
};
LAYOUT(nbd_option, 16);
#undef FIELD_STRUCT

#define FIELD_STRUCT struct nbd_option_reply
static const struct field nbd_option_reply_fields[] = {
	FIELD_U64(magic, 0), FIELD_U32(option, 8), FIELD_U32(type, 12), FIELD_U32(length, 16),
	FIELD_END
};
LAYOUT(nbd_option_reply, 20);
#undef FIELD_STRUCT

#define FIELD_STRUCT struct nbd_export_info
static const struct field nbd_export_name_fields[] = {
	FIELD_U64(size, 0), FIELD_U16(flags, 8), FIELD_END
};
LAYOUT(nbd_export_name, 10);

static const struct field nbd_info_export_fields[] = {
	FIELD_U16(type, 0), FIELD_U64(size, 2), FIELD_U16(flags, 10), FIELD_END
};
LAYOUT(nbd_info_export, 12);
#undef FIELD_STRUCT

#define FIELD_STRUCT struct nbd_block_size_info
static const struct field nbd_info_block_size_fields[] = {
	FIELD_U16(type, 0), FIELD_U32(minimum, 2), FIELD_U32(preferred, 6),
	FIELD_U32(max_payload, 10), FIELD_END
};
LAYOUT(nbd_info_block_size, 14);
#undef FIELD_STRUCT

#define FIELD_STRUCT struct nbd_request_header
static const struct field nbd_compact_request_fields[] = {
	FIELD_U32(magic, 0), FIELD_U16(flags, 4), FIELD_U16(type, 6), FIELD_U64(cookie, 8),
	FIELD_U64(offset, 16), FIELD_U32(length, 24), FIELD_END
};
LAYOUT(nbd_compact_request, 28);

static const struct field nbd_extended_request_fields[] = {
	FIELD_U32(magic, 0), FIELD_U16(flags, 4), FIELD_U16(type, 6), FIELD_U64(cookie, 8),
	FIELD_U64(offset, 16), FIELD_U64(length, 24), FIELD_END
};
LAYOUT(nbd_extended_request, 32);
#undef FIELD_STRUCT

#define FIELD_STRUCT struct nbd_reply_header
static const struct field nbd_simple_reply_fields[] = {
	FIELD_U32(magic, 0), FIELD_U32(error, 4), FIELD_U64(cookie, 8), FIELD_END
};
LAYOUT(nbd_simple_reply, 16);

static const struct field nbd_structured_reply_fields[] = {
	FIELD_U32(magic, 0), FIELD_U16(flags, 4), FIELD_U16(type, 6), FIELD_U64(cookie, 8),
	FIELD_U32(length, 16), FIELD_END
};
LAYOUT(nbd_structured_reply, 20);

static const struct field nbd_extended_reply_fields[] = {
	FIELD_U32(magic, 0), FIELD_U16(flags, 4), FIELD_U16(type, 6), FIELD_U64(cookie, 8),
	FIELD_U64(offset, 16), FIELD_U64(length, 24), FIELD_END
};
LAYOUT(nbd_extended_reply, NBD_MAX_REPLY_HEADER);
#undef FIELD_STRUCT

#define FIELD_STRUCT struct nbd_chunk_head
static const struct field nbd_chunk_data_fields[] = {
	FIELD_U64(offset, 0), FIELD_END
};
LAYOUT(nbd_chunk_data, 8);

static const struct field nbd_chunk_hole_fields[] = {
	FIELD_U64(offset, 0), FIELD_U32(hole_size, 8), FIELD_END
};
LAYOUT(nbd_chunk_hole, NBD_MAX_CHUNK_HEAD);

static const struct field nbd_chunk_error_fields[] = {
	FIELD_U32(error, 0), FIELD_U16(message_len, 4), FIELD_END
};
LAYOUT(nbd_chunk_error, 6);

static const struct field nbd_chunk_status_fields[] = {
	FIELD_U32(context, 0), FIELD_END
};
LAYOUT(nbd_chunk_status, 4);

static const struct field nbd_chunk_status_ext_fields[] = {
	FIELD_U32(context, 0), FIELD_U32(count, 4), FIELD_END
};
LAYOUT(nbd_chunk_status_ext, 8);
#undef FIELD_STRUCT

/* Requests and the simple replies to them have code of their own, made from the same tables. */
size_t nbd_encode(const struct nbd_layout *layout, const void *object, uint8_t *wire)
{
	/* The fields cover every byte of every layout, so nothing old shines through. */
	if (layout == &nbd_simple_reply_layout)
		FIELD_ENCODE(nbd_simple_reply_fields, object, wire);
	else if (layout == &nbd_compact_request_layout)
		FIELD_ENCODE(nbd_compact_request_fields, object, wire);
	else
		field_encode(layout->fields, object, wire);
	return layout->len;
}

void nbd_decode(const struct nbd_layout *layout, const uint8_t *wire, void *object, size_t size)
{
	memset(object, 0, size);
	if (layout == &nbd_simple_reply_layout)
		FIELD_DECODE(nbd_simple_reply_fields, wire, object);
	else if (layout == &nbd_compact_request_layout)
		FIELD_DECODE(nbd_compact_request_fields, wire, object);
	else
		field_decode(layout->fields, wire, layout->len, object);
}

static const uint8_t *take(struct nbd_cursor *cursor, size_t len)
{
	const uint8_t *p = cursor->p;

	if (cursor->malformed || len > cursor->left) {
		cursor->malformed = true;
		return NULL;
	}
	cursor->p += len;
	cursor->left -= len;
	return p;
}

uint16_t nbd_take_u16(struct nbd_cursor *cursor)
{
	const uint8_t *p = take(cursor, 2);

	return p ? get_be16(p) : 0;
}

uint32_t nbd_take_u32(struct nbd_cursor *cursor)
{
	const uint8_t *p = take(cursor, 4);

	return p ? get_be32(p) : 0;
}

const char *nbd_take_string(struct nbd_cursor *cursor, uint32_t *len)
{
	const uint8_t *p;

	*len = nbd_take_u32(cursor);
	p = take(cursor, *len);
	if (p && *len <= NBD_MAX_STRING && (*len == 0 || !memchr(p, 0, *len)))
		return (const char *)p;
	cursor->malformed = true;
	*len = 0;
	return "";
}

bool nbd_taken(const struct nbd_cursor *cursor)
{
	return !cursor->malformed && cursor->left == 0;
}

const char *nbd_option_name(uint32_t option)
{
	static const char *const names[] = {
		[NBD_OPT_EXPORT_NAME] = "NBD_OPT_EXPORT_NAME",
		[NBD_OPT_ABORT] = "NBD_OPT_ABORT",
		[NBD_OPT_LIST] = "NBD_OPT_LIST",
		[NBD_OPT_STARTTLS] = "NBD_OPT_STARTTLS",
		[NBD_OPT_INFO] = "NBD_OPT_INFO",
		[NBD_OPT_GO] = "NBD_OPT_GO",
		[NBD_OPT_STRUCTURED_REPLY] = "NBD_OPT_STRUCTURED_REPLY",
		[NBD_OPT_LIST_META_CONTEXT] = "NBD_OPT_LIST_META_CONTEXT",
		[NBD_OPT_SET_META_CONTEXT] = "NBD_OPT_SET_META_CONTEXT",
		[NBD_OPT_EXTENDED_HEADERS] = "NBD_OPT_EXTENDED_HEADERS",
	};

	return option < sizeof(names) / sizeof(names[0]) ? names[option] : NULL;
}

const char *nbd_cmd_name(uint16_t type)
{
	static const char *const names[NBD_CMD_COUNT] = {
		[NBD_CMD_READ] = "NBD_CMD_READ",
		[NBD_CMD_WRITE] = "NBD_CMD_WRITE",
		[NBD_CMD_DISC] = "NBD_CMD_DISC",
		[NBD_CMD_FLUSH] = "NBD_CMD_FLUSH",
		[NBD_CMD_TRIM] = "NBD_CMD_TRIM",
		[NBD_CMD_CACHE] = "NBD_CMD_CACHE",
		[NBD_CMD_WRITE_ZEROES] = "NBD_CMD_WRITE_ZEROES",
		[NBD_CMD_BLOCK_STATUS] = "NBD_CMD_BLOCK_STATUS",
	};

	return type < NBD_CMD_COUNT ? names[type] : NULL;
}

void nbd_request_format(const struct nbd_request_header *h, char *text, size_t size)
{
	const char *name = nbd_cmd_name(h->type);
	size_t used;

	if (name)
		snprintf(text, size, "%s ", name);
	else
		snprintf(text, size, "command %u ", h->type);
	used = strlen(text);
	field_format(nbd_extended_request_fields, h, text + used, size - used);
}
