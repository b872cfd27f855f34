/*
 * The rules of requests (NBD proto.md, "Request types", "Command flags" and "Error
 * values"): a table of the commands, and the checks that follow from it. Called by
 * nbd_request.c. Whatever is wrong ends as an error and a text in req->blk.
 */
#include <errno.h>

#include "field.h"
#include "nbd_conn.h"

#define REFUSE(req, error, ...) (blk_fail(&(req)->blk, (error), __VA_ARGS__), false)

static const struct nbd_command commands[NBD_CMD_COUNT] = {
	[NBD_CMD_READ] = {
		"read", BLK_READ, NBD_CMD_FLAG_DF, 0, false, EINVAL,
	},
	[NBD_CMD_WRITE] = {
		"write", BLK_WRITE, NBD_CMD_FLAG_PAYLOAD_LEN, 0, true, ENOSPC,
	},
	[NBD_CMD_FLUSH] = {
		"flush", BLK_FLUSH, 0, NBD_FLAG_SEND_FLUSH, false, EINVAL,
	},
	[NBD_CMD_TRIM] = {
		"trim", BLK_TRIM, 0, NBD_FLAG_SEND_TRIM, true, EINVAL,
	},
	[NBD_CMD_CACHE] = {
		"cache", BLK_CACHE, 0, NBD_FLAG_SEND_CACHE, false, EINVAL,
	},
	[NBD_CMD_WRITE_ZEROES] = {
		"write zeroes", BLK_ZERO, NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO,
		NBD_FLAG_SEND_WRITE_ZEROES, true, ENOSPC,
	},
	[NBD_CMD_BLOCK_STATUS] = {
		"block status", BLK_STATUS, NBD_CMD_FLAG_REQ_ONE | NBD_CMD_FLAG_PAYLOAD_LEN, 0,
		false, EINVAL,
	},
};

/* Command flags that mean something only if the export was offered so. */
static const struct {
	uint16_t flag, needs;
} conditional_flags[] = {
	{ NBD_CMD_FLAG_DF, NBD_FLAG_SEND_DF },
	{ NBD_CMD_FLAG_FAST_ZERO, NBD_FLAG_SEND_FAST_ZERO },
};

const struct nbd_command *nbd_command_find(uint16_t type)
{
	return type < NBD_CMD_COUNT && commands[type].name ? &commands[type] : NULL;
}

uint64_t nbd_command_payload(const struct nbd_conn *c, const struct nbd_request_header *h)
{
	bool has = c->terms.extended ? h->flags & NBD_CMD_FLAG_PAYLOAD_LEN
				     : h->type == NBD_CMD_WRITE;

	return has ? h->length : 0;
}

static bool flags_fit(struct nbd_request *req)
{
	const struct nbd_conn *c = req->conn;
	uint16_t flags = req->header.flags;
	uint16_t known = NBD_CMD_FLAG_FUA | req->command->flags;

	if (!c->terms.extended)
		known &= (uint16_t)~NBD_CMD_FLAG_PAYLOAD_LEN;
	for (size_t i = 0; i < sizeof(conditional_flags) / sizeof(conditional_flags[0]); i++)
		if (!(c->offer.flags & conditional_flags[i].needs))
			known &= (uint16_t)~conditional_flags[i].flag;
	if (flags & ~known)
		return REFUSE(req, EINVAL, "flags 0x%x do not go with %s", flags & ~known,
			      req->command->name);
	return true;
}

/* A status may come with a payload (EXT) that tells the effect length and the contexts. */
static bool has_status_payload(const struct nbd_request *req)
{
	return req->command->op == BLK_STATUS && req->header.flags & NBD_CMD_FLAG_PAYLOAD_LEN;
}

static bool payload_fits(struct nbd_request *req)
{
	uint64_t len = req->header.length;

	if (req->command->op == BLK_WRITE && req->conn->terms.extended &&
	    !(req->header.flags & NBD_CMD_FLAG_PAYLOAD_LEN))
		return REFUSE(req, EINVAL, "a write without its payload");
	if (!has_status_payload(req))
		return true;
	if (!(req->conn->offer.flags & NBD_FLAG_BLOCK_STATUS_PAYLOAD))
		return REFUSE(req, EINVAL, "block status with a payload is not offered");
	if (len <= NBD_STATUS_PAYLOAD_HEAD || len > NBD_STATUS_PAYLOAD_MAX || len % 4)
		return REFUSE(req, EINVAL, "malformed payload of block status");
	return true;
}

/* Is the command one that may be used here at all? */
static bool command_fits(struct nbd_request *req)
{
	const struct nbd_conn *c = req->conn;
	const struct nbd_command *command = req->command;

	if (nbd_conn_is_ending(c))
		return REFUSE(req, ESHUTDOWN, "the server is shutting down");
	if (!command)
		return REFUSE(req, EINVAL, "unknown command %u", req->header.type);
	if (command->writes && (c->offer.flags & NBD_FLAG_READ_ONLY ||
				c->offer.blk->info.read_only))
		return REFUSE(req, EPERM, "the export is read-only");
	if (command->needs & ~c->offer.flags)
		return REFUSE(req, EINVAL, "%s is not offered", command->name);
	if (command->op == BLK_STATUS && !c->terms.contexts)
		return REFUSE(req, EINVAL, "no meta context is selected");
	if (command->op == BLK_FLUSH && (req->header.offset || req->header.length))
		return REFUSE(req, EINVAL, "flush takes no offset and no length");
	return flags_fit(req) && payload_fits(req);
}

/* Lengths that one reply cannot carry. */
static bool read_fits(struct nbd_request *req)
{
	const struct nbd_conn *c = req->conn;

	if (req->length <= c->offer.max_payload)
		return true;
	if (req->header.flags & NBD_CMD_FLAG_DF)
		return REFUSE(req, EOVERFLOW, "more than %u bytes unfragmented",
			      c->offer.max_payload);
	if (!c->terms.structured && !c->terms.extended)
		return REFUSE(req, EINVAL, "a simple reply of more than %u bytes",
			      c->offer.max_payload);
	return true;
}

/* The range [offset, offset + length) against the export as it was offered and as it is now. */
static bool range_fits(struct nbd_request *req)
{
	const struct nbd_conn *c = req->conn;
	uint64_t now = c->offer.blk->info.size;
	uint64_t size = now < c->offer.size ? now : c->offer.size;
	uint64_t offset = req->header.offset;

	if (offset > size || req->length > size - offset)
		return REFUSE(req, req->command->past_end, "%s beyond the end of the export",
			      req->command->name);
	if (c->sizes_agreed && (offset | req->length) & (c->offer.min_block - 1))
		return REFUSE(req, EINVAL, "%s not aligned to blocks of %u bytes",
			      req->command->name, c->offer.min_block);
	if (req->command->op == BLK_STATUS && req->length == 0)
		return REFUSE(req, EINVAL, "the status of no bytes");
	if (req->command->op == BLK_WRITE && req->length > c->offer.max_payload)
		return REFUSE(req, EINVAL, "a write of more than %u bytes", c->offer.max_payload);
	return req->command->op != BLK_READ || read_fits(req);
}

bool nbd_command_check(struct nbd_request *req)
{
	return command_fits(req) && (has_status_payload(req) || range_fits(req));
}

bool nbd_command_check_payload(struct nbd_request *req)
{
	struct nbd_cursor ids = {
		.p = req->payload + NBD_STATUS_PAYLOAD_HEAD,
		.left = (size_t)req->header.length - NBD_STATUS_PAYLOAD_HEAD,
	};
	unsigned wanted = 0;

	while (ids.left > 0) {
		unsigned bit = 1u << nbd_meta_from_id(nbd_take_u32(&ids));

		if (!(req->contexts & bit) || wanted & bit)
			return REFUSE(req, EINVAL, "a meta context that is not selected, or twice");
		wanted |= bit;
	}
	req->contexts = wanted;
	req->length = get_be64(req->payload);
	return range_fits(req);
}
