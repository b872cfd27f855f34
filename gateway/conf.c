/*
 * A configuration's life: the command line, the file that it may name, and what they make
 * together; see conf.h.
 */
#include "config.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "conf_option.h"
#include "need.h"
#include "ucl.h"

/* Noting what is wrong --------------------------------------------------- */

const char *conf_place(const struct conf *conf, unsigned line, char place[CONF_PLACE_LEN])
{
	place[0] = '\0';
	if (line)
		snprintf(place, CONF_PLACE_LEN, "%s:%u: ", conf->file, line);
	return place;
}

void conf_wrong(struct conf *conf, unsigned line, const char *fmt, ...)
{
	char text[2048];
	int used = line ? snprintf(text, sizeof(text), "%s:%u: ", conf->file, line) : 0;
	va_list args;

	va_start(args, fmt);
	if ((size_t)used < sizeof(text))
		vsnprintf(text + used, sizeof(text) - (size_t)used, fmt, args);
	va_end(args);
	conf->errors = need_more(conf->errors, conf->error_count, sizeof(*conf->errors));
	conf->errors[conf->error_count++] = (struct conf_error){ line, need(strdup(text)) };
}

/* Sections are read kind by kind; who mends a file goes through it from the top. */
static int by_line(const void *a, const void *b)
{
	const struct conf_error *first = a, *second = b;

	return (first->line > second->line) - (first->line < second->line);
}

struct conf_listener *conf_add_listener(struct conf *conf, const struct address *address,
					uint16_t group, const char *name)
{
	struct conf_listener *listener;

	conf->listeners = need_more(conf->listeners, conf->listener_count,
				    sizeof(*conf->listeners));
	listener = &conf->listeners[conf->listener_count++];
	*listener = (struct conf_listener){
		.address = *address, .group = group, .name = name, .line = conf->line,
	};
	return listener;
}

/* Devices ----------------------------------------------------------------- */

struct conf_device *conf_add_device(struct conf *conf, const char *key, const char *uri)
{
	struct conf_device *device;

	conf->devices = need_more(conf->devices, conf->device_count, sizeof(*device));
	device = &conf->devices[conf->device_count++];
	*device = (struct conf_device){
		.key = need(strdup(key)), .uri = need(strdup(uri)), .lu.block_len = conf->block_size,
		.export = need(export_new(uri)), .kind = device_uri_kind(uri), .reach = conf->reach,
	};
	return device;
}

void conf_free_device(struct conf_device *device)
{
	if (device->account)
		chap_account_wipe(device->account);
	free(device->account);
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
	struct conf_device *device;
	struct nbd_export *export;
	char refusal[256], shown[ISCSI_URL_SHOWN];
	const char *why;

	if (!device_uri_check(argument->uri, refusal, sizeof(refusal))) {
		conf_wrong(conf, 0, "%s: %s", iscsi_url_shown(argument->uri, shown), refusal);
		return;
	}
	device = conf_add_device(conf, argument->name, argument->uri);
	why = access_add_lun(map, lun, device->export, false);
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

static void read_keys(struct conf *conf, unsigned line)
{
	struct conf_tls *tls = &conf->tls;
	const struct tls_conf keys = {
		.certificates = tls->certificates, .psk = tls->psk, .verify_peer = tls->verify_peer,
		.allow = tls->allow, .allow_count = tls->allow_count,
	};
	char why[300];

	tls->credentials = tls_new(&keys, why, sizeof(why));
	if (!tls->credentials)
		conf_wrong(conf, line, "TLS: %s", why);
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
	else if (tls->mode != TLS_OFF)
		read_keys(conf, line);
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
		conf_wrong(conf, 0, "no DEVICE to serve; for example: %s", CONF_EXAMPLE);
	else if (conf->listener_count == 0 && !conf->single && sd_listen_fds(0) == 0)
		conf_wrong(conf, 0, "nothing to listen on: give --nbd=ADDR or --iscsi=ADDR; "
			   "for example: %s", CONF_EXAMPLE);
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
		if (conf_is_given(conf, in_file[i]))
			conf_wrong(conf, 0, "--%s: with --config, that is said in the file",
				   conf_option_name(in_file[i]));
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
	return n < 1 ? 1 : n > CONF_MAX_THREADS ? CONF_MAX_THREADS : (unsigned)n;
}

static void init(struct conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	conf->threads = cpus_available();
	nbd_limits_init(&conf->nbd_limits);
	target_conf_init(&conf->target_limits);
	conf->block_size = 512;
	initiator_conf_init(&conf->reach.initiator);
	conf->state_dir = getenv("STATE_DIRECTORY");	/* systemd.exec(5), StateDirectory= */
	conf->access = need(access_new());
	conf->nbd_exports = need(nbd_exports_new());
	default_target(conf);
}

/* The first mistake in the command line is enough; of the file, all are told. */
static void take_all(struct conf *conf)
{
	if (!conf_take_given(conf) || !check_given(conf) || conf->import)
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
	verdict = conf_collect(conf, argc, argv);
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
	tls_drop(conf->tls.credentials);
	free(conf->tls.allow);
	free(conf->tls.only);
	free(conf->shared);
	accounts_free(&conf->accounts);
	ucl_free(conf->tree);
}

