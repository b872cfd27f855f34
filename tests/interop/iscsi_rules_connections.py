"""Rules of sessions of several connections."""
from iscsi_rules import *


def joined(first, cid):
    """Another connection of the session."""
    c = Client(login=False, isid=first.isid, tsih=first.tsih, cmd_sn=first.cmd_sn)
    c.cid = cid
    return c


def two(**keys):
    """Two connections of one session, no unit attention left, both with the next CmdSN."""
    first = Client(keys={"MaxConnections": 2, **keys}).ready()
    Unit.learn(first)
    if first.agreed("MaxConnections", 1) < 2:
        first.s.close()
        raise NotOffered("MaxConnections")
    second = joined(first, 2).enter()
    check(second.tsih == first.tsih, "another TSIH: %#x" % second.tsih)
    return first, second


@test("MUST", "RFC 7143 6.3.1")
def a_connection_joins_the_session_of_its_TSIH():
    first, second = two()
    with first, second:
        first.lives()
        second.lives()


@test("MUST", "RFC 7143 4.2.2.1")
def connections_share_the_CmdSN():
    first, second = two()
    with first, second:
        n = first.cmd_sn
        for i in range(8):
            c = (first, second)[i % 2]
            check(c.finish(c.ask(TUR, cmd_sn=n + i & 0xffffffff)).status == GOOD)
        check(second.exp_cmd_sn == n + 8 & 0xffffffff, "ExpCmdSN", second.exp_cmd_sn)


@test("MUST", "RFC 7143 4.2.2.1")
def a_command_waits_for_those_of_the_other_connection():
    first, second = two()
    with first, second:
        n = first.cmd_sn
        late = second.ask(TUR, cmd_sn=n + 1 & 0xffffffff)
        check(second.silent(), "an answer before the turn")
        check(first.finish(first.ask(TUR, cmd_sn=n)).status == GOOD)
        check(second.finish(late).status == GOOD)


@test("MUST", "RFC 7143 4.2.2.2")
def every_connection_has_its_own_StatSN():
    first, second = two()
    with first, second:
        for _ in range(3):
            first.lives()           # the client checks
            second.lives()


@test("MUST", "RFC 7143 4.2.5.1")
def a_command_stays_on_its_connection():
    first, second = two(InitialR2T="Yes", ImmediateData="No")
    with writable(first), second:
        data = noise(8 * Unit.block_len, 70)
        n = first.cmd_sn
        writes = [(c, c.ask(write_10(8 * i, 8), write=len(data), cmd_sn=n + i & 0xffffffff))
                  for i, c in enumerate((first, second))]
        for c, itt in writes:
            check(c.finish(itt, data).status == GOOD)


@test("MUST", "RFC 7143 4.2.5.1")
def data_on_another_connection_is_not_taken():
    first, second = two(InitialR2T="Yes", ImmediateData="No")
    with writable(first), second:
        old = fill(first, 0, 8, 71)
        new = noise(8 * Unit.block_len, 72)
        itt = first.ask(write_10(0, 8), write=len(new))
        r2t = first.get(R2T, itt)
        second.answer_r2t(r2t, noise(8 * Unit.block_len, 73))
        check(first.silent(), "an answer to data of another connection")
        if not second.silent(0):
            try:
                check(second.get().op == REJECT)
            except Closed:
                pass
        first.answer_r2t(r2t, new)
        check(first.finish(itt).status == GOOD)
        holds(first, 0, new)
        check(old != new)


@test("MUST", "RFC 7143 13.2")
def no_more_connections_join_than_were_agreed_on():
    first, second = two()
    with first, second, joined(first, 3) as third:
        third.refused((TOO_MANY_CONNECTIONS, 0x208), text_of(third.session_text))
        first.lives()
        second.lives()


@test("MUST", "RFC 7143 6.3.4")
def the_same_CID_replaces_the_connection():
    first, second = two()
    with first, second, joined(first, 2) as again:
        again.enter()
        check(second.is_closed(), "the old connection lives on")
        again.lives()
        first.lives()


@test("MUST", "RFC 7143 6.3.1")
def a_TSIH_is_of_use_to_its_initiator_only():
    first, second = two()
    with first, second, joined(first, 3) as thief:
        thief.refused((NO_SESSION, INITIATOR_ERROR, AUTHENTICATION, FORBIDDEN, 0x208),
                      {**dict(thief.session_text), "InitiatorName": "iqn.2026-11.test:thief"})
        first.lives()


@test("MUST", "RFC 7143 11.14.1")
def logout_of_another_connection_closes_that_one():
    first, second = two()
    with first, second:
        check(first.logout(reason=1, cid=2).response == 0)
        check(second.is_closed(), "the connection lives on")
        first.lives()


@test("MUST", "RFC 7143 11.14.1")
def logout_of_ones_own_connection_leaves_the_other():
    first, second = two()
    with first, second:
        check(second.logout(reason=1).response == 0)
        check(second.is_closed(), "the connection lives on")
        first.lives()


@test("MUST", "RFC 7143 11.14.1")
def logout_of_the_session_closes_all_its_connections():
    first, second = two()
    with first, second:
        check(first.logout(reason=0).response == 0)
        check(first.is_closed() and second.is_closed(), "a connection lives on")


@test("MUST", "RFC 7143 11.5.1")
def a_task_may_be_ended_from_another_connection():
    first, second = two(InitialR2T="Yes", ImmediateData="No")
    with writable(first), second:
        n = first.cmd_sn
        itt = first.ask(write_10(0, 8), write=8 * Unit.block_len)
        first.get(R2T, itt)
        second.cmd_sn = first.cmd_sn
        check(second.manage(ABORT_TASK, ref=itt, ref_cmd_sn=n) == T_COMPLETE)
        check(first.silent(), "an answer of a task that was ended")
        first.lives()


@test("MUST", "RFC 7143 11.5.1")
def a_task_may_be_ended_while_its_data_is_on_its_way():
    first, second = two(InitialR2T="Yes", ImmediateData="No")
    with writable(first), second:
        n = first.cmd_sn
        data = noise(8 * Unit.block_len, 74)
        itt = first.ask(write_10(0, 8), write=len(data))
        r2t = first.get(R2T, itt)
        pdu = first.pdu(DATA_OUT, F, itt=itt, data=data, lun=r2t.header[8:16],
                        fields={20: r2t.ttt, 28: first.stat_sn, 36: 0, 40: 0})
        first.send(pdu[:len(pdu) // 2])
        second.cmd_sn = first.cmd_sn
        tag = second.tmf(ABORT_TASK, ref=itt, ref_cmd_sn=n)
        second.silent(0.2)          # it may wait for the rest, which it has begun to receive
        first.send(pdu[len(pdu) // 2:])
        check(second.get(TMF_RESPONSE, tag).response == T_COMPLETE)
        check(first.silent(), "an answer of a task that was ended")
        first.lives()


@test("MUST", "RFC 7143 13")
def keys_of_the_whole_session_are_for_its_first_connection():
    first, second = two()
    with first, second:
        with joined(first, 2) as again:
            p = again.login({"MaxBurstLength": 4096}, first=True)
            check(p.login_status or dict(p.pairs).get("MaxBurstLength") in ("Reject", "Irrelevant",
                                                                           None), p.pairs)


@test("MUST", "RFC 7143 4.2.3.3")
def a_function_does_not_end_the_commands_behind_it():
    first, second = two()
    with first, second:
        n = first.cmd_sn
        late = second.ask(TUR, cmd_sn=n + 1 & 0xffffffff)
        check(second.silent(), "an answer before the turn")
        first.cmd_sn = n
        check(first.manage(ABORT_TASK_SET, immediate=False) == T_COMPLETE)
        check(second.finish(late).status == GOOD)


@test("MUST", "RFC 7143 4.2.3.3")
def an_immediate_function_waits_for_the_commands_before_it():
    first, second = two(InitialR2T="Yes", ImmediateData="No")
    with writable(first), second:
        old = fill(first, 0, 8, 74)
        n = first.cmd_sn
        first.cmd_sn = n + 1 & 0xffffffff
        itt = first.tmf(ABORT_TASK_SET)
        check(first.silent(), "it is answered before the command has come")
        second.ask(write_10(0, 8), write=8 * Unit.block_len, cmd_sn=n)
        check(first.get(TMF_RESPONSE, itt).response == T_COMPLETE)
        while not second.silent():
            p = second.get()
            check(p.op == R2T, "the command has not been ended:", p)
        holds(first, 0, old)


@test("OURS", "RFC 7143 4.2.3.3")
def an_immediate_function_with_a_CmdSN_that_cannot_come_waits_for_nothing():
    with Client().ready() as c:
        n = c.cmd_sn
        c.cmd_sn = c.max_cmd_sn + 1000 & 0xffffffff
        check(c.manage(LU_RESET) == T_COMPLETE)
        c.cmd_sn = n
        c.ready()


@test("OURS", "RFC 7143 4.2.3.3")
def a_function_that_waits_ends_with_its_connection():
    first, second = two()
    with first, second:
        n = first.cmd_sn
        first.cmd_sn = n + 1 & 0xffffffff
        first.tmf(ABORT_TASK_SET)
        check(first.silent(), "it is answered before the command has come")
        second.cmd_sn = n
        check(second.logout(reason=1, cid=1).response == 0)
        check(second.finish(second.ask(TUR, cmd_sn=n)).status == GOOD)
        second.cmd_sn = n + 1 & 0xffffffff
        second.lives()
