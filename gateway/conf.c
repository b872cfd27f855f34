/*
 * The command line. One row per option is the parser's table and the help text
 * at once, so that neither can say what the other does not know.
 */
#include "config.h"

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
#include "log.h"

#define MAX_THREADS	256
#define MAX_DEVICES	16384	/* LUNs of flat addressing, SAM-5 §4.7.7.4 */

struct option_row {
	const char *name, *argument, *help;
	char letter;			/* 0 = long form only */
};

/* In the order of --help. Values of the long-only options lie above any letter. */
enum { OPTION_RUN = 0x100, OPTION_DEBUG };

static const struct option_row options[] = {
	{ "nbd", "ADDR", "listen for NBD clients (may be repeated)", 'n' },
	{ "iscsi", "ADDR", "listen for iSCSI initiators (default port 3260; may be repeated)", 'i' },
	{ "target", "IQN", "iSCSI target name (default: from the host name)", 't' },
	{ "read-only", NULL, "no writes on any side", 'r' },
	{ "threads", "N", "worker threads (default: CPUs available)", 'T' },
	{ "pidfile", "FILE", "write the process id once every listener accepts", 'P' },
	{ "run", "CMD", "serve while CMD runs: it sees $uri, $nbd_uri, $iscsi_uri", 0 },
	{ "verbose", NULL, "trace everything to stderr", 'v' },
	{ "debug", "AREA[,..]", "trace some areas only: iscsi.pdu, scsi.cdb, nbd.req, …", 0 },
	{ "version", NULL, "print the version", 'V' },
	{ "help", NULL, "print this", 'h' },
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

static const char example[] =
	"nbd-iscsi-gateway --nbd=:10809 iscsi://san.example/iqn.2001-04.com.example:disk/0";

static int option_value(const struct option_row *row)
{
	if (row->letter)
		return row->letter;
	return strcmp(row->name, "run") == 0 ? OPTION_RUN : OPTION_DEBUG;
}

static void print_help(void)
{
	printf("Usage: nbd-iscsi-gateway [OPTION]... [NAME=]DEVICE...\n"
	       "Serve every DEVICE to NBD clients and to iSCSI initiators.\n\n");
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", options[i].name,
			 options[i].argument ? "=" : "", options[i].argument ? options[i].argument : "");
		if (options[i].letter)
			printf("  -%c, %-18s %s\n", options[i].letter, left, options[i].help);
		else
			printf("      %-18s %s\n", left, options[i].help);
	}
	printf("\nADDR is host:port, [v6]:port, :port or, for NBD, unix:/path; port 0 is any free one.\n"
	       "DEVICE is iscsi://[user@]host[:port]/target-iqn/lun, file:PATH, mem:SIZE, or an NBD\n"
	       "URI: nbd://, nbds://, nbd+unix://, nbds+unix://. NAME is its NBD export name; the\n"
	       "first is the default export, too. LUNs are numbered by position, from 0.\n\n"
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

static enum conf_verdict take_option(struct conf *conf, int value, const char *argument, char *why,
				     size_t size)
{
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
	case 'r':
		conf->read_only = true;
		return CONF_RUN;
	case 'P':
		conf->pidfile = argument;
		return CONF_RUN;
	case OPTION_RUN:
		conf->run = argument;
		return CONF_RUN;
	case 'v':
		return set_debug("all", why, size);
	case 'V':
		print_version();
		return CONF_DONE;
	case 'h':
		print_help();
		return CONF_DONE;
	}
	return CONF_WRONG;
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

static enum conf_verdict parse_options(struct conf *conf, int argc, char **argv, char *why,
				       size_t size)
{
	struct option long_options[OPTION_COUNT + 1];
	char letters[2 * OPTION_COUNT + 3] = ":";
	enum conf_verdict verdict = CONF_RUN;
	int value;

	memset(long_options, 0, sizeof(long_options));
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		long_options[i].name = options[i].name;
		long_options[i].has_arg = options[i].argument ? required_argument : no_argument;
		long_options[i].val = option_value(&options[i]);
		if (options[i].letter)
			snprintf(letters + strlen(letters), 3, "%c%s", options[i].letter,
				 options[i].argument ? ":" : "");
	}
	while (verdict == CONF_RUN &&
	       (value = getopt_long(argc, argv, letters, long_options, NULL)) != -1)
		verdict = value == '?' || value == ':' ? wrong_option(value, argv, why, size)
						       : take_option(conf, value, optarg, why, size);
	return verdict;
}

/* What only makes sense together. */
static enum conf_verdict check(struct conf *conf, char *why, size_t size)
{
	if (conf->device_count == 0)
		return wrong(why, size, "no DEVICE to serve; for example: %s", example);
	if (conf->nbd_count + conf->iscsi_count == 0)
		return wrong(why, size, "nothing to listen on: give --nbd=ADDR or --iscsi=ADDR; "
			     "for example: %s", example);
	return CONF_RUN;
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
	default_target(conf);
	opterr = 0;
	verdict = parse_options(conf, argc, argv, why, size);
	for (int i = optind; verdict == CONF_RUN && i < argc; i++)
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
}
