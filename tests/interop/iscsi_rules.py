"""What the tests of iscsi_conformance.py have in common: CDBs, and ways to begin."""
import random
import struct

from iscsi_client import *      # the protocol's names

TUR = bytes(6)
# Sense key, ASC and ASCQ.
INVALID_OPCODE, INVALID_FIELD, LBA_RANGE, NO_LUN = 0x52000, 0x52400, 0x52100, 0x52500
PARAMETER_LENGTH, PARAMETER_FIELD, WRITE_PROTECTED, MISCOMPARE = 0x51a00, 0x52600, 0x72700, 0xe1d00
SAVING_UNSUPPORTED = 0x53900
UNSOLICITED, AMOUNT, CRC_ERROR = 0xb0c0c, 0xb0c0d, 0xb4705
POWER_ON = (0x62900, 0x62901, 0x62902, 0x62904, 0x62907)


def noise(n, seed=1):
    return random.Random(seed).randbytes(n)


def inquiry(alloc, page=None):
    return struct.pack(">BBBHB", 0x12, page is not None, page or 0, alloc, 0)


def read_capacity_10():
    return bytes([0x25]).ljust(10, b"\0")


def read_capacity_16(alloc=32):
    return struct.pack(">BBQIH", 0x9e, 0x10, 0, alloc, 0)


def read_10(lba, blocks, flags=0):
    return struct.pack(">BBIBHB", 0x28, flags, lba, 0, blocks, 0)


def write_10(lba, blocks, flags=0):
    return struct.pack(">BBIBHB", 0x2a, flags, lba, 0, blocks, 0)


def read_16(lba, blocks, flags=0):
    return struct.pack(">BBQIBB", 0x88, flags, lba, blocks, 0, 0)


def write_16(lba, blocks, flags=0):
    return struct.pack(">BBQIBB", 0x8a, flags, lba, blocks, 0, 0)


def mode_sense_6(page, alloc, pc=0, dbd=0, sub=0):
    return struct.pack(">6B", 0x1a, dbd << 3, pc << 6 | page, sub, alloc, 0)


def mode_sense_10(page, alloc, pc=0, dbd=0, sub=0):
    return struct.pack(">BBBBBHBB", 0x5a, dbd << 3, pc << 6 | page, sub, 0, 0, 0, 0)[:7] + \
        struct.pack(">HB", alloc, 0)


def mode_select_10(length, pf=1, sp=0):
    return struct.pack(">BB5xHB", 0x55, pf << 4 | sp, length, 0)


def report_luns(alloc, select=0):
    return struct.pack(">BBB3xIBB", 0xa0, 0, select, alloc, 0, 0)


def request_sense(alloc, desc=0):
    return struct.pack(">BBHBB", 0x03, desc, 0, alloc, 0)


def report_opcodes(alloc, option=0, opcode=0, sa=0, rctd=0):
    return struct.pack(">BBBBHIBB", 0xa3, 0x0c, rctd << 7 | option, opcode, sa, alloc, 0, 0)


def unmap(length, anchor=0):
    return struct.pack(">BB4xBHB", 0x42, anchor, 0, length, 0)


def unmap_list(*descriptors, data_length=None, descriptor_length=None):
    body = b"".join(struct.pack(">QII", lba, n, 0) for lba, n in descriptors)
    n = len(body) if descriptor_length is None else descriptor_length
    return struct.pack(">HHI", n + 6 if data_length is None else data_length, n, 0) + body


def compare_and_write(lba, blocks, flags=0):
    return struct.pack(">BBQ3xBBB", 0x89, flags, lba, blocks, 0, 0)


def get_lba_status(lba, alloc):
    return struct.pack(">BBQIBB", 0x9e, 0x12, lba, alloc, 0, 0)


def pr_in(action, alloc):
    return struct.pack(">BB5xHB", 0x5e, action, alloc, 0)


def pr_out(action, kind=0, length=24):
    return struct.pack(">BBB2xIB", 0x5f, action, kind, length, 0)


def pr_list(key=0, new_key=0, flags=0):
    return struct.pack(">QQIBBH", key, new_key, 0, flags, 0, 0)


class Unit:
    """Of the unit under test, once it is asked for: blocks, block_len."""
    blocks = block_len = None

    @classmethod
    def learn(cls, c):
        if not cls.blocks:
            data = c.good(read_capacity_16(), read=32).data
            cls.blocks, cls.block_len = be(data[:8]) + 1, be(data[8:12])


def session(**keys):
    """In full feature phase, with these keys, no unit attention left."""
    c = Client(keys=keys).ready()
    Unit.learn(c)
    return c


def streaming(**keys):
    """A session in which data may come unasked."""
    return session(**{"InitialR2T": "No", "ImmediateData": "Yes", **keys})


def writable(c):
    mode = c.good(mode_sense_6(0x3f, 4), read=4).data
    if mode[2] & 0x80:
        raise NotHere("the unit is read-only")
    return c


def writing(**keys):
    return writable(session(**keys))


def has(c, result, what):
    """A command that a unit may lack."""
    if result.status == CHECK_CONDITION and result.key == INVALID_OPCODE:
        c.s.close()
        raise NotOffered(what + " is not offered")
    return result


def fill(c, lba, blocks, seed=1):
    data = noise(blocks * Unit.block_len, seed)
    c.good(write_10(lba, blocks), write=data)
    return data


def holds(c, lba, data):
    blocks = len(data) // Unit.block_len
    found = c.good(read_10(lba, blocks), read=len(data)).data
    check(found == data, "the unit holds other data")
