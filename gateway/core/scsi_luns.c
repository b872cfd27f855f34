/*
 * REPORT LUNS, asked once and read; see scsi_luns.h.
 *
 * A target that was just logged in to has unit attentions to tell of before it
 * answers, and may be busy: such answers are asked for again, a bounded number of
 * times. The listing frees itself with its last word.
 */
#include "scsi_luns.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "bhs.h"
#include "errmap.h"
#include "field.h"
#include "log.h"
#include "loop.h"
#include "need.h"
#include "scsi_data.h"

#define MAX_TRIES	20
#define RETRY_DELAY	0.25	/* seconds */
#define WHY_LEN		160
#define OUTCOME_LEN	120
#define DATA_LEN	(REPORT_LUNS_HEADER_LEN + 8 * SCSI_LUNS_MAX)

struct listing {
	struct scsi_lu *lu;
	scsi_luns_listed *listed;
	void *opaque;
	struct scsi_task task;
	unsigned tries;
	ev_timer retry;
	uint8_t wire[CDB_MAX_LEN];
	uint8_t data[DATA_LEN];
};

static void answered(struct scsi_task *task);

static void ask(struct listing *l)
{
	struct cdb cdb = { .id = CDB_REPORT_LUNS, .alloc_len = DATA_LEN };

	l->task = (struct scsi_task) {
		.wire = l->wire, .wire_len = (uint16_t)cdb_encode(&cdb, l->wire),
		.cdb = cdb, .verdict = CDB_OK, .direction = CDB_DATA_IN,
		.data = l->data, .data_len = DATA_LEN,
		.attribute = TASK_SIMPLE, .done = answered,
	};
	lu_submit(l->lu, &l->task);
}

static void on_retry(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	ask(timer->data);
}

static int ascending(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* As many as there are in "luns", sorted, each once. */
static unsigned read_luns(const struct listing *l, uint16_t luns[SCSI_LUNS_MAX])
{
	uint32_t reported = report_luns_count(l->data, l->task.moved);
	unsigned found = 0, kept = 0;

	assert(reported <= SCSI_LUNS_MAX);
	for (uint32_t i = 0; i < reported; i++) {
		int lun = lun_decode(report_luns_decode(l->data, i));

		if (lun >= 0)
			luns[found++] = (uint16_t)lun;
	}
	qsort(luns, found, sizeof(luns[0]), ascending);
	for (unsigned i = 0; i < found; i++)
		if (!kept || luns[kept - 1] != luns[i])
			luns[kept++] = luns[i];
	return kept;
}

static void tell(struct listing *l, const char *why)
{
	uint16_t luns[SCSI_LUNS_MAX];
	unsigned count = why ? 0 : read_luns(l, luns);
	scsi_luns_listed *listed = l->listed;
	void *opaque = l->opaque;

	/* LUN LIST LENGTH is of all that there are (SPC-4 §6.33). */
	if (!why && get_be32(l->data) > DATA_LEN - REPORT_LUNS_HEADER_LEN)
		log_warning("the target has more than %d logical units; the others are not seen",
			    SCSI_LUNS_MAX);
	free(l);
	listed(opaque, why ? NULL : luns, count, why);
}

static void tell_failure(struct listing *l)
{
	const struct scsi_task *task = &l->task;
	char outcome[OUTCOME_LEN], why[WHY_LEN];

	if (task->status == LU_LOST)
		snprintf(outcome, sizeof(outcome), "the session was lost");
	else
		sense_format(task->status, task->sense, task->sense_len, outcome, sizeof(outcome));
	snprintf(why, sizeof(why), "REPORT LUNS: %s", outcome);
	tell(l, why);
}

/* What news there are is told once each; a unit that is busy wants time. */
static void ask_again(struct listing *l, const struct sense *sense)
{
	if (SENSE_KEY(sense->reason) == SENSE_KEY_UNIT_ATTENTION) {
		ask(l);
		return;
	}
	ev_timer_set(&l->retry, RETRY_DELAY, 0.);
	ev_timer_start(l->lu->loop->ev, &l->retry);
}

static void answered(struct scsi_task *task)
{
	struct listing *l = container_of(task, struct listing, task);
	enum errmap_action action = ERRMAP_FAIL;
	struct sense sense;
	int error;

	sense_parse(task->sense, task->sense_len, &sense);
	if (task->status != LU_LOST)
		action = errmap_scsi(task->status, &sense, ERRMAP_OTHER, &error);
	if (action == ERRMAP_OK && task->moved < REPORT_LUNS_HEADER_LEN)
		tell(l, "REPORT LUNS: the answer is too short");
	else if (action == ERRMAP_OK)
		tell(l, NULL);
	else if ((action == ERRMAP_RETRY || action == ERRMAP_BACK_OFF) && ++l->tries < MAX_TRIES)
		ask_again(l, &sense);
	else
		tell_failure(l);
}

void scsi_luns_list(struct scsi_lu *lu, scsi_luns_listed *listed, void *opaque)
{
	struct listing *l = need(calloc(1, sizeof(*l)));

	l->lu = lu;
	l->listed = listed;
	l->opaque = opaque;
	ev_timer_init(&l->retry, on_retry, 0., 0.);
	l->retry.data = l;
	ask(l);
}
