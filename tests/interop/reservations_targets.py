#!/usr/bin/env python3
"""Persistent reservations of a unit that several targets show, for reservations-targets.sh.

    reservations_targets.py HOST:PORT STEP

    reserve    the initiator registers with target one, and holds Write Exclusive by it
    reserved   it does still; with target two, where it is not registered, it may not write
    watch      prints "waiting", and waits until it hears that another target shows the unit
    third      registers by all ports; the reservation moves to target three
    names      the two units of target "late" do not pass for one
"""
import sys

sys.dont_write_bytecode = True      # the source tree stays as it is

from iscsi_client import CHECK_CONDITION, CONFLICT, GOOD, Client, Settings, be, check
from iscsi_rules import TUR, Unit, inquiry, pr_in, pr_list, pr_out, write_10

KEY, MOVED = 0x1234, 0x5678
REGISTER, RESERVE, REGISTER_AND_IGNORE, REGISTER_AND_MOVE = 0, 1, 6, 7
READ_FULL_STATUS, WRITE_EXCLUSIVE = 3, 1
APTPL, ALL_TG_PT = 1, 4
INQUIRY_CHANGED = 0x63f03
TAG = 7
ISID = 0x800000010000


def to(target):
    Settings.target = "iqn.2026-11.test:" + target
    c = Client(isid=ISID).ready()
    Unit.learn(c)
    return c


def write(c):
    return c.scsi(write_10(0, 1), write=bytes(Unit.block_len)).status


def registrations(c):
    """{relative target port: (key, holds the reservation)}"""
    data = c.good(pr_in(READ_FULL_STATUS, 4096), read=4096).data
    found, at = {}, 8
    while at < 8 + be(data[4:8]):
        found[be(data[at + 18:at + 20])] = be(data[at:at + 8]), bool(data[at + 12] & 1)
        at += 24 + be(data[at + 20:at + 24])
    return found


def port(c):
    """By which we came, as the unit numbers it: VPD 83h."""
    data = c.good(inquiry(1024, 0x83), read=1024).data
    at = 4
    while at < len(data):
        if data[at + 1] & 0x3f == 0x14:
            return be(data[at + 6:at + 8])
        at += 4 + data[at + 3]
    raise AssertionError("no relative target port")


def ports(c):
    """All of the unit, by page 88h: {number: name}."""
    data = c.good(inquiry(4096, 0x88), read=4096).data
    found, at = {}, 4
    while at < len(data):
        end = at + 12 + be(data[at + 10:at + 12])
        found[be(data[at + 2:at + 4])] = data[at + 16:end].rstrip(b"\0").decode()
        at = end
    return found


def reserve():
    with to("one") as c:
        check(port(c) == TAG, "port", port(c))
        c.good(pr_out(REGISTER_AND_IGNORE), write=pr_list(new_key=KEY, flags=APTPL))
        c.good(pr_out(RESERVE, WRITE_EXCLUSIVE), write=pr_list(KEY))


def reserved():
    with to("one") as one, to("two") as two:
        check(registrations(one) == {TAG: (KEY, True)}, registrations(one))
        check(port(two) == TAG + 1, "port", port(two))
        check(two.scsi(pr_out(RESERVE, WRITE_EXCLUSIVE), write=pr_list(KEY)).status == CONFLICT)
        check(write(one) == GOOD and write(two) == CONFLICT, "write")
        check(ports(two) == {TAG: "iqn.2026-11.test:one,t,0x0007",
                             TAG + 1: "iqn.2026-11.test:two,t,0x0007"}, ports(two))


def watch():
    with to("two") as c:
        print("waiting", flush=True)
        while True:
            result = c.scsi(TUR)
            if result.status == CHECK_CONDITION:
                check(result.key == INQUIRY_CHANGED, result)
                break
            c.silent(0.05)
        c.ready()
        check(port(c) == TAG + 1 and TAG + 2 in ports(c), ports(c))


def third():
    with to("one") as one, to("two") as two, to("three") as three:
        check((port(one), port(two), port(three)) == (TAG, TAG + 1, TAG + 2))
        three.good(pr_out(REGISTER), write=pr_list(new_key=KEY, flags=APTPL))
        check(registrations(two) == {TAG: (KEY, True), TAG + 2: (KEY, False)})
        name = ("iqn.2026-11.test:conformance,i,%#014x" % ISID).encode()
        name += bytes(4 - len(name) % 4)
        move = bytearray(pr_list(KEY, MOVED)) + bytes([0x45, 0, 0, len(name)]) + name
        move[16:24] = bytes([0, 0]) + (TAG + 2).to_bytes(2, "big") + (4 + len(name)).to_bytes(4, "big")
        one.good(pr_out(REGISTER_AND_MOVE, length=len(move)), write=bytes(move))
        check(write(one) == CONFLICT and write(three) == GOOD, "write")
        check(registrations(two) == {TAG: (KEY, False), TAG + 2: (MOVED, True)})
        one.good(pr_out(REGISTER_AND_IGNORE), write=pr_list(new_key=KEY, flags=ALL_TG_PT))
        check(registrations(two) == {TAG: (KEY, False), TAG + 1: (KEY, False),
                                     TAG + 2: (KEY, True)}, registrations(two))


def names():
    with to("late") as c:
        pages = [c.good(inquiry(1024, page), read=1024, lun=lun).data
                 for lun in (0, 1) for page in (0x80, 0x83)]
        check(len(set(pages)) == 4, "alike", pages)


portal, step = sys.argv[1:]
Settings.address = portal.rsplit(":", 1)[0], int(portal.rsplit(":", 1)[1])
{f.__name__: f for f in (reserve, reserved, watch, third, names)}[step]()
