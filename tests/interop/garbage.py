"""Random streams, from pure noise to almost right: garbage.py NBD-ADDRESS ISCSI-ADDRESS

STREAMS in the environment: how many for each of the two."""
import os
import random
import socket
import struct
import sys

STREAMS = int(os.environ.get("STREAMS") or 500)


def address(text):
    host, port = text.split("/")[0].rsplit(":", 1)
    return host.strip("[]"), int(port)


def noise(rng):
    return rng.randbytes(rng.randrange(1, 4096))


def nbd_string(data):
    return struct.pack(">I", len(data)) + data


# (option, data) that are as they should be.
NBD_OPTIONS = [
    (3, b""), (5, b""), (8, b""), (11, b""), (77, b"what?"),
    (6, nbd_string(b"") + struct.pack(">4H", 3, 0, 1, 3)),
    (9, nbd_string(b"") + struct.pack(">I", 0)),
    (10, nbd_string(b"") + struct.pack(">I", 2) + nbd_string(b"base:allocation") +
     nbd_string(b"x-scsi:provisioning")),
]
NBD_GO = (7, nbd_string(b"") + struct.pack(">H", 0))


def damaged(rng, data):
    """The same, mostly; or cut, longer, or with a byte that is wrong."""
    fate = rng.randrange(40)
    if fate == 0:
        return data[:rng.randrange(len(data) + 1)]
    if fate == 1:
        return data + rng.randbytes(rng.randrange(300))
    if fate == 2 and data:
        at = rng.randrange(len(data))
        return data[:at] + rng.randbytes(1) + data[at + 1:]
    return data


def nbd_option(rng, option, data):
    data = damaged(rng, data)
    length = rng.choice([len(data)] * 40 + [rng.randrange(2**32)])
    return struct.pack(">QII", 0x49484156454F5054, option, length) + data


def nbd_request(rng, extended):
    """Any command with any flags, ranges near all borders, with payload where there is to be one."""
    command, flags = rng.randrange(10), rng.choice([0, 0, 1, rng.randrange(64)])
    length = rng.choice([0, 1, 512, 4096, 2**32 - 1] + [2**64 - 1, 2**40] * extended)
    offset = rng.choice([0, 512, 2**24 - 1, 2**63, rng.randrange(2**64)])
    data = b""
    if command == 1 or (extended and flags & 32):
        data = rng.randbytes(rng.choice([0, 12, 16, 512, 600]))
        length = rng.choice([len(data)] * 4 + [length])
        flags |= 32 * extended
    form, magic = (">IHHQQQ", 0x21e41c71) if extended else (">IHHQQI", 0x25609513)
    magic = rng.choice([magic] * 30 + [0x25609513, 0x21e41c71])
    return damaged(rng, struct.pack(form, magic, flags, command, rng.randrange(2**64), offset,
                                    length)) + data


def nbd_almost(rng):
    """A handshake, then options, then requests, all of them damaged here and there."""
    out = struct.pack(">I", rng.choice([3] * 12 + [0, 1, 2, 0xffffffff]))
    options = rng.choices(NBD_OPTIONS, k=rng.randrange(8))
    if rng.random() < 0.7:
        options.append(NBD_GO)
    for option, data in options:
        out += nbd_option(rng, option, data)
    extended = any(option == 11 for option, _ in options)
    for _ in range(rng.randrange(16) if options[-1:] == [NBD_GO] else 0):
        out += nbd_request(rng, extended)
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
