"""Rules of INFO and GO, STRUCTURED_REPLY and EXTENDED_HEADERS."""
import struct

from nbd_rules import *


# INFO and GO ----------------------------------------------------------------------------------

def infos_of(replies):
    return [(struct.unpack(">H", p[:2])[0], p[2:]) for kind, p in replies if kind == REP_INFO]


@test("MUST", "INFO_EXPORT")
def INFO_tells_INFO_EXPORT_unasked():
    with Client() as c:
        kind, _, before = c.option(INFO, info_data())
        found = [p for what, p in infos_of(before) if what == INFO_EXPORT]
        check(kind == ACK and len(found) == 1 and len(found[0]) == 10)


@test("OURS", "INFO")
def INFO_tells_each_item_once_even_if_asked_twice():
    with Client() as c:
        asked = (INFO_BLOCK_SIZE, INFO_EXPORT, INFO_NAME, INFO_BLOCK_SIZE, INFO_NAME)
        kind, _, before = c.option(INFO, info_data(asked))
        if kind != INVALID:
            told = [what for what, _ in infos_of(before)]
            check(len(told) == len(set(told)), told)


@test("MUST", "INFO")
def an_unknown_export_is_ERR_UNKNOWN_to_INFO():
    name = unknown_export()
    with Client() as c:
        check(c.option(INFO, info_data(name=name))[0] == UNKNOWN)


@test("SHOULD", "INFO")
def nothing_is_told_of_an_unknown_export():
    name = unknown_export()
    with Client() as c:
        check(c.option(INFO, info_data(range(4), name=name))[2] == [])


@test("MUST", "GO")
def GO_to_an_unknown_export_leaves_the_client_haggling():
    name = unknown_export()
    with Client() as c:
        check(c.option(GO, info_data(name=name))[0] == UNKNOWN)
        c.go().lives()


@test("MUST", "INFO")
def unknown_information_requests_are_ignored():
    with Client() as c:
        check(c.option(INFO, info_data((7, 0x8000, 0xffff, INFO_NAME)))[0] == ACK)


@test("OURS", "INFO")
def a_thousand_information_requests_are_fine():
    with Client() as c:
        check(c.option(INFO, info_data(range(1000)))[0] == ACK)


@test("MUST", "INFO_NAME")
def INFO_NAME_is_a_name_that_opens():
    with Client() as c:
        names = [p for what, p in infos_of(c.option(INFO, info_data((INFO_NAME,)))[2])
                 if what == INFO_NAME]
        offered(names, "INFO_NAME")
        c.go(name=names[0].decode())


@test("MUST", "INFO_DESCRIPTION")
def INFO_DESCRIPTION_is_a_string():
    with Client() as c:
        found = [p for what, p in infos_of(c.option(INFO, info_data((INFO_DESCRIPTION,)))[2])
                 if what == INFO_DESCRIPTION]
        offered(found, "INFO_DESCRIPTION")
        check(b"\0" not in found[0] and found[0].decode())


def block_sizes():
    with Client() as c:
        found = [p for what, p in infos_of(c.option(INFO, info_data((INFO_BLOCK_SIZE,)))[2])
                 if what == INFO_BLOCK_SIZE]
    offered(found, "INFO_BLOCK_SIZE")
    check(len(found[0]) == 12)
    return struct.unpack(">III", found[0])


@test("MUST", "Size constraints")
def the_minimum_block_is_a_power_of_two_up_to_64k():
    minimum, _, _ = block_sizes()
    check(1 <= minimum <= 65536 and minimum & (minimum - 1) == 0, minimum)


@test("MUST", "Size constraints")
def the_preferred_block_is_a_power_of_two_of_512_or_more():
    minimum, preferred, _ = block_sizes()
    check(preferred & (preferred - 1) == 0 and preferred >= max(512, minimum), preferred)


@test("MUST", "Size constraints")
def the_maximum_payload_is_at_least_the_preferred_block():
    _, preferred, maximum = block_sizes()
    check(maximum >= preferred)


@test("SHOULD", "Size constraints")
def the_maximum_payload_is_at_least_a_megabyte():
    check(block_sizes()[2] >= MIB)


@test("SHOULD", "Size constraints")
def the_size_is_a_multiple_of_the_minimum_block():
    with simple((INFO_BLOCK_SIZE,)) as c:
        check(c.size % c.blocks[0] == 0)


@test("MUST", "INFO")
def GO_tells_what_INFO_told():
    with Client() as c:
        told = sorted(c.option(INFO, info_data(range(4)))[2])
        check(sorted(c.option(GO, info_data(range(4)))[2]) == told)


@test("MUST", "GO")
def GO_is_never_padded():
    with Client(flags=1) as c:
        c.go()
        check(c.silent())


@test("MUST", "INFO")
def INFO_does_not_enter_transmission():
    with Client() as c:
        c.option(INFO, info_data())
        c.in_step()


@test("OURS", "INFO")
def INFO_may_be_repeated():
    with Client() as c:
        for _ in range(20):
            check(c.option(INFO, info_data())[0] == ACK)


@test("OURS", "GO")
def GO_to_the_empty_name_is_the_default_export():
    with Client() as c:
        c.go(name="").lives()


@test("MUST", "INFO")
def a_name_longer_than_the_data_is_invalid():
    malformed(INFO, struct.pack(">I", 100) + b"abc\0\0")


@test("MUST", "INFO")
def a_name_of_4_GiB_is_invalid():
    malformed(GO, struct.pack(">I", 0xffffffff) + b"abc\0\0", (INVALID, TOO_BIG))


@test("MUST", "INFO")
def INFO_without_a_count_is_invalid():
    malformed(INFO, info_data()[:-2])


@test("MUST", "INFO")
def fewer_information_requests_than_counted_are_invalid():
    malformed(GO, info_data((1, 2, 3))[:-2])


@test("OURS", "INFO")
def more_information_requests_than_counted_are_invalid():
    malformed(INFO, info_data((1, 2)) + b"\0\3")


@test("MUST", "INFO")
def INFO_without_data_is_invalid():
    malformed(INFO, b"")


@test("OURS", "Conventions for strings")
def a_name_with_a_NUL_is_refused():
    malformed(INFO, info_data(name="a\0b"), (INVALID, UNKNOWN))


@test("OURS", "Conventions for strings")
def a_name_longer_than_4096_bytes_is_refused():
    malformed(INFO, info_data(name="x" * 4097), (INVALID, UNKNOWN, TOO_BIG))


@test("OURS", "Conventions for strings")
def a_name_of_4096_bytes_is_unknown():
    unknown_export()
    malformed(INFO, info_data(name="x" * 4096), (UNKNOWN,))


@test("OURS", "TOO_BIG")
def an_option_of_a_megabyte_is_refused_and_drained():
    malformed(INFO, info_data() + bytes(MIB), (TOO_BIG, INVALID))


# STRUCTURED_REPLY, EXTENDED_HEADERS -----------------------------------------------------------

@test("OURS", "STRUCTURED_REPLY")
def STRUCTURED_REPLY_is_acknowledged():
    Client().want_structured().s.close()


@test("SHOULD", "STRUCTURED_REPLY")
def STRUCTURED_REPLY_with_data_is_invalid():
    malformed(STRUCTURED_REPLY, b"data")


@test("OURS", "Fixed newstyle negotiation")
def STRUCTURED_REPLY_twice_is_harmless():
    with Client().want_structured() as c:
        check(c.option(STRUCTURED_REPLY)[0] in (ACK, INVALID))
        c.go().lives()


@test("MUST", "Transmission flags")
def SEND_DF_is_set_with_structured_replies_only():
    with simple() as plain, structured() as c:
        check(not plain.flags & F_DF)
        offered(c.flags & F_DF, "DF")


@test("SHOULD", "EXT EXTENDED_HEADERS")
def EXTENDED_HEADERS_is_acknowledged_without_structured_replies():
    Client().want_extended().s.close()


@test("MUST", "EXT EXTENDED_HEADERS")
def EXTENDED_HEADERS_take_precedence_over_structured_replies():
    with Client().want_structured().want_extended().go() as c:
        c.lives()


@test("SHOULD", "EXT EXTENDED_HEADERS")
def EXTENDED_HEADERS_with_data_is_invalid():
    malformed(EXTENDED_HEADERS, b"data")


@test("MUST", "EXT STRUCTURED_REPLY")
def STRUCTURED_REPLY_after_EXTENDED_HEADERS_is_EXT_HEADER_REQD():
    with Client().want_extended() as c:
        check(c.option(STRUCTURED_REPLY)[0] == EXT_HEADER_REQD)
        c.go().lives()
