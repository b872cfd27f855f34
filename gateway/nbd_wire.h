/*
 * The bytes of the NBD protocol: its numbers under the names that the protocol
 * document gives them, and every header as a field table. What the messages
 * mean is not known here.
 *
 * Pure functions on memory. "EXT" is the document's extension-ext-header branch.
 */
#ifndef NBD_WIRE_H
#define NBD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBD_MAGIC		UINT64_C(0x4e42444d41474943)	/* "NBDMAGIC" */
#define NBD_OPTS_MAGIC		UINT64_C(0x49484156454f5054)	/* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC	UINT64_C(0x0003e889045565a9)
#define NBD_REQUEST_MAGIC	UINT32_C(0x25609513)
#define NBD_EXTENDED_REQUEST_MAGIC UINT32_C(0x21e41c71)
#define NBD_SIMPLE_REPLY_MAGIC	UINT32_C(0x67446698)
#define NBD_STRUCTURED_REPLY_MAGIC UINT32_C(0x668e33ef)
#define NBD_EXTENDED_REPLY_MAGIC UINT32_C(0x6e8a278c)

#define NBD_MAX_STRING		4096		/* names, queries, error texts */
#define NBD_DEFAULT_MAX_PAYLOAD	(32u << 20)	/* what a client may use unasked */
#define NBD_ALWAYS_WHOLE	(64u << 10)	/* NBD_CMD_FLAG_DF must work up to this length */
#define NBD_MAX_MIN_BLOCK	(64u << 10)
#define NBD_EXPORT_NAME_ZEROES	124

/* Handshake flags of the server, and of the client (NBD_FLAG_C_...): the same bits. */
enum {
	NBD_FLAG_FIXED_NEWSTYLE = 1 << 0,
	NBD_FLAG_NO_ZEROES = 1 << 1,
};

enum nbd_option_id {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_STARTTLS = 5,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
	NBD_OPT_STRUCTURED_REPLY = 8,
	NBD_OPT_LIST_META_CONTEXT = 9,
	NBD_OPT_SET_META_CONTEXT = 10,
	NBD_OPT_EXTENDED_HEADERS = 11,
};

enum nbd_rep {
	NBD_REP_ACK = 1,
	NBD_REP_SERVER = 2,
	NBD_REP_INFO = 3,
	NBD_REP_META_CONTEXT = 4,
};

/* Errors have bit 31: too wide for an enumeration in C11. */
#define NBD_REP_ERR(n)			(UINT32_C(0x80000000) + (n))
#define NBD_REP_ERR_UNSUP		NBD_REP_ERR(1)
#define NBD_REP_ERR_POLICY		NBD_REP_ERR(2)
#define NBD_REP_ERR_INVALID		NBD_REP_ERR(3)
#define NBD_REP_ERR_PLATFORM		NBD_REP_ERR(4)
#define NBD_REP_ERR_TLS_REQD		NBD_REP_ERR(5)
#define NBD_REP_ERR_UNKNOWN		NBD_REP_ERR(6)
#define NBD_REP_ERR_SHUTDOWN		NBD_REP_ERR(7)
#define NBD_REP_ERR_BLOCK_SIZE_REQD	NBD_REP_ERR(8)
#define NBD_REP_ERR_TOO_BIG		NBD_REP_ERR(9)
#define NBD_REP_ERR_EXT_HEADER_REQD	NBD_REP_ERR(10)

enum nbd_info {
	NBD_INFO_EXPORT = 0,
	NBD_INFO_NAME = 1,
	NBD_INFO_DESCRIPTION = 2,
	NBD_INFO_BLOCK_SIZE = 3,
};

/* Transmission flags. */
enum {
	NBD_FLAG_HAS_FLAGS = 1 << 0,
	NBD_FLAG_READ_ONLY = 1 << 1,
	NBD_FLAG_SEND_FLUSH = 1 << 2,
	NBD_FLAG_SEND_FUA = 1 << 3,
	NBD_FLAG_ROTATIONAL = 1 << 4,
	NBD_FLAG_SEND_TRIM = 1 << 5,
	NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
	NBD_FLAG_SEND_DF = 1 << 7,
	NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
	NBD_FLAG_SEND_CACHE = 1 << 10,
	NBD_FLAG_SEND_FAST_ZERO = 1 << 11,
	NBD_FLAG_BLOCK_STATUS_PAYLOAD = 1 << 12,	/* EXT */
};

enum nbd_cmd {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_TRIM = 4,
	NBD_CMD_CACHE = 5,
	NBD_CMD_WRITE_ZEROES = 6,
	NBD_CMD_BLOCK_STATUS = 7,
	NBD_CMD_COUNT
};

/* Command flags. */
enum {
	NBD_CMD_FLAG_FUA = 1 << 0,
	NBD_CMD_FLAG_NO_HOLE = 1 << 1,
	NBD_CMD_FLAG_DF = 1 << 2,
	NBD_CMD_FLAG_REQ_ONE = 1 << 3,
	NBD_CMD_FLAG_FAST_ZERO = 1 << 4,
	NBD_CMD_FLAG_PAYLOAD_LEN = 1 << 5,		/* EXT */
};

enum nbd_reply_type {
	NBD_REPLY_TYPE_NONE = 0,
	NBD_REPLY_TYPE_OFFSET_DATA = 1,
	NBD_REPLY_TYPE_OFFSET_HOLE = 2,
	NBD_REPLY_TYPE_BLOCK_STATUS = 5,
	NBD_REPLY_TYPE_BLOCK_STATUS_EXT = 6,		/* EXT */
	NBD_REPLY_TYPE_ERROR = 0x8001,
	NBD_REPLY_TYPE_ERROR_OFFSET = 0x8002,
};

enum { NBD_REPLY_FLAG_DONE = 1 << 0 };

/* The C side of the headers: one struct serves all forms of the same message. */
struct nbd_greeting {		/* server: NBDMAGIC, IHAVEOPT, handshake flags */
	uint64_t magic, style;
	uint16_t flags;
};

struct nbd_option_header {
	uint64_t magic;
	uint32_t option, length;
};

struct nbd_option_reply {
	uint64_t magic;
	uint32_t option, type, length;
};

struct nbd_export_info {	/* reply to EXPORT_NAME (no type there), NBD_INFO_EXPORT */
	uint16_t type;
	uint64_t size;
	uint16_t flags;
};

struct nbd_block_size_info {
	uint16_t type;
	uint32_t minimum, preferred, max_payload;
};

struct nbd_request_header {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t cookie, offset, length;	/* length: of the payload or of the effect */
};

struct nbd_reply_header {
	uint32_t magic;
	uint32_t error;				/* simple only */
	uint16_t flags, type;			/* structured, extended */
	uint64_t cookie, offset, length;	/* offset: extended only */
};

/* What the payload of a chunk begins with. */
struct nbd_chunk_head {
	uint64_t offset;			/* OFFSET_DATA, OFFSET_HOLE */
	uint32_t hole_size;			/* OFFSET_HOLE */
	uint32_t error;				/* ERROR, ERROR_OFFSET */
	uint16_t message_len;
	uint32_t context, count;		/* BLOCK_STATUS; count: EXT */
};

/* One layout: the fields on the wire, and how many bytes they are. */
struct nbd_layout {
	const struct field *fields;
	uint8_t len;
};

extern const struct nbd_layout
	nbd_greeting_layout,		/* struct nbd_greeting */
	nbd_option_layout,		/* struct nbd_option_header */
	nbd_option_reply_layout,	/* struct nbd_option_reply */
	nbd_export_name_layout,		/* struct nbd_export_info */
	nbd_info_export_layout,
	nbd_info_block_size_layout,	/* struct nbd_block_size_info */
	nbd_compact_request_layout,	/* struct nbd_request_header */
	nbd_extended_request_layout,
	nbd_simple_reply_layout,	/* struct nbd_reply_header */
	nbd_structured_reply_layout,
	nbd_extended_reply_layout,
	nbd_chunk_data_layout,		/* struct nbd_chunk_head */
	nbd_chunk_hole_layout,
	nbd_chunk_error_layout,
	nbd_chunk_status_layout,
	nbd_chunk_status_ext_layout;

#define NBD_MAX_REPLY_HEADER	32	/* the longest of the reply headers */
#define NBD_MAX_CHUNK_HEAD	12	/* the longest of the chunk heads */

/* Struct to wire[layout->len]; returns that length. */
size_t nbd_encode(const struct nbd_layout *layout, const void *object, uint8_t *wire);

/* wire[layout->len] to struct; members that this layout does not have become zero.
 * "size" is the struct's. */
void nbd_decode(const struct nbd_layout *layout, const uint8_t *wire, void *object, size_t size);

/*
 * Reading the data of an option piece by piece. A step beyond the end, or a string
 * that is none (longer than NBD_MAX_STRING, or with a NUL in it), makes all of it
 * malformed; what is read from then on is zero and empty.
 */
struct nbd_cursor {
	const uint8_t *p;
	size_t left;
	bool malformed;
};

uint16_t nbd_take_u16(struct nbd_cursor *cursor);
uint32_t nbd_take_u32(struct nbd_cursor *cursor);

/* A string behind its 32-bit length, which goes to *len. Points into the data; not terminated. */
const char *nbd_take_string(struct nbd_cursor *cursor, uint32_t *len);

/* Is it all read, and was it well formed? */
bool nbd_taken(const struct nbd_cursor *cursor);

/* "NBD_OPT_GO", "NBD_CMD_READ", …; NULL for a number that has no name. */
const char *nbd_option_name(uint32_t option);
const char *nbd_cmd_name(uint16_t type);

/* "NBD_CMD_READ fua cookie=0x1 offset=0x0 length=0x1000": for traces; terminated, cut to size. */
void nbd_request_format(const struct nbd_request_header *h, char *text, size_t size);

#endif
