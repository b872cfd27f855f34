"""How the target defends itself: those who are slow, mute, many, or in a hurry."""
import time

from conformance import resident
from iscsi_rules import *

HALF_LOGINS = 200


def served():
    """A real initiator is served."""
    with session() as c:
        c.good(read_10(0, 1), read=Unit.block_len)


def memory():
    """Resident KiB of the target."""
    if not Settings.pid:
        raise NotHere("the target's process is not told (-p)")
    return resident(Settings.pid)


@test("OURS", "RFC 7143 6.3")
def half_logins_do_not_keep_others_out():
    half = []
    try:
        for i in range(HALF_LOGINS):
            c = Client(login=False)
            half.append(c)
            pdu = c.login_pdu(text_of(c.session_text))
            c.send(pdu[:(0, 1, 20, 47, 48, 60, len(pdu) - 1)[i % 7]])
        served()
    finally:
        for c in half:
            c.s.close()
    served()


@test("OURS", "RFC 7143 6.3")
def neither_silence_nor_a_byte_per_second_outlasts_the_deadline():
    if Settings.login_timeout is None:
        raise NotHere("the login timeout is not told (-t)")
    begin = time.monotonic()
    with Client(login=False) as mute, Client(login=False) as slow:
        try:
            for byte in slow.login_pdu(text_of(slow.session_text)):
                slow.send(bytes([byte]))
                time.sleep(1)
                check(time.monotonic() < begin + Settings.login_timeout + 10, "the login goes on")
        except Closed:
            pass
        mute.s.settimeout(5)
        check(mute.is_closed(), "the mute one is still there")


@test("OURS", "RFC 7143 11.2.1.6")
def a_slow_command_holds_nobody_up():
    with Client().ready() as slow:
        pdu = slow.command_pdu(TUR)
        for byte in pdu[:-1]:
            slow.send(bytes([byte]))
        served()
        slow.send(pdu[-1:])
        check(slow.get(SCSI_RESPONSE).header[3] == GOOD)


@test("OURS", "RFC 7143 11.2.1.6")
def a_ping_that_claims_16_MiB_is_not_waited_for():
    with Client() as c:
        c.send(c.pdu(NOP_OUT, itt=c.tag(), immediate=True, length=0xffffff,
                     fields={20: NO_TAG, **c.numbers(True)}))
        try:
            check(c.get().op == REJECT)
        except Closed:
            pass
    served()


@test("OURS", "RFC 7143 11.3.4")
def a_read_that_claims_4_GiB_is_answered():
    with session() as c:
        result = c.scsi(read_10(0, 1), read=0xffffffff)
        check(result.status == GOOD and result.residual == Unit.block_len - 0xffffffff, result)


@test("OURS", "RFC 7143 11.3.4")
def a_write_that_claims_4_GiB_asks_for_what_the_CDB_says():
    with writing(InitialR2T="Yes", ImmediateData="No") as c:
        itt = c.ask(write_10(0, 1), write=0xffffffff)
        r2t = c.get(R2T, itt)
        check(r2t.desired == Unit.block_len, r2t.desired)


@test("OURS", "RFC 7143 11.14")
def a_connection_that_is_cut_leaves_no_task_behind():
    for _ in range(20):
        with writing(InitialR2T="Yes", ImmediateData="No") as c:
            for i in range(8):
                c.ask(write_10(8 * i, 8), write=8 * Unit.block_len)
            c.get(R2T)
    served()


@test("OURS", "RFC 7143 11.5")
def aborts_as_fast_as_they_can_be_sent_leave_the_session_healthy():
    with writing(InitialR2T="Yes", ImmediateData="No") as c:
        for _ in range(20):
            refs = []
            for i in range(8):
                sn = c.cmd_sn
                refs.append((c.ask(write_10(8 * i, 8), write=8 * Unit.block_len), sn))
            tags = set()
            for ref, sn in refs:
                tags.add(c.tmf(ABORT_TASK, ref=ref, ref_cmd_sn=sn))
            while tags:
                p = c.get()
                if p.op == TMF_RESPONSE:
                    check(p.response == T_COMPLETE, "response", p.response)
                    tags.remove(p.itt)
                else:
                    check(p.op == R2T, p)
        c.ready()
    served()


@test("OURS", "RFC 7143 11.5")
def resets_from_two_sides_leave_the_unit_healthy():
    with session() as one, session() as other:
        for _ in range(50):
            for c in (one, other):
                c.tmf(LU_RESET)
                c.ask(read_10(0, 8), read=8 * Unit.block_len)
        for c in (one, other):
            c.send(c.pdu(NOP_OUT, itt=0x7fffff00, immediate=True,
                         fields={20: NO_TAG, **c.numbers(True)}))
            seen = 0
            while True:
                p = c.get()
                if p.op == NOP_IN:
                    break
                seen += p.op == TMF_RESPONSE
            while seen < 50:
                seen += c.get().op == TMF_RESPONSE
    served()


@test("OURS", "RFC 7143 6.3.5")
def a_hundred_reinstatements_leave_one_session():
    isid = 0x80000000abcd
    sessions = []
    for _ in range(100):
        sessions.append(Client(isid=isid))
    try:
        sessions[-1].ready()
        check(all(c.is_closed() for c in sessions[:-1]), "an old session lives on")
        sessions[-1].lives()
    finally:
        for c in sessions:
            c.s.close()


@test("OURS", "RFC 7143 4.2.2")
def a_peer_that_does_not_read_is_not_read_from():
    with session() as c:
        c.s.settimeout(1)
        try:
            for _ in range(20000):
                c.send(c.command_pdu(read_10(0, 64), read=64 * Unit.block_len, immediate=True))
        except (OSError, Closed):
            pass
    served()


@test("OURS", "all")
def all_of_this_has_left_no_memory_behind():
    # What the rules before take at a time is far less; what leaks adds up.
    check(memory() < 256 * KIB, memory(), "KiB")
