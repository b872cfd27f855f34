/*
 * Targets of a saveconfig.json. One of a single TPG is a target here. Of one that has several,
 * the target has the storage objects of all, numbered anew; and what is found by the portals of
 * each TPG, under which numbers and by whom, is said of its portal groups. See import_private.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import_private.h"
#include "need.h"

#define LUN_LIMIT	16384

/* The LUNs of a target of several TPGs: an object each. */
struct lun_table {
	struct numbered { const struct ucl_node *object; unsigned number; } *luns;
	unsigned count;
};

/* What is being printed of one TPG. */
struct view {
	const struct import *im;
	const char *iqn;
	const struct ucl_node *tpg;
	const struct lun_table *table;	/* NULL: the target has this TPG only */
	const char *indent;
};

/* Who may log in ----------------------------------------------------------- */

static const char *user_of(const struct ucl_node *acl)
{
	return import_text(acl, "chap_userid");
}

/* An account is a name here, whoever uses it. */
static bool is_told(const char *iqn, const struct ucl_node *tpg, const struct ucl_node *acl)
{
	for (const struct ucl_node *other = import_list(tpg, "node_acls"); other != acl; other = other->next)
		if (*user_of(acl) && strcmp(user_of(other), user_of(acl)) == 0) {
			if (strcmp(import_text(other, "chap_password"), import_text(acl, "chap_password")) != 0)
				import_note("\t", "%s: user \"%s\" has one secret here, that of %s", iqn,
					    user_of(acl), import_text(other, "node_wwn"));
			return true;
		}
	return false;
}

/* How many users it has. */
static unsigned print_acls(struct import *im, const char *iqn, const struct ucl_node *tpg, bool chap,
			   bool anybody)
{
	unsigned users = 0;

	for (const struct ucl_node *acl = import_list(tpg, "node_acls"); acl; acl = acl->next) {
		if (!anybody)
			import_print_key("\t", "initiator-name", import_text(acl, "node_wwn"));
		if (chap && !is_told(iqn, tpg, acl))
			users += import_print_chap(im, acl, "chap_");
	}
	return users;
}

static void print_auth_group(struct import *im, const char *iqn, const struct ucl_node *tpg,
			     const char *name)
{
	const struct ucl_node *attributes = ucl_find(tpg, "attributes");
	bool chap = import_is_set(attributes, "authentication", false);
	bool anybody = import_is_set(attributes, "generate_node_acls", false);
	unsigned users = 0;

	printf("auth-group %s {\n", name);
	if (chap && anybody)
		users += import_print_chap(im, tpg, "chap_");
	users += print_acls(im, iqn, tpg, chap, anybody);
	if (!chap && (anybody || import_list(tpg, "node_acls")))
		puts("\tauth-type = none");
	else if (!users)
		puts("\tauth-type = deny");
	if (chap && !users)
		import_note("\t", "%s asks for authentication and has no credentials: nobody can log in", iqn);
	if (users > 1)
		import_note("\t", "%s: each of its %u users may log in under any of its initiators' names",
			    iqn, users);
	puts("}\n");
}

/* LUNs --------------------------------------------------------------------- */

static const struct numbered *find_object(const struct lun_table *table,
					  const struct ucl_node *object)
{
	for (unsigned i = 0; i < table->count; i++)
		if (table->luns[i].object == object)
			return &table->luns[i];
	return NULL;
}

static bool is_taken(const struct lun_table *table, unsigned number)
{
	for (unsigned i = 0; i < table->count; i++)
		if (table->luns[i].number == number)
			return true;
	return false;
}

/* Where it can, an object keeps the number that it has in the first TPG. */
static void add_object(struct lun_table *table, const struct ucl_node *object, const char *index)
{
	unsigned number = (unsigned)strtoul(index, NULL, 10);

	if (find_object(table, object))
		return;
	if (number >= LUN_LIMIT || is_taken(table, number))
		for (number = 0; is_taken(table, number); number++)
			;
	table->luns = need_more(table->luns, table->count, sizeof(*table->luns));
	table->luns[table->count++] = (struct numbered){ object, number };
}

static void fill_table(const struct import *im, const struct ucl_node *target,
		       struct lun_table *table)
{
	for (const struct ucl_node *tpg = import_tpgs(target); tpg; tpg = tpg->next)
		for (const struct ucl_node *lun = import_list(tpg, "luns"); lun; lun = lun->next) {
			const struct ucl_node *object = import_object_of(im, lun);

			if (object)
				add_object(table, object, import_text(lun, "index"));
		}
}

static void print_table(const struct import *im, const struct lun_table *table)
{
	char name[IMPORT_NAME_LEN];

	for (unsigned i = 0; i < table->count; i++) {
		import_device_name(im, table->luns[i].object, name);
		printf("\tlun %u { device = %s }\n", table->luns[i].number, name);
	}
}

/* The object of a LUN, unless one before has it: to hosts one disk has one LUN. */
static const struct ucl_node *first_object(const struct view *v, const struct ucl_node *lun)
{
	const struct ucl_node *object = import_object_of(v->im, lun);

	for (const struct ucl_node *other = import_list(v->tpg, "luns"); object && other != lun;
	     other = other->next)
		if (import_object_of(v->im, other) == object)
			return NULL;
	return object;
}

static void print_luns(const struct view *v)
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

static void print_mapped(const struct view *v, const char *initiator, const struct ucl_node *mapped)
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

static void print_maps(const struct view *v)
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

/* Targets ------------------------------------------------------------------ */

/* What a TPG says that is none of the ordinary, and has its place elsewhere here. */
static void tell_attributes(const char *iqn, const struct ucl_node *tpg)
{
	static const struct { const char *name, *ordinary, *instead; } attributes[] = {
		{ "default_cmdsn_depth", "64", "target-queue-depth holds for all targets" },
		{ "login_timeout", "15", "target-login-timeout holds for all targets" },
		{ "demo_mode_discovery", "1", "who may log in finds it" },
		{ "default_erl", "0", "ErrorRecoveryLevel is 0" },
		{ "t10_pi", "0", "there is no protection information" },
	};

	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		const char *value = import_text(ucl_find(tpg, "attributes"), attributes[i].name);

		if (*value && strcmp(value, attributes[i].ordinary) != 0)
			import_note("", "%s: %s = %s is not taken over: %s", iqn, attributes[i].name, value,
				    attributes[i].instead);
	}
	for (const struct ucl_node *lun = import_list(tpg, "luns"); lun; lun = lun->next) {
		const char *group = import_text(lun, "alua_tg_pt_gp_name");

		if (*group && strcmp(group, "default_tg_pt_gp") != 0)
			import_note("", "%s: LUN %s: ALUA group %s is not taken over", iqn,
				    import_text(lun, "index"), group);
	}
}

static void begin_target(const char *iqn)
{
	printf("target ");
	import_print_quoted(iqn);
	puts(" {");
}

static bool is_enabled(const struct ucl_node *tpg)
{
	return import_is_set(tpg, "enable", true);
}

static void print_simple(struct import *im, const char *iqn, const struct ucl_node *tpg,
			 unsigned number, unsigned first)
{
	const struct view view = { im, iqn, tpg, NULL, "\t" };
	char auth[40];

	snprintf(auth, sizeof(auth), "target%u", number);
	tell_attributes(iqn, tpg);
	print_auth_group(im, iqn, tpg, auth);
	begin_target(iqn);
	printf("\tauth-group = %s\n", auth);
	for (unsigned group = 1; group <= im->group_count; group++)
		if (import_is_reached(im, first, group))
			printf("\tportal-group = portals%u\n", group);
	if (!is_enabled(tpg))
		puts("\toffline = yes");
	print_luns(&view);
	print_maps(&view);
	puts("}\n");
}

/* "target2-tpg1", and nobody comes in by one that is not enabled. */
static void auth_name(char name[40], unsigned number, const struct ucl_node *tpg)
{
	if (is_enabled(tpg))
		snprintf(name, 40, "target%u-tpg%.10s", number, import_text(tpg, "tag"));
	else
		snprintf(name, 40, "no-access");
}

static void print_entrances(struct view *v, unsigned number, unsigned tpg_number)
{
	char auth[40];

	auth_name(auth, number, v->tpg);
	for (unsigned group = 1; group <= v->im->group_count; group++) {
		if (!import_is_reached(v->im, tpg_number, group))
			continue;
		printf("\tportal-group {\n\t\tname = portals%u\n\t\tauth-group = %s\n", group, auth);
		print_luns(v);
		print_maps(v);
		puts("\t}");
	}
}

static void print_several(struct import *im, const struct ucl_node *target, unsigned number,
			  unsigned first)
{
	const char *iqn = import_text(target, "wwn");
	struct view view = { im, iqn, NULL, NULL, "\t\t" };
	struct lun_table table = { 0 };
	char auth[40];

	for (const struct ucl_node *tpg = import_tpgs(target); tpg; tpg = tpg->next) {
		tell_attributes(iqn, tpg);
		auth_name(auth, number, tpg);
		if (is_enabled(tpg))
			print_auth_group(im, iqn, tpg, auth);
	}
	fill_table(im, target, &table);
	view.table = &table;
	begin_target(iqn);
	puts("\tauth-group = no-access");
	print_table(im, &table);
	for (const struct ucl_node *tpg = import_tpgs(target); tpg; tpg = tpg->next) {
		view.tpg = tpg;
		print_entrances(&view, number, first++);
	}
	puts("}\n");
	free(table.luns);
}

void import_print_target(struct import *im, const struct ucl_node *target, unsigned number,
			 unsigned tpg)
{
	const struct ucl_node *tpgs = import_tpgs(target);
	const char *iqn = import_text(target, "wwn");

	if (!tpgs) {
		import_note("", "target %s (%s) is not taken over", iqn, import_text(target, "fabric"));
		puts("");
	} else if (tpgs->next) {
		print_several(im, target, number, tpg);
	} else {
		print_simple(im, iqn, tpgs, number, tpg);
	}
}
