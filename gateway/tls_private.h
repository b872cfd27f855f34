/*
 * What the files of TLS share.
 *
 *	tls.c		credentials: files, and rules
 *	tls_psk.c	... pre-shared keys
 *	tls_client.c	who a client is, and whether credentials let it in
 *	tls_handshake.c	how it comes in, or why not
 *	tls_stream.c	the bytes of its session
 */
#ifndef TLS_PRIVATE_H
#define TLS_PRIVATE_H

#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tls.h"

/* A user and its key as one number, which tells nothing of either. */
struct tls_key_id {
	uint8_t bytes[32];
};

struct tls {
	atomic_uint holders;
	bool	 verify_peer;
	char   **allow;			/* distinguished names; none: whatever its name */
	unsigned allow_count;
	gnutls_certificate_credentials_t x509;	/* NULL: no certificates */
	gnutls_psk_server_credentials_t psk;	/* NULL: no keys */
	char	*psk_file;
	struct tls_key_id *keys;	/* those that were in it when it was read */
	unsigned key_count;
	gnutls_priority_t priority;
};

/* Who a client is, as far as it has proved that. */
struct tls_client {
	const struct tls *tls;		/* by which it comes in */
	char	*name;			/* in its certificate, of our CA; NULL: none */
	bool	 has_key;		/* it comes by this one */
	struct tls_key_id key;
};

#define TLS_RECORD_LEN	16384	/* RFC 8446 §5.1 */
#define TLS_READ_AHEAD	(4 * TLS_RECORD_LEN)

struct tls_stream {
	struct stream stream;
	struct stream *plain;
	struct tls *tls;
	struct tls_client client;
	gnutls_session_t session;
	bool established, closing;
	bool interrupted;		/* a record waits inside GnuTLS: go on with that one first */
	int plain_errno;		/* of the plain stream's last failure */
	char why[160];
	size_t ahead_at, ahead_len;	/* received, and not yet asked for by GnuTLS */
	uint8_t ahead[TLS_READ_AHEAD];
	uint8_t record[TLS_RECORD_LEN];	/* slices on their way into one record */
};

/* ---- tls_psk.c */

/* Read the file of keys. False: why. What is read is tls_psk_free()'s, either way. */
bool tls_psk_load(struct tls *tls, const char *file, char *why, size_t size);
void tls_psk_free(struct tls *tls);

/* Was it there when the file was read? */
bool tls_psk_has(const struct tls *tls, const struct tls_key_id *key);

/* ---- tls_client.c. The session's handshake is over, and has succeeded. */

void tls_client_learn(struct tls_client *client, gnutls_session_t session);

/* Is its name one of those that are allowed? */
bool tls_client_is_named(const struct tls_client *client, const struct tls *tls);

/* Would it have come in by these credentials, which may be others than its own? */
bool tls_client_is_allowed(const struct tls_client *client, gnutls_session_t session,
			   const struct tls *tls);

/* ---- tls_handshake.c */

/* Make it, as far as it goes: not yet established. True when there is a session; else errno is set. */
bool tls_handshake(struct tls_stream *t);

/* A GnuTLS error as errno, and stream.why if it is the end; -1. */
ssize_t tls_failure(struct tls_stream *t, int rc);

#endif
