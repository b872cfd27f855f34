/*
 * Option haggling (NBD proto.md, "Handshake" and "Fixed newstyle negotiation"): the
 * greeting, the client's flags, then options one by one. What is the same for every
 * option is done here, by its row in nbd_option.c's table: bounds, draining what may
 * not come, refusing.
 *
 * A client is not listened to until it has taken the replies to its last option, so
 * that one that never reads cannot make them pile up; nor while the device that an
 * option is about is looked at, so that new clients see what a unit has grown to.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "log.h"
#include "nbd_conn.h"
#include "pool.h"

/* A peer that says nothing useful for this long is an attack: bytes of one option, and options
 * (a client may well ask for every export that it was shown). */
#define MAX_OPTION_DRAIN	NBD_DEFAULT_MAX_PAYLOAD
#define MAX_OPTIONS		128
#define MAX_OPTIONS_PER_EXPORT	16

#define MAX_REFUSAL		200

/* So long a client waits for a device to be looked at: then what was known before has to do. */
#define LOOK_SECONDS		2.0

struct message {
	struct conn_out out;
	struct nbd_conn *conn;
	size_t size;		/* of all this */
	uint8_t wire[];
};

/*
 * The ACK of STARTTLS has left, and with it the last plain byte. What the client has sent behind
 * the option came in plain, too, whoever it is from: it is not to pass for something that came
 * over TLS (the class of CVE-2021-3716).
 */
static void start_tls(struct nbd_conn *c)
{
	struct stream *stream;
	bool switched;

	if (c->conn.stash) {
		conn_fail(&c->conn, "plain bytes behind NBD_OPT_STARTTLS");
		return;
	}
	/* It may have been taken away since. */
	stream = c->service->tls ? tls_server_stream(c->service->tls, c->conn.stream) : NULL;
	if (!stream) {
		conn_fail(&c->conn, "there is no TLS for it");
		return;
	}
	switched = conn_switch(&c->conn, stream);
	assert(switched);
	(void)switched;
	c->tls = TLS_STARTED;
	memset(&c->terms, 0, sizeof(c->terms));
}

static void message_sent(struct conn_out *out, bool ok)
{
	struct message *message = container_of(out, struct message, out);
	struct nbd_conn *c = message->conn;

	pool_put(c->service->loop->pool, message, message->size);
	c->unsent--;
	if (!ok || c->unsent > 0 || c->looking)
		return;
	if (c->tls == TLS_STARTING)
		start_tls(c);
	conn_resume(&c->conn);
}

uint8_t *nbd_handshake_send(struct nbd_conn *c, size_t len)
{
	size_t size = sizeof(struct message) + len;
	struct message *message = pool_get(c->service->loop->pool, size);

	if (!message) {
		conn_fail(&c->conn, "no memory for a reply");
		return NULL;
	}
	message->conn = c;
	message->size = size;
	message->out.iov[0] = (struct iovec){ message->wire, len };
	message->out.count = 1;
	message->out.sent = message_sent;
	c->unsent++;
	conn_send(&c->conn, &message->out);
	return message->wire;
}

uint8_t *nbd_option_reply(struct nbd_conn *c, uint32_t type, uint32_t len)
{
	struct nbd_option_reply reply = {
		.magic = NBD_OPTION_REPLY_MAGIC, .option = c->option.option,
		.type = type, .length = len,
	};
	uint8_t *wire = nbd_handshake_send(c, nbd_option_reply_layout.len + len);

	if (!wire)
		return NULL;
	wire += nbd_encode(&nbd_option_reply_layout, &reply, wire);
	return len ? wire : NULL;
}

void nbd_option_refuse(struct nbd_conn *c, uint32_t type, const char *fmt, ...)
{
	char text[MAX_REFUSAL];
	uint8_t *wire;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_trace(iscsi_debug_option, "option %u refused: %s", c->option.option, text);
	if (c->option.option == NBD_OPT_EXPORT_NAME) {
		conn_fail(&c->conn, "NBD_OPT_EXPORT_NAME: %s", text);
		return;
	}
	wire = nbd_option_reply(c, type, (uint32_t)strlen(text));
	if (wire)
		memcpy(wire, text, strlen(text));
}

/* Is this option one that can be handled as it came? If not, it is refused here. */
static bool acceptable(struct nbd_conn *c, const struct nbd_option *option)
{
	uint32_t id = c->option.option;

	/* NBD proto.md, "FORCEDTLS mode": even an option that there is not. */
	if (c->service->tls_mode == TLS_REQUIRE && c->tls == TLS_PLAIN &&
	    id != NBD_OPT_STARTTLS && id != NBD_OPT_ABORT) {
		nbd_option_refuse(c, NBD_REP_ERR_TLS_REQD, "this server requires TLS");
		return false;
	}
	if (c->service->shutting_down && id != NBD_OPT_ABORT) {
		nbd_option_refuse(c, NBD_REP_ERR_SHUTDOWN, "the server is shutting down");
		return false;
	}
	if (!option) {
		nbd_option_refuse(c, NBD_REP_ERR_UNSUP, "option %u is not known here", id);
		return false;
	}
	if (option->ignores_data || c->option.length <= option->max_data)
		return true;
	if (option->max_data == 0)
		nbd_option_refuse(c, NBD_REP_ERR_INVALID, "this option takes no data");
	else
		nbd_option_refuse(c, NBD_REP_ERR_TOO_BIG,
				  "this option takes at most %u bytes of data", option->max_data);
	return false;
}

static struct nbd_cursor option_cursor(const struct nbd_conn *c)
{
	struct nbd_cursor data = { .p = c->option_data };

	if (c->option_data)
		data.left = c->option.length;
	return data;
}

static void end_option(struct nbd_conn *c)
{
	nbd_handshake_drop(c);
	if (c->unsent)
		conn_pause(&c->conn);
}

static void run_option(struct nbd_conn *c)
{
	struct nbd_cursor data = option_cursor(c);

	nbd_option_find(c->option.option)->handle(c, &data);
	end_option(c);
}

static void stop_looking(struct nbd_conn *c)
{
	if (!c->looking)
		return;
	c->looking = false;
	blk_look_cancel(&c->look);
	ev_timer_stop(c->service->loop->ev, &c->patience);
}

/* Its replies bring the client back to our ear (message_sent()). */
static void seen(struct blk_look *look)
{
	struct nbd_conn *c = container_of(look, struct nbd_conn, look);

	stop_looking(c);
	if (!c->conn.dead)
		run_option(c);
}

static void on_patience(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	seen(&container_of(timer, struct nbd_conn, patience)->look);
}

/* Must the option wait for its device to be looked at? What follows an INFO at once is told
 * the same as that. */
static bool look_first(struct nbd_conn *c, const struct nbd_option *option)
{
	struct nbd_cursor data = option_cursor(c);
	const struct nbd_export *export = option->about ? option->about(c, &data) : NULL;

	if (!export || export == c->offer.export)
		return false;
	c->looking = true;
	c->look.seen = seen;
	list_init(&c->look.node);
	ev_timer_init(&c->patience, on_patience, LOOK_SECONDS, 0);
	ev_timer_start(c->service->loop->ev, &c->patience);
	conn_pause(&c->conn);
	blk_look(nbd_export_blk(c, export), &c->look);
	return true;
}

/* The option is all here. */
static void handle_option(struct nbd_conn *c)
{
	const struct nbd_option *option = nbd_option_find(c->option.option);

	log_trace(iscsi_debug_option, "option %u, %u bytes", c->option.option, c->option.length);
	/* What an INFO told binds only the GO that follows at once. */
	if (c->option.option != NBD_OPT_INFO && c->option.option != NBD_OPT_GO)
		c->offer.export = NULL;
	if (!acceptable(c, option))
		end_option(c);
	else if (!look_first(c, option))
		run_option(c);
}

void nbd_handshake_follow(struct nbd_conn *c)
{
	if (c->looking)
		seen(&c->look);
}

void nbd_handshake_drop(struct nbd_conn *c)
{
	stop_looking(c);
	pool_put(c->service->loop->pool, c->option_data, c->option.length);
	c->option_data = NULL;
}

/* Keep the data of an option that wants it, throw away any other. */
static void receive_option(struct nbd_conn *c)
{
	const struct nbd_option *option = nbd_option_find(c->option.option);
	uint32_t len = c->option.length;

	if (len == 0) {
		handle_option(c);
		return;
	}
	if (!option || len > option->max_data) {
		nbd_drain(c, len, handle_option);
		return;
	}
	c->option_data = pool_get(c->service->loop->pool, len);
	if (c->option_data)
		nbd_receive(c, c->option_data, len, handle_option);
	else
		conn_fail(&c->conn, "no memory for an option");
}

static size_t parse_option(struct nbd_conn *c, const uint8_t *p, size_t n)
{
	unsigned most = MAX_OPTIONS + MAX_OPTIONS_PER_EXPORT * c->service->exports->count;

	if (n < nbd_option_layout.len)
		return 0;
	nbd_decode(&nbd_option_layout, p, &c->option, sizeof(c->option));
	if (c->option.magic != NBD_OPTS_MAGIC)
		conn_fail(&c->conn, "an option begins with 0x%llx",
			  (unsigned long long)c->option.magic);
	else if (++c->options > most)
		conn_fail(&c->conn, "more than %u options", most);
	else if (!c->fixed_newstyle && c->option.option != NBD_OPT_EXPORT_NAME)
		conn_fail(&c->conn, "option %u without fixed newstyle", c->option.option);
	else if (c->option.length > MAX_OPTION_DRAIN)
		conn_fail(&c->conn, "an option of %u bytes", c->option.length);
	else
		receive_option(c);
	return nbd_option_layout.len;
}

static size_t parse_client_flags(struct nbd_conn *c, const uint8_t *p, size_t n)
{
	const uint32_t known = NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES;
	uint32_t flags;

	if (n < sizeof(flags))
		return 0;
	flags = get_be32(p);
	if (flags & ~known)
		conn_fail(&c->conn, "unknown client flags 0x%x", flags);
	c->fixed_newstyle = flags & NBD_FLAG_FIXED_NEWSTYLE;
	c->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
	c->parse = parse_option;
	return sizeof(flags);
}

void nbd_handshake_start(struct nbd_conn *c)
{
	const struct nbd_greeting greeting = {
		.magic = NBD_MAGIC, .style = NBD_OPTS_MAGIC,
		.flags = NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES,
	};
	uint8_t *wire = nbd_handshake_send(c, nbd_greeting_layout.len);

	c->parse = parse_client_flags;
	if (wire)
		nbd_encode(&nbd_greeting_layout, &greeting, wire);
}
