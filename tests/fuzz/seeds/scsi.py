"""SCSI (SPC-4, SBC-3): commands with their parameter lists, sense data, what a unit says of itself."""
from struct import pack

# name, key, ASC, ASCQ: those that mean something of their own to a builder
SENSES = (
    ("becoming-ready", 2, 4, 1), ("not-ready", 2, 4, 0), ("standby", 2, 4, 0x0B), ("in-transition", 2, 4, 0x0A),
    ("medium-error", 3, 0x11, 0), ("lba-out-of-range", 5, 0x21, 0), ("lun-gone", 5, 0x25, 0),
    ("reset", 6, 0x29, 0), ("nexus-loss", 6, 0x29, 7), ("mode-changed", 6, 0x2A, 1), ("capacity", 6, 0x2A, 9),
    ("luns-changed", 6, 0x3F, 0x0E), ("write-protected", 7, 0x27, 0), ("space", 7, 0x27, 7),
    ("threshold", 6, 0x38, 7), ("aborted", 0xB, 0, 0), ("miscompare", 0xE, 0x1D, 0),
)


def sense(key, asc, ascq, information=0x1234, fixed=0x70):
    return (pack(">BBBIB", fixed | 0x80, 0, key, information, 10) + b"\0" * 4
            + pack(">BBBBH", asc, ascq, 0, 0xCF, 7))


def descriptor_sense():
    return (pack(">BBBB", 0x72, 5, 0x24, 0) + b"\0\0\0" + bytes([12 + 8])
            + pack(">BBBBQ", 0, 10, 0x80, 0, 0x1234567890) + pack(">BBHBBBB", 2, 6, 0, 0xCF, 0, 7, 0))


def inquiry():
    return pack(">BBBBB", 0, 0, 6, 2, 91) + b"\0\0\2" + b"VENDOR  PRODUCT         0001" + b"\0" * 60


def page(code, body):
    return pack(">BBH", 0, code, len(body)) + body


def vpd():
    """Pages of a far unit."""
    yield "supported", page(0, bytes((0, 0x80, 0x83, 0xB0, 0xB1, 0xB2)))
    yield "serial", page(0x80, b"SERIAL123")
    yield "identification", page(0x83, pack(">BBBB", 1, 3, 0, 8) + b"\x60" + b"\1" * 7
                                 + pack(">BBBB", 0x53, 0x94, 0, 4) + b"\0\0\0\1" + pack(">BBBB", 2, 1, 0, 200))
    yield "extended", page(0x86, b"\0" * 60)
    yield "ports", page(0x88, b"\0\0\0\1\0\0\0\0\0\0\0\4" + pack(">BBBB", 0x53, 0x94, 0, 0))
    yield "limits", page(0xB0, pack(">BBHIIIIIIIQ", 1, 255, 8, 65535, 128, 0, 0xFFFFFFFF, 256, 8, 0x80000000, 8192)
                         + b"\0" * 20)
    yield "limits-zero", page(0xB0, b"\0" * 60)
    yield "characteristics", page(0xB1, pack(">HBB", 1, 0, 2) + b"\0" * 56)
    yield "provisioning", page(0xB2, b"\0\xe4\2\0")


def parameter_data():
    yield from vpd()
    yield "inquiry", inquiry()
    yield "capacity-10", pack(">II", 0xFFFF, 512)
    yield "capacity-16", pack(">QIBBH", 0xFFFFFF, 512, 0, 3, 0xC000) + b"\0" * 16
    yield "capacity-zero", pack(">QI", 0xFFFFFFFFFFFFFFFF, 0) + b"\0" * 20
    yield "lba-status", pack(">I4x", 36) + pack(">QIBBH", 0, 8, 0, 0, 0) + pack(">QIBBH", 8, 0xFFFFFFFF, 1, 0, 0)
    yield "lba-status-huge", pack(">I4x", 0xFFFFFFFF) + pack(">QIBBH", 0, 0, 0, 0, 0)
    yield "luns", pack(">I4x", 24) + pack(">QQQ", 0, 1 << 48, 0x4100 << 48)
    yield "luns-huge", pack(">I4x", 0xFFFFFFF8) + pack(">Q", 0)
    yield "unmap", unmap((0, 8), (16, 0), (1 << 40, 0xFFFFFFFF))
    yield "mode-6", b"\x17\0\x90\x08" + b"\0" * 8 + b"\x08\x12\x14" + b"\0" * 17
    yield "mode-10", pack(">HBBBBH", 26, 0, 0x10, 0, 0, 0) + b"\x88\x12\x04" + b"\0" * 17
    yield "mode-lies", b"\xff\0\0\xff\x48\xff\xff\xff"


def unmap(*ranges):
    body = b"".join(pack(">QII", lba, blocks, 0) for lba, blocks in ranges)
    return pack(">HH4x", 6 + len(body), len(body)) + body


def cdb10(op, service=0, lba=0, length=0, flags=0):
    return pack(">BBIBHB", op, flags | service, lba, 0, length, 0)


def cdb12(op, lba=0, length=0, flags=0):
    return pack(">BBIIBB", op, flags, lba, length, 0, 0)


def cdb16(op, service=0, lba=0, length=0, flags=0):
    return pack(">BBQIBB", op, flags | service, lba, length, 0, 0)


def pr_out(service, scope_type, length=24):
    return pack(">BBBBBIB", 0x5F, service, scope_type, 0, 0, length, 0)


def pr_list(key=0, action_key=1, flags=0, more=b""):
    return pack(">QQ4xBx2x", key, action_key, flags) + more


def transport_id(name=b"iqn.2001-04.com.example:hostb", isid=b"800000010000"):
    text = name + (b",i,0x" + isid if isid else b"") + b"\0"
    text = text.ljust(max(20, (len(text) + 3) & ~3), b"\0")
    return pack(">BBH", 0x45 if isid else 5, 0, len(text)) + text


def pr_out_commands():
    ids = transport_id()
    yield "pr-register", pr_out(0, 0), pr_list()
    yield "pr-register-aptpl", pr_out(0, 0), pr_list(flags=1)
    yield "pr-register-all", pr_out(0, 0), pr_list(flags=4)
    yield "pr-register-spec", pr_out(0, 0, 28 + len(ids)), pr_list(flags=8, more=pack(">I", len(ids)) + ids)
    yield "pr-register-spec-lies", pr_out(0, 0, 28 + len(ids)), pr_list(flags=8, more=pack(">I", 9999) + ids)
    for kind in (1, 3, 5, 6, 7, 8, 2):
        yield "pr-reserve-%d" % kind, pr_out(1, kind), pr_list(1, 0)
    yield "pr-release", pr_out(2, 5), pr_list(1, 0)
    yield "pr-clear", pr_out(3, 0), pr_list(1, 0)
    yield "pr-preempt", pr_out(4, 5), pr_list(1, 2)
    yield "pr-preempt-abort", pr_out(5, 5), pr_list(1, 1)
    yield "pr-register-ignore", pr_out(6, 0), pr_list(9, 7)
    yield "pr-move", pr_out(7, 0, 24 + len(ids)), pack(">QQxBHI", 1, 2, 1, 2, len(ids)) + ids
    yield "pr-unknown", pr_out(9, 0), pr_list()


def cscd(naa=bytes(8), flags=0):
    return pack(">BBH", 0xE4, flags, 0) + pack(">BBBB", 1, 3, 0, 8) + naa + b"\0" * 12 + b"\0\0\2\0"


def xcopy_list(segments=b"", cscds=None, list_id=1, inline=0):
    cscds = cscd() + cscd(b"\x33" + b"\1" * 7) if cscds is None else cscds
    return pack(">BBH4xII", list_id, 0x10, len(cscds), len(segments), inline) + cscds + segments


def blocks_segment(source=0, destination=1, blocks=8, from_lba=0, to_lba=64, flags=0):
    return pack(">BBHHH2xHQQ", 2, flags, 24, source, destination, blocks, from_lba, to_lba)


def xcopy(parameters):
    return pack(">BB8xI2x", 0x83, 0, len(parameters)), parameters


def extended_copies():
    yield "xcopy", *xcopy(xcopy_list(blocks_segment()))
    yield "xcopy-two", *xcopy(xcopy_list(blocks_segment() + blocks_segment(1, 0, 65535, 8, 0)))
    yield "xcopy-nothing", *xcopy(xcopy_list())
    yield "xcopy-unknown-segment", *xcopy(xcopy_list(pack(">BBH", 0x77, 0, 24) + b"\0" * 24))
    yield "xcopy-lies", *xcopy(pack(">BBH4xII", 1, 0, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF))
    yield "xcopy-index", *xcopy(xcopy_list(blocks_segment(7, 9)))
    yield "xcopy-bytes", *xcopy(xcopy_list(pack(">BBHHHIQQ4x", 0x0A, 0, 28, 0, 1, 4096, 0, 8192)))


def mode_select(ten, parameters, sp=0):
    if ten:
        return pack(">BB5xHx", 0x55, 0x10 | sp, len(parameters)), pack(">HBBBBH", 0, 0, 0, 0, 0, 0) + parameters
    return pack(">BB2xBx", 0x15, 0x10 | sp, len(parameters) + 4), pack(">BBBB", 0, 0, 0, 0) + parameters


def mode_selects():
    caching = b"\x08\x12" + b"\0" * 18
    control = b"\x0a\x0a\x06" + b"\0" * 9
    yield "mode-select-caching", *mode_select(False, caching)
    cdb, parameters = mode_select(True, caching + control)
    yield "mode-select-two", pack(">BB5xHx", 0x55, 0x10, len(parameters)), parameters
    yield "mode-select-blocks", pack(">BB2xBx", 0x15, 0x10, 12), b"\0\0\0\x08" + pack(">II", 0, 512)
    yield "mode-select-lies", pack(">BB2xBx", 0x15, 0x10, 6), b"\0\0\0\xff\x08\xff"
    yield "mode-select-unknown", *mode_select(False, b"\x3f\x02\0\0")
    yield "mode-select-empty", b"\x15\x10\0\0\0\0", b""


def data_out_commands():
    block = b"w" * 512
    yield "write-6", b"\x0a\0\0\0\1\0", block
    yield "write-10", cdb10(0x2A, 0, 1, 1, 8), block
    yield "write-12", cdb12(0xAA, 1, 1), block
    yield "write-16", cdb16(0x8A, 0, 1, 1), block
    yield "write-verify-10", cdb10(0x2E, 0, 1, 1, 2), block
    yield "write-verify-16", cdb16(0x8E, 0, 1, 1), block
    yield "verify-10", cdb10(0x2F, 0, 0, 1, 2), bytes(512)
    yield "verify-16-same", cdb16(0x8F, 0, 0, 4, 6), bytes(512)
    yield "write-same-10", cdb10(0x41, 0, 8, 8), block
    yield "write-same-16", cdb16(0x93, 0, 8, 8), block
    yield "write-same-unmap", cdb16(0x93, 0, 8, 8, 8), bytes(512)
    yield "orwrite", cdb16(0x8B, 0, 0, 1), block
    yield "compare-and-write", pack(">BBQ3xB2x", 0x89, 0, 0, 1), bytes(512) + block
    for name, parameters in (("unmap", unmap((0, 8), (16, 8))), ("unmap-overlap", unmap((0, 16), (8, 16))),
                             ("unmap-huge", unmap((0, 0xFFFFFFFF))), ("unmap-empty", unmap()),
                             ("unmap-lies", pack(">HH4x", 0xFFFF, 0xFFFF) + b"\0" * 16)):
        yield name, pack(">BB5xHx", 0x42, 0, len(parameters)), parameters
    yield from pr_out_commands()
    yield from extended_copies()
    yield from mode_selects()
    yield "send-diagnostic", b"\x1d\x10\0\0\4\0", b"\0\0\0\0"


def data_in_commands():
    yield "inquiry", b"\x12\0\0\0\xff\0", 255
    for code in (0, 0x80, 0x83, 0x86, 0x87, 0x88, 0xB0, 0xB1, 0xB2, 0xC0):
        yield "inquiry-%02x" % code, bytes((0x12, 1, code, 1, 0, 0)), 256
    yield "read-capacity-10", cdb10(0x25), 8
    yield "read-capacity-16", cdb16(0x9E, 0x10, 0, 32), 32
    yield "get-lba-status", cdb16(0x9E, 0x12, 0, 512), 512
    yield "read-6", b"\x08\0\0\0\1\0", 512
    yield "read-10", cdb10(0x28, 0, 0, 8, 0x18), 4096
    yield "read-12", cdb12(0xA8, 0, 1), 512
    yield "read-16", cdb16(0x88, 0, 0, 1), 512
    yield "read-16-far", cdb16(0x88, 0, (1 << 64) - 1, 0xFFFFFFFF), 512
    for code in (1, 8, 10, 0x1C, 0x3F):
        yield "mode-sense-6-%02x" % code, bytes((0x1A, 0, code, 0, 255, 0)), 255
        yield "mode-sense-10-%02x" % code, bytes((0x5A, 0x10, 0x40 | code, 0xFF, 0, 0, 0, 1, 0, 0)), 256
    yield "request-sense", b"\3\1\0\0\xfc\0", 252
    yield "report-luns", pack(">BB4xI2x", 0xA0, 0, 256), 256
    for service in range(4):
        yield "pr-in-%d" % service, pack(">BB5xHx", 0x5E, service, 512), 512
    for code in (0, 0x0C, 0x0D, 0x3F):
        yield "log-sense-%02x" % code, pack(">BBBBxHHx", 0x4D, 0, 0x40 | code, 0, 0, 512), 512
    yield "report-opcodes", pack(">BBBBHI2x", 0xA3, 0x0C, 0x80, 0, 0, 8192), 8192
    yield "report-opcodes-one", pack(">BBBBHI2x", 0xA3, 0x0C, 3, 0x9E, 0x10, 64), 64
    yield "report-tmfs", pack(">BBBBHI2x", 0xA3, 0x0D, 0x80, 0, 0, 16), 16
    yield "report-port-groups", pack(">BBBBHI2x", 0xA3, 0x0A, 0, 0, 0, 64), 64
    for service in (0, 1, 3, 4):
        yield "copy-results-%d" % service, pack(">BBB7xI2x", 0x84, service, 1, 512), 512
    yield "read-defects-10", cdb10(0x37, 0, 0, 64), 64
    yield "read-defects-12", b"\xb7\x18" + b"\0" * 4 + pack(">I2x", 64), 64
    yield "receive-diagnostic", b"\x1c\1\0\1\0\0", 256


def no_data_commands():
    for name, cdb in (
            ("test-unit-ready", b"\0" * 6), ("reserve-6", b"\x16" + b"\0" * 5), ("release-6", b"\x17" + b"\0" * 5),
            ("reserve-10", b"\x56" + b"\0" * 9), ("release-10", b"\x57" + b"\0" * 9),
            ("start-stop", b"\x1b\0\0\0\1\0"), ("prevent", b"\x1e\0\0\0\1\0"), ("sync-10", cdb10(0x35)),
            ("sync-16", cdb16(0x91)), ("pre-fetch-10", cdb10(0x34, 0, 0, 8)), ("pre-fetch-16", cdb16(0x90, 0, 0, 8)),
            ("verify-none", cdb10(0x2F, 0, 0, 8)), ("write-same-ndob", cdb16(0x93, 0, 0, 64, 9)),
            ("self-test", b"\x1d\4\0\0\0\0"), ("unknown", b"\xff" * 16), ("write-zero", cdb10(0x2A))):
        yield name, cdb


def commands():
    """name, CDB, data-out, room for data-in"""
    for name, cdb, out in data_out_commands():
        yield name, cdb, out, 0
    for name, cdb, room in data_in_commands():
        yield name, cdb, b"", room
    for name, cdb in no_data_commands():
        yield name, cdb, b"", 0


# ---- inputs of fuzz_disk_lu.c

OTHER_HOST, OTHER_DISK, IN, OUT, AS_CALLED_FOR, ABORTED, RESET, AT_ONCE = (1 << i for i in range(8))


def disk(cdb, out=b"", room=0, how=0):
    how |= OUT if out else IN if room else 0
    return bytes([how, len(cdb)]) + cdb + pack(">H", len(out) or room) + out


def disk_inputs():
    for name, cdb, out, room in commands():
        yield name, b"\0" + disk(cdb, out, room)
    register = disk(pr_out(0, 0), pr_list(), how=0)
    both = register + disk(pr_out(0, 0), pr_list(0, 2), how=OTHER_HOST)
    for kind in (1, 3, 5, 6, 7, 8):
        reserve = disk(pr_out(1, kind), pr_list(1, 0))
        others = b"".join(disk(cdb, out, room, OTHER_HOST) for _, cdb, out, room in (
            ("", cdb10(0x28, 0, 0, 1), b"", 512), ("", cdb10(0x2A, 0, 0, 1), b"w" * 512, 0),
            ("", pack(">BB5xHx", 0x5E, 1, 512), b"", 512)))
        yield "reserved-%d" % kind, b"\0" + both + reserve + others
        yield "reserved-%d-preempt" % kind, (
            b"\0" + both + reserve + disk(pr_out(4, kind), pr_list(2, 1), how=OTHER_HOST) + others
            + disk(pack(">BB5xHx", 0x5E, 3, 512), b"", 512))
        yield "reserved-%d-clear" % kind, b"\0" + both + reserve + disk(pr_out(3, 0), pr_list(2, 0), how=OTHER_HOST)
        yield "reserved-%d-abort" % kind, (
            b"\0" + both + reserve + disk(cdb16(0x8A, 0, 0, 8), b"w" * 4096, 0, AT_ONCE)
            + disk(pr_out(5, kind), pr_list(2, 1), how=OTHER_HOST) + others)
    yield "reserved-move", b"\0" + register + disk(pr_out(1, 1), pr_list(1, 0)) + disk(
        pr_out(7, 0, 24 + len(transport_id())),
        pack(">QQxBHI", 1, 9, 0, 1, len(transport_id())) + transport_id())
    node, port = transport_id(b"iqn.2001-04.com.example:hostb", b""), transport_id(isid=b"000000000000")
    for name, ids in (("node", node), ("port", port), ("both", port + node), ("twice", port + port),
                      ("nobody", transport_id(b"iqn.x", b""))):
        yield "register-" + name, b"\0" + disk(
            pr_out(0, 0, 28 + len(ids)), pr_list(flags=8, more=pack(">I", len(ids)) + ids)) + disk(
                pack(">BB5xHx", 0x5E, 3, 512), b"", 512)
    for name, cdb, out in extended_copies():
        yield name + "-results", b"\0" + disk(cdb, out) + b"".join(
            disk(pack(">BBB7xI2x", 0x84, service, 1, 512), b"", 512) for service in (0, 1, 3, 4, 5))
    yield "xcopy-many", b"\0" + b"".join(
        disk(*xcopy(xcopy_list(blocks_segment(), list_id=i)), 0, AT_ONCE) for i in range(36)) + disk(
            pack(">BBB7xI2x", 0x84, 0, 35, 512), b"", 512)
    yield "reserve-6-conflict", b"\0" + disk(b"\x16" + b"\0" * 5) + disk(b"\0" * 6, how=OTHER_HOST) \
        + disk(b"\x16" + b"\0" * 5, how=OTHER_HOST)
    yield "aborted", b"\0" + disk(cdb16(0x88, 0, 0, 8), b"", 4096, ABORTED | AT_ONCE) \
        + disk(cdb16(0x8A, 0, 0, 1), b"w" * 512, 0, ABORTED)
    yield "reset", b"\0" + disk(cdb16(0x88, 0, 0, 8), b"", 4096, RESET | AT_ONCE) + disk(b"\0" * 6) \
        + disk(b"\0" * 6, how=OTHER_HOST | RESET)
    yield "attentions", b"\2" + disk(b"\0" * 6) + disk(b"\0" * 6, how=OTHER_HOST)
    yield "long-blocks", b"\1" + disk(cdb16(0x88, 0, 0, 1), b"", 4096) + disk(cdb16(0x93, 0, 0, 0), b"w" * 4096)
    yield "locked", b"\0" + b"".join(
        disk(pack(">BBQ3xB2x", 0x89, 0, 0, 1), bytes(1024), 0, AT_ONCE | i & 1) for i in range(8))


# ---- inputs of fuzz_scsi_blk.c: flags, then a byte of fate for each command, and requests

def liar_inputs():
    probe = b"\0" * 24
    requests = b"".join(bytes((op, 0, 0, 0, 0x10, 0)) + b"\0" * 4 for op in range(7))
    for lie in range(8):
        yield "probe-lie-%d" % lie, b"\0" + bytes((lie, 4, 1, 2, 3)) * 12 + requests
        yield "request-lie-%d" % lie, b"\0" + probe + b"".join(
            bytes((op, 0, 1, 0, 8, 0, lie, 9, 9)) for op in range(7))
    for flags in (0, 1, 2, 4, 8, 16, 31):
        yield "honest-%02x" % flags, bytes([flags]) + probe + requests


def seeds():
    for name, content in disk_inputs():
        yield "disk_lu", name, content
    for name, content in liar_inputs():
        yield "scsi_blk", name, content
    for name, cdb, _, _ in commands():
        yield "cdb", name, b"\xff\xff\xff" + cdb.ljust(16, b"\0")
    yield "cdb", "write-32", b"\xff\xff\xff" + pack(">B6xBHBBI", 0x7F, 24, 0x0B, 0, 0, 0) + b"\0" * 16
    for name, content in parameter_data():
        yield "scsi_data", name, b"\xff" + content
    for name, key, asc, ascq in SENSES:
        yield "sense", name, b"\xff\2" + sense(key, asc, ascq)
    yield "sense", "deferred", b"\xff\2" + sense(3, 0x11, 0, fixed=0x71)
    yield "sense", "descriptor", b"\xff\2" + descriptor_sense()
    yield "sense", "busy", b"\xff\x08"
    yield "transport_id", "port", transport_id()
    yield "transport_id", "node", transport_id(isid=b"")
    yield "transport_id", "two", transport_id(b"eui.0123456789abcdef", b"1") + transport_id()
    yield "transport_id", "cut", transport_id()[:30]
    yield "transport_id", "fc", b"\0" * 24
