"""Processes that the bench starts: ready when started, ended by their pid, and what they cost."""

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


class Missing(Exception):
    """A program that is not installed, or does not work here."""


def find(program):
    path = shutil.which(program, path=PATH)
    if not path:
        raise Missing(f"{program} is not installed")
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
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


class SystemCalls:
    """Counts the system calls of running processes: with SystemCalls(...) as calls: ..."""

    def __init__(self, pids, tmp):
        self.out = os.path.join(tmp, "strace.out")
        attach = [arg for pid in pids for arg in ("-p", str(pid))]
        self.argv = [find("strace"), "-c", "-f", "-o", self.out] + attach
        self.total = None

    def __enter__(self):
        self.popen = subprocess.Popen(self.argv, stderr=subprocess.PIPE, env=ENVIRONMENT)
        # "Process N attached" is its first word, or the reason why not.
        line = self.popen.stderr.readline().decode(errors="replace")
        if "attached" not in line:
            self.popen.wait()
            raise Missing(line.strip() or "strace attaches to nothing")
        return self

    def __exit__(self, *_):
        self.popen.send_signal(signal.SIGINT)
        self.popen.stderr.read()
        self.popen.wait()
        with open(self.out) as f:
            # The line of totals: % time, seconds, usecs/call, calls, [errors], "total".
            line = re.search(r"^ *100\.00 .* total$", f.read(), re.M)
        self.total = int(line.group().split()[3]) if line else 0
