/* The planes of failure: errno, sense and NBD error, row by row. */
#include <errno.h>
#include <string.h>

#include "errmap.h"
#include "unit.h"

static void an_errno_becomes_the_reason_that_a_host_should_see(void)
{
	static const struct { int err; uint32_t read, write, other; } rows[] = {
		{ EIO, SENSE_READ_ERROR, SENSE_WRITE_ERROR, SENSE_INTERNAL_TARGET_FAILURE },
		{ ENOENT, SENSE_READ_ERROR, SENSE_WRITE_ERROR, SENSE_INTERNAL_TARGET_FAILURE },
#define ALIKE(reason) reason, reason, reason
		{ EPERM, ALIKE(SENSE_WRITE_PROTECTED) },
		{ EROFS, ALIKE(SENSE_WRITE_PROTECTED) },
		{ EACCES, ALIKE(SENSE_WRITE_PROTECTED) },
		{ ENOSPC, ALIKE(SENSE_SPACE_ALLOCATION_FAILED) },
		{ EDQUOT, ALIKE(SENSE_SPACE_ALLOCATION_FAILED) },
		{ EINVAL, ALIKE(SENSE_INTERNAL_TARGET_FAILURE) },
		{ ERANGE, ALIKE(SENSE_LBA_OUT_OF_RANGE) },
		{ ENOTCONN, ALIKE(SENSE_INTERNAL_TARGET_FAILURE) },
		{ ESHUTDOWN, ALIKE(SENSE_BECOMING_READY) },
#undef ALIKE
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(errmap_sense(rows[i].err, ERRMAP_READ), rows[i].read);
		CU_ASSERT_EQUAL(errmap_sense(rows[i].err, ERRMAP_WRITE), rows[i].write);
		CU_ASSERT_EQUAL(errmap_sense(rows[i].err, ERRMAP_FLUSH), rows[i].other);
		CU_ASSERT_EQUAL(errmap_sense(rows[i].err, ERRMAP_OTHER), rows[i].other);
		CU_ASSERT_EQUAL(errmap_status(rows[i].err), STATUS_CHECK_CONDITION);
	}
	CU_ASSERT_EQUAL(errmap_status(ENOMEM), STATUS_TASK_SET_FULL);
}

/* Linux gives a feature up for good on 20/00 and 24/00, whatever the reason was. */
static void no_errno_ever_becomes_an_illegal_request_about_a_field(void)
{
	for (int err = 1; err < 200; err++)
		for (int kind = ERRMAP_READ; kind <= ERRMAP_OTHER; kind++) {
			uint32_t reason = errmap_sense(err, (enum errmap_kind)kind);

			CU_ASSERT(reason != SENSE_INVALID_FIELD_IN_CDB &&
				  reason != SENSE_INVALID_OPCODE);
			CU_ASSERT(SENSE_KEY(reason) != SENSE_KEY_NO_SENSE);
			CU_ASSERT_PTR_NOT_NULL(sense_reason_text(reason));
		}
}

static void nbd_knows_eight_errors(void)
{
	static const struct { int err; uint32_t nbd; } rows[] = {
		{ EPERM, 1 }, { EIO, 5 }, { ENOMEM, 12 }, { EINVAL, 22 }, { ENOSPC, 28 },
		{ EOVERFLOW, 75 }, { ENOTSUP, 95 }, { ESHUTDOWN, 108 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(errmap_nbd(rows[i].err), rows[i].nbd);
		CU_ASSERT_EQUAL(errmap_from_nbd(rows[i].nbd), rows[i].err);
	}
	CU_ASSERT_EQUAL(errmap_nbd(0), 0);
	CU_ASSERT_EQUAL(errmap_from_nbd(0), 0);
}

static void other_errnos_become_the_nearest_nbd_error(void)
{
	CU_ASSERT_EQUAL(errmap_nbd(EROFS), NBD_EPERM);
	CU_ASSERT_EQUAL(errmap_nbd(EACCES), NBD_EPERM);
	CU_ASSERT_EQUAL(errmap_nbd(EDQUOT), NBD_ENOSPC);
	CU_ASSERT_EQUAL(errmap_nbd(EFBIG), NBD_ENOSPC);
	CU_ASSERT_EQUAL(errmap_nbd(ERANGE), NBD_EINVAL);
	/* Never ESHUTDOWN for a path that may come back: the client would leave. */
	CU_ASSERT_EQUAL(errmap_nbd(ENOTCONN), NBD_EIO);
	CU_ASSERT_EQUAL(errmap_nbd(ETIMEDOUT), NBD_EIO);
	CU_ASSERT_EQUAL(errmap_from_nbd(2), EINVAL);
	CU_ASSERT_EQUAL(errmap_from_nbd(UINT32_MAX), EINVAL);
}

static void a_status_without_sense_is_judged(void)
{
	static const struct { uint8_t status; enum errmap_action action; int err; } rows[] = {
		{ STATUS_GOOD, ERRMAP_OK, 0 }, { STATUS_CONDITION_MET, ERRMAP_OK, 0 },
		{ STATUS_CHECK_CONDITION, ERRMAP_FAIL, EIO },
		{ STATUS_RESERVATION_CONFLICT, ERRMAP_FAIL, EPERM },
		{ STATUS_BUSY, ERRMAP_BACK_OFF, EIO },
		{ STATUS_TASK_SET_FULL, ERRMAP_BACK_OFF, EIO },
		{ STATUS_TASK_ABORTED, ERRMAP_BACK_OFF, EIO },
		{ STATUS_ACA_ACTIVE, ERRMAP_BACK_OFF, EIO },
		{ 0x7f, ERRMAP_FAIL, EIO }, { 0xff, ERRMAP_FAIL, EIO },
	};
	int err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(errmap_scsi(rows[i].status, NULL, ERRMAP_WRITE, &err),
				rows[i].action);
		CU_ASSERT_EQUAL(err, rows[i].err);
	}
}

static void sense_data_says_what_to_do(void)
{
	static const struct {
		uint32_t reason;
		enum errmap_action action;
		int read, write;	/* the errno, by kind */
	} rows[] = {
		{ SENSE_REASON(SENSE_KEY_RECOVERED_ERROR, 0x17, 1), ERRMAP_OK, 0, 0 },
		{ SENSE_NONE, ERRMAP_FAIL, EIO, EIO },
		{ SENSE_BECOMING_READY, ERRMAP_RETRY, EIO, EIO },
		{ SENSE_ALUA_TRANSITION, ERRMAP_RETRY, EIO, EIO },
		{ SENSE_ALUA_STANDBY, ERRMAP_PATH, EIO, EIO },
		{ SENSE_ALUA_UNAVAILABLE, ERRMAP_PATH, EIO, EIO },
		{ SENSE_INIT_REQUIRED, ERRMAP_FAIL, EIO, EIO },
		{ SENSE_MEDIUM_NOT_PRESENT, ERRMAP_FAIL, EIO, EIO },
		{ SENSE_READ_ERROR, ERRMAP_FAIL, EIO, EIO },
		{ SENSE_WRITE_ERROR, ERRMAP_FAIL, EIO, EIO },
		{ SENSE_INTERNAL_TARGET_FAILURE, ERRMAP_FAIL, EIO, EIO },
		{ SENSE_INVALID_OPCODE, ERRMAP_UNSUPPORTED, EIO, EIO },
		{ SENSE_INVALID_FIELD_IN_CDB, ERRMAP_UNSUPPORTED, EIO, EIO },
		{ SENSE_INVALID_FIELD_IN_PARAMETERS, ERRMAP_UNSUPPORTED, EIO, EIO },
		{ SENSE_PARAMETER_LIST_LENGTH, ERRMAP_UNSUPPORTED, EIO, EIO },
		{ SENSE_LBA_OUT_OF_RANGE, ERRMAP_FAIL, EINVAL, ENOSPC },
		{ SENSE_LUN_NOT_SUPPORTED, ERRMAP_FAIL, EIO, EIO },
		{ SENSE_POWER_ON, ERRMAP_RETRY, EIO, EIO },
		{ SENSE_CAPACITY_CHANGED, ERRMAP_RETRY, EIO, EIO },
		{ SENSE_WRITE_PROTECTED, ERRMAP_FAIL, EPERM, EPERM },
		{ SENSE_REASON(SENSE_KEY_DATA_PROTECT, 0x27, 2), ERRMAP_FAIL, EPERM, EPERM },
		{ SENSE_SPACE_ALLOCATION_FAILED, ERRMAP_FAIL, ENOSPC, ENOSPC },
		{ SENSE_ABORTED, ERRMAP_RETRY, EIO, EIO },
		{ SENSE_CRC_ERROR, ERRMAP_RETRY, EIO, EIO },
		{ SENSE_REASON(SENSE_KEY_ABORTED_COMMAND, 0x10, 1), ERRMAP_FAIL, EIO, EIO },
		{ SENSE_MISCOMPARE_VERIFY, ERRMAP_FAIL, EILSEQ, EILSEQ },
		{ SENSE_REASON(SENSE_KEY_VENDOR_SPECIFIC, 0x80, 0x80), ERRMAP_FAIL, EIO, EIO },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sense sense = { .reason = rows[i].reason };
		int err = -1;

		CU_ASSERT_EQUAL(errmap_scsi(STATUS_CHECK_CONDITION, &sense, ERRMAP_READ, &err),
				rows[i].action);
		CU_ASSERT_EQUAL(err, rows[i].read);
		CU_ASSERT_EQUAL(errmap_scsi(STATUS_CHECK_CONDITION, &sense, ERRMAP_WRITE, &err),
				rows[i].action);
		CU_ASSERT_EQUAL(err, rows[i].write);
	}
}

static void a_deferred_error_fails_what_asks_for_persistence(void)
{
	struct sense sense = { .reason = SENSE_WRITE_ERROR, .deferred = true };
	int err;

	CU_ASSERT_EQUAL(errmap_scsi(STATUS_CHECK_CONDITION, &sense, ERRMAP_FLUSH, &err),
			ERRMAP_FAIL);
	CU_ASSERT_EQUAL(err, EIO);
	CU_ASSERT_EQUAL(errmap_scsi(STATUS_CHECK_CONDITION, &sense, ERRMAP_WRITE, &err),
			ERRMAP_FAIL);
	CU_ASSERT_EQUAL(errmap_scsi(STATUS_CHECK_CONDITION, &sense, ERRMAP_READ, &err),
			ERRMAP_RETRY);
	CU_ASSERT_EQUAL(err, EIO);
}

/* What leaves on one side as an errno, through sense data, arrives as the same on the other. */
static void a_failure_means_the_same_after_a_trip_through_both_adaptors(void)
{
	static const int errnos[] = { EIO, EPERM, ENOSPC };

	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
		for (int kind = ERRMAP_READ; kind <= ERRMAP_OTHER; kind++) {
			struct sense sense = { .reason = errmap_sense(errnos[i],
								      (enum errmap_kind)kind) };
			int err;

			CU_ASSERT_EQUAL(errmap_scsi(STATUS_CHECK_CONDITION, &sense,
						    (enum errmap_kind)kind, &err),
					ERRMAP_FAIL);
			CU_ASSERT_EQUAL(err, errnos[i]);
		}
}

static const struct unit_test tests[] = {
	UNIT_TEST(an_errno_becomes_the_reason_that_a_host_should_see),
	UNIT_TEST(no_errno_ever_becomes_an_illegal_request_about_a_field),
	UNIT_TEST(nbd_knows_eight_errors),
	UNIT_TEST(other_errnos_become_the_nearest_nbd_error),
	UNIT_TEST(a_status_without_sense_is_judged),
	UNIT_TEST(sense_data_says_what_to_do),
	UNIT_TEST(a_deferred_error_fails_what_asks_for_persistence),
	UNIT_TEST(a_failure_means_the_same_after_a_trip_through_both_adaptors),
};

UNIT_MAIN("errmap", tests)
