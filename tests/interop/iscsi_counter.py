"""Counters that are incremented only by COMPARE AND WRITE, by many sessions at a time:
iscsi_counter.py iscsi://HOST:PORT/TARGET/LUN SESSIONS INCREMENTS

A block holds one counter. Each increment reads a random range of blocks, and writes it back with
every counter one higher if nobody has been there in between. At the end a counter must be what
the sessions together have added to it.
"""
import os
import random
import struct
import sys

sys.dont_write_bytecode = True

from iscsi_rules import *

COUNTERS = 16


def work(number, increments):
    """What this session has added, by counter; and how often it had to try again."""
    rng, added, missed = random.Random(number), [0] * COUNTERS, 0
    with session(InitialR2T="No") as c:
        n = Unit.block_len
        while increments:
            first = rng.randrange(COUNTERS)
            blocks = rng.randrange(1, COUNTERS - first + 1)
            old = c.good(read_10(first, blocks), read=blocks * n).data
            new = b"".join(struct.pack(">Q", be(old[i * n:i * n + 8]) + 1) +
                           rng.randbytes(n - 8) for i in range(blocks))
            result = c.scsi(compare_and_write(first, blocks), write=old + new)
            if result.status == CHECK_CONDITION:
                check(result.key == MISCOMPARE, result)
                missed += 1
                continue
            check(result.status == GOOD, result)
            increments -= 1
            for i in range(first, first + blocks):
                added[i] += 1
    return added, missed


def start(number, increments):
    """A process of its own; where its result can be read."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        return reader
    os.close(reader)
    try:
        added, missed = work(number, increments)
        os.write(writer, struct.pack("%dI" % (COUNTERS + 1), *added, missed))
        os._exit(0)
    except BaseException as e:
        print("session %d: %r" % (number, e), file=sys.stderr)
        os._exit(1)


def main():
    uri, sessions, increments = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    Settings.parse(uri)
    with session() as c:
        c.good(write_10(0, COUNTERS), write=bytes(COUNTERS * Unit.block_len))
    total = [0] * (COUNTERS + 1)
    for reader in [start(i, increments) for i in range(sessions)]:
        result = os.read(reader, 4096)
        check(len(result) == 4 * (COUNTERS + 1), "a session has failed")
        total = [a + b for a, b in zip(total, struct.unpack("%dI" % (COUNTERS + 1), result))]
        os.wait()
    with session() as c:
        data = c.good(read_10(0, COUNTERS), read=COUNTERS * Unit.block_len).data
    found = [be(data[i * Unit.block_len:i * Unit.block_len + 8]) for i in range(COUNTERS)]
    check(found == total[:-1], "counted", total[:-1], "found", found)
    print("%d increments of %d counters, %d misses: exact" % (sessions * increments, COUNTERS,
                                                              total[-1]))


main()
