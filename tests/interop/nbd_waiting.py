"""More clients than a gateway has descriptors for: those that have to wait cost it no time, and are
greeted when others have gone.

    nbd_waiting.py PID HOST:PORT COUNT
"""
import os
import select
import socket
import sys
import time

SECONDS = 2     # that are watched
MOST = 0.1      # of a CPU, while all wait
PATIENCE = 60   # seconds for the first of them to be greeted, ...
QUIET = 1       # ... and without another one


def cpu(pid):
    with open("/proc/%s/stat" % pid, encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def greeted(clients):
    """Those of them that have heard something, once no more do for a while."""
    heard = set()
    while len(heard) < len(clients):
        silent = [c for c in clients if c not in heard]
        more = select.select(silent, [], [], QUIET if heard else PATIENCE)[0]
        if not more:
            break
        heard.update(more)
    return heard


def main():
    pid, server, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    host, port = server.rsplit(":", 1)
    clients = [socket.create_connection((host, int(port))) for _ in range(count)]
    first = greeted(clients)
    assert 0 < len(first) < count, "%d of %d are greeted" % (len(first), count)
    before = cpu(pid)
    time.sleep(SECONDS)
    used = (cpu(pid) - before) / SECONDS
    print("%d are served and %d wait, for %.0f %% of a CPU" % (len(first), count - len(first), 100 * used))
    assert used <= MOST, "waiting takes %.2f of a CPU" % used
    waiting = [c for c in clients if c not in first]
    for c in first:
        c.close()
    assert greeted(waiting), "nobody is accepted any more"
    for c in clients:
        c.close()


main()
