"""Logins that stop half way, as many at a time as one likes:
iscsi_half_logins.py iscsi://HOST:PORT/TARGET/LUN COUNT PID KIB

The target, whose process is PID, must not grow by more than KIB for all of them together, and must
serve a real initiator meanwhile. They stop anywhere: with nothing, within the header, within the
text, within a key that goes on in another request, between two stages; then all where most is held.
"""
import resource
import sys

sys.dont_write_bytecode = True

from conformance import resident
from iscsi_rules import *


def hold_most(c):
    """As much text as is taken, and most of another data segment."""
    for _ in range(2):
        c.login(b"x" * 8000, cont=True, transit=False)
    c.send(c.login_pdu(b"x" * 8000, length=8192)[:-50])


def stop_half_way(i, worst):
    c = Client(login=False)
    pdu = c.login_pdu(text_of(c.session_text))
    kinds = (
        lambda: None,
        lambda: c.send(pdu[:1]),
        lambda: c.send(pdu[:47]),
        lambda: c.send(pdu[:60]),
        lambda: c.send(c.login_pdu(length=8192)),
        lambda: c.login(b"X-long=" + b"x" * 8000, cont=True, transit=False),
        lambda: c.login(first=True, transit=False),
        lambda: c.login({"AuthMethod": "None"}, first=True, csg=SECURITY, nsg=OPERATIONAL),
    )
    try:
        if worst:
            hold_most(c)
        else:
            kinds[i % len(kinds)]()
    except (AssertionError, Closed):
        pass                # it is too much for the target, which is its good right
    return c


def serve():
    with session() as c:
        c.good(read_10(0, 64), read=64 * Unit.block_len)


def attack(count, worst, pid, most):
    with session() as real:     # has what a first session takes
        before_it = resident(pid)
        half = []
        for i in range(count):
            half.append(stop_half_way(i, worst))
            if i % 50 == 0:
                real.good(read_10(0, 8), read=8 * Unit.block_len)
        serve()
        grown = resident(pid) - before_it
        for c in half:
            c.s.close()
        serve()
    check(grown < most, count, "half logins take", grown, "KiB")
    print("%d half logins%s take %d KiB" % (count, ", all with much text," * worst, grown))


def main():
    count, pid, most = int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    Settings.parse(sys.argv[1])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    attack(count, False, pid, most)
    attack(count, True, pid, most)


main()
