# SPDX-License-Identifier: Apache-2.0
# Postcards that travel through the switches they tell of: the same histories
# as by a way of their own, also when a link of their way is cut, and nothing
# of it for hosts and controllers.

import struct

import pytest

import frames
from api import Api, ApiError
from lab import UNDER_COLLECTOR, Lab, bindir
from process import run, wait_until
from recorder import capture
from stack import CONTROLLER, MAC_VLAN, RECORDER, Stack

LINKS = 5
EVERYBODY = "ff:ff:ff:ff:ff:ff"
UNDER_DPID = 0x99


def output(port):
    return {"type": "OUTPUT", "port": port}


class InbandStack(Stack):
    """A Stack whose postcards travel in band, to port s1-mac."""

    postcards = f"mac:inband,collector=s1:s1-mac,vlan={MAC_VLAN}"
    options = ()

    def start_recorder(self):
        self.lab.spawn("recorder", [
            f"{bindir()}/lasthop-recorder", "--listen", RECORDER,
            "--controller", CONTROLLER, "--ovsdb", self.lab.db,
            "--postcards", self.postcards, "--state",
            f"{self.lab.dir}/state", *self.options], netns=self.lab.sw)
        self.recorder = Api(f"{self.lab.dir}/recorder.sock")

    def restart_recorder(self, *options):
        """Ends it, starts it with these options, waits for the tree."""
        self.lab.process("recorder").stop()
        self.options = options
        self.start_recorder()
        wait_until(self.is_settled, 20, "the switches to come back")

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
        everybody = {"eth_dst": EVERYBODY}
        flow(3, cookie=0x3ff, priority=20, match=everybody,
             actions=[output(port("s3", "s4")), output(port("s3", "s2"))])
        flow(4, cookie=0x4ff, priority=20, match=everybody,
             actions=[output(port("s4", "s5"))])
        flow(5, cookie=0x5ff, priority=20, match=everybody,
             actions=[output(port("s5", "h2"))])
        flow(2, cookie=0x2ff, priority=20, match=everybody,
             actions=[output(port("s2", "h3"))])

    def rules(self, bridge):
        """Those of the postcard VLAN, as {in_port: out_port}; the one that
        drops the rest is {None: None}."""
        found = {}
        for line in self.lab.ofctl("dump-flows", bridge,
                                   f"dl_vlan={MAC_VLAN}").splitlines():
            if f"dl_vlan={MAC_VLAN}" not in line:
                continue
            match, actions = line.split(" actions=")
            port = (match.split("in_port=")[1].split(",")[0]
                    if "in_port=" in match else None)
            if port and not port.isdigit():
                port = self.number(bridge, port.strip('"'))
            out = actions.removeprefix("output:").strip('"')
            found[port and int(port)] = (
                None if out == "drop" else
                int(out) if out.isdigit() else self.number(bridge, out))
        return found

    def number(self, bridge, name):
        for number, interface in self.lab.bridges[bridge].ports.items():
            if interface == name:
                return number
        raise KeyError(name)

    def tree(self, **ups):
        """The rules of a tree, from the bridge above each: s4="s1".."""
        port = self.port
        rules = {bridge: {None: None} for bridge in self.lab.bridges}
        for child, parent in ups.items():
            rules[parent][port(parent, child)] = (
                port(parent, "mac") if parent == "s1" else
                port(parent, ups[parent]))
        return rules

    def wait_tree(self, **ups):
        want = self.tree(**ups)
        wait_until(lambda: {bridge: self.rules(bridge)
                            for bridge in self.lab.bridges} == want,
                   20, f"the tree {ups}")
        wait_until(lambda: {
            (s["dpid"], s["postcard_port"]) for s in self.status()} == {
                (f"{self.lab.bridges[child].dpid:016x}",
                 self.port(child, parent))
                for child, parent in {**ups, "s1": "mac"}.items()},
            20, "all switches to send by the tree")

    def status(self):
        return self.stack.recorder.call("status")["status"]["switches"]

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
        packet(h1, h3, 4, EVERYBODY)
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


WHOLE = {"s2": "s1", "s3": "s2", "s4": "s1", "s5": "s4"}
WITHOUT_S1_S4 = {"s2": "s1", "s3": "s2", "s4": "s3", "s5": "s4"}


def test_every_switch_has_the_rules_of_its_place_in_the_tree(net):
    net.wait_tree(**WHOLE)


def test_a_host_gets_nothing_through_the_vlan_of_postcards(net):
    heard = [net.h2.capture(), net.h3.capture(),
             capture(net.lab, "mac0", net.lab.col)]
    for host in (net.h1, net.h2, net.h3):
        for eth_dst in (EVERYBODY, net.h1.mac, net.h2.mac, "00:00:01:00:10:01"):
            datagram = frames.udp4(host.mac, eth_dst, host.ip, "10.0.0.9", 7, 7,
                                   data=b"injected")
            host.send(frames.ethernet(host.mac, eth_dst, 0x0800, datagram[14:],
                                      vlan=MAC_VLAN))
    # What is sent after it comes, and its postcards, which tell of nothing
    # else.
    net.h1.send(frames.udp4(net.h1.mac, EVERYBODY, net.h1.ip, "10.0.0.9", 8, 8,
                            data=b"after it"))
    net.stack.histories("{{--bpf udp dst port 8}}", n=1)
    for listener in heard:
        wait_until(lambda: any(b"after it" in frame
                               for frame in listener.frames()),
                   10, "the packet after it")
        assert not any(b"injected" in frame for frame in listener.stop())
    assert net.stack.server.query("{{--bpf udp dst port 7}}") == []


def test_the_controller_sees_none_of_it_and_takes_none_away(net):
    controller = net.stack.controller
    for bridge in net.lab.bridges.values():
        cookies = {flow["cookie"] for flow in controller.call(
            "flows", dpid=bridge.dpid)["flows"]}
        assert cookies == {flow["cookie"] for flow in
                           net.stack.installed.get(bridge.dpid, [])}
    # s2 carries what s3 sends: a delete of everything must leave that.
    [flow] = net.stack.installed[2]
    net.stack.flow(2, command="delete", match={})
    assert net.rules("s2") == net.tree(**WHOLE)["s2"]
    assert controller.call("flows", dpid=2)["flows"] == []
    net.stack.installed[2].clear()
    net.stack.flow(2, **flow)
    assert net.histories_of(11000) == net.expected()


def test_a_link_that_is_cut_and_comes_back_moves_the_tree(net):
    def cable(state):
        run(["ip", "link", "set", "s1-s4", state], netns=net.lab.sw)

    cable("down")
    net.wait_tree(**WITHOUT_S1_S4)
    assert net.stack.stats()["inband"]["without_way"] == []
    assert net.histories_of(12000) == net.expected()
    cable("up")
    net.wait_tree(**WHOLE)
    assert net.histories_of(13000) == net.expected()
    notes = [change["text"] for change in net.stack.recorder.call(
        "changes", dpid=4)["changes"] if change.get("what") == "note"]
    ways = [f"postcards go by port {net.port('s4', to)}, to {dpid:016x}"
            for to, dpid in (("s1", 1), ("s3", 3), ("s1", 1))]
    assert [text for text in notes if text.startswith("postcards")] == ways


def test_a_switch_without_a_way_says_so_and_comes_back(net):
    def cable(state):
        run(["ip", "link", "set", "s4-s5", state], netns=net.lab.sw)

    cable("down")
    wait_until(lambda: net.stack.stats()["inband"]["without_way"]
               == ["0000000000000005"], 10, "s5 to have no way")
    # Said when the others' answers are in.
    wait_until(lambda: "no way to the collector" in next(
        s.get("why", "") for s in net.status() if s["dpid"].endswith("5")),
               10, "it to be said")
    assert net.rules("s5") == {None: None}
    cable("up")
    net.wait_tree(**WHOLE)
    assert net.histories_of(14000) == net.expected()


def test_a_recorder_that_comes_back_finds_the_tree(net):
    net.lab.process("recorder").stop()
    assert net.rules("s2") == net.tree(**WHOLE)["s2"]
    net.stack.start_recorder()
    wait_until(net.stack.is_settled, 20, "the switches to come back")
    net.wait_tree(**WHOLE)
    assert net.histories_of(15000) == net.expected()


def switch(net, name):
    return next(s for s in net.status() if s["name"] == name)


def test_the_cap_goes_by_the_packets_of_rules_in_band(net):
    """s4 carries the postcards of s5: they do not count as its own."""
    net.stack.restart_recorder("--max-postcards=100")
    net.wait_tree(**WHOLE)
    nowhere = "02:00:00:00:dd:dd"
    net.stack.flow(5, cookie=0x5dd, priority=30, match={"eth_dst": nowhere},
                   actions=[])
    heard = capture(net.lab, "mac0", net.lab.col)
    wait_until(lambda: all(s["postcards"] for s in net.status()), 10,
               "the first reading")

    def burst():
        net.h2.send(*(frames.udp4(net.h2.mac, nowhere, net.h2.ip, "10.0.0.9",
                                  20, 20, data=b"busy") for _ in range(300)))
        return switch(net, "s5")["postcards"]["shed_rules"]

    assert wait_until(burst, 20, "the busy rule to stop") == 1
    assert len(heard.stop()) >= 300
    wait_until(lambda: switch(net, "s5")["switch"] == "done", 10, "the switch")
    assert {rule["cookie"] for rule in
            net.stack.recorder.call("table", dpid=5)["rules"]
            if not rule["instrumented"]} == {"0x5dd"}
    assert switch(net, "s4")["postcards"]["shed_rules"] == 0
    assert net.rules("s4") == net.tree(**WHOLE)["s4"]
    assert net.histories_of(17000) == net.expected()
    net.stack.flow(5, command="delete", match={"eth_dst": nowhere})
    net.stack.options = ()


def test_geneve_postcards_beside_those_in_band(net):
    """s4, in the middle, sends its own by a tunnel, and carries those of s5."""
    lab, stack = net.lab, net.stack
    stack.restart_recorder(f"--postcards=geneve:{UNDER_COLLECTOR}")
    net.wait_tree(**WHOLE)
    lab.process("server").stop()
    lab.spawn("server", [
        f"{bindir()}/lasthop-server", "--listen",
        f"geneve:{UNDER_COLLECTOR}:6081", "--capture", "mac0", "--mac-vlan",
        str(MAC_VLAN), "--archive", f"{lab.dir}/archive"], netns=lab.col)
    stack.server = Api(f"{lab.dir}/server.sock")
    wait_until(stack.is_settled, 20, "the server to know the network")
    stack.recorder.call("select.load", text="include tunnel bridge=s4 "
                        "encap=geneve\ninclude rest\n")
    wait_until(lambda: all(s["switch"] == "done" for s in net.status()), 10,
               "the switches")
    by_geneve = capture(lab, "under0", lab.col)
    by_mac = capture(lab, "mac0", lab.col)
    assert net.histories_of(18000) == net.expected()
    senders = {card[0] for card in map(inner_of, by_geneve.stop()) if card}
    assert senders == {4}
    # Of the other three that packets pass, by the index of the switch.
    assert len({(frame[4] & 15, frame[5]) for frame in by_mac.stop()
                if frame[12:14] == b"\x81\x00"}) == 3
    assert net.rules("s4") == net.tree(**WHOLE)["s4"]
    stack.recorder.call("select.load", text="")
    stack.options = ()
    lab.process("recorder").stop()
    for bridge in lab.bridges:
        for port in lab.vsctl("list-ports", bridge).split():
            if port.startswith("lhp-"):
                lab.vsctl("del-port", bridge, port)


def test_a_way_of_their_own_tells_the_same(net):
    net.set_own_ports("up")
    net.stack.postcards = f"mac:%b-mac,vlan={MAC_VLAN}"
    net.stack.start_recorder()
    wait_until(lambda: [s["state"] for s in net.status()]
               == ["instrumented"] * 5, 20, "the switches to come back")
    wait_until(net.stack.is_settled, 20, "the switches to come back")
    for bridge in net.lab.bridges:
        assert net.rules(bridge) == {}
    assert net.histories_of(16000) == net.expected()


class UnderlayStack(Stack):
    """One whose postcards pass through a bridge that sends some, too."""

    def start_recorder(self):
        self.lab.spawn("recorder", [
            f"{bindir()}/lasthop-recorder", "--listen", RECORDER,
            "--controller", CONTROLLER, "--ovsdb", self.lab.db,
            "--postcards", f"geneve:{UNDER_COLLECTOR},underlay=br-under",
            "--state", f"{self.lab.dir}/state"], netns=self.lab.sw)
        self.recorder = Api(f"{self.lab.dir}/recorder.sock")


def inner_of(frame):
    """(dpid, what was captured) of a postcard; None of other frames."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17 or (
            struct.unpack("!H", frame[36:38])[0] != 6081):
        return None
    return int.from_bytes(frame[58:66], "big"), frame[74:]


def test_postcards_make_no_postcards_on_an_underlay():
    n = 50
    with Lab() as lab:
        lab.add_bridge("s1")
        h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        h2 = lab.add_host("h2", "s1", "10.0.0.2/24")
        lab.add_collector()
        lab.start()
        stack = UnderlayStack(lab)
        stack.start()
        lab.vsctl("set-fail-mode", "br-under", "secure", "--", "set", "bridge",
                  "br-under", f"other-config:datapath-id={UNDER_DPID:016x}",
                  "--", "set-controller", "br-under", RECORDER)
        wait_until(lambda: UNDER_DPID in
                   stack.controller.call("switches")["switches"],
                   20, "the underlay to connect")
        stack.flow(UNDER_DPID, cookie=0x99, priority=1, match={},
                   actions=[{"type": "OUTPUT", "port": 0xfffffffa}])
        stack.flow(1, cookie=0x12, priority=1, match={"eth_dst": h2.mac},
                   actions=[output(lab.bridges["s1"].port_to("h2"))])
        wire = capture(lab, "under0", lab.col)
        h1.send(*(frames.udp4(h1.mac, h2.mac, h1.ip, h2.ip, 9, 9,
                              data=b"packet %d" % number, ident=number + 1)
                  for number in range(n)))
        stack.histories("{{--bpf udp dst port 9}}", n=n)
        # The underlay tells of everything but postcards.
        assert "1 received" in run(["ping", "-n", "-c", "1", "-W", "2",
                                    UNDER_COLLECTOR], netns=lab.sw)
        wait_until(lambda: len(stack.server.query(
            f"{{{{--dpid {UNDER_DPID} --bpf icmp}}}}")) == 2, 10,
            "the ping in the underlay's histories")
        cards = [card for card in map(inner_of, wire.stop()) if card]
        assert sum(dpid == 1 and inner[:6] == bytes.fromhex(
            h2.mac.replace(":", "")) for dpid, inner in cards) == n
        assert not any(inner_of(inner + bytes(64))
                       for dpid, inner in cards if dpid == UNDER_DPID)
        assert sum(dpid == UNDER_DPID and inner[23] == 1
                   for dpid, inner in cards) == 2
        rules = lab.ofctl("dump-flows", "br-under", "table=0,udp")
        assert rules.count("priority=65535,udp") == 1
        assert (f"nw_dst={UNDER_COLLECTOR},tp_dst=6081 actions=NORMAL"
                in rules)
        assert "6081" not in lab.ofctl("dump-flows", "s1")
        assert [flow["cookie"] for flow in stack.controller.call(
            "flows", dpid=UNDER_DPID)["flows"]] == [0x99]
