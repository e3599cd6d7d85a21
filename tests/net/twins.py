# SPDX-License-Identifier: Apache-2.0
# Two alike switches, one behind the recorder, whose controller is the test.
"""
    with Twins(directory, version=4, postcards="geneve") as twins:
        twins.send(message)             # To both.
        direct, through = twins.sync()  # What both said, as it came.
        twins.receive(1, frame)         # A frame comes in at port 1 of both.
        direct, through = twins.sent()  # Port -> frames that left by it.

The switches are real, their ports and their clock are Open vSwitch's own
dummies: frames go in by a command and come out into files, and time goes on
only when it is told to (warp()), so that durations and timeouts can be
compared too.  The recorder's clock goes with theirs.  No root is needed.
"""

import json
import mmap
import os
import socket
import struct

from lab import HERE, SCHEMA, bindir
from openflow import LLDP, NAMES, Wire
from process import Process, environment, run

PORTS = (1, 2, 3, 4)
COLLECTOR = "172.31.255.2"
LOCAL = 0xfffe


class Control:
    """The command socket of ovs-vswitchd (JSON-RPC), kept open."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)

    def call(self, method, *params):
        """What ovs-appctl prints for that command."""
        self.socket.sendall(json.dumps(
            {"id": 0, "method": method,
             "params": [str(p) for p in params]}).encode())
        data = b""
        while True:
            data += self.socket.recv(1 << 16)
            try:
                answer = json.loads(data)
            except ValueError:
                continue
            assert answer["error"] is None, (method, params, answer["error"])
            return answer["result"]


class Clock:
    """The recorder's clock: stopped_clock.c."""

    def __init__(self, directory):
        self.preload = f"{directory}/stopped_clock.so"
        run(["cc", "-shared", "-fPIC", "-O1", f"-I{bindir()}/..",
             "-o", self.preload, f"{HERE}/stopped_clock.c"])
        self.path = f"{directory}/clock"
        with open(self.path, "w+b") as file:
            file.write(bytes(16))
            file.flush()
            self.control = mmap.mmap(file.fileno(), 16)
        self.elapsed = 0

    def environment(self, env):
        """'env' for who is to have this clock."""
        # Sanitizers want to be the first library, but need not be.
        options = f"{env.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"
        return {**env, "LD_PRELOAD": self.preload, "STOPPED_CLOCK": self.path,
                "ASAN_OPTIONS": options.lstrip(":")}

    def go_on(self, milliseconds):
        """Lets it go on for that time; it stands still from then on."""
        self.elapsed += milliseconds
        self.control[:] = struct.pack("=qq", 1, self.elapsed)


class Switch:
    """An ovs-vswitchd with a bridge "br0" of dummies, in a directory."""

    def __init__(self, directory, has_mac=False):
        self.dir = directory
        self.env = environment(
            OVS_RUNDIR=directory, OVS_LOGDIR=directory, OVS_DBDIR=directory,
            OVS_SYSCONFDIR=directory)
        self.db = f"unix:{directory}/db.sock"
        self.has_mac = has_mac
        self.processes = []
        self.read_to = {}       # Port -> bytes of its file that were read.
        self.found = {}         # Port -> frames that left, not asked for yet.
        self.lldp = {}          # Port -> (frames, bytes) of link discovery.
        self.control = None

    def start(self):
        """Starts it; its controller is unix:DIR/br0.controller."""
        run(["ovsdb-tool", "create", f"{self.dir}/conf.db", SCHEMA])
        self._spawn("ovsdb-server", f"{self.dir}/conf.db",
                    f"--remote=punix:{self.dir}/db.sock",
                    f"--unixctl={self.dir}/ovsdb.ctl")
        self.vsctl("--no-wait", "--retry", "init")
        self._spawn("ovs-vswitchd", self.db, "--disable-system",
                    "--enable-dummy", f"--unixctl={self.dir}/vswitchd.ctl")
        words = ["add-br", "br0", "--", "set", "bridge", "br0",
                 "datapath_type=dummy", "fail-mode=secure",
                 "other-config:datapath-id=0000000000000001",
                 "other-config:hwaddr=aa:55:aa:55:00:00",
                 f"protocols=[{','.join(NAMES.values())}]", "--", "set",
                 "interface", "br0", f"options:tx_pcap={self.dir}/local.pcap"]
        self.vsctl(*words)
        for port in PORTS:      # One by one, which gives them their MACs.
            self.vsctl(*self._dummy(f"p{port}", port))
        words = ["add-br", "under", "--", "set", "bridge", "under",
                 "datapath_type=dummy"]
        if self.has_mac:
            words += ["--", *self._dummy("mac", 9)]
        self.vsctl(*words)
        self.control = Control(f"{self.dir}/vswitchd.ctl")
        self.control.call("netdev-dummy/ip4addr", "under", "172.31.255.1/24")
        self.control.call("ovs/route/add", "172.31.255.0/24", "under")
        self.control.call("tnl/neigh/set", "under", COLLECTOR,
                          "02:00:00:00:ff:02")

    def _dummy(self, name, port):
        return ["add-port", "br0", name, "--", "set", "interface", name,
                "type=dummy", f"ofport_request={port}",
                f"options:tx_pcap={self.dir}/{name}.pcap"]

    def _spawn(self, name, *argv):
        self.processes.append(Process(
            name, [f"/usr/sbin/{name}", *argv, "-vconsole:warn"],
            f"{self.dir}/{name}.log", env=self.env))

    def vsctl(self, *argv):
        """ovs-vsctl; returns what it prints."""
        return run(["ovs-vsctl", "--timeout=20", f"--db={self.db}", *argv],
                   env=self.env)

    def connect(self):
        """Lets it connect to its controller."""
        self.vsctl("set-controller", "br0",
                   f"unix:{self.dir}/br0.controller", "--", "set",
                   "controller", "br0", "max_backoff=1000",
                   "inactivity_probe=0")

    def read(self):
        """Reads what has left; returns what of it was the recorder's own link
        discovery, since the start: port -> (frames, bytes)."""
        for port in (*PORTS, LOCAL):
            name = "local" if port == LOCAL else f"p{port}"
            with open(f"{self.dir}/{name}.pcap", "rb") as file:
                file.seek(self.read_to.get(port, 24))
                data = file.read()
            at = 0
            while at + 16 <= len(data):
                size = struct.unpack_from("=I", data, at + 8)[0]
                if at + 16 + size > len(data):
                    break
                self._sort(port, data[at + 16:at + 16 + size])
                at += 16 + size
            self.read_to[port] = self.read_to.get(port, 24) + at
        return dict(self.lldp)

    def _sort(self, port, frame):
        if frame[12:14] == LLDP:
            n, size = self.lldp.get(port, (0, 0))
            self.lldp[port] = n + 1, size + len(frame)
        else:
            self.found.setdefault(port, []).append(frame)

    def sent(self):
        """Port -> frames that left by it since the last call; link discovery
        is not among them."""
        self.read()
        found, self.found = self.found, {}
        return found

    def stop(self):
        """Ends it."""
        if self.control:
            self.control.socket.close()
        for process in reversed(self.processes):
            process.stop()


class Twins:
    """See the top of this file."""

    def __init__(self, directory, version, postcards="geneve"):
        self.dir = str(directory)
        self.version = version
        self.postcards = postcards
        for side in ("a", "b"):
            os.makedirs(f"{self.dir}/{side}")
        self.direct = Switch(f"{self.dir}/a")
        self.through = Switch(f"{self.dir}/b", has_mac=postcards == "mac")
        self.switches = (self.direct, self.through)
        self.clock = Clock(self.dir)
        self.recorder = None
        self.wires = ()

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exc):
        self.close()

    def _start(self):
        listeners = [self._listen(f"{self.dir}/a/br0.controller"),
                     self._listen(f"{self.dir}/up.sock")]
        for switch in self.switches:
            switch.start()
        how = f"geneve:{COLLECTOR}" if self.postcards == "geneve" \
            else "mac:mac"
        self.recorder = Process(
            "recorder",
            [f"{bindir()}/lasthop-recorder",
             f"--listen=unix:{self.dir}/b/br0.controller",
             f"--controller=unix:{self.dir}/up.sock",
             f"--postcards={how}", f"--ovsdb={self.through.db}",
             f"--state={self.dir}/state", f"--rundir={self.dir}",
             "--verbose"], f"{self.dir}/recorder.log",
            env=self.clock.environment(self.through.env))
        self.recorder.wait_for("listening for switches")
        for switch in self.switches:
            switch.connect()
        self.wires = tuple(Wire(listener.accept()[0], self.version)
                           for listener in listeners)
        for listener in listeners:
            listener.close()
        for wire in self.wires:
            wire.handshake()
        self.sync()
        self.recorder.wait_for(" instrumented")
        for switch in self.switches:
            switch.control.call("time/stop")
        self.clock.go_on(0)
        self.sync()
        self.sent()

    @staticmethod
    def _listen(path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        listener.settimeout(20)
        return listener

    def close(self):
        """Ends everything."""
        for wire in self.wires:
            wire.close()
        for process in (self.recorder, *self.switches):
            if process:
                process.stop()

    def fault(self):
        """What was wrong with the recorder, now that it has ended."""
        return self.recorder.fault()

    def send(self, *messages):
        """Writes messages to both."""
        for wire in self.wires:
            wire.send(*messages)

    def sync(self):
        """What both have said by the reply to a barrier, in the order it
        came.  Packet-ins wait for the clock, so it goes on by 1 ms."""
        seen = [wire.sync() for wire in self.wires]
        self._go_on(1, 1)
        return tuple(first + wire.sync()
                     for first, wire in zip(seen, self.wires))

    def _go_on(self, milliseconds, step):
        self.call("time/warp", milliseconds, step)
        self.clock.go_on(milliseconds)

    def call(self, method, *params):
        """ovs-appctl to both."""
        for switch in self.switches:
            switch.control.call(method, *params)

    def receive(self, port, frame):
        """A frame comes in at a port of both.  What comes of it has been said
        before the next barrier's reply."""
        self.call("netdev-dummy/receive", f"p{port}", frame.hex())

    def dump(self):
        """What the switch behind the recorder really has, as text."""
        where = f"unix:{self.dir}/b/br0.mgmt"
        return "\nin the switch:\n" + "".join(
            run(["ovs-ofctl", "-O", "OpenFlow15", command, where],
                env=self.through.env)
            for command in ("dump-flows", "dump-groups"))

    def sent(self):
        """Port -> frames that left by it since the last call, of both."""
        return tuple(switch.sent() for switch in self.switches)

    def warp(self, seconds):
        """Lets time go on, after all counters are up to date.  What expires
        less than 2 s before the end may or may not be gone."""
        self.call("revalidator/purge")
        self._go_on(1000 * seconds, 500)
