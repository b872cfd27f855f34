/*
 * What a lane does when it is told to: ask the target for its logical units, open a
 * session to each of them, close them. On the lane's loop; see engine_private.h.
 *
 * The sessions of a lane open and close side by side. Where one fails, the others
 * go on: what that means is for the engine to say.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine_private.h"
#include "scsi_blk.h"

static struct lane *lane_of(struct loop_msg *order)
{
	return container_of(order, struct lane, order);
}

static void report(struct lane *lane)
{
	if (lane->running)
		sem_post(&lane->reported);
	else
		loop_stop(lane->loop);
}

/* To a unit, or to the target as a whole. */
static void log_in(struct lane *lane, uint16_t lun, bool has_lun, lu_opened *opened, void *opaque)
{
	const struct engine_conf *engine_conf = lane->engine->conf;
	struct initiator_conf conf = engine_conf->initiator;
	struct iscsi_url url = engine_conf->url;

	/* Sessions of one initiator differ in their ISID (RFC 7143 §4.4.3). */
	initiator_random_isid(conf.isid);
	url.lun = lun;
	url.has_lun = has_lun;
	iscsi_lu_open(lane->loop, lane->engine->offload, &url, &conf, opened, opaque);
}

/* One session less that is on its way. */
static void settled(struct session *s)
{
	assert(s->lane->pending > 0);
	if (--s->lane->pending == 0)
		report(s->lane);
}

static void lu_is_closed(void *opaque)
{
	struct session *s = opaque;

	s->lu = NULL;
	settled(s);
}

static void blk_is_closed(void *opaque)
{
	struct session *s = opaque;

	s->blk = NULL;
	lu_close(s->lu, lu_is_closed, s);
}

static void blk_is_open(void *opaque, struct blkdev *blk, const char *why)
{
	struct session *s = opaque;

	if (blk) {
		s->blk = blk;
		settled(s);
		return;
	}
	snprintf(s->why, sizeof(s->why), "%s", why);
	lu_close(s->lu, lu_is_closed, s);
}

static void lu_is_open(void *opaque, struct scsi_lu *lu, const char *why)
{
	struct session *s = opaque;
	const struct engine_conf *conf = s->lane->engine->conf;
	struct scsi_blk_conf blk_conf = {
		.retry_timeout = conf->initiator.outage_timeout,
		.read_only = conf->read_only,
	};

	if (!lu) {
		snprintf(s->why, sizeof(s->why), "%s", why);
		settled(s);
		return;
	}
	s->lu = lu;
	s->logged_in = true;
	scsi_blk_open(lu, &s->unit->shared, &blk_conf, blk_is_open, s);
}

void lane_open(struct loop_msg *order)
{
	struct lane *lane = lane_of(order);
	unsigned count = lane->engine->unit_count;

	assert(count > 0);
	lane->pending = count;
	for (unsigned i = 0; i < count; i++) {
		struct session *s = &lane->sessions[i];

		log_in(lane, s->unit->lun, true, lu_is_open, s);
	}
}

void lane_close(struct loop_msg *order)
{
	struct lane *lane = lane_of(order);
	unsigned count = lane->engine->unit_count;

	lane->pending = 1 + count;
	for (unsigned i = 0; i < count; i++) {
		struct session *s = &lane->sessions[i];

		if (s->blk)
			blk_close(s->blk, blk_is_closed, s);
		else
			settled(s);
	}
	if (--lane->pending == 0)
		report(lane);
}

static void asked_is_closed(void *opaque)
{
	struct lane *lane = opaque;

	lane->asked = NULL;
	report(lane);
}

static void listed(void *opaque, const uint16_t *luns, unsigned count, const char *why)
{
	struct lane *lane = opaque;

	if (count)
		memcpy(lane->luns, luns, count * sizeof(luns[0]));
	else if (!why)
		why = "the target has no logical units for us";
	lane->lun_count = count;
	snprintf(lane->why, sizeof(lane->why), "%s", why ? why : "");
	lu_close(lane->asked, asked_is_closed, lane);
}

static void asked_is_open(void *opaque, struct scsi_lu *lu, const char *why)
{
	struct lane *lane = opaque;

	lane->asked = lu;
	if (lu) {
		scsi_luns_list(lu, listed, lane);
		return;
	}
	snprintf(lane->why, sizeof(lane->why), "%s", why);
	report(lane);
}

void lane_list(struct loop_msg *order)
{
	struct lane *lane = lane_of(order);

	/* REPORT LUNS is answered at LUN 0, whatever else is there (SPC-4 §6.33). */
	log_in(lane, 0, false, asked_is_open, lane);
}
