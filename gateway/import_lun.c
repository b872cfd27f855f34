/*
 * What is found at the targets of a saveconfig.json: LUNs, and the maps of initiators. See
 * import_private.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import_private.h"
#include "need.h"

#define LUN_LIMIT	16384

/* LUNs --------------------------------------------------------------------- */

static const struct import_numbered *find_object(const struct import_luns *table,
					  const struct ucl_node *object)
{
	for (unsigned i = 0; i < table->count; i++)
		if (table->luns[i].object == object)
			return &table->luns[i];
	return NULL;
}

static bool is_taken(const struct import_luns *table, unsigned number)
{
	for (unsigned i = 0; i < table->count; i++)
		if (table->luns[i].number == number)
			return true;
	return false;
}

/* Where it can, an object keeps the number that it has in the first TPG. */
static void add_object(struct import_luns *table, const struct ucl_node *object, const char *index)
{
	unsigned number = (unsigned)strtoul(index, NULL, 10);

	if (find_object(table, object))
		return;
	if (number >= LUN_LIMIT || is_taken(table, number))
		for (number = 0; is_taken(table, number); number++)
			;
	table->luns = need_more(table->luns, table->count, sizeof(*table->luns));
	table->luns[table->count++] = (struct import_numbered){ object, number };
}

void import_number_luns(const struct import *im, const struct ucl_node *target,
		      struct import_luns *table)
{
	for (const struct ucl_node *tpg = import_tpgs(target); tpg; tpg = tpg->next)
		for (const struct ucl_node *lun = import_list(tpg, "luns"); lun; lun = lun->next) {
			const struct ucl_node *object = import_object_of(im, lun);

			if (object)
				add_object(table, object, import_text(lun, "index"));
		}
}

void import_print_table(const struct import *im, const struct import_luns *table)
{
	char name[IMPORT_NAME_LEN];

	for (unsigned i = 0; i < table->count; i++) {
		import_device_name(im, table->luns[i].object, name);
		printf("\tlun %u { device = %s }\n", table->luns[i].number, name);
	}
}

/* The object of a LUN, unless one before has it: to hosts one disk has one LUN. */
static const struct ucl_node *first_object(const struct import_view *v, const struct ucl_node *lun)
{
	const struct ucl_node *object = import_object_of(v->im, lun);

	for (const struct ucl_node *other = import_list(v->tpg, "luns"); object && other != lun;
	     other = other->next)
		if (import_object_of(v->im, other) == object)
			return NULL;
	return object;
}

void import_print_luns(const struct import_view *v)
{
	const struct ucl_node *attributes = ucl_find(v->tpg, "attributes");
	bool protect = import_is_set(attributes, "generate_node_acls", false) &&
		       import_is_set(attributes, "demo_mode_write_protect", true);

	for (const struct ucl_node *lun = import_list(v->tpg, "luns"); lun; lun = lun->next) {
		const struct ucl_node *object = first_object(v, lun);
		const char *index = import_text(lun, "index");
		char name[IMPORT_NAME_LEN];

		if (!object) {
			import_note(v->indent, "%s: LUN %s (%s) is not taken over%s", v->iqn, index,
				    import_text(lun, "storage_object"),
				    import_object_of(v->im, lun) ? ": it is another LUN already" : "");
			continue;
		}
		import_device_name(v->im, object, name);
		if (v->table)
			printf("%slun %s { target-lun = %u; read-only = %s }\n", v->indent, index,
			       find_object(v->table, object)->number, protect ? "yes" : "no");
		else
			printf("%slun %s { device = %s%s }\n", v->indent, index, name,
			       protect ? "; read-only = yes" : "");
	}
}

/* Maps --------------------------------------------------------------------- */

static const struct ucl_node *find_lun(const struct ucl_node *tpg, const char *index)
{
	for (const struct ucl_node *lun = import_list(tpg, "luns"); lun; lun = lun->next)
		if (strcmp(import_text(lun, "index"), index) == 0)
			return lun;
	return NULL;
}

/* Does the initiator see just what the TPG has? Then it needs no map. */
static bool sees_all(const struct ucl_node *tpg, const struct ucl_node *acl)
{
	unsigned mapped = 0, luns = 0;

	if (import_is_set(ucl_find(tpg, "attributes"), "generate_node_acls", false))
		return false;
	for (const struct ucl_node *lun = import_list(tpg, "luns"); lun; lun = lun->next)
		luns++;
	for (const struct ucl_node *m = import_list(acl, "mapped_luns"); m; m = m->next, mapped++)
		if (strcmp(import_text(m, "index"), import_text(m, "tpg_lun")) != 0 ||
		    import_is_set(m, "write_protect", false))
			return false;
	return mapped == luns;
}

static void print_mapped(const struct import_view *v, const char *initiator, const struct ucl_node *mapped)
{
	const char *index = import_text(mapped, "index"), *tpg_lun = import_text(mapped, "tpg_lun");
	const struct ucl_node *lun = find_lun(v->tpg, tpg_lun);
	const struct ucl_node *object = lun ? first_object(v, lun) : NULL;
	char number[16], indent[8];

	if (!object) {
		snprintf(indent, sizeof(indent), "%s\t", v->indent);
		import_note(indent, "%s: LUN %s of %s is not taken over, as LUN %s is not", v->iqn, index,
			    initiator, tpg_lun);
		return;
	}
	snprintf(number, sizeof(number), "%u", v->table ? find_object(v->table, object)->number : 0);
	printf("%s\tlun %s { target-lun = %s; read-only = %s }\n", v->indent, index,
	       v->table ? number : tpg_lun, import_is_set(mapped, "write_protect", false) ? "yes" : "no");
}

void import_print_maps(const struct import_view *v)
{
	for (const struct ucl_node *acl = import_list(v->tpg, "node_acls"); acl; acl = acl->next) {
		const char *initiator = import_text(acl, "node_wwn");

		if (sees_all(v->tpg, acl))
			continue;
		printf("%smap ", v->indent);
		import_print_quoted(initiator);
		puts(" {");
		for (const struct ucl_node *m = import_list(acl, "mapped_luns"); m; m = m->next)
			print_mapped(v, initiator, m);
		printf("%s}\n", v->indent);
	}
}
