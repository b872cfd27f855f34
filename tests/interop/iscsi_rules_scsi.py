"""Rules of SPC-4 and SAM-5: logical units, allocation lengths, sense data, mode pages, reports."""
from iscsi_rules import *

NO_UNIT = 200       # nobody has as many


# Logical units -------------------------------------------------------------------------------------

@test("MUST", "SPC-4 6.6.2")
def INQUIRY_of_a_unit_that_is_not_there_has_qualifier_3():
    with Client().ready() as c:
        data = c.good(inquiry(36), read=36, lun=NO_UNIT).data
        check(data[0] == 0x7f, "byte 0 is %#x" % data[0])


@test("MUST", "SAM-5 5.11")
def a_command_to_a_unit_that_is_not_there_is_refused():
    with Client().ready() as c:
        for cdb, read in ((TUR, None), (read_10(0, 1), 512), (read_capacity_10(), 8),
                          (mode_sense_6(0x3f, 4), 4), (bytes([0xff]), None)):
            c.fails(NO_LUN, cdb, read=read, lun=NO_UNIT)


@test("MUST", "SAM-5 5.11")
def a_write_to_a_unit_that_is_not_there_is_refused():
    with Client().ready() as c:
        result = c.scsi(write_10(0, 1), write=bytes(512), lun=NO_UNIT)
        check(result.status == CHECK_CONDITION and result.key == NO_LUN, result)


@test("MUST", "SAM-5 5.11")
def REQUEST_SENSE_of_a_unit_that_is_not_there_tells_so():
    with Client().ready() as c:
        data = c.good(request_sense(252), read=252, lun=NO_UNIT).data
        check(data[2] & 15 == 5 and data[12] == 0x25, data)


@test("MUST", "SPC-4 6.33")
def REPORT_LUNS_is_answered_by_LUN_0():
    with Client() as c:
        data = c.good(report_luns(4096), read=4096, lun=0).data
        n = be(data[:4])
        check(n % 8 == 0 and len(data) == n + 8, n, len(data))
        luns = [data[i:i + 8] for i in range(8, 8 + n, 8)]
        check(lun_bytes(Settings.lun) in luns, luns)
        check(len(set(luns)) == len(luns), "a LUN twice")


@test("MUST", "SPC-4 6.33")
def REPORT_LUNS_with_an_unknown_selection_is_refused():
    with Client().ready() as c:
        for select in (3, 0x0f, 0xff):
            c.fails(INVALID_FIELD, report_luns(4096, select), read=4096, lun=Settings.lun)


@test("MUST", "SPC-4 6.33")
def REPORT_LUNS_of_well_known_units_has_no_others():
    with Client().ready() as c:
        data = c.good(report_luns(4096, 1), read=4096).data
        check(all(data[i] == 0xc1 for i in range(8, len(data), 8)), data)


@test("MUST", "SAM-5 4.7.7.4")
def a_LUN_below_256_may_come_in_flat_form():
    with Client().ready() as c:
        flat = struct.pack(">HHI", 0x4000 | Settings.lun, 0, 0)
        c.good(TUR, lun=flat)


@test("MUST", "SAM-5 4.7")
def LUNs_of_other_forms_are_no_units():
    with Client().ready() as c:
        for lun in (b"\x01\x00".ljust(8, b"\0"), b"\x80\x00".ljust(8, b"\0"), b"\xff" * 8,
                    lun_bytes(Settings.lun)[:2] + b"\0\1\0\0\0\0", lun_bytes(300),
                    b"\xc1\x01".ljust(8, b"\0"), b"\x7f\xff".ljust(8, b"\0")):
            result = c.scsi(TUR, lun=lun)
            check(result.status == CHECK_CONDITION and result.key == NO_LUN, lun.hex(), result)


@test("MUST", "SAM-5 5.14")
def INQUIRY_and_REPORT_LUNS_do_not_tell_of_unit_attentions():
    with Client() as c:
        c.good(inquiry(36), read=36)
        c.good(report_luns(4096), read=4096)
        check(c.scsi(TUR).key in POWER_ON, "the unit attention is gone")


@test("MUST", "SAM-5 5.14")
def a_new_nexus_is_told_of_the_power_on_first():
    with Client() as c:
        result = c.scsi(TUR)
        check(result.status == CHECK_CONDITION and result.key in POWER_ON, result)


@test("MUST", "SPC-4 6.39")
def REQUEST_SENSE_takes_the_unit_attention():
    with Client() as c:
        data = c.good(request_sense(252), read=252).data
        check(data[2] & 15 == 6 and data[12] == 0x29, data)
        c.good(TUR)


@test("MUST", "SPC-4 6.39")
def REQUEST_SENSE_without_anything_to_tell_is_NO_SENSE():
    with Client().ready() as c:
        data = c.good(request_sense(252), read=252).data
        check(data[0] & 0x7f == 0x70 and data[2] & 15 == 0 and data[12:14] == b"\0\0", data)


@test("MUST", "SPC-4 6.39")
def REQUEST_SENSE_in_descriptor_format():
    with Client().ready() as c:
        result = c.scsi(request_sense(252, 1), read=252)
        if result.status == CHECK_CONDITION:
            check(result.key == INVALID_FIELD, result)
            raise NotOffered("descriptor format")
        check(result.data[0] & 0x7f == 0x72 and result.data[1] & 15 == 0, result.data)


# Opcodes -------------------------------------------------------------------------------------------

@test("MUST", "SPC-4 4.5.6")
def unknown_opcodes_are_invalid():
    with Client().ready() as c:
        for opcode in (0x02, 0x06, 0x0f, 0x3e, 0x47, 0x6e, 0x87, 0xb5, 0xbf, 0xc0, 0xe0, 0xff):
            result = c.scsi(bytes([opcode]).ljust(16, b"\0"))
            check(result.status == CHECK_CONDITION and result.key in (INVALID_OPCODE,
                                                                     INVALID_FIELD), "%#x" % opcode,
                  result)


@test("MUST", "SPC-4 4.5.6")
def every_opcode_is_answered():
    with Client().ready() as c:
        for opcode in range(256):
            if opcode in (0x04, 0x1b, 0x48):      # FORMAT UNIT, START STOP UNIT, SANITIZE: done
                continue
            result = c.scsi(bytes([opcode]).ljust(16, b"\0"), read=512)
            check(result.status in (GOOD, CHECK_CONDITION, CONDITION_MET, CONFLICT), "%#x" % opcode,
                  result)
        c.ready()


@test("MUST", "SPC-4 4.2.5.1")
def reserved_bits_of_a_CDB_are_refused():
    with session() as c:
        cdb = bytearray(read_10(0, 1))
        cdb[6] = 0x80
        result = c.scsi(bytes(cdb), read=Unit.block_len)
        # SPC-4 §4.2.1 lets a unit ignore them.
        check(result.status == GOOD or result.key == INVALID_FIELD, result)


@test("MUST", "SPC-4 4.2.7")
def NACA_is_refused_where_NORMACA_is_0():
    with Client().ready() as c:
        if c.good(inquiry(36), read=36).data[3] & 0x20:
            raise NotHere("NORMACA is 1")
        c.fails(INVALID_FIELD, bytes([0, 0, 0, 0, 0, 4]))


@test("MUST", "SPC-4 6.6.1")
def INQUIRY_of_a_page_without_EVPD_is_refused():
    with Client().ready() as c:
        c.fails(INVALID_FIELD, bytes([0x12, 0, 0x80, 0, 36, 0]), read=36)


@test("MUST", "SPC-4 6.6.1")
def INQUIRY_of_an_unknown_page_is_refused():
    with Client().ready() as c:
        listed = c.good(inquiry(255, 0), read=255).data[4:]
        for page in sorted({0x81, 0x82, 0x9f, 0xbf, 0xff} - set(listed)):
            c.fails(INVALID_FIELD, inquiry(255, page), read=255)


@test("MUST", "SPC-4 7.8.15")
def the_list_of_pages_is_in_ascending_order_and_true():
    with Client().ready() as c:
        data = c.good(inquiry(255, 0), read=255).data
        pages = list(data[4:4 + be(data[2:4])])
        check(pages == sorted(set(pages)) and {0, 0x83} <= set(pages), pages)
        for page in pages:
            found = c.good(inquiry(255, page), read=255).data
            check(found[1] == page and len(found) == min(255, 4 + be(found[2:4])), "page %#x" % page)


# Allocation lengths ----------------------------------------------------------------------------------

def log_sense(page, alloc):
    return struct.pack(">BBBBBHHB", 0x4d, 0, 0x40 | page, 0, 0, 0, alloc, 0)


def has_log_page(c, page):
    pages = has(c, c.scsi(log_sense(0, 512), read=512), "LOG SENSE").data[4:]
    offered(page in pages, "log page %02X" % page)


def cut(make, largest, there=lambda c: None):
    """The answer is the same whatever the room for it, but for where it ends."""
    with session() as c:
        there(c)
        full = has(c, c.scsi(make(largest), read=largest), "the command")
        check(full.status == GOOD, full)
        data = full.data
        lengths = {0, 1, 2, 3, 4, 5, 7, 8, 11, 12, 15, 16, len(data) - 1, len(data), len(data) + 1}
        for alloc in sorted(n for n in lengths if 0 <= n <= largest):
            result = c.scsi(make(alloc), read=alloc)
            check(result.status == GOOD, "allocation length", alloc, result)
            check(result.data == data[:alloc], "allocation length", alloc, "gives",
                  len(result.data), "bytes, not the first of", len(data))
            short = min(0, len(data) - alloc)
            check(result.residual == short, "allocation length", alloc, "residual",
                  result.residual)
        # More is expected than allocated.
        result = c.scsi(make(4), read=64)
        check(result.data == data[:4] and result.residual == len(result.data) - 64, result)


CUT = {
    "INQUIRY": (lambda n: inquiry(n), 252, "SPC-4 6.6"),
    "REQUEST SENSE": (lambda n: request_sense(n), 252, "SPC-4 6.39"),
    "READ CAPACITY 16": (lambda n: read_capacity_16(n), 64, "SBC-3 5.16"),
    "MODE SENSE 6": (lambda n: mode_sense_6(0x3f, n), 252, "SPC-4 6.11"),
    "MODE SENSE 10": (lambda n: mode_sense_10(0x3f, n), 4096, "SPC-4 6.12"),
    "MODE SENSE 6 of page 08": (lambda n: mode_sense_6(8, n), 252, "SPC-4 6.11"),
    "REPORT LUNS": (lambda n: report_luns(n), 4096, "SPC-4 6.33"),
    "REPORT SUPPORTED OPERATION CODES": (report_opcodes, 65536, "SPC-4 6.35"),
    "REPORT SUPPORTED OPERATION CODES with timeouts":
        (lambda n: report_opcodes(n, rctd=1), 65536, "SPC-4 6.35"),
    "REPORT SUPPORTED OPERATION CODES of one":
        (lambda n: report_opcodes(n, 1, 0x28), 512, "SPC-4 6.35"),
    "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS":
        (lambda n: struct.pack(">BBBBHIBB", 0xa3, 0x0d, 0, 0, 0, n, 0, 0), 64, "SPC-4 6.36"),
    "REPORT TARGET PORT GROUPS":
        (lambda n: struct.pack(">BBBBHIBB", 0xa3, 0x0a, 0, 0, 0, n, 0, 0), 512, "SPC-4 6.37"),
    "PERSISTENT RESERVE IN, READ KEYS": (lambda n: pr_in(0, n), 512, "SPC-4 6.15.2"),
    "PERSISTENT RESERVE IN, READ RESERVATION": (lambda n: pr_in(1, n), 512, "SPC-4 6.15.3"),
    "PERSISTENT RESERVE IN, REPORT CAPABILITIES": (lambda n: pr_in(2, n), 512, "SPC-4 6.15.4"),
    "PERSISTENT RESERVE IN, READ FULL STATUS": (lambda n: pr_in(3, n), 512, "SPC-4 6.15.5"),
    "READ DEFECT DATA 10": (lambda n: struct.pack(">BBB4xHB", 0x37, 0, 0x18, n, 0), 64,
                            "SBC-3 5.18"),
    "READ DEFECT DATA 12": (lambda n: struct.pack(">BBIIBB", 0xb7, 0x18, 0, n, 0, 0), 64,
                            "SBC-3 5.19"),
    "RECEIVE COPY RESULTS": (lambda n: struct.pack(">BB8xIBB", 0x84, 3, n, 0, 0), 512,
                             "SPC-4 6.24"),
}


def add_cuts():
    for name, (make, largest, section) in CUT.items():
        def rule(make=make, largest=largest):
            cut(make, largest)
        rule.__name__ = "the_allocation_length_of_" + name + "_only_cuts"
        test("MUST", section)(rule)
    for page, section in ((0x00, "SPC-4 7.3.14"), (0x0c, "SBC-3 6.4.4"), (0x0d, "SPC-4 7.3.20")):
        def rule(page=page):
            cut(lambda n: log_sense(page, n), 512, lambda c: has_log_page(c, page))
        rule.__name__ = "the_allocation_length_of_LOG_SENSE,_page_%02X,_only_cuts" % page
        test("MUST", section)(rule)
    for page in (0x00, 0x80, 0x83, 0x86, 0x87, 0x88, 0xb0, 0xb1, 0xb2):
        def rule(page=page):
            with Client().ready() as c:
                listed = c.good(inquiry(255, 0), read=255).data[4:]
                offered(page in listed, "page %02X" % page)
            cut(lambda n: inquiry(n, page), 252)
        rule.__name__ = "the_allocation_length_of_INQUIRY,_page_%02X,_only_cuts" % page
        test("MUST", "SPC-4 7.8")(rule)


add_cuts()


@test("MUST", "SPC-4 6.15.2")
def READ_KEYS_tells_the_whole_length_when_it_is_cut():
    with writing() as c:
        key = 0x1122334455667788
        has(c, c.scsi(pr_out(6), write=pr_list(new_key=key)), "PERSISTENT RESERVE")
        try:
            data = c.good(pr_in(0, 8), read=8).data
            check(be(data[4:8]) == 8, "additional length", be(data[4:8]))
        finally:
            c.good(pr_out(6), write=pr_list())


# REPORT SUPPORTED OPERATION CODES --------------------------------------------------------------------

def supports_report(c):
    has(c, c.scsi(report_opcodes(4), read=4), "REPORT SUPPORTED OPERATION CODES")
    return c


@test("MUST", "SPC-4 6.35")
def the_list_of_opcodes_is_in_whole_descriptors_and_without_repetition():
    with supports_report(session()) as c:
        data = c.good(report_opcodes(65536), read=65536).data
        check(be(data[:4]) == len(data) - 4 and (len(data) - 4) % 8 == 0, len(data))
        seen = [(data[i], be(data[i + 2:i + 4]) if data[i + 5] & 1 else None)
                for i in range(4, len(data), 8)]
        check(len(set(seen)) == len(seen), "an opcode twice")
        check({0x00, 0x12, 0xa0} <= {opcode for opcode, _ in seen}, seen)


@test("MUST", "SPC-4 6.35")
def every_opcode_of_the_list_is_told_alone_too_and_is_as_long():
    with supports_report(session()) as c:
        data = c.good(report_opcodes(65536), read=65536).data
        for i in range(4, len(data), 8):
            has_sa, length = data[i + 5] & 1, be(data[i + 6:i + 8])
            one = c.good(report_opcodes(64, 2 if has_sa else 1, data[i], be(data[i + 2:i + 4])),
                         read=64).data
            check(one[1] & 7 == 3 and be(one[2:4]) == length, "opcode %#x" % data[i], one)
            check(one[4] == data[i], "the usage map begins with %#x" % one[4])


@test("MUST", "SPC-4 6.35")
def an_opcode_that_there_is_not_is_told_as_such():
    with supports_report(session()) as c:
        check(c.good(report_opcodes(64, 1, 0xc7), read=64).data[1] & 7 == 1)


@test("MUST", "SPC-4 6.35")
def an_opcode_with_service_actions_is_refused_without_one():
    with supports_report(session()) as c:
        c.fails(INVALID_FIELD, report_opcodes(64, 1, 0x9e), read=64)


@test("MUST", "SPC-4 6.35")
def an_opcode_without_service_actions_is_refused_with_one():
    with supports_report(session()) as c:
        c.fails(INVALID_FIELD, report_opcodes(64, 2, 0x28, 0), read=64)


@test("MUST", "SPC-4 6.35")
def unknown_reporting_options_are_refused():
    with supports_report(session()) as c:
        for option in (4, 5, 6, 7):
            c.fails(INVALID_FIELD, report_opcodes(64, option, 0x28), read=64)


@test("MUST", "SPC-4 6.35")
def service_actions_from_0_to_ffff_are_answered():
    with supports_report(session()) as c:
        actions = (*range(64), *range(64, 0x10000, 251), 0x7fff, 0x8000, 0xffff)
        for opcode in (0x5e, 0x5f, 0x7f, 0x83, 0x84, 0x9e, 0x9f, 0xa3, 0xa4):
            for batch in range(0, len(actions), 32):
                sent = [c.ask(report_opcodes(64, 2, opcode, sa), read=64)
                        for sa in actions[batch:batch + 32]]
                for itt in sent:
                    result = c.finish(itt)
                    check(result.status == GOOD or result.key == INVALID_FIELD, result)
                    if result.status == GOOD:
                        check(result.data[1] & 7 in (1, 3), "support", result.data[1])
                        check(len(result.data) <= 4 + 32 + 12, len(result.data), "bytes")


# Mode pages ------------------------------------------------------------------------------------------

@test("MUST", "SPC-4 6.11")
def an_unknown_mode_page_is_refused():
    with Client().ready() as c:
        for page in (0x3e, 0x2a, 0x0f):
            c.fails(INVALID_FIELD, mode_sense_6(page, 252), read=252)


@test("MUST", "SPC-4 6.11")
def saved_values_are_refused_where_none_are_saved():
    with Client().ready() as c:
        result = c.scsi(mode_sense_6(8, 252, pc=3), read=252)
        check(result.status == GOOD or result.key == SAVING_UNSUPPORTED, result)


@test("MUST", "SPC-4 6.11")
def changeable_and_default_pages_are_as_long_as_the_current_ones():
    with Client().ready() as c:
        pages = [c.good(mode_sense_10(0x3f, 4096, pc), read=4096).data for pc in (0, 1, 2)]
        check(len({len(p) for p in pages}) == 1, [len(p) for p in pages])


@test("MUST", "SPC-4 6.11")
def DBD_leaves_out_the_block_descriptor():
    with Client().ready() as c:
        data = c.good(mode_sense_6(8, 252, dbd=1), read=252).data
        check(data[3] == 0 and data[4] & 0x3f == 8, data)
        data = c.good(mode_sense_10(8, 252, dbd=1), read=252).data
        check(be(data[6:8]) == 0 and data[8] & 0x3f == 8, data)


def page_8(c, pc=0):
    return c.good(mode_sense_10(8, 252, pc, dbd=1), read=252).data[8:]


def select(c, page, **how):
    data = bytes(8) + page
    return c.scsi(mode_select_10(len(data), **how), write=data)


def with_mode_select():
    c = writing()
    page = bytearray(page_8(c))
    page[0] &= 0x3f
    has(c, select(c, bytes(page)), "MODE SELECT")
    return c, page


@test("MUST", "SPC-4 6.10")
def MODE_SELECT_of_what_is_current_is_taken():
    c, page = with_mode_select()
    with c:
        check(select(c, bytes(page)).status == GOOD)


@test("MUST", "SPC-4 6.9")
def MODE_SELECT_without_a_list_changes_nothing():
    with writing() as c:
        has(c, c.scsi(mode_select_10(0)), "MODE SELECT")
        c.good(mode_select_10(0))


@test("MUST", "SPC-4 6.9")
def MODE_SELECT_of_what_is_not_changeable_is_refused():
    c, page = with_mode_select()
    with c:
        changeable = page_8(c, 1)
        for i in range(2, len(page)):
            for bit in range(8):
                if not changeable[i] >> bit & 1:
                    wrong = bytearray(page)
                    wrong[i] ^= 1 << bit
                    result = select(c, bytes(wrong))
                    check(result.status == CHECK_CONDITION and result.key == PARAMETER_FIELD,
                          "byte", i, "bit", bit, result)


@test("MUST", "SPC-4 6.9")
def MODE_SELECT_with_a_wrong_page_length_is_refused():
    c, page = with_mode_select()
    with c:
        for n in (0, page[1] - 1, page[1] + 1, 0xff):
            wrong = bytearray(page)
            wrong[1] = n
            result = select(c, bytes(wrong))
            check(result.status == CHECK_CONDITION and result.key in (PARAMETER_FIELD,
                                                                     PARAMETER_LENGTH), n, result)


@test("MUST", "SPC-4 6.9")
def a_mode_page_that_is_cut_short_is_refused():
    c, page = with_mode_select()
    with c:
        for n in (1, 2, len(page) - 1):
            result = select(c, bytes(page[:n]))
            check(result.status == CHECK_CONDITION and result.key in (PARAMETER_LENGTH,
                                                                     PARAMETER_FIELD), n, result)
        for n in range(1, 8):
            result = c.scsi(mode_select_10(n), write=bytes(n))
            check(result.status == CHECK_CONDITION and result.key == PARAMETER_LENGTH, n, result)


@test("MUST", "SPC-4 6.9")
def MODE_SELECT_of_an_unknown_page_is_refused():
    c, _ = with_mode_select()
    with c:
        result = select(c, bytes([0x3e, 2, 0, 0]))
        check(result.status == CHECK_CONDITION and result.key == PARAMETER_FIELD, result)


@test("MUST", "SPC-4 6.9")
def MODE_SELECT_cannot_save_where_nothing_is_saved():
    c, page = with_mode_select()
    with c:
        if page_8(c)[0] & 0x80:
            raise NotHere("the page can be saved")
        result = select(c, bytes(page), sp=1)
        check(result.status == CHECK_CONDITION and result.key == INVALID_FIELD, result)


@test("MUST", "SPC-4 5.8, SAM-5 5.14")
def a_changed_mode_page_is_told_to_the_other_nexuses_only():
    c, page = with_mode_select()
    with c, session() as other:
        if not page_8(c, 1)[2] & 4:
            raise NotOffered("a changeable WCE")
        try:
            changed = bytearray(page)
            changed[2] ^= 4
            check(select(c, bytes(changed)).status == GOOD)
            c.good(TUR)
            result = other.scsi(TUR)
            check(result.key == 0x62a01, result)
            check(page_8(other)[2] == changed[2], "another nexus sees another value")
        finally:
            select(c, bytes(page))
            other.ready()


@test("MUST", "SPC-4 7.5.8")
def D_SENSE_makes_sense_data_descriptors():
    with writing() as c:
        page = bytearray(c.good(mode_sense_10(0x0a, 252, dbd=1), read=252).data[8:])
        changeable = c.good(mode_sense_10(0x0a, 252, 1, dbd=1), read=252).data[8:]
        offered(changeable[2] & 4, "a changeable D_SENSE")
        page[0] &= 0x3f
        try:
            page[2] |= 4
            check(select(c, bytes(page)).status == GOOD)
            result = c.scsi(read_16(Unit.blocks, 1), read=Unit.block_len)
            check(result.sense[0] & 0x7f == 0x72 and result.key == LBA_RANGE, result)
            check(result.sense[7] == len(result.sense) - 8, "additional length", result.sense)
        finally:
            page[2] &= ~4
            select(c, bytes(page))


@test("MUST", "SPC-4 4.5.3")
def fixed_sense_data_has_its_length():
    with session() as c:
        sense = c.scsi(read_16(Unit.blocks, 1), read=Unit.block_len).sense
        check(sense[0] & 0x7f == 0x70 and sense[7] == len(sense) - 8, sense)


@test("SHOULD", "SPC-4 4.5.2.4.2")
def sense_data_points_at_the_field_that_is_wrong():
    with Client().ready() as c:
        sense = c.scsi(report_luns(4096, 0x77), read=4096).sense
        check(sense[15] & 0xc0 == 0xc0 and be(sense[16:18]) == 2, sense)


# The rest ----------------------------------------------------------------------------------------------

@test("MUST", "SPC-4 6.42")
def SEND_DIAGNOSTIC_tests_itself():
    with session() as c:
        c.good(bytes([0x1d, 4, 0, 0, 0, 0]))


@test("MUST", "SPC-4 6.42")
def SEND_DIAGNOSTIC_of_an_unknown_page_is_refused():
    with session() as c:
        result = c.scsi(bytes([0x1d, 0x10, 0, 0, 4, 0]), write=bytes([0x7f, 0, 0, 0]))
        check(result.status == CHECK_CONDITION and result.key in (INVALID_FIELD, PARAMETER_FIELD),
              result)


@test("MUST", "SBC-3 5.9")
def PREVENT_ALLOW_MEDIUM_REMOVAL_is_there():
    with session() as c:
        result = has(c, c.scsi(bytes([0x1e, 0, 0, 0, 1, 0])), "PREVENT ALLOW MEDIUM REMOVAL")
        check(result.status == GOOD, result)
        c.good(bytes([0x1e, 0, 0, 0, 0, 0]))


@test("MUST", "SPC-4 6.15.1")
def unknown_actions_of_PERSISTENT_RESERVE_are_refused():
    with session() as c:
        has(c, c.scsi(pr_in(0, 8), read=8), "PERSISTENT RESERVE")
        for action in (4, 9, 0x1f):
            c.fails(INVALID_FIELD, pr_in(action, 64), read=64)
        for action in (8, 9, 0x1f):
            result = c.scsi(pr_out(action), write=pr_list())
            check(result.status == CHECK_CONDITION and result.key == INVALID_FIELD, result)


@test("MUST", "SPC-4 6.16.3")
def a_parameter_list_of_the_wrong_length_is_refused():
    with session() as c:
        has(c, c.scsi(pr_in(0, 8), read=8), "PERSISTENT RESERVE")
        for n in (0, 1, 8, 23, 25):
            result = c.scsi(pr_out(0, length=n), write=bytes(n) if n else None)
            check(result.status == CHECK_CONDITION and result.key in (
                PARAMETER_LENGTH, INVALID_FIELD, PARAMETER_FIELD), n, result)


@test("MUST", "SPC-4 5.12.1")
def a_reservation_holds_others_off_but_not_their_reports():
    with writing() as c, session() as other:
        key = 0x5566778811223344
        has(c, c.scsi(pr_out(6), write=pr_list(new_key=key)), "PERSISTENT RESERVE")
        try:
            c.good(pr_out(1, 1), write=pr_list(key))        # write exclusive
            check(other.scsi(write_10(0, 1), write=bytes(Unit.block_len)).status == CONFLICT)
            other.good(read_10(0, 1), read=Unit.block_len)
            other.good(inquiry(36), read=36)
            other.good(TUR)
            other.good(pr_in(1, 64), read=64)
        finally:
            c.good(pr_out(3), write=pr_list(key))           # CLEAR
            other.ready()


@test("MUST", "SPC-4 6.3.1")
def EXTENDED_COPY_to_units_that_are_not_mapped_reads_and_writes_nothing():
    # CVE-2020-28374, CVE-2021-3139: one identification descriptor (NAA) as source and target.
    with writing() as c:
        naa = struct.pack(">BBBB8s", 1, 3, 0, 8, bytes.fromhex("5000c50012345678"))
        target = struct.pack(">BBH", 0xe4, 0, 0) + naa.ljust(24, b"\0")
        target += struct.pack(">B", 0) + Unit.block_len.to_bytes(3, "big")
        segment = struct.pack(">BBHHHHHQQ", 2, 0, 0x18, 0, 1, 0, 1, 0, 100)
        body = struct.pack(">BBH4xII", 0, 0, 64, len(segment), 0) + target * 2 + segment
        cdb = struct.pack(">BB8xIBB", 0x83, 0, len(body), 0, 0)
        result = has(c, c.scsi(cdb, write=body), "EXTENDED COPY")
        check(result.status == CHECK_CONDITION and result.key >> 16 in (0x0a, 5), result)
