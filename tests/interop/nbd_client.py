"""One NBD client connection, message by message, for nbd_conformance.py.

The client checks what holds for every message (magic numbers, cookies, chunk formats);
the rest is for the tests.
"""
import random
import socket
import ssl
import struct

from conformance import Closed, NotHere, NotOffered, Wire, check, offered, test

ANSWER_SECONDS = 20

NBDMAGIC, IHAVEOPT = 0x4e42444d41474943, 0x49484156454F5054
OPT_REPLY_MAGIC = 0x3e889045565a9
REQUEST, EXT_REQUEST = 0x25609513, 0x21e41c71
SIMPLE, STRUCTURED, EXT_REPLY = 0x67446698, 0x668e33ef, 0x6e8a278c

(EXPORT_NAME, ABORT, LIST, PEEK, STARTTLS, INFO, GO, STRUCTURED_REPLY, LIST_META, SET_META,
 EXTENDED_HEADERS) = range(1, 12)
ACK, REP_SERVER, REP_INFO, REP_META = 1, 2, 3, 4
ERR = 1 << 31
(UNSUP, POLICY, INVALID, PLATFORM, TLS_REQD, UNKNOWN, SHUTDOWN, BLOCK_SIZE_REQD, TOO_BIG,
 EXT_HEADER_REQD) = (ERR + n for n in range(1, 11))
INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE = range(4)

F_HAS_FLAGS, F_READ_ONLY, F_FLUSH, F_FUA, F_ROTATIONAL, F_TRIM, F_ZEROES, F_DF, F_MULTI, \
    F_RESIZE, F_CACHE, F_FAST_ZERO, F_STATUS_PAYLOAD = (1 << n for n in range(13))
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN = (1 << n for n in range(6))
C_NONE, C_DATA, C_HOLE, C_STATUS, C_STATUS_EXT = 0, 1, 2, 5, 6
C_ERROR, C_ERROR_OFFSET = 0x8001, 0x8002
DONE = 1
EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN = 1, 5, 12, 22, 28, 75, 95, 108

KIB, MIB = 1 << 10, 1 << 20


class Settings:
    server = export = other = None
    deadline = None
    tls = None              # ssl.SSLContext: every connection is over TLS


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Reply:
    """What came back for one request: error 0 or a number, data of reads by offset, chunks."""

    def __init__(self):
        self.error, self.text, self.error_offset = 0, "", None
        self.chunks = []        # (flags, type, payload)
        self.simple = False
        self.parts = []         # (offset, length, data or None)
        self.status = {}        # context id: [(length, state)]

    def data(self, offset, length):
        """The bytes that a read brought; every one exactly once."""
        out, seen = bytearray(length), 0
        for at, n, data in self.parts:
            check(n > 0, "an empty chunk")
            check(offset <= at and at + n <= offset + length, "a chunk outside of the request")
            if data is not None:
                out[at - offset:at - offset + n] = data
            seen += n
        spans = sorted((at, at + n) for at, n, _ in self.parts)
        check(all(a[1] <= b[0] for a, b in zip(spans, spans[1:])), "chunks overlap")
        check(seen == length, "chunks cover", seen, "of", length, "bytes")
        return bytes(out)


class Client(Wire):
    """One connection."""

    def __init__(self, flags=3, greet=True, tls=None, stream=None):
        if stream:
            s = stream
        elif ":" in Settings.server and "/" not in Settings.server:
            host, port = Settings.server.rsplit(":", 1)
            s = socket.create_connection((host.strip("[]"), int(port)))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            s = socket.socket(socket.AF_UNIX)
            s.connect(Settings.server)
        super().__init__(s, ANSWER_SECONDS)
        self.structured = self.extended = False
        self.size = self.flags = None
        self.blocks = (1, 4096, 32 * MIB)
        self.contexts = {}
        self.cookie = random.getrandbits(63)
        self.reads = {}         # cookie: length, of simple reads
        if greet:
            self.greeting = self.recv(18)
            self.send(struct.pack(">I", flags))
        if greet and flags in (1, 3) and (Settings.tls if tls is None else tls):
            check(self.start_tls(), "STARTTLS is refused")

    def start_tls(self, behind=b""):
        """False: the server does not do that. "behind": plain bytes in the same segment."""
        self.send(struct.pack(">QII", IHAVEOPT, STARTTLS, 0) + behind)
        if self.option_reply(STARTTLS)[0] != ACK:
            return False
        self.s = (Settings.tls or unverified()).wrap_socket(self.s, server_hostname="localhost")
        return True

    def send(self, data):
        try:
            super().send(data)
        except ssl.SSLEOFError as e:
            raise Closed("on sending") from e

    # Options

    def send_option(self, option, data=b"", length=None):
        n = len(data) if length is None else length
        self.send(struct.pack(">QII", IHAVEOPT, option, n) + data)

    def option_reply(self, option):
        magic, opt, kind, n = struct.unpack(">QIII", self.recv(20))
        check(magic == OPT_REPLY_MAGIC, "reply magic %#x" % magic)
        check(opt == option, "a reply to option", opt, "instead of", option)
        check(n < 64 * KIB, "a reply of", n, "bytes")
        return kind, self.recv(n)

    def option(self, option, data=b""):
        """All replies to an option: (final type, its data, [(type, data) before it])."""
        self.send_option(option, data)
        before = []
        while True:
            kind, payload = self.option_reply(option)
            if kind == ACK or kind & ERR:
                check(kind != ACK or payload == b"", "an ACK with data")
                return kind, payload, before
            before.append((kind, payload))

    def in_step(self):
        """The next option is understood: nothing of an earlier one is left over."""
        kind, _, _ = self.option(77)
        check(kind == UNSUP, "out of step: type %#x for option 77" % kind)

    def negotiate(self, option):
        kind, _, _ = self.option(option)
        if kind == ACK:
            self.structured |= option == STRUCTURED_REPLY
            self.extended |= option == EXTENDED_HEADERS
        return kind == ACK

    def want_structured(self):
        offered(self.negotiate(STRUCTURED_REPLY), "STRUCTURED_REPLY")
        return self

    def want_extended(self):
        offered(self.negotiate(EXTENDED_HEADERS), "EXTENDED_HEADERS")
        return self

    def set_meta(self, *queries, export=None):
        kind, _, replies = self.option(SET_META, meta_data(queries, export))
        self.contexts = contexts_of(replies)
        return kind

    def want_allocation(self):
        kind = self.set_meta("base:allocation")
        offered(kind == ACK and "base:allocation" in self.contexts, "base:allocation")
        return self

    def go(self, infos=(), name=None):
        kind, _, before = self.option(GO, info_data(infos, name))
        check(kind == ACK, "GO ended in type %#x" % kind)
        self.learn(before)
        return self

    def learn(self, replies):
        for kind, payload in replies:
            what, = struct.unpack(">H", payload[:2])
            if kind == REP_INFO and what == INFO_EXPORT:
                self.size, self.flags = struct.unpack(">QH", payload[2:])
            elif kind == REP_INFO and what == INFO_BLOCK_SIZE:
                self.blocks = struct.unpack(">III", payload[2:])

    def export_name(self, name=None):
        self.send_option(EXPORT_NAME, encoded(name))
        self.size, self.flags = struct.unpack(">QH", self.recv(10))
        return self

    # Requests

    def packed(self, command, offset=0, length=0, flags=0, data=b"", magic=None, cookie=None):
        """The bytes of one request; self.cookie is its cookie."""
        if self.extended and command == WRITE:
            flags |= PAYLOAD_LEN
        self.cookie = self.cookie + 1 if cookie is None else cookie
        magic = magic or (EXT_REQUEST if self.extended else REQUEST)
        form = ">IHHQQQ" if self.extended else ">IHHQQI"
        self.reads[self.cookie] = length if command == READ else 0
        return struct.pack(form, magic, flags, command, self.cookie, offset, length) + data

    def ask(self, *request, **more):
        """Send one request; its cookie."""
        self.send(self.packed(*request, **more))
        return self.cookie

    def one_message(self):
        """The next message: (cookie, flags or None if simple, type, payload, error)."""
        magic, = struct.unpack(">I", self.recv(4))
        if magic == SIMPLE:
            check(not self.extended, "a simple reply in spite of extended headers")
            error, cookie = struct.unpack(">IQ", self.recv(12))
            check(cookie in self.reads, "cookie %#x was never sent" % cookie)
            n = self.reads[cookie]
            check(not (self.structured and n), "a simple reply to a structured read")
            return cookie, None, None, self.recv(n) if n and not error else b"", error
        if magic == STRUCTURED:
            check(self.structured and not self.extended, "a structured reply unasked")
            flags, kind, cookie, n = struct.unpack(">HHQI", self.recv(16))
        else:
            check(magic == EXT_REPLY and self.extended, "reply magic %#x" % magic)
            flags, kind, cookie, self.echo, n = struct.unpack(">HHQQQ", self.recv(28))
        check(cookie in self.reads, "cookie %#x was never sent" % cookie)
        check(n <= 64 * MIB + 64, "a chunk of", n, "bytes")
        return cookie, flags, kind, self.recv(n), None

    def finish(self, *cookies, offset=None):
        """Collect the replies to these requests, in any order: {cookie: Reply}."""
        replies, open_ = {c: Reply() for c in cookies}, set(cookies)
        while open_:
            cookie, flags, kind, payload, error = self.one_message()
            check(cookie in open_, "a message for a request that has ended")
            reply = replies[cookie]
            if flags is None:
                reply.simple, reply.error = True, error
                reply.parts.append((offset, len(payload), payload))
                open_.remove(cookie)
                continue
            if self.extended and offset is not None:
                check(self.echo == offset, "reply offset", self.echo, "for request", offset)
            take_chunk(reply, flags, kind, payload, self.extended)
            if flags & DONE:
                open_.remove(cookie)
        return replies

    def request(self, command, offset=0, length=0, flags=0, data=b""):
        cookie = self.ask(command, offset, length, flags, data)
        return self.finish(cookie, offset=offset)[cookie]

    def read(self, offset, length, flags=0):
        reply = self.request(READ, offset, length, flags)
        check(reply.error == 0, "read failed with", reply.error, reply.text)
        return reply.data(offset, length)

    def write(self, offset, data, flags=0):
        reply = self.request(WRITE, offset, len(data), flags, data)
        check(reply.error == 0, "write failed with", reply.error, reply.text)

    def fails(self, error, *request, **more):
        """The request ends in this error (or one of these), and the connection lives on."""
        reply = self.request(*request, **more)
        errors = error if isinstance(error, tuple) else (error,)
        check(reply.error in errors, "error", reply.error, "instead of", errors)
        self.lives()
        return reply

    def lives(self):
        self.read(0, max(512, self.blocks[0]))

    def too_long(self, times=1):
        """A length beyond the maximum payload, in whole blocks."""
        return times * self.blocks[2] // self.blocks[1] * self.blocks[1] + self.blocks[1]

    def writable(self):
        if self.flags & F_READ_ONLY:
            raise NotHere("the export is read-only")
        return self

    def has(self, flag, what):
        offered(self.flags & flag, what)
        return self


def take_chunk(reply, flags, kind, payload, extended):
    reply.chunks.append((flags, kind, payload))
    check(flags & ~DONE == 0, "chunk flags %#x" % flags)
    if kind == C_NONE:
        check(payload == b"" and flags & DONE, "NONE with payload or without DONE")
    elif kind == C_DATA:
        check(len(payload) >= 9, "OFFSET_DATA of", len(payload), "bytes")
        reply.parts.append((struct.unpack(">Q", payload[:8])[0], len(payload) - 8, payload[8:]))
    elif kind == C_HOLE:
        check(len(payload) == 12, "OFFSET_HOLE of", len(payload), "bytes")
        offset, n = struct.unpack(">QI", payload)
        reply.parts.append((offset, n, None))
    elif kind == (C_STATUS_EXT if extended else C_STATUS):
        take_status(reply, payload, extended)
    elif kind in (C_ERROR, C_ERROR_OFFSET):
        reply.error, n = struct.unpack(">IH", payload[:6])
        tail = 8 if kind == C_ERROR_OFFSET else 0
        check(reply.error != 0, "an error chunk with error 0")
        check(n <= 4096 and len(payload) == 6 + n + tail, "message length", n, "of",
              len(payload))
        reply.text = payload[6:6 + n].decode()
        if tail:
            reply.error_offset, = struct.unpack(">Q", payload[-8:])
    else:
        raise AssertionError("chunk type %#x" % kind)


def take_status(reply, payload, extended):
    if extended:
        context, count = struct.unpack(">II", payload[:8])
        check(len(payload) == 8 + 16 * count, "count", count, "in", len(payload), "bytes")
        extents = list(struct.iter_unpack(">QQ", payload[8:]))
    else:
        check(len(payload) % 8 == 4, "BLOCK_STATUS of", len(payload), "bytes")
        context, = struct.unpack(">I", payload[:4])
        extents = list(struct.iter_unpack(">II", payload[4:]))
    check(context not in reply.status, "two chunks for one context")
    check(extents and all(n for n, _ in extents), "no descriptor, or an empty one")
    reply.status[context] = extents


def encoded(name):
    return (Settings.export if name is None else name).encode()


def info_data(infos=(), name=None):
    name = encoded(name)
    return struct.pack(">I%dsH%dH" % (len(name), len(infos)), len(name), name, len(infos), *infos)


def meta_data(queries, export=None):
    name = encoded(export)
    data = struct.pack(">I", len(name)) + name + struct.pack(">I", len(queries))
    return data + b"".join(struct.pack(">I", len(q.encode())) + q.encode() for q in queries)


def contexts_of(replies):
    found = {}
    for kind, payload in replies:
        check(kind == REP_META and len(payload) > 4, "reply type", kind)
        name = payload[4:].decode()
        check(name not in found, name, "twice")
        check(":" in name and len(payload) <= 4100, "context name", name)
        found[name], = struct.unpack(">I", payload[:4])
    return found
