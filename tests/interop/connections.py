"""Sessions of several connections against a running target (RFC 7143 §4.2.2, §6.3.1, §6.3.4).
Usage: connections.py HOST:PORT/TARGET/LUN"""
import random
import socket
import struct
import sys

NOP_OUT, COMMAND, LOGIN, DATA_OUT, LOGOUT = 0, 1, 3, 5, 6
NOP_IN, RESPONSE, LOGIN_RESPONSE, DATA_IN, LOGOUT_RESPONSE, R2T = 0x20, 0x21, 0x23, 0x25, 0x26, 0x31
BLOCK, AREA = 512, 64           # bytes, blocks of a connection's own
NAME = "iqn.2001-04.com.example:connections"

address, target, lun = sys.argv[1].rsplit("/", 2)
host, port = address.rsplit(":", 1)


class Session:
    def __init__(self):
        self.tsih, self.cmd_sn, self.itt = 0, 1, 0
        self.isid = bytes([0x80]) + random.randbytes(5)


class Connection:
    """Of a session: the leading one, or one that joins it."""

    def __init__(self, session, cid, keys=()):
        self.session, self.cid, self.stat_sn = session, cid, 1
        self.socket = socket.create_connection((host, int(port)), 30)
        self.buffer = b""
        text = "\0".join((f"InitiatorName={NAME}", f"TargetName={target}", *keys, "")).encode()
        self.send(struct.pack(">BBBB4x6sH", LOGIN | 0x40, 0x87, 0, 0, session.isid, session.tsih),
                  struct.pack(">HHII16x", cid, 0, session.cmd_sn, self.stat_sn), 0, text)
        header, _ = self.receive()
        assert header[0] == LOGIN_RESPONSE
        self.status = int.from_bytes(header[36:38], "big")
        self.keys = _
        if not self.status:
            session.tsih = int.from_bytes(header[14:16], "big")

    def send(self, head, rest, itt, data=b""):
        header = bytearray(head + struct.pack(">I", itt) + rest)
        assert len(header) == 48
        header[5:8] = len(data).to_bytes(3, "big")
        self.socket.sendall(header + data + b"\0" * (-len(data) % 4))

    def exactly(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(1 << 20)
            if not more:
                raise EOFError
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def receive(self):
        while True:
            header = self.exactly(48)
            length = int.from_bytes(header[5:8], "big")
            data = self.exactly(length + -length % 4)[:length]
            if header[0] in (RESPONSE, LOGIN_RESPONSE, LOGOUT_RESPONSE):
                self.stat_sn = int.from_bytes(header[24:28], "big") + 1
            if header[0] == DATA_IN and header[1] & 1:
                self.stat_sn = int.from_bytes(header[24:28], "big") + 1
            if header[0] != NOP_IN:
                return header, data
            self.send(struct.pack(">BB6xQ", NOP_OUT | 0x40, 0x80, 0),
                      header[20:24] + struct.pack(">II16x", self.session.cmd_sn, self.stat_sn), 0xFFFFFFFF)

    def number(self):
        self.session.cmd_sn += 1
        self.session.itt += 1
        return self.session.itt, self.session.cmd_sn - 1

    def command(self, flags, length, cdb, data=b""):
        """Sent, not answered yet; its tag."""
        itt, cmd_sn = self.number()
        self.send(struct.pack(">BB6xQ", COMMAND, flags, int(lun) << 48),
                  struct.pack(">III", length, cmd_sn, self.stat_sn) + cdb.ljust(16, b"\0"), itt, data)
        return itt

    def write(self, lba, data):
        return self.command(0xA1, len(data), struct.pack(">BBIBHB", 0x2A, 0, lba, 0, len(data) // BLOCK, 0), data)

    def read(self, lba, blocks):
        return self.command(0xC1, blocks * BLOCK, struct.pack(">BBIBHB", 0x28, 0, lba, 0, blocks, 0))

    def outcome(self, itt):
        """What was read, once the command has ended well; all of it must come by this connection."""
        result = b""
        while True:
            header, data = self.receive()
            assert int.from_bytes(header[16:20], "big") == itt, "an answer to another command"
            if header[0] == DATA_IN:
                result += data
                if not header[1] & 1:
                    continue
            assert header[0] in (RESPONSE, DATA_IN) and header[3] == 0, header.hex()
            return result

    def ready(self):
        """Take the unit attention of a new session."""
        itt = self.command(0x81, 0, b"\0")
        assert int.from_bytes(self.receive()[0][16:20], "big") == itt

    def logout(self, reason, cid):
        itt, cmd_sn = self.number()
        self.send(struct.pack(">BB6xQ", LOGOUT, 0x80 | reason, 0),
                  struct.pack(">HHII16x", cid, 0, cmd_sn, self.stat_sn), itt)
        header, _ = self.receive()
        assert header[0] == LOGOUT_RESPONSE
        return header[2]

    def ended(self):
        try:
            self.receive()
        except (EOFError, ConnectionError):
            return True
        return False


def log_in(connections, wanted=8):
    session = Session()
    first = Connection(session, 1, (f"MaxConnections={wanted}", "InitialR2T=No", "ImmediateData=Yes"))
    assert first.status == 0 and f"MaxConnections={min(wanted, 8)}".encode() in first.keys.split(b"\0")
    all_of_them = [first] + [Connection(session, cid) for cid in range(2, connections + 1)]
    assert all(c.status == 0 for c in all_of_them)
    first.ready()
    return session, all_of_them


def load(connections, rounds, seed):
    """What one has written, all others read; many commands under way on all of them."""
    dice = random.Random(seed)
    for _ in range(rounds):
        areas = [dice.randbytes(dice.randint(1, 16) * BLOCK) for _ in connections]
        writes = [(c, c.write(i * AREA, area)) for i, (c, area) in enumerate(zip(connections, areas))]
        for c, itt in writes:
            c.outcome(itt)
        reads = []
        for i, area in enumerate(areas):
            c = dice.choice(connections)
            reads.append((c, c.read(i * AREA, len(area) // BLOCK), area))
        for c, itt, area in reads:
            assert c.outcome(itt) == area, "read something else than was written"


def main():
    session, connections = log_in(8)
    load(connections, 50, 1)
    assert Connection(session, 9).status == 0x0206, "one more than agreed on"
    # Lost, in the middle of a command; the others go on, and it comes back.
    connections[3].write(0, b"x" * BLOCK)
    connections[3].socket.close()
    load(connections[:3] + connections[4:], 10, 2)
    connections[3] = Connection(session, 4)
    load(connections, 10, 3)
    # In the place of one that is there.
    old, connections[5] = connections[5], Connection(session, 6)
    assert connections[5].status == 0 and old.ended()
    load(connections, 10, 4)
    assert connections[0].logout(1, 77) == 1, "no such CID"
    assert connections[0].logout(1, 2) == 0 and connections[1].ended()
    assert connections[2].logout(1, 3) == 0 and connections[2].ended()
    load(connections[3:], 10, 5)
    # The leading one is no better than others; the last logs out for all.
    connections[0].socket.close()
    load(connections[3:], 10, 6)
    assert connections[3].logout(0, 0) == 0
    assert all(c.ended() for c in connections[3:])
    assert Connection(session, 1).status == 0x020A, "the session is over"
    # Many sessions, each over both workers.
    sessions = [log_in(4, 16)[1] for _ in range(8)]
    for seed, connections in enumerate(sessions):
        load(connections, 5, seed)
    for connections in sessions:
        assert connections[-1].logout(0, 0) == 0


main()
print("ok")
