/* The write log: what it keeps, what it gives up, and what becomes of the rest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "unit.h"
#include "write_log.h"

#define MEDIUM	65536u
#define UNITS	512u		/* of bytes, that requests are made of */

/* An instance: requests of the log's own are carried out later, the last first. */
struct instance {
	struct log_member member;
	bool busy, away;	/* it has something under way; it has no connection */
	bool holds;		/* what the log submits */
	int fails;		/* the next of them, with this error */
	unsigned holds_count, resumes, flushes, writes;
	struct blk_req *pending[64];
	unsigned pending_count, most;
	struct loop_call work;
};

static struct loop *loop;
static struct write_log *log_;
static struct instance one, two;
static uint8_t medium[MEDIUM];

static struct instance *instance_of(struct log_member *member)
{
	return container_of(member, struct instance, member);
}

static void hold(struct log_member *member)
{
	struct instance *i = instance_of(member);

	i->holds_count++;
	if (!i->busy)
		write_log_quiet(member, !i->away);
}

static void resume(struct log_member *member)
{
	instance_of(member)->resumes++;
	CU_ASSERT_FALSE(member->held);
}

static bool overlap(const struct blk_req *a, const struct blk_req *b)
{
	return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

static void submit(struct log_member *member, struct blk_req *req)
{
	struct instance *i = instance_of(member);

	CU_ASSERT(req->flags & BLK_OWN);
	for (unsigned n = 0; n < i->pending_count; n++)
		CU_ASSERT_FALSE(overlap(i->pending[n], req));
	if (i->away) {
		req->error = ENOTCONN;
		req->done(req);
		return;
	}
	i->pending[i->pending_count++] = req;
	if (i->pending_count > i->most)
		i->most = i->pending_count;
	if (!i->holds)
		loop_defer(loop, &i->work);
}

static void carry_out(struct instance *i, struct blk_req *req)
{
	req->error = i->fails;
	i->fails = 0;
	if (req->op == BLK_FLUSH) {
		i->flushes++;
	} else if (!req->error) {
		i->writes++;
		if (req->op == BLK_WRITE)
			memcpy(medium + req->offset, req->data, req->length);
		else
			memset(medium + req->offset, 0, req->length);
	}
	if (req->error == ENOTCONN) {
		i->away = true;
		write_log_suspect(&i->member);
	}
	req->done(req);
}

static void work(struct loop_call *call)
{
	struct instance *i = container_of(call, struct instance, work);

	while (i->pending_count)
		carry_out(i, i->pending[--i->pending_count]);
}

static void join(struct instance *i)
{
	static const struct log_member_ops ops = { hold, resume, submit };

	memset(i, 0, sizeof(*i));
	i->member.ops = &ops;
	i->member.loop = loop;
	i->member.name = "test";
	loop_call_init(&i->work, work);
	write_log_join(log_, &i->member);
}

static void begin(uint64_t size)
{
	loop = loop_new();
	log_ = write_log_new(size);
	memset(medium, 0, sizeof(medium));
	join(&one);
	join(&two);
}

static void left(struct log_member *member)
{
	(void)member;
}

/* Let everything happen that can: these many turns are always enough. */
static void run(void)
{
	for (int i = 0; i < 20; i++)
		ev_run(loop->ev, EVRUN_NOWAIT);
}

static void end(void)
{
	write_log_leave(&one.member, left);
	write_log_leave(&two.member, left);
	run();
	write_log_free(log_);
	loop_free(loop);
}

/* A write that has been done, and acknowledged. */
static void put_flags(struct instance *i, enum blk_op op, uint32_t flags, unsigned unit, unsigned units,
		      uint8_t byte)
{
	static uint8_t data[MEDIUM];
	struct blk_req req = { .op = op, .flags = flags, .offset = unit * UNITS,
			       .length = units * UNITS, .data = data };

	memset(data, byte, req.length);
	write_log_ack(&i->member, &req);
	memset(data, 0xee, req.length);		/* the submitter's again */
}

static void put(struct instance *i, unsigned unit, unsigned units, uint8_t byte)
{
	put_flags(i, BLK_WRITE, 0, unit, units, byte);
}

static void flush(void)
{
	write_log_flushed(log_, write_log_mark(log_));
}

static bool is(unsigned unit, unsigned units, uint8_t byte)
{
	for (unsigned i = unit * UNITS; i < (unit + units) * UNITS; i++)
		if (medium[i] != byte)
			return false;
	return true;
}

static void what_was_acknowledged_is_written_again_in_order(void)
{
	begin(1u << 16);
	put(&one, 0, 4, 1);
	put(&two, 2, 4, 2);
	put_flags(&one, BLK_ZERO, 0, 3, 1, 0);
	put_flags(&two, BLK_TRIM, 0, 20, 2, 0);
	put(&two, 10, 1, 3);
	memset(medium, 9, sizeof(medium));
	write_log_suspect(&one.member);
	CU_ASSERT_TRUE(one.member.held);
	run();
	CU_ASSERT_EQUAL(one.writes + two.writes, 5);
	CU_ASSERT(is(0, 2, 1) && is(2, 1, 2) && is(3, 1, 0) && is(4, 2, 2) && is(6, 4, 9) &&
		  is(10, 1, 3) && is(20, 2, 0));
	CU_ASSERT_EQUAL(one.resumes, 1);
	CU_ASSERT_EQUAL(two.resumes, 1);
	CU_ASSERT_FALSE(write_log_collect(log_));
	/* It is still not flushed, so it would be written once more. */
	write_log_suspect(&two.member);
	run();
	CU_ASSERT_EQUAL(one.writes + two.writes, 10);
	end();
}

static void a_flush_covers_what_was_acknowledged_before_it_was_sent(void)
{
	uint64_t mark;

	begin(1u << 16);
	put(&one, 0, 1, 1);
	mark = write_log_mark(log_);
	put(&two, 1, 1, 2);
	write_log_flushed(log_, mark);
	write_log_suspect(&one.member);
	run();
	CU_ASSERT(is(0, 1, 0) && is(1, 1, 2));
	flush();
	write_log_suspect(&one.member);
	run();
	CU_ASSERT_EQUAL(one.writes + two.writes, 1);
	CU_ASSERT_EQUAL(write_log_losses(log_), 0);
	end();
}

static void nothing_is_written_before_all_are_quiet(void)
{
	begin(1u << 16);
	put(&one, 0, 1, 1);
	two.busy = true;
	write_log_suspect(&one.member);
	run();
	CU_ASSERT_EQUAL(one.writes, 0);
	CU_ASSERT_EQUAL(two.holds_count, 1);
	/* What was on its way to it is acknowledged only now, and is written again as well. */
	put(&two, 1, 1, 2);
	two.busy = false;
	write_log_quiet(&two.member, true);
	run();
	CU_ASSERT(is(0, 1, 1) && is(1, 1, 2));
	CU_ASSERT_FALSE(two.member.held);
	end();
}

static void nobody_writes_without_a_connection(void)
{
	begin(1u << 16);
	put(&one, 0, 1, 1);
	one.away = two.away = true;
	write_log_suspect(&one.member);
	run();
	CU_ASSERT_EQUAL(one.resumes, 0);
	two.away = false;
	write_log_quiet(&two.member, true);
	run();
	CU_ASSERT_EQUAL(two.writes, 1);
	CU_ASSERT_EQUAL(one.resumes, 1);
	end();
}

static void a_connection_that_ends_meanwhile_starts_it_over(void)
{
	begin(1u << 16);
	two.away = true;
	for (unsigned i = 0; i < 40; i++)
		put(&one, i, 1, 5);
	one.fails = ENOTCONN;
	write_log_suspect(&one.member);
	run();
	CU_ASSERT_EQUAL(one.most, 16);
	CU_ASSERT_TRUE(one.member.held);
	one.away = false;
	one.writes = 0;
	write_log_quiet(&one.member, true);
	run();
	CU_ASSERT_EQUAL(one.writes, 40);
	CU_ASSERT_FALSE(one.member.held);
	CU_ASSERT_FALSE(write_log_collect(log_));
	end();
}

static void without_a_log_one_flush_of_all_owes_an_error(void)
{
	begin(0);
	put(&one, 0, 1, 1);
	write_log_suspect(&two.member);
	run();
	CU_ASSERT_EQUAL(write_log_losses(log_), 1);
	CU_ASSERT_TRUE(write_log_collect(log_));
	CU_ASSERT_FALSE(write_log_collect(log_));
	/* Nothing since: nothing to lose. */
	write_log_suspect(&two.member);
	run();
	CU_ASSERT_FALSE(write_log_collect(log_));
	CU_ASSERT_EQUAL(one.writes + two.writes, 0);
	end();
}

static void what_did_not_fit_is_owed_and_nothing_is_written_in_part(void)
{
	begin(8192);
	put(&one, 0, 8, 1);
	put(&one, 8, 8, 2);
	write_log_suspect(&two.member);
	one.away = two.away = true;	/* so that the flush that it asked for comes to nothing */
	run();
	one.away = two.away = false;
	write_log_quiet(&one.member, true);
	write_log_quiet(&two.member, true);
	run();
	CU_ASSERT_EQUAL(one.writes + two.writes, 0);
	CU_ASSERT_TRUE(write_log_collect(log_));
	end();
}

static void what_did_not_fit_is_flushed_soon(void)
{
	begin(8192);
	put(&one, 0, 8, 1);
	put(&one, 8, 8, 2);
	run();
	CU_ASSERT_EQUAL(one.flushes, 1);
	write_log_suspect(&two.member);
	run();
	CU_ASSERT_FALSE(write_log_collect(log_));
	/* An error of that flush is for whoever flushes next. */
	one.fails = EIO;
	put(&one, 0, 32, 1);
	run();
	CU_ASSERT_EQUAL(one.flushes, 2);
	CU_ASSERT_TRUE(write_log_collect(log_));
	end();
}

static void a_write_that_fails_again_is_owed(void)
{
	begin(1u << 16);
	put(&one, 0, 1, 1);
	one.fails = two.fails = EIO;
	write_log_suspect(&one.member);
	run();
	CU_ASSERT_TRUE(write_log_collect(log_));
	CU_ASSERT_EQUAL(write_log_losses(log_), 1);
	CU_ASSERT_FALSE(one.member.held);
	end();
}

/* What comes behind it may be newer data for what has just been written, FUA even. */
static void the_others_are_written_all_the_same(void)
{
	begin(1u << 16);
	put(&one, 0, 4, 1);
	put(&one, 10, 1, 2);
	put_flags(&one, BLK_WRITE, BLK_FUA, 0, 1, 3);
	one.fails = two.fails = EIO;		/* the second one, which is carried out first */
	write_log_suspect(&one.member);
	run();
	CU_ASSERT(is(0, 1, 3) && is(1, 3, 1));
	CU_ASSERT_TRUE(write_log_collect(log_));
	CU_ASSERT_EQUAL(write_log_losses(log_), 1);
	end();
}

static void half_full_it_has_the_device_flushed(void)
{
	begin(1u << 16);
	for (unsigned i = 0; i < 1000; i++) {
		put(&one, i % 100, 1, 1);
		if (i % 10 == 9)
			run();
	}
	CU_ASSERT(one.flushes > 10 && one.flushes < 50);
	write_log_suspect(&one.member);
	run();
	CU_ASSERT_FALSE(write_log_collect(log_));
	end();
}

static void what_is_persistent_is_kept_among_others_only(void)
{
	begin(1u << 16);
	put_flags(&one, BLK_WRITE, BLK_FUA, 0, 1, 1);
	CU_ASSERT_EQUAL(write_log_mark(log_), 0);
	put(&one, 0, 1, 2);
	put_flags(&one, BLK_WRITE, BLK_FUA, 0, 1, 3);
	write_log_suspect(&one.member);
	run();
	CU_ASSERT(is(0, 1, 3));
	end();
}

static void who_leaves_is_not_waited_for(void)
{
	begin(1u << 16);
	put(&one, 0, 1, 1);
	two.busy = true;
	write_log_suspect(&one.member);
	write_log_leave(&two.member, left);
	run();
	CU_ASSERT(is(0, 1, 1));
	CU_ASSERT_EQUAL(one.resumes, 1);
	join(&two);
	end();
}

/* Against a model that keeps everything: the medium after a loss is as it was before. */
static void chance_finds_no_difference(void)
{
	static uint8_t now[MEDIUM], flushed[MEDIUM];

	begin(24000);
	memset(now, 0, sizeof(now));
	memset(flushed, 0, sizeof(flushed));
	srand(7);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned unit = (unsigned)rand() % 100, units = 1 + (unsigned)rand() % 6;
		uint8_t byte = (uint8_t)rand();

		put(rand() % 2 ? &one : &two, unit, units, byte);
		memset(now + unit * UNITS, byte, units * UNITS);
		if (rand() % 4 == 0) {
			flush();
			memcpy(flushed, now, MEDIUM);
		}
		if (rand() % 50 == 0) {
			run();		/* flushes of its own, which cover no more than all */
			memcpy(medium, one.flushes + two.flushes ? now : flushed, MEDIUM);
			one.flushes = two.flushes = 0;
			write_log_suspect(rand() % 2 ? &one.member : &two.member);
			run();
			if (write_log_collect(log_))
				memcpy(now, medium, MEDIUM);
			else
				CU_ASSERT_EQUAL(memcmp(medium, now, MEDIUM), 0);
			flush();
			memcpy(flushed, now, MEDIUM);
		}
	}
	end();
}

static const struct unit_test tests[] = {
	UNIT_TEST(what_was_acknowledged_is_written_again_in_order),
	UNIT_TEST(a_flush_covers_what_was_acknowledged_before_it_was_sent),
	UNIT_TEST(nothing_is_written_before_all_are_quiet),
	UNIT_TEST(nobody_writes_without_a_connection),
	UNIT_TEST(a_connection_that_ends_meanwhile_starts_it_over),
	UNIT_TEST(without_a_log_one_flush_of_all_owes_an_error),
	UNIT_TEST(what_did_not_fit_is_owed_and_nothing_is_written_in_part),
	UNIT_TEST(what_did_not_fit_is_flushed_soon),
	UNIT_TEST(a_write_that_fails_again_is_owed),
	UNIT_TEST(the_others_are_written_all_the_same),
	UNIT_TEST(half_full_it_has_the_device_flushed),
	UNIT_TEST(what_is_persistent_is_kept_among_others_only),
	UNIT_TEST(who_leaves_is_not_waited_for),
	UNIT_TEST(chance_finds_no_difference),
};

static void no_log(enum log_level level, const char *line)
{
	(void)level, (void)line;
}

int main(void)
{
	log_set_sink(no_log);
	return unit_main("write_log", tests, sizeof(tests) / sizeof(tests[0]));
}
