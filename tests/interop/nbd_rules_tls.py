"""Rules of TLS: how it begins, what is forgotten with it, what needs it."""
import ssl
import struct

from nbd_rules import *


def over_tls(flags=3):
    """A connection that begins in plain, and the server does TLS."""
    c = Client(flags, tls=False)
    try:
        if not c.start_tls():
            raise NotHere("the server does not do TLS")
    except ssl.SSLError as e:
        raise NotHere("TLS with us: %s" % e) from None
    return c


def listed(c):
    kind, _, replies = c.option(LIST)
    return kind, {p[4:4 + struct.unpack(">I", p[:4])[0]].decode() for _, p in replies}


def forced():
    """A plain connection to a server that insists on TLS."""
    c = Client(tls=False)
    if c.option(LIST)[0] != TLS_REQD:
        raise NotHere("the server does not insist on TLS")
    return c


def tls_only_export():
    """Its name: one that is listed over TLS and not in plain."""
    with over_tls() as c:
        names = listed(c)[1]
    with Client(tls=False) as c:
        kind, plain = listed(c)
        if kind != ACK or not names - plain:
            raise NotHere("no export needs TLS while others do not")
        return min(names - plain)


# STARTTLS -------------------------------------------------------------------------------------

@test("MUST", "STARTTLS")
def after_STARTTLS_options_and_requests_go_over_TLS():
    with over_tls() as c:
        check(listed(c)[0] == ACK)
        c.want_structured().go().lives()


@test("MUST", "STARTTLS")
def STARTTLS_makes_structured_replies_forgotten():
    with Client(tls=False) as c:
        c.negotiate(STRUCTURED_REPLY)
        if not c.start_tls():
            raise NotHere("the server does not do TLS")
        check(c.option(SET_META, meta_data(["base:allocation"]))[0] == INVALID)
        c.structured = False
        check(c.go().request(READ, 0, 512).simple)


@test("MUST", "STARTTLS")
def STARTTLS_makes_extended_headers_forgotten():
    with Client(tls=False) as c:
        c.want_extended()
        if not c.start_tls():
            raise NotHere("the server does not do TLS")
        c.extended = False
        check(c.go().request(READ, 0, 512).simple)


@test("MUST", "STARTTLS")
def STARTTLS_makes_meta_contexts_forgotten():
    with Client(tls=False) as c:
        c.want_structured().want_allocation()
        if not c.start_tls():
            raise NotHere("the server does not do TLS")
        no_status(c.want_structured().go())


@test("MUST", "FORCEDTLS mode")
def a_second_STARTTLS_is_invalid():
    with over_tls() as c:
        check(c.option(STARTTLS)[0] == INVALID)
        c.in_step()


@test("MUST", "FORCEDTLS mode")
def TLS_REQD_is_never_answered_over_TLS():
    with over_tls() as c:
        for option in (LIST, 99, STRUCTURED_REPLY, INFO, LIST_META, STARTTLS):
            check(c.option(option)[0] != TLS_REQD, option)
        check(c.option(INFO, info_data(name="no such export"))[0] != TLS_REQD)


@test("MUST", "FORCEDTLS mode")
def a_failed_TLS_handshake_ends_the_session():
    with over_tls():
        pass
    with Client(tls=False) as c:
        c.option(STARTTLS)
        c.send(bytes(range(256)))
        try:
            while c.s.recv(4096):   # a TLS alert may come first
                pass
        except ConnectionResetError:
            pass


@test("MUST", "FORCEDTLS mode")
def a_plain_option_after_STARTTLS_is_not_obeyed():
    with over_tls():
        pass
    with Client(tls=False) as c:
        c.option(STARTTLS)
        c.send_option(LIST)
        got = b""
        try:
            while more := c.s.recv(4096):
                got += more
        except ConnectionResetError:
            pass
        check(struct.pack(">Q", OPT_REPLY_MAGIC) not in got, "it is answered in plain")


@test("OURS", "STARTTLS")
def plain_bytes_behind_STARTTLS_do_not_pass_for_TLS():
    """CVE-2021-3716 and its like: somebody in between puts an option there."""
    with over_tls():
        pass
    with Client(tls=False) as c:
        try:
            c.start_tls(behind=struct.pack(">QII", IHAVEOPT, STRUCTURED_REPLY, 0))
        except (ssl.SSLError, OSError, Closed):
            return
        check(c.silent(), "it is answered over TLS")
        check(c.option(SET_META, meta_data(["base:allocation"]))[0] == INVALID, "it is obeyed")


@test("OURS", "TLS versions")
def TLS_below_1_2_is_refused():
    with over_tls():
        pass
    old = unverified()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with Client(tls=False) as c:
        c.option(STARTTLS)
        try:
            old.wrap_socket(c.s)
        except (ssl.SSLError, OSError):
            return
        check(False, "it is accepted")


@test("OURS", "Termination of the session during option haggling")
def a_TLS_handshake_has_the_same_deadline():
    with over_tls():
        pass
    if Settings.deadline is None:
        raise NotHere("no deadline given (-t)")
    with Client(tls=False) as c:
        c.option(STARTTLS)
        c.send(b"\x16\x03\x01")     # the beginning of a ClientHello
        c.s.settimeout(Settings.deadline + ANSWER_SECONDS)
        check(c.is_closed())


@test("OURS", "STARTTLS")
def requests_of_megabytes_go_over_TLS():
    with over_tls() as c:
        c.want_structured().go((INFO_BLOCK_SIZE,)).writable()
        data = noise(MIB - 512)
        cookies = [c.ask(WRITE, 512, len(data), data=data), c.ask(FLUSH)]
        c.finish(*cookies)
        check(c.read(512, len(data)) == data)


@test("OURS", "Error values")
def a_refused_write_is_drained_over_TLS():
    with over_tls() as c:
        c.want_structured().go()
        c.fails((ENOSPC, EINVAL, EPERM), WRITE, c.size, 300 * KIB, data=noise(300 * KIB))


# FORCEDTLS and SELECTIVETLS -------------------------------------------------------------------

@test("MUST", "FORCEDTLS mode")
def a_server_that_insists_on_TLS_refuses_every_other_option():
    with forced() as c:
        for option in (LIST, PEEK, INFO, GO, STRUCTURED_REPLY, LIST_META, SET_META,
                       EXTENDED_HEADERS, 99):
            check(c.option(option, info_data() if option in (INFO, GO) else b"")[0] == TLS_REQD,
                  option)


@test("MUST", "FORCEDTLS mode")
def a_server_that_insists_on_TLS_lets_a_client_ABORT():
    with forced() as c:
        check(c.option(ABORT)[0] == ACK)


@test("MUST", "FORCEDTLS mode")
def a_server_that_insists_on_TLS_closes_on_EXPORT_NAME():
    with forced() as c:
        c.send_option(EXPORT_NAME, encoded(None))
        check(c.is_closed())


@test("MUST", "SELECTIVETLS mode")
def a_TLS_only_export_needs_TLS():
    name = tls_only_export()
    with Client(tls=False) as c:
        check(c.option(INFO, info_data(name=name))[0] == TLS_REQD)
        check(c.option(GO, info_data(name=name))[0] == TLS_REQD)
        c.in_step()
    with Client(tls=False) as c:
        c.send_option(EXPORT_NAME, name.encode())
        check(c.is_closed())
    with over_tls() as c:
        c.want_structured().go(name=name).lives()


@test("MUST", "SELECTIVETLS mode")
def only_INFO_and_GO_answer_TLS_REQD_for_a_TLS_only_export():
    name = tls_only_export()
    with Client(tls=False) as c:
        c.want_structured()
        for option in (LIST_META, SET_META):
            check(c.option(option, meta_data(["base:allocation"], name))[0] == UNKNOWN)


@test("OURS", "SELECTIVETLS mode")
def names_of_TLS_only_exports_cannot_be_guessed_in_plain():
    name = tls_only_export()
    with Client(tls=False) as c:
        check(c.option(INFO, info_data(name=name)) ==
              c.option(INFO, info_data(name="no such export")))
