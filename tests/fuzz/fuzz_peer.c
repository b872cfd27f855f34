/* See fuzz_peer.h. */
#include "fuzz_peer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"

#define QUIET_TURNS	8	/* without a call of the stream: nothing will come of itself */
#define TURNS_MAX	100000

static struct fuzz_peer *peer_of(struct stream *s)
{
	return container_of(s, struct fuzz_peer, stream);
}

/* poll() shows the descriptor as readable while its counter is not zero, and always as writable. */
static void set_readable(struct fuzz_peer *p, bool readable)
{
	uint64_t count = 1;
	ssize_t n = readable ? write(p->stream.fd, &count, sizeof(count))
			     : read(p->stream.fd, &count, sizeof(count));

	assert(n == (ssize_t)sizeof(count) || (n < 0 && errno == EAGAIN));
}

static ssize_t peer_recv(struct stream *s, const struct iovec *iov, int count)
{
	struct fuzz_peer *p = peer_of(s);
	size_t room = p->piece ? p->piece : SIZE_MAX, done = 0;

	p->calls++;
	for (int i = 0; i < count && done < room && p->left; i++) {
		size_t n = iov[i].iov_len < p->left ? iov[i].iov_len : p->left;

		if (n > room - done)
			n = room - done;
		if (n)
			memcpy(iov[i].iov_base, p->bytes, n);
		p->bytes += n;
		p->left -= n;
		done += n;
	}
	if (done || p->ended)
		return (ssize_t)done;
	set_readable(p, false);
	errno = EAGAIN;
	return -1;
}

static ssize_t peer_send(struct stream *s, const struct iovec *iov, int count)
{
	struct fuzz_peer *p = peer_of(s);
	size_t done = 0;

	p->calls++;
	for (int i = 0; i < count; i++) {
		if (p->heard)
			p->heard(p, iov[i].iov_base, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	return (ssize_t)done;
}

static bool peer_pending(struct stream *s)
{
	(void)s;
	return false;
}

static void peer_shut_writes(struct stream *s)
{
	peer_of(s)->calls++;
}

static void peer_close(struct stream *s)
{
	assert(!peer_of(s)->closed);
	peer_of(s)->closed = true;
	close(s->fd);
}

static const struct stream_ops peer_ops = {
	.name = "fuzz", .recv = peer_recv, .send = peer_send, .pending = peer_pending,
	.shut_writes = peer_shut_writes, .close = peer_close,
};

static void no_log(enum log_level level, const char *line)
{
	(void)level;
	assert(strlen(line) < 4096);
}

struct loop *fuzz_loop(void)
{
	static struct loop *loop;

	if (!loop) {
		log_set_sink(no_log);
		log_set_areas(log_areas("all", 3));
		loop = loop_new();
	}
	if (!loop)
		abort();
	return loop;
}

void fuzz_peer_init(struct fuzz_peer *p, struct loop *loop)
{
	memset(p, 0, sizeof(*p));
	p->loop = loop;
	p->stream.ops = &peer_ops;
	p->stream.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->stream.fd < 0)
		abort();
}

void fuzz_peer_run(struct fuzz_peer *p)
{
	unsigned turns = 0;

	for (unsigned quiet = 0; quiet < QUIET_TURNS; quiet++) {
		uint64_t before = p->calls;

		ev_run(p->loop->ev, EVRUN_NOWAIT);
		if (p->calls != before)
			quiet = 0;
		assert(++turns < TURNS_MAX);
	}
}

void fuzz_peer_say(struct fuzz_peer *p, const uint8_t *bytes, size_t len)
{
	if (p->closed || !len)
		return;
	p->bytes = bytes;
	p->left = len;
	set_readable(p, true);
	fuzz_peer_run(p);
}

void fuzz_peer_hang_up(struct fuzz_peer *p)
{
	p->ended = true;
	if (!p->closed)
		set_readable(p, true);
	fuzz_peer_run(p);
}

void fuzz_peer_end(struct fuzz_peer *p)
{
	fuzz_peer_hang_up(p);
	assert(p->closed);
}
