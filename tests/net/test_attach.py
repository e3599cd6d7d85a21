# SPDX-License-Identifier: Apache-2.0
# Bridges that the recorder connects to itself.  What is done to "s1", with
# the recorder on it, is done to "s2" without: in the end they must be alike.

import os
import re

import pytest

import frames
from api import Api, ApiError
from lab import UNDER_COLLECTOR, bindir
from process import wait_until

GROUPS = ["group_id=1,type=select,selection_method=dp_hash,bucket=output:1,"
          "bucket=mod_dl_src:02:02:02:02:02:02,output:2,bucket=drop",
          "group_id=2,type=all,bucket=output:1,bucket=output:2"]
FLOWS = [
    "priority=1,actions=normal",
    "cookie=0x1,priority=5,ip,nw_dst=10.9.0.2,actions=dec_ttl,output:2",
    "priority=6,arp,nw_dst=10.9.0.3,actions=flood",
    "priority=7,udp,actions=all",
    "cookie=0x12,priority=8,sctp,idle_timeout=600,actions="
    "load:0x3->NXM_NX_REG0[],output:NXM_NX_REG0[]",
    "priority=9,sctp,tp_dst=7,actions=resubmit(,4),normal",
    "table=4,priority=1,actions=controller(max_len=77)",
    "priority=11,ip,nw_src=10.9.0.4,actions=conjunction(7,1/2)",
    "priority=13,dl_type=0x88b5,actions=learn(table=6,cookie=0x77,priority=3,"
    "idle_timeout=300,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
    "output:NXM_OF_IN_PORT[]),output:2",
    "priority=14,importance=7,send_flow_rem,hard_timeout=900,sctp,tp_dst=8,"
    "actions=write_actions(output:2),goto_table:1",
    "table=1,priority=3,actions=drop",
    "priority=20,tcp,tp_dst=9,actions=group:1",
    "priority=21,tcp,tp_dst=10,actions=note:01.02.03,output:1",
]
VERSION = "OpenFlow15"      # It has importance and the properties of groups.


def dump(lab, bridge):
    """All that is in the tables of a bridge, as text."""
    flows = sorted(lab.ofctl("dump-flows", bridge, "--no-stats",
                             version=VERSION).splitlines())
    groups = lab.ofctl("dump-groups", bridge, version=VERSION)
    options = lab.ofctl("dump-tlv-map", bridge, version=VERSION)
    return "\n".join([*flows, *sorted(re.sub(r"xid=\w+", "", groups).splitlines()),
                      *re.sub(r"xid=\w+", "", options).splitlines()])


def make(lab):
    """Two alike bridges with rules."""
    for name in ("s1", "s2"):
        lab.add_bridge(name)
        for number in (1, 2):
            lab.add_host(f"{name}h{number}", name, f"10.0.0.{number}/24")
    lab.add_collector()
    lab.start()
    for group in GROUPS:
        both(lab, "add-group", group)
    for flow in FLOWS:
        both(lab, "add-flow", flow)
    assert dump(lab, "s1") == dump(lab, "s2")


def both(lab, command, *argv):
    """ovs-ofctl to both bridges."""
    for bridge in ("s1", "s2"):
        lab.ofctl(command, bridge, *argv, version=VERSION)


def start(lab, *options, port=""):
    """The recorder, attached to s1, with the postcard port of that name."""
    recorder = lab.spawn(
        "recorder",
        [f"{bindir()}/lasthop-recorder", "--attach=s1",
         f"--postcards=geneve:{UNDER_COLLECTOR}{port and ',port=' + port}",
         f"--ovsdb={lab.db}",
         f"--state={lab.dir}/state", f"--rundir={lab.dir}", *options],
        netns=lab.sw)
    return recorder


def call(lab, operation, **members):
    """Asks the recorder."""
    with Api(f"{lab.dir}/recorder.sock", deadline=20) as api:
        return api.call(operation, **members)


def rules(lab):
    """The recorder's table of s1: match -> rule."""
    table = call(lab, "table", dpid=1)["rules"]
    return {(r["table"], r["match"]): r for r in table if r["kind"] == "flow"}


def card(lab, match):
    """The line of a rule in the switch, if it has a postcard."""
    return [line for line in lab.ofctl("dump-flows", "s1",
                                       match).splitlines()
            if "tun_metadata63" in line]


def test_what_others_do_is_followed_and_left_as_they_wrote_it(lab):
    """Adds, changes, deletes by hand; learned rules; then detach."""
    make(lab)
    recorder = start(lab)
    recorder.wait_for("s1): instrumented")
    assert len(rules(lab)) == len(FLOWS)
    lab.hosts["s1h1"].ping("10.0.0.2")

    both(lab, "add-flow", "cookie=0x99,priority=30,tcp,tp_dst=99,"
                          "idle_timeout=500,actions=output:2")
    wait_until(lambda: card(lab, "tcp,tp_dst=99"), what="its postcard")
    made = rules(lab)[0, "tcp,tp_dst=99"]
    assert (made["command"], made["who"], made["cookie"]) == \
        ("add", "switch", "0x99")
    assert made["actions"] == "output:2" and made["instrumented"]

    lab.hosts["s1h1"].send(bytes.fromhex("020000000002020000000001"
                                         "88b5") + bytes(50))
    wait_until(lambda: (6, "dl_dst=02:00:00:00:00:01") in rules(lab),
               what="the learned rule")
    learned = rules(lab)[6, "dl_dst=02:00:00:00:00:01"]
    assert (learned["command"], learned["instrumented"]) == ("learn", False)
    lab.hosts["s2h1"].send(bytes.fromhex("020000000002020000000001"
                                         "88b5") + bytes(50))

    both(lab, "add-group", "group_id=9,type=all,bucket=output:2")
    both(lab, "mod-group", "group_id=2,type=all,bucket=output:2")
    both(lab, "add-flow", "priority=31,udp,tp_dst=7,actions=group:9")
    wait_until(lambda: lab.ofctl("dump-groups", "s1").count("output") == 0,
               what="the groups' postcards")

    both(lab, "mod-flows", "tcp,actions=output:1")
    both(lab, "del-flows", "ip,nw_dst=10.9.0.2")
    wait_until(lambda: len([l for l in card(lab, "tcp")
                            if l.endswith("output:1")]) == 3,
               what="the changed rules' postcards")
    wait_until(lambda: (0, "ip,nw_dst=10.9.0.2") not in rules(lab),
               what="the end of a rule")
    stats = call(lab, "stats")["stats"]
    assert stats["attached"] == [
        {"bridge": "s1", "socket": f"unix:{lab.dir}/s1.mgmt",
         "connected": True, "detaching": False, "refused": False}]
    counters = stats["switches"][0]["instr"]
    assert counters["learned"] == 1 and counters["foreign"] >= 4
    assert counters["own_errors"] == counters["contested"] == 0

    call(lab, "detach", bridge="s1")
    wait_until(lambda: dump(lab, "s2").count("dl_dst=02:00:00:00:00:01") == 1,
               what="the other bridge's learned rule")
    ports = (f"output:{lab.bridges[s].port_to(s + 'h1')}"
             for s in ("s1", "s2"))
    assert len(set(ports)) == 1
    assert dump(lab, "s1") == dump(lab, "s2")
    assert "lhp-" not in lab.vsctl("list-ports", "s1")
    with pytest.raises(ApiError, match="not attached"):
        call(lab, "detach", bridge="s1")


def test_a_bridge_that_is_cleared_and_filled_again(lab):
    """The owner's own rule for all packets wins over our table miss."""
    make(lab)
    recorder = start(lab)
    recorder.wait_for("s1): instrumented")
    path = f"{lab.dir}/flows"
    with open(path, "w", encoding="ascii") as file:
        file.write("delete\nadd priority=0,actions=normal\n")

    def stands():
        shown = lab.ofctl("dump-flows", "s1", "--no-stats", version=VERSION)
        return re.search("priority=0 actions=clone.*,NORMAL", shown)
    for _ in range(8):
        lab.ofctl("add-flows", "s1", path, version=VERSION)
        wait_until(stands, what="the postcard of the owner's rule")
    assert recorder.stop() == 0
    assert lab.ofctl("dump-flows", "s1", "--no-stats",
                     version=VERSION).strip() == "priority=0 actions=NORMAL"


def test_no_packet_is_lost_on_the_way_in_and_out(lab):
    """Rules change in one bundle."""
    make(lab)
    host = lab.hosts["s1h1"]
    host.ping("10.0.0.2")
    ping = lab.spawn("ping", ["ping", "-i", "0.005", "-c", "700", "10.0.0.2"],
                     netns=host.netns)
    ping.wait_for("time=")
    for _ in range(3):
        recorder = start(lab)
        recorder.wait_for("s1): instrumented")
        assert recorder.stop() == 0
    assert dump(lab, "s1") == dump(lab, "s2")
    ping.wait_for("packet loss")
    assert " 0% packet loss" in ping.output()


def test_ports_of_others_stay_as_they_are(lab):
    """One that fits is used, one that does not is said."""
    make(lab)
    lab.vsctl("add-port", "s1", "tunnel", "--", "set", "interface", "tunnel",
              "type=geneve", f"options:remote_ip={UNDER_COLLECTOR}",
              "options:key=77", "--", "add-port", "s1", "other", "--",
              "set", "interface", "other", "type=internal")

    def ports():
        return (lab.vsctl("list-ports", "s1"),
                [lab.vsctl("get", "interface", name, column)
                 for name in ("tunnel", "other")
                 for column in ("type", "options", "external_ids")])
    before = ports(), dump(lab, "s1")
    recorder = start(lab, port="tunnel")
    recorder.wait_for("s1): instrumented")
    assert card(lab, "udp")
    assert recorder.stop() == 0
    assert "port tunnel was made by somebody else" in recorder.output()
    assert (ports(), dump(lab, "s1")) == before
    recorder = start(lab, port="other")
    recorder.wait_for("NOT ATTACHED: there is a port other that is not of "
                      "lasthop's")
    assert recorder.stop() == 0
    assert (ports(), dump(lab, "s1")) == before


def test_two_recorders_at_one_switch(lab):
    """Each calls its first port lhp-1 where it can, and both send."""
    make(lab)
    directories = [f"{lab.dir}/one", f"{lab.dir}/two"]
    recorders = []

    def begin(directory, bridge):
        os.makedirs(directory, exist_ok=True)
        recorder = lab.spawn(
            "recorder-" + bridge,
            [f"{bindir()}/lasthop-recorder", f"--attach={bridge}",
             f"--postcards=geneve:{UNDER_COLLECTOR}", f"--ovsdb={lab.db}",
             f"--state={directory}/state", f"--rundir={directory}"],
            netns=lab.sw)
        recorder.wait_for(f"({bridge}): instrumented", deadline=20)
        return recorder

    def ports(bridge):
        return [p for p in lab.vsctl("list-ports", bridge).split()
                if p.startswith("lhp-")]
    for directory, bridge in zip(directories, ("s1", "s2")):
        recorders.append(begin(directory, bridge))
    assert [ports("s1"), ports("s2")] == [["lhp-1"], ["lhp-4097"]]
    for bridge in ("s1", "s2"):
        lab.hosts[bridge + "h1"].send(frames.ethernet(
            "02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800,
            frames.ipv4("10.0.0.1", "10.0.0.2", 17, frames.udp_datagram(
                "10.0.0.1", "10.0.0.2", 1000, 9, b"x" * 20))))
        [port] = ports(bridge)
        wait_until(lambda p=port: int(lab.vsctl(
            "get", "interface", p, "statistics:tx_packets").strip()) > 0,
            what=f"a postcard by {port}")
    # The first goes and takes its port along; the second keeps its own.
    assert recorders[0].stop() == 0
    assert ports("s1") == []
    recorders[1].kill()
    recorders[1] = begin(directories[1], "s2")
    assert ports("s2") == ["lhp-4097"]
    assert recorders[1].stop() == 0
    assert ports("s2") == []
    assert dump(lab, "s1") == dump(lab, "s2")


def test_a_kept_instrumentation_is_found_again(lab):
    """--keep-instrumented, and what happens meanwhile."""
    make(lab)
    recorder = start(lab, "--keep-instrumented")
    recorder.wait_for("s1): instrumented")
    before = {k: r["version"] for k, r in rules(lab).items()}
    assert recorder.stop() == 0
    assert card(lab, "udp")
    both(lab, "add-flow", "priority=40,udp,tp_dst=5,actions=output:1")
    both(lab, "del-flows", "dl_type=0x88b5")
    start(lab).wait_for("s1): instrumented")
    after = {k: r["version"] for k, r in rules(lab).items()}
    assert after.pop((0, "udp,tp_dst=5")) > max(before.values())
    assert before.pop((0, "dl_type=0x88b5"))
    assert after == before
    call(lab, "detach", bridge="s1")
    assert dump(lab, "s1") == dump(lab, "s2")


def test_a_standalone_bridge_is_refused_but_for_force(lab):
    """It would throw its rules away."""
    make(lab)
    lab.vsctl("set-fail-mode", "s1", "standalone")
    before = dump(lab, "s1")
    recorder = start(lab)
    recorder.wait_for("NOT ATTACHED: bridge s1 has fail-mode standalone")
    assert dump(lab, "s1") == before
    call(lab, "attach", bridge="s1", force=True)
    recorder.wait_for("s1): instrumented")
    assert dump(lab, "s1") != before
    assert recorder.stop() == 0
    assert dump(lab, "s1") == before


def test_a_bridge_that_is_not_there_yet(lab):
    """It is taken when it comes."""
    make(lab)
    recorder = start(lab, "--attach=late")
    recorder.wait_for("s1): instrumented")
    lab.vsctl("add-br", "late", "--", "set", "bridge", "late",
              "datapath_type=netdev", "fail-mode=secure",
              "other-config:datapath-id=00000000000000aa")
    recorder.wait_for("late): instrumented")
    recorder.stop()
    assert "actions" not in lab.ofctl("dump-flows", "late")
    assert dump(lab, "s1") == dump(lab, "s2")
