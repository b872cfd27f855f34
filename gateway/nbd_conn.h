/*
 * The inside of the NBD server: what its files share. nbd_server.c owns the life
 * of a connection, nbd_guard.c their number, nbd_handshake.c and nbd_option.c its first
 * phase, with nbd_offer.c for the exports and nbd_meta.c for the meta contexts;
 * nbd_request.c owns the requests of the second phase, nbd_command.c knows their rules
 * and nbd_reply.c sends what they end in.
 *
 * A connection and all of its requests live on one loop. A connection is freed when
 * its stream is closed and the last of its requests has come back from the device.
 */
#ifndef NBD_CONN_H
#define NBD_CONN_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blk.h"
#include "conn.h"
#include "export.h"
#include "list.h"
#include "nbd_server.h"
#include "nbd_wire.h"

/* Meta contexts (NBD proto.md, "Metadata querying"). */
enum nbd_context { NBD_CONTEXT_ALLOCATION, NBD_CONTEXT_PROVISIONING, NBD_CONTEXT_COUNT };

/* What option haggling has settled: all of it, and nothing else, is forgotten with STARTTLS. */
struct nbd_terms {
	bool structured, extended;	/* extended headers take precedence */
	const struct nbd_export *context_export; /* the contexts are for this one */
	unsigned contexts;		/* bit set of enum nbd_context */
};

/* What a client is told of an export, and may rely on. */
struct nbd_offer {
	const struct nbd_export *export;	/* NULL: nothing is offered; later: no more served */
	struct blkdev *blk;
	uint64_t size;
	uint16_t flags;			/* transmission flags */
	uint32_t min_block, preferred_block, max_payload;
};

struct nbd_conn {
	struct conn conn;
	struct nbd_service *service;
	struct list node;		/* of service->connections */
	uint16_t door;			/* that it came by (nbd_exports.h) */
	ev_timer deadline;		/* of the handshake */
	bool released;			/* the stream is closed; requests may remain */
	bool evicted;			/* its export is not served to it any more */

	/* Receiving: the next header goes to parse(); data on the way, or to be thrown
	 * away ("drain" bytes), ends in arrived(). */
	size_t (*parse)(struct nbd_conn *, const uint8_t *p, size_t n);
	void (*arrived)(struct nbd_conn *);
	uint64_t drain;

	/* Handshake. */
	bool fixed_newstyle, no_zeroes;	/* client flags */
	enum { TLS_PLAIN, TLS_STARTING, TLS_STARTED } tls; /* STARTING: until the ACK has left */
	unsigned options;		/* so many so far */
	bool listed;			/* it has more time since: nbd_option.c */
	struct nbd_option_header option; /* the one being dealt with */
	uint8_t *option_data;		/* option.length bytes of the pool, or NULL */
	unsigned unsent;		/* messages that the client has not taken yet */
	bool looking;			/* at the option's device: the option has to wait */
	struct blk_look look;
	ev_timer patience;		/* ... but not for long */
	struct nbd_terms terms;
	struct nbd_offer offer;		/* that the last INFO made; final with GO */

	/* Transmission. */
	bool sizes_agreed;		/* the client keeps to min_block and max_payload */
	bool leaving;			/* NBD_CMD_DISC has come */
	bool blocked;			/* paused until enough requests are through */
	struct list requests;		/* all that are alive */
	unsigned in_flight;
	size_t	 bytes;			/* of their buffers */
	struct nbd_request *receiving;	/* whose payload is on the way */
};

/* nbd_server.c: receive "len" (> 0) bytes into "where", or throw them away; then call arrived().
 * As conn_expect(): the last thing that parse() or arrived() does. */
void nbd_receive(struct nbd_conn *c, void *where, size_t len, void (*arrived)(struct nbd_conn *));
void nbd_drain(struct nbd_conn *c, uint64_t len, void (*arrived)(struct nbd_conn *));

/* nbd_server.c: is there nothing new to be begun? */
bool nbd_conn_is_ending(const struct nbd_conn *c);

/* nbd_server.c: may there be one more line about clients that are dropped? */
bool nbd_may_complain(struct nbd_service *service);

/* nbd_server.c: has it chosen an export? */
bool nbd_conn_in_transmission(const struct nbd_conn *c);

/* nbd_guard.c: one more; false: there is no room for it. And one less. */
bool nbd_guard_enter(struct nbd_service *service);
void nbd_guard_leave(struct nbd_service *service);

/* nbd_server.c: a request is no more; perhaps the connection is neither. */
void nbd_conn_settle(struct nbd_conn *c);

/* Handshake --------------------------------------------------------------- */

#define NBD_MAX_OPTION_DATA	(16u << 10)	/* more is drained and refused as too big */

/* One row per option that there is; nbd_option.c has the table. */
struct nbd_option {
	uint32_t max_data;		/* bytes that it may carry */
	bool	 ignores_data;		/* any data is thrown away, and no error */
	void   (*handle)(struct nbd_conn *, struct nbd_cursor *data);
	/* The export that it asks what it is, so that its device is looked at first; may be NULL. */
	const struct nbd_export *(*about)(const struct nbd_conn *, struct nbd_cursor *data);
};

/* NULL: there is no such option. */
const struct nbd_option *nbd_option_find(uint32_t option);

/* nbd_handshake.c: greet; parse() is the handshake's from now on. */
void nbd_handshake_start(struct nbd_conn *c);

/* The option being dealt with is over, or the connection ends in the middle of it. */
void nbd_handshake_drop(struct nbd_conn *c);

/* Other exports are in force: an option that waits for its device does so no longer. */
void nbd_handshake_follow(struct nbd_conn *c);

/* Queue "len" raw bytes, which the caller fills in before it returns to the loop. NULL: no
 * memory, and the connection has failed. */
uint8_t *nbd_handshake_send(struct nbd_conn *c, size_t len);

/* Queue one reply to the option being dealt with; the caller fills in its "len" bytes of data.
 * NULL as above, or when len is 0. */
uint8_t *nbd_option_reply(struct nbd_conn *c, uint32_t type, uint32_t len);

/* The last reply to the option: an NBD_REP_ERR_... and a text for people. EXPORT_NAME cannot be
 * answered so: then the connection fails. */
void nbd_option_refuse(struct nbd_conn *c, uint32_t type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* nbd_offer.c: the device behind it on this worker; NULL: it does not serve it. */
struct blkdev *nbd_export_blk(const struct nbd_conn *c, const struct nbd_export *export);

/* nbd_offer.c: an export that this worker serves as a block device, and that this client may
 * know of; NULL = no such. */
const struct nbd_export *nbd_export(const struct nbd_conn *c, const char *name, size_t len);

/* nbd_offer.c: does this worker serve it, and may this client know of it? */
bool nbd_export_is_shown(const struct nbd_conn *c, const struct nbd_export *export);

/* nbd_offer.c: what this client may be told of an export that it is shown, now. */
struct nbd_offer nbd_offer_make(const struct nbd_conn *c, const struct nbd_export *export);

/* nbd_meta.c: rows of the option table. */
void nbd_list_meta_context(struct nbd_conn *c, struct nbd_cursor *data);
void nbd_set_meta_context(struct nbd_conn *c, struct nbd_cursor *data);

/* nbd_meta.c: the selected contexts as far as they are for this export (a bit set). */
unsigned nbd_meta_contexts(const struct nbd_terms *terms, const struct nbd_export *export);

/* A context's number on the wire, and back; NBD_CONTEXT_COUNT for one that is none. */
uint32_t nbd_meta_id(enum nbd_context context);
enum nbd_context nbd_meta_from_id(uint32_t id);

/* How the answer to one NBD_CMD_BLOCK_STATUS is to be cut. */
struct nbd_span {
	uint64_t length;	/* asked for: with this much told, no more descriptors */
	uint64_t most;		/* that descriptors may tell in all */
	bool	 one;		/* NBD_CMD_FLAG_REQ_ONE */
	bool	 extended;	/* 64-bit descriptors, of 16 bytes, rather than 8 */
};

/* Extents to the descriptors of one context, joined where they are alike to it. "wire" has room
 * for one per extent. How many there are: 1 at least, as there is an extent. */
unsigned nbd_meta_describe(enum nbd_context context, const struct blk_extent *extents,
			   unsigned count, const struct nbd_span *span, uint8_t *wire);

static inline size_t nbd_descriptor_len(bool extended)
{
	return extended ? 16 : 8;
}

/* Transmission ------------------------------------------------------------ */

struct nbd_request;

/* A message to the client: a simple reply, or a chunk of a larger one. */
struct nbd_chunk {
	struct conn_out out;
	struct nbd_request *req;
	uint8_t wire[NBD_MAX_REPLY_HEADER + NBD_MAX_CHUNK_HEAD];
	uint8_t tail[8];		/* what ERROR_OFFSET has behind its text */
};

#define NBD_OWN_CHUNKS	2		/* data and the error behind it; a chunk per context */

/* What a request of one type may have, and what it means to the device. */
struct nbd_command {
	const char *name;		/* NULL: no such command */
	enum blk_op op;
	uint16_t flags;			/* besides FUA, which goes with everything */
	uint16_t needs;			/* transmission flags without which it may not be sent */
	bool	 writes;		/* EPERM on a read-only export */
	int	 past_end;		/* errno */
};

/* The payload form of BLOCK_STATUS (EXT): effect length, then IDs, none twice. */
#define NBD_STATUS_PAYLOAD_HEAD	8u
#define NBD_STATUS_PAYLOAD_MAX	(NBD_STATUS_PAYLOAD_HEAD + 4u * NBD_CONTEXT_COUNT)

/* One request, from its header until the last byte of the reply has left. From the pool. */
struct nbd_request {
	struct nbd_conn *conn;
	struct list node;		/* of conn->requests */
	struct nbd_request_header header;
	const struct nbd_command *command; /* NULL: there is no such command */
	uint64_t length;		/* of the effect */
	unsigned contexts;		/* BLOCK_STATUS: those to answer for */
	uint8_t payload[NBD_STATUS_PAYLOAD_MAX]; /* BLOCK_STATUS, if it has one */
	bool at_device;
	struct blk_req blk;		/* READ: the piece that is being read */
	uint8_t *buffer;		/* data, or extents and descriptors; from the pool */
	size_t	 buffer_len;
	unsigned unsent;		/* chunks that have not left yet */
	struct nbd_chunk chunk[NBD_OWN_CHUNKS];
	struct nbd_chunk *more;		/* when these are not enough; from the pool */
	unsigned more_count;
};

/* nbd_command.c: NULL when there is no such command. */
const struct nbd_command *nbd_command_find(uint16_t type);

/* How many bytes of payload follow this header? */
uint64_t nbd_command_payload(const struct nbd_conn *c, const struct nbd_request_header *h);

/* Is the request in order as far as its header tells? If not, req->blk says what is wrong. */
bool nbd_command_check(struct nbd_request *req);

/* And the payload of BLOCK_STATUS, which is here now: sets the effect length and the contexts. */
bool nbd_command_check_payload(struct nbd_request *req);

/* nbd_request.c: a parse() for the transmission phase. */
size_t nbd_request_parse(struct nbd_conn *c, const uint8_t *p, size_t n);

/* All chunks that were queued have left (or, !ok, the connection has ended). */
void nbd_request_sent(struct nbd_request *req, bool ok);

/* Give it all back, and let the connection know. */
void nbd_request_free(struct nbd_request *req);

/* Ask the device to make haste with what it still has. */
void nbd_request_abort_all(struct nbd_conn *c);

/* How many extents a status request asks the device for. In its buffer, the descriptors made of
 * them come behind this many. */
size_t nbd_status_room(const struct nbd_request *req);

/* nbd_reply.c: each ends the request (or a READ's piece) and leads to nbd_request_sent(). */
void nbd_reply_done(struct nbd_request *req);
void nbd_reply_error(struct nbd_request *req);	/* as req->blk tells it */
void nbd_reply_read(struct nbd_request *req);	/* req->buffer holds what req->blk read */
void nbd_reply_status(struct nbd_request *req);	/* req->blk.extents */

#endif
