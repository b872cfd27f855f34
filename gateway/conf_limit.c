/* The limits and time-outs of what we serve, and how each is read; see conf_limit.h. */
#include "config.h"

#include <assert.h>
#include <stdio.h>

#include "conf_limit.h"
#include "device.h"
#include "option_value.h"

#define MAX_ASYNC	65535	/* Parameter3 of the Async Message has 16 bits (RFC 7143 §11.9.1) */
#define MAX_COUNT	4096
#define MAX_CONNECTIONS	65535	/* more than one process has descriptors for, as a rule */
/* One read or write is let in whatever its size: below a burst the limit would be no more than
 * one at a time. Above, the peers that may connect are the limit. */
#define MIN_SIZE	(UINT64_C(1) << 20)
#define MAX_SIZE	(UINT64_C(1) << 30)

enum kind { KIND_SECONDS, KIND_COUNT, KIND_SIZE };

/* How the value of each is read, beside the row that users see. */
struct reading {
	enum kind kind;
	size_t member;			/* in struct conf: double, unsigned or size_t */
	unsigned least, most;		/* but for KIND_SIZE */
};

#define MEMBER(m)	offsetof(struct conf, m)

#define LIMITS(X) \
	X("handshake-timeout", "SECONDS", "for NBD clients that do not get to the point (10; 0: none)", \
	  { KIND_SECONDS, MEMBER(nbd_limits.handshake_timeout), 0, OPTION_VALUE_MAX_SECONDS }) \
	X("nbd-max-connections", "N", "NBD clients at a time (0: as many as there are descriptors)", \
	  { KIND_COUNT, MEMBER(nbd_limits.max_connections), 0, MAX_CONNECTIONS }) \
	X("nbd-max-requests", "N", "in flight per NBD connection (128)", \
	  { KIND_COUNT, MEMBER(nbd_limits.max_requests), 1, MAX_COUNT }) \
	X("nbd-max-bytes", "SIZE", "... and their data (64M)", \
	  { .kind = KIND_SIZE, .member = MEMBER(nbd_limits.max_bytes) }) \
	X("target-login-timeout", "SECONDS", "for initiators to log in (15; 0: none)", \
	  { KIND_SECONDS, MEMBER(target_limits.login_timeout), 0, OPTION_VALUE_MAX_SECONDS }) \
	X("target-logout-timeout", "SECONDS", "... and to log out, when asked to (3)", \
	  { KIND_SECONDS, MEMBER(target_limits.logout_timeout), 1, MAX_ASYNC }) \
	X("target-nop-interval", "SECONDS", "of silence until a NOP-In asks (15; 0: never)", \
	  { KIND_SECONDS, MEMBER(target_limits.nop_interval), 0, OPTION_VALUE_MAX_SECONDS }) \
	X("target-nop-timeout", "SECONDS", "for the answer to it (60)", \
	  { KIND_SECONDS, MEMBER(target_limits.nop_timeout), 1, OPTION_VALUE_MAX_SECONDS }) \
	X("target-queue-depth", "N", "commands in flight per iSCSI session (128)", \
	  { KIND_COUNT, MEMBER(target_limits.queue_depth), 1, MAX_COUNT }) \
	X("target-max-bytes", "SIZE", "... and their data (64M)", \
	  { .kind = KIND_SIZE, .member = MEMBER(target_limits.max_bytes) })

#define SEEN(name, argument, help, ...)	{ name, argument, help },
static const struct conf_limit limits[] = { LIMITS(SEEN) };
#define READ(name, argument, help, ...)	__VA_ARGS__,
static const struct reading readings[] = { LIMITS(READ) };

#define COUNT	(sizeof(limits) / sizeof(limits[0]))

const struct conf_limit *conf_limits(size_t *count)
{
	*count = COUNT;
	return limits;
}

static const struct reading *reading_of(const struct conf_limit *limit)
{
	assert(limit >= limits && limit < limits + COUNT);
	return &readings[limit - limits];
}

static bool set_size(size_t *bytes, const char *text, char *why, size_t size)
{
	uint64_t number;

	if (!device_size_parse(text, &number) || number < MIN_SIZE || number > MAX_SIZE) {
		snprintf(why, size, "not a size from %uM to %uG (for example 64M)",
			 (unsigned)(MIN_SIZE >> 20), (unsigned)(MAX_SIZE >> 30));
		return false;
	}
	*bytes = (size_t)number;
	return true;
}

bool conf_limit_set(struct conf *conf, const struct conf_limit *limit, const char *text, char *why,
		    size_t size)
{
	const struct reading *reading = reading_of(limit);
	void *member = (char *)conf + reading->member;

	switch (reading->kind) {
	case KIND_SECONDS:
		return option_value_seconds(text, reading->least, reading->most, member, why, size);
	case KIND_COUNT:
		return option_value_number(text, reading->least, reading->most, member, why, size);
	case KIND_SIZE:
		return set_size(member, text, why, size);
	}
	return false;
}
