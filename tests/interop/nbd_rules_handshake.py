"""Rules of the handshake phase: greeting, client flags, the simpler options."""
import struct

from nbd_rules import *


# Greeting and client flags --------------------------------------------------------------------

@test("MUST", "Newstyle negotiation")
def the_greeting_is_NBDMAGIC_then_IHAVEOPT():
    with Client() as c:
        check(struct.unpack(">QQ", c.greeting[:16]) == (NBDMAGIC, IHAVEOPT), c.greeting)


@test("MUST", "Handshake flags")
def FIXED_NEWSTYLE_is_set():
    with Client() as c:
        check(c.greeting[17] & 1)


@test("MUST", "Handshake flags")
def no_unknown_handshake_flag_is_set():
    with Client() as c:
        check(struct.unpack(">H", c.greeting[16:])[0] & ~3 == 0)


@test("MUST", "Newstyle negotiation")
def nothing_follows_the_greeting_unasked():
    with Client() as c:
        check(c.silent())


@test("MUST", "Client flags")
def an_unknown_client_flag_drops_the_connection():
    with Client(flags=3 | 4) as c:
        check(c.is_closed())


@test("MUST", "Client flags")
def an_unknown_high_client_flag_drops_the_connection():
    with Client(flags=3 | 1 << 31) as c:
        check(c.is_closed())


@test("OURS", "Newstyle negotiation")
def client_flags_may_come_byte_by_byte():
    with Client(greet=False) as c:
        c.recv(18)
        for byte in b"\0\0\0\3":
            c.send(bytes([byte]))
        c.in_step()


@test("OURS", "Newstyle negotiation")
def an_option_may_come_byte_by_byte():
    with Client() as c:
        for byte in struct.pack(">QII", IHAVEOPT, GO, len(info_data())) + info_data():
            c.send(bytes([byte]))
        check(c.option_reply(GO)[0] == REP_INFO)


@test("OURS", "Newstyle negotiation")
def a_wrong_option_magic_drops_the_connection():
    with Client() as c:
        c.send(struct.pack(">QII", IHAVEOPT + 1, LIST, 0))
        check(c.is_closed())


@test("MUST", "EXPORT_NAME")
def a_client_without_fixed_newstyle_gets_in_by_EXPORT_NAME():
    with Client(flags=2) as c:
        c.export_name().lives()


@test("OURS", "EXPORT_NAME")
def a_client_without_fixed_newstyle_cannot_use_other_options():
    with Client(flags=2) as c:
        c.send_option(LIST)
        check(c.is_closed())


# EXPORT_NAME ----------------------------------------------------------------------------------

@test("SHOULD", "Maximum interoperability")
def EXPORT_NAME_enters_transmission():
    with Client() as c:
        c.export_name().lives()


@test("MUST", "Newstyle negotiation")
def EXPORT_NAME_is_followed_by_124_zeroes():
    with Client(flags=1) as c:
        c.export_name()
        check(c.recv(124) == bytes(124))
        c.lives()


@test("MUST", "Handshake flags")
def EXPORT_NAME_is_not_padded_with_NO_ZEROES():
    with Client(flags=3) as c:
        c.export_name()
        check(c.silent())


@test("MUST", "EXPORT_NAME")
def EXPORT_NAME_of_an_unknown_export_closes():
    name = unknown_export()
    with Client() as c:
        c.send_option(EXPORT_NAME, name.encode())
        check(c.is_closed())


@test("MUST", "Transmission flags")
def EXPORT_NAME_tells_HAS_FLAGS_and_the_size_that_INFO_tells():
    with Client() as c, simple() as other:
        c.export_name()
        check(c.flags & F_HAS_FLAGS and c.size == other.size)


@test("OURS", "EXPORT_NAME")
def the_empty_name_is_the_default_export():
    with Client() as c:
        c.export_name("").lives()


@test("OURS", "Conventions for strings")
def EXPORT_NAME_longer_than_4096_bytes_closes():
    with Client() as c:
        c.send_option(EXPORT_NAME, b"x" * 5000)
        check(c.is_closed())


@test("OURS", "Conventions for strings")
def EXPORT_NAME_with_a_huge_length_closes():
    with Client() as c:
        c.send_option(EXPORT_NAME, length=0xffffffff)
        check(c.is_closed())


@test("MUST", "Transmission flags")
def EXPORT_NAME_without_STRUCTURED_REPLY_has_no_SEND_DF():
    with Client() as c:
        check(not c.export_name().flags & F_DF)


@test("MUST", "STRUCTURED_REPLY")
def STRUCTURED_REPLY_holds_for_EXPORT_NAME_too():
    with Client().want_structured() as c:
        check(not c.export_name().request(READ, 0, 512).simple)


@test("OURS", "EXT EXPORT_NAME")
def EXPORT_NAME_after_EXTENDED_HEADERS_closes():
    with Client().want_extended() as c:
        c.send_option(EXPORT_NAME, encoded(None))
        check(c.is_closed())


# ABORT, LIST, STARTTLS, unknown options -------------------------------------------------------

@test("MUST", "ABORT")
def ABORT_is_acknowledged():
    with Client() as c:
        check(c.option(ABORT)[0] == ACK)


@test("SHOULD", "ABORT")
def ABORT_with_data_is_acknowledged():
    with Client() as c:
        check(c.option(ABORT, b"farewell")[0] == ACK)


@test("OURS", "Termination of the session during option haggling")
def the_session_ends_after_ABORT():
    with Client() as c:
        c.option(ABORT)
        check(c.is_closed())


@test("SHOULD", "ABORT")
def a_client_may_ABORT_and_not_wait():
    for _ in range(10):
        with Client() as c:
            c.send_option(ABORT)
    simple().s.close()


@test("MUST", "Baseline")
def LIST_ends_in_ACK():
    with Client() as c:
        check(c.option(LIST)[0] == ACK)


@test("MUST", "SERVER")
def LIST_tells_names_whose_length_fits():
    with Client() as c:
        for kind, payload in c.option(LIST)[2]:
            n, = struct.unpack(">I", payload[:4])
            check(kind == REP_SERVER and n <= min(4096, len(payload) - 4))
            payload[4:].decode()
            check(b"\0" not in payload[4:], "a NUL")


@test("OURS", "LIST")
def LIST_tells_the_export_and_it_can_be_opened_by_that_name():
    with Client() as c:
        names = [p[4:4 + struct.unpack(">I", p[:4])[0]].decode() for _, p in c.option(LIST)[2]]
        check(names, "nothing is listed")
        c.go(name=Settings.export if Settings.export in names else names[0])


@test("SHOULD", "LIST")
def LIST_with_data_is_invalid():
    with Client() as c:
        check(c.option(LIST, b"data")[0] == INVALID)


@test("MUST", "Newstyle negotiation")
def the_data_of_a_bad_LIST_is_drained():
    with Client() as c:
        c.option(LIST, struct.pack(">QII", IHAVEOPT, ABORT, 0))
        c.in_step()


@test("OURS", "LIST")
def LIST_may_be_repeated():
    with Client() as c:
        check(c.option(LIST)[2] == c.option(LIST)[2])


@test("MUST", "Baseline")
def PEEK_EXPORT_is_not_supported():
    with Client() as c:
        check(c.option(PEEK)[0] == UNSUP)
        c.in_step()


@test("MUST", "Baseline")
def option_0_is_not_supported():
    with Client() as c:
        check(c.option(0)[0] == UNSUP)
        c.in_step()


@test("MUST", "Baseline")
def an_unknown_option_is_not_supported():
    with Client() as c:
        check(c.option(99)[0] == UNSUP)


@test("MUST", "Baseline")
def option_ffffffff_is_not_supported():
    with Client() as c:
        check(c.option(0xffffffff)[0] == UNSUP)


@test("MUST", "Baseline")
def the_data_of_an_unknown_option_are_drained():
    with Client() as c:
        check(c.option(99, struct.pack(">QII", IHAVEOPT, ABORT, 0))[0] == UNSUP)
        c.in_step()


@test("MUST", "Baseline")
def a_megabyte_of_unknown_option_is_drained():
    with Client() as c:
        check(c.option(99, bytes(MIB))[0] == UNSUP)
        c.in_step()


@test("OURS", "Option reply types")
def a_refusal_has_a_text_for_people():
    with Client() as c:
        check(c.option(99)[1].decode() != "" and c.option(LIST, b"x")[1].decode() != "")
        check(c.option(INFO, info_data()[:-1])[1].decode() != "")


@test("MUST", "NOTLS mode")
def STARTTLS_is_refused_in_NOTLS_mode():
    with Client(tls=False) as c:
        kind = c.option(STARTTLS)[0]
        if kind == ACK:
            raise NotHere("the server does TLS")
        check(kind in (POLICY, UNSUP, PLATFORM), "type %#x" % kind)
        c.in_step()


@test("MUST", "STARTTLS")
def STARTTLS_with_data_is_refused():
    with Client() as c:
        check(c.option(STARTTLS, b"x")[0] in (INVALID, POLICY, UNSUP))
        c.in_step()


@test("MUST", "NOTLS mode")
def TLS_REQD_is_never_answered_in_NOTLS_mode():
    with Client(tls=False) as c:
        kinds = [c.option(o)[0] for o in (LIST, 99, STRUCTURED_REPLY, INFO, LIST_META, STARTTLS)]
        if kinds[-1] == ACK:
            raise NotHere("the server does TLS")
        check(TLS_REQD not in kinds, kinds)
