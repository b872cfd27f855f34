/*
 * One PERSISTENT RESERVE OUT, from its parameter list (disk_pr_list.c) until it has taken
 * effect (disk_pr_out.c).
 */
#ifndef DISK_PR_OUT_H
#define DISK_PR_OUT_H

#include <stdbool.h>

#include "disk_lu.h"
#include "offload.h"
#include "reservation.h"

/* Initiator ports that one list may name, or stand for. */
#define PR_MAX_OTHERS	32

struct disk_op;

/* One command, in its operation's buffer. */
struct pr_out {
	struct disk_op *op;
	struct reservation_request request;
	struct reservation_outcome outcome;
	struct reservations *state;	/* on the heap: what is to be, then what was */
	struct offload_job storing;
	int error;			/* errno of it */
	struct lu_port ports[1 + DISK_MAX_PORTS];
	struct registrant others[PR_MAX_OTHERS];
};

/* Read the command's parameter list into c->request and what it points to. False: the task is
 * finished. */
bool pr_out_take_list(struct pr_out *c);

#endif
