# SPDX-License-Identifier: Apache-2.0
# A cluster in network namespaces, and what may befall it.
"""
    with ClusterNet(directory, 3, topology, rules) as net:
        net.start()
        net["a"].cut()          # No way to NATS and back.
        net["a"].join()

NATS has a namespace of its own, and each server one with one wire to that of
NATS, an archive on a small file system of its own, and a wall clock of its
own.  Postcards are sent within the server's namespace, so that they reach it
whatever becomes of its wire.  Root is needed; everything is gone at the end,
also after an exception.
"""

import contextlib
import ctypes
import mmap
import os
import socket
import struct
import subprocess
import threading

from cluster import Cluster, Nats, Server
from lab import HERE, bindir
from process import Failed, environment, run

NATS_ADDRESS = "10.99.0.1"
DISK = "48m"
_CLONE_NEWNET = 0x40000000
_NOBODY = "02:00:00:00:de:ad"
_libc = ctypes.CDLL(None, use_errno=True)


def socket_in(netns):
    """A UDP socket of that network namespace."""
    made = []

    def make():
        fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        try:
            # Of this thread alone, which ends here.
            if not _libc.setns(fd, _CLONE_NEWNET):
                made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        finally:
            os.close(fd)
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        raise Failed(f"no socket in {netns}")
    return made[0]


class Node(Server):
    """A server in a namespace of its own."""

    def __init__(self, cluster, name):
        super().__init__(cluster, name)
        self.port = 6081
        self.index = 1 + "abcdefgh".index(name)
        self.netns = f"{cluster.prefix}-{name}"
        self.wire = f"to-{name}"        # The end at NATS.
        self.own_ip = f"10.99.{self.index}.2"
        self.far_ip = f"10.99.{self.index}.1"
        self.filling = f"{self.archive}/filling"
        self._clock = None

    # --- what it has -------------------------------------------------------

    def make(self, preload):
        """Its wire, disk and clock."""
        hub = self.cluster.netns
        run(["ip", "netns", "add", self.netns])
        run(["ip", "link", "set", "lo", "up"], netns=self.netns)
        run(["ip", "link", "add", self.wire, "netns", hub, "type", "veth",
             "peer", "name", "eth0", "netns", self.netns])
        run(["ip", "addr", "add", f"{self.far_ip}/24", "dev", self.wire],
            netns=hub)
        run(["ip", "addr", "add", f"{self.own_ip}/24", "dev", "eth0"],
            netns=self.netns)
        run(["ip", "link", "set", self.wire, "up"], netns=hub)
        run(["ip", "link", "set", "eth0", "up"], netns=self.netns)
        run(["ip", "route", "add", "default", "via", self.far_ip],
            netns=self.netns)
        os.makedirs(self.archive, exist_ok=True)
        run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs",
             self.archive])
        self._socket.close()
        self._socket = socket_in(self.netns)
        with open(f"{self.dir}/clock", "w+b") as file:
            file.write(bytes(8))
            file.flush()
            self._clock = mmap.mmap(file.fileno(), 8)
        options = f"{os.environ.get('ASAN_OPTIONS', '')}" \
                  ":verify_asan_link_order=0"
        self.env = environment(LD_PRELOAD=preload,
                               JUMPING_CLOCK=f"{self.dir}/clock",
                               ASAN_OPTIONS=options.lstrip(":"))

    def keep(self):
        """Copies its archive to where it stays."""
        subprocess.run(["cp", "-a", self.archive, f"{self.dir}/kept"],
                       check=False)

    def unmake(self):
        """Takes it away again."""
        subprocess.run(["umount", "-l", self.archive], check=False,
                       capture_output=True)
        subprocess.run(["ip", "netns", "del", self.netns], check=False,
                       capture_output=True)

    # --- what befalls it ---------------------------------------------------

    def cut(self):
        """Its wire is dead, and nobody is told."""
        run(["ip", "link", "set", self.wire, "down"], netns=self.cluster.netns)

    def join(self):
        """Its wire is well."""
        run(["ip", "link", "set", self.wire, "up"], netns=self.cluster.netns)

    def mute(self):
        """What it sends is lost."""
        run(["ip", "neigh", "replace", self.far_ip, "lladdr", _NOBODY, "dev",
             "eth0", "nud", "permanent"], netns=self.netns)

    def unmute(self):
        """What it sends arrives."""
        run(["ip", "neigh", "del", self.far_ip, "dev", "eth0"],
            netns=self.netns)

    def deafen(self):
        """What is sent to it is lost."""
        run(["ip", "neigh", "replace", self.own_ip, "lladdr", _NOBODY, "dev",
             self.wire, "nud", "permanent"], netns=self.cluster.netns)

    def undeafen(self):
        """What is sent to it arrives."""
        run(["ip", "neigh", "del", self.own_ip, "dev", self.wire],
            netns=self.cluster.netns)

    def fill_disk(self):
        """There is no room left for its archive."""
        with contextlib.suppress(OSError):
            with open(self.filling, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 16))
        with contextlib.suppress(OSError):
            with open(self.filling, "ab", buffering=0) as file:
                while True:
                    file.write(bytes(512))

    def free_disk(self):
        """There is room again."""
        os.unlink(self.filling)

    def set_clock(self, seconds):
        """Its wall clock is so far ahead."""
        self._clock[:] = struct.pack("=q", int(seconds * 1e9))


class ClusterNet(Cluster):
    """See the top of this file."""

    def __init__(self, directory, n, topology, rules, options=()):
        self.prefix = f"lh{os.getpid()}"
        self.netns = f"{self.prefix}-nats"
        super().__init__(directory, n, topology, rules, options)

    def _new_nats(self):
        return Nats(f"{self.dir}/nats", netns=self.netns,
                    address=NATS_ADDRESS)

    def _new_server(self, name):
        return Node(self, name)

    def __enter__(self):
        preload = f"{self.dir}/jumping_clock.so"
        try:
            run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE",
                 f"-I{bindir()}/..", "-o", preload,
                 f"{HERE}/jumping_clock.c"])
            run(["ip", "netns", "add", self.netns])
            run(["ip", "link", "set", "lo", "up"], netns=self.netns)
            run(["ip", "addr", "add", f"{NATS_ADDRESS}/32", "dev", "lo"],
                netns=self.netns)
            for node in self.servers.values():
                node.make(preload)
        except BaseException:
            self.__exit__()
            raise
        return self

    def keep(self):
        """Keeps the archives, for who finds out what went wrong."""
        for node in self.servers.values():
            node.keep()

    def __exit__(self, *exc):
        super().__exit__(*exc)
        for node in self.servers.values():
            node.unmake()
        subprocess.run(["ip", "netns", "del", self.netns], check=False,
                       capture_output=True)
