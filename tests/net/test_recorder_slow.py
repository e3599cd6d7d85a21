# SPDX-License-Identifier: Apache-2.0
# Peers of an instrumented switch's connection that do not read, and more
# switches than descriptors: memory stays bounded, nothing is lost or
# reordered, and other switches go on.

import os
import socket
import struct
import threading

import pytest

from api import Api, ApiError
from lab import bindir, memory_bound
from many_controllers import Controller, message
from process import Process, wait_until
from scripted_switch import (BARRIER_REPLY, BARRIER_REQUEST, FLOW_MOD,
                             MULTIPART_FLOW, MULTIPART_REPLY,
                             MULTIPART_REQUEST, PACKET_IN, Switch)

ADD, DELETE = 0, 3
MIB = 1 << 20


class KeepingSwitch(Switch):
    """One that gives its flow-mods back as flow statistics."""

    def __init__(self, path, dpid):
        self.rules = []
        super().__init__(path, dpid)

    def reply(self, kind, body):
        if kind == FLOW_MOD:
            self.rules.append(body)
        if kind == MULTIPART_REQUEST and \
                body[:2] == struct.pack(">H", MULTIPART_FLOW):
            return MULTIPART_REPLY, None
        return super().reply(kind, body)

    def send(self, kind, xid, body=b""):
        if body is not None:
            super().send(kind, xid, body)
            return
        records = [struct.pack(">HBx8xHHHHxxxxQQQ", len(mod) + 8, mod[16],
                               *struct.unpack_from(">H", mod, 22),
                               *struct.unpack_from(">HH", mod, 18),
                               *struct.unpack_from(">H", mod, 36),
                               *struct.unpack_from(">Q", mod), 0, 0) + mod[40:]
                   for mod in self.rules]
        for start in range(0, len(records), 500):
            more = start + 500 < len(records)
            super().send(MULTIPART_REPLY, xid, struct.pack(
                ">HHxxxx", MULTIPART_FLOW, more) +
                b"".join(records[start:start + 500]))


class Stand:
    """A recorder and switches with a controller each."""

    def __init__(self, directory, prefix=()):
        self.dir = directory
        self.up = Controller(f"{directory}/controller.sock")
        self.process = Process("recorder", [
            *prefix, f"{bindir()}/lasthop-recorder",
            f"--listen=unix:{directory}/l.sock",
            f"--controller={self.up.target}", f"--state={directory}/state",
            f"--rundir={directory}"], f"{directory}/recorder.log")
        self.process.wait_for("listening for switches")

    def connect(self, dpid):
        """A switch and its controller, instrumented."""
        switch = KeepingSwitch(f"{self.dir}/l.sock", dpid)
        controller = Controller(f"{self.dir}/unused{dpid}.sock")
        controller.socket = self.up.listener.accept()[0]
        controller.socket.settimeout(60)
        controller.socket.sendall(message(4, 0, 1))
        controller.barrier()
        wait_until(lambda: (dpid, "instrumented") in self.states(), 20,
                   "the switch")
        return switch, controller

    def states(self):
        with Api(f"{self.dir}/recorder.sock") as api:
            return {(int(s.get("dpid", "0"), 16), s["state"])
                    for s in api.call("stats")["stats"]["switches"]}

    def memory(self):
        """Its resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def wait_stuck(self, thread):
        """Until the sender has to wait: nothing moves any more."""
        def is_stuck():
            before = self.memory()
            thread.join(0.5)
            return thread.is_alive() and self.memory() == before
        wait_until(is_stuck, 60, "the sender to have to wait")


@pytest.fixture
def stand(tmp_path):
    made = Stand(tmp_path)
    yield made
    # It writes all that it was given before it ends.
    assert made.process.stop(60) == 0, made.process.output()


def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def packet_in(number):
    """A packet-in by port 1 that says its number."""
    frame = bytes(6) + bytes([2, 0]) + struct.pack(">I", number) + \
        b"\x88\xb5" + bytes(1400)
    return struct.pack(">IHBBQHHIIxxxxxx", 0xffffffff, len(frame), 0, 0, 0, 1,
                       12, 0x80000004, 1) + frame


def number_of(body):
    return struct.unpack_from(">I", body, 34 + 8)[0]


def test_controller_that_does_not_read_packet_ins(stand):
    switch, controller = stand.connect(1)
    other, other_up = stand.connect(2)
    before = stand.memory()
    n = 30000   # 44 MB.

    def send():
        for i in range(n):
            switch.send(PACKET_IN, 0, packet_in(i))
    thread = start(send)
    stand.wait_stuck(thread)
    assert stand.memory() - before < memory_bound(16 * MIB)
    other_up.flow(ADD, 7, 1, 2)
    other_up.barrier()
    wait_until(lambda: other.got(FLOW_MOD) or other.rules, 5, "the other")
    got = [number_of(controller.receive()[2]) for _ in range(n)]
    assert got == list(range(n))
    thread.join(20)
    assert not thread.is_alive()


def test_controller_that_does_not_read_flow_stats(stand):
    switch, controller = stand.connect(1)
    n = 20000
    for i in range(n):
        controller.flow(ADD, 1 + i % 60000, 1 + i // 60000, 2)
        if i % 1000 == 0:
            controller.barrier()
    controller.barrier()
    assert len(switch.rules) >= n
    before = stand.memory()
    request = struct.pack(">HHxxxxBxxxIIxxxxQQHHxxxx", MULTIPART_FLOW, 0, 0xff,
                          0xffffffff, 0xffffffff, 0, 0, 1, 4)
    n_requests = 20     # 35 MB of answers.
    for _ in range(n_requests):
        controller.send(MULTIPART_REQUEST, request)
    stand.wait_stuck(switch.thread)
    assert stand.memory() - before < memory_bound(16 * MIB)
    for _ in range(n_requests):
        priorities, more = [], 1
        while more:
            kind, _, body = controller.receive()
            assert kind == MULTIPART_REPLY
            more = body[3] & 1
            ofs = 8
            while ofs < len(body):
                size, = struct.unpack_from(">H", body, ofs)
                priorities.append(struct.unpack_from(">H", body, ofs + 12)[0])
                ofs += size
        assert priorities == list(range(1, n + 1))


def test_switch_that_does_not_read_flow_mods(stand):
    switch, controller = stand.connect(1)
    other, other_up = stand.connect(2)
    before = stand.memory()
    n = 150000  # 14 MB.
    switch.reads.clear()

    def send():
        for i in range(n):
            controller.flow(ADD, 1 + i % 50000, 1, 2)
    thread = start(send)
    stand.wait_stuck(thread)
    assert stand.memory() - before < memory_bound(64 * MIB)
    other_up.flow(ADD, 7, 1, 2)
    other_up.barrier()
    wait_until(lambda: other.rules, 5, "the other")
    switch.reads.set()
    thread.join(60)
    assert not thread.is_alive()
    controller.barrier()
    own = len(switch.rules) - n
    assert [struct.unpack_from(">H", mod, 22)[0]
            for mod in switch.rules[own:]] == [1 + i % 50000 for i in range(n)]


class Controllers:
    """Takes every connection and greets the switch behind it."""

    def __init__(self, listener):
        self.listener = listener
        self.sockets = []
        self.is_over = False
        self.thread = start(self._accept)

    def _accept(self):
        self.listener.settimeout(60)
        while not self.is_over:
            self.sockets.append(self.listener.accept()[0])
            try:
                self.sockets[-1].sendall(message(4, 0, 1))
            except OSError:
                pass    # Gone already.

    def close(self):
        self.is_over = True
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self.listener.getsockname())
            self.thread.join(20)
        assert not self.thread.is_alive()
        for taken in [self.listener, *self.sockets]:
            taken.close()


def test_more_switches_than_descriptors(tmp_path):
    stand = Stand(tmp_path, ("prlimit", "--nofile=96"))
    controllers = Controllers(stand.up.listener)
    switches = {}

    def connect(dpids):
        for dpid in dpids:
            switches[dpid] = KeepingSwitch(f"{tmp_path}/l.sock", dpid)

    def again():
        """As a switch does that was not let in."""
        connect([d for d, s in switches.items() if ("end", b"") in s.seen])

    early, late = range(1, 51), range(51, 61)
    thread = start(lambda: connect([*early, *late]))
    stand.process.wait_for("cannot accept a connection: Too many open files; "
                           "next try in 1 s", 20)
    assert stand.process.is_running()
    thread.join(20)
    assert len(switches) == len(early) + len(late)
    # Once a second is no spin.
    assert stand.process.output().count("cannot accept") < 20

    # When most of them go, all others get in.
    for dpid in early:
        switches.pop(dpid).close()

    def are_in():
        again()
        try:
            return stand.states() == {(d, "instrumented") for d in late}
        except (ApiError, OSError):
            return False    # No descriptor for us yet.
    wait_until(are_in, 30, "the switches that had to wait")
    said = stand.process.output().count("cannot accept")
    connect([99])
    wait_until(lambda: (99, "instrumented") in stand.states(), 20,
               "one more switch")
    assert stand.process.output().count("cannot accept") == said
    for switch in switches.values():
        switch.close()
    wait_until(lambda: not stand.states(), 20, "all to be gone")
    controllers.close()
    assert stand.process.stop() == 0, stand.process.output()


def test_command_that_becomes_more_messages_than_may_be_open(stand):
    """The switch answers none of them, only barriers."""
    switch, controller = stand.connect(1)
    n = 36000
    for i in range(n):
        controller.flow(ADD, 1 + i, 1, 2)
        if i % 1000 == 0:
            controller.barrier()
    controller.barrier()
    before = len(switch.seen)
    switch.reply = lambda kind, body: \
        (BARRIER_REPLY, b"") if kind == BARRIER_REQUEST else None
    controller.flow(DELETE, 0, 1, 0)
    controller.barrier()
    assert len(switch.seen) - before >= n
