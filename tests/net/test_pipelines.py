# SPDX-License-Identifier: Apache-2.0
# Rules beyond a plain match and output: several tables, action sets, groups,
# commands that hit many rules, and OpenFlow 1.0.

import contextlib

import pytest

import frames
from lab import Lab
from process import wait_until
from stack import CONTROLLER, Stack

FLOOD = 65531
TO_CONTROLLER = 65533


class Line:
    """h1 -- s1 -- s2 -- h2, and h3 at s2."""

    def __init__(self, lab, openflow):
        self.lab = lab
        lab.add_bridge("s1")
        lab.add_bridge("s2")
        lab.add_link("s1", "s2")
        self.h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        self.h3 = lab.add_host("h3", "s2", "10.0.0.3/24")
        lab.add_collector()
        lab.start()
        self.stack = Stack(lab, "geneve", openflow)
        self.stack.start()
        self.s1_h1 = lab.bridges["s1"].port_to("h1")
        self.s1_s2 = lab.bridges["s1"].port_to("s2")
        self.s2_s1 = lab.bridges["s2"].port_to("s1")
        self.s2_h2 = lab.bridges["s2"].port_to("h2")
        self.s2_h3 = lab.bridges["s2"].port_to("h3")

    def send(self, dport):
        """Sends one UDP datagram to h2 and returns its history and hops."""
        self.h1.send(frames.udp4(self.h1.mac, self.h2.mac, self.h1.ip,
                                 self.h2.ip, 4321, dport, ident=dport))
        [history] = self.stack.histories(
            f"{{{{--bpf udp dst port {dport}}}}}", 1)
        return history, self.stack.hops(history)

    def last_hop(self):
        """What s2 does with it once rule 0x201 is there."""
        return (1, "s2", self.s2_s1, [self.s2_h2], [0x201])

    def reference(self, openflow):
        """A bridge of the same controller without lasthop, dpid 99."""
        self.lab.vsctl(
            "add-br", "ref", "--", "set", "bridge", "ref",
            "datapath_type=netdev", "fail-mode=secure",
            "other-config:datapath-id=0000000000000063",
            f"protocols=[OpenFlow{openflow.replace('.', '')}]", "--",
            "set-controller", "ref", CONTROLLER)
        wait_until(lambda: 99 in self.stack.controller.call(
            "switches")["switches"], 20, "the bridge without lasthop")


@contextlib.contextmanager
def line(openflow):
    with Lab() as lab:
        failed = True
        try:
            yield Line(lab, openflow)
            failed = False
        finally:
            lab.close(keep=failed)


@pytest.fixture(scope="module")
def of13():
    with line("1.3") as net:
        net.stack.flow(2, cookie=0x201, priority=1,
                       match={"in_port": net.s2_s1},
                       actions=[out(net.s2_h2)])
        yield net


@pytest.fixture(scope="module")
def of10():
    with line("1.0") as net:
        net.stack.flow(2, cookie=0x201, priority=1,
                       match={"in_port": net.s2_s1},
                       actions=[out(net.s2_h2)])
        yield net


def out(port):
    return {"type": "OUTPUT", "port": port}


def udp(dport):
    return {"eth_type": 0x0800, "ip_proto": 17, "udp_dst": dport}


def udp10(dport):
    return {"dl_type": 0x0800, "nw_proto": 17, "tp_dst": dport}


# --- several tables and action sets ------------------------------------------

def test_goto_then_apply(of13):
    flow = of13.stack.flow
    flow(1, cookie=0x111, priority=10, match=udp(1001),
         actions=[{"type": "GOTO_TABLE", "table_id": 1}])
    flow(1, cookie=0x112, priority=10, table_id=1, match=udp(1001),
         actions=[out(of13.s1_s2)])
    history, hops = of13.send(1001)
    assert hops == [(0, "s1", of13.s1_h1, [of13.s1_s2], [0x112]),
                    of13.last_hop()]
    assert history["verdict"]["name"] == "delivered"


def test_written_output_is_seen_with_its_port(of13):
    flow = of13.stack.flow
    flow(1, cookie=0x121, priority=10, match=udp(1002), actions=[
        {"type": "WRITE_ACTIONS", "actions": [out(of13.s1_s2)]},
        {"type": "GOTO_TABLE", "table_id": 1}])
    flow(1, cookie=0x122, priority=10, table_id=1, match=udp(1002),
         actions=[])
    history, hops = of13.send(1002)
    assert [hop[:4] for hop in hops] == [
        (0, "s1", of13.s1_h1, [of13.s1_s2]), of13.last_hop()[:4]]
    assert 0x121 in hops[0][4]
    assert history["verdict"]["name"] == "delivered"


def test_cleared_action_set_is_a_drop(of13):
    flow = of13.stack.flow
    flow(1, cookie=0x131, priority=10, match=udp(1003), actions=[
        {"type": "WRITE_ACTIONS", "actions": [out(of13.s1_s2)]},
        {"type": "GOTO_TABLE", "table_id": 1}])
    flow(1, cookie=0x132, priority=10, table_id=1, match=udp(1003),
         actions=[{"type": "CLEAR_ACTIONS"}])
    history, hops = of13.send(1003)
    assert [hop[:4] for hop in hops] == [(0, "s1", of13.s1_h1, [])]
    assert 0x132 in hops[0][4]
    assert history["verdict"]["name"] == "dropped"


@pytest.mark.parametrize("kind", ["output", "group"])
def test_postcards_double_nothing_while_an_action_set_stands(of13, kind):
    """Open vSwitch executes the action set at the end of every clone."""
    stack, dport = of13.stack, 1020 + (kind == "group")
    match = {"in_port": of13.s2_s1, **udp(dport)}
    if kind == "group":
        answer = stack.controller.call("group", dpid=2, group={
            "type": "ALL", "group_id": 20,
            "buckets": [{"actions": [out(of13.s2_h3)]}]})
        assert answer["errors"] == []
        action = {"type": "GROUP", "group_id": 20}
    else:
        action = out(of13.s2_h3)
    stack.flow(1, cookie=0x161, priority=10, match=udp(dport),
               actions=[out(of13.s1_s2)])
    stack.flow(2, cookie=0x261, priority=10, match=match, actions=[
        {"type": "WRITE_ACTIONS", "actions": [out(of13.s2_h2)]},
        {"type": "GOTO_TABLE", "table_id": 1}])
    stack.flow(2, cookie=0x262, priority=10, table_id=1, match=match,
               actions=[action])
    at_h2, at_h3 = of13.h2.capture(), of13.h3.capture()
    history, hops = of13.send(dport)
    assert hops[1][:4] == (1, "s2", of13.s2_s1,
                           sorted([of13.s2_h2, of13.s2_h3]))
    assert history["verdict"]["name"] == "delivered"
    # Whatever comes in order: this one, sent last, came last.
    end = frames.ethernet(of13.h1.mac, of13.h2.mac, 0x88b6, b"end")
    stack.flow(1, cookie=0x163, priority=9, match={"eth_type": 0x88b6},
               actions=[out(of13.s1_s2)])
    stack.flow(2, cookie=0x263, priority=9, match={"eth_type": 0x88b6},
               actions=[out(of13.s2_h2), out(of13.s2_h3)])
    of13.h1.send(end)
    for capture in (at_h2, at_h3):
        wait_until(lambda seen=capture: end in seen.frames(), what="the end")
        mine = [f for f in capture.stop()
                if f[36:38] == dport.to_bytes(2, "big")]
        assert len(mine) == 1


def test_drop_in_a_later_table_names_that_rule(of13):
    flow = of13.stack.flow
    flow(1, cookie=0x151, priority=10, match=udp(1005),
         actions=[{"type": "GOTO_TABLE", "table_id": 1}])
    flow(1, cookie=0x152, priority=10, table_id=1, match=udp(1005),
         actions=[])
    history, hops = of13.send(1005)
    assert [hop[:4] for hop in hops] == [(0, "s1", of13.s1_h1, [])]
    verdict = history["verdict"]
    assert verdict["name"] == "dropped"
    assert of13.stack.rule(1, verdict["version"])["cookie"] == "0x152"


def test_miss_in_a_later_table_is_seen(of13):
    of13.stack.flow(1, cookie=0x141, priority=10, match=udp(1004),
                    actions=[{"type": "GOTO_TABLE", "table_id": 2}])
    history, hops = of13.send(1004)
    assert [hop[:4] for hop in hops] == [(0, "s1", of13.s1_h1, [])]
    assert "miss" in hops[0][4]
    assert "miss" in history["verdict"]["reason"]


# --- groups ------------------------------------------------------------------

@pytest.mark.parametrize("kind,group_id,dport", [
    ("ALL", 1, 1011), ("INDIRECT", 2, 1012), ("SELECT", 3, 1013),
    ("FF", 4, 1014)])
def test_group_names_the_bucket_s_port(of13, kind, group_id, dport):
    ports = [of13.s2_h2, of13.s2_h3] if kind in ("ALL", "FF") \
        else [of13.s2_h2]
    buckets = [{"weight": 1 if kind == "SELECT" else 0,
                "watch_port": port if kind == "FF" else 0xffffffff,
                "actions": [out(port)]} for port in ports]
    answer = of13.stack.controller.call("group", dpid=2, group={
        "type": kind, "group_id": group_id, "buckets": buckets})
    assert answer["errors"] == []
    of13.stack.flow(1, cookie=dport, priority=10, match=udp(dport),
                    actions=[out(of13.s1_s2)])
    of13.stack.flow(2, cookie=dport, priority=10, match=udp(dport),
                    actions=[{"type": "GROUP", "group_id": group_id}])
    history, hops = of13.send(dport)
    expected = sorted(ports) if kind == "ALL" else [of13.s2_h2]
    assert hops[0] == (0, "s1", of13.s1_h1, [of13.s1_s2], [dport])
    assert hops[1][:4] == (1, "s2", of13.s2_s1, expected)
    assert dport in hops[1][4] and "group" in hops[1][4]
    assert history["verdict"]["name"] == "delivered"


# --- packet-outs -------------------------------------------------------------

def test_packet_out_to_the_tables(of13):
    dport = 1030
    of13.stack.flow(1, cookie=0x171, priority=10, match=udp(dport),
                    actions=[out(of13.s1_s2)])
    frame = frames.udp4(of13.h1.mac, of13.h2.mac, of13.h1.ip, of13.h2.ip,
                        4321, dport, ident=dport)
    of13.stack.controller.call("packet_out", dpid=1, data=frame.hex(),
                               actions=[out(0xfffffff9)], in_port=of13.s1_h1)
    [history] = of13.stack.histories(
        f"{{{{--bpf udp dst port {dport}}}}}", 1)
    hops = of13.stack.hops(history)
    # One hop: the tables say where the packet-out went.
    assert hops == [(0, "s1", of13.s1_h1, [of13.s1_s2],
                     ["packet-out", 0x171]), of13.last_hop()]
    assert history["verdict"]["name"] == "delivered"


def test_the_controller_s_own_link_discovery_is_left_alone(of13):
    """LLDP of the controller goes where it would, ours it never sees."""
    controller = of13.stack.controller
    of13.stack.flow(2, cookie=0x2d1, priority=65535,
                    match={"eth_type": 0x88cc,
                           "eth_dst": "01:80:c2:00:00:0e"},
                    actions=[out(0xfffffffd)])
    frame = frames.ethernet(of13.h1.mac, "01:80:c2:00:00:0e", 0x88cc,
                            b"what the controller's discovery says")
    controller.call("packet_out", dpid=1, data=frame.hex(),
                    actions=[out(of13.s1_s2)])
    seen = []

    def arrived():
        seen.extend(e for e in controller.call("events")["events"]
                    if e["event"] == "packet_in")
        return any(e["data"] == frame.hex() for e in seen)
    wait_until(arrived, what="the controller's LLDP")
    lldp = [e for e in seen if e["data"][24:28] == "88cc"]
    assert [(e["dpid"], e["in_port"], e["data"]) for e in lldp] == [
        (2, of13.s2_s1, frame.hex())]
    assert of13.stack.topology()["links"], "and ours still finds the link"
    of13.stack.flow(2, "delete_strict", priority=65535,
                    match={"eth_type": 0x88cc,
                           "eth_dst": "01:80:c2:00:00:0e"})


# --- commands that hit many rules ---------------------------------------------

def cookies(net, dpid):
    """Of the rules that stand, as the recorder has them."""
    rules = net.stack.recorder.call("table", dpid=dpid, at="-0s")["rules"]
    return sorted(int(rule["cookie"], 16) for rule in rules
                  if rule["kind"] == "flow")


def test_wildcard_commands_spare_what_is_not_the_controller_s(of13):
    stack, controller = of13.stack, of13.stack.controller
    before = controller.call("flows", dpid=2)["flows"]
    for n in range(3):
        stack.flow(2, cookie=0x700 + n, priority=5, table_id=3,
                   match=udp(7000 + n), actions=[out(of13.s2_h2)])
    stack.flow(2, "modify", table_id=3, match={"eth_type": 0x0800},
               actions=[out(of13.s2_h3)])
    rules = [rule for rule in stack.recorder.call(
        "table", dpid=2, at="-0s", table=3)["rules"]
        if rule["kind"] == "flow"]
    assert len(rules) == 3
    assert all(f"output:{of13.s2_h3}" in rule["actions"] for rule in rules)
    assert len({rule["version"] for rule in rules}) == 3
    assert len({rule["change"] for rule in rules}) == 1

    stack.flow(2, "delete", table_id=3, match={})
    assert controller.call("flows", dpid=2)["flows"] == before
    stack.flow(1, cookie=0x1151, priority=10, match=udp(1015),
               actions=[out(of13.s1_s2)])
    history, _hops = of13.send(1015)  # Postcards go on.
    assert history["verdict"]["name"] == "delivered"


def test_check_overlap_sees_only_the_controller_s_rules(of13):
    stack, controller = of13.stack, of13.stack.controller
    flags = 2  # OFPFF_CHECK_OVERLAP
    stack.flow(2, cookie=0x801, priority=0, table_id=4, flags=flags,
               match={}, actions=[out(of13.s2_h2)])
    stack.flow(2, cookie=0x802, priority=65535, flags=flags,
               match={"in_port": of13.s2_h3}, actions=[])
    answer = controller.call("flow", dpid=2, flow={
        "cookie": 0x803, "priority": 65535, "flags": flags,
        "match": {"eth_type": 0x0800}, "actions": []})
    assert [(e["type"], e["code"]) for e in answer["errors"]] == [(5, 3)]
    assert 0x803 not in cookies(of13, 2)
    stack.flow(2, "delete_strict", priority=65535,
               match={"in_port": of13.s2_h3})


def test_expired_rule_is_gone_and_still_answered(of13):
    stack = of13.stack
    stack.controller.call("events")
    stack.flow(1, cookie=0x901, priority=10, hard_timeout=1,
               match=udp(1016), actions=[out(of13.s1_s2)])
    history, _hops = of13.send(1016)
    version = history["hops"][0]["versions"][0]
    wait_until(lambda: 0x901 not in cookies(of13, 1), what="the expiry")
    rule = stack.rule(1, version)
    assert rule["cookie"] == "0x901"
    assert rule["removed_reason"] == "hard_timeout"
    assert rule["removed_ns"] > rule["installed_ns"]
    # The controller did not ask to be told.
    assert not [e for e in stack.controller.call("events")["events"]
                if e["event"] == "flow_removed"]
    # And the table of that moment still has it.
    then = stack.server.call("table", dpid=1,
                             at=history["hops"][0]["time_ns"])["rules"]
    assert version in [rule["version"] for rule in then]


# --- OpenFlow 1.0 ---------------------------------------------------------------

def test_of10_edits_and_stats(of10):
    stack, controller = of10.stack, of10.stack.controller
    stack.flow(1, cookie=0x101, priority=10, match=udp10(1001), actions=[
        {"type": "SET_NW_DST", "nw_dst": of10.h2.ip},
        {"type": "SET_TP_DST", "tp_dst": 2001}, out(of10.s1_s2)])
    stack.flow(1, cookie=0x102, priority=11, match=udp10(9999), actions=[])
    stack.flow(1, cookie=0x103, priority=12, match={"dl_type": 0x0806},
               actions=[out(FLOOD)])
    history, hops = of10.send(1001)
    assert hops == [(0, "s1", of10.s1_h1, [of10.s1_s2], [0x101]),
                    of10.last_hop()]
    assert history["hops"][1]["header"][72:76] == f"{2001:04x}"

    of10.reference("1.0")
    answer = controller.call("flow", dpid=99, flows=stack.installed[1])
    assert answer["errors"] == []
    assert controller.call("flows", dpid=1)["flows"] == \
        controller.call("flows", dpid=99)["flows"]
    assert set(controller.call("ports", dpid=1)["ports"]) - {0xfffe} == \
        set(of10.lab.bridges["s1"].ports)


def test_of10_drop_and_flood(of10):
    history, hops = of10.send(9999)
    assert hops == [(0, "s1", of10.s1_h1, [], [0x102])]
    of10.h1.send(frames.arp_request(of10.h1.mac, of10.h1.ip, "10.0.0.77"))
    # Not the hosts' own.
    [history] = of10.stack.histories(
        "{{--bpf \"arp[24:4] = 0x0a00004d\"}}", 1)
    assert of10.stack.hops(history) == [
        (0, "s1", of10.s1_h1, [FLOOD], [0x103]), of10.last_hop()]
    assert history["hops"][0]["branches"] == [of10.s1_s2]


def test_of10_miss_goes_to_the_controller_as_without_us(of10):
    of10.stack.controller.call("events")
    _history, hops = of10.send(3333)
    assert hops == [(0, "s1", of10.s1_h1, [TO_CONTROLLER], ["miss"])]
    [packet_in] = [e for e in of10.stack.controller.call("events")["events"]
                   if e["event"] == "packet_in"]
    assert packet_in["reason"] == 0  # OFPR_NO_MATCH
    assert packet_in["in_port"] == of10.s1_h1
