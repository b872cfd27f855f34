"""iSCSI (RFC 7143): initiators for fuzz_target, targets for fuzz_initiator, headers and login text."""
from struct import pack

import scsi

RAW, OWN_LENGTH, OWN_NUMBERS, OWN_TAGS, BAD_DIGEST, LATER, TOGETHER, ELSEWHERE = (1 << i for i in range(8))

NOP_OUT, COMMAND, TMF, LOGIN, TEXT, DATA_OUT, LOGOUT, SNACK = 0, 1, 2, 3, 4, 5, 6, 0x10
NOP_IN, RESPONSE, TMF_RESPONSE, LOGIN_RESPONSE, TEXT_RESPONSE, DATA_IN = range(0x20, 0x26)
LOGOUT_RESPONSE, R2T, ASYNC, REJECT = 0x26, 0x31, 0x32, 0x3F

NO_TAG = 0xFFFFFFFF
IMMEDIATE = 0x40


def header(op, flags=0x80, b2=0, b3=0, lun=0, itt=1, rest=b"", ahs=0):
    return (pack(">BBBBBBBB", op, flags, b2, b3, ahs, 0, 0, 0) + pack(">QI", lun << 48, itt)
            + rest.ljust(28, b"\0"))


def record(head, data=b"", how=0):
    return bytes([how]) + (b"" if how & RAW else head) + pack(">H", len(data)) + data


def text(*pairs):
    return b"".join(p.encode() + b"\0" for p in pairs)


def words(*values):
    return pack(">%dI" % len(values), *values)


# ---- what an initiator says

ISID = bytes.fromhex("800000010000")


def login(*pairs, csg=1, nsg=3, transit=0x80, cont=0, tsih=0, cid=1, version=0, isid=ISID, how=0, data=None):
    head = (pack(">BBBB", LOGIN | IMMEDIATE, transit | cont | csg << 2 | nsg, version, 0)
            + b"\0" * 4 + isid + pack(">H", tsih) + words(1) + pack(">HH", cid, 0)
            + words(1, 0) + b"\0" * 16)
    return record(head, text(*pairs) if data is None else data, how | OWN_TAGS)


NAMES = ("InitiatorName=iqn.2001-04.com.example:fuzz", "TargetName=iqn.2001-04.com.example:disk")
EVERY_KEY = (
    "HeaderDigest=CRC32C,None", "DataDigest=None", "MaxConnections=8", "InitialR2T=No",
    "ImmediateData=Yes", "MaxRecvDataSegmentLength=262144", "MaxBurstLength=16776192",
    "FirstBurstLength=65536", "DefaultTime2Wait=2", "DefaultTime2Retain=20",
    "MaxOutstandingR2T=8", "DataPDUInOrder=Yes", "DataSequenceInOrder=Yes",
    "ErrorRecoveryLevel=2", "OFMarker=No", "IFMarker=No", "OFMarkInt=2048~8192",
    "IFMarkInt=Reject", "TaskReporting=RFC3720,FastAbort", "iSCSIProtocolLevel=1",
    "X-com.example.unheard-of=1", "SendTargets=All",
)


def logins():
    yield "login", b"\0" + login(*NAMES)
    yield "login-two-stages", (b"\0" + login(*NAMES, "SessionType=Normal", "AuthMethod=CHAP,None",
                                            csg=0, nsg=1) + login(*EVERY_KEY[:17]))
    yield "login-every-key", b"\0" + login(*NAMES, *EVERY_KEY)
    yield "login-continued", (b"\0" + login(NAMES[0], csg=1, transit=0, cont=0x40)
                              + login(NAMES[1], "HeaderDigest=None"))
    yield "login-continued-in-a-pair", (
        b"\0" + login(csg=0, nsg=0, transit=0, cont=0x40, data=b"InitiatorName=iqn.2001-04.com.ex")
        + login(csg=0, nsg=1, data=b"ample:fuzz\0" + text(NAMES[1])))
    yield "login-no-transit", b"\0" + login(*NAMES, csg=0, nsg=0, transit=0) + login(csg=0, nsg=3)
    yield "login-chap", (b"\0" + login(*NAMES, "AuthMethod=CHAP", csg=0, nsg=1)
                         + login("CHAP_A=5,6,7,8", csg=0, nsg=1)
                         + login("CHAP_N=alice", "CHAP_R=0x" + "ab" * 16, csg=0, nsg=1))
    yield "login-discovery", b"\0" + login(NAMES[0], "SessionType=Discovery")
    yield "login-nobody", b"\0" + login(NAMES[0], "TargetName=iqn.2001-04.com.example:other")
    yield "login-no-name", b"\0" + login("SessionType=Normal")
    yield "login-to-a-session", b"\0" + login(*NAMES, tsih=1, cid=2)
    yield "login-version", b"\0" + login(*NAMES, version=1)
    yield "login-bad-stage", b"\0" + login(*NAMES, csg=2, nsg=1)
    yield "login-not-first", b"\0" + record(header(COMMAND))
    yield "login-isid", b"\0" + login(*NAMES, isid=b"\xff" * 6)
    yield "login-long", b"\0" + login(*NAMES, "X-com.example.a=" + "a" * 8000)
    yield "login-no-nul", b"\0" + login(data=b"InitiatorName")
    yield "login-raw", b"\0" + record(b"", b"GET / HTTP/1.0\r\n\r\n" + b"\0" * 60, RAW)


def command(cdb, length=0, data=b"", read=False, write=False, attribute=1, lun=0, itt=3, how=0,
            immediate=0, final=0x80, ahs=b""):
    flags = final | (0x40 if read else 0) | (0x20 if write else 0) | attribute
    head = header(COMMAND | immediate, flags, lun=lun, itt=itt, ahs=len(ahs) // 4,
                  rest=words(length, 0, 0) + cdb[:16].ljust(16, b"\0"))
    return record(head, ahs + data, how)


def data_out(data, offset=0, sn=0, final=0x80, how=0, itt=3, ttt=0):
    return record(header(DATA_OUT, final, itt=itt, rest=words(ttt, 0, 0, 0, sn, offset)), data, how)


def read(lba, blocks):
    return pack(">BBIBHB", 0x28, 0, lba, 0, blocks, 0)


def write(lba, blocks):
    return pack(">BBIBHB", 0x2A, 0, lba, 0, blocks, 0)


def tmf(function, lun=0, itt=0x10, rtt=3, how=0, immediate=IMMEDIATE):
    return record(header(TMF | immediate, 0x80 | function, lun=lun, itt=itt,
                         rest=words(rtt, 0, 0, 0, 0)), b"", how)


def text_request(pairs, flags=0x80, itt=5, ttt=NO_TAG, how=0):
    return record(header(TEXT, flags, itt=itt, rest=words(ttt)), text(*pairs), how)


def full_feature():
    ff = b"\x01"                # LOGGED_IN; others: enum in fuzz_target.c
    tur = b"\0" * 6
    yield "nop", ff + record(header(NOP_OUT | IMMEDIATE, itt=9, rest=words(NO_TAG)), b"ping")
    yield "nop-unasked", ff + record(header(NOP_OUT | IMMEDIATE, itt=NO_TAG, rest=words(5)), b"", OWN_TAGS)
    yield "nop-numbered", ff + record(header(NOP_OUT, itt=9, rest=words(NO_TAG)), b"ping")
    yield "test-unit-ready", ff + command(tur) + command(tur, immediate=IMMEDIATE)
    yield "read", ff + command(read(0, 8), 4096, read=True)
    yield "read-residuals", ff + command(read(0, 8), 100, read=True) + command(read(0, 1), 4096, read=True)
    yield "read-digests", b"\x0d" + command(read(0, 8), 4096, read=True)
    yield "write-immediate", ff + command(write(0, 1), 512, b"w" * 512, write=True)
    yield "write-r2t", ff + command(write(0, 8), 4096, write=True) + data_out(b"w" * 4096)
    yield "write-r2t-parts", (ff + command(write(0, 8), 4096, write=True)
                              + data_out(b"w" * 1024, final=0) + data_out(b"w" * 3072, 1024, 1))
    yield "write-both", ff + command(write(0, 8), 4096, b"w" * 512, write=True) + data_out(b"w" * 3584)
    yield "write-unsolicited", (b"\x81" + command(write(0, 16), 8192, b"w" * 512, write=True, final=0)
                                + data_out(b"w" * 3584, 512, ttt=NO_TAG, how=OWN_TAGS))
    yield "write-digests", b"\x0d" + command(write(0, 1), 512, b"w" * 512, write=True)
    yield "write-bad-digest", b"\x0d" + command(write(0, 1), 512, b"w" * 512, write=True, how=BAD_DIGEST)
    yield "write-wrong-offset", ff + command(write(0, 8), 4096, write=True) + data_out(b"w" * 512, 1024)
    yield "write-wrong-sn", ff + command(write(0, 8), 4096, write=True) + data_out(b"w" * 512, 0, 7)
    yield "write-dripped", b"\x11" + command(write(0, 8), 4096, write=True) + data_out(b"w" * 4096)
    yield "data-for-nobody", ff + data_out(b"w" * 512, itt=99, ttt=77, how=OWN_TAGS)
    yield "both-directions", ff + command(read(0, 1), 512, read=True, write=True)
    yield "long-blocks", b"\x21" + command(read(0, 1), 4096, read=True)
    yield "cdb-in-ahs", ff + command(b"\x7f" + b"\0" * 6 + b"\x18\0\x0b" + b"\0" * 6, 0,
                                     ahs=pack(">HBB", 13, 1, 0) + b"\0" * 12)
    yield "bidirectional-ahs", ff + command(read(0, 1), 512, read=True, ahs=pack(">HBBI", 5, 2, 0, 512))
    yield "ahs-malformed", ff + command(tur, ahs=pack(">HBBI", 500, 1, 0, 0))
    for function in range(1, 9):
        yield "tmf-%d" % function, ff + command(write(0, 8), 4096, write=True) + tmf(function) + command(tur)
    yield "tmf-task-unknown", ff + tmf(1, rtt=99) + tmf(1, lun=3)
    yield "tmf-task-unseen", ff + record(header(TMF | IMMEDIATE, 0x81, itt=8, rest=words(99, 20, 0, 15)), b"", OWN_NUMBERS)
    yield "tmf-lun-of-none", ff + tmf(5, lun=3)
    yield "tmf-many", ff + b"".join(tmf(5, itt=100 + i, how=TOGETHER) for i in range(70))
    yield "tmf-behind-a-hole", (ff + command(tur, how=OWN_NUMBERS) + tmf(2, immediate=0))
    yield "lun-of-none", ff + command(tur, lun=5) + command(b"\x12\0\0\0\x24\0", 36, read=True, lun=5)
    yield "report-luns", ff + command(b"\xa0" + b"\0" * 8 + b"\xff\0\0", 255, read=True)
    yield "inquiry", ff + command(b"\x12\0\0\0\xff\0", 255, read=True)
    yield "text", ff + text_request(["SendTargets="]) + text_request(["SendTargets=All"])
    yield "text-continued", ff + text_request(["MaxRecvDataSegmentLength=512"], 0x40) + text_request(["X-a=b"])
    yield "discovery", b"\x03" + text_request(["SendTargets=All"]) + text_request([], ttt=1)
    yield "discovery-command", b"\x03" + command(tur)
    yield "snack", ff + record(header(SNACK, 0x80, itt=1, rest=words(NO_TAG, 0, 0, 0, 1, 2)))
    yield "unknown-opcode", ff + record(header(0x1C))
    yield "target-opcode", ff + record(header(NOP_IN))
    yield "reserved-bits", ff + record(b"\xff" * 48, b"", OWN_NUMBERS | OWN_TAGS)
    yield "cmd-sn-ahead", (ff + command(tur, how=OWN_NUMBERS) + command(tur) + command(tur, itt=4))
    yield "login-again", ff + login(*NAMES)
    yield "shutdown", b"\x41" + command(read(0, 8), 4096, read=True)
    other = command(tur, itt=30, how=ELSEWHERE)
    yield "two-connections", ff + other + command(read(0, 8), 4096, read=True) \
        + command(read(0, 8), 4096, read=True, itt=31, how=ELSEWHERE)
    yield "two-connections-digests", b"\x0d" + other + command(write(0, 1), 512, b"w" * 512, write=True, how=ELSEWHERE)
    yield "allegiance", ff + other + command(write(0, 8), 4096, write=True, itt=31, how=ELSEWHERE) \
        + data_out(b"w" * 4096) + data_out(b"w" * 4096, how=ELSEWHERE)
    yield "tmf-elsewhere", ff + other + command(write(0, 8), 4096, write=True, itt=31, how=ELSEWHERE) + tmf(5) \
        + record(header(NOP_OUT | IMMEDIATE, itt=NO_TAG, rest=words(NO_TAG)), b"", ELSEWHERE | OWN_TAGS) + tmf(2)
    yield "hole-elsewhere", ff + other + command(tur, itt=31, how=ELSEWHERE | OWN_NUMBERS) + command(tur)
    for reason, cid in ((0, 1), (0, 2), (1, 1), (1, 2), (1, 3)):
        for how in (0, ELSEWHERE):
            yield "logout-%d-%d-by-%d" % (reason, cid, 2 if how else 1), (
                ff + other + command(write(0, 8), 4096, write=True) + record(
                    header(LOGOUT | IMMEDIATE, 0x80 | reason, itt=7, rest=pack(">HH", cid, 0)), b"", how)
                + command(tur) + other)
    yield "lost-and-back", ff + other + record(b"", b"garbage" * 20, RAW | ELSEWHERE) + command(tur) + other * 3
    yield "in-its-place", ff + other + login(*NAMES, tsih=1, cid=1, how=ELSEWHERE)
    for reason in range(3):
        yield "logout-%d" % reason, ff + record(
            header(LOGOUT | IMMEDIATE, 0x80 | reason, itt=7, rest=pack(">HH", 1, 0)))
    yield "logout-with-tasks", (ff + command(write(0, 8), 4096, write=True)
                                + record(header(LOGOUT, 0x80, itt=7, rest=pack(">HH", 1, 0))))
    yield "together", ff + b"".join(command(read(i, 8), 4096, read=True, itt=20 + i, how=TOGETHER)
                                    for i in range(20))
    for name, cdb, out, length in scsi.commands():
        yield "scsi-" + name, ff + command(cdb, len(out) or length, out[:512], read=not out and length > 0,
                                           write=bool(out))


# ---- what a target says. "itt" counts back: 0 is to the latest request.

HONEST, PROBED = 1, 3           # HONEST_LOGIN, and HONEST_PROBE, of fuzz_initiator.c


def login_response(*pairs, csg=1, nsg=3, transit=0x80, status=0, cont=0, tsih=1, how=0, data=None):
    head = (pack(">BBBB", LOGIN_RESPONSE, transit | cont | csg << 2 | nsg, 0, 0) + b"\0" * 4 + ISID
            + pack(">H", tsih) + words(0) + words(0, 0, 0, 0) + pack(">HH", status, 0) + b"\0" * 8)
    return record(head, text(*pairs) if data is None else data, how)


def response(status=0, sense=b"", flags=0x80, residual=0, itt=0, code=0):
    data = pack(">H", len(sense)) + sense if sense else b""
    return record(header(RESPONSE, flags, code, status, itt=itt,
                         rest=words(0, 0, 0, 0, 0, 0, residual)), data)


def data_in(data, offset=0, sn=0, flags=0x81, status=0, itt=0, ttt=NO_TAG, residual=0):
    return record(header(DATA_IN, flags, 0, status, itt=itt,
                         rest=words(ttt, 0, 0, 0, sn, offset, residual)), data)


def r2t(offset, length, sn=0, itt=0, ttt=9):
    return record(header(R2T, itt=itt, rest=words(ttt, 0, 0, 0, sn, offset, length)))


def async_message(event, p1=0, p2=0, p3=0, data=b""):
    return record(header(ASYNC, itt=NO_TAG, rest=words(NO_TAG, 0, 0, 0) + bytes(0)
                         + pack(">BBHHHI", event, 0, p1, p2, p3, 0)), data)


def login_answers():
    security = login_response("TargetPortalGroupTag=1", "AuthMethod=None", csg=0, nsg=1)
    yield "login", b"\0" + security + login_response("HeaderDigest=None", "MaxBurstLength=512")
    yield "login-every-key", b"\0" + security + login_response(
        *EVERY_KEY[:17], "TargetAlias=a", "TargetAddress=h:1,1", "MaxConnections=NotUnderstood")
    yield "login-straight", b"\0" + login_response("AuthMethod=None", csg=0, nsg=3)
    yield "login-chap", (b"\0" + login_response("AuthMethod=CHAP", csg=0, nsg=0, transit=0)
                         + login_response("CHAP_A=5", "CHAP_I=1", "CHAP_C=0x" + "ab" * 16, csg=0, nsg=0, transit=0)
                         + login_response("CHAP_N=t", "CHAP_R=0x" + "cd" * 16, csg=0, nsg=1))
    yield "login-chap-long", (b"\0" + login_response("AuthMethod=CHAP", csg=0, nsg=0, transit=0)
                              + login_response("CHAP_A=5", "CHAP_I=256", "CHAP_C=0x" + "ab" * 2000,
                                               csg=0, nsg=0, transit=0))
    yield "login-continued", (b"\0" + login_response(csg=0, transit=0, nsg=0, cont=0x40, data=b"TargetPortalGr")
                              + login_response(csg=0, nsg=1, data=b"oupTag=1\0AuthMethod=None\0"))
    for status in (0x0101, 0x0102, 0x0103):
        yield "redirect-%04x" % status, b"\0" + login_response(
            "TargetAddress=[2001:db8::1]:3261,1", status=status, transit=0) + security
    yield "redirect-nowhere", b"\0" + login_response("TargetAddress=", status=0x0101)
    yield "redirect-malformed", b"\0" + login_response("TargetAddress=[::1:99999999", status=0x0102)
    yield "redirect-loop", b"\0" + login_response("TargetAddress=h:3260,1", status=0x0101) * 4
    for status in (0x0200, 0x0201, 0x0203, 0x0207, 0x0209, 0x020B, 0x0300, 0x0301, 0x0302, 0xFFFF):
        yield "refusal-%04x" % status, b"\0" + login_response(status=status)
    yield "login-no-nul", b"\0" + login_response(data=b"TargetPortalGroupTag")
    yield "login-backwards", b"\0" + security + login_response(csg=0, nsg=1)
    yield "login-for-ever", b"\0" + security + login_response(transit=0, nsg=0) * 12
    yield "login-not-even-that", b"\0" + record(header(NOP_IN))


def target_says():
    probed = bytes([PROBED])
    sense = scsi.sense(5, 0x24, 0)
    yield "success", probed + b"".join(response(itt=i) for i in range(6))
    yield "data", probed + data_in(b"d" * 4096, itt=5) + data_in(b"d" * 13, itt=3)
    yield "data-parts", (probed + data_in(b"d" * 512, flags=0, itt=5)
                         + data_in(b"d" * 3584, 512, 1, itt=5))
    yield "data-beyond", probed + data_in(b"d" * 4096, 0xFFFFFF00, itt=5)
    yield "data-too-much", probed + data_in(b"d" * 8000, itt=5)
    yield "data-for-a-write", probed + data_in(b"d" * 512, itt=4)
    yield "data-residual", probed + data_in(b"d" * 512, flags=0x83, residual=3584, itt=5)
    yield "data-digests", bytes([PROBED | 12]) + data_in(b"d" * 4096, itt=5)
    yield "r2t", probed + r2t(0, 4096, itt=4) + response(itt=4)
    yield "r2t-parts", probed + r2t(0, 1024, itt=0) + r2t(1024, 48128, 1, itt=0) + response(itt=0)
    yield "r2t-beyond", probed + r2t(0xFFFFFFF0, 0x20, itt=4)
    yield "r2t-too-long", probed + r2t(0, 0xFFFFFFFF, itt=4)
    yield "r2t-empty", probed + r2t(0, 0, itt=4)
    yield "r2t-for-a-read", probed + r2t(0, 512, itt=5)
    yield "sense", probed + response(2, sense, itt=5) + response(2, scsi.descriptor_sense(), itt=4)
    yield "sense-cut", probed + response(2, sense[:3], itt=5) + response(2, b"\x70", itt=4)
    yield "sense-lies", probed + record(header(RESPONSE, 0x80, 0, 2, itt=5), pack(">H", 999) + sense)
    for name, key, asc, ascq in scsi.SENSES:
        yield "sense-" + name, probed + response(2, scsi.sense(key, asc, ascq), itt=5) + async_message(1)
    for status in (4, 8, 0x18, 0x28, 0x30, 0x40, 0xFF):
        yield "status-%02x" % status, probed + response(status, itt=5) + response(status, itt=4)
    yield "target-failure", probed + response(code=1, itt=5)
    yield "residuals", (probed + response(flags=0x84, residual=4, itt=5)
                        + response(flags=0x82, residual=0xFFFFFFFF, itt=4) + response(flags=0x86, itt=3))
    yield "nop-in", probed + record(header(NOP_IN, itt=NO_TAG, rest=words(7)), b"ping", OWN_TAGS)
    yield "nop-in-unasked", probed + record(header(NOP_IN, itt=NO_TAG, rest=words(NO_TAG)), b"", OWN_TAGS)
    for event in (0, 1, 2, 3, 4, 255):
        yield "async-%d" % event, probed + async_message(event, 1, 2, 30, pack(">H", 18) + sense) \
            + response(itt=5)
    yield "async-aen-cut", probed + async_message(0, data=b"\xff\xff")
    yield "reject", probed + record(header(REJECT, 0x80, 4, itt=NO_TAG), header(COMMAND))
    yield "reject-cut", probed + record(header(REJECT, 0x80, 9, itt=NO_TAG), b"\1\2\3")
    yield "tmf-response", bytes([PROBED | 32]) + record(header(TMF_RESPONSE, itt=0)) + response(itt=3)
    yield "tmf-response-255", bytes([PROBED | 32]) + record(header(TMF_RESPONSE, 0x80, 255, itt=0)) * 3
    for answer in (0, 1, 5):
        yield "abort-answered-%d" % answer, bytes([PROBED | 32]) + b"".join(
            record(header(TMF_RESPONSE, 0x80, answer, itt=0)) for _ in range(4)) + response(itt=0)
    yield "abort-never", bytes([PROBED | 32]) + record(header(NOP_IN, itt=NO_TAG, rest=words(NO_TAG)), b"",
                                                     LATER | OWN_TAGS) * 12
    yield "logout-response", bytes([PROBED | 64]) + b"".join(response(itt=i) for i in range(6)) \
        + record(header(LOGOUT_RESPONSE, itt=0))
    yield "text-response", probed + record(header(TEXT_RESPONSE, itt=0, rest=words(NO_TAG)),
                                           text("TargetName=iqn.x", "TargetAddress=h:1,1"))
    yield "stat-sn-gap", probed + record(header(NOP_IN, itt=NO_TAG, rest=words(NO_TAG, 5000)), b"", OWN_NUMBERS | OWN_TAGS)
    yield "window-shut", probed + record(header(NOP_IN, itt=NO_TAG, rest=words(NO_TAG, 1, 9, 0)), b"", OWN_NUMBERS | OWN_TAGS)
    yield "ahs", probed + record(header(NOP_IN, itt=NO_TAG, ahs=255), b"a" * 1020)
    yield "too-long", probed + record(header(NOP_IN, itt=NO_TAG)[:5] + b"\xff\xff\xff" + b"\0" * 40, b"", OWN_LENGTH)
    yield "raw", probed + record(b"", b"HTTP/1.0 400 Bad Request\r\n\r\n" + b"\0" * 30, RAW)
    yield "silence", probed + record(header(NOP_IN, itt=NO_TAG, rest=words(NO_TAG)), b"", LATER | OWN_TAGS) * 4
    yield "probe-lies", bytes([HONEST]) + data_in(b"\x1f" * 96) + data_in(b"\0" * 32)
    yield "probe-small", bytes([HONEST]) + data_in(scsi.inquiry()) + data_in(pack(">QI", 0xFFFFFFFFFFFFFFFF, 3))
    yield "probe-refused", bytes([HONEST]) + response(2, sense) * 6
    yield "attention-loop", bytes([HONEST]) + response(2, scsi.sense(6, 0x29, 0)) * 12


def text_response(*pairs, cont=0, ttt=NO_TAG, data=None, final=0x80):
    return record(header(TEXT_RESPONSE, (0 if cont else final) | cont, itt=0, rest=words(ttt)),
                  text(*pairs) if data is None else data)


def portal_says():
    yield from login_answers()
    one = ("TargetName=iqn.2001-04.com.example:disk", "TargetAddress=192.0.2.1:3260,1",
           "TargetAddress=[2001:db8::1]:860,2")
    out = record(header(LOGOUT_RESPONSE, itt=0))
    yield "none", b"\1" + text_response() + out
    yield "one", b"\1" + text_response(*one) + out
    yield "no-address", b"\1" + text_response(one[0], "TargetName=iqn.x") + out
    yield "address-first", b"\1" + text_response(one[1], one[0]) + out
    yield "malformed", b"\1" + text_response(one[0], "TargetAddress=", "TargetAddress=[::1", "TargetAddress=h:1,99999",
                                             "TargetAddress=h,x", "TargetAddress=h:0,1") + out
    yield "long-name", b"\1" + text_response("TargetName=" + "n" * 300) + out
    yield "many", b"\1" + text_response(*(f"TargetName=iqn.{i}" for i in range(300))) + out
    yield "pieces", b"\1" + text_response(cont=0x40, ttt=7, data=b"TargetName=iq") + text_response(data=b"n.x\0") + out
    yield "pieces-for-ever", b"\1" + text_response(cont=0x40, ttt=7, data=b"TargetName=x\0") * 40
    yield "open-end", b"\1" + text_response(*one, ttt=7, final=0) * 3 + out
    yield "reject", b"\1" + text_response("SendTargets=Reject") + out
    yield "rejected", b"\1" + record(header(REJECT, 0x80, 4, itt=NO_TAG), header(TEXT))
    yield "async", b"\1" + async_message(1, 1, 2, 30) + text_response(*one) + out
    yield "silent", b"\1"
    for flags in (4, 12):
        yield "chap-%d" % flags, bytes([flags]) + login_response("AuthMethod=CHAP", csg=0, nsg=0, transit=0) \
            + login_response("CHAP_A=5", "CHAP_I=1", "CHAP_C=0x" + "ab" * 16, csg=0, nsg=0, transit=0) \
            + login_response("CHAP_N=storage", "CHAP_R=0x" + "cd" * 16, csg=0, nsg=1)


def seeds():
    for name, content in portal_says():
        yield "discovery", name, content
    for name, content in (*logins(), *full_feature()):
        yield "target", name, content
    for name, content in (*login_answers(), *target_says()):
        yield "initiator", name, content
    for op in (NOP_OUT, COMMAND, TMF, LOGIN, TEXT, DATA_OUT, LOGOUT, SNACK, NOP_IN, RESPONSE, TMF_RESPONSE,
               LOGIN_RESPONSE, TEXT_RESPONSE, DATA_IN, LOGOUT_RESPONSE, R2T, ASYNC, REJECT, 0x1C):
        yield "bhs", "op-%02x" % op, b"\xff" + header(op | (0 if op & 0x20 else IMMEDIATE), lun=1,
                                                      rest=words(*range(1, 8)))
    for lun in (0x4001 << 48, 0x8000 << 48, 0xC1 << 56, 1 << 40):
        yield "bhs", "lun-%016x" % lun, b"\xff" + pack(">BBHI", COMMAND, 0x80, 0, 0) + pack(">Q", lun)
    for flags in range(8):
        yield "keys", "every-key-%d" % flags, bytes([flags]) + text(*EVERY_KEY)
    yield "keys", "one", b"\0" + text("MaxRecvDataSegmentLength=512")
    yield "keys", "numbers", b"\0" + text("MaxBurstLength=0x10000", "FirstBurstLength=0", "DefaultTime2Wait=99999999999",
                                          "MaxConnections=-1", "ErrorRecoveryLevel=", "MaxOutstandingR2T=01")
    yield "keys", "binary", b"\1" + text("X-a=0b" + "QUJD" * 10, "X-b=0x" + "f" * 200, "X-c=0bA", "X-d=0x")
    yield "keys", "lists", b"\1" + text("HeaderDigest=,,CRC32C,", "DataDigest=" + "a," * 100, "TaskReporting=Irrelevant")
    yield "keys", "broken", b"\0" + b"=value\0Name\0" + b"k" * 64 + b"=1\0"
    yield "keys", "twice", b"\0" + text("InitialR2T=Yes", "InitialR2T=No")
    yield "keys", "unended", b"\0InitialR2T=Yes"
