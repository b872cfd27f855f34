/*
 * The command line. One row per option is the parser's table, the help text, and a key of
 * the configuration file at once, so that none can say what the others do not know.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "conf_section.h"
#include "device.h"
#include "initiator_option.h"
#include "log.h"
#include "ucl.h"

#define MAX_THREADS	256
#define MAX_WRITE_LOG	(UINT64_C(64) << 30)
/* The portal group that the command line makes. */
#define OUR_GROUP	"default"
#define OUR_TAG		1
#define MAX_DEVICES	16384	/* LUNs of flat addressing, SAM-5 §4.7.7.4 */

struct option_row {
	const char *name, *argument, *help;
	int value;			/* the letter, or one of those below */
	unsigned flags;			/* as below */
};

#define ADVANCED	1u		/* only in --help-all */
#define NO_KEY		2u		/* not in the file */

/* Values of the options without a letter. */
enum {
	OPTION_RUN = 0x100, OPTION_DEBUG, OPTION_HELP_ALL, OPTION_HANDSHAKE_TIMEOUT, OPTION_TLS,
	OPTION_TLS_CERTIFICATES, OPTION_TLS_PSK, OPTION_TLS_VERIFY_PEER, OPTION_TLS_ALLOW,
	OPTION_TLS_ONLY, OPTION_STATE_DIR, OPTION_CHECK_CONFIG, OPTION_IMPORT, OPTION_SECRETS_DIR,
	OPTION_BLOCK_SIZE, OPTION_WRITE_LOG, OPTION_SHARED,
	OPTION_DISCOVER, OPTION_LUNS, OPTION_JSON, OPTION_CHAP_USER, OPTION_CHAP_SECRET,
	OPTION_MUTUAL_USER, OPTION_MUTUAL_SECRET,
	OPTION_INITIATOR = 0x200,	/* and up: the options of initiator_options() */
};

/* In the order of --help. */
static const struct option_row options[] = {
	{ "nbd", "ADDR", "listen for NBD clients (may be repeated)", 'n', 0 },
	{ "iscsi", "ADDR", "listen for iSCSI initiators (default port 3260; may be repeated)",
	  'i', NO_KEY },
	{ "target", "IQN", "iSCSI target name (default: from the host name)", 't', NO_KEY },
	{ "config", "FILE", "targets, exports and access rules: nbd-iscsi-gateway.conf(5)", 'c', NO_KEY },
	{ "check-config", NULL, "only say what is wrong with that file", OPTION_CHECK_CONFIG, NO_KEY },
	{ "read-only", NULL, "no writes on any side", 'r', 0 },
	{ "threads", "N", "worker threads (default: CPUs available)", 'T', 0 },
	{ "write-log", "SIZE", "keep so much that is not flushed, to write it again after an outage"
	  " (64M for nbd://, 0 for iscsi://)", OPTION_WRITE_LOG, ADVANCED },
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
	{ "state-dir", "DIR", "keep persistent reservations there (APTPL; default: $STATE_DIRECTORY)",
	  OPTION_STATE_DIR, ADVANCED },
	{ "import", "FILE", "print an LIO target's saveconfig.json as a file for --config",
	  OPTION_IMPORT, ADVANCED | NO_KEY },
	{ "secrets-dir", "DIR", "... and write its CHAP secrets to files there",
	  OPTION_SECRETS_DIR, ADVANCED | NO_KEY },
	{ "handshake-timeout", "SECONDS", "for NBD clients that do not get to the point (10; 0: none)",
	  OPTION_HANDSHAKE_TIMEOUT, ADVANCED },
	{ "tls", "MODE", "TLS of NBD clients: off, on (as they like) or require", OPTION_TLS, ADVANCED },
	{ "tls-certificates", "DIR", "with ca-cert.pem, server-cert.pem, server-key.pem",
	  OPTION_TLS_CERTIFICATES, ADVANCED },
	{ "tls-psk", "FILE", "pre-shared keys, a user:hexkey per line", OPTION_TLS_PSK, ADVANCED },
	{ "tls-verify-peer", NULL, "only clients with a certificate of our CA",
	  OPTION_TLS_VERIFY_PEER, ADVANCED },
	{ "tls-allow", "DN", "... and of this distinguished name (may be repeated)",
	  OPTION_TLS_ALLOW, ADVANCED },
	{ "tls-only", "NAME", "with --tls=on: this export needs TLS (may be repeated)",
	  OPTION_TLS_ONLY, ADVANCED | NO_KEY },
	{ "chap-user", "NAME", "CHAP user of iscsi:// devices without user@", OPTION_CHAP_USER, ADVANCED },
	{ "chap-secret", "[USER=]FILE", "with the secret, or credential:NAME (may be repeated)",
	  OPTION_CHAP_SECRET, ADVANCED },
	{ "mutual-user", "[USER=]NAME", "that the target has to have (default: any)",
	  OPTION_MUTUAL_USER, ADVANCED },
	{ "mutual-secret", "[USER=]FILE", "by which the target has to prove itself (default: need not)",
	  OPTION_MUTUAL_SECRET, ADVANCED },
	{ "verbose", NULL, "trace everything to stderr", 'v', 0 },
	{ "debug", "AREA[,..]", "trace some areas only: iscsi.pdu, scsi.cdb, nbd.req, …",
	  OPTION_DEBUG, 0 },
	{ "version", NULL, "print the version", 'V', NO_KEY },
	{ "help", NULL, "print this; --help-all: with TLS, CHAP and rarer options", 'h', NO_KEY },
	{ "help-all", NULL, "print this", OPTION_HELP_ALL, ADVANCED | NO_KEY },
};
#define MAX_OPTIONS	128
#define HELP_COLUMN	18
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

static const char example[] =
	"nbd-iscsi-gateway --nbd=:10809 iscsi://san.example/iqn.2001-04.com.example:disk/0";

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
	return (struct option_row){
		option->name, option->argument, option->help, OPTION_INITIATOR + (int)i, ADVANCED,
	};
}

static size_t all_count(void)
{
	size_t count;

	initiator_options(&count);
	return OPTION_COUNT + count;
}

/* Of our table, and behind it those of sessions. */
static struct option_row row_at(size_t i)
{
	size_t count;

	if (i < OPTION_COUNT)
		return options[i];
	return initiator_row(&initiator_options(&count)[i - OPTION_COUNT], i - OPTION_COUNT);
}

static void print_initiator_options(void)
{
	printf("\nOf iscsi:// devices (and their defaults):\n");
	for (size_t i = OPTION_COUNT; i < all_count(); i++) {
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
	if (all)
		print_initiator_options();
	printf("\nADDR is host:port, [v6]:port, :port or, for NBD, unix:/path or vsock:port; port 0 is\n"
	       "any free one. DEVICE is iscsi://[user@]host[:port][,host[:port]]/target-iqn/lun,\n"
	       "file:PATH, mem:SIZE, or an NBD URI: nbd://, nbds://, nbd+unix://, nbds+unix://.\n"
	       "NAME is its NBD export name; the first is the default export, too. LUNs are numbered\n"
	       "by position, from 0.\n\n"
	       "Examples:\n"
	       "  %s\n"
	       "  nbd-iscsi-gateway --iscsi=:3260 --nbd=unix:/run/disk.sock disk=file:/srv/disk.img\n",
	       example);
}

static void print_version(void)
{
	printf("nbd-iscsi-gateway %s\n", PACKAGE_VERSION);
}

/* Noting what is wrong --------------------------------------------------- */

void *conf_grow(void *array, unsigned count, size_t item)
{
	void *bigger = realloc(array, (count + 1) * item);

	if (!bigger)
		abort();	/* a configuration does not fit into memory */
	return bigger;
}

static void *need(void *memory)
{
	if (!memory)
		abort();	/* likewise */
	return memory;
}

void conf_wrong(struct conf *conf, unsigned line, const char *fmt, ...)
{
	char text[1024];
	int used = line ? snprintf(text, sizeof(text), "%s:%u: ", conf->file, line) : 0;
	va_list args;

	va_start(args, fmt);
	if ((size_t)used < sizeof(text))
		vsnprintf(text + used, sizeof(text) - (size_t)used, fmt, args);
	va_end(args);
	conf->errors = conf_grow(conf->errors, conf->error_count, sizeof(*conf->errors));
	conf->errors[conf->error_count++] = (struct conf_error){ line, need(strdup(text)) };
}

/* Sections are read kind by kind; who mends a file goes through it from the top. */
static int by_line(const void *a, const void *b)
{
	const struct conf_error *first = a, *second = b;

	return (first->line > second->line) - (first->line < second->line);
}

/* Values ----------------------------------------------------------------- */

static bool wrong(char *why, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static bool wrong(char *why, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, size, fmt, args);
	va_end(args);
	return false;
}

void conf_add_listener(struct conf *conf, const struct address *address, uint16_t group,
		       const char *name)
{
	conf->listeners = conf_grow(conf->listeners, conf->listener_count,
				    sizeof(*conf->listeners));
	conf->listeners[conf->listener_count++] = (struct conf_listener){ *address, group, name };
}

static bool add_address(struct conf *conf, const char *text, enum address_use use, char *why,
			size_t size)
{
	struct address address;
	bool iscsi = use == ADDRESS_ISCSI;

	if (!address_parse(text, use, &address, why, size))
		return false;
	conf_add_listener(conf, &address, iscsi ? OUR_TAG : 0, iscsi ? OUR_GROUP : NULL);
	return true;
}

static bool set_threads(struct conf *conf, const char *text, char *why, size_t size)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 1 || n > MAX_THREADS)
		return wrong(why, size, "not a number from 1 to %d", MAX_THREADS);
	conf->threads = (unsigned)n;
	return true;
}

static bool set_seconds(double *seconds, const char *text, char *why, size_t size)
{
	char *end;

	*seconds = strtod(text, &end);
	if (end == text || *end || !(*seconds >= 0 && *seconds < 1e6))
		return wrong(why, size, "not a number of seconds");
	return true;
}

static bool set_block_size(struct conf *conf, const char *text, char *why, size_t size)
{
	if (strcmp(text, "512") != 0 && strcmp(text, "4096") != 0)
		return wrong(why, size, "neither 512 nor 4096");
	conf->block_size = text[0] == '5' ? 512 : 4096;
	return true;
}

static bool set_write_log(struct conf *conf, const char *text, char *why, size_t size)
{
	bool none = strcmp(text, "0") == 0;

	conf->write_log = 0;
	if (!none && (!device_size_parse(text, &conf->write_log) || conf->write_log > MAX_WRITE_LOG))
		return wrong(why, size, "not a size up to %uG (for example 64M)",
			     (unsigned)(MAX_WRITE_LOG >> 30));
	conf->has_write_log = true;
	return true;
}

static bool set_tls_mode(struct conf *conf, const char *text, char *why, size_t size)
{
	static const char *const names[] = {
		[TLS_OFF] = "off", [TLS_ON] = "on", [TLS_REQUIRE] = "require",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0) {
			conf->tls.mode = (enum tls_mode)i;
			return true;
		}
	return wrong(why, size, "not off, on or require");
}

static bool add_text(const char ***list, unsigned *count, const char *text)
{
	*list = conf_grow(*list, *count, sizeof(**list));
	(*list)[(*count)++] = text;
	return true;
}

static bool set_target(struct conf *conf, const char *text, char *why, size_t size)
{
	if (!iscsi_name_valid(text))
		return wrong(why, size, "not an iSCSI name "
			     "(iqn.YYYY-MM.reversed.domain:name, eui. or naa.)");
	snprintf(conf->target, sizeof(conf->target), "%s", text);
	return true;
}

static bool set_debug(const char *areas, char *why, size_t size)
{
	while (*areas) {
		size_t len = strcspn(areas, ",");

		if (!log_enable(areas, len)) {
			int used = snprintf(why, size, "no such area; there are:");
#define APPEND_AREA(name, flag) \
			if (used > 0 && (size_t)used < size) \
				used += snprintf(why + used, size - (size_t)used, " %s", name);
			LOG_AREAS(APPEND_AREA)
#undef APPEND_AREA
			return false;
		}
		areas += len + (areas[len] == ',');
	}
	return true;
}

static bool take_tls_option(struct conf_tls *tls, int value, const char *argument)
{
	switch (value) {
	case OPTION_TLS_CERTIFICATES:
		tls->certificates = argument;
		return true;
	case OPTION_TLS_PSK:
		tls->psk = argument;
		return true;
	case OPTION_TLS_VERIFY_PEER:
		tls->verify_peer = true;
		return true;
	case OPTION_TLS_ALLOW:
		return add_text(&tls->allow, &tls->allow_count, argument);
	case OPTION_TLS_ONLY:
		return add_text(&tls->only, &tls->only_count, argument);
	}
	return false;
}

static bool set_initiator_option(struct conf *conf, size_t i, const char *value, char *why,
				 size_t size)
{
	size_t count;

	return initiator_option_set(&conf->initiator, &initiator_options(&count)[i], value, why, size);
}

static bool take_iscsi_option(struct conf *conf, int value, const char *argument)
{
	struct accounts *accounts = &conf->accounts;

	switch (value) {
	case OPTION_DISCOVER:
		conf->discover.portal = argument;
		return true;
	case OPTION_LUNS:
		conf->discover.luns = true;
		return true;
	case OPTION_JSON:
		conf->discover.json = true;
		return true;
	case OPTION_CHAP_USER:
		accounts->user = argument;
		return true;
	case OPTION_CHAP_SECRET:
		accounts_add(accounts, ACCOUNT_SECRET, argument);
		return true;
	case OPTION_MUTUAL_USER:
		accounts_add(accounts, ACCOUNT_MUTUAL_USER, argument);
		return true;
	case OPTION_MUTUAL_SECRET:
		accounts_add(accounts, ACCOUNT_MUTUAL_SECRET, argument);
		return true;
	}
	return false;
}

/* From the command line or the file alike. False: why, without naming the option. */
static bool take_option(struct conf *conf, int value, const char *argument, char *why, size_t size)
{
	if (value >= OPTION_INITIATOR)
		return set_initiator_option(conf, (size_t)(value - OPTION_INITIATOR), argument, why,
					    size);
	if (value >= OPTION_DISCOVER && value <= OPTION_MUTUAL_SECRET)
		return take_iscsi_option(conf, value, argument);
	switch (value) {
	case 'n':
		return add_address(conf, argument, ADDRESS_NBD, why, size);
	case 'i':
		return add_address(conf, argument, ADDRESS_ISCSI, why, size);
	case 't':
		return set_target(conf, argument, why, size);
	case 'T':
		return set_threads(conf, argument, why, size);
	case OPTION_DEBUG:
		return set_debug(argument, why, size);
	case OPTION_TLS:
		return set_tls_mode(conf, argument, why, size);
	case OPTION_BLOCK_SIZE:
		return set_block_size(conf, argument, why, size);
	case OPTION_WRITE_LOG:
		return set_write_log(conf, argument, why, size);
	case OPTION_SHARED:
		return add_text(&conf->shared, &conf->shared_count, argument);
	case 'r':
		conf->read_only = true;
		return true;
	case 'P':
		conf->pidfile = argument;
		return true;
	case 'c':
		conf->file = argument;
		return true;
	case OPTION_CHECK_CONFIG:
		conf->check = true;
		return true;
	case OPTION_RUN:
		conf->run = argument;
		return true;
	case OPTION_STATE_DIR:
		conf->state_dir = argument;
		return true;
	case OPTION_IMPORT:
		conf->import = argument;
		return true;
	case OPTION_SECRETS_DIR:
		conf->secrets_dir = argument;
		return true;
	case 's':
		conf->single = true;
		return true;
	case OPTION_HANDSHAKE_TIMEOUT:
		return set_seconds(&conf->handshake_timeout, argument, why, size);
	case 'v':
		return set_debug("all", why, size);
	}
	return take_tls_option(&conf->tls, value, argument);
}

/* Keys of the file -------------------------------------------------------- */

static bool is_given(const struct conf *conf, int value)
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

	if (value->type != UCL_VALUE)
		conf_wrong(conf, value->line, "\"%s\" needs a value, not a block", row->name);
	else if (!row->argument && !conf_bool(conf, value, row->name, &on))
		return;
	else if (on && !take_option(conf, row->value, value->text, why, sizeof(why)))
		conf_wrong(conf, value->line, "%s = %.200s: %s", row->name, value->text, why);
}

bool conf_take_key(struct conf *conf, const struct ucl_node *node)
{
	struct option_row row;

	if (!find_key(node->key, &row))
		return false;
	if (is_given(conf, row.value))
		return true;	/* the command line outdoes it */
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

/* The command line -------------------------------------------------------- */

/* The option as the user wrote it, for the two mistakes that getopt finds. */
static void wrong_option(struct conf *conf, int value, char **argv)
{
	const char *argument = argv[optind - 1];
	const char *says = value == ':' ? "needs an argument" : "no such option; try --help";

	if (argument[0] == '-' && argument[1] == '-')
		conf_wrong(conf, 0, "%s: %s", argument, says);
	else
		conf_wrong(conf, 0, "-%c: %s", optopt, says);
}

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
			conf->given = conf_grow(conf->given, conf->given_count, sizeof(*conf->given));
			conf->given[conf->given_count++] = (struct conf_given){ value, optarg };
		}
	return CONF_RUN;
}

static bool take_given(struct conf *conf)
{
	char why[400];

	for (unsigned i = 0; i < conf->given_count; i++) {
		const struct conf_given *given = &conf->given[i];

		if (take_option(conf, given->value, given->argument, why, sizeof(why)))
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

	if (conf->argument_count == MAX_DEVICES)
		conf_wrong(conf, 0, "more than %d devices", MAX_DEVICES);
	else if (named && name_len == 0)
		conf_wrong(conf, 0, "%s: the name before '=' is empty", text);
	else if (named && name_len > 4096)
		conf_wrong(conf, 0, "a device name is longer than 4096 bytes");
	if (conf->error_count)
		return false;
	conf->arguments = conf_grow(conf->arguments, conf->argument_count, sizeof(*argument));
	argument = &conf->arguments[conf->argument_count];
	snprintf(name, sizeof(name), "lun%u", conf->argument_count);
	argument->name = need(named ? strndup(text, name_len) : strdup(name));
	argument->uri = named ? text + name_len + 1 : text;
	conf->argument_count++;
	return true;
}

/* Devices ----------------------------------------------------------------- */

struct conf_device *conf_add_device(struct conf *conf, const char *key, const char *uri)
{
	struct conf_device *device;

	conf->devices = conf_grow(conf->devices, conf->device_count, sizeof(*device));
	device = &conf->devices[conf->device_count++];
	*device = (struct conf_device){
		.key = need(strdup(key)), .uri = need(strdup(uri)), .lu.block_len = conf->block_size,
		.export = need(export_new(uri)),
	};
	return device;
}

void conf_free_device(struct conf_device *device)
{
	export_free(device->export);
	free(device->key);
	free(device->uri);
}

static bool is_named(const char *name, const char *const *names, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* A DEVICE of the command line, and the LUN and export that show it. */
static void serve_argument(struct conf *conf, struct access_map *map, unsigned lun)
{
	const struct conf_argument *argument = &conf->arguments[lun];
	struct conf_device *device = conf_add_device(conf, argument->name, argument->uri);
	struct nbd_export *export;
	const char *why = access_add_lun(map, lun, device->export, false);

	device->read_only = conf->read_only;
	device->shared = is_named(argument->name, conf->shared, conf->shared_count);
	device->lu.lun = (uint16_t)lun;
	snprintf(device->lu.target_name, sizeof(device->lu.target_name), "%s", conf->target);
	if (!why)
		why = nbd_exports_add(conf->nbd_exports, argument->name, device->export, &export);
	if (nbd_exports_find(conf->nbd_exports, argument->name, strlen(argument->name)) && why)
		conf_wrong(conf, 0, "two devices are named \"%s\"", argument->name);
	else if (why)
		conf_wrong(conf, 0, "%s: %s", argument->name, why);
	else
		export->tls_only = is_named(argument->name, conf->tls.only, conf->tls.only_count);
}

static void serve_arguments(struct conf *conf)
{
	struct access_auth_group *everybody;
	struct access_portal_group *group;
	struct access_target *target;
	const char *why = access_add_auth_group(conf->access, "no-authentication", ACCESS_OPEN,
						&everybody);

	if (!why)
		why = access_add_portal_group(conf->access, OUR_GROUP, OUR_TAG, everybody, &group);
	if (!why)
		why = access_add_target(conf->access, conf->target, everybody, &target);
	if (!why)
		why = access_add_entrance(target, group, NULL);
	if (why)
		conf_wrong(conf, 0, "--target=%s: %s", conf->target, why);
	for (unsigned i = 0; i < conf->argument_count && !conf->error_count; i++)
		serve_argument(conf, target->maps[0], i);
}

/* What only makes sense together ------------------------------------------ */

/* The files are read when the gateway starts; --check-config tells of them before. */
static void try_keys(struct conf *conf, unsigned line)
{
	const struct tls_conf keys = {
		.certificates = conf->tls.certificates, .psk = conf->tls.psk,
		.verify_peer = conf->tls.verify_peer,
	};
	char why[300];
	struct tls *tls = tls_new(&keys, why, sizeof(why));

	if (!tls)
		conf_wrong(conf, line, "TLS: %s", why);
	tls_free(tls);
}

static void check_tls(struct conf *conf)
{
	const struct conf_tls *tls = &conf->tls;
	const struct ucl_node *key = ucl_find(conf->tree, "tls");
	unsigned line = key ? key->line : 0;
	bool keys = tls->certificates || tls->psk;

	if (tls->mode != TLS_OFF && !keys)
		conf_wrong(conf, line, "--tls needs --tls-certificates=DIR or --tls-psk=FILE");
	else if (tls->mode == TLS_OFF && (keys || tls->verify_peer))
		conf_wrong(conf, line, "TLS keys are given, but not --tls=on or --tls=require");
	else if (tls->verify_peer && !tls->certificates)
		conf_wrong(conf, line, "--tls-verify-peer needs --tls-certificates=DIR");
	else if (tls->allow_count && !tls->verify_peer)
		conf_wrong(conf, line, "--tls-allow needs --tls-verify-peer");
	else if (tls->only_count && tls->mode != TLS_ON)
		conf_wrong(conf, line, "--tls-only needs --tls=on");
	else if (conf->check && tls->mode != TLS_OFF)
		try_keys(conf, line);
}

static void check_names(struct conf *conf, const char *option, const char *const *names,
			unsigned count)
{
	for (unsigned i = 0; i < count && !conf->error_count; i++)
		if (!nbd_exports_find(conf->nbd_exports, names[i], strlen(names[i])))
			conf_wrong(conf, 0, "--%s=%s: no device has this name", option, names[i]);
}

static void check_arguments(struct conf *conf)
{
	if (conf->discover.portal) {
		if (conf->argument_count)
			conf_wrong(conf, 0, "--discover serves no DEVICE");
		return;
	}
	if (conf->discover.luns || conf->discover.json)
		conf_wrong(conf, 0, "--luns and --json go with --discover=HOST[:PORT]");
	else if (conf->argument_count == 0)
		conf_wrong(conf, 0, "no DEVICE to serve; for example: %s", example);
	else if (conf->listener_count == 0 && !conf->single && !getenv("LISTEN_FDS"))
		conf_wrong(conf, 0, "nothing to listen on: give --nbd=ADDR or --iscsi=ADDR; "
			   "for example: %s", example);
	check_names(conf, "tls-only", conf->tls.only, conf->tls.only_count);
	check_names(conf, "shared", conf->shared, conf->shared_count);
}

/* What the file says in its own way, the command line does not say beside it. */
static bool check_given(struct conf *conf)
{
	static const int in_file[] = { 'i', 't', OPTION_TLS_ONLY, OPTION_SHARED, OPTION_DISCOVER };

	if (conf->check && !conf->file)
		conf_wrong(conf, 0, "--check-config needs --config=FILE");
	for (size_t i = 0; i < sizeof(in_file) / sizeof(in_file[0]) && conf->file; i++)
		if (is_given(conf, in_file[i]))
			conf_wrong(conf, 0, "--%s: with --config, that is said in the file",
				   find_value(in_file[i]).name);
	if (conf->secrets_dir && !conf->import)
		conf_wrong(conf, 0, "--secrets-dir needs --import=FILE");
	if (conf->file && conf->argument_count)
		conf_wrong(conf, 0, "%s: with --config, devices are named in the file",
			   conf->arguments[0].uri);
	return !conf->error_count;
}

/* A name that is legal whatever the host is called: RFC 7143 §4.2.7.1 wants lower case letters,
 * digits, '-', '.' and ':'. */
static void default_target(struct conf *conf)
{
	char host[256] = "localhost";
	int used;

	if (gethostname(host, sizeof(host) - 1) < 0 || !host[0])
		strcpy(host, "localhost");
	used = snprintf(conf->target, sizeof(conf->target), "iqn.2026-11.nbd-iscsi-gateway:");
	for (const char *p = host; *p && (size_t)used < sizeof(conf->target) - 1; p++) {
		char c = *p;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')
			conf->target[used++] = c;
	}
	conf->target[used] = '\0';
}

static unsigned cpus_available(void)
{
	cpu_set_t set;
	int n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (unsigned)n;
}

static void init(struct conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	conf->threads = cpus_available();
	conf->handshake_timeout = 10;
	conf->block_size = 512;
	initiator_conf_init(&conf->initiator);
	conf->state_dir = getenv("STATE_DIRECTORY");	/* systemd.exec(5), StateDirectory= */
	conf->access = need(access_new());
	conf->nbd_exports = need(nbd_exports_new());
	default_target(conf);
}

/* The first mistake in the command line is enough; of the file, all are told. */
static void take_all(struct conf *conf)
{
	if (!take_given(conf) || !check_given(conf) || conf->import)
		return;
	if (!conf->file) {
		serve_arguments(conf);
		if (!conf->error_count)
			check_arguments(conf);
	} else {
		conf_read_file(conf);
	}
	if (!conf->error_count)
		check_tls(conf);
}

enum conf_verdict conf_parse(struct conf *conf, int argc, char **argv)
{
	enum conf_verdict verdict;

	init(conf);
	opterr = 0;
	verdict = collect(conf, argc, argv);
	for (int i = optind; verdict == CONF_RUN && i < argc && !conf->error_count; i++)
		if (strcmp(argv[i], "-") != 0 || !is_given(conf, 's'))	/* "--single -": as if it were said */
			add_argument(conf, argv[i]);
	if (verdict == CONF_RUN && !conf->error_count)
		take_all(conf);
	if (verdict == CONF_RUN && conf->check)
		verdict = CONF_DONE;
	if (conf->error_count) {
		qsort(conf->errors, conf->error_count, sizeof(*conf->errors), by_line);
		verdict = CONF_WRONG;
	}
	return verdict;
}

void conf_free(struct conf *conf)
{
	access_drop(conf->access);
	nbd_exports_drop(conf->nbd_exports);
	for (unsigned i = 0; i < conf->device_count; i++)
		conf_free_device(&conf->devices[i]);
	for (unsigned i = 0; i < conf->argument_count; i++)
		free(conf->arguments[i].name);
	for (unsigned i = 0; i < conf->error_count; i++)
		free(conf->errors[i].text);
	free(conf->devices);
	free(conf->arguments);
	free(conf->errors);
	free(conf->given);
	free(conf->listeners);
	free(conf->tls.allow);
	free(conf->tls.only);
	free(conf->shared);
	accounts_free(&conf->accounts);
	ucl_free(conf->tree);
}
