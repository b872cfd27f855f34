/*
 * Targets of a saveconfig.json, and who may log in. One of a single TPG is a target here. Of one
 * that has several, the target has the storage objects of all, numbered anew; and what is found by
 * the portals of each TPG, under which numbers and by whom, is said of its portal groups. See
 * import_private.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import_private.h"

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
	const struct import_view view = { im, iqn, tpg, NULL, "\t" };
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
	import_print_luns(&view);
	import_print_maps(&view);
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

static void print_entrances(struct import_view *v, unsigned number, unsigned tpg_number)
{
	char auth[40];

	auth_name(auth, number, v->tpg);
	for (unsigned group = 1; group <= v->im->group_count; group++) {
		if (!import_is_reached(v->im, tpg_number, group))
			continue;
		printf("\tportal-group {\n\t\tname = portals%u\n\t\tauth-group = %s\n", group, auth);
		import_print_luns(v);
		import_print_maps(v);
		puts("\t}");
	}
}

static void print_several(struct import *im, const struct ucl_node *target, unsigned number,
			  unsigned first)
{
	const char *iqn = import_text(target, "wwn");
	struct import_view view = { im, iqn, NULL, NULL, "\t\t" };
	struct import_luns table = { 0 };
	char auth[40];

	for (const struct ucl_node *tpg = import_tpgs(target); tpg; tpg = tpg->next) {
		tell_attributes(iqn, tpg);
		auth_name(auth, number, tpg);
		if (is_enabled(tpg))
			print_auth_group(im, iqn, tpg, auth);
	}
	import_number_luns(im, target, &table);
	view.table = &table;
	begin_target(iqn);
	puts("\tauth-group = no-access");
	import_print_table(im, &table);
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
