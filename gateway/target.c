/*
 * The iSCSI target of one worker: what it offers, and how it begins and ends.
 * Called by the worker; connections and sessions are their own files' business.
 */
#include "target.h"

#include <assert.h>

#include "stream.h"
#include "target_conn.h"
#include "target_private.h"
#include "target_session.h"
#include "target_task.h"

void target_conf_init(struct target_conf *conf)
{
	*conf = (struct target_conf){
		.login_timeout = 15,
		.logout_timeout = 3,
		.nop_interval = 15,
		.nop_timeout = 60,
		.queue_depth = 128,
		.max_transfer = 32u << 20,
		.max_bytes = (size_t)64 << 20,
	};
	keys_defaults(&conf->params);
	/* RFC 7143 §6.2.1: we know both, so the initiator's order counts. */
	conf->params.header_digest = conf->params.data_digest = DIGEST_CRC32C;
	conf->params.initial_r2t = 0;
	conf->params.our_max_recv_data_segment_length = 256u << 10;
	conf->params.max_burst_length = 1u << 20;
	conf->params.first_burst_length = 256u << 10;
	/* At ErrorRecoveryLevel 0 no task outlives its connection, so nothing is retained. */
	conf->params.default_time2retain = 0;
	conf->params.max_outstanding_r2t = TARGET_MAX_R2T;
	conf->params.max_connections = TARGET_MAX_CONNECTIONS;
}

/*
 * EXTENDED COPY names units by what they are. It reaches those that the session of its
 * nexus has, and no others (CVE-2020-28374): every nexus that a unit of ours knows of is
 * that of a session.
 */
static struct scsi_lu *find_by_naa(const struct lu_directory *directory, const struct nexus *nexus,
				   uint64_t naa, bool *read_only)
{
	const struct target_service *service =
		container_of(directory, const struct target_service, directory);
	const struct target_session *s = container_of(nexus, const struct target_session, nexus);

	assert(s->service == service);
	return target_session_lu_by_naa(s, naa, read_only);
}

void target_service_init(struct target_service *service)
{
	service->directory.find = find_by_naa;
	list_init(&service->connections);
	list_init(&service->sessions);
	list_init(&service->logins);
}

void target_service_exit(struct target_service *service)
{
	assert(list_empty(&service->connections) && list_empty(&service->sessions));
	access_drop(service->access);
	service->access = NULL;
}

void target_follow(struct target_service *service, struct access *access)
{
	struct access *before = service->access;

	assert(!service->following);
	service->access = access_hold(access);
	service->following = true;
	list_for_each(node, &service->sessions)
		target_session_follow(container_of(node, struct target_session, node));
	list_for_each(node, &service->connections)
		target_conn_follow(container_of(node, struct target_conn, node));
	access_drop(before);
	target_service_settle(service);
}

void target_start(struct target_service *service, struct stream *stream, uint16_t group)
{
	assert(service->access);
	assert(service->conf->params.max_outstanding_r2t <= TARGET_MAX_R2T);
	assert(service->conf->params.max_connections <= TARGET_MAX_CONNECTIONS);
	assert(service->conf->params.error_recovery_level == 0);
	if (service->shutting_down)
		stream->ops->close(stream);
	else
		target_conn_start(service, stream, group);
}

void target_shutdown(struct target_service *service)
{
	service->shutting_down = true;
	list_for_each(node, &service->connections) {
		struct target_conn *c = container_of(node, struct target_conn, node);

		if (c->phase == PHASE_FULL_FEATURE)
			target_conn_ask_logout(c, "shutting down");
		else if (c->phase == PHASE_LOGIN && !c->login)
			conn_fail(&c->conn, "shutting down");
		/* A login that has begun gets its answer: service unavailable. */
	}
}

void target_abort(struct target_service *service)
{
	service->shutting_down = true;
	list_for_each(node, &service->connections)
		target_conn_hurry(container_of(node, struct target_conn, node), "shutting down");
}

/* Does everybody go by what is in force? */
static bool all_follow(const struct target_service *service)
{
	list_for_each(node, &service->sessions) {
		const struct target_session *s = container_of(node, struct target_session, node);

		if (s->access != service->access || s->old_access)
			return false;
	}
	return true;
}

void target_service_settle(struct target_service *service)
{
	if (service->following && all_follow(service)) {
		service->following = false;
		service->follows(service);
	}
	if (service->shutting_down && service->idle && list_empty(&service->connections)
	    && list_empty(&service->sessions))
		service->idle(service);
}
