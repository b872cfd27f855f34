/* The exports of the NBD server, a snapshot; see nbd_exports.h. */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nbd_exports.h"
#include "utf8.h"

#define NAME_MAX_BYTES	4096	/* NBD proto.md, "Values": strings */

struct nbd_exports *nbd_exports_new(void)
{
	struct nbd_exports *exports = calloc(1, sizeof(*exports));

	if (exports)
		atomic_init(&exports->holders, 1);
	return exports;
}

struct nbd_exports *nbd_exports_hold(struct nbd_exports *exports)
{
	atomic_fetch_add(&exports->holders, 1);
	return exports;
}

static void nbd_export_free(struct nbd_export *export)
{
	if (!export)
		return;
	for (unsigned i = 0; i < export->allow_count; i++)
		free(export->allow[i]);
	free(export->allow);
	free(export->from.prefixes);
	free(export->doors);
	free(export->description);
	free(export->name);
	free(export);
}

void nbd_exports_drop(struct nbd_exports *exports)
{
	if (!exports || atomic_fetch_sub(&exports->holders, 1) > 1)
		return;
	for (unsigned i = 0; i < exports->count; i++)
		nbd_export_free(exports->list[i]);
	free(exports->list);
	free(exports->reserved);
	free(exports);
}

/* proto.md, "Values": strings are UTF-8; a client may well take others for garbage. */
static bool is_text(const char *text)
{
	unsigned len = 1;

	for (; *text && len; text += len)
		len = utf8_length(text);
	return len;
}

const char *nbd_exports_add(struct nbd_exports *exports, const char *name, struct export *export,
			    struct nbd_export **added)
{
	struct nbd_export *new, **larger;

	if (!name[0])
		return "the name is empty";
	if (strlen(name) > NAME_MAX_BYTES)
		return "the name is longer than 4096 bytes";
	if (!is_text(name))
		return "the name is not UTF-8";
	if (nbd_exports_find(exports, name, strlen(name)))
		return "there are two of this name";
	larger = realloc(exports->list, (exports->count + 1) * sizeof(*larger));
	if (larger)
		exports->list = larger;
	new = calloc(1, sizeof(*new));
	if (new)
		new->name = strdup(name);
	if (!larger || !new || !new->name) {
		nbd_export_free(new);
		return "out of memory";
	}
	new->export = export;
	new->from.auth = ACCESS_OPEN;
	exports->list[exports->count++] = new;
	*added = new;
	return NULL;
}

const char *nbd_export_allow(struct nbd_export *export, const char *distinguished_name)
{
	char *copy = strdup(distinguished_name);
	char **larger = realloc(export->allow, (export->allow_count + 1) * sizeof(*larger));

	if (larger)
		export->allow = larger;
	if (!copy || !larger) {
		free(copy);
		return "out of memory";
	}
	export->allow[export->allow_count++] = copy;
	return NULL;
}

const char *nbd_export_allow_from(struct nbd_export *export, const char *text)
{
	return access_add_prefix(&export->from, text);
}

const char *nbd_export_describe(struct nbd_export *export, const char *description)
{
	if (strlen(description) > NAME_MAX_BYTES)
		return "the description is longer than 4096 bytes";
	if (!is_text(description))
		return "the description is not UTF-8";
	free(export->description);
	export->description = strdup(description);
	return export->description ? NULL : "out of memory";
}

static const char *add_door(uint16_t **doors, unsigned *count, uint16_t door)
{
	uint16_t *larger = realloc(*doors, (*count + 1) * sizeof(*larger));

	if (!larger)
		return "out of memory";
	larger[(*count)++] = door;
	*doors = larger;
	return NULL;
}

const char *nbd_export_add_door(struct nbd_export *export, uint16_t door)
{
	assert(export->own_doors && door > 0);
	return add_door(&export->doors, &export->door_count, door);
}

const char *nbd_exports_reserve(struct nbd_exports *exports, uint16_t door)
{
	assert(door > 0);
	return add_door(&exports->reserved, &exports->reserved_count, door);
}

static bool has_door(const uint16_t *doors, unsigned count, uint16_t door)
{
	for (unsigned i = 0; i < count; i++)
		if (doors[i] == door)
			return true;
	return false;
}

bool nbd_exports_leads(const struct nbd_exports *exports, uint16_t door,
		       const struct nbd_export *export)
{
	return export->own_doors ? has_door(export->doors, export->door_count, door)
				 : !has_door(exports->reserved, exports->reserved_count, door);
}

const struct nbd_export *nbd_exports_default(const struct nbd_exports *exports, uint16_t door)
{
	for (unsigned i = 0; i < exports->count; i++)
		if (nbd_exports_leads(exports, door, exports->list[i]))
			return exports->list[i];
	return NULL;
}

const struct nbd_export *nbd_exports_find(const struct nbd_exports *exports, const char *name,
					  size_t len)
{
	for (unsigned i = 0; i < exports->count; i++) {
		const char *known = exports->list[i]->name;

		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return exports->list[i];
	}
	return NULL;
}
