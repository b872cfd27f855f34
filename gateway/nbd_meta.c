/*
 * Meta contexts (NBD proto.md, "Metadata querying"): which there are, how a client
 * lists and selects them, and what each makes of a device's extents.
 *
 *	base:allocation		NBD_STATE_HOLE and NBD_STATE_ZERO
 *	x-scsi:provisioning	the provisioning status of GET LBA STATUS as it is
 *				(SBC-3 §5.5): 0 mapped, 1 deallocated, 2 anchored
 *
 * In both namespaces a query is "namespace:" for all (when listing), or a full name.
 */
#include <assert.h>
#include <string.h>

#include "field.h"
#include "nbd_conn.h"

static const char *const context_names[NBD_CONTEXT_COUNT] = {
	[NBD_CONTEXT_ALLOCATION] = "base:allocation",
	[NBD_CONTEXT_PROVISIONING] = "x-scsi:provisioning",
};

#define ALL_CONTEXTS	((1u << NBD_CONTEXT_COUNT) - 1)

/* The longest extent of a 32-bit descriptor: below 4 GiB, and a multiple of every minimum
 * block size that may be advertised. */
#define MAX_COMPACT_EXTENT	(UINT32_MAX - NBD_MAX_MIN_BLOCK + 1)

uint32_t nbd_meta_id(enum nbd_context context)
{
	return (uint32_t)context + 1;
}

enum nbd_context nbd_meta_from_id(uint32_t id)
{
	return id >= 1 && id <= NBD_CONTEXT_COUNT ? (enum nbd_context)(id - 1) : NBD_CONTEXT_COUNT;
}

unsigned nbd_meta_contexts(const struct nbd_terms *terms, const struct nbd_export *export)
{
	return terms->context_export == export ? terms->contexts : 0;
}

/* The contexts that one query finds. "listing": a namespace alone stands for all of its. */
static unsigned find_contexts(const char *query, size_t len, bool listing)
{
	unsigned found = 0;

	for (unsigned i = 0; i < NBD_CONTEXT_COUNT; i++) {
		const char *name = context_names[i];
		size_t namespace_len = (size_t)(strchr(name, ':') - name) + 1;
		bool same = len == strlen(name) || (listing && len == namespace_len);

		if (same && memcmp(query, name, len) == 0)
			found |= 1u << i;
	}
	return found;
}

/* Read the queries; false when they are malformed, or one has no namespace. */
static bool take_queries(struct nbd_cursor *data, bool listing, unsigned *found)
{
	uint32_t count = nbd_take_u32(data);

	*found = listing && count == 0 ? ALL_CONTEXTS : 0;
	for (; count > 0 && !data->malformed; count--) {
		uint32_t len;
		const char *query = nbd_take_string(data, &len);

		if (len == 0 || !memchr(query, ':', len))
			return false;
		*found |= find_contexts(query, len, listing);
	}
	return nbd_taken(data);
}

/* What both options have in common. NULL: refused. */
static const struct nbd_export *query_contexts(struct nbd_conn *c, struct nbd_cursor *data,
					   bool listing, unsigned *found)
{
	uint32_t len;
	const char *name = nbd_take_string(data, &len);
	const struct nbd_export *export = nbd_export(c, name, len);

	if (!take_queries(data, listing, found)) {
		nbd_option_refuse(c, NBD_REP_ERR_INVALID, "malformed queries for meta contexts");
		return NULL;
	}
	if (!export)
		nbd_option_refuse(c, NBD_REP_ERR_UNKNOWN, "no such export");
	return export;
}

static void reply_contexts(struct nbd_conn *c, unsigned contexts, bool listing)
{
	for (unsigned i = 0; i < NBD_CONTEXT_COUNT; i++) {
		uint32_t len = (uint32_t)strlen(context_names[i]);
		uint8_t *wire;

		if (!(contexts & 1u << i))
			continue;
		wire = nbd_option_reply(c, NBD_REP_META_CONTEXT, 4 + len);
		if (!wire)
			return;
		put_be32(wire, listing ? 0 : nbd_meta_id((enum nbd_context)i));
		memcpy(wire + 4, context_names[i], len);
	}
	nbd_option_reply(c, NBD_REP_ACK, 0);
}

void nbd_list_meta_context(struct nbd_conn *c, struct nbd_cursor *data)
{
	unsigned found;

	if (query_contexts(c, data, true, &found))
		reply_contexts(c, found, true);
}

void nbd_set_meta_context(struct nbd_conn *c, struct nbd_cursor *data)
{
	const struct nbd_export *export;
	unsigned found;

	/* What was selected before is void even if this fails. */
	c->terms.context_export = NULL;
	c->terms.contexts = 0;
	if (!c->terms.structured && !c->terms.extended) {
		nbd_option_refuse(c, NBD_REP_ERR_INVALID,
				  "meta contexts need NBD_OPT_STRUCTURED_REPLY first");
		return;
	}
	export = query_contexts(c, data, false, &found);
	if (!export)
		return;
	c->terms.context_export = export;
	c->terms.contexts = found;
	reply_contexts(c, found, false);
}

static uint32_t state_of(enum nbd_context context, const struct blk_extent *extent)
{
	switch (context) {
	case NBD_CONTEXT_ALLOCATION:
		/* BLK_HOLE and BLK_ZEROES are the bits of NBD_STATE_HOLE and NBD_STATE_ZERO. */
		return extent->flags & (BLK_HOLE | BLK_ZEROES);
	case NBD_CONTEXT_PROVISIONING:
		return extent->provisioning;
	case NBD_CONTEXT_COUNT:
		break;
	}
	assert(!"no such context");
	return 0;
}

static void put_descriptor(uint8_t *wire, uint64_t length, uint32_t state, bool extended)
{
	if (extended) {
		put_be64(wire, length);
		put_be64(wire + 8, state);
	} else {
		put_be32(wire, (uint32_t)length);
		put_be32(wire + 4, state);
	}
}

unsigned nbd_meta_describe(enum nbd_context context, const struct blk_extent *extents,
			   unsigned count, const struct nbd_span *span, uint8_t *wire)
{
	uint64_t most = span->one && span->length < span->most ? span->length : span->most;
	unsigned told_count = 0;
	uint64_t told = 0;
	bool cut = false;

	assert(count > 0 && most > 0);
	for (unsigned i = 0; i < count && told < span->length && !cut;) {
		uint32_t state = state_of(context, &extents[i]);
		uint64_t length = 0;

		do
			length += extents[i++].length;
		while (i < count && state_of(context, &extents[i]) == state);
		if (length > most - told)
			length = most - told;
		if (!span->extended && length > MAX_COMPACT_EXTENT) {
			length = MAX_COMPACT_EXTENT;
			cut = true;
		}
		put_descriptor(wire, length, state, span->extended);
		wire += nbd_descriptor_len(span->extended);
		told += length;
		told_count++;
		cut |= span->one;
	}
	return told_count;
}
