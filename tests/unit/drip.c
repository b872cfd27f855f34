/* A stream that drips, delays, hoards and cuts. */
#include "drip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "list.h"

static bool says_again(struct drip *d)
{
	return d->again_every && ++d->calls % d->again_every == 0;
}

static size_t scatter(const struct iovec *iov, int count, const uint8_t *p, size_t n)
{
	size_t done = 0;

	for (int i = 0; i < count && done < n; i++) {
		size_t step = n - done < iov[i].iov_len ? n - done : iov[i].iov_len;

		memcpy(iov[i].iov_base, p + done, step);
		done += step;
	}
	return done;
}

static ssize_t drip_recv(struct stream *s, const struct iovec *iov, int count)
{
	struct drip *d = container_of(s, struct drip, stream);
	uint8_t piece[4096];
	size_t max = d->recv_max && d->recv_max < sizeof(piece) ? d->recv_max : sizeof(piece);
	size_t room = 0;
	ssize_t n;

	if (d->held_off == d->held_len && says_again(d)) {
		errno = EAGAIN;
		return -1;
	}
	for (int i = 0; i < count; i++)
		room += iov[i].iov_len;
	if (max > room)
		max = room;
	if (!d->hoard) {
		n = recv(s->fd, piece, max, 0);
		return n <= 0 ? n : (ssize_t)scatter(iov, count, piece, (size_t)n);
	}
	if (d->held_off == d->held_len) {
		n = recv(s->fd, d->held, sizeof(d->held), 0);
		if (n <= 0)
			return n;
		d->held_off = 0;
		d->held_len = (size_t)n;
	}
	if (max > d->held_len - d->held_off)
		max = d->held_len - d->held_off;
	d->held_off += scatter(iov, count, d->held + d->held_off, max);
	return (ssize_t)max;
}

static ssize_t drip_send(struct stream *s, const struct iovec *iov, int count)
{
	struct drip *d = container_of(s, struct drip, stream);
	ssize_t total = 0;

	d->sends++;
	if (says_again(d)) {
		errno = EAGAIN;
		return -1;
	}
	if (d->send_cut && d->sent >= d->send_cut) {
		errno = EPIPE;
		return -1;
	}
	for (int i = 0; i < count; i++) {
		size_t len = iov[i].iov_len;
		ssize_t n;

		if (d->send_max && len > d->send_max - (size_t)total)
			len = d->send_max - (size_t)total;
		n = len ? send(s->fd, iov[i].iov_base, len, MSG_NOSIGNAL) : 0;
		if (n < 0)
			return total ? total : -1;
		total += n;
		d->sent += (size_t)n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	return total;
}

static bool drip_pending(struct stream *s)
{
	const struct drip *d = container_of(s, struct drip, stream);

	return d->held_off < d->held_len;
}

static void drip_shut_writes(struct stream *s)
{
	shutdown(s->fd, SHUT_WR);
}

static void drip_close(struct stream *s)
{
	struct drip *d = container_of(s, struct drip, stream);

	close(s->fd);
	*d->closed = true;
	free(d);
}

static const struct stream_ops drip_ops = {
	.name = "drip",
	.recv = drip_recv,
	.send = drip_send,
	.pending = drip_pending,
	.shut_writes = drip_shut_writes,
	.close = drip_close,
};

struct drip *drip_new(int fd, bool *closed)
{
	struct drip *d = calloc(1, sizeof(*d));

	d->stream = (struct stream){ .ops = &drip_ops, .fd = fd, .write_fd = fd };
	d->closed = closed;
	return d;
}
