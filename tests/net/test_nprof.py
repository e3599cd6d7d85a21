# SPDX-License-Identifier: Apache-2.0
# nprof on real networks: what it counts on links is what the switches' own
# port counters and a capture behind a port say.

import json
import os
import re
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
from process import run, wait_until
from stack import Stack

NPROF = f"{bindir()}/nprof"
LLDP = b"\x88\xcc"


def make_network(lab):
    """h1, h2 - s1 - s2 - h3; what comes in goes to h3."""
    for name in ("s1", "s2"):
        lab.add_bridge(name)
    lab.add_link("s1", "s2")
    hosts = [lab.add_host(name, bridge, address) for name, bridge, address in (
        ("h1", "s1", "10.0.0.1/24"), ("h2", "s1", "10.0.0.2/24"),
        ("h3", "s2", "10.0.0.3/24"))]
    lab.add_collector()
    lab.start()
    stack = Stack(lab)
    stack.start()
    for dpid, a, b in ((1, "s1", "s2"), (2, "s2", "h3")):
        out = lab.bridges[a].port_to(b)
        stack.flow(dpid, cookie=dpid, priority=10,
                   match={"eth_type": 0x0800},
                   actions=[{"type": "OUTPUT", "port": out}])
    return stack, hosts


def sent(lab, bridge, port):
    """(packets, bytes) that a port has sent, by the switch's counters."""
    text = lab.ofctl("dump-ports", bridge, str(port))
    found = re.search(r"tx pkts=(\d+), bytes=(\d+)", text)
    return int(found[1]), int(found[2])


def test_nprof_agrees_with_port_counters(lab):
    stack, (h1, h2, h3) = make_network(lab)
    to_s2 = lab.bridges["s1"].port_to("s2")
    to_h3 = lab.bridges["s2"].port_to("h3")
    env = {**os.environ, **lab.env}

    def nprof(*argv):
        return json.loads(run([NPROF, "--json", *argv], env=env,
                              check=False))

    def burst(host, sport, count, length):
        data = bytes(length - 42)
        host.send(*[frames.udp4(host.mac, h3.mac, host.ip, h3.ip, sport, 9,
                                data, ident=i) for i in range(count)])

    capture = h3.capture()
    before = {"s1": sent(lab, "s1", to_s2), "s2": sent(lab, "s2", to_h3)}
    burst(h1, 1111, 60, 1000)
    burst(h2, 2222, 20, 300)
    total = 60 * 1000 + 20 * 300
    profile = wait_until(
        lambda: (lambda p: p["packets"] >= 80 and p)(nprof("s1->s2")), 10,
        "80 packets on s1->s2")
    assert (profile["packets"], profile["bytes"]) == (80, total), profile

    # Who fills this link.
    first, second = profile["tree"]
    assert first["by"] == "ingress" and first["bytes"] == 60 * 1000
    assert first["port"] == lab.bridges["s1"].port_to("h1")
    flow = first["nodes"][0]["nodes"][0]["nodes"][0]
    assert (flow["src"], flow["dst"], flow["src_port"], flow["protocol"]) == (
        h1.ip, h3.ip, 1111, "udp"), flow
    assert first["nodes"][0]["name"] == "s1 > s2"
    assert second["packets"] == 20

    # What the host behind s2 gets is what s2's port says it sent, and that
    # is what nprof says but discovery's frames.
    def behind():
        got = [f for f in capture.frames()
               if f[12:14] == LLDP or f[12:14] == b"\x08\x00"]
        now = sent(lab, "s2", to_h3)
        counted = (now[0] - before["s2"][0], now[1] - before["s2"][1])
        return counted == (len(got), sum(map(len, got))) and got
    got = wait_until(behind, 10, "port counters and capture to agree")
    seen = [frame for frame in got if frame[12:14] != LLDP]
    edge = nprof(f"s2:{to_h3}")
    assert (edge["packets"], edge["bytes"]) == (
        len(seen), sum(map(len, seen))) == (80, total)

    # Between the switches nobody captures: LLDP frames, of the size that h3
    # sees, are the difference.
    now = sent(lab, "s1", to_s2)
    more = (now[0] - before["s1"][0] - 80, now[1] - before["s1"][1] - total)
    assert 0 <= more[0] < 40 and more[0] * 40 <= more[1] <= more[0] * 200, more

    # Another range, another answer; and without a server the same.
    since = str(time.time_ns())
    burst(h2, 3333, 30, 500)
    later = wait_until(lambda: (lambda p: p["packets"] >= 30 and p)(nprof(
        "--since", since, "--by", "src", "s1--s2")), 10, "30 packets more")
    assert [(n["name"], n["packets"], n["bytes"]) for n in later["tree"]] == [
        (h2.ip, 30, 15000)]
    live = run([NPROF, "-f", "-c", "1", "--last", "1m", "--by", "link",
                "all"], env=env)
    assert re.search(r"110 packets +s1:\S+ -> s2$", live, re.M), live
    whole = nprof("--by", "src,flow", "s1->s2")
    lab.process("server").stop()
    stored = nprof("-r", f"{lab.dir}/archive", "--by", "src,flow", "s1->s2")
    assert stored["tree"] == whole["tree"]
    assert (stored["packets"], stored["bytes"]) == (110, total + 15000)


@pytest.fixture(name="demo")
def fixture_demo(request):
    """The demo's network with lasthop, all links found."""
    with DemoNetwork() as net:
        net.start()
        net.start_lasthop()
        net.connect()
        server = Api(f"{net.dir}/server.sock")

        def is_settled():
            try:
                topology = server.call("topology")["topology"]
            except ApiError:
                return False
            return len(topology["links"]) == len(network.LINKS)
        wait_until(is_settled, 30, "the links to be found")
        with open(f"{net.dir}/hosts", "w", encoding="ascii") as hosts:
            for host in net.hosts.values():
                hosts.write(f"{host.ip} {host.name}\n")
        yield net
        net.close(keep=getattr(request.node, "has_failed", False))


def all_sent(net):
    """What every port between switches and to hosts has sent, by its switch's
    counters: (packets, bytes) by (switch, port)."""
    sent_by = {}
    for name, bridge in net.bridges.items():
        text = net.ofctl("dump-ports", name)
        ports = {bridge.port_to(b) for a, b in network.LINKS if a == name}
        ports |= {bridge.port_to(a) for a, b in network.LINKS if b == name}
        ports |= {bridge.port_to(host.name) for host in network.HOSTS
                  if host.switch == name}
        for number, packets, n_bytes in re.findall(
                r"port +\"?([^\s:\"]+)\"?:.*?tx pkts=(\d+), bytes=(\d+)",
                text, re.DOTALL):
            if number.isdigit() and int(number) in ports:
                sent_by[(name, int(number))] = (int(packets), int(n_bytes))
        assert len([key for key in sent_by if key[0] == name]) == len(ports)
    return sent_by


def test_who_fills_a_link_of_the_demo_network(demo):
    """Every port of the network has sent what nprof says, but frames of
    discovery, which are all of one size at a port."""
    env = {**os.environ, **demo.env}
    alice, bob = demo.hosts["alice"], demo.hosts["bob"]
    web, files = demo.hosts["web"], demo.hosts["files"]

    def nprof(*argv):
        return json.loads(run([NPROF, "--json", "--hosts",
                               f"{demo.dir}/hosts", *argv], env=env,
                              check=False))

    def burst(host, to, dport, count, length):
        host.send(*[frames.udp4(host.mac, network.GATEWAY_MAC, host.ip, to.ip,
                                5000, dport, bytes(length - 42), ident=i)
                    for i in range(count)])

    since = str(time.time_ns())
    before = all_sent(demo)
    burst(alice, web, 9, 90, 1200)
    burst(bob, web, 9, 40, 600)
    burst(bob, files, 9, 70, 400)
    burst(web, alice, 9, 25, 900)
    for _ in range(3):
        assert demo.request("alice", "tcp", *network.NAT_PUBLIC, "get")
        assert demo.request("bob", "tcp", files.ip6, 2049, "open")
        assert alice.ping(web.ip)

    def agrees():
        """Whether each port's counter is nprof's and frames of one size."""
        now = all_sent(demo)
        counted = {}
        for node in nprof("--since", since, "--by", "link", "--top", "1000",
                          "all")["tree"]:
            if node.get("direction") == "out":
                counted[(int(node["dpid"], 16), node["port"])] = node
        for (switch, port), (packets, n_bytes) in now.items():
            node = counted.get((demo.bridges[switch].dpid, port),
                               {"packets": 0, "bytes": 0})
            more = packets - before[(switch, port)][0] - node["packets"]
            more_bytes = n_bytes - before[(switch, port)][1] - node["bytes"]
            if not (0 <= more < 40 and more * 40 <= more_bytes <= more * 200
                    and (not more or more_bytes % more == 0)):
                return False
        return counted
    counted = wait_until(agrees, 20, "nprof and the ports' counters to agree")
    ways = {key: node for key, node in counted.items() if node["packets"] > 20}
    assert len(ways) >= 12, counted.keys()

    # Who fills the link to the servers: first alice by the upper way.
    link = nprof("--since", since, "--by", "ingress,path,hosts", "s5->s6")
    first, second = link["tree"][:2]
    assert first["port"] == demo.bridges["s1"].port_to("alice")
    assert second["port"] == demo.bridges["s1"].port_to("bob")
    assert first["nodes"][0]["name"] == "s1 > s2 > s3 > s5 > s6"
    assert first["nodes"][0]["nodes"][0]["name"] == "alice > web", first
    assert first["nodes"][0]["nodes"][0]["bytes"] >= 90 * 1200
    assert {node["name"] for node in second["nodes"]} == {
        "s1 > s2 > s3 > s5 > s6", "s1 > s4 > s5 > s6"}
    # And the lower way: bob to files; back: web to alice.
    lower = nprof("--since", since, "--by", "src,dst", "s1->s4")
    assert (lower["tree"][0]["name"], lower["tree"][0]["nodes"][0]["name"]) \
        == ("bob", "files")
    back = nprof("--since", since, "--by", "hosts", "s4->s1")
    assert back["tree"][0]["name"] == "web > alice", back["tree"]
