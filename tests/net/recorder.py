# SPDX-License-Identifier: Apache-2.0
# A controller, the recorder and a lab's bridges, connected.
"""
    with Lab() as lab:
        ..declare the network..
        lab.start()
        controller = start_controller(lab)
        recorder = Recorder(lab, "geneve:" + UNDER_COLLECTOR)
        recorder.start()
        lab.set_controller(recorder.target)
        recorder.wait_ready()
        controller.call("flow", dpid=1, flow={..})
"""

import json
import os

from api import Api
from lab import HERE, PYTHON, Capture, bindir
from process import wait_until

CONTROLLER_PORT = 6653
RECORDER_PORT = 6663

_OSKEN = ("import sys; from os_ken.cmd.manager import main; "
          "sys.exit(main())")


def start_controller(lab, name="controller", of_version="1.3"):
    """Starts the scripted controller and returns an Api to it."""
    path = f"{lab.dir}/{name}.sock"
    if os.path.exists(path):
        os.unlink(path)
    lab.spawn(name, [PYTHON, "-c", _OSKEN, "--ofp-listen-host", "127.0.0.1",
                     "--ofp-tcp-listen-port", CONTROLLER_PORT,
                     f"{HERE}/scripted_controller.py"],
              netns=lab.sw,
              env={"SCRIPTED_CONTROLLER_SOCKET": path,
                   "SCRIPTED_CONTROLLER_OF": of_version})
    return Api(path, deadline=60)


class Recorder:
    """lasthop-recorder beside a lab's switches."""

    target = f"tcp:127.0.0.1:{RECORDER_PORT}"

    def __init__(self, lab, postcards=None, options=(), ovsdb=True):
        self.lab = lab
        self.log = None
        self.options = [f"--listen={self.target}",
                        f"--controller=tcp:127.0.0.1:{CONTROLLER_PORT}",
                        f"--state={lab.dir}/state", f"--rundir={lab.dir}",
                        "--verbose", *options]
        if postcards:
            self.options.append(f"--postcards={postcards}")
            if ovsdb:
                self.options.append(f"--ovsdb={lab.db}")
        self.process = None

    def spawn(self):
        """A process with its options."""
        return self.lab.spawn(
            "recorder", [f"{bindir()}/lasthop-recorder", *self.options],
            netns=self.lab.sw)

    def start(self):
        """Starts it, for the first time or again."""
        self.process = self.spawn()
        self.api().close()
        return self

    def api(self):
        """A new client of its socket."""
        return Api(f"{self.lab.dir}/recorder.sock")

    def stats(self):
        """What it has counted."""
        with self.api() as api:
            return api.call("stats")["stats"]

    def topology(self):
        """What it has found."""
        with self.api() as api:
            return api.call("topology")["topology"]

    def rule(self, dpid, version):
        """What (dpid, version) was."""
        with self.api() as api:
            return api.call("flow", dpid=dpid, version=version)["rule"]

    def table(self, dpid, **at):
        """The rules of a switch, as they were."""
        with self.api() as api:
            return api.call("table", dpid=dpid, **at)["rules"]

    def states(self):
        """Datapath ID -> state of each connected switch."""
        return {int(s["dpid"], 16): s["state"]
                for s in self.stats()["switches"] if "dpid" in s}

    def wait_ready(self, deadline=20):
        """Waits until all of the lab's bridges are instrumented."""
        dpids = {bridge.dpid for bridge in self.lab.bridges.values()}
        wait_until(lambda: {d for d, state in self.states().items()
                            if state == "instrumented"} == dpids,
                   deadline, "all switches to be instrumented")
        return self

    def wait_controller(self, controller, deadline=20):
        """Waits until the controller sees all bridges."""
        dpids = sorted(bridge.dpid for bridge in self.lab.bridges.values())
        wait_until(
            lambda: controller.call("switches")["switches"] == dpids,
            deadline, "the controller to see all switches")


def capture(lab, interface, netns):
    """Starts a Capture of the frames that come in at 'interface'."""
    return Capture(lab.spawn(f"capture-{interface}",
                             [PYTHON, f"{HERE}/traffic.py", "capture",
                              interface], netns=netns).wait_for("ready"))


def pretty(value):
    """'value' for a person who reads why a test failed."""
    return json.dumps(value, indent=1, sort_keys=True)
