# SPDX-License-Identifier: Apache-2.0
# The distribution's ovs-testcontroller, a learning switch, says and hears the
# same of a switch directly and through the recorder, message by message
# (pair.py says what is not compared).

import os
import shutil

import pytest

from frames import ethernet, ipv4
from openflow import NAMES
from pair import Pair
from process import Process, wait_until

CONTROLLER = shutil.which("ovs-testcontroller")

pytestmark = pytest.mark.skipif(not CONTROLLER,
                                reason="needs openvswitch-testcontroller")


class Controlled(Pair):
    """Both switches have a controller of their own."""

    def __init__(self, directory, version, *options):
        super().__init__(directory)
        self.version = version
        self.controller_options = options
        self.controllers = []

    def spawn_controller(self, side):
        """Starts that of one, which listens at ctl-SIDE."""
        return Process(
            f"controller-{side}",
            [CONTROLLER, f"punix:{self.dir}/ctl-{side}", "-O",
             NAMES[self.version], *self.controller_options,
             f"--unixctl={self.dir}/ctl-{side}.ctl"],
            f"{self.dir}/ctl-{side}.log")

    def is_listening(self, side):
        """Whether it does."""
        return os.path.exists(f"{self.dir}/ctl-{side}")

    def options(self):
        return [f"--listen=unix:{self.dir}/b/br0.controller",
                f"--controller=unix:{self.dir}/tap-b"]

    def sockets(self):
        return [(f"{self.dir}/a/br0.controller", f"{self.dir}/ctl-a", True),
                (f"{self.dir}/tap-b", f"{self.dir}/ctl-b", True)]

    def connect(self):
        for side in ("a", "b"):
            self.controllers.append(self.spawn_controller(side))
        for side in ("a", "b"):
            wait_until(lambda s=side: self.is_listening(s),
                       what="the controller")
        for switch in self.switches:
            switch.connect()

    def close(self):
        super().close()
        for process in self.controllers:
            process.stop()

    def counts(self):
        """How many messages each side has said and heard."""
        return [(len(c.sent), len(c.received)) for tap in self.taps
                for c in tap.connections]

    def settle(self):
        """Waits until both sides have said as much."""
        def is_same():
            counts = self.counts()
            return len(counts) == 2 and counts[0] == counts[1] \
                and all(counts[0]) and counts
        return wait_until(is_same, 10, "both to have said as much")

    def carry(self, src, dst, frame):
        """Host 'src' sends it and 'dst' gets it.  Packet-ins need the clock to
        go on, and what a controller installs comes before its packet-out."""
        got = [False, False]
        self.receive(src, frame)

        def has_come():
            self.warp(1)
            for i, switch in enumerate(self.switches):
                got[i] |= any(f.startswith(frame)
                              for f in switch.sent().get(dst, []))
            return all(got)
        wait_until(has_come, 10, f"a frame from {src} to {dst}")
        return self.settle()


def ping(src, dst, kind):
    """An ICMP echo request (8) or reply (0)."""
    macs = [f"02:00:00:00:00:{n:02x}" for n in (src, dst)]
    return ethernet(*macs, 0x0800, ipv4(
        f"10.0.0.{src}", f"10.0.0.{dst}", 1,
        bytes([kind, 0, 0, 0, 0, 1, 0, src])))


@pytest.mark.parametrize("version,options", [
    *((version, ()) for version in NAMES), (1, ("--hub",)),
    (4, ("--noflow",))])
def test_a_learning_switch_cannot_tell(version, options, tmp_path):
    """Hosts 1 to 3 ping each other."""
    with Controlled(tmp_path, version, *options) as pair:
        pair.settle()
        for src, dst in ((1, 2), (1, 3), (2, 3)):
            for _ in range(2):
                pair.carry(src, dst, ping(src, dst, 8))
                counts = pair.carry(dst, src, ping(dst, src, 0))
        assert sum(counts[0]) >= 8, counts
        for controller in pair.controllers:
            controller.stop()       # The taps' connections end.
        found = pair.difference()
    if found:
        pytest.fail(found)
