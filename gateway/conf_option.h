/*
 * Options, wherever they are given: one table is the command line's parser, its help text,
 * and the keys of the configuration file, so that none can say what the others do not know.
 * Private to conf*.c.
 *
 *	conf_option.c		the table
 *	conf_limit.c		its rows of limits and time-outs, and what they mean
 *	conf_value.c		what each other option means
 *	conf_command_line.c	the command line, and its help
 *	conf_key.c		the file's keys, and those of devices
 */
#ifndef CONF_OPTION_H
#define CONF_OPTION_H

#include <stddef.h>

#include "conf.h"

/* The portal group that the command line makes. */
#define OUR_GROUP	"default"
#define OUR_TAG		1

#define CONF_MAX_THREADS	256
#define CONF_EXAMPLE \
	"nbd-iscsi-gateway --nbd=:10809 iscsi://san.example/iqn.2001-04.com.example:disk/0"

/* Values of the options without a letter. */
enum {
	OPTION_RUN = 0x100, OPTION_DEBUG, OPTION_HELP_ALL, OPTION_TLS,
	OPTION_TLS_CERTIFICATES, OPTION_TLS_PSK, OPTION_TLS_VERIFY_PEER, OPTION_TLS_ALLOW,
	OPTION_TLS_ONLY, OPTION_STATE_DIR, OPTION_CHECK_CONFIG, OPTION_IMPORT, OPTION_SECRETS_DIR,
	OPTION_DISCOVER, OPTION_LUNS, OPTION_JSON, OPTION_CHAP_USER, OPTION_CHAP_SECRET,
	OPTION_MUTUAL_USER, OPTION_MUTUAL_SECRET, OPTION_BLOCK_SIZE, OPTION_SHARED,
	/* Of struct conf_reach: */
	OPTION_WRITE_LOG, OPTION_CONNECTIONS, OPTION_DEVICE_TLS_CERTIFICATES, OPTION_DEVICE_TLS_PSK,
	OPTION_LIMIT = 0x180,		/* and up: those of conf_limits() */
	OPTION_INITIATOR = 0x200,	/* and up: the options of initiator_options(); of conf_reach, too */
};

/* A row of the table. */
struct conf_option {
	const char *name, *argument, *help;
	int value;			/* the letter, or one of those above */
	unsigned flags;
};

#define ADVANCED	1u		/* only in --help-all */
#define NO_KEY		2u		/* not in the file */
#define OF_ISCSI	4u		/* one iscsi:// device may have a value of its own, ... */
#define OF_NBD		8u		/* ... and one nbd:// device */
#define OF_DEVICE	(OF_ISCSI | OF_NBD)
#define REPEATS		16u		/* each value counts, not only the last */

/* conf_option.c: all rows, in the order of --help: ours, then the limits, then those of sessions. */
size_t conf_option_count(void);
struct conf_option conf_option_at(size_t i);

/* conf_option.c: the name of an option that there is. */
const char *conf_option_name(int value);

/* conf_command_line.c: parse the command line into conf->given and conf->arguments; what is wrong is
 * noted. CONF_DONE: --help or --version have been answered. */
enum conf_verdict conf_collect(struct conf *conf, int argc, char **argv);

/* conf_command_line.c: take conf->given. False: the first that is wrong is noted. */
bool conf_take_given(struct conf *conf);

/* conf_command_line.c: is that option on the command line? */
bool conf_is_given(const struct conf *conf, int value);

/* conf_value.c: argument is constant for the life of conf. False: why, without naming the option. */
bool conf_option_take(struct conf *conf, int value, const char *argument, char *why, size_t size);

/* conf_value.c: the same of one that is about how devices are reached. */
bool conf_option_reach(struct conf_reach *reach, int value, const char *argument, char *why,
		       size_t size);

#endif
