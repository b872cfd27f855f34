"""How long one SCSI READ or WRITE takes: an initiator with a single command in flight."""

import random
import socket
import struct
import time

BHS = 48
NO_TAG = 0xFFFFFFFF
NOP_IN, SCSI_RESPONSE, LOGIN_RESPONSE, DATA_IN = 0x20, 0x21, 0x23, 0x25


def receive(sock, count):
    parts = bytearray()
    while len(parts) < count:
        part = sock.recv(count - len(parts))
        if not part:
            raise ConnectionError("the server has closed the connection")
        parts += part
    return parts


class Initiator:
    def __init__(self, uri):
        portal, self.target, lun = uri[len("iscsi://"):].split("/")
        host, _, port = portal.rpartition(":")
        self.lun = struct.pack(">HHHH", int(lun), 0, 0, 0)
        self.cmd_sn = 1
        self.exp_stat_sn = 0
        self.socket = socket.create_connection((host, int(port)), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.login()

    def close(self):
        self.socket.close()

    def receive_pdu(self):
        header = receive(self.socket, BHS)
        length = int.from_bytes(header[5:8], "big")
        receive(self.socket, (length + 3) & ~3)
        # StatSN is only a number of the sequence where the PDU carries a status.
        if header[0] != DATA_IN or header[1] & 1:
            self.exp_stat_sn = (int.from_bytes(header[24:28], "big") + 1) & 0xFFFFFFFF
        return header

    def login(self):
        """RFC 7143 §6.3: from the operational stage straight to full feature phase."""
        keys = {"InitiatorName": "iqn.2026-11.test:bench", "SessionType": "Normal",
                "TargetName": self.target, "HeaderDigest": "None", "DataDigest": "None",
                "InitialR2T": "No", "ImmediateData": "Yes", "ErrorRecoveryLevel": "0",
                "FirstBurstLength": "65536", "MaxRecvDataSegmentLength": "262144"}
        text = b"".join(f"{key}={value}\0".encode() for key, value in keys.items())
        isid = b"\x80" + random.randbytes(5)
        header = struct.pack(">BBBBI6sHIHHII16x", 0x43, 0x87, 0, 0, len(text), isid, 0, 1, 0, 0,
                             self.cmd_sn, 0)
        self.socket.sendall(header + text + bytes(-len(text) % 4))
        answer = self.receive_pdu()
        if answer[0] != LOGIN_RESPONSE or answer[36] or answer[1] & 0x83 != 0x83:
            raise ConnectionError(f"login: {bytes(answer).hex()}")

    def request(self, cdb, length, data=b""):
        """A command with immediate data."""
        flags = 0x80 | (0x20 if data else 0x40)
        header = struct.pack(">BBHI8sIIII16s", 0x01, flags, 0, len(data), self.lun, self.cmd_sn,
                             length, self.cmd_sn, self.exp_stat_sn, cdb)
        self.cmd_sn += 1
        return header + data

    def command(self, cdb, length, data=b""):
        """Send it, and wait for its status."""
        self.socket.sendall(self.request(cdb, length, data))
        return self.status()

    def status(self):
        """Of whichever command ends next."""
        while True:
            answer = self.receive_pdu()
            if answer[0] == SCSI_RESPONSE or answer[0] == DATA_IN and answer[1] & 1:
                return answer[3]
            if answer[0] not in (DATA_IN, NOP_IN):
                raise ConnectionError(f"PDU 0x{answer[0]:02x}")


def command_latencies(uri, size, writes, device_size, seconds):
    """Seconds that each command took, one after the other, at random places."""
    initiator = Initiator(uri)
    blocks = size // 512
    data = random.randbytes(size) if writes else b""
    taken = []
    try:
        initiator.command(bytes(16), 0)         # TEST UNIT READY takes the unit attention
        end = time.monotonic() + seconds
        while not taken or time.monotonic() < end:
            lba = random.randrange(device_size // size) * blocks
            cdb = struct.pack(">BBQIBB", 0x8A if writes else 0x88, 0, lba, blocks, 0, 0)
            start = time.perf_counter()
            status = initiator.command(cdb, size, data)
            taken.append(time.perf_counter() - start)
            if status:
                raise ConnectionError(f"SCSI status {status}")
    finally:
        initiator.close()
    return taken
