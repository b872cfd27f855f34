/* The NBD transmission phase, byte for byte (NBD proto.md, "Transmission"; EXT). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nbd_peer.h"
#include "pool.h"
#include "unit.h"

enum { READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS };
enum { FUA = 1, NO_HOLE = 2, DF = 4, REQ_ONE = 8, FAST_ZERO = 16, PAYLOAD_LEN = 32 };

#define COOKIE(tag)	" 00000000c00c1e" tag " "

static struct peer *simple(void)
{
	struct peer *p = peer_connect(peer_new());

	peer_go(p);
	return p;
}

static struct peer *structured(void)
{
	struct peer *p = peer_connect(peer_new());

	peer_structured(p);
	peer_select(p);
	peer_go(p);
	return p;
}

static struct peer *extended(void)
{
	struct peer *p = peer_connect(peer_new());

	peer_extended(p);
	peer_select(p);
	peer_go(p);
	return p;
}

/* Replies --------------------------------------------------------------------- */

static void a_write_is_read_back_with_simple_replies(void)
{
	struct peer *p = simple();

	peer_ask(p, 0, WRITE, 1, 100, 5);
	peer_say(p, "68656c6c6f");
	peer_hear(p, "67446698 00000000" COOKIE("01"));
	peer_ask(p, 0, READ, 2, 99, 7);
	peer_hear(p, "67446698 00000000" COOKIE("02") "00 68656c6c6f 00");
	peer_ask(p, 0, READ, 3, 99, 0);
	peer_hear(p, "67446698 00000000" COOKIE("03"));
	peer_free(p);
}

static void zeroes_are_read_as_holes_between_data(void)
{
	struct peer *p = structured();

	memset(p->device[0].bytes + 4096, 0xaa, 4096);
	p->device[0].bytes[16383] = 0xbb;
	peer_ask(p, 0, READ, 1, 0, 16384);
	peer_hear(p, "668e33ef 0000 0002" COOKIE("01") "0000000c 0000000000000000 00001000");
	peer_hear(p, "668e33ef 0000 0001" COOKIE("01") "00001008 0000000000001000");
	peer_hear_fill(p, 0xaa, 4096);
	peer_hear(p, "668e33ef 0000 0002" COOKIE("01") "0000000c 0000000000002000 00001000");
	peer_hear(p, "668e33ef 0001 0001" COOKIE("01") "00001008 0000000000003000");
	peer_hear_fill(p, 0, 4095);
	peer_hear(p, "bb");
	peer_free(p);
}

static void a_read_that_must_not_be_fragmented_is_one_chunk_of_data(void)
{
	struct peer *p = structured();

	memset(p->device[0].bytes + 4096, 0xaa, 4096);
	peer_ask(p, DF, READ, 1, 0, 8192);
	peer_hear(p, "668e33ef 0001 0001" COOKIE("01") "00002008 0000000000000000");
	peer_hear_fill(p, 0, 4096);
	peer_hear_fill(p, 0xaa, 4096);
	peer_free(p);
}

static void a_structured_read_of_nothing_is_a_lone_none(void)
{
	struct peer *p = structured();

	peer_ask(p, 0, READ, 1, 5, 0);
	peer_hear(p, "668e33ef 0001 0000" COOKIE("01") "00000000");
	peer_ask(p, 0, WRITE, 2, 5, 0);
	peer_hear(p, "67446698 00000000" COOKIE("02"));
	CU_ASSERT_EQUAL(p->device[0].submitted, 0);
	peer_free(p);
}

static void a_long_read_comes_in_pieces_and_done_is_on_the_last(void)
{
	struct peer *p = peer_new();

	p->limits.max_payload = 65536;
	peer_connect(p);
	peer_structured(p);
	/* GO with NBD_INFO_BLOCK_SIZE: then this is the limit. */
	peer_say(p, "49484156454f5054 00000007 0000000c 00000004 6469736b 0001 0003");
	peer_skip(p);
	memset(p->device[0].bytes, 1, 3 * 65536);
	peer_ask(p, 0, READ, 1, 0, 2 * 65536 + 512);
	peer_hear(p, "668e33ef 0000 0001" COOKIE("01") "00010008 0000000000000000");
	peer_hear_fill(p, 1, 65536);
	peer_hear(p, "668e33ef 0000 0001" COOKIE("01") "00010008 0000000000010000");
	peer_hear_fill(p, 1, 65536);
	peer_hear(p, "668e33ef 0001 0001" COOKIE("01") "00000208 0000000000020000");
	peer_hear_fill(p, 1, 512);
	CU_ASSERT_EQUAL(p->device[0].submitted, 3);
	peer_ask(p, DF, READ, 2, 0, 65537);
	peer_hear(p, "668e33ef 0001 8001" COOKIE("02") "00000028 0000004b 0022");
	peer_hear_text(p, "more than 65536 bytes unfragmented");
	peer_free(p);
}

static void scripted_error(struct peer *p, int error, const char *why)
{
	p->device[0].error = error;
	snprintf(p->device[0].why, sizeof(p->device[0].why), "%s", why);
}

static void what_was_read_before_an_error_goes_first(void)
{
	struct peer *p = structured();

	memset(p->device[0].bytes, 0x77, 4096);
	scripted_error(p, EIO, "MEDIUM ERROR 11/00 at LBA 1");
	p->device[0].has_error_offset = true;
	p->device[0].error_offset = 512;
	peer_ask(p, 0, READ, 1, 0, 4096);
	peer_hear(p, "668e33ef 0000 0001" COOKIE("01") "00000208 0000000000000000");
	peer_hear_fill(p, 0x77, 512);
	peer_hear(p, "668e33ef 0001 8002" COOKIE("01") "00000029 00000005 001b");
	peer_hear_text(p, "MEDIUM ERROR 11/00 at LBA 1");
	peer_hear(p, "0000000000000200");
	peer_free(p);
}

static void an_error_without_a_text_has_one_all_the_same(void)
{
	struct peer *p = structured();

	scripted_error(p, EIO, "");
	peer_ask(p, FUA, TRIM, 1, 0, 4096);
	peer_hear(p, "668e33ef 0001 8001" COOKIE("01") "00000018 00000005 0012");
	peer_hear_text(p, "Input/output error");
	CU_ASSERT_EQUAL(p->device[0].last.op, BLK_TRIM);
	CU_ASSERT_EQUAL(p->device[0].last.flags, BLK_FUA);
	peer_free(p);
}

static void errors_of_simple_replies_are_numbers(void)
{
	static const struct {
		int error;
		const char *number;
	} cases[] = {
		{ EIO, "00000005" }, { ENOSPC, "0000001c" }, { EROFS, "00000001" },
		{ EDQUOT, "0000001c" }, { ETIMEDOUT, "00000005" },
	};
	struct peer *p = simple();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scripted_error(p, cases[i].error, "what a simple reply has no room for");
		peer_ask(p, 0, WRITE, 1, 0, 2);
		peer_say(p, "0102");
		peer_hear(p, "67446698");
		peer_hear(p, cases[i].number);
		peer_hear(p, COOKIE("01"));
	}
	peer_free(p);
}

/* Block status ------------------------------------------------------------------ */

static void scripted_extents(struct peer *p)
{
	static const struct blk_extent extents[] = {
		{ 4096, BLK_HOLE | BLK_ZEROES, BLK_DEALLOCATED },
		{ 4096, 0, BLK_MAPPED },
		{ 8192, 0, BLK_ANCHORED },
		{ 65536, BLK_ZEROES, BLK_ANCHORED },
	};

	memcpy(p->device[0].extents, extents, sizeof(extents));
	p->device[0].extent_count = 4;
}

static void each_context_joins_what_is_alike_to_it(void)
{
	struct peer *p = structured();

	scripted_extents(p);
	peer_ask(p, 0, STATUS, 1, 0, 20480);
	peer_hear(p, "668e33ef 0000 0005" COOKIE("01") "0000001c 00000001"
		     "00001000 00000003 00003000 00000000 00010000 00000002");
	peer_hear(p, "668e33ef 0001 0005" COOKIE("01") "0000001c 00000002"
		     "00001000 00000001 00001000 00000000 00012000 00000002");
	peer_free(p);
}

static void no_more_is_told_once_the_request_is_covered(void)
{
	struct peer *p = structured();

	scripted_extents(p);
	peer_ask(p, 0, STATUS, 1, 0, 8192);
	peer_hear(p, "668e33ef 0000 0005" COOKIE("01") "00000014 00000001"
		     "00001000 00000003 00003000 00000000");
	peer_hear(p, "668e33ef 0001 0005" COOKIE("01") "00000014 00000002"
		     "00001000 00000001 00001000 00000000");
	peer_free(p);
}

static void one_extent_is_cut_to_the_request(void)
{
	struct peer *p = structured();

	p->device[0].extents[0] = (struct blk_extent){ 65536, BLK_HOLE, BLK_DEALLOCATED };
	p->device[0].extent_count = 1;
	peer_ask(p, REQ_ONE, STATUS, 1, 0, 512);
	peer_hear(p, "668e33ef 0000 0005" COOKIE("01") "0000000c 00000001 00000200 00000001");
	peer_hear(p, "668e33ef 0001 0005" COOKIE("01") "0000000c 00000002 00000200 00000001");
	CU_ASSERT_EQUAL(p->device[0].last.flags, BLK_REQ_ONE);
	CU_ASSERT_EQUAL(p->device[0].last.extent_room, 1);
	peer_free(p);
}

static void an_extent_beyond_32_bits_is_cut_where_it_must(void)
{
	const struct blk_extent all = { UINT64_C(1) << 40, BLK_HOLE | BLK_ZEROES, BLK_DEALLOCATED };
	struct peer *p = peer_new();

	p->device[0].dev.info.size = all.length;
	p->device[0].extents[0] = all;
	p->device[0].extent_count = 1;
	peer_connect(p);
	peer_structured(p);
	peer_select(p);
	peer_go(p);
	peer_ask(p, 0, STATUS, 1, 0, 0xffffffff);
	peer_hear(p, "668e33ef 0000 0005" COOKIE("01") "0000000c 00000001 ffff0000 00000003");
	peer_skip(p);
	peer_hang_up(p);

	peer_connect(p);
	peer_extended(p);
	peer_select(p);
	peer_go(p);
	peer_ask_extended(p, 0, STATUS, 2, 4096, all.length - 4096);
	peer_hear(p, "6e8a278c 0000 0006" COOKIE("02") "0000000000001000 0000000000000018"
		     "00000001 00000001 000000fffffff000 0000000000000003");
	peer_hear(p, "6e8a278c 0001 0006" COOKIE("02") "0000000000001000 0000000000000018"
		     "00000002 00000001 000000fffffff000 0000000000000001");
	peer_free(p);
}

static void a_payload_picks_the_contexts(void)
{
	struct peer *p = extended();

	scripted_extents(p);
	peer_ask_extended(p, PAYLOAD_LEN, STATUS, 1, 0, 12);
	peer_say(p, "0000000000001000 00000002");
	peer_hear(p, "6e8a278c 0001 0006" COOKIE("01") "0000000000000000 0000000000000018"
		     "00000002 00000001 0000000000001000 0000000000000001");
	peer_ask_extended(p, PAYLOAD_LEN, STATUS, 2, 512, 16);
	peer_say(p, "0000000000001000 00000002 00000002");
	peer_hear(p, "6e8a278c 0001 8001" COOKIE("02") "0000000000000200 0000000000000033"
		     "00000016 002d");
	peer_hear_text(p, "a meta context that is not selected, or twice");
	peer_free(p);
}

/* Extended headers --------------------------------------------------------------- */

static void extended_replies_repeat_the_offset(void)
{
	struct peer *p = extended();

	peer_ask_extended(p, PAYLOAD_LEN | FUA, WRITE, 1, 7, 3);
	peer_say(p, "010203");
	peer_hear(p, "6e8a278c 0001 0000" COOKIE("01") "0000000000000007 0000000000000000");
	CU_ASSERT_EQUAL(p->device[0].last.flags, BLK_FUA);
	peer_ask_extended(p, 0, READ, 2, 7, 3);
	peer_hear(p, "6e8a278c 0001 0001" COOKIE("02") "0000000000000007 000000000000000b"
		     "0000000000000007 010203");
	peer_ask_extended(p, 0, FLUSH, 3, 0, 0);
	peer_hear(p, "6e8a278c 0001 0000" COOKIE("03") "0000000000000000 0000000000000000");
	peer_free(p);
}

static void a_payload_where_none_belongs_is_drained_first(void)
{
	struct peer *p = extended();

	peer_ask_extended(p, PAYLOAD_LEN, TRIM, 1, 0, 4);
	peer_hear_nothing(p);
	peer_say(p, "01020304");
	peer_hear(p, "6e8a278c 0001 8001" COOKIE("01") "0000000000000000 0000000000000024"
		     "00000016 001e");
	peer_hear_text(p, "flags 0x20 do not go with trim");
	peer_free(p);
}

static void a_payload_beyond_all_bounds_ends_the_connection(void)
{
	struct peer *p = extended();

	peer_ask_extended(p, PAYLOAD_LEN, WRITE, 1, 0, (32 << 20) + 1);
	peer_hear_end(p);
	peer_free(p);
}

/* What the device is asked --------------------------------------------------------- */

static void flags_reach_the_device(void)
{
	static const struct {
		uint16_t flags, type;
		enum blk_op op;
		uint32_t blk;
	} cases[] = {
		{ 0, ZEROES, BLK_ZERO, 0 },
		{ FUA, ZEROES, BLK_ZERO, BLK_FUA },
		{ NO_HOLE, ZEROES, BLK_ZERO, BLK_NO_HOLE },
		{ FAST_ZERO | NO_HOLE, ZEROES, BLK_ZERO, BLK_FAST | BLK_NO_HOLE },
		{ FUA, TRIM, BLK_TRIM, BLK_FUA },
		{ FUA, CACHE, BLK_CACHE, 0 },
	};
	struct peer *p = simple();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		peer_ask(p, cases[i].flags, cases[i].type, 1, 512, 1024);
		peer_hear(p, "67446698 00000000" COOKIE("01"));
		CU_ASSERT_EQUAL(p->device[0].last.op, cases[i].op);
		CU_ASSERT_EQUAL(p->device[0].last.flags, cases[i].blk);
		CU_ASSERT_EQUAL(p->device[0].last.offset, 512);
		CU_ASSERT_EQUAL(p->device[0].last.length, 1024);
	}
	peer_free(p);
}

static void a_shrunken_device_bounds_old_connections_and_a_grown_one_does_not(void)
{
	struct peer *p = simple();

	p->device[0].dev.info.size = 4096;
	peer_ask(p, 0, READ, 1, 4096, 1);
	peer_hear(p, "67446698 00000016" COOKIE("01"));
	p->device[0].dev.info.size = 2 * PEER_MEDIUM;
	peer_ask(p, 0, WRITE, 2, PEER_MEDIUM, 1);
	peer_say(p, "ff");
	peer_hear(p, "67446698 0000001c" COOKIE("02"));
	peer_free(p);
}

static void a_device_may_shrink_while_a_request_is_on_its_way(void)
{
	struct peer *p = structured();

	peer_ask(p, 0, WRITE, 1, 8192, 2);
	p->device[0].dev.info.size = 4096;
	peer_say(p, "0102");
	peer_hear(p, "668e33ef 0001 8001" COOKIE("01") "0000001b 0000001c 0015");
	peer_hear_text(p, "the device has shrunk");
	CU_ASSERT_EQUAL(p->device[0].submitted, 0);
	peer_free(p);
}

static void a_device_that_turns_read_only_is_so_at_once(void)
{
	struct peer *p = simple();

	p->device[0].dev.info.read_only = true;
	peer_ask(p, 0, ZEROES, 1, 0, 1);
	peer_hear(p, "67446698 00000001" COOKIE("01"));
	peer_free(p);
}

/* Bounds and ends -------------------------------------------------------------------- */

static void requests_beyond_the_count_wait(void)
{
	struct peer *p = peer_new();

	p->limits.max_requests = 2;
	peer_connect(p);
	peer_go(p);
	p->device[0].hold = true;
	for (uint8_t tag = 1; tag <= 5; tag++)
		peer_ask(p, 0, CACHE, tag, 0, 1);
	CU_ASSERT_EQUAL(p->device[0].in_flight, 2);
	peer_release(p);
	CU_ASSERT_EQUAL(p->device[0].submitted, 5);
	CU_ASSERT_EQUAL(p->device[0].max_in_flight, 2);
	peer_hear(p, "67446698 00000000" COOKIE("01") "67446698 00000000" COOKIE("02")
		     "67446698 00000000" COOKIE("03") "67446698 00000000" COOKIE("04")
		     "67446698 00000000" COOKIE("05"));
	peer_free(p);
}

static void requests_beyond_the_bytes_wait_but_one_always_runs(void)
{
	struct peer *p = peer_new();

	p->limits.max_bytes = 10000;
	peer_connect(p);
	peer_go(p);
	p->device[0].hold = true;
	peer_ask(p, 0, READ, 1, 0, 65536);
	peer_ask(p, 0, READ, 2, 0, 4000);
	CU_ASSERT_EQUAL(p->device[0].in_flight, 1);
	peer_release(p);
	CU_ASSERT_EQUAL(p->device[0].max_in_flight, 1);
	CU_ASSERT_EQUAL(peer_skip(p), 16 + 65536 + 16 + 4000);
	peer_free(p);
}

static void replies_that_are_not_taken_count_too(void)
{
	struct peer *p = peer_new();

	p->limits.max_bytes = 2 << 20;
	peer_connect(p);
	peer_go(p);
	for (uint8_t tag = 1; tag <= 64; tag++)
		peer_ask(p, 0, READ, tag, 0, PEER_MEDIUM);
	CU_ASSERT(p->device[0].submitted < 64);
	CU_ASSERT(pool_in_use(p->loop->pool) < 3 << 20);
	CU_ASSERT_EQUAL(peer_skip(p), 64 * (16 + PEER_MEDIUM));
	peer_free(p);
}

static void a_disconnect_waits_for_what_is_outstanding(void)
{
	struct peer *p = simple();

	p->device[0].hold = true;
	peer_ask(p, 0, FLUSH, 1, 0, 0);
	peer_ask(p, 0, DISC, 2, 0, 0);
	peer_hear_nothing(p);
	peer_release(p);
	peer_hear(p, "67446698 00000000" COOKIE("01"));
	peer_hear_end(p);
	peer_free(p);
}

static void a_client_that_leaves_lets_the_device_finish(void)
{
	struct peer *p = simple();

	p->device[0].hold = true;
	peer_ask(p, 0, READ, 1, 0, 4096);
	peer_ask(p, 0, WRITE, 2, 0, 4096);
	peer_say(p, "0102");			/* and never the rest */
	peer_hang_up(p);
	CU_ASSERT_EQUAL(p->device[0].aborted, 1);
	CU_ASSERT(peer_is_up(p));
	peer_release(p);
	CU_ASSERT(!peer_is_up(p));
	CU_ASSERT_EQUAL(p->device[0].submitted, 1);
	peer_free(p);
}

static void a_shutdown_lets_requests_finish_and_refuses_new_ones(void)
{
	struct peer *p = structured();

	p->device[0].hold = true;
	peer_ask(p, 0, FLUSH, 1, 0, 0);
	nbd_server_shutdown(&p->service);
	peer_ask(p, 0, WRITE, 2, 0, 2);
	peer_say(p, "0102");
	peer_hear(p, "668e33ef 0001 8001" COOKIE("02") "00000021 0000006c 001b");
	peer_hear_text(p, "the server is shutting down");
	CU_ASSERT_EQUAL(p->idle, 0);
	peer_release(p);
	peer_hear(p, "67446698 00000000" COOKIE("01"));
	peer_hear_end(p);
	CU_ASSERT_EQUAL(p->idle, 1);
	peer_free(p);
}

static void a_shutdown_closes_who_waits_for_nothing(void)
{
	struct peer *p = simple();

	nbd_server_shutdown(&p->service);
	peer_hear_end(p);
	CU_ASSERT_EQUAL(p->idle, 1);
	peer_free(p);
}

static void an_abort_drops_the_link_and_waits_for_the_device(void)
{
	struct peer *p = simple();

	p->device[0].hold = true;
	peer_ask(p, 0, READ, 1, 0, 4096);
	nbd_server_shutdown(&p->service);
	nbd_server_abort(&p->service);
	peer_hear_end(p);
	CU_ASSERT_EQUAL(p->idle, 0);
	nbd_server_abort(&p->service);
	peer_release(p);
	CU_ASSERT_EQUAL(p->idle, 1);
	peer_free(p);
}

static void requests_may_drip(void)
{
	struct peer *p = extended();

	p->drip = true;
	peer_ask_extended(p, PAYLOAD_LEN, WRITE, 1, 0, 4);
	peer_say(p, "01020304");
	peer_hear(p, "6e8a278c 0001 0000" COOKIE("01") "0000000000000000 0000000000000000");
	CU_ASSERT_EQUAL(memcmp(p->device[0].bytes, "\1\2\3\4", 4), 0);
	peer_free(p);
}

static void random_requests_do_no_harm(void)
{
	unsigned seed = 7;

	for (int round = 0; round < 100; round++) {
		struct peer *p = round % 2 ? structured() : extended();

		scripted_extents(p);
		for (int i = 0; i < 20 && peer_is_up(p); i++) {
			uint32_t r = seed = seed * 1103515245 + 12345;
			uint16_t flags = r >> 9 & 0x3f & (r >> 3), type = r >> 16 & 15;
			uint64_t offset = (r >> 5 & 3) * 262144, length = r >> 4 & 0x1fff;

			if (type == DISC)
				continue;
			if (round % 2)
				peer_ask(p, flags, type, 1, offset, (uint32_t)length);
			else
				peer_ask_extended(p, flags, type, 1, offset, length);
			if (round % 2 ? type == WRITE : flags & PAYLOAD_LEN)
				peer_say_fill(p, (uint8_t)r, length);
			peer_skip(p);
		}
		CU_ASSERT(peer_is_up(p));
		peer_free(p);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_write_is_read_back_with_simple_replies),
	UNIT_TEST(zeroes_are_read_as_holes_between_data),
	UNIT_TEST(a_read_that_must_not_be_fragmented_is_one_chunk_of_data),
	UNIT_TEST(a_structured_read_of_nothing_is_a_lone_none),
	UNIT_TEST(a_long_read_comes_in_pieces_and_done_is_on_the_last),
	UNIT_TEST(what_was_read_before_an_error_goes_first),
	UNIT_TEST(an_error_without_a_text_has_one_all_the_same),
	UNIT_TEST(errors_of_simple_replies_are_numbers),
	UNIT_TEST(each_context_joins_what_is_alike_to_it),
	UNIT_TEST(no_more_is_told_once_the_request_is_covered),
	UNIT_TEST(one_extent_is_cut_to_the_request),
	UNIT_TEST(an_extent_beyond_32_bits_is_cut_where_it_must),
	UNIT_TEST(a_payload_picks_the_contexts),
	UNIT_TEST(extended_replies_repeat_the_offset),
	UNIT_TEST(a_payload_where_none_belongs_is_drained_first),
	UNIT_TEST(a_payload_beyond_all_bounds_ends_the_connection),
	UNIT_TEST(flags_reach_the_device),
	UNIT_TEST(a_shrunken_device_bounds_old_connections_and_a_grown_one_does_not),
	UNIT_TEST(a_device_may_shrink_while_a_request_is_on_its_way),
	UNIT_TEST(a_device_that_turns_read_only_is_so_at_once),
	UNIT_TEST(requests_beyond_the_count_wait),
	UNIT_TEST(requests_beyond_the_bytes_wait_but_one_always_runs),
	UNIT_TEST(replies_that_are_not_taken_count_too),
	UNIT_TEST(a_disconnect_waits_for_what_is_outstanding),
	UNIT_TEST(a_client_that_leaves_lets_the_device_finish),
	UNIT_TEST(a_shutdown_lets_requests_finish_and_refuses_new_ones),
	UNIT_TEST(a_shutdown_closes_who_waits_for_nothing),
	UNIT_TEST(an_abort_drops_the_link_and_waits_for_the_device),
	UNIT_TEST(requests_may_drip),
	UNIT_TEST(random_requests_do_no_harm),
};

UNIT_MAIN("NBD server", tests)
