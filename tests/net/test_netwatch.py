# SPDX-License-Identifier: Apache-2.0
# netwatch on the demo's network: nothing is told of a network that is well,
# every mistake made on purpose is told, and what is stored tells the same.
"""
The mistakes are rules written to the switches by hand.  How long the network
is watched before them is LASTHOP_CLEAN_SECONDS.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "demo"))

# pylint: disable=wrong-import-position
import frames
import network
from api import Api, ApiError
from demo_network import DemoNetwork
from lab import bindir
from process import wait_until

NETWATCH = f"{bindir()}/netwatch"
CLEAN_SECONDS = float(os.environ.get("LASTHOP_CLEAN_SECONDS", "8"))
MISTAKES = 0x7e57       # The cookie of the rules made by hand.

INVARIANTS = """
group clients = 10.0.1.10, s1:s1-bob
group servers = web, files
isolation: isolate alice from bob
loops: no loops
waypoint: waypoint s3 from clients to web
short: path at most 5 hops
holes: no black-holes except "arp or icmp6 or multicast"
punts: no punts except "arp or icmp6 or multicast"
back: path equals s6 s5 s4 s1 from servers to clients
web-answers: reach within 1s from alice to web matching "icmp"
"""


class Net:
    """The demo's network with lasthop, and what is asked of it."""

    def __init__(self, lab):
        self.lab = lab
        lab.start()
        lab.start_lasthop()
        lab.connect()
        self.server = Api(f"{lab.dir}/server.sock")
        self.alice, self.bob = lab.hosts["alice"], lab.hosts["bob"]
        self.web, self.files = lab.hosts["web"], lab.hosts["files"]
        wait_until(self.is_settled, 30, "the links to be found")
        with open(f"{lab.dir}/hosts", "w", encoding="ascii") as hosts:
            for host in lab.hosts.values():
                hosts.write(f"{host.ip} {host.name}\n"
                            f"{host.ip6} {host.name}\n")
        with open(f"{lab.dir}/net.watch", "w", encoding="ascii") as watch:
            watch.write(INVARIANTS)

    def is_settled(self):
        try:
            topology = self.server.call("topology")["topology"]
        except ApiError:
            return False
        edges = sum(bool(port.get("edge")) and port["no"] < 0xff00
                    for switch in topology["switches"]
                    for port in switch["ports"])
        return (len(topology["links"]) == len(network.LINKS)
                and edges == len(network.HOSTS))

    def port(self, a, b):
        return self.lab.bridges[a].port_to(b)

    def rule(self, bridge, match, actions):
        """Writes a rule by hand and waits until it sends postcards."""
        before = len(self.mistakes(bridge))
        self.lab.ofctl("add-flow", bridge, f"cookie={MISTAKES:#x},"
                       f"priority=1000,{match},actions={actions}")
        wait_until(lambda: len(self.mistakes(bridge)) == before + 1, 10,
                   f"postcards of the rule at {bridge}")

    def mistakes(self, bridge):
        """The rules at 'bridge' made by hand, as far as they send
        postcards."""
        rules = self.server.call("table", dpid=self.lab.bridges[bridge].dpid,
                                 at="now")["rules"]
        return [rule for rule in rules if rule["instrumented"]
                and int(rule["cookie"], 16) == MISTAKES]

    def udp(self, host, to, dport, ttl=64):
        host.send(frames.udp4(host.mac, network.GATEWAY_MAC, host.ip, to.ip,
                              4321, dport, ttl=ttl))

    def watch(self, *options):
        return [NETWATCH, "--json", "--hosts", f"{self.lab.dir}/hosts",
                *options, f"{self.lab.dir}/net.watch"]


@pytest.fixture(name="net")
def fixture_net(request):
    """The network with lasthop and nothing wrong but the demo's mistake, for
    which no packets are sent."""
    with DemoNetwork() as lab:
        yield Net(lab)
        lab.close(keep=getattr(request.node, "has_failed", False))


def events(text):
    """What netwatch has told."""
    return [json.loads(line) for line in text.splitlines()
            if line.startswith("{")]


def use_well(net, seconds):
    """What the network is there for."""
    end = time.monotonic() + seconds
    while True:
        assert net.alice.ping(net.web.ip)
        assert net.bob.ping(net.files.ip6)
        assert net.lab.request("alice", "tcp", *network.NAT_PUBLIC, "get")
        assert net.lab.request("bob", "udp", net.files.ip, 6900, "read")
        assert net.lab.request("bob", "tcp", net.files.ip6, 2049, "open")
        if time.monotonic() > end:
            return


def isolation(net):
    """Both are routed by s1 already."""
    net.udp(net.alice, net.bob, 7000)


def loop(net):
    """s1 and s2 send it to each other."""
    net.rule("s1", f"udp,tp_dst=7777,in_port={net.port('s1', 's2')}",
             "dec_ttl,in_port")
    net.rule("s2", "udp,tp_dst=7777", "dec_ttl,in_port")
    net.udp(net.alice, net.web, 7777, ttl=5)


def waypoint(net):
    """Past the upper way."""
    net.rule("s1", "udp,tp_dst=7001", f"dec_ttl,{net.port('s1', 's4')}")
    net.rule("s4", "udp,tp_dst=7001", f"dec_ttl,{net.port('s4', 's5')}")
    net.udp(net.alice, net.web, 7001)


def too_long(net):
    """From s5 to s4 and back, then on."""
    net.rule("s5", f"udp,tp_dst=7002,in_port={net.port('s5', 's3')}",
             f"dec_ttl,{net.port('s5', 's4')}")
    net.rule("s4", "udp,tp_dst=7002", "dec_ttl,in_port")
    net.udp(net.alice, net.web, 7002)


def other_path(net):
    """Back by the upper way."""
    for here, there in (("s5", "s3"), ("s3", "s2"), ("s2", "s1")):
        net.rule(here, "udp,tp_dst=7003",
                 f"dec_ttl,{net.port(here, there)}")
    net.udp(net.web, net.alice, 7003)


def black_hole(net):
    net.rule("s3", "udp,tp_dst=7004", "drop")
    net.udp(net.alice, net.web, 7004)


def punt(net):
    net.rule("s2", "udp,tp_dst=7005", "controller")
    net.udp(net.alice, net.web, 7005)


# What is done, and which invariants that breaks, and no others.
MISTAKEN = [(isolation, {"isolation"}), (loop, {"loops"}),
            (waypoint, {"waypoint"}), (too_long, {"short"}),
            (other_path, {"back"}), (black_hole, {"holes"}),
            (punt, {"punts"})]


def lose_reach(net, told):
    """web is not to be reached until a rule is taken away."""
    net.rule("s3", f"icmp,nw_dst={net.web.ip}", "drop")

    def is_told():
        net.alice.ping(net.web.ip, wait=0.1)
        return "web-answers" in names(told(), "violated")
    wait_until(is_told, 20, "word that web is not reached")
    net.lab.ofctl("del-flows", "s3", f"cookie={MISTAKES:#x}/-1,icmp")

    def is_told_again():
        net.alice.ping(net.web.ip, wait=0.1)
        return "web-answers" in names(told(), "recovered")
    wait_until(is_told_again, 20, "word that web is reached again")


def names(told, event):
    return {one["name"] for one in told if one["event"] == event}


def alarms(told):
    """What has to be the same live and stored."""
    return sorted((one["event"], one["name"], one["time_ns"],
                   one["since_ns"], one["packets"])
                  for one in told if one["event"] in ("violated",
                                                      "recovered"))


def run_past(net, *options):
    done = subprocess.run(net.watch(*options), capture_output=True, text=True,
                          timeout=60, check=False,
                          env={**os.environ, **net.lab.env})
    assert not done.stderr, done.stderr
    return done.returncode, events(done.stdout)


def test_netwatch_tells_every_mistake_and_nothing_else(net):
    use_well(net, 0)        # Neighbours are found.
    begin = time.time_ns()
    live = net.lab.spawn("netwatch", net.watch("--clear", "2s"),
                         netns=net.lab.col)
    n_filters = sum(2 if word in line else 1 for line in
                    INVARIANTS.splitlines() if ": " in line
                    for word in ["isolate" if "isolate" in line else "reach"])
    wait_until(lambda: len(net.server.call("trigger.list")["triggers"])
               == n_filters, 10, "netwatch's live filters")

    def told():
        return events(live.output())

    # Nothing, though all is used.
    use_well(net, CLEAN_SECONDS)
    assert told() == [], live.output()
    clean_end = time.time_ns()

    broken = set()
    for mistake, breaks in MISTAKEN:
        mistake(net)
        wait_until(lambda: broken | breaks <= names(told(), "violated"), 15,
                   f"word of {mistake.__name__}")
        broken |= breaks
        assert names(told(), "violated") == broken, mistake.__name__
    lose_reach(net, told)
    broken.add("web-answers")
    wait_until(lambda: broken == names(told(), "recovered"), 20,
               "word that all is well again")
    end = time.time_ns()
    assert names(told(), "violated") == broken
    live.signal(signal.SIGINT)
    assert live.wait() == 1, live.output()
    by_name = {one["name"]: one for one in told() if "history" in one}
    ways = {name: [hop["switch"] for hop in one["history"]["hops"]]
            for name, one in by_name.items()}
    assert ways["isolation"] == ["s1"]
    assert ways["waypoint"] == ["s1", "s4", "s5", "s6"]
    assert ways["short"] == ["s1", "s2", "s3", "s5", "s4", "s5", "s6"]
    assert ways["back"] == ["s6", "s5", "s3", "s2", "s1"]
    assert ways["holes"] == ways["web-answers"] == ["s1", "s2", "s3"]
    assert ways["punts"] == ["s1", "s2"]
    assert ways["loops"][:4] == ["s1", "s2", "s1", "s2"]

    # The same of the server's archive, and of that without the server.
    of_server = run_past(net, "--clear", "2s", "--since", str(begin),
                         "--until", str(end))
    assert of_server[0] == 1
    assert alarms(of_server[1]) == alarms(told())
    status, before = run_past(net, "--since", str(begin), "--until",
                              str(clean_end))
    assert status == 0 and not alarms(before), before
    net.lab.process("server").stop()
    assert run_past(net, "--clear", "2s", "--since", str(begin), "--until",
                    str(end), "-r", f"{net.lab.dir}/archive") == of_server
