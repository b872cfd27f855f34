/*
 * Which exports a client may see, and what it is told of one (NBD proto.md, "Baseline" of
 * TLS, "Transmission flags", "Size constraints").
 */
#include <string.h>
#include <sys/socket.h>

#include "export.h"
#include "min.h"
#include "nbd_conn.h"

struct blkdev *nbd_export_blk(const struct nbd_conn *c, const struct nbd_export *export)
{
	return export->export->instance[c->service->worker].blk;
}

static bool is_allowed(const struct nbd_conn *c, const struct nbd_export *export)
{
	const char *name = c->tls == TLS_STARTED ? tls_stream_name(c->conn.stream) : NULL;

	for (unsigned i = 0; i < export->allow_count && name; i++)
		if (strcmp(name, export->allow[i]) == 0)
			return true;
	return export->allow_count == 0;
}

static bool comes_from_there(const struct nbd_conn *c, const struct nbd_export *export)
{
	struct sockaddr_storage storage;
	struct sockaddr *from = (struct sockaddr *)&storage;
	socklen_t len = sizeof(storage);

	if (export->from.prefix_count == 0)
		return true;
	/* Pipes and unix sockets lead from no address. */
	if (getpeername(c->conn.stream->fd, from, &len) < 0)
		from = NULL;
	return access_admits_address(&export->from, from);
}

/* Those who are there meet other rules than they came in by, when these change. */
static bool has_come_in(const struct nbd_conn *c)
{
	const struct nbd_service *service = c->service;

	if (c->tls == TLS_STARTED)
		return !service->tls || tls_stream_is_allowed(c->conn.stream, service->tls);
	return service->tls_mode != TLS_REQUIRE;
}

bool nbd_export_is_shown(const struct nbd_conn *c, const struct nbd_export *export)
{
	return nbd_export_blk(c, export) &&
	       nbd_exports_leads(c->service->exports, c->door, export) && has_come_in(c) &&
	       (!export->tls_only || c->tls == TLS_STARTED) && is_allowed(c, export) &&
	       comes_from_there(c, export);
}

const struct nbd_export *nbd_export(const struct nbd_conn *c, const char *name, size_t len)
{
	const struct nbd_exports *exports = c->service->exports;
	const struct nbd_export *export = len ? nbd_exports_find(exports, name, len)
					      : nbd_exports_default(exports, c->door);

	return export && nbd_export_is_shown(c, export) ? export : NULL;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint16_t transmission_flags(const struct nbd_conn *c, const struct nbd_export *export,
				   const struct blk_info *info)
{
	const struct nbd_terms *terms = &c->terms;
	/* CAN_MULTI_CONN: nothing is cached here, and one instance's flush is for all (blk.h). */
	uint16_t flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
			 NBD_FLAG_SEND_CACHE | NBD_FLAG_CAN_MULTI_CONN;

	if (export->read_only || export->export->read_only || info->read_only) {
		flags |= NBD_FLAG_READ_ONLY;
	} else {
		/* Always: a fast zero that cannot be is refused fast. */
		flags |= NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;
		if (info->can_trim)
			flags |= NBD_FLAG_SEND_TRIM;
	}
	if (info->rotational)
		flags |= NBD_FLAG_ROTATIONAL;
	if (terms->structured || terms->extended)
		flags |= NBD_FLAG_SEND_DF;
	if (terms->extended && nbd_meta_contexts(terms, export))
		flags |= NBD_FLAG_BLOCK_STATUS_PAYLOAD;
	return flags;
}

/* Sizes are as "Size constraints" wants them. */
struct nbd_offer nbd_offer_make(const struct nbd_conn *c, const struct nbd_export *export)
{
	struct blkdev *blk = nbd_export_blk(c, export);
	const struct blk_info *info = &blk->info;
	struct nbd_offer offer = {
		.export = export, .blk = blk, .size = info->size,
		.flags = transmission_flags(c, export, info),
		.min_block = min_u32(info->min_block, NBD_MAX_MIN_BLOCK),
	};
	uint32_t payload = min_u32(c->service->limits->max_payload, BLK_MAX_DATA);

	offer.preferred_block = max_u32(info->preferred_block, max_u32(offer.min_block, 512));
	offer.max_payload = max_u32(payload, max_u32(offer.preferred_block, NBD_ALWAYS_WHOLE));
	return offer;
}
