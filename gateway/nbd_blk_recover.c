/*
 * A lost connection to an NBD server: what waits is kept, attempts are made with
 * growing pauses, and the export that is found must be able to take the place of
 * the one that was lost.
 *
 * Called by nbd_blk.c (the link has ended) and nbd_blk_request.c (the server says
 * that it will).
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "nbd_blk_private.h"

/* Seconds. The first is for a server that restarts, the last for one that is away for long. */
#define FIRST_DELAY	0.1
#define LAST_DELAY	10.0
#define LOG_BURST	10	/* lines in: */
#define LOG_WINDOW	60.0	/* seconds */

static void plan_retry(struct nbd_blk *nb)
{
	/* Between half of it and all, so that the clients of a server do not come back as one. */
	double delay = nb->delay * (0.5 + 0.5 * erand48(nb->jitter));

	nb->delay = nb->delay * 2 < LAST_DELAY ? nb->delay * 2 : LAST_DELAY;
	ev_timer_set(&nb->retry, delay, 0.);
	ev_timer_start(nb->dev.loop->ev, &nb->retry);
}

static void drop_link(struct nbd_blk *nb)
{
	struct nbd_link *link = nb->link;

	/* Commands in flight come back within the call, to a device without a link. */
	nb->link = NULL;
	nbd_link_close(link);
}

static void set_presence(struct nbd_blk *nb, enum blk_presence presence)
{
	atomic_store_explicit(&nb->presence, presence, memory_order_relaxed);
}

static void give_up(struct nbd_blk *nb)
{
	log_error("%s: no connection for %g s, requests fail: %s", nb->uri, nb->outage_timeout, nb->why);
	nb->state = NBD_BLK_GIVEN_UP;
	set_presence(nb, BLK_GONE);
	nbd_blk_fail_waiting(nb);
}

void nbd_blk_lose(void *device, const char *why)
{
	struct nbd_blk *nb = device;

	assert(nb->state != NBD_BLK_DOWN && nb->state != NBD_BLK_GIVEN_UP);
	snprintf(nb->why, sizeof(nb->why), "%s", why);	/* it may be the link's */
	if (log_allowed(&nb->log_limit, loop_now(nb->dev.loop), LOG_BURST, LOG_WINDOW))
		log_warning("%s: connection lost: %s", nb->uri, nb->why);
	nb->state = NBD_BLK_DOWN;
	set_presence(nb, BLK_AWAY);
	nb->down_since = loop_now(nb->dev.loop);
	nb->delay = FIRST_DELAY;
	/* Before the commands that were in flight come back, so that they wait for what is to be
	 * written before them. */
	if (nb->dev.info.can_flush && !nb->dev.info.read_only)
		write_log_suspect(&nb->member);
	drop_link(nb);
	nbd_blk_log_look(nb);
	plan_retry(nb);
	if (nb->outage_timeout > 0) {
		ev_timer_set(&nb->patience, nb->outage_timeout, 0.);
		ev_timer_start(nb->dev.loop->ev, &nb->patience);
	} else if (nb->outage_timeout == 0) {
		give_up(nb);
	}
}

/*
 * Can "now" take the place of "was", for requests that were made to fit it and for
 * front ends that have told their clients of it? It may have grown and learned, but
 * not shrunk nor forgotten. NULL, or what is missing.
 */
static const char *what_is_missing(const struct blk_info *was, const struct blk_info *now)
{
	if (now->size < was->size)
		return "it is smaller";
	if (now->min_block > was->min_block || now->max_data < was->max_data)
		return "its block sizes differ";
	if (now->read_only && !was->read_only)
		return "it is read-only";
	if ((was->can_flush && !now->can_flush) || (was->can_fua && !now->can_fua))
		return "it cannot flush";
	if ((was->can_trim && !now->can_trim) || (was->can_zero && !now->can_zero) ||
	    (was->can_fast_zero && !now->can_fast_zero))
		return "it cannot trim or zero";
	if ((was->can_cache && !now->can_cache) || (was->can_extents && !now->can_extents))
		return "it cannot cache or tell its extents";
	if (now->one_instance && !was->one_instance)
		return "it allows one connection only";
	return NULL;
}

/* A server may give another one for the same name, the default one above all. */
static bool has_same_name(struct nbd_blk *nb)
{
	char *name = nbd_get_canonical_export_name(nbd_link_handle(nb->link));
	bool same = !nb->name || !name || strcmp(nb->name, name) == 0;

	if (same && !nb->name)
		nb->name = name;
	else
		free(name);
	return same;
}

/* Is what we are connected to the export that was lost? Then it is taken over; else nb->why. */
static bool take_over(struct nbd_blk *nb)
{
	struct blk_info now;
	const char *missing;

	if (!nbd_blk_learn(nbd_link_handle(nb->link), nb->read_only, &now, nb->why,
			   sizeof(nb->why)))
		return false;
	missing = has_same_name(nb) ? what_is_missing(&nb->dev.info, &now) : "it has another name";
	if (missing) {
		snprintf(nb->why, sizeof(nb->why), "the export is not what it was: %s", missing);
		return false;
	}
	if (strcmp(now.description, nb->dev.info.description) != 0)
		log_warning("%s: the export is described as \"%s\" now", nb->uri, now.description);
	now.generation = nb->dev.info.generation + 1;
	now.losses = nb->dev.info.losses;
	nb->dev.info = now;
	return true;
}

static void failed_again(struct nbd_blk *nb)
{
	log_trace(iscsi_debug_conn, "%s: no connection yet: %s", nb->uri, nb->why);
	if (nb->link)
		drop_link(nb);
	plan_retry(nb);
}

static void opened_again(void *opaque, const char *why)
{
	struct nbd_blk *nb = opaque;

	if (why)
		snprintf(nb->why, sizeof(nb->why), "%s", why);
	if (why || !take_over(nb)) {
		failed_again(nb);
		return;
	}
	ev_timer_stop(nb->dev.loop->ev, &nb->patience);
	nb->state = NBD_BLK_UP;
	set_presence(nb, BLK_PRESENT);
	if (log_allowed(&nb->log_limit, loop_now(nb->dev.loop), LOG_BURST, LOG_WINDOW))
		log_info("%s: connected again after %.1f s", nb->uri,
			 loop_now(nb->dev.loop) - nb->down_since);
	nbd_blk_log_look(nb);
	nbd_blk_pump(nb);
}

static void on_retry(struct ev_loop *ev, struct ev_timer *w, int events)
{
	static const struct nbd_link_events again = {
		.opened = opened_again, .lost = nbd_blk_lose
	};
	struct nbd_blk *nb = container_of(w, struct nbd_blk, retry);

	(void)ev;
	(void)events;
	nbd_blk_open_link(nb, &again);
	if (!nb->link) {
		snprintf(nb->why, sizeof(nb->why), "out of memory");
		failed_again(nb);
	}
}

static void on_patience(struct ev_loop *ev, struct ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	give_up(container_of(w, struct nbd_blk, patience));
}

void nbd_blk_recover_init(struct nbd_blk *nb)
{
	uintptr_t seed = (uintptr_t)nb;		/* differs between processes and instances: enough */

	ev_timer_init(&nb->retry, on_retry, 0., 0.);
	ev_timer_init(&nb->patience, on_patience, 0., 0.);
	memcpy(nb->jitter, &seed, sizeof(nb->jitter));
}

void nbd_blk_recover_stop(struct nbd_blk *nb)
{
	ev_timer_stop(nb->dev.loop->ev, &nb->retry);
	ev_timer_stop(nb->dev.loop->ev, &nb->patience);
}
