"""Rules of task management."""
from iscsi_rules import *


def stuck_write(c):
    """A write that waits for its data: (tag, R2T)."""
    itt = c.ask(write_10(0, 8), write=8 * Unit.block_len)
    return itt, c.get(R2T, itt)


def on_request(**keys):
    return writing(InitialR2T="Yes", ImmediateData="No", **keys)


def unsupported(function):
    """What there is not is said to be so."""
    with Client().ready() as c:
        sent = c.pdu(TMF, F | function, lun=Settings.lun, itt=c.tag(), immediate=True,
                     fields={20: NO_TAG, **c.numbers(True)})
        c.send(sent)
        p = c.get()
        if p.op == REJECT:
            check(p.data[:48] == sent[:48], p)
        else:
            check(p.op == TMF_RESPONSE and p.response in (T_NOT_SUPPORTED, T_REJECTED), p)
        c.lives()


@test("MUST", "RFC 7143 11.6.1")
def ABORT_TASK_of_a_task_that_has_ended_says_that_there_is_none():
    with Client().ready() as c:
        ref = c.cmd_sn
        c.good(TUR)
        check(c.manage(ABORT_TASK, ref=c.itt, ref_cmd_sn=ref) == T_NO_TASK)


@test("MUST", "RFC 7143 11.6.1")
def ABORT_TASK_of_a_task_outside_of_the_window_says_that_there_is_none():
    with Client().ready() as c:
        check(c.manage(ABORT_TASK, ref=0x7ffffff0, ref_cmd_sn=c.max_cmd_sn + 5 & 0xffffffff)
              == T_NO_TASK)


@test("MUST", "RFC 7143 11.6.1")
def ABORT_TASK_of_a_task_that_has_not_come_yet_takes_its_CmdSN_as_come():
    with Client().ready() as c:
        n = c.cmd_sn
        c.cmd_sn = n + 1 & 0xffffffff
        check(c.manage(ABORT_TASK, ref=0x7ffffff0, ref_cmd_sn=n) == T_COMPLETE)
        c.ready()       # with n + 1
        c.ask(TUR, itt=0x7ffffff0, cmd_sn=n)
        check(c.silent(), "the task came to life after its end")


@test("MUST", "RFC 7143 11.5.1")
def ABORT_TASK_of_a_task_that_waits_for_its_turn_ends_it():
    with Client().ready() as c:
        n = c.cmd_sn
        itt = c.ask(TUR, cmd_sn=n + 1 & 0xffffffff)
        c.cmd_sn = n + 2 & 0xffffffff
        check(c.manage(ABORT_TASK, ref=itt, ref_cmd_sn=n + 1 & 0xffffffff) == T_COMPLETE)
        first = c.ask(TUR, cmd_sn=n)
        c.get(SCSI_RESPONSE, first)
        check(c.silent(), "an answer of a task that was ended")
        c.ready()


@test("MUST", "RFC 7143 11.5.1")
def ABORT_TASK_of_a_write_that_waits_for_its_data_ends_it():
    with on_request() as c:
        ref = c.cmd_sn
        itt, _ = stuck_write(c)
        check(c.manage(ABORT_TASK, ref=itt, ref_cmd_sn=ref) == T_COMPLETE)
        check(c.silent(), "an answer of a task that was ended")
        c.ready()


@test("MUST", "RFC 7143 4.2.3.3")
def data_of_a_task_that_was_ended_is_thrown_away():
    with on_request() as c:
        data = fill(c, 0, 8, 5)
        ref = c.cmd_sn
        itt, r2t = stuck_write(c)
        check(c.manage(ABORT_TASK, ref=itt, ref_cmd_sn=ref) == T_COMPLETE)
        c.answer_r2t(r2t, noise(8 * Unit.block_len, 6))
        check(c.silent(), "an answer of a task that was ended")
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.5.1")
def ABORT_TASK_of_a_task_on_another_unit_does_not_end_it():
    with on_request() as c:
        ref = c.cmd_sn
        itt, r2t = stuck_write(c)
        check(c.manage(ABORT_TASK, lun=200, ref=itt, ref_cmd_sn=ref) in (T_NO_TASK, T_NO_LUN))
        c.answer_r2t(r2t, noise(8 * Unit.block_len))
        check(c.get(SCSI_RESPONSE, itt).header[3] == GOOD)


@test("MUST", "RFC 7143 11.5.1")
def ABORT_TASK_SET_ends_all_of_this_nexus():
    with on_request() as c, on_request() as other:
        for _ in range(3):
            stuck_write(c)
        theirs, r2t = stuck_write(other)
        check(c.manage(ABORT_TASK_SET) == T_COMPLETE)
        check(c.silent(), "an answer of a task that was ended")
        other.answer_r2t(r2t, noise(8 * Unit.block_len))
        check(other.get(SCSI_RESPONSE, theirs).header[3] == GOOD, "another's task was ended")
        c.ready()


@test("MUST", "RFC 7143 11.5.1")
def CLEAR_TASK_SET_is_there():
    with on_request() as c:
        stuck_write(c)
        check(c.manage(CLEAR_TASK_SET) == T_COMPLETE)
        check(c.silent(), "an answer of a task that was ended")
        c.ready()


@test("MUST", "RFC 7143 11.5.1, SAM-5 7.5, 7.7")
def the_writes_of_others_end_too_while_they_wait_for_their_data():
    for function in CLEAR_TASK_SET, LU_RESET:
        with on_request() as c, on_request() as other:
            data = fill(c, 0, 8, 80)
            itt, r2t = stuck_write(other)
            check(c.manage(function) in (T_COMPLETE, T_NOT_SUPPORTED))
            other.ready()
            other.answer_r2t(r2t, noise(8 * Unit.block_len, 81))
            for p in other.heard():
                check(p.op == SCSI_RESPONSE and p.itt == itt, p)
                check(p.header[3] not in (GOOD, CHECK_CONDITION), "status", p.header[3])
            c.ready()
            holds(c, 0, data)
            other.ready()


@test("MUST", "RFC 7143 11.5.1")
def LOGICAL_UNIT_RESET_ends_all_tasks_of_the_unit():
    with on_request() as c:
        stuck_write(c)
        check(c.manage(LU_RESET) == T_COMPLETE)
        check(c.silent(), "an answer of a task that was ended")
        c.ready()


@test("MUST", "SAM-5 5.14, 6.3.3")
def LOGICAL_UNIT_RESET_is_told_to_the_other_nexuses():
    with session() as c, session() as other:
        check(c.manage(LU_RESET) == T_COMPLETE)
        result = other.scsi(TUR)
        check(result.status == CHECK_CONDITION and result.key in POWER_ON + (0x62903,), result)
        other.ready()


@test("MUST", "RFC 7143 11.5.1")
def a_reset_of_a_unit_that_is_not_there_says_so():
    with Client().ready() as c:
        for function in (ABORT_TASK_SET, CLEAR_TASK_SET, LU_RESET):
            check(c.manage(function, lun=200) == T_NO_LUN, "function", function)
        c.lives()


@test("MUST", "RFC 7143 11.5.1")
def TARGET_WARM_RESET_is_answered():
    with session() as c:
        check(c.manage(WARM_RESET, lun=0) in (T_COMPLETE, T_NOT_SUPPORTED, T_AUTH, T_REJECTED))
        c.ready()


@test("MUST", "RFC 7143 11.5.1")
def TARGET_COLD_RESET_closes_the_connections():
    with session() as c:
        c.tmf(COLD_RESET, lun=0)
        try:
            p = c.get(TMF_RESPONSE)
            offered(p.response == T_COMPLETE, "TARGET COLD RESET")
        except Closed:
            return
        check(c.is_dropped(), "the connection stays open")
    session().__exit__()


@test("OURS", "RFC 7143 11.5.1, 11.9.1")
def TARGET_COLD_RESET_is_announced_to_the_other_initiators():
    with session() as c, session() as other:
        c.tmf(COLD_RESET, lun=0)
        try:
            offered(c.get(TMF_RESPONSE).response == T_COMPLETE, "TARGET COLD RESET")
        except Closed:
            pass
        check(other.is_dropped(), "the connection stays open")


@test("MUST", "RFC 7143 11.6.1")
def TASK_REASSIGN_at_error_recovery_level_0_is_not_supported():
    with Client().ready() as c:
        check(c.manage(REASSIGN, ref=c.itt) in (T_NO_TASK, T_NO_REASSIGN, T_NOT_SUPPORTED,
                                               T_REJECTED))
        c.lives()


@test("MUST", "RFC 7143 11.6.1")
def CLEAR_ACA_is_not_supported_where_NORMACA_is_0():
    with Client().ready() as c:
        normaca = c.good(inquiry(36), read=36).data[3] & 0x20
        response = c.manage(CLEAR_ACA)
        check(normaca or response in (T_NOT_SUPPORTED, T_REJECTED), "response", response)


@test("MUST", "RFC 7143 11.6.1")
def function_0_is_not_supported():
    unsupported(0)


@test("MUST", "RFC 7143 11.6.1")
def function_127_is_not_supported():
    unsupported(127)


@test("MUST", "RFC 7144 4.1")
def functions_of_protocol_level_2_are_not_supported_at_level_1():
    for function in (9, 10, 11, 12):
        unsupported(function)


@test("MUST", "RFC 7143 4.2.2.1")
def a_numbered_function_waits_for_the_commands_before_it():
    with Client().ready() as c:
        n = c.cmd_sn
        c.cmd_sn = n + 1 & 0xffffffff
        c.tmf(ABORT_TASK_SET, immediate=False)
        check(c.silent(), "an answer before the turn")
        c.ask(TUR, cmd_sn=n)
        seen = {c.get().op}
        if seen != {TMF_RESPONSE}:
            seen.add(c.get().op)
        check(TMF_RESPONSE in seen, seen)


@test("OURS", "RFC 7143 11.5")
def functions_as_fast_as_they_can_be_sent_are_all_answered():
    with Client().ready() as c:
        tags = {c.tmf((ABORT_TASK, ABORT_TASK_SET, LU_RESET)[i % 3]) for i in range(200)}
        for _ in range(len(tags)):
            tags.remove(c.get(TMF_RESPONSE).itt)
        c.ready()
