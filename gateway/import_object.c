/* Storage objects of a saveconfig.json: which of our devices they are; see import_private.h. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "import_private.h"

static const struct ucl_node *find_object(const struct import *im, const char *plugin,
					  size_t plugin_len, const char *name)
{
	for (const struct ucl_node *o = import_list(im->root, "storage_objects"); o; o = o->next)
		if (strcmp(import_text(o, "name"), name) == 0 &&
		    (!plugin || (strlen(import_text(o, "plugin")) == plugin_len &&
				 strncmp(import_text(o, "plugin"), plugin, plugin_len) == 0)))
			return o;
	return NULL;
}

/* Objects of two plugins may be named alike. */
void import_device_name(const struct import *im, const struct ucl_node *object,
			char name[IMPORT_NAME_LEN])
{
	char full[IMPORT_NAME_LEN];

	snprintf(full, sizeof(full), "%s%s%.100s", import_text(object, "plugin"), "-",
		 import_text(object, "name"));
	import_plain_name(find_object(im, NULL, 0, import_text(object, "name")) == object ? import_text(object, "name")
									       : full, name);
}

/* False: nothing of ours does what that plugin does. */
static bool device_uri(const struct ucl_node *object, char uri[IMPORT_PATH_LEN])
{
	const char *plugin = import_text(object, "plugin");

	if (strcmp(plugin, "fileio") == 0 || strcmp(plugin, "block") == 0)
		snprintf(uri, IMPORT_PATH_LEN, "file:%s", import_text(object, "dev"));
	else if (strcmp(plugin, "ramdisk") == 0)
		snprintf(uri, IMPORT_PATH_LEN, "mem:%s", import_text(object, "size"));
	else
		return false;
	return true;
}

/* What of LIO's has no counterpart here, and what to do about it. */
static const char *advice(const struct ucl_node *object)
{
	const char *plugin = import_text(object, "plugin");

	if (strncmp(plugin, "user", 4) == 0)
		return "serve it to NBD, and give a device with uri = nbd://... of this name";
	if (strcmp(plugin, "pscsi") == 0)
		return "SCSI devices of this host are not passed through; a disk is served as uri = file:/dev/...";
	return "nothing here does what it does";
}

static void tell_alua(const struct ucl_node *object, const char *name)
{
	for (const struct ucl_node *g = import_list(object, "alua_tpgs"); g; g = g->next)
		if (strcmp(import_text(g, "name"), "default_tg_pt_gp") != 0)
			import_note("", "storage object %s: ALUA group %s is not taken over: all of its paths are "
				    "active/optimized", name, import_text(g, "name"));
}

void import_print_object(const struct import *im, const struct ucl_node *object)
{
	const char *block_size = import_text(ucl_find(object, "attributes"), "block_size");
	const char *of = *import_text(object, "config") ? import_text(object, "config")
							: import_text(object, "dev");
	char name[IMPORT_NAME_LEN], uri[IMPORT_PATH_LEN];

	import_device_name(im, object, name);
	if (!device_uri(object, uri)) {
		import_note("", "storage object %s: %s is not taken over (%.500s): %s", name,
			    import_text(object, "plugin"), of, advice(object));
		puts("");
		return;
	}
	tell_alua(object, name);
	printf("device %s {\n", name);
	import_print_key("\t", "uri", uri);
	if (import_is_set(object, "readonly", false))
		puts("\tread-only = yes");
	if (*block_size && strcmp(block_size, "512") != 0)
		import_print_key("\t", "block-size", block_size);
	if (*import_text(object, "wwn"))
		import_print_key("\t", "serial", import_text(object, "wwn"));
	puts("}\n");
}

const struct ucl_node *import_object_of(const struct import *im, const struct ucl_node *lun)
{
	const char *path = import_text(lun, "storage_object");	/* /backstores/PLUGIN/NAME */
	const char *plugin = strncmp(path, "/backstores/", 12) == 0 ? path + 12 : path;
	const char *slash = strchr(plugin, '/');
	const struct ucl_node *object =
		slash ? find_object(im, plugin, (size_t)(slash - plugin), slash + 1) : NULL;
	char uri[IMPORT_PATH_LEN];

	return object && device_uri(object, uri) ? object : NULL;
}
