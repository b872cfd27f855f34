"""Random streams, from pure noise to almost right: garbage.py NBD-ADDRESS ISCSI-ADDRESS"""
import random
import socket
import struct
import sys

STREAMS = 500   # of each kind of listener


def address(text):
    host, port = text.split("/")[0].rsplit(":", 1)
    return host.strip("[]"), int(port)


def noise(rng):
    return rng.randbytes(rng.randrange(1, 4096))


def nbd_almost(rng):
    """A handshake, then options or requests that are damaged."""
    out = struct.pack(">I", rng.choice([0, 1, 3, 3, 3, 0xffffffff]))
    for _ in range(rng.randrange(8)):
        data = rng.randbytes(rng.choice([0, 0, 4, 20, 300]))
        length = rng.choice([len(data), len(data), rng.randrange(2**32)])
        out += struct.pack(">QII", 0x49484156454F5054, rng.choice(range(14)), length) + data
    if rng.random() < 0.5:
        out += struct.pack(">QIIIHH", 0x49484156454F5054, 7, 6, 0, 0, 0)
        for _ in range(rng.randrange(16)):
            out += struct.pack(">IHHQQI", rng.choice([0x25609513, 0x25609513, 0x21e41c71]),
                               rng.randrange(64), rng.randrange(10), rng.randrange(2**64),
                               rng.choice([0, 512, 2**63, rng.randrange(2**64)]),
                               rng.choice([0, 1, 512, 4096, 2**32 - 1]))
            out += rng.randbytes(rng.randrange(600))
    return out


def iscsi_almost(rng):
    """PDUs with a sound length, most with login text, all else at random."""
    out = b""
    for _ in range(rng.randrange(1, 8)):
        text = rng.choice([
            b"InitiatorName=iqn.2026-11.test:garbage\0SessionType=Discovery\0",
            b"InitiatorName=iqn.2026-11.test:garbage\0TargetName=x\0MaxBurstLength=99999999999\0",
            rng.randbytes(rng.randrange(200)), b"", b"A=B\0" * rng.randrange(200)])
        bhs = bytearray(rng.randbytes(48))
        bhs[0] = rng.choice([0x43, 0x43, 0x43, 0x40, 0x01, 0x04, 0x05, rng.randrange(256)])
        if rng.random() < 0.7:
            bhs[1] = rng.choice([0x87, 0x81, 0x00, 0x04, 0x40])
            bhs[2] = bhs[3] = 0
            bhs[14] = bhs[15] = 0
        bhs[4] = rng.choice([0, 0, 0, rng.randrange(256)])
        bhs[5:8] = len(text).to_bytes(3, "big")
        out += bytes(bhs) + text + bytes(-len(text) % 4)
    return out


def pour(where, stream, rng):
    with socket.create_connection(where, timeout=10) as s:
        try:
            at = 0
            while at < len(stream):
                n = rng.choice([1, 7, 48, 1000, len(stream)])
                s.sendall(stream[at:at + n])
                at += n
            if rng.random() < 0.5:
                s.shutdown(socket.SHUT_WR)
                s.settimeout(5)
                while s.recv(65536):
                    pass
        except OSError:
            pass


def main():
    rng = random.Random(20261123)
    for where, almost in ((address(sys.argv[1]), nbd_almost), (address(sys.argv[2]), iscsi_almost)):
        for i in range(STREAMS):
            pour(where, (noise if i % 4 == 0 else almost)(rng), rng)


main()
