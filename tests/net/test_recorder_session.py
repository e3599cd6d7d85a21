# SPDX-License-Identifier: Apache-2.0
# A controller that does not notice the recorder, and what happens when one of
# the three ends.

import os
import socket

import pytest

from lab import PYTHON, UNDER_COLLECTOR
from process import run, wait_until
from recorder import (CONTROLLER_PORT, RECORDER_PORT, Recorder, pretty,
                      start_controller)

GENEVE = f"geneve:{UNDER_COLLECTOR}"

FLOWS = [
    {"priority": 100, "cookie": 0x1122334455667788, "idle_timeout": 300,
     "hard_timeout": 600, "flags": 1,
     "match": {"dl_type": 0x0800, "nw_dst": "10.0.0.2", "nw_proto": 6,
               "tp_dst": 80},
     "actions": [{"type": "OUTPUT", "port": 1}]},
    {"priority": 100, "match": {"in_port": 1, "dl_type": 0x0806},
     "actions": [{"type": "OUTPUT", "port": 0xfffffffb}]},
    {"priority": 50, "match": {"dl_dst": "02:00:00:00:00:01"},
     "actions": [{"type": "OUTPUT", "port": 2}]},
    {"priority": 10, "match": {"dl_type": 0x86dd}, "actions": []},
    {"priority": 5, "match": {},
     "actions": [{"type": "OUTPUT", "port": 0xfffffffd, "max_len": 128}]},
]

BAD_FLOW = {"priority": 7, "match": {"in_port": 1, "dl_type": 0x0800},
            "actions": [{"type": "OUTPUT", "port": 0xfffffff0}]}


def network(lab):
    """Two bridges in a line with a host each and the collector."""
    lab.add_bridge("s1")
    lab.add_bridge("s2")
    lab.add_link("s1", "s2")
    hosts = (lab.add_host("h1", "s1", "10.0.0.1/24"),
             lab.add_host("h2", "s2", "10.0.0.2/24"))
    lab.add_collector()
    lab.start()
    return hosts


def connect(lab, postcards=GENEVE, **options):
    """A controller and a recorder between it and the switches."""
    controller = start_controller(lab)
    recorder = Recorder(lab, postcards, **options).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready()
    recorder.wait_controller(controller)
    return controller, recorder


def add_flows(controller, dpid, flows):
    """Installs 'flows' and returns the errors that came."""
    return controller.call("flow", dpid=dpid, flows=flows)["errors"]


def in_version(flow, of_version):
    """'flow' with the reserved ports of that version."""
    if of_version != "1.0":
        return flow
    actions = [{**action, "port": action["port"] & 0xffff}
               for action in flow["actions"]]
    return {**flow, "actions": actions}


def what_it_sees(controller, of_version):
    """Flows and ports of switch 1, and the errors of a bad flow."""
    flows = [in_version(flow, of_version) for flow in FLOWS]
    assert add_flows(controller, 1, flows) == []
    errors = []
    if of_version != "1.0":     # os-ken itself dies of errors in 1.0.
        errors = add_flows(controller, 1, [BAD_FLOW])
        assert len(errors) == 1
    for error in errors:    # Transaction IDs are of the controller's choice.
        error["xid"] = 0
        error["data"] = error["data"][:8] + error["data"][16:]
    return {"flows": controller.call("flows", dpid=1)["flows"],
            "ports": controller.call("ports", dpid=1)["ports"],
            "errors": errors}


@pytest.mark.parametrize("of_version", ["1.0", "1.3"])
def test_controller_sees_what_it_would_see_without_recorder(lab, of_version):
    network(lab)
    controller = start_controller(lab, of_version=of_version)
    lab.set_controller(f"tcp:127.0.0.1:{CONTROLLER_PORT}")
    wait_until(lambda: controller.call("switches")["switches"] == [1, 2],
               20, "the controller")
    direct = what_it_sees(controller, of_version)
    assert len(direct["flows"]) == len(FLOWS)
    for bridge in lab.bridges:
        lab.ofctl("del-flows", bridge)

    recorder = Recorder(lab, GENEVE).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready()
    recorder.wait_controller(controller)
    recorded = what_it_sees(controller, of_version)

    assert recorded["errors"] == direct["errors"]
    assert recorded["ports"] == direct["ports"]
    for mine, theirs in zip(recorded["flows"], direct["flows"]):
        assert mine == theirs
    assert len(recorded["flows"]) == len(direct["flows"])
    assert "tun_metadata63" in lab.ofctl("dump-flows", "s1"), \
        "not instrumented at all"


def test_log_knows_each_rule_and_the_table_at_each(lab):
    network(lab)
    controller, recorder = connect(lab)
    add_flows(controller, 1, FLOWS)
    controller.call("flow", command="delete_strict", dpid=1, flow=FLOWS[2])
    controller.call("flow", command="modify_strict", dpid=1,
                    flow={**FLOWS[3],
                          "actions": [{"type": "OUTPUT", "port": 1}]})

    rules = {rule["version"]: rule for rule in recorder.table(1)}
    dropped = [r for r in rules.values()
               if r["kind"] == "flow" and r["priority"] == 10]
    assert len(rules) == len(FLOWS) - 1 + 1, pretty(rules)
    assert [r["actions"] for r in dropped] == ["output:1"]
    newest = recorder.rule(1, max(rules))
    assert newest["priority"] == 10
    assert newest["who"] == f"tcp:127.0.0.1:{CONTROLLER_PORT}"

    # As it was when the last of FLOWS had been installed.
    last = next(r for r in rules.values()
                if r["kind"] == "flow" and r["priority"] == 5)
    then = recorder.table(1, version=last["version"])
    flows = [r for r in then if r["kind"] == "flow"]
    assert len(flows) == len(FLOWS)
    gone = next(r for r in flows if r["priority"] == 50)
    assert gone["removed_reason"] == "delete"
    assert gone["removed_ns"] > last["installed_ns"]
    at = recorder.table(1, at=gone["removed_ns"] - 1)
    assert gone["version"] in {r["version"] for r in at}
    at = recorder.table(1, at=gone["removed_ns"])
    assert gone["version"] not in {r["version"] for r in at}


def test_refused_change_leaves_the_log_as_the_switch_is(lab):
    network(lab)
    controller, recorder = connect(lab)
    add_flows(controller, 1, FLOWS)
    known = versions(recorder)
    errors = add_flows(controller, 1, [
        {**FLOWS[2], "actions": BAD_FLOW["actions"]}])
    assert len(errors) == 1
    assert versions(recorder) == known
    assert recorder.rule(1, known[50])["removed_ns"] is None
    assert len(controller.call("flows", dpid=1)["flows"]) == len(FLOWS)
    assert sum(r["kind"] == "flow" for r in recorder.table(1)) == len(FLOWS)


def test_topology_is_found(lab):
    network(lab)
    _, recorder = connect(lab)

    def found():
        topology = recorder.topology()
        edges = {(s["name"], p["name"]) for s in topology["switches"]
                 for p in s["ports"] if p.get("edge")}
        links = [(link["a"]["port"], link["b"]["port"])
                 for link in topology["links"]]
        return links == [(1, 1)] and edges >= {("s1", "s1-h1"),
                                               ("s2", "s2-h2")} and topology
    topology = wait_until(found, 5, "links and edges")
    ports = [p["name"] for s in topology["switches"] for p in s["ports"]]
    assert not any(name.startswith("lhp-") for name in ports)
    epoch = topology["epoch"]
    with recorder.api() as api:
        api.call("subscribe")
        assert api.event()["topology"]["epoch"] == epoch
        run(["ip", "link", "set", "s1-s2", "down"], netns=lab.sw)

        def unlinked():
            return not api.event()["topology"]["links"]
        wait_until(unlinked, 5, "the link to go")
    assert recorder.topology()["epoch"] > epoch


def versions(recorder, dpid=1):
    """Version of each of the controller's rules by priority."""
    return {rule["priority"]: rule["version"]
            for rule in recorder.table(dpid) if rule["kind"] == "flow"}


def check_restart(lab, end):
    """The recorder ends by end() and starts again."""
    network(lab)
    controller, recorder = connect(lab)
    add_flows(controller, 1, FLOWS)
    before = controller.call("flows", dpid=1)["flows"]
    known = versions(recorder)
    highest = max(r["version"] for r in recorder.table(1))
    wait_until(lambda: not recorder.stats()["flow_log"]["queued"],
               what="the log to be written")
    end(recorder)
    # Meanwhile one rule goes and two come; the second one's match does not say
    # that packets are Ethernet.
    lab.ofctl("del-flows", "s1", "dl_dst=02:00:00:00:00:01")
    lab.ofctl("add-flow", "s1", "priority=77,tcp,actions=output:1")
    lab.ofctl("add-flow", "s1", "priority=76,in_port=2,actions=output:1")

    recorder.start().wait_ready()
    recorder.wait_controller(controller)
    now = versions(recorder)
    assert {p: v for p, v in now.items() if p not in (76, 77)} == \
        {p: v for p, v in known.items() if p != 50}
    assert now[77] > highest and now[76] > highest
    assert "priority=76,in_port=2 actions=clone(" in \
        lab.ofctl("dump-flows", "s1")
    gone = recorder.rule(1, known[50])
    assert gone["removed_reason"] == "gone"
    seen = controller.call("flows", dpid=1)["flows"]
    assert [f for f in seen if f["priority"] not in (76, 77)] == \
        [f for f in before if f["priority"] != 50]
    add_flows(controller, 1, [{**FLOWS[0], "priority": 78}])
    assert versions(recorder)[78] > max(now[76], now[77])


def test_recorder_ends_and_comes_back(lab):
    def end(recorder):
        assert recorder.process.stop() == 0
    check_restart(lab, end)


def test_recorder_is_killed_and_comes_back(lab):
    check_restart(lab, lambda recorder: recorder.process.kill())


def test_controller_ends_and_comes_back(lab):
    network(lab)
    controller, recorder = connect(lab)
    add_flows(controller, 1, FLOWS)
    known = versions(recorder)
    lab.process("controller").stop()
    controller.close()
    recorder.process.wait_for(f"controller tcp:127.0.0.1:{CONTROLLER_PORT}: "
                              "Connection refused", 20)
    controller = start_controller(lab)
    recorder.wait_ready().wait_controller(controller)
    assert versions(recorder) == known
    assert len(controller.call("flows", dpid=1)["flows"]) == len(FLOWS)


def test_switch_ends_and_comes_back(lab):
    network(lab)
    controller, recorder = connect(lab)
    add_flows(controller, 1, FLOWS)
    known = versions(recorder)
    lab.process("ovs-vswitchd").kill()
    wait_until(lambda: controller.call("switches")["switches"] == [],
               20, "the controller to miss the switches")
    lab.start_vswitchd()
    recorder.wait_ready(30).wait_controller(controller)
    assert versions(recorder) == {}
    assert recorder.rule(1, known[100])["removed_reason"] == "gone"
    assert controller.call("flows", dpid=1)["flows"] == []
    add_flows(controller, 1, FLOWS)
    assert min(versions(recorder).values()) > max(known.values())


_SEND = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.settimeout(10)
try:
    connection.sendall(bytes.fromhex(sys.stdin.read()))
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass
except ConnectionError:
    pass
except OSError as error:
    if error.errno != 107:
        raise
"""


def send_garbage(lab, data):
    """Connects to the recorder, sends 'data' and waits to be let go."""
    run([PYTHON, "-c", _SEND, RECORDER_PORT], netns=lab.sw, deadline=20,
        stdin=data.hex())


def test_garbage_ends_only_its_own_connection(lab):
    network(lab)
    controller, recorder = connect(lab)
    accepted = recorder.stats()["accepted"]
    send_garbage(lab, b"GET / HTTP/1.1\r\nHost: switch\r\n\r\n")
    recorder.process.wait_for("not OpenFlow: begins with 47 45 54 20")
    hello = bytes([4, 0, 0, 8, 0, 0, 0, 1])
    send_garbage(lab, b"")
    send_garbage(lab, os.urandom(30000))
    send_garbage(lab, hello + bytes([4, 2, 0, 3, 0, 0, 0, 0]) * 1000)
    recorder.process.wait_for("not OpenFlow: a message of 3 bytes")
    send_garbage(lab, hello + bytes([9, 2, 0, 8, 0, 0, 0, 0]))
    recorder.process.wait_for("not OpenFlow: a message of version 0x09")
    send_garbage(lab, hello + bytes([4, 6, 0, 8, 0, 0, 0, 0]) * 1000)
    assert recorder.process.is_running()
    assert recorder.stats()["accepted"] > accepted
    assert set(recorder.states().values()) == {"instrumented"}
    add_flows(controller, 1, FLOWS)
    assert len(versions(recorder)) == 4


def test_port_in_use_is_named(lab):
    lab.add_bridge("s1")
    lab.start()
    recorder = Recorder(lab).start()
    second = Recorder(lab, options=[f"--state={lab.dir}/other",
                                    f"--rundir={lab.dir}/other"])
    process = lab.spawn("second", [recorder.process.argv[3],
                                   *second.options], netns=lab.sw)
    assert process.wait() == 1
    assert f"cannot listen on {recorder.target}: Address already in use" in \
        process.output()
    process = lab.spawn("third", [recorder.process.argv[3],
                                  *recorder.options], netns=lab.sw)
    assert process.wait() == 1
    assert f"flow log {lab.dir}/state/flow.db: another process" in \
        process.output()
    assert recorder.process.is_running()


def test_guests_leave_the_switches_room(lab):
    lab.add_bridge("s1")
    lab.add_bridge("s2")
    lab.start()
    at = f"{lab.dir}/guests"
    controller = start_controller(lab)
    recorder = Recorder(lab, options=[f"--ovsdb={lab.db}", "--attach=s1",
                                      f"--serve=s1,at=unix:{at}"]).start()
    wait_until(lambda: 1 in recorder.states(), what="the attached bridge")
    guests = []
    for _ in range(160):
        guests.append(socket.socket(socket.AF_UNIX))
        guests[-1].connect(at)
    wait_until(lambda: recorder.stats()["refused"], 20, "a refusal")

    lab.vsctl("set-controller", "s2", recorder.target)
    wait_until(lambda: controller.call("switches")["switches"] == [2], 20,
               "the switch")

    for guest in guests:
        guest.close()
    dump = ["ovs-ofctl", "-OOpenFlow13", "dump-flows", f"unix:{at}"]
    wait_until(lambda: "OFPST_FLOW" in run(dump, env=lab.env, check=False),
               20, "a guest's turn")
