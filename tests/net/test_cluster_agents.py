# SPDX-License-Identifier: Apache-2.0
# A lasthop-agent that reads a real patched switch, and a real cluster: whatever
# becomes of the server that it ships to, each packet has one whole history.

import collections
import json
import signal
import threading

import pytest

import frames
from cluster import Cluster, Nats, Server
from lab import Lab, bindir
from process import run, wait_until

PORTS = {"a": 6082, "b": 6083, "c": 6084}
SERVERS = ",or=".join(f"127.0.0.1:{port}" for port in PORTS.values())


@pytest.fixture
def lab(request):
    """A Lab with the patched switch."""
    with Lab(patched=True) as network:
        yield network
        network.close(keep=getattr(request.node, "has_failed", False))


class AgentCluster(Cluster):
    """Three servers that take agents, in the namespace of the switch."""

    def __init__(self, lab):
        self.netns = lab.sw
        self.lab = lab
        super().__init__(f"{lab.dir}/cluster", 3, f"{lab.dir}/topology.json",
                         f"{lab.dir}/rules.jsonl",
                         ["--cluster-shards", "8"])

    def _new_nats(self):
        return Nats(f"{self.dir}/nats", netns=self.netns)

    def _new_server(self, name):
        server = Server(self, name)
        server.netns = self.netns
        server.options = ["--agents", f"127.0.0.1:{PORTS[name]}"]
        return server

    def has_agent(self, name):
        """Whether the agent is there, and nowhere else."""
        return all(server.stats()["agents"] == (server.name == name)
                   for server in self.live())

    def is_elsewhere(self, name):
        """Whether it is at another server than that one."""
        return any(server.stats()["agents"] for server in self.live()
                   if server.name != name)

    def counter(self, name):
        """Of all servers that live, together."""
        return sum(server.stats()[name] for server in self.live())


class Net:
    """h1 - s1 - s2 - h2, an agent, and packets of which no two are equal."""

    def __init__(self, lab):
        self.lab = lab
        self.agent = None
        self.n_sent = 0
        lab.add_bridge("s1")
        lab.add_bridge("s2")
        lab.add_link("s1", "s2")
        self.h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.start()
        for bridge in ("s1", "s2"):
            lab.ofctl("add-flow", bridge, "in_port=1,actions=output:2")
            lab.ofctl("add-flow", bridge, "in_port=2,actions=output:1")
        dpids = [f"{lab.bridges[name].dpid:016x}" for name in ("s1", "s2")]
        with open(f"{lab.dir}/topology.json", "w", encoding="ascii") as file:
            json.dump({"switches": [
                {"dpid": dpid, "name": name, "ports": [
                    {"no": 1, "name": f"{name}-1", "edge": False},
                    {"no": 2, "name": f"{name}-2", "edge": True}]}
                for dpid, name in zip(dpids, ("s1", "s2"))],
                "links": [{"a": {"dpid": dpids[0], "port": 1},
                           "b": {"dpid": dpids[1], "port": 1}}]}, file)
        with open(f"{lab.dir}/rules.jsonl", "w", encoding="ascii"):
            pass

    def show(self):
        """What the switch says of its rings."""
        return self.lab.appctl("lasthop/show")

    def start_agent(self, servers=SERVERS):
        """Until the switch is read.  What it sees before is nobody's loss."""
        other = frames.ethernet(self.h1.mac, self.h2.mac, 0x88b5,
                                b"ring".ljust(50))

        def shows(text):
            self.h1.send(other)
            return text in self.show()
        wait_until(lambda: shows(": 8388608 bytes"), 20, "the ring")
        self.agent = self.lab.spawn("agent", [
            f"{bindir()}/lasthop-agent", "--server", servers, "--pidfile",
            f"{self.lab.dir}/ovs-vswitchd.pid", "--flush", "20ms", "--name",
            "lab"], netns=self.lab.sw)
        wait_until(lambda: shows("reader: epoch"), 20, "the agent")

    def send(self, n, port=9):
        """'n' packets from h1 to h2."""
        batch = []
        for _ in range(n):
            self.n_sent += 1
            batch.append(frames.udp4(
                self.h1.mac, self.h2.mac, self.h1.ip, self.h2.ip, 5000, port,
                self.n_sent.to_bytes(4, "big") * 10, ident=0))
        self.h1.send(*batch)

    def send_until(self, condition, what):
        """Sends on and on until that is so."""
        def is_so():
            self.send(20)
            return condition()
        wait_until(is_so, 60, what)


def number_of(history):
    """Of the packet, None: none of ours."""
    header = bytes.fromhex(history["hops"][0]["header"])
    if header[12:14] != b"\x08\x00" or header[23] != 17:
        return None
    return int.from_bytes(header[42:46], "big")


def test_its_server_dies_stalls_and_is_drained(lab):
    """Each packet's history is there once, and whole."""
    net = Net(lab)
    with AgentCluster(lab) as cluster:
        cluster.start()
        net.start_agent()
        own = wait_until(lambda: next(filter(cluster.has_agent, PORTS), None),
                         20, "the agent's server")
        net.send(200)

        # It dies, with what it had put on the bus without telling so.
        net.send_until(lambda: cluster.counter("agent_postcards") > 400,
                       "postcards")
        cluster[own].process.kill()
        net.send_until(lambda: cluster.is_elsewhere(own), "another server")
        net.send(100)
        cluster[own].start()
        cluster[own].wait_ready()
        net.send_until(lambda: cluster.has_agent(own), "its own again")
        cluster.wait_owned()

        # It stalls, until what it had put on the bus came again.
        doubled = -1
        while doubled <= 0:
            before = cluster[own].stats()["agent_postcards"]
            net.send_until(lambda: cluster[own].stats()["agent_postcards"] >
                           before + 100, "more")
            cluster[own].process.signal(signal.SIGSTOP)
            net.send_until(lambda: cluster.is_elsewhere(own), "another server")
            cluster[own].process.signal(signal.SIGCONT)
            net.send_until(lambda: cluster.has_agent(own), "its own again")
            cluster.wait_owned()
            doubled = cluster.counter("cluster_doubled")

        # It is drained: the agent is told so, and goes before it stops.
        run([f"{bindir()}/lasthopctl", "--rundir", cluster["a"].dir,
             "cluster", "drain", own])
        net.send_until(lambda: cluster.is_elsewhere(own), "another server")
        assert "is being drained" in net.agent.output()
        # What comes last says that all is there.
        net.send(100, port=10)
        with cluster["a"].api() as api:
            wait_until(lambda: len(api.query(
                "{{--bpf udp dst port 10}}")) >= 100, 60, "the last")
        assert "dropped:0" in net.show().split("all rings:")[-1]
        check_each(net, cluster)


def check_each(net, cluster):
    """When all is archived, each packet's history is there once, and whole."""
    cluster.wait_quiet()
    cluster.stop()
    found = collections.Counter()
    for line in cluster.histories():
        history = json.loads(line)
        number = number_of(history)
        if number is not None:
            assert history["verdict"]["name"] == "delivered", history
            assert len(history["hops"]) == 2, history
            found[number] += 1
    assert found == {n: 1 for n in range(1, net.n_sent + 1)}


def own_of(cluster):
    """The server that the agent ships to, when there is one."""
    return next(filter(cluster.has_agent,
                       [s.name for s in cluster.live()]), None)


def test_servers_that_it_was_only_told_of(lab):
    """An agent that knows one server goes on with others, when that is gone
    for good, and when the next one is; and to one that joins."""
    net = Net(lab)
    with AgentCluster(lab) as cluster:
        cluster.nats.start()
        for name in "ab":
            cluster[name].start()
        for name in "ab":
            cluster[name].wait_ready()
        cluster.wait_owned()
        net.start_agent(f"127.0.0.1:{PORTS['a']}")
        net.send_until(lambda: "tells of 2 that take agents"
                       in net.agent.output(), "that it is told")
        net.send_until(lambda: cluster.counter("agent_postcards") > 400,
                       "postcards")

        # The one that it was given dies; it goes on with the other.
        cluster["a"].process.kill()
        net.send_until(lambda: cluster["b"].stats()["agents"] == 1,
                       "the other")
        cluster.wait_owned()

        # One joins.  Wherever it is then, that dies, too.
        cluster["c"].start()
        cluster["c"].wait_ready()
        cluster.wait_owned()
        net.send_until(lambda: net.agent.output().count(
            "tells of 2 that take agents") > 1, "that it is told again")
        own = wait_until(lambda: own_of(cluster), 30, "its server")
        last = "b" if own == "c" else "c"
        net.send_until(lambda: cluster[own].stats()["agent_postcards"] > 100,
                       "postcards")
        cluster[own].process.kill()
        net.send_until(lambda: cluster[last].stats()["agents"] == 1,
                       "the last")
        cluster.wait_owned()
        net.send(100, port=10)
        for name in "a", own:
            cluster[name].start()
            cluster[name].wait_ready()
        with cluster[last].api() as api:
            wait_until(lambda: len(api.query(
                "{{--bpf udp dst port 10}}")) >= 100, 60, "the last packets")
        assert "dropped:0" in net.show().split("all rings:")[-1]
        check_each(net, cluster)


def test_each_server_is_drained_and_replaced_under_load(lab):
    """As an upgrade goes: drain, stop, start, while packets go on."""
    net = Net(lab)
    with AgentCluster(lab) as cluster:
        cluster.start()
        net.start_agent()
        done = threading.Event()

        def go_on():
            while not done.wait(0.01):
                net.send(20)
        load = threading.Thread(target=go_on, daemon=True)
        load.start()
        for name in PORTS:
            wait_until(lambda: cluster.counter("agent_postcards") > 0, 30,
                       "postcards")
            run([f"{bindir()}/lasthopctl", "--rundir", cluster[name].dir,
                 "cluster", "drain", name])
            wait_until(lambda n=name: not cluster[n].stats()["agents"]
                       and not cluster[n].status()["shards"]
                       and not cluster[n].status()["stores"]
                       and not cluster[n].status()["waiting"], 60,
                       f"{name} to drain")
            assert cluster.is_elsewhere(name)
            cluster[name].process.signal(signal.SIGTERM)
            assert cluster[name].process.wait(40) == 0
            cluster[name].start()
            cluster[name].wait_ready()
            cluster.wait_owned()
        done.set()
        load.join()
        net.send(100, port=10)
        with cluster["a"].api() as api:
            wait_until(lambda: len(api.query(
                "{{--bpf udp dst port 10}}")) >= 100, 60, "the last packets")
        assert "dropped:0" in net.show().split("all rings:")[-1]
        check_each(net, cluster)
