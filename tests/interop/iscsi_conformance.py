#!/usr/bin/env python3
"""Conformance of an iSCSI target to RFC 7143, SPC-4 and SBC-3, over a raw socket: most of all
what a well-behaved initiator never sends.

    iscsi_conformance.py [OPTION...] iscsi://HOST:PORT/TARGET-NAME/LUN

The unit is overwritten; it needs 16 MiB or more. One test per rule; each names the section that
it checks and how binding it is:

    MUST, SHOULD   the standard's words
    OURS           the standard leaves it open; what this project promises

A test is skipped where the target does not offer what it is about, or the unit is not of the
kind that it needs. Output is TAP; exit status 1 if a test failed.

@OPTIONS@
    -w SECONDS how long to wait for an answer (20)
    -t SECONDS the target's login timeout, to check that it keeps to it
    -p PID     of the target, here: to see how much memory it takes
    -u USER    the target asks for CHAP, and only the rules of that are wanted
    -f FILE    with the secret, as it is
"""
import sys
import time

sys.dont_write_bytecode = True      # the source tree stays as it is

import conformance
from iscsi_client import AUTHENTICATION, Client, Closed, Settings, check
# Each of these registers its tests.
import iscsi_rules_login
import iscsi_rules_keys
import iscsi_rules_chap
import iscsi_rules_session
import iscsi_rules_connections
import iscsi_rules_tasks
import iscsi_rules_data
import iscsi_rules_scsi
import iscsi_rules_block
import iscsi_rules_erase
import iscsi_rules_defence


def start(options, arguments):
    if len(arguments) != 1 or not arguments[0].startswith("iscsi://"):
        sys.exit("iscsi_conformance.py: which unit? Give iscsi://HOST:PORT/TARGET/LUN (-h: help)")
    Settings.parse(arguments[0])
    Settings.seconds = float(options.get("-w", 20))
    Settings.login_timeout = float(options["-t"]) if "-t" in options else None
    Settings.pid = options.get("-p")
    Settings.user = options.get("-u")
    conformance.TESTS[:] = [t for t in conformance.TESTS
                            if (t[3].__module__ == "iscsi_rules_chap") == bool(Settings.user)]
    if Settings.user:
        with open(options["-f"], "rb") as file:
            Settings.secret = file.read()


def still_there():
    """Does the target let us in? If somebody restarts it, the tests go on when it does."""
    until = time.monotonic() + 10
    first = True
    while True:
        try:
            with Client(login=False) as c:
                ready = c.login(first=True).login_status in (0, AUTHENTICATION)
        except (Closed, OSError, AssertionError):
            ready = False
        if ready or time.monotonic() > until:
            break
        first = False
        time.sleep(0.1)
    check(ready and first, "the target has crashed, or lets nobody in")


if __name__ == "__main__":
    sys.exit(conformance.main(__doc__, "w:t:p:u:f:", start, still_there))
