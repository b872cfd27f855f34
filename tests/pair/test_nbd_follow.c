/* What becomes of NBD clients when other exports come into force (nbd_exports.h). */
#include <stdlib.h>
#include <string.h>

#include "nbd_peer.h"
#include "unit.h"

enum { READ = 0, WRITE = 1 };

#define REPLY(tag)	"67446698 00000000 00000000c00c1e" tag " "

/* Make a snapshot of the exports of these names ("" for none), over device d each. */
static struct nbd_exports *snapshot(struct peer *p, const char *first, unsigned first_device,
				    const char *second)
{
	struct nbd_exports *exports = nbd_exports_new();
	struct nbd_export *added;

	if (*first && nbd_exports_add(exports, first, &p->exports[first_device], &added))
		abort();
	if (*second && nbd_exports_add(exports, second, &p->exports[1], &added))
		abort();
	return exports;
}

static void follow(struct peer *p, struct nbd_exports *exports)
{
	nbd_server_follow(&p->service, exports);
	nbd_exports_drop(exports);
}

static struct peer *in_transmission(void)
{
	struct peer *p = peer_connect(peer_new());

	peer_go(p);
	CU_ASSERT_EQUAL(p->follows, 1);	/* peer_new()'s */
	return p;
}

static void expect_served(struct peer *p)
{
	peer_ask(p, 0, READ, 1, 0, 1);
	peer_hear(p, REPLY("01") "00");
}

static void a_client_whose_export_stays_does_not_notice(void)
{
	struct peer *p = in_transmission();

	follow(p, snapshot(p, "disk", 0, ""));
	CU_ASSERT_EQUAL(p->follows, 2);
	expect_served(p);
	peer_free(p);
}

static void a_client_whose_export_goes_is_disconnected(void)
{
	struct peer *p = in_transmission();

	follow(p, snapshot(p, "", 0, "other"));
	peer_hear_end(p);
	CU_ASSERT_FALSE(peer_is_up(p));
	CU_ASSERT_EQUAL(p->follows, 2);
	peer_free(p);
}

static void a_client_whose_export_is_another_device_now_is_disconnected(void)
{
	struct peer *p = in_transmission();

	follow(p, snapshot(p, "disk", 1, ""));
	peer_hear_end(p);
	peer_free(p);
}

static void a_client_whose_export_becomes_read_only_is_disconnected(void)
{
	struct peer *p = in_transmission();
	struct nbd_exports *exports = snapshot(p, "disk", 0, "");

	exports->list[0]->read_only = true;
	follow(p, exports);
	peer_hear_end(p);
	peer_free(p);
}

static void a_client_in_plain_whose_export_needs_tls_now_is_disconnected(void)
{
	struct peer *p = in_transmission();
	struct nbd_exports *exports = snapshot(p, "disk", 0, "");

	exports->list[0]->tls_only = true;
	follow(p, exports);
	peer_hear_end(p);
	peer_free(p);
}

static void requests_in_flight_end_first_and_the_change_waits_for_them(void)
{
	struct peer *p = in_transmission();

	p->device[0].hold = true;
	peer_ask(p, 0, READ, 1, 0, 1);
	peer_run(p);
	follow(p, snapshot(p, "", 0, "other"));
	peer_run(p);
	CU_ASSERT_EQUAL(p->follows, 1);
	CU_ASSERT_TRUE(peer_is_up(p));
	/* What comes now is refused: ESHUTDOWN. */
	peer_ask(p, 0, READ, 2, 0, 1);
	peer_hear(p, "67446698 0000006c 00000000c00c1e02");
	peer_release(p);
	peer_hear(p, REPLY("01") "00");
	peer_hear_end(p);
	CU_ASSERT_EQUAL(p->follows, 2);
	peer_free(p);
}

static void a_client_that_has_gone_holds_the_change_up_until_the_device_is_done(void)
{
	struct peer *p = in_transmission();

	p->device[0].hold = true;
	peer_ask(p, 0, READ, 1, 0, 1);
	peer_run(p);
	peer_hang_up(p);
	peer_run(p);
	follow(p, snapshot(p, "", 0, "other"));
	peer_run(p);
	CU_ASSERT_EQUAL(p->follows, 1);
	peer_release(p);
	peer_run(p);
	CU_ASSERT_EQUAL(p->follows, 2);
	peer_free(p);
}

static void a_client_in_its_handshake_chooses_among_what_is_there_now(void)
{
	struct peer *p = peer_connect(peer_new());

	/* INFO of "disk", which goes before the GO comes. */
	peer_say(p, "49484156454f5054 00000006 0000000a 00000004 6469736b 0000");
	peer_run(p);
	peer_skip(p);
	follow(p, snapshot(p, "", 0, "other"));
	CU_ASSERT_EQUAL(p->follows, 2);
	peer_say(p, "49484156454f5054 00000007 0000000a 00000004 6469736b 0000");
	peer_hear(p, "0003e889045565a9 00000007 80000006");	/* ERR_UNKNOWN */
	peer_run(p);
	peer_skip(p);
	CU_ASSERT_TRUE(peer_is_up(p));
	peer_say(p, "49484156454f5054 00000007 0000000b 00000005 6f74686572 0000");
	peer_hear(p, "0003e889045565a9 00000007 00000003");
	peer_free(p);
}

static void contexts_stay_selected_for_the_export_that_stays(void)
{
	struct peer *p = peer_connect(peer_new());

	peer_structured(p);
	peer_select(p);
	follow(p, snapshot(p, "disk", 0, "other"));
	peer_go(p);
	p->device[0].extents[0] = (struct blk_extent){ .length = 512 };
	p->device[0].extent_count = 1;
	peer_ask(p, 0, 7, 1, 0, 512);
	peer_hear(p, "668e33ef");	/* a structured reply, not EINVAL */
	peer_run(p);
	CU_ASSERT_TRUE(peer_skip(p) > 32);
	peer_free(p);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_client_whose_export_stays_does_not_notice),
	UNIT_TEST(a_client_whose_export_goes_is_disconnected),
	UNIT_TEST(a_client_whose_export_is_another_device_now_is_disconnected),
	UNIT_TEST(a_client_whose_export_becomes_read_only_is_disconnected),
	UNIT_TEST(a_client_in_plain_whose_export_needs_tls_now_is_disconnected),
	UNIT_TEST(requests_in_flight_end_first_and_the_change_waits_for_them),
	UNIT_TEST(a_client_that_has_gone_holds_the_change_up_until_the_device_is_done),
	UNIT_TEST(a_client_in_its_handshake_chooses_among_what_is_there_now),
	UNIT_TEST(contexts_stay_selected_for_the_export_that_stays),
};

UNIT_MAIN("nbd_follow", tests)
