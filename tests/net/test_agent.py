# SPDX-License-Identifier: Apache-2.0
# lasthop-agent between the patched switch and the server: whatever goes away
# or is full, each postcard arrives once or is counted where it was lost.

import os
import re
import signal
import time

import pytest

import frames
from api import Api, ApiError
from lab import Lab, bindir
from process import Failed, run, wait_until
from test_recorder_tls import files, make_ca, make_certificate

AGENTS = "127.0.0.1:6082"
# How long the server is away at least; `quickstart soak` makes it a minute.
AWAY_SECONDS = int(os.environ.get("LASTHOP_AWAY_SECONDS", "0"))
PLACES = ("ring", "spool", "memory", "capture")


@pytest.fixture
def lab(request):
    """A Lab with the patched switch."""
    with Lab(patched=True) as network:
        yield network
        network.close(keep=getattr(request.node, "has_failed", False))


class Shipping:
    """h1 - s1 - s2 - h2, an agent, and a server that takes its postcards."""

    def __init__(self, lab, *agent_options):
        self.lab = lab
        self.agent_options = agent_options
        self.taken = dict.fromkeys(("postcards", *PLACES), 0)
        self.agent = self.server = self.server_process = None
        self.n_sent = 0
        lab.add_bridge("s1")
        lab.add_bridge("s2")
        lab.add_link("s1", "s2")
        self.h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.start()
        self.add_flows()
        self.make_ring()

    def make_ring(self, size=8 << 20):
        """Until there is a ring of that size.  What it saw before an agent
        began is nobody's loss."""
        def is_made():
            self.send(1)
            return f": {size} bytes" in self.lab.appctl("lasthop/show")
        wait_until(is_made, 20, "the ring")

    def add_flows(self):
        for bridge in ("s1", "s2"):
            self.lab.ofctl("add-flow", bridge,
                           "in_port=1,actions=output:2")
            self.lab.ofctl("add-flow", bridge,
                           "in_port=2,actions=output:1")

    def start_server(self, *options):
        self.server_process = self.lab.spawn("server", [
            f"{bindir()}/lasthop-server", "--agents", AGENTS, "--accept",
            "127.0.0.1", "--recorder", "none", *options], netns=self.lab.sw)
        self.server = Api(f"{self.lab.dir}/server.sock")

    def start_agent(self):
        self.agent = self.lab.spawn("agent", [
            f"{bindir()}/lasthop-agent", "--server", AGENTS, "--pidfile",
            f"{self.lab.dir}/ovs-vswitchd.pid", "--flush", "20ms",
            *self.agent_options], netns=self.lab.sw)

    def kill_agent(self):
        self.agent.signal(signal.SIGKILL)
        self.agent.wait()

    def stats(self):
        """What this life of the server took, and what it was told is lost."""
        stats = self.server.call("stats")["stats"]
        return {"postcards": stats["agent_postcards"],
                **{place: stats[f"agent_lost_{place}"] for place in PLACES}}

    def total(self):
        """The same of all lives of the server."""
        return {name: n + self.taken[name]
                for name, n in self.stats().items()}

    def stop_server(self):
        self.taken = self.total()
        self.server.close()
        self.server_process.stop()

    def send(self, n):
        """'n' packets from h1 to h2, of which no two are equal."""
        batch = []
        for _ in range(n):
            self.n_sent += 1
            batch.append(frames.ethernet(
                self.h1.mac, self.h2.mac, 0x0800, frames.ipv4(
                    self.h1.ip, self.h2.ip, 17, frames.udp_datagram(
                        self.h1.ip, self.h2.ip, 5000, 9,
                        os.urandom(40)), ident=self.n_sent & 0xffff)))
        self.h1.send(*batch)

    def switch(self):
        """What the running switch counted."""
        text = self.lab.appctl("lasthop/show")
        found = re.findall(r"(\w+):(\d+)", text.split("all rings:")[-1])
        return {name: int(n) for name, n in found}

    def told(self):
        """How many postcards the running switch has told."""
        return self.switch()["postcards"]

    def send_seen(self, n):
        """Sends 'n' packets, and returns when the switch has seen them on
        both bridges."""
        def seen():
            counted = self.switch()
            return (counted["postcards"] + counted["dropped"]
                    + counted["unread"])
        while n > 0:
            # No more than the socket of a port holds.
            part = min(n, 100)
            before = seen()
            self.send(part)
            wait_until(lambda: seen() >= before + 2 * part, 20,
                       "the switch to see")
            n -= part

    def wait_total(self, deadline=30, **expected):
        """Until the server has as many postcards and losses; a function says
        how many by then, for hosts send packets of their own."""
        def same():
            try:
                total = self.total()
            except (ApiError, OSError):
                return False
            return all(total[name] == (n() if callable(n) else n)
                       for name, n in expected.items())
        try:
            wait_until(same, deadline)
        except Failed as error:
            raise Failed(f"{self.total()} instead of {expected}; switch: "
                         f"{self.switch()}") from error

    def wait_attached(self):
        """Until the switch is read."""
        self.send(1)
        wait_until(lambda: "reader: epoch" in
                   self.lab.appctl("lasthop/show"), 20, "the agent")


def test_server_and_agent_go_and_come(lab):
    s = Shipping(lab, "--spool", f"{lab.dir}/spool")
    s.start_server()
    s.start_agent()
    s.wait_attached()
    s.send_seen(50)
    s.wait_total(postcards=s.told)

    s.stop_server()
    comes_back = time.monotonic() + AWAY_SECONDS
    s.send_seen(100)
    while time.monotonic() < comes_back:
        s.send_seen(100)
    s.kill_agent()
    s.send_seen(100)    # They wait in the ring.
    s.start_agent()
    s.send_seen(50)
    s.start_server()
    s.wait_total(postcards=s.told, ring=0, spool=0, memory=0)
    counted = s.switch()
    assert counted["dropped"] == 0
    assert counted["postcards"] >= 600

    # Killed at any moment.
    for _ in range(4):
        s.send_seen(20)
        s.kill_agent()
        s.start_agent()
    s.send_seen(20)
    s.wait_total(postcards=s.told, ring=0, spool=0, memory=0)
    assert s.server.call("stats")["stats"]["agent_gaps"] == 0


def test_the_switch_is_killed(lab):
    s = Shipping(lab)
    s.start_server()
    s.start_agent()
    s.wait_attached()
    s.send_seen(100)
    before = s.switch()
    s.wait_total(postcards=before["postcards"])

    switch = lab.process("ovs-vswitchd")
    switch.signal(signal.SIGKILL)
    switch.wait()
    lab.start_vswitchd()

    def add_flows():
        try:
            s.add_flows()
            return True
        except Failed:
            return False
    wait_until(add_flows, 20, "the bridges")
    s.wait_attached()
    s.send_seen(100)
    after = s.switch()
    s.wait_total(postcards=before["postcards"] + after["postcards"],
                 ring=after["unread"])
    assert "is written no more" in s.agent.output()


def test_a_ring_that_is_too_small(lab):
    s = Shipping(lab)
    lab.vsctl("set", "Open_vSwitch", ".",
              "other_config:lasthop-ring-size=65536")
    s.make_ring(65536)
    s.start_server()
    s.start_agent()
    s.wait_attached()
    s.send_seen(10)
    s.agent.signal(signal.SIGSTOP)
    s.send_seen(600)
    assert s.switch()["dropped"] > 0
    s.agent.signal(signal.SIGCONT)
    s.send_seen(10)
    s.wait_total(postcards=s.told, ring=lambda: s.switch()["dropped"])


def test_a_full_spool(lab):
    s = Shipping(lab, "--spool", f"{lab.dir}/spool", "--spool-size", "64K")
    s.start_agent()
    s.wait_attached()
    while "spool is full" not in s.agent.output():
        s.send_seen(500)
    s.send_seen(200)
    s.start_server()
    s.send_seen(10)

    def adds_up():
        total, counted = s.total(), s.switch()
        return (total["spool"] > 0 and total["ring"] == 0 and
                total["postcards"] + total["spool"] == counted["postcards"])
    # And it goes on by itself, as soon as there is room.
    def goes_on():
        lost = s.total()["spool"]
        s.send_seen(50)
        try:
            wait_until(adds_up, 30)
        except Failed as error:
            raise Failed(f"{s.total()}, switch {s.switch()}") from error
        return s.total()["spool"] == lost > 0
    wait_until(goes_on, 30)


def test_a_plain_interface_is_an_edge(lab):
    s = Shipping(lab)
    os.mkdir(f"{lab.dir}/edge")
    s.lab.spawn("edge-server", [
        f"{bindir()}/lasthop-server", "--agents", AGENTS, "--accept",
        "127.0.0.1", "--recorder", "none", "--rundir", f"{lab.dir}/edge"],
        netns=s.h1.netns)
    s.server = Api(f"{lab.dir}/edge/server.sock")
    agent = s.lab.spawn("edge-agent", [
        f"{bindir()}/lasthop-agent", "--server", AGENTS, "--no-rings",
        "--interface", "eth0", "--flush", "20ms"], netns=s.h1.netns)
    agent.wait_for("ships to")
    mac = s.h1.mac.replace(":", "")
    agent.wait_for(f"switch 1000{mac}")
    before = s.stats()["postcards"]
    s.send(20)
    wait_until(lambda: s.stats()["postcards"] >= before + 20, 20, "20")
    # Out of the host, and what comes back into it.
    assert s.h1.ping("10.0.0.2")
    wait_until(lambda: s.stats()["postcards"] >= before + 22, 20, "the ping")
    run(["kill", "-USR1", str(agent.pid)])
    agent.wait_for("1 interfaces")


def test_over_tls(lab):
    make_ca(lab.dir, "ca")
    make_ca(lab.dir, "foreign")
    for name in ("server", "agent"):
        make_certificate(lab.dir, name)
    make_certificate(lab.dir, "stranger", "foreign")
    s = Shipping(lab, *files(lab.dir, "agent"))
    s.server_process = lab.spawn("server", [
        f"{bindir()}/lasthop-server", "--agents", f"ssl:{AGENTS}",
        "--recorder", "none", *files(lab.dir, "server")], netns=lab.sw)
    s.server = Api(f"{lab.dir}/server.sock")
    s.start_agent()
    s.wait_attached()
    s.send_seen(50)
    s.wait_total(postcards=s.told)

    # An agent with a certificate of another CA is refused: what it has to
    # tell waits until one comes that is not.
    taken = s.stats()["postcards"]
    assert s.agent.stop() == 0
    s.agent_options = files(lab.dir, "stranger")
    s.start_agent()
    s.wait_attached()
    s.send_seen(20)

    wait_until(lambda: "an agent at 127.0.0.1 came to nothing: TLS: its "
               "certificate is refused" in
               s.server_process.output(), 20, "the server to say so")
    assert s.stats()["postcards"] == taken
    assert s.server.call("stats")["stats"]["agents"] == 0

    # As does the agent a server of another one.
    assert s.agent.stop() == 0
    s.agent_options = [*files(lab.dir, "agent")[:2],
                       f"--ca-cert={lab.dir}/foreign.pem"]
    s.start_agent()
    s.agent.wait_for("certificate")
    assert s.server.call("stats")["stats"]["agents"] == 0


def test_who_keeps_to_a_budget_says_so_to_who_counts(lab):
    """An agent with next to no time keeps few packets: the server knows the
    ratio, and nprof scales its figures by it and says so."""
    net = Shipping(lab, "--cpu", "0.5%")
    archive = f"{lab.dir}/archive"
    net.start_server("--archive", archive)
    net.start_agent()

    def keeps_few():
        net.send(200)
        [agent] = net.server.call("status")["status"]["agents"]
        return agent["connected"] and agent["ratio"] < 1
    wait_until(lambda: net.server.call("stats")["stats"]["agents"] == 1, 20,
               "the agent")
    wait_until(keeps_few, 30, "the agent to keep few packets")

    def is_scaled():
        net.send(50)
        return "agents kept 1 packet in" in run(
            ["sh", "-c", f"{bindir()}/nprof --server {lab.dir}/server.sock "
             "--since -1h entry 2>&1"], check=False)
    wait_until(is_scaled, 30, "nprof to scale what it counts")
