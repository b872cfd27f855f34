"""Clients for counting: as many requests as the depth says leave in one piece, and the next ones
only when all of these are answered. What the server makes of that hardly depends on how the
processes happen to be scheduled, unlike what it does for clients in a hurry.
"""

import random
import socket
import struct

from clients import Result
from latency import Initiator, receive

NBD_REQUEST, NBD_SIMPLE_REPLY = 0x25609513, 0x67446698
NBD_READ, NBD_WRITE = 0, 1


class NbdClient:
    """NBD proto.md: EXPORT_NAME, which ends the handshake in one step, and simple replies."""

    def __init__(self, uri):
        address, _, export = uri[len("nbd://"):].partition("/")
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        receive(self.socket, 18)
        self.socket.sendall(struct.pack(">IQII", 3, 0x49484156454F5054, 1, len(export)) +
                            export.encode())
        receive(self.socket, 10)

    def close(self):
        self.socket.close()

    def burst(self, offsets, size, writes):
        kind, data = (NBD_WRITE, bytes(size)) if writes else (NBD_READ, b"")
        self.socket.sendall(b"".join(
            struct.pack(">IHHQQI", NBD_REQUEST, 0, kind, cookie, offset, size) + data
            for cookie, offset in enumerate(offsets)))
        for _ in offsets:
            magic, error, _ = struct.unpack(">IIQ", receive(self.socket, 16))
            if magic != NBD_SIMPLE_REPLY or error:
                raise ConnectionError(f"reply 0x{magic:x}, error {error}")
            receive(self.socket, 0 if writes else size)


class IscsiClient(Initiator):
    def __init__(self, uri):
        super().__init__(uri)
        self.command(bytes(16), 0)              # TEST UNIT READY takes the unit attention

    def burst(self, offsets, size, writes):
        data = bytes(size) if writes else b""
        opcode = 0x8A if writes else 0x88
        self.socket.sendall(b"".join(
            self.request(struct.pack(">BBQIBB", opcode, 0, offset // 512, size // 512, 0, 0),
                         size, data) for offset in offsets))
        for _ in offsets:
            if self.status():
                raise ConnectionError("a SCSI status that is not GOOD")


def bursts(uri, run):
    load = run.load
    client = (NbdClient if uri.startswith("nbd:") else IscsiClient)(uri)
    slots = run.size // load.size
    count = max(load.depth, run.count - run.count % load.depth)
    try:
        for number in range(0, count, load.depth):
            places = [random.randrange(slots) if load.kind.startswith("rand")
                      else (number + i) % slots for i in range(load.depth)]
            client.burst([place * load.size for place in places], load.size, load.writes)
    finally:
        client.close()
    return Result(count, None)
