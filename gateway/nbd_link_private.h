/*
 * Between the files of a link:
 *
 *   nbd_link.c		its life: resolving, the deadline, the end
 *   nbd_link_drive.c	libnbd on the loop: what it waits for, and how far it has come
 *   nbd_link_why.c	why it has ended, in one line
 */
#ifndef NBD_LINK_PRIVATE_H
#define NBD_LINK_PRIVATE_H

#include "nbd_link.h"
#include "offload.h"

#define NBD_LINK_WHY_LEN	256

enum link_stage { RESOLVING, CONNECTING, SELECTING, READY, ENDED };

struct nbd_link {
	struct nbd_handle *handle;
	struct loop *loop;
	char *uri;
	double timeout;
	const struct nbd_link_events *events;
	void *opaque;
	enum link_stage stage;
	struct offload_job resolve;
	bool away;			/* the offload thread has the handle */
	bool abandoned;			/* closed while it was away */
	struct nbd_pipe *pipe;		/* in stage READY, if the socket is plain */
	int connected;			/* what nbd_aio_connect_uri() returned */
	int refused;			/* nbd_opt_go(): errno, 0 = not (yet) */
	struct ev_io io;
	int watched;			/* the events of io, 0 = stopped */
	struct ev_timer deadline;
	struct loop_call rearm;
	char why[NBD_LINK_WHY_LEN];
};

/* nbd_link.c */

/* The end of the link, for the reason in link->why. The owner may free it here. */
void nbd_link_end(struct nbd_link *link);

/* nbd_link_drive.c */

void nbd_link_drive_init(struct nbd_link *link);
void nbd_link_drive_stop(struct nbd_link *link);

/* Something has happened to the handle: go on from there. The link may be gone afterwards. */
void nbd_link_advance(struct nbd_link *link);

/* nbd_link_why.c: each leaves its line in link->why. */

/* libnbd's last error of this thread. */
void nbd_link_note_error(struct nbd_link *link);

/* The server has refused the export (link->refused). libnbd's words for that, which have been
 * noted, stay where there are no better ones. */
void nbd_link_note_refusal(struct nbd_link *link);

/* The handle is closed. */
void nbd_link_note_closed(struct nbd_link *link);

#endif
