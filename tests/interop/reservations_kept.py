#!/usr/bin/env python3
"""Persistent reservations over restarts of the target (APTPL, SPC-4 5.12.5), for
reservations-kept.sh. What the target was told before, it knows after.

    reservations_kept.py iscsi://HOST:PORT/TARGET-NAME/LUN STEP

    reserve    two registrants; the first holds Write Exclusive, Registrants Only
    reserved   they are that still
    forget     a registration with APTPL=0: nothing is kept from now on
    free       nobody is registered
    refused    APTPL=1 is refused
    churn      new keys, one after the other, until the target dies; prints each that was good
    key        prints the key of the first registrant
"""
import sys

sys.dont_write_bytecode = True      # the source tree stays as it is

from iscsi_client import CONFLICT, Client, Closed, Settings, be, check
from iscsi_rules import Unit, pr_in, pr_list, pr_out, write_10

FIRST, SECOND, STRANGER = "iqn.2026-11.test:first", "iqn.2026-11.test:second", "iqn.2026-11.test:x"
KEY, SECOND_KEY = 0x1234, 0x8000000000000001
REGISTER, RESERVE, REGISTER_AND_IGNORE = 0, 1, 6
READ_KEYS, READ_RESERVATION = 0, 1
APTPL = 1
WRITE_EXCLUSIVE_REGISTRANTS = 5


def port(name):
    """A session of an initiator port that is the same over restarts."""
    c = Client(login=False, isid=0x800000010000)
    c.session_text[0] = ("InitiatorName", name)
    c.enter().ready()
    Unit.learn(c)
    return c


def keys(c):
    data = c.good(pr_in(READ_KEYS, 256), read=256).data
    return sorted(be(data[i:i + 8]) for i in range(8, 8 + be(data[4:8]), 8))


def holder(c):
    """Key and type of the reservation, or None."""
    data = c.good(pr_in(READ_RESERVATION, 256), read=256).data
    return (be(data[8:16]), data[21] & 15) if be(data[4:8]) else None


def write(c):
    return c.scsi(write_10(0, 1), write=bytes(Unit.block_len)).status


def reserve():
    with port(FIRST) as a, port(SECOND) as b:
        a.good(pr_out(REGISTER_AND_IGNORE), write=pr_list(new_key=KEY, flags=APTPL))
        b.good(pr_out(REGISTER_AND_IGNORE), write=pr_list(new_key=SECOND_KEY, flags=APTPL))
        a.good(pr_out(RESERVE, WRITE_EXCLUSIVE_REGISTRANTS), write=pr_list(KEY))
    reserved()


def reserved():
    with port(FIRST) as a, port(SECOND) as b, port(STRANGER) as c:
        check(keys(c) == sorted((KEY, SECOND_KEY)), "keys", keys(c))
        check(holder(c) == (KEY, WRITE_EXCLUSIVE_REGISTRANTS), "reservation", holder(c))
        check(write(a) == 0 and write(b) == 0, "a registrant may not write")
        check(write(c) == CONFLICT, "a stranger may write")
        a.fails(0x52400, pr_out(RESERVE, 9), write=pr_list(KEY))    # no such type: still itself


def forget():
    with port(FIRST) as a:
        a.good(pr_out(REGISTER_AND_IGNORE), write=pr_list(new_key=KEY))
    reserved()


def free():
    with port(STRANGER) as c:
        check(keys(c) == [] and holder(c) is None, "keys", keys(c))
        check(write(c) == 0, "a write is refused")


def refused():
    with port(FIRST) as a:
        a.fails(0x52600, pr_out(REGISTER), write=pr_list(new_key=KEY, flags=APTPL))
        a.good(pr_out(REGISTER), write=pr_list(new_key=KEY))


def churn():
    try:
        with port(FIRST) as a:
            n = keys(a)[0] if keys(a) else 0
            while True:
                n += 1
                a.good(pr_out(REGISTER_AND_IGNORE), write=pr_list(new_key=n, flags=APTPL))
                print(n, flush=True)
    except (Closed, OSError):
        pass


def key():
    with port(FIRST) as a:
        print(*keys(a))


uri, step = sys.argv[1:]
portal, Settings.target, lun = uri[len("iscsi://"):].split("/")
Settings.address, Settings.lun = (portal.rsplit(":", 1)[0], int(portal.rsplit(":", 1)[1])), int(lun)
{f.__name__: f for f in (reserve, reserved, forget, free, refused, churn, key)}[step]()
