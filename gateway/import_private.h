/*
 * targetcli's saveconfig.json becomes a configuration of ours: what the files of that share.
 *
 *	import.c		the file, and the order of what is printed
 *	import_object.c		storage objects: devices, and what nothing here does
 *	import_secret.c		CHAP accounts, and the files of their secrets
 *	import_portal.c		network portals: portal groups
 *	import_target.c		targets, and who may log in
 *	import_lun.c		what is found there: LUNs and maps
 *
 * A TPG ("target portal group") is LIO's: a set of portals of one target with LUNs and rules of
 * its own. They are numbered through all targets, from 0, in the order of the file.
 */
#ifndef IMPORT_PRIVATE_H
#define IMPORT_PRIVATE_H

#include <stdbool.h>

#include "ucl.h"

#define IMPORT_NAME_LEN	128
#define IMPORT_PATH_LEN	4096

struct import_portal;
struct import_secret;

struct import {
	const struct ucl_node *root;
	const char *secrets_dir;
	bool	 write, failed;
	struct import_portal *portals;
	unsigned portal_count, group_count;
	struct import_secret *secrets;
	unsigned secret_count;
};

/* ---- import.c: reading the tree, and writing */

/* "" if there is none. */
const char *import_text(const struct ucl_node *object, const char *key);
bool import_is_set(const struct ucl_node *object, const char *key, bool otherwise);

/* The first of a list; NULL: none. */
const struct ucl_node *import_list(const struct ucl_node *object, const char *key);

/* The TPGs of a target; NULL for one that is not iSCSI. */
const struct ucl_node *import_tpgs(const struct ucl_node *target);

void import_print_quoted(const char *text);
void import_print_key(const char *indent, const char *key, const char *text);

/* What may be part of a file's name, and of a device's. */
void import_plain_name(const char *text, char name[IMPORT_NAME_LEN]);

/* Tell of what is not taken over: in the log, and as a comment in what is printed. */
void import_note(const char *indent, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- import_object.c */

/* The device's section, or why there is none. */
void import_print_object(const struct import *im, const struct ucl_node *object);

/* The object of a LUN of a TPG; NULL: there is none that is taken over. */
const struct ucl_node *import_object_of(const struct import *im, const struct ucl_node *lun);
void import_device_name(const struct import *im, const struct ucl_node *object,
			char name[IMPORT_NAME_LEN]);

/* ---- import_secret.c */

/* chap { } or chap-mutual { }; "prefix": of the keys in which rtslib has them. False: there are no
 * credentials. */
bool import_print_chap(struct import *im, const struct ucl_node *object, const char *prefix);

/* ---- import_portal.c */

void import_print_portals(struct import *im);
void import_free_portals(struct import *im);

/* Is the TPG of that number reached by that portal group, from 1 to group_count? */
bool import_is_reached(const struct import *im, unsigned tpg, unsigned group);

/* ---- import_lun.c */

/* The LUNs of a target of several TPGs: an object each. */
struct import_luns {
	struct import_numbered { const struct ucl_node *object; unsigned number; } *luns;
	unsigned count;
};

/* What is being printed of one TPG. */
struct import_view {
	const struct import *im;
	const char *iqn;
	const struct ucl_node *tpg;
	const struct import_luns *table;	/* NULL: the target has this TPG only */
	const char *indent;
};

/* Number the objects of all TPGs, and print them; table->luns is the caller's to free(). */
void import_number_luns(const struct import *im, const struct ucl_node *target,
		      struct import_luns *table);
void import_print_table(const struct import *im, const struct import_luns *table);

/* What is found by this TPG: by all, and by those who find something else. */
void import_print_luns(const struct import_view *v);
void import_print_maps(const struct import_view *v);

/* ---- import_target.c */

/* "number" is that of the target, from 1; tpg that of its first TPG. */
void import_print_target(struct import *im, const struct ucl_node *target, unsigned number,
			 unsigned tpg);

#endif
