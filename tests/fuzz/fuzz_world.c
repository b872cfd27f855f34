/* See fuzz_world.h. */
#include "fuzz_world.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "offload.h"

struct stream *(*fuzz_connected)(void);

static time_t skipped;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **found)
{
	static struct sockaddr_in discard = { .sin_family = AF_INET };
	struct addrinfo *a = calloc(1, sizeof(*a));

	(void)node;
	(void)service;
	(void)hints;
	if (!a)
		return EAI_MEMORY;
	discard.sin_port = htons(9);
	discard.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a->ai_family = AF_INET;
	a->ai_socktype = SOCK_DGRAM;
	a->ai_addr = (struct sockaddr *)&discard;
	a->ai_addrlen = sizeof(discard);
	*found = a;
	return 0;
}

void freeaddrinfo(struct addrinfo *a)
{
	free(a);
}

static void job_done(struct loop_msg *msg)
{
	struct offload_job *job = container_of(msg, struct offload_job, msg);

	job->done(job);
}

void offload_run(struct offload *offload, struct loop *loop, struct offload_job *job)
{
	(void)offload;
	job->work(job);
	job->msg.run = job_done;
	loop_post(loop, &job->msg);
}

struct stream *stream_socket(int fd)
{
	struct stream *stream = fuzz_connected();

	if (stream)
		close(fd);
	else
		errno = ECONNREFUSED;
	return stream;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	long rc = syscall(SYS_clock_gettime, clock, now);

	/* Only what libev takes for its timers: a fuzzer's own time goes on as ever. */
	if (rc == 0 && clock == CLOCK_MONOTONIC)
		now->tv_sec += skipped;
	return (int)rc;
}

void fuzz_skip_time(unsigned seconds)
{
	skipped += (time_t)seconds;
}
