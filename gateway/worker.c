/* A worker thread and its mailbox; see worker.h. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "stream.h"
#include "thread.h"
#include "worker.h"

/* A connection on its way from the listener. */
struct arrival {
	struct loop_msg msg;
	struct worker *worker;
	struct stream *stream;
	uint16_t group;		/* 0: NBD */
	uint16_t door;
	bool single;
};

static void *run(void *opaque)
{
	struct worker *worker = opaque;

	loop_run(worker->loop);
	return NULL;
}

static void report(struct loop_msg *msg)
{
	struct worker_order *order = container_of(msg, struct worker_order, msg);

	order->reported(order);
}

static void finish(struct worker_order *order)
{
	order->msg.run = report;
	loop_post(order->worker->conf->main_loop, &order->msg);
}

static void report_if_drained(struct worker *worker)
{
	struct worker_order *order = worker->drain;

	/* A session outlives its connections as long as it has tasks at a device. */
	if (!order || !list_empty(&worker->nbd.connections) ||
	    !list_empty(&worker->target.connections) || !list_empty(&worker->target.sessions))
		return;
	worker->drain = NULL;
	finish(order);
}

static void nbd_idle(struct nbd_service *service)
{
	struct worker *worker = container_of(service, struct worker, nbd);

	if (worker->single)
		loop_post(worker->conf->main_loop, &worker->conf->single_ended);
	worker->single = false;
	report_if_drained(worker);
}

static void target_idle(struct target_service *service)
{
	report_if_drained(container_of(service, struct worker, target));
}

static void one_follows(struct worker *worker)
{
	struct worker_order *order = worker->access;

	if (--worker->followers > 0)
		return;
	worker->access = NULL;
	finish(order);
}

static void nbd_follows(struct nbd_service *service)
{
	one_follows(container_of(service, struct worker, nbd));
}

static void target_follows(struct target_service *service)
{
	one_follows(container_of(service, struct worker, target));
}

static void take_rules(struct worker *worker, const struct worker_rules *rules)
{
	struct tls *before = worker->rules.tls;

	worker->rules = *rules;
	tls_hold(rules->tls);
	tls_drop(before);
	worker->nbd.tls_mode = rules->tls_mode;
	worker->nbd.tls = rules->tls;
}

static void follow(struct worker_order *order)
{
	struct worker *worker = order->worker;

	assert(!worker->access);
	worker->access = order;
	worker->followers = 2;
	take_rules(worker, &order->rules);
	nbd_server_follow(&worker->nbd, order->nbd_exports);
	target_follow(&worker->target, order->access);
}

bool worker_start(struct worker *worker, unsigned number, struct worker_conf *conf)
{
	memset(worker, 0, sizeof(*worker));
	worker->number = number;
	worker->conf = conf;
	worker->loop = loop_new();
	if (!worker->loop)
		return false;
	worker->nbd = (struct nbd_service){
		.loop = worker->loop, .worker = number,
		.limits = &worker->rules.nbd_limits, .clients = &conf->nbd_clients,
		.idle = nbd_idle, .follows = nbd_follows,
	};
	worker->target = (struct target_service){
		.loop = worker->loop, .worker = number, .conf = &worker->rules.target,
		.shared = conf->target_shared, .idle = target_idle, .follows = target_follows,
	};
	target_service_init(&worker->target);
	list_init(&worker->nbd.connections);
	errno = thread_start(&worker->thread, run, worker);
	worker->running = errno == 0;
	if (!worker->running)
		loop_free(worker->loop);
	return worker->running;
}

static void instance_is_open(void *opaque, const char *why)
{
	struct worker_order *order = opaque;

	order->ok = !why;
	snprintf(order->why, sizeof(order->why), "%s", why ? why : "");
	finish(order);
}

static void instance_is_closed(void *opaque)
{
	finish(opaque);
}

static void drain(struct worker_order *order)
{
	struct worker *worker = order->worker;

	worker->drain = order;
	nbd_server_shutdown(&worker->nbd);
	target_shutdown(&worker->target);
	report_if_drained(worker);
}

static void obey(struct loop_msg *msg)
{
	struct worker_order *order = container_of(msg, struct worker_order, msg);
	struct worker *worker = order->worker;

	switch (order->task) {
	case WORKER_OPEN:
		instance_open(worker->loop, &worker->conf->instances, order->export, worker->number,
			      &worker->target.directory, instance_is_open, order);
		break;
	case WORKER_ACCESS:
		follow(order);
		break;
	case WORKER_TUNE:
		instance_tune(order->export, worker->number, order->initiator);
		finish(order);
		break;
	case WORKER_DRAIN:
		drain(order);
		break;
	case WORKER_ABORT:
		nbd_server_abort(&worker->nbd);
		target_abort(&worker->target);
		finish(order);
		break;
	case WORKER_CLOSE:
		instance_close(order->export, worker->number, instance_is_closed, order);
		break;
	}
}

void worker_order(struct worker_order *order)
{
	order->msg.run = obey;
	loop_post(order->worker->loop, &order->msg);
}

static void serve(struct loop_msg *msg)
{
	struct arrival *arrival = container_of(msg, struct arrival, msg);
	struct worker *worker = arrival->worker;

	worker->single |= arrival->single;
	if (arrival->group)
		target_start(&worker->target, arrival->stream, arrival->group);
	else
		nbd_server_start(&worker->nbd, arrival->stream, arrival->door);
	free(arrival);
}

static void hand_over(struct worker *worker, struct stream *stream, uint16_t group, uint16_t door,
		      bool single)
{
	struct arrival *arrival = malloc(sizeof(*arrival));

	if (!arrival) {
		stream->ops->close(stream);
		return;
	}
	*arrival = (struct arrival){
		.msg.run = serve, .worker = worker, .stream = stream, .group = group, .door = door,
		.single = single,
	};
	loop_post(worker->loop, &arrival->msg);
}

void worker_serve(struct worker *worker, int fd, uint16_t group, uint16_t door)
{
	struct stream *stream = stream_socket(fd);

	if (stream) {
		hand_over(worker, stream, group, door, false);
	} else {
		log_warning("a connection is dropped: %s", strerror(errno));
		close(fd);
	}
}

void worker_serve_stream(struct worker *worker, struct stream *stream)
{
	hand_over(worker, stream, 0, 0, true);
}

void worker_stop(struct worker *worker)
{
	if (!worker->running)
		return;
	loop_stop(worker->loop);
	pthread_join(worker->thread, NULL);
	target_service_exit(&worker->target);
	nbd_exports_drop(worker->nbd.exports);
	tls_drop(worker->rules.tls);
	loop_free(worker->loop);
	worker->running = false;
}
