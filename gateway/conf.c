/*
 * The command line. One row per option is the parser's table and the help text
 * at once, so that neither can say what the other does not know.
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
#include "device.h"
#include "initiator_option.h"
#include "log.h"

#define MAX_THREADS	256
#define MAX_WRITE_LOG	(UINT64_C(64) << 30)
#define MAX_DEVICES	16384	/* LUNs of flat addressing, SAM-5 §4.7.7.4 */

struct option_row {
	const char *name, *argument, *help;
	int value;			/* the letter, or one of those below */
	bool advanced;			/* only in --help-all */
};

/* Values of the options without a letter. */
enum {
	OPTION_RUN = 0x100, OPTION_DEBUG, OPTION_HELP_ALL, OPTION_HANDSHAKE_TIMEOUT, OPTION_TLS,
	OPTION_TLS_CERTIFICATES, OPTION_TLS_PSK, OPTION_TLS_VERIFY_PEER, OPTION_TLS_ALLOW,
	OPTION_TLS_ONLY, OPTION_STATE_DIR, OPTION_WRITE_LOG, OPTION_SHARED, OPTION_DISCOVER, OPTION_LUNS,
	OPTION_JSON, OPTION_CHAP_USER, OPTION_CHAP_SECRET, OPTION_MUTUAL_USER, OPTION_MUTUAL_SECRET,
	OPTION_BLOCK_SIZE,
	OPTION_INITIATOR = 0x200,	/* and up: the options of initiator_options() */
};

/* In the order of --help. */
static const struct option_row options[] = {
	{ "nbd", "ADDR", "listen for NBD clients (may be repeated)", 'n', false },
	{ "iscsi", "ADDR", "listen for iSCSI initiators (default port 3260; may be repeated)",
	  'i', false },
	{ "target", "IQN", "iSCSI target name (default: from the host name)", 't', false },
	{ "read-only", NULL, "no writes on any side", 'r', false },
	{ "threads", "N", "worker threads (default: CPUs available)", 'T', false },
	{ "write-log", "SIZE", "keep so much that is not flushed, to write it again after an outage"
	  " (64M for nbd://, 0 for iscsi://)", OPTION_WRITE_LOG, true },
	{ "shared", "NAME", "others write this device, too: nothing is written again (may be repeated)",
	  OPTION_SHARED, true },
	{ "pidfile", "FILE", "write the process id once every listener accepts", 'P', false },
	{ "run", "CMD", "serve while CMD runs: it sees $uri, $nbd_uri, $iscsi_uri",
	  OPTION_RUN, false },
	{ "discover", "HOST[:PORT]", "list the iSCSI targets there, and serve nothing",
	  OPTION_DISCOVER, false },
	{ "luns", NULL, "with --discover: and their logical units", OPTION_LUNS, true },
	{ "json", NULL, "with --discover: in JSON", OPTION_JSON, true },
	{ "single", NULL, "serve one NBD client on stdin and stdout", 's', true },
	{ "block-size", "BYTES", "logical blocks of the iSCSI units, where they are ours to choose: "
	  "512 or 4096 (512)", OPTION_BLOCK_SIZE, true },
	{ "state-dir", "DIR", "keep persistent reservations there (APTPL; default: $STATE_DIRECTORY)",
	  OPTION_STATE_DIR, true },
	{ "handshake-timeout", "SECONDS", "for NBD clients that do not get to the point (10; 0: none)",
	  OPTION_HANDSHAKE_TIMEOUT, true },
	{ "tls", "MODE", "TLS of NBD clients: off, on (as they like) or require", OPTION_TLS, true },
	{ "tls-certificates", "DIR", "with ca-cert.pem, server-cert.pem, server-key.pem",
	  OPTION_TLS_CERTIFICATES, true },
	{ "tls-psk", "FILE", "pre-shared keys, a user:hexkey per line", OPTION_TLS_PSK, true },
	{ "tls-verify-peer", NULL, "only clients with a certificate of our CA",
	  OPTION_TLS_VERIFY_PEER, true },
	{ "tls-allow", "DN", "... and of this distinguished name (may be repeated)",
	  OPTION_TLS_ALLOW, true },
	{ "tls-only", "NAME", "with --tls=on: this export needs TLS (may be repeated)",
	  OPTION_TLS_ONLY, true },
	{ "chap-user", "NAME", "CHAP user of iscsi:// devices without user@", OPTION_CHAP_USER, true },
	{ "chap-secret", "[USER=]FILE", "with the secret, or credential:NAME (may be repeated)",
	  OPTION_CHAP_SECRET, true },
	{ "mutual-user", "[USER=]NAME", "that the target has to have (default: any)",
	  OPTION_MUTUAL_USER, true },
	{ "mutual-secret", "[USER=]FILE", "by which the target has to prove itself (default: need not)",
	  OPTION_MUTUAL_SECRET, true },
	{ "verbose", NULL, "trace everything to stderr", 'v', false },
	{ "debug", "AREA[,..]", "trace some areas only: iscsi.pdu, scsi.cdb, nbd.req, …",
	  OPTION_DEBUG, false },
	{ "version", NULL, "print the version", 'V', false },
	{ "help", NULL, "print this; --help-all: with TLS, CHAP and rarer options", 'h', false },
	{ "help-all", NULL, "print this", OPTION_HELP_ALL, true },
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
		option->name, option->argument, option->help, OPTION_INITIATOR + (int)i, true,
	};
}

static void print_initiator_options(void)
{
	size_t count;
	const struct initiator_option *initiator = initiator_options(&count);

	printf("\nOf iscsi:// devices (and their defaults):\n");
	for (size_t i = 0; i < count; i++) {
		struct option_row row = initiator_row(&initiator[i], i);

		print_option(&row);
	}
}

static void print_help(bool all)
{
	printf("Usage: nbd-iscsi-gateway [OPTION]... [NAME=]DEVICE...\n"
	       "Serve every DEVICE to NBD clients and to iSCSI initiators.\n\n");
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (all || !options[i].advanced)
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

static enum conf_verdict wrong(char *why, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);

static enum conf_verdict wrong(char *why, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, size, fmt, args);
	va_end(args);
	return CONF_WRONG;
}

static void *grow(void *array, unsigned count, size_t item)
{
	void *bigger = realloc(array, (count + 1) * item);

	if (!bigger) {
		perror("nbd-iscsi-gateway");
		exit(EXIT_FAILURE);
	}
	return bigger;
}

static enum conf_verdict add_address(struct address **list, unsigned *count, const char *text,
				     bool iscsi, char *why, size_t size)
{
	char reason[200];

	*list = grow(*list, *count, sizeof(**list));
	if (!address_parse(text, iscsi ? ADDRESS_ISCSI : ADDRESS_NBD, &(*list)[*count], reason,
			   sizeof(reason)))
		return wrong(why, size, "--%s=%s: %s", iscsi ? "iscsi" : "nbd", text, reason);
	++*count;
	return CONF_RUN;
}

static enum conf_verdict set_threads(struct conf *conf, const char *text, char *why, size_t size)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 1 || n > MAX_THREADS)
		return wrong(why, size, "--threads=%s: not a number from 1 to %d", text, MAX_THREADS);
	conf->threads = (unsigned)n;
	return CONF_RUN;
}

static enum conf_verdict set_block_size(struct conf *conf, const char *text, char *why,
					size_t size)
{
	if (strcmp(text, "512") != 0 && strcmp(text, "4096") != 0)
		return wrong(why, size, "--block-size=%s: neither 512 nor 4096", text);
	conf->block_size = text[0] == '5' ? 512 : 4096;
	return CONF_RUN;
}

static enum conf_verdict set_handshake_timeout(struct conf *conf, const char *text, char *why,
					       size_t size)
{
	char *end;

	conf->handshake_timeout = strtod(text, &end);
	if (end == text || *end || !(conf->handshake_timeout >= 0 && conf->handshake_timeout < 1e6))
		return wrong(why, size, "--handshake-timeout=%s: not a number of seconds", text);
	return CONF_RUN;
}

static enum conf_verdict set_write_log(struct conf *conf, const char *text, char *why, size_t size)
{
	bool none = strcmp(text, "0") == 0;

	conf->write_log = 0;
	if (!none && (!device_size_parse(text, &conf->write_log) || conf->write_log > MAX_WRITE_LOG))
		return wrong(why, size, "--write-log=%s: not a size up to %uG (for example 64M)", text,
			     (unsigned)(MAX_WRITE_LOG >> 30));
	conf->has_write_log = true;
	return CONF_RUN;
}

static enum conf_verdict set_tls_mode(struct conf *conf, const char *text, char *why, size_t size)
{
	static const char *const names[] = {
		[TLS_OFF] = "off", [TLS_ON] = "on", [TLS_REQUIRE] = "require",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0) {
			conf->tls.mode = (enum tls_mode)i;
			return CONF_RUN;
		}
	return wrong(why, size, "--tls=%s: not off, on or require", text);
}

static enum conf_verdict add_text(const char ***list, unsigned *count, const char *text)
{
	*list = grow(*list, *count, sizeof(**list));
	(*list)[(*count)++] = text;
	return CONF_RUN;
}

static enum conf_verdict set_target(struct conf *conf, const char *text, char *why, size_t size)
{
	if (!iscsi_name_valid(text))
		return wrong(why, size, "--target=%s: not an iSCSI name "
			     "(iqn.YYYY-MM.reversed.domain:name, eui. or naa.)", text);
	snprintf(conf->target, sizeof(conf->target), "%s", text);
	return CONF_RUN;
}

static enum conf_verdict set_debug(const char *areas, char *why, size_t size)
{
	while (*areas) {
		size_t len = strcspn(areas, ",");

		if (!log_enable(areas, len)) {
			int used = snprintf(why, size, "--debug=%.*s: no such area; there are:",
					    (int)len, areas);
#define APPEND_AREA(name, flag) \
			if (used > 0 && (size_t)used < size) \
				used += snprintf(why + used, size - (size_t)used, " %s", name);
			LOG_AREAS(APPEND_AREA)
#undef APPEND_AREA
			return CONF_WRONG;
		}
		areas += len + (areas[len] == ',');
	}
	return CONF_RUN;
}

static enum conf_verdict set_initiator_option(struct conf *conf, size_t i, const char *value,
					      char *why, size_t size)
{
	size_t count;
	const struct initiator_option *option = &initiator_options(&count)[i];
	char reason[160];

	if (initiator_option_set(&conf->initiator, option, value, reason, sizeof(reason)))
		return CONF_RUN;
	return wrong(why, size, "--%s=%s: %s", option->name, value, reason);
}

/* NAME= is there when a '=' comes before the scheme's ':'. */
static enum conf_verdict add_device(struct conf *conf, const char *text, char *why, size_t size)
{
	size_t name_len = strcspn(text, "=:");
	bool named = text[name_len] == '=';
	struct conf_device *device;
	char name[32];

	if (conf->device_count == MAX_DEVICES)
		return wrong(why, size, "more than %d devices", MAX_DEVICES);
	if (named && name_len == 0)
		return wrong(why, size, "%s: the name before '=' is empty", text);
	if (named && name_len > 4096)
		return wrong(why, size, "a device name is longer than 4096 bytes");
	conf->devices = grow(conf->devices, conf->device_count, sizeof(*device));
	device = &conf->devices[conf->device_count];
	snprintf(name, sizeof(name), "lun%u", conf->device_count);
	device->named = named;
	device->name = named ? strndup(text, name_len) : strdup(name);
	device->uri = named ? text + name_len + 1 : text;
	conf->device_count++;
	for (unsigned i = 0; i + 1 < conf->device_count; i++)
		if (strcmp(conf->devices[i].name, device->name) == 0)
			return wrong(why, size, "two devices are named \"%s\"", device->name);
	return CONF_RUN;
}

static enum conf_verdict take_tls_option(struct conf_tls *tls, int value, const char *argument)
{
	switch (value) {
	case OPTION_TLS_CERTIFICATES:
		tls->certificates = argument;
		return CONF_RUN;
	case OPTION_TLS_PSK:
		tls->psk = argument;
		return CONF_RUN;
	case OPTION_TLS_VERIFY_PEER:
		tls->verify_peer = true;
		return CONF_RUN;
	case OPTION_TLS_ALLOW:
		return add_text(&tls->allow, &tls->allow_count, argument);
	case OPTION_TLS_ONLY:
		return add_text(&tls->only, &tls->only_count, argument);
	}
	return CONF_WRONG;
}

static enum conf_verdict take_iscsi_option(struct conf *conf, int value, const char *argument)
{
	struct accounts *accounts = &conf->accounts;

	switch (value) {
	case OPTION_DISCOVER:
		conf->discover.portal = argument;
		return CONF_RUN;
	case OPTION_LUNS:
		conf->discover.luns = true;
		return CONF_RUN;
	case OPTION_JSON:
		conf->discover.json = true;
		return CONF_RUN;
	case OPTION_CHAP_USER:
		accounts->user = argument;
		return CONF_RUN;
	case OPTION_CHAP_SECRET:
		accounts_add(accounts, ACCOUNT_SECRET, argument);
		return CONF_RUN;
	case OPTION_MUTUAL_USER:
		accounts_add(accounts, ACCOUNT_MUTUAL_USER, argument);
		return CONF_RUN;
	case OPTION_MUTUAL_SECRET:
		accounts_add(accounts, ACCOUNT_MUTUAL_SECRET, argument);
		return CONF_RUN;
	}
	return CONF_WRONG;
}

static enum conf_verdict take_option(struct conf *conf, int value, const char *argument, char *why,
				     size_t size)
{
	if (value >= OPTION_INITIATOR)
		return set_initiator_option(conf, (size_t)(value - OPTION_INITIATOR), argument, why,
					    size);
	if (value >= OPTION_DISCOVER)
		return take_iscsi_option(conf, value, argument);
	switch (value) {
	case 'n':
		return add_address(&conf->nbd, &conf->nbd_count, argument, false, why, size);
	case 'i':
		return add_address(&conf->iscsi, &conf->iscsi_count, argument, true, why, size);
	case 't':
		return set_target(conf, argument, why, size);
	case 'T':
		return set_threads(conf, argument, why, size);
	case OPTION_DEBUG:
		return set_debug(argument, why, size);
	case OPTION_TLS:
		return set_tls_mode(conf, argument, why, size);
	case 'r':
		conf->read_only = true;
		return CONF_RUN;
	case 'P':
		conf->pidfile = argument;
		return CONF_RUN;
	case OPTION_RUN:
		conf->run = argument;
		return CONF_RUN;
	case OPTION_STATE_DIR:
		conf->state_dir = argument;
		return CONF_RUN;
	case 's':
		conf->single = true;
		return CONF_RUN;
	case OPTION_BLOCK_SIZE:
		return set_block_size(conf, argument, why, size);
	case OPTION_HANDSHAKE_TIMEOUT:
		return set_handshake_timeout(conf, argument, why, size);
	case OPTION_WRITE_LOG:
		return set_write_log(conf, argument, why, size);
	case OPTION_SHARED:
		return add_text(&conf->shared, &conf->shared_count, argument);
	case 'v':
		return set_debug("all", why, size);
	case 'V':
		print_version();
		return CONF_DONE;
	case 'h':
	case OPTION_HELP_ALL:
		print_help(value == OPTION_HELP_ALL);
		return CONF_DONE;
	}
	return take_tls_option(&conf->tls, value, argument);
}

/* The option as the user wrote it, for the two mistakes that getopt finds. */
static enum conf_verdict wrong_option(int value, char **argv, char *why, size_t size)
{
	const char *argument = argv[optind - 1];
	const char *says = value == ':' ? "needs an argument" : "no such option; try --help";

	if (argument[0] == '-' && argument[1] == '-')
		return wrong(why, size, "%s: %s", argument, says);
	return wrong(why, size, "-%c: %s", optopt, says);
}

static struct option getopt_row(const struct option_row *row)
{
	return (struct option){
		.name = row->name, .val = row->value,
		.has_arg = row->argument ? required_argument : no_argument,
	};
}

static enum conf_verdict parse_options(struct conf *conf, int argc, char **argv, char *why,
				       size_t size)
{
	struct option long_options[MAX_OPTIONS + 1];
	char letters[2 * OPTION_COUNT + 3] = ":";
	enum conf_verdict verdict = CONF_RUN;
	size_t initiator_count;
	const struct initiator_option *initiator = initiator_options(&initiator_count);
	int value;

	assert(OPTION_COUNT + initiator_count <= MAX_OPTIONS);
	memset(long_options, 0, sizeof(long_options));
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		long_options[i] = getopt_row(&options[i]);
		if (has_letter(&options[i]))
			snprintf(letters + strlen(letters), 3, "%c%s", options[i].value,
				 options[i].argument ? ":" : "");
	}
	for (size_t i = 0; i < initiator_count; i++) {
		struct option_row row = initiator_row(&initiator[i], i);

		long_options[OPTION_COUNT + i] = getopt_row(&row);
	}
	while (verdict == CONF_RUN &&
	       (value = getopt_long(argc, argv, letters, long_options, NULL)) != -1)
		verdict = value == '?' || value == ':' ? wrong_option(value, argv, why, size)
						       : take_option(conf, value, optarg, why, size);
	return verdict;
}

static bool is_device(const struct conf *conf, const char *name)
{
	for (unsigned i = 0; i < conf->device_count; i++)
		if (strcmp(conf->devices[i].name, name) == 0)
			return true;
	return false;
}

static enum conf_verdict check_tls(const struct conf *conf, char *why, size_t size)
{
	const struct conf_tls *tls = &conf->tls;
	bool keys = tls->certificates || tls->psk;

	if (tls->mode != TLS_OFF && !keys)
		return wrong(why, size, "--tls needs --tls-certificates=DIR or --tls-psk=FILE");
	if (tls->mode == TLS_OFF && (keys || tls->verify_peer))
		return wrong(why, size, "TLS keys are given, but not --tls=on or --tls=require");
	if (tls->verify_peer && !tls->certificates)
		return wrong(why, size, "--tls-verify-peer needs --tls-certificates=DIR");
	if (tls->allow_count && !tls->verify_peer)
		return wrong(why, size, "--tls-allow needs --tls-verify-peer");
	if (tls->only_count && tls->mode != TLS_ON)
		return wrong(why, size, "--tls-only needs --tls=on");
	for (unsigned i = 0; i < tls->only_count; i++)
		if (!is_device(conf, tls->only[i]))
			return wrong(why, size, "--tls-only=%s: no device has this name",
				     tls->only[i]);
	return CONF_RUN;
}

/* What only makes sense together. */
static enum conf_verdict check(struct conf *conf, char *why, size_t size)
{
	if (conf->discover.portal)
		return conf->device_count ? wrong(why, size, "--discover serves no DEVICE") : CONF_RUN;
	if (conf->discover.luns || conf->discover.json)
		return wrong(why, size, "--luns and --json go with --discover=HOST[:PORT]");
	if (conf->device_count == 0)
		return wrong(why, size, "no DEVICE to serve; for example: %s", example);
	if (conf->nbd_count + conf->iscsi_count == 0 && !conf->single && !getenv("LISTEN_FDS"))
		return wrong(why, size, "nothing to listen on: give --nbd=ADDR or --iscsi=ADDR; "
			     "for example: %s", example);
	for (unsigned i = 0; i < conf->shared_count; i++)
		if (!is_device(conf, conf->shared[i]))
			return wrong(why, size, "--shared=%s: no device has this name",
				     conf->shared[i]);
	return check_tls(conf, why, size);
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

enum conf_verdict conf_parse(struct conf *conf, int argc, char **argv, char *why, size_t size)
{
	enum conf_verdict verdict;

	memset(conf, 0, sizeof(*conf));
	conf->threads = cpus_available();
	conf->block_size = 512;
	conf->handshake_timeout = 10;
	initiator_conf_init(&conf->initiator);
	conf->state_dir = getenv("STATE_DIRECTORY");	/* systemd.exec(5), StateDirectory= */
	default_target(conf);
	opterr = 0;
	verdict = parse_options(conf, argc, argv, why, size);
	for (int i = optind; verdict == CONF_RUN && i < argc; i++)
		if (!conf->single || strcmp(argv[i], "-") != 0)	/* "--single -": as if it were said */
			verdict = add_device(conf, argv[i], why, size);
	return verdict == CONF_RUN ? check(conf, why, size) : verdict;
}

void conf_free(struct conf *conf)
{
	for (unsigned i = 0; i < conf->device_count; i++)
		free(conf->devices[i].name);
	free(conf->devices);
	free(conf->nbd);
	free(conf->iscsi);
	free(conf->tls.allow);
	free(conf->tls.only);
	accounts_free(&conf->accounts);
	free(conf->shared);
}
