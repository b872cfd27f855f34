/*
 * Who a TLS client is, as far as it has proved that, and whether credentials let it in: those by
 * which it comes, and others that take their place later.
 */
#include "config.h"

#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "tls_private.h"

#define MAX_CHAIN	16	/* certificates; GnuTLS itself takes no longer one */

static bool has_certificate(const struct tls_client *client)
{
	return client->tls->verify_peer && !client->has_key;
}

/* The certificates that it has shown, its own first; how many. */
static unsigned import_chain(gnutls_session_t session, gnutls_x509_crt_t chain[MAX_CHAIN])
{
	unsigned shown = 0, count = 0;
	const gnutls_datum_t *wire = gnutls_certificate_get_peers(session, &shown);

	for (; wire && count < shown && count < MAX_CHAIN; count++) {
		if (gnutls_x509_crt_init(&chain[count]) < 0)
			break;
		if (gnutls_x509_crt_import(chain[count], &wire[count], GNUTLS_X509_FMT_DER) < 0) {
			gnutls_x509_crt_deinit(chain[count]);
			break;
		}
	}
	return count;
}

static void free_chain(gnutls_x509_crt_t *chain, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
}

/* Is its certificate of the CA of these credentials? */
static bool is_verified(gnutls_session_t session, const struct tls *tls)
{
	gnutls_x509_trust_list_t trusted;
	gnutls_x509_crt_t chain[MAX_CHAIN];
	unsigned count = import_chain(session, chain), status = 0;
	bool good;

	gnutls_certificate_get_trust_list(tls->x509, &trusted);
	good = count > 0 && gnutls_x509_trust_list_verify_crt2(trusted, chain, count, NULL, 0, 0,
							       &status, NULL) >= 0 && status == 0;
	free_chain(chain, count);
	return good;
}

void tls_client_learn(struct tls_client *client, gnutls_session_t session)
{
	gnutls_datum_t name = { 0 };
	gnutls_x509_crt_t chain[MAX_CHAIN];
	unsigned count;

	/* What it has asked for a key and not used says nothing. */
	client->has_key = client->has_key && gnutls_auth_get_type(session) == GNUTLS_CRD_PSK;
	if (!has_certificate(client))
		return;
	count = import_chain(session, chain);
	/* GnuTLS has seen to it that it is of our CA. */
	if (count > 0 && gnutls_x509_crt_get_dn3(chain[0], &name, 0) >= 0)
		client->name = strdup((const char *)name.data);
	gnutls_free(name.data);
	free_chain(chain, count);
}

bool tls_client_is_named(const struct tls_client *client, const struct tls *tls)
{
	/* Who has one of our keys has been let in by that: the list is of certificates. */
	if (tls->allow_count == 0 || client->has_key)
		return true;
	for (unsigned i = 0; i < tls->allow_count && client->name; i++)
		if (strcmp(client->name, tls->allow[i]) == 0)
			return true;
	return false;
}

bool tls_client_is_allowed(const struct tls_client *client, gnutls_session_t session,
			   const struct tls *tls)
{
	if (client->tls == tls)
		return true;
	if (client->has_key)
		return tls_psk_has(tls, &client->key);
	if (!tls->verify_peer)
		return true;
	return has_certificate(client) && is_verified(session, tls) && tls_client_is_named(client, tls);
}
