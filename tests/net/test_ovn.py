# SPDX-License-Identifier: Apache-2.0
# OVN's integration bridge with the recorder attached to it, while
# ovn-controller goes on to manage it and knows nothing of that.

import os
import re

import pytest

import ovn
from api import Api, ApiError
from lab import Lab, UNDER_COLLECTOR, bindir
from process import wait_until

pytestmark = pytest.mark.skipif(bool(ovn.missing()),
                                reason=f"without {ovn.missing()} of OVN")

ACL = ("to-lport", "1001", 'outport == "port-b" && udp.dst == 99', "drop")


def spawn(lab, *options):
    """The recorder, attached to br-int."""
    recorder = lab.spawn(
        "recorder",
        [f"{bindir()}/lasthop-recorder", "--attach=br-int",
         f"--state={lab.dir}/state", f"--rundir={lab.dir}", *options],
        netns=lab.sw)
    return recorder.wait_for("br-int): instrumented")


def attach(lab):
    """The same, with postcards to the collector."""
    return spawn(lab, f"--postcards=geneve:{UNDER_COLLECTOR}",
                 f"--ovsdb={lab.db}")


def serve(lab, *options):
    """The server; returns it when it knows the recorder's rules."""
    lab.spawn("server", [
        f"{bindir()}/lasthop-server", "--listen",
        f"geneve:{UNDER_COLLECTOR}:6081", "--archive", f"{lab.dir}/archive",
        *options], netns=lab.col)
    wait_until(lambda: os.path.exists(f"{lab.dir}/server.sock"),
               what="the server")
    server = Api(f"{lab.dir}/server.sock")

    def knows_ports():
        try:
            topology = server.call("topology")["topology"]
        except ApiError:
            return False
        return any(switch["ports"] for switch in topology["switches"])
    wait_until(knows_ports, what="the topology")
    return server


def call(lab, operation, **members):
    """Asks the recorder."""
    with Api(f"{lab.dir}/recorder.sock", deadline=20) as api:
        return api.call(operation, **members)


def counters(lab):
    """Those of the recorder for br-int."""
    return call(lab, "stats")["stats"]["switches"][0]["instr"]


def is_settled(lab):
    """Whether every rule that is to have its postcards has them."""
    rules = [r for r in call(lab, "table", dpid=1)["rules"]
             if r["kind"] == "flow"]
    text = lab.ofctl("dump-flows", "br-int", "--no-stats",
                     version="OpenFlow15")
    versioned = [line for line in text.splitlines()
                 if "tun_metadata63" in line or "note:6c.68." in line]
    own = [line for line in text.splitlines()
           if "cookie=0x6c617374686f70" in line and line in versioned]
    return len(versioned) - len(own) == len(rules)


def dropped_by(net, server, bpf):
    """The logical flow that a packet was dropped by."""
    for history in server.query(f"{{{{--bpf {bpf}}}}}"):
        verdict = history["verdict"]
        if verdict["reason"] == "no output":
            rule = server.call("flow", dpid=1,
                               version=verdict["version"])["rule"]
            flow = net.logical_flow(int(rule["cookie"], 16))
            if flow:
                return flow
    return None


def check_controller(lab, bridge="br-int"):
    """ovn-controller has noticed nothing."""
    log = lab.process("ovn-controller").output()
    assert "assertion" not in log, log[-300:]
    bad = [line for line in log.splitlines()
           if re.search(r"\|(ERR|EMER)\||OFPT_ERROR|disconnected|closed|"
                        r"Dropped|ofctrl\|WARN|Unreasonably", line)]
    assert not bad, bad
    # Features, ofctrl and pinctrl connect once each.
    assert log.count(f"{bridge}.mgmt: connected") == 3, log


def test_the_recorder_before_the_logical_network(lab):
    """Everything that OVN writes comes under its eyes."""
    net = ovn.two_subnets(lab)
    attach(lab)
    net.start()
    ovn.make_two_subnets(net)
    assert lab.hosts["a"].ping("10.2.0.2", count=3)
    assert lab.hosts["b"].ping("10.2.0.3", count=3)
    net.change("acl-add", "right", *ACL)
    wait_until(lambda: is_settled(lab), 20, "all rules' postcards")
    assert lab.hosts["a"].ping("10.2.0.2")
    assert "tun_metadata63" in lab.ofctl("dump-tlv-map", "br-int")
    assert "tun_metadata0" in lab.ofctl("dump-tlv-map", "br-int")
    assert counters(lab)["own_errors"] == 0
    check_controller(lab)

    call(lab, "detach", bridge="br-int")
    flows = net.flows()
    assert not [f for f in flows if "6c.68" in f or "6c617374686f70" in f]
    # OVN agrees with what stands: made anew, it is the same.
    net.appctl("recompute")
    net.change("sync")
    assert net.flows() == flows
    check_controller(lab)


def test_the_recorder_on_a_living_network(lab):
    """Pings go on, histories tell, the end leaves OVN's rules."""
    net = ovn.two_subnets(lab)
    net.start()
    ovn.make_two_subnets(net)
    net.change("acl-add", "right", *ACL)
    a = lab.hosts["a"]
    assert a.ping("10.2.0.2")
    before = net.flows()
    ping = lab.spawn("ping", ["ping", "-i", "0.01", "-c", "200", "10.2.0.3"],
                     netns=a.netns)
    ping.wait_for("time=")
    recorder = attach(lab)
    assert is_settled(lab)
    server = serve(lab)

    a.request("udp", "10.2.0.2", 99, timeout=0.1)
    flow = wait_until(lambda: dropped_by(net, server, "udp port 99"),
                      what="the drop")
    assert "ls_out_acl" in flow and "udp.dst == 99" in flow

    # One hop that knows of no drops on the way, and its whole pipeline.
    found = wait_until(lambda: server.query("{{--bpf icmp and src 10.1.0.2}}"),
                       what="pings")
    assert {h["verdict"]["name"] for h in found} == {"delivered"}
    # The ports of a and c, though OVN overwrites the in_port on the way.
    assert {(hop["in_port"], *hop["out_ports"])
            for h in found for hop in h["hops"]} == {(1, 3)}
    assert {len(h["hops"]) for h in found} == {1}
    told = call(lab, "why", dpid=1, flow=(
        f"in_port=1,icmp,dl_src={a.mac},dl_dst=02:00:00:00:01:01,"
        "nw_src=10.1.0.2,nw_dst=10.2.0.3,nw_ttl=64,icmp_type=8"))
    assert [o["port"] for o in told["outputs"]] == [3]
    cookies = {r["version"]: int(r["cookie"], 16)
               for r in call(lab, "table", dpid=1)["rules"]}
    passed = net.sbctl("--uuid", "lflow-list")
    for step in ("ls_in_l2_lkup", "lr_in_ip_routing ", "ls_out_acl "):
        flows = [line for line in passed.splitlines() if step in line]
        assert any(f"uuid=0x{cookies[s['version']]:08x}" in line
                   for s in told["steps"] if s.get("version")
                   for line in flows), step

    net.change("acl-add", "right", "to-lport", "1002",
               'outport == "port-b" && udp.dst == 98', "drop")
    wait_until(lambda: is_settled(lab), 20, "the new rules' postcards")
    net.change("acl-del", "right", "to-lport", "1002",
               'outport == "port-b" && udp.dst == 98')
    ping.wait_for("packet loss")
    assert " 0% packet loss" in ping.output()
    assert counters(lab)["own_errors"] == 0
    check_controller(lab)
    assert recorder.stop() == 0
    assert net.flows() == before
    check_controller(lab)


def test_connection_tracking_load_balancing_and_nat(lab):
    """Traffic goes on as before through all of it, histories tell what it
    was, and the end leaves rules, groups and meters."""
    net = ovn.two_subnets(lab)
    net.start()
    ovn.make_two_subnets(net)
    for acl in (("1000", "tcp.dst == 80", "allow-related"),
                ("900", "tcp", "drop")):
        net.nbctl("acl-add", "right", "to-lport", acl[0],
                  f'outport == "port-b" && ip4 && {acl[1]}', acl[2])
    net.nbctl("meter-add", "acl-meter", "drop", "10", "pktps", "10")
    net.nbctl("--log", "--name=logged", "--meter=acl-meter", "--severity=info",
              "acl-add", "right", "to-lport", "950",
              'outport == "port-b" && udp.dst == 7', "drop")
    net.nbctl("lb-add", "web", "10.9.9.9:80", "10.2.0.2:80,10.2.0.3:80",
              "tcp")
    net.nbctl("ls-lb-add", "left", "web")
    net.nbctl("set", "logical_router", "router", "options:chassis=lab")
    net.nbctl("lr-nat-add", "router", "dnat_and_snat", "10.2.0.100",
              "10.1.0.2")
    net.change("sync")
    net.appctl("recompute")     # It gives zones when ports have come.
    net.change("sync")
    a, b, c = (lab.hosts[name] for name in "abc")
    for host in (b, c):
        host.serve("tcp", 80)

    def works():
        return [a.request("tcp", address, 80)
                for address in ("10.2.0.2", "10.9.9.9", "10.2.0.3")
                ] == ["HELLO"] * 3 and c.ping("10.2.0.100")
    wait_until(works, what="the network")

    def state():
        return net.flows(), [
            re.sub(r"xid=\w+", "", lab.ofctl(f"dump-{kind}", "br-int",
                                             version="OpenFlow15"))
            for kind in ("groups", "meters")]
    before = state()
    assert "dp_hash" in before[1][0] and "pktps" in before[1][1]
    recorder = attach(lab)
    server = serve(lab)
    assert works() and works()
    assert b.request("tcp", "10.2.0.100", 80, timeout=0.2) is None
    a.request("udp", "10.2.0.2", 7, timeout=0.1)
    a.request("tcp", "10.2.0.2", 81, timeout=0.1)
    flow = wait_until(lambda: dropped_by(net, server, "tcp dst port 81"),
                      what="the drop")
    assert "ls_out_acl" in flow

    def hops(bpf):
        found = server.query(f"{{{{--bpf {bpf}}}}}")
        return {(h["verdict"]["name"], len(h["hops"]), hop["in_port"],
                 *hop["out_ports"]) for h in found for hop in h["hops"]}
    # By the router's address for a; a drop that is logged goes to OVN first.
    wait_until(lambda: ("delivered", 1, 1, 2) in hops(
        "tcp dst port 80 and src 10.2.0.100 and dst 10.2.0.2"),
        what="the address that a was given")
    wait_until(lambda: hops("udp port 7") == {("controller", 1, 1, 65533)},
               what="what is logged")
    wait_until(lambda: hops("icmp and dst 10.1.0.2") ==
               {("delivered", 1, 3, 1)}, what="pings to a's other address")
    # What the load balancer was asked for, and what it chose.
    asked = wait_until(lambda: hops("tcp and dst 10.9.9.9"), what="the group")
    assert {hop[2:4] for hop in asked} == {(1, 65281)}
    assert counters(lab)["own_errors"] == 0
    assert recorder.stop() == 0
    assert state() == before
    assert works()
    check_controller(lab)


def test_histories_pass_from_chassis_to_chassis(lab):
    """Two vswitchds, each with its ovn-controller and a Geneve tunnel to the
    other; one recorder on both."""
    net = ovn.two_subnets(lab)
    with Lab() as far:
        far.add_bridge("br-far", dpid=2)
        d = far.add_host("d", "br-far", "10.2.0.4/24",
                         gateways=["10.2.0.1"])
        d.mac = "02:00:00:00:00:0d"     # a has the lab's first.
        far.start()
        net.start()
        ovn.join_chassis(net, far, "br-far")
        ovn.make_two_subnets(net)
        net.nbctl("lsp-add", "right", "port-d", "--", "lsp-set-addresses",
                  "port-d", f"{d.mac} {d.ip}")
        far.vsctl("set", "interface", "br-far-d",
                  "external-ids:iface-id=port-d")
        for name, at, bridge in (("far", lab, "br-int"),
                                 ("lab", far, "br-far")):
            wait_until(lambda n=name, l=at, b=bridge: f"ovn-{n}-0" in
                       l.vsctl("list-ports", b), 20, "the tunnel")
            at.vsctl("add-port", bridge, "cards", "--", "set", "interface",
                     "cards", "type=geneve",
                     f"options:remote_ip={UNDER_COLLECTOR}", "options:key=9")
        a = lab.hosts["a"]
        wait_until(lambda: a.ping(d.ip, wait=0.5), 20, "the tunnel to carry")

        def state():
            net.change("sync")
            return net.flows(), sorted(
                line for line in far.ofctl(
                    "dump-flows", "br-far", "--no-stats",
                    version="OpenFlow15").splitlines() if "actions" in line)
        net.appctl("recompute")
        before = state()
        recorder = spawn(
            lab, f"--attach=br-far,sock=unix:{far.dir}/br-far.mgmt",
            f"--postcards=geneve:{UNDER_COLLECTOR},port=cards", "--force")
        recorder.wait_for("br-far): instrumented")
        recorder.wait_for(" is up")     # The link that the tunnel is.
        server = serve(lab, "--accept", "172.31.255.0/24")
        assert a.ping(d.ip, count=20), "on the way"

        def ways():
            return {(h["verdict"]["name"],
                     *((hop["switch"], hop["in_port"], *hop["out_ports"])
                       for hop in h["hops"]))
                    for h in server.query("{{--bpf icmp}}")}
        there = ("delivered", ("br-int", 1, 4), ("br-far", 2, 1))
        back = ("delivered", ("br-far", 1, 2), ("br-int", 4, 1))
        wait_until(lambda: ways() == {there, back}, what="histories")
        assert recorder.stop() == 0
        assert state() == before
        assert a.ping(d.ip)
        check_controller(lab)
        check_controller(far, "br-far")
