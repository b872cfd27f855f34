/*
 * The limits and time-outs of what we serve: a part of the table of options (conf_option.h), of
 * which each row says what it bounds. Private to conf*.c.
 */
#ifndef CONF_LIMIT_H
#define CONF_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"

struct conf_limit {
	const char *name, *argument, *help;
};

/* All of them; constant. */
const struct conf_limit *conf_limits(size_t *count);

/* Read "text" into the conf; false: why, without naming the option, and nothing is set. */
bool conf_limit_set(struct conf *conf, const struct conf_limit *limit, const char *text, char *why,
		    size_t size);

#endif
