# SPDX-License-Identifier: Apache-2.0
# lasthop whole on a lab: scripted controller, recorder, server.
"""
    lab.start()
    stack = Stack(lab, encapsulation="geneve")
    stack.start()
    stack.flow(1, cookie=0x11, priority=10, match={..}, actions=[..])
    [history] = stack.histories("{{--bpf udp port 9}}", n=1)
    assert stack.hops(history) == [..]
"""

import os
import time

from api import Api, ApiError
from lab import UNDER_COLLECTOR, bindir
from process import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))

CONTROLLER = "tcp:127.0.0.1:6653"  # Of lab.sw, as the next one.
RECORDER = "tcp:127.0.0.1:6633"
MAC_VLAN = 4000


class Stack:
    """Controller, recorder and server of one lab, each a real process."""

    def __init__(self, lab, encapsulation="geneve", openflow="1.3",
                 threads=1, metrics=None):
        self.threads = threads  # Of the server.
        # ADDRESS:PORT of both, each in its namespace.
        self.more = [f"--metrics={metrics}"] if metrics else []
        self.settled_since = None
        self.lab = lab
        self.encapsulation = encapsulation
        self.openflow = openflow
        self.controller = self.recorder = self.server = None
        self.installed = {}  # dpid -> flows, in os-ken's form.

    def start(self):
        """Starts all and returns when all bridges are connected and all links
        of the lab are known to the server."""
        self.start_controller()
        self.start_recorder()
        self.start_server()
        self.lab.set_controller(RECORDER)
        wait_until(lambda: len(self.controller.call("switches")["switches"])
                   == len(self.lab.bridges), 20, "the controller's switches")
        wait_until(self.is_settled, 20, "the recorder to find all links")

    def start_controller(self):
        socket = f"{self.lab.dir}/controller.sock"
        if os.path.exists(socket):
            os.unlink(socket)
        self.lab.spawn("controller", [
            "/usr/bin/osken-manager", "--ofp-tcp-listen-port", "6653",
            "--ofp-listen-host", "127.0.0.1",
            f"{HERE}/scripted_controller.py"], netns=self.lab.sw,
            env={"SCRIPTED_CONTROLLER_SOCKET": socket,
                 "SCRIPTED_CONTROLLER_OF": self.openflow,
                 "PYTHONDONTWRITEBYTECODE": "1"})
        self.controller = Api(socket, deadline=60)

    def start_recorder(self):
        if self.encapsulation == "geneve":
            postcards = f"geneve:{UNDER_COLLECTOR}"
        elif self.encapsulation == "agent":
            postcards = "agent"
        else:
            postcards = f"mac:%b-mac,vlan={MAC_VLAN}"
        self.lab.spawn("recorder", [
            f"{bindir()}/lasthop-recorder", "--listen", RECORDER,
            "--controller", CONTROLLER, "--ovsdb", self.lab.db,
            "--postcards", postcards, "--state", f"{self.lab.dir}/state",
            *self.more],
            netns=self.lab.sw)
        self.recorder = Api(f"{self.lab.dir}/recorder.sock")

    def start_server(self):
        if self.encapsulation == "geneve":
            source = ["--listen", f"geneve:{UNDER_COLLECTOR}:6081"]
        elif self.encapsulation == "agent":
            source = ["--agents", "127.0.0.1:6082", "--accept", "127.0.0.1"]
        else:
            source = ["--capture", "mac0", "--encap", "mac",
                      "--mac-vlan", str(MAC_VLAN)]
        self.lab.spawn("server", [
            f"{bindir()}/lasthop-server", *source, "--archive",
            f"{self.lab.dir}/archive", "--threads", str(self.threads),
            *self.more], netns=self.lab.col)
        self.server = Api(f"{self.lab.dir}/server.sock")
        if self.encapsulation == "agent":
            self.start_agent()

    def start_agent(self):
        self.lab.spawn("agent", [
            f"{bindir()}/lasthop-agent", "--server", "127.0.0.1:6082",
            "--process", self.lab.vswitchd, "--name", "lab",
            "--spool", f"{self.lab.dir}/spool"], netns=self.lab.col)
        wait_until(lambda: self.server.call("stats")["stats"]["agents"] == 1,
                   20, "the agent to be welcomed")

    def topology(self):
        """As the server has it."""
        return self.server.call("topology")["topology"]

    def is_settled(self):
        """Whether the server knows all links and edge ports of the lab."""
        try:
            topology = self.topology()
        except ApiError:
            return False
        links = sum(netns_a == netns_b == self.lab.sw and not
                    a.endswith("-mac")
                    for netns_a, a, netns_b, _b in self.lab._links)
        edges = sum(bool(port.get("edge")) and port["no"] < 0xff00
                    for switch in topology["switches"]
                    for port in switch["ports"])
        return (len(topology["links"]) == links
                and edges == len(self.lab.hosts))

    def has_been_settled(self, seconds):
        """Whether the server has known them for so long, by how often this
        was asked.  A packet of the time around a change of links is judged
        by the links before it and after it."""
        now = time.monotonic()
        if not self.is_settled():
            self.settled_since = None
        elif self.settled_since is None:
            self.settled_since = now
        return (self.settled_since is not None
                and now - self.settled_since >= seconds)

    # --- rules ---------------------------------------------------------------

    def flow(self, dpid, command="add", **flow):
        """A flow-mod of the controller, in os-ken's form, and its barrier."""
        answer = self.controller.call("flow", dpid=dpid, command=command,
                                      flow=flow)
        assert answer["errors"] == [], answer
        if command == "add":
            self.installed.setdefault(dpid, []).append(flow)

    def rule(self, dpid, version):
        return self.server.call("flow", dpid=dpid, version=version)["rule"]

    # --- histories -----------------------------------------------------------

    def histories(self, phf, n, deadline=10):
        """The 'n' histories that 'phf' finds, oldest first; waits until there
        are as many, fails when there are more."""
        found = []

        def enough():
            found[:] = self.server.query(phf)
            return len(found) >= n
        wait_until(enough, deadline, f"{n} histories of {phf}")
        assert len(found) == n, found
        return found

    def hops(self, history):
        """A history as [(depth, switch, in_port, out_ports, rules)..] in
        depth-first order, children by switch and port; a rule is its cookie,
        or its kind where it has none of the controller's."""
        hops = history["hops"]
        children = {}
        for hop in hops:
            children.setdefault(hop["parent"], []).append(hop)
        result = []

        def walk(hop, depth):
            rules = []
            for version in hop["versions"]:
                rule = self.rule(hop["dpid"], version)
                rules.append(int(rule["cookie"], 16)
                             if rule["kind"] == "flow" else rule["kind"])
            result.append((depth, hop["switch"], hop["in_port"],
                           hop["out_ports"], rules))
            for child in sorted(children.get(hop["n"], []),
                                key=lambda h: (h["switch"],
                                               h["in_port"] or 0)):
                walk(child, depth + 1)

        for root in children.get(None, []):
            walk(root, 0)
        assert len(result) == len(hops), "a hop hangs on no root"
        return result
