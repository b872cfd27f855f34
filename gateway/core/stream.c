/*
 * The plain stream: a connected socket of any family, non-blocking.
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

static ssize_t socket_recv(struct stream *s, const struct iovec *iov, int count)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
	ssize_t n;

	do
		n = recvmsg(s->fd, &msg, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t socket_send(struct stream *s, const struct iovec *iov, int count)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
	ssize_t n;

	do
		n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
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
	int flags = fcntl(fd, F_GETFL);
	struct stream *s;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->ops = &socket_ops;
	s->fd = fd;
	/* Replies are gathered before they are sent, so there is nothing for Nagle's algorithm
	 * to gain. A socket that is not TCP refuses the option, and does not need it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return s;
}
