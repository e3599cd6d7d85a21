# SPDX-License-Identifier: Apache-2.0
# What leaves a postcard port, and what does not come in by it.

import re
import struct

import pytest

from lab import PYTHON, UNDER_COLLECTOR, UNDER_SWITCH
from process import run, wait_until
from recorder import Recorder, capture, start_controller

FLOOD = 0xfffffffb
ALL = 0xfffffffc
NORMAL = 0xfffffffa

CLASS, TYPE = 0xff4c, 1


def network(lab, mac=False):
    """One bridge with three hosts, and the collector."""
    lab.add_bridge("s1")
    hosts = [lab.add_host(f"h{i}", "s1", f"10.0.0.{i}/24")
             for i in (1, 2, 3)]
    lab.add_collector(mac=mac)
    lab.start()
    return hosts


def connect(lab, postcards, of_version="1.3"):
    controller = start_controller(lab, of_version=of_version)
    recorder = Recorder(lab, postcards).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    return controller, recorder


def frame_of(payload, dst=b"\xff" * 6, src=b"\x02\0\0\0\0\x01"):
    """An IPv4 UDP frame with 'payload'."""
    udp = struct.pack(">HHHH", 1000, 2000, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 77, 0, 64, 17,
                     0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    total = sum(struct.unpack(">10H", ip))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    ip = ip[:10] + struct.pack(">H", 0xffff - total) + ip[12:]
    return dst + src + b"\x08\x00" + ip + udp


class Postcard:
    """A geneve postcard, or None in 'option' where the datagram has none."""

    def __init__(self, frame):
        ihl = (frame[14] & 15) * 4
        geneve = frame[14 + ihl + 8:]
        options_len = (geneve[0] & 0x3f) * 4
        options, self.inner = (geneve[8:8 + options_len],
                               geneve[8 + options_len:])
        self.option = None
        while options:
            kind, number, words = struct.unpack(">HBB", options[:4])
            size = 4 + (words & 0x1f) * 4
            if (kind, number) == (CLASS, TYPE):
                self.option = options[4:size]
            options = options[size:]
        if self.option:
            (self.format, self.flags, _, self.dpid, self.version,
             self.in_port, self.out_port) = struct.unpack(">BBHQIHH",
                                                          self.option)


def postcards_of(frames):
    """Those of 'frames' that came through a tunnel."""
    return [Postcard(f) for f in frames
            if f[12:14] == b"\x08\x00" and f[23] == 17 and
            f[36:38] == struct.pack(">H", 6081)]


@pytest.mark.parametrize("name, port", [("flood", FLOOD), ("all", ALL),
                                        ("normal", NORMAL)])
def test_only_postcards_leave_and_nothing_comes_in(lab, name, port):
    h1, h2, h3 = network(lab)
    controller, recorder = connect(lab, f"geneve:{UNDER_COLLECTOR}")
    controller.call("flow", dpid=1, flow={
        "priority": 1, "match": {},
        "actions": [{"type": "OUTPUT", "port": port}]})
    collector = capture(lab, "under0", lab.col)
    at_hosts = [host.capture() for host in (h1, h2, h3)]
    marker = b"lasthop " + name.encode() + b"." * 200
    sent = frame_of(marker)
    h1.send(sent)
    wait_until(lambda: sent in at_hosts[1].frames() and
               sent in at_hosts[2].frames(), what="the hosts")
    wait_until(lambda: postcards_of(collector.frames()), what="a postcard")

    # A second one, so that all of the first is here when it is.
    last = frame_of(b"the last one" + b"." * 200)
    h1.send(last)
    wait_until(lambda: any(p.inner.startswith(last[:60]) for p in
                           postcards_of(collector.frames())),
               what="the last postcard")
    seen = postcards_of(collector.frames())
    assert all(p.option for p in seen), "a whole copy left the postcard port"
    ours = [p for p in seen if p.inner.startswith(sent[:60])]
    assert all(len(p.inner) == 96 for p in ours)
    assert {p.dpid for p in ours} == {1}
    assert {p.in_port for p in ours} == {1}
    rules = {p.version: recorder.rule(1, p.version) for p in ours}
    assert {r["kind"] for r in rules.values()} == {"flow"}

    # What the collector sends into the tunnel goes nowhere.
    mac = re.search(r"eth\(dst=([0-9a-f:]+)\)",
                    lab.appctl("tnl/ports/show", "-v")).group(1)
    run(["ip", "neigh", "replace", UNDER_SWITCH, "lladdr", mac, "dev",
         "under0"], netns=lab.col)
    inside = frame_of(b"from the collector" + b"." * 50)
    geneve = (struct.pack(">BBHI", 0, 0, 0x6558, 1 << 8) + inside)
    code = ("import socket; s = socket.socket(socket.AF_INET, "
            "socket.SOCK_DGRAM); s.sendto(bytes.fromhex("
            f"'{geneve.hex()}'), ('{UNDER_SWITCH}', 6081))")
    run([PYTHON, "-c", code], netns=lab.col)
    end = frame_of(b"the very last one")
    h1.send(end)
    wait_until(lambda: all(end in host.frames() for host in at_hosts[1:]),
               what="the hosts")
    for host in at_hosts:
        assert inside not in host.stop()

    def dropped():
        return any("priority=65535,in_port=" in line and
                   "n_packets=1," in line for line in
                   lab.ofctl("dump-flows", "s1").splitlines())
    wait_until(dropped, what="the switch to count what it dropped")


def test_postcards_name_the_rule_of_the_packet(lab):
    h1, h2, _ = network(lab)
    controller, recorder = connect(lab, f"geneve:{UNDER_COLLECTOR}")
    controller.call("flow", dpid=1, flows=[
        {"priority": 10, "match": {"in_port": 1},
         "actions": [{"type": "OUTPUT", "port": 2}]},
        {"priority": 10, "match": {"in_port": 2}, "actions": []}])
    collector = capture(lab, "under0", lab.col)
    h1.send(frame_of(b"forwarded" + b"." * 60))
    h2.send(frame_of(b"dropped" + b"." * 60))
    lab.hosts["h3"].send(frame_of(b"missed" + b"." * 60))

    def fates():
        found = {}
        for p in postcards_of(collector.frames()):
            for word in (b"forwarded", b"dropped", b"missed"):
                if word in p.inner:
                    found[word.decode()] = p
        return len(found) == 3 and found
    found = wait_until(fates, what="three postcards")
    assert (found["forwarded"].in_port, found["forwarded"].out_port) == (1, 2)
    assert (found["dropped"].in_port, found["dropped"].out_port) == (2, 0xffff)
    assert (found["missed"].in_port, found["missed"].out_port) == (3, 0xffff)
    rules = {word: recorder.rule(1, p.version) for word, p in found.items()}
    assert rules["forwarded"]["match"] == "in_port=1"
    assert rules["dropped"]["actions"] == "drop"
    assert rules["missed"]["kind"] == "miss"


def test_packet_out_has_a_version_and_a_postcard(lab):
    _, h2, _ = network(lab)
    controller, recorder = connect(lab, f"geneve:{UNDER_COLLECTOR}")
    collector = capture(lab, "under0", lab.col)
    at_host = h2.capture()
    sent = frame_of(b"from the controller" + b"." * 60)
    controller.call("packet_out", dpid=1, data=sent.hex(),
                    actions=[{"type": "OUTPUT", "port": 2}])
    wait_until(lambda: sent in at_host.frames(), what="the host")
    card = wait_until(lambda: [p for p in postcards_of(collector.frames())
                               if p.inner.startswith(sent[:60])],
                      what="its postcard")[0]
    assert card.flags & 1 and card.out_port == 2
    rule = recorder.rule(1, card.version)
    assert rule["kind"] == "packet-out"


@pytest.mark.parametrize("of_version", ["1.0", "1.3"])
def test_mac_postcards_leave_the_collector_port(lab, of_version):
    h1, h2, _ = network(lab, mac=True)
    controller, recorder = connect(lab, "mac:%b-mac,vlan=4000", of_version)
    out = {"type": "OUTPUT", "port": 2}
    controller.call("flow", dpid=1, flow={
        "priority": 10, "match": {"in_port": 1}, "actions": [out]})
    lab.ofctl("del-flows", "br-mac")
    lab.ofctl("add-flow", "br-mac", "dl_vlan=4000,actions=output:1")
    collector = capture(lab, "mac0", lab.col)
    at_host = h2.capture()
    sent = frame_of(b"by mac" + b"." * 200)
    h1.send(sent)
    wait_until(lambda: sent in at_host.frames(), what="the host")
    cards = wait_until(lambda: [f for f in collector.frames()
                                if b"by mac" in f], what="a postcard")
    assert len(cards) == 1
    card = cards[0]
    version = int.from_bytes(card[:3], "big")
    low = int.from_bytes(card[3:6], "big")
    assert (low >> 12, low & 0xfff) == (2, 1)   # Port, switch index.
    rule = recorder.rule(1, version)
    assert rule["priority"] == 10 and rule["kind"] == "flow"


@pytest.mark.parametrize("protocols", ["OpenFlow13", "OpenFlow13,OpenFlow14"])
def test_bridge_without_openflow_10_is_given_it(lab, protocols):
    h1, h2, _ = network(lab)
    lab.vsctl("set", "bridge", "s1", f"protocols={protocols}")
    controller, recorder = connect(lab, f"geneve:{UNDER_COLLECTOR}")
    assert "adding OpenFlow10 to the protocols of bridge s1" in \
        recorder.process.output()
    show = lab.ofctl("show", "s1", version="OpenFlow10")
    port = show[show.index("(lhp-1)"):]
    assert "NO_FLOOD" in port.split("state:")[0]


def test_standalone_bridge_is_left_alone(lab):
    network(lab)
    lab.vsctl("set-fail-mode", "s1", "standalone")
    controller, recorder = connect(lab, f"geneve:{UNDER_COLLECTOR}")
    assert "bridge s1 has fail-mode standalone" in recorder.process.output()
    assert "lhp-" not in lab.vsctl("list-ports", "s1")
    controller.call("flow", dpid=1, flow={
        "priority": 1, "match": {}, "actions": []})
    rules = recorder.table(1)
    assert [r["instrumented"] for r in rules
            if r["kind"] == "flow"] == [False]


def test_another_encapsulation_leaves_nothing_of_the_first(lab):
    """geneve, then mac, then none: versions stay, and of what was there
    nothing."""
    network(lab, mac=True)
    controller, recorder = connect(lab, f"geneve:{UNDER_COLLECTOR}")
    flows = [{"priority": 10, "match": {"in_port": 1},
              "actions": [{"type": "OUTPUT", "port": 2}]},
             {"priority": 5, "match": {},
              "actions": [{"type": "WRITE_ACTIONS", "actions": [
                  {"type": "OUTPUT", "port": 3}]}]}]
    assert controller.call("flow", dpid=1, flows=flows)["errors"] == []
    group = {"group_id": 1, "type": "ALL", "buckets": [
        {"actions": [{"type": "OUTPUT", "port": 2}]}]}
    assert controller.call("group", dpid=1, group=group)["errors"] == []
    seen = controller.call("flows", dpid=1)["flows"]
    known = {r["priority"]: r["version"] for r in recorder.table(1)
             if r["kind"] == "flow"}

    def restart(postcards):
        assert recorder.process.stop() == 0
        again = Recorder(lab, postcards).start()
        again.wait_ready().wait_controller(controller)
        assert controller.call("flows", dpid=1)["flows"] == seen
        assert {r["priority"]: r["version"] for r in again.table(1)
                if r["kind"] == "flow"} == known
        dump = lab.ofctl("dump-flows", "s1", "--no-stats") + \
            lab.ofctl("dump-groups", "s1")
        assert "tun_metadata" not in dump, dump
        return again, dump

    recorder, dump = restart("mac:%b-mac,vlan=4000")
    assert "set_field:8096->vlan_vid" in dump or "dl_vlan" in dump, dump
    recorder, dump = restart(None)
    for trace in ("vlan", "note", "clone", "0x6c617374686f70"):
        assert trace not in dump.replace("0x6c617374686f7002", ""), dump
