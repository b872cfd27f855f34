/*
 * nbd_model: random requests to an NBD export, checked against a model of it.
 *
 * Several connections, many requests in flight on each; no two that overlap are in
 * flight together, so at every moment the model knows each byte or knows that it
 * cannot know it (a trimmed one). Ends with a flush and a comparison of everything.
 *
 * With -k, connections are cut now and then with requests in flight, and made anew. Of what
 * was not answered, each byte is as it was before or as it was to be: when the server has had
 * time to settle it, that is checked, and the model goes on from what is there.
 *
 * Used by the interop tests; a libnbd client, not part of the gateway.
 */
#include <errno.h>
#include <getopt.h>
#include <libnbd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MAX_CONNECTIONS	16
#define MAX_DEPTH	256
#define MAX_DOUBTS	4096

/* A server may still be at work for a client that is gone: for so many seconds, or so many times as
 * long as what took longest so far for one that was there. */
#define SETTLE_SECONDS	2.0
#define SETTLE_TIMES	4

enum action { READ, WRITE, ZERO, ZERO_NO_HOLE, TRIM, CACHE, STATUS, FLUSH, ACTIONS };
static const char *const action_name[] = {
	"read", "write", "zero", "zero (no hole)", "trim", "cache", "block status", "flush",
};

struct op {
	enum action action;
	uint64_t offset;
	uint32_t length;
	uint32_t flags;
	bool in_flight, ended;
	double since;
	int error;
	uint8_t *buffer;
};

/* A request that was cut off: nobody else uses its range until it is settled. */
struct doubt {
	uint64_t offset;
	uint32_t length;
	uint8_t *intended;		/* NULL: trimmed, so anything */
	double settled;			/* when that may be taken for granted */
};

struct model {
	const char *uri;
	unsigned connections, depth;
	uint64_t operations;		/* to do, or 0: by time */
	double seconds, slowest;
	uint32_t grain, max_length;
	uint64_t seed, rng;
	uint64_t cut_every;		/* requests, on average; 0 = never */
	const char *image;
	uint64_t size;
	uint8_t *content;		/* what must be there */
	uint8_t *unknown;		/* 1: cannot be known */
	struct nbd_handle *nbd[MAX_CONNECTIONS];
	struct op ops[MAX_CONNECTIONS][MAX_DEPTH];
	struct doubt doubts[MAX_DOUBTS];
	unsigned doubt_count;
	uint64_t done[ACTIONS], cuts;
};

static void die(const char *what)
{
	fprintf(stderr, "nbd_model: %s: %s\n", what, nbd_get_error());
	exit(EXIT_FAILURE);
}

/* xorshift64*: repeatable from the seed, and fast enough to fill buffers. */
static uint64_t next_random(struct model *m)
{
	m->rng ^= m->rng >> 12;
	m->rng ^= m->rng << 25;
	m->rng ^= m->rng >> 27;
	return m->rng * UINT64_C(2685821657736338717);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct nbd_handle *connect_one(const struct model *m)
{
	struct nbd_handle *nbd = nbd_create();

	/* Who asks for block sizes has to keep to them. */
	if (!nbd || nbd_set_request_block_size(nbd, m->grain >= 512) < 0 ||
	    nbd_set_uri_allow_local_file(nbd, true) < 0 ||
	    nbd_add_meta_context(nbd, "base:allocation") < 0 || nbd_connect_uri(nbd, m->uri) < 0)
		die("connect");
	return nbd;
}

static void connect_all(struct model *m)
{
	for (unsigned i = 0; i < m->connections; i++)
		m->nbd[i] = connect_one(m);
	m->size = (uint64_t)nbd_get_size(m->nbd[0]);
	if (m->connections > 1 && nbd_can_multi_conn(m->nbd[0]) != 1)
		die("the export does not allow several connections");
}

/* The model starts from what is there. */
static void learn(struct model *m)
{
	const uint32_t piece = 1 << 20;

	m->content = malloc(m->size);
	m->unknown = calloc(1, m->size);
	if (!m->content || !m->unknown)
		die("memory");
	for (uint64_t at = 0; at < m->size; at += piece) {
		uint64_t n = m->size - at < piece ? m->size - at : piece;

		if (nbd_pread(m->nbd[0], m->content + at, n, at, 0) < 0)
			die("read");
	}
}

static bool overlap(uint64_t offset, uint32_t length, const struct op *op)
{
	return offset < op->offset + op->length && op->offset < offset + length;
}

static bool overlaps_another(const struct model *m, const struct op *op)
{
	for (unsigned i = 0; i < m->doubt_count; i++)
		if (overlap(m->doubts[i].offset, m->doubts[i].length, op))
			return true;
	for (unsigned c = 0; c < m->connections; c++)
		for (unsigned i = 0; i < m->depth; i++) {
			const struct op *other = &m->ops[c][i];

			if (other->in_flight && other != op &&
			    overlap(other->offset, other->length, op))
				return true;
		}
	return false;
}

static enum action pick_action(struct model *m)
{
	static const uint8_t weight[ACTIONS] = {
		[READ] = 40, [WRITE] = 40, [ZERO] = 6, [ZERO_NO_HOLE] = 3, [TRIM] = 5,
		[CACHE] = 2, [STATUS] = 3, [FLUSH] = 1,
	};
	unsigned dice = (unsigned)(next_random(m) % 100);
	unsigned action = 0;

	while (dice >= weight[action])
		dice -= weight[action++];
	return (enum action)action;
}

/* Only what the server says it can do. */
static bool allowed(struct nbd_handle *nbd, enum action action)
{
	switch (action) {
	case READ: case WRITE: return true;
	case ZERO: case ZERO_NO_HOLE: return nbd_can_zero(nbd) == 1;
	case TRIM: return nbd_can_trim(nbd) == 1;
	case CACHE: return nbd_can_cache(nbd) == 1;
	case STATUS: return nbd_can_meta_context(nbd, "base:allocation") == 1;
	case FLUSH: return nbd_can_flush(nbd) == 1;
	case ACTIONS: break;
	}
	return false;
}

static bool pick(struct model *m, struct nbd_handle *nbd, struct op *op)
{
	uint64_t grains = m->size / m->grain;
	uint64_t length = (1 + next_random(m) % (m->max_length / m->grain)) * m->grain;

	/* Mostly short ones, as real disks see. */
	if (next_random(m) % 4)
		length = (1 + length / m->grain % 16) * m->grain;
	op->action = pick_action(m);
	op->offset = next_random(m) % grains * m->grain;
	if (length > m->size - op->offset)
		length = m->size - op->offset;
	op->length = op->action == FLUSH ? 0 : (uint32_t)length;
	op->flags = 0;
	if (op->action != READ && op->action != CACHE && op->action != STATUS &&
	    op->action != FLUSH && nbd_can_fua(nbd) == 1 && next_random(m) % 8 == 0)
		op->flags |= LIBNBD_CMD_FLAG_FUA;
	if (op->action == ZERO_NO_HOLE)
		op->flags |= LIBNBD_CMD_FLAG_NO_HOLE;
	return allowed(nbd, op->action) && !overlaps_another(m, op);
}

static int ended(void *opaque, int *error)
{
	struct op *op = opaque;

	op->ended = true;
	op->error = *error;
	return 1;
}

static int ignore_extents(void *opaque, const char *context, uint64_t offset, uint32_t *entries,
			  size_t count, int *error)
{
	(void)opaque, (void)context, (void)offset, (void)entries, (void)error;
	return count >= 2 ? 0 : -1;
}

static void submit(struct model *m, struct nbd_handle *nbd, struct op *op)
{
	nbd_completion_callback done = { .callback = ended, .user_data = op };
	nbd_extent_callback extents = { .callback = ignore_extents };
	int64_t cookie = -1;

	op->in_flight = true;
	op->ended = false;
	op->since = now();
	switch (op->action) {
	case READ:
		cookie = nbd_aio_pread(nbd, op->buffer, op->length, op->offset, done, 0);
		break;
	case WRITE:
		for (uint32_t i = 0; i < op->length; i += 8) {
			uint64_t word = next_random(m);

			memcpy(op->buffer + i, &word, op->length - i < 8 ? op->length - i : 8);
		}
		cookie = nbd_aio_pwrite(nbd, op->buffer, op->length, op->offset, done, op->flags);
		break;
	case ZERO:
	case ZERO_NO_HOLE:
		cookie = nbd_aio_zero(nbd, op->length, op->offset, done, op->flags);
		break;
	case TRIM:
		cookie = nbd_aio_trim(nbd, op->length, op->offset, done, op->flags);
		break;
	case CACHE:
		cookie = nbd_aio_cache(nbd, op->length, op->offset, done, 0);
		break;
	case STATUS:
		cookie = nbd_aio_block_status(nbd, op->length, op->offset, extents, done, 0);
		break;
	case FLUSH:
		cookie = nbd_aio_flush(nbd, done, 0);
		break;
	case ACTIONS:
		abort();
	}
	if (cookie < 0)
		die(action_name[op->action]);
}

static void check(const struct model *m, const uint8_t *got, uint64_t offset, uint64_t length)
{
	for (uint64_t i = 0; i < length; i++) {
		if (m->unknown[offset + i] || got[i] == m->content[offset + i])
			continue;
		fprintf(stderr, "nbd_model: byte %llu is 0x%02x, must be 0x%02x (seed %llu)\n",
			(unsigned long long)(offset + i), got[i], m->content[offset + i],
			(unsigned long long)m->seed);
		exit(EXIT_FAILURE);
	}
}

static void note_time(struct model *m, const struct op *op)
{
	double took = now() - op->since;

	if (took > m->slowest)
		m->slowest = took;
}

static void reap(struct model *m, struct op *op)
{
	op->in_flight = false;
	note_time(m, op);
	m->done[op->action]++;
	if (op->error) {
		fprintf(stderr, "nbd_model: %s of %u bytes at %llu failed: %s\n",
			action_name[op->action], op->length, (unsigned long long)op->offset,
			strerror(op->error));
		exit(EXIT_FAILURE);
	}
	switch (op->action) {
	case READ:
		check(m, op->buffer, op->offset, op->length);
		break;
	case WRITE:
		memcpy(m->content + op->offset, op->buffer, op->length);
		memset(m->unknown + op->offset, 0, op->length);
		break;
	case ZERO:
	case ZERO_NO_HOLE:
		memset(m->content + op->offset, 0, op->length);
		memset(m->unknown + op->offset, 0, op->length);
		break;
	case TRIM:
		memset(m->unknown + op->offset, 1, op->length);
		break;
	case CACHE: case STATUS: case FLUSH: case ACTIONS:
		break;
	}
}

static void wait_for_events(struct model *m)
{
	struct pollfd fds[MAX_CONNECTIONS];

	for (unsigned c = 0; c < m->connections; c++) {
		unsigned direction = nbd_aio_get_direction(m->nbd[c]);

		fds[c].fd = nbd_aio_get_fd(m->nbd[c]);
		fds[c].events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				(direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
	}
	if (poll(fds, m->connections, 60000) == 0) {
		fprintf(stderr, "nbd_model: no reply within 60 s\n");
		exit(EXIT_FAILURE);
	}
	for (unsigned c = 0; c < m->connections; c++) {
		if (fds[c].revents & (POLLIN | POLLHUP | POLLERR)) {
			if (nbd_aio_notify_read(m->nbd[c]) < 0)
				die("connection");
		} else if (fds[c].revents & POLLOUT) {
			if (nbd_aio_notify_write(m->nbd[c]) < 0)
				die("connection");
		}
	}
}

static bool reap_all(struct model *m)
{
	bool any = false;

	for (unsigned c = 0; c < m->connections; c++)
		for (unsigned i = 0; i < m->depth; i++) {
			struct op *op = &m->ops[c][i];

			if (op->in_flight && op->ended)
				reap(m, op);
			any |= op->in_flight;
		}
	return any;
}

static double settled_at(const struct model *m)
{
	double seconds = SETTLE_TIMES * m->slowest;

	return now() + (seconds > SETTLE_SECONDS ? seconds : SETTLE_SECONDS);
}

/* A request on a connection that is no more. */
static void give_up(struct model *m, struct op *op)
{
	struct doubt *doubt = &m->doubts[m->doubt_count];

	op->in_flight = false;
	if (op->action != WRITE && op->action != ZERO && op->action != ZERO_NO_HOLE &&
	    op->action != TRIM)
		return;
	note_time(m, op);
	*doubt = (struct doubt){
		.offset = op->offset, .length = op->length, .settled = settled_at(m),
	};
	if (op->action == WRITE) {
		doubt->intended = op->buffer;
		op->buffer = malloc(m->max_length + 8);
	} else if (op->action != TRIM) {
		doubt->intended = calloc(1, op->length);
	}
	if (!op->buffer || (op->action != TRIM && !doubt->intended))
		die("memory");
	m->doubt_count++;
}

/* Cut a connection in the midst of whatever it is doing, and make it anew. */
static void cut(struct model *m, unsigned c)
{
	if (m->doubt_count + m->depth > MAX_DOUBTS)
		return;
	/* An end in good order to the server's eyes, or (with replies unread) a reset. */
	if (next_random(m) % 2)
		shutdown(nbd_aio_get_fd(m->nbd[c]), SHUT_RDWR);
	nbd_close(m->nbd[c]);
	for (unsigned i = 0; i < m->depth; i++) {
		struct op *op = &m->ops[c][i];

		if (op->in_flight && op->ended)
			reap(m, op);
		else if (op->in_flight)
			give_up(m, op);
	}
	m->nbd[c] = connect_one(m);
	m->cuts++;
}

static void check_doubt(struct model *m, const struct doubt *doubt, const uint8_t *got)
{
	for (uint32_t i = 0; i < doubt->length; i++) {
		uint64_t at = doubt->offset + i;

		if (doubt->intended && got[i] != doubt->intended[i])
			check(m, got + i, at, 1);
		m->content[at] = got[i];
		m->unknown[at] = !doubt->intended;
	}
}

/* "all": wait for those that are not settled yet, too. */
static void settle_doubts(struct model *m, bool all)
{
	uint8_t *got = malloc(m->max_length);
	unsigned left = 0;

	for (unsigned i = 0; i < m->doubt_count; i++) {
		struct doubt doubt = m->doubts[i];

		if (all && doubt.settled > now())
			poll(NULL, 0, (int)((doubt.settled - now()) * 1000) + 1);
		if (doubt.settled > now()) {
			m->doubts[left++] = doubt;
			continue;
		}
		if (!got || nbd_pread(m->nbd[0], got, doubt.length, doubt.offset, 0) < 0)
			die("read");
		check_doubt(m, &doubt, got);
		free(doubt.intended);
	}
	m->doubt_count = left;
	free(got);
}

static uint64_t total(const struct model *m)
{
	uint64_t sum = 0;

	for (unsigned a = 0; a < ACTIONS; a++)
		sum += m->done[a];
	return sum;
}

static void run(struct model *m)
{
	double end = now() + m->seconds;

	while (m->operations ? total(m) < m->operations : now() < end) {
		for (unsigned c = 0; c < m->connections; c++)
			for (unsigned i = 0; i < m->depth; i++) {
				struct op *op = &m->ops[c][i];

				if (!op->in_flight && pick(m, m->nbd[c], op))
					submit(m, m->nbd[c], op);
			}
		wait_for_events(m);
		reap_all(m);
		/* A turn of this loop ends about as many requests as there are connections. */
		if (m->cut_every && next_random(m) % m->cut_every < m->connections)
			cut(m, (unsigned)(next_random(m) % m->connections));
		settle_doubts(m, false);
	}
	while (reap_all(m))
		wait_for_events(m);
	settle_doubts(m, true);
}

static void compare_all(struct model *m)
{
	const uint32_t piece = 1 << 20;
	uint8_t *got = malloc(piece);
	FILE *image = m->image ? fopen(m->image, "wb") : NULL;

	if (nbd_can_flush(m->nbd[0]) == 1 && nbd_flush(m->nbd[0], 0) < 0)
		die("flush");
	for (uint64_t at = 0; at < m->size; at += piece) {
		uint64_t n = m->size - at < piece ? m->size - at : piece;
		unsigned c = (unsigned)(at / piece % m->connections);

		if (!got || nbd_pread(m->nbd[c], got, n, at, 0) < 0)
			die("read");
		check(m, got, at, n);
		if (m->image && (!image || fwrite(got, 1, n, image) != n))
			die("write the image");
	}
	if (image && fclose(image) != 0)
		die("write the image");
	free(got);
}

static void usage(void)
{
	fprintf(stderr, "usage: nbd_model [-c connections] [-d depth] [-n operations | -t seconds] "
		"[-s seed] [-g grain] [-l max-length] [-k cut-every] [-o image] URI\n");
	exit(2);
}

static void parse(struct model *m, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "c:d:n:t:s:g:l:k:o:")) != -1)
		switch (option) {
		case 'c': m->connections = (unsigned)atoi(optarg); break;
		case 'd': m->depth = (unsigned)atoi(optarg); break;
		case 'n': m->operations = strtoull(optarg, NULL, 10); break;
		case 't': m->seconds = atof(optarg); break;
		case 's': m->seed = strtoull(optarg, NULL, 10); break;
		case 'g': m->grain = (uint32_t)atoi(optarg); break;
		case 'l': m->max_length = (uint32_t)atoi(optarg); break;
		case 'k': m->cut_every = strtoull(optarg, NULL, 10); break;
		case 'o': m->image = optarg; break;
		default: usage();
		}
	if (optind + 1 != argc || !m->connections || m->connections > MAX_CONNECTIONS ||
	    !m->depth || m->depth > MAX_DEPTH || !m->grain || m->max_length < m->grain)
		usage();
	m->uri = argv[optind];
	m->rng = m->seed * 2 + 1;
}

int main(int argc, char **argv)
{
	static struct model m = {
		.connections = 1, .depth = 16, .operations = 0, .seconds = 5, .seed = 1,
		.grain = 512, .max_length = 256 << 10,
	};

	parse(&m, argc, argv);
	connect_all(&m);
	learn(&m);
	for (unsigned c = 0; c < m.connections; c++)
		for (unsigned i = 0; i < m.depth; i++)
			if (!(m.ops[c][i].buffer = malloc(m.max_length + 8)))
				die("memory");
	run(&m);
	compare_all(&m);
	for (unsigned c = 0; c < m.connections; c++) {
		nbd_shutdown(m.nbd[c], 0);
		nbd_close(m.nbd[c]);
	}
	printf("nbd_model: %llu requests over %u connections, %u deep, seed %llu: no difference (",
	       (unsigned long long)total(&m), m.connections, m.depth, (unsigned long long)m.seed);
	for (unsigned a = 0; a < ACTIONS; a++)
		printf("%s%s %llu", a ? ", " : "", action_name[a], (unsigned long long)m.done[a]);
	if (m.cuts)
		printf(", cut %llu times", (unsigned long long)m.cuts);
	printf(")\n");
	for (unsigned c = 0; c < m.connections; c++)
		for (unsigned i = 0; i < m.depth; i++)
			free(m.ops[c][i].buffer);
	free(m.content);
	free(m.unknown);
	return EXIT_SUCCESS;
}
