/* What each option means; see conf_option.h. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_limit.h"
#include "conf_option.h"
#include "device.h"
#include "initiator_option.h"
#include "log.h"
#include "need.h"

#define MAX_WRITE_LOG	(UINT64_C(64) << 30)

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

/* Of threads, or of what each of them may have one. */
static bool set_threads(unsigned *count, const char *text, char *why, size_t size)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 1 || n > CONF_MAX_THREADS)
		return wrong(why, size, "not a number from 1 to %d", CONF_MAX_THREADS);
	*count = (unsigned)n;
	return true;
}

static bool set_block_size(struct conf *conf, const char *text, char *why, size_t size)
{
	if (strcmp(text, "512") != 0 && strcmp(text, "4096") != 0)
		return wrong(why, size, "neither 512 nor 4096");
	conf->block_size = text[0] == '5' ? 512 : 4096;
	return true;
}

static bool set_write_log(struct conf_reach *reach, const char *text, char *why, size_t size)
{
	bool none = strcmp(text, "0") == 0;

	reach->write_log = 0;
	if (!none && (!device_size_parse(text, &reach->write_log) || reach->write_log > MAX_WRITE_LOG))
		return wrong(why, size, "not a size up to %uG (for example 64M)",
			     (unsigned)(MAX_WRITE_LOG >> 30));
	reach->has_write_log = true;
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
	*list = need_more(*list, *count, sizeof(**list));
	(*list)[(*count)++] = text;
	return true;
}

static bool set_target(struct conf *conf, const char *text, char *why, size_t size)
{
	const char *refusal = iscsi_name_refusal(text);

	if (refusal)
		return wrong(why, size, "%s", refusal);
	snprintf(conf->target, sizeof(conf->target), "%s", text);
	return true;
}

static bool set_debug(struct conf *conf, const char *areas, char *why, size_t size)
{
	while (*areas) {
		size_t len = strcspn(areas, ",");
		unsigned found = log_areas(areas, len);

		if (!found) {
			int used = snprintf(why, size, "no such area; there are:");
#define APPEND_AREA(name, flag) \
			if (used > 0 && (size_t)used < size) \
				used += snprintf(why + used, size - (size_t)used, " %s", name);
			LOG_AREAS(APPEND_AREA)
#undef APPEND_AREA
			return false;
		}
		conf->debug |= found;
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

static bool set_initiator_option(struct conf_reach *reach, size_t i, const char *value, char *why,
				 size_t size)
{
	size_t count;

	return initiator_option_set(&reach->initiator, &initiator_options(&count)[i], value, why, size);
}

static bool set_limit(struct conf *conf, size_t i, const char *value, char *why, size_t size)
{
	size_t count;

	return conf_limit_set(conf, &conf_limits(&count)[i], value, why, size);
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

bool conf_option_reach(struct conf_reach *reach, int value, const char *argument, char *why,
		       size_t size)
{
	switch (value) {
	case OPTION_WRITE_LOG:
		return set_write_log(reach, argument, why, size);
	case OPTION_CONNECTIONS:
		return set_threads(&reach->connections, argument, why, size);
	case OPTION_DEVICE_TLS_CERTIFICATES:
		reach->tls_certificates = argument;
		return true;
	case OPTION_DEVICE_TLS_PSK:
		reach->tls_psk = argument;
		return true;
	}
	return set_initiator_option(reach, (size_t)(value - OPTION_INITIATOR), argument, why, size);
}

bool conf_option_take(struct conf *conf, int value, const char *argument, char *why, size_t size)
{
	if (value >= OPTION_INITIATOR || (value >= OPTION_WRITE_LOG && value <= OPTION_DEVICE_TLS_PSK))
		return conf_option_reach(&conf->reach, value, argument, why, size);
	if (value >= OPTION_LIMIT)
		return set_limit(conf, (size_t)(value - OPTION_LIMIT), argument, why, size);
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
		return set_threads(&conf->threads, argument, why, size);
	case OPTION_DEBUG:
		return set_debug(conf, argument, why, size);
	case OPTION_TLS:
		return set_tls_mode(conf, argument, why, size);
	case OPTION_BLOCK_SIZE:
		return set_block_size(conf, argument, why, size);
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
	case 'v':
		return set_debug(conf, "all", why, size);
	}
	return take_tls_option(&conf->tls, value, argument);
}
