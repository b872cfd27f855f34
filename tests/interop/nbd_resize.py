"""A disk that changes its size under NBD clients: nbd_resize.py FILE SERVER...

FILE (1 MiB) is what all the servers lead to. Whoever connects after a change is told of it; whoever
was there before keeps to the smaller of what he was told and what there is.
"""
import os
import sys

sys.dont_write_bytecode = True

from nbd_client import (EINVAL, ENOSPC, INFO, INFO_EXPORT, KIB, MIB, READ, WRITE, Client, Settings,
                        check, info_data)

TIMES = 8               # connections, so that every worker has one


def connect(server, size):
    Settings.server, Settings.export = server, ""
    for _ in range(TIMES):
        c = Client().go()
        check(c.size == size, server, "tells", c.size, "bytes, not", size)
        Client().export_name()
        asking = Client()
        asking.learn(asking.option(INFO, info_data([INFO_EXPORT]))[2])
        check(asking.size == size, server, "tells INFO", asking.size, "bytes, not", size)
    return c


def main():
    path, servers = sys.argv[1], sys.argv[2:]
    old = [connect(server, MIB) for server in servers]
    os.truncate(path, 3 * MIB)
    for server, before in zip(servers, old):
        now = connect(server, 3 * MIB)
        now.write(2 * MIB, b"behind the former end")
        check(now.read(2 * MIB, 21) == b"behind the former end")
        before.fails(EINVAL, READ, 2 * MIB, 512)
        before.fails(ENOSPC, WRITE, 2 * MIB, 3, 0, b"not")
    os.truncate(path, 512 * KIB)
    for server, before in zip(servers, old):
        now = connect(server, 512 * KIB)
        now.fails(EINVAL, READ, 512 * KIB, 512)
        before.read(0, 4096)
    # The old ones are on other workers perhaps; these have looked, too, by now.
    for before in old:
        before.fails((EINVAL, ENOSPC), WRITE, 768 * KIB, 512, 0, bytes(512))


main()
