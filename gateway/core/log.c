/*
 * Log lines and tracing: formatting, cleaning and the one place where a line leaves.
 *
 * Called by everything. The sink and the flags are process-wide.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "utf8.h"

#define LINE_MAX_LEN	1024

#define LOG_AREA_DEFINE(name, flag) int flag;
LOG_AREAS(LOG_AREA_DEFINE)
#undef LOG_AREA_DEFINE

struct log_area {
	const char *name;
	int *flag;
};

#define LOG_AREA_ROW(name, flag) { name, &flag },
static const struct log_area areas[] = { LOG_AREAS(LOG_AREA_ROW) };
#undef LOG_AREA_ROW

/* One write() per line, so that lines of several threads do not mix. */
static void to_stderr(enum log_level level, const char *line)
{
	static const char *const prefix[] = {
		[LOG_LEVEL_ERROR] = "error: ",
		[LOG_LEVEL_WARNING] = "warning: ",
		[LOG_LEVEL_INFO] = "",
		[LOG_LEVEL_TRACE] = "trace: ",
	};
	char out[LINE_MAX_LEN + 16];
	int len = snprintf(out, sizeof(out), "%s%s\n", prefix[level], line);

	if (write(STDERR_FILENO, out, (size_t)len) < 0)
		return;		/* nowhere is left to say so */
}

static log_sink *current_sink = to_stderr;

void log_set_sink(log_sink *sink)
{
	current_sink = sink ? sink : to_stderr;
}

static bool matches(const char *area, const char *name, size_t len)
{
	if (len == 3 && memcmp(name, "all", 3) == 0)
		return true;
	return strncmp(area, name, len) == 0 && (area[len] == '\0' || area[len] == '.');
}

unsigned log_areas(const char *name, size_t len)
{
	unsigned found = 0;

	if (len == 0 || memchr(name, '\0', len))
		return 0;
	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++)
		if (matches(areas[i].name, name, len))
			found |= 1u << i;
	return found;
}

void log_set_areas(unsigned set)
{
	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++)
		__atomic_store_n(areas[i].flag, (set >> i) & 1, __ATOMIC_RELAXED);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(line, sizeof(line), fmt, args) < 0)
		line[0] = '\0';
	va_end(args);

	/* A peer's text must not move the cursor of whoever reads the log, nor forge a line. */
	utf8_clean(line);
	current_sink(level, line);
	errno = saved;
}

bool log_allowed(struct log_limit *limit, double now, unsigned burst, double window)
{
	if (limit->since == 0 || now - limit->since >= window) {
		limit->since = now;
		limit->passed = 0;
	}
	if (limit->passed >= burst) {
		limit->held++;
		return false;
	}
	limit->passed++;
	return true;
}
