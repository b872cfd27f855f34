/*
 * DEVICE URIs, and the part of a device that all workers share; see device.h.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "range_lock.h"
#include "write_log.h"

#define WRITE_LOG	(UINT64_C(64) << 20)	/* bytes, of an NBD export */

bool device_size_parse(const char *text, uint64_t *bytes)
{
	static const char units[] = "bkmgtpe";
	char *end;
	const char *unit;
	unsigned shift = 0;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9')
		return false;
	if (*end) {
		unit = strchr(units, *end | 0x20);
		if (!unit || end[1])
			return false;
		shift = 10 * (unsigned)(unit - units);
	}
	/* A size is an off_t in the end: below 2^63. */
	if (*bytes == 0 || *bytes > (uint64_t)INT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool parse_mem(const char *text, uint64_t *bytes, char *why, size_t size)
{
	if (device_size_parse(text, bytes))
		return true;
	snprintf(why, size, "\"%s\" is not a size (for example 64M, 10G, 1T)", text);
	return false;
}

static bool parse_file(const char *path, char *why, size_t size)
{
	if (!*path)
		snprintf(why, size, "the path is empty");
	return *path;
}

static bool parse_iscsi(const char *uri, struct iscsi_url *url, char *why, size_t size)
{
	if (!iscsi_url_parse(uri, url, why, size))
		return false;
	if (!url->has_lun)
		snprintf(why, size, "the LUN is missing: iscsi://host[:port]/target-iqn/lun");
	return url->has_lun;
}

enum device_kind device_uri_kind(const char *uri)
{
	return has_prefix(uri, "mem:") ? DEVICE_MEM : has_prefix(uri, "file:") ? DEVICE_FILE :
	       has_prefix(uri, "iscsi://") ? DEVICE_ISCSI : DEVICE_NBD;
}

/* What a URI says; it is all of the device that can be known without opening it. */
struct parsed {
	enum device_kind kind;
	uint64_t bytes;			/* DEVICE_MEM */
	const char *path;		/* DEVICE_FILE */
	struct iscsi_url url;		/* DEVICE_ISCSI */
};

static bool parse(const char *uri, struct parsed *parsed, char *why, size_t size)
{
	static const char *const nbd[] = { "nbd://", "nbds://", "nbd+unix://", "nbds+unix://" };

	parsed->kind = device_uri_kind(uri);
	switch (parsed->kind) {
	case DEVICE_MEM:
		return parse_mem(uri + strlen("mem:"), &parsed->bytes, why, size);
	case DEVICE_FILE:
		parsed->path = uri + strlen("file:");
		return parse_file(parsed->path, why, size);
	case DEVICE_ISCSI:
		return parse_iscsi(uri, &parsed->url, why, size);
	case DEVICE_NBD:
		break;
	}
	for (size_t i = 0; i < sizeof(nbd) / sizeof(nbd[0]); i++)
		if (has_prefix(uri, nbd[i]))
			return true;
	snprintf(why, size, "not a DEVICE: expected iscsi://, nbd://, nbds://, nbd+unix://, "
		 "nbds+unix://, file:PATH or mem:SIZE");
	return false;
}

bool device_uri_check(const char *uri, char *why, size_t size)
{
	struct parsed parsed;

	return parse(uri, &parsed, why, size);
}

/* What can be opened here and now. */
static bool open_device(struct device *device, const struct parsed *parsed, char *why,
			size_t size)
{
	device->kind = parsed->kind;
	switch (parsed->kind) {
	case DEVICE_MEM:
		device->mem = mem_new(parsed->bytes);
		if (!device->mem)
			snprintf(why, size, "%s", strerror(errno));
		return device->mem;
	case DEVICE_FILE:
		device->file = file_new(parsed->path, device->read_only, why, size);
		return device->file;
	case DEVICE_ISCSI:
		device->url = parsed->url;
		return true;
	case DEVICE_NBD:
		return true;
	}
	return false;
}

struct device *device_new(const char *uri, bool read_only, char *why, size_t size)
{
	struct device *device = calloc(1, sizeof(*device));
	struct parsed parsed;

	if (!device) {
		snprintf(why, size, "%s", strerror(errno));
		return NULL;
	}
	device->uri = uri;
	device->read_only = read_only;
	initiator_conf_init(&device->initiator);
	if (parse(uri, &parsed, why, size) && open_device(device, &parsed, why, size)) {
		device->shared.ranges = range_lock_new();
		if (device->shared.ranges &&
		    device_keep_writes(device, device->kind == DEVICE_NBD ? WRITE_LOG : 0))
			return device;
		snprintf(why, size, "%s", strerror(ENOMEM));
	}
	device_free(device);
	return NULL;
}

/* Memory loses nothing but all of it, and a file's cache is the kernel's. */
bool device_keep_writes(struct device *device, uint64_t bytes)
{
	if (device->kind != DEVICE_NBD && device->kind != DEVICE_ISCSI)
		return true;
	write_log_free(device->shared.log);
	device->shared.log = write_log_new(bytes);
	return device->shared.log;
}

void device_free(struct device *device)
{
	if (!device)
		return;
	chap_account_wipe(&device->account);
	if (device->mem)
		mem_free(device->mem);
	if (device->file)
		file_free(device->file);
	if (device->lu_shared)
		lu_shared_free(device->lu_shared);
	if (device->shared.ranges)
		range_lock_free(device->shared.ranges);
	write_log_free(device->shared.log);
	free(device->tls_certificates);
	free(device->tls_psk);
	free(device);
}
