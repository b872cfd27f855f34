/*
 * The CDB interpreter's task set: task attributes, aborts and task management within
 * one instance and across two, and COMPARE AND WRITE by many nexuses on two threads.
 */
#include <pthread.h>
#include <string.h>

#include "disk_bed.h"
#include "field.h"
#include "range_lock.h"
#include "unit.h"

static struct disk_bed bed, other;
static struct command c[4], probe;

static void start(struct command *command, struct disk_bed *where, const struct cdb *cdb,
		  enum task_attribute attribute, const struct nexus *nexus)
{
	command_init(command, where, cdb);
	command->task.attribute = attribute;
	command->task.nexus = nexus;
	command_start(command);
}

static const struct cdb read_one = { .id = CDB_READ_10, .blocks = 1 };
static const struct cdb write_one = { .id = CDB_WRITE_10, .blocks = 1 };
static const struct cdb ready = { .id = CDB_TEST_UNIT_READY };

/* What the nexus hears when it asks next: a sense reason, or SENSE_NONE for GOOD. */
static bool hears(struct disk_bed *where, const struct nexus *nexus, uint32_t reason)
{
	command_init(&probe, where, &ready);
	probe.task.nexus = nexus;
	command_run(&probe);
	return reason == SENSE_NONE ? is_good(&probe) : failed_with(&probe, reason);
}

/* Task attributes ---------------------------------------------------------------- */

static void simple_tasks_run_side_by_side(void)
{
	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	start(&c[0], &bed, &read_one, TASK_SIMPLE, &bed.a);
	start(&c[1], &bed, &read_one, TASK_UNTAGGED, &bed.b);
	CU_ASSERT_EQUAL(bed.device.in_flight, 2);
	blk_double_release(&bed.device);
	disk_bed_free(&bed);
	CU_ASSERT(is_good(&c[0]) && is_good(&c[1]));
}

static void an_ordered_task_waits_and_is_waited_for(void)
{
	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	start(&c[0], &bed, &read_one, TASK_SIMPLE, &bed.a);
	start(&c[1], &bed, &read_one, TASK_ORDERED, &bed.a);
	start(&c[2], &bed, &read_one, TASK_SIMPLE, &bed.a);
	start(&c[3], &bed, &read_one, TASK_HEAD_OF_QUEUE, &bed.b);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 2);	/* the first, and the last */
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 2);
	blk_double_release(&bed.device);
	while (bed.device.seen[BLK_READ] < 3)
		disk_bed_settle(&bed);
	CU_ASSERT(c[0].ended && c[3].ended);
	while (!c[2].ended) {
		CU_ASSERT(bed.device.seen[BLK_READ] < 4 || c[1].ended);
		disk_bed_settle(&bed);
	}
	disk_bed_free(&bed);
	for (int i = 0; i < 4; i++)
		CU_ASSERT(is_good(&c[i]));
}

static void nothing_overtakes_an_ordered_task_that_runs(void)
{
	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	start(&c[0], &bed, &read_one, TASK_ORDERED, &bed.a);
	start(&c[1], &bed, &read_one, TASK_SIMPLE, &bed.a);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 1);
	blk_double_release(&bed.device);
	disk_bed_free(&bed);
	CU_ASSERT(is_good(&c[0]) && is_good(&c[1]));
}

static void an_ordered_task_that_needs_no_device_waits_too(void)
{
	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	start(&c[0], &bed, &read_one, TASK_SIMPLE, &bed.a);
	start(&c[1], &bed, &ready, TASK_ORDERED, &bed.a);
	disk_bed_settle(&bed);
	CU_ASSERT(!c[1].ended);
	blk_double_release(&bed.device);
	disk_bed_free(&bed);
	CU_ASSERT(is_good(&c[1]));
}

/* Aborting ------------------------------------------------------------------------- */

static void an_aborted_task_ends_when_the_device_has_done_with_it(void)
{
	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	start(&c[0], &bed, &write_one, TASK_SIMPLE, &bed.a);
	start(&c[1], &bed, &write_one, TASK_ORDERED, &bed.a);
	lu_abort(bed.lu, &c[1].task);		/* held: nothing to wait for */
	lu_abort(bed.lu, &c[0].task);
	CU_ASSERT_EQUAL(bed.device.aborts, 1);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(c[1].ended, 1);
	CU_ASSERT_EQUAL(c[1].task.status, STATUS_TASK_ABORTED);
	CU_ASSERT_EQUAL(c[0].ended, 0);
	blk_double_release(&bed.device);
	disk_bed_free(&bed);
	CU_ASSERT_EQUAL(c[0].ended, 1);
	CU_ASSERT_EQUAL(c[0].task.status, STATUS_TASK_ABORTED);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_WRITE], 1);
}

static void a_task_that_has_finished_is_not_aborted(void)
{
	disk_bed_init(&bed, 1);
	start(&c[0], &bed, &ready, TASK_SIMPLE, &bed.a);
	lu_abort(bed.lu, &c[0].task);
	disk_bed_free(&bed);
	CU_ASSERT(is_good(&c[0]));
}

static void an_abort_stops_a_command_of_many_requests(void)
{
	const struct cdb verify = { .id = CDB_VERIFY_10, .blocks = DISK_BED_BLOCKS };

	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	start(&c[0], &bed, &verify, TASK_SIMPLE, &bed.a);
	lu_abort(bed.lu, &c[0].task);
	blk_double_release(&bed.device);
	disk_bed_free(&bed);
	CU_ASSERT_EQUAL(c[0].task.status, STATUS_TASK_ABORTED);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 1);
}

static void an_abort_of_who_waits_for_a_range_writes_nothing(void)
{
	const struct cdb caw = { .id = CDB_COMPARE_AND_WRITE, .blocks = 1 };

	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	memset(c[1].data, 0, 1024);
	start(&c[0], &bed, &write_one, TASK_SIMPLE, &bed.a);
	start(&c[1], &bed, &caw, TASK_SIMPLE, &bed.a);
	lu_abort(bed.lu, &c[1].task);
	blk_double_release(&bed.device);
	disk_bed_free(&bed);
	CU_ASSERT(is_good(&c[0]));
	CU_ASSERT_EQUAL(c[1].ended, 1);
	CU_ASSERT_EQUAL(c[1].task.status, STATUS_TASK_ABORTED);
	CU_ASSERT_EQUAL(bed.device.seen[BLK_READ], 0);
}

/* Task management ------------------------------------------------------------------ */

struct management {
	struct scsi_tmf tmf;
	unsigned ended;
};

static void on_managed(struct scsi_tmf *tmf)
{
	container_of(tmf, struct management, tmf)->ended++;
}

static void manage(struct management *m, struct disk_bed *where, enum tmf_function function,
		   const struct nexus *nexus)
{
	memset(m, 0, sizeof(*m));
	m->tmf.function = function;
	m->tmf.nexus = nexus;
	m->tmf.done = on_managed;
	lu_manage(where->lu, &m->tmf);
	CU_ASSERT_EQUAL(m->ended, 0);
}

static void abort_task_set_ends_the_tasks_of_its_nexus_alone(void)
{
	struct management m;

	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	start(&c[0], &bed, &write_one, TASK_SIMPLE, &bed.a);
	start(&c[1], &bed, &write_one, TASK_SIMPLE, &bed.b);
	manage(&m, &bed, TMF_ABORT_TASK_SET, &bed.a);
	start(&c[2], &bed, &write_one, TASK_SIMPLE, &bed.a);	/* came later: no concern of it */
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(m.ended, 0);
	blk_double_release(&bed.device);
	while (!m.ended)
		disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(c[0].ended, 1);
	CU_ASSERT_EQUAL(m.tmf.response, TMF_COMPLETE);
	CU_ASSERT(hears(&bed, &bed.b, SENSE_NONE));
	disk_bed_free(&bed);
	CU_ASSERT_EQUAL(c[0].task.status, STATUS_TASK_ABORTED);
	CU_ASSERT(is_good(&c[1]) && is_good(&c[2]));
}

static void a_function_does_not_wait_for_tasks_that_came_after_it(void)
{
	struct management m;

	disk_bed_init(&bed, 1);
	bed.device.hold = true;
	manage(&m, &bed, TMF_ABORT_TASK_SET, &bed.a);
	start(&c[0], &bed, &write_one, TASK_SIMPLE, &bed.a);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(m.ended, 1);
	CU_ASSERT_EQUAL(c[0].ended, 0);
	blk_double_release(&bed.device);
	disk_bed_free(&bed);
	CU_ASSERT(is_good(&c[0]));
}

static void clear_task_set_tells_those_whose_commands_it_cleared(void)
{
	struct nexus idle = { .tpgt = 1 };
	struct management m;

	disk_bed_init(&bed, 1);
	lu_attach(bed.lu, &idle);
	CU_ASSERT(hears(&bed, &idle, SENSE_POWER_ON_OR_RESET));
	bed.device.hold = true;
	start(&c[0], &bed, &write_one, TASK_SIMPLE, &bed.a);
	start(&c[1], &bed, &write_one, TASK_SIMPLE, &bed.b);
	manage(&m, &bed, TMF_CLEAR_TASK_SET, &bed.a);
	blk_double_release(&bed.device);
	while (!m.ended)
		disk_bed_settle(&bed);
	CU_ASSERT(c[0].ended && c[1].ended);
	CU_ASSERT_EQUAL(c[1].task.status, STATUS_TASK_ABORTED);
	CU_ASSERT(hears(&bed, &bed.a, SENSE_NONE));
	CU_ASSERT(hears(&bed, &bed.b, SENSE_COMMANDS_CLEARED));
	CU_ASSERT(hears(&bed, &idle, SENSE_NONE));
	lu_detach(bed.lu, &idle);
	disk_bed_free(&bed);
}

static void functions_that_are_not_for_a_unit_are_not_supported(void)
{
	static const enum tmf_function functions[] = { TMF_CLEAR_ACA, TMF_TASK_REASSIGN };
	struct management m;

	disk_bed_init(&bed, 1);
	for (unsigned i = 0; i < 2; i++) {
		manage(&m, &bed, functions[i], &bed.a);
		disk_bed_settle(&bed);
		CU_ASSERT_EQUAL(m.ended, 1);
		CU_ASSERT_EQUAL(m.tmf.response, TMF_NOT_SUPPORTED);
	}
	disk_bed_free(&bed);
}

static void a_reset_ends_all_tasks_on_all_workers_before_it_is_answered(void)
{
	struct management m;

	disk_bed_init(&bed, 1);
	disk_bed_init_second(&other, &bed);
	bed.device.hold = other.device.hold = true;
	start(&c[0], &bed, &write_one, TASK_SIMPLE, &bed.a);
	start(&c[1], &other, &write_one, TASK_SIMPLE, &other.a);
	start(&c[2], &other, &ready, TASK_ORDERED, &other.b);
	manage(&m, &bed, TMF_LU_RESET, &bed.a);
	blk_double_release(&bed.device);
	while (!c[0].ended)
		disk_bed_settle(&bed);
	disk_bed_settle(&other);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(c[2].ended, 1);
	CU_ASSERT_EQUAL(c[1].ended, 0);
	CU_ASSERT_EQUAL(m.ended, 0);	/* the other device has not done with its write */
	blk_double_release(&other.device);
	while (!c[1].ended)
		disk_bed_settle(&other);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(m.ended, 1);
	CU_ASSERT_EQUAL(m.tmf.response, TMF_COMPLETE);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(c[i].task.status, STATUS_TASK_ABORTED);
	CU_ASSERT(hears(&bed, &bed.a, SENSE_DEVICE_RESET));
	CU_ASSERT(hears(&bed, &bed.b, SENSE_DEVICE_RESET));
	CU_ASSERT(hears(&other, &other.a, SENSE_DEVICE_RESET));
	CU_ASSERT(hears(&other, &other.b, SENSE_DEVICE_RESET));
	CU_ASSERT(hears(&other, &other.b, SENSE_NONE));
	disk_bed_free(&other);
	disk_bed_free(&bed);
}

/* Control mode page with SWP: the unit is write protected. */
static void protect(struct disk_bed *where)
{
	static const uint8_t list[] = {
		0, 0, 0, 0, 0x0a, 0x0a, 0x02, 0x10, 0x08, 0, 0, 0, 0xff, 0xff, 0, 0,
	};

	memcpy(c[0].data, list, sizeof(list));
	command_do(&c[0], where, &(struct cdb){ .id = CDB_MODE_SELECT_6, .pf = true,
						.param_len = sizeof(list) });
	CU_ASSERT(is_good(&c[0]));
}

static void a_reset_brings_back_the_default_mode_parameters(void)
{
	struct management m;

	disk_bed_init(&bed, 1);
	protect(&bed);
	manage(&m, &bed, TMF_TARGET_WARM_RESET, &bed.b);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(m.ended, 1);
	/* 29/xx comes before the 2A/01 that nexus b has not heard yet. */
	CU_ASSERT(hears(&bed, &bed.a, SENSE_BUS_RESET));
	CU_ASSERT(hears(&bed, &bed.b, SENSE_BUS_RESET));
	CU_ASSERT(hears(&bed, &bed.b, SENSE_MODE_PARAMETERS_CHANGED));
	command_do(&c[0], &bed, &write_one);
	CU_ASSERT(is_good(&c[0]));
	disk_bed_free(&bed);
}

static void a_mode_select_is_heard_on_the_other_worker(void)
{
	disk_bed_init(&bed, 1);
	disk_bed_init_second(&other, &bed);
	protect(&bed);
	CU_ASSERT(hears(&other, &other.a, SENSE_MODE_PARAMETERS_CHANGED));
	command_do(&c[0], &other, &write_one);
	CU_ASSERT(failed_with(&c[0], SENSE_WRITE_PROTECTED));
	disk_bed_free(&other);
	disk_bed_free(&bed);
}

static void an_instance_closes_after_the_reset_that_is_on_its_way_to_it(void)
{
	struct management m;

	disk_bed_init(&bed, 1);
	disk_bed_init_second(&other, &bed);
	manage(&m, &bed, TMF_LU_RESET, &bed.a);
	disk_bed_free(&other);
	disk_bed_settle(&bed);
	CU_ASSERT_EQUAL(m.ended, 1);
	disk_bed_free(&bed);
}

/* COMPARE AND WRITE ------------------------------------------------------------------ */

enum { WORKERS = 2, INCREMENTERS = 4, INCREMENTS = 250 };

struct worker {
	struct loop *loop;
	struct blk_double device;
	struct scsi_lu *lu;
	unsigned running;
	pthread_t thread;
};

/* A nexus that adds 1 to the number in block 0, by read and COMPARE AND WRITE. */
struct incrementer {
	struct scsi_task task;
	struct worker *worker;
	struct nexus nexus;
	uint8_t wire[CDB_MAX_LEN], data[1024];
	unsigned left, wrong, misses;
};

static void send(struct incrementer *i, const struct cdb *cdb)
{
	i->task = (struct scsi_task){
		.wire = i->wire, .wire_len = (uint16_t)cdb_encode(cdb, i->wire), .cdb = *cdb,
		.direction = cdb_direction(cdb), .data = i->data,
		.data_len = (uint32_t)cdb_transfer_len(cdb, 512),
		.nexus = &i->nexus, .done = i->task.done,
	};
	lu_submit(i->worker->lu, &i->task);
}

static void compare_and_write(struct incrementer *i)
{
	memcpy(i->data + 512, i->data, 512);
	put_be64(i->data + 512, get_be64(i->data) + 1);
	send(i, &(struct cdb){ .id = CDB_COMPARE_AND_WRITE, .blocks = 1 });
}

static void step(struct scsi_task *task)
{
	struct incrementer *i = container_of(task, struct incrementer, task);
	struct sense sense = { 0 };

	sense_parse(task->sense, task->sense_len, &sense);
	if (task->status == STATUS_GOOD && task->cdb.id == CDB_READ_10) {
		compare_and_write(i);
		return;
	}
	if (task->status == STATUS_GOOD)
		i->left--;
	else if (sense.reason == SENSE_MISCOMPARE_VERIFY)
		i->misses++;
	else if (sense.reason != SENSE_POWER_ON_OR_RESET)
		i->wrong++;
	if (i->left && !i->wrong)
		send(i, &read_one);
	else if (!--i->worker->running)
		loop_stop(i->worker->loop);
}

static void *work(void *opaque)
{
	struct worker *worker = opaque;

	loop_run(worker->loop);
	return NULL;
}

static void closed(void *opaque)
{
	loop_stop(opaque);
}

static void close_worker(struct worker *worker)
{
	lu_close(worker->lu, closed, worker->loop);
	loop_run(worker->loop);
	blk_close(&worker->device.dev, closed, worker->loop);
	loop_run(worker->loop);
	loop_free(worker->loop);
}

static void a_counter_that_many_compare_and_write_is_exact(void)
{
	static struct incrementer incrementers[WORKERS][INCREMENTERS];
	static const struct disk_lu_conf conf = { .target_name = "iqn.x", .block_len = 512 };
	struct blk_shared shared = { .ranges = range_lock_new() };
	struct lu_shared *lu_shared = lu_shared_new(&conf);
	static struct worker workers[WORKERS];
	struct blk_store store;

	blk_store_init(&store, 4096, 1);
	for (int w = 0; w < WORKERS; w++) {
		struct worker *worker = &workers[w];

		worker->loop = loop_new();
		blk_double_init(&worker->device, &store, worker->loop, &shared);
		worker->lu = disk_lu_open(&worker->device.dev, lu_shared, NULL);
		worker->running = INCREMENTERS;
		for (int n = 0; n < INCREMENTERS; n++) {
			struct incrementer *i = &incrementers[w][n];

			i->worker = worker;
			i->left = INCREMENTS;
			i->task.done = step;
			lu_attach(worker->lu, &i->nexus);
			send(i, &read_one);
		}
	}
	for (int w = 0; w < WORKERS; w++)
		CU_ASSERT_FATAL(!pthread_create(&workers[w].thread, NULL, work, &workers[w]));
	for (int w = 0; w < WORKERS; w++)
		pthread_join(workers[w].thread, NULL);

	incrementers[0][0].left = 1;
	workers[0].running = 1;
	incrementers[0][0].task.done = step;
	send(&incrementers[0][0], &read_one);
	loop_run(workers[0].loop);
	CU_ASSERT_EQUAL(get_be64(incrementers[0][0].data), WORKERS * INCREMENTERS * INCREMENTS);
	for (int w = 0; w < WORKERS; w++) {
		for (int n = 0; n < INCREMENTERS; n++) {
			CU_ASSERT_EQUAL(incrementers[w][n].wrong, 0);
			lu_detach(workers[w].lu, &incrementers[w][n].nexus);
		}
		close_worker(&workers[w]);
	}
	lu_shared_free(lu_shared);
	blk_store_free(&store);
	range_lock_free(shared.ranges);
}

static const struct unit_test tests[] = {
	UNIT_TEST(simple_tasks_run_side_by_side),
	UNIT_TEST(an_ordered_task_waits_and_is_waited_for),
	UNIT_TEST(nothing_overtakes_an_ordered_task_that_runs),
	UNIT_TEST(an_ordered_task_that_needs_no_device_waits_too),
	UNIT_TEST(an_aborted_task_ends_when_the_device_has_done_with_it),
	UNIT_TEST(a_task_that_has_finished_is_not_aborted),
	UNIT_TEST(an_abort_stops_a_command_of_many_requests),
	UNIT_TEST(an_abort_of_who_waits_for_a_range_writes_nothing),
	UNIT_TEST(abort_task_set_ends_the_tasks_of_its_nexus_alone),
	UNIT_TEST(a_function_does_not_wait_for_tasks_that_came_after_it),
	UNIT_TEST(clear_task_set_tells_those_whose_commands_it_cleared),
	UNIT_TEST(functions_that_are_not_for_a_unit_are_not_supported),
	UNIT_TEST(a_reset_ends_all_tasks_on_all_workers_before_it_is_answered),
	UNIT_TEST(a_reset_brings_back_the_default_mode_parameters),
	UNIT_TEST(a_mode_select_is_heard_on_the_other_worker),
	UNIT_TEST(an_instance_closes_after_the_reset_that_is_on_its_way_to_it),
	UNIT_TEST(a_counter_that_many_compare_and_write_is_exact),
};
UNIT_MAIN("disk_lu's task set", tests)
