"""One step of sanitizing a LUN: sanitize.py iscsi://HOST:PORT/TARGET/LUN STEP

    erase [PID]               begin, and do not wait; with PID, stop that process when a part is done
    erase-leniently           begin, with AUSE
    is-busy                   it is under way
    becomes-ready             it ends well
    fails                     it ends, or has ended, in failure
    leaves-failure            EXIT FAILURE MODE
"""
import os
import signal
import sys
import time

sys.dont_write_bytecode = True

from iscsi_rules_erase import *

AUSE, FAILED = 0x20, 0x33103


def asked(c):
    """How the unit is, but for unit attentions."""
    while True:
        result = c.scsi(TUR)
        if result.status == GOOD or result.key not in POWER_ON:
            return result


def ended(c):
    while True:
        result = asked(c)
        if result.status == GOOD or result.key != IN_PROGRESS:
            return result
        time.sleep(0.05)


def stop_amid(c, pid):
    while True:
        result = asked(c)
        check(result.key == IN_PROGRESS, result)
        if be(result.sense[16:18]):     # PROGRESS INDICATION
            break
        time.sleep(0.01)
    os.kill(pid, signal.SIGSTOP)


def main():
    uri, step, *pid = sys.argv[1:]
    Settings.parse(uri)
    with Client() as c:
        asked(c)
        if step == "erase":
            c.good(sanitize(BLOCK_ERASE, flags=IMMED))
            if pid:
                stop_amid(c, int(pid[0]))
        elif step == "erase-leniently":
            c.good(sanitize(BLOCK_ERASE, flags=IMMED | AUSE))
        elif step == "is-busy":
            check(asked(c).key == IN_PROGRESS, asked(c))
        elif step == "becomes-ready":
            result = ended(c)
            check(result.status == GOOD, result)
        elif step == "fails":
            result = ended(c)
            check(result.status == CHECK_CONDITION and result.key == FAILED, result)
        elif step == "leaves-failure":
            c.good(sanitize(EXIT_FAILURE_MODE))
        else:
            sys.exit(__doc__)


main()
