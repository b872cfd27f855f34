/*
 * Log lines and per-area tracing.
 *
 * The sink and the trace flags are the only process-wide state of the core. The sink
 * is set before the first worker starts; the flags may change at any time.
 * A secret never reaches this module; peers' text is passed as an argument,
 * never as a format.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __GNUC__
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PRINTF_LIKE(fmt, args)
#endif

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_TRACE };

/*
 * One row per area: the name that --debug takes, and the int behind it. The
 * ints carry nbdkit's naming, so that "nbdkit -D iscsi.pdu=1" sets the same
 * flag as "nbd-iscsi-gateway --debug=iscsi.pdu".
 */
#define LOG_AREAS(X) \
	X("iscsi.pdu", iscsi_debug_pdu)		/* every PDU header, both roles */ \
	X("iscsi.login", iscsi_debug_login)	/* login keys and stages */ \
	X("iscsi.session", iscsi_debug_session)	/* sessions, windows, TMFs, recovery */ \
	X("scsi.cdb", iscsi_debug_cdb)		/* every CDB and its outcome */ \
	X("blk.req", iscsi_debug_blk)		/* every block request and its outcome */ \
	X("nbd.req", iscsi_debug_nbd)		/* every NBD request and reply */ \
	X("nbd.option", iscsi_debug_option)	/* NBD handshake */ \
	X("conn", iscsi_debug_conn)		/* connections: open, close, why */

#define LOG_AREA_DECLARE(name, flag) extern int flag;
LOG_AREAS(LOG_AREA_DECLARE)
#undef LOG_AREA_DECLARE

typedef void log_sink(enum log_level level, const char *line);

/* Where lines go, whole and without a newline; NULL = stderr. Before threads start. */
void log_set_sink(log_sink *sink);

/*
 * The area "name" of "len" bytes, as a set of bits: a full name ("scsi.cdb"), the part
 * before the dot ("iscsi" = all of its areas), or "all". 0 if there is no such area.
 */
unsigned log_areas(const char *name, size_t len);

/* Trace these areas, and no others. Any thread. */
void log_set_areas(unsigned areas);

/* Is an area traced? Another thread may be changing that (and nbdkit wants a plain int). */
#define log_is_on(flag)	__atomic_load_n(&(flag), __ATOMIC_RELAXED)

/* A line to the sink, cut at 1 KiB; what utf8_clean() minds is shown as '?'. Any thread. */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...)	log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_trace(flag, ...) \
	do { \
		if (log_is_on(flag)) \
			log_line(LOG_LEVEL_TRACE, __VA_ARGS__); \
	} while (0)

/* At most "burst" lines in "window" seconds; what was held back is counted. */
struct log_limit {
	double	 since;		/* start of the window; 0 = none yet */
	unsigned passed;
	unsigned held;
};

/* May a line pass at time "now" (seconds)? Not thread-safe: the limit has one owner. */
bool log_allowed(struct log_limit *limit, double now, unsigned burst, double window);

#endif
