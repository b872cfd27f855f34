/*
 * The iSCSI target of one worker: what it offers, and how it begins and ends.
 * Called by the worker; connections and sessions are their own files' business.
 */
#include "target.h"

#include <assert.h>

#include "stream.h"
#include "target_private.h"

void target_conf_init(struct target_conf *conf)
{
	*conf = (struct target_conf){
		.tpgt = 1,
		.login_timeout = 15,
		.logout_timeout = 3,
		.nop_interval = 15,
		.nop_timeout = 30,
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
}

static const struct export *find_export(const struct target_service *service, uint64_t lun)
{
	int number = lun_decode(lun);

	if (number < 0 || (unsigned)number >= service->exports->count)
		return NULL;
	return &service->exports->export[number];
}

struct scsi_lu *target_lu(const struct target_service *service, uint64_t lun)
{
	const struct export *export = find_export(service, lun);

	return export ? export->instance[service->worker].lu : NULL;
}

bool target_read_only(const struct target_service *service, uint64_t lun)
{
	const struct export *export = find_export(service, lun);

	return export && export->read_only;
}

void target_start(struct target_service *service, struct stream *stream)
{
	assert(service->conf->params.max_outstanding_r2t <= TARGET_MAX_R2T);
	assert(service->conf->params.max_connections == 1);
	assert(service->conf->params.error_recovery_level == 0);
	if (service->shutting_down)
		stream->ops->close(stream);
	else
		target_conn_start(service, stream);
}

void target_shutdown(struct target_service *service)
{
	service->shutting_down = true;
	list_for_each(node, &service->connections) {
		struct target_conn *c = container_of(node, struct target_conn, node);

		if (c->phase == PHASE_FULL_FEATURE)
			target_conn_ask_logout(c);
		else if (c->phase == PHASE_LOGIN && !c->login)
			conn_fail(&c->conn, "shutting down");
		/* A login that has begun gets its answer: service unavailable. */
	}
}

void target_abort(struct target_service *service)
{
	service->shutting_down = true;
	list_for_each(node, &service->connections)
		conn_fail(&container_of(node, struct target_conn, node)->conn, "shutting down");
}

void target_service_settle(struct target_service *service)
{
	if (service->shutting_down && service->idle && list_empty(&service->connections)
	    && list_empty(&service->sessions))
		service->idle(service);
}
