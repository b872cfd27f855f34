#!/usr/bin/env python3
"""The gateway beside what else there is, and beside the floor: a relay that looks at nothing.

    bench.py [--build DIR] [--direction A,B] [--far own,peer] [--loads LOAD,...]
             [--connections 1,4] [--digests off,on] [--rounds 5] [--seconds 1]
             [--only NAME,...] [--nbd-client fio|qemu-img] [--iscsi-client qemu-img|iscsi-perf]
             [--no-calls]        without --loads, --connections, --digests: all there is to know
    bench.py --smoke [--record]

Direction A is NBD to iSCSI, B is iSCSI to NBD; servers.py says what runs in them. A load is
SIZE-KIND-DEPTH, such as 4k-randread-32. The rounds of all bridges are interleaved: each round
puts each load on each bridge in turn, so that what else the machine does hits them all.

Per load one table: requests per second, latency at p50 and p99, the bridge's own CPU time (user
and system, all its processes and threads) per request, as medians of the rounds; system calls per
request, counted in a short run of their own, by perf where it may look, else by strace, which
makes them fewer (see process.py); and the ratios of ours to each, at the same far end. Over iSCSI at depth 1 the percentiles are those of a small initiator of the bench's own
(latency.py); at greater depths "~" marks the mean, which follows from depth and throughput.

Digests are header digests: libiscsi, in the rivals and clients, knows no others.

What is missing is named and left out. --smoke only counts the system calls per request of our
gateway, by strace and for bursts of requests (bursts.py), and fails if there are more than
syscalls.txt allows; --record prints lines for that file.
"""

import argparse
import os
import statistics
import sys

sys.dont_write_bytecode = True

from bursts import bursts                                           # noqa: E402
from clients import CLIENTS, NEEDS_COUNT, Load, Run, add_latency    # noqa: E402
from process import Missing, Traced, Watched, cpu_seconds           # noqa: E402
from servers import Servers                                         # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
LIMITS = os.path.join(HERE, "syscalls.txt")
LOADS = [f"4k-rand{kind}-{depth}" for depth in (1, 32, 128) for kind in ("read", "write")] + \
        [f"{size}-{kind}-8" for size in ("256k", "1m") for kind in ("read", "write")]
SHORT = ["4k-randread-32", "4k-randwrite-32", "256k-read-8", "256k-write-8"]
# (loads, connections, digests)
PLAN = [(LOADS, [1], ["off"]), (SHORT, [4], ["off"]), (SHORT, [1], ["on"])]
DEVICE_SIZE = 512 << 20
CALIBRATION = 500       # requests that tell how many make a round
SMALL = 1 << 16
COUNTED = 4000          # requests whose system calls are counted
SMOKE_TRIES = 5
# What syscalls.txt allows beyond the number that was recorded: into how many pieces large data is
# cut is the socket buffers' doing, and varies.
SLACK, SLACK_LARGE = 1.25, 2.5


class Bench:
    def __init__(self, options, direction, servers):
        self.client = CLIENTS[options.nbd_client if direction == "A" else options.iscsi_client]
        self.needs_count = self.client in NEEDS_COUNT
        self.direction = direction
        self.servers = servers
        self.seconds = options.seconds
        self.counter = Watched if Watched.works() else Traced

    def start(self, bridge):
        """False: it cannot be had."""
        try:
            bridge.uri, bridge.processes = bridge.start()
            return True
        except Missing as why:
            print(f"left out: {bridge.label}: {why}", flush=True)
            return False

    def put(self, bridge, load, connections, count=None, seconds=None):
        run = Run(load, connections, seconds or self.seconds, self.servers.size, count,
                  self.servers.digests)
        return run, self.client(bridge.uri, run)

    def measure(self, bridge, load, connections, rate):
        """One round: (requests per second, p50, p99, CPU seconds per request)."""
        count = None
        if self.needs_count:
            if not rate:
                _, result = self.put(bridge, load, connections, CALIBRATION * connections)
                rate = result.ios / max(result.seconds, 0.001)
            count = max(CALIBRATION, int(rate * self.seconds))
            count -= count % connections
        before = cpu_seconds(bridge.pids)
        run, result = self.put(bridge, load, connections, count)
        cpu = cpu_seconds(bridge.pids) - before
        if not result.p50:
            add_latency(bridge.uri, run, result)
        return result.ios / result.seconds, result.p50, result.p99, cpu / result.ios

    def calls(self, bridge, load, connections=1):
        """System calls per request."""
        count = COUNTED if load.size <= SMALL else COUNTED // 8
        with self.counter(bridge.pids, self.servers.tmp) as counted:
            _, result = self.put(bridge, load, connections, count)
        return counted.total / result.ios


def microseconds(seconds, mark=""):
    return f"{mark}{seconds * 1e6:.0f}" if seconds else "-"


def medians(rounds):
    """Of each column; a column that a client does not tell is None throughout."""
    return [None if None in column else statistics.median(column) for column in zip(*rounds)]


def ratio(ours, other):
    return f"{ours / other:.2f}" if ours and other else "-"


def print_table(title, load, rows, calls):
    """rows: {bridge: its rounds}"""
    names = ["", "far end", "IO/s", "MB/s", "p50 us", "p99 us", "CPU us/IO", "calls/IO",
             "CPU: ours/it", "IO/s: ours/it"]
    layout = "{:<20} {:<7} {:>8} {:>7} {:>7} {:>7} {:>9} {:>8} {:>12} {:>13}"
    middle = {bridge: medians(rounds) for bridge, rounds in rows.items() if rounds}
    ours = {bridge.far: m for bridge, m in middle.items() if bridge.kind == "ours"}
    print(f"\n{title}")
    print(layout.format(*names))
    for bridge, (rate, p50, p99, cpu) in middle.items():
        own = ours.get(bridge.far)
        compared = own and bridge.kind != "ours"
        print(layout.format(
            bridge.name, bridge.far, f"{rate:.0f}", f"{rate * load.size / 1e6:.0f}",
            microseconds(p50, "" if p99 else "~"), microseconds(p99), f"{cpu * 1e6:.2f}",
            f"{calls[bridge]:.2f}" if bridge in calls else "-",
            ratio(own[3], cpu) if compared else "", ratio(own[0], rate) if compared else ""),
            flush=True)


def bench_direction(options, direction, plan, digests):
    loads, all_connections, _ = plan
    with Servers(options.build, DEVICE_SIZE, digests) as servers:
        bench = Bench(options, direction, servers)
        bridges = [bridge for bridge in servers.bridges(direction, options.far)
                   if (not options.only or bridge.name in options.only) and bench.start(bridge)]
        cells = [(load, connections) for load in loads for connections in all_connections]
        results = {cell: {bridge: [] for bridge in bridges} for cell in cells}
        calls = {cell: {} for cell in cells}
        broken = set()
        for number in range(options.rounds + (not options.no_calls)):
            for cell in cells:
                # Back and forth, so that none always follows the same other.
                for bridge in bridges if number % 2 else reversed(bridges):
                    if (cell, bridge) in broken:
                        continue
                    rounds = results[cell][bridge]
                    try:
                        if number < options.rounds:
                            rounds.append(bench.measure(bridge, *cell,
                                                        rounds[-1][0] if rounds else None))
                        else:
                            calls[cell][bridge] = bench.calls(bridge, *cell)
                    except (Missing, OSError) as why:
                        print(f"left out: {bridge.label}, {cell[0]}: {why}", flush=True)
                        broken.add((cell, bridge))
            print(f"direction {direction}: round {number + 1} done", file=sys.stderr, flush=True)
        for load, connections in cells:
            title = (f"{direction}: {load}, {connections} connection(s), "
                     f"digests {'on' if digests else 'off'}, median of {options.rounds} rounds")
            print_table(title, load, results[load, connections], calls[load, connections])


def read_limits():
    limits = {}
    with open(LIMITS) as f:
        for line in f:
            words = line.partition("#")[0].split()
            if words:
                direction, load, most = words
                limits[direction, Load.parse(load)] = float(most)
    return limits


def smoke(options):
    """Even so a run may come out higher than it must: the best of a few counts."""
    failed = False
    limits = read_limits()
    for direction in sorted({direction for direction, _ in limits}):
        with Servers(options.build, DEVICE_SIZE // 8, False) as servers:
            bench = Bench(options, direction, servers)
            bench.client, bench.counter = bursts, Traced
            bridge = next(bridge for bridge in servers.bridges(direction, ["own"])
                          if bridge.kind == "ours")
            if not bench.start(bridge):
                return 1
            for load in [load for way, load in limits if way == direction]:
                limit, least = limits[direction, load], None
                slack = SLACK if load.size <= SMALL else SLACK_LARGE
                for _ in range(SMOKE_TRIES):
                    counted = bench.calls(bridge, load)
                    least = min(counted, least or counted)
                    if least <= limit and not options.record:
                        break
                failed |= least > limit
                print(f"{direction} {load} {least * slack:.2f}" if options.record else
                      f"{direction}: {load}: {least:.2f} system calls per request, "
                      f"at most {limit} allowed", flush=True)
    return 1 if failed and not options.record else 0


def words(text):
    return text.split(",")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(HERE, "..", ".."))
    parser.add_argument("--direction", type=words, default=["A", "B"])
    parser.add_argument("--far", type=words, default=["own", "peer"])
    parser.add_argument("--loads", type=words)
    parser.add_argument("--connections", type=lambda t: [int(w) for w in words(t)])
    parser.add_argument("--digests", type=words)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--only", type=words)
    parser.add_argument("--nbd-client", choices=["fio", "qemu-img"], default="fio")
    parser.add_argument("--iscsi-client", choices=["qemu-img", "iscsi-perf"], default="qemu-img")
    parser.add_argument("--no-calls", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    options.plan = PLAN
    if options.loads or options.connections or options.digests:
        options.plan = [(options.loads or LOADS, options.connections or [1],
                         options.digests or ["off"])]
    try:
        options.plan = [([Load.parse(text) for text in loads], connections, digests)
                        for loads, connections, digests in options.plan]
    except ValueError as why:
        parser.error(str(why))
    return options


def main():
    options = parse_options()
    if options.smoke:
        try:
            return smoke(options)
        except Missing as why:
            print(why)
            return 77
    for plan in options.plan:
        for digests in plan[2]:
            for direction in options.direction:
                bench_direction(options, direction, plan, digests == "on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
