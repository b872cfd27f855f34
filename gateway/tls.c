/* The server's TLS credentials; see tls.h. nbdkit's file names, so that its keys can be used. */
#include "config.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "tls_private.h"

/* NBD proto.md asks for TLS 1.2 or later. */
#define PRIORITY	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define PRIORITY_PSK	PRIORITY ":+ECDHE-PSK:+DHE-PSK:+PSK"

static bool refuse(char *why, size_t size, const char *what, int rc)
{
	snprintf(why, size, "%s: %s", what, gnutls_strerror(rc));
	return false;
}

static bool load_certificates(struct tls *tls, const char *directory, char *why, size_t size)
{
	char ca[4096], cert[4096], key[4096];
	int rc = gnutls_certificate_allocate_credentials(&tls->x509);

	if (rc < 0)
		return refuse(why, size, directory, rc);
	snprintf(ca, sizeof(ca), "%s/ca-cert.pem", directory);
	snprintf(cert, sizeof(cert), "%s/server-cert.pem", directory);
	snprintf(key, sizeof(key), "%s/server-key.pem", directory);
	rc = gnutls_certificate_set_x509_key_file(tls->x509, cert, key, GNUTLS_X509_FMT_PEM);
	if (rc < 0)
		return refuse(why, size, cert, rc);
	rc = gnutls_certificate_set_x509_trust_file(tls->x509, ca, GNUTLS_X509_FMT_PEM);
	/* Only needed to verify clients. */
	if (rc < 0 && tls->verify_peer)
		return refuse(why, size, ca, rc);
	return true;
}

/* Who may come in: the configuration may go before its credentials do. */
static bool copy_rules(struct tls *tls, const struct tls_conf *conf)
{
	tls->verify_peer = conf->verify_peer;
	tls->allow = calloc(conf->allow_count + 1, sizeof(*tls->allow));
	for (unsigned i = 0; tls->allow && i < conf->allow_count; i++) {
		tls->allow[i] = strdup(conf->allow[i]);
		if (!tls->allow[i])
			return false;
		tls->allow_count++;
	}
	return tls->allow;
}

struct tls *tls_new(const struct tls_conf *conf, char *why, size_t size)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	bool ok = tls && copy_rules(tls, conf);
	int rc;

	if (tls)
		atomic_init(&tls->holders, 1);
	if (!ok)
		snprintf(why, size, "%m");
	if (ok && conf->certificates)
		ok = load_certificates(tls, conf->certificates, why, size);
	if (ok && conf->psk)
		ok = tls_psk_load(tls, conf->psk, why, size);
	if (ok) {
		rc = gnutls_priority_init(&tls->priority, conf->psk ? PRIORITY_PSK : PRIORITY, NULL);
		ok = rc >= 0 || refuse(why, size, "TLS priorities", rc);
	}
	if (ok)
		return tls;
	tls_drop(tls);
	return NULL;
}

struct tls *tls_hold(struct tls *tls)
{
	if (tls)
		atomic_fetch_add(&tls->holders, 1);
	return tls;
}

void tls_drop(struct tls *tls)
{
	if (!tls || atomic_fetch_sub(&tls->holders, 1) > 1)
		return;
	for (unsigned i = 0; i < tls->allow_count; i++)
		free(tls->allow[i]);
	free(tls->allow);
	if (tls->x509)
		gnutls_certificate_free_credentials(tls->x509);
	tls_psk_free(tls);
	if (tls->priority)
		gnutls_priority_deinit(tls->priority);
	free(tls);
}
