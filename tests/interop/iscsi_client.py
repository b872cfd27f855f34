"""One iSCSI initiator connection, PDU by PDU, for iscsi_conformance.py.

The client checks what holds for every PDU of a target (reserved bits, StatSN, the CmdSN window,
lengths, digests); the rest is for the tests.
"""
import random
import select
import socket
import struct

from conformance import Closed, NotHere, NotOffered, Wire, check, offered, test

(NOP_OUT, SCSI, TMF, LOGIN, TEXT, DATA_OUT, LOGOUT) = range(7)
SNACK = 0x10
(NOP_IN, SCSI_RESPONSE, TMF_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, DATA_IN,
 LOGOUT_RESPONSE) = range(0x20, 0x27)
R2T, ASYNC, REJECT = 0x31, 0x32, 0x3f

F, C, READ, WRITE = 0x80, 0x40, 0x40, 0x20      # flags of byte 1
SIMPLE, ORDERED, HEAD = 1, 2, 3
NO_TAG = 0xffffffff
SECURITY, OPERATIONAL, FULL = 0, 1, 3

# Reject reasons, RFC 7143 §11.17.1
(R_DIGEST, R_SNACK, R_PROTOCOL, R_NOT_SUPPORTED, R_IMMEDIATE, R_IN_PROGRESS, R_INVALID_ACK,
 R_INVALID_FIELD, R_RESOURCES, R_NEGOTIATION_RESET) = range(2, 12)

# Login status, §11.13.5
OK, INITIATOR_ERROR, AUTHENTICATION, FORBIDDEN, NOT_FOUND = 0, 0x200, 0x201, 0x202, 0x203
UNSUPPORTED_VERSION, TOO_MANY_CONNECTIONS, MISSING_PARAMETER = 0x205, 0x206, 0x207
SESSION_TYPE, NO_SESSION, INVALID_DURING_LOGIN = 0x209, 0x20a, 0x20b

GOOD, CHECK_CONDITION, CONDITION_MET, BUSY, CONFLICT, TASK_SET_FULL = 0, 2, 4, 8, 0x18, 0x28

(ABORT_TASK, ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET, LU_RESET, WARM_RESET, COLD_RESET,
 REASSIGN) = range(1, 9)
T_COMPLETE, T_NO_TASK, T_NO_LUN, T_ALLEGIANT, T_NO_REASSIGN, T_NOT_SUPPORTED, T_AUTH = range(7)
T_REJECTED = 255

KIB, MIB = 1 << 10, 1 << 20
INITIATOR = "iqn.2026-11.test:conformance"


class Settings:
    address = target = None     # (host, port), name
    lun = 0
    seconds = 20.0
    login_timeout = None        # the target's, to check that it keeps to it
    pid = None                  # of the target, to see its memory
    user = secret = None        # CHAP: text, bytes

    @classmethod
    def parse(cls, uri):
        """iscsi://HOST:PORT/TARGET/LUN"""
        portal, cls.target, lun = uri[len("iscsi://"):].split("/")
        host, port = portal.rsplit(":", 1)
        cls.address, cls.lun = (host.strip("[]"), int(port)), int(lun)


def _crc_table():
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82f63b78 if i & 1 else 0)
        yield i


CRC_TABLE = list(_crc_table())


def crc32c(data):
    """As it is on the wire: the least significant byte first (§13.1)."""
    crc = 0xffffffff
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ crc >> 8
    return struct.pack("<I", crc ^ 0xffffffff)


def before(a, b):
    """Serial number arithmetic of RFC 1982: a < b."""
    return a != b and (b - a) & 0xffffffff < 0x80000000


def be(data):
    return int.from_bytes(data, "big")


def lun_bytes(lun):
    """SAM-5 §4.7: peripheral addressing below 256, flat space above."""
    return struct.pack(">HHI", lun if lun < 256 else 0x4000 | lun, 0, 0)


def text_of(pairs):
    """Pairs (a dict, a list of pairs, or bytes as they are) as login text."""
    if isinstance(pairs, bytes):
        return pairs
    if isinstance(pairs, dict):
        pairs = pairs.items()
    return b"".join(b"%s=%s\0" % (str(k).encode(), str(v).encode()) for k, v in pairs)


def pairs_of(text):
    check(text == b"" or text.endswith(b"\0"), "text does not end in NUL:", text)
    pairs = []
    for item in text.split(b"\0")[:-1]:
        key, equals, value = item.decode().partition("=")
        check(equals and key, "text without a key:", item)
        pairs.append((key, value))
    return pairs


class Pdu:
    """A PDU that came: header bytes, data, and fields by name."""

    FIELDS = {"lun": (8, 8), "itt": (16, 4), "ttt": (20, 4), "stat_sn": (24, 4),
              "exp_cmd_sn": (28, 4), "max_cmd_sn": (32, 4), "data_sn": (36, 4),
              "offset": (40, 4), "residual": (44, 4), "r2t_sn": (36, 4), "desired": (44, 4),
              "tsih": (14, 2), "isid": (8, 6), "snack_tag": (20, 4), "status": (3, 1),
              "login_status": (36, 2), "response": (2, 1), "flags": (1, 1), "event": (36, 1),
              "time2wait": (40, 2), "time2retain": (42, 2), "length": (5, 3),
              "parameter1": (38, 2), "parameter2": (40, 2), "parameter3": (42, 2),
              "bidi_residual": (40, 4), "exp_data_sn": (36, 4)}

    def __init__(self, header):
        self.header, self.data = header, b""
        self.op = header[0] & 0x3f

    def __getattr__(self, name):
        if name not in Pdu.FIELDS:
            raise AttributeError(name)
        at, n = Pdu.FIELDS[name]
        return be(self.header[at:at + n])

    @property
    def final(self):
        return bool(self.flags & F)

    @property
    def cont(self):
        return bool(self.flags & C)

    @property
    def csg(self):
        return self.flags >> 2 & 3

    @property
    def nsg(self):
        return self.flags & 3

    @property
    def overflow(self):
        return bool(self.flags & 4)

    @property
    def underflow(self):
        return bool(self.flags & 2)

    @property
    def has_status(self):
        return self.op == DATA_IN and bool(self.flags & 1)

    def __repr__(self):
        return "PDU %#04x %s +%d" % (self.op, self.header.hex(" ", 4), len(self.data))


# Bits of the header that a target's PDU has no meaning for: (byte, mask).
RESERVED = {
    NOP_IN: [(1, 0x7f), (2, 0xff), (3, 0xff), *((i, 0xff) for i in range(36, 48))],
    SCSI_RESPONSE: [(1, 0x61), *((i, 0xff) for i in range(8, 16))],
    TMF_RESPONSE: [(1, 0x7f), (3, 0xff), *((i, 0xff) for i in (*range(8, 16), *range(20, 24)))],
    LOGIN_RESPONSE: [(1, 0x30), *((i, 0xff) for i in (*range(20, 24), *range(38, 48)))],
    TEXT_RESPONSE: [(1, 0x3f), (2, 0xff), (3, 0xff), *((i, 0xff) for i in range(36, 48))],
    DATA_IN: [(1, 0x38), (2, 0xff)],
    LOGOUT_RESPONSE: [(1, 0x7f), (3, 0xff), *((i, 0xff) for i in (*range(8, 16), *range(20, 24),
                                                               *range(36, 40), *range(44, 48)))],
    R2T: [(1, 0x7f), (2, 0xff), (3, 0xff)],
    ASYNC: [(1, 0x7f), (2, 0xff), (3, 0xff), *((i, 0xff) for i in (*range(20, 24),
                                                                 *range(44, 48)))],
    REJECT: [(1, 0x7f), (3, 0xff), *((i, 0xff) for i in (*range(8, 16), *range(20, 24),
                                                      *range(40, 48)))],
}


class Result:
    """What came for one SCSI command."""

    def __init__(self):
        self.status = self.last = None
        self.data, self.sense, self.pdus = b"", b"", []

    @property
    def key(self):
        """Sense key, ASC and ASCQ as one number: 0x52400 is 5/24/00."""
        if not self.sense:
            return None
        if self.sense[0] & 0x7f in (0x72, 0x73):
            return (self.sense[1] & 15) << 16 | self.sense[2] << 8 | self.sense[3]
        return (self.sense[2] & 15) << 16 | self.sense[12] << 8 | self.sense[13]

    @property
    def residual(self):
        """+n: overflow by n; -n: underflow."""
        last = self.last
        return last.residual if last.overflow else -last.residual if last.underflow else 0

    def __repr__(self):
        return "status %#x, sense %s, %d bytes" % (
            self.status, "%05x" % self.key if self.sense else "none", len(self.data))


class Client(Wire):
    """One connection; in full feature phase unless login=False."""

    def __init__(self, login=True, discovery=False, keys=None, isid=None, cmd_sn=None, tsih=0):
        s = socket.create_connection(Settings.address, timeout=Settings.seconds)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(s, Settings.seconds)
        self.isid = isid or 0x800000000000 | random.getrandbits(40)
        self.tsih, self.cid = tsih, 1
        self.itt = random.getrandbits(30)
        self.cmd_sn = random.getrandbits(32) if cmd_sn is None else cmd_sn
        self.stat_sn = None             # the next one
        self.max_cmd_sn = self.exp_cmd_sn = None
        self.keys = {}                  # what has been agreed on
        self.full = False
        self.max_segment = 8192         # what we take
        self.session_text = [("InitiatorName", INITIATOR)]
        if discovery:
            self.session_text.append(("SessionType", "Discovery"))
        else:
            self.session_text += [("SessionType", "Normal"), ("TargetName", Settings.target)]
        if login:
            self.enter(keys)

    def silent(self, seconds=0.2):
        """Nothing comes, and the connection stays, for so long; what comes is still there."""
        return not select.select([self.s], [], [], seconds)[0]

    # PDUs

    def pdu(self, op, flags=F, lun=None, itt=None, fields=(), data=b"", ahs=b"", length=None,
            immediate=False, cdb=None, byte2=0, byte3=0):
        """A PDU's bytes. "fields": {first byte: 32-bit number}; "length": a lie about the data."""
        header = bytearray(48)
        header[0] = op | (0x40 if immediate else 0)
        header[1:4] = flags, byte2, byte3
        header[4] = len(ahs) // 4
        header[5:8] = (len(data) if length is None else length).to_bytes(3, "big")
        if lun is not None:
            header[8:16] = lun if isinstance(lun, bytes) else lun_bytes(lun)
        header[16:20] = struct.pack(">I", self.itt if itt is None else itt)
        for at, value in dict(fields).items():
            header[at:at + 4] = struct.pack(">I", value & 0xffffffff)
        if cdb is not None:
            header[32:48] = cdb[:16].ljust(16, b"\0")
        return self.wrap(bytes(header) + ahs, data)

    def wrap(self, head, data):
        pad = bytes(-len(data) % 4)
        if self.full and self.keys.get("HeaderDigest") == "CRC32C":
            head += crc32c(head)
        tail = data + pad
        if data and self.full and self.keys.get("DataDigest") == "CRC32C":
            tail += crc32c(tail)
        return head + tail

    def numbers(self, immediate=False):
        """CmdSN and ExpStatSN of a request, in its turn."""
        fields = {24: self.cmd_sn, 28: self.stat_sn}
        if not immediate:
            self.cmd_sn = self.cmd_sn + 1 & 0xffffffff
        return fields

    def tag(self):
        self.itt = self.itt + 1 & 0x7fffffff
        return self.itt

    def recv_pdu(self):
        p = Pdu(self.recv(48))
        check(p.header[4] == 0, "TotalAHSLength", p.header[4], "from a target")
        check(p.op in RESERVED and not p.header[0] & 0xc0, "opcode byte %#x" % p.header[0])
        if self.full and self.keys.get("HeaderDigest") == "CRC32C":
            check(self.recv(4) == crc32c(p.header), "header digest")
        limit = self.max_segment if self.full else 8192
        check(p.length <= limit, "a data segment of", p.length, "bytes")
        if p.length:
            data = self.recv(p.length + -p.length % 4)
            p.data = data[:p.length]
            if self.full and self.keys.get("DataDigest") == "CRC32C":
                check(self.recv(4) == crc32c(data), "data digest")
        self.verify(p)
        return p

    def verify(self, p):
        for at, mask in RESERVED[p.op]:
            check(not p.header[at] & mask, "reserved bits in byte", at, "of", p)
        if p.op not in (DATA_IN, LOGIN_RESPONSE, TEXT_RESPONSE):
            check(p.final, "bit 7 of byte 1 is not set in", p)
        if p.op in (ASYNC, REJECT):
            check(p.itt == NO_TAG, "bytes 16 to 19 are not ffffffff in", p)
        self.verify_stat_sn(p)
        if p.op == LOGIN_RESPONSE and p.login_status:
            return
        if self.max_cmd_sn is not None:
            check(not before(p.max_cmd_sn, self.max_cmd_sn), "MaxCmdSN moves back")
            check(not before(p.exp_cmd_sn, self.exp_cmd_sn), "ExpCmdSN moves back")
        check(not before(p.max_cmd_sn + 1 & 0xffffffff, p.exp_cmd_sn), "MaxCmdSN before ExpCmdSN")
        self.max_cmd_sn, self.exp_cmd_sn = p.max_cmd_sn, p.exp_cmd_sn

    def verify_stat_sn(self, p):
        """§4.2.2.2: one after the other on this connection; some PDUs only tell the next."""
        if p.op == DATA_IN and not p.has_status:
            return
        if self.stat_sn is not None and not (p.op == LOGIN_RESPONSE and p.login_status):
            check(p.stat_sn == self.stat_sn, "StatSN %#x instead of %#x" % (p.stat_sn,
                                                                           self.stat_sn))
        if p.op == R2T or (p.op == NOP_IN and p.itt == NO_TAG):
            return
        self.stat_sn = p.stat_sn + 1 & 0xffffffff

    def get(self, op=None, itt=None):
        """The next PDU, of this kind. A ping of the target is answered on the way."""
        while True:
            p = self.recv_pdu()
            if p.op == NOP_IN and p.itt == NO_TAG and op != NOP_IN:
                if p.ttt != NO_TAG:
                    self.send(self.pdu(NOP_OUT, itt=NO_TAG, lun=p.header[8:16], immediate=True,
                                       fields={20: p.ttt, **self.numbers(True)}))
                continue
            check(op is None or p.op == op, "%#x was due, and came: %r" % (op or 0, p))
            check(itt is None or p.itt == itt, "tag %#x was due, and came: %r" % (itt or 0, p))
            return p

    # Login

    def login_pdu(self, pairs=(), csg=OPERATIONAL, nsg=FULL, transit=True, cont=False,
                  version=(0, 0), itt=None, cmd_sn=None, length=None, flags=None):
        if flags is None:
            flags = (F if transit else 0) | (C if cont else 0) | csg << 2 | (nsg if transit else 0)
        header = struct.pack(">BBBBB", LOGIN | 0x40, flags, *version, 0)
        text = text_of(pairs)
        header += (len(text) if length is None else length).to_bytes(3, "big")
        header += self.isid.to_bytes(6, "big")
        header += struct.pack(">HIHHII", self.tsih, self.itt if itt is None else itt, self.cid, 0,
                              self.cmd_sn if cmd_sn is None else cmd_sn,
                              self.stat_sn if self.stat_sn is not None else 0)
        return header.ljust(48, b"\0") + text + bytes(-len(text) % 4)

    def login(self, pairs=(), first=False, **how):
        """One Login Request and the answer. "first": with the names that have to be there."""
        if first:
            pairs = text_of(self.session_text) + text_of(pairs)
        self.send(self.login_pdu(pairs, **how))
        p = self.get(LOGIN_RESPONSE)
        p.pairs = pairs_of(p.data) if not p.cont else []
        for key, value in p.pairs:
            self.keys[key] = value
        if p.login_status == OK and p.final and p.nsg == FULL:
            self.full, self.tsih = True, p.tsih
            check(p.tsih != 0, "TSIH 0 at the end of login")
        return p

    def enter(self, keys=None):
        """To full feature phase, with these keys."""
        keys = {} if keys is None else dict(keys)
        self.offer = keys
        declared = keys.get("MaxRecvDataSegmentLength")
        p = self.login(keys, first=True)
        for _ in range(8):
            check(p.login_status == OK, "login status %04x" % p.login_status)
            if self.full:
                break
            p = self.login()
        check(self.full, "login does not come to an end")
        if declared:
            self.max_segment = int(declared)
        return self

    def refused(self, status, pairs=(), **how):
        """This Login Request ends the login, with this status (or one of these)."""
        p = self.login(pairs, **how)
        statuses = status if isinstance(status, tuple) else (status,)
        check(p.login_status in statuses, "login status %04x" % p.login_status)
        check(self.is_closed(), "the connection stays open")
        return p

    def agreed(self, key, default):
        value = self.keys.get(key, default)
        return int(value) if str(value).isdigit() else value

    @property
    def first_burst(self):
        return min(self.agreed("FirstBurstLength", 65536), self.max_burst)

    @property
    def max_burst(self):
        return self.agreed("MaxBurstLength", 262144)

    @property
    def their_segment(self):
        """MaxRecvDataSegmentLength of the target."""
        return self.agreed("MaxRecvDataSegmentLength", 8192)

    # SCSI

    def command_pdu(self, cdb, read=None, write=None, lun=None, itt=None, data=b"", final=True,
                    immediate=False, cmd_sn=None, flags=None, attribute=SIMPLE, ahs=b"",
                    length=None):
        """"read", "write": Expected Data Transfer Length of that direction."""
        fields = self.numbers(immediate) if cmd_sn is None else {24: cmd_sn, 28: self.stat_sn}
        fields[20] = read if read is not None else write or 0
        if flags is None:
            flags = (F if final else 0) | (READ if read is not None else 0)
            flags |= (WRITE if write is not None else 0) | attribute
        return self.pdu(SCSI, flags, lun=Settings.lun if lun is None else lun,
                        itt=self.tag() if itt is None else itt, fields=fields, data=data, ahs=ahs,
                        immediate=immediate, cdb=cdb, length=length)

    def ask(self, cdb, **how):
        """Send a command; its tag."""
        self.send(self.command_pdu(cdb, **how))
        return self.itt if how.get("itt") is None else how["itt"]

    def data_out(self, itt, ttt, data_sn, offset, data=b"", final=True, lun=None):
        self.send(self.pdu(DATA_OUT, F if final else 0, itt=itt, data=data,
                           lun=Settings.lun if lun is None else lun,
                           fields={20: ttt, 28: self.stat_sn, 36: data_sn, 40: offset}))

    def answer_r2t(self, r2t, data):
        """All that it asks for, in PDUs as large as they may be."""
        at, end, sn = r2t.offset, r2t.offset + r2t.desired, 0
        while at < end:
            n = min(self.their_segment, end - at)
            self.data_out(r2t.itt, r2t.ttt, sn, at, data[at:at + n], at + n == end,
                          lun=r2t.header[8:16])
            at, sn = at + n, sn + 1

    def finish(self, itt, write=b""):
        """The rest of a command, up to its status; R2Ts get their part of "write"."""
        result, data = Result(), bytearray()
        solicited = []
        while result.status is None:
            p = self.get(itt=itt)
            result.pdus.append(p)
            if p.op == R2T:
                check(p.length == 0 and p.ttt != NO_TAG and p.desired > 0, "a bad R2T:", p)
                check(p.desired <= self.max_burst, "an R2T for", p.desired, "bytes")
                check(p.r2t_sn == len(solicited), "R2TSN", p.r2t_sn, "of R2T", len(solicited))
                solicited.append(p)
                self.answer_r2t(p, write)
            elif p.op == DATA_IN:
                self.take_data_in(p, result, data)
            else:
                check(p.op == SCSI_RESPONSE, "came for a command:", p)
                check(p.response == 0, "response", p.response)
                self.take_response(p, result)
        result.data = bytes(data)
        return result

    def take_data_in(self, p, result, data):
        check(p.ttt == NO_TAG, "Target Transfer Tag of a Data-In without the A bit")
        check(p.data_sn == sum(q.op == DATA_IN for q in result.pdus) - 1, "DataSN", p.data_sn)
        check(p.offset == len(data), "Buffer Offset", p.offset, "at", len(data))
        data += p.data
        if p.has_status:
            check(p.final, "S without F")
            result.status, result.last = p.header[3], p
        else:
            check(not p.flags & 6, "residual flags without a status")

    def take_response(self, p, result):
        check(not (p.overflow and p.underflow), "O and U")
        check(not p.flags & 0x18, "bidirectional residual flags")
        check(p.residual == 0 or p.flags & 6, "a residual count without its flag")
        # §11.4.8: of R2Ts, too, but 0 where there was no Data-In.
        sent = sum(q.op == DATA_IN for q in result.pdus)
        check(p.exp_data_sn == sent, "ExpDataSN", p.exp_data_sn, "after", sent, "Data-In")
        if p.data:
            n = be(p.data[:2])
            check(n + 2 <= len(p.data), "SenseLength", n, "in", len(p.data), "bytes")
            result.sense = p.data[2:2 + n]
        check(p.header[3] != CHECK_CONDITION or result.sense, "CHECK CONDITION without sense data")
        result.status, result.last = p.header[3], p

    def scsi(self, cdb, read=None, write=None, edtl=None, **how):
        """A whole command. "read": bytes expected; "write": the data."""
        if write is None:
            return self.finish(self.ask(cdb, read=read, **how))
        n = len(write) if edtl is None else edtl
        return self.finish(self.ask(cdb, write=n, **how), write)

    def ready(self):
        """No unit attention is left."""
        for _ in range(12):
            if self.scsi(bytes(6)).status == GOOD:
                return self
        raise AssertionError("the unit does not become ready")

    def fails(self, key, cdb, **how):
        """It ends in CHECK CONDITION with this sense (or one of these); the session lives on."""
        result = self.scsi(cdb, **how)
        keys = key if isinstance(key, tuple) else (key,)
        check(result.status == CHECK_CONDITION and result.key in keys, result, "instead of",
              *("%05x" % k for k in keys))
        self.lives()
        return result

    def good(self, cdb, **how):
        result = self.scsi(cdb, **how)
        check(result.status == GOOD, result)
        return result

    def lives(self):
        """An exchange works, nothing is left over from before."""
        itt = self.ping()
        self.get(NOP_IN, itt)

    # The other requests

    def ping(self, data=b"", immediate=True, itt=None, **how):
        itt = self.tag() if itt is None else itt
        self.send(self.pdu(NOP_OUT, itt=itt, data=data, immediate=immediate,
                           fields={20: NO_TAG, **self.numbers(immediate)}, **how))
        return itt

    def heard(self):
        """What has come by the time that a ping is answered: the target has seen all sent before."""
        itt, pdus = self.ping(), []
        while True:
            p = self.get()
            if p.op == NOP_IN and p.itt == itt:
                return pdus
            pdus.append(p)

    def text_pdu(self, pairs=(), flags=F, ttt=NO_TAG, itt=None, immediate=False, length=None):
        return self.pdu(TEXT, flags, itt=self.tag() if itt is None else itt, data=text_of(pairs),
                        immediate=immediate, length=length,
                        fields={20: ttt, **self.numbers(immediate)})

    def text(self, pairs=(), **how):
        self.send(self.text_pdu(pairs, **how))
        return self.get(TEXT_RESPONSE, self.itt if how.get("itt") is None else how["itt"])

    def tmf(self, function, lun=None, ref=NO_TAG, ref_cmd_sn=0, immediate=True):
        self.send(self.pdu(TMF, F | function, itt=self.tag(), immediate=immediate,
                           lun=Settings.lun if lun is None else lun,
                           fields={20: ref, 32: ref_cmd_sn, **self.numbers(immediate)}))
        return self.itt

    def manage(self, function, **how):
        """A task management function; its response."""
        itt = self.tmf(function, **how)
        while True:
            p = self.get()
            if p.op == TMF_RESPONSE:
                check(p.itt == itt and p.length == 0, p)
                return p.response

    def logout(self, reason=0, cid=None, immediate=True):
        cid = self.cid if cid is None else cid
        self.send(self.pdu(LOGOUT, F | reason, itt=self.tag(), immediate=immediate,
                           fields={20: cid << 16, **self.numbers(immediate)}))
        return self.get(LOGOUT_RESPONSE, self.itt)

    def is_dropped(self):
        """The end comes; before it, perhaps, what announces it (§11.9.1, events 2 and 3)."""
        if self.silent(self.seconds):
            return False
        if not self.s.recv(1, socket.MSG_PEEK):
            return self.is_closed()
        p = self.get(ASYNC)
        check(p.event in (2, 3) and p.parameter1 == (self.cid if p.event == 2 else 0), p)
        return self.is_closed()

    def rejected(self, sent, *reasons):
        """These bytes are answered by a Reject that carries their header; the session lives on."""
        self.send(sent)
        p = self.get(REJECT)
        check(p.response in reasons, "reason %#x" % p.response)
        check(p.data[:48] == sent[:48], "the Reject has another header in it")
        self.lives()
        return p
