"""Writers of single bytes that share one block: byte_writers.py ROUNDS SOCKET...

One writer per SOCKET (the unix sockets of NBD servers that lead to one disk, each several times
if wanted) owns one byte of block 5 and counts in it. What a writer has been told is written, and
nobody else writes, must be there when it looks again, and at the end.
"""
import sys
import threading

sys.dont_write_bytecode = True

from nbd_client import Client, Settings

BLOCK = 5 * 512
failures = []


def write(path, number, rounds, start):
    offset = BLOCK + 7 + number * 3
    try:
        start.wait()
        for i in range(rounds):
            value = bytes([i % 255 + 1])
            path.write(offset, value)
            if i % 8 == 0 or i == rounds - 1:
                seen = path.read(offset, 1)
                if seen != value:
                    raise AssertionError("byte %d is %s, must be %s" % (offset, seen, value))
    except Exception as e:      # of any kind: the others end on their own
        failures.append("writer %d, round %d: %s" % (number, i, e))


def main():
    rounds, sockets = int(sys.argv[1]), sys.argv[2:]
    clients = []
    for socket in sockets:
        Settings.server, Settings.export = socket, ""
        clients.append(Client().go())
    clients[0].write(BLOCK, bytes(512))
    start = threading.Barrier(len(clients))
    threads = [threading.Thread(target=write, args=(c, n, rounds, start))
               for n, c in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    block = bytearray(512)
    for n in range(len(clients)):
        block[7 + n * 3] = (rounds - 1) % 255 + 1
    for client in clients:
        if client.read(BLOCK, 512) != block and not failures:
            failures.append("the block is not what all have written")
    print("%d writers, %d rounds each, %d failed" % (len(clients), rounds, len(failures)),
          *failures, sep="\n")
    return 1 if failures else 0


sys.exit(main())
