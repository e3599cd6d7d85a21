# SPDX-License-Identifier: Apache-2.0
# What /metrics of recorder and server say of a real network, held against what
# Open vSwitch says of itself: ovs-ofctl and ovs-vsctl.

import re

import pytest

import frames
from lab import Lab
from process import run, wait_until
from stack import Stack

METRICS = "127.0.0.1:9464"
FETCH = ("import sys, urllib.request; "
         "print(urllib.request.urlopen(sys.argv[1]).read().decode())")
OWN = 0x70      # Cookies of the controller's rules are from here on.
N_PACKETS = 50


def output(port):
    return {"type": "OUTPUT", "port": port}


def metrics(netns):
    """{name: value} of what has no switch, {(name, switch): value} of what
    has."""
    text = run(["/usr/bin/python3", "-c", FETCH, f"http://{METRICS}/metrics"],
               netns=netns)
    values = {}
    for name, labels, value in re.findall(
            r"^(lasthop_\w+)(?:\{(.*)\})? (\d+)$", text, re.MULTILINE):
        switch = re.search(r'switch="(\w+)"', labels)
        values[(name, switch[1]) if switch else name] = int(value)
    return values


@pytest.mark.parametrize("threads", [1, 2])
def test_counters_are_those_of_the_switches(threads):
    with Lab() as lab:
        lab.add_bridge("s1")
        lab.add_bridge("s2")
        lab.add_link("s1", "s2")
        h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.add_collector()
        lab.start()
        stack = Stack(lab, threads=threads, metrics=METRICS)
        stack.start()
        link, host = (lab.bridges["s1"].port_to(n) for n in ("s2", "h1"))
        stack.controller.call("meter", dpid=1, meter={
            "meter_id": 3, "flags": "KBPS",
            "bands": [{"type": "DROP", "rate": 100000}]})
        stack.controller.call("group", dpid=1, group={
            "type": "ALL", "group_id": 5,
            "buckets": [{"actions": [output(link)]}]})
        stack.flow(1, cookie=OWN, priority=10, match={"in_port": host},
                   actions=[{"type": "GROUP", "group_id": 5}])
        stack.flow(1, cookie=OWN + 1, priority=10, match={"in_port": link},
                   actions=[output(host)])
        stack.flow(2, cookie=OWN + 2, priority=10, match={"in_port": 1},
                   actions=[output(2)])
        sent = [frames.ethernet(
            h1.mac, h2.mac, 0x0800, frames.ipv4(
                h1.ip, h2.ip, 17, frames.udp_datagram(
                    h1.ip, h2.ip, 1000, 9, b"%20d" % i), ident=i))
            for i in range(N_PACKETS)]
        h1.send(*sent)
        stack.histories("{{--bpf udp dst port 9}}", N_PACKETS)

        def counted(switch):
            """By the switch: rules of the controller, groups, meters, and what
            its postcard port has sent, told by both."""
            flows = lab.ofctl("dump-flows", switch, version="OpenFlow13")
            [port] = [p for p in lab.vsctl("list-ports", switch).split()
                      if p.startswith("lhp-")]
            by_ofctl = re.search(
                r"tx pkts=(\d+)",
                lab.ofctl("dump-ports", switch, port, version="OpenFlow13"))
            by_vsctl = int(lab.vsctl("get", "interface", port,
                                     "statistics:tx_packets").strip())
            cards = int(by_ofctl[1])
            return (len(re.findall(r"cookie=0x7\d", flows)),
                    lab.ofctl("dump-groups", switch,
                              version="OpenFlow13").count("group_id="),
                    lab.ofctl("dump-meters", switch,
                              version="OpenFlow13").count("meter="),
                    cards if by_vsctl == cards else None)

        def told(switch):
            values = metrics(lab.sw)
            return tuple(values["lasthop_recorder_" + name, switch] for name
                         in ("rules", "groups", "meters",
                             "postcards_sent_total"))
        # Counters in OVSDB are seconds late.
        for switch, least in (("s1", (2, 1, 1, N_PACKETS)),
                              ("s2", (1, 0, 0, N_PACKETS))):
            wait_until(lambda s=switch: told(s) == counted(s), 30,
                       f"{switch}'s own counters in /metrics: "
                       f"{told(switch)}, {counted(switch)}")
            assert told(switch)[:3] == least[:3]
            assert told(switch)[3] >= least[3]
        recorder = metrics(lab.sw)
        assert recorder["lasthop_recorder_connections"] == 2
        # A tunnel of the userspace datapath does not count what it drops.
        assert not [n for n in recorder if "postcards_dropped_total" in n]

        # What the switches have sent is what the server has got.
        def got():
            server = metrics(lab.col)
            return (server["lasthop_server_postcards_total"],
                    server["lasthop_server_missing_min_total"])
        wait_until(lambda: got() == (sum(counted(s)[3] or 0
                                         for s in ("s1", "s2")), 0), 30,
                   "all postcards at the server")
