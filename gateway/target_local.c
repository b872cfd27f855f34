/*
 * Commands that the target answers itself (SPC-4 §6.6.2, SAM-5 §5.11): REPORT LUNS, whatever
 * logical unit it is sent to, and all that is sent to one that does not exist.
 *
 * Called by target_task.c. The outcome is left in the task as a logical unit would.
 */
#include <assert.h>
#include <string.h>

#include "pool.h"
#include "scsi_data.h"
#include "target_private.h"
#include "target_session.h"
#include "target_task.h"

/* SPC-4 §6.6.2: peripheral qualifier 011b, device type 1Fh: nothing can be connected there. */
#define NO_DEVICE_QUALIFIER	3
#define NO_DEVICE_TYPE		0x1f

/* SPC-4 §6.33 */
enum { SELECT_ADDRESSED = 0, SELECT_WELL_KNOWN = 1, SELECT_ALL = 2 };

/* The command has produced "len" bytes: as many go back as it asked for and has room for. */
static void give(struct target_task *task, const void *data, size_t len)
{
	struct scsi_task *scsi = &task->scsi;

	scsi->wanted = scsi->cdb.alloc_len < len ? scsi->cdb.alloc_len : len;
	scsi->moved = scsi->wanted < scsi->data_len ? (uint32_t)scsi->wanted : scsi->data_len;
	if (scsi->moved)
		memcpy(scsi->data, data, scsi->moved);
	scsi->status = STATUS_GOOD;
}

/* What cdb_decode() found wrong, in sense data (SPC-4 §4.5.2.4.2). */
static void fail_at(struct scsi_task *scsi, uint16_t byte, uint8_t bit)
{
	const struct sense sense = { .reason = SENSE_INVALID_FIELD_IN_CDB, .has_field = true,
				     .in_cdb = true, .has_bit = true, .bit = bit, .byte = byte };

	lu_sense(scsi, &sense);
}

static uint32_t list_luns(const struct target_session *s, uint64_t *luns)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < s->map->count; i++)
		if (target_instance(s->service, s->map->luns[i].export))
			luns[count++] = lun_encode(s->map->luns[i].number);
	return count;
}

static void forget_change(struct scsi_lu *lu, const struct nexus *nexus)
{
	lu_tell(lu, nexus, SENSE_LUNS_CHANGED, false);
}

/* SPC-4 §6.33: whoever has the list needs not be told that it has changed. */
static void luns_are_known(struct target_session *s)
{
	if (s->luns_changed)
		target_session_each_lu(s, forget_change);
	s->luns_changed = s->untold = false;
}

static void report_luns(struct target_task *task)
{
	struct target_session *s = task->session;
	struct pool *pool = s->service->loop->pool;
	size_t luns_len = (s->map->count + 1) * sizeof(uint64_t);
	size_t wire_len = REPORT_LUNS_HEADER_LEN + luns_len;
	uint64_t *luns;
	uint8_t *wire;
	uint32_t count;

	if (task->scsi.cdb.select_report > SELECT_ALL) {
		fail_at(&task->scsi, 2, 7);
		return;
	}
	luns = pool_get(pool, luns_len);
	wire = pool_get(pool, wire_len);
	if (luns && wire) {
		count = task->scsi.cdb.select_report == SELECT_WELL_KNOWN ? 0
			: list_luns(s, luns);
		give(task, wire, report_luns_encode(luns, count, wire));
		luns_are_known(s);
	} else {
		task->scsi.status = STATUS_BUSY;
	}
	pool_put(pool, luns, luns_len);
	pool_put(pool, wire, wire_len);
}

static void inquiry(struct target_task *task)
{
	const struct inquiry inq = {
		.qualifier = NO_DEVICE_QUALIFIER, .device_type = NO_DEVICE_TYPE,
		.version = 6, .response_data_format = 2,
	};
	uint8_t wire[INQUIRY_LEN];

	if (task->scsi.cdb.evpd)
		lu_fail(&task->scsi, SENSE_LUN_NOT_SUPPORTED);
	else
		give(task, wire, inquiry_encode(&inq, wire));
}

/* SPC-4 §6.39: the sense data is what was asked for, and the command itself succeeds. */
static void request_sense(struct target_task *task)
{
	const struct sense sense = { .reason = SENSE_LUN_NOT_SUPPORTED };
	uint8_t wire[SENSE_MAX_LEN];

	give(task, wire, sense_build(&sense, task->scsi.cdb.desc, wire));
}

void target_local_execute(struct target_task *task)
{
	struct scsi_task *scsi = &task->scsi;

	assert(!task->lu);
	if (scsi->cdb.id == CDB_REPORT_LUNS && scsi->verdict == CDB_OK)
		report_luns(task);
	else if (scsi->cdb.id == CDB_REPORT_LUNS)
		fail_at(scsi, scsi->bad.byte, scsi->bad.bit);
	else if (scsi->cdb.id == CDB_INQUIRY && scsi->verdict == CDB_OK)
		inquiry(task);
	else if (scsi->cdb.id == CDB_REQUEST_SENSE && scsi->verdict == CDB_OK)
		request_sense(task);
	else
		lu_fail(scsi, SENSE_LUN_NOT_SUPPORTED);
}
