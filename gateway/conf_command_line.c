/* The command line, and its help, by the table of conf_option.h. */
#include "config.h"

#include <assert.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "conf_option.h"
#include "need.h"

#define MAX_OPTIONS	128
#define HELP_COLUMN	18

/* Help -------------------------------------------------------------------- */

static bool has_letter(const struct conf_option *row)
{
	return row->value < OPTION_RUN;
}

static void print_option(const struct conf_option *row)
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

/* Those of these values. */
static void print_rows(int first, int end, bool all)
{
	for (size_t i = 0; i < conf_option_count(); i++) {
		struct conf_option row = conf_option_at(i);

		if (row.value >= first && row.value < end && (all || !(row.flags & ADVANCED)))
			print_option(&row);
	}
}

static void print_help(bool all)
{
	printf("Usage: nbd-iscsi-gateway [OPTION]... [NAME=]DEVICE...\n"
	       "Serve every DEVICE to NBD clients and to iSCSI initiators.\n\n");
	print_rows(0, OPTION_LIMIT, all);
	if (all) {
		printf("\nLimits of what is served (and their defaults):\n");
		print_rows(OPTION_LIMIT, OPTION_INITIATOR, true);
		printf("\nOf iscsi:// devices (and their defaults):\n");
		print_rows(OPTION_INITIATOR, INT_MAX, true);
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

/* The command line -------------------------------------------------------- */

bool conf_is_given(const struct conf *conf, int value)
{
	for (unsigned i = 0; i < conf->given_count; i++)
		if (conf->given[i].value == value)
			return true;
	return false;
}

/* NULL: there is none of this value. */
static const char *name_of(int value)
{
	for (size_t i = 0; i < conf_option_count(); i++)
		if (conf_option_at(i).value == value)
			return conf_option_at(i).name;
	return NULL;
}

static bool is_short_for_several(const char *argument)
{
	size_t len = strcspn(argument + 2, "=");
	unsigned found = 0;

	for (size_t i = 0; i < conf_option_count(); i++)
		found += strncmp(conf_option_at(i).name, argument + 2, len) == 0;
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
	else if (optopt && name_of(optopt))
		conf_wrong(conf, 0, "%s: --%s takes no argument", argument, name_of(optopt));
	else if (optopt)	/* among letters, argv[] is not yet that far */
		conf_wrong(conf, 0, "-%c: no such option; try --help", optopt);
	else if (is_short_for_several(argument))
		conf_wrong(conf, 0, "%s: that is short for several options; try --help-all", argument);
	else
		conf_wrong(conf, 0, "%s: no such option; try --help", argument);
}

static void fill_getopt(struct option *long_options, char *letters)
{
	for (size_t i = 0; i < conf_option_count(); i++) {
		struct conf_option row = conf_option_at(i);

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
	char letters[2 * MAX_OPTIONS + 3] = ":";
	int value;

	assert(conf_option_count() <= MAX_OPTIONS);
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
		conf_wrong(conf, 0, "--%s=%s: %s", conf_option_name(given->value), given->argument, why);
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
