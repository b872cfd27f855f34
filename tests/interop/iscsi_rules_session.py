"""Rules of full feature phase: numbers and windows, pings, text, discovery, logout, Reject."""
from iscsi_rules import *


def answers(c, sent, *kinds):
    """One of these kinds comes, or the connection ends; what came."""
    c.send(sent)
    try:
        p = c.get()
    except Closed:
        return None
    check(p.op in kinds, p)
    return p


# CmdSN -------------------------------------------------------------------------------------------

@test("MUST", "RFC 7143 4.2.2.1")
def a_numbered_request_moves_ExpCmdSN_by_one():
    with Client() as c:
        first = c.exp_cmd_sn
        c.get(NOP_IN, c.ping(immediate=False))
        check(c.exp_cmd_sn == first + 1 & 0xffffffff, "ExpCmdSN", c.exp_cmd_sn, "after", first)


@test("MUST", "RFC 7143 4.2.2.1")
def an_immediate_request_does_not_move_ExpCmdSN():
    with Client() as c:
        first = c.exp_cmd_sn
        c.get(NOP_IN, c.ping(immediate=True))
        check(c.exp_cmd_sn == first)


@test("MUST", "RFC 7143 4.2.2.1")
def a_CmdSN_before_the_window_is_silently_ignored():
    with Client().ready() as c:
        c.ask(TUR, cmd_sn=c.cmd_sn - 1 & 0xffffffff)
        check(c.silent())
        c.lives()


@test("MUST", "RFC 7143 4.2.2.1")
def a_CmdSN_behind_the_window_is_silently_ignored():
    with Client().ready() as c:
        c.ask(TUR, cmd_sn=c.max_cmd_sn + 1 & 0xffffffff)
        check(c.silent())
        c.lives()


@test("MUST", "RFC 7143 4.2.2.1")
def a_write_outside_of_the_window_is_ignored_with_its_data():
    with writing() as c:
        c.ask(write_10(0, 1), write=Unit.block_len, data=noise(Unit.block_len),
              cmd_sn=c.max_cmd_sn + 9 & 0xffffffff)
        check(c.silent())
        c.lives()


@test("MUST", "RFC 7143 4.2.2.1")
def a_duplicate_CmdSN_within_the_window_is_ignored():
    with Client().ready() as c:
        n = c.cmd_sn
        second = c.ask(TUR, cmd_sn=n + 1)
        c.ask(TUR, cmd_sn=n + 1)
        first = c.ask(TUR, cmd_sn=n)
        check({c.get(SCSI_RESPONSE).itt for _ in range(2)} == {first, second})
        c.cmd_sn = n + 2
        check(c.silent())
        c.lives()


@test("MUST", "RFC 7143 4.2.2.1")
def a_command_ahead_of_its_turn_waits_for_those_before_it():
    with Client().ready() as c:
        n = c.cmd_sn
        ahead = [c.ask(TUR, cmd_sn=n + i & 0xffffffff) for i in (3, 1, 2)]
        check(c.silent(), "an answer before the turn")
        first = c.ask(TUR, cmd_sn=n)
        check({c.get(SCSI_RESPONSE).itt for _ in range(4)} == {first, *ahead})
        c.cmd_sn = n + 4 & 0xffffffff
        c.ready()


@test("MUST", "RFC 7143 4.2.2.1")
def writes_that_come_in_the_wrong_order_are_done_in_the_right_one():
    with streaming() as c:
        writable(c)
        n, old, new = c.cmd_sn, noise(Unit.block_len, 2), noise(Unit.block_len, 3)
        for sn, data in ((n + 1, new), (n, old)):
            c.ask(write_10(0, 1), write=len(data), data=data, cmd_sn=sn & 0xffffffff,
                  attribute=ORDERED)
        for _ in range(2):
            check(c.get(SCSI_RESPONSE).header[3] == GOOD)
        c.cmd_sn = n + 2 & 0xffffffff
        holds(c, 0, new)


@test("MUST", "RFC 7143 4.2.2.1")
def all_kinds_of_requests_wait_for_their_turn():
    with Client().ready() as c:
        n = c.cmd_sn
        c.cmd_sn = n + 1
        c.ping(immediate=False)
        c.send(c.text_pdu())
        c.tmf(ABORT_TASK, immediate=False, ref=0x7ffffff0, ref_cmd_sn=n)
        check(c.silent(), "an answer before the turn")
        c.ask(TUR, cmd_sn=n)
        check({c.get().op for _ in range(4)} == {SCSI_RESPONSE, NOP_IN, TEXT_RESPONSE,
                                                TMF_RESPONSE})
        c.lives()


@test("MUST", "RFC 7143 4.2.2.1")
def an_immediate_request_overtakes_those_that_wait():
    with Client().ready() as c:
        n = c.cmd_sn
        c.ask(TUR, cmd_sn=n + 1)
        c.get(NOP_IN, c.ping())
        c.ask(TUR, cmd_sn=n)
        c.get(SCSI_RESPONSE)
        c.get(SCSI_RESPONSE)


@test("MUST", "RFC 7143 4.2.2.1")
def an_immediate_command_is_executed_whatever_its_CmdSN():
    with Client().ready() as c:
        p = c.finish(c.ask(TUR, immediate=True, cmd_sn=c.cmd_sn + 1000 & 0xffffffff))
        check(p.status == GOOD, p)


@test("MUST", "RFC 7143 4.2.2.1")
def CmdSN_wraps_around():
    with Client(cmd_sn=0xfffffff0).ready() as c:
        for _ in range(40):
            c.good(TUR)
        check(c.exp_cmd_sn < 64, "ExpCmdSN %#x" % c.exp_cmd_sn)


@test("MUST", "RFC 7143 4.2.2.1")
def a_window_full_of_commands_is_executed():
    with Client().ready() as c:
        tags = set()
        while not before(c.max_cmd_sn, c.cmd_sn):
            tags.add(c.ask(TUR))
        check(tags)
        for _ in range(len(tags)):
            tags.remove(c.get(SCSI_RESPONSE).itt)


@test("MUST", "RFC 7143 4.2.2.1")
def the_window_opens_again_when_commands_end():
    with Client().ready() as c:
        for _ in range(300):
            check(not before(c.max_cmd_sn, c.cmd_sn), "the window stays closed")
            c.good(TUR)


# NOP-Out -----------------------------------------------------------------------------------------

@test("MUST", "RFC 7143 11.18")
def a_ping_is_echoed_with_its_data():
    with Client() as c:
        for n in (0, 1, 2, 3, 4, 5, 511, 4096):
            itt = c.ping(noise(n, n))
            p = c.get(NOP_IN, itt)
            check(p.data == noise(n, n) and p.ttt == NO_TAG, n, p)


@test("MUST", "RFC 7143 11.19.2")
def the_echo_does_not_exceed_what_we_take():
    with Client(keys={"MaxRecvDataSegmentLength": 512}) as c:
        itt = c.ping(noise(2000))
        check(c.get(NOP_IN, itt).data == noise(2000)[:512])


@test("MUST", "RFC 7143 11.18.1")
def a_ping_without_a_tag_is_not_answered():
    with Client() as c:
        c.ping(itt=NO_TAG)
        check(c.silent())
        c.lives()


@test("MUST", "RFC 7143 11.18.1")
def a_ping_without_a_tag_must_be_immediate():
    with Client() as c:
        sent = c.pdu(NOP_OUT, itt=NO_TAG, fields={20: NO_TAG, **c.numbers()})
        p = answers(c, sent, REJECT)
        check(p is None or p.response in (R_PROTOCOL, R_INVALID_FIELD), p)


@test("OURS", "RFC 7143 11.18.2")
def an_answer_to_a_ping_that_never_was_does_no_harm():
    with Client() as c:
        c.send(c.pdu(NOP_OUT, itt=NO_TAG, immediate=True, lun=0,
                     fields={20: 0x1234567, **c.numbers(True)}))
        try:
            p = c.get(REJECT) if not c.silent() else None
        except AssertionError:
            p = None
        check(p is None or p.response in (R_PROTOCOL, R_INVALID_FIELD))


# Text --------------------------------------------------------------------------------------------

@test("MUST", "RFC 7143 11.11")
def an_empty_text_request_is_answered():
    with Client() as c:
        p = c.text()
        check(p.final and not p.cont and p.ttt == NO_TAG and not p.data, p)


@test("MUST", "RFC 7143 6.4")
def an_unknown_key_in_text_is_NotUnderstood():
    with Client() as c:
        check(pairs_of(c.text({"X-test": "1"}).data) == [("X-test", "NotUnderstood")])


@test("MUST", "RFC 7143 13")
def a_key_of_login_only_cannot_be_negotiated_later():
    with Client() as c:
        c.send(c.text_pdu({"HeaderDigest": "CRC32C"}))
        p = c.get()
        check(p.op == REJECT or dict(pairs_of(p.data)).get("HeaderDigest") == "Reject", p)


@test("MUST", "RFC 7143 11.10.1")
def a_request_without_F_is_answered_without_F():
    with Client() as c:
        p = c.text(flags=0)
        check(not p.final and p.ttt != NO_TAG, p)
        p = c.text(ttt=p.ttt, itt=p.itt)
        check(p.final and p.ttt == NO_TAG, p)


@test("MUST", "RFC 7143 6.2")
def text_in_full_feature_phase_may_come_in_pieces():
    with Client() as c:
        p = c.text(b"X-te", flags=C)
        check(not p.final and not p.data and p.ttt != NO_TAG, p)
        p = c.text(b"st=1\0", ttt=p.ttt, itt=p.itt)
        check(pairs_of(p.data) == [("X-test", "NotUnderstood")] and p.final, p)


@test("MUST", "RFC 7143 11.10.2")
def F_and_C_together_are_rejected():
    with Client() as c:
        p = answers(c, c.text_pdu(b"X-test=1\0", flags=F | C), REJECT)
        check(p is None or p.response in (R_PROTOCOL, R_INVALID_FIELD), p)


@test("MUST", "RFC 7143 11.10.4")
def an_unknown_transfer_tag_in_text_is_rejected():
    with Client() as c:
        p = answers(c, c.text_pdu(ttt=0x12345), REJECT)
        check(p is None or p.response in (R_PROTOCOL, R_INVALID_FIELD), p)


@test("MUST", "RFC 7143 11.10.4")
def a_new_text_request_forgets_the_one_under_way():
    with Client() as c:
        old = c.text(b"X-lost=", flags=C)
        p = c.text({"X-test": "1"})
        check(pairs_of(p.data) == [("X-test", "NotUnderstood")], p.data)
        p = answers(c, c.text_pdu(ttt=old.ttt, itt=old.itt), REJECT)


@test("MUST", "RFC 7143 6.1")
def text_that_is_none_is_rejected():
    with Client() as c:
        answers(c, c.text_pdu(b"no equals sign\0"), REJECT)


@test("MUST", "RFC 7143 13.12")
def MaxRecvDataSegmentLength_can_be_told_anew():
    with session() as c:
        c.text({"MaxRecvDataSegmentLength": 1024})
        c.max_segment = 1024        # the client checks
        c.good(read_10(0, 16), read=16 * Unit.block_len)


@test("OURS", "RFC 7143 6.2")
def text_without_end_is_cut_off():
    with Client() as c:
        p = c.text(b"X-test=", flags=C)
        for _ in range(100):
            try:
                c.send(c.text_pdu(b"y" * 8000, flags=C, ttt=p.ttt, itt=p.itt))
                p = c.get()
            except Closed:
                return
            if p.op == REJECT:
                return
    raise AssertionError("800 kB of text are taken")


# Discovery ---------------------------------------------------------------------------------------

def targets(p):
    return [v for k, v in pairs_of(p.data) if k == "TargetName"]


@test("MUST", "RFC 7143 13.3, C")
def SendTargets_All_in_a_discovery_session_tells_of_the_target():
    with Client(discovery=True) as c:
        p = c.text({"SendTargets": "All"})
        check(Settings.target in targets(p), p.data)


@test("MUST", "RFC 7143 13.8")
def addresses_have_a_port_and_a_portal_group():
    with Client(discovery=True) as c:
        addresses = [v for k, v in pairs_of(c.text({"SendTargets": "All"}).data)
                     if k == "TargetAddress"]
        for a in addresses:
            address, comma, tag = a.partition(",")
            check(comma and tag.isdigit() and address.rsplit(":", 1)[1].isdigit(), a)
        ours = "%s:%d" % Settings.address
        check(not addresses or any(a.startswith(ours + ",") for a in addresses), addresses)


@test("MUST", "RFC 7143 C")
def SendTargets_by_name_tells_of_one_target():
    with Client(discovery=True) as c:
        check(targets(c.text({"SendTargets": Settings.target})) == [Settings.target])


@test("MUST", "RFC 7143 C")
def SendTargets_of_an_unknown_name_tells_nothing():
    with Client(discovery=True) as c:
        check(targets(c.text({"SendTargets": "iqn.2026-11.test:nobody"})) == [])


@test("MUST", "RFC 7143 C")
def SendTargets_without_a_name_tells_a_normal_session_of_its_own_target():
    with Client() as c:
        check(targets(c.text({"SendTargets": ""})) == [Settings.target])


@test("MUST", "RFC 7143 C")
def SendTargets_All_has_no_place_in_a_normal_session():
    with Client() as c:
        c.send(c.text_pdu({"SendTargets": "All"}))
        p = c.get()
        check(p.op == REJECT or pairs_of(p.data) == [("SendTargets", "Reject")], p, p.data)


@test("MUST", "RFC 7143 C")
def SendTargets_without_a_name_has_no_place_in_a_discovery_session():
    with Client(discovery=True) as c:
        c.send(c.text_pdu({"SendTargets": ""}))
        p = c.get()
        check(p.op == REJECT or pairs_of(p.data) == [("SendTargets", "Reject")], p, p.data)


@test("OURS", "RFC 7143 C")
def SendTargets_of_what_is_no_name_does_no_harm():
    with Client(discovery=True) as c:
        c.send(c.text_pdu({"SendTargets": "x" * 2000}))
        p = c.get()
        check(p.op == REJECT or not targets(p), p)


def not_in_discovery(sent):
    with Client(discovery=True) as c:
        p = answers(c, sent(c), REJECT)
        check(p is None or p.response in (R_PROTOCOL, R_NOT_SUPPORTED, R_INVALID_FIELD, R_SNACK), p)


@test("MUST", "RFC 7143 4.3")
def a_command_in_a_discovery_session_is_rejected():
    not_in_discovery(lambda c: c.command_pdu(TUR))


@test("MUST", "RFC 7143 4.3")
def a_read_in_a_discovery_session_is_rejected():
    not_in_discovery(lambda c: c.command_pdu(inquiry(36), read=36))


@test("MUST", "RFC 7143 4.3")
def task_management_in_a_discovery_session_is_rejected():
    not_in_discovery(lambda c: c.pdu(TMF, F | LU_RESET, lun=0, immediate=True,
                                     fields={20: NO_TAG, **c.numbers(True)}))


@test("MUST", "RFC 7143 4.3")
def a_ping_in_a_discovery_session_is_rejected():
    not_in_discovery(lambda c: c.pdu(NOP_OUT, immediate=True, fields={20: NO_TAG,
                                                                     **c.numbers(True)}))


@test("MUST", "RFC 7143 4.3")
def data_in_a_discovery_session_is_rejected():
    not_in_discovery(lambda c: c.pdu(DATA_OUT, F, lun=0, fields={20: NO_TAG, 28: c.stat_sn},
                                     data=bytes(512)))


# Logout ------------------------------------------------------------------------------------------

def logged_out(**how):
    with Client() as c:
        check(c.logout(**how).response == 0)
        check(c.is_closed(), "the connection stays open")


@test("MUST", "RFC 7143 11.14.1")
def logout_of_the_session_closes_it():
    logged_out(reason=0)


@test("MUST", "RFC 7143 11.14.1")
def logout_of_the_connection_closes_it():
    logged_out(reason=1)


@test("MUST", "RFC 7143 11.14")
def a_numbered_logout_closes_the_session():
    logged_out(immediate=False)


@test("MUST", "RFC 7143 11.15.1")
def logout_of_an_unknown_connection_says_so():
    with Client() as c:
        check(c.logout(reason=1, cid=77).response == 1)
        c.lives()


@test("MUST", "RFC 7143 11.15.1")
def logout_for_recovery_is_not_supported_at_level_0():
    with Client() as c:
        check(c.logout(reason=2).response in (1, 2))
        c.lives()


@test("MUST", "RFC 7143 11.14.1")
def logout_for_an_unknown_reason_is_rejected():
    with Client() as c:
        sent = c.pdu(LOGOUT, F | 99, immediate=True, fields={20: 0, **c.numbers(True)})
        p = answers(c, sent, REJECT)
        check(p is None or p.response in (R_PROTOCOL, R_INVALID_FIELD, R_NOT_SUPPORTED), p)


@test("MUST", "RFC 7143 11.14")
def logout_comes_after_the_commands_before_it():
    with Client().ready() as c:
        itt = c.ask(TUR)
        c.send(c.pdu(LOGOUT, F, itt=c.tag(), fields=c.numbers()))
        seen = [c.get()]
        while seen[-1].op != LOGOUT_RESPONSE:
            seen.append(c.get())
        check(len(seen) == 1 or seen[0].itt == itt, seen)
        check(c.is_closed())


@test("MUST", "RFC 7143 11.14")
def logout_ends_a_write_that_waits_for_its_data():
    with writing(InitialR2T="Yes", ImmediateData="No") as c:
        c.ask(write_10(0, 8), write=8 * Unit.block_len)
        c.get(R2T)
        check(c.logout().response == 0 and c.is_closed())


@test("MUST", "RFC 7143 11.14")
def nothing_is_executed_behind_a_logout():
    with writing() as c:
        data = fill(c, 7, 1, 4)
        c.send(c.pdu(LOGOUT, F, itt=c.tag(), immediate=True, fields=c.numbers(True))
               + c.command_pdu(write_10(7, 1), write=Unit.block_len, data=noise(Unit.block_len, 9)))
        check(c.get(LOGOUT_RESPONSE).response == 0)
        check(c.is_closed())
    with session() as c:
        holds(c, 7, data)


@test("MUST", "RFC 7143 11.14")
def logout_in_a_discovery_session():
    with Client(discovery=True) as c:
        check(c.logout().response == 0 and c.is_closed())


@test("MUST", "RFC 7143 4.3")
def only_the_session_is_closed_in_a_discovery_session():
    for reason in (1, 2):
        not_in_discovery(lambda c: c.pdu(LOGOUT, F | reason, immediate=True,
                                         fields={20: c.cid << 16, **c.numbers(True)}))


# Reject ------------------------------------------------------------------------------------------

@test("MUST", "RFC 7143 11.17")
def unknown_opcodes_are_rejected():
    with Client() as c:
        for op in (*range(7, 16), *range(0x11, 0x20)):
            c.rejected(c.pdu(op, itt=c.tag(), fields={24: c.cmd_sn, 28: c.stat_sn}),
                       R_NOT_SUPPORTED, R_PROTOCOL)


@test("MUST", "RFC 7143 11.17")
def an_unknown_opcode_is_rejected_with_its_data():
    with Client() as c:
        c.rejected(c.pdu(0x1d, itt=c.tag(), fields={24: c.cmd_sn, 28: c.stat_sn},
                         data=noise(3000)), R_NOT_SUPPORTED, R_PROTOCOL)


@test("MUST", "RFC 7143 11.17")
def opcodes_of_targets_are_rejected():
    with Client() as c:
        for op in (NOP_IN, SCSI_RESPONSE, DATA_IN, R2T, ASYNC, REJECT):
            c.rejected(c.pdu(op, itt=c.tag(), fields={24: c.cmd_sn, 28: c.stat_sn}),
                       R_NOT_SUPPORTED, R_PROTOCOL)


@test("MUST", "RFC 7143 11.16")
def SNACK_at_error_recovery_level_0_is_rejected():
    with Client() as c:
        for kind in range(4):
            c.rejected(c.pdu(SNACK, F | kind, itt=c.tag(), fields={20: NO_TAG, 28: c.stat_sn}),
                       R_SNACK, R_PROTOCOL, R_NOT_SUPPORTED)


@test("MUST", "RFC 7143 11.17.3")
def a_Reject_has_a_StatSN_of_its_own():
    with Client() as c:
        before_it = c.stat_sn
        c.rejected(c.pdu(0x1e, itt=c.tag(), fields={24: c.cmd_sn, 28: c.stat_sn}),
                   R_NOT_SUPPORTED, R_PROTOCOL)
        check(c.stat_sn == before_it + 2 & 0xffffffff)     # the Reject's and the ping's


@test("OURS", "RFC 7143 11.2.2")
def additional_header_segments_where_there_are_none_are_rejected():
    with Client() as c:
        sent = c.pdu(NOP_OUT, itt=c.tag(), ahs=bytes(8), immediate=True,
                     fields={20: NO_TAG, **c.numbers(True)})
        p = answers(c, sent, REJECT, NOP_IN)


@test("OURS", "RFC 7143 13.12")
def more_data_than_was_declared_ends_the_connection_or_is_rejected():
    with Client() as c:
        n = c.their_segment + 4
        try:
            c.send(c.pdu(NOP_OUT, itt=c.tag(), immediate=True, length=n,
                         fields={20: NO_TAG, **c.numbers(True)}))
            check(c.is_closed() or c.get().op == REJECT)
        except (Closed, AssertionError):
            pass
    Client().__exit__()
