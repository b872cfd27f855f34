"""NBD (proto.md): clients for fuzz_nbd_server, servers for fuzz_nbd_pipe."""
from struct import pack

OPTS_MAGIC = 0x49484156454F5054
CLIENT_FLAGS = pack(">I", 3)        # fixed newstyle, no zeroes
DISC = 2


def option(number, data=b""):
    return pack(">QII", OPTS_MAGIC, number, len(data)) + data


def string(text):
    return pack(">I", len(text)) + text


def info(name=b"disk", *kinds):
    return string(name) + pack(">H", len(kinds)) + b"".join(pack(">H", k) for k in kinds)


def contexts(name=b"disk", *queries):
    return string(name) + pack(">I", len(queries)) + b"".join(map(string, queries))


def request(command, offset=0, length=4096, flags=0, cookie=1, payload=b""):
    return pack(">IHHQQI", 0x25609513, flags, command, cookie, offset, length) + payload


def extended(command, offset=0, length=4096, flags=0, cookie=1, payload=b""):
    return pack(">IHHQQQ", 0x21E41C71, flags, command, cookie, offset, length) + payload


STRUCTURED, EXTENDED = option(8), option(11)
GO = option(7, info(b"disk", 0, 1, 2, 3))
ALLOCATION = option(10, contexts(b"disk", b"base:allocation"))
TWO_CONTEXTS = option(10, contexts(b"disk", b"base:allocation", b"x-scsi:provisioning"))


def session(handshake, requests, flags=0):
    """flags: DRIP = 1, READ_ONLY = 2, TLS_ONLY = 4, SHUTDOWN = 8 of fuzz_nbd_server.c"""
    return bytes([flags]) + CLIENT_FLAGS + handshake + requests


def options():
    yield "export-name", session(option(1, b"disk"), request(DISC))
    yield "export-name-default", session(option(1), request(0) + request(DISC))
    yield "abort", session(option(2), b"")
    yield "list", session(option(3) + option(3, b"data") + option(2), b"")
    yield "starttls-refused", session(option(5) + GO, b"")
    yield "tls-only", session(option(6, info(b"other")) + option(7, info(b"other")), b"", 4)
    yield "info", session(option(6, info(b"disk", 0, 1, 2, 3, 77)) + option(6, info(b"none")), b"")
    yield "go", session(GO, request(DISC))
    yield "go-default", session(option(7, info(b"")), b"")
    yield "go-malformed", session(option(7, b"\0\0\0\4disk\0\3\0\1") + option(7, b"x"), b"")
    yield "structured", session(STRUCTURED + option(8, b"x") + GO, request(DISC))
    yield "list-contexts", session(
        STRUCTURED + option(9, contexts()) + option(9, contexts(b"disk", b"base:", b"x-scsi:",
                                                                b"qemu:dirty")), b"")
    yield "set-contexts", session(STRUCTURED + TWO_CONTEXTS + GO, b"")
    yield "set-contexts-none", session(STRUCTURED + option(10, contexts(b"disk")) + GO, b"")
    yield "contexts-of-another", session(
        STRUCTURED + option(10, contexts(b"other", b"base:allocation")) + GO, request(7))
    yield "contexts-too-early", session(ALLOCATION + GO, b"")
    yield "contexts-malformed", session(
        STRUCTURED + option(10, string(b"disk") + pack(">I", 0xFFFFFFFF)), b"")
    yield "extended", session(EXTENDED + STRUCTURED + ALLOCATION + GO, extended(DISC))
    yield "unknown", session(option(4) + option(12, b"abc") + option(0xFFFFFFFF), b"")
    yield "too-long", session(option(7, b"\0" * 9000), b"")
    yield "client-flags", bytes([0]) + pack(">I", 0xFFFFFFFF)
    yield "no-zeroes-not-agreed", bytes([0]) + pack(">I", 1) + option(1, b"disk")
    yield "dripped", session(STRUCTURED + TWO_CONTEXTS + GO, request(0) + request(7), 1)


def requests():
    block = bytes(range(256)) * 16
    every = (request(0, 4096) + request(1, 8192, 4096, payload=block, cookie=2)
             + request(3, 0, 0, cookie=3) + request(4, 0, 65536, cookie=4)
             + request(5, 0, 4096, cookie=5) + request(6, 65536, 65536, cookie=6))
    yield "every-simple", session(GO, every + request(DISC))
    yield "every-structured", session(STRUCTURED + ALLOCATION + GO, every + request(7) + request(DISC))
    yield "fua", session(STRUCTURED + GO, request(1, 0, 512, 1, payload=block[:512])
                         + request(4, 0, 4096, 1) + request(6, 0, 4096, 1))
    yield "df", session(STRUCTURED + GO, request(0, 0, 131072, 4) + request(0, 0, 4096, 4))
    yield "zeroes", session(GO, request(6, 0, 4096, 2) + request(6, 4096, 4096, 16)
                            + request(6, 0, 4096, 18) + request(6, 0, 4096, 0xFFFF))
    yield "req-one", session(STRUCTURED + TWO_CONTEXTS + GO,
                             request(1, 0, 4096, payload=block) + request(7, 0, 262144, 8)
                             + request(7, 0, 262144))
    yield "unaligned", session(GO, request(1, 13, 1000, payload=block[:1000]) + request(0, 7, 1)
                               + request(6, 511, 2) + request(4, 1, 1))
    yield "beyond-the-end", session(STRUCTURED + GO, request(0, 262143, 2) + request(0, 1 << 63, 1)
                                    + request(1, 262144, 4, payload=b"four") + request(6, 0, 0xFFFFFFFF))
    yield "read-only", session(GO, request(1, 0, 4, payload=b"four") + request(4) + request(6), 2)
    yield "unknown-command", session(STRUCTURED + GO, request(9) + request(8) + request(0xFFFF))
    yield "wrong-magic", session(GO, b"\0" * 28)
    yield "many-reads", session(STRUCTURED + GO, b"".join(
        request(0, i * 4096, 65536, cookie=i) for i in range(40)))
    yield "extended-every", session(
        EXTENDED + TWO_CONTEXTS + GO,
        extended(0) + extended(1, payload=block) + extended(3, 0, 0) + extended(4)
        + extended(5) + extended(6, 0, 262144) + extended(7, 0, 262144) + extended(DISC))
    payload = pack(">QII", 262144, 1, 2)
    yield "status-payload", session(
        EXTENDED + TWO_CONTEXTS + GO,
        extended(7, 0, len(payload), 32, payload=payload) + extended(7, 0, 262144, cookie=2))
    yield "status-payload-wrong", session(
        EXTENDED + TWO_CONTEXTS + GO,
        extended(7, 0, 9, 32, payload=b"123456789")
        + extended(7, 0, 12, 32, payload=pack(">QI", 4096, 99))
        + extended(7, 0, 16, 32, payload=pack(">QII", 4096, 1, 1))
        + extended(7, 0, 8, 32, payload=pack(">Q", 4096)))
    yield "payload-not-of-a-write", session(EXTENDED + GO, extended(0, 0, 16, 32, payload=b"x" * 16))
    yield "payload-too-long", session(EXTENDED + GO, extended(7, 0, 70000, 32, payload=b"x" * 70000))
    yield "compact-where-extended", session(EXTENDED + GO, request(0))
    yield "shutdown", session(STRUCTURED + GO, request(0, 0, 65536) * 4, 8)


# fuzz_nbd_pipe.c: 24 calls, in turns of eight: READ 0, 2, 4, BLOCK_STATUS 1, 5, WRITE 3, FLUSH 6, TRIM 7
READ, STATUS, WRITE, FLUSH, TRIM = 0, 1, 3, 6, 7
AT, LEN = 4096, 3000


def simple(to, error=0, payload=b"", how=0):
    return bytes([0x40 | how | to, error]) + pack(">H", len(payload)) + payload


def chunk(to, kind, payload=b"", done=True, how=0):
    return bytes([how | to, 1 if done else 0]) + pack(">HH", kind, len(payload)) + payload


def raw(payload):
    return bytes([0x80]) + pack(">H", len(payload)) + payload


def data(offset, length):
    return pack(">Q", offset) + b"d" * length


def replies():
    yield "simple", b"\0" + simple(READ, 0, b"d" * LEN) + simple(WRITE) + simple(FLUSH) + simple(TRIM)
    yield "simple-errors", b"\0" + b"".join(simple(i, e) for i, e in
                                           enumerate((1, 5, 12, 22, 28, 75, 95, 108, 255)))
    yield "simple-together", b"\2" + b"".join(simple(i, 0, how=0x20) for i in (3, 6, 7))
    yield "simple-read-cut", b"\0" + simple(READ, 0, b"d" * 100)
    yield "chunks", (b"\1" + chunk(READ, 1, data(AT, 1000), False)
                     + chunk(READ, 2, pack(">QI", AT + 1000, 1000), False)
                     + chunk(READ, 1, data(AT + 2000, 1000), False) + chunk(READ, 0))
    yield "chunk-done", b"\1" + chunk(READ, 1, data(AT, LEN)) + chunk(2, 2, pack(">QI", AT, LEN))
    yield "chunk-outside", b"\1" + chunk(READ, 1, data(AT - 1, 10))
    yield "chunk-beyond", b"\1" + chunk(READ, 1, data(AT + LEN - 1, 2))
    yield "chunk-wraps", b"\1" + chunk(READ, 1, data((1 << 64) - 1, 2))
    yield "hole-outside", b"\1" + chunk(READ, 2, pack(">QI", AT, 0xFFFFFFFF))
    yield "hole-empty", b"\1" + chunk(READ, 2, pack(">QI", AT, 0))
    yield "status", b"\1" + chunk(STATUS, 5, pack(">IIIII", 1, 512, 0, 100000, 3))
    yield "status-zero", b"\1" + chunk(STATUS, 5, pack(">III", 1, 0, 0)) + chunk(5, 5, pack(">I", 1))
    yield "status-many", b"\3" + chunk(STATUS, 5, pack(">I", 1) + pack(">II", 1, 0) * 2000)
    yield "status-ragged", b"\1" + chunk(STATUS, 5, pack(">IIH", 1, 512, 0))
    yield "status-of-a-read", b"\1" + chunk(READ, 5, pack(">III", 1, 512, 0))
    yield "error", b"\1" + chunk(READ, 0x8001, pack(">IH", 5, 4) + b"text")
    yield "error-offset", b"\1" + chunk(READ, 0x8002, pack(">IH", 5, 4) + b"text" + pack(">Q", AT), False) \
        + chunk(READ, 0)
    yield "error-none", b"\1" + chunk(READ, 0x8001, pack(">IH", 0, 0)) + chunk(WRITE, 0xFFFF, pack(">IH", 1, 0))
    yield "error-lies", b"\1" + chunk(READ, 0x8001, pack(">IH", 5, 400) + b"text")
    yield "error-long", b"\1" + chunk(READ, 0x8001, pack(">IH", 5, 9000) + b"t" * 9000)
    yield "none-not-last", b"\1" + chunk(WRITE, 0, b"", False)
    yield "unknown-chunk", b"\1" + chunk(READ, 77, b"x")
    yield "twice", b"\0" + simple(WRITE) + simple(WRITE)
    yield "raw-magic", b"\0" + raw(b"garbage garbage!")
    yield "raw-cookie", b"\0" + raw(pack(">IIQ", 0x67446698, 0, 0xFFFFFFFFFFFFFFFF))
    yield "structured-not-agreed", b"\0" + chunk(READ, 0)
    yield "simple-where-structured", b"\1" + simple(READ, 0, b"d" * LEN)
    yield "silent", b"\4"


def seeds():
    for name, content in (*options(), *requests()):
        yield "nbd_server", name, content
    for name, content in replies():
        yield "nbd_pipe", name, content
