/*
 * The path to the logical unit, and whether it still leads to the same one.
 *
 * When a command comes back without an outcome, all work is held, and the unit is
 * probed again until it answers: identity first, work second, since a path that
 * came back may lead to another unit. When that takes longer than retry_timeout,
 * what waits fails, and so does what comes, while probing goes on. The same
 * probing, without holding anything, follows news of a change; and of its capacity the
 * unit is asked whenever somebody looks (blk_look()).
 *
 * Where the unit is accessible by several ports in different ways (asymmetric access,
 * SPC-4 §5.16), and the executor has several paths, a path whose port does not serve the
 * medium is left for the next one; one that merely serves it less well than another, too,
 * but only once round.
 */
#include <assert.h>
#include <errno.h>

#include "scsi_blk_private.h"

#define WHY_LEN		160
#define FIRST_DELAY	0.05	/* seconds between probes that fail */
#define LAST_DELAY	2.0

static void reprobed(struct scsi_blk *sb, const char *why);

static void probe(struct scsi_blk *sb)
{
	sb->probe_again = false;
	sb->lu_losses = sb->lu->losses;
	scsi_probe_start(sb, reprobed);
}

static void probe_later(struct scsi_blk *sb)
{
	sb->lost_delay = sb->lost_delay > 0 ? sb->lost_delay * 2 : FIRST_DELAY;
	if (sb->lost_delay > LAST_DELAY)
		sb->lost_delay = LAST_DELAY;
	ev_timer_set(&sb->probe_timer, sb->lost_delay, 0.);
	ev_timer_start(sb->dev.loop->ev, &sb->probe_timer);
}

static void on_probe_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	probe(timer->data);
}

static void on_give_up_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct scsi_blk *sb = timer->data;
	struct list queue = LIST_INIT(queue);
	struct list *node;

	(void)ev;
	(void)events;
	assert(sb->lost);
	sb->given_up = true;
	log_error("%s: lost for %g s, requests fail", sb->dev.info.description,
		  sb->conf.retry_timeout);
	/* The device may be closed in the last completion. */
	list_splice_tail(&queue, &sb->queue);
	while ((node = list_pop(&queue)))
		scsi_io_fail(container_of(node, struct scsi_io, node), EIO, NULL, SCSI_LOST_TEXT);
}

/* The write log starts over when there is a path again. */
static void fail_urgent(struct scsi_blk *sb)
{
	struct list *node;

	while ((node = list_pop(&sb->urgent)))
		scsi_io_fail(container_of(node, struct scsi_io, node), ENOTCONN, NULL,
			     SCSI_LOST_TEXT);
}

static void begin_loss(struct scsi_blk *sb)
{
	if (sb->lost)
		return;
	sb->lost = true;
	fail_urgent(sb);
	/* A log is told at once, for it makes good what may be lost. Without one, the unit says
	 * whether it was reset: most sessions end for other reasons. */
	if (write_log_keeps(sb->member.log))
		scsi_log_reset(sb);
	scsi_log_look(sb);
	if (sb->conf.retry_timeout < 0)
		return;
	ev_timer_set(&sb->give_up_timer, sb->conf.retry_timeout, 0.);
	ev_timer_start(sb->dev.loop->ev, &sb->give_up_timer);
}

/* Not before a probe that began after the loss has gone through. */
static void found_again(struct scsi_blk *sb)
{
	if (!sb->lost)
		return;
	sb->lost = false;
	sb->given_up = false;
	ev_timer_stop(sb->dev.loop->ev, &sb->give_up_timer);
	/* Lost again before any command went well: not to be tried without a pause. */
	if (!sb->lost_delay)
		sb->lost_delay = FIRST_DELAY;
	scsi_warn(sb, "%s: found again", sb->dev.info.description);
	scsi_pump(sb);
}

static void adopt(struct scsi_blk *sb)
{
	const struct scsi_probe *p = &sb->probe;

	if (p->only_capacity && p->facts.capacity.last_lba == sb->facts.capacity.last_lba)
		return;
	sb->facts = p->facts;
	if (!p->only_capacity)
		scsi_heed_mode(sb);
	scsi_update_info(sb);
}

bool scsi_other_path(struct scsi_blk *sb)
{
	if (sb->detours + 1 < sb->lu->paths && lu_other_path(sb->lu)) {
		sb->detours++;
		return true;
	}
	sb->detours = 0;
	return false;
}

/* The next path at once; when all have been tried, after a pause, and round again. */
static void go_round(struct scsi_blk *sb)
{
	begin_loss(sb);
	if (scsi_other_path(sb)) {
		scsi_reprobe(sb);
		return;
	}
	lu_other_path(sb->lu);
	/* Somebody may be looking at the unit just now: what that finds is not to be trusted. */
	if (sb->probe.active)
		sb->probe_again = true;
	else
		probe_later(sb);
}

/* Whoever looks knows now all that there is to know. */
static void tell_seen(struct scsi_blk *sb)
{
	if (sb->looked_at)
		blk_seen(&sb->dev);
	sb->looked_at = false;
}

static void reprobed(struct scsi_blk *sb, const char *why)
{
	bool astray = why && sb->probe.bad_path;
	char differs[WHY_LEN];

	if (!why && !scsi_facts_same_unit(&sb->facts, &sb->probe.facts, differs, sizeof(differs))) {
		why = differs;
		astray = true;
	}
	if (why)
		scsi_warn(sb, "%s: %s", sb->dev.info.description, why);
	if (astray) {
		go_round(sb);
		tell_seen(sb);
		return;
	}
	if (why) {
		probe_later(sb);
		tell_seen(sb);
		return;
	}
	adopt(sb);
	sb->detours = 0;
	if (sb->probe_again) {
		probe(sb);
		return;
	}
	sb->asking = false;
	tell_seen(sb);
	found_again(sb);
	scsi_log_look(sb);
}

void scsi_look(struct blkdev *dev)
{
	struct scsi_blk *sb = container_of(dev, struct scsi_blk, dev);

	/* Another instance may know better; the unit tells a refused write to its session alone. */
	if (dev->info.read_only != scsi_read_only(sb))
		scsi_update_info(sb);
	if (sb->lost || ev_is_active(&sb->probe_timer)) {
		blk_seen(dev);	/* there is nobody to ask */
		return;
	}
	sb->looked_at = true;
	if (sb->probe.active)
		sb->probe_again = true;
	else
		scsi_probe_capacity(sb, reprobed);
}

void scsi_reprobe(struct scsi_blk *sb)
{
	if (sb->probe.active)
		sb->probe_again = true;
	else if (!ev_is_active(&sb->probe_timer))
		probe(sb);
}

void scsi_path_lost(struct scsi_blk *sb)
{
	if (sb->lost)
		return;
	scsi_warn(sb, "%s: path lost, requests wait", sb->dev.info.description);
	begin_loss(sb);
	if (sb->lost_delay > 0 && !sb->probe.active && !ev_is_active(&sb->probe_timer))
		probe_later(sb);
	else
		scsi_reprobe(sb);
}

void scsi_path_barred(struct scsi_blk *sb)
{
	if (sb->lost)
		return;
	scsi_warn(sb, "%s: not accessible by this path, requests wait", sb->dev.info.description);
	go_round(sb);
}

void scsi_path_init(struct scsi_blk *sb)
{
	ev_timer_init(&sb->probe_timer, on_probe_timer, 0., 0.);
	sb->probe_timer.data = sb;
	ev_timer_init(&sb->give_up_timer, on_give_up_timer, 0., 0.);
	sb->give_up_timer.data = sb;
}

void scsi_path_stop(struct scsi_blk *sb)
{
	ev_timer_stop(sb->dev.loop->ev, &sb->probe_timer);
	ev_timer_stop(sb->dev.loop->ev, &sb->give_up_timer);
}
