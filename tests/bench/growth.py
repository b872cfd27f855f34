#!/usr/bin/env python3
"""What must not grow: memory per idle connection, session and logical unit, CPU time at rest, and
CPU time per request with the number of connections and of logical units; and the time to start.

    growth.py [--build DIR] [--smoke]

Each line is a figure and the most that it may be; the exit status is 1 when one is more. --smoke
leaves out what takes long and whatever is a time.
"""

import argparse
import contextlib
import os
import resource
import socket
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from bursts import NbdClient                # noqa: E402
from clients import Load, Run, fio          # noqa: E402
from latency import Initiator               # noqa: E402
from process import Missing, Process, cpu_seconds, free_port    # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
IQN = "iqn.2026-11.test:bench"
IDLE = 1000             # connections, sessions, logical units
IDLE_SMOKE = 200
ROUNDS = 5


class Gateway:
    def __init__(self, binary, tmp, *devices, threads=1):
        self.nbd, self.iscsi = free_port(), free_port()
        begun = time.monotonic()
        self.process = Process([binary, f"--threads={threads}", f"--nbd=127.0.0.1:{self.nbd}",
                                f"--iscsi=127.0.0.1:{self.iscsi}", f"--target={IQN}", *devices],
                               tmp)
        try:
            self.wait()
        except Missing:
            self.process.end()
            raise
        self.start_seconds = time.monotonic() - begun

    def wait(self):
        """Without a pause worth mentioning: this is what is measured."""
        for port in (self.nbd, self.iscsi):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if self.process.popen.poll() is not None:
                        raise Missing("the gateway does not start") from None
                    time.sleep(0.001)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.end()

    def rss(self):
        """KiB, when it has come to rest."""
        before, now = None, self.resident()
        while now != before:
            time.sleep(0.3)
            before, now = now, self.resident()
        return now

    def resident(self):
        """Exactly: /proc/PID/status is wrong by what each processor has not told."""
        with open(f"/proc/{self.process.pid}/smaps_rollup") as f:
            return int(next(line for line in f if line.startswith("Rss:")).split()[1])

    def cpu(self):
        return cpu_seconds([self.process.pid])


class Growth:
    def __init__(self, binary, tmp, idle):
        self.binary = binary
        self.tmp = tmp
        self.idle = idle
        self.failed = False

    def gateway(self, *devices, **options):
        return Gateway(self.binary, self.tmp, *devices, **options)

    def tell(self, what, figure, most, unit):
        good = figure <= most
        self.failed |= not good
        print(f"{what:<58} {figure:>9.2f} {unit}, at most {most}{'' if good else '  TOO MUCH'}",
              flush=True)

    def at_rest(self):
        with self.gateway("mem:1G") as gateway:
            self.tell("memory of a gateway at rest", gateway.rss() / 1024, 16, "MiB")

    def start(self):
        seconds = []
        for _ in range(ROUNDS):
            with self.gateway("mem:1G") as gateway:
                seconds.append(gateway.start_seconds)
        self.tell("from exec to accepting", statistics.median(seconds) * 1e3, 50, "ms")

    def clients(self, what, connect):
        """Log many of them in, and look at what they cost when they do nothing."""
        with self.gateway("mem:1G") as gateway, contextlib.ExitStack() as stack:
            def add(count):
                for _ in range(count):
                    stack.callback(connect(gateway).close)
            add(10)
            before, begun = gateway.rss(), time.monotonic()
            add(self.idle)
            seconds = time.monotonic() - begun
            self.tell(f"memory per idle {what}", (gateway.rss() - before) / self.idle, 64, "KiB")
            if self.idle == IDLE:
                self.at_peace(gateway, f"{self.idle} idle {what}s")
                print(f"  (they logged in within {seconds:.2f} s)", flush=True)

    def at_peace(self, gateway, what):
        cpu = gateway.cpu()
        time.sleep(3)
        self.tell(f"CPU of {what} in 3 s", (gateway.cpu() - cpu) * 1e3, 10, "ms")

    def units(self):
        with self.gateway("mem:1M") as gateway:
            before = gateway.rss()
        with self.gateway(*["mem:1M"] * self.idle) as gateway:
            self.tell("memory per idle unit", (gateway.rss() - before) / (self.idle - 1), 16,
                      "KiB")

    def cost(self, gateway, connections, export=""):
        run = Run(Load.parse("4k-randread-32"), connections, 0.5, 1 << 20)
        before = gateway.cpu()
        result = fio(f"nbd://127.0.0.1:{gateway.nbd}/{export}", run)
        return (gateway.cpu() - before) / result.ios

    def ratio(self, what, one, many):
        """Interleaved; each a function that gives CPU seconds per request."""
        rounds = [(one(), many()) for _ in range(ROUNDS)]
        few, lots = (statistics.median(column) for column in zip(*rounds))
        self.tell(f"CPU per request, {what}", lots / few, 1.1, f"({few * 1e6:.2f} us before)")

    def connections(self):
        with self.gateway("mem:1M") as gateway:
            self.ratio("64 connections to 1",
                       lambda: self.cost(gateway, 1), lambda: self.cost(gateway, 64))

    def units_cost(self):
        with self.gateway("mem:1M") as one, self.gateway(*["mem:1M"] * IDLE) as many:
            self.ratio(f"{IDLE} units to 1",
                       lambda: self.cost(one, 1), lambda: self.cost(many, 1, f"lun{IDLE // 2}"))

    def workers(self):
        """No limit: it takes as many cores as workers and clients together."""
        run = Run(Load.parse("4k-randread-32"), 4, 1, 1 << 20)
        rates = {1: [], 2: []}
        with self.gateway("mem:1M") as one, self.gateway("mem:1M", threads=2) as two:
            for _ in range(ROUNDS):
                for threads, gateway in ((1, one), (2, two)):
                    result = fio(f"nbd://127.0.0.1:{gateway.nbd}", run)
                    rates[threads].append(result.ios / result.seconds)
        rate = {threads: statistics.median(all_of) for threads, all_of in rates.items()}
        print(f"2 workers to 1, 4 connections, {os.cpu_count()} CPUs in all: "
              f"{rate[2] / rate[1]:.2f} x the requests per second", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(HERE, "..", ".."))
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with tempfile.TemporaryDirectory(prefix="nbd-iscsi-growth.") as tmp:
        growth = Growth(os.path.join(options.build, "gateway", "nbd-iscsi-gateway"), tmp,
                        IDLE_SMOKE if options.smoke else IDLE)
        try:
            growth.at_rest()
            growth.clients("connection", lambda gateway: NbdClient(
                f"nbd://127.0.0.1:{gateway.nbd}"))
            growth.clients("session", lambda gateway: Initiator(
                f"iscsi://127.0.0.1:{gateway.iscsi}/{IQN}/0"))
            growth.units()
            if not options.smoke:
                growth.start()
                growth.connections()
                growth.units_cost()
                growth.workers()
        except Missing as why:
            print(why)
            return 77
    return 1 if growth.failed else 0


if __name__ == "__main__":
    sys.exit(main())
