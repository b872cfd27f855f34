"""Rules of data transfer: unsolicited data, R2T, Data-Out, Data-In, residuals, digests, AHS."""
from iscsi_rules import *


def on_request(**keys):
    return writing(InitialR2T="Yes", ImmediateData="No", **keys)


def unasked(**keys):
    """Immediate and unsolicited data are agreed on."""
    c = writable(streaming(**keys))
    offered(c.agreed("InitialR2T", "Yes") == "No", "InitialR2T=No")
    offered(c.agreed("ImmediateData", "Yes") == "Yes", "ImmediateData=Yes")
    return c


def ends_badly(c, itt, *keys):
    """The command ends in CHECK CONDITION with one of these, or in a Reject, or the connection
    does: as the target likes. But the session's other commands work, if it lives."""
    try:
        p = c.get()
        while p.op == R2T:
            p = c.get()
        if p.op == REJECT:
            check(p.response in (R_PROTOCOL, R_INVALID_FIELD, R_NOT_SUPPORTED), p)
        else:
            check(p.op == SCSI_RESPONSE and p.itt == itt, p)
            result = Result()
            result.status, result.sense = p.header[3], p.data[2:]
            check(result.status == CHECK_CONDITION and (not keys or result.key in keys), result)
        c.lives()
    except Closed:
        Client().__exit__()


# Immediate and unsolicited data --------------------------------------------------------------------

@test("MUST", "RFC 7143 11.3.6")
def immediate_data_is_written():
    with unasked() as c:
        data = noise(Unit.block_len, 11)
        result = c.finish(c.ask(write_10(3, 1), write=len(data), data=data))
        check(result.status == GOOD and len(result.pdus) == 1, result)
        holds(c, 3, data)


@test("MUST", "RFC 7143 4.2.5.2")
def what_immediate_data_does_not_cover_is_asked_for():
    with unasked() as c:
        data = noise(8 * Unit.block_len, 12)
        result = c.finish(c.ask(write_10(0, 8), write=len(data), data=data[:Unit.block_len]), data)
        check(result.status == GOOD and result.pdus[0].op == R2T
              and result.pdus[0].offset == Unit.block_len, result.pdus)
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.7")
def unsolicited_data_follows_the_command():
    with unasked() as c:
        data = noise(4 * Unit.block_len, 13)
        n = Unit.block_len
        itt = c.ask(write_10(0, 4), write=len(data), data=data[:n], final=False)
        for i in range(1, 4):
            c.data_out(itt, NO_TAG, i - 1, i * n, data[i * n:i * n + n], i == 3)
        result = c.finish(itt)
        check(result.status == GOOD and len(result.pdus) == 1, result.pdus)
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.7.1")
def a_sequence_may_end_in_an_empty_PDU():
    with unasked() as c:
        data = noise(Unit.block_len, 14)
        itt = c.ask(write_10(0, 1), write=len(data), data=data, final=False)
        c.data_out(itt, NO_TAG, 0, len(data))
        check(c.finish(itt).status == GOOD)
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.4.7.2")
def immediate_data_that_was_not_agreed_on_is_not_written():
    with on_request() as c:
        data = fill(c, 0, 1, 15)
        ends_badly(c, c.ask(write_10(0, 1), write=Unit.block_len, data=noise(Unit.block_len, 16)),
                   UNSOLICITED)
    with session() as c:
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.4.7.2")
def unsolicited_data_that_was_not_agreed_on_is_not_written():
    with on_request() as c:
        data = fill(c, 0, 1, 17)
        itt = c.ask(write_10(0, 1), write=Unit.block_len, final=False)
        c.data_out(itt, NO_TAG, 0, 0, noise(Unit.block_len, 18))
        ends_badly(c, itt, UNSOLICITED)
    with session() as c:
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.4.7.2")
def less_unsolicited_data_than_FirstBurstLength_is_the_wrong_amount():
    with unasked(FirstBurstLength=4096) as c:
        blocks = 16384 // Unit.block_len
        itt = c.ask(write_10(0, blocks), write=16384, final=False)
        c.data_out(itt, NO_TAG, 0, 0, noise(2048))
        ends_badly(c, itt, AMOUNT, UNSOLICITED)


@test("MUST", "RFC 7143 13.14")
def more_unsolicited_data_than_FirstBurstLength_is_the_wrong_amount():
    with unasked(FirstBurstLength=4096) as c:
        blocks = 16384 // Unit.block_len
        itt = c.ask(write_10(0, blocks), write=16384, final=False)
        c.data_out(itt, NO_TAG, 0, 0, noise(4096), final=False)
        c.data_out(itt, NO_TAG, 1, 4096, noise(4096))
        ends_badly(c, itt, AMOUNT, UNSOLICITED)


@test("MUST", "RFC 7143 13.14")
def more_immediate_data_than_FirstBurstLength_is_the_wrong_amount():
    with unasked(FirstBurstLength=512) as c:
        blocks = 8192 // Unit.block_len
        itt = c.ask(write_10(0, blocks), write=8192, data=noise(4096))
        ends_badly(c, itt, AMOUNT, UNSOLICITED)


@test("MUST", "RFC 7143 11.3.4")
def more_immediate_data_than_is_expected_is_refused():
    with unasked() as c:
        itt = c.ask(write_10(0, 1), write=Unit.block_len, data=noise(2 * Unit.block_len))
        ends_badly(c, itt, AMOUNT, UNSOLICITED, INVALID_FIELD)


@test("MUST", "RFC 7143 11.7.6")
def unsolicited_data_beyond_what_is_expected_is_refused():
    with unasked() as c:
        itt = c.ask(write_10(0, 1), write=Unit.block_len, final=False)
        c.data_out(itt, NO_TAG, 0, 0, noise(4 * Unit.block_len))
        ends_badly(c, itt, AMOUNT, UNSOLICITED)


# R2T and what answers it ---------------------------------------------------------------------------

@test("MUST", "RFC 7143 11.8")
def a_write_is_asked_for():
    with on_request() as c:
        data = noise(4 * Unit.block_len, 20)
        result = c.good(write_10(0, 4), write=data)
        first = result.pdus[0]
        check(first.op == R2T and first.offset == 0 and first.desired == len(data), first)
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.8.4")
def an_R2T_does_not_exceed_MaxBurstLength():
    with on_request(MaxBurstLength=8192) as c:
        data = noise(65536, 21)
        result = c.good(write_10(0, 65536 // Unit.block_len), write=data)
        r2ts = [p for p in result.pdus if p.op == R2T]
        check(len(r2ts) == 8, len(r2ts), "R2Ts")     # finish() has checked their lengths
        check([p.offset for p in r2ts] == list(range(0, 65536, 8192)), r2ts)
        holds(c, 0, data)


@test("MUST", "RFC 7143 13.17")
def no_more_R2Ts_are_out_than_was_agreed_on():
    with on_request(MaxBurstLength=4096, MaxOutstandingR2T=1) as c:
        data = noise(16384, 22)
        itt = c.ask(write_10(0, 16384 // Unit.block_len), write=len(data))
        for at in range(0, 16384, 4096):
            r2t = c.get(R2T, itt)
            check(r2t.offset == at, r2t)
            check(c.silent(0.05), "something comes besides the R2T")
            c.answer_r2t(r2t, data)
        check(c.finish(itt).status == GOOD)
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.8")
def R2Ts_of_a_session_have_tags_of_their_own():
    with on_request() as c:
        tags = {}
        for i in range(4):
            itt = c.ask(write_10(8 * i, 8), write=8 * Unit.block_len)
            tags[itt] = c.get(R2T, itt)
        check(len({p.ttt for p in tags.values()}) == 4, "one tag for two R2Ts")
        data = noise(8 * Unit.block_len, 23)
        for itt in reversed(tags):
            c.answer_r2t(tags[itt], data)
        for _ in tags:
            check(c.get(SCSI_RESPONSE).header[3] == GOOD)


@test("MUST", "RFC 7143 11.7.5")
def data_for_an_R2T_may_come_in_many_PDUs():
    with on_request() as c:
        data = noise(8 * Unit.block_len, 24)
        itt = c.ask(write_10(0, 8), write=len(data))
        r2t = c.get(R2T, itt)
        step = Unit.block_len // 2
        for i in range(16):
            c.data_out(itt, r2t.ttt, i, i * step, data[i * step:(i + 1) * step], i == 15)
        check(c.finish(itt).status == GOOD)
        holds(c, 0, data)


def wrong_data_out(send, *keys):
    """A write of 8 blocks, answered by send(client, tag, R2T, data): nothing of it may be
    written that was not sent, and the rest of the session works."""
    with on_request() as c:
        old = fill(c, 40, 8, 25)
        data = noise(8 * Unit.block_len, 26)
        itt = c.ask(write_10(40, 8), write=len(data))
        send(c, itt, c.get(R2T, itt), data)
        ends_badly(c, itt, *keys)
    with session() as c:
        holds(c, 40, old)


@test("MUST", "RFC 7143 7.9")
def a_DataSN_that_is_missing_ends_the_command():
    def send(c, itt, r2t, data):
        n = len(data) // 2
        c.data_out(itt, r2t.ttt, 0, 0, data[:n], False)
        c.data_out(itt, r2t.ttt, 2, n, data[n:])
    wrong_data_out(send, CRC_ERROR, AMOUNT)


@test("MUST", "RFC 7143 11.7.6")
def a_gap_in_the_data_ends_the_command():
    def send(c, itt, r2t, data):
        c.data_out(itt, r2t.ttt, 0, Unit.block_len, data[Unit.block_len:])
    wrong_data_out(send, AMOUNT, CRC_ERROR)


@test("MUST", "RFC 7143 13.18")
def data_out_of_order_ends_the_command():
    def send(c, itt, r2t, data):
        n = len(data) // 2
        c.data_out(itt, r2t.ttt, 0, n, data[n:], False)
        c.data_out(itt, r2t.ttt, 1, 0, data[:n])
    wrong_data_out(send, AMOUNT, CRC_ERROR)


@test("MUST", "RFC 7143 11.4.7.2")
def less_data_than_was_asked_for_is_the_wrong_amount():
    def send(c, itt, r2t, data):
        c.data_out(itt, r2t.ttt, 0, 0, data[:Unit.block_len])
    wrong_data_out(send, AMOUNT)


@test("MUST", "RFC 7143 11.4.7.2")
def no_data_at_all_is_the_wrong_amount():
    def send(c, itt, r2t, _):
        c.data_out(itt, r2t.ttt, 0, 0)
    wrong_data_out(send, AMOUNT)


@test("MUST", "RFC 7143 11.4.7.2")
def more_data_than_was_asked_for_is_the_wrong_amount():
    def send(c, itt, r2t, data):
        c.data_out(itt, r2t.ttt, 0, 0, data, False)
        c.data_out(itt, r2t.ttt, 1, len(data), data)
    wrong_data_out(send, AMOUNT)


@test("MUST", "RFC 7143 11.7.6")
def data_far_beyond_the_buffer_ends_the_command():
    def send(c, itt, r2t, data):
        c.data_out(itt, r2t.ttt, 0, 0xfffffe00, data[:Unit.block_len])
    wrong_data_out(send, AMOUNT, CRC_ERROR)


@test("MUST", "RFC 7143 11.7.4")
def data_with_another_transfer_tag_is_not_taken():
    with on_request() as c:
        data = noise(8 * Unit.block_len, 27)
        itt = c.ask(write_10(40, 8), write=len(data))
        r2t = c.get(R2T, itt)
        c.data_out(itt, r2t.ttt + 77 & 0x7fffffff, 0, 0, noise(len(data), 28))
        try:
            pdus = c.heard()
        except Closed:
            return
        check(all(p.op == REJECT for p in pdus), pdus)
        c.answer_r2t(r2t, data)
        check(c.finish(itt).status == GOOD)
        holds(c, 40, data)


@test("MUST", "RFC 7143 11.7.4")
def unsolicited_data_after_an_R2T_is_not_taken():
    def send(c, itt, r2t, data):
        c.data_out(itt, NO_TAG, 0, 0, data)
        c.answer_r2t(r2t, data)
    with on_request() as c:
        data = noise(8 * Unit.block_len, 29)
        itt = c.ask(write_10(40, 8), write=len(data))
        send(c, itt, c.get(R2T, itt), data)
        ends_badly(c, itt, UNSOLICITED)


@test("MUST", "RFC 7143 11.7")
def data_for_no_task_does_no_harm():
    with on_request() as c:
        c.data_out(0x7abcdef0, NO_TAG, 0, 0, noise(4096))
        c.data_out(0x7abcdef0, 0x1234, 0, 0, noise(4096))
        try:
            check(all(p.op == REJECT for p in c.heard()))
        except (AssertionError, Closed):
            Client().__exit__()


@test("MUST", "RFC 7143 11.7")
def data_for_a_read_does_no_harm():
    with session() as c:
        n = c.cmd_sn
        itt = c.ask(read_10(0, 1), read=Unit.block_len, cmd_sn=n + 1 & 0xffffffff)
        c.data_out(itt, NO_TAG, 0, 0, noise(Unit.block_len))
        try:
            check(all(p.op == REJECT for p in c.heard()))
        except Closed:
            Client().__exit__()


@test("MUST", "RFC 7143 11.2.1.6")
def a_data_segment_of_odd_length_is_padded():
    with on_request() as c:
        data = noise(Unit.block_len, 30)
        itt = c.ask(write_10(0, 1), write=len(data))
        r2t = c.get(R2T, itt)
        for i, (a, b) in enumerate(((0, 1), (1, 4), (4, 111), (111, len(data)))):
            c.data_out(itt, r2t.ttt, i, a, data[a:b], b == len(data))
        check(c.finish(itt).status == GOOD)
        holds(c, 0, data)


# Data-In -------------------------------------------------------------------------------------------

@test("MUST", "RFC 7143 13.12")
def Data_In_does_not_exceed_what_we_take():
    with session(MaxRecvDataSegmentLength=512) as c:
        c.good(read_10(0, 32), read=32 * Unit.block_len)    # the client checks


@test("MUST", "RFC 7143 13.13")
def a_sequence_of_Data_In_does_not_exceed_MaxBurstLength():
    with session(MaxBurstLength=4096, MaxRecvDataSegmentLength=1024) as c:
        result = c.good(read_10(0, 32768 // Unit.block_len), read=32768)
        in_sequence = 0
        for p in result.pdus:
            if p.op == DATA_IN:
                in_sequence += p.length
                check(in_sequence <= 4096, "a sequence of", in_sequence)
                if p.final:
                    in_sequence = 0
        check(in_sequence == 0, "the last PDU of a sequence is without F")


@test("MUST", "RFC 7143 11.7.7")
def all_but_the_last_PDU_of_a_sequence_are_whole_words():
    with session(MaxRecvDataSegmentLength=1023) as c:
        result = c.good(read_10(0, 16), read=16 * Unit.block_len)
        check(all(p.length % 4 == 0 for p in result.pdus if p.op == DATA_IN and not p.final),
              "padding within a sequence")


@test("MUST", "RFC 7143 11.7")
def what_is_read_is_what_was_written():
    with writing() as c:
        data = fill(c, 100, 256, 31)
        holds(c, 100, data)


# Residuals -----------------------------------------------------------------------------------------

def read_residual(blocks, edtl, status=GOOD):
    with session() as c:
        wanted = blocks * Unit.block_len
        edtl = edtl(wanted)
        result = c.scsi(read_10(0, blocks), read=edtl)
        check(result.status == status, result)
        check(result.residual == wanted - edtl, "residual", result.residual)
        check(len(result.data) == min(wanted, edtl), len(result.data), "bytes")


@test("MUST", "RFC 7143 11.4.5.2")
def a_read_of_more_than_is_expected_overflows():
    read_residual(2, lambda n: n // 2)


@test("MUST", "RFC 7143 11.4.5.2")
def a_read_of_less_than_is_expected_underflows():
    read_residual(1, lambda n: 3 * n)


@test("MUST", "RFC 7143 11.4.5.2")
def a_read_of_a_part_of_a_block_overflows():
    read_residual(1, lambda n: n - 3)


@test("MUST", "RFC 7143 11.4.5.2")
def a_read_without_room_overflows():
    with session() as c:
        result = c.scsi(read_10(0, 1), read=0)
        check(result.status == GOOD and result.residual == Unit.block_len and not result.data,
              result, result.residual)


@test("MUST", "RFC 7143 11.4.5.2")
def a_read_of_no_blocks_underflows():
    with session() as c:
        result = c.scsi(read_10(0, 0), read=Unit.block_len)
        check(result.status == GOOD and result.residual == -Unit.block_len, result.residual)


@test("MUST", "RFC 7143 11.4.5.2")
def a_write_of_no_blocks_underflows():
    with writing() as c:
        data = fill(c, 0, 1, 31)
        for cdb in write_10(0, 0), write_16(0, 0), mode_select_10(0), unmap(0):
            result = has(c, c.scsi(cdb, write=noise(Unit.block_len)), "UNMAP")
            check(result.status == GOOD and result.residual == -Unit.block_len, result,
                  result.residual)
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.4.5.2")
def a_write_of_more_than_there_is_overflows():
    with writing() as c:
        data = fill(c, 0, 2, 32)
        new = noise(Unit.block_len, 33)
        result = c.scsi(write_10(0, 2), write=new)
        check(result.status in (GOOD, CHECK_CONDITION), result)
        check(result.status != GOOD or result.residual == Unit.block_len, result.residual)
        holds(c, 1, data[Unit.block_len:])


@test("MUST", "RFC 7143 11.4.5.2")
def a_write_of_less_than_there_is_underflows():
    with writing() as c:
        new = noise(2 * Unit.block_len, 34)
        data = fill(c, 1, 1, 35)
        result = c.scsi(write_10(0, 1), write=new)
        check(result.status == GOOD and result.residual == -Unit.block_len, result,
              result.residual)
        holds(c, 0, new[:Unit.block_len] + data)


@test("MUST", "RFC 7143 11.4.5.2")
def a_failed_read_has_moved_nothing():
    with session() as c:
        result = c.scsi(read_16(Unit.blocks, 1), read=Unit.block_len)
        check(result.status == CHECK_CONDITION and result.key == LBA_RANGE, result)
        check(result.residual == -Unit.block_len, result.residual)


@test("MUST", "RFC 7143 11.4.5.2")
def a_failed_write_has_moved_nothing():
    with writing() as c:
        result = c.scsi(write_16(Unit.blocks, 1), write=noise(Unit.block_len))
        check(result.status == CHECK_CONDITION and result.key == LBA_RANGE, result)
        check(result.residual in (0, -Unit.block_len), result.residual)


@test("MUST", "RFC 7143 11.4.5.2")
def a_command_without_data_underflows_if_data_is_expected():
    with session() as c:
        result = c.scsi(TUR, read=4096)
        check(result.status == GOOD and result.residual == -4096 and not result.data,
              result.residual)


@test("MUST", "RFC 7143 11.4.5.2")
def data_for_a_command_without_data_underflows():
    with session() as c:
        result = c.scsi(TUR, write=bytes(512))
        check(result.status in (GOOD, CHECK_CONDITION), result)
        check(result.status != GOOD or result.residual == -512, result.residual)
        c.lives()


# Flags that do not go together ---------------------------------------------------------------------

@test("MUST", "RFC 7143 11.3.1")
def data_is_expected_but_neither_R_nor_W_is_set():
    with session() as c:
        itt = c.tag()
        c.send(c.pdu(SCSI, F | SIMPLE, lun=Settings.lun, itt=itt, cdb=read_10(0, 1),
                     fields={20: Unit.block_len, **c.numbers()}))
        p = c.get()
        check(p.op == REJECT or (p.op == SCSI_RESPONSE and p.itt == itt), p)
        c.lives()


@test("MUST", "RFC 7143 11.3.1")
def a_read_without_F_is_refused():
    with session() as c:
        itt = c.ask(read_10(0, 1), flags=READ | SIMPLE, read=Unit.block_len)
        try:
            p = c.get()
        except Closed:
            return
        check(p.op == REJECT or p.header[3] == CHECK_CONDITION, p)


@test("MUST", "RFC 7143 11.3.1")
def a_bidirectional_command_without_its_length_is_refused():
    with session() as c:
        c.ask(read_10(0, 1), flags=F | READ | WRITE | SIMPLE, read=Unit.block_len)
        try:
            p = c.get()
            while p.op == R2T:
                p = c.get()
        except (Closed, AssertionError):
            return
        check(p.op == REJECT or p.header[3] == CHECK_CONDITION, p)


@test("MUST", "RFC 7143 11.3.1")
def a_read_that_is_flagged_as_a_write_takes_no_data():
    with session() as c:
        result = c.scsi(read_10(0, 1), write=noise(Unit.block_len))
        check(result.status in (GOOD, CHECK_CONDITION) and not result.data, result)
        c.lives()


@test("MUST", "RFC 7143 11.3.1")
def a_write_that_is_flagged_as_a_read_writes_nothing():
    with writing() as c:
        data = fill(c, 0, 1, 36)
        result = c.scsi(write_10(0, 1), read=Unit.block_len)
        check(result.status == CHECK_CONDITION or result.residual, result)
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.3.1")
def a_write_without_any_data_writes_nothing():
    with writing() as c:
        data = fill(c, 0, 1, 37)
        result = c.scsi(write_10(0, 1))
        check(result.status == CHECK_CONDITION or result.residual == Unit.block_len, result)
        holds(c, 0, data)


@test("MUST", "RFC 7143 11.2.1.8")
def the_tag_of_a_task_that_is_under_way_cannot_be_used_again():
    with on_request() as c:
        data = noise(8 * Unit.block_len, 38)
        itt = c.ask(write_10(0, 8), write=len(data))
        r2t = c.get(R2T, itt)
        c.ask(TUR, itt=itt)
        try:
            p = c.get()
        except Closed:
            return
        check(p.op == REJECT and p.response in (R_PROTOCOL, R_IN_PROGRESS, R_INVALID_FIELD), p)
        c.answer_r2t(r2t, data)
        check(c.finish(itt).status == GOOD)


@test("MUST", "RFC 7143 11.2.1.8")
def the_reserved_tag_is_no_task():
    with session() as c:
        sent = c.command_pdu(TUR, itt=NO_TAG)
        c.send(sent)
        try:
            check(c.get().op == REJECT)
        except Closed:
            pass


# Additional header segments --------------------------------------------------------------------------

def with_ahs(ahs, cdb=TUR):
    """A command with this AHS, and what comes; None: the end."""
    with session() as c:
        c.ask(cdb, ahs=ahs)
        try:
            p = c.get()
            c.lives()
            return p
        except Closed:
            return None


@test("MUST", "RFC 7143 11.2.2.3")
def an_extended_CDB_is_put_together():
    # 32 bytes of variable length CDB; its service action is none.
    cdb = bytes([0x7f, 0, 0, 0, 0, 0, 0, 24, 0xff, 0xf7]).ljust(32, b"\0")
    p = with_ahs(struct.pack(">HBB", 17, 1, 0) + cdb[16:], cdb[:16])
    check(p is not None and p.op in (SCSI_RESPONSE, REJECT), p)
    if p.op == SCSI_RESPONSE:
        check(p.header[3] == CHECK_CONDITION, p)


@test("MUST", "RFC 7143 11.2.2.1")
def an_unknown_AHS_type_is_rejected():
    p = with_ahs(struct.pack(">HBB", 5, 0x3e, 0) + bytes(4))
    check(p is None or p.op in (REJECT, SCSI_RESPONSE), p)


@test("MUST", "RFC 7143 11.2.2")
def an_AHS_that_is_longer_than_all_of_them_is_rejected():
    p = with_ahs(struct.pack(">HBB", 0xffff, 1, 0) + bytes(4))
    check(p is None or p.op == REJECT or p.header[3] == CHECK_CONDITION, p)


@test("MUST", "RFC 7143 11.2.2")
def an_AHS_of_no_length_is_rejected():
    p = with_ahs(struct.pack(">HBB", 0, 1, 0) + bytes(4))
    check(p is None or p.op == REJECT or p.header[3] == CHECK_CONDITION, p)


@test("OURS", "RFC 7143 11.2.1.5")
def the_longest_AHS_does_no_harm():
    p = with_ahs(struct.pack(">HBB", 1017, 1, 0) + bytes(1016))
    check(p is None or p.op in (REJECT, SCSI_RESPONSE), p)


@test("OURS", "RFC 7143 11.2.2.4")
def a_bidirectional_length_is_answered():
    p = with_ahs(struct.pack(">HBBI", 5, 2, 0, 4096))
    check(p is None or p.op in (REJECT, SCSI_RESPONSE), p)


# Digests -------------------------------------------------------------------------------------------

def digested(which=("HeaderDigest", "DataDigest"), **keys):
    c = Client(keys={**{k: "CRC32C,None" for k in which}, **keys})
    for key in which:
        if c.keys.get(key) != "CRC32C":
            c.__exit__()
            raise NotOffered(key)
    c.ready()
    Unit.learn(c)
    return c


@test("MUST", "RFC 7143 13.1")
def digests_go_both_ways():
    with digested(InitialR2T="No") as c:
        writable(c)
        data = fill(c, 0, 16, 41)
        holds(c, 0, data)
        for n in (1, 2, 3, 4, 5):
            check(c.get(NOP_IN, c.ping(noise(n))).data == noise(n))
        pairs_of(c.text({"X-test": "1"}).data)
        check(c.logout().response == 0)


@test("MUST", "RFC 7143 13.1")
def header_digests_alone():
    with digested(("HeaderDigest",)) as c:
        c.good(read_10(0, 1), read=Unit.block_len)


@test("MUST", "RFC 7143 13.1")
def data_digests_alone():
    with digested(("DataDigest",)) as c:
        c.good(read_10(0, 1), read=Unit.block_len)


@test("MUST", "RFC 7143 7.8")
def a_header_digest_error_ends_the_connection():
    with digested(("HeaderDigest",)) as c:
        pdu = bytearray(c.pdu(NOP_OUT, immediate=True, fields={20: NO_TAG, **c.numbers(True)}))
        pdu[-1] ^= 1
        c.send(bytes(pdu))
        check(c.is_closed(), "the connection stays open")


@test("MUST", "RFC 7143 7.8")
def a_data_digest_error_of_a_ping_is_rejected():
    with digested(("DataDigest",)) as c:
        pdu = bytearray(c.pdu(NOP_OUT, data=noise(64), immediate=True, itt=c.tag(),
                              fields={20: NO_TAG, **c.numbers(True)}))
        pdu[-1] ^= 1
        p = c.rejected(bytes(pdu), R_DIGEST)


@test("MUST", "RFC 7143 7.8")
def a_data_digest_error_of_immediate_data_leaves_the_command_to_come_again():
    with digested(("DataDigest",), InitialR2T="No", ImmediateData="Yes") as c:
        writable(c)
        data, sn = noise(Unit.block_len, 42), c.cmd_sn
        old = fill(c, 0, 1, 43)
        sn = c.cmd_sn
        pdu = bytearray(c.command_pdu(write_10(0, 1), write=len(data), data=data))
        itt = c.itt
        pdu[60] ^= 1
        c.send(bytes(pdu))
        p = c.get(REJECT)
        check(p.response == R_DIGEST, p)
        holds_immediately = c.finish(c.ask(read_10(0, 1), read=len(data), immediate=True,
                                           cmd_sn=sn))
        check(holds_immediately.data == old, "damaged data is written")
        check(c.exp_cmd_sn == sn, "the command's number is used up")
        check(c.finish(c.ask(write_10(0, 1), write=len(data), data=data, cmd_sn=sn,
                             itt=itt)).status == GOOD)
        holds(c, 0, data)


@test("MUST", "RFC 7143 7.8")
def a_data_digest_error_of_Data_Out_is_not_written():
    with digested(("DataDigest",), InitialR2T="Yes", ImmediateData="No") as c:
        writable(c)
        old = fill(c, 0, 1, 44)
        itt = c.ask(write_10(0, 1), write=Unit.block_len)
        r2t = c.get(R2T, itt)
        pdu = bytearray(c.pdu(DATA_OUT, F, itt=itt, lun=Settings.lun, data=noise(Unit.block_len),
                              fields={20: r2t.ttt, 28: c.stat_sn}))
        pdu[100] ^= 0x10
        c.send(bytes(pdu))
        check(c.get(REJECT).response == R_DIGEST)
        p = c.get()     # a recovery R2T, or the end of the task
        if p.op == SCSI_RESPONSE:
            check(p.header[3] == CHECK_CONDITION, p)
            holds(c, 0, old)
        else:
            check(p.op == R2T, p)


@test("MUST", "RFC 7143 13.1")
def padding_is_part_of_the_data_digest():
    with digested(("DataDigest",)) as c:
        pdu = bytearray(c.pdu(NOP_OUT, data=noise(61), immediate=True, itt=c.tag(),
                              fields={20: NO_TAG, **c.numbers(True)}))
        pdu[-5] ^= 1        # the last padding byte
        c.rejected(bytes(pdu), R_DIGEST)
