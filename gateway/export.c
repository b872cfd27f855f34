/* Finding exports, by NBD name or by what they are as logical units; see export.h. */
#include "config.h"

#include <string.h>

#include "device.h"
#include "export.h"

struct export *export_find(const struct export_table *table, const char *name, size_t len)
{
	if (len == 0)
		return table->count ? &table->export[0] : NULL;
	for (unsigned i = 0; i < table->count; i++) {
		struct export *export = &table->export[i];

		if (strlen(export->name) == len && memcmp(export->name, name, len) == 0)
			return export;
	}
	return NULL;
}

/* Every unit is mapped to every nexus that has logged in, under the same LUN. */
static struct scsi_lu *find_by_naa(const struct lu_directory *lu_directory,
				   const struct nexus *nexus, uint64_t naa)
{
	const struct export_directory *directory =
		container_of(lu_directory, const struct export_directory, directory);
	const struct export_table *table = directory->table;

	(void)nexus;
	for (unsigned i = 0; i < table->count; i++) {
		const struct lu_shared *shared = table->export[i].device->lu_shared;

		if (shared && lu_shared_naa(shared) == naa)
			return table->export[i].instance[directory->worker].lu;
	}
	return NULL;
}

void export_directory_init(struct export_directory *directory, const struct export_table *table,
			   unsigned worker)
{
	directory->directory.find = find_by_naa;
	directory->table = table;
	directory->worker = worker;
}
