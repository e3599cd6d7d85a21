# SPDX-License-Identifier: Apache-2.0
# What a patched switch knows of a visit stands in its history: real ports in
# place of NORMAL, FLOOD, groups and bonds, all rules in order, why it was
# dropped.

import json
import re

import pytest

import frames
from api import Api
from lab import Lab, bindir
from process import run, wait_until

LOCAL = 65534
CONTROLLER = 65533

# By UDP port; versions are numbers of ours, for no recorder is here.
S1 = """
table=0,priority=10,udp,tp_dst=2001,actions=postcard(version=1),NORMAL
table=0,priority=10,udp,tp_dst=2002,actions=postcard(version=2),FLOOD
table=0,priority=10,udp,tp_dst=2003,actions=postcard(version=3),group:1
table=0,priority=10,udp,tp_dst=2004,actions=postcard(version=4),group:2
table=0,priority=10,udp,tp_dst=2005,actions=postcard(version=5),ct(commit,zone=1,nat(src=10.9.9.9),table=1)
table=0,priority=10,udp,tp_dst=2006,actions=postcard(version=7),set_field:02:00:00:00:00:77->eth_src,resubmit(,2)
table=0,priority=10,udp,tp_dst=2007,actions=meter:1,postcard(version=9),output:1
table=0,priority=10,udp,tp_dst=2009,actions=postcard(version=11)
table=0,priority=10,udp,tp_dst=2010,actions=postcard(version=13),output:controller
table=1,actions=postcard(version=6),output:1
table=2,actions=postcard(version=8),output:1
"""
S2 = """
priority=20,udp,tp_dst=2006,actions=postcard(version=21),output:10
priority=10,in_port=1,actions=postcard(version=22),output:3
priority=10,in_port=2,actions=postcard(version=23),output:3
"""


class Served:
    """A lab with an agent and a server."""

    def __init__(self, lab):
        self.lab = lab
        self.api = self.h1 = self.h2 = None

    def rules(self, bridge, text):
        for rule in text.split("\n"):
            if rule.strip():
                self.lab.ofctl("add-flow", bridge, rule.strip())

    def serve(self, switches, links):
        """Starts them.  'switches' are (name, {port: is_edge}), 'links' (name,
        port, name, port)."""
        lab = self.lab
        dpid = {name: f"{lab.bridges[name].dpid:016x}"
                for name, _ports in switches}
        with open(f"{lab.dir}/topology.json", "w", encoding="ascii") as file:
            json.dump({"switches": [
                {"dpid": dpid[name], "name": name, "ports": [
                    {"no": no, "name": f"{name}-{no}", "edge": edge}
                    for no, edge in ports.items()]}
                for name, ports in switches],
                "links": [{"a": {"dpid": dpid[a], "port": a_port},
                           "b": {"dpid": dpid[b], "port": b_port}}
                          for a, a_port, b, b_port in links]}, file)
        lab.spawn("server", [
            f"{bindir()}/lasthop-server", "--agents", "127.0.0.1:6082",
            "--accept", "127.0.0.1", "--recorder", "none", "--topology",
            f"{lab.dir}/topology.json", "--archive", f"{lab.dir}/archive"],
            netns=lab.sw)
        self.api = Api(f"{lab.dir}/server.sock")
        # What the switch sees before an agent has found its ring is not told.
        wait_until(lambda: self.is_shown(": 8388608 bytes"), 20, "the ring")
        lab.spawn("agent", [
            f"{bindir()}/lasthop-agent", "--server", "127.0.0.1:6082",
            "--pidfile", f"{lab.dir}/ovs-vswitchd.pid", "--name", "lab"],
            netns=lab.sw)
        wait_until(lambda: self.api.call("stats")["stats"]["agents"] == 1,
                   20, "the agent")
        wait_until(lambda: self.is_shown("reader: epoch"), 20,
                   "the agent to read the ring")

    def is_shown(self, text):
        """Whether the switch says so of its rings; else it gets a packet of no
        test."""
        if text in self.lab.appctl("lasthop/show"):
            return True
        self.h1.send(frames.ethernet(self.h1.mac, self.h2.mac, 0x88b5,
                                     b"ring".ljust(50)))
        return False

    def frame(self, dport, ident, data=b"lasthop"):
        return frames.udp4(self.h1.mac, self.h2.mac, self.h1.ip, self.h2.ip,
                           4321, dport, data, ident=ident)

    def histories(self, dport, n):
        found = []

        def enough():
            found[:] = self.api.query(f"{{{{--bpf udp dst port {dport}}}}}")
            return len(found) >= n
        wait_until(enough, 15, f"{n} histories of port {dport}")
        assert len(found) == n, found
        return found

    @staticmethod
    def hops(history):
        """In short."""
        return [(hop["switch"], hop["in_port"], hop["out_ports"],
                 hop["versions"]) for hop in history["hops"]]


class Net(Served):
    """h1 -- s1 == s2 -- h2,   s2 -patch- s3 -- h3"""

    def __init__(self, lab):
        super().__init__(lab)
        for name in ("s1", "s2", "s3"):
            lab.add_bridge(name)
        lab.add_link("s1", "s2")
        lab.add_link("s1", "s2")
        self.h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.add_host("h3", "s3", "10.0.0.3/24")
        lab.start()
        lab.vsctl("add-port", "s2", "p23", "--", "set", "interface", "p23",
                  "type=patch", "options:peer=p32", "ofport_request=10", "--",
                  "add-port", "s3", "p32", "--", "set", "interface", "p32",
                  "type=patch", "options:peer=p23", "ofport_request=10")
        self.groups()
        self.rules("s1", S1)
        self.rules("s2", S2)
        self.rules(
            "s3", "priority=10,in_port=10,actions=postcard(version=31),output:1")
        self.serve([("s1", {1: False, 2: False, 3: True}),
                    ("s2", {1: False, 2: False, 3: True, 10: False}),
                    ("s3", {1: True, 10: False})],
                   [("s1", 1, "s2", 1), ("s1", 2, "s2", 2),
                    ("s2", 10, "s3", 10)])

    def groups(self):
        ofctl = self.lab.ofctl
        ofctl("add-group", "s1", "group_id=1,type=select,"
              "bucket=output:1,bucket=output:2")
        ofctl("add-group", "s1", "group_id=2,type=ff,"
              "bucket=watch_port:1,output:1,bucket=watch_port:2,output:2")
        ofctl("add-meter", "s1", "meter=1,pktps,burst,"
              "band=type=drop,rate=1,burst_size=1")

    def one(self, dport):
        """Sends one packet there; its history, and that in short."""
        before = len(self.api.query(f"{{{{--bpf udp dst port {dport}}}}}"))
        self.h1.send(self.frame(dport, 100 + before))
        history = self.histories(dport, before + 1)[-1]
        return history, self.hops(history)


@pytest.fixture(scope="module")
def net():
    with Lab(patched=True) as lab:
        yield Net(lab)


def test_normal_and_flood_tell_their_ports(net):
    for dport, version in ((2001, 1), (2002, 2)):
        history, hops = net.one(dport)
        assert hops[0] == ("s1", 3, [1, 2, LOCAL], [version])
        assert sorted(hops[1:]) == [("s2", 1, [3], [22]),
                                    ("s2", 2, [3], [23])]
        assert history["verdict"]["name"] == "delivered"


def test_a_select_group_tells_the_port_it_chose(net):
    _history, [first, second] = net.one(2003)
    [out] = first[2]
    assert first == ("s1", 3, [out], [3]) and out in (1, 2)
    assert second == ("s2", out, [3], [21 + out])


def test_a_failover_group_tells_the_live_port(net):
    _history, hops = net.one(2004)
    assert hops == [("s1", 3, [1], [4]), ("s2", 1, [3], [22])]
    net.lab.ofctl("mod-port", "s1", "1", "down")
    try:
        _history, hops = net.one(2004)
        assert hops == [("s1", 3, [2], [4]), ("s2", 2, [3], [23])]
    finally:
        net.lab.ofctl("mod-port", "s1", "1", "up")


def test_connection_tracking_is_one_hop(net):
    history, hops = net.one(2005)
    assert hops == [("s1", 3, [1], [5, 6]), ("s2", 1, [3], [22])]
    headers = [bytes.fromhex(hop["header"]) for hop in history["hops"]]
    assert headers[0][26:30] == bytes([10, 0, 0, 1])
    assert headers[1][26:30] == bytes([10, 9, 9, 9])


def test_all_rules_are_told_over_tables_and_patch_ports(net):
    history, hops = net.one(2006)
    assert hops == [("s1", 3, [1], [7, 8]), ("s2", 1, [10], [21]),
                    ("s3", 10, [1], [31])]
    assert history["verdict"]["name"] == "delivered"
    assert history["verdict"]["dpid"] == f"{3:016x}"
    assert history["hops"][1]["header"][12:24] == "020000000077"


def test_what_a_meter_drops_is_told(net):
    net.h1.send(*[net.frame(2007, 500 + i) for i in range(20)])
    verdicts = [h["verdict"] for h in net.histories(2007, 20)]
    dropped = [v for v in verdicts if v["name"] == "dropped"]
    assert dropped and len(dropped) < 20
    assert {v["reason"] for v in dropped} == {"meter"}
    assert {v["version"] for v in dropped} == {9}
    assert {v["name"] for v in verdicts} == {"dropped", "delivered"}


def test_drops_say_why(net):
    history, hops = net.one(2008)
    assert hops == [("s1", 3, [], [])]
    assert history["verdict"]["name"] == "dropped"
    assert "miss" in history["verdict"]["reason"]
    history, hops = net.one(2009)
    assert hops == [("s1", 3, [], [11])]
    assert history["verdict"]["name"] == "dropped"
    assert history["verdict"]["version"] == 11


def test_packet_in_and_packet_out(net):
    history, hops = net.one(2010)
    assert hops == [("s1", 3, [CONTROLLER], [13])]
    assert history["verdict"]["name"] == "controller"
    net.lab.ofctl(
        "packet-out", "s1", "in_port=controller,"
        f"packet={net.frame(2011, 7).hex()},"
        "actions=postcard(version=12),output:1")
    [history] = net.histories(2011, 1)
    hops = history["hops"]
    assert [(hop["switch"], hop["out_ports"], hop["versions"])
            for hop in hops] == [("s1", [1], [12]), ("s2", [3], [22])]
    assert history["verdict"]["name"] == "delivered"


def test_nothing_was_lost(net):
    shown = run([f"{bindir()}/lasthopctl", "status"], env=net.lab.env,
                check=False)
    assert "  agent lab: " in shown, shown
    stats = net.api.call("stats")["stats"]
    assert stats["agent_lost_ring"] == stats["agent_bad_batches"] == 0
    assert stats["lost"] == stats["open"] == 0, stats
    assert stats["agent_postcards"] == stats["received"]


class Bonded(Served):
    """h1 -- s1 == s2 -- h2, where the two links are a bond."""

    def __init__(self, lab):
        super().__init__(lab)
        for name in ("s1", "s2"):
            lab.add_bridge(name)
        for _ in range(2):
            lab.add_link("s1", "s2")
        self.h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.start()
        for a, b in (("s1", "s2"), ("s2", "s1")):
            members = [f"{a}-{b}", f"{a}-{b}.2"]
            lab.vsctl("del-port", a, members[0], "--", "del-port", a,
                      members[1], "--", "add-bond", a, f"{a}-bond", *members,
                      "bond_mode=balance-tcp", "lacp=active",
                      "other_config:lacp-time=fast",
                      *(word for i, member in enumerate(members) for word in
                        ("--", "set", "interface", member,
                         f"ofport_request={i + 1}")))
        for name in ("s1", "s2"):
            wait_until(lambda name=name: self.is_up(f"{name}-bond"), 20,
                       f"the bond of {name}")
        lab.appctl("fdb/add", "s1", "s1-s2", "0", self.h2.mac)
        lab.appctl("fdb/add", "s2", "s2-h2", "0", self.h2.mac)
        self.rules("s1", "ip,actions=postcard(version=1),NORMAL")
        self.rules("s2", "ip,actions=postcard(version=2),NORMAL")
        self.serve([(name, {1: False, 2: False, 3: True})
                    for name in ("s1", "s2")],
                   [("s1", 1, "s2", 1), ("s1", 2, "s2", 2)])

    def is_up(self, bond):
        shown = self.lab.appctl("bond/show", bond)
        return ("lacp_status: negotiated" in shown and
                len(re.findall(r": enabled\b", shown)) == 2)


def test_a_bond_tells_the_link_taken():
    with Lab(patched=True) as lab:
        net = Bonded(lab)
        n = 16
        net.h1.send(*[frames.udp4(net.h1.mac, net.h2.mac, net.h1.ip,
                                  net.h2.ip, 4000 + i, 2101, ident=i + 1)
                      for i in range(n)])
        histories = net.histories(2101, n)
        taken = {net.hops(h)[0][2][0] for h in histories}
        assert taken == {1, 2}
        for history in histories:
            [first, second] = net.hops(history)
            [out] = first[2]
            assert first == ("s1", 3, [out], [1])
            assert second == ("s2", out, [3], [2])
            assert history["verdict"]["name"] == "delivered"
        # It was sent round once more, to find the link.
        assert "recirc" in lab.appctl("dpctl/dump-flows", "-m")


class Tunnelled(Served):
    """h1 -- s1 (vxlan) s2 -- h2, over u1 -- u2."""

    def __init__(self, lab):
        super().__init__(lab)
        for name in ("s1", "s2", "u1", "u2"):
            lab.add_bridge(name)
        lab.add_link("u1", "u2")
        self.h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.start()
        macs = {}
        for name in lab.bridges:    # To see far enough into the outer packet.
            lab.vsctl("set", "bridge", name, "other_config:lasthop-snap=160")
        for i, name in ((1, "u1"), (2, "u2")):
            run(["ip", "addr", "add", f"10.9.0.{i}/24", "dev", name],
                netns=lab.sw)
            run(["ip", "link", "set", name, "up"], netns=lab.sw)
            # The switch would take the way of the host, which leads into
            # itself.
            run(["ip", "route", "del", "local", f"10.9.0.{i}", "dev", name,
                 "table", "local"], netns=lab.sw)
            macs[name] = lab.vsctl("get", "interface", name,
                                   "mac_in_use").strip().strip("\"")
            self.rules(name, f"""
                in_port=LOCAL,actions=postcard(version=4{i}),output:1
                in_port=1,actions=postcard(version=5{i}),output:LOCAL""")
        for i, name, far in ((1, "s1", 2), (2, "s2", 1)):
            lab.vsctl("add-port", name, f"vx{i}", "--", "set", "interface",
                      f"vx{i}", "type=vxlan", f"options:remote_ip=10.9.0.{far}",
                      "options:key=7", "ofport_request=2")
            wait_until(lambda i=i, far=far: self.has_route(i, far),
                       what="the route between the tunnels' ends")
            lab.appctl("tnl/arp/set", f"u{i}", f"10.9.0.{far}",
                       macs[f"u{far}"])
            self.rules(name, f"""
                in_port=1,udp,actions=postcard(version={i}1),output:2
                in_port=2,actions=postcard(version={i}2),output:1""")
        ports = {1: True, 2: False}
        self.serve([("s1", ports), ("s2", ports), ("u1", {1: False}),
                    ("u2", {1: False})],
                   [("s1", 2, "s2", 2), ("u1", 1, "u2", 1)])


    def has_route(self, i, far):
        """Adds it, once the switch knows the address."""
        run(["ovs-appctl", "ovs/route/add", f"10.9.0.{far}/32", f"u{i}"],
            env=self.lab.env, check=False)
        return f"User: 10.9.0.{far}/32 dev u{i} SRC 10.9.0.{i}" in \
            self.lab.appctl("ovs/route/show")


def test_vxlan_tells_the_inner_and_the_outer_packet():
    with Lab(patched=True) as lab:
        net = Tunnelled(lab)
        at_h2 = net.h2.capture()
        sent = net.frame(2201, 9)
        net.h1.send(sent)
        wait_until(lambda: sent in at_h2.frames(), what="the packet at h2")
        [inner] = net.histories(2201, 1)
        [outer] = net.histories(4789, 1)
        assert net.hops(inner) == [("s1", 1, [2], [11]), ("s2", 2, [1], [22])]
        assert inner["verdict"]["name"] == "delivered"
        assert inner["verdict"]["dpid"] == f"{2:016x}"
        assert net.hops(outer) == [("u1", LOCAL, [1], [41]),
                                   ("u2", 1, [LOCAL], [52])]
        assert outer["verdict"]["name"] == "delivered"
        assert outer["carries"] == inner["packet_id"]
        assert inner["carried_by"] == outer["packet_id"]
