/*
 * What a user may choose of a session: one table of name, argument and help that the
 * daemon's options, the plugin's parameters and configuration files all read, so that
 * a choice is called the same everywhere. (Accounts are not in it: secrets come in
 * differently in each of them.)
 */
#ifndef INITIATOR_OPTION_H
#define INITIATOR_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "initiator.h"

struct initiator_option {
	const char *name;	/* lower case, with dashes */
	const char *argument;	/* what the help calls its value: "SECONDS", "yes|no" */
	const char *help;	/* half a line, with the default */
};

/* All of them, in the order of a help text. */
const struct initiator_option *initiator_options(size_t *count);

/* Set one. False, with a one-line reason that does not name the option: "not yes or no". */
bool initiator_option_set(struct initiator_conf *conf, const struct initiator_option *option,
			  const char *value, char *why, size_t size);

/* Are two alike, but for the time-outs (iscsi_lu_tune()), the ISID and the account? */
bool initiator_option_same_session(const struct initiator_conf *a, const struct initiator_conf *b);

/* ... and the time-outs? */
bool initiator_option_same_timeouts(const struct initiator_conf *a, const struct initiator_conf *b);

#endif
