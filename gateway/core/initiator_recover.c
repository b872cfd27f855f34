/*
 * When there is no session: what becomes of the tasks, and how it comes back.
 *
 * What was on the wire ends as LU_LOST, for nobody knows whether it was done. What
 * was not, and what is submitted meanwhile, waits for the next session, as long as
 * conf.outage_timeout allows. That session has the same ISID and TSIH 0, so that the
 * target ends whatever it still does for the old one before it lets us in (RFC 7143
 * §6.3.5): nothing that a submitter tries again can be overtaken by its first try.
 *
 * With several portals, each has its turn before there is any wait. In between the old
 * session may be known to the portal that we left only; but then what it had received
 * it has long since carried out, and what it had not, it never will be sent.
 *
 * Called with the end of a connection, or of an attempt to get one.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "initiator_private.h"

#define FIRST_DELAY	0.25	/* seconds; doubled with each attempt, up to: */
#define LAST_DELAY	15.0
#define MAX_DOUBLINGS	6
#define HELD		10.0	/* seconds after which a session counts as a success */
#define LOG_BURST	5	/* lines about this target in: */
#define LOG_WINDOW	60.0	/* seconds */

/* 0.5 to 1: many initiators of one target shall not come back all at once. */
static double jitter(void)
{
	uint16_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return 1;
	return 0.5 + random / (2.0 * UINT16_MAX);
}

static double delay(struct initiator *ini)
{
	double seconds = FIRST_DELAY * (1u << (ini->attempts < MAX_DOUBLINGS ? ini->attempts
						  : MAX_DOUBLINGS));

	ini->attempts++;
	return (seconds < LAST_DELAY ? seconds : LAST_DELAY) * jitter();
}

static void on_retry(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	connect_start(container_of(timer, struct initiator, phase));
}

/* It has failed. False when every portal has had its turn since there was a session that held. */
static bool next_portal(struct initiator *ini)
{
	ini->portal = (ini->portal + 1) % ini->portal_count;
	if (++ini->portals_tried < ini->portal_count)
		return true;
	ini->portals_tried = 0;
	return false;
}

static void say(struct initiator *ini, const char *what, const char *why, double seconds)
{
	char portal[ISCSI_PORTAL_TEXT], then[ISCSI_PORTAL_TEXT + 32];

	if (!log_allowed(&ini->log_limit, loop_now(ini->lu.loop), LOG_BURST, LOG_WINDOW))
		return;
	iscsi_portal_format(&ini->portals[ini->portal], portal);
	if (ini->portal_count > 1)
		snprintf(then, sizeof(then), "trying %s in %.1f s", portal, seconds);
	else
		snprintf(then, sizeof(then), "trying again in %.1f s", seconds);
	log_warning("iscsi://%s/%s/%u: %s%s; %s", portal, ini->url.target, ini->url.lun, what, why,
		    then);
}

/* Not before "least" seconds at a portal that we have been to; another one is tried at once. */
static void try_again(struct initiator *ini, double least, const char *what, const char *why)
{
	double seconds = 0;

	assert(ini->state == INITIATOR_DOWN && !ini->ending);
	if (!next_portal(ini)) {
		seconds = delay(ini);
		if (seconds < least)
			seconds = least;
	}
	say(ini, what, why, seconds);
	initiator_timer(ini, &ini->phase, on_retry, seconds);
}

static void fail_queue(struct initiator *ini)
{
	struct list *node;

	while ((node = list_pop(&ini->queue)))
		initiator_end_task(ini, container_of(node, struct scsi_task, node), LU_LOST);
}

static void on_outage_over(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct initiator *ini = container_of(timer, struct initiator, outage);

	(void)ev;
	(void)events;
	ini->outage_over = true;
	fail_queue(ini);
}

static void outage_begins(struct initiator *ini)
{
	if (ini->conf.outage_timeout == 0) {
		ini->outage_over = true;
		fail_queue(ini);
	} else if (ini->conf.outage_timeout > 0 && !ev_is_active(&ini->outage)) {
		initiator_timer(ini, &ini->outage, on_outage_over, ini->conf.outage_timeout);
	}
}

static void session_lost(struct initiator *ini, const char *why)
{
	bool asked = ini->leaving && ini->busy == 0;

	ini->lu.losses++;
	if (loop_now(ini->lu.loop) - ini->up_since >= HELD)
		ini->attempts = ini->portals_tried = 0;
	else if (ini->served)
		ini->attempts = 0;	/* a line that is cut again and again must not end in silence */
	if (!ini->ending) {
		snprintf(ini->why, sizeof(ini->why), "%s", why);
		outage_begins(ini);
	}
	task_finish_all(ini, NULL, LU_LOST);
	text_end(ini, why);
	if (ini->ending)
		initiator_end(ini);
	else
		try_again(ini, ini->time2wait, asked ? "as agreed: " : "session lost: ", why);
}

void recover_connection_closed(struct initiator *ini, const char *why)
{
	enum initiator_state was = ini->state;

	assert(ini->connected);
	ini->state = INITIATOR_DOWN;
	session_stop(ini);
	rx_reset(ini);
	tmf_lost(ini);
	conn_release(&ini->conn);
	ini->connected = false;
	login_release(ini);
	if (was != INITIATOR_LOGIN)
		session_lost(ini, why);
	else if (ini->login.again && !ini->ending)
		connect_start(ini);
	else
		recover_attempt_failed(ini, ini->conn.peer_closed ? "login: closed by the target"
							       : why);
}

/* While opening every portal gets one chance; if none takes it, the user reads what each said. */
static void open_failed(struct initiator *ini, const char *why)
{
	size_t used = ini->portals_tried ? strlen(ini->why) : 0;

	snprintf(ini->why + used, sizeof(ini->why) - used, "%s%s", used ? "; " : "", why);
	if (next_portal(ini))
		initiator_timer(ini, &ini->phase, on_retry, 0);
	else
		initiator_give_up(ini, ini->why);
}

void recover_attempt_failed(struct initiator *ini, const char *why)
{
	assert(ini->state == INITIATOR_DOWN && !ini->connected);
	ev_timer_stop(ini->lu.loop->ev, &ini->phase);
	ini->login.redirects = 0;
	ini->login.again = false;
	if (ini->ending)
		initiator_end(ini);
	else if (ini->opened)
		open_failed(ini, why);
	else
		try_again(ini, 0, "", why);
}

void recover_succeeded(struct initiator *ini)
{
	char portal[ISCSI_PORTAL_TEXT];

	if (!ini->opened)
		log_info("iscsi://%s/%s/%u: logged in again",
			 iscsi_portal_format(&ini->portals[ini->portal], portal), ini->url.target,
			 ini->url.lun);
	ini->time2wait = ini->params.default_time2wait;
	ini->up_since = loop_now(ini->lu.loop);
	ini->outage_over = false;
	ev_timer_stop(ini->lu.loop->ev, &ini->outage);
	if (ini->opened)
		ini->begun(ini);
}

void recover_stop(struct initiator *ini)
{
	ev_timer_stop(ini->lu.loop->ev, &ini->phase);
	ev_timer_stop(ini->lu.loop->ev, &ini->outage);
}
