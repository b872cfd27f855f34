/*
 * Network portals of a saveconfig.json: those that serve the same TPGs are a portal group
 * here; see import_private.h.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import_private.h"
#include "log.h"
#include "need.h"

struct import_portal {
	char	 address[IMPORT_NAME_LEN];
	bool	*serves;		/* by number of the TPG */
	unsigned group;			/* number of its group, from 1 */
	int	 tag;			/* LIO's, 0: there are several; in the end that of its group */
};

static unsigned tpg_count(const struct import *im)
{
	unsigned count = 0;

	for (const struct ucl_node *t = import_list(im->root, "targets"); t; t = t->next)
		for (const struct ucl_node *tpg = import_tpgs(t); tpg; tpg = tpg->next)
			count++;
	return count;
}

static struct import_portal *add_portal(struct import *im, const struct ucl_node *node)
{
	const char *ip = import_text(node, "ip_address"), *port = import_text(node, "port");
	bool bare = strchr(ip, ':') && ip[0] != '[';
	struct import_portal *portal;
	char address[IMPORT_NAME_LEN];

	snprintf(address, sizeof(address), "%s%.90s%s:%.20s", bare ? "[" : "", ip, bare ? "]" : "",
		 *port ? port : "3260");
	for (unsigned i = 0; i < im->portal_count; i++)
		if (strcmp(im->portals[i].address, address) == 0)
			return &im->portals[i];
	im->portals = need_more(im->portals, im->portal_count, sizeof(*im->portals));
	portal = &im->portals[im->portal_count++];
	*portal = (struct import_portal){ .tag = -1 };
	memcpy(portal->address, address, sizeof(address));
	portal->serves = need(calloc(tpg_count(im) + 1, sizeof(*portal->serves)));
	return portal;
}

static void collect_portals(struct import *im)
{
	unsigned number = 0;

	for (const struct ucl_node *t = import_list(im->root, "targets"); t; t = t->next)
		for (const struct ucl_node *tpg = import_tpgs(t); tpg; tpg = tpg->next, number++)
			for (const struct ucl_node *p = import_list(tpg, "portals"); p; p = p->next) {
				struct import_portal *portal = add_portal(im, p);

				portal->serves[number] = true;
				/* The tag stays, if there is but one. */
				portal->tag = portal->tag < 0 ? atoi(import_text(tpg, "tag")) :
					      portal->tag == atoi(import_text(tpg, "tag")) ? portal->tag : 0;
				if (import_is_set(p, "iser", false))
					log_warning("portal %s: iSER is not taken over, TCP is", portal->address);
			}
}

static void group_portals(struct import *im)
{
	size_t size = tpg_count(im) * sizeof(*im->portals->serves);

	for (unsigned i = 0; i < im->portal_count; i++) {
		struct import_portal *portal = &im->portals[i];

		for (unsigned j = 0; j < i && !portal->group; j++)
			if (memcmp(im->portals[j].serves, portal->serves, size) == 0)
				portal->group = im->portals[j].group;
		if (!portal->group)
			portal->group = ++im->group_count;
	}
}

static const struct import_portal *first_of(const struct import *im, unsigned group)
{
	for (unsigned i = 0; i < im->portal_count; i++)
		if (im->portals[i].group == group)
			return &im->portals[i];
	return NULL;
}

static bool has_tag(const struct import *im, unsigned end, int tag)
{
	for (unsigned i = 0; i < end; i++)
		if (im->portals[i].tag == tag)
			return true;
	return false;
}

/* LIO's tags are numbers within a target, ours within the whole: of those that are the same, the
 * first keeps it. */
static void choose_tags(struct import *im)
{
	for (unsigned group = 1; group <= im->group_count; group++) {
		const struct import_portal *first = first_of(im, group);
		unsigned end = (unsigned)(first - im->portals);
		int tag = first->tag;

		if (tag < 1 || tag > 65535 || has_tag(im, end, tag)) {
			for (tag = 1; has_tag(im, im->portal_count, tag); tag++)
				;
			if (first->tag > 0)
				log_warning("portal %s: its tag is %d here, not %d", first->address, tag,
					    first->tag);
		}
		for (unsigned i = 0; i < im->portal_count; i++)
			if (im->portals[i].group == group)
				im->portals[i].tag = tag;
	}
}

static const struct ucl_node *discovery(const struct import *im)
{
	for (const struct ucl_node *f = import_list(im->root, "fabric_modules"); f; f = f->next)
		if (strcmp(import_text(f, "name"), "iscsi") == 0 && import_is_set(f, "discovery_enable_auth", false))
			return f;
	return NULL;
}

static void print_groups(struct import *im)
{
	const struct ucl_node *auth = discovery(im);

	if (auth) {
		puts("auth-group discovery {");
		if (!import_print_chap(im, auth, "discovery_"))
			puts("\tauth-type = deny");
		puts("}\n");
	}
	for (unsigned group = 1; group <= im->group_count; group++) {
		printf("portal-group portals%u {\n", group);
		for (unsigned i = 0; i < im->portal_count; i++)
			if (im->portals[i].group == group)
				import_print_key("\t", "listen", im->portals[i].address);
		printf("\ttag = %d\n\tdiscovery-auth-group = %s\n}\n\n", first_of(im, group)->tag,
		       auth ? "discovery" : "no-authentication");
	}
}

void import_print_portals(struct import *im)
{
	collect_portals(im);
	group_portals(im);
	choose_tags(im);
	print_groups(im);
}

void import_free_portals(struct import *im)
{
	for (unsigned i = 0; i < im->portal_count; i++)
		free(im->portals[i].serves);
	free(im->portals);
}

bool import_is_reached(const struct import *im, unsigned tpg, unsigned group)
{
	return first_of(im, group)->serves[tpg];
}
