/* NBD option haggling, byte for byte (NBD proto.md, "Handshake" and "Option types"). */
#include <stdio.h>

#include "nbd_peer.h"
#include "pool.h"
#include "still_clock.h"
#include "unit.h"

#define OPT(option, len)	"49484156454f5054 " option len
#define REP(option, type, len)	"0003e889045565a9 " option type len
#define ACK(option)		REP(option, " 00000001", " 00000000")

static struct peer *connected(void)
{
	return peer_connect(peer_new());
}

/* Everything that a writable export with simple replies offers. */
#define FLAGS		"0d6d"	/* has, flush, fua, trim, zeroes, multi-conn, cache, fast zero */
#define FLAGS_DF	"0ded"

static void an_abort_is_acknowledged_and_ends_the_connection(void)
{
	struct peer *p = connected();

	peer_say(p, OPT("00000002", " 00000003") "616263");
	peer_hear(p, ACK("00000002"));
	peer_hear_end(p);
	peer_free(p);
}

static void a_list_has_names_and_descriptions(void)
{
	struct peer *p = connected();

	snprintf(p->device[1].dev.info.description, 128, "spare");
	peer_say(p, OPT("00000003", " 00000000"));
	peer_hear(p, REP("00000003", " 00000002", " 00000008") "00000004 6469736b");
	peer_hear(p, REP("00000003", " 00000002", " 0000000e") "00000005 6f74686572 7370617265");
	peer_hear(p, ACK("00000003"));
	peer_free(p);
}

static void an_export_without_a_block_device_does_not_exist(void)
{
	struct peer *p = connected();

	p->instances[1].blk = NULL;
	peer_say(p, OPT("00000003", " 00000000"));
	peer_hear(p, REP("00000003", " 00000002", " 00000008") "00000004 6469736b");
	peer_hear(p, ACK("00000003"));
	peer_say(p, OPT("00000006", " 0000000b") "00000005 6f74686572 0000");
	peer_hear(p, REP("00000006", " 80000006", " 0000000e"));
	peer_hear_text(p, "no such export");
	peer_free(p);
}

static void what_is_wrong_with_an_option_is_said_and_its_data_drained(void)
{
	struct peer *p = connected();

	peer_say(p, OPT("00000003", " 00000004") "49484156");
	peer_hear(p, REP("00000003", " 80000003", " 00000019"));
	peer_hear_text(p, "this option takes no data");
	peer_say(p, OPT("0000004d", " 00000002") "4948");
	peer_hear(p, REP("0000004d", " 80000001", " 0000001b"));
	peer_hear_text(p, "option 77 is not known here");
	peer_say(p, OPT("00000006", " 00004001"));
	peer_say_fill(p, 0xff, 0x4001);
	peer_hear(p, REP("00000006", " 80000009", " 0000002d"));
	peer_hear_text(p, "this option takes at most 16384 bytes of data");
	peer_say(p, OPT("00000008", " 00000000"));
	peer_hear(p, ACK("00000008"));
	peer_free(p);
}

static void tls_is_refused_by_policy(void)
{
	struct peer *p = connected();

	peer_say(p, OPT("00000005", " 00000000"));
	peer_hear(p, REP("00000005", " 80000002", " 00000025"));
	peer_hear_text(p, "this server is not configured for TLS");
	peer_free(p);
}

static void go_tells_all_that_is_asked_for(void)
{
	struct peer *p = connected();

	snprintf(p->device[0].dev.info.description, 128, "a disk");
	p->device[0].dev.info.min_block = 512;
	p->device[0].dev.info.rotational = true;
	/* 9 is not known, and 3 comes twice. */
	peer_say(p, OPT("00000007", " 00000010") "00000000 0005 0001 0002 0003 0009 0003");
	peer_hear(p, REP("00000007", " 00000003", " 0000000c") "0000 0000000000100000 0d7d");
	peer_hear(p, REP("00000007", " 00000003", " 00000006") "0001 6469736b");
	peer_hear(p, REP("00000007", " 00000003", " 00000008") "0002 61206469736b");
	peer_hear(p, REP("00000007", " 00000003", " 0000000e")
		     "0003 00000200 00001000 02000000");
	peer_hear(p, ACK("00000007"));
	peer_ask(p, 0, 0, 1, 0, 2);
	peer_hear(p, "67446698 00000016 00000000c00c1e01");	/* not aligned to 512 */
	peer_free(p);
}

static void export_name_is_padded_unless_agreed_otherwise(void)
{
	struct peer *p = connected();

	peer_say(p, OPT("00000001", " 00000004") "6469736b");
	peer_hear(p, "0000000000100000" FLAGS);
	peer_hear_nothing(p);
	peer_hang_up(p);
	peer_connect_with(p, 1);
	peer_say(p, OPT("00000001", " 00000004") "6469736b");
	peer_hear(p, "0000000000100000" FLAGS);
	peer_hear_fill(p, 0, 124);
	peer_hear_nothing(p);
	peer_free(p);
}

static void an_unknown_client_flag_ends_the_connection(void)
{
	struct peer *p = peer_connect_with(peer_new(), 7);

	peer_hear_end(p);
	peer_free(p);
}

static void go_repeats_what_info_said_unless_something_came_between(void)
{
	struct peer *p = connected();

	peer_say(p, OPT("00000006", " 0000000a") "00000004 6469736b 0000");
	peer_hear(p, REP("00000006", " 00000003", " 0000000c") "0000 0000000000100000" FLAGS);
	peer_hear(p, ACK("00000006"));
	p->device[0].dev.info.size = 0x200000;
	peer_say(p, OPT("00000006", " 0000000a") "00000004 6469736b 0000");
	peer_hear(p, REP("00000006", " 00000003", " 0000000c") "0000 0000000000100000" FLAGS);
	peer_hear(p, ACK("00000006"));
	peer_structured(p);
	peer_say(p, OPT("00000007", " 0000000a") "00000004 6469736b 0000");
	peer_hear(p, REP("00000007", " 00000003", " 0000000c") "0000 0000000000200000" FLAGS_DF);
	peer_hear(p, ACK("00000007"));
	peer_free(p);
}

static void a_read_only_export_offers_no_writing(void)
{
	struct peer *p = connected();

	p->exports[0].read_only = true;
	peer_say(p, OPT("00000007", " 0000000a") "00000004 6469736b 0000");
	peer_hear(p, REP("00000007", " 00000003", " 0000000c") "0000 0000000000100000 050f");
	peer_hear(p, ACK("00000007"));
	peer_ask(p, 0, 1, 1, 0, 4);
	peer_say(p, "01020304");
	peer_hear(p, "67446698 00000001 00000000c00c1e01");
	peer_ask(p, 0, 4, 2, 0, 4);
	peer_hear(p, "67446698 00000001 00000000c00c1e02");
	CU_ASSERT_EQUAL(p->device[0].submitted, 0);
	peer_free(p);
}

static void listed_contexts_have_no_number(void)
{
	struct peer *p = connected();

	peer_say(p, OPT("00000009", " 0000000c") "00000004 6469736b 00000000");
	peer_hear(p, REP("00000009", " 00000004", " 00000013") "00000000");
	peer_hear_text(p, "base:allocation");
	peer_hear(p, REP("00000009", " 00000004", " 00000017") "00000000");
	peer_hear_text(p, "x-scsi:provisioning");
	peer_hear(p, ACK("00000009"));
	/* "x-scsi:" */
	peer_say(p, OPT("00000009", " 00000013") "00000000 00000001 00000007 782d736373693a");
	peer_hear(p, REP("00000009", " 00000004", " 00000017") "00000000");
	peer_hear_text(p, "x-scsi:provisioning");
	peer_hear(p, ACK("00000009"));
	peer_free(p);
}

static void contexts_go_with_their_export_only(void)
{
	struct peer *p = connected();

	peer_extended(p);
	peer_select(p);
	peer_say(p, OPT("00000007", " 0000000b") "00000005 6f74686572 0000");
	peer_hear(p, REP("00000007", " 00000003", " 0000000c") "0000 0000000000100000 0ded");
	peer_hear(p, ACK("00000007"));
	peer_ask_extended(p, 0, 7, 1, 0, 4096);
	peer_hear(p, "6e8a278c 0001 8001 00000000c00c1e01 0000000000000000 0000000000000021"
		     "00000016 001b");
	peer_hear_text(p, "no meta context is selected");
	peer_free(p);
}

static void status_payloads_are_offered_with_contexts(void)
{
	struct peer *p = connected();

	peer_extended(p);
	peer_select(p);
	peer_say(p, OPT("00000007", " 0000000a") "00000004 6469736b 0000");
	peer_hear(p, REP("00000007", " 00000003", " 0000000c") "0000 0000000000100000 1ded");
	peer_hear(p, ACK("00000007"));
	peer_free(p);
}

static void a_query_without_a_namespace_is_invalid(void)
{
	struct peer *p = connected();

	peer_structured(p);
	peer_say(p, OPT("0000000a", " 00000010") "00000000 00000001 00000004 62617365");
	peer_hear(p, REP("0000000a", " 80000003", " 00000023"));
	peer_hear_text(p, "malformed queries for meta contexts");
	peer_free(p);
}

static void options_may_come_all_at_once(void)
{
	struct peer *p = connected();

	peer_say(p, OPT("00000008", " 00000000") OPT("0000000b", " 00000000")
		    OPT("00000008", " 00000000") OPT("00000002", " 00000000"));
	peer_hear(p, ACK("00000008") ACK("0000000b"));
	peer_hear(p, REP("00000008", " 8000000a", " 00000023"));
	peer_hear_text(p, "extended headers are in use already");
	peer_hear(p, ACK("00000002"));
	peer_hear_end(p);
	peer_free(p);
}

static void a_client_that_reads_no_replies_is_not_read(void)
{
	static const uint8_t list[16] = "IHAVEOPT\0\0\0\3";
	struct peer *p = peer_new();

	p->send_buffer = 1;		/* as small as the system allows */
	peer_connect(p);
	for (int i = 0; i < 100; i++)
		CU_ASSERT(peer_try_say(p, list, sizeof(list)));
	/* The options wait as they came, not as replies. */
	CU_ASSERT(pool_in_use(p->loop->pool) < 4096);
	CU_ASSERT_EQUAL(peer_skip(p), 100 * (28 + 29 + 20));
	peer_free(p);
}

static void too_many_options_end_the_connection(void)
{
	struct peer *p = connected();

	for (unsigned i = 0; i < 128 + 16 * PEER_EXPORTS; i++) {
		peer_say(p, OPT("0000000b", " 00000000"));
		peer_hear(p, ACK("0000000b"));
	}
	peer_say(p, OPT("0000000b", " 00000000"));
	peer_hear_end(p);
	peer_free(p);
}

static void a_silent_client_is_dropped_at_the_deadline(void)
{
	struct peer *p = peer_new();

	p->limits.handshake_timeout = 10;
	peer_connect(p);
	clock_pass(9.9);
	peer_run(p);
	CU_ASSERT(peer_is_up(p));
	clock_pass(0.2);
	peer_run(p);
	CU_ASSERT(!peer_is_up(p));
	peer_hear_end(p);
	peer_free(p);
}

static void the_deadline_is_over_with_the_handshake(void)
{
	struct peer *p = peer_new();

	p->limits.handshake_timeout = 10;
	peer_connect(p);
	peer_go(p);
	clock_pass(20);
	peer_run(p);
	peer_ask(p, 0, 3, 1, 0, 0);
	peer_hear(p, "67446698 00000000 00000000c00c1e01");
	peer_free(p);
}

static void a_shutdown_is_told_to_who_is_haggling(void)
{
	struct peer *p = connected();

	nbd_server_shutdown(&p->service);
	peer_say(p, OPT("00000003", " 00000000"));
	peer_hear(p, REP("00000003", " 80000007", " 0000001b"));
	peer_hear_text(p, "the server is shutting down");
	CU_ASSERT_EQUAL(p->idle, 0);
	peer_say(p, OPT("00000002", " 00000000"));
	peer_hear(p, ACK("00000002"));
	peer_hear_end(p);
	CU_ASSERT_EQUAL(p->idle, 1);
	peer_free(p);
}

static void a_handshake_may_drip(void)
{
	struct peer *p = peer_new();

	p->drip = true;
	peer_connect(p);
	peer_structured(p);
	peer_select(p);
	peer_go(p);
	peer_ask(p, 0, 0, 1, 0, 1);
	peer_hear(p, "668e33ef 0001 0002 00000000c00c1e01 0000000c 0000000000000000 00000001");
	peer_free(p);
}

static void random_handshakes_do_no_harm(void)
{
	unsigned seed = 1;

	for (int round = 0; round < 300; round++) {
		struct peer *p = connected();

		for (int i = 0; i < 5 && peer_is_up(p); i++) {
			uint8_t noise[64];
			size_t len = (size_t)(seed = seed * 1103515245 + 12345) >> 16 & 31;

			peer_sayf(p, OPT("%08x", " %08x"), seed >> 20 & 15, (unsigned)len);
			for (size_t n = 0; n < len; n++)
				noise[n] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 24 &
						     (round % 2 ? 0xff : 0x03));
			peer_try_say(p, noise, len);
			peer_skip(p);
		}
		peer_free(p);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(an_abort_is_acknowledged_and_ends_the_connection),
	UNIT_TEST(a_list_has_names_and_descriptions),
	UNIT_TEST(an_export_without_a_block_device_does_not_exist),
	UNIT_TEST(what_is_wrong_with_an_option_is_said_and_its_data_drained),
	UNIT_TEST(tls_is_refused_by_policy),
	UNIT_TEST(go_tells_all_that_is_asked_for),
	UNIT_TEST(export_name_is_padded_unless_agreed_otherwise),
	UNIT_TEST(an_unknown_client_flag_ends_the_connection),
	UNIT_TEST(go_repeats_what_info_said_unless_something_came_between),
	UNIT_TEST(a_read_only_export_offers_no_writing),
	UNIT_TEST(listed_contexts_have_no_number),
	UNIT_TEST(contexts_go_with_their_export_only),
	UNIT_TEST(status_payloads_are_offered_with_contexts),
	UNIT_TEST(a_query_without_a_namespace_is_invalid),
	UNIT_TEST(options_may_come_all_at_once),
	UNIT_TEST(a_client_that_reads_no_replies_is_not_read),
	UNIT_TEST(too_many_options_end_the_connection),
	UNIT_TEST(a_silent_client_is_dropped_at_the_deadline),
	UNIT_TEST(the_deadline_is_over_with_the_handshake),
	UNIT_TEST(a_shutdown_is_told_to_who_is_haggling),
	UNIT_TEST(a_handshake_may_drip),
	UNIT_TEST(random_handshakes_do_no_harm),
};

UNIT_MAIN("NBD handshake", tests)
