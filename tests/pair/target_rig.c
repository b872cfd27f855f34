/* See target_rig.h. */
#include "target_rig.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pool.h"
#include "still_clock.h"

#define PATTERN_LEN	((1u << 20) - 1)
#define SILENCE		20		/* turns without work for anybody */
#define TURN_SECONDS	1e-6		/* that a turn takes: what is to run in the next one does */

const uint8_t *rig_pattern(void)
{
	static uint8_t pattern[PATTERN_LEN];

	for (uint32_t i = 0; i < PATTERN_LEN && !pattern[PATTERN_LEN - 1]; i++)
		pattern[i] = (uint8_t)(i % 251);
	return pattern;
}

/* ---- logical units */

static struct rig_lu *rig_lu(struct scsi_lu *lu)
{
	return container_of(lu, struct rig_lu, lu);
}

static void lu_take(struct scsi_lu *lu, struct scsi_task *task)
{
	struct rig_lu *r = rig_lu(lu);

	assert(r->count < RIG_TASKS);
	r->task[r->count++] = task;
	r->submitted++;
}

static void end(struct rig_lu *r, unsigned i)
{
	struct scsi_task *task = r->task[i];

	r->count--;
	memmove(&r->task[i], &r->task[i + 1], (r->count - i) * sizeof(r->task[0]));
	lu_complete(&r->lu, task);
}

static void lu_take_abort(struct scsi_lu *lu, struct scsi_task *task)
{
	struct rig_lu *r = rig_lu(lu);

	r->aborted++;
	for (unsigned i = 0; i < r->count && r->ends_at_abort; i++)
		if (r->task[i] == task) {
			task->status = STATUS_TASK_ABORTED;
			end(r, i);
			return;
		}
}

static void lu_take_tmf(struct scsi_lu *lu, struct scsi_tmf *tmf)
{
	assert(!rig_lu(lu)->tmf);
	rig_lu(lu)->tmf = tmf;
	rig_lu(lu)->managed = tmf->function;
}

static void lu_note_attach(struct scsi_lu *lu, const struct nexus *nexus)
{
	(void)nexus;
	rig_lu(lu)->attached++;
}

static void lu_note_detach(struct scsi_lu *lu, const struct nexus *nexus)
{
	(void)nexus;
	rig_lu(lu)->detached++;
}

static void lu_note_tell(struct scsi_lu *lu, const struct nexus *nexus, uint32_t reason,
			 bool waits)
{
	(void)nexus;
	rig_lu(lu)->told = waits ? reason : 0;
	rig_lu(lu)->tellings++;
}

static const struct scsi_lu_ops ops = {
	.name = "rig", .submit = lu_take, .abort = lu_take_abort, .manage = lu_take_tmf,
	.attach = lu_note_attach, .detach = lu_note_detach, .tell = lu_note_tell,
};

void rig_end(struct rig *rig, struct rig_lu *lu, unsigned i, uint8_t status, uint32_t moved,
	     uint64_t wanted)
{
	struct scsi_task *task;

	CU_ASSERT_FATAL(i < lu->count);
	task = lu->task[i];
	CU_ASSERT_FATAL(moved <= task->data_len);
	task->status = status;
	task->moved = moved;
	task->wanted = wanted;
	if (task->direction == CDB_DATA_IN)
		memcpy(task->data, rig_pattern(), moved);
	end(lu, i);
	rig_turn(rig);
}

void rig_end_good(struct rig *rig, struct rig_lu *lu, unsigned i)
{
	CU_ASSERT_FATAL(i < lu->count);
	rig_end(rig, lu, i, STATUS_GOOD, lu->task[i]->data_len, lu->task[i]->data_len);
}

void rig_end_sense(struct rig *rig, struct rig_lu *lu, unsigned i, uint32_t reason)
{
	CU_ASSERT_FATAL(i < lu->count);
	lu_fail(lu->task[i], reason);
	end(lu, i);
	rig_turn(rig);
}

void rig_end_tmf(struct rig *rig, struct rig_lu *lu, enum tmf_response response)
{
	struct scsi_tmf *tmf = lu->tmf;

	CU_ASSERT_PTR_NOT_NULL_FATAL(tmf);
	lu->tmf = NULL;
	tmf->response = response;
	tmf->done(tmf);
	rig_turn(rig);
}

/* ---- the target */

static void note_idle(struct target_service *service)
{
	container_of(service - service->worker, struct rig, service[0])->idle++;
}

static void note_follows(struct target_service *service)
{
	container_of(service - service->worker, struct rig, service[0])->follows++;
}

static void init_lu(struct rig *rig, unsigned lun, unsigned worker)
{
	rig->lu[lun][worker].lu = (struct scsi_lu){
		.ops = &ops, .loop = rig->loop[worker], .block_len = RIG_BLOCK,
		.caps = CDB_CAPS_ALL, .interprets = lun == 0,
	};
	rig->instance[lun][worker].lu = &rig->lu[lun][worker].lu;
}

static void discard_line(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static void init_access(struct rig *rig)
{
	struct access_auth_group *everybody;

	rig->access = access_new();
	CU_ASSERT_PTR_NULL_FATAL(access_add_auth_group(rig->access, "everybody", ACCESS_OPEN,
						       &everybody));
	CU_ASSERT_PTR_NULL_FATAL(access_add_portal_group(rig->access, "rig", RIG_GROUP, everybody,
							 &rig->group));
	CU_ASSERT_PTR_NULL_FATAL(access_add_portal(rig->group, "192.0.2.1:3260"));
	CU_ASSERT_PTR_NULL_FATAL(access_add_portal(rig->group, "[2001:db8::1]:3260"));
	CU_ASSERT_PTR_NULL_FATAL(access_add_target(rig->access, RIG_TARGET, everybody,
						   &rig->target));
	CU_ASSERT_PTR_NULL_FATAL(access_add_entrance(rig->target, rig->group, NULL));
	for (unsigned i = 0; i < RIG_LUNS; i++)
		CU_ASSERT_PTR_NULL_FATAL(access_add_lun(rig->target->maps[0], i, &rig->export[i],
							false));
}

void rig_init(struct rig *rig)
{
	log_set_sink(discard_line);
	memset(rig, 0, sizeof(*rig));
	target_conf_init(&rig->conf);
	for (unsigned w = 0; w < RIG_WORKERS; w++) {
		rig->loop[w] = loop_new();
		assert(rig->loop[w]);
		init_lu(rig, 0, w);
		init_lu(rig, 1, w);
	}
	for (unsigned i = 0; i < RIG_LUNS; i++)
		rig->export[i].instance = rig->instance[i];
	init_access(rig);
}

void rig_start(struct rig *rig)
{
	rig->shared = target_shared_new();
	assert(rig->shared);
	for (unsigned w = 0; w < RIG_WORKERS; w++) {
		rig->service[w] = (struct target_service){
			.loop = rig->loop[w], .worker = w, .conf = &rig->conf,
			.shared = rig->shared, .idle = note_idle, .follows = note_follows,
		};
		target_service_init(&rig->service[w]);
	}
	rig_follow(rig, rig->access);
	rig->follows = 0;
}

void rig_follow(struct rig *rig, struct access *access)
{
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		target_follow(&rig->service[w], access);
	rig_turn(rig);
}

void rig_turn(struct rig *rig)
{
	for (int i = 0; i < 2; i++) {
		clock_pass(TURN_SECONDS);
		for (unsigned w = 0; w < RIG_WORKERS; w++)
			ev_run(rig->loop[w]->ev, EVRUN_NOWAIT);
	}
}

void rig_settle(struct rig *rig)
{
	for (int i = 0; i < SILENCE; i++)
		rig_turn(rig);
}

void rig_stop(struct rig *rig)
{
	rig_settle(rig);
	for (unsigned w = 0; w < RIG_WORKERS; w++) {
		CU_ASSERT(list_empty(&rig->service[w].connections));
		CU_ASSERT(list_empty(&rig->service[w].sessions));
		target_service_exit(&rig->service[w]);
		CU_ASSERT_EQUAL(pool_in_use(rig->loop[w]->pool), 0);
		for (unsigned i = 0; i < RIG_LUNS; i++) {
			CU_ASSERT_EQUAL(rig->lu[i][w].count, 0);
			CU_ASSERT_EQUAL(rig->lu[i][w].attached, rig->lu[i][w].detached);
		}
		loop_free(rig->loop[w]);
	}
	target_shared_free(rig->shared);
	CU_ASSERT_EQUAL(atomic_load(&rig->access->holders), 1);
	access_drop(rig->access);
}

void rig_expect_written(const struct rig_lu *lu, uint32_t len)
{
	CU_ASSERT_EQUAL_FATAL(lu->count, 1);
	CU_ASSERT_EQUAL(lu->task[0]->data_len, len);
	if (len)
		CU_ASSERT_EQUAL(memcmp(lu->task[0]->data, rig_pattern(), len), 0);
}
