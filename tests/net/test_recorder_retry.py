# SPDX-License-Identifier: Apache-2.0
# A switch whose set-up takes long keeps its connections; when it took too long
# it passes un-instrumented, and is tried again.

import socket
import struct

import pytest

from api import Api
from lab import bindir
from many_controllers import MASTER, ROLE_REPLY, ROLE_REQUEST, Controller
from process import Process, wait_until
from scripted_switch import (ECHO_REPLY, ECHO_REQUEST, FEATURES_REQUEST,
                             FLOW_MOD, PACKET_IN, Switch)

ADD = 0


class LameSwitch(Switch):
    """One that says who it is, takes roles, and answers little else."""

    is_well = False

    def reply(self, kind, body):
        if kind == ROLE_REQUEST:
            return ROLE_REPLY, body
        if kind == FEATURES_REQUEST or self.is_well:
            return super().reply(kind, body)
        return None


def start(directory, *options):
    """A recorder and its controller."""
    controller = Controller(f"{directory}/controller.sock")
    process = Process("recorder", [
        f"{bindir()}/lasthop-recorder", f"--listen=unix:{directory}/l.sock",
        f"--controller={controller.target}", f"--state={directory}/state",
        f"--rundir={directory}", "--verbose", *options],
        f"{directory}/recorder.log")
    process.wait_for("listening for switches")
    return controller, process


@pytest.fixture
def stand(tmp_path):
    """A recorder in a hurry, its controller and where switches connect."""
    controller, process = start(tmp_path, "--setup-time=1")
    yield controller, process, tmp_path
    assert process.stop() == 0, process.output()


def priorities(switch):
    """Of the flow-mods that came."""
    return [struct.unpack_from(">H", body, 22)[0]
            for body in switch.got(FLOW_MOD)]


def test_set_up_that_took_too_long_is_tried_again(stand):
    controller, process, directory = stand
    switch = LameSwitch(f"{directory}/l.sock")
    controller.socket = controller.listener.accept()[0]
    controller.socket.settimeout(20)
    controller.send(0)
    controller.flow(ADD, 10, 1, 2)
    process.wait_for("the set-up took more than 1 s")
    process.wait_for("NOT INSTRUMENTED: its control channel goes on without "
                     "lasthop; next try in 2 s")
    # What waited has gone on its way, and what comes now goes at once.
    controller.flow(ADD, 11, 1, 2)
    controller.send(ROLE_REQUEST, struct.pack(">IxxxxQ", MASTER, 5))
    wait_until(lambda: priorities(switch) == [10, 11], 5, "what waited")
    while controller.receive()[0] != ROLE_REPLY:
        pass
    with Api(f"{directory}/recorder.sock") as api:
        def connection():
            return api.call("stats")["stats"]["switches"][0]

        def status():
            return api.call("status")["status"]["switches"][0]
        assert connection()["state"] == "passed through"

        # A second try fails too; the controller waits, but not for long.
        process.wait_for("the set-up is tried again")
        controller.flow(ADD, 12, 1, 2)
        process.wait_for("next try in 4 s")
        wait_until(lambda: priorities(switch) == [10, 11, 12], 5,
                   "what waited again")
        assert status()["why"] == "the set-up took too long"

        switch.is_well = True
        wait_until(lambda: connection()["state"] == "instrumented", 20,
                   "the third try")
        # What was settled before is known, and all is recorded from now on.
        assert connection()["role"] == "master"
        controller.flow(ADD, 13, 1, 2)
        controller.barrier()
        assert [r["priority"] for r in api.call("table", dpid=1)["rules"]] \
            == [13]
        assert "why" not in status()
    assert 13 in priorities(switch)
    switch.close()


def test_echoes_pass_while_ovsdb_does_not_answer(tmp_path):
    # Who gets no answer to an echo hangs up, and the set-up would begin anew.
    ovsdb = socket.socket(socket.AF_UNIX)
    ovsdb.bind(f"{tmp_path}/db.sock")
    ovsdb.listen()
    controller, process = start(
        tmp_path, "--postcards=geneve:192.0.2.1",
        f"--ovsdb=unix:{tmp_path}/db.sock")
    switch = Switch(f"{tmp_path}/l.sock")
    controller.socket = controller.listener.accept()[0]
    controller.socket.settimeout(20)
    controller.send(0)
    with Api(f"{tmp_path}/recorder.sock") as api:
        def state():
            return api.call("stats")["stats"]["switches"][0]["state"]
        wait_until(lambda: state() == "waiting", 5, "the set-up")
        # What the switch has to say waits; echoes both ways get past it.
        packets = [struct.pack(">IHBBQHHxxxxxx", 0xffffffff, 0, 0, 0, n, 1, 4)
                   for n in range(3)]
        for packet in packets:
            switch.send(PACKET_IN, 0, packet)
        switch.send(ECHO_REQUEST, 77, b"switch")
        asked = controller.send(ECHO_REQUEST, b"controller")
        seen = []
        while len(seen) < 3:    # A HELLO, and these.
            _, kind, size, xid = struct.unpack(">BBHI", controller.exactly(8))
            seen.append((kind, xid, controller.exactly(size - 8)))
        assert seen[1:] == [(ECHO_REQUEST, 77, b"switch"),
                            (ECHO_REPLY, asked, b"controller")]
        assert state() == "waiting"
        controller.barrier()
        assert [body for kind, _, body in controller.seen
                if kind == PACKET_IN] == packets
        assert state() == "instrumented"
    assert "no postcards (next try in 10 s)" in process.output()
    switch.close()
    assert process.stop() == 0, process.output()
    ovsdb.close()
