#!/usr/bin/env python3
"""A TCP proxy that cuts connections.

    cut_proxy.py PORT TO-PORT PIDFILE COUNTFILE [CUTS [MEAN-BYTES [SEED]]]

From SIGUSR1 on each connection lives for a random number of bytes, in both directions
together, then both sides are cut, in the midst of whatever they were saying: by FIN or by RST,
by chance. Before, and after CUTS of them (default 0), it only forwards. The number of cuts so far is in COUNTFILE. To stall
everything that goes through it, stop the process."""
import os
import random
import signal
import socket
import struct
import sys
import threading

port, to = int(sys.argv[1]), int(sys.argv[2])
pidfile, countfile = sys.argv[3:5]
cuts = int(sys.argv[5]) if len(sys.argv) > 5 else 0
mean = int(sys.argv[6]) if len(sys.argv) > 6 else 1 << 20
rng = random.Random(int(sys.argv[7]) if len(sys.argv) > 7 else 1)
lock = threading.Lock()
done = 0
armed = False
pairs = []


def life():
    # One in eight dies young: while it logs in or negotiates.
    if not armed or done >= cuts:
        return None
    return int(rng.expovariate(1 / (600 if rng.random() < 0.125 else mean))) + 1


def arm(*_):
    global armed
    armed = True
    for pair in pairs:
        pair.left = life()


class Pair:
    def __init__(self, client):
        self.sides = [client, socket.create_connection(("127.0.0.1", to))]
        with lock:
            self.left = life()
            self.reset = rng.random() < 0.5
            pairs.append(self)
        self.over = False
        for s in self.sides:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for a, b in (self.sides, self.sides[::-1]):
            threading.Thread(target=self.forward, args=(a, b), daemon=True).start()

    def forward(self, a, b):
        try:
            while data := a.recv(1 << 18):
                with lock:
                    if self.left is not None:
                        data, self.left = data[:self.left], self.left - len(data)
                b.sendall(data)
                if self.left is not None and self.left < 1:
                    self.cut()
                    return
        except OSError:
            pass
        self.close(False)

    def cut(self):
        global done
        with lock:
            if self.over:
                return
            done += 1
            with open(countfile + ".new", "w") as f:
                f.write(f"{done}\n")
            os.replace(countfile + ".new", countfile)
        self.close(self.reset)

    def close(self, reset):
        with lock:
            if self.over:
                return
            self.over = True
            pairs.remove(self)
        for s in self.sides:
            try:
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    s.shutdown(socket.SHUT_RDWR)
                s.close()
            except OSError:
                pass


listener = socket.create_server(("127.0.0.1", port), backlog=64)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
signal.signal(signal.SIGUSR1, arm)
with open(countfile, "w") as f:
    f.write("0\n")
with open(pidfile + ".new", "w") as f:
    f.write(f"{os.getpid()}\n")
os.replace(pidfile + ".new", pidfile)
while True:
    client, _ = listener.accept()
    try:
        Pair(client)
    except OSError:
        client.close()
