/* The table of options, and who reads it; see conf_option.h. */
#include "config.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "conf_limit.h"
#include "conf_option.h"
#include "conf_section.h"
#include "initiator_option.h"
#include "need.h"
#include "ucl.h"

struct option_row {
	const char *name, *argument, *help;
	int value;			/* the letter, or one of those below */
	unsigned flags;			/* as below */
};

#define ADVANCED	1u		/* only in --help-all */
#define NO_KEY		2u		/* not in the file */
#define OF_ISCSI	4u		/* one iscsi:// device may have a value of its own, ... */
#define OF_NBD		8u		/* ... and one nbd:// device */
#define REPEATS		16u		/* each value counts, not only the last */
#define OF_DEVICE	(OF_ISCSI | OF_NBD)

/* In the order of --help. */
static const struct option_row options[] = {
	{ "nbd", "ADDR", "listen for NBD clients (may be repeated)", 'n', REPEATS },
	{ "iscsi", "ADDR", "listen for iSCSI initiators (default port 3260; may be repeated)",
	  'i', NO_KEY },
	{ "target", "IQN", "iSCSI target name (default: from the host name)", 't', NO_KEY },
	{ "config", "FILE", "targets, exports and access rules: nbd-iscsi-gateway.conf(5)", 'c', NO_KEY },
	{ "check-config", NULL, "only say what is wrong with that file", OPTION_CHECK_CONFIG, NO_KEY },
	{ "read-only", NULL, "no writes on any side", 'r', 0 },
	{ "threads", "N", "worker threads (default: CPUs available)", 'T', 0 },
	{ "write-log", "SIZE", "keep so much that is not flushed, to write it again after an outage"
	  " (64M for nbd://, 0 for iscsi://)", OPTION_WRITE_LOG, ADVANCED | OF_ISCSI | OF_NBD },
	{ "connections", "N", "to one NBD server, at most (default: one per thread)", OPTION_CONNECTIONS,
	  ADVANCED | OF_NBD },
	{ "device-tls-certificates", "DIR", "with ca-cert.pem, client-cert.pem, client-key.pem, for "
	  "nbds:// devices", OPTION_DEVICE_TLS_CERTIFICATES, ADVANCED | OF_NBD },
	{ "device-tls-psk", "FILE", "... or a pre-shared key, user:hexkey", OPTION_DEVICE_TLS_PSK,
	  ADVANCED | OF_NBD },
	{ "shared", "NAME", "others write this device, too: nothing is written again (may be repeated)",
	  OPTION_SHARED, ADVANCED | NO_KEY },
	{ "block-size", "BYTES", "logical blocks of the iSCSI units, where they are ours to choose: "
	  "512 or 4096 (512)", OPTION_BLOCK_SIZE, ADVANCED },
	{ "pidfile", "FILE", "write the process id once every listener accepts", 'P', 0 },
	{ "run", "CMD", "serve while CMD runs: it sees $uri, $nbd_uri, $iscsi_uri",
	  OPTION_RUN, NO_KEY },
	{ "discover", "HOST[:PORT]", "list the iSCSI targets there, and serve nothing",
	  OPTION_DISCOVER, NO_KEY },
	{ "luns", NULL, "with --discover: and their logical units", OPTION_LUNS, ADVANCED | NO_KEY },
	{ "json", NULL, "with --discover: in JSON", OPTION_JSON, ADVANCED | NO_KEY },
	{ "single", NULL, "serve one NBD client on stdin and stdout", 's', ADVANCED | NO_KEY },
	{ "state-dir", "DIR", "keep reservations (APTPL) there, and what is half sanitized "
	  "(default: $STATE_DIRECTORY)", OPTION_STATE_DIR, ADVANCED },
	{ "import", "FILE", "print an LIO target's saveconfig.json as a file for --config",
	  OPTION_IMPORT, ADVANCED | NO_KEY },
	{ "secrets-dir", "DIR", "... and write its CHAP secrets to files there",
	  OPTION_SECRETS_DIR, ADVANCED | NO_KEY },
	{ "tls", "MODE", "TLS of NBD clients: off, on (as they like) or require", OPTION_TLS, ADVANCED },
	{ "tls-certificates", "DIR", "with ca-cert.pem, server-cert.pem, server-key.pem",
	  OPTION_TLS_CERTIFICATES, ADVANCED },
	{ "tls-psk", "FILE", "pre-shared keys, a user:hexkey per line", OPTION_TLS_PSK, ADVANCED },
	{ "tls-verify-peer", NULL, "only clients with a certificate of our CA",
	  OPTION_TLS_VERIFY_PEER, ADVANCED },
	{ "tls-allow", "DN", "... and of this distinguished name (may be repeated)",
	  OPTION_TLS_ALLOW, ADVANCED | REPEATS },
	{ "tls-only", "NAME", "with --tls=on: this export needs TLS (may be repeated)",
	  OPTION_TLS_ONLY, ADVANCED | NO_KEY },
	{ "chap-user", "NAME", "CHAP user of iscsi:// devices without user@", OPTION_CHAP_USER, ADVANCED },
	{ "chap-secret", "[USER=]FILE", "with the secret, or credential:NAME (may be repeated)",
	  OPTION_CHAP_SECRET, ADVANCED | REPEATS },
	{ "mutual-user", "[USER=]NAME", "that the target has to have (default: any)",
	  OPTION_MUTUAL_USER, ADVANCED | REPEATS },
	{ "mutual-secret", "[USER=]FILE", "by which the target has to prove itself (default: need not)",
	  OPTION_MUTUAL_SECRET, ADVANCED | REPEATS },
	{ "verbose", NULL, "trace everything to stderr", 'v', 0 },
	{ "debug", "AREA[,..]", "trace some areas only: iscsi.pdu, scsi.cdb, nbd.req, …",
	  OPTION_DEBUG, REPEATS },
	{ "version", NULL, "print the version", 'V', NO_KEY },
	{ "help", NULL, "print this; --help-all: with TLS, CHAP and rarer options", 'h', NO_KEY },
	{ "help-all", NULL, "print this", OPTION_HELP_ALL, ADVANCED | NO_KEY },
};
#define MAX_OPTIONS	128
#define HELP_COLUMN	18
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

static bool has_letter(const struct option_row *row)
{
	return row->value < OPTION_RUN;
}

static void print_option(const struct option_row *row)
{
	char left[40];

	snprintf(left, sizeof(left), "--%s%s%s", row->name, row->argument ? "=" : "",
		 row->argument ? row->argument : "");
	if (strlen(left) > HELP_COLUMN)		/* then the help has the next line */
		printf("      %s\n      %*s %s\n", left, HELP_COLUMN, "", row->help);
	else if (has_letter(row))
		printf("  -%c, %-*s %s\n", row->value, HELP_COLUMN, left, row->help);
	else
		printf("      %-*s %s\n", HELP_COLUMN, left, row->help);
}

/* The options of sessions, as rows of ours. */
static struct option_row initiator_row(const struct initiator_option *option, size_t i)
{
	/* NBD servers go away as well. */
	bool nbd = strcmp(option->name, "outage-timeout") == 0;

	return (struct option_row){
		option->name, option->argument, option->help, OPTION_INITIATOR + (int)i,
		ADVANCED | OF_ISCSI | (nbd ? OF_NBD : 0),
	};
}

/* The limits of what is served, likewise. */
static struct option_row limit_row(const struct conf_limit *limit, size_t i)
{
	return (struct option_row){
		limit->name, limit->argument, limit->help, OPTION_LIMIT + (int)i, ADVANCED,
	};
}

/* Where the rows of sessions begin. */
static size_t initiator_start(void)
{
	size_t count;

	conf_limits(&count);
	return OPTION_COUNT + count;
}

static size_t all_count(void)
{
	size_t count;

	initiator_options(&count);
	return initiator_start() + count;
}

/* Of our table, behind it the limits, and behind them those of sessions. */
static struct option_row row_at(size_t i)
{
	size_t count, start = initiator_start();

	if (i < OPTION_COUNT)
		return options[i];
	if (i < start)
		return limit_row(&conf_limits(&count)[i - OPTION_COUNT], i - OPTION_COUNT);
	return initiator_row(&initiator_options(&count)[i - start], i - start);
}

static void print_rows(const char *title, size_t first, size_t end)
{
	printf("\n%s (and their defaults):\n", title);
	for (size_t i = first; i < end; i++) {
		struct option_row row = row_at(i);

		print_option(&row);
	}
}

static void print_help(bool all)
{
	printf("Usage: nbd-iscsi-gateway [OPTION]... [NAME=]DEVICE...\n"
	       "Serve every DEVICE to NBD clients and to iSCSI initiators.\n\n");
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (all || !(options[i].flags & ADVANCED))
			print_option(&options[i]);
	if (all) {
		print_rows("Limits of what is served", OPTION_COUNT, initiator_start());
		print_rows("Of iscsi:// devices", initiator_start(), all_count());
	}
	printf("\nADDR is host:port, [v6]:port, :port or, for NBD, unix:/path or vsock:port; port 0 is\n"
	       "any free one. DEVICE is iscsi://[user@]host[:port][,host[:port]]/target-iqn/lun,\n"
	       "file:PATH, mem:SIZE, or an NBD URI: nbd://, nbds://, nbd+unix://, nbds+unix://.\n"
	       "NAME is its NBD export name; the first is the default export, too. LUNs are numbered\n"
	       "by position, from 0.\n\n"
	       "Examples:\n"
	       "  %s\n"
	       "  nbd-iscsi-gateway --iscsi=:3260 --nbd=unix:/run/disk.sock disk=file:/srv/disk.img\n",
	       CONF_EXAMPLE);
}

static void print_version(void)
{
	printf("nbd-iscsi-gateway %s\n", PACKAGE_VERSION);
}

/* Keys of the file -------------------------------------------------------- */

bool conf_is_given(const struct conf *conf, int value)
{
	for (unsigned i = 0; i < conf->given_count; i++)
		if (conf->given[i].value == value)
			return true;
	return false;
}

static bool find_key(const char *name, struct option_row *row)
{
	for (size_t i = 0; i < all_count(); i++) {
		*row = row_at(i);
		if (!(row->flags & NO_KEY) && strcmp(row->name, name) == 0)
			return true;
	}
	return false;
}

static void take_key_value(struct conf *conf, const struct option_row *row,
			   const struct ucl_node *value)
{
	char why[400];
	bool on = true;

	conf->line = value->line;
	if (value->type != UCL_VALUE)
		conf_wrong(conf, value->line, "\"%s\" needs a value, not a block", row->name);
	else if (!row->argument && !conf_bool(conf, value, row->name, &on))
		return;
	else if (on && !conf_option_take(conf, row->value, value->text, why, sizeof(why)))
		conf_wrong(conf, value->line, "%s = %.200s: %s", row->name, value->text, why);
}

/* Of two, which one is meant? */
static bool says_it_once(struct conf *conf, const struct ucl_node *node)
{
	const struct ucl_node *first = ucl_find(conf->tree, node->key);
	bool once = first == node && (node->type != UCL_ARRAY || node->first == node->last);

	if (first != node)
		conf_wrong(conf, node->line, "\"%s\" is given twice, first in line %u", node->key,
			   first->line);
	else if (!once)
		conf_wrong(conf, node->line, "\"%s\" needs one value", node->key);
	return once;
}

bool conf_take_key(struct conf *conf, const struct ucl_node *node)
{
	struct option_row row;

	if (!find_key(node->key, &row))
		return false;
	if (conf_is_given(conf, row.value) ||	/* the command line outdoes it */
	    (!(row.flags & REPEATS) && !says_it_once(conf, node)))
		return true;
	if (node->type != UCL_ARRAY)
		take_key_value(conf, &row, node);
	else
		for (const struct ucl_node *value = node->first; value; value = value->next)
			take_key_value(conf, &row, value);
	return true;
}

void conf_list_keys(char *text, size_t size)
{
	for (size_t i = 0; i < all_count(); i++) {
		struct option_row row = row_at(i);

		if (!(row.flags & NO_KEY))
			snprintf(text + strlen(text), size - strlen(text), ", %s", row.name);
	}
}

/* Keys of devices --------------------------------------------------------- */

static bool find_device_key(const char *name, struct option_row *row)
{
	return find_key(name, row) && (row->flags & OF_DEVICE);
}

bool conf_is_device_key(const char *name)
{
	struct option_row row;

	return find_device_key(name, &row);
}

void conf_list_device_keys(char *text, size_t size)
{
	for (size_t i = 0; i < all_count(); i++) {
		struct option_row row = row_at(i);

		if (row.flags & OF_DEVICE)
			snprintf(text + strlen(text), size - strlen(text), ", %s", row.name);
	}
}

void conf_take_device_key(struct conf *conf, struct conf_device *device,
			  const struct ucl_node *node)
{
	struct option_row row;
	char why[400];
	bool known = find_device_key(node->key, &row);
	unsigned kind = device->kind == DEVICE_ISCSI ? OF_ISCSI : device->kind == DEVICE_NBD ? OF_NBD : 0;

	assert(known);
	(void)known;
	if (node->type != UCL_VALUE)
		conf_wrong(conf, node->line, "\"%s\" needs one value", row.name);
	else if (!(row.flags & kind))
		conf_wrong(conf, node->line, "%s = %.200s: that is for %s devices", row.name, node->text,
			   (row.flags & OF_DEVICE) == OF_DEVICE ? "iscsi:// and nbd://" :
			   row.flags & OF_ISCSI ? "iscsi://" : "nbd://");
	else if (!conf_option_reach(&device->reach, row.value, node->text, why, sizeof(why)))
		conf_wrong(conf, node->line, "%s = %.200s: %s", row.name, node->text, why);
}

/* The command line -------------------------------------------------------- */

static struct option_row find_value(int value)
{
	struct option_row row = { 0 };

	for (size_t i = 0; i < all_count(); i++) {
		row = row_at(i);
		if (row.value == value)
			break;
	}
	return row;
}

static bool is_short_for_several(const char *argument)
{
	size_t len = strcspn(argument + 2, "=");
	unsigned found = 0;

	for (size_t i = 0; i < all_count(); i++)
		found += strncmp(row_at(i).name, argument + 2, len) == 0;
	return found > 1;
}

/* The option as the user wrote it, for the mistakes that getopt finds. */
static void wrong_option(struct conf *conf, int value, char **argv)
{
	const char *argument = argv[optind - 1];
	bool is_long = argument[0] == '-' && argument[1] == '-';

	if (value == ':' && is_long)
		conf_wrong(conf, 0, "%s: needs an argument", argument);
	else if (value == ':')
		conf_wrong(conf, 0, "-%c: needs an argument", optopt);
	else if (optopt && find_value(optopt).value == optopt)
		conf_wrong(conf, 0, "%s: --%s takes no argument", argument, find_value(optopt).name);
	else if (optopt)	/* among letters, argv[] is not yet that far */
		conf_wrong(conf, 0, "-%c: no such option; try --help", optopt);
	else if (is_short_for_several(argument))
		conf_wrong(conf, 0, "%s: that is short for several options; try --help-all", argument);
	else
		conf_wrong(conf, 0, "%s: no such option; try --help", argument);
}

static void fill_getopt(struct option *long_options, char *letters)
{
	for (size_t i = 0; i < all_count(); i++) {
		struct option_row row = row_at(i);

		long_options[i] = (struct option){
			.name = row.name, .val = row.value,
			.has_arg = row.argument ? required_argument : no_argument,
		};
		if (has_letter(&row))
			sprintf(letters + strlen(letters), "%c%s", row.value, row.argument ? ":" : "");
	}
}

/* CONF_DONE: --help or --version have been answered. */
static enum conf_verdict collect(struct conf *conf, int argc, char **argv)
{
	struct option long_options[MAX_OPTIONS + 1];
	char letters[2 * OPTION_COUNT + 3] = ":";
	int value;

	assert(all_count() <= MAX_OPTIONS);
	memset(long_options, 0, sizeof(long_options));
	fill_getopt(long_options, letters);
	opterr = 0;
	optind = 0;	/* from the start, also when this is a reload */
	while ((value = getopt_long(argc, argv, letters, long_options, NULL)) != -1)
		switch (value) {
		case '?':
		case ':':
			wrong_option(conf, value, argv);
			return CONF_WRONG;
		case 'V':
			print_version();
			return CONF_DONE;
		case 'h':
		case OPTION_HELP_ALL:
			print_help(value == OPTION_HELP_ALL);
			return CONF_DONE;
		default:
			conf->given = need_more(conf->given, conf->given_count, sizeof(*conf->given));
			conf->given[conf->given_count++] = (struct conf_given){ value, optarg };
		}
	return CONF_RUN;
}

bool conf_take_given(struct conf *conf)
{
	char why[400];

	for (unsigned i = 0; i < conf->given_count; i++) {
		const struct conf_given *given = &conf->given[i];

		if (conf_option_take(conf, given->value, given->argument, why, sizeof(why)))
			continue;
		conf_wrong(conf, 0, "--%s=%s: %s", find_value(given->value).name, given->argument, why);
		return false;
	}
	return true;
}

/* NAME= is there when a '=' comes before the scheme's ':'. */
static bool add_argument(struct conf *conf, const char *text)
{
	size_t name_len = strcspn(text, "=:");
	bool named = text[name_len] == '=';
	struct conf_argument *argument;
	char name[32];

	if (conf->argument_count > LUN_MAX)
		conf_wrong(conf, 0, "more than %d devices", LUN_MAX + 1);
	else if (named && name_len == 0)
		conf_wrong(conf, 0, "%s: the name before '=' is empty", text);
	else if (named && name_len > 4096)
		conf_wrong(conf, 0, "a device name is longer than 4096 bytes");
	if (conf->error_count)
		return false;
	conf->arguments = need_more(conf->arguments, conf->argument_count, sizeof(*argument));
	argument = &conf->arguments[conf->argument_count];
	snprintf(name, sizeof(name), "lun%u", conf->argument_count);
	argument->name = need(named ? strndup(text, name_len) : strdup(name));
	argument->uri = named ? text + name_len + 1 : text;
	conf->argument_count++;
	return true;
}

enum conf_verdict conf_collect(struct conf *conf, int argc, char **argv)
{
	enum conf_verdict verdict = collect(conf, argc, argv);

	for (int i = optind; verdict == CONF_RUN && i < argc; i++)
		/* "--single -": as if it were said */
		if ((strcmp(argv[i], "-") != 0 || !conf_is_given(conf, 's')) &&
		    !add_argument(conf, argv[i]))
			verdict = CONF_WRONG;
	return verdict;
}

const char *conf_option_name(int value)
{
	return find_value(value).name;
}
