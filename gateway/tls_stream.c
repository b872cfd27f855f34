/*
 * A stream that is the server's end of TLS over another stream.
 *
 * The handshake is not a phase of its own to the connection above: recv() and
 * send() make it as far as it goes and say EAGAIN. What a conn gathers for one send is
 * packed into full records here, since each record costs a tag and a header.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"
#include "log.h"
#include "tls_private.h"

#define RECORD_LEN	16384	/* RFC 8446 §5.1 */

struct tls_stream {
	struct stream stream;
	struct stream *plain;
	const struct tls *tls;
	gnutls_session_t session;
	bool established, closing;
	bool interrupted;		/* a record waits inside GnuTLS: go on with that one first */
	char why[128];
	uint8_t record[RECORD_LEN];	/* slices on their way into one record */
};

/* What GnuTLS reads and writes goes through the plain stream. */

static ssize_t pull(gnutls_transport_ptr_t opaque, void *data, size_t len)
{
	struct tls_stream *t = opaque;
	struct iovec iov = { data, len };
	ssize_t n = t->plain->ops->recv(t->plain, &iov, 1);

	if (n < 0)
		gnutls_transport_set_errno(t->session, errno);
	return n;
}

static ssize_t push(gnutls_transport_ptr_t opaque, const giovec_t *giov, int count)
{
	struct tls_stream *t = opaque;
	struct iovec iov[16];
	ssize_t n;

	if (count > 16)
		count = 16;
	for (int i = 0; i < count; i++)
		iov[i] = (struct iovec){ giov[i].iov_base, giov[i].iov_len };
	n = t->plain->ops->send(t->plain, iov, count);
	if (n < 0)
		gnutls_transport_set_errno(t->session, errno);
	return n;
}

/* A GnuTLS error as errno; the words are kept for whoever asks why. */
static ssize_t failure(struct tls_stream *t, int rc)
{
	if (rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED) {
		errno = EAGAIN;
		return -1;
	}
	if (!t->why[0])
		snprintf(t->why, sizeof(t->why), "TLS: %s", gnutls_strerror(rc));
	t->stream.why = t->why;
	errno = EPROTO;
	return -1;
}

/* Is the certificate's name on the list? It is a certificate of our CA: GnuTLS has seen to that. */
static bool name_is_allowed(struct tls_stream *t)
{
	const struct tls_conf *conf = &t->tls->conf;
	const gnutls_datum_t *chain;
	gnutls_datum_t name = { 0 };
	gnutls_x509_crt_t cert;
	unsigned count;
	bool allowed = false;

	chain = gnutls_certificate_get_peers(t->session, &count);
	if (!chain || gnutls_x509_crt_init(&cert) < 0)
		return false;
	if (gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER) >= 0 &&
	    gnutls_x509_crt_get_dn3(cert, &name, 0) >= 0)
		for (unsigned i = 0; i < conf->allow_count && !allowed; i++)
			allowed = strcmp((const char *)name.data, conf->allow[i]) == 0;
	if (!allowed)
		snprintf(t->why, sizeof(t->why), "TLS: the client \"%s\" is not allowed",
			 name.data ? (const char *)name.data : "");
	gnutls_free(name.data);
	gnutls_x509_crt_deinit(cert);
	return allowed;
}

/* True when there is a session; else errno is set. */
static bool establish(struct tls_stream *t)
{
	int rc;

	if (t->established)
		return true;
	rc = gnutls_handshake(t->session);
	if (rc < 0 && !gnutls_error_is_fatal(rc) && rc != GNUTLS_E_AGAIN)
		rc = GNUTLS_E_AGAIN;	/* a warning alert: go on when there is more */
	if (rc < 0) {
		failure(t, rc);
		return false;
	}
	if (t->tls->conf.allow_count && !name_is_allowed(t)) {
		gnutls_alert_send(t->session, GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED);
		failure(t, GNUTLS_E_CERTIFICATE_ERROR);
		return false;
	}
	t->established = true;
	return true;
}

static ssize_t tls_recv(struct stream *stream, const struct iovec *iov, int count)
{
	struct tls_stream *t = container_of(stream, struct tls_stream, stream);
	size_t total = 0;

	if (!establish(t))
		return -1;
	for (int i = 0; i < count; i++) {
		size_t at = 0;

		while (at < iov[i].iov_len) {
			ssize_t n = gnutls_record_recv(t->session, (uint8_t *)iov[i].iov_base + at,
						       iov[i].iov_len - at);

			if (n > 0) {
				at += (size_t)n;
				total += (size_t)n;
				continue;
			}
			/* What came before goes first; the end is met again by the next call. */
			if (total || n == 0)
				return (ssize_t)total;
			return failure(t, (int)n);
		}
	}
	return (ssize_t)total;
}

/* Up to one record's worth of the slices behind "skip" bytes: in place if the first slice
 * fills it, else copied together. */
static const uint8_t *next_record(struct tls_stream *t, const struct iovec *iov, int count,
				  size_t skip, size_t *len)
{
	*len = 0;
	for (int i = 0; i < count && *len < RECORD_LEN; i++) {
		size_t here = iov[i].iov_len;
		const uint8_t *p = (const uint8_t *)iov[i].iov_base + skip;

		if (skip >= here) {
			skip -= here;
			continue;
		}
		here -= skip;
		skip = 0;
		if (*len == 0 && here >= RECORD_LEN) {
			*len = RECORD_LEN;
			return p;
		}
		if (here > RECORD_LEN - *len)
			here = RECORD_LEN - *len;
		memcpy(t->record + *len, p, here);
		*len += here;
	}
	return t->record;
}

static ssize_t tls_send(struct stream *stream, const struct iovec *iov, int count)
{
	struct tls_stream *t = container_of(stream, struct tls_stream, stream);
	size_t total = 0;

	if (!establish(t))
		return -1;
	for (;;) {
		const uint8_t *record = NULL;
		size_t len = 0;
		ssize_t n;

		/* The caller shows the same bytes again: GnuTLS still has its copy of them. */
		if (!t->interrupted) {
			record = next_record(t, iov, count, total, &len);
			if (len == 0)
				return (ssize_t)total;
		}
		n = gnutls_record_send(t->session, record, len);
		t->interrupted = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
		if (n < 0)
			return total ? (ssize_t)total : failure(t, (int)n);
		total += (size_t)n;
	}
}

static bool tls_pending(struct stream *stream)
{
	struct tls_stream *t = container_of(stream, struct tls_stream, stream);

	return gnutls_record_check_pending(t->session) > 0 || t->plain->ops->pending(t->plain);
}

static void tls_shut_writes(struct stream *stream)
{
	struct tls_stream *t = container_of(stream, struct tls_stream, stream);

	if (t->established && !t->closing)
		gnutls_bye(t->session, GNUTLS_SHUT_WR);
	t->closing = true;
	t->plain->ops->shut_writes(t->plain);
}

static void tls_close(struct stream *stream)
{
	struct tls_stream *t = container_of(stream, struct tls_stream, stream);

	gnutls_deinit(t->session);
	t->plain->ops->close(t->plain);
	gnutls_memset(t->record, 0, sizeof(t->record));
	free(t);
}

static const struct stream_ops tls_ops = {
	.name = "TLS",
	.recv = tls_recv,
	.send = tls_send,
	.pending = tls_pending,
	.shut_writes = tls_shut_writes,
	.close = tls_close,
};

static bool configure(struct tls_stream *t)
{
	const struct tls *tls = t->tls;
	gnutls_session_t s = t->session;

	if (gnutls_priority_set(s, tls->priority) < 0 ||
	    (tls->x509 && gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, tls->x509) < 0) ||
	    (tls->psk && gnutls_credentials_set(s, GNUTLS_CRD_PSK, tls->psk) < 0))
		return false;
	if (tls->conf.verify_peer) {
		gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
		gnutls_session_set_verify_cert(s, NULL, 0);
	}
	gnutls_transport_set_ptr(s, t);
	gnutls_transport_set_pull_function(s, pull);
	gnutls_transport_set_vec_push_function(s, push);
	/* The connection's own deadline bounds the handshake. */
	gnutls_handshake_set_timeout(s, GNUTLS_INDEFINITE_TIMEOUT);
	return true;
}

struct stream *tls_server_stream(struct tls *tls, struct stream *plain)
{
	struct tls_stream *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->stream.ops = &tls_ops;
	t->stream.fd = plain->fd;
	t->stream.write_fd = plain->write_fd;
	t->plain = plain;
	t->tls = tls;
	if (gnutls_init(&t->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0) {
		free(t);
		return NULL;
	}
	if (configure(t))
		return &t->stream;
	gnutls_deinit(t->session);
	free(t);
	return NULL;
}
