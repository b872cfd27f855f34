/*
 * TLS at the NBD server: data, sockets that are narrow, and what goes wrong. Who is let in is
 * for test_nbd_tls_access.c; that clients in the wild get through, for interop/nbd-tls.sh.
 */
#include <string.h>
#include <sys/socket.h>

#include "tls_peer.h"
#include "unit.h"

static void data_pass_unchanged(void)
{
	struct tls_peer *c = tls_peer_new(0);

	CU_ASSERT_EQUAL(tls_peer_shake_hands(c), GNUTLS_E_SUCCESS);
	tls_peer_enter_transmission(c);
	tls_peer_check_data(c, 1);
	tls_peer_check_data(c, 16384);
	tls_peer_check_data(c, 700001);
	tls_peer_free(c);
}

static void a_narrow_socket_holds_up_neither_handshake_nor_data(void)
{
	struct tls_peer *c = tls_peer_new(1000);

	CU_ASSERT_EQUAL(tls_peer_shake_hands(c), GNUTLS_E_SUCCESS);
	tls_peer_enter_transmission(c);
	tls_peer_check_data(c, 30000);
	tls_peer_free(c);
}

static void what_is_left_of_a_handshake_goes_when_there_is_room(void)
{
	struct tls_peer *c = tls_peer_new(0);
	int fill = 4096;

	/* The client takes nothing until the server can send no more. */
	setsockopt(c->peer->fd, SOL_SOCKET, SO_RCVBUF, &fill, sizeof(fill));
	gnutls_handshake(c->session);
	peer_run(c->peer);
	CU_ASSERT_EQUAL(tls_peer_shake_hands(c), GNUTLS_E_SUCCESS);
	tls_peer_enter_transmission(c);
	tls_peer_free(c);
}

static void a_clients_alert_is_told_in_the_log(void)
{
	struct tls_peer *c = tls_peer_new(0);

	gnutls_session_set_verify_cert(c->session, "localhost", 0);
	CU_ASSERT_EQUAL(tls_peer_shake_hands(c), GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR);
	gnutls_alert_send(c->session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
	peer_run(c->peer);
	CU_ASSERT(!peer_is_up(c->peer));
	CU_ASSERT_PTR_NOT_NULL(strstr(tls_peer_line, "TLS: the client gives up: Certificate is bad"));
	tls_peer_free(c);
}

static void a_client_that_goes_without_a_word_is_no_news(void)
{
	struct tls_peer *c = tls_peer_new(0);

	CU_ASSERT_EQUAL(tls_peer_shake_hands(c), GNUTLS_E_SUCCESS);
	tls_peer_enter_transmission(c);
	tls_peer_request(c, 1, 4096);
	peer_hang_up(c->peer);
	CU_ASSERT(!peer_is_up(c->peer));
	CU_ASSERT_STRING_EQUAL(tls_peer_line, "");
	tls_peer_free(c);
}

static void a_damaged_record_ends_the_connection(void)
{
	struct tls_peer *c = tls_peer_new(0);

	CU_ASSERT_EQUAL(tls_peer_shake_hands(c), GNUTLS_E_SUCCESS);
	tls_peer_enter_transmission(c);
	peer_say(c->peer, "1703030010 00112233445566778899aabbccddeeff");
	peer_run(c->peer);
	CU_ASSERT(!peer_is_up(c->peer));
	CU_ASSERT_PTR_NOT_NULL(strstr(tls_peer_line, "TLS: Decryption has failed"));
	tls_peer_free(c);
}

static void plain_bytes_behind_starttls_end_the_connection(void)
{
	struct tls_peer *c = tls_peer_new(0);
	struct peer *p = c->peer;

	peer_hang_up(p);
	peer_connect(p);
	tls_peer_listen();
	peer_say(p, "49484156454f5054 00000005 00000000 49484156454f5054 00000008 00000000");
	peer_hear(p, "0003e889045565a9 00000005 00000001 00000000");
	peer_hear_end(p);
	CU_ASSERT_PTR_NOT_NULL(strstr(tls_peer_line, "plain bytes behind NBD_OPT_STARTTLS"));
	tls_peer_free(c);
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
