/*
 * Discovery sessions; see discovery.h. An initiator without a logical unit does the
 * work: its open ends when the targets are known, and then it is closed.
 *
 * Called by the daemon. The discovery owns what it found until done() returns, and
 * frees itself.
 */
#include "discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "initiator_private.h"
#include "need.h"

#define TEXT_MAX	(4u << 20)	/* of the answer */
#define DEFAULT_TAG	1

struct discovery {
	struct initiator *ini;
	discovery_done *done;
	void	*opaque;
	struct discovered_target *targets;
	unsigned count;
	char	 why[INITIATOR_WHY];	/* "" = all is well */
};

static bool add_target(struct discovery *d, const struct key_pair *pair)
{
	struct discovered_target *target;

	if (!pair->value_len || pair->value_len > ISCSI_NAME_MAX) {
		snprintf(d->why, sizeof(d->why), "SendTargets: a target's name has %zu bytes",
			 pair->value_len);
		return false;
	}
	d->targets = need_more(d->targets, d->count, sizeof(*target));
	target = &d->targets[d->count++];
	memset(target, 0, sizeof(*target));
	memcpy(target->name, pair->value, pair->value_len);
	return true;
}

static void add_portal(struct discovered_target *target, const struct discovered_portal *portal)
{
	target->portals = need_more(target->portals, target->portal_count, sizeof(*portal));
	target->portals[target->portal_count++] = *portal;
}

/* "host[:port],tag" (RFC 7143 §13.8). One that makes no sense does not spoil the others. */
static void add_address(struct discovery *d, const struct key_pair *pair)
{
	struct discovered_portal found;
	size_t len = strcspn(pair->value, ",");
	uint32_t tag = DEFAULT_TAG;
	const char *wrong = NULL;
	char why[120];

	if (!d->count)
		wrong = "there is no target before it";
	else if (!iscsi_portal_parse(pair->value, len, false, &found.portal, why, sizeof(why)))
		wrong = why;
	else if (pair->value[len] && (!keys_number(pair->value + len + 1, &tag) || tag > UINT16_MAX))
		wrong = "the portal group tag is no number";
	if (wrong) {
		log_warning("SendTargets: TargetAddress=%.100s: %s", pair->value, wrong);
		return;
	}
	found.tag = (uint16_t)tag;
	add_portal(&d->targets[d->count - 1], &found);
}

/* Targets without an address are where we are now (appendix C). */
static void complete_portals(struct discovery *d)
{
	const struct discovered_portal here = { .portal = d->ini->portals[0], .tag = DEFAULT_TAG };

	for (unsigned i = 0; i < d->count; i++)
		if (!d->targets[i].portal_count)
			add_portal(&d->targets[i], &here);
}

static void parse(struct discovery *d, const char *text, size_t len)
{
	struct key_pair pair;
	const char *why;
	size_t at = 0;
	bool ok = true;
	int more = 0;

	while (ok && (more = keys_next(text, len, &at, &pair, &why)) > 0)
		if (pair.id == KEY_TARGET_NAME)
			ok = add_target(d, &pair);
		else if (pair.id == KEY_TARGET_ADDRESS)
			add_address(d, &pair);
	if (more < 0)
		snprintf(d->why, sizeof(d->why), "SendTargets: %s", why);
}

static void end(struct discovery *d)
{
	bool ok = !*d->why;

	d->done(d->opaque, ok ? d->targets : NULL, ok ? d->count : 0, ok ? NULL : d->why);
	for (unsigned i = 0; i < d->count; i++)
		free(d->targets[i].portals);
	free(d->targets);
	free(d);
}

static void closed(void *opaque)
{
	end(opaque);
}

static void opened(void *opaque, struct scsi_lu *lu, const char *why)
{
	struct discovery *d = opaque;

	if (lu) {
		lu_close(lu, closed, d);
		return;
	}
	snprintf(d->why, sizeof(d->why), "%s", why);
	end(d);
}

static void answered(struct initiator *ini, const char *text, size_t len, const char *why)
{
	struct discovery *d = ini->opaque;

	ev_timer_stop(ini->lu.loop->ev, &ini->phase);
	if (why) {
		initiator_give_up(ini, why);
		return;
	}
	parse(d, text, len);
	complete_portals(d);
	initiator_opened(ini);
}

static void on_silence(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct initiator *ini = container_of(timer, struct initiator, phase);

	(void)ev;
	(void)events;
	conn_fail(&ini->conn, "SendTargets not answered within %g s", ini->conf.login_timeout);
}

static void begun(struct initiator *ini)
{
	initiator_timer(ini, &ini->phase, on_silence, ini->conf.login_timeout);
	text_send_targets(ini, "All", TEXT_MAX, answered);
}

void iscsi_discover(struct loop *loop, struct offload *offload, const struct iscsi_portal *portal,
		    const struct initiator_conf *conf, discovery_done *done, void *opaque)
{
	struct discovery *d = need(calloc(1, sizeof(*d)));
	struct initiator_conf own = *conf;

	/* What goes for data is irrelevant here, and defaults need not be said (RFC 7143 §13). */
	keys_defaults(&own.params);
	own.params.header_digest = conf->params.header_digest;
	own.params.data_digest = conf->params.data_digest;
	own.params.our_max_recv_data_segment_length = conf->params.our_max_recv_data_segment_length;
	own.max_tasks = 1;
	d->done = done;
	d->opaque = opaque;
	d->ini = initiator_new(loop, offload, &own);
	d->ini->discovery = true;
	d->ini->begun = begun;
	d->ini->opened = opened;
	d->ini->opaque = d;
	connect_add_portal(d->ini, portal);
	connect_start(d->ini);
}
