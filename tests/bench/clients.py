"""Clients that put load on a server: fio and qemu-img over NBD, qemu-img and iscsi-perf over iSCSI.

Each function returns a Result. Clients that can only be told how long to run get "seconds", those
that want to know how much to do get "count".
"""

import dataclasses
import json
import re
import subprocess
import time

from latency import command_latencies
from process import ENVIRONMENT, Missing, find

RUN_SECONDS = 60        # patience beyond what was asked for


@dataclasses.dataclass(frozen=True)
class Load:
    """Written SIZE-KIND-DEPTH, such as 4k-randread-32; KIND is fio's."""
    size: int
    kind: str
    depth: int

    @classmethod
    def parse(cls, text):
        match = re.fullmatch(r"(\d+)([km]?)-((?:rand)?(?:read|write))-(\d+)", text)
        if not match:
            raise ValueError(f"{text}: not SIZE-KIND-DEPTH, such as 4k-randread-32")
        size, unit, kind, depth = match.groups()
        return cls(int(size) * {"": 1, "k": 1 << 10, "m": 1 << 20}[unit], kind, int(depth))

    def __str__(self):
        size = f"{self.size >> 20}m" if self.size >= 1 << 20 else f"{self.size >> 10}k"
        return f"{size}-{self.kind}-{self.depth}"

    @property
    def writes(self):
        return self.kind.endswith("write")


@dataclasses.dataclass
class Result:
    ios: int
    seconds: float
    p50: float = None   # seconds; None: this client does not tell
    p99: float = None


@dataclasses.dataclass
class Run:
    """How a load is put on a server."""
    load: Load
    connections: int
    seconds: float
    size: int           # bytes of the device
    count: int = None   # requests, all connections together; None: as many as the time allows
    digests: bool = False


def execute(argv, seconds):
    try:
        done = subprocess.run([find(argv[0])] + argv[1:], stdin=subprocess.DEVNULL,
                              capture_output=True, env=ENVIRONMENT, timeout=seconds + RUN_SECONDS)
    except subprocess.TimeoutExpired:
        raise Missing(f"{argv[0]} does not come to an end") from None
    out = done.stdout.decode(errors="replace")
    if done.returncode:
        why = (done.stderr.decode(errors="replace") or out).strip()[-300:]
        raise Missing(f"{argv[0]}: {why}")
    return out


def fio(uri, run):
    """ioengine=nbd: all connections in one process, one thread each."""
    load = run.load
    argv = ["fio", "--name=bench", "--ioengine=nbd", f"--uri={uri}", f"--rw={load.kind}",
            f"--bs={load.size}", f"--iodepth={load.depth}", f"--numjobs={run.connections}",
            "--thread", "--group_reporting", f"--size={run.size}", "--norandommap",
            "--lat_percentiles=1", "--clat_percentiles=0", "--output-format=json"]
    if run.count:
        argv += [f"--number_ios={run.count // run.connections}"]
    else:
        argv += ["--time_based", f"--runtime={int(run.seconds * 1000)}ms"]
    out = execute(argv, run.seconds)
    job = json.loads(out[out.index("{"):])["jobs"][0]
    done = job["write" if load.writes else "read"]
    percentile = done["lat_ns"]["percentile"]
    return Result(done["total_ios"], done["runtime"] / 1e3,
                  percentile["50.000000"] / 1e9, percentile["99.000000"] / 1e9)


def qemu_image(uri, digests):
    if not uri.startswith("iscsi:"):
        return ["-f", "raw", uri]
    portal, target, lun = uri[len("iscsi://"):].split("/")
    options = f"driver=iscsi,transport=tcp,portal={portal},target={target},lun={lun}"
    return ["--image-opts", options + (",header-digest=crc32c" if digests else "")]


def qemu_img(uri, run):
    """"qemu-img bench": one process per connection, a number of requests that is known."""
    load, count = run.load, run.count // run.connections
    # It only knows steps: one that is odd, in requests, and long is as good as random.
    step = load.size * (7919 if load.kind.startswith("rand") else 1)
    argv = [find("qemu-img"), "bench", "-t", "none", "-c", str(count), "-d", str(load.depth),
            "-s", str(load.size), "-S", str(step)] + (["-w"] if load.writes else [])
    argv += qemu_image(uri, run.digests)
    clients = [subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, env=ENVIRONMENT)
               for _ in range(run.connections)]
    deadline = time.monotonic() + run.seconds + RUN_SECONDS
    seconds = []
    for client in clients:
        try:
            out = client.communicate(timeout=max(0.1, deadline - time.monotonic()))[0]
        except subprocess.TimeoutExpired:
            client.kill()
            out = client.communicate()[0]
        match = re.search(rb"Run completed in ([\d.]+) seconds", out)
        if not match or client.returncode:
            for other in clients:
                other.kill()
                other.wait()
            raise Missing("qemu-img: " + out.decode(errors="replace").strip()[-300:])
        seconds.append(float(match.group(1)))
    return Result(count * run.connections, max(seconds))


def iscsi_perf(uri, run):
    """Reads only, in whole seconds, over one connection."""
    if run.load.writes or run.connections > 1:
        raise Missing("iscsi-perf reads, over one connection")
    seconds = max(1, round(run.seconds))
    argv = ["iscsi-perf", "-b", str(run.load.size // 512), "-m", str(run.load.depth),
            "-t", str(seconds)] + (["-r"] if run.load.kind.startswith("rand") else [])
    out = execute(argv + [uri + ("?header_digest=crc32c" if run.digests else "")], seconds)
    average = re.findall(r"iops average (\d+)", out)
    if not average:
        raise Missing("iscsi-perf: " + out.strip()[-300:])
    return Result(int(average[-1]) * seconds, float(seconds))


def add_latency(uri, run, result):
    """Percentiles for the clients that have none: by an initiator of our own, which is only
    quick enough to be true where one command is in flight at a time."""
    if run.load.depth > 1 or run.connections > 1 or run.digests:
        result.p50 = run.load.depth * run.connections * result.seconds / result.ios
        return
    taken = sorted(command_latencies(uri, run.load.size, run.load.writes, run.size, 0.5))
    result.p50 = taken[len(taken) // 2]
    result.p99 = taken[len(taken) * 99 // 100]


CLIENTS = {"fio": fio, "qemu-img": qemu_img, "iscsi-perf": iscsi_perf}
NEEDS_COUNT = {qemu_img}
