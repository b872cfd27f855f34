/*
 * TLS for NBD clients, by GnuTLS: the server's credentials, and a stream that wraps
 * another one.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "stream.h"

/* NBD proto.md, "TLS support": NOTLS, SELECTIVETLS, FORCEDTLS. */
enum tls_mode { TLS_OFF, TLS_ON, TLS_REQUIRE };

struct tls_conf {
	const char *certificates;	/* directory of ca-cert.pem, server-cert.pem, server-key.pem; or NULL */
	const char *psk;		/* file of user:hexkey lines; or NULL */
	bool	    verify_peer;	/* a client that has no key shows a certificate of that CA */
	const char *const *allow;	/* ... and with one of these distinguished names (RFC 4514) */
	unsigned    allow_count;	/* 0 = whatever its name */
};

/* The server's credentials. Constant once made, and counted: any thread may use them. */
struct tls;

/* Reads the files (blocking; the keys once more with each client that uses one, so that they
 * can be added to). conf is copied. With one hold, the caller's. NULL with a one-line reason that
 * names the file. */
struct tls *tls_new(const struct tls_conf *conf, char *why, size_t size);

/* Each stream has a hold of its own. NULL is ignored. */
struct tls *tls_hold(struct tls *tls);
void tls_drop(struct tls *tls);

/*
 * The server's end of TLS over "plain", which becomes its own. The handshake is made by
 * the first recv() and send() calls. NULL without memory (plain stays the caller's).
 * On the thread of the connection.
 */
struct stream *tls_server_stream(struct tls *tls, struct stream *plain);

/* Would the client, whose handshake is over, have come in by these credentials? Its key must still be
 * one of theirs; else, if they want a certificate, its own must be of their CA, and its name allowed. */
bool tls_stream_is_allowed(const struct stream *stream, const struct tls *tls);

/* The distinguished name (RFC 4514) of the certificate by which the client has proved itself; NULL:
 * there is none, or not yet. For as long as the stream is open. */
const char *tls_stream_name(struct stream *stream);

#endif
