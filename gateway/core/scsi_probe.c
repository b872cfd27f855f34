/*
 * How scsi_blk gets to know its logical unit: the commands of scsi_probe_table.c run one
 * after the other; what the unit refuses is skipped unless nothing works without it, and
 * what is transient is tried again.
 *
 * scsi_blk.c runs it to open the device, scsi_path.c to look again: after unit
 * attentions, and to make sure that a path that came back leads to the same unit.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "scsi_blk_private.h"

#define WHY_LEN		160

static void end(struct scsi_blk *sb, const char *why)
{
	struct scsi_probe *p = &sb->probe;

	assert(p->active);
	assert(why || p->step == scsi_probe_steps);
	p->active = false;
	p->ended(sb, why);
}

static void end_at_step(struct scsi_blk *sb, const char *reason)
{
	const struct cdb *cdb = &scsi_probe_table[sb->probe.step].cdb;
	char why[WHY_LEN], page[16] = "";

	if (cdb->evpd)
		snprintf(page, sizeof(page), " page %02X", cdb->page);
	snprintf(why, sizeof(why), "%s%s: %s", cdb_row(cdb->id)->name, page, reason);
	end(sb, why);
}

/* ... and another path may do better. */
static void end_barred(struct scsi_blk *sb, const char *reason)
{
	sb->probe.bad_path = true;
	end_at_step(sb, reason);
}

static void submit(struct scsi_blk *sb)
{
	struct scsi_probe *p = &sb->probe;
	const struct scsi_probe_step *step = &scsi_probe_table[p->step];
	struct scsi_task *task = &p->task;

	memset(p->wire, 0, sizeof(p->wire));
	task->cdb = step->cdb;
	if (step->about)
		task->cdb.requested_opcode = cdb_row(step->about)->opcode;
	task->wire_len = (uint16_t)cdb_encode(&task->cdb, p->wire);
	task->data_len = task->cdb.alloc_len ? task->cdb.alloc_len : CAPACITY_10_LEN;
	lu_submit(sb->lu, task);
}

static bool is_wanted(const struct scsi_probe *p, const struct scsi_probe_step *step)
{
	if (p->only_capacity && !step->capacity)
		return false;
	if (step->cdb.evpd && step->cdb.page != VPD_SUPPORTED)
		return p->vpd[step->cdb.page];
	return !step->wanted || step->wanted(p);
}

/* On to the first step from p->step on that is wanted. */
static void go_on(struct scsi_blk *sb)
{
	struct scsi_probe *p = &sb->probe;

	while (p->step < scsi_probe_steps && !is_wanted(p, &scsi_probe_table[p->step]))
		p->step++;
	if (p->step == scsi_probe_steps) {
		end(sb, NULL);
		return;
	}
	p->attempts = (struct scsi_attempts){ 0 };
	submit(sb);
}

/* NULL, or why this path is not to be taken, if there is another (SPC-4 §5.16.2.4). */
static const char *bar(const struct scsi_blk *sb)
{
	const struct scsi_facts *f = &sb->probe.facts;

	switch (f->group_state) {
	case PORT_GROUP_STANDBY:
		return "the target port is in standby";
	case PORT_GROUP_UNAVAILABLE:
		return "the target port is unavailable";
	case PORT_GROUP_OFFLINE:
		return "the target port is offline";
	}
	/* Once round: then the best that there is has to do. */
	return f->better_group && sb->detours + 1 < sb->lu->paths
	       ? "another target port is optimized" : NULL;
}

static void step_good(struct scsi_blk *sb)
{
	struct scsi_probe *p = &sb->probe;
	const struct scsi_probe_step *step = &scsi_probe_table[p->step];
	char why[WHY_LEN];

	if (!step->read(p, p->data, p->task.moved) && step->required)
		end_at_step(sb, "the answer makes no sense");
	else if (bar(sb))
		end_barred(sb, bar(sb));
	else if (!scsi_facts_usable(&p->facts, why, sizeof(why)))
		end_at_step(sb, why);
	else {
		p->step++;
		go_on(sb);
	}
}

static void step_refused(struct scsi_blk *sb, const char *reason)
{
	struct scsi_probe *p = &sb->probe;

	if (scsi_probe_table[p->step].required)
		end_at_step(sb, reason);
	else {
		p->step++;
		go_on(sb);
	}
}

static void on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	submit(timer->data);
}

static void step_again(struct scsi_blk *sb, const struct sense *sense, const char *reason)
{
	struct scsi_probe *p = &sb->probe;
	double delay;

	if (!scsi_retry_delay(sb, &p->attempts, sense, &delay)) {
		end_at_step(sb, reason);
		return;
	}
	ev_timer_set(&p->timer, delay, 0.);
	ev_timer_start(sb->dev.loop->ev, &p->timer);
}

static void step_done(struct scsi_task *task)
{
	struct scsi_probe *p = container_of(task, struct scsi_probe, task);
	struct scsi_blk *sb = container_of(p, struct scsi_blk, probe);
	enum errmap_action action;
	char reason[BLK_WHY_LEN];
	struct sense sense;
	int err;

	if (p->stopping) {
		end_at_step(sb, "stopped");
		return;
	}
	if (task->status == LU_LOST) {
		end_at_step(sb, "the path was lost");
		return;
	}
	sense_parse(task->sense, task->sense_len, &sense);
	sense_format(task->status, task->sense, task->sense_len, reason, sizeof(reason));
	action = errmap_scsi(task->status, &sense, ERRMAP_OTHER, &err);
	scsi_news(sb, &sense);
	switch (action) {
	case ERRMAP_OK:
		step_good(sb);
		break;
	case ERRMAP_RETRY:
	case ERRMAP_BACK_OFF:
		step_again(sb, &sense, reason);
		break;
	case ERRMAP_PATH:
		end_barred(sb, reason);
		break;
	case ERRMAP_FAIL:
	case ERRMAP_UNSUPPORTED:
		step_refused(sb, reason);
		break;
	}
}

static void prepare(struct scsi_blk *sb, void (*ended)(struct scsi_blk *sb, const char *why))
{
	struct scsi_probe *p = &sb->probe;

	assert(!p->active);
	memset(p, 0, sizeof(*p));
	p->active = true;
	p->ended = ended;
	p->task.wire = p->wire;
	p->task.direction = CDB_DATA_IN;
	p->task.data = p->data;
	p->task.attribute = TASK_SIMPLE;
	p->task.done = step_done;
	ev_timer_init(&p->timer, on_timer, 0., 0.);
	p->timer.data = sb;
}

void scsi_probe_start(struct scsi_blk *sb, void (*ended)(struct scsi_blk *sb, const char *why))
{
	prepare(sb, ended);
	go_on(sb);
}

void scsi_probe_capacity(struct scsi_blk *sb, void (*ended)(struct scsi_blk *sb, const char *why))
{
	prepare(sb, ended);
	sb->probe.only_capacity = true;
	sb->probe.facts = sb->facts;
	sb->probe.facts.has_capacity = false;
	go_on(sb);
}

void scsi_probe_stop(struct scsi_blk *sb)
{
	struct scsi_probe *p = &sb->probe;

	assert(p->active);
	p->stopping = true;
	if (ev_is_active(&p->timer)) {
		ev_timer_stop(sb->dev.loop->ev, &p->timer);
		end_at_step(sb, "stopped");
	} else {
		lu_abort(sb->lu, &p->task);
	}
}
