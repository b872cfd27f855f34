/*
 * The one translator between the planes of failure: errno, sense, NBD error. The
 * NBD server, the block executors and both SCSI adaptors ask here, so that a
 * failure means the same whichever way it travels. Nothing is owned or kept.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "errmap.h"

/*
 * errno, NBD error and sense reasons side by side. Read from the left, the row of
 * the errno counts, or the first, which says the least; read from the right, the
 * first row that has the NBD error or the reason.
 *
 * A device that says it goes (ESHUTDOWN) may come back, so the initiator is told to
 * wait. ENOTCONN comes when it has been waited for in vain: a failure that hosts do
 * not wait for again, nor take for a bad medium. EINVAL is our fault or the back end's:
 * ranges and alignment were checked before, and ILLEGAL REQUEST would make a host give
 * up the feature for good. ENOMEM passes: errmap_status() has the better answer.
 */
static const struct errmap_row {
	int err;
	uint32_t nbd;
	uint32_t reason[4];	/* by enum errmap_kind */
} rows[] = {
#define ALIKE(reason) { reason, reason, reason, reason }
	{ EIO, NBD_EIO, {
		[ERRMAP_READ] = SENSE_READ_ERROR, [ERRMAP_WRITE] = SENSE_WRITE_ERROR,
		[ERRMAP_FLUSH] = SENSE_INTERNAL_TARGET_FAILURE,
		[ERRMAP_OTHER] = SENSE_INTERNAL_TARGET_FAILURE } },
	{ EPERM, NBD_EPERM, ALIKE(SENSE_WRITE_PROTECTED) },
	{ EROFS, NBD_EPERM, ALIKE(SENSE_WRITE_PROTECTED) },
	{ EACCES, NBD_EPERM, ALIKE(SENSE_WRITE_PROTECTED) },
	{ ENOSPC, NBD_ENOSPC, ALIKE(SENSE_SPACE_ALLOCATION_FAILED) },
	{ EDQUOT, NBD_ENOSPC, ALIKE(SENSE_SPACE_ALLOCATION_FAILED) },
	{ EFBIG, NBD_ENOSPC, ALIKE(SENSE_SPACE_ALLOCATION_FAILED) },
	{ EINVAL, NBD_EINVAL, ALIKE(SENSE_INTERNAL_TARGET_FAILURE) },
	{ ERANGE, NBD_EINVAL, ALIKE(SENSE_LBA_OUT_OF_RANGE) },
	{ ENOMEM, NBD_ENOMEM, ALIKE(SENSE_INTERNAL_TARGET_FAILURE) },
	{ EOVERFLOW, NBD_EOVERFLOW, ALIKE(SENSE_INTERNAL_TARGET_FAILURE) },
	{ ENOTSUP, NBD_ENOTSUP, ALIKE(SENSE_INTERNAL_TARGET_FAILURE) },
	{ EILSEQ, NBD_EIO, ALIKE(SENSE_MISCOMPARE_VERIFY) },
	{ ESHUTDOWN, NBD_ESHUTDOWN, ALIKE(SENSE_BECOMING_READY) },
	{ ENOTCONN, NBD_EIO, ALIKE(SENSE_INTERNAL_TARGET_FAILURE) },
#undef ALIKE
};

#define ROWS	(sizeof(rows) / sizeof(rows[0]))

static const struct errmap_row *row_of(int err)
{
	assert(err >= 0);
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].err == err)
			return &rows[i];
	return &rows[0];
}

uint32_t errmap_sense(int err, enum errmap_kind kind)
{
	assert(err > 0);
	return row_of(err)->reason[kind];
}

uint8_t errmap_status(int err)
{
	return err == ENOMEM ? STATUS_TASK_SET_FULL : STATUS_CHECK_CONDITION;
}

uint32_t errmap_nbd(int err)
{
	return err ? row_of(err)->nbd : (uint32_t)NBD_SUCCESS;
}

int errmap_from_nbd(uint32_t nbd_error)
{
	if (nbd_error == NBD_SUCCESS)
		return 0;
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].nbd == nbd_error)
			return rows[i].err;
	return EINVAL;
}

/* The errno for a reason that is final. */
static int errno_of(uint32_t reason, enum errmap_kind kind)
{
	/* Of the many ways to be write protected (27/01 to 27/06, …) one is about space. */
	if (SENSE_KEY(reason) == SENSE_KEY_DATA_PROTECT && reason != SENSE_SPACE_ALLOCATION_FAILED)
		reason = SENSE_WRITE_PROTECTED;
	/* What ERANGE means to NBD (proto.md, "NBD_CMD_WRITE") depends on the command. */
	if (reason == SENSE_LBA_OUT_OF_RANGE)
		return kind == ERRMAP_WRITE ? ENOSPC : EINVAL;
	for (size_t i = 0; i < ROWS; i++)
		for (int k = ERRMAP_READ; k <= ERRMAP_OTHER; k++)
			if (rows[i].reason[k] == reason)
				return rows[i].err;
	return EIO;
}

/* What to do about a reason: the first row that matches under its mask, else ERRMAP_FAIL. */
enum {
	KEY = SENSE_REASON(0x0f, 0, 0),
	KEY_ASC = SENSE_REASON(0x0f, 0xff, 0),
	ALL = SENSE_REASON(0x0f, 0xff, 0xff),
};

static const struct errmap_judgement {
	uint32_t reason, mask;
	enum errmap_action action;
} judgements[] = {
	{ SENSE_REASON(SENSE_KEY_RECOVERED_ERROR, 0, 0), KEY, ERRMAP_OK },
	{ SENSE_BECOMING_READY, ALL, ERRMAP_RETRY },
	{ SENSE_ALUA_TRANSITION, ALL, ERRMAP_RETRY },
	{ SENSE_ALUA_STANDBY, ALL, ERRMAP_PATH },
	{ SENSE_ALUA_UNAVAILABLE, ALL, ERRMAP_PATH },
	{ SENSE_PARAMETER_LIST_LENGTH, ALL, ERRMAP_UNSUPPORTED },
	{ SENSE_INVALID_OPCODE, ALL, ERRMAP_UNSUPPORTED },
	{ SENSE_INVALID_FIELD_IN_CDB, ALL, ERRMAP_UNSUPPORTED },
	{ SENSE_INVALID_FIELD_IN_PARAMETERS, ALL, ERRMAP_UNSUPPORTED },
	{ SENSE_REASON(SENSE_KEY_UNIT_ATTENTION, 0, 0), KEY, ERRMAP_RETRY },
	/* Protection information that does not match is on the medium: no retry mends it. */
	{ SENSE_REASON(SENSE_KEY_ABORTED_COMMAND, 0x10, 0), KEY_ASC, ERRMAP_FAIL },
	{ SENSE_REASON(SENSE_KEY_ABORTED_COMMAND, 0, 0), KEY, ERRMAP_RETRY },
};

static enum errmap_action judge(const struct sense *sense, enum errmap_kind kind)
{
	/* The command itself was not carried out, but one before it failed after it had been
	 * acknowledged (SPC-4 §4.5.5): whoever asks for persistence has to learn of that. */
	if (sense->deferred)
		return kind == ERRMAP_FLUSH || kind == ERRMAP_WRITE ? ERRMAP_FAIL : ERRMAP_RETRY;
	for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++)
		if ((sense->reason & judgements[i].mask) == judgements[i].reason)
			return judgements[i].action;
	return ERRMAP_FAIL;
}

static enum errmap_action errmap_check_condition(const struct sense *sense,
						 enum errmap_kind kind, int *err)
{
	enum errmap_action action = sense ? judge(sense, kind) : ERRMAP_FAIL;

	if (action == ERRMAP_OK)
		*err = 0;
	else if (action == ERRMAP_FAIL && sense && !sense->deferred)
		*err = errno_of(sense->reason, kind);
	return action;
}

enum errmap_action errmap_scsi(uint8_t status, const struct sense *sense,
			       enum errmap_kind kind, int *err)
{
	*err = EIO;
	switch ((enum scsi_status)status) {
	case STATUS_GOOD:
	case STATUS_CONDITION_MET:
		*err = 0;
		return ERRMAP_OK;
	case STATUS_CHECK_CONDITION:
		return errmap_check_condition(sense, kind, err);
	case STATUS_RESERVATION_CONFLICT:
		*err = EPERM;
		return ERRMAP_FAIL;
	case STATUS_BUSY:
	case STATUS_TASK_SET_FULL:
	case STATUS_ACA_ACTIVE:
	case STATUS_TASK_ABORTED:
		return ERRMAP_BACK_OFF;
	}
	return ERRMAP_FAIL;
}
