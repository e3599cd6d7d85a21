# SPDX-License-Identifier: Apache-2.0
# A controller by os-ken sends every message that it has, and reacts to
# packet-ins, and says and hears the same of a switch directly and through the
# recorder, message by message (pair.py says what is not compared).

import socket
from types import SimpleNamespace

import pytest

from api import Api
from lab import HERE, PYTHON
from openflow import is_flow_removed, without_duration
from pair import compare, heard, said
from process import Failed, Process, wait_until
from random_openflow import FRAMES
from test_same_controllers import Controlled

OSKEN = "import sys; from os_ken.cmd.manager import main; sys.exit(main())"


def free_port():
    """Of TCP, on this host."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Scripted(Controlled):
    """Both switches have an osken_script.py."""

    def __init__(self, directory, version):
        super().__init__(directory, version)
        self.apis = []
        self.ports = {side: free_port() for side in ("a", "b")}
        self.seen = [(0, 0), (0, 0)]
        self.lldp = {}

    def sockets(self):
        return [(path, self.ports[side], True) for (path, *_), side
                in zip(super().sockets(), ("a", "b"))]

    def spawn_controller(self, side):
        return Process(
            f"controller-{side}",
            [PYTHON, "-c", OSKEN, "--ofp-listen-host", "127.0.0.1",
             "--ofp-tcp-listen-port", self.ports[side],
             f"{HERE}/osken_script.py"], f"{self.dir}/ctl-{side}.log",
            env={"OSKEN_SCRIPT_OF": str(self.version),
                 "OSKEN_SCRIPT_SOCKET": f"{self.dir}/lead-{side}"})

    def is_listening(self, side):
        with socket.socket() as probe:
            return not probe.connect_ex(("127.0.0.1", self.ports[side]))

    def connect(self):
        super().connect()
        self.apis = [Api(f"{self.dir}/lead-{side}", deadline=20)
                     for side in ("a", "b")]

    def close(self):
        super().close()
        for api in self.apis:
            api.close()

    def step(self):
        """Leads both through the next step; its answer and what was said and
        heard differently, as text, or None."""
        heard = [n for _, n in self.counts()]
        answers = [api.call("next") for api in self.apis]
        assert answers[0] == answers[1]
        do = answers[0]["do"]
        if do and do[0] != "said":
            if do[0] == "packet":
                self.receive(do[1], FRAMES[do[2]])
            else:
                self.call("revalidator/purge")
                self.warp(do[1])

            def have_come():
                self.warp(1)
                return [n for _, n in self.counts()] \
                    == [n + do[-1] for n in heard]
            self.wait(have_come, f"what comes of {do}: {heard}")
        self.wait(lambda: self.counts()[0] == self.counts()[1],
                  "both to have heard as much")
        return answers[0], self.difference()

    @staticmethod
    def wait(condition, what):
        """As wait_until(): what has not come is a difference, too."""
        try:
            wait_until(condition, 5, what)
        except Failed as error:
            print(error)

    def difference(self):
        """Of what has come since the last call; the connections go on."""
        lldp, self.lldp = self.lldp, dict(self.through.read())
        new = []
        for i, tap in enumerate(self.taps):
            sent, received = self.seen[i]
            connection = tap.connections[0]
            self.seen[i] = len(connection.sent), len(connection.received)
            new.append(SimpleNamespace(
                sent=connection.sent[sent:self.seen[i][0]],
                received=connection.received[received:self.seen[i][1]]))
        removed = [sorted(take_removed(c)) for c in new]
        found = [compare("heard", heard(new[0], {}), heard(new[1], lldp))
                 for lldp in (lldp, self.lldp)]     # As it was, and is.
        return "\n".join(
            compare("said", *(said(c) for c in new))
            + min(found, key=len) + compare("heard", *removed)) or None


def take_removed(connection):
    """Takes the flow-removeds out: a switch sends them when it gets to it, and
    those of one command in the order of its hash tables."""
    found = [m for m in connection.received if is_flow_removed(m)]
    connection.received = [m for m in connection.received
                           if not is_flow_removed(m)]
    return [(without_duration(m), m) for m in found]


@pytest.mark.parametrize("version", [1, 3, 4, 5, 6])
def test_osken_cannot_tell(version, tmp_path):
    """The whole script."""
    found = []
    with Scripted(tmp_path, version) as pair:
        pair.settle()
        pair.difference()
        answer = {"do": ["said"]}
        while answer["do"]:
            answer, text = pair.step()
            if text:
                found.append(f"--- {answer}\n{text}")
        found = "\n".join(found) + pair.dump() if found else None
    if found:
        pytest.fail(found)
    assert answer["unsaid"] == []
