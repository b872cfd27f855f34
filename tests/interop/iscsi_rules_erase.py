"""Rules of SBC-4 for what is done to all of a unit, or at once: SANITIZE, WRITE ATOMIC."""
import contextlib
import time

from iscsi_rules import *
from iscsi_rules_block import limits, provisioning

OVERWRITE, BLOCK_ERASE, CRYPTO_ERASE, EXIT_FAILURE_MODE = 1, 2, 3, 0x1f
IN_PROGRESS, RESET_OCCURRED = 0x2041b, 0x62903
IMMED = 0x80


# SANITIZE --------------------------------------------------------------------------------------------

def sanitize(action, length=0, flags=0):
    return struct.pack(">BB5xHB", 0x48, flags | action, length, 0)


def overwrite_list(pattern, count=1, flags=0):
    return struct.pack(">BBH", flags | count, 0, len(pattern)) + pattern


def sanitizing():
    """A session; EXIT FAILURE MODE, without a failure, tells whether there is SANITIZE."""
    c = writing()
    result = has(c, c.scsi(sanitize(EXIT_FAILURE_MODE)), "SANITIZE")
    check(result.status == GOOD or result.key == INVALID_FIELD, result)
    return c


def to_the_end(c, cdb, **how):
    """A command that is answered when all of the unit is done, however slow that is."""
    c.s.settimeout(30 * c.seconds)
    result = c.scsi(cdb, **how)
    c.s.settimeout(c.seconds)
    return result


def overwrite(c, pattern, count=1, flags=0):
    body = overwrite_list(pattern, count)
    return to_the_end(c, sanitize(OVERWRITE, len(body), flags), write=body)


def erasing():
    c = sanitizing()
    if be(c.good(report_opcodes(512, 3, 0x48, BLOCK_ERASE), read=512).data[:2]) & 7 != 3:
        c.s.close()
        raise NotOffered("BLOCK ERASE")
    return c


def under_way(c):
    """One that takes its time has begun."""
    c.good(inquiry(36), read=36)
    result = overwrite(c, b"\x5a", 4, IMMED)
    check(result.status == GOOD, result)


def still(c, cdb, **how):
    """It fails because of it; if it does not, that is over too soon."""
    result = c.scsi(cdb, **how)
    if result.status == GOOD:
        raise NotHere("the unit is too fast")
    check(result.status == CHECK_CONDITION and result.key == IN_PROGRESS, result)
    return result


def wait(c):
    progress, deadline = None, 0
    while True:
        result = c.scsi(TUR)
        if result.status == GOOD:
            return
        check(result.key in (IN_PROGRESS, RESET_OCCURRED, *POWER_ON), result)
        if result.sense[16:18] != progress:
            progress, deadline = result.sense[16:18], time.monotonic() + 60
        check(time.monotonic() < deadline, "it does not go on")
        time.sleep(0.02)


@contextlib.contextmanager
def meanwhile(c):
    """While one is under way; the unit is left when that is over."""
    under_way(c)
    try:
        yield
    finally:
        wait(c)


@test("MUST", "SBC-4 5.24.2")
def SANITIZE_refuses_service_actions_that_are_reserved():
    with sanitizing() as c:
        for action in set(range(32)) - {OVERWRITE, BLOCK_ERASE, CRYPTO_ERASE, EXIT_FAILURE_MODE}:
            c.fails(INVALID_FIELD, sanitize(action))


@test("MUST", "SPC-4 4.5.2.4.2")
def SANITIZE_refuses_reserved_bits():
    with sanitizing() as c:
        for byte in range(1, 7):
            cdb = bytearray(sanitize(EXIT_FAILURE_MODE))
            cdb[byte] |= 0x40
            c.fails(INVALID_FIELD, bytes(cdb))


@test("MUST", "SBC-4 5.24.2")
def OVERWRITE_takes_a_list_of_five_bytes_to_a_block():
    with sanitizing() as c:
        for length in (0, 1, 4, Unit.block_len + 5, 0xffff):
            c.fails(INVALID_FIELD, sanitize(OVERWRITE, length), write=bytes(min(length, 4)))


@test("MUST", "SBC-4 5.24.3")
def OVERWRITE_refuses_a_wrong_list():
    with sanitizing() as c:
        for body in (overwrite_list(b"abcd", 0), struct.pack(">BBHI", 1, 0, 0, 0),
                     struct.pack(">BBHI", 1, 0, Unit.block_len + 1, 0)):
            c.fails((PARAMETER_FIELD, INVALID_FIELD), sanitize(OVERWRITE, len(body)), write=body)


@test("MUST", "SBC-4 5.24.2")
def erasing_and_EXIT_FAILURE_MODE_take_no_list():
    with sanitizing() as c:
        for action in (BLOCK_ERASE, CRYPTO_ERASE, EXIT_FAILURE_MODE):
            c.fails(INVALID_FIELD, sanitize(action, 8), write=bytes(8))


@test("MUST", "SBC-4 5.24.3")
def OVERWRITE_repeats_the_pattern_in_each_block():
    with sanitizing() as c:
        pattern = noise(7, 70)
        block = (pattern * Unit.block_len)[:Unit.block_len]
        result = overwrite(c, pattern)
        check(result.status == GOOD, result)
        for lba in (0, Unit.blocks // 2, Unit.blocks - 4):
            holds(c, lba, block * 4)


@test("MUST", "SBC-4 5.24.3")
def the_last_pass_of_OVERWRITE_is_not_inverted():
    with sanitizing() as c:
        body = overwrite_list(b"\x0f", 2, 0x80)
        result = to_the_end(c, sanitize(OVERWRITE, len(body)), write=body)
        check(result.status == GOOD, result)
        holds(c, Unit.blocks - 1, b"\x0f" * Unit.block_len)


@test("MUST", "SBC-4 4.11.2")
def a_unit_that_is_sanitized_is_not_ready_and_tells_how_far_it_is():
    with sanitizing() as c:
        with meanwhile(c):
            for cdb, read in ((TUR, None), (read_10(0, 1), Unit.block_len),
                              (read_capacity_16(), 32), (mode_sense_6(0x3f, 4), 4),
                              (sanitize(EXIT_FAILURE_MODE), None)):
                sense = still(c, cdb, read=read).sense
                check(sense[15] & 0x80, "no PROGRESS INDICATION", sense)
        holds(c, 0, b"\x5a" * Unit.block_len)


@test("MUST", "SBC-4 4.11.2")
def INQUIRY_REPORT_LUNS_and_REQUEST_SENSE_are_answered_meanwhile():
    with sanitizing() as c:
        with meanwhile(c):
            c.good(inquiry(36), read=36)
            c.good(report_luns(4096), read=4096)
            sense = c.good(request_sense(252), read=252).data
            if not sense[2] & 15:
                raise NotHere("the unit is too fast")
            check(sense[2] & 15 == 2 and sense[12:14] == b"\x04\x1b" and sense[15] & 0x80, sense)


@test("MUST", "SBC-4 4.11.2")
def another_session_is_kept_out_as_well():
    with sanitizing() as c, session() as other:
        with meanwhile(c):
            still(other, write_10(0, 1), write=bytes(Unit.block_len))
        holds(other, 0, b"\x5a" * Unit.block_len)


@test("MUST", "SBC-4 4.11.1")
def a_reset_does_not_end_it():
    with sanitizing() as c:
        with meanwhile(c):
            check(c.manage(LU_RESET) == T_COMPLETE)
            result = c.scsi(TUR)
            check(result.key == RESET_OCCURRED, result)
            still(c, TUR)
        for lba in (0, Unit.blocks - 1):
            holds(c, lba, b"\x5a" * Unit.block_len)


@test("MUST", "SBC-4 4.11.1")
def it_goes_on_without_its_session():
    with sanitizing() as c:
        under_way(c)
    with Client() as c:
        wait(c)
        for lba in (0, Unit.blocks - 1):
            holds(c, lba, b"\x5a" * Unit.block_len)


@test("MUST", "SBC-4 4.11.3, 6.6.2")
def erased_blocks_are_unmapped_and_can_be_read_as_WABEREQ_says():
    with erasing() as c:
        for lba in (0, Unit.blocks - 8):
            fill(c, lba, 8, 71)
        result = to_the_end(c, sanitize(BLOCK_ERASE))
        check(result.status == GOOD, result)
        page = c.good(inquiry(255, 0xb1), read=255).data
        check(page[7] & 0xc0, "WABEREQ is 0")
        if page[7] >> 6 == 1 and provisioning(c)[5] & 4:
            holds(c, 0, bytes(8 * Unit.block_len))
            holds(c, Unit.blocks - 8, bytes(8 * Unit.block_len))
        status = has(c, c.scsi(get_lba_status(0, 24), read=24), "GET LBA STATUS").data
        check(status[20] & 15 != 0, "LBA 0 is mapped")


@test("MUST", "SBC-4 5.24.1")
def a_unit_that_is_read_only_is_not_sanitized():
    with session() as c:
        if not c.good(mode_sense_6(0x3f, 4), read=4).data[2] & 0x80:
            raise NotHere("the unit can be written")
        body = overwrite_list(b"\0")
        result = has(c, c.scsi(sanitize(OVERWRITE, len(body)), write=body), "SANITIZE")
        check(result.status == CHECK_CONDITION and result.key == WRITE_PROTECTED, result)


# WRITE ATOMIC ----------------------------------------------------------------------------------------

def write_atomic(lba, blocks, boundary=0):
    return struct.pack(">BBQHHBB", 0x9c, 0, lba, boundary, blocks, 0, 0)


def atomic():
    """A session and MAXIMUM ATOMIC TRANSFER LENGTH."""
    c = writing()
    has(c, c.scsi(write_atomic(0, 0)), "WRITE ATOMIC")
    return c, be(limits(c)[44:48])


@test("MUST", "SBC-4 6.6.4")
def WRITE_ATOMIC_has_a_limit_within_that_of_transfers():
    c, most = atomic()
    with c:
        transfer = be(limits(c)[8:12])
        check(0 < most and (not transfer or most <= transfer), most, transfer)


@test("MUST", "SBC-4 6.6.4")
def where_there_is_no_WRITE_ATOMIC_no_limits_of_it_are_given():
    with writing() as c:
        result = c.scsi(write_atomic(0, 0))
        if result.status == GOOD:
            raise NotHere("there is")
        check(result.key == INVALID_OPCODE and not any(limits(c)[44:64]), result)


@test("MUST", "SBC-4, WRITE ATOMIC(16)")
def WRITE_ATOMIC_writes():
    c, most = atomic()
    with c:
        blocks = min(most, 64)
        data = noise(blocks * Unit.block_len, 72)
        c.good(write_atomic(blocks, blocks), write=data)
        holds(c, blocks, data)


@test("MUST", "SBC-4 6.6.4")
def WRITE_ATOMIC_refuses_more_than_its_limit():
    c, most = atomic()
    with c:
        if most >= 0xffff:
            raise NotHere("the command cannot say more")
        c.fails(INVALID_FIELD, write_atomic(0, most + 1), write=bytes((most + 1) * Unit.block_len))


@test("MUST", "SBC-4 6.6.4")
def WRITE_ATOMIC_refuses_boundaries_where_there_are_none():
    c, most = atomic()
    with c:
        if be(limits(c)[60:64]):
            raise NotHere("MAXIMUM ATOMIC BOUNDARY SIZE is not 0")
        c.fails(INVALID_FIELD, write_atomic(0, 1, 1), write=bytes(Unit.block_len))


@test("MUST", "SBC-4, WRITE ATOMIC(16)")
def WRITE_ATOMIC_beyond_the_end_is_out_of_range():
    c, most = atomic()
    with c:
        for lba in (Unit.blocks, (1 << 64) - 1):
            c.fails(LBA_RANGE, write_atomic(lba, 1), write=bytes(Unit.block_len))


@test("OURS", "SBC-4, WRITE ATOMIC(16)")
def WRITE_ATOMIC_with_fewer_blocks_than_it_calls_for_writes_none():
    c, most = atomic()
    with c:
        if most < 2:
            raise NotHere("one block at a time")
        before = fill(c, 0, 2, 73)
        c.fails(INVALID_FIELD, write_atomic(0, 2), write=bytes(Unit.block_len))
        holds(c, 0, before)
