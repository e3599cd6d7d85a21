# SPDX-License-Identifier: Apache-2.0
# Peers whose host is gone without a word: no packet comes from it any more,
# and no end of its connections either.

import ctypes
import json
import os
import socket
import threading

from api import Api
from lab import UNDER_COLLECTOR, UNDER_SWITCH, bindir
from many_controllers import Controller
from process import run, wait_until
from scripted_switch import Switch

# The manual says 30 s; the operating system's own time is a quarter of an hour
# at least.
NOTICED = 60
PORT = 6663


def listener_in(netns, address):
    """A socket that listens in another network namespace."""
    made = []

    def make():
        with open(f"/run/netns/{netns}", encoding="ascii") as namespace:
            if ctypes.CDLL(None).setns(namespace.fileno(), 0x40000000):
                return
        made.append(socket.create_server((address, 0)))
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    [listener] = made
    listener.settimeout(30)
    return listener


class FarController(Controller):
    """A controller on another host."""

    def __init__(self, path, netns, address):
        super().__init__(path)
        self.listener.close()
        os.unlink(path)
        self.listener = listener_in(netns, address)

    @property
    def target(self):
        address, port = self.listener.getsockname()
        return f"tcp:{address}:{port}"


def keep_neighbour(lab):
    """Sends on to the other host also when it does not answer ARP any more, as
    where there are routers between the two."""
    mac = json.loads(run(["ip", "-j", "link", "show", "br-under"],
                         netns=lab.sw))[0]["address"]
    run(["ip", "neigh", "replace", UNDER_SWITCH, "lladdr", mac, "dev",
         "under0", "nud", "permanent"], netns=lab.col)


def test_hosts_that_vanish_are_noticed_and_may_come_back(lab):
    lab.add_bridge("s1")
    lab.add_collector()
    lab.start()
    # The recorder is on the collector's host.  The switch of the first
    # controller and the second controller are on another.
    near = Controller(f"{lab.dir}/near.sock")
    far = FarController(f"{lab.dir}/far.sock", lab.sw, UNDER_SWITCH)
    process = lab.spawn("recorder", [
        f"{bindir()}/lasthop-recorder",
        f"--listen=tcp:{UNDER_COLLECTOR}:{PORT}",
        f"--listen=unix:{lab.dir}/l.sock", f"--controller={near.target}",
        f"--controller={far.target}", f"--state={lab.dir}/state",
        f"--rundir={lab.dir}", "--verbose"], netns=lab.col, daemon=True)
    process.wait_for("listening for switches")
    lab.vsctl("set-controller", "s1", f"tcp:{UNDER_COLLECTOR}:{PORT}", "--",
              "set", "controller", "s1", "max_backoff=1000",
              "connection-mode=out-of-band")
    near.accept()
    switch = Switch(f"{lab.dir}/l.sock", dpid=2)
    far.accept()
    with Api(f"{lab.dir}/recorder.sock") as api:
        def states():
            return {int(s["dpid"], 16): s["state"]
                    for s in api.call("stats")["stats"]["switches"]
                    if "dpid" in s}

        def versions():
            rules = api.call("table", dpid=1)["rules"]
            return [r["version"] for r in rules if r["kind"] == "flow"]
        wait_until(lambda: states() == {1: "instrumented",
                                        2: "instrumented"}, 20, "both")
        near.flow(0, 70, 1, 2)
        near.barrier()
        before = versions()
        assert len(before) == 1

        keep_neighbour(lab)
        run(["ip", "link", "set", "under", "down"], netns=lab.sw)
        # One that connects now has a controller that does not answer.
        late = Switch(f"{lab.dir}/l.sock", dpid=3)
        wait_until(lambda: late.got("end"), NOTICED, "the late one's end")
        assert f"controller {far.target}: no answer in time; switch at " \
            in process.output()
        wait_until(lambda: switch.got("end"), NOTICED,
                   "the end of the switch whose controller is gone")
        wait_until(lambda: not states(), NOTICED,
                   "the end of the switch that is gone")
        output = process.output()
        assert "(s1): disconnected: Connection timed out" in output, output
        assert f"disconnected: controller {far.target}: Connection timed " \
            "out" in output, output
        near.close()    # It had no switch any more.

        run(["ip", "link", "set", "under", "up"], netns=lab.sw)
        near.accept()
        switch = Switch(f"{lab.dir}/l.sock", dpid=2)
        far.accept()
        wait_until(lambda: states() == {1: "instrumented",
                                        2: "instrumented"}, 20, "both again")
        assert versions() == before
        near.flow(0, 71, 1, 2)
        near.barrier()
        assert len(versions()) == 2
