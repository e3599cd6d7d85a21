# SPDX-License-Identifier: Apache-2.0
# What a patched switch knows of a visit stands in its history: real ports in
# place of NORMAL, FLOOD, groups and bonds, all rules in order, why it was
# dropped.

import json

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


class Net:
    """h1 -- s1 == s2 -- h2,   s2 -patch- s3 -- h3"""

    def __init__(self, lab):
        self.lab = lab
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
        self.rules()
        self.server()

    def rules(self):
        ofctl = self.lab.ofctl
        ofctl("add-group", "s1", "group_id=1,type=select,"
              "bucket=output:1,bucket=output:2")
        ofctl("add-group", "s1", "group_id=2,type=ff,"
              "bucket=watch_port:1,output:1,bucket=watch_port:2,output:2")
        ofctl("add-meter", "s1", "meter=1,pktps,burst,"
              "band=type=drop,rate=1,burst_size=1")
        for bridge, text in (("s1", S1), ("s2", S2), ("s3", """
                priority=10,in_port=10,actions=postcard(version=31),output:1
                """)):
            for rule in text.split("\n"):
                if rule.strip():
                    ofctl("add-flow", bridge, rule.strip())

    def server(self):
        lab = self.lab

        def switch(dpid, name, ports):
            return {"dpid": f"{dpid:016x}", "name": name, "ports": [
                {"no": no, "name": port, "edge": edge}
                for no, port, edge in ports]}

        def link(a, a_port, b, b_port):
            return {"a": {"dpid": f"{a:016x}", "port": a_port},
                    "b": {"dpid": f"{b:016x}", "port": b_port}}
        with open(f"{lab.dir}/topology.json", "w", encoding="ascii") as file:
            json.dump({"switches": [
                switch(1, "s1", [(1, "a", False), (2, "b", False),
                                 (3, "h1", True)]),
                switch(2, "s2", [(1, "a", False), (2, "b", False),
                                 (3, "h2", True), (10, "p23", False)]),
                switch(3, "s3", [(1, "h3", True), (10, "p32", False)])],
                "links": [link(1, 1, 2, 1), link(1, 2, 2, 2),
                          link(2, 10, 3, 10)]}, file)
        lab.spawn("server", [
            f"{bindir()}/lasthop-server", "--agents", "127.0.0.1:6082",
            "--accept", "127.0.0.1", "--recorder", "none", "--topology",
            f"{lab.dir}/topology.json", "--archive", f"{lab.dir}/archive"],
            netns=lab.sw)
        self.api = Api(f"{lab.dir}/server.sock")
        lab.spawn("agent", [
            f"{bindir()}/lasthop-agent", "--server", "127.0.0.1:6082",
            "--process", lab.vswitchd, "--name", "lab"], netns=lab.sw)
        wait_until(lambda: self.api.call("stats")["stats"]["agents"] == 1,
                   20, "the agent")

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

    def one(self, dport):
        """Sends one packet there; its history, and that in short."""
        before = len(self.api.query(f"{{{{--bpf udp dst port {dport}}}}}"))
        self.h1.send(self.frame(dport, 100 + before))
        history = self.histories(dport, before + 1)[-1]
        return history, [(hop["switch"], hop["in_port"], hop["out_ports"],
                          hop["versions"]) for hop in history["hops"]]


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
