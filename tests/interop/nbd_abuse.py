"""Clients that mean no good, and what the gateway's memory does meanwhile.

    nbd_abuse.py half-open PID DEADLINE HOST:PORT [COUNT]
    nbd_abuse.py slow PID HOST:PORT

DEADLINE is the gateway's handshake timeout. The export is 64 MiB or more, and is overwritten.
With SANITIZED in the environment memory is not judged: sanitizers hold on to what is freed.
"""
import os
import resource
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True

from conformance import resident
from nbd_client import (ANSWER_SECONDS, Client, EXPORT_NAME, GO, IHAVEOPT, INFO, KIB, MIB, READ,
                        SET_META, Settings, check)

# What README says: a connection has so many bytes of data in flight, and no more.
BYTES_PER_CONNECTION = 64 * MIB


def bounded(pid, before, most, what):
    grown = (resident(pid) - before) * KIB
    print("%s: %d KiB more" % (what, grown // KIB))
    check("SANITIZED" in os.environ or grown <= most, what, "took", grown, "of", most, "bytes")


def option(number, length, data=b""):
    return struct.pack(">QII", IHAVEOPT, number, length) + data


# Ways to stop in the middle of a handshake.
FLAGS = struct.pack(">I", 3)
STOPS = [
    b"", FLAGS[:2], FLAGS, FLAGS + option(INFO, 0)[:9], FLAGS + option(GO, 4000, b"x"),
    FLAGS + option(SET_META, 16 * KIB, bytes(100)), FLAGS + option(EXPORT_NAME, 4096),
    FLAGS + option(77, 32 * MIB, bytes(50)), FLAGS + 20 * option(77, 0),
]


def half_open(pid, deadline, count):
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, most_files))
    host, port = Settings.server.rsplit(":", 1)
    served = Client().go()
    before, connections = resident(pid), []
    for i in range(count):
        s = socket.create_connection((host, int(port)))
        s.sendall(STOPS[i % len(STOPS)])
        connections.append(s)
        if i % 50 == 0:
            served.lives()
            Client().go().lives()
    bounded(pid, before, 32 * MIB, "%d half-open handshakes" % count)
    began, dropped = time.monotonic(), 0
    for s in connections:
        s.settimeout(deadline + ANSWER_SECONDS)
        try:
            while s.recv(64 * KIB):
                pass
        except ConnectionResetError:
            pass
        dropped += 1
        if dropped % 50 == 0:
            served.lives()
    print("%d dropped %.1f s after the last had come, deadline %g s" %
          (dropped, time.monotonic() - began, deadline))
    served.lives()
    Client().go().lives()


def slow(pid):
    """Four clients ask for 256 MiB each, in MiB, and read nothing."""
    filler = Client().go()
    for at in range(0, 64 * MIB, MIB):
        filler.write(at, os.urandom(MIB))
    before, clients = resident(pid), []
    for _ in range(4):
        c = Client().go()
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)
        # What is not listened to any more stays in socket buffers: requests are small.
        c.send(b"".join(c.packed(READ, i % 64 * MIB, MIB) for i in range(256)))
        clients.append(c)
    # They have all that they get when others have been served a hundred times.
    for i in range(100):
        filler.read(i % 64 * MIB, MIB)
        Client().go().lives()
    bounded(pid, before, 4 * BYTES_PER_CONNECTION + 32 * MIB,
            "4 readers with 256 MiB outstanding each")
    for c in clients[1:]:
        c.s.close()
    clients[0].recv(256 * (16 + MIB))       # all that it asked for
    filler.lives()


def main():
    what, pid = sys.argv[1:3]
    if what == "half-open":
        Settings.server, Settings.export = sys.argv[4], ""
        half_open(pid, float(sys.argv[3]), int(sys.argv[5]) if len(sys.argv) > 5 else 1000)
    else:
        Settings.server, Settings.export = sys.argv[3], ""
        slow(pid)


main()
