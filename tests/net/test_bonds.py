# SPDX-License-Identifier: Apache-2.0
# Bonds between two bridges, and select groups over two links: the histories
# name the link that each packet took, and the traffic is what it was.

import re

import pytest

import frames
from lab import PYTHON, TRAFFIC, Capture, Lab
from process import wait_until
from stack import Stack

NORMAL = 65530
N_FLOWS = 16


class Pair:
    """h1 -- s1 == s2 -- h2, with two links between s1 and s2."""

    def __init__(self, lab):
        self.lab = lab
        for name in ("s1", "s2"):
            lab.add_bridge(name)
        self.links = dict(lab.add_link("s1", "s2") for _ in range(2))
        self.h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.add_collector()
        lab.start()
        self.to_h1 = lab.bridges["s1"].port_to("h1")
        self.to_h2 = lab.bridges["s2"].port_to("h2")
        self.stack = Stack(lab)
        self.stack.start()
        # What comes in at s2, by its port.
        self.wires = {}
        for port in self.links.values():
            name = lab.bridges["s2"].ports[port]
            self.wires[port] = Capture(lab.spawn(
                f"wire-{port}", [PYTHON, TRAFFIC, "capture", name],
                netns=lab.sw).wait_for("ready"))
        self.at_h2 = self.h2.capture()

    def bond(self, **options):
        """Makes the two links a bond on either side, or changes it."""
        for a, b in (("s1", "s2"), ("s2", "s1")):
            ports = self.lab.bridges[a].ports
            members = [f"{a}-{b}", f"{a}-{b}.2"]
            command = []
            if f"{a}-bond" not in self.lab.vsctl("list-ports", a).split():
                for member in members:
                    command += ["--", "del-port", a, member]
                command += ["--", "add-bond", a, f"{a}-bond", *members]
                for number, name in ports.items():
                    if name in members:
                        command += ["--", "set", "interface", name,
                                    f"ofport_request={number}"]
            command += ["--", "set", "port", f"{a}-bond",
                        *(f"{key}={value}" for key, value in options.items())]
            self.lab.vsctl(*command[1:])

    def send(self, dport):
        """Sends N_FLOWS datagrams that differ in all that a bond or a group
        may choose by; of each the port of s2 that it came by, and its
        history."""
        sent = [frames.udp4(f"02:00:00:01:00:{i:02x}", self.h2.mac,
                            f"10.0.1.{i}", self.h2.ip, 4000 + i, dport,
                            ident=dport + i)
                for i in range(N_FLOWS)]
        self.h1.send(*sent)
        wait_until(lambda: set(sent) <= set(self.at_h2.frames()),
                   what="the datagrams at h2")
        assert sorted(f for f in self.at_h2.frames() if f in sent) == sorted(
            sent)
        came = {f: port for port, wire in self.wires.items()
                for f in wire.frames() if f in sent}
        histories = self.stack.histories(
            f"{{{{--bpf udp dst port {dport}}}}}", N_FLOWS)
        by_header = {h["hops"][0]["header"][:84]: h for h in histories}
        return [(came[f], by_header[f.hex()[:84]]) for f in sent]


@pytest.fixture(scope="module")
def pair():
    with Lab() as lab:
        failed = True
        try:
            yield Pair(lab)
            failed = False
        finally:
            lab.close(keep=failed)


def out(port):
    return {"type": "OUTPUT", "port": port}


def udp(dport):
    return {"eth_type": 0x0800, "ip_proto": 17, "udp_dst": dport}


def test_a_select_group_s_history_names_the_bucket_chosen(pair):
    stack, dport = pair.stack, 2001
    buckets = [{"weight": 1, "watch_port": port, "actions": [out(port)]}
               for port in pair.links]
    assert stack.controller.call("group", dpid=1, group={
        "type": "SELECT", "group_id": 1, "buckets": buckets})["errors"] == []
    stack.flow(1, cookie=0x11, priority=10, match={"in_port": pair.to_h1},
               actions=[{"type": "GROUP", "group_id": 1}])
    for port in pair.links.values():
        stack.flow(2, cookie=0x21, priority=10, match={"in_port": port},
                   actions=[out(pair.to_h2)])
    told = pair.send(dport)
    assert {port for port, _ in told} == set(pair.wires)
    for port, history in told:
        first, second = stack.hops(history)
        assert first[:4] == (0, "s1", pair.to_h1, [
            a for a, b in pair.links.items() if b == port])
        assert sorted(map(str, first[4])) == ["17", "group"]
        assert second == (1, "s2", port, [pair.to_h2], [0x21])
        assert history["verdict"]["name"] == "delivered"


@pytest.mark.parametrize("mode,dport", [
    ("balance-slb", 2101), ("balance-tcp", 2201)])
def test_a_bond_s_history_names_the_link_taken(pair, mode, dport):
    stack, lab = pair.stack, pair.lab
    lacp = "active" if mode == "balance-tcp" else "off"
    pair.bond(bond_mode=mode, lacp=lacp,
              **{"other_config:lacp-time": "fast"})

    def is_up(name):
        shown = lab.appctl("bond/show", name)
        negotiated = lacp == "off" or "lacp_status: negotiated" in shown
        return negotiated and len(re.findall(r": enabled\b", shown)) == 2
    for name in ("s1-bond", "s2-bond"):
        wait_until(lambda name=name: is_up(name), 20, f"{name} to be up")
    wait_until(lambda: stack.has_been_settled(1), 20,
               "the links to be found again")
    lab.appctl("fdb/add", "s1", "s1-s2", "0", pair.h2.mac)
    lab.appctl("fdb/add", "s2", "s2-h2", "0", pair.h2.mac)
    for dpid in (1, 2):
        stack.flow(dpid, cookie=0x31, priority=20, match={"eth_type": 0x800},
                   actions=[out(NORMAL | 0xffff0000)])
    told = pair.send(dport)
    assert {port for port, _ in told} == set(pair.wires)
    for port, history in told:
        first, second = stack.hops(history)
        assert first == (0, "s1", pair.to_h1, [NORMAL], [0x31])
        assert second == (1, "s2", port, [NORMAL], [0x31])
        assert history["hops"][0]["branches"] == [
            a for a, b in pair.links.items() if b == port]
        assert history["verdict"]["name"] == "delivered"
