#!/usr/bin/env python3
"""EXTENDED COPY reaches what the nexus has, and nothing else (CVE-2020-28374), for
target-access.sh: whoever knows the name of a unit can ask for it.

    copy_reach.py iscsi://HOST:PORT/TARGET-NAME

The target shows its LUNs 0 and 1 to alice, LUN 0 alone to bob, and both to carol, to whom LUN
1 is read-only. Initiators are iqn.2026-11.test:alice, and so on.
"""
import struct
import sys

sys.dont_write_bytecode = True      # the source tree stays as it is

from iscsi_client import Client, Settings, be, check
from iscsi_rules import Unit, read_10, write_10

UNREACHABLE, FAILURE = 0xa0d02, 0xa0d01


def client(name):
    c = Client(login=False)
    c.session_text[0] = ("InitiatorName", "iqn.2026-11.test:" + name)
    return c.enter()


def naa(c, lun):
    """The eight bytes of the NAA designator of a unit, from VPD page 83h."""
    page = c.good(struct.pack(">BBBHB", 0x12, 1, 0x83, 255, 0), read=255, lun=lun).data
    at = 4
    while at < 4 + be(page[2:4]):
        if page[at + 1] & 0x3f == 3:
            return page[at + 4:at + 4 + page[at + 3]]
        at += 4 + page[at + 3]
    raise AssertionError("no NAA designator")


def copy(c, source, destination):
    """Block 0 of one to block 1 of the other, sent to LUN 0."""
    cscds = b"".join(
        struct.pack(">BBHBBBB", 0xe4, 0, 0, 1, 3, 0, 8) + name.ljust(20, b"\0")
        + struct.pack(">I", Unit.block_len) for name in (source, destination))
    segment = struct.pack(">BBHHHHHQQ", 2, 0, 24, 0, 1, 0, 1, 0, 1)
    header = struct.pack(">BBHIII", 1, 0, len(cscds), 0, len(segment), 0)
    data = header + cscds + segment
    return c.scsi(struct.pack(">B9xIH", 0x83, len(data), 0), write=data, lun=0)


def block(c, lun, lba):
    return c.good(read_10(lba, 1), read=Unit.block_len, lun=lun).data


portal, Settings.target = sys.argv[1][len("iscsi://"):].split("/")
Settings.address = portal.rsplit(":", 1)[0], int(portal.rsplit(":", 1)[1])

with client("alice") as alice, client("bob") as bob, client("carol") as carol:
    for c in alice, bob, carol:
        c.ready()
    for lun in 0, 1:
        for _ in range(2):      # the first may be told of a reset
            alice.scsi(bytes(6), lun=lun)
            carol.scsi(bytes(6), lun=lun)
    Unit.learn(alice)
    names = naa(alice, 0), naa(alice, 1)
    secret, public = b"secret".ljust(Unit.block_len), b"public".ljust(Unit.block_len)
    alice.good(write_10(0, 1), write=public, lun=0)
    alice.good(write_10(0, 1), write=secret, lun=1)

    # Bob knows what they are called.
    bob.fails(0x52500, bytes(6), lun=1)
    for pair in names[::-1], names, (names[1], names[1]), (names[0], bytes(8)):
        result = copy(bob, *pair)
        check(result.key == UNREACHABLE, "bob:", result)
    check(block(bob, 0, 1) != secret, "bob has read what he must not")
    check(block(alice, 1, 1) != public, "bob has written where he must not")
    check(copy(bob, names[0], names[0]).status == 0, "bob may not copy within his own")

    # Carol may read, and so copy from there.
    result = copy(carol, *names)
    check(result.key == FAILURE, "carol:", result)
    check(block(alice, 1, 1) != public, "carol has written where she may only read")
    check(copy(carol, *names[::-1]).status == 0 and block(carol, 0, 1) == secret, "carol cannot copy")
    carol.fails(0x72700, write_10(0, 1), write=public, lun=1)

    # Alice has both.
    check(copy(alice, *names).status == 0 and block(alice, 1, 1) == public, "alice cannot copy")
