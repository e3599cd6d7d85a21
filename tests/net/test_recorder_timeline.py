# SPDX-License-Identifier: Apache-2.0
# What the recorder's timeline says of a switch besides its rules.

import os
import re
import struct

import pytest

from api import Api, ApiError
from lab import HERE, bindir
from many_controllers import Controller
from process import Process, wait_until
from scripted_switch import PORTS, Switch, port

PORT_STATUS = 12
ADDED, GONE, CHANGED = 0, 1, 2
LINK_DOWN = 1


@pytest.fixture
def stand(tmp_path):
    """A switch with ports, its controller and a client of the recorder."""
    controller = Controller(f"{tmp_path}/controller.sock")
    process = Process("recorder", [
        f"{bindir()}/lasthop-recorder", f"--listen=unix:{tmp_path}/l.sock",
        f"--controller={controller.target}", f"--state={tmp_path}/state",
        f"--rundir={tmp_path}"], f"{tmp_path}/recorder.log")
    process.wait_for("listening for switches")
    switch = Switch(f"{tmp_path}/l.sock", ports=PORTS)
    controller.accept()
    with Api(f"{tmp_path}/recorder.sock") as api:
        wait_until(lambda: [s["state"] for s in
                            api.call("stats")["stats"]["switches"]]
                   == ["instrumented"], 10, "the switch")
        yield switch, controller, api
    assert process.stop() == 0, process.output()


def tell(switch, reason, number, name, state=0):
    body = bytearray(port(number, name))
    struct.pack_into(">I", body, 36, state)
    switch.send(PORT_STATUS, 0, struct.pack(">B7x", reason) + body)


def events(api, *kinds):
    return [(c["what"], c.get("port"), c.get("text"))
            for c in api.call("changes", dpid=1)["changes"]
            if c["what"] in kinds]


def test_ports_that_come_change_and_go(stand):
    switch, _, api = stand
    known = events(api, "port")
    assert ("port", 1, "p1 up") in known and ("port", 2, "p2 up") in known
    tell(switch, ADDED, 7, "p7")
    tell(switch, ADDED, 5, "p5", LINK_DOWN)
    tell(switch, CHANGED, 1, "p1", LINK_DOWN)
    tell(switch, GONE, 2, "p2")
    tell(switch, CHANGED, 5, "p5")
    tell(switch, GONE, 7, "p7")
    tell(switch, ADDED, 8, "\x1b[2J\n\x7fp8")     # Not at a terminal.
    expected = [("port", 7, "p7 up"), ("port", 5, "p5 down"),
                ("port", 1, "p1 down"), ("port", 2, "p2 gone"),
                ("port", 5, "p5 up"), ("port", 7, "p7 gone"),
                ("port", 8, "?[2J??p8 up")]
    wait_until(lambda: events(api, "port")[len(known):] == expected, 5,
               "the timeline")


def test_connections_and_their_ends(stand):
    switch, controller, api = stand
    switch.close()
    wait_until(lambda: events(api, "disconnect"), 5, "the end")
    assert [kind for kind, _, _ in events(
        api, "connect", "ready", "disconnect")] == ["connect", "ready",
                                                    "disconnect"]
    controller.close()


def test_a_switch_that_nobody_knows_is_said_with_those_that_are(stand):
    _, _, api = stand
    for op, more in (("table", {}), ("table", {"version": 1}),
                     ("diff", {"from": "-1h", "to": 1}), ("changes", {}),
                     ("why", {"packet": "00" * 60, "in_port": 1})):
        with pytest.raises(ApiError) as error:
            api.call(op, dpid="00000000000000ff", **more)
        assert "no switch 00000000000000ff was ever seen; known: " \
            "0000000000000001 (br0)" in str(error.value), op


def test_each_counter_of_a_switch_is_explained(stand):
    _, _, api = stand
    with open(os.path.join(HERE, "..", "..", "docs", "api.md"),
              encoding="utf-8") as text:
        [line] = [l for l in text if l.startswith("| `instr` |")]
    [switch] = api.call("stats")["stats"]["switches"]
    assert sorted(re.findall(r"`([a-z_]+)`", line)[1:]) == \
        sorted(switch["instr"])
