/*
 * What an open asks of the unit before it hands it out: is it there (INQUIRY), and
 * how long are its blocks (READ CAPACITY), without which the length of a transfer
 * that is merely passed on cannot be told. All else is for those above to find out.
 *
 * Called by the first session; ends in initiator_opened() or initiator_give_up().
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "errmap.h"
#include "initiator_private.h"

#define MAX_TRIES	20	/* of one question: unit attentions, a unit that becomes ready */
#define RETRY_DELAY	0.25	/* seconds */
#define MAX_BLOCK_LEN	(64u << 10)

#define QUALIFIER_NO_UNIT	3	/* SPC-4 §6.6.2: the target has nothing at this LUN */
#define TYPE_DISK		0x00
#define TYPE_HOST_MANAGED	0x14

_Static_assert(sizeof ((struct probe *)0)->data >= CAPACITY_16_LEN, "room for every answer");

static void question_done(struct scsi_task *task);

static void submit(struct initiator *ini)
{
	struct probe *probe = &ini->probe;
	struct scsi_task *task = &probe->task;
	struct cdb cdb = { .id = probe->asking };

	memset(probe->wire, 0, sizeof(probe->wire));
	memset(probe->data, 0, sizeof(probe->data));
	if (cdb.id != CDB_READ_CAPACITY_10)	/* which has no ALLOCATION LENGTH */
		cdb.alloc_len = cdb.id == CDB_INQUIRY ? INQUIRY_LEN : CAPACITY_16_LEN;
	*task = (struct scsi_task) {
		.wire = probe->wire, .wire_len = (uint16_t)cdb_encode(&cdb, probe->wire),
		.cdb = cdb, .verdict = CDB_OK, .direction = CDB_DATA_IN, .data = probe->data,
		.data_len = cdb.alloc_len ? cdb.alloc_len : CAPACITY_10_LEN,
		.attribute = TASK_SIMPLE, .done = question_done,
	};
	lu_submit(&ini->lu, task);
}

static void on_retry(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	submit(container_of(timer, struct initiator, phase));
}

static void ask(struct initiator *ini, enum cdb_id id)
{
	ini->probe.asking = id;
	ini->probe.tries = 0;
	submit(ini);
}

static void no_unit(struct initiator *ini)
{
	char text[64];

	snprintf(text, sizeof(text), "LUN %u does not exist on the target", ini->url.lun);
	initiator_give_up(ini, text);
}

static void inquiry_failed(struct initiator *ini, uint32_t reason)
{
	const struct scsi_task *task = &ini->probe.task;
	char outcome[120], text[INITIATOR_WHY];

	if (reason == SENSE_LUN_NOT_SUPPORTED) {
		no_unit(ini);
		return;
	}
	sense_format(task->status, task->sense, task->sense_len, outcome, sizeof(outcome));
	snprintf(text, sizeof(text), "INQUIRY of LUN %u: %s", ini->url.lun, outcome);
	initiator_give_up(ini, text);
}

static void inquiry_answered(struct initiator *ini)
{
	struct inquiry inq;

	if (!inquiry_decode(ini->probe.data, ini->probe.task.moved, &inq))
		initiator_give_up(ini, "INQUIRY: the answer is too short");
	else if (inq.qualifier == QUALIFIER_NO_UNIT)
		no_unit(ini);
	else if (inq.device_type == TYPE_DISK || inq.device_type == TYPE_HOST_MANAGED)
		ask(ini, CDB_READ_CAPACITY_16);
	else
		initiator_opened(ini);
}

static void capacity_answered(struct initiator *ini, bool ok)
{
	const struct probe *probe = &ini->probe;
	bool sixteen = probe->asking == CDB_READ_CAPACITY_16;
	struct capacity capacity;

	if (ok)
		ok = sixteen ? capacity_16_decode(probe->data, probe->task.moved, &capacity)
			     : capacity_10_decode(probe->data, probe->task.moved, &capacity);
	if (ok && capacity.block_len && capacity.block_len <= MAX_BLOCK_LEN)
		ini->lu.block_len = capacity.block_len;
	else if (sixteen) {
		ask(ini, CDB_READ_CAPACITY_10);
		return;
	}
	initiator_opened(ini);
}

static void question_done(struct scsi_task *task)
{
	struct initiator *ini = container_of(task, struct initiator, probe.task);
	struct sense sense;
	bool has_sense = sense_parse(task->sense, task->sense_len, &sense);
	enum errmap_action action;
	int err;

	if (task->status == LU_LOST) {
		initiator_give_up(ini, ini->why);
		return;
	}
	action = errmap_scsi(task->status, has_sense ? &sense : NULL, ERRMAP_OTHER, &err);
	if ((action == ERRMAP_RETRY || action == ERRMAP_BACK_OFF) && ++ini->probe.tries < MAX_TRIES)
		initiator_timer(ini, &ini->phase, on_retry, RETRY_DELAY);
	else if (ini->probe.asking != CDB_INQUIRY)
		capacity_answered(ini, action == ERRMAP_OK);
	else if (action == ERRMAP_OK)
		inquiry_answered(ini);
	else
		inquiry_failed(ini, sense.reason);
}

void probe_start(struct initiator *ini)
{
	ask(ini, CDB_INQUIRY);
}
