# SPDX-License-Identifier: Apache-2.0
# rule_apply against the real thing: what a rule makes of a packet, by lib/ and
# by ovs-vswitchd with its dummy datapath, must be the same bytes.
"""Random rules over the packets of the packet-ID vectors; $RULE_APPLY_SEED
names another round."""

import json
import os
import random
import socket
import struct

import pytest

from lab import SCHEMA, bindir
from process import Process, run, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(HERE, "..", "lib", "vectors", "packet-id.txt")
TOOL = os.path.join(bindir(), "..", "tests", "lib", "rule_apply_tool")

N_RULES = 60        # Each on an input port of its own.
N_ROUNDS = 3

# Vectors by the start of their comment: the match that lets a rule edit them
# and which fields they have.
PACKETS = [
    ("TCP over IPv4, longer", "tcp", "ip4 tcp"),
    ("the same after NAT", "tcp,vlan_tci=0x1000/0x1000", "ip4 tcp tag"),
    ("the same under two", "dl_type=0x8847", "label"),
    ("TCP SYN with options", "tcp", "ip4 tcp"),
    ("UDP over IPv4", "udp", "ip4 udp"),
    ("SCTP", "sctp", "ip4 sctp"),
    ("ICMP echo request", "icmp", "ip4 icmp"),
    ("TCP over IPv6", "tcp6", "ip6 tcp"),
    ("UDP over IPv6 behind hop-by-hop and", "udp6", "ip6 udp"),
    ("neighbour solicitation",
     "icmp6,icmp_type=135,icmp_code=0", "ip6 nd"),
    ("ARP request", "arp", "arp"),
]


def vectors():
    """The vectors' packets by their comments."""
    packets = {}
    with open(VECTORS, encoding="ascii") as file:
        for line in file:
            if line.startswith("# "):
                comment = line[2:].strip()
            elif line.strip():
                packets[comment] = line.split()[0]
    return packets


def make_steps(rng, kinds):
    """Random edits of a packet that has 'kinds' of fields, as pairs of an
    ovs-ofctl action and a step of docs/formats/rule.md."""
    def mac():
        return ":".join(f"{rng.randrange(256) & 0xfe:02x}" for _ in range(6))

    def ip4():
        return ".".join(str(rng.randrange(1, 255)) for _ in range(4))

    def ip6():
        return socket.inet_ntop(socket.AF_INET6, rng.randbytes(16))

    def edit(ours, theirs, value):
        return lambda: (lambda v: (
            f"set_field:{v}->{theirs}",
            {"do": "set", "field": ours, "value": v}))(value())

    def number(ours, theirs, low, high):
        return edit(ours, theirs, lambda: rng.randrange(low, high))

    def set_vlan(vlan):     # OpenFlow adds a bit that says "a tag is there".
        return (f"set_field:{0x1000 | vlan}->vlan_vid",
                {"do": "set", "field": "vlan_vid", "value": vlan})

    def plain(action, **step):
        return lambda: (action, step)

    choices = [edit("eth_src", "eth_src", mac),
               edit("eth_dst", "eth_dst", mac)]
    if "ip4" in kinds:
        choices += [
            edit("ipv4_src", "ip_src", ip4), edit("ipv4_dst", "ip_dst", ip4),
            lambda: ("set_field:172.16.0.0/255.255.0.0->ip_src",
                     {"do": "set", "field": "ipv4_src", "value": "172.16.0.0",
                      "mask": "255.255.0.0"})]
    if "ip6" in kinds:
        choices += [
            edit("ipv6_src", "ipv6_src", ip6),
            edit("ipv6_dst", "ipv6_dst", ip6),
            number("ipv6_label", "ipv6_label", 0, 1 << 20)]
    if "ip4" in kinds or "ip6" in kinds:
        choices += [
            number("ip_dscp", "ip_dscp", 0, 64),
            number("ip_ecn", "ip_ecn", 0, 4),
            number("ip_ttl", "nw_ttl", 10, 256),
            plain("dec_ttl", do="dec_ttl")]
    for proto in ("tcp", "udp", "sctp"):
        if proto in kinds:
            choices += [
                number("tp_src", f"{proto}_src", 1, 65536),
                number("tp_dst", f"{proto}_dst", 1, 65536)]
    if "icmp" in kinds:
        choices += [number("icmp_type", "icmp_type", 0, 256),
                    number("icmp_code", "icmp_code", 0, 256)]
    if "nd" in kinds:
        choices += [edit("nd_target", "nd_target", ip6),
                    edit("nd_sll", "nd_sll", mac)]
    if "arp" in kinds:
        choices += [
            number("arp_op", "arp_op", 1, 3), edit("arp_spa", "arp_spa", ip4),
            edit("arp_tpa", "arp_tpa", ip4), edit("arp_sha", "arp_sha", mac),
            edit("arp_tha", "arp_tha", mac)]
    if "tag" in kinds:
        choices += [lambda: set_vlan(rng.randrange(0, 4096)),
                    number("vlan_pcp", "vlan_pcp", 0, 8)]
    if "label" in kinds:
        choices += [
            number("mpls_label", "mpls_label", 0, 1 << 20),
            number("mpls_tc", "mpls_tc", 0, 8)]

    steps = [rng.choice(choices)() for _ in range(rng.randrange(1, 7))]
    last = [plain("pop_vlan", do="pop_vlan")] if "tag" in kinds else [
        lambda: ("push_vlan:0x8100,set_field:4103->vlan_vid",
                 {"do": "set", "field": "vlan_vid", "value": 7})]
    if "arp" not in kinds:      # A third label is the switch's last.
        last.append(plain("push_mpls:0x8847", do="push_mpls",
                          ethertype="0x8847"))
    if rng.random() < 0.4:
        steps.append(rng.choice(last)())
    return steps


class Switch:
    """ovs-vswitchd with a dummy datapath: ports 1.. to send into, 'out' that
    writes a capture."""

    def __init__(self, directory):
        self.dir = str(directory)
        self.db = f"unix:{self.dir}/db.sock"
        self.capture = f"{self.dir}/out.pcap"
        self.env = {**os.environ, "OVS_RUNDIR": self.dir}
        self._processes = []
        self._read = 24

    def start(self, n_ports):
        """Starts it with a bridge that has 'n_ports' inputs."""
        run(["ovsdb-tool", "create", f"{self.dir}/conf.db", SCHEMA])
        self._spawn("ovsdb-server", f"{self.dir}/conf.db",
                    f"--remote=punix:{self.dir}/db.sock",
                    f"--unixctl={self.dir}/ovsdb.ctl", "-vconsole:warn")
        wait_until(lambda: os.path.exists(f"{self.dir}/db.sock"),
                   what="ovsdb-server")
        self._vsctl("--no-wait", "init")
        self._spawn("ovs-vswitchd", self.db, "--enable-dummy=override",
                    "--disable-system", f"--unixctl={self.dir}/vs.ctl",
                    "-vconsole:warn")
        command = ["add-br", "br0", "--", "set", "bridge", "br0",
                   "datapath-type=dummy", "fail-mode=secure",
                   "protocols=OpenFlow13", "--", "set", "Open_vSwitch", ".",
                   "other_config:vlan-limit=2",
                   "--", "add-port", "br0", "out", "--", "set", "interface",
                   "out", "type=dummy", "ofport_request=1000",
                   f"options:tx_pcap={self.capture}"]
        for i in range(1, n_ports + 1):
            command += ["--", "add-port", "br0", f"in{i}", "--", "set",
                        "interface", f"in{i}", "type=dummy",
                        f"ofport_request={i}"]
        self._vsctl(*command)

    def _spawn(self, name, *argv):
        self._processes.append(Process(
            name, [f"/usr/sbin/{name}", *argv], f"{self.dir}/{name}.log",
            env=self.env))

    def _vsctl(self, *argv):
        run(["ovs-vsctl", "--timeout=20", f"--db={self.db}", *argv],
            env=self.env)

    def stop(self):
        """Ends it."""
        for process in reversed(self._processes):
            process.stop()

    def set_rules(self, rules):
        """Replaces all rules by these lines of ovs-ofctl."""
        run(["ovs-ofctl", "-O", "OpenFlow13", "replace-flows",
             f"unix:{self.dir}/br0.mgmt", "-"], env=self.env,
            stdin="\n".join(rules) + "\n")

    def _next_packet(self):
        with open(self.capture, "rb") as file:
            file.seek(self._read)
            record = file.read()
        if len(record) < 16:
            return None
        length = struct.unpack("<I", record[8:12])[0]
        if len(record) < 16 + length:
            return None
        self._read += 16 + length
        return record[16:16 + length].hex()

    def forward(self, port, packet):
        """Sends the packet into 'port'; returns what comes out."""
        run(["ovs-appctl", "-t", f"{self.dir}/vs.ctl",
             "netdev-dummy/receive", f"in{port}", packet], env=self.env)
        return wait_until(self._next_packet, 5.0,
                          what=f"what went into port {port} to come out")


@pytest.fixture(name="switch")
def fixture_switch(tmp_path):
    """A Switch that ends with the test."""
    switch = Switch(tmp_path)
    try:
        switch.start(N_RULES)
        yield switch
    finally:
        switch.stop()


def apply_all(cases):
    """What rule_apply makes of each case's packet."""
    lines = "".join(
        json.dumps({"dpid": "1", "version": 1,
                    "steps": steps + [{"do": "output", "port": 1000}]})
        + "\t" + packet + "\n" for _, steps, packet in cases)
    return run([TOOL], stdin=lines).split("\n")[:-1]


@pytest.mark.parametrize("number", range(N_ROUNDS))
def test_rules_make_the_same_packets(switch, number):
    """Rule by rule, the switch's packet is ours."""
    seed = f"{os.environ.get('RULE_APPLY_SEED', '')}/{number}"
    rng = random.Random(seed)
    by_comment = vectors()
    rules, cases = [], []
    for port in range(1, N_RULES + 1):
        start, match, kinds = rng.choice(PACKETS)
        packet = next(hex_ for comment, hex_ in by_comment.items()
                      if comment.startswith(start))
        steps = make_steps(rng, kinds.split())
        actions = ",".join(action for action, _ in steps)
        rules.append(f"in_port={port},{match},actions={actions},output:1000")
        cases.append((rules[-1], [step for _, step in steps], packet))
    switch.set_rules(rules)
    ours = apply_all(cases)
    for port, ((rule, _, packet), our) in enumerate(zip(cases, ours), 1):
        theirs = switch.forward(port, packet)
        assert our == theirs, f"seed {seed}: {rule} of {packet}"
