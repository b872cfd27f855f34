/* Loop threads with sessions, and the way to them from nbdkit's threads; see engine.h. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "offload.h"
#include "range_lock.h"
#include "scsi_blk.h"

/* One loop with its session. Open and close run on the loop, whoever runs that. */
struct session {
	struct engine *engine;
	struct loop *loop;
	pthread_t thread;
	bool running;
	struct scsi_lu *lu;
	struct blkdev *blk;
	struct loop_msg msg;		/* open, close */
	sem_t reported;			/* opened or closed */
	char why[256];			/* "" = open */
};

struct engine {
	const struct engine_conf *conf;
	struct offload *offload;
	struct blk_shared shared;
	atomic_uint next;
	unsigned count;
	struct session sessions[];
};

static void reported(struct session *s)
{
	if (s->running)
		sem_post(&s->reported);
	else
		loop_stop(s->loop);	/* engine_probe() */
}

static void blk_is_open(void *opaque, struct blkdev *blk, const char *why)
{
	struct session *s = opaque;

	s->blk = blk;
	snprintf(s->why, sizeof(s->why), "%s", why ? why : "");
	reported(s);
}

static void lu_is_open(void *opaque, struct scsi_lu *lu, const char *why)
{
	struct session *s = opaque;
	const struct engine_conf *conf = s->engine->conf;
	struct scsi_blk_conf blk_conf = {
		.retry_timeout = conf->retry_timeout,
		.read_only = conf->read_only,
	};

	s->lu = lu;
	if (lu)
		scsi_blk_open(lu, &s->engine->shared, &blk_conf, blk_is_open, s);
	else
		blk_is_open(s, NULL, why);
}

static void open_session(struct loop_msg *msg)
{
	struct session *s = container_of(msg, struct session, msg);
	struct initiator_conf conf = s->engine->conf->initiator;

	/* Sessions of one initiator differ in their ISID (RFC 7143 §4.4.3). */
	initiator_random_isid(conf.isid);
	iscsi_lu_open(s->loop, s->engine->offload, &s->engine->conf->url, &conf, lu_is_open, s);
}

static void lu_is_closed(void *opaque)
{
	struct session *s = opaque;

	s->lu = NULL;
	reported(s);
}

static void blk_is_closed(void *opaque)
{
	struct session *s = opaque;

	s->blk = NULL;
	if (s->lu)
		lu_close(s->lu, lu_is_closed, s);
	else
		reported(s);
}

static void close_session(struct loop_msg *msg)
{
	struct session *s = container_of(msg, struct session, msg);

	if (s->blk)
		blk_close(s->blk, blk_is_closed, s);
	else
		blk_is_closed(s);
}

static struct engine *engine_new(const struct engine_conf *conf, unsigned count)
{
	struct engine *engine = calloc(1, sizeof(*engine) + count * sizeof(engine->sessions[0]));

	if (!engine)
		return NULL;
	engine->conf = conf;
	engine->count = count;
	engine->offload = offload_new(1);
	engine->shared.ranges = range_lock_new();
	for (unsigned i = 0; i < count; i++) {
		struct session *s = &engine->sessions[i];

		s->engine = engine;
		s->loop = loop_new();
		sem_init(&s->reported, 0, 0);
	}
	return engine;
}

static bool engine_complete(const struct engine *engine)
{
	bool complete = engine && engine->offload && engine->shared.ranges;

	for (unsigned i = 0; complete && i < engine->count; i++)
		complete = engine->sessions[i].loop;
	return complete;
}

static void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	for (unsigned i = 0; i < engine->count; i++) {
		if (engine->sessions[i].loop)
			loop_free(engine->sessions[i].loop);
		sem_destroy(&engine->sessions[i].reported);
	}
	if (engine->offload)
		offload_free(engine->offload);
	if (engine->shared.ranges)
		range_lock_free(engine->shared.ranges);
	free(engine);
}

static void run_here(struct session *s, void (*what)(struct loop_msg *))
{
	s->msg.run = what;
	loop_post(s->loop, &s->msg);
	loop_run(s->loop);
}

bool engine_probe(const struct engine_conf *conf, char *why, size_t size)
{
	struct engine *engine = engine_new(conf, 1);
	bool ok = engine_complete(engine);

	snprintf(why, size, "%s", ok ? "" : strerror(ENOMEM));
	if (ok) {
		run_here(&engine->sessions[0], open_session);
		ok = !engine->sessions[0].why[0];
		snprintf(why, size, "%s", engine->sessions[0].why);
		run_here(&engine->sessions[0], close_session);
	}
	engine_free(engine);
	return ok;
}

static void *run_loop(void *opaque)
{
	struct session *s = opaque;

	loop_run(s->loop);
	return NULL;
}

/* Signals are nbdkit's business: our threads take none. */
static bool start_thread(struct session *s)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&s->thread, NULL, run_loop, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->running = errno == 0;
	return s->running;
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) < 0)
		assert(errno == EINTR);
}

static void tell_all(struct engine *engine, void (*what)(struct loop_msg *))
{
	for (unsigned i = 0; i < engine->count; i++) {
		struct session *s = &engine->sessions[i];

		s->msg.run = what;
		if (s->running)
			loop_post(s->loop, &s->msg);
	}
	for (unsigned i = 0; i < engine->count; i++)
		if (engine->sessions[i].running)
			wait_for(&engine->sessions[i].reported);
}

void engine_stop(struct engine *engine)
{
	tell_all(engine, close_session);
	for (unsigned i = 0; i < engine->count; i++) {
		struct session *s = &engine->sessions[i];

		if (!s->running)
			continue;
		loop_stop(s->loop);
		pthread_join(s->thread, NULL);
	}
	engine_free(engine);
}

struct engine *engine_start(const struct engine_conf *conf, char *why, size_t size)
{
	struct engine *engine = engine_new(conf, conf->sessions);

	snprintf(why, size, "%s", strerror(ENOMEM));
	if (!engine_complete(engine)) {
		engine_free(engine);
		return NULL;
	}
	why[0] = '\0';
	for (unsigned i = 0; i < engine->count && !why[0]; i++)
		if (!start_thread(&engine->sessions[i]))
			snprintf(why, size, "%s", strerror(errno));
	tell_all(engine, open_session);
	for (unsigned i = 0; i < engine->count && !why[0]; i++)
		snprintf(why, size, "%s", engine->sessions[i].why);
	if (!why[0])
		return engine;
	engine_stop(engine);
	return NULL;
}

unsigned engine_session(struct engine *engine)
{
	return atomic_fetch_add(&engine->next, 1) % engine->count;
}

/* Something to do on a session's loop while its owner waits, on the owner's stack. */
struct errand {
	struct loop_msg msg;
	struct session *session;
	struct blk_req req;
	struct blk_info *info;
	sem_t over;
};

static void request_done(struct blk_req *req)
{
	struct errand *errand = container_of(req, struct errand, req);

	sem_post(&errand->over);
}

static void submit_here(struct loop_msg *msg)
{
	struct errand *errand = container_of(msg, struct errand, msg);

	blk_submit(errand->session->blk, &errand->req);
}

static void info_here(struct loop_msg *msg)
{
	struct errand *errand = container_of(msg, struct errand, msg);

	*errand->info = errand->session->blk->info;
	sem_post(&errand->over);
}

static void run_errand(struct errand *errand)
{
	sem_init(&errand->over, 0, 0);
	loop_post(errand->session->loop, &errand->msg);
	wait_for(&errand->over);
	sem_destroy(&errand->over);
}

void engine_submit(struct engine *engine, unsigned session, struct blk_req *req)
{
	struct errand errand = {
		.msg.run = submit_here, .session = &engine->sessions[session], .req = *req,
	};

	errand.req.done = request_done;
	run_errand(&errand);
	*req = errand.req;
}

void engine_info(struct engine *engine, unsigned session, struct blk_info *info)
{
	struct errand errand = {
		.msg.run = info_here, .session = &engine->sessions[session], .info = info,
	};

	run_errand(&errand);
}
