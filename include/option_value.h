/*
 * How the values of options are read, the same in every table of them: initiator_option.h,
 * and the daemon's own.
 *
 * Pure functions. Each is false with a one-line reason in why[size] that does not name the
 * option, and then nothing is set.
 */
#ifndef OPTION_VALUE_H
#define OPTION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_VALUE_MAX_SECONDS	86400	/* what any time-out may be: a day */

/* A whole number, decimal or 0x and hexadecimal, as in login texts. */
bool option_value_number(const char *text, uint32_t least, uint32_t most, uint32_t *number,
			 char *why, size_t size);

/* yes, true, on or 1; no, false, off or 0; in letters of either case: what nbdkit, UCL and RFC 7143
 * have. */
bool option_value_bool(const char *text, bool *value, char *why, size_t size);

/* Seconds, also parts of one. */
bool option_value_seconds(const char *text, double least, double most, double *seconds, char *why,
			  size_t size);

#endif
