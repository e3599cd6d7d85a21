# SPDX-License-Identifier: Apache-2.0
# The rules that lasthop says a packet meets, against what Open vSwitch says
# (ofproto/trace): random rules, groups and packets, table by table.

import os
import random
import re
import socket
import struct

import pytest

from lab import bindir
from process import Failed, run

TOOL = os.path.join(bindir(), "..", "tests", "recorder", "why_tool")
N_TABLES = 5
N_RULES = 60
N_GROUPS = 6
N_PACKETS = 25
PORTS = (1, 2, 3)
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.1.1")
ADDRESSES6 = ("fd00::1", "fd00::2")
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
TP = (80, 81, 96)


def random_match(rng):
    """What kind of packet, and a match that random packets meet often."""
    parts = []
    if rng.random() < 0.3:
        parts.append(f"in_port={rng.choice(PORTS)}")
    if rng.random() < 0.15:
        parts.append(f"dl_src={rng.choice(MACS)}")
    if rng.random() < 0.15:
        parts.append(rng.choice(("vlan_tci=0", "dl_vlan=5", "dl_vlan=6",
                                 "vlan_tci=0x1000/0x1000", "dl_vlan_pcp=3")))
    if rng.random() < 0.3:
        parts.append(f"reg{rng.randrange(3)}={rng.randrange(3)}")
    if rng.random() < 0.1:
        parts.append(f"metadata={rng.randrange(3)}/3")
    kind = rng.choice(("", "", "ip", "tcp", "udp", "ipv6", "tcp6", "arp",
                       "mpls"))
    if kind:
        parts.append(kind)
    if kind in ("ip", "tcp", "udp"):
        if rng.random() < 0.5:
            mask = rng.choice(("", "/24", "/8"))
            parts.append(f"nw_dst={rng.choice(ADDRESSES)}{mask}")
        if rng.random() < 0.2:
            parts.append(f"nw_ttl={rng.choice((1, 63, 64))}")
        if rng.random() < 0.1:
            parts.append(f"nw_tos={rng.choice((0, 32))}")
        if rng.random() < 0.1:
            parts.append(rng.choice(("ip_frag=no", "ip_frag=later")))
    if kind in ("ipv6", "tcp6") and rng.random() < 0.5:
        parts.append(f"ipv6_dst={rng.choice(ADDRESSES6)}")
    if kind in ("tcp", "udp", "tcp6") and rng.random() < 0.5:
        parts.append(f"tp_dst={rng.choice(TP)}"
                     + rng.choice(("", "/0xfff0")))
    if kind == "arp" and rng.random() < 0.5:
        parts.append("arp_op=1")
    if kind == "mpls" and rng.random() < 0.5:
        parts.append(f"mpls_label={rng.choice((7, 8))}")
    return kind, parts


def random_edit(rng, kind):
    choices = [
        lambda: f"set_field:{rng.randrange(3)}->reg{rng.randrange(3)}",
        lambda: f"load:{rng.randrange(3)}->OXM_OF_METADATA[0..1]",
        lambda: "move:NXM_NX_REG0[]->NXM_NX_REG1[]",
        lambda: "push:NXM_NX_REG1[],pop:NXM_NX_REG2[]",
        lambda: f"mod_dl_src:{rng.choice(MACS)}",
        lambda: f"mod_vlan_vid:{rng.choice((5, 6))}",
        lambda: "push_vlan:0x8100,set_field:4101->vlan_vid",
        lambda: "strip_vlan",
    ]
    if kind in ("ip", "tcp", "udp"):
        choices += [
            lambda: f"mod_nw_dst:{rng.choice(ADDRESSES)}",
            lambda: "dec_ttl",
            lambda: f"mod_nw_ttl:{rng.choice((1, 2, 64))}",
            lambda: "mod_nw_tos:32",
            lambda: "move:NXM_OF_IP_SRC[0..1]->NXM_NX_REG0[0..1]",
            lambda: "push_mpls:0x8847,set_field:7->mpls_label",
        ]
    if kind in ("tcp", "udp"):
        choices += [lambda: f"mod_tp_dst:{rng.choice(TP)}"]
    if kind == "mpls":
        choices += [lambda: "set_field:8->mpls_label",
                    lambda: "dec_mpls_ttl"]
    return rng.choice(choices)()


def random_actions(rng, table, kind, in_group=False, depth=0):
    """Actions of a rule of 'table'; tables lead to later ones, so that no
    packet runs in circles."""
    actions = []
    changes_type = False
    for _ in range(rng.randrange(1, 5)):
        roll = rng.random()
        if changes_type and roll < 0.35:
            continue    # Not valid any more after another EtherType.
        if roll < 0.35:
            edit = random_edit(rng, kind)
            changes_type |= "mpls" in edit
            actions.append(edit)
        elif roll < 0.5:
            actions.append(f"output:{rng.choice(PORTS)}")
        elif roll < 0.7 and table + 1 < N_TABLES and not in_group:
            later = rng.randrange(table + 1, N_TABLES)
            actions.append(rng.choice((
                f"resubmit(,{later})",
                f"resubmit({rng.choice(PORTS)},{later})")))
        elif (roll < 0.78 and table + 1 < N_TABLES and not in_group
              and depth < 2):
            actions.append(f"group:{rng.randrange(N_GROUPS)}")
        elif roll < 0.85 and not in_group and depth < 2:
            inner = random_actions(rng, table, kind, depth=depth + 1)
            actions.append(f"clone({inner})")
        elif roll < 0.88 and not in_group:
            actions.append("exit")
        elif (roll < 0.92 and not in_group and kind in ("ip", "tcp", "udp")
              and not changes_type and table + 1 < N_TABLES):
            later = rng.randrange(table + 1, N_TABLES)
            actions.append(f"ct(zone={rng.randrange(2)},table={later})")
        elif roll < 0.96:
            actions.append(f"output:NXM_NX_REG{rng.randrange(3)}[0..15]"
                           if not in_group else "in_port")
    if depth or in_group:
        return ",".join(actions) or "output:1"
    if rng.random() < 0.15:
        actions.append("clear_actions")
    if rng.random() < 0.25:
        actions.append(f"write_actions(output:{rng.choice(PORTS)})")
    if table + 1 < N_TABLES and rng.random() < 0.3:
        actions.append(f"goto_table:{rng.randrange(table + 1, N_TABLES)}")
    return ",".join(actions) or "drop"


def random_rules(rng):
    """Rules as text; their cookies are their numbers.  No two of one table
    have one priority: which of them a switch takes is not defined."""
    rules = [f"table={table},priority=0,cookie={1000 + table} "
             f"actions=resubmit(,{table + 1})" for table in range(3)]
    taken = set()
    for number in range(1, N_RULES + 1):
        table = rng.choice((0, 0, 1, 1, 2, 3, 4))
        priority = rng.randrange(1, 1000)
        if (table, priority) in taken:
            continue
        taken.add((table, priority))
        kind, match = random_match(rng)
        if table == 1 and rng.random() < 0.3:
            actions = rng.choice(("conjunction(1,1/2)", "conjunction(1,2/2)",
                                  "conjunction(1,1/2),conjunction(2,1/2)"))
            priority = 500
        else:
            actions = random_actions(rng, table, kind)
        if table == 1 and rng.random() < 0.1:
            match = ["conj_id=1"]
            actions = f"output:{rng.choice(PORTS)}"
        rules.append(",".join([f"table={table}", f"priority={priority}",
                               f"cookie={number}", *match])
                     + f" actions={actions}")
    return rules


def random_groups(rng):
    groups = []
    for number in range(N_GROUPS):
        kind = rng.choice(("all", "indirect"))
        n = 1 if kind == "indirect" else rng.randrange(1, 4)
        buckets = "".join(
            f",bucket=set_field:{rng.randrange(3)}->reg0,"
            + rng.choice((f"output:{rng.choice(PORTS)}",
                          f"resubmit(,{N_TABLES - 1})"))
            for _ in range(n))
        groups.append(f"group_id={number},type={kind}{buckets}")
    return groups


def random_packet(rng):
    frame = bytes.fromhex((rng.choice(MACS) + rng.choice(MACS))
                          .replace(":", ""))
    if rng.random() < 0.3:
        frame += struct.pack("!HH", 0x8100, rng.choice((5, 6, 0x6005)))
    l4 = struct.pack("!HHHH", 1000, rng.choice(TP), 20, 0) + bytes(12)
    kind = rng.choice(("udp", "udp", "tcp", "tcp", "tcp6", "arp", "mpls",
                       "fragment"))
    if kind == "arp":
        return frame + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4,
                                   rng.choice((1, 2))) + bytes(20)
    if kind == "tcp6":
        header = struct.pack("!IHBB", 6 << 28, 20, 6, 64)
        return (frame + b"\x86\xdd" + header
                + socket.inet_pton(socket.AF_INET6, rng.choice(ADDRESSES6))
                + socket.inet_pton(socket.AF_INET6, rng.choice(ADDRESSES6))
                + struct.pack("!HHIIBBHHH", 1000, rng.choice(TP), 0, 0, 0x50,
                              2, 0, 0, 0))
    if kind == "mpls":
        frame += struct.pack("!HI", 0x8847,
                             rng.choice((7, 8)) << 12 | 0x100 | 64)
    else:
        frame += b"\x08\x00"
    proto = 6 if kind == "tcp" else 17
    if proto == 6:
        l4 = struct.pack("!HHIIBBHHH", 1000, rng.choice(TP), 0, 0, 0x50, 2, 0,
                         0, 0)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, rng.choice((0, 32)),
                         20 + len(l4), 1, 5 if kind == "fragment" else 0,
                         rng.choice((1, 2, 63, 64)), proto, 0,
                         socket.inet_aton(rng.choice(ADDRESSES)),
                         socket.inet_aton(rng.choice(ADDRESSES)))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    total = ~((total & 0xffff) + (total >> 16)) & 0xffff
    return frame + header[:10] + struct.pack("!H", total) + header[12:] + l4


def traced(text):
    """[(table, cookie or None)..] of what ofproto/trace wrote."""
    steps = []
    for line in text.splitlines():
        match = re.match(r"\s*(\d+)\. (.*)$", line)
        if match:
            cookie = re.search(r"cookie 0x([0-9a-f]+)", match.group(2))
            steps.append((int(match.group(1)),
                          int(cookie.group(1), 16) if cookie else None))
    return steps


def told(line):
    """The same of a line of why_tool."""
    steps = []
    for word in line.split(">")[0].split():
        table, version = word.split(":")
        steps.append((int(table), None if version == "-" else int(version)))
    return steps


@pytest.mark.parametrize("seed", range(6))
def test_matched_rules_are_those_of_the_switch(lab, seed):
    rng = random.Random(seed)
    lab.add_bridge("s1")
    for host in range(1, len(PORTS) + 1):
        lab.add_host(f"h{host}", "s1", f"10.0.0.{host}/24")
    lab.start()
    groups, rules = random_groups(rng), random_rules(rng)
    packets = [(rng.choice(PORTS), random_packet(rng))
               for _ in range(N_PACKETS)]
    for group in groups:
        lab.ofctl("add-group", "s1", group)
    # Rules that the switch refuses are left out on both sides.
    accepted = []
    for rule in rules:
        try:
            lab.ofctl("add-flow", "s1", rule)
            accepted.append(rule)
        except Failed:
            continue
    assert len(accepted) > N_RULES / 2
    lines = ([f"group {group}" for group in groups]
             + [f"flow {rule}" for rule in accepted]
             + [f"packet {port} {frame.hex()}" for port, frame in packets])
    answers = run([TOOL], stdin="\n".join(lines) + "\n").splitlines()
    assert len(answers) == len(packets)
    n_deep = 0
    for (port, frame), answer in zip(packets, answers):
        trace = lab.appctl("ofproto/trace", "s1", f"in_port={port}",
                           frame.hex())
        wanted = traced(trace)
        if told(answer) != wanted:
            pytest.fail("\n".join([*groups, *accepted, frame.hex(), trace,
                                   f"trace: {wanted}",
                                   f"ours:  {told(answer)}"]))
        n_deep += len(wanted) > 2
    assert n_deep, "no packet went further than one table"
