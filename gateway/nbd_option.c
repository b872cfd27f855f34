/*
 * What each option does (NBD proto.md, "Option types"), but for the two of the meta
 * contexts (nbd_meta.c). What an export is to a client is nbd_offer.c's. The table at the end says which there are and what data they
 * may carry; nbd_handshake.c has seen to that before a handler is called.
 */
#include <string.h>

#include "field.h"
#include "nbd_conn.h"

#define SECONDS_PER_EXPORT	0.5	/* of which a client was told */

/* Haggling is over. "sizes_agreed": the client asked for the block sizes and was told. */
static void enter_transmission(struct nbd_conn *c, bool sizes_agreed)
{
	c->sizes_agreed = sizes_agreed;
	/* Who was not told may use what is the default. */
	if (!sizes_agreed && c->offer.max_payload < NBD_DEFAULT_MAX_PAYLOAD)
		c->offer.max_payload = NBD_DEFAULT_MAX_PAYLOAD;
	c->terms.contexts = nbd_meta_contexts(&c->terms, c->offer.export);
	ev_timer_stop(c->service->loop->ev, &c->deadline);
	c->parse = nbd_request_parse;
}

/*
 * Who asks in plain for an export that there is not may be meaning one that needs TLS, and is
 * not to find out which of these there are (NBD proto.md, "SELECTIVETLS mode").
 */
static void refuse_export(struct nbd_conn *c)
{
	const struct nbd_exports *exports = c->service->exports;

	for (unsigned i = 0; i < exports->count; i++)
		if ((exports->list[i]->tls_only || exports->list[i]->allow_count) &&
		    c->tls == TLS_PLAIN) {
			nbd_option_refuse(c, NBD_REP_ERR_TLS_REQD, "no such export without TLS");
			return;
		}
	nbd_option_refuse(c, NBD_REP_ERR_UNKNOWN, "no such export");
}

static const struct nbd_export *named_by_all(const struct nbd_conn *c, struct nbd_cursor *data)
{
	return nbd_export(c, (const char *)data->p, data->left);
}

static const struct nbd_export *named_first(const struct nbd_conn *c, struct nbd_cursor *data)
{
	uint32_t len;
	const char *name = nbd_take_string(data, &len);

	return nbd_export(c, name, len);
}

static void handle_export_name(struct nbd_conn *c, struct nbd_cursor *data)
{
	const struct nbd_export *export = named_by_all(c, data);
	size_t zeroes = c->no_zeroes ? 0 : NBD_EXPORT_NAME_ZEROES;
	struct nbd_export_info info = { 0 };
	uint8_t *wire;

	if (c->terms.extended) {
		nbd_option_refuse(c, NBD_REP_ERR_INVALID, "not after NBD_OPT_EXTENDED_HEADERS");
		return;
	}
	if (!export) {
		refuse_export(c);
		return;
	}
	c->offer = nbd_offer_make(c, export);
	info.size = c->offer.size;
	info.flags = c->offer.flags;
	wire = nbd_handshake_send(c, nbd_export_name_layout.len + zeroes);
	if (!wire)
		return;
	wire += nbd_encode(&nbd_export_name_layout, &info, wire);
	memset(wire, 0, zeroes);
	enter_transmission(c, false);
}

static void handle_abort(struct nbd_conn *c, struct nbd_cursor *data)
{
	(void)data;
	nbd_option_reply(c, NBD_REP_ACK, 0);
	conn_finish(&c->conn, "the client has given up");
}

static const char *description_of(const struct nbd_conn *c, const struct nbd_export *export)
{
	return export->description ? export->description
				   : nbd_export_blk(c, export)->info.description;
}

static void send_server(struct nbd_conn *c, const struct nbd_export *export)
{
	const char *description = description_of(c, export);
	uint32_t name_len = (uint32_t)strlen(export->name);
	uint32_t description_len = (uint32_t)strlen(description);
	uint8_t *wire = nbd_option_reply(c, NBD_REP_SERVER, 4 + name_len + description_len);

	if (!wire)
		return;
	put_be32(wire, name_len);
	memcpy(wire + 4, export->name, name_len);
	memcpy(wire + 4 + name_len, description, description_len);
}

/*
 * Who has the list may well ask for each export in it, as nbdinfo --list does. That takes libnbd
 * 0.2 s each: the end of its LIST_META_CONTEXT says MSG_MORE, so that the kernel holds it back.
 */
static void grant_time(struct nbd_conn *c, unsigned exports)
{
	struct ev_loop *ev = c->service->loop->ev;
	double left = ev_timer_remaining(ev, &c->deadline);

	if (c->listed || !ev_is_active(&c->deadline))
		return;
	c->listed = true;
	ev_timer_stop(ev, &c->deadline);
	ev_timer_set(&c->deadline, left + exports * SECONDS_PER_EXPORT, 0);
	ev_timer_start(ev, &c->deadline);
}

static void handle_list(struct nbd_conn *c, struct nbd_cursor *data)
{
	const struct nbd_exports *exports = c->service->exports;
	unsigned shown = 0;

	(void)data;
	for (unsigned i = 0; i < exports->count; i++)
		if (nbd_export_is_shown(c, exports->list[i])) {
			send_server(c, exports->list[i]);
			shown++;
		}
	nbd_option_reply(c, NBD_REP_ACK, 0);
	grant_time(c, shown);
}

static void handle_starttls(struct nbd_conn *c, struct nbd_cursor *data)
{
	(void)data;
	if (c->service->tls_mode == TLS_OFF) {
		nbd_option_refuse(c, NBD_REP_ERR_POLICY, "this server is not configured for TLS");
	} else if (c->tls != TLS_PLAIN) {
		nbd_option_refuse(c, NBD_REP_ERR_INVALID, "TLS is in use already");
	} else {
		c->tls = TLS_STARTING;
		nbd_option_reply(c, NBD_REP_ACK, 0);
	}
}

static void send_info(struct nbd_conn *c, const struct nbd_layout *layout, const void *info)
{
	uint8_t *wire = nbd_option_reply(c, NBD_REP_INFO, layout->len);

	if (wire)
		nbd_encode(layout, info, wire);
}

static void send_info_text(struct nbd_conn *c, enum nbd_info type, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);
	uint8_t *wire = nbd_option_reply(c, NBD_REP_INFO, 2 + len);

	if (!wire)
		return;
	put_be16(wire, type);
	memcpy(wire + 2, text, len);
}

/* "wanted": bit set of enum nbd_info. INFO_EXPORT is sent unasked. */
static void send_infos(struct nbd_conn *c, const struct nbd_offer *offer, unsigned wanted)
{
	const struct nbd_export_info export = {
		.type = NBD_INFO_EXPORT, .size = offer->size, .flags = offer->flags,
	};
	const struct nbd_block_size_info sizes = {
		.type = NBD_INFO_BLOCK_SIZE, .minimum = offer->min_block,
		.preferred = offer->preferred_block, .max_payload = offer->max_payload,
	};

	send_info(c, &nbd_info_export_layout, &export);
	if (wanted & 1u << NBD_INFO_NAME)
		send_info_text(c, NBD_INFO_NAME, offer->export->name);
	if (wanted & 1u << NBD_INFO_DESCRIPTION && description_of(c, offer->export)[0])
		send_info_text(c, NBD_INFO_DESCRIPTION, description_of(c, offer->export));
	if (wanted & 1u << NBD_INFO_BLOCK_SIZE)
		send_info(c, &nbd_info_block_size_layout, &sizes);
}

/* INFO and GO are the same but for their end. */
static void info_or_go(struct nbd_conn *c, struct nbd_cursor *data, bool go)
{
	const struct nbd_export *export = named_first(c, data);
	const struct nbd_export *offered = c->offer.export;
	unsigned wanted = 0;

	c->offer.export = NULL;
	for (unsigned n = nbd_take_u16(data); n > 0; n--) {
		uint16_t type = nbd_take_u16(data);

		if (type <= NBD_INFO_BLOCK_SIZE)
			wanted |= 1u << type;
	}
	if (!nbd_taken(data)) {
		nbd_option_refuse(c, NBD_REP_ERR_INVALID, "malformed %s",
				  nbd_option_name(c->option.option));
		return;
	}
	if (!export) {
		refuse_export(c);
		return;
	}
	/* A GO right after the INFO is answered alike, even if the device has changed. */
	if (offered != export)
		c->offer = nbd_offer_make(c, export);
	c->offer.export = export;
	send_infos(c, &c->offer, wanted);
	nbd_option_reply(c, NBD_REP_ACK, 0);
	if (go)
		enter_transmission(c, wanted & 1u << NBD_INFO_BLOCK_SIZE);
}

static void handle_info(struct nbd_conn *c, struct nbd_cursor *data)
{
	info_or_go(c, data, false);
}

static void handle_go(struct nbd_conn *c, struct nbd_cursor *data)
{
	info_or_go(c, data, true);
}

static void handle_structured_reply(struct nbd_conn *c, struct nbd_cursor *data)
{
	(void)data;
	if (c->terms.extended) {
		nbd_option_refuse(c, NBD_REP_ERR_EXT_HEADER_REQD,
				  "extended headers are in use already");
		return;
	}
	c->terms.structured = true;
	nbd_option_reply(c, NBD_REP_ACK, 0);
}

static void handle_extended_headers(struct nbd_conn *c, struct nbd_cursor *data)
{
	(void)data;
	c->terms.extended = true;
	nbd_option_reply(c, NBD_REP_ACK, 0);
}

static const struct nbd_option options[] = {
	[NBD_OPT_EXPORT_NAME] = { NBD_MAX_STRING, false, handle_export_name, named_by_all },
	[NBD_OPT_ABORT] = { 0, true, handle_abort, NULL },
	[NBD_OPT_LIST] = { 0, false, handle_list, NULL },
	[NBD_OPT_STARTTLS] = { 0, false, handle_starttls, NULL },
	[NBD_OPT_INFO] = { NBD_MAX_OPTION_DATA, false, handle_info, named_first },
	[NBD_OPT_GO] = { NBD_MAX_OPTION_DATA, false, handle_go, named_first },
	[NBD_OPT_STRUCTURED_REPLY] = { 0, false, handle_structured_reply, NULL },
	[NBD_OPT_LIST_META_CONTEXT] = { NBD_MAX_OPTION_DATA, false, nbd_list_meta_context, NULL },
	[NBD_OPT_SET_META_CONTEXT] = { NBD_MAX_OPTION_DATA, false, nbd_set_meta_context, NULL },
	[NBD_OPT_EXTENDED_HEADERS] = { 0, false, handle_extended_headers, NULL },
};

const struct nbd_option *nbd_option_find(uint32_t option)
{
	if (option >= sizeof(options) / sizeof(options[0]) || !options[option].handle)
		return NULL;
	return &options[option];
}
