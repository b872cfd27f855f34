"""What the bench runs between a client and a far end, and the far ends themselves.

Far ends hold the same random bytes, since holes would be served for nothing:

    peer    what others have made: tgtd on a tmpfs file, nbdkit's memory plugin
    own     one gateway of ours that serves mem: over both protocols

A bridge is one or more processes between the clients' port and a far end. Direction A takes NBD to
iSCSI, B takes iSCSI to NBD; the relay takes either to a server of the same protocol.
"""

import contextlib
import dataclasses
import functools
import os
import shutil
import subprocess
import tempfile

from process import ENVIRONMENT, Missing, Process, find, free_port

IQN = "iqn.2026-11.test:bench"
HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen relay
    bind 127.0.0.1:{port}
    server far 127.0.0.1:{far}
"""


@dataclasses.dataclass(eq=False)
class Bridge:
    name: str
    kind: str           # ours, rival, floor, also
    far: str            # peer, own
    start: callable     # returns (URI, [Process])
    uri: str = None
    processes: list = dataclasses.field(default_factory=list)

    @property
    def pids(self):
        return [process.pid for process in self.processes]

    @property
    def label(self):
        return f"{self.name} -> {self.far}"


class Servers:
    """Everything that runs, for one direction, with digests or without."""

    def __init__(self, build, size, digests):
        self.gateway = os.path.join(build, "gateway", "nbd-iscsi-gateway")
        self.plugin = os.path.join(build, "nbdkit-plugin", ".libs", "nbdkit-iscsi-plugin.so")
        self.size = size
        self.digests = digests
        self.stack = contextlib.ExitStack()
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.tmp = tempfile.mkdtemp(prefix="nbd-iscsi-bench.", dir=memory)
        self.stack.callback(shutil.rmtree, self.tmp, True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def run(self, argv, env=None):
        process = Process(argv, self.tmp, env)
        self.stack.callback(process.end)
        return process

    def tell(self, argv, env=None):
        done = subprocess.run([find(argv[0])] + argv[1:], capture_output=True,
                              env=dict(ENVIRONMENT, **(env or {})), timeout=60)
        if done.returncode:
            raise Missing(f"{argv[0]}: {done.stderr.decode(errors='replace').strip()[-200:]}")

    # Far ends

    def image(self):
        """Random bytes on a tmpfs, if there is one."""
        path = os.path.join(self.tmp, "image")
        if not os.path.exists(path):
            block = os.urandom(1 << 20)
            with open(path, "wb") as f:
                for _ in range(self.size >> 20):
                    f.write(block)
        return path

    def fill(self, uri):
        self.tell(["qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", self.image(), uri])

    def tgtd(self, image):
        """One target with the image as LUN 1. tgtd ignores SIGTERM, so that it is killed."""
        port = free_port()
        number = str(10000 + port % 20000)
        env = {"TGT_IPC_SOCKET": os.path.join(self.tmp, f"tgt.{port}")}
        tgtd = self.run(["tgtd", "-f", "-C", number, "--iscsi", f"portal=127.0.0.1:{port}"], env)
        tgtd.wait_port(port)
        target = ["tgtadm", "-C", number, "--mode", "target", "--tid", "1", "--op"]
        self.tell(target + ["new", "--targetname", IQN], env)
        self.tell(["tgtadm", "-C", number, "--mode", "logicalunit", "--op", "new", "--tid", "1",
                   "--lun", "1", "--backing-store", image], env)
        if self.digests:
            self.tell(target + ["update", "--name", "HeaderDigest", "--value", "CRC32C"], env)
        self.tell(target + ["bind", "--initiator-address", "ALL"], env)
        return f"iscsi://127.0.0.1:{port}/{IQN}/1", tgtd

    def iscsi_peer(self):
        return self.tgtd(self.image())[0]

    def nbd_peer(self):
        port = free_port()
        self.run(["nbdkit", "-f", "-i", "127.0.0.1", "-p", str(port), "memory",
                  str(self.size)]).wait_port(port)
        self.fill(f"nbd://127.0.0.1:{port}")
        return f"nbd://127.0.0.1:{port}"

    def own(self):
        """NBD and iSCSI URI of the same memory."""
        nbd, iscsi = free_port(), free_port()
        gateway = self.run([self.gateway, f"--nbd=127.0.0.1:{nbd}", f"--iscsi=127.0.0.1:{iscsi}",
                            f"--target={IQN}", f"mem:{self.size}"])
        gateway.wait_port(nbd).wait_port(iscsi)
        self.fill(f"nbd://127.0.0.1:{nbd}")
        return f"nbd://127.0.0.1:{nbd}", f"iscsi://127.0.0.1:{iscsi}/{IQN}/0"

    # Bridges: (URI, [Process])

    def relay(self, far):
        """haproxy in TCP mode, before a server of the client's own protocol."""
        port = free_port()
        scheme, _, rest = far.partition("://")
        address, slash, path = rest.partition("/")
        conf = os.path.join(self.tmp, f"haproxy.{port}.cfg")
        with open(conf, "w") as f:
            f.write(HAPROXY.format(port=port, far=address.rpartition(":")[2]))
        relay = self.run(["haproxy", "-db", "-f", conf]).wait_port(port)
        return f"{scheme}://127.0.0.1:{port}{slash}{path}", [relay]

    def ours_to_iscsi(self, far):
        port = free_port()
        gateway = self.run([self.gateway, f"--nbd=127.0.0.1:{port}", far]).wait_port(port)
        return f"nbd://127.0.0.1:{port}", [gateway]

    def plugin_to_iscsi(self, far):
        port = free_port()
        nbdkit = self.run(["nbdkit", "-f", "-i", "127.0.0.1", "-p", str(port), self.plugin, far])
        return f"nbd://127.0.0.1:{port}", [nbdkit.wait_port(port)]

    def qemu_blockdev(self, far):
        portal, target, lun = far[len("iscsi://"):].split("/")
        blockdev = f"driver=iscsi,transport=tcp,portal={portal},target={target},lun={lun}"
        return blockdev + (",header-digest=crc32c" if self.digests else "")

    def qemu_nbd(self, far):
        port = free_port()
        argv = ["qemu-nbd", "-t", "-e", "16", "-b", "127.0.0.1", "-p", str(port), "--image-opts",
                self.qemu_blockdev(far)]
        return f"nbd://127.0.0.1:{port}", [self.run(argv).wait_port(port)]

    def qemu_storage_daemon(self, far):
        port = free_port()
        argv = ["qemu-storage-daemon", "--blockdev", "node-name=d," + self.qemu_blockdev(far),
                "--nbd-server", f"addr.type=inet,addr.host=127.0.0.1,addr.port={port}",
                "--export", "type=nbd,id=e,node-name=d,writable=on"]
        return f"nbd://127.0.0.1:{port}/d", [self.run(argv).wait_port(port)]

    def ours_to_nbd(self, far):
        """The far end may as well be an iSCSI target: that is pass-through."""
        port = free_port()
        gateway = self.run([self.gateway, f"--iscsi=127.0.0.1:{port}", f"--target={IQN}", far])
        return f"iscsi://127.0.0.1:{port}/{IQN}/0", [gateway.wait_port(port)]

    def tgtd_on_nbdfuse(self, far):
        """Its price is that of both processes."""
        mount = tempfile.mkdtemp(prefix="nbdfuse.", dir=self.tmp)
        find("fusermount3")
        # Ends as soon as it is unmounted, which comes before the end of tgtd in any case.
        nbdfuse = self.run(["nbdfuse", mount + "/nbd", far])
        self.stack.callback(subprocess.run, ["fusermount3", "-u", "-z", mount],
                            capture_output=True, check=False)
        nbdfuse.wait_until(lambda: os.path.exists(mount + "/nbd"), "mount")
        uri, tgtd = self.tgtd(mount + "/nbd")
        return uri, [tgtd, nbdfuse]

    # Directions

    def far_ends(self, wanted):
        """(name, NBD URI, iSCSI URI) of each; None for what is missing."""
        def peer(name, start):
            try:
                return start()
            except Missing as why:
                print(f"left out: {name} as a far end: {why}")
                return None
        if "own" in wanted:
            yield "own", *self.own()
        if "peer" in wanted:
            yield "peer", peer("nbdkit", self.nbd_peer), peer("tgtd", self.iscsi_peer)

    def bridges(self, direction, wanted_far):
        """All there are, not started yet."""
        for far, nbd, iscsi in self.far_ends(wanted_far):
            behind, beside = (iscsi, nbd) if direction == "A" else (nbd, iscsi)
            table = {"A": [("ours", "ours", self.ours_to_iscsi, behind),
                           ("ours, in nbdkit", "also", self.plugin_to_iscsi, behind),
                           ("qemu-nbd", "rival", self.qemu_nbd, behind),
                           ("qemu-storage-daemon", "rival", self.qemu_storage_daemon, behind),
                           ("haproxy", "floor", self.relay, beside)],
                     "B": [("ours", "ours", self.ours_to_nbd, behind),
                           ("ours, pass-through", "also", self.ours_to_nbd, beside),
                           ("tgtd on nbdfuse", "rival", self.tgtd_on_nbdfuse, behind),
                           ("haproxy", "floor", self.relay, beside)]}[direction]
            for name, kind, start, uri in table:
                if uri:
                    yield Bridge(name, kind, far, functools.partial(start, uri))
