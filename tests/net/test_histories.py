# SPDX-License-Identifier: Apache-2.0
# What went through a real network against the histories that came out of it:
# hop by hop, rule by rule, port by port.

import contextlib
import json

import pytest

import frames
from lab import Capture, HERE, Lab, PYTHON
from process import wait_until
from stack import CONTROLLER, MAC_VLAN, Stack

# Every rule of the network has a cookie of its own, so that a hop names it.
PUBLIC = "10.0.9.9"  # What h1 calls h2's web service: translated at s2.
TO_CONTROLLER = 65533
FLOOD = 65531
IN_PORT = 65528
LOCAL = 65534

OUTPUT = "OUTPUT"


def output(port):
    return {"type": OUTPUT, "port": port}


def set_field(field, value):
    return {"type": "SET_FIELD", "field": field, "value": value}


DEC_TTL = {"type": "DEC_NW_TTL"}


class Net:
    """     h1 -- s1 -- s2 -- s3 -- h2,   h3 at s2,   s1 -- s4 -- s3  """

    def __init__(self, lab, encapsulation):
        self.lab = lab
        for name in ("s1", "s2", "s3", "s4"):
            lab.add_bridge(name)
        lab.add_link("s1", "s2")
        lab.add_link("s2", "s3")
        lab.add_link("s1", "s4")
        lab.add_link("s4", "s3")
        self.h1 = lab.add_host("h1", "s1", "10.0.1.1/24", "fd00:1::1/64",
                               gateways=("10.0.1.254", "fd00:1::ff"))
        self.h2 = lab.add_host("h2", "s3", "10.0.3.2/24", "fd00:3::2/64",
                               gateways=("10.0.3.254", "fd00:3::ff"))
        self.h3 = lab.add_host("h3", "s2", "10.0.2.3/24")
        lab.add_collector(mac=encapsulation == "mac")
        lab.start()
        for host, gateway, gateway6 in (
                (self.h1, "10.0.1.254", "fd00:1::ff"),
                (self.h2, "10.0.3.254", "fd00:3::ff")):
            for address in (gateway, gateway6):
                host.run("ip", "neigh", "add", address, "lladdr",
                         "02:00:00:00:00:fe", "dev", "eth0", "nud",
                         "permanent")
        self.is_exact = encapsulation == "agent"
        # What one thread makes of packets several make of them, too.
        self.stack = Stack(lab, encapsulation,
                           threads=2 if encapsulation != "geneve" else 1)
        self.wire = self.watch_postcards()
        self.stack.start()
        self.install()

    def flooded(self, *ports):
        """The outputs of a flood.  Switches that tell them tell LOCAL too."""
        return [*sorted(ports), LOCAL] if self.is_exact else [FLOOD]

    def back(self, port):
        """The output of what goes back to the port it came from."""
        return [port] if self.is_exact else [IN_PORT]

    def port(self, a, b):
        return self.lab.bridges[a].port_to(b)

    def watch_postcards(self):
        """Captures all that comes in at the collector."""
        interface = ("mac0" if self.stack.encapsulation == "mac"
                     else "under0")
        return Capture(self.lab.spawn(
            "wire", [PYTHON, f"{HERE}/traffic.py", "capture", interface],
            netns=self.lab.col).wait_for("ready"))

    def install(self):
        """The network's rules.  Cookies: switch * 0x100 + rule."""
        port, flow, h1, h2 = self.port, self.stack.flow, self.h1, self.h2

        def route4(dpid, cookie, match, out, *edits, priority=10):
            flow(dpid, cookie=cookie, priority=priority,
                 match={"eth_type": 0x0800, **match},
                 actions=[*edits, DEC_TTL, output(out)])

        # h1 -> h2 by s2, as the address it has and as the public one.
        route4(1, 0x101, {"ipv4_dst": "10.0.3.0/24"}, port("s1", "s2"))
        route4(1, 0x102, {"ipv4_dst": PUBLIC}, port("s1", "s2"))
        route4(2, 0x201, {"ipv4_dst": "10.0.3.0/24"}, port("s2", "s3"))
        route4(2, 0x202, {"ipv4_dst": PUBLIC, "ip_proto": 6, "tcp_dst": 80},
               port("s2", "s3"), set_field("ipv4_dst", h2.ip),
               set_field("tcp_dst", 8080), priority=20)
        route4(3, 0x301, {"ipv4_dst": h2.ip}, port("s3", "h2"),
               set_field("eth_dst", h2.mac))
        # And back.
        route4(3, 0x302, {"ipv4_dst": "10.0.1.0/24"}, port("s3", "s2"))
        route4(2, 0x203, {"ipv4_dst": "10.0.1.0/24"}, port("s2", "s1"))
        route4(2, 0x204, {"ipv4_dst": "10.0.1.0/24", "ip_proto": 6,
                          "ipv4_src": h2.ip, "tcp_src": 8080},
               port("s2", "s1"), set_field("ipv4_src", PUBLIC),
               set_field("tcp_src", 80), priority=20)
        route4(1, 0x103, {"ipv4_dst": h1.ip}, port("s1", "h1"),
               set_field("eth_dst", h1.mac))
        # IPv6 takes the other way.
        for dpid, cookie, out in ((1, 0x110, port("s1", "s4")),
                                  (4, 0x410, port("s4", "s3"))):
            flow(dpid, cookie=cookie, priority=10,
                 match={"eth_type": 0x86dd, "ipv6_dst": "fd00:3::/64"},
                 actions=[DEC_TTL, output(out)])
        flow(3, cookie=0x310, priority=10,
             match={"eth_type": 0x86dd, "ipv6_dst": h2.ip6},
             actions=[DEC_TTL, set_field("eth_dst", h2.mac),
                      output(port("s3", "h2"))])
        # A wrong rule.
        flow(2, cookie=0x2dd, priority=200,
             match={"eth_type": 0x0800, "ip_proto": 17, "udp_dst": 9999},
             actions=[])
        # ARP of h1 is flooded down a tree; s4 will not have it.
        arp = {"eth_type": 0x0806}
        flow(1, cookie=0x1aa, priority=50,
             match={**arp, "in_port": port("s1", "h1")},
             actions=[output(0xfffffffb)])
        flow(2, cookie=0x2aa, priority=50,
             match={**arp, "in_port": port("s2", "s1")},
             actions=[output(port("s2", "s3")), output(port("s2", "h3"))])
        flow(3, cookie=0x3aa, priority=50,
             match={**arp, "in_port": port("s3", "s2")},
             actions=[output(port("s3", "h2"))])
        flow(4, cookie=0x4aa, priority=50, match=arp, actions=[])
        # A loop of two switches.
        loop = {"eth_type": 0x0800, "ip_proto": 17, "udp_dst": 7777}
        flow(1, cookie=0x1ee, priority=100, match=loop,
             actions=[DEC_TTL, output(port("s1", "s2"))])
        flow(1, cookie=0x1ef, priority=101,
             match={**loop, "in_port": port("s1", "s2")},
             actions=[DEC_TTL, output(0xfffffff8)])
        flow(2, cookie=0x2ee, priority=100, match=loop,
             actions=[DEC_TTL, output(0xfffffff8)])
        # First packets of a flow go to the controller.
        flow(1, cookie=0x1cc, priority=60,
             match={"eth_type": 0x0800, "ip_proto": 17, "udp_dst": 5555},
             actions=[output(0xfffffffd)])

    def udp(self, dport, data=b"lasthop", **ip):
        """A UDP datagram from h1 to h2, as it leaves h1."""
        return frames.udp4(self.h1.mac, "02:00:00:00:00:fe", self.h1.ip,
                           self.h2.ip, 4321, dport, data, **ip)

    def one(self, phf):
        [history] = self.stack.histories(phf, 1)
        return history, self.stack.hops(history)


@contextlib.contextmanager
def network(encapsulation):
    with Lab(patched=encapsulation == "agent") as lab:
        failed = True
        try:
            yield Net(lab, encapsulation)
            failed = False
        finally:
            lab.close(keep=failed)


@pytest.fixture(scope="module", params=["geneve", "mac", "agent"])
def net(request):
    with network(request.param) as made:
        yield made


def headers(net, frame, edits=()):
    """The captured bytes that 'frame' should give.  The mac encapsulation
    loses the destination MAC."""
    data = bytearray(frame[:96])
    for offset, value in edits:
        data[offset:offset + len(value)] = value
    return bytes(data[6:] if net.stack.encapsulation == "mac" else data)


def captured(net, hop, member="header"):
    data = bytes.fromhex(hop[member])
    return data[6:] if net.stack.encapsulation == "mac" else data


def test_flow_stats_are_what_the_controller_installed(net):
    """A bridge without lasthop, given the same rules, answers the same."""
    lab, controller = net.lab, net.stack.controller
    lab.vsctl("add-br", "ref", "--", "set", "bridge", "ref",
              "datapath_type=netdev", "fail-mode=secure",
              "other-config:datapath-id=0000000000000063",
              "protocols=[OpenFlow13]", "--", "set-controller", "ref",
              CONTROLLER)
    wait_until(lambda: 99 in controller.call("switches")["switches"], 20,
               "the bridge without lasthop")
    for dpid in (1, 2, 3, 4):
        controller.call("flow", dpid=99, command="delete", flow={})
        answer = controller.call("flow", dpid=99,
                                 flows=net.stack.installed[dpid])
        assert answer["errors"] == []
        assert controller.call("flows", dpid=dpid)["flows"] == \
            controller.call("flows", dpid=99)["flows"]
        ports = controller.call("ports", dpid=dpid)["ports"]
        bridge = lab.bridges[f"s{dpid}"]
        assert [p for p in ports if p < 0xffffff00 and p != bridge.mac_port] \
            == sorted(set(bridge.ports) - {bridge.mac_port})
    lab.vsctl("del-br", "ref")


def test_udp_is_delivered_over_three_switches(net):
    frame = net.udp(1000, b"x" * 200, ident=1000)
    net.h1.send(frame)
    history, hops = net.one("{{--bpf udp dst port 1000}}")
    port = net.port
    assert hops == [
        (0, "s1", port("s1", "h1"), [port("s1", "s2")], [0x101]),
        (1, "s2", port("s2", "s1"), [port("s2", "s3")], [0x201]),
        (2, "s3", port("s3", "s2"), [port("s3", "h2")], [0x301])]
    assert history["verdict"]["name"] == "delivered"
    assert history["verdict"]["port"] == port("s3", "h2")
    assert history["hops"][0]["header"] is not None
    assert captured(net, history["hops"][0]) == headers(net, frame)
    assert len(bytes.fromhex(history["hops"][0]["header"])) == 96


def test_tcp_through_nat_is_what_both_ends_saw(net):
    port = net.port
    at_h1, at_h2 = net.h1.capture(), net.h2.capture()
    net.h2.serve("tcp", 8080)
    assert net.h1.request("tcp", PUBLIC, 80, "over nat") == "OVER NAT"

    def tcp(capture):
        return [f for f in capture.frames()
                if f[12:14] == b"\x08\x00" and f[23] == 6]
    wait_until(lambda: len(tcp(at_h1)) >= 4 and len(tcp(at_h2)) >= 5,
               what="both ends to close")

    def seen():
        return (net.stack.server.query("{{--bpf tcp}}"), tcp(at_h1),
                tcp(at_h2))
    wait_until(lambda: (lambda h, a, b: len(h) == len(a) + len(b))(*seen()),
               what="as many histories as frames")
    histories, to_h1, to_h2 = seen()
    at_h1.stop(), at_h2.stop()

    there = [(0, "s1", port("s1", "h1"), [port("s1", "s2")], [0x102]),
             (1, "s2", port("s2", "s1"), [port("s2", "s3")], [0x202]),
             (2, "s3", port("s3", "s2"), [port("s3", "h2")], [0x301])]
    back = [(0, "s3", port("s3", "h2"), [port("s3", "s2")], [0x302]),
            (1, "s2", port("s2", "s3"), [port("s2", "s1")], [0x204]),
            (2, "s1", port("s1", "s2"), [port("s1", "h1")], [0x103])]
    arrived = {"there": [], "back": []}
    for history in histories:
        assert history["verdict"]["name"] == "delivered", history
        hops = net.stack.hops(history)
        assert hops in (there, back), hops
        way = "there" if hops == there else "back"
        arrived[way].append(captured(net, history["hops"][-1], "header_out"))
        before = bytes.fromhex(history["hops"][1]["header"])
        after = bytes.fromhex(history["hops"][2]["header"])
        if way == "there":  # 10.0.9.9:80 -> h2:8080
            assert before[30:34] == bytes([10, 0, 9, 9])
            assert after[30:34] == bytes([10, 0, 3, 2])
            assert before[36:38] == b"\x00\x50" and after[36:38] == b"\x1f\x90"
    # What the last rule sent, in order, is what came in at the hosts.
    for way, got in (("there", to_h2), ("back", to_h1)):
        skip = 6 if net.stack.encapsulation == "mac" else 0
        assert arrived[way] == [frame[skip:96] for frame in got]


def test_flooded_arp_is_a_tree(net):
    port = net.port
    net.h1.send(frames.arp_request(net.h1.mac, net.h1.ip, "10.0.1.77"))
    history, hops = net.one("{{--bpf arp}}")
    assert hops == [
        (0, "s1", port("s1", "h1"),
         net.flooded(port("s1", "s2"), port("s1", "s4")), [0x1aa]),
        (1, "s2", port("s2", "s1"), sorted([port("s2", "s3"),
                                            port("s2", "h3")]), [0x2aa]),
        (2, "s3", port("s3", "s2"), [port("s3", "h2")], [0x3aa]),
        (1, "s4", port("s4", "s1"), [], [0x4aa])]
    if not net.is_exact:
        assert history["hops"][0]["branches"] == sorted(
            [port("s1", "s2"), port("s1", "s4")])
    assert history["verdict"]["name"] == "dropped"
    assert history["verdict"]["dpid"] == f"{4:016x}"


def test_dropped_udp_ends_at_the_rule_that_dropped_it(net):
    port = net.port
    net.h1.send(net.udp(9999, ident=9999))
    history, hops = net.one("{{--bpf udp dst port 9999}}")
    assert hops == [
        (0, "s1", port("s1", "h1"), [port("s1", "s2")], [0x101]),
        (1, "s2", port("s2", "s1"), [], [0x2dd])]
    verdict = history["verdict"]
    assert verdict["name"] == "dropped" and verdict["dpid"] == f"{2:016x}"
    assert net.stack.rule(2, verdict["version"])["cookie"] == "0x2dd"


def test_table_miss_is_seen(net):
    port = net.port
    frame = frames.ethernet(net.h1.mac, net.h2.mac, 0x88b5, b"nobody's")
    net.h1.send(frame)
    history, hops = net.one("{{--bpf ether proto 0x88b5}}")
    assert hops == [(0, "s1", port("s1", "h1"), [],
                     [] if net.is_exact else ["miss"])]
    assert history["verdict"]["name"] == "dropped"
    assert "miss" in history["verdict"]["reason"]


def test_loop_of_two_switches_is_bounded_by_ttl(net):
    port = net.port
    net.h1.send(net.udp(7777, ident=7777, ttl=6))
    history, hops = net.one("{{--bpf udp dst port 7777}}")
    a, b = port("s1", "s2"), port("s2", "s1")
    assert hops == [
        (0, "s1", port("s1", "h1"), [a], [0x1ee]),
        (1, "s2", b, net.back(b), [0x2ee]),
        (2, "s1", a, net.back(a), [0x1ef]),
        (3, "s2", b, net.back(b), [0x2ee]),
        (4, "s1", a, net.back(a), [0x1ef]),
        # There the TTL ends, of which a switch tells the controller.
        (5, "s2", b, [TO_CONTROLLER] if net.is_exact else [IN_PORT], [0x2ee])]
    assert history["verdict"]["name"] == "looped"
    ttls = [bytes.fromhex(hop["header"])[22] for hop in history["hops"]]
    assert ttls == [6, 5, 4, 3, 2, 1]


def test_ipv6_takes_its_own_way(net):
    port = net.port
    net.h1.send(frames.udp6(net.h1.mac, "02:00:00:00:00:fe", net.h1.ip6,
                            net.h2.ip6, 4321, 1006, b"six" * 30))
    history, hops = net.one("{{--bpf ip6 and udp dst port 1006}}")
    assert hops == [
        (0, "s1", port("s1", "h1"), [port("s1", "s4")], [0x110]),
        (1, "s4", port("s4", "s1"), [port("s4", "s3")], [0x410]),
        (2, "s3", port("s3", "s4"), [port("s3", "h2")], [0x310])]
    assert history["verdict"]["name"] == "delivered"


def test_reactive_flow_joins_packet_in_and_packet_out(net):
    port = net.port
    controller = net.stack.controller
    controller.call("react", dpid=1, in_port=port("s1", "h1"),
                    actions=[output(port("s1", "s2"))],
                    flow={"cookie": 0x1cd, "priority": 61,
                          "match": {"eth_type": 0x0800, "ip_proto": 17,
                                    "udp_dst": 5555},
                          "actions": [DEC_TTL, output(port("s1", "s2"))]})
    net.h1.send(net.udp(5555, b"first", ident=5551))
    history, hops = net.one("{{--bpf udp dst port 5555}}")
    rest = [(port("s2", "s1"), [port("s2", "s3")], [0x201]),
            (port("s3", "s2"), [port("s3", "h2")], [0x301])]
    assert hops[0] == (0, "s1", port("s1", "h1"), [TO_CONTROLLER], [0x1cc])
    assert hops[1][0:2] == (1, "s1")
    assert hops[1][3:] == ([port("s1", "s2")], ["packet-out"])
    assert hops[2:] == [(2, "s2", *rest[0]), (3, "s3", *rest[1])]
    assert history["verdict"]["name"] == "delivered"

    wait_until(lambda: any(
        "0x1cd" in json.dumps(rule) for rule in net.stack.server.call(
            "table", dpid=1, at="-0s")["rules"]), what="the reactive rule")
    net.h1.send(net.udp(5555, b"second", ident=5552))
    [_first, second] = net.stack.histories("{{--bpf udp dst port 5555}}", 2)
    assert net.stack.hops(second) == [
        (0, "s1", port("s1", "h1"), [port("s1", "s2")], [0x1cd]),
        (1, "s2", *rest[0]), (2, "s3", *rest[1])]


def test_ttl_that_ends_is_a_drop_with_its_reason(net):
    port = net.port
    net.h1.send(net.udp(1001, ident=1001, ttl=2))
    history, hops = net.one("{{--bpf udp dst port 1001}}")
    assert [hop[1] for hop in hops] == ["s1", "s2"]
    assert hops[1][4] == [0x201]
    assert history["verdict"]["name"] == "dropped"
    assert "ttl" in history["verdict"]["reason"].lower()
    assert history["verdict"]["dpid"] == f"{2:016x}"
    assert port("s2", "s1") == hops[1][2]


def test_nothing_but_postcards_leaves_the_postcard_port(net):
    """Runs last: everything above went over the wire."""
    seen = net.wire.frames()
    if net.is_exact:
        assert seen == []
        return
    assert len(seen) > 30
    for frame in seen:
        if net.stack.encapsulation == "mac":
            assert frame[12:16] == b"\x81\x00" + MAC_VLAN.to_bytes(2, "big"), \
                frame.hex()
            continue
        if frame[12:14] == b"\x08\x06":  # ARP of the tunnel itself
            assert frame[28:32] == bytes([172, 31, 255, 1]), frame.hex()
            continue
        assert frame[12:14] == b"\x08\x00" and frame[23] == 17, frame.hex()
        assert frame[36:38] == (6081).to_bytes(2, "big"), frame.hex()
        assert b"\xff\x4c\x01" in frame[50:90], frame.hex()
