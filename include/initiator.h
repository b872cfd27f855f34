/*
 * The iSCSI initiator: a logical unit at the far end of a session (iscsi_lu).
 *
 * One session per iscsi_lu, on one loop. Never blocks: names are resolved on a
 * helper thread. Serves the daemon and the nbdkit plugin alike.
 */
#ifndef INITIATOR_H
#define INITIATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chap.h"
#include "keys.h"
#include "lu.h"

struct loop;
struct offload;

/* Where a target listens. */
struct iscsi_portal {
	char	 host[256];		/* name or address, without brackets */
	char	 port[8];		/* "3260" when none was given */
};

#define ISCSI_PORTALS_MAX	8	/* that are given for one target */
#define ISCSI_PORTAL_TEXT	272	/* room for "[host]:port" */

/* "host[:port]" of "len" bytes, as users and targets write it; a user's may have %xx in it
 * ("escaped"). False with a one-line reason. */
bool iscsi_portal_parse(const char *text, size_t len, bool escaped, struct iscsi_portal *out,
			char *why, size_t why_size);

/* "host:port", with an IPv6 address in brackets; returns "text". */
const char *iscsi_portal_format(const struct iscsi_portal *portal, char text[ISCSI_PORTAL_TEXT]);

/* iscsi://[user@]host[:port][,host[:port]]... /target-iqn/lun: as libiscsi and qemu write it, and
 * with several portals of the one target. */
struct iscsi_url {
	char	 user[256];		/* CHAP name, "" = none */
	struct iscsi_portal portals[ISCSI_PORTALS_MAX]; /* in the order in which they are tried */
	unsigned portal_count;		/* > 0 */
	char	 target[ISCSI_NAME_MAX + 1];
	uint16_t lun;			/* 0..16383 */
	bool	 has_lun;
};

/* False, with "why" a one-line reason that names what was wrong. A password in the URL is refused. */
bool iscsi_url_parse(const char *url, struct iscsi_url *out, char *why, size_t why_size);

#define ISCSI_URL_SHOWN	512

/* The URL (any other URI, or user@host) as it may go into a message: what looks like a password in
 * it is "...", and it is cut off at the length of "text", which is returned. */
const char *iscsi_url_shown(const char *url, char text[ISCSI_URL_SHOWN]);

struct initiator_conf {
	char	 initiator_name[ISCSI_NAME_MAX + 1];
	uint8_t	 isid[6];		/* of this session; see initiator_random_isid() */
	struct login_params params;	/* offers and limits */
	/* Our account, lent as long as there are sessions; NULL: we log in without authentication. */
	const struct chap_user *chap;
	unsigned chap_algorithms;	/* CHAP_BIT()s that we offer; not 0 */
	bool	 discover_portals;	/* ask the target for further portals, to fail over to */
	double	 login_timeout;		/* seconds for connect + login */
	double	 noop_interval, noop_timeout; /* seconds; interval 0 = no keepalive */
	double	 abort_timeout;		/* seconds from ABORT TASK to LOGICAL UNIT RESET, and ... */
	double	 tmf_timeout;		/* ... from that, and any other function, to a new session */
	double	 outage_timeout;	/* seconds that tasks wait for a lost session to come back before
					 * they end as LU_LOST; 0 = not at all, < 0 = for ever */
	unsigned max_tasks;		/* in flight at once, whatever the window allows; 1..INITIATOR_MAX_TASKS */
};

#define INITIATOR_MAX_TASKS	4096

/* Sensible defaults: name from the host name, digests none, 256 KiB segments, … */
void initiator_conf_init(struct initiator_conf *conf);

/* A random-format ISID (RFC 7143 §11.12.5, T = 10b) that is kept for the life of the session's owner. */
void initiator_random_isid(uint8_t isid[6]);

/*
 * Connect, log in, and check that the LUN answers (without a LUN in the URL it is 0, and
 * not looked at: for what is asked of the target as a whole). opened() gets the lu, or why
 * in one line: "connect to h:3260: Connection refused", "login refused: 0203
 * target not found", … url and conf are copied; offload must outlive the lu.
 *
 * Of several portals the first that works is taken; when that fails later, the others
 * are tried before there is any wait.
 */
void iscsi_lu_open(struct loop *loop, struct offload *offload, const struct iscsi_url *url,
		   const struct initiator_conf *conf, lu_opened *opened, void *opaque);

/* Take the time-outs of conf, and nothing else of it. Those that are running end as they were
 * meant to. On the loop of the lu, which iscsi_lu_open() has made. */
void iscsi_lu_tune(struct scsi_lu *lu, const struct initiator_conf *conf);

/* The words for a login status (RFC 7143 §11.13.5), "0203 target not found"; static text. */
const char *login_status_text(uint8_t status_class, uint8_t status_detail);

#endif
