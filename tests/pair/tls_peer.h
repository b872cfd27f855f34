/*
 * A client of the NBD server in the same thread that speaks TLS, by GnuTLS, over a socketpair that
 * can be as narrow as a test wants; and the files by which the server knows whom to let in.
 */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include <gnutls/gnutls.h>
#include <stddef.h>
#include <stdint.h>

#include "nbd_peer.h"
#include "tls.h"

struct tls_peer {
	struct peer *peer;
	struct tls *tls;
	char directory[64];
	gnutls_session_t session;
	gnutls_certificate_credentials_t trust;
	gnutls_psk_client_credentials_t key;
	size_t most;			/* bytes that one pull may bring */
};

/* The last line in the log since the client came, or since tls_peer_listen(). */
extern char tls_peer_line[256];
void tls_peer_listen(void);

/* Whom the server lets in. */
enum tls_peer_rule { ANYBODY, CERTIFICATE, KEY };

/* Connected, and STARTTLS is acknowledged; the handshake is to come. There are a certificate, which is
 * its own CA's, and the keys of bob (00112233) and alice (a1b2c3d4e5f60718). */
struct tls_peer *tls_peer_of(enum tls_peer_rule rule);

/* ... of anybody. "narrow": bytes that either side takes at a time; 0: any number. */
struct tls_peer *tls_peer_new(size_t narrow);

void tls_peer_free(struct tls_peer *c);

/* Have other files in the directory, and make credentials of those that are there. */
void tls_peer_make_certificate(const char *directory);
void tls_peer_write_keys(const char *directory, const char *lines);
struct tls *tls_peer_credentials(const char *directory, enum tls_peer_rule rule);

/* By the certificate that is in the directory now, or by a key. Before the handshake. */
void tls_peer_show_certificate(struct tls_peer *c);
void tls_peer_use_key(struct tls_peer *c, const char *user, const char *hex);

/* To its end: what GnuTLS said last. */
int tls_peer_shake_hands(struct tls_peer *c);

/* Choose the export "disk"; then ask for things, or write and read back so many bytes. */
void tls_peer_enter_transmission(struct tls_peer *c);
void tls_peer_request(struct tls_peer *c, uint8_t type, uint32_t length);
void tls_peer_check_data(struct tls_peer *c, size_t len);

#endif
