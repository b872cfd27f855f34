/*
 * The public ends of the iSCSI initiator: opening and closing a logical unit, and
 * the operations that the SCSI waist has of it.
 *
 * Called by the daemon, the plugin and lu.c. struct initiator is the logical unit;
 * it frees itself when closed, or when its open has failed.
 */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "initiator_private.h"
#include "need.h"

#define NAME_PREFIX	"iqn.2026-11.nbd-iscsi-gateway.initiator:"
#define MAX_TRANSFER	(16u << 20)
#define PATH_CHANGE_TIMEOUT 1	/* seconds until a session is left with tasks in flight */

static struct initiator *initiator_of(struct scsi_lu *lu)
{
	return container_of(lu, struct initiator, lu);
}

void initiator_timer(struct initiator *ini, struct ev_timer *timer, initiator_timeout *run,
		     double seconds)
{
	ev_timer_stop(ini->lu.loop->ev, timer);
	ev_timer_init(timer, run, seconds, 0);
	ev_timer_start(ini->lu.loop->ev, timer);
}

/* The name that others know this host by, as far as a name may say it (RFC 3722). */
static void default_name(char *name, size_t size)
{
	char host[128] = "";
	size_t len;

	if (gethostname(host, sizeof(host) - 1) < 0 || !*host)
		snprintf(host, sizeof(host), "localhost");
	for (char *p = host; *p; p++)
		*p = (char)(isalnum((unsigned char)*p) || *p == '.' ? tolower((unsigned char)*p) : '-');
	len = (size_t)snprintf(name, size, NAME_PREFIX "%s", host);
	assert(len < size && iscsi_name_valid(name));
}

void initiator_random_isid(uint8_t isid[6])
{
	if (getrandom(isid, 6, 0) != 6)
		log_warning("no random numbers: the ISID of this session may not be unique");
	isid[0] = 0x80;		/* T = 10b, A reserved: RFC 7143 §11.12.5 */
}

void initiator_conf_init(struct initiator_conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	default_name(conf->initiator_name, sizeof(conf->initiator_name));
	initiator_random_isid(conf->isid);
	keys_defaults(&conf->params);
	conf->params.initial_r2t = 0;
	conf->params.our_max_recv_data_segment_length = 256u << 10;
	conf->params.max_burst_length = 1u << 20;
	conf->params.first_burst_length = 256u << 10;
	conf->params.max_outstanding_r2t = 8;
	conf->params.default_time2wait = 0;
	conf->params.default_time2retain = 0;
	conf->chap_algorithms = CHAP_ALL;
	conf->login_timeout = 15;
	conf->noop_interval = 5;
	conf->noop_timeout = 5;
	conf->abort_timeout = 15;
	conf->tmf_timeout = 30;
	conf->outage_timeout = 120;
	conf->max_tasks = 128;
}

/* Contract, 3: a task that ends at once ends from the loop. */
static void complete_ended(struct loop_call *call)
{
	struct initiator *ini = container_of(call, struct initiator, complete);
	struct list batch = LIST_INIT(batch);
	struct list *node;

	/* Those that are tried again at once, and end at once again, are for the next round:
	 * the timer that brings the session back must have its turn. */
	list_splice_tail(&batch, &ini->ended);
	while ((node = list_pop(&batch)))
		lu_complete(&ini->lu, container_of(node, struct scsi_task, node));
	if (ini->state != INITIATOR_UP)
		tmf_lost(ini);		/* those that came when there was nobody to ask */
}

void initiator_end_task(struct initiator *ini, struct scsi_task *task, uint8_t status)
{
	task->status = status;
	task->sense_len = 0;
	list_add_tail(&ini->ended, &task->node);
	loop_defer(ini->lu.loop, &ini->complete);
}

static void initiator_submit(struct scsi_lu *lu, struct scsi_task *task)
{
	struct initiator *ini = initiator_of(lu);

	task->priv = NULL;
	if (task->wire_len > MAX_CDB) {
		initiator_end_task(ini, task, STATUS_GOOD);
		lu_fail(task, SENSE_INVALID_OPCODE);
	} else if (ini->outage_over) {
		initiator_end_task(ini, task, LU_LOST);
	} else {
		list_add_tail(&ini->queue, &task->node);
		session_pump(ini);
	}
}

static void initiator_abort(struct scsi_lu *lu, struct scsi_task *task)
{
	tmf_abort(initiator_of(lu), task);
}

static void initiator_manage(struct scsi_lu *lu, struct scsi_tmf *tmf)
{
	tmf_submit(initiator_of(lu), tmf);
}

/* The session goes in good order: what is in flight has its answer on the way, mostly. */
static bool initiator_other_path(struct scsi_lu *lu)
{
	struct initiator *ini = initiator_of(lu);

	if (ini->portal_count < 2)
		return false;
	session_leave(ini, PATH_CHANGE_TIMEOUT);
	session_pump(ini);
	return true;
}

void iscsi_lu_tune(struct scsi_lu *lu, const struct initiator_conf *conf)
{
	struct initiator *ini = initiator_of(lu);

	ini->conf.login_timeout = conf->login_timeout;
	ini->conf.noop_interval = conf->noop_interval;
	ini->conf.noop_timeout = conf->noop_timeout;
	ini->conf.abort_timeout = conf->abort_timeout;
	ini->conf.tmf_timeout = conf->tmf_timeout;
	ini->conf.outage_timeout = conf->outage_timeout;
	if (ini->state == INITIATOR_UP)
		session_keep_alive(ini);
}

static void end_now(struct loop_call *call)
{
	struct initiator *ini = container_of(call, struct initiator, end);
	lu_opened *opened = ini->opened;
	void (*closed)(void *) = ini->closed;
	void *opaque = ini->opaque;
	char why[INITIATOR_WHY];

	assert(ini->state == INITIATOR_DOWN && !ini->connected && !ini->resolver.pending);
	assert(!ini->busy && list_empty(&ini->queue) && list_empty(&ini->ended)
	       && list_empty(&ini->tmfs));
	recover_stop(ini);
	loop_call_cancel(&ini->complete);
	memcpy(why, ini->why, sizeof(why));
	free(ini->text.in);
	free(ini);
	if (opened)
		opened(opaque, NULL, why);
	else
		closed(opaque);
}

void initiator_end(struct initiator *ini)
{
	ini->ending = true;
	if (!ini->connected && !ini->resolver.pending)
		loop_defer(ini->lu.loop, &ini->end);
}

/* No further attempt; and if there is a session, a proper end to it. */
static void leave(struct initiator *ini)
{
	ini->ending = true;
	switch (ini->state) {
	case INITIATOR_UP:
		session_logout(ini);
		break;
	case INITIATOR_LOGIN:
		conn_fail(&ini->conn, "closed");
		break;
	case INITIATOR_LOGOUT:
		break;
	case INITIATOR_DOWN:
	case INITIATOR_RESOLVING:
	case INITIATOR_CONNECTING:
		connect_cancel(ini);
		recover_stop(ini);
		initiator_end(ini);
		break;
	}
}

void initiator_opened(struct initiator *ini)
{
	lu_opened *opened = ini->opened;

	ini->opened = NULL;
	if (ini->conf.discover_portals && !ini->discovery && ini->state == INITIATOR_UP)
		text_learn_portals(ini);
	opened(ini->opaque, &ini->lu, NULL);
}

void initiator_give_up(struct initiator *ini, const char *why)
{
	assert(ini->opened);
	if (why != ini->why)
		snprintf(ini->why, sizeof(ini->why), "%s", why);
	leave(ini);
}

static void initiator_close(struct scsi_lu *lu, void (*closed)(void *), void *opaque)
{
	struct initiator *ini = initiator_of(lu);

	assert(!ini->opened && !ini->ending);
	ini->closed = closed;
	ini->opaque = opaque;
	leave(ini);
}

static const struct scsi_lu_ops initiator_ops = {
	.name = "iscsi_lu",
	.submit = initiator_submit,
	.abort = initiator_abort,
	.manage = initiator_manage,
	.other_path = initiator_other_path,
	.close = initiator_close,
};

struct initiator *initiator_new(struct loop *loop, struct offload *offload,
				const struct initiator_conf *conf)
{
	struct initiator *ini =
		need(calloc(1, sizeof(*ini) + conf->max_tasks * sizeof(ini->slots[0])));

	assert(loop_is_mine(loop));
	assert(conf->max_tasks > 0 && conf->max_tasks <= INITIATOR_MAX_TASKS);
	assert(conf->login_timeout > 0 && conf->chap_algorithms);
	ini->lu.ops = &initiator_ops;
	ini->offload = offload;
	ini->lu.loop = loop;
	ini->lu.block_len = 512;
	ini->lu.caps = CDB_CAPS_ALL;
	ini->lu.max_transfer = MAX_TRANSFER;
	ini->conf = *conf;
	ini->chap_algorithms = conf->chap_algorithms;
	/* RFC 7143 §13.14: who lowers the one means the other, too. */
	if (ini->conf.params.first_burst_length > ini->conf.params.max_burst_length)
		ini->conf.params.first_burst_length = ini->conf.params.max_burst_length;
	list_init(&ini->idle);
	for (unsigned i = 0; i < conf->max_tasks; i++)
		list_add_tail(&ini->idle, &ini->slots[i].node);
	list_init(&ini->queue);
	list_init(&ini->ended);
	loop_call_init(&ini->complete, complete_ended);
	loop_call_init(&ini->end, end_now);
	tmf_init(ini);
	return ini;
}

void iscsi_lu_open(struct loop *loop, struct offload *offload, const struct iscsi_url *url,
		   const struct initiator_conf *conf, lu_opened *opened, void *opaque)
{
	struct initiator *ini;

	assert(url->portal_count > 0);
	ini = initiator_new(loop, offload, conf);
	ini->url = *url;
	for (unsigned i = 0; i < url->portal_count; i++)
		connect_add_portal(ini, &url->portals[i]);
	ini->lun = lun_encode(url->lun);
	ini->begun = url->has_lun ? probe_start : initiator_opened;
	ini->opened = opened;
	ini->opaque = opaque;
	connect_start(ini);
}
