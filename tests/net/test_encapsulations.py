# SPDX-License-Identifier: Apache-2.0
# Two encapsulations at once: a bridge with two postcard ports, rules that use
# one or the other, changed at run time, and a server that takes both.

import json
import re

import pytest

from api import Api
from lab import UNDER_COLLECTOR, bindir
from process import wait_until
from recorder import Recorder, capture, start_controller
from test_recorder_postcards import frame_of, network, postcards_of
from test_select import ctl, output, rules_of, say, words

FLOOD = 0xfffffffb
GENEVE = f"--postcards=geneve:{UNDER_COLLECTOR}"
MAC = "--postcards=mac:%b-mac,vlan=4000"


def start(lab, options, of_version="1.3"):
    controller = start_controller(lab, of_version=of_version)
    recorder = Recorder(lab, options=[f"--ovsdb={lab.db}", *options]).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    return controller, recorder


def collect(lab):
    """Captures of geneve and of mac postcards."""
    lab.ofctl("del-flows", "br-mac")
    lab.ofctl("add-flow", "br-mac", "dl_vlan=4000,actions=output:1")
    return capture(lab, "under0", lab.col), capture(lab, "mac0", lab.col)


def mac_words(frames):
    return {word.decode() for frame in frames
            for word in re.findall(rb"<([a-z0-9]+)>", frame)}


def switch(lab):
    return json.loads(ctl(lab, "status", "-j"))["status"]["switches"][0]


@pytest.mark.parametrize("of_version", ["1.0", "1.3"])
def test_rules_of_one_bridge_use_one_or_the_other(lab, of_version):
    h1, h2, h3 = network(lab, mac=True)
    by_geneve, by_mac = collect(lab)
    flood = FLOOD & 0xffff if of_version == "1.0" else FLOOD
    controller, recorder = start(lab, [GENEVE, MAC], of_version)
    number = {p["encap"]: p["port"] for p in switch(lab)["postcard_ports"]}
    assert set(number) == {"geneve", "mac"}
    assert switch(lab)["postcard_port"] == number["geneve"]
    controller.call("flow", dpid=1, flows=[
        {"priority": 10, "match": {"in_port": port}, "actions": output(to)}
        for port, to in ((1, 2), (2, 1), (3, flood))])

    # Both are kept out of everything, and hidden.
    dump = lab.ofctl("dump-flows", "s1")
    shown = lab.ofctl("show", "s1", version="OpenFlow10")
    for port in number.values():
        assert f"priority=65535,in_port={port} actions=drop" in \
            re.sub(r'in_port="[^"]*"', f"in_port={port}", dump)
        config = re.search(rf"^ {port}\(.*?config: +([^\n]*)", shown,
                           re.M | re.S)
        assert "NO_FLOOD" in config.group(1)
    assert dump.count("cookie=0x6c617374686f7001") == 2
    assert not set(controller.call("ports", dpid=1)["ports"]) & \
        set(number.values())

    # The first given is what everything uses.
    say(h1, "one")
    wait_until(lambda: "one" in words(by_geneve.frames()), what="geneve")
    assert not mac_words(by_mac.frames())

    # A selection changes it in place, for its rules only.
    ctl(lab, "select", "add", "include byhand match=in_port=1 encap=mac")
    ctl(lab, "select", "add", "include rest")
    wait_until(lambda: switch(lab)["switch"] == "done", what="the switch")
    say(h1, "two")
    say(h2, "three")
    wait_until(lambda: "two" in mac_words(by_mac.frames()), what="mac")
    wait_until(lambda: "three" in words(by_geneve.frames()), what="geneve")
    assert mac_words(by_mac.frames()) == {"two"}
    assert words(by_geneve.frames()) == {"one", "three"}

    # FLOOD does not leave by either.
    say(h3, "four")
    wait_until(lambda: "four" in words(by_geneve.frames()), what="geneve")
    say(h1, "five")
    wait_until(lambda: "five" in mac_words(by_mac.frames()), what="mac")
    assert mac_words(by_mac.frames()) == {"two", "five"}
    assert all(card.option for card in postcards_of(by_geneve.frames()))

    # Counted each, and together.
    def is_counted():
        now = switch(lab)
        sent = {p["encap"]: p.get("tx_packets") for p in now["postcard_ports"]}
        return now["postcards"]["tx_packets"] == sum(sent.values()) and \
            sent == {"geneve": len(postcards_of(by_geneve.frames())),
                     "mac": len(by_mac.frames())}
    wait_until(is_counted, what="the counters of both ports")

    # The recorder comes back and finds all as it was.
    before = rules_of(lab)
    versions = {r["version"] for r in recorder.table(1) if r["kind"] == "flow"}
    assert recorder.process.stop() == 0
    recorder.start().wait_ready()
    assert rules_of(lab) == before
    assert {r["version"] for r in recorder.table(1)
            if r["kind"] == "flow"} == versions

    # Without the other port its rules use the one that stays.
    lab.vsctl("del-port", "s1", "s1-mac")
    wait_until(lambda: [p["encap"] for p in switch(lab)["postcard_ports"]] ==
               ["geneve"], what="the port to be gone")
    say(h1, "six")
    wait_until(lambda: "six" in words(by_geneve.frames()), what="geneve")
    assert lab.ofctl("dump-flows", "s1").count(
        "cookie=0x6c617374686f7001") == 1


def test_a_miss_rule_of_mac_postcards_is_known_again(lab):
    """OpenFlow 1.0 tells it in other words than it was written in."""
    lab.add_bridge("s1")
    lab.add_host("h1", "s1", "10.0.0.1/24")
    lab.add_collector(mac=True)
    lab.start()
    controller, recorder = start(lab, [MAC], "1.0")

    def misses():
        return [r["version"] for r in recorder.table(1) if r["kind"] == "miss"]
    before = wait_until(misses, what="the table-miss rule")
    assert recorder.process.stop() == 0
    recorder.start().wait_ready().wait_controller(controller)
    assert misses() == before


def test_bridges_of_their_own_and_a_server_of_both(lab):
    lab.add_bridge("s1")
    lab.add_bridge("s2")
    ports = lab.add_link("s1", "s2")
    h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
    h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
    lab.add_collector(mac=True)
    lab.start()
    lab.ofctl("del-flows", "br-mac")
    lab.ofctl("add-flow", "br-mac", "dl_vlan=4000,actions=output:1")
    controller, recorder = start(lab, [GENEVE, MAC + ",bridge=s2"])
    uses = {s["name"]: [p["encap"] for p in s["postcard_ports"]] for s in
            json.loads(ctl(lab, "status", "-j"))["status"]["switches"]}
    assert uses == {"s1": ["geneve"], "s2": ["mac", "geneve"]}
    lab.spawn("server", [
        f"{bindir()}/lasthop-server", "--listen",
        f"geneve:{UNDER_COLLECTOR}:6081", "--capture", "mac0",
        "--mac-vlan", "4000", "--archive", f"{lab.dir}/archive"],
        netns=lab.col)
    server = Api(f"{lab.dir}/server.sock")
    host_1, host_2 = 3 - ports[0], 3 - ports[1]
    controller.call("flow", dpid=1, flow={
        "priority": 10, "match": {"in_port": host_1},
        "actions": output(ports[0])})
    controller.call("flow", dpid=2, flow={
        "priority": 10, "match": {"in_port": ports[1]},
        "actions": output(host_2)})
    wait_until(lambda: len(server.call("topology")["topology"]["links"]) == 1,
               20, what="the link")
    at_h2 = h2.capture()
    sent = frame_of(b"<both>" + b"." * 100)
    h1.send(sent)
    wait_until(lambda: sent in at_h2.frames(), what="the packet")
    found = wait_until(lambda: server.query('{{--bpf "udp dst port 2000"}}'),
                       what="its history")
    assert [(h["switch"], h["out_ports"]) for h in found[0]["hops"]] == [
        ("s1", [ports[0]]), ("s2", [host_2])]
    assert found[0]["verdict"]["name"] == "delivered"
