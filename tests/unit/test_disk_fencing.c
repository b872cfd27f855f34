/*
 * What cluster managers buy reservations for: after PREEMPT AND ABORT nothing of the
 * preempted host comes to the medium any more. Six nexuses on two threads take an
 * exclusive reservation from each other, and each, while it has it, must read what it
 * wrote, over a device that answers late and in any order. (It is never released: to
 * reserve what nobody has reserved fences nobody.)
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "disk_bed.h"
#include "field.h"
#include "unit.h"

enum { WORKERS = 2, HOSTS = 3, PREEMPTIONS = 1000 };

#define EXCLUSIVE_ACCESS	3
#define LIST_LEN		24

struct host {
	struct scsi_task task;
	struct disk_bed *bed;
	struct nexus nexus;
	uint8_t wire[CDB_MAX_LEN], data[DISK_BED_BLOCK];
	uint64_t key, written;
	unsigned seed, aborted, wrong;
};

static struct disk_bed beds[WORKERS];
static struct host hosts[WORKERS][HOSTS];
static atomic_uint preemptions;		/* that were good, of all hosts */
static atomic_uint busy;		/* hosts that have not seen that they were enough */

static void send(struct host *h, const struct cdb *cdb)
{
	h->task = (struct scsi_task){
		.wire = h->wire, .wire_len = (uint16_t)cdb_encode(cdb, h->wire), .cdb = *cdb,
		.direction = cdb_direction(cdb), .data = h->data,
		.data_len = (uint32_t)cdb_transfer_len(cdb, DISK_BED_BLOCK),
		.nexus = &h->nexus, .done = h->task.done,
	};
	lu_submit(h->bed->lu, &h->task);
}

static void send_out(struct host *h, enum cdb_id action, uint64_t key, uint64_t action_key)
{
	memset(h->data, 0, LIST_LEN);
	put_be64(h->data, key);
	put_be64(h->data + 8, action_key);
	send(h, &(struct cdb){ .id = action, .type = EXCLUSIVE_ACCESS, .param_len = LIST_LEN });
}

static void send_write(struct host *h)
{
	memset(h->data, 0, sizeof(h->data));
	put_be64(h->data, h->key);
	put_be64(h->data + 8, ++h->written);
	send(h, &(struct cdb){ .id = CDB_WRITE_10, .blocks = 1 });
}

static void send_take(struct host *h)
{
	unsigned whose = 1 + blk_random(&h->seed, WORKERS * HOSTS);

	send_out(h, CDB_PR_OUT_PREEMPT_AND_ABORT, h->key, whose);
}

static void read_is_over(struct host *h)
{
	if (get_be64(h->data) != h->key || get_be64(h->data + 8) != h->written)
		h->wrong++;
	send_write(h);
}

static void go_on(struct host *h)
{
	switch (h->task.cdb.id) {
	case CDB_PR_OUT_REGISTER_AND_IGNORE:
		send_out(h, CDB_PR_OUT_RESERVE, h->key, 0);
		break;
	case CDB_PR_OUT_PREEMPT_AND_ABORT:
		atomic_fetch_add(&preemptions, 1);
		send_write(h);
		break;
	case CDB_WRITE_10:
		send(h, &(struct cdb){ .id = CDB_READ_10, .blocks = 1 });
		break;
	case CDB_READ_10:
		read_is_over(h);
		break;
	default:
		send_write(h);
	}
}

/* To be refused a reservation is to take it; whatever else went wrong, begin again. */
static void start_over(struct host *h)
{
	if (h->task.cdb.id == CDB_PR_OUT_RESERVE && h->task.status == STATUS_RESERVATION_CONFLICT)
		send_take(h);
	else
		send_out(h, CDB_PR_OUT_REGISTER_AND_IGNORE, 0, h->key);
}

static void done(struct scsi_task *task)
{
	struct host *h = container_of(task, struct host, task);

	h->aborted += task->status == STATUS_TASK_ABORTED;
	if (atomic_load(&preemptions) >= PREEMPTIONS) {
		if (atomic_fetch_sub(&busy, 1) == 1)
			for (int w = 0; w < WORKERS; w++)
				loop_stop(beds[w].loop);
	} else if (task->status == STATUS_GOOD) {
		go_on(h);
	} else {
		start_over(h);
	}
}

static void *work(void *bed)
{
	loop_run(((struct disk_bed *)bed)->loop);
	return NULL;
}

static void start_host(struct disk_bed *bed, struct host *h, unsigned number)
{
	memset(h, 0, sizeof(*h));
	h->bed = bed;
	h->key = number;
	h->seed = number;
	h->task.done = done;
	h->nexus = bed->a;
	h->nexus.isid[0] = (uint8_t)number;
	lu_attach(bed->lu, &h->nexus);
	send_out(h, CDB_PR_OUT_REGISTER_AND_IGNORE, 0, h->key);
}

static void nothing_of_the_preempted_comes_to_the_medium(void)
{
	pthread_t threads[WORKERS];
	unsigned aborted = 0;

	disk_bed_init(&beds[0], 1);
	disk_bed_init_second(&beds[1], &beds[0]);
	for (int w = 0; w < WORKERS; w++) {
		beds[w].device.ignores_aborts = true;
		beds[w].device.idle_percent = 90;
	}
	atomic_store(&preemptions, 0);
	atomic_store(&busy, WORKERS * HOSTS);
	for (int w = 0; w < WORKERS; w++)
		for (int i = 0; i < HOSTS; i++)
			start_host(&beds[w], &hosts[w][i], 1u + (unsigned)(w * HOSTS + i));
	for (int w = 0; w < WORKERS; w++)
		CU_ASSERT_FATAL(!pthread_create(&threads[w], NULL, work, &beds[w]));
	for (int w = 0; w < WORKERS; w++)
		pthread_join(threads[w], NULL);
	for (int w = WORKERS - 1; w >= 0; w--) {
		disk_bed_settle(&beds[w]);
		for (int i = 0; i < HOSTS; i++) {
			aborted += hosts[w][i].aborted;
			CU_ASSERT_EQUAL(hosts[w][i].wrong, 0);
			lu_detach(beds[w].lu, &hosts[w][i].nexus);
		}
		disk_bed_free(&beds[w]);
	}
	CU_ASSERT(aborted > PREEMPTIONS / 100);		/* it was worth the while */
}

static const struct unit_test tests[] = {
	UNIT_TEST(nothing_of_the_preempted_comes_to_the_medium),
};

UNIT_MAIN("fencing", tests)
