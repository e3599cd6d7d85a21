# SPDX-License-Identifier: Apache-2.0
# Random OpenFlow: what a controller might send, sane and insane.
"""
steps(random.Random(seed), version, encoder, n) gives n steps, each a tuple:

  ("send", [message, ..], text)   messages of the controller, with xids
  ("packet", port, frame, text)   a frame comes in at a port
  ("warp", 5, text)               time goes on by 5 s; timeouts lie between,
                                  2 s or more from each other and from its end
  ("look", [request, ..], text)   statistics are asked for

Values are taken from small sets, so that rules overlap, groups and meters are
there or just not, and commands hit several rules or none.
"""

import struct

from frames import arp_request, ethernet, ipv4, udp4, udp6
from openflow import (
    AGGREGATE, BUNDLE_ADD, BUNDLE_CONTROL, DESC, EXPERIMENTER, FEATURES_REQUEST,
    FLOW, GET_CONFIG, GROUP, GROUP_DESC, GROUP_FEATURES, METER, METER_CONFIG,
    METER_FEATURES, METER_MOD, ONF, PORT, PORT_DESC, PORT_MOD, QUEUE,
    QUEUE_DESC, SET_CONFIG, TABLE, TABLE_DESC, TABLE_FEATURES, TABLE_MOD,
    actions_of, barrier, match_of, message, multipart, packet_out, port_number)

M1, M2, M3 = ("02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03")

FRAMES = {
    "tcp 80": ethernet(M1, M2, 0x0800, ipv4(
        "10.0.0.1", "10.0.0.2", 6,
        struct.pack("!HHIIBBHHH", 1025, 80, 7, 9, 0x50, 2, 100, 0, 0))),
    "tcp 81": ethernet(M2, M1, 0x0800, ipv4(
        "10.0.0.2", "10.0.0.1", 6,
        struct.pack("!HHIIBBHHH", 1026, 81, 7, 9, 0x50, 2, 100, 0, 0))),
    "udp": udp4(M1, M3, "10.0.0.1", "10.0.1.3", 1000, 53),
    "udp ttl 1": udp4(M1, M2, "10.0.0.1", "10.0.0.2", 1000, 53, ttl=1),
    "icmp": ethernet(M3, M1, 0x0800, ipv4(
        "10.0.1.3", "10.0.0.1", 1, struct.pack("!BBHHH", 8, 0, 0, 1, 1))),
    "udp6": udp6(M1, M2, "fc00::1", "fc00::2", 1000, 53),
    "arp": arp_request(M1, "10.0.0.1", "10.0.0.2"),
    "vlan 5": ethernet(M1, M2, 0x0800, ipv4(
        "10.0.0.1", "10.0.0.2", 17, struct.pack("!HHHH", 1, 53, 8, 0)),
        vlan=5),
    "unknown": ethernet(M2, M3, 0x88b5, b"lasthop" * 20),
}

MATCHES = [
    "", "", "in_port=1", "in_port=2", "ip", "ip,nw_dst=10.0.0.2",
    "ip,nw_src=10.0.0.0/24", "tcp", "tcp,tp_dst=80", "udp",
    "udp,tp_dst=53", "arp", f"dl_dst={M2}", f"dl_src={M1}",
    "dl_vlan=5", "vlan_tci=0x0000/0x1000", "ip6", "icmp", "in_port=1,ip",
    "in_port=3,tcp", "dl_type=0x88b5", "ip,nw_ttl=1", "in_port=LOCAL",
]
MATCHES_NXM = ["reg0=0x1", "metadata=0x5/0xf", "ct_state=+trk,ip",
               "ct_state=-trk,ip", "conj_id=7,ip", "ip,nw_frag=no",
               "tun_id=0", "reg0=0x1,tcp"]
TABLES = [0, 0, 0, 0, 1, 1, 2, 3, 252, 253]
COOKIES = ["0", "0x1", "0x12", "0x13", "0x1122334455667788"]

OUTPUTS = ["output:1", "output:2", "output:3", "output:4", "local", "in_port",
           "flood", "all", "normal", "controller", "controller:60",
           "output:77", "output(port=2,max_len=70)", "enqueue:2:0"]
ACTIONS = [
    "mod_dl_dst:02:00:00:00:00:07", "mod_dl_src:02:00:00:00:00:08",
    "mod_vlan_vid:5", "mod_vlan_pcp:3", "strip_vlan", "mod_tp_dst:99",
    "mod_nw_src:10.9.9.9", "mod_nw_tos:16", "dec_ttl", "mod_nw_ttl:3",
    "load:0x2->NXM_NX_REG0[]", "load:0x1->NXM_NX_REG0[],resubmit(,2)",
    "output:NXM_NX_REG0[]", "resubmit(,1)", "resubmit(,2)", "resubmit(2,3)",
    "resubmit(,3)", "note:01.02.03.04.05", "set_queue:1", "pop_queue",
    "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
    "clone(mod_nw_ttl:9,output:3)", "exit",
    "learn(table=3,priority=7,idle_timeout=6,"
    "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])",
    "learn(table=2,priority=8,cookie=0x77,NXM_OF_ETH_SRC[],"
    "load:0x3->NXM_NX_REG1[])",
    "controller(reason=no_match,id=0,max_len=40)",
    "controller(reason=invalid_ttl,max_len=50)",
    "controller(userdata=01.02.03)",
    "multipath(eth_src,50,modulo_n,3,0,NXM_NX_REG1[0..1])",
    "bundle(eth_src,0,hrw,ofport,members:1,2)", "fin_timeout(idle_timeout=1)",
    "push:NXM_NX_REG0[],pop:NXM_NX_REG1[]", "sample(probability=65535)",
    "dec_ttl(1,2)", "set_tunnel:5", "check_pkt_larger(100)->NXM_NX_REG0[0]",
]
# With a match on ip.
CT = ["ct(table=3)", "ct(commit)", "ct(commit,table=2,zone=5)", "ct_clear",
      "ct(commit,nat(src=10.7.7.7)),output:3"]
ACTIONS_13 = ["push_vlan:0x8100,set_field:4100->vlan_vid", "group:1",
              "group:2", "group:3", "group:2,output:1", "pop_vlan",
              "push_mpls:0x8847,set_field:5->mpls_label",
              "set_field:10.5.5.5->ip_dst"]
FLAGS = ["send_flow_rem", "send_flow_rem", "check_overlap", "reset_counts"]
FLAGS_13 = FLAGS + ["no_packet_counts", "no_byte_counts"]


class Steps:
    """Makes steps.  Flow-mods and group-mods are text first, so that all of
    them can be encoded at once (encode())."""

    def __init__(self, rng, version):
        self.rng = rng
        self.version = version
        self.flows = []     # Text of those to be encoded.
        self.groups = []
        self.next_xid = 100
        self.next_bundle = 1
        self.n_timeouts = 0
        # Open vSwitch 3.1 ends when a packet with an action set meets what
        # sends it through the datapath again: docs/limits.md.
        self.has_sets = version > 1 and rng.random() < 0.5
        self.lowest = rng.choice(MATCHES)   # The match of priority 0.
        self.is_plain = version == 1 and rng.random() < 0.3

    # --- texts ---------------------------------------------------------------

    def actions(self, match, table):
        """A random list of actions that ovs-ofctl takes with that match."""
        rng = self.rng
        if rng.random() < 0.08:
            return "drop"
        has_ip = match.split(",")[-1] not in ("arp", "ip6") and any(
            w in match.split(",") for w in ("ip", "tcp", "udp", "icmp"))
        pool = [a for a in ACTIONS if "nw_" not in a and "tp_" not in a
                and "ttl" not in a and "fin_" not in a or has_ip]
        pool = [a for a in pool if "tp_dst:" not in a or "tcp" in match
                or "udp" in match]
        pool = [a for a in pool if "fin_" not in a or "tcp" in match]
        if self.version > 1:
            pool = [a for a in pool if "strip_vlan" not in a
                    and "mod_vlan" not in a and "vlan_pcp" not in a] \
                + [a for a in ACTIONS_13
                   if ("ip_dst" not in a or has_ip)
                   and ("mpls" not in a or not has_ip)
                   and ("pop_vlan" not in a or "dl_vlan" in match)]
        else:
            pool = [a for a in pool if "vlan" not in a or True]
        if has_ip:
            pool = pool + CT
        if self.has_sets:
            pool = [a for a in pool if "mpls" not in a
                    and not a.startswith("ct(") and "group" not in a]
        words = []
        if self.version > 1 and rng.random() < 0.05:
            words.append(f"meter:{rng.choice((1, 2))}")
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            words.append(rng.choice(pool))
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            words.append(rng.choice(OUTPUTS))
        words = [w for w in words if not w.startswith("meter")] \
            if self.version == 1 else words
        if self.version > 1 and rng.random() < 0.25:
            if rng.random() < 0.3:
                words.append("clear_actions")
            if self.has_sets and rng.random() < 0.6:
                inner = [rng.choice((
                    "output:1", "output:2", "output:3", "group:1", "group:2",
                    "set_field:02:00:00:00:00:09->eth_dst",
                    "set_queue:1", "controller", "all", "flood"))
                    for _ in range(rng.choice((1, 1, 2)))]
                words.append(f"write_actions({','.join(inner)})")
            if rng.random() < 0.2:
                words.append("write_metadata:0x5")
            higher = [t for t in (1, 2, 3, 252, 253) if t > table]
            if higher:
                words.append(f"goto_table:{rng.choice(higher)}")
        return ",".join(words) or "drop"

    def match(self):
        """A random match."""
        if not self.is_plain and self.rng.random() < 0.15:
            return self.rng.choice(MATCHES_NXM)
        return self.rng.choice([m for m in MATCHES if not self.is_plain
                                or "ip6" not in m and "ttl" not in m
                                and "vlan_tci" not in m])

    def priority(self, match):
        """A priority for a rule.  Of two rules of one priority that match a
        packet the switch may take either, so each match has its own."""
        if match == self.lowest and self.rng.random() < 0.3:
            return 0
        every = MATCHES + MATCHES_NXM
        return self.rng.choice((10, 10, 1000, 60000)) + every.index(match)

    def flow(self, is_strict=False):
        """The line of a random flow-mod."""
        rng = self.rng
        command = rng.choice(["add"] * 6 + [
            "modify", "modify", "modify_strict", "delete", "delete_strict"])
        if is_strict and command in ("modify", "delete"):
            command += "_strict"
        match = self.match()
        words = []
        table = rng.choice(TABLES)
        if command not in ("delete", "modify") or rng.random() < 0.5:
            words.insert(0, f"table={table}")
        elif command == "delete" and rng.random() < 0.8:
            words.append(f"table={rng.choice((1, 2, 3))}")
        else:
            table = 0
        if command != "delete":
            words.append(f"priority={self.priority(match)}")
        if command == "add":
            words.append(f"cookie={rng.choice(COOKIES)}")
            if rng.random() < 0.3:
                # Of its own priority, so that it is not told from another by
                # its age, which the recorder knows by its own clock.
                self.n_timeouts += 1
                words[-2] = f"priority={20000 + self.n_timeouts}"
                words.append(f"idle_timeout={rng.choice((0, 1, 6))}")
                words.append(f"hard_timeout={rng.choice((3, 13, 18))}")
            if self.version >= 5 and rng.random() < 0.3:
                words.append(f"importance={rng.choice((1, 7))}")
            if rng.random() < 0.4:
                flag = rng.choice(FLAGS_13 if self.version > 1 else FLAGS[:3])
                words.append(flag)
                if flag == "check_overlap" and "timeout" not in str(words):
                    words[1] = "priority=777"   # Only such rules have it.
        elif not self.is_plain and rng.random() < 0.4:
            words.append(f"cookie={rng.choice(COOKIES)}/"
                         f"{rng.choice(('-1', '0xf0', '0x1'))}")
        elif command.startswith("modify") and rng.random() < 0.4:
            words.append(f"cookie={rng.choice(COOKIES)}")
            if rng.random() < 0.3:
                words.append("reset_counts" if self.version > 1
                             else "check_overlap")
        if command.startswith("delete") and rng.random() < 0.3:
            words.append(f"out_port={rng.choice((1, 2, 'controller'))}"
                         if self.version == 1 or rng.random() < 0.6
                         else f"out_group={rng.choice((1, 2))}")
        words += [match] if match else []
        if not command.startswith("delete"):
            if rng.random() < 0.03 and "ip" in match.split(",") \
                    and not self.is_plain:
                words.append("actions=conjunction(7,1/2)")
            else:
                words.append("actions=" + self.actions(match, table))
        return f"{command} {','.join(words)}"

    def group(self, is_kept=False):
        """The line of a random group-mod; 'is_kept': no delete."""
        rng = self.rng
        command = rng.choice(("add", "add", "add", "modify", "delete"))
        if is_kept and command == "delete":
            command = "modify"
        number = rng.choice((1, 2, 3))
        if command == "delete":
            return "delete" if rng.random() < 0.1 else \
                f"delete group_id={number}"
        kind = rng.choice(("all", "select", "indirect", "ff"))
        buckets = []
        for _ in range(1 if kind == "indirect" else rng.choice((0, 1, 2, 3))):
            words = []
            if kind == "select":
                words.append(f"weight:{rng.choice((0, 1, 5))}")
            if kind == "ff":
                words.append(f"watch_port:{rng.choice((1, 2, 3))}")
            words.append("actions=" + rng.choice((
                "output:1", "output:2", "output:3", "output:4", "drop",
                "set_field:02:00:00:00:00:0a->eth_dst,output:2",
                "push_vlan:0x8100,set_field:4101->vlan_vid,output:3",
                "group:2", "group:3", "resubmit(,2)", "controller",
                "flood", "normal", "in_port", "all")))
            buckets.append("bucket=" + ",".join(words))
        return f"{command} group_id={number},type={kind}" + \
            "".join("," + b for b in buckets)

    # --- steps ---------------------------------------------------------------

    def xid(self):
        """A transaction ID that is not used yet."""
        self.next_xid += 1
        return self.next_xid

    def one(self):
        """A step, flow-mods and group-mods in it still ("flow", index) and
        ("group", index)."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.45:
            return ("send", [self.take_flow()], self.flows[-1])
        if roll < 0.55 and self.version > 1:
            return ("send", [self.take_group()], self.groups[-1])
        if roll < 0.62:
            return self.bundle() if self.version > 1 else \
                ("send", [self.take_flow(), self.take_flow()],
                 " + ".join(self.flows[-2:]))
        if roll < 0.84:
            port = rng.choice((1, 1, 2, 3, 4))
            name = rng.choice(list(FRAMES))
            return ("packet", port, FRAMES[name], f"{name} at {port}")
        if roll < 0.87:
            return ("warp", 5, "warp")
        if roll < 0.90:
            return ("send", [self.mutant()], f"mutant of {self.flows[-1]}")
        return self.other()

    def take_flow(self, is_strict=False):
        self.flows.append(self.flow(is_strict))
        return ("flow", len(self.flows) - 1, self.xid())

    def take_group(self, is_kept=False):
        self.groups.append(self.group(is_kept))
        return ("group", len(self.groups) - 1, self.xid())

    def mutant(self):
        """A flow-mod with something wrong in it."""
        self.flows.append(self.flow())
        return ("mutant", len(self.flows) - 1, self.xid(),
                self.rng.getrandbits(32))

    def bundle(self):
        """A bundle, closed or not, committed or not."""
        rng = self.rng
        number = self.next_bundle
        self.next_bundle += 1
        flags = rng.choice((1, 2, 3, 3))
        parts = [("bundle", number, 0, flags, self.xid())]
        texts = []
        # In a bundle Open vSwitch 3.1 does not find rules that the bundle adds
        # by commands without "strict", if no older rule matches on the same
        # fields: docs/limits.md.
        has_new = False
        for _ in range(rng.randint(1, 5)):
            if rng.random() < 0.2:
                # Open vSwitch 3.1 ends when a bundle fails that has deleted a
                # group: docs/limits.md.
                parts.append(("add", number, flags, self.take_group(True)))
                texts.append(self.groups[-1])
            elif rng.random() < 0.05:
                parts.append(("add", number, flags, self.mutant()))
                texts.append("mutant of " + self.flows[-1])
            else:
                parts.append(("add", number, flags, self.take_flow(has_new)))
                texts.append(self.flows[-1])
                has_new |= texts[-1].startswith("add")
        if rng.random() < 0.7:
            parts.append(("bundle", number, 2, flags, self.xid()))
        parts.append(("bundle", number, 6 if rng.random() < 0.15 else 4,
                      flags, self.xid()))
        return ("send", parts, "bundle: " + " + ".join(texts))

    def other(self):
        """A message of the rarer kinds."""
        rng, version, xid = self.rng, self.version, self.xid()
        roll = rng.random()
        if roll < 0.35:
            self.flows.append("add actions=" + ",".join(rng.choice((
                OUTPUTS + ["output:table", "resubmit(,1)",
                           "mod_dl_dst:02:00:00:00:00:07,output:1"]
                # Over 1.0 what resubmit does not find in table 0 is punted:
                # docs/limits.md.
                + (["group:1", "resubmit(,0)"] if version > 1 else [])))
                for _ in range(rng.choice((1, 1, 2)))))
            name = rng.choice(list(FRAMES))
            return ("send", [("packet-out", len(self.flows) - 1, xid,
                              rng.choice((1, 2, 0xfffd, 0xffff, 0xfffe)),
                              FRAMES[name])],
                    f"packet-out {name} {self.flows[-1]}")
        if roll < 0.5 and version > 1:
            return ("send", [meter_mod(version, xid, rng.choice((0, 0, 1, 2)),
                                       rng.choice((1, 2)))], "meter-mod")
        if roll < 0.6:
            return ("send", [port_mod(version, xid, rng.choice((2, 3, 77)),
                                      rng.choice((0, 1, 0x10, 4, 0x20)))],
                    "port-mod")
        if roll < 0.7 and version > 1:
            return ("send", [message(version, TABLE_MOD, xid, struct.pack(
                ">B3xI", rng.choice((0, 1, 3, 254, 255)),
                rng.choice((0, 1, 2, 3))))], "table-mod")
        if roll < 0.8:
            return ("send", [message(version, SET_CONFIG, xid, struct.pack(
                ">HH", rng.choice((0, 0, 1)), rng.choice((0, 60, 128,
                                                          0xffff))))],
                    "set-config")
        if roll < 0.85:
            return ("send", [message(version, rng.choice((2, 2, 99)), xid,
                                     b"payload")], "echo or unknown")
        if roll < 0.9:
            return ("send", [message(version, EXPERIMENTER, xid, struct.pack(
                ">II", rng.choice((NX, ONF, 0x1234)), 77) + bytes(8))],
                "experimenter")
        kind = rng.choice((FLOW, AGGREGATE, PORT, QUEUE, 99))
        return ("look", [multipart(version, xid, kind, bytes(
            rng.getrandbits(8) for _ in range(rng.choice((0, 3, 8)))))],
            f"malformed multipart {kind}")

    def look(self):
        """All statistics there are."""
        version, rng = self.version, self.rng
        asks = [message(version, FEATURES_REQUEST, self.xid()),
                message(version, GET_CONFIG, self.xid())]

        def ask(kind, body=b""):
            asks.append(multipart(version, self.xid(), kind, body))
        ask(DESC)
        ask(TABLE)
        if version == 1:
            every = struct.pack(">I", 0x3fffff) + bytes(36)
            for table in (0xff, rng.choice(TABLES)):
                for port in (0xffff, rng.choice((1, 2, 0xfffd))):
                    ask(FLOW, every + struct.pack(">BxH", table, port))
                    ask(AGGREGATE, every + struct.pack(">BxH", table, port))
                    nicira = struct.pack(">HHBxxx", port, 0, table)
                    for sub in (0, 1):
                        ask(0xffff, struct.pack(">II4x", NX, sub)
                        + nicira)
            ask(PORT, struct.pack(">H6x", 0xffff))
            ask(PORT, struct.pack(">H6x", rng.choice((1, 9, 0xfffe))))
            ask(QUEUE, struct.pack(">HHI", 1, 0, 0xffffffff))
            return ("look", asks, "statistics")
        anything = b"\0\1\0\4\0\0\0\0"
        for table, port, group, cookie, mask in (
                (0xff, NONE, NONE, 0, 0),
                (rng.choice(TABLES), NONE, NONE, 0, 0),
                (0xff, rng.choice((1, 2, 0xfffffffd)), NONE, 0, 0),
                (0xff, NONE, rng.choice((1, 2)), 0, 0),
                (0xff, NONE, NONE, 0x12, rng.choice((0xff, 0xf0)))):
            body = struct.pack(">B3xII4xQQ", table, port, group, cookie,
                               mask) + anything
            ask(FLOW, body)
            ask(AGGREGATE, body)
        ask(PORT, struct.pack(">I4x", NONE))
        ask(PORT, struct.pack(">I4x", rng.choice((1, 9, 0xfffffffe))))
        ask(QUEUE, struct.pack(">II", rng.choice((1, 2)), NONE))
        for kind in (GROUP, GROUP_DESC):
            ask(kind, struct.pack(">I4x", 0xfffffffc))
        ask(GROUP, struct.pack(">I4x", rng.choice((1, 2, 3))))
        ask(GROUP_FEATURES)
        ask(METER, struct.pack(">I4x", NONE))
        ask(METER_CONFIG, struct.pack(">I4x", NONE))
        ask(METER_FEATURES)
        ask(PORT_DESC, struct.pack(">I4x", NONE) if version == 6 else b"")
        if rng.random() < 0.3:
            ask(TABLE_FEATURES)
        if version >= 5:
            ask(TABLE_DESC)
            ask(QUEUE_DESC, struct.pack(">II", 1, NONE))
        return ("look", asks, "statistics")

    # --- encoding ------------------------------------------------------------

    def encode(self, encoder, steps):
        """'steps' with every message as bytes."""
        options = ("-F", "OpenFlow10+table_id") if self.is_plain else ()
        flows = encoder.encode(self.version, "add-flows", self.flows, options)
        groups = encoder.encode(self.version, "add-groups", self.groups) \
            if self.groups else []

        def whole(part):
            if isinstance(part, bytes):
                return part
            kind = part[0]
            if kind in ("flow", "group"):
                msg = (flows if kind == "flow" else groups)[part[1]]
                return msg[:4] + struct.pack(">I", part[2]) + msg[8:]
            if kind == "mutant":
                msg = flows[part[1]]
                return mutate(msg[:4] + struct.pack(">I", part[2]) + msg[8:],
                              part[3])
            if kind == "packet-out":
                return packet_out(self.version, part[2], part[3],
                                  actions_of(flows[part[1]]), part[4])
            if kind == "add":
                return bundle_add(self.version, part[1], part[2],
                                  whole(part[3]))
            _, number, control, flags, xid = part
            return bundle_control(self.version, xid, number, control, flags)
        found = []
        for step in steps:
            if step[0] == "send":
                step = ("send", [whole(part) for part in step[1]], step[2])
            found.append(step)
        if self.version > 1 and flows:
            found.append(self.look_by_match(flows))
        return found

    def look_by_match(self, flows):
        """Flow and aggregate statistics of rules within some match."""
        asks = []
        for msg in self.rng.sample(flows, min(4, len(flows))):
            for kind in (FLOW, AGGREGATE):
                asks.append(multipart(self.version, self.xid(), kind,
                                      struct.pack(">B3xII4xQQ", 0xff, NONE,
                                                  NONE, 0, 0)
                                      + match_of(msg)))
        return ("look", asks, "statistics by match")


NX = 0x2320
NONE = 0xffffffff


def mutate(msg, seed):
    """'msg' with a few bytes of its body changed, or its table or length."""
    kind = seed % 4
    seed >>= 2
    if kind == 0 and msg[0] > 1:
        return msg[:24] + bytes([254 + seed % 2]) + msg[25:]
    if kind == 1:
        size = len(msg) - 8 * (1 + seed % 3)
        return msg[:2] + struct.pack(">H", max(size, 16)) \
            + msg[4:max(size, 16)]
    at = 16 + seed % (len(msg) - 16)
    return msg[:at] + bytes([msg[at] ^ (1 + (seed >> 12) % 255)]) \
        + msg[at + 1:]


def bundle_control(version, xid, number, control, flags):
    """A bundle control message: 0 opens, 2 closes, 4 commits, 6 discards."""
    body = struct.pack(">IHH", number, control, flags)
    if version == 4:
        return message(version, EXPERIMENTER, xid,
                       struct.pack(">II", ONF, 2300) + body)
    return message(version, BUNDLE_CONTROL, xid, body)


def bundle_add(version, number, flags, inner):
    """'inner' for a bundle."""
    body = struct.pack(">IHH", number, 0, flags) + inner
    if version == 4:
        return message(version, EXPERIMENTER,
                       struct.unpack(">I", inner[4:8])[0],
                       struct.pack(">II", ONF, 2301) + body)
    return message(version, BUNDLE_ADD, struct.unpack(">I", inner[4:8])[0],
                   body)


def meter_mod(version, xid, command, number):
    """A meter-mod with one drop band that lets all of a test pass."""
    band = b"" if command == 2 else struct.pack(">HHII4x", 1, 16, 1000000, 0)
    return message(version, METER_MOD, xid,
                   struct.pack(">HHI", command, 1, number) + band)


def port_mod(version, xid, port, config):
    """A port-mod that sets or clears 'config' (a bit, or 0 for all)."""
    mac = bytes.fromhex(f"aa55aa5500{port:02x}")
    mask = config or 0x35
    if version == 1:
        body = struct.pack(">H", port) + mac + struct.pack(
            ">III4x", config, mask, 0)
    elif version == 4:
        body = struct.pack(">I4x", port) + mac + struct.pack(
            ">xxIII4x", config, mask, 0)
    else:
        body = struct.pack(">I4x", port) + mac + struct.pack(
            ">xxII", config, mask)
    return message(version, 15 if version == 1 else PORT_MOD, xid, body)


def steps(rng, version, encoder, n):
    """See the top of this file."""
    made = Steps(rng, version)
    found = []
    if version == 1 and rng.random() < 0.9:
        # Nicira's: a flow-mod's command holds the table too.
        found.append(("send", [message(1, EXPERIMENTER, made.xid(),
                                       struct.pack(">IIB7x", NX, 15, 1))],
                      "flow_mod_table_id"))
    for i in range(n):
        found.append(made.one())
        if i % 8 == 7:
            found.append(made.look())
    found.append(made.look())
    return made.encode(encoder, found)


__all__ = ["FRAMES", "barrier", "steps"]
