/*
 * The NBD back end against nbdkit: requests, errors, and servers that die, come back,
 * come back as something else, or were never there.
 *
 * The test holds the listening socket and hands it to nbdkit (socket activation), so
 * that a connection can be made at any time and is served as soon as a server runs:
 * nothing waits for readiness. Without nbdkit the test is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "nbd_bench.h"
#include "unit.h"

#define MAX_ARGS	12
#define LISTEN_FD	3	/* SD_LISTEN_FDS_START */
#define DISK		(8u << 20)

/* ---- Servers ---- */

/* Do the tests run over TLS now? Requests go through libnbd then, and else through the pipe. */
static bool over_tls;

/* The nbdkit that runs now, if any: one at a time. */
static pid_t server;

static void become_nbdkit(int listener, const char *keys, const char *const *args)
{
	const char *argv[MAX_ARGS + 6] = { "nbdkit", "-f", "--exit-with-parent" };
	char pid[16], tls_psk[80];
	int argc = 3;

	if (keys[0]) {
		snprintf(tls_psk, sizeof(tls_psk), "--tls-psk=%s", keys);
		argv[argc++] = "--tls=require";
		argv[argc++] = tls_psk;
	}
	while (*args && argc < MAX_ARGS + 5)
		argv[argc++] = *args++;
	if (listener >= 0) {
		dup2(listener, LISTEN_FD);
		fcntl(LISTEN_FD, F_SETFD, 0);	/* should it have been that one all along */
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
	}
	dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static void start_server(struct bench *b, const char *const *args)
{
	CU_ASSERT_EQUAL_FATAL(server, 0);
	server = fork();
	CU_ASSERT_FATAL(server >= 0);
	if (server == 0)
		become_nbdkit(b->listener, b->keys, args);
}

static void kill_server(void)
{
	if (!server)
		return;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = 0;
}

/* A server of the bench's file, which outlives it. */
static void start_file_server(struct bench *b, const char *filter, const char *setting)
{
	const char *args[MAX_ARGS] = { "file", b->file, setting, NULL };
	const char *filtered[MAX_ARGS] = { filter, "file", b->file, setting, NULL };

	start_server(b, filter ? filtered : args);
}

static void make_disk(struct bench *b, off_t size)
{
	int fd = open(b->file, O_RDWR | O_CREAT, 0600);

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, size) == 0);
	close(fd);
}

static bool is_zero(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i])
			return false;
	return true;
}

/* ---- What goes well ---- */

static void an_export_says_what_it_is_and_can(void)
{
	const char *args[] = { "memory", "8M", NULL };
	struct bench b;

	bench_init(&b, over_tls);
	start_server(&b, args);
	bench_open(&b);
	CU_ASSERT_EQUAL(b.dev->info.size, DISK);
	CU_ASSERT_EQUAL(b.dev->info.min_block, 1);
	CU_ASSERT_EQUAL(b.dev->info.max_data, 32u << 20);
	CU_ASSERT(!b.dev->info.read_only);
	CU_ASSERT(b.dev->info.can_flush && b.dev->info.can_fua);
	CU_ASSERT(b.dev->info.can_trim && b.dev->info.can_zero && b.dev->info.can_extents);
	CU_ASSERT(!b.dev->info.one_instance);
	bench_end(&b);
	kill_server();
}

static void block_sizes_are_taken_from_the_server(void)
{
	const char *args[] = { "--filter=blocksize-policy", "memory", "1000000", "-r",
			       "blocksize-minimum=512", "blocksize-preferred=4096",
			       "blocksize-maximum=65536", NULL };
	struct bench b;

	bench_init(&b, over_tls);
	start_server(&b, args);
	bench_open(&b);
	CU_ASSERT_EQUAL(b.dev->info.min_block, 512);
	CU_ASSERT_EQUAL(b.dev->info.preferred_block, 4096);
	CU_ASSERT_EQUAL(b.dev->info.max_data, 65536);
	CU_ASSERT_EQUAL(b.dev->info.size, 1000000 / 512 * 512);
	CU_ASSERT(b.dev->info.read_only);
	bench_end(&b);
	kill_server();
}

static void what_is_written_is_read_back(void)
{
	static const size_t sizes[] = { 1, 511, 512, 4096, 65537, 1u << 20, DISK };
	const char *args[] = { "memory", "8M", NULL };
	uint8_t *out = malloc(DISK), *in = malloc(DISK);
	struct bench b;

	bench_init(&b, over_tls);
	start_server(&b, args);
	bench_open(&b);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t offset = DISK - sizes[i];

		fill(out, sizes[i], i);
		CU_ASSERT_EQUAL(bench_do(&b, BLK_WRITE, offset, sizes[i], out, i % 2 ? BLK_FUA : 0), 0);
		memset(in, 0xee, sizes[i]);
		CU_ASSERT_EQUAL(bench_do(&b, BLK_READ, offset, sizes[i], in, 0), 0);
		CU_ASSERT(memcmp(in, out, sizes[i]) == 0);
	}
	CU_ASSERT_EQUAL(bench_do(&b, BLK_FLUSH, 0, 0, NULL, 0), 0);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_CACHE, 0, DISK, NULL, 0), 0);
	bench_end(&b);
	kill_server();
	free(out);
	free(in);
}

#define MANY	400
#define PIECE	4096

static void more_requests_than_are_sent_at_once_all_end(void)
{
	const char *args[] = { "memory", "8M", NULL };
	static struct request r[MANY];
	uint8_t *data = malloc(MANY * PIECE);
	struct bench b;

	bench_init(&b, over_tls);
	start_server(&b, args);
	bench_open(&b);
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < MANY; i++) {
			uint8_t *piece = data + i * PIECE;

			r[i] = request(pass ? BLK_READ : BLK_WRITE, i * PIECE, PIECE, piece);
			if (!pass)
				fill(piece, PIECE, i);
			bench_submit(&b, &r[i]);
		}
		loop_run(b.loop);
		for (unsigned i = 0; i < MANY; i++)
			CU_ASSERT(r[i].ended && !r[i].req.error);
		if (!pass)
			memset(data, 0, MANY * PIECE);
	}
	for (unsigned i = 0; i < MANY; i++)
		CU_ASSERT(is_filled(data + i * PIECE, PIECE, i));
	bench_end(&b);
	kill_server();
	free(data);
}

static void trims_and_zeroes_show_in_data_and_extents(void)
{
	const char *args[] = { "memory", "8M", NULL };
	uint8_t *data = malloc(1u << 20);
	struct blk_extent extent[8];
	struct request status = request(BLK_STATUS, 0, DISK, NULL);
	struct bench b;

	bench_init(&b, over_tls);
	start_server(&b, args);
	bench_open(&b);
	fill(data, 1u << 20, 3);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_WRITE, 1u << 20, 1u << 20, data, 0), 0);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_ZERO, 1u << 20, 65536, NULL, BLK_NO_HOLE), 0);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_TRIM, (1u << 20) + (512u << 10), 512u << 10, NULL, 0), 0);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_READ, 1u << 20, 1u << 20, data, 0), 0);
	CU_ASSERT(is_zero(data, 65536));
	CU_ASSERT(!is_zero(data + 65536, 4096));
	CU_ASSERT(is_zero(data + (512u << 10), 512u << 10));

	status.req.extents = extent;
	status.req.extent_room = 8;
	CU_ASSERT_EQUAL(bench_run(&b, &status), 0);
	CU_ASSERT_FATAL(status.req.extent_count >= 3);
	CU_ASSERT(extent[0].length >= 1u << 20);	/* and what was zeroed, perhaps */
	CU_ASSERT_EQUAL(extent[0].flags, BLK_HOLE | BLK_ZEROES);
	CU_ASSERT_EQUAL(extent[0].provisioning, BLK_DEALLOCATED);
	CU_ASSERT_EQUAL(extent[1].flags & BLK_HOLE, 0);
	CU_ASSERT_EQUAL(extent[1].provisioning, BLK_MAPPED);

	status = request(BLK_STATUS, 0, DISK, NULL);
	status.req.extents = extent;
	status.req.extent_room = 8;
	status.req.flags = BLK_REQ_ONE;
	CU_ASSERT_EQUAL(bench_run(&b, &status), 0);
	CU_ASSERT_EQUAL(status.req.extent_count, 1);
	bench_end(&b);
	kill_server();
	free(data);
}

/* ---- What does not ---- */

static void an_error_is_the_requests_own(void)
{
	const char *args[] = { "--filter=error", "memory", "8M", "error-pread=ENOSPC",
			       "error-pread-rate=100%", NULL };
	uint8_t data[512] = { 0 };
	struct bench b;

	bench_init(&b, over_tls);
	start_server(&b, args);
	bench_open(&b);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_READ, 0, 512, data, 0), ENOSPC);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_WRITE, 0, 512, data, 0), 0);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_READ, 0, 512, data, 0), ENOSPC);
	bench_end(&b);
	kill_server();
}

/* "uri" ends where the path of the bench's socket belongs, unless it is a whole one. */
static void expect_refusal(const char *uri, const char *const *args, const char *why)
{
	bool whole = uri[strlen(uri) - 1] != '=';
	struct bench b;

	bench_init(&b, over_tls);
	snprintf(b.uri, sizeof(b.uri), "%s%s", uri, whole ? "" : b.socket);
	if (args)
		start_server(&b, args);
	bench_open_with(&b, 5, 5);
	CU_ASSERT_PTR_NULL(b.dev);
	CU_ASSERT_STRING_EQUAL(b.why, why);
	if (strcmp(b.why, why) != 0)
		fprintf(stderr, "why: %s\n", b.why);
	bench_end(&b);
	kill_server();
}

static void a_refusal_to_open_says_why(void)
{
	const char *strict[] = { "--filter=exportname", "memory", "8M", "exportname-strict=true",
				 "exportname=there", NULL };
	const char *plain[] = { "--tls=off", "memory", "8M", NULL };

	expect_refusal("nbd+unix:///?socket=/nowhere/at/all", NULL, "connect: No such file or directory");
	expect_refusal("nbd+unix:///elsewhere?socket=", strict, "export \"elsewhere\" not found");
	expect_refusal("nbds+unix:///?socket=", plain, "the server does not offer TLS");
	expect_refusal("nbd+unix:///", NULL,
		       "cannot parse socket parameter from NBD URI "
		       "(did you mean to use \"nbd+unix:///?socket=...\"?)");
	expect_refusal("nbd://127.0.0.1:1", NULL, "connect: Connection refused");
	/* A name that cannot be one: no DNS server is asked, of whom there may be none. */
	expect_refusal("nbd://-no-host", NULL,
		       "getaddrinfo: hostname \"-no-host\" port \"10809\": "
		       "Name or service not known");
}

static void a_server_that_says_nothing_times_out(void)
{
	struct bench b;

	bench_init(&b, over_tls);
	bench_open_with(&b, 0.2, 5);
	CU_ASSERT_PTR_NULL(b.dev);
	CU_ASSERT_STRING_EQUAL(b.why, "timed out after 0.2 s while connecting");
	bench_end(&b);
	kill_server();
}

/* ---- Outages ---- */

struct killer {
	struct ev_timer timer;
	struct bench *b;
};

static void on_kill(struct ev_loop *ev, struct ev_timer *w, int events)
{
	struct killer *k = container_of(w, struct killer, timer);

	(void)ev;
	(void)events;
	kill_server();
	start_file_server(k->b, NULL, NULL);
}

static void requests_in_flight_survive_the_death_of_the_server(void)
{
	static struct request r[MANY];
	uint8_t *data = malloc(MANY * PIECE), *back = malloc(MANY * PIECE);
	struct killer k;
	struct bench b;
	unsigned generation;

	bench_init(&b, over_tls);
	make_disk(&b, DISK);
	/* Slow enough that nothing is answered before the end. */
	start_file_server(&b, "--filter=delay", "delay-write=10");
	bench_open(&b);
	generation = b.dev->info.generation;
	k.b = &b;
	ev_timer_init(&k.timer, on_kill, 0.1, 0.);
	ev_timer_start(b.loop->ev, &k.timer);
	for (unsigned i = 0; i < MANY; i++) {
		fill(data + i * PIECE, PIECE, i);
		r[i] = request(BLK_WRITE, i * PIECE, PIECE, data + i * PIECE);
		bench_submit(&b, &r[i]);
	}
	loop_run(b.loop);
	for (unsigned i = 0; i < MANY; i++)
		CU_ASSERT(r[i].ended && !r[i].req.error);
	CU_ASSERT_EQUAL(b.dev->info.generation, generation + 1);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_READ, 0, MANY * PIECE, back, 0), 0);
	CU_ASSERT(memcmp(data, back, MANY * PIECE) == 0);
	bench_end(&b);
	kill_server();
	free(data);
	free(back);
}

static void an_idle_connection_is_made_anew_as_well(void)
{
	uint8_t data[PIECE];
	struct bench b;

	bench_init(&b, over_tls);
	make_disk(&b, DISK);
	start_file_server(&b, NULL, NULL);
	bench_open(&b);
	for (unsigned i = 0; i < 5; i++) {
		fill(data, PIECE, i);
		CU_ASSERT_EQUAL(bench_do(&b, BLK_WRITE, 0, PIECE, data, 0), 0);
		kill_server();
		start_file_server(&b, NULL, NULL);
		CU_ASSERT_EQUAL(bench_do(&b, BLK_READ, 0, PIECE, data, 0), 0);
		CU_ASSERT(is_filled(data, PIECE, i));
	}
	bench_end(&b);
	kill_server();
}

/* Requests fail for this reason, once it has been tried to connect to what is there now: before,
 * they fail for that of the connection that ended, or of an attempt that came too early. */
static void expect_to_fail(struct bench *b, const char *why)
{
	for (;;) {
		uint8_t data[PIECE];
		struct request r = request(BLK_READ, 0, PIECE, data);

		CU_ASSERT_EQUAL_FATAL(bench_run(b, &r), ENOTCONN);
		if (strcmp(r.req.why, why) == 0)
			break;
		ev_run(b->loop->ev, EVRUN_ONCE);
	}
}

static void requests_fail_once_the_outage_lasts_too_long_and_work_after_it(void)
{
	uint8_t data[PIECE] = { 0 };
	struct request r[3];
	struct bench b;

	bench_init(&b, over_tls);
	make_disk(&b, DISK);
	start_file_server(&b, NULL, NULL);
	bench_open_with(&b, 5, 0.3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.dev);
	kill_server();
	close(b.listener);
	for (int i = 0; i < 3; i++) {
		r[i] = request(BLK_READ, 0, PIECE, data);
		bench_submit(&b, &r[i]);
	}
	loop_run(b.loop);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(r[i].req.error, ENOTCONN);
	/* From now on they fail at once, until there is a server again. */
	expect_to_fail(&b, "not connected: connect: Connection refused");
	bench_listen(&b);
	start_file_server(&b, NULL, NULL);
	while (bench_do(&b, BLK_READ, 0, PIECE, data, 0) != 0)
		ev_run(b.loop->ev, EVRUN_ONCE);
	bench_end(&b);
	kill_server();
}

static void a_request_that_waits_for_a_server_can_be_aborted(void)
{
	uint8_t data[PIECE] = { 0 };
	struct request r = request(BLK_READ, 0, PIECE, data);
	struct bench b;

	bench_init(&b, over_tls);
	make_disk(&b, DISK);
	start_file_server(&b, NULL, NULL);
	bench_open(&b);
	kill_server();
	bench_submit(&b, &r);
	/* Until the loss has been noticed; the connection that follows finds nobody to answer. */
	while (r.req.priv)
		ev_run(b.loop->ev, EVRUN_ONCE);
	blk_abort(b.dev, &r.req);
	CU_ASSERT(!r.ended);
	loop_run(b.loop);
	CU_ASSERT_EQUAL(r.req.error, ECANCELED);
	bench_end(&b);
	kill_server();
}

static void a_smaller_export_does_not_take_the_place_of_the_lost_one(void)
{
	struct bench b;

	bench_init(&b, over_tls);
	make_disk(&b, DISK);
	start_file_server(&b, NULL, NULL);
	bench_open_with(&b, 5, 0.5);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.dev);
	kill_server();
	make_disk(&b, DISK / 2);
	start_file_server(&b, NULL, NULL);
	expect_to_fail(&b, "not connected: the export is not what it was: it is smaller");
	CU_ASSERT_EQUAL(b.dev->info.size, DISK);
	bench_end(&b);
	kill_server();
}

static void start_named_server(struct bench *b, const char *name)
{
	char def[64];
	const char *const args[] = { "--filter=exportname", "file", b->file, def, NULL };

	snprintf(def, sizeof(def), "default-export=%s", name);
	start_server(b, args);
}

static void an_export_of_another_name_does_not(void)
{
	uint8_t data[PIECE] = { 0 };
	struct bench b;

	bench_init(&b, over_tls);
	make_disk(&b, DISK);
	start_named_server(&b, "one");
	bench_open_with(&b, 5, 0.5);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.dev);
	kill_server();
	start_named_server(&b, "other");
	expect_to_fail(&b, "not connected: the export is not what it was: it has another name");
	kill_server();
	start_named_server(&b, "one");
	while (bench_do(&b, BLK_READ, 0, PIECE, data, 0) == ENOTCONN)
		ev_run(b.loop->ev, EVRUN_ONCE);
	CU_ASSERT_EQUAL(b.dev->info.generation, 1);
	bench_end(&b);
	kill_server();
}

static void a_grown_export_does(void)
{
	uint8_t data[PIECE] = { 0 };
	struct bench b;

	bench_init(&b, over_tls);
	make_disk(&b, DISK);
	start_file_server(&b, NULL, NULL);
	bench_open(&b);
	kill_server();
	make_disk(&b, 2 * DISK);
	start_file_server(&b, NULL, NULL);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_READ, 0, PIECE, data, 0), 0);
	CU_ASSERT_EQUAL(b.dev->info.size, 2 * DISK);
	CU_ASSERT_EQUAL(bench_do(&b, BLK_WRITE, 2 * DISK - PIECE, PIECE, data, 0), 0);
	bench_end(&b);
	kill_server();
}

/* ---- The same over TLS ---- */

static void what_goes_well_does_so_over_tls(void)
{
	over_tls = true;
	what_is_written_is_read_back();
	more_requests_than_are_sent_at_once_all_end();
	trims_and_zeroes_show_in_data_and_extents();
	an_error_is_the_requests_own();
	over_tls = false;
}

static void a_lost_connection_is_made_anew_over_tls(void)
{
	over_tls = true;
	requests_in_flight_survive_the_death_of_the_server();
	an_idle_connection_is_made_anew_as_well();
	over_tls = false;
}

static const struct unit_test tests[] = {
	UNIT_TEST(an_export_says_what_it_is_and_can),
	UNIT_TEST(block_sizes_are_taken_from_the_server),
	UNIT_TEST(what_is_written_is_read_back),
	UNIT_TEST(more_requests_than_are_sent_at_once_all_end),
	UNIT_TEST(trims_and_zeroes_show_in_data_and_extents),
	UNIT_TEST(an_error_is_the_requests_own),
	UNIT_TEST(a_refusal_to_open_says_why),
	UNIT_TEST(a_server_that_says_nothing_times_out),
	UNIT_TEST(requests_in_flight_survive_the_death_of_the_server),
	UNIT_TEST(an_idle_connection_is_made_anew_as_well),
	UNIT_TEST(requests_fail_once_the_outage_lasts_too_long_and_work_after_it),
	UNIT_TEST(a_request_that_waits_for_a_server_can_be_aborted),
	UNIT_TEST(a_smaller_export_does_not_take_the_place_of_the_lost_one),
	UNIT_TEST(an_export_of_another_name_does_not),
	UNIT_TEST(a_grown_export_does),
	UNIT_TEST(what_goes_well_does_so_over_tls),
	UNIT_TEST(a_lost_connection_is_made_anew_over_tls),
};

static bool have_nbdkit(void)
{
	static const char *const dump[] = { "--version", NULL };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
		become_nbdkit(-1, "", dump);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Outages are what is tested: their log lines would only hide the results. */
static void no_log(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

int main(void)
{
	if (!have_nbdkit())
		return 77;
	signal(SIGPIPE, SIG_IGN);
	if (!getenv("VERBOSE"))
		log_set_sink(no_log);
	return unit_main("nbd_blk", tests, sizeof(tests) / sizeof(tests[0]));
}
