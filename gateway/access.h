/*
 * What the iSCSI target serves, and to whom: portal groups, auth groups, targets and
 * their LUN maps, in the model of ctl.conf(5). A snapshot: built by the main thread from
 * the command line or the configuration file, immutable from the moment that a worker
 * has it, counted by those who look at it.
 *
 * How a snapshot comes to be in force (gateway_change.c; the same at start and at reload):
 *
 *  1. Build it: access_new(), access_add_...(). The devices that are new in it are opened
 *     on every worker first (WORKER_OPEN), so that whoever sees a LUN can use it.
 *  2. Listeners of new portal groups are bound, and not accepted from; what each is bound to
 *     goes into its group by access_add_portal(). A listener knows the tag of its group and
 *     hands it on with every connection (worker_serve()).
 *  3. Give every worker the order WORKER_ACCESS with it. The worker takes a hold of its own;
 *     the main thread keeps its hold on what is in force, for the next comparison.
 *  4. Accept from the new listeners, close those of portal groups that are no more.
 *  5. When every worker has reported, nobody uses an export any more that is in the old
 *     snapshot alone: only now may it be closed (WORKER_CLOSE) and freed. The main thread
 *     drops the old snapshot. One change at a time: the next waits for all the reports.
 *
 * What the change does to who is there (target_access.c), worker by worker:
 *
 *  - A connection in login goes on with the snapshot that it began with. If that is no
 *    longer in force at the end of its login, the session is judged as below, and the
 *    login refused with 0301 (try again) if it fails.
 *  - A session is judged by name: its target must still be there, be reachable through the
 *    portal group that the session came by (its tag), not be offline or redirected, and
 *    its auth group must admit the initiator, with the CHAP user and secret by which it has
 *    proved itself. If so it stays, whatever else has changed, and follows the new
 *    snapshot. If not, it is asked to log out (Asynchronous Message, event 1, Parameter3 =
 *    target_conf.logout_timeout), dropped when that time is over, and its tasks end.
 *    When it comes back it is told why: 0203, 0202, 0301, 0101 or 0102.
 *  - A LUN is the same to a session as long as number and export are. Of one that is gone,
 *    or now stands for another export, the tasks end: 05/25/00 is their status if the
 *    device can still be kept from executing them, else that of the device. Later commands
 *    get 05/25/00, or go to the new export, which begins with 06/29/00. If any LUN came or
 *    went, all others of the session report 06/3F/0E (REPORTED LUNS DATA HAS CHANGED), once
 *    each, until the initiator asks for REPORT LUNS; of those that pass through to another
 *    target, the first that is used reports it for all. A LUN that becomes read-only, or writable,
 *    reports 06/2A/01 (MODE PARAMETERS CHANGED). An EXTENDED COPY ends if the session loses
 *    any LUN, or the right to write to one.
 *  - Discovery sessions that their auth group no longer admits end likewise.
 *
 * Names of targets and initiators are iSCSI names, and are kept in lower case (RFC 7143
 * §4.2.7.2). Everything is copied; the snapshot owns all but the exports, which outlive it
 * in the sense of 5. above, and keep their addresses. The functions that add are the main
 * thread's, before anybody else has the snapshot. They return NULL, or in one line, static
 * text, why not ("out of memory" among the reasons): the caller knows file and line.
 */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bhs.h"
#include "chap.h"
#include "export.h"

struct sockaddr;


/* ---- who may come in */

enum access_auth {
	ACCESS_DENY,		/* nobody */
	ACCESS_OPEN,		/* no authentication */
	ACCESS_CHAP,		/* users[], at least one */
};

/* An address as IPv6 has it (IPv4 mapped), and how many of its bits count: 0 to 128. */
struct access_prefix {
	uint8_t address[16];
	uint8_t bits;
};

/* ctl.conf's auth-group. Names and addresses are conditions beside the authentication. */
struct access_auth_group {
	char *name;
	enum access_auth auth;
	struct chap_user *users;		/* mutual_secret, mutual_name: chap-mutual */
	unsigned user_count;
	char **initiators;			/* initiator-name; none: any */
	unsigned initiator_count;
	struct access_prefix *prefixes;		/* initiator-portal; none: from anywhere */
	unsigned prefix_count;
};

/* ---- where they come to */

/* Which targets SendTargets tells of: ctl.conf's discovery-filter. */
enum access_filter {
	ACCESS_FILTER_NONE,		/* all of the portal group */
	ACCESS_FILTER_PORTAL,		/* ... to which the initiator's address is admitted */
	ACCESS_FILTER_NAME,		/* ... and its name: portal-name, the default */
	ACCESS_FILTER_AUTH,		/* ... and, as the user that it is now: portal-name-auth */
};

/* RFC 7143 §11.13.5, status class 1; its values are those of the status detail. */
enum access_redirect { ACCESS_STAY = 0, ACCESS_MOVED_TEMPORARILY = 1, ACCESS_MOVED_PERMANENTLY = 2 };

struct access_portal_group {
	char *name;
	uint16_t tag;				/* target portal group tag; 1 and up, one group each */
	const struct access_auth_group *discovery_auth;
	enum access_filter filter;
	/* All normal logins by this group go to this TargetAddress, host[:port][,tag]. */
	enum access_redirect redirect;
	char *redirect_to;			/* NULL with ACCESS_STAY */
	char **portals;				/* what its listeners are bound to: "0.0.0.0:3260", "[::1]:860" */
	unsigned portal_count;
};

/* ---- what they find */

struct access_lun {
	uint16_t number;
	bool	 read_only;			/* beside export->read_only */
	struct export *export;
};

/* What an initiator finds at a target; sorted by number, an export once at most. */
struct access_map {
	char *initiator;			/* NULL: whoever has no map of its own */
	const struct access_portal_group *group; /* that it comes by; NULL: any */
	struct access_lun *luns;
	unsigned count;
};

/* A target as seen from a portal group. */
struct access_entrance {
	const struct access_portal_group *group;
	const struct access_auth_group *auth;	/* by this group (ctl.conf: "portal-group PG AG") */
};

struct access_target {
	char *name;
	char *alias;				/* NULL: none */
	const struct access_auth_group *auth;
	struct access_entrance *entrances;	/* none: nobody can reach it */
	unsigned entrance_count;
	struct access_map **maps;		/* maps[0] is for all, by any group; the others replace it, they do
						 * not add to it */
	unsigned map_count;
	bool	 offline;			/* known, but not served now: logins get 0301, "try again" */
	enum access_redirect redirect;
	char *redirect_to;
};

struct access {
	atomic_uint holders;
	struct access_auth_group **auth_groups;
	unsigned auth_group_count;
	struct access_portal_group **portal_groups;
	unsigned portal_group_count;
	struct access_target **targets;
	unsigned target_count;
};

/* ---- building */

/* With one hold, the caller's. NULL without memory. */
struct access *access_new(void);

/* Also from any thread, later. */
struct access *access_hold(struct access *access);
void access_drop(struct access *access);	/* NULL is ignored. Secrets are wiped. */

/* "name" must be new in its kind. *group is the new one, to be filled in further. */
const char *access_add_auth_group(struct access *access, const char *name, enum access_auth auth,
				  struct access_auth_group **group);
/* mutual_name and mutual_secret: both, or NULL. The group is ACCESS_CHAP. */
const char *access_add_user(struct access_auth_group *group, const char *name,
			    const struct chap_secret *secret, const char *mutual_name,
			    const struct chap_secret *mutual_secret);
const char *access_add_initiator(struct access_auth_group *group, const char *name);
/* "192.0.2.0/24", "2001:db8::/32", "192.0.2.7", "[2001:db8::7]". */
const char *access_add_prefix(struct access_auth_group *group, const char *text);

/* "discovery_auth" is of this snapshot; filter is ACCESS_FILTER_NAME, to be changed in *group. */
const char *access_add_portal_group(struct access *access, const char *name, uint16_t tag,
				    const struct access_auth_group *discovery_auth,
				    struct access_portal_group **group);
const char *access_redirect_group(struct access_portal_group *group, enum access_redirect how,
				  const char *to);
/* Where a listener of the group is bound, as address_local() has it. */
const char *access_add_portal(struct access_portal_group *group, const char *bound);

/* *target has an empty map for everybody, no entrance, no alias. */
const char *access_add_target(struct access *access, const char *name,
			      const struct access_auth_group *auth, struct access_target **target);
const char *access_set_alias(struct access_target *target, const char *alias);
const char *access_redirect_target(struct access_target *target, enum access_redirect how,
				   const char *to);
/* auth NULL: the target's own. */
const char *access_add_entrance(struct access_target *target,
				const struct access_portal_group *group,
				const struct access_auth_group *auth);
/* A further map, empty: of one initiator (NULL: of all) that comes by this group (NULL: by any). */
const char *access_add_map(struct access_target *target, const struct access_portal_group *group,
			   const char *initiator, struct access_map **map);
const char *access_add_lun(struct access_map *map, unsigned number, struct export *export,
			   bool read_only);

/* ---- looking things up; NULL: there is none */

const struct access_auth_group *access_find_auth_group(const struct access *access,
						       const char *name);
const struct access_portal_group *access_find_portal_group(const struct access *access,
							   uint16_t tag);
/* name in lower case. */
const struct access_target *access_find_target(const struct access *access, const char *name);
/* By tag, as it is asked of another snapshot than the one that the session came by. */
const struct access_entrance *access_find_entrance(const struct access_target *target,
						   uint16_t tag);
/* The map that holds for this initiator (in lower case) by this group: what is said of the group comes
 * first, and then what is said of the initiator. Never NULL. */
const struct access_map *access_map_of(const struct access_target *target,
				       const struct access_portal_group *group,
				       const char *initiator);
/* Does anybody who comes by this group find it? */
bool access_shows(const struct access_target *target, const struct access_portal_group *group,
		  const struct export *export);
const struct access_lun *access_find_lun(const struct access_map *map, unsigned number);

/* Does the group let in who comes from there (NULL: from no internet address), or has this name,
 * as far as that goes without authentication? ACCESS_DENY lets nobody in. */
bool access_admits_address(const struct access_auth_group *group, const struct sockaddr *from);
bool access_admits_name(const struct access_auth_group *group, const char *initiator);
/* ... as somebody who has proved to be "user" of another group or snapshot (NULL: has proved
 * nothing)? */
bool access_admits_user(const struct access_auth_group *group, const struct chap_user *user);
/* The user of this group with the same name and secret; NULL: none, or user is NULL. */
const struct chap_user *access_find_user(const struct access_auth_group *group,
					 const struct chap_user *user);

#endif
