# SPDX-License-Identifier: Apache-2.0
# A cluster in network namespaces, and what may befall it.
"""
    with ClusterNet(directory, 3, topology, rules) as net:
        net.start()
        net["a"].cut()          # No way to NATS and back.
        net["a"].join()
        net.nats["nats"].fill_disk()

Each server and each NATS server has a namespace of its own, with one wire to
a hub that forwards, what it writes on a small file system of its own, and
each server a wall clock of its own.  Postcards are sent within the server's
namespace, so that they reach it whatever becomes of its wire.  Root is needed;
everything is gone at the end, also after an exception.
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
from lab import HERE, bindir, netns_prefix
from process import Failed, environment, run

DISK = "48m"
NATS_DISK = "128m"
_CLONE_NEWNET = 0x40000000
_OF_NATS = 101     # Of addresses.
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


class Wired:
    """What has a namespace, a wire to the hub, and a small disk."""

    def __init__(self, name, prefix, index, disk):
        self.netns = prefix + name
        self.hub = f"{prefix}hub"
        self.wire = f"to-{name}"        # The end at the hub.
        self.own_ip = f"10.99.{index}.2"
        self.far_ip = f"10.99.{index}.1"
        self.disk = disk                # A directory.
        self.filling = f"{disk}/filling"

    # --- what it has -------------------------------------------------------

    def make_wired(self, size):
        """Its wire and its disk."""
        run(["ip", "netns", "add", self.netns])
        run(["ip", "link", "set", "lo", "up"], netns=self.netns)
        run(["ip", "link", "add", self.wire, "netns", self.hub, "type",
             "veth", "peer", "name", "eth0", "netns", self.netns])
        run(["ip", "addr", "add", f"{self.far_ip}/24", "dev", self.wire],
            netns=self.hub)
        run(["ip", "addr", "add", f"{self.own_ip}/24", "dev", "eth0"],
            netns=self.netns)
        run(["ip", "link", "set", self.wire, "up"], netns=self.hub)
        run(["ip", "link", "set", "eth0", "up"], netns=self.netns)
        run(["ip", "route", "add", "default", "via", self.far_ip],
            netns=self.netns)
        os.makedirs(self.disk, exist_ok=True)
        run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs",
             self.disk])

    def unmake(self):
        """Takes it away again."""
        subprocess.run(["umount", "-l", self.disk], check=False,
                       capture_output=True)
        subprocess.run(["ip", "netns", "del", self.netns], check=False,
                       capture_output=True)

    def keep(self):
        """Copies what is on its disk to where it stays."""
        subprocess.run(["cp", "-a", self.disk, f"{self.disk}-kept"],
                       check=False)

    # --- what befalls it ---------------------------------------------------

    def cut(self):
        """Its wire is dead, and nobody is told."""
        run(["ip", "link", "set", self.wire, "down"], netns=self.hub)

    def join(self):
        """Its wire is well."""
        run(["ip", "link", "set", self.wire, "up"], netns=self.hub)

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
             self.wire, "nud", "permanent"], netns=self.hub)

    def undeafen(self):
        """What is sent to it arrives."""
        run(["ip", "neigh", "del", self.own_ip, "dev", self.wire],
            netns=self.hub)

    def fill_disk(self):
        """There is no room left on its disk."""
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


class NatsNode(Wired, Nats):
    """A NATS server in a namespace of its own."""

    def __init__(self, directory, name, prefix, index, n_all):
        Wired.__init__(self, name, prefix, _OF_NATS + index,
                       f"{directory}/{name}/store")
        routes = ", ".join(f'"nats://10.99.{_OF_NATS + i}.2:6222"'
                           for i in range(n_all))
        Nats.__init__(self, f"{directory}/{name}", self.netns, self.own_ip,
                      f"server_name: {name}\ncluster {{ name: c, "
                      f'listen: "{self.own_ip}:6222", routes: [{routes}] }}\n'
                      if n_all > 1 else "")
        self.name = name

    def make(self, disk):
        """Its wire and disk."""
        self.make_wired(disk)

    def restart(self):
        """Killed, and started at once."""
        self.kill()
        self.start()


class NatsNodes(dict):
    """All NATS servers, by name."""

    @property
    def url(self):
        """Of all."""
        return ",".join(node.url for node in self.values())

    def start(self):
        """All of them."""
        for node in self.values():
            node.start()

    def kill(self):
        """All of them, those too that are stopped."""
        for node in self.values():
            node.kill()


class Node(Wired, Server):
    """A server in a namespace of its own."""

    def __init__(self, cluster, name):
        Server.__init__(self, cluster, name)
        Wired.__init__(self, name, cluster.prefix,
                       1 + "abcdefgh".index(name), self.archive)
        self.port = 6081
        self._clock = None

    def make(self, preload):
        """Its wire, disk and clock."""
        self.make_wired(DISK)
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

    def set_clock(self, seconds):
        """Its wall clock is so far ahead."""
        self._clock[:] = struct.pack("=q", int(seconds * 1e9))


class ClusterNet(Cluster):
    """See the top of this file.  With more than one NATS server, which are
    called nats1, nats2.., each keeps a copy of what is under way."""

    def __init__(self, directory, n, topology, rules, options=(), n_nats=1,
                 nats_disk=NATS_DISK):
        self.prefix = netns_prefix()
        self.netns = f"{self.prefix}hub"
        self.n_nats = n_nats
        self.nats_disk = nats_disk
        if n_nats > 1:
            options = ["--bus-replicas", str(n_nats), *options]
        super().__init__(directory, n, topology, rules, options)

    def _new_nats(self):
        names = [f"nats{i + 1}" for i in range(self.n_nats)] \
            if self.n_nats > 1 else ["nats"]
        return NatsNodes(
            (name, NatsNode(self.dir, name, self.prefix, i, self.n_nats))
            for i, name in enumerate(names))

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
            run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"],
                netns=self.netns)
            for node in self.nats.values():
                node.make(self.nats_disk)
            for node in self.servers.values():
                node.make(preload)
        except BaseException:
            self.__exit__()
            raise
        return self

    def keep(self):
        """Keeps the archives and what is in NATS, for who finds out what
        went wrong."""
        for node in (*self.servers.values(), *self.nats.values()):
            node.keep()

    def __exit__(self, *exc):
        super().__exit__(*exc)
        for node in (*self.servers.values(), *self.nats.values()):
            node.unmake()
        subprocess.run(["ip", "netns", "del", self.netns], check=False,
                       capture_output=True)
