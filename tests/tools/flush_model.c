/*
 * A client that takes flushes at their word: what was flushed is there, whatever happens
 * to the server; what was not is there, or the flush (or FUA write) failed.
 *
 *	flush_model [-c connections] [-d depth] [-t seconds] [-n rounds] [-s seed] [-x|-e] NBD-URI
 *
 * Every block of 4 KiB holds its number and a version, so that whatever is read says
 * which write it comes from. In rounds: writes, then a flush, then reads of some that were
 * written, or of all if it failed. A flush that fails, with EIO, leaves each of those blocks at any version
 * since its last durable one. With -x nothing may fail, and every read must see the
 * latest write; with -e anything may fail with EIO, and a write that did has been done or
 * has not.
 */
#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		4096u
#define MAX_CONNECTIONS	16
#define MAX_DEPTH	64
#define ROUND_MAX	1024	/* writes of one round */
#define LOOK_BACK	32	/* of them, the last to be looked at after it */

struct op {
	bool in_flight, ended, write, fua;
	int error;
	uint64_t block, version;
	uint64_t data[BLOCK / 8];
};

static struct nbd_handle *nbd[MAX_CONNECTIONS];
static struct op ops[MAX_CONNECTIONS][MAX_DEPTH];
static unsigned connections = 2, depth = 8;
static bool strict, errors;
static uint64_t blocks, version, rng = 1;
static uint64_t *durable, *latest;	/* per block */
static uint8_t *busy, *shaky;	/* shaky: a write has failed */
static uint64_t touched[ROUND_MAX];
static unsigned touched_count;
static bool round_failed;
static uint64_t writes, reads, fua_writes, flushes, failures, other_failures;

static void fail(const char *what)
{
	fprintf(stderr, "flush_model: %s\n", what);
	exit(EXIT_FAILURE);
}

static uint64_t next_random(void)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * UINT64_C(2685821657736338717);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t word(uint64_t block, uint64_t of_version, unsigned i)
{
	return of_version ? (block << 40) ^ (of_version * UINT64_C(0x9e3779b97f4a7c15)) ^ i : 0;
}

static void stamp(struct op *op)
{
	for (unsigned i = 0; i < BLOCK / 8; i++)
		op->data[i] = word(op->block, op->version, i);
	op->data[0] = op->version;
}

/* The version of what was read; the whole block must be of it. */
static uint64_t version_read(const struct op *op)
{
	uint64_t found = op->data[0];

	for (unsigned i = 1; i < BLOCK / 8; i++)
		if (op->data[i] != word(op->block, found, i))
			fail("a block is not of one version, or of another place");
	return found;
}

static void complain(const struct op *op, uint64_t found)
{
	fprintf(stderr, "flush_model: block %llu is of version %llu; durable %llu, latest %llu%s\n",
		(unsigned long long)op->block, (unsigned long long)found,
		(unsigned long long)durable[op->block], (unsigned long long)latest[op->block],
		round_failed ? ", after a failed flush" : "");
	exit(EXIT_FAILURE);
}

static void reap_write(struct op *op)
{
	latest[op->block] = op->version;
	if (op->error) {
		if (strict || !(op->fua || errors) || op->error != EIO)
			fail("a write failed");
		/* With FUA it may be the one that tells of others. */
		round_failed |= op->fua;
		shaky[op->block] = 1;
		failures += op->fua;
		other_failures += !op->fua;
	} else if (op->fua) {
		durable[op->block] = op->version;
	}
}

static void reap_read(const struct op *op)
{
	uint64_t found;

	if (op->error && (!errors || op->error != EIO))
		fail("a read failed");
	other_failures += op->error != 0;
	if (op->error)
		return;
	found = version_read(op);
	if (found > latest[op->block] || found < durable[op->block] ||
	    (strict && found != latest[op->block]))
		complain(op, found);
}

static void reap(void)
{
	for (unsigned c = 0; c < connections; c++)
		for (unsigned i = 0; i < depth; i++) {
			struct op *op = &ops[c][i];

			if (!op->in_flight || !op->ended)
				continue;
			op->in_flight = false;
			busy[op->block] = 0;
			if (op->write)
				reap_write(op);
			else
				reap_read(op);
		}
}

static bool any_in_flight(void)
{
	for (unsigned c = 0; c < connections; c++)
		for (unsigned i = 0; i < depth; i++)
			if (ops[c][i].in_flight)
				return true;
	return false;
}

static int ended(void *opaque, int *error)
{
	struct op *op = opaque;

	op->ended = true;
	op->error = *error;
	return 1;
}

static void start(unsigned c, struct op *op)
{
	nbd_completion_callback done = { .callback = ended, .user_data = op };
	uint64_t block = next_random() % blocks;
	int64_t cookie;

	if (busy[block])
		return;
	busy[block] = 1;
	op->block = block;
	op->write = next_random() % 4 != 0;
	op->fua = op->write && next_random() % 16 == 0;
	op->in_flight = true;
	op->ended = false;
	if (op->write) {
		op->version = ++version;
		stamp(op);
		touched[touched_count++] = block;
		writes++;
		fua_writes += op->fua;
		cookie = nbd_aio_pwrite(nbd[c], op->data, BLOCK, block * BLOCK, done,
					op->fua ? LIBNBD_CMD_FLAG_FUA : 0);
	} else {
		reads++;
		cookie = nbd_aio_pread(nbd[c], op->data, BLOCK, block * BLOCK, done, 0);
	}
	if (cookie < 0)
		fail(nbd_get_error());
}

static void wait_for_events(void)
{
	struct pollfd fds[MAX_CONNECTIONS];

	for (unsigned c = 0; c < connections; c++) {
		unsigned direction = nbd_aio_get_direction(nbd[c]);

		fds[c].fd = nbd_aio_get_fd(nbd[c]);
		fds[c].events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				(direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
	}
	if (poll(fds, connections, 60000) == 0)
		fail("no reply within 60 s");
	for (unsigned c = 0; c < connections; c++)
		if ((fds[c].revents & (POLLIN | POLLHUP | POLLERR) &&
		     nbd_aio_notify_read(nbd[c]) < 0) ||
		    (!(fds[c].revents & POLLIN) && fds[c].revents & POLLOUT &&
		     nbd_aio_notify_write(nbd[c]) < 0))
			fail(nbd_get_error());
}

static void write_and_read(unsigned count)
{
	while (touched_count < count) {
		for (unsigned c = 0; c < connections && touched_count < count; c++)
			for (unsigned i = 0; i < depth && touched_count < count; i++)
				if (!ops[c][i].in_flight)
					start(c, &ops[c][i]);
		wait_for_events();
		reap();
	}
	while (any_in_flight()) {
		wait_for_events();
		reap();
	}
}

static void flush(void)
{
	flushes++;
	if (nbd_flush(nbd[next_random() % connections], 0) == 0)
		return;
	if (strict || nbd_get_errno() != EIO)
		fail(nbd_get_error());
	round_failed = true;
	failures++;
}

static void read_again(struct op *op, unsigned c)
{
	uint64_t found;

	while (nbd_pread(nbd[c], op->data, BLOCK, op->block * BLOCK, 0) < 0) {
		if (!errors || nbd_get_errno() != EIO)
			fail(nbd_get_error());
		other_failures++;
	}
	found = version_read(op);
	if (found > latest[op->block] || found < durable[op->block] ||
	    (!round_failed && !shaky[op->block] && found != latest[op->block]))
		complain(op, found);
	latest[op->block] = found;
	shaky[op->block] = 0;
}

static void run_round(void)
{
	static struct op op;

	touched_count = 0;
	round_failed = false;
	write_and_read(1 + (unsigned)(next_random() % ROUND_MAX));
	flush();
	for (unsigned i = 0; !round_failed && i < touched_count; i++)
		if (!shaky[touched[i]])
			durable[touched[i]] = latest[touched[i]];
	for (unsigned i = 0; i < touched_count; i++) {
		op.block = touched[i];
		if (round_failed || shaky[op.block] || i >= touched_count - touched_count % LOOK_BACK)
			read_again(&op, i % connections);
	}
}

/* With everything flushed well at last, every block is as it was left. */
static void check_all(void)
{
	static struct op op;

	touched_count = 0;
	while (nbd_flush(nbd[0], 0) < 0)
		if (strict || ++failures > 1000)
			fail(nbd_get_error());
	round_failed = true;	/* a reset before that flush: some blocks may be older */
	for (op.block = 0; op.block < blocks; op.block++)
		read_again(&op, 0);
}

static void connect_all(const char *uri)
{
	for (unsigned c = 0; c < connections; c++) {
		nbd[c] = nbd_create();
		if (!nbd[c] || nbd_connect_uri(nbd[c], uri) < 0)
			fail(nbd_get_error());
	}
	blocks = (uint64_t)nbd_get_size(nbd[0]) / BLOCK;
	durable = calloc(blocks, sizeof(*durable));
	latest = calloc(blocks, sizeof(*latest));
	busy = calloc(blocks, 1);
	shaky = calloc(blocks, 1);
	if (!durable || !latest || !busy || !shaky)
		fail("memory");
}

int main(int argc, char **argv)
{
	double seconds = 5, end;
	unsigned rounds = 0;
	int option;

	while ((option = getopt(argc, argv, "c:d:n:t:s:xe")) != -1)
		switch (option) {
		case 'c': connections = (unsigned)atoi(optarg); break;
		case 'd': depth = (unsigned)atoi(optarg); break;
		case 't': seconds = atof(optarg); break;
		case 's': rng = strtoull(optarg, NULL, 10) * 2 + 1; break;
		case 'n': rounds = (unsigned)atoi(optarg); break;
		case 'x': strict = true; break;
		case 'e': errors = true; break;
		default: return 2;
		}
	if (optind + 1 != argc || !connections || connections > MAX_CONNECTIONS || !depth ||
	    depth > MAX_DEPTH)
		return 2;
	connect_all(argv[optind]);
	for (end = now() + seconds; rounds ? rounds-- : now() < end; )
		run_round();
	check_all();
	printf("flush_model: %llu writes (%llu with FUA), %llu reads, %llu flushes, %llu of them or of FUA "
	       "failed, %llu others: no lie\n", (unsigned long long)writes, (unsigned long long)fua_writes,
	       (unsigned long long)reads, (unsigned long long)flushes, (unsigned long long)failures,
	       (unsigned long long)other_failures);
	for (unsigned c = 0; c < connections; c++) {
		nbd_shutdown(nbd[c], 0);
		nbd_close(nbd[c]);
	}
	return EXIT_SUCCESS;
}
