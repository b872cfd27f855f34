/* A client over TLS, and the server's credentials; see tls_peer.h. */
#include "tls_peer.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "unit.h"

#define TURNS	20000

char tls_peer_line[256];

static void keep_line(enum log_level level, const char *line)
{
	(void)level;
	snprintf(tls_peer_line, sizeof(tls_peer_line), "%s", line);
}

void tls_peer_listen(void)
{
	log_set_sink(keep_line);
	tls_peer_line[0] = '\0';
}

/* Credentials of the server ------------------------------------------------- */

#define PATH_LEN	128

static const char *path_of(const char *directory, const char *name, char path[PATH_LEN])
{
	snprintf(path, PATH_LEN, "%s/%s", directory, name);
	return path;
}

static void write_file(const char *directory, const char *name, const void *data, size_t len)
{
	char path[PATH_LEN];
	FILE *file = fopen(path_of(directory, name, path), "w");

	if (!file || fwrite(data, 1, len, file) != len || fclose(file) != 0)
		abort();
}

/* With so many names in it that it does not fit into a narrow socket. It is its own CA's. */
void tls_peer_make_certificate(const char *directory)
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
	write_file(directory, "server-cert.pem", pem.data, pem.size);
	write_file(directory, "ca-cert.pem", pem.data, pem.size);
	gnutls_free(pem.data);
	gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);
	write_file(directory, "server-key.pem", pem.data, pem.size);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

void tls_peer_write_keys(const char *directory, const char *lines)
{
	write_file(directory, "keys.psk", lines, strlen(lines));
}

/* Of the files that are in the directory now. */
struct tls *tls_peer_credentials(const char *directory, enum tls_peer_rule rule)
{
	char keys[PATH_LEN], why[200];
	const struct tls_conf conf = {
		.certificates = directory, .verify_peer = rule == CERTIFICATE,
		.psk = rule == KEY ? path_of(directory, "keys.psk", keys) : NULL,
	};
	struct tls *tls = tls_new(&conf, why, sizeof(why));

	CU_ASSERT_PTR_NOT_NULL_FATAL(tls);
	return tls;
}

/* The client ---------------------------------------------------------------- */

static ssize_t pull_some(gnutls_transport_ptr_t opaque, void *data, size_t len)
{
	struct tls_peer *c = opaque;
	ssize_t n = recv(c->peer->fd, data, len < c->most ? len : c->most, MSG_DONTWAIT);

	if (n < 0)
		gnutls_transport_set_errno(c->session, errno);
	return n;
}

static ssize_t push_some(gnutls_transport_ptr_t opaque, const void *data, size_t len)
{
	struct tls_peer *c = opaque;
	ssize_t n = send(c->peer->fd, data, len < c->most ? len : c->most,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		gnutls_transport_set_errno(c->session, errno);
	return n;
}

static void start_session(struct tls_peer *c)
{
	gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
	gnutls_set_default_priority(c->session);
	gnutls_certificate_allocate_credentials(&c->trust);
	gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->trust);
	gnutls_transport_set_ptr(c->session, c);
	gnutls_transport_set_pull_function(c->session, pull_some);
	gnutls_transport_set_push_function(c->session, push_some);
}

static struct tls_peer *connect_to(enum tls_peer_rule rule, size_t narrow)
{
	struct tls_peer *c = calloc(1, sizeof(*c));

	strcpy(c->directory, "/tmp/test_nbd_tls.XXXXXX");
	if (!mkdtemp(c->directory))
		abort();
	tls_peer_make_certificate(c->directory);
	tls_peer_write_keys(c->directory, "bob:00112233\n#616c696365:a1b2c3d4e5f60718\n");
	c->tls = tls_peer_credentials(c->directory, rule);
	c->most = narrow ? narrow : SIZE_MAX;
	c->peer = peer_new();
	c->peer->send_buffer = narrow ? 1 : 0;
	c->peer->service.tls_mode = TLS_ON;
	c->peer->service.tls = c->tls;
	peer_connect(c->peer);
	peer_say(c->peer, "49484156454f5054 00000005 00000000");
	peer_hear(c->peer, "0003e889045565a9 00000005 00000001 00000000");
	tls_peer_listen();
	start_session(c);
	return c;
}

struct tls_peer *tls_peer_of(enum tls_peer_rule rule)
{
	return connect_to(rule, 0);
}

struct tls_peer *tls_peer_new(size_t narrow)
{
	return connect_to(ANYBODY, narrow);
}

void tls_peer_show_certificate(struct tls_peer *c)
{
	char cert[PATH_LEN], key[PATH_LEN];

	CU_ASSERT(gnutls_certificate_set_x509_key_file(c->trust,
						       path_of(c->directory, "server-cert.pem", cert),
						       path_of(c->directory, "server-key.pem", key),
						       GNUTLS_X509_FMT_PEM) >= 0);
}

void tls_peer_use_key(struct tls_peer *c, const char *user, const char *hex)
{
	const gnutls_datum_t key = { (unsigned char *)(uintptr_t)hex, (unsigned)strlen(hex) };

	gnutls_priority_set_direct(c->session, "NORMAL:+ECDHE-PSK:+DHE-PSK:+PSK", NULL);
	gnutls_psk_allocate_client_credentials(&c->key);
	gnutls_psk_set_client_credentials(c->key, user, &key, GNUTLS_PSK_KEY_HEX);
	gnutls_credentials_set(c->session, GNUTLS_CRD_PSK, c->key);
}

void tls_peer_free(struct tls_peer *c)
{
	static const char *const names[] = {
		"server-cert.pem", "server-key.pem", "ca-cert.pem", "keys.psk",
	};
	char path[PATH_LEN];

	gnutls_deinit(c->session);
	gnutls_certificate_free_credentials(c->trust);
	if (c->key)
		gnutls_psk_free_client_credentials(c->key);
	peer_free(c->peer);
	tls_drop(c->tls);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(c->directory, names[i], path));
	rmdir(c->directory);
	free(c);
}

static void turn(struct tls_peer *c)
{
	ev_run(c->peer->loop->ev, EVRUN_NOWAIT);
}

int tls_peer_shake_hands(struct tls_peer *c)
{
	int rc = GNUTLS_E_AGAIN;

	for (int i = 0; rc == GNUTLS_E_AGAIN && i < TURNS; i++) {
		rc = gnutls_handshake(c->session);
		turn(c);
	}
	return rc;
}

static void say(struct tls_peer *c, const void *bytes, size_t len)
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
static size_t hear(struct tls_peer *c, void *bytes, size_t len)
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

void tls_peer_enter_transmission(struct tls_peer *c)
{
	uint8_t reply[32 + 20];

	say(c, go, sizeof(go) - 1);
	CU_ASSERT_EQUAL(hear(c, reply, sizeof(reply)), sizeof(reply));
	CU_ASSERT_EQUAL(reply[sizeof(reply) - 5], 1);	/* ACK */
}

void tls_peer_request(struct tls_peer *c, uint8_t type, uint32_t length)
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
void tls_peer_check_data(struct tls_peer *c, size_t len)
{
	uint8_t *out = noise(len), *in = malloc(len), header[16];

	tls_peer_request(c, 1, (uint32_t)len);
	say(c, out, len);
	CU_ASSERT_EQUAL(hear(c, header, sizeof(header)), sizeof(header));
	CU_ASSERT_EQUAL(header[7], 0);
	tls_peer_request(c, 0, (uint32_t)len);
	CU_ASSERT_EQUAL(hear(c, header, sizeof(header)), sizeof(header));
	CU_ASSERT_EQUAL(hear(c, in, len), len);
	CU_ASSERT_EQUAL(memcmp(in, out, len), 0);
	free(in);
	free(out);
}
