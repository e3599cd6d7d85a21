# SPDX-License-Identifier: Apache-2.0
# Packets through a bridge that ovs-ofctl has set up, through instr, in each
# version of OpenFlow.

import re

import pytest

from frames import udp4
from lab import UNDER_COLLECTOR
from process import wait_until
from recorder import capture
from test_instr import VERSIONS, Ofctl, pytestmark, relay_log, start_relay
from test_recorder_postcards import postcards_of

assert pytestmark

# What is installed, since which version, and for the UDP port that it is
# about the ports that the postcards name, each with a word of its rule.
GROUP = 0xff01
RULES = [
    (1, "add-flow", "priority=5,udp,tp_dst=1,actions=dec_ttl,output:2",
     1, [(2, "output:2")]),
    (1, "add-group", "group_id=1,type=indirect,bucket=output:3", None, []),
    (1, "add-flow", "priority=5,udp,tp_dst=2,actions=group:1",
     2, [(GROUP, "group:1"), (3, "bucket=0")]),
    (2, "add-flow", "priority=5,udp,tp_dst=3,actions=write_actions(output:3),"
     "goto_table:4", None, []),
    (2, "add-flow", "table=4,priority=2,udp,actions=write_metadata:7",
     3, [(3, "write_actions")]),
    (4, "add-meter", "meter=1,kbps,band=type=drop,rate=100000", None, []),
    (4, "add-flow", "priority=5,udp,tp_dst=4,actions=meter:1,output:2",
     4, [(2, "meter:1")]),
]


def made(lab, version):
    """The line of the relay about a rule."""
    return re.search(rf"^made {version} .*$", relay_log(lab), re.M).group()


@pytest.mark.parametrize("version", VERSIONS)
def test_packets_leave_postcards(lab, version):
    """Every rule that a packet meets names itself and the packet's port."""
    lab.add_bridge("s1")
    host = [lab.add_host(f"h{number}", "s1", f"10.0.0.{number}/24")
            for number in (1, 2, 3)][0]
    lab.add_collector()
    lab.start()
    lab.vsctl("add-port", "s1", "pc", "--", "set", "interface", "pc",
              "type=geneve", f"options:remote_ip={UNDER_COLLECTOR}",
              "ofport_request=99")
    start_relay(lab, version)
    ofctl = Ofctl(lab, f"{lab.dir}/instr.sock", version)
    want = {7: [(0xffff if VERSIONS[version] > 3 else 0xfffd, "kind=1")]}
    for since, command, argument, port, cards in RULES:
        if since > VERSIONS[version]:
            continue
        assert ofctl(command, argument)[1], argument
        if port:
            want[port] = cards
    collector = capture(lab, "under0", lab.col)
    for port, cards in want.items():
        frame = udp4("02:00:00:00:00:01", "02:00:00:00:00:02", "10.0.0.1",
                     "10.0.0.2", 1000, port)
        host.send(frame)

        def seen(frame=frame):
            """The postcards of this packet, whatever its TTL."""
            return [p for p in postcards_of(collector.frames())
                    if p.inner[30:42] == frame[30:42]]

        # What a card says of a drop is void where another has an output.
        wait_until(lambda: {c[0] for c in cards} <=
                   {p.out_port for p in seen()},
                   what=f"the postcards of UDP port {port}")
        for number, word in cards:
            rules = [made(lab, p.version) for p in seen()
                     if p.out_port == number]
            assert any(word in rule for rule in rules), (port, number, rules)
