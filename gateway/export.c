/* The life of an export; see export.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "export.h"

struct export *export_new(const char *uri)
{
	struct export *export = calloc(1, sizeof(*export));

	if (export)
		export->uri = strdup(uri);
	if (export && !export->uri) {
		free(export);
		export = NULL;
	}
	return export;
}

void export_free(struct export *export)
{
	if (!export)
		return;
	device_free(export->device);
	free(export->instance);
	free(export->uri);
	free(export);
}
