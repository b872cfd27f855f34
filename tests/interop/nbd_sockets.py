"""Every way to reach the NBD server but the usual ones: nbd_sockets.py WHAT GATEWAY [SERVER]

    at SERVER       a client of HOST:PORT, or of an abstract unix socket @NAME
    single          --single on one end of a socket pair, and on two pipes
    vsock SERVER    a client of PORT on this machine; exit status 77 where there is no vsock
    activated       sockets that are passed as systemd does, with and without names
"""
import os
import signal
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from nbd_client import DISC, MIB, Client, Settings, check

Settings.export = ""


def serves(stream=None):
    c = Client(stream=stream).go()
    check(c.size == MIB, "it has", c.size, "bytes")
    c.write(1000, b"there and back")
    check(c.read(1000, 14) == b"there and back", "it does not keep what is written")
    c.ask(DISC)
    check(c.is_closed(), "it does not end with DISC")


def at(server):
    if not server.startswith("@"):
        Settings.server = server
        serves()
        return
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("\0" + server[1:])
        serves(s)


def vsock(port):
    try:
        s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        s.connect((1, int(port)))       # VMADDR_CID_LOCAL
    except OSError as e:
        print("no vsock on this machine:", e)
        sys.exit(77)
    serves(s)


class Pipes:
    """Two pipes, as a socket."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def settimeout(self, seconds):
        pass

    def sendall(self, data):
        self.writer.write(data)
        self.writer.flush()

    def recv(self, n):
        return self.reader.read1(n)


def single(gateway):
    ours, theirs = socket.socketpair()
    with subprocess.Popen([gateway, "--single", "-", "mem:1M"], stdin=theirs,
                          stdout=theirs) as process:
        theirs.close()
        serves(ours)
    check(process.returncode == 0, "it ends with", process.returncode)
    with subprocess.Popen([gateway, "-s", "mem:1M"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        serves(Pipes(process.stdout, process.stdin))
    check(process.returncode == 0, "it ends with", process.returncode)


def activate(gateway, sockets, names, *arguments, stderr=2):
    """Start it with these sockets as descriptors 3 and up."""
    pid = os.fork()
    if pid:
        return pid
    os.dup2(stderr, 2)
    for i, s in enumerate(sockets):
        fd = os.dup(s.fileno())
        os.dup2(fd, 100 + i)
    for i in range(len(sockets)):
        os.dup2(100 + i, 3 + i)
    os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
    if names:
        os.environ["LISTEN_FDNAMES"] = names
    os.execv(gateway, [gateway, *arguments])


def reloads(gateway):
    """A file that leaves the sockets to systemd can be reloaded."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "c.conf")
        s, Settings.server = listener()
        for size in "2M", "1M":
            with open(path, "w", encoding="ascii") as conf:
                conf.write("nbd-export e { device = mem:%s }\n" % size)
            if size == "2M":
                said, out = os.pipe()
                pid = activate(gateway, [s], None, "--config", path, stderr=out)
                os.close(out)
                log = os.fdopen(said)
                check("serving" in log.readline(), "it does not start")
        os.kill(pid, signal.SIGHUP)
        line = log.readline()
        check("reloaded" in line, line)
        serves()
        os.kill(pid, signal.SIGTERM)
        check(os.waitpid(pid, 0)[1] == 0, "it does not end well")


def listener():
    s = socket.create_server(("127.0.0.1", 0))
    return s, "127.0.0.1:%d" % s.getsockname()[1]


def activated(gateway):
    with tempfile.TemporaryDirectory() as directory:
        a, where = listener()
        b, iscsi = listener()
        path = os.path.join(directory, "sock")
        c = socket.socket(socket.AF_UNIX)
        c.bind(path)
        c.listen()
        pid = activate(gateway, [a, b, c], "disk:iscsi:nbd", "-t", "iqn.2026-11.test:activated",
                       "mem:1M")
        for s in a, b, c:
            s.close()
        for Settings.server in where, path:
            serves()
        inquiry = subprocess.run(["iscsi-inq", "iscsi://%s/iqn.2026-11.test:activated/0" % iscsi],
                                 stdout=subprocess.PIPE, check=True)
        check(b"DIRECT_ACCESS" in inquiry.stdout, "the socket named iscsi is none")
        os.kill(pid, signal.SIGTERM)
        check(os.waitpid(pid, 0)[1] == 0, "it does not end well")
        # It is systemd's: the next instance will need it.
        check(os.path.exists(path), "the passed socket has been removed")


def main():
    what, gateway = sys.argv[1:3]
    if what == "at":
        at(sys.argv[3])
    elif what == "vsock":
        vsock(sys.argv[3])
    elif what == "single":
        single(gateway)
    else:
        activated(gateway)
        reloads(gateway)


main()
