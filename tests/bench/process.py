"""Processes that the bench starts: ready when started, ended by their pid, and what they cost."""

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TICK = 1.0 / os.sysconf("SC_CLK_TCK")
READY_SECONDS = 20
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
ENVIRONMENT = dict(os.environ, PATH=PATH, LC_ALL="C")
ENVIRONMENT.pop("MALLOC_PERTURB_", None)       # make check has it; it writes to all memory


class Missing(Exception):
    """A program that is not installed, or does not work here."""


def find(program):
    path = shutil.which(program, path=PATH)
    if not path:
        raise Missing(f"{program} is not installed")
    return path


PORTS = itertools.count(os.getpid(), 7919)


def free_port():
    """Out of reach of connect(), and where others do not begin to look: see ../functions.sh."""
    for port in PORTS:
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", 10000 + port % 22000))
            return s.getsockname()[1]


class Process:
    """A server in the background."""

    def __init__(self, argv, tmp, env=None):
        self.name = os.path.basename(argv[0])
        self.log = tempfile.NamedTemporaryFile(dir=tmp, prefix=self.name + ".", delete=False)
        self.popen = subprocess.Popen([find(argv[0])] + argv[1:], stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=self.log,
                                      env=dict(ENVIRONMENT, **(env or {})))
        self.pid = self.popen.pid

    def wait_until(self, ready, what):
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                with open(self.log.name, errors="replace") as log:
                    said = log.read().strip()[-300:]
                self.end()
                raise Missing(f"{self.name}: no {what}: {said}")
            time.sleep(0.02)
        return self

    def wait_port(self, port):
        def accepts():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False
        return self.wait_until(accepts, f"port {port}")

    def end(self):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            if self.popen.poll() is not None:
                return
            self.popen.send_signal(sig)
            try:
                self.popen.wait(3)
            except subprocess.TimeoutExpired:
                pass


def cpu_seconds(pids):
    """User and system time of these processes, all of their threads included."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK


class Counter:
    """Counts the system calls of running processes: with Counter(...) as calls: ..."""

    def __init__(self, argv, out):
        self.argv = argv
        self.out = out
        self.total = None

    def started(self):
        raise NotImplementedError

    def count(self, text):
        raise NotImplementedError

    def __enter__(self):
        self.popen = subprocess.Popen(self.argv, stderr=subprocess.PIPE, env=ENVIRONMENT)
        self.started()
        return self

    def __exit__(self, *_):
        self.popen.send_signal(signal.SIGINT)
        self.popen.stderr.read()
        self.popen.wait()
        with open(self.out) as f:
            self.total = self.count(f.read())


class Traced(Counter):
    """By strace, which slows the process down so much that its peers are always ahead of it: all
    that can be done in one call is. The number hardly varies, but it is the least there can be."""

    def __init__(self, pids, tmp):
        out = os.path.join(tmp, "strace.out")
        attach = [arg for pid in pids for arg in ("-p", str(pid))]
        super().__init__([find("strace"), "-c", "-f", "-o", out] + attach, out)

    def started(self):
        # "Process N attached" is its first word, or the reason why not.
        line = self.popen.stderr.readline().decode(errors="replace")
        if "attached" not in line:
            self.popen.wait()
            raise Missing(line.strip() or "strace attaches to nothing")

    def count(self, text):
        # The line of totals: % time, seconds, usecs/call, calls, [errors], "total".
        line = re.search(r"^ *100\.00 .* total$", text, re.M)
        return int(line.group().split()[3]) if line else 0


class Watched(Counter):
    """By perf, which the process hardly notices: the number as it is, however the processes
    happen to be scheduled."""

    EVENT = "raw_syscalls:sys_enter"

    def __init__(self, pids, tmp):
        out = os.path.join(tmp, "perf.out")
        super().__init__([find("perf"), "stat", "-x", ",", "-e", self.EVENT, "-o", out,
                          "-p", ",".join(map(str, pids))], out)

    @classmethod
    def works(cls):
        try:
            return subprocess.run([find("perf"), "stat", "-e", cls.EVENT, "true"],
                                  capture_output=True, check=False).returncode == 0
        except Missing:
            return False

    def started(self):
        # It says nothing when it is ready; its output file is there a moment before.
        time.sleep(0.2)
        if self.popen.poll() is not None:
            raise Missing("perf: " + self.popen.stderr.read().decode(errors="replace").strip())

    def count(self, text):
        line = re.search(rf"^(\d+),.*{self.EVENT}", text, re.M)
        if not line:
            raise Missing("perf has counted nothing")
        return int(line.group(1))
