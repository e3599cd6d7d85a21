# SPDX-License-Identifier: Apache-2.0
"""A real OpenFlow controller (os-ken) with a script: every message that it
can send, and what a learning switch does.

Run by osken-manager with its OpenFlow version (a number on the wire) in
$OSKEN_SCRIPT_OF; the test leads it by the Unix socket $OSKEN_SCRIPT_SOCKET.
Each line there does the next step and is answered when it is done:

  {"ok": true, "do": ["said"]}              a barrier has been answered
  {"ok": true, "do": ["packet", PORT, FRAME, N]}  for the test to do: a frame
                                            comes in, N messages of it follow
  {"ok": true, "do": ["warp", MS, N]}       time goes on
  {"ok": true, "do": null, "unsaid": [..]}  the end; what os-ken has messages
                                            for that were not sent
Its transaction IDs are the same each time.
"""

import inspect
import json
import os
import random
import socket
import traceback

import eventlet
from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub
from os_ken.lib.packet import ethernet, packet
from os_ken.ofproto import (
    nx_match, ofproto_parser, ofproto_v1_0, ofproto_v1_2, ofproto_v1_3,
    ofproto_v1_4, ofproto_v1_5, ofproto_v1_5_parser)

VERSION = int(os.environ["OSKEN_SCRIPT_OF"])
NICIRA = 0x2320
ONF = 0x4f4e4600

# What a controller does not send, and what only others are made of.
ANSWERS = ("Reply", "Status", "Removed", "PacketIn", "PacketIn2", "Forward",
           "Base", "OFPSwitchFeatures", "OFPErrorMsg", "OFPStatsRequest",
           "NXStatsRequest", "OFPMultipartRequest", "NiciraHeader")

# As OpenFlow 1.0 names fields, and as later versions do.
MATCHES = {
    "any": ({}, {}),
    "in 1": ({"in_port": 1}, {"in_port": 1}),
    "ip": ({"dl_type": 0x800}, {"eth_type": 0x800}),
    "to 2": ({"dl_type": 0x800, "nw_dst": "10.0.0.2"},
             {"eth_type": 0x800, "ipv4_dst": "10.0.0.2"}),
    "arp": ({"dl_type": 0x806}, {"eth_type": 0x806}),
    "udp": ({"dl_type": 0x800, "nw_proto": 17},
            {"eth_type": 0x800, "ip_proto": 17}),
    "tcp 80": ({"dl_type": 0x800, "nw_proto": 6, "tp_dst": 80},
               {"eth_type": 0x800, "ip_proto": 6, "tcp_dst": 80}),
    "vlan 5": ({"dl_vlan": 5}, {"vlan_vid": 0x1005}),
    "bad": ({"dl_type": 0x800, "nw_proto": 200, "tp_dst": 9},
            {"ipv4_dst": "10.0.0.9"}),       # Lacks what it needs.
}


class Speech:
    """Builds messages for a datapath, of what its version has."""

    def __init__(self, datapath):
        self.datapath = datapath
        self.ofp = datapath.ofproto
        self.parser = datapath.ofproto_parser
        self.said = set()
        self.packets = hub.Queue()  # Packet-ins.
        self.places = {}            # MAC address -> its port.
        self.port_any = self.ofp.OFPP_NONE if VERSION == 1 \
            else self.ofp.OFPP_ANY
        self.no_buffer = 0xffffffff

    def make(self, name, **members):
        """What 'name' says, as a list: empty where there is no such message.
        Members that it does not have are left out."""
        found = getattr(self.parser, name, None)
        if not found:
            return []
        has = inspect.signature(found.__init__).parameters
        if "flags" in has and has["flags"].default is inspect.Parameter.empty:
            members.setdefault("flags", 0)
        self.said.add(name)
        return [found(self.datapath,
                      **{k: v for k, v in members.items() if k in has})]

    def part(self, name, *args, **members):
        """An action, band, property: no message."""
        return getattr(self.parser, name)(*args, **members)

    def match(self, name):
        """One of MATCHES."""
        return self.parser.OFPMatch(**MATCHES[name][VERSION > 1])

    def out(self, *ports):
        """Outputs to ports, by number or name."""
        return [self.part("OFPActionOutput", p if isinstance(p, int)
                          else getattr(self.ofp, f"OFPP_{p}"), 80)
                for p in ports]

    def set_source(self):
        """An edit."""
        source = "02:00:00:00:00:77"
        if VERSION == 1:
            return [self.part("OFPActionSetDlSrc", source)]
        return [self.part("OFPActionSetField", eth_src=source)]

    def group(self, number):
        """An action."""
        return [self.part("OFPActionGroup", number)]

    def instructions(self, actions):
        """That apply 'actions'."""
        if not actions or VERSION == 1:
            return []
        return [self.part("OFPInstructionActions",
                          self.ofp.OFPIT_APPLY_ACTIONS, actions)]

    def flow(self, command, match, actions=(), **members):
        """A flow-mod; its table is of 1.2 and up."""
        flags = 0
        for flag in members.pop("flags", ()):
            flags |= getattr(self.ofp, f"OFPFF_{flag}", 0)
        members = {"out_port": self.port_any, "out_group": 0xffffffff,
                   "priority": 100, "instructions":
                   self.instructions(list(actions)), **members}
        return self.make(
            "OFPFlowMod", command=getattr(self.ofp, f"OFPFC_{command}"),
            match=self.match(match), actions=list(actions), flags=flags,
            buffer_id=members.pop("buffer_id", self.no_buffer), **members)

    def packet_out(self, in_port, actions, data, buffer_id=0xffffffff):
        """A packet-out."""
        match = None if VERSION == 1 else self.parser.OFPMatch(in_port=in_port)
        return self.make("OFPPacketOut", buffer_id=buffer_id, in_port=in_port,
                         match=match, actions=actions, data=data)

    def bucket(self, actions, weight=0, watch=None, number=0):
        """Of a group."""
        if VERSION < 6:
            return self.part("OFPBucket", weight=weight, actions=actions,
                             watch_port=self.port_any if watch is None
                             else watch)
        properties = []
        if weight:
            properties.append(self.part("OFPGroupBucketPropWeight",
                                        weight=weight, length=8,
                                        type_=self.ofp.OFPGBPT_WEIGHT))
        if watch is not None:
            properties.append(self.part("OFPGroupBucketPropWatch",
                                        watch=watch, length=8,
                                        type_=self.ofp.OFPGBPT_WATCH_PORT))
        return self.part("OFPBucket", bucket_id=number, actions=actions,
                         properties=properties)

    def group_mod(self, command, kind, number, *buckets, **members):
        """A group-mod."""
        if VERSION == 1:
            return []
        return self.make("OFPGroupMod",
                         command=getattr(self.ofp, f"OFPGC_{command}"),
                         type_=getattr(self.ofp, f"OFPGT_{kind}"),
                         group_id=number, buckets=list(buckets),
                         properties=[], **members)

    def meter_mod(self, command, number, *rates):
        """A meter-mod."""
        if VERSION < 4:
            return []
        bands = [self.part("OFPMeterBandDrop", rate=rate, burst_size=0)
                 for rate in rates]
        return self.make("OFPMeterMod", flags=self.ofp.OFPMF_KBPS,
                         command=getattr(self.ofp, f"OFPMC_{command}"),
                         meter_id=number, bands=bands)

    def bundle(self, kind, number, flags=3):
        """A bundle-control."""
        prefix, ofp = ("ONF", "ONF_BCT_") if VERSION == 4 else ("OFP", "OFPBCT_")
        if VERSION < 4:
            return []
        return self.make(f"{prefix}BundleCtrlMsg", bundle_id=number,
                         type_=getattr(self.ofp, f"{ofp}{kind}_REQUEST"),
                         flags=flags, properties=[])

    def bundled(self, number, messages, flags=3):
        """Messages as parts of a bundle."""
        found = []
        for message in messages:
            if VERSION >= 4:
                self.datapath.set_xid(message)
                add = self.make("ONFBundleAddMsg" if VERSION == 4
                                else "OFPBundleAddMsg", bundle_id=number,
                                flags=flags, message=message, properties=[])
                add[0].xid = message.xid
                found += add
        return found

    def reaction(self):
        """What a learning switch does about the next packet-in."""
        message = self.packets.get(timeout=10)
        port = message.in_port if VERSION == 1 else message.match["in_port"]
        frame = packet.Packet(message.data).get_protocol(ethernet.ethernet)
        self.places[frame.src] = port
        sink = self.places.get(frame.dst)
        if sink is None:
            return self.packet_out(port, self.out("FLOOD"), message.data)
        found = self.flow("ADD", "any", self.out(sink), priority=1)
        found[0].match = self.parser.OFPMatch(
            **{"in_port": port,
               "dl_dst" if VERSION == 1 else "eth_dst": frame.dst})
        return found + self.packet_out(port, self.out(sink), message.data)

    def unsaid(self):
        """Which messages os-ken has for this version that were not made."""
        return sorted(
            name for name, found in vars(self.parser).items()
            if inspect.isclass(found)
            and issubclass(found, ofproto_parser.MsgBase)
            and not name.endswith(ANSWERS) and name not in self.said)


def descriptions(s):
    """What the switch is."""
    ofp = s.ofp
    yield s.make("OFPFeaturesRequest")
    yield s.make("OFPGetConfigRequest")
    yield s.make("OFPSetConfig", flags=ofp.OFPC_FRAG_NORMAL, miss_send_len=99)
    yield s.make("OFPGetConfigRequest")
    yield s.make("OFPEchoRequest", data=b"lasthop?")
    yield s.make("OFPDescStatsRequest")
    yield s.make("OFPTableFeaturesStatsRequest", body=[])
    yield s.make("OFPTableDescStatsRequest")
    yield s.make("OFPPortDescStatsRequest")
    yield s.make("OFPGroupFeaturesStatsRequest")
    yield s.make("OFPMeterFeaturesStatsRequest")
    yield s.make("OFPBundleFeaturesStatsRequest")
    yield s.make("OFPControllerStatusStatsRequest")
    for port in (1, 5, s.port_any):
        yield s.make("OFPQueueGetConfigRequest", port=port)
    for port in (1, 5, s.port_any):
        yield s.make("OFPQueueDescStatsRequest", port_no=port)
    yield from experimenters(s)


def experimenters(s):
    """What a controller may say that no standard knows."""
    unknown = s.make("OFPVendor")
    if unknown:
        unknown[0].vendor = 0xc0ffee
        unknown[0].data = b"\0\0\0\1\1\2\3\4"
    yield unknown
    yield s.make("OFPExperimenter", experimenter=0xc0ffee, exp_type=1,
                 data=b"\1\2\3\4")
    yield s.make("OFPExperimenterStatsRequest", experimenter=0xc0ffee,
                 exp_type=1, data=b"\1\2\3\4")
    yield s.make("OFPVendorStatsRequest", vendor=0xc0ffee,
                 specific_data=b"\1\2\3\4")
    # An error by the controller's side, which the switch takes no notice of.
    yield s.make("OFPErrorMsg", type_=s.ofp.OFPET_BAD_REQUEST, code=1,
                 data=b"12345678")


def statistics(s):
    """All that is counted or stands, with filters."""
    base = {"table_id": s.ofp.OFPTT_ALL if VERSION > 1 else 0xff,
            "out_port": s.port_any, "out_group": 0xffffffff, "cookie": 0,
            "cookie_mask": 0}
    kinds = ["OFPFlowStatsRequest", "OFPAggregateStatsRequest"]
    kinds += ["OFPFlowDescStatsRequest"] if VERSION == 6 else []
    for kind in kinds:
        for match, change in (("any", {}), ("to 2", {}), ("ip", {}),
                              ("any", {"table_id": 1}),
                              ("any", {"table_id": 77}),
                              ("any", {"out_port": 2}),
                              ("any", {"out_port": 5}),
                              ("any", {"out_group": 1}),
                              ("any", {"cookie": 0x12, "cookie_mask": 0xff})):
            yield s.make(kind, match=s.match(match), **{**base, **change})
    rule = nx_match.ClsRule()
    for kind in ("NXFlowStatsRequest", "NXAggregateStatsRequest"):
        for port in (s.port_any, 2):
            yield s.make(kind, out_port=port, table_id=0xff, rule=rule)
    yield s.make("OFPTableStatsRequest")
    for port in (1, 5, s.port_any):
        yield s.make("OFPPortStatsRequest", port_no=port)
        yield s.make("OFPQueueStatsRequest", port_no=port,
                     queue_id=0xffffffff)
    for number in (1, 99, 0xfffffffc):
        yield s.make("OFPGroupStatsRequest", group_id=number)
        yield s.make("OFPGroupDescStatsRequest", group_id=number)
    for number in (1, 99, 0xffffffff):
        yield s.make("OFPMeterStatsRequest", meter_id=number)
        yield s.make("OFPMeterConfigStatsRequest", meter_id=number)
        yield s.make("OFPMeterDescStatsRequest", meter_id=number)


def rules(s):
    """Flow-mods of every command."""
    told = ("SEND_FLOW_REM",)
    for number, (match, actions) in enumerate((
            ("any", s.out("NORMAL")), ("to 2", s.out(2)),
            ("arp", s.out("FLOOD")), ("udp", s.set_source() + s.out("ALL")),
            ("tcp 80", s.out("CONTROLLER")), ("vlan 5", []),
            ("in 1", s.out("IN_PORT", "LOCAL", 3)))):
        yield s.flow("ADD", match, actions, priority=10 + number,
                     cookie=0x10 + number, flags=told)
    yield s.flow("ADD", "to 2", s.out(3), priority=11, cookie=0x31)
    yield s.flow("ADD", "ip", s.out(4), priority=11, flags=("CHECK_OVERLAP",))
    yield s.flow("ADD", "ip", s.out(77), priority=70)
    yield s.flow("ADD", "bad", s.out(1), priority=71)
    yield s.flow("ADD", "in 1", s.out(1), priority=72, buffer_id=77)
    yield s.flow("ADD", "udp", s.out(1), priority=73, idle_timeout=1,
                 flags=told)
    yield s.flow("ADD", "arp", s.out(1), priority=74, hard_timeout=2,
                 importance=7, flags=told)
    yield s.flow("ADD", "arp", s.out(1), priority=75, table_id=254)
    yield s.flow("MODIFY", "to 2", s.out(1, 4), cookie=0x32)
    yield s.flow("MODIFY_STRICT", "udp", s.out(4), priority=13)
    yield s.flow("MODIFY_STRICT", "udp", s.out(4), priority=999)
    yield s.flow("DELETE_STRICT", "vlan 5", priority=15, table_id=0)
    yield s.flow("DELETE", "tcp 80", table_id=0)
    yield s.flow("DELETE", "any", out_port=5, table_id=0)
    if VERSION == 1:
        rule = nx_match.ClsRule()
        rule.set_reg(0, 7)
        yield s.make("NXTFlowModTableId", set_=1)
        yield s.make("NXTFlowMod", cookie=5, command=(1 << 8), rule=rule,
                     actions=s.out(2), priority=9)
        yield s.make("NXTFlowModTableId", set_=0)
        return
    ofp = s.ofp
    goto = [s.part("OFPInstructionGotoTable", 1)]
    yield s.flow("ADD", "vlan 5", priority=80, instructions=goto + [
        s.part("OFPInstructionWriteMetadata", 5, 0xff)])
    yield s.flow("ADD", "vlan 5", priority=81, instructions=goto + [
        s.part("OFPInstructionActions", ofp.OFPIT_WRITE_ACTIONS,
               s.set_source() + s.out(3))])
    yield s.flow("ADD", "any", table_id=1, priority=1, instructions=[
        s.part("OFPInstructionActions", ofp.OFPIT_CLEAR_ACTIONS, []),
        s.part("OFPInstructionActions", ofp.OFPIT_WRITE_ACTIONS, s.out(2))])
    yield s.flow("ADD", "any", table_id=1, priority=0, instructions=goto)


def groups(s):
    """Group-mods of every command and type, refused ones too."""
    if VERSION == 1:
        return
    any_port = s.port_any
    yield s.group_mod("ADD", "SELECT", 1, s.bucket(s.out(1), 1, number=1),
                      s.bucket(s.set_source() + s.out(2), 3, number=2))
    yield s.group_mod("ADD", "ALL", 2, s.bucket(s.out(1), number=1),
                      s.bucket(s.group(1), number=2),
                      s.bucket(s.out("FLOOD"), number=3),
                      s.bucket(s.out("ALL"), number=4))
    yield s.group_mod("ADD", "FF", 3,
                      s.bucket(s.out(1), watch=1, number=1),
                      s.bucket(s.out(2), watch=2, number=2))
    yield s.group_mod("ADD", "INDIRECT", 4, s.bucket(s.out(4), number=1))
    yield s.group_mod("ADD", "INDIRECT", 4, s.bucket(s.out(4)))    # Refused.
    yield s.group_mod("ADD", "INDIRECT", 5)                        # Refused.
    yield s.group_mod("ADD", "ALL", 6, s.bucket(s.group(66)))      # Refused.
    yield s.group_mod("MODIFY", "ALL", 4, s.bucket(s.out(3), number=1),
                      s.bucket([], number=2))
    yield s.group_mod("MODIFY", "ALL", 44, s.bucket(s.out(3)))     # Refused.
    if VERSION == 6:
        yield s.group_mod("INSERT_BUCKET", "ALL", 4,
                          s.bucket(s.out(2), number=9),
                          command_bucket_id=1)
        yield s.group_mod("REMOVE_BUCKET", "ALL", 4, command_bucket_id=2)
        yield s.group_mod("REMOVE_BUCKET", "ALL", 4, command_bucket_id=55)
    yield s.flow("ADD", "tcp 80", s.group(1), priority=60)
    yield s.flow("ADD", "udp", s.out(4) + s.group(2), priority=61)
    yield s.flow("ADD", "udp", s.group(99), priority=62)           # Refused.
    yield s.flow("DELETE", "any", out_group=1, out_port=any_port, table_id=0)
    yield s.flow("ADD", "tcp 80", s.group(1), priority=60)


def meters(s):
    """Meter-mods, and rules that use them."""
    yield s.meter_mod("ADD", 1, 1000)
    yield s.meter_mod("ADD", 1, 1000)                              # Refused.
    yield s.meter_mod("ADD", 2, 1000, 2000)                        # Refused.
    yield s.meter_mod("MODIFY", 1, 500)
    yield s.meter_mod("MODIFY", 9, 500)                            # Refused.
    if VERSION in (4, 5):
        meter = [s.part("OFPInstructionMeter", 1)]
        yield s.flow("ADD", "arp", priority=90, instructions=meter
                     + s.instructions(s.out(2)))
    if VERSION == 6:
        yield s.flow("ADD", "arp", [s.part("OFPActionMeter", 1)] + s.out(2),
                     priority=90)


def settings(s):
    """Ports, tables, roles and what is told unasked."""
    ofp = s.ofp
    for port, mac in ((2, "aa:55:aa:55:00:03"), (2, "02:00:00:00:00:99"),
                      (5, "02:00:00:00:00:05"), (77, "02:00:00:00:00:05")):
        for config in (ofp.OFPPC_NO_FWD, 0):
            yield s.make("OFPPortMod", port_no=port, hw_addr=mac,
                         config=config, mask=ofp.OFPPC_NO_FWD, properties=[])
    for config in (0, 3 if VERSION < 4 else 0, 4 if VERSION > 4 else 0):
        yield s.make("OFPTableMod", table_id=3, config=config, properties=[])
    for role in range(4) if VERSION > 1 else ():
        yield s.make("OFPRoleRequest", role=role, generation_id=role,
                     short_id=0)
    yield s.make("OFPRoleRequest", role=2, generation_id=1, short_id=0)
    yield s.make("OFPRoleRequest", role=7, generation_id=9, short_id=0)
    yield s.make("OFPRoleRequest", role=1, generation_id=9, short_id=0)
    yield s.make("OFPGetAsyncRequest")
    if VERSION == 4:
        yield s.make("OFPSetAsync", packet_in_mask=[7, 0],
                     port_status_mask=[7, 7], flow_removed_mask=[15, 0])
    elif VERSION > 4:
        yield s.make("OFPSetAsync", properties=[
            s.part("OFPAsyncConfigPropReasons", length=8, mask=mask,
                   type_=getattr(ofp, f"OFPACPT_{name}"))
            for name, mask in (("PACKET_IN_MASTER", 0x3f),
                               ("FLOW_REMOVED_MASTER", 0x3f),
                               ("TABLE_STATUS_MASTER", 24))])
    yield s.make("OFPGetAsyncRequest")
    yield s.make("NXTRoleRequest", role=0)
    yield s.make("NXTRoleRequest", role=9)
    yield s.make("NXTSetAsyncConfig", packet_in_mask=[7, 0],
                 port_status_mask=[7, 7], flow_removed_mask=[15, 0])
    yield s.make("NXTSetControllerId", controller_id=7)
    yield s.make("NXTSetControllerId", controller_id=0)
    yield s.make("NXTFlowAge")
    yield s.make("NXTSetFlowFormat", flow_format=0)
    yield s.make("NXTSetFlowFormat", flow_format=9)
    yield s.make("NXTSetFlowFormat", flow_format=2)


def monitors(s):
    """Flow monitors, and changes that they tell of."""
    if VERSION == 4:
        yield s.make("ONFFlowMonitorStatsRequest", body=[])
    flags = 0x3f    # All, with what there is, abbreviating nothing.
    for number, table in ((1, 0xff), (2, 1)):
        yield s.make("OFPFlowMonitorRequest", monitor_id=number,
                     monitor_flags=flags, table_id=table, out_port=s.port_any,
                     match=s.match("any"))
    yield s.flow("ADD", "to 2", s.out(3), priority=40, cookie=0x55)
    yield s.flow("MODIFY_STRICT", "to 2", s.out(4), priority=40)
    yield s.flow("DELETE_STRICT", "to 2", priority=40, table_id=0)
    # Nothing is refused here: Open vSwitch quotes what is in its memory.


def bundles(s):
    """Bundles that are committed, discarded, or fail."""
    def first():
        return s.flow("ADD", "to 2", s.out(1), priority=50)
    several = [s.flow("ADD", "tcp 80", s.out(1), priority=51),
               s.flow("MODIFY", "ip", s.out(3)),
               s.flow("DELETE", "tcp 80", table_id=0)]
    if VERSION > 4:
        several.append(s.group_mod("ADD", "ALL", 20, s.bucket(s.out(1))))
    bad = s.flow("ADD", "arp", s.group(98) if VERSION > 1 else [], priority=52)
    for number, last, messages in (
            (1, "COMMIT", sum(several, first())), (2, "DISCARD", first()),
            (3, "COMMIT", first() + bad), (4, "CLOSE", first())):
        yield s.bundle("OPEN", number)
        yield s.bundled(number, messages)
        yield s.bundle(last, number)
    yield s.bundle("COMMIT", 4)
    yield s.bundle("COMMIT", 9)                                    # Refused.
    yield s.bundled(10, first(), flags=1)
    yield s.bundle("DISCARD", 10)
    if VERSION == 5:
        yield s.bundled(11, s.make("OFPFeaturesRequest"))          # Refused.


def packet_outs(s):
    """To ports of every kind, and such that there are not."""
    frame = bytes.fromhex("0200000000020200000000010800") + bytes(50)
    ofp = s.ofp
    controller = ofp.OFPP_CONTROLLER
    for in_port, actions in (
            (controller, s.out(1, 2)), (1, s.out("FLOOD")),
            (1, s.set_source() + s.out("ALL")), (2, s.out("TABLE")),
            (1, s.out(5)), (5, s.out(1)), (1, s.out(77)), (1, [])):
        yield s.packet_out(in_port, actions, frame)
    yield s.packet_out(1, s.out(1), None, buffer_id=7)              # Refused.


def learning(s):
    """A learning switch: hosts 1 and 2 meet."""
    yield s.flow("DELETE", "any", table_id=0xff, priority=0)
    for formats, name in ((1, "NXTSetPacketInFormat"), (1, "NXTSetPacketIn"
                          "FormatMsg"), (0, "NXTSetPacketInFormat"),
                          (0, "NXTSetPacketInFormatMsg")):
        yield s.make(name, packet_in_format=formats)
    if VERSION > 1:
        yield s.flow("ADD", "any", s.out("CONTROLLER"), priority=0)
    for port, frame in ((1, "arp"), (2, "tcp 81"), (1, "tcp 80"),
                        (2, "unknown")):
        yield ["packet", port, frame, 1]
        yield s.reaction()
    yield ["packet", 1, "tcp 80", 0]
    yield ["warp", 1000, 0]


def end(s):
    """Nothing stays."""
    yield s.group_mod("DELETE", "ALL", 1) if VERSION > 1 else []
    yield s.group_mod("DELETE", "ALL", 0xfffffffc) if VERSION > 1 else []
    yield s.meter_mod("DELETE", 1)
    yield s.meter_mod("DELETE", 0xffffffff)
    yield s.flow("DELETE", "any", table_id=0xff)


def script(s):
    """All steps: lists of messages, or of what the test is to do."""
    yield sum(descriptions(s), [])
    yield sum(statistics(s), [])
    yield from rules(s)
    yield sum(statistics(s), [])
    # A rule each has timed out.
    yield ["warp", 1500, 1]
    yield ["warp", 2000, 1]
    yield from groups(s)
    yield from meters(s)
    yield ["packet", 3, "icmp", 0]
    yield ["warp", 1000, 0]
    yield sum(statistics(s), [])
    yield from settings(s)
    yield from monitors(s)
    yield from bundles(s)
    yield from packet_outs(s)
    yield sum(statistics(s), [])
    yield from learning(s)
    yield sum(statistics(s), [])
    yield from end(s)
    yield sum(statistics(s), [])


def leave_unread(reply):
    """os-ken never ends reading some statistics of 1.5.  It needs the ports."""
    read = reply.parser

    def parser(datapath, version, kind, length, xid, buf):
        if buf[8:10] != b"\0\x0d":
            return None
        return read(datapath, version, kind, length, xid, buf)
    ofproto_v1_5_parser._MSG_PARSERS[19] = parser


class ScriptController(app_manager.OSKenApp):
    OFP_VERSIONS = [module.OFP_VERSION for module in (
        ofproto_v1_0, ofproto_v1_2, ofproto_v1_3, ofproto_v1_4, ofproto_v1_5)
        if module.OFP_VERSION == VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        random.seed(VERSION)
        self.CONF.set_override("echo_request_interval", 3600.0)
        self.speech = None
        self.steps = None
        self.ready = hub.Event()
        self.barriers = hub.Queue()
        if VERSION == 6:
            leave_unread(ofproto_v1_5_parser.OFPMultipartReply)
        listener = eventlet.listen(os.environ["OSKEN_SCRIPT_SOCKET"],
                                   family=socket.AF_UNIX)
        hub.spawn(eventlet.serve, listener, self.serve)

    def serve(self, connection, _address):
        with connection, connection.makefile("rw") as stream:
            for _line in stream:
                try:
                    answer = {"ok": True, **self.step()}
                except Exception:  # The test gets to see any fault.
                    answer = {"ok": False, "error": traceback.format_exc()}
                    self.logger.exception("step")
                stream.write(json.dumps(answer) + "\n")
                stream.flush()

    def step(self):
        """Does the next one."""
        self.ready.wait()
        step = []
        while step == []:       # Another version's.
            step = next(self.steps, None)
        if step is None:
            return {"do": None, "unsaid": self.speech.unsaid()}
        if isinstance(step[0], str):
            return {"do": step}
        self.say(step)
        self.barriers.get(timeout=10)
        return {"do": ["said"]}

    def say(self, messages):
        """Sends messages, and a barrier."""
        barrier = self.speech.make("OFPBarrierRequest")
        for message in messages + barrier:
            self.speech.datapath.send_msg(message)

    @set_ev_cls(ofp_event.EventOFPStateChange, MAIN_DISPATCHER)
    def come(self, event):
        event.datapath.xid = 1000
        # os-ken only logs errors, and fails at some of them.
        app_manager.lookup_service_brick("ofp_event").event_handlers.pop(
            ofp_event.EventOFPErrorMsg, None)
        self.speech = Speech(event.datapath)
        # Sent by os-ken itself when the switch came.
        self.speech.said |= {"OFPHello"}
        self.steps = script(self.speech)
        self.ready.set()

    @set_ev_cls(ofp_event.EventOFPBarrierReply, MAIN_DISPATCHER)
    def barrier_reply(self, event):
        self.barriers.put(event.msg)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event):
        self.speech.packets.put(event.msg)
