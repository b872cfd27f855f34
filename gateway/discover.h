/*
 * nbd-iscsi-gateway --discover: which targets there are behind a portal, and with --luns
 * which logical units those have, as a table or in JSON.
 *
 *	discover.c	asks the portal
 *	discover_luns.c	asks each target for its units, and each unit who it is
 *	discover_print.c	what comes out
 *
 * On a loop of its own, on the main thread.
 */
#ifndef DISCOVER_H
#define DISCOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf.h"
#include "discovery.h"
#include "scsi_blk.h"

#define DISCOVER_WHY	400

/* A logical unit. */
struct found_lun {
	uint16_t lun;
	char why[DISCOVER_WHY];		/* it cannot be served, and this is why; else "", and: */
	uint64_t size;			/* bytes */
	uint32_t block_len;
	struct scsi_identity identity;
};

struct found_target {
	char name[ISCSI_NAME_MAX + 1];
	struct discovered_portal *portals;
	unsigned portal_count;
	char why[DISCOVER_WHY];		/* its units cannot be listed, and this is why; else "", and: */
	struct found_lun *luns;
	unsigned lun_count;
};

struct discover {
	const struct conf *conf;
	struct loop *loop;
	struct offload *offload;
	struct iscsi_portal portal;
	struct initiator_conf initiator;
	struct chap_account account;
	char why[DISCOVER_WHY];		/* it failed as a whole, and this is why */
	struct found_target *targets;
	unsigned count;
};

/* Do what conf->discover says, and print it. Returns the exit status: 0 only if all could be told. */
int discover_run(const struct conf *conf);

/* Fill in what d->targets[] are to know of their units. done() comes from the loop. */
void discover_luns(struct discover *d, void (*done)(struct discover *d));

void discover_print_table(const struct discover *d, FILE *to);
void discover_print_json(const struct discover *d, FILE *to);

#endif
