/* Who is let in by TLS at the NBD server, and who goes when the credentials change (tls_client.c). */
#include <string.h>

#include "tls_peer.h"
#include "unit.h"

static void expect_served(struct tls_peer *c)
{
	CU_ASSERT_FATAL(tls_peer_shake_hands(c) == GNUTLS_E_SUCCESS);
	tls_peer_enter_transmission(c);
	tls_peer_check_data(c, 512);
}

/* The client's own handshake may be over before the server has judged it. */
static void expect_refused(struct tls_peer *c, const char *why)
{
	tls_peer_shake_hands(c);
	peer_run(c->peer);
	CU_ASSERT_FALSE(peer_is_up(c->peer));
	CU_ASSERT_PTR_NOT_NULL(strstr(tls_peer_line, why));
}

/* What SIGHUP does: the files are read again. */
static void reload(struct tls_peer *c, enum tls_peer_rule rule)
{
	struct nbd_exports *same = nbd_exports_hold(c->peer->service.exports);
	struct tls *before = c->tls;

	c->tls = tls_peer_credentials(c->directory, rule);
	c->peer->service.tls = c->tls;
	nbd_server_follow(&c->peer->service, same);
	nbd_exports_drop(same);
	tls_drop(before);
	peer_run(c->peer);
}

static void who_shows_no_certificate_is_not_let_in(void)
{
	struct tls_peer *c = tls_peer_of(CERTIFICATE);

	expect_refused(c, "TLS: Certificate is required");
	tls_peer_free(c);
}

static void who_shows_a_certificate_of_our_ca_is_let_in(void)
{
	struct tls_peer *c = tls_peer_of(CERTIFICATE);

	tls_peer_show_certificate(c);
	expect_served(c);
	reload(c, CERTIFICATE);
	tls_peer_check_data(c, 512);
	tls_peer_free(c);
}

static void who_shows_a_certificate_of_another_ca_is_not_let_in(void)
{
	struct tls_peer *c = tls_peer_of(CERTIFICATE);

	tls_peer_make_certificate(c->directory);
	tls_peer_show_certificate(c);
	expect_refused(c, "TLS: the client's certificate is refused");
	tls_peer_free(c);
}

static void whose_ca_is_another_now_goes(void)
{
	struct tls_peer *c = tls_peer_of(CERTIFICATE);

	tls_peer_show_certificate(c);
	expect_served(c);
	tls_peer_make_certificate(c->directory);
	reload(c, CERTIFICATE);
	CU_ASSERT_FALSE(peer_is_up(c->peer));
	tls_peer_free(c);
}

static void who_has_shown_no_certificate_goes_when_one_is_wanted(void)
{
	struct tls_peer *c = tls_peer_of(ANYBODY);

	expect_served(c);
	reload(c, ANYBODY);
	tls_peer_check_data(c, 512);
	reload(c, CERTIFICATE);
	CU_ASSERT_FALSE(peer_is_up(c->peer));
	tls_peer_free(c);
}

static void who_has_a_key_is_let_in_and_stays_while_it_is_there(void)
{
	struct tls_peer *c = tls_peer_of(KEY);

	tls_peer_use_key(c, "alice", "a1b2c3d4e5f60718");
	expect_served(c);
	tls_peer_write_keys(c->directory, "alice:a1b2c3d4e5f60718\n");
	reload(c, KEY);
	tls_peer_check_data(c, 512);
	tls_peer_free(c);
}

static void a_key_that_was_added_is_good_at_once(void)
{
	struct tls_peer *c = tls_peer_of(KEY);

	tls_peer_write_keys(c->directory, "carol:a1b2c3d4e5f60718\n");
	tls_peer_use_key(c, "carol", "a1b2c3d4e5f60718");
	expect_served(c);
	reload(c, KEY);
	tls_peer_check_data(c, 512);
	tls_peer_free(c);
}

static void who_has_another_key_or_another_name_is_not_let_in(void)
{
	struct tls_peer *c = tls_peer_of(KEY);

	tls_peer_use_key(c, "alice", "00112233");
	expect_refused(c, "TLS: ");
	tls_peer_free(c);
	c = tls_peer_of(KEY);
	tls_peer_use_key(c, "mallory", "a1b2c3d4e5f60718");
	expect_refused(c, "TLS: ");
	tls_peer_free(c);
}

static void expect_to_go(const char *keys, enum tls_peer_rule rule)
{
	struct tls_peer *c = tls_peer_of(KEY);

	tls_peer_use_key(c, "alice", "a1b2c3d4e5f60718");
	expect_served(c);
	tls_peer_write_keys(c->directory, keys);
	reload(c, rule);
	CU_ASSERT_FALSE(peer_is_up(c->peer));
	tls_peer_free(c);
}

static void whose_key_is_gone_or_another_now_goes(void)
{
	expect_to_go("bob:a1b2c3d4e5f60718\n", KEY);
	expect_to_go("alice:a1b2c3d4e5f60719\n", KEY);
	expect_to_go("", CERTIFICATE);
}

static const struct unit_test tests[] = {
	UNIT_TEST(who_shows_no_certificate_is_not_let_in),
	UNIT_TEST(who_shows_a_certificate_of_our_ca_is_let_in),
	UNIT_TEST(who_shows_a_certificate_of_another_ca_is_not_let_in),
	UNIT_TEST(whose_ca_is_another_now_goes),
	UNIT_TEST(who_has_shown_no_certificate_goes_when_one_is_wanted),
	UNIT_TEST(who_has_a_key_is_let_in_and_stays_while_it_is_there),
	UNIT_TEST(a_key_that_was_added_is_good_at_once),
	UNIT_TEST(who_has_another_key_or_another_name_is_not_let_in),
	UNIT_TEST(whose_key_is_gone_or_another_now_goes),
};

UNIT_MAIN("Who is let in by TLS", tests)
