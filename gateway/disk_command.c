/*
 * Which command is whose, and what every command passes before its handler sees it: unit
 * attention, validity, reservations, sanitize operations, medium, write protection.
 *
 * Called by disk_task_set.c with commands that may start.
 */
#include "disk_private.h"

/* What a command needs, and what stands in its way. */
enum {
	IGNORES_ATTENTION = 1 << 0,	/* SAM-5 §5.14: answered in spite of one */
	ON_MEDIUM = 1 << 1,		/* a unit of no blocks is not ready for it */
	WRITES = 1 << 2,		/* refused where writing is */
	READINESS = 1 << 3,		/* asks whether the unit is there; others wait for it */
	LOOKS = 1 << 4,			/* a device that does not tell when it grows is asked */
	AFTER_FAILURE = 1 << 5,		/* allowed when a sanitize operation has failed */
};

struct command {
	disk_handler *run;
	enum reach access;		/* ... that a reservation may deny */
	unsigned flags;
};

/*
 * By enum cdb_id. The access is that of SPC-4 §5.12.1 and SBC-3 §4.17; commands that make
 * reservations judge for themselves. A row of the CDB table that has none here needs a
 * capability that this unit does not have; only REPORT LUNS is answered by the target that
 * knows them all.
 */
static const struct command commands[CDB_COUNT] = {
	[CDB_TEST_UNIT_READY] = { disk_test_unit_ready, ACCESS_READY, ON_MEDIUM | READINESS | LOOKS },
	[CDB_REQUEST_SENSE] = { disk_request_sense, ACCESS_ALWAYS, IGNORES_ATTENTION },
	[CDB_INQUIRY] = { disk_inquiry, ACCESS_ALWAYS, IGNORES_ATTENTION },
	[CDB_MODE_SELECT_6] = { disk_mode_select, ACCESS_WRITE, 0 },
	[CDB_MODE_SELECT_10] = { disk_mode_select, ACCESS_WRITE, 0 },
	[CDB_MODE_SENSE_6] = { disk_mode_sense, ACCESS_READ, 0 },
	[CDB_MODE_SENSE_10] = { disk_mode_sense, ACCESS_READ, 0 },
	[CDB_START_STOP_UNIT] = { disk_start_stop_unit, ACCESS_WRITE, READINESS },
	[CDB_SEND_DIAGNOSTIC] = { disk_send_diagnostic, ACCESS_WRITE, READINESS },
	[CDB_PREVENT_ALLOW] = { disk_prevent_allow, ACCESS_WRITE, 0 },
	[CDB_READ_CAPACITY_10] = { disk_read_capacity_10, ACCESS_ALWAYS, ON_MEDIUM | LOOKS },
	[CDB_READ_CAPACITY_16] = { disk_read_capacity_16, ACCESS_ALWAYS, ON_MEDIUM | LOOKS },
	[CDB_READ_6] = { disk_read, ACCESS_READ, ON_MEDIUM },
	[CDB_READ_10] = { disk_read, ACCESS_READ, ON_MEDIUM },
	[CDB_READ_12] = { disk_read, ACCESS_READ, ON_MEDIUM },
	[CDB_READ_16] = { disk_read, ACCESS_READ, ON_MEDIUM },
	[CDB_WRITE_6] = { disk_write, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_WRITE_10] = { disk_write, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_WRITE_12] = { disk_write, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_WRITE_16] = { disk_write, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_WRITE_AND_VERIFY_10] = { disk_write_and_verify, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_WRITE_AND_VERIFY_12] = { disk_write_and_verify, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_WRITE_AND_VERIFY_16] = { disk_write_and_verify, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_VERIFY_10] = { disk_verify, ACCESS_READ, ON_MEDIUM },
	[CDB_VERIFY_12] = { disk_verify, ACCESS_READ, ON_MEDIUM },
	[CDB_VERIFY_16] = { disk_verify, ACCESS_READ, ON_MEDIUM },
	[CDB_PRE_FETCH_10] = { disk_pre_fetch, ACCESS_READ, ON_MEDIUM },
	[CDB_PRE_FETCH_16] = { disk_pre_fetch, ACCESS_READ, ON_MEDIUM },
	[CDB_SYNCHRONIZE_CACHE_10] = { disk_synchronize_cache, ACCESS_WRITE, ON_MEDIUM },
	[CDB_SYNCHRONIZE_CACHE_16] = { disk_synchronize_cache, ACCESS_WRITE, ON_MEDIUM },
	[CDB_READ_DEFECT_DATA_10] = { disk_read_defect_data, ACCESS_READ, ON_MEDIUM },
	[CDB_READ_DEFECT_DATA_12] = { disk_read_defect_data, ACCESS_READ, ON_MEDIUM },
	[CDB_WRITE_SAME_10] = { disk_write_same, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_WRITE_SAME_16] = { disk_write_same, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_WRITE_ATOMIC_16] = { disk_write_atomic, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_UNMAP] = { disk_unmap, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_SANITIZE_OVERWRITE] = {
		disk_sanitize, ACCESS_WRITE, ON_MEDIUM | WRITES | AFTER_FAILURE },
	[CDB_SANITIZE_BLOCK_ERASE] = {
		disk_sanitize, ACCESS_WRITE, ON_MEDIUM | WRITES | AFTER_FAILURE },
	[CDB_SANITIZE_CRYPTO_ERASE] = {
		disk_sanitize, ACCESS_WRITE, ON_MEDIUM | WRITES | AFTER_FAILURE },
	[CDB_SANITIZE_EXIT_FAILURE_MODE] = {
		disk_sanitize_exit, ACCESS_WRITE, WRITES | AFTER_FAILURE },
	[CDB_COMPARE_AND_WRITE] = { disk_compare_and_write, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_ORWRITE_16] = { disk_orwrite, ACCESS_WRITE, ON_MEDIUM | WRITES },
	[CDB_GET_LBA_STATUS] = { disk_get_lba_status, ACCESS_READ, ON_MEDIUM },
	[CDB_RESERVE_6] = { disk_reserve, ACCESS_ALWAYS, 0 },
	[CDB_RESERVE_10] = { disk_reserve, ACCESS_ALWAYS, 0 },
	[CDB_RELEASE_6] = { disk_reserve, ACCESS_ALWAYS, 0 },
	[CDB_RELEASE_10] = { disk_reserve, ACCESS_ALWAYS, 0 },
	[CDB_PR_IN_READ_KEYS] = { disk_pr_in_read_keys, ACCESS_ALWAYS, 0 },
	[CDB_PR_IN_READ_RESERVATION] = { disk_pr_in_read_reservation, ACCESS_ALWAYS, 0 },
	[CDB_PR_IN_REPORT_CAPABILITIES] = { disk_pr_in_report_capabilities, ACCESS_ALWAYS, 0 },
	[CDB_PR_IN_READ_FULL_STATUS] = { disk_pr_in_read_full_status, ACCESS_ALWAYS, 0 },
	[CDB_PR_OUT_REGISTER] = { disk_pr_out, ACCESS_ALWAYS, 0 },
	[CDB_PR_OUT_RESERVE] = { disk_pr_out, ACCESS_ALWAYS, 0 },
	[CDB_PR_OUT_RELEASE] = { disk_pr_out, ACCESS_ALWAYS, 0 },
	[CDB_PR_OUT_CLEAR] = { disk_pr_out, ACCESS_ALWAYS, 0 },
	[CDB_PR_OUT_PREEMPT] = { disk_pr_out, ACCESS_ALWAYS, 0 },
	[CDB_PR_OUT_PREEMPT_AND_ABORT] = { disk_pr_out, ACCESS_ALWAYS, 0 },
	[CDB_PR_OUT_REGISTER_AND_IGNORE] = { disk_pr_out, ACCESS_ALWAYS, 0 },
	[CDB_PR_OUT_REGISTER_AND_MOVE] = { disk_pr_out, ACCESS_ALWAYS, 0 },
	[CDB_EXTENDED_COPY_LID1] = { disk_extended_copy, ACCESS_WRITE, 0 },
	[CDB_RCR_COPY_STATUS_LID1] = { disk_copy_status, ACCESS_READ, 0 },
	[CDB_RCR_RECEIVE_DATA_LID1] = { disk_copy_data, ACCESS_READ, 0 },
	[CDB_RCR_OPERATING_PARAMETERS] = { disk_copy_parameters, ACCESS_READ, 0 },
	[CDB_RCR_FAILED_SEGMENT_DETAILS] = { disk_copy_failure, ACCESS_READ, 0 },
	[CDB_LOG_SENSE] = { disk_log_sense, ACCESS_ALWAYS, 0 },
	[CDB_REPORT_TARGET_PORT_GROUPS] = { disk_report_port_groups, ACCESS_ALWAYS, 0 },
	[CDB_REPORT_SUPPORTED_OPCODES] = { rsoc_report_opcodes, ACCESS_READ, 0 },
	[CDB_REPORT_SUPPORTED_TMFS] = { rsoc_report_tmfs, ACCESS_READ, 0 },
};

/* True when the nexus of the task is not ready for its command: the task is finished. */
static bool needs_attention(struct disk_lu *disk, struct scsi_task *task)
{
	struct nexus_state *nexus;
	uint32_t reason;

	if (!task->nexus)
		return false;
	nexus = lu_instance_find(&disk->instance, task->nexus);
	if (!nexus) {
		/* There was no memory to attach it, and there is no telling what it has missed. */
		task->status = STATUS_BUSY;
		disk_finish(disk, task);
		return true;
	}
	reason = nexus_take_attention(nexus);
	if (reason == SENSE_NONE)
		return false;
	disk_refuse(disk, task, reason);
	return true;
}

/* True when the CDB is none of ours, or wrong: the task is finished. */
static bool is_invalid(struct disk_lu *disk, struct scsi_task *task)
{
	switch (task->verdict) {
	case CDB_OK:
		if (commands[task->cdb.id].run)
			return false;
		break;
	case CDB_BAD_FIELD:
		disk_refuse_cdb(disk, task, task->bad.byte, task->bad.bit);
		return true;
	case CDB_BAD_OPCODE:
		break;
	}
	disk_refuse(disk, task, SENSE_INVALID_OPCODE);
	return true;
}

/* As the row says, but to allow removal and to start are harmless. */
static enum reach access_needed(const struct scsi_task *task)
{
	const struct cdb *cdb = &task->cdb;

	if ((cdb->id == CDB_PREVENT_ALLOW && !cdb->prevent) ||
	    (cdb->id == CDB_START_STOP_UNIT && cdb->start && !cdb->power_condition))
		return ACCESS_ALWAYS;
	return commands[cdb->id].access;
}

/* True when the device is not there: the task is finished. What needs the device itself waits
 * there instead, and needs no asking. */
static bool is_not_ready(struct disk_lu *disk, struct scsi_task *task)
{
	switch (blk_presence(disk->dev)) {
	case BLK_PRESENT:
		return false;
	case BLK_AWAY:
		disk_refuse(disk, task, SENSE_BECOMING_READY);
		break;
	case BLK_GONE:
		disk_refuse(disk, task, SENSE_INTERNAL_TARGET_FAILURE);
		break;
	}
	return true;
}

/* Who may only read wants to say what those may who write? Where nobody writes, all are equal. */
static bool is_presumptuous(const struct disk_lu *disk, const struct scsi_task *task)
{
	return cdb_rules(&task->cdb) && !disk->dev->info.read_only;
}

void disk_start(struct disk_lu *disk, struct scsi_task *task)
{
	const struct command *command = &commands[task->cdb.id];
	uint32_t arrived = disk_arrived(task);

	disk_look(disk, command->flags & LOOKS);
	if (!(command->flags & IGNORES_ATTENTION) && needs_attention(disk, task))
		return;
	if (is_invalid(disk, task))
		return;
	if (disk_conflicts(disk, task, access_needed(task))) {
		disk_conflict(disk, task);
		return;
	}
	/* SBC-4 §4.11.2: INQUIRY and REQUEST SENSE are answered all the same. */
	if (!(command->flags & IGNORES_ATTENTION) &&
	    disk_sanitize_refuses(disk, task, command->flags & AFTER_FAILURE))
		return;
	if ((command->flags & READINESS) && is_not_ready(disk, task))
		return;
	task->wanted = cdb_transfer_len(&task->cdb, disk->lu.block_len);
	task->moved = task->wanted < arrived ? (uint32_t)task->wanted : arrived;
	if ((command->flags & ON_MEDIUM) && !disk_blocks(disk))
		disk_refuse(disk, task, SENSE_MEDIUM_NOT_PRESENT);
	else if ((command->flags & WRITES) && disk_write_protected(disk))
		disk_refuse(disk, task, SENSE_WRITE_PROTECTED);
	else if (task->read_only && ((command->flags & WRITES) || is_presumptuous(disk, task)))
		disk_refuse(disk, task, SENSE_WRITE_PROTECTED);
	else
		command->run(disk, task);
}
