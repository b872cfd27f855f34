/*
 * What the files of the process's life share. Main thread only.
 *
 *	gateway.c		serve, drain, close, signals
 *	gateway_make.c		what all of it stands on: loop, workers, directory of state
 *	gateway_change.c	a configuration comes into force: at start, and at reload
 *	gateway_device.c	the devices of a configuration: made, opened, closed on all workers
 */
#ifndef GATEWAY_PRIVATE_H
#define GATEWAY_PRIVATE_H

#include <ev.h>
#include <stdbool.h>

#include "captive.h"
#include "conf.h"
#include "front.h"
#include "loop.h"
#include "worker.h"

enum phase { OPENING, SERVING, DRAINING, DROPPING, CLOSING };

struct gateway {
	const struct conf *start;	/* what the process began with: options hold until its end */
	struct conf *conf;		/* what is served; NULL until the first change is through */
	struct conf *next;		/* what is about to be; NULL: no change is under way */
	int argc;			/* to be parsed again */
	char **argv;
	struct loop *loop;
	enum phase phase;
	int status;			/* to exit with */
	unsigned pending;		/* reports that the phase, or the change, waits for */
	void (*opened)(struct gateway *);	/* gateway_device.c's, while it opens devices */
	bool change_failed;		/* one of them has not opened */
	bool reload_again;		/* SIGHUP came while a change was under way */
	bool stop_wanted;		/* SIGTERM did */
	int state_dir;			/* locked while we run; -1: none */
	struct worker_conf worker_conf;
	struct worker *workers;
	unsigned worker_count;
	struct front front;
	struct captive captive;
	ev_signal sigterm, sigint, sighup;
	ev_timer deadline;
	/* gateway_device.c's, while it closes devices of this one: */
	struct conf *closing;
	void (*closed)(struct gateway *);
};

/* ---- gateway.c */

/* An order, still to be given by worker_order(); counted in g->pending. */
struct worker_order *gateway_order(struct gateway *g, struct worker *worker,
				   enum worker_task task, void (*reported)(struct worker_order *));

/* Every report ends with this. Was it the last that is awaited? */
bool gateway_reported(struct worker_order *order);

/* The first change is through, or has failed. */
void gateway_serve(struct gateway *g);
void gateway_give_up(struct gateway *g);

/* A change is over, whichever way, and what waited for that begins. */
void gateway_change_over(struct gateway *g);

/* What the phases wait for: signals, the deadline, and the end of --single's client. */
void gateway_watch(struct gateway *g);

/* ---- gateway_make.c */

/* False: logged. gateway_take_apart() is to be called either way. */
bool gateway_make(struct gateway *g);
void gateway_take_apart(struct gateway *g);

/* Nothing but memory or threads can be short where this is called. Logs; false. */
bool gateway_cannot_start(void);

/* ---- gateway_change.c */

/* Bring g->next into force. It ends with gateway_serve() or gateway_give_up() when it is the
 * first, else with gateway_change_over(). */
void gateway_change(struct gateway *g);

/* SIGHUP: parse again, and change to that if it is right. */
void gateway_reload(struct gateway *g);

/* ---- gateway_device.c */

/* Read the accounts of iscsi:// devices that have none of their own. False: logged. */
bool gateway_find_accounts(struct conf *conf);

/* What "now" shows as it is in "before" (NULL: nothing is) stays open: the export changes hands,
 * and both conf_devices are marked. */
void gateway_adopt_devices(struct conf *now, struct conf *before);

/* Open what is not open, on all workers; opened() comes with the last report, perhaps at once.
 * g->change_failed tells whether there was an error, which has been logged. */
void gateway_open_devices(struct gateway *g, struct conf *conf, void (*opened)(struct gateway *));

/* Of those that stay open in g->next: let the workers know other time-outs, and report. */
void gateway_tune_devices(struct gateway *g, void (*reported)(struct worker_order *));

/* All are open: how they are called, and which target ports lead to them, is what this
 * configuration says. */
void gateway_tell_units(const struct conf *conf);

/* Close all that are not marked, on worker 0 last, and free their exports. Then closed(). */
void gateway_close_devices(struct gateway *g, struct conf *conf, void (*closed)(struct gateway *));

#endif
