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

/* The server's credentials. Constant once made: any thread may use them. */
struct tls;

/* Reads the files (blocking: at start; the keys once more with each client that uses one, so that
 * they can be changed). NULL with a one-line reason that names the file. conf->allow and conf->psk
 * must outlive the result. */
struct tls *tls_new(const struct tls_conf *conf, char *why, size_t size);

/* After every stream made of it is closed. */
void tls_free(struct tls *tls);

/*
 * The server's end of TLS over "plain", which becomes its own. The handshake is made by
 * the first recv() and send() calls. NULL without memory (plain stays the caller's).
 * On the thread of the connection.
 */
struct stream *tls_server_stream(struct tls *tls, struct stream *plain);

/* The distinguished name (RFC 4514) of the certificate by which the client has proved itself; NULL:
 * there is none, or not yet. For as long as the stream is open. */
const char *tls_stream_name(struct stream *stream);

#endif
