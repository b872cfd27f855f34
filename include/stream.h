/*
 * A stream of bytes to one peer, non-blocking: a plain socket, TLS over one, or a
 * test's own that drips, delays and cuts. The only thing a conn knows of the
 * network.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stream;

struct stream_ops {
	const char *name;
	/* > 0 bytes, 0 at the end of the stream, or -1 with errno (EAGAIN: later). */
	ssize_t (*recv)(struct stream *, const struct iovec *iov, int count);
	ssize_t (*send)(struct stream *, const struct iovec *iov, int count);
	/* Has it received bytes that poll() on fd does not show? */
	bool (*pending)(struct stream *);
	/* Say that no more will be sent (TLS close_notify, shutdown). Best effort, and harmless
	 * a second time. */
	void (*shut_writes)(struct stream *);
	void (*close)(struct stream *);		/* also frees it and closes fd */
};

struct stream {
	const struct stream_ops *ops;
	int fd;			/* to poll for receiving */
	int write_fd;		/* ... and for sending: mostly the same */
	const char *why;	/* after recv or send failed: more than errno tells, or NULL */
	bool unsent;		/* it has bytes of its own to send (a TLS handshake): call send(), with
				 * nothing if need be, when write_fd is ready */
};

/* A stream on a connected socket, which it owns and makes non-blocking. NULL with errno (fd stays
 * the caller's). */
struct stream *stream_socket(int fd);

/* A stream on two pipes (or sockets, or one socket twice), which it owns and makes
 * non-blocking. NULL with errno (the descriptors stay the caller's). */
struct stream *stream_pipes(int in, int out);

#endif
