/*
 * The engine's threads, and what they are told to do from start to end; see engine.h
 * and engine_private.h.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_private.h"
#include "log.h"
#include "offload.h"
#include "range_lock.h"
#include "thread.h"
#include "write_log.h"

static struct engine *engine_new(const struct engine_conf *conf, unsigned lanes)
{
	struct engine *engine = calloc(1, sizeof(*engine) + lanes * sizeof(engine->lanes[0]));

	if (!engine)
		return NULL;
	engine->conf = conf;
	engine->lane_count = lanes;
	engine->offload = offload_new(1);
	for (unsigned i = 0; i < lanes; i++) {
		struct lane *lane = &engine->lanes[i];

		lane->engine = engine;
		lane->loop = loop_new();
		sem_init(&lane->reported, 0, 0);
		if (lane->loop)
			lane_drive_init(lane);
	}
	return engine;
}

static bool engine_complete(const struct engine *engine)
{
	bool complete = engine && engine->offload;

	for (unsigned i = 0; complete && i < engine->lane_count; i++)
		complete = engine->lanes[i].loop;
	return complete;
}

static void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	/* Before the loops: its thread may still be on its way out of loop_post(). */
	offload_free(engine->offload);
	for (unsigned i = 0; i < engine->lane_count; i++) {
		free(engine->lanes[i].sessions);
		if (engine->lanes[i].loop)
			lane_drive_destroy(&engine->lanes[i]);
		loop_free(engine->lanes[i].loop);
		sem_destroy(&engine->lanes[i].reported);
	}
	for (unsigned i = 0; i < engine->unit_count; i++) {
		range_lock_free(engine->units[i].shared.ranges);
		write_log_free(engine->units[i].shared.log);
	}
	free(engine->units);
	free(engine->served);
	free(engine);
}

/* Room for a session to each of these units on every lane. False without memory. */
static bool make_room(struct engine *engine, const uint16_t *luns, unsigned count)
{
	bool complete = true;

	engine->units = calloc(count, sizeof(engine->units[0]));
	engine->served = calloc(count, sizeof(engine->served[0]));
	if (!engine->units || !engine->served)
		return false;
	engine->unit_count = count;
	for (unsigned i = 0; i < count; i++) {
		engine->units[i].lun = luns[i];
		engine->units[i].shared.ranges = range_lock_new();
		engine->units[i].shared.log = write_log_new(engine->conf->write_log);
		complete = complete && engine->units[i].shared.ranges && engine->units[i].shared.log;
	}
	for (unsigned i = 0; i < engine->lane_count; i++) {
		struct lane *lane = &engine->lanes[i];

		lane->sessions = calloc(count, sizeof(lane->sessions[0]));
		complete = complete && lane->sessions;
		for (unsigned j = 0; lane->sessions && j < count; j++) {
			lane->sessions[j].lane = lane;
			lane->sessions[j].unit = &engine->units[j];
		}
	}
	return complete;
}

/* 0 or an errno. */
static int start_lane(struct lane *lane)
{
	int error = thread_start(&lane->thread, lane_keep, lane);

	lane->running = error == 0;
	return error;
}

static void give(struct lane *lane, void (*order)(struct loop_msg *))
{
	lane->order.run = order;
	loop_post(lane->loop, &lane->order);
	if (!lane->running)
		loop_run(lane->loop);
}

/* The first "count" lanes carry out an order, side by side. */
static void tell(struct engine *engine, unsigned count, void (*order)(struct loop_msg *))
{
	for (unsigned i = 0; i < count; i++)
		give(&engine->lanes[i], order);
	for (unsigned i = 0; i < count; i++)
		if (engine->lanes[i].running)
			engine_wait(&engine->lanes[i].reported);
}

/* Which units there are to serve: the one that was named, or what the target lists. */
static bool find_units(struct engine *engine, char *why, size_t size)
{
	const struct iscsi_url *url = &engine->conf->url;
	const struct lane *lane = &engine->lanes[0];
	const uint16_t *luns = &url->lun;
	unsigned count = 1;

	if (!url->has_lun) {
		tell(engine, 1, lane_list);
		snprintf(why, size, "%s", lane->why);
		if (*why)
			return false;
		luns = lane->luns;
		count = lane->lun_count;
	}
	snprintf(why, size, "%s", strerror(ENOMEM));
	return make_room(engine, luns, count);
}

/* The lane that has no session to a unit; NULL when all have. */
static struct session *closed_session(struct engine *engine, unsigned unit)
{
	for (unsigned i = 0; i < engine->lane_count; i++)
		if (!engine->lanes[i].sessions[unit].blk)
			return &engine->lanes[i].sessions[unit];
	return NULL;
}

/* What is said of a unit that did not open: all that there is to say where it was named. */
static void explain(const struct engine *engine, const struct session *closed, char *why,
		    size_t size)
{
	if (engine->conf->url.has_lun) {
		snprintf(why, size, "%s", closed->why);
		return;
	}
	snprintf(why, size, "no unit of the target can be served; LUN %u: %s", closed->unit->lun,
		 closed->why);
	/* A controller among disks is nothing to worry about. */
	log_line(closed->logged_in ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		 "LUN %u is not served: %s", closed->unit->lun, closed->why);
}

/* Served is what every lane has opened. False when there is nothing left. */
static bool sort_out(struct engine *engine, char *why, size_t size)
{
	for (unsigned i = 0; i < engine->unit_count; i++) {
		const struct session *closed = closed_session(engine, i);

		if (closed)
			explain(engine, closed, why, size);
		else
			engine->served[engine->served_count++] = &engine->units[i];
	}
	return engine->served_count > 0;
}

static bool open_all(struct engine *engine, char *why, size_t size)
{
	if (!find_units(engine, why, size))
		return false;
	tell(engine, engine->lane_count, lane_open);
	return sort_out(engine, why, size);
}

bool engine_probe(const struct engine_conf *conf, char *why, size_t size)
{
	struct engine *engine = engine_new(conf, 1);
	bool ok = engine_complete(engine);

	snprintf(why, size, "%s", strerror(ENOMEM));
	if (ok) {
		ok = open_all(engine, why, size);
		tell(engine, 1, lane_close);
	}
	engine_free(engine);
	return ok;
}

void engine_stop(struct engine *engine)
{
	for (unsigned i = 0; i < engine->lane_count; i++)
		if (engine->lanes[i].running)
			give(&engine->lanes[i], lane_close);
	for (unsigned i = 0; i < engine->lane_count; i++) {
		struct lane *lane = &engine->lanes[i];

		if (!lane->running)
			continue;
		engine_wait(&lane->reported);
		loop_stop(lane->loop);
		pthread_join(lane->thread, NULL);
	}
	engine_free(engine);
}

static int start_lanes(struct engine *engine)
{
	int error = 0;

	for (unsigned i = 0; i < engine->lane_count && !error; i++)
		error = start_lane(&engine->lanes[i]);
	return error;
}

struct engine *engine_start(const struct engine_conf *conf, char *why, size_t size)
{
	struct engine *engine = engine_new(conf, conf->sessions);
	int error = engine_complete(engine) ? start_lanes(engine) : ENOMEM;

	if (!error && open_all(engine, why, size))
		return engine;
	if (error)
		snprintf(why, size, "%s", strerror(error));
	if (engine)
		engine_stop(engine);
	return NULL;
}

unsigned engine_units(const struct engine *engine)
{
	return engine->served_count;
}

uint16_t engine_lun(const struct engine *engine, unsigned unit)
{
	assert(unit < engine->served_count);
	return engine->served[unit]->lun;
}

struct session *engine_session(struct engine *engine, unsigned unit)
{
	struct unit *served;
	unsigned lane;

	assert(unit < engine->served_count);
	served = engine->served[unit];
	lane = atomic_fetch_add(&served->clients, 1) % engine->lane_count;
	return &engine->lanes[lane].sessions[served - engine->units];
}
