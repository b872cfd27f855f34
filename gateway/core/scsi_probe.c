/*
 * How scsi_blk gets to know its logical unit: a table of commands, each with the
 * question whether it is wanted at all and a reader for its data. They run one
 * after the other; what the unit refuses is skipped unless nothing works without
 * it, and what is transient is tried again.
 *
 * scsi_blk.c runs it to open the device, scsi_path.c to look again: after unit
 * attentions, and to make sure that a path that came back leads to the same unit.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "scsi_blk_private.h"

#define WHY_LEN		160

/* SPC-4 §6.35.3: REPORT SUPPORTED OPERATION CODES data for one command. */
struct one_command {
	uint8_t support;
	uint16_t cdb_size;
};

#define FIELD_STRUCT struct one_command
static const struct field one_command[] = {
	FIELD(support, 1, 2, 3),
	FIELD_U16(cdb_size, 2),
	FIELD_END
};
#undef FIELD_STRUCT

#define TARGET_PORT		1	/* what a designator is associated with, SPC-4 §7.8.6.1 */
#define ONE_COMMAND_LEN		4	/* then come cdb_size bytes of usage data */
#define SUPPORT_NONE		1	/* the unit knows that it does not support it */
#define SUPPORT_STANDARD	3	/* in conformance with a SCSI standard */
#define ONE_WITHOUT_SA		1	/* REPORTING OPTIONS 001b */

struct probe_step {
	struct cdb cdb;
	bool required;
	bool capacity;		/* part of scsi_probe_capacity() */
	enum cdb_id about;	/* of REPORT SUPPORTED OPERATION CODES */
	bool (*wanted)(const struct scsi_probe *p);	/* NULL = always */
	/* False: the answer makes no sense. */
	bool (*read)(struct scsi_probe *p, const uint8_t *data, size_t len);
};

static bool read_inquiry(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return inquiry_decode(data, len, &p->facts.inquiry);
}

static bool read_supported(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	for (unsigned page = 0; page < sizeof(p->vpd); page++)
		p->vpd[page] = vpd_supported(data, len, page);
	return true;
}

static bool read_serial(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return vpd_serial_decode(data, len, p->facts.serial, sizeof(p->facts.serial));
}

static void name_from(const struct designator *d, const char *prefix, char *name, size_t size)
{
	size_t used = (size_t)snprintf(name, size, "%s", prefix);

	for (unsigned i = 0; i < d->len && used + 2 < size; i++)
		used += (size_t)snprintf(name + used, size - used, "%02x", d->value[i]);
}

/* NAA names are what hosts know a unit by; EUI-64 is the next best (SPC-4 §7.8.6.2.1). */
static bool read_device_id(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	struct designator d;
	size_t at = 0;

	while (designator_next(data, len, &at, &d)) {
		if (d.association == TARGET_PORT && d.type == DESIGNATOR_PORT_GROUP && d.len >= 4) {
			p->facts.has_group = true;
			p->facts.group = get_be16(d.value + 2);
		}
		if (d.association != 0 || d.code_set != 1 || !d.len)
			continue;
		if (d.type == DESIGNATOR_NAA && strncmp(p->facts.name, "naa.", 4) != 0)
			name_from(&d, "naa.", p->facts.name, sizeof(p->facts.name));
		else if (d.type == DESIGNATOR_EUI64 && !p->facts.name[0])
			name_from(&d, "eui.", p->facts.name, sizeof(p->facts.name));
	}
	return true;
}

static bool wants_port_groups(const struct scsi_probe *p)
{
	return p->facts.inquiry.tpgs != 0 && p->facts.has_group;
}

/* How well is the unit accessible by the port that we came by, and by others? */
static bool read_port_groups(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	struct scsi_facts *f = &p->facts;
	bool found = false, better = false;
	struct port_group g;
	size_t at = 0;

	while (port_group_next(data, len, &at, &g))
		if (g.group == f->group) {
			found = true;
			f->group_state = g.state;
		} else if (g.state == PORT_GROUP_OPTIMIZED) {
			better = true;
		}
	f->better_group = found && better && f->group_state != PORT_GROUP_OPTIMIZED;
	return found;
}

static bool read_limits(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return block_limits_decode(data, len, &p->facts.limits);
}

static bool read_characteristics(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return block_characteristics_decode(data, len, &p->facts.characteristics);
}

static bool read_provisioning(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	p->facts.has_provisioning = provisioning_decode(data, len, &p->facts.provisioning);
	return p->facts.has_provisioning;
}

static bool read_capacity_16(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	p->facts.has_capacity = len >= CAPACITY_10_LEN &&
		capacity_16_decode(data, len, &p->facts.capacity);
	return p->facts.has_capacity;
}

static bool wants_capacity(const struct scsi_probe *p)
{
	return !p->facts.has_capacity;
}

static bool read_capacity_10(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	/* SBC-3 §5.15.2: FFFFFFFFh means that only READ CAPACITY(16) can say. */
	p->facts.has_capacity = len >= CAPACITY_10_LEN &&
		capacity_10_decode(data, len, &p->facts.capacity) &&
		p->facts.capacity.last_lba != UINT32_MAX;
	return p->facts.has_capacity;
}

static bool wants_mode(const struct scsi_probe *p)
{
	return !p->facts.has_mode;
}

static bool read_mode(struct scsi_probe *p, const uint8_t *data, size_t len, bool ten)
{
	struct scsi_facts *f = &p->facts;
	struct mode_caching caching;

	if (len < (ten ? MODE_HEADER_10_LEN : MODE_HEADER_6_LEN))
		return false;
	f->has_mode = mode_header_decode(data, len, ten, &f->mode);
	f->no_write_cache = f->has_mode && mode_caching_find(data, len, ten, &caching) &&
		!caching.wce;
	return f->has_mode;
}

static bool read_mode_10(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return read_mode(p, data, len, true);
}

static bool read_mode_6(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	return read_mode(p, data, len, false);
}

/* Is every bit that this CDB sets, its opcode aside, allowed by the usage map? */
static bool usage_allows(const struct cdb *cdb, const uint8_t *usage, size_t len)
{
	uint8_t wire[CDB_MAX_LEN] = { 0 };
	size_t cdb_len = cdb_encode(cdb, wire);

	if (len < cdb_len)
		return false;
	for (size_t i = 1; i < cdb_len; i++)
		if (wire[i] & ~usage[i])
			return false;
	return true;
}

static bool read_write_same(struct scsi_probe *p, const uint8_t *data, size_t len)
{
	const struct cdb ndob = { .id = CDB_WRITE_SAME_16, .ndob = true };
	struct one_command one;

	if (len < ONE_COMMAND_LEN)
		return false;
	field_decode(one_command, data, len, &one);
	if (one.cdb_size < len - ONE_COMMAND_LEN)
		len = ONE_COMMAND_LEN + one.cdb_size;
	p->facts.no_write_same_16 = one.support == SUPPORT_NONE;
	p->facts.ndob = one.support == SUPPORT_STANDARD &&
		usage_allows(&ndob, data + ONE_COMMAND_LEN, len - ONE_COMMAND_LEN);
	return true;
}

/* The pages of MODE SENSE: caching, or all of them from a unit that has no such page. */
#define CACHING_PAGE	0x08
#define ALL_PAGES	0x3f

#define VPD(code) \
	.cdb = { .id = CDB_INQUIRY, .evpd = true, .page = (code), .alloc_len = SCSI_PROBE_LEN }
#define MODE_10(code) \
	.cdb = { .id = CDB_MODE_SENSE_10, .page = (code), .alloc_len = SCSI_PROBE_LEN }
#define MODE_6(code) \
	.cdb = { .id = CDB_MODE_SENSE_6, .page = (code), .alloc_len = 252 }

static const struct probe_step steps[] = {
	{ .cdb = { .id = CDB_INQUIRY, .alloc_len = INQUIRY_LEN }, .required = true,
	  .read = read_inquiry },
	{ VPD(VPD_SUPPORTED), .read = read_supported },
	{ VPD(VPD_SERIAL), .read = read_serial },
	{ VPD(VPD_DEVICE_ID), .read = read_device_id },
	{ .cdb = { .id = CDB_REPORT_TARGET_PORT_GROUPS, .alloc_len = SCSI_PROBE_LEN },
	  .wanted = wants_port_groups, .read = read_port_groups },
	{ VPD(VPD_BLOCK_LIMITS), .read = read_limits },
	{ VPD(VPD_BLOCK_CHARACTERISTICS), .read = read_characteristics },
	{ VPD(VPD_PROVISIONING), .read = read_provisioning },
	{ .cdb = { .id = CDB_READ_CAPACITY_16, .alloc_len = CAPACITY_16_LEN }, .capacity = true,
	  .read = read_capacity_16 },
	{ .cdb = { .id = CDB_READ_CAPACITY_10 }, .required = true, .capacity = true,
	  .wanted = wants_capacity, .read = read_capacity_10 },
	{ MODE_10(CACHING_PAGE), .read = read_mode_10 },
	{ MODE_6(CACHING_PAGE), .wanted = wants_mode, .read = read_mode_6 },
	{ MODE_10(ALL_PAGES), .wanted = wants_mode, .read = read_mode_10 },
	{ MODE_6(ALL_PAGES), .wanted = wants_mode, .read = read_mode_6 },
	{ .cdb = { .id = CDB_REPORT_SUPPORTED_OPCODES, .reporting_options = ONE_WITHOUT_SA,
		   .alloc_len = SCSI_PROBE_LEN },
	  .about = CDB_WRITE_SAME_16, .read = read_write_same },
};
#define STEPS	(sizeof(steps) / sizeof(steps[0]))

static void end(struct scsi_blk *sb, const char *why)
{
	struct scsi_probe *p = &sb->probe;

	assert(p->active);
	assert(why || p->step == STEPS);
	p->active = false;
	p->ended(sb, why);
}

static void end_at_step(struct scsi_blk *sb, const char *reason)
{
	const struct cdb *cdb = &steps[sb->probe.step].cdb;
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
	const struct probe_step *step = &steps[p->step];
	struct scsi_task *task = &p->task;

	memset(p->wire, 0, sizeof(p->wire));
	task->cdb = step->cdb;
	if (step->about)
		task->cdb.requested_opcode = cdb_row(step->about)->opcode;
	task->wire_len = (uint16_t)cdb_encode(&task->cdb, p->wire);
	task->data_len = task->cdb.alloc_len ? task->cdb.alloc_len : CAPACITY_10_LEN;
	lu_submit(sb->lu, task);
}

static bool is_wanted(const struct scsi_probe *p, const struct probe_step *step)
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

	while (p->step < STEPS && !is_wanted(p, &steps[p->step]))
		p->step++;
	if (p->step == STEPS) {
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
	const struct probe_step *step = &steps[p->step];
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

	if (steps[p->step].required)
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
