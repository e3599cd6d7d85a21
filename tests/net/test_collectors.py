# SPDX-License-Identifier: Apache-2.0
# Switches are spread over the servers of a cluster, and sent elsewhere when
# their server dies: real Open vSwitch, nats-server, lasthop-servers.

import os

import frames
from api import Api, ApiError
from cluster import Nats
from lab import COLLECTOR_MAC, UNDER_COLLECTOR, bindir
from process import run, wait_until
from recorder import Recorder, start_controller

MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")


class Servers:
    """One lasthop-server for each address, in the collector's namespace;
    'linked' has the recorder."""

    def __init__(self, lab, addresses, linked):
        self.lab = lab
        self.linked = linked
        self.addresses = dict(zip("abc", addresses))
        self.processes = {}

    def start(self, name):
        """Starts that one, also again."""
        directory = f"{self.lab.dir}/{name}"
        os.makedirs(directory, exist_ok=True)
        recorder = (f"{self.lab.dir}/recorder.sock"
                    if self.addresses[name] == self.linked else "none")
        self.processes[name] = self.lab.spawn(name, [
            f"{bindir()}/lasthop-server", "--cluster",
            "nats://127.0.0.1:4222", "--cluster-shards", "8", "--name", name,
            "--listen", f"geneve:{self.addresses[name]}", "--archive",
            f"{directory}/archive", "--rundir", directory, "--recorder",
            recorder], netns=self.lab.col)

    def name_of(self, address):
        """That of the server there."""
        return next(n for n, a in self.addresses.items() if a == address)

    def api(self, name):
        """A new client of it."""
        return Api(f"{self.lab.dir}/{name}/server.sock")

    def is_settled(self, n_shards=8):
        """Whether those that live have all shards and know the links."""
        n = 0
        for name, process in self.processes.items():
            if not process.is_running():
                continue
            try:
                with self.api(name) as api:
                    status = api.call("cluster.status")["cluster"]
                    topology = api.call("topology")["topology"]
            except (ApiError, OSError):
                return False
            n += len(status["shards"]) if len(topology["links"]) == 2 else 0
        return n == n_shards

    def n_whole(self, name, mark):
        """How many packets to port 'mark' have a whole history."""
        with self.api(name) as api:
            return sum(h["verdict"]["name"] == "delivered" and
                       len(h["hops"]) == 3 for h in
                       api.query(f"{{{{--bpf udp dst port {mark}}}}}"))


def network(lab):
    """h1 - s1 - s2 - s3 - h2, and three addresses of collectors."""
    for name in ("s1", "s2", "s3"):
        lab.add_bridge(name)
    lab.add_link("s1", "s2")
    lab.add_link("s2", "s3")
    h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
    lab.add_host("h2", "s3", "10.0.0.2/24")
    lab.add_collector()
    lab.start()
    addresses = [UNDER_COLLECTOR]
    for last in (3, 4):
        address = f"172.31.255.{last}"
        run(["ip", "addr", "add", f"{address}/24", "dev", "under0"],
            netns=lab.col)
        lab.appctl("tnl/arp/set", "br-under", address, COLLECTOR_MAC)
        addresses.append(address)
    return h1, [f"{address}:6081" for address in addresses]


def collectors(recorder):
    """Where each switch sends, and what is known of collectors."""
    with recorder.api() as api:
        status = api.call("status")["status"]
    return ([s["collector"] for s in sorted(status["switches"],
                                            key=lambda s: s["dpid"])],
            {c["address"]: c["alive"] for c in status["collectors"]})


def flows(lab):
    """All rules of all switches, ours too."""
    return [sorted(lab.ofctl("dump-flows", name, "--no-stats").splitlines())
            for name in lab.bridges]


def send_and_find(host, servers, asked, port):
    """Packets to UDP port 'port', of which each has a whole history."""
    host.send(*(frames.udp4(*MACS, "10.0.0.1", "10.0.0.2", 4000 + i, port,
                            b"x" * 40, ident=port + i) for i in range(20)))
    wait_until(lambda: servers.n_whole(asked, port) == 20, 30,
               "all histories")


def test_a_switch_has_another_server_when_its_own_dies(lab):
    h1, addresses = network(lab)
    controller = start_controller(lab)
    recorder = Recorder(lab, "geneve:" + ",or=".join(addresses)).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    for dpid, in_port, out in ((1, 2, 1), (2, 1, 2), (3, 1, 2)):
        controller.call("flow", dpid=dpid, flow={
            "priority": 1, "match": {"in_port": in_port},
            "actions": [{"type": "OUTPUT", "port": out}]})
    spread, alive = collectors(recorder)
    assert set(alive.values()) == {None}
    victim = spread[0]
    servers = Servers(lab, addresses,
                      next(a for a in addresses if a != victim))
    asked = servers.name_of(servers.linked)
    nats = Nats(f"{lab.dir}/nats", netns=lab.col)
    nats.start()
    try:
        for name in servers.addresses:
            servers.start(name)
        wait_until(servers.is_settled, 30, "the cluster")
        wait_until(lambda: set(collectors(recorder)[1].values()) == {True},
                   20, "the recorder to hear of the servers")
        assert collectors(recorder)[0] == spread
        before = flows(lab)
        send_and_find(h1, servers, asked, 7001)

        servers.processes[servers.name_of(victim)].kill()
        wait_until(lambda: victim not in collectors(recorder)[0], 20,
                   "its switches to be sent elsewhere")
        assert [now for now, was in zip(collectors(recorder)[0], spread)
                if was != victim] == [a for a in spread if a != victim]
        wait_until(servers.is_settled, 30, "the others to have its shards")
        send_and_find(h1, servers, asked, 7002)
        assert flows(lab) == before
        if os.environ.get("LASTHOP_SOAK"):
            servers.start(servers.name_of(victim))
            wait_until(lambda: collectors(recorder)[0] == spread, 40,
                       "its switches to come back")
            wait_until(servers.is_settled, 30, "the cluster")
            send_and_find(h1, servers, asked, 7003)
            assert flows(lab) == before
            # Who tells the recorder dies, too.
            servers.processes[asked].kill()
            wait_until(lambda: servers.linked not in collectors(recorder)[0],
                       40, "its switches to be sent elsewhere")
    finally:
        for process in servers.processes.values():
            process.kill()
        nats.kill()
