#!/usr/bin/env python3
"""An initiator that is asked to log out and does not, for target-events.sh.

    target_events.py HOST:PORT STEP

    inventory  LUN 2 is added to LUNs 0 and 1
    removal    of its target: others are let alone
    end        of the process; with two connections, of which one has a write under way
"""
import sys

sys.dont_write_bytecode = True      # the source tree stays as it is

from iscsi_client import ASYNC, R2T, Client, Settings, check
from iscsi_rules import TUR, Unit, report_luns, write_10
from iscsi_rules_connections import two

LOGOUT_WANTED, CONNECTION_DROPPED, ALL_DROPPED = 1, 2, 3


def to(target, **keys):
    Settings.target = "iqn.2026-11.test:" + target
    return Client(keys=keys).ready()


def asked(c):
    p = c.get(ASYNC)
    check(p.event == LOGOUT_WANTED and p.parameter3 == 2, p)


def last_words(c):
    p = c.get(ASYNC)
    check(p.event in (CONNECTION_DROPPED, ALL_DROPPED), p)
    check(p.parameter1 == (c.cid if p.event == CONNECTION_DROPPED else 0), p)
    check(p.parameter2 == c.agreed("DefaultTime2Wait", 2) and p.parameter3 == 0, p)
    check(c.is_closed(), "the connection lives on")
    return p.event


LUNS_CHANGED, POWER_ON = 0x63f0e, 0x62900


def hears(c, lun):
    """The unit attention of that unit, or None: it is ready."""
    return c.scsi(TUR, lun=lun).key


def inventory():
    with to("stays") as c, to("stays") as asks, to("goes") as other:
        for client in c, asks, other:
            check(hears(client, 1) == POWER_ON and hears(client, 1) is None)
        print("waiting", flush=True)
        # Each worker hears of it by itself.
        for client in c, other:
            while hears(client, 0) != LUNS_CHANGED:
                client.silent(0.05)
        while len(asks.good(report_luns(64), read=64).data) < 8 + 3 * 8:
            asks.silent(0.05)
        # One for each nexus of each unit, and none for who has asked in the meantime.
        check([hears(c, lun) for lun in (0, 1, 1, 2, 2)] == [None, LUNS_CHANGED, None, POWER_ON, None])
        check([hears(asks, lun) for lun in (0, 1, 2)] == [None, None, POWER_ON])
        check([hears(other, lun) for lun in (0, 1, 1)] == [None, LUNS_CHANGED, None])


def removal():
    with to("stays") as other, to("goes") as c:
        print("waiting", flush=True)
        asked(c)
        c.lives()           # until then all is as it was
        check(last_words(c) == ALL_DROPPED)
        other.lives()
        with Client(login=False) as again:
            again.refused(0x203, first=True)


def end():
    Settings.target = "iqn.2026-11.test:stays"
    first, second = two(InitialR2T="Yes", ImmediateData="No")
    with first, second:
        itt = second.ask(write_10(0, 8), write=8 * Unit.block_len, cmd_sn=first.cmd_sn)
        second.get(R2T, itt)
        print("waiting", flush=True)
        for c in first, second:
            asked(c)
        # One after the other, in whichever order: with the last one the session goes.
        events = [last_words(c) for c in (first, second)]
        check(sorted(events) == [CONNECTION_DROPPED, ALL_DROPPED], events)
        # The write whose data has not come has ended, too: nobody waits for that any more.


portal, step = sys.argv[1:]
Settings.address, Settings.lun = (portal.rsplit(":", 1)[0], int(portal.rsplit(":", 1)[1])), 0
{f.__name__: f for f in (inventory, removal, end)}[step]()
