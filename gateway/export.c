/* Finding exports by NBD name; see export.h. */
#include "config.h"

#include <string.h>

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
