/* The event loop: mailbox, deferred and flush calls; and the offload threads that post to it. */
#include "loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "offload.h"
#include "unit.h"

/* A trace of what ran, in order. */
static char order[64];
static unsigned ran;

static void note(char what)
{
	if (ran < sizeof(order) - 1)
		order[ran++] = what;
	order[ran] = '\0';
}

struct step {
	struct loop_call call;
	struct loop *loop;
	char name;
	struct step *then_defer, *then_flush, *then_late, *then_cancel;
	bool then_stop;
	unsigned again;		/* times to defer itself once more */
};

static void run_step(struct loop_call *call)
{
	struct step *s = container_of(call, struct step, call);

	note(s->name);
	if (s->then_defer)
		loop_defer(s->loop, &s->then_defer->call);
	if (s->then_flush)
		loop_flush(s->loop, &s->then_flush->call);
	if (s->then_late)
		loop_late(s->loop, &s->then_late->call);
	if (s->then_cancel)
		loop_call_cancel(&s->then_cancel->call);
	if (s->then_stop)
		loop_stop(s->loop);
	if (s->again > 0) {
		s->again--;
		loop_defer(s->loop, &s->call);
	}
}

static struct step step(struct loop *loop, char name)
{
	return (struct step){ .loop = loop, .name = name };
}

static struct loop *new_loop(void)
{
	struct loop *loop = loop_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	ran = 0;
	order[0] = '\0';
	return loop;
}

static void init(struct step *s)
{
	loop_call_init(&s->call, run_step);
}

static void flush_calls_run_after_all_deferred_calls_of_the_turn(void)
{
	struct loop *loop = new_loop();
	struct step a = step(loop, 'a'), b = step(loop, 'b');
	struct step f = step(loop, 'f'), stop = step(loop, 's');

	init(&a), init(&b), init(&f), init(&stop);
	a.then_defer = &b;
	stop.then_stop = true;
	loop_flush(loop, &f.call);
	loop_defer(loop, &a.call);
	loop_defer(loop, &stop.call);
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(order, "asbf");
	loop_free(loop);
}

static void late_calls_run_after_the_flush_and_what_they_begin_still_belongs_to_the_turn(void)
{
	struct loop *loop = new_loop();
	struct step a = step(loop, 'a'), b = step(loop, 'b'), f = step(loop, 'f');
	struct step l = step(loop, 'l'), g = step(loop, 'g'), stop = step(loop, 's');

	init(&a), init(&b), init(&f), init(&l), init(&g), init(&stop);
	a.then_late = &l;
	a.then_flush = &f;
	l.then_defer = &b;
	l.then_flush = &g;
	stop.then_stop = true;
	loop_defer(loop, &a.call);
	loop_defer(loop, &stop.call);
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(order, "asflbg");
	loop_free(loop);
}

/* One that never comes to rest, so that its turns end for their length, is no reason to wait. */
static void late_calls_run_in_every_turn(void)
{
	struct loop *loop = new_loop();
	struct step a = step(loop, 'a'), l = step(loop, 'l');

	init(&a), init(&l);
	a.again = 40;
	loop_defer(loop, &a.call);
	loop_late(loop, &l.call);
	ev_run(loop->ev, EVRUN_NOWAIT);
	CU_ASSERT(a.again > 0);
	CU_ASSERT_PTR_NOT_NULL(strchr(order, 'l'));
	loop_free(loop);
}

static void a_pending_call_is_not_queued_twice_and_can_be_cancelled(void)
{
	struct loop *loop = new_loop();
	struct step a = step(loop, 'a'), b = step(loop, 'b'), c = step(loop, 'c');

	init(&a), init(&b), init(&c);
	a.then_cancel = &b;
	a.then_stop = true;
	loop_defer(loop, &a.call);
	loop_defer(loop, &a.call);
	loop_flush(loop, &a.call);
	loop_defer(loop, &b.call);
	loop_defer(loop, &c.call);
	loop_call_cancel(&c.call);
	loop_call_cancel(&c.call);
	CU_ASSERT(loop_call_pending(&a.call) && !loop_call_pending(&c.call));
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(order, "a");
	CU_ASSERT(!loop_call_pending(&a.call));
	loop_free(loop);
}

static void on_readable(struct ev_loop *ev, struct ev_io *w, int events)
{
	(void)events;
	note('r');
	ev_io_stop(ev, w);
}

static void a_call_that_defers_itself_neither_sleeps_nor_starves_the_watchers(void)
{
	struct loop *loop = new_loop();
	struct step a = step(loop, 'a');
	int fd = eventfd(1, EFD_CLOEXEC);
	struct ev_io io;

	init(&a);
	a.again = 30;
	ev_io_init(&io, on_readable, fd, EV_READ);
	ev_io_start(loop->ev, &io);
	loop_defer(loop, &a.call);
	/* Nothing ever happens but that once: were the loop to sleep, this would hang. */
	while (a.again > 0)
		ev_run(loop->ev, EVRUN_ONCE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(strchr(order, 'r'));
	CU_ASSERT(strchr(order, 'r') < order + 20);
	loop_free(loop);
	close(fd);
}

#define SENDERS		4
#define MESSAGES	20000

struct numbered {
	struct loop_msg msg;
	struct sender *sender;
	unsigned number;
};

struct sender {
	struct loop *loop;
	pthread_t thread;
	struct numbered *message;
	unsigned next;		/* the number that must come next */
	unsigned misordered;
};

static unsigned received;

static void receive_numbered(struct loop_msg *msg)
{
	struct numbered *m = container_of(msg, struct numbered, msg);

	m->sender->misordered += m->number != m->sender->next;
	m->sender->next = m->number + 1;
	if (++received == SENDERS * MESSAGES)
		loop_stop(m->sender->loop);
}

static void *send_numbered(void *arg)
{
	struct sender *s = arg;

	for (unsigned i = 0; i < MESSAGES; i++) {
		s->message[i] = (struct numbered){ { NULL, receive_numbered }, s, i };
		loop_post(s->loop, &s->message[i].msg);
	}
	return NULL;
}

static void every_message_arrives_once_and_in_its_senders_order(void)
{
	struct loop *loop = new_loop();
	struct sender sender[SENDERS] = { 0 };

	received = 0;
	for (int i = 0; i < SENDERS; i++) {
		sender[i].loop = loop;
		sender[i].message = calloc(MESSAGES, sizeof(struct numbered));
		pthread_create(&sender[i].thread, NULL, send_numbered, &sender[i]);
	}
	loop_run(loop);
	CU_ASSERT_EQUAL(received, SENDERS * MESSAGES);
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(sender[i].thread, NULL);
		CU_ASSERT_EQUAL(sender[i].misordered, 0);
		free(sender[i].message);
	}
	loop_free(loop);
}

static void messages_left_behind_run_when_the_loop_is_freed(void)
{
	struct loop *loop = new_loop();
	struct numbered *m = calloc(MESSAGES, sizeof(*m));
	struct sender s = { .loop = loop, .message = m };

	received = 0;
	send_numbered(&s);
	loop_free(loop);
	CU_ASSERT_EQUAL(received, MESSAGES);
	CU_ASSERT_EQUAL(s.misordered, 0);
	free(m);
}

static void *is_it_mine(void *arg)
{
	return loop_is_mine(arg) ? arg : NULL;
}

struct asker {
	struct loop_call call;
	struct loop *loop;
	bool here, elsewhere;
};

static void ask(struct loop_call *call)
{
	struct asker *a = container_of(call, struct asker, call);
	pthread_t other;
	void *answer;

	a->here = loop_is_mine(a->loop);
	pthread_create(&other, NULL, is_it_mine, a->loop);
	pthread_join(other, &answer);
	a->elsewhere = answer != NULL;
	loop_stop(a->loop);
}

static void a_running_loop_belongs_to_its_thread_only(void)
{
	struct loop *loop = new_loop();
	struct asker a = { .loop = loop };

	loop_call_init(&a.call, ask);
	loop_defer(loop, &a.call);
	loop_run(loop);
	CU_ASSERT(a.here && !a.elsewhere);
	loop_free(loop);
}

static void count_call(void *opaque)
{
	++*(unsigned *)opaque;
}

static void note_message(struct loop_msg *msg)
{
	(void)msg;
	note('m');
}

static void who_posts_to_a_loop_that_nobody_attends_to_is_told(void)
{
	struct loop *loop = new_loop();
	struct loop_msg first = { .run = note_message }, second = { .run = note_message };
	unsigned told = 0;

	loop_when_unattended(loop, count_call, &told);
	loop_post(loop, &first);
	CU_ASSERT_EQUAL(told, 1);
	loop_attend(loop);
	CU_ASSERT(loop_turn(loop));
	CU_ASSERT_STRING_EQUAL(order, "m");
	loop_post(loop, &second);
	CU_ASSERT_EQUAL(told, 1);
	loop_leave(loop);
	CU_ASSERT_EQUAL(told, 2);
	loop_stop(loop);
	CU_ASSERT_EQUAL(told, 3);
	loop_attend(loop);
	CU_ASSERT(!loop_turn(loop));
	CU_ASSERT_STRING_EQUAL(order, "mm");
	loop_leave(loop);
	CU_ASSERT_EQUAL(told, 3);
	loop_free(loop);
}

#define DRIVERS	4
#define TURNS	500

struct driver {
	struct loop *loop;
	pthread_t thread;
	pthread_mutex_t *wheel;
	unsigned *turns;
	bool theirs;		/* the loop was not its own while it drove */
};

static void *drive(void *arg)
{
	struct driver *d = arg;

	for (unsigned i = 0; i < TURNS; i++) {
		struct loop_msg msg = { .run = note_message };

		pthread_mutex_lock(d->wheel);
		loop_attend(d->loop);
		d->theirs |= !loop_is_mine(d->loop);
		loop_post(d->loop, &msg);
		loop_turn(d->loop);
		++*d->turns;
		loop_leave(d->loop);
		pthread_mutex_unlock(d->wheel);
	}
	return NULL;
}

static void threads_can_take_turns_at_a_loop(void)
{
	struct loop *loop = new_loop();
	struct driver driver[DRIVERS];
	pthread_mutex_t wheel = PTHREAD_MUTEX_INITIALIZER;
	unsigned turns = 0;

	for (int i = 0; i < DRIVERS; i++) {
		driver[i] = (struct driver){ .loop = loop, .wheel = &wheel, .turns = &turns };
		pthread_create(&driver[i].thread, NULL, drive, &driver[i]);
	}
	for (int i = 0; i < DRIVERS; i++) {
		pthread_join(driver[i].thread, NULL);
		CU_ASSERT(!driver[i].theirs);
	}
	CU_ASSERT_EQUAL(turns, DRIVERS * TURNS);
	loop_free(loop);
}

struct sum {
	struct offload_job job;
	atomic_uint *worked;
	unsigned *done;
	struct loop *loop;
};

static void work(struct offload_job *job)
{
	atomic_fetch_add(container_of(job, struct sum, job)->worked, 1);
}

#define JOBS	500

static void job_done(struct offload_job *job)
{
	struct sum *s = container_of(job, struct sum, job);

	CU_ASSERT(loop_is_mine(s->loop));
	if (++*s->done == JOBS)
		loop_stop(s->loop);
}

static void offloaded_jobs_are_done_elsewhere_and_end_here(void)
{
	struct loop *loop = new_loop();
	struct offload *offload = offload_new(3);
	struct sum sum[JOBS];
	atomic_uint worked = 0;
	unsigned done = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(offload);
	for (int i = 0; i < JOBS; i++) {
		sum[i] = (struct sum){ { .work = work, .done = job_done }, &worked, &done, loop };
		offload_run(offload, loop, &sum[i].job);
	}
	loop_run(loop);
	CU_ASSERT_EQUAL(done, JOBS);
	CU_ASSERT_EQUAL(worked, JOBS);
	offload_free(offload);
	loop_free(loop);
}

static void freeing_the_offload_waits_for_what_was_handed_in(void)
{
	struct loop *loop = new_loop();
	struct offload *offload = offload_new(2);
	struct sum sum[JOBS];
	atomic_uint worked = 0;
	unsigned done = 0;

	for (int i = 0; i < JOBS; i++) {
		sum[i] = (struct sum){ { .work = work, .done = job_done }, &worked, &done, loop };
		offload_run(offload, loop, &sum[i].job);
	}
	offload_free(offload);
	CU_ASSERT_EQUAL(worked, JOBS);
	loop_free(loop);
	CU_ASSERT_EQUAL(done, JOBS);
}

static const struct unit_test tests[] = {
	UNIT_TEST(flush_calls_run_after_all_deferred_calls_of_the_turn),
	UNIT_TEST(late_calls_run_after_the_flush_and_what_they_begin_still_belongs_to_the_turn),
	UNIT_TEST(late_calls_run_in_every_turn),
	UNIT_TEST(a_pending_call_is_not_queued_twice_and_can_be_cancelled),
	UNIT_TEST(a_call_that_defers_itself_neither_sleeps_nor_starves_the_watchers),
	UNIT_TEST(every_message_arrives_once_and_in_its_senders_order),
	UNIT_TEST(messages_left_behind_run_when_the_loop_is_freed),
	UNIT_TEST(a_running_loop_belongs_to_its_thread_only),
	UNIT_TEST(who_posts_to_a_loop_that_nobody_attends_to_is_told),
	UNIT_TEST(threads_can_take_turns_at_a_loop),
	UNIT_TEST(offloaded_jobs_are_done_elsewhere_and_end_here),
	UNIT_TEST(freeing_the_offload_waits_for_what_was_handed_in),
};

UNIT_MAIN("loop", tests)
