/*
 * A stream that is the server's end of TLS over another stream.
 *
 * The handshake is not a phase of its own to the connection above: recv() and
 * send() make it as far as it goes (tls_handshake.c) and say EAGAIN. What a conn gathers for
 * one send is packed into full records here, since each record costs a tag and a header.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"
#include "tls_private.h"

#define PUSH_SLICES	16	/* of what GnuTLS writes at a time; it comes again with the rest */

/* What GnuTLS reads and writes goes through the plain stream. */

static ssize_t plain_failed(struct tls_stream *t)
{
	t->plain_errno = errno;
	gnutls_transport_set_errno(t->session, errno);
	return -1;
}

static size_t take_ahead(struct tls_stream *t, void *data, size_t len)
{
	if (len > t->ahead_len)
		len = t->ahead_len;
	memcpy(data, t->ahead + t->ahead_at, len);
	t->ahead_at += len;
	t->ahead_len -= len;
	return len;
}

/*
 * GnuTLS asks for a record's header, then for its body. Once there are data to be expected,
 * several records are fetched at a time; a handshake needs no haste, and reading no further
 * than it does leaves what follows where poll() sees it.
 */
static ssize_t pull(gnutls_transport_ptr_t opaque, void *data, size_t len)
{
	struct tls_stream *t = opaque;
	struct iovec iov[2] = { { data, len }, { t->ahead, sizeof(t->ahead) } };
	ssize_t n;

	if (t->ahead_len > 0)
		return (ssize_t)take_ahead(t, data, len);
	n = t->plain->ops->recv(t->plain, iov, t->established ? 2 : 1);
	if (n < 0)
		return plain_failed(t);
	if ((size_t)n <= len)
		return n;
	t->ahead_at = 0;
	t->ahead_len = (size_t)n - len;
	return (ssize_t)len;
}

static ssize_t push(gnutls_transport_ptr_t opaque, const giovec_t *giov, int count)
{
	struct tls_stream *t = opaque;
	struct iovec iov[PUSH_SLICES];
	ssize_t n;

	if (count > PUSH_SLICES)
		count = PUSH_SLICES;
	for (int i = 0; i < count; i++)
		iov[i] = (struct iovec){ giov[i].iov_base, giov[i].iov_len };
	n = t->plain->ops->send(t->plain, iov, count);
	return n < 0 ? plain_failed(t) : n;
}

/* True when there is a session; else errno is set. */
static bool establish(struct tls_stream *t)
{
	return t->established || tls_handshake(t);
}

/* The end of the data, or of the stream under them: each NBD message tells its own length, so
 * that a cut one is seen without TLS. */
static bool is_end(ssize_t n)
{
	return n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION;
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
			if (total || is_end(n))
				return (ssize_t)total;
			return tls_failure(t, (int)n);
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
	for (int i = 0; i < count && *len < TLS_RECORD_LEN; i++) {
		size_t here = iov[i].iov_len;
		const uint8_t *p = (const uint8_t *)iov[i].iov_base + skip;

		if (skip >= here) {
			skip -= here;
			continue;
		}
		here -= skip;
		skip = 0;
		if (*len == 0 && here >= TLS_RECORD_LEN) {
			*len = TLS_RECORD_LEN;
			return p;
		}
		if (here > TLS_RECORD_LEN - *len)
			here = TLS_RECORD_LEN - *len;
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
			return total ? (ssize_t)total : tls_failure(t, (int)n);
		total += (size_t)n;
	}
}

static bool tls_pending(struct stream *stream)
{
	struct tls_stream *t = container_of(stream, struct tls_stream, stream);

	return gnutls_record_check_pending(t->session) > 0 || t->ahead_len > 0 ||
	       t->plain->ops->pending(t->plain);
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
	tls_drop(t->tls);
	t->plain->ops->close(t->plain);
	gnutls_memset(t->record, 0, sizeof(t->record));
	free(t->client.name);
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
	if (tls->verify_peer) {
		gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
		gnutls_session_set_verify_cert(s, NULL, 0);
	}
	gnutls_session_set_ptr(s, &t->client);
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
	t->tls = tls_hold(tls);
	t->client.tls = tls;
	if (gnutls_init(&t->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) >= 0) {
		if (configure(t))
			return &t->stream;
		gnutls_deinit(t->session);
	}
	tls_drop(tls);
	free(t);
	return NULL;
}
