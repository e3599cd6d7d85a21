# SPDX-License-Identifier: Apache-2.0
# The demo's network, built: a lab with the bridges, hosts and services of
# network.py, its controller, and lasthop between them if wanted.
"""
    with DemoNetwork() as net:    # patched=True: the patched switch, an agent.
        net.start()
        net.start_lasthop()       # Without: the bridges go to the controller.
        net.connect()
        net.request("alice", "tcp", *network.NAT_PUBLIC)
"""

import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "net"))

# pylint: disable=wrong-import-position
import network
from api import Api
from cluster import Nats
from lab import (PYTHON, TRAFFIC, UNDER_COLLECTOR, UNDER_SWITCH, Lab,
                 bindir)
from process import Failed, wait_until

# By the address their tunnels come from, which the recorder learns so.
SWITCHES_AT = f"tcp:{UNDER_SWITCH}:6633"
CONTROLLER_AT = "tcp:127.0.0.1:6653"
AGENTS_AT = f"{UNDER_COLLECTOR}:6082"       # Where the agent finds the server.
SERVICES = {"web": [("tcp", 8000), ("tcp", network.WRONG_PORT)],
            "files": [("udp", 6900), ("tcp", 2049)]}


class DemoNetwork(Lab):
    """The network; everything of a Lab works too."""

    def __init__(self, patched=None):
        super().__init__(patched)
        self.target = CONTROLLER_AT     # Where the bridges connect to.
        self.nats = None
        self.members = {}       # Of a cluster, by name.
        for name, dpid in network.SWITCHES.items():
            self.add_bridge(name, dpid)
        for a, b in network.LINKS:
            self.add_link(a, b)
        for host in network.HOSTS:
            self.add_host(host.name, host.switch, host.ip + "/24",
                          host.ip6 + "/64",
                          gateways=[network.gateway(host.ip),
                                    network.gateway(host.ip6)])
        self.add_collector()

    def start(self):
        """Makes the network and starts its services and controller."""
        super().start()
        for host, services in SERVICES.items():
            for kind, port in services:
                self.hosts[host].serve(kind, port)
        self.start_controller()

    def start_controller(self):
        """Starts the controller, for the first time or again."""
        self._forget(self.control_path)
        _, _, port = CONTROLLER_AT.split(":")
        self.spawn("controller", [
            "/usr/bin/osken-manager", "--ofp-listen-host", "127.0.0.1",
            "--ofp-tcp-listen-port", port, os.path.join(HERE,
                                                        "controller.py")],
            netns=self.sw, env={"DEMO_CONTROL": self.control_path,
                                "PYTHONDONTWRITEBYTECODE": "1"})
        wait_until(lambda: os.path.exists(self.control_path), 20,
                   "the controller")

    def start_lasthop(self):
        """Starts the recorder and the server between them."""
        self.start_recorder()
        source = (["--agents", AGENTS_AT] if self.is_patched else
                  ["--listen", f"geneve:{UNDER_COLLECTOR}:6081"])
        self.spawn("server", [
            os.path.join(bindir(), "lasthop-server"), *source,
            "--archive", os.path.join(self.dir, "archive")],
            netns=self.col, daemon=True)
        wait_until(lambda: os.path.exists(f"{self.dir}/server.sock"), 10,
                   "lasthop-server")
        if self.is_patched:
            self.start_agent(AGENTS_AT)

    def start_cluster(self):
        """Starts the recorder, a nats-server and three lasthop-servers: the
        switches send to a, which has the recorder; b and c share the work.
        Each history is archived by two of them."""
        self.start_recorder()
        self.nats = Nats(f"{self.dir}/nats", self.col)
        self.nats.start()
        for name in "abc":
            self.start_member(name)
        wait_until(self.is_shared_out, 30, "an owner of every shard")

    def start_member(self, name):
        """Starts server 'name' of the cluster, also again."""
        directory = self.dir if name == "a" else f"{self.dir}/{name}"
        os.makedirs(directory, exist_ok=True)
        own = (["--listen", f"geneve:{UNDER_COLLECTOR}:6081"]
               if name == "a" else ["--recorder", "none"])
        self.members[name] = self.spawn(f"server-{name}", [
            os.path.join(bindir(), "lasthop-server"), "--cluster",
            self.nats.url, "--replicas", "2", "--name", name, "--rundir",
            directory, *own, "--archive", f"{directory}/archive"], netns=self.col, daemon=True)
        wait_until(lambda: os.path.exists(f"{directory}/server.sock"), 10,
                   "lasthop-server")

    def members_that_live(self):
        """What server a says of those that it finds alive, by name."""
        with Api(f"{self.dir}/server.sock") as server:
            return {s["name"]: s for s in
                    server.call("cluster.status")["cluster"]["servers"]
                    if s["alive"]}

    def is_shared_out(self):
        """Whether all of the cluster's shards have an owner that runs."""
        live = self.members_that_live().values()
        return (len(live) == sum(m.is_running()
                                 for m in self.members.values())
                and sum(s["shards"] for s in live) == 64
                and sum(s["stores"] for s in live) == 32)

    def has_all_twice(self):
        """Whether each store has two copies of everything."""
        with Api(f"{self.dir}/server.sock") as server:
            copies = server.call("cluster.status")["cluster"]["copies"]
        return not copies["short"] and not copies["unknown"]

    def start_recorder(self):
        """Starts the recorder, for the first time or again."""
        self._forget(f"{self.dir}/recorder.sock")
        self.target = SWITCHES_AT
        self.spawn("recorder", [
            os.path.join(bindir(), "lasthop-recorder"),
            "--listen", SWITCHES_AT, "--controller", CONTROLLER_AT,
            "--ovsdb", self.db, "--postcards",
            "agent" if self.is_patched else f"geneve:{UNDER_COLLECTOR}",
            "--state", os.path.join(self.dir, "recorder")],
            netns=self.sw, daemon=True)
        wait_until(lambda: os.path.exists(f"{self.dir}/recorder.sock"), 10,
                   "lasthop-recorder")

    def connect(self):
        """Connects the bridges and waits until they have their rules."""
        self.set_controller(self.target)
        self.tell_controller("ready")

    @property
    def control_path(self):
        """The controller's control socket."""
        return os.path.join(self.dir, "controller.sock")

    def tell_controller(self, word):
        """Has the controller do 'word' ("ready", "repair", "break")."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(30)
            control.connect(self.control_path)
            control.sendall(word.encode() + b"\n")
            answer = control.makefile().readline().strip()
        if answer != "ok":
            raise Failed(f"the controller, told to {word}: {answer}")

    def request(self, host, kind, address, port, text="hello", timeout=2):
        """The reply of a service to 'host', or None."""
        return self.hosts[host].request(kind, address, port, text, timeout)

    def keep_asking(self, host, kind, address, port):
        """Has 'host' ask a service once a second from now on."""
        ask = " ".join([PYTHON, TRAFFIC, f"{kind}-request", address,
                        str(port), "again", "1"])
        self.spawn(f"{host}-asks", ["sh", "-c", f"while :; do {ask}; "
                                    "sleep 1; done"],
                   netns=self.hosts[host].netns)

    @staticmethod
    def _forget(path):
        """Removes a socket that an earlier process has left."""
        if os.path.exists(path):
            os.unlink(path)
