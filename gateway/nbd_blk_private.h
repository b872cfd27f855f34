/*
 * The parts of one NBD block device: nbd_blk.c (open, close, what the export is and
 * can), nbd_blk_request.c (requests to commands and back), nbd_blk_pipe.c (commands through the
 * link's pipe), nbd_blk_libnbd.c (through libnbd, where it has none), nbd_blk_recover.c (a lost
 * connection), nbd_blk_log.c (what the server may lose with it). All on the device's loop.
 */
#ifndef NBD_BLK_PRIVATE_H
#define NBD_BLK_PRIVATE_H

#include <stdatomic.h>

#include "blk.h"
#include "log.h"
#include "loop.h"
#include "nbd_link.h"
#include "nbd_pipe.h"
#include "write_log.h"

#define NBD_BLK_WHY_LEN	256
/* Chunks of one read that may wait for those before them; no server is known that has more. */
#define NBD_BLK_AHEAD	8

struct nbd_blk_command;

enum nbd_blk_state {
	NBD_BLK_UP,		/* the link takes requests */
	NBD_BLK_SHAKEN,		/* it has ended, and will say so when libnbd's call has returned */
	NBD_BLK_LEAVING,	/* the server has said that it is shutting down: we leave first */
	NBD_BLK_DOWN,		/* no link, requests wait */
	NBD_BLK_GIVEN_UP,	/* no link for so long that requests fail; still trying */
	NBD_BLK_CLOSED,
};

struct nbd_blk {
	struct blkdev dev;
	struct offload *offload;
	char *uri;
	char *tls_certificates, *tls_psk;	/* or NULL */
	char *name;			/* what the server calls the export that it gave us; NULL: it does not tell */
	bool read_only;
	double connect_timeout, outage_timeout;

	enum nbd_blk_state state;
	struct nbd_link *link;		/* NULL between two attempts */

	/* nbd_blk_request.c: */
	struct list in_flight;		/* blk_req, in order of submission; priv = its nbd_blk_command */
	unsigned in_flight_count;
	struct list waiting;		/* blk_req, priv = NULL: for room or for a link */
	struct nbd_blk_command *issuing; /* the one that is inside nbd_aio_* now */
	struct loop_call settle;

	/* nbd_blk_recover.c: */
	struct ev_timer retry, patience;
	double delay;			/* before the next attempt, seconds */
	double down_since;
	struct log_limit log_limit;
	atomic_int presence;		/* enum blk_presence */
	unsigned short jitter[3];	/* erand48()'s */
	char why[NBD_BLK_WHY_LEN];	/* there is no link */

	struct log_member member;	/* nbd_blk_log.c */

	/* nbd_blk.c: */
	blk_opened *opened;
	void (*closed)(void *);
	void *opaque;
};

/* A request that is under way; from the loop's pool. */
struct nbd_blk_command {
	struct nbd_blk *nb;
	struct blk_req *req;
	struct nbd_pipe_call call;
	bool	 answered;
	int	 error;			/* if answered: 0 or errno */
	uint64_t mark;			/* FLUSH: of the write log, when it was sent */
	bool	 overtaken;		/* a later request on the same bytes has been answered */
	/* READ: what has come ahead of good_until. */
	struct {
		uint64_t from, until;
	} ahead[NBD_BLK_AHEAD];
	unsigned ahead_count;
	uint64_t good_until;		/* READ, STATUS: all before this device offset has come */
	bool	 bad_known;		/* READ: does the server say where it failed? Then: */
	uint64_t bad_at;
};

/* Ask a ready handle what the export is and can. False with why, if that cannot be served. */
bool nbd_blk_learn(struct nbd_handle *h, bool read_only, struct blk_info *info, char *why,
		   size_t size);

void nbd_blk_open_link(struct nbd_blk *nb, const struct nbd_link_events *events);

/* nbd_blk_request.c */
void nbd_blk_requests_init(struct nbd_blk *nb);
void nbd_blk_submit(struct blkdev *dev, struct blk_req *req);
/* One of the log's own, at once. */
void nbd_blk_submit_own(struct nbd_blk *nb, struct blk_req *req);
void nbd_blk_abort(struct blkdev *dev, struct blk_req *req);
/* Hand what waits to the link, as far as there is room. */
void nbd_blk_pump(struct nbd_blk *nb);
/* End all that waits, with ENOTCONN. */
void nbd_blk_fail_waiting(struct nbd_blk *nb);

/* What a command is told on its way to its end: bytes of a read that have come; where the server
 * says that it failed; the next descriptor of a block status (false: none that a server may
 * send); and that it is over, with "answered" and "error" set. */
void nbd_blk_note_data(struct nbd_blk_command *cmd, uint64_t offset, uint64_t length);
void nbd_blk_note_failure(struct nbd_blk_command *cmd, uint64_t offset);
bool nbd_blk_note_extent(struct nbd_blk_command *cmd, uint64_t length, uint32_t state);
void nbd_blk_finish(struct nbd_blk_command *cmd);
/* A request's NBD_CMD_FLAG_*; libnbd's are the same. */
uint32_t nbd_blk_command_flags(const struct blk_req *req);

/* nbd_blk_pipe.c */
void nbd_blk_issue_to_pipe(struct nbd_blk_command *cmd, struct nbd_pipe *pipe);

/* nbd_blk_libnbd.c */
/* Hand a command to libnbd. It may be answered, and gone, before this returns. */
void nbd_blk_issue_to_libnbd(struct nbd_blk_command *cmd);

/* nbd_blk_log.c */
void nbd_blk_log_join(struct nbd_blk *nb);
/* Held, and nothing is under way: tell the log. */
void nbd_blk_log_look(struct nbd_blk *nb);
/* The server has answered well. "mark" is that of the time when it was asked. The request may fail yet. */
void nbd_blk_log_account(struct nbd_blk *nb, struct blk_req *req, uint64_t mark);

/* nbd_blk_recover.c */
void nbd_blk_recover_init(struct nbd_blk *nb);
void nbd_blk_recover_stop(struct nbd_blk *nb);
/* The link of a device that was up is no good any more: close it and look for another. This is
 * also the links' lost(), so "device" is the nbd_blk. */
void nbd_blk_lose(void *device, const char *why);

#endif
