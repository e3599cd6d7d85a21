# SPDX-License-Identifier: Apache-2.0
# Postcards that travel through the switches they tell of: the same histories
# as by a way of their own, also when a link of their way is cut, and nothing
# of it for hosts and controllers.

import pytest

import frames
from api import ApiError
from lab import Lab, bindir
from process import run, wait_until
from recorder import RECORDER_PORT
from stack import CONTROLLER, MAC_VLAN, RECORDER, Stack
from api import Api

VIA_PORT = 4
LINKS = 5


def output(port):
    return {"type": "OUTPUT", "port": port}


class InbandStack(Stack):
    """A Stack whose postcards first travel in band, to port s1-mac."""

    postcards = f"mac:inband,collector=s1:s1-mac,vlan={MAC_VLAN}"

    def start_recorder(self):
        self.lab.spawn("recorder", [
            f"{bindir()}/lasthop-recorder", "--listen", RECORDER,
            "--controller", CONTROLLER, "--ovsdb", self.lab.db,
            "--postcards", self.postcards, "--state",
            f"{self.lab.dir}/state"], netns=self.lab.sw)
        self.recorder = Api(f"{self.lab.dir}/recorder.sock")

    def is_settled(self, links=LINKS):
        """Whether the server knows the links, and all switches their way."""
        try:
            topology = self.topology()
        except ApiError:
            return False
        edges = {(switch["dpid"], port["no"]) for switch in
                 topology["switches"] for port in switch["ports"]
                 if port.get("edge")}
        hosts = {(f"{bridge.dpid:016x}", bridge.port_to(host))
                 for host, bridge in self.lab.places.items()}
        return (len(topology["links"]) == links and hosts <= edges
                and self.has_ways())

    def has_ways(self):
        inband = self.stats()["inband"]
        return inband is None or (inband["switches"] == 5
                                  and not inband["without_way"])

    def stats(self):
        return self.recorder.call("stats")["stats"]


class Net:
    """     h1 - s3 - s4 - s5 - h2,   s1 - s2 - s3,   s1 - s4,  h3 at s2

    The collector is at s1.  So the tree is s1 < s2 < s3 and s1 < s4 < s5, and
    at s5 postcards of packets for h2 leave by the port that these came by."""

    def __init__(self, lab):
        self.lab = lab
        for n in range(1, 6):
            lab.add_bridge(f"s{n}")
        for a, b in (("s1", "s2"), ("s2", "s3"), ("s3", "s4"), ("s1", "s4"),
                     ("s4", "s5")):
            lab.add_link(a, b)
        self.h1 = lab.add_host("h1", "s3", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s5", "10.0.0.2/24")
        self.h3 = lab.add_host("h3", "s2", "10.0.0.3/24")
        lab.places = {"h1": lab.bridges["s3"], "h2": lab.bridges["s5"],
                      "h3": lab.bridges["s2"]}
        lab.add_collector(mac=True)
        lab.start()
        self.set_own_ports("down")
        self.stack = InbandStack(lab, "mac")
        self.stack.start()
        self.install()

    def port(self, a, b):
        return self.lab.bridges[a].port_to(b)

    def set_own_ports(self, state):
        """The ports that postcards have to themselves, but that of s1."""
        for n in range(2, 6):
            run(["ip", "link", "set", f"s{n}-mac", state], netns=self.lab.sw)

    def install(self):
        """h1 to h2 and back by s4; from h1 to everybody by all of the tree
        s3 - s4 - s5, s3 - s2; what is for h3 is dropped at s4."""
        port, flow = self.port, self.stack.flow
        for dpid, towards_h2, towards_h1 in (
                (3, port("s3", "s4"), port("s3", "h1")),
                (4, port("s4", "s5"), port("s4", "s3")),
                (5, port("s5", "h2"), port("s5", "s4"))):
            flow(dpid, cookie=dpid << 8 | 2, priority=10,
                 match={"eth_dst": self.h2.mac}, actions=[output(towards_h2)])
            flow(dpid, cookie=dpid << 8 | 1, priority=10,
                 match={"eth_dst": self.h1.mac}, actions=[output(towards_h1)])
        flow(3, cookie=0x303, priority=10, match={"eth_dst": self.h3.mac},
             actions=[output(port("s3", "s4"))])
        flow(4, cookie=0x403, priority=10, match={"eth_dst": self.h3.mac},
             actions=[])
        everybody = {"eth_dst": "ff:ff:ff:ff:ff:ff"}
        flow(3, cookie=0x3ff, priority=20, match=everybody,
             actions=[output(port("s3", "s4")), output(port("s3", "s2"))])
        flow(4, cookie=0x4ff, priority=20, match=everybody,
             actions=[output(port("s4", "s5"))])
        flow(5, cookie=0x5ff, priority=20, match=everybody,
             actions=[output(port("s5", "h2"))])
        flow(2, cookie=0x2ff, priority=20, match=everybody,
             actions=[output(port("s2", "h3"))])

    def histories_of(self, base):
        """What becomes of four packets, each told by its UDP port."""
        h1, h2, h3 = self.h1, self.h2, self.h3

        def packet(src, dst, number, eth_dst=None):
            src.send(frames.udp4(src.mac, eth_dst or dst.mac, src.ip, dst.ip,
                                 base, base + number,
                                 data=b"packet %d" % (base + number)))

        packet(h1, h2, 1)
        packet(h2, h1, 2)
        packet(h1, h3, 3)
        packet(h1, h3, 4, "ff:ff:ff:ff:ff:ff")
        found = []
        for number in (1, 2, 3, 4):
            [history] = self.stack.histories(
                f"{{{{--bpf udp dst port {base + number}}}}}", n=1)
            found.append((history["verdict"]["name"],
                          self.stack.hops(history)))
        return found

    def expected(self):
        port = self.port
        s5 = lambda depth, rule: (depth, "s5", port("s5", "s4"),
                                  [port("s5", "h2")], [rule])
        return [
            ("delivered",
             [(0, "s3", port("s3", "h1"), [port("s3", "s4")], [0x302]),
              (1, "s4", port("s4", "s3"), [port("s4", "s5")], [0x402]),
              s5(2, 0x502)]),
            ("delivered",
             [(0, "s5", port("s5", "h2"), [port("s5", "s4")], [0x501]),
              (1, "s4", port("s4", "s5"), [port("s4", "s3")], [0x401]),
              (2, "s3", port("s3", "s4"), [port("s3", "h1")], [0x301])]),
            ("dropped",
             [(0, "s3", port("s3", "h1"), [port("s3", "s4")], [0x303]),
              (1, "s4", port("s4", "s3"), [], [0x403])]),
            ("delivered",
             [(0, "s3", port("s3", "h1"),
               sorted([port("s3", "s4"), port("s3", "s2")]), [0x3ff]),
              (1, "s2", port("s2", "s3"), [port("s2", "h3")], [0x2ff]),
              (1, "s4", port("s4", "s3"), [port("s4", "s5")], [0x4ff]),
              s5(2, 0x5ff)]),
        ]


@pytest.fixture(scope="module")
def net():
    with Lab() as lab:
        yield Net(lab)


def test_histories_are_whole(net):
    assert net.histories_of(10000) == net.expected()
