/* Between tls.c (credentials) and tls_stream.c (the sessions made of them). */
#ifndef TLS_PRIVATE_H
#define TLS_PRIVATE_H

#include <gnutls/gnutls.h>
#include <stdatomic.h>

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

#endif
