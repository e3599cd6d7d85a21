# SPDX-License-Identifier: Apache-2.0
# The recorder between a switch and a controller that the test plays itself,
# byte by byte, where all passes through with transaction IDs mapped: switches
# not among the --bridge names, and OpenFlow versions that nobody knows yet.

import os
import socket
import struct
import threading

import pytest

from lab import bindir, memory_bound
from process import Process, wait_until
from scripted_switch import (BARRIER_REPLY, BARRIER_REQUEST, ECHO_REPLY,
                             ECHO_REQUEST, ERROR, EXPERIMENTER,
                             FEATURES_REPLY, FEATURES_REQUEST, FLOW_MOD,
                             HELLO, MULTIPART_REPLY, MULTIPART_REQUEST, NAME,
                             PACKET_IN, PORTS, answer, features, message)

# OpenFlow version, --bridge options, what the recorder says.
UNKNOWN = (7, [], "OpenFlow 1.6 is passed through, not instrumented")
NOT_CHOSEN = (4, ["--bridge=other"], f"({NAME}): not among the --bridge names")


class Peer:
    """One end of an OpenFlow connection."""

    def __init__(self, connection, version):
        self.socket = connection
        self.socket.settimeout(20)
        self.version = version

    def message(self, kind, xid, body=b""):
        return message(kind, xid, body, self.version)

    def send(self, *args, **options):
        self.socket.sendall(self.message(*args, **options))

    def exactly(self, size):
        data = bytearray()
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def receive(self):
        """(type, transaction ID, body) of the next message."""
        _, kind, size, xid = struct.unpack(">BBHI", self.exactly(8))
        return kind, xid, self.exactly(size - 8)

    def close(self):
        self.socket.close()


class Stand:
    """The recorder, its controller's listener and where switches connect."""

    def __init__(self, directory, why):
        self.version, options, self.told = why
        self.dir = str(directory)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{self.dir}/controller.sock")
        self.listener.listen()
        self.listener.settimeout(20)
        self.process = Process(
            "recorder",
            [f"{bindir()}/lasthop-recorder",
             f"--listen=unix:{self.dir}/switch.sock",
             f"--controller=unix:{self.dir}/controller.sock",
             f"--state={self.dir}/state", f"--rundir={self.dir}",
             "--verbose", *options], f"{self.dir}/recorder.log")
        self.process.wait_for("listening for switches")

    def dial(self):
        """A switch that has just connected, and its controller."""
        switch = socket.socket(socket.AF_UNIX)
        switch.connect(f"{self.dir}/switch.sock")
        return (Peer(switch, self.version),
                Peer(self.listener.accept()[0], self.version))

    def connect(self, dpid=1):
        """The same after HELLOs and the recorder's own questions."""
        switch, controller = self.dial()
        switch.send(HELLO, 1)
        controller.send(HELLO, 2)
        assert switch.receive() == (HELLO, 2, b"")
        assert controller.receive() == (HELLO, 1, b"")
        kind, xid, _ = switch.receive()
        assert kind == FEATURES_REQUEST
        switch.send(FEATURES_REPLY, xid, features(dpid))
        self.set_up(switch)
        self.process.wait_for(self.told)
        return switch, controller

    def set_up(self, switch):
        """Answers what the recorder asks of a switch whose name it wants to
        know; nothing in it may be changed before."""
        kind = BARRIER_REQUEST if self.version != 4 else None
        while kind != BARRIER_REQUEST:
            kind, xid, body = switch.receive()
            assert kind in (MULTIPART_REQUEST, EXPERIMENTER, BARRIER_REQUEST)
            reply = answer(kind, body, ports=PORTS)
            if reply:       # What the connection is to tell has none.
                switch.send(reply[0], xid, reply[1])

    def memory(self):
        """Its resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.fixture(params=[UNKNOWN, NOT_CHOSEN],
                ids=["unknown version", "not chosen"])
def stand(tmp_path, request):
    made = Stand(tmp_path, request.param)
    yield made
    assert made.process.stop() == 0, made.process.output()


def test_answers_find_their_questions(stand):
    switch, controller = stand.connect()
    for xid in (7, 7, 0, 0xffffffff):
        controller.send(ECHO_REQUEST, xid, b"ping")
    seen = [switch.receive() for _ in range(4)]
    assert {body for _, _, body in seen} == {b"ping"}
    assert len({xid for _, xid, _ in seen}) == 4
    for _, xid, _ in seen:
        switch.send(ECHO_REPLY, xid, b"pong")
    assert [controller.receive() for _ in seen] == \
        [(ECHO_REPLY, xid, b"pong") for xid in (7, 7, 0, 0xffffffff)]

    # The other way round the switch chooses.
    switch.send(ECHO_REQUEST, 99, b"?")
    assert controller.receive() == (ECHO_REQUEST, 99, b"?")
    controller.send(ECHO_REPLY, 99, b"!")
    assert switch.receive() == (ECHO_REPLY, 99, b"!")


def test_multipart_answers_come_whole(stand):
    switch, controller = stand.connect()
    controller.send(MULTIPART_REQUEST, 5, struct.pack(">HH4x", 1, 0))
    _, xid, _ = switch.receive()
    parts = [struct.pack(">HH4x", 1, more) + bytes([i]) * 40000
             for i, more in enumerate((1, 1, 0))]
    for part in parts:
        switch.send(MULTIPART_REPLY, xid, part)
    for part in parts:
        assert controller.receive() == (MULTIPART_REPLY, 5, part)


def test_errors_quote_what_the_controller_sent(stand):
    switch, controller = stand.connect()
    sent = controller.message(FLOW_MOD, 1234, b"a flow-mod" * 30)
    controller.socket.sendall(sent)
    _, xid, body = switch.receive()
    assert xid != 1234
    switch.send(ERROR, xid, struct.pack(">HH", 5, 1) +
                switch.message(FLOW_MOD, xid, body)[:64])
    assert controller.receive() == (ERROR, 1234,
                                    struct.pack(">HH", 5, 1) + sent)


def test_many_unanswered_messages_lose_nothing(stand):
    """The recorder asks for barriers itself, so that it can forget."""
    switch, controller = stand.connect()
    n = 100000

    def send_all():
        for start in range(0, n, 1000):
            controller.socket.sendall(b"".join(
                controller.message(FLOW_MOD, i, b"x" * 8) for i in range(start, start + 1000)))
    sender = threading.Thread(target=send_all, daemon=True)
    sender.start()
    last = None
    seen = 0
    while seen < n:
        kind, xid, _ = switch.receive()
        if kind == BARRIER_REQUEST:
            switch.send(BARRIER_REPLY, xid)
            continue
        seen += 1
        last = xid
    sender.join(20)
    switch.send(ERROR, last, struct.pack(">HH", 5, 1))
    kind, xid, body = controller.receive()
    assert (kind, xid) == (ERROR, n - 1)
    assert body[4:] == controller.message(FLOW_MOD, n - 1, b"x" * 8)


@pytest.mark.parametrize("to_controller", [True, False])
def test_who_does_not_read_is_waited_for_in_bounded_memory(stand,
                                                           to_controller):
    switch, controller = stand.connect()
    source, sink = ((switch, controller) if to_controller
                    else (controller, switch))
    before = stand.memory()
    body = b"m" * 20000
    n = 3000    # 60 MB, far more than the buffers between the two.
    kind = PACKET_IN if to_controller else ECHO_REPLY

    def send_all():
        for i in range(n):
            source.send(kind, 0, struct.pack(">I", i) + body)
    sender = threading.Thread(target=send_all, daemon=True)
    sender.start()

    def is_stuck():
        sent = stand.memory()
        sender.join(0.3)
        return sender.is_alive() and stand.memory() == sent
    wait_until(is_stuck, 20, "the sender to have to wait")
    assert stand.memory() - before < memory_bound(16 << 20)
    for i in range(n):
        got, _, data = sink.receive()
        assert got == kind and data == struct.pack(">I", i) + body
    sender.join(20)
    assert not sender.is_alive()


def test_end_of_one_side_ends_the_other_after_its_last_message(stand):
    switch, controller = stand.connect()
    for i in range(100):
        switch.send(PACKET_IN, 0, bytes([i]) * 1000)
    switch.close()
    for i in range(100):
        assert controller.receive() == (PACKET_IN, 0, bytes([i]) * 1000)
    with pytest.raises(EOFError):
        controller.receive()

    switch, controller = stand.connect()
    controller.close()
    with pytest.raises(EOFError):
        while True:
            switch.receive()


def test_switch_is_let_go_while_there_is_no_controller(stand):
    stand.listener.close()
    os.unlink(f"{stand.dir}/controller.sock")
    switch = socket.socket(socket.AF_UNIX)
    switch.connect(f"{stand.dir}/switch.sock")
    switch.settimeout(20)
    assert switch.recv(1) == b""
    stand.process.wait_for("No such file or directory; switch at unix is let "
                           "go and will try again")


def test_second_connection_of_a_switch_ends_the_first(stand):
    switch, _ = stand.connect(dpid=5)
    newer, controller = stand.connect(dpid=5)
    with pytest.raises(EOFError):
        while True:
            switch.receive()
    newer.send(ECHO_REQUEST, 3, b"alive")
    assert controller.receive() == (ECHO_REQUEST, 3, b"alive")


def test_echo_passes_and_messages_keep_their_order_during_setup(stand):
    switch, controller = stand.dial()
    switch.send(HELLO, 1)
    controller.send(HELLO, 2)
    assert switch.receive()[0] == HELLO
    assert controller.receive()[0] == HELLO
    kind, features_xid, _ = switch.receive()
    assert kind == FEATURES_REQUEST
    for i in range(3):
        controller.send(FLOW_MOD, i, bytes([i]))
    controller.send(ECHO_REQUEST, 9, b"first")
    assert switch.receive()[::2] == (ECHO_REQUEST, b"first")
    switch.send(FEATURES_REPLY, features_xid, features(8))
    stand.set_up(switch)
    assert [switch.receive()[2] for _ in range(3)] == [b"\0", b"\1", b"\2"]
