/*
 * When there is no session: what becomes of the tasks, and how it comes back.
 *
 * What was on the wire ends as LU_LOST, for nobody knows whether it was done. What
 * was not, and what is submitted meanwhile, waits for the next session, as long as
 * conf.outage_timeout allows. That session has the same ISID and TSIH 0, so that the
 * target ends whatever it still does for the old one before it lets us in (RFC 7143
 * §6.3.5): nothing that a submitter tries again can be overtaken by its first try.
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

	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
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

static void try_again(struct initiator *ini, double seconds, const char *what, const char *why)
{
	assert(ini->state == INITIATOR_DOWN && !ini->ending);
	if (log_allowed(&ini->log_limit, loop_now(ini->lu.loop), LOG_BURST, LOG_WINDOW))
		log_warning("iscsi://%s:%s/%s/%u: %s%s; trying again in %.1f s", ini->url.host,
			    ini->url.port, ini->url.target, ini->url.lun, what, why, seconds);
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
	double wait;

	if (loop_now(ini->lu.loop) - ini->up_since >= HELD)
		ini->attempts = 0;
	wait = delay(ini);
	/* After an end that was not a logout: RFC 7143 §13.15 */
	if (!asked && wait < ini->params.default_time2wait)
		wait = ini->params.default_time2wait;
	if (!ini->ending) {
		snprintf(ini->why, sizeof ini->why, "%s", why);
		outage_begins(ini);
	}
	task_finish_all(ini, NULL, LU_LOST);
	if (ini->ending)
		initiator_end(ini);
	else
		try_again(ini, wait, asked ? "as the target asked: " : "session lost: ", why);
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
	else if (ini->login.redirected && !ini->ending)
		connect_start(ini);
	else
		recover_attempt_failed(ini, ini->conn.peer_closed ? "login: closed by the target"
							       : why);
}

void recover_attempt_failed(struct initiator *ini, const char *why)
{
	assert(ini->state == INITIATOR_DOWN && !ini->connected);
	ev_timer_stop(ini->lu.loop->ev, &ini->phase);
	ini->login.redirects = 0;
	ini->login.redirected = false;
	if (ini->ending)
		initiator_end(ini);
	else if (ini->opened)
		initiator_give_up(ini, why);
	else
		try_again(ini, delay(ini), "", why);
}

void recover_succeeded(struct initiator *ini)
{
	if (!ini->opened)
		log_info("iscsi://%s:%s/%s/%u: logged in again", ini->url.host, ini->url.port,
			 ini->url.target, ini->url.lun);
	ini->up_since = loop_now(ini->lu.loop);
	ini->outage_over = false;
	ev_timer_stop(ini->lu.loop->ev, &ini->outage);
	if (ini->opened)
		probe_start(ini);
}

void recover_stop(struct initiator *ini)
{
	ev_timer_stop(ini->lu.loop->ev, &ini->phase);
	ev_timer_stop(ini->lu.loop->ev, &ini->outage);
}
