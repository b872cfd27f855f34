/*
 * --discover --luns: target by target, unit by unit, one session after the other; see
 * discover.h. A target that does not let us in, or a unit that is no disk, is told of as
 * such, and the others go on.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "discover.h"
#include "loop.h"
#include "lu.h"
#include "need.h"
#include "range_lock.h"
#include "scsi_luns.h"
#include "write_log.h"

struct tour {
	struct discover *d;
	void (*done)(struct discover *d);
	unsigned target, lun;		/* where we are; lun: index into the target's luns */
	struct scsi_lu *lu;
	struct blkdev *blk;
	struct blk_shared shared;
	struct loop_call next;
};

static struct found_target *target_of(struct tour *t)
{
	return &t->d->targets[t->target];
}

static struct found_lun *lun_of(struct tour *t)
{
	return &target_of(t)->luns[t->lun];
}

/* A session to a unit, or to the target as a whole, by as many of its portals as a URL may have. */
static void log_in(struct tour *t, uint16_t lun, bool has_lun, lu_opened *opened)
{
	const struct found_target *target = target_of(t);
	struct initiator_conf conf = t->d->initiator;
	struct iscsi_url url = { .lun = lun, .has_lun = has_lun };

	memcpy(url.target, target->name, sizeof(url.target));
	for (unsigned i = 0; i < target->portal_count && i < ISCSI_PORTALS_MAX; i++)
		url.portals[url.portal_count++] = target->portals[i].portal;
	initiator_random_isid(conf.isid);
	iscsi_lu_open(t->d->loop, t->d->offload, &url, &conf, opened, t);
}

/* From the loop: long lists are no deep recursion. */
static void go_on(struct tour *t)
{
	loop_defer(t->d->loop, &t->next);
}

/* One unit ------------------------------------------------------------------ */

static void unit_closed(void *opaque)
{
	struct tour *t = opaque;

	t->lun++;
	go_on(t);
}

static void close_lu(void *opaque)
{
	struct tour *t = opaque;

	lu_close(t->lu, unit_closed, t);
}

static void unit_is_known(void *opaque, struct blkdev *blk, const char *why)
{
	struct tour *t = opaque;
	struct found_lun *lun = lun_of(t);

	if (!blk) {
		snprintf(lun->why, sizeof(lun->why), "%s", why);
		close_lu(t);
		return;
	}
	t->blk = blk;
	lun->size = blk->info.size;
	lun->block_len = blk->info.min_block;
	scsi_blk_identify(blk, &lun->identity);
	blk_close(blk, close_lu, t);
}

static void unit_is_open(void *opaque, struct scsi_lu *lu, const char *why)
{
	struct tour *t = opaque;
	const struct scsi_blk_conf conf = {
		.retry_timeout = t->d->initiator.login_timeout, .read_only = true,
	};

	t->lu = lu;
	if (lu) {
		scsi_blk_open(lu, &t->shared, &conf, unit_is_known, t);
		return;
	}
	snprintf(lun_of(t)->why, sizeof(lun_of(t)->why), "%s", why);
	unit_closed(t);
}

/* One target ---------------------------------------------------------------- */

static void list_closed(void *opaque)
{
	struct tour *t = opaque;

	t->lun = 0;
	go_on(t);
}

static void listed(void *opaque, const uint16_t *luns, unsigned count, const char *why)
{
	struct tour *t = opaque;
	struct found_target *target = target_of(t);

	if (why)
		snprintf(target->why, sizeof(target->why), "%s", why);
	target->luns = count ? need(calloc(count, sizeof(*target->luns))) : NULL;
	target->lun_count = count;
	for (unsigned i = 0; i < count; i++)
		target->luns[i].lun = luns[i];
	lu_close(t->lu, list_closed, t);
}

static void list_is_open(void *opaque, struct scsi_lu *lu, const char *why)
{
	struct tour *t = opaque;
	struct found_target *target = target_of(t);

	t->lu = lu;
	if (lu) {
		scsi_luns_list(lu, listed, t);
		return;
	}
	snprintf(target->why, sizeof(target->why), "%s", why);
	list_closed(t);
}

/* All of them ---------------------------------------------------------------- */

/* Before the list of a target is asked for, "lun" is not an index yet. */
#define LIST_FIRST	UINT32_MAX

static void step(struct loop_call *call)
{
	struct tour *t = container_of(call, struct tour, next);
	struct discover *d = t->d;

	if (t->target < d->count && t->lun != LIST_FIRST && t->lun >= target_of(t)->lun_count) {
		t->target++;
		t->lun = LIST_FIRST;
	}
	if (t->target < d->count) {
		if (t->lun == LIST_FIRST)
			log_in(t, 0, false, list_is_open);	/* REPORT LUNS is answered there: SPC-4 §6.33 */
		else
			log_in(t, lun_of(t)->lun, true, unit_is_open);
		return;
	}
	range_lock_free(t->shared.ranges);
	write_log_free(t->shared.log);
	t->done(d);
	free(t);
}

void discover_luns(struct discover *d, void (*done)(struct discover *d))
{
	struct tour *t = need(calloc(1, sizeof(*t)));

	t->d = d;
	t->done = done;
	t->lun = LIST_FIRST;
	t->shared.ranges = need(range_lock_new());
	t->shared.log = need(write_log_new(0));	/* nothing is written */
	loop_call_init(&t->next, step);
	go_on(t);
}
