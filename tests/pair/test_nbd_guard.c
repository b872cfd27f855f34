/* How many NBD clients there may be, and who makes room for whom (nbd_guard.c). */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd_peer.h"
#include "stream.h"
#include "unit.h"

enum { READ = 0 };

/* A server that has room for so many, where so many more are at other workers. */
struct bed {
	struct peer *peer;
	atomic_uint clients;
};

static struct bed *bed_new(unsigned most, unsigned elsewhere)
{
	struct bed *b = calloc(1, sizeof(*b));

	b->peer = peer_new();
	b->peer->limits.max_connections = most;
	b->peer->service.clients = &b->clients;
	atomic_init(&b->clients, elsewhere);
	return b;
}

/* All that are at this worker have gone, and are not counted any more. */
static void bed_free(struct bed *b, unsigned elsewhere)
{
	peer_free(b->peer);
	CU_ASSERT_EQUAL(atomic_load(&b->clients), elsewhere);
	free(b);
}

/* The client's end of the one that is there, so that another may come. */
static int set_aside(struct bed *b)
{
	int fd = b->peer->fd;

	b->peer->fd = -1;
	return fd;
}

static void take_up(struct bed *b, int fd)
{
	CU_ASSERT(b->peer->fd < 0);
	b->peer->fd = fd;
}

/* One that is hung up on without a word. */
static void expect_refused(struct bed *b)
{
	int fd[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
		abort();
	nbd_server_start(&b->peer->service, stream_socket(fd[0]), 0);
	CU_ASSERT_EQUAL(recv(fd[1], &byte, 1, MSG_DONTWAIT), 0);
	close(fd[1]);
}

static void expect_served(struct bed *b)
{
	peer_ask(b->peer, 0, READ, 1, 0, 1);
	peer_hear(b->peer, "67446698 00000000 00000000c00c1e01 00");
}

static void one_more_than_there_may_be_is_hung_up_on(void)
{
	struct bed *b = bed_new(1, 0);

	peer_go(peer_connect(b->peer));
	expect_refused(b);
	expect_served(b);
	bed_free(b, 0);
}

static void there_is_room_when_one_has_gone(void)
{
	struct bed *b = bed_new(1, 0);

	peer_go(peer_connect(b->peer));
	expect_refused(b);
	peer_hang_up(b->peer);
	peer_go(peer_connect(b->peer));
	expect_served(b);
	bed_free(b, 0);
}

static void those_of_other_workers_count(void)
{
	struct bed *b = bed_new(2, 1);

	peer_go(peer_connect(b->peer));
	expect_refused(b);
	bed_free(b, 1);
}

static void who_has_chosen_no_export_makes_room_the_oldest_first(void)
{
	struct bed *b = bed_new(3, 0);
	int chosen, oldest, second;

	peer_go(peer_connect(b->peer));
	chosen = set_aside(b);
	peer_connect(b->peer);
	oldest = set_aside(b);
	peer_connect(b->peer);
	second = set_aside(b);
	peer_go(peer_connect(b->peer));
	expect_served(b);
	peer_hang_up(b->peer);
	take_up(b, oldest);
	peer_hear_end(b->peer);
	peer_hang_up(b->peer);
	take_up(b, second);
	peer_go(b->peer);
	expect_served(b);
	peer_hang_up(b->peer);
	take_up(b, chosen);
	expect_served(b);
	bed_free(b, 0);
}

static void a_lower_limit_drops_nobody_who_is_there(void)
{
	struct bed *b = bed_new(2, 0);
	int first;

	peer_go(peer_connect(b->peer));
	first = set_aside(b);
	peer_go(peer_connect(b->peer));
	b->peer->limits.max_connections = 1;
	expect_refused(b);
	expect_served(b);
	peer_hang_up(b->peer);
	take_up(b, first);
	expect_refused(b);
	expect_served(b);
	bed_free(b, 0);
}

static void without_a_limit_all_come_in(void)
{
	struct bed *b = bed_new(0, 70000);

	peer_go(peer_connect(b->peer));
	expect_served(b);
	bed_free(b, 70000);
}

static const struct unit_test tests[] = {
	UNIT_TEST(one_more_than_there_may_be_is_hung_up_on),
	UNIT_TEST(there_is_room_when_one_has_gone),
	UNIT_TEST(those_of_other_workers_count),
	UNIT_TEST(who_has_chosen_no_export_makes_room_the_oldest_first),
	UNIT_TEST(a_lower_limit_drops_nobody_who_is_there),
	UNIT_TEST(without_a_limit_all_come_in),
};

UNIT_MAIN("nbd_guard", tests)
