/* Between tls.c (credentials), tls_handshake.c (who comes in by them) and tls_stream.c (their
 * bytes). */
#ifndef TLS_PRIVATE_H
#define TLS_PRIVATE_H

#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tls.h"

struct tls {
	atomic_uint holders;
	bool	 verify_peer;
	char   **allow;			/* distinguished names; none: whatever its name */
	unsigned allow_count;
	gnutls_certificate_credentials_t x509;	/* NULL: no certificates */
	gnutls_psk_server_credentials_t psk;	/* NULL: no keys */
	gnutls_priority_t priority;
};

#define TLS_RECORD_LEN	16384	/* RFC 8446 §5.1 */
#define TLS_READ_AHEAD	(4 * TLS_RECORD_LEN)

struct tls_stream {
	struct stream stream;
	struct stream *plain;
	struct tls *tls;
	gnutls_session_t session;
	bool established, closing;
	bool interrupted;		/* a record waits inside GnuTLS: go on with that one first */
	int plain_errno;		/* of the plain stream's last failure */
	char *name;			/* in the client's certificate; NULL: none */
	char why[160];
	size_t ahead_at, ahead_len;	/* received, and not yet asked for by GnuTLS */
	uint8_t ahead[TLS_READ_AHEAD];
	uint8_t record[TLS_RECORD_LEN];	/* slices on their way into one record */
};

/* tls_handshake.c */

/* Make it, as far as it goes: not yet established. True when there is a session; else errno is set. */
bool tls_handshake(struct tls_stream *t);

/* A GnuTLS error as errno, and stream.why if it is the end; -1. */
ssize_t tls_failure(struct tls_stream *t, int rc);

#endif
