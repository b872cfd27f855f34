/*
 * The plain streams: a connected socket of any family, or a pair of pipes; non-blocking.
 *
 * Called by conn and by the TLS stream. Owns its descriptor.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static bool make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* The kernel spares itself the copies of msghdr and iovec where there is but one slice. */
static ssize_t socket_recv(struct stream *s, const struct iovec *iov, int count)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
	ssize_t n;

	do
		n = count == 1 ? recv(s->fd, iov->iov_base, iov->iov_len, 0)
			       : recvmsg(s->fd, &msg, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t socket_send(struct stream *s, const struct iovec *iov, int count)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
	ssize_t n;

	do
		n = count == 1 ? send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
			       : sendmsg(s->fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

static bool socket_pending(struct stream *s)
{
	(void)s;
	return false;
}

static void socket_shut_writes(struct stream *s)
{
	shutdown(s->fd, SHUT_WR);
}

static void socket_close(struct stream *s)
{
	close(s->fd);
	free(s);
}

static const struct stream_ops socket_ops = {
	.name = "socket",
	.recv = socket_recv,
	.send = socket_send,
	.pending = socket_pending,
	.shut_writes = socket_shut_writes,
	.close = socket_close,
};

struct stream *stream_socket(int fd)
{
	static const int on = 1;
	struct stream *s;

	if (!make_nonblocking(fd))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->ops = &socket_ops;
	s->fd = s->write_fd = fd;
	/* Replies are gathered before they are sent, so there is nothing for Nagle's algorithm
	 * to gain. A socket that is not TCP refuses the option, and does not need it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return s;
}

static ssize_t pipes_recv(struct stream *s, const struct iovec *iov, int count)
{
	ssize_t n;

	do
		n = readv(s->fd, iov, count);
	while (n < 0 && errno == EINTR);
	return n;
}

/* SIGPIPE is the program's to ignore: writev(2) has no flag for that. */
static ssize_t pipes_send(struct stream *s, const struct iovec *iov, int count)
{
	ssize_t n;

	do
		n = writev(s->write_fd, iov, count);
	while (n < 0 && errno == EINTR);
	return n;
}

static void pipes_shut_writes(struct stream *s)
{
	if (s->write_fd >= 0)
		close(s->write_fd);
	s->write_fd = -1;
}

static void pipes_close(struct stream *s)
{
	pipes_shut_writes(s);
	close(s->fd);
	free(s);
}

static const struct stream_ops pipes_ops = {
	.name = "pipes",
	.recv = pipes_recv,
	.send = pipes_send,
	.pending = socket_pending,
	.shut_writes = pipes_shut_writes,
	.close = pipes_close,
};

struct stream *stream_pipes(int in, int out)
{
	struct stream *s;

	if (!make_nonblocking(in) || !make_nonblocking(out))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->ops = &pipes_ops;
	s->fd = in;
	s->write_fd = out;
	return s;
}
