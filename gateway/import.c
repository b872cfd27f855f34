/*
 * targetcli's saveconfig.json to our configuration; see import.h. The names of its keys are
 * rtslib's. LIO's node ACLs become auth groups and maps; its network portals become portal
 * groups, one for all portals that serve the same TPGs; and what a TPG has that others of its
 * target have not, becomes what is found by these portal groups.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import.h"
#include "import_private.h"
#include "log.h"

#define SECRETS_DIR	"/etc/nbd-iscsi-gateway/secrets"
#define MAX_FILE	(64u << 20)

/* Reading ------------------------------------------------------------------ */

const char *import_text(const struct ucl_node *object, const char *key)
{
	const struct ucl_node *node = ucl_find(object, key);

	return node && node->type == UCL_VALUE && strcmp(node->text, "null") != 0 ? node->text : "";
}

/* JSON has true and 1 for it, in different places. */
bool import_is_set(const struct ucl_node *object, const char *key, bool otherwise)
{
	const char *text = import_text(object, key);

	return *text ? strcmp(text, "true") == 0 || strcmp(text, "1") == 0 : otherwise;
}

const struct ucl_node *import_list(const struct ucl_node *object, const char *key)
{
	const struct ucl_node *list = ucl_find(object, key);

	return list ? list->first : NULL;
}

const struct ucl_node *import_tpgs(const struct ucl_node *target)
{
	return strcmp(import_text(target, "fabric"), "iscsi") == 0 ? import_list(target, "tpgs") : NULL;
}

/* Writing ------------------------------------------------------------------ */

void import_print_quoted(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	putchar('"');
}

void import_print_key(const char *indent, const char *key, const char *text)
{
	printf("%s%s = ", indent, key);
	import_print_quoted(text);
	puts("");
}

void import_plain_name(const char *text, char name[IMPORT_NAME_LEN])
{
	size_t len = 0;

	for (; *text && len < IMPORT_NAME_LEN - 8; text++) {
		bool plain = strchr("-_", *text) || (*text == '.' && len > 0) ||
			     (*text >= '0' && *text <= '9') || ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'z');

		name[len++] = plain ? *text : '_';
	}
	if (len == 0)
		name[len++] = '_';
	name[len] = '\0';
}

void import_note(const char *indent, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_warning("%s", text);
	/* A comment ends with its line. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = '?';
	printf("%s# %s\n", indent, text);
}

/* The whole ---------------------------------------------------------------- */

static void print_all(struct import *im, const char *path)
{
	unsigned number = 0, tpg = 0;

	printf("# Made of %s by nbd-iscsi-gateway --import.\n\n", path);
	for (const struct ucl_node *o = import_list(im->root, "storage_objects"); o; o = o->next)
		import_print_object(im, o);
	import_print_portals(im);
	for (const struct ucl_node *t = import_list(im->root, "targets"); t; t = t->next) {
		import_print_target(im, t, ++number, tpg);
		for (const struct ucl_node *one = import_tpgs(t); one; one = one->next)
			tpg++;
	}
	if (import_list(im->root, "storage_objects"))
		log_warning("serial numbers are kept, but not LIO's NAA designators: hosts that know disks by "
			    "those see new ones");
}

static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(MAX_FILE);

	if (file && text) {
		*len = fread(text, 1, MAX_FILE, file);
		if (!ferror(file)) {
			fclose(file);
			return text;
		}
	}
	log_error("%s: %s", path, strerror(errno));
	if (file)
		fclose(file);
	free(text);
	return NULL;
}

int import_run(const char *path, const char *secrets_dir)
{
	struct import im = {
		.secrets_dir = secrets_dir ? secrets_dir : SECRETS_DIR, .write = secrets_dir,
	};
	struct ucl_node *root;
	char why[200], *text;
	unsigned line = 0;
	size_t len = 0;

	text = read_file(path, &len);
	if (!text)
		return 1;
	root = ucl_parse(text, len, &line, why, sizeof(why));
	explicit_bzero(text, len);
	free(text);
	if (!root || !ucl_find(root, "targets") || !ucl_find(root, "storage_objects")) {
		if (root)
			log_error("%s: not a saveconfig.json: no storage_objects or no targets", path);
		else
			log_error("%s:%u: %s", path, line, why);
		ucl_free(root);
		return 2;
	}
	im.root = root;
	print_all(&im, path);
	import_free_portals(&im);
	free(im.secrets);
	ucl_free(root);
	return im.failed || fflush(stdout) != 0;
}
