/*
 * The handshake of a tls_stream: who the client is, whether it may come in, and if it does
 * not, why, in words for the log.
 */
#include "config.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "list.h"
#include "tls_private.h"

static void explain(struct tls_stream *t, const char *what, const char *detail)
{
	/* The first reason is the cause of all that follow. */
	if (!t->why[0])
		snprintf(t->why, sizeof(t->why), "TLS: %s%s%s", what, detail[0] ? ": " : "", detail);
}

static void explain_certificate(struct tls_stream *t)
{
	gnutls_datum_t text = { 0 };

	gnutls_certificate_verification_status_print(
		gnutls_session_get_verify_cert_status(t->session), GNUTLS_CRT_X509, &text, 0);
	/* GnuTLS puts a blank behind every sentence. */
	if (text.size > 0 && text.data[text.size - 1] == ' ')
		text.data[text.size - 1] = '\0';
	explain(t, "the client's certificate is refused", text.data ? (const char *)text.data : "");
	gnutls_free(text.data);
}

/* Keep the words for whoever asks why. What the client itself said is the best of them. */
static void explain_error(struct tls_stream *t, int rc)
{
	const char *alert;

	switch (rc) {
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		alert = gnutls_alert_get_name(gnutls_alert_get(t->session));
		explain(t, "the client gives up", alert ? alert : "");
		return;
	case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
		explain_certificate(t);
		return;
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
	case GNUTLS_E_PREMATURE_TERMINATION:
		/* That is how some say that they do not trust our certificate. */
		explain(t, "the client hangs up in the handshake", "");
		return;
	}
	explain(t, gnutls_strerror(rc), "");
}

ssize_t tls_failure(struct tls_stream *t, int rc)
{
	/* A warning alert is no end, either. */
	if (!gnutls_error_is_fatal(rc)) {
		errno = EAGAIN;
	} else if (t->established && (rc == GNUTLS_E_PULL_ERROR || rc == GNUTLS_E_PUSH_ERROR)) {
		errno = t->plain_errno;
	} else {
		explain_error(t, rc);
		t->stream.why = t->why;
		errno = EPROTO;
	}
	return -1;
}

bool tls_stream_is_allowed(const struct stream *stream, const struct tls *tls)
{
	const struct tls_stream *t = container_of(stream, const struct tls_stream, stream);

	return tls_client_is_allowed(&t->client, t->session, tls);
}

bool tls_handshake(struct tls_stream *t)
{
	int rc = gnutls_handshake(t->session);

	t->stream.unsent = rc == GNUTLS_E_AGAIN && gnutls_record_get_direction(t->session) == 1;
	if (rc == GNUTLS_E_SUCCESS)
		tls_client_learn(&t->client, t->session);
	if (rc == GNUTLS_E_SUCCESS && !tls_client_is_named(&t->client, t->tls)) {
		explain(t, "this client is not allowed", t->client.name ? t->client.name : "");
		gnutls_alert_send(t->session, GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED);
		rc = GNUTLS_E_CERTIFICATE_ERROR;
	} else if (rc < 0 && gnutls_error_is_fatal(rc)) {
		gnutls_alert_send_appropriate(t->session, rc);
	}
	t->established = rc == GNUTLS_E_SUCCESS;
	if (!t->established)
		tls_failure(t, rc);
	return t->established;
}

const char *tls_stream_name(struct stream *stream)
{
	return container_of(stream, struct tls_stream, stream)->client.name;
}
