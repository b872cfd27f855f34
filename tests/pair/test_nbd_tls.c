/*
 * TLS at the NBD server: a GnuTLS client in the same thread, over a socketpair that can be as
 * narrow as a test wants. That clients in the wild get through, and who is let in, is for
 * interop/nbd-tls.sh.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "nbd_peer.h"
#include "tls.h"
#include "unit.h"

#define TURNS	20000

struct client {
	struct peer *peer;
	struct tls *tls;
	char directory[64];
	gnutls_session_t session;
	gnutls_certificate_credentials_t trust;
	size_t most;			/* bytes that one pull may bring */
};

static char last_line[256];

static void keep_line(enum log_level level, const char *line)
{
	(void)level;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

/* Credentials of the server ------------------------------------------------- */

static void write_file(const char *directory, const char *name, gnutls_datum_t *data)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (!file || fwrite(data->data, 1, data->size, file) != data->size || fclose(file) != 0)
		abort();
	gnutls_free(data->data);
}

/* With so many names in it that it does not fit into a narrow socket. */
static void make_certificate(const char *directory)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem;

	gnutls_x509_privkey_init(&key);
	gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
				     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	gnutls_x509_crt_init(&crt);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_dn(crt, "CN=localhost", NULL);
	gnutls_x509_crt_set_activation_time(crt, time(NULL) - 3600);
	gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
	for (unsigned i = 0; i < 100; i++) {
		char name[128];

		snprintf(name, sizeof(name), "%060u.example", i);
		gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
						     (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
	}
	gnutls_x509_crt_set_key(crt, key);
	if (gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) < 0)
		abort();
	gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);
	write_file(directory, "server-cert.pem", &pem);
	gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);
	write_file(directory, "server-key.pem", &pem);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

/* The client ---------------------------------------------------------------- */

static ssize_t pull_some(gnutls_transport_ptr_t opaque, void *data, size_t len)
{
	struct client *c = opaque;
	ssize_t n = recv(c->peer->fd, data, len < c->most ? len : c->most, MSG_DONTWAIT);

	if (n < 0)
		gnutls_transport_set_errno(c->session, errno);
	return n;
}

static ssize_t push_some(gnutls_transport_ptr_t opaque, const void *data, size_t len)
{
	struct client *c = opaque;
	ssize_t n = send(c->peer->fd, data, len < c->most ? len : c->most,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		gnutls_transport_set_errno(c->session, errno);
	return n;
}

/* Connected, and STARTTLS is acknowledged. "narrow": bytes that either side takes at a time. */
static struct client *client_new(size_t narrow)
{
	struct client *c = calloc(1, sizeof(*c));
	struct tls_conf conf = { .certificates = c->directory };
	char why[200];

	strcpy(c->directory, "/tmp/test_nbd_tls.XXXXXX");
	if (!mkdtemp(c->directory))
		abort();
	make_certificate(c->directory);
	c->tls = tls_new(&conf, why, sizeof(why));
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->tls);
	c->most = narrow ? narrow : SIZE_MAX;
	c->peer = peer_new();
	c->peer->send_buffer = narrow ? 1 : 0;
	c->peer->service.tls_mode = TLS_ON;
	c->peer->service.tls = c->tls;
	peer_connect(c->peer);
	peer_say(c->peer, "49484156454f5054 00000005 00000000");
	peer_hear(c->peer, "0003e889045565a9 00000005 00000001 00000000");
	log_set_sink(keep_line);
	last_line[0] = '\0';
	gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
	gnutls_set_default_priority(c->session);
	gnutls_certificate_allocate_credentials(&c->trust);
	gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->trust);
	gnutls_transport_set_ptr(c->session, c);
	gnutls_transport_set_pull_function(c->session, pull_some);
	gnutls_transport_set_push_function(c->session, push_some);
	return c;
}

static void remove_file(const char *directory, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
}

static void client_free(struct client *c)
{
	gnutls_deinit(c->session);
	gnutls_certificate_free_credentials(c->trust);
	peer_free(c->peer);
	tls_drop(c->tls);
	remove_file(c->directory, "server-cert.pem");
	remove_file(c->directory, "server-key.pem");
	rmdir(c->directory);
	free(c);
}

static void turn(struct client *c)
{
	ev_run(c->peer->loop->ev, EVRUN_NOWAIT);
}

static int shake_hands(struct client *c)
{
	int rc = GNUTLS_E_AGAIN;

	for (int i = 0; rc == GNUTLS_E_AGAIN && i < TURNS; i++) {
		rc = gnutls_handshake(c->session);
		turn(c);
	}
	return rc;
}

static void say(struct client *c, const void *bytes, size_t len)
{
	ssize_t n = GNUTLS_E_AGAIN;
	size_t at = 0;

	for (int i = 0; at < len && i < TURNS; i++) {
		n = gnutls_record_send(c->session, (const uint8_t *)bytes + at, len - at);
		at += n > 0 ? (size_t)n : 0;
		turn(c);
	}
	CU_ASSERT_EQUAL(at, len);
}

/* How many of "len" bytes come. */
static size_t hear(struct client *c, void *bytes, size_t len)
{
	size_t at = 0;

	for (int i = 0; at < len && i < TURNS; i++) {
		ssize_t n = gnutls_record_recv(c->session, (uint8_t *)bytes + at, len - at);

		if (n == 0)
			break;
		at += n > 0 ? (size_t)n : 0;
		turn(c);
	}
	return at;
}

static const uint8_t go[] =
	"IHAVEOPT\0\0\0\7\0\0\0\12\0\0\0\4disk\0\0";

static void enter_transmission(struct client *c)
{
	uint8_t reply[32 + 20];

	say(c, go, sizeof(go) - 1);
	CU_ASSERT_EQUAL(hear(c, reply, sizeof(reply)), sizeof(reply));
	CU_ASSERT_EQUAL(reply[sizeof(reply) - 5], 1);	/* ACK */
}

static void request(struct client *c, uint8_t type, uint32_t length)
{
	const uint8_t header[28] = {
		0x25, 0x60, 0x95, 0x13, 0, 0, 0, type, [24] = (uint8_t)(length >> 24),
		(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
	};

	say(c, header, sizeof(header));
}

static uint8_t *noise(size_t len)
{
	uint8_t *bytes = malloc(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	return bytes;
}

/* Write and read back, in the simple form of both. */
static void check_data_pass(struct client *c, size_t len)
{
	uint8_t *out = noise(len), *in = malloc(len), header[16];

	request(c, 1, (uint32_t)len);
	say(c, out, len);
	CU_ASSERT_EQUAL(hear(c, header, sizeof(header)), sizeof(header));
	CU_ASSERT_EQUAL(header[7], 0);
	request(c, 0, (uint32_t)len);
	CU_ASSERT_EQUAL(hear(c, header, sizeof(header)), sizeof(header));
	CU_ASSERT_EQUAL(hear(c, in, len), len);
	CU_ASSERT_EQUAL(memcmp(in, out, len), 0);
	free(in);
	free(out);
}

/* The tests ------------------------------------------------------------------ */

static void data_pass_unchanged(void)
{
	struct client *c = client_new(0);

	CU_ASSERT_EQUAL(shake_hands(c), GNUTLS_E_SUCCESS);
	enter_transmission(c);
	check_data_pass(c, 1);
	check_data_pass(c, 16384);
	check_data_pass(c, 700001);
	client_free(c);
}

static void a_narrow_socket_holds_up_neither_handshake_nor_data(void)
{
	struct client *c = client_new(1000);

	CU_ASSERT_EQUAL(shake_hands(c), GNUTLS_E_SUCCESS);
	enter_transmission(c);
	check_data_pass(c, 30000);
	client_free(c);
}

static void what_is_left_of_a_handshake_goes_when_there_is_room(void)
{
	struct client *c = client_new(0);
	int fill = 4096;

	/* The client takes nothing until the server can send no more. */
	setsockopt(c->peer->fd, SOL_SOCKET, SO_RCVBUF, &fill, sizeof(fill));
	gnutls_handshake(c->session);
	peer_run(c->peer);
	CU_ASSERT_EQUAL(shake_hands(c), GNUTLS_E_SUCCESS);
	enter_transmission(c);
	client_free(c);
}

static void a_clients_alert_is_told_in_the_log(void)
{
	struct client *c = client_new(0);

	gnutls_session_set_verify_cert(c->session, "localhost", 0);
	CU_ASSERT_EQUAL(shake_hands(c), GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR);
	gnutls_alert_send(c->session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
	peer_run(c->peer);
	CU_ASSERT(!peer_is_up(c->peer));
	CU_ASSERT_PTR_NOT_NULL(strstr(last_line, "TLS: the client gives up: Certificate is bad"));
	client_free(c);
}

static void a_client_that_goes_without_a_word_is_no_news(void)
{
	struct client *c = client_new(0);

	CU_ASSERT_EQUAL(shake_hands(c), GNUTLS_E_SUCCESS);
	enter_transmission(c);
	request(c, 1, 4096);
	peer_hang_up(c->peer);
	CU_ASSERT(!peer_is_up(c->peer));
	CU_ASSERT_STRING_EQUAL(last_line, "");
	client_free(c);
}

static void a_damaged_record_ends_the_connection(void)
{
	struct client *c = client_new(0);

	CU_ASSERT_EQUAL(shake_hands(c), GNUTLS_E_SUCCESS);
	enter_transmission(c);
	peer_say(c->peer, "1703030010 00112233445566778899aabbccddeeff");
	peer_run(c->peer);
	CU_ASSERT(!peer_is_up(c->peer));
	CU_ASSERT_PTR_NOT_NULL(strstr(last_line, "TLS: Decryption has failed"));
	client_free(c);
}

static void plain_bytes_behind_starttls_end_the_connection(void)
{
	struct client *c = client_new(0);
	struct peer *p = c->peer;

	peer_hang_up(p);
	peer_connect(p);
	log_set_sink(keep_line);
	peer_say(p, "49484156454f5054 00000005 00000000 49484156454f5054 00000008 00000000");
	peer_hear(p, "0003e889045565a9 00000005 00000001 00000000");
	peer_hear_end(p);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_line, "plain bytes behind NBD_OPT_STARTTLS"));
	client_free(c);
}

static const struct unit_test tests[] = {
	UNIT_TEST(data_pass_unchanged),
	UNIT_TEST(a_narrow_socket_holds_up_neither_handshake_nor_data),
	UNIT_TEST(what_is_left_of_a_handshake_goes_when_there_is_room),
	UNIT_TEST(a_clients_alert_is_told_in_the_log),
	UNIT_TEST(a_client_that_goes_without_a_word_is_no_news),
	UNIT_TEST(a_damaged_record_ends_the_connection),
	UNIT_TEST(plain_bytes_behind_starttls_end_the_connection),
};

UNIT_MAIN("NBD over TLS", tests)
